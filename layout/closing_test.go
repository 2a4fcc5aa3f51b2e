// Goal: closing a drive ends, also when the disk does not answer, and what a
// cursor has given stays what it was. Method: reads that hang, in a bubble whose
// clock is not the real one; memory of a closed index that is used again.
package layout_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := faultfs.New()
		fs := faults.Wrap(vfs.Mem(0))
		c, err := layout.Claim(t.Context(), fs, drivePath, &layout.Options{Memory: true})
		require.NoError(t, err)
		require.NoError(t, c.Format(t.Context(), identity(), someState()))
		d, err := c.Open(t.Context())
		require.NoError(t, err)
		p := layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}}
		_, err = d.Promise(t.Context(), p)
		require.NoError(t, err)

		gate := faultfs.NewGate()
		faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Sync, op.SyncData}, Classes: []op.Class{op.WAL}, Times: 1, Do: faultfs.Stall(gate)})
		ended := make(chan error)
		go func() { _, err := fill(t, d, p, 1); ended <- err }()
		<-gate.Entered()
		require.Error(t, d.Close(), "it says that something is still under way")
		_, err = c.Open(t.Context())
		require.Error(t, err, "and is not opened twice")
		gate.Open()
		<-ended
		synctest.Wait()
		_, err = c.Open(t.Context())
		require.NoError(t, err)
		require.NoError(t, c.Release())
	})
}

// inTables is a drive whose records all have one byte as their content, over
// and over, and are read from tables.
func inTables(t *testing.T, content byte) (layout.Drive, layout.Cursor) {
	c := claim(t, vfs.OS(), filepath.Join(t.TempDir(), "drive"))
	require.NoError(t, c.Format(t.Context(), identity(), someState()))
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	p := layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}}
	h, err := d.Promise(t.Context(), p)
	require.NoError(t, err)
	for last := h.Last; last.Position < 150; {
		e := &layout.Entry{Position: last.Position + 1, Owner: p.Owner, Writes: []layout.Write{
			{Slot: layout.VersionSlot(1, "k", last.Position+1), Kind: layout.KindRecord, Value: bytes.Repeat([]byte{content}, fillBytes)},
		}}
		require.NoError(t, e.Seal(last.Chain))
		require.NoError(t, d.Apply(t.Context(), p, layout.Batch{Entries: []*layout.Entry{e}}))
		last = layout.Mark{Position: e.Position, Chain: e.Chain}
	}
	require.NoError(t, d.Close())
	d, err = c.Open(t.Context())
	require.NoError(t, err)
	r, err := d.Read(t.Context())
	require.NoError(t, err)
	lo, hi := layout.VersionsOf(1, "k")
	cursor, err := r.Cursor(lo, hi, layout.MaxPosition)
	require.NoError(t, err)
	return d, cursor
}

func TestAnItemOutlivesItsDrive(t *testing.T) {
	d, cursor := inTables(t, 7)
	for range 50 {
		require.True(t, cursor.Next())
	}
	it := cursor.Item()
	require.NoError(t, d.Close())
	_, other := inTables(t, 9)
	for other.Next() { // its blocks come to lie where those of the first drive were
	}
	require.NoError(t, other.Err())
	require.Equal(t, fillBytes, bytes.Count(it.Value, []byte{7}))
	require.False(t, cursor.Next())
	require.ErrorIs(t, cursor.Err(), layout.ErrClosed)
}
