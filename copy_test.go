// Goal: a copy is an object of its own, whatever becomes of its source, and of
// itself. Method: copies of every shape, then deletions in both orders with
// time for the bytes to be removed.
package sherd_test

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

func TestACopyOutlivesItsSource(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	newBucket(t, s, "other", versioning.Enabled)
	want := shapes(t, s, "bucket")
	ids := map[string]string{}
	for name := range want {
		copied, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: name}, "other", name, nil)
		require.NoError(t, err)
		source, err := s.Stat(t.Context(), "bucket", name, nil)
		require.NoError(t, err)
		require.Equal(t, source.ETag, copied.ETag)
		if len(s.Health().Sets) == 1 { // between sets a copy is in one piece
			require.Equal(t, source.Parts, copied.Parts)
		}
		ids[name] = copied.VersionID
		_, err = s.Delete(t.Context(), "bucket", name, nil)
		require.NoError(t, err)
	}
	settle(t, s)
	for name, content := range want {
		require.Equal(t, string(content), get(t, s, "other", name, nil))
		_, err := s.Copy(t.Context(), sherd.Source{Bucket: "other", Key: name, VersionID: ids[name]}, "bucket", name, nil)
		require.NoError(t, err)
		_, err = s.Delete(t.Context(), "other", name, &sherd.DeleteOptions{VersionID: ids[name]})
		require.NoError(t, err)
	}
	settle(t, s)
	for name, content := range want {
		require.Equal(t, string(content), get(t, s, "bucket", name, nil))
	}
	requireNothingWrong(t, s)
}

func requireNothingWrong(t *testing.T, s *sherd.Store) {
	t.Helper()
	for f, err := range s.Check(t.Context()) {
		require.NoError(t, err)
		require.Fail(t, "something is wrong", "%+v", f)
	}
}

// settle gives the store's background work a chance to remove what was
// replaced: it comes by at every write that is acknowledged.
func settle(t *testing.T, s *sherd.Store) {
	t.Helper()
	end := time.After(400 * time.Millisecond)
	for {
		select {
		case <-end:
			return
		default:
			put(t, s, "bucket", "settling", "")
		}
	}
}

func TestRecordsThatNameTheSameBytesKeepThem(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	want := shapes(t, s, "bucket")
	o := &sherd.CopyOptions{ReplaceMetadata: true}
	o.Metadata = map[string]string{"new": "yes"}
	tags := map[string]string{"a": "b"}
	for name := range want {
		for range 3 {
			_, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: name}, "bucket", name, o)
			require.NoError(t, err)
			require.NoError(t, s.SetTags(t.Context(), "bucket", name, "", tags))
		}
	}
	settle(t, s)
	for name, content := range want {
		require.Equal(t, string(content), get(t, s, "bucket", name, nil))
		info, err := s.Stat(t.Context(), "bucket", name, nil)
		require.NoError(t, err)
		require.Equal(t, o.Metadata, info.Metadata)
		require.Equal(t, tags, info.Tags)
	}
	requireNothingWrong(t, s)
}

func TestDescriptionOfCopies(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	o := &sherd.PutOptions{ContentType: "a", Metadata: map[string]string{"m": "1"}, Tags: map[string]string{"t": "1"}, MD5: true,
		Checksum: &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.SHA1}}}
	info, err := s.Put(t.Context(), "bucket", "key", reader(pattern(100)), -1, o)
	require.NoError(t, err)
	from := sherd.Source{Bucket: "bucket", Key: "key"}
	copied, err := s.Copy(t.Context(), from, "bucket", "plain", nil)
	require.NoError(t, err)
	require.Equal(t, o.Metadata, copied.Metadata)
	require.Equal(t, o.Tags, copied.Tags)
	require.Equal(t, info.Checksums, copied.Checksums)
	changed := &sherd.CopyOptions{ReplaceTags: true, ReplaceMetadata: true}
	changed.Tags = map[string]string{"t": "2"}
	changed.Checksum = &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.CRC32C}}
	copied, err = s.Copy(t.Context(), from, "bucket", "changed", changed)
	require.NoError(t, err)
	require.Empty(t, copied.ContentType)
	require.Empty(t, copied.Metadata)
	require.Equal(t, changed.Tags, copied.Tags)
	require.Equal(t, sherd.CRC32C, copied.Checksums[0].Algorithm, "computed, as the source had none")
	require.Equal(t, info.ETag, copied.ETag)

	for _, algorithm := range []sherd.ChecksumAlgorithm{sherd.SHA1, sherd.SHA256} { // known, and computed
		for _, want := range [][]byte{pattern(100), pattern(99)} {
			h, err := algorithm.New()
			require.NoError(t, err)
			h.Write(want)
			expecting := &sherd.CopyOptions{PutOptions: *expecting(sherd.Checksum{Algorithm: algorithm, Type: sherd.FullObject, Value: h.Sum(nil)})}
			_, err = s.Copy(t.Context(), from, "bucket", "expected", expecting)
			require.Equal(t, len(want) == 99, errors.Is(err, sherd.ErrBadDigest), "%v: %v", algorithm, err)
			require.Equal(t, len(want) == 99, err != nil)
		}
	}
}

