// Goal: a body that is not the one that was signed, announced or summed up never
// becomes an object. Method: every payload mode with every kind of damage, down
// to each byte of each encoded body, and a look into the store past the handler.
package s3api_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestEveryModeStoresTheBytes(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, style := range styles() {
		for _, size := range []int{0, 1, 4, 5, 6, 70_000, 300_000} {
			body := strings.Repeat("abcdefg", size/7+1)[:size]
			a := h.ok(request{method: "PUT", path: "/bucket/a", body: body, style: style, chunkBytes: 65_536})
			got := h.do(request{method: "GET", path: "/bucket/a", header: map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}})
			require.Equal(t, body, got.body)
			require.Equal(t, a.header.Get("Etag"), got.header.Get("Etag"))
			require.Empty(t, got.header.Get("Content-Encoding"), "the encoding of the request is not that of the object")
			if style == byChunksTrailer || style == byUnsignedTrailer {
				require.Equal(t, crc(body), a.header.Get(trailer))
				require.Equal(t, crc(body), got.header.Get(trailer))
				require.Equal(t, "FULL_OBJECT", got.header.Get("X-Amz-Checksum-Type"))
			}
		}
	}
}

func TestContentEncodingIsKeptWithoutThatOfTheRequest(t *testing.T) {
	h := newHarness(t, nil, nil)
	for sent, kept := range map[string]string{"gzip": "gzip", "aws-chunked,gzip": "gzip", "gzip, aws-chunked": "gzip", "AWS-CHUNKED": ""} {
		h.ok(request{method: "PUT", path: "/bucket/a", body: "x", header: map[string]string{"Content-Encoding": sent}})
		require.Equal(t, kept, h.get("/bucket/a").header.Get("Content-Encoding"), sent)
	}
}

// Any one byte that is changed leaves what was there as it was; what is unsigned
// is kept by its checksum, which the trailer brings.
func TestEveryChangedByte(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "before")
	for _, style := range []style{byHeader, byChunks, byChunksTrailer, byUnsignedTrailer} {
		q := request{method: "PUT", path: "/bucket/a", body: "hello world", style: style}
		length := q.build(t).ContentLength
		for i := range int(length) {
			q.tamperBody = func(encoded []byte) []byte {
				encoded[i] ^= 0x01
				return encoded
			}
			a := h.do(q)
			require.GreaterOrEqual(t, a.status, 400, "style %d, byte %d", style, i)
			require.Less(t, a.status, 500, "style %d, byte %d", style, i)
		}
		for i := range int(length) {
			q.tamperBody = func(encoded []byte) []byte { return encoded[:i] }
			require.GreaterOrEqual(t, h.do(q).status, 400, "style %d, cut at %d", style, i)
		}
		q.tamperBody = func(encoded []byte) []byte { return append(encoded, "junk"...) }
		require.GreaterOrEqual(t, h.do(q).status, 400, "style %d, junk", style)
	}
	require.Equal(t, []string{"a"}, h.objects())
	require.Equal(t, "before", h.get("/bucket/a").body)
}

