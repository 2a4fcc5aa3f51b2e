// Package checksum holds the checksums that S3 knows beside the ETag: their
// algorithms, their values as clients see them, and how the checksums of parts
// become that of the object.
//
// A multipart object has one of two kinds of checksum ([Type]). FullObject is
// that of all its bytes; only a CRC can be had so from the checksums and sizes
// of the parts, without reading a byte again. Composite is the checksum of the
// parts' checksums, written with the number of parts behind it. An object that
// was put in one piece has a FullObject checksum under every algorithm.
//
// The set of algorithms is closed: a number or a name that is not known is
// refused. Values are big endian, and base64 with padding as text.
//
// All functions may be called concurrently; a hash from [Algorithm.New] belongs
// to one caller at a time. Nothing here compares in constant time: checksums are
// no secrets.
//
// The rules are those of Amazon S3, user guide: "Checking object integrity in
// Amazon S3", and API reference: CompleteMultipartUpload, Checksum.
package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"
)

// ErrAlgorithm says that an algorithm is not known, or cannot do what is asked.
var ErrAlgorithm = errors.New("checksum algorithm not supported")

// Algorithm is a checksum algorithm. The numbers are stable and never used
// again: they are stored.
type Algorithm uint8

// The algorithms.
const (
	// None: no checksum.
	None Algorithm = 0
	// CRC32 is the one of IEEE 802.3; 4 bytes.
	CRC32 Algorithm = 1
	// CRC32C has Castagnoli's polynomial; 4 bytes.
	CRC32C Algorithm = 2
	// CRC64NVME has the polynomial of the NVM Express specification; 8 bytes.
	CRC64NVME Algorithm = 3
	// SHA1 is 20 bytes.
	SHA1 Algorithm = 4
	// SHA256 is 32 bytes.
	SHA256 Algorithm = 5
	// SHA512 is 64 bytes.
	SHA512 Algorithm = 6
	// MD5 is 16 bytes; the ETag is another matter.
	MD5 Algorithm = 7
	// XXHASH64 is XXH64 with seed 0; 8 bytes.
	XXHASH64 Algorithm = 8
	// XXHASH3 is XXH3 of 64 bits with seed 0; 8 bytes.
	XXHASH3 Algorithm = 9
	// XXHASH128 is XXH3 of 128 bits with seed 0; 16 bytes.
	XXHASH128 Algorithm = 10

	last = XXHASH128
)

// nvmePolynomial is reflected (NVM Express, NVM Command Set Specification, 64b
// CRC).
const nvmePolynomial = 0x9a6c9329ac4bc9b5

var castagnoliTable = crc32.MakeTable(crc32.Castagnoli)

// Algorithms gives all algorithms, None not among them, in the order of their
// numbers.
func Algorithms() []Algorithm {
	return []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128}
}

// ParseAlgorithm reads a name as S3 spells it, that of the constant. Anything
// else, the empty string too, is [ErrAlgorithm].
func ParseAlgorithm(name string) (Algorithm, error) {
	for a := CRC32; a <= last; a++ {
		if name == a.String() {
			return a, nil
		}
	}
	return None, fmt.Errorf("%w: %q", ErrAlgorithm, name)
}

// String gives the name that [ParseAlgorithm] reads, the empty string for None,
// and "Algorithm(n)" for a number that is not known.
func (a Algorithm) String() string {
	switch a {
	case None:
		return ""
	case CRC32:
		return "CRC32"
	case CRC32C:
		return "CRC32C"
	case CRC64NVME:
		return "CRC64NVME"
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA256"
	case SHA512:
		return "SHA512"
	case MD5:
		return "MD5"
	case XXHASH64:
		return "XXHASH64"
	case XXHASH3:
		return "XXHASH3"
	case XXHASH128:
		return "XXHASH128"
	default:
		return fmt.Sprintf("Algorithm(%d)", uint8(a))
	}
}

// Validate gives [ErrAlgorithm] for None and for a number that is not known.
func (a Algorithm) Validate() error {
	if a == None || a > last {
		return fmt.Errorf("%w: number %d", ErrAlgorithm, uint8(a))
	}
	return nil
}

// Size is the length of a value in bytes; 0 for None and for a number that is
// not known.
func (a Algorithm) Size() int {
	switch a {
	case CRC32, CRC32C:
		return crc32.Size
	case CRC64NVME:
		return crc64nvme.Size
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	case SHA512:
		return sha512.Size
	case MD5, XXHASH128:
		return 16
	case XXHASH64, XXHASH3:
		return 8
	default:
		return 0
	}
}

// New gives a hash that computes values of [Algorithm.Size] bytes, big endian,
// or [ErrAlgorithm].
func (a Algorithm) New() (hash.Hash, error) {
	switch a {
	case CRC32:
		return crc32.NewIEEE(), nil
	case CRC32C:
		return crc32.New(castagnoliTable), nil
	case CRC64NVME:
		return crc64nvme.New(), nil
	case SHA1:
		return sha1.New(), nil
	case SHA256:
		return sha256.New(), nil
	case SHA512:
		return sha512.New(), nil
	case MD5:
		return md5.New(), nil
	case XXHASH64:
		return xxhash.New(), nil
	case XXHASH3:
		return xxh3.New(), nil
	case XXHASH128:
		return xxh3.New128(), nil
	default:
		return nil, a.Validate()
	}
}

// Combines says whether a multipart object can have a checksum of this type:
// CRC32 and CRC32C both, CRC64NVME only FullObject, the others only Composite.
func (a Algorithm) Combines(t Type) bool {
	switch a {
	case CRC32, CRC32C:
		return t == FullObject || t == Composite
	case CRC64NVME:
		return t == FullObject
	default:
		return t == Composite && a.Validate() == nil
	}
}

// DefaultType is the type that a multipart object gets if the client names
// none: FullObject for CRC64NVME, Composite for the others, and 0 for None and
// for a number that is not known.
func (a Algorithm) DefaultType() Type {
	switch {
	case a == CRC64NVME:
		return FullObject
	case a.Validate() == nil:
		return Composite
	default:
		return 0
	}
}
