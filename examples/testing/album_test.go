package album_test

// Goal: the application does what its documentation says, and the defaults of an
// AWS SDK simply work. Method: every test has a store of its own in memory, and
// reaches it without a socket; where time matters it is the test's.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd"
	album "github.com/sherd-storage/sherd/examples/testing"
	"github.com/sherd-storage/sherd/s3api/s3test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open gives a store that ends with the test.
func open(t *testing.T, o *s3test.Options) *s3test.S3 {
	t.Helper()
	store, err := s3test.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// client is the SDK as config.LoadDefaultConfig sets it up, but that nothing of the
// machine that the test runs on is read.
func client(store *s3test.S3, endpoint, accessKey, secretKey string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, HTTPClient: store.Client, Region: store.Region,
		Credentials:                credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	})
}

func requireCode(t *testing.T, code string, err error) {
	t.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, code, api.ErrorCode())
}

func TestPicturesAreKept(t *testing.T) {
	store := open(t, nil)
	_, err := store.Store.CreateBucket(t.Context(), "pictures", nil) // what a test needs is prepared without HTTP
	require.NoError(t, err)
	pictures := album.New(client(store, store.URL, store.AccessKey, store.SecretKey), "pictures")
	for _, name := range []string{"2026/../sea.jpg", "a//b.jpg", "sky +%.jpg"} { // keys are names, not paths
		require.NoError(t, pictures.Add(t.Context(), name, strings.NewReader("the "+name)))
	}
	require.ErrorIs(t, pictures.Add(t.Context(), "a//b.jpg", strings.NewReader("another")), album.ErrTaken)
	names, err := pictures.Names(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"2026/../sea.jpg", "a//b.jpg", "sky +%.jpg"}, names)

	kept, err := store.Store.Get(t.Context(), "pictures", "a//b.jpg", nil) // and so is what it did looked at
	require.NoError(t, err)
	defer kept.Close()
	text, err := io.ReadAll(kept)
	require.NoError(t, err)
	require.Equal(t, "the a//b.jpg", string(text))
}

func TestWrongKeysAreRefused(t *testing.T) {
	store := open(t, nil)
	for code, keys := range map[string][2]string{
		"SignatureDoesNotMatch": {store.AccessKey, "not the secret"},
		"InvalidAccessKeyId":    {"nobody", store.SecretKey},
	} {
		_, err := album.New(client(store, store.URL, keys[0], keys[1]), "pictures").Names(t.Context())
		requireCode(t, code, err)
	}
}

func TestAnyKeysAndNoPreparation(t *testing.T) {
	store := open(t, &s3test.Options{AnyCredentials: true, MakeBuckets: true})
	pictures := album.New(client(store, store.URL, "whatever", "is given"), "pictures")
	require.NoError(t, pictures.Add(t.Context(), "sea.jpg", strings.NewReader("waves")))
	answer, err := store.Client.Get(store.URL + "/pictures/sea.jpg") // without any keys at all
	require.NoError(t, err)
	require.Equal(t, "waves", body(t, answer))
}

// body reads an answer to its end.
func body(t *testing.T, answer *http.Response) string {
	t.Helper()
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}

// clock goes on as all clocks do, and further when it is told.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

func TestLinkEnds(t *testing.T) {
	var now clock
	store := open(t, &s3test.Options{MakeBuckets: true, Store: &sherd.Options{Clock: now.Now}})
	pictures := album.New(client(store, store.URL, store.AccessKey, store.SecretKey), "pictures")
	require.NoError(t, pictures.Add(t.Context(), "sea.jpg", strings.NewReader("waves")))
	link, err := pictures.Link(t.Context(), "sea.jpg", time.Hour)
	require.NoError(t, err)

	now.Advance(59 * time.Minute)
	answer, err := store.Client.Get(link)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "waves", body(t, answer))

	now.Advance(time.Minute + time.Second)
	answer, err = store.Client.Get(link)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	require.Contains(t, body(t, answer), "expired")
}

