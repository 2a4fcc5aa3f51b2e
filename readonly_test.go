// Goal: a store that is opened for reading only gives all that it holds and
// changes nothing. Method: whole directory trees compared before and after, down
// to modes and times, on directories that nobody may write; and drives in memory
// that count every operation that could change something.
package sherd_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// tree describes all that lies under a directory: a change of any byte, name,
// mode or time changes it.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v %d", strings.TrimPrefix(path, dir), info.Mode(), info.ModTime().UnixNano())
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %d %x", len(content), sha256.Sum256(content))
		}
		b.WriteByte('\n')
		return nil
	}))
	return b.String()
}

// seal takes all rights to write from a tree, until the test ends.
func seal(t *testing.T, dir string) {
	t.Helper()
	chmod := func(file, folder fs.FileMode) error {
		return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				return os.Chmod(path, folder)
			}
			return os.Chmod(path, file)
		})
	}
	require.NoError(t, chmod(0o400, 0o500))
	t.Cleanup(func() { require.NoError(t, chmod(0o600, 0o700)) })
}

// changes are all calls that change a store; each is of something that is there.
func changes(t *testing.T, s *sherd.Store, upload string) map[string]error {
	ctx, out := t.Context(), map[string]error{}
	_, out["put"] = s.Put(ctx, "bucket", "new", strings.NewReader("x"), 1, nil)
	_, out["put large"] = s.Put(ctx, "bucket", "new", reader(pattern(1<<20)), 1<<20, nil)
	_, out["put nothing"] = s.Put(ctx, "bucket", "inline", nil, 0, nil)
	_, out["copy"] = s.Copy(ctx, sherd.Source{Bucket: "bucket", Key: "file"}, "bucket", "copy", nil)
	_, out["delete"] = s.Delete(ctx, "bucket", "inline", nil)
	_, out["create bucket"] = s.CreateBucket(ctx, "other", nil)
	out["delete bucket"] = s.DeleteBucket(ctx, "empty")
	out["versioning"] = s.SetVersioning(ctx, "bucket", versioning.Suspended)
	out["object lock"] = s.SetObjectLock(ctx, "bucket", lock.Configuration{Enabled: true})
	out["tags"] = s.SetTags(ctx, "bucket", "inline", "", map[string]string{"a": "b"})
	out["document"] = s.PutDocument(ctx, "bucket", "new", []byte("x"))
	out["no document"] = s.DeleteDocument(ctx, "bucket", "document")
	_, out["create upload"] = s.CreateUpload(ctx, "bucket", "new", nil)
	_, out["part"] = s.PutPart(ctx, "bucket", "upload", upload, 2, strings.NewReader("x"), 1, nil)
	_, out["complete"] = s.CompleteUpload(ctx, "bucket", "upload", upload, []sherd.CompletedPart{{Number: 1}}, nil)
	out["abort"] = s.AbortUpload(ctx, "bucket", "upload", upload)
	_, out["expire"] = s.ExpireUploads(ctx, s.Now().Add(time.Hour))
	return out
}

func TestOpenReadOnly(t *testing.T) {
	dir := t.TempDir()
	drives := fourDrives(t, dir)
	s, err := sherd.Open(t.Context(), drives, nil)
	require.NoError(t, err)
	newBucket(t, s, "bucket", versioning.Enabled)
	newBucket(t, s, "empty", versioning.Unversioned)
	want := shapes(t, s, "bucket")
	require.NoError(t, s.PutDocument(t.Context(), "bucket", "document", []byte("x")))
	upload, err := s.CreateUpload(t.Context(), "bucket", "upload", nil)
	require.NoError(t, err)
	_, err = s.PutPart(t.Context(), "bucket", "upload", upload.ID, 1, strings.NewReader("part"), 4, nil)
	require.NoError(t, err)
	_, err = sherd.OpenReadOnly(t.Context(), drives, nil)
	require.ErrorIs(t, err, sherd.ErrInUse)
	require.NoError(t, s.Close())

	seal(t, dir)
	before := tree(t, dir)
	s, err = sherd.OpenReadOnly(t.Context(), drives, &sherd.Options{UploadExpiry: time.Nanosecond})
	require.NoError(t, err)
	defer s.Close()
	another, err := sherd.OpenReadOnly(t.Context(), drives, nil)
	require.NoError(t, err, "any number may read")
	defer another.Close()
	_, err = sherd.Open(t.Context(), drives, nil)
	require.Error(t, err, "nobody may write meanwhile")
	for _, s := range []*sherd.Store{s, another} {
		require.Equal(t, sherd.ReadOnly, s.Health().Mode)
		require.Contains(t, s.Health().Reason, "opened for reading only")
		require.Equal(t, slices.Sorted(maps.Keys(want)), keys(t, s, "bucket", nil))
		for name, content := range want {
			require.Equal(t, string(content), get(t, s, "bucket", name, nil))
		}
		for what, err := range changes(t, s, upload.ID) {
			require.ErrorIs(t, err, sherd.ErrReadOnly, what)
		}
		requireNothingWrong(t, s)
		for _, d := range s.Health().Drives {
			require.Equal(t, "in-sync", d.Status.String())
			require.Zero(t, d.Free)
		}
	}
	require.NoError(t, s.Close())
	require.NoError(t, another.Close())
	require.Equal(t, before, tree(t, dir))
}

