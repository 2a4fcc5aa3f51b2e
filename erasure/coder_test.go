// Goal: any loss up to the parity is recovered, any greater one is an error,
// and nothing is allocated on the way of a write. Method: every loss pattern of
// every small geometry, chosen ones of the large; a fuzz target for the rest.
package erasure_test

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/stretchr/testify/require"
)

// stripe gives an encoded stripe of random bytes.
func stripe(t testing.TB, g erasure.Geometry, blockBytes int, seed uint64) (*erasure.Coder, [][]byte) {
	t.Helper()
	coder, err := erasure.New(g)
	require.NoError(t, err)
	require.Equal(t, g, coder.Geometry())
	random := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, g.Shards()*blockBytes)
	for i := range buf {
		buf[i] = byte(random.Uint32())
	}
	blocks, err := g.Lay(nil, buf, blockBytes)
	require.NoError(t, err)
	require.NoError(t, coder.Encode(blocks))
	return coder, blocks
}

// lose copies the blocks, leaving out those in mask but keeping room for them.
func lose(blocks [][]byte, mask uint) [][]byte {
	left := make([][]byte, len(blocks))
	for i, b := range blocks {
		if mask>>i&1 == 1 {
			left[i] = bytes.Repeat([]byte{0xee}, len(b))[:0]
		} else {
			left[i] = slices.Clone(b)
		}
	}
	return left
}

// checkLoss loses the shards in mask and expects the outcome the parity allows.
func checkLoss(t *testing.T, coder *erasure.Coder, blocks [][]byte, mask uint) {
	t.Helper()
	g := coder.Geometry()
	all, data, some := lose(blocks, mask), lose(blocks, mask), lose(blocks, mask)
	want := make([]bool, len(blocks))
	first := bits.TrailingZeros(mask)
	if mask != 0 {
		want[first] = true
	}
	if bits.OnesCount(mask) > g.Parity {
		require.ErrorIs(t, coder.Reconstruct(all), erasure.ErrTooFew)
		require.Equal(t, lose(blocks, mask), all, "an error changes nothing")
		require.ErrorIs(t, coder.ReconstructSome(some, want), erasure.ErrTooFew)
		if mask&(1<<g.Data-1) != 0 {
			require.ErrorIs(t, coder.ReconstructData(data), erasure.ErrTooFew)
		}
		return
	}
	require.NoError(t, coder.Reconstruct(all))
	require.Equal(t, blocks, all)
	require.NoError(t, coder.ReconstructData(data))
	require.Equal(t, blocks[:g.Data], data[:g.Data])
	require.NoError(t, coder.ReconstructSome(some, want))
	for i := range blocks {
		if mask>>i&1 == 0 || i == first {
			require.Equal(t, blocks[i], some[i])
		} else {
			require.Empty(t, some[i], "a block that nobody asked for")
		}
	}
}

func TestEveryLoss(t *testing.T) {
	for _, g := range geometries() {
		if g.Shards() > 8 {
			continue
		}
		coder, blocks := stripe(t, g, 3, 7)
		for mask := range uint(1) << g.Shards() {
			checkLoss(t, coder, blocks, mask)
		}
	}
}

func TestLossesOfWideGeometries(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, g := range []erasure.Geometry{{Data: 12, Parity: 4}, {Data: 8, Parity: 8}, {Data: 15, Parity: 1}, {Data: 16}, {Data: 1, Parity: 15}} {
		for _, blockBytes := range []int{1, 63, 64, 65, erasure.BlockBytes} {
			coder, blocks := stripe(t, g, blockBytes, 9)
			for lost := range g.Parity + 2 {
				mask := uint(0)
				for bits.OnesCount(mask) < min(lost, g.Shards()) {
					mask |= 1 << random.IntN(g.Shards())
				}
				checkLoss(t, coder, blocks, mask)
			}
		}
	}
}

func TestEveryBoundarySizeRecovers(t *testing.T) {
	for _, g := range []erasure.Geometry{{Data: 1}, {Data: 1, Parity: 2}, {Data: 2, Parity: 2}, {Data: 4, Parity: 2}, {Data: 5, Parity: 3}} {
		coder, err := erasure.New(g)
		require.NoError(t, err)
		for _, size := range boundarySizes(g) {
			data := content(int(size))
			shards := encodeObject(t, g, data)
			stripes, err := g.Stripes(size)
			require.NoError(t, err)
			var got []byte
			for s := range stripes {
				b, err := g.BlockBytesOf(size, s)
				require.NoError(t, err)
				blocks := make([][]byte, g.Shards())
				for i := range blocks {
					blocks[i] = make([]byte, 0, b)
					if i >= g.Parity { // the first shards are lost
						blocks[i] = append(blocks[i], shards[i][s*block:][:b]...)
					}
				}
				require.NoError(t, coder.ReconstructData(blocks))
				got = append(got, bytes.Join(blocks[:g.Data], nil)...)
				got = got[:min(int64(len(got)), size)]
			}
			require.True(t, bytes.Equal(data, got), "%s %d", g, size)
		}
	}
}

