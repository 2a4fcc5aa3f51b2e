// Goal: the drive latches for what puts durability in doubt and for nothing else, once and for ever; reads go on; the index
// view hides it all. Method: one fault at a time, on a file system in memory.
package latch_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/latch"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exercise runs one operation of each kind that can latch; errors are the drive's matter.
func exercise(fs vfs.FS) {
	_ = fs.MkdirAll("d", 0o700)
	if f, err := fs.Create("a", vfs.Unspecified); err == nil {
		_, _ = f.Write([]byte("x"))
		_ = f.SyncData()
		_, _ = f.SyncTo(1)
		_ = f.Sync()
		_ = f.Close()
	}
	if f, err := fs.OpenReadWrite("b", vfs.Unspecified); err == nil {
		_, _ = f.WriteAt([]byte("x"), 0)
		_ = f.Close()
	}
	_ = fs.Link("a", "c")
	_ = fs.Rename("c", "e")
	if f, err := fs.ReuseForWrite("b", "g", vfs.Unspecified); err == nil {
		_ = f.Close()
	}
	if d, err := fs.OpenDir("/"); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	_ = fs.Remove("e")
	_, _ = fs.List("/")
	_, _ = fs.Stat("a")
}

func TestWhatLatches(t *testing.T) {
	always := []op.Kind{op.Sync, op.SyncData, op.SyncTo, op.SyncDir}
	but := []op.Kind{op.Create, op.OpenReadWrite, op.Reuse, op.Rename, op.Link, op.Mkdir, op.Write, op.WriteAt}
	never := []op.Kind{op.Remove, op.List, op.Stat, op.Close}
	check := func(kind op.Kind, cause error, want bool) {
		t.Helper()
		faults, latched := faultfs.New(), 0
		rule := faults.Add(faultfs.Rule{Kinds: []op.Kind{kind}, Do: faultfs.Fail(cause)})
		l := latch.New(faults.Wrap(vfs.Mem(0)), latch.Options{OnLatch: func(err error) {
			latched++
			require.ErrorIs(t, err, cause)
		}})
		exercise(l.FS())
		require.Positive(t, rule.Fired(), kind)
		require.Equal(t, want, l.Err() != nil, "%v %v", kind, cause)
		if want {
			require.Equal(t, 1, latched)
			require.ErrorIs(t, l.Err(), latch.ErrLatched)
			require.ErrorIs(t, l.Err(), cause)
		}
	}
	for _, kind := range always {
		check(kind, syscall.EIO, true)
		check(kind, syscall.ENOSPC, true)
	}
	for _, kind := range but {
		check(kind, syscall.EIO, true)
		check(kind, syscall.EROFS, true)
		check(kind, syscall.ENOSPC, false)
		check(kind, syscall.EDQUOT, false)
		check(kind, syscall.EMFILE, false)
	}
	for _, kind := range never {
		check(kind, syscall.EIO, false)
	}
}

func TestAnswersDoNotLatch(t *testing.T) {
	var seen []op.Kind
	l := latch.New(vfs.Mem(0), latch.Options{OnError: func(k op.Kind, _ string, _ error) { seen = append(seen, k) }})
	fs := l.FS()
	require.Error(t, fs.Rename("nothing", "a"))
	require.Error(t, fs.Link("nothing", "a"))
	_, err := fs.Create("no/parent", vfs.Unspecified)
	require.Error(t, err)
	f, err := fs.Create("a", vfs.Unspecified)
	require.NoError(t, err)
	require.Error(t, fs.MkdirAll("a/b", 0o700))
	require.NoError(t, f.Close())
	require.Error(t, f.Sync())
	require.NoError(t, l.Err())
	require.Empty(t, seen)
}

func TestLatchedReadsGoOn(t *testing.T) {
	mem := vfs.Mem(0)
	l := latch.New(mem, latch.Options{})
	fs := l.FS()
	f, err := fs.Create("a", vfs.Unspecified)
	require.NoError(t, err)
	_, err = f.Write([]byte("content"))
	require.NoError(t, err)
	cause, later := errors.New("first"), errors.New("second")
	l.Trip(cause)
	l.Trip(later)
	_, err = f.Write([]byte("x"))
	require.ErrorIs(t, err, latch.ErrLatched)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, later)
	require.ErrorIs(t, f.Sync(), latch.ErrLatched)
	require.ErrorIs(t, fs.Remove("a"), latch.ErrLatched)
	require.ErrorIs(t, fs.Rename("a", "b"), latch.ErrLatched)
	p := make([]byte, 7)
	_, err = f.ReadAt(p, 0)
	require.NoError(t, err)
	require.Equal(t, "content", string(p))
	_, err = fs.Stat("a")
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestShortWriteLatches(t *testing.T) {
	faults := faultfs.New()
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Write}, Do: faultfs.Short(1, nil)})
	l := latch.New(faults.Wrap(vfs.Mem(0)), latch.Options{})
	f, err := l.FS().Create("a", vfs.Unspecified)
	require.NoError(t, err)
	_, err = f.Write([]byte("xyz"))
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.ErrorIs(t, l.Err(), io.ErrShortWrite)
	require.NoError(t, f.Close())
}

