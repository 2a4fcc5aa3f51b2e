// aws-sdk-go-v2 with its defaults, checksums included: single requests, the
// transfer manager, presigned URLs, copies, listings, versions. What comes back
// is compared with what went in.
package conformance_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

// awsClient makes a client and a bucket that is emptied and removed at the end.
func awsClient(t *testing.T) (*s3.Client, string) {
	t.Helper()
	at := open(t)
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(at.url.String()), Region: region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(at.access, at.secret, ""),
		// As the defaults are, where they are loaded from the environment.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	})
	name := bucket(t)
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name})
	require.NoError(t, err)
	t.Cleanup(func() { awsRemove(t, client, name) })
	return client, name
}

func awsRemove(t *testing.T, client *s3.Client, name string) {
	ctx := context.WithoutCancel(t.Context())
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		require.NoError(t, err)
		var all []types.ObjectIdentifier
		for _, v := range page.Versions {
			all = append(all, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			all = append(all, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if len(all) == 0 {
			break
		}
		gone, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &name, Delete: &types.Delete{Objects: all}})
		require.NoError(t, err)
		require.Empty(t, gone.Errors)
		require.Len(t, gone.Deleted, len(all))
	}
	_, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name})
	require.NoError(t, err)
	_, err = client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
	requireCode(t, "NotFound", err)
}

func requireCode(t *testing.T, code string, err error) {
	t.Helper()
	var api smithy.APIError
	require.True(t, errors.As(err, &api), "%v", err)
	require.Equal(t, code, api.ErrorCode())
}

func awsPut(t *testing.T, client *s3.Client, bucket, key string, body []byte) *s3.PutObjectOutput {
	t.Helper()
	out, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	require.NoError(t, err)
	return out
}

func awsGet(t *testing.T, client *s3.Client, in *s3.GetObjectInput) []byte {
	t.Helper()
	out, err := client.GetObject(t.Context(), in)
	require.NoError(t, err)
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	require.NoError(t, err)
	return got
}

func TestAWSPutAndGet(t *testing.T) {
	client, b := awsClient(t)
	for _, size := range []int{0, 1, 5000, mib, 8*mib + 1} {
		body, key := random(size), "put/"+strconv.Itoa(size)
		out, err := client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &b, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("text/x-sherd"),
			Metadata: map[string]string{"colour": "blue"},
		})
		require.NoError(t, err)
		require.NotEmpty(t, out.ChecksumCRC32, "the default checksum")
		require.Equal(t, body, awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: &key}))
		head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		require.NoError(t, err)
		require.Equal(t, "text/x-sherd", *head.ContentType)
		require.Equal(t, map[string]string{"colour": "blue"}, head.Metadata)
		require.Equal(t, out.ChecksumCRC32, head.ChecksumCRC32)
	}
	ranged := awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: aws.String("put/5000"), Range: aws.String("bytes=10-19")})
	require.Len(t, ranged, 10)
	_, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: aws.String("nothing")})
	requireCode(t, "NoSuchKey", err)
}

func TestAWSTransferManager(t *testing.T) {
	client, b := awsClient(t)
	manager := transfermanager.New(client)
	for _, size := range sizes(t) {
		name, key := file(t, size), "file/"+strconv.FormatInt(size, 10)
		up, err := os.Open(name)
		require.NoError(t, err)
		_, err = manager.UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: &b, Key: &key, Body: up})
		require.NoError(t, err, "%d bytes", size)
		require.NoError(t, up.Close())

		into := filepath.Join(t.TempDir(), "down")
		down, err := os.Create(into)
		require.NoError(t, err)
		_, err = manager.DownloadObject(t.Context(), &transfermanager.DownloadObjectInput{Bucket: &b, Key: &key, WriterAt: down})
		require.NoError(t, err, "%d bytes", size)
		require.NoError(t, down.Close())
		require.Equal(t, sumFile(t, name), sumFile(t, into), "%d bytes", size)

		stream, err := manager.GetObject(t.Context(), &transfermanager.GetObjectInput{Bucket: &b, Key: &key})
		require.NoError(t, err, "%d bytes", size)
		require.Equal(t, sumFile(t, name), sum(t, stream.Body), "%d bytes", size)
	}
}

// A stream of unknown length goes up in parts.
func TestAWSTransferManagerStream(t *testing.T) {
	client, b := awsClient(t)
	body := random(9 * mib)
	_, err := transfermanager.New(client).UploadObject(t.Context(), &transfermanager.UploadObjectInput{
		Bucket: &b, Key: aws.String("stream"), Body: io.MultiReader(bytes.NewReader(body)),
	})
	require.NoError(t, err)
	require.Equal(t, body, awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: aws.String("stream")}))
}

func TestAWSTransferManagerDirectory(t *testing.T) {
	client, b := awsClient(t)
	from, into := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b c", "d+e", "f/ü", "f/g#h"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(from, name), random(5000), 0o600))
	}
	manager := transfermanager.New(client)
	_, err := manager.UploadDirectory(t.Context(), &transfermanager.UploadDirectoryInput{
		Bucket: &b, Source: &from, Recursive: aws.Bool(true),
	})
	require.NoError(t, err)
	_, err = manager.DownloadDirectory(t.Context(), &transfermanager.DownloadDirectoryInput{Bucket: &b, Destination: &into})
	require.NoError(t, err)
	for _, name := range []string{"a", "b c", "d+e", "f/ü", "f/g#h"} {
		require.Equal(t, sumFile(t, filepath.Join(from, name)), sumFile(t, filepath.Join(into, name)), name)
	}
}

