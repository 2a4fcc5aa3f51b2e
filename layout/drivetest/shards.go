package drivetest

import (
	"io"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/layout"
)

func shardFiles(r *rig) {
	ctx := r.Context()
	for _, payload := range []int{0, 1, bitrot.FrameBytes, bitrot.FrameBytes + 1, 3*bitrot.FrameBytes - 1} {
		d := r.data()
		ref := layout.ShardRef{Data: d, Shard: self, Payload: int64(payload)}
		_, err := r.d.Shards().Open(ctx, ref)
		require.ErrorIs(r, err, layout.ErrNotFound)
		require.ErrorIs(r, r.d.Shards().Verify(ctx, ref), layout.ErrNotFound)
		r.file(d, payload)
		require.NoError(r, r.d.Shards().Verify(ctx, ref))
		ref.Payload = -1
		require.NoError(r, r.d.Shards().Verify(ctx, ref))
		f, err := r.d.Shards().Open(ctx, ref)
		require.NoError(r, err)
		want := r.frames(d, payload)
		got := make([]byte, len(want))
		_, err = f.ReadAt(got, 0)
		require.NoError(r, err)
		require.Equal(r, want, got)
		require.Equal(r, header(d), f.Header())
		_, err = bitrot.NewReader(io.NewSectionReader(f, 0, int64(len(want))), bitrot.ShardID{Data: d.Bytes(), Shard: self}).WriteTo(io.Discard)
		require.NoError(r, err)
		require.NoError(r, f.Close())
	}

	d := r.data()
	r.file(d, 100)
	require.ErrorIs(r, r.tryFile(header(d), 100), layout.ErrExists)
	h := header(d)
	h.Replace = true
	w, err := r.d.Shards().Create(ctx, r.p, h)
	require.NoError(r, err)
	require.ErrorIs(r, r.tryFile(h, 100), layout.ErrExists, "being written")
	require.NoError(r, w.Abort())
	require.NoError(r, w.Abort())
	require.ErrorIs(r, w.Commit(ctx, layout.Trailer{}), layout.ErrClosed)
	require.NoError(r, r.d.Shards().Verify(ctx, layout.ShardRef{Data: d, Shard: self, Payload: 100}), "the old one is there")
	require.NoError(r, r.tryFile(h, 100))

	fresh := r.data()
	w, err = r.d.Shards().Create(ctx, r.p, header(fresh))
	require.NoError(r, err)
	_, err = w.Write(r.frames(fresh, 10))
	require.NoError(r, err)
	require.ErrorIs(r, w.Commit(ctx, layout.Trailer{Payload: 11}), layout.ErrBadRecord, "not what was written")
	require.False(r, r.hasFile(fresh))

	require.NoError(r, r.d.Shards().Remove(ctx, r.p, fresh), "none there")
	require.NoError(r, r.d.Shards().Remove(ctx, r.p, d))
	require.False(r, r.hasFile(d))
	r.file(d, 100)
	require.NoError(r, r.d.Shards().Quarantine(ctx, r.p, d, "for the test"))
	require.False(r, r.hasFile(d))
	require.ErrorIs(r, r.d.Shards().Quarantine(ctx, r.p, d, "again"), layout.ErrNotFound)
	r.file(d, 100)
	require.NoError(r, r.d.Shards().Quarantine(ctx, r.p, d, "a second one of that name"))
	r.file(d, 100)
	r.reopen()
	require.NoError(r, r.d.Shards().Verify(ctx, layout.ShardRef{Data: d, Shard: self, Payload: 100}))
	bad := header(r.data())
	bad.Shard = 4
	require.ErrorIs(r, r.tryFile(bad, 1), layout.ErrBadRecord)
}

