// Goal: what a request says beside its operation is obeyed or refused, however it
// is spelt, and never taken for something else. Method: requests as clients,
// proxies and mistakes make them, one rule each.
package s3api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/versioning"
)

// A request that changes something names one operation or none.
func TestParametersOfOtherOperationsChangeNothing(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	refused := map[s3api.Level]int{}
	for _, o := range s3api.Operations() {
		for _, method := range []string{"PUT", "POST", "DELETE"} {
			if len(o.Query) == 0 || strings.Contains(o.Query[0], "=") || hasRow(method, o.Level, o.Query[0]) {
				continue
			}
			q := request{method: method, path: "/bucket/a?" + o.Query[0], body: "y"}
			if o.Level == s3api.BucketLevel {
				q.path = "/bucket?" + o.Query[0]
			}
			a := h.do(q)
			require.Equal(t, "MethodNotAllowed", a.code, "%s %s: %s", q.method, q.path, a.body)
			refused[o.Level]++
		}
	}
	require.Greater(t, refused[s3api.BucketLevel], 10)
	require.Greater(t, refused[s3api.ObjectLevel], 10)
	require.Equal(t, "MethodNotAllowed", h.do(request{method: "PUT", path: "/bucket/a?partNumber=1", body: "y"}).code)
	preflight := h.do(request{method: "OPTIONS", path: "/bucket/a?uploads"})
	require.Equal(t, "BadRequest", preflight.code, "a browser asks about a request by its own address")
	require.Equal(t, "x", h.get("/bucket/a").body)
	require.Equal(t, "x", h.get("/bucket/a?partNumber=1").body)
	require.NotEqual(t, "MethodNotAllowed", h.do(request{method: "PUT", path: "/bucket/a?x-id=PutObject", body: "z"}).code)
}

// hasRow says whether an operation has the method and needs nothing but the
// parameter.
func hasRow(method string, level s3api.Level, parameter string) bool {
	for _, o := range s3api.Operations() {
		if o.Method == method && o.Level == level && len(o.Query) == 1 && o.Query[0] == parameter {
			return true
		}
	}
	return false
}

func TestObjectLockHoweverItIsSpelt(t *testing.T) {
	h := newHarness(t, nil, nil)
	for i, value := range []string{"true", "True", "TRUE", "false", "False"} {
		name := fmt.Sprintf("bucket-%d", i)
		h.ok(request{method: "PUT", path: "/" + name, header: map[string]string{"X-Amz-Bucket-Object-Lock-Enabled": value}})
		info, err := h.store.StatBucket(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, strings.EqualFold(value, "true"), info.ObjectLock, value)
	}
	a := h.do(request{method: "PUT", path: "/other", header: map[string]string{"X-Amz-Bucket-Object-Lock-Enabled": "yes"}})
	require.Equal(t, "InvalidArgument", a.code)
	_, err := h.store.StatBucket(t.Context(), "other")
	require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
}

// Who goes on with a download gets the rest of what he has, or the whole.
func TestIfRange(t *testing.T) {
	h := newHarness(t, nil, nil)
	etag := h.put("/bucket/a", "0123456789").header.Get("Etag")
	for condition, rest := range map[string]bool{
		etag: true, now().Format(http.TimeFormat): true,
		`"other"`: false, "W/" + etag: false, "nonsense": false, now().Add(-time.Second).Format(http.TimeFormat): false,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := h.do(request{method: method, path: "/bucket/a", header: map[string]string{"Range": "bytes=4-", "If-Range": condition}})
			require.Equal(t, map[bool]int{true: 206, false: 200}[rest], a.status, condition)
			require.Equal(t, map[bool]string{true: "6", false: "10"}[rest], a.header.Get("Content-Length"), condition)
			require.Equal(t, rest, a.header.Get("Content-Range") != "", condition)
			if method == "GET" {
				require.Equal(t, "0123456789"[map[bool]int{true: 4}[rest]:], a.body, condition)
			}
		}
	}
	beyond := map[string]string{"Range": "bytes=10-", "If-Range": etag}
	require.Equal(t, "InvalidRange", h.do(request{method: "GET", path: "/bucket/a", header: beyond}).code)
	beyond["If-Range"] = `"other"` // the object was longer
	for _, method := range []string{"GET", "HEAD"} {
		require.Equal(t, http.StatusOK, h.do(request{method: method, path: "/bucket/a", header: beyond}).status)
	}
	require.Equal(t, http.StatusOK, h.do(request{method: "GET", path: "/bucket/a", header: map[string]string{"If-Range": `"other"`}}).status)
}

func TestEntityTagsOfProxies(t *testing.T) {
	h := newHarness(t, nil, nil)
	etag := h.put("/bucket/a", "x").header.Get("Etag")
	for name, status := range map[string]int{"If-None-Match": 304, "If-Match": 412} {
		a := h.do(request{method: "GET", path: "/bucket/a", header: map[string]string{name: `"other", W/` + etag}})
		require.Equal(t, status, a.status, name)
	}
	for name, status := range map[string]int{"If-None-Match": 304, "If-Match": 200} {
		lines := func(r *http.Request) { r.Header[name] = []string{`"other"`, etag} }
		require.Equal(t, status, h.do(request{method: "GET", path: "/bucket/a", tamper: lines}).status, name)
	}
	lines := func(r *http.Request) { r.Header["If-Match"] = []string{`"other"`, etag} }
	h.ok(request{method: "PUT", path: "/bucket/a", body: "y", tamper: lines})
}

// An error says nothing of the object that was found before it.
func TestErrorsHaveNoHeadersOfTheObject(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.ok(request{method: "PUT", path: "/bucket/a", body: "x", header: map[string]string{"Content-Encoding": "gzip", "X-Amz-Meta-A": "b"}})
	for _, query := range []string{"response-content-type=a%0d%0ab", "response-expires=%00"} {
		a := h.get("/bucket/a?" + query)
		require.Equal(t, "InvalidArgument", a.code)
		require.Equal(t, "application/xml", a.header.Get("Content-Type"))
		for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "x-amz-meta-a"} {
			require.Empty(t, a.header[name], name)
		}
	}
}

func TestSourcesThatAreNotThere(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	h.put("/bucket/a", "x")
	marker := h.ok(request{method: "DELETE", path: "/bucket/a"}).header.Get("X-Amz-Version-Id")
	id := begin(h, "big", nil)
	for _, path := range []string{"/bucket/b", part(1, id)} {
		copying := func(source string) answer {
			return h.do(request{method: "PUT", path: path, header: map[string]string{"X-Amz-Copy-Source": source}})
		}
		for source, code := range map[string]string{
			"bucket/a": "NoSuchKey", "bucket/missing": "NoSuchKey", "bucket/a?versionId=none": "NoSuchVersion", "nowhere/a": "NoSuchBucket",
			"bucket/a?versionId=" + marker: "InvalidRequest",
		} {
			a := copying(source)
			require.Equal(t, code, a.code, source)
			require.Empty(t, a.header.Get("X-Amz-Version-Id"), "that would be the one that was written")
			require.Empty(t, a.header.Get("X-Amz-Delete-Marker"))
			if strings.HasPrefix(code, "NoSuchKey") {
				require.Contains(t, a.body, "<Key>"+strings.TrimPrefix(source, "bucket/")+"</Key>")
			}
		}
	}
}
