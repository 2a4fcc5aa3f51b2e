// Goal: no path destroys a version that is locked, and no path weakens a lock.
// Method: every operation that could, against a version under each kind of
// lock, with a clock that the test moves.
package sherd_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

func lockedStore(t *testing.T) (*sherd.Store, *clock) {
	t.Helper()
	at := newClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s := newStore(t, &sherd.Options{Clock: at.Now})
	_, err := s.CreateBucket(t.Context(), "bucket", &sherd.BucketOptions{ObjectLock: true})
	require.NoError(t, err)
	return s, at
}

func TestALockedVersionIsNotDestroyed(t *testing.T) {
	for name, c := range map[string]struct {
		mode   lock.Mode
		hold   bool
		bypass bool // helps
	}{
		"governance": {mode: lock.Governance, bypass: true},
		"compliance": {mode: lock.Compliance},
		"hold":       {hold: true},
		"all":        {mode: lock.Governance, hold: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, at := lockedStore(t)
			until := at.Now().Add(time.Hour)
			o := &sherd.PutOptions{LegalHold: c.hold}
			if c.mode != lock.None {
				o.Retention = lock.Retention{Mode: c.mode, Until: until}
			}
			info, err := s.Put(t.Context(), "bucket", "key", nil, 0, o)
			require.NoError(t, err)
			require.Equal(t, o.Retention, info.Retention)
			// Ways that destroy nothing.
			put(t, s, "bucket", "key", "newer")
			_, err = s.Delete(t.Context(), "bucket", "key", nil)
			require.NoError(t, err)
			destroy := func(bypass bool) error {
				_, err := s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: info.VersionID, Bypass: bypass})
				return err
			}
			require.ErrorIs(t, destroy(false), sherd.ErrLocked)
			require.ErrorIs(t, destroy(false), lock.ErrLocked)
			outcome := s.DeleteMany(t.Context(), "bucket", []sherd.DeleteTarget{{Key: "key", DeleteOptions: sherd.DeleteOptions{VersionID: info.VersionID}}})
			require.ErrorIs(t, outcome[0].Err, sherd.ErrLocked)
			require.ErrorIs(t, s.DeleteBucket(t.Context(), "bucket"), sherd.ErrBucketNotEmpty)
			if !c.bypass {
				require.ErrorIs(t, destroy(true), sherd.ErrLocked)
			}
			at.Advance(time.Hour)
			if c.hold {
				require.ErrorIs(t, destroy(true), sherd.ErrLocked)
				require.NoError(t, s.SetLegalHold(t.Context(), "bucket", "key", info.VersionID, false))
			}
			require.NoError(t, destroy(false))
			require.NoError(t, err)
		})
	}
}

func TestBypassOfGovernance(t *testing.T) {
	s, at := lockedStore(t)
	o := &sherd.PutOptions{Retention: lock.Retention{Mode: lock.Governance, Until: at.Now().Add(time.Hour)}}
	info, err := s.Put(t.Context(), "bucket", "key", nil, 0, o)
	require.NoError(t, err)
	_, err = s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: info.VersionID, Bypass: true})
	require.NoError(t, err)
}

// A version that was written before object lock was turned on can be the null
// version, and locked later: replacing it must be refused by every way of writing.
func TestALockedNullVersionIsNotReplaced(t *testing.T) {
	s, at := lockedStore(t)
	newBucket(t, s, "plain", versioning.Unversioned)
	put(t, s, "plain", "key", "precious")
	require.NoError(t, s.SetVersioning(t.Context(), "plain", versioning.Enabled))
	require.NoError(t, s.SetObjectLock(t.Context(), "plain", lock.Configuration{Enabled: true}))
	until := lock.Retention{Mode: lock.Compliance, Until: at.Now().Add(time.Hour)}
	require.NoError(t, s.SetRetention(t.Context(), "plain", "key", sherd.NullVersionID, until, false))
	for _, status := range []versioning.Status{versioning.Suspended, versioning.Unversioned} {
		require.ErrorIs(t, s.SetVersioning(t.Context(), "plain", status), sherd.ErrInvalidArgument)
	}
	_, err := s.Delete(t.Context(), "plain", "key", &sherd.DeleteOptions{VersionID: sherd.NullVersionID, Bypass: true})
	require.ErrorIs(t, err, sherd.ErrLocked)
	require.Equal(t, "precious", get(t, s, "plain", "key", nil))
}

