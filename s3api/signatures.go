package s3api

import (
	"cmp"
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
	"github.com/sherd-storage/sherd/s3api/internal/sigv2"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
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

// Signatures authenticates by AWS Signature Version 4, in the Authorization header
// and in the query (presigned), with all payload modes, and by Version 2, which
// old clients make, and today's for presigned URLs. Create it with
// [NewSignatures] or [NewSigV4].
type Signatures struct {
	keys      Keyring
	region    string
	version2  bool
	unchecked bool   // for tests: what is claimed is believed
	decoy     string // secret that unknown access keys are compared with
}

// NewSignatures takes secrets from keys. region is the one that signatures of
// version 4 must be made for; empty accepts all.
func NewSignatures(keys Keyring, region string) *Signatures {
	return &Signatures{keys: keys, region: region, version2: true, decoy: rand.Text()}
}

// NewSigV4 is [NewSignatures] without version 2, which signs neither the host nor
// the body, by a hash that is no longer thought to be strong.
func NewSigV4(keys Keyring, region string) *Signatures {
	return &Signatures{keys: keys, region: region, decoy: rand.Text()}
}

// Unchecked believes every request to come from who it says, whatever its
// signature. It is for tests, where any credentials are good.
func Unchecked() *Signatures { return &Signatures{version2: true, unchecked: true} }

// Authenticate implements [Authenticator].
func (s *Signatures) Authenticate(r *http.Request, now time.Time) (*Verified, error) {
	query, err := sigv4.ParseQuery(r.URL.RawQuery, maxQueryParameters)
	if err != nil {
		return nil, fail("InvalidURI").because(err)
	}
	values := r.Header.Values("Authorization")
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
			v.Anonymous = !s.unchecked
		}
		return v, err
	}
	return s.authenticate4(r, query, now)
}

