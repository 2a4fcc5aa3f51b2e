// Goal: a directory is taken for what it is, and nothing in it is changed that
// is not ours. Method: directories of every kind, on the disk and in memory.
package layout_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

func claim(t *testing.T, fs vfs.FS, path string) *layout.Claimed {
	t.Helper()
	c, err := layout.Claim(t.Context(), fs, path, &layout.Options{Memory: fs != vfs.OS()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Release()) })
	return c
}

// formatted makes a drive and closes it; with generation, one that was served.
func formatted(t *testing.T, fs vfs.FS, path string, generation uint64) {
	t.Helper()
	c := claim(t, fs, path)
	require.NoError(t, c.Format(t.Context(), identity(), someState()))
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	if s := fullState(); generation > 0 {
		p := layout.Promise{Owner: s.Owner}
		_, err = d.Promise(t.Context(), p)
		require.NoError(t, err)
		s.Generation = generation
		require.NoError(t, d.Apply(t.Context(), p, layout.Batch{State: &s}))
	}
	require.NoError(t, c.Release())
}

func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "drive")
	c := claim(t, vfs.OS(), path)
	require.Equal(t, layout.Missing, c.Condition())
	require.NoDirExists(t, path, "a claim makes no directory")
	require.NotEmpty(t, c.Filesystem())
	require.Equal(t, c.Filesystem(), c.ParentFilesystem())
	_, err := c.Open(t.Context())
	require.ErrorIs(t, err, layout.ErrNotFound)

	require.NoError(t, os.MkdirAll(filepath.Join(path, "lost+found"), 0o700))
	require.NoError(t, c.Look(t.Context()))
	require.Equal(t, layout.Empty, c.Condition())
	_, err = layout.Claim(t.Context(), vfs.OS(), path, nil)
	require.ErrorIs(t, err, layout.ErrInUse, "by this process")
	require.NoError(t, c.Release())

	require.NoError(t, os.WriteFile(filepath.Join(path, "thesis.tex"), []byte("x"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(path, "lock")))
	_, err = layout.Claim(t.Context(), vfs.OS(), path, nil)
	require.ErrorIs(t, err, layout.ErrForeign)
	names, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, names, 2, "nothing was added")
	_, err = layout.Claim(t.Context(), vfs.OS(), filepath.Join(path, "thesis.tex"), nil)
	require.ErrorIs(t, err, layout.ErrForeign, "a file")
}

func TestFormatFile(t *testing.T) {
	for text, want := range map[string]error{
		`{"format": 2, "anything": true}`: layout.ErrNewerFormat,
		`{"format": 1}`:                   layout.ErrBadRecord,
		`{`:                               layout.ErrBadRecord,
		``:                                layout.ErrBadRecord,
	} {
		path := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(path, "format.json"), []byte(text), 0o600))
		_, err := layout.Claim(t.Context(), vfs.OS(), path, nil)
		require.ErrorIs(t, err, want, text)
		require.Equal(t, errors.Is(want, layout.ErrBadRecord), strings.Contains(err.Error(), "an empty directory"), "what to do about it")
	}
}

func TestADriveInUseIsNotFormatted(t *testing.T) {
	fs := vfs.Mem(0)
	formatted(t, fs, "/new", 0)
	c := claim(t, fs, "/new")
	id := identity()
	id.Drive, id.Slot = someDrives[2], 2
	require.NoError(t, c.Format(t.Context(), id, someState()), "never served")
	got, ok := c.Identity()
	require.True(t, ok)
	require.Equal(t, id, got)

	formatted(t, fs, "/used", 4)
	c = claim(t, fs, "/used")
	require.ErrorIs(t, c.Format(t.Context(), id, someState()), layout.ErrExists)
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	require.Equal(t, identity(), d.Identity())
	_, err = c.Open(t.Context())
	require.ErrorIs(t, err, layout.ErrInUse)
	require.ErrorIs(t, c.Look(t.Context()), layout.ErrInUse)
	require.NoError(t, c.Release())

	// A drive that has lost its format.json is not taken for an empty place.
	require.NoError(t, fs.Remove("/used/format.json"))
	_, err = layout.Claim(t.Context(), fs, "/used", &layout.Options{Memory: true})
	require.ErrorIs(t, err, layout.ErrHalfFormat)
}

func TestAnIndexThatIsCorruptOrLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drive")
	formatted(t, vfs.OS(), path, 4)
	manifests, err := filepath.Glob(filepath.Join(path, "index", "MANIFEST-*"))
	require.NoError(t, err)
	for _, name := range manifests {
		require.NoError(t, os.Remove(name))
	}
	c := claim(t, vfs.OS(), path)
	require.Equal(t, layout.Formatted, c.Condition())
	_, err = c.Open(t.Context())
	require.ErrorIs(t, err, layout.ErrCorruptIndex)
	require.NoError(t, c.Quarantine(t.Context(), "it is corrupt"))
	require.Equal(t, layout.NoIndex, c.Condition())
	require.FileExists(t, filepath.Join(path, "quarantine", "index.json"))
	_, err = c.Open(t.Context())
	require.ErrorIs(t, err, layout.ErrCorruptIndex)

	shard := filepath.Join(path, "shards", "00", "kept")
	require.NoError(t, os.WriteFile(shard, []byte("x"), 0o600))
	id, state := identity(), someState()
	state.InSync = slices.Clone(state.InSync)
	id.Drive, state.InSync[1], state.Names[1].Drive = layout.DriveID{0x99}, layout.DriveID{0x99}, layout.DriveID{0x99}
	require.NoError(t, c.Format(t.Context(), id, state))
	require.FileExists(t, shard)
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	h, err := d.Holding(t.Context())
	require.NoError(t, err)
	require.Zero(t, h.Promise)
	require.NoError(t, c.Release())

	// Permission is not corruption.
	faults := faultfs.New()
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Open}, Classes: []op.Class{op.Manifest}, Do: faultfs.Fail(os.ErrPermission)})
	c = claim(t, faults.Wrap(vfs.OS()), path)
	_, err = c.Open(t.Context())
	require.Error(t, err)
	require.NotErrorIs(t, err, layout.ErrCorruptIndex)
}

