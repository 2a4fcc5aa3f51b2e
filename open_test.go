// Goal: drives that are refused are left as they were, the error says why, and
// the process can go on with them. Method: directories that are altered between
// two openings, and the names in them before and after.
package sherd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

func TestARefusedOpeningGivesEverythingBack(t *testing.T) {
	dir := t.TempDir()
	drives := fourDrives(t, dir)
	foreign := filepath.Join(dir, "foreign")
	require.NoError(t, os.MkdirAll(filepath.Join(foreign, "letters"), 0o700))
	for range 10 {
		_, err := sherd.Open(t.Context(), append([]string{foreign}, drives[1:]...), nil)
		require.ErrorIs(t, err, sherd.ErrForeign)
		s, err := sherd.Open(t.Context(), drives, nil)
		require.NoError(t, err, "locks of the opening that was refused")
		require.NoError(t, s.Close())
	}
}

func TestRefusedDrivesKeepTheirIndexAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		alter func(dir string, drives []string) ([]string, error)
		want  error
		names []string
	}{
		"one by two names": {func(dir string, d []string) ([]string, error) {
			link := filepath.Join(dir, "link")
			return []string{d[0], d[1], d[2], link}, os.Symlink(d[0], link)
		}, sherd.ErrMixedDrives, []string{"d0", "link"}},
		"one and its copy": {func(dir string, d []string) ([]string, error) {
			return []string{d[0], d[1], d[2], filepath.Join(dir, "copy")}, os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(d[0]))
		}, sherd.ErrMixedDrives, []string{"d0", "copy"}},
		"more places than slots": {func(dir string, d []string) ([]string, error) {
			return append(d, filepath.Join(dir, "d4")), nil
		}, sherd.ErrMixedDrives, []string{"5 places"}},
		"too few places": {func(_ string, d []string) ([]string, error) {
			return d[:1], nil
		}, sherd.ErrTooFewDrives, []string{"3 drives"}},
		"format files that are none": {func(_ string, d []string) ([]string, error) {
			return d, spoil(d[1:], func(string) string { return "{format" })
		}, sherd.ErrFormat, []string{"d1", "d2", "d3"}},
		"a newer format": {func(_ string, d []string) ([]string, error) {
			return d, spoil(d[1:], newer)
		}, sherd.ErrFormat, []string{"d1", "d2", "d3"}},
		"two that are none": {func(_ string, d []string) ([]string, error) {
			for _, drive := range d[2:] {
				if err := os.WriteFile(filepath.Join(drive, "letter"), nil, 0o600); err != nil {
					return nil, err
				}
				if err := os.Remove(filepath.Join(drive, "format.json")); err != nil {
					return nil, err
				}
			}
			return d, nil
		}, sherd.ErrForeign, []string{"d2", "d3"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			drives, err := c.alter(dir, fourDrives(t, dir))
			require.NoError(t, err)
			before := indexFiles(t, dir)
			_, err = sherd.Open(t.Context(), drives, nil)
			require.ErrorIs(t, err, c.want)
			for _, name := range c.names {
				require.ErrorContains(t, err, name)
			}
			require.Equal(t, before, indexFiles(t, dir))
		})
	}
}

// A drive that is damaged, or that a newer version has written to, is one that is
// out of reach: the others serve, and it is left as it is.
func TestOneDriveThatIsNotUnderstood(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"damaged": func(string) string { return "{format" }, "newer": newer,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			drives := fourDrives(t, dir)
			require.NoError(t, spoil(drives[2:3], change))
			before, err := os.ReadFile(filepath.Join(drives[2], "format.json"))
			require.NoError(t, err)
			s, err := sherd.Open(t.Context(), drives, nil)
			require.NoError(t, err)
			newBucket(t, s, "bucket", versioning.Unversioned)
			put(t, s, "bucket", "key", "content")
			require.Equal(t, "content", get(t, s, "bucket", "key", nil))
			health := s.Health()
			require.True(t, health.Degraded)
			require.ErrorContains(t, health.Drives[2].Err, "format")
			require.NoError(t, s.Close())
			after, err := os.ReadFile(filepath.Join(drives[2], "format.json"))
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

// spoil changes the format.json of drives.
func spoil(drives []string, change func(string) string) error {
	for _, drive := range drives {
		path := filepath.Join(drive, "format.json")
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(change(string(content))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func newer(format string) string { return strings.Replace(format, `"format": 1`, `"format": 2`, 1) }

// fourDrives makes a store in d0 to d3 and closes it.
func fourDrives(t *testing.T, dir string) (drives []string) {
	t.Helper()
	for i := range 4 {
		drives = append(drives, filepath.Join(dir, fmt.Sprint("d", i)))
	}
	s, err := sherd.Open(t.Context(), drives, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	return drives
}

// indexFiles gives the names of the files of all indexes. Opening one makes new ones.
func indexFiles(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "index", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return strings.Join(files, "\n")
}
