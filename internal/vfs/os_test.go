// Goal: on the real file system, files and directories are private, locks hold within the process and by any path, and a caller
// can tell where a path lies. Method: temporary directories.
package vfs_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
)

func TestOSModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // has no modes
	}
	fs, dir := vfs.OS(), filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, fs.MkdirAll(dir, 0o777))
	requireMode(t, dir, 0o700)
	requireMode(t, filepath.Dir(dir), 0o700)
	f, err := fs.Create(filepath.Join(dir, "created"), vfs.Unspecified)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f, err = fs.OpenReadWrite(filepath.Join(dir, "opened"), vfs.Unspecified)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	l, err := fs.Lock(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for _, name := range []string{"created", "opened", "lock"} {
		requireMode(t, filepath.Join(dir, name), 0o600)
	}
}

func requireMode(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	fi, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, mode, fi.Mode().Perm(), name)
}

func TestOSLockByAnotherPath(t *testing.T) {
	fs, dir := vfs.OS(), t.TempDir()
	require.NoError(t, fs.MkdirAll(filepath.Join(dir, "drive"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dir, "drive"), filepath.Join(dir, "alias")))
	held, err := fs.Lock(filepath.Join(dir, "drive", "lock"))
	require.NoError(t, err)
	_, err = fs.Lock(filepath.Join(dir, "alias", "lock"))
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.NoError(t, held.Close())
	held, err = fs.Lock(filepath.Join(dir, "alias", "lock"))
	require.NoError(t, err)
	require.NoError(t, held.Close())
}

func TestIdentityThroughLinks(t *testing.T) {
	fs, dir := vfs.OS(), t.TempDir()
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "alias")))
	direct, err := vfs.Identify(fs, dir)
	require.NoError(t, err)
	linked, err := vfs.Identify(fs, filepath.Join(dir, "alias"))
	require.NoError(t, err)
	require.Equal(t, direct, linked)
	memory, err := vfs.Identify(vfs.Mem(0), "/")
	require.NoError(t, err)
	other, err := vfs.Identify(vfs.Mem(0), "/")
	require.NoError(t, err)
	require.False(t, memory == other, "two memories are two devices")
	require.False(t, memory.SameDevice(other))
	require.False(t, vfs.Identity{}.SameDevice(vfs.Identity{}))
}

func TestMount(t *testing.T) {
	dir := t.TempDir()
	device, same, err := vfs.Mount(dir)
	require.NoError(t, err)
	require.True(t, same, "a temporary directory is no mount point")
	id, err := vfs.FilesystemID(dir)
	require.NoError(t, err)
	require.Equal(t, device, id)
	_, same, err = vfs.Mount("/")
	require.NoError(t, err)
	require.True(t, same)
	_, _, err = vfs.Mount(filepath.Join(dir, "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	if runtime.GOOS == "linux" {
		_, same, err = vfs.Mount("/proc")
		require.NoError(t, err)
		require.False(t, same, "/proc is a file system of its own")
	}
}

func TestLockTrust(t *testing.T) {
	_, err := vfs.LockTrust(t.TempDir())
	require.NoError(t, err)
	_, err = vfs.LockTrust(filepath.Join(t.TempDir(), "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, "none", vfs.TrustNone.String())
}
