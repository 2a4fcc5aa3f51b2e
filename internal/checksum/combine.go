package checksum

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"iter"
)

// Part is one part of a multipart object, in the order of the object's bytes.
type Part struct {
	Value []byte // the part's own checksum, Algorithm.Size bytes
	Size  int64  // of the part, in bytes; 0 or more
}

// Combine makes the checksum of a multipart object from those of its parts, 1 to
// [MaxParts], without their bytes. It gives [ErrAlgorithm], [ErrType] if the
// algorithm has no such type, or [ErrSum] for parts that cannot be.
//
// The sizes are needed for FullObject; for Composite they don't matter.
func Combine(algorithm Algorithm, t Type, parts iter.Seq[Part]) (Sum, error) {
	if err := algorithm.Validate(); err != nil {
		return Sum{}, err
	}
	if !algorithm.Combines(t) {
		return Sum{}, fmt.Errorf("%w: %v of %v for several parts", ErrType, t, algorithm)
	}
	combiner, err := newCombiner(algorithm, t)
	if err != nil {
		return Sum{}, err
	}
	count := 0
	for part := range parts {
		count++
		if count > MaxParts {
			return Sum{}, fmt.Errorf("%w: more than %d parts", ErrSum, MaxParts)
		}
		if len(part.Value) != algorithm.Size() || part.Size < 0 {
			return Sum{}, fmt.Errorf("%w: part %d of the list has a value of %d bytes and a size of %d",
				ErrSum, count, len(part.Value), part.Size)
		}
		combiner.add(part)
	}
	if count == 0 {
		return Sum{}, fmt.Errorf("%w: no parts", ErrSum)
	}
	sum := Sum{Algorithm: algorithm, Type: t, Value: combiner.value()}
	if t == Composite {
		sum.Parts = count
	}
	return sum, nil
}

// combiner takes parts that were checked.
type combiner interface {
	add(Part)
	value() []byte
}

func newCombiner(algorithm Algorithm, t Type) (combiner, error) {
	if t == FullObject {
		return newCRC(algorithm), nil
	}
	h, err := algorithm.New()
	return digests{h}, err
}

// digests hashes the values of the parts, one behind the other.
type digests struct{ hash hash.Hash }

func (d digests) add(part Part) { d.hash.Write(part.Value) }
func (d digests) value() []byte { return d.hash.Sum(nil) }

// crc is the CRC of what was added so far.
//
// A CRC is the remainder of a polynomial over GF(2). Bytes behind a message
// multiply it by x to the power of their bits, so
//
//	crc(a‖b) = crc(a)·x^(8·|b|) + crc(b)  (mod P)
//
// The inversions before and after, which all three algorithms have, cancel out.
// (Mark Adler, zlib, crc32_combine.) Polynomials are reflected: the highest bit
// of the width is the coefficient of x^0.
type crc struct {
	polynomial uint64 // without its highest term
	one        uint64 // the polynomial 1, the highest bit of the width
	sum        uint64
	size       int64    // of the part added last
	shift      uint64   // x^(8·size) mod P; parts of one size are the rule
	squares    []uint64 // x^(8·2^i) mod P, as far as they were needed
}

func newCRC(algorithm Algorithm) *crc {
	c := &crc{one: 1 << 31}
	switch algorithm {
	case CRC32:
		c.polynomial = crc32.IEEE
	case CRC32C:
		c.polynomial = crc32.Castagnoli
	case CRC64NVME:
		c.polynomial, c.one = nvmePolynomial, 1<<63
	}
	c.shift, c.squares = c.one, []uint64{c.one >> 8} // 1 and x^8
	return c
}

func (c *crc) add(part Part) {
	if part.Size != c.size {
		c.size, c.shift = part.Size, c.power(part.Size)
	}
	var value uint64
	for _, b := range part.Value {
		value = value<<8 | uint64(b)
	}
	c.sum = c.multiply(c.sum, c.shift) ^ value
}

func (c *crc) value() []byte {
	if c.one == 1<<63 {
		return binary.BigEndian.AppendUint64(nil, c.sum)
	}
	return binary.BigEndian.AppendUint32(nil, uint32(c.sum))
}

// power is x^(8·size) mod P, by squaring.
func (c *crc) power(size int64) uint64 {
	result := c.one
	for i := 0; size>>i > 0; i++ {
		if i == len(c.squares) {
			c.squares = append(c.squares, c.multiply(c.squares[i-1], c.squares[i-1]))
		}
		if size>>i&1 != 0 {
			result = c.multiply(result, c.squares[i])
		}
	}
	return result
}

// multiply is a·b mod P: for each power of x in a, from x^0 on, b times it.
func (c *crc) multiply(a, b uint64) uint64 {
	var product uint64
	for bit := c.one; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		b = b>>1 ^ c.polynomial&-(b&1)
	}
	return product
}
