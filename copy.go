package sherd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
)

// Source is what is copied.
type Source struct {
	Bucket, Key, VersionID string
	// Conditions on the source: ErrPrecondition where one does not hold.
	Conditions Conditions
	// Unlock gives the key of an encrypted source, as GetOptions.Key: it is asked
	// where its bytes are read.
	Unlock func(envelope []byte) ([32]byte, error)
}

func (from *Source) get() *GetOptions {
	return &GetOptions{VersionID: from.VersionID, Key: from.Unlock}
}

// CopyOptions of a copy. Nil: the copy is described as its source is.
type CopyOptions struct {
	// PutOptions describe the copy as far as the two fields below say so, and
	// its lock and owner. ContentMD5, Verify and Parity mean nothing: the bytes
	// are those of the source, where and as they are.
	PutOptions
	ReplaceMetadata bool // ContentType, Headers and Metadata are those of PutOptions
	ReplaceTags     bool
	// KeepEncryption lets the copy of an encrypted source have its key and its
	// envelope; Encryption must be nil then. Only where the bytes must be moved
	// Source.Unlock is asked. Else the copy is encrypted as Encryption says: bytes of
	// an encrypted source, and those of a copy that is encrypted, are read and
	// written anew, in one piece.
	KeepEncryption bool
}

// rewrites says whether the bytes of a version are written anew for the copy, as its
// key is another one.
func (o *CopyOptions) rewrites(v *version) bool {
	return o.Encryption != nil || v.Sealed != nil && !o.KeepEncryption
}

// keepsETag says whether the copy may have the ETag of its source.
func (o *CopyOptions) keepsETag(v *version) bool {
	return !o.rewrites(v) || v.ETag.Kind != layout.ETagHidden && !o.hidesETag()
}

// hidesETag says that the ETag of the copy is no MD5.
func (o *CopyOptions) hidesETag() bool { return o.Encryption != nil && o.Encryption.HideMD5 }

// Copy makes an object of the bytes of another one, without moving them: both
// use the same shards, each of them keeps them. Only where the two keys live in
// different sets of drives they are read and written again, and what was put
// together from parts is in one piece then. It is decided on the source as it
// is when the copy is made, which may be the object itself.
//
// The copy has the ETag and the checksums of its source. A checksum or an MD5
// that is asked for and that the source does not have is computed, which reads
// the bytes.
func (s *Store) Copy(ctx context.Context, from Source, bucketName, key string, o *CopyOptions) (info ObjectInfo, err error) {
	op := s.begin("copy", bucketName, key, "")
	defer op.end(&err)
	if o == nil {
		o = &CopyOptions{}
	}
	if err := errors.Join(checkKey(from.Key), checkKey(key)); err != nil {
		return ObjectInfo{}, err
	}
	if err := o.validate(s.drives()); err != nil {
		return ObjectInfo{}, err
	}
	if o.KeepEncryption && o.Encryption != nil {
		return ObjectInfo{}, fmt.Errorf("%w: an encryption, and that of the source", ErrInvalidArgument)
	}
	var known computed
	defer func() { known.discard() }()
	for range copyTries {
		info, err = s.copyOnce(ctx, from, bucketName, key, o, &known)
		switch {
		case errors.Is(err, errCompute):
			known, err = s.compute(ctx, from, o)
		case errors.Is(err, errMove):
			known.discard()
			known, err = s.carry(ctx, from, bucketName, key, o)
		default:
			op.bytes = info.Size
			return info, err
		}
		if err != nil {
			return ObjectInfo{}, err
		}
	}
	return ObjectInfo{}, fmt.Errorf("%w: the source changes again and again", ErrUnavailable)
}

const (
	copyTries = 4
	// sharedParts is how many parts of an object that was appended to a copy shares
	// with it. Beyond, the copy is laid out anew, and may be appended to as often as
	// any other.
	sharedParts = 1000
)

// errCompute: the source lacks a digest that is asked for.
var errCompute = errors.New("digests of the source are not known")

// errMove: the bytes of the source are in another set than the copy is to be in.
var errMove = errors.New("the copy is in another set than its source")

// computed is digests of a version of a source, and its bytes where they had to be
// moved.
type computed struct {
	bucket layout.BucketID
	of     layout.Position
	epoch  uint64
	size   int64 // a version that is appended to is another one
	sums   sumsOfBody
	moved  *staging
}

func (c *computed) is(src *bucket, v *version) bool {
	return c.of == v.Version && c.epoch == v.Epoch && c.size == v.Size && c.bucket == src.id
}

