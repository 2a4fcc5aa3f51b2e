// Package driveset makes N drives act as one: it owns the set's log, decides
// who is in-sync, and carries every change to every drive that counts.
//
// # What it guarantees
//
//   - A change that Commit acknowledges is synced on every in-sync drive, never on
//     fewer than ⌊N/2⌋+1, and its bytes on one drive more than reading them needs,
//     where there is one.
//   - All changes have one order, their position in the log, whatever clocks say.
//     A View sees what was acknowledged when it was made, and nothing else.
//   - A drive that fails, vanishes or stalls leaves the in-sync set, durably and on
//     all the rest, before the next acknowledgement. When it is back it learns what
//     it missed, and counts from the moment that a state which names it is decided.
//   - An empty directory in the place of a drive that was lost becomes a drive in its
//     stead: by itself while ⌊N/2⌋+1 drives are there, on the operator's word
//     otherwise. Nothing is made where a filesystem may only be unmounted.
//   - With fewer than ⌊N/2⌋+1 drives nothing is acknowledged any more. Reading goes
//     on, but for keys that a change of unknown outcome touches; the set opens
//     itself again when enough drives are there.
//   - An error is either clean, and nothing happened, or ErrOutcomeUnknown, and the
//     outcome is then settled one way for every later reader.
//
// # What it does not
//
// It knows nothing of buckets, versions or locks on objects: it moves records and
// bytes. Deciding on a key is the caller's, under a key lock of the caller's.
// What too few drives are left of can not be put together: it is reported, and kept.
//
// # How it is built
//
// A tenure is one ownership: an opening makes it, by the decision of package
// verdict, and the next opening ends it. Each drive of a tenure has a link, the
// one goroutine that writes to it, many entries in one synced batch. What a tenure
// knows is under one mutex that is never held across I/O. The keeper is the
// goroutine that brings drives back and opens the set again.
//
// Methods of Set are safe for concurrent use; a View, a Staged and a Data are for
// one goroutine at a time.
package driveset

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd/internal/heal"
	"github.com/sherd-storage/sherd/internal/pace"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// Place is a directory that is, or is to become, a drive of the set.
type Place struct {
	FS   vfs.FS
	Path string
}

// Options of a set. The zero value is the default of everything.
type Options struct {
	Pool, Set    int                 // its numbers in the store
	Deployment   layout.DeploymentID // of the store; zero: that of the drives, or a new one
	MustExist    bool                // refuse to format
	ReadOnly     bool                // change no byte of the drives, for as long as the set is open; implies MustExist
	Clock        func() time.Time    // time of entries; nil: time.Now
	Logger       *slog.Logger        // nil: nothing is logged
	TrustLocks   bool                // accept filesystems whose locks can not be trusted
	Memory       bool                // the places are in memory: smaller buffers
	ReserveBytes int64               // kept back on each drive; 0: by its size, see layout.Options
	CacheBytes   int64               // index cache shared by the drives; 0: 48 MiB
	StallLimit   time.Duration       // how long a drive may be later than enough others; 0: 10 s
	Grace        time.Duration       // how long to wait for the last drives at opening; 0: 2 s
	InlineBytes  int64               // objects whose shards are at most this are kept in the index; 0: 64 KiB
	KeptLog      int                 // entries kept for a drive that is away; 0: 500,000
	Manual       bool                // all work but the commit path is left to Run
	// Notice is told what happens to drives, one notice at a time and in order, by
	// a goroutine of the set's. It must not call Close. Nil: nobody is told.
	Notice func(Notice)
	// Replaced are drives that are gone for ever, by the operator's word. Each gives
	// its slot to an empty place.
	Replaced []layout.DriveID
	// What healing does by itself; 0 is the default of each, negative is off. Bytes
	// are a second's.
	ScrubBytes    int64         // that a scrub reads; negative: as many as it can
	ScrubEvery    time.Duration // from a scrub's beginning to that of the next
	SupplyBytes   int64         // written to a drive that took another's place; 0: as many as it can
	QuarantineAge time.Duration // of what is removed from quarantine; negative: nothing is
	// CopyBytes bounds how many bytes an index copy writes to its drive in a
	// second; 0: as many as it can.
	CopyBytes int64
}

// Errors of a set.
var (
	ErrOutcomeUnknown = errors.New("the outcome of the change is not known")
	ErrReadOnly       = errors.New("the set is read-only")
	ErrUnavailable    = errors.New("temporarily unavailable")
	ErrNoSpace        = errors.New("no space left")
	ErrAborted        = errors.New("the change was undone, nothing happened")
	ErrNotServing     = errors.New("the set is not open")
	ErrExpired        = errors.New("the view is too old")
	ErrMixed          = errors.New("the places do not belong together")
	ErrTooFew         = verdict.ErrTooFew
	ErrServed         = errors.New("the set was in use before")
	ErrMustExist      = errors.New("there is nothing at the places, and creating was not allowed")
)

