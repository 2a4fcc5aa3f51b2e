// Goal: an index that is to be copied anew is given up only while enough other drives
// are there for the set to be opened without it. Method: a drive of another history
// among too few to write, in virtual time; another drive goes just before the copy
// would begin, and what is left is opened.
package driveset_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/layout"
)

// Kills: emptying the index of a drive because others were there when the set was
// opened.
func TestIndexIsKeptWhileItIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fork := newShelf(4), newShelf(4)
		var disks []*crashfs.FS
		for i := range s.fs {
			disks = append(disks, crashfs.New())
			s.fs[i] = s.faults[i].Wrap(disks[i])
		}
		c := s.open(t)
		c.small("a", 10)
		require.NoError(t, c.set.Close())
		for i, d := range disks {
			fork.fs[i] = fork.faults[i].Wrap(d.Crash(crashfs.Everything, 1))
		}
		f := fork.open(t)
		f.small("b", 5)
		require.NoError(t, f.set.Close())
		s.fs[3], s.faults[3] = fork.fs[3], fork.faults[3]
		s.gone([]int{3}, true)
		time.Sleep(time.Minute) // virtual: the epoch is higher than the fork's
		c = s.openWith(t, c)
		c.small("c", 20)
		require.NoError(t, c.set.Close())

		s.gone([]int{0}, true)
		s.gone([]int{3}, false)
		s.opt.Manual = true
		c = s.openWith(t, c)
		require.Equal(t, driveset.ReadOnly, c.set.Health().Mode)
		s.gone([]int{2}, true)
		c.eventually("away", func(h driveset.Health) bool { return h.Drives[2].Status == driveset.Away })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = c.set.Run(ctx) })
		time.Sleep(time.Minute) // virtual
		c.check()
		cancel()
		wg.Wait()
		require.NoError(t, c.set.Close())

		s.opt.Manual = false
		c = s.openWith(t, c)
		require.Equal(t, driveset.ReadOnly, c.set.Health().Mode)
		c.check()
		s.gone([]int{2}, false)
		c.eventually("serving", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
		s.gone([]int{0}, false)
		c.eventually("all in-sync", allInSync)
		c.whole()
	})
}

// A place was left out, and another is empty: it is not known which of the two drives
// the empty place had.
//
// Kills: going by the number of a place where not all were given.
func TestEmptyPlaceWhereAnotherWasLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(5)
		c := s.open(t)
		c.small("a", 10)
		want, ids := c.want, c.ids()
		require.NoError(t, c.set.Close())
		s.vacate(t, 4)
		c = s.open(t, 0, 1, 2, 4)
		time.Sleep(time.Minute) // virtual
		require.Equal(t, driveset.Serving, c.set.Health().Mode)
		require.NoError(t, c.set.Close())
		c = s.open(t)
		c.want = want
		c.eventually("all in-sync", allInSync)
		require.Equal(t, ids[:4], c.ids()[:4])
		c.whole()
	})
}

// Bytes are written, and before they are named two of their drives are lost and made
// anew: what those had of them is gone, so it does not count.
//
// Kills: counting a shard for the slot that it was in, whichever drive is there.
func TestShardsOfDrivesThatWereReplacedDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.small("a", 3)
		data := bytesOf(9, 1<<20)
		staged, err := c.set.Stage(t.Context(), bytes.NewReader(data), int64(len(data)), driveset.DataSpec{Bucket: bucket, Key: "big", Parity: -1})
		require.NoError(t, err)
		defer staged.Discard()
		for _, lost := range []int{2, 3} {
			s.vacate(t, lost)
			c.eventually("seen", func(h driveset.Health) bool { return h.Degraded })
			c.eventually("all in-sync", allInSync)
		}
		_, err = c.set.Commit(t.Context(), func() {}, func(p layout.Position, o layout.Owner) (driveset.Change, error) {
			value, err := layout.EncodeRecord(&layout.Record{
				Head: layout.Head{Version: p, Epoch: o.Epoch, Size: staged.Size, Modified: time.Unix(0, 0)}, Body: layout.Body{Place: staged.Place}})
			return driveset.Change{Staged: staged, Writes: []layout.Write{
				{Slot: layout.VersionSlot(bucket, "big", p), Kind: layout.KindRecord, Value: value},
				{Slot: layout.DataOwnerSlot(staged.Place.Data, layout.OwnerOfData{Bucket: bucket, Key: "big", Version: p}), Kind: layout.KindRecord, Value: []byte{}},
			}}, err
		})
		require.ErrorIs(t, err, driveset.ErrAborted)
		c.whole()
	})
}
