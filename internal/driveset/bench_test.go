// Goal: how fast a drive is brought up to date. Method: a real file system, four
// drives, as many small objects as the name says; time from the moment at which the
// drive is there to the one at which it counts.
package driveset_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
)

// onDisk opens four drives in a directory.
func onDisk(b *testing.B, dir string) *driveset.Set {
	begun := time.Now()
	var places []driveset.Place
	for i := range 4 {
		places = append(places, driveset.Place{FS: vfs.OS(), Path: filepath.Join(dir, fmt.Sprint("d", i))})
	}
	set, err := driveset.Open(b.Context(), places, &driveset.Options{TrustLocks: true, ReserveBytes: -1, Grace: time.Millisecond, Notice: func(n driveset.Notice) { b.Log(time.Since(begun), n.Kind, n.Drive, n.Text) }})
	require.NoError(b, err)
	return set
}

// load puts objects by 32 clients at once.
func load(b *testing.B, set *driveset.Set, name string, objects, size int) {
	c := &client{set: set, want: map[string][]byte{}}
	data := bytesOf(1, size)
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := w; i < objects; i += 32 {
				if err := c.put(context.Background(), fmt.Sprintf("%s%07d", name, i), data); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func until(set *driveset.Set, ok func(driveset.Health) bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok(set.Health()) {
		<-tick.C
	}
}

func BenchmarkIndexCopy(b *testing.B) {
	const objects, size = 100_000, 2600
	dir := b.TempDir()
	set := onDisk(b, dir)
	load(b, set, "k", objects, size)
	require.NoError(b, set.Close())
	for _, readers := range []int{0, 1, 4} {
		b.Run(fmt.Sprint("readers=", readers), func(b *testing.B) {
			var reads atomic.Int64
			for b.Loop() {
				b.StopTimer()
				require.NoError(b, os.RemoveAll(filepath.Join(dir, "d2")))
				require.NoError(b, os.Mkdir(filepath.Join(dir, "d2"), 0o700))
				b.StartTimer()
				set := onDisk(b, dir)
				stop := readOn(b, set, readers, objects, &reads)
				until(set, counting)
				b.StopTimer()
				stop()
				require.NoError(b, set.Close())
				b.StartTimer()
			}
			b.ReportMetric(float64(objects*b.N)/b.Elapsed().Seconds(), "objects/s")
			b.ReportMetric(float64(reads.Load())/b.Elapsed().Seconds(), "reads/s")
		})
	}
}

// readOn has clients read objects of load without a pause until it is stopped.
func readOn(b *testing.B, set *driveset.Set, readers, objects int, reads *atomic.Int64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{set: set}
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			for i := r; ctx.Err() == nil; i = (i + 7919) % objects {
				if _, err := c.get(context.Background(), fmt.Sprintf("k%07d", i)); err != nil {
					b.Error(err)
					return
				}
				reads.Add(1)
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

func BenchmarkLearn(b *testing.B) {
	const objects, size = 100_000, 4096
	dir := b.TempDir()
	require.NoError(b, onDisk(b, dir).Close())
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		away := filepath.Join(b.TempDir(), "away")
		require.NoError(b, os.Rename(filepath.Join(dir, "d2"), away))
		set := onDisk(b, dir)
		load(b, set, fmt.Sprint("k", n), objects, size)
		require.NoError(b, os.Rename(away, filepath.Join(dir, "d2")))
		b.StartTimer()
		until(set, allInSync)
		b.StopTimer()
		require.NoError(b, set.Close())
		b.StartTimer()
	}
	b.ReportMetric(float64(objects*b.N)/b.Elapsed().Seconds(), "entries/s")
}
