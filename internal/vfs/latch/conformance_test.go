// Goal: a latch that is not latched changes nothing, in both views. Method: the conformance suite.
package latch_test

import (
	"testing"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/latch"
	"github.com/sherd-storage/sherd/internal/vfs/vfstest"
)

func TestConformance(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		return latch.New(vfs.OS(), latch.Options{}).FS(), t.TempDir()
	})
}
