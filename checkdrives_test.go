// Goal: drives that nobody has open are checked as far as they are there, to the
// byte as they were. Method: stores that the first release wrote, whole, without
// some of their drives, and with one thing broken at a time.
package sherd_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
)

// checked gives what is wrong with drives, which are as before then.
func checked(t *testing.T, drives []string) (found []sherd.Finding) {
	t.Helper()
	dir := filepath.Dir(drives[0])
	before := tree(t, dir)
	for f, err := range sherd.CheckDrives(t.Context(), drives, nil) {
		require.NoError(t, err)
		found = append(found, f)
	}
	require.Equal(t, before, tree(t, dir))
	return found
}

// released unpacks the store of the first release.
func released(t *testing.T, ended string) []string {
	t.Helper()
	return unpack(t, filepath.Join(firstRelease, storesArchive), ended, t.TempDir())
}

func TestCheckDrives(t *testing.T) {
	require.Empty(t, checked(t, released(t, "closed")))
	require.Empty(t, checked(t, released(t, "killed")))

	drives := released(t, "closed")
	slices.Reverse(drives)
	require.Empty(t, checked(t, drives), "in any order")
	s, err := sherd.Open(t.Context(), drives, nil)
	require.NoError(t, err)
	defer s.Close()
	for _, err := range sherd.CheckDrives(t.Context(), drives, nil) {
		require.ErrorIs(t, err, sherd.ErrInUse)
	}
	require.NoError(t, s.Close())
	require.Empty(t, checked(t, drives))
	s, err = sherd.OpenReadOnly(t.Context(), drives, nil)
	require.NoError(t, err)
	require.Empty(t, checked(t, drives), "beside those who only read")
	require.NoError(t, s.Close())

	for f, err := range sherd.CheckDrives(t.Context(), released(t, "closed")[:1], nil) {
		require.NoError(t, err)
		require.NotEmpty(t, f)
		break // and no more is asked for
	}
	for places, want := range map[string]error{filepath.Join(t.TempDir(), "none"): sherd.ErrNotExist, t.TempDir(): sherd.ErrNotExist} {
		var got error
		for _, err := range sherd.CheckDrives(t.Context(), []string{places}, nil) {
			got = errors.Join(got, err)
		}
		require.ErrorIs(t, got, want)
		if names, err := os.ReadDir(places); err == nil {
			require.Empty(t, names)
		}
	}
	var got error
	for _, err := range sherd.CheckDrives(t.Context(), []string{drives[0], fourDrives(t, t.TempDir())[0]}, nil) {
		got = errors.Join(got, err)
	}
	require.ErrorIs(t, got, sherd.ErrMixedDrives)
}

// slotsOf gives one of four slots; all where long runs are wanted.
func slotsOf(n int) []int {
	if long() {
		return []int{0, 1, 2, 3}
	}
	return []int{n % 4}
}

// TestCheckFewerDrivesThanReadingNeeds: each one that is left is looked at.
func TestCheckFewerDrivesThanReadingNeeds(t *testing.T) {
	for _, left := range slotsOf(1) {
		drives := released(t, "closed")
		missing, lost := 0, map[string]bool{}
		for _, f := range checked(t, drives[left:left+1]) {
			switch {
			case f.Kind == "drive":
				require.Contains(t, f.Text, "is not there")
				missing++
			default:
				require.True(t, f.Lost, "%+v", f)
				lost[f.Key] = true
			}
		}
		require.Equal(t, 3, missing)
		require.True(t, lost["large"], "1 shard of 2 that it needs is left")
		require.False(t, lost["nothing in it"])
	}
	drives := released(t, "closed")
	found := checked(t, drives[:2])
	require.Len(t, slices.DeleteFunc(found, func(f sherd.Finding) bool {
		return f.Kind == "drive" || strings.HasPrefix(f.Key, "without parity") || f.Key == "written while one was away, large" || f.Key == "written while one was away"
	}), 0, "what has two shards on two of four drives is read from them: %+v", found)
}

// filesOf gives the files of one kind on a drive.
func filesOf(t *testing.T, drive, pattern string) (out []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(drive, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var is bool
			name, _ := filepath.Rel(drive, path)
			if is, err = filepath.Match(pattern, filepath.ToSlash(name)); is {
				out = append(out, path)
			}
		}
		return err
	}))
	require.NotEmpty(t, out)
	return out
}