// TestOpenReadOnlyOfAStoreThatWasKilled reads logs that were never closed, on
// drives that count what could change them.
func TestOpenReadOnlyOfAStoreThatWasKilled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		s := begun(t, r)
		require.NoError(t, putAt(t, s, "small", tiny, nil))
		require.NoError(t, putAt(t, s, "large", sized(1, 300_000), nil))
		pass(time.Second) // the stable mark is written in a quiet moment
		killed := r.crash(crashfs.Everything, 1)
		var changed atomic.Int64
		var drives []vfs.FS
		for _, d := range killed.disks {
			drives = append(drives, vfs.Intercept(d, func(c *vfs.Call, next func() error) error {
				if c.Kind.Mutates() && !strings.HasSuffix(c.Path, "lock") && !strings.HasSuffix(c.Path, "LOCK") || c.Kind.Durable() {
					changed.Add(1)
					return syscall.EROFS
				}
				return next()
			}))
		}
		read, err := sherd.OpenReadOnlyOn(t.Context(), drives, nil)
		require.NoError(t, err)
		has(t, read, "small", tiny)
		has(t, read, "large", sized(1, 300_000))
		pass(time.Minute)
		require.ErrorIs(t, putAt(t, read, "small", tinyNew, nil), sherd.ErrReadOnly)
		require.NoError(t, read.Close())
		require.Zero(t, changed.Load())
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "small", tiny) })
	})
}

// TestWhatIsNotSettledIsNotRead: what was written last may yet be settled either
// way, so neither it nor what was before it is shown.
func TestWhatIsNotSettledIsNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		s := begun(t, r)
		require.NoError(t, putAt(t, s, "k", tiny, nil))
		require.NoError(t, putAt(t, s, "other", middle, nil))
		pass(time.Second)
		r.failLogs(0, 2, 3)
		require.ErrorIs(t, putAt(t, s, "k", tinyNew, nil), sherd.ErrOutcomeUnknown)
		killed := r.crash(crashfs.Everything, 1)
		read, err := sherd.OpenReadOnlyOn(t.Context(), killed.drives, nil)
		require.NoError(t, err)
		_, err = contentOf(t, read, "k")
		require.ErrorIs(t, err, sherd.ErrUnavailable)
		for _, err := range read.List(t.Context(), bucketName, nil) {
			require.ErrorIs(t, err, sherd.ErrUnavailable)
		}
		has(t, read, "other", middle)
		require.NoError(t, read.Close())

		settled, err := killed.open(t)
		require.NoError(t, err)
		killed.sound(t, settled, func(s *sherd.Store) { has(t, s, "other", middle) })
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "other", middle) })
	})
}

