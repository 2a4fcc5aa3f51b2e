// Package keylock holds locks that are named by strings: as many as there are
// keys, each exclusive or shared, waited for with a context.
//
// What it guarantees:
//
//   - a key is held by one exclusive holder, or by any number of shared ones;
//   - first come, first served, per key: whoever waits is passed by nobody, so a
//     waiting exclusive caller holds back the shared ones that come after it;
//   - whoever asks for several keys in one call gets them all or none, and any
//     number of such calls, whatever keys they name in whatever order, never
//     wait for each other in a circle;
//   - a wait ends when its context does, and leaves no trace;
//   - memory is used for the keys that are held or waited for, and a bounded
//     amount beside.
//
// What it does not: a caller that holds a key and asks, in another call, for one
// more may wait for ever, for itself or for another caller that does the same.
// Ask for all keys at once. A lock is not tied to a goroutine; whoever has the
// unlock function may call it.
//
// All methods may be called concurrently. The package starts no goroutine, and
// waits on channels only, so that it works inside testing/synctest.
package keylock

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const (
	shardCount = 64
	// maxSpare bounds the entries that a shard keeps for later.
	maxSpare = 16
	// maxIdleKeys is how many keys a shard's map may once have had and still be
	// kept when it is empty; maps don't shrink.
	maxIdleKeys = 1024
)

// Locks is a set of locks by key. Make one with [New].
type Locks struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

// New makes a set of locks, none of them held.
func New() *Locks {
	l := &Locks{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].entries = map[string]*entry{}
	}
	return l
}

// Lock takes the key alone. It waits until nobody else holds the key, or gives
// the context's error, and then nothing is held. The unlock function releases the
// key; calling it again does nothing.
func (l *Locks) Lock(ctx context.Context, key string) (unlock func(), err error) {
	return l.lock(ctx, Want{Key: key})
}

// RLock takes the key shared: with others that take it so, and with nobody that
// takes it alone. Otherwise it is like [Locks.Lock].
func (l *Locks) RLock(ctx context.Context, key string) (unlock func(), err error) {
	return l.lock(ctx, Want{Key: key, Shared: true})
}

func (l *Locks) lock(ctx context.Context, want Want) (func(), error) {
	g, err := l.acquire(ctx, want)
	if err != nil {
		return nil, err
	}
	return (&lease{grant: g}).unlock, nil
}

// Len counts the keys that are held or waited for.
func (l *Locks) Len() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// acquire takes one key, and waits for it if it must.
func (l *Locks) acquire(ctx context.Context, want Want) (grant, error) {
	if err := ctx.Err(); err != nil {
		return grant{}, err
	}
	s := &l.shards[maphash.String(l.seed, want.Key)%shardCount]
	g := grant{shard: s, shared: want.Shared}
	var w *waiter
	g.entry, w = s.enter(want)
	if w == nil {
		return g, nil
	}
	select {
	case <-w.ready:
		// The context may have ended as well: give it precedence, so that it
		// doesn't depend on which of the two the select saw.
		if err := ctx.Err(); err != nil {
			g.release()
			return grant{}, err
		}
		return g, nil
	case <-ctx.Done():
		s.leave(g.entry, w)
		return grant{}, ctx.Err()
	}
}

// grant is one key held.
type grant struct {
	shard  *shard
	entry  *entry
	shared bool
}

func (g grant) release() {
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	g.shard.release(g.entry, g.shared)
}

// lease is a grant that is released once.
type lease struct {
	grant
	done atomic.Bool
}

func (l *lease) unlock() {
	if !l.done.Swap(true) {
		l.release()
	}
}

// shard is a part of the keys.
type shard struct {
	mu      sync.Mutex
	entries map[string]*entry // the keys that are held or waited for
	peak    int               // the most that entries ever held
	spare   *entry            // entries for later, linked by next
	spares  int               // how many
	_       [64]byte          // keeps neighbours off this cache line
}

// entry is a key that is held or waited for.
type entry struct {
	key       string
	exclusive bool    // held alone
	sharers   int     // holders, if held shared
	first     *waiter // the queue, in order of arrival
	last      *waiter
	next      *entry // the next spare
}

// waiter is one call in the queue of a key.
type waiter struct {
	shared     bool
	granted    bool          // out of the queue, and a holder
	ready      chan struct{} // closed when granted
	prev, next *waiter
}

// enter takes the key, and the waiter is nil; or it queues up for it.
func (s *shard) enter(want Want) (*entry, *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[want.Key]
	if e == nil {
		e = s.add(want.Key)
	}
	if e.first == nil && e.take(want.Shared) {
		return e, nil
	}
	w := &waiter{shared: want.Shared, ready: make(chan struct{}), prev: e.last}
	if e.last == nil {
		e.first = w
	} else {
		e.last.next = w
	}
	e.last = w
	return e, w
}

// leave ends a wait. If the key was granted meanwhile it is released.
func (s *shard) leave(e *entry, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.granted {
		s.release(e, w.shared)
		return
	}
	e.unlink(w)
	s.settle(e) // w may have held back those behind it
}

// release takes one holder off the key; mu is held.
func (s *shard) release(e *entry, shared bool) {
	if shared {
		e.sharers--
	} else {
		e.exclusive = false
	}
	s.settle(e)
}

// settle grants the key to those at the head of the queue that can have it, and
// forgets a key that nobody holds; mu is held.
func (s *shard) settle(e *entry) {
	for w := e.first; w != nil && e.take(w.shared); w = e.first {
		e.unlink(w)
		w.granted = true
		close(w.ready)
	}
	if e.first == nil && !e.exclusive && e.sharers == 0 {
		s.drop(e)
	}
}

// take makes the caller a holder if the present holders allow it.
func (e *entry) take(shared bool) bool {
	switch {
	case e.exclusive || !shared && e.sharers > 0:
		return false
	case shared:
		e.sharers++
	default:
		e.exclusive = true
	}
	return true
}

func (e *entry) unlink(w *waiter) {
	if w.prev == nil {
		e.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		e.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
}

func (s *shard) add(key string) *entry {
	e := s.spare
	if e == nil {
		e = &entry{}
	} else {
		s.spare, e.next = e.next, nil
		s.spares--
	}
	e.key = key
	s.entries[key] = e
	s.peak = max(s.peak, len(s.entries))
	return e
}

func (s *shard) drop(e *entry) {
	delete(s.entries, e.key)
	e.key = ""
	if s.spares < maxSpare {
		e.next, s.spare = s.spare, e
		s.spares++
	}
	if len(s.entries) == 0 && s.peak > maxIdleKeys {
		s.entries, s.peak = map[string]*entry{}, 0
	}
}
