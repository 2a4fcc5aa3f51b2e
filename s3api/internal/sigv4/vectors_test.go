// Goal: signatures are those that the definition wants. Method: the examples
// of the Amazon S3 API Reference ("Authorization Header", "Query Parameters",
// "Chunked upload", "Trailing headers"), whose keys and signatures are published.
package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
)

const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	exampleHost   = "examplebucket.s3.amazonaws.com"
	exampleTime   = "20130524T000000Z"
)

func exampleHeader(pairs ...string) http.Header {
	h := http.Header{}
	h.Set("X-Amz-Date", exampleTime)
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func sign(t *testing.T, signed, signature string, r *sigv4.Request) (*sigv4.Claim, string) {
	t.Helper()
	claim, err := sigv4.ParseHeader("AWS4-HMAC-SHA256 Credential="+exampleKey+"/20130524/us-east-1/s3/aws4_request,SignedHeaders="+signed+",Signature="+signature, exampleTime)
	require.NoError(t, err)
	return claim, sigv4.NewKey(exampleSecret, claim.Scope).Sign(claim, r)
}

func TestDocumentedHeaders(t *testing.T) {
	const plain = "host;x-amz-content-sha256;x-amz-date"
	for name, c := range map[string]struct {
		method, path, query, signed, payload, signature string
		header                                          http.Header
	}{
		"get": {"GET", "/test.txt", "", "host;range;x-amz-content-sha256;x-amz-date", sigv4.EmptyDigest,
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", exampleHeader("Range", "bytes=0-9")},
		"put": {"PUT", "/test$file.text", "", "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			exampleHeader("Date", "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY")},
		"lifecycle": {"GET", "/", "lifecycle", plain, sigv4.EmptyDigest,
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", exampleHeader()},
		"list": {"GET", "/", "prefix=J&max-keys=2", plain, sigv4.EmptyDigest,
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", exampleHeader()},
	} {
		c.header.Set("X-Amz-Content-Sha256", c.payload)
		query, err := sigv4.ParseQuery(c.query, 10)
		require.NoError(t, err)
		_, got := sign(t, c.signed, c.signature, &sigv4.Request{
			Method: c.method, Path: c.path, Query: query, Host: exampleHost, Header: c.header, Payload: c.payload,
		})
		require.Equal(t, c.signature, got, name)
	}
}

func TestDocumentedQuery(t *testing.T) {
	const signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	query, err := sigv4.ParseQuery("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"+
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="+signature, 10)
	require.NoError(t, err)
	require.True(t, sigv4.IsPresigned(query))
	claim, err := sigv4.ParseQueryClaim(query)
	require.NoError(t, err)
	require.Equal(t, 24*time.Hour, claim.Expires)
	require.Equal(t, signature, sigv4.NewKey(exampleSecret, claim.Scope).Sign(claim, &sigv4.Request{
		Method: "GET", Path: "/test.txt", Query: query, Host: exampleHost, Header: http.Header{}, Payload: "UNSIGNED-PAYLOAD",
	}))
}

func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func TestDocumentedChunks(t *testing.T) {
	const payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	const seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
	claim, got := sign(t, "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class", seed,
		&sigv4.Request{
			Method: "PUT", Path: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com", ContentLength: 66824, Payload: payload,
			Header: exampleHeader("Content-Encoding", "aws-chunked", "X-Amz-Content-Sha256", payload,
				"X-Amz-Decoded-Content-Length", "66560", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY"),
		})
	require.Equal(t, seed, got)
	chain := sigv4.NewChain(sigv4.NewKey(exampleSecret, claim.Scope), claim)
	require.Equal(t, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", chain.Chunk(digest(strings.Repeat("a", 65536))))
	require.Equal(t, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", chain.Chunk(digest(strings.Repeat("a", 1024))))
	require.Equal(t, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", chain.Chunk(digest("")))
}

func TestDocumentedTrailer(t *testing.T) {
	const payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	const seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
	claim, got := sign(t, "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer", seed,
		&sigv4.Request{
			Method: "PUT", Path: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com", Payload: payload,
			Header: exampleHeader("Content-Encoding", "aws-chunked", "X-Amz-Content-Sha256", payload, "X-Amz-Trailer", "x-amz-checksum-crc32c",
				"X-Amz-Decoded-Content-Length", "66560", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY"),
		})
	require.Equal(t, seed, got)
	chain := sigv4.NewChain(sigv4.NewKey(exampleSecret, claim.Scope), claim)
	require.Equal(t, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", chain.Chunk(digest(strings.Repeat("a", 65536))))
	require.Equal(t, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", chain.Chunk(digest(strings.Repeat("a", 1024))))
	require.Equal(t, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992", chain.Chunk(digest("")))
	require.Equal(t, "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435", chain.Trailer(digest("x-amz-checksum-crc32c:sOO8/Q==\n")))
}

func TestEscape(t *testing.T) {
	var every []byte
	for b := range 256 {
		every = append(every, byte(b))
	}
	require.Equal(t, "a/b%20%2B%C3%A9~", sigv4.Escape("a/b +é~", true))
	require.Equal(t, "a%2Fb", sigv4.Escape("a/b", false))
	query, err := sigv4.ParseQuery("x="+sigv4.Escape(string(every), false), 1)
	require.NoError(t, err)
	require.True(t, bytes.Equal(every, []byte(query.Get("x"))))
}
