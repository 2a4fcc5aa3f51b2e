package erasure

import (
	"errors"
	"fmt"

	"github.com/klauspost/reedsolomon"
)

var (
	// ErrBlocks says that the blocks handed in are not those of one stripe: wrong
	// number, unequal lengths, one missing that must be there, or no room for it.
	ErrBlocks = errors.New("not the blocks of a stripe")
	// ErrTooFew says that fewer blocks are left than the code needs.
	ErrTooFew = errors.New("too few blocks left")
)

// cachedPatterns bounds what the codec may remember: one inverted matrix for
// each pattern of lost shards. Geometries with more patterns invert anew.
const cachedPatterns = 4096

// Coder computes parity and lost blocks for one geometry. It holds only the
// matrix, and is safe for concurrent use.
//
// All methods take the Data+Parity blocks of one stripe in order of shards, all
// of one length from 1 to any; a missing block has length 0.
type Coder struct {
	geometry Geometry
	code     reedsolomon.Encoder
}

// New makes a Coder, or returns an error that wraps ErrGeometry.
func New(g Geometry) (*Coder, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	code, err := reedsolomon.New(g.Data, g.Parity,
		// The codec would else split each block among goroutines of its own.
		reedsolomon.WithMaxGoroutines(1),
		reedsolomon.WithInversionCache(patterns(g) <= cachedPatterns))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrGeometry, g, err)
	}
	return &Coder{geometry: g, code: code}, nil
}

// patterns counts the ways to lose 1 to Parity of all shards.
func patterns(g Geometry) int {
	sum, choose := 0, 1
	for lost := 1; lost <= g.Parity; lost++ {
		choose = choose * (g.Shards() - lost + 1) / lost
		sum += choose
	}
	return sum
}

// Geometry is what the Coder was made for.
func (c *Coder) Geometry() Geometry { return c.geometry }

// Encode computes the parity blocks from the data blocks. All blocks must be
// there; the content of the parity blocks is overwritten. It allocates at most a
// table of about 1 KiB inside the codec, whatever the blocks' length.
func (c *Coder) Encode(blocks [][]byte) error {
	present, length, err := c.survey(blocks)
	if err != nil {
		return err
	}
	if present < len(blocks) {
		return fmt.Errorf("%w: %d of %d blocks of %d bytes to encode", ErrBlocks, present, len(blocks), length)
	}
	return c.wrap(c.code.Encode(blocks))
}

// Verify tells whether the parity blocks are those of the data blocks. All
// blocks must be there; none is changed.
func (c *Coder) Verify(blocks [][]byte) (bool, error) {
	present, length, err := c.survey(blocks)
	if err != nil {
		return false, err
	}
	if present < len(blocks) {
		return false, fmt.Errorf("%w: %d of %d blocks of %d bytes to verify", ErrBlocks, present, len(blocks), length)
	}
	ok, err := c.code.Verify(blocks)
	return ok, c.wrap(err)
}

// Reconstruct computes every missing block. A missing block has length 0 and
// room (capacity) for one; it is set to its full length. Blocks that are
// present are believed and not changed. With fewer than Data present it returns
// an error that wraps ErrTooFew; on any error nothing was changed.
func (c *Coder) Reconstruct(blocks [][]byte) error {
	if err := c.missing(blocks, func(int) bool { return true }); err != nil {
		return err
	}
	return c.wrap(c.code.Reconstruct(blocks))
}

// ReconstructData is Reconstruct for the missing data blocks only; missing
// parity blocks stay as they are and need no room.
func (c *Coder) ReconstructData(blocks [][]byte) error {
	if err := c.missing(blocks, func(i int) bool { return i < c.geometry.Data }); err != nil {
		return err
	}
	return c.wrap(c.code.ReconstructData(blocks))
}

// ReconstructSome is Reconstruct for the missing blocks i with want[i]; want has
// Data+Parity elements. The others stay as they are and need no room.
func (c *Coder) ReconstructSome(blocks [][]byte, want []bool) error {
	if len(want) != c.geometry.Shards() {
		return fmt.Errorf("%w: %d wishes for %s", ErrBlocks, len(want), c.geometry)
	}
	if err := c.missing(blocks, func(i int) bool { return want[i] }); err != nil {
		return err
	}
	return c.wrap(c.code.ReconstructSome(blocks, want))
}

// survey counts the blocks that are present and gives their common length.
func (c *Coder) survey(blocks [][]byte) (present, length int, err error) {
	if len(blocks) != c.geometry.Shards() {
		return 0, 0, fmt.Errorf("%w: %d blocks for %s", ErrBlocks, len(blocks), c.geometry)
	}
	for i, b := range blocks {
		switch {
		case len(b) == 0:
			continue
		case length == 0:
			length = len(b)
		case len(b) != length:
			return 0, 0, fmt.Errorf("%w: block %d has %d bytes, another %d", ErrBlocks, i, len(b), length)
		}
		present++
	}
	if present == 0 {
		return 0, 0, fmt.Errorf("%w: none of %s", ErrTooFew, c.geometry)
	}
	return present, length, nil
}

// missing checks that the missing blocks that are wanted can be computed, and
// have room.
func (c *Coder) missing(blocks [][]byte, want func(i int) bool) error {
	present, length, err := c.survey(blocks)
	if err != nil {
		return err
	}
	lost := false
	for i, b := range blocks {
		if len(b) != 0 || !want(i) {
			continue
		}
		lost = true
		if cap(b) < length {
			return fmt.Errorf("%w: block %d has room for %d bytes of %d", ErrBlocks, i, cap(b), length)
		}
	}
	if lost && present < c.geometry.Data {
		return fmt.Errorf("%w: %d of %s", ErrTooFew, present, c.geometry)
	}
	return nil
}

// wrap passes on what the codec itself finds wrong; survey and missing have
// ruled out all that it is known to reject.
func (c *Coder) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrBlocks, err)
}
