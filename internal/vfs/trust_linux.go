//go:build linux

package vfs

import (
	"os"
	"syscall"
)

// LockTrust tells from the type of the file system at path (statfs(2), linux/magic.h) whether locks hold.
func LockTrust(path string) (Trust, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return TrustUnknown, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	switch uint32(st.Type) {
	case 0x6969, // NFS
		0x517B, 0xFF534D42, 0xFE534D42, // SMB, CIFS, SMB2
		0x65735546,             // FUSE
		0x01021997, 0x5346414F, // 9P, AFS
		0x00C36400, 0x0BD00BD0, 0x47504653: // Ceph, Lustre, GPFS
		return TrustNone, nil
	case 0xEF53, 0x58465342, 0x9123683E, // ext, XFS, Btrfs
		0x2FC12FC1, 0xF2F52010, 0xCA451A4E, // ZFS, F2FS, bcachefs
		0x01021994, 0x858458F6, 0x794C7630: // tmpfs, ramfs, overlay
		return TrustLocal, nil
	}
	return TrustUnknown, nil
}
