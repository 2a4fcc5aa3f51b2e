// Goal: a file system opened for reading only changes nothing, and its locks keep writers out while readers share.
// Method: every operation that changes something, over real and made-up file systems, each with a fault injector's
// wrapper between.
package vfs_test

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
)

func eachFS(t *testing.T, f func(t *testing.T, fsys vfs.FS, dir string)) {
	pass := func(_ *vfs.Call, next func() error) error { return next() }
	for name, fsys := range map[string]vfs.FS{"os": vfs.OS(), "memory": vfs.Mem(0), "wrapped": vfs.Intercept(vfs.Mem(0), pass)} {
		t.Run(name, func(t *testing.T) {
			dir := "/"
			if name == "os" {
				dir = t.TempDir()
			}
			f(t, fsys, dir)
		})
	}
}

func TestReadOnlyRefusesEveryChange(t *testing.T) {
	eachFS(t, func(t *testing.T, below vfs.FS, dir string) {
		at := func(name string) string { return filepath.Join(dir, name) }
		f, err := below.Create(at("a"), vfs.Unspecified)
		require.NoError(t, err)
		_, err = f.Write([]byte("content"))
		require.NoError(t, err)
		require.NoError(t, f.Close())

		fsys := vfs.ReadOnly(below)
		refused := func(err error) { t.Helper(); require.ErrorIs(t, err, syscall.EROFS) }
		_, err = fsys.Create(at("b"), vfs.Unspecified)
		refused(err)
		_, err = fsys.OpenReadWrite(at("a"), vfs.Unspecified)
		refused(err)
		_, err = fsys.ReuseForWrite(at("a"), at("b"), vfs.Unspecified)
		refused(err)
		refused(fsys.Link(at("a"), at("b")))
		refused(fsys.Rename(at("a"), at("b")))
		refused(fsys.Remove(at("a")))
		refused(fsys.RemoveAll(at("a")))
		refused(fsys.MkdirAll(at("d"), 0o700))
		_, err = fsys.Lock(at("none"))
		require.ErrorIs(t, err, fs.ErrNotExist, "a lock file is not made")

		f, err = fsys.Open(at("a"))
		require.NoError(t, err)
		_, err = f.Write([]byte("x"))
		refused(err)
		_, err = f.WriteAt([]byte("x"), 0)
		refused(err)
		refused(f.Preallocate(0, 1))
		got := make([]byte, 7)
		_, err = f.ReadAt(got, 0)
		require.NoError(t, err)
		require.Equal(t, "content", string(got))
		require.NoError(t, f.Close())
		names, err := fsys.List(dir)
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, names)
		want, err := vfs.Identify(below, at("a"))
		require.NoError(t, err)
		id, err := vfs.Identify(fsys, at("a"))
		require.NoError(t, err)
		require.Equal(t, want, id)
	})
}

func TestReadersShareALockAndKeepWritersOut(t *testing.T) {
	eachFS(t, func(t *testing.T, below vfs.FS, dir string) {
		name, fsys := filepath.Join(dir, "lock"), vfs.ReadOnly(below)
		alone, err := below.Lock(name)
		require.NoError(t, err)
		_, err = fsys.Lock(name)
		require.Error(t, err, "while a writer holds it")
		require.NoError(t, alone.Close())

		first, err := fsys.Lock(name)
		require.NoError(t, err)
		second, err := fsys.Lock(name)
		require.NoError(t, err, "readers share")
		require.NoError(t, first.Close())
		_, err = below.Lock(name)
		require.Error(t, err, "one reader is left")
		require.NoError(t, second.Close())
		alone, err = below.Lock(name)
		require.NoError(t, err)
		require.NoError(t, alone.Close())
	})
}
