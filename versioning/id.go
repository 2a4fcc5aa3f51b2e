package versioning

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// MaxIDBytes is the length of the longest version id that is accepted, in bytes
// (S3, user guide, "Version IDs").
const MaxIDBytes = 1024

// ErrID says that a text is no version id: empty, or longer than [MaxIDBytes].
var ErrID = errors.New("invalid version id")

const (
	nullText = "null"
	ownBytes = 32 // hex digits of two 64-bit numbers
)

// IDKind says what a version id looks like.
type IDKind uint8

// The kinds of version id. The zero kind is that of the zero ID: no version was
// named.
const (
	// NoID: no version is named.
	NoID IDKind = 0
	// OwnID: an id of the form that this store gives.
	OwnID IDKind = 1
	// NullID: the null version.
	NullID IDKind = 2
	// ForeignID: any other text, the id of a version that came from elsewhere.
	ForeignID IDKind = 3
)

// ID is a version id, told apart by its form. Its text is unique: two IDs are
// equal (==) if and only if their texts are.
//
// An id that this store gives is 32 lower-case hexadecimal digits: the epoch of
// the log entry that wrote the version, then its position, both 64-bit and big
// endian, the position not 0. Other stores give ids of the same form, so one
// that names no version here may still be that of a version from elsewhere.
type ID struct {
	Kind            IDKind
	Epoch, Position uint64 // of an OwnID; otherwise 0
	Foreign         string // the text of a ForeignID; otherwise empty
}

// FormatID gives the text of the id of the version that the entry (epoch,
// position) wrote: 32 hexadecimal digits.
func FormatID(epoch, position uint64) string {
	var number [ownBytes / 2]byte
	binary.BigEndian.PutUint64(number[:8], epoch)
	binary.BigEndian.PutUint64(number[8:], position)
	var text [ownBytes]byte
	hex.Encode(text[:], number[:])
	return string(text[:])
}

// ParseID tells what a version id is. "null" is the null version; 32 lower-case
// hexadecimal digits with a position other than 0 are an [OwnID]; any other
// text of 1 to [MaxIDBytes] bytes is a [ForeignID]; the rest is [ErrID].
func ParseID(text string) (ID, error) {
	switch {
	case text == "":
		return ID{}, fmt.Errorf("%w: empty", ErrID)
	case len(text) > MaxIDBytes:
		return ID{}, fmt.Errorf("%w: %d bytes, at most %d", ErrID, len(text), MaxIDBytes)
	case text == nullText:
		return ID{Kind: NullID}, nil
	}
	if epoch, position, ok := parseOwn(text); ok {
		return ID{Kind: OwnID, Epoch: epoch, Position: position}, nil
	}
	return ID{Kind: ForeignID, Foreign: text}, nil
}

// String gives the text that [ParseID] reads; the empty string for the zero ID.
func (id ID) String() string {
	switch id.Kind {
	case OwnID:
		return FormatID(id.Epoch, id.Position)
	case NullID:
		return nullText
	default:
		return id.Foreign
	}
}

func parseOwn(text string) (epoch, position uint64, ok bool) {
	if len(text) != ownBytes {
		return 0, 0, false
	}
	var number [2]uint64
	for i := range len(text) {
		digit, ok := hexDigit(text[i])
		if !ok {
			return 0, 0, false
		}
		half := &number[i/16]
		*half = *half<<4 | digit
	}
	return number[0], number[1], number[1] != 0
}

func hexDigit(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10, true
	default:
		return 0, false
	}
}
