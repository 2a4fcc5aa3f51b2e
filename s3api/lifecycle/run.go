package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sherd-storage/sherd"
)

// Store is what the rules are carried out on; [*sherd.Store] has it.
type Store interface {
	Now() time.Time
	ListBuckets(ctx context.Context, o *sherd.ListBucketsOptions) iter.Seq2[sherd.BucketInfo, error]
	Document(ctx context.Context, bucket, name string) ([]byte, error)
	ListVersions(ctx context.Context, bucket string, o *sherd.ListVersionsOptions) iter.Seq2[sherd.ObjectInfo, error]
	ListUploads(ctx context.Context, bucket string, o *sherd.ListUploadsOptions) iter.Seq2[sherd.Upload, error]
	Delete(ctx context.Context, bucket, key string, o *sherd.DeleteOptions) (sherd.DeleteResult, error)
	AbortUpload(ctx context.Context, bucket, key, uploadID string) error
}

// Options of Run and Once. Nil: all defaults.
type Options struct {
	// Every is the time between the beginnings of two passes. 0: one hour.
	Every time.Duration
	// PerSecond bounds what is removed in a second. 0: 500; negative: no bound.
	PerSecond int
	// AtOnce is how many removals are on their way together. 0: 16.
	AtOnce int
	// Clock counts the days of the rules.
	Clock Clock
	// Notice is told of everything that was removed, or could not be. It is called
	// by several goroutines, and must be quick. Nil: nobody.
	Notice func(Notice)
	// Passed is told of every pass that ended, with the error that ended it before
	// all was looked at. Nil: nobody.
	Passed func(Pass, error)
}

// Action is what was done.
type Action uint8

// The actions.
const (
	Expired      Action = iota + 1 // the current version was deleted
	ExpiredOlder                   // a noncurrent version was destroyed
	ExpiredLone                    // a delete marker was removed that nothing lay under
	Aborted                        // an upload was aborted
)

// String names the action.
func (a Action) String() string {
	return [...]string{"", "expired", "noncurrent expired", "delete marker expired", "upload aborted"}[a]
}

// Notice is one thing that was removed, or could not be.
type Notice struct {
	Action    Action
	Bucket    string
	Key       string
	VersionID string // or the upload's
	Rule      string
	Err       error // nil: it was removed
}

// Pass counts what one way through the store did.
type Pass struct {
	Begun     time.Time
	Buckets   int // with rules
	Looked    int // at versions and uploads
	Removed   int
	Locked    int // due, and kept by object lock
	Changed   int // due, and another one by the time they were to go
	Failed    int // for other reasons; the next pass comes to them again
	Malformed int // buckets whose configuration can not be read, and is not followed
}

// Run makes a pass through the store at once and then every so often, until the
// context ends, whose error it gives. A pass that fails begins again at the next
// turn: all that it has done stays done, and nothing is done twice.
//
// What is removed goes through Delete and AbortUpload, by conditions that hold only
// while a version is what it was when it was found due. What object lock protects
// stays, and is looked at again.
func Run(ctx context.Context, store Store, o *Options) error {
	r := newRunner(store, o)
	next := time.NewTicker(r.opt.Every)
	defer next.Stop()
	for {
		pass, err := r.pass(ctx)
		if r.opt.Passed != nil {
			r.opt.Passed(pass, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next.C:
		}
	}
}

// Once makes one pass.
func Once(ctx context.Context, store Store, o *Options) (Pass, error) {
	return newRunner(store, o).pass(ctx)
}

// runner is Run under way.
type runner struct {
	store Store
	opt   Options

	mu   sync.Mutex // guards what removals count, never held while anything waits
	done Pass
}

func newRunner(store Store, o *Options) *runner {
	r := &runner{store: store}
	if o != nil {
		r.opt = *o
	}
	r.opt.Every = max(0, r.opt.Every)
	r.opt.Every = cmp.Or(r.opt.Every, time.Hour)
	r.opt.PerSecond = cmp.Or(r.opt.PerSecond, 500)
	r.opt.AtOnce = cmp.Or(max(0, r.opt.AtOnce), 16)
	return r
}

func (r *runner) pass(ctx context.Context) (Pass, error) {
	r.done = Pass{Begun: r.store.Now()}
	var errs []error
	for b, err := range r.store.ListBuckets(ctx, nil) {
		if err != nil {
			errs = append(errs, err)
			break
		}
		if err := r.bucket(ctx, b.Name); err != nil {
			errs = append(errs, fmt.Errorf("bucket %s: %w", b.Name, err))
		}
	}
	return r.done, errors.Join(errs...)
}

// bucket does what the rules of a bucket say. Rules that are not understood are
// not followed.
func (r *runner) bucket(ctx context.Context, name string) error {
	data, err := r.store.Document(ctx, name, Document)
	if errors.Is(err, sherd.ErrNoSuchDocument) || errors.Is(err, sherd.ErrNoSuchBucket) {
		return nil
	}
	if err != nil {
		return err
	}
	rules, err := Parse(data)
	if err != nil {
		r.done.Malformed++
		return err
	}
	r.done.Buckets++
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.opt.AtOnce)
	s := &scan{runner: r, ctx: ctx, group: group, bucket: name, rules: rules}
	if r.opt.PerSecond > 0 {
		pace := time.NewTicker(max(1, time.Second/time.Duration(r.opt.PerSecond)))
		defer pace.Stop()
		s.pace = pace.C
	}
	versions, tags, uploads := rules.needs()
	if versions {
		err = s.versions(tags)
	}
	if uploads && err == nil {
		err = s.uploads()
	}
	if stopped := group.Wait(); stopped != nil {
		err = stopped // and not that of the listing, which it ended
	}
	return err
}

