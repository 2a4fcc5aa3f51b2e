package driveset

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// DriveStatus says what a drive is to the set now.
type DriveStatus uint8

// What a drive can be.
const (
	Away     DriveStatus = iota // not in reach, or failed: being tried again
	InSync                      // has every acknowledged change
	Learning                    // in reach, being brought up to date
	Refused                     // in reach, and not what the set needs at that place
)

// String is the status in lower case.
func (d DriveStatus) String() string {
	return [...]string{"away", "in-sync", "learning", "refused"}[d]
}

// place is where a drive is, or should be.
type place struct {
	Place

	mu      sync.Mutex
	claim   *layout.Claimed // nil: not claimed
	drive   layout.Drive    // nil: not open
	id      layout.Identity
	known   bool // id is
	stable  layout.Position
	status  DriveStatus
	err     error
	usage   layout.Usage
	since   time.Time // when the status last changed, for people
	turned  time.Time // the same, by the process's own clock
	retryAt time.Time
	pause   time.Duration
	busy    bool // somebody is connecting or admitting it
	untold  bool // its status changed and was not logged
	fenced  bool // its drive failed and must be closed before it is used again
	ended   bool // nothing is opened any more
	counted bool // the drive holds a state that has it in-sync
	rebuild bool // an index is being copied to it
	ready   bool // it was empty, and all that is visible was copied to it
	useless bool // what is there can not be used, and a drive may be made in its stead
	told    bool // its status was logged before

	stranger layout.Identity // of the drive that was last found here and is another set's, by its index too
}

// open gives the drive of a place, nil when it is not in reach.
func (p *place) open() layout.Drive {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fenced {
		return nil
	}
	return p.drive
}

// look claims the place, or looks again at what it has become. Nothing is
// opened; a drive that failed is closed.
func (p *place) look(ctx context.Context, s *Set) error {
	p.mu.Lock()
	claim, old := p.claim, p.drive
	p.mu.Unlock()
	if old != nil {
		_ = old.Close() // it failed: what it says now matters no more
		p.mu.Lock()
		p.drive, p.fenced = nil, false
		p.mu.Unlock()
	}
	if claim != nil {
		return claim.Look(ctx)
	}
	claim, err := layout.Claim(ctx, p.FS, p.Path, s.layoutOptions())
	if err != nil {
		return err
	}
	if !p.keep(claim) {
		return errors.Join(ErrNotServing, claim.Release())
	}
	return nil
}

func (p *place) openFormatted(ctx context.Context, s *Set) error {
	p.mu.Lock()
	claim := p.claim
	p.mu.Unlock()
	if claim == nil || claim.Condition() != layout.Formatted {
		return nil
	}
	return p.openDrive(ctx, s, claim)
}

// keep notes the claim, unless the place was given up meanwhile.
func (p *place) keep(claim *layout.Claimed) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.claim = claim
	return true
}

func (p *place) openDrive(ctx context.Context, s *Set, claim *layout.Claimed) error {
	if id, ok := claim.Identity(); ok {
		if err := s.fits(p, id); err != nil {
			return errors.Join(p.vouched(ctx, claim, id), err)
		}
		if s.replaced(id) {
			return errReplaced
		}
	}
	d, err := claim.Open(ctx)
	if err != nil {
		return err
	}
	h, err := d.Holding(ctx)
	if err == nil {
		err = s.enrol(p, d, h)
	}
	if err != nil {
		return errors.Join(err, d.Close())
	}
	return nil
}

// enrol makes a drive the place's.
func (s *Set) enrol(p *place, d layout.Drive, h layout.Holding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fit(p, d.Identity()); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drive, p.id, p.known, p.stable = d, d.Identity(), true, h.Stable.Position
	p.counted, p.rebuild, p.ready, p.useless = verdict.Counted(h.State, p.id.Drive), h.Rebuild != nil, false, false
	if p.rebuild {
		p.stable = h.Rebuild.Reached
	}
	return nil
}

func (s *Set) fits(p *place, id layout.Identity) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fit(p, id)
}

// fit: once it is known what the set is, a drive is of the set, and no other
// place has it. s.mu is held.
func (s *Set) fit(p *place, id layout.Identity) error {
	if !s.matched {
		return nil // match looks at all of them
	}
	if err := s.belongs(identified{p, id}, "the set", s.deployment, s.n); err != nil {
		return err
	}
	for _, other := range s.places {
		if other == p {
			continue
		}
		other.mu.Lock()
		twin := other.drive != nil && other.id.Slot == id.Slot
		other.mu.Unlock()
		if twin {
			return fmt.Errorf("%w: %s and %s both have slot %d", ErrMixed, other.Path, p.Path, id.Slot)
		}
	}
	return nil
}

