package sherd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sherd-storage/sherd/internal/budget"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/internal/pools"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// Defaults of Options.
const (
	// DefaultMemoryBudget is Options.MemoryBudget where none is given.
	DefaultMemoryBudget = 256 << 20
	// MinMemoryBudget is the least that a store works with: two large requests
	// at a time, and small ones beside them.
	MinMemoryBudget = 3 * streamBytes
	// MaxDrives is the most drives of a set. A pool of more makes several sets.
	MaxDrives = layout.MaxDrives
	// MaxPoolDrives is the most drives of a pool.
	MaxPoolDrives = 1024
	// MaxPools is the most pools of a store.
	MaxPools = 64
)

// Options of a store. A nil *Options and the zero value are the defaults.
type Options struct {
	// Parity is how many drives of a set may be lost without losing an object,
	// from 0 to half the drives. It is that of new objects; PutOptions.Parity
	// overrides it. Nil: 0 of 1 drive, 1 of 2 or 3, 2 of 4 or 5, 3 of 6 or 7, 4 of
	// more.
	Parity *int
	// Pools are the drives of further pools, each in any order. Those that the
	// store does not have yet are added, as by [Store.AddPool]; all that it has must
	// be given.
	Pools [][]string
	// SetDrives is how many drives a set has where a pool is made. 0: all of the
	// pool's up to 16, else the largest divisor of their number that is at most 16.
	SetDrives int
	// MustExist refuses to create a store (ErrNotExist). Set it where drives
	// are mounted: a mount that is missing looks like an empty directory.
	MustExist bool
	// Clock gives the time of commits and decides about retention. Nil:
	// time.Now. It must be safe for concurrent use.
	Clock func() time.Time
	// Logger is told what an operator should know. Nil: nothing is logged.
	Logger *slog.Logger
	// MemoryBudget is how many bytes the buffers of all requests in flight may
	// take together; what finds none left waits, with its context. Large ones
	// leave 4 MiB of it to small ones, and writing 2 MiB to reading what is small. Rebuilding lost shards takes up to half as
	// much beside them. 0: DefaultMemoryBudget.
	MemoryBudget int64
	// ReserveBytes are kept free on each drive for deletes and for what the
	// store itself must write. 0: 5 % of the drive, at least 64 MiB and at most
	// 1 GiB or a quarter of it. With less than 64 MiB a drive whose index is full
	// may fail when the index writes its tables anew. Negative: nothing.
	ReserveBytes int64
	// CacheBytes is the cache of the index, for all drives together. 0: 48 MiB.
	CacheBytes int64
	// UploadExpiry is the age at which a multipart upload that was not completed
	// is removed, with its parts. 0: never.
	UploadExpiry time.Duration
	// StallLimit is how much later than enough others a drive may answer before
	// it is left out. 0: 10 s.
	StallLimit time.Duration
	// ManualRun leaves everything but the commit path to Store.Run: catching
	// up, rebuilding, removing what was replaced, expiring uploads. A store on
	// which nobody calls Run then never gets a drive back.
	ManualRun bool
	// TrustLocks accepts drives on network filesystems, whose locks may not
	// keep a second process out. Two processes on one drive destroy it.
	TrustLocks bool
	// Replace names drives that are gone for ever, by their ids as Health and errors
	// give them: the operator's word, by which empty directories are made drives in
	// their stead where that does not happen by itself. While too few drives are there
	// to write, it must name all that are missing, and each needs an empty directory.
	// Never name a drive that may come back: what only it has is lost. Ids of drives
	// that are there, or were replaced already, do nothing; ErrInvalidArgument where the
	// store never had the drive.
	Replace []string
	// RebuildBytes is how many bytes a second are written to a drive that is being
	// rebuilt. 0: as many as it can take.
	RebuildBytes int64
	// ScrubBytes is how many bytes a second a scrub reads, which compares and
	// verifies everything that the drives hold. 0: 16 MiB; negative: as many as it can.
	ScrubBytes int64
	// ScrubInterval is the time from the beginning of a scrub to that of the next. 0:
	// 30 days; negative: there are none.
	ScrubInterval time.Duration
	// QuarantineAge is the age at which files that were put aside are removed. 0: 30
	// days; negative: never.
	QuarantineAge time.Duration
	// Observe is called at the end of every operation, by the goroutine that
	// ran it. It must be quick and safe for concurrent use. Nil: nobody.
	Observe func(Event)
	// Notice is told, in order and by one goroutine at a time, what happens to
	// the store that no caller asked for: drives that leave and return, what is
	// rebuilt, damage. While it does not return, later notices wait; of those the
	// newest 1,000 are kept. It must not Close the store. Nil: nobody.
	Notice func(Notice)
}

