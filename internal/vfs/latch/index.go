package latch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// spaceTries is how often an operation without space is tried again after some was freed.
const spaceTries = 2

// indexFS is the view for the index library: for what it writes, it never sees an error of the drive.
// What is written once latched lies in Latch.after, by its whole name, so that the library can read it back.
type indexFS struct {
	l       *Latch
	below   *truthful
	running atomic.Bool // a log was begun: opening can no longer fail without leaving goroutines and files behind
}

var _ vfs.FS = (*indexFS)(nil)

// attempt runs do, again when it failed for space and some was freed. It returns whether the operation
// was done on the drive; if it was not, the drive is latched.
func (x *indexFS) attempt(do func() error) bool {
	return x.l.attempt(do) == nil
}

func (l *Latch) attempt(do func() error) error {
	for try := 0; ; try++ {
		freed := l.freed.Load()
		err := do()
		if err == nil || errors.Is(err, ErrLatched) {
			return err
		}
		if !IsSpace(err) || try == spaceTries || !l.relieve(freed) {
			l.Trip(err)
			return err
		}
	}
}

// flat is the name in Latch.after, which has no directories.
func flat(name string) string { return strings.ReplaceAll(name, "/", "\x00") }

// writer opens a file to be written.
func (x *indexFS) writer(name string, do func() (vfs.File, error)) (vfs.File, error) {
	f := &indexFile{l: x.l, name: name}
	if x.attempt(func() (err error) { f.below, err = do(); return err }) {
		return f, nil
	}
	f.below = nil
	if err := f.moveAfter(); err != nil {
		return nil, err
	}
	return f, nil
}

func (x *indexFS) Create(name string, category vfs.Category) (vfs.File, error) {
	if op.ClassOf(name) == op.WAL {
		x.running.Store(true)
	}
	return x.writer(name, func() (vfs.File, error) { return x.below.Create(name, category) })
}

func (x *indexFS) ReuseForWrite(oldname, newname string, category vfs.Category) (vfs.File, error) {
	if op.ClassOf(newname) == op.WAL {
		x.running.Store(true)
	}
	return x.writer(newname, func() (vfs.File, error) { return x.below.ReuseForWrite(oldname, newname, category) })
}

func (x *indexFS) OpenReadWrite(name string, category vfs.Category, opts ...vfs.OpenOption) (vfs.File, error) {
	return x.writer(name, func() (vfs.File, error) { return x.below.OpenReadWrite(name, category, opts...) })
}

func (x *indexFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if x.l.Err() != nil {
		if f, err := x.l.after.Open(flat(name)); err == nil {
			return f, nil
		}
	}
	f, err := x.below.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return &readFile{f}, nil
}

// readFile is a file to be read. The library forgets one whose size it is not told, without closing it.
type readFile struct{ vfs.File }

func (f *readFile) Stat() (vfs.FileInfo, error) {
	fi, err := f.File.Stat()
	if err != nil {
		return nil, errors.Join(err, f.File.Close())
	}
	return fi, nil
}

func (x *indexFS) OpenDir(name string) (vfs.File, error) {
	f, err := x.below.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &indexFile{l: x.l, name: name, below: f}, nil
}

