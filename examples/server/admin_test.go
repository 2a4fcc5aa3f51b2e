package main

// Goal: the admin view shows what the store knows of itself, to this machine
// alone, without a script, and changes nothing. Method: the view over healths
// made by hand, through httptest, and the whole program with its second port. In
// package main, which cannot be imported.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
)

// troubled is a health with something to see everywhere.
func troubled(t *testing.T) sherd.Health {
	return sherd.Health{
		Mode: sherd.Serving, Degraded: true, Needed: 3,
		Drives: []sherd.DriveHealth{
			{Path: "/mnt/<b>1", ID: "0011223344556677", Slot: 0, Status: status(t, "in-sync"), Total: 1 << 40, Free: 1 << 39},
			{Path: "/mnt/2", Slot: -1, Status: status(t, "away"), Err: errors.New("no such <directory>"), Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		},
		Sets:   []sherd.SetHealth{{Mode: sherd.Serving, Needed: 3, Degraded: true}, {Pool: 1, Mode: sherd.ReadOnly, Reason: "too <few>", Needed: 2}},
		Work:   []sherd.Work{{Kind: sherd.WorkCopy, Drive: "/mnt/2", Items: 1, TotalItems: 4, ItemsPerSecond: 3, Left: time.Minute}},
		Margin: sherd.Margin{Known: true, Objects: []sherd.MarginCount{{Losses: -1, Objects: 7}, {Losses: 2, Objects: 1234}}},
		Damage: []sherd.Finding{{Kind: "shard", Path: "/mnt/2", Key: "a\xff</td>", Text: "older", Healed: true}, {Kind: "shard", Text: "newer", Lost: true}},
	}
}

// visit asks the view as a browser on this machine does.
func visit(t *testing.T, a http.Handler, method, path, host string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	a.ServeHTTP(w, r)
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe")
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	return w
}

func TestAdminView(t *testing.T) {
	open := false
	a := &admin{health: func() (sherd.Health, bool) {
		if !open {
			return sherd.Health{}, false
		}
		return troubled(t), true
	}}
	var v overview
	status := func() overview {
		v = overview{}
		w := visit(t, a, "GET", "/status.json", "127.0.0.1:9001")
		require.Equal(t, http.StatusOK, w.Code)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
		return v
	}
	require.Equal(t, statusOpening, status().Mode)
	require.Nil(t, v.Margin)
	require.Contains(t, visit(t, a, "GET", "/", "localhost").Body.String(), "<h1>opening")

	open = true
	for i := range maxNotices + 5 {
		a.note(sherd.Notice{Kind: sherd.NoticeLeft, Drive: "/mnt/2", Text: fmt.Sprint("notice ", i), Err: errors.New("gone <away>")})
	}
	status()
	require.Equal(t, "serving", v.Mode)
	require.True(t, v.Degraded)
	require.Equal(t, 1, v.InSync)
	require.Equal(t, 3, v.Needed)
	require.Equal(t, "no such <directory>", v.Drives[1].Error)
	require.Equal(t, uint64(1<<39), v.Drives[0].Free)
	require.Equal(t, 25.0, *v.Work[0].Percent)
	require.Equal(t, 60.0, *v.Work[0].Left)
	require.Equal(t, "too <few>", v.Sets[1].Reason)
	require.Equal(t, "newer", v.Damage[0].Text)
	require.True(t, v.Damage[0].Lost)
	require.Equal(t, `"a\xff</td>"`, v.Damage[1].Key)
	require.True(t, v.Damage[1].Healed)
	require.Equal(t, []marginLine{{-1, 7}, {2, 1234}}, v.Margin.Objects)
	require.Len(t, v.Notices, maxNotices)
	require.Equal(t, fmt.Sprint("notice ", maxNotices+4), v.Notices[0].Text)
	require.Equal(t, "left", v.Notices[0].Kind)

	page := visit(t, a, "GET", "/", "[::1]:9001")
	require.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"))
	body := page.Body.String()
	for _, want := range []string{"degraded", "too &lt;few&gt;", "/mnt/&lt;b&gt;1", "no such &lt;directory&gt;", "copying the index", "25.0 %", "1m0s", "512.0 GiB", "lost with the drives", "notice 204", "survive the loss of 2 more", "(healed)", "2026-01-02 03:04:05"} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "<b>")
	require.NotContains(t, strings.ToLower(body), "<script")
	require.NotRegexp(t, regexp.MustCompile(`(?i)(src|href|action)="?(https?:)?//`), body, "nothing from elsewhere")
}

func TestTheAdminViewIsForThisMachine(t *testing.T) {
	a := &admin{health: func() (sherd.Health, bool) { return sherd.Health{}, false }}
	for _, host := range []string{"example.org", "example.org:9001", "192.0.2.1:9001", "", "127.0.0.1.example.org", "localhost.example.org:80", "0.0.0.0:9001"} {
		require.Equal(t, http.StatusForbidden, visit(t, a, "GET", "/status.json", host).Code, host)
	}
	for _, host := range []string{"localhost:1", "127.0.0.1", "127.9.9.9:9001", "[::1]", "[::1]:9001"} {
		require.Equal(t, http.StatusOK, visit(t, a, "GET", "/status.json", host).Code, host)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		require.Equal(t, http.StatusMethodNotAllowed, visit(t, a, method, "/", "localhost").Code, method)
	}
	require.Equal(t, http.StatusNotFound, visit(t, a, "GET", "/other", "localhost").Code)
	require.Empty(t, visit(t, a, "HEAD", "/other", "localhost").Header().Get("Access-Control-Allow-Origin"))
	for _, address := range []string{":9001", "0.0.0.0:9001", "192.0.2.1:9001", "example.org:9001", "127.0.0.1", "[::]:9001"} {
		_, err := parseConfig([]string{"-admin", address}, env(), &lockedBuffer{})
		require.ErrorContains(t, err, "-admin", address)
	}
}

func TestTheServerHasAnAdminView(t *testing.T) {
	t.Parallel()
	r := start(t, env("SHERD_ROOT_USER", "admin", "SHERD_ROOT_PASSWORD", canary), "-admin", "127.0.0.1:0", drivesIn(t.TempDir()))
	_, rest, found := strings.Cut(r.stdout, "admin view at ")
	require.True(t, found, r.stdout)
	at, _, _ := strings.Cut(rest, "\n")
	resp, err := r.client.Get(at + "/status.json")
	require.NoError(t, err)
	defer resp.Body.Close()
	var v overview
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&v))
	require.Equal(t, "serving", v.Mode)
	require.Len(t, v.Drives, 4)
	require.Equal(t, 4, v.InSync)
	code, body := r.do(t, nil, "GET", "/status.json", nil)
	require.NotEqual(t, http.StatusOK, code, "not on the public port: %s", body)
	r.end(t)
	_, err = r.client.Get(at + "/status.json")
	require.Error(t, err, "it ends with the server")

	r = start(t, env("SHERD_ROOT_USER", "admin", "SHERD_ROOT_PASSWORD", canary), drivesIn(t.TempDir()))
	require.NotContains(t, r.stdout, "admin view")
	r.end(t)
}
