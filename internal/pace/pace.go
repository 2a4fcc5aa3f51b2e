// Package pace remembers how long reads of several drives took: when one is late,
// and which drives are slow beside the others.
//
// All methods are safe for concurrent use. The time is the caller's.
package pace

import (
	"slices"
	"sync"
	"time"
)

// Bounds of the time after which a read is late.
const (
	MinLimit = 20 * time.Millisecond // nothing is late before
	MaxLimit = 2 * time.Second
)

const (
	drives    = 16
	weight    = 8                // an observation counts one in so many in a drive's average
	least     = 8                // observations before anything is said of a drive
	slower    = 4                // times as long as the median of the others makes a drive slow
	slowFloor = time.Millisecond // what takes less is not slow beside anything
	tryAgain  = 30 * time.Second // a slow drive is asked again that often, as it may have become quick
)

// Pace of up to 16 drives. The zero value knows nothing.
type Pace struct {
	mu     sync.Mutex
	recent [128]time.Duration // a ring, of all drives
	n      int                // observations
	bound  time.Duration      // 95th percentile of recent

	average [drives]time.Duration
	seen    [drives]int
	asked   [drives]time.Time // when a slow drive was last let pass
}

// Observe notes how long a good read took on a drive.
func (p *Pace) Observe(drive int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recent[p.n%len(p.recent)] = took
	p.n++
	if p.n%16 == 0 && p.n >= len(p.recent) {
		of := p.recent
		slices.Sort(of[:])
		p.bound = of[len(of)*95/100]
	}
	if drive < 0 || drive >= drives {
		return
	}
	if p.seen[drive]++; p.seen[drive] == 1 {
		p.average[drive] = took
	} else {
		p.average[drive] += (took - p.average[drive]) / weight
	}
}

// Limit is the time after which a read is late: three times the 95th percentile
// of recent ones, within bounds.
func (p *Pace) Limit() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bound == 0 {
		return MaxLimit
	}
	return min(max(3*p.bound, MinLimit), MaxLimit)
}

// Slow gives the drives that take several times as long as the others do, as
// bits: it is quicker to do without them. Now and then one that is slow is left
// out, to be asked once more.
func (p *Pace) Slow(now time.Time) (slow uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := make([]time.Duration, 0, drives)
	for i, n := range p.seen {
		if n >= least {
			known = append(known, p.average[i])
		}
	}
	if len(known) < 3 {
		return 0 // of two, nobody knows which is the odd one
	}
	slices.Sort(known)
	median := known[(len(known)-1)/2]
	for i, n := range p.seen {
		if n < least || p.average[i] < slowFloor || p.average[i] < slower*median {
			continue
		}
		if now.Sub(p.asked[i]) >= tryAgain {
			p.asked[i] = now
			continue
		}
		slow |= 1 << i
	}
	return slow
}
