package layout

import (
	"context"
	"fmt"
	"time"

	"github.com/sherd-storage/sherd/layout/internal/index"
	"github.com/sherd-storage/sherd/layout/internal/wire"
)

// Record is what the index holds of a version of an object, and of a part of
// an upload. On disk it is a fixed head, read without decoding the rest, and a
// CBOR map (docs/FORMAT.md).
type Record struct {
	Head
	Body
}

// Head is the fixed part, enough for listings and for HEAD's tests.
type Head struct {
	Version  Position // of the version; equal to the entry's own position when this record created it
	Epoch    uint64   // of the owner that created the version; with Version it is the version id
	Modified time.Time
	Size     int64 // bytes of the plain object, as clients see it
	ETag     ETag
	Flags    Flags
	Storage  uint8 // storage class as the caller numbers them; 0 is standard
}

// Flags of a record's head. Numbers are on disk.
type Flags uint16

// The flags.
const (
	FlagMarker    Flags = 1 << 0 // a delete marker: no bytes
	FlagNull      Flags = 1 << 1 // the null version
	FlagMultipart Flags = 1 << 2 // completed from parts
	FlagLocked    Flags = 1 << 3 // has retention or a legal hold; the body says which
	FlagTagged    Flags = 1 << 4 // has tags
	FlagForeignID Flags = 1 << 5 // its version id came from elsewhere and stands in the body
	FlagChecksum  Flags = 1 << 6 // has checksums
)

// ETagKind says what an ETag's bytes are. Numbers are on disk.
type ETagKind uint8

// The kinds of ETag.
const (
	ETagNone   ETagKind = 0 // nothing, as of a delete marker
	ETagMD5    ETagKind = 1 // MD5 of the bytes
	ETagParts  ETagKind = 2 // MD5 of the parts' MD5s, with the number of parts
	ETagOpaque ETagKind = 3 // not a digest of the bytes: random, unique to the write
	ETagHidden ETagKind = 4 // of encrypted bytes: shown as an MD5 is, and none
)

// ETag is the entity tag in binary.
type ETag struct {
	Kind  ETagKind
	Parts uint32 // number of parts, where Kind is ETagParts
	Sum   [16]byte
}

// Body is the part of a record that is CBOR. The zero value of a field is left
// out. Fields that this version of the code does not know are kept in Unknown
// and written back as they were.
type Body struct {
	Place       Place
	ContentType string
	Headers     map[string]string // standard headers kept with the object: cache-control, content-encoding, …; lower-case names
	Metadata    map[string]string // the user's own, x-amz-meta-*; names as given, lower case
	Tags        map[string]string
	Checksums   []Checksum
	Retention   Retention
	LegalHold   bool
	Sealed      *Sealed // nil: the bytes are stored as they are
	ForeignID   string  // the version id, where it came from elsewhere
	Owner       string  // identity that wrote it, "" unknown
	Part        uint32  // part number, in a part's record
	Access      []byte  // who may do what with the version, in words that are its users' matter
	Offset      int64   // in its piece, of a part that was appended
	Unknown     map[uint64][]byte
}

// Retention as stored. Mode is lock.Mode's number; an unknown one is kept and
// refuses every deletion.
type Retention struct {
	Mode  uint8
	Until time.Time
}

// Checksum as stored. Algorithm and Type are internal/checksum's numbers.
type Checksum struct {
	Algorithm uint8
	Type      uint8 // 1 full object, 2 composite
	Parts     uint32
	Value     []byte
}

// Sealed says how the bytes were encrypted before erasure coding; the key stands
// nowhere. It is the one transform that there is: a record with another is refused.
type Sealed struct {
	Salt     [16]byte // of one write, never zero
	Check    [16]byte // by which the key is known; zero in a part's record, whose version has it
	Envelope []byte   // what the key's owner finds it by, likewise; at most MaxEnvelope bytes
}

type wireSealed struct {
	Salt     []byte `cbor:"1,keyasint,omitempty"`
	Check    []byte `cbor:"2,keyasint,omitempty"`
	Envelope []byte `cbor:"3,keyasint,omitempty"`
}

func (e *Sealed) wire() ([]wireTransform, error) {
	if e == nil {
		return nil, nil
	}
	if e.Salt == [16]byte{} || len(e.Envelope) > MaxEnvelope {
		return nil, fmt.Errorf("%w: encrypted without a salt, or with an envelope of %d bytes", ErrBadRecord, len(e.Envelope))
	}
	w := wireSealed{Salt: e.Salt[:], Envelope: e.Envelope}
	if e.Check != [16]byte{} {
		w.Check = e.Check[:]
	}
	parameters, err := wire.Marshal(&w)
	return []wireTransform{{Kind: sealedKind, Parameters: parameters}}, err
}

// sealed gives nil where there are no transforms.
func sealed(in []wireTransform) (*Sealed, error) {
	if len(in) == 0 {
		return nil, nil
	}
	if last := in[len(in)-1]; len(in) > 1 || last.Kind != sealedKind {
		return nil, fmt.Errorf("%w: a record with %d transforms, the last %d", ErrNewerFormat, len(in), last.Kind)
	}
	var w wireSealed
	if err := decode("encryption", in[0].Parameters, 2*MaxEnvelope, &w); err != nil {
		return nil, err
	}
	e := &Sealed{Envelope: w.Envelope}
	if len(w.Salt) != len(e.Salt) || len(w.Check) != 0 && len(w.Check) != len(e.Check) || len(w.Envelope) > MaxEnvelope {
		return nil, fmt.Errorf("%w: encrypted with a salt of %d bytes, a check of %d and an envelope of %d",
			ErrBadRecord, len(w.Salt), len(w.Check), len(w.Envelope))
	}
	copy(e.Salt[:], w.Salt)
	copy(e.Check[:], w.Check)
	if e.Salt == [16]byte{} {
		return nil, fmt.Errorf("%w: encrypted without a salt", ErrBadRecord)
	}
	return e, nil
}

