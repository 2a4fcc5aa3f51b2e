package sherd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
)

// UploadOptions say what the object of a multipart upload will have. Nil:
// nothing. Fields are as in PutOptions.
type UploadOptions struct {
	ContentType  string
	Headers      map[string]string
	Metadata     map[string]string
	Tags         map[string]string
	Retention    lock.Retention
	LegalHold    bool
	Parity       *int
	StorageClass uint8
	Owner        string
	Access       []byte
	// ChecksumAlgorithm and ChecksumType are those of the completed object,
	// whose parts must then have checksums of that algorithm. No algorithm: the
	// first that all parts have. No type: the algorithm's default.
	ChecksumAlgorithm ChecksumAlgorithm
	ChecksumType      ChecksumType
	// Encryption of all parts, each of which brings the key again.
	Encryption *Encryption
}

// Upload is a multipart upload that is under way.
type Upload struct {
	ID       string
	Bucket   string
	Key      string
	Begun    time.Time
	IsPrefix bool // ListUploads with a delimiter: Key is a common prefix, the rest is zero

	ContentType       string
	Headers           map[string]string
	Metadata          map[string]string
	Tags              map[string]string
	Retention         lock.Retention
	LegalHold         bool
	StorageClass      uint8
	Owner             string
	Access            []byte
	ChecksumAlgorithm ChecksumAlgorithm
	ChecksumType      ChecksumType
	Envelope          []byte // nil: its parts are not encrypted
}

// PartOptions of a part. Nil: none. Fields are as in PutOptions.
type PartOptions struct {
	MD5        bool
	ContentMD5 []byte
	Checksum   *ChecksumRequest
	Verify     func() error
	// Encryption is given if the upload has one, with the same key, else
	// ErrEncrypted or ErrKey. The envelope is the upload's.
	Encryption *Encryption
}

// PartInfo describes a part.
type PartInfo struct {
	Number    int
	Size      int64
	ETag      string // as of an object
	Modified  time.Time
	Checksums []Checksum
}

// defaultParity in a session: that of the store.
const defaultParity = 255

// session is an upload that was looked up.
type session struct {
	layout.Session
	id  layout.UploadID
	set *driveset.Set // that it is in
}

func (u *session) upload(b *bucket, key string) Upload {
	return Upload{
		ID: u.id.String(), Bucket: b.name, Key: key, Begun: u.Begun, ContentType: u.ContentType, Headers: u.Headers,
		Metadata: u.Metadata, Tags: u.Tags, LegalHold: u.LegalHold, StorageClass: u.Storage, Owner: u.Owner, Access: u.Access,
		Retention:         lock.Retention{Mode: lock.Mode(u.Retention.Mode), Until: u.Retention.Until},
		ChecksumAlgorithm: checksum.Algorithm(u.ChecksumAlgo), ChecksumType: checksum.Type(u.ChecksumType),
		Envelope: envelope(u.Sealed),
	}
}

// CreateUpload begins a multipart upload.
func (s *Store) CreateUpload(ctx context.Context, bucketName, key string, o *UploadOptions) (upload Upload, err error) {
	op := s.begin("create upload", bucketName, key, "")
	defer op.end(&err)
	if o == nil {
		o = &UploadOptions{}
	}
	u, err := s.newSession(key, o)
	if err != nil {
		return Upload{}, err
	}
	b, held, err := s.enter(ctx, bucketName, key, keyAlone(key))
	if err != nil {
		return Upload{}, err
	}
	defer held.release()
	if _, err := b.lock.AtPut(s.Now(), lock.State{Retention: o.Retention, LegalHold: o.LegalHold}); err != nil {
		return Upload{}, err
	}
	err = s.commit(ctx, held, driveset.Change{}, func(at layout.Position, owner layout.Owner) ([]layout.Write, error) {
		u.id, u.Begun = layout.UploadID{Epoch: owner.Epoch, Position: at}, s.Now()
		value, err := layout.EncodeSession(&u.Session)
		return []layout.Write{
			{Slot: layout.UploadSlot(b.id, key, u.id), Kind: layout.KindRecord, Value: value},
			{Slot: layout.UploadOwnerSlot(u.id, layout.OwnerOfData{Bucket: b.id, Key: key}), Kind: layout.KindRecord, Value: []byte{}},
		}, err
	})
	if err != nil {
		return Upload{}, err
	}
	return u.upload(b, key), nil
}

