// Goal: what an index copy promises, line by line: it takes the log as it goes, reads
// from newer views as it goes, goes on behind what it wrote and nothing further, leaves
// out what nobody owns, and its drive is not asked for an older state than it has. Method: copies at
// a low rate in virtual time; disks that know what a crash would leave, before each
// operation of some batches in the middle; the new drive's index, read by itself. Each
// test names the breakages of the code that it was seen to find.
package driveset_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// alone opens a drive by itself, which no set has open, for as long as look takes.
func (s *shelf) alone(t *testing.T, drive int, look func(layout.Drive)) {
	t.Helper()
	claim, err := layout.Claim(t.Context(), s.fs[drive], fmt.Sprintf("/d%d", drive), &layout.Options{Memory: true, ReserveBytes: -1})
	require.NoError(t, err)
	defer func() { require.NoError(t, claim.Release()) }()
	d, err := claim.Open(t.Context())
	require.NoError(t, err)
	look(d)
}

// holding tells what a drive holds that no set has open.
func (s *shelf) holding(t *testing.T, drive int) (h layout.Holding) {
	t.Helper()
	s.alone(t, drive, func(d layout.Drive) {
		var err error
		h, err = d.Holding(t.Context())
		require.NoError(t, err)
	})
	return h
}

// copying: batches were written, and more are to come.
func copying(h driveset.Health) bool {
	return len(h.Work) > 0 && h.Work[0].Kind == driveset.WorkCopy && h.Work[0].Items > 0
}

func (c *client) position() layout.Position {
	v, err := c.set.View(c.t.Context())
	require.NoError(c.t, err)
	defer v.Close()
	return v.Position()
}

// aloneWith reads everything from the new drive and one other of four, whichever.
func (c *client) aloneWith(s *shelf, made int) {
	for other := range 4 {
		if other == made {
			continue
		}
		lost := slices.DeleteFunc([]int{0, 1, 2, 3}, func(i int) bool { return i == made || i == other })
		s.gone(lost, true)
		c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
		c.check()
		s.gone(lost, false)
		c.eventually("all in-sync", allInSync)
	}
}

// What is written while a copy lasts is on the new drive long before its end, so that
// the other drives need not keep their logs for it, and a copy that was broken off
// finds them reach back to where it came.
//
// Kills: a copy that takes the log at its end only.
func TestCopyTakesTheLogMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.CopyBytes = 1 << 10
		c := s.open(t)
		c.small("k", 100)
		s.vacate(t, 1)
		c.eventually("copying", copying)
		for i := range 20 {
			require.NoError(t, c.put(t.Context(), fmt.Sprintf("n%d", i), bytesOf(uint64(i), 100)))
		}
		written := c.position()
		time.Sleep(50 * time.Second) // virtual
		require.True(t, copying(c.set.Health()))
		require.NoError(t, c.set.Close())

		made := s.holding(t, 1)
		require.NotNil(t, made.Rebuild)
		require.Less(t, made.Rebuild.Base.Position, written)
		require.GreaterOrEqual(t, made.Rebuild.Reached, written)
		require.Greater(t, s.holding(t, 0).First, made.Rebuild.Base.Position+1, "the log is kept for it from where it came")

		s.opt.CopyBytes = 0
		c = s.openWith(t, c)
		c.eventually("all in-sync", allInSync)
		c.whole()
		c.aloneWith(s, 1)
	})
}

// A copy that outlasts many views is not broken off by their age, and does not hold up
// for longer than half of one what is removed from the other drives.
//
// Kills: a view that is kept until it has lost its hold, or for ever.
func TestCopyReadsFromNewerViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := newShelf(4), &notices{}
		s.opt.Notice = told.add
		s.opt.CopyBytes = 1 << 10
		c := s.open(t)
		c.small("k", 200)
		require.NoError(t, c.put(t.Context(), "large", bytesOf(1, 300_000)))
		time.Sleep(time.Second) // virtual
		s.vacate(t, 1)
		c.eventually("copying", copying)
		require.NotEmpty(t, s.files(t, 0))
		require.NoError(t, c.delete(t.Context(), "large"))
		began := time.Now()
		for round := 0; copying(c.set.Health()); round++ {
			require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%03d", round*7%200), bytesOf(uint64(round), 500)))
			time.Sleep(time.Second) // virtual
			if round == 45 {
				require.Empty(t, s.files(t, 0), "the view of the beginning is still held")
			}
		}
		require.Greater(t, time.Since(began), 3*time.Minute)
		c.eventually("all in-sync", allInSync)
		time.Sleep(2 * time.Second) // virtual: what waits to be told is
		begun := slices.DeleteFunc(told.kinds("/d1"), func(k driveset.NoticeKind) bool { return k != driveset.NoticeCopying })
		require.Len(t, begun, 1, "it was broken off")
		c.whole()
		c.aloneWith(s, 1)
	})
}

