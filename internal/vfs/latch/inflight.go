package latch

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const slots = 64

// inflight knows when the operations began that have not returned. Each takes a slot of its own, to keep the
// processors from contending for one cache line; when all are taken, a map serves.
type inflight struct {
	base  time.Time
	slots [slots]struct {
		start atomic.Int64 // nanoseconds since base, plus one; 0: free
		_     [56]byte
	}

	mu    sync.Mutex // guards what follows
	more  map[int]int64
	spare int
}

// begin notes that an operation begins now, and returns what end wants to know.
func (f *inflight) begin() int {
	now := int64(time.Since(f.base)) + 1
	at := rand.IntN(slots)
	for range slots {
		if f.slots[at].start.CompareAndSwap(0, now) {
			return at
		}
		at = (at + 1) % slots
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == nil {
		f.more = map[int]int64{}
	}
	f.spare++
	f.more[slots+f.spare] = now
	return slots + f.spare
}

// end notes that the operation returned.
func (f *inflight) end(at int) {
	if at < slots {
		f.slots[at].start.Store(0)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.more, at)
}

func (f *inflight) oldest() time.Time {
	var first int64
	for at := range f.slots {
		if start := f.slots[at].start.Load(); start != 0 && (first == 0 || start < first) {
			first = start
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, start := range f.more {
		if first == 0 || start < first {
			first = start
		}
	}
	if first == 0 {
		return time.Time{}
	}
	return f.base.Add(time.Duration(first - 1))
}