func TestVerify(t *testing.T) {
	for _, g := range []erasure.Geometry{{Data: 1}, {Data: 1, Parity: 2}, {Data: 4, Parity: 2}, {Data: 8, Parity: 8}} {
		coder, blocks := stripe(t, g, 100, 5)
		ok, err := coder.Verify(blocks)
		require.NoError(t, err)
		require.True(t, ok)
		for i := range blocks {
			blocks[i][50] ^= 1
			ok, err := coder.Verify(blocks)
			require.NoError(t, err)
			require.Equal(t, g.Parity == 0, ok, "%s block %d", g, i)
			blocks[i][50] ^= 1
		}
	}
}

func TestBlocksThatAreNoStripe(t *testing.T) {
	coder, good := stripe(t, erasure.Geometry{Data: 2, Parity: 1}, 4, 6)
	for name, blocks := range map[string][][]byte{
		"too few slots": good[:2], "too many slots": append(slices.Clone(good), good[0]), "none": nil,
		"unequal": {good[0], good[1][:3], good[2]}, "one too long": {good[0], good[1], make([]byte, 5)},
	} {
		require.ErrorIs(t, coder.Encode(blocks), erasure.ErrBlocks, name)
		_, err := coder.Verify(blocks)
		require.ErrorIs(t, err, erasure.ErrBlocks, name)
		require.ErrorIs(t, coder.Reconstruct(blocks), erasure.ErrBlocks, name)
		require.ErrorIs(t, coder.ReconstructData(blocks), erasure.ErrBlocks, name)
		require.ErrorIs(t, coder.ReconstructSome(blocks, make([]bool, 3)), erasure.ErrBlocks, name)
	}
	missing := [][]byte{good[0], nil, good[2]}
	require.ErrorIs(t, coder.Encode(missing), erasure.ErrBlocks)
	_, err := coder.Verify(missing)
	require.ErrorIs(t, err, erasure.ErrBlocks)
	require.ErrorIs(t, coder.ReconstructData(missing), erasure.ErrBlocks, "no room")
	require.NoError(t, coder.ReconstructData([][]byte{good[0], good[1], nil}), "parity is not wanted and needs no room")
	require.ErrorIs(t, coder.ReconstructSome(good, []bool{true}), erasure.ErrBlocks)
	require.ErrorIs(t, coder.Reconstruct(make([][]byte, 3)), erasure.ErrTooFew)
}

func TestConcurrentUse(t *testing.T) {
	coder, blocks := stripe(t, erasure.Geometry{Data: 4, Parity: 2}, 1000, 8)
	var wg sync.WaitGroup
	for mask := range uint(1) << 6 {
		wg.Go(func() {
			left := lose(blocks, mask)
			if err := coder.Reconstruct(left); err == nil {
				for i := range blocks {
					if !bytes.Equal(blocks[i], left[i]) {
						t.Errorf("mask %b: block %d differs", mask, i)
					}
				}
			}
		})
	}
	wg.Wait()
}

// The codec lays its coefficients out in a small table for each call, on the
// heap; nothing that grows with the blocks may come to that.
func TestEncodeAllocatesNoBlocks(t *testing.T) {
	for _, g := range []erasure.Geometry{{Data: 1}, {Data: 2, Parity: 2}, {Data: 4, Parity: 2}, {Data: 12, Parity: 4}, {Data: 8, Parity: 8}} {
		coder, blocks := stripe(t, g, erasure.BlockBytes, 2)
		const rounds = 50
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			require.NoError(t, coder.Encode(blocks))
		}
		runtime.ReadMemStats(&after)
		require.Less(t, (after.TotalAlloc-before.TotalAlloc)/rounds, uint64(8<<10), "%s", g)
	}
}

func FuzzLoss(f *testing.F) {
	f.Add(uint8(2), uint8(2), uint16(100), uint16(0b0101), uint64(1))
	f.Add(uint8(12), uint8(4), uint16(65535), uint16(0b1111), uint64(2))
	f.Add(uint8(1), uint8(0), uint16(1), uint16(1), uint64(3))
	f.Add(uint8(8), uint8(8), uint16(64), uint16(0xff00), uint64(4))
	f.Fuzz(func(t *testing.T, data, parity uint8, blockBytes, mask uint16, seed uint64) {
		g := erasure.Geometry{Data: int(data), Parity: int(parity)}
		if g.Validate() != nil || blockBytes == 0 {
			return
		}
		coder, blocks := stripe(t, g, int(blockBytes), seed)
		lost := uint(mask) & (1<<g.Shards() - 1)
		if bits.OnesCount(lost) == g.Shards() {
			require.ErrorIs(t, coder.Reconstruct(lose(blocks, lost)), erasure.ErrTooFew)
			return
		}
		checkLoss(t, coder, blocks, lost)
	})
}
