package sherd

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
)

// CompletedPart names a part of the object. ETag and Checksums are compared with
// those that it has, where they are given.
type CompletedPart struct {
	Number    int
	ETag      string
	Checksums []Checksum
}

// CompleteOptions of the completion of an upload. Nil: none.
type CompleteOptions struct {
	Conditions   Conditions
	MinPartBytes int64      // of every part but the last, else ErrPartTooSmall; S3 asks for 5 MiB
	Checksums    []Checksum // that the object must have, else ErrBadDigest
	Size         int64      // that the object must have, else ErrInvalidArgument; 0: any
}

// maxInlineRuns is how many runs of parts stand in an object's record itself,
// which listings read; more stand beside it.
const maxInlineRuns = 64

// CompleteUpload makes an object of the parts that are named, in their order,
// without moving a byte; other parts of the upload go. The object is then as if
// it had been put, and the upload is gone.
//
// [ErrPartOrder] unless numbers ascend, [ErrInvalidPart] for a part that is not
// there or is another one, [ErrPartTooSmall].
func (s *Store) CompleteUpload(ctx context.Context, bucketName, key, uploadID string, parts []CompletedPart, o *CompleteOptions) (info ObjectInfo, err error) {
	op := s.begin("complete upload", bucketName, key, "")
	defer op.end(&err)
	if o == nil {
		o = &CompleteOptions{}
	}
	id, err := layout.ParseUploadID(uploadID)
	if err != nil {
		return ObjectInfo{}, ErrNoSuchUpload
	}
	if err := checkParts(parts); err != nil {
		return ObjectInfo{}, err
	}
	b, held, err := s.enter(ctx, bucketName, key, func(b *bucket) []keylock.Want {
		return append(keyAlone(key)(b), keylock.Want{Key: uploadLock(id)})
	})
	if err != nil {
		return ObjectInfo{}, err
	}
	defer held.release()
	_, u, err := s.openUpload(ctx, bucketName, key, uploadID)
	if err != nil {
		return ObjectInfo{}, err
	}
	used, unused, err := s.chooseParts(ctx, held.set, id, u.Sealed != nil, parts, o.MinPartBytes)
	if err != nil {
		return ObjectInfo{}, err
	}
	c, err := s.replace(ctx, held.set, b, key, o.Conditions)
	if err != nil {
		return ObjectInfo{}, err
	}
	if err := c.fromParts(s, u, used, unused, o); err != nil {
		return ObjectInfo{}, err
	}
	op.bytes = c.record.Size
	return c.commit(ctx, s, held, nil)
}

func checkParts(parts []CompletedPart) error {
	if len(parts) == 0 || len(parts) > MaxPartNumber {
		return fmt.Errorf("%w: %d parts, 1 to %d are possible", ErrInvalidArgument, len(parts), MaxPartNumber)
	}
	before := 0
	for _, p := range parts {
		switch {
		case p.Number < 1 || p.Number > MaxPartNumber:
			return fmt.Errorf("%w: part number %d", ErrInvalidArgument, p.Number)
		case p.Number <= before:
			return fmt.Errorf("%w: %d behind %d", ErrPartOrder, p.Number, before)
		}
		before = p.Number
	}
	return nil
}

// chooseParts gives the parts of the upload that are named, and the others.
func (s *Store) chooseParts(ctx context.Context, set *driveset.Set, id layout.UploadID, sealed bool, parts []CompletedPart, minBytes int64) (used, unused []*version, err error) {
	next := 0
	for v, err := range readParts(ctx, set, id, 1) {
		if err != nil {
			return nil, nil, err
		}
		if next == len(parts) || int(v.Part) != parts[next].Number {
			unused = append(unused, v)
			continue
		}
		if err := parts[next].is(v); err != nil {
			return nil, nil, err
		}
		if (v.Sealed != nil) != sealed {
			return nil, nil, fmt.Errorf("%w: number %d is encrypted, and the upload is not, or the other way round", ErrInvalidPart, v.Part)
		}
		used = append(used, v)
		next++
	}
	if next < len(parts) {
		return nil, nil, fmt.Errorf("%w: number %d is not there", ErrInvalidPart, parts[next].Number)
	}
	for _, v := range used[:len(used)-1] {
		if v.Size < minBytes {
			return nil, nil, fmt.Errorf("%w: number %d has %d bytes, at least %d are needed", ErrPartTooSmall, v.Part, v.Size, minBytes)
		}
	}
	return used, unused, nil
}

// is says whether a part is the one that was named.
func (p CompletedPart) is(v *version) error {
	if p.ETag != "" && !etagIn(p.ETag, etagText(v.ETag)) {
		return fmt.Errorf("%w: number %d has another ETag", ErrInvalidPart, p.Number)
	}
	have := sums(v.Checksums)
	for _, want := range p.Checksums {
		if !slices.ContainsFunc(have, want.Equal) {
			return fmt.Errorf("%w: number %d has another %v", ErrInvalidPart, p.Number, want.Algorithm)
		}
	}
	return nil
}

