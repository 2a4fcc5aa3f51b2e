package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// ComparerName is in every index. Another order of keys needs another name.
const ComparerName = "sherd.index.v1"

// The lengths of suffixes, which end in a byte that says the length.
const (
	// PositionSuffix is ^position and the length byte.
	PositionSuffix = 9
	// VersionSuffix is ^version, ^position and the length byte.
	VersionSuffix = 17
)

// AppendEscaped appends s so that it ends itself and keeps its order: 0x00 as
// 0x00 0xFF, and 0x00 0x00 at the end.
func AppendEscaped(dst []byte, s string) []byte {
	return append(AppendOpen(dst, s), 0, 0)
}

// AppendOpen is AppendEscaped without the end: what is common to all strings
// that begin with s.
func AppendOpen(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		dst = append(dst, 0, 0xFF)
		s = s[i+1:]
	}
}

// EscapedLen is how many leading bytes of b are one escaped string, its end
// included; 0 when there is none.
func EscapedLen(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], 0)
		if i < 0 || at+i+1 >= len(b) {
			return 0
		}
		switch b[at+i+1] {
		case 0x00:
			return at + i + 2
		case 0xFF:
			at += i + 2
		default:
			return 0
		}
	}
}

// Unescape reads the escaped string that b begins with and gives what follows.
func Unescape(b []byte) (s string, rest []byte, ok bool) {
	n := EscapedLen(b)
	if n == 0 {
		return "", b, false
	}
	body := b[:n-2]
	if bytes.IndexByte(body, 0) >= 0 {
		body = bytes.ReplaceAll(body, []byte{0, 0xFF}, []byte{0})
	}
	return string(body), b[n:], true
}

// Split is the length of a key's prefix: what is before the suffix whose length
// the last byte says. A key that does not end in the length of a suffix is all
// prefix.
func Split(key []byte) int {
	n := len(key)
	if n == 0 {
		return 0
	}
	if suffix := int(key[n-1]); (suffix == PositionSuffix || suffix == VersionSuffix) && suffix <= n {
		return n - suffix
	}
	return n
}

// Compare orders keys by the bytes of their prefixes, then of their suffixes.
func Compare(a, b []byte) int {
	an, bn := Split(a), Split(b)
	if c := bytes.Compare(a[:an], b[:bn]); c != 0 {
		return c
	}
	return bytes.Compare(a[an:], b[bn:])
}

// Comparer is the order of the index. Prefixes end in 0x00, so they split into
// themselves; removing leading bytes of one leaves another, as Pebble asks.
func Comparer() *pebble.Comparer {
	return &pebble.Comparer{
		Name:    ComparerName,
		Split:   Split,
		Compare: Compare,
		Equal:   bytes.Equal,
		AbbreviatedKey: func(key []byte) uint64 {
			var b [8]byte
			copy(b[:], key[:Split(key)])
			return binary.BigEndian.Uint64(b[:])
		},
		Separator:            func(dst, a, _ []byte) []byte { return append(dst, a...) },
		Successor:            func(dst, a []byte) []byte { return append(dst, a...) },
		ImmediateSuccessor:   func(dst, a []byte) []byte { return append(append(dst, a...), 0) },
		CompareRangeSuffixes: bytes.Compare,
		ComparePointSuffixes: bytes.Compare,
		FormatKey:            func(key []byte) fmt.Formatter { return formatted(key) },
	}
}

type formatted []byte

// Format prints a key for people.
func (k formatted) Format(s fmt.State, _ rune) {
	n := Split(k)
	fmt.Fprintf(s, "%q·%x", []byte(k[:n]), []byte(k[n:]))
}
