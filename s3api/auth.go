package s3api

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd/s3api/internal/signature"
	"github.com/sherd-storage/sherd/s3api/policy"
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

// Authorizer says what an identity's own permissions say of what it attempts. What
// a bucket's policy, access control lists and public access block say is the
// handler's matter, and so is how all of it goes together:
//
//   - A Deny, of the identity's permissions or of the bucket's policy, is final.
//   - In a bucket of one's own account an Allow of either is enough.
//   - In that of another account both are needed: an Allow of one's own, and one
//     of the bucket's policy or of an access control list.
//   - Who is anonymous needs the bucket's.
//   - What nobody allows is denied.
type Authorizer interface {
	// Authorize is asked before anything of the store is. An error is the answer:
	// an [*Error], or else InternalError. It must be safe for concurrent use.
	Authorize(ctx context.Context, a *Attempt) (policy.Effect, error)
}

// Attempt is an action that somebody attempts. It is only read, and not kept.
type Attempt struct {
	Identity  Identity // the zero Identity is nobody
	Anonymous bool
	Action    string // as in policies, such as "s3:GetObject"
	Resource  Resource
	// Context gives the values of the keys of conditions, as
	// [policy.Request].Context.
	Context func(key string) []string
}

// Request is the attempt as policies see it.
func (a *Attempt) Request() *policy.Request {
	r := &policy.Request{Action: a.Action, Resource: policy.ResourceARN(a.Resource.Bucket, a.Resource.Key), Context: a.Context}
	if !a.Anonymous {
		r.Principal = policy.Principal{Account: a.Identity.Account, ARN: a.Identity.ARN, CanonicalID: a.Identity.ID}
	}
	return r
}

// Resource is what an action is to be done to. Bucket and Key are empty where
// the action concerns all buckets, or a bucket.
type Resource struct {
	Bucket    string
	Key       string
	VersionID string // empty: the latest, or none in particular
}

// DefaultAccount is the account of identities that have none.
const DefaultAccount = "000000000000"

// Identity is who makes a request. The zero Identity is nobody.
type Identity struct {
	// ID is canonical: the owner of what is created. As on S3 all identities of an
	// account have the same one.
	ID          string
	Account     string // 12 digits; "" is DefaultAccount
	ARN         string // of the identity; that of an account's root ends in ":root"
	DisplayName string
	Email       string
	AccessKey   string // by which the identity was known; no secret
}

// complete gives what an identity does not say.
func (i Identity) complete() Identity {
	if i == (Identity{}) {
		return i
	}
	i.Account = cmp.Or(i.Account, DefaultAccount)
	i.ID = cmp.Or(i.ID, CanonicalID(i.Account))
	i.ARN = cmp.Or(i.ARN, "arn:aws:iam::"+i.Account+":user/"+cmp.Or(i.DisplayName, i.AccessKey))
	return i
}

// root says whether the identity is the account itself.
func (i Identity) root() bool { return strings.HasSuffix(i.ARN, ":root") }

// CanonicalID is the canonical id of an account that was given no other: 64
// hexadecimal digits.
func CanonicalID(account string) string {
	sum := sha256.Sum256([]byte("canonical id of account " + account))
	return hex.EncodeToString(sum[:])
}

// Directory knows owners: whose account a canonical id is, and who has an email
// address. It is asked for grants of access control lists, for the names of
// owners, and to tell buckets of one's own from those of others.
type Directory interface {
	// Owner gives one identity of the owner, and false for an id that it does not
	// know. It must be safe for concurrent use.
	Owner(id string) (Identity, bool)
	// Addressee likewise by an email address.
	Addressee(email string) (Identity, bool)
}

// Payload says how the body of a request is bound to its signature.
type Payload uint8

// The payload modes.
const (
	// PayloadUnsigned: not at all.
	PayloadUnsigned = Payload(signature.PayloadUnsigned)
	// PayloadSigned: the signature covers its SHA-256.
	PayloadSigned = Payload(signature.PayloadSigned)
	// PayloadChunks: in chunks, each with a signature.
	PayloadChunks = Payload(signature.PayloadChunks)
	// PayloadChunksTrailer: likewise, with signed trailers.
	PayloadChunksTrailer = Payload(signature.PayloadChunksTrailer)
	// PayloadUnsignedTrailer: in chunks and with trailers, none signed.
	PayloadUnsignedTrailer = Payload(signature.PayloadUnsignedTrailer)
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
	// Version of the signature: 2, 4, or 0 for none; By is where it was, and Age
	// how long ago the request was signed, where that is known.
	Version int
	By      By
	Age     time.Duration
}