// release closes what is open at the place and gives its lock back.
func (p *place) release() error {
	p.mu.Lock()
	claim, drive := p.claim, p.drive
	p.claim, p.drive, p.ended = nil, nil, true
	p.mu.Unlock()
	var err error
	late := within(releaseLimit, func() {
		var closed, released error
		if drive != nil {
			closed = drive.Close()
		}
		if claim != nil {
			released = claim.Release()
		}
		err = errors.Join(closed, released)
	})
	if late != nil {
		err = late // err may still be written
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.Path, err)
	}
	return nil
}

func (s *Set) layoutOptions() *layout.Options {
	return &layout.Options{
		Logger: s.opt.Logger, Cache: s.cache, ReserveBytes: s.opt.ReserveBytes,
		TrustLocks: s.opt.TrustLocks, Memory: s.opt.Memory, ReadOnly: s.opt.ReadOnly, Now: s.opt.Clock,
	}
}

// gather claims all places and opens the drives on them. What the places are to
// each other is looked at before an index is opened, which rewrites files: drives
// that are refused are left as they were.
func (s *Set) gather(ctx context.Context) error {
	all := func(*place) bool { return true }
	if err := s.everywhere(ctx, all, func(p *place) error { return p.look(s.ctx, s) }); err != nil {
		return err
	}
	if err := s.acquaint(); err != nil {
		return err
	}
	drives := func(p *place) bool { return p.claim != nil && p.claim.Condition() == layout.Formatted }
	if err := s.everywhere(ctx, drives, func(p *place) error { return p.openFormatted(s.ctx, s) }); err != nil {
		return err
	}
	return s.match(ctx)
}

// everywhere does something with all places of a kind at once, but for those
// where something failed or has not returned. It waits for all, and once enough
// for writing have done it, or one is hopeless, only a short grace longer. What
// a place says that makes the set impossible to open is an error; what is merely
// out of reach is not.
func (s *Set) everywhere(ctx context.Context, kind func(p *place) bool, do func(p *place) error) error {
	done := make(chan error, len(s.places))
	waiting := 0
	for _, p := range s.places {
		if !p.hold(func() bool { return p.err == nil && kind(p) }) {
			continue
		}
		waiting++
		s.spawn(func() {
			err := do(p)
			if err != nil {
				p.set(Away, err, s.now())
			}
			p.drop(err)
			done <- err
		})
	}
	limit := time.NewTimer(gatherLimit)
	defer limit.Stop()
	var grace <-chan time.Time
	var wrong error
	for good := 0; waiting > 0; waiting-- {
		select {
		case err := <-done:
			if err == nil {
				good++
			} else if wrong == nil && hopeless(err) {
				wrong = err
			}
		case <-grace:
			waiting = 1
		case <-limit.C:
			waiting = 1
		case <-ctx.Done():
			return ctx.Err()
		}
		if grace == nil && (good >= s.q || wrong != nil) {
			grace = time.After(s.opt.Grace)
		}
	}
	if wrong == nil {
		return nil
	}
	if err := s.sameDirectory(); err != nil {
		return err
	}
	return s.named(wrong)
}

// sameDirectory: a place that is in use is another place of the set.
func (s *Set) sameDirectory() error {
	for _, p := range s.places {
		p.mu.Lock()
		inUse := errors.Is(p.err, layout.ErrInUse)
		p.mu.Unlock()
		at, err := vfs.Identify(p.FS, p.Path)
		if !inUse || err != nil {
			continue
		}
		for _, other := range s.places {
			if there, err := vfs.Identify(other.FS, other.Path); other != p && err == nil && there == at {
				return fmt.Errorf("%w: %s and %s are the same directory", ErrMixed, other.Path, p.Path)
			}
		}
	}
	return nil
}

// acquaint refuses drives that do not belong together, and too few of them, by
// what their format files say. A file that is damaged may say anything: the indexes
// are asked then, and a drive whose own says something else is out of reach.
func (s *Set) acquaint() error {
	err := s.compare()
	if err != nil && s.belied() {
		err = s.compare()
	}
	return err
}

// belied puts drives out of reach whose index says that they are not what their
// format file says; it tells whether there are such.
func (s *Set) belied() bool {
	var wg sync.WaitGroup
	var found atomic.Bool
	for _, p := range s.places {
		p.mu.Lock()
		claim, err := p.claim, p.err
		p.mu.Unlock()
		if claim == nil || err != nil {
			continue
		}
		wg.Add(1)
		s.spawn(func() {
			defer wg.Done()
			if err := claim.Vouch(s.ctx); errors.Is(err, layout.ErrDamaged) {
				p.set(Away, err, s.now())
				found.Store(true)
			}
		})
	}
	_ = within(gatherLimit, wg.Wait) // who does not answer is believed
	return found.Load()
}

