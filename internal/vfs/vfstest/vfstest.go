// Package vfstest is the conformance test of file systems.
//
// Every implementation of vfs.FS, and every wrapper with nothing to do, passes [Run]. It tests what the
// engine relies on and what the index library relies on, and nothing that systems do differently.
package vfstest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
)

// Run tests the file systems that open returns: for each part a new one, with a directory that is empty and that
// the part may fill.
func Run(t *testing.T, open func(t *testing.T) (fs vfs.FS, dir string)) {
	parts := map[string]func(s *suite){
		"create replaces the name, not the file": (*suite).createReplaces,
		"reads and writes":                       (*suite).readsAndWrites,
		"read-write handles":                     (*suite).readWriteHandles,
		"reuse keeps the bytes":                  (*suite).reuse,
		"links":                                  (*suite).links,
		"rename":                                 (*suite).rename,
		"remove":                                 (*suite).remove,
		"removed files live while open":          (*suite).removedWhileOpen,
		"directories":                            (*suite).directories,
		"missing names":                          (*suite).missing,
		"locks":                                  (*suite).locks,
		"syncs":                                  (*suite).syncs,
		"disk usage":                             (*suite).usage,
		"identity":                               (*suite).identity,
		"read-only handles":                      (*suite).readOnly,
	}
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			fs, dir := open(t)
			part(&suite{T: t, Assertions: require.New(t), fs: fs, dir: dir})
		})
	}
}

type suite struct {
	*testing.T
	*require.Assertions
	fs  vfs.FS
	dir string
}

func (s *suite) at(elem ...string) string { return s.fs.PathJoin(append([]string{s.dir}, elem...)...) }

func (s *suite) write(name, content string) {
	f, err := s.fs.Create(s.at(name), vfs.Unspecified)
	s.NoError(err)
	s.put(f, content)
	s.NoError(f.Close())
}

// put writes content; the file may change the bytes that it is given.
func (s *suite) put(f io.Writer, content string) {
	n, err := f.Write([]byte(content))
	s.NoError(err)
	s.Equal(len(content), n)
}

func (s *suite) read(name string) string {
	f, err := s.fs.Open(s.at(name))
	s.NoError(err)
	content, err := io.ReadAll(f)
	s.NoError(err)
	s.NoError(f.Close())
	return string(content)
}

func (s *suite) list(elem ...string) []string {
	names, err := s.fs.List(s.at(elem...))
	s.NoError(err)
	slices.Sort(names)
	return names
}

func (s *suite) createReplaces() {
	s.write("a", "old content")
	old, err := s.fs.Open(s.at("a"))
	s.NoError(err)
	s.write("a", "new")
	s.Equal("new", s.read("a"))
	content, err := io.ReadAll(old)
	s.NoError(err)
	s.Equal("old content", string(content), "an open handle keeps the file that was replaced")
	s.NoError(old.Close())
	s.Equal([]string{"a"}, s.list())
}

func (s *suite) readsAndWrites() {
	f, err := s.fs.Create(s.at("a"), vfs.Unspecified)
	s.NoError(err)
	s.NoError(f.Preallocate(0, 1<<16))
	s.put(f, "hello ")
	s.put(f, "world")
	fi, err := f.Stat()
	s.NoError(err)
	s.EqualValues(11, fi.Size(), "space that is preallocated is no length")
	p := make([]byte, 5)
	n, err := f.ReadAt(p, 6)
	s.NoError(err)
	s.Equal("world", string(p[:n]))
	n, err = f.ReadAt(p, 8)
	s.ErrorIs(err, io.EOF)
	s.Equal("rld", string(p[:n]))
	_, err = f.ReadAt(p, 100)
	s.ErrorIs(err, io.EOF)
	s.NoError(f.Close())
	s.ErrorIs(second(f.Write([]byte("x"))), fs.ErrClosed)
	s.Equal("hello world", s.read("a"))

	fi, err = s.fs.Stat(s.at("a"))
	s.NoError(err)
	s.Equal("a", fi.Name())
	s.EqualValues(11, fi.Size())
	s.False(fi.IsDir())
}

func (s *suite) readWriteHandles() {
	f, err := s.fs.OpenReadWrite(s.at("a"), vfs.Unspecified)
	s.NoError(err, "a missing file is created")
	_, err = f.WriteAt([]byte("tail"), 70_000)
	s.NoError(err)
	_, err = f.WriteAt([]byte("head"), 0)
	s.NoError(err)
	s.NoError(f.Close())
	f, err = s.fs.OpenReadWrite(s.at("a"), vfs.Unspecified)
	s.NoError(err, "a file that exists is not truncated")
	p := make([]byte, 8)
	_, err = f.ReadAt(p, 0)
	s.NoError(err)
	s.Equal("head\x00\x00\x00\x00", string(p), "holes are zeros")
	_, err = f.ReadAt(p, 69_996)
	s.NoError(err)
	s.Equal("\x00\x00\x00\x00tail", string(p))
	s.put(f, "HE")
	s.NoError(f.Close())
	s.Equal("HEad", s.read("a")[:4])
	s.Len(s.read("a"), 70_004)
}

