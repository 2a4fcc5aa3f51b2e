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
	queueLook  = time.Second
	firstRetry = time.Second // of what could not be mended, and from there on twice as long
	lastRetry  = 10 * time.Minute
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
	wake  chan struct{} // a token: there may be something to do
	retry chan struct{} // a token: what could not be mended may be now

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
	left bool     // who mended it was called off
	told *Finding // nil: nothing that anybody has to know
}

// wound is what is known to be wrong with the shards of a write.
type wound struct {
	place layout.Place
	bad   uint32 // shards, as bits
	told  uint32 // those of them that were tried in vain, which was told
	slot  layout.Slot
	at    layout.Position
	pause time.Duration // from one try to the next
	due   time.Time
}

func (q *queue) init() {
	q.wake, q.retry = make(chan struct{}, 1), make(chan struct{}, 1)
	q.in, q.busy, q.known = map[shardID]bool{}, map[shardID]*mending{}, map[layout.DataID]wound{}
}

// add puts damage into the queue, if it is not there and there is room; else it is
// tried like what could not be mended.
func (q *queue) add(d Damage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch id := d.id(); {
	case q.in[id]:
	case len(q.waiting) >= queueLimit:
		if w, known := q.known[d.Place.Data]; known || len(q.known) < knownLimit {
			w.place, w.bad = d.Place, w.bad|1<<d.Shard
			q.known[d.Place.Data] = w
		}
	default:
		q.waiting, q.in[id] = append(q.waiting, d), true
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// begin has a shard mended by m, or gives who mends it already.
func (q *queue) begin(id shardID, m *mending) (other *mending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if other = q.busy[id]; other == nil {
		q.busy[id] = m
	}
	return other
}

// wounded tells whether anything is known that could not be mended.
func (q *queue) wounded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.known) > 0
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

// again puts what could not be mended into the queue once more: what is due, or all.
func (q *queue) again(all bool, now time.Time) {
	q.mu.Lock()
	var ready []Damage
	for _, w := range q.known {
		if len(ready) >= queueLimit {
			break
		}
		if !all && now.Before(w.due) {
			continue
		}
		for i := range w.place.Drives {
			if w.bad>>i&1 == 1 {
				ready = append(ready, Damage{Place: w.place, Shard: i, Slot: w.slot, At: w.at})
			}
		}
	}
	q.mu.Unlock()
	for _, d := range ready {
		q.add(d)
	}
}

// outcome keeps or forgets what is known of a shard, and tells whether it is news.
func (q *queue) outcome(d *Damage, err error, now time.Time) (news bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w, known := q.known[d.Place.Data]
	switch {
	case errors.Is(err, ErrNobody):
		delete(q.known, d.Place.Data)
		return false
	case err != nil:
		if news = w.told>>d.Shard&1 == 0; !known && len(q.known) >= knownLimit {
			return news
		}
		w.place, w.bad, w.told = d.Place, w.bad|1<<d.Shard, w.told|1<<d.Shard
		if d.Slot != nil {
			w.slot, w.at = d.Slot, d.At
		}
		if w.pause = min(2*w.pause, lastRetry); news {
			w.pause = firstRetry
		}
		w.due = now.Add(w.pause)
	case !known:
		return true
	default:
		news, w.bad, w.told = true, w.bad&^(1<<d.Shard), w.told&^(1<<d.Shard)
	}
	if w.bad == 0 {
		delete(q.known, d.Place.Data)
		return news
	}
	q.known[d.Place.Data] = w
	return news
}

// Damaged tells of a shard that a read found missing or damaged. It never blocks.
func (h *Healer) Damaged(d Damage) { h.queue.add(d) }

// Returned tells that a drive is there that was not: what could not be mended is tried
// again. It never blocks.
func (h *Healer) Returned() {
	select {
	case h.queue.retry <- struct{}{}:
	default:
	}
}

// mendQueued mends what reads found.
func (h *Healer) mendQueued(ctx context.Context) {
	look := time.NewTicker(queueLook)
	defer look.Stop()
	for {
		select {
		case <-h.queue.wake:
		case <-look.C: // also for what waits until work may be done
			h.queue.again(false, h.opt.Now())
		case <-h.queue.retry:
			h.queue.again(true, h.opt.Now())
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

// mend mends one shard, or waits for who does, and tells Found, if it is news, and
// also, what came of it. A shard that nobody uses needs no mending.
func (h *Healer) mend(ctx context.Context, d Damage, also func(Finding)) error {
	q := &h.queue
	m := &mending{done: make(chan struct{})}
	for other := q.begin(d.id(), m); other != nil; other = q.begin(d.id(), m) {
		select {
		case <-other.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if other.left {
			continue // it is for somebody else now
		}
		if other.told != nil {
			also(*other.told)
		}
		return other.err
	}
	err := h.set.Mend(ctx, d)
	news := ctx.Err() == nil && q.outcome(&d, err, h.opt.Now())
	if errors.Is(err, ErrNobody) {
		err = nil
	} else if ctx.Err() == nil && (err != nil || !h.owed(&d)) {
		f := h.outcome(&d, err)
		m.told = &f
		if news {
			h.opt.Found(f)
		}
		also(f)
	}
	m.err, m.left = err, err != nil && ctx.Err() != nil
	q.mu.Lock()
	delete(q.busy, d.id())
	q.mu.Unlock()
	close(m.done)
	return err
}

// owed: the shard was never on its drive, or that was not looked up yet. To bring it is
// no news.
func (h *Healer) owed(d *Damage) bool {
	if d.Err != nil && !errors.Is(d.Err, layout.ErrNotFound) {
		return false
	}
	given := d.Place.Drives[d.Shard]
	return h.Lacks(given, h.set.Holder(given).Drive)
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