// By is where the signature of a request was.
type By uint8

// The places.
const (
	ByNothing By = iota
	ByHeader
	ByQuery
	ByForm
)

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
var ErrUnknownKey = signature.ErrUnknownKey

// Keyring knows the secrets of access keys.
type Keyring interface {
	// Lookup gives [ErrUnknownKey] for an access key that it does not know, and
	// takes as long for it as for one that it knows. It must be safe for
	// concurrent use.
	Lookup(ctx context.Context, accessKey string) (secret string, who Identity, err error)
}

// Signatures authenticates by AWS Signature Version 4, in the Authorization header
// and in the query (presigned), with all payload modes, and by Version 2, which
// old clients make, and today's for presigned URLs. Create it with
// [NewSignatures] or [NewSigV4].
type Signatures struct {
	keys     Keyring
	verifier signature.Verifier
}

// NewSignatures takes secrets from keys. region is the one that signatures of
// version 4 must be made for; empty accepts all.
func NewSignatures(keys Keyring, region string) *Signatures {
	return &Signatures{keys: keys, verifier: signature.Verifier{Region: region, Version2: true, Decoy: rand.Text()}}
}

// NewSigV4 is [NewSignatures] without version 2, which signs neither the host nor
// the body, by a hash that is no longer thought to be strong.
func NewSigV4(keys Keyring, region string) *Signatures {
	return &Signatures{keys: keys, verifier: signature.Verifier{Region: region, Decoy: rand.Text()}}
}

// Unchecked believes every request to come from who it says, whatever its
// signature. It is for tests, where any credentials are good.
func Unchecked() *Signatures {
	return &Signatures{verifier: signature.Verifier{Version2: true, Unchecked: true}}
}

// Authenticate implements [Authenticator].
func (s *Signatures) Authenticate(r *http.Request, now time.Time) (*Verified, error) {
	var who Identity
	verifier := s.verifier
	verifier.Secret = func(ctx context.Context, accessKey string) (secret string, err error) {
		secret, who, err = s.keys.Lookup(ctx, accessKey)
		return secret, err
	}
	in, err := verifier.Verify(&signature.Incoming{Request: r, Paths: signedPaths(r)}, now)
	if err != nil {
		return nil, err
	}
	if verifier.Unchecked {
		name := cmp.Or(in.AccessKey, "anybody")
		who = Identity{ID: name, DisplayName: name, AccessKey: in.AccessKey}.complete()
	}
	return verified(in, who), nil
}

func verified(in *signature.Verified, who Identity) *Verified {
	v := &Verified{
		Identity: who, Anonymous: in.Anonymous, Payload: Payload(in.Payload), Signed: in.Signed, Unsigned: in.Unsigned,
		Header: in.Header, Body: in.Body, Size: in.Size, Trailer: in.Trailer, Declared: in.Declared,
		Version: in.Version, Age: in.Age,
	}
	switch {
	case in.Presigned:
		v.By = ByQuery
	case in.Version != 0:
		v.By = ByHeader
	}
	return v
}

// Access is what an identity of [Credentials] may do.
type Access uint8

// The kinds of access.
const (
	// ByPolicies: what its policies allow.
	ByPolicies Access = 0
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
	// Policies are policies of the identity, which allow and deny beside Access.
	Policies []*policy.Document
	// Identity of the bearer; AccessKey is set by [NewCredentials]. An empty Account
	// is [DefaultAccount], an empty ID the account's [CanonicalID], and an empty
	// ARN that of a user with the display name or else the access key.
	Identity Identity
}

// String names the access key only.
func (c Credential) String() string { return "credential " + c.AccessKey }

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// LogValue is String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Credentials is a list of credentials: a [Keyring], an [Authorizer] and a
// [Directory] for the identities that it knows. It is safe for concurrent use.
type Credentials struct {
	now atomic.Pointer[credentials]
}

type credentials struct {
	byKey  map[string]Credential
	owners map[string]Identity // by canonical id, and by access key, which older versions took for it
	emails map[string]Identity
}

