// minio-go with its defaults: what mc and restic ask, transfers of files and of
// streams, presigned requests, copies, listings, versions, tags, locks. What
// comes back is compared with what went in.
package conformance_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/tags"
	"github.com/stretchr/testify/require"
)

// minioClient makes a client and a bucket that is emptied and removed at the end.
func minioClient(t *testing.T, how minio.MakeBucketOptions) (*minio.Client, string) {
	t.Helper()
	return newMinioClient(t, false, how)
}

// newMinioClient also says whether checksums go in trailers, as mc has them.
func newMinioClient(t *testing.T, trailing bool, how minio.MakeBucketOptions) (*minio.Client, string) {
	t.Helper()
	at := open(t)
	client, err := minio.New(at.url.Host, &minio.Options{
		Creds: credentials.NewStaticV4(at.access, at.secret, ""), Secure: at.url.Scheme == "https", TrailingHeaders: trailing,
	})
	require.NoError(t, err)
	name := bucket(t)
	require.NoError(t, client.MakeBucket(t.Context(), name, how))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		all := client.ListObjects(ctx, name, minio.ListObjectsOptions{Recursive: true, WithVersions: true})
		for e := range client.RemoveObjects(ctx, name, all, minio.RemoveObjectsOptions{GovernanceBypass: true}) {
			require.NoError(t, e.Err, e.ObjectName)
		}
		require.NoError(t, client.RemoveBucket(ctx, name))
		exists, err := client.BucketExists(ctx, name)
		require.NoError(t, err)
		require.False(t, exists)
	})
	return client, name
}

func minioPut(t *testing.T, client *minio.Client, bucket, key string, body []byte, o minio.PutObjectOptions) minio.UploadInfo {
	t.Helper()
	info, err := client.PutObject(t.Context(), bucket, key, bytes.NewReader(body), int64(len(body)), o)
	require.NoError(t, err, key)
	return info
}

func minioGet(t *testing.T, client *minio.Client, bucket, key string, o minio.GetObjectOptions) []byte {
	t.Helper()
	object, err := client.GetObject(t.Context(), bucket, key, o)
	require.NoError(t, err, key)
	defer object.Close()
	got, err := io.ReadAll(object)
	require.NoError(t, err, key)
	return got
}

// What mc asks before it does anything: the region of the bucket, the list of
// them, whether one exists, and one level of a listing.
func TestMinioFirstQuestions(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	location, err := client.GetBucketLocation(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, region, location)
	exists, err := client.BucketExists(t.Context(), b)
	require.NoError(t, err)
	require.True(t, exists)
	exists, err = client.BucketExists(t.Context(), "no-such-bucket")
	require.NoError(t, err)
	require.False(t, exists)
	buckets, err := client.ListBuckets(t.Context())
	require.NoError(t, err)
	var names []string
	for _, one := range buckets {
		names = append(names, one.Name)
	}
	require.Contains(t, names, b)

	for _, key := range []string{"a b/1", "a b/2", "c+d/1", "top", "ü/1"} {
		minioPut(t, client, b, key, []byte("x"), minio.PutObjectOptions{})
	}
	for o, want := range map[*minio.ListObjectsOptions][]string{
		{}:                                    {"top", "a b/", "c+d/", "ü/"},
		{UseV1: true}:                         {"top", "a b/", "c+d/", "ü/"},
		{Recursive: true, MaxKeys: 2}:         {"a b/1", "a b/2", "c+d/1", "top", "ü/1"},
		{Prefix: "a b/"}:                      {"a b/1", "a b/2"},
		{Prefix: "a b/", StartAfter: "a b/1"}: {"a b/2"},
	} {
		var keys []string
		for object := range client.ListObjects(t.Context(), b, *o) {
			require.NoError(t, object.Err)
			keys = append(keys, object.Key)
		}
		require.ElementsMatch(t, want, keys, "%+v", *o)
	}
	_, err = client.StatObject(t.Context(), b, "a b", minio.StatObjectOptions{})
	require.Equal(t, "NoSuchKey", minio.ToErrorResponse(err).Code)
}

func TestMinioFiles(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	for _, size := range sizes(t) {
		name, key := file(t, size), "file/"+strconv.FormatInt(size, 10)
		_, err := client.FPutObject(t.Context(), b, key, name, minio.PutObjectOptions{
			ContentType: "text/x-sherd", UserMetadata: map[string]string{"Colour": "blue"},
		})
		require.NoError(t, err, "%d bytes", size)
		into := filepath.Join(t.TempDir(), "down")
		require.NoError(t, client.FGetObject(t.Context(), b, key, into, minio.GetObjectOptions{}), "%d bytes", size)
		require.Equal(t, sumFile(t, name), sumFile(t, into), "%d bytes", size)
		stat, err := client.StatObject(t.Context(), b, key, minio.StatObjectOptions{})
		require.NoError(t, err)
		require.Equal(t, "text/x-sherd", stat.ContentType)
		require.Equal(t, "blue", stat.UserMetadata["Colour"])
		require.Equal(t, size, stat.Size)
	}
}