func (s *suite) reuse() {
	s.write("old", "0123456789")
	f, err := s.fs.ReuseForWrite(s.at("old"), s.at("new"), vfs.Unspecified)
	s.NoError(err)
	s.put(f, "ab")
	s.NoError(f.Close())
	s.Equal("ab23456789", s.read("new"))
	s.Equal([]string{"new"}, s.list())
	_, err = s.fs.ReuseForWrite(s.at("old"), s.at("newer"), vfs.Unspecified)
	s.ErrorIs(err, fs.ErrNotExist)
}

func (s *suite) links() {
	s.write("a", "content")
	s.NoError(s.fs.Link(s.at("a"), s.at("b")))
	s.Equal("content", s.read("b"))
	s.ErrorIs(s.fs.Link(s.at("a"), s.at("b")), fs.ErrExist)
	s.ErrorIs(s.fs.Link(s.at("nothing"), s.at("c")), fs.ErrNotExist)
	f, err := s.fs.OpenReadWrite(s.at("b"), vfs.Unspecified)
	s.NoError(err)
	s.put(f, "C")
	s.NoError(f.Close())
	s.Equal("Content", s.read("a"), "both names lead to one file")
	s.NoError(s.fs.Remove(s.at("a")))
	s.Equal("Content", s.read("b"))
	s.NoError(s.fs.Link(s.at("b"), s.at("c")))
	s.write("b", "other")
	s.Equal("Content", s.read("c"), "create does not touch the linked file")
}

func (s *suite) rename() {
	s.write("a", "1")
	s.write("b", "2")
	s.NoError(s.fs.Rename(s.at("a"), s.at("b")))
	s.Equal([]string{"b"}, s.list())
	s.Equal("1", s.read("b"))
	s.ErrorIs(s.fs.Rename(s.at("a"), s.at("c")), fs.ErrNotExist)
	s.NoError(s.fs.MkdirAll(s.at("d", "e"), 0o700))
	s.NoError(s.fs.Rename(s.at("b"), s.at("d", "e", "f")))
	s.NoError(s.fs.Rename(s.at("d"), s.at("g")))
	s.Equal([]string{"g"}, s.list())
	s.Equal("1", s.read(s.fs.PathJoin("g", "e", "f")))
	s.Error(s.fs.Rename(s.at("nothing", "a"), s.at("b")))
}

func (s *suite) remove() {
	s.NoError(s.fs.MkdirAll(s.at("d", "e"), 0o700))
	s.write(s.fs.PathJoin("d", "e", "f"), "1")
	s.Error(s.fs.Remove(s.at("d", "e")), "a directory that is not empty stays")
	s.NoError(s.fs.Remove(s.at("d", "e", "f")))
	s.NoError(s.fs.Remove(s.at("d", "e")))
	s.ErrorIs(s.fs.Remove(s.at("d", "e")), fs.ErrNotExist)
	s.NoError(s.fs.MkdirAll(s.at("d", "x", "y"), 0o700))
	s.write(s.fs.PathJoin("d", "x", "1"), "1")
	s.NoError(s.fs.RemoveAll(s.at("d")))
	s.NoError(s.fs.RemoveAll(s.at("d")), "what is gone already is no error")
	s.NoError(s.fs.RemoveAll(s.at("no", "such", "parent")))
	s.Empty(s.list())
}

func (s *suite) removedWhileOpen() {
	f, err := s.fs.Create(s.at("a"), vfs.Unspecified)
	s.NoError(err)
	s.put(f, "one")
	s.NoError(s.fs.Remove(s.at("a")))
	s.put(f, "two")
	s.NoError(f.Sync())
	p := make([]byte, 6)
	_, err = f.ReadAt(p, 0)
	s.NoError(err)
	s.Equal("onetwo", string(p))
	s.NoError(f.Close())
	s.Empty(s.list())
}