// Event is an operation that ended.
type Event struct {
	Op       string        // as in Error.Op
	Bucket   string        // "" where there is none
	Bytes    int64         // of the object written, or of the range opened to be read
	Duration time.Duration // by the store's clock; of a read, until its first byte could be read
	Err      error         // nil: it succeeded
}

// Validate reports everything that is wrong with the options of a store of so
// many drives, as ErrInvalidArgument.
func (o *Options) Validate(drives int) error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrInvalidArgument}, args...)...))
	}
	if o == nil {
		o = &Options{}
	}
	for _, pool := range append([]int{drives}, sizes(o.Pools)...) {
		if pool < 1 || pool > MaxPoolDrives {
			refuse("a pool has 1 to %d drives, not %d", MaxPoolDrives, pool)
			pool = 1
		}
		each := o.setDrives(pool)
		if o.Parity != nil && (*o.Parity < 0 || *o.Parity > each/2) {
			refuse("parity of %d drives is 0 to %d, not %d", each, each/2, *o.Parity)
		}
	}
	if len(o.Pools) >= MaxPools {
		refuse("a store has 1 to %d pools, not %d", MaxPools, 1+len(o.Pools))
	}
	if o.SetDrives < 0 || o.SetDrives > MaxDrives {
		refuse("a set has 1 to %d drives, not %d", MaxDrives, o.SetDrives)
	}
	if o.MemoryBudget != 0 && o.MemoryBudget < MinMemoryBudget {
		refuse("a memory budget of %d bytes is less than %d", o.MemoryBudget, MinMemoryBudget)
	}
	if _, err := driveIDs(o.Replace); err != nil {
		refuse("%v", err)
	}
	if o.CacheBytes < 0 || o.UploadExpiry < 0 || o.StallLimit < 0 || o.RebuildBytes < 0 {
		refuse("sizes and durations are not negative")
	}
	return errors.Join(errs...)
}

func sizes(pools [][]string) []int {
	out := make([]int, len(pools))
	for i, drives := range pools {
		out[i] = len(drives)
	}
	return out
}

// setDrives is how many drives a set has, as far as the number of places tells.
func (o *Options) setDrives(places int) int {
	if _, each, err := pools.Divide(places, o.SetDrives); err == nil {
		return each
	}
	return min(places, MaxDrives)
}

// driveIDs reads the ids of drives, 16 hex digits each.
func driveIDs(texts []string) ([]layout.DriveID, error) {
	out := make([]layout.DriveID, len(texts))
	for i, text := range texts {
		id, err := hex.DecodeString(text)
		if err != nil || len(id) != len(out[i]) {
			return nil, fmt.Errorf("%q is not the id of a drive, 16 hex digits", text)
		}
		out[i] = layout.DriveID(id)
	}
	return out, nil
}

// Store is an object store on drives. Make one with [Open] or
// [NewMemory], and Close it. All methods may be called concurrently.
type Store struct {
	opt     Options
	pools   *pools.Pools
	locks   *keylock.Locks
	budget  *budget.Budget
	writes  *budget.Budget // what all but small reads may take of it
	streams *budget.Budget // what large requests may take of that
	buckets bucketCache
	chunks  sync.Pool // of *chunk
	places  func(drives []string) []driveset.Place

	closed atomic.Bool
	cancel context.CancelFunc // ends the store's own goroutine
	wg     sync.WaitGroup
}

// Open opens the store on the given drives, which are directories in any
// order. When all of them are missing or empty a store is created, which is
// logged at Warn and told by [Store.Created]; see Options.MustExist.
//
// It returns once the store can at least be read. Too few drives for that is
// [ErrTooFewDrives]; [ErrForeign], [ErrMixedDrives], [ErrFormat] and [ErrInUse]
// say why drives were refused, and nothing was changed then, but that an empty
// directory may keep the file that it was locked by. The context is that of
// opening only.
func Open(ctx context.Context, drives []string, o *Options) (*Store, error) {
	return open(ctx, onDisk(drives), o, &driveset.Options{})
}

func onDisk(drives []string) []driveset.Place {
	places := make([]driveset.Place, len(drives))
	for i, path := range drives {
		places[i] = driveset.Place{FS: vfs.OS(), Path: path}
	}
	return places
}

