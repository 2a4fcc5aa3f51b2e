package stripe

import (
	"io"

	"github.com/sherd-storage/sherd/bitrot"
)

// consumer is one end of the way in: a sink, or what runs beside it. Its goroutine
// takes batches in order.
type consumer struct {
	x     *encoder
	sink  bool
	id    bitrot.ShardID // of a sink
	dst   io.Writer
	queue chan *batch

	// Guarded by encoder.mu.
	current *batch // what it works on
	taken   int64  // number of the batch that it takes next
	err     error  // why it takes no more
	gone    bool   // given up: its goroutine ends as soon as it can
}

// start makes the consumers.
func (x *encoder) start(sinks []ShardWriter, beside []io.Writer) {
	for shard, dst := range sinks {
		if dst != nil {
			x.consumers = append(x.consumers, &consumer{sink: true, id: x.shardID(shard), dst: dst})
			x.live++
		}
	}
	for _, dst := range beside {
		x.consumers = append(x.consumers, &consumer{dst: dst})
	}
	x.running = len(x.consumers)
	for _, c := range x.consumers {
		c.x = x
		c.queue = make(chan *batch, x.depth)
		go c.loop()
	}
}

// loop works until the queue is closed or the consumer was given up.
func (c *consumer) loop() {
	sealer := c.x.engine.sealer()
	for b := range c.queue {
		mine, work, gone := c.begin(b)
		var err error
		if work && c.sink {
			err = c.write(mine, sealer)
		} else if work {
			err = b.data(c.x.geometry, func(p []byte) error { return writeAll(c.dst, p) })
		}
		if gone || c.end(b, err, work) {
			c.x.engine.comeBack()
			return
		}
	}
	c.x.engine.sealers.Put(sealer)
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	if c.gone { // between its last batch and the end of the queue
		c.x.engine.comeBack()
		return
	}
	c.x.running--
	c.x.signal()
}

// begin says whether there is anything to do with b, and whether the consumer was
// given up before it began. A sink works on its part only, as it may be given up
// at any moment, and the batch then is used again.
func (c *consumer) begin(b *batch) (mine part, work, gone bool) {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	if c.gone {
		b.pending--
		c.x.signal()
		return part{}, false, true
	}
	c.current = b
	if c.sink {
		mine = b.part(int(c.id.Shard))
	}
	return mine, c.err == nil && !c.x.aborted, false
}

// end notes what became of b, and says whether the consumer was given up
// meanwhile.
func (c *consumer) end(b *batch, err error, worked bool) (gone bool) {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	if c.gone {
		return true
	}
	defer c.x.signal()
	c.current = nil
	c.taken++
	b.pending--
	switch {
	case err != nil && c.sink:
		c.err = err
		c.x.live--
	case err != nil:
		c.err = err
		if c.x.err == nil {
			c.x.err = err
		}
	case worked && c.sink:
		b.done++
	}
	return false
}

// write seals and writes a sink's part of a batch.
func (c *consumer) write(mine part, sealer *bitrot.Sealer) error {
	if err := mine.seal(sealer, c.id); err != nil {
		return err
	}
	return writeAll(c.dst, mine.stream())
}

func writeAll(dst io.Writer, p []byte) error {
	n, err := dst.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}

// giveUp drops every sink that has not finished b, the oldest batch. What its
// goroutine touches is from now on its own: the chunk of the batch that it is in
// is not used again, and the batches that wait for it are waited for no more.
func (x *encoder) giveUp(b *batch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.consumers {
		if !c.sink || c.gone || c.taken > b.seq || c.err != nil && c.current == nil {
			continue
		}
		c.gone = true
		if c.err == nil {
			c.err = ErrStalled
			x.live--
		}
		x.running--
		x.engine.giveUp(1)
		if c.current != nil {
			c.current.pending--
			c.current.lost |= 1 << c.id.Shard
		}
		x.drain(c)
	}
}

// drain takes the batches that wait for c out of its queue. The lock is held.
func (x *encoder) drain(c *consumer) {
	for {
		select {
		case b := <-c.queue:
			b.pending--
		default:
			return
		}
	}
}

// signal wakes the encoder; a second signal before it looks is the same one.
func (x *encoder) signal() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}
