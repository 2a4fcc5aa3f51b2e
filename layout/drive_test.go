// Goal: the drive in a directory keeps the contract of layout.Drive. Method:
// the conformance suite, over every kind of file system that there is.
package layout_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/layout/drivetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// maker formats drives on a file system.
func maker(on func(t *testing.T) (fs vfs.FS, path string), o layout.Options) drivetest.Maker {
	return func(t *testing.T, id layout.Identity, state layout.State) func() layout.Drive {
		fs, path := on(t)
		c, err := layout.Claim(t.Context(), fs, path, &o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Release()) })
		require.NoError(t, c.Format(t.Context(), id, state))
		var d layout.Drive
		return func() layout.Drive {
			if d != nil {
				require.NoError(t, d.Close())
				require.NoError(t, c.Look(t.Context()))
			}
			d, err = c.Open(t.Context())
			require.NoError(t, err)
			return d
		}
	}
}

func onDisk(t *testing.T) (vfs.FS, string) { return vfs.OS(), t.TempDir() + "/set/drive" }
func inMemory(*testing.T) (vfs.FS, string) { return vfs.Mem(0), "/set/drive" }
func onLogging(*testing.T) (vfs.FS, string) {
	return vfs.Log(vfs.Mem(0), "/", &vfs.Recorder{}), "/drive"
}

func TestConformance(t *testing.T) {
	memory := layout.Options{Memory: true}
	t.Run("Disk", func(t *testing.T) { drivetest.Run(t, maker(onDisk, layout.Options{})) })
	t.Run("Memory", func(t *testing.T) { drivetest.Run(t, maker(inMemory, memory)) })
	t.Run("Logging", func(t *testing.T) { drivetest.Run(t, maker(onLogging, memory)) })
	t.Run("Crashable", func(t *testing.T) {
		drivetest.Run(t, maker(func(*testing.T) (vfs.FS, string) { return crashfs.New(), "/drive" }, memory))
	})
	t.Run("Faulty", func(t *testing.T) {
		drivetest.Run(t, maker(func(*testing.T) (vfs.FS, string) { return faultfs.New().Wrap(vfs.Mem(0)), "/drive" }, memory))
	})
	t.Run("SharedCache", func(t *testing.T) {
		cache := layout.NewCache(1 << 20)
		t.Cleanup(cache.Close)
		drivetest.Run(t, maker(inMemory, layout.Options{Memory: true, Cache: cache}))
	})
}
