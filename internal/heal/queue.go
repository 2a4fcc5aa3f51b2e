package heal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/layout"
)

// Bounds of what is remembered. What finds no room is found again by a scrub.
const (
	queueLimit = 1024
	knownLimit = 100_000
	retryEvery = 10 * time.Minute
	queueLook  = time.Second
)

// shardID names a shard.
type shardID struct {
	data  layout.DataID
	shard int
}

func (d *Damage) id() shardID { return shardID{d.Place.Data, d.Shard} }

// queue is shards that reads found wanting, each once. What could not be mended
// stays known, and is tried again.
type queue struct {
	wake chan struct{} // a token: there may be something to do

	mu      sync.Mutex // guards what follows; never locked across I/O
	waiting []Damage
	in      map[shardID]bool        // is waiting
	busy    map[shardID]*mending    // is being mended
	known   map[layout.DataID]wound // can not be mended now
}

// mending is a shard that somebody is mending; others wait for the outcome.
type mending struct {
	done chan struct{}
	err  error    // set before done is closed, as is what follows
	told *Finding // nil: nothing that anybody has to know
}

// wound is what is known to be wrong with the shards of a write.
type wound struct {
	place layout.Place
	bad   uint32 // shards, as bits
	slot  layout.Slot
	at    layout.Position
}

func (q *queue) init() {
	q.wake = make(chan struct{}, 1)
	q.in, q.busy, q.known = map[shardID]bool{}, map[shardID]*mending{}, map[layout.DataID]wound{}
}

// add puts damage into the queue, if it is not there and there is room.
func (q *queue) add(d Damage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if id := d.id(); len(q.waiting) < queueLimit && !q.in[id] {
		q.waiting, q.in[id] = append(q.waiting, d), true
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

func (q *queue) take() (Damage, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return Damage{}, false
	}
	d := q.waiting[0]
	q.waiting = q.waiting[1:]
	delete(q.in, d.id())
	return d, true
}

// again puts what could not be mended into the queue once more.
func (q *queue) again() {
	q.mu.Lock()
	all := make([]Damage, 0, min(len(q.known), queueLimit))
	for _, w := range q.known {
		for i := range w.place.Drives {
			if w.bad>>i&1 == 1 && len(all) < queueLimit {
				all = append(all, Damage{Place: w.place, Shard: i, Slot: w.slot, At: w.at})
			}
		}
	}
	q.mu.Unlock()
	for _, d := range all {
		q.add(d)
	}
}

// outcome keeps or forgets what is known of a shard.
func (q *queue) outcome(d *Damage, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w, known := q.known[d.Place.Data]
	switch {
	case errors.Is(err, ErrNobody):
		delete(q.known, d.Place.Data)
		return
	case err != nil:
		if !known && len(q.known) >= knownLimit {
			return
		}
		w.place, w.bad = d.Place, w.bad|1<<d.Shard
		if d.Slot != nil {
			w.slot, w.at = d.Slot, d.At
		}
	case !known:
		return
	default:
		w.bad &^= 1 << d.Shard
	}
	if w.bad == 0 {
		delete(q.known, d.Place.Data)
		return
	}
	q.known[d.Place.Data] = w
}

// Damaged tells of a shard that a read found missing or damaged. It never blocks.
func (h *Healer) Damaged(d Damage) { h.queue.add(d) }

// mendQueued mends what reads found.
func (h *Healer) mendQueued(ctx context.Context) {
	retry, look := time.NewTicker(retryEvery), time.NewTicker(queueLook)
	defer retry.Stop()
	defer look.Stop()
	for {
		select {
		case <-h.queue.wake:
		case <-look.C: // what waits until work may be done
		case <-retry.C:
			h.queue.again()
		case <-ctx.Done():
			return
		}
		for h.opt.May() && ctx.Err() == nil {
			d, ok := h.queue.take()
			if !ok {
				break
			}
			_ = h.mend(ctx, d, nobody) // what can not be mended stays known, and was told
		}
	}
}

// mend mends one shard, or waits for who does, and tells Found, and also, what came
// of it. A shard that nobody uses needs no mending.
func (h *Healer) mend(ctx context.Context, d Damage, also func(Finding)) error {
	q := &h.queue
	q.mu.Lock()
	if m := q.busy[d.id()]; m != nil {
		q.mu.Unlock()
		select {
		case <-m.done:
			if m.told != nil {
				also(*m.told)
			}
			return m.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	m := &mending{done: make(chan struct{})}
	q.busy[d.id()] = m
	q.mu.Unlock()

	err := h.set.Mend(ctx, d)
	if ctx.Err() == nil {
		q.outcome(&d, err)
	}
	if errors.Is(err, ErrNobody) {
		err = nil
	} else if ctx.Err() == nil && (err != nil || !h.owed(&d)) {
		f := h.outcome(&d, err)
		m.told = &f
		h.opt.Found(f)
		also(f)
	}
	m.err = err
	q.mu.Lock()
	delete(q.busy, d.id())
	q.mu.Unlock()
	close(m.done)
	return err
}

// owed: the shard was never on its drive, which took another's place. To bring it
// is no news.
func (h *Healer) owed(d *Damage) bool {
	if d.Err != nil && !errors.Is(d.Err, layout.ErrNotFound) {
		return false
	}
	holder := h.set.Holder(d.Place.Drives[d.Shard])
	return holder.Heir && h.Owes(holder.Drive)
}

// nobody is told.
func nobody(Finding) {}

// outcome describes damage, and what came of mending it.
func (h *Healer) outcome(d *Damage, err error) Finding {
	f := Finding{Kind: FindingShard, Data: d.Place.Data, Drive: h.set.Holder(d.Place.Drives[d.Shard]).Path,
		Text: fmt.Sprintf("shard %d: %v", d.Shard, d.Err)}
	if d.Err == nil {
		f.Text = fmt.Sprintf("shard %d is missing or damaged", d.Shard)
	}
	f.Bucket, f.Key, _, _ = layout.ParseVersionSlot(d.Slot)
	if f.Healed = err == nil; err != nil {
		f.Text = fmt.Sprintf("%s; it could not be mended: %v", f.Text, err)
	}
	return f
}