// Limits of a tenure.
const (
	maxBatchEntries = 256
	maxBatchBytes   = 4 << 20
	maxUnackedBytes = 64 << 20
	maxLogBytes     = 2 * maxUnackedBytes // entries in memory, with those that learners have not taken
	entryRoomBytes  = 64 << 10            // what an entry counts for in maxUnackedBytes, at least
	largeEntryBytes = 8 << 20             // entries that are encoded before they are appended, as drives may refuse them
	maxMarkLag      = 4096                // entries by which a stable mark may lag while there is no quiet moment
	viewLimit       = time.Minute
	watchInterval   = 50 * time.Millisecond
	probeInterval   = 200 * time.Millisecond
	removeInterval  = 250 * time.Millisecond
	removeEntries   = 512
	minPause        = 100 * time.Millisecond
	retryPause      = 500 * time.Millisecond
	maxPause        = 30 * time.Second
	closeLimit      = 5 * time.Second
	releaseLimit    = 15 * time.Second // a drive has a limit of its own for what is below it
	gatherLimit     = 30 * time.Second // for places that do not even say whether they are there
)

// Set is N drives that act as one. All methods are safe for concurrent use.
type Set struct {
	opt        Options
	n, q       int
	places     []*place // in the order given; at most n
	deployment layout.DeploymentID
	created    bool
	cache      *layout.Cache
	engine     *stripe.Engine
	pace       pace.Pace // of reads of shard files, by slot

	current atomic.Pointer[tenure]
	damage  damageLog
	healer  *heal.Healer
	work    jobs
	notices notices

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{}
	runs   chan struct{} // held by whoever does the background work

	reopenAt    time.Time // the keeper's
	reopenPause time.Duration

	mu      sync.Mutex
	closed  bool
	matched bool // n and deployment are known; a place that comes later has to fit
}

// Open opens the set on the given places, formatting them if they are all
// missing or empty. It returns once the set serves, for reading at least.
func Open(ctx context.Context, places []Place, o *Options) (*Set, error) {
	s, err := prepare(places, o)
	if err != nil {
		return nil, err
	}
	if err := s.gather(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	t, err := s.openFirst(ctx)
	if err != nil {
		return nil, errors.Join(err, s.release())
	}
	s.serve(t)
	s.healer.Recall(ctx)
	if !s.opt.ReadOnly {
		s.acknowledge()
		s.wg.Go(s.keep)
		s.wg.Go(s.herald)
		s.wg.Go(func() { s.healer.Run(s.ctx) })
	}
	return s, nil
}

func prepare(places []Place, o *Options) (*Set, error) {
	if len(places) < 1 || len(places) > 16 {
		return nil, fmt.Errorf("%w: a set has 1 to 16 drives, not %d", ErrMixed, len(places))
	}
	s := &Set{n: len(places), kick: make(chan struct{}, 1), runs: make(chan struct{}, 1), notices: notices{wake: make(chan struct{}, 1)}}
	if o != nil {
		s.opt = *o
	}
	s.opt.fill()
	s.q = quorum.Write(s.n)
	s.cache = layout.NewCache(s.opt.CacheBytes)
	s.healer = s.newHealer()
	var err error
	if s.engine, err = stripe.NewEngine(nil); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, p := range places {
		s.places = append(s.places, &place{Place: p, status: Away, since: s.opt.Clock(), pause: minPause})
	}
	return s, nil
}

func (o *Options) fill() {
	o.MustExist = o.MustExist || o.ReadOnly
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 100}))
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 48 << 20
	}
	if o.StallLimit == 0 {
		o.StallLimit = 10 * time.Second
	}
	if o.KeptLog == 0 {
		o.KeptLog = 500_000
	}
	if o.Grace == 0 {
		o.Grace = 2 * time.Second
	}
	if o.InlineBytes == 0 {
		o.InlineBytes = 64 << 10
	}
}

// Format makes drives of the places of a set that is opened later: its state is
// of generation 0, and until it was opened once it may be formatted anew. Where
// that was done before nothing is left to do. ErrServed: the set was opened.
func Format(ctx context.Context, places []Place, o *Options) error {
	s, err := prepare(places, o)
	if err != nil {
		return err
	}
	err = s.gather(ctx)
	if err == nil && !s.created {
		err = s.unserved(ctx)
	}
	return errors.Join(err, s.release())
}

func (s *Set) unserved(ctx context.Context) error {
	formatted, _, err := s.sort()
	if err != nil {
		return err
	}
	if fresh, err := neverServed(ctx, formatted); err != nil || !fresh {
		return errors.Join(err, ErrServed)
	}
	return nil
}

// epoch is the least that is this set's, from a number on. Sets of a store have
// different ones, so that a version id or an upload id of one set is none of
// another: a key may have been in one, and be in the other now.
func (o *Options) epoch(least uint64) uint64 {
	const setsInPool, apart = 1 << 10, 1 << 16
	own := uint64(o.Pool)*setsInPool + uint64(o.Set)
	if own == 0 {
		return least // of the first set, which may be the only one, by the clock alone
	}
	epoch := least - least%apart + own%apart
	if epoch < least {
		epoch += apart
	}
	return epoch
}