// OpenReadOnly opens the store without writing a byte, for media and snapshots
// that must stay as they are: everything that would change it gives
// [ErrReadOnly]. Any number may have a store open so, while nobody has it open
// for writing ([ErrInUse]).
//
// Every drive that is in-sync must be there, else [ErrTooFewDrives]. What was
// not settled when the store was last closed, after a crash that is what was
// written last, can be settled by [Open] only: asking for such keys, and
// listing them, gives [ErrUnavailable]. A drive that fails meanwhile is not
// used again.
func OpenReadOnly(ctx context.Context, drives []string, o *Options) (*Store, error) {
	return open(ctx, onDisk(drives), o, &driveset.Options{ReadOnly: true})
}

// NewMemory makes a store of so many drives in memory: the same engine, for
// tests and caches. What it holds is gone when it is closed.
func NewMemory(drives int, o *Options) (*Store, error) {
	paths := make([]string, max(0, min(drives, MaxPoolDrives+1)))
	for i := range paths {
		paths[i] = fmt.Sprintf("/drive%d", i)
	}
	return open(context.Background(), inMemory(paths), o, &driveset.Options{Memory: true, TrustLocks: true})
}

func inMemory(drives []string) []driveset.Place {
	places := make([]driveset.Place, len(drives))
	for i, path := range drives {
		places[i] = driveset.Place{FS: vfs.Mem(0), Path: path}
	}
	return places
}

func open(ctx context.Context, places []driveset.Place, o *Options, under *driveset.Options) (*Store, error) {
	if err := o.Validate(len(places)); err != nil {
		return nil, &Error{Op: "open", Err: err}
	}
	s := &Store{locks: keylock.New(), places: onDisk}
	if under.Memory {
		s.places = inMemory
	}
	lists := [][]driveset.Place{places}
	if o != nil {
		s.opt = *o
		for _, drives := range o.Pools {
			lists = append(lists, s.places(drives))
		}
	}
	return s.open(ctx, lists, under)
}

func (s *Store) open(ctx context.Context, lists [][]driveset.Place, under *driveset.Options) (_ *Store, err error) {
	s.opt.fill()
	s.budget = budget.New(s.opt.MemoryBudget)
	s.writes, s.streams = budget.New(s.opt.MemoryBudget-streamBytes/2), budget.New(s.opt.MemoryBudget-streamBytes)
	s.chunks.New = func() any { return new(chunk) }
	under.MustExist, under.Clock, under.Logger = s.opt.MustExist, s.opt.Clock, s.opt.Logger
	under.ReserveBytes, under.CacheBytes = s.opt.ReserveBytes, s.opt.CacheBytes
	under.StallLimit, under.Manual = s.opt.StallLimit, s.opt.ManualRun
	under.TrustLocks = under.TrustLocks || s.opt.TrustLocks
	under.ScrubBytes, under.ScrubEvery, under.QuarantineAge = s.opt.ScrubBytes, s.opt.ScrubInterval, s.opt.QuarantineAge
	under.Replaced, _ = driveIDs(s.opt.Replace) // Validate has seen them
	under.CopyBytes, under.SupplyBytes = s.opt.RebuildBytes, s.opt.RebuildBytes
	if under.ReadOnly {
		s.opt.UploadExpiry = 0
	}
	if tell := s.opt.Notice; tell != nil {
		var one sync.Mutex // of sets that tell at the same time
		under.Notice = func(n driveset.Notice) {
			one.Lock()
			defer one.Unlock()
			tell(Notice(n))
		}
	}
	s.pools, err = pools.Open(ctx, lists, &pools.Options{Set: *under, SetDrives: s.opt.SetDrives})
	if err != nil {
		if endedByContext(err) {
			return nil, err
		}
		if errors.Is(err, layout.ErrBadRecord) || errors.Is(err, layout.ErrNewerFormat) { // of a format.json: nothing else is read yet
			err = &translated{err, ErrFormat}
		}
		return nil, &Error{Op: "open", Err: translate(err)}
	}
	if each := s.drives(); s.opt.Parity != nil && *s.opt.Parity > each/2 {
		err := fmt.Errorf("%w: parity of %d drives is 0 to %d, not %d", ErrInvalidArgument, each, each/2, *s.opt.Parity)
		return nil, &Error{Op: "open", Err: errors.Join(err, s.pools.Close())}
	}
	if s.Created() && !under.Memory {
		s.opt.Logger.WarnContext(ctx, "created a new store", "drives", len(lists[0]), "deployment", s.first().Deployment().String())
	}
	background, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if !s.opt.ManualRun {
		s.wg.Go(func() { s.expire(background) })
		s.wg.Go(func() { s.widenAll(background) })
		if !under.ReadOnly && s.pools.Table().Only() == nil {
			s.wg.Go(func() { s.settle(background) })
		}
	}
	return s, nil
}

func (o *Options) fill() {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MemoryBudget == 0 {
		o.MemoryBudget = DefaultMemoryBudget
	}
}

