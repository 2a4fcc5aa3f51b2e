// Goal: a drive that comes back brings what it holds, learns what it missed,
// and takes nothing from the set by returning. Method: drives in memory that
// go and return between writes; Check, which reads every shard of every drive,
// says what is no longer where it was.
package driveset_test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// whole asks for a set on whose drives every log, record and shard is there.
func (c *client) whole() {
	c.t.Helper()
	c.check()
	require.NoError(c.t, c.set.Check(context.Background(), func(f driveset.Finding) {
		require.Fail(c.t, "check", "%+v", f)
	}))
}

// A drive goes right after a write, when that is not yet stable on it: what it
// undoes when it returns it must still hold in the end.
func TestReturnKeepsShards(t *testing.T) {
	s := newShelf(4)
	c := s.open(t)
	for round := range 6 {
		drive := round % 4
		for i := range 3 {
			require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%d/%d", round, i), bytesOf(uint64(round), 300_000)))
		}
		s.faults[drive].SetGone(true)
		c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[drive].Status == driveset.Away })
		require.NoError(t, c.put(t.Context(), fmt.Sprintf("without%d", round), bytesOf(uint64(round), 300_000)))
		s.faults[drive].SetGone(false)
		c.eventually("all back", allInSync)
		c.whole()
	}
}

// A shard for which a drive had no room, of an entry that is not stable on it,
// is there once it counts again.
func TestReturnSuppliesShards(t *testing.T) {
	s := newShelf(4)
	c := s.open(t)
	full := s.faults[3].Add(faultfs.Rule{Kinds: []op.Kind{op.Create}, Path: "/shards/", Do: faultfs.Fail(syscall.ENOSPC)})
	require.NoError(t, c.put(t.Context(), "a", bytesOf(1, 300_000)))
	s.faults[3].SetGone(true)
	require.Positive(t, full.Fired()) // again when healing asked before the drive went
	full.Stop()
	c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[3].Status == driveset.Away })
	s.faults[3].SetGone(false)
	c.eventually("all back", allInSync)
	c.whole()
}

// The same when it returns at an opening that can not do without it.
func TestOpeningKeepsShardsOfWhoIsBehind(t *testing.T) {
	s := newShelf(4)
	c := s.open(t)
	for i := range 3 {
		require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%d", i), bytesOf(uint64(i), 300_000)))
	}
	s.faults[3].SetGone(true)
	c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[3].Status == driveset.Away })
	require.NoError(t, c.put(t.Context(), "without", bytesOf(7, 300_000)))
	require.NoError(t, c.set.Close())
	s.faults[3].SetGone(false)
	again := s.open(t, 0, 1, 3)
	again.want = c.want
	require.Equal(t, driveset.Serving, again.set.Health().Mode)
	again.check()
	require.NoError(t, again.set.Check(t.Context(), func(f driveset.Finding) {
		require.NotEqual(t, "/d3", f.Drive, "%+v", f)
	}))
}

// The drive that a learner reads from can not be read: that is not the
// learner's fault, which learns from another.
func TestReturnWhenAnotherDriveCanNotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(6)
		s.opt.CacheBytes = 1
		c := s.open(t)
		c.fill("a")
		require.NoError(t, c.set.Close())
		s.faults[5].SetGone(true)
		want := c.want
		c = s.open(t) // what drives hold is in tables from here on, and not in memory
		c.want = want
		c.fill("b")
		time.Sleep(time.Second) // virtual: nothing is left to be removed, which reads too
		bad := s.faults[0].Add(faultfs.Rule{Kinds: []op.Kind{op.ReadAt}, Path: "/index/", Do: faultfs.Fail(syscall.EIO)})
		s.faults[5].SetGone(false)
		c.eventually("learned", func(h driveset.Health) bool { return h.Drives[5].Status == driveset.InSync })
		require.Positive(t, bad.Fired())
		bad.Stop()
		c.eventually("all back", allInSync)
		c.check()
	})
}

// A drive is evicted while another is slow, and is back before the state that
// leaves it out is on all drives. As long as that is so an opening may still
// count on it, so it must keep all that it holds.
func TestReturnWaitsUntilItIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.fill("a")
		gate := faultfs.NewGate()
		t.Cleanup(gate.Open)
		s.faults[0].Add(faultfs.Rule{Kinds: []op.Kind{op.SyncData}, Path: "/index/", Do: faultfs.Stall(gate)})
		s.faults[3].SetGone(true)
		c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[3].Status == driveset.Away })
		<-gate.Entered() // by the state without drive 3
		s.faults[3].SetGone(false)
		time.Sleep(5 * time.Second) // virtual: ten times what the set waits before it asks again
		require.Equal(t, driveset.Away, c.set.Health().Drives[3].Status)
		gate.Open()
		c.eventually("all back", allInSync)
		c.whole()
	})
}

// A shard that an in-sync drive could not take when its object was written is made
// as soon as it can be, though nobody reads it and no scrub comes by.
func TestShardThatCouldNotBeWrittenIsMade(t *testing.T) {
	s, told := newShelf(4), &notices{}
	s.opt.Notice = told.add
	c := s.open(t)
	full := s.faults[3].Add(faultfs.Rule{Kinds: []op.Kind{op.Create}, Path: "/shards/", Times: 1, Do: faultfs.Fail(syscall.ENOSPC)})
	require.NoError(t, c.put(t.Context(), "a", bytesOf(1, 300_000)))
	require.Equal(t, 1, full.Fired())
	c.eventually("made", func(driveset.Health) bool { // a file alone may be one that is being written
		return slices.Contains(told.kinds("/d3"), driveset.NoticeHealed)
	})
	require.Len(t, s.shardFiles(t, 3), 1)
	require.True(t, allInSync(c.set.Health()))
	c.whole()
}
