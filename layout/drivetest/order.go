package drivetest

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/layout"
)

func promises(r *rig) {
	old := r.p
	try := func(epoch, nonce, session uint64) error {
		p := layout.Promise{Owner: layout.Owner{Epoch: epoch, Nonce: nonce}, Session: session}
		h, err := r.d.Promise(r.Context(), p)
		if err == nil {
			require.Equal(r, p, h.Promise)
			r.p = p
		}
		return err
	}
	require.ErrorIs(r, try(9, 77, 1), layout.ErrPromised, "a lower epoch")
	require.ErrorIs(r, try(10, 78, 1), layout.ErrPromised, "the same epoch by another owner")
	require.NoError(r, try(10, 77, 2), "the same owner anew")
	require.ErrorIs(r, r.d.Apply(r.Context(), old, layout.Batch{}), layout.ErrPromised, "a call from before")
	require.NoError(r, try(11, 1, 1))
	r.reopen()
	require.Equal(r, r.p, r.holding().Promise, "durable")
	require.ErrorIs(r, try(10, 77, 3), layout.ErrPromised)
}

func guarded(r *rig) {
	e := r.commit(record(version("k", 1), "v"))
	other := r.p
	other.Session++
	ctx := r.Context()
	data := r.data()
	r.file(data, 10)
	w, err := r.d.Shards().Create(ctx, r.p, header(r.data()))
	require.NoError(r, err)

	require.ErrorIs(r, r.d.Apply(ctx, other, layout.Batch{Undo: &layout.Undo{From: r.last()}}), layout.ErrPromised)
	_, err = r.d.Remove(ctx, other, layout.Removal{Upto: e.Position})
	require.ErrorIs(r, err, layout.ErrPromised)
	_, err = r.d.Shards().Create(ctx, other, header(r.data()))
	require.ErrorIs(r, err, layout.ErrPromised)
	require.ErrorIs(r, r.d.Shards().Quarantine(ctx, other, data, "x"), layout.ErrPromised)
	require.ErrorIs(r, r.d.Shards().Remove(ctx, other, data), layout.ErrPromised)
	require.ErrorIs(r, r.d.Shards().Discard(ctx, other, data, "x"), layout.ErrPromised)
	_, err = r.d.Shards().Expire(ctx, other, time.Unix(1<<40, 0))
	require.ErrorIs(r, err, layout.ErrPromised)
	require.ErrorIs(r, r.d.Apply(ctx, other, layout.Batch{Mend: []layout.Mend{{}}}), layout.ErrPromised)
	_, err = r.d.Promise(ctx, other)
	require.NoError(r, err)
	require.ErrorIs(r, w.Commit(ctx, layout.Trailer{}), layout.ErrPromised, "a shard begun under a promise that is gone")
	r.p = other
	r.has(version("k", 1), "v")
	require.True(r, r.hasFile(data))

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = r.d.Shards().Create(ended, r.p, header(r.data()))
	require.ErrorIs(r, err, context.Canceled)
}

func inOrder(r *rig) {
	first := r.commit(record(version("k", 1), "one"))
	next := r.seal(r.entry(record(version("k", 2), "two")))
	refused := func(e *layout.Entry, why string) {
		r.Helper()
		require.ErrorIs(r, r.d.Apply(r.Context(), r.p, layout.Batch{Entries: []*layout.Entry{e}}), layout.ErrOutOfOrder, why)
	}
	refused(first, "an entry again")
	skip := *next
	skip.Position++
	require.NoError(r, skip.Seal(first.Chain))
	refused(&skip, "a gap")
	other := *next
	require.NoError(r, other.Seal(layout.Chain{1}))
	refused(&other, "another chain")
	forged := *next
	forged.Owner.Nonce++
	refused(&forged, "another owner than the chain says")
	require.ErrorIs(r, r.d.Apply(r.Context(), r.p, layout.Batch{Entries: []*layout.Entry{next, &skip}}), layout.ErrOutOfOrder)
	require.Equal(r, r.mark(1), r.holding().Last, "a batch is whole or not at all")

	third := &layout.Entry{Position: 3, Owner: layout.Owner{Epoch: 4, Nonce: 4}, Writes: []layout.Write{record(layout.NameSlot("b"), "")}}
	require.NoError(r, third.Seal(next.Chain))
	r.apply(layout.Batch{Entries: []*layout.Entry{next, third}})
	r.reopen()
	h := r.holding()
	require.Equal(r, r.mark(3), h.Last)
	require.EqualValues(r, 1, h.First)

	got, err := r.d.Log(r.Context(), 1, 2)
	require.NoError(r, err)
	require.Len(r, got, 2)
	got, err = r.d.Log(r.Context(), 3, 100)
	require.NoError(r, err)
	require.Len(r, got, 1)
	require.Equal(r, third.Chain, got[0].Chain)
	require.Equal(r, third.Owner, got[0].Owner)
	require.Equal(r, layout.NameSlot("b"), got[0].Writes[0].Slot)
	require.Nil(r, got[0].Writes[0].Value)
	r.has(layout.NameSlot("b"), "")
}

