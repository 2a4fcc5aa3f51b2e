// Package memfs is a file system in memory.
//
// It has the semantics that a storage engine relies on of a POSIX file system: hard links share one
// file; a file that was removed or replaced lives on for those who have it open; Create makes a new
// file at the name; Rename replaces atomically; Remove refuses a directory that is not empty; a lock
// belongs to the file, not to the name it was reached by. Names are separated by slashes; relative and
// absolute names start at the same root. A capacity makes writes beyond it fail with ENOSPC, after
// storing what fits.
//
// Nothing survives the process, and a sync has nothing to do. What would survive a crash is modelled
// by package crashfs, which watches a file system through [Observer].
//
// All methods of [FS] are safe for concurrent use. Writes to one open file must not run concurrently
// with each other, as everywhere behind this interface.
package memfs

import (
	"io"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"syscall"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// Unlimited is the capacity of a file system that is never full.
const Unlimited = 0

// reportedBytes is the total that GetDiskUsage reports for an unlimited file system.
const reportedBytes = 1 << 40

// Observer watches the changes of a file system, in their order. Apart from Before, the methods are
// called while the change is made and must not call back. An error is returned to the caller of the
// operation, which then did not happen, except that bytes may be seen by readers.
type Observer interface {
	// Before is called without locks before each operation but Close, Identify and FileStat.
	Before(kind op.Kind, name string) error
	// Wrote reports that p is written at offset off of file ino. p must not be kept.
	Wrote(ino uint64, off int64, p []byte) error
	// Synced reports that the file or directory is synced.
	Synced(ino uint64) error
	// Changed reports changes of directory entries that happen atomically.
	Changed(kind op.Kind, changes []Change) error
}

// Change is a change of one directory entry.
type Change struct {
	Dir  uint64 // the directory's inode number
	Name string
	Ino  uint64 // what the name leads to now; 0: the name is gone
	Was  uint64 // what the name led to before; 0: it did not exist
	Kind NodeKind
}

// NodeKind tells files from directories.
type NodeKind uint8

// The kinds of nodes.
const (
	RegularFile NodeKind = iota
	Directory
)

// FS is a file system in memory. Its zero value is not usable; see [New].
type FS struct {
	observer Observer
	capacity int64
	used     atomic.Int64

	mu      sync.RWMutex // guards the tree: entries, link and open counts, locks, lastIno
	root    *node
	lastIno uint64
}

var _ pebblevfs.FS = (*FS)(nil)

// New returns an empty file system that holds up to capacity bytes of file data (or [Unlimited]).
func New(capacity int64) *FS { return NewObserved(capacity, nil) }

// RootIno is the inode number of the root directory.
const RootIno = 1

// NewObserved is [New] with an observer, which may be nil.
func NewObserved(capacity int64, observer Observer) *FS {
	fs := &FS{observer: observer, capacity: capacity, lastIno: RootIno}
	fs.root = &node{ino: RootIno, entries: map[string]*node{}, links: 1}
	return fs
}

// Create implements pebble's vfs.FS.
func (fs *FS) Create(name string, _ pebblevfs.DiskWriteCategory) (pebblevfs.File, error) {
	if err := fs.before(op.Create, name); err != nil {
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.createLocked(op.Create, name)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	return fs.openLocked(n, name, true), nil
}

// createLocked makes a new file at name, in the place of an older one.
func (fs *FS) createLocked(kind op.Kind, name string) (*node, error) {
	dir, base, err := fs.parent(name)
	if err != nil {
		return nil, err
	}
	old := dir.entries[base]
	if old.isDir() {
		return nil, syscall.EISDIR
	}
	n := &node{ino: fs.lastIno + 1}
	change := Change{Dir: dir.ino, Name: base, Ino: n.ino, Was: old.number(), Kind: RegularFile}
	if err := fs.changed(kind, change); err != nil {
		return nil, err
	}
	fs.lastIno++
	fs.set(dir, base, n)
	return n, nil
}

// Link implements pebble's vfs.FS.
func (fs *FS) Link(oldname, newname string) error {
	if err := fs.before(op.Link, newname); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.lookup(oldname)
	if err != nil {
		return linkError("link", oldname, newname, err)
	}
	dir, base, err := fs.parent(newname)
	switch {
	case err != nil:
	case n.isDir():
		err = syscall.EPERM
	case dir.entries[base] != nil:
		err = syscall.EEXIST
	default:
		err = fs.changed(op.Link, Change{Dir: dir.ino, Name: base, Ino: n.ino})
	}
	if err != nil {
		return linkError("link", oldname, newname, err)
	}
	fs.set(dir, base, n)
	return nil
}

// Open implements pebble's vfs.FS.
func (fs *FS) Open(name string, opts ...pebblevfs.OpenOption) (pebblevfs.File, error) {
	if err := fs.before(op.Open, name); err != nil {
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.lookup(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return applied(fs.openLocked(n, name, false), opts), nil
}

// OpenReadWrite implements pebble's vfs.FS.
func (fs *FS) OpenReadWrite(
	name string, _ pebblevfs.DiskWriteCategory, opts ...pebblevfs.OpenOption,
) (pebblevfs.File, error) {
	if err := fs.before(op.OpenReadWrite, name); err != nil {
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.lookup(name)
	if os.IsNotExist(err) {
		n, err = fs.createLocked(op.OpenReadWrite, name)
	}
	if err == nil && n.isDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return applied(fs.openLocked(n, name, true), opts), nil
}

// OpenDir implements pebble's vfs.FS.
func (fs *FS) OpenDir(name string) (pebblevfs.File, error) {
	if err := fs.before(op.OpenDir, name); err != nil {
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.lookup(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return fs.openLocked(n, name, false), nil
}

// Remove implements pebble's vfs.FS.
func (fs *FS) Remove(name string) error {
	if err := fs.before(op.Remove, name); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	dir, base, err := fs.parent(name)
	if err == nil {
		err = fs.removeLocked(dir, base)
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	return nil
}

func (fs *FS) removeLocked(dir *node, base string) error {
	n := dir.entries[base]
	switch {
	case n == nil:
		return syscall.ENOENT
	case len(n.entries) > 0:
		return syscall.ENOTEMPTY
	}
	if err := fs.changed(op.Remove, Change{Dir: dir.ino, Name: base, Was: n.ino, Kind: n.kind()}); err != nil {
		return err
	}
	fs.set(dir, base, nil)
	return nil
}

// RemoveAll implements pebble's vfs.FS. It removes one entry after another, children first, in the order of their names.
func (fs *FS) RemoveAll(name string) error {
	if err := fs.before(op.RemoveAll, name); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	dir, base, err := fs.parent(name)
	if err == nil && dir.entries[base] != nil {
		err = fs.removeAllLocked(dir, base)
	}
	if err != nil && !os.IsNotExist(err) {
		return pathError("removeall", name, err)
	}
	return nil
}

func (fs *FS) removeAllLocked(dir *node, base string) error {
	n := dir.entries[base]
	for _, child := range n.names() {
		if err := fs.removeAllLocked(n, child); err != nil {
			return err
		}
	}
	return fs.removeLocked(dir, base)
}

// Rename implements pebble's vfs.FS.
func (fs *FS) Rename(oldname, newname string) error {
	if err := fs.before(op.Rename, newname); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, err := fs.renameLocked(op.Rename, oldname, newname); err != nil {
		return linkError("rename", oldname, newname, err)
	}
	return nil
}

func (fs *FS) renameLocked(kind op.Kind, oldname, newname string) (*node, error) {
	from, oldBase, err := fs.parent(oldname)
	if err != nil {
		return nil, err
	}
	to, newBase, err := fs.parent(newname)
	if err != nil {
		return nil, err
	}
	n, target := from.entries[oldBase], to.entries[newBase]
	switch {
	case n == nil:
		return nil, syscall.ENOENT
	case n == target:
		return n, nil // POSIX: two links to one file, nothing happens
	case target.isDir() && !n.isDir():
		return nil, syscall.EISDIR
	case target != nil && n.isDir() && !target.isDir():
		return nil, syscall.ENOTDIR
	case target.isDir() && len(target.entries) > 0:
		return nil, syscall.ENOTEMPTY
	case n.isDir() && n.contains(to):
		return nil, syscall.EINVAL
	}
	err = fs.changed(kind,
		Change{Dir: from.ino, Name: oldBase, Was: n.ino, Kind: n.kind()},
		Change{Dir: to.ino, Name: newBase, Ino: n.ino, Was: target.number(), Kind: n.kind()})
	if err != nil {
		return nil, err
	}
	fs.set(to, newBase, n)
	fs.set(from, oldBase, nil)
	return n, nil
}

// ReuseForWrite implements pebble's vfs.FS: the file keeps its bytes and is overwritten from its start.
func (fs *FS) ReuseForWrite(
	oldname, newname string, _ pebblevfs.DiskWriteCategory,
) (pebblevfs.File, error) {
	if err := fs.before(op.Reuse, newname); err != nil {
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.renameLocked(op.Reuse, oldname, newname)
	if err == nil && n.isDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, linkError("reuse", oldname, newname, err)
	}
	return fs.openLocked(n, newname, true), nil
}

// MkdirAll implements pebble's vfs.FS. perm is ignored.
func (fs *FS) MkdirAll(name string, _ os.FileMode) error {
	if err := fs.before(op.Mkdir, name); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	at := fs.root
	for _, part := range split(name) {
		next := at.entries[part]
		if next == nil {
			next = &node{ino: fs.lastIno + 1, entries: map[string]*node{}}
			if err := fs.changed(op.Mkdir, Change{Dir: at.ino, Name: part, Ino: next.ino, Kind: Directory}); err != nil {
				return pathError("mkdir", name, err)
			}
			fs.lastIno++
			fs.set(at, part, next)
		}
		if !next.isDir() {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		at = next
	}
	return nil
}

// Lock implements pebble's vfs.FS. A second lock of the same file, by whatever name, fails with EAGAIN.
func (fs *FS) Lock(name string) (io.Closer, error) {
	if err := fs.before(op.Lock, name); err != nil {
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.lookup(name)
	if os.IsNotExist(err) {
		n, err = fs.createLocked(op.Lock, name)
	}
	return fs.lockNode(n, name, exclusive, err)
}

// LockShared locks a file that is there beside others who do so. Where the file is locked otherwise it fails with EAGAIN.
func (fs *FS) LockShared(name string) (io.Closer, error) {
	if err := fs.before(op.Open, name); err != nil {
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.lookup(name)
	return fs.lockNode(n, name, 1, err)
}

// exclusive is the share of a lock that is held alone.
const exclusive = 1 << 30

// lockNode takes a share of a file's lock. fs.mu is held for writing.
func (fs *FS) lockNode(n *node, name string, share int, err error) (io.Closer, error) {
	switch {
	case err != nil:
	case n.isDir():
		err = syscall.EISDIR
	case n.locked+share > exclusive:
		err = syscall.EAGAIN
	}
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	n.locked += share
	return &lock{fs: fs, node: n, share: share}, nil
}

// lock is a held lock; closing it twice is harmless.
type lock struct {
	fs    *FS
	node  *node // nil: released
	share int
}

func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.node != nil {
		l.node.locked -= l.share
		l.node = nil
	}
	return nil
}

// List implements pebble's vfs.FS. Names are in ascending order.
func (fs *FS) List(name string) ([]string, error) {
	if err := fs.before(op.List, name); err != nil {
		return nil, err
	}
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	n, err := fs.lookup(name)
	if err == nil && !n.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("list", name, err)
	}
	return n.names(), nil
}

// Stat implements pebble's vfs.FS.
func (fs *FS) Stat(name string) (pebblevfs.FileInfo, error) {
	if err := fs.before(op.Stat, name); err != nil {
		return nil, err
	}
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	n, err := fs.lookup(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return n.info(path.Base(name)), nil
}

// Inode returns the number of the file or directory that name leads to. Numbers are never used again.
func (fs *FS) Inode(name string) (uint64, error) {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	n, err := fs.lookup(name)
	if err != nil {
		return 0, pathError("stat", name, err)
	}
	return n.ino, nil
}

// PathBase implements pebble's vfs.FS.
func (*FS) PathBase(name string) string { return path.Base(name) }

// PathJoin implements pebble's vfs.FS.
func (*FS) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir implements pebble's vfs.FS.
func (*FS) PathDir(name string) string { return path.Dir(name) }

// GetDiskUsage implements pebble's vfs.FS. An unlimited file system says that it has one TiB.
func (fs *FS) GetDiskUsage(name string) (pebblevfs.DiskUsage, error) {
	if _, err := fs.Stat(name); err != nil {
		return pebblevfs.DiskUsage{}, err
	}
	total, used := fs.capacity, fs.used.Load()
	if total == Unlimited {
		total = max(reportedBytes, 2*used)
	}
	return pebblevfs.DiskUsage{
		AvailBytes: uint64(max(0, total-used)), TotalBytes: uint64(total), UsedBytes: uint64(used),
	}, nil
}

// Unwrap implements pebble's vfs.FS.
func (*FS) Unwrap() pebblevfs.FS { return nil }

func (fs *FS) before(kind op.Kind, name string) error {
	if fs.observer == nil {
		return nil
	}
	return fs.observer.Before(kind, name)
}

func (fs *FS) changed(kind op.Kind, changes ...Change) error {
	if fs.observer == nil {
		return nil
	}
	return fs.observer.Changed(kind, changes)
}
