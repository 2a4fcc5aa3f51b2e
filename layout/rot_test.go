// Goal: one wrong bit anywhere in the files of a drive is found, or does no
// harm: it never changes what is read without an error. Method: the bytes of
// every file of a drive (of the longest, some) get a wrong bit, one at a time;
// the drive is opened, and all of it is read and compared.
package layout_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// tree is the files of a drive by their paths.
type tree map[string][]byte

func readTree(t *testing.T, root string) tree {
	files := tree{}
	require.NoError(t, filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		require.NoError(t, err)
		files[filepath.ToSlash(rel)], err = os.ReadFile(path)
		return err
	}))
	return files
}

// on puts the files into a file system in memory.
func (f tree) on(t *testing.T) vfs.FS {
	fs := vfs.Mem(0)
	for name, data := range f {
		path := fs.PathJoin("/drive", filepath.FromSlash(name))
		require.NoError(t, fs.MkdirAll(fs.PathDir(path), 0o700))
		w, err := fs.Create(path, vfs.Unspecified)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, errors.Join(err, w.Close()))
	}
	return fs
}

// told is everything that a drive says, or the first error.
func told(t *testing.T, f tree) (string, error) {
	c, err := layout.Claim(t.Context(), f.on(t), "/drive", &layout.Options{Memory: true})
	if err != nil {
		return "", err
	}
	defer func() { require.NoError(t, c.Release()) }()
	d, err := c.Open(t.Context())
	if err != nil {
		return "", err
	}
	h, err := d.Holding(t.Context())
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%v %v\n", d.Identity(), h, h.Rebuild)
	log, err := d.Log(t.Context(), 1, 1000)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "%v\n", log)
	r, err := d.Read(t.Context())
	require.NoError(t, err)
	for _, kind := range []byte("bdeinopuv") {
		lo, hi := layout.TypeRange(kind)
		cur, err := r.Cursor(lo, hi, layout.MaxPosition)
		if err != nil {
			return "", err
		}
		for cur.Next() {
			it := cur.Item()
			fmt.Fprintf(&b, "%x %d %x\n", []byte(it.Slot), it.Position, it.Value)
		}
		if err := errors.Join(cur.Err(), cur.Close()); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func (f tree) with(name string, data []byte) tree {
	out := maps.Clone(f)
	out[name] = data
	return out
}

func TestOneWrongBit(t *testing.T) {
	whole := readTree(t, filepath.Join("testdata", "v1", "drive"))
	want, err := told(t, whole)
	require.NoError(t, err)
	for name, data := range whole {
		if strings.HasPrefix(name, "shards/") {
			continue
		}
		instead := want
		if strings.HasSuffix(name, ".log") {
			// The last block of the newest log may be what a crash has left: then
			// what is in it was never there, and the set finds that it is missing.
			instead, err = told(t, whole.with(name, nil))
			require.NoError(t, err)
			require.NotEqual(t, want, instead)
		}
		found := 0
		for i := 0; i < len(data); i += 1 + len(data)/600 {
			damaged := bytes.Clone(data)
			damaged[i] ^= 1 << (i % 8)
			got, err := told(t, whole.with(name, damaged))
			switch {
			case err != nil:
				found++
			case got != want:
				require.Equal(t, instead, got, "%s, byte %d", name, i)
			}
		}
		t.Logf("%s: %d bytes, %d found", name, len(data), found)
	}
}

func TestOneWrongBitInAShardFile(t *testing.T) {
	whole := readTree(t, filepath.Join("testdata", "v1", "drive"))
	fs := whole.on(t)
	d, err := claim(t, fs, "/drive").Open(t.Context())
	require.NoError(t, err)
	ref := layout.ShardRef{Data: someData, Shard: 1, Payload: -1}
	for name, data := range whole {
		if !strings.HasPrefix(name, "shards/") {
			continue
		}
		require.NoError(t, d.Shards().Verify(t.Context(), ref))
		for i := range data {
			damaged := bytes.Clone(data)
			damaged[i] ^= 1 << (i % 8)
			f, err := fs.Create("/drive/"+name, vfs.Unspecified)
			require.NoError(t, err)
			_, err = f.Write(damaged)
			require.NoError(t, errors.Join(err, f.Close()))
			require.ErrorIs(t, d.Shards().Verify(t.Context(), ref), layout.ErrDamaged, "byte %d", i)
		}
	}
}
