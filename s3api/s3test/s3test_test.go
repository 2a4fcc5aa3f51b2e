// Goal: a store for tests does what its options say, and without them is as strict
// as any. Method: plain requests of net/http, without an SDK and mostly without a
// signature, by paths and by hosts.
package s3test_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/s3test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o *s3test.Options) *s3test.S3 {
	t.Helper()
	s3, err := s3test.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s3.Close()) })
	return s3
}

// send gives the status and the body of an answer.
func send(t *testing.T, client *http.Client, method, url, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	answer, err := client.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode, string(text)
}

const (
	version4 = "AWS4-HMAC-SHA256 Credential=anybody/20300102/anywhere/s3/aws4_request, SignedHeaders=host, Signature=" +
		"0000000000000000000000000000000000000000000000000000000000000000"
	version2 = "AWS anybody:AAAAAAAAAAAAAAAAAAAAAAAAAAA="
)

// claims are ways to claim to be somebody that nobody checks.
func claims() map[string][]string {
	return map[string][]string{
		"nobody": nil,
		"header": {"Authorization", version4, "X-Amz-Date", "20300102T030405Z", "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"},
		"old":    {"Authorization", version2, "Date", "Wed, 02 Jan 2030 03:04:05 GMT"},
	}
}

func TestWithoutOptions(t *testing.T) {
	s3 := open(t, nil)
	for name, claim := range claims() {
		status, body := send(t, s3.Client, "PUT", s3.URL+"/photos", "", claim...)
		require.Equal(t, http.StatusForbidden, status, "%s: %s", name, body)
	}
	for info := range s3.Store.ListBuckets(t.Context(), nil) {
		require.Fail(t, "made by nobody", info.Name)
	}
}

func TestAnyCredentials(t *testing.T) {
	s3 := open(t, &s3test.Options{AnyCredentials: true})
	status, body := send(t, s3.Client, "PUT", s3.URL+"/photos/a", "x")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "NoSuchBucket")
	status, _ = send(t, s3.Client, "PUT", s3.URL+"/photos", "")
	require.Equal(t, http.StatusOK, status)
	query := "?AWSAccessKeyId=anybody&Expires=1&Signature=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"
	for name, claim := range claims() {
		for _, presigned := range []string{"", query} {
			if presigned != "" && claim != nil {
				continue
			}
			status, body = send(t, s3.Client, "PUT", s3.URL+"/photos/"+name+presigned, "some bytes", claim...)
			require.Equal(t, http.StatusOK, status, "%s: %s", name, body)
			status, body = send(t, s3.Client, "GET", s3.URL+"/photos/"+name+presigned, "", claim...)
			require.Equal(t, http.StatusOK, status, name)
			require.Equal(t, "some bytes", body)
		}
	}
	chunk := "5;chunk-signature=" + strings.Repeat("0", 64) + "\r\nbytes\r\n0;chunk-signature=" + strings.Repeat("0", 64) + "\r\n\r\n"
	claim := append(claims()["header"], "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length", "5")
	status, body = send(t, s3.Client, "PUT", s3.URL+"/photos/chunks", chunk, claim...)
	require.Equal(t, http.StatusOK, status, body)
	_, body = send(t, s3.Client, "GET", s3.URL+"/photos/chunks", "")
	require.Equal(t, "bytes", body)
	status, body = send(t, s3.Client, "PUT", s3.URL+"/photos/b", "x", "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")
	require.Equal(t, http.StatusBadRequest, status, "what is not about credentials is as strict as ever")
	require.Contains(t, body, "BadDigest")
}

