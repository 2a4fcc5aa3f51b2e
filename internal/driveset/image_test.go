// Goal: an old image of a drive that is put back in its place brings nothing back and
// hides nothing: it counts only with everything that the index names, and what it lacks
// of shard files is known from the moment that it counts, also if the process ends then.
// Method: drives in memory that are copied, and put back when more was written, with a
// log that reaches back to them and one that does not; then other drives go.
package driveset_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
)

// image is what a drive holds.
type image map[string][]byte

func (s *shelf) image(t *testing.T, drive int) image {
	out := image{}
	for _, path := range filesBelow(t, s.fs[drive], fmt.Sprintf("/d%d", drive)) {
		out[path] = readAll(t, s.fs[drive], path)
	}
	return out
}

// putBack makes a drive what it was.
func (s *shelf) putBack(t *testing.T, drive int, old image) {
	for _, path := range filesBelow(t, s.fs[drive], fmt.Sprintf("/d%d", drive)) {
		require.NoError(t, s.fs[drive].Remove(path))
	}
	for path, data := range old {
		writeAll(t, s.fs[drive], path, data)
	}
}

// counting: every drive counts, whatever it may still lack.
func counting(h driveset.Health) bool {
	for _, d := range h.Drives {
		if d.Status != driveset.InSync {
			return false
		}
	}
	return h.Mode == driveset.Serving
}

// aged gives a set of n drives whose last ones are images of before: 1 large object is on
// them, 5 are not. With gap, the log does not reach back to them. The first scrub ended, and some
// drives are away.
func aged(t *testing.T, n, images int, gap bool, away ...int) (*shelf, *client) {
	s := newShelf(n)
	s.opt.SupplyBytes = 2 << 10 // slow, so that the tests see it
	c := s.open(t)
	c.parity = n/2 + 1
	c.small("k", 10)
	require.NoError(t, c.put(t.Context(), "before", bytesOf(1, 300_000)))
	time.Sleep(20 * time.Minute) // virtual
	require.NoError(t, c.set.Close())
	var old []image
	for drive := n - images; drive < n; drive++ {
		old = append(old, s.image(t, drive))
	}
	c = s.reopen(t, c)
	for i := range 5 {
		require.NoError(t, c.put(t.Context(), fmt.Sprint("after", i), bytesOf(uint64(i), 300_000)))
	}
	if gap {
		time.Sleep(3 * time.Minute) // virtual: the log was pruned
	}
	require.NoError(t, c.set.Close())
	for i, o := range old {
		s.putBack(t, n-images+i, o)
	}
	s.gone(away, true)
	c = s.openWith(t, c)
	c.parity = n/2 + 1
	return s, c
}

// lost is how many objects survive no more than so many losses.
func lost(m driveset.Margin, losses int) (objects uint64) {
	for _, o := range m.Objects {
		if o.Losses <= losses {
			objects += o.Objects
		}
	}
	return objects
}

// The log reaches back: the image learns, and each shard file that an entry names is
// brought with it, before it counts.
//
// Kills: a drive that learns entries without their shard files.
func TestAnOldImageLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := aged(t, 4, 1, false)
		c.eventually("counting", counting)
		require.Len(t, s.shardFiles(t, 3), 6)
		c.whole()
		c.aloneWith(s, 3)
	})
}

// The log does not reach back: the image is copied to, and owes shard files from then on.
// It is told as degraded, and the margin knows; the files are brought at once, and after
// an end of the process as well.
//
// Kills: a copy to a drive that is taken to owe nothing; that is taken to owe but what
// others had; a note that loses that it is of its own shards; a set that lacks files and
// says that all is well.
func TestAnOldImageIsGivenItsShards(t *testing.T) {
	for _, again := range []time.Duration{0, time.Second, 200 * time.Second} {
		t.Run(fmt.Sprint("closed after ", again), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c := aged(t, 4, 1, true)
				c.eventually("counting", counting)
				require.True(t, c.set.Health().Degraded)
				require.Less(t, len(s.shardFiles(t, 3)), 6)
				if again > 0 {
					time.Sleep(again) // virtual
					c = s.reopen(t, c)
					c.eventually("counting", counting)
					require.Less(t, len(s.shardFiles(t, 3)), 6)
				}
				require.True(t, c.set.Health().Degraded)
				time.Sleep(40 * time.Second) // virtual: objects were counted
				require.EqualValues(t, 16, lost(c.set.Margin(), 1))
				require.Zero(t, lost(c.set.Margin(), 0))
				for _, f := range c.set.Health().Damage {
					require.NotEqual(t, driveset.FindingShard, f.Kind, "what it owes is no news: %+v", f)
				}
				time.Sleep(30 * time.Minute) // virtual
				require.Len(t, s.shardFiles(t, 3), 6)
				require.False(t, c.set.Health().Degraded)
				require.Zero(t, lost(c.set.Margin(), 1))
				c.whole()
				c.aloneWith(s, 3)
			})
		})
	}
}

// An image stands in for a drive that is needed: it is copied to while the set only reads,
// and owes from the moment that it serves, whatever becomes of the process then.
//
// Kills: a note that is lost since the set could not keep it when it was made.
func TestAnOldImageThatIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := aged(t, 4, 1, true, 2)
		c.eventually("serving", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
		time.Sleep(2 * time.Second) // virtual
		c = s.reopen(t, c)
		c.eventually("serving", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
		require.Less(t, len(s.shardFiles(t, 3)), 6)
		time.Sleep(9 * time.Minute) // virtual: before a scrub could begin
		require.Len(t, s.shardFiles(t, 3), 6)
		s.gone([]int{2}, false)
		c.eventually("all in-sync", allInSync)
		c.whole()
		c.aloneWith(s, 3)
	})
}

// Images of half the drives are put back, with which the others can not decide. They are
// copied to one after the other.
//
// Kills: a note that is dropped when another drive's is kept, or loses that it is of its
// own shards.
func TestOldImagesOfHalfTheDrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := aged(t, 4, 2, true)
		c.check()
		c.eventually("counting", counting)
		require.True(t, c.set.Health().Degraded)
		for _, again := range []time.Duration{2 * time.Second, 200 * time.Second} {
			time.Sleep(again) // virtual
			c = s.reopen(t, c)
			c.eventually("counting", counting)
			require.True(t, c.set.Health().Degraded)
			require.Less(t, len(s.shardFiles(t, 2))+len(s.shardFiles(t, 3)), 12)
		}
		time.Sleep(30 * time.Minute) // virtual
		require.Len(t, s.shardFiles(t, 2), 6)
		require.Len(t, s.shardFiles(t, 3), 6)
		require.False(t, c.set.Health().Degraded)
		c.whole()
		s.gone([]int{0, 1}, true)
		c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
		c.check()
	})
}