func (s *suite) directories() {
	s.NoError(s.fs.MkdirAll(s.at("d", "e"), 0o700))
	s.NoError(s.fs.MkdirAll(s.at("d", "e"), 0o700))
	s.write("f", "file")
	s.Error(s.fs.MkdirAll(s.at("f", "g"), 0o700), "a file is in the way")
	s.Equal([]string{"d", "f"}, s.list())
	s.Equal([]string{"e"}, s.list("d"))
	s.Empty(s.list("d", "e"))
	fi, err := s.fs.Stat(s.at("d"))
	s.NoError(err)
	s.True(fi.IsDir())
	s.Equal("f", s.fs.PathBase(s.at("f")))
	s.Equal(s.at("d"), s.fs.PathDir(s.at("d", "e")))
}

func (s *suite) missing() {
	_, err := s.fs.Open(s.at("a"))
	s.ErrorIs(err, fs.ErrNotExist)
	_, err = s.fs.Stat(s.at("a"))
	s.ErrorIs(err, fs.ErrNotExist)
	_, err = s.fs.List(s.at("a"))
	s.ErrorIs(err, fs.ErrNotExist)
	_, err = s.fs.OpenDir(s.at("a"))
	s.ErrorIs(err, fs.ErrNotExist)
	f, err := s.fs.Create(s.at("d", "a"), vfs.Unspecified)
	s.ErrorIs(err, fs.ErrNotExist, "parents are not made")
	s.Nil(f)
	_, err = s.fs.OpenReadWrite(s.at("d", "a"), vfs.Unspecified)
	s.ErrorIs(err, fs.ErrNotExist)
	_, err = s.fs.Lock(s.at("d", "lock"))
	s.ErrorIs(err, fs.ErrNotExist)
}

func (s *suite) locks() {
	held, err := s.fs.Lock(s.at("lock"))
	s.NoError(err)
	_, err = s.fs.Lock(s.at("lock"))
	s.Error(err, "a second lock, in the same process")
	s.Equal([]string{"lock"}, s.list(), "a lock is a file that can be seen")
	f, err := s.fs.Open(s.at("lock"))
	s.NoError(err)
	s.NoError(f.Close())
	_, err = s.fs.Lock(s.at("lock"))
	s.Error(err, "closing another handle does not lose the lock")
	other, err := s.fs.Lock(s.at("lock2"))
	s.NoError(err)
	s.NoError(held.Close())
	held, err = s.fs.Lock(s.at("lock"))
	s.NoError(err, "what was released can be locked again")
	s.NoError(held.Close())
	s.NoError(other.Close())
}

func (s *suite) syncs() {
	f, err := s.fs.Create(s.at("a"), vfs.Unspecified)
	s.NoError(err)
	s.NoError(f.Sync())
	s.put(f, "content")
	s.NoError(f.SyncData())
	_, err = f.SyncTo(7)
	s.NoError(err)
	s.NoError(f.Sync())
	_ = f.Prefetch(0, 7) // a hint; the index library returns "errno 0" on success
	s.NoError(f.Close())
	s.Error(f.Sync())
	d, err := s.fs.OpenDir(s.dir)
	s.NoError(err)
	s.NoError(d.Sync())
	s.NoError(d.SyncData())
	fi, err := d.Stat()
	s.NoError(err)
	s.True(fi.IsDir())
	s.NoError(d.Close())
}

func (s *suite) usage() {
	usage, err := s.fs.GetDiskUsage(s.dir)
	s.NoError(err)
	s.Positive(usage.AvailBytes)
	s.GreaterOrEqual(usage.TotalBytes, usage.AvailBytes)
}

func (s *suite) identity() {
	s.NoError(s.fs.MkdirAll(s.at("d"), 0o700))
	first, err := vfs.Identify(s.fs, s.at("d"))
	s.NoError(err)
	handle, err := s.fs.OpenDir(s.at("d"))
	s.NoError(err)
	again, err := vfs.Identify(s.fs, s.at("d"))
	s.NoError(err)
	s.Equal(first, again)
	s.NotEqual(vfs.Identity{}, first)
	s.NoError(s.fs.Rename(s.at("d"), s.at("e")))
	s.NoError(s.fs.MkdirAll(s.at("d"), 0o700))
	other, err := vfs.Identify(s.fs, s.at("d"))
	s.NoError(err)
	s.NotEqual(first, other, "another directory at the same name")
	s.True(first.SameDevice(other))
	moved, err := vfs.Identify(s.fs, s.at("e"))
	s.NoError(err)
	s.Equal(first, moved)
	s.NoError(handle.Close())
	_, err = vfs.Identify(s.fs, s.at("nothing"))
	s.True(errors.Is(err, fs.ErrNotExist))
}

func (s *suite) readOnly() {
	s.write("a", "content")
	f, err := s.fs.Open(s.at("a"))
	s.NoError(err)
	s.Error(second(f.Write([]byte("x"))))
	s.NoError(f.Close())
	s.Equal("content", s.read("a"))
}

func second(_ int, err error) error { return err }
