// Goal: a signature of version 2 is good for what was signed and for nothing else,
// though it covers neither the host nor every parameter. Method: every operation
// by every way of being somebody or nobody, requests changed after they were
// signed, each selector of an operation added to a request that has none, and the
// requests that a client in wide use makes (testdata/version2.json, by botocore
// 1.43).
package s3api_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/internal/sigv2"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
)

// version2 makes a handler accept version 2 as well.
func version2(o *s3api.Options) {
	o.Authenticator = s3api.NewSignatures(o.Authorizer.(*s3api.Credentials), "")
}

// sign2 signs by version 2, the path as it is sent.
func (q request) sign2(t testing.TB, r *http.Request) {
	t.Helper()
	var claim *sigv2.Claim
	placeholder := "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
	if q.style == byQuery2 {
		expires := strconv.FormatInt(q.at.Add(time.Duration(max(q.expires, 60))*time.Second).Unix(), 10)
		raw := url.Values{"AWSAccessKeyId": {q.key}, "Signature": {placeholder}, "Expires": {expires}}.Encode()
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+raw, "&")
	} else if r.Header.Get("X-Amz-Date") == "" {
		r.Header.Set("Date", q.at.UTC().Format(http.TimeFormat))
	}
	parsed, err := sigv4.ParseQuery(r.URL.RawQuery, 1000)
	require.NoError(t, err)
	query := make([]sigv2.Parameter, len(parsed))
	for i, p := range parsed {
		query[i] = sigv2.Parameter(p)
	}
	if q.style == byQuery2 {
		claim, err = sigv2.ParseQuery(query)
	} else {
		claim, err = sigv2.ParseHeader("AWS "+q.key+":"+placeholder, r.Header)
	}
	require.NoError(t, err)
	header, err := claim.Headers(r.Header, query)
	require.NoError(t, err)
	signature := sigv2.Sign(q.secret, claim, &sigv2.Request{Method: q.method, Path: cmp.Or(q.path2, r.URL.EscapedPath()), Query: query, Header: header})
	if q.style == byQuery2 {
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, url.QueryEscape(placeholder), url.QueryEscape(signature), 1)
		return
	}
	r.Header.Set("Authorization", "AWS "+q.key+":"+signature)
}

// adding changes the query of a signed request.
func adding(parameter string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+parameter, "&") }
}

func callers2() []caller {
	var all []caller
	for name, style := range map[string]style{"header": byHeader2, "presigned": byQuery2} {
		with := func(what, code string, change func(*request)) {
			all = append(all, caller{what + ", " + name, func(q *request) {
				q.style = style
				change(q)
			}, code})
		}
		tampered := func(what, code string, tamper func(*http.Request)) {
			with(what, code, func(q *request) { q.tamper = tamper })
		}
		with("good", "", func(*request) {})
		with("wrong secret", "SignatureDoesNotMatch", func(q *request) { q.secret = "wrong" })
		with("unknown key", "InvalidAccessKeyId", func(q *request) { q.key = unknownKey })
		with("security token", "InvalidToken", func(q *request) { q.header = map[string]string{"X-Amz-Security-Token": "t"} })
		tampered("another path", "SignatureDoesNotMatch", func(r *http.Request) { r.URL.Path += "x" })
		tampered("added header", "SignatureDoesNotMatch", add("X-Amz-Meta-A", "b"))
		tampered("added type", "SignatureDoesNotMatch", add("Content-Type", "text/html"))
		tampered("added digest", "SignatureDoesNotMatch", add("Content-Md5", md5Of("x")))
		tampered("added version", "SignatureDoesNotMatch", adding("versionId=null"))
		tampered("added website", "SignatureDoesNotMatch", adding("website"))
		tampered("added selector of another kind", "InvalidArgument", adding("X-Amz-Credential=a"))
		tampered("two ways", "InvalidArgument", func(r *http.Request) { r.Header.Add("Authorization", "AWS4-HMAC-SHA256 A") })
	}
	at := func(d time.Duration) time.Time { return now().Add(d) }
	return append(all, []caller{
		{"long ago", func(q *request) { q.style, q.at = byHeader2, at(-15*time.Minute-time.Second) }, "RequestTimeTooSkewed"},
		{"future", func(q *request) { q.style, q.at = byHeader2, at(15*time.Minute+time.Second) }, "RequestTimeTooSkewed"},
		{"just not too long ago", func(q *request) { q.style, q.at = byHeader2, at(-15*time.Minute) }, ""},
		{"expired", func(q *request) { q.style, q.at = byQuery2, at(-61*time.Second) }, "AccessDenied"},
		{"about to expire", func(q *request) { q.style, q.at = byQuery2, at(-60*time.Second) }, ""},
		{"longer life", func(q *request) {
			q.style, q.at, q.tamper = byQuery2, at(-61*time.Second), func(r *http.Request) {
				r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=1", "Expires=2", 1)
			}
		}, "SignatureDoesNotMatch"},
		{"hoisted header", func(q *request) { q.style, q.tamper = byQuery2, adding("x-amz-meta-a=b") }, "SignatureDoesNotMatch"},
		{"hoisted type", func(q *request) { q.style, q.tamper = byQuery2, adding("content-type=text/html") }, "SignatureDoesNotMatch"},
		{"hoisted token", func(q *request) { q.style, q.tamper = byQuery2, adding("X-Amz-Security-Token=t") }, "InvalidToken"},
		{"half of a query", func(q *request) { q.style, q.tamper = byNothing, adding("Signature=AAAAAAAAAAAAAAAAAAAAAAAAAAA=") }, "AccessDenied"},
		{"header of nonsense", func(q *request) { q.style, q.tamper = byNothing, add("Authorization", "AWS A:B") }, "AccessDenied"},
	}...)
}

