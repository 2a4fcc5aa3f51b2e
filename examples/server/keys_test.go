package main

// Goal: master keys come from where the documentation says, are made once, are never
// replaced or shown, and what they encrypt is read after a restart. Method: files of
// every kind of mistake with a canary in the place of a key, and the whole program on
// drives in a temporary folder. In package main, which cannot be imported.

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadKeys(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	path := writeFile(t, 0o600, `{"default": "a", "keys": [{"id": "a", "key": "`+good+`"}, {"id": "b", "key": "`+good+`"}]}`)
	service, err := readKeys(path)
	require.NoError(t, err)
	for asked, is := range map[string]string{"": "a", "a": "a", "b": "b"} {
		plain, sealed, id, err := service.GenerateKey(t.Context(), asked, nil)
		require.NoError(t, err)
		require.Equal(t, is, id)
		opened, err := service.OpenKey(t.Context(), id, sealed, nil)
		require.NoError(t, err)
		require.Equal(t, plain, opened)
	}
	short := base64.StdEncoding.EncodeToString([]byte(canary))
	for _, text := range []string{
		"", "{}", `{"keys": "` + canary + `"}`, `{"default": "a", "keys": [{"id": "a", "key": "` + short + `"}]}`,
		`{"default": "b", "keys": [{"id": "a", "key": "` + good + `"}]}`, `{"default": "a", "keys": [{"id": "a", "key": "` + good + `"}, {"id": "a", "key": "` + good + `"}]}`,
	} {
		_, err := readKeys(writeFile(t, 0o600, text))
		require.Error(t, err, text)
		for _, secret := range []string{canary, short, good} {
			require.NotContains(t, err.Error(), secret)
		}
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", masterKey{"a", []byte(canary)}, keysFile{"a", []masterKey{{"a", []byte(canary)}}}, masterKey{"a", []byte(canary)}), canary)
	_, err = readKeys(writeFile(t, 0o640, `{}`))
	require.ErrorContains(t, err, "chmod 600")
}

func TestGenerateKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	require.NoError(t, generateKeys(path))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = readKeys(path)
	require.NoError(t, err, "its mode is right too")
	require.ErrorIs(t, generateKeys(path), os.ErrExist)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after, "a file that is there is never replaced")
}

// A file that is named must be there: another key in its place would open nothing.
func TestWhereKeysAre(t *testing.T) {
	dir := t.TempDir()
	named := &server{config: config{drives: []string{filepath.Join(dir, "d1")}, keysFile: filepath.Join(dir, "named.json")}}
	_, err := named.masterKeys()
	require.ErrorIs(t, err, os.ErrNotExist)
	reader := &server{config: config{drives: named.drives, readOnly: true}}
	service, err := reader.masterKeys()
	require.NoError(t, err)
	require.Nil(t, service)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "nothing was written")
}

const configuration = `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`

func TestEncryptedAcrossStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, env(), drivesIn(dir))
	listed, err := readCredentials(filepath.Join(dir, "credentials.json"))
	require.NoError(t, err)
	who := &listed[0]
	for _, q := range [][2]string{{"/box", ""}, {"/box?encryption=", configuration}, {"/box/key", "kept"}} {
		code, body := r.do(t, who, "PUT", q[0], strings.NewReader(q[1]))
		require.Equal(t, http.StatusOK, code, body)
	}
	r.end(t)
	text, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	require.NoError(t, err)
	_, key, _ := strings.Cut(string(text), `"key": "`)
	require.Greater(t, len(key), 43)
	require.NotContains(t, r.stdout+r.stderr.String(), key[:43])

	r = start(t, env(), drivesIn(dir))
	code, body := r.do(t, who, "GET", "/box/key", nil)
	require.Equal(t, []any{http.StatusOK, "kept"}, []any{code, body})
	r.end(t)

	other := filepath.Join(dir, "other.json")
	require.NoError(t, generateKeys(other))
	r = start(t, env(), drivesIn(dir), "-keys", other)
	code, body = r.do(t, who, "GET", "/box/key", nil)
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, body, "KMS.NotFoundException")
	r.end(t)
}
