//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

const hasModes = true

// lockFile takes an flock on the file at name. The lock is released when its only handle is closed.
func lockFile(_ FS, name string) (io.Closer, error) {
	return flock(name, os.O_RDWR|os.O_CREATE, syscall.LOCK_EX)
}

// shareFile takes an flock that others may hold beside it.
func shareFile(name string) (io.Closer, error) { return flock(name, os.O_RDONLY, syscall.LOCK_SH) }

func flock(name string, flag, how int) (io.Closer, error) {
	f, err := os.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, closeAfter(f, fmt.Errorf("lock %s: %w", name, ErrLocked))
	case err != nil:
		return nil, closeAfter(f, &os.PathError{Op: "lock", Path: name, Err: err})
	}
	return f, nil
}

// fileID returns the device and inode numbers.
func fileID(name string) (device, index uint64, err error) {
	fi, err := os.Stat(name)
	if err != nil {
		return 0, 0, err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, &os.PathError{Op: "stat", Path: name, Err: ErrNoIdentity}
	}
	return uint64(st.Dev), uint64(st.Ino), nil
}
