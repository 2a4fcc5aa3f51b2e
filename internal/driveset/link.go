package driveset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"time"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/layout"
)

// feed is the one writer of a drive: it applies the log strictly in order, as
// many entries as wait in one synced batch. That is the group commit.
func (t *tenure) feed(m *member) {
	for {
		b, generation, ok := t.next(m)
		if !ok {
			select {
			case <-m.wake:
				continue
			case <-t.ctx.Done():
				return
			}
		}
		err := m.drive.Apply(t.ctx, m.promise, b)
		if t.applied(m, b, generation, err) != nil {
			return
		}
	}
}

// next collects what a drive should write now; false when there is nothing.
func (t *tenure) next(m *member) (b layout.Batch, generation uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.failed != nil {
		return b, 0, false
	}
	if m.fed && t.stuck == nil {
		b.Entries = t.collect(m)
		if p := t.proposal; p != nil && p.target.Has(m.slot) && !p.accepted.Has(m.slot) {
			b.State, generation = &p.state, p.state.Generation
		}
	}
	something := len(b.Entries) > 0 || b.State != nil
	if v := t.visible; v.Position > m.stable && m.applied >= v.Position && (something || m.markDue) {
		b.Stable = &v
	}
	m.markDue = false
	if !something && b.Stable == nil {
		return b, 0, false
	}
	b.Reserve = true // space was asked for before the entry got its place in the log
	m.busy = t.lived
	return b, generation, true
}

// collect gives the entries that a drive has not applied, up to a batch's
// limits. mu is held.
func (t *tenure) collect(m *member) []*layout.Entry {
	var out []*layout.Entry
	var bytes int64
	for p := m.applied + 1; p <= t.last.Position && len(out) < maxBatchEntries && bytes < maxBatchBytes; p++ {
		e := t.at(p)
		out = append(out, &e.Entry)
		bytes += entryBytes(&e.Entry)
	}
	return out
}

// applied notes what a drive answered. The error it returns ends the link.
func (t *tenure) applied(m *member, b layout.Batch, generation uint64, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.busy = 0
	if err == nil {
		err = m.failed // given up meanwhile: what it did no longer counts
	}
	if err != nil {
		if t.ctx.Err() == nil {
			t.fail(m, err)
		}
		return err
	}
	m.applied += layout.Position(len(b.Entries))
	if b.Stable != nil {
		m.stable = b.Stable.Position
	}
	if b.State != nil {
		t.accept(m, generation)
	}
	if len(b.Entries) > 0 {
		t.noteQuorum(m.applied)
		t.advance()
	}
	if m.learner {
		t.join()
	}
	return nil
}

var errLate = errors.New("the drive did not answer within the stall limit, while enough others did")

// watch looks for drives that are late, and writes the stable mark in a quiet
// moment. It ends with the tenure.
func (t *tenure) watch() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.look(time.Now())
		case <-t.ctx.Done():
			return
		}
	}
}

func (t *tenure) look(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lived += min(now.Sub(t.looked), 2*watchInterval)
	t.looked = now
	t.join()
	quiet := now.Sub(t.touched) >= watchInterval
	for _, m := range t.members {
		if m == nil || m.failed != nil {
			continue
		}
		if m.stable < t.visible.Position && m.applied >= t.visible.Position && (quiet || m.stable+maxMarkLag < t.visible.Position) {
			m.markDue = true
			m.nudge()
		}
		if t.late(m) && (t.target()&^quorum.One(m.slot)).Count() >= t.set.q {
			t.fail(m, errLate)
		}
	}
}

// late: a drive has not answered for the stall limit after Q drives had the
// same entry, or while Q others answered. A slow host makes all drives late,
// and then none is; while it is paused no time is counted. mu is held.
func (t *tenure) late(m *member) bool {
	if t.overdue(m.busy) {
		if p := m.applied + 1; p > t.last.Position || p <= t.base {
			return t.othersAnswer(m, func(o *member) time.Duration { return o.busy })
		} else if t.overdue(t.at(p).quorumAt) {
			return true
		}
	}
	return t.overdue(m.probing) && t.othersAnswer(m, func(o *member) time.Duration { return o.probing })
}

