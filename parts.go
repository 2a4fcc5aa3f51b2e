package sherd

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/seal"
	"github.com/sherd-storage/sherd/layout"
)

// source finds the bytes of a version. It is safe for concurrent use.
type source struct {
	store *Store
	set   *driveset.Set // that has them
	ctx   context.Context
	b     *bucket
	key   string

	mu     sync.Mutex
	v      *version
	runs   partRuns            // of the parts of an upload that a version is in, once they are needed
	next   pieceEnd            // where a part that was appended was found last
	secret [seal.KeyBytes]byte // the key of an encrypted version, set before its bytes are read
}

// known is what is known of the version now.
func (o *source) known() (*version, partRuns) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.v, o.runs
}

// span is bytes that lie at one place.
type span struct {
	place  layout.Place
	sealed *layout.Sealed
	size   int64 // of all plain bytes there
	off, n int64
}

// openAt opens bytes of the version. Where they were removed the version is
// looked up once more: it may have been laid out anew.
func (o *source) openAt(at, n int64) (driveset.Data, error) {
	for try := 0; ; try++ {
		v, runs := o.known()
		sp, err := o.span(v, runs, at, n)
		if err != nil {
			return nil, err
		}
		data, err := o.openSpan(sp, v.Sealed != nil)
		if err == nil || try > 0 || !errors.Is(err, layout.ErrNotFound) {
			return data, err
		}
		if err := o.again(v, err); err != nil {
			return nil, err
		}
	}
}

// again looks the version's record up once more; gone is the error where it is
// as it was.
func (o *source) again(was *version, gone error) error {
	view, err := o.set.View(o.ctx)
	if err != nil {
		return err
	}
	defer view.Close()
	v, err := versionAt(o.ctx, view, o.b, o.key, was.Version)
	// Parts have records of their own, which the next look finds as they are then.
	if err == nil && (v == nil || v.Epoch != was.Epoch || v.at == was.at && v.Place.PartsInAll() == 0) {
		err = gone
	}
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.v, o.runs = v, nil
	return nil
}

// span says where bytes of the version are.
func (o *source) span(v *version, runs partRuns, off, n int64) (span, error) {
	if v.Place.PartsInAll() == 0 {
		return span{v.Place, v.Sealed, v.Size, off, n}, nil
	}
	if runs == nil {
		var err error
		if runs, err = o.loadRuns(v); err != nil {
			return span{}, err
		}
	}
	if number, begin, size, ok := runs.at(off); ok {
		part, err := uploadPart(o.ctx, o.set, v.Place.Upload, number, size)
		if err != nil {
			return span{}, err
		}
		return span{part.Place, part.Sealed, size, off - begin, min(n, begin+size-off)}, nil
	}
	begin := runs.bytes()
	for _, piece := range v.Place.Pieces {
		if off >= begin+piece.Size {
			begin += piece.Size
			continue
		}
		part, err := o.pieceAt(piece, off-begin)
		if err != nil {
			return span{}, err
		}
		begin += part.Offset
		return span{part.Place, part.Sealed, part.Size, off - begin, min(n, begin+part.Size-off)}, nil
	}
	return span{}, fmt.Errorf("%w: the parts have fewer bytes than the object", ErrDamaged)
}

// pieceEnd is the end of a part of a piece.
type pieceEnd struct {
	upload layout.UploadID
	part   uint32
	offset int64
}

