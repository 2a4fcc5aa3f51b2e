package stripe

import (
	"context"
	"fmt"
	"io"

	"github.com/sherd-storage/sherd/erasure"
)

// maxEmptyReads is how often in a row a body may give neither bytes nor an error.
const maxEmptyReads = 100

// body reads an object of announced or unknown size.
type body struct {
	ctx  context.Context
	src  io.Reader
	size int64 // −1 if unknown

	read  int64   // bytes read so far
	ahead [1]byte // a byte that was read before its turn
	held  int     // 1 if there is one
	ended bool    // the end was seen, and the size fits
}

// fill reads until p is full or the body ends; then it gives io.EOF.
func (b *body) fill(p []byte) (int, error) {
	n := copy(p, b.ahead[:b.held])
	b.held -= n
	for empty := 0; n < len(p); {
		if b.ended {
			return n, io.EOF
		}
		if err := b.ctx.Err(); err != nil {
			return n, context.Cause(b.ctx)
		}
		part := p[n:]
		if b.size >= 0 { // one byte too many tells enough
			part = part[:min(int64(len(part)), b.size+1-b.read)]
		}
		m, err := b.src.Read(part)
		n += m
		b.read += int64(m)
		if b.size >= 0 && b.read > b.size {
			return n, fmt.Errorf("%w: more than %d bytes", ErrLongBody, b.size)
		}
		switch {
		case err == io.EOF && b.read < b.size:
			return n, fmt.Errorf("%w: %d of %d bytes: %w", ErrShortBody, b.read, b.size, io.ErrUnexpectedEOF)
		case err == io.EOF:
			b.ended = true
		case err != nil:
			return n, fmt.Errorf("read body: %w", err)
		case m > 0:
			empty = 0
		default:
			if empty++; empty == maxEmptyReads {
				return n, fmt.Errorf("read body: %w", io.ErrNoProgress)
			}
		}
	}
	return n, nil
}

// more tells whether a byte is left.
func (b *body) more() (bool, error) {
	if b.held == 1 {
		return true, nil
	}
	n, err := b.fill(b.ahead[:])
	b.held = n
	if err != nil && err != io.EOF {
		return false, err
	}
	return n == 1, nil
}

// fillBatch reads up to so many stripes into the data chunks of t, and sets its
// count, short, bytes and last. A body without bytes gives one stripe of none.
func (b *body) fillBatch(t *batch, stripes int, g erasure.Geometry) error {
	t.count, t.bytes, t.short, t.last = 0, 0, erasure.BlockBytes, false
	for t.count < stripes {
		t.count++
		read, err := b.fillStripe(t, t.count-1, g)
		t.bytes += read
		switch {
		case err == io.EOF && read == 0 && t.count > 1: // the one before was the last
			t.count--
			t.last = true
			return nil
		case err == io.EOF:
			t.short = compact(t, g, int(read))
			t.last = true
			return nil
		case err != nil:
			return err
		}
	}
	more, err := b.more()
	t.last = !more
	return err
}

// fillStripe reads one stripe; io.EOF says that it is not full.
func (b *body) fillStripe(t *batch, s int, g erasure.Geometry) (int64, error) {
	var read int64
	for shard := range g.Data {
		n, err := b.fill(t.block(shard, s))
		read += int64(n)
		if err != nil {
			return read, err
		}
	}
	return read, nil
}

// compact lays the last stripe of t, read into full blocks, out anew: r bytes in
// blocks of ⌈r/k⌉, zero padded. It returns that length.
//
// From the last block to the first: the bytes of block j lie before its own
// place, in blocks up to j, and those of the blocks before it lie in blocks below
// j; so nothing is overwritten that is still wanted.
func compact(t *batch, g erasure.Geometry, r int) int {
	s := t.count - 1
	b := (r + g.Data - 1) / g.Data
	for j := g.Data - 1; j >= 0; j-- {
		dst := t.block(j, s)[:b]
		from, to := min(j*b, r), min((j+1)*b, r)
		clear(dst[to-from:])
		for end := to; end > from; {
			at := (end - 1) / erasure.BlockBytes
			start := max(from, at*erasure.BlockBytes)
			src := t.block(at, s)[start-at*erasure.BlockBytes : end-at*erasure.BlockBytes]
			copy(dst[start-from:end-from], src)
			end = start
		}
	}
	return b
}
