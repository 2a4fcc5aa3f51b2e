package s3api

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Authenticator turns a request into a verified one, or gives an [*Error]; any
// other error answers InternalError. It is the only place that looks at the
// Authorization header, at the signature in the query, and at the payload mode.
// It must not block on the body, and must be safe for concurrent use.
//
// A request without any credentials is not an error: it is verified as
// Anonymous, and what it may do is the [Authorizer]'s to say.
type Authenticator interface {
	// Authenticate is given the handler's time.
	Authenticate(r *http.Request, now time.Time) (*Verified, error)
}

// Authorizer says whether somebody may do something. It is asked before the
// store is, so its answer depends neither on what exists nor on conditions.
type Authorizer interface {
	// Authorize gives nil to allow; an [*Error] is the answer, as AccessDenied;
	// any other error answers InternalError. action is as in policies, such as
	// "s3:GetObject".
	Authorize(ctx context.Context, who Identity, action string, on Resource) error
}

// Resource is what an action is to be done to. Bucket and Key are empty where
// the action concerns all buckets, or a bucket.
type Resource struct {
	Bucket    string
	Key       string
	VersionID string // empty: the latest, or none in particular
}

// Identity is who makes a request. The zero Identity is nobody.
type Identity struct {
	ID          string // canonical: the owner of what is created
	Account     string
	DisplayName string
	AccessKey   string // by which the identity was known; no secret
}

// Payload says how the body of a request is bound to its signature.
type Payload uint8

// The payload modes.
const (
	// PayloadUnsigned: not at all.
	PayloadUnsigned Payload = iota
	// PayloadSigned: the signature covers its SHA-256.
	PayloadSigned
	// PayloadChunks: in chunks, each with a signature.
	PayloadChunks
	// PayloadChunksTrailer: likewise, with signed trailers.
	PayloadChunksTrailer
	// PayloadUnsignedTrailer: in chunks and with trailers, none signed.
	PayloadUnsignedTrailer
)

// Verified is a request whose sender is known.
type Verified struct {
	Identity  Identity
	Anonymous bool // there were no credentials
	Payload   Payload
	// Signed is the lower-case names of the headers that the signature covers.
	Signed []string
	// Header is what may be obeyed: the request's headers, and what a presigned
	// query has in their place.
	Header http.Header
	// Body is the body without any encoding of the payload mode. It gives
	// io.EOF only once everything that the signature says of it was found true.
	Body io.Reader
	// Size is the number of bytes that Body gives, −1 if it was not announced.
	Size int64
	// Trailer gives the trailers by lower-case name once Body gave io.EOF; nil
	// where the mode has none. Declared are those that were announced.
	Trailer  func() map[string]string
	Declared []string
}

// finish reads the rest of the body, of which there must be nothing but the end,
// and so gives the verdict on the whole of it.
func (v *Verified) finish() error {
	const patience = 100
	var one [1]byte
	for range patience {
		n, err := v.Body.Read(one[:])
		switch {
		case n > 0:
			return fail("IncompleteBody").closing()
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}
