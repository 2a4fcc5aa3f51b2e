// Goal: objects are encrypted as requests and buckets say, whoever has not the key
// gets nothing, and no key of a customer stays anywhere. Method: every operation that
// knows of encryption with every kind of it; a store on a disk that is searched for keys
// and bodies afterwards.
package s3api_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/keys"
)

const (
	ofObject = "X-Amz-"
	ofSource = "X-Amz-Copy-Source-"

	algorithmHeader = "X-Amz-Server-Side-Encryption"
	keyHeader       = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
	contextHeader   = "X-Amz-Server-Side-Encryption-Context"
	bucketKeyHeader = "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"
	customerHeader  = "X-Amz-Server-Side-Encryption-Customer-Algorithm"
	customerSum     = "X-Amz-Server-Side-Encryption-Customer-Key-Md5"
)

// customer gives the headers of a key.
func customer(of, key string) map[string]string {
	sum := md5.Sum([]byte(key))
	return map[string]string{
		of + "Server-Side-Encryption-Customer-Algorithm": "AES256",
		of + "Server-Side-Encryption-Customer-Key":       base64.StdEncoding.EncodeToString([]byte(key)),
		of + "Server-Side-Encryption-Customer-Key-Md5":   base64.StdEncoding.EncodeToString(sum[:]),
	}
}

var (
	keyA = strings.Repeat("customer", 4)
	keyB = strings.Repeat("Customer", 4)
)

func joint(maps ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range maps {
		for name, value := range m {
			out[name] = value
		}
	}
	return out
}

func withKeys(t testing.TB) func(*s3api.Options) {
	service, err := keys.New("first", map[string][keys.Bytes]byte{"first": {1}, "k1": {2}, "k2": {3}})
	require.NoError(t, err)
	return func(o *s3api.Options) { o.Keys = service }
}