func badEntries(r *rig) {
	d1, d2 := r.data(), r.data()
	for why, e := range map[string]*layout.Entry{
		"no slot":                  r.entry(record(nil, "")),
		"a key of the log":         r.entry(record(layout.Slot("l\x00\x00\x00\x00\x00\x00\x00\x01\x00"), "")),
		"cut slot":                 r.entry(record(version("k", 1)[:12], "")),
		"a bound":                  r.entry(record(layout.LatestSlot(1, "k"), "")),
		"no kind":                  r.entry(layout.Write{Slot: version("k", 1)}),
		"void without abort":       r.entry(layout.Write{Slot: version("k", 1), Kind: layout.KindVoid}),
		"twice":                    r.entry(record(version("k", 1), "a"), tombstone(version("k", 1))),
		"inline key alone":         r.entry(record(layout.InlineSlot(d1), "")),
		"inline tombstone":         r.entry(tombstone(layout.InlineSlot(d1))),
		"part tombstone":           r.entry(tombstone(layout.PartSlot(layout.UploadID{Epoch: 1}, 1))),
		"add that nobody owns":     {Position: 1, Adds: []layout.Add{addOf(d1, false)}},
		"inline add without a key": {Position: 1, Adds: []layout.Add{addOf(d1, true)}},
		"aborts itself":            {Position: 1, Aborts: 1},
		"aborts and writes":        {Position: 2, Aborts: 1, Writes: []layout.Write{record(version("k", 1), "")}},
		"impossible geometry": {Position: 1, Adds: []layout.Add{{Data: d2, Parity: 2, Drives: fleet()[:2]}},
			Writes: []layout.Write{record(layout.DataOwnerSlot(d2, owner("k", 1)), "")}},
	} {
		require.NoError(r, e.Seal(layout.Chain{}), why)
		require.ErrorIs(r, r.d.Apply(r.Context(), r.p, layout.Batch{Entries: []*layout.Entry{e}}), layout.ErrBadRecord, why)
	}
	for why, w := range map[string]layout.Write{
		"slot":        record(layout.Slot("x\x00"), ""),
		"owned thing": record(layout.Slot("d\x03\x00"), ""),
		"owner":       record(append(layout.DataOwnerSlot(d1, owner("k", 1))[:26:26], 4, 0), ""),
		"kind":        {Slot: version("k", 1), Kind: 4},
	} {
		e := r.entry(w)
		require.NoError(r, e.Seal(layout.Chain{}), why)
		require.ErrorIs(r, r.d.Apply(r.Context(), r.p, layout.Batch{Entries: []*layout.Entry{e}}), layout.ErrNewerFormat, why)
	}
	require.Zero(r, r.holding().Last)
}

func states(r *rig) {
	s := r.holding().State
	try := func(epoch, generation uint64) error {
		s.Owner.Epoch, s.Generation = epoch, generation
		return r.d.Apply(r.Context(), r.p, layout.Batch{State: &s})
	}
	require.NoError(r, try(10, 1))
	require.ErrorIs(r, try(10, 1), layout.ErrOutOfOrder, "the same again")
	require.ErrorIs(r, try(9, 7), layout.ErrOutOfOrder, "an older epoch")
	s.InSync = s.InSync[:3]
	s.Names[3].Past = []layout.DriveID{{8}}
	require.NoError(r, try(10, 2))
	seal := layout.Seal{Epoch: 10, Position: 4}
	r.apply(layout.Batch{Seal: &seal})
	require.ErrorIs(r, r.d.Apply(r.Context(), r.p, layout.Batch{Seal: &layout.Seal{Epoch: 9}}), layout.ErrOutOfOrder)
	unnamed := s.InSync
	s.InSync = []layout.DriveID{{99}}
	require.ErrorIs(r, try(10, 3), layout.ErrBadRecord)
	s.InSync, s.Generation = unnamed, 2
	r.reopen()
	require.Equal(r, s, r.holding().State)
	require.Equal(r, seal, r.holding().Seal)

	h := r.holding()
	h.State.InSync[0], h.State.Names[0].Drive = layout.DriveID{55}, layout.DriveID{55}
	require.Equal(r, s, r.holding().State, "what is told is the caller's")
}