// notSigned are the selectors that version 2 does not sign.
func notSigned(o s3api.Operation) bool {
	return slices.ContainsFunc(o.Query, func(selector string) bool {
		return !strings.Contains(selector, "=") && len(sigv2.Unsigned([]sigv2.Parameter{{Name: selector}})) > 0
	})
}

func TestMatrixOfOperationsAndCallersByVersion2(t *testing.T) {
	h := newHarness(t, version2, nil)
	refused := 0
	for _, o := range authenticated() {
		for _, c := range callers2() {
			q := requestFor(o)
			selects := q.header
			c.change(&q)
			for name, value := range selects {
				q.header = with(q.header, name, value)
			}
			a := h.do(q)
			text := fmt.Sprintf("%s by %s: %d %s", o.Name, c.name, a.status, a.body)
			if o.Method == http.MethodHead && c.code != "" {
				require.GreaterOrEqual(t, a.status, 400, text)
				continue
			}
			switch {
			case c.code != "":
				require.Equal(t, c.code, a.code, text)
			case notSigned(o):
				require.Equal(t, "InvalidRequest", a.code, text)
				refused++
			case !o.Built:
				require.Equal(t, "NotImplemented", a.code, text)
			default:
				require.NotContains(t, []string{"AccessDenied", "SignatureDoesNotMatch", "NotImplemented", "InternalError", "MethodNotAllowed"}, a.code, text)
			}
		}
	}
	require.Greater(t, refused, 50)
	off := newHarness(t, nil, nil)
	for _, style := range []style{byHeader2, byQuery2} {
		require.Equal(t, "InvalidRequest", off.do(request{method: "GET", path: "/bucket", style: style}).code)
		require.Equal(t, "SignatureDoesNotMatch", h.do(request{method: "GET", path: "/bucket", style: style, tamper: func(r *http.Request) { r.Method = "DELETE" }}).code)
	}
}

// Whoever has a presigned URL for one operation does not get another out of it.
func TestNoOtherOperationByVersion2(t *testing.T) {
	h := newHarness(t, version2, nil)
	h.put("/bucket/key", "x")
	tried := 0
	for _, o := range s3api.Operations() {
		if len(o.Query) == 0 || o.Query[0] == "list-type=2" {
			continue
		}
		path := map[s3api.Level]string{s3api.BucketLevel: "/bucket", s3api.ObjectLevel: "/bucket/key"}[o.Level]
		for _, style := range []style{byHeader2, byQuery2} {
			for _, base := range []string{"", "?versionId=null", "?response-content-type=a", "?tagging"} {
				q := request{method: o.Method, path: path + base, style: style, body: "<a/>", tamper: adding(strings.Join(o.Query, "&"))}
				if o.Header != "" {
					q.header = map[string]string{o.Header: "/bucket/key"}
				}
				a := h.do(q)
				want := []string{"SignatureDoesNotMatch", "InvalidRequest"}
				if base == "?tagging" && a.code != "" {
					want = append(want, "MalformedXML", "NoSuchTagSet", "NotImplemented", "MethodNotAllowed") // what was signed
				}
				if base != "?tagging" || a.code != "" {
					require.Contains(t, want, a.code, "%s %s: %d %s", o.Name, base, a.status, a.body)
				}
				tried++
			}
		}
	}
	require.Greater(t, tried, 300)
	require.Equal(t, []string{"key"}, h.objects())
	require.Equal(t, "x", h.get("/bucket/key").body)
}

