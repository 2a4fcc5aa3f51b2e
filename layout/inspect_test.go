// Goal: a rotten block of an index, and a key that means nothing, are found
// without being asked for. Method: bits flipped in tables of indexes that are
// closed, one at a time, all over them.
package layout_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

func TestInspectFindsRottenTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drive")
	c := claim(t, vfs.OS(), path)
	require.NoError(t, c.Format(t.Context(), identity(), someState()))
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	p := layout.Promise{Owner: layout.Owner{Epoch: 7}}
	_, err = d.Promise(t.Context(), p)
	require.NoError(t, err)
	var chain layout.Chain
	for at := range layout.Position(200) {
		e := &layout.Entry{Position: at + 1, Owner: p.Owner, Writes: []layout.Write{{
			Slot: layout.DocumentSlot(1, fmt.Sprint("document ", at)), Kind: layout.KindRecord, Value: bytes.Repeat([]byte{byte(at)}, 1000)}}}
		require.NoError(t, e.Seal(chain))
		chain = e.Chain
		require.NoError(t, d.Apply(t.Context(), p, layout.Batch{Entries: []*layout.Entry{e}}))
	}
	require.NoError(t, c.Release())
	require.Empty(t, inspect(t, path, false), "a log of the index that is no table yet")
	require.Empty(t, inspect(t, path, true), "an opening made tables of it")
	require.Empty(t, inspect(t, path, false))

	tables, err := filepath.Glob(filepath.Join(path, "index", "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	for _, table := range tables {
		whole, err := os.ReadFile(table)
		require.NoError(t, err)
		// The footer has a sum of its own, and an index that can not read it does
		// not look further.
		for at := 0; at < len(whole)-64; at += len(whole)/40 + 1 {
			rotten := bytes.Clone(whole)
			rotten[at] ^= 0x10
			require.NoError(t, os.WriteFile(table, rotten, 0o600))
			require.Contains(t, inspect(t, path, false), strings.TrimSuffix(filepath.Base(table), ".sst"), "byte %d of %d", at, len(whole))
		}
		require.NoError(t, os.WriteFile(table, whole, 0o600))
	}
	require.Empty(t, inspect(t, path, false))
}

// inspect opens a drive, for reading only or for writing, and gives what it
// finds wrong. One that does not open says so itself.
func inspect(t *testing.T, path string, write bool) string {
	t.Helper()
	c, err := layout.Claim(t.Context(), vfs.OS(), path, &layout.Options{ReadOnly: !write})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Release()) }()
	d, err := c.Open(t.Context())
	if err != nil {
		require.ErrorIs(t, err, layout.ErrCorruptIndex)
		return err.Error()
	}
	var out strings.Builder
	require.NoError(t, d.(layout.Inspector).Inspect(t.Context(), func(err error) { fmt.Fprintln(&out, err) }))
	return out.String()
}
