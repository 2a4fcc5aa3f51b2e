package sherd

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/internal/pools"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/versioning"
)

// ListOptions of a listing. Nil: all objects.
type ListOptions struct {
	Prefix string // of the keys
	// Delimiter, of any length: keys that have it behind the prefix are given as
	// one common prefix, that ends with it.
	Delimiter string
	// StartAfter is the last key, or the last common prefix, of the listing that
	// is gone on with.
	StartAfter string
	// Details fills in everything of ObjectInfo, which costs several times as
	// much.
	Details bool
}

// ListVersionsOptions of a listing of versions. Nil: all versions.
type ListVersionsOptions struct {
	Prefix    string
	Delimiter string
	// KeyMarker and VersionMarker are the Key and VersionID of the last version
	// of the listing that is gone on with; a KeyMarker alone goes on behind all
	// versions of that key, or behind that common prefix.
	KeyMarker     string
	VersionMarker string
	Details       bool
}

// ListUploadsOptions of a listing of uploads. Nil: all uploads.
type ListUploadsOptions struct {
	Prefix    string
	Delimiter string
	// KeyMarker and UploadMarker are the Key and ID of the last upload of the
	// listing that is gone on with; a KeyMarker alone goes on behind all uploads
	// of that key, or behind that common prefix.
	KeyMarker    string
	UploadMarker string
}

// List gives the objects of a bucket in the order of the bytes of their keys,
// without those whose latest version is a delete marker. An error ends it.
//
// A listing sees the bucket as it was when it began; one that takes longer than
// half a minute goes on with the bucket as it is then, from where it is.
func (s *Store) List(ctx context.Context, bucketName string, o *ListOptions) iter.Seq2[ObjectInfo, error] {
	if o == nil {
		o = &ListOptions{}
	}
	return func(yield func(ObjectInfo, error) bool) {
		op := s.begin("list", bucketName, "", "")
		w := walk{store: s, ctx: ctx, space: versionSpace, objects: true, prefix: o.Prefix, delimiter: o.Delimiter}
		err := w.open(bucketName, func() (layout.Slot, error) { return w.behind(o.StartAfter), nil })
		defer w.close()
		for ok := err == nil && w.next(); ok; ok = w.next() {
			var info ObjectInfo
			if w.common != "" {
				info = ObjectInfo{Bucket: bucketName, Key: w.common, IsPrefix: true}
			} else if info, err = w.object(o.Details); err != nil {
				break
			}
			info.Latest = !info.IsPrefix
			if !yield(info, nil) {
				break
			}
		}
		err = errors.Join(err, w.err)
		if op.end(&err); err != nil {
			yield(ObjectInfo{}, err)
		}
	}
}

// ListVersions gives all versions of a bucket, delete markers too: keys in the
// order of their bytes, and of each the newest version first. An error ends it.
// It sees the bucket as List does.
func (s *Store) ListVersions(ctx context.Context, bucketName string, o *ListVersionsOptions) iter.Seq2[ObjectInfo, error] {
	if o == nil {
		o = &ListVersionsOptions{}
	}
	return func(yield func(ObjectInfo, error) bool) {
		op := s.begin("list versions", bucketName, "", "")
		w := walk{store: s, ctx: ctx, space: versionSpace, prefix: o.Prefix, delimiter: o.Delimiter}
		before := "" // the key of the version before
		err := w.open(bucketName, func() (layout.Slot, error) {
			if o.VersionMarker == "" {
				return w.behind(o.KeyMarker), nil
			}
			start, first, err := w.behindVersion(o.KeyMarker, o.VersionMarker)
			if !first {
				before = o.KeyMarker
			}
			return start, err
		})
		defer w.close()
		for ok := err == nil && w.next(); ok; ok = w.next() {
			var info ObjectInfo
			if w.common != "" {
				info = ObjectInfo{Bucket: bucketName, Key: w.common, IsPrefix: true}
			} else if info, err = w.object(o.Details); err != nil {
				break
			} else {
				info.Latest = info.Key != before
				before = info.Key
			}
			if !yield(info, nil) {
				break
			}
		}
		err = errors.Join(err, w.err)
		if op.end(&err); err != nil {
			yield(ObjectInfo{}, err)
		}
	}
}