// The index view goes on in memory, reads back what it wrote, and leaves the drive alone.
func TestIndexViewGoesOnInMemory(t *testing.T) {
	mem, faults := vfs.Mem(0), faultfs.New()
	l := latch.New(faults.Wrap(mem), latch.Options{})
	fs := l.Index()
	f, err := fs.Create("dir.log", vfs.Unspecified)
	require.NoError(t, err)
	_, err = f.Write([]byte("before "))
	require.NoError(t, err)
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Sync}, Times: 1, Do: faultfs.Fail(syscall.EIO)})
	require.NoError(t, f.Sync())
	require.ErrorIs(t, l.Err(), syscall.EIO)
	_, err = f.Write([]byte("after"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	g, err := fs.Create("new", vfs.Unspecified)
	require.NoError(t, err)
	require.NoError(t, g.Close())
	require.NoError(t, fs.Rename("new", "newer"))
	require.NoError(t, fs.Remove("dir.log.other"))

	require.Equal(t, "before after", readAll(t, fs, "dir.log"))
	require.Empty(t, readAll(t, fs, "newer"))
	require.Equal(t, "before ", readAll(t, mem, "dir.log"), "nothing reaches the drive")
	names, err := mem.List("/")
	require.NoError(t, err)
	require.Equal(t, []string{"dir.log"}, names)
	require.NoError(t, fs.Remove("dir.log"))
	require.NoError(t, fs.RemoveAll("/"))
	require.Equal(t, "before ", readAll(t, fs, "dir.log"), "what is removed now stays")
}

func readAll(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	require.NoError(t, err)
	content, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return string(content)
}

func TestManyOperationsInFlight(t *testing.T) {
	faults, gate := faultfs.New(), faultfs.NewGate()
	l := latch.New(faults.Wrap(vfs.Mem(0)), latch.Options{})
	require.True(t, l.Oldest().IsZero())
	const many = 200 // more than there are slots
	var entered sync.WaitGroup
	entered.Add(many)
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Stat}, Do: func(c *vfs.Call, next func() error) error {
		entered.Done()
		return faultfs.Stall(gate)(c, next)
	}})
	var all sync.WaitGroup
	for range many {
		all.Go(func() { _, _ = l.FS().Stat("/") })
	}
	entered.Wait()
	require.False(t, l.Oldest().IsZero())
	gate.Open()
	all.Wait()
	require.True(t, l.Oldest().IsZero())
}

// BenchmarkWrite measures what a latch adds to a write of 4 KiB.
func BenchmarkWrite(b *testing.B) {
	for name, fs := range map[string]vfs.FS{
		"bare":  null{},
		"fs":    latch.New(null{}, latch.Options{}).FS(),
		"index": latch.New(null{}, latch.Options{}).Index(),
	} {
		b.Run(name, func(b *testing.B) {
			f, err := fs.Create("a", vfs.Unspecified)
			require.NoError(b, err)
			p := []byte(strings.Repeat("x", 4096))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Write(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// null is a file system whose files take all and keep nothing.
type null struct{ vfs.FS }

type nullFile struct{ vfs.File }

func (null) Create(string, vfs.Category) (vfs.File, error) { return nullFile{}, nil }
func (nullFile) Write(p []byte) (int, error)               { return len(p), nil }

func TestIndexViewOpensToTheEndOrNotAtAll(t *testing.T) {
	faults := faultfs.New()
	mem := vfs.Mem(0)
	require.NoError(t, mem.MkdirAll("index", 0o700))
	l := latch.New(faults.Wrap(mem), latch.Options{})
	fs := l.Index()
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.List, op.FileStat}, Do: faultfs.Fail(syscall.EIO)})
	stays := faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Remove}, Do: faultfs.Fail(syscall.EIO)})
	table, err := fs.Create("index/000001.sst", vfs.Unspecified)
	require.NoError(t, err)
	require.NoError(t, table.Close())
	require.NoError(t, fs.Remove("index/000001.sst"), "what can not be removed stays")
	_, err = mem.Stat("index/000001.sst")
	require.NoError(t, err)
	stays.Stop()
	require.Error(t, fs.Remove("index/none"), "an answer is told")

	table, err = fs.Open("index/000001.sst")
	require.NoError(t, err)
	_, err = table.Stat()
	require.ErrorIs(t, err, syscall.EIO)
	require.Empty(t, faults.Open(), "nobody closes it then")

	_, err = fs.List("index")
	require.ErrorIs(t, err, syscall.EIO, "at the beginning")
	require.NoError(t, l.Err())
	log, err := fs.Create("index/000002.log", vfs.Unspecified)
	require.NoError(t, err)
	names, err := fs.List("index")
	require.NoError(t, err, "at the end")
	require.Empty(t, names)
	require.ErrorIs(t, l.Err(), syscall.EIO)
	require.NoError(t, log.Close())
}
