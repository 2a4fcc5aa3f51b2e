// Goal: a file system in memory says how full it is, and is full at its capacity. Method: fill it, free it, and fill it again.
package vfs_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
)

func TestMemCapacity(t *testing.T) {
	fs := vfs.Mem(1000)
	f, err := fs.Create("a", vfs.Unspecified)
	require.NoError(t, err)
	n, err := f.Write(make([]byte, 600))
	require.NoError(t, err)
	require.Equal(t, 600, n)
	n, err = f.Write(make([]byte, 600))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, 400, n, "what fits is written")
	_, err = f.WriteAt(make([]byte, 10), 5000)
	require.Error(t, err)
	_, err = f.WriteAt(make([]byte, 1000), 0)
	require.NoError(t, err, "overwriting takes no space")
	usage, err := fs.GetDiskUsage("/")
	require.NoError(t, err)
	require.Equal(t, vfs.DiskUsage{AvailBytes: 0, TotalBytes: 1000, UsedBytes: 1000}, usage)

	require.NoError(t, fs.Link("a", "b"))
	require.NoError(t, fs.Remove("a"))
	require.NoError(t, fs.Remove("b"))
	usage, err = fs.GetDiskUsage("/")
	require.NoError(t, err)
	require.EqualValues(t, 1000, usage.UsedBytes, "an open file keeps its space")
	require.NoError(t, f.Close())
	usage, err = fs.GetDiskUsage("/")
	require.NoError(t, err)
	require.EqualValues(t, 1000, usage.AvailBytes)
}

func TestMemPreallocates(t *testing.T) {
	fs := vfs.Mem(1000)
	used := func() int { usage, err := fs.GetDiskUsage("/"); require.NoError(t, err); return int(usage.UsedBytes) }
	f, err := fs.Create("a", vfs.Unspecified)
	require.NoError(t, err)
	require.NoError(t, f.Preallocate(0, 600))
	require.Equal(t, 600, used())
	info, err := f.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size(), "the size stays")
	require.ErrorIs(t, f.Preallocate(600, 401), syscall.ENOSPC)
	require.Equal(t, 600, used(), "all or nothing")
	require.NoError(t, f.Preallocate(100, 500))
	_, err = f.Write(make([]byte, 600))
	require.NoError(t, err)
	require.Equal(t, 600, used(), "what is written into it takes no more")

	other, err := fs.Create("b", vfs.Unspecified)
	require.NoError(t, err)
	n, err := other.Write(make([]byte, 500))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, 400, n)
	n, err = f.Write(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Zero(t, n)
	require.NoError(t, f.Close())
	require.NoError(t, fs.Remove("a"))
	require.Equal(t, 400, used())
	require.NoError(t, other.Close())
}

func TestMemLargeFile(t *testing.T) {
	fs := vfs.Mem(0)
	f, err := fs.Create("a", vfs.Unspecified)
	require.NoError(t, err)
	for i := range 300 {
		p := make([]byte, 1000)
		p[0] = byte(i)
		_, err := f.Write(p)
		require.NoError(t, err)
	}
	for i := range 300 {
		p := make([]byte, 1)
		_, err := f.ReadAt(p, int64(i)*1000)
		require.NoError(t, err)
		require.Equal(t, byte(i), p[0])
	}
	require.NoError(t, f.Close())
}
