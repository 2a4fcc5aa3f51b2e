// Goal: buckets come, go and change as one; what they hold is never lost with
// them. Method: single operations, then races that may end in two ways only.
package sherd_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

func TestBuckets(t *testing.T) {
	s := newStore(t, nil)
	info, err := s.CreateBucket(t.Context(), "one", &sherd.BucketOptions{Owner: "me", Region: "here"})
	require.NoError(t, err)
	again, err := s.CreateBucket(t.Context(), "one", nil)
	require.ErrorIs(t, err, sherd.ErrBucketExists)
	require.NotZero(t, again.Revision)
	info.Revision = again.Revision
	require.Equal(t, info, again)
	stat, err := s.StatBucket(t.Context(), "one")
	require.NoError(t, err)
	info.Revision = stat.Revision
	require.Equal(t, info, stat)
	require.Equal(t, "me", stat.Owner)
	require.NoError(t, s.DeleteBucket(t.Context(), "one"))
	_, err = s.StatBucket(t.Context(), "one")
	require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
	require.ErrorIs(t, s.DeleteBucket(t.Context(), "one"), sherd.ErrNoSuchBucket)
	other, err := s.CreateBucket(t.Context(), "one", nil)
	require.NoError(t, err)
	require.NotEqual(t, info.ID, other.ID)
}

// A revision is that of one state of one bucket and its documents.
func TestRevisions(t *testing.T) {
	s := newStore(t, nil)
	seen := map[uint64]bool{}
	look := func(bucket string, isNew bool) {
		t.Helper()
		info, err := s.StatBucket(t.Context(), bucket)
		require.NoError(t, err)
		require.Equal(t, isNew, !seen[info.Revision])
		seen[info.Revision] = true
	}
	newBucket(t, s, "one", versioning.Unversioned)
	look("one", true)
	look("one", false)
	for _, change := range []error{
		s.PutDocument(t.Context(), "one", "policy", nil), s.PutDocument(t.Context(), "one", "policy", []byte("x")),
		s.DeleteDocument(t.Context(), "one", "policy"), s.SetVersioning(t.Context(), "one", versioning.Enabled),
	} {
		require.NoError(t, change)
	}
	look("one", true)
	require.NoError(t, s.DeleteBucket(t.Context(), "one"))
	newBucket(t, s, "one", versioning.Unversioned)
	look("one", true)
	require.NoError(t, s.PutDocument(t.Context(), "one", "policy", nil))
	look("one", true)
	look("one", false)
}

// Documents that come with a bucket are there with it, and are checked before.
func TestABucketWithDocuments(t *testing.T) {
	s := newStore(t, nil)
	for name, documents := range map[string]map[string][]byte{
		"name": {".x": nil}, "size": {"x": make([]byte, sherd.MaxDocumentBytes+1)},
	} {
		_, err := s.CreateBucket(t.Context(), "one", &sherd.BucketOptions{Documents: documents})
		require.Error(t, err, name)
		_, err = s.StatBucket(t.Context(), "one")
		require.ErrorIs(t, err, sherd.ErrNoSuchBucket, name)
	}
	_, err := s.CreateBucket(t.Context(), "one", &sherd.BucketOptions{Documents: map[string][]byte{"a": []byte("1"), "b": nil}})
	require.NoError(t, err)
	for name, want := range map[string]string{"a": "1", "b": ""} {
		data, err := s.Document(t.Context(), "one", name)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
	}
	require.NoError(t, s.DeleteBucket(t.Context(), "one"))
}

func TestBucketNames(t *testing.T) {
	s := newStore(t, nil)
	for _, name := range []string{"abc", "a-b", "a.b.c", "012", strings.Repeat("x", 63)} {
		_, err := s.CreateBucket(t.Context(), name, nil)
		require.NoError(t, err, name)
	}
	for _, name := range []string{"", "ab", "Abc", "a_b", "-ab", "ab-", ".ab", "a/b", "a\x00b", strings.Repeat("x", 64)} {
		_, err := s.CreateBucket(t.Context(), name, nil)
		require.ErrorIs(t, err, sherd.ErrInvalidArgument, name)
	}
}

func TestListBuckets(t *testing.T) {
	s := newStore(t, nil)
	for i := range 20 {
		newBucket(t, s, fmt.Sprintf("b%02d", i), versioning.Unversioned)
	}
	list := func(o *sherd.ListBucketsOptions) (names []string) {
		for b, err := range s.ListBuckets(t.Context(), o) {
			require.NoError(t, err)
			names = append(names, b.Name)
		}
		return names
	}
	require.Len(t, list(nil), 20)
	require.Equal(t, []string{"b18", "b19"}, list(&sherd.ListBucketsOptions{StartAfter: "b17"}))
	require.Len(t, list(&sherd.ListBucketsOptions{Prefix: "b1"}), 10)
	require.Empty(t, list(&sherd.ListBucketsOptions{Prefix: "c"}))
}