func TestMakeBuckets(t *testing.T) {
	s3 := open(t, &s3test.Options{AnyCredentials: true, MakeBuckets: true})
	server := httptest.NewServer(s3.Handler)
	defer server.Close()
	socket := server.Client()
	for name, c := range map[string]struct {
		client *http.Client
		url    string
		host   string
	}{
		"by-path":   {s3.Client, s3.URL + "/by-path/", "s3.test"},
		"by-host":   {s3.Client, "http://by-host.s3.test/", "by-host.s3.test"},
		"by-socket": {socket, server.URL + "/by-socket/", "127.0.0.1"},
		"by-port":   {socket, server.URL + "/", "by-port.s3.test:8080"},
	} {
		for _, key := range []string{"a", "dir/a?x-id=PutObject"} {
			status, body := send(t, c.client, "PUT", c.url+key, "some bytes", "Host", c.host)
			require.Equal(t, http.StatusOK, status, "%s: %s", name, body)
			_, body = send(t, c.client, "GET", c.url+strings.TrimSuffix(key, "?x-id=PutObject"), "", "Host", c.host)
			require.Equal(t, "some bytes", body, name)
		}
	}
	names := []string{}
	for info, err := range s3.Store.ListBuckets(t.Context(), nil) {
		require.NoError(t, err)
		names = append(names, info.Name)
	}
	require.Equal(t, []string{"by-host", "by-path", "by-port", "by-socket"}, names, "those that were named, and no others")

	for _, method := range []string{"GET", "HEAD"} {
		status, _ := send(t, s3.Client, method, s3.URL+"/by-"+strings.ToLower(method), "")
		require.Equal(t, http.StatusOK, status)
	}
	status, _ := send(t, s3.Client, "GET", s3.URL+"/by-read/missing", "")
	require.Equal(t, http.StatusNotFound, status)
	status, body := send(t, s3.Client, "PUT", s3.URL+"/by-copy/a", "", "X-Amz-Copy-Source", "/by-path/a")
	require.Equal(t, http.StatusOK, status, body)
	status, body = send(t, s3.Client, "PUT", s3.URL+"/NotAName/a", "x")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "InvalidBucketName")
}

// Buckets are made for who names them, and one that is made or removed by name is
// made or removed by that request alone.
func TestMakeBucketsAndMakingBuckets(t *testing.T) {
	s3 := open(t, &s3test.Options{AnyCredentials: true, MakeBuckets: true})
	claim := claims()["old"]
	for _, path := range []string{"/photos/a", "/photos"} { // the second time it is there, and one's own
		status, body := send(t, s3.Client, "PUT", s3.URL+path, "", claim...)
		require.Equal(t, http.StatusOK, status, body)
	}
	status, body := send(t, s3.Client, "PUT", s3.URL+"/locked?x-id=CreateBucket", "", "X-Amz-Bucket-Object-Lock-Enabled", "true")
	require.Equal(t, http.StatusOK, status, body)
	configuration, err := s3.Store.ObjectLock(t.Context(), "locked")
	require.NoError(t, err)
	require.True(t, configuration.Enabled)
	status, body = send(t, s3.Client, "DELETE", s3.URL+"/never", "")
	require.Equal(t, http.StatusNotFound, status, body)
	status, _ = send(t, s3.Client, "DELETE", s3.URL+"/photos/a", "")
	require.Equal(t, http.StatusNoContent, status)
	status, _ = send(t, s3.Client, "DELETE", s3.URL+"/photos", "")
	require.Equal(t, http.StatusNoContent, status)
	_, err = s3.Store.StatBucket(t.Context(), "photos")
	require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
}

func TestMakeBucketsForThoseWhoMay(t *testing.T) {
	s3 := open(t, &s3test.Options{MakeBuckets: true})
	for name, claim := range claims() {
		status, body := send(t, s3.Client, "PUT", s3.URL+"/photos/a", "x", claim...)
		require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, status, "%s: %s", name, body)
	}
	_, err := s3.Store.StatBucket(t.Context(), "photos")
	require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
}

func TestObserveAndClock(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	var seen []s3api.Exchange
	s3 := open(t, &s3test.Options{
		AnyCredentials: true, MakeBuckets: true, Drives: 6, Store: &sherd.Options{Clock: func() time.Time { return at }},
		Observe: func(x s3api.Exchange) { seen = append(seen, x) },
	})
	answer, err := s3.Client.Post(s3.URL+"/photos/a?uploads", "", nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, answer.Body) // it ends when the handler has
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, at.Format(http.TimeFormat), answer.Header.Get("Date"))
	send(t, s3.Client, "PUT", s3.URL+"/photos/a", "some bytes", claims()["old"]...)
	send(t, s3.Client, "GET", s3.URL+"/photos/missing", "")
	require.Len(t, seen, 3)
	put, get := seen[1], seen[2]
	require.Equal(t, []any{"PutObject", "photos", "a", "anybody", "PUT", 200, "", int64(10)},
		[]any{put.Operation, put.Bucket, put.Key, put.AccessKey, put.Method, put.Status, put.Code, put.In})
	require.Equal(t, []any{"GetObject", "missing", "", 404, "NoSuchKey"}, []any{get.Operation, get.Key, get.AccessKey, get.Status, get.Code})
	require.Positive(t, get.Out)
	require.Error(t, get.Err)
}
