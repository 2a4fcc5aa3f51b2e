// Goal: the code is the one that docs/FORMAT.md defines. Method: its formula,
// computed without tables and without the codec, for every geometry.
package erasure_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/erasure"
)

// times multiplies in GF(2^8) with the polynomial 0x11D.
func times(a, b byte) (p byte) {
	for x := uint16(a); b != 0; b >>= 1 {
		if b&1 != 0 {
			p ^= byte(x)
		}
		if x <<= 1; x&0x100 != 0 {
			x ^= 0x11D
		}
	}
	return p
}

func power(a byte, n int) byte {
	p := byte(1)
	for range n {
		p = times(p, a)
	}
	return p
}

// combined gives the blocks c_r with c = V·T⁻¹·d, one byte each: it solves
// T·x = d by elimination and multiplies by V.
func combined(data []byte, shards int) []byte {
	k := len(data)
	rows, d := make([][]byte, k), append([]byte(nil), data...)
	for r := range rows {
		for c := range k {
			rows[r] = append(rows[r], power(byte(r), c))
		}
	}
	for c := range k {
		for r := c; ; r++ {
			if rows[r][c] != 0 {
				rows[c], rows[r], d[c], d[r] = rows[r], rows[c], d[r], d[c]
				break
			}
		}
		inverse := power(rows[c][c], 254)
		for r := range k {
			if r == c || rows[r][c] == 0 {
				continue
			}
			f := times(rows[r][c], inverse)
			for i := range k {
				rows[r][i] ^= times(f, rows[c][i])
			}
			d[r] ^= times(f, d[c])
		}
	}
	out := make([]byte, shards)
	for r := range out {
		for c := range k {
			out[r] ^= times(power(byte(r), c), times(d[c], power(rows[c][c], 254)))
		}
	}
	return out
}

func TestTheFormulaOfTheFormat(t *testing.T) {
	for k := 1; k <= 16; k++ {
		for m := 0; k+m <= 16; m++ {
			coder, err := erasure.New(erasure.Geometry{Data: k, Parity: m})
			if err != nil {
				continue // more parity than a set has
			}
			blocks, data := make([][]byte, k+m), make([]byte, k)
			for i := range blocks {
				blocks[i] = []byte{byte(29*i + 7*k + m + 1)}
			}
			for i := range data {
				data[i] = blocks[i][0]
			}
			require.NoError(t, coder.Encode(blocks))
			for i, want := range combined(data, k+m) {
				require.Equal(t, want, blocks[i][0], "block %d of %d+%d", i, k, m)
			}
		}
	}
}
