package vfs

import (
	"io"
	"os"

	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// Call is one operation on its way through [Intercept].
type Call struct {
	Kind op.Kind
	Path string // for Link, Rename and Reuse: the old name
	To   string // for Link, Rename and Reuse: the new name
	Off  int64  // for WriteAt, ReadAt, Preallocate, SyncTo
	P    []byte // for reads and writes; an interceptor may shorten it before, and change it after a read
	N    int    // for reads and writes: bytes done, once next has returned
	FS   FS     // the file system below
	File File   // the file below, for operations of an open file
	// ID is what Identify returns, once next has returned; an interceptor may change it.
	ID Identity
}

// Class returns the class of the path that the operation makes or touches.
func (c *Call) Class() op.Class {
	if c.To != "" {
		return op.ClassOf(c.To)
	}
	return op.ClassOf(c.Path)
}

// Interceptor decides what becomes of an operation. It calls next at most once, to have it done, and returns
// the error that the caller gets. Without calling next it must return an error, except for
// operations that return nothing else. It may be called concurrently.
type Interceptor func(c *Call, next func() error) error

// Intercept returns fs with each operation, also of the files that it opens, going through do.
// PathBase, PathJoin, PathDir, Fd and Prefetch do no work and are not seen.
func Intercept(fs FS, do Interceptor) FS { return &intercepted{inner: fs, do: do} }

type intercepted struct {
	inner FS
	do    Interceptor
}

func (i *intercepted) run(c Call, next func() error) error {
	c.FS = i.inner
	return i.do(&c, next)
}

// open runs a call that yields a file.
func (i *intercepted) open(c Call, fn func() (File, error)) (File, error) {
	c.FS = i.inner
	var f File
	err := i.do(&c, func() error {
		opened, err := fn()
		if err == nil {
			f = opened // with an error, some implementations return a file that wraps nothing
		}
		return err
	})
	if err != nil {
		if f != nil {
			return nil, closeAfter(f, err)
		}
		return nil, err
	}
	name := c.Path
	if c.To != "" {
		name = c.To
	}
	return &interceptedFile{fs: i, inner: f, name: name, dir: c.Kind == op.OpenDir}, nil
}

func (i *intercepted) Create(name string, category Category) (File, error) {
	return i.open(Call{Kind: op.Create, Path: name}, func() (File, error) { return i.inner.Create(name, category) })
}

func (i *intercepted) Open(name string, opts ...OpenOption) (File, error) {
	return i.open(Call{Kind: op.Open, Path: name}, func() (File, error) { return i.inner.Open(name, opts...) })
}

func (i *intercepted) OpenReadWrite(name string, category Category, opts ...OpenOption) (File, error) {
	return i.open(Call{Kind: op.OpenReadWrite, Path: name}, func() (File, error) {
		return i.inner.OpenReadWrite(name, category, opts...)
	})
}

func (i *intercepted) OpenDir(name string) (File, error) {
	return i.open(Call{Kind: op.OpenDir, Path: name}, func() (File, error) { return i.inner.OpenDir(name) })
}

func (i *intercepted) ReuseForWrite(oldname, newname string, category Category) (File, error) {
	return i.open(Call{Kind: op.Reuse, Path: oldname, To: newname}, func() (File, error) {
		return i.inner.ReuseForWrite(oldname, newname, category)
	})
}

func (i *intercepted) Link(oldname, newname string) error {
	return i.run(Call{Kind: op.Link, Path: oldname, To: newname}, func() error { return i.inner.Link(oldname, newname) })
}

func (i *intercepted) Rename(oldname, newname string) error {
	return i.run(Call{Kind: op.Rename, Path: oldname, To: newname}, func() error { return i.inner.Rename(oldname, newname) })
}

func (i *intercepted) Remove(name string) error {
	return i.run(Call{Kind: op.Remove, Path: name}, func() error { return i.inner.Remove(name) })
}

func (i *intercepted) RemoveAll(name string) error {
	return i.run(Call{Kind: op.RemoveAll, Path: name}, func() error { return i.inner.RemoveAll(name) })
}

func (i *intercepted) MkdirAll(name string, perm os.FileMode) error {
	return i.run(Call{Kind: op.Mkdir, Path: name}, func() error { return i.inner.MkdirAll(name, perm) })
}

func (i *intercepted) Lock(name string) (io.Closer, error) { return i.lock(name, i.inner.Lock) }

// LockShared implements the seam of [LockShared].
func (i *intercepted) LockShared(name string) (io.Closer, error) {
	return i.lock(name, func(name string) (io.Closer, error) { return LockShared(i.inner, name) })
}

func (i *intercepted) lock(name string, do func(name string) (io.Closer, error)) (held io.Closer, err error) {
	err = i.run(Call{Kind: op.Lock, Path: name}, func() (err error) {
		held, err = do(name)
		return err
	})
	if err != nil {
		if held != nil {
			return nil, closeAfter(held, err)
		}
		return nil, err
	}
	return &interceptedLock{fs: i, held: held, name: name}, nil
}

type interceptedLock struct {
	fs   *intercepted
	held io.Closer
	name string
}

func (l *interceptedLock) Close() error {
	return l.fs.run(Call{Kind: op.Unlock, Path: l.name}, l.held.Close)
}

func (i *intercepted) List(name string) (names []string, err error) {
	err = i.run(Call{Kind: op.List, Path: name}, func() (err error) {
		names, err = i.inner.List(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

func (i *intercepted) Stat(name string) (fi FileInfo, err error) {
	err = i.run(Call{Kind: op.Stat, Path: name}, func() (err error) {
		fi, err = i.inner.Stat(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return fi, nil
}

func (i *intercepted) GetDiskUsage(name string) (usage DiskUsage, err error) {
	err = i.run(Call{Kind: op.Usage, Path: name}, func() (err error) {
		usage, err = i.inner.GetDiskUsage(name)
		return err
	})
	return usage, err
}

// Identify implements the seam of [Identify].
func (i *intercepted) Identify(name string) (Identity, error) {
	c := Call{Kind: op.Identify, Path: name, FS: i.inner}
	err := i.do(&c, func() (err error) {
		c.ID, err = Identify(i.inner, name)
		return err
	})
	return c.ID, err
}

func (i *intercepted) PathBase(name string) string    { return i.inner.PathBase(name) }
func (i *intercepted) PathJoin(elem ...string) string { return i.inner.PathJoin(elem...) }
func (i *intercepted) PathDir(name string) string     { return i.inner.PathDir(name) }
func (i *intercepted) Unwrap() FS                     { return i.inner }

// interceptedFile is an open file whose operations go through the interceptor.
type interceptedFile struct {
	fs    *intercepted
	inner File
	name  string
	dir   bool
}

var _ File = (*interceptedFile)(nil)

func (f *interceptedFile) call(kind op.Kind) Call {
	return Call{Kind: kind, Path: f.name, File: f.inner}
}

// transfer runs a call that moves bytes; it returns how many.
func (f *interceptedFile) transfer(c Call, fn func(p []byte) (int, error)) (int, error) {
	err := f.fs.do(&c, func() (err error) {
		c.N, err = fn(c.P)
		return err
	})
	return c.N, err
}

func (f *interceptedFile) Read(p []byte) (int, error) {
	c := f.call(op.Read)
	c.P = p
	return f.transfer(c, f.inner.Read)
}

func (f *interceptedFile) ReadAt(p []byte, off int64) (int, error) {
	c := f.call(op.ReadAt)
	c.P, c.Off = p, off
	return f.transfer(c, func(p []byte) (int, error) { return f.inner.ReadAt(p, off) })
}

func (f *interceptedFile) Write(p []byte) (int, error) {
	c := f.call(op.Write)
	c.P = p
	return f.transfer(c, f.inner.Write)
}

func (f *interceptedFile) WriteAt(p []byte, off int64) (int, error) {
	c := f.call(op.WriteAt)
	c.P, c.Off = p, off
	return f.transfer(c, func(p []byte) (int, error) { return f.inner.WriteAt(p, off) })
}

func (f *interceptedFile) Close() error { return f.fs.run(f.call(op.Close), f.inner.Close) }

func (f *interceptedFile) Preallocate(off, length int64) error {
	c := f.call(op.Preallocate)
	c.Off = off
	return f.fs.run(c, func() error { return f.inner.Preallocate(off, length) })
}

func (f *interceptedFile) Stat() (fi FileInfo, err error) {
	err = f.fs.run(f.call(op.FileStat), func() (err error) {
		fi, err = f.inner.Stat()
		return err
	})
	if err != nil {
		return nil, err
	}
	return fi, nil
}

func (f *interceptedFile) Sync() error { return f.fs.run(f.call(f.kind(op.Sync)), f.inner.Sync) }
func (f *interceptedFile) SyncData() error {
	return f.fs.run(f.call(f.kind(op.SyncData)), f.inner.SyncData)
}

func (f *interceptedFile) SyncTo(length int64) (full bool, err error) {
	c := f.call(op.SyncTo)
	c.Off = length
	err = f.fs.run(c, func() (err error) {
		full, err = f.inner.SyncTo(length)
		return err
	})
	return full && err == nil, err
}

func (f *interceptedFile) Prefetch(off, length int64) error { return f.inner.Prefetch(off, length) }
func (f *interceptedFile) Fd() uintptr                      { return f.inner.Fd() }

func (f *interceptedFile) kind(k op.Kind) op.Kind {
	if f.dir {
		return op.SyncDir
	}
	return k
}