func (s *Store) newSession(key string, o *UploadOptions) (*session, error) {
	described := PutOptions{ContentType: o.ContentType, Headers: o.Headers, Metadata: o.Metadata, Tags: o.Tags,
		Retention: o.Retention, Parity: o.Parity, Owner: o.Owner, Access: o.Access, Encryption: o.Encryption}
	if err := s.validPut(key, -1, &described); err != nil {
		return nil, err
	}
	if a := o.ChecksumAlgorithm; a != 0 || o.ChecksumType != 0 {
		if err := a.Validate(); err != nil {
			return nil, err
		}
		if o.ChecksumType != 0 && !a.Combines(o.ChecksumType) {
			return nil, fmt.Errorf("%w: %v of %v for several parts", checksum.ErrType, o.ChecksumType, a)
		}
	}
	sealed, err := o.Encryption.begin()
	if err != nil {
		return nil, err
	}
	u := &session{Session: layout.Session{
		Sealed:      sealed,
		ContentType: o.ContentType, Headers: o.Headers, Metadata: o.Metadata, Tags: o.Tags, LegalHold: o.LegalHold,
		Retention: layout.Retention{Mode: uint8(o.Retention.Mode), Until: o.Retention.Until}, Storage: o.StorageClass,
		ChecksumAlgo: uint8(o.ChecksumAlgorithm), ChecksumType: uint8(o.ChecksumType), Owner: o.Owner, Parity: defaultParity, Access: o.Access,
	}}
	if o.Parity != nil {
		u.Parity = uint8(*o.Parity)
	}
	return u, nil
}

// StatUpload describes an upload that is under way, or gives [ErrNoSuchUpload].
func (s *Store) StatUpload(ctx context.Context, bucketName, key, uploadID string) (upload Upload, err error) {
	op := s.begin("stat upload", bucketName, key, "")
	defer op.end(&err)
	b, u, err := s.openUpload(ctx, bucketName, key, uploadID)
	if err != nil {
		return Upload{}, err
	}
	return u.upload(b, key), nil
}

func (s *Store) openUpload(ctx context.Context, bucketName, key, uploadID string) (*bucket, *session, error) {
	b, err := s.bucket(ctx, bucketName)
	if err != nil {
		return nil, nil, err
	}
	set, err := s.setOf(ctx, b, key)
	if err != nil {
		return nil, nil, err
	}
	view, err := set.View(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer view.Close()
	u, err := readSession(ctx, view, b, key, uploadID)
	if err == nil {
		u.set = set
	}
	return b, u, err
}

func readSession(ctx context.Context, view *driveset.View, b *bucket, key, uploadID string) (*session, error) {
	id, err := layout.ParseUploadID(uploadID)
	if err != nil || checkKey(key) != nil {
		return nil, ErrNoSuchUpload
	}
	item, ok, err := view.Get(ctx, layout.UploadSlot(b.id, key, id))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrNoSuchUpload
	}
	decoded, err := layout.DecodeSession(item.Value)
	if err != nil {
		return nil, err
	}
	return &session{Session: *decoded, id: id}, nil
}

// uploadLock is held shared by who adds a part, alone by who ends the upload.
func uploadLock(id layout.UploadID) string {
	b := id.Bytes()
	return "u" + string(b[:])
}

func partLock(id layout.UploadID, number uint32) string {
	b := id.Bytes()
	return "p" + string(binary.BigEndian.AppendUint32(b[:], number))
}

