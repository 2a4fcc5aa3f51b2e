package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/sherd-storage/sherd/layout/internal/index"
)

// A Slot is an index key without the position that ends it: it names a thing
// that has a history. The history is the keys of the slot at every position,
// newest first; each holds a record, a tombstone or a void.
//
// Slots are self-delimiting: none is a prefix of another. The functions that
// give ranges return bounds, [lo, hi), that are for Reader.Cursor alone.
type Slot []byte

// Kind says what stands at one key.
type Kind uint8

// The kinds of values. Numbers are on disk.
const (
	KindRecord    Kind = 1 // content
	KindTombstone Kind = 2 // from here on there is nothing
	KindVoid      Kind = 3 // this and the entry that it names never happened
)

// The types of slots: their first byte, and of log and state keys, which are
// no slots. On disk.
const (
	TypeDocument byte = 'b'
	TypeOwner    byte = 'd'
	TypeSizes    byte = 'e'
	TypeInline   byte = 'i'
	TypeName     byte = 'n'
	TypeVersion  byte = 'o'
	TypePart     byte = 'p'
	TypeUpload   byte = 'u'
	TypeAlias    byte = 'v'

	typeLog   byte = 'l'
	typeState byte = 's'
)

// Owned things of the `d` keys.
const (
	ownedData   byte = 1
	ownedUpload byte = 2
)

// Owners of the `d` keys.
const (
	ownerVersion byte = 1
	ownerPart    byte = 2
	ownerSession byte = 3
)

// OwnerOfData is who uses the shards of a data id, or the parts of an upload:
// a version of a key (Bucket, Key, Version), a part (Upload, Part), or, of an
// upload, its own session while it lasts (Bucket, Key, and no Version).
type OwnerOfData struct {
	Bucket  BucketID
	Key     string
	Version Position
	Upload  UploadID
	Part    uint32
}

// Type is the first byte of a slot, one of the Type constants; 0 of an empty one.
func (s Slot) Type() byte {
	if len(s) == 0 {
		return 0
	}
	return s[0]
}

func keyed(t byte, b BucketID, key string, more int) []byte {
	s := make([]byte, 0, 1+8+len(key)+2+more)
	s = append(s, t)
	s = binary.BigEndian.AppendUint64(s, uint64(b))
	return index.AppendEscaped(s, key)
}

func parseKeyed(t byte, s []byte) (b BucketID, key string, rest []byte, ok bool) {
	if len(s) < 9 || s[0] != t {
		return 0, "", nil, false
	}
	key, rest, ok = index.Unescape(s[9:])
	return BucketID(binary.BigEndian.Uint64(s[1:])), key, rest, ok
}

func badSlot(what string, s Slot) error {
	return fmt.Errorf("%w: %x is not the slot of %s", ErrBadRecord, head(s, 64), what)
}

func head(b []byte, n int) []byte { return b[:min(len(b), n)] }

// VersionSlot is where the record of a version of a key stands.
func VersionSlot(b BucketID, key string, version Position) Slot {
	return binary.BigEndian.AppendUint64(keyed(TypeVersion, b, key, 8+index.PositionSuffix), ^uint64(version))
}

// ParseVersionSlot is the inverse of VersionSlot.
func ParseVersionSlot(s Slot) (b BucketID, key string, version Position, err error) {
	b, key, rest, ok := parseKeyed(TypeVersion, s)
	if !ok || len(rest) != 8 {
		return 0, "", 0, badSlot("a version", s)
	}
	return b, key, Position(^binary.BigEndian.Uint64(rest)), nil
}

// InlineSlot is where a drive has its inline shard of a data id.
func InlineSlot(d DataID) Slot {
	b := d.Bytes()
	s := make([]byte, 0, 1+len(b)+1+index.PositionSuffix)
	return append(append(append(s, TypeInline), b[:]...), 0)
}