// Close ends the store and gives its drives back, within a bound; what the
// kernel does not give back in time is reported. Calls that are on their way
// end, those after it give [ErrClosed]. Closing twice does nothing.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.cancel()
	err := s.pools.Close()
	s.wg.Wait()
	if err != nil {
		return &Error{Op: "close", Err: err}
	}
	return nil
}

// Run does the work that Options.ManualRun leaves to it, until the context ends,
// and then gives the context's error. Without that option it only waits.
func (s *Store) Run(ctx context.Context) error {
	if s.closed.Load() {
		return &Error{Op: "run", Err: ErrClosed}
	}
	if !s.opt.ManualRun {
		<-ctx.Done()
		return ctx.Err()
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.pools.Run(ctx) })
	g.Go(func() error { s.settle(ctx); s.expire(ctx); return ctx.Err() })
	g.Go(func() error { s.widenAll(ctx); return ctx.Err() })
	return g.Wait()
}

// expire removes abandoned uploads, until the context ends.
func (s *Store) expire(ctx context.Context) {
	if s.opt.UploadExpiry == 0 {
		return
	}
	every := time.NewTicker(min(max(s.opt.UploadExpiry/8, time.Second), time.Hour))
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		n, err := s.ExpireUploads(ctx, s.Now().Add(-s.opt.UploadExpiry))
		switch {
		case err != nil && ctx.Err() == nil:
			s.opt.Logger.WarnContext(ctx, "abandoned uploads could not be removed", "error", err)
		case n > 0:
			s.opt.Logger.InfoContext(ctx, "removed abandoned uploads", "count", n)
		}
	}
}

// Created says that opening the store created it.
func (s *Store) Created() bool { return s.pools.Created() }

// Now is the store's clock, UTC.
func (s *Store) Now() time.Time { return s.opt.Clock().UTC() }

// operation is a call of a method.
type operation struct {
	store *Store
	begun time.Time // zero unless somebody observes
	Error           // what was asked
	bytes int64
}

func (s *Store) begin(op, bucket, key, versionID string) operation {
	o := operation{store: s, Error: Error{Op: op, Bucket: bucket, Key: key, VersionID: versionID}}
	if s.opt.Observe != nil {
		o.begun = s.opt.Clock()
	}
	return o
}

// end gives the error its form, and tells the observer. It is deferred.
func (o *operation) end(err *error) {
	if *err != nil {
		*err = o.wrap(*err)
	}
	if observe := o.store.opt.Observe; observe != nil {
		observe(Event{Op: o.Op, Bucket: o.Bucket, Bytes: o.bytes, Duration: o.store.opt.Clock().Sub(o.begun), Err: *err})
	}
}

func (o *operation) wrap(err error) error {
	if o.store.closed.Load() && errors.Is(err, driveset.ErrNotServing) {
		err = ErrClosed
	}
	if endedByContext(err) {
		return err
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	e := o.Error
	if f, ok := errors.AsType[*found](err); ok {
		e.Info, err = &f.info, f.error
	}
	e.Err = translate(err)
	return &e
}

// hold is locks that are held, until release is called or the set has taken
// them over.
type hold struct {
	unlock func()
	given  bool          // to the set, which unlocks when an outcome is settled
	set    *driveset.Set // in which the change is made
	b      *bucket       // that it is in; nil: it is about buckets
	free   bool          // the key is in no set: any that would take it will do
}

func (h *hold) release() {
	if !h.given {
		h.unlock()
	}
}

// commitTries is how often a change that was undone is tried again.
const commitTries = 4

// commit makes a change, under locks that are held: with ErrOutcomeUnknown they
// are the set's. writes is called under the log's mutex, with the position of
// the change.
func (s *Store) commit(ctx context.Context, h *hold, c driveset.Change, writes func(layout.Position, layout.Owner) ([]layout.Write, error)) error {
	build := func(at layout.Position, owner layout.Owner) (driveset.Change, error) {
		var err error
		c.Writes, err = writes(at, owner)
		return c, err
	}
	if h.b != nil && h.set != s.first() {
		if err := s.copyBucket(ctx, h.set, h.b); err != nil {
			return err
		}
	}
	for range commitTries {
		_, err := h.set.Commit(ctx, h.unlock, build)
		if errors.Is(err, driveset.ErrOutcomeUnknown) {
			h.given = true
			return err
		}
		if !errors.Is(err, driveset.ErrAborted) {
			return err
		}
		if c.Staged != nil {
			if err := c.Staged.Again(ctx); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%w: drives failed while it was written", ErrUnavailable)
}
