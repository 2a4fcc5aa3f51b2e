// Goal: the index library returns success for commits whose log it could not
// sync, and does not survive some failures at all; a drive believes neither.
// Method: each kind of operation on each kind of index file fails by itself,
// the first time, the second, … until there is none left to fail; then the
// machine crashes and the drive is opened from what was really synced.
package layout_test

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// With many commits the index library writes tables in the background while
// they go on: then a commit may be done before the failure is known, and what
// counts is that it is not lost.
const few, many = 24, 150

func TestNoCommitIsBelievedAfterAFailure(t *testing.T) {
	syncs := []op.Kind{op.Sync, op.SyncData, op.SyncTo, op.SyncDir}
	writes := []op.Kind{op.Write, op.WriteAt}
	creates := []op.Kind{op.Create, op.Reuse, op.OpenReadWrite, op.Rename, op.Link}
	fired := map[string]int{}
	for _, class := range []op.Class{op.WAL, op.Manifest, op.Table, op.Options, op.Marker, op.Temp, op.Other} {
		for what, kinds := range map[string][]op.Kind{"sync": syncs, "write": writes, "create": creates} {
			for skip := 0; skip < 12; skip++ {
				do := faultfs.Fail(syscall.EIO)
				if what == "sync" {
					do = faultfs.LoseSync(syscall.EIO)
				}
				rule := faultfs.Rule{Kinds: kinds, Classes: []op.Class{class}, Path: "/index", Skip: skip, Times: 1, Do: do}
				name := fmt.Sprintf("%v %s", class, what)
				commits := few
				if class == op.Table || class == op.Manifest {
					commits = many
				}
				if !failOnce(t, rule, commits, fmt.Sprintf("%s, number %d", name, skip)) {
					break
				}
				fired[name]++
			}
		}
	}
	t.Log(fired)
	for _, name := range []string{
		"wal sync", "wal write", "wal create", "manifest sync", "manifest write", "manifest create", "table sync", "table write", "table create",
		"temp sync", "temp write", "temp create", "options create", "marker create", "other sync",
	} { // temp is what becomes options, and other is directories
		require.Positive(t, fired[name], name)
	}
}

// failOnce runs commits until one fails or all are done, and tells whether the
// rule did anything.
func failOnce(t *testing.T, rule faultfs.Rule, commits int, where string) bool {
	ctx := t.Context()
	disk, faults := crashfs.New(), faultfs.New()
	c, err := layout.Claim(ctx, faults.Wrap(disk), drivePath, &layout.Options{Memory: true})
	require.NoError(t, err)
	require.NoError(t, c.Format(ctx, identity(), someState()))
	d, err := c.Open(ctx)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	handle := faults.Add(rule)

	p := layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}}
	var acked layout.Mark
	if d, err = c.Open(ctx); err == nil {
		require.Zero(t, handle.Fired(), "%s: opened all the same", where)
		for range commits {
			failed := handle.Fired() > 0
			var mark layout.Mark
			if mark, err = fill(t, d, p, 1); err != nil {
				break
			}
			require.False(t, failed && commits == few, "%s: believed after the failure", where)
			acked = mark
		}
		if err == nil {
			err = d.Close()
		}
	}
	if acked.Position > 0 && err != nil {
		require.True(t, errors.Is(err, layout.ErrBroken) || errors.Is(err, syscall.EIO), "%s: %v", where, err)
		_, err := fill(t, d, p, 1)
		require.Error(t, err, where)
	}
	require.NoError(t, c.Release(), where)
	require.Empty(t, faults.Open(), where)

	c, err = layout.Claim(ctx, disk.Crash(crashfs.SyncedOnly, 1), drivePath, &layout.Options{Memory: true})
	require.NoError(t, err, where)
	require.Equal(t, layout.Formatted, c.Condition(), where)
	d, err = c.Open(ctx)
	require.NoError(t, err, where)
	h, err := d.Holding(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, h.Last.Position, acked.Position, "%s: acknowledged and lost", where)
	r, err := d.Read(ctx)
	require.NoError(t, err)
	for v := layout.Position(1); v <= acked.Position; v++ {
		it, ok, err := r.Get(layout.VersionSlot(1, "k", v), layout.MaxPosition)
		require.NoError(t, err, where)
		require.True(t, ok && len(it.Value) == fillBytes, "%s: %d of %d", where, v, acked.Position)
	}
	require.NoError(t, r.Close())
	require.NoError(t, c.Release())
	return handle.Fired() > 0
}