func shardDamage(r *rig) {
	ctx := r.Context()
	d := r.data()
	r.file(d, 70000)
	wrong := func(ref layout.ShardRef, why string) {
		r.Helper()
		require.ErrorIs(r, r.d.Shards().Verify(ctx, ref), layout.ErrDamaged, why)
	}
	wrong(layout.ShardRef{Data: d, Shard: self, Payload: 69999}, "another length")
	wrong(layout.ShardRef{Data: d, Shard: self + 1, Payload: 70000}, "another shard")
	_, err := r.d.Shards().Open(ctx, layout.ShardRef{Data: d, Shard: self + 1})
	require.ErrorIs(r, err, layout.ErrDamaged)
	foreign := r.data()
	h := header(foreign)
	h.Deployment = layout.DeploymentID{1}
	require.NoError(r, r.tryFile(h, 5))
	wrong(layout.ShardRef{Data: foreign, Shard: self, Payload: 5}, "another deployment's")

	// Frames that were sealed for another data id: the last one is looked at.
	torn := r.data()
	w, err := r.d.Shards().Create(ctx, r.p, header(torn))
	require.NoError(r, err)
	_, err = w.Write(r.frames(d, 70000))
	require.NoError(r, err)
	require.NoError(r, w.Commit(ctx, layout.Trailer{Payload: 70000}))
	wrong(layout.ShardRef{Data: torn, Shard: self, Payload: 70000}, "a last frame that does not verify")
}

// expired is how many things were put aside so far; they are gone then.
func (r *rig) expired() int {
	r.Helper()
	n, err := r.d.Shards().Expire(r.Context(), r.p, time.Unix(1<<33, 0))
	require.NoError(r, err)
	return n
}

func replacesAside(r *rig) {
	d := r.data()
	r.file(d, 100)
	h := header(d)
	h.Replace, h.Aside = true, "a frame that does not verify"
	w, err := r.d.Shards().Create(r.Context(), r.p, h)
	require.NoError(r, err)
	require.NoError(r, w.Abort())
	require.Zero(r, r.expired(), "nothing is put aside before there is something in its place")
	require.True(r, r.hasFile(d))
	require.NoError(r, r.tryFile(h, 100))
	require.NoError(r, r.d.Shards().Verify(r.Context(), layout.ShardRef{Data: d, Shard: self, Payload: 100}))
	n, err := r.d.Shards().Expire(r.Context(), r.p, time.Unix(1_000_000_000, 0))
	require.NoError(r, err)
	require.Zero(r, n, "it was put aside later than that")
	require.Equal(r, 1, r.expired())
	require.Zero(r, r.expired())
	h.Data = r.data()
	require.NoError(r, r.tryFile(h, 100), "where there is nothing to replace")
	require.Zero(r, r.expired())
}

func discards(r *rig) {
	ctx := r.Context()
	used, shadowed, lost := r.data(), r.data(), r.data()
	for _, d := range []layout.DataID{used, shadowed, lost} {
		r.file(d, 100)
	}
	own := func(d layout.DataID) layout.Slot { return layout.DataOwnerSlot(d, owner("k", 1)) }
	r.commit(record(own(used), ""), record(own(shadowed), ""))
	r.commit(tombstone(own(shadowed)))
	require.ErrorIs(r, r.d.Shards().Discard(ctx, r.p, lost, "x"), layout.ErrOutOfOrder, "of this owner")
	r.p.Epoch++
	_, err := r.d.Promise(ctx, r.p)
	require.NoError(r, err)
	h := header(used)
	h.Replace = true
	w, err := r.d.Shards().Create(ctx, r.p, h)
	require.NoError(r, err)
	require.ErrorIs(r, r.d.Shards().Discard(ctx, r.p, used, "x"), layout.ErrExists, "and being written")
	require.NoError(r, w.Abort())
	require.ErrorIs(r, r.d.Shards().Discard(ctx, r.p, used, "x"), layout.ErrExists)
	require.ErrorIs(r, r.d.Shards().Discard(ctx, r.p, shadowed, "x"), layout.ErrExists, "who reads before the delete needs it")
	require.NoError(r, r.d.Shards().Discard(ctx, r.p, lost, "x"))
	require.ErrorIs(r, r.d.Shards().Discard(ctx, r.p, lost, "x"), layout.ErrNotFound)
	require.True(r, r.hasFile(used) && r.hasFile(shadowed) && !r.hasFile(lost))
	require.Equal(r, 1, r.expired(), "put aside, not removed")
	r.file(lost, 100) // the data id of an owner before this one
	base := r.last()
	r.apply(layout.Batch{Copy: &layout.Copy{Begin: &base}})
	require.ErrorIs(r, r.d.Shards().Discard(ctx, r.p, lost, "x"), layout.ErrOutOfOrder, "while an index is being copied")
}