// authenticate4 is for version 4.
func (s *Signatures) authenticate4(r *http.Request, query sigv4.Query, now time.Time) (*Verified, error) {
	claim, err := parseClaim(r, query)
	if err != nil {
		return nil, err
	}
	if s.unchecked {
		return s.believe(r, query, claim)
	}
	if err := s.checkClaim(claim, r, query, now); err != nil {
		return nil, err
	}
	var key sigv4.Key
	who, err := s.prove(r, claim.AccessKey, func(secret string) bool {
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
	v.Identity = who
	return v, nil
}

// prove says whose access key it is, if the signature is good with its secret.
// An unknown one costs the same work.
func (s *Signatures) prove(r *http.Request, accessKey string, good func(secret string) bool) (Identity, error) {
	secret, who, err := s.keys.Lookup(r.Context(), accessKey)
	known := err == nil
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return who, fmt.Errorf("look up an access key: %w", err)
	}
	if !known {
		secret = s.decoy
	}
	same := good(secret)
	switch {
	case !known:
		return who, fail("InvalidAccessKeyId")
	case !same:
		return who, fail("SignatureDoesNotMatch")
	}
	return who, nil
}

// believe takes a claim for true.
func (s *Signatures) believe(r *http.Request, query sigv4.Query, claim *sigv4.Claim) (*Verified, error) {
	v, err := newVerified(r, query, claim, nil)
	if err == nil {
		v.Identity = Identity{ID: claim.AccessKey, DisplayName: claim.AccessKey, AccessKey: claim.AccessKey}
	}
	return v, err
}

// authenticate2 is for version 2. All x-amz- headers are signed by it, and
// Content-MD5 and Content-Type.
func (s *Signatures) authenticate2(r *http.Request, query sigv4.Query, now time.Time) (*Verified, error) {
	if !s.version2 {
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
	if s.unchecked {
		v.Identity = Identity{ID: claim.AccessKey, DisplayName: claim.AccessKey, AccessKey: claim.AccessKey}
		return v, nil
	}
	switch err := claim.CheckTime(now); {
	case errors.Is(err, sigv2.ErrSkew):
		return nil, fail("RequestTimeTooSkewed").because(err)
	case err != nil:
		return nil, fail("AccessDenied").saying("Request has expired").because(err)
	}
	v.Identity, err = s.prove(r, claim.AccessKey, func(secret string) bool {
		same := false
		for _, path := range signedPaths(r) {
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

func parseClaim2(r *http.Request, query []sigv2.Parameter) (*sigv2.Claim, error) {
	if sigv2.IsPresigned(query) {
		claim, err := sigv2.ParseQuery(query)
		if err != nil {
			return nil, fail("AccessDenied").saying(err.Error())
		}
		return claim, nil
	}
	claim, err := sigv2.ParseHeader(r.Header.Get("Authorization"), r.Header)
	if err != nil {
		return nil, fail("AccessDenied").saying(err.Error())
	}
	return claim, nil
}

// unsigned2 is the request of a version 2 claim: its body is as it was sent, so
// the payload modes of version 4 have no meaning but that nothing is signed.
func (s *Signatures) unsigned2(r *http.Request, query []sigv2.Parameter, claim *sigv2.Claim) (*Verified, error) {
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
	v := &Verified{Header: header, Body: r.Body, Size: r.ContentLength, Unsigned: sigv2.Unsigned(query)}
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
func parseClaim(r *http.Request, query sigv4.Query) (*sigv4.Claim, error) {
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
func (s *Signatures) checkClaim(claim *sigv4.Claim, r *http.Request, query sigv4.Query, now time.Time) error {
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
		if mustSign(lower) && !claim.Signs(lower) {
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
// is a request without credentials; a nil chain, signatures of chunks that are
// not compared.
func newVerified(r *http.Request, query sigv4.Query, claim *sigv4.Claim, chain chunked.Signer) (*Verified, error) {
	v := &Verified{Anonymous: claim == nil, Header: oneLine(r.Header), Body: r.Body, Size: r.ContentLength}
	if v.Body == nil {
		v.Body, v.Size = http.NoBody, 0
	}
	if claim != nil {
		v.Signed = claim.Headers
		if claim.Presigned {
			if err := hoist(v.Header, query); err != nil {
				return nil, err
			}
		}
	}
	mode := payloadOf(r, query, claim)
	switch {
	case mode == unsignedPayload:
		return v, v.refuseTrailer()
	case mode == unsignedTrailerPayload && (claim == nil || !claim.Presigned):
		v.Payload = PayloadUnsignedTrailer
		return v, v.decode(chunked.Format{})
	case mode == chunksPayload && claim != nil && !claim.Presigned:
		v.Payload = PayloadChunks
		return v, errors.Join(v.refuseTrailer(), v.decode(chunked.Format{Signed: true, Signer: chain}))
	case mode == chunksTrailerPayload && claim != nil && !claim.Presigned:
		v.Payload = PayloadChunksTrailer
		return v, v.decode(chunked.Format{Signed: true, Signer: chain})
	}
	wanted, err := hex.DecodeString(mode)
	if err != nil || len(wanted) != sha256.Size {
		return nil, fail("InvalidArgument").saying("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, one of the STREAMING modes that fit the authentication, or a valid sha256 value.")
	}
	v.Payload = PayloadSigned
	v.Body = &digestBody{source: v.Body, hash: sha256.New(), wanted: wanted}
	return v, v.refuseTrailer()
}

// oneLine gives headers whose x-amz- lines of one name are one line, as they are
// in what is signed: what is obeyed is not the first half of it.
func oneLine(header http.Header) http.Header {
	out := header.Clone()
	for name, values := range out {
		if len(values) > 1 && (strings.HasPrefix(name, "X-Amz-") || name == "Content-Type") {
			out[name] = []string{strings.Join(values, ",")}
		}
	}
	return out
}

// hoist completes the headers of a presigned request: those x-amz- parameters of
// the query that are no part of the signature count as headers, as they are
// signed. A header of the same name wins, since it is signed too.
func hoist(header http.Header, query sigv4.Query) error {
	for _, p := range query {
		name := http.CanonicalHeaderKey(p.Name)
		if !strings.HasPrefix(strings.ToLower(name), "x-amz-") || sigv4.Reserved(p.Name) || len(header[name]) > 0 || ofBody(name) {
			continue
		}
		if !wire.ValidHeader(name, p.Value) {
			return fail("InvalidArgument").with("ArgumentName", p.Name)
		}
		header[name] = []string{p.Value}
	}
	return nil
}

// ofBody says whether a header is about a body that a presigned query can not
// know: clients sign the checksum of nothing there, which S3 passes over.
func ofBody(name string) bool {
	return algorithmOf(strings.ToLower(name)) != checksum.None || name == "X-Amz-Sdk-Checksum-Algorithm"
}

// refuseTrailer is for modes without trailers.
func (v *Verified) refuseTrailer() error {
	if v.Header.Get("X-Amz-Trailer") != "" {
		return fail("InvalidRequest").saying("x-amz-trailer is given, but the payload mode has no trailers.")
	}
	return nil
}

// decode puts the decoder of aws-chunked bodies before the body.
func (v *Verified) decode(format chunked.Format) error {
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
	format.Size, format.Trailing, format.Declared = size, v.Payload != PayloadChunks, v.Declared
	reader := chunked.NewReader(v.Body, format)
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
