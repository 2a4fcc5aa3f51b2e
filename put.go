package sherd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// PutOptions of a new object. Nil: none.
type PutOptions struct {
	ContentType string
	// Headers are standard headers that are kept with the object and mean
	// nothing to the store, as cache-control; Metadata is the user's own. Names
	// are lower case by convention. Headers, Metadata and Tags together have at
	// most MaxMetadataBytes.
	Headers  map[string]string
	Metadata map[string]string
	Tags     map[string]string
	// MD5 computes the ETag that S3 has. Without it the ETag is an id of the
	// write, "x-" and hex digits, that nobody takes for an MD5.
	MD5 bool
	// ContentMD5, of 16 bytes, is what the MD5 must be (ErrBadDigest); it implies
	// MD5.
	ContentMD5 []byte
	// Checksum asks for checksums.
	Checksum *ChecksumRequest
	// Retention and LegalHold of the version, in a bucket with object lock. No
	// retention: the bucket's default.
	Retention lock.Retention
	LegalHold bool
	// Parity overrides Options.Parity; at most half the drives.
	Parity       *int
	StorageClass uint8
	Owner        string
	// Access says who may do what with the version, in words that are the
	// caller's matter; at most MaxAccessBytes. A copy does not inherit it.
	Access []byte
	// Conditions are decided on what stands at the key when the object is
	// committed, not before.
	Conditions Conditions
	// Encryption of the bytes. Nil: none.
	Encryption *Encryption
	// Verify is called once the whole body was read; its error is returned, and
	// nothing is stored.
	Verify func() error
}

func (o *PutOptions) digests() digests {
	return digests{md5: o.MD5 || o.ContentMD5 != nil, expected: o.ContentMD5, checksum: o.Checksum, verify: o.Verify, seal: o.Encryption}
}

// validate gives ErrInvalidArgument or ErrTooLarge.
func (o *PutOptions) validate(drives int) error {
	if len(o.ContentType) > MaxTextBytes || len(o.Owner) > MaxTextBytes {
		return fmt.Errorf("%w: content type or owner", ErrTooLarge)
	}
	if o.Parity != nil && (*o.Parity < 0 || *o.Parity > drives/2) {
		return fmt.Errorf("%w: parity of %d drives is 0 to %d, not %d", ErrInvalidArgument, drives, drives/2, *o.Parity)
	}
	if err := o.Retention.Validate(); err != nil {
		return err
	}
	return errors.Join(o.Encryption.validate(), checkAccess(o.Access), checkMaps(o.Headers, o.Metadata, o.Tags))
}

// Put stores an object under a key: all of it or nothing. size is how many
// bytes the body has, −1 where that is not known; a body of another length is
// [ErrShortBody] or [ErrLongBody]. A nil body is one without bytes.
//
// In a bucket without versioning it replaces the object that was there, else it
// becomes the latest version. The body is read without any lock held, so it may
// take as long as it likes; of two that are put at the same time the one that is
// committed later stays.
func (s *Store) Put(ctx context.Context, bucketName, key string, body io.Reader, size int64, o *PutOptions) (info ObjectInfo, err error) {
	op := s.begin("put", bucketName, key, "")
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
	staged, sums, err := s.stage(ctx, set, body, size, o.digests(), s.spec(b, key, o.Parity))
	if err != nil {
		return ObjectInfo{}, err
	}
	defer staged.discard()
	b, held, err := s.enter(ctx, bucketName, key, keyAlone(key))
	if err != nil {
		return ObjectInfo{}, err
	}
	defer held.release()
	c, err := s.replace(ctx, held.set, b, key, o.Conditions)
	if err != nil {
		return ObjectInfo{}, err
	}
	c.describe(o, sums)
	if err := c.lock(s, lock.State{Retention: o.Retention, LegalHold: o.LegalHold}); err != nil {
		return ObjectInfo{}, err
	}
	op.bytes = staged.Size
	return c.commit(ctx, s, held, staged)
}

func (s *Store) validPut(key string, size int64, o *PutOptions) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := checkSize(size); err != nil {
		return err
	}
	return o.validate(s.drives())
}

func (s *Store) spec(b *bucket, key string, parity *int) driveset.DataSpec {
	spec := driveset.DataSpec{Bucket: b.id, Key: key, Parity: -1}
	switch {
	case parity != nil:
		spec.Parity = *parity
	case s.opt.Parity != nil:
		spec.Parity = *s.opt.Parity
	}
	return spec
}

