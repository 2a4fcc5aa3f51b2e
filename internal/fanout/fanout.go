// Package fanout makes one call to each of several drives at once and waits for
// the answers, but for none of them for ever.
//
// What it guarantees:
//
//   - once enough calls have succeeded, one that makes no step for the limit is
//     late and no longer waited for. Lateness is relative: where nobody answers,
//     nobody is late;
//   - the limit is counted in slices of time that were lived through, so that a
//     host which was paused uses up one of them and makes nobody late;
//   - a wait ends when its context does;
//   - each call is either waited for, and its error is given, or it is given up,
//     and then, once it returns, AfterLate is called instead: what it made can be
//     taken back there.
//
// What it does not: a call that was given up goes on until it returns. Its
// goroutine is the caller's, who says how goroutines are started.
package fanout

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrLate is the error of a call that was given up.
var ErrLate = errors.New("no answer within the stall limit, while enough others answered")

// slices is into how many parts the limit is cut.
const slices = 8

// Calls says how several calls are made and waited for.
type Calls struct {
	Enough int           // successes after which the rest can be late
	Limit  time.Duration // how long a call may make no step then
	Go     func(func())  // starts a goroutine
	// Steps is a number that changes while a call gets on; nil: none tells.
	Steps func(i int) int64
	// AfterLate is called when a call that was given up returned; nil: nothing
	// is to be done then.
	AfterLate func(i int, err error)
}

// Do makes n calls and gives their errors, by number: nil, what the call
// returned, ErrLate, or the cause of the context's end.
func (c Calls) Do(ctx context.Context, n int, call func(i int) error) []error {
	w := &wait{c: c, errs: make([]error, n), over: make([]bool, n), steps: make([]int64, n), silent: make([]int, n),
		open: n, wake: make(chan struct{}, 1)}
	for i := range n {
		c.Go(func() {
			if err := call(i); !w.answer(i, err) && c.AfterLate != nil {
				c.AfterLate(i, err)
			}
		})
	}
	w.until(ctx)
	return w.errs
}

// wait is one Do.
type wait struct {
	c      Calls
	wake   chan struct{}
	steps  []int64 // as last seen
	silent []int   // slices without a step

	mu   sync.Mutex // guards what follows
	errs []error
	over []bool // answered, or given up
	open int    // that are not over
	good int
}

// answer notes what a call returned; false when it was given up before.
func (w *wait) answer(i int, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over[i] {
		return false
	}
	w.end(i, err)
	if err == nil {
		w.good++
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return true
}

// end notes the error of a call that is not over. mu is held.
func (w *wait) end(i int, err error) {
	w.over[i], w.errs[i] = true, err
	w.open--
}

// until waits until all calls are over.
func (w *wait) until(ctx context.Context) {
	var ticks <-chan time.Time
	for {
		open, enough := w.left()
		if open == 0 {
			return
		}
		if enough && ticks == nil && w.c.Limit > 0 {
			ticker := time.NewTicker(max(w.c.Limit/slices, 1))
			defer ticker.Stop()
			ticks = ticker.C
		}
		select {
		case <-w.wake:
		case <-ticks:
			w.tick()
		case <-ctx.Done():
			w.giveUp(func(int) bool { return true }, context.Cause(ctx))
		}
	}
}

func (w *wait) left() (open int, enough bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open, w.good >= w.c.Enough
}

// tick counts a slice of time to all that made no step in it.
func (w *wait) tick() {
	w.giveUp(func(i int) bool {
		if w.c.Steps != nil {
			if n := w.c.Steps(i); n != w.steps[i] {
				w.steps[i], w.silent[i] = n, 0
				return false
			}
		}
		w.silent[i]++
		return w.silent[i] >= slices
	}, ErrLate)
}

func (w *wait) giveUp(which func(i int) bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.over {
		if !w.over[i] && which(i) {
			w.end(i, err)
		}
	}
}
