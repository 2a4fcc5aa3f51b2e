// Package signature turns a request into a verified one: it reads the
// Authorization header, the signature in the query and the payload mode, checks
// them with the secret of the access key, and gives the headers that may be obeyed
// and a body that verifies itself while it is read.
//
// It guarantees that what is not signed and should be is refused, that an unknown
// access key costs the work of a wrong signature, and that nothing but the
// Authorization header and the query decides who sends. Secrets are in no
// error. It knows neither a store nor permissions.
//
// A [Verifier] is safe for concurrent use.
package signature

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/s3api/internal/chunked"
	"github.com/sherd-storage/sherd/s3api/internal/sigv2"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
)

// MaxParameters bounds what a query string may have.
const MaxParameters = 200

// ErrUnknownKey says that no secret belongs to an access key.
var ErrUnknownKey = errors.New("unknown access key")

// Refusal says why a request is not verified, in S3's words.
type Refusal struct {
	Code    string
	Message string // empty: the code's own
	Name    string // of the element that the code documents; "" none
	Value   string
	Err     error // the cause; nil none
}

// Error gives the code, the message and the cause.
func (e *Refusal) Error() string {
	text := e.Code + ": " + e.Message
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Refusal) Unwrap() error { return e.Err }

func fail(code string) *Refusal { return &Refusal{Code: code} }

func (e *Refusal) saying(message string) *Refusal {
	e.Message = message
	return e
}

func (e *Refusal) because(cause error) *Refusal {
	e.Err = cause
	return e
}

func (e *Refusal) with(name, value string) *Refusal {
	e.Name, e.Value = name, value
	return e
}

// Incoming is a request with the paths, each as it was sent, one of which a
// signature of version 2 is over.
type Incoming struct {
	*http.Request
	Paths []string
}

// Verifier authenticates by AWS Signature Version 4, in the Authorization header
// and in the query (presigned), with all payload modes, and by Version 2, which
// old clients make, and today's for presigned URLs.
type Verifier struct {
	// Secret gives the secret of an access key, or an error that is ErrUnknownKey.
	Secret func(ctx context.Context, accessKey string) (string, error)
	// Region is the one that signatures of version 4 must be made for; empty
	// accepts all.
	Region    string
	Version2  bool   // may be used
	Unchecked bool   // for tests: what is claimed is believed
	Decoy     string // secret that unknown access keys are compared with
}

// Verify gives the request as it may be obeyed, a [*Refusal], or what Secret gave.
// It does not read the body.
func (s *Verifier) Verify(r *Incoming, now time.Time) (*Verified, error) {
	query, err := sigv4.ParseQuery(r.URL.RawQuery, MaxParameters)
	if err != nil {
		return nil, fail("InvalidURI").because(err)
	}
	values := r.Header.Values("Authorization")
	if len(values) == 1 && values[0] == "" {
		values = nil // who says nothing of himself
	}
	presigned4, presigned2 := sigv4.IsPresigned(query), query.Has("AWSAccessKeyId") || query.Has("Signature")
	switch {
	case len(values) > 1 || len(values) == 1 && (presigned4 || presigned2) || presigned4 && presigned2:
		return nil, fail("InvalidArgument").saying("Only one authentication mechanism is allowed.")
	case presigned2, len(values) == 1 && strings.HasPrefix(values[0], "AWS "):
		return s.authenticate2(r, query, now)
	case len(values) == 1 && !strings.HasPrefix(values[0], sigv4.Algorithm+" "):
		return nil, fail("InvalidArgument").saying("Unsupported Authorization Type")
	case len(values) == 0 && !presigned4:
		v, err := newVerified(r, query, nil, nil)
		if err == nil {
			v.Anonymous = !s.Unchecked
		}
		return v, err
	}
	return s.authenticate4(r, query, now)
}