// ParseInlineSlot is the inverse of InlineSlot.
func ParseInlineSlot(s Slot) (DataID, error) {
	if len(s) != 1+DataIDBytes+1 || s[0] != TypeInline || s[len(s)-1] != 0 {
		return DataID{}, badSlot("an inline shard", s)
	}
	return DataIDFrom([DataIDBytes]byte(s[1 : 1+DataIDBytes])), nil
}

// UploadSlot is where the session of a multipart upload stands.
func UploadSlot(b BucketID, key string, u UploadID) Slot {
	id := u.Bytes()
	return append(append(keyed(TypeUpload, b, key, len(id)+1+index.PositionSuffix), id[:]...), 0)
}

// ParseUploadSlot is the inverse of UploadSlot.
func ParseUploadSlot(s Slot) (b BucketID, key string, u UploadID, err error) {
	b, key, rest, ok := parseKeyed(TypeUpload, s)
	if !ok || len(rest) != UploadIDBytes+1 || rest[UploadIDBytes] != 0 {
		return 0, "", UploadID{}, badSlot("an upload", s)
	}
	return b, key, UploadIDFrom([UploadIDBytes]byte(rest[:UploadIDBytes])), nil
}

func ofUpload(t byte, u UploadID, more int) []byte {
	id := u.Bytes()
	s := make([]byte, 0, 1+len(id)+more)
	return append(append(s, t), id[:]...)
}

// PartSlot is where the record of a part of an upload stands.
func PartSlot(u UploadID, part uint32) Slot {
	return append(binary.BigEndian.AppendUint32(ofUpload(TypePart, u, 5+index.PositionSuffix), part), 0)
}

// ParsePartSlot is the inverse of PartSlot.
func ParsePartSlot(s Slot) (UploadID, uint32, error) {
	if len(s) != 1+UploadIDBytes+4+1 || s[0] != TypePart || s[len(s)-1] != 0 {
		return UploadID{}, 0, badSlot("a part", s)
	}
	return UploadIDFrom([UploadIDBytes]byte(s[1:17])), binary.BigEndian.Uint32(s[17:]), nil
}

// SizesSlot is where the runs of a completed upload stand that are too many
// for the record.
func SizesSlot(u UploadID) Slot {
	return append(ofUpload(TypeSizes, u, 1+index.PositionSuffix), 0)
}

// ParseSizesSlot is the inverse of SizesSlot.
func ParseSizesSlot(s Slot) (UploadID, error) {
	if len(s) != 1+UploadIDBytes+1 || s[0] != TypeSizes || s[len(s)-1] != 0 {
		return UploadID{}, badSlot("sizes of parts", s)
	}
	return UploadIDFrom([UploadIDBytes]byte(s[1:17])), nil
}

// DataOwnerSlot is where it stands that an owner uses the shard files of d.
func DataOwnerSlot(d DataID, o OwnerOfData) Slot { return appendOwner(dataOwners(d), o) }

// UploadOwnerSlot is where it stands that an owner uses the parts of u.
func UploadOwnerSlot(u UploadID, o OwnerOfData) Slot { return appendOwner(uploadOwners(u), o) }

func dataOwners(d DataID) []byte {
	id := d.Bytes()
	return append([]byte{TypeOwner, ownedData}, id[:]...)
}

func uploadOwners(u UploadID) []byte {
	id := u.Bytes()
	return append([]byte{TypeOwner, ownedUpload}, id[:]...)
}

func appendOwner(s []byte, o OwnerOfData) Slot {
	switch {
	case !o.Upload.IsZero() || o.Part != 0:
		id := o.Upload.Bytes()
		s = append(append(s, ownerPart), id[:]...)
		s = binary.BigEndian.AppendUint32(s, o.Part)
	case o.Version != 0:
		s = binary.BigEndian.AppendUint64(append(s, ownerVersion), uint64(o.Bucket))
		s = index.AppendEscaped(s, o.Key)
		s = binary.BigEndian.AppendUint64(s, uint64(o.Version))
	default:
		s = binary.BigEndian.AppendUint64(append(s, ownerSession), uint64(o.Bucket))
		s = index.AppendEscaped(s, o.Key)
	}
	return append(s, 0)
}

