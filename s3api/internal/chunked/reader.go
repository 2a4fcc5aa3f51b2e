package chunked

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Errors that reading can give, beside those of the source.
var (
	// ErrFraming: the body is not of the form, or something follows its end.
	ErrFraming = errors.New("malformed aws-chunked body")
	// ErrSize: the chunks have fewer or more bytes than announced, or the body
	// breaks off.
	ErrSize = errors.New("the aws-chunked body has not the announced length")
	// ErrSignature: a chunk or the trailers are not those that were signed.
	ErrSignature = errors.New("the signature of a chunk or of the trailers does not match")
	// ErrTrailer: a trailer was not declared, is missing, or comes twice.
	ErrTrailer = errors.New("the trailers are not those that were declared")
)

const (
	bufferBytes      = 4096 // also the longest line
	maxSizeDigits    = 16
	signatureDigits  = 64
	chunkSignature   = "chunk-signature="
	trailerSignature = "x-amz-trailer-signature"
)

// Signer gives the signatures that the chunks and trailers must have, in the
// order of the body, from their SHA-256.
type Signer interface {
	Chunk(digest []byte) string
	Trailer(digest []byte) string
}

// Format says what a body must look like.
type Format struct {
	Size     int64    // decoded bytes, as announced; 0 or more
	Signed   bool     // chunks and trailers have signatures
	Signer   Signer   // what they must be; nil: they are not compared
	Trailing bool     // the mode has trailers
	Declared []string // names of the trailers, lower case
}

// Reader gives the decoded bytes.
type Reader struct {
	source  *bufio.Reader
	format  Format
	pending int64     // bytes of the current chunk that were not given yet
	rest    int64     // announced bytes that no chunk has claimed yet
	digest  hash.Hash // of the current chunk's bytes so far; nil when nothing is signed
	claimed []byte    // signature of the current chunk
	trailer map[string]string
	err     error // once set, given for ever
}

// NewReader reads an encoded body from source up to its end.
func NewReader(source io.Reader, format Format) *Reader {
	r := &Reader{
		source:  bufio.NewReaderSize(source, bufferBytes),
		format:  format,
		rest:    format.Size,
		trailer: map[string]string{},
	}
	if format.Signer != nil {
		r.digest = sha256.New()
	}
	return r
}

// Trailer gives the trailers by lower-case name; nil until Read gave io.EOF.
func (r *Reader) Trailer() map[string]string {
	if r.err != io.EOF {
		return nil
	}
	return r.trailer
}

// Read gives decoded bytes. Any error but io.EOF means that the body is not to
// be kept.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err == nil && r.pending == 0 {
		r.err = r.begin()
	}
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	n, err := r.source.Read(p[:min(int64(len(p)), r.pending)])
	r.pending -= int64(n)
	if r.digest != nil {
		r.digest.Write(p[:n])
	}
	switch {
	case r.pending == 0:
		r.err = r.end()
	case err != nil:
		r.err = broken(err)
	}
	return n, r.err
}

// begin reads the line that opens a chunk; if it is the last one, also all that
// follows, and then gives io.EOF.
func (r *Reader) begin() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	size, err := r.open(line)
	if err != nil {
		return err
	}
	if size > r.rest {
		return fmt.Errorf("%w: more than %d bytes", ErrSize, r.format.Size)
	}
	r.pending, r.rest = size, r.rest-size
	if size > 0 {
		return nil
	}
	if r.rest > 0 {
		return fmt.Errorf("%w: %d bytes are missing", ErrSize, r.rest)
	}
	if err := r.verifyChunk(); err != nil {
		return err
	}
	return r.finish()
}

// open takes the opening line of a chunk apart.
func (r *Reader) open(line []byte) (int64, error) {
	text, ended := bytes.CutSuffix(line, []byte("\r\n"))
	if !ended {
		return 0, fmt.Errorf("%w: the line of a chunk does not end in CRLF", ErrFraming)
	}
	digits, extension, extended := bytes.Cut(text, []byte(";"))
	if extended != r.format.Signed {
		return 0, fmt.Errorf("%w: a chunk has no signature, or has one that its mode forbids", ErrFraming)
	}
	if extended {
		signature, ok := bytes.CutPrefix(extension, []byte(chunkSignature))
		if !ok || len(signature) != signatureDigits {
			return 0, fmt.Errorf("%w: extension of a chunk", ErrFraming)
		}
		r.claimed = append(r.claimed[:0], signature...)
	}
	if len(digits) == 0 || len(digits) > maxSizeDigits || bytes.ContainsAny(digits, "+-_") {
		return 0, fmt.Errorf("%w: size of a chunk", ErrFraming)
	}
	size, err := strconv.ParseInt(string(digits), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: size of a chunk", ErrFraming)
	}
	return size, nil
}