// keyAlone wants a key for oneself.
func keyAlone(key string) func(*bucket) []keylock.Want {
	return func(b *bucket) []keylock.Want {
		return append(make([]keylock.Want, 0, 2), keylock.Want{Key: b.keyLock(key)})
	}
}

// change is a change of one key's versions, decided and not yet made.
type change struct {
	b       *bucket
	key     string
	plan    versioning.Plan
	removed *version                                      // plan.Remove
	alias   bool                                          // the null version of the key is named by an alias
	latest  *version                                      // where it had to be known
	record  layout.Record                                 // of the version that is made
	extra   func(layout.Position) ([]layout.Write, error) // what else it writes
}

// replace decides what a new version at a key does, under the key's lock.
func (s *Store) replace(ctx context.Context, set *driveset.Set, b *bucket, key string, conditions Conditions) (*change, error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	c := &change{b: b, key: key}
	versioned := b.status() == versioning.Enabled
	if !versioned || !conditions.none() || b.lock.Default != (lock.DefaultRetention{}) {
		if c.latest, err = latest(ctx, view, b, key); err != nil {
			return nil, err
		}
	}
	if err := conditions.forWrite(c.latest); err != nil {
		return nil, err
	}
	var null *version
	if !versioned {
		if null, c.alias, err = nullVersion(ctx, view, b, key, c.latest); err != nil {
			return nil, err
		}
	}
	if c.plan, err = versioning.Put(b.status(), null.ref()); err != nil {
		return nil, err
	}
	if !c.plan.Remove.Absent() {
		c.removed = null
	}
	return c, s.mayDestroy(c.removed, lock.Intent{})
}

// describe says of the new version what the caller says of it.
func (c *change) describe(o *PutOptions, d sumsOfBody) {
	r := &c.record
	r.ContentType, r.Headers, r.Metadata = o.ContentType, o.Headers, o.Metadata
	r.Owner, r.Storage, r.Access = o.Owner, o.StorageClass, o.Access
	setTags(r, o.Tags)
	setChecksums(r, d.checksums)
	r.ETag = d.etag()
}

// lock gives the new version the lock that it must have from the start.
func (c *change) lock(s *Store, explicit lock.State) error {
	if !c.b.lock.Enabled && explicit == (lock.State{}) {
		return nil
	}
	now := s.Now()
	if c.latest != nil {
		now = lock.Floor(now, c.latest.Modified)
	}
	state, err := c.b.lock.AtPut(now, explicit)
	if err == nil {
		setLock(&c.record, state)
	}
	return err
}

// commit makes the change, with the bytes of the new version; nil where they
// are there already.
func (c *change) commit(ctx context.Context, s *Store, held *hold, staged *staging) (ObjectInfo, error) {
	var under *driveset.Staged
	if staged != nil {
		if err := staged.to(ctx, held); err != nil {
			return ObjectInfo{}, err
		}
		under, c.record.Size, c.record.Sealed = staged.Staged, staged.Size, staged.sealed
	}
	opaque := c.record.ETag.Kind == layout.ETagNone
	err := s.commit(ctx, held, driveset.Change{Staged: under}, func(at layout.Position, owner layout.Owner) ([]layout.Write, error) {
		r := &c.record
		r.Version, r.Epoch, r.Modified = at, owner.Epoch, s.Now()
		if staged != nil {
			r.Place = staged.Place
		}
		if opaque {
			r.ETag = opaqueETag(at, owner)
		}
		return c.writes(at)
	})
	if err != nil {
		return ObjectInfo{}, err
	}
	info := c.b.info(c.key, &version{Record: c.record})
	info.Latest = true
	return info, nil
}

