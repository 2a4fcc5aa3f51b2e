// Package seal encrypts a stream of bytes so that any range of it can be read, and
// none can be changed, cut off or put elsewhere unseen.
//
// The bytes are cut into packages of 64 KiB, the last one shorter. Each is sealed by
// itself with AES-256-GCM: its nonce is its number and whether it is the last, so
// that packages that were exchanged, left out, repeated, or cut off at a border do
// not open. A stream without bytes has no package. The key of a stream is derived
// from one that belongs to an object and a salt that belongs to the write; no nonce
// is ever used twice under it. docs/FORMAT.md, "Encryption", has every byte.
//
// What it does not: it keeps no key, draws no salt, and hides no length.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Sizes, in bytes.
const (
	KeyBytes     = 32
	SaltBytes    = 16
	CheckBytes   = 16
	PackageBytes = 64 << 10 // of the plain stream
	TagBytes     = 16       // that each package grows by

	sealedBytes   = PackageBytes + TagBytes
	maxEmptyReads = 100 // in a row, with neither bytes nor an error
)

// What is derived from a key is derived for one purpose.
const (
	forPackages = "sherd package v1"
	forCheck    = "sherd key v1"
)

// ErrOpen says that a package is not the one that was sealed.
var ErrOpen = errors.New("an encrypted package does not verify")

// Key is the key of an object with the salt of a write.
type Key struct {
	Of   [KeyBytes]byte
	Salt [SaltBytes]byte
}

// Check is by what the key is known again: it tells nothing of it.
func (k *Key) Check() (out [CheckBytes]byte, err error) {
	derived, err := hkdf.Key(sha256.New, k.Of[:], k.Salt[:], forCheck, CheckBytes)
	copy(out[:], derived)
	return out, err
}

// Is says whether the key is the one of a check.
func (k *Key) Is(check [CheckBytes]byte) (bool, error) {
	have, err := k.Check()
	return subtle.ConstantTimeCompare(have[:], check[:]) == 1, err
}

