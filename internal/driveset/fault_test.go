// Goal: what a set does when drives fail under load. Method: concurrent
// clients on a shelf whose drives the test takes away and gives back; every
// acknowledged write must be read at any time, in every mode.
package driveset_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// load runs clients that write, delete and read back until stopped. Every
// client has keys of its own, so what it read must be what it last wrote. The
// function that it returns stops them and gives how many writes were
// acknowledged and how many were refused.
func (c *client) load(clients int, tolerate func(error) bool) func() (done, refused int64) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var wg sync.WaitGroup
	var done, refused atomic.Int64
	for i := range clients {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("load/%d/%d", i, n%8)
				data := bytesOf(uint64(i*1000+n), 100+n%3*400)
				err := c.put(context.Background(), key, data)
				switch {
				case err == nil:
					done.Add(1)
				case tolerate != nil && tolerate(err):
					refused.Add(1)
				default:
					c.t.Errorf("put %s: %v", key, err)
					return
				}
				if err != nil {
					continue
				}
				got, err := c.get(context.Background(), key)
				if err != nil && (tolerate == nil || !errors.Is(err, driveset.ErrUnavailable)) || err == nil && string(got) != string(data) {
					c.t.Errorf("get %s: %v, %d bytes", key, err, len(got))
					return
				}
			}
		})
	}
	return func() (int64, int64) {
		cancel()
		wg.Wait()
		return done.Load(), refused.Load()
	}
}

func retryable(err error) bool {
	return errors.Is(err, driveset.ErrUnavailable) || errors.Is(err, driveset.ErrReadOnly) ||
		errors.Is(err, driveset.ErrAborted) || errors.Is(err, driveset.ErrOutcomeUnknown)
}

func TestDriveGoesAndReturnsUnderLoad(t *testing.T) {
	s := newShelf(4)
	c := s.open(t)
	c.fill("a")
	stop := c.load(4, retryable)
	for drive := range 4 {
		s.faults[drive].SetGone(true)
		c.eventually("evicted", func(h driveset.Health) bool {
			return h.Drives[drive].Status == driveset.Away && h.Mode == driveset.Serving
		})
		c.fill(fmt.Sprintf("without%d/", drive))
		s.faults[drive].SetGone(false)
		c.eventually("all back", allInSync)
	}
	done, refused := stop()
	require.Positive(t, done)
	t.Logf("%d writes, %d refused", done, refused)
	c.check()
	require.NoError(t, c.set.Close())
	again := s.open(t)
	again.want = c.want
	again.check()
}

func TestTwoOfFourGoneReadsGoOn(t *testing.T) {
	s := newShelf(4)
	c := s.open(t)
	c.fill("a")
	s.faults[1].SetGone(true)
	c.eventually("degraded", func(h driveset.Health) bool { return h.Degraded && h.Drives[1].Status == driveset.Away })
	c.fill("b")
	c.check()
	s.faults[3].SetGone(true)
	c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
	c.check()
	err := c.put(t.Context(), "new", []byte("x"))
	require.ErrorIs(t, err, driveset.ErrReadOnly)
	require.NotErrorIs(t, err, driveset.ErrOutcomeUnknown)
	s.faults[1].SetGone(false)
	c.eventually("serving again", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
	c.fill("c")
	c.check()
	s.faults[3].SetGone(false)
	c.eventually("all back", allInSync)
	s.faults[0].SetGone(true)
	c.eventually("degraded", func(h driveset.Health) bool { return h.Drives[0].Status == driveset.Away })
	c.check()
}

func TestFailedSyncEvictsAndHeals(t *testing.T) {
	for _, kind := range []op.Kind{op.Write, op.SyncData, op.SyncDir, op.Create} {
		t.Run(kind.String(), func(t *testing.T) {
			s := newShelf(4)
			c := s.open(t)
			c.fill("a")
			rule := s.faults[2].Add(faultfs.Rule{Kinds: []op.Kind{kind}, Times: 1, Do: faultfs.Fail(syscall.EIO)})
			for i := 0; rule.Fired() == 0 && i < 200; i++ {
				require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%d", i), bytesOf(uint64(i), 150_000)))
			}
			require.Equal(t, 1, rule.Fired())
			c.check()
			c.eventually("back in step", allInSync)
			s.faults[0].SetGone(true)
			c.eventually("another one gone", func(h driveset.Health) bool { return h.Drives[0].Status == driveset.Away })
			c.check()
		})
	}
}

func TestOpenWithDrivesMissing(t *testing.T) {
	s := newShelf(4)
	c := s.open(t)
	c.fill("a")
	require.NoError(t, c.set.Close())
	for name, slots := range map[string][]int{"one": {0, 1, 3}, "other order": {3, 2, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			again := s.open(t, slots...)
			again.want = c.want
			again.check()
			again.fill(name)
			require.Equal(t, driveset.Serving, again.set.Health().Mode)
			c.want = again.want
			require.NoError(t, again.set.Close())
		})
	}
	two := s.open(t, 1, 2)
	two.want = c.want
	require.Equal(t, driveset.ReadOnly, two.set.Health().Mode)
	two.check()
	require.ErrorIs(t, two.put(t.Context(), "x", []byte("y")), driveset.ErrReadOnly)
	require.NoError(t, two.set.Close())

	_, err := driveset.Open(t.Context(), s.places(2), &s.opt)
	require.ErrorIs(t, err, driveset.ErrTooFew)
}

func TestRefusesWhatDoesNotBelongTogether(t *testing.T) {
	a, b := newShelf(4), newShelf(4)
	require.NoError(t, a.open(t).set.Close())
	require.NoError(t, b.open(t).set.Close())
	mixed := append(a.places(0, 1), b.places(2, 3)...)
	_, err := driveset.Open(t.Context(), mixed, &a.opt)
	require.ErrorIs(t, err, driveset.ErrMixed)

	c := a.open(t)
	_, err = driveset.Open(t.Context(), a.places(), &a.opt)
	require.Error(t, err, "open twice")
	c.fill("a")
	c.check()

	o := newShelf(4)
	o.opt.MustExist = true
	_, err = driveset.Open(t.Context(), o.places(), &o.opt)
	require.ErrorIs(t, err, driveset.ErrMustExist)
}
