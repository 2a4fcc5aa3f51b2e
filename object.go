package sherd

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// Limits of what a store takes. They are those of Amazon S3 where it has one.
const (
	MaxKeyBytes      = 1024
	MaxObjectBytes   = 5 << 40
	MaxPartNumber    = 10_000
	MaxMetadataBytes = 64 << 10 // names and values of Headers, Metadata and Tags together
	MaxTextBytes     = 1024     // of a content type or an owner
	MaxDocumentBytes = 1 << 20
	MaxAccessBytes   = 64 << 10 // of a version's access document
	MaxEnvelopeBytes = layout.MaxEnvelope
)

// NullVersionID names the version that was written while versioning was off or
// suspended.
const NullVersionID = "null"

// Checksum is a checksum of an object or a part.
type Checksum = checksum.Sum

// ChecksumAlgorithm is one of the algorithms below.
type ChecksumAlgorithm = checksum.Algorithm

// ChecksumType says how the checksum of a multipart object is made: over all of
// its bytes, or over the checksums of its parts.
type ChecksumType = checksum.Type

// The algorithms and types of checksums.
const (
	CRC32      = checksum.CRC32
	CRC32C     = checksum.CRC32C
	CRC64NVME  = checksum.CRC64NVME
	SHA1       = checksum.SHA1
	SHA256     = checksum.SHA256
	SHA512     = checksum.SHA512
	MD5        = checksum.MD5
	XXHASH64   = checksum.XXHASH64
	XXHASH3    = checksum.XXHASH3
	XXHASH128  = checksum.XXHASH128
	FullObject = checksum.FullObject
	Composite  = checksum.Composite
)

// ChecksumRequest asks for checksums to be computed while a body is read, and
// stored with it.
type ChecksumRequest struct {
	// Algorithms to compute.
	Algorithms []ChecksumAlgorithm
	// Expected is asked once the whole body was read, since a value may come
	// behind it. Every checksum that it gives must be of one of Algorithms and
	// equal to what was computed, else ErrBadDigest. Nil: nothing is expected.
	Expected func() ([]Checksum, error)
}

// Conditions decide whether an operation happens at all, by what stands at the
// key. The zero value holds always.
type Conditions struct {
	// IfMatch is an ETag as ObjectInfo has it, several with commas between, or
	// "*" for any: ErrPrecondition unless the object has it. Where there is no
	// object a write gives ErrNoSuchKey.
	IfMatch string
	// IfNoneMatch likewise: a write gives ErrPrecondition and a read
	// ErrNotModified if the object has it.
	IfNoneMatch string
	// IfModifiedSince and IfUnmodifiedSince are for reads and for the source of
	// a copy, compared by the second, and ignored beside IfNoneMatch and IfMatch
	// (RFC 9110, section 13.2.2).
	IfModifiedSince   time.Time
	IfUnmodifiedSince time.Time
}

// ObjectInfo describes a version of an object.
type ObjectInfo struct {
	Bucket string
	Key    string
	// VersionID is "" in a bucket that never had versioning, and "null" for the
	// null version of one that had.
	VersionID string
	Size      int64     // bytes
	Modified  time.Time // of the commit, UTC
	// ETag is without quotes: the MD5 in hex, that of the parts' MD5s with
	// "-" and their number, or "x-" and an id of the write where no MD5 was
	// asked for, or 32 digits by the key where it is hidden (Encryption).
	ETag string
	// ETagIsMD5 says that the ETag is the MD5 of the bytes.
	ETagIsMD5    bool
	DeleteMarker bool
	Latest       bool // in ListVersions, and of an operation that named no version
	Parts        int  // how many it was completed from or has by appends; 0: it was put in one piece
	StorageClass uint8
	// IsPrefix says that Key is a common prefix, given by a listing with a
	// delimiter: all other fields but Bucket are zero.
	IsPrefix bool

	// Listings leave out what follows, unless their options ask for details.

	ContentType string
	Headers     map[string]string // as given to Put
	Metadata    map[string]string
	Tags        map[string]string
	Checksums   []Checksum
	Retention   lock.Retention
	LegalHold   bool
	Owner       string
	Access      []byte // as given to Put or SetAccess
	Envelope    []byte // of an encrypted version, as given to Put, not nil; nil: it is not encrypted
}

