package driveset

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

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
	since   time.Time
	retryAt time.Time
	pause   time.Duration
	busy    bool // somebody is connecting or admitting it
	untold  bool // its status changed and was not logged
	fenced  bool // its drive failed and must be closed before it is used again
}

func (p *place) set(status DriveStatus, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != status {
		p.since = now
	}
	p.status, p.err = status, err
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

// connect claims the place and opens the drive on it, if there is one. What it
// finds instead stays in claim's condition.
func (p *place) connect(ctx context.Context, s *Set) error {
	p.mu.Lock()
	claim, old := p.claim, p.drive
	p.mu.Unlock()
	if old != nil {
		_ = old.Close() // it failed: what it says now matters no more
		p.mu.Lock()
		p.drive, p.fenced = nil, false
		p.mu.Unlock()
	}
	var err error
	if claim == nil {
		claim, err = layout.Claim(ctx, p.FS, p.Path, s.layoutOptions())
	} else {
		err = claim.Look(ctx)
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.claim = claim
	p.mu.Unlock()
	if claim.Condition() != layout.Formatted {
		return nil
	}
	return p.openDrive(ctx, claim)
}

func (p *place) openDrive(ctx context.Context, claim *layout.Claimed) error {
	d, err := claim.Open(ctx)
	if err != nil {
		return err
	}
	h, err := d.Holding(ctx)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drive, p.id, p.known, p.stable = d, d.Identity(), true, h.Stable.Position
	return nil
}

// release closes what is open at the place and gives its lock back.
func (p *place) release() error {
	p.mu.Lock()
	claim, drive := p.claim, p.drive
	p.claim, p.drive = nil, nil
	p.mu.Unlock()
	var err error
	if drive != nil {
		err = drive.Close()
	}
	if claim != nil {
		err = errors.Join(err, claim.Release())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.Path, err)
	}
	return nil
}

func (s *Set) layoutOptions() *layout.Options {
	return &layout.Options{
		Logger: s.opt.Logger, Cache: s.cache, ReserveBytes: s.opt.ReserveBytes,
		TrustLocks: s.opt.TrustLocks, Memory: s.opt.Memory, Now: s.opt.Clock,
	}
}

// gather connects all places at once. It waits for all, and once enough for
// writing are there only a short grace longer. What a place says that makes
// the set impossible to open is an error; what is merely out of reach is not.
func (s *Set) gather(ctx context.Context) error {
	done := make(chan error, len(s.places))
	for _, p := range s.places {
		p.busy = true
		s.wg.Go(func() {
			err := p.connect(s.ctx, s)
			p.set(Away, err, s.now())
			p.mu.Lock()
			p.busy = false
			p.mu.Unlock()
			done <- err
		})
	}
	var grace <-chan time.Time
	good := 0
	for range s.places {
		select {
		case err := <-done:
			if hopeless(err) {
				return s.named(err)
			}
			if good++; err == nil && good == s.q {
				grace = time.After(s.opt.Grace)
			}
		case <-grace:
			return s.match(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.match(ctx)
}

// hopeless errors are the caller's mistakes, which no waiting mends.
func hopeless(err error) bool {
	for _, target := range []error{layout.ErrForeign, layout.ErrNewerFormat, layout.ErrInUse, layout.ErrUntrusted, layout.ErrBadRecord} {
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
	var blank, formatted []*place
	byID := map[layout.DriveID]*place{}
	for _, p := range s.places {
		p.mu.Lock()
		claim, drive, id := p.claim, p.drive, p.id
		p.mu.Unlock()
		switch {
		case drive != nil:
			if other := byID[id.Drive]; other != nil {
				return fmt.Errorf("%w: %s and %s are the same drive, %s", ErrMixed, other.Path, p.Path, id.Drive)
			}
			byID[id.Drive] = p
			formatted = append(formatted, p)
		case claim != nil && p.err == nil && (claim.Condition() == layout.Missing || claim.Condition() == layout.Empty || claim.Condition() == layout.HalfFormatted):
			blank = append(blank, p)
		}
	}
	if err := s.together(formatted); err != nil {
		return err
	}
	fresh, err := neverServed(ctx, formatted)
	if err != nil {
		return err
	}
	if !fresh || len(blank) == 0 && len(formatted) == s.n {
		return nil
	}
	if len(blank)+len(formatted) < s.n {
		return fmt.Errorf("%w: the set was never served, so all its drives must be there: %w", ErrTooFew, s.named(errors.New("some are out of reach")))
	}
	if s.opt.MustExist {
		return ErrMustExist
	}
	return s.format(ctx)
}

// together: the drives are of one deployment and one set, which has no more
// slots than there are drives.
func (s *Set) together(formatted []*place) error {
	if len(formatted) == 0 {
		return nil
	}
	first := formatted[0]
	bySlot := map[int]*place{}
	for _, p := range formatted {
		if p.id.Deployment != first.id.Deployment || p.id.Set != first.id.Set || p.id.Pool != first.id.Pool || p.id.Drives != first.id.Drives {
			return fmt.Errorf("%w: %s is of deployment %s, %s of %s", ErrMixed, first.Path, first.id.Deployment, p.Path, p.id.Deployment)
		}
		if other := bySlot[p.id.Slot]; other != nil {
			return fmt.Errorf("%w: %s and %s both have slot %d", ErrMixed, other.Path, p.Path, p.id.Slot)
		}
		bySlot[p.id.Slot] = p
	}
	if len(s.places) > first.id.Drives {
		return fmt.Errorf("%w: %d places were given for a set of %d drives", ErrMixed, len(s.places), first.id.Drives)
	}
	s.n, s.deployment = first.id.Drives, first.id.Deployment
	s.q = s.n/2 + 1
	return nil
}

// neverServed: the newest state is of generation 0, or there is none.
func neverServed(ctx context.Context, formatted []*place) (bool, error) {
	for _, p := range formatted {
		h, err := p.drive.Holding(ctx)
		if err != nil {
			return false, fmt.Errorf("%s: %w", p.Path, err)
		}
		if h.State.Generation > 0 {
			return false, nil
		}
	}
	return true, nil
}

// format makes drives of all places.
func (s *Set) format(ctx context.Context) error {
	s.created = true
	if _, err := rand.Read(s.deployment[:]); err != nil {
		return err
	}
	state := layout.State{Names: make([]layout.Name, s.n)}
	ids := make([]layout.Identity, s.n)
	for slot, p := range s.places {
		ids[slot] = layout.Identity{Format: 1, Deployment: s.deployment, Slot: slot, Drives: s.n}
		if _, err := rand.Read(ids[slot].Drive[:]); err != nil {
			return err
		}
		if p.drive != nil {
			if err := p.drive.Close(); err != nil {
				return fmt.Errorf("%s: %w", p.Path, err)
			}
			p.drive = nil
		}
		state.InSync = append(state.InSync, ids[slot].Drive)
		state.Names[slot] = layout.Name{Drive: ids[slot].Drive, Filesystem: p.claim.Filesystem()}
	}
	errs := make([]error, s.n)
	var wg sync.WaitGroup
	for slot, p := range s.places {
		wg.Go(func() {
			if errs[slot] = p.claim.Format(ctx, ids[slot], state); errs[slot] == nil {
				errs[slot] = p.openDrive(ctx, p.claim)
			}
			if errs[slot] != nil {
				errs[slot] = fmt.Errorf("%s: %w", p.Path, errs[slot])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
