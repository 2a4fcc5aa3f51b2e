package main

// Goal: identities come from where the documentation says, a file that others
// may read is refused, and no secret is ever shown. Method: files of every kind
// of mistake in a temporary folder, with a canary as the secret. In package
// main, which cannot be imported.

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
)

const canary = "canary-canary-canary"

func writeFile(t *testing.T, mode os.FileMode, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials.json")
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func TestReadCredentials(t *testing.T) {
	path := writeFile(t, 0o600, `{"identities": [
		{"name": "app", "access_key": "APPKEY", "secret_key": "`+canary+`", "access": "full"},
		{"name": "viewer", "access_key": "VIEWKEY", "secret_key": "`+canary+`2", "access": "read-only"}]}`)
	got, err := readCredentials(path)
	require.NoError(t, err)
	require.Equal(t, []identity{
		{Name: "app", AccessKey: "APPKEY", SecretKey: canary, Access: accessFull},
		{Name: "viewer", AccessKey: "VIEWKEY", SecretKey: canary + "2", Access: accessReadOnly}}, got)
}

func TestWhatAnIdentitySays(t *testing.T) {
	path := writeFile(t, 0o600, `{"identities": [
		{"name": "boss", "access_key": "BOSSKEY", "secret_key": "`+canary+`", "access": "full", "root": true},
		{"name": "app", "access_key": "APPKEY", "secret_key": "`+canary+`", "account": "111122223333", "email": "app@example.org", "display_name": "The app",
		 "canonical_id": "`+strings.Repeat("0f", 32)+`",
		 "policy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"}]}}]}`)
	listed, err := readCredentials(path)
	require.NoError(t, err)
	list, err := credentialsOf(listed)
	require.NoError(t, err)
	require.Equal(t, s3api.Identity{Account: s3api.DefaultAccount, DisplayName: "boss", ARN: "arn:aws:iam::000000000000:root"}, list[0].Identity)
	require.Equal(t, s3api.FullAccess, list[0].Access)
	require.Equal(t, s3api.Identity{
		ID: strings.Repeat("0f", 32), Account: "111122223333", DisplayName: "The app", Email: "app@example.org", ARN: "arn:aws:iam::111122223333:user/app",
	}, list[1].Identity)
	require.Equal(t, s3api.ByPolicies, list[1].Access)
	require.Len(t, list[1].Policies, 1)
}

func TestBadCredentials(t *testing.T) {
	one := func(name, key, secret, access string) string {
		return fmt.Sprintf(`{"identities":[{"name":%q,"access_key":%q,"secret_key":%q,"access":%q}]}`, name, key, secret, access)
	}
	for text, want := range map[string]string{
		"":                                     "ends too early",
		"{":                                    "ends too early",
		"{}":                                   "no identities",
		"{\n" + canary + "}":                   "line 2: this is not JSON",
		one("a", "KEY", canary, "full") + "{}": "something follows",
		one("", "KEY", canary, "full"):         "name is missing",
		one("a", "K", canary, "full"):          "3 to 128",
		one("a", "K,EY", canary, "full"):       "can not carry",
		one("a", "KEY", "canary", "full"):      "at least 8",
		one("a", "KEY", canary, "admin"):       `"full" or "read-only"`,
		one("a", "KEY", canary, ""):            `"full" or "read-only"`,
		`{"identities":[{"name":"a","access_key":"KEY","secret_key":12345678,"access":"full"}]}`: "secret_key must be a string",
		`{"users":[]}`: "not known",
		`{"identities":[{"name":"a","access_key":"KEY","secret_key":"` + canary + `","access":"full","policy":{"Statement":[]}}]}`: `identity 1 ("a"): malformed policy`,
		`{"identities":[{"name":"a","access_key":"KEY","secret_key":"` + canary + `","policy":null}]}`:                             `identity 1 ("a"): malformed policy`,
		`{"identities":[{"name":"a","access_key":"KEY","secret_key":"` + canary + `","access":"full","account":"12"}]}`:            "12 digits",
		`{"identities":[{"name":"a","access_key":"KEY","secret_key":"` + canary + `","access":"full","canonical_id":"ABC"}]}`:      "64 hexadecimal digits",
		`{"identities":[{"` + canary + `":"secret_key"}]}`:                                                                         "not known",
		strings.Repeat(" ", maxCredentialsBytes+1):                                                                                 "larger than",
	} {
		_, err := readCredentials(writeFile(t, 0o600, text))
		require.ErrorContains(t, err, want, text[:min(len(text), 200)])
		require.NotContains(t, err.Error(), "canary")
		require.NotContains(t, err.Error(), "12345678")
	}
}

func TestOthersMayNotRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // there are no such modes
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o644, 0o620, 0o610} {
		_, err := readCredentials(writeFile(t, mode, `{}`))
		require.ErrorContains(t, err, "chmod 600")
	}
	_, err := readCredentials(t.TempDir())
	require.ErrorContains(t, err, "no regular file")
}