func TestAnIndexOfANewerLibrary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drive")
	formatted(t, vfs.OS(), path, 4)
	index := filepath.Join(path, "index")
	old, err := filepath.Glob(filepath.Join(index, "marker.format-version.*"))
	require.NoError(t, err)
	require.NoError(t, os.Rename(old[0], filepath.Join(index, "marker.format-version.000099.099")))
	_, err = claim(t, vfs.OS(), path).Open(t.Context())
	require.ErrorIs(t, err, layout.ErrNewerFormat)
}

// TestWhatAnIndexSaysOfItself writes into an index without the drive's code.
func TestWhatAnIndexSaysOfItself(t *testing.T) {
	lost, other := layout.ErrCorruptIndex, layout.ErrDamaged
	for why, c := range map[string]struct {
		key, value string
		want       error
	}{
		"a name that is not known": {"sfuture\x00", "\xa0", layout.ErrNewerFormat},
		"no state":                 {"sstate\x00", "", lost},
		"whose it is, not said":    {"sdrive\x00", "", lost},
		"another drive's":          {"sdrive\x00", "\xa0", other},
		"a state that is none":     {"sstate\x00", "x", lost},
		"a newer entry":            {"l\x00\x00\x00\x00\x00\x00\x00\x04\x00", "\xa1\x09\x01", layout.ErrNewerFormat},
	} {
		path := keptDrive(t)
		db := openIndexByPage(t, path, false)
		if c.value == "" {
			require.NoError(t, db.Delete([]byte(c.key), pebble.Sync))
		} else {
			require.NoError(t, db.Set([]byte(c.key), []byte(c.value), pebble.Sync))
		}
		require.NoError(t, db.Close())
		_, err := claim(t, vfs.OS(), path).Open(t.Context())
		require.ErrorIs(t, err, c.want, why)
	}
}

func TestADriveWhoseDirectoryGoes(t *testing.T) {
	dir := t.TempDir()
	path, aside := filepath.Join(dir, "drive"), filepath.Join(dir, "aside")
	formatted(t, vfs.OS(), path, 4)
	c := claim(t, vfs.OS(), path)
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	_, err = d.Probe(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, aside))
	_, err = d.Probe(t.Context())
	require.ErrorIs(t, err, layout.ErrGone)
	require.NoError(t, os.Mkdir(path, 0o700))
	_, err = d.Probe(t.Context())
	require.ErrorIs(t, err, layout.ErrGone, "another directory in its place")
	require.NoError(t, d.Close())
	require.NoError(t, c.Look(t.Context()))
	require.Equal(t, layout.Empty, c.Condition())
	other := claim(t, vfs.OS(), aside)
	require.Equal(t, layout.Formatted, other.Condition(), "the lock went with the claim")
	require.NoError(t, other.Release())
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, os.Rename(aside, path))
	require.NoError(t, c.Look(t.Context()))
	_, err = c.Open(t.Context())
	require.NoError(t, err, "it came back")
}

func TestALockFileThatIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drive")
	formatted(t, vfs.OS(), path, 4)
	c := claim(t, vfs.OS(), path)
	require.NoError(t, os.Remove(filepath.Join(path, "lock")))
	require.NoError(t, c.Look(t.Context()))
	_, err := layout.Claim(t.Context(), vfs.OS(), path, nil)
	require.ErrorIs(t, err, layout.ErrInUse, "the lock is on the file that is there")
}

// TestFormatFailsAnywhere lets each operation of formatting fail by itself.
func TestFormatFailsAnywhere(t *testing.T) {
	for skip := 0; ; skip++ {
		faults := faultfs.New()
		fs := faults.Wrap(crashfs.New())
		rule := faults.Add(faultfs.Rule{
			Match: func(c *vfs.Call) bool { return c.Kind.Mutates() && c.Kind != op.Mkdir || c.Kind.Durable() },
			Skip:  skip, Times: 1, Do: faultfs.Fail(errors.New("an I/O error")),
		})
		c, err := layout.Claim(t.Context(), fs, "/drive", &layout.Options{Memory: true})
		require.NoError(t, err)
		err = c.Format(t.Context(), identity(), someState())
		fired := rule.Fired() > 0
		faults.Clear()
		where := fmt.Sprintf("operation %d: %v", skip, err)
		if err != nil {
			require.NoError(t, c.Look(t.Context()), where)
			require.NoError(t, c.Format(t.Context(), identity(), someState()), where)
		}
		d, err := c.Open(t.Context())
		require.NoError(t, err, where)
		_, err = d.Promise(t.Context(), layout.Promise{Owner: layout.Owner{Epoch: 1}})
		require.NoError(t, err, where)
		require.NoError(t, c.Release(), where)
		require.Empty(t, faults.Open(), where)
		if !fired {
			require.Greater(t, skip, 10)
			return
		}
	}
}
