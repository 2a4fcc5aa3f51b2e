// Goal: what the other tests share. Method: a handler over a store in memory with
// a clock that goes on only when it is told, and a client that signs requests in
// every way that there is and never opens a socket.
package s3api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	fullKey    = "FULLACCESSKEY"
	readKey    = "READONLYKEY"
	unknownKey = "UNKNOWNKEY"
	altKey     = "ALTACCESSKEY" // of another account
	altAccount = "222222222222"
	canary     = "canary/secret+that=is/nowhere"
	host       = "s3.test"
	bucket     = "bucket"
)

func now() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }

type harness struct {
	t       testing.TB
	store   *sherd.Store
	handler *s3api.Handler
	log     *bytes.Buffer
	ahead   atomic.Int64 // of now, the clock of the store
}

func (h *harness) now() time.Time { return now().Add(time.Duration(h.ahead.Load())) }

func (h *harness) advance(d time.Duration) { h.ahead.Add(int64(d)) }

// newHarness makes a handler over an empty store with one bucket. change may
// change the options, wrap the store.
func newHarness(t testing.TB, change func(*s3api.Options), wrap func(*sherd.Store) s3api.Store) *harness {
	h := &harness{t: t, log: &bytes.Buffer{}}
	store, err := sherd.NewMemory(1, &sherd.Options{Clock: h.now})
	require.NoError(t, err)
	h.store = store
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	keys, err := s3api.NewCredentials(
		s3api.Credential{AccessKey: fullKey, SecretKey: canary, Access: s3api.FullAccess},
		s3api.Credential{AccessKey: readKey, SecretKey: canary + "2", Access: s3api.ReadOnly},
		s3api.Credential{AccessKey: altKey, SecretKey: canary + "3", Access: s3api.FullAccess, Identity: s3api.Identity{
			Account: altAccount, DisplayName: "alt", Email: "alt@example.org"}},
	)
	require.NoError(t, err)
	options := &s3api.Options{
		Authenticator: s3api.NewSigV4(keys, ""), Authorizer: keys,
		Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Limits: s3api.Limits{MinPartBytes: -1},
	}
	if change != nil {
		change(options)
	}
	var under s3api.Store = store
	if wrap != nil {
		under = wrap(store)
	}
	h.handler, err = s3api.New(under, options)
	require.NoError(t, err)
	_, err = store.CreateBucket(t.Context(), bucket, &sherd.BucketOptions{Owner: fullKey})
	require.NoError(t, err)
	return h
}

// style is how a request is signed.
type style int

const (
	byHeader style = iota
	byHeaderUnsignedPayload
	byQuery
	byChunks
	byChunksTrailer
	byUnsignedTrailer
	byNothing
	byHeader2 // version 2
	byQuery2
)

func styles() []style {
	return []style{byHeader, byHeaderUnsignedPayload, byQuery, byChunks, byChunksTrailer, byUnsignedTrailer}
}

// request is what a client wants to send.
type request struct {
	method, path string // with the query
	host         string // "": host
	path2        string // what version 2 signs; "": the path as it is sent
	header       map[string]string
	body         string
	chunkBytes   int // of the streaming styles; 0: 5
	style        style
	key          string // 0: fullKey
	secret       string // "": the key's own
	at           time.Time
	expires      int                 // seconds of a presigned request; 0: 60
	payload      string              // the payload mode that is signed; "": the style's
	unsigned     []string            // lower-case headers that are sent and not signed
	tamper       func(*http.Request) // after signing
	tamperBody   func(encoded []byte) []byte
}

func secretOf(key string) string {
	switch key {
	case fullKey:
		return canary
	case readKey:
		return canary + "2"
	case altKey:
		return canary + "3"
	default:
		return "nobody's"
	}
}

func (q request) mode() string {
	if q.payload != "" {
		return q.payload
	}
	switch q.style {
	case byHeader:
		sum := sha256.Sum256([]byte(q.body))
		return hex.EncodeToString(sum[:])
	case byChunks:
		return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	case byChunksTrailer:
		return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	case byUnsignedTrailer:
		return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	default:
		return "UNSIGNED-PAYLOAD"
	}
}

func (q request) streams() bool {
	return q.style == byChunks || q.style == byChunksTrailer || q.style == byUnsignedTrailer
}

func (q request) trails() bool { return q.style == byChunksTrailer || q.style == byUnsignedTrailer }

const trailer = "x-amz-checksum-crc32"

func crc(body string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

// build signs the request.
func (q request) build(t testing.TB) *http.Request {
	if q.key == "" {
		q.key = fullKey
	}
	if q.secret == "" {
		q.secret = secretOf(q.key)
	}
	if q.at.IsZero() {
		q.at = now()
	}
	if q.host == "" {
		q.host = host
	}
	r, err := http.NewRequest(q.method, "http://"+q.host+q.path, nil)
	require.NoError(t, err)
	r.RequestURI = r.URL.RequestURI()
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	if q.streams() {
		r.Header.Set("Content-Encoding", "aws-chunked")
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(q.body)))
	}
	if q.trails() && r.Header.Get("X-Amz-Trailer") == "" {
		r.Header.Set("X-Amz-Trailer", trailer)
	}
	encoded := []byte(q.body)
	switch q.style {
	case byNothing:
	case byHeader2, byQuery2:
		q.sign2(t, r)
	default:
		chain := q.sign(t, r)
		if q.streams() {
			encoded = q.encode(chain)
		}
	}
	if q.tamperBody != nil {
		encoded = q.tamperBody(encoded)
	}
	r.ContentLength, r.Body = int64(len(encoded)), io.NopCloser(bytes.NewReader(encoded))
	if q.tamper != nil {
		q.tamper(r)
	}
	return r
}