// overdue: something began longer ago than the stall limit. mu is held.
func (t *tenure) overdue(since time.Duration) bool {
	return since > 0 && t.lived-since >= t.set.opt.StallLimit
}

// othersAnswer: of the drives that count, Q others are not overdue with what
// began when since says. mu is held.
func (t *tenure) othersAnswer(m *member, since func(*member) time.Duration) bool {
	n := 0
	for slot := range t.target().All() {
		if o := t.members[slot]; o != m && o.failed == nil && !t.overdue(since(o)) {
			n++
		}
	}
	return n >= t.set.q
}

// fail takes a drive out: it is not written to again by this tenure. mu is
// held.
func (t *tenure) fail(m *member, err error) {
	if m.failed != nil {
		return
	}
	m.failed, m.fed = err, false
	t.asked &^= quorum.One(m.slot)
	t.set.lost(m, err)
	if errors.Is(err, layout.ErrPromised) {
		// The lock on the drive is ours, so it was promised by an opening that
		// failed, or by a clock that ran ahead: open again above it.
		t.stick(fmt.Errorf("drive %s: %w", m.place.Path, err))
		return
	}
	if !t.target().Has(m.slot) && !t.inSync.Has(m.slot) {
		t.advance()
		return
	}
	rest := t.target() &^ quorum.One(m.slot)
	if rest.Count() < quorum.Write(t.n) {
		t.stick(fmt.Errorf("%w: %d of %d drives are left, %d are needed (%s: %w)", ErrReadOnly, rest.Count(), t.n, quorum.Write(t.n), m.place.Path, err))
		return
	}
	t.propose(rest)
}

// admit has a drive that was away learn what it missed: it undoes what is not
// the set's, as its tail may have diverged, takes the log from there, and then
// gets each new entry like the others. It counts from the moment at which a
// state that names it is decided.
func (s *Set) admit(ctx context.Context, t *tenure, p *place, learn func(context.Context, *place) error) {
	stuck := t.over()
	err := learn(ctx, p)
	f, others := errors.AsType[*fault](err)
	switch {
	case err == nil || ctx.Err() != nil || t.ctx.Err() != nil || t.over() != stuck || errors.Is(err, ErrExpired):
	case others:
		t.blame(f)
	case errors.Is(err, errReplaced) || errors.Is(err, errStray):
		s.giveBack(p, err)
	case errors.Is(err, errOperator) || errors.Is(err, errKept):
		p.refuse(err, s.now())
	default:
		s.putAway(p, err)
	}
	p.drop(err)
}

func (t *tenure) teach(ctx context.Context, p *place) error {
	drive := p.open()
	if drive == nil || !t.out(drive.Identity().Slot) {
		return nil // not yet: it will be asked again
	}
	c, err := t.student(ctx, p, drive)
	if err != nil {
		return err
	}
	if id := drive.Identity(); t.named()[id.Slot].Drive != id.Drive {
		if verdict.Counted(c.held.State, id.Drive) {
			return errReplaced
		}
		return errStray
	}
	source, err := t.source()
	if err != nil {
		return err
	}
	byLog, err := c.canLearn(ctx, source)
	if err != nil {
		return err
	}
	resume := byLog && c.held.Rebuild != nil
	if c.held, err = drive.Promise(ctx, c.promise); err != nil {
		return err
	}
	p.learning(t.set.now())
	whole := layout.Position(0)
	if byLog && !resume && verdict.Counted(c.held.State, drive.Identity().Drive) {
		err = t.relearn(ctx, c, source)
	} else {
		err = t.copyIndex(ctx, c, resume)
		whole = c.held.Stable.Position
	}
	if err != nil {
		return err
	}
	m := newMember(c.slot, p, drive, c.promise, c.held.Last.Position, c.held.Stable.Position)
	m.learner, m.whole = true, whole
	return t.follow(ctx, c, m)
}

