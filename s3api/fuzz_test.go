// Goal: no request makes the handler panic, answer without a document, or store
// anything that nobody signed. Method: fuzz the method, the path, the query, the
// Authorization header, the payload mode and the body, of requests that are not
// signed and of requests that are.
package s3api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/versioning"
)

func FuzzUnsignedRequest(f *testing.F) {
	signed := request{method: "PUT", path: "/bucket/a", body: "x"}.build(f)
	f.Add("PUT", "/bucket/a", "", signed.Header.Get("Authorization"), "UNSIGNED-PAYLOAD", []byte("x"))
	query := request{method: "GET", path: "/bucket/a", style: byQuery}.build(f)
	f.Add("GET", "/bucket/a", query.URL.RawQuery, "", "", []byte{})
	f.Add("POST", "/bucket", "delete", "", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", []byte("1\r\nx\r\n0\r\n\r\n"))
	f.Add("PUT", "/bucket/a", "", request{method: "PUT", path: "/bucket/b", style: byHeader2}.build(f).Header.Get("Authorization"), "", []byte("x"))
	f.Add("PUT", "/bucket/a", request{method: "PUT", path: "/bucket/b", style: byQuery2}.build(f).URL.RawQuery+"&x-amz-meta-a=%0A&tagging", "", "", []byte("x"))
	h := newHarness(f, version2, nil)
	f.Fuzz(func(t *testing.T, method, path, query, authorization, payload string, body []byte) {
		r := &http.Request{
			Method: method, URL: &url.URL{Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}, Host: host, Header: http.Header{},
			Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)),
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if strings.HasPrefix(authorization, "AWS ") {
			r.Header.Set("Date", now().Format(http.TimeFormat))
		} else {
			r.Header.Set("X-Amz-Date", now().Format("20060102T150405Z"))
		}
		if payload != "" {
			r.Header.Set("X-Amz-Content-Sha256", payload)
		}
		h.t = t
		a := h.send(r)
		require.GreaterOrEqual(t, a.status, 400)
		require.Less(t, a.status, 500)
		require.Empty(t, h.objects())
	})
}

func FuzzSignedRequest(f *testing.F) {
	for _, o := range s3api.Operations() {
		q := requestFor(o)
		f.Add(q.method, strings.Replace(q.path, "nowhere", bucket, 1), q.header["X-Amz-Copy-Source"], "bytes=0-1", "<Delete/>")
	}
	f.Fuzz(func(t *testing.T, method, path, source, ranges, body string) {
		u, err := url.ParseRequestURI("/" + strings.TrimPrefix(path, "/"))
		if err != nil || strings.ToUpper(method) != method || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || method == "" || u.Fragment != "" {
			return
		}
		header := map[string]string{"Range": ranges, "X-Amz-Sdk-Checksum-Algorithm": ""}
		if source != "" {
			header["X-Amz-Copy-Source"] = source
		}
		h := newHarness(t, nil, nil)
		h.put("/bucket/key", "x")
		q := request{method: method, path: "/", header: header, body: body, tamper: nil}
		r, err := http.NewRequest(method, "http://"+host+u.String(), nil)
		if err != nil || strings.ContainsAny(source+ranges, "\x00\r\n") {
			return
		}
		if _, err := url.ParseQuery(r.URL.RawQuery); err != nil || strings.Contains(r.URL.RawQuery, "X-Amz") {
			return
		}
		q.path = r.URL.String()[len("http://"+host):]
		a := h.do(q)
		require.NotContains(t, []int{0, 500, 503, 507}, a.status, a.body)
	})
}

