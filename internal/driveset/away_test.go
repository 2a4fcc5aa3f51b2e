// Goal: a drive that was away is soon back, by what it missed alone; and one that was away
// for longer than the log is kept gets everything anew, which the log's length does not
// depend on. Method: 32 clients write while a drive is gone, in virtual time; its index is
// in tables that nothing is cached of, so that reads of it are counted.
package driveset_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// clients have 32 of them put n objects in all, within a time.
func (c *client) clients(prefix string, n int, within time.Duration) {
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for k := i; k < n; k += 32 {
				require.NoError(c.t, c.put(c.t.Context(), fmt.Sprintf("%s%05d", prefix, k), bytesOf(uint64(k), 4<<10)))
				time.Sleep(within * 32 / time.Duration(n)) // virtual
			}
		})
	}
	wg.Wait()
}

// Kills: a return that goes through what the drive had; one by an index copy; a log that
// is not kept for a drive that is away.
func TestADriveThatWasAwayIsSoonBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := newShelf(4), &notices{}
		s.opt.Notice, s.opt.CacheBytes = told.add, 1
		c := s.open(t)
		c.clients("a", 4000, time.Minute)
		c = s.reopen(t, c)
		c.eventually("all in-sync", allInSync)
		s.gone([]int{2}, true)
		c.clients("b", 2000, time.Minute)
		require.Equal(t, driveset.Away, c.set.Health().Drives[2].Status)
		walk := s.reads(func() { require.NoError(t, c.set.Check(t.Context(), func(driveset.Finding) {})) })
		s.gone([]int{2}, false)
		begun := time.Now()
		reads := s.reads(func() { c.eventually("back", allInSync) })
		t.Logf("back after %v with %d reads of indexes; a walk takes %d", time.Since(begun), reads, walk)
		require.Less(t, time.Since(begun), 10*time.Second)
		require.NotContains(t, told.kinds("/d2"), driveset.NoticeCopying)
		require.Less(t, reads, walk/20)
		c.whole()
	})
}

// reads counts how often the drives are read while something is done.
func (s *shelf) reads(do func()) (n int) {
	for _, f := range s.faults {
		n -= f.Count(op.ReadAt)
	}
	do()
	for _, f := range s.faults {
		n += f.Count(op.ReadAt)
	}
	return n
}

// Kills: a log that is kept for ever; one that is kept for one entry less than is said.
func TestTheLogIsKeptForSoLong(t *testing.T) {
	const kept = 300
	for missed, copied := range map[int]bool{kept - 5: false, kept + 50: true} {
		t.Run(fmt.Sprint(missed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, told := newShelf(4), &notices{}
				s.opt.Notice, s.opt.KeptLog = told.add, kept
				c := s.open(t)
				c.clients("a", 400, time.Minute)
				time.Sleep(time.Minute) // virtual: all of that is stable, and the log pruned
				s.gone([]int{2}, true)
				c.eventually("away", func(h driveset.Health) bool { return h.Degraded })
				c.clients("b", missed, time.Minute)
				time.Sleep(3 * time.Minute) // virtual
				require.NoError(t, c.set.Close())
				h := s.holding(t, 0)
				require.LessOrEqual(t, int(h.Last.Position-h.First), kept, "no more is kept")
				c = s.openWith(t, c)
				s.gone([]int{2}, false)
				c.eventually("back", allInSync)
				kinds := told.kinds("/d2")
				if copied {
					require.Contains(t, kinds, driveset.NoticeCopying)
				} else {
					require.NotContains(t, kinds, driveset.NoticeCopying)
				}
				c.whole()
				c.aloneWith(s, 2)
			})
		})
	}
}
