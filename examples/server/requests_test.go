package main

// Goal: flags that concern requests do what they say: who stalls loses his request,
// every request is logged and no secret with it, hosts name buckets below a domain,
// Signature Version 2 can be turned off. Method: the whole program in this process,
// and clients of net/http. In package main, which cannot be imported.

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startRoot is a server on new drives, with one identity.
func startRoot(t *testing.T, args ...string) (*running, *identity) {
	t.Helper()
	r := start(t, env("SHERD_ROOT_USER", "admin", "SHERD_ROOT_PASSWORD", canary), append(args, drivesIn(t.TempDir()))...)
	return r, &identity{AccessKey: "admin", SecretKey: canary}
}

func (r *running) must(t *testing.T, keys *identity, method, path, body string) string {
	t.Helper()
	code, answer := r.do(t, keys, method, path, strings.NewReader(body))
	require.Less(t, code, 300, answer)
	return answer
}

// lines are the requests of the log.
func (r *running) lines(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(r.stderr.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if fields["msg"] == "request" {
			all = append(all, fields)
		}
	}
	return all
}

// stall sends half of a body and gives the answer, once the connection ended.
func (r *running) stall(t *testing.T, keys *identity, method, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader("half"))
	require.NoError(t, err)
	req.ContentLength = 8
	if keys != nil {
		sign(req, keys, time.Now())
	}
	var half bytes.Buffer
	require.Error(t, req.Write(&half), "it is shorter than announced")
	c, err := net.Dial("tcp", req.URL.Host)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(half.Bytes())
	require.NoError(t, err)
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(answer)
}

func TestStalledBodyEnds(t *testing.T) {
	t.Parallel()
	r, root := startRoot(t, "-patience", "50ms")
	r.must(t, root, "PUT", "/box", "")
	require.Contains(t, r.stall(t, root, "PUT", "/box/slow"), "<Code>RequestTimeout</Code>")
	require.NotContains(t, r.stall(t, nil, "PUT", "/box/slow"), "200 OK", "it ends for whom nobody knows, too")
	require.Contains(t, r.stall(t, nil, "GET", pathLive), `{"status":"ok"}`)
	code, _ := r.do(t, root, "GET", "/box/slow", nil)
	require.Equal(t, http.StatusNotFound, code)
	r.end(t)
}

func TestStalledReaderEnds(t *testing.T) {
	t.Parallel()
	const size = 32 << 20 // more than what connections hold
	r, root := startRoot(t, "-patience", "50ms", "-log-requests")
	r.must(t, root, "PUT", "/box", "")
	r.must(t, root, "PUT", "/box/large", strings.Repeat("x", size))
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/box/large", nil)
	require.NoError(t, err)
	sign(req, root, time.Now())
	resp, err := r.client.Do(req)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		lines := r.lines(t)
		last := lines[len(lines)-1]
		return last["operation"] == "GetObject" && last["out"].(float64) < size
	}, time.Minute, time.Millisecond, "nobody takes the answer")
	_, err = io.Copy(io.Discard, resp.Body)
	require.Error(t, err, "what is missing does not look like the end")
	require.NoError(t, resp.Body.Close())
	r.end(t)
}

func TestRequestsAreLogged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, level string }{{"-log-requests", "INFO"}, {"-log-level=debug", "DEBUG"}} {
		r, root := startRoot(t, c.flag)
		r.must(t, root, "PUT", "/box", "")
		r.must(t, root, "PUT", "/box/a key", "kept")
		code, _ := r.do(t, root, "GET", "/box/none", nil)
		require.Equal(t, http.StatusNotFound, code)
		secret := presign2(root, "/box/a%20key", time.Now())
		require.Equal(t, "kept", r.must(t, nil, "GET", secret, ""))
		r.end(t)
		lines := r.lines(t)
		require.Len(t, lines, 4)
		put := lines[1]
		for name, want := range map[string]any{
			"level": c.level, "access_key": "admin", "method": "PUT", "operation": "PutObject", "bucket": "box", "key": "a key",
			"status": 200.0, "code": "", "in": 4.0, "out": 0.0,
		} {
			require.Equal(t, want, put[name], name)
		}
		require.NotEmpty(t, put["request"])
		require.Contains(t, put["remote"], "127.0.0.1:")
		require.Equal(t, "NoSuchKey", lines[2]["code"])
		query, err := url.ParseQuery(secret[strings.Index(secret, "?")+1:])
		require.NoError(t, err)
		require.NotContains(t, r.stderr.String(), query.Get("Signature"))
		require.NotContains(t, r.stderr.String(), url.QueryEscape(query.Get("Signature")))
		require.NotContains(t, r.stderr.String(), canary)
	}
	r, root := startRoot(t)
	r.must(t, root, "PUT", "/box", "")
	r.end(t)
	require.Empty(t, r.lines(t), "not unless asked for")
}

// presign2 is a path with Signature Version 2 in its query, for a GET.
func presign2(keys *identity, path string, now time.Time) string {
	expires := fmt.Sprint(now.Add(time.Minute).Unix())
	h := hmac.New(sha1.New, []byte(keys.SecretKey))
	fmt.Fprintf(h, "GET\n\n\n%s\n%s", expires, path)
	return path + "?" + url.Values{
		"AWSAccessKeyId": {keys.AccessKey}, "Expires": {expires}, "Signature": {base64.StdEncoding.EncodeToString(h.Sum(nil))},
	}.Encode()
}

func TestSignatureV2(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{"-signature-v2=true": http.StatusOK, "-signature-v2=false": http.StatusBadRequest} {
		r, root := startRoot(t, args)
		r.must(t, root, "PUT", "/box", "")
		r.must(t, root, "PUT", "/box/key", "kept")
		code, body := r.do(t, nil, "GET", presign2(root, "/box/key", time.Now()), nil)
		require.Equal(t, want, code, body)
		r.end(t)
	}
}

// TestHostsAndHealth has buckets and keys that are called as the health checks are.
func TestHostsAndHealth(t *testing.T) {
	t.Parallel()
	r, root := startRoot(t, "-domain", "s3.example.org", "-domain", "Other.Example.org")
	at := strings.TrimPrefix(r.url, "http://")
	r.must(t, root, "PUT", "/health", "")
	for _, key := range []string{"live", "health/live"} {
		r.must(t, root, "PUT", "/health/"+key, "the object "+key)
	}
	require.Equal(t, "the object live", r.must(t, root, "GET", pathLive, ""), "what is signed is S3's")
	require.Equal(t, `{"status":"ok"}`+"\n", r.must(t, nil, "GET", pathLive, ""), "what is not, is not")
	require.Equal(t, "the object live", r.must(t, nil, "GET", presign2(root, pathLive, time.Now()), ""), "so is what is presigned")

	hosts := *r // every name leads to the server
	hosts.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, at)
	}}}
	for host, unsigned := range map[string]int{
		"health.s3.example.org": 403, "HEALTH.other.example.org:9000": 403, // the key health/live of the bucket health
		"s3.example.org": 200, "example.org": 200, "s3.example.org:9000": 200,
	} {
		hosts.url = "http://" + host
		code, body := hosts.do(t, nil, "GET", pathLive, nil)
		require.Equal(t, unsigned, code, "%s: %s", host, body)
		want := "the object live" // of the bucket in the path
		if unsigned == 403 {
			want = "the object health/live"
		}
		require.Equal(t, want, hosts.must(t, root, "GET", pathLive, ""), host)
	}
	r.end(t)
}
