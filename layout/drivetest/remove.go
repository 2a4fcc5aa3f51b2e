package drivetest

import (
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/layout"
)

func inlineWrite(d layout.DataID) layout.Write {
	return layout.Write{Slot: layout.InlineSlot(d), Kind: layout.KindRecord}
}

func removes(r *rig) {
	d1, d2 := r.data(), r.data()
	k := version("k", 1)
	r.add([]layout.Add{addOf(d1, true)}, record(k, object(r, 1, layout.PlaceInline, d1)), inlineWrite(d1))
	r.commit(record(k, object(r, 1, layout.PlaceInline, d1))) // tags: the same data
	r.add([]layout.Add{addOf(d2, true)}, record(k, object(r, 1, layout.PlaceInline, d2)), inlineWrite(d2))
	r.commit(record(layout.NameSlot("n"), "1"))

	_, err := r.d.Remove(r.Context(), r.p, layout.Removal{Upto: 4, KeepLog: 4})
	require.NoError(r, err)
	require.Zero(r, r.holding().Removed, "nothing is stable")

	stable := r.mark(2)
	r.apply(layout.Batch{Stable: &stable})
	require.EqualValues(r, 2, r.remove(4).Mark, "not above the stable mark")
	require.False(r, r.raw(k, 1))
	require.True(r, r.raw(k, 2))
	r.has(layout.InlineSlot(d1), string(addOf(d1, true).Shards[self]))

	r.settle()
	require.False(r, r.raw(k, 2))
	require.False(r, r.raw(layout.InlineSlot(d1), 1), "named by nothing any more")
	r.has(layout.InlineSlot(d2), string(addOf(d2, true).Shards[self]))
	require.Equal(r, layout.Position(4), r.holding().First, "the log is kept from the mark on")

	r.commit(tombstone(k), tombstone(layout.NameSlot("n")))
	got := r.settle()
	require.EqualValues(r, 5, got.Mark)
	require.Equal(r, 5, got.Keys, "two records, two tombstones, one inline shard")
	require.False(r, r.raw(k, 5))
	require.False(r, r.raw(layout.InlineSlot(d2), 3))
	r.reopen()
	require.EqualValues(r, 5, r.holding().Removed)
	require.Equal(r, r.mark(5), r.holding().Last, "the newest entry stays")
	require.EqualValues(r, 5, r.holding().First)
}

// removesGone: a drive that learned late has no content of a record in
// between; what its older record names is named again by a newer one.
func removesGone(r *rig) {
	d := r.data()
	k := version("k", 1)
	r.add([]layout.Add{addOf(d, true)}, record(k, object(r, 1, layout.PlaceInline, d)), inlineWrite(d))
	e := r.entry(record(k, "x"))
	r.seal(e)
	e.Writes[0].Gone = true
	r.apply(layout.Batch{Entries: []*layout.Entry{e}})
	require.False(r, r.raw(k, 2))
	r.commit(record(k, object(r, 1, layout.PlaceInline, d)))
	r.settle()
	require.False(r, r.raw(k, 1))
	r.has(layout.InlineSlot(d), string(addOf(d, true).Shards[self]))
	r.commit(tombstone(k))
	r.settle()
	require.False(r, r.raw(layout.InlineSlot(d), 1))
}

// removesRewrites: of a slot that is written again and again, aborts among it, the
// newest record is left, whether the removal takes one step or many.
func removesRewrites(r *rig) {
	for i, step := range []int{1, 3, 100} {
		k := version("k", layout.Position(i)+1)
		first := r.last().Position + 1
		r.commit(record(k, "first"))
		for range 2 {
			r.commit(record(k, "shadowed"))
			r.abort(r.commit(record(k, "aborted")))
			r.abort(r.commit(record(k, "aborted too")))
		}
		r.commit(record(k, "newest"))
		newest := r.last().Position
		stable := r.mark(newest)
		r.apply(layout.Batch{Stable: &stable})
		for more := true; more; {
			got, err := r.d.Remove(r.Context(), r.p, layout.Removal{Upto: newest, Entries: step})
			require.NoError(r, err)
			more = got.More
		}
		for p := first; p < newest; p++ {
			require.False(r, r.raw(k, p), "position %d of %d to %d, in steps of %d", p, first, newest, step)
		}
		r.has(k, "newest")
	}
}

