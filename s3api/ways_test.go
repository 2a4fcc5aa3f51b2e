// Goal: the handler is the same however it is reached. Method: one scenario with
// every kind of request and signature through each way of naming a bucket over
// each way of carrying a request; what was answered must be the same line by line.
package s3api_test

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/inprocess"
)

// way is one of them: where the handler is mounted, whether the host names the
// bucket, and what carries the requests.
type way struct {
	h          *harness
	client     *http.Client
	base       string // scheme and address
	prefix     string
	inHost     bool
	transcript []string
}

// naming is how requests name buckets.
type naming struct {
	name   string
	prefix string
	inHost bool
}

func namings() []naming {
	return []naming{{"path", "", false}, {"host", "", true}, {"path below a prefix", "/mounted/at", false}, {"host and prefix", "/mounted/at", true}}
}

// beside is what else a server has.
func beside(prefix string, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix+"/") && r.URL.Path != "/elsewhere" {
			handler.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, "another route")
	})
}

// carriers serve a handler and give a client of it.
func carriers() map[string]func(t *testing.T, handler http.Handler) (*http.Client, string) {
	serve := func(t *testing.T, handler http.Handler, start func(*httptest.Server)) (*http.Client, string) {
		t.Helper()
		server := httptest.NewUnstartedServer(handler)
		start(server)
		t.Cleanup(server.Close)
		return server.Client(), server.URL
	}
	return map[string]func(*testing.T, http.Handler) (*http.Client, string){
		"HTTP 1.1": func(t *testing.T, handler http.Handler) (*http.Client, string) {
			return serve(t, handler, (*httptest.Server).Start)
		},
		"HTTP 2 and TLS": func(t *testing.T, handler http.Handler) (*http.Client, string) {
			return serve(t, handler, func(s *httptest.Server) {
				s.EnableHTTP2 = true
				s.StartTLS()
			})
		},
		"transport": func(_ *testing.T, handler http.Handler) (*http.Client, string) {
			return &http.Client{Transport: inprocess.New(handler)}, "http://s3.test"
		},
	}
}

// do sends a request whose path is /BUCKET/KEY in the way's own manner, and notes
// what was answered.
func (w *way) do(q request) answer {
	t := w.h.t
	t.Helper()
	named, rest := q.path, ""
	if i := strings.IndexByte(q.path, '?'); i >= 0 {
		named, rest = q.path[:i], q.path[i:]
	}
	q.path2 = w.prefix + named
	name, key, _ := strings.Cut(strings.TrimPrefix(named, "/"), "/")
	if w.inHost && name != "" {
		q.host, q.path = name+"."+host, w.prefix+"/"+key+rest
		q.path2 = "/" + name + "/" + key
	} else {
		q.path = w.prefix + q.path
	}
	r := q.build(t)
	sent := r.Method + " " + named
	r.RequestURI = ""
	base, err := url.Parse(w.base)
	require.NoError(t, err)
	r.URL.Scheme, r.URL.Host = base.Scheme, base.Host
	r.Host = q.host
	if r.Host == "" {
		r.Host = host
	}
	if r.ContentLength == 0 {
		r.Body = nil
	}
	got, err := w.client.Do(r.WithContext(t.Context()))
	require.NoError(t, err, sent)
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err, sent)
	require.NoError(t, got.Body.Close())
	a := answer{status: got.StatusCode, header: got.Header, body: string(body)}
	if i := strings.Index(a.body, "<Code>"); a.status >= 400 && i >= 0 {
		a.code, _, _ = strings.Cut(a.body[i+len("<Code>"):], "<")
	}
	require.Equal(t, now().Format(http.TimeFormat), a.header.Get("Date"), "the handler's clock")
	require.NotEmpty(t, a.header.Get("X-Amz-Request-Id"))
	changing := regexp.MustCompile(`<(RequestId|HostId|Resource|Location|UploadId|InitiatedAt)>[^<]*</`)
	line := fmt.Sprint(sent, " ", q.style, ": ", a.status, " ", got.ContentLength)
	if changing.MatchString(a.body) {
		line = fmt.Sprint(sent, " ", q.style, ": ", a.status, " ", changing.ReplaceAllString(a.body, ""))
	} else {
		line += fmt.Sprintf(" %x", sha256.Sum256(body))
	}
	for _, name := range []string{"Etag", "Last-Modified", "Content-Type", "Content-Range", "Accept-Ranges", trailer, "X-Amz-Mp-Parts-Count"} {
		line += " " + name + "=" + a.header.Get(name)
	}
	w.transcript = append(w.transcript, line)
	return a
}