func TestRetentionEnds(t *testing.T) {
	var now clock
	// The SDK signs by the machine's clock, which the store's is soon years ahead of.
	store := open(t, &s3test.Options{AnyCredentials: true, Store: &sherd.Options{Clock: now.Now}})
	_, err := store.Store.CreateBucket(t.Context(), "pictures", &sherd.BucketOptions{ObjectLock: true})
	require.NoError(t, err)
	pictures := album.New(client(store, store.URL, "any", "keys"), "pictures")
	require.NoError(t, pictures.Add(t.Context(), "sea.jpg", strings.NewReader("waves")))
	require.NoError(t, pictures.Keep(t.Context(), "sea.jpg", now.Now().AddDate(10, 0, 0)))
	requireCode(t, "AccessDenied", pictures.Destroy(t.Context(), "sea.jpg"))

	now.Advance(9 * 365 * 24 * time.Hour)
	requireCode(t, "AccessDenied", pictures.Destroy(t.Context(), "sea.jpg"))
	now.Advance(2 * 365 * 24 * time.Hour)
	require.NoError(t, pictures.Destroy(t.Context(), "sea.jpg"))
	names, err := pictures.Names(t.Context())
	require.NoError(t, err)
	require.Empty(t, names)
}

// TestDefaultChecksums shows where the SDK's checksums are: in a header over
// http://, behind the body over https://, and checked on every way back.
func TestDefaultChecksums(t *testing.T) {
	store := *open(t, &s3test.Options{MakeBuckets: true})
	over := &sent{next: store.Client.Transport}
	store.Client = &http.Client{Transport: over}
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte("waves"))))
	for endpoint, mode := range map[string]string{
		store.URL: "", // the digest of the body, which the signature covers
		strings.Replace(store.URL, "http:", "https:", 1): "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
	} {
		sdk := client(&store, endpoint, store.AccessKey, store.SecretKey)
		_, err := sdk.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("pictures"), Key: &endpoint, Body: strings.NewReader("waves")})
		require.NoError(t, err)
		if mode == "" {
			require.Len(t, over.payload.Load(), 64)
		} else {
			require.Equal(t, mode, over.payload.Load())
		}
		got, err := sdk.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("pictures"), Key: &endpoint})
		require.NoError(t, err)
		require.Equal(t, sum, aws.ToString(got.ChecksumCRC32))
		require.Equal(t, types.ChecksumTypeFullObject, got.ChecksumType)
		text, err := io.ReadAll(got.Body)
		require.NoError(t, errors.Join(err, got.Body.Close()))
		require.Equal(t, "waves", string(text))
	}
}

// sent remembers how the body of the last PUT was bound to its signature.
type sent struct {
	next    http.RoundTripper
	payload atomic.Value
}

func (s *sent) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		s.payload.Store(r.Header.Get("X-Amz-Content-Sha256"))
	}
	return s.next.RoundTrip(r)
}

func TestLargePictures(t *testing.T) {
	store := open(t, &s3test.Options{MakeBuckets: true})
	manager := transfermanager.New(client(store, store.URL, store.AccessKey, store.SecretKey))
	picture := make([]byte, 20<<20)
	rand.Read(picture)
	// A body that can not be sought in goes as parts, which the manager holds.
	_, err := manager.UploadObject(t.Context(), &transfermanager.UploadObjectInput{
		Bucket: aws.String("pictures"), Key: aws.String("large"), Body: io.MultiReader(bytes.NewReader(picture))})
	require.NoError(t, err)
	back := make([]byte, len(picture))
	got, err := manager.DownloadObject(t.Context(), &transfermanager.DownloadObjectInput{
		Bucket: aws.String("pictures"), Key: aws.String("large"), WriterAt: &buffer{back}})
	require.NoError(t, err)
	require.EqualValues(t, len(picture), aws.ToInt64(got.ContentLength))
	require.True(t, bytes.Equal(picture, back))
	info, err := store.Store.Stat(context.Background(), "pictures", "large", nil)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(info.ETag, "-3"), info.ETag) // 8 MiB a part
}

// buffer is memory that is written here and there.
type buffer struct{ bytes []byte }

func (b *buffer) WriteAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > int64(len(b.bytes)) {
		return 0, io.ErrShortBuffer
	}
	return copy(b.bytes[at:], p), nil
}