// writes gives what the change writes at a position.
func (c *change) writes(at layout.Position) ([]layout.Write, error) {
	writes := make([]layout.Write, 0, 6)
	if c.plan.Create {
		created := version{Record: c.record}
		if c.plan.Null {
			created.Flags |= layout.FlagNull
		}
		if c.plan.Marker {
			created.Flags |= layout.FlagMarker
		}
		c.record.Flags = created.Flags
		value, err := layout.EncodeRecord(&created.Record)
		if err != nil {
			return nil, err
		}
		writes = append(writes, layout.Write{Slot: layout.VersionSlot(c.b.id, c.key, at), Kind: layout.KindRecord, Value: value})
		writes = created.ownership(writes, c.b, c.key, layout.KindRecord)
	}
	writes = c.named(writes, at)
	if c.removed != nil {
		writes = append(writes, layout.Write{Slot: layout.VersionSlot(c.b.id, c.key, c.removed.Version), Kind: layout.KindTombstone})
		writes = c.removed.ownership(writes, c.b, c.key, layout.KindTombstone)
	}
	if c.extra == nil {
		return writes, nil
	}
	more, err := c.extra(at)
	return append(writes, more...), err
}

// named keeps the names of versions that their positions do not give. A bucket
// that never had versioning needs none: its one version is the null version.
func (c *change) named(writes []layout.Write, at layout.Position) []layout.Write {
	null := layout.Write{Slot: nil, Kind: layout.KindTombstone}
	switch {
	case c.plan.Create && c.plan.Null && c.b.status() != versioning.Unversioned:
		null.Kind, null.Value = layout.KindRecord, layout.EncodePosition(uint64(at))
	case c.removed == nil || c.removed.Flags&layout.FlagNull == 0 || !c.alias:
		if c.removed == nil || c.removed.Flags&layout.FlagForeignID == 0 {
			return writes
		}
		return append(writes, layout.Write{Slot: layout.AliasSlot(c.b.id, c.key, c.removed.ForeignID), Kind: layout.KindTombstone})
	}
	null.Slot = layout.AliasSlot(c.b.id, c.key, NullVersionID)
	return append(writes, null)
}

// ownership is the key by which a version holds on to its shards. Inline bytes
// belong to their record and need none.
func (v *version) ownership(writes []layout.Write, b *bucket, key string, kind layout.Kind) []layout.Write {
	if v.Place.Kind == layout.PlaceFile {
		return append(writes, layout.Write{Slot: layout.DataOwnerSlot(v.Place.Data, v.owner(b.id, key)), Kind: kind})
	}
	for _, upload := range v.Place.Uploads() {
		writes = append(writes, layout.Write{Slot: layout.UploadOwnerSlot(upload, v.owner(b.id, key)), Kind: kind})
	}
	return writes
}

// users are the records that name the same bytes, and the locks under which that
// does not change.
type users struct {
	records []layout.Item
	owners  []layout.OwnerOfData // in the same order
	wants   []keylock.Want
	spec    driveset.DataSpec
}

// usersOf finds who uses the bytes that the record of a version or part names; nil
// where it names others by now, or too many use them.
func usersOf(ctx context.Context, set *driveset.Set, slot layout.Slot, place layout.Place) (*users, error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	u := &users{spec: driveset.DataSpec{Parity: int(place.Parity)}}
	var self layout.OwnerOfData
	var lo, hi layout.Slot // of who must be locked
	if slot.Type() == layout.TypePart {
		self.Upload, self.Part, _ = layout.ParsePartSlot(slot)
		u.spec.Upload, u.spec.Part = self.Upload, self.Part
		u.wants = append(u.wants, keylock.Want{Key: uploadLock(self.Upload), Shared: true}, keylock.Want{Key: partLock(self.Upload, self.Part)})
		lo, hi = layout.UploadOwnerRange(self.Upload)
	} else {
		self.Bucket, self.Key, self.Version, _ = layout.ParseVersionSlot(slot)
		u.lock(self)
		lo, hi = layout.DataOwnerRange(place.Data)
	}
	all := []layout.OwnerOfData{self}
	cursor, err := view.Cursor(ctx, lo, hi)
	if err != nil {
		return nil, err
	}
	defer cursor.Close()
	for cursor.Next() {
		_, owner, err := layout.ParseDataOwnerSlot(cursor.Item().Slot)
		if slot.Type() == layout.TypePart {
			_, owner, err = layout.ParseUploadOwnerSlot(cursor.Item().Slot)
		} else if owner != self {
			all = append(all, owner)
		}
		if err != nil || owner.Part != 0 || len(u.wants) > 2*widenOwners {
			return nil, err
		}
		u.lock(owner)
	}
	if err := cursor.Err(); err != nil || u.spec.Key == "" {
		return nil, err // nobody owns the part: it is about to go
	}
	return u.find(ctx, view, all, place.Data)
}