func TestWhoIsAsked(t *testing.T) {
	dir := t.TempDir()
	root := &identity{Name: "root", AccessKey: "ROOTKEY", SecretKey: canary, Access: accessFull}
	beside := config{drives: []string{filepath.Join(dir, "d1")}}

	none, err := gatherIdentities(&beside)
	require.NoError(t, err)
	require.Empty(t, none, "nothing is there yet: a pair is to be generated")

	made, err := generateCredentials(beside.credentialsPath())
	require.NoError(t, err)
	again, err := gatherIdentities(&beside)
	require.NoError(t, err)
	require.Equal(t, []identity{made}, again)

	beside.root = root
	alone, err := gatherIdentities(&beside)
	require.NoError(t, err)
	require.Equal(t, []identity{*root}, alone, "the environment alone, unless a file is named")

	beside.credentials = filepath.Join(dir, "credentials.json")
	both, err := gatherIdentities(&beside)
	require.NoError(t, err)
	require.Equal(t, []identity{*root, made}, both)

	beside.credentials = filepath.Join(dir, "missing.json")
	_, err = gatherIdentities(&beside)
	require.ErrorIs(t, err, os.ErrNotExist)

	twice := writeFile(t, 0o600, `{"identities":[{"name":"app","access_key":"ROOTKEY","secret_key":"`+canary+`","access":"full"}]}`)
	beside.credentials = twice
	_, err = gatherIdentities(&beside)
	require.ErrorContains(t, err, "same access key")
}

func TestGenerate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	made, err := generateCredentials(path)
	require.NoError(t, err)
	require.NoError(t, made.validate())
	require.Len(t, made.AccessKey, 20)
	require.Len(t, string(made.SecretKey), 40)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	other, err := generateCredentials(filepath.Join(t.TempDir(), "other.json"))
	require.NoError(t, err)
	require.NotEqual(t, made, other)

	_, err = generateCredentials(path)
	require.ErrorIs(t, err, os.ErrExist, "a file that is there is never replaced")
	require.NotContains(t, err.Error(), string(made.SecretKey))
	kept, err := readCredentials(path)
	require.NoError(t, err)
	require.Equal(t, []identity{made}, kept)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file stays")
}

// What a key encrypted is durable when it is acknowledged, so the key must be before:
// its file, and then the name of it.
func TestANewFileIsDurableByName(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.json")
	synced := 0
	require.NoError(t, writeNewThen(path, []byte("all"), func(of string) error {
		synced++
		require.Equal(t, dir, of)
		data, err := os.ReadFile(path)
		require.NoError(t, err, "the name is there before its folder is synced")
		require.Equal(t, "all", string(data))
		return nil
	}))
	require.Equal(t, 1, synced)
	require.ErrorIs(t, writeNewThen(filepath.Join(dir, "other"), nil, func(string) error { return os.ErrClosed }), os.ErrClosed)
	require.NoError(t, syncFolder(dir))
	require.Error(t, syncFolder(filepath.Join(dir, "none")))
}

func TestSecretsAreNotShown(t *testing.T) {
	i := identity{Name: "root", AccessKey: "KEY", SecretKey: canary, Access: accessFull}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", i.SecretKey)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", i.SecretKey, "identity", i)
	for _, verb := range []string{"%v", "%s", "%q", "%+v", "%#v"} {
		fmt.Fprintf(&log, verb+verb, i, i.SecretKey)
	}
	require.NotContains(t, log.String(), canary)
}
