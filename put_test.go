// Goal: what is put comes back, of every size, in pieces and by offset, and
// what was not wholly right is not stored at all. Method: round trips through
// the public API over drives in memory.
package sherd_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

func TestRoundTripOfEverySize(t *testing.T) {
	for _, drives := range []int{1, 2, 4} {
		s := newStoreOf(t, drives, nil)
		newBucket(t, s, "bucket", versioning.Unversioned)
		for _, size := range []int{0, 1, 1023, 64<<10 - 1, 64 << 10, 128 << 10, 128<<10 + 1, 256<<10 + 1, 1<<20 + 7} {
			for _, known := range []bool{true, false} {
				name := fmt.Sprintf("%d drives, %d bytes, known %t", drives, size, known)
				content, announced := pattern(size), int64(size)
				if !known {
					announced = -1
				}
				info, err := s.Put(t.Context(), "bucket", "key", reader(content), announced, &sherd.PutOptions{MD5: true})
				require.NoError(t, err, name)
				sum := md5.Sum(content)
				require.Equal(t, hex.EncodeToString(sum[:]), info.ETag, name)
				require.True(t, info.ETagIsMD5)
				require.EqualValues(t, size, info.Size)
				require.Equal(t, string(content), get(t, s, "bucket", "key", nil), name)
				stat, err := s.Stat(t.Context(), "bucket", "key", nil)
				require.NoError(t, err)
				require.Equal(t, info, stat, name)
			}
		}
	}
}

