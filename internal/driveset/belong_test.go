// Goal: a drive that does not belong to the set, or is there twice, changes
// nothing, also when it shows up after the set was opened. Method: places that
// were out of reach at first and then hold a copy of another drive, a drive of
// another store, or one that the log no longer reaches.
package driveset_test

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// cloned gives a shelf of four drives where the last one's place has a copy of
// another drive. It was filled before.
func cloned(t *testing.T) *shelf {
	s := newShelf(4)
	var disks []*crashfs.FS
	for i := range s.fs {
		disks = append(disks, crashfs.New())
		s.fs[i] = s.faults[i].Wrap(disks[i])
	}
	c := s.open(t)
	c.fill("a")
	require.NoError(t, c.set.Close())
	s.faults[3] = faultfs.New()
	s.fs[3] = s.faults[3].Wrap(disks[2].Crash(crashfs.Everything, 1))
	return s
}

func (s *shelf) clonedPlaces() []driveset.Place {
	places := s.places()
	places[3].Path = places[2].Path
	return places
}

func TestOneDriveTwice(t *testing.T) {
	s := cloned(t)
	_, err := driveset.Open(t.Context(), s.clonedPlaces(), &s.opt)
	require.ErrorIs(t, err, driveset.ErrMixed)
	require.ErrorContains(t, err, "the same drive")
}

func TestOneDriveTwiceLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cloned(t)
		s.faults[3].SetGone(true)
		set, err := driveset.Open(t.Context(), s.clonedPlaces(), &s.opt)
		require.NoError(t, err)
		defer func() { require.NoError(t, set.Close()) }()
		c := &client{t: t, set: set, want: map[string][]byte{}}
		c.fill("a")
		s.faults[3].SetGone(false)
		time.Sleep(time.Minute) // virtual
		h := set.Health()
		require.ErrorIs(t, h.Drives[3].Err, driveset.ErrMixed)
		require.Equal(t, driveset.Away, h.Drives[3].Status)
		require.Equal(t, driveset.InSync, h.Drives[2].Status)

		// Nor is it taken for another drive when the set opens itself again.
		s.faults[1].SetGone(true)
		c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
		time.Sleep(time.Minute)
		require.Equal(t, driveset.ReadOnly, set.Health().Mode)
		s.faults[1].SetGone(false)
		c.eventually("serving", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
		c.fill("b")
		c.check()
	})
}

// free: nobody holds the lock of a place, so that whose drive is there may use it.
func (s *shelf) free(t *testing.T, drive int) {
	t.Helper()
	time.Sleep(30 * time.Millisecond) // virtual; between two looks at the place
	claim, err := layout.Claim(t.Context(), s.fs[drive], fmt.Sprintf("/d%d", drive), nil)
	require.NoError(t, err)
	require.NoError(t, claim.Release())
}

// A drive of another store shows up at a place of a set that is open: it is told, and
// its lock is left to its own store.
//
// Kills: a lock that is kept; an index that is asked at each look.
func TestDriveOfAnotherStoreLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := newShelf(4), newShelf(4)
		c := s.open(t)
		require.NoError(t, c.set.Close())
		time.Sleep(time.Hour) // its epochs are higher
		require.NoError(t, other.open(t).set.Close())
		s.fs[3], s.faults[3] = other.fs[3], other.faults[3]
		s.faults[3].SetGone(true)
		c = s.open(t)
		c.fill("a")
		writes := s.faults[3].Count()
		indexes := s.faults[3].Add(faultfs.Rule{Kinds: []op.Kind{op.Open}, Path: "MANIFEST-", Do: func(_ *vfs.Call, next func() error) error { return next() }})
		s.faults[3].SetGone(false)
		time.Sleep(time.Minute)
		require.ErrorIs(t, c.set.Health().Drives[3].Err, driveset.ErrMixed)
		require.Greater(t, s.faults[3].Count(), writes, "it was looked at")
		require.Positive(t, indexes.Fired(), "its index was asked")
		require.LessOrEqual(t, indexes.Fired(), 3, "and not again and again")
		s.free(t, 3)
		s.faults[1].SetGone(true)
		c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
		s.faults[1].SetGone(false)
		c.eventually("serving", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
		c.fill("b")
		c.check()
	})
}

// A drive whose format file is damaged shows up at an open set: it is told what is wrong
// with it, and not that it is another set's; with its file it returns.
//
// Kills: an index that is not asked when the set is open.
func TestADamagedFormatFileShowsUpLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.fill("a")
		require.NoError(t, c.set.Close())
		file := readAll(t, s.fs[3], "/d3/format.json")
		writeAll(t, s.fs[3], "/d3/format.json", bytes.Replace(file, []byte(`"slot": 3`), []byte(`"slot": 2`), 1))
		s.faults[3].SetGone(true)
		c = s.openWith(t, c)
		c.fill("b")
		s.faults[3].SetGone(false)
		c.eventually("damaged", func(h driveset.Health) bool {
			return h.Drives[3].Status == driveset.Away && errors.Is(h.Drives[3].Err, layout.ErrDamaged)
		})
		writeAll(t, s.fs[3], "/d3/format.json", file)
		c.eventually("back", allInSync)
		c.whole()
	})
}

// A drive whose stable log is not the set's, because it went on with copies of
// the others, can not learn. All that is the set's is copied to it.
//
// Kills: taking the log from the drive's end, or from its stable mark, without a
// look at whether that is on the set's log.
func TestDriveOfAnotherHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fork := newShelf(4), newShelf(4)
		var disks []*crashfs.FS
		for i := range s.fs {
			disks = append(disks, crashfs.New())
			s.fs[i] = s.faults[i].Wrap(disks[i])
		}
		c := s.open(t)
		c.fill("a")
		require.NoError(t, c.set.Close())
		for i, d := range disks {
			fork.fs[i] = fork.faults[i].Wrap(d.Crash(crashfs.Everything, 1))
		}
		f := fork.open(t)
		f.fill("b")
		require.NoError(t, f.set.Close())
		s.fs[3], s.faults[3] = fork.fs[3], fork.faults[3]
		s.faults[3].SetGone(true)
		again := s.open(t)
		again.want = c.want
		again.fill("c")
		s.faults[3].SetGone(false)
		again.eventually("all in-sync", allInSync)
		again.whole()
		s.faults[0].SetGone(true)
		s.faults[1].SetGone(true)
		again.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
		again.check()
	})
}

// A drive that fails again and again is tried again after pauses that grow,
// whatever the clock says that entries are stamped with.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.Clock = func() time.Time { return time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC) }
		c := s.open(t)
		// It fails as soon as it counts again.
		failed := s.faults[3].Add(faultfs.Rule{
			Kinds: []op.Kind{op.Open}, Path: "format.json", Do: faultfs.Fail(syscall.EIO),
			Match: func(*vfs.Call) bool { return c.set.Health().Drives[3].Status == driveset.InSync },
		})
		require.NoError(t, c.put(t.Context(), "a", bytesOf(1, 100)))
		time.Sleep(time.Minute) // virtual
		early := failed.Fired()
		time.Sleep(10 * time.Minute)
		late := failed.Fired() - early
		require.Positive(t, early)
		require.Less(t, late, 10*60/20, "one try in half a minute")
		c.check()
	})
}
