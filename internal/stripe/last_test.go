// Goal: shards that are to be asked last are asked only where the others are
// not enough. Method: shards in memory that note which of them were opened.
package stripe_test

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/stretchr/testify/require"
)

func TestLastShards(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 4, Parity: 2}
	size := 3 * int(g.StripeBytes())
	data := content(size)
	streams := reference(t, g, data)
	for _, c := range []struct {
		last   uint32
		lost   []int
		opened []int
	}{
		{0, nil, []int{0, 1, 2, 3}},
		{1 << 1, nil, []int{0, 2, 3, 4}},
		{1<<0 | 1<<4, nil, []int{1, 2, 3, 5}},
		{1 << 5, nil, []int{0, 1, 2, 3}},
		{1 << 1, []int{4, 5}, []int{0, 1, 2, 3}},
		{1<<0 | 1<<1 | 1<<2, nil, []int{0, 3, 4, 5}},
	} {
		left := slices.Clone(streams)
		for _, i := range c.lost {
			left[i] = nil
		}
		var s shelf
		r, err := e.NewReader(t.Context(), object(g, size), s.sources(left), 0, int64(size), &stripe.ReadOptions{Last: c.last})
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.True(t, bytes.Equal(data, got))
		require.Equal(t, c.opened, s.shards(6), "%+v", c)
		s.check(t)
	}
}
