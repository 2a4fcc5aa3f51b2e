// Goal: a drive that finds no space gives up its reserve for the index, and for
// nothing else. Method: a disk that has no space for files of one class as long
// as the reserve is there.
package layout_test

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// fullDisk says how much it has free, and refuses writes for which only the
// reserve has room.
type fullDisk struct {
	vfs.FS
	avail   atomic.Uint64
	refuses atomic.Pointer[func(c *vfs.Call) bool]
}

func newFullDisk() *fullDisk {
	d := &fullDisk{}
	d.avail.Store(1 << 30)
	mem := vfs.Mem(0)
	d.FS = vfs.Intercept(mem, func(c *vfs.Call, next func() error) error {
		if refuses := d.refuses.Load(); refuses != nil && (c.Kind == op.Write || c.Kind == op.WriteAt) && (*refuses)(c) {
			if _, err := mem.Stat("/drive/reserve"); err == nil {
				return syscall.ENOSPC
			}
		}
		return next()
	})
	return d
}

func (d *fullDisk) Unwrap() vfs.FS { return d.FS }

func (d *fullDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	avail := d.avail.Load()
	return vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: avail, UsedBytes: 1<<30 - avail}, nil
}

func (d *fullDisk) refuse(f func(c *vfs.Call) bool) { d.refuses.Store(&f) }

func inShards(c *vfs.Call) bool { return strings.Contains(c.Path, "shards") }
func inIndex(c *vfs.Call) bool  { return strings.Contains(c.Path, "index") }

func TestTheReserveIsForTheIndex(t *testing.T) {
	fs := newFullDisk()
	c, err := layout.Claim(t.Context(), fs, "/drive", &layout.Options{Memory: true, ReserveBytes: 32 << 20})
	require.NoError(t, err)
	require.NoError(t, c.Format(t.Context(), identity(), someState()))
	w := &workload{T: t, fs: fs, c: c, p: layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}}}
	w.d, err = c.Open(t.Context())
	require.NoError(t, err)
	_, err = w.d.Promise(t.Context(), w.p)
	require.NoError(t, err)

	fs.refuse(inShards)
	require.ErrorIs(t, w.file(dataA), layout.ErrNoSpace)
	_, err = fs.Stat("/drive/reserve")
	require.NoError(t, err, "a shard without space leaves the reserve alone")
	require.NoError(t, w.commit(&layout.Entry{Writes: []layout.Write{{Slot: layout.NameSlot("a"), Kind: layout.KindRecord}}}))

	// The drive fills up and the process starts anew: the reserve is from before.
	require.NoError(t, w.d.Close())
	fs.avail.Store(0)
	w.d, err = c.Open(t.Context())
	require.NoError(t, err)
	u, err := w.d.Probe(t.Context())
	require.NoError(t, err)
	require.Zero(t, u.Free)
	fs.refuse(inIndex)
	e := w.entry(&layout.Entry{Writes: []layout.Write{{Slot: layout.NameSlot("a"), Kind: layout.KindTombstone}}})
	require.NoError(t, w.d.Apply(t.Context(), w.p, layout.Batch{Entries: []*layout.Entry{e}, Reserve: true}))
	_, err = fs.Stat("/drive/reserve")
	require.Error(t, err, "it was given up")
	require.NoError(t, c.Release())
}