// A configuration that is accepted is told as it was understood: what is told is
// accepted again, and then told in the same way.
func FuzzConfigurations(f *testing.F) {
	paths := []string{"/bucket?tagging", "/bucket/%d?tagging", "/bucket/%d?retention", "/bucket/%d?legal-hold", "/bucket?object-lock",
		"/bucket?ownershipControls", "/bucket?publicAccessBlock", "/bucket?encryption", "/bucket?cors", "/bucket?lifecycle"}
	for i, body := range []string{
		tagging("k", "v", "a", ""), tagging("é", "1"), retention("GOVERNANCE", "2031-01-01T00:00:00.0001Z"), hold("ON"),
		lockOf(rule("<Mode>COMPLIANCE</Mode><Years>1</Years>")),
		ownership("BucketOwnerPreferred"), block(true, false, true, false), byDefault("aws:kms", "k2"),
		"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://*.test</AllowedOrigin></CORSRule></CORSConfiguration>",
		"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>p</Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
	} {
		f.Add(uint8(i), body)
	}
	f.Add(uint8(2), "<Retention/>")
	f.Add(uint8(4), lockOf(""))
	h := newHarness(f, withKeys(f), nil)
	require.NoError(f, h.store.SetVersioning(f.Context(), bucket, versioning.Enabled))
	key := 0
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		h.t = t
		h.ok(request{method: "PUT", path: "/bucket?object-lock", body: lockOf("")})
		key++ // what is locked stays
		h.put(fmt.Sprintf("/bucket/%d", key), "x")
		path := strings.Replace(paths[int(which)%len(paths)], "%d", strconv.Itoa(key), 1)
		a := h.do(request{method: "PUT", path: path, body: body, header: bypassing()})
		if a.code != "" {
			require.Contains(t, []string{"MalformedXML", "InvalidTag", "InvalidArgument", "MaxMessageLengthExceeded"}, a.code)
			return
		}
		told := h.get(path)
		if told.code == "NoSuchObjectLockConfiguration" {
			return // an empty retention
		}
		require.Equal(t, http.StatusOK, told.status, told.body)
		h.ok(request{method: "PUT", path: path, body: told.body})
		require.Equal(t, told.body, h.get(path).body)
	})
}

// Conditions that a request does not have refuse nothing, those that it has refuse GET and
// HEAD alike, and what is not refused is whole.
func FuzzConditions(f *testing.F) {
	h := newHarness(f, nil, nil)
	etag := h.put("/bucket/a", "x").header.Get("Etag")
	modified := h.get("/bucket/a").header.Get("Last-Modified")
	f.Add(etag, "", "", "")
	f.Add("", etag, modified, "")
	f.Add(`"a", W/`+etag, "*", modified, modified)
	f.Add("", "", "Fri, 27 Nov 2026 00:00:00 GMT", "Sunday, 06-Nov-94 08:49:37 GMT")
	f.Fuzz(func(t *testing.T, match, none, since, unmodified string) {
		if strings.ContainsAny(match+none+since+unmodified, "\x00\r\n") {
			return
		}
		h.t = t
		header := map[string]string{}
		for name, value := range map[string]string{"If-Match": match, "If-None-Match": none, "If-Modified-Since": since, "If-Unmodified-Since": unmodified} {
			if value = strings.TrimSpace(value); value != "" {
				header[name] = value
			}
		}
		a, head := h.do(request{method: "GET", path: "/bucket/a", header: header}), h.do(request{method: "HEAD", path: "/bucket/a", header: header})
		require.Equal(t, a.status, head.status)
		_, hasMatch := header["If-Match"]
		_, hasNone := header["If-None-Match"]
		switch a.status {
		case http.StatusOK:
			require.Equal(t, "x", a.body)
			require.False(t, hasNone && header["If-None-Match"] == etag)
		case http.StatusNotModified:
			require.True(t, hasNone || since != "")
			require.Empty(t, a.body)
			require.Equal(t, etag, a.header.Get("Etag"))
		default:
			require.Equal(t, http.StatusPreconditionFailed, a.status)
			require.True(t, hasMatch || unmodified != "")
			require.False(t, header["If-Match"] == etag || header["If-Match"] == "*")
		}
	})
}
