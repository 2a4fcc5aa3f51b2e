// Package heal finds what is not as it should be in a set of drives, and mends it.
//
// # What it does
//
//   - A shard that a read found missing or damaged is rebuilt from others, soon.
//   - A scrub reads and compares everything at a steady pace, again and again, and
//     mends what it finds. It goes on where it was after a restart.
//   - A drive that took another's place is given the shard files that it owes.
//   - Files that nobody uses are put aside, and what was put aside long ago goes.
//   - A census says how many objects are how many lost drives away from harm.
//
// # What it guarantees
//
// It reads and counts; only the set writes, by the methods of Set. What is mended
// was put together from verified shards of the same write, or not at all. What it
// can not mend it leaves as it is, and says so. Its queue, its memory and what runs
// at the same time are bounded.
//
// All methods of Healer may be called at the same time.
package heal

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/layout"
)

// Set is what is healed.
type Set interface {
	// Look gives what the set holds now, to be read.
	Look(ctx context.Context) (View, error)
	// Verify reads one shard to its end and compares every sum. Quick looks only
	// whether it is there, has its length, and ends as it should.
	Verify(ctx context.Context, place layout.Place, shard int, quick bool) error
	// Mend puts a shard together from others and writes it where it belongs; what
	// was there goes to quarantine. ErrAway when its drive can not be written now,
	// ErrNobody when nobody uses the shard any more.
	Mend(ctx context.Context, d Damage) error
	// Holder tells who has the shards that were given to a drive.
	Holder(id layout.DriveID) Holder
	// InSync gives the drives that count, with those whose places they took.
	InSync() []Owing
	// Discard puts aside, on a drive, the files of one of 256 directories that
	// nobody uses.
	Discard(ctx context.Context, slot int, dir byte) (int, error)
	// Expire removes on all drives what was put aside before a time.
	Expire(ctx context.Context, before time.Time) (int, error)
	// Load and Save keep a document in the set itself; nil where there is none.
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, document []byte) error
	// Suspect is told of a drive whose index could not be read.
	Suspect(slot int, err error)
}

// View is a set at a position. It does not change, until it is too old.
type View interface {
	At() layout.Mark
	// Aging: it will end soon, and another one should take its place.
	Aging() bool
	// Drives have all that the view shows.
	Drives() []Drive
	Get(ctx context.Context, slot layout.Slot) (layout.Item, bool, error)
	Cursor(ctx context.Context, from, to layout.Slot) (layout.Cursor, error)
	Close()
}

// Drive is a drive of a view.
type Drive struct {
	Slot  int
	Path  string
	Drive layout.Drive
}

// Holder is the drive that has the shards given to an id: the drive of that id, or
// the one that took its place.
type Holder struct {
	Slot  int // −1: none is known
	Path  string
	Drive layout.DriveID
	Reach bool // it can be read
	Heir  bool // it took the place of the drive with that id
}

// Owing is a drive that is to have the shards that were given to others, whose place
// it took.
type Owing struct {
	Slot  int
	Path  string
	Drive layout.DriveID
	Past  []layout.DriveID
}

// Damage is a shard that is missing or damaged.
type Damage struct {
	Place layout.Place
	Shard int
	Slot  layout.Slot     // of a record that names it; nil: not known
	At    layout.Position // of that record
	Err   error
}

// Errors of mending.
var (
	ErrAway   = errors.New("the drive is out of reach")
	ErrNobody = errors.New("nobody uses these bytes any more")
)

// FindingKind says what is wrong.
type FindingKind uint8

// The kinds of findings.
const (
	FindingDrive  FindingKind = iota + 1 // a drive could not be read, or is not what it should be
	FindingShard                         // a shard is damaged or missing
	FindingRecord                        // a record is damaged, or differs between drives
	FindingLog                           // logs of in-sync drives differ
)

// String names the kind.
func (k FindingKind) String() string {
	return [...]string{"", "drive", "shard", "record", "log"}[k]
}

// Finding is something that is not as it should be. Finding is not failing:
// whatever could still be served was served.
type Finding struct {
	Kind   FindingKind
	Drive  string // path
	Bucket layout.BucketID
	Key    string
	Data   layout.DataID
	Text   string
	Lost   bool // no longer readable at all with the drives that are there
	Healed bool // and mended since
}

