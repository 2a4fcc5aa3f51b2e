package driveset

import (
	"context"
	"errors"
	"time"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

var (
	errNeedsCopy = errors.New("the drive was away for longer than the log reaches back, or left its path: its index must be copied, for which more drives are needed")
	errKept      = errors.New("its index must be copied anew, and is kept as it is until more drives are there")
	errStray     = errors.New("the drive was made for a slot that has another one by now")
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
	t.set.decided(t)
	t.set.told(t.stuck)
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
	p.useless = p.useless || errors.Is(err, layout.ErrCorruptIndex)
	p.retryAt = time.Now().Add(p.pause)
	p.become(Away, err, s.now())
	p.mu.Unlock()
	s.nudge()
}

// decided notes who is in-sync. The tenure's mu may be held.
func (s *Set) decided(t *tenure) {
	names := t.named()
	for _, p := range s.places {
		p.mu.Lock()
		if p.drive != nil && t.inSync.Has(p.id.Slot) && names[p.id.Slot].Drive == p.id.Drive && !p.fenced {
			if p.status != InSync {
				p.untold = true
				s.healer.Returned()
			}
			p.counted, p.ready = true, false
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
		untold, first, status, err, slot := p.untold, !p.told, p.status, p.err, -1
		if p.untold, p.told = false, p.told || untold; p.known {
			slot = p.id.Slot
		}
		p.mu.Unlock()
		if untold && !(first && status == InSync) {
			s.Notify(Notice{Kind: noticeOf(status, err), Drive: p.Path, Slot: slot, Text: status.String(), Err: err})
		}
		switch {
		case !untold:
		case err != nil:
			s.opt.Logger.Warn("sherd: drive", "drive", p.Path, "status", status.String(), "error", err)
		default:
			s.opt.Logger.Info("sherd: drive", "drive", p.Path, "status", status.String())
		}
	}
}

// acknowledge: that a drive is in-sync when the set is first opened is no news.
func (s *Set) acknowledge() {
	for _, p := range s.places {
		p.mu.Lock()
		p.told = p.status != InSync
		p.mu.Unlock()
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
		case stuck == nil && p.hold(func() bool { return p.idle() }):
			s.spawn(func() { s.admit(ctx, t, p, t.teach) })
		case stuck != nil && t.ctx.Err() == nil && p.hold(func() bool {
			return p.idle() && !p.ready && (p.rebuild || !p.counted || t.refillable.Has(p.id.Slot))
		}):
			s.spawn(func() { s.admit(ctx, t, p, t.refill) })
		case t.ctx.Err() != nil && p.hold(func() bool { return p.drive != nil && !p.fenced }):
			s.spawn(func() { s.visit(ctx, t, p) })
		}
	}
	if stuck != nil && time.Now().After(s.reopenAt) && s.worthReopening(t, stuck) {
		s.reopen(ctx, t)
	}
}

// idle: the drive of a place could be put to use. mu is held.
func (p *place) idle() bool {
	return p.drive != nil && !p.fenced && p.status != InSync && time.Now().After(p.retryAt)
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

// reconnect closes what failed at a place and opens what is there now. Where
// nothing is that can be opened, a drive is made if one may be.
func (s *Set) reconnect(ctx context.Context, p *place) {
	stuck := s.stuck() // not asked with the place's lock held, which is taken below the tenure's
	p.mu.Lock()
	useless := p.useless && !stuck
	p.mu.Unlock()
	err := p.look(ctx, s)
	if err == nil && !useless {
		err = p.openFormatted(ctx, s)
	}
	if p.open() == nil && (err == nil || errors.Is(err, layout.ErrCorruptIndex)) {
		err = s.occupy(ctx, p, err)
	}
	if strange(err) {
		err = errors.Join(err, p.yield())
	}
	switch {
	case err == nil || ctx.Err() != nil:
	case refusal(err):
		p.refuse(err, s.now())
	default:
		p.set(Away, err, s.now())
	}
	p.drop(err)
	s.nudge()
}

// strange: what is there is no drive of the set, or none any more.
func strange(err error) bool {
	return !errors.Is(err, layout.ErrDamaged) && (errors.Is(err, ErrMixed) || errors.Is(err, errReplaced))
}

// vouched asks the index of a drive that does not fit whether it is the drive that its
// format file says, once: another set's drive may stay for long. ErrDamaged if it is not.
func (p *place) vouched(ctx context.Context, claim *layout.Claimed, id layout.Identity) error {
	p.mu.Lock()
	known := p.stranger == id
	p.mu.Unlock()
	if known {
		return nil
	}
	err := claim.Vouch(ctx)
	if errors.Is(err, layout.ErrDamaged) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stranger = id
	return nil
}

// yield gives the lock of a place back where what is there is another's, until it is
// looked at again.
func (p *place) yield() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.claim == nil || p.drive != nil {
		return nil
	}
	claim := p.claim
	p.claim = nil
	return claim.Release()
}

// worthReopening: the set was stuck by a promise that it can go above; or
// enough drives to write are there, among them one that was not when the set
// was opened for reading; or no drive is left that can be read.
func (s *Set) worthReopening(t *tenure, stuck error) bool {
	reach := s.reach(t)
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

// reach gives the drives that an opening could count on: not those to which an index
// is being copied, and those that were empty only when they all have their copy.
func (s *Set) reach(t *tenure) quorum.Drives {
	reach, ready := quorum.Drives(0), quorum.Drives(0)
	for _, p := range s.places {
		p.mu.Lock()
		switch {
		case p.drive == nil || p.fenced || p.rebuild:
		case p.counted:
			reach |= quorum.One(p.id.Slot)
		case p.ready:
			ready |= quorum.One(p.id.Slot)
		}
		p.mu.Unlock()
	}
	if ready != 0 {
		if word, err := s.word(t); err == nil && ready.Contains(word) {
			reach |= word
		}
	}
	return reach
}

// spares: enough others that count are there now for the set to be opened without
// the drive of a slot. Until its index was copied it does not count, and its inline
// shards are gone.
func (t *tenure) spares(slot int) bool {
	others, names := quorum.Drives(0), t.named()
	for _, p := range t.set.places {
		p.mu.Lock()
		if p.drive != nil && !p.fenced && !p.rebuild && p.counted && p.id.Drive == names[p.id.Slot].Drive {
			others |= quorum.One(p.id.Slot)
		}
		p.mu.Unlock()
	}
	return (others &^ quorum.One(slot)).Count() >= quorum.Read(t.n)
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
