package driveset

import (
	"context"
	"errors"
	"time"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

var (
	errNeedsCopy = errors.New("the drive was away for longer than the log reaches back, or left its path: its index must be copied")
	errEmpty     = errors.New("the place is empty")
)

// start begins a tenure's work: one link and one probe a drive, the watch, and
// removal.
func (t *tenure) start() {
	for _, m := range t.members {
		if m != nil {
			t.startMember(m)
		}
	}
	if t.stuck != nil {
		t.set.opt.Logger.Warn("sherd: the set is open for reading only", "reason", t.stuck)
	}
	t.set.decided(t.inSync)
	t.wg.Go(t.watch)
	t.wg.Go(t.removal)
}

func (t *tenure) startMember(m *member) {
	t.wg.Go(func() { t.feed(m) })
	t.wg.Go(func() { t.probe(m) })
}

// probe asks a drive again and again whether it is still there.
func (t *tenure) probe(m *member) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		t.mu.Lock()
		m.probing = t.lived
		t.mu.Unlock()
		u, err := m.drive.Probe(t.ctx)
		t.mu.Lock()
		m.probing = 0
		if err != nil && t.ctx.Err() == nil {
			t.fail(m, err)
		}
		gone := m.failed != nil
		t.mu.Unlock()
		if gone {
			return
		}
		if err == nil {
			m.note(u)
		}
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return
		}
	}
}

func (m *member) note(u layout.Usage) {
	m.free.Store(int64(min(u.Free, 1<<62)))
	m.place.mu.Lock()
	m.place.usage = u
	m.place.mu.Unlock()
}

// lost notes that a tenure gave a drive up. The tenure's mu is held.
func (s *Set) lost(m *member, err error) {
	p := m.place
	p.mu.Lock()
	p.stable = m.stable
	p.mu.Unlock()
	s.putAway(p, err)
}

// putAway takes a drive out of use until it was closed and opened again. That
// is tried after a pause, which grows until the drive has been in-sync for a
// while.
func (s *Set) putAway(p *place, err error) {
	p.mu.Lock()
	if p.pause = min(2*p.pause, maxPause); p.status == InSync && time.Since(p.turned) > 2*maxPause {
		p.pause = minPause
	}
	p.fenced, p.untold = true, true
	p.retryAt = time.Now().Add(p.pause)
	p.become(Away, err, s.now())
	p.mu.Unlock()
	s.nudge()
}

// decided notes who is in-sync. The tenure's mu may be held.
func (s *Set) decided(in quorum.Drives) {
	for _, p := range s.places {
		p.mu.Lock()
		if p.known && in.Has(p.id.Slot) && !p.fenced {
			p.untold = p.untold || p.status != InSync
			p.become(InSync, nil, s.now())
		}
		p.mu.Unlock()
	}
	s.nudge()
}

func (p *place) set(status DriveStatus, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.become(status, err, now)
}

// become is set with mu held.
func (p *place) become(status DriveStatus, err error, now time.Time) {
	if p.status != status {
		p.since, p.turned = now, time.Now()
	}
	p.status, p.err = status, err
}

// keep is the set's housekeeper: it brings back what was away, has returned
// drives learn, and opens the set again when enough are there.
func (s *Set) keep() {
	tick := time.NewTicker(minPause)
	defer tick.Stop()
	for {
		select {
		case <-s.kick:
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		s.tell()
		if s.background() {
			s.tend(s.ctx)
		}
	}
}

// tell logs what became of drives.
func (s *Set) tell() {
	for _, p := range s.places {
		p.mu.Lock()
		untold, status, err := p.untold, p.status, p.err
		p.untold = false
		p.mu.Unlock()
		switch {
		case !untold:
		case err != nil:
			s.opt.Logger.Warn("sherd: drive", "drive", p.Path, "status", status.String(), "error", err)
		default:
			s.opt.Logger.Info("sherd: drive", "drive", p.Path, "status", status.String())
		}
	}
}

// Run does the work that Options.Manual leaves aside, until the context ends
// or the set is closed.
func (s *Set) Run(ctx context.Context) error {
	select {
	case s.runs <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return ErrNotServing
	}
	defer func() { <-s.runs }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return ErrNotServing
	}
}

// background tells whether work other than the commit path may be done.
func (s *Set) background() bool { return !s.opt.Manual || len(s.runs) > 0 }