// NewCredentials checks the list: at least one, no access key twice, keys of the
// lengths that [Credential] says.
func NewCredentials(list ...Credential) (*Credentials, error) {
	c := &Credentials{}
	if err := c.Replace(list...); err != nil {
		return nil, err
	}
	return c, nil
}

// Replace puts another list in the place of the one before, for requests that
// begin from then on; one that is wrong changes nothing.
func (c *Credentials) Replace(list ...Credential) error {
	if len(list) == 0 {
		return errors.New("no credentials given")
	}
	next := &credentials{map[string]Credential{}, map[string]Identity{}, map[string]Identity{}}
	for i, one := range list {
		_, twice := next.byKey[one.AccessKey]
		switch {
		case len(one.AccessKey) < 3 || len(one.AccessKey) > 128 || strings.ContainsAny(one.AccessKey, " ,;=\r\n\t"):
			return fmt.Errorf("credential %d: an access key has 3 to 128 characters and no space, comma, semicolon or equals sign", i)
		case len(one.SecretKey) < 8:
			return fmt.Errorf("credential %d: a secret key has at least 8 characters", i)
		case twice:
			return fmt.Errorf("credential %d: the access key was given before", i)
		case one.Access > FullAccess, one.Access == ByPolicies && len(one.Policies) == 0:
			return fmt.Errorf("credential %d: the access is neither read-only nor full, nor by policies", i)
		}
		for _, document := range one.Policies {
			if err := document.ForIdentity(); err != nil {
				return fmt.Errorf("credential %d: %w", i, err)
			}
		}
		one.Identity.AccessKey = one.AccessKey
		one.Identity = one.Identity.complete()
		next.byKey[one.AccessKey] = one
	}
	for _, one := range list {
		who := next.byKey[one.AccessKey].Identity
		for _, id := range [...]string{who.ID, who.AccessKey} {
			if known, ok := next.owners[id]; !ok || who.root() && !known.root() {
				next.owners[id] = who
			}
		}
		if who.Email != "" {
			next.emails[strings.ToLower(who.Email)] = who
		}
	}
	c.now.Store(next)
	return nil
}

// Lookup implements [Keyring].
func (c *Credentials) Lookup(_ context.Context, accessKey string) (string, Identity, error) {
	one, ok := c.now.Load().byKey[accessKey]
	if !ok {
		return "", Identity{}, ErrUnknownKey
	}
	return one.SecretKey, one.Identity, nil
}

// Authorize implements [Authorizer]. Nobody but the identities of the list is
// allowed anything.
func (c *Credentials) Authorize(_ context.Context, a *Attempt) (policy.Effect, error) {
	one, ok := c.now.Load().byKey[a.Identity.AccessKey]
	if !ok || one.Identity != a.Identity || a.Anonymous {
		return policy.None, nil
	}
	effect := policy.None
	if len(one.Policies) > 0 {
		effect = policy.Evaluate(a.Request(), one.Policies...).Effect
	}
	reads := strings.HasPrefix(a.Action, "s3:Get") || strings.HasPrefix(a.Action, "s3:List")
	if effect == policy.None && (one.Access == FullAccess || one.Access == ReadOnly && reads) {
		effect = policy.Allow
	}
	return effect, nil
}

// Owner implements [Directory].
func (c *Credentials) Owner(id string) (Identity, bool) {
	who, ok := c.now.Load().owners[id]
	return who, ok
}

// Addressee implements [Directory].
func (c *Credentials) Addressee(email string) (Identity, bool) {
	who, ok := c.now.Load().emails[strings.ToLower(email)]
	return who, ok
}

// checkOwner keeps a request from a bucket that is not whose the client thinks.
func (c *call) checkOwner() error {
	for _, check := range [...]struct{ header, bucket string }{
		{"X-Amz-Expected-Bucket-Owner", c.bucket},
		{"X-Amz-Source-Expected-Bucket-Owner", c.source.Bucket},
	} {
		wanted := c.Header.Get(check.header)
		if wanted == "" || check.bucket == "" || c.operation.Name == "CreateBucket" {
			continue
		}
		info, err := c.store.StatBucket(c.ctx(), check.bucket)
		if err != nil {
			return err
		}
		if wanted != info.Owner && wanted != c.canonical(info.Owner) && wanted != c.accountOf(info.Owner) {
			return fail("AccessDenied")
		}
	}
	return nil
}
