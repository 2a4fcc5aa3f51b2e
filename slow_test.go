// Goal: a drive that is ten times slower than the others stays, and costs writers
// its own slowness and readers next to nothing. Method: every operation of one
// drive takes ten times what it takes on the others; in virtual time for what
// must be, in real time for what it costs.
package sherd_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/versioning"
)

// slow lets operations on the bytes of a drive take a while each.
func slow(in *faultfs.Injector, by time.Duration) {
	in.Add(faultfs.Rule{Kinds: []op.Kind{op.Read, op.ReadAt, op.Write, op.Sync, op.SyncData, op.SyncDir, op.Create, op.Open},
		Do: func(_ *vfs.Call, next func() error) error {
			pass(by)
			return next()
		}})
}

func TestASlowDriveStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		var left []sherd.Notice
		r.opt = &sherd.Options{Notice: func(n sherd.Notice) {
			if n.Kind == sherd.NoticeLeft {
				left = append(left, n)
			}
		}}
		s, err := r.open(t)
		require.NoError(t, err)
		newBucket(t, s, bucketName, versioning.Unversioned)
		for i, f := range r.faults {
			slow(f, []time.Duration{20 * time.Millisecond, 2 * time.Millisecond}[min(i, 1)])
		}
		for i := range 200 {
			key, content := fmt.Sprint(i%7), sized(uint64(i), []int{100, 20_000, 300_000}[i%3])
			require.NoError(t, putAt(t, s, key, content, nil))
			has(t, s, key, content)
			require.False(t, s.Health().Degraded, "at %d", i)
		}
		pass(5 * time.Minute)
		require.False(t, s.Health().Degraded)
		r.sound(t, s, func(*sherd.Store) {})
		require.Empty(t, left)
	})
}

// beside gives the 99th percentiles of reads with all drives alike and with one that is
// ten times slower, as soon as it is known which that is.
func beside(t testing.TB, size, reads int) (p99 [2]time.Duration) {
	content := sized(1, size)
	var stores [2]*sherd.Store
	for slowed := range stores {
		r := newRack(4)
		s, err := r.open(t)
		require.NoError(t, err)
		stores[slowed] = s
		newBucket(t, s, bucketName, versioning.Unversioned)
		for i := range 20 {
			put(t, s, bucketName, fmt.Sprint(i), string(content))
		}
		for i, f := range r.faults {
			each := 2 * time.Millisecond
			if i == 0 && slowed == 1 {
				each *= 10
			}
			slow(f, each)
		}
	}
	// They take turns, so that what else the machine does meets both.
	var took [2][]time.Duration
	const learning = 50 // reads after which it is known which drive is slow
	for i := range learning + reads {
		for slowed, s := range stores {
			begun := time.Now()
			get(t, s, bucketName, fmt.Sprint(i%20), nil)
			took[slowed] = append(took[slowed], time.Since(begun))
		}
	}
	for slowed, s := range stores {
		took[slowed] = took[slowed][learning:]
		slices.Sort(took[slowed])
		p99[slowed] = took[slowed][len(took[slowed])*99/100]
		require.NoError(t, s.Close())
	}
	return p99
}

// In virtual time what is computed takes none, so that the disks alone are compared.
//
// Kills: reads that do not know which drive is slow, or do not go around it.
func TestASlowDriveCostsReadersLittle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p99 := beside(t, 1<<20, 500)
		t.Log(p99)
		require.Positive(t, p99[0])
		require.Less(t, p99[1], 2*p99[0])
	})
}

// BenchmarkGetBesideASlowDrive gives the 99th percentile of reads with one drive
// ten times slower, in terms of that with none.
func BenchmarkGetBesideASlowDrive(b *testing.B) {
	for name, size := range map[string]int{"inline": 20_000, "file": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			p99 := beside(b, size, max(500, b.N))
			b.ReportMetric(float64(p99[1])/float64(p99[0]), "p99-ratio")
			b.ReportMetric(float64(p99[0].Microseconds()), "p99-even-µs")
			b.ReportMetric(float64(p99[1].Microseconds()), "p99-slow-µs")
		})
	}
}
