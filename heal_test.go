// Goal: a store gets its full protection back by itself, and nothing that a client
// can see changes on the way. Method: stores on drives in memory in virtual time,
// whose drives go, return and are damaged; what clients were told before is compared
// with what they are told after. Each test names the breakage that it was seen to find.
package sherd_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
)

// narrowStore is a store whose objects were all written while one of four drives
// was away, and what clients know of them.
func narrowStore(t *testing.T) (*rack, *sherd.Store, map[string]sherd.ObjectInfo) {
	r := newRack(4)
	s, err := r.open(t)
	require.NoError(t, err)
	ctx := t.Context()
	_, err = s.CreateBucket(ctx, bucketName, &sherd.BucketOptions{ObjectLock: true})
	require.NoError(t, err)
	r.faults[3].SetGone(true)
	eventually(t, s, "evicted", func() bool { return s.Health().Degraded })
	until := s.Now().Add(24 * time.Hour)
	for i, size := range []int{0, 10, 70_000, 400_000, 1_000_000} {
		o := &sherd.PutOptions{Tags: map[string]string{"size": fmt.Sprint(size)}, MD5: true}
		if i%2 == 1 {
			o.Retention = lock.Retention{Mode: lock.Compliance, Until: until}
		}
		_, err := s.Put(ctx, bucketName, fmt.Sprint("put", size), bytes.NewReader(sized(uint64(size), size)), int64(size), o)
		require.NoError(t, err)
	}
	for _, key := range []string{"put400000", "put10"} {
		_, err = s.Copy(ctx, sherd.Source{Bucket: bucketName, Key: key}, bucketName, "copy of "+key, nil)
		require.NoError(t, err)
	}
	u, err := s.CreateUpload(ctx, bucketName, "parts", nil)
	require.NoError(t, err)
	var parts []sherd.CompletedPart
	for n, size := range []int{500_000, 300_000, 100} {
		_, err := s.PutPart(ctx, bucketName, "parts", u.ID, n+1, bytes.NewReader(sized(uint64(n), size)), int64(size), &sherd.PartOptions{MD5: true})
		require.NoError(t, err)
		parts = append(parts, sherd.CompletedPart{Number: n + 1})
	}
	_, err = s.CompleteUpload(ctx, bucketName, "parts", u.ID, parts, nil)
	require.NoError(t, err)
	_, err = s.Copy(ctx, sherd.Source{Bucket: bucketName, Key: "parts"}, bucketName, "copy of parts", nil)
	require.NoError(t, err)
	return r, s, seen(t, s)
}

// seen is everything that clients are told of objects, with digests in the place of
// bytes.
func seen(t *testing.T, s *sherd.Store) map[string]sherd.ObjectInfo {
	out := map[string]sherd.ObjectInfo{}
	for info, err := range s.List(t.Context(), bucketName, nil) {
		require.NoError(t, err)
		o, err := s.Get(t.Context(), bucketName, info.Key, nil)
		require.NoError(t, err)
		data, err := io.ReadAll(o)
		require.NoError(t, err)
		told := o.Info
		told.Owner = digest(data)
		require.NoError(t, o.Close())
		out[info.Key] = told
	}
	return out
}

func (r *rack) filesOn(t *testing.T, drive int) (n int) {
	var walk func(dir string)
	walk = func(dir string) {
		names, err := r.disks[drive].List(dir)
		require.NoError(t, err)
		for _, name := range names {
			path := r.disks[drive].PathJoin(dir, name)
			if info, err := r.disks[drive].Stat(path); err == nil && info.IsDir() {
				walk(path)
			} else if !strings.HasSuffix(name, ".tmp") {
				n++
			}
		}
	}
	walk(fmt.Sprintf("/drive%d/shards", drive))
	return n
}

// Kills: an entry that names the new shards in one record of several; one that
// leaves the old owner in its place (old files stay for ever); a part laid out anew
// in the middle of a copy's life; a layout chosen before the drives were back.
func TestObjectsGetTheFullWidthLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, s, before := narrowStore(t)
		pass(2 * time.Minute) // counted
		require.Positive(t, sherd.Narrow(s))
		require.Zero(t, r.filesOn(t, 3))
		r.faults[3].SetGone(false)
		eventually(t, s, "all back", func() bool { return well(s) })
		open, err := s.Get(t.Context(), bucketName, "put1000000", nil)
		require.NoError(t, err)
		half := make([]byte, 300_000)
		_, err = io.ReadFull(open, half)
		require.NoError(t, err)
		pass(10 * time.Minute)
		require.Zero(t, sherd.Narrow(s))
		rest, err := io.ReadAll(open)
		require.NoError(t, err, "who was reading goes on, with what was there or what is there now")
		require.Equal(t, sized(1_000_000, 1_000_000), append(half, rest...))
		require.NoError(t, open.Close())
		require.Equal(t, before, seen(t, s))
		for drive := range 4 {
			require.Equal(t, 4, r.filesOn(t, drive), "two objects, one of them twice, and two parts; nothing of before")
		}
		checkClean(t, s)
		_, err = s.Delete(t.Context(), bucketName, "copy of put400000", &sherd.DeleteOptions{VersionID: before["copy of put400000"].VersionID})
		require.NoError(t, err)
		_, err = s.Delete(t.Context(), bucketName, "parts", &sherd.DeleteOptions{VersionID: before["parts"].VersionID})
		require.NoError(t, err)
		pass(5 * time.Minute)
		delete(before, "copy of put400000")
		delete(before, "parts")
		require.Equal(t, before, seen(t, s), "each holds on to its bytes")
		_, err = s.Delete(t.Context(), bucketName, "copy of parts", &sherd.DeleteOptions{VersionID: before["copy of parts"].VersionID})
		require.NoError(t, err)
		pass(5 * time.Minute)
		for drive := range 4 {
			require.Equal(t, 2, r.filesOn(t, drive), "what nobody names any more is gone")
		}
		_, err = s.Delete(t.Context(), bucketName, "put400000", &sherd.DeleteOptions{VersionID: before["put400000"].VersionID})
		require.ErrorIs(t, err, sherd.ErrLocked, "protected as before")
		checkClean(t, s)
		r.shut(t, s, "")
	})
}

func checkClean(t *testing.T, s *sherd.Store) {
	t.Helper()
	for f, err := range s.Check(t.Context()) {
		require.NoError(t, err)
		require.Fail(t, "check", "%+v", f)
	}
}

// Heal does all of it at once.
func TestHealOfAStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, s, before := narrowStore(t)
		pass(2 * time.Minute)
		r.faults[3].SetGone(false)
		eventually(t, s, "all back", func() bool { return well(s) })
		sum, err := s.Heal(t.Context(), nil)
		require.NoError(t, err)
		require.EqualValues(t, 8, sum.Widened, "four objects and a copy of one inline, and three parts")
		require.Zero(t, sum.Found)
		require.Zero(t, sherd.Narrow(s))
		sum, err = s.Heal(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, sherd.HealSummary{}, sum)
		require.Equal(t, before, seen(t, s))
		checkClean(t, s)
		r.shut(t, s, "")
	})
}