func mends(r *rig) {
	lost, bad, late := r.data(), r.data(), r.data()
	a := []layout.Add{addOf(lost, true), addOf(bad, true), addOf(late, true)}
	a[0].Shards[self], a[2].Shards[self] = nil, nil
	writes := make([]layout.Write, 0, 6)
	for i, key := range []string{"lost", "bad", "late"} {
		writes = append(writes, record(version(key, 1), object(r, 1, layout.PlaceInline, a[i].Data)),
			layout.Write{Slot: layout.InlineSlot(a[i].Data), Kind: layout.KindRecord})
	}
	r.add(a, writes...)
	mend := func(data layout.DataID, named layout.Slot) error {
		return r.d.Apply(r.Context(), r.p, layout.Batch{Mend: []layout.Mend{{
			Item: layout.Item{Slot: layout.InlineSlot(data), Position: 1, Value: []byte("mended")}, Named: named, NamedAt: 1,
		}}})
	}
	r.hasNot(layout.InlineSlot(lost))
	require.ErrorIs(r, mend(lost, nil), layout.ErrNotFound, "nothing there, and nobody is said to name it")
	require.ErrorIs(r, mend(lost, version("bad", 1)), layout.ErrNotFound, "that names another")
	require.NoError(r, mend(lost, version("lost", 1)))
	r.has(layout.InlineSlot(lost), "mended")
	require.NoError(r, mend(bad, nil))
	r.has(layout.InlineSlot(bad), "mended")
	require.ErrorIs(r, r.d.Apply(r.Context(), r.p, layout.Batch{Mend: []layout.Mend{{Item: layout.Item{Slot: version("bad", 1), Position: 1}}}}),
		layout.ErrBadRecord, "only inline shards")
	require.Equal(r, r.mark(1), r.holding().Last, "no entry")
	r.commit(tombstone(version("late", 1)), tombstone(version("bad", 1)))
	r.settle()
	for _, key := range []string{"late", "bad"} {
		data := map[string]layout.DataID{"late": late, "bad": bad}[key]
		require.ErrorIs(r, mend(data, version(key, 1)), layout.ErrNotFound, "removed meanwhile")
		require.False(r, r.raw(layout.InlineSlot(data), 1))
	}
	r.has(layout.InlineSlot(lost), "mended")
	r.commit(tombstone(version("lost", 1)))
	r.settle()
	require.False(r, r.raw(layout.InlineSlot(lost), 1), "removed as it would have been")
}

func probe(r *rig) {
	u, err := r.d.Probe(r.Context())
	require.NoError(r, err)
	require.Positive(r, u.Total)
	require.Positive(r, u.Free)
	require.Equal(r, fleet()[self], r.d.Identity().Drive)
}

func closes(r *rig) {
	r.commit(record(version("k", 1), "v"))
	rd := r.reader()
	lo, hi := layout.KeyRange(1, "")
	c, err := rd.Cursor(lo, hi, layout.MaxPosition)
	require.NoError(r, err)
	require.True(r, c.Next())
	old := r.d
	require.NoError(r, old.Close(), "with a cursor that is open")
	require.NoError(r, old.Close(), "twice")
	require.False(r, c.Next())
	require.ErrorIs(r, c.Err(), layout.ErrClosed)
	require.NoError(r, c.Close())
	_, _, err = rd.Get(version("k", 1), 1)
	require.ErrorIs(r, err, layout.ErrClosed)
	_, err = old.Holding(r.Context())
	require.ErrorIs(r, err, layout.ErrClosed)
	require.ErrorIs(r, old.Apply(r.Context(), r.p, layout.Batch{}), layout.ErrClosed)
	_, err = old.Read(r.Context())
	require.ErrorIs(r, err, layout.ErrClosed)
	_, err = old.Log(r.Context(), 1, 1)
	require.ErrorIs(r, err, layout.ErrClosed)
	_, err = old.Probe(r.Context())
	require.ErrorIs(r, err, layout.ErrClosed)
	_, err = old.Shards().Open(r.Context(), layout.ShardRef{})
	require.ErrorIs(r, err, layout.ErrClosed)
	r.reopen()
	r.has(version("k", 1), "v")
}
