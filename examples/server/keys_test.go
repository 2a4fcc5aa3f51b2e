package main

// Goal: master keys come from where the documentation says, are made once, are never
// replaced or shown, and what they encrypt is read after a restart. Method: files of
// every kind of mistake with a canary in the place of a key, and the whole program on
// drives in a temporary folder. In package main, which cannot be imported.

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/keys"
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
	_, err := named.masterKeys(false)
	require.ErrorIs(t, err, os.ErrNotExist)
	reader := &server{config: config{drives: named.drives, readOnly: true}}
	service, err := reader.masterKeys(false)
	require.NoError(t, err)
	require.Nil(t, service)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "nothing was written")
}

// drivesApart makes folders with a drive each, as far as the server looks at them here.
func drivesApart(t *testing.T, n int) (dirs, drives []string) {
	base := t.TempDir()
	for i := range n {
		dir := filepath.Join(base, fmt.Sprintf("m%d", i))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "d"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "d", "format.json"), []byte("{}"), 0o600))
		dirs, drives = append(dirs, dir), append(drives, filepath.Join(dir, "d"))
	}
	return dirs, drives
}

// sealed gives an object's key in the clear and sealed, and with which key.
func sealed(t *testing.T, service s3api.KeyService) (plain [keys.Bytes]byte, sealed []byte, id string) {
	plain, sealed, id, err := service.GenerateKey(t.Context(), "", nil)
	require.NoError(t, err)
	return plain, sealed, id
}

// What objects outlive, their keys must outlive: each drive but one may be lost, in
// any order of the drives on the command line, and a copy may be damaged.
func TestKeysOutliveDrives(t *testing.T) {
	dirs, drives := drivesApart(t, 4)
	require.NoError(t, os.Remove(filepath.Join(drives[1], "format.json")), "not mounted")
	s := &server{config: config{drives: drives}, log: slog.New(slog.DiscardHandler)}
	service, err := s.masterKeys(true)
	require.NoError(t, err)
	plain, secret, id := sealed(t, service)
	require.NoFileExists(t, filepath.Join(dirs[1], keysName))
	opens := func() {
		t.Helper()
		service, err := s.masterKeys(false)
		require.NoError(t, err)
		got, err := service.OpenKey(t.Context(), id, secret, nil)
		require.NoError(t, err)
		require.Equal(t, plain, got)
		_, _, now := sealed(t, service)
		require.Equal(t, id, now)
	}
	slices.Reverse(s.drives)
	opens()
	for i, dir := range dirs {
		if i != 1 {
			data, err := os.ReadFile(filepath.Join(dir, keysName))
			require.NoError(t, err)
			require.NoError(t, os.Remove(filepath.Join(dir, keysName)))
			opens()
			again, err := os.ReadFile(filepath.Join(dir, keysName))
			require.NoError(t, err, "a copy is made again")
			require.Equal(t, data, again)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dirs[3], keysName), []byte("{"), 0o600))
	opens()
	for _, dir := range dirs[:3] {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, keysName)))
	}
	_, err = s.masterKeys(false)
	require.ErrorContains(t, err, dirs[3], "what there is can not be used, and no other key takes its place")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dirs[0]), "*", keysName))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

// Files that differ, as when drives of two starts came together: what any of the keys
// sealed opens, and two keys of one id are refused.
func TestKeysThatDiffer(t *testing.T) {
	dirs, drives := drivesApart(t, 2)
	var log strings.Builder
	s := &server{config: config{drives: drives[:1]}, log: slog.New(slog.NewTextHandler(&log, nil))}
	one, err := s.masterKeys(true)
	require.NoError(t, err)
	s.drives = drives[1:]
	require.NotContains(t, log.String(), "level=WARN")
	two, err := s.masterKeys(false)
	require.NoError(t, err)
	require.Contains(t, log.String(), "no file of master keys was found", "a store that is there may have had another key")
	s.drives = drives
	both, err := s.masterKeys(false)
	require.NoError(t, err)
	require.Contains(t, log.String(), "differ")
	for _, service := range []s3api.KeyService{one, two} {
		plain, secret, id := sealed(t, service)
		got, err := both.OpenKey(t.Context(), id, secret, nil)
		require.NoError(t, err)
		require.Equal(t, plain, got)
	}
	file, err := readKeysFile(filepath.Join(dirs[0], keysName))
	require.NoError(t, err)
	file.Keys[0].Key = []byte(strings.Repeat("x", 32))
	require.NoError(t, os.Remove(filepath.Join(dirs[1], keysName)))
	require.NoError(t, keepKeys(filepath.Join(dirs[1], keysName), file))
	_, err = s.masterKeys(false)
	require.ErrorContains(t, err, "another one")
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

func TestEncryptedWithoutTheFirstDrive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var drives []string
	for i := range 4 {
		drives = append(drives, filepath.Join(dir, fmt.Sprintf("m%d", i), "d"))
		require.NoError(t, os.Mkdir(filepath.Dir(drives[i]), 0o700))
	}
	who := &identity{AccessKey: "AKIDEXAMPLE", SecretKey: "secret enough"}
	pair := env("SHERD_ROOT_USER", who.AccessKey, "SHERD_ROOT_PASSWORD", string(who.SecretKey))
	r := start(t, pair, drives...)
	for _, q := range [][2]string{{"/box", ""}, {"/box?encryption=", configuration}, {"/box/key", "kept"}} {
		code, body := r.do(t, who, "PUT", q[0], strings.NewReader(q[1]))
		require.Equal(t, http.StatusOK, code, body)
	}
	r.end(t)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "m0")))
	require.NoError(t, os.MkdirAll(drives[0], 0o700))
	r = start(t, pair, drives...)
	code, body := r.do(t, who, "GET", "/box/key", nil)
	require.Equal(t, []any{http.StatusOK, "kept"}, []any{code, body})
	r.end(t)
}