func (q request) sign(t testing.TB, r *http.Request) *sigv4.Chain {
	stamp := q.at.UTC().Format("20060102T150405Z")
	credential := q.key + "/" + stamp[:8] + "/us-east-1/s3/aws4_request"
	if q.style != byQuery {
		r.Header.Set("X-Amz-Date", stamp)
		r.Header.Set("X-Amz-Content-Sha256", q.mode())
	}
	names := []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); !slices.Contains(q.unsigned, lower) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	signed := strings.Join(names, ";")
	placeholder := strings.Repeat("0", 64)
	request := &sigv4.Request{Method: q.method, Path: r.URL.Path, Host: q.host, Header: r.Header, Payload: q.mode()}
	var claim *sigv4.Claim
	var err error
	if q.style == byQuery {
		raw := url.Values{
			"X-Amz-Algorithm": {sigv4.Algorithm}, "X-Amz-Credential": {credential}, "X-Amz-Date": {stamp},
			"X-Amz-Expires": {strconv.Itoa(max(q.expires, 60))}, "X-Amz-SignedHeaders": {signed}, "X-Amz-Signature": {placeholder},
		}.Encode()
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+raw, "&")
		request.Query, err = sigv4.ParseQuery(r.URL.RawQuery, 1000)
		require.NoError(t, err)
		claim, err = sigv4.ParseQueryClaim(request.Query)
		require.NoError(t, err)
		claim.Signature = sigv4.NewKey(q.secret, claim.Scope).Sign(claim, request)
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, placeholder, claim.Signature, 1)
		return nil
	}
	request.Query, err = sigv4.ParseQuery(r.URL.RawQuery, 1000)
	require.NoError(t, err)
	header := "AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + signed + ", Signature="
	claim, err = sigv4.ParseHeader(header+placeholder, stamp)
	require.NoError(t, err)
	claim.Signature = sigv4.NewKey(q.secret, claim.Scope).Sign(claim, request)
	r.Header.Set("Authorization", header+claim.Signature)
	return sigv4.NewChain(sigv4.NewKey(q.secret, claim.Scope), claim)
}

// encode writes the body in chunks.
func (q request) encode(chain *sigv4.Chain) []byte {
	size := q.chunkBytes
	if size == 0 {
		size = 5
	}
	var b bytes.Buffer
	pieces := slices.Collect(slices.Chunk([]byte(q.body), size))
	for _, piece := range append(pieces, nil) {
		fmt.Fprintf(&b, "%x", len(piece))
		if q.style != byUnsignedTrailer {
			sum := sha256.Sum256(piece)
			b.WriteString(";chunk-signature=" + chain.Chunk(sum[:]))
		}
		b.WriteString("\r\n")
		b.Write(piece)
		if len(piece) > 0 {
			b.WriteString("\r\n")
		}
	}
	if q.trails() {
		b.WriteString(trailer + ":" + crc(q.body) + "\r\n")
	}
	if q.style == byChunksTrailer {
		sum := sha256.Sum256([]byte(trailer + ":" + crc(q.body) + "\n"))
		b.WriteString("x-amz-trailer-signature:" + chain.Trailer(sum[:]) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	code   string // of an error
}

func (h *harness) do(q request) answer {
	h.t.Helper()
	if q.at.IsZero() {
		q.at = h.now()
	}
	return h.send(q.build(h.t))
}

func (h *harness) send(r *http.Request) answer {
	h.t.Helper()
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r.WithContext(h.t.Context()))
	a := answer{status: w.Code, header: w.Result().Header, body: w.Body.String()} // what is set later is not sent
	if a.status >= 400 && a.body != "" {
		var e struct {
			XMLName   xml.Name `xml:"Error"`
			Code      string
			Message   string
			Resource  string
			RequestId string
		}
		require.NoError(h.t, xml.Unmarshal(w.Body.Bytes(), &e), a.body)
		require.Equal(h.t, a.header.Get("X-Amz-Request-Id"), e.RequestId)
		a.code = e.Code
	}
	require.NotEmpty(h.t, a.header.Get("X-Amz-Request-Id"))
	require.NotContains(h.t, a.body+h.log.String()+fmt.Sprint(a.header), canary)
	return a
}

// ok is do for what must succeed.
func (h *harness) ok(q request) answer {
	h.t.Helper()
	a := h.do(q)
	require.Less(h.t, a.status, 300, "%s %s: %s", q.method, q.path, a.body)
	return a
}

func (h *harness) get(path string) answer {
	h.t.Helper()
	return h.do(request{method: "GET", path: path})
}

func (h *harness) put(path, body string) answer {
	h.t.Helper()
	return h.ok(request{method: "PUT", path: path, body: body})
}

// objects lists the keys that are in the store, past the handler.
func (h *harness) objects() []string {
	h.t.Helper()
	keys := []string{}
	for info, err := range h.store.List(h.t.Context(), bucket, nil) {
		require.NoError(h.t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

func parse[T any](t testing.TB, a answer) T {
	t.Helper()
	var v T
	require.NoError(t, xml.Unmarshal([]byte(a.body), &v), a.body)
	return v
}
