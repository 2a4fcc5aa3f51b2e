//go:build unix

package main

// Goal: identities are changed without stopping the server, and a file that is wrong
// changes nothing. Method: the file is rewritten and the process sends itself the
// signal; other servers of these tests read their own files again, which are as
// they were. In package main, which cannot be imported.

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIdentitiesAreReadAgain(t *testing.T) {
	t.Parallel()
	file := func(identities string) string { return `{"identities":[` + identities + `]}` }
	first := `{"name":"first","access_key":"FIRST","secret_key":"` + canary + `","access":"full"}`
	second := `{"name":"second","access_key":"SECOND","secret_key":"` + canary + `2","access":"read-only"}`
	path := writeFile(t, 0o600, file(first))
	r := start(t, env(), drivesIn(t.TempDir()), "-credentials", path)
	one := &identity{AccessKey: "FIRST", SecretKey: canary}
	two := &identity{AccessKey: "SECOND", SecretKey: canary + "2"}
	code, body := r.do(t, one, "PUT", "/box", nil)
	require.Equal(t, http.StatusOK, code, body)
	hangup := func(text, wanted string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "next"), []byte(text), 0o600))
		require.NoError(t, os.Rename(filepath.Join(filepath.Dir(path), "next"), path))
		before := strings.Count(r.stderr.String(), wanted)
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		require.Eventually(t, func() bool { return strings.Count(r.stderr.String(), wanted) > before }, time.Minute, time.Millisecond)
	}
	hangup(file(`{"name":"first"}`), "the identities stay as they were")
	code, _ = r.do(t, one, "GET", "/box", nil)
	require.Equal(t, http.StatusOK, code)
	hangup(file(second), "the identities were read again")
	code, _ = r.do(t, one, "GET", "/box", nil)
	require.Equal(t, http.StatusForbidden, code)
	code, _ = r.do(t, two, "GET", "/box", nil)
	require.Equal(t, http.StatusOK, code)
	code, _ = r.do(t, two, "DELETE", "/box", nil)
	require.Equal(t, http.StatusForbidden, code)
	r.end(t)
	require.NotContains(t, r.stdout+r.stderr.String(), "canary")
}
