//go:build windows

package vfs

import (
	"io"
	"os"
	"syscall"
)

const hasModes = false

func lockFile(fs FS, name string) (io.Closer, error) {
	l, err := fs.Lock(name)
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return l, nil
}

// shareFile opens the file so that others may read it, and not write it.
func shareFile(name string) (io.Closer, error) {
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	h, err := syscall.CreateFile(wide, syscall.GENERIC_READ, syscall.FILE_SHARE_READ, nil, syscall.OPEN_EXISTING, 0, 0)
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return os.NewFile(uintptr(h), name), nil
}

// fileID returns the volume serial number and the file index.
func fileID(name string) (device, index uint64, err error) {
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return 0, 0, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	// FILE_FLAG_BACKUP_SEMANTICS is what allows directories to be opened.
	h, err := syscall.CreateFile(wide, 0, syscall.FILE_SHARE_READ|syscall.FILE_SHARE_WRITE|syscall.FILE_SHARE_DELETE,
		nil, syscall.OPEN_EXISTING, syscall.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return 0, 0, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	var info syscall.ByHandleFileInformation
	err = syscall.GetFileInformationByHandle(h, &info)
	if closed := syscall.CloseHandle(h); err == nil {
		err = closed
	}
	if err != nil {
		return 0, 0, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow), nil
}
