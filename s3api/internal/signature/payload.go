package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// ErrDigest says that a body has not the SHA-256 that was signed.
var ErrDigest = errors.New("the body has not the signed digest")

// The values of x-amz-content-sha256 that are no digest.
const (
	unsignedPayload        = "UNSIGNED-PAYLOAD"
	chunksPayload          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	chunksTrailerPayload   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedTrailerPayload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// Payload says how the body of a request is bound to its signature.
type Payload uint8

// The payload modes.
const (
	PayloadUnsigned Payload = iota
	PayloadSigned
	PayloadChunks
	PayloadChunksTrailer
	PayloadUnsignedTrailer
)

// Verified is a request whose sender is known.
type Verified struct {
	AccessKey string // "" there were no credentials
	Anonymous bool
	Version   int           // of the signature: 2 or 4; 0 none
	Presigned bool          // the signature is in the query
	Age       time.Duration // since the request was signed
	Payload   Payload
	Signed    []string // lower-case names of the headers that the signature covers
	Unsigned  []string // names of the parameters that it does not cover
	Header    http.Header
	Body      io.Reader // io.EOF comes once all was found true
	Size      int64     // of Body; −1: not announced
	Trailer   func() map[string]string
	Declared  []string // trailers that were announced
}

// payloadOf is the payload mode as the request names it.
func payloadOf(r *Incoming, query sigv4.Query, claim *sigv4.Claim) string {
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
func newVerified(r *Incoming, query sigv4.Query, claim *sigv4.Claim, chain chunked.Signer) (*Verified, error) {
	v := &Verified{Anonymous: claim == nil, Header: oneLine(r.Header), Body: r.Body, Size: r.ContentLength}
	if v.Body == nil {
		v.Body, v.Size = http.NoBody, 0
	}
	if claim != nil {
		v.AccessKey, v.Version, v.Presigned, v.Signed = claim.AccessKey, 4, claim.Presigned, claim.Headers
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
	return IsChecksum(strings.ToLower(name)) || name == "X-Amz-Sdk-Checksum-Algorithm"
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
			if !IsChecksum(name) || slices.Contains(v.Declared, name) {
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
		err = ErrDigest
	}
	b.err = err
	return n, err
}

// IsChecksum says whether a header or trailer, by its lower-case name, has a
// checksum of the body, as x-amz-checksum-crc32.
func IsChecksum(name string) bool {
	suffix, ok := strings.CutPrefix(name, "x-amz-checksum-")
	if !ok {
		return false
	}
	_, err := checksum.ParseAlgorithm(strings.ToUpper(suffix))
	return err == nil
}
