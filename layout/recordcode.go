package layout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sherd-storage/sherd/layout/internal/wire"
)

// Limits of values in the index, in bytes and pieces. What is larger is
// refused, when it is written and when it is read.
const (
	MaxRecord = 512 << 10 // a version's, part's, session's or bucket's record
	MaxRuns   = 10_000    // as many as an upload may have parts
	MaxPieces = 64        // of one object

	MaxEnvelope = 2 << 10 // of an encrypted version

	headBytes     = 59
	recordVersion = 1
	bodyKeys      = 14
	sessionKeys   = 14
	bucketKeys    = 8
	sealedKind    = 1 // of the transforms
)

type (
	wireChecksum struct {
		_         struct{} `cbor:",toarray"`
		Algorithm uint8
		Type      uint8
		Parts     uint32
		Value     []byte
	}
	wireRetention struct {
		_       struct{} `cbor:",toarray"`
		Mode    uint8
		Seconds int64
		Nanos   uint32
	}
	wireTransform struct {
		_          struct{} `cbor:",toarray"`
		Kind       uint32
		Parameters []byte
	}
	wireRun struct {
		_     struct{} `cbor:",toarray"`
		First uint32
		Count uint32
		Size  int64
	}
	wirePiece struct {
		_      struct{} `cbor:",toarray"`
		Upload []byte
		Parts  uint32
		Size   int64
	}
	wirePlace struct {
		Kind   PlaceKind   `cbor:"1,keyasint,omitempty"`
		Data   []byte      `cbor:"2,keyasint,omitempty"`
		Parity uint8       `cbor:"3,keyasint,omitempty"`
		Drives []byte      `cbor:"4,keyasint,omitempty"`
		Size   int64       `cbor:"5,keyasint,omitempty"`
		Upload []byte      `cbor:"6,keyasint,omitempty"`
		Runs   []wireRun   `cbor:"7,keyasint,omitempty"`
		Parts  uint32      `cbor:"8,keyasint,omitempty"`
		Pieces []wirePiece `cbor:"9,keyasint,omitempty"`
	}
	wireBody struct {
		Place       *wirePlace        `cbor:"1,keyasint,omitempty"`
		ContentType string            `cbor:"2,keyasint,omitempty"`
		Headers     map[string]string `cbor:"3,keyasint,omitempty"`
		Metadata    map[string]string `cbor:"4,keyasint,omitempty"`
		Tags        map[string]string `cbor:"5,keyasint,omitempty"`
		Checksums   []wireChecksum    `cbor:"6,keyasint,omitempty"`
		Retention   *wireRetention    `cbor:"7,keyasint,omitempty"`
		LegalHold   bool              `cbor:"8,keyasint,omitempty"`
		Transforms  []wireTransform   `cbor:"9,keyasint,omitempty"`
		ForeignID   string            `cbor:"10,keyasint,omitempty"`
		Owner       string            `cbor:"11,keyasint,omitempty"`
		Part        uint32            `cbor:"12,keyasint,omitempty"`
		Access      []byte            `cbor:"13,keyasint,omitempty"`
		Offset      int64             `cbor:"14,keyasint,omitempty"`
	}
	wireSession struct {
		Begun        int64             `cbor:"1,keyasint,omitempty"`
		ContentType  string            `cbor:"2,keyasint,omitempty"`
		Headers      map[string]string `cbor:"3,keyasint,omitempty"`
		Metadata     map[string]string `cbor:"4,keyasint,omitempty"`
		Tags         map[string]string `cbor:"5,keyasint,omitempty"`
		Retention    *wireRetention    `cbor:"6,keyasint,omitempty"`
		LegalHold    bool              `cbor:"7,keyasint,omitempty"`
		Storage      uint8             `cbor:"8,keyasint,omitempty"`
		ChecksumAlgo uint8             `cbor:"9,keyasint,omitempty"`
		ChecksumType uint8             `cbor:"10,keyasint,omitempty"`
		Owner        string            `cbor:"11,keyasint,omitempty"`
		Parity       uint8             `cbor:"12,keyasint,omitempty"`
		Access       []byte            `cbor:"13,keyasint,omitempty"`
		Transforms   []wireTransform   `cbor:"14,keyasint,omitempty"`
	}
	wireBucket struct {
		ID         uint64 `cbor:"1,keyasint,omitempty"`
		Name       string `cbor:"2,keyasint,omitempty"`
		Created    int64  `cbor:"3,keyasint,omitempty"`
		Versioning uint8  `cbor:"4,keyasint,omitempty"`
		Closed     bool   `cbor:"5,keyasint,omitempty"`
		ObjectLock bool   `cbor:"6,keyasint,omitempty"`
		Owner      string `cbor:"7,keyasint,omitempty"`
		Region     string `cbor:"8,keyasint,omitempty"`
	}
)

