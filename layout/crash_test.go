// Goal: whatever a crash leaves of a drive, it opens with all that was
// acknowledged and with nothing by halves, or can be formatted if nothing was
// ever served. Method: one workload over the crash file system; an image of the
// disk before each operation and under several policies; every image is opened,
// checked, and used on.
package layout_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// workload is a life of a drive in steps, each durable when it returns.
type workload struct {
	*testing.T
	fs   vfs.FS
	c    *layout.Claimed
	d    layout.Drive
	p    layout.Promise
	log  []*layout.Entry   // as it should be now
	logs [][]*layout.Entry // after each step
}

const drivePath = "/set/drive"

var (
	dataA = layout.DataID{Owner: layout.Owner{Epoch: 3, Nonce: 9}, Counter: 1}
	dataB = layout.DataID{Owner: layout.Owner{Epoch: 3, Nonce: 9}, Counter: 2}
	dataC = layout.DataID{Owner: layout.Owner{Epoch: 3, Nonce: 9}, Counter: 3}
)

func (w *workload) mark() layout.Mark {
	if len(w.log) == 0 {
		return layout.Mark{}
	}
	e := w.log[len(w.log)-1]
	return layout.Mark{Position: e.Position, Chain: e.Chain}
}

func (w *workload) entry(e *layout.Entry) *layout.Entry {
	e.Position, e.Owner = w.mark().Position+1, w.p.Owner
	require.NoError(w, e.Seal(w.mark().Chain))
	return e
}

func (w *workload) file(data layout.DataID) error {
	h := someHeader()
	h.Data = data
	f, err := w.d.Shards().Create(w.Context(), w.p, h)
	if err != nil {
		return err
	}
	frame, err := bitrot.NewSealer().AppendFrame(nil, bitrot.ShardID{Data: data.Bytes(), Shard: 1}, 0, true, make([]byte, 3000))
	require.NoError(w, err)
	if _, err := f.Write(frame); err != nil {
		_ = f.Abort()
		return err
	}
	return f.Commit(w.Context(), layout.Trailer{Size: 6000, Payload: 3000})
}

func (w *workload) commit(e *layout.Entry) error {
	err := w.d.Apply(w.Context(), w.p, layout.Batch{Entries: []*layout.Entry{w.entry(e)}})
	if err == nil {
		w.log = append(w.log, e)
	}
	return err
}

func ownerKey(d layout.DataID, key string, v layout.Position) layout.Slot {
	return layout.DataOwnerSlot(d, layout.OwnerOfData{Bucket: 1, Key: key, Version: v})
}

func put(d layout.DataID, key string, v layout.Position) *layout.Entry {
	return &layout.Entry{
		Writes: []layout.Write{
			{Slot: layout.VersionSlot(1, key, v), Kind: layout.KindRecord, Value: []byte(key)},
			{Slot: ownerKey(d, key, v), Kind: layout.KindRecord},
		},
		Adds: []layout.Add{{Data: d, Parity: 2, Drives: someDrives, Size: 6000}},
	}
}

// steps are the workload. Positions: 1 puts A, 2 puts B inline, 3 deletes A, 4
// puts C and is undone.
func (w *workload) steps() []func() error {
	ctx := w.Context()
	removal := layout.Removal{Upto: 3, KeepLog: 3}
	return []func() error{
		func() error {
			c, err := layout.Claim(ctx, w.fs, drivePath, &layout.Options{Memory: true})
			if err != nil {
				return err
			}
			w.c = c
			if err := c.Format(ctx, identity(), someState()); err != nil {
				return err
			}
			w.d, err = c.Open(ctx)
			return err
		},
		func() error { _, err := w.d.Promise(ctx, w.p); return err },
		func() error { return w.file(dataA) },
		func() error { return w.commit(put(dataA, "a", 1)) },
		func() error {
			return w.commit(&layout.Entry{
				Writes: []layout.Write{
					{Slot: layout.VersionSlot(1, "b", 2), Kind: layout.KindRecord, Value: []byte("b")},
					{Slot: layout.InlineSlot(dataB), Kind: layout.KindRecord},
				},
				Adds: []layout.Add{{Data: dataB, Parity: 2, Drives: someDrives, Size: 6000, Inline: true, Shards: [][]byte{1: make([]byte, 3000), 3: nil}}},
			})
		},
		func() error {
			return w.commit(&layout.Entry{Writes: []layout.Write{
				{Slot: layout.VersionSlot(1, "a", 1), Kind: layout.KindTombstone}, {Slot: ownerKey(dataA, "a", 1), Kind: layout.KindTombstone},
			}})
		},
		func() error {
			m := w.mark()
			return w.d.Apply(ctx, w.p, layout.Batch{Stable: &m})
		},
		func() error { _, err := w.d.Remove(ctx, w.p, removal); return err },
		func() error { return w.file(dataC) },
		func() error { return w.commit(put(dataC, "c", 4)) },
		func() error {
			if err := w.d.Apply(ctx, w.p, layout.Batch{Undo: &layout.Undo{From: w.mark(), To: 3}}); err != nil {
				return err
			}
			w.log = w.log[:3:3]
			return nil
		},
		func() error { return w.c.Release() },
	}
}

