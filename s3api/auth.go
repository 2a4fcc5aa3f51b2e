package s3api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
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
	// Unsigned is the names of the parameters of the query that the signature does
	// not cover, as that of version 2 covers only some.
	Unsigned []string
	// Header is what may be obeyed: the request's headers, and what a presigned
	// query has in their place. It is a copy.
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

// ErrUnknownKey says that no secret belongs to an access key.
var ErrUnknownKey = errors.New("unknown access key")

// Keyring knows the secrets of access keys.
type Keyring interface {
	// Lookup gives [ErrUnknownKey] for an access key that it does not know, and
	// takes as long for it as for one that it knows. It must be safe for
	// concurrent use.
	Lookup(ctx context.Context, accessKey string) (secret string, who Identity, err error)
}

// Access is what an identity of [Credentials] may do.
type Access uint8

// The two kinds of access; 0 is neither and refused.
const (
	// ReadOnly: what begins with s3:Get or s3:List.
	ReadOnly Access = 1
	// FullAccess: everything.
	FullAccess Access = 2
)

// Credential is a pair of keys and what its bearer may do. It is printed and
// logged without its secret.
type Credential struct {
	AccessKey string // 3 to 128 characters
	SecretKey string // at least 8 characters
	Access    Access
	// Identity of the bearer. An empty ID is the access key; AccessKey is set
	// by [NewCredentials].
	Identity Identity
}

// String names the access key only.
func (c Credential) String() string { return "credential " + c.AccessKey }

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// LogValue is String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Credentials is a fixed list of credentials: a [Keyring], and an [Authorizer]
// for the identities that it knows. It is safe for concurrent use.
type Credentials struct {
	byKey map[string]Credential
}

// NewCredentials checks the list: at least one, no access key twice, keys of the
// lengths that [Credential] says.
func NewCredentials(list ...Credential) (*Credentials, error) {
	if len(list) == 0 {
		return nil, errors.New("no credentials given")
	}
	c := &Credentials{byKey: make(map[string]Credential, len(list))}
	for i, one := range list {
		_, twice := c.byKey[one.AccessKey]
		switch {
		case len(one.AccessKey) < 3 || len(one.AccessKey) > 128 || strings.ContainsAny(one.AccessKey, " ,;=\r\n\t"):
			return nil, fmt.Errorf("credential %d: an access key has 3 to 128 characters and no space, comma, semicolon or equals sign", i)
		case len(one.SecretKey) < 8:
			return nil, fmt.Errorf("credential %d: a secret key has at least 8 characters", i)
		case twice:
			return nil, fmt.Errorf("credential %d: the access key was given before", i)
		case one.Access != ReadOnly && one.Access != FullAccess:
			return nil, fmt.Errorf("credential %d: the access is neither read-only nor full", i)
		}
		one.Identity.AccessKey = one.AccessKey
		if one.Identity.ID == "" {
			one.Identity.ID = one.AccessKey
		}
		c.byKey[one.AccessKey] = one
	}
	return c, nil
}

// Lookup implements [Keyring].
func (c *Credentials) Lookup(_ context.Context, accessKey string) (string, Identity, error) {
	one, ok := c.byKey[accessKey]
	if !ok {
		return "", Identity{}, ErrUnknownKey
	}
	return one.SecretKey, one.Identity, nil
}

// Authorize implements [Authorizer]. Nobody but the identities of the list may
// do anything.
func (c *Credentials) Authorize(_ context.Context, who Identity, action string, _ Resource) error {
	one, ok := c.byKey[who.AccessKey]
	if !ok || one.Identity != who {
		return fail("AccessDenied")
	}
	reads := strings.HasPrefix(action, "s3:Get") || strings.HasPrefix(action, "s3:List")
	if one.Access == FullAccess || reads {
		return nil
	}
	return fail("AccessDenied")
}
