// Goal: a clock that jumps ten years ahead and back decides nothing but what is
// about time: no write is lost or reordered, drives open, retention holds by the
// clock as it is. Method: a store whose clock the test moves, between calls and
// between openings.
package sherd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

const years = 365 * 24 * time.Hour

func TestAClockThatJumpsAheadAndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newClock(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
		r := newRack(4)
		r.opt = &sherd.Options{Clock: c.Now, UploadExpiry: 30 * 24 * time.Hour}
		s, err := r.open(t)
		require.NoError(t, err)
		newBucket(t, s, bucketName, versioning.Enabled)
		_, err = s.CreateBucket(t.Context(), "locked", &sherd.BucketOptions{ObjectLock: true})
		require.NoError(t, err)
		kept := func(s *sherd.Store, key string) sherd.ObjectInfo {
			info, err := s.Put(t.Context(), "locked", key, nil, 0, &sherd.PutOptions{Retention: lock.Retention{Mode: lock.Compliance, Until: c.Now().Add(years)}})
			require.NoError(t, err)
			return info
		}
		destroy := func(s *sherd.Store, v sherd.ObjectInfo) error {
			_, err := s.Delete(t.Context(), "locked", v.Key, &sherd.DeleteOptions{VersionID: v.VersionID, Bypass: true})
			return err
		}
		want := 0
		write := func(s *sherd.Store) {
			want++
			put(t, s, bucketName, "k", fmt.Sprint(want))
			put(t, s, bucketName, fmt.Sprint("key", want), fmt.Sprint(want))
			require.Equal(t, fmt.Sprint(want), get(t, s, bucketName, "k", nil), "the newest is the one that was written last")
		}
		reopen := func(jump time.Duration) {
			r.shut(t, s, "closed")
			c.Advance(jump)
			s, err = r.open(t)
			require.NoError(t, err)
			eventually(t, s, "all is well", func() bool { return well(s) })
			require.Equal(t, fmt.Sprint(want), get(t, s, bucketName, "k", nil))
		}
		write(s)
		now := kept(s, "from now")
		require.ErrorIs(t, destroy(s, now), sherd.ErrLocked)

		c.Advance(10 * years) // while it is open
		write(s)
		ahead := kept(s, "from ahead")
		require.ErrorIs(t, destroy(s, ahead), sherd.ErrLocked)
		reopen(0) // and an epoch is drawn from it
		write(s)
		c.Advance(-10 * years) // and back, while it is open
		write(s)
		require.ErrorIs(t, destroy(s, now), sherd.ErrLocked, "by the clock as it is")
		require.ErrorIs(t, destroy(s, ahead), sherd.ErrLocked)
		reopen(0) // epochs of the future are on the drives
		write(s)
		reopen(10 * years)
		require.NoError(t, destroy(s, now), "its time has come")
		require.ErrorIs(t, destroy(s, ahead), sherd.ErrLocked)
		write(s)
		reopen(-10 * years)
		require.ErrorIs(t, destroy(s, ahead), sherd.ErrLocked)
		write(s)

		// Versions are in the order in which they were written, whatever they say of time.
		var versions []string
		for v, err := range s.ListVersions(t.Context(), bucketName, &sherd.ListVersionsOptions{Prefix: "k"}) {
			require.NoError(t, err)
			if v.Key == "k" {
				versions = append(versions, get(t, s, bucketName, "k", &sherd.GetOptions{VersionID: v.VersionID}))
			}
		}
		require.Len(t, versions, want)
		for i, content := range versions {
			require.Equal(t, fmt.Sprint(want-i), content)
		}
		require.Len(t, keys(t, s, bucketName, nil), want+1)
		r.sound(t, s, func(*sherd.Store) {})
	})
}

// TestUploadsAreYoungAfterAJumpBack: what began in the future is not expired, and
// what is expired by a jump ahead is gone and no more than that.
func TestUploadsAndAClockThatJumps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newClock(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
		r := newRack(4)
		r.opt = &sherd.Options{Clock: c.Now}
		s, err := r.open(t)
		require.NoError(t, err)
		newBucket(t, s, bucketName, versioning.Unversioned)
		begin := func(key string) sherd.Upload {
			u, err := s.CreateUpload(t.Context(), bucketName, key, nil)
			require.NoError(t, err)
			return u
		}
		expired := func() int {
			n, err := s.ExpireUploads(t.Context(), c.Now().Add(-years))
			require.NoError(t, err)
			return n
		}
		begin("now")
		require.Zero(t, expired())
		c.Advance(10 * years)
		later := begin("ahead")
		require.Equal(t, 1, expired())
		c.Advance(-10 * years)
		begin("back")
		require.Zero(t, expired())
		_, err = s.CompleteUpload(t.Context(), bucketName, "ahead", later.ID, nil, nil)
		require.Error(t, err, "no parts, but an upload")
		require.NotErrorIs(t, err, sherd.ErrNoSuchUpload)
		require.NoError(t, s.AbortUpload(t.Context(), bucketName, "ahead", later.ID))
		r.sound(t, s, func(*sherd.Store) {})
	})
}