func (x *indexFS) Rename(oldname, newname string) error {
	if x.attempt(func() error { return x.below.Rename(oldname, newname) }) {
		return nil
	}
	if err := x.l.after.Rename(flat(oldname), flat(newname)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Remove implements FS. Once latched, what the library no longer needs stays on the drive: it may be all there is.
// What can not be removed stays too, and is found when the index is opened the next time.
func (x *indexFS) Remove(name string) error {
	if x.l.Err() != nil {
		if err := x.l.after.Remove(flat(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	err := x.below.Remove(name)
	if err != nil && !isAnswer(err) {
		return nil // the latch was told
	}
	return err
}

func (x *indexFS) RemoveAll(name string) error { return hideLatched(x.below.RemoveAll(name)) }

func (x *indexFS) MkdirAll(name string, perm os.FileMode) error {
	return hideLatched(x.below.MkdirAll(name, perm))
}

func (x *indexFS) Link(oldname, newname string) error { return x.below.Link(oldname, newname) }

func (x *indexFS) Lock(name string) (io.Closer, error)          { return x.below.Lock(name) }
func (x *indexFS) PathBase(name string) string                  { return x.below.PathBase(name) }
func (x *indexFS) PathJoin(elem ...string) string               { return x.below.PathJoin(elem...) }
func (x *indexFS) PathDir(name string) string                   { return x.below.PathDir(name) }
func (x *indexFS) Unwrap() vfs.FS                               { return x.below }
func (x *indexFS) GetDiskUsage(n string) (vfs.DiskUsage, error) { return x.below.GetDiskUsage(n) }

// List implements FS. The last thing that opening does is to look for files that nothing needs: there it does not
// fail, as the library would leave its log open and its goroutines running.
func (x *indexFS) List(name string) ([]string, error) {
	names, err := x.below.List(name)
	if err != nil && x.running.Load() {
		x.l.Trip(fmt.Errorf("list %s: %w", name, err))
		return nil, nil
	}
	return names, err
}

func (x *indexFS) Stat(name string) (vfs.FileInfo, error) {
	if x.l.Err() != nil {
		if fi, err := x.l.after.Stat(flat(name)); err == nil {
			return fi, nil
		}
	}
	return x.below.Stat(name)
}

func hideLatched(err error) error {
	if errors.Is(err, ErrLatched) {
		return nil
	}
	return err
}

// indexFile is an open file of the index view.
type indexFile struct {
	l     *Latch
	name  string
	below vfs.File // nil: opened when latched already
	off   int64    // where Write is; only writers use it, one at a time
	after atomic.Pointer[vfs.File]
}

var _ vfs.File = (*indexFile)(nil)

// moveAfter goes on in memory, with what was written so far.
func (f *indexFile) moveAfter() error {
	moved, err := f.l.after.Create(flat(f.name), vfs.Unspecified)
	if err != nil {
		return err
	}
	if f.below != nil && f.off > 0 {
		head := make([]byte, f.off)
		if n, err := f.below.ReadAt(head, 0); err != nil && n < len(head) {
			f.l.failed(op.ReadAt, f.name, err) //nolint:errcheck // seen; the index is to be closed, and its checksums tell
		}
		if _, err := moved.Write(head); err != nil {
			return fmt.Errorf("go on in memory: %w", errors.Join(err, moved.Close()))
		}
	}
	f.after.Store(&moved)
	return nil
}

func (f *indexFile) Write(p []byte) (int, error) {
	if f.after.Load() == nil {
		asked, done := len(p), 0
		err := f.l.attempt(func() error {
			n, err := f.below.Write(p[done:])
			done += n
			return err
		})
		if err == nil {
			f.off += int64(asked)
			return asked, nil
		}
		if err := f.moveAfter(); err != nil {
			return 0, err
		}
	}
	return (*f.after.Load()).Write(p)
}

func (f *indexFile) WriteAt(p []byte, off int64) (int, error) {
	if f.after.Load() == nil {
		err := f.l.attempt(func() error {
			_, err := f.below.WriteAt(p, off)
			return err
		})
		if err == nil {
			f.off = max(f.off, off+int64(len(p)))
			return len(p), nil
		}
		if err := f.moveAfter(); err != nil {
			return 0, err
		}
	}
	return (*f.after.Load()).WriteAt(p, off)
}

// current is the file that holds all that was written.
func (f *indexFile) current() vfs.File {
	if after := f.after.Load(); after != nil {
		return *after
	}
	return f.below
}

func (f *indexFile) Read(p []byte) (int, error)              { return f.current().Read(p) }
func (f *indexFile) ReadAt(p []byte, off int64) (int, error) { return f.current().ReadAt(p, off) }
func (f *indexFile) Prefetch(off, length int64) error        { return f.current().Prefetch(off, length) }

func (f *indexFile) Stat() (vfs.FileInfo, error) {
	fi, err := f.current().Stat()
	if err == nil || f.below == nil || f.after.Load() != nil {
		return fi, err
	}
	// The library panics when it cannot know the size of a log that it uses again.
	f.l.Trip(fmt.Errorf("stat %s: %w", f.name, err))
	if err := f.moveAfter(); err != nil {
		return nil, err
	}
	return f.current().Stat()
}

// sync runs a sync on the drive; where it fails, the latch knows, and the library does not.
func (f *indexFile) sync(do func() error) error {
	if f.below == nil || f.l.Err() != nil {
		return nil
	}
	if err := do(); err != nil && !errors.Is(err, ErrLatched) {
		f.l.Trip(fmt.Errorf("sync %s: %w", f.name, err))
	}
	return nil
}

func (f *indexFile) Sync() error {
	if f.below == nil {
		return nil
	}
	return f.sync(f.below.Sync)
}

func (f *indexFile) SyncData() error {
	if f.below == nil {
		return nil
	}
	return f.sync(f.below.SyncData)
}

func (f *indexFile) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() (err error) { full, err = f.below.SyncTo(length); return err })
	return full, err
}

// Preallocate implements File. That there is no space is found out by the write.
func (f *indexFile) Preallocate(off, length int64) error {
	if f.after.Load() != nil || f.l.Err() != nil {
		return nil
	}
	return hideLatched(f.below.Preallocate(off, length))
}

// Close implements File. An error of closing what was written latches, as the library panics on it.
func (f *indexFile) Close() error {
	var errs []error
	if after := f.after.Load(); after != nil {
		errs = append(errs, (*after).Close())
	}
	if f.below != nil {
		if err := f.below.Close(); errors.Is(err, fs.ErrClosed) {
			errs = append(errs, err)
		} else if err != nil {
			f.l.Trip(fmt.Errorf("close %s: %w", f.name, err))
		}
	}
	return errors.Join(errs...)
}

func (f *indexFile) Fd() uintptr { return f.current().Fd() }
