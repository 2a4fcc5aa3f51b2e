package sherd

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// BucketInfo describes a bucket.
type BucketInfo struct {
	Name       string
	ID         uint64 // never used again, not even by a bucket of the same name
	Created    time.Time
	Versioning versioning.Status
	ObjectLock bool
	Owner      string
	Region     string
	// Revision is another one after every change of the bucket and of its documents,
	// and never the one of another bucket: what was read of documents after it was
	// seen may be kept until it changes. It holds for this Store only; CreateBucket
	// says 0 of a bucket that it made, and only that.
	Revision uint64
}

// BucketOptions of a new bucket. Nil: none.
type BucketOptions struct {
	ObjectLock bool // which turns versioning on, for ever
	Owner      string
	Region     string
	// Documents are there as soon as the bucket is, by name as for PutDocument.
	Documents map[string][]byte
}

// ListBucketsOptions of a listing. Nil: all buckets.
type ListBucketsOptions struct {
	Prefix     string
	StartAfter string
}

// bucket is a bucket as it was read. It is never changed, but that it notes
// where it is known to be.
type bucket struct {
	copied  sync.Map // sets whose copy of the record is as this one
	name    string
	id      layout.BucketID
	record  layout.Bucket
	lock    lock.Configuration
	lockErr error // the configuration can not be understood: nothing is written
	// lockDocument is the configuration as it is stored; nil: there is none.
	lockDocument []byte
	// revision is the bucketCache's.
	revision uint64
}

func (b *bucket) status() versioning.Status { return versioning.Status(b.record.Versioning) }

func (b *bucket) bucketInfo() BucketInfo {
	return BucketInfo{
		Name: b.name, ID: uint64(b.id), Created: b.record.Created, Versioning: b.status(),
		ObjectLock: b.record.ObjectLock, Owner: b.record.Owner, Region: b.record.Region, Revision: b.revision,
	}
}

// maxCachedBuckets bounds the cache; beyond it is emptied.
const maxCachedBuckets = 10_000

// bucketCache knows buckets by name. This process is the only one that changes
// them, and every change forgets the bucket before it gives its lock back.
type bucketCache struct {
	mu     sync.RWMutex
	owner  layout.Owner // whose time the cache is of; a set that was opened again begins anew
	age    uint64       // counts what was forgotten, so that nothing older is put in
	byName map[string]*bucket

	revisions atomic.Uint64 // counts buckets that were read
}

func (c *bucketCache) get(owner layout.Owner, name string) (b *bucket, age uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.owner != owner {
		return nil, c.age
	}
	return c.byName[name], c.age
}

func (c *bucketCache) put(owner layout.Owner, age uint64, b *bucket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age != c.age {
		return
	}
	if c.owner != owner || c.byName == nil || len(c.byName) >= maxCachedBuckets {
		c.owner, c.byName = owner, map[string]*bucket{}
	}
	c.byName[b.name] = b
}

func (c *bucketCache) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.age++
	delete(c.byName, name)
}

// bucket finds a bucket by its name.
func (s *Store) bucket(ctx context.Context, name string) (*bucket, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	owner := s.first().Owner()
	b, age := s.buckets.get(owner, name)
	if b != nil {
		return b, nil
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	view, err := s.first().View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	if b, err = readBucket(ctx, view, name); err != nil {
		return nil, err
	}
	b.revision = s.buckets.revisions.Add(1)
	s.buckets.put(owner, age, b)
	return b, nil
}

func readBucket(ctx context.Context, view *driveset.View, name string) (*bucket, error) {
	item, ok, err := view.Get(ctx, layout.NameSlot(name))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrNoSuchBucket
	}
	id, err := layout.DecodePosition(item.Value)
	if err != nil {
		return nil, err
	}
	b := &bucket{name: name, id: layout.BucketID(id)}
	item, ok, err = view.Get(ctx, layout.DocumentSlot(b.id, ""))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%w: the record of bucket %d is missing", ErrDamaged, id)
	}
	record, err := layout.DecodeBucket(item.Value)
	if err != nil {
		return nil, err
	}
	b.record = *record
	b.lock.Enabled = record.ObjectLock
	item, ok, err = view.Get(ctx, layout.DocumentSlot(b.id, lockDocument))
	if err != nil {
		return nil, err
	}
	if ok {
		b.lockDocument, b.lockErr = item.Value, readLock(item.Value, &b.lock)
	}
	return b, nil
}

