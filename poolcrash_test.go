// Goal: a power cut at any moment leaves buckets that several sets share, and the
// record of which pools there are, as before or as after what was under way; and
// what was begun is ended or taken back by the next opening. Method: changes of
// buckets in a store of three sets on disks that know what a crash would leave.
// Before operations of the disks their images are drawn and kept together with
// what the client knew; then a store is opened on each image, compared, and used.
package sherd_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// frame is a rack that a crash left, and what may be seen on it: what was
// acknowledged, and what that would have become by what was under way.
type frame struct {
	label         string
	rack          *rack
	before, after string
	pools         [][]int
}

// film draws frames while a store is used.
type film struct {
	mu            sync.Mutex
	rack          *rack
	every, seen   int
	before, after string
	pools         [][]int // that the store may be opened with
	frames        []frame
}

func newFilm(r *rack, every int) *film {
	f := &film{rack: r, every: every}
	for _, d := range r.disks {
		d.(*crashfs.FS).OnOperation(f.shoot)
	}
	return f
}

func (f *film) shoot(n int, kind op.Kind, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen++; f.before == f.after || f.seen%f.every != 0 {
		return
	}
	for _, policy := range []crashfs.Policy{crashfs.SyncedOnly, crashfs.Subset, crashfs.Everything} {
		f.frames = append(f.frames, frame{
			label: fmt.Sprintf("%q became %q, before operation %d, %s %s, %s", f.before, f.after, f.seen, kind, name, policy),
			rack:  f.rack.crash(policy, uint64(f.seen*16)), before: f.before, after: f.after, pools: f.pools,
		})
	}
}

// during notes what is under way, and that it ended.
func (f *film) during(after string, do func()) {
	f.mu.Lock()
	f.after = after
	f.mu.Unlock()
	do()
	f.mu.Lock()
	f.before = after
	f.mu.Unlock()
}

// seenIn tells of every bucket what it is and which keys it has.
func seenIn(t *testing.T, s *sherd.Store, label string) string {
	t.Helper()
	var all []string
	for b, err := range s.ListBuckets(t.Context(), nil) {
		require.NoError(t, err, label)
		c, err := s.ObjectLock(t.Context(), b.Name)
		require.NoError(t, err, label)
		var keys []string
		for o, err := range s.List(t.Context(), b.Name, nil) {
			require.NoError(t, err, label)
			keys = append(keys, o.Key)
		}
		all = append(all, fmt.Sprintf("%s %d %t %d %v", b.Name, b.Versioning, b.ObjectLock, c.Default.Days, keys))
	}
	return strings.Join(all, "; ")
}

// homes are keys, one in each of the sets.
func homes(t *testing.T, s *sherd.Store, bucket string, sets int) []string {
	out := map[[2]int]string{}
	for i := 0; len(out) < sets; i++ {
		key := fmt.Sprint(i)
		at, _, err := sherd.SetOf(t.Context(), s, bucket, key)
		require.NoError(t, err)
		if out[at] == "" {
			out[at] = key
		}
	}
	keys := make([]string, 0, sets)
	for _, key := range out {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Mutants that this kills: a deletion that does not open the bucket again; a
// bucket that stays closed after a crash; copies that are not compared when the
// store was opened anew; the name going before the other sets are closed.
func TestACrashWhileBucketsChange(t *testing.T) {
	every := 2
	if long() {
		every = 1
	}
	r := newRack(3)
	r.opt = &sherd.Options{SetDrives: 1, ReserveBytes: -1}
	s, err := r.open(t)
	require.NoError(t, err)
	require.Len(t, s.Health().Sets, 3)
	f := newFilm(r, every)
	f.pools = [][]int{{0, 1, 2}}
	step := func(after string, do func() error) {
		f.during(after, func() { require.NoError(t, do(), after) })
		require.Equal(t, after, seenIn(t, s, after))
	}
	makeBucket := func(name string) func() error {
		return func() error { _, err := s.CreateBucket(t.Context(), name, nil); return err }
	}
	step("aaa 0 false 0 []", makeBucket("aaa"))
	keys := homes(t, s, "aaa", 3)
	for i, key := range keys {
		step(fmt.Sprintf("aaa 0 false 0 %v", keys[:i+1]), func() error {
			_, err := s.Put(t.Context(), "aaa", key, nil, 0, nil)
			return err
		})
	}
	step(fmt.Sprintf("aaa 1 false 0 %v", keys), func() error { return s.SetVersioning(t.Context(), "aaa", versioning.Enabled) })
	days := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Governance, Days: 3}}
	step(fmt.Sprintf("aaa 1 true 3 %v", keys), func() error { return s.SetObjectLock(t.Context(), "aaa", days) })
	full := fmt.Sprintf("aaa 1 true 3 %v", keys)
	step(full+"; bbb 0 false 0 []", makeBucket("bbb"))
	for _, key := range homes(t, s, "bbb", 3) {
		step(fmt.Sprintf("%s; bbb 0 false 0 [%s]", full, key), func() error {
			_, err := s.Put(t.Context(), "bbb", key, nil, 0, nil)
			return err
		})
		require.ErrorIs(t, s.DeleteBucket(t.Context(), "bbb"), sherd.ErrBucketNotEmpty)
		step(full+"; bbb 0 false 0 []", func() error { _, err := s.Delete(t.Context(), "bbb", key, nil); return err })
	}
	step(full, func() error { return s.DeleteBucket(t.Context(), "bbb") })
	step(full+"; bbb 0 false 0 []", makeBucket("bbb"))
	step(full, func() error { return s.DeleteBucket(t.Context(), "bbb") })
	require.NoError(t, s.Close())
	require.NotEmpty(t, f.frames)
	for i, frame := range f.frames {
		frame.develop(t, i/3%2 == 0)
	}
	t.Logf("%d frames", len(f.frames))
}