// The text that is signed does not tell a value with '&' from two parameters.
func TestAParameterThatIsTwo(t *testing.T) {
	h := newHarness(t, version2, nil)
	h.ok(request{method: "PUT", path: "/bucket/key", body: "x", header: map[string]string{"X-Amz-Tagging": "secret=tag"}})
	name := url.QueryEscape(`attachment; filename="a`)
	q := request{method: "GET", path: "/bucket/key?response-content-disposition=" + name + "%26tagging", style: byQuery2}
	require.Equal(t, `attachment; filename="a&tagging`, h.ok(q).header.Get("Content-Disposition"))
	q.tamper = func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "%26tagging", "&tagging", 1) }
	a := h.do(q)
	require.Equal(t, "InvalidRequest", a.code)
	require.NotContains(t, a.body, "secret")
}

// Lines of one name are signed as one, and obeyed as one.
func TestAHeaderThatIsTwo(t *testing.T) {
	h := newHarness(t, version2, nil)
	h.put("/bucket/a", "secret")
	h.put("/bucket/a,b", "wanted")
	for _, style := range []style{byHeader, byQuery, byHeader2, byQuery2} {
		h.ok(request{method: "PUT", path: "/bucket/copied", style: style, header: map[string]string{"X-Amz-Copy-Source": "/bucket/a,b"},
			tamper: func(r *http.Request) { r.Header["X-Amz-Copy-Source"] = []string{"/bucket/a", "b"} }})
		require.Equal(t, "wanted", h.get("/bucket/copied").body)
	}
	q := request{method: "PUT", path: "/bucket/copied?x-amz-copy-source=/bucket/a,b", style: byQuery2, tamper: func(r *http.Request) {
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "/bucket/a,b", "b", 1)
		r.Header.Set("X-Amz-Copy-Source", "/bucket/a")
	}}
	h.ok(q)
	require.Equal(t, "wanted", h.get("/bucket/copied").body)
}

// What cannot be a header is refused where it stands for one, not passed over.
func TestParametersThatCannotBeHeaders(t *testing.T) {
	h := newHarness(t, version2, nil)
	for _, raw := range []string{"x-amz-meta-a=b%0Ac", "x-amz-meta-a=b%00", "x-amz-meta-a%3Ab%0Ax-amz-meta-c=d", "X-Amz-Meta-A%20b=c"} {
		a := h.do(request{method: "PUT", path: "/bucket/a?" + raw, body: "x", style: byQuery})
		require.Equal(t, "InvalidArgument", a.code, raw)
		for _, signed := range []string{"", "x-amz-meta-a=b&x-amz-meta-c=d"} {
			q := request{method: "PUT", path: "/bucket/a?" + signed, body: "x", style: byQuery2, tamper: func(r *http.Request) {
				r.URL.RawQuery = strings.TrimPrefix(strings.TrimPrefix(r.URL.RawQuery, signed)+"&"+raw, "&")
			}}
			require.Equal(t, "InvalidArgument", h.do(q).code, raw)
		}
	}
	require.Empty(t, h.objects())
}

func TestBodiesByVersion2(t *testing.T) {
	h := newHarness(t, version2, nil)
	a := h.do(request{method: "PUT", path: "/bucket/a", body: "x", style: byHeader2, header: map[string]string{"Content-Md5": md5Of("y")}})
	require.Equal(t, "BadDigest", a.code)
	a = h.do(request{method: "PUT", path: "/bucket/a?content-md5=" + url.QueryEscape(md5Of("y")), body: "x", style: byQuery2})
	require.Equal(t, "BadDigest", a.code, "a digest in the query is one too")
	h.ok(request{method: "PUT", path: "/bucket/typed?content-type=text/a&x-amz-meta-b=c", body: "x", style: byQuery2})
	got := h.get("/bucket/typed")
	require.Equal(t, "text/a", got.header.Get("Content-Type"))
	require.Equal(t, []string{"c"}, got.header["x-amz-meta-b"])

	trailer := map[string]string{
		"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Trailer": trailer, "X-Amz-Decoded-Content-Length": "5",
	}
	encoded := request{style: byUnsignedTrailer, body: "bytes"}.encode(nil)
	h.ok(request{method: "PUT", path: "/bucket/trailed", style: byHeader2, header: trailer, body: string(encoded)})
	require.Equal(t, "bytes", h.get("/bucket/trailed").body)
	broken := strings.Replace(string(encoded), "bytes", "bites", 1)
	require.Equal(t, "BadDigest", h.do(request{method: "PUT", path: "/bucket/b", style: byHeader2, header: trailer, body: broken}).code)
	for _, mode := range []string{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", sigv4.EmptyDigest, "x"} {
		trailer["X-Amz-Content-Sha256"] = mode
		a := h.do(request{method: "PUT", path: "/bucket/c", style: byHeader2, header: trailer, body: string(encoded)})
		require.Equal(t, "InvalidRequest", a.code, mode)
	}
	require.Equal(t, []string{"trailed", "typed"}, h.objects())
}

