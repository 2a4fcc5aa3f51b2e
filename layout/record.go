package layout

import "time"

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
	Transforms  []Transform // between client and erasure code, in the order they were applied
	ForeignID   string      // the version id, where it came from elsewhere
	Owner       string      // identity that wrote it, "" unknown
	Part        uint32      // part number, in a part's record
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

// Transform is a step that the bytes went through before erasure coding. None
// is defined yet; a record with one that is not known is refused.
type Transform struct {
	Kind       uint32
	Parameters []byte
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
)

// Place says where an object's bytes are: its shards by drive, or the parts
// that it was completed from.
type Place struct {
	Kind   PlaceKind
	Data   DataID
	Parity uint8     // m; the data shards are len(Drives) − m
	Drives []DriveID // who has which shard: shard i is on Drives[i]
	Size   int64     // bytes erasure-coded, after transforms

	Upload UploadID // PlaceParts
	Runs   []Run    // PlaceParts: sizes by runs; empty when they stand at the upload's sizes slot
	Parts  uint32   // PlaceParts: how many parts in all
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
