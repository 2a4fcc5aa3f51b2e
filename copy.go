package sherd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
)

// Source is what is copied.
type Source struct {
	Bucket, Key, VersionID string
	// Conditions on the source: ErrPrecondition where one does not hold.
	Conditions Conditions
}

// CopyOptions of a copy. Nil: the copy is described as its source is.
type CopyOptions struct {
	// PutOptions describe the copy as far as the two fields below say so, and
	// its lock and owner. ContentMD5, Verify and Parity mean nothing: the bytes
	// are those of the source, where and as they are.
	PutOptions
	ReplaceMetadata bool // ContentType, Headers and Metadata are those of PutOptions
	ReplaceTags     bool
}

// Copy makes an object of the bytes of another one, without moving them: both
// use the same shards, each of them keeps them. It is decided on the source as it
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
	if err := o.validate(s.set.Drives()); err != nil {
		return ObjectInfo{}, err
	}
	var known computed
	for range copyTries {
		info, err = s.copyOnce(ctx, from, bucketName, key, o, &known)
		if !errors.Is(err, errCompute) {
			op.bytes = info.Size
			return info, err
		}
		if known, err = s.compute(ctx, from, o); err != nil {
			return ObjectInfo{}, err
		}
	}
	return ObjectInfo{}, fmt.Errorf("%w: the source changes again and again", ErrUnavailable)
}

const copyTries = 4

// errCompute: the source lacks a digest that is asked for.
var errCompute = errors.New("digests of the source are not known")

// computed is digests of a version of a source.
type computed struct {
	bucket layout.BucketID
	of     layout.Position
	sums   sumsOfBody
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
	sums, err := digestsOfCopy(src, v, o, known)
	if err != nil {
		return ObjectInfo{}, err
	}
	c, err := s.replace(ctx, b, key, o.Conditions)
	if err != nil {
		return ObjectInfo{}, err
	}
	c.describe(o.over(v), sums)
	c.record.Size, c.record.Place = v.Size, v.Place
	c.record.Flags |= v.Flags & layout.FlagMultipart
	if !sums.hasMD5 {
		c.record.ETag = v.ETag
	}
	if err := c.lock(s, lock.State{Retention: o.Retention, LegalHold: o.LegalHold}); err != nil {
		return ObjectInfo{}, err
	}
	if v.Place.Kind != layout.PlaceInline {
		return c.commit(ctx, s, held, nil)
	}
	staged, err := s.restage(ctx, b, key, v)
	if err != nil {
		return ObjectInfo{}, err
	}
	defer staged.discard()
	return c.commit(ctx, s, held, staged)
}

// enterBoth takes the locks of both keys and both buckets, in one step.
func (s *Store) enterBoth(ctx context.Context, from Source, bucketName, key string) (src, b *bucket, h *hold, err error) {
	for {
		before, err := s.bucket(ctx, from.Bucket)
		if err != nil {
			return nil, nil, nil, err
		}
		b, h, err := s.enter(ctx, bucketName, func(b *bucket) []keylock.Want {
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
	if known.of == v.Version && known.bucket == src.id {
		return known.sums, nil
	}
	out := sumsOfBody{checksums: sums(v.Checksums)}
	if o.MD5 && v.ETag.Kind != layout.ETagMD5 && v.ETag.Kind != layout.ETagParts {
		return out, errCompute
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

// compute reads the source for its digests, without any lock.
func (s *Store) compute(ctx context.Context, from Source, o *CopyOptions) (computed, error) {
	obj, err := s.Get(ctx, from.Bucket, from.Key, &GetOptions{VersionID: from.VersionID})
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
	sums, err := body.verify(d)
	return computed{bucket: obj.b.id, of: v.Version, sums: sums}, err
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
func (s *Store) restage(ctx context.Context, b *bucket, key string, v *version) (*staging, error) {
	data, err := s.set.OpenData(ctx, v.Place, 0, v.Place.Size)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	parity := int(v.Place.Parity)
	staged, err := s.set.Stage(ctx, data, v.Place.Size, s.spec(b, key, &parity))
	if err != nil {
		return nil, err
	}
	return &staging{staged, func() {}}, nil
}