func headers(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

func TestCustomerKey(t *testing.T) {
	h := newHarness(t, nil, nil) // needs no service
	for _, body := range []string{"", "x", strings.Repeat("0123456789", 20_000)} {
		a := h.ok(request{method: "PUT", path: "/bucket/a", body: body, header: customer(ofObject, keyA)})
		require.Equal(t, "AES256", a.header.Get(customerHeader))
		require.Equal(t, customer("", keyA)["Server-Side-Encryption-Customer-Key-Md5"], a.header.Get(customerSum))
		require.Empty(t, a.header.Get(algorithmHeader))
		etag := a.header.Get("Etag")
		sum := md5.Sum([]byte(body))
		require.NotContains(t, etag, base64.StdEncoding.EncodeToString(sum[:]))

		a = h.ok(request{method: "GET", path: "/bucket/a", header: customer(ofObject, keyA)})
		require.Equal(t, body, a.body)
		require.Equal(t, []string{"AES256", etag}, []string{a.header.Get(customerHeader), a.header.Get("Etag")})
		if len(body) > 70_000 {
			a = h.ok(request{method: "GET", path: "/bucket/a", header: joint(customer(ofObject, keyA), headers("Range", "bytes=65530-65545"))})
			require.Equal(t, body[65530:65546], a.body)
		}
		a = h.ok(request{method: "HEAD", path: "/bucket/a", header: customer(ofObject, keyA)})
		require.Equal(t, []string{strconv.Itoa(len(body)), "AES256"}, []string{a.header.Get("Content-Length"), a.header.Get(customerHeader)})
		attributes := headers("X-Amz-Object-Attributes", "ETag,ObjectSize")
		h.ok(request{method: "GET", path: "/bucket/a?attributes", header: joint(attributes, customer(ofObject, keyA))})

		for _, q := range []request{{method: "GET", path: "/bucket/a"}, {method: "GET", path: "/bucket/a?attributes", header: attributes}} {
			require.Equal(t, "InvalidRequest", h.do(q).code)
			q.header = joint(q.header, customer(ofObject, keyB))
			a := h.do(q)
			require.Equal(t, []any{403, "AccessDenied"}, []any{a.status, a.code})
			require.NotContains(t, a.body, etag)
		}
		for status, header := range map[int]map[string]string{400: nil, 403: customer(ofObject, keyB)} {
			a := h.do(request{method: "HEAD", path: "/bucket/a", header: header})
			require.Equal(t, []any{status, "", ""}, []any{a.status, a.body, a.header.Get("Etag")})
		}
	}
	h.put("/bucket/plain", "x")
	for _, method := range []string{"GET", "HEAD"} {
		require.Equal(t, 400, h.do(request{method: method, path: "/bucket/plain", header: customer(ofObject, keyA)}).status)
	}
}

func TestCustomerKeyThatIsNone(t *testing.T) {
	h := newHarness(t, nil, nil)
	good := customer(ofObject, keyA)
	const name = "X-Amz-Server-Side-Encryption-Customer-"
	for title, c := range map[string]struct {
		change map[string]string // "" removes
		code   string
	}{
		"no algorithm":      {headers(name+"Algorithm", ""), "InvalidArgument"},
		"no key":            {headers(name+"Key", ""), "InvalidArgument"},
		"no sum":            {headers(name+"Key-Md5", ""), "InvalidArgument"},
		"another algorithm": {headers(name+"Algorithm", "AES192"), "InvalidEncryptionAlgorithmError"},
		"sum of another":    {headers(name+"Key-Md5", "AAAAAAAAAAAAAAAAAAAAAA=="), "InvalidArgument"},
		"short":             {customer(ofObject, keyA[1:]), "InvalidArgument"},
		"long":              {customer(ofObject, keyA+"x"), "InvalidArgument"},
		"no base64":         {headers(name+"Key", "%%%"), "InvalidArgument"},
		"and SSE-S3":        {headers(algorithmHeader, "AES256"), "InvalidArgument"},
		"and SSE-KMS":       {headers(algorithmHeader, "aws:kms", keyHeader, "k1"), "InvalidArgument"},
	} {
		header := joint(good, c.change)
		maps.DeleteFunc(header, func(_, value string) bool { return value == "" })
		for _, q := range []request{{method: "PUT", path: "/bucket/a", body: "x"}, {method: "POST", path: "/bucket/a?uploads"}} {
			q.header = header
			require.Equal(t, c.code, h.do(q).code, "%s: %s", title, q.method)
		}
	}
	require.Empty(t, h.objects())
}

func TestCustomerKeyTakesASecureConnection(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, nil)
	for title, c := range map[string]struct {
		from, said, forwarded string
		ok                    bool
	}{
		"far":                       {"192.0.2.1:1", "", "", false},
		"far, says so itself":       {"192.0.2.1:1", "https", "", false},
		"here":                      {"127.0.0.1:1", "", "", true},
		"here, by the other":        {"[::1]:1", "", "", true},
		"proxy":                     {"10.1.1.1:1", "https", "192.0.2.1", true},
		"proxy of http":             {"10.1.1.1:1", "http", "192.0.2.1", false},
		"proxy says nothing":        {"10.1.1.1:1", "", "192.0.2.1", false},
		"proxy that repeats others": {"10.1.1.1:1", "https, http", "192.0.2.1", false},
	} {
		q := request{method: "PUT", path: "/bucket/a", body: "x", header: customer(ofObject, keyA), tamper: func(r *http.Request) {
			r.RemoteAddr = c.from
			if c.said != "" {
				r.Header.Set("X-Forwarded-Proto", c.said)
			}
			if c.forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.forwarded)
			}
		}}
		if a := h.do(q); c.ok {
			require.Equal(t, 200, a.status, title)
		} else {
			require.Equal(t, "InvalidRequest", a.code, title)
		}
	}
}