// develop opens a store on a frame and uses it: after it has settled what a crash
// left, or before.
func (f *frame) develop(t *testing.T, settled bool) {
	o := *f.rack.opt
	o.ManualRun = true
	s, err := sherd.OpenPoolsOn(t.Context(), f.rack.drives, f.pools, &o)
	require.NoError(t, err, f.label)
	if settled {
		require.NoError(t, sherd.SettleBuckets(t.Context(), s), f.label)
		left, err := sherd.Orphans(t.Context(), s)
		require.NoError(t, err, f.label)
		require.Zero(t, left, "%s: copies of a bucket that is gone", f.label)
	}
	seen := seenIn(t, s, f.label)
	require.Contains(t, []string{f.before, f.after}, seen, f.label)
	for name := range strings.SplitSeq(seen, "; ") {
		name, _, _ = strings.Cut(name, " ")
		if name == "" {
			continue
		}
		keys := homes(t, s, name, len(f.pools[0]))
		for _, key := range keys {
			_, err := s.Put(t.Context(), name, key, nil, 0, nil)
			require.NoError(t, err, f.label)
		}
		_, same, err := sherd.CopiesOf(t.Context(), s, name)
		require.NoError(t, err, f.label)
		require.NotContains(t, same, false, "%s: a set has decided by an old record", f.label)
		b, err := s.StatBucket(t.Context(), name)
		require.NoError(t, err)
		if !b.ObjectLock {
			for v, err := range s.ListVersions(t.Context(), name, nil) {
				require.NoError(t, err)
				_, err = s.Delete(t.Context(), name, v.Key, &sherd.DeleteOptions{VersionID: cmp.Or(v.VersionID, "null")})
				require.NoError(t, err)
			}
			require.NoError(t, s.DeleteBucket(t.Context(), name), f.label)
		}
	}
	require.NoError(t, s.Close(), f.label)
}

// A crash while a store of several sets is made, or a pool is added: given the same
// drives it is made to the end, with a pool or without; never is a part of it
// forgotten.
func TestACrashWhilePoolsAreMade(t *testing.T) {
	every := 61
	if long() {
		every = 7
	}
	r := newRack(4)
	r.opt = &sherd.Options{SetDrives: 1, ReserveBytes: -1}
	f := newFilm(r, every)
	f.pools = [][]int{{0, 1}}
	f.after = "made"
	s, err := sherd.OpenPoolsOn(t.Context(), r.drives, f.pools, r.opt)
	require.NoError(t, err)
	f.during("made", func() {})
	newBucket(t, s, "aaa", versioning.Unversioned)
	old := homes(t, s, "aaa", 2)
	for _, key := range old {
		put(t, s, "aaa", key, key)
	}
	f.pools = [][]int{{0, 1}, {2, 3}}
	f.during("added", func() {
		require.NoError(t, sherd.AddPoolOn(t.Context(), s, r.drives[2:], 2, &sherd.PoolOptions{SetDrives: 1}))
	})
	require.NoError(t, s.Close())
	for _, frame := range f.frames {
		label := frame.label
		if frame.after == "added" {
			s, err := sherd.OpenPoolsOn(t.Context(), frame.rack.drives, [][]int{{0, 1}}, r.opt)
			if err == nil { // the pool was not recorded
				require.NoError(t, sherd.AddPoolOn(t.Context(), s, frame.rack.drives[2:], 2, &sherd.PoolOptions{SetDrives: 1}), label)
				require.NoError(t, s.Close(), label)
			} else {
				require.ErrorIs(t, err, sherd.ErrTooFewDrives, label)
				require.ErrorContains(t, err, "pool 1", label)
			}
		}
		s, err := sherd.OpenPoolsOn(t.Context(), frame.rack.drives, frame.pools, r.opt)
		require.NoError(t, err, label)
		sets := len(s.Health().Sets)
		require.Equal(t, 2*len(frame.pools), sets, label)
		if frame.before == "made" {
			for _, key := range old {
				require.Equal(t, key, get(t, s, "aaa", key, nil), label)
			}
		} else if _, err := s.CreateBucket(t.Context(), "aaa", nil); !errors.Is(err, sherd.ErrBucketExists) {
			require.NoError(t, err, label)
		}
		spread(t, s, "aaa", sets)
		require.NoError(t, s.Close(), label)
	}
	require.NotEmpty(t, f.frames)
	t.Logf("%d frames", len(f.frames))
}
