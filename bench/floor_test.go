// Goal: what sherd costs beside the least that must be done for the same bytes
// on the same drives, so that the ratio says how far there is to go whatever the
// machine does. Method: rounds of sherd and of the floor in turn, in one run;
// the medians of time and of processor time for an operation, and their ratios.
package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
)

const (
	drives = 4
	small  = 1 << 10
	large  = 64 << 20
)

// side is one of the two that are compared: it makes an operation, the i-th of
// a client.
type side func(client, i int) error

// cost is what an operation took, of one side in one round.
type cost struct{ wall, cpu float64 } // µs

func BenchmarkPutBesideFloor(b *testing.B) {
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprintf("1KiB/clients=%d", clients), func(b *testing.B) {
			store := openStore(b)
			compare(b, clients, 2048/clients, small, put(b, store, small), rawIndexes(b).put)
		})
	}
	b.Run("64MiB/clients=1", func(b *testing.B) {
		compare(b, 1, 2, large, put(b, openStore(b), large), rawFiles(b).put)
	})
}

func BenchmarkGetBesideFloor(b *testing.B) {
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprintf("1KiB/clients=%d", clients), func(b *testing.B) {
			raw := rawIndexes(b)
			compare(b, clients, 8192/clients, small, get(b, openStore(b), small), raw.filled(b).get)
		})
	}
	b.Run("64MiB/clients=1", func(b *testing.B) {
		compare(b, 1, 4, large, get(b, openStore(b), large), rawFiles(b).filled(b).get)
	})
}

// compare runs both sides in turn.
func compare(b *testing.B, clients, each, size int, ours, floor side) {
	var us, it []cost
	round(b, clients, each, ours)
	round(b, clients, each, floor)
	for b.Loop() {
		us = append(us, round(b, clients, each, ours))
		it = append(it, round(b, clients, each, floor))
	}
	wall := func(c cost) float64 { return c.wall }
	cpu := func(c cost) float64 { return c.cpu }
	b.ReportMetric(0, "ns/op") // of a round: says nothing
	b.ReportMetric(median(us, wall), "sherd-µs")
	b.ReportMetric(median(it, wall), "floor-µs")
	b.ReportMetric(median(us, wall)/median(it, wall), "ratio")
	b.ReportMetric(median(us, cpu), "sherd-cpu-µs")
	b.ReportMetric(median(us, cpu)/median(it, cpu), "cpu-ratio")
	if size >= 1<<20 {
		b.ReportMetric(float64(size)/median(us, wall), "sherd-MB/s")
	}
}

func median(of []cost, what func(cost) float64) float64 {
	all := make([]float64, len(of))
	for i, c := range of {
		all[i] = what(c)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// round has every client make so many operations. The time is that of one
// operation as its client sees it.
func round(b *testing.B, clients, each int, do side) cost {
	errs := make([]error, clients)
	begun, cpu := time.Now(), processorTime()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				if errs[c] = do(c, i); errs[c] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	took, spent := time.Since(begun), processorTime()-cpu
	for _, err := range errs {
		require.NoError(b, err)
	}
	return cost{
		wall: float64(took.Nanoseconds()) / 1e3 / float64(each),
		cpu:  float64(spent.Nanoseconds()) / 1e3 / float64(each*clients),
	}
}

func processorTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func openStore(b *testing.B) *sherd.Store {
	dirs := make([]string, drives)
	for i := range dirs {
		dirs[i] = filepath.Join(b.TempDir(), "drive")
	}
	s, err := sherd.Open(b.Context(), dirs, nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	_, err = s.CreateBucket(b.Context(), "bucket", nil)
	require.NoError(b, err)
	return s
}

func content(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(i*7 + i>>8*13 + i>>16*31)
	}
	return out
}

// put gives every operation a key of its own within a round, and the keys of the
// round before again.
func put(b *testing.B, s *sherd.Store, size int) side {
	body := content(size)
	return func(client, i int) error {
		_, err := s.Put(b.Context(), "bucket", fmt.Sprintf("client%02d/object%06d", client, i), bytes.NewReader(body), int64(size), nil)
		return err
	}
}

func get(b *testing.B, s *sherd.Store, size int) side {
	keys := 256
	if size == large {
		keys = 1
	}
	for i := range keys {
		require.NoError(b, put(b, s, size)(0, i))
	}
	return func(client, i int) error {
		o, err := s.Get(b.Context(), "bucket", fmt.Sprintf("client%02d/object%06d", 0, (client*31+i)%keys), nil)
		if err != nil {
			return err
		}
		if n, err := o.WriteTo(io.Discard); err != nil || n != int64(size) {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		return o.Close()
	}
}

// files is the floor of large objects: each drive's shard in a plain file,
// synced with its directory; two of four files hold what a reader needs.
type files struct {
	dirs []string
	body []byte
}

func rawFiles(b *testing.B) *files {
	f := &files{body: content(large / 2)}
	for range drives {
		f.dirs = append(f.dirs, b.TempDir())
	}
	return f
}

func (f *files) filled(b *testing.B) *files {
	require.NoError(b, f.put(0, 0))
	return f
}

func (f *files) each(n int, do func(dir string) error) error {
	errs := make(chan error, n)
	for _, dir := range f.dirs[:n] {
		go func() { errs <- do(dir) }()
	}
	var first error
	for range n {
		if err := <-errs; err != nil {
			first = err
		}
	}
	return first
}

func (f *files) put(client, i int) error {
	return f.each(drives, func(dir string) error {
		path := filepath.Join(dir, fmt.Sprintf("shard%d.%d", client, i))
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		defer file.Close()
		for at := 0; at < len(f.body); at += 1 << 20 {
			if _, err := file.Write(f.body[at : at+1<<20]); err != nil {
				return err
			}
		}
		if err := file.Sync(); err != nil {
			return err
		}
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer d.Close()
		return d.Sync()
	})
}

func (f *files) get(int, int) error {
	return f.each(drives/2, func(dir string) error {
		file, err := os.Open(filepath.Join(dir, "shard0.0"))
		if err != nil {
			return err
		}
		defer file.Close()
		buf := make([]byte, 1<<20)
		for {
			if _, err := file.Read(buf); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
}