// ListUploads gives the multipart uploads that are under way: keys in the order
// of their bytes, and of each key the oldest upload first. An error ends it. It
// sees the bucket as List does.
func (s *Store) ListUploads(ctx context.Context, bucketName string, o *ListUploadsOptions) iter.Seq2[Upload, error] {
	if o == nil {
		o = &ListUploadsOptions{}
	}
	return func(yield func(Upload, error) bool) {
		op := s.begin("list uploads", bucketName, "", "")
		w := walk{store: s, ctx: ctx, space: uploadSpace, prefix: o.Prefix, delimiter: o.Delimiter}
		err := w.open(bucketName, func() (layout.Slot, error) {
			if o.UploadMarker == "" {
				return w.behind(o.KeyMarker), nil
			}
			id, err := layout.ParseUploadID(o.UploadMarker)
			if err != nil {
				return nil, ErrInvalidArgument
			}
			return layout.AfterUploadSlot(w.b.id, o.KeyMarker, id), nil
		})
		defer w.close()
		for ok := err == nil && w.next(); ok; ok = w.next() {
			var upload Upload
			if w.common != "" {
				upload = Upload{Bucket: bucketName, Key: w.common, IsPrefix: true}
			} else if upload, err = w.upload(); err != nil {
				break
			}
			if !yield(upload, nil) {
				break
			}
		}
		err = errors.Join(err, w.err)
		if op.end(&err); err != nil {
			yield(Upload{}, err)
		}
	}
}

// keySpace is slots that are ordered by bucket and key.
type keySpace int

const (
	versionSpace keySpace = iota
	uploadSpace
)

func (k keySpace) prefixRange(b layout.BucketID, prefix string) (lo, hi layout.Slot) {
	if k == uploadSpace {
		return layout.UploadRange(b, prefix)
	}
	return layout.PrefixRange(b, prefix)
}

func (k keySpace) afterKey(b layout.BucketID, key string) layout.Slot {
	if k == uploadSpace {
		return layout.AfterUploadsSlot(b, key)
	}
	return layout.AfterKeySlot(b, key)
}

func (k keySpace) parse(slot layout.Slot) (key string, version layout.Position, err error) {
	if k == uploadSpace {
		_, key, _, err = layout.ParseUploadSlot(slot)
		return key, 0, err
	}
	_, key, version, err = layout.ParseVersionSlot(slot)
	return key, version, err
}

const (
	// walkAge is how long a walk keeps to one view, which keeps what it sees
	// from being removed.
	walkAge = 30 * time.Second
	// walkSteps is how often it looks at the clock.
	walkSteps = 64
)

// walk goes through a bucket's keys. It stands at an item, or at a common prefix
// of several.
type walk struct {
	store     *Store
	ctx       context.Context
	space     keySpace
	objects   bool // only keys whose latest version is an object; steps are over keys
	prefix    string
	delimiter string

	b      *bucket
	sets   *pools.Snapshot
	cursor layout.Cursor
	end    layout.Slot // exclusive
	opened time.Time
	steps  int
	err    error

	common string          // the common prefix that it stands at; "": an item
	key    string          // of the item
	at     layout.Position // version of the item
	head   layout.Head     // of the item, if it is a version
}

// open begins at the slot that start gives once the bucket is known.
func (w *walk) open(name string, start func() (layout.Slot, error)) (err error) {
	if w.b, err = w.store.bucket(w.ctx, name); err != nil {
		return err
	}
	if w.sets, err = w.store.pools.Table().Snapshot(w.ctx); err != nil {
		return err
	}
	w.opened = w.store.Now()
	var lo, from layout.Slot
	lo, w.end = w.space.prefixRange(w.b.id, w.prefix)
	if from, err = start(); err != nil {
		return err
	}
	if bytes.Compare(lo, from) < 0 {
		lo = from
	}
	if bytes.Compare(lo, w.end) >= 0 {
		return nil // nothing lies behind it
	}
	w.cursor, err = w.sets.Cursor(w.ctx, lo, w.end)
	return err
}

// behind is where a listing goes on that ended with a key or a common prefix.
func (w *walk) behind(last string) layout.Slot {
	if last == "" {
		return nil
	}
	if common := w.commonOf(last); common == last {
		_, hi := w.space.prefixRange(w.b.id, common)
		return hi
	}
	return w.space.afterKey(w.b.id, last)
}

// behindVersion is where a listing goes on behind a version; first says that the
// next version of that key would be its latest.
func (w *walk) behindVersion(key, versionID string) (from layout.Slot, first bool, err error) {
	id, err := versioning.ParseID(versionID)
	if err != nil {
		return nil, false, err
	}
	view, err := w.sets.Of(w.ctx, w.b.id, key)
	if err != nil {
		return nil, false, err
	}
	at := layout.Position(id.Position)
	if id.Kind != versioning.OwnID {
		v, _, err := named(w.ctx, view, w.b, key, versionID)
		if err != nil {
			return nil, false, err
		}
		if v == nil { // it is gone, and nobody knows where it was
			return layout.LatestSlot(w.b.id, key), true, nil
		}
		at = v.Version
	}
	newest, err := latest(w.ctx, view, w.b, key)
	return layout.AfterVersionSlot(w.b.id, key, at), newest != nil && newest.Version < at, err
}