func flip(t *testing.T, file string, at int) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	content[at] ^= 1
	require.NoError(t, os.WriteFile(file, content, 0o600))
}

// TestCheckDrivesFindsWhatIsBroken, on the drive where it is.
func TestCheckDrivesFindsWhatIsBroken(t *testing.T) {
	for what, c := range map[string]struct {
		damage func(t *testing.T, drive string)
		kind   string
		text   string
	}{
		"a shard that is gone": {func(t *testing.T, drive string) {
			require.NoError(t, os.Remove(filesOf(t, drive, "shards/*/*")[1]))
		}, "shard", "not found"},
		"a bit of a shard": {func(t *testing.T, drive string) {
			flip(t, filesOf(t, drive, "shards/*/*")[1], 5000)
		}, "shard", ""},
		"a table of the index": {func(t *testing.T, drive string) {
			flip(t, filesOf(t, drive, "index/*.sst")[0], 300)
		}, "drive", "checksum"},
		"no format file": {func(t *testing.T, drive string) {
			require.NoError(t, os.Remove(filepath.Join(drive, "format.json")))
		}, "drive", ""},
		"a format file that is none": {func(t *testing.T, drive string) {
			require.NoError(t, os.WriteFile(filepath.Join(drive, "format.json"), []byte("{"), 0o600))
		}, "drive", "format.json"},
		"no index": {func(t *testing.T, drive string) {
			require.NoError(t, os.RemoveAll(filepath.Join(drive, "index")))
		}, "drive", "index"},
		"something else": {func(t *testing.T, drive string) {
			require.NoError(t, os.RemoveAll(drive))
			require.NoError(t, os.MkdirAll(filepath.Join(drive, "letters"), 0o700))
		}, "drive", "letters"},
		"nothing": {func(t *testing.T, drive string) {
			require.NoError(t, os.RemoveAll(drive))
		}, "drive", "missing"},
	} {
		t.Run(what, func(t *testing.T) {
			for _, slot := range slotsOf(len(what)) {
				drives := released(t, "closed")
				c.damage(t, drives[slot])
				found := checked(t, drives)
				require.NotEmpty(t, found)
				named := false
				for _, f := range found {
					if f.Path == "" && strings.Contains(f.Text, "is not there") {
						continue // that the drive which was there is missed
					}
					named = named || f.Path == drives[slot] && f.Kind == c.kind && strings.Contains(f.Text, c.text)
					require.True(t, f.Path == drives[slot] || strings.HasPrefix(f.Key, "without parity"), "nothing else is wrong: %+v", f)
				}
				require.True(t, named, "%+v", found)
			}
		})
	}
}

// TestCheckDrivesThatDiffer: a drive that was away, one that was replaced, and an old image.
func TestCheckDrivesThatDiffer(t *testing.T) {
	drives := released(t, "closed")
	s, err := sherd.Open(t.Context(), drives[1:], nil)
	require.NoError(t, err)
	files := len(filesOf(t, drives[1], "shards/*/*"))
	_, err = s.Delete(t.Context(), "plain", "with all parity", nil)
	require.NoError(t, err)
	put(t, s, "plain", "new", "while one is away")
	// The others remove their shards of it, and the one that is away has its own.
	require.Eventually(t, func() bool { return len(filesOf(t, drives[1], "shards/*/*")) < files }, time.Minute, 5*time.Millisecond)
	require.NoError(t, s.Close())
	found := checked(t, drives)
	require.Len(t, found, 1)
	require.Equal(t, drives[0], found[0].Path)
	require.Contains(t, found[0].Text, "not in-sync")

	drives = released(t, "closed")
	image := filepath.Join(t.TempDir(), "image")
	require.NoError(t, os.CopyFS(image, os.DirFS(drives[0])))
	s, err = sherd.Open(t.Context(), drives, nil)
	require.NoError(t, err)
	for i := range 3 {
		put(t, s, "plain", fmt.Sprint("new", i), "since the image")
	}
	require.NoError(t, s.Close())
	require.NoError(t, os.RemoveAll(drives[0]))
	require.NoError(t, os.CopyFS(drives[0], os.DirFS(image)))
	found = checked(t, drives)
	require.NotEmpty(t, found)
	require.Equal(t, "log", found[0].Kind)
	require.Contains(t, found[0].Text, "old image")
	require.Equal(t, drives[0], found[0].Path)
	for _, f := range found[1:] {
		require.False(t, f.Lost, "%+v", f)
	}
}
