//go:build !linux

package bench

import "errors"

// forget can not do it here.
func forget(string) error { return errors.New("no way to empty the page cache on this system") }