func TestMasterKeys(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	about := base64.StdEncoding.EncodeToString([]byte(`{"a":"b"}`))
	a := h.ok(request{method: "PUT", path: "/bucket/s3", body: "body", header: headers(algorithmHeader, "AES256")})
	sum := md5.Sum([]byte("body"))
	require.Equal(t, "AES256", a.header.Get(algorithmHeader))
	require.Equal(t, `"`+strings.ToLower(hexOf(sum[:]))+`"`, a.header.Get("Etag"), "SSE-S3 has the MD5")
	a = h.ok(request{method: "PUT", path: "/bucket/kms", body: "body", header: headers(algorithmHeader, "aws:kms", keyHeader, "k1", contextHeader, about, bucketKeyHeader, "true")})
	require.Equal(t, []string{"aws:kms", "k1", about, "true"}, of(a, algorithmHeader, keyHeader, contextHeader, bucketKeyHeader))
	for _, method := range []string{"GET", "HEAD"} {
		a := h.ok(request{method: method, path: "/bucket/s3"})
		require.Equal(t, []string{"AES256", ""}, of(a, algorithmHeader, keyHeader))
		a = h.ok(request{method: method, path: "/bucket/kms"})
		require.Equal(t, []string{"aws:kms", "k1", "true", ""}, of(a, algorithmHeader, keyHeader, bucketKeyHeader, contextHeader))
		for _, path := range []string{"/bucket/s3", "/bucket/kms"} {
			require.Equal(t, 400, h.do(request{method: method, path: path, header: headers(algorithmHeader, "AES256")}).status)
			require.Equal(t, 400, h.do(request{method: method, path: path, header: headers(algorithmHeader, "aws:kms", keyHeader, "k1")}).status)
			require.Equal(t, 400, h.do(request{method: method, path: path, header: customer(ofObject, keyA)}).status)
		}
	}
	require.Equal(t, []string{"body", "body"}, []string{h.get("/bucket/s3").body, h.get("/bucket/kms").body})
	for code, list := range map[string][]map[string]string{
		"InvalidArgument": {
			headers(algorithmHeader, "AES256", keyHeader, "k1"), headers(keyHeader, "k1"), headers(algorithmHeader, "aes:kms"), headers(algorithmHeader, ""),
			headers(algorithmHeader, "aws:kms"), headers(algorithmHeader, "aws:kms", keyHeader, "k1", contextHeader, "e30x"),
			headers(algorithmHeader, "aws:kms", keyHeader, "k1", bucketKeyHeader, "yes"),
			headers(algorithmHeader, "aws:kms", keyHeader, "k1", contextHeader, base64.StdEncoding.EncodeToString([]byte(`{"a":"`+strings.Repeat("b", 2000)+`"}`))),
		},
		"KMS.NotFoundException": {headers(algorithmHeader, "aws:kms", keyHeader, "k3")},
		"NotImplemented":        {headers(algorithmHeader, "aws:kms:dsse", keyHeader, "k1")},
	} {
		for _, header := range list {
			a := h.do(request{method: "PUT", path: "/bucket/bad", body: "x", header: header})
			require.Equal(t, code, a.code, "%v: %s", header, a.body)
		}
	}
	require.Equal(t, []string{"kms", "s3"}, h.objects())
}

func of(a answer, names ...string) []string {
	var out []string
	for _, name := range names {
		out = append(out, a.header.Get(name))
	}
	return out
}

func hexOf(data []byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, one := range data {
		b.WriteByte(digits[one>>4])
		b.WriteByte(digits[one&15])
	}
	return b.String()
}

func TestWithoutKeys(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, header := range []map[string]string{headers(algorithmHeader, "AES256"), headers(algorithmHeader, "aws:kms", keyHeader, "k1")} {
		require.Equal(t, "NotImplemented", h.do(request{method: "PUT", path: "/bucket/a", body: "x", header: header}).code)
	}
	require.Equal(t, "NotImplemented", h.do(request{method: "PUT", path: "/bucket?encryption", body: byDefault("AES256", "")}).code)

	// Where the keys were taken away, what they sealed is refused, not misread.
	h = newHarness(t, withKeys(t), nil)
	h.ok(request{method: "PUT", path: "/bucket/a", body: "x", header: headers(algorithmHeader, "AES256")})
	envelope := func() []byte {
		info, err := h.store.Stat(t.Context(), bucket, "a", nil)
		require.NoError(t, err)
		return info.Envelope
	}()
	var kept map[string]any
	require.NoError(t, json.Unmarshal(envelope, &kept))
	require.Equal(t, "first", kept["key"])
	h.handler = newHandlerOver(t, h, nil)
	require.Equal(t, "NotImplemented", h.get("/bucket/a").code)
	other, err := keys.New("x", map[string][keys.Bytes]byte{"x": {9}})
	require.NoError(t, err)
	h.handler = newHandlerOver(t, h, other)
	require.Equal(t, "KMS.NotFoundException", h.get("/bucket/a").code)
}

