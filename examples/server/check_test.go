package main

// Goal: drives are checked, and opened for reading only, without a byte written.
// Method: the whole program in this process, on drives that it wrote before. In
// package main, which cannot be imported.

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sum says what lies in a folder, but for times.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var content []byte
			content, err = os.ReadFile(path)
			out[path] = string(content)
		}
		return err
	}))
	return out
}

func TestCheckAndReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := tortured()
	environment := env("SHERD_ROOT_USER", keys.AccessKey, "SHERD_ROOT_PASSWORD", string(keys.SecretKey))
	pools := []string{filepath.Join(dir, "d{1...4}"), "-pool", filepath.Join(dir, "e1") + "," + filepath.Join(dir, "e2")}
	r := start(t, environment, pools...)
	require.Contains(t, r.stdout, "created on 6 drives")
	for _, path := range []string{"/box", "/box/key"} {
		code, body := r.do(t, keys, "PUT", path, nil)
		require.Equal(t, http.StatusOK, code, body)
	}
	check := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append(append([]string{"-check"}, pools...), args...), environment, &out, &errs)
		return code, out.String() + errs.String()
	}
	code, said := check()
	require.Equal(t, exitFailed, code)
	require.Contains(t, said, "open elsewhere")
	r.end(t)

	before := listing(t, dir)
	code, said = check()
	require.Equal(t, 0, code, said)
	require.Equal(t, "nothing is wrong with 6 drives\n", said)
	r = start(t, environment, append([]string{"-read-only"}, pools...)...)
	status, body := r.do(t, keys, "GET", "/box/key", nil)
	require.Equal(t, http.StatusOK, status, body)
	status, body = r.do(t, keys, "PUT", "/box/other", strings.NewReader("x"))
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	r.end(t)
	require.Equal(t, before, listing(t, dir))

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "d3")))
	code, said = check()
	require.Equal(t, exitFailed, code, said)
	require.Contains(t, said, "drive "+filepath.Join(dir, "d3")+": there is no drive")
	require.NotContains(t, said, "lost with the drives that are there)")
	_, err := parseConfig([]string{"a", "-pool", "b,a"}, env(), &bytes.Buffer{})
	require.ErrorContains(t, err, "named twice")
}