// EncodeRecord gives the stored form of a record: the same bytes for the same
// record, always.
func EncodeRecord(r *Record) ([]byte, error) {
	return AppendRecord(make([]byte, 0, headBytes+192), r)
}

// AppendRecord appends the stored form of a record to dst.
func AppendRecord(dst []byte, r *Record) ([]byte, error) {
	if r.Size < 0 {
		return dst, fmt.Errorf("%w: a size of %d bytes", ErrBadRecord, r.Size)
	}
	if err := r.Place.check(); err != nil {
		return dst, err
	}
	if r.Offset < 0 {
		return dst, fmt.Errorf("%w: a negative offset", ErrBadRecord)
	}
	transforms, err := r.Sealed.wire()
	if err != nil {
		return dst, err
	}
	before := len(dst)
	dst = append(dst, recordVersion, r.Storage)
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.Flags))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Version))
	dst = binary.BigEndian.AppendUint64(dst, r.Epoch)
	dst = binary.BigEndian.AppendUint64(dst, uint64(nanos(r.Modified)))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Size))
	dst = append(dst, byte(r.ETag.Kind))
	dst = binary.BigEndian.AppendUint32(dst, r.ETag.Parts)
	dst = append(dst, r.ETag.Sum[:]...)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	body := r.Body.wire()
	body.Transforms = transforms
	dst, err = appendMap(dst, body, r.Unknown)
	if err == nil && len(dst)-before > MaxRecord {
		err = fmt.Errorf("%w: a record of %d bytes", ErrBadRecord, len(dst)-before)
	}
	return dst, err
}

func appendMap(dst []byte, v any, unknown map[uint64][]byte) ([]byte, error) {
	dst, err := wire.Append(dst, v, unknown)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrBadRecord, err)
	}
	return dst, err
}

// DecodeHead reads the fixed part of a record and nothing else; it allocates
// nothing. ErrNewerFormat for a record version that is not known.
func DecodeHead(value []byte) (Head, error) {
	h, _, err := decodeHead(value)
	return h, err
}

func decodeHead(value []byte) (h Head, body []byte, err error) {
	if len(value) < headBytes || len(value) > MaxRecord {
		return h, nil, fmt.Errorf("%w: a record of %d bytes", ErrBadRecord, len(value))
	}
	if value[0] != recordVersion {
		return h, nil, fmt.Errorf("%w: record version %d", ErrNewerFormat, value[0])
	}
	more := headBytes + int(binary.BigEndian.Uint16(value[57:]))
	if more > len(value) {
		return h, nil, fmt.Errorf("%w: a head beyond the record's end", ErrBadRecord)
	}
	h = Head{
		Storage:  value[1],
		Flags:    Flags(binary.BigEndian.Uint16(value[2:])),
		Version:  Position(binary.BigEndian.Uint64(value[4:])),
		Epoch:    binary.BigEndian.Uint64(value[12:]),
		Modified: fromNanos(int64(binary.BigEndian.Uint64(value[20:]))),
		Size:     int64(binary.BigEndian.Uint64(value[28:])),
		ETag: ETag{
			Kind:  ETagKind(value[36]),
			Parts: binary.BigEndian.Uint32(value[37:]),
			Sum:   [16]byte(value[41:]),
		},
	}
	if h.Size < 0 {
		return h, nil, fmt.Errorf("%w: a negative size", ErrBadRecord)
	}
	return h, value[more:], nil
}