// version is a version that was looked up.
type version struct {
	layout.Record
	at layout.Position // of the entry that wrote the record
}

func decodeVersion(item layout.Item) (*version, error) {
	r, err := layout.DecodeRecord(item.Value)
	if err != nil {
		return nil, err
	}
	return &version{Record: *r, at: item.Position}, nil
}

// ref is how package versioning knows a version; nil is none.
func (v *version) ref() versioning.Ref {
	if v == nil {
		return versioning.Ref{}
	}
	return headRef(v.Head)
}

func headRef(h layout.Head) versioning.Ref {
	return versioning.Ref{Position: uint64(h.Version), Null: h.Flags&layout.FlagNull != 0, Marker: h.Flags&layout.FlagMarker != 0}
}

// lockState is how package lock knows a version.
func (v *version) lockState() lock.State {
	return lock.State{
		Retention: lock.Retention{Mode: lock.Mode(v.Retention.Mode), Until: v.Retention.Until},
		LegalHold: v.LegalHold,
	}
}

// knownLock is lockState where something depends on it: ErrLocked where the
// record says that the version is locked and not how.
func (v *version) knownLock() (lock.State, error) {
	state := v.lockState()
	if v.Flags&layout.FlagLocked != 0 && state == (lock.State{}) {
		return state, fmt.Errorf("%w: its record says that it is, and not how", ErrLocked)
	}
	return state, nil
}

// owner is how the index knows the version as a user of shards.
func (v *version) owner(b layout.BucketID, key string) layout.OwnerOfData {
	return layout.OwnerOfData{Bucket: b, Key: key, Version: v.Version}
}

// setLock puts a lock state into a record.
func setLock(r *layout.Record, state lock.State) {
	r.Retention = layout.Retention{Mode: uint8(state.Mode), Until: state.Until}
	r.LegalHold = state.LegalHold
	r.Flags &^= layout.FlagLocked
	if state != (lock.State{}) {
		r.Flags |= layout.FlagLocked
	}
}

// setTags puts tags into a record.
func setTags(r *layout.Record, tags map[string]string) {
	r.Tags = tags
	r.Flags &^= layout.FlagTagged
	if len(tags) > 0 {
		r.Flags |= layout.FlagTagged
	}
}

// setChecksums puts checksums into a record.
func setChecksums(r *layout.Record, sums []Checksum) {
	r.Checksums, r.Flags = nil, r.Flags&^layout.FlagChecksum
	for _, sum := range sums {
		r.Checksums = append(r.Checksums, layout.Checksum{
			Algorithm: uint8(sum.Algorithm), Type: uint8(sum.Type), Parts: uint32(sum.Parts), Value: sum.Value,
		})
		r.Flags |= layout.FlagChecksum
	}
}

// sums is the inverse of setChecksums.
func sums(stored []layout.Checksum) []Checksum {
	if len(stored) == 0 {
		return nil
	}
	out := make([]Checksum, len(stored))
	for i, c := range stored {
		out[i] = Checksum{Algorithm: checksum.Algorithm(c.Algorithm), Type: checksum.Type(c.Type), Parts: int(c.Parts), Value: c.Value}
	}
	return out
}

// info is what the caller is told of a version.
func (b *bucket) info(key string, v *version) ObjectInfo {
	i := b.headInfo(key, v.Head, v.ForeignID)
	b.details(&i, v)
	return i
}

func (b *bucket) details(i *ObjectInfo, v *version) {
	i.ContentType, i.Owner, i.Access = v.ContentType, v.Owner, v.Access
	i.Headers, i.Metadata, i.Tags = v.Headers, v.Metadata, v.Tags
	i.Checksums, i.Envelope = sums(v.Checksums), envelope(v.Sealed)
	state := v.lockState()
	i.Retention, i.LegalHold = state.Retention, state.LegalHold
	if v.Place.Kind == layout.PlaceParts || v.Place.Kind == layout.PlaceGrown && v.Flags&layout.FlagMultipart != 0 {
		i.Parts = v.Place.PartsInAll()
	}
}

// headInfo is info without what only the body of a record says.
func (b *bucket) headInfo(key string, h layout.Head, foreignID string) ObjectInfo {
	i := ObjectInfo{
		Bucket: b.name, Key: key, VersionID: b.versionID(h, foreignID), Size: h.Size, Modified: h.Modified,
		ETag: etagText(h.ETag), ETagIsMD5: h.ETag.Kind == layout.ETagMD5,
		DeleteMarker: h.Flags&layout.FlagMarker != 0, StorageClass: h.Storage,
	}
	if h.Flags&layout.FlagMultipart != 0 {
		i.Parts = int(h.ETag.Parts)
	}
	return i
}