// scan goes through one bucket.
type scan struct {
	*runner
	ctx    context.Context
	group  *errgroup.Group
	bucket string
	rules  *Configuration
	pace   <-chan time.Time // gives leave to remove; nil: there is no bound
}

// versions looks at the versions of each key, which come newest first. Whether a
// delete marker is alone is known when the next key comes.
func (s *scan) versions(tags bool) error {
	var before sherd.ObjectInfo // of the same key, if it is the next newer version
	newer := -1                 // noncurrent versions of the key that were passed; −1: none but the current one
	for info, err := range s.store.ListVersions(s.ctx, s.bucket, &sherd.ListVersionsOptions{Prefix: s.rules.prefix(), Details: tags}) {
		if err != nil {
			return err
		}
		s.done.Looked++
		if before.Key == info.Key {
			newer++
			err = s.noncurrent(&info, before.Modified, newer)
		} else {
			err = errors.Join(s.lone(&before, newer), s.current(&info))
			newer = -1
		}
		if err != nil {
			return err
		}
		before = info
	}
	return s.lone(&before, newer)
}

func object(info *sherd.ObjectInfo) *Object {
	return &Object{Key: info.Key, Size: info.Size, Tags: info.Tags, Modified: info.Modified}
}

func (s *scan) due(at time.Time) bool { return !s.done.Begun.Before(at) }

// same is the conditions under which a version is still the one that was seen.
func same(info *sherd.ObjectInfo) sherd.DeleteConditions {
	if info.DeleteMarker {
		return sherd.DeleteConditions{}
	}
	return sherd.DeleteConditions{IfMatch: info.ETag, IfMatchModified: &info.Modified, IfMatchSize: &info.Size}
}

func (s *scan) current(info *sherd.ObjectInfo) error {
	if info.DeleteMarker {
		return nil
	}
	if d, ok := s.rules.Expiry(object(info), s.opt.Clock); ok && s.due(d.At) {
		return s.remove(Notice{Expired, s.bucket, info.Key, info.VersionID, d.Rule, nil}, &sherd.DeleteOptions{Conditions: same(info)})
	}
	return nil
}

func (s *scan) noncurrent(info *sherd.ObjectInfo, since time.Time, newer int) error {
	if d, ok := s.rules.NoncurrentExpiry(object(info), since, newer, s.opt.Clock); ok && s.due(d.At) {
		conditions := same(info)
		conditions.Noncurrent = true
		return s.remove(Notice{ExpiredOlder, s.bucket, info.Key, info.VersionID, d.Rule, nil},
			&sherd.DeleteOptions{VersionID: info.VersionID, Conditions: conditions})
	}
	return nil
}

// lone removes the last version that was seen of a key, if it is a delete marker
// and all that is there.
func (s *scan) lone(info *sherd.ObjectInfo, newer int) error {
	if !info.DeleteMarker || newer >= 0 {
		return nil
	}
	if d, ok := s.rules.MarkerExpiry(object(info), s.opt.Clock); ok && s.due(d.At) {
		return s.remove(Notice{ExpiredLone, s.bucket, info.Key, info.VersionID, d.Rule, nil},
			&sherd.DeleteOptions{VersionID: info.VersionID, Conditions: sherd.DeleteConditions{Marker: true}})
	}
	return nil
}

func (s *scan) remove(n Notice, o *sherd.DeleteOptions) error {
	return s.do(n, func() error {
		_, err := s.store.Delete(s.ctx, n.Bucket, n.Key, o)
		return err
	})
}

func (s *scan) uploads() error {
	for u, err := range s.store.ListUploads(s.ctx, s.bucket, &sherd.ListUploadsOptions{Prefix: s.rules.prefix()}) {
		if err != nil {
			return err
		}
		s.done.Looked++
		d, ok := s.rules.UploadExpiry(u.Key, u.Begun, s.opt.Clock)
		if !ok || !s.due(d.At) {
			continue
		}
		err := s.do(Notice{Aborted, s.bucket, u.Key, u.ID, d.Rule, nil}, func() error {
			return s.store.AbortUpload(s.ctx, s.bucket, u.Key, u.ID)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// do waits for leave, and begins a removal.
func (s *scan) do(n Notice, remove func() error) error {
	if s.pace != nil {
		select {
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-s.pace:
		}
	}
	s.group.Go(func() error { return s.count(n, remove()) })
	return nil
}

// count says what became of a removal. What would stop every other one too is given
// back, and ends the scan.
func (s *scan) count(n Notice, err error) error {
	var stop error
	s.mu.Lock()
	switch {
	case err == nil:
		s.done.Removed++
	case errors.Is(err, sherd.ErrLocked):
		s.done.Locked++
	case errors.Is(err, sherd.ErrPrecondition), errors.Is(err, sherd.ErrNoSuchKey), errors.Is(err, sherd.ErrNoSuchVersion),
		errors.Is(err, sherd.ErrNoSuchUpload):
		s.done.Changed++
	case errors.Is(err, sherd.ErrNoSuchBucket), errors.Is(err, sherd.ErrReadOnly), errors.Is(err, sherd.ErrUnavailable),
		errors.Is(err, sherd.ErrClosed), s.ctx.Err() != nil:
		s.done.Failed++
		stop = err
	default:
		s.done.Failed++
	}
	s.mu.Unlock()
	if n.Err = err; s.opt.Notice != nil {
		s.opt.Notice(n)
	}
	return stop
}
