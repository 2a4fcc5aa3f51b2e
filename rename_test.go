// Goal: a rename moves one object, whole and described as it was, in one step,
// and destroys nothing that a delete or a put would not. Method: renames of every
// kind of object in every status of a bucket, and against each other.
package sherd_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

func TestRename(t *testing.T) {
	for _, status := range []versioning.Status{versioning.Unversioned, versioning.Enabled, versioning.Suspended} {
		s := newStore(t, nil)
		newBucket(t, s, "bucket", status)
		want := shapes(t, s, "bucket")
		want["empty"] = nil
		put(t, s, "bucket", "empty", "")
		for name, content := range want {
			require.NoError(t, s.SetTags(t.Context(), "bucket", name, "", map[string]string{"a": "b"}))
			require.NoError(t, s.SetAccess(t.Context(), "bucket", name, "", []byte("who")))
			before, err := s.Stat(t.Context(), "bucket", name, nil)
			require.NoError(t, err)
			old := put(t, s, "bucket", "to "+name, "what was there")
			after, err := s.Rename(t.Context(), "bucket", name, "to "+name, nil)
			require.NoError(t, err)
			require.Equal(t, string(content), get(t, s, "bucket", "to "+name, nil))
			info, err := s.Stat(t.Context(), "bucket", "to "+name, nil)
			require.NoError(t, err)
			require.Equal(t, after, info)
			_, err = s.Stat(t.Context(), "bucket", name, nil)
			require.ErrorIs(t, err, sherd.ErrNoSuchKey)

			after.Key, after.VersionID, after.Modified = before.Key, before.VersionID, before.Modified
			require.Equal(t, before, after, "it is as it was")
			if status == versioning.Enabled {
				require.Equal(t, string(content), get(t, s, "bucket", name, &sherd.GetOptions{VersionID: before.VersionID}))
				require.Equal(t, "what was there", get(t, s, "bucket", "to "+name, &sherd.GetOptions{VersionID: old.VersionID}))
			}
		}
		settle(t, s)
		for name, content := range want {
			require.Equal(t, string(content), get(t, s, "bucket", "to "+name, nil))
			_, err := s.Rename(t.Context(), "bucket", "to "+name, name, nil)
			require.NoError(t, err)
			require.Equal(t, string(content), get(t, s, "bucket", name, nil))
		}
		requireNothingWrong(t, s)
	}
}

func TestWhatARenameNeeds(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	a := put(t, s, "bucket", "a", "one")
	long := strings.Repeat("k", sherd.MaxKeyBytes+1)
	for name, c := range map[string]struct {
		from, to            string
		source, destination sherd.Conditions
		err                 error
	}{
		"no source":                   {"none", "b", sherd.Conditions{}, sherd.Conditions{}, sherd.ErrNoSuchKey},
		"itself":                      {"a", "a", sherd.Conditions{}, sherd.Conditions{}, sherd.ErrInvalidArgument},
		"no key":                      {"a", long, sherd.Conditions{}, sherd.Conditions{}, sherd.ErrInvalidArgument},
		"source is another":           {"a", "b", sherd.Conditions{IfMatch: "x"}, sherd.Conditions{}, sherd.ErrPrecondition},
		"source is that":              {"a", "b", sherd.Conditions{IfNoneMatch: a.ETag}, sherd.Conditions{}, sherd.ErrPrecondition},
		"source changed":              {"a", "b", sherd.Conditions{IfUnmodifiedSince: a.Modified.Add(-time.Hour)}, sherd.Conditions{}, sherd.ErrPrecondition},
		"source did not change":       {"a", "b", sherd.Conditions{IfModifiedSince: a.Modified.Add(time.Hour)}, sherd.Conditions{}, sherd.ErrPrecondition},
		"destination is there":        {"a", "c", sherd.Conditions{}, sherd.Conditions{IfNoneMatch: "*"}, sherd.ErrPrecondition},
		"destination is not there":    {"a", "b", sherd.Conditions{}, sherd.Conditions{IfMatch: "*"}, sherd.ErrPrecondition},
		"no destination that changed": {"a", "b", sherd.Conditions{}, sherd.Conditions{IfModifiedSince: a.Modified.Add(-time.Hour)}, sherd.ErrPrecondition},
		"destination changed":         {"a", "c", sherd.Conditions{}, sherd.Conditions{IfUnmodifiedSince: a.Modified.Add(-time.Hour)}, sherd.ErrPrecondition},
	} {
		put(t, s, "bucket", "c", "three")
		_, err := s.Rename(t.Context(), "bucket", c.from, c.to, &sherd.RenameOptions{Source: c.source, Destination: c.destination})
		require.ErrorIs(t, err, c.err, name)
		require.Equal(t, []string{"a", "c"}, keys(t, s, "bucket", nil), name)
	}
	_, err := s.Rename(t.Context(), "none", "a", "b", nil)
	require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
	c, err := s.Stat(t.Context(), "bucket", "c", nil)
	require.NoError(t, err)
	_, err = s.Rename(t.Context(), "bucket", "a", "c", &sherd.RenameOptions{
		Source: sherd.Conditions{IfMatch: a.ETag}, Destination: sherd.Conditions{IfMatch: c.ETag, IfModifiedSince: c.Modified.Add(-time.Hour)}})
	require.NoError(t, err)
	require.Equal(t, "one", get(t, s, "bucket", "c", nil))
	_, err = s.Rename(t.Context(), "bucket", "c", "a", &sherd.RenameOptions{Destination: sherd.Conditions{IfNoneMatch: "*"}})
	require.NoError(t, err)
}