func TestDamagedBodies(t *testing.T) {
	streamed := func(name, value string) map[string]string { return map[string]string{name: value} }
	for name, c := range map[string]struct {
		q      request
		code   string
		closed bool
	}{
		"digest of another body":   {request{tamperBody: func(b []byte) []byte { b[0]++; return b }}, "XAmzContentSHA256Mismatch", false},
		"shorter than announced":   {request{style: byHeaderUnsignedPayload, tamper: func(r *http.Request) { r.ContentLength++ }}, "IncompleteBody", true},
		"no length":                {request{style: byHeaderUnsignedPayload, tamper: func(r *http.Request) { r.ContentLength = -1 }}, "MissingContentLength", false},
		"wrong MD5":                {request{header: streamed("Content-Md5", md5Of("other"))}, "BadDigest", false},
		"no MD5":                   {request{header: streamed("Content-Md5", "!")}, "InvalidDigest", false},
		"wrong checksum":           {request{header: streamed(trailer, crc("other"))}, "BadDigest", false},
		"no checksum":              {request{header: streamed(trailer, "!")}, "BadDigest", false},
		"checksum of parts":        {request{header: streamed(trailer, crc("body")+"-2")}, "BadDigest", false},
		"checksum unknown":         {request{header: streamed("X-Amz-Checksum-Sha999", "AAAA")}, "NotImplemented", false},
		"two checksums":            {request{header: map[string]string{trailer: crc("body"), "X-Amz-Checksum-Crc32c": "AAAAAA=="}}, "InvalidRequest", false},
		"checksum in two places":   {request{style: byUnsignedTrailer, header: streamed(trailer, crc("body"))}, "InvalidRequest", false},
		"checksum announced only":  {request{header: streamed("X-Amz-Sdk-Checksum-Algorithm", "CRC32")}, "InvalidRequest", false},
		"another one announced":    {request{header: map[string]string{trailer: crc("body"), "X-Amz-Sdk-Checksum-Algorithm": "SHA1"}}, "InvalidRequest", false},
		"unknown one announced":    {request{header: streamed("X-Amz-Sdk-Checksum-Algorithm", "ROT13")}, "InvalidRequest", false},
		"trailer without its mode": {request{header: streamed("X-Amz-Trailer", trailer)}, "InvalidRequest", false},
		"trailer with chunks only": {request{style: byChunks, header: streamed("X-Amz-Trailer", trailer)}, "InvalidRequest", false},
		"junk behind the chunks":   {request{style: byChunks, tamperBody: func(b []byte) []byte { return append(b, 'x') }}, "InvalidChunkSizeError", true},
		"junk behind the trailer":  {request{style: byUnsignedTrailer, tamperBody: func(b []byte) []byte { return append(b, 'x') }}, "InvalidChunkSizeError", true},
		"undeclared trailer": {request{style: byUnsignedTrailer, tamperBody: func(b []byte) []byte {
			return []byte(strings.Replace(string(b), trailer, "x-amz-meta-a", 1))
		}}, "InvalidRequest", true},
		"wrong trailer": {request{style: byUnsignedTrailer, tamperBody: func(b []byte) []byte {
			return []byte(strings.Replace(string(b), crc("body"), crc("other"), 1))
		}}, "BadDigest", false},
		"changed chunk": {request{style: byChunks, tamperBody: func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "body", "bodx", 1))
		}}, "SignatureDoesNotMatch", true},
	} {
		h := newHarness(t, nil, nil)
		c.q.method, c.q.path, c.q.body = "PUT", "/bucket/a", "body"
		a := h.do(c.q)
		require.Equal(t, c.code, a.code, "%s: %s", name, a.body)
		require.Equal(t, c.closed, a.header.Get("Connection") == "close", name)
		require.Empty(t, h.objects(), name)
	}
}

