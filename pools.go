package sherd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/internal/pools"
	"github.com/sherd-storage/sherd/layout"
)

// PoolOptions of a pool that is added. Nil: none.
type PoolOptions struct {
	// SetDrives is as in Options.
	SetDrives int
}

// AddPool makes a pool of drives that are missing or empty, whatever
// Options.MustExist says, and adds it to the store, which serves all the while. What the store holds stays where it is; from
// now on a new key goes to the pool that has the most room, and a key that there
// is stays in its pool for as long as any version or upload of it is there.
//
// Until the pool is recorded nothing has happened but that the drives may have
// been formatted: it may be tried again with them. From then on the store is not
// opened without the pool: name its drives in Options.Pools.
func (s *Store) AddPool(ctx context.Context, drives []string, o *PoolOptions) (err error) {
	op := s.begin("add pool", "", "", "")
	defer op.end(&err)
	if o == nil {
		o = &PoolOptions{}
	}
	if s.closed.Load() {
		return ErrClosed
	}
	if len(drives) < 1 || len(drives) > MaxPoolDrives {
		return fmt.Errorf("%w: a pool has 1 to %d drives, not %d", ErrInvalidArgument, MaxPoolDrives, len(drives))
	}
	_, each, err := pools.Divide(len(drives), o.SetDrives)
	if err != nil {
		return err
	}
	if p := s.opt.Parity; p != nil && *p > each/2 {
		return fmt.Errorf("%w: parity %d of sets of %d drives", ErrInvalidArgument, *p, each)
	}
	return s.pools.Add(ctx, s.places(drives), o.SetDrives)
}

// first is the first set of the first pool. It owns the names of buckets, and
// how they are configured.
func (s *Store) first() *driveset.Set { return s.pools.First() }

// drives is how many drives a set has; where sets differ, the smallest.
func (s *Store) drives() int { return s.pools.Table().Drives() }

// sets are those that are open, pool by pool.
func (s *Store) sets() []*driveset.Set {
	members := s.pools.Table().Members()
	out := make([]*driveset.Set, 0, len(members))
	for _, m := range members {
		if set, err := m.Get(); err == nil {
			out = append(out, set)
		}
	}
	return out
}

// setOf is the set that a key of a bucket lives in or, where it lives in none,
// one that would take it.
func (s *Store) setOf(ctx context.Context, b *bucket, key string) (*driveset.Set, error) {
	set, _, err := s.pools.Table().Locate(ctx, b.id, key)
	return set, err
}