func TestAnMD5ThatTheSourceLacks(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(900_000)
	put(t, s, "bucket", "key", string(content))
	o := &sherd.CopyOptions{}
	o.MD5 = true
	copied, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key"}, "bucket", "copy", o)
	require.NoError(t, err)
	sum := md5.Sum(content)
	require.Equal(t, hex.EncodeToString(sum[:]), copied.ETag)
}

func TestConditionsOfCopies(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Enabled)
	info := put(t, s, "bucket", "key", "x")
	copying := func(source, target sherd.Conditions) error {
		o := &sherd.CopyOptions{}
		o.Conditions = target
		_, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key", Conditions: source}, "bucket", "copy", o)
		return err
	}
	none := sherd.Conditions{}
	require.ErrorIs(t, copying(sherd.Conditions{IfNoneMatch: info.ETag}, none), sherd.ErrPrecondition)
	require.ErrorIs(t, copying(sherd.Conditions{IfMatch: "other"}, none), sherd.ErrPrecondition)
	require.ErrorIs(t, copying(none, sherd.Conditions{IfMatch: "*"}), sherd.ErrNoSuchKey)
	require.NoError(t, copying(sherd.Conditions{IfMatch: info.ETag}, sherd.Conditions{IfNoneMatch: "*"}))
	require.ErrorIs(t, copying(none, sherd.Conditions{IfNoneMatch: "*"}), sherd.ErrPrecondition)
	_, err := s.Delete(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.ErrorIs(t, copying(none, none), sherd.ErrNoSuchKey)
	_, err = s.Copy(t.Context(), sherd.Source{Bucket: "nowhere", Key: "key"}, "bucket", "copy", nil)
	require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
}

func TestCopiesInBothDirectionsDoNotWaitForEachOther(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	newBucket(t, s, "other", versioning.Unversioned)
	put(t, s, "bucket", "key", "x")
	put(t, s, "other", "key", "x")
	var wg sync.WaitGroup
	for range 50 {
		for from, to := range map[string]string{"bucket": "other", "other": "bucket"} {
			wg.Go(func() {
				_, err := s.Copy(t.Context(), sherd.Source{Bucket: from, Key: "key"}, to, "key", nil)
				require.NoError(t, err)
			})
		}
	}
	wg.Wait()
	require.Equal(t, "x", get(t, s, "other", "key", nil))
}

func TestAnObjectAsTheBodyOfAnother(t *testing.T) {
	s := newStore(t, &sherd.Options{MemoryBudget: sherd.MinMemoryBudget})
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(3 << 20)
	put(t, s, "bucket", "key", string(content))
	object, err := s.Get(t.Context(), "bucket", "key", &sherd.GetOptions{Range: &sherd.Range{Start: 1, End: -1}})
	require.NoError(t, err)
	defer object.Close()
	second, err := s.Get(t.Context(), "bucket", "key", nil)
	require.NoError(t, err, "the budget is spent now")
	defer second.Close()
	_, err = s.Put(t.Context(), "bucket", "copy", object, object.Length, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, second)
	require.NoError(t, err)
	require.Equal(t, string(content[1:]), get(t, s, "bucket", "copy", nil))
}
