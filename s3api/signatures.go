package s3api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/s3api/internal/chunked"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
)

// The values of x-amz-content-sha256 that are no digest.
const (
	unsignedPayload        = "UNSIGNED-PAYLOAD"
	chunksPayload          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	chunksTrailerPayload   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedTrailerPayload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// maxQueryParameters bounds what a query string may have.
const maxQueryParameters = 200

// SigV4 authenticates by AWS Signature Version 4, in the Authorization header
// and in the query (presigned), with all payload modes. Create it with
// [NewSigV4].
type SigV4 struct {
	keys   Keyring
	region string
	decoy  string // secret that unknown access keys are compared with
}

// NewSigV4 takes secrets from keys. region is the one that signatures must be
// made for; empty accepts all.
func NewSigV4(keys Keyring, region string) *SigV4 {
	return &SigV4{keys: keys, region: region, decoy: rand.Text()}
}

// Authenticate implements [Authenticator].
func (s *SigV4) Authenticate(r *http.Request, now time.Time) (*Verified, error) {
	query, err := sigv4.ParseQuery(r.URL.RawQuery, maxQueryParameters)
	if err != nil {
		return nil, fail("InvalidURI").because(err)
	}
	claim, err := parseClaim(r, query)
	if err != nil {
		return nil, err
	}
	if claim == nil {
		return newVerified(r, query, nil, nil)
	}
	if err := s.checkClaim(claim, r, query, now); err != nil {
		return nil, err
	}
	secret, who, err := s.keys.Lookup(r.Context(), claim.AccessKey)
	known := err == nil
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return nil, fmt.Errorf("look up an access key: %w", err)
	}
	if !known {
		secret = s.decoy
	}
	key := sigv4.NewKey(secret, claim.Scope)
	wanted := key.Sign(claim, &sigv4.Request{
		Method: r.Method, Path: r.URL.Path, Query: query, Host: r.Host, Header: r.Header,
		ContentLength: r.ContentLength, Payload: payloadOf(r, query, claim),
	})
	same := sigv4.Equal(wanted, claim.Signature)
	switch {
	case !known:
		return nil, fail("InvalidAccessKeyId")
	case !same:
		return nil, fail("SignatureDoesNotMatch")
	}
	v, err := newVerified(r, query, claim, key)
	if err != nil {
		return nil, err
	}
	v.Identity = who
	return v, nil
}

