// Goal: a version's access document is kept with it and with nothing else: not
// with copies, not with the next version, and never read by the store. Method:
// every way of writing an object with one, with none and with one too large.
package sherd_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

func TestAccessDocuments(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Enabled)
	access := func(key, versionID string) string {
		t.Helper()
		info, err := s.Stat(t.Context(), "bucket", key, &sherd.GetOptions{VersionID: versionID})
		require.NoError(t, err)
		return string(info.Access)
	}
	const document = "\xff\x00 any bytes"
	first, err := s.Put(t.Context(), "bucket", "key", nil, 0, &sherd.PutOptions{Access: []byte(document)})
	require.NoError(t, err)
	require.Equal(t, document, string(first.Access))
	second := put(t, s, "bucket", "key", "again")
	require.Empty(t, access("key", ""), "the next version has its own")
	require.Equal(t, document, access("key", first.VersionID))

	require.NoError(t, s.SetTags(t.Context(), "bucket", "key", first.VersionID, map[string]string{"a": "b"}))
	require.Equal(t, document, access("key", first.VersionID), "another change leaves it")
	require.NoError(t, s.SetAccess(t.Context(), "bucket", "key", "", []byte("new")))
	require.Equal(t, "new", access("key", second.VersionID))
	require.Equal(t, document, access("key", first.VersionID))
	require.NoError(t, s.SetAccess(t.Context(), "bucket", "key", first.VersionID, nil))
	require.Empty(t, access("key", first.VersionID))
	for info, err := range s.List(t.Context(), "bucket", &sherd.ListOptions{Details: true}) {
		require.NoError(t, err)
		require.Equal(t, "new", string(info.Access))
	}

	from := sherd.Source{Bucket: "bucket", Key: "key"}
	_, err = s.Copy(t.Context(), from, "bucket", "copy", nil)
	require.NoError(t, err)
	require.Empty(t, access("copy", ""), "a copy does not inherit it")
	_, err = s.Copy(t.Context(), from, "bucket", "copy", &sherd.CopyOptions{PutOptions: sherd.PutOptions{Access: []byte("own")}})
	require.NoError(t, err)
	require.Equal(t, "own", access("copy", ""))

	u, err := s.CreateUpload(t.Context(), "bucket", "parts", &sherd.UploadOptions{Access: []byte(document)})
	require.NoError(t, err)
	u, err = s.StatUpload(t.Context(), "bucket", "parts", u.ID)
	require.NoError(t, err)
	require.Equal(t, document, string(u.Access))
	_, err = s.PutPart(t.Context(), "bucket", "parts", u.ID, 1, nil, 0, nil)
	require.NoError(t, err)
	_, err = s.CompleteUpload(t.Context(), "bucket", "parts", u.ID, []sherd.CompletedPart{{Number: 1}}, nil)
	require.NoError(t, err)
	require.Equal(t, document, access("parts", ""))
}

func TestAccessDocumentsAreBounded(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Enabled)
	most := make([]byte, sherd.MaxAccessBytes)
	_, err := s.Put(t.Context(), "bucket", "key", nil, 0, &sherd.PutOptions{Access: most})
	require.NoError(t, err)
	require.NoError(t, s.SetAccess(t.Context(), "bucket", "key", "", most))
	more := append(most, 0)
	_, err = s.Put(t.Context(), "bucket", "key", nil, 0, &sherd.PutOptions{Access: more})
	require.ErrorIs(t, err, sherd.ErrTooLarge)
	_, err = s.CreateUpload(t.Context(), "bucket", "key", &sherd.UploadOptions{Access: more})
	require.ErrorIs(t, err, sherd.ErrTooLarge)
	_, err = s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key"}, "bucket", "copy",
		&sherd.CopyOptions{PutOptions: sherd.PutOptions{Access: more}})
	require.ErrorIs(t, err, sherd.ErrTooLarge)
	require.ErrorIs(t, s.SetAccess(t.Context(), "bucket", "key", "", more), sherd.ErrTooLarge)

	_, err = s.Delete(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.ErrorIs(t, s.SetAccess(t.Context(), "bucket", "key", "", nil), sherd.ErrNoSuchKey, "a delete marker has none")
}