// pieceAt finds the part of a piece that has the byte at an offset: the one
// behind the part that was found last, else by halving.
func (o *source) pieceAt(piece layout.Piece, off int64) (*version, error) {
	view, err := o.set.View(o.ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	o.mu.Lock()
	before := o.next
	o.mu.Unlock()
	low, high := uint32(1), piece.Parts // the part is one of these
	try := low + (high-low+1)/2
	if before.upload == piece.Upload && before.offset == off && before.part < piece.Parts {
		try = before.part + 1
	}
	for {
		v, err := piecePart(o.ctx, view, piece, try)
		switch {
		case err != nil:
			return nil, err
		case off < v.Offset && try > low:
			high = try - 1
		case off >= v.Offset+v.Size && try < high:
			low = try + 1
		case off < v.Offset || off >= v.Offset+v.Size:
			return nil, fmt.Errorf("%w: no part of upload %s has its byte %d", ErrDamaged, piece.Upload, off)
		default:
			o.mu.Lock()
			o.next = pieceEnd{piece.Upload, try, v.Offset + v.Size}
			o.mu.Unlock()
			return v, nil
		}
		try = low + (high-low)/2
	}
}

func piecePart(ctx context.Context, view *driveset.View, piece layout.Piece, number uint32) (*version, error) {
	v, err := readPart(ctx, view, piece.Upload, number)
	if err == nil && v == nil {
		err = fmt.Errorf("part %d of upload %s: %w", number, piece.Upload, layout.ErrNotFound)
	}
	return v, err
}

// part gives the range of a part of the version. What was appended is counted on
// from the last part of the upload before it, or from 1.
func (o *source) part(v *version, number int) (offset int64, info PartInfo, err error) {
	runs, err := o.loadRuns(v)
	if err != nil {
		return 0, info, err
	}
	view, err := o.set.View(o.ctx)
	if err != nil {
		return 0, info, err
	}
	defer view.Close()
	if offset, size, ok := runs.part(number); ok {
		part, err := piecePart(o.ctx, view, layout.Piece{Upload: v.Place.Upload}, uint32(number))
		if err == nil && part.Size != size {
			err = fmt.Errorf("%w: part %d has %d bytes, not %d", ErrDamaged, number, part.Size, size)
		}
		if err != nil {
			return 0, info, err
		}
		return offset, partInfo(&part.Record), nil
	}
	begin, before := runs.bytes(), int(runs.last())
	for _, piece := range v.Place.Pieces {
		if n := number - before; 1 <= n && n <= int(piece.Parts) {
			part, err := piecePart(o.ctx, view, piece, uint32(n))
			if err != nil {
				return 0, info, err
			}
			info = partInfo(&part.Record)
			info.Number = number
			return begin + part.Offset, info, nil
		}
		begin, before = begin+piece.Size, before+int(piece.Parts)
	}
	return 0, info, fmt.Errorf("%w: number %d", ErrInvalidPart, number)
}

// parts describes the parts of the version; none if it is in one piece.
func (o *source) parts(ctx context.Context) (out []PartInfo, err error) {
	place := o.v.Place
	if place.PartsInAll() == 0 {
		return nil, nil
	}
	runs, err := o.loadRuns(o.v)
	if err != nil {
		return nil, err
	}
	before := int(runs.last())
	if !place.Upload.IsZero() {
		for v, err := range readParts(ctx, o.set, place.Upload, 1) {
			if err != nil {
				return nil, err
			}
			if _, _, ok := runs.part(int(v.Part)); ok {
				out = append(out, partInfo(&v.Record))
			}
		}
	}
	for _, piece := range place.Pieces {
		for v, err := range readParts(ctx, o.set, piece.Upload, 1) {
			if err != nil {
				return nil, err
			}
			if v.Part > piece.Parts {
				break
			}
			info := partInfo(&v.Record)
			info.Number += before
			out = append(out, info)
		}
		before += int(piece.Parts)
	}
	return out, nil
}

// loadRuns reads the sizes of the parts.
func (o *source) loadRuns(v *version) (partRuns, error) {
	runs, err := readRuns(o.ctx, o.set, v.Place)
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.runs = runs
	}
	return runs, err
}

// partRuns are the parts of an upload that an object is in, by runs of equal size,
// with the offset at which each run begins.
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

// readRuns reads the sizes of the parts that an object is in.
func readRuns(ctx context.Context, set *driveset.Set, place layout.Place) (partRuns, error) {
	if len(place.Runs) > 0 || place.Upload.IsZero() {
		return newRuns(place.Runs), nil
	}
	view, err := set.View(ctx)
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

// bytes is how many bytes the parts have.
func (p partRuns) bytes() int64 {
	if len(p) == 0 {
		return 0
	}
	end := p[len(p)-1]
	return end.begin + int64(end.Count)*end.Size
}

// last is the highest number of a part; 0 where there is none.
func (p partRuns) last() uint32 {
	if len(p) == 0 {
		return 0
	}
	return p[len(p)-1].First + p[len(p)-1].Count - 1
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

// uploadPart is a part of an upload, which must have so many bytes.
func uploadPart(ctx context.Context, set *driveset.Set, id layout.UploadID, number uint32, size int64) (*version, error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	v, err := readPart(ctx, view, id, number)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, fmt.Errorf("part %d of upload %s: %w", number, id, layout.ErrNotFound)
	case v.Size != size:
		return nil, fmt.Errorf("%w: part %d of upload %s has %d bytes, not %d", ErrDamaged, number, id, v.Size, size)
	}
	return v, nil
}

// grow makes the change that puts staged bytes at the end of a version: the
// version itself where the change would remove it, else a new one.
func (c *change) grow(ctx context.Context, s *Store, held *hold, v *version, staged *staging, sums sumsOfBody) (ObjectInfo, error) {
	if v.Size+staged.Size > MaxObjectBytes {
		return ObjectInfo{}, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, int64(MaxObjectBytes))
	}
	if err := staged.to(ctx, held); err != nil {
		return ObjectInfo{}, err
	}
	all, err := grown(v, staged.Size, sums.checksums)
	if err != nil {
		return ObjectInfo{}, err
	}
	if v, err = s.inPieces(ctx, c.b, c.key, held, v); err != nil {
		return ObjectInfo{}, err
	}
	end, unlock, err := s.end(ctx, held.set, v)
	if err != nil {
		return ObjectInfo{}, err
	}
	own := held.unlock
	held.unlock = func() { unlock(); own() }
	itself := c.removed != nil && c.removed.Version == v.Version
	r := &c.record
	if itself {
		c.record = v.Record
	} else {
		state := version{Record: c.record} // its lock, which was decided
		c.record = v.Record
		r.Flags &= layout.FlagTagged
		r.ForeignID = ""
		setLock(r, state.lockState())
	}
	r.Size, r.Flags = v.Size+staged.Size, r.Flags|layout.FlagMultipart
	setChecksums(r, all)
	err = s.commit(ctx, held, driveset.Change{Staged: staged.Staged}, func(at layout.Position, owner layout.Owner) ([]layout.Write, error) {
		r.Modified = s.Now()
		r.Place = end.behind(v.Place, at, owner, staged.Size)
		r.ETag = opaqueETag(at, owner)
		r.ETag.Parts = uint32(r.Place.PartsInAll())
		var writes []layout.Write
		var err error
		if itself {
			writes, err = c.again(end)
		} else {
			r.Version, r.Epoch = at, owner.Epoch
			writes, err = c.writes(at)
		}
		if err != nil {
			return nil, err
		}
		part := layout.Record{Head: layout.Head{Version: at, Epoch: owner.Epoch, Modified: r.Modified, Size: staged.Size}}
		part.Place, part.Sealed, part.Offset = staged.Place, ofPart(staged.sealed), end.offset
		if part.ETag = sums.etag(); part.ETag.Kind == layout.ETagNone {
			part.ETag = opaqueETag(at, owner)
		}
		setChecksums(&part, sums.checksums)
		return piecePartWrites(writes, r.Place.Pieces[len(r.Place.Pieces)-1], &part)
	})
	if err != nil {
		return ObjectInfo{}, err
	}
	info := c.b.info(c.key, &version{Record: *r})
	info.Latest = true
	return info, nil
}