func (s *Set) tend(ctx context.Context) {
	t, err := s.serving()
	if err != nil {
		return
	}
	t.mu.Lock()
	stuck := t.stuck
	t.mu.Unlock()
	for _, p := range s.places {
		switch {
		case p.hold(func() bool { return (p.drive == nil || p.fenced) && time.Now().After(p.retryAt) }):
			s.spawn(func() { s.reconnect(ctx, p) })
		case stuck == nil && p.hold(func() bool { return p.drive != nil && !p.fenced && p.status != InSync && time.Now().After(p.retryAt) }):
			s.spawn(func() { s.admit(ctx, t, p) })
		case t.ctx.Err() != nil && p.hold(func() bool { return p.drive != nil && !p.fenced }):
			s.spawn(func() { s.visit(ctx, t, p) })
		}
	}
	if stuck != nil && time.Now().After(s.reopenAt) && s.worthReopening(t, stuck) {
		s.reopen(ctx, t)
	}
}

// visit asks a drive whether it is still there, while the set could not be
// opened again: what is left of the tenure before answers reads, and has no
// probes of its own any more.
func (s *Set) visit(ctx context.Context, t *tenure, p *place) {
	defer p.drop(nil)
	drive := p.open()
	if drive == nil {
		return
	}
	_, err := drive.Probe(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.members[drive.Identity().Slot]; m != nil && m.drive == drive && m.failed == nil {
		t.fail(m, err)
	} else if p.open() == drive {
		s.putAway(p, err)
	}
}

// hold takes a place in hand if nobody else has it and the condition holds.
func (p *place) hold(when func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy || !when() {
		return false
	}
	p.busy = true
	return true
}

// drop lets go of a place; after an error it is left alone for a moment. (A
// drive that fails again and again is left alone for longer each time: lost.)
func (p *place) drop(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	if again := time.Now().Add(retryPause); err != nil && p.retryAt.Before(again) {
		p.retryAt = again
	}
}

// reconnect closes what failed at a place and opens what is there now.
func (s *Set) reconnect(ctx context.Context, p *place) {
	err := p.connect(ctx, s)
	p.mu.Lock()
	if err == nil && p.drive == nil {
		err = errEmpty
	}
	p.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		p.set(Away, err, s.now())
	}
	p.drop(err)
	s.nudge()
}

// worthReopening: the set was stuck by a promise that it can go above; or
// enough drives to write are there, among them one that was not when the set
// was opened for reading; or no drive is left that can be read.
func (s *Set) worthReopening(t *tenure, stuck error) bool {
	reach := quorum.Drives(0)
	for _, p := range s.places {
		if d := p.open(); d != nil {
			reach |= quorum.One(d.Identity().Slot)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case errors.Is(stuck, layout.ErrPromised):
		return reach.Count() >= quorum.Read(s.n)
	case reach.Count() >= s.q:
		return reach&^t.asked != 0
	}
	return t.readable() == 0 && reach.Count() >= quorum.Read(s.n)
}

// reopen makes a new tenure above a stuck one, which answers reads until then.
func (s *Set) reopen(ctx context.Context, old *tenure) {
	old.cancel()
	if err := old.wait(closeLimit); err != nil {
		s.opt.Logger.Warn("sherd: opening the set again while calls to drives have not returned", "error", err)
	}
	t, err := s.attempt(ctx)
	if err != nil {
		s.reopenPause = min(max(2*s.reopenPause, minPause), maxPause)
		s.reopenAt = time.Now().Add(s.reopenPause)
		if ctx.Err() == nil {
			s.opt.Logger.Warn("sherd: the set could not be opened again", "error", err)
		}
		return
	}
	s.reopenPause = 0
	s.serve(t)
}

// admit has a drive that was away learn what it missed: it undoes what is not
// the set's, as its tail may have diverged, takes the log from there, and then
// gets each new entry like the others. It counts from the moment at which a
// state that names it is decided.
func (s *Set) admit(ctx context.Context, t *tenure, p *place) {
	err := t.teach(ctx, p)
	f, others := errors.AsType[*fault](err)
	switch {
	case err == nil || ctx.Err() != nil || t.over():
	case others:
		t.blame(f)
	case errors.Is(err, errNeedsCopy) || errors.Is(err, errReplaced):
		p.set(Refused, err, s.now())
	default:
		s.putAway(p, err)
	}
	p.drop(err)
}

// over: the set is stuck or was opened again, which is no learner's fault.
func (t *tenure) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stuck != nil
}