// newHandlerOver is another handler over the store of a harness.
func newHandlerOver(t *testing.T, h *harness, service s3api.KeyService) *s3api.Handler {
	known, err := s3api.NewCredentials(s3api.Credential{AccessKey: fullKey, SecretKey: canary, Access: s3api.FullAccess})
	require.NoError(t, err)
	handler, err := s3api.New(h.store, &s3api.Options{Authenticator: s3api.NewSigV4(known, ""), Authorizer: known, Keys: service})
	require.NoError(t, err)
	return handler
}

func byDefault(algorithm, key string) string {
	if key != "" {
		key = "<KMSMasterKeyID>" + key + "</KMSMasterKeyID>"
	}
	return "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm + "</SSEAlgorithm>" + key +
		"</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
}

func TestBucketEncryption(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	missing := func() {
		a := h.get("/bucket?encryption")
		require.Equal(t, []any{404, "ServerSideEncryptionConfigurationNotFoundError"}, []any{a.status, a.code})
	}
	missing()
	require.Equal(t, 204, h.do(request{method: "DELETE", path: "/bucket?encryption"}).status)
	require.Empty(t, h.put("/bucket/before", "x").header.Get(algorithmHeader))
	for _, c := range [][2]string{{"AES256", ""}, {"aws:kms", "k2"}} {
		h.ok(request{method: "PUT", path: "/bucket?encryption", body: byDefault(c[0], c[1])})
		require.Contains(t, h.get("/bucket?encryption").body, "<SSEAlgorithm>"+c[0]+"</SSEAlgorithm>")
		a := h.put("/bucket/put", "x")
		require.Equal(t, c[:], of(a, algorithmHeader, keyHeader))
		a = h.ok(request{method: "PUT", path: "/bucket/copy", header: headers("X-Amz-Copy-Source", "/bucket/before")})
		require.Equal(t, c[:], of(a, algorithmHeader, keyHeader))
		a = h.ok(request{method: "PUT", path: "/bucket/before", header: headers("X-Amz-Copy-Source", "/bucket/before")})
		require.Equal(t, c[:], of(a, algorithmHeader, keyHeader), "a copy onto itself that only encrypts")
		id := begin(h, "big", nil)
		a = h.ok(request{method: "PUT", path: part(1, id), body: "part"})
		require.Equal(t, c[:], of(a, algorithmHeader, keyHeader))
		a = h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: etags(a)})
		require.Equal(t, c[:], of(a, algorithmHeader, keyHeader))
		for _, key := range []string{"put", "copy", "big", "before"} {
			require.Equal(t, c[:], of(h.ok(request{method: "GET", path: "/bucket/" + key}), algorithmHeader, keyHeader), key)
		}
		require.Equal(t, []string{"x", "x", "part", "x"}, []string{h.get("/bucket/put").body, h.get("/bucket/copy").body, h.get("/bucket/big").body, h.get("/bucket/before").body})
		h.ok(request{method: "PUT", path: "/bucket/own", body: "x", header: customer(ofObject, keyA)})
		a = h.ok(request{method: "GET", path: "/bucket/own", header: customer(ofObject, keyA)})
		require.Equal(t, []string{"", "AES256"}, of(a, algorithmHeader, customerHeader))
	}
	require.Equal(t, "true", h.get("/bucket/put").header.Get(bucketKeyHeader))
	require.Equal(t, 204, h.do(request{method: "DELETE", path: "/bucket?encryption"}).status)
	missing()
	require.Empty(t, h.put("/bucket/after", "x").header.Get(algorithmHeader))
	for code, bodies := range map[string][]string{
		"MalformedXML": {"", "<a/>", "<ServerSideEncryptionConfiguration/>", byDefault("AES128", ""),
			strings.Replace(byDefault("AES256", ""), "</Rule>", "<BlockedEncryptionTypes><EncryptionType>X</EncryptionType></BlockedEncryptionTypes></Rule>", 1),
			strings.Replace(byDefault("AES256", ""), "</Rule>", "</Rule><Rule></Rule>", 1)},
		"InvalidArgument": {byDefault("AES256", "k1"), byDefault("aws:kms", "")},
		"NotImplemented":  {byDefault("aws:kms:dsse", "k1")},
	} {
		for _, body := range bodies {
			require.Equal(t, code, h.do(request{method: "PUT", path: "/bucket?encryption", body: body}).code, body)
		}
	}
	missing()
}

