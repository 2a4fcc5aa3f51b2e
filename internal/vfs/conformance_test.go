// Goal: every file system, and every wrapper with nothing to do, behaves the same. Method: the one
// conformance suite, run on each.
package vfs_test

import (
	"testing"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/vfstest"
)

func TestConformanceOS(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) { return vfs.OS(), t.TempDir() })
}

func TestConformanceMem(t *testing.T) {
	vfstest.Run(t, func(*testing.T) (vfs.FS, string) { return vfs.Mem(0), "/" })
}

func TestConformanceLog(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		dir := t.TempDir()
		return vfs.Log(vfs.OS(), dir, &vfs.Recorder{}), dir
	})
}