// The power fails before each operation on the new drive during a few batches, with
// nothing kept but what was synced; each time the copy goes on, and all is there.
//
// Kills: a cursor that is written before its items, in a batch of its own; a batch
// whose cursor is that of the next.
func TestCopyGoesOnBehindWhatItWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		disks := make([]*crashfs.FS, 4)
		for i := range s.fs {
			disks[i] = crashfs.New()
			s.fs[i] = s.faults[i].Wrap(disks[i])
		}
		s.opt.CopyBytes = 16 << 10
		c := s.open(t)
		c.small("k", 100)
		require.NoError(t, c.set.Close())
		s.vacate(t, 2)
		disks[2].SyncAll() // that its place is empty is no matter of the set's
		var mu sync.Mutex
		var images [][4]*crashfs.FS
		armed := false
		disks[2].OnOperation(func(_ int, _ op.Kind, name string) {
			mu.Lock()
			defer mu.Unlock()
			if !armed || len(images) == 16 {
				return
			}
			var image [4]*crashfs.FS
			for i, d := range disks {
				image[i] = d.Crash(crashfs.SyncedOnly, 1)
			}
			images = append(images, image)
		})
		c = s.openWith(t, c)
		c.eventually("copying", copying)
		mu.Lock()
		armed = true
		mu.Unlock()
		c.eventually("all in-sync", allInSync)
		require.NoError(t, c.set.Close())
		require.Len(t, images, 16)

		s.opt.CopyBytes = 0
		cursors := map[string]bool{}
		for _, image := range images {
			again := newShelf(4)
			again.opt = s.opt
			for i, d := range image {
				again.fs[i] = again.faults[i].Wrap(d)
			}
			made := again.holding(t, 2)
			require.NotNil(t, made.Rebuild)
			require.NotEmpty(t, made.Rebuild.Cursor)
			cursors[string(made.Rebuild.Cursor)] = true
			c = again.openWith(t, c)
			c.eventually("all in-sync", allInSync)
			c.whole()
			c.aloneWith(again, 2)
			require.NoError(t, c.set.Close())
		}
		require.Greater(t, len(cursors), 3, "they were broken off in different batches")
	})
}

// deadUpload makes an upload of two parts, one in the index and one in files, and ends
// it. What it gives are the slots that are to be removed on each drive by itself.
func (c *client) deadUpload(end func()) (slots []layout.Slot) {
	ctx := context.Background()
	commit := func(change func(p layout.Position, o layout.Owner) driveset.Change) {
		_, err := c.set.Commit(ctx, func() {}, func(p layout.Position, o layout.Owner) (driveset.Change, error) { return change(p, o), nil })
		require.NoError(c.t, err)
	}
	var id layout.UploadID
	owner := func() layout.Slot {
		return layout.UploadOwnerSlot(id, layout.OwnerOfData{Bucket: bucket, Key: "up"})
	}
	commit(func(p layout.Position, o layout.Owner) driveset.Change {
		id = layout.UploadID{Epoch: o.Epoch, Position: p}
		return driveset.Change{Writes: []layout.Write{{Slot: owner(), Kind: layout.KindRecord, Value: []byte{}}}}
	})
	for i, n := range []int{2000, 300_000} {
		part := uint32(i + 1)
		st, err := c.set.Stage(ctx, bytes.NewReader(bytesOf(uint64(i), n)), int64(n), driveset.DataSpec{Upload: id, Part: part, Parity: -1})
		require.NoError(c.t, err)
		slots = append(slots, layout.PartSlot(id, part))
		commit(func(p layout.Position, o layout.Owner) driveset.Change {
			value, err := layout.EncodeRecord(&layout.Record{Head: layout.Head{Version: p, Epoch: o.Epoch, Size: st.Size, Modified: time.Unix(0, 0)}, Body: layout.Body{Place: st.Place, Part: part}})
			require.NoError(c.t, err)
			w := []layout.Write{{Slot: layout.PartSlot(id, part), Kind: layout.KindRecord, Value: value}}
			if st.Place.Kind == layout.PlaceFile {
				slots = append(slots, layout.DataOwnerSlot(st.Place.Data, layout.OwnerOfData{Upload: id, Part: part}))
				w = append(w, layout.Write{Slot: slots[len(slots)-1], Kind: layout.KindRecord, Value: []byte{}})
			} else {
				slots = append(slots, layout.InlineSlot(st.Place.Data))
			}
			return driveset.Change{Writes: w, Staged: st}
		})
		st.Discard()
	}
	end()
	commit(func(layout.Position, layout.Owner) driveset.Change {
		return driveset.Change{Writes: []layout.Write{{Slot: owner(), Kind: layout.KindTombstone}}, Reserve: true}
	})
	return slots
}