func (k *Key) aead() (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.Of[:], k.Salt[:], forPackages, KeyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// nonce of a package.
func nonce(number int64, last bool) (n [12]byte) {
	binary.BigEndian.PutUint64(n[3:], uint64(number))
	if last {
		n[11] = 1
	}
	return n
}

// packages is how many a stream of so many bytes has.
func packages(size int64) int64 { return (size + PackageBytes - 1) / PackageBytes }

// Size is how long a stream of so many bytes is once it is sealed; −1 for −1,
// a size that is not known.
func Size(plain int64) int64 {
	if plain < 0 {
		return plain
	}
	return plain + packages(plain)*TagBytes
}

// Span gives the range of the sealed stream that holds a range of the plain one,
// which lies within size: whole packages.
func Span(size, off, n int64) (from, bytes int64) {
	if n == 0 {
		return 0, 0
	}
	from = off / PackageBytes * sealedBytes
	return from, min(packages(off+n)*sealedBytes, Size(size)) - from
}

// Sealer reads the sealed form of a stream. Not safe for concurrent use.
type Sealer struct {
	from io.Reader
	aead cipher.AEAD
	size int64  // that the stream is said to have, −1 not known; only buf depends on it
	next int64  // number of the package to seal
	buf  []byte // a package and what it grows by
	out  []byte // what is left of the package that was sealed last, in buf
	over byte   // the first byte behind it
	more bool   // over is one
	err  error  // sticky: of the stream, given once out is empty
}

// NewSealer seals what it reads from a stream. size is what that is said to have, −1
// where it is not known: a small one takes a small buffer.
func NewSealer(from io.Reader, size int64, key *Key) (*Sealer, error) {
	aead, err := key.aead()
	return &Sealer{from: from, size: size, aead: aead}, err
}

// Read gives sealed bytes. An error of the stream is given as it is, and before
// the package that it cut short.
func (s *Sealer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.out) == 0 && s.err == nil {
		s.seal()
	}
	if len(s.out) == 0 {
		return 0, s.err
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// seal makes the next package. One byte more is read, as the last must say so.
func (s *Sealer) seal() {
	if s.buf == nil && s.size >= 0 && s.size < PackageBytes {
		s.buf = make([]byte, s.size+TagBytes)
	} else if s.buf == nil {
		s.buf = make([]byte, sealedBytes)
	}
	plain := s.buf[:len(s.buf)-TagBytes+1]
	n := 0
	if s.more {
		plain[0], n = s.over, 1
	}
	read, err := s.fill(plain[n:])
	if n += read; err == nil && len(s.buf) < sealedBytes { // it has more than was said
		s.buf = append(plain, make([]byte, sealedBytes-len(plain))...)
		plain = s.buf[:PackageBytes+1]
		read, err = s.fill(plain[n:])
		n += read
	}
	last := err == io.EOF
	if s.err = err; err != nil && !last || n == 0 {
		return
	}
	s.more = !last
	if s.more {
		n = PackageBytes
		s.over = plain[PackageBytes]
	}
	number := nonce(s.next, last)
	s.out = s.aead.Seal(plain[:0], number[:], plain[:n], nil)
	s.next++
}

// fill reads until p is full or the stream ends, which is io.EOF and nothing else: an
// io.ErrUnexpectedEOF is a stream that was cut off, and never the end of one.
func (s *Sealer) fill(p []byte) (n int, err error) {
	for empty := 0; n < len(p) && err == nil; {
		var m int
		m, err = s.from.Read(p[n:])
		if n += m; m > 0 {
			empty = 0
		} else if empty++; empty > maxEmptyReads && err == nil {
			err = io.ErrNoProgress
		}
	}
	if n == len(p) && err == io.EOF {
		err = nil // the next read says it again
	}
	return n, err
}

// Opener reads a range of a plain stream from its sealed form. Not safe for
// concurrent use.
type Opener struct {
	from io.Reader
	aead cipher.AEAD
	size int64 // of the whole plain stream
	next int64 // number of the package to open
	skip int   // bytes of it before the range
	left int64 // bytes of the range that are not opened yet
	buf  []byte
	out  []byte // what is open, in buf
	err  error  // sticky
}

// NewOpener opens n bytes from off on of a stream of size bytes; from gives its
// sealed form from where Span says.
func NewOpener(from io.Reader, key *Key, size, off, n int64) (*Opener, error) {
	if off < 0 || n < 0 || off > size || n > size-off {
		return nil, fmt.Errorf("range of %d bytes from %d outside of %d", n, off, size)
	}
	aead, err := key.aead()
	return &Opener{from: from, aead: aead, size: size, next: off / PackageBytes, skip: int(off % PackageBytes), left: n}, err
}

// Read gives bytes that were verified, and io.EOF at the end of the range. ErrOpen,
// and errors of the sealed stream, are sticky.
func (o *Opener) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := o.more(); err != nil {
		return 0, err
	}
	n := copy(p, o.out)
	o.out = o.out[n:]
	return n, nil
}

// WriteTo writes the rest of the range, package by package, without a copy.
func (o *Opener) WriteTo(w io.Writer) (written int64, err error) {
	for {
		err := o.more()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(o.out)
		written += int64(n)
		o.out = o.out[n:]
		if err == nil && len(o.out) > 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
	}
}

// more makes sure that a byte can be given out; io.EOF at the end.
func (o *Opener) more() error {
	switch {
	case len(o.out) > 0:
		return nil
	case o.err == nil && o.left == 0:
		o.err = io.EOF
	case o.err == nil:
		o.err = o.open()
	}
	if len(o.out) > 0 {
		return nil
	}
	return o.err
}

func (o *Opener) open() error {
	begin := o.next * PackageBytes
	plain := min(PackageBytes, o.size-begin)
	if o.buf == nil {
		o.buf = make([]byte, min(PackageBytes, o.size-begin)+TagBytes)
	}
	sealed := o.buf[:plain+TagBytes]
	if _, err := io.ReadFull(o.from, sealed); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("%w: package %d is not all there", ErrOpen, o.next)
		}
		return err
	}
	number := nonce(o.next, begin+plain == o.size)
	out, err := o.aead.Open(sealed[:0], number[:], sealed, nil)
	if err != nil {
		return fmt.Errorf("%w: package %d", ErrOpen, o.next)
	}
	out = out[o.skip:min(int64(len(out)), int64(o.skip)+o.left)]
	o.out, o.skip, o.left = out, 0, o.left-int64(len(out))
	o.next++
	return nil
}
