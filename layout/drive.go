// Package layout is what is on a drive, and the drive itself: the formats of
// docs/FORMAT.md and their codecs, the claim on a directory, the index, and the
// shard files.
//
// # What it guarantees
//
// A batch that Apply acknowledges is synced, whole or not at all. A drive obeys one
// promise at a time. At the first failed sync, or failed write other than for
// space, the drive takes no further change until it is opened again: nothing after
// such a failure is believed. What is damaged or undone goes to quarantine. A
// directory that is not a drive, or is one of a format that is not known, is
// refused and left as it is.
//
// # What it does not
//
// A drive knows nothing of the other drives of its set, of versions, or of what a
// record means beyond where its bytes are. It does not rebuild anything.
//
// All methods of Drive and Shards may be called at the same time; Reader and Cursor
// are for one goroutine each.
package layout

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// Drive is one drive of a set. Implementations hold to layout/drivetest.
//
// A drive obeys one promise at a time. Every call that changes something
// carries the promise of its caller and fails with ErrPromised when the drive
// has given another; check and change are one step, in the order of arrival.
// All methods may be called at the same time by several goroutines; Apply,
// Promise and Remove exclude each other inside. A context ends the wait for a
// turn, never a change that has begun.
//
// An error of Apply that is ErrBroken means: nothing is known of what was
// written, the drive takes no further change until it is opened again, its
// shard files stay readable. ErrNoSpace from Apply means: nothing was written.
type Drive interface {
	// Identity never changes while a drive is open.
	Identity() Identity
	// Holding tells what the drive holds, without a promise.
	Holding(ctx context.Context) (Holding, error)
	// Promise makes p durable, if its (epoch) is greater than the one that the
	// drive holds or its owner is the same, and then tells what the drive
	// holds. Otherwise ErrPromised.
	Promise(ctx context.Context, p Promise) (Holding, error)
	// Apply makes a batch durable, whole or not at all.
	Apply(ctx context.Context, p Promise, b Batch) error
	// Log reads up to limit entries from a position on, without the contents of
	// records and shards.
	Log(ctx context.Context, from Position, limit int) ([]Entry, error)
	// Read opens a reader of the index. It stays readable after Close of the
	// drive only as an error, ErrClosed.
	Read(ctx context.Context) (Reader, error)
	// Remove removes what stable entries have shadowed, a bounded step at a time.
	Remove(ctx context.Context, p Promise, r Removal) (Removed, error)
	// Shards are the drive's shard files.
	Shards() Shards
	// Probe checks that the drive is still where it was, and measures its space.
	Probe(ctx context.Context) (Usage, error)
	// Close ends the drive, in bounded time. Readers that are open are ended
	// with it. An error says that something could not be ended. The lock stays
	// with the Claimed that the drive was opened from.
	Close() error
}

// Identity is who a drive is, as its format.json says.
type Identity struct {
	Format     int
	Deployment DeploymentID
	Pool       int
	Set        int
	Slot       int
	Drives     int // N of the set
	Drive      DriveID
}

// Inspector is a drive whose index can be read whole. Drives of this package are.
type Inspector interface {
	// Inspect reads every block and every key of the index, of whatever age, and
	// reports what does not hold its checksum (ErrCorruptIndex) or can not be
	// decoded. An error means that it could not go on.
	Inspect(ctx context.Context, report func(error)) error
}

// Batch is what Apply writes in one synced, atomic step, in this order.
type Batch struct {
	Undo    *Undo    // first: entries from the top are undone
	Entries []*Entry // then: appended at last + 1 …
	State   *State   // greater than the one held, else ErrOutOfOrder
	Seal    *Seal
	Stable  *Mark // must be on the drive's chain
	// Copy is a step of an index copy. It stands alone in its batch but for
	// State and Seal.
	Copy *Copy
	// Mend stands alone in its batch.
	Mend []Mend
	// Reserve lets the batch use the space that is kept back: deletes, aborts,
	// states, seals, marks.
	Reserve bool
}