// Names of locks: of a bucket's name, a bucket, a key, an upload, a part.
func nameLock(name string) string { return "n" + name }
func bucketLock(b layout.BucketID) string {
	var name [9]byte
	name[0] = 'b'
	binary.BigEndian.PutUint64(name[1:], uint64(b))
	return string(name[:])
}

func (b *bucket) keyLock(key string) string {
	name := make([]byte, 9, 9+len(key))
	name[0] = 'k'
	binary.BigEndian.PutUint64(name[1:], uint64(b.id))
	return string(append(name, key...))
}

// changeBucket makes a change to a bucket itself, alone: writes decides on the bucket
// as it is then; no writes are no change.
func (s *Store) changeBucket(ctx context.Context, name string, writes func(*driveset.View, *bucket) ([]layout.Write, error)) error {
	h, b, err := s.lockBucket(ctx, name)
	if err != nil {
		return err
	}
	defer h.release()
	view, err := s.first().View(ctx)
	if err != nil {
		return err
	}
	defer view.Close()
	w, err := writes(view, b)
	if err != nil || len(w) == 0 {
		return err
	}
	view.Close()
	removes := !slices.ContainsFunc(w, func(w layout.Write) bool { return w.Kind != layout.KindTombstone })
	err = s.commit(ctx, h, driveset.Change{Reserve: removes}, func(layout.Position, layout.Owner) ([]layout.Write, error) { return w, nil })
	if err == nil {
		s.updateCopies(ctx, name)
	}
	return err
}

// CreateBucket makes a bucket. Where there is one of that name it gives
// [ErrBucketExists] and tells of the one that is there.
func (s *Store) CreateBucket(ctx context.Context, name string, o *BucketOptions) (info BucketInfo, err error) {
	op := s.begin("create bucket", name, "", "")
	defer op.end(&err)
	if o == nil {
		o = &BucketOptions{}
	}
	if err := checkName(name); err != nil {
		return BucketInfo{}, err
	}
	if len(o.Owner) > MaxTextBytes || len(o.Region) > MaxTextBytes {
		return BucketInfo{}, ErrTooLarge
	}
	for name, data := range o.Documents {
		if err := checkDocumentData(name, data); err != nil {
			return BucketInfo{}, err
		}
	}
	if len(o.Documents) > maxDocuments-2 {
		return BucketInfo{}, ErrTooLarge
	}
	if s.closed.Load() {
		return BucketInfo{}, ErrClosed
	}
	unlock, err := s.locks.Lock(ctx, nameLock(name))
	if err != nil {
		return BucketInfo{}, err
	}
	h := &hold{unlock: func() { s.buckets.forget(name); unlock() }, set: s.first()}
	defer h.release()
	if b, err := s.bucket(ctx, name); err == nil {
		return b.bucketInfo(), ErrBucketExists
	} else if err != ErrNoSuchBucket {
		return BucketInfo{}, err
	}
	b := &bucket{name: name, record: layout.Bucket{Name: name, ObjectLock: o.ObjectLock, Owner: o.Owner, Region: o.Region}}
	if o.ObjectLock {
		b.record.Versioning = uint8(versioning.Enabled)
	}
	err = s.commit(ctx, h, driveset.Change{}, func(at layout.Position, _ layout.Owner) ([]layout.Write, error) {
		b.id, b.record.ID, b.record.Created = layout.BucketID(at), layout.BucketID(at), s.Now()
		value, err := layout.EncodeBucket(&b.record)
		writes := []layout.Write{
			{Slot: layout.NameSlot(name), Kind: layout.KindRecord, Value: layout.EncodePosition(uint64(at))},
			{Slot: layout.DocumentSlot(b.id, ""), Kind: layout.KindRecord, Value: value},
		}
		for _, document := range slices.Sorted(maps.Keys(o.Documents)) {
			data := append([]byte{}, o.Documents[document]...)
			writes = append(writes, layout.Write{Slot: layout.DocumentSlot(b.id, document), Kind: layout.KindRecord, Value: data})
		}
		return writes, err
	})
	return b.bucketInfo(), err
}

