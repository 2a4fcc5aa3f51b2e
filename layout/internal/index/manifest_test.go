// Goal: an index of which a part is missing does not open as if it were whole.
// Method: damage to the manifest that the library takes for the end of a crash,
// at every other of its bytes.
package index_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout/internal/index"
)

func open(fs vfs.FS, create bool) (*pebble.DB, error) {
	return index.Open(fs, "/index", index.Options{Logger: slog.New(slog.DiscardHandler), Memory: true, Create: create})
}

const keys = 5

func keyOf(i int) []byte { return fmt.Appendf(nil, "n%d\x00", i) }

// used is an index whose keys but the last are in tables of their own.
func used(t *testing.T) vfs.FS {
	fs := vfs.Mem(0)
	db, err := open(fs, true)
	require.NoError(t, err)
	for i := range keys {
		if i == 2 { // what was opened again names its logs in another way
			require.NoError(t, db.Close())
			db, err = open(fs, false)
			require.NoError(t, err)
		}
		require.NoError(t, db.Set(keyOf(i), []byte{byte(i)}, pebble.Sync))
		if i < keys-1 {
			require.NoError(t, db.Flush())
		}
	}
	require.NoError(t, db.Close())
	return fs
}

func manifest(t *testing.T, fs vfs.FS) (path string, data []byte) {
	names, err := fs.List("/index")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST-") {
			path = max(path, "/index/"+name)
		}
	}
	f, err := fs.Open(path)
	require.NoError(t, err)
	data, err = io.ReadAll(f)
	require.NoError(t, errors.Join(err, f.Close()))
	return path, data
}

// whole tells whether all keys are there.
func whole(t *testing.T, fs vfs.FS) error {
	db, err := open(fs, false)
	if err != nil {
		return err
	}
	defer func() { require.NoError(t, db.Close()) }()
	for i := range keys {
		_, closer, err := db.Get(keyOf(i))
		require.NoError(t, err, "key %d is missing, and nothing said so", i)
		require.NoError(t, closer.Close())
	}
	return nil
}

func TestAManifestThatEndsTooEarly(t *testing.T) {
	fs := used(t)
	path, data := manifest(t, fs)
	require.NoError(t, whole(t, used(t)))
	refused := 0
	for i := 0; i < len(data); i += 2 {
		for what, damaged := range map[string][]byte{
			"cut":   data[:i],
			"zeros": append(append([]byte{}, data[:i]...), make([]byte, len(data)-i)...),
			"byte":  append(append(append([]byte{}, data[:i]...), ^data[i]), data[i+1:]...),
		} {
			fs := used(t)
			f, err := fs.Create(path, vfs.Unspecified)
			require.NoError(t, err)
			_, err = f.Write(damaged)
			require.NoError(t, errors.Join(err, f.Close()))
			if err := whole(t, fs); err != nil {
				require.ErrorIs(t, err, index.ErrCorrupt, "%s at %d", what, i)
				refused++
			}
		}
	}
	require.Greater(t, refused, len(data)/2)
}

// files gives the names and the bytes of an index's files.
func files(t *testing.T, fs vfs.FS) map[string][]byte {
	names, err := fs.List("/index")
	require.NoError(t, err)
	out := map[string][]byte{}
	for _, name := range names {
		f, err := fs.Open("/index/" + name)
		require.NoError(t, err)
		data, err := io.ReadAll(f)
		require.NoError(t, errors.Join(err, f.Close()))
		out[name] = data
	}
	return out
}

// A file of an index that is gone, or is longer or shorter than it was, is no
// matter, or makes the index corrupt: so that its drive is filled again, and is
// not waited for like one that is merely out of reach.
func TestFilesThatAreNotWhatTheyWere(t *testing.T) {
	refused := map[string]int{}
	look := func(name, what string, damage func(fs vfs.FS)) {
		fs := used(t)
		damage(fs)
		db, err := open(fs, false)
		if err == nil {
			require.NoError(t, db.Close())
			return
		}
		require.True(t, errors.Is(err, index.ErrCorrupt) || errors.Is(err, index.ErrMissing), "%s %s: %v", name, what, err)
		kind, _, _ := strings.Cut(strings.TrimLeft(name, "0123456789"), "-")
		refused[kind+" "+what]++
	}
	write := func(name string, data []byte) func(fs vfs.FS) {
		return func(fs vfs.FS) {
			f, err := fs.Create("/index/"+name, vfs.Unspecified)
			require.NoError(t, err)
			_, err = f.Write(data)
			require.NoError(t, errors.Join(err, f.Close()))
		}
	}
	for name, data := range files(t, used(t)) {
		look(name, "gone", func(fs vfs.FS) { require.NoError(t, fs.Remove("/index/"+name)) })
		look(name, "empty", write(name, nil))
		look(name, "cut", write(name, data[:len(data)/2]))
		look(name, "longer", write(name, append(slices.Clone(data), "what is not its own"...)))
		if strings.HasPrefix(name, "OPTIONS-") {
			for i := 0; i < len(data); i += 2 {
				wrong := slices.Clone(data)
				wrong[i] ^= 1
				look(name, "bit", write(name, wrong))
			}
		}
	}
	for _, must := range []string{".sst gone", ".sst empty", ".sst cut", ".sst longer", "marker.format gone", "marker.manifest.000002.MANIFEST gone", "OPTIONS bit"} {
		require.Positive(t, refused[must], "%s: %v", must, refused)
	}
}

// A crash while an index is being made may leave the marker and not the manifest
// that it names: that is no index. One that was in use and has lost its manifest
// still is one, and corrupt.
func TestUnmadeIndexIsNone(t *testing.T) {
	fsys := vfs.Mem(0)
	put := func(name string) {
		require.NoError(t, fsys.MkdirAll("/i", 0o700))
		f, err := fsys.Create("/i/"+name, vfs.Unspecified)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	there := func() bool {
		ok, err := index.Exists(fsys, "/i")
		require.NoError(t, err)
		return ok
	}
	put("marker.manifest.000001.MANIFEST-000001")
	require.False(t, there())
	put("000002.log")
	require.True(t, there())
	require.NoError(t, fsys.Remove("/i/000002.log"))
	put("MANIFEST-000001")
	require.True(t, there())
}
