package sigv4

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors that parsing a claim or checking its time can give.
var (
	// ErrMalformed: a component is missing, repeated, unknown or not of its form.
	ErrMalformed = errors.New("malformed signature")
	// ErrExpires: the lifetime of a presigned request is not 1 to 604,800 seconds.
	ErrExpires = errors.New("X-Amz-Expires must be from 1 to 604800 seconds")
	// ErrSkew: the time of the request is too far from the clock.
	ErrSkew = errors.New("the request's time is too far from the clock")
	// ErrNotYet: a presigned request is dated in the future.
	ErrNotYet = errors.New("the request is not valid yet")
	// ErrExpired: the lifetime of a presigned request is over.
	ErrExpired = errors.New("the request has expired")
)

// The values that the definition fixes.
const (
	Algorithm = "AWS4-HMAC-SHA256" // the only algorithm; SigV4A has another name
	Service   = "s3"
	Skew      = 15 * time.Minute // how far a request's time may be from the clock

	timeFormat     = "20060102T150405Z"
	dateFormat     = "20060102"
	terminator     = "aws4_request"
	maxExpires     = 604_800
	maxHeaderNames = 100
	maxKeyBytes    = 128
)

// Scope is what a signing key is good for.
type Scope struct {
	Date   string // eight digits, UTC
	Region string
}

// String is the scope as it stands in a string to sign.
func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + Service + "/" + terminator
}

// Claim is what a request says about who signed it, parsed and not verified.
type Claim struct {
	AccessKey string
	Scope     Scope
	Time      time.Time
	Headers   []string // the names that are signed, lower case, in the order given; with "host"
	Signature string   // 64 hexadecimal digits
	Presigned bool     // the signature is in the query
	Expires   time.Duration
}

// Signs says whether the header of that lower-case name is signed.
func (c *Claim) Signs(name string) bool { return slices.Contains(c.Headers, name) }

// CheckTime gives [ErrSkew], [ErrNotYet] or [ErrExpired] if the request is not
// valid at the given time. The bounds belong to the valid span.
func (c *Claim) CheckTime(now time.Time) error {
	age := now.Sub(c.Time)
	switch {
	case c.Presigned && age < -Skew:
		return ErrNotYet
	case c.Presigned && age > c.Expires:
		return ErrExpired
	case !c.Presigned && (age < -Skew || age > Skew):
		return ErrSkew
	}
	return nil
}

// ParseHeader reads the value of an Authorization header. at is the value of
// the x-amz-date header, or of the date header where there is none.
func ParseHeader(authorization, at string) (*Claim, error) {
	rest, ok := strings.CutPrefix(authorization, Algorithm)
	if !ok || rest == "" || rest[0] != ' ' {
		return nil, fmt.Errorf("%w: the algorithm is not %s", ErrMalformed, Algorithm)
	}
	var credential, headers, signature string
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var field *string
		switch name {
		case "Credential":
			field = &credential
		case "SignedHeaders":
			field = &headers
		case "Signature":
			field = &signature
		default:
			return nil, fmt.Errorf("%w: unknown component in the Authorization header", ErrMalformed)
		}
		if *field != "" || value == "" {
			return nil, fmt.Errorf("%w: %s must be given once", ErrMalformed, name)
		}
		*field = value
	}
	return newClaim(credential, headers, signature, at)
}

// IsPresigned says whether the query claims a signature of this version.
func IsPresigned(q Query) bool {
	return q.Has("X-Amz-Algorithm") || q.Has("X-Amz-Signature") || q.Has("X-Amz-Credential")
}

// ParseQueryClaim reads the signature of a presigned request.
func ParseQueryClaim(q Query) (*Claim, error) {
	for _, name := range queryNames() {
		if n := q.count(name); n > 1 || n == 0 {
			return nil, fmt.Errorf("%w: %s must be given once", ErrMalformed, name)
		}
	}
	if q.Get("X-Amz-Algorithm") != Algorithm {
		return nil, fmt.Errorf("%w: X-Amz-Algorithm is not %s", ErrMalformed, Algorithm)
	}
	seconds, err := strconv.ParseUint(q.Get("X-Amz-Expires"), 10, 32)
	if err != nil || seconds < 1 || seconds > maxExpires {
		return nil, ErrExpires
	}
	claim, err := newClaim(q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature"), q.Get("X-Amz-Date"))
	if err != nil {
		return nil, err
	}
	claim.Presigned = true
	claim.Expires = time.Duration(seconds) * time.Second
	return claim, nil
}

// Reserved says whether a parameter belongs to the signature of a presigned
// request rather than to what it asks for.
func Reserved(name string) bool {
	return slices.Contains(queryNames(), name) || name == "X-Amz-Security-Token" || name == "X-Amz-Content-Sha256"
}

func queryNames() []string {
	return []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"}
}

func newClaim(credential, headers, signature, at string) (*Claim, error) {
	claim := &Claim{Signature: signature}
	if err := claim.parseCredential(credential); err != nil {
		return nil, err
	}
	if err := claim.parseHeaders(headers); err != nil {
		return nil, err
	}
	if raw, err := hex.DecodeString(signature); err != nil || len(raw) != 32 {
		return nil, fmt.Errorf("%w: the signature is not 64 hexadecimal digits", ErrMalformed)
	}
	if err := claim.parseTime(at); err != nil {
		return nil, err
	}
	if claim.Time.Format(dateFormat) != claim.Scope.Date {
		return nil, fmt.Errorf("%w: the date of the credential is not that of the request", ErrMalformed)
	}
	return claim, nil
}

func (c *Claim) parseCredential(text string) error {
	parts := strings.Split(text, "/")
	n := len(parts)
	if n < 5 || parts[n-1] != terminator {
		return fmt.Errorf("%w: the credential is not KEY/DATE/REGION/SERVICE/%s", ErrMalformed, terminator)
	}
	if parts[n-2] != Service {
		return fmt.Errorf("%w: the service of the credential is not %s", ErrMalformed, Service)
	}
	c.AccessKey = strings.Join(parts[:n-4], "/")
	c.Scope = Scope{Date: parts[n-4], Region: parts[n-3]}
	if c.AccessKey == "" || len(c.AccessKey) > maxKeyBytes || c.Scope.Region == "" {
		return fmt.Errorf("%w: the access key or the region is empty or too long", ErrMalformed)
	}
	return nil
}

func (c *Claim) parseHeaders(text string) error {
	if strings.Count(text, ";") >= maxHeaderNames {
		return fmt.Errorf("%w: more than %d signed headers", ErrMalformed, maxHeaderNames)
	}
	c.Headers = strings.Split(text, ";")
	for i, name := range c.Headers {
		if name == "" || name != strings.ToLower(name) || strings.ContainsAny(name, " \t\r\n:") || slices.Contains(c.Headers[:i], name) {
			return fmt.Errorf("%w: a signed header's name is empty, repeated or not in lower case", ErrMalformed)
		}
	}
	if !c.Signs("host") {
		return fmt.Errorf("%w: the host is not signed", ErrMalformed)
	}
	return nil
}

// parseTime accepts the basic form of ISO 8601, and for a Date header those of
// HTTP.
func (c *Claim) parseTime(at string) error {
	for _, form := range [...]string{timeFormat, "Mon, 02 Jan 2006 15:04:05 GMT", time.RFC1123Z} {
		if t, err := time.Parse(form, at); err == nil {
			c.Time = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("%w: the request has no valid date", ErrMalformed)
}
