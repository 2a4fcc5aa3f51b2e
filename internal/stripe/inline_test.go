// Goal: small objects have the same streams as large ones, and read back under
// any loss. Method: compare with streams made by the pure packages; every loss
// and damage of every shard; a fuzz target.
package stripe_test

import (
	"bytes"
	"math/bits"
	"slices"
	"testing"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/stretchr/testify/require"
)

func TestInlineStreams(t *testing.T) {
	e := newEngine(t)
	for _, g := range geometries() {
		for _, size := range sizes(g) {
			data := content(size)
			streams, err := e.EncodeInline(data, g, dataID())
			require.NoError(t, err)
			require.Equal(t, reference(t, g, data), streams, "%s %d", g, size)
			require.Equal(t, len(streams[0]), cap(streams[0]))
			for i := range streams {
				one, err := e.EncodeInlineShard(data, g, dataID(), i)
				require.NoError(t, err)
				require.Equal(t, streams[i], one, "%s %d shard %d", g, size, i)
			}
			_, err = e.EncodeInlineShard(data, g, dataID(), len(streams))
			require.ErrorIs(t, err, stripe.ErrInput)
			got, damage, err := e.DecodeInline([]byte("before "), object(g, size), streams)
			require.NoError(t, err)
			require.Empty(t, damage)
			require.True(t, bytes.Equal(append([]byte("before "), data...), got))
		}
	}
}

func TestInlineLossAndDamage(t *testing.T) {
	e := newEngine(t)
	for _, g := range []erasure.Geometry{{Data: 1}, {Data: 1, Parity: 2}, {Data: 2, Parity: 2}, {Data: 4, Parity: 2}} {
		for _, size := range []int{1, 1000, int(g.StripeBytes()) + 1} {
			for mask := range uint(1) << g.Shards() {
				inlineLoss(t, e, g, size, mask)
			}
		}
	}
}

// inlineLoss loses or damages the shards in mask, by turns.
func inlineLoss(t *testing.T, e *stripe.Engine, g erasure.Geometry, size int, mask uint) {
	data := content(size)
	streams, err := e.EncodeInline(data, g, dataID())
	require.NoError(t, err)
	var hurt []int
	for i := range streams {
		if mask>>i&1 == 0 {
			continue
		}
		switch i % 4 {
		case 0:
			streams[i] = nil
			continue
		case 1:
			streams[i][len(streams[i])-1] ^= 1
		case 2:
			streams[i] = streams[i][:len(streams[i])-1]
		case 3:
			streams[i] = append(streams[i], 0)
		}
		hurt = append(hurt, i)
	}
	got, damage, err := e.DecodeInline(nil, object(g, size), streams)
	for _, d := range damage {
		require.Contains(t, hurt, d.Shard)
		require.ErrorIs(t, d.Err, bitrot.ErrCorrupt)
	}
	if bits.OnesCount(mask) > g.Parity {
		require.ErrorIs(t, err, stripe.ErrTooFewShards)
		require.Empty(t, got)
		if int64(size) <= g.StripeBytes() {
			require.Len(t, damage, len(hurt), "all were tried")
		}
		return
	}
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

func TestInlineRejects(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 1}
	_, err := e.EncodeInline(nil, erasure.Geometry{}, dataID())
	require.ErrorIs(t, err, erasure.ErrGeometry)
	for _, o := range []stripe.Object{object(g, -1), object(erasure.Geometry{Data: 17}, 1), {Size: 1<<63 - 1, Geometry: erasure.Geometry{Data: 1}}} {
		_, _, err = e.DecodeInline(nil, o, make([][]byte, 3))
		require.Error(t, err)
	}
	dst := []byte("dst")
	got, _, err := e.DecodeInline(dst, object(g, 1), make([][]byte, 2))
	require.ErrorIs(t, err, stripe.ErrInput)
	require.Equal(t, dst, got)
	got, _, err = e.DecodeInline(dst, object(g, 1), make([][]byte, 3))
	require.ErrorIs(t, err, stripe.ErrTooFewShards)
	require.Equal(t, dst, got)
}

// FuzzInline: whatever happens to parity-many streams, the object reads back; and
// more than that never gives a wrong byte.
func FuzzInline(f *testing.F) {
	f.Add([]byte("a small object"), uint8(2), uint8(2), uint16(0b0011), []byte{1})
	f.Add([]byte{}, uint8(1), uint8(0), uint16(1), []byte{})
	f.Add(content(70_000), uint8(1), uint8(1), uint16(2), []byte("another stream"))
	f.Fuzz(func(t *testing.T, data []byte, k, m uint8, mask uint16, junk []byte) {
		g := erasure.Geometry{Data: int(k), Parity: int(m)}
		if g.Validate() != nil {
			return
		}
		e := newEngine(t)
		streams, err := e.EncodeInline(data, g, dataID())
		require.NoError(t, err)
		hurt := 0
		for i := range streams {
			if mask>>i&1 == 1 && !bytes.Equal(streams[i], junk) {
				streams[i] = slices.Clone(junk)
				hurt++
			}
		}
		got, damage, err := e.DecodeInline(nil, object(g, len(data)), streams)
		require.LessOrEqual(t, len(damage), hurt)
		if hurt <= g.Parity || len(data) == 0 {
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			return
		}
		require.ErrorIs(t, err, stripe.ErrTooFewShards)
		require.Empty(t, got)
	})
}
