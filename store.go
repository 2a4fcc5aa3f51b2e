package sherd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sherd-storage/sherd/internal/budget"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/internal/quorum"
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
	// MaxDrives is the most drives that a store has.
	MaxDrives = 16
)

// Options of a store. A nil *Options and the zero value are the defaults.
type Options struct {
	// Parity is how many drives may be lost without losing an object, from 0 to
	// half the drives. It is that of new objects; PutOptions.Parity overrides
	// it. Nil: 0 of 1 drive, 1 of 2 or 3, 2 of 4 or 5, 3 of 6 or 7, 4 of more.
	Parity *int
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
	// leave 4 MiB of it to small ones. 0:
	// DefaultMemoryBudget.
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
	// Observe is called at the end of every operation, by the goroutine that
	// ran it. It must be quick and safe for concurrent use. Nil: nobody.
	Observe func(Event)
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
	if drives < 1 || drives > MaxDrives {
		refuse("a store has 1 to %d drives, not %d", MaxDrives, drives)
	}
	if o == nil {
		return errors.Join(errs...)
	}
	if o.Parity != nil && (*o.Parity < 0 || *o.Parity > drives/2) {
		refuse("parity of %d drives is 0 to %d, not %d", drives, drives/2, *o.Parity)
	}
	if o.MemoryBudget != 0 && o.MemoryBudget < MinMemoryBudget {
		refuse("a memory budget of %d bytes is less than %d", o.MemoryBudget, MinMemoryBudget)
	}
	if o.CacheBytes < 0 || o.UploadExpiry < 0 || o.StallLimit < 0 {
		refuse("sizes and durations are not negative")
	}
	return errors.Join(errs...)
}

// Store is an object store on a set of drives. Make one with [Open] or
// [NewMemory], and Close it. All methods may be called concurrently.
type Store struct {
	opt     Options
	set     *driveset.Set
	locks   *keylock.Locks
	budget  *budget.Budget
	streams *budget.Budget // what large requests may take of it
	buckets bucketCache
	chunks  sync.Pool // of *chunk

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
	places := make([]driveset.Place, len(drives))
	for i, path := range drives {
		places[i] = driveset.Place{FS: vfs.OS(), Path: path}
	}
	return open(ctx, places, o, &driveset.Options{})
}

// NewMemory makes a store of so many drives in memory: the same engine, for
// tests and caches. What it holds is gone when it is closed.
func NewMemory(drives int, o *Options) (*Store, error) {
	places := make([]driveset.Place, max(0, min(drives, MaxDrives+1)))
	for i := range places {
		places[i] = driveset.Place{FS: vfs.Mem(0), Path: fmt.Sprintf("/drive%d", i)}
	}
	return open(context.Background(), places, o, &driveset.Options{Memory: true, TrustLocks: true})
}