// deployment is the store's id, or a new one.
func (o *Options) deployment() (id layout.DeploymentID, err error) {
	if id = o.Deployment; id == (layout.DeploymentID{}) {
		_, err = rand.Read(id[:])
	}
	return id, err
}

// belongs: a drive is of this set of the store, like others that are named so.
func (s *Set) belongs(p identified, others string, deployment layout.DeploymentID, drives int) error {
	id := p.id
	switch {
	case id.Deployment != deployment, s.opt.Deployment != (layout.DeploymentID{}) && id.Deployment != s.opt.Deployment:
		return fmt.Errorf("%w: %s is of deployment %s, %s of %s", ErrMixed, p.Path, id.Deployment, others, deployment)
	case id.Pool != s.opt.Pool || id.Set != s.opt.Set:
		return fmt.Errorf("%w: %s is of set %d of pool %d, not of set %d of pool %d", ErrMixed, p.Path, id.Set, id.Pool, s.opt.Set, s.opt.Pool)
	case id.Drives != drives:
		return fmt.Errorf("%w: %s is of a set of %d drives, %s of %d", ErrMixed, p.Path, id.Drives, others, drives)
	}
	return nil
}

// openFirst makes the first opening: a drive that fails while the log is
// settled is left out, and it is tried again with a higher epoch.
func (s *Set) openFirst(ctx context.Context) (*tenure, error) {
	var last error
	for range s.n + 1 {
		t, err := s.attempt(ctx)
		if err == nil {
			return t, nil
		}
		if ctx.Err() != nil || !errors.Is(err, errAgain) {
			return nil, err
		}
		last = err
	}
	return nil, last
}

// serve makes a tenure the one that answers, and starts its work.
func (s *Set) serve(t *tenure) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		t.end(ErrNotServing)
		return
	}
	old := s.current.Swap(t)
	s.mu.Unlock()
	if old != nil {
		old.end(ErrNotServing)
	}
	t.start()
}

// spawn starts a goroutine that Close waits for. After Close nothing is
// started any more, and f runs at once.
func (s *Set) spawn(f func()) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		f()
		return
	}
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		f()
	}()
}

// serving gives the tenure that answers.
func (s *Set) serving() (*tenure, error) {
	if t := s.current.Load(); t != nil {
		return t, nil
	}
	return nil, ErrNotServing
}

// Created tells that this Open formatted the drives.
func (s *Set) Created() bool { return s.created }

// Mode is what the set can do now.
func (s *Set) Mode() Mode {
	t, err := s.serving()
	if err != nil {
		return Closed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stuck != nil {
		return ReadOnly
	}
	return Serving
}

// Drives is N.
func (s *Set) Drives() int { return s.n }

// Deployment is the id that all drives of the store carry.
func (s *Set) Deployment() layout.DeploymentID { return s.deployment }

// Owner is who this process is to the drives, until the set is opened again.
func (s *Set) Owner() layout.Owner {
	if t := s.current.Load(); t != nil {
		return t.owner
	}
	return layout.Owner{}
}

func (s *Set) now() time.Time { return s.opt.Clock().UTC() }

// nudge wakes the keeper.
func (s *Set) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Close writes the stable mark, ends all work, and gives the drives back. It
// reports calls that the kernel did not give back in time. Closing twice does
// nothing.
func (s *Set) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	t := s.current.Swap(nil)
	if t == nil {
		return s.release()
	}
	t.quiesce(time.Second)
	s.cancel()
	t.end(ErrNotServing)
	_ = within(closeLimit, s.wg.Wait) // the keeper may just have begun the tenure; release tells
	return errors.Join(t.wait(closeLimit), s.release())
}

// release ends what the set does by itself, closes the drives and gives their
// locks back.
func (s *Set) release() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	err := within(closeLimit, s.wg.Wait)
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	if s.engine.Wait(ctx) != nil {
		err = errors.Join(err, errNoReturn)
	}
	errs := make([]error, len(s.places))
	var wg sync.WaitGroup
	for i, p := range s.places {
		wg.Go(func() { errs[i] = p.release() })
	}
	wg.Wait()
	if released := errors.Join(errs...); released != nil {
		return errors.Join(err, released) // what was not closed still uses the cache
	}
	s.cache.Close()
	return err
}

var errNoReturn = errors.New("calls to drives did not return")

// within waits for f, which a stuck system call may delay for ever: no longer
// than the limit.
func within(limit time.Duration, f func()) error {
	done := make(chan struct{})
	go func() { f(); close(done) }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return errNoReturn
	}
}

// quiesce has the stable mark written on every drive, within a limit.
func (t *tenure) quiesce(limit time.Duration) {
	end := time.Now().Add(limit)
	for time.Now().Before(end) {
		t.mu.Lock()
		waiting := t.last.Position > t.visible.Position && t.stuck == nil
		for _, m := range t.members {
			if m != nil && m.failed == nil && m.fed && m.stable < t.visible.Position {
				waiting, m.markDue = true, true
				m.nudge()
			}
		}
		t.mu.Unlock()
		if !waiting {
			return
		}
		select {
		case <-t.ctx.Done():
			return
		case <-time.After(time.Millisecond):
		}
	}
}