// scenario is what clients do.
func (w *way) scenario() {
	t := w.h.t
	ok := func(q request) answer {
		t.Helper()
		a := w.do(q)
		require.Less(t, a.status, 300, "%s %s %d: %s", q.method, q.path, q.style, a.body)
		return a
	}
	refused := func(code string, q request) {
		t.Helper()
		require.Equal(t, code, w.do(q).code, "%s %s", q.method, q.path)
	}
	refused("NoSuchBucket", request{method: "GET", path: "/photos"})
	ok(request{method: "PUT", path: "/photos"})
	ok(request{method: "HEAD", path: "/photos"})
	require.Contains(t, ok(request{method: "GET", path: "/"}).body, "<Name>photos</Name>")

	large := strings.Repeat("0123456789abcdef", 1<<15)
	for _, style := range append(styles(), byHeader2, byQuery2) {
		for i, body := range []string{"", "some bytes", large} {
			key := fmt.Sprintf("/photos/dir//a%%20b%%2Bc%%25/%%C3%%A9~(1)/./../%d-%d", style, i)
			ok(request{method: "PUT", path: key, body: body, style: style, chunkBytes: 8 << 10, header: map[string]string{"Content-Type": "text/x", "X-Amz-Meta-A": "b c"}})
			require.Equal(t, body, ok(request{method: "GET", path: key, style: style}).body)
			head := w.do(request{method: "HEAD", path: key, style: style})
			require.Equal(t, []string{fmt.Sprint(len(body)), "b c", ""}, []string{head.header.Get("Content-Length"), head.header.Get("X-Amz-Meta-A"), head.body})
			if body != "" {
				a := ok(request{method: "GET", path: key, style: style, header: map[string]string{"Range": "bytes=2-4"}})
				require.Equal(t, http.StatusPartialContent, a.status)
				require.Equal(t, body[2:5], a.body)
			}
		}
		refused("SignatureDoesNotMatch", request{method: "PUT", path: "/photos/stolen", body: "x", style: style, secret: "wrong"})
		refused("NoSuchKey", request{method: "GET", path: "/photos/missing", style: style})
	}
	page := ok(request{method: "GET", path: "/photos?list-type=2&prefix=dir%2F&delimiter=%2F&encoding-type=url"}).body
	require.Contains(t, page, "<Prefix>dir//</Prefix>")
	require.Equal(t, 3*(len(styles())+2), strings.Count(ok(request{method: "GET", path: "/photos?list-type=2", style: byQuery2}).body, "<Key>"))

	begun := parse[struct{ UploadId string }](t, ok(request{method: "POST", path: "/photos/big?uploads"})).UploadId
	ok(request{method: "PUT", path: "/photos/big?partNumber=1&uploadId=" + begun, body: "first", style: byUnsignedTrailer})
	ok(request{method: "PUT", path: "/photos/source", body: "and the second"})
	ok(request{method: "PUT", path: "/photos/big?partNumber=2&uploadId=" + begun, header: map[string]string{"X-Amz-Copy-Source": "/photos/source", "X-Amz-Copy-Source-Range": "bytes=8-13"}})
	ok(request{method: "GET", path: "/photos/big?uploadId=" + begun})
	done := ok(request{method: "POST", path: "/photos/big?uploadId=" + begun, body: listOf("first", "second")})
	w.checkLocation(parse[completed](t, done).Location)
	require.Equal(t, "firstsecond", ok(request{method: "GET", path: "/photos/big"}).body)
	require.Equal(t, "second", ok(request{method: "GET", path: "/photos/big?partNumber=2", style: byQuery}).body)
	ok(request{method: "PUT", path: "/photos/copied", header: map[string]string{"X-Amz-Copy-Source": "/photos/big"}})
	require.Equal(t, "firstsecond", ok(request{method: "GET", path: "/photos/copied?response-content-type=text/y", style: byQuery2}).body)

	refused("SignatureDoesNotMatch", request{method: "GET", path: "/photos/big", style: byQuery, tamper: func(r *http.Request) { r.Method = "DELETE" }})
	refused("AccessDenied", request{method: "GET", path: "/photos/big", style: byQuery, at: now().Add(-61e9)})
	refused("AccessDenied", request{method: "GET", path: "/photos/big", style: byNothing})
	refused("BadDigest", request{method: "PUT", path: "/photos/bad", body: "x", header: map[string]string{"Content-Md5": md5Of("y")}})
	refused("SignatureDoesNotMatch", request{method: "PUT", path: "/photos/bad", body: "xxxxxx", style: byChunks, tamperBody: func(b []byte) []byte {
		return []byte(strings.Replace(string(b), "xxxxx", "xxyxx", 1))
	}})
	refused("NoSuchKey", request{method: "GET", path: "/photos/bad"})
	refused("PreconditionFailed", request{method: "PUT", path: "/photos/big", body: "x", header: map[string]string{"If-None-Match": "*"}})
	refused("BucketNotEmpty", request{method: "DELETE", path: "/photos"})

	require.Equal(t, http.StatusNoContent, w.do(request{method: "DELETE", path: "/photos/copied"}).status)
	var keys strings.Builder
	for info, err := range w.h.store.List(t.Context(), "photos", nil) {
		require.NoError(t, err)
		keys.WriteString("<Object><Key>" + info.Key + "</Key></Object>")
	}
	list := "<Delete>" + keys.String() + "</Delete>"
	require.NotContains(t, ok(request{method: "POST", path: "/photos?delete", body: list, header: map[string]string{"Content-Md5": md5Of(list)}}).body, "<Error>")
	require.Equal(t, http.StatusNoContent, w.do(request{method: "DELETE", path: "/photos"}).status)
	refused("NoSuchBucket", request{method: "GET", path: "/photos/big"})
}