// A stream of unknown length goes up in parts; a reader seeks in what is there.
func TestMinioStreams(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	body := random(20 * mib)
	_, err := client.PutObject(t.Context(), b, "stream", io.MultiReader(bytes.NewReader(body)), -1, minio.PutObjectOptions{PartSize: 16 * mib})
	require.NoError(t, err)
	object, err := client.GetObject(t.Context(), b, "stream", minio.GetObjectOptions{})
	require.NoError(t, err)
	defer object.Close()
	some := make([]byte, 1000)
	for _, at := range []int64{17 * mib, 0, 16*mib - 500} {
		_, err = object.ReadAt(some, at)
		require.NoError(t, err)
		require.Equal(t, body[at:at+1000], some)
	}
	_, err = object.Seek(-10, io.SeekEnd)
	require.NoError(t, err)
	tail, err := io.ReadAll(object)
	require.NoError(t, err)
	require.Equal(t, body[len(body)-10:], tail)
}

// Every checksum that S3 had before 2026, in the trailer of the body.
func TestMinioChecksums(t *testing.T) {
	client, b := newMinioClient(t, true, minio.MakeBucketOptions{})
	body := random(70000)
	for _, kind := range []minio.ChecksumType{
		minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumCRC64NVME, minio.ChecksumSHA1, minio.ChecksumSHA256,
	} {
		minioPut(t, client, b, "sum", body, minio.PutObjectOptions{Checksum: kind})
		require.Equal(t, body, minioGet(t, client, b, "sum", minio.GetObjectOptions{Checksum: true}), kind.String())
		attributes, err := client.GetObjectAttributes(t.Context(), b, "sum", minio.ObjectAttributesOptions{})
		require.NoError(t, err, kind.String())
		require.EqualValues(t, len(body), attributes.ObjectSize)
	}
}

func TestMinioPresigned(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	key, body := "pre signed/ü+&", random(70000)
	put, err := client.PresignedPutObject(t.Context(), b, key, time.Minute)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, put.String(), bytes.NewReader(body))
	require.NoError(t, err)
	requireStatus(t, http.StatusOK, request)
	get, err := client.PresignedGetObject(t.Context(), b, key, time.Minute, map[string][]string{"response-content-type": {"text/x-sherd"}})
	require.NoError(t, err)
	request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, get.String(), nil)
	require.NoError(t, err)
	require.Equal(t, string(body), requireStatus(t, http.StatusOK, request))
	head, err := client.PresignedHeadObject(t.Context(), b, key, time.Minute, nil)
	require.NoError(t, err)
	request, err = http.NewRequestWithContext(t.Context(), http.MethodHead, head.String(), nil)
	require.NoError(t, err)
	requireStatus(t, http.StatusOK, request)
}

// requireStatus sends a request and gives the body of the answer.
func requireStatus(t *testing.T, status int, request *http.Request) string {
	t.Helper()
	got, said := send(t, request)
	require.Equal(t, status, got, "%s %s: %.500s", request.Method, request.URL, said)
	return said
}

// send gives the status and the body of the answer.
func send(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(said)
}

func TestMinioCopies(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	body := random(6 * mib)
	minioPut(t, client, b, "from/a b+ü", body, minio.PutObjectOptions{UserMetadata: map[string]string{"Colour": "blue"}})
	source := minio.CopySrcOptions{Bucket: b, Object: "from/a b+ü"}
	_, err := client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: b, Object: "copy"}, source)
	require.NoError(t, err)
	require.Equal(t, body, minioGet(t, client, b, "copy", minio.GetObjectOptions{}))
	stat, err := client.StatObject(t.Context(), b, "copy", minio.StatObjectOptions{})
	require.NoError(t, err)
	require.Equal(t, "blue", stat.UserMetadata["Colour"])

	first := source
	first.MatchRange, first.Start, first.End = true, 0, 5*mib-1
	_, err = client.ComposeObject(t.Context(), minio.CopyDestOptions{Bucket: b, Object: "composed"}, first, source)
	require.NoError(t, err)
	want := append(bytes.Clone(body[:5*mib]), body...)
	require.Equal(t, want, minioGet(t, client, b, "composed", minio.GetObjectOptions{}))
}