// end reads what follows the bytes of a chunk and compares its signature.
func (r *Reader) end() error {
	var crlf [2]byte
	if _, err := io.ReadFull(r.source, crlf[:]); err != nil {
		return broken(err)
	}
	if string(crlf[:]) != "\r\n" {
		return fmt.Errorf("%w: no CRLF behind a chunk", ErrFraming)
	}
	return r.verifyChunk()
}

func (r *Reader) verifyChunk() error {
	if r.format.Signer == nil {
		return nil
	}
	wanted := r.format.Signer.Chunk(r.digest.Sum(nil))
	r.digest.Reset()
	return compare(wanted, r.claimed)
}

// finish reads what follows the line of the last chunk.
func (r *Reader) finish() error {
	if r.format.Trailing {
		if err := r.trailers(); err != nil {
			return err
		}
	} else if err := r.blank(); err != nil {
		return err
	}
	switch _, err := r.source.ReadByte(); err {
	case io.EOF:
		return io.EOF
	case nil:
		return fmt.Errorf("%w: bytes behind the end", ErrFraming)
	default:
		return err
	}
}

// trailers reads the trailers, the line with their signature, and the blank
// line that ends them.
func (r *Reader) trailers() error {
	signed := sha256.New()
	bare := false // the line before ended in LF alone
	for {
		line, err := r.line()
		if err != nil {
			return err
		}
		if bare && string(line) == "\r\n" {
			bare = false
			continue
		}
		if string(line) == "\r\n" {
			if r.format.Signed {
				return fmt.Errorf("%w: the trailers are not signed", ErrSignature)
			}
			return r.complete()
		}
		name, value, err := splitTrailer(line)
		if err != nil {
			return err
		}
		if name == trailerSignature && r.format.Signed {
			if r.format.Signer != nil {
				if err := compare(r.format.Signer.Trailer(signed.Sum(nil)), []byte(value)); err != nil {
					return err
				}
			}
			if err := r.blank(); err != nil {
				return err
			}
			return r.complete()
		}
		if _, twice := r.trailer[name]; twice || !slices.Contains(r.format.Declared, name) {
			return fmt.Errorf("%w: %q", ErrTrailer, name)
		}
		r.trailer[name] = value
		io.WriteString(signed, name+":"+value+"\n")
		bare = !bytes.HasSuffix(line, []byte("\r\n"))
	}
}

// complete says whether every declared trailer came.
func (r *Reader) complete() error {
	for _, name := range r.format.Declared {
		if _, ok := r.trailer[name]; !ok {
			return fmt.Errorf("%w: %q is missing", ErrTrailer, name)
		}
	}
	return nil
}

func splitTrailer(line []byte) (name, value string, err error) {
	before, after, ok := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), ":")
	name, value = strings.ToLower(before), strings.TrimLeft(after, " \t")
	if !ok || name == "" || strings.ContainsAny(name, " \t\r") || strings.ContainsAny(value, "\r\x00") {
		return "", "", fmt.Errorf("%w: line of a trailer", ErrFraming)
	}
	return name, value, nil
}

func (r *Reader) blank() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if string(line) != "\r\n" {
		return fmt.Errorf("%w: no blank line at the end", ErrFraming)
	}
	return nil
}

// line gives the next line with its end; it is good until the next read.
func (r *Reader) line() ([]byte, error) {
	line, err := r.source.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a line is too long", ErrFraming)
	}
	if err != nil {
		return nil, broken(err)
	}
	return line, nil
}

// broken tells a body that ends too early from a source that fails.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it breaks off", ErrSize)
	}
	return err
}

func compare(wanted string, claimed []byte) error {
	if subtle.ConstantTimeCompare([]byte(wanted), claimed) != 1 {
		return ErrSignature
	}
	return nil
}
