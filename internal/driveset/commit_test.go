// Goal: what Commit answers is so, and a change that can not be made costs the
// set nothing. Method: changes that no drive would take, calls whose context
// ends, and drives that hang and fall behind, in virtual time.
package driveset_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

func record(key string, p layout.Position, n int) layout.Write {
	return layout.Write{Slot: layout.VersionSlot(bucket, key, p), Kind: layout.KindRecord, Value: bytesOf(uint64(p), n)}
}

// A change that drives refuse would be refused by all of them: the set must not
// lose its drives to it.
func TestChangeThatNoDriveTakes(t *testing.T) {
	s := newShelf(4)
	c := s.open(t)
	many := make([]layout.Write, layout.MaxWrites+1)
	long := make([]layout.Write, 4200)
	for i := range many {
		many[i] = record("k", layout.Position(i+1), 1)
	}
	for i := range long {
		long[i] = layout.Write{Slot: layout.VersionSlot(bucket, string(bytes.Repeat([]byte{0}, 2040)), layout.Position(i+1)), Kind: layout.KindTombstone}
	}
	for name, writes := range map[string][]layout.Write{
		"a slot twice":     {record("k", 1, 1), record("k", 1, 2)},
		"no slot":          {{Slot: layout.Slot("o"), Kind: layout.KindRecord}},
		"no kind":          {{Slot: layout.VersionSlot(bucket, "k", 1)}},
		"a void":           {{Slot: layout.VersionSlot(bucket, "k", 1), Kind: layout.KindVoid}},
		"too many":         many,
		"too long a log":   long,
		"too much content": {record("k", 1, 65<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.set.Commit(t.Context(), func() {}, func(layout.Position, layout.Owner) (driveset.Change, error) {
				return driveset.Change{Writes: writes}, nil
			})
			require.ErrorIs(t, err, layout.ErrBadRecord)
			require.NotErrorIs(t, err, driveset.ErrOutcomeUnknown)
			require.NoError(t, c.put(t.Context(), "a", bytesOf(1, 100)))
			require.True(t, allInSync(c.set.Health()))
		})
	}
	c.check()
}

// A caller leaves while its change is on its way. Until that is settled nobody
// is told one outcome or the other; then everybody is told the same.
func TestUnknownOutcomeIsShownToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "a", bytesOf(1, 100)))
		require.NoError(t, c.put(t.Context(), "b", bytesOf(1, 100)))
		gate := s.hang(t, 2, "/index/", op.SyncData)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		released := make(chan struct{})
		_, err := c.set.Commit(ctx, func() { close(released) }, func(p layout.Position, _ layout.Owner) (driveset.Change, error) {
			return driveset.Change{Writes: []layout.Write{record("a", p, 10)}}, nil
		})
		require.ErrorIs(t, err, driveset.ErrOutcomeUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, released)
		_, err = c.latest(t.Context(), "a")
		require.ErrorIs(t, err, driveset.ErrUnavailable)
		_, err = c.latest(t.Context(), "b")
		require.NoError(t, err)
		gate.Open()
		<-released
		v, err := c.set.View(t.Context())
		require.NoError(t, err)
		defer v.Close()
		item, ok, err := v.Latest(t.Context(), bucket, "a")
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, item.Value, 10)
	})
}

// What is not acknowledged is bounded by what it takes, not by how many calls
// there are: who comes then waits, and may leave without a trace.
func TestUnacknowledgedBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.InlineBytes = 32 << 20
		s.opt.StallLimit = time.Hour
		c := s.open(t)
		gate := s.hang(t, 2, "/index/", op.SyncData)
		first := make(chan error, 1)
		go func() { first <- c.put(t.Context(), "a", bytesOf(1, 20<<20)) }()
		<-gate.Entered()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := c.put(ctx, "b", bytesOf(2, 20<<20))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, driveset.ErrOutcomeUnknown)
		gate.Open()
		require.NoError(t, <-first)
		require.NoError(t, c.put(t.Context(), "b", bytesOf(2, 20<<20)))
		c.check()
	})
}

// A learner that hangs, wherever, does not make the set remember all that is
// written meanwhile.
func TestLearnerThatHangsIsLeftBehind(t *testing.T) {
	most := int64(0)
	for syncs := range 3 { // in the third it hangs in what it missed
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(4)
			s.opt.InlineBytes = 16 << 20
			s.opt.StallLimit = time.Hour
			c := s.open(t)
			s.faults[3].SetGone(true)
			c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[3].Status == driveset.Away })
			require.NoError(t, c.put(t.Context(), "a", bytesOf(1, 100)))
			gate := faultfs.NewGate()
			t.Cleanup(gate.Open)
			s.faults[3].Add(faultfs.Rule{Kinds: []op.Kind{op.SyncData}, Path: ".log", Skip: syncs, Do: faultfs.Stall(gate)})
			s.faults[3].SetGone(false)
			for i := range 8 {
				require.NoError(t, c.put(t.Context(), "a", bytesOf(uint64(i), 8<<20)))
				most = max(most, c.set.LogBytes())
				time.Sleep(200 * time.Millisecond) // virtual: for the drive to come back
			}
			gate.Open()
			c.eventually("all back", allInSync)
			c.check()
		})
	}
	require.Greater(t, most, int64(64<<20), "the log was kept for a learner")
	require.LessOrEqual(t, most, int64(160<<20))
}
