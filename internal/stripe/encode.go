package stripe

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
)

// writeBatches is the depth of the way in: one batch is being read while others
// are sealed and written.
const writeBatches = 3

// stallSlices are what StallAfter is waited for in: a host that was paused has
// used up one of them, and what happened meanwhile is seen in the next.
const stallSlices = 8

// ShardWriter takes the stream of one shard, several whole frames at a time, in
// order, from one goroutine. A Write that takes less without an error is a
// failure. Encode never calls it again after an error.
type ShardWriter interface {
	Write(p []byte) (int, error)
}

// EncodeOptions are for Encode; nil means the defaults.
type EncodeOptions struct {
	// Need is how many sinks must take everything. Default, and least, is what the
	// object needs to be read: the data shards.
	Need int
	// Beside gets the bytes of the body in order, each on a goroutine of its own
	// that reads the pipeline's memory: hashes belong here. An error of one of them
	// ends the call.
	Beside []io.Writer
	// StallAfter is how long after Need sinks have taken a batch the others may
	// take for it before they are dropped (ErrStalled). After an error or a
	// cancelled context it is how long sinks are waited for. Default 0: for ever.
	StallAfter time.Duration
}

// Encoded says what became of an object.
type Encoded struct {
	ObjectBytes int64   // bytes of the body
	ShardBytes  int64   // payload bytes of each shard
	Errs        []error // by shard; nil where the whole stream was taken
}

// Live is the number of shards that were written to the end.
func (e Encoded) Live() int {
	n := 0
	for _, err := range e.Errs {
		if err == nil {
			n++
		}
	}
	return n
}

// Encode reads the body to its end and writes the streams of its shards, one to
// each sink; a nil sink is a shard that cannot be written. Size is what the body
// is announced to have in bytes, −1 if that is unknown.
//
// On success at least Need sinks have a whole stream, and Errs says what happened
// to the others. Errors: ErrShortBody, ErrLongBody, ErrTooFewSinks, an error of
// the body or of Beside, the cause of ctx's end. Encoded.Errs is filled in then
// too, but no sink can be relied on.
func (e *Engine) Encode(ctx context.Context, src io.Reader, size int64, g erasure.Geometry, data DataID,
	sinks []ShardWriter, options *EncodeOptions) (Encoded, error) {
	coder, err := e.coder(g)
	if err != nil {
		return Encoded{}, err
	}
	var o EncodeOptions
	if options != nil {
		o = *options
	}
	o.Need = max(o.Need, g.Data)
	if len(sinks) != g.Shards() || o.Need > g.Shards() || size < -1 {
		return Encoded{}, fmt.Errorf("%w: %d sinks, of which %d are needed, for %s and %d bytes", ErrInput, len(sinks), o.Need, g, size)
	}
	x := &encoder{engine: e, ctx: ctx, body: body{ctx: ctx, src: src, size: size},
		geometry: g, coder: coder, data: data, need: o.Need, stall: o.StallAfter,
		wake: make(chan struct{}, 1)}
	stripes := int64(-1)
	if size >= 0 {
		if stripes, err = g.Stripes(size); err != nil {
			return Encoded{}, err
		}
	}
	x.stripes = batchStripes(g, stripes)
	x.depth = writeBatches
	if stripes >= 0 {
		x.depth = int(min(writeBatches, max(1, (stripes+int64(x.stripes)-1)/int64(x.stripes))))
	}
	x.reserved = int64(x.depth * g.Shards() * x.stripes * frameBytes)
	if err := e.memory.Acquire(ctx, x.reserved); err != nil {
		return Encoded{}, context.Cause(ctx)
	}
	defer x.release()
	err = x.run(sinks, o.Beside)
	return x.result(), err
}

// encoder is one call of Encode. Its goroutine reads the body and computes
// parity; consumers seal and write, or hash.
type encoder struct {
	engine   *Engine
	ctx      context.Context
	body     body
	geometry erasure.Geometry
	coder    *erasure.Coder
	data     DataID
	need     int
	stall    time.Duration
	stripes  int   // of a batch
	depth    int   // batches at most
	reserved int64 // bytes of the engine's memory, given back by release

	next      int64 // number of the stripe to read
	seq       int64 // number of the batch to read
	consumers []*consumer
	inflight  []*batch // handed to consumers, oldest first
	spare     []*batch // all others
	wake      chan struct{}

	mu      sync.Mutex
	aborted bool // nothing more is to be written
	live    int  // sinks without an error
	running int  // consumers whose goroutine runs and was not given up
	err     error
}

// run is the whole of the call.
func (x *encoder) run(sinks []ShardWriter, beside []io.Writer) error {
	x.start(sinks, beside)
	err := x.pump()
	if err == nil {
		err = x.settle()
	}
	if err != nil {
		x.mu.Lock()
		x.aborted = true
		x.mu.Unlock()
		_ = x.settle() // what it could find is not what went wrong first
	}
	for _, c := range x.consumers {
		close(c.queue)
	}
	x.await(func() (bool, bool) { return x.running == 0, false }, nil)
	return err
}

