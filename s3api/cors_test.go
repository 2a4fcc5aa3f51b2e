// Goal: pages of other sites are told what the rules of a bucket say, and nothing
// where there are none. Method: requests as browsers send them, with and without
// credentials, that succeed and that fail.
package s3api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

const corsOfTests = `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
	`<CORSRule><ID>one</ID><AllowedHeader>x-amz-*</AllowedHeader><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod>` +
	`<AllowedOrigin>https://*.example.org</AllowedOrigin><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds></CORSRule>` +
	`<CORSRule><AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>`

func newCrossed(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	require.Equal(t, http.StatusOK, h.put("/bucket?cors", corsOfTests).status)
	return h
}

// allowed gives what an answer says to a browser.
func allowed(a answer) map[string]string {
	out := map[string]string{}
	for name := range a.header {
		if short, ok := strings.CutPrefix(name, "Access-Control-"); ok {
			out[short] = a.header.Get(name)
		}
	}
	return out
}

func TestCorsConfiguration(t *testing.T) {
	h := newHarness(t, nil, nil)
	a := h.get("/bucket?cors")
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, "NoSuchCORSConfiguration", a.code)
	h.put("/bucket?cors", corsOfTests)
	require.Equal(t, corsOfTests, strings.TrimPrefix(h.get("/bucket?cors").body, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"))
	for body, code := range map[string]string{
		"": "MalformedXML", "<CORSConfiguration/>": "MalformedXML",
		strings.Replace(corsOfTests, "PUT", "PATCH", 1):                                    "InvalidRequest",
		strings.Replace(corsOfTests, "https://*", "https://**", 1):                         "InvalidRequest",
		strings.Replace(corsOfTests, "example.org", "example.org&#13;&#10;Set-Cookie:", 1): "InvalidRequest",
		strings.Replace(corsOfTests, "ETag", "ETag&#10;Set-Cookie", 1):                     "InvalidRequest",
		strings.Replace(corsOfTests, "one", strings.Repeat("x", 65<<10), 1):                "MaxMessageLengthExceeded",
	} {
		require.Equal(t, code, h.do(request{method: "PUT", path: "/bucket?cors", body: body}).code, body[:min(len(body), 300)])
	}
	require.Equal(t, "NoSuchBucket", h.do(request{method: "PUT", path: "/nowhere?cors", body: corsOfTests}).code)
	require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: "/bucket?cors", body: corsOfTests, key: readKey}).code)
	require.Equal(t, http.StatusOK, h.do(request{method: "GET", path: "/bucket?cors", key: readKey}).status)
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: "/bucket?cors"}).status)
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: "/bucket?cors"}).status, "that there are none is no failure")
	require.Equal(t, "NoSuchCORSConfiguration", h.get("/bucket?cors").code)
}

func TestPreflights(t *testing.T) {
	h := newCrossed(t)
	ask := func(path, origin, method, headers string) answer {
		header := map[string]string{}
		for name, value := range map[string]string{"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers} {
			if value != "" {
				header[name] = value
			}
		}
		return h.do(request{method: "OPTIONS", path: path, header: header, style: byNothing})
	}
	for _, path := range []string{"/bucket", "/bucket/a", "/bucket/missing?partNumber=1&uploadId=x"} {
		a := ask(path, "https://a.example.org", "PUT", "x-amz-date,X-Amz-Acl")
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, map[string]string{
			"Allow-Origin": "https://a.example.org", "Allow-Methods": "GET, PUT, POST", "Allow-Headers": "x-amz-date, x-amz-acl",
			"Expose-Headers": "ETag", "Max-Age": "600", "Allow-Credentials": "true",
		}, allowed(a))
		require.Equal(t, []string{"Origin, Access-Control-Request-Headers, Access-Control-Request-Method"}, a.header["Vary"])
		require.Empty(t, a.body)
	}
	require.Equal(t, map[string]string{"Allow-Origin": "*", "Allow-Methods": "HEAD"}, allowed(ask("/bucket/a", "http://else", "HEAD", "")))
	for _, of := range []struct {
		path, origin, method, headers string
		status                        int
		code, text                    string
	}{
		{"/bucket", "", "", "", 400, "BadRequest", "Insufficient information. Origin request header needed."},
		{"/bucket", "", "GET", "", 400, "BadRequest", "Insufficient information"},
		{"/bucket", "https://a.example.org", "", "", 400, "BadRequest", "Invalid Access-Control-Request-Method: null"},
		{"/bucket", "https://a.example.org", "PATCH", "", 400, "BadRequest", "Invalid Access-Control-Request-Method: PATCH"},
		{"/bucket", "https://a.example.org", "DELETE", "", 403, "AccessForbidden", "<Method>DELETE</Method><ResourceType>BUCKET</ResourceType>"},
		{"/bucket/a", "https://a.example.com", "GET", "", 403, "AccessForbidden", "<ResourceType>OBJECT</ResourceType>"},
		{"/bucket/a", "https://a.example.org", "GET", "content-type", 403, "AccessForbidden", "This CORS request is not allowed."},
		{"/bucket/a", "https://a.example.org", "GET", "x-amz-date\x01", 403, "AccessForbidden", "This CORS request is not allowed."},
		{"/nowhere/a", "https://a.example.org", "GET", "", 403, "AccessForbidden", "CORSResponse: Bucket not found"},
	} {
		a := ask(of.path, of.origin, of.method, of.headers)
		require.Equal(t, of.status, a.status, "%v %s", of, a.body)
		require.Equal(t, of.code, a.code)
		require.Contains(t, a.body, of.text)
		require.Empty(t, allowed(a))
	}
	h.ok(request{method: "DELETE", path: "/bucket?cors"})
	a := ask("/bucket/a", "https://a.example.org", "GET", "")
	require.Equal(t, "AccessForbidden", a.code)
	require.Contains(t, a.body, "CORSResponse: CORS is not enabled for this bucket.")
	two := request{method: "OPTIONS", path: "/bucket/a", style: byNothing}.build(t)
	two.Header["Origin"] = []string{"https://a.example.org", "https://b.example.org"}
	two.Header.Set("Access-Control-Request-Method", "GET")
	h.put("/bucket?cors", corsOfTests)
	require.Equal(t, "AccessForbidden", h.send(two).code)
}

