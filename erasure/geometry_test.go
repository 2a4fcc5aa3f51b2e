// Goal: the size arithmetic agrees with itself and with the bytes, at every
// boundary. Method: every geometry × every size around a boundary, checked
// against counting, and hand-picked impossible input.
package erasure_test

import (
	"math"
	"testing"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/stretchr/testify/require"
)

const block = int64(erasure.BlockBytes)

// geometries lists every one that is valid.
func geometries() []erasure.Geometry {
	var all []erasure.Geometry
	for data := 1; data <= erasure.MaxShards; data++ {
		for parity := 0; data+parity <= erasure.MaxShards; parity++ {
			all = append(all, erasure.Geometry{Data: data, Parity: parity})
		}
	}
	return all
}

// boundarySizes lists the sizes at which the arithmetic of g changes its course.
func boundarySizes(g erasure.Geometry) []int64 {
	k, w := int64(g.Data), g.StripeBytes()
	sizes := []int64{0, 1, 2, block - 1, block, block + 1}
	for _, at := range []int64{k, w - k, w, w + k, 2 * w, 3 * w} {
		sizes = append(sizes, at-1, at, at+1)
	}
	return sizes
}

func TestSizesAtBoundaries(t *testing.T) {
	for _, g := range geometries() {
		for _, size := range append(boundarySizes(g), math.MaxInt64-1, math.MaxInt64) {
			stripes, err := g.Stripes(size)
			require.NoError(t, err)
			shard, err := g.ShardBytes(size)
			require.NoError(t, err)
			if size == 0 {
				require.Zero(t, stripes)
				require.Zero(t, shard)
				continue
			}
			require.Less(t, (stripes-1)*g.StripeBytes(), size, "%s %d", g, size)
			last, err := g.BlockBytesOf(size, stripes-1)
			require.NoError(t, err)
			require.Equal(t, shard, (stripes-1)*block+int64(last), "%s %d", g, size)
			r := size - (stripes-1)*g.StripeBytes()
			require.LessOrEqual(t, r, int64(last)*int64(g.Data), "the last stripe has room")
			require.Greater(t, r, int64(last-1)*int64(g.Data), "and no byte more than it needs")
			if stripes > 1 {
				first, err := g.BlockBytesOf(size, 0)
				require.NoError(t, err)
				require.Equal(t, erasure.BlockBytes, first)
			}
			_, err = g.BlockBytesOf(size, stripes)
			require.ErrorIs(t, err, erasure.ErrSize)
			_, err = g.BlockBytesOf(size, -1)
			require.ErrorIs(t, err, erasure.ErrSize)
		}
	}
}

func TestRangesAgreeWithCounting(t *testing.T) {
	for _, g := range []erasure.Geometry{{Data: 1}, {Data: 2, Parity: 2}, {Data: 3, Parity: 1}, {Data: 12, Parity: 4}} {
		sizes := boundarySizes(g)
		for _, size := range sizes {
			for _, off := range sizes {
				for _, end := range sizes {
					if off <= end && end <= size {
						checkRange(t, g, size, off, end-off)
					}
				}
			}
		}
	}
}

// checkRange asks where the first and the last byte of the range lie, and
// compares with what Span and Blocks say.
func checkRange(t *testing.T, g erasure.Geometry, size, off, length int64) {
	t.Helper()
	first, end, err := g.Span(size, off, length)
	require.NoError(t, err)
	if length == 0 {
		require.Equal(t, first, end)
		return
	}
	last := off + length - 1
	require.Equal(t, off/g.StripeBytes(), first)
	require.Equal(t, last/g.StripeBytes(), end-1)
	stripes, err := g.Stripes(size)
	require.NoError(t, err)
	for s := range stripes {
		from, to, err := g.Blocks(size, s, off, length)
		require.NoError(t, err)
		if s < first || s >= end {
			require.Equal(t, from, to, "stripe %d is not touched", s)
			continue
		}
		b, err := g.BlockBytesOf(size, s)
		require.NoError(t, err)
		wantFrom, wantTo := 0, int((min(size, (s+1)*g.StripeBytes())-1-s*g.StripeBytes())/int64(b))+1
		if s == first {
			wantFrom = int(off % g.StripeBytes() / int64(b))
		}
		if s == end-1 {
			wantTo = int(last%g.StripeBytes()/int64(b)) + 1
		}
		require.Equal(t, [2]int{wantFrom, wantTo}, [2]int{from, to}, "%s size %d range %d+%d stripe %d", g, size, off, length, s)
	}
}

func TestImpossibleRanges(t *testing.T) {
	g := erasure.Geometry{Data: 2, Parity: 1}
	for _, c := range []struct{ size, off, length int64 }{
		{10, -1, 1}, {10, 0, -1}, {10, 11, 0}, {10, 10, 1}, {10, 0, 11}, {0, 0, 1},
		{10, math.MaxInt64, 1}, {10, 1, math.MaxInt64}, {math.MaxInt64, 1, math.MaxInt64}, {-1, 0, 0}, {math.MinInt64, 0, 0},
	} {
		_, _, err := g.Span(c.size, c.off, c.length)
		require.ErrorIs(t, err, erasure.ErrSize, "%+v", c)
		_, _, err = g.Blocks(c.size, 0, c.off, c.length)
		require.ErrorIs(t, err, erasure.ErrSize, "%+v", c)
	}
	_, _, err := g.Blocks(10, 1, 0, 10)
	require.ErrorIs(t, err, erasure.ErrSize, "a stripe that does not exist")
}

func TestLay(t *testing.T) {
	g := erasure.Geometry{Data: 2, Parity: 1}
	buf := []byte("aabbcc and more")
	blocks, err := g.Lay(nil, buf, 2)
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("aa"), []byte("bb"), []byte("cc")}, blocks)
	require.Same(t, &buf[2], &blocks[1][0])
	require.Equal(t, 2, cap(blocks[0]), "a block cannot grow into the next")
	for _, b := range []int{-1, 0, 6, erasure.BlockBytes + 1, math.MaxInt} {
		_, err := g.Lay(nil, buf, b)
		require.ErrorIs(t, err, erasure.ErrBlocks, "%d", b)
	}
	_, err = erasure.Geometry{}.Lay(nil, buf, 1)
	require.ErrorIs(t, err, erasure.ErrGeometry)
}