// out: the drive of a slot has no part in the set. While an acknowledgement
// may wait for it, or the state that leaves it out is not yet on all drives, it
// must not undo anything: an opening could take what it lacks for something
// that was never acknowledged.
func (t *tenure) out(slot int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stuck != nil || t.proposal != nil || (t.inSync | t.need).Has(slot) {
		return false
	}
	m := t.members[slot]
	return m == nil || m.failed != nil
}

func (t *tenure) teach(ctx context.Context, p *place) error {
	drive := p.open()
	if drive == nil || !t.out(drive.Identity().Slot) {
		return nil // not yet: it will be asked again
	}
	id := drive.Identity()
	if t.names[id.Slot].Drive != id.Drive {
		return errReplaced
	}
	source, err := t.source()
	if err != nil {
		return err
	}
	c := &candidate{place: p, drive: drive, slot: id.Slot, promise: layout.Promise{Owner: t.owner, Session: randomUint64()}}
	if c.held, err = drive.Holding(ctx); err != nil {
		return err
	}
	// What can not learn is left as it is: without a promise.
	if err := c.canLearn(ctx, source); err != nil {
		return err
	}
	if c.held, err = drive.Promise(ctx, c.promise); err != nil {
		return err
	}
	keep, err := agreement(ctx, source.place, source.drive, c, layout.MaxPosition)
	if err != nil {
		return err
	}
	if err := undoTo(ctx, c, keep); err != nil {
		return err
	}
	p.set(Learning, nil, t.set.now())
	kept, err := readLog(ctx, c, c.held.Stable.Position+1, keep)
	if err != nil {
		return err
	}
	for i := range kept {
		if err := t.set.supply(ctx, c, &kept[i]); err != nil {
			return err
		}
	}
	m := newMember(id.Slot, p, drive, c.promise, keep, c.held.Stable.Position)
	m.learner = true
	return t.follow(ctx, c, m)
}

// canLearn: the log of the set reaches back to what is stable on a drive.
func (c *candidate) canLearn(ctx context.Context, source *member) error {
	if c.held.Rebuild != nil {
		return errNeedsCopy
	}
	ok, err := onLog(ctx, source.drive, c.held.Stable)
	switch {
	case err != nil:
		return &fault{source.place, err}
	case !ok:
		return errNeedsCopy
	}
	return nil
}

// follow brings a learner by the log to where the entries in memory begin, and
// puts it among the drives that are fed from there.
func (t *tenure) follow(ctx context.Context, c *candidate, m *member) error {
	defer t.unhold(m)
	for {
		attached, visible := t.attach(m)
		if attached {
			return nil
		}
		source, err := t.source()
		if err != nil {
			return err
		}
		entries, err := t.set.fetch(ctx, source.place, source.drive, m.drive.Identity().Drive, m.applied+1, visible)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := t.set.supply(ctx, c, e); err != nil {
				return err
			}
		}
		if err := m.drive.Apply(ctx, m.promise, layout.Batch{Entries: entries, Reserve: true}); err != nil {
			return err
		}
		t.mu.Lock()
		m.applied = entries[len(entries)-1].Position
		t.mu.Unlock()
	}
}

// attach makes a learner a member once the entries in memory reach back to
// what it has. When it is close, they are kept for it.
func (t *tenure) attach(m *member) (bool, layout.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stuck == nil && m.applied >= t.base {
		m.fed = true
		t.members[m.slot] = m
		t.startMember(m)
		m.nudge()
		return true, 0
	}
	if t.visible.Position-m.applied <= maxMarkLag {
		t.hold = m
	}
	return false, t.visible.Position
}

func (t *tenure) unhold(m *member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hold == m {
		t.hold = nil
	}
}

// source gives an in-sync drive to read from.
func (t *tenure) source() (*member, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stuck != nil {
		return nil, t.stuck
	}
	r := t.readable()
	if r == 0 {
		return nil, ErrUnavailable
	}
	return t.members[r.First()], nil
}

// join proposes learners that have all that is visible. mu is held.
func (t *tenure) join() {
	if t.proposal != nil || t.stuck != nil {
		return
	}
	for _, m := range t.members {
		if m != nil && m.learner && m.fed && m.failed == nil && m.applied >= t.visible.Position {
			t.propose(t.inSync | quorum.One(m.slot))
			return
		}
	}
}
