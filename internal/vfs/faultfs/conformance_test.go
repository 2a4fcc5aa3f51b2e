// Goal: without rules, an injector changes nothing. Method: the conformance suite.
package faultfs_test

import (
	"testing"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/vfstest"
)

func TestConformance(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) { return faultfs.New().Wrap(vfs.OS()), t.TempDir() })
}
