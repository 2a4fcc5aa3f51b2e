// Goal: a rebuilt shard is the one that was lost, byte for byte. Method: every
// shard of several geometries and sizes, with as many others lost as may be;
// writers and sources that fail.
package stripe_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/stretchr/testify/require"
)

func TestRebuild(t *testing.T) {
	e := newEngine(t)
	for _, g := range geometries() {
		if g.Parity == 0 {
			continue
		}
		w := int(g.StripeBytes())
		for _, size := range []int{0, 1, w - 1, w, w + 1, 5*w + 100} {
			streams := reference(t, g, content(size))
			for lost := range g.Shards() {
				left := bytes.Clone(streams[lost])
				left = left[:len(left)/2]
				all := append([][]byte(nil), streams...)
				all[lost] = left // itself is never asked
				for i := range g.Parity - 1 {
					all[(lost+1+i)%g.Shards()] = nil
				}
				var s shelf
				var got bytes.Buffer
				damage, err := e.Rebuild(t.Context(), object(g, size), s.sources(all), lost, &got, nil)
				require.NoError(t, err)
				require.Empty(t, damage)
				require.True(t, bytes.Equal(streams[lost], got.Bytes()), "%s %d shard %d", g, size, lost)
				require.NotContains(t, s.shards(g.Shards()), lost)
				s.check(t)
			}
		}
	}
}

func TestRebuildFromDamage(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	size := 30 * int(g.StripeBytes())
	streams := reference(t, g, content(size))
	want := bytes.Clone(streams[3])
	for s := range 30 {
		streams[s%3][s*frameBytes] ^= 1
	}
	var s shelf
	var got bytes.Buffer
	damage, err := e.Rebuild(t.Context(), object(g, size), s.sources(streams), 3, &got, nil)
	require.NoError(t, err)
	require.Len(t, damage, 3)
	require.True(t, bytes.Equal(want, got.Bytes()))

	streams[0][20*frameBytes+1] ^= 1
	streams[1][20*frameBytes+1] ^= 1
	damage, err = e.Rebuild(t.Context(), object(g, size), s.sources(streams), 3, &got, nil)
	require.ErrorIs(t, err, stripe.ErrTooFewShards)
	require.ErrorIs(t, err, bitrot.ErrCorrupt)
	require.Len(t, damage, 3)
	s.check(t)
}

func TestRebuildErrors(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 1}
	size := 30 * int(g.StripeBytes())
	var s shelf
	sources := s.sources(reference(t, g, content(size)))
	broken := errors.New("broken writer")
	for at := 1; at < 5; at++ {
		_, err := e.Rebuild(t.Context(), object(g, size), sources, 1, &failing{at: at, err: broken}, nil)
		require.ErrorIs(t, err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := writeFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	_, err := e.Rebuild(ctx, object(g, size), sources, 1, w, nil)
	require.ErrorIs(t, err, context.Canceled)
	for _, lost := range []int{-1, 3} {
		_, err = e.Rebuild(t.Context(), object(g, size), sources, lost, w, nil)
		require.ErrorIs(t, err, stripe.ErrInput)
	}
	_, err = e.Rebuild(t.Context(), object(g, -1), sources, 0, w, nil)
	require.ErrorIs(t, err, erasure.ErrSize)
	_, err = e.Rebuild(t.Context(), object(erasure.Geometry{Data: 2}, size), sources[:2], 0, w, nil)
	require.ErrorIs(t, err, stripe.ErrTooFewShards, "nothing to rebuild it from")
	s.check(t)
}

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }
