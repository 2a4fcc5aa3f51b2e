package main

// Goal: the server starts, refuses and ends as its documentation says. Method:
// the whole program in this process, on drives in temporary folders, over real
// connections. In package main, which cannot be imported.

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func drivesIn(dir string) string { return filepath.Join(dir, "d{1...4}") }

func TestFirstAndSecondStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, env(), drivesIn(dir))
	require.Contains(t, r.stdout, "created on 4 drives")
	kept, err := readCredentials(filepath.Join(dir, "credentials.json"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Contains(t, r.stdout, string(kept[0].SecretKey), "the new pair is printed")
	require.NotContains(t, r.stderr.String(), string(kept[0].SecretKey), "and not logged")
	require.Regexp(t, `"deployment":"[0-9a-f]{32}"`, r.stderr.String())

	code, _ := r.do(t, nil, "PUT", "/box", nil)
	require.Equal(t, http.StatusForbidden, code, "nobody is let in without a signature")
	code, body := r.do(t, &kept[0], "PUT", "/box", nil)
	require.Equal(t, http.StatusOK, code, body)
	code, body = r.do(t, &kept[0], "PUT", "/box/key", strings.NewReader("kept"))
	require.Equal(t, http.StatusOK, code, body)
	r.end(t)

	r = start(t, env(), drivesIn(dir), "-must-exist")
	require.Contains(t, r.stdout, "opened on 4 drives")
	require.NotContains(t, r.stdout, string(kept[0].SecretKey), "printed once only")
	code, body = r.do(t, &kept[0], "GET", "/box/key", nil)
	require.Equal(t, http.StatusOK, code, body)
	require.Equal(t, "kept", body)
	r.end(t)
}

func TestReadOnlyIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := writeFile(t, 0o600, `{"identities":[{"name":"viewer","access_key":"VIEWER","secret_key":"`+canary+`","access":"read-only"}]}`)
	r := start(t, env("SHERD_ROOT_USER", "admin", "SHERD_ROOT_PASSWORD", canary+"-root"), drivesIn(dir), "-credentials", path, "-log-level", "debug")
	root := &identity{AccessKey: "admin", SecretKey: canary + "-root"}
	viewer := &identity{AccessKey: "VIEWER", SecretKey: canary}
	code, body := r.do(t, root, "PUT", "/box", nil)
	require.Equal(t, http.StatusOK, code, body)
	code, body = r.do(t, root, "PUT", "/box/key", strings.NewReader("seen"))
	require.Equal(t, http.StatusOK, code, body)
	code, body = r.do(t, viewer, "GET", "/box/key", nil)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "seen", body)
	code, _ = r.do(t, viewer, "PUT", "/box/key", strings.NewReader("changed"))
	require.Equal(t, http.StatusForbidden, code)
	code, _ = r.do(t, viewer, "DELETE", "/box/key", nil)
	require.Equal(t, http.StatusForbidden, code)
	code, _ = r.do(t, &identity{AccessKey: "admin", SecretKey: "not-the-secret"}, "GET", "/box/key", nil)
	require.Equal(t, http.StatusForbidden, code)
	r.end(t)
	require.NotContains(t, r.stdout+r.stderr.String(), "canary")
	require.NoFileExists(t, filepath.Join(dir, "credentials.json"), "no pair was generated")
}

func TestDrivesInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, env(), drivesIn(dir))
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"-address", "127.0.0.1:0", drivesIn(dir)}, env(), io.Discard, &stderr)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr.String(), "another server")
	code, body := r.do(t, nil, "GET", pathReady, nil)
	require.Equal(t, http.StatusOK, code, body)
	r.end(t)
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dir := t.TempDir()
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"-address", l.Addr().String(), drivesIn(dir)}, env(), io.Discard, &stderr)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr.String(), "address")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "nothing was touched")
}

func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	foreign := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(foreign, "d1", "photos"), 0o700))
	for text, args := range map[string][]string{
		"all drives mounted": {"-must-exist", drivesIn(t.TempDir())},
		"not a drive":        {drivesIn(foreign)},
		"sets of equal size": {filepath.Join(t.TempDir(), "d{1...17}")},
		"-tls-cert":          {"-tls-cert", "missing.pem", "-tls-key", "missing.pem", drivesIn(t.TempDir())},
		"chmod 600":          {"-credentials", writeFile(t, 0o644, `{}`), drivesIn(t.TempDir())},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"-address", "127.0.0.1:0"}, args...), env(), &stdout, &stderr)
		require.Equal(t, exitFailed, code, args)
		require.Contains(t, stderr.String(), text)
		require.Empty(t, stdout.String())
	}
}

func TestHealthFollowsDrives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, env("SHERD_ROOT_USER", "admin", "SHERD_ROOT_PASSWORD", canary), drivesIn(dir))
	root := &identity{AccessKey: "admin", SecretKey: canary}
	code, body := r.do(t, root, "PUT", "/box", nil)
	require.Equal(t, http.StatusOK, code, body)
	code, body = r.do(t, root, "PUT", "/box/key", strings.NewReader("kept"))
	require.Equal(t, http.StatusOK, code, body)
	becomes := func(want int, status string) {
		require.Eventually(t, func() bool {
			code, body := r.do(t, nil, "GET", pathReady, nil)
			return code == want && strings.Contains(body, `"status":"`+status+`","in_sync"`)
		}, 20*time.Second, 5*time.Millisecond, status)
	}
	becomes(http.StatusOK, statusOK)
	require.NoError(t, os.Rename(filepath.Join(dir, "d1"), filepath.Join(dir, "away1")))
	becomes(http.StatusOK, statusDegraded)
	code, body = r.do(t, root, "PUT", "/box/key", strings.NewReader("three"))
	require.Equal(t, http.StatusOK, code, body)

	require.NoError(t, os.Rename(filepath.Join(dir, "d2"), filepath.Join(dir, "away2")))
	becomes(http.StatusServiceUnavailable, statusReadOnly)
	code, body = r.do(t, root, "GET", "/box/key", nil)
	require.Equal(t, http.StatusOK, code, body)
	require.Equal(t, "three", body, "reading goes on")
	code, body = r.do(t, root, "PUT", "/box/key", strings.NewReader("two"))
	require.Equal(t, http.StatusServiceUnavailable, code, body)

	require.NoError(t, os.Rename(filepath.Join(dir, "away1"), filepath.Join(dir, "d1")))
	require.NoError(t, os.Rename(filepath.Join(dir, "away2"), filepath.Join(dir, "d2")))
	becomes(http.StatusOK, statusOK)
	code, body = r.do(t, root, "GET", "/box/key", nil)
	require.Equal(t, http.StatusOK, code, body)
	require.Equal(t, "three", body)
	r.end(t)
}

func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	r := start(t, env("SHERD_ROOT_USER", "admin", "SHERD_ROOT_PASSWORD", canary), drivesIn(t.TempDir()))
	root := &identity{AccessKey: "admin", SecretKey: canary}
	code, body := r.do(t, root, "PUT", "/box", nil)
	require.Equal(t, http.StatusOK, code, body)

	reader, writer := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", r.url+"/box/slow", reader)
	require.NoError(t, err)
	req.ContentLength = 8
	req.Header.Set("Expect", "100-continue") // so the body is read only once the server asks for it
	sign(req, root, time.Now())
	answer := make(chan int, 1)
	go func() {
		resp, err := r.client.Do(req)
		if err != nil {
			answer <- 0
			return
		}
		_ = resp.Body.Close()
		answer <- resp.StatusCode
	}()
	_, err = writer.Write([]byte("half"))
	require.NoError(t, err)
	r.stop()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond, "no new connection is taken")
	_, err = writer.Write([]byte("half"))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	require.Equal(t, http.StatusOK, <-answer, "what was on its way finishes")
	r.client.CloseIdleConnections()
	require.Equal(t, 0, <-r.code)
}

func TestStopLimit(t *testing.T) {
	t.Parallel()
	r := start(t, env("SHERD_ROOT_USER", "admin", "SHERD_ROOT_PASSWORD", canary), drivesIn(t.TempDir()), "-stop-limit", "50ms")
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	defer c.Close()
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n", pathLive) // a request that never ends
	require.NoError(t, err)
	r.end(t)
}

func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	code := run(ctx, []string{"-address", "127.0.0.1:0", drivesIn(t.TempDir())}, env(), io.Discard, &stderr)
	require.Equal(t, 0, code, stderr.String())
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key, pool := selfSigned(t)
	r := start(t, env(), "-tls-cert", cert, "-tls-key", key, drivesIn(t.TempDir()))
	require.True(t, strings.HasPrefix(r.url, "https://"), r.url)
	r.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	resp, err := r.client.Get(r.url + pathReady)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, 2, resp.ProtoMajor)
	r.end(t)
}

func selfSigned(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(cert, certPEM, 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return cert, key, pool
}