// PutPart stores a part of an upload, in any order; a part that is put again
// replaces the one of its number. body and size are as in Put. What an object is
// completed from needs an MD5 in every part to have the ETag that S3 has.
func (s *Store) PutPart(ctx context.Context, bucketName, key, uploadID string, number int, body io.Reader, size int64, o *PartOptions) (info PartInfo, err error) {
	op := s.begin("put part", bucketName, key, "")
	defer op.end(&err)
	if o == nil {
		o = &PartOptions{}
	}
	if number < 1 || number > MaxPartNumber {
		return PartInfo{}, fmt.Errorf("%w: part numbers are 1 to %d, not %d", ErrInvalidArgument, MaxPartNumber, number)
	}
	if err := checkSize(size); err != nil {
		return PartInfo{}, err
	}
	b, u, err := s.openUpload(ctx, bucketName, key, uploadID)
	if err != nil {
		return PartInfo{}, err
	}
	if err := errors.Join(o.Encryption.validate(), o.Encryption.fits(u.Sealed)); err != nil {
		return PartInfo{}, err
	}
	part := uint32(number)
	digests := digests{md5: o.MD5 || o.ContentMD5 != nil, expected: o.ContentMD5, checksum: o.Checksum, verify: o.Verify, seal: o.Encryption}
	staged, sums, err := s.stage(ctx, u.set, body, size, digests, s.partSpec(b, key, u, part))
	if err != nil {
		return PartInfo{}, err
	}
	defer staged.discard()
	b, held, err := s.enter(ctx, bucketName, key, func(*bucket) []keylock.Want {
		return []keylock.Want{{Key: uploadLock(u.id), Shared: true}, {Key: partLock(u.id, part)}}
	})
	if err != nil {
		return PartInfo{}, err
	}
	defer held.release()
	old, err := s.oldPart(ctx, held.set, b, key, u.id, part)
	if err != nil {
		return PartInfo{}, err
	}
	op.bytes = staged.Size
	return s.commitPart(ctx, held, u.id, part, old, staged, sums)
}

func (s *Store) partSpec(b *bucket, key string, u *session, part uint32) driveset.DataSpec {
	var parity *int
	if u.Parity != defaultParity {
		n := int(u.Parity)
		parity = &n
	}
	spec := s.spec(b, key, parity)
	spec.Upload, spec.Part = u.id, part
	return spec
}

// oldPart is the part that a new one replaces, nil if there is none, once more
// in an upload that is still under way.
func (s *Store) oldPart(ctx context.Context, set *driveset.Set, b *bucket, key string, id layout.UploadID, part uint32) (*version, error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	if _, err := readSession(ctx, view, b, key, id.String()); err != nil {
		return nil, err
	}
	return readPart(ctx, view, id, part)
}

func readPart(ctx context.Context, view *driveset.View, id layout.UploadID, part uint32) (*version, error) {
	item, ok, err := view.Get(ctx, layout.PartSlot(id, part))
	if err != nil || !ok {
		return nil, err
	}
	return decodeVersion(item)
}

func (s *Store) commitPart(ctx context.Context, h *hold, id layout.UploadID, part uint32, old *version, staged *staging, sums sumsOfBody) (PartInfo, error) {
	var r layout.Record
	r.Size, r.Part, r.Sealed = staged.Size, part, ofPart(staged.sealed)
	setChecksums(&r, sums.checksums)
	err := s.commit(ctx, h, driveset.Change{Staged: staged.Staged}, func(at layout.Position, owner layout.Owner) ([]layout.Write, error) {
		r.Version, r.Epoch, r.Modified, r.Place = at, owner.Epoch, s.Now(), staged.Place
		if r.ETag = sums.etag(); r.ETag.Kind == layout.ETagNone {
			r.ETag = opaqueETag(at, owner)
		}
		value, err := layout.EncodeRecord(&r)
		if err != nil {
			return nil, err
		}
		writes := []layout.Write{{Slot: layout.PartSlot(id, part), Kind: layout.KindRecord, Value: value}}
		if r.Place.Kind == layout.PlaceFile {
			writes = append(writes, partOwnership(r.Place.Data, id, part, layout.KindRecord))
		}
		if old != nil && old.Place.Kind == layout.PlaceFile {
			writes = append(writes, partOwnership(old.Place.Data, id, part, layout.KindTombstone))
		}
		return writes, nil
	})
	if err != nil {
		return PartInfo{}, err
	}
	return partInfo(&r), nil
}

func partOwnership(data layout.DataID, id layout.UploadID, part uint32, kind layout.Kind) layout.Write {
	return layout.Write{Slot: layout.DataOwnerSlot(data, layout.OwnerOfData{Upload: id, Part: part}), Kind: kind}
}