// An upload has ended, but its parts are still on the drives, as somebody reads what
// was before. A drive is made then: it gets none of them, as nothing would remove them
// there.
//
// Kills: copying what is of an upload that nobody owns.
func TestCopyLeavesOutWhatNobodyOwns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.small("k", 20)
		var before *driveset.View
		slots := c.deadUpload(func() {
			var err error
			before, err = c.set.View(t.Context())
			require.NoError(t, err)
		})
		s.vacate(t, 2)
		c.eventually("evicted", func(h driveset.Health) bool { return h.Degraded })
		c.eventually("all in-sync", allInSync)
		for _, slot := range slots {
			_, there, err := before.Get(t.Context(), slot)
			require.NoError(t, err)
			require.True(t, there, "the copy was too late to meet it")
		}
		before.Close()
		time.Sleep(10 * time.Second) // virtual: it is removed where it was
		c.whole()
		require.NoError(t, c.set.Close())
		for drive := range 4 {
			require.Empty(t, s.files(t, drive))
			s.alone(t, drive, func(d layout.Drive) {
				r, err := d.Read(t.Context())
				require.NoError(t, err)
				defer r.Close()
				for _, slot := range slots {
					_, there, err := r.Get(slot, layout.MaxPosition)
					require.NoError(t, err)
					require.False(t, there, "drive %d has %x", drive, []byte(slot))
				}
			})
		}
	})
}

// Somebody reads a state, and meanwhile a drive is made of a later one and the others
// go: what was replaced in between is not told to be missing.
//
// Kills: reading from a drive at a position that its copy was not made for.
func TestNobodyReadsAnOlderStateThanWasCopied(t *testing.T) {
	for _, during := range []bool{false, true} {
		t.Run(fmt.Sprint("during the copy ", during), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(4)
				s.opt.CopyBytes = 8 << 10
				if during {
					s.opt.CopyBytes = 1700 // which outlasts its first view, and not the reader's
				}
				s.opt.CacheBytes = 1
				c := s.open(t)
				c.small("k", 50)
				c = s.reopen(t, c) // what drives hold is in tables from here on, and not in memory
				if during {
					s.vacate(t, 2)
					c.eventually("copying", copying)
					require.NoError(t, c.put(t.Context(), "other", small))
				}
				v, err := c.set.View(t.Context())
				require.NoError(t, err)
				defer v.Close()
				for i := range 50 {
					require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%03d", i), []byte("new")))
				}
				if !during {
					s.vacate(t, 2)
					c.eventually("evicted", func(h driveset.Health) bool { return h.Degraded })
				}
				time.Sleep(45 * time.Second) // virtual
				c.eventually("all in-sync", allInSync)
				s.gone([]int{0, 1}, true)
				c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
				for i := range 50 {
					item, there, err := v.Latest(t.Context(), bucket, fmt.Sprintf("k%03d", i))
					require.NoError(t, err)
					require.True(t, there, "k%03d", i)
					require.LessOrEqual(t, item.Position, v.Position())
				}
				s.gone([]int{0, 1}, false)
				c.eventually("all in-sync", allInSync)
			})
		})
	}
}
