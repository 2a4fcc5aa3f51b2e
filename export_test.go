// Goal: tests open a store on file systems of their own, which embedders can
// not. Method: one function that is exported to tests alone, and so is in the
// package itself.
package sherd

import (
	"context"
	"fmt"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
)

// OpenOn opens a store on one drive a file system, at the path that DrivePath gives.
func OpenOn(ctx context.Context, drives []vfs.FS, o *Options) (*Store, error) {
	places := make([]driveset.Place, len(drives))
	for i, fs := range drives {
		places[i] = driveset.Place{FS: fs, Path: DrivePath(i)}
	}
	return open(ctx, places, o, &driveset.Options{Memory: true, TrustLocks: true})
}

// DrivePath is where a drive that OpenOn opened is on its file system.
func DrivePath(i int) string { return fmt.Sprintf("/drive%d", i) }
