package memfs

import (
	"io"
	"os"
	"path"
	"sync/atomic"
	"syscall"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// file is an open handle of a node.
type file struct {
	fs       *FS
	node     *node
	name     string
	writable bool
	closed   atomic.Bool
	pos      atomic.Int64
}

var _ pebblevfs.File = (*file)(nil)

// openLocked returns a new handle. fs.mu is held for writing.
func (fs *FS) openLocked(n *node, name string, writable bool) *file {
	n.open++
	return &file{fs: fs, node: n, name: name, writable: writable}
}

// Close implements pebble's vfs.File. A second Close fails with os.ErrClosed.
func (f *file) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, os.ErrClosed)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.open--
	f.fs.freeIfUnused(f.node)
	return nil
}

// Read implements pebble's vfs.File.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.readAt(p, f.pos.Load())
	f.pos.Add(int64(n))
	if n > 0 {
		return n, nil
	}
	return n, err
}

// ReadAt implements pebble's vfs.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, pathError("read", f.name, syscall.EINVAL)
	}
	return f.readAt(p, off)
}

func (f *file) readAt(p []byte, off int64) (int, error) {
	if err := f.usable("read"); err != nil {
		return 0, err
	}
	if f.node.isDir() {
		return 0, pathError("read", f.name, syscall.EISDIR)
	}
	if err := f.fs.before(op.ReadAt, f.name); err != nil {
		return 0, err
	}
	f.node.mu.RLock()
	defer f.node.mu.RUnlock()
	n := f.node.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write implements pebble's vfs.File.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.writeAt(op.Write, p, f.pos.Load())
	f.pos.Add(int64(n))
	return n, err
}

// WriteAt implements pebble's vfs.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, pathError("write", f.name, syscall.EINVAL)
	}
	return f.writeAt(op.WriteAt, p, off)
}

func (f *file) writeAt(kind op.Kind, p []byte, off int64) (int, error) {
	if err := f.usable("write"); err != nil {
		return 0, err
	}
	if !f.writable {
		return 0, pathError("write", f.name, syscall.EBADF)
	}
	if err := f.fs.before(kind, f.name); err != nil {
		return 0, err
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	fits, full := f.reserve(off, int64(len(p)))
	p = p[:fits]
	if o := f.fs.observer; o != nil && len(p) > 0 {
		if err := o.Wrote(f.node.ino, off, p); err != nil {
			return 0, err
		}
	}
	if len(p) > 0 {
		f.node.writeAt(p, off)
	}
	if full {
		return len(p), pathError("write", f.name, syscall.ENOSPC)
	}
	return len(p), nil
}

// reserve takes the space that a write of length bytes at off needs, and returns how many of the bytes
// fit and whether the file system is full before all do. The node's mutex is held.
func (f *file) reserve(off, length int64) (fits int64, full bool) {
	need := off + length - f.node.space()
	if need <= 0 {
		return length, false
	}
	for {
		used := f.fs.used.Load()
		got := need
		if f.fs.capacity != Unlimited {
			got = min(need, max(0, f.fs.capacity-used))
		}
		fits = max(0, length-(need-got))
		if fits == 0 {
			return 0, true // even the hole before off does not fit
		}
		if f.fs.used.CompareAndSwap(used, used+got) {
			return fits, got < need
		}
	}
}

// Preallocate implements pebble's vfs.File: all of the space is taken or none, and the size stays.
func (f *file) Preallocate(off, length int64) error {
	if err := f.usable("preallocate"); err != nil {
		return err
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	need := off + length - f.node.space()
	if need <= 0 {
		return nil
	}
	if used := f.fs.used.Add(need); f.fs.capacity != Unlimited && used > f.fs.capacity {
		f.fs.used.Add(-need)
		return pathError("preallocate", f.name, syscall.ENOSPC)
	}
	f.node.held = off + length
	return nil
}

// Prefetch implements pebble's vfs.File.
func (f *file) Prefetch(_, _ int64) error { return f.usable("prefetch") }

// Stat implements pebble's vfs.File.
func (f *file) Stat() (pebblevfs.FileInfo, error) {
	if err := f.usable("stat"); err != nil {
		return nil, err
	}
	return f.node.info(path.Base(f.name)), nil
}

// Sync implements pebble's vfs.File.
func (f *file) Sync() error {
	if f.node.isDir() {
		return f.sync(op.SyncDir)
	}
	return f.sync(op.Sync)
}

// SyncData implements pebble's vfs.File.
func (f *file) SyncData() error {
	if f.node.isDir() {
		return f.sync(op.SyncDir)
	}
	return f.sync(op.SyncData)
}

// SyncTo implements pebble's vfs.File. It promises nothing, and so it does nothing.
func (f *file) SyncTo(int64) (fullSync bool, err error) { return false, f.usable("sync") }

func (f *file) sync(kind op.Kind) error {
	if err := f.usable("sync"); err != nil {
		return err
	}
	if f.fs.observer == nil {
		return nil
	}
	if err := f.fs.before(kind, f.name); err != nil {
		return err
	}
	f.node.mu.Lock() // a write is either before the sync or after it
	defer f.node.mu.Unlock()
	return f.fs.observer.Synced(f.node.ino)
}

// Fd implements pebble's vfs.File.
func (f *file) Fd() uintptr { return pebblevfs.InvalidFd }

// Inode returns the number of the open file or directory.
func (f *file) Inode() uint64 { return f.node.ino }

func (f *file) usable(operation string) error {
	if f.closed.Load() {
		return pathError(operation, f.name, os.ErrClosed)
	}
	return nil
}
