package latch

import (
	"io"
	"os"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// truthful is the view that returns the drive's errors, and ErrLatched once latched.
type truthful struct{ *Latch }

var _ vfs.FS = (*truthful)(nil)

// guard runs one operation. Those that mutate or sync are refused once latched.
func (t *truthful) guard(kind op.Kind, name string, do func() error) error {
	if kind.Mutates() || kind.Durable() {
		if err := t.Err(); err != nil {
			return err
		}
	}
	at := t.inflight.begin()
	err := do()
	t.inflight.end(at)
	if err != nil {
		return t.failed(kind, name, err)
	}
	return nil
}

func (t *truthful) open(kind op.Kind, name string, do func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	if err := t.guard(kind, name, func() (err error) { f, err = do(); return err }); err != nil {
		return nil, err
	}
	return &file{l: t.Latch, inner: f, name: name, dir: kind == op.OpenDir}, nil
}

func (t *truthful) Create(name string, category vfs.Category) (vfs.File, error) {
	return t.open(op.Create, name, func() (vfs.File, error) { return t.inner.Create(name, category) })
}

func (t *truthful) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return t.open(op.Open, name, func() (vfs.File, error) { return t.inner.Open(name, opts...) })
}

func (t *truthful) OpenReadWrite(name string, category vfs.Category, opts ...vfs.OpenOption) (vfs.File, error) {
	return t.open(op.OpenReadWrite, name, func() (vfs.File, error) {
		return t.inner.OpenReadWrite(name, category, opts...)
	})
}

func (t *truthful) OpenDir(name string) (vfs.File, error) {
	return t.open(op.OpenDir, name, func() (vfs.File, error) { return t.inner.OpenDir(name) })
}

func (t *truthful) ReuseForWrite(oldname, newname string, category vfs.Category) (vfs.File, error) {
	return t.open(op.Reuse, newname, func() (vfs.File, error) { return t.inner.ReuseForWrite(oldname, newname, category) })
}

func (t *truthful) Link(oldname, newname string) error {
	return t.guard(op.Link, newname, func() error { return t.inner.Link(oldname, newname) })
}

func (t *truthful) Rename(oldname, newname string) error {
	return t.guard(op.Rename, newname, func() error { return t.inner.Rename(oldname, newname) })
}

func (t *truthful) Remove(name string) error {
	return t.guard(op.Remove, name, func() error { return t.inner.Remove(name) })
}

func (t *truthful) RemoveAll(name string) error {
	return t.guard(op.RemoveAll, name, func() error { return t.inner.RemoveAll(name) })
}

func (t *truthful) MkdirAll(name string, perm os.FileMode) error {
	return t.guard(op.Mkdir, name, func() error { return t.inner.MkdirAll(name, perm) })
}

func (t *truthful) Lock(name string) (held io.Closer, err error) {
	err = t.guard(op.Lock, name, func() (err error) { held, err = t.inner.Lock(name); return err })
	if err != nil {
		return nil, err
	}
	return held, nil
}

func (t *truthful) List(name string) (names []string, err error) {
	err = t.guard(op.List, name, func() (err error) { names, err = t.inner.List(name); return err })
	return names, err
}

func (t *truthful) Stat(name string) (fi vfs.FileInfo, err error) {
	err = t.guard(op.Stat, name, func() (err error) { fi, err = t.inner.Stat(name); return err })
	return fi, err
}

func (t *truthful) GetDiskUsage(name string) (usage vfs.DiskUsage, err error) {
	err = t.guard(op.Usage, name, func() (err error) { usage, err = t.inner.GetDiskUsage(name); return err })
	return usage, err
}

// Identify implements the seam of vfs.Identify, so that a stalled one is seen too.
func (t *truthful) Identify(name string) (id vfs.Identity, err error) {
	err = t.guard(op.Identify, name, func() (err error) { id, err = vfs.Identify(t.inner, name); return err })
	return id, err
}

func (t *truthful) PathBase(name string) string    { return t.inner.PathBase(name) }
func (t *truthful) PathJoin(elem ...string) string { return t.inner.PathJoin(elem...) }
func (t *truthful) PathDir(name string) string     { return t.inner.PathDir(name) }
func (t *truthful) Unwrap() vfs.FS                 { return t.inner }

// file is an open file of the truthful view. Its paths are written out, without closures: they are hot.
type file struct {
	l     *Latch
	inner vfs.File
	name  string
	dir   bool
}

var _ vfs.File = (*file)(nil)

func (f *file) Write(p []byte) (int, error) {
	if err := f.l.Err(); err != nil {
		return 0, err
	}
	asked := len(p)
	at := f.l.inflight.begin()
	n, err := f.inner.Write(p)
	f.l.inflight.end(at)
	return f.wrote(op.Write, asked, n, err)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.l.Err(); err != nil {
		return 0, err
	}
	asked := len(p)
	at := f.l.inflight.begin()
	n, err := f.inner.WriteAt(p, off)
	f.l.inflight.end(at)
	return f.wrote(op.WriteAt, asked, n, err)
}

func (f *file) wrote(kind op.Kind, asked, n int, err error) (int, error) {
	if err == nil && n < asked {
		err = io.ErrShortWrite
	}
	if err != nil {
		return n, f.l.failed(kind, f.name, err)
	}
	return n, nil
}

func (f *file) Read(p []byte) (int, error) {
	at := f.l.inflight.begin()
	n, err := f.inner.Read(p)
	f.l.inflight.end(at)
	return n, f.l.failed(op.Read, f.name, err)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	at := f.l.inflight.begin()
	n, err := f.inner.ReadAt(p, off)
	f.l.inflight.end(at)
	return n, f.l.failed(op.ReadAt, f.name, err)
}

func (f *file) Sync() error {
	if err := f.l.Err(); err != nil {
		return err
	}
	at := f.l.inflight.begin()
	err := f.inner.Sync()
	f.l.inflight.end(at)
	return f.l.failed(f.kind(op.Sync), f.name, err)
}

func (f *file) SyncData() error {
	if err := f.l.Err(); err != nil {
		return err
	}
	at := f.l.inflight.begin()
	err := f.inner.SyncData()
	f.l.inflight.end(at)
	return f.l.failed(f.kind(op.SyncData), f.name, err)
}

func (f *file) SyncTo(length int64) (bool, error) {
	if err := f.l.Err(); err != nil {
		return false, err
	}
	at := f.l.inflight.begin()
	full, err := f.inner.SyncTo(length)
	f.l.inflight.end(at)
	return full && err == nil, f.l.failed(op.SyncTo, f.name, err)
}

func (f *file) Preallocate(off, length int64) error {
	if err := f.l.Err(); err != nil {
		return err
	}
	at := f.l.inflight.begin()
	err := f.inner.Preallocate(off, length)
	f.l.inflight.end(at)
	return f.l.failed(op.Preallocate, f.name, err)
}

func (f *file) Close() error {
	at := f.l.inflight.begin()
	err := f.inner.Close()
	f.l.inflight.end(at)
	return f.l.failed(op.Close, f.name, err)
}

func (f *file) Stat() (vfs.FileInfo, error) {
	at := f.l.inflight.begin()
	fi, err := f.inner.Stat()
	f.l.inflight.end(at)
	return fi, f.l.failed(op.FileStat, f.name, err)
}

func (f *file) Prefetch(off, length int64) error { return f.inner.Prefetch(off, length) }
func (f *file) Fd() uintptr                      { return f.inner.Fd() }

func (f *file) kind(k op.Kind) op.Kind {
	if f.dir {
		return op.SyncDir
	}
	return k
}