// Copy fills an index from another drive's: what is live at a position P is
// copied, what comes later is learned by entries. While the copy lasts, the
// drive holds a rebuild mark: Stable raises Reached instead of the stable
// mark, Undo goes down to Reached and no further, Remove is refused.
type Copy struct {
	// Begin, when set, first removes all of the index but promise, state and
	// seal (shard files stay), and writes the rebuild mark with P = *Begin.
	Begin *Mark
	// Items are live records at or below P. For an inline shard the value is
	// this drive's own.
	Items []Item
	// Cursor is kept in the rebuild mark: where the copy goes on.
	Cursor []byte
	// End removes the rebuild mark: the stable mark is then what was reached,
	// and the removal mark is P.
	End bool
}

// Mend writes an inline shard of this drive again, as it was: at its own slot and
// at the position of the entry that brought it. It is no entry, since the bytes
// are what they have always been. A drive refuses it (ErrNotFound) unless there is
// something at that key, or a record that names the data at the one given: so that
// nothing is put back that was removed meanwhile.
type Mend struct {
	Item
	Named   Slot     // of a record that names the data; may be nil
	NamedAt Position // of that record
}

// Undo removes what the entries above To wrote. From must be the newest entry
// that the drive holds, with its chain, else ErrOutOfOrder. Nothing at or
// below the stable mark is undone (ErrOutOfOrder). Shard files that the
// entries added go to quarantine.
type Undo struct {
	From Mark
	To   Position
}

// Reader reads a drive's index at positions: what is at or below a position
// that was applied when the reader was opened does not change under it, unless
// it is undone, or removed because a later entry shadows it. It costs next to
// nothing to open. It is not safe for concurrent use.
type Reader interface {
	// Get gives the newest record of a slot at or below a position, voids
	// resolved; false when there is none or it is a tombstone. The value is
	// the caller's.
	Get(slot Slot, at Position) (Item, bool, error)
	// Latest gives the newest live version of a key at or below a position
	// (a delete marker is a live version).
	Latest(bucket BucketID, key string, at Position) (Item, bool, error)
	// Raw gives what stands at exactly this slot and position, of any kind.
	Raw(slot Slot, position Position) (Kind, []byte, bool, error)
	// Cursor walks the live records of the slots in [from, to) at a position.
	Cursor(from, to Slot, at Position) (Cursor, error)
	Close() error
}

// Item is a record in the index. From a Cursor its slices are valid until the
// cursor moves.
type Item struct {
	Slot     Slot
	Position Position // of the entry that wrote it
	Value    []byte
}

// Cursor walks live records in the order of slots: keys in the order of their
// bytes, and of one key the newest version first. It starts before the first.
type Cursor interface {
	Next() bool
	// NextKey goes on behind all versions of the key that the cursor is at.
	NextKey() bool
	// Seek goes to the first live record at or after a slot.
	Seek(slot Slot) bool
	Item() Item
	Err() error
	Close() error
}

// Removal says how far a removal may go.
type Removal struct {
	Upto    Position // entries up to here may be removed under: stable, and no reader before it
	KeepLog Position // log entries from here on stay, whatever was removed under them
	Entries int      // at most so many entries in this step
}

// Removed says how far it went.
type Removed struct {
	Mark  Position // the removal mark now
	Keys  int
	Files int
	More  bool // a step ended early, with the mark where it was or not: call again
}

// Usage is a drive's space, in bytes.
type Usage struct {
	Total     uint64
	Free      uint64 // what a write may still take: the reserve is not in it
	Reserve   uint64
	IndexSize uint64
}