// PlaceKind says where the bytes are. Numbers are on disk.
type PlaceKind uint8

// The kinds of places.
const (
	PlaceNone    PlaceKind = 0 // no bytes at all: an empty object, a delete marker
	PlaceInline  PlaceKind = 1 // in the index, under the data id
	PlaceFile    PlaceKind = 2 // one shard file a drive
	PlaceSegment PlaceKind = 3 // reserved: inside a file shared with others
	PlaceParts   PlaceKind = 4 // in the parts of an upload
	PlaceGrown   PlaceKind = 5 // in the pieces that were appended, behind the parts of an upload if it was begun as one
)

// Place says where an object's bytes are: its shards by drive, or the parts
// that it was completed from.
type Place struct {
	Kind   PlaceKind
	Data   DataID
	Parity uint8     // m; the data shards are len(Drives) − m
	Drives []DriveID // who has which shard: shard i is on Drives[i]
	Size   int64     // bytes erasure-coded, after transforms

	Upload UploadID // PlaceParts, and PlaceGrown out of one
	Runs   []Run    // likewise: sizes by runs; empty when they stand at the upload's sizes slot
	Parts  uint32   // likewise: how many parts of Upload in all
	Pieces []Piece  // PlaceGrown, in the order of the bytes
}

// Piece is the parts 1 to Parts of an upload that was never a session. Each part
// says at which offset of the piece it begins.
type Piece struct {
	Upload UploadID
	Parts  uint32
	Size   int64
}

// PartsInAll counts the parts of an object in parts; 0 if it is in one piece.
func (p *Place) PartsInAll() int {
	n := int(p.Parts)
	for _, piece := range p.Pieces {
		n += int(piece.Parts)
	}
	return n
}

// Uploads gives the uploads whose parts hold the bytes.
func (p *Place) Uploads() []UploadID {
	var out []UploadID
	if !p.Upload.IsZero() {
		out = append(out, p.Upload)
	}
	for _, piece := range p.Pieces {
		out = append(out, piece.Upload)
	}
	return out
}

// Run is Count parts with consecutive numbers from First on, each Size bytes.
type Run struct {
	First uint32
	Count uint32
	Size  int64
}

// Geometry of the shards: data and parity. Zero for places without shards.
func (p Place) Geometry() (data, parity int) {
	return len(p.Drives) - int(p.Parity), int(p.Parity)
}

// Session is the record of a multipart upload that is under way. It carries
// what the object will have when it is completed.
type Session struct {
	Begun        time.Time
	ContentType  string
	Headers      map[string]string
	Metadata     map[string]string
	Tags         map[string]string
	Retention    Retention
	LegalHold    bool
	Storage      uint8
	ChecksumAlgo uint8 // what the client said it would send; 0 nothing
	ChecksumType uint8
	Owner        string
	Parity       uint8 // wanted; 255 the store's default
	Access       []byte
	Sealed       *Sealed // of the object, whose parts are encrypted with its key
	Unknown      map[uint64][]byte
}

// Bucket is a bucket's record: document "" of the bucket.
type Bucket struct {
	ID         BucketID
	Name       string
	Created    time.Time
	Versioning uint8 // versioning.Status
	Closed     bool  // deletion has begun: no commit may touch it
	ObjectLock bool  // was created with object lock, or had it turned on
	Owner      string
	Region     string
	Unknown    map[uint64][]byte
}

var _ Inspector = (*disk)(nil)

// Inspect implements Inspector.
func (d *disk) Inspect(ctx context.Context, report func(error)) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.gate.leave()
	err := index.Verify(ctx, d.db, d.fs, d.fs.PathJoin(d.path, nameIndex), func(table string, err error) {
		report(fmt.Errorf("%w: table %s: %w", ErrCorruptIndex, table, err))
	})
	if err != nil {
		return err
	}
	it, err := d.db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok, n := it.First(), 1; ok; ok, n = it.Next(), n+1 {
		if n%1024 == 0 && ctx.Err() != nil {
			break
		}
		value, err := it.ValueAndErr()
		if err == nil {
			err = decodable(it.Key(), value)
		}
		if err != nil {
			report(fmt.Errorf("key %x of the index: %w", head(it.Key(), 64), told(err)))
		}
	}
	if err := it.Close(); err != nil { // what it met on its way, too
		report(fmt.Errorf("reading the index: %w", told(err)))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// decodable tells whether a key and its value are what FORMAT.md says. Those of
// the state were decoded when the drive was opened.
func decodable(key, value []byte) error {
	switch key[0] {
	case typeState:
		return nil
	case typeLog:
		p, err := parseLogKey(key)
		if err == nil {
			_, err = DecodeEntry(p, value)
		}
		return err
	}
	slot, _, ok := splitKey(key)
	if !ok {
		return ErrBadRecord
	}
	if err := CheckSlot(slot); err != nil {
		return err
	}
	kind, content, err := splitValue(value)
	if err != nil || kind != KindRecord {
		return err
	}
	switch Slot(slot).Type() {
	case TypeVersion, TypePart:
		_, err = DecodeRecord(content)
	case TypeUpload:
		_, err = DecodeSession(content)
	case TypeSizes:
		_, err = DecodeRuns(content)
	case TypeName, TypeAlias:
		_, err = DecodePosition(content)
	case TypeDocument:
		if _, name, _ := ParseDocumentSlot(slot); name == "" {
			_, err = DecodeBucket(content)
		}
	}
	return err
}