// versionID is the text by which clients know a version.
func (b *bucket) versionID(h layout.Head, foreignID string) string {
	switch {
	case h.Flags&layout.FlagNull != 0 && b.record.Versioning == uint8(versioning.Unversioned):
		return ""
	case h.Flags&layout.FlagNull != 0:
		return NullVersionID
	case h.Flags&layout.FlagForeignID != 0:
		return foreignID
	default:
		return versioning.FormatID(h.Epoch, uint64(h.Version))
	}
}

const (
	opaquePrefix = "x-"
	anyETag      = "*"
)

// etagText is the ETag as clients see it.
func etagText(e layout.ETag) string {
	var text [len(opaquePrefix) + 2*len(e.Sum) + 1 + 10]byte
	digits := hex.AppendEncode(append(text[:0], opaquePrefix...), e.Sum[:])
	switch e.Kind {
	case layout.ETagMD5, layout.ETagHidden:
		return string(digits[len(opaquePrefix):])
	case layout.ETagParts:
		return string(strconv.AppendUint(append(digits[len(opaquePrefix):], '-'), uint64(e.Parts), 10))
	case layout.ETagOpaque:
		return string(digits)
	default:
		return ""
	}
}

// opaqueETag is one that no other write has: nothing else has this position
// of this owner.
func opaqueETag(at layout.Position, owner layout.Owner) layout.ETag {
	e := layout.ETag{Kind: layout.ETagOpaque}
	binary.BigEndian.PutUint64(e.Sum[:8], owner.Epoch^owner.Nonce)
	binary.BigEndian.PutUint64(e.Sum[8:], uint64(at))
	return e
}

// etagIn says whether an ETag is among those of a condition.
func etagIn(list, etag string) bool {
	if list == anyETag {
		return true
	}
	for one := range strings.SplitSeq(list, ",") {
		if strings.Trim(strings.TrimSpace(one), `"`) == etag {
			return true
		}
	}
	return false
}

// unmarked takes the marks of weak ETags off, which mean nothing to If-None-Match
// and keep If-Match from holding (RFC 9110, section 8.8.3.2).
func unmarked(list string) string { return strings.ReplaceAll(list, "W/", "") }

// forWrite says whether the conditions of a write hold; nil is no object, or a
// delete marker.
func (c Conditions) forWrite(latest *version) error {
	if latest != nil && latest.Flags&layout.FlagMarker != 0 {
		latest = nil
	}
	switch {
	case c.IfMatch != "" && latest == nil:
		return ErrNoSuchKey
	case c.IfMatch != "" && !etagIn(c.IfMatch, etagText(latest.ETag)):
		return ErrPrecondition
	case c.IfNoneMatch != "" && latest != nil && etagIn(unmarked(c.IfNoneMatch), etagText(latest.ETag)):
		return ErrPrecondition
	}
	return nil
}

// forRead says whether the conditions of a read hold, in the order of RFC 9110,
// section 13.2.2.
func (c Conditions) forRead(v *version) error {
	etag, modified := "", v.Modified.Truncate(time.Second)
	if c.IfMatch != "" || c.IfNoneMatch != "" {
		etag = etagText(v.ETag)
	}
	switch {
	case c.IfMatch != "":
		if !etagIn(c.IfMatch, etag) {
			return ErrPrecondition
		}
	case !c.IfUnmodifiedSince.IsZero() && modified.After(c.IfUnmodifiedSince):
		return ErrPrecondition
	}
	switch {
	case c.IfNoneMatch != "":
		if etagIn(unmarked(c.IfNoneMatch), etag) {
			return ErrNotModified
		}
	case !c.IfModifiedSince.IsZero() && !modified.After(c.IfModifiedSince):
		return ErrNotModified
	}
	return nil
}

func (c Conditions) none() bool { return c == Conditions{} }

// latest is the newest version of a key, marker or not; nil if there is none.
func latest(ctx context.Context, view *driveset.View, b *bucket, key string) (*version, error) {
	item, ok, err := view.Latest(ctx, b.id, key)
	if err != nil || !ok {
		return nil, err
	}
	return decodeVersion(item)
}