// lock wants the key of an owner.
func (u *users) lock(o layout.OwnerOfData) {
	u.spec.Bucket, u.spec.Key = o.Bucket, o.Key
	b := bucket{id: o.Bucket}
	u.wants = append(u.wants, keylock.Want{Key: b.keyLock(o.Key)}, keylock.Want{Key: bucketLock(o.Bucket), Shared: true})
}

// find reads the records of the owners; nil where one does not name the bytes.
func (u *users) find(ctx context.Context, view *driveset.View, owners []layout.OwnerOfData, data layout.DataID) (*users, error) {
	for _, o := range owners {
		slot := layout.VersionSlot(o.Bucket, o.Key, o.Version)
		if o.Part != 0 {
			slot = layout.PartSlot(o.Upload, o.Part)
		}
		item, ok, err := view.Get(ctx, slot)
		if err != nil || !ok {
			return nil, err
		}
		v, err := decodeVersion(item)
		if err != nil || v.Place.Data != data {
			return nil, err
		}
		u.records, u.owners = append(u.records, item), append(u.owners, o)
	}
	return u, nil
}

// writes names other bytes in all records: the same ones, laid out anew.
func (u *users) writes(from, to layout.Place) ([]layout.Write, error) {
	out := make([]layout.Write, 0, 3*len(u.records)+1)
	for i, item := range u.records {
		v, err := decodeVersion(item)
		if err != nil {
			return nil, err
		}
		v.Place = to
		value, err := layout.EncodeRecord(&v.Record)
		if err != nil {
			return nil, err
		}
		out = append(out, layout.Write{Slot: item.Slot, Kind: layout.KindRecord, Value: value})
		if to.Kind == layout.PlaceFile {
			out = append(out, layout.Write{Slot: layout.DataOwnerSlot(to.Data, u.owners[i]), Kind: layout.KindRecord, Value: []byte{}})
		}
		if from.Kind == layout.PlaceFile {
			out = append(out, layout.Write{Slot: layout.DataOwnerSlot(from.Data, u.owners[i]), Kind: layout.KindTombstone})
		}
	}
	return out, nil
}

// checkName gives ErrInvalidArgument for what no bucket can be called: names
// are 3 to 63 of a–z, 0–9, "-" and ".", and begin and end with a letter or digit.
func checkName(bucket string) error {
	ok := len(bucket) >= 3 && len(bucket) <= 63
	for i := range len(bucket) {
		c := bucket[i]
		alphanumeric := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		inside := i > 0 && i < len(bucket)-1
		ok = ok && (alphanumeric || inside && (c == '-' || c == '.'))
	}
	if !ok {
		return fmt.Errorf("%w: %q can not be the name of a bucket", ErrInvalidArgument, bucket)
	}
	return nil
}

// checkKey gives ErrInvalidArgument for a key that is empty or too long. Any
// bytes are welcome.
func checkKey(key string) error {
	if len(key) == 0 || len(key) > MaxKeyBytes {
		return fmt.Errorf("%w: a key has 1 to %d bytes, not %d", ErrInvalidArgument, MaxKeyBytes, len(key))
	}
	return nil
}

// checkSize gives ErrInvalidArgument or ErrTooLarge; −1 is a size that is not
// known.
func checkSize(size int64) error {
	switch {
	case size < -1:
		return fmt.Errorf("%w: a size of %d bytes", ErrInvalidArgument, size)
	case size > MaxObjectBytes:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, int64(MaxObjectBytes))
	}
	return nil
}

// checkAccess gives ErrTooLarge for an access document beyond the limit.
func checkAccess(document []byte) error {
	if len(document) > MaxAccessBytes {
		return fmt.Errorf("%w: an access document of %d bytes, at most %d", ErrTooLarge, len(document), MaxAccessBytes)
	}
	return nil
}

// checkMaps gives ErrTooLarge for metadata beyond the limit.
func checkMaps(maps ...map[string]string) error {
	total := 0
	for _, m := range maps {
		for name, value := range m {
			total += len(name) + len(value)
		}
	}
	if total > MaxMetadataBytes {
		return fmt.Errorf("%w: %d bytes of metadata, at most %d", ErrTooLarge, total, MaxMetadataBytes)
	}
	return nil
}
