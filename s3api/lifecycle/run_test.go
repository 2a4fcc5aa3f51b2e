// Goal: a pass removes what is due and nothing else: not what is locked, not what
// changed since it was looked at, not what another rule is not for. Method: a
// store in memory whose clock the test moves, and stores that change under the
// pass, in every status of versioning.
package lifecycle_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/s3api/lifecycle"
	"github.com/sherd-storage/sherd/versioning"
)

// room is a store with a clock that a test moves.
type room struct {
	*sherd.Store
	t   *testing.T
	mu  sync.Mutex
	now time.Time
}

func newRoom(t *testing.T, status versioning.Status, locked bool) *room {
	t.Helper()
	r := &room{t: t, now: begun}
	store, err := sherd.NewMemory(1, &sherd.Options{Clock: r.clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	r.Store = store
	_, err = store.CreateBucket(t.Context(), "bucket", &sherd.BucketOptions{ObjectLock: locked})
	require.NoError(t, err)
	if status != versioning.Unversioned && !locked {
		require.NoError(t, store.SetVersioning(t.Context(), "bucket", status))
	}
	return r
}

func (r *room) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *room) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func (r *room) rules(rules ...string) {
	r.t.Helper()
	require.NoError(r.t, r.PutDocument(r.t.Context(), "bucket", lifecycle.Document, document(rules...)))
}

func (r *room) put(key, content string, o *sherd.PutOptions) sherd.ObjectInfo {
	r.t.Helper()
	info, err := r.Put(r.t.Context(), "bucket", key, strings.NewReader(content), int64(len(content)), o)
	require.NoError(r.t, err)
	return info
}

// all lists the versions: key, content length, "marker".
func (r *room) all() (out []string) {
	r.t.Helper()
	for info, err := range r.ListVersions(r.t.Context(), "bucket", nil) {
		require.NoError(r.t, err)
		one := info.Key + " " + strings.Repeat("x", int(info.Size))
		if info.DeleteMarker {
			one = info.Key + " marker"
		}
		out = append(out, one)
	}
	return out
}

func (r *room) pass() lifecycle.Pass {
	r.t.Helper()
	p, err := lifecycle.Once(r.t.Context(), r.Store, &lifecycle.Options{PerSecond: -1})
	require.NoError(r.t, err)
	return p
}

const day = 24 * time.Hour

func TestExpiration(t *testing.T) {
	for status, after := range map[versioning.Status][]string{
		versioning.Unversioned: {"new x", "other x"},
		versioning.Enabled:     {"new x", "old marker", "old x", "other x"},
		versioning.Suspended:   {"new x", "old marker", "other x"},
	} {
		r := newRoom(t, status, false)
		r.rules(rule("<Filter><And><Tag><Key>t</Key><Value>1</Value></Tag></And></Filter>", "<Expiration><Days>2</Days></Expiration>"))
		tagged := &sherd.PutOptions{Tags: map[string]string{"t": "1"}}
		r.put("old", "x", tagged)
		r.put("other", "x", nil)
		r.advance(time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC).Sub(begun) - 1)
		r.put("new", "x", tagged)
		require.Zero(t, r.pass().Removed, "a moment before midnight")
		r.advance(1)
		p := r.pass()
		require.Equal(t, lifecycle.Pass{Begun: p.Begun, Buckets: 1, Looked: 3, Removed: 1}, p)
		require.Equal(t, after, r.all(), status)
		require.Zero(t, r.pass().Removed, "once")
	}
}