func partInfo(r *layout.Record) PartInfo {
	return PartInfo{Number: int(r.Part), Size: r.Size, ETag: etagText(r.ETag), Modified: r.Modified, Checksums: sums(r.Checksums)}
}

// AbortUpload ends an upload; its parts go.
func (s *Store) AbortUpload(ctx context.Context, bucketName, key, uploadID string) (err error) {
	op := s.begin("abort upload", bucketName, key, "")
	defer op.end(&err)
	id, err := layout.ParseUploadID(uploadID)
	if err != nil {
		return ErrNoSuchUpload
	}
	b, held, err := s.enter(ctx, bucketName, key, func(*bucket) []keylock.Want { return []keylock.Want{{Key: uploadLock(id)}} })
	if err != nil {
		return err
	}
	defer held.release()
	if _, _, err := s.openUpload(ctx, bucketName, key, uploadID); err != nil {
		return err
	}
	return s.commit(ctx, held, driveset.Change{Reserve: true}, func(layout.Position, layout.Owner) ([]layout.Write, error) {
		return endOfSession(b, key, id), nil
	})
}

// endOfSession is what ends an upload: its parts go unless somebody else owns
// them from the same entry on.
func endOfSession(b *bucket, key string, id layout.UploadID) []layout.Write {
	return []layout.Write{
		{Slot: layout.UploadSlot(b.id, key, id), Kind: layout.KindTombstone},
		{Slot: layout.UploadOwnerSlot(id, layout.OwnerOfData{Bucket: b.id, Key: key}), Kind: layout.KindTombstone},
	}
}

// ListParts gives the parts of an upload in the order of their numbers, those
// above after. An error ends it.
func (s *Store) ListParts(ctx context.Context, bucketName, key, uploadID string, after int) iter.Seq2[PartInfo, error] {
	return func(yield func(PartInfo, error) bool) {
		op := s.begin("list parts", bucketName, key, "")
		var err error
		defer func() {
			if op.end(&err); err != nil {
				yield(PartInfo{}, err)
			}
		}()
		if after < 0 || after > MaxPartNumber {
			err = fmt.Errorf("%w: part number %d", ErrInvalidArgument, after)
			return
		}
		_, u, e := s.openUpload(ctx, bucketName, key, uploadID)
		if err = e; err != nil {
			return
		}
		for r, e := range readParts(ctx, u.set, u.id, uint32(after)+1) {
			if err = e; err != nil || !yield(partInfo(&r.Record), nil) {
				return
			}
		}
	}
}

// readParts gives the part records of an upload from a number on.
func readParts(ctx context.Context, set *driveset.Set, id layout.UploadID, from uint32) iter.Seq2[*version, error] {
	return func(yield func(*version, error) bool) {
		view, err := set.View(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer view.Close()
		lo, hi := layout.PartRange(id, from)
		cursor, err := view.Cursor(ctx, lo, hi)
		if err != nil {
			yield(nil, err)
			return
		}
		defer cursor.Close()
		for cursor.Next() {
			v, err := decodeVersion(cursor.Item())
			if err == nil && v.Part == 0 {
				continue // was given up when the upload was completed without it
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
		if err := cursor.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// ExpireUploads removes the uploads that began before a time, and says how
// many. Options.UploadExpiry does it by itself.
func (s *Store) ExpireUploads(ctx context.Context, before time.Time) (n int, err error) {
	op := s.begin("expire uploads", "", "", "")
	defer op.end(&err)
	var errs []error
	for b, err := range s.ListBuckets(ctx, nil) {
		if err != nil {
			return n, err
		}
		for u, err := range s.ListUploads(ctx, b.Name, nil) {
			if err != nil {
				errs = append(errs, err)
				break
			}
			if !u.Begun.Before(before) {
				continue
			}
			switch err := s.AbortUpload(ctx, b.Name, u.Key, u.ID); {
			case err == nil:
				n++
			case !errors.Is(err, ErrNoSuchUpload) && !errors.Is(err, ErrNoSuchBucket):
				errs = append(errs, err)
			}
		}
	}
	return n, errors.Join(errs...)
}