// fromParts describes the object that parts become.
func (c *change) fromParts(s *Store, u *session, used, unused []*version, o *CompleteOptions) error {
	sums, err := u.checksums(used)
	if err != nil {
		return err
	}
	for _, want := range o.Checksums {
		if !slices.ContainsFunc(sums, want.Equal) {
			return fmt.Errorf("%w: %v", ErrBadDigest, want.Algorithm)
		}
	}
	r := &c.record
	retention := lock.Retention{Mode: lock.Mode(u.Retention.Mode), Until: u.Retention.Until}
	c.describe(&PutOptions{ContentType: u.ContentType, Headers: u.Headers, Metadata: u.Metadata, Tags: u.Tags,
		Owner: u.Owner, StorageClass: u.Storage, Access: u.Access}, sumsOfBody{checksums: sums})
	r.ETag, r.Flags, r.Sealed = md5OfParts(used), r.Flags|layout.FlagMultipart, u.Sealed
	runs := runsOf(used)
	for _, v := range used {
		r.Size += v.Size
	}
	switch {
	case o.Size != 0 && o.Size != r.Size:
		return fmt.Errorf("%w: the parts have %d bytes, not %d", ErrInvalidArgument, r.Size, o.Size)
	case r.Size > MaxObjectBytes:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, r.Size, int64(MaxObjectBytes))
	}
	r.Place = layout.Place{Kind: layout.PlaceParts, Size: r.Size, Upload: u.id, Parts: uint32(len(used))}
	if len(runs) <= maxInlineRuns {
		r.Place.Runs = runs
	}
	c.extra = func(layout.Position) ([]layout.Write, error) {
		writes := endOfSession(c.b, c.key, u.id)
		if r.Place.Runs == nil {
			value, err := layout.EncodeRuns(runs)
			if err != nil {
				return nil, err
			}
			writes = append(writes, layout.Write{Slot: layout.SizesSlot(u.id), Kind: layout.KindRecord, Value: value})
		}
		return giveUp(writes, u.id, unused)
	}
	explicit := lock.State{Retention: retention, LegalHold: u.LegalHold}
	if err = c.lock(s, explicit); errors.Is(err, lock.ErrInvalidRetention) && explicit.Validate() == nil {
		setLock(r, explicit) // its date has passed since the upload began: it protects nothing, and is no default's matter
		err = nil
	}
	return err
}

// giveUp empties parts that the object does not use: a record without bytes
// shadows them, as a part that is put again would.
func giveUp(writes []layout.Write, id layout.UploadID, unused []*version) ([]layout.Write, error) {
	for _, v := range unused {
		value, err := layout.EncodeRecord(&layout.Record{Head: layout.Head{Version: v.Version, Epoch: v.Epoch, Modified: v.Modified}})
		if err != nil {
			return nil, err
		}
		writes = append(writes, layout.Write{Slot: layout.PartSlot(id, v.Part), Kind: layout.KindRecord, Value: value})
		if v.Place.Kind == layout.PlaceFile {
			writes = append(writes, partOwnership(v.Place.Data, id, v.Part, layout.KindTombstone))
		}
	}
	return writes, nil
}

// checksums are those of the object: of the algorithm that the upload was begun
// with, else of the first that all of its parts have.
func (u *session) checksums(parts []*version) ([]Checksum, error) {
	algorithms := checksum.Algorithms()
	if u.ChecksumAlgo != 0 {
		algorithms = []ChecksumAlgorithm{checksum.Algorithm(u.ChecksumAlgo)}
	}
	for _, a := range algorithms {
		kind := a.DefaultType()
		if u.ChecksumType != 0 {
			kind = checksum.Type(u.ChecksumType)
		}
		values, missing := partSums(a, parts)
		if missing == 0 {
			sum, err := checksum.Combine(a, kind, values)
			return []Checksum{sum}, err
		}
		if u.ChecksumAlgo != 0 {
			return nil, fmt.Errorf("%w: number %d has no %v", ErrInvalidPart, missing, a)
		}
	}
	return nil, nil
}

// partSums gives the checksums of the parts, or the number of one that has none.
func partSums(a ChecksumAlgorithm, parts []*version) (values iter.Seq[checksum.Part], missing uint32) {
	out := make([]checksum.Part, len(parts))
	for i, v := range parts {
		at := slices.IndexFunc(v.Checksums, func(c layout.Checksum) bool { return checksum.Algorithm(c.Algorithm) == a })
		if at < 0 {
			return nil, v.Part
		}
		out[i] = checksum.Part{Value: v.Checksums[at].Value, Size: v.Size}
	}
	return slices.Values(out), 0
}