// pump takes the body to its end.
func (x *encoder) pump() error {
	for last := false; !last; {
		b, err := x.take()
		if err != nil {
			return err
		}
		b.first, b.seq = x.next, x.seq
		if err := x.body.fillBatch(b, x.stripes, x.geometry); err != nil {
			x.spare = append(x.spare, b)
			return err
		}
		last = b.last
		x.next += int64(b.count)
		x.seq++
		if err := x.code(b); err != nil {
			x.spare = append(x.spare, b)
			return err
		}
		if err := x.dispatch(b); err != nil {
			return err
		}
	}
	return nil
}

// take gives a batch that nobody uses, waiting for the oldest if there are as
// many as there may be.
func (x *encoder) take() (*batch, error) {
	if len(x.inflight) == x.depth {
		if err := x.finish(x.inflight[0]); err != nil {
			return nil, err
		}
		x.spare = append(x.spare, x.inflight[0])
		x.inflight = append(x.inflight[:0], x.inflight[1:]...)
	}
	b := &batch{chunks: make([][]byte, x.geometry.Shards())}
	if n := len(x.spare); n > 0 {
		b, x.spare = x.spare[n-1], x.spare[:n-1]
	}
	for i := range b.chunks {
		if b.chunks[i] == nil {
			b.chunks[i] = x.engine.chunk(x.stripes)
		}
	}
	return b, nil
}

// code computes the parity of every stripe of b.
func (x *encoder) code(b *batch) error {
	if b.short == 0 || x.geometry.Parity == 0 {
		return nil
	}
	var blocks [erasure.MaxShards][]byte
	for s := range b.count {
		for i := range b.chunks {
			blocks[i] = b.block(i, s)
		}
		if err := x.coder.Encode(blocks[:len(b.chunks)]); err != nil {
			return err
		}
	}
	return nil
}

// dispatch hands b to every consumer that still works.
func (x *encoder) dispatch(b *batch) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.inflight = append(x.inflight, b)
	b.pending, b.done = 0, 0
	for _, c := range x.consumers {
		if c.err == nil {
			b.pending++
			c.queue <- b // never blocks: there are no more batches than its length
		}
	}
	return x.failure()
}

// failure is what must end the call. The lock is held.
func (x *encoder) failure() error {
	if x.err != nil {
		return x.err
	}
	if x.live < x.need {
		return tooFew(ErrTooFewSinks, x.live, x.need, x.damage())
	}
	return nil
}

// settle waits until no batch is in use.
func (x *encoder) settle() error {
	for len(x.inflight) > 0 {
		b := x.inflight[0]
		if err := x.finish(b); err != nil {
			return err
		}
		x.spare = append(x.spare, b)
		x.inflight = x.inflight[1:]
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.failure()
}

// finish waits until b, the oldest batch, is in use no more, and drops sinks that
// stay away. Once the call is aborted only that is waited for.
func (x *encoder) finish(b *batch) error {
	err := x.await(func() (bool, bool) { return b.pending == 0, x.aborted || b.done >= x.need }, b)
	if err != nil {
		return err
	}
	for shard := range b.chunks {
		if b.lost>>shard&1 == 1 {
			b.chunks[shard] = nil
		}
	}
	b.lost = 0
	return nil
}

// await waits until ready, called under the lock, says that it is over. Its second
// result says whether sinks that have not finished b are late from now on.
func (x *encoder) await(ready func() (over, late bool), b *batch) error {
	var timer *time.Timer
	var expired <-chan time.Time
	left := 0
	for {
		x.mu.Lock()
		over, late := ready()
		err, done := x.failure(), x.ctx.Done()
		if x.aborted || b == nil {
			err, done = nil, nil
		}
		x.mu.Unlock()
		if over || err != nil {
			if timer != nil {
				timer.Stop()
			}
			return err
		}
		if late && x.stall > 0 && timer == nil {
			timer, left = time.NewTimer(x.stall/stallSlices), stallSlices
			expired = timer.C
		}
		select {
		case <-x.wake:
		case <-expired:
			if left--; left > 0 {
				timer.Reset(x.stall / stallSlices)
				continue
			}
			x.giveUp(b)
			timer, expired = nil, nil
		case <-done:
			if timer != nil {
				timer.Stop()
			}
			return context.Cause(x.ctx)
		}
	}
}

// result says what became of the shards.
func (x *encoder) result() Encoded {
	r := Encoded{ObjectBytes: x.body.read, Errs: make([]error, x.geometry.Shards())}
	if n, err := x.geometry.ShardBytes(x.body.read); err == nil {
		r.ShardBytes = n
	}
	for i := range r.Errs {
		r.Errs[i] = ErrAbsent
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.consumers {
		if c.sink {
			r.Errs[c.id.Shard] = c.err
		}
	}
	return r
}

// damage lists the sinks that failed. The lock is held.
func (x *encoder) damage() []Damage {
	var list []Damage
	for _, c := range x.consumers {
		if c.sink && c.err != nil {
			list = append(list, Damage{Shard: int(c.id.Shard), Err: c.err})
		}
	}
	return list
}

// release gives memory back.
func (x *encoder) release() {
	for _, b := range x.spare {
		x.engine.recycle(x.stripes, b.chunks)
	}
	x.engine.memory.Release(x.reserved)
}

// shardID names the frames of one shard.
func (x *encoder) shardID(shard int) bitrot.ShardID {
	return bitrot.ShardID{Data: x.data, Shard: uint8(shard)}
}