// etags is the body of a completion, from the answers for its parts.
func etags(parts ...answer) string {
	var b strings.Builder
	for i, a := range parts {
		b.WriteString("<Part><PartNumber>" + strconv.Itoa(i+1) + "</PartNumber><ETag>" + strings.Trim(a.header.Get("Etag"), `"`) + "</ETag></Part>")
	}
	return "<CompleteMultipartUpload>" + b.String() + "</CompleteMultipartUpload>"
}

func TestBucketThatBlocksCustomerKeys(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.ok(request{method: "PUT", path: "/bucket/old", body: "x", header: customer(ofObject, keyA)})
	id := begin(h, "big", customer(ofObject, keyA))
	set := func(blocked string) {
		h.ok(request{method: "PUT", path: "/bucket?encryption", body: "<ServerSideEncryptionConfiguration><Rule><BlockedEncryptionTypes><EncryptionType>" + blocked +
			"</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>"})
	}
	set("SSE-C")
	require.Contains(t, h.get("/bucket?encryption").body, "<EncryptionType>SSE-C</EncryptionType>")
	for _, q := range []request{
		{method: "PUT", path: "/bucket/new", body: "x"}, {method: "POST", path: "/bucket/new?uploads"}, {method: "PUT", path: part(1, id), body: "x"},
	} {
		q.header = customer(ofObject, keyA)
		require.Equal(t, "AccessDenied", h.do(q).code, q.path)
	}
	h.put("/bucket/plain", "x")
	h.ok(request{method: "GET", path: "/bucket/old", header: customer(ofObject, keyA)})
	set("NONE")
	h.ok(request{method: "PUT", path: "/bucket/new", body: "x", header: customer(ofObject, keyA)})
}

// manner is one way of encrypting: what a request that writes has, and what one that reads.
type manner struct {
	write, read, source map[string]string
	header, value       string
}

func manners() map[string]manner {
	return map[string]manner{
		"plain": {},
		"S3":    {write: headers(algorithmHeader, "AES256"), header: algorithmHeader, value: "AES256"},
		"KMS":   {write: headers(algorithmHeader, "aws:kms", keyHeader, "k1"), header: keyHeader, value: "k1"},
		"KMS 2": {write: headers(algorithmHeader, "aws:kms", keyHeader, "k2"), header: keyHeader, value: "k2"},
		"A":     {customer(ofObject, keyA), customer(ofObject, keyA), customer(ofSource, keyA), customerHeader, "AES256"},
		"B":     {customer(ofObject, keyB), customer(ofObject, keyB), customer(ofSource, keyB), customerHeader, "AES256"},
	}
}

