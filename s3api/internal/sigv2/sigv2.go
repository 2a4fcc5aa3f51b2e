// Package sigv2 is AWS Signature Version 2 as S3 has it: parsing what a request
// claims, and computing what its signature must be. Old clients make it still,
// and today's for presigned URLs. It signs the method, the path, Content-MD5,
// Content-Type, the date or the expiry, every x-amz- header, and the parameters
// that select an operation or change an answer; neither the host nor the body.
//
// The text that is signed has the parameters decoded, with '&' between them: it
// does not tell one whose value has an '&' from two. [Unsigned] and [Mixed] say
// what must therefore not be believed.
//
// Everything is pure and safe for concurrent use. The definition: Amazon S3,
// developer guide, "Signing and Authenticating REST Requests".
package sigv2

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// Errors that parsing a claim or checking its time can give.
var (
	// ErrMalformed: a component is missing, repeated or not of its form.
	ErrMalformed = errors.New("malformed signature")
	// ErrSkew: the time of the request is too far from the clock.
	ErrSkew = errors.New("the request's time is too far from the clock")
	// ErrExpired: the lifetime of a presigned request is over.
	ErrExpired = errors.New("the request has expired")
)

// Skew is how far a request's time may be from the clock.
const Skew = 15 * time.Minute

const maxKeyBytes = 128

// Parameter is one parameter of the query, decoded.
type Parameter struct{ Name, Value string }

// Claim is what a request says about who signed it, parsed and not verified.
type Claim struct {
	AccessKey string
	Signature string    // base64
	Presigned bool      // the signature is in the query
	Time      time.Time // of the request, or when it expires
	date      string    // as it is signed
}

// CheckTime gives [ErrSkew] or [ErrExpired] if the request is not valid at the
// given time. The bounds belong to the valid span.
func (c *Claim) CheckTime(now time.Time) error {
	age := now.Sub(c.Time)
	switch {
	case c.Presigned && age > 0:
		return ErrExpired
	case !c.Presigned && (age < -Skew || age > Skew):
		return ErrSkew
	}
	return nil
}

// IsPresigned says whether the query claims a signature of this version.
func IsPresigned(query []Parameter) bool {
	return slices.ContainsFunc(query, func(p Parameter) bool {
		return p.Name == "AWSAccessKeyId" || p.Name == "Signature"
	})
}

// ParseQuery reads the signature of a presigned request.
func ParseQuery(query []Parameter) (*Claim, error) {
	claim := &Claim{Presigned: true}
	for name, to := range map[string]*string{
		"AWSAccessKeyId": &claim.AccessKey, "Signature": &claim.Signature, "Expires": &claim.date,
	} {
		n := 0
		for _, p := range query {
			if p.Name == name {
				*to = p.Value
				n++
			}
		}
		if n != 1 {
			return nil, fmt.Errorf("%w: %s must be given once", ErrMalformed, name)
		}
	}
	seconds, err := strconv.ParseInt(claim.date, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return nil, fmt.Errorf("%w: Expires is not a number of seconds", ErrMalformed)
	}
	claim.Time = time.Unix(seconds, 0).UTC()
	return claim.checked()
}

// ParseHeader reads an Authorization header that begins with "AWS ".
func ParseHeader(authorization string, header http.Header) (*Claim, error) {
	rest, ok := strings.CutPrefix(authorization, "AWS ")
	at := strings.LastIndexByte(rest, ':')
	if !ok || at < 0 {
		return nil, fmt.Errorf("%w: the Authorization header is not AWS KEY:SIGNATURE", ErrMalformed)
	}
	claim := &Claim{AccessKey: strings.TrimSpace(rest[:at]), Signature: strings.TrimSpace(rest[at+1:])}
	date := header.Get("X-Amz-Date")
	if header.Values("X-Amz-Date") == nil {
		date = header.Get("Date")
		claim.date = date
	}
	for _, form := range [...]string{http.TimeFormat, time.RFC1123Z, time.RFC850, time.ANSIC, "20060102T150405Z"} {
		if t, err := time.Parse(form, date); err == nil && t.Unix() >= 0 {
			claim.Time = t.UTC()
			return claim.checked()
		}
	}
	return nil, fmt.Errorf("%w: the request has no valid date", ErrMalformed)
}