const (
	stepFormat  = 1 // steps done when the drive was formatted
	stepPromise = 2
	stepStable  = 7
	stepRemoved = 8
)

type crash struct {
	image  *crashfs.FS
	done   int
	before string
	policy crashfs.Policy
}

func TestCrashes(t *testing.T) {
	fs := crashfs.New()
	w := &workload{T: t, fs: fs, p: layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}, Session: 1}}
	var (
		done   atomic.Int64
		mu     sync.Mutex // guards crashes
		images []crash
	)
	fs.OnOperation(func(n int, kind op.Kind, name string) {
		if kind == op.Mkdir && n%64 != 0 {
			return // the 256 directories are all alike
		}
		for _, policy := range []crashfs.Policy{crashfs.SyncedOnly, crashfs.Everything, crashfs.Subset, crashfs.ZeroFill} {
			c := crash{image: fs.Crash(policy, uint64(n)), done: int(done.Load()), before: fmt.Sprintf("%d %v %s", n, kind, name), policy: policy}
			mu.Lock()
			images = append(images, c)
			mu.Unlock()
		}
	})
	w.logs = [][]*layout.Entry{nil}
	for _, step := range w.steps() {
		require.NoError(t, step())
		w.logs = append(w.logs, w.log)
		done.Add(1)
	}
	fs.OnOperation(nil)
	require.Greater(t, len(images), 200)
	for _, c := range images {
		w.check(c)
	}
	t.Logf("%d crashes", len(images))
}

// TestCrashesOfFormattingAnew makes a drive of one that was never served.
func TestCrashesOfFormattingAnew(t *testing.T) {
	fs := crashfs.New()
	formatted(t, fs, drivePath, 0)
	c := claim(t, fs, drivePath)
	var images []crash
	fs.OnOperation(func(n int, kind op.Kind, name string) {
		if kind == op.Mkdir {
			return
		}
		for i, policy := range []crashfs.Policy{crashfs.SyncedOnly, crashfs.Everything, crashfs.Subset, crashfs.Subset, crashfs.Subset, crashfs.ZeroFill} {
			images = append(images, crash{image: fs.Crash(policy, uint64(8*n+i)), before: fmt.Sprintf("%d %v %s", n, kind, name), policy: policy})
		}
	})
	require.NoError(t, c.Format(t.Context(), identity(), someState()))
	fs.OnOperation(nil)
	require.Greater(t, len(images), 200)
	for _, i := range images {
		where := fmt.Sprintf("before %s, %v", i.before, i.policy)
		p, err := layout.Claim(t.Context(), i.image, drivePath, &layout.Options{Memory: true})
		require.NoError(t, err, where)
		if p.Condition() != layout.Formatted {
			require.NoError(t, p.Format(t.Context(), identity(), someState()), where)
		}
		_, err = p.Open(t.Context())
		require.NoError(t, err, where)
		require.NoError(t, p.Release())
	}
}

// TestCrashAfterMkdir makes a drive in a directory that somebody made a moment before.
//
// Kills: a drive whose own name nobody made durable.
func TestCrashAfterMkdir(t *testing.T) {
	for seed := range uint64(20) {
		fs := crashfs.New()
		require.NoError(t, fs.MkdirAll(drivePath, 0o700))
		formatted(t, fs, drivePath, 1)
		for _, policy := range []crashfs.Policy{crashfs.SyncedOnly, crashfs.Subset} {
			require.Equal(t, layout.Formatted, claim(t, fs.Crash(policy, seed), drivePath).Condition())
		}
	}
}

