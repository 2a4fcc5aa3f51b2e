package vfs

import (
	"fmt"
	"io"
	"syscall"
)

// ReadOnly returns fs with every operation refused that could change it, as a file system does that is mounted
// for reading: EROFS. Lock is answered by [LockShared], so it neither makes a file nor opens one for writing.
func ReadOnly(fs FS) FS {
	return &readOnly{FS: Intercept(fs, func(c *Call, next func() error) error {
		if c.Kind.Mutates() {
			return fmt.Errorf("%v %s: %w", c.Kind, c.Path, syscall.EROFS)
		}
		return next()
	}), below: fs}
}

type readOnly struct {
	FS
	below FS
}

// Lock implements FS.
func (r *readOnly) Lock(name string) (io.Closer, error) { return LockShared(r.below, name) }

// sharer is implemented by file systems and wrappers that lock for reading.
type sharer interface {
	LockShared(name string) (io.Closer, error)
}

// LockShared takes a lock that any number may hold at once while nobody holds the one of Lock. The file must be
// there and is opened for reading. It asks the first wrapper that knows, from the outside in. Errors are
// those of Lock.
func LockShared(fs FS, name string) (io.Closer, error) {
	for at := fs; at != nil; at = at.Unwrap() {
		if s, ok := at.(sharer); ok {
			return s.LockShared(name)
		}
	}
	return nil, fmt.Errorf("lock %s for reading: %w", name, syscall.ENOTSUP)
}