// DecodeRecord reads a whole record. It keeps nothing of value but Unknown.
// ErrBadRecord when it is none, ErrNewerFormat when it needs a newer version:
// a place, transform or key within the place that is not known.
func DecodeRecord(value []byte) (*Record, error) {
	h, body, err := decodeHead(value)
	if err != nil {
		return nil, err
	}
	r := &Record{Head: h}
	var w wireBody
	unknown, err := decodeKeeping("record", body, &w, bodyKeys)
	if err != nil {
		return nil, err
	}
	r.Body = Body{
		ContentType: w.ContentType, Headers: w.Headers, Metadata: w.Metadata, Tags: w.Tags,
		Retention: w.Retention.retention(), LegalHold: w.LegalHold,
		ForeignID: w.ForeignID, Owner: w.Owner, Part: w.Part, Access: w.Access, Offset: w.Offset, Unknown: unknown,
	}
	if r.Sealed, err = sealed(w.Transforms); err != nil {
		return nil, err
	}
	if r.Offset < 0 {
		return nil, fmt.Errorf("%w: a negative offset", ErrBadRecord)
	}
	if r.Checksums, err = checksums(w.Checksums), nil; w.Place != nil {
		r.Place, err = w.Place.place()
	}
	return r, err
}

func decodeKeeping(what string, value []byte, v any, last uint64) (map[uint64][]byte, error) {
	if len(value) > MaxRecord {
		return nil, fmt.Errorf("%w: %s of %d bytes", ErrBadRecord, what, len(value))
	}
	unknown, err := wire.UnmarshalKeeping(value, v, last)
	switch {
	case errors.Is(err, wire.ErrUnknownKey):
		return nil, fmt.Errorf("%w: %s: %w", ErrNewerFormat, what, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrBadRecord, what, err)
	}
	return unknown, nil
}

func (b *Body) wire() *wireBody {
	w := &wireBody{
		ContentType: b.ContentType, Headers: b.Headers, Metadata: b.Metadata, Tags: b.Tags,
		Retention: wireOf(b.Retention), LegalHold: b.LegalHold,
		ForeignID: b.ForeignID, Owner: b.Owner, Part: b.Part, Access: b.Access, Offset: b.Offset,
	}
	for _, c := range b.Checksums {
		w.Checksums = append(w.Checksums, wireChecksum{Algorithm: c.Algorithm, Type: c.Type, Parts: c.Parts, Value: c.Value})
	}
	w.Place = b.Place.wire()
	return w
}

func checksums(in []wireChecksum) (out []Checksum) {
	for _, c := range in {
		out = append(out, Checksum{Algorithm: c.Algorithm, Type: c.Type, Parts: c.Parts, Value: c.Value})
	}
	return out
}

func wireOf(r Retention) *wireRetention {
	if r.Mode == 0 && r.Until.IsZero() {
		return nil
	}
	return &wireRetention{Mode: r.Mode, Seconds: r.Until.Unix(), Nanos: uint32(r.Until.Nanosecond())}
}

func (w *wireRetention) retention() Retention {
	if w == nil {
		return Retention{}
	}
	return Retention{Mode: w.Mode, Until: time.Unix(w.Seconds, int64(w.Nanos)).UTC()}
}

