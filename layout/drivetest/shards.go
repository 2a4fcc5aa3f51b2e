package drivetest

import (
	"io"

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
