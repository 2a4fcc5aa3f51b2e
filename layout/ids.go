package layout

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Position is the place of an entry in a set's log, counted from 1. Zero means
// "none" or "before the first entry". Order in time is order of positions; no
// clock decides anything.
type Position uint64

// MaxPosition reads everything that a drive holds, settled or not.
const MaxPosition = ^Position(0)

// BucketID names a bucket for ever: it is the position of the entry that
// created it, so an id is never used twice.
type BucketID uint64

// DeploymentID is drawn at random when a store is formatted and stands in
// everything that belongs to it.
type DeploymentID [16]byte

// DriveID is drawn at random when a drive is formatted. A drive keeps it
// wherever its directory is moved to.
type DriveID [8]byte

// Owner names one opening of a set: its epoch, and a random nonce that tells
// two openers apart that came to the same epoch.
type Owner struct {
	Epoch uint64
	Nonce uint64
}

// Promise is what a drive has bound itself to: it obeys the calls that carry
// exactly this promise. Session is drawn anew whenever the owner begins with
// the drive, so that a call sent before then is refused when it comes late.
type Promise struct {
	Owner
	Session uint64
}

// DataID names the bytes of one write: whoever wrote them and a counter of
// theirs. The same object written again has other bytes and another id.
type DataID struct {
	Owner
	Counter uint64
}

// UploadID names a multipart upload by the epoch and the position of the entry
// that began it.
type UploadID struct {
	Epoch    uint64
	Position Position
}

// DataIDBytes and UploadIDBytes are the widths of the binary forms.
const (
	DataIDBytes   = 24
	UploadIDBytes = 16
)

// Bytes is the big-endian form: epoch, nonce, counter.
func (d DataID) Bytes() (b [DataIDBytes]byte) {
	binary.BigEndian.PutUint64(b[0:], d.Epoch)
	binary.BigEndian.PutUint64(b[8:], d.Nonce)
	binary.BigEndian.PutUint64(b[16:], d.Counter)
	return b
}

// DataIDFrom is the inverse of Bytes.
func DataIDFrom(b [DataIDBytes]byte) DataID {
	return DataID{
		Owner:   Owner{Epoch: binary.BigEndian.Uint64(b[0:]), Nonce: binary.BigEndian.Uint64(b[8:])},
		Counter: binary.BigEndian.Uint64(b[16:]),
	}
}

// IsZero tells the id that names nothing.
func (d DataID) IsZero() bool { return d == DataID{} }

// String is the id in 48 hex digits, which is also the name of its shard file.
func (d DataID) String() string {
	b := d.Bytes()
	return hex.EncodeToString(b[:])
}

// Bytes is the big-endian form: epoch, position.
func (u UploadID) Bytes() (b [UploadIDBytes]byte) {
	binary.BigEndian.PutUint64(b[0:], u.Epoch)
	binary.BigEndian.PutUint64(b[8:], uint64(u.Position))
	return b
}

// UploadIDFrom is the inverse of Bytes.
func UploadIDFrom(b [UploadIDBytes]byte) UploadID {
	return UploadID{Epoch: binary.BigEndian.Uint64(b[0:]), Position: Position(binary.BigEndian.Uint64(b[8:]))}
}

// IsZero tells the id that names no upload.
func (u UploadID) IsZero() bool { return u == UploadID{} }

// String is the id in 32 hex digits, the form that clients are given.
func (u UploadID) String() string {
	b := u.Bytes()
	return hex.EncodeToString(b[:])
}

// ParseUploadID reads the form that String writes. Anything else is an error.
func ParseUploadID(s string) (UploadID, error) {
	var b [UploadIDBytes]byte
	if len(s) != 2*UploadIDBytes {
		return UploadID{}, fmt.Errorf("upload id has %d characters, want %d", len(s), 2*UploadIDBytes)
	}
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return UploadID{}, fmt.Errorf("upload id: %w", err)
	}
	return UploadIDFrom(b), nil
}

// String is the id in hex.
func (d DeploymentID) String() string { return hex.EncodeToString(d[:]) }

// String is the id in hex.
func (d DriveID) String() string { return hex.EncodeToString(d[:]) }

// IsZero tells the id that names no drive.
func (d DriveID) IsZero() bool { return d == DriveID{} }

// String is "epoch.nonce", for logs.
func (o Owner) String() string { return fmt.Sprintf("%d.%016x", o.Epoch, o.Nonce) }