// runsOf gathers parts with consecutive numbers and equal sizes.
func runsOf(parts []*version) []layout.Run {
	var runs []layout.Run
	for _, v := range parts {
		if n := len(runs); n > 0 && runs[n-1].Size == v.Size && runs[n-1].First+runs[n-1].Count == v.Part {
			runs[n-1].Count++
			continue
		}
		runs = append(runs, layout.Run{First: v.Part, Count: 1, Size: v.Size})
	}
	return runs
}

// ObjectParts describes the parts of an object that was completed from parts;
// of any other there are none. Range, Part and Conditions are ignored.
func (s *Store) ObjectParts(ctx context.Context, bucketName, key string, o *GetOptions) (out []PartInfo, err error) {
	if o == nil {
		o = &GetOptions{}
	}
	op := s.begin("object parts", bucketName, key, o.VersionID)
	defer op.end(&err)
	obj, err := s.find(ctx, bucketName, key, &GetOptions{VersionID: o.VersionID})
	if err != nil {
		return nil, err
	}
	defer obj.unpin()
	return obj.parts(ctx)
}

// md5OfParts is the ETag that S3 gives an object from parts (API reference,
// CompleteMultipartUpload); none where a part has no MD5.
func md5OfParts(parts []*version) layout.ETag {
	if slices.ContainsFunc(parts, func(v *version) bool { return v.ETag.Kind != layout.ETagMD5 && v.ETag.Kind != layout.ETagHidden }) {
		return layout.ETag{}
	}
	h := md5.New()
	for _, v := range parts {
		h.Write(v.ETag.Sum[:])
	}
	return layout.ETag{Kind: layout.ETagParts, Parts: uint32(len(parts)), Sum: [md5.Size]byte(h.Sum(nil))}
}

// Append adds bytes at the end of the latest version of an object, without moving
// those that are there. offset must be its size, else [ErrWriteOffset]; at offset
// 0 an object that is not there is put, as the options say. An object that is
// there keeps its description, tags and access document: of the options count the
// digests, which are those of what is appended, the conditions, and the lock.
//
// In a bucket with versioning enabled a new version shares the bytes of the one
// before. Else the object grows: whoever reads it goes on reading what it was.
//
// The ETag of the object is then an id of the write. A checksum of all its bytes
// goes on as long as it is a CRC; others end. A part is added with each append,
// which Part of [GetOptions] reads; with [MaxPartNumber] of them, those of a
// multipart upload too, it is [ErrTooManyParts].
func (s *Store) Append(ctx context.Context, bucketName, key string, body io.Reader, size, offset int64, o *PutOptions) (info ObjectInfo, err error) {
	op := s.begin("append", bucketName, key, "")
	defer op.end(&err)
	if o == nil {
		o = &PutOptions{}
	}
	if err := s.validPut(key, size, o); err != nil {
		return ObjectInfo{}, err
	}
	b, err := s.bucket(ctx, bucketName)
	if err != nil {
		return ObjectInfo{}, err
	}
	set, err := s.setOf(ctx, b, key)
	if err != nil {
		return ObjectInfo{}, err
	}
	before, err := appendable(ctx, set, b, key, offset, o) // again under the lock; here it spares the body
	if err != nil {
		return ObjectInfo{}, err
	}
	staged, sums, err := s.stage(ctx, set, body, size, o.appended(before), s.spec(b, key, o.Parity))
	if err != nil {
		return ObjectInfo{}, err
	}
	defer staged.discard()
	if staged.Size == 0 {
		return ObjectInfo{}, fmt.Errorf("%w: nothing to append", ErrInvalidArgument)
	}
	b, held, err := s.enter(ctx, bucketName, key, keyAlone(key))
	if err != nil {
		return ObjectInfo{}, err
	}
	defer held.release()
	op.bytes = staged.Size
	c, err := s.replace(ctx, held.set, b, key, o.Conditions)
	if err != nil {
		return ObjectInfo{}, err
	}
	v := c.latest
	if v != nil {
		v, err = endsAt(b, key, v, offset, o)
	} else {
		v, err = appendable(ctx, held.set, b, key, offset, &PutOptions{Encryption: o.Encryption})
	}
	if err != nil {
		return ObjectInfo{}, err
	}
	if v == nil {
		c.describe(o, sums)
	}
	if err := c.lock(s, lock.State{Retention: o.Retention, LegalHold: o.LegalHold}); err != nil {
		return ObjectInfo{}, err
	}
	if v == nil {
		return c.commit(ctx, s, held, staged)
	}
	return c.grow(ctx, s, held, v, staged, sums)
}