func TestCopyBetweenEncryptions(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	body := strings.Repeat("0123456789", 7_000)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	_, _ = io.WriteString(sum, body)
	crc := base64.StdEncoding.EncodeToString(sum.Sum(nil))
	for from, source := range manners() {
		h.ok(request{method: "PUT", path: "/bucket/from", body: body, header: joint(source.write, headers("X-Amz-Meta-A", "b", "X-Amz-Checksum-Crc32c", crc))})
		for to, target := range manners() {
			title := from + " to " + to
			copying := headers("X-Amz-Copy-Source", "/bucket/from")
			a := h.ok(request{method: "PUT", path: "/bucket/to", header: joint(copying, source.source, target.write)})
			require.Equal(t, target.value, a.header.Get(target.header), title)
			a = h.ok(request{method: "GET", path: "/bucket/to", header: joint(target.read, headers("X-Amz-Checksum-Mode", "ENABLED"))})
			require.True(t, a.body == body, title)
			require.Equal(t, crc, a.header.Get("X-Amz-Checksum-Crc32c"), title)
			require.Equal(t, []string{target.value, "b"}, append(of(a, target.header), a.header["x-amz-meta-a"]...), title)

			id := begin(h, "big", target.write)
			q := request{method: "PUT", path: part(1, id), header: joint(copying, source.source, target.read, headers("X-Amz-Copy-Source-Range", "bytes=60000-69999"))}
			a = h.ok(q)
			require.Equal(t, target.value, a.header.Get(target.header), title)
			_, etag, _ := strings.Cut(a.body, "<ETag>")
			etag, _, _ = strings.Cut(etag, "</ETag>")
			a.header.Set("Etag", strings.ReplaceAll(etag, "&#34;", ""))
			if target.read != nil {
				q.header = joint(copying, source.source)
				require.Equal(t, "InvalidRequest", h.do(q).code, title)
				q.header = joint(copying, source.source, customer(ofObject, strings.Repeat("K", 32)))
				require.Equal(t, "InvalidRequest", h.do(q).code, title)
			}
			h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: etags(a), header: target.read})
			a = h.ok(request{method: "GET", path: "/bucket/big", header: target.read})
			require.True(t, a.body == body[60000:], title)

			if source.source == nil {
				continue
			}
			q = request{method: "PUT", path: "/bucket/to", header: joint(copying, target.write)}
			require.Equal(t, "InvalidRequest", h.do(q).code, title)
			q.header = joint(q.header, customer(ofSource, strings.Repeat("K", 32)))
			require.Equal(t, "AccessDenied", h.do(q).code, title)
		}
		if source.source == nil {
			a := h.do(request{method: "PUT", path: "/bucket/to", header: joint(headers("X-Amz-Copy-Source", "/bucket/from"), customer(ofSource, keyA))})
			require.Equal(t, "InvalidRequest", a.code, from)
		}
	}
}

func TestCopyOntoItselfChangesTheEncryption(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	h.put("/bucket/a", "body")
	itself := headers("X-Amz-Copy-Source", "/bucket/a")
	require.Equal(t, "InvalidRequest", h.do(request{method: "PUT", path: "/bucket/a", header: itself}).code)
	var before map[string]string
	for _, name := range []string{"S3", "A", "B", "KMS", "KMS 2"} {
		m := manners()[name]
		h.ok(request{method: "PUT", path: "/bucket/a", header: joint(itself, before, m.write)})
		require.Equal(t, "body", h.ok(request{method: "GET", path: "/bucket/a", header: m.read}).body)
		before = m.source
	}
	h.ok(request{method: "PUT", path: "/bucket/a", header: joint(itself, manners()["A"].write)})
	h.ok(request{method: "PUT", path: "/bucket/a", header: joint(itself, manners()["A"].source)})
	require.Equal(t, "body", h.ok(request{method: "GET", path: "/bucket/a"}).body, "decrypted in its place")
}

// A copy in the same way has the bytes of its source, and the parts.
func TestCopyKeepsTheEncryption(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	for _, name := range []string{"S3", "KMS", "A"} {
		m := manners()[name]
		id := begin(h, "big", m.write)
		one := h.ok(request{method: "PUT", path: part(1, id), body: "one", header: m.read})
		two := h.ok(request{method: "PUT", path: part(2, id), body: "two", header: m.read})
		h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: etags(one, two), header: m.read})
		h.ok(request{method: "PUT", path: "/bucket/copy", header: joint(headers("X-Amz-Copy-Source", "/bucket/big"), m.source, m.write)})
		a := h.ok(request{method: "GET", path: "/bucket/copy?partNumber=2", header: m.read})
		require.Equal(t, []string{"two", "2"}, []string{a.body, a.header.Get("X-Amz-Mp-Parts-Count")}, name)
	}
}

