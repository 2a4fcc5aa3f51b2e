//go:build !linux

// Goal: benchmarks that read the disk, not the page cache. Method: the system is
// asked to drop what it keeps of a file, where it can be.
package bench

import "errors"

// forget can not do it here.
func forget(string) error { return errors.New("no way to empty the page cache on this system") }