// ParseDataOwnerSlot is the inverse of DataOwnerSlot.
func ParseDataOwnerSlot(s Slot) (DataID, OwnerOfData, error) {
	if len(s) < 2+DataIDBytes || s[0] != TypeOwner || s[1] != ownedData {
		return DataID{}, OwnerOfData{}, badSlot("an owner of data", s)
	}
	o, ok := parseOwner(s[2+DataIDBytes:])
	if !ok {
		return DataID{}, OwnerOfData{}, badSlot("an owner of data", s)
	}
	return DataIDFrom([DataIDBytes]byte(s[2 : 2+DataIDBytes])), o, nil
}

// ParseUploadOwnerSlot is the inverse of UploadOwnerSlot.
func ParseUploadOwnerSlot(s Slot) (UploadID, OwnerOfData, error) {
	if len(s) < 2+UploadIDBytes || s[0] != TypeOwner || s[1] != ownedUpload {
		return UploadID{}, OwnerOfData{}, badSlot("an owner of an upload", s)
	}
	o, ok := parseOwner(s[2+UploadIDBytes:])
	if !ok {
		return UploadID{}, OwnerOfData{}, badSlot("an owner of an upload", s)
	}
	return UploadIDFrom([UploadIDBytes]byte(s[2 : 2+UploadIDBytes])), o, nil
}

func parseOwner(b []byte) (o OwnerOfData, ok bool) {
	if len(b) < 1+8+1 || b[len(b)-1] != 0 {
		return o, false
	}
	kind, b := b[0], b[1:]
	if kind == ownerPart {
		if len(b) != UploadIDBytes+4+1 {
			return o, false
		}
		o.Upload, o.Part = UploadIDFrom([UploadIDBytes]byte(b[:16])), binary.BigEndian.Uint32(b[16:])
		return o, !o.Upload.IsZero() || o.Part != 0
	}
	o.Bucket = BucketID(binary.BigEndian.Uint64(b))
	o.Key, b, ok = index.Unescape(b[8:])
	switch {
	case !ok:
		return o, false
	case kind == ownerSession:
		return o, len(b) == 1
	case kind == ownerVersion && len(b) == 8+1:
		o.Version = Position(binary.BigEndian.Uint64(b))
		return o, o.Version != 0
	}
	return o, false
}

// DocumentSlot is where a bucket's record stands (document "") and each of its
// configuration documents.
func DocumentSlot(b BucketID, document string) Slot {
	return keyed(TypeDocument, b, document, index.PositionSuffix)
}

// ParseDocumentSlot is the inverse of DocumentSlot.
func ParseDocumentSlot(s Slot) (BucketID, string, error) {
	b, document, rest, ok := parseKeyed(TypeDocument, s)
	if !ok || len(rest) != 0 {
		return 0, "", badSlot("a document", s)
	}
	return b, document, nil
}

// NameSlot is where the id of the bucket with a name stands.
func NameSlot(name string) Slot {
	return index.AppendEscaped([]byte{TypeName}, name)
}

// ParseNameSlot is the inverse of NameSlot.
func ParseNameSlot(s Slot) (string, error) {
	if s.Type() != TypeName {
		return "", badSlot("a name", s)
	}
	name, rest, ok := index.Unescape(s[1:])
	if !ok || len(rest) != 0 {
		return "", badSlot("a name", s)
	}
	return name, nil
}

// AliasSlot is where the version position of an id stands that is not made
// from it: one from elsewhere, or "null".
func AliasSlot(b BucketID, key, versionID string) Slot {
	return index.AppendEscaped(keyed(TypeAlias, b, key, len(versionID)+2+index.PositionSuffix), versionID)
}