func TestMinioIncompleteUploads(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	core := minio.Core{Client: client}
	id, err := core.NewMultipartUpload(t.Context(), b, "a b/ü", minio.PutObjectOptions{})
	require.NoError(t, err)
	_, err = core.PutObjectPart(t.Context(), b, "a b/ü", id, 1, bytes.NewReader(random(5000)), 5000, minio.PutObjectPartOptions{})
	require.NoError(t, err)
	var seen []string
	for upload := range client.ListIncompleteUploads(t.Context(), b, "", true) {
		require.NoError(t, upload.Err)
		seen = append(seen, upload.Key)
	}
	require.Equal(t, []string{"a b/ü"}, seen)
	require.NoError(t, client.RemoveIncompleteUpload(t.Context(), b, "a b/ü"))
	for range client.ListIncompleteUploads(t.Context(), b, "", true) {
		require.Fail(t, "an upload is left")
	}
}

func TestMinioVersions(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	require.NoError(t, client.EnableVersioning(t.Context(), b))
	how, err := client.GetBucketVersioning(t.Context(), b)
	require.NoError(t, err)
	require.True(t, how.Enabled())
	one := minioPut(t, client, b, "k", []byte("one"), minio.PutObjectOptions{})
	minioPut(t, client, b, "k", []byte("two"), minio.PutObjectOptions{})
	require.NoError(t, client.RemoveObject(t.Context(), b, "k", minio.RemoveObjectOptions{}))
	old := minio.GetObjectOptions{}
	old.VersionID = one.VersionID
	require.Equal(t, "one", string(minioGet(t, client, b, "k", old)))
	versions, markers := 0, 0
	for object := range client.ListObjects(t.Context(), b, minio.ListObjectsOptions{WithVersions: true, Recursive: true}) {
		require.NoError(t, object.Err)
		versions++
		if object.IsDeleteMarker {
			markers++
			require.True(t, object.IsLatest)
		}
	}
	require.Equal(t, []int{3, 1}, []int{versions, markers})
	require.NoError(t, client.SuspendVersioning(t.Context(), b))
}

func TestMinioTags(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	some, err := tags.NewTags(map[string]string{"colour": "blue", "a b": "c+d"}, true)
	require.NoError(t, err)
	minioPut(t, client, b, "k", []byte("x"), minio.PutObjectOptions{UserTags: map[string]string{"first": "1"}})
	require.NoError(t, client.PutObjectTagging(t.Context(), b, "k", some, minio.PutObjectTaggingOptions{}))
	got, err := client.GetObjectTagging(t.Context(), b, "k", minio.GetObjectTaggingOptions{})
	require.NoError(t, err)
	require.Equal(t, some.ToMap(), got.ToMap())
	require.NoError(t, client.RemoveObjectTagging(t.Context(), b, "k", minio.RemoveObjectTaggingOptions{}))

	require.NoError(t, client.SetBucketTagging(t.Context(), b, some))
	got, err = client.GetBucketTagging(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, some.ToMap(), got.ToMap())
	require.NoError(t, client.RemoveBucketTagging(t.Context(), b))
	_, err = client.GetBucketTagging(t.Context(), b)
	require.Equal(t, "NoSuchTagSet", minio.ToErrorResponse(err).Code)
}

func TestMinioLock(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{ObjectLocking: true})
	info := minioPut(t, client, b, "k", []byte("x"), minio.PutObjectOptions{})
	mode, until := minio.Governance, time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	require.NoError(t, client.PutObjectRetention(t.Context(), b, "k", minio.PutObjectRetentionOptions{
		Mode: &mode, RetainUntilDate: &until,
	}))
	gotMode, gotUntil, err := client.GetObjectRetention(t.Context(), b, "k", "")
	require.NoError(t, err)
	require.Equal(t, mode, *gotMode)
	require.True(t, until.Equal(*gotUntil))
	require.Error(t, client.RemoveObject(t.Context(), b, "k", minio.RemoveObjectOptions{VersionID: info.VersionID}))

	on, off := minio.LegalHoldEnabled, minio.LegalHoldDisabled
	require.NoError(t, client.PutObjectLegalHold(t.Context(), b, "k", minio.PutObjectLegalHoldOptions{Status: &on}))
	held, err := client.GetObjectLegalHold(t.Context(), b, "k", minio.GetObjectLegalHoldOptions{})
	require.NoError(t, err)
	require.Equal(t, on, *held)
	require.NoError(t, client.PutObjectLegalHold(t.Context(), b, "k", minio.PutObjectLegalHoldOptions{Status: &off}))

	days, unit := uint(1), minio.Days
	require.NoError(t, client.SetObjectLockConfig(t.Context(), b, &mode, &days, &unit))
	enabled, gotMode, gotDays, gotUnit, err := client.GetObjectLockConfig(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, "Enabled", enabled)
	require.Equal(t, []any{mode, days, unit}, []any{*gotMode, *gotDays, *gotUnit})
	require.NoError(t, client.SetObjectLockConfig(t.Context(), b, nil, nil, nil))
}