func TestRetentionIsNotWeakened(t *testing.T) {
	s, at := lockedStore(t)
	info := put(t, s, "bucket", "key", "x")
	set := func(mode lock.Mode, hours int, bypass bool) error {
		r := lock.Retention{Mode: mode}
		if mode != lock.None {
			r.Until = at.Now().Add(time.Duration(hours) * time.Hour)
		}
		return s.SetRetention(t.Context(), "bucket", "key", info.VersionID, r, bypass)
	}
	require.NoError(t, set(lock.Governance, 2, false))
	require.ErrorIs(t, set(lock.Governance, 1, false), sherd.ErrLocked)
	require.ErrorIs(t, set(lock.None, 0, false), sherd.ErrLocked)
	require.ErrorIs(t, set(lock.Compliance, 3, false), sherd.ErrLocked)
	require.ErrorIs(t, set(lock.Governance, -1, true), sherd.ErrInvalidArgument)
	require.NoError(t, set(lock.Governance, 1, true))
	require.NoError(t, set(lock.Compliance, 1, true))
	require.ErrorIs(t, set(lock.None, 0, true), sherd.ErrLocked)
	require.NoError(t, set(lock.Compliance, 2, false))
	stat, err := s.Stat(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.Equal(t, lock.Retention{Mode: lock.Compliance, Until: at.Now().Add(2 * time.Hour)}, stat.Retention)
	require.Equal(t, info.ETag, stat.ETag)
	require.Equal(t, info.Modified, stat.Modified)
	require.Equal(t, "x", get(t, s, "bucket", "key", nil))
}

func TestDefaultRetention(t *testing.T) {
	s, at := lockedStore(t)
	c := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Compliance, Days: 1}}
	require.NoError(t, s.SetObjectLock(t.Context(), "bucket", c))
	got, err := s.ObjectLock(t.Context(), "bucket")
	require.NoError(t, err)
	require.Equal(t, c, got)
	want := lock.Retention{Mode: lock.Compliance, Until: at.Now().Add(24 * time.Hour)}
	require.Equal(t, want, put(t, s, "bucket", "key", "x").Retention)
	require.Equal(t, want, completeOf(t, s, "bucket", "key", []byte("ab"), 1, 1, 1).Retention)
	copied, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key"}, "bucket", "copy", nil)
	require.NoError(t, err)
	require.Equal(t, want, copied.Retention)
	at.Advance(-time.Hour)
	require.Equal(t, want, put(t, s, "bucket", "key", "x").Retention, "a clock that was set back does not shorten it")
	require.NoError(t, s.SetObjectLock(t.Context(), "bucket", lock.Configuration{Enabled: true}))
	require.Zero(t, put(t, s, "bucket", "key", "x").Retention)
	require.ErrorIs(t, s.SetObjectLock(t.Context(), "bucket", lock.Configuration{}), lock.ErrEnabledForEver)
}

func TestLocksNeedABucketWithObjectLock(t *testing.T) {
	s, at := lockedStore(t)
	newBucket(t, s, "plain", versioning.Unversioned)
	put(t, s, "plain", "key", "x")
	until := lock.Retention{Mode: lock.Compliance, Until: at.Now().Add(time.Hour)}
	require.ErrorIs(t, s.SetRetention(t.Context(), "plain", "key", "", until, false), lock.ErrNotEnabled)
	require.ErrorIs(t, s.SetLegalHold(t.Context(), "plain", "key", "", true), lock.ErrNotEnabled)
	_, err := s.CreateUpload(t.Context(), "plain", "key", &sherd.UploadOptions{Retention: until})
	require.ErrorIs(t, err, lock.ErrNotEnabled)
	require.ErrorIs(t, s.SetObjectLock(t.Context(), "plain", lock.Configuration{Enabled: true}), versioning.ErrObjectLock)
	require.ErrorIs(t, s.SetRetention(t.Context(), "bucket", "none", "", until, false), sherd.ErrNoSuchKey)
}

func TestTheLockOfAnUpload(t *testing.T) {
	s, at := lockedStore(t)
	until := lock.Retention{Mode: lock.Compliance, Until: at.Now().Add(time.Hour)}
	u, err := s.CreateUpload(t.Context(), "bucket", "key", &sherd.UploadOptions{Retention: until, LegalHold: true})
	require.NoError(t, err)
	p, err := s.PutPart(t.Context(), "bucket", "key", u.ID, 1, reader([]byte("x")), 1, nil)
	require.NoError(t, err)
	info, err := s.CompleteUpload(t.Context(), "bucket", "key", u.ID, []sherd.CompletedPart{{Number: p.Number}}, nil)
	require.NoError(t, err)
	require.Equal(t, until, info.Retention)
	require.True(t, info.LegalHold)
}

func TestTheLockOfAnUploadThatTookLonger(t *testing.T) {
	s, at := lockedStore(t)
	forever := lock.DefaultRetention{Mode: lock.Compliance, Years: 100}
	require.NoError(t, s.SetObjectLock(t.Context(), "bucket", lock.Configuration{Enabled: true, Default: forever}))
	until := lock.Retention{Mode: lock.Compliance, Until: at.Now().Add(time.Hour)}
	for _, hold := range []bool{false, true} {
		u, err := s.CreateUpload(t.Context(), "bucket", "key", &sherd.UploadOptions{Retention: until, LegalHold: hold})
		require.NoError(t, err)
		p, err := s.PutPart(t.Context(), "bucket", "key", u.ID, 1, reader([]byte("x")), 1, nil)
		require.NoError(t, err)
		at.Advance(2 * time.Hour)
		info, err := s.CompleteUpload(t.Context(), "bucket", "key", u.ID, []sherd.CompletedPart{{Number: p.Number}}, nil)
		require.NoError(t, err)
		require.Equal(t, until, info.Retention, "as it was asked for, and not the default")
		_, err = s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: info.VersionID})
		require.Equal(t, hold, errors.Is(err, sherd.ErrLocked))
		until.Until = at.Now().Add(time.Hour)
	}
}