func (p *Place) wire() *wirePlace {
	if p.Kind == PlaceNone {
		return nil
	}
	w := &wirePlace{Kind: p.Kind, Parity: p.Parity, Drives: joinDrives(p.Drives), Size: p.Size, Parts: p.Parts, Runs: wireRuns(p.Runs)}
	if !p.Data.IsZero() {
		id := p.Data.Bytes()
		w.Data = id[:]
	}
	if !p.Upload.IsZero() {
		id := p.Upload.Bytes()
		w.Upload = id[:]
	}
	for _, piece := range p.Pieces {
		id := piece.Upload.Bytes()
		w.Pieces = append(w.Pieces, wirePiece{Upload: id[:], Parts: piece.Parts, Size: piece.Size})
	}
	return w
}

func (w *wirePlace) place() (p Place, err error) {
	p = Place{Kind: w.Kind, Parity: w.Parity, Size: w.Size, Parts: w.Parts}
	var ok bool
	p.Drives, ok = splitDrives(w.Drives)
	switch len(w.Data) {
	case 0:
	case DataIDBytes:
		p.Data = DataIDFrom([DataIDBytes]byte(w.Data))
	default:
		ok = false
	}
	switch len(w.Upload) {
	case 0:
	case UploadIDBytes:
		p.Upload = UploadIDFrom([UploadIDBytes]byte(w.Upload))
	default:
		ok = false
	}
	for _, piece := range w.Pieces {
		if len(piece.Upload) != UploadIDBytes {
			ok = false
			break
		}
		p.Pieces = append(p.Pieces, Piece{UploadIDFrom([UploadIDBytes]byte(piece.Upload)), piece.Parts, piece.Size})
	}
	if !ok {
		return Place{}, fmt.Errorf("%w: a place with an id of the wrong length", ErrBadRecord)
	}
	if p.Runs, err = runs(w.Runs); err != nil {
		return Place{}, err
	}
	return p, p.check()
}

// check refuses places that can not be.
func (p *Place) check() error {
	k, _ := p.Geometry()
	bad := false
	switch p.Kind {
	case PlaceNone:
		return nil
	case PlaceInline, PlaceFile:
		bad = p.Data.IsZero() || k < 1 || len(p.Drives) > MaxDrives || p.ofUpload() || len(p.Pieces) != 0
	case PlaceParts:
		bad = p.Upload.IsZero() || p.Parts == 0 || !p.Data.IsZero() || len(p.Drives) != 0 || p.Parity != 0 || len(p.Pieces) != 0
	case PlaceGrown:
		bad = !p.Data.IsZero() || len(p.Drives) != 0 || p.Parity != 0 || !p.grown()
	default:
		return fmt.Errorf("%w: place kind %d", ErrNewerFormat, p.Kind)
	}
	if bad || p.Size < 0 {
		return fmt.Errorf("%w: an impossible place of kind %d", ErrBadRecord, p.Kind)
	}
	return nil
}

// ofUpload says that the place has to do with an upload.
func (p *Place) ofUpload() bool { return len(p.Runs) != 0 || p.Parts != 0 || !p.Upload.IsZero() }

// grown says whether the pieces and what is before them can be.
func (p *Place) grown() bool {
	rest := p.Size
	for _, piece := range p.Pieces {
		if piece.Upload.IsZero() || piece.Parts == 0 || piece.Size < 0 || piece.Size > rest {
			return false
		}
		rest -= piece.Size
	}
	if p.Upload.IsZero() && (p.ofUpload() || rest != 0) || !p.Upload.IsZero() && p.Parts == 0 {
		return false
	}
	return 1 <= len(p.Pieces) && len(p.Pieces) <= MaxPieces
}

func wireRuns(in []Run) (out []wireRun) {
	for _, r := range in {
		out = append(out, wireRun{First: r.First, Count: r.Count, Size: r.Size})
	}
	return out
}

