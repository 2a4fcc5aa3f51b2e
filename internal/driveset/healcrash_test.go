// Goal: healing that is cut off at any moment, again and again, goes on and ends with
// nothing lost. Method: disks that know what a crash would leave. A power cut comes
// at a random operation while a drive that took another's place is filled, or
// damage is mended; the next opening is on what it left. What a drive lost then is
// never more than the parity, so everything must be read at each step.
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
)

// cut draws the images of all disks before one operation of any.
type cut struct {
	mu     sync.Mutex // no disk operation begins while images are drawn
	disks  []*crashfs.FS
	left   int // operations until then; below 0: no more
	policy crashfs.Policy
	seed   uint64
	images []*crashfs.FS
}

func (c *cut) operation(int, op.Kind, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left != 0 {
		return
	}
	for i, d := range c.disks {
		c.images = append(c.images, d.Crash(c.policy, c.seed+uint64(i)))
	}
}

func (c *cut) arm(operations int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = operations
}

func (c *cut) drawn() []*crashfs.FS {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.images
}

// Kills: a damaged file that is put aside, or removed, before the new one is whole;
// a place in the order of records that is kept before all below it is done.
func TestHealingThatIsCutOffGoesOn(t *testing.T) {
	const cuts = 50
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		policies := []crashfs.Policy{crashfs.SyncedOnly, crashfs.Everything, crashfs.Subset, crashfs.TornLast, crashfs.ZeroLength}
		disks := []*crashfs.FS{crashfs.New(), crashfs.New(), crashfs.New(), crashfs.New()}
		want := map[string][]byte{}
		done, whole := 0, 0
		for round := 0; done < cuts; round++ {
			c := &cut{disks: disks, policy: policies[r.IntN(len(policies))], seed: r.Uint64(), left: -1}
			for _, d := range disks {
				d.OnOperation(c.operation)
			}
			o := crashOptions
			set, err := driveset.Open(t.Context(), crashPlaces(disks), &o)
			require.NoError(t, err)
			cl := &client{t: t, set: set, want: want}
			if round == 0 {
				for i := range 12 {
					require.NoError(t, cl.put(t.Context(), fmt.Sprint("k", i), bytesOf(uint64(i), []int{3000, 300_000}[i%2])))
				}
			}
			c.arm(1 + r.IntN(400))
			cl.eventually("all in-sync", allInSync)
			cl.check()
			_, err = set.Heal(context.Background(), func(driveset.Finding) {})
			require.NoError(t, err)
			cl.whole()
			images := c.drawn()
			require.NoError(t, set.Close())
			if images != nil {
				disks = images
				done++
				continue
			}
			whole++
			harmDisk(t, disks, r)
		}
		require.Positive(t, whole, "sometimes it came to its end")
	})
}

// harmDisk damages every shard file of a drive, or empties its place.
func harmDisk(t *testing.T, disks []*crashfs.FS, r *rand.Rand) {
	s := &shelf{}
	for _, d := range disks {
		s.fs = append(s.fs, vfs.FS(d))
	}
	drive := r.IntN(len(disks))
	if r.IntN(2) == 0 {
		s.harmAll(t, drive, r)
	} else {
		s.empty(t, drive)
	}
	disks[drive] = disks[drive].Crash(crashfs.Everything, 1) // what was done to it is durable
}

// A drive is given what it owes, or everything is scrubbed, at a rate; the set is closed
// in the middle of it. Opened again it goes on where it was, and not from the beginning.
//
// Kills: a place in the order of records that is kept and not used.
func TestHealingGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.SupplyBytes = 10_000
		c := s.open(t)
		c.parity = 3
		for i := range 30 { // of 100,000 bytes each on a drive
			require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%02d", i), bytesOf(uint64(i), 200_000)))
		}
		c = s.reopenEmpty(t, c, 3)
		time.Sleep(200 * time.Second) // virtual: of 300; noted every minute
		c = s.reopen(t, c)
		require.True(t, c.set.Health().Degraded)
		time.Sleep(165 * time.Second) // virtual: 120, and what was done since the last note
		require.Len(t, s.shardFiles(t, 3), 30)
		require.False(t, c.set.Health().Degraded, "from the beginning it would have taken 300 s")
		c.whole()
	})
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.ScrubBytes, s.opt.ScrubEvery = 40_000, 24*time.Hour
		c := s.open(t)
		c.parity = 3
		for i := range 30 { // of 400,000 bytes each on all drives
			require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%02d", i), bytesOf(uint64(i), 200_000)))
		}
		time.Sleep(firstScrub + 200*time.Second) // virtual: of 300
		c = s.reopen(t, c)
		time.Sleep(40 * time.Second) // virtual: it looks twice a minute
		done := c.scrubbed()
		require.Greater(t, done, uint64(15), "of 30")
		time.Sleep(160 * time.Second)
		require.Zero(t, c.scrubbed(), "it has ended")
	})
}

const firstScrub = 10 * time.Minute

// reopenEmpty closes a set, empties a drive, and opens the set until the drive counts.
func (s *shelf) reopenEmpty(t *testing.T, c *client, drive int) *client {
	require.NoError(t, c.set.Close())
	s.empty(t, drive)
	c = s.openWith(t, c)
	c.eventually("counting", counting)
	return c
}

// scrubbed is how many records the scrub that is under way has looked at; 0 where none is.
func (c *client) scrubbed() uint64 {
	for _, w := range c.set.Health().Work {
		if w.Kind == driveset.WorkScrub {
			return w.Items
		}
	}
	return 0
}