// StatBucket describes a bucket, or gives [ErrNoSuchBucket].
func (s *Store) StatBucket(ctx context.Context, name string) (info BucketInfo, err error) {
	op := s.begin("stat bucket", name, "", "")
	defer op.end(&err)
	b, err := s.bucket(ctx, name)
	if err != nil {
		return BucketInfo{}, err
	}
	return b.bucketInfo(), nil
}

// ListBuckets gives all buckets in the order of their names. An error ends it.
func (s *Store) ListBuckets(ctx context.Context, o *ListBucketsOptions) iter.Seq2[BucketInfo, error] {
	if o == nil {
		o = &ListBucketsOptions{}
	}
	return func(yield func(BucketInfo, error) bool) {
		op := s.begin("list buckets", "", "", "")
		var err error
		defer func() {
			if op.end(&err); err != nil {
				yield(BucketInfo{}, err)
			}
		}()
		var names []string
		if names, err = s.bucketNames(ctx, o); err != nil {
			return
		}
		for _, name := range names {
			b, e := s.bucket(ctx, name)
			switch {
			case e == ErrNoSuchBucket: // it went meanwhile
			case e != nil:
				err = e
				return
			case !yield(b.bucketInfo(), nil):
				return
			}
		}
	}
}

// bucketNames is read at once: names are short, and the view is not kept while
// the caller looks at them.
func (s *Store) bucketNames(ctx context.Context, o *ListBucketsOptions) ([]string, error) {
	view, err := s.first().View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	_, end := layout.TypeRange(layout.TypeName)
	cursor, err := view.Cursor(ctx, layout.NameSlot(max(o.Prefix, o.StartAfter)), end)
	if err != nil {
		return nil, err
	}
	defer cursor.Close()
	var names []string
	for cursor.Next() {
		name, err := layout.ParseNameSlot(cursor.Item().Slot)
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(name, o.Prefix) {
			break
		}
		if name > o.StartAfter {
			names = append(names, name)
		}
	}
	return names, cursor.Err()
}