func TestDescription(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	o := &sherd.PutOptions{
		ContentType: "text/plain", Headers: map[string]string{"cache-control": "no-store"},
		Metadata: map[string]string{"a": "1", "ü": "\xff"}, Tags: map[string]string{"t": "v"}, StorageClass: 3, Owner: "me",
	}
	_, err := s.Put(t.Context(), "bucket", "key", nil, 0, o)
	require.NoError(t, err)
	info, err := s.Stat(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.Equal(t, o.ContentType, info.ContentType)
	require.Equal(t, o.Headers, info.Headers)
	require.Equal(t, o.Metadata, info.Metadata)
	require.Equal(t, o.Tags, info.Tags)
	require.Equal(t, o.StorageClass, info.StorageClass)
	require.Equal(t, "me", info.Owner)
	require.True(t, info.Latest)
	require.Regexp(t, `^x-[0-9a-f]{32}$`, info.ETag, "nobody takes it for an MD5")
	require.Empty(t, info.VersionID)
}

func TestETagsOfTwoWritesDiffer(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	require.NotEqual(t, put(t, s, "bucket", "a", "same").ETag, put(t, s, "bucket", "a", "same").ETag)
}

func TestABodyThatIsNotAsAnnouncedStoresNothing(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	broken := errors.New("the client went away")
	refused := errors.New("the signature is wrong")
	for _, size := range []int{1000, 600 << 10} {
		content := pattern(size)
		sum := sha256.Sum256(content)
		for name, c := range map[string]struct {
			body io.Reader
			size int64
			o    *sherd.PutOptions
			err  error
		}{
			"short":     {reader(content), int64(size) + 1, nil, sherd.ErrShortBody},
			"long":      {reader(content), int64(size) - 1, nil, sherd.ErrLongBody},
			"broken":    {io.MultiReader(reader(content), iotest.ErrReader(broken)), -1, nil, broken},
			"broken at": {io.MultiReader(reader(content), iotest.ErrReader(broken)), int64(size), nil, broken},
			"verify":    {reader(content), -1, &sherd.PutOptions{Verify: func() error { return refused }}, refused},
			"md5":       {reader(content), -1, &sherd.PutOptions{ContentMD5: make([]byte, 16)}, sherd.ErrBadDigest},
			"checksum": {reader(content), -1, expecting(sherd.Checksum{Algorithm: sherd.SHA256, Type: sherd.FullObject,
				Value: bytes.Repeat([]byte{1}, 32)}), sherd.ErrBadDigest},
			"not asked for": {reader(content), -1, &sherd.PutOptions{Checksum: &sherd.ChecksumRequest{
				Expected: func() ([]sherd.Checksum, error) {
					return []sherd.Checksum{{Algorithm: sherd.SHA256, Type: sherd.FullObject, Value: sum[:]}}, nil
				}}}, sherd.ErrBadDigest},
		} {
			_, err := s.Put(t.Context(), "bucket", "key", c.body, c.size, c.o)
			require.ErrorIs(t, err, c.err, name)
			_, err = s.Stat(t.Context(), "bucket", "key", nil)
			require.ErrorIs(t, err, sherd.ErrNoSuchKey, name)
		}
	}
}

func expecting(sum sherd.Checksum) *sherd.PutOptions {
	return &sherd.PutOptions{Checksum: &sherd.ChecksumRequest{
		Algorithms: []sherd.ChecksumAlgorithm{sum.Algorithm},
		Expected:   func() ([]sherd.Checksum, error) { return []sherd.Checksum{sum}, nil },
	}}
}

func TestChecksumsAreComputedAndKept(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	all := []sherd.ChecksumAlgorithm{sherd.CRC32, sherd.CRC32C, sherd.CRC64NVME, sherd.SHA1, sherd.SHA256}
	for _, size := range []int{10, 3 << 20} {
		content := pattern(size)
		sum := sha256.Sum256(content)
		info, err := s.Put(t.Context(), "bucket", "key", iotest.OneByteReader(io.LimitReader(reader(content), 10)), 10,
			&sherd.PutOptions{Checksum: &sherd.ChecksumRequest{Algorithms: all}})
		require.NoError(t, err)
		require.Len(t, info.Checksums, len(all))
		info, err = s.Put(t.Context(), "bucket", "key", reader(content), int64(size),
			expecting(sherd.Checksum{Algorithm: sherd.SHA256, Type: sherd.FullObject, Value: sum[:]}))
		require.NoError(t, err)
		stat, err := s.Stat(t.Context(), "bucket", "key", nil)
		require.NoError(t, err)
		require.Equal(t, info.Checksums, stat.Checksums)
		require.Equal(t, sum[:], stat.Checksums[0].Value)
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	three := 3
	big := map[string]string{"k": strings.Repeat("v", sherd.MaxMetadataBytes)}
	for name, c := range map[string]struct {
		key  string
		size int64
		o    *sherd.PutOptions
		err  error
	}{
		"no key":    {"", 0, nil, sherd.ErrInvalidArgument},
		"long key":  {strings.Repeat("k", 1025), 0, nil, sherd.ErrInvalidArgument},
		"size":      {"key", -2, nil, sherd.ErrInvalidArgument},
		"too large": {"key", sherd.MaxObjectBytes + 1, nil, sherd.ErrTooLarge},
		"parity":    {"key", 0, &sherd.PutOptions{Parity: &three}, sherd.ErrInvalidArgument},
		"metadata":  {"key", 0, &sherd.PutOptions{Metadata: big}, sherd.ErrTooLarge},
		"md5":       {"key", 0, &sherd.PutOptions{ContentMD5: []byte{1}}, sherd.ErrInvalidArgument},
		"twice": {"key", 0, &sherd.PutOptions{Checksum: &sherd.ChecksumRequest{
			Algorithms: []sherd.ChecksumAlgorithm{sherd.SHA1, sherd.SHA1}}}, sherd.ErrInvalidArgument},
		"algorithm": {"key", 0, &sherd.PutOptions{Checksum: &sherd.ChecksumRequest{
			Algorithms: []sherd.ChecksumAlgorithm{77}}}, sherd.ErrInvalidArgument},
		"hold without lock": {"key", 0, &sherd.PutOptions{LegalHold: true}, sherd.ErrInvalidArgument},
	} {
		_, err := s.Put(t.Context(), "bucket", c.key, nil, c.size, c.o)
		require.ErrorIs(t, err, c.err, name)
	}
	_, err := s.Put(t.Context(), "nowhere", "key", nil, 0, nil)
	require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
}

func TestKeysAreDataAndNeverPaths(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	corpus := []string{
		"a", "a/b", "a/b/c", "a/", "/a", "//", "/", ".", "..", "../..", "a/../b", "a/./b", "a//b", "a.", "a ", " ",
		"\x00", "\x00\x00", "\x00\xff", "\xff", "\xff\xff", "\xc3\x28", "é", "e\u0301", "É", "A", "CON", "nul.txt", "a:b", "a\\b", "\n",
		strings.Repeat("k", 1024), strings.Repeat("\x00", 1024), strings.Repeat("/", 1024),
	}
	for _, key := range corpus {
		put(t, s, "bucket", key, "content of "+key)
	}
	require.Len(t, keys(t, s, "bucket", nil), len(corpus))
	require.IsIncreasing(t, keys(t, s, "bucket", nil))
	for _, key := range corpus {
		require.Equal(t, "content of "+key, get(t, s, "bucket", key, nil), "%q", key)
		result, err := s.Delete(t.Context(), "bucket", key, nil)
		require.NoError(t, err)
		require.Equal(t, sherd.DeleteResult{Found: true}, result)
		_, err = s.Get(t.Context(), "bucket", key, nil)
		require.ErrorIs(t, err, sherd.ErrNoSuchKey)
	}
	require.Empty(t, keys(t, s, "bucket", nil))
	require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
}

func TestErrorsSayWhatWasAsked(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	_, err := s.Get(t.Context(), "bucket", "key", &sherd.GetOptions{VersionID: "null"})
	require.EqualError(t, err, "sherd: get bucket/key?versionId=null: no such version")
}