// student asks a drive what it holds. It is not bound to anything by that: what
// can not learn is left as it is.
func (t *tenure) student(ctx context.Context, p *place, drive layout.Drive) (*candidate, error) {
	held, err := drive.Holding(ctx)
	if err != nil {
		return nil, err
	}
	c := &candidate{place: p, drive: drive, slot: drive.Identity().Slot, held: held,
		promise: layout.Promise{Owner: t.owner, Session: randomUint64()}}
	nameThem([]*candidate{c})
	if name := t.named()[c.slot]; name.Drive == c.name.Drive {
		c.name = name
	}
	return c, nil
}

// canLearn: the log of the set reaches back to what is stable on a drive, or to
// where an index copy to it came.
func (c *candidate) canLearn(ctx context.Context, source *member) (bool, error) {
	from := c.held.Stable
	if r := c.held.Rebuild; r != nil {
		from = r.Base
		if r.Reached > from.Position {
			chain, err := chainAt(ctx, c.drive, r.Reached)
			if err != nil {
				return false, err
			}
			from = layout.Mark{Position: r.Reached, Chain: chain}
		}
	}
	ok, err := onLog(ctx, source.drive, from)
	if err != nil {
		err = &fault{source.place, err}
	}
	return ok, err
}

// relearn undoes what a drive has above its own stable mark and the set's log has
// not, and supplies it with the shards of what it keeps.
func (t *tenure) relearn(ctx context.Context, c *candidate, source *member) error {
	keep, err := agreement(ctx, source.place, source.drive, c, layout.MaxPosition)
	if err != nil {
		return err
	}
	if err := undoTo(ctx, c, keep); err != nil {
		return err
	}
	kept, err := readLog(ctx, c, c.held.Stable.Position+1, keep)
	if err != nil {
		return err
	}
	for i := range kept {
		if err := t.set.supply(ctx, c, &kept[i]); err != nil {
			return err
		}
	}
	c.held.Last.Position = keep
	return nil
}

// refill copies the index to a drive while the set is open for reading only: one
// that a copy was begun to, one that stands in for a drive that is gone for ever,
// or one that counts and that the log does not reach. When all of them have what
// is visible the set is opened again.
func (t *tenure) refill(ctx context.Context, p *place) error {
	drive := p.open()
	if drive == nil {
		return nil
	}
	c, err := t.student(ctx, p, drive)
	if err != nil {
		return err
	}
	if id := drive.Identity().Drive; slices.Contains(t.named()[c.slot].Past, id) {
		return errReplaced
	} else if !verdict.Counted(c.held.State, id) {
		if word, err := t.set.word(t); !word.Has(c.slot) {
			return err
		}
	}
	source, err := t.anySource()
	if err != nil {
		return err
	}
	byLog, err := c.canLearn(ctx, source)
	if err != nil {
		return err
	}
	if !byLog || c.held.Rebuild != nil || c.held.Stable.Position == 0 {
		if c.held.Rebuild == nil && verdict.Counted(c.held.State, drive.Identity().Drive) && !t.spares(c.slot) {
			return errKept
		}
		resume := byLog && c.held.Rebuild != nil
		if c.held, err = drive.Promise(ctx, c.promise); err != nil {
			return err
		}
		p.learning(t.set.now())
		if err := t.copyIndex(ctx, c, resume); err != nil {
			return err
		}
	}
	p.mu.Lock()
	p.ready = true
	p.mu.Unlock()
	t.mu.Lock()
	t.asked &^= quorum.One(c.slot)
	t.mu.Unlock()
	t.set.nudge()
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
		entries, err := t.set.fetch(ctx, source.place, source.drive, c.name, m.applied+1, visible)
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

// source gives an in-sync drive to read from, while the set serves.
func (t *tenure) source() (*member, error) {
	t.mu.Lock()
	stuck := t.stuck
	t.mu.Unlock()
	if stuck != nil {
		return nil, stuck
	}
	return t.anySource()
}

// anySource gives a drive that has all that is visible.
func (t *tenure) anySource() (*member, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
