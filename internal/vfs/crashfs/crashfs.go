// Package crashfs is a file system in memory that knows what a crash leaves of it.
//
// It behaves as package memfs does, and beside the state that its users see it keeps the state of the disk: per
// file the durable bytes and the writes that were not synced; per directory the durable entries and
// the changes of entries that were not synced. Sync and SyncData of a file make the file's bytes durable and nothing
// else; a sync of a directory makes the changes of its entries durable and nothing else. SyncTo promises nothing and
// does nothing. A crash under a [Policy] draws from what is possible what the disk then holds:
//
//   - A sector of 512 bytes is written whole or not at all, with the writes to it in their order.
//   - The changes of one directory entry happen in their order. Between entries and files there is no order, with one
//     exception: the changes of the index library's names (op.ClassOf) in one directory happen in their order. It relies
//     on that: it replaces a marker by creating the new one, removing the old one and syncing
//     the directory once, and so expects that no crash keeps the removal and loses the creation, nor keeps the new marker
//     and loses the earlier name of the file that it speaks of. Journaling file systems give this; POSIX does not.
//   - A rename is atomic: both names change or none does. It is durable when the directory of the new name was synced.
//   - Without a sync of its directory, a new file may be gone and a removed one still there.
//   - A directory that is not empty on the disk is not removed from it.
//
// For all other names this is more than journaling file systems lose, and what POSIX allows. The disk may also lie about
// syncs ([FS.SetLying]), or lose the bytes of a failed one ([FS.Lose]).
//
// All methods are safe for concurrent use. Equal sequences of operations, policy and seed give equal images.
package crashfs

import (
	"errors"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/memfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// ErrCrashed is returned by all operations after the crash, but by Close.
var ErrCrashed = errors.New("the machine has crashed")

// FS is a file system that can crash. Its zero value is not usable; see [New].
type FS struct {
	*memfs.FS
	disk *disk
}

var _ vfs.FS = (*FS)(nil)

// New returns an empty file system.
func New() *FS {
	d := newDisk()
	return &FS{FS: memfs.NewObserved(memfs.Unlimited, d), disk: d}
}

// Unwrap implements vfs.FS.
func (f *FS) Unwrap() vfs.FS { return f.FS }

// Operations returns how many operations were begun that mutate or sync; see [FS.CrashAt].
func (f *FS) Operations() int {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.operations
}

// CrashAt lets the machine crash before the n-th operation that mutates or syncs, counted from 1 since New or Crash.
func (f *FS) CrashAt(n int) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.crashAt = n
}

// Stop lets the machine crash now: nothing changes the disk any more, and all operations fail with [ErrCrashed].
func (f *FS) Stop() {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.crashed = true
}

// Crashed tells whether the machine has crashed.
func (f *FS) Crashed() bool {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.crashed
}

// OnOperation sets a function that is called, without locks, before each operation that mutates or syncs, with its
// number; from it, Crash gives the image of a crash before this operation. It is set before use.
func (f *FS) OnOperation(fn func(n int, kind op.Kind, name string)) { f.disk.onOperation = fn }

// SetLying says whether the disk lies: syncs succeed and make nothing durable. What they should have made durable
// is made so by the first honest sync of the same file or directory.
func (f *FS) SetLying(lying bool) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.lying = lying
}

// Lose drops the unsynced writes of the open file: readers see them until the crash, but no sync makes them durable.
// It is what a kernel does after it reported an fsync error once.
func (f *FS) Lose(file vfs.File) bool {
	numbered, ok := file.(interface{ Inode() uint64 })
	if !ok {
		return false
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if state := f.disk.files[numbered.Inode()]; state != nil {
		state.pending = nil
	}
	return true
}

// SyncAll makes everything durable, also on a disk that lies.
func (f *FS) SyncAll() {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.syncAll()
}

// Crash returns a new file system that holds what a crash at this moment leaves on the disk, drawn by policy and
// seed. It runs, and can crash again. The old one is not changed: it goes on unless it crashed itself.
func (f *FS) Crash(policy Policy, seed uint64) *FS {
	f.disk.mu.Lock()
	image := f.disk.image(policy, seed)
	f.disk.mu.Unlock()
	fresh := New()
	image.build(fresh)
	fresh.disk.syncAll()
	fresh.disk.operations = 0
	return fresh
}