func removesShared(r *rig) {
	d := r.data()
	r.file(d, 10)
	a, b := version("a", 1), version("b", 2)
	own := func(key string, p layout.Position) layout.Slot { return layout.DataOwnerSlot(d, owner(key, p)) }
	r.add([]layout.Add{addOf(d, false)}, record(a, object(r, 1, layout.PlaceFile, d)), record(own("a", 1), ""))
	r.commit(record(b, object(r, 2, layout.PlaceFile, d)), record(own("b", 2), ""))
	r.commit(tombstone(a), tombstone(own("a", 1)))
	aborted := r.commit(tombstone(b), tombstone(own("b", 2)))
	r.abort(aborted)
	require.Zero(r, r.settle().Files)
	require.True(r, r.hasFile(d), "b uses it")
	r.has(own("b", 2), "")
	r.commit(tombstone(b), tombstone(own("b", 2)))
	r.commit(record(own("c", 7), "")) // a copy, not yet stable, when the removal runs
	stable := r.mark(6)
	r.apply(layout.Batch{Stable: &stable})
	require.Zero(r, r.remove(6).Files)
	require.True(r, r.hasFile(d), "an owner above the mark counts")
	r.commit(tombstone(own("c", 7)))
	require.Equal(r, 1, r.settle().Files)
	require.False(r, r.hasFile(d))
}

func removesAbort(r *rig) {
	d, in := r.data(), r.data()
	r.file(d, 10)
	k := version("k", 1)
	r.commit(record(k, "old"), record(layout.DocumentSlot(1, ""), "doc"))
	e := r.add([]layout.Add{addOf(d, false), addOf(in, true)}, tombstone(k), record(layout.DocumentSlot(1, ""), "new"),
		record(version("k", 2), object(r, 2, layout.PlaceFile, d)), record(layout.DataOwnerSlot(d, owner("k", 2)), ""), inlineWrite(in))
	r.hasNot(k)
	r.abort(e)
	r.has(k, "old")
	got := r.settle()
	require.Equal(r, 1, got.Files)
	require.Equal(r, 10, got.Keys, "five of the entry, five voids, and nothing else")
	r.has(k, "old")
	r.has(layout.DocumentSlot(1, ""), "doc")
	for _, w := range e.Writes {
		require.False(r, r.raw(w.Slot, 2))
		require.False(r, r.raw(w.Slot, 3))
	}
	require.False(r, r.hasFile(d))

	// The reader's position lies between a write and its abort: the write may
	// not be taken for one that was not aborted.
	e = r.commit(tombstone(k))
	r.abort(e)
	stable := r.last()
	r.apply(layout.Batch{Stable: &stable})
	require.EqualValues(r, 4, r.remove(4).Mark)
	r.has(k, "old")
	require.EqualValues(r, 5, r.remove(5).Mark)
	r.has(k, "old")
	require.True(r, r.raw(k, 1))
}

func removesUpload(r *rig) {
	const parts = 600 // more than a step takes
	u := layout.UploadID{Epoch: 10, Position: 1}
	session := layout.OwnerOfData{Bucket: 1, Key: "k"}
	r.commit(record(layout.UploadSlot(1, "k", u), "s"), record(layout.UploadOwnerSlot(u, session), ""))
	var files []layout.DataID
	var inlines []layout.DataID
	r.gather = true
	for n := uint32(1); n <= parts; n++ {
		d := r.data()
		me := layout.DataOwnerSlot(d, layout.OwnerOfData{Upload: u, Part: n})
		if n%100 == 0 {
			r.file(d, 10)
			files = append(files, d)
			r.add([]layout.Add{addOf(d, false)}, record(layout.PartSlot(u, n), object(r, r.last().Position+1, layout.PlaceFile, d)), record(me, ""))
			continue
		}
		inlines = append(inlines, d)
		r.add([]layout.Add{addOf(d, true)}, record(layout.PartSlot(u, n), object(r, r.last().Position+1, layout.PlaceInline, d)), inlineWrite(d))
	}
	r.flush()
	// A part uploaded again.
	again := r.data()
	r.file(again, 10)
	r.add([]layout.Add{addOf(again, false)}, record(layout.PartSlot(u, 100), object(r, r.last().Position+1, layout.PlaceFile, again)),
		record(layout.DataOwnerSlot(again, layout.OwnerOfData{Upload: u, Part: 100}), ""),
		tombstone(layout.DataOwnerSlot(files[0], layout.OwnerOfData{Upload: u, Part: 100})))
	// Complete, aborted, and complete.
	v := r.last().Position + 3
	complete := func() *layout.Entry {
		return r.commit(record(version("k", v), "obj"), tombstone(layout.UploadSlot(1, "k", u)), tombstone(layout.UploadOwnerSlot(u, session)),
			record(layout.UploadOwnerSlot(u, owner("k", v)), ""), record(layout.SizesSlot(u), "sizes"))
	}
	r.abort(complete())
	require.Equal(r, 1, r.settle().Files, "the part that was replaced")
	require.False(r, r.hasFile(files[0]))
	r.has(layout.UploadSlot(1, "k", u), "s")
	complete()
	require.Zero(r, r.settle().Files)
	r.has(layout.PartSlot(u, 7), object(r, 8, layout.PlaceInline, inlines[6]))
	r.has(layout.SizesSlot(u), "sizes")

	// A copy owns the parts, too.
	r.commit(record(version("copy", v+1), "obj"), record(layout.UploadOwnerSlot(u, owner("copy", v+1)), ""))
	r.commit(tombstone(version("k", v)), tombstone(layout.UploadOwnerSlot(u, owner("k", v))))
	require.Zero(r, r.settle().Files)
	last := r.commit(tombstone(version("copy", v+1)), tombstone(layout.UploadOwnerSlot(u, owner("copy", v+1))))
	stable := r.last()
	r.apply(layout.Batch{Stable: &stable})
	step, err := r.d.Remove(r.Context(), r.p, layout.Removal{Upto: stable.Position, KeepLog: stable.Position})
	require.NoError(r, err)
	require.True(r, step.More)
	require.Equal(r, last.Position-1, step.Mark, "the mark waits for the last part")
	require.Positive(r, step.Keys)
	r.reopen()
	r.remove(stable.Position)
	for _, d := range append(files, again) {
		require.False(r, r.hasFile(d))
	}
	rd := r.reader()
	for _, t := range []byte{'d', 'e', 'i', 'o', 'p', 'u'} {
		lo, hi := layout.TypeRange(t)
		c, err := rd.Cursor(lo, hi, layout.MaxPosition)
		require.NoError(r, err)
		require.False(r, c.Next(), "type %c: %x", t, []byte(c.Item().Slot))
		require.NoError(r, c.Close())
	}
	require.NoError(r, rd.Close())
}