func (c *computed) discard() {
	if c.moved != nil {
		c.moved.discard()
		c.moved = nil
	}
}

func (s *Store) copyOnce(ctx context.Context, from Source, bucketName, key string, o *CopyOptions, known *computed) (ObjectInfo, error) {
	src, b, held, err := s.enterBoth(ctx, from, bucketName, key)
	if err != nil {
		return ObjectInfo{}, err
	}
	defer held.release()
	v, err := s.copySource(ctx, src, from)
	if err != nil {
		return ObjectInfo{}, err
	}
	where, apart, err := s.apart(ctx, src, from.Key, held, key)
	if err != nil {
		return ObjectInfo{}, err
	}
	inline, rewrites := v.Place.Kind == layout.PlaceInline, o.rewrites(v)
	apart = apart || v.Place.Kind == layout.PlaceGrown && v.Place.PartsInAll() > sharedParts
	if apart = rewrites || apart && !inline && v.Place.Kind != layout.PlaceNone; apart && (known.moved == nil || !known.is(src, v)) {
		return ObjectInfo{}, errMove
	}
	sums, err := digestsOfCopy(src, v, o, known)
	if err != nil {
		return ObjectInfo{}, err
	}
	c, err := s.replace(ctx, held.set, b, key, o.Conditions)
	if err != nil {
		return ObjectInfo{}, err
	}
	c.describe(o.over(v), sums)
	c.record.Size, c.record.Place, c.record.Sealed = v.Size, v.Place, v.Sealed
	if !apart {
		c.record.Flags |= v.Flags & layout.FlagMultipart
	}
	if !sums.hasMD5 && o.keepsETag(v) {
		c.record.ETag = v.ETag
	} else if !apart && v.Place.Kind == layout.PlaceGrown {
		c.record.ETag.Parts = v.ETag.Parts
	}
	if err := c.lock(s, lock.State{Retention: o.Retention, LegalHold: o.LegalHold}); err != nil {
		return ObjectInfo{}, err
	}
	switch {
	case apart:
		return c.commit(ctx, s, held, known.moved)
	case !inline:
		return c.commit(ctx, s, held, nil)
	}
	staged, err := s.restage(ctx, where, held.set, b, key, v)
	if err != nil {
		return ObjectInfo{}, err
	}
	defer staged.discard()
	return c.commit(ctx, s, held, staged)
}

// apart tells the set of the source, and whether the copy is to be in another one.
// A copy that may be anywhere is where its source is, if its key can be there.
func (s *Store) apart(ctx context.Context, src *bucket, from string, held *hold, key string) (where *driveset.Set, apart bool, err error) {
	where, err = s.setOf(ctx, src, from)
	if err == nil && held.free && s.pools.Table().Takes(where, held.b.id, key) {
		held.set, held.free = where, false
	}
	return where, where != held.set, err
}

// enterBoth takes the locks of both keys and both buckets, in one step.
func (s *Store) enterBoth(ctx context.Context, from Source, bucketName, key string) (src, b *bucket, h *hold, err error) {
	for {
		before, err := s.bucket(ctx, from.Bucket)
		if err != nil {
			return nil, nil, nil, err
		}
		b, h, err := s.enter(ctx, bucketName, key, func(b *bucket) []keylock.Want {
			return append(keyAlone(key)(b), keylock.Want{Key: before.keyLock(from.Key), Shared: true},
				keylock.Want{Key: bucketLock(before.id), Shared: true})
		})
		if err != nil {
			return nil, nil, nil, err
		}
		src, err := s.bucket(ctx, from.Bucket)
		if err == nil && src.id == before.id {
			return src, b, h, nil
		}
		h.release()
		if err != nil {
			return nil, nil, nil, err
		}
	}
}

// copySource is the version to copy, under its key's lock.
func (s *Store) copySource(ctx context.Context, src *bucket, from Source) (*version, error) {
	v, err := s.lookUp(ctx, src, from.Key, from.VersionID)
	if err != nil {
		return nil, err
	}
	if err := from.Conditions.forRead(v); err != nil {
		return nil, &found{ErrPrecondition, src.info(from.Key, v)}
	}
	return v, nil
}