// parseClaim finds out which kind of authentication a request uses; nil and no
// error means none.
func parseClaim(r *http.Request, query sigv4.Query) (*sigv4.Claim, error) {
	values := r.Header.Values("Authorization")
	presigned := sigv4.IsPresigned(query)
	switch {
	case len(values) > 1 || len(values) == 1 && presigned:
		return nil, fail("InvalidArgument").saying("Only one authentication mechanism is allowed.")
	case query.Has("AWSAccessKeyId") || query.Has("Signature"),
		len(values) == 1 && strings.HasPrefix(values[0], "AWS "):
		return nil, fail("InvalidRequest").saying("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	case len(values) == 1 && !strings.HasPrefix(values[0], sigv4.Algorithm+" "):
		return nil, fail("InvalidArgument").saying("Unsupported Authorization Type")
	case presigned:
		claim, err := sigv4.ParseQueryClaim(query)
		if err != nil {
			return nil, fail("AuthorizationQueryParametersError").saying(err.Error())
		}
		return claim, nil
	case len(values) == 0:
		return nil, nil
	}
	at := r.Header.Get("X-Amz-Date")
	if at == "" {
		at = r.Header.Get("Date")
	}
	claim, err := sigv4.ParseHeader(values[0], at)
	if err != nil {
		return nil, fail("AuthorizationHeaderMalformed").saying(err.Error())
	}
	return claim, nil
}

// checkClaim checks what can be told without the secret.
func (s *SigV4) checkClaim(claim *sigv4.Claim, r *http.Request, query sigv4.Query, now time.Time) error {
	switch err := claim.CheckTime(now); {
	case errors.Is(err, sigv4.ErrSkew):
		return fail("RequestTimeTooSkewed").because(err)
	case err != nil:
		return fail("AccessDenied").saying(err.Error())
	}
	if s.region != "" && claim.Scope.Region != s.region {
		code := "AuthorizationHeaderMalformed"
		if claim.Presigned {
			code = "AuthorizationQueryParametersError"
		}
		return fail(code).saying("the region of the credential is wrong; expecting '"+s.region+"'").with("Region", s.region)
	}
	if r.Header.Get("X-Amz-Security-Token") != "" || query.Has("X-Amz-Security-Token") {
		return fail("InvalidToken")
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		must := strings.HasPrefix(lower, "x-amz-") || lower == "content-md5" || lower == "content-type"
		if must && !claim.Signs(lower) {
			return fail("AccessDenied").saying("There were headers present in the request which were not signed").with("HeadersNotSigned", lower)
		}
	}
	if !claim.Presigned && r.Header.Get("X-Amz-Content-Sha256") == "" {
		return fail("InvalidRequest").saying("Missing required header for this request: x-amz-content-sha256")
	}
	return nil
}

// payloadOf is the payload mode as the request names it.
func payloadOf(r *http.Request, query sigv4.Query, claim *sigv4.Claim) string {
	mode := r.Header.Get("X-Amz-Content-Sha256")
	if mode == "" && claim != nil && claim.Presigned {
		mode = query.Get("X-Amz-Content-Sha256")
	}
	if mode == "" {
		mode = unsignedPayload
	}
	return mode
}

// newVerified makes the body reader that the payload mode asks for. A nil claim
// is a request without credentials.
func newVerified(r *http.Request, query sigv4.Query, claim *sigv4.Claim, key sigv4.Key) (*Verified, error) {
	v := &Verified{Anonymous: claim == nil, Header: r.Header, Body: r.Body, Size: r.ContentLength}
	if v.Body == nil {
		v.Body, v.Size = http.NoBody, 0
	}
	if claim != nil {
		v.Signed = claim.Headers
		if claim.Presigned {
			v.Header = hoisted(r.Header, query)
		}
	}
	mode := payloadOf(r, query, claim)
	switch {
	case mode == unsignedPayload:
		return v, v.refuseTrailer()
	case mode == unsignedTrailerPayload && (claim == nil || !claim.Presigned):
		v.Payload = PayloadUnsignedTrailer
		return v, v.decode(nil)
	case mode == chunksPayload && claim != nil && !claim.Presigned:
		v.Payload = PayloadChunks
		return v, errors.Join(v.refuseTrailer(), v.decode(sigv4.NewChain(key, claim)))
	case mode == chunksTrailerPayload && claim != nil && !claim.Presigned:
		v.Payload = PayloadChunksTrailer
		return v, v.decode(sigv4.NewChain(key, claim))
	}
	wanted, err := hex.DecodeString(mode)
	if err != nil || len(wanted) != sha256.Size {
		return nil, fail("InvalidArgument").saying("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, one of the STREAMING modes that fit the authentication, or a valid sha256 value.")
	}
	v.Payload = PayloadSigned
	v.Body = &digestBody{source: v.Body, hash: sha256.New(), wanted: wanted}
	return v, v.refuseTrailer()
}

// hoisted is the headers of a presigned request: those x-amz- parameters of the
// query that are no part of the signature count as headers, as they are signed.
// A header of the same name wins, since it is signed too.
func hoisted(header http.Header, query sigv4.Query) http.Header {
	out := header.Clone()
	for _, p := range query {
		name := http.CanonicalHeaderKey(p.Name)
		if !strings.HasPrefix(name, "X-Amz-") || sigv4.Reserved(p.Name) || len(out[name]) > 0 {
			continue
		}
		if strings.ContainsAny(p.Value, "\r\n\x00") {
			continue
		}
		out[name] = []string{p.Value}
	}
	return out
}

// refuseTrailer is for modes without trailers.
func (v *Verified) refuseTrailer() error {
	if v.Header.Get("X-Amz-Trailer") != "" {
		return fail("InvalidRequest").saying("x-amz-trailer is given, but the payload mode has no trailers.")
	}
	return nil
}

// decode puts the decoder of aws-chunked bodies before the body.
func (v *Verified) decode(signer chunked.Signer) error {
	announced := v.Header.Get("X-Amz-Decoded-Content-Length")
	if announced == "" {
		return fail("MissingContentLength")
	}
	size, err := strconv.ParseInt(announced, 10, 64)
	if err != nil || size < 0 || strings.Trim(announced, "0123456789") != "" {
		return fail("InvalidArgument").saying("x-amz-decoded-content-length is not a number of bytes.")
	}
	for _, line := range v.Header.Values("X-Amz-Trailer") {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if algorithmOf(name) == checksum.None || slices.Contains(v.Declared, name) {
				return fail("InvalidRequest").saying("The value specified in the x-amz-trailer header is not supported.")
			}
			v.Declared = append(v.Declared, name)
		}
	}
	reader := chunked.NewReader(v.Body, chunked.Format{
		Size: size, Signer: signer, Trailing: v.Payload != PayloadChunks, Declared: v.Declared,
	})
	v.Body, v.Size = reader, size
	if v.Payload != PayloadChunks {
		v.Trailer = reader.Trailer
	}
	return nil
}

// digestBody gives io.EOF only if the SHA-256 of all bytes is the wanted one.
type digestBody struct {
	source io.Reader
	hash   hash.Hash
	wanted []byte
	err    error // once set, given for ever
}

// Read implements io.Reader.
func (b *digestBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.source.Read(p)
	b.hash.Write(p[:n])
	if err == io.EOF && !slices.Equal(b.hash.Sum(nil), b.wanted) {
		err = fail("XAmzContentSHA256Mismatch")
	}
	b.err = err
	return n, err
}