// ParseAliasSlot is the inverse of AliasSlot.
func ParseAliasSlot(s Slot) (b BucketID, key, versionID string, err error) {
	b, key, rest, ok := parseKeyed(TypeAlias, s)
	if ok {
		versionID, rest, ok = index.Unescape(rest)
	}
	if !ok || len(rest) != 0 {
		return 0, "", "", badSlot("a version id", s)
	}
	return b, key, versionID, nil
}

// HistoryPrefix is what all slots share that are the same thing to a reader:
// all versions of one key; of other types it is the slot itself.
func HistoryPrefix(s Slot) []byte {
	if s.Type() == TypeVersion && len(s) > 9+8 {
		return s[: len(s)-8 : len(s)-8]
	}
	return s
}

// CheckSlot tells whether s is a slot, of any type: ErrNewerFormat for a type,
// owner or owned thing that is not known, ErrBadRecord for what is no slot.
func CheckSlot(s Slot) (err error) {
	switch s.Type() {
	case TypeDocument:
		_, _, err = ParseDocumentSlot(s)
	case TypeOwner:
		err = checkOwnerSlot(s)
	case TypeSizes:
		_, err = ParseSizesSlot(s)
	case TypeInline:
		_, err = ParseInlineSlot(s)
	case TypeName:
		_, err = ParseNameSlot(s)
	case TypeVersion:
		_, _, _, err = ParseVersionSlot(s)
	case TypePart:
		_, _, err = ParsePartSlot(s)
	case TypeUpload:
		_, _, _, err = ParseUploadSlot(s)
	case TypeAlias:
		_, _, _, err = ParseAliasSlot(s)
	case 0, typeLog, typeState:
		err = badSlot("anything", s)
	default:
		err = fmt.Errorf("%w: a slot of type %q", ErrNewerFormat, s.Type())
	}
	return err
}

// Compare orders slots as the index does: −1, 0 or 1.
func (s Slot) Compare(t Slot) int { return bytes.Compare(s, t) }

// A bound is a place between slots. Those here end in 0x00, as every prefix of
// the index does, and what they are cut from goes on with at least that byte:
// so each is below all that begins with it.

func bound(b []byte) Slot { return append(b, 0) }

// beyond is the bound above everything that begins with b. The first byte of
// b is the type of a slot and never 0xFF.
func beyond(b []byte) Slot {
	for b[len(b)-1] == 0xFF {
		b = b[:len(b)-1]
	}
	b[len(b)-1]++
	return bound(b)
}

func bucketOf(t byte, b BucketID) []byte {
	return binary.BigEndian.AppendUint64([]byte{t}, uint64(b))
}

func within(t byte, b BucketID, prefix string) (lo, hi Slot) {
	return bound(index.AppendOpen(bucketOf(t, b), prefix)), beyond(index.AppendOpen(bucketOf(t, b), prefix))
}

// LatestSlot is the bound before all versions of a key.
func LatestSlot(b BucketID, key string) Slot { return keyed(TypeVersion, b, key, 0) }

// AfterKeySlot is the bound after all versions of a key.
func AfterKeySlot(b BucketID, key string) Slot { return beyond(keyed(TypeVersion, b, key, 1)) }

// AfterVersionSlot is the bound after one version of a key: the next older one
// follows.
func AfterVersionSlot(b BucketID, key string, version Position) Slot {
	if version == 0 {
		return AfterKeySlot(b, key)
	}
	return VersionSlot(b, key, version-1)
}

// KeyRange is the versions of all keys of a bucket from a key on.
func KeyRange(b BucketID, from string) (lo, hi Slot) {
	return LatestSlot(b, from), beyond(bucketOf(TypeVersion, b))
}

// PrefixRange is the versions of all keys of a bucket that begin with prefix.
func PrefixRange(b BucketID, prefix string) (lo, hi Slot) { return within(TypeVersion, b, prefix) }