// appendable is the version that bytes go to the end of, nil where there is none.
func appendable(ctx context.Context, set *driveset.Set, b *bucket, key string, offset int64, o *PutOptions) (*version, error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	v, err := latest(ctx, view, b, key)
	if err != nil {
		return nil, err
	}
	if err := o.Conditions.forWrite(v); err != nil {
		return nil, err
	}
	return endsAt(b, key, v, offset, o)
}

// endsAt gives nil for a version that is none, or a delete marker.
func endsAt(b *bucket, key string, v *version, offset int64, o *PutOptions) (*version, error) {
	if v == nil || v.Flags&layout.FlagMarker != 0 {
		if offset != 0 {
			return nil, fmt.Errorf("%w: there is none", ErrWriteOffset)
		}
		return nil, nil
	}
	switch {
	case offset != v.Size:
		return nil, &found{fmt.Errorf("%w: %d, not %d", ErrWriteOffset, v.Size, offset), b.info(key, v)}
	case v.Place.PartsInAll() >= MaxPartNumber:
		return nil, fmt.Errorf("%w: %d", ErrTooManyParts, MaxPartNumber)
	}
	if err := o.Encryption.fits(v.Sealed); err != nil {
		return nil, &found{err, b.info(key, v)}
	}
	return v, nil
}

// goesOn says whether a checksum of the whole can be made of one of the whole
// before and one of what is appended.
func goesOn(c layout.Checksum) bool {
	return checksum.Type(c.Type) == FullObject && checksum.Algorithm(c.Algorithm).Combines(FullObject)
}

// appended says which digests are wanted of what is appended to a version.
func (o *PutOptions) appended(v *version) digests {
	d := o.digests()
	if v == nil || v.Size == 0 {
		return d
	}
	var request ChecksumRequest
	if d.checksum != nil {
		request = *d.checksum
	}
	for _, c := range v.Checksums {
		if a := checksum.Algorithm(c.Algorithm); goesOn(c) && !slices.Contains(request.Algorithms, a) {
			request.Algorithms = append(slices.Clone(request.Algorithms), a)
		}
	}
	d.checksum = &request
	return d
}

// grown are the checksums of a version with bytes behind it.
func grown(v *version, size int64, appended []Checksum) (out []Checksum, err error) {
	if v.Size == 0 {
		return appended, nil
	}
	for _, before := range v.Checksums {
		i := slices.IndexFunc(appended, func(c Checksum) bool { return uint8(c.Algorithm) == before.Algorithm })
		if !goesOn(before) || i < 0 {
			continue
		}
		both := []checksum.Part{{Value: before.Value, Size: v.Size}, {Value: appended[i].Value, Size: size}}
		sum, err := checksum.Combine(appended[i].Algorithm, FullObject, slices.Values(both))
		if err != nil {
			return nil, err
		}
		out = append(out, sum)
	}
	return out, nil
}

// inPieces makes the bytes of a version that is in one piece the first part of a
// piece, which another version may then share: an entry that changes where they
// are and nothing else. Bytes in a shard file stay where they are.
func (s *Store) inPieces(ctx context.Context, b *bucket, key string, held *hold, v *version) (*version, error) {
	part := layout.Record{Head: layout.Head{Modified: v.Modified, Size: v.Size, ETag: v.ETag}}
	part.Checksums, part.Flags, part.Place, part.Sealed = v.Checksums, v.Flags&layout.FlagChecksum, v.Place, ofPart(v.Sealed)
	var change driveset.Change
	switch v.Place.Kind {
	case layout.PlaceFile:
	case layout.PlaceInline:
		staged, err := s.restage(ctx, held.set, held.set, b, key, v)
		if err != nil {
			return nil, err
		}
		defer staged.discard()
		change.Staged = staged.Staged
	default:
		return v, nil
	}
	out := *v
	err := s.commit(ctx, held, change, func(at layout.Position, owner layout.Owner) ([]layout.Write, error) {
		piece := layout.Piece{Upload: layout.UploadID{Epoch: owner.Epoch, Position: at}, Parts: 1, Size: v.Size}
		out.Place = layout.Place{Kind: layout.PlaceGrown, Size: v.Size, Pieces: []layout.Piece{piece}}
		out.at = at
		value, err := layout.EncodeRecord(&out.Record)
		if err != nil {
			return nil, err
		}
		writes := []layout.Write{{Slot: layout.VersionSlot(b.id, key, v.Version), Kind: layout.KindRecord, Value: value}}
		writes = v.ownership(writes, b, key, layout.KindTombstone)
		writes = out.ownership(writes, b, key, layout.KindRecord)
		part.Version, part.Epoch = at, owner.Epoch
		if change.Staged != nil {
			part.Place = change.Staged.Place
		}
		return piecePartWrites(writes, piece, &part)
	})
	return &out, err
}