// Shards are the shard files of a drive.
type Shards interface {
	// Create begins the shard file of a data id. With h.Replace a file of that
	// name is replaced when Commit is called, else ErrExists.
	Create(ctx context.Context, p Promise, h ShardHeader) (ShardWriter, error)
	// Open opens a shard file and verifies its header against ref. ErrNotFound
	// where there is none, ErrDamaged where it is not what it should be.
	Open(ctx context.Context, ref ShardRef) (ShardFile, error)
	// Verify checks existence, length, header, trailer and last frame.
	Verify(ctx context.Context, ref ShardRef) error
	// Quarantine puts a shard file aside, with a reason for people.
	Quarantine(ctx context.Context, p Promise, data DataID, reason string) error
	// List gives the data ids that have a file in one of the 256 directories:
	// those whose last byte is dir.
	List(ctx context.Context, dir byte) ([]DataID, error)
	// Remove unlinks the shard file of a write that was never committed by
	// this owner. No error when there is none.
	Remove(ctx context.Context, p Promise, data DataID) error
	// Discard puts aside the shard file of a write of an owner before this one, if
	// no key of any kind says that somebody uses it: what else is there is
	// refused with ErrExists. Looking and doing are one step. Leftovers of files
	// that were being replaced go too. ErrNotFound where there is no file.
	Discard(ctx context.Context, p Promise, data DataID, reason string) error
	// Expire removes what was put aside before a time, and says how many.
	Expire(ctx context.Context, p Promise, before time.Time) (int, error)
}

// ShardRef is what a record says of a shard.
type ShardRef struct {
	Data    DataID
	Shard   int
	Payload int64 // bytes of the shard without frames; −1 not known
}

// ShardHeader is what a shard file says of itself, for salvage.
type ShardHeader struct {
	Deployment DeploymentID
	Pool, Set  int
	Bucket     BucketID
	Key        string
	Data       DataID
	Upload     UploadID
	Part       uint32
	Shard      int
	DataShards int
	Parity     int

	// Not stored. Replace: a file of that name is replaced when the new one is
	// complete and synced. With a reason in Aside it then goes to quarantine, else
	// it is gone.
	Replace bool
	Aside   string
}

// Trailer ends a shard file.
type Trailer struct {
	Size      int64 // bytes erasure-coded, of the whole object or part
	Payload   int64 // bytes of this shard without frames
	Checksums []Checksum
}

// ShardWriter takes the sealed frames of a shard, in order.
type ShardWriter interface {
	io.Writer
	// Commit writes the trailer and syncs the file and its directory.
	Commit(ctx context.Context, t Trailer) error
	// Abort removes what was written. After Commit it does nothing.
	Abort() error
}

// ShardFile reads the frames of a shard: offset 0 is the first frame.
type ShardFile interface {
	io.ReaderAt
	io.Closer
	Header() ShardHeader
}

// Errors of drives and places.
var (
	ErrPromised     = errors.New("the drive has promised itself to another owner")
	ErrOutOfOrder   = errors.New("the change does not follow on what the drive holds")
	ErrBroken       = errors.New("the drive failed and takes no further change until it is opened again")
	ErrNoSpace      = errors.New("no space left on the drive")
	ErrClosed       = errors.New("the drive is closed")
	ErrReadOnly     = errors.New("the drive was opened for reading only")
	ErrGone         = errors.New("the drive is no longer at its place")
	ErrNotFound     = errors.New("not found on the drive")
	ErrExists       = errors.New("already on the drive")
	ErrDamaged      = errors.New("damaged on the drive")
	ErrForeign      = errors.New("the directory holds something that is not a drive")
	ErrNewerFormat  = errors.New("the drive has a format that this version does not know")
	ErrHalfFormat   = errors.New("the drive was not formatted to the end")
	ErrInUse        = errors.New("the drive is open elsewhere")
	ErrCorruptIndex = errors.New("the drive's index is corrupt")
	ErrBadRecord    = errors.New("not a valid record")
	ErrUntrusted    = errors.New("the locks of this filesystem can not be trusted")
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
