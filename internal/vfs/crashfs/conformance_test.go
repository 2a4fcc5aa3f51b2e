// Goal: a file system that can crash behaves as others while it does not. Method: the conformance suite, on a fresh
// one and on one that a crash left.
package crashfs_test

import (
	"testing"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/vfstest"
)

func TestConformance(t *testing.T) {
	vfstest.Run(t, func(*testing.T) (vfs.FS, string) { return crashfs.New(), "/" })
}

func TestConformanceAfterCrash(t *testing.T) {
	vfstest.Run(t, func(*testing.T) (vfs.FS, string) { return crashfs.New().Crash(crashfs.SyncedOnly, 1), "/" })
}
