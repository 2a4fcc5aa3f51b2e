// Goal: a store opens, bounds its memory, tells how it is, ends, and gives back
// after it was closed what was acknowledged before. Method: stores in memory and
// in directories, contexts that end, budgets that are spent.
package sherd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

func TestAStoreInDirectories(t *testing.T) {
	var drives []string
	for i := range 3 {
		drives = append(drives, filepath.Join(t.TempDir(), fmt.Sprint(i)))
	}
	_, err := sherd.Open(t.Context(), drives, &sherd.Options{MustExist: true})
	require.ErrorIs(t, err, sherd.ErrNotExist)
	var logged bytes.Buffer
	o := &sherd.Options{Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	s, err := sherd.Open(t.Context(), drives, o)
	require.NoError(t, err)
	require.True(t, s.Created())
	require.Contains(t, logged.String(), "created a new store")
	_, err = sherd.Open(t.Context(), drives, nil)
	require.ErrorIs(t, err, sherd.ErrInUse)
	newBucket(t, s, "bucket", versioning.Enabled)
	want := shapes(t, s, "bucket")
	require.NoError(t, s.Close())

	slices.Reverse(drives)
	s, err = sherd.Open(t.Context(), drives, &sherd.Options{MustExist: true})
	require.NoError(t, err)
	defer s.Close()
	require.False(t, s.Created())
	for name, content := range want {
		require.Equal(t, string(content), get(t, s, "bucket", name, nil))
	}
	info, err := s.StatBucket(t.Context(), "bucket")
	require.NoError(t, err)
	require.Equal(t, versioning.Enabled, info.Versioning)
	put(t, s, "bucket", "inline", "again")
}

func TestWhatNobodyUsesIsRemovedFromTheDrives(t *testing.T) {
	dir := t.TempDir()
	s, err := sherd.Open(t.Context(), []string{dir}, nil)
	require.NoError(t, err)
	defer s.Close()
	files := func() int {
		found, err := filepath.Glob(filepath.Join(dir, "shards", "*", "*"))
		require.NoError(t, err)
		return len(found)
	}
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(300_000)
	parts := func(number int) sherd.Upload {
		u, err := s.CreateUpload(t.Context(), "bucket", "parts", nil)
		require.NoError(t, err)
		for i := range number {
			for range 2 { // the first of them is replaced
				_, err = s.PutPart(t.Context(), "bucket", "parts", u.ID, i+1, reader(content), -1, nil)
				require.NoError(t, err)
			}
		}
		return u
	}
	_, err = s.Put(t.Context(), "bucket", "short", reader(content), 300_001, nil)
	require.ErrorIs(t, err, sherd.ErrShortBody)
	require.Zero(t, files(), "what failed leaves nothing behind")
	for range 3 {
		put(t, s, "bucket", "key", string(content))
	}
	require.NoError(t, s.AbortUpload(t.Context(), "bucket", "parts", parts(2).ID))
	_, err = s.CompleteUpload(t.Context(), "bucket", "parts", parts(3).ID, []sherd.CompletedPart{{Number: 2}}, nil)
	require.NoError(t, err)
	_, err = s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "parts"}, "bucket", "copy", nil)
	require.NoError(t, err)
	_, err = s.Delete(t.Context(), "bucket", "parts", nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { put(t, s, "bucket", "tick", ""); return files() == 2 }, 10*time.Second, 20*time.Millisecond,
		"one of the key, one of the part that is used")
	require.Equal(t, string(content), get(t, s, "bucket", "copy", nil))
	for _, key := range []string{"key", "copy"} {
		_, err = s.Delete(t.Context(), "bucket", key, nil)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { put(t, s, "bucket", "tick", ""); return files() == 0 }, 10*time.Second, 20*time.Millisecond)
}

func TestADirectoryOfSomethingElseIsRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "letter"), []byte("dear"), 0o600))
	_, err := sherd.Open(t.Context(), []string{dir}, nil)
	require.ErrorIs(t, err, sherd.ErrForeign)
	require.FileExists(t, filepath.Join(dir, "letter"))
}

func TestOptionsAreValidated(t *testing.T) {
	three := 3
	for name, c := range map[string]struct {
		drives int
		o      *sherd.Options
	}{
		"no drives":  {0, nil},
		"too many":   {17, nil},
		"parity":     {4, &sherd.Options{Parity: &three}},
		"budget":     {4, &sherd.Options{MemoryBudget: 1}},
		"expiry":     {4, &sherd.Options{UploadExpiry: -1}},
		"replace":    {4, &sherd.Options{Replace: []string{"00112233445566778"}}},
		"unknown":    {4, &sherd.Options{Replace: []string{"0011223344556677"}}},
		"rebuild":    {4, &sherd.Options{RebuildBytes: -1}},
		"everything": {0, &sherd.Options{Parity: &three, CacheBytes: -1}},
	} {
		_, err := sherd.NewMemory(c.drives, c.o)
		require.ErrorIs(t, err, sherd.ErrInvalidArgument, name)
	}
	_, err := sherd.NewMemory(0, &sherd.Options{Parity: &three, CacheBytes: -1})
	require.Equal(t, 3, strings.Count(err.Error(), sherd.ErrInvalidArgument.Error()))
}

