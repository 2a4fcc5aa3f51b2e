// Package budget bounds how many bytes are in use at once. A caller that would go
// beyond the limit waits, with its context, until others have given enough back.
//
// What it guarantees:
//
//   - the bytes in use never exceed the limit;
//   - first come, first served: whoever waits is passed by nobody, so a large
//     request is not starved by small ones, and holds them back meanwhile;
//   - a request that could never be met fails at once;
//   - a wait ends when its context does, and leaves no trace.
//
// What it does not: it counts, and allocates nothing. A caller that holds bytes
// and asks for more may wait for ever, for itself or for another that does the
// same: ask once, for the most that will be needed.
//
// All methods may be called concurrently. The package starts no goroutine and
// waits on channels only, so that it works inside testing/synctest.
package budget

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Errors that [Budget.Acquire] gives beside the context's.
var (
	// ErrTooLarge says that more bytes were asked for than the limit.
	ErrTooLarge = errors.New("request exceeds the budget")
	// ErrNegative says that less than no bytes were asked for.
	ErrNegative = errors.New("negative request")
)

// Budget is a number of bytes that callers share. Make one with [New].
type Budget struct {
	limit   int64
	bytes   *semaphore.Weighted
	inUse   atomic.Int64
	waiting atomic.Int64
}

// New makes a budget of limit bytes. A limit below 1 leaves nothing to give.
func New(limit int64) *Budget {
	limit = max(limit, 0)
	return &Budget{limit: limit, bytes: semaphore.NewWeighted(limit)}
}

// Acquire takes n bytes, 0 or more. It waits until they are free, or gives the
// context's error, [ErrTooLarge] or [ErrNegative], and then nothing is taken.
// The release function gives the bytes back; calling it again does nothing.
func (b *Budget) Acquire(ctx context.Context, n int64) (release func(), err error) {
	switch {
	case n < 0:
		return nil, fmt.Errorf("%w: %d bytes", ErrNegative, n)
	case n > b.limit:
		return nil, fmt.Errorf("%w: %d bytes of %d", ErrTooLarge, n, b.limit)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	if !b.bytes.TryAcquire(n) {
		if err := b.wait(ctx, n); err != nil {
			return nil, err
		}
	}
	b.inUse.Add(n)
	var done atomic.Bool
	return func() {
		if !done.Swap(true) {
			b.inUse.Add(-n) // first, so that InUse never exceeds the limit
			b.bytes.Release(n)
		}
	}, nil
}

func (b *Budget) wait(ctx context.Context, n int64) error {
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	return b.bytes.Acquire(ctx, n)
}

// Limit is the number of bytes that there are.
func (b *Budget) Limit() int64 { return b.limit }

// InUse is the number of bytes that are taken now, never more than Limit.
func (b *Budget) InUse() int64 { return b.inUse.Load() }

// Waiting is the number of calls that wait now.
func (b *Budget) Waiting() int64 { return b.waiting.Load() }