func (w *workload) check(c crash) {
	ctx, t := w.Context(), w.T
	where := fmt.Sprintf("before %s, %v, after step %d", c.before, c.policy, c.done)
	p, err := layout.Claim(ctx, c.image, drivePath, &layout.Options{Memory: true})
	require.NoError(t, err, where)
	if p.Condition() != layout.Formatted {
		require.Less(t, c.done, stepFormat, where)
		require.NotEqual(t, layout.NoIndex, p.Condition(), where)
		require.NoError(t, p.Format(ctx, identity(), someState()), where)
	}
	d, err := p.Open(ctx)
	require.NoError(t, err, where)
	h, err := d.Holding(ctx)
	require.NoError(t, err, where)
	if c.done >= stepPromise {
		require.Equal(t, w.p, h.Promise, where)
	}

	// The log is that of the last step done, or of the one on its way.
	log := w.logs[c.done]
	if next := w.logs[min(c.done+1, len(w.logs)-1)]; int(h.Last.Position) == len(next) {
		log = next
	}
	require.Len(t, log, int(h.Last.Position), where)
	if len(log) > 0 {
		require.Equal(t, log[len(log)-1].Chain, h.Last.Chain, where)
	}
	if c.done >= stepStable {
		require.EqualValues(t, 3, h.Stable.Position, where)
	}
	r, err := d.Read(ctx)
	require.NoError(t, err, where)
	for i, key := range []string{"a", "b", "c"} {
		_, ok, err := r.Latest(1, key, layout.MaxPosition)
		require.NoError(t, err, where)
		require.Equal(t, len(log) > i+max(0, i-1) && (key != "a" || len(log) < 3), ok, "%s in %s", key, where)
	}
	if len(log) > 1 {
		it, ok, err := r.Get(layout.InlineSlot(dataB), layout.MaxPosition)
		require.NoError(t, err, where)
		require.True(t, ok && len(it.Value) == 3000, where)
	}
	require.NoError(t, r.Close())
	w.checkFiles(c, d, h, len(log), where)
	w.goOn(d, where)
	require.NoError(t, p.Release(), where)
}

func (w *workload) checkFiles(c crash, d layout.Drive, h layout.Holding, log int, where string) {
	a := d.Shards().Verify(w.Context(), layout.ShardRef{Data: dataA, Shard: 1, Payload: 3000})
	switch {
	case h.Removed == 3:
		require.ErrorIs(w, a, layout.ErrNotFound, where)
	case log >= 1 && c.done < stepStable:
		require.NoError(w, a, where)
	case c.done >= stepRemoved:
		require.Fail(w, "the removal was done", where)
	}
	if log == 4 {
		require.NoError(w, d.Shards().Verify(w.Context(), layout.ShardRef{Data: dataC, Shard: 1, Payload: 3000}), where)
	}
}

// goOn makes sure that the drive takes changes again.
func (w *workload) goOn(d layout.Drive, where string) {
	ctx := w.Context()
	h, err := d.Promise(ctx, layout.Promise{Owner: layout.Owner{Epoch: 99}})
	require.NoError(w, err, where)
	e := &layout.Entry{Position: h.Last.Position + 1, Owner: h.Promise.Owner, Writes: []layout.Write{{Slot: layout.NameSlot("on"), Kind: layout.KindRecord}}}
	require.NoError(w, e.Seal(h.Last.Chain))
	m := layout.Mark{Position: e.Position, Chain: e.Chain}
	require.NoError(w, d.Apply(ctx, h.Promise, layout.Batch{Entries: []*layout.Entry{e}, Stable: &m}), where)
	_, err = d.Remove(ctx, h.Promise, layout.Removal{Upto: m.Position, KeepLog: m.Position})
	require.NoError(w, err, where)
}

// TestDeletedDirectories deletes directories of shards under an open drive: what
// goes there next makes them again, so that a crash keeps it, and removal and lists
// pass over those that are missing. A drive that is not in its place is not made.
func TestDeletedDirectories(t *testing.T) {
	ctx := t.Context()
	for _, gone := range []string{"shards/03", "shards"} {
		t.Run(gone, func(t *testing.T) {
			fs := crashfs.New()
			w := &workload{T: t, fs: fs, p: layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}, Session: 1}}
			steps := w.steps()
			for _, step := range steps[:stepStable] {
				require.NoError(t, step())
			}
			require.NoError(t, fs.RemoveAll(drivePath+"/shards/01")) // with A, which is to be removed
			require.NoError(t, fs.RemoveAll(drivePath+"/"+gone))
			fs.SyncAll()
			ids, err := w.d.Shards().List(ctx, 3)
			require.NoError(t, err)
			require.Empty(t, ids)
			for _, step := range steps[stepStable:][:2] { // A is removed, C is written
				require.NoError(t, step())
			}
			after := fs.Crash(crashfs.SyncedOnly, 0)
			require.NoError(t, w.c.Release())
			p := claim(t, after, drivePath)
			d, err := p.Open(ctx)
			require.NoError(t, err)
			require.NoError(t, d.Shards().Verify(ctx, layout.ShardRef{Data: dataC, Shard: 1, Payload: 3000}))

			require.NoError(t, after.RemoveAll(drivePath+"/format.json"))
			require.NoError(t, after.RemoveAll(drivePath+"/shards"))
			h := someHeader()
			h.Data = dataA
			_, err = d.Shards().Create(ctx, w.p, h)
			require.ErrorIs(t, err, layout.ErrNotFound)
			_, err = after.Stat(drivePath + "/shards")
			require.Error(t, err)
			require.NoError(t, p.Release())
		})
	}
}
