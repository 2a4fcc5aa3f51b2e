package stripe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/semaphore"
)

// ReadOptions are for NewReader and Rebuild; nil means the defaults.
type ReadOptions struct {
	// Limit gives the time after which a shard that was asked for is late, and
	// another one is read in its place; the 95th percentile of recent reads serves
	// well. It is called for each batch of stripes. Default, or a result that is not
	// positive: only a shard that fails is replaced.
	Limit func() time.Duration
	// Last are shards that are asked only where the others are not enough, as bits.
	Last uint32
	// Observe is told how long each good read of one shard's part of a batch took,
	// from open to verified, the late ones too. It is called from several goroutines
	// at once, and needs Now.
	Observe func(shard int, took time.Duration)
	// Now is the clock for Observe.
	Now func() time.Time
	// Grace is how long Close waits for sources that do not return before it gives
	// them up. Default 0: for ever.
	Grace time.Duration
}

// Reader gives a range of an object. Bytes are verified before they are given
// out. It reads ahead of its caller, so it must be closed.
type Reader struct {
	f      *fetcher // nil for an empty range
	grace  time.Duration
	memory *semaphore.Weighted
	freed  int64 // bytes of memory to give back

	current *batch // being given out; nil if the next is to be taken
	at      int64  // offset in the object of the next byte
	end     int64  // offset of the range's end
	err     error  // sticky
	closed  bool
}

// NewReader reads length bytes from offset off of an object. Sources has a slot
// for each shard; nil is one that is not at hand. Reading begins at once, and
// ends with ctx.
//
// It waits for memory of the Engine, with ctx.
func (e *Engine) NewReader(ctx context.Context, object Object, sources []Source, off, length int64, options *ReadOptions) (*Reader, error) {
	first, end, err := object.Geometry.Span(object.Size, off, length)
	if err != nil {
		return nil, err
	}
	r := &Reader{at: off, end: off + length}
	if len(sources) != object.Geometry.Shards() {
		return nil, fmt.Errorf("%w: %d sources for %s", ErrInput, len(sources), object.Geometry)
	}
	if length == 0 {
		return r, nil
	}
	touched := func(b *batch) uint32 {
		var want uint32
		for s := range b.count {
			from, to, _ := object.Geometry.Blocks(object.Size, b.first+int64(s), off, length) // the range was checked
			want |= 1<<to - 1<<from
		}
		return want
	}
	stripes := batchStripes(object.Geometry, end-first)
	if err := e.fetch(ctx, r, object, sources, first, end, stripes, e.memory, touched, options); err != nil {
		return nil, err
	}
	return r, nil
}

// fetch starts the goroutines of r for the stripes [first, end), so many at once.
func (e *Engine) fetch(ctx context.Context, r *Reader, object Object, sources []Source, first, end int64, stripes int,
	memory *semaphore.Weighted, want func(*batch) uint32, options *ReadOptions) error {
	var o ReadOptions
	if options != nil {
		o = *options
	}
	if o.Observe != nil && o.Now == nil {
		return fmt.Errorf("%w: Observe without a clock", ErrInput)
	}
	coder, err := e.coder(object.Geometry)
	if err != nil {
		return err
	}
	g := object.Geometry
	depth := int(min(readBatches, (end-first+int64(stripes)-1)/int64(stripes)))
	// Shards that are late keep their chunks while others are read and computed.
	r.memory, r.freed = memory, int64(depth*(g.Shards()+g.Parity)*stripes*frameBytes)
	if err := memory.Acquire(ctx, r.freed); err != nil {
		return context.Cause(ctx)
	}
	inner, cancel := context.WithCancel(ctx)
	r.grace = o.Grace
	r.f = &fetcher{engine: e, ctx: inner, cancel: cancel, object: object, coder: coder, sources: sources,
		limit: o.Limit, now: o.Now, observe: o.Observe, want: want, stripes: stripes, next: first, end: end}
	r.f.start(depth, o.Last)
	return nil
}

// Ready waits until the first bytes can be given out, or until it is clear that
// they cannot: so that a caller can still answer with an error. An empty range,
// and the end, are ready.
func (r *Reader) Ready() error {
	if err := r.more(); err != io.EOF {
		return err
	}
	return nil
}

// Read gives verified bytes, and io.EOF at the end of the range. An error is
// sticky: ErrTooFewShards, with what each shard's error was, or the cause of the
// context's end.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.more(); err != nil {
		return 0, err
	}
	n := copy(p, r.piece())
	r.advance(n)
	return n, nil
}

// WriteTo writes the rest of the range to w, in pieces of up to 64 KiB that are not
// copied before.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		err := r.more()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		piece := r.piece()
		n, err := w.Write(piece)
		if n < 0 || n > len(piece) {
			n, err = 0, errors.Join(err, fmt.Errorf("%w: a writer that took %d bytes of %d", ErrInput, n, len(piece)))
		}
		total += int64(n)
		r.advance(n)
		if err == nil && n < len(piece) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
}

// Damage lists the shards that failed so far, each with its first error. Shards
// that were only late are not among them. It may be called after Close.
func (r *Reader) Damage() []Damage {
	if r.f == nil {
		return nil
	}
	return r.f.report()
}

// Close ends reading, closes what was opened, and waits for it. It returns ErrStuck
// if something did not return within the grace; a second call returns nil.
func (r *Reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.err == nil || r.err == io.EOF {
		r.err = ErrClosed
	}
	if r.f == nil {
		return nil
	}
	stuck := r.f.stop(r.grace)
	r.giveBack()
	r.memory.Release(r.freed)
	if stuck > 0 {
		return fmt.Errorf("%w: %d after %v", ErrStuck, stuck, r.grace)
	}
	return nil
}

// giveBack recycles the chunks that nobody uses.
func (r *Reader) giveBack() {
	if r.current != nil {
		r.f.free <- r.current // never blocks, as in advance
		r.current = nil
	}
	for len(r.f.ready) > 0 {
		r.f.engine.recycle(r.f.stripes, (<-r.f.ready).chunks)
	}
	for len(r.f.free) > 0 {
		r.f.engine.recycle(r.f.stripes, (<-r.f.free).chunks)
	}
}

// more makes sure that a byte can be given out; io.EOF at the end.
func (r *Reader) more() error {
	if r.err != nil {
		return r.err
	}
	if r.at == r.end {
		r.err = io.EOF
		return r.err
	}
	if r.current != nil {
		return nil
	}
	b, ok := <-r.f.ready
	if !ok {
		if r.err = r.f.err; r.err == nil {
			r.err = io.ErrUnexpectedEOF
		}
		return r.err
	}
	r.current = b
	return nil
}

// piece is the longest run of bytes that lies in one block and is next.
func (r *Reader) piece() []byte {
	b := r.current
	width := r.f.object.Geometry.StripeBytes()
	s := int(r.at/width - b.first)
	in := r.at % width
	length := int64(b.blockBytes(s))
	block := b.block(int(in/length), s)[in%length:]
	return block[:min(int64(len(block)), r.end-r.at)]
}

// advance gives the batch back once all of it was given out.
func (r *Reader) advance(n int) {
	r.at += int64(n)
	b := r.current
	if r.at == r.end || r.at >= (b.first+int64(b.count))*r.f.object.Geometry.StripeBytes() {
		r.current = nil
		r.f.free <- b // never blocks: there are no more batches than its length
	}
}
