//go:build !linux && !darwin

package vfs

import "os"

// LockTrust cannot tell on this system; it only checks that path exists.
func LockTrust(path string) (Trust, error) {
	_, err := os.Stat(path)
	return TrustUnknown, err
}