func stableMark(r *rig) {
	for i := range layout.Position(5) {
		r.commit(record(version("k", i+1), "v"))
	}
	try := func(m layout.Mark) error { return r.d.Apply(r.Context(), r.p, layout.Batch{Stable: &m}) }
	require.ErrorIs(r, try(layout.Mark{Position: 3, Chain: r.mark(2).Chain}), layout.ErrOutOfOrder, "not on the log")
	require.ErrorIs(r, try(layout.Mark{Position: 9}), layout.ErrOutOfOrder, "beyond the log")
	require.NoError(r, try(r.mark(3)))
	require.NoError(r, try(r.mark(3)), "again")
	require.ErrorIs(r, try(r.mark(2)), layout.ErrOutOfOrder, "back")
	e := r.seal(r.entry(record(version("k", 6), "v")))
	r.apply(layout.Batch{Entries: []*layout.Entry{e}, Stable: &layout.Mark{Position: 6, Chain: e.Chain}})
	r.reopen()
	require.Equal(r, r.mark(6), r.holding().Stable)
}

func undoes(r *rig) {
	r.commit(record(version("k", 1), "one"))
	r.commit(record(version("k", 1), "two"), record(version("l", 2), "l"))
	third := r.commit(tombstone(version("k", 1)))
	try := func(u layout.Undo) error { return r.d.Apply(r.Context(), r.p, layout.Batch{Undo: &u}) }
	require.ErrorIs(r, try(layout.Undo{From: r.mark(2), To: 1}), layout.ErrOutOfOrder, "not the newest")
	require.ErrorIs(r, try(layout.Undo{From: layout.Mark{Position: 3}, To: 1}), layout.ErrOutOfOrder, "another chain")
	require.ErrorIs(r, try(layout.Undo{From: r.mark(3), To: 4}), layout.ErrOutOfOrder, "upwards")
	r.hasNot(version("k", 1))
	r.apply(layout.Batch{Undo: &layout.Undo{From: r.mark(3), To: 2}})
	r.has(version("k", 1), "two")
	require.Equal(r, r.mark(2), r.holding().Last)

	stable := r.mark(1)
	r.apply(layout.Batch{Stable: &stable})
	require.ErrorIs(r, try(layout.Undo{From: r.mark(2), To: 0}), layout.ErrOutOfOrder, "below the stable mark")
	from := r.last()
	r.log = r.log[:1]
	e := r.seal(r.entry(record(version("k", 1), "other")))
	r.apply(layout.Batch{Undo: &layout.Undo{From: from, To: 1}, Entries: []*layout.Entry{e}})
	r.reopen()
	r.has(version("k", 1), "other")
	r.hasNot(version("l", 2))
	require.NotEqual(r, third.Chain, r.holding().Last.Chain)
	require.EqualValues(r, 2, r.holding().Last.Position)

	// An abort that is undone takes its voids with it.
	del := r.commit(tombstone(version("k", 1)))
	r.abort(del)
	r.has(version("k", 1), "other")
	r.apply(layout.Batch{Undo: &layout.Undo{From: r.last(), To: 3}})
	r.hasNot(version("k", 1))
}

func undoFiles(r *rig) {
	kept, dropped, again := r.data(), r.data(), r.data()
	for _, d := range []layout.DataID{kept, dropped, again} {
		r.file(d, 70000)
	}
	put := func(key string, p layout.Position, d layout.DataID) *layout.Entry {
		return r.add([]layout.Add{addOf(d, false)}, record(version(key, p), object(r, p, layout.PlaceFile, d)), record(layout.DataOwnerSlot(d, owner(key, p)), ""))
	}
	put("a", 1, kept)
	put("b", 2, dropped)
	e := put("c", 3, again)
	from := r.last()
	r.log = r.log[:1]
	e2 := *e
	e2.Position = 2
	require.NoError(r, e2.Seal(r.last().Chain))
	r.apply(layout.Batch{Undo: &layout.Undo{From: from, To: 1}, Entries: []*layout.Entry{&e2}})
	require.True(r, r.hasFile(kept))
	require.False(r, r.hasFile(dropped))
	require.True(r, r.hasFile(again), "an entry of the same batch names it")
}