// checked gives the claim if it can be one.
func (c *Claim) checked() (*Claim, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(c.Signature)
	if err != nil || len(raw) != sha1.Size || len(c.Signature) != base64.StdEncoding.EncodedLen(sha1.Size) { // the decoder skips line breaks
		return nil, fmt.Errorf("%w: the signature is not 20 bytes in base64", ErrMalformed)
	}
	if c.AccessKey == "" || len(c.AccessKey) > maxKeyBytes {
		return nil, fmt.Errorf("%w: the access key is empty or too long", ErrMalformed)
	}
	return c, nil
}

// Headers gives what a request says in headers: those that it has and, if it is
// presigned, what its query has in their place, as clients move x-amz- headers,
// Content-MD5 and Content-Type there. Lines of one name are one line, as they are
// in what is signed. What cannot be a header is [ErrMalformed].
func (c *Claim) Headers(header http.Header, query []Parameter) (http.Header, error) {
	out := header.Clone()
	if c.Presigned {
		for _, p := range query {
			lower := strings.ToLower(p.Name)
			amz := strings.HasPrefix(lower, "x-amz-")
			if !amz && lower != "content-md5" && lower != "content-type" {
				continue
			}
			if !wire.ValidHeader(p.Name, p.Value) {
				return nil, fmt.Errorf("%w: a parameter that stands for a header cannot be one", ErrMalformed)
			}
			name := http.CanonicalHeaderKey(p.Name)
			if amz || len(header[name]) == 0 {
				out[name] = append(out[name], p.Value)
			}
		}
	}
	for name, values := range out {
		if signedHeader(name) {
			out[name] = []string{joined(values)}
		}
	}
	return out, nil
}

// signedHeader says whether a header, by its canonical name, is among what is signed.
func signedHeader(name string) bool {
	return strings.HasPrefix(name, "X-Amz-") || name == "Content-Md5" || name == "Content-Type"
}

// Request is what a signature covers.
type Request struct {
	Method string
	Path   string // with the bucket, escaped as it was sent
	Query  []Parameter
	Header http.Header // of [Claim.Headers]
}

// Sign gives the signature that the request must have.
func Sign(secret string, c *Claim, r *Request) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text(c, r)))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Equal compares two signatures in constant time.
func Equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// text is the string to sign.
func text(c *Claim, r *Request) string {
	var b strings.Builder
	for _, line := range []string{r.Method, joined(r.Header["Content-Md5"]), joined(r.Header["Content-Type"]), c.date} {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	amz := map[string]string{} // sorted as they are written: in lower case '_' comes before letters
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") {
			amz[strings.ToLower(name)] = joined(values)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(amz)) {
		b.WriteString(name + ":" + amz[name] + "\n")
	}
	b.WriteString(r.resource())
	return b.String()
}

// joined is the values of one header as one line.
func joined(values []string) string {
	trimmed := make([]string, len(values))
	for i, value := range values {
		trimmed[i] = strings.Trim(value, " \t")
	}
	return strings.Join(trimmed, ",")
}

// resource is the path with the bucket, and the parameters that are signed.
func (r *Request) resource() string {
	out := r.Path
	var signed []Parameter
	for _, p := range r.Query {
		if slices.Contains(signedParameters(), p.Name) {
			signed = append(signed, p)
		}
	}
	slices.SortStableFunc(signed, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) })
	for i, p := range signed {
		out += map[bool]string{true: "?", false: "&"}[i == 0] + p.Name
		if p.Value != "" {
			out += "=" + p.Value
		}
	}
	return out
}

// Unsigned lists the parameters that no signature covers. What they select is
// nothing that anybody signed.
func Unsigned(query []Parameter) []string {
	var names []string
	for _, p := range query {
		if !slices.Contains(signedParameters(), p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

// Mixed says whether the query both changes headers of the answer and selects an
// operation, which no client does: the second may be the end of a value of the
// first, such as the name of a file that somebody chose.
func Mixed(query []Parameter) bool {
	overrides, selects := false, false
	for _, p := range query {
		switch {
		case strings.HasPrefix(p.Name, "response-"):
			overrides = true
		case p.Name == "versionId", p.Name == "partNumber":
		case slices.Contains(signedParameters(), p.Name):
			selects = true
		}
	}
	return overrides && selects
}

// signedParameters are those that the definition and today's clients sign, sorted.
func signedParameters() []string {
	return []string{
		"accelerate", "acl", "analytics", "cors", "delete", "inventory", "lifecycle", "location", "logging", "metrics",
		"notification", "object-lock", "partNumber", "policy", "replication", "requestPayment",
		"response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language",
		"response-content-type", "response-expires", "restore", "select", "select-type", "storageClass", "tagging", "torrent",
		"uploadId", "uploads", "versionId", "versioning", "versions", "website",
	}
}
