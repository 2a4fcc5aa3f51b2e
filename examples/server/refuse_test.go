package main

// Goal: drives that are not those of one store, or not all that it needs, are
// refused with an error that says what is wrong, and are left as they were to the
// byte, but for the file that an empty directory is locked by. Method: a server
// process started on such drives, and the trees of all of them before and after.
// In package main, which cannot be imported.

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree gives every name below a directory with mode, time and content, but for
// files that drives are locked by.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil || e.Name() == "lock" {
			return err
		}
		what := info.Mode().String()
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %v %d bytes %x", info.ModTime(), len(data), sha256.Sum256(data))
		}
		out[path] = what
		return nil
	}))
	return out
}

// deployment makes a store with an object in it, and stops its server.
func deployment(t *testing.T, dir string) {
	t.Helper()
	c := launch(t, drivesIn(dir))
	furnish(t, c)
	a := c.ask("PUT", "/plain/key", content{size: 200 << 10, seed: 1}.bytes())
	require.True(t, a.ok(), a)
	c.stop(t)
}

// alter changes a drive's format.json.
func alter(t *testing.T, drive, old, now string) {
	t.Helper()
	path := filepath.Join(drive, "format.json")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), old, now, 1)), 0o600))
}

func TestRefusedDrivesAreLeftAsTheyWere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string) (drives []string)
		says    []string
	}{
		"of two deployments": {func(t *testing.T, dir string) []string {
			deployment(t, filepath.Join(dir, "b"))
			deployment(t, filepath.Join(dir, "a"))
			return []string{filepath.Join(dir, "a", "d{1...2}"), filepath.Join(dir, "b", "d{3...4}")}
		}, []string{"do not belong together", "deployment", "a/d1", "b/d3"}},
		"one drive twice, by a link": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			require.NoError(t, os.Symlink(filepath.Join(dir, "d1"), filepath.Join(dir, "link")))
			return []string{filepath.Join(dir, "d{1...3}"), filepath.Join(dir, "link")}
		}, []string{"do not belong together", "d1", "link", "same directory"}},
		"one drive twice, copied": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			require.NoError(t, os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(filepath.Join(dir, "d1"))))
			return []string{filepath.Join(dir, "d{1...3}"), filepath.Join(dir, "copy")}
		}, []string{"do not belong together", "d1", "copy"}},
		"a foreign directory": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "d4")))
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "d4", "photos"), 0o700))
			return []string{drivesIn(dir)}
		}, []string{"not a drive", "d4", "photos"}},
		"a foreign directory among empty ones": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "d2"), 0o700))
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "d4", "photos"), 0o700))
			return []string{drivesIn(dir)}
		}, []string{"not a drive", "d4", "photos"}},
		"a file": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			require.NoError(t, os.Rename(filepath.Join(dir, "d2"), filepath.Join(dir, "away")))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "d2"), []byte("no drive"), 0o600))
			return []string{drivesIn(dir)}
		}, []string{"not a drive", "d2"}},
		"too few, and no directory": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			for i := 1; i < 4; i++ {
				require.NoError(t, os.Rename(driveIn(dir, i), filepath.Join(dir, fmt.Sprint("away", i))))
				require.NoError(t, os.Symlink(driveIn(dir, i), driveIn(dir, i))) // it is out of reach
			}
			return []string{drivesIn(dir)}
		}, []string{"too few drives", "d2", "d3", "d4"}},
		"too few places": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			return []string{driveIn(dir, 0)}
		}, []string{"too few drives", "3 drives whose places were not given"}},
		"too many places": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			return []string{filepath.Join(dir, "d{1...5}")}
		}, []string{"do not belong together", "5 places", "4 drives"}},
		"of a newer format": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			for i := 1; i < 4; i++ {
				alter(t, driveIn(dir, i), `"format": 1`, `"format": 2`)
			}
			return []string{drivesIn(dir)}
		}, []string{"too few drives", "format 2", "d2", "d3", "d4"}},
		"of no format": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			for i := 1; i < 4; i++ {
				alter(t, driveIn(dir, i), `"format"`, `format`)
			}
			return []string{drivesIn(dir)}
		}, []string{"too few drives", "format.json", "d2", "d3", "d4"}},
		"without their format": {func(t *testing.T, dir string) []string {
			deployment(t, dir)
			for i := range 4 {
				require.NoError(t, os.Remove(filepath.Join(driveIn(dir, i), "format.json")))
			}
			return []string{drivesIn(dir)}
		}, []string{"d1"}},
		"none, where there must be some": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "d2", "lost+found"), 0o700))
			return []string{"-must-exist", drivesIn(dir)}
		}, []string{"no store", "mounted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := c.prepare(t, dir)
			before := tree(t, dir)
			said := refused(t, args...)
			for _, text := range c.says {
				require.Contains(t, said, text)
			}
			require.Equal(t, before, tree(t, dir), said)
		})
	}
}

// Three directories are missing, so these might be drives that were never served:
// only an index says, which opening rewrites. What it says has to be the same after.
func TestTooFewDrives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	deployment(t, dir)
	for i := 1; i < 4; i++ {
		require.NoError(t, os.Rename(driveIn(dir, i), filepath.Join(dir, fmt.Sprint("away", i))))
	}
	said := refused(t, drivesIn(dir))
	require.Contains(t, said, "too few drives")
	for i := 1; i < 4; i++ {
		require.Contains(t, said, driveIn(dir, i)+" (missing)")
		require.NoDirExists(t, driveIn(dir, i))
		require.NoError(t, os.Rename(filepath.Join(dir, fmt.Sprint("away", i)), driveIn(dir, i)))
	}
	c := launch(t, "-must-exist", drivesIn(dir))
	c.becomes(t, statusOK)
	a := c.ask("GET", "/plain/key", nil)
	require.True(t, content{there: true, size: 200 << 10, seed: 1}.holds(a), a)
	c.stop(t)
	examine(t, dir, false)
}
