package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// EmptyDigest is the SHA-256 of nothing, in hexadecimal digits.
const EmptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Request is the part of a request that a signature covers.
type Request struct {
	Method        string
	Path          string // decoded, with the leading slash
	Query         Query
	Host          string
	Header        http.Header
	ContentLength int64  // what "content-length" means among the signed headers
	Payload       string // the value of x-amz-content-sha256
}

// Key is a signing key: good for one secret, day and region.
type Key []byte

// NewKey derives the signing key.
func NewKey(secret string, scope Scope) Key {
	key := mac([]byte("AWS4"+secret), scope.Date)
	key = mac(key, scope.Region)
	key = mac(key, Service)
	return mac(key, terminator)
}

// Sign gives the signature that the request has if the claim is true.
func (k Key) Sign(c *Claim, r *Request) string {
	digest := sha256.Sum256([]byte(Canonical(c, r)))
	return k.sign(Algorithm, c.Time, c.Scope, hex.EncodeToString(digest[:]))
}

// sign signs a string to sign, whose lines are given from the third on.
func (k Key) sign(algorithm string, at time.Time, scope Scope, lines ...string) string {
	text := algorithm + "\n" + at.Format(timeFormat) + "\n" + scope.String() + "\n" + strings.Join(lines, "\n")
	return hex.EncodeToString(mac(k, text))
}

// Canonical is the canonical request.
func Canonical(c *Claim, r *Request) string {
	omit := ""
	if c.Presigned {
		omit = "X-Amz-Signature"
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + Escape(r.Path, true) + "\n" + r.Query.canonical(omit) + "\n")
	for _, name := range c.Headers {
		b.WriteString(name)
		b.WriteByte(':')
		for i, value := range r.values(name) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.Join(strings.FieldsFunc(value, blank), " "))
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n" + strings.Join(c.Headers, ";") + "\n" + r.Payload)
	return b.String()
}

func blank(r rune) bool { return r == ' ' || r == '\t' }

// values gives the values of a header, those too that the server keeps apart
// from the others.
func (r *Request) values(name string) []string {
	switch name {
	case "host":
		return []string{r.Host}
	case "content-length":
		if r.ContentLength >= 0 {
			return []string{strconv.FormatInt(r.ContentLength, 10)}
		}
	}
	return r.Header.Values(name)
}

// Equal compares two signatures in a time that does not depend on where they
// differ. Upper-case digits are not equal to lower-case ones.
func Equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// Chain signs the chunks and the trailers of one body, each with the signature
// before it; the first follows the request's own. It is not safe for
// concurrent use.
type Chain struct {
	key      Key
	at       time.Time
	scope    Scope
	previous string
}

// NewChain begins behind the request that the claim signed.
func NewChain(key Key, c *Claim) *Chain {
	return &Chain{key: key, at: c.Time, scope: c.Scope, previous: c.Signature}
}

// Chunk gives the signature of the next chunk, from the SHA-256 of its bytes.
func (c *Chain) Chunk(digest []byte) string {
	c.previous = c.key.sign(Algorithm+"-PAYLOAD", c.at, c.scope, c.previous, EmptyDigest, hex.EncodeToString(digest))
	return c.previous
}

// Trailer gives the signature of the trailers, from the SHA-256 of their lines,
// each "name:value\n".
func (c *Chain) Trailer(digest []byte) string {
	c.previous = c.key.sign(Algorithm+"-TRAILER", c.at, c.scope, c.previous, hex.EncodeToString(digest))
	return c.previous
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
