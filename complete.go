package sherd

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/sherd-storage/sherd/internal/checksum"
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
	b, held, err := s.enter(ctx, bucketName, func(b *bucket) []keylock.Want {
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
	used, unused, err := s.chooseParts(ctx, id, parts, o.MinPartBytes)
	if err != nil {
		return ObjectInfo{}, err
	}
	c, err := s.replace(ctx, b, key, o.Conditions)
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
func (s *Store) chooseParts(ctx context.Context, id layout.UploadID, parts []CompletedPart, minBytes int64) (used, unused []*version, err error) {
	next := 0
	for v, err := range s.parts(ctx, id, 1) {
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
		Owner: u.Owner, StorageClass: u.Storage}, sumsOfBody{checksums: sums})
	r.ETag, r.Flags = md5OfParts(used), r.Flags|layout.FlagMultipart
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
	if obj.v.Place.Kind != layout.PlaceParts {
		return nil, nil
	}
	runs, err := s.partRuns(ctx, obj.v.Place)
	if err != nil {
		return nil, err
	}
	for v, err := range s.parts(ctx, obj.v.Place.Upload, 1) {
		if err != nil {
			return nil, err
		}
		if _, _, ok := runs.part(int(v.Part)); ok {
			out = append(out, partInfo(&v.Record))
		}
	}
	return out, nil
}

// partRuns are the parts of an object, by runs of equal size, with the offset at
// which each run begins.
type partRuns []runAt

type runAt struct {
	layout.Run
	begin int64
}

func newRuns(runs []layout.Run) partRuns {
	out := make(partRuns, len(runs))
	var begin int64
	for i, r := range runs {
		out[i] = runAt{r, begin}
		begin += int64(r.Count) * r.Size
	}
	return out
}

// partRuns reads the sizes of the parts that an object is in.
func (s *Store) partRuns(ctx context.Context, place layout.Place) (partRuns, error) {
	if len(place.Runs) > 0 {
		return newRuns(place.Runs), nil
	}
	view, err := s.set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	item, ok, err := view.Get(ctx, layout.SizesSlot(place.Upload))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("the sizes of upload %s: %w", place.Upload, layout.ErrNotFound)
	}
	runs, err := layout.DecodeRuns(item.Value)
	return newRuns(runs), err
}

// part gives the offset and the size of a part in the object.
func (p partRuns) part(number int) (offset, size int64, ok bool) {
	i := sort.Search(len(p), func(i int) bool { return int(p[i].First)+int(p[i].Count) > number })
	if i == len(p) || number < int(p[i].First) {
		return 0, 0, false
	}
	return p[i].begin + int64(number-int(p[i].First))*p[i].Size, p[i].Size, true
}

// at gives the part that has the byte at an offset of the object.
func (p partRuns) at(offset int64) (number uint32, begin, size int64, ok bool) {
	i := sort.Search(len(p), func(i int) bool { return p[i].begin+int64(p[i].Count)*p[i].Size > offset })
	if i == len(p) {
		return 0, 0, 0, false
	}
	n := (offset - p[i].begin) / p[i].Size
	return p[i].First + uint32(n), p[i].begin + n*p[i].Size, p[i].Size, true
}

// partPlace is where the bytes of a part are.
func (s *Store) partPlace(ctx context.Context, id layout.UploadID, number uint32, size int64) (layout.Place, error) {
	view, err := s.set.View(ctx)
	if err != nil {
		return layout.Place{}, err
	}
	defer view.Close()
	v, err := readPart(ctx, view, id, number)
	switch {
	case err != nil:
		return layout.Place{}, err
	case v == nil:
		return layout.Place{}, fmt.Errorf("part %d of upload %s: %w", number, id, layout.ErrNotFound)
	case v.Size != size:
		return layout.Place{}, fmt.Errorf("%w: part %d of upload %s has %d bytes, not %d", ErrDamaged, number, id, v.Size, size)
	}
	return v.Place, nil
}

// md5OfParts is the ETag that S3 gives an object from parts (API reference,
// CompleteMultipartUpload); none where a part has no MD5.
func md5OfParts(parts []*version) layout.ETag {
	if slices.ContainsFunc(parts, func(v *version) bool { return v.ETag.Kind != layout.ETagMD5 }) {
		return layout.ETag{}
	}
	h := md5.New()
	for _, v := range parts {
		h.Write(v.ETag.Sum[:])
	}
	return layout.ETag{Kind: layout.ETagParts, Parts: uint32(len(parts)), Sum: [md5.Size]byte(h.Sum(nil))}
}