const fillBytes = 64 << 10

// fill commits entries, and gives the last one that was acknowledged.
func fill(t *testing.T, d layout.Drive, p layout.Promise, n int) (layout.Mark, error) {
	h, err := d.Promise(t.Context(), p)
	if err != nil {
		return layout.Mark{}, err
	}
	last := h.Last
	for range n {
		e := &layout.Entry{Position: last.Position + 1, Owner: p.Owner, Writes: []layout.Write{
			{Slot: layout.VersionSlot(1, "k", last.Position+1), Kind: layout.KindRecord, Value: bytes.Repeat([]byte{7}, fillBytes)},
		}}
		require.NoError(t, e.Seal(last.Chain))
		if err := d.Apply(t.Context(), p, layout.Batch{Entries: []*layout.Entry{e}}); err != nil {
			return last, err
		}
		last = layout.Mark{Position: e.Position, Chain: e.Chain}
	}
	return last, nil
}

func TestABrokenDriveReadsItsShards(t *testing.T) {
	faults := faultfs.New()
	w := &workload{T: t, fs: faults.Wrap(vfs.Mem(0)), p: layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}}}
	steps := w.steps()
	for _, step := range steps[:4] {
		require.NoError(t, step())
	}
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Sync, op.SyncData, op.SyncTo}, Times: 1, Do: faultfs.Fail(syscall.EIO)})
	require.ErrorIs(t, steps[4](), layout.ErrBroken)
	require.ErrorIs(t, steps[5](), layout.ErrBroken)
	require.ErrorIs(t, w.file(dataC), layout.ErrBroken)
	_, err := w.d.Probe(t.Context())
	require.ErrorIs(t, err, layout.ErrBroken)
	_, err = w.d.Read(t.Context())
	require.ErrorIs(t, err, layout.ErrBroken)
	ref := layout.ShardRef{Data: dataA, Shard: 1, Payload: 3000}
	require.NoError(t, w.d.Shards().Verify(t.Context(), ref))
	require.NoError(t, w.d.Close())
	require.ErrorIs(t, w.d.Shards().Verify(t.Context(), ref), layout.ErrClosed)

	// The lock was never given back, and the drive is opened again.
	d, err := w.c.Open(t.Context())
	require.NoError(t, err)
	_, err = d.Promise(t.Context(), w.p)
	require.NoError(t, err)
	require.NoError(t, w.c.Release())
}

func TestNoSpace(t *testing.T) {
	fs := vfs.Mem(96 << 20)
	w := &workload{T: t, fs: fs, p: layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}}}
	c, err := layout.Claim(t.Context(), fs, drivePath, &layout.Options{Memory: true, ReserveBytes: 32 << 20})
	require.NoError(t, err)
	require.NoError(t, c.Format(t.Context(), identity(), someState()))
	w.c = c
	w.d, err = c.Open(t.Context())
	require.NoError(t, err)
	u, err := w.d.Probe(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 32<<20, u.Reserve)
	var last layout.Mark
	for i := 0; err == nil; i++ {
		require.Less(t, i, 2000)
		last, err = fill(t, w.d, w.p, 1)
		_, probeErr := w.d.Probe(t.Context())
		require.NoError(t, probeErr)
	}
	require.ErrorIs(t, err, layout.ErrNoSpace)
	f, err := w.d.Shards().Create(t.Context(), w.p, someHeader())
	if err == nil {
		for n := 0; err == nil && n < 96<<20; n += 2 * fillBytes { // the index may just have given something back
			_, err = f.Write(make([]byte, 2*fillBytes))
		}
		require.NoError(t, f.Abort())
	}
	require.ErrorIs(t, err, layout.ErrNoSpace)
	h, err := w.d.Holding(t.Context())
	require.NoError(t, err)
	require.Equal(t, last, h.Last, "nothing was written")

	// What frees space still goes, and then there is room.
	var tombs []layout.Write
	for v := range last.Position {
		tombs = append(tombs, layout.Write{Slot: layout.VersionSlot(1, "k", v+1), Kind: layout.KindTombstone})
	}
	e := &layout.Entry{Position: last.Position + 1, Owner: w.p.Owner, Writes: tombs}
	require.NoError(t, e.Seal(last.Chain))
	m := layout.Mark{Position: e.Position, Chain: e.Chain}
	require.NoError(t, w.d.Apply(t.Context(), w.p, layout.Batch{Entries: []*layout.Entry{e}, Stable: &m, Reserve: true}))
	require.NoError(t, c.Release())
}