// again writes the version that grows, which owns one upload more where a piece
// was begun.
func (c *change) again(end pieceEnd) ([]layout.Write, error) {
	value, err := layout.EncodeRecord(&c.record)
	if err != nil {
		return nil, err
	}
	writes := []layout.Write{{Slot: layout.VersionSlot(c.b.id, c.key, c.record.Version), Kind: layout.KindRecord, Value: value}}
	if end.part == 0 {
		v := version{Record: c.record}
		begun := v.Place.Pieces[len(v.Place.Pieces)-1].Upload
		writes = append(writes, layout.Write{Slot: layout.UploadOwnerSlot(begun, v.owner(c.b.id, c.key)), Kind: layout.KindRecord, Value: []byte{}})
	}
	return writes, nil
}

// end is where the next part of a version goes: behind the last part of its last
// piece, or to the beginning of a new one, where that place is taken by another
// version or there is no piece. The upload's lock is held until unlock.
func (s *Store) end(ctx context.Context, set *driveset.Set, v *version) (end pieceEnd, unlock func(), err error) {
	pieces := v.Place.Pieces
	if len(pieces) == 0 {
		return end, func() {}, nil
	}
	last := pieces[len(pieces)-1]
	// Whoever holds this lock waits for no other, so that it may be taken by itself.
	if unlock, err = s.locks.Lock(ctx, uploadLock(last.Upload)); err != nil {
		return end, nil, err
	}
	taken, err := partAt(ctx, set, last.Upload, last.Parts+1)
	switch {
	case err != nil:
	case taken == nil:
		return pieceEnd{last.Upload, last.Parts, last.Size}, unlock, nil
	case len(pieces) == layout.MaxPieces:
		err = fmt.Errorf("%w: %d pieces that others share", ErrTooManyParts, len(pieces))
	default:
		return end, unlock, nil
	}
	unlock()
	return end, nil, err
}

func partAt(ctx context.Context, set *driveset.Set, id layout.UploadID, number uint32) (*version, error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	return readPart(ctx, view, id, number)
}

// behind is a place with bytes behind it.
func (end pieceEnd) behind(place layout.Place, at layout.Position, owner layout.Owner, size int64) layout.Place {
	out := layout.Place{Kind: layout.PlaceGrown, Size: place.Size + size, Upload: place.Upload, Runs: place.Runs, Parts: place.Parts}
	out.Pieces = append(out.Pieces, place.Pieces...)
	if end.part == 0 {
		out.Pieces = append(out.Pieces, layout.Piece{Upload: layout.UploadID{Epoch: owner.Epoch, Position: at}, Parts: 1, Size: size})
		return out
	}
	last := &out.Pieces[len(out.Pieces)-1]
	last.Parts, last.Size = last.Parts+1, last.Size+size
	return out
}

// piecePartWrites adds the last part of a piece.
func piecePartWrites(writes []layout.Write, piece layout.Piece, r *layout.Record) ([]layout.Write, error) {
	r.Part = piece.Parts
	value, err := layout.EncodeRecord(r)
	if err != nil {
		return nil, err
	}
	writes = append(writes, layout.Write{Slot: layout.PartSlot(piece.Upload, r.Part), Kind: layout.KindRecord, Value: value})
	if r.Place.Kind == layout.PlaceFile {
		writes = append(writes, partOwnership(r.Place.Data, piece.Upload, r.Part, layout.KindRecord))
	}
	return writes, nil
}
