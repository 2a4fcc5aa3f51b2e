package main

// Goal: S3 and the program's own pages answer side by side, on memory and on
// drives, and a signal ends both in order. Method: the whole program on a free
// port of the loopback, and an AWS SDK. In package main, which cannot be imported.

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a program that was started.
type running struct {
	url    string
	client *http.Client
	s3     *s3.Client
	end    func()
}

func start(t *testing.T, drives ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	lines, out := io.Pipe()
	code := make(chan error, 1)
	go func() {
		code <- serve(ctx, "127.0.0.1:0", drives, out)
		_ = out.Close()
	}()
	line, err := bufio.NewReader(lines).ReadString('\n')
	if err != nil {
		t.Fatalf("it ended: %v", <-code)
	}
	_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), "S3 at ")
	endpoint, keys, _ := strings.Cut(line, ", access key ")
	access, secret, _ := strings.Cut(keys, ", secret key ")
	r := &running{url: strings.TrimSuffix(endpoint, "/s3"), client: &http.Client{Transport: &http.Transport{}}}
	r.s3 = s3.New(s3.Options{
		BaseEndpoint: &endpoint, UsePathStyle: true, HTTPClient: r.client, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, ""),
	})
	r.end = func() {
		r.client.CloseIdleConnections()
		stop()
		require.NoError(t, <-code)
	}
	return r
}

func (r *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	answer, err := r.client.Get(r.url + path)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

func TestBothAnswer(t *testing.T) {
	dir := t.TempDir()
	for name, drives := range map[string][]string{
		"memory": nil,
		"drives": {filepath.Join(dir, "d1"), filepath.Join(dir, "d2")},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, drives...)
			bucket, key := "box", "a//../b"
			_, err := r.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket})
			require.NoError(t, err)
			_, err = r.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("kept")})
			require.NoError(t, err)
			got, err := r.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
			require.NoError(t, err)
			text, err := io.ReadAll(got.Body)
			require.NoError(t, errors.Join(err, got.Body.Close()))
			require.Equal(t, "kept", string(text))

			code, page := r.get(t, "/")
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, "hello\n", page)
			for path, want := range map[string]int{"/s3": 403, "/s3/box/a//../b": 403, "/s3x": 404, "/box/key": 404} {
				code, _ := r.get(t, path)
				require.Equal(t, want, code, path)
			}
			code, page = r.get(t, "/metrics")
			require.Equal(t, http.StatusOK, code)
			for _, line := range []string{
				`s3_requests_total{operation="CreateBucket",status="200"} 1`,
				`s3_requests_total{operation="PutObject",status="200"} 1`,
				`s3_requests_total{operation="GetObject",status="200"} 1`,
				`s3_requests_total{operation="GetObject",status="403"} 1`,
				`s3_requests_total{operation="ListBuckets",status="403"} 1`,
			} {
				require.Contains(t, page, line+"\n")
			}
			r.end()
		})
	}
	_, err := os.Stat(filepath.Join(dir, "d2", "format.json"))
	require.NoError(t, err)
}

func TestRefused(t *testing.T) {
	require.Error(t, serve(t.Context(), "127.0.0.1:none", nil, io.Discard))
	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "photo.jpg"), nil, 0o600))
	require.Error(t, serve(t.Context(), "127.0.0.1:0", []string{foreign}, io.Discard))
}
