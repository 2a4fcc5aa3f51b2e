package main

// Goal: tests of the whole program in this process. Method: run is started with
// a context of its own on a free port of the loopback, requests are signed by a
// small signer, and every test ends what it started. In package main, which
// cannot be imported.

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain makes the test binary the server where a test started it as one: a
// process of its own, to be killed, stopped and starved. It ends with the test,
// however that ends, as nobody holds its standard input any more.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(exitFailed)
		}()
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// running is a server that was started.
type running struct {
	url    string
	stdout string // up to the line with the URL
	stderr *lockedBuffer
	client *http.Client
	stop   context.CancelFunc
	code   chan int
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs the program until it says where it serves.
func start(t *testing.T, getenv func(string) string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{stderr: &lockedBuffer{}, stop: cancel, code: make(chan int, 1)}
	r.client = &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, ExpectContinueTimeout: time.Minute}}
	out, stdout := io.Pipe()
	go func() {
		r.code <- run(ctx, append([]string{"-address", "127.0.0.1:0"}, args...), getenv, stdout, r.stderr)
		_ = stdout.Close()
	}()
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		cancel()
		_, _ = io.Copy(io.Discard, out)
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		r.stdout += lines.Text() + "\n"
		if rest, ok := strings.CutPrefix(lines.Text(), "serving S3 at "); ok {
			r.url, _, _ = strings.Cut(rest, " ")
			return r
		}
	}
	t.Fatalf("it ended with %d: %s", <-r.code, r.stderr)
	return nil
}

// end stops the server as a signal does and wants exit code 0.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.client.CloseIdleConnections()
	r.stop()
	require.Equal(t, 0, <-r.code, r.stderr.String())
}

// do sends a request signed with keys, or as it is without, and gives status
// and body.
func (r *running) do(t *testing.T, keys *identity, method, path string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, body)
	require.NoError(t, err)
	if keys != nil {
		sign(req, keys, time.Now())
	}
	resp, err := r.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// sign is AWS Signature Version 4 in the Authorization header, over the host and
// the headers that it sets; the payload is not signed.
func sign(r *http.Request, keys *identity, now time.Time) {
	const signed, payload = "host;x-amz-content-sha256;x-amz-date", "UNSIGNED-PAYLOAD"
	at := now.UTC().Format("20060102T150405Z")
	scope := at[:8] + "/us-east-1/s3/aws4_request"
	r.Header.Set("X-Amz-Date", at)
	r.Header.Set("X-Amz-Content-Sha256", payload)
	canonical := strings.Join([]string{r.Method, (&url.URL{Path: r.URL.Path}).EscapedPath(), r.URL.RawQuery,
		"host:" + r.URL.Host, "x-amz-content-sha256:" + payload, "x-amz-date:" + at, "", signed, payload}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", at, scope, hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + string(keys.SecretKey))
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		keys.AccessKey, scope, signed, mac(key, text)))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