// authenticate4 is for version 4.
func (s *Verifier) authenticate4(r *Incoming, query sigv4.Query, now time.Time) (*Verified, error) {
	claim, err := parseClaim(r, query)
	if err != nil {
		return nil, err
	}
	if s.Unchecked {
		return s.believe(r, query, claim)
	}
	if err := s.checkClaim(claim, r, query, now); err != nil {
		return nil, err
	}
	var key sigv4.Key
	err = s.prove(r, claim.AccessKey, func(secret string) bool {
		key = sigv4.NewKey(secret, claim.Scope)
		return sigv4.Equal(claim.Signature, key.Sign(claim, &sigv4.Request{
			Method: r.Method, Path: r.URL.Path, Query: query, Host: r.Host, Header: r.Header,
			ContentLength: r.ContentLength, Payload: payloadOf(r, query, claim),
		}))
	})
	if err != nil {
		return nil, err
	}
	v, err := newVerified(r, query, claim, sigv4.NewChain(key, claim))
	if err != nil {
		return nil, err
	}
	v.Age = now.Sub(claim.Time)
	return v, nil
}

// prove says whether the signature is good with the secret of the access key. An
// unknown one costs the same work.
func (s *Verifier) prove(r *Incoming, accessKey string, good func(secret string) bool) error {
	secret, err := s.Secret(r.Context(), accessKey)
	known := err == nil
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return fmt.Errorf("look up an access key: %w", err)
	}
	if !known {
		secret = s.Decoy
	}
	same := good(secret)
	switch {
	case !known:
		return fail("InvalidAccessKeyId")
	case !same:
		return fail("SignatureDoesNotMatch")
	}
	return nil
}

// believe takes a claim for true.
func (s *Verifier) believe(r *Incoming, query sigv4.Query, claim *sigv4.Claim) (*Verified, error) {
	return newVerified(r, query, claim, nil)
}