func TestEncryptedUpload(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	id := begin(h, "big", customer(ofObject, keyA))
	q := request{method: "PUT", path: part(1, id), body: "part"}
	for _, header := range []map[string]string{nil, customer(ofObject, keyB), headers(algorithmHeader, "AES256")} {
		q.header = header
		require.Equal(t, "InvalidRequest", h.do(q).code)
	}
	q.header = customer(ofObject, keyA)
	a := h.ok(q)
	require.Equal(t, "AES256", a.header.Get(customerHeader))
	finish := request{method: "POST", path: "/bucket/big?uploadId=" + id, body: etags(a), header: customer(ofObject, keyB)}
	require.Equal(t, 400, h.do(finish).status)
	finish.header = nil // S3 needs it only for checksums
	first := h.ok(finish)
	require.Equal(t, first.body, h.ok(finish).body, "asked again")
	require.Equal(t, "part", h.ok(request{method: "GET", path: "/bucket/big", header: customer(ofObject, keyA)}).body)

	id = begin(h, "big", joint(customer(ofObject, keyA), headers("X-Amz-Checksum-Algorithm", "CRC32")))
	a = h.ok(request{method: "PUT", path: part(1, id), body: "part", header: customer(ofObject, keyA)})
	finish = request{method: "POST", path: "/bucket/big?uploadId=" + id, body: etags(a)}
	require.Equal(t, "InvalidArgument", h.do(finish).code)
	finish.header = customer(ofObject, keyA)
	require.Equal(t, "AES256", h.ok(finish).header.Get(customerHeader))

	// The upload decides; parts need say nothing.
	id = begin(h, "big", headers(algorithmHeader, "aws:kms", keyHeader, "k1"))
	require.Equal(t, "InvalidRequest", h.do(request{method: "PUT", path: part(1, id), body: "x", header: customer(ofObject, keyA)}).code)
	a = h.ok(request{method: "PUT", path: part(1, id), body: "part", header: headers(algorithmHeader, "aws:kms", keyHeader, "k2")})
	require.Equal(t, "k1", a.header.Get(keyHeader))
	a = h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: etags(a)})
	require.Equal(t, []string{"aws:kms", "k1"}, of(a, algorithmHeader, keyHeader))

	id = begin(h, "big", nil)
	require.Equal(t, "InvalidRequest", h.do(request{method: "PUT", path: part(1, id), body: "x", header: customer(ofObject, keyA)}).code)
	require.Equal(t, "InvalidArgument", h.do(request{method: "PUT", path: part(1, id), body: "x", header: headers(algorithmHeader, "AES256")}).code)
}

func TestAppendToEncrypted(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	for name, m := range manners() {
		path := "/bucket/" + strings.ReplaceAll(name, " ", "")
		more := func(at int, header map[string]string) answer {
			return h.do(request{method: "PUT", path: path, body: "more", header: joint(header, headers("X-Amz-Write-Offset-Bytes", strconv.Itoa(at)))})
		}
		require.Equal(t, 200, more(0, m.write).status, name)
		require.Equal(t, 200, more(4, m.read).status, name)
		require.Equal(t, 200, more(8, m.write).status, name)
		a := h.ok(request{method: "GET", path: path, header: m.read})
		require.Equal(t, []string{"moremoremore", m.value}, []string{a.body, a.header.Get(m.header)}, name)
		if name == "plain" {
			require.Equal(t, "InvalidRequest", more(12, headers(algorithmHeader, "AES256")).code)
		}
		if name == "S3" {
			require.Equal(t, "InvalidRequest", more(12, manners()["KMS"].write).code)
		}
		if m.read != nil {
			require.Equal(t, "InvalidRequest", more(12, nil).code, name)
			require.Equal(t, "AccessDenied", more(12, customer(ofObject, strings.Repeat("K", 32))).code, name)
		} else {
			require.Equal(t, "InvalidRequest", more(12, customer(ofObject, keyA)).code, name)
		}
	}
}