// With object lock nothing is destroyed, and what is locked stays so, under the
// new key too.
func TestRenameOfALockedVersion(t *testing.T) {
	s := newStore(t, nil)
	_, err := s.CreateBucket(t.Context(), "bucket", &sherd.BucketOptions{ObjectLock: true})
	require.NoError(t, err)
	until := s.Now().Add(time.Hour)
	locked := &sherd.PutOptions{Retention: lock.Retention{Mode: lock.Compliance, Until: until}, LegalHold: true}
	first, err := s.Put(t.Context(), "bucket", "a", strings.NewReader("one"), 3, locked)
	require.NoError(t, err)
	old, err := s.Put(t.Context(), "bucket", "b", strings.NewReader("old"), 3, locked)
	require.NoError(t, err)
	renamed, err := s.Rename(t.Context(), "bucket", "a", "b", nil)
	require.NoError(t, err)
	require.Equal(t, lock.Compliance, renamed.Retention.Mode)
	require.True(t, renamed.LegalHold)
	for _, version := range []sherd.ObjectInfo{first, old, renamed} {
		_, err = s.Delete(t.Context(), "bucket", version.Key, &sherd.DeleteOptions{VersionID: version.VersionID, Bypass: true})
		require.ErrorIs(t, err, sherd.ErrLocked)
	}
}

// Of several renames of an object at once one is made.
func TestRenamesAtOnce(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	put(t, s, "bucket", "0", "the one")
	from := "0"
	for range 50 {
		var wg sync.WaitGroup
		start, made := make(chan struct{}), make(chan string, 8)
		for i := range 8 {
			wg.Go(func() {
				<-start
				to := fmt.Sprint(from, i)[len(from)-1:]
				if _, err := s.Rename(t.Context(), "bucket", from, to, nil); err == nil {
					made <- to
				}
			})
		}
		close(start)
		wg.Wait()
		require.Len(t, made, 1)
		from = <-made
		require.Equal(t, []string{from}, keys(t, s, "bucket", nil))
	}
	require.Equal(t, "the one", get(t, s, "bucket", from, nil))
	requireNothingWrong(t, s)
}

// A copy of what was appended to most often can be appended to again.
func TestACopyHasFewerParts(t *testing.T) {
	s := newStoreOf(t, 1, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(1200)
	for i := range content {
		_, err := s.Append(t.Context(), "bucket", "key", reader(content[i:i+1]), 1, int64(i), nil)
		require.NoError(t, err)
	}
	copied, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key"}, "bucket", "copy", nil)
	require.NoError(t, err)
	require.Zero(t, copied.Parts)
	require.Equal(t, string(content), get(t, s, "bucket", "copy", nil))
	info, err := s.Append(t.Context(), "bucket", "copy", strings.NewReader("x"), 1, 1200, nil)
	require.NoError(t, err)
	require.Equal(t, 2, info.Parts)
	requireNothingWrong(t, s)
}
