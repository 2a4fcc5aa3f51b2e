//go:build darwin

package vfs

import (
	"os"
	"strings"
	"syscall"
)

// LockTrust tells from the name of the type of the file system at path (statfs(2)) whether locks hold.
func LockTrust(path string) (Trust, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return TrustUnknown, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	var name strings.Builder
	for _, c := range st.Fstypename {
		if c == 0 {
			break
		}
		name.WriteByte(byte(c))
	}
	switch kind := name.String(); {
	case kind == "apfs" || kind == "hfs":
		return TrustLocal, nil
	case kind == "nfs", kind == "smbfs", kind == "afpfs", kind == "webdav", strings.Contains(kind, "fuse"):
		return TrustNone, nil
	}
	return TrustUnknown, nil
}