func (s *Set) compare() error {
	var drives []identified
	formatted, blank := 0, 0
	for _, p := range s.places {
		p.mu.Lock()
		claim, err := p.claim, p.err
		p.mu.Unlock()
		if claim == nil || err != nil {
			continue
		}
		if id, ok := claim.Identity(); !ok {
			blank++
		} else {
			drives = append(drives, identified{p, id})
			if claim.Condition() == layout.Formatted {
				formatted++
			}
		}
	}
	s.mu.Lock()
	err := s.together(drives)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if need := quorum.Read(s.n); len(drives) > 0 && formatted < need && len(drives)+blank < s.n {
		return fmt.Errorf("%w: %d of %d are in reach, %d are needed; %w", ErrTooFew, formatted, s.n, need, s.missing())
	}
	return nil
}

// identified is a place and the drive that is there.
type identified struct {
	*place
	id layout.Identity
}

// hopeless errors are the caller's mistakes, which no waiting mends. A drive that
// is damaged, or of a newer format, is merely out of reach.
func hopeless(err error) bool {
	for _, target := range []error{layout.ErrForeign, layout.ErrInUse, layout.ErrUntrusted} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// named says of every place that failed what was wrong with it.
func (s *Set) named(first error) error {
	var errs []error
	for _, p := range s.places {
		p.mu.Lock()
		if p.err != nil && !errors.Is(p.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("%s: %w", p.Path, p.err))
		}
		p.mu.Unlock()
	}
	if len(errs) == 0 {
		return first
	}
	return errors.Join(errs...)
}

// match finds what the places are to each other, and formats them when
// nothing was ever stored on them.
func (s *Set) match(ctx context.Context) error {
	formatted, blank, err := s.sort()
	if err != nil {
		return err
	}
	fresh, err := neverServed(ctx, formatted)
	if err != nil {
		return err
	}
	if !fresh || blank == 0 && len(formatted) == s.n {
		return nil
	}
	if blank+len(formatted) < s.n {
		return fmt.Errorf("%w: the set was never served, so all its drives must be there: %w", ErrTooFew, s.named(errors.New("some are out of reach")))
	}
	if s.opt.MustExist {
		return ErrMustExist
	}
	return s.format(ctx)
}

// sort gives the places that have a drive and counts those where one could be
// made. From here on it is known what the set is.
func (s *Set) sort() (formatted []*place, blank int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		p.mu.Lock()
		claim, drive, failed := p.claim, p.drive, p.err != nil
		p.mu.Unlock()
		switch {
		case drive != nil:
			formatted = append(formatted, p)
		case claim != nil && !failed && (claim.Condition() == layout.Missing || claim.Condition() == layout.Empty || claim.Condition() == layout.HalfFormatted):
			blank++
		}
	}
	drives := make([]identified, len(formatted))
	for i, p := range formatted {
		drives[i] = identified{p, p.id}
	}
	return formatted, blank, s.together(drives)
}

// together: the drives are of one deployment and one set, each is there once,
// and the set has as many slots as places were given, or more. s.mu is held.
func (s *Set) together(formatted []identified) error {
	if len(formatted) == 0 {
		return nil
	}
	first := formatted[0]
	bySlot := map[int]identified{}
	for _, p := range formatted {
		if err := s.belongs(p, first.Path, first.id.Deployment, first.id.Drives); err != nil {
			return err
		}
		if other, ok := bySlot[p.id.Slot]; ok && other.id.Drive == p.id.Drive {
			return fmt.Errorf("%w: %s and %s are the same drive, %s", ErrMixed, other.Path, p.Path, p.id.Drive)
		} else if ok {
			return fmt.Errorf("%w: %s and %s both have slot %d", ErrMixed, other.Path, p.Path, p.id.Slot)
		}
		bySlot[p.id.Slot] = p
	}
	if len(s.places) > first.id.Drives {
		return fmt.Errorf("%w: %d places were given for a set of %d drives", ErrMixed, len(s.places), first.id.Drives)
	}
	s.n, s.deployment, s.matched = first.id.Drives, first.id.Deployment, true
	s.q = quorum.Write(s.n)
	return nil
}

// neverServed: the newest state is of generation 0, or there is none. A drive that
// does not count by the state that it was formatted with took a slot of a set that
// had been served.
func neverServed(ctx context.Context, formatted []*place) (bool, error) {
	for _, p := range formatted {
		h, err := p.drive.Holding(ctx)
		if err != nil {
			return false, fmt.Errorf("%s: %w", p.Path, err)
		}
		if h.State.Generation > 0 || !verdict.Counted(h.State, p.drive.Identity().Drive) {
			return false, nil
		}
	}
	return true, nil
}
