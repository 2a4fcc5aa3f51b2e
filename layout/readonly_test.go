// Goal: a drive that is opened for reading only refuses each call that changes
// it. Method: every such call, on a drive that was served.
package layout_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

func TestADriveForReadingOnly(t *testing.T) {
	fs := vfs.Mem(0)
	formatted(t, fs, "/drive", 3)
	o := &layout.Options{Memory: true, ReadOnly: true}
	c, err := layout.Claim(t.Context(), fs, "/drive", o)
	require.NoError(t, err)
	defer c.Release()
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	h, err := d.Holding(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, h.State.Generation)
	p := h.Promise
	refused := func(err error) { t.Helper(); require.ErrorIs(t, err, layout.ErrReadOnly) }
	_, err = d.Promise(t.Context(), layout.Promise{Owner: layout.Owner{Epoch: p.Epoch + 1}})
	refused(err)
	refused(d.Apply(t.Context(), p, layout.Batch{Seal: &layout.Seal{Epoch: p.Epoch}}))
	_, err = d.Remove(t.Context(), p, layout.Removal{Upto: 1})
	refused(err)
	_, err = d.Shards().Create(t.Context(), p, layout.ShardHeader{})
	refused(err)
	refused(d.Shards().Quarantine(t.Context(), p, layout.DataID{}, "reason"))
	refused(d.Shards().Remove(t.Context(), p, layout.DataID{}))
	refused(c.Format(t.Context(), identity(), someState()))
	u, err := d.Probe(t.Context())
	require.NoError(t, err)
	require.Zero(t, u.Free)
	again, err := layout.Claim(t.Context(), fs, "/drive", o)
	require.NoError(t, err, "others may read too")
	require.NoError(t, again.Release())
	_, err = layout.Claim(t.Context(), fs, "/drive", &layout.Options{Memory: true})
	require.Error(t, err)
}
