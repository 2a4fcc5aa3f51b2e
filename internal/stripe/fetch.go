package stripe

import (
	"context"
	"math/bits"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
)

// readBatches is the depth of the way out: one batch is given out while the next
// is read.
const readBatches = 2

// fetcher reads the batches of a range, one after another and a little ahead of
// who takes them. Its own goroutine decides; a worker for each shard in use reads.
type fetcher struct {
	engine  *Engine
	ctx     context.Context
	cancel  context.CancelFunc
	object  Object
	coder   *erasure.Coder
	sources []Source
	limit   func() time.Duration
	now     func() time.Time
	observe func(shard int, took time.Duration)
	want    func(b *batch) uint32 // shards whose blocks must be there in the end
	stripes int                   // of a batch
	next    int64                 // stripe to read
	end     int64                 // stripe to stop at
	shards  []shardState
	pieces  chan piece
	free    chan *batch
	ready   chan *batch // closed after the last one, or when err is set

	err error // why it ended early; set before ready is closed

	mu      sync.Mutex
	damage  []Damage
	running int           // goroutines
	idle    chan struct{} // closed when running falls to zero
	left    bool          // nobody waits for them any more
}

// shardState is what the fetcher's goroutine knows of one shard.
type shardState struct {
	jobs    chan job // nil until there is a worker
	busy    bool     // the worker has a job, of this batch or of one before
	demerit int      // how often it failed or was late: who has fewer is asked first

	// In the batch that is being read:
	asked bool
	late  bool   // was not there within the limit
	good  uint32 // stripes whose frame is verified
}

// start begins to read.
func (f *fetcher) start(depth int, last uint32) {
	f.shards = make([]shardState, f.object.Geometry.Shards())
	for i := range f.shards {
		f.shards[i].demerit = int(last >> i & 1)
	}
	f.pieces = make(chan piece, len(f.shards))
	f.free = make(chan *batch, depth)
	f.ready = make(chan *batch, depth)
	f.idle = make(chan struct{})
	for range depth {
		f.free <- &batch{chunks: make([][]byte, len(f.shards))}
	}
	f.running = 1
	go f.run()
}

// run reads batch after batch until the end, an error, or the context's end.
func (f *fetcher) run() {
	defer f.exit()
	defer close(f.ready)
	defer func() {
		for i := range f.shards {
			if f.shards[i].jobs != nil {
				close(f.shards[i].jobs)
			}
		}
	}()
	for seq := int64(0); f.next < f.end; seq++ {
		var b *batch
		select {
		case b = <-f.free:
		case <-f.ctx.Done():
			f.err = context.Cause(f.ctx)
			return
		}
		f.plan(b, seq)
		if f.err = f.load(b); f.err != nil {
			f.free <- b // never blocks: it came from there
			return
		}
		f.ready <- b // never blocks: there are no more batches than its length
	}
}

// plan sets which stripes b has.
func (f *fetcher) plan(b *batch, seq int64) {
	g, size := f.object.Geometry, f.object.Size
	b.seq = seq
	b.first = f.next
	b.count = int(min(int64(f.stripes), f.end-f.next))
	f.next += int64(b.count)
	b.last = f.next*g.StripeBytes() >= size
	from := b.first * g.StripeBytes()
	b.bytes = min(f.next*g.StripeBytes(), size) - from
	b.short, _ = g.BlockBytesOf(size, f.next-1) // it exists: the range was checked
}

// load gets every wanted block of b, by reading or by computing it.
func (f *fetcher) load(b *batch) error {
	want := f.want(b)
	for i := range f.shards {
		s := &f.shards[i]
		s.asked, s.late, s.good = false, false, 0
	}
	err := f.gather(b, want)
	f.leave(b) // from here on no chunk of b is anybody else's
	if err != nil {
		return err
	}
	return f.compute(b, want)
}

// gather reads until it has enough.
func (f *fetcher) gather(b *batch, want uint32) error {
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for {
		asked := f.ask(b, want)
		if f.enough(b, want) {
			return nil
		}
		if !f.waiting() {
			return tooFew(ErrTooFewShards, f.fewest(b), f.object.Geometry.Data, f.report())
		}
		if asked {
			timer = f.arm(timer)
		}
		var expired <-chan time.Time
		if timer != nil {
			expired = timer.C
		}
		select {
		case p := <-f.pieces:
			f.take(b, p)
		case <-expired:
			f.tooLate()
		case <-f.ctx.Done():
			return context.Cause(f.ctx)
		}
	}
}

// arm sets the time after which shards that were asked are late.
func (f *fetcher) arm(timer *time.Timer) *time.Timer {
	if f.limit == nil {
		return timer
	}
	d := f.limit()
	if d <= 0 {
		return timer
	}
	if timer == nil {
		return time.NewTimer(d)
	}
	timer.Reset(d)
	return timer
}

// tooLate marks every shard that is still being waited for.
func (f *fetcher) tooLate() {
	for i := range f.shards {
		if s := &f.shards[i]; s.asked && s.busy && !s.late {
			s.late = true
			s.demerit++
		}
	}
}

// ask gives jobs to as many shards as seem needed, and tells whether to any.
func (f *fetcher) ask(b *batch, want uint32) bool {
	asked := false
	if f.untouched() && f.clean(want) {
		for i := range f.shards {
			if want>>i&1 == 1 {
				f.give(b, i)
				asked = true
			}
		}
	}
	for f.short(b, want) {
		i := f.candidate()
		if i < 0 {
			break
		}
		f.give(b, i)
		asked = true
	}
	return asked
}

// untouched tells whether no shard was asked for this batch.
func (f *fetcher) untouched() bool {
	for i := range f.shards {
		if f.shards[i].asked {
			return false
		}
	}
	return true
}