// WorkKind says what takes long.
type WorkKind uint8

// The kinds of work.
const (
	WorkShards WorkKind = iota + 1 // a drive is given the shards that it owes
	WorkScrub                      // everything is read
)

// Job is told how far work is.
type Job interface {
	Expect(items, bytes uint64) // altogether; 0: it is not known
	Resume(items, bytes uint64) // were done before, by an earlier process
	Done(items, bytes uint64)   // more
	End()
}

// Options of a Healer. What is 0 has a default, what is negative is off.
type Options struct {
	ScrubBytes    int64         // a second, of a scrub; 0: DefaultScrubBytes; negative: as fast as it goes
	ScrubEvery    time.Duration // from the beginning of a scrub to that of the next; 0: DefaultScrubEvery
	SupplyBytes   int64         // a second, to a drive that owes shards; 0: as fast as it goes
	QuarantineAge time.Duration // of what is removed from quarantine; 0: DefaultQuarantineAge

	Clock  func() time.Time                      // for people, and for what is due
	Now    func() time.Time                      // for rates
	Logger *slog.Logger                          // never nil
	May    func() bool                           // tells whether work may be done now
	Found  func(Finding)                         // is told what was found, and what was mended
	Begin  func(kind WorkKind, drive string) Job // notes work that takes long
}

// Defaults of Options.
const (
	DefaultScrubBytes    = 16 << 20
	DefaultScrubEvery    = 30 * 24 * time.Hour
	DefaultQuarantineAge = 30 * 24 * time.Hour
)

func (o *Options) fill() {
	if o.ScrubBytes == 0 {
		o.ScrubBytes = DefaultScrubBytes
	}
	if o.ScrubEvery == 0 {
		o.ScrubEvery = DefaultScrubEvery
	}
	if o.QuarantineAge == 0 {
		o.QuarantineAge = DefaultQuarantineAge
	}
}

// Healer heals one set. Make one with New, and let Run run.
type Healer struct {
	set    Set
	opt    Options
	queue  queue
	census census

	mu        sync.Mutex // guards notes; never locked across I/O
	note      notes
	read      bool          // note was loaded
	inherited bool          // something was wounded when it was, and no scrub has ended since
	unsaved   bool          // the set could not keep what note is
	images    int           // drives that owe shards given to themselves
	save      chan struct{} // held by who saves notes

	turn   chan struct{} // held by who scrubs or tidies; what follows is theirs
	born   time.Time     // when it was first looked what is due
	tidied time.Time
}

// New makes a healer of a set.
func New(set Set, o Options) *Healer {
	o.fill()
	h := &Healer{set: set, opt: o, turn: make(chan struct{}, 1), save: make(chan struct{}, 1)}
	h.queue.init()
	h.census.init()
	return h
}

// Run does what is to be done by itself, until the context ends.
func (h *Healer) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { h.mendQueued(ctx) })
	wg.Go(func() { h.tend(ctx, supplyLook, h.supplyDue) })
	wg.Go(func() { h.tend(ctx, h.soon(scrubLook), h.scrubDue) })
	wg.Wait()
}

// How often it is looked whether there is something to do.
const (
	supplyLook = 500 * time.Millisecond
	scrubLook  = 30 * time.Second
)

// soon is a time, or that between scrubs where they are to follow each other faster.
func (h *Healer) soon(usual time.Duration) time.Duration {
	if every := h.opt.ScrubEvery; every > 0 {
		return min(usual, every)
	}
	return usual
}

// tend does what is due, again and again. Errors are those of a set that is not
// open just now, or was closed: the next look tries again.
func (h *Healer) tend(ctx context.Context, every time.Duration, due func(context.Context) error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !h.opt.May() {
			continue
		}
		if err := due(ctx); err != nil && ctx.Err() == nil {
			h.opt.Logger.Debug("sherd: healing goes on later", "error", err)
		}
	}
}

// acquire takes a token, or gives the context's error.
func acquire(ctx context.Context, token chan struct{}) error {
	select {
	case token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
