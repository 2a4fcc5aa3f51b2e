// Goal: how fast a drive that took another's place gets its shard files, beside a
// plain copy that reads and writes as many bytes of the same files. Method: rounds
// of both in turn on the same directories, and the ratio of the medians; once with
// all files in memory, where the processor decides, once read from the disk, and once
// with a client that reads all the while. SHERD_REBUILD_OBJECTS is how many objects of
// 64 MiB there are, 40 unless said; 160 are 10 GiB.
package bench

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sherd-storage/sherd"
)

const rebuildEach = 64 << 20

// rebuilt is how many objects there are.
var rebuilt = func() int {
	if n, err := strconv.Atoi(os.Getenv("SHERD_REBUILD_OBJECTS")); err == nil && n > 0 {
		return n
	}
	return 40
}()

func BenchmarkRebuildBesideCopy(b *testing.B) {
	dir := b.TempDir()
	paths := make([]string, drives)
	for i := range paths {
		paths[i] = filepath.Join(dir, string(rune('a'+i)))
		require.NoError(b, os.Mkdir(paths[i], 0o700))
	}
	store, err := sherd.Open(b.Context(), paths, nil)
	require.NoError(b, err)
	_, err = store.CreateBucket(b.Context(), "bucket", nil)
	require.NoError(b, err)
	body := make([]byte, rebuildEach)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	for i := range rebuilt {
		_, err := store.Put(b.Context(), "bucket", strconv.Itoa(i), bytes.NewReader(body), rebuildEach, nil)
		require.NoError(b, err)
	}
	require.NoError(b, store.Close())
	for _, how := range []string{"cached", "cold", "cold and read"} {
		if how != "cached" && runtime.GOOS != "linux" {
			continue // forget can not do it
		}
		b.Run(how, func(b *testing.B) {
			compareRebuild(b, dir, paths, how)
		})
	}
}

func compareRebuild(b *testing.B, dir string, paths []string, how string) {
	ready := func() {
		if how == "cached" {
			return
		}
		for _, path := range paths {
			for _, file := range shardsOf(b, path) {
				require.NoError(b, forget(file))
			}
		}
	}
	var rebuilds, copies []float64
	var read atomic.Int64 // bytes
	for range max(3, b.N) {
		ready()
		copies = append(copies, copyShards(b, paths[:2], filepath.Join(dir, "copy")))
		ready()
		rebuilds = append(rebuilds, rebuild(b, paths, 3, how == "cold and read", &read))
	}
	slices.Sort(rebuilds)
	slices.Sort(copies)
	moved := float64(rebuilt) * rebuildEach / 2 / 1e6 // written
	b.ReportMetric(moved/rebuilds[len(rebuilds)/2], "rebuilt-MB/s")
	b.ReportMetric(moved/copies[len(copies)/2], "copied-MB/s")
	b.ReportMetric(copies[len(copies)/2]/rebuilds[len(rebuilds)/2], "of-copy")
	if n := read.Load(); n > 0 {
		all := 0.0
		for _, took := range rebuilds {
			all += took
		}
		b.ReportMetric(float64(n)/1e6/all, "read-MB/s")
	}
	b.ReportMetric(0, "ns/op")
}

// rebuild empties the place of a drive, and gives the seconds that its shard files
// take from the moment at which it is begun with them. A client may read meanwhile, one
// object after the other.
func rebuild(b *testing.B, paths []string, drive int, reading bool, read *atomic.Int64) float64 {
	require.NoError(b, os.RemoveAll(paths[drive]))
	require.NoError(b, os.Mkdir(paths[drive], 0o700))
	store, err := sherd.Open(b.Context(), paths, nil)
	require.NoError(b, err)
	defer func() { require.NoError(b, store.Close()) }()
	var begun time.Time
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.Now().Add(5 * time.Minute)
	for {
		<-tick.C
		under := slices.ContainsFunc(store.Health().Work, func(w sherd.Work) bool { return w.Kind == sherd.WorkShards })
		switch {
		case under && begun.IsZero():
			begun = time.Now()
			if reading {
				ctx, stop := context.WithCancel(b.Context())
				var reader sync.WaitGroup
				reader.Go(func() { readAll(ctx, store, read) })
				defer reader.Wait()
				defer stop()
			}
		case !under && !begun.IsZero():
			took := time.Since(begun).Seconds()
			require.Len(b, shardsOf(b, paths[drive]), rebuilt)
			return took
		}
		require.True(b, time.Now().Before(limit), "%+v", store.Health())
	}
}

// readAll reads objects until the context ends.
func readAll(ctx context.Context, store *sherd.Store, read *atomic.Int64) {
	for i := 0; ctx.Err() == nil; i++ {
		o, err := store.Get(ctx, "bucket", strconv.Itoa(i%rebuilt), nil)
		if err != nil {
			continue
		}
		n, _ := io.Copy(io.Discard, o)
		read.Add(n)
		_ = o.Close()
	}
}

func shardsOf(b *testing.B, drive string) (out []string) {
	require.NoError(b, filepath.WalkDir(filepath.Join(drive, "shards"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, path)
		}
		return err
	}))
	return out
}

// copyShards reads the shard files of two drives and writes one file for each two,
// synced, six at a time, as a rebuild does.
func copyShards(b *testing.B, from []string, to string) float64 {
	require.NoError(b, os.RemoveAll(to))
	require.NoError(b, os.Mkdir(to, 0o700))
	first, second := shardsOf(b, from[0]), shardsOf(b, from[1])
	begun := time.Now()
	var g errgroup.Group
	g.SetLimit(6)
	for i := range first {
		g.Go(func() error { return copyShard(first[i], second[i], filepath.Join(to, filepath.Base(first[i]))) })
	}
	require.NoError(b, g.Wait())
	return time.Since(begun).Seconds()
}

func copyShard(first, second, to string) error {
	f, err := os.Open(first)
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := os.Open(second)
	if err != nil {
		return err
	}
	defer s.Close()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	defer w.Close()
	one, two := make([]byte, 512<<10), make([]byte, 512<<10)
	for {
		n, err := io.ReadFull(f, one)
		if n > 0 {
			if _, err := io.ReadFull(s, two[:n]); err != nil {
				return err
			}
			if _, err := w.Write(one[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return w.Sync()
		}
		if err != nil {
			return err
		}
	}
}