// clean tells whether all wanted shards can be asked and never gave trouble: then
// they are enough, however few.
func (f *fetcher) clean(want uint32) bool {
	for i := range f.shards {
		s := &f.shards[i]
		if want>>i&1 == 1 && (f.sources[i] == nil || s.busy || s.demerit > 0) {
			return false
		}
	}
	return true
}

// short tells whether some stripe would miss wanted blocks even if every shard
// that is waited for, and is not late, came.
func (f *fetcher) short(b *batch, want uint32) bool {
	return !f.holds(b, want, func(s *shardState) bool { return s.asked && s.busy && !s.late })
}

// enough tells whether every stripe has its wanted blocks, or can compute them.
func (f *fetcher) enough(b *batch, want uint32) bool {
	return f.holds(b, want, func(*shardState) bool { return false })
}

func (f *fetcher) holds(b *batch, want uint32, hoped func(*shardState) bool) bool {
	for s := range b.count {
		have := f.have(s, hoped)
		if want&^have != 0 && bits.OnesCount32(have) < f.object.Geometry.Data {
			return false
		}
	}
	return true
}

// have is the set of shards with a good frame of stripe s, or with hope of one.
func (f *fetcher) have(s int, hoped func(*shardState) bool) uint32 {
	var have uint32
	for i := range f.shards {
		if st := &f.shards[i]; st.good>>s&1 == 1 || hoped(st) {
			have |= 1 << i
		}
	}
	return have
}

// fewest is the number of good frames of the stripe that has the fewest.
func (f *fetcher) fewest(b *batch) int {
	n := len(f.shards)
	for s := range b.count {
		n = min(n, bits.OnesCount32(f.have(s, func(*shardState) bool { return false })))
	}
	return n
}

// candidate is the shard to ask next, −1 if there is none: of those that were not
// asked, the first of those with the fewest demerits.
func (f *fetcher) candidate() int {
	best := -1
	for i := range f.shards {
		s := &f.shards[i]
		if f.sources[i] == nil || s.asked || s.busy {
			continue
		}
		if best < 0 || s.demerit < f.shards[best].demerit {
			best = i
		}
	}
	return best
}

// waiting tells whether any worker may still answer.
func (f *fetcher) waiting() bool {
	for i := range f.shards {
		if f.shards[i].busy {
			return true
		}
	}
	return false
}

// give asks shard i for its frames of b.
func (f *fetcher) give(b *batch, i int) {
	s := &f.shards[i]
	if s.jobs == nil {
		s.jobs = make(chan job, 1)
		w := &worker{f: f, id: bitrot.ShardID{Data: f.object.Data, Shard: uint8(i)}, open: f.sources[i], jobs: s.jobs}
		f.mu.Lock()
		f.running++
		f.mu.Unlock()
		go w.loop()
	}
	f.room(b, i)
	s.asked, s.busy = true, true
	s.jobs <- job{part: b.part(i), seq: b.seq} // never blocks: it was idle
}

// room makes sure that b has a chunk for shard i.
func (f *fetcher) room(b *batch, i int) {
	if b.chunks[i] == nil {
		b.chunks[i] = f.engine.chunk(f.stripes)
	}
}

// take notes an answer, which may be to a batch before this one.
func (f *fetcher) take(b *batch, p piece) {
	s := &f.shards[p.shard]
	s.busy = false
	if p.err != nil {
		s.demerit++
		f.damaged(p.shard, p.err)
	}
	if p.seq != b.seq {
		f.engine.recycle(f.stripes, [][]byte{p.chunk})
		return
	}
	s.good = p.good
}

// leave lets go of the chunks that workers still write to: they are theirs.
func (f *fetcher) leave(b *batch) {
	for i := range f.shards {
		if f.shards[i].asked && f.shards[i].busy {
			b.chunks[i] = nil
		}
	}
}

// compute makes the wanted blocks that were not read.
func (f *fetcher) compute(b *batch, want uint32) error {
	var blocks [erasure.MaxShards][]byte
	var wanted [erasure.MaxShards]bool
	n := len(f.shards)
	for s := range b.count {
		have := f.have(s, func(*shardState) bool { return false })
		if want&^have == 0 {
			continue
		}
		for i := range n {
			blocks[i], wanted[i] = nil, want&^have>>i&1 == 1
			switch {
			case have>>i&1 == 1:
				blocks[i] = b.block(i, s)
			case wanted[i]:
				f.room(b, i)
				blocks[i] = b.block(i, s)[:0]
			}
		}
		if err := f.coder.ReconstructSome(blocks[:n], wanted[:n]); err != nil {
			return err
		}
	}
	return nil
}

// damaged notes the first error of a shard.
func (f *fetcher) damaged(shard int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return // most likely the consequence of that
	}
	for _, d := range f.damage {
		if d.Shard == shard {
			return
		}
	}
	f.damage = append(f.damage, Damage{Shard: shard, Err: err})
}

// report lists the damage that was noted.
func (f *fetcher) report() []Damage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Damage(nil), f.damage...)
}

// exit is the last act of each goroutine.
func (f *fetcher) exit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	if f.left {
		f.engine.comeBack()
	}
	if f.running == 0 {
		close(f.idle)
	}
}

// stop ends all goroutines and waits for them, at most for the grace if that is
// greater than zero. It returns how many it gave up.
func (f *fetcher) stop(grace time.Duration) int {
	f.cancel()
	if grace <= 0 {
		<-f.idle
		return 0
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-f.idle:
		return 0
	case <-timer.C:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = f.running > 0
	f.engine.giveUp(f.running)
	return f.running
}