// digestsOfCopy gives the digests that the copy is to have, or errCompute.
func digestsOfCopy(src *bucket, v *version, o *CopyOptions, known *computed) (sumsOfBody, error) {
	if known.is(src, v) {
		return known.sums, nil
	}
	out := sumsOfBody{checksums: sums(v.Checksums)}
	if o.MD5 && !o.hasMD5(v) {
		return out, errCompute
	}
	if o.MD5 && o.hidesETag() {
		out.hide(o.Encryption)
	}
	if o.Checksum == nil || len(o.Checksum.Algorithms) == 0 {
		return out, nil
	}
	wanted := make([]Checksum, 0, len(o.Checksum.Algorithms))
	for _, a := range o.Checksum.Algorithms {
		i := slices.IndexFunc(out.checksums, func(c Checksum) bool { return c.Algorithm == a && c.Type == FullObject })
		if i < 0 {
			return out, errCompute
		}
		wanted = append(wanted, out.checksums[i])
	}
	out.checksums = wanted
	return out, o.Checksum.check(wanted)
}

// hasMD5 says whether the copy has, without reading the bytes, the ETag that MD5
// asks for.
func (o *CopyOptions) hasMD5(v *version) bool {
	switch v.ETag.Kind {
	case layout.ETagMD5, layout.ETagParts:
		return true
	case layout.ETagHidden:
		return !o.rewrites(v) || o.hidesETag()
	}
	return o.hidesETag()
}

// compute reads the source for its digests, without any lock.
func (s *Store) compute(ctx context.Context, from Source, o *CopyOptions) (computed, error) {
	obj, err := s.Get(ctx, from.Bucket, from.Key, from.get())
	if err != nil {
		return computed{}, err
	}
	defer obj.Close()
	v, _ := obj.known()
	d := digests{md5: o.MD5, checksum: o.Checksum}
	body, err := s.newBody(obj, obj.Length, d)
	if err != nil {
		return computed{}, err
	}
	defer body.close()
	if _, err := io.Copy(io.Discard, body); err != nil {
		return computed{}, err
	}
	read, err := body.verify(d)
	return computed{bucket: obj.b.id, of: v.Version, epoch: v.Epoch, size: v.Size, sums: o.kept(v, read)}, err
}

// kept adds to what was computed what the copy keeps of its source: the checksums, where
// none are asked for.
func (o *CopyOptions) kept(v *version, read sumsOfBody) sumsOfBody {
	if o.Checksum == nil || len(o.Checksum.Algorithms) == 0 {
		read.checksums = sums(v.Checksums)
	}
	return read
}

// carry brings the bytes of the source to the set that the copy is to be in, and
// computes what digests are missing, without any lock.
func (s *Store) carry(ctx context.Context, from Source, bucketName, key string, o *CopyOptions) (computed, error) {
	b, err := s.bucket(ctx, bucketName)
	if err != nil {
		return computed{}, err
	}
	set, err := s.setOf(ctx, b, key)
	if err != nil {
		return computed{}, err
	}
	obj, err := s.Get(ctx, from.Bucket, from.Key, from.get())
	if err != nil {
		return computed{}, err
	}
	defer obj.Close()
	v, _ := obj.known()
	var d digests
	sums, err := digestsOfCopy(obj.b, v, o, &computed{})
	if errors.Is(err, errCompute) {
		d = digests{md5: o.MD5, checksum: o.Checksum}
	} else if err != nil {
		return computed{}, err
	}
	if d.seal = o.Encryption; v.Sealed != nil && o.KeepEncryption {
		d.seal = &Encryption{Key: obj.secret, Envelope: v.Sealed.Envelope}
	}
	spec := s.spec(b, key, nil)
	if len(v.Place.Drives) > 0 {
		spec.Parity = min(int(v.Place.Parity), set.Drives()/2)
	}
	staged, read, err := s.stage(ctx, set, obj, obj.Length, d, spec)
	if err != nil {
		return computed{}, err
	}
	if d.md5 || d.checksum != nil {
		sums = o.kept(v, read)
	}
	return computed{bucket: obj.b.id, of: v.Version, epoch: v.Epoch, size: v.Size, sums: sums, moved: staged}, nil
}

// over says how a copy is described.
func (o *CopyOptions) over(v *version) *PutOptions {
	d := o.PutOptions
	if !o.ReplaceMetadata {
		d.ContentType, d.Headers, d.Metadata = v.ContentType, v.Headers, v.Metadata
	}
	if !o.ReplaceTags {
		d.Tags = v.Tags
	}
	return &d
}

// restage lays the bytes of an inline version out for another one. They are in
// memory already when they are coded, and never many.
func (s *Store) restage(ctx context.Context, from, set *driveset.Set, b *bucket, key string, v *version) (*staging, error) {
	data, err := from.OpenData(ctx, v.Place, 0, v.Place.Size)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	parity := min(int(v.Place.Parity), set.Drives()/2)
	staged, err := set.Stage(ctx, data, v.Place.Size, s.spec(b, key, &parity))
	if err != nil {
		return nil, err
	}
	return &staging{staged, v.Size, v.Sealed, set, func() {}}, nil
}