func TestABucketIsDeletedOnlyWhenItIsEmpty(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Enabled)
	put(t, s, "bucket", "key", "x")
	_, err := s.Delete(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.Empty(t, keys(t, s, "bucket", nil))
	require.ErrorIs(t, s.DeleteBucket(t.Context(), "bucket"), sherd.ErrBucketNotEmpty)
	for info, err := range s.ListVersions(t.Context(), "bucket", nil) {
		require.NoError(t, err)
		_, err = s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: info.VersionID})
		require.NoError(t, err)
	}
	require.NoError(t, s.PutDocument(t.Context(), "bucket", "policy", []byte("{}")))
	for i := range 8 {
		key := fmt.Sprint(i)
		u, err := s.CreateUpload(t.Context(), "bucket", key, nil)
		require.NoError(t, err)
		require.ErrorIs(t, s.DeleteBucket(t.Context(), "bucket"), sherd.ErrBucketNotEmpty, "an upload is under way")
		require.NoError(t, s.AbortUpload(t.Context(), "bucket", key, u.ID))
	}
	require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
	newBucket(t, s, "bucket", versioning.Unversioned)
	_, err = s.Document(t.Context(), "bucket", "policy")
	require.ErrorIs(t, err, sherd.ErrNoSuchDocument)
}

func TestDocuments(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	for _, content := range []string{"one", "", "three"} {
		require.NoError(t, s.PutDocument(t.Context(), "bucket", "policy", []byte(content)))
		got, err := s.Document(t.Context(), "bucket", "policy")
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
	require.NoError(t, s.DeleteDocument(t.Context(), "bucket", "policy"))
	require.ErrorIs(t, s.DeleteDocument(t.Context(), "bucket", "policy"), sherd.ErrNoSuchDocument)
	for _, name := range []string{"", ".object-lock", strings.Repeat("x", 65)} {
		require.ErrorIs(t, s.PutDocument(t.Context(), "bucket", name, nil), sherd.ErrInvalidArgument)
	}
	require.ErrorIs(t, s.PutDocument(t.Context(), "bucket", "x", make([]byte, sherd.MaxDocumentBytes+1)), sherd.ErrTooLarge)
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 101)
		err = s.PutDocument(t.Context(), "bucket", fmt.Sprint("d", i), nil)
	}
	require.ErrorIs(t, err, sherd.ErrTooLarge)
	require.NoError(t, s.PutDocument(t.Context(), "bucket", "d0", []byte("replaced")))
	require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
}

func TestAPutThatRacesADeletionOfTheBucket(t *testing.T) {
	s := newStore(t, nil)
	for round := range 100 {
		newBucket(t, s, "bucket", versioning.Unversioned)
		var wg sync.WaitGroup
		var putErr, deleteErr error
		wg.Go(func() { _, putErr = s.Put(t.Context(), "bucket", "key", strings.NewReader("x"), 1, nil) })
		wg.Go(func() { deleteErr = s.DeleteBucket(t.Context(), "bucket") })
		wg.Wait()
		if deleteErr == nil {
			require.ErrorIs(t, putErr, sherd.ErrNoSuchBucket, round)
			_, err := s.StatBucket(t.Context(), "bucket")
			require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
			continue
		}
		require.ErrorIs(t, deleteErr, sherd.ErrBucketNotEmpty)
		require.NoError(t, putErr)
		require.Equal(t, "x", get(t, s, "bucket", "key", nil))
		_, err := s.Delete(t.Context(), "bucket", "key", nil)
		require.NoError(t, err)
		require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
	}
}

func TestOneOfManyMakesABucket(t *testing.T) {
	s := newStore(t, nil)
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := s.CreateBucket(t.Context(), "bucket", nil); err == nil {
				made.Add(1)
			} else {
				require.ErrorIs(t, err, sherd.ErrBucketExists)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, made.Load())
}

func TestOneOfManyConditionalWritesWins(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	first := sherd.Conditions{IfNoneMatch: "*"}
	for round := range 20 {
		require.Equal(t, 1, race(func(i int) error {
			_, err := s.Put(t.Context(), "bucket", "key", strings.NewReader(fmt.Sprint(i)), -1, &sherd.PutOptions{Conditions: first})
			return err
		}), "creating, round %d", round)
		info, err := s.Stat(t.Context(), "bucket", "key", nil)
		require.NoError(t, err)
		require.Equal(t, 1, race(func(i int) error {
			o := &sherd.PutOptions{Conditions: sherd.Conditions{IfMatch: info.ETag}}
			_, err := s.Put(t.Context(), "bucket", "key", strings.NewReader(fmt.Sprint(i)), -1, o)
			return err
		}), "replacing, round %d", round)
		info, err = s.Stat(t.Context(), "bucket", "key", nil)
		require.NoError(t, err)
		require.Equal(t, 1, race(func(int) error {
			_, err := s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{Conditions: sherd.DeleteConditions{IfMatch: info.ETag}})
			return err
		}), "deleting, round %d", round)
	}
}

// race counts who succeeds; the others fail by their condition.
func race(do func(i int) error) int {
	var won, other atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			switch err := do(i); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, sherd.ErrPrecondition) && !errors.Is(err, sherd.ErrNoSuchKey):
				other.Add(1)
			}
		})
	}
	wg.Wait()
	return int(won.Load() + 100*other.Load())
}

func TestVersioningStatus(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	require.ErrorIs(t, s.SetVersioning(t.Context(), "bucket", 9), sherd.ErrInvalidArgument)
	require.NoError(t, s.SetVersioning(t.Context(), "bucket", versioning.Enabled))
	require.NoError(t, s.SetVersioning(t.Context(), "bucket", versioning.Suspended))
	info, err := s.StatBucket(t.Context(), "bucket")
	require.NoError(t, err)
	require.Equal(t, versioning.Suspended, info.Versioning)
	require.ErrorIs(t, s.SetVersioning(t.Context(), "bucket", versioning.Unversioned), versioning.ErrTransition)
	require.ErrorIs(t, s.SetVersioning(t.Context(), "nowhere", versioning.Enabled), sherd.ErrNoSuchBucket)
}