// checkLocation says that the object is where the answer says.
func (w *way) checkLocation(location string) {
	scheme, _, _ := strings.Cut(w.base, "://")
	want := scheme + "://" + host + w.prefix + "/photos/big"
	if w.inHost {
		want = scheme + "://photos." + host + w.prefix + "/big"
	}
	require.Equal(w.h.t, want, location)
}

func TestEveryWay(t *testing.T) {
	var first []string
	for _, naming := range namings() {
		for carrier, serve := range carriers() {
			t.Run(naming.name+" over "+carrier, func(t *testing.T) {
				h := newHarness(t, func(o *s3api.Options) {
					version2(o)
					o.Domains, o.Prefix = []string{host}, naming.prefix
				}, nil)
				client, base := serve(t, beside(naming.prefix, h.handler))
				w := &way{h: h, client: client, base: base, prefix: naming.prefix, inHost: naming.inHost}
				w.scenario()
				got, err := client.Get(base + "/elsewhere")
				require.NoError(t, err)
				body, err := io.ReadAll(got.Body)
				require.NoError(t, err)
				require.NoError(t, got.Body.Close())
				require.Equal(t, "another route", string(body))
				if first == nil {
					first = w.transcript
				}
				require.Len(t, w.transcript, len(first))
				for i, line := range w.transcript {
					require.Equal(t, first[i], line)
				}
			})
		}
	}
	require.Greater(t, len(first), 100)
}

// Which bucket a host names: below the longest domain, whatever the case and port.
func TestHostsOfBuckets(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) { o.Domains = []string{"test", "S3.Test.", "other.example"} }, nil)
	_, err := h.store.CreateBucket(t.Context(), "a.b", &sherd.BucketOptions{Owner: fullKey})
	require.NoError(t, err)
	h.put("/bucket/key", "x")
	for host, path := range map[string]string{
		"s3.test": "/bucket/key", "test": "/bucket/key", "test:9000": "/bucket/key", "localhost": "/bucket/key", "[::1]:9000": "/bucket/key",
		"bucket.s3.test": "/key", "bucket.test": "/key", "BUCKET.S3.test:9000": "/key", "bucket.other.example": "/key",
		"bucket.s3.test.elsewhere": "/bucket/key", "xs3.test": "", "s3.test.": "/bucket/key", "none.other.example": "",
	} {
		a := h.do(request{method: "GET", path: cmp.Or(path, "/bucket/key"), host: host})
		if path == "" {
			require.Equal(t, "NoSuchBucket", a.code, host)
			continue
		}
		require.Equal(t, "x", a.body, "%s: %s", host, a.code)
	}
	h.ok(request{method: "PUT", path: "/key", host: "a.b.s3.test", body: "y"})
	require.Equal(t, "y", h.get("/a.b/key").body)
	require.Contains(t, h.ok(request{method: "GET", path: "/", host: "s3.test"}).body, "<Name>a.b</Name>")
	require.Contains(t, h.ok(request{method: "GET", path: "/", host: "bucket.s3.test"}).body, "<Key>key</Key>")
	for _, host := range []string{"-.s3.test", "a_b.s3.test", "x..y.s3.test"} {
		require.Equal(t, "InvalidBucketName", h.do(request{method: "GET", path: "/bucket/key", host: host}).code, host)
	}
}
