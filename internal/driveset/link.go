package driveset

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sherd-storage/sherd/internal/quorum"
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

// noteQuorum remembers when Q drives had an entry: from then on a drive that
// has not is late. mu is held.
func (t *tenure) noteQuorum(upTo layout.Position) {
	for p := min(upTo, t.last.Position); p > t.visible.Position && p > t.base; p-- {
		e := t.at(p)
		if e.quorumAt > 0 {
			return
		}
		n := 0
		for slot := range t.need.All() {
			if t.members[slot].applied >= p {
				n++
			}
		}
		if n >= t.set.q {
			e.quorumAt = t.lived
		}
	}
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

// propose gives the drives of a new in-sync set its state. Acknowledgements
// need the old set's drives and the new one's until all of the new have it.
// mu is held.
func (t *tenure) propose(target quorum.Drives) {
	if t.stuck != nil {
		return
	}
	t.generation++
	t.need |= target
	t.proposal = &proposal{target: target, state: layout.State{
		Owner: t.owner, Generation: t.generation, InSync: t.ids(target), Names: slices.Clone(t.names),
	}}
	for slot := range target.All() {
		t.members[slot].nudge()
	}
}

func (t *tenure) ids(m quorum.Drives) []layout.DriveID {
	ids := make([]layout.DriveID, 0, m.Count())
	for slot := range m.All() {
		ids = append(ids, t.names[slot].Drive)
	}
	return ids
}

// accept notes that a drive holds the proposed state; the last one decides it.
// mu is held.
func (t *tenure) accept(m *member, generation uint64) {
	p := t.proposal
	if p == nil || p.state.Generation != generation || t.stuck != nil {
		return
	}
	p.accepted |= quorum.One(m.slot)
	if !p.accepted.Contains(p.target) {
		return
	}
	t.inSync, t.need, t.proposal = p.target, p.target, nil
	for slot := range t.inSync.All() {
		t.members[slot].learner = false
	}
	t.set.decided(t.inSync)
	t.abortUnreachable()
	t.advance()
	t.prune()
}

// abortUnreachable undoes every write on its way that can no longer get enough
// shards. mu is held.
func (t *tenure) abortUnreachable() {
	for p := t.visible.Position + 1; p <= t.last.Position; p++ {
		e := t.at(p)
		if e.needed == 0 || e.abortedBy > 0 || (e.holders&t.inSync).Count() >= e.needed {
			continue
		}
		abort := &pending{Entry: layout.Entry{Aborts: p, Writes: e.Voids()}}
		if err := t.append(abort); err != nil {
			t.stick(err)
			return
		}
		e.abortedBy = abort.Position
	}
}