// commonOf is the common prefix that a key belongs to; "" if to none.
func (w *walk) commonOf(key string) string {
	if w.delimiter == "" || !strings.HasPrefix(key, w.prefix) {
		return ""
	}
	i := strings.Index(key[len(w.prefix):], w.delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(w.prefix)+i+len(w.delimiter)]
}

// next goes to the next item or common prefix.
func (w *walk) next() bool {
	if w.err != nil || w.cursor == nil {
		return false
	}
	if w.old() {
		return w.reopen()
	}
	var ok bool
	switch {
	case w.common != "": // never scanned, however many keys it has
		hi := w.following()
		ok = bytes.Compare(hi, w.end) < 0 && w.cursor.Seek(hi)
	case w.objects && w.key != "":
		ok = w.cursor.NextKey()
	default:
		ok = w.cursor.Next()
	}
	return w.arrive(ok)
}

// old says that the walk has kept to its view for long enough. It is asked at
// every step.
func (w *walk) old() bool {
	w.steps++
	return w.steps%walkSteps == 0 && w.store.Now().Sub(w.opened) > walkAge
}

// following is the bound behind what the walk stands at.
func (w *walk) following() layout.Slot {
	switch {
	case w.common != "":
		_, hi := w.space.prefixRange(w.b.id, w.common)
		return hi
	case w.space == uploadSpace:
		_, key, id, _ := layout.ParseUploadSlot(w.cursor.Item().Slot) // parsed on arrival
		return layout.AfterUploadSlot(w.b.id, key, id)
	case w.objects:
		return layout.AfterKeySlot(w.b.id, w.key)
	default:
		return layout.AfterVersionSlot(w.b.id, w.key, w.at)
	}
}

// arrive looks at where the cursor stands, if it stands anywhere.
func (w *walk) arrive(ok bool) bool {
	for ok && w.space == versionSpace {
		if w.head, w.err = layout.DecodeHead(w.cursor.Item().Value); w.err != nil {
			return false
		}
		if !w.objects || w.head.Flags&layout.FlagMarker == 0 {
			break
		}
		if w.old() { // of deleted keys there may be any number in a row
			if w.key, w.at, w.err = w.space.parse(w.cursor.Item().Slot); w.err != nil {
				return false
			}
			w.common = ""
			return w.reopen()
		}
		ok = w.cursor.NextKey()
	}
	if !ok {
		w.err = w.cursor.Err()
		return false
	}
	if w.key, w.at, w.err = w.space.parse(w.cursor.Item().Slot); w.err != nil {
		return false
	}
	w.common = w.commonOf(w.key)
	return true
}

// reopen makes a step with a view of now.
func (w *walk) reopen() bool {
	from := w.following()
	w.close()
	if bytes.Compare(from, w.end) >= 0 {
		return false
	}
	if w.sets, w.err = w.store.pools.Table().Snapshot(w.ctx); w.err != nil {
		return false
	}
	w.opened = w.store.Now()
	if w.cursor, w.err = w.sets.Cursor(w.ctx, from, w.end); w.err != nil {
		return false
	}
	return w.arrive(w.cursor.Next())
}

func (w *walk) close() {
	if w.cursor != nil {
		_ = w.cursor.Close()
		w.cursor = nil
	}
	if w.sets != nil {
		w.sets.Close()
		w.sets = nil
	}
}

// object is the version that the walk stands at.
func (w *walk) object(details bool) (ObjectInfo, error) {
	if !details && w.head.Flags&layout.FlagForeignID == 0 {
		return w.b.headInfo(w.key, w.head, ""), nil
	}
	v, err := decodeVersion(w.cursor.Item())
	if err != nil {
		return ObjectInfo{}, err
	}
	if !details {
		return w.b.headInfo(w.key, w.head, v.ForeignID), nil
	}
	return w.b.info(w.key, v), nil
}

// upload is the upload that the walk stands at.
func (w *walk) upload() (Upload, error) {
	item := w.cursor.Item()
	_, key, id, err := layout.ParseUploadSlot(item.Slot)
	if err != nil {
		return Upload{}, err
	}
	decoded, err := layout.DecodeSession(item.Value)
	if err != nil {
		return Upload{}, err
	}
	u := session{Session: *decoded, id: id}
	return u.upload(w.b, key), nil
}
