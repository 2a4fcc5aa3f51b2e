package checksum

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxParts is the most parts that a multipart upload can have.
const MaxParts = 10_000

var (
	// ErrType says that a checksum type is not known, or that the algorithm
	// does not go with it.
	ErrType = errors.New("checksum type not supported")
	// ErrSum says that a value is none of its algorithm's: not base64, of
	// another length, or with a number of parts that cannot be.
	ErrSum = errors.New("invalid checksum")
)

// Type says what a checksum was computed over. The numbers are stable: they are
// stored. 0 is none of them.
type Type uint8

// The types.
const (
	// FullObject: over all bytes of the object.
	FullObject Type = 1
	// Composite: over the checksums of its parts.
	Composite Type = 2
)

// ParseType reads "FULL_OBJECT" or "COMPOSITE", as S3 spells them. Anything else,
// the empty string too, is [ErrType].
func ParseType(name string) (Type, error) {
	switch name {
	case "FULL_OBJECT":
		return FullObject, nil
	case "COMPOSITE":
		return Composite, nil
	default:
		return 0, fmt.Errorf("%w: %q", ErrType, name)
	}
}

// String gives the name that [ParseType] reads, and "Type(n)" for a number that
// is not known.
func (t Type) String() string {
	switch t {
	case FullObject:
		return "FULL_OBJECT"
	case Composite:
		return "COMPOSITE"
	default:
		return fmt.Sprintf("Type(%d)", uint8(t))
	}
}

// Sum is the checksum of an object or a part. The zero Sum is none.
type Sum struct {
	Algorithm Algorithm
	Type      Type
	Parts     int    // of a Composite, 1 to MaxParts; otherwise 0
	Value     []byte // Algorithm.Size bytes, big endian
}

// ParseSum reads a checksum as the headers x-amz-checksum-* bear it: the value in
// base64, and of a Composite the number of parts behind a hyphen. It gives
// [ErrAlgorithm], [ErrType] or [ErrSum].
func ParseSum(algorithm Algorithm, text string) (Sum, error) {
	if err := algorithm.Validate(); err != nil {
		return Sum{}, err
	}
	sum := Sum{Algorithm: algorithm, Type: FullObject}
	value, parts, composite := strings.Cut(text, "-") // base64 has no hyphen
	if composite {
		n, err := strconv.Atoi(parts)
		if err != nil || strconv.Itoa(n) != parts {
			return Sum{}, fmt.Errorf("%w: number of parts", ErrSum)
		}
		sum.Type, sum.Parts = Composite, n
	}
	if length := base64.StdEncoding.EncodedLen(algorithm.Size()); len(value) != length {
		return Sum{}, fmt.Errorf("%w: %d characters, %v has %d", ErrSum, len(value), algorithm, length)
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil {
		return Sum{}, fmt.Errorf("%w: %w", ErrSum, err)
	}
	sum.Value = decoded
	if err := sum.Validate(); err != nil {
		return Sum{}, err
	}
	return sum, nil
}

// Validate gives [ErrAlgorithm], [ErrType] or [ErrSum] for a sum that cannot be;
// the zero Sum is one of these.
func (s Sum) Validate() error {
	if err := s.Algorithm.Validate(); err != nil {
		return err
	}
	if len(s.Value) != s.Algorithm.Size() {
		return fmt.Errorf("%w: %d bytes, %v has %d", ErrSum, len(s.Value), s.Algorithm, s.Algorithm.Size())
	}
	switch {
	case s.Type == FullObject && s.Parts == 0:
		return nil
	case s.Type == Composite && !s.Algorithm.Combines(Composite):
		return fmt.Errorf("%w: %v of %v", ErrType, s.Type, s.Algorithm)
	case s.Type == Composite && 1 <= s.Parts && s.Parts <= MaxParts:
		return nil
	case s.Type == FullObject || s.Type == Composite:
		return fmt.Errorf("%w: %v with %d parts", ErrSum, s.Type, s.Parts)
	default:
		return fmt.Errorf("%w: number %d", ErrType, uint8(s.Type))
	}
}

// String gives the text that [ParseSum] reads; the empty string for the zero Sum.
func (s Sum) String() string {
	text := base64.StdEncoding.EncodeToString(s.Value)
	if s.Type == Composite {
		text += "-" + strconv.Itoa(s.Parts)
	}
	return text
}

// Equal says whether both are the same in every field.
func (s Sum) Equal(other Sum) bool {
	return s.Algorithm == other.Algorithm && s.Type == other.Type &&
		s.Parts == other.Parts && bytes.Equal(s.Value, other.Value)
}