// AfterPrefixSlot is the bound after all keys of a bucket that begin with
// prefix: where a listing with a delimiter goes on.
func AfterPrefixSlot(b BucketID, prefix string) Slot {
	_, hi := PrefixRange(b, prefix)
	return hi
}

// VersionsOf is all versions of a key, the newest first.
func VersionsOf(b BucketID, key string) (lo, hi Slot) {
	return LatestSlot(b, key), AfterKeySlot(b, key)
}

// UploadRange is the uploads of all keys of a bucket that begin with prefix.
func UploadRange(b BucketID, prefix string) (lo, hi Slot) { return within(TypeUpload, b, prefix) }

// UploadFromSlot is the bound before all uploads of a key, and
// AfterUploadsSlot the one after them.
func UploadFromSlot(b BucketID, key string) Slot { return keyed(TypeUpload, b, key, 0) }

// AfterUploadsSlot is the bound after all uploads of a key.
func AfterUploadsSlot(b BucketID, key string) Slot { return beyond(keyed(TypeUpload, b, key, 1)) }

// AfterUploadSlot is the bound after one upload of a key.
func AfterUploadSlot(b BucketID, key string, u UploadID) Slot {
	id := u.Bytes()
	return beyond(append(keyed(TypeUpload, b, key, len(id)+1), id[:]...))
}

// PartRange is the parts of an upload from a number on.
func PartRange(u UploadID, from uint32) (lo, hi Slot) {
	return PartSlot(u, from), beyond(ofUpload(TypePart, u, 1))
}

// DataOwnerRange is the owners of a data id.
func DataOwnerRange(d DataID) (lo, hi Slot) { return bound(dataOwners(d)), beyond(dataOwners(d)) }

// UploadOwnerRange is the owners of an upload.
func UploadOwnerRange(u UploadID) (lo, hi Slot) {
	return bound(uploadOwners(u)), beyond(uploadOwners(u))
}

// DocumentRange is the bucket's record and its documents.
func DocumentRange(b BucketID) (lo, hi Slot) { return within(TypeDocument, b, "") }

// AliasRange is the version ids of a key that are not made from positions.
func AliasRange(b BucketID, key string) (lo, hi Slot) {
	return bound(keyed(TypeAlias, b, key, 1)), beyond(keyed(TypeAlias, b, key, 1))
}

// BucketRange is all slots of one type in a bucket: TypeVersion, TypeUpload,
// TypeDocument or TypeAlias.
func BucketRange(t byte, b BucketID) (lo, hi Slot) { return within(t, b, "") }

// TypeRange is all slots of a type.
func TypeRange(t byte) (lo, hi Slot) { return bound([]byte{t}), bound([]byte{t + 1}) }

// key is the index key of a slot at a position.
func (s Slot) key(p Position) []byte {
	return s.appendKey(make([]byte, 0, len(s)+index.PositionSuffix), p)
}

func (s Slot) appendKey(dst []byte, p Position) []byte {
	dst = append(dst, s...)
	dst = binary.BigEndian.AppendUint64(dst, ^uint64(p))
	if s.Type() == TypeVersion {
		return append(dst, index.VersionSuffix)
	}
	return append(dst, index.PositionSuffix)
}

// seekKey is the least index key of a slot or bound, which is a valid key.
func (s Slot) seekKey() []byte {
	if s.Type() != TypeVersion {
		return s
	}
	if n := index.EscapedLen(s[min(len(s), 9):]); n == 0 || len(s) != 9+n+8 {
		return s
	}
	return s.key(MaxPosition)
}

// keySuffix is how many bytes a key has beyond its slot.
func keySuffix(Slot) int { return index.PositionSuffix }

// splitKey takes an index key apart; the slot is part of the key.
func splitKey(key []byte) (Slot, Position, bool) {
	n := len(key) - index.PositionSuffix
	if n < 1 || index.Split(key) > n {
		return nil, 0, false
	}
	return key[:n:n], Position(^binary.BigEndian.Uint64(key[n:])), true
}