// DeleteBucket removes a bucket that holds nothing, and its documents. A
// version, a delete marker or an upload in it is [ErrBucketNotEmpty].
func (s *Store) DeleteBucket(ctx context.Context, name string) (err error) {
	op := s.begin("delete bucket", name, "", "")
	defer op.end(&err)
	h, b, err := s.lockBucket(ctx, name)
	if err != nil {
		return err
	}
	defer h.release()
	if err := s.nothingIn(ctx, b); err != nil {
		return err
	}
	if s.pools.Table().Only() == nil {
		return s.deleteEverywhere(ctx, h, b)
	}
	return s.removeBucket(ctx, h, b)
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// slotsIn gives the live slots in a range, at most limit.
func slotsIn(ctx context.Context, view *driveset.View, lo, hi layout.Slot, limit int) ([]layout.Slot, error) {
	cursor, err := view.Cursor(ctx, lo, hi)
	if err != nil {
		return nil, err
	}
	defer cursor.Close()
	var slots []layout.Slot
	for len(slots) < limit && cursor.Next() {
		slots = append(slots, bytes.Clone(cursor.Item().Slot))
	}
	return slots, cursor.Err()
}

// writeBucket is the write of a bucket's own record.
func writeBucket(b *bucket) (layout.Write, error) {
	value, err := layout.EncodeBucket(&b.record)
	return layout.Write{Slot: layout.DocumentSlot(b.id, ""), Kind: layout.KindRecord, Value: value}, err
}

// SetVersioning turns versioning on, or suspends it. There is no way back to a
// bucket that never had it, and object lock keeps it on: [ErrInvalidArgument].
func (s *Store) SetVersioning(ctx context.Context, bucketName string, status versioning.Status) (err error) {
	op := s.begin("set versioning", bucketName, "", "")
	defer op.end(&err)
	return s.changeBucket(ctx, bucketName, func(_ *driveset.View, b *bucket) ([]layout.Write, error) {
		if err := versioning.Transition(b.status(), status, b.record.ObjectLock); err != nil || b.status() == status {
			return nil, err
		}
		b.record.Versioning = uint8(status)
		w, err := writeBucket(b)
		return []layout.Write{w}, err
	})
}

const (
	maxDocumentName = 64
	maxDocuments    = 100 // of one bucket, its own record and lock configuration among them
)

func checkDocument(name string) error {
	if name == "" || len(name) > maxDocumentName || name[0] == '.' {
		return fmt.Errorf("%w: a document's name has 1 to %d bytes and does not begin with a dot", ErrInvalidArgument, maxDocumentName)
	}
	return nil
}

func checkDocumentData(name string, data []byte) error {
	if err := checkDocument(name); err != nil {
		return err
	}
	if len(data) > MaxDocumentBytes {
		return fmt.Errorf("%w: a document of %d bytes, at most %d", ErrTooLarge, len(data), MaxDocumentBytes)
	}
	return nil
}

// Document gives a configuration document of a bucket as it was put, or
// [ErrNoSuchDocument]. What documents mean is their users' matter.
func (s *Store) Document(ctx context.Context, bucketName, name string) (data []byte, err error) {
	op := s.begin("document", bucketName, name, "")
	defer op.end(&err)
	if err := checkDocument(name); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, bucketName)
	if err != nil {
		return nil, err
	}
	view, err := s.first().View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	item, ok, err := view.Get(ctx, layout.DocumentSlot(b.id, name))
	if err == nil && !ok {
		err = ErrNoSuchDocument
	}
	return item.Value, err
}

// PutDocument sets a configuration document: a name of 1 to 64 bytes that does
// not begin with a dot, and at most [MaxDocumentBytes]. A bucket has at most
// 98; they go with it.
func (s *Store) PutDocument(ctx context.Context, bucketName, name string, data []byte) (err error) {
	op := s.begin("put document", bucketName, name, "")
	defer op.end(&err)
	if err := checkDocumentData(name, data); err != nil {
		return err
	}
	return s.changeBucket(ctx, bucketName, func(view *driveset.View, b *bucket) ([]layout.Write, error) {
		slot := layout.DocumentSlot(b.id, name)
		lo, hi := layout.DocumentRange(b.id)
		have, err := slotsIn(ctx, view, lo, hi, maxDocuments)
		if err != nil {
			return nil, err
		}
		same := func(other layout.Slot) bool { return slot.Compare(other) == 0 }
		if len(have) >= maxDocuments && !slices.ContainsFunc(have, same) {
			return nil, fmt.Errorf("%w: a bucket has at most %d documents", ErrTooLarge, maxDocuments)
		}
		return []layout.Write{{Slot: slot, Kind: layout.KindRecord, Value: append([]byte{}, data...)}}, nil
	})
}

// DeleteDocument removes a configuration document, or gives [ErrNoSuchDocument].
func (s *Store) DeleteDocument(ctx context.Context, bucketName, name string) (err error) {
	op := s.begin("delete document", bucketName, name, "")
	defer op.end(&err)
	if err := checkDocument(name); err != nil {
		return err
	}
	return s.changeBucket(ctx, bucketName, func(view *driveset.View, b *bucket) ([]layout.Write, error) {
		slot := layout.DocumentSlot(b.id, name)
		if _, ok, err := view.Get(ctx, slot); err != nil || !ok {
			return nil, cmpErr(err, ErrNoSuchDocument)
		}
		return []layout.Write{{Slot: slot, Kind: layout.KindTombstone}}, nil
	})
}