// RenameOptions of a rename. Nil: none.
type RenameOptions struct {
	// Source and Destination are conditions on what stands at the keys before:
	// ErrPrecondition where one does not hold.
	Source      Conditions
	Destination Conditions
}

// Rename gives the latest version of an object another key in its bucket, in one
// step and without moving its bytes: nobody sees both, or neither. It replaces
// what is at that key as [Store.Put] would, and leaves the old key as
// [Store.Delete] would: in a bucket with versioning enabled a delete marker lies
// over what was there, and the versions stay. What the object is stays too: its
// ETag, description, tags, access document and lock.
//
// What [Store.Delete] may not destroy stops it, [ErrLocked]. Keys that live in
// different sets of drives are [ErrApart]: copy the object, and delete it.
func (s *Store) Rename(ctx context.Context, bucketName, from, to string, o *RenameOptions) (info ObjectInfo, err error) {
	op := s.begin("rename", bucketName, to, "")
	defer op.end(&err)
	if o == nil {
		o = &RenameOptions{}
	}
	if err := errors.Join(checkKey(from), checkKey(to)); err != nil {
		return ObjectInfo{}, err
	}
	if from == to {
		return ObjectInfo{}, fmt.Errorf("%w: the key is the same", ErrInvalidArgument)
	}
	b, held, err := s.enter(ctx, bucketName, to, func(b *bucket) []keylock.Want {
		return append(keyAlone(to)(b), keylock.Want{Key: b.keyLock(from)})
	})
	if err != nil {
		return ObjectInfo{}, err
	}
	defer held.release()
	v, err := s.copySource(ctx, b, Source{Bucket: bucketName, Key: from, Conditions: o.Source})
	if err != nil {
		return ObjectInfo{}, err
	}
	_, apart, err := s.apart(ctx, b, from, held, to)
	if err != nil {
		return ObjectInfo{}, err
	}
	if apart {
		return ObjectInfo{}, ErrApart
	}
	c, err := s.replace(ctx, held.set, b, to, Conditions{})
	if err != nil {
		return ObjectInfo{}, err
	}
	if err := s.mayReplace(ctx, held.set, b, to, o.Destination); err != nil {
		return ObjectInfo{}, err
	}
	gone, err := s.remove(ctx, held.set, b, from, &DeleteOptions{})
	if err != nil {
		return ObjectInfo{}, err
	}
	return c.move(ctx, s, held, v, gone)
}

// mayReplace decides the conditions on what a rename replaces.
func (s *Store) mayReplace(ctx context.Context, set *driveset.Set, b *bucket, key string, conditions Conditions) error {
	if conditions.none() {
		return nil
	}
	view, err := set.View(ctx)
	if err != nil {
		return err
	}
	defer view.Close()
	v, err := latest(ctx, view, b, key)
	switch {
	case err != nil:
		return err
	case v != nil && v.Flags&layout.FlagMarker == 0:
		if err := conditions.forRead(v); err != nil {
			return &found{ErrPrecondition, b.info(key, v)}
		}
	case conditions.IfMatch != "" || !conditions.IfModifiedSince.IsZero():
		return ErrPrecondition
	}
	return nil
}

// move makes a version's bytes those of the change, which makes another change of
// the key that they came from.
func (c *change) move(ctx context.Context, s *Store, held *hold, v *version, gone *change) (ObjectInfo, error) {
	c.record.Head.Size, c.record.ETag, c.record.Storage, c.record.Body = v.Size, v.ETag, v.Storage, v.Body
	c.record.Flags = v.Flags &^ (layout.FlagNull | layout.FlagForeignID)
	c.record.ForeignID = ""
	if v.Flags&layout.FlagLocked == 0 {
		if err := c.lock(s, lock.State{}); err != nil {
			return ObjectInfo{}, err
		}
	}
	c.extra = func(at layout.Position) ([]layout.Write, error) {
		gone.record.Version, gone.record.Epoch, gone.record.Modified = at, c.record.Epoch, c.record.Modified
		return gone.writes(at)
	}
	if v.Place.Kind != layout.PlaceInline {
		return c.commit(ctx, s, held, nil)
	}
	staged, err := s.restage(ctx, held.set, held.set, c.b, c.key, v)
	if err != nil {
		return ObjectInfo{}, err
	}
	defer staged.discard()
	return c.commit(ctx, s, held, staged)
}
