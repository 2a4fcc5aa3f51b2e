package vfs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// osFS is the operating system's file system: the index library's, with our own locks and modes.
type osFS struct{ FS }

// OS returns the real file system.
//
// Files that it creates have mode 0600 and directories at most 0700. (The index library would create files
// with 0666 and leave the rest to the umask; here the mode is narrowed on the open file, before
// the first byte.) Files that exist keep their mode. Windows has no such modes; its access lists apply.
//
// Lock takes an advisory lock that belongs to the open file: flock(2) on Unix, so that a second attempt is refused
// with [ErrLocked] also within this process and by whatever path, and so that closing another handle of the file
// does not lose it. The lock file is created if it is missing, and neither truncated nor removed. On Windows
// it is opened without sharing.
func OS() FS { return osFS{pebblevfs.Default} }

// Create implements FS.
func (o osFS) Create(name string, category Category) (File, error) {
	f, err := o.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	if err := narrow(f); err != nil {
		return nil, closeAfter(f, err)
	}
	return f, nil
}

// OpenReadWrite implements FS.
func (o osFS) OpenReadWrite(name string, category Category, opts ...OpenOption) (File, error) {
	created, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := created.Close(); err != nil {
		return nil, err
	}
	f, err := o.FS.OpenReadWrite(name, category, opts...)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReuseForWrite implements FS. It never returns a file with an error.
func (o osFS) ReuseForWrite(oldname, newname string, category Category) (File, error) {
	f, err := o.FS.ReuseForWrite(oldname, newname, category)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// MkdirAll implements FS.
func (o osFS) MkdirAll(name string, perm os.FileMode) error {
	return o.FS.MkdirAll(name, perm&dirMode)
}

// Lock implements FS.
func (o osFS) Lock(name string) (io.Closer, error) { return lockFile(o.FS, name) }

// LockShared implements the seam of [LockShared].
func (o osFS) LockShared(name string) (io.Closer, error) { return shareFile(name) }

// Identify implements the seam of [Identify].
func (o osFS) Identify(name string) (Identity, error) {
	device, index, err := fileID(name)
	if err != nil {
		return Identity{}, err
	}
	return Identity{device: device, index: index}, nil
}

// Mount returns the device that path lies on (device number, or volume serial number on Windows), and whether its
// parent directory lies on the same one. A directory that is the root of a mounted file system, and
// only such a one, differs from its parent; the root of all is its own parent.
func Mount(path string) (device uint64, sameAsParent bool, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return 0, false, fmt.Errorf("mount of %s: %w", path, err)
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return 0, false, fmt.Errorf("mount of %s: %w", path, err)
	}
	device, _, err = fileID(abs)
	if err != nil {
		return 0, false, err
	}
	above, _, err := fileID(filepath.Dir(abs))
	if err != nil {
		return 0, false, err
	}
	return device, device == above, nil
}

// FilesystemID returns the number of the device that path lies on; see [Mount].
func FilesystemID(path string) (uint64, error) {
	device, _, err := fileID(path)
	return device, err
}

// narrow gives a new file its mode, where there are modes.
func narrow(f File) error {
	if m, ok := f.(interface{ Chmod(os.FileMode) error }); ok && hasModes {
		return m.Chmod(fileMode)
	}
	return nil
}

// closeAfter closes f and returns err, which is why.
func closeAfter(f io.Closer, err error) error {
	if f.Close() != nil {
		return err // the first error is the cause
	}
	return err
}