// enter takes the locks of a change to a key of a bucket: the bucket's own
// shared, so that it stays as it is, and those that wants adds for the bucket. The
// set is decided on under the locks: a key that is in none may have been placed
// since it was looked for.
func (s *Store) enter(ctx context.Context, name, key string, wants func(*bucket) []keylock.Want) (*bucket, *hold, error) {
	for {
		before, err := s.bucket(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		if before.record.Closed {
			if err := s.reopenBucket(ctx, before); err != nil {
				return nil, nil, err
			}
			continue
		}
		all := append(wants(before), keylock.Want{Key: bucketLock(before.id), Shared: true})
		unlock, err := s.locks.LockEach(ctx, all...)
		if err != nil {
			return nil, nil, err
		}
		b, err := s.bucket(ctx, name)
		if err == nil && b.id == before.id && !b.record.Closed {
			h := &hold{unlock: unlock, b: b}
			found := false
			if err = b.lockErr; err == nil {
				h.set, found, err = s.pools.Table().Locate(ctx, b.id, key)
			}
			if h.free = !found; err == nil {
				return b, h, nil
			}
		}
		unlock()
		if err != nil {
			return nil, nil, err
		}
	}
}

// to brings bytes to the set of a change. That is another one only where the key
// was placed in another pool while they were on their way.
func (st *staging) to(ctx context.Context, h *hold) error {
	if st.set == h.set {
		return nil
	}
	if h.free {
		h.set = st.set
		return nil
	}
	moved, err := st.Move(ctx, h.set)
	if err != nil {
		return err
	}
	st.Discard()
	st.Staged, st.set = moved, h.set
	return nil
}

// copyBucket sees to it that a set's own copy of a bucket's record, and of its
// lock configuration, is as the bucket is. Changes in the set are decided by it.
func (s *Store) copyBucket(ctx context.Context, set *driveset.Set, b *bucket) error {
	if _, ok := b.copied.Load(set); ok {
		return nil
	}
	unlock, err := s.locks.Lock(ctx, "c"+bucketLock(b.id))
	if err != nil {
		return err
	}
	h := &hold{unlock: unlock, set: set}
	defer h.release()
	writes, err := copyWrites(ctx, set, b, true)
	if err == nil && len(writes) > 0 {
		err = s.commitWrites(ctx, h, writes)
	}
	if err == nil {
		b.copied.Store(set, true)
	}
	return nothingHappened(err)
}

// nothingHappened: what was asked for has not, whatever became of what comes
// before it.
func nothingHappened(err error) error {
	if errors.Is(err, driveset.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	return err
}

// commitWrites makes a change whose writes are known, with space that is kept back.
func (s *Store) commitWrites(ctx context.Context, h *hold, writes []layout.Write) error {
	return s.commit(ctx, h, driveset.Change{Reserve: true}, func(layout.Position, layout.Owner) ([]layout.Write, error) { return writes, nil })
}

// copyWrites is what a set's copy of a bucket lacks. One that is not there is made
// only where that is asked for.
func copyWrites(ctx context.Context, set *driveset.Set, b *bucket, missing bool) ([]layout.Write, error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	record, err := writeBucket(b)
	if err != nil {
		return nil, err
	}
	document := layout.Write{Slot: layout.DocumentSlot(b.id, lockDocument), Kind: layout.KindTombstone}
	if b.lockDocument != nil {
		document.Kind, document.Value = layout.KindRecord, b.lockDocument
	}
	var writes []layout.Write
	for i, w := range []layout.Write{record, document} {
		item, ok, err := view.Get(ctx, w.Slot)
		switch {
		case err != nil:
			return nil, err
		case !ok && !missing && i == 0:
			return nil, nil
		case ok != (w.Kind == layout.KindRecord) || !bytes.Equal(item.Value, w.Value):
			writes = append(writes, w)
		}
	}
	return writes, nil
}

// updateCopies brings the copies that sets have of a bucket up to date, after it
// was changed and while it is locked. A set in which that does not succeed has it
// done before the next change in that bucket.
func (s *Store) updateCopies(ctx context.Context, name string) {
	if s.pools.Table().Only() != nil {
		return
	}
	b, err := s.readBucketNow(ctx, name)
	for _, set := range s.sets() {
		if err != nil || set == s.first() {
			continue
		}
		h := &hold{unlock: func() {}, set: set}
		writes, err := copyWrites(ctx, set, b, false)
		if err == nil && len(writes) > 0 {
			err = s.commitWrites(ctx, h, writes)
		}
		if err != nil {
			s.opt.Logger.WarnContext(ctx, "a set has an old copy of a bucket's record", "bucket", name, "error", err)
		}
	}
}

func (s *Store) readBucketNow(ctx context.Context, name string) (*bucket, error) {
	view, err := s.first().View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	return readBucket(ctx, view, name)
}

// deleteEverywhere removes a bucket that several sets may have something of. It
// is closed in all of them, which each must be able to write for; when nothing is
// left anywhere its name goes, and with it the bucket. Else it is opened again.
func (s *Store) deleteEverywhere(ctx context.Context, h *hold, b *bucket) error {
	if err := s.setClosed(ctx, h, b, true); err != nil {
		return nothingHappened(err)
	}
	if err := s.endBucket(ctx, h, b); err != nil {
		if !h.given {
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), reopenLimit)
			defer cancel()
			err = errors.Join(err, s.setClosed(late, h, b, false)) // else who comes next opens it
		}
		return err
	}
	for _, set := range s.sets() {
		if set != s.first() {
			_ = s.dropCopy(ctx, set, b.id) // what is left goes at the next opening
		}
	}
	return nil
}

// reopenLimit is how long a bucket that could not be deleted is tried to be opened
// again, whatever has become of the caller.
const reopenLimit = 10 * time.Second