func runs(in []wireRun) ([]Run, error) {
	if len(in) > MaxRuns {
		return nil, fmt.Errorf("%w: %d runs", ErrBadRecord, len(in))
	}
	var out []Run
	next := uint64(0)
	for _, r := range in {
		if r.Size < 0 || r.Count == 0 || uint64(r.First) < next || uint64(r.First)+uint64(r.Count) > 1<<32 {
			return nil, fmt.Errorf("%w: runs out of order, empty or too long", ErrBadRecord)
		}
		next = uint64(r.First) + uint64(r.Count)
		out = append(out, Run{First: r.First, Count: r.Count, Size: r.Size})
	}
	return out, nil
}

// EncodeRuns gives the content of an `e` record.
func EncodeRuns(in []Run) ([]byte, error) {
	w := wireRuns(in)
	if _, err := runs(w); err != nil {
		return nil, err
	}
	return wire.Marshal(w)
}

// DecodeRuns is the inverse of EncodeRuns.
func DecodeRuns(value []byte) ([]Run, error) {
	var w []wireRun
	if err := decode("runs", value, MaxRecord, &w); err != nil {
		return nil, err
	}
	return runs(w)
}

// EncodeSession gives the stored form of an upload's session.
func EncodeSession(s *Session) ([]byte, error) {
	transforms, err := s.Sealed.wire()
	if err != nil {
		return nil, err
	}
	return limited(appendMap(nil, &wireSession{
		Begun: nanos(s.Begun), ContentType: s.ContentType, Headers: s.Headers, Metadata: s.Metadata, Tags: s.Tags,
		Retention: wireOf(s.Retention), LegalHold: s.LegalHold, Storage: s.Storage,
		ChecksumAlgo: s.ChecksumAlgo, ChecksumType: s.ChecksumType, Owner: s.Owner, Parity: s.Parity, Access: s.Access,
		Transforms: transforms,
	}, s.Unknown))
}

// DecodeSession is the inverse of EncodeSession.
func DecodeSession(value []byte) (*Session, error) {
	var w wireSession
	unknown, err := decodeKeeping("session", value, &w, sessionKeys)
	if err != nil {
		return nil, err
	}
	e, err := sealed(w.Transforms)
	if err != nil {
		return nil, err
	}
	return &Session{
		Begun: fromNanos(w.Begun), ContentType: w.ContentType, Headers: w.Headers, Metadata: w.Metadata, Tags: w.Tags,
		Retention: w.Retention.retention(), LegalHold: w.LegalHold, Storage: w.Storage,
		ChecksumAlgo: w.ChecksumAlgo, ChecksumType: w.ChecksumType, Owner: w.Owner, Parity: w.Parity, Access: w.Access, Sealed: e, Unknown: unknown,
	}, nil
}

// EncodeBucket gives the stored form of a bucket's record.
func EncodeBucket(b *Bucket) ([]byte, error) {
	return limited(appendMap(nil, &wireBucket{
		ID: uint64(b.ID), Name: b.Name, Created: nanos(b.Created), Versioning: b.Versioning,
		Closed: b.Closed, ObjectLock: b.ObjectLock, Owner: b.Owner, Region: b.Region,
	}, b.Unknown))
}

// DecodeBucket is the inverse of EncodeBucket.
func DecodeBucket(value []byte) (*Bucket, error) {
	var w wireBucket
	unknown, err := decodeKeeping("bucket", value, &w, bucketKeys)
	if err != nil {
		return nil, err
	}
	return &Bucket{
		ID: BucketID(w.ID), Name: w.Name, Created: fromNanos(w.Created), Versioning: w.Versioning,
		Closed: w.Closed, ObjectLock: w.ObjectLock, Owner: w.Owner, Region: w.Region, Unknown: unknown,
	}, nil
}

func limited(value []byte, err error) ([]byte, error) {
	if err == nil && len(value) > MaxRecord {
		err = fmt.Errorf("%w: %d bytes", ErrBadRecord, len(value))
	}
	return value, err
}
