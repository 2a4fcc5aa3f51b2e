// Goal: an object that was completed from parts has the bytes, the ETag and the
// checksums that S3 gives it, in whatever order and how often parts came; an
// upload that ended is gone. Method: uploads of every shape against what is
// computed from the content.
package sherd_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

// completeOf uploads content in parts of the sizes given, the first of them under
// the number given.
func completeOf(t testing.TB, s *sherd.Store, bucket, key string, content []byte, first int, sizes ...int) sherd.ObjectInfo {
	t.Helper()
	u, err := s.CreateUpload(t.Context(), bucket, key, nil)
	require.NoError(t, err)
	var parts []sherd.CompletedPart
	for i, size := range sizes {
		p, err := s.PutPart(t.Context(), bucket, key, u.ID, first+i, reader(content[:size]), int64(size), &sherd.PartOptions{MD5: true})
		require.NoError(t, err)
		content = content[size:]
		parts = append(parts, sherd.CompletedPart{Number: p.Number, ETag: p.ETag})
	}
	require.Empty(t, content)
	info, err := s.CompleteUpload(t.Context(), bucket, key, u.ID, parts, nil)
	require.NoError(t, err)
	return info
}

func TestMultipart(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(1_000_000)
	o := &sherd.UploadOptions{ContentType: "a/b", Metadata: map[string]string{"m": "1"}, Tags: map[string]string{"t": "2"},
		ChecksumAlgorithm: sherd.CRC32, ChecksumType: sherd.FullObject, StorageClass: 2}
	u, err := s.CreateUpload(t.Context(), "bucket", "key", o)
	require.NoError(t, err)
	sum := &sherd.PartOptions{MD5: true, Checksum: &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.CRC32}}}
	want := map[int][]byte{2: content[:300_000], 5: content[300_000:300_010], 6: content[300_010:600_000], 10_000: content[600_000:]}
	etags := map[int]string{}
	for _, number := range []int{10_000, 5, 7, 2, 6, 5} { // 5 twice, 7 for nothing
		b := want[number]
		if number == 7 {
			b = pattern(400_000)
		}
		p, err := s.PutPart(t.Context(), "bucket", "key", u.ID, number, reader(b), -1, sum)
		require.NoError(t, err)
		etags[number] = p.ETag
	}
	listed := map[int]int64{}
	for p, err := range s.ListParts(t.Context(), "bucket", "key", u.ID, 2) {
		require.NoError(t, err)
		listed[p.Number] = p.Size
	}
	require.Equal(t, map[int]int64{5: 10, 6: 299_990, 7: 400_000, 10_000: 400_000}, listed)
	_, err = s.Stat(t.Context(), "bucket", "key", nil)
	require.ErrorIs(t, err, sherd.ErrNoSuchKey)

	var parts []sherd.CompletedPart
	all := md5.New()
	for _, number := range []int{2, 5, 6, 10_000} {
		parts = append(parts, sherd.CompletedPart{Number: number, ETag: etags[number]})
		one := md5.Sum(want[number])
		all.Write(one[:])
	}
	crc := crc32.ChecksumIEEE(content)
	full := sherd.Checksum{Algorithm: sherd.CRC32, Type: sherd.FullObject, Value: []byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)}}
	info, err := s.CompleteUpload(t.Context(), "bucket", "key", u.ID, parts, &sherd.CompleteOptions{Checksums: []sherd.Checksum{full}, Size: 1_000_000})
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(all.Sum(nil))+"-4", info.ETag)
	require.Equal(t, []sherd.Checksum{full}, info.Checksums)
	require.Equal(t, "a/b", info.ContentType)
	require.Equal(t, o.Tags, info.Tags)
	require.Equal(t, 4, info.Parts)
	require.EqualValues(t, 2, info.StorageClass)
	stat, err := s.Stat(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.Equal(t, info, stat)
	require.Equal(t, string(content), get(t, s, "bucket", "key", nil))
	for number, b := range want {
		require.Equal(t, string(b), get(t, s, "bucket", "key", &sherd.GetOptions{Part: number}))
	}
	_, err = s.Get(t.Context(), "bucket", "key", &sherd.GetOptions{Part: 7})
	require.ErrorIs(t, err, sherd.ErrInvalidPart)
	described, err := s.ObjectParts(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.Len(t, described, 4)
	require.Equal(t, sherd.CRC32, described[3].Checksums[0].Algorithm)
	requireNoUpload(t, s, u)
}

func requireNoUpload(t *testing.T, s *sherd.Store, u sherd.Upload) {
	t.Helper()
	_, err := s.StatUpload(t.Context(), u.Bucket, u.Key, u.ID)
	require.ErrorIs(t, err, sherd.ErrNoSuchUpload)
	_, err = s.PutPart(t.Context(), u.Bucket, u.Key, u.ID, 1, nil, 0, nil)
	require.ErrorIs(t, err, sherd.ErrNoSuchUpload)
	_, err = s.CompleteUpload(t.Context(), u.Bucket, u.Key, u.ID, []sherd.CompletedPart{{Number: 1}}, nil)
	require.ErrorIs(t, err, sherd.ErrNoSuchUpload)
	require.ErrorIs(t, s.AbortUpload(t.Context(), u.Bucket, u.Key, u.ID), sherd.ErrNoSuchUpload)
	for _, err := range s.ListParts(t.Context(), u.Bucket, u.Key, u.ID, 0) {
		require.ErrorIs(t, err, sherd.ErrNoSuchUpload)
	}
	for range s.ListUploads(t.Context(), u.Bucket, nil) {
		t.Fatal("an upload is listed")
	}
}

func TestMorePartsThanARecordHolds(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(200 * 201 / 2)
	sizes := make([]int, 200)
	for i := range sizes {
		sizes[i] = i + 1
	}
	info := completeOf(t, s, "bucket", "key", content, 3, sizes...)
	require.Equal(t, 200, info.Parts)
	require.Equal(t, string(content), get(t, s, "bucket", "key", nil))
	require.Equal(t, string(content[5000:9000]), get(t, s, "bucket", "key", &sherd.GetOptions{Range: &sherd.Range{Start: 5000, End: 8999}}))
	require.Equal(t, string(content[1:3]), get(t, s, "bucket", "key", &sherd.GetOptions{Part: 4}))
}

func TestAbort(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	u, err := s.CreateUpload(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	_, err = s.PutPart(t.Context(), "bucket", "key", u.ID, 1, reader(pattern(300_000)), -1, nil)
	require.NoError(t, err)
	require.ErrorIs(t, s.DeleteBucket(t.Context(), "bucket"), sherd.ErrBucketNotEmpty)
	require.NoError(t, s.AbortUpload(t.Context(), "bucket", "key", u.ID))
	requireNoUpload(t, s, u)
	require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
}

func TestCompletionsThatAreRefused(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	u, err := s.CreateUpload(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	for i := range 3 {
		_, err := s.PutPart(t.Context(), "bucket", "key", u.ID, i+1, reader(pattern(10+i)), -1, &sherd.PartOptions{MD5: true})
		require.NoError(t, err)
	}
	type parts = []sherd.CompletedPart
	value := sherd.Checksum{Algorithm: sherd.SHA1, Type: sherd.FullObject, Value: make([]byte, 20)}
	for name, c := range map[string]struct {
		parts parts
		o     *sherd.CompleteOptions
		err   error
	}{
		"none":      {nil, nil, sherd.ErrInvalidArgument},
		"number":    {parts{{Number: 0}}, nil, sherd.ErrInvalidArgument},
		"order":     {parts{{Number: 2}, {Number: 1}}, nil, sherd.ErrPartOrder},
		"twice":     {parts{{Number: 1}, {Number: 1}}, nil, sherd.ErrPartOrder},
		"missing":   {parts{{Number: 1}, {Number: 4}}, nil, sherd.ErrInvalidPart},
		"etag":      {parts{{Number: 1, ETag: "00"}}, nil, sherd.ErrInvalidPart},
		"checksum":  {parts{{Number: 1, Checksums: []sherd.Checksum{value}}}, nil, sherd.ErrInvalidPart},
		"small":     {parts{{Number: 1}, {Number: 2}}, &sherd.CompleteOptions{MinPartBytes: 11}, sherd.ErrPartTooSmall},
		"size":      {parts{{Number: 1}}, &sherd.CompleteOptions{Size: 11}, sherd.ErrInvalidArgument},
		"whole":     {parts{{Number: 1}}, &sherd.CompleteOptions{Checksums: []sherd.Checksum{value}}, sherd.ErrBadDigest},
		"condition": {parts{{Number: 1}}, &sherd.CompleteOptions{Conditions: sherd.Conditions{IfMatch: "*"}}, sherd.ErrNoSuchKey},
	} {
		_, err := s.CompleteUpload(t.Context(), "bucket", "key", u.ID, c.parts, c.o)
		require.ErrorIs(t, err, c.err, name)
	}
	_, err = s.CompleteUpload(t.Context(), "bucket", "key", u.ID, parts{{Number: 1}, {Number: 2}, {Number: 3}}, &sherd.CompleteOptions{MinPartBytes: 11})
	require.ErrorIs(t, err, sherd.ErrPartTooSmall)
	_, err = s.CompleteUpload(t.Context(), "bucket", "other", u.ID, parts{{Number: 1}}, nil)
	require.ErrorIs(t, err, sherd.ErrNoSuchUpload)
	_, err = s.PutPart(t.Context(), "bucket", "key", u.ID, sherd.MaxPartNumber+1, nil, 0, nil)
	require.ErrorIs(t, err, sherd.ErrInvalidArgument)
	_, err = s.CompleteUpload(t.Context(), "bucket", "key", u.ID, parts{{Number: 2}}, nil)
	require.NoError(t, err)
}

func TestPartsAtTheSameTime(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	u, err := s.CreateUpload(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	const numbers, each = 6, 4
	var wg sync.WaitGroup
	for number := 1; number <= numbers; number++ {
		for range each {
			wg.Go(func() {
				content := bytes.Repeat([]byte{byte(number)}, 100_000+number)
				_, err := s.PutPart(t.Context(), "bucket", "key", u.ID, number, reader(content), -1, nil)
				require.NoError(t, err)
			})
		}
	}
	wg.Wait()
	var parts []sherd.CompletedPart
	for p, err := range s.ListParts(t.Context(), "bucket", "key", u.ID, 0) {
		require.NoError(t, err)
		parts = append(parts, sherd.CompletedPart{Number: p.Number, ETag: p.ETag})
	}
	require.Len(t, parts, numbers)
	won := make(chan error, 4)
	for range cap(won) {
		wg.Go(func() {
			_, err := s.CompleteUpload(t.Context(), "bucket", "key", u.ID, parts, nil)
			won <- err
		})
	}
	wg.Wait()
	close(won)
	winners := 0
	for err := range won {
		if err == nil {
			winners++
			continue
		}
		require.ErrorIs(t, err, sherd.ErrNoSuchUpload)
	}
	require.Equal(t, 1, winners)
	require.Equal(t, 600_000+21, len(get(t, s, "bucket", "key", nil)))
}

func TestAbandonedUploadsExpire(t *testing.T) {
	at := newClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s := newStore(t, &sherd.Options{Clock: at.Now})
	newBucket(t, s, "bucket", versioning.Unversioned)
	begin := func(key string) sherd.Upload {
		u, err := s.CreateUpload(t.Context(), "bucket", key, nil)
		require.NoError(t, err)
		return u
	}
	old := begin("old")
	at.Advance(time.Hour)
	begin("new")
	n, err := s.ExpireUploads(t.Context(), at.Now().Add(-time.Minute))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = s.StatUpload(t.Context(), "bucket", "old", old.ID)
	require.ErrorIs(t, err, sherd.ErrNoSuchUpload)
}

func TestUploadListing(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	var want []string
	for _, key := range []string{"a/1", "a/2", "b", "b", "c"} {
		u, err := s.CreateUpload(t.Context(), "bucket", key, nil)
		require.NoError(t, err)
		want = append(want, key+" "+u.ID)
	}
	list := func(o sherd.ListUploadsOptions) (out []string) {
		for u, err := range s.ListUploads(t.Context(), "bucket", &o) {
			require.NoError(t, err)
			if u.IsPrefix {
				out = append(out, u.Key+"*")
				continue
			}
			out = append(out, u.Key+" "+u.ID)
		}
		return out
	}
	require.Equal(t, want, list(sherd.ListUploadsOptions{}))
	require.Equal(t, slices.Concat([]string{"a/*"}, want[2:]), list(sherd.ListUploadsOptions{Delimiter: "/"}))
	require.Equal(t, want[2:], list(sherd.ListUploadsOptions{Delimiter: "/", KeyMarker: "a/"}))
	require.Equal(t, want[3:], list(sherd.ListUploadsOptions{KeyMarker: "b", UploadMarker: want[2][2:]}))
	require.Equal(t, want[4:], list(sherd.ListUploadsOptions{KeyMarker: "b"}))
	require.Equal(t, want[:2], list(sherd.ListUploadsOptions{Prefix: "a"}))
}

func ExampleStore_CompleteUpload() {
	ctx := context.Background()
	store, _ := sherd.NewMemory(4, nil)
	defer store.Close()
	store.CreateBucket(ctx, "films", nil)
	upload, _ := store.CreateUpload(ctx, "films", "reel", nil)
	var parts []sherd.CompletedPart
	for i, scene := range []string{"a train arrives. ", "people run."} {
		part, err := store.PutPart(ctx, "films", "reel", upload.ID, i+1, reader([]byte(scene)), -1, nil)
		if err != nil {
			panic(err)
		}
		parts = append(parts, sherd.CompletedPart{Number: part.Number, ETag: part.ETag})
	}
	store.CompleteUpload(ctx, "films", "reel", upload.ID, parts, nil)
	film, _ := store.Get(ctx, "films", "reel", nil)
	defer film.Close()
	content, _ := io.ReadAll(film)
	fmt.Println(string(content))
	// Output: a train arrives. people run.
}
