// Goal: exclusion under real concurrency, no deadlock whatever keys are asked for
// together, bounded memory, and the cost of a lock that nobody else wants.
// Method: plain variables that the race detector watches, guarded by the locks
// alone; counts of allocations; benchmarks.
package keylock_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/keylock"
)

func TestManyCallersOnFewKeys(t *testing.T) {
	const callers, rounds, keyCount = 16, 1500, 5
	locks := keylock.New()
	values := make([]int, keyCount) // guarded by the key of its index
	var written atomic.Int64
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(caller)))
			for range rounds {
				wants := make([]keylock.Want, 1+random.IntN(3))
				for i := range wants {
					wants[i] = keylock.Want{Key: strconv.Itoa(random.IntN(keyCount)), Shared: random.IntN(2) == 0}
				}
				ctx, cancel := context.WithCancel(t.Context())
				if random.IntN(4) == 0 {
					go cancel()
				}
				if unlock, err := locks.LockEach(ctx, wants...); err == nil {
					written.Add(touch(values, wants))
					unlock()
				}
				cancel()
			}
		})
	}
	group.Wait()
	sum := 0
	for _, value := range values {
		sum += value
	}
	require.EqualValues(t, written.Load(), sum, "an increment was lost")
	require.Positive(t, sum)
	require.Zero(t, locks.Len())
}

// touch increments what is wanted alone, reads what is wanted shared, and counts
// the increments.
func touch(values []int, wants []keylock.Want) (written int64) {
	for _, want := range wants {
		index, _ := strconv.Atoi(want.Key)
		if want.Shared {
			runtime.KeepAlive(values[index])
			continue
		}
		values[index]++
		written++
	}
	return written
}

func TestMemoryIsGivenBack(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	locks := keylock.New()
	before := heap()
	keep, err := locks.Lock(t.Context(), "kept")
	require.NoError(t, err)
	const keys = 200_000
	wants := make([]string, keys)
	for i := range wants {
		wants[i] = fmt.Sprintf("some/key/of/usual/length/%d", i)
	}
	unlock, err := locks.LockAll(t.Context(), wants...)
	require.NoError(t, err)
	require.Equal(t, keys+1, locks.Len())
	unlock()
	require.Equal(t, 1, locks.Len(), "a key that is held outlives the others")
	keep()
	wants, unlock, keep = nil, nil, nil
	after := heap()
	runtime.KeepAlive(locks)
	require.Zero(t, locks.Len())
	require.Less(t, int64(after)-int64(before), int64(1<<20), "bytes kept after %d keys", keys)
}

func TestAnUncontendedLockAllocatesTwice(t *testing.T) {
	locks := keylock.New()
	ctx := t.Context()
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		unlock, err := locks.Lock(ctx, "bucket/key")
		if err != nil {
			panic(err)
		}
		unlock()
	}), 2.0)
}

func BenchmarkLock(b *testing.B) {
	locks, ctx := keylock.New(), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		unlock, err := locks.Lock(ctx, "some-bucket/some/key/of/usual/length")
		if err != nil {
			b.Fatal(err)
		}
		unlock()
	}
}

func BenchmarkLockManyKeys(b *testing.B) {
	locks, ctx := keylock.New(), b.Context()
	keys := make([]string, 4096)
	for i := range keys {
		keys[i] = fmt.Sprintf("some-bucket/some/key/of/usual/length/%d", i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(len(keys)); pb.Next(); i++ {
			unlock, err := locks.Lock(ctx, keys[i%len(keys)])
			if err != nil {
				b.Error(err)
				return
			}
			unlock()
		}
	})
}

func BenchmarkLockOneKeyByMany(b *testing.B) {
	locks, ctx := keylock.New(), b.Context()
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			unlock, err := locks.Lock(ctx, "key")
			if err != nil {
				b.Error(err)
				return
			}
			unlock()
		}
	})
}

func BenchmarkLockAllTwo(b *testing.B) {
	locks, ctx := keylock.New(), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		unlock, err := locks.LockAll(ctx, "destination", "copy source")
		if err != nil {
			b.Fatal(err)
		}
		unlock()
	}
}