// authenticate2 is for version 2. All x-amz- headers are signed by it, and
// Content-MD5 and Content-Type.
func (s *Verifier) authenticate2(r *Incoming, query sigv4.Query, now time.Time) (*Verified, error) {
	if !s.Version2 {
		return nil, fail("InvalidRequest").saying("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	}
	parameters := make([]sigv2.Parameter, len(query))
	for i, p := range query {
		parameters[i] = sigv2.Parameter(p)
	}
	claim, err := parseClaim2(r, parameters)
	if err != nil {
		return nil, err
	}
	v, err := s.unsigned2(r, parameters, claim)
	if err != nil {
		return nil, err
	}
	if s.Unchecked {
		return v, nil
	}
	switch err := claim.CheckTime(now); {
	case errors.Is(err, sigv2.ErrSkew):
		return nil, fail("RequestTimeTooSkewed").because(err)
	case err != nil:
		return nil, fail("AccessDenied").saying("Request has expired").because(err)
	}
	err = s.prove(r, claim.AccessKey, func(secret string) bool {
		same := false
		for _, path := range r.Paths {
			same = sigv2.Equal(claim.Signature, sigv2.Sign(secret, claim, &sigv2.Request{
				Method: r.Method, Path: path, Query: parameters, Header: v.Header,
			})) || same
		}
		return same
	})
	if err != nil {
		return nil, err
	}
	return v, nil
}

func parseClaim2(r *Incoming, query []sigv2.Parameter) (*sigv2.Claim, error) {
	if sigv2.IsPresigned(query) {
		claim, err := sigv2.ParseQuery(query)
		if err != nil {
			return nil, fail("AccessDenied").saying(err.Error())
		}
		return claim, nil
	}
	if authorization := r.Header.Get("Authorization"); !strings.Contains(authorization, ":") {
		return nil, fail("InvalidArgument").saying("AWS authorization header is invalid. Expected AwsAccessKeyId:signature")
	}
	claim, err := sigv2.ParseHeader(r.Header.Get("Authorization"), r.Header)
	if err != nil {
		return nil, fail("AccessDenied").saying(err.Error())
	}
	return claim, nil
}

// unsigned2 is the request of a version 2 claim: its body is as it was sent, so
// the payload modes of version 4 have no meaning but that nothing is signed.
func (s *Verifier) unsigned2(r *Incoming, query []sigv2.Parameter, claim *sigv2.Claim) (*Verified, error) {
	header, err := claim.Headers(r.Header, query)
	if err != nil {
		return nil, fail("InvalidArgument").saying(err.Error())
	}
	if len(header["X-Amz-Security-Token"]) > 0 {
		return nil, fail("InvalidToken")
	}
	if sigv2.Mixed(query) {
		return nil, fail("InvalidRequest").saying("Parameters that change headers of the answer do not go with those of another operation.")
	}
	v := &Verified{
		AccessKey: claim.AccessKey, Version: 2, Presigned: sigv2.IsPresigned(query),
		Header: header, Body: r.Body, Size: r.ContentLength, Unsigned: sigv2.Unsigned(query),
	}
	if v.Body == nil {
		v.Body, v.Size = http.NoBody, 0
	}
	for name := range v.Header {
		if lower := strings.ToLower(name); mustSign(lower) {
			v.Signed = append(v.Signed, lower)
		}
	}
	switch cmp.Or(header.Get("X-Amz-Content-Sha256"), unsignedPayload) {
	case unsignedPayload:
		return v, v.refuseTrailer()
	case unsignedTrailerPayload:
		v.Payload = PayloadUnsignedTrailer
		return v, v.decode(chunked.Format{})
	}
	return nil, fail("InvalidRequest").saying("The payload mode does not go with the signature version.")
}

// mustSign says whether a header, by its lower-case name, must be signed where it
// is. Content-Type need not be, as on S3: there are clients that leave it out, and
// browsers add it to presigned uploads.
func mustSign(lower string) bool {
	return strings.HasPrefix(lower, "x-amz-") || lower == "content-md5"
}

// parseClaim reads the claim of a request that uses version 4.
func parseClaim(r *Incoming, query sigv4.Query) (*sigv4.Claim, error) {
	if sigv4.IsPresigned(query) {
		claim, err := sigv4.ParseQueryClaim(query)
		if err != nil {
			return nil, fail("AuthorizationQueryParametersError").saying(err.Error())
		}
		return claim, nil
	}
	at := r.Header.Get("X-Amz-Date")
	if at == "" {
		at = r.Header.Get("Date")
	}
	claim, err := sigv4.ParseHeader(r.Header.Get("Authorization"), at)
	if err != nil {
		return nil, fail("AuthorizationHeaderMalformed").saying(err.Error())
	}
	return claim, nil
}

// checkClaim checks what can be told without the secret.
func (s *Verifier) checkClaim(claim *sigv4.Claim, r *Incoming, query sigv4.Query, now time.Time) error {
	switch err := claim.CheckTime(now); {
	case errors.Is(err, sigv4.ErrSkew):
		return fail("RequestTimeTooSkewed").because(err)
	case err != nil:
		return fail("AccessDenied").saying(err.Error())
	}
	if s.Region != "" && claim.Scope.Region != s.Region {
		code := "AuthorizationHeaderMalformed"
		if claim.Presigned {
			code = "AuthorizationQueryParametersError"
		}
		return fail(code).saying("the region of the credential is wrong; expecting '"+s.Region+"'").with("Region", s.Region)
	}
	if r.Header.Get("X-Amz-Security-Token") != "" || query.Has("X-Amz-Security-Token") {
		return fail("InvalidToken")
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if mustSign(lower) && !claim.Signs(lower) {
			return fail("AccessDenied").saying("There were headers present in the request which were not signed").with("HeadersNotSigned", lower)
		}
	}
	if !claim.Presigned && r.Header.Get("X-Amz-Content-Sha256") == "" {
		return fail("InvalidRequest").saying("Missing required header for this request: x-amz-content-sha256")
	}
	return nil
}