func TestAClosedStore(t *testing.T) {
	s, err := sherd.NewMemory(2, nil)
	require.NoError(t, err)
	newBucket(t, s, "bucket", versioning.Unversioned)
	put(t, s, "bucket", "key", "x")
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = s.Put(t.Context(), "bucket", "key", nil, 0, nil)
	require.ErrorIs(t, err, sherd.ErrClosed)
	_, err = s.Get(t.Context(), "bucket", "key", nil)
	require.ErrorIs(t, err, sherd.ErrClosed)
	_, err = s.Delete(t.Context(), "bucket", "key", nil)
	require.ErrorIs(t, err, sherd.ErrClosed)
	_, err = s.CreateBucket(t.Context(), "other", nil)
	require.ErrorIs(t, err, sherd.ErrClosed)
	_, err = s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key"}, "bucket", "copy", nil)
	require.ErrorIs(t, err, sherd.ErrClosed)
	_, err = s.CreateUpload(t.Context(), "bucket", "key", nil)
	require.ErrorIs(t, err, sherd.ErrClosed)
	require.ErrorIs(t, s.SetTags(t.Context(), "bucket", "key", "", nil), sherd.ErrClosed)
	_, err = s.Capacity(t.Context())
	require.ErrorIs(t, err, sherd.ErrClosed)
	require.ErrorIs(t, s.Run(t.Context()), sherd.ErrClosed)
	for _, err := range s.List(t.Context(), "bucket", nil) {
		require.ErrorIs(t, err, sherd.ErrClosed)
	}
	for _, err := range s.ListBuckets(t.Context(), nil) {
		require.ErrorIs(t, err, sherd.ErrClosed)
	}
	require.Equal(t, sherd.Closed, s.Health().Mode)
}

func TestRequestsWaitForMemoryWithTheirContext(t *testing.T) {
	s := newStore(t, &sherd.Options{MemoryBudget: sherd.MinMemoryBudget})
	newBucket(t, s, "bucket", versioning.Unversioned)
	put(t, s, "bucket", "key", string(pattern(5<<20)))
	var open []*sherd.Object
	for range 2 {
		object, err := s.Get(t.Context(), "bucket", "key", nil)
		require.NoError(t, err)
		open = append(open, object)
	}
	put(t, s, "bucket", "small", "what is small has its share")
	require.Equal(t, "what is small has its share", get(t, s, "bucket", "small", nil))
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := s.Put(short, "bucket", "other", strings.NewReader("x"), -1, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, sherd.ErrOutcomeUnknown)
	done := make(chan error)
	go func() {
		_, err := s.Put(t.Context(), "bucket", "other", strings.NewReader("x"), -1, nil)
		done <- err
	}()
	_, err = io.Copy(io.Discard, open[0]) // its memory is free at the end
	require.NoError(t, err)
	require.NoError(t, <-done)
	for _, object := range open {
		require.NoError(t, object.Close())
	}
}

// stalled is a body that does not come before it is told to.
type stalled struct{ come chan struct{} }

func (b stalled) Read([]byte) (int, error) {
	<-b.come
	return 0, io.ErrUnexpectedEOF
}

// Kills: small bodies that are written, however slowly, and take all there is.
func TestWhoStandsStillLeavesMemoryToReaders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(t, &sherd.Options{MemoryBudget: sherd.MinMemoryBudget})
		newBucket(t, s, "bucket", versioning.Unversioned)
		content := string(pattern(200_000))
		put(t, s, "bucket", "key", content)
		body := stalled{make(chan struct{})}
		var writers sync.WaitGroup
		for i := range 1000 {
			writers.Go(func() {
				_, err := s.Put(t.Context(), "bucket", fmt.Sprint(i), body, 16<<10, nil)
				assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			})
		}
		synctest.Wait()
		require.Equal(t, content, get(t, s, "bucket", "key", nil))
		close(body.come)
		writers.Wait()
		require.NoError(t, s.Close())
	})
}

func TestAnEndedContextChangesNothing(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Put(ended, "bucket", "key", strings.NewReader("x"), 1, nil)
	require.Equal(t, context.Canceled, err, "as it is")
	require.Empty(t, keys(t, s, "bucket", nil))
}

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var events []string
	s := newStore(t, &sherd.Options{Observe: func(e sherd.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, fmt.Sprintf("%s %s %d %t", e.Op, e.Bucket, e.Bytes, e.Err == nil))
	}})
	newBucket(t, s, "bucket", versioning.Unversioned)
	put(t, s, "bucket", "key", "four")
	get(t, s, "bucket", "key", nil)
	_, err := s.Stat(t.Context(), "bucket", "none", nil)
	require.Error(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{"create bucket bucket 0 true", "put bucket 4 true", "get bucket 4 true", "stat bucket 0 false"}, events)
}

func TestHealthAndCapacity(t *testing.T) {
	s := newStore(t, nil)
	h := s.Health()
	require.Equal(t, sherd.Serving, h.Mode)
	require.Len(t, h.Drives, 4)
	require.Equal(t, 3, h.Needed)
	require.False(t, h.Degraded)
	require.Empty(t, h.Damage)
	newBucket(t, s, "bucket", versioning.Unversioned)
	put(t, s, "bucket", "key", string(pattern(1<<20)))
	for f, err := range s.Check(t.Context()) {
		require.NoError(t, err)
		require.Fail(t, "something is wrong", "%+v", f)
	}
}

func TestManualRun(t *testing.T) {
	s := newStore(t, &sherd.Options{ManualRun: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	newBucket(t, s, "bucket", versioning.Unversioned)
	put(t, s, "bucket", "key", "x")
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestFS(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	files := []string{"a", "b/c", "b/d/e.txt", "b-", "ü/ä", "zero"}
	for _, key := range files {
		put(t, s, "bucket", key, "content of "+key)
	}
	put(t, s, "bucket", "zero", "")
	for _, key := range []string{"b", "/x", "y//z", "w/", "..", "v/../u", "\xff"} { // what a file system can not show
		put(t, s, "bucket", key, "hidden")
	}
	fsys, err := s.FS(t.Context(), "bucket")
	require.NoError(t, err)
	require.NoError(t, fstest.TestFS(fsys, files...))
	_, err = s.FS(t.Context(), "nowhere")
	require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
}