// TestOpenReadOnlyNeedsEveryDriveThatIsInSync: without a promise only that all
// are locked says that nobody goes on with the store elsewhere.
func TestOpenReadOnlyNeedsEveryDriveThatIsInSync(t *testing.T) {
	dir := t.TempDir()
	drives := fourDrives(t, dir)
	s, err := sherd.Open(t.Context(), drives, nil)
	require.NoError(t, err)
	newBucket(t, s, "bucket", versioning.Unversioned)
	put(t, s, "bucket", "a", "1")
	ids := map[string]string{}
	for _, d := range s.Health().Drives {
		ids[d.Path] = d.ID
	}
	require.NoError(t, s.Close())
	before := tree(t, dir)
	_, err = sherd.OpenReadOnly(t.Context(), drives[:3], nil)
	require.ErrorIs(t, err, sherd.ErrTooFewDrives)
	require.ErrorContains(t, err, ids[drives[3]])
	require.Equal(t, before, tree(t, dir))

	s, err = sherd.Open(t.Context(), drives[:3], nil)
	require.NoError(t, err)
	put(t, s, "bucket", "a", "2")
	require.NoError(t, s.Close())
	before = tree(t, dir)
	for _, given := range [][]string{drives[:3], drives} { // the fourth has no part in the set now
		s, err = sherd.OpenReadOnly(t.Context(), given, nil)
		require.NoError(t, err)
		require.Equal(t, "2", get(t, s, "bucket", "a", nil))
		require.NoError(t, s.Close())
	}
	_, err = sherd.OpenReadOnly(t.Context(), drives[1:], nil)
	require.ErrorIs(t, err, sherd.ErrTooFewDrives)
	require.Equal(t, before, tree(t, dir))
}

func TestOpenReadOnlyMakesNothing(t *testing.T) {
	dir := t.TempDir()
	drives := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	require.NoError(t, os.Mkdir(drives[1], 0o700))
	before := tree(t, dir)
	_, err := sherd.OpenReadOnly(t.Context(), drives, nil)
	require.ErrorIs(t, err, sherd.ErrNotExist)
	require.Equal(t, before, tree(t, dir))

	whole := fourDrives(t, t.TempDir())
	for _, gone := range []string{"format.json", "lock"} {
		broken := t.TempDir()
		require.NoError(t, os.CopyFS(broken, os.DirFS(filepath.Dir(whole[0]))))
		var drives []string
		for i := range 4 {
			drives = append(drives, filepath.Join(broken, fmt.Sprint("d", i)))
		}
		require.NoError(t, os.Remove(filepath.Join(drives[0], gone)))
		before := tree(t, broken)
		_, err := sherd.OpenReadOnly(t.Context(), drives, nil)
		require.Error(t, err, gone)
		require.Contains(t, err.Error(), drives[0])
		require.Equal(t, before, tree(t, broken))
	}
	require.False(t, errors.Is(err, sherd.ErrReadOnly))
}

func TestOpenReadOnlyOfSeveralSetsAndPools(t *testing.T) {
	dir := t.TempDir()
	var drives []string
	for i := range 6 {
		drives = append(drives, filepath.Join(dir, fmt.Sprint("d", i)))
	}
	o := &sherd.Options{SetDrives: 2, Pools: [][]string{drives[4:]}}
	s, err := sherd.Open(t.Context(), drives[:4], o)
	require.NoError(t, err)
	newBucket(t, s, "bucket", versioning.Unversioned)
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("%02d", i))
		put(t, s, "bucket", names[i], strings.Repeat(names[i], []int{1, 100_000}[i%2]))
	}
	require.NoError(t, s.Close())
	before := tree(t, dir)
	s, err = sherd.OpenReadOnly(t.Context(), drives[:4], o)
	require.NoError(t, err)
	defer s.Close()
	require.Len(t, s.Health().Sets, 3)
	require.Equal(t, names, keys(t, s, "bucket", nil))
	for i, name := range names {
		require.Equal(t, strings.Repeat(name, []int{1, 100_000}[i%2]), get(t, s, "bucket", name, nil))
		_, err = s.Put(t.Context(), "bucket", name, nil, 0, nil)
		require.ErrorIs(t, err, sherd.ErrReadOnly)
	}
	_, err = s.CreateBucket(t.Context(), "other", nil)
	require.ErrorIs(t, err, sherd.ErrReadOnly)
	require.Error(t, s.AddPool(t.Context(), []string{filepath.Join(dir, "new")}, nil))
	requireNothingWrong(t, s)
	require.NoError(t, s.Close())
	_, err = sherd.OpenReadOnly(t.Context(), drives[:4], nil)
	require.Error(t, err, "a pool is not given")
	require.Equal(t, before, tree(t, dir))

	require.Empty(t, checked(t, drives))
	found := checked(t, drives[:5])
	require.Len(t, found, 1, "one of the pool's two")
	require.Contains(t, found[0].Text, "slot 1 of set 0 in pool 1")
}
