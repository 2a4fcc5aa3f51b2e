// Goal: an index copy brings to a drive what is live, exactly, whatever goes on while
// it lasts and however often it is broken off. Method: copies at a low rate in virtual
// time, so that they outlast views, beside clients that write; crashes at random
// operations of the drive that is copied to; afterwards a check compares every record
// and shard, and drives go until the new one is needed for every read. Each test
// names the breakages of the code that it was seen to find.
package driveset_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// retag writes a version's record again, as setting tags does: its bytes stay.
func (c *client) retag(ctx context.Context, key string) error {
	rec, err := c.latest(ctx, key)
	if err != nil || rec == nil {
		return err
	}
	_, err = c.set.Commit(ctx, func() {}, func(p layout.Position, _ layout.Owner) (driveset.Change, error) {
		again := *rec
		again.Modified = time.Unix(int64(p), 0)
		value, err := layout.EncodeRecord(&again)
		return driveset.Change{Writes: []layout.Write{{Slot: layout.VersionSlot(bucket, key, rec.Version), Kind: layout.KindRecord, Value: value}}}, err
	})
	return err
}

// A copy outlasts several views, while what is before its cursor and behind it is
// written, replaced, deleted and tagged, and what that shadows is removed.
//
// Kills: a copy that brings records newer than P, which the log brings, or leaves out
// the shards that they name and that are older.
func TestCopyWhileMuchIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.CopyBytes = 5 << 10
		c := s.open(t)
		c.small("k", 400)
		s.vacate(t, 1)
		copying := func(h driveset.Health) bool { return len(h.Work) == 1 && h.Work[0].Kind == driveset.WorkCopy }
		c.eventually("copying", copying)
		began := time.Now()
		random := rand.New(rand.NewPCG(1, 2))
		for round := 0; copying(c.set.Health()); round++ {
			key := fmt.Sprintf("k%03d", random.IntN(440))
			var err error
			switch random.IntN(4) {
			case 0:
				err = c.delete(t.Context(), key)
			case 1:
				err = c.put(t.Context(), key, bytesOf(uint64(round), random.IntN(3000)))
			default:
				err = c.retag(t.Context(), key)
			}
			require.NoError(t, err)
			time.Sleep(250 * time.Millisecond) // virtual
		}
		require.Greater(t, time.Since(began), 90*time.Second, "longer than views last")
		c.eventually("all in-sync", allInSync)
		c.whole()
		time.Sleep(10 * time.Second) // virtual: what is shadowed is removed on all drives
		c.whole()
		for _, lost := range [][]int{{0, 2}, {0, 3}, {2, 3}} {
			s.gone(lost, true)
			c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
			c.check()
			s.gone(lost, false)
			c.eventually("all in-sync", allInSync)
		}
		c = s.reopen(t, c)
		c.eventually("all in-sync", allInSync)
		c.whole()
	})
}

// What a drive lacks because it is still being copied to is neither asked of it nor
// told as damage, whoever reads.
//
// Kills: reads that ask all drives alike; reports of shards that a copy is to bring.
func TestReadsBesideACopyFindNoDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := newShelf(4), &notices{}
		s.opt.CopyBytes, s.opt.Notice = 15<<10, told.add
		c := s.open(t)
		c.small("k", 100)
		s.vacate(t, 1)
		copying := func(h driveset.Health) bool { return len(h.Work) == 1 && h.Work[0].Kind == driveset.WorkCopy }
		c.eventually("copying", copying)
		begun := c.set.Health().Work[0].Items
		c.check()
		require.True(t, copying(c.set.Health()))
		require.Less(t, begun, uint64(100))
		require.NotContains(t, told.kinds("/d1"), driveset.NoticeDamage)
		require.Empty(t, c.set.Health().Damage)
		c.eventually("all in-sync", allInSync)
		require.NotContains(t, told.kinds("/d1"), driveset.NoticeDamage)
		c.whole()
	})
}

// The drive that is copied to crashes again and again, at random operations, and so
// does the whole set; each time the copy goes on where it was, and in the end all is
// there.
//
// Kills: a cursor that is ahead of its items; a copy that begins again each time.
func TestCopyIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		disks := make([]*crashfs.FS, 4)
		for i := range s.fs {
			disks[i] = crashfs.New()
			s.fs[i] = s.faults[i].Wrap(disks[i])
		}
		s.opt.CopyBytes = 20 << 10
		c := s.open(t)
		c.small("k", 300)
		require.NoError(t, c.set.Close())
		s.vacate(t, 2)
		random := rand.New(rand.NewPCG(3, 4))
		resumed, broken := 0, 0
		for round := 0; broken < 50; round++ {
			require.Less(t, round, 300, "%d copies were broken off", broken)
			var mu sync.Mutex
			var watched *client // nil until the copy goes on
			images, left := [4]*crashfs.FS{}, 1+random.IntN(60)
			want := map[string][]byte{}
			disks[2].OnOperation(func(int, op.Kind, string) {
				mu.Lock()
				defer mu.Unlock()
				if watched == nil {
					return
				}
				if left--; left != 0 {
					return
				}
				watched.mu.Lock()
				defer watched.mu.Unlock()
				for k, v := range watched.want {
					want[k] = v
				}
				for i, d := range disks {
					images[i] = d.Crash(crashfs.Subset, random.Uint64())
				}
			})
			c = s.openWith(t, c)
			crashed := func() bool {
				mu.Lock()
				defer mu.Unlock()
				return images[0] != nil
			}
			for n := 0; !crashed() && n < 400; n++ {
				if h := c.set.Health(); len(h.Work) > 0 && h.Work[0].Kind == driveset.WorkCopy {
					mu.Lock()
					watched = c
					mu.Unlock()
				}
				if h := c.set.Health(); n == 1 && len(h.Work) > 0 && h.Work[0].Kind == driveset.WorkCopy && h.Work[0].Bytes > 100<<10 {
					resumed++ // more than the rate allows since it was opened
				}
				if n%10 == 0 {
					require.NoError(t, c.put(t.Context(), fmt.Sprintf("n%d", n%40), bytesOf(uint64(round*1000+n), 2000)))
				}
				time.Sleep(50 * time.Millisecond) // virtual
			}
			require.NoError(t, c.set.Close())
			if !crashed() { // it came to its end
				s.vacate(t, 2)
				continue
			}
			disks = images[:]
			for i := range s.fs {
				s.fs[i] = s.faults[i].Wrap(disks[i])
			}
			c.want = want
			if s.copying(t, disks[2].Crash(crashfs.Everything, 1)) {
				broken++
			} else {
				s.vacate(t, 2)
			}
		}
		t.Log(broken, "copies were broken off,", resumed, "were seen to go on")
		s.opt.CopyBytes = 0
		c = s.openWith(t, c)
		c.eventually("all in-sync", allInSync)
		c.list()
		require.NoError(t, c.set.Check(t.Context(), func(f driveset.Finding) { t.Errorf("%+v", f) }))
		for key, want := range c.want {
			if key[0] == 'k' {
				got, err := c.get(t.Context(), key)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
		require.Greater(t, resumed, 5)
	})
}

// copying tells whether a copy to the third drive was begun and is not ended, by an image
// of it.
func (s *shelf) copying(t *testing.T, image *crashfs.FS) bool {
	alone := &shelf{fs: make([]vfs.FS, 4)}
	alone.fs[2] = image
	if _, err := image.Stat("/d2/format.json"); err != nil {
		return false
	}
	return alone.holding(t, 2).Rebuild != nil
}
