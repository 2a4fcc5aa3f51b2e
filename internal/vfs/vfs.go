// Package vfs is the one seam for all disk access.
//
// [FS] and [File] are the interfaces of the index library, so that its files and the shard files go
// through the same implementations and the same wrappers:
//
//   - [OS] is the real file system, [Mem] one in memory.
//   - [Intercept] calls a function around each operation; [Log] uses it to record traces.
//   - Package latch stops believing a drive at its first failed sync or write.
//   - Package faultfs injects errors, short writes, stalls and bit flips.
//   - Package crashfs is a file system in memory that knows what a crash leaves of it.
//
// Package vfstest holds the conformance test that all of them pass.
//
// What an implementation guarantees: Sync and SyncData of a file make its bytes and length durable,
// and nothing else; the name of a new, renamed or removed file is durable when its directory was synced
// by the handle of OpenDir; Rename replaces atomically. SyncTo guarantees nothing unless it returns true;
// [StartFlush] is a hint that goes around all wrappers.
// On Windows a directory sync does nothing: the system has no such call.
//
// All methods of an FS are safe for concurrent use. Of one File, ReadAt is; Write, WriteAt and the
// syncs must not run beside each other.
package vfs

import (
	"errors"
	"fmt"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sherd-storage/sherd/internal/vfs/memfs"
)

// The names of the index library's interfaces.
type (
	FS        = pebblevfs.FS
	File      = pebblevfs.File
	FileInfo  = pebblevfs.FileInfo
	DiskUsage = pebblevfs.DiskUsage
	// Category says what a file is written for; it has no effect here.
	Category = pebblevfs.DiskWriteCategory
	// OpenOption is a hint for reading.
	OpenOption = pebblevfs.OpenOption
)

// Unspecified is the category of files that the index library does not know.
const Unspecified = pebblevfs.WriteCategoryUnspecified

// ErrNoIdentity is returned by [Identify] for a file system that cannot tell one directory from another.
var ErrNoIdentity = errors.New("file system has no identities")

// ErrLocked is returned when a lock is held already, by this process or another one.
var ErrLocked = errors.New("locked by another user")

// Mem returns an empty file system in memory that holds up to capacity bytes of file data;
// 0 means as many as there is memory for. Beyond that, writes fail with ENOSPC.
func Mem(capacity int64) FS { return memfs.New(capacity) }

// Identity tells one file or directory from another. It is comparable by ==; the zero value equals no
// identity that [Identify] returns. Systems give the number of a deleted file to a new one: an identity
// that is to be compared later is sure only while a handle of the file is held open.
type Identity struct {
	device any
	index  uint64
}

// SameDevice tells whether both lie on the same file system.
func (i Identity) SameDevice(other Identity) bool { return i.device != nil && i.device == other.device }

// String returns the device and the number of the file on it, for messages.
func (i Identity) String() string {
	if fs, ok := i.device.(*memfs.FS); ok {
		return fmt.Sprintf("memory %p:%d", fs, i.index)
	}
	return fmt.Sprintf("%v:%d", i.device, i.index)
}

// identifier is implemented by file systems and wrappers that know identities.
type identifier interface {
	Identify(name string) (Identity, error)
}

// Identify returns what name leads to at this moment, following links. It asks the first wrapper that
// knows, from the outside in, so that injected faults apply. Errors are those of Stat, or [ErrNoIdentity].
func Identify(fs FS, name string) (Identity, error) {
	for at := fs; at != nil; at = at.Unwrap() {
		switch at := at.(type) {
		case identifier:
			return at.Identify(name)
		case *memfs.FS:
			ino, err := at.Inode(name)
			return Identity{device: at, index: ino}, err
		}
	}
	return Identity{}, fmt.Errorf("identify %s: %w", name, ErrNoIdentity)
}

// Trust says how far locks of a file system can be relied upon.
type Trust int

// The degrees of trust. On an unknown file system, a lock probably holds.
const (
	TrustUnknown Trust = iota
	TrustLocal
	TrustNone // a network or user-space file system: a lock may be lost, or not be seen by others
)

// String returns the word for the degree.
func (t Trust) String() string {
	switch t {
	case TrustLocal:
		return "local"
	case TrustNone:
		return "none"
	}
	return "unknown"
}