// A prefix may be part of what is signed or not, and a bucket be in the host or the
// path, but no signature is good for two objects.
func TestPathsByVersion2(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) {
		version2(o)
		o.Prefix, o.Domains = "/bucket", []string{"s3.test", "other.test"}
	}, nil)
	for _, name := range []string{"other", "nested"} {
		_, err := h.store.CreateBucket(t.Context(), name, &sherd.BucketOptions{Owner: fullKey})
		require.NoError(t, err)
	}
	at := func(host, path string) func(*http.Request) {
		return func(r *http.Request) { r.Host, r.URL.Path = host, path }
	}
	for _, c := range []struct {
		signed, host, sent string
		want               string // the object; "" refused
	}{
		{"/bucket/other/key", "s3.test", "/bucket/other/key", "other/key"},
		{"/other/key", "s3.test", "/bucket/other/key", "other/key"},
		{"/other/key", "other.s3.test", "/bucket/key", "other/key"},
		{"/other/key", "nested.s3.test", "/bucket/key", ""},
		{"/other/key", "other.other.test", "/bucket/key", "other/key"},
		{"/other/bucket/key", "other.s3.test", "/bucket/key", ""},
		{"/bucket/other/key", "s3.test", "/bucket/bucket/other/key", ""},
		{"/bucket/other/key", "bucket.s3.test", "/bucket/other/key", ""},
		{"/bucket/bucket/key", "s3.test", "/bucket/bucket/key", "bucket/key"},
		{"/other/key", "s3.test", "/other/key", ""},
	} {
		for _, style := range []style{byHeader2, byQuery2} {
			a := h.do(request{method: "PUT", path: c.signed, style: style, body: "x", tamper: at(c.host, c.sent)})
			if c.want == "" {
				require.GreaterOrEqual(t, a.status, 400, "%+v", c)
				continue
			}
			require.Equal(t, http.StatusOK, a.status, "%+v %s", c, a.body)
			name, key, _ := strings.Cut(c.want, "/")
			_, err := h.store.Delete(t.Context(), name, key, nil)
			require.NoError(t, err)
		}
	}
	for _, name := range []string{"bucket", "other", "nested"} {
		for info, err := range h.store.List(t.Context(), name, nil) {
			require.NoError(t, err)
			require.Fail(t, "stored where nobody signed it", "%s/%s", name, info.Key)
		}
	}
}

func TestRequestsOfBotocore(t *testing.T) {
	var vectors []struct {
		Name, Method, URL, Body string
		Header                  map[string]string
	}
	data, err := os.ReadFile("testdata/version2.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &vectors))
	require.Len(t, vectors, 92)
	for _, v := range vectors {
		u, err := url.Parse(v.URL)
		require.NoError(t, err)
		var seen s3api.Exchange
		h := newHarness(t, func(o *s3api.Options) {
			version2(o)
			o.Domains, o.Observe = []string{"s3.test"}, func(e s3api.Exchange) { seen = e }
			if strings.HasPrefix(u.Path, "/mounted") {
				o.Prefix = "/mounted"
			}
		}, nil)
		send := func(secretSpoiled bool) answer {
			r, err := http.NewRequest(v.Method, v.URL, strings.NewReader(v.Body))
			require.NoError(t, err)
			for name, value := range v.Header {
				if secretSpoiled {
					value = strings.Replace(value, "AWS "+fullKey+":", "AWS "+readKey+":", 1)
				}
				r.Header.Set(name, value)
			}
			if secretSpoiled {
				r.URL.RawQuery = strings.Replace(r.URL.RawQuery, fullKey, readKey, 1)
			}
			return h.send(r)
		}
		if a := send(true); v.Method != http.MethodHead {
			require.Equal(t, "SignatureDoesNotMatch", a.code, v.Name)
		}
		a := send(false)
		_, operation, _ := strings.Cut(v.Name, ": ")
		operation, _, _ = strings.Cut(operation, " presigned")
		switch operation {
		case "GetObjectRetention", "PutObjectLegalHold", "GetObjectAttributes":
			require.Equal(t, "InvalidRequest", a.code, v.Name)
		default:
			require.NotEqual(t, http.StatusForbidden, a.status, "%s: %s", v.Name, a.body)
			require.NotContains(t, []string{"NotImplemented", "InvalidRequest", "InvalidArgument", "MalformedXML"}, a.code, "%s: %s", v.Name, a.body)
		}
		require.Equal(t, []string{operation, fullKey}, []string{seen.Operation, seen.AccessKey}, v.Name)
		if operation == "PutObject" {
			info, err := h.store.Stat(t.Context(), bucket, seen.Key, nil)
			require.NoError(t, err)
			require.Equal(t, "dark  blue", info.Metadata["colour"])
			require.Contains(t, info.ContentType, "text/plain")
		}
	}
}