func TestModesThatAreRefused(t *testing.T) {
	h := newHarness(t, nil, nil)
	for name, c := range map[string]struct {
		change func(*request)
		code   string
	}{
		"no digest": {func(q *request) {
			q.tamper = func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }
		}, "InvalidRequest"},
		"streaming, presigned": {func(q *request) {
			q.style, q.header = byQuery, map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
		}, "SignatureDoesNotMatch"},
		"length is no number": {func(q *request) {
			q.style, q.header = byChunks, nil
			q.tamper = set("X-Amz-Decoded-Content-Length", "+4")
		}, "SignatureDoesNotMatch"},
		"trailer nobody knows":   {func(q *request) { q.style, q.tamper = byChunksTrailer, set("X-Amz-Trailer", "x-amz-meta-a") }, "SignatureDoesNotMatch"},
		"unknown streaming mode": {func(q *request) { q.tamper = set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") }, "SignatureDoesNotMatch"},
	} {
		q := request{method: "PUT", path: "/bucket/a", body: "body"}
		c.change(&q)
		a := h.do(q)
		require.Equal(t, c.code, a.code, name)
	}
	require.Empty(t, h.objects())
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestDecodedLengthMustMatch(t *testing.T) {
	for _, style := range []style{byChunks, byChunksTrailer, byUnsignedTrailer} {
		for body, announced := range map[string]int{"body": 3, "bod": 4} {
			h := newHarness(t, nil, nil)
			q := request{method: "PUT", path: "/bucket/a", style: style, body: strings.Repeat("x", announced)}
			other := request{method: "PUT", path: "/bucket/a", style: style, body: body}
			q.tamperBody = func([]byte) []byte { return readAll(t, other.build(t)) }
			require.GreaterOrEqual(t, h.do(q).status, 400)
			require.Empty(t, h.objects(), strconv.Itoa(announced))
		}
	}
}

func readAll(t *testing.T, r *http.Request) []byte {
	t.Helper()
	out := make([]byte, r.ContentLength)
	n, err := r.Body.Read(out)
	require.NoError(t, err)
	return out[:n]
}

func TestChecksumsOfEveryAlgorithm(t *testing.T) {
	h := newHarness(t, nil, nil)
	for algorithm, value := range map[string]string{
		"crc32": "y/Q5Jg==", "crc32c": "4waSgw==", "crc64nvme": "rosUhgp5mIg=", "sha1": "98O8HYCOBHMq32eZZczDTKeuNEE=",
		"sha256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", "md5": "JfnnlDI7RTiF9RgfG2JNCw==",
		"sha512":   "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==",
		"xxhash64": "jLhB20DmroM=", "xxhash3": "ctyxi2ehff8=", "xxhash128": "MxGUd+3l3NXpcWQnaB1YYA==",
	} {
		name := "X-Amz-Checksum-" + algorithm
		header := map[string]string{name: value, "X-Amz-Sdk-Checksum-Algorithm": strings.ToUpper(algorithm)}
		a := h.ok(request{method: "PUT", path: "/bucket/a", body: "123456789", header: header})
		require.Equal(t, value, a.header.Get(name))
		a = h.do(request{method: "HEAD", path: "/bucket/a", header: map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}})
		require.Equal(t, value, a.header.Get(name))
		require.Empty(t, h.get("/bucket/a").header.Get(name), "only who asks is told")
		a = h.do(request{method: "PUT", path: "/bucket/a", body: "12345678", header: header})
		require.Equal(t, "BadDigest", a.code)

		trailed := request{method: "PUT", path: "/bucket/b", body: "123456789", style: byUnsignedTrailer, header: map[string]string{"X-Amz-Trailer": name}}
		behind := func(text string) func([]byte) []byte {
			return func(encoded []byte) []byte {
				return bytes.Replace(encoded, []byte(trailer+":"+crc("123456789")), []byte(text), 1)
			}
		}
		trailed.tamperBody = behind(strings.ToLower(name) + ":" + value)
		require.Equal(t, value, h.ok(trailed).header.Get(name))
		a = h.do(request{method: "HEAD", path: "/bucket/b", header: map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}})
		require.Equal(t, value, a.header.Get(name))
		require.Equal(t, "FULL_OBJECT", a.header.Get("X-Amz-Checksum-Type"))
		h.ok(request{method: "DELETE", path: "/bucket/b"})
		for text, code := range map[string]string{
			strings.ToLower(name) + ":" + strings.Replace(value, value[:2], "AA", 1): "BadDigest",
			strings.ToLower(name) + ":" + value[:2]:                                  "BadDigest",
			strings.ToLower(name) + ":":                                              "BadDigest",
			"x-amz-checksum-other:" + value:                                          "InvalidRequest",
		} {
			trailed.tamperBody = behind(text)
			require.Equal(t, code, h.do(trailed).code, text)
		}
		require.Equal(t, []string{"a"}, h.objects())
	}
}

func TestLimits(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) {
		o.Limits = s3api.Limits{PutBytes: 10, Headers: 12, XMLBytes: 300, XMLElements: 6, DeleteKeys: 2, Metadata: 20}
	}, nil)
	h.put("/bucket/a", "0123456789")
	require.Equal(t, "EntityTooLarge", h.do(request{method: "PUT", path: "/bucket/b", body: "0123456789x"}).code)
	require.Equal(t, "MetadataTooLarge", h.do(request{method: "PUT", path: "/bucket/b", header: map[string]string{"X-Amz-Meta-A": strings.Repeat("x", 20)}}).code)
	header := map[string]string{}
	for i := range 12 {
		header["X-Amz-Meta-"+strconv.Itoa(i)] = "x"
	}
	require.Equal(t, "RequestHeaderSectionTooLarge", h.do(request{method: "PUT", path: "/bucket/b", header: header}).code)
	remove := func(body string) answer {
		return h.do(request{method: "POST", path: "/bucket?delete", body: body, header: map[string]string{"Content-Md5": md5Of(body)}})
	}
	key := "<Object><Key>k</Key></Object>"
	require.Equal(t, 200, remove("<Delete>"+key+key+"</Delete>").status)
	require.Equal(t, "MaxMessageLengthExceeded", remove("<Delete>"+key+key+key+"</Delete>").code)
	require.Equal(t, "MaxMessageLengthExceeded", remove("<Delete>"+strings.Repeat(" ", 300)+"</Delete>").code)
	require.Equal(t, "MalformedXML", remove("<Delete></Delete>").code)
	require.Equal(t, "KeyTooLongError", h.do(request{method: "PUT", path: "/bucket/" + strings.Repeat("k", sherd.MaxKeyBytes+1)}).code)
	h.put("/bucket/"+strings.Repeat("k", sherd.MaxKeyBytes), "x")
}