func copies(r *rig) {
	for i := range layout.Position(3) {
		r.commit(record(version("old", i+1), "old"))
	}
	d := r.data()
	r.file(d, 10)
	state := r.holding().State
	base := layout.Mark{Position: 100, Chain: layout.Chain{7}}
	step := func(c layout.Copy) error { return r.d.Apply(r.Context(), r.p, layout.Batch{Copy: &c}) }
	require.ErrorIs(r, step(layout.Copy{End: true}), layout.ErrOutOfOrder, "not begun")
	require.NoError(r, step(layout.Copy{Begin: &base, Items: []layout.Item{{Slot: version("a", 40), Position: 50, Value: []byte("a")}}, Cursor: []byte("c1")}))
	require.ErrorIs(r, step(layout.Copy{Items: []layout.Item{{Slot: version("a", 40), Position: 101}}}), layout.ErrOutOfOrder, "above the base")
	r.hasNot(version("old", 1))
	require.True(r, r.hasFile(d), "shard files stay")
	r.reopen()
	h := r.holding()
	require.Equal(r, &layout.Rebuild{Base: base, Reached: 100, Cursor: []byte("c1")}, h.Rebuild)
	require.Equal(r, layout.Holding{Promise: r.p, State: state, Last: base, Rebuild: h.Rebuild}, h)

	// It learns what comes after.
	before := base
	entry := func(p layout.Position, w ...layout.Write) *layout.Entry {
		e := &layout.Entry{Position: p, Owner: r.p.Owner, Writes: w}
		require.NoError(r, e.Seal(before.Chain))
		before = layout.Mark{Position: p, Chain: e.Chain}
		return e
	}
	put := func(b layout.Batch) { r.Helper(); require.NoError(r, r.d.Apply(r.Context(), r.p, b)) }
	put(layout.Batch{Entries: []*layout.Entry{entry(101, tombstone(version("b", 30)))}, Stable: &before})
	reached := before
	put(layout.Batch{Entries: []*layout.Entry{entry(102, record(version("c", 102), "c"))}})
	require.Zero(r, r.holding().Stable)
	require.EqualValues(r, 101, r.holding().Rebuild.Reached)
	_, err := r.d.Remove(r.Context(), r.p, layout.Removal{Upto: 101})
	require.ErrorIs(r, err, layout.ErrOutOfOrder)
	require.ErrorIs(r, r.d.Apply(r.Context(), r.p, layout.Batch{Undo: &layout.Undo{From: before, To: 100}}), layout.ErrOutOfOrder)
	put(layout.Batch{Undo: &layout.Undo{From: before, To: 101}})
	require.Equal(r, reached, r.holding().Last)

	require.NoError(r, step(layout.Copy{Items: []layout.Item{{Slot: version("b", 30), Position: 30, Value: []byte("b")}}, Cursor: []byte("c2")}))
	r.hasNot(version("b", 30))
	require.NoError(r, step(layout.Copy{End: true}))
	r.reopen()
	require.Equal(r, layout.Holding{Promise: r.p, State: state, Stable: reached, First: 101, Last: reached, Removed: 100}, r.holding())
	r.has(version("a", 40), "a")
	got, err := r.d.Remove(r.Context(), r.p, layout.Removal{Upto: 101, KeepLog: 101})
	require.NoError(r, err)
	require.Equal(r, layout.Removed{Mark: 101, Keys: 2}, got)
	require.False(r, r.raw(version("b", 30), 30))
}
