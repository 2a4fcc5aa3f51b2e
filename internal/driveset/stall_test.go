// Goal: a drive that hangs, so that calls to it neither succeed nor fail, costs
// the set a wait and no more: not a write, an opening, a read, or Close. Method:
// gates in the way of one kind of call of one drive, in virtual time.
package driveset_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// hang puts a gate in the way of a drive, which is opened when the test ends.
func (s *shelf) hang(t *testing.T, drive int, path string, kinds ...op.Kind) *faultfs.Gate {
	gate := faultfs.NewGate()
	t.Cleanup(gate.Open)
	s.faults[drive].Add(faultfs.Rule{Kinds: kinds, Path: path, Do: faultfs.Stall(gate)})
	return gate
}

func TestHungWhileBytesAreWritten(t *testing.T) {
	for _, kind := range []op.Kind{op.Create, op.Write, op.SyncData, op.SyncDir} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(4)
				c := s.open(t)
				gate := s.hang(t, 2, "/shards/", kind)
				begun := time.Now()
				require.NoError(t, c.put(t.Context(), "a", bytesOf(1, 2<<20)))
				require.Less(t, time.Since(begun), 4*s.opt.StallLimit)
				c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[2].Status != driveset.InSync })
				c.check()
				gate.Open()
				c.eventually("all back", allInSync)
				c.check()
			})
		})
	}
}

// All drives hang: nobody is late, but the caller does not have to wait.
func TestContextEndsAStage(t *testing.T) {
	for _, kind := range []op.Kind{op.Create, op.SyncData} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(4)
				c := s.open(t)
				var gates []*faultfs.Gate
				for drive := range 4 {
					gates = append(gates, s.hang(t, drive, "/shards/", kind))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := c.put(ctx, "a", bytesOf(1, 2<<20))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, driveset.ErrOutcomeUnknown)
				for _, g := range gates {
					g.Open()
				}
				c.fill("b")
				c.check()
				require.Equal(t, driveset.Serving, c.set.Health().Mode)
			})
		})
	}
}

// Nothing is written, so that only the probe can tell.
func TestHungProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.fill("a")
		gate := s.hang(t, 0, "format.json", op.Open)
		c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[0].Status == driveset.Away })
		c.check()
		gate.Open()
		c.eventually("all back", allInSync)
	})
}

func TestHungWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.fill("a")
		require.NoError(t, c.set.Close())
		for n := range 8 { // the n-th sync of its log: while it is opened, promises, settles
			gate := faultfs.NewGate()
			s.faults[1].Add(faultfs.Rule{Kinds: []op.Kind{op.SyncData}, Path: ".log", Skip: n, Do: faultfs.Stall(gate)})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			set, err := driveset.Open(ctx, s.places(), &s.opt)
			cancel()
			require.NoError(t, err, "sync %d", n)
			again := &client{t: t, set: set, want: c.want}
			again.eventually("serving", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
			again.check()
			gate.Open()
			again.eventually("all in-sync", allInSync)
			require.NoError(t, set.Close())
			s.faults[1].Clear()
		}
	})
}

// A drive that does not even say whether it is there is waited for as long as
// enough others are missing too, and no longer than a limit.
func TestHungPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(6)
		c := s.open(t)
		c.fill("a")
		require.NoError(t, c.set.Close())
		s.faults[0].SetGone(true)
		gate := s.hang(t, 5, "", op.Stat)
		begun := time.Now()
		again := s.open(t)
		again.want = c.want
		require.Less(t, time.Since(begun), 10*time.Second)
		again.check()
		require.Error(t, again.set.Close(), "a call to drive 5 has not returned")

		s.faults[1].SetGone(true)
		s.faults[2].SetGone(true)
		begun = time.Now()
		_, err := driveset.Open(t.Context(), s.places(), &s.opt)
		require.ErrorIs(t, err, driveset.ErrTooFew)
		require.Less(t, time.Since(begun), 2*time.Minute)
		gate.Open()
	})
}

func TestHungClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		set, err := driveset.Open(t.Context(), s.places(), &s.opt)
		require.NoError(t, err)
		c := &client{t: t, set: set, want: map[string][]byte{}}
		gate := s.hang(t, 3, "", op.Stat)
		s.faults[3].SetGone(true)
		c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[3].Status == driveset.Away })
		s.faults[3].SetGone(false)
		<-gate.Entered() // it is being connected
		begun := time.Now()
		require.Error(t, set.Close())
		require.Less(t, time.Since(begun), time.Minute)
		gate.Open()
		synctest.Wait()
		s.faults[3].Clear()
		again := s.open(t) // nothing is locked any more
		again.eventually("all in-sync", allInSync)
	})
}

// What an opening that failed had begun to open is given back, however late.
func TestFailedOpenGivesPlacesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.set.Close())
		gate := s.hang(t, 3, "", op.List)
		places := s.places()
		foreign := vfs.Mem(0)
		require.NoError(t, foreign.MkdirAll("/d0", 0o777))
		f, err := foreign.Create("/d0/letter.txt", vfs.Unspecified)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		places[0].FS = foreign
		_, err = driveset.Open(t.Context(), places, &s.opt)
		require.ErrorIs(t, err, layout.ErrForeign)
		gate.Open()
		synctest.Wait()
		again := s.open(t)
		again.eventually("all in-sync", allInSync)
	})
}

func TestHungDriveIsReadAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.fill("a")
		gate := s.hang(t, 1, "/shards/", op.ReadAt)
		for range 4 {
			c.check()
		}
		gate.Open()
	})
}

// What reads that somebody waits for take says nothing of a rebuild, whose reads are
// large and many: where those are slower, no more shards are read for it than are
// needed.
//
// Kills: a rebuild whose reads are late when others would be.
func TestARebuildReadsNoMoreThanItNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := newShelf(4), &notices{}
		s.opt.Notice = told.add
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "a", bytesOf(1, 4<<20)))
		var mending atomic.Bool
		var used quorum.Drives
		var mu sync.Mutex // guards used
		for drive := range 4 {
			s.faults[drive].Add(faultfs.Rule{Kinds: []op.Kind{op.Create}, Path: ".tmp", Do: func(_ *vfs.Call, next func() error) error {
				mending.Store(true)
				return next()
			}})
			s.faults[drive].Add(faultfs.Rule{Kinds: []op.Kind{op.ReadAt}, Path: "/shards/", Do: func(call *vfs.Call, next func() error) error {
				took := time.Millisecond // virtual
				if mending.Load() && drive != 0 && len(call.P) > 64<<10 {
					mu.Lock()
					used |= quorum.One(drive)
					mu.Unlock()
					took = time.Second / 2
				}
				time.Sleep(took)
				return next()
			}})
		}
		for range 40 {
			_, err := c.get(t.Context(), "a")
			require.NoError(t, err)
		}
		require.NoError(t, s.fs[0].Remove(s.shardFiles(t, 0)[0]))
		_, err := c.get(t.Context(), "a")
		require.NoError(t, err)
		c.eventually("mended", func(driveset.Health) bool { return slices.Contains(told.kinds("/d0"), driveset.NoticeHealed) })
		require.Equal(t, 2, used.Count(), "%04b", used)
		c.whole()
	})
}