func TestNoncurrentVersionsAndMarkers(t *testing.T) {
	r := newRoom(t, versioning.Enabled, false)
	for i := range 5 {
		r.put("key", strings.Repeat("x", i+1), nil)
		r.advance(day)
	}
	r.rules(rule(all, "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>"))
	require.Equal(t, 2, r.pass().Removed)
	require.Equal(t, []string{"key xxxxx", "key xxxx", "key xxx"}, r.all())

	r.rules(rule(all, "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"),
		rule(all, "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"))
	_, err := r.Delete(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.Equal(t, 1, r.pass().Removed, "the newer ones have not been noncurrent for long enough")
	require.Equal(t, []string{"key marker", "key xxxxx", "key xxxx"}, r.all())
	r.advance(2 * day)
	require.Equal(t, 2, r.pass().Removed)
	require.Equal(t, []string{"key marker"}, r.all())
	require.Equal(t, 1, r.pass().Removed, "nothing lies under it any more")
	require.Empty(t, r.all())
}

func TestUploadsAreAborted(t *testing.T) {
	r := newRoom(t, versioning.Unversioned, false)
	r.rules(rule("<Prefix>a</Prefix>", "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"))
	for _, key := range []string{"a", "b"} {
		_, err := r.CreateUpload(t.Context(), "bucket", key, nil)
		require.NoError(t, err)
	}
	require.Zero(t, r.pass().Removed)
	r.advance(2 * day)
	require.Equal(t, 1, r.pass().Removed)
	for u, err := range r.ListUploads(t.Context(), "bucket", nil) {
		require.NoError(t, err)
		require.Equal(t, "b", u.Key)
	}
}

func TestWhatIsLockedStays(t *testing.T) {
	r := newRoom(t, versioning.Enabled, true)
	r.put("key", "x", &sherd.PutOptions{Retention: lock.Retention{Mode: lock.Governance, Until: begun.Add(10 * day)}})
	r.put("key", "xx", &sherd.PutOptions{LegalHold: true})
	r.put("key", "xxx", nil)
	r.rules(rule(all, "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"))
	r.advance(5 * day)
	p := r.pass()
	require.Equal(t, 2, p.Locked)
	require.Zero(t, p.Removed)
	r.advance(6 * day)
	require.Equal(t, 1, r.pass().Removed, "its retention has ended")
	require.Equal(t, []string{"key xxx", "key xx"}, r.all())
}

// A bucket whose rules are not understood is left alone, and others are not.
func TestRulesThatAreNotUnderstood(t *testing.T) {
	r := newRoom(t, versioning.Unversioned, false)
	r.put("key", "x", nil)
	require.NoError(t, r.PutDocument(t.Context(), "bucket", lifecycle.Document, []byte("<x/>")))
	_, err := r.CreateBucket(t.Context(), "later", nil)
	require.NoError(t, err)
	_, err = r.Put(t.Context(), "later", "key", strings.NewReader("x"), 1, nil)
	require.NoError(t, err)
	require.NoError(t, r.PutDocument(t.Context(), "later", lifecycle.Document, document(rule(all, days))))
	r.advance(5 * day)
	p, err := lifecycle.Once(t.Context(), r.Store, nil)
	require.ErrorIs(t, err, lifecycle.ErrMalformed)
	require.Equal(t, 1, p.Malformed)
	require.Equal(t, 1, p.Removed)
	require.Equal(t, []string{"key x"}, r.all())
}

// meddler changes a store between a listing and the removals.
type meddler struct {
	*room
	meddle func()
}

func (m *meddler) ListVersions(ctx context.Context, bucket string, o *sherd.ListVersionsOptions) iter.Seq2[sherd.ObjectInfo, error] {
	var seen []sherd.ObjectInfo
	for info, err := range m.Store.ListVersions(ctx, bucket, o) {
		require.NoError(m.t, err)
		seen = append(seen, info)
	}
	m.meddle()
	return func(yield func(sherd.ObjectInfo, error) bool) {
		for _, info := range seen {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func TestWhatChangedMeanwhileStays(t *testing.T) {
	remove := func(r *room, versionID string) {
		_, err := r.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: versionID})
		require.NoError(t, err)
	}
	expire := rule(all, days)
	older := rule(all, "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>")
	marker := rule(all, "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>")
	for name, c := range map[string]struct {
		status        versioning.Status
		rules         string
		before, after func(r *room)
		left          []string
	}{
		"put again": {versioning.Unversioned, expire, func(r *room) { r.put("key", "x", nil) },
			func(r *room) { r.put("key", "x", nil) }, []string{"key x"}},
		"put again with versions": {versioning.Enabled, expire, func(r *room) { r.put("key", "x", nil) },
			func(r *room) { r.put("key", "x", nil) }, []string{"key x", "key x"}},
		"current again": {versioning.Enabled, older, func(r *room) { r.put("key", "x", nil); r.put("key", "xx", nil) },
			func(r *room) {
				info, err := r.Stat(t.Context(), "bucket", "key", nil)
				require.NoError(t, err)
				remove(r, info.VersionID)
			}, []string{"key x"}},
		"the null version again": {versioning.Suspended, older, func(r *room) {
			r.put("key", "x", nil)
			require.NoError(t, r.SetVersioning(t.Context(), "bucket", versioning.Enabled))
			r.put("key", "xx", nil)
			require.NoError(t, r.SetVersioning(t.Context(), "bucket", versioning.Suspended))
		}, func(r *room) { r.put("key", "x", nil); r.put("key", "xxx", nil) }, []string{"key xxx", "key xx"}},
		"an object in the marker's place": {versioning.Suspended, marker, func(r *room) { remove(r, "") },
			func(r *room) { r.put("key", "x", nil) }, []string{"key x"}},
	} {
		r := newRoom(t, c.status, false)
		r.rules(c.rules)
		c.before(r)
		r.advance(5 * day)
		p, err := lifecycle.Once(t.Context(), &meddler{r, func() { c.after(r) }}, &lifecycle.Options{PerSecond: -1})
		require.NoError(t, err, name)
		require.Zero(t, p.Removed, name)
		require.Equal(t, 1, p.Changed, name)
		require.Equal(t, c.left, r.all(), name)
	}
}

// Passes follow each other until the context ends, at the rate that is set.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, versioning.Unversioned, false)
		r.rules(rule(all, days))
		for _, key := range []string{"a", "b", "c"} {
			r.put(key, "x", nil)
		}
		var gone []string
		var passes []int
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		var mu sync.Mutex
		go func() {
			ended <- lifecycle.Run(ctx, r.Store, &lifecycle.Options{
				Every: time.Hour, PerSecond: 1, AtOnce: 1, Clock: lifecycle.Clock{Day: time.Minute},
				Notice: func(n lifecycle.Notice) {
					mu.Lock()
					defer mu.Unlock()
					gone = append(gone, n.Key+" "+n.Action.String()+" "+n.Rule)
				},
				Passed: func(p lifecycle.Pass, err error) { passes = append(passes, p.Removed) },
			})
		}()
		synctest.Wait()
		r.advance(time.Hour)
		before := time.Now()
		time.Sleep(time.Hour + 10*time.Second)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Equal(t, []int{0, 3}, passes)
		slices.Sort(gone)
		require.Equal(t, []string{"a expired rule-1", "b expired rule-1", "c expired rule-1"}, gone)
		require.GreaterOrEqual(t, time.Since(before), 3*time.Second)
		require.NoError(t, r.Store.Close())
	})
}