// lockBucket takes the locks of a change to a bucket itself.
func (s *Store) lockBucket(ctx context.Context, name string) (*hold, *bucket, error) {
	before, err := s.bucket(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	unlock, err := s.locks.LockAll(ctx, nameLock(name), bucketLock(before.id))
	if err != nil {
		return nil, nil, err
	}
	h := &hold{unlock: func() { s.buckets.forget(name); unlock() }, set: s.first()}
	b, err := s.readBucketNow(ctx, name)
	if err == nil && b.id != before.id {
		err = fmt.Errorf("%w: the bucket was replaced by another", ErrUnavailable)
	}
	if err != nil {
		h.release()
		return nil, nil, err
	}
	return h, b, nil
}

// setClosed writes the record of a bucket as closed, or as open.
func (s *Store) setClosed(ctx context.Context, h *hold, b *bucket, closed bool) error {
	b.record.Closed = closed
	b.copied.Clear()
	w, err := writeBucket(b)
	if err != nil {
		return err
	}
	return s.commitWrites(ctx, h, []layout.Write{w})
}

// endBucket closes the copies, makes sure that nothing is left, and removes the
// bucket.
func (s *Store) endBucket(ctx context.Context, h *hold, b *bucket) error {
	for _, m := range s.pools.Table().Members() {
		set, err := m.Get()
		if err != nil {
			return err
		}
		if set == s.first() {
			continue
		}
		if err := s.copyBucket(ctx, set, b); err != nil {
			return err
		}
	}
	if err := s.nothingIn(ctx, b); err != nil {
		return err
	}
	return s.removeBucket(ctx, h, b)
}

// removeBucket removes a bucket's name, its record and its documents.
func (s *Store) removeBucket(ctx context.Context, h *hold, b *bucket) error {
	view, err := s.first().View(ctx)
	if err != nil {
		return err
	}
	defer view.Close()
	writes, err := bucketWrites(ctx, view, b.id)
	if err != nil {
		return err
	}
	return s.commitWrites(ctx, h, append(writes, layout.Write{Slot: layout.NameSlot(b.name), Kind: layout.KindTombstone}))
}

// nothingIn gives ErrBucketNotEmpty for a bucket in which a set has a version or
// an upload.
func (s *Store) nothingIn(ctx context.Context, b *bucket) error {
	all, err := s.pools.Table().Snapshot(ctx)
	if err != nil {
		return err
	}
	defer all.Close()
	for _, kind := range []byte{layout.TypeVersion, layout.TypeUpload} {
		lo, hi := layout.BucketRange(kind, b.id)
		cursor, err := all.Cursor(ctx, lo, hi)
		if err != nil {
			return err
		}
		full := cursor.Next()
		if err := cmpErr(cursor.Err(), cursor.Close()); err != nil {
			return err
		}
		if full {
			return ErrBucketNotEmpty
		}
	}
	return nil
}

// bucketWrites removes the record and the documents of a bucket.
func bucketWrites(ctx context.Context, view *driveset.View, id layout.BucketID) ([]layout.Write, error) {
	lo, hi := layout.DocumentRange(id)
	slots, err := slotsIn(ctx, view, lo, hi, maxDocuments+1)
	writes := make([]layout.Write, len(slots), len(slots)+1)
	for i, slot := range slots {
		writes[i] = layout.Write{Slot: slot, Kind: layout.KindTombstone}
	}
	return writes, err
}

// dropCopy removes a set's copy of a bucket that is gone.
func (s *Store) dropCopy(ctx context.Context, set *driveset.Set, id layout.BucketID) error {
	view, err := set.View(ctx)
	if err != nil {
		return err
	}
	defer view.Close()
	writes, err := bucketWrites(ctx, view, id)
	if err != nil || len(writes) == 0 {
		return err
	}
	return s.commitWrites(ctx, &hold{unlock: func() {}, set: set}, writes)
}

// reopenBucket opens a bucket that was closed to be deleted, and was not.
func (s *Store) reopenBucket(ctx context.Context, before *bucket) error {
	h, b, err := s.lockBucket(ctx, before.name)
	if err != nil {
		return err
	}
	defer h.release()
	if !b.record.Closed {
		return nil
	}
	return s.setClosed(ctx, h, b, false)
}

// settle does settleBuckets where that is needed.
func (s *Store) settle(ctx context.Context) {
	if err := s.settleBuckets(ctx); err != nil && ctx.Err() == nil {
		s.opt.Logger.WarnContext(ctx, "what a deletion of a bucket left is still there", "error", err)
	}
}

// settleBuckets ends what a crash left of deletions: buckets that were closed
// are opened again, copies of buckets that are gone go too.
func (s *Store) settleBuckets(ctx context.Context) error {
	if s.pools.Table().Only() != nil {
		return nil
	}
	names, err := s.bucketNames(ctx, &ListBucketsOptions{})
	if err != nil {
		return err
	}
	for _, name := range names {
		b, err := s.readBucketNow(ctx, name)
		if err == nil && b.record.Closed {
			err = s.reopenBucket(ctx, b)
		}
		if err != nil && !errors.Is(err, ErrNoSuchBucket) {
			return err
		}
	}
	var errs []error
	for _, set := range s.sets() {
		if set != s.first() {
			errs = append(errs, s.dropOrphans(ctx, set))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) dropOrphans(ctx context.Context, set *driveset.Set) error {
	ids, err := s.orphans(ctx, set)
	for _, id := range ids {
		unlock, e := s.locks.Lock(ctx, bucketLock(id))
		if e != nil {
			return e
		}
		err = errors.Join(err, s.dropCopy(ctx, set, id))
		unlock()
	}
	return err
}

// orphans are the buckets that a set has a copy of and the first set no record.
func (s *Store) orphans(ctx context.Context, set *driveset.Set) (out []layout.BucketID, err error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	owner, err := s.first().View(ctx)
	if err != nil {
		return nil, err
	}
	defer owner.Close()
	lo, hi := layout.TypeRange(layout.TypeDocument)
	cursor, err := view.Cursor(ctx, lo, hi)
	if err != nil {
		return nil, err
	}
	defer cursor.Close()
	for cursor.Next() {
		id, document, err := layout.ParseDocumentSlot(cursor.Item().Slot)
		if err != nil {
			return nil, err
		}
		if document != "" || id == 0 {
			continue
		}
		if _, ok, err := owner.Get(ctx, layout.DocumentSlot(id, "")); err != nil {
			return nil, err
		} else if !ok {
			out = append(out, id)
		}
	}
	return out, cursor.Err()
}
