// Goal: the limit holds, the order is that of arrival, and waits end cleanly.
// Method: scenarios in a synctest bubble, where a deadlock fails the test; then
// many callers at once, who add up for themselves what is in use.
package budget_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/budget"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is one Acquire that waits or holds.
type call struct {
	release func()
	err     error
	cancel  context.CancelFunc
	done    bool
}

// ask starts an Acquire and returns when it holds its bytes, failed, or waits.
func ask(t *testing.T, b *budget.Budget, n int64) *call {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c := &call{cancel: cancel}
	go func() {
		c.release, c.err = b.Acquire(ctx, n)
		c.done = true
	}()
	synctest.Wait()
	return c
}

func (c *call) giveBack(t *testing.T) {
	require.True(t, c.done)
	require.NoError(t, c.err)
	c.release()
	synctest.Wait()
}

func TestCallersWaitInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(100)
		first, second := ask(t, b, 60), ask(t, b, 40)
		require.True(t, first.done && second.done)
		large, small := ask(t, b, 100), ask(t, b, 1)
		require.EqualValues(t, 100, b.InUse())
		require.EqualValues(t, 2, b.Waiting())

		second.giveBack(t)
		require.False(t, large.done)
		require.False(t, small.done, "passes the large one, for which 40 of 100 are free")
		first.giveBack(t)
		require.True(t, large.done)
		require.False(t, small.done)
		large.giveBack(t)
		small.giveBack(t)
		require.Zero(t, b.InUse())
		require.Zero(t, b.Waiting())
	})
}

func TestCancelledCallerLetsOthersPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(10)
		holder, large, small := ask(t, b, 5), ask(t, b, 10), ask(t, b, 5)
		require.False(t, small.done)
		large.cancel()
		synctest.Wait()
		require.ErrorIs(t, large.err, context.Canceled)
		require.Nil(t, large.release)
		require.True(t, small.done)
		require.Zero(t, b.Waiting())
		holder.giveBack(t)
		small.giveBack(t)
		require.Zero(t, b.InUse())
	})
}

func TestDeadlineEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(1)
		release, err := b.Acquire(t.Context(), 1)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err = b.Acquire(ctx, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
		release()
		require.Zero(t, b.InUse())
	})
}

func TestGivingBackAgainDoesNothing(t *testing.T) {
	b := budget.New(10)
	first, err := b.Acquire(t.Context(), 6)
	require.NoError(t, err)
	first()
	second, err := b.Acquire(t.Context(), 7)
	require.NoError(t, err)
	first()
	require.EqualValues(t, 7, b.InUse())
	second()
	require.Zero(t, b.InUse())
}

func TestWhatIsRefusedAtOnce(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx      context.Context
		limit, n int64
		err      error
	}{
		"all there is":         {t.Context(), 10, 10, nil},
		"nothing":              {t.Context(), 10, 0, nil},
		"nothing of nothing":   {t.Context(), 0, 0, nil},
		"one too many":         {t.Context(), 10, 11, budget.ErrTooLarge},
		"something of nothing": {t.Context(), 0, 1, budget.ErrTooLarge},
		"limit below zero":     {t.Context(), -5, 1, budget.ErrTooLarge},
		"less than nothing":    {t.Context(), 10, -1, budget.ErrNegative},
		"ended context":        {ended, 10, 1, context.Canceled},
		"never possible":       {ended, 10, 11, budget.ErrTooLarge},
	} {
		b := budget.New(c.limit)
		release, err := b.Acquire(c.ctx, c.n)
		require.ErrorIs(t, err, c.err, name)
		require.Equal(t, c.err == nil, release != nil, name)
		if c.err != nil {
			require.Zero(t, b.InUse(), name)
		}
		require.Equal(t, max(c.limit, 0), b.Limit(), name)
	}
}

func TestTheLimitHoldsUnderManyCallers(t *testing.T) {
	const limit, callers, rounds = 1000, 16, 2000
	b := budget.New(limit)
	var inUse, most atomic.Int64
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(caller)))
			for range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				if random.IntN(4) == 0 {
					go cancel()
				}
				n := random.Int64N(limit) + 1
				if release, err := b.Acquire(ctx, n); err == nil {
					now := inUse.Add(n)
					for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
					}
					if b.InUse() > limit {
						t.Error("InUse above the limit")
					}
					inUse.Add(-n)
					release()
				}
				cancel()
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, most.Load(), int64(limit))
	require.Positive(t, most.Load())
	require.Zero(t, b.InUse())
	require.Zero(t, b.Waiting())
}

func ExampleBudget_Acquire() {
	b := budget.New(64 << 20)
	release, err := b.Acquire(context.Background(), 4<<20)
	if err != nil {
		panic(err)
	}
	fmt.Println(b.InUse(), "of", b.Limit(), "bytes in use")
	release()
	fmt.Println(b.InUse(), "of", b.Limit(), "bytes in use")
	// Output:
	// 4194304 of 67108864 bytes in use
	// 0 of 67108864 bytes in use
}

func BenchmarkAcquire(b *testing.B) {
	bytes, ctx := budget.New(1<<30), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		release, err := bytes.Acquire(ctx, 4<<20)
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}

func BenchmarkAcquireByManyWhoWait(b *testing.B) {
	bytes, ctx := budget.New(8<<20), b.Context()
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			release, err := bytes.Acquire(ctx, 4<<20)
			if err != nil {
				b.Error(err)
				return
			}
			release()
		}
	})
}