func TestAWSPresigned(t *testing.T) {
	client, b := awsClient(t)
	key, body := "pre signed/ü+&", random(70000)
	presign := s3.NewPresignClient(client)
	put, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: &key})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), put.Method, put.URL, bytes.NewReader(body))
	require.NoError(t, err)
	for name, values := range put.SignedHeader {
		if !strings.EqualFold(name, "Host") && !strings.EqualFold(name, "Content-Length") {
			request.Header[name] = values
		}
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	said, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", said)

	get, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &key})
	require.NoError(t, err)
	request, err = http.NewRequestWithContext(t.Context(), get.Method, get.URL, nil)
	require.NoError(t, err)
	response, err = http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, body, got)
}

func TestAWSMultipartCopy(t *testing.T) {
	client, b := awsClient(t)
	part := random(5 * mib)
	awsPut(t, client, b, "from/a b", part)
	source := aws.String(b + "/from/a%20b")
	_, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &b, Key: aws.String("copy"), CopySource: source})
	require.NoError(t, err)
	require.Equal(t, part, awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: aws.String("copy")}))

	key := aws.String("parts")
	upload, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &b, Key: key})
	require.NoError(t, err)
	one, err := client.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{
		Bucket: &b, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(1), CopySource: source,
	})
	require.NoError(t, err)
	two, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: &b, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(2), Body: strings.NewReader("end"),
	})
	require.NoError(t, err)
	_, err = client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &b, Key: key, UploadId: upload.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{
			{PartNumber: aws.Int32(1), ETag: one.CopyPartResult.ETag},
			{PartNumber: aws.Int32(2), ETag: two.ETag, ChecksumCRC32: two.ChecksumCRC32},
		}},
	})
	require.NoError(t, err)
	got := awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: key})
	require.Equal(t, append(slices.Clone(part), "end"...), got)
}

func TestAWSListings(t *testing.T) {
	client, b := awsClient(t)
	var names []string
	for _, folder := range []string{"a b", "c+d", "ü"} {
		for n := range 4 {
			name := "list/" + folder + "/" + strconv.Itoa(n)
			names = append(names, name)
			awsPut(t, client, b, name, []byte("x"))
		}
	}
	var keys, prefixes []string
	flat := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &b, MaxKeys: aws.Int32(5)})
	for flat.HasMorePages() {
		page, err := flat.NextPage(t.Context())
		require.NoError(t, err)
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	require.Equal(t, names, keys)
	tree := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
		Bucket: &b, Prefix: aws.String("list/"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(1),
	})
	for tree.HasMorePages() {
		page, err := tree.NextPage(t.Context())
		require.NoError(t, err)
		for _, p := range page.CommonPrefixes {
			prefixes = append(prefixes, *p.Prefix)
		}
	}
	require.Equal(t, []string{"list/a b/", "list/c+d/", "list/ü/"}, prefixes)
}

func TestAWSVersions(t *testing.T) {
	client, b := awsClient(t)
	_, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	require.NoError(t, err)
	one := awsPut(t, client, b, "k", []byte("one"))
	two := awsPut(t, client, b, "k", []byte("two"))
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: aws.String("k")})
	require.NoError(t, err)
	require.Equal(t, "one", string(awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: aws.String("k"), VersionId: one.VersionId})))
	all, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &b})
	require.NoError(t, err)
	require.Len(t, all.Versions, 2)
	require.Len(t, all.DeleteMarkers, 1)
	require.Equal(t, *two.VersionId, *all.Versions[0].VersionId)
}

func TestAWSChecksums(t *testing.T) {
	client, b := awsClient(t)
	key, body := "sum", random(70000)
	for _, algorithm := range []types.ChecksumAlgorithm{
		types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme,
		types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
	} {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &b, Key: &key, Body: bytes.NewReader(body), ChecksumAlgorithm: algorithm,
		})
		require.NoError(t, err, algorithm)
		require.Equal(t, body, awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: &key}), algorithm)
		attributes, err := client.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{
			Bucket: &b, Key: &key, ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesChecksum, types.ObjectAttributesObjectSize},
		})
		require.NoError(t, err, algorithm)
		require.EqualValues(t, len(body), *attributes.ObjectSize)
		require.NotNil(t, attributes.Checksum)
	}
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &b, Key: &key, Body: strings.NewReader("x"), ChecksumCRC32: aws.String("AAAAAA=="),
	})
	requireCode(t, "BadDigest", err)
	require.Equal(t, body, awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: &key}))
}

func TestAWSTags(t *testing.T) {
	client, b := awsClient(t)
	key := aws.String("tagged")
	awsPut(t, client, b, *key, []byte("x"))
	tags := []types.Tag{{Key: aws.String("colour"), Value: aws.String("blue")}}
	_, err := client.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: &b, Key: key, Tagging: &types.Tagging{TagSet: tags}})
	require.NoError(t, err)
	got, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &b, Key: key})
	require.NoError(t, err)
	require.Equal(t, tags, got.TagSet)
}