// versionAt is the version of a key at a position; nil if there is none.
func versionAt(ctx context.Context, view *driveset.View, b *bucket, key string, at layout.Position) (*version, error) {
	item, ok, err := view.Get(ctx, layout.VersionSlot(b.id, key, at))
	if err != nil || !ok {
		return nil, err
	}
	return decodeVersion(item)
}

// aliased is the version that an alias names; nil if there is no alias.
func aliased(ctx context.Context, view *driveset.View, b *bucket, key, id string) (*version, error) {
	item, ok, err := view.Get(ctx, layout.AliasSlot(b.id, key, id))
	if err != nil || !ok {
		return nil, err
	}
	at, err := layout.DecodePosition(item.Value)
	if err != nil {
		return nil, err
	}
	return versionAt(ctx, view, b, key, layout.Position(at))
}

// nullVersion is the null version of a key, nil if there is none, and whether
// an alias names it. In a bucket that never had versioning it is the latest,
// which the caller gives.
func nullVersion(ctx context.Context, view *driveset.View, b *bucket, key string, latest *version) (*version, bool, error) {
	if b.status() == versioning.Unversioned {
		return latest, false, nil
	}
	if v, err := aliased(ctx, view, b, key, NullVersionID); err != nil || v != nil {
		return v, true, err
	}
	lo, hi := layout.VersionsOf(b.id, key)
	cursor, err := view.Cursor(ctx, lo, hi)
	if err != nil {
		return nil, false, err
	}
	defer cursor.Close()
	var oldest layout.Item
	for cursor.Next() {
		item := cursor.Item()
		oldest.Slot, oldest.Value = append(oldest.Slot[:0], item.Slot...), append(oldest.Value[:0], item.Value...)
		oldest.Position = item.Position
	}
	if err := cursor.Err(); err != nil || oldest.Slot == nil {
		return nil, false, err
	}
	v, err := decodeVersion(oldest)
	if err != nil || v.Flags&layout.FlagNull == 0 {
		return nil, false, err
	}
	return v, false, nil
}

// named is the version that an id names, nil if there is none, and whether an
// alias leads to it.
func named(ctx context.Context, view *driveset.View, b *bucket, key, versionID string) (*version, bool, error) {
	id, err := versioning.ParseID(versionID)
	if err != nil {
		return nil, false, err
	}
	switch id.Kind {
	case versioning.NullID:
		var last *version
		if b.status() == versioning.Unversioned {
			if last, err = latest(ctx, view, b, key); err != nil {
				return nil, false, err
			}
		}
		return nullVersion(ctx, view, b, key, last)
	case versioning.OwnID:
		v, err := versionAt(ctx, view, b, key, layout.Position(id.Position))
		if err != nil {
			return nil, false, err
		}
		if v != nil && v.Epoch == id.Epoch && v.Flags&(layout.FlagNull|layout.FlagForeignID) == 0 {
			return v, false, nil
		}
	}
	v, err := aliased(ctx, view, b, key, versionID)
	return v, v != nil, err
}

// readable is the version to read, which is not a delete marker.
func readable(ctx context.Context, view *driveset.View, b *bucket, key, versionID string) (v *version, err error) {
	var outcome versioning.Outcome
	if versionID == "" {
		v, err = latest(ctx, view, b, key)
		outcome = versioning.Find(v.ref())
	} else {
		v, _, err = named(ctx, view, b, key, versionID)
		outcome = versioning.FindVersion(v.ref())
	}
	if err != nil {
		return nil, err
	}
	switch outcome {
	case versioning.Found:
		return v, nil
	case versioning.LatestMarker:
		return nil, &found{ErrNoSuchKey, b.info(key, v)}
	case versioning.NamedMarker:
		return nil, &found{ErrDeleteMarker, b.info(key, v)}
	case versioning.NoVersion:
		return nil, ErrNoSuchVersion
	default:
		return nil, ErrNoSuchKey
	}
}

// lookUp is readable with a view of its own.
func (s *Store) lookUp(ctx context.Context, b *bucket, key, versionID string) (*version, error) {
	set, err := s.setOf(ctx, b, key)
	if err != nil {
		return nil, err
	}
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	return readable(ctx, view, b, key, versionID)
}