// What a bucket encrypts by its rule is no reason to refuse more for a plain object.
func TestAppendBesideARule(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	h.put("/bucket/a", "plain")
	h.ok(request{method: "PUT", path: "/bucket?encryption", body: byDefault("AES256", "")})
	a := h.ok(request{method: "PUT", path: "/bucket/a", body: "more", header: headers("X-Amz-Write-Offset-Bytes", "5")})
	require.Empty(t, a.header.Get(algorithmHeader))
	require.Equal(t, "plainmore", h.get("/bucket/a").body)
}

func TestPoliciesSeeEncryption(t *testing.T) {
	h := newHarness(t, withKeys(t), nil)
	for condition, c := range map[string]struct{ denied, allowed []map[string]string }{
		`{"Null": {"s3:x-amz-server-side-encryption": "true"}}`:                                 {[]map[string]string{nil}, []map[string]string{headers(algorithmHeader, "AES256")}},
		`{"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}`:                    {[]map[string]string{nil, headers(algorithmHeader, "aws:kms", keyHeader, "k1"), headers(algorithmHeader, "AES192")}, []map[string]string{headers(algorithmHeader, "AES256")}},
		`{"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}}`:              {[]map[string]string{nil}, []map[string]string{customer(ofObject, keyA)}},
		`{"StringNotEquals": {"s3:x-amz-server-side-encryption-customer-algorithm": "AES256"}}`: {[]map[string]string{headers(customerHeader, "AES192")}, []map[string]string{customer(ofObject, keyA)}},
		`{"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "k1"}}`:         {[]map[string]string{headers(algorithmHeader, "aws:kms", keyHeader, "k2")}, []map[string]string{headers(algorithmHeader, "aws:kms", keyHeader, "k1")}},
	} {
		h.ok(request{method: "PUT", path: "/bucket?policy", body: `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
			"Resource": "arn:aws:s3:::bucket/*", "Condition": ` + condition + `}]}`})
		for _, header := range c.denied {
			require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: "/bucket/a", body: "x", header: header}).code, "%s %v", condition, header)
		}
		for _, header := range c.allowed {
			h.ok(request{method: "PUT", path: "/bucket/a", body: "x", header: header})
		}
	}
}

// No key of a customer, nor its MD5, is in the log or on a drive, and no body either.
func TestKeysAndBodiesStayNowhere(t *testing.T) {
	dir := t.TempDir()
	store, err := sherd.Open(t.Context(), []string{filepath.Join(dir, "drive")}, &sherd.Options{Clock: now})
	require.NoError(t, err)
	h := newHarness(t, withKeys(t), func(*sherd.Store) s3api.Store { return store })
	_, err = store.CreateBucket(t.Context(), bucket, &sherd.BucketOptions{Owner: fullKey})
	require.NoError(t, err)
	body := strings.Repeat("a body that is not to be seen ", 3_000)
	for name, m := range manners() {
		if name == "plain" {
			continue
		}
		h.ok(request{method: "PUT", path: "/bucket/large" + name[:1], body: body, header: m.write})
		h.ok(request{method: "PUT", path: "/bucket/small" + name[:1], body: body[:100], header: m.write})
		id := begin(h, "big", m.write)
		a := h.ok(request{method: "PUT", path: part(1, id), body: body, header: m.read})
		h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: etags(a), header: m.read})
		h.do(request{method: "GET", path: "/bucket/large" + name[:1], header: joint(m.read, headers("X-Amz-Server-Side-Encryption-Customer-Key-Md5", "x"))})
	}
	require.NoError(t, store.Close())
	forbidden := []string{body[:30]}
	for _, key := range []string{keyA, keyB} {
		forbidden = append(forbidden, key, customerValue(key, "Key"), customerValue(key, "Key-Md5"))
		sum := md5.Sum([]byte(key))
		forbidden = append(forbidden, string(sum[:]), hexOf(sum[:]))
	}
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		for _, text := range forbidden {
			require.False(t, strings.Contains(string(data), text), "%q in %s", text, path)
		}
		return err
	}))
	require.Greater(t, files, 5)
	for _, text := range forbidden {
		require.NotContains(t, h.log.String(), text)
	}
}

func customerValue(key, name string) string {
	return customer("", key)["Server-Side-Encryption-Customer-"+name]
}
