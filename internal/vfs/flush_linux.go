package vfs

import (
	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// StartFlush asks the system to begin writing a range of f to its device, and does not wait for it: a later sync
// has less to do. It is a hint and makes nothing durable; errors of the device are told by the sync.
func StartFlush(f File, off, length int64) {
	if fd := f.Fd(); fd != pebblevfs.InvalidFd {
		_ = unix.SyncFileRange(int(fd), off, length, unix.SYNC_FILE_RANGE_WRITE) // nothing depends on it
	}
}