func open(ctx context.Context, places []driveset.Place, o *Options, under *driveset.Options) (*Store, error) {
	if err := o.Validate(len(places)); err != nil {
		return nil, &Error{Op: "open", Err: err}
	}
	s := &Store{locks: keylock.New()}
	if o != nil {
		s.opt = *o
	}
	s.opt.fill()
	s.budget = budget.New(s.opt.MemoryBudget)
	s.streams = budget.New(s.opt.MemoryBudget - streamBytes)
	s.chunks.New = func() any { return new(chunk) }
	under.MustExist, under.Clock, under.Logger = s.opt.MustExist, s.opt.Clock, s.opt.Logger
	under.ReserveBytes, under.CacheBytes = s.opt.ReserveBytes, s.opt.CacheBytes
	under.StallLimit, under.Manual = s.opt.StallLimit, s.opt.ManualRun
	under.TrustLocks = under.TrustLocks || s.opt.TrustLocks
	set, err := driveset.Open(ctx, places, under)
	if err != nil {
		if endedByContext(err) {
			return nil, err
		}
		if errors.Is(err, layout.ErrBadRecord) || errors.Is(err, layout.ErrNewerFormat) { // of a format.json: nothing else is read yet
			err = &translated{err, ErrFormat}
		}
		return nil, &Error{Op: "open", Err: translate(err)}
	}
	s.set = set
	if set.Created() && !under.Memory {
		s.opt.Logger.WarnContext(ctx, "created a new store", "drives", len(places), "deployment", set.Deployment().String())
	}
	background, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if !s.opt.ManualRun {
		s.wg.Go(func() { s.expire(background) })
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
	err := s.set.Close()
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
	g.Go(func() error { return s.set.Run(ctx) })
	g.Go(func() error { s.expire(ctx); return ctx.Err() })
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
func (s *Store) Created() bool { return s.set.Created() }

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
	given  bool // to the set, which unlocks when an outcome is settled
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
	for range commitTries {
		_, err := s.set.Commit(ctx, h.unlock, build)
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

// Mode is what a store can do now.
type Mode = driveset.Mode

// The modes.
const (
	Closed   = driveset.Closed
	ReadOnly = driveset.ReadOnly
	Serving  = driveset.Serving
)

// DriveStatus is how a drive stands to the store.
type DriveStatus = driveset.DriveStatus

// Health is what a store knows of itself.
type Health struct {
	Mode     Mode
	Reason   string // of ReadOnly
	Degraded bool   // fewer drives than there are hold everything
	Needed   int    // drives in-sync that writing needs
	Drives   []DriveHealth
	Damage   []Finding // found by reads, the newest last, a bounded number
}

// DriveHealth is what a store knows of a drive.
type DriveHealth struct {
	Path   string
	ID     string // hex, "" not known
	Slot   int    // −1 not known
	Status DriveStatus
	Err    error // why it is not in-sync
	Since  time.Time
	Total  uint64 // bytes
	Free   uint64 // bytes that writes may still take
}

// Finding is something that is not as it should be. Whatever could be served
// was served.
type Finding struct {
	Kind string // drive, shard, record or log
	Path string // of the drive, "" where it is none
	Key  string // "" not known
	Text string
	Lost bool // can not be read at all with the drives that are there
}

// Capacity is space for objects, in their bytes: parity is counted.
type Capacity struct{ Total, Free, Used uint64 }

// Health tells how the store is, without asking the drives.
func (s *Store) Health() Health {
	h := s.set.Health()
	out := Health{Mode: h.Mode, Reason: h.Reason, Degraded: h.Degraded, Needed: h.Needed}
	for _, d := range h.Drives {
		drive := DriveHealth{Path: d.Path, Slot: d.Slot, Status: d.Status, Err: d.Err, Since: d.Since, Total: d.Usage.Total, Free: d.Usage.Free}
		if !d.ID.IsZero() {
			drive.ID = d.ID.String()
		}
		out.Drives = append(out.Drives, drive)
	}
	for _, f := range h.Damage {
		out.Damage = append(out.Damage, finding(f))
	}
	return out
}

func finding(f driveset.Finding) Finding {
	return Finding{Kind: f.Kind.String(), Path: f.Drive, Key: f.Key, Text: f.Text, Lost: f.Lost}
}

// Capacity tells how much the store can hold, as its fullest drive allows.
func (s *Store) Capacity(ctx context.Context) (c Capacity, err error) {
	op := s.begin("capacity", "", "", "")
	defer op.end(&err)
	if s.closed.Load() {
		return Capacity{}, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return Capacity{}, err
	}
	var total, free uint64
	known := 0
	for _, d := range s.set.Health().Drives {
		if d.Usage.Total == 0 {
			continue
		}
		if known++; known == 1 || d.Usage.Free < free {
			free = d.Usage.Free
		}
		if known == 1 || d.Usage.Total < total {
			total = d.Usage.Total
		}
	}
	if known == 0 {
		return Capacity{}, ErrUnavailable
	}
	n := s.set.Drives()
	parity := quorum.DefaultParity(n)
	if s.opt.Parity != nil {
		parity = *s.opt.Parity
	}
	k := uint64(n - parity)
	return Capacity{Total: k * total, Free: k * free, Used: k * (total - min(free, total))}, nil
}

// Check reads everything that the store holds and gives what is not as it
// should be. It takes as long as reading everything takes; an error ends it.
func (s *Store) Check(ctx context.Context) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		op := s.begin("check", "", "", "")
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stopped := false
		err := s.set.Check(ctx, func(f driveset.Finding) {
			if !stopped && !yield(finding(f), nil) {
				stopped = true
				cancel()
			}
		})
		if stopped {
			err = nil
		}
		if op.end(&err); err != nil {
			yield(Finding{}, err)
		}
	}
}
