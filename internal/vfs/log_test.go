// Goal: a trace shows operations in order, without what changes from run to run. Method: a small workload, compared with
// the trace as text.
package vfs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

func TestLogTrace(t *testing.T) {
	rec := &vfs.Recorder{Sizes: true}
	fs := vfs.Log(vfs.Mem(0), "/drive", rec)
	writeShard(t, fs)
	rec.Note("acknowledged")
	require.Error(t, fs.Remove("/drive/shards/nothing"))
	require.Equal(t, `mkdir shards
create shards/#.log
write shards/#.log [0+5]
write-at shards/#.log [512+2]
sync-data shards/#.log
rename shards/#.log -> shards/final
sync-dir shards
# acknowledged
remove shards/nothing !
`, rec.TakeTrace())
	require.Empty(t, rec.Take())
}

func TestLogKeeps(t *testing.T) {
	rec := &vfs.Recorder{Keep: func(e vfs.Entry) bool { return e.Class == op.WAL && e.Kind.Durable() }}
	writeShard(t, vfs.Log(vfs.Mem(0), "/", rec))
	require.Equal(t, "sync-data drive/shards/#.log\n", rec.TakeTrace())
}

func writeShard(t *testing.T, fs vfs.FS) {
	t.Helper()
	require.NoError(t, fs.MkdirAll("/drive/shards", 0o700))
	f, err := fs.Create("/drive/shards/000123.log", vfs.Unspecified)
	require.NoError(t, err)
	_, err = f.Write([]byte("bytes"))
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("at"), 512)
	require.NoError(t, err)
	require.NoError(t, f.SyncData())
	require.NoError(t, f.Close())
	require.NoError(t, fs.Rename("/drive/shards/000123.log", "/drive/shards/final"))
	d, err := fs.OpenDir("/drive/shards")
	require.NoError(t, err)
	require.NoError(t, d.Sync())
	require.NoError(t, d.Close())
}