// What is answered says who may see it, errors too; who may not is told nothing.
func TestAnswersForPages(t *testing.T) {
	h := newCrossed(t)
	page := map[string]string{"Origin": "https://a.example.org"}
	want := map[string]string{
		"Allow-Origin": "https://a.example.org", "Allow-Methods": "GET, PUT, POST", "Expose-Headers": "ETag", "Max-Age": "600", "Allow-Credentials": "true",
	}
	for name, of := range map[string]struct {
		q      request
		status int
	}{
		"read":          {request{method: "GET", path: "/bucket/a"}, 200},
		"presigned":     {request{method: "GET", path: "/bucket/a", style: byQuery, unsigned: []string{"origin"}}, 200},
		"list":          {request{method: "GET", path: "/bucket"}, 200},
		"write":         {request{method: "PUT", path: "/bucket/b", body: "x"}, 200},
		"missing":       {request{method: "GET", path: "/bucket/missing"}, 404},
		"denied":        {request{method: "GET", path: "/bucket/a", style: byNothing}, 403},
		"not signed so": {request{method: "GET", path: "/bucket/a", secret: "another"}, 403},
		"not built":     {request{method: "GET", path: "/bucket?analytics"}, 501},
	} {
		of.q.header = page
		a := h.do(of.q)
		require.Equal(t, of.status, a.status, "%s: %s", name, a.body)
		require.Equal(t, want, allowed(a), name)
		require.Equal(t, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method", a.header.Get("Vary"))
	}
	for name, q := range map[string]request{
		"another page": {method: "GET", path: "/bucket/a", header: map[string]string{"Origin": "https://example.org"}},
		"no page":      {method: "GET", path: "/bucket/a"},
		"method":       {method: "DELETE", path: "/bucket/b", header: page},
		"no bucket":    {method: "GET", path: "/nowhere/a", header: page},
		"service":      {method: "GET", path: "/", header: page},
		"for another": {method: "GET", path: "/bucket/a", header: map[string]string{
			"Origin": "https://a.example.org", "Access-Control-Request-Method": "DELETE"}},
	} {
		require.Empty(t, allowed(h.do(q)), name)
	}
	two := request{method: "GET", path: "/bucket/a"}.build(t)
	two.Header["Origin"] = []string{"https://a.example.org", "https://b.example.org"}
	require.Empty(t, allowed(h.send(two)), "which page asks is not known")
	head := h.do(request{method: "HEAD", path: "/bucket/a", header: map[string]string{"Origin": "null"}})
	require.Equal(t, map[string]string{"Allow-Origin": "*", "Allow-Methods": "HEAD"}, allowed(head))
	form := h.post(posted{version: 4, fields: []string{"key", "f"}, header: page})
	require.Equal(t, http.StatusNoContent, form.status)
	require.Equal(t, want, allowed(form))
	h.ok(request{method: "DELETE", path: "/bucket?cors"})
	a := h.do(request{method: "GET", path: "/bucket/a", header: page})
	require.Empty(t, allowed(a))
	require.Empty(t, a.header.Get("Vary"))
}

// GHSA-cggp-94xr-prm6: what stands in a header has one line, even if the document
// is older than the check or a transport lets an origin through.
func TestNoNewlineInCorsHeaders(t *testing.T) {
	h := newHarness(t, nil, nil)
	bad := strings.Replace(corsOfTests, "<ExposeHeader>ETag", "<ExposeHeader>ETag&#13;&#10;Set-Cookie: a=b", 1)
	require.NoError(t, h.store.PutDocument(t.Context(), bucket, "cors", []byte(bad)))
	h.put("/bucket/a", "x")
	a := h.do(request{method: "GET", path: "/bucket/a", header: map[string]string{"Origin": "https://a.example.org"}})
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, allowed(a))
	h.put("/bucket?cors", strings.Replace(corsOfTests, "https://*.example.org", "*", 1))
	for _, origin := range []string{"https://a.example.org\r\nSet-Cookie: a=b", "a\nb", "a b", "\x00"} {
		r := request{method: "GET", path: "/bucket/a", style: byNothing}.build(t)
		r.Header["Origin"] = []string{origin}
		require.Empty(t, allowed(h.send(r)), "%q", origin)
	}
}

// A store that keeps no documents has no rules, which is no failure.
func TestCorsWithoutDocuments(t *testing.T) {
	h := newHarness(t, nil, func(s *sherd.Store) s3api.Store { return plainStore{s} })
	require.Equal(t, "NotImplemented", h.get("/bucket?cors").code)
	a := h.do(request{method: "OPTIONS", path: "/bucket", style: byNothing, header: map[string]string{"Origin": "a", "Access-Control-Request-Method": "GET"}})
	require.Contains(t, a.body, "CORS is not enabled for this bucket.")
	require.Empty(t, allowed(h.do(request{method: "GET", path: "/bucket", header: map[string]string{"Origin": "a"}})))
}

// plainStore has what a handler needs and nothing beyond.
type plainStore struct{ s3api.Store }
