package main

// Goal: a command line means what it says, and a wrong one is refused before
// anything is touched, with exit code 2. Method: tables of arguments and of
// environments. In package main, which cannot be imported.

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestDefaults(t *testing.T) {
	c, err := parseConfig(nil, env(), io.Discard)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:9000", c.address)
	require.Equal(t, []string{filepath.Join("data", "d1"), filepath.Join("data", "d2"), filepath.Join("data", "d3"), filepath.Join("data", "d4")}, c.drives)
	require.Equal(t, filepath.Join("data", "credentials.json"), c.credentialsPath())
	require.Nil(t, c.parity)
	require.Nil(t, c.root)
	require.False(t, c.mustExist)
	require.True(t, c.signature2)
	require.Equal(t, s3api.ObjectWriter, c.ownership)
	require.Empty(t, c.domains)
	require.Equal(t, time.Minute, c.patience)
}

func TestFlagsStandAnywhere(t *testing.T) {
	c, err := parseConfig([]string{"-parity", "0", "x{1...2}", "-address=:1", "y", "-must-exist", "-log-level", "debug",
		"-reserve", "2GiB", "-stop-limit", "5s", "-region", "eu-1", "-domain", "S3.example.org", "-domain=localhost",
		"-signature-v2=false", "-patience", "10s", "-log-requests",
		"-pool", "z{1...2},w", "-replace", "0011223344556677", "-replace=8899aabbccddeeff", "-rebuild-rate", "50MiB", "-scrub-rate", "1MiB",
		"-scrub-interval", "0", "-read-only", "-check", "-admin", "localhost:9001"}, env("SHERD_ROOT_USER", "admin", "SHERD_ROOT_PASSWORD", "canary-secret"), io.Discard)
	require.NoError(t, err)
	require.Equal(t, []string{"x1", "x2", "y"}, c.drives)
	require.Equal(t, ":1", c.address)
	require.Equal(t, 0, *c.parity)
	require.True(t, c.mustExist)
	require.Equal(t, slog.LevelDebug, c.logLevel)
	require.EqualValues(t, 2<<30, c.reserve)
	require.Equal(t, 5*time.Second, c.stopLimit)
	require.Equal(t, "eu-1", c.region)
	require.Equal(t, []string{"s3.example.org", "localhost"}, c.domains)
	require.False(t, c.signature2)
	require.Equal(t, 10*time.Second, c.patience)
	require.True(t, c.logRequests)
	require.Equal(t, [][]string{{"z1", "z2", "w"}}, c.pools)
	require.Equal(t, []string{"x1", "x2", "y", "z1", "z2", "w"}, c.places())
	require.Equal(t, []string{"0011223344556677", "8899aabbccddeeff"}, c.replace)
	require.EqualValues(t, 50<<20, c.rebuildRate)
	require.EqualValues(t, 1<<20, c.scrubRate)
	o := (&server{config: c}).storeOptions(&adminView{})
	require.Negative(t, o.ScrubInterval, "0 turns it off")
	require.Equal(t, c.replace, o.Replace)
	require.Equal(t, c.pools, o.Pools)
	require.True(t, c.readOnly)
	require.True(t, c.check)
	require.Equal(t, "localhost:9001", c.admin)
	require.Equal(t, identity{Name: "root", AccessKey: "admin", SecretKey: "canary-secret", Access: accessFull, Root: true}, *c.root)
}

func TestBadCommandLines(t *testing.T) {
	for _, c := range []struct {
		text string
		args []string
	}{
		{"not defined", []string{"-nonsense"}},
		{"no range", []string{"d{1..4}"}},
		{"-address", []string{"-address", "9000"}},
		{"-parity 3", []string{"-parity", "3", "d{1...4}"}},
		{"-parity -2", []string{"-parity", "-2", "d{1...4}"}},
		{"belong together", []string{"-tls-cert", "x"}},
		{"belong together", []string{"-tls-key", "x"}},
		{"-region", []string{"-region", "EU west"}},
		{"-log-format", []string{"-log-format", "xml"}},
		{"-log-level", []string{"-log-level", "loud"}},
		{"-reserve", []string{"-reserve", "lots"}},
		{"-stop-limit", []string{"-stop-limit", "0s"}},
		{"-patience", []string{"-patience", "0s"}},
		{"-domain", []string{"-domain", "s3.example.org:9000"}},
		{"-domain", []string{"-domain", ""}},
		{"-domain", []string{"-domain", ".example.org"}},
		{"-signature-v2", []string{"-signature-v2=maybe"}},
		{"-pool", []string{"-pool", "d{1..4}"}},
		{"-rebuild-rate", []string{"-rebuild-rate", "fast"}},
		{"-scrub-rate", []string{"-scrub-rate", "0"}},
		{"-scrub-interval", []string{"-scrub-interval", "-1s"}},
		{"-stall-limit", []string{"-stall-limit", "0s"}},
	} {
		var stderr bytes.Buffer
		code := run(t.Context(), c.args, env(), io.Discard, &stderr)
		require.Equal(t, exitUsage, code, c.args)
		require.Contains(t, stderr.String(), c.text)
	}
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	_, err := parseConfig([]string{"-region", "a b", "-address", "x", "-tls-cert", "y"}, env(), io.Discard)
	require.ErrorContains(t, err, "-region")
	require.ErrorContains(t, err, "-address")
	require.ErrorContains(t, err, "-tls-cert")
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct{ user, password, text string }{
		{"admin", "", "SHERD_ROOT_PASSWORD is set and SHERD_ROOT_USER is not"},
		{"", "canary-secret", "SHERD_ROOT_USER is set and SHERD_ROOT_PASSWORD is not"},
		{"admin", "canary", "at least 8"},
		{"ad", "canary-secret", "3 to 128"},
		{"ad/min", "canary-secret", "can not carry"},
	} {
		_, err := parseConfig(nil, env("SHERD_ROOT_USER", c.user, "SHERD_ROOT_PASSWORD", c.password), io.Discard)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "canary")
		if c.user == "" {
			require.ErrorContains(t, err, "SHERD_ROOT_PASSWORD is set")
		} else if c.password == "" {
			require.ErrorContains(t, err, "SHERD_ROOT_USER is set")
		} else {
			require.ErrorContains(t, err, c.text)
		}
	}
}

func TestHelp(t *testing.T) {
	var stderr bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"-h"}, env(), io.Discard, &stderr))
	for _, word := range []string{"usage:", defaultDrives, "-credentials", "SHERD_ROOT_USER"} {
		require.Contains(t, stderr.String(), word)
	}
	_, err := parseConfig([]string{"-help"}, env(), io.Discard)
	require.ErrorIs(t, err, flag.ErrHelp)
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "17B": 17, "1KiB": 1024, "512MiB": 512 << 20, "2GiB": 2 << 30, "3TiB": 3 << 40} {
		got, err := parseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "B", "MiB", "0", "-1", "1.5GiB", "1GB", "2Gi", "1BB", "9999999999TiB", "99999999999999999999", "1 GiB"} {
		_, err := parseBytes(text)
		require.Error(t, err, text)
	}
}
