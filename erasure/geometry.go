package erasure

import (
	"errors"
	"fmt"
)

const (
	// BlockBytes is the length of each block of a full stripe.
	BlockBytes = 64 << 10
	// MaxShards is the largest number of data and parity shards together.
	MaxShards = 16
)

var (
	// ErrGeometry says that no code of this shape exists.
	ErrGeometry = errors.New("impossible geometry")
	// ErrSize says that no object has this size, or no such stripe or range.
	ErrSize = errors.New("impossible size")
)

// Geometry is the shape of a code: an object survives the loss of any Parity of
// its Data+Parity shards.
type Geometry struct {
	Data   int // data shards, at least 1
	Parity int // parity shards, at least 0; may exceed Data
}

// Validate returns an error that wraps ErrGeometry unless Data ≥ 1, Parity ≥ 0
// and Data+Parity ≤ MaxShards.
func (g Geometry) Validate() error {
	// Compared one by one first: the sum of two huge numbers could wrap.
	if g.Data < 1 || g.Parity < 0 || g.Data > MaxShards || g.Parity > MaxShards || g.Data+g.Parity > MaxShards {
		return fmt.Errorf("%w: %s (at least 1+0, at most %d shards)", ErrGeometry, g, MaxShards)
	}
	return nil
}

// Shards is the number of all shards, Data+Parity.
func (g Geometry) Shards() int { return g.Data + g.Parity }

// String is the usual notation, as in "12+4".
func (g Geometry) String() string { return fmt.Sprintf("%d+%d", g.Data, g.Parity) }

// StripeBytes is the number of object bytes in a full stripe.
func (g Geometry) StripeBytes() int64 { return int64(g.Data) * BlockBytes }

// Stripes is the number of stripes of an object of size bytes, the short last
// one included.
func (g Geometry) Stripes(size int64) (int64, error) {
	if err := g.check(size); err != nil {
		return 0, err
	}
	return g.stripes(size), nil
}

// ShardBytes is the number of payload bytes of each shard, parity included:
// full stripes · BlockBytes + ⌈r/Data⌉ for the r bytes of a short last stripe.
func (g Geometry) ShardBytes(size int64) (int64, error) {
	if err := g.check(size); err != nil {
		return 0, err
	}
	full, r := size/g.StripeBytes(), size%g.StripeBytes()
	return full*BlockBytes + ceil(r, int64(g.Data)), nil
}

// BlockBytesOf is the length of each block of one stripe, counted from 0.
func (g Geometry) BlockBytesOf(size, stripe int64) (int, error) {
	if err := g.check(size); err != nil {
		return 0, err
	}
	if stripe < 0 || stripe >= g.stripes(size) {
		return 0, fmt.Errorf("%w: stripe %d of an object of %d bytes", ErrSize, stripe, size)
	}
	return g.blockBytes(size, stripe), nil
}

// Span maps the range [off, off+length) of an object of size bytes to the
// stripes [first, end) that hold it. The range must lie within the object; an
// empty one gives no stripes (first = end).
func (g Geometry) Span(size, off, length int64) (first, end int64, err error) {
	if err := g.checkRange(size, off, length); err != nil {
		return 0, 0, err
	}
	first = off / g.StripeBytes()
	if length == 0 {
		return first, first, nil
	}
	return first, (off+length-1)/g.StripeBytes() + 1, nil
}

// Blocks maps the range [off, off+length) of an object to the data blocks
// [first, end) of one stripe that hold bytes of it; none (first = end) if the
// range does not touch the stripe.
func (g Geometry) Blocks(size, stripe, off, length int64) (first, end int, err error) {
	if err := g.checkRange(size, off, length); err != nil {
		return 0, 0, err
	}
	b, err := g.BlockBytesOf(size, stripe)
	if err != nil {
		return 0, 0, err
	}
	base := stripe * g.StripeBytes()
	from := max(off-base, 0)
	to := min(off+length-base, g.StripeBytes())
	if from >= to {
		return 0, 0, nil
	}
	return int(from / int64(b)), int((to-1)/int64(b)) + 1, nil
}

// Lay appends to dst the Data+Parity blocks, blockBytes long each, of a stripe
// that lies contiguously in buf: its data is buf[:Data·blockBytes], its parity
// follows. Nothing is copied, and no block can grow into the next.
func (g Geometry) Lay(dst [][]byte, buf []byte, blockBytes int) ([][]byte, error) {
	if err := g.Validate(); err != nil {
		return dst, err
	}
	if blockBytes < 1 || blockBytes > BlockBytes || len(buf) < g.Shards()*blockBytes {
		return dst, fmt.Errorf("%w: %d blocks of %d bytes in a buffer of %d", ErrBlocks, g.Shards(), blockBytes, len(buf))
	}
	for i := range g.Shards() {
		dst = append(dst, buf[i*blockBytes:(i+1)*blockBytes:(i+1)*blockBytes])
	}
	return dst, nil
}

// check holds the conditions that all size arithmetic shares. No further one is
// needed against overflow: every result is at most size + BlockBytes·Data or a
// quotient of size, and stripes are counted by division.
func (g Geometry) check(size int64) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("%w: an object of %d bytes", ErrSize, size)
	}
	return nil
}

func (g Geometry) checkRange(size, off, length int64) error {
	if err := g.check(size); err != nil {
		return err
	}
	if off < 0 || length < 0 || off > size || length > size-off {
		return fmt.Errorf("%w: %d bytes at %d of an object of %d", ErrSize, length, off, size)
	}
	return nil
}

func (g Geometry) stripes(size int64) int64 { return ceil(size, g.StripeBytes()) }

// blockBytes is BlockBytesOf for a stripe that is known to exist.
func (g Geometry) blockBytes(size, stripe int64) int {
	return int(ceil(min(size-stripe*g.StripeBytes(), g.StripeBytes()), int64(g.Data)))
}

// ceil is ⌈a/b⌉ for a ≥ 0 and b > 0, without forming a+b−1.
func ceil(a, b int64) int64 {
	q := a / b
	if a%b != 0 {
		q++
	}
	return q
}
