package main

// Goal: /health/live and /health/ready answer in every state as documented, to
// anybody, and show no paths. Method: the front over a memory store and over
// health values made by hand, through httptest. In package main, which cannot
// be imported.

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
)

func ask(t *testing.T, h http.Handler, path string) (int, readiness) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	var r readiness
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &r), w.Body.String())
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.NotContains(t, w.Body.String(), "/", "no path is shown")
	return w.Code, r
}

func TestHealthOfAStore(t *testing.T) {
	f := &front{}
	code, r := ask(t, f, pathReady)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, statusOpening, r.Status)
	code, _ = ask(t, f, pathLive)
	require.Equal(t, http.StatusOK, code)

	store, err := sherd.NewMemory(4, nil)
	require.NoError(t, err)
	f.backend.Store(&backend{health: store.Health, s3: http.NotFoundHandler()})
	code, r = ask(t, f, pathReady)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, statusOK, r.Status)
	require.Equal(t, 4, r.InSync)
	require.Equal(t, 3, r.NeededToWrite)
	require.Len(t, r.Drives, 4)

	require.NoError(t, store.Close())
	code, r = ask(t, f, pathReady)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, statusClosing, r.Status)

	f.closing.Store(true)
	code, r = ask(t, f, pathReady)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, statusClosing, r.Status)
	code, _ = ask(t, f, pathLive)
	require.Equal(t, http.StatusOK, code)
}

// status is the drive status of a name.
func status(t *testing.T, name string) sherd.DriveStatus {
	t.Helper()
	for s := sherd.DriveStatus(0); s < 4; s++ {
		if s.String() == name {
			return s
		}
	}
	t.Fatalf("no drive status is called %q", name)
	return 0
}

func TestJudge(t *testing.T) {
	drives := []sherd.DriveHealth{
		{Path: "/a", Slot: 0, Status: status(t, "in-sync")}, {Path: "/b", Slot: 1, Status: status(t, "in-sync")},
		{Path: "/c", Slot: 2, Status: status(t, "learning")}, {Path: "/d", Slot: -1, Status: status(t, "away")},
	}
	for _, c := range []struct {
		health sherd.Health
		code   int
		status string
	}{
		{sherd.Health{Mode: sherd.Serving}, http.StatusOK, statusOK},
		{sherd.Health{Mode: sherd.Serving, Degraded: true}, http.StatusOK, statusDegraded},
		{sherd.Health{Mode: sherd.ReadOnly, Degraded: true}, http.StatusServiceUnavailable, statusReadOnly},
		{sherd.Health{Mode: sherd.Closed}, http.StatusServiceUnavailable, statusClosing},
	} {
		c.health.Drives, c.health.Needed = drives, 3
		code, r := judge(c.health)
		require.Equal(t, c.code, code)
		require.Equal(t, readiness{Status: c.status, InSync: 2, NeededToWrite: 3, Drives: []driveState{
			{0, "in-sync"}, {1, "in-sync"}, {2, "learning"}, {-1, "away"},
		}}, r)
	}
}

func TestWhatIsNoHealthCheck(t *testing.T) {
	f := &front{}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest("GET", "/box/key", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Contains(t, w.Body.String(), "<Code>ServiceUnavailable</Code>")

	f.backend.Store(&backend{s3: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })})
	signed := httptest.NewRequest("GET", pathReady, nil)
	signed.Header.Set("Authorization", "AWS4-HMAC-SHA256 …")
	for _, r := range []*http.Request{
		signed,
		httptest.NewRequest("PUT", pathReady, nil),
		httptest.NewRequest("GET", pathLive+"?X-Amz-Signature=0", nil),
		httptest.NewRequest("GET", "/health", nil),
		httptest.NewRequest("GET", pathLive+"/", nil),
	} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		require.Equal(t, http.StatusTeapot, w.Code, r.URL.String(), "it is S3's")
	}
}
