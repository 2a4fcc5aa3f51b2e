package driveset

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/sherd-storage/sherd/internal/heal"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// A tenure is one ownership of the set, from the settling of the log to the
// moment when too few drives are left, when a newer owner appears, or when the
// set closes. It decides; the drives' links carry it out. Everything below mu
// changes only with mu held, and mu is never held across I/O.
type tenure struct {
	set   *Set
	owner layout.Owner
	n     int
	names atomic.Pointer[[]layout.Name] // which drive has which slot; replaced as a whole, with mu held
	room  *semaphore.Weighted           // bytes of entries that are not acknowledged

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	data   atomic.Uint64 // counter of data ids
	turn   uint          // with mu held: which drive comes first in the next placement

	mu         sync.Mutex
	members    [16]*member
	log        []*pending // entries above base, in order
	memory     int64      // what they take
	base       layout.Position
	last       layout.Mark   // newest entry
	visible    layout.Mark   // newest acknowledged entry
	inSync     quorum.Drives // as last decided
	need       quorum.Drives // every drive that an acknowledgement waits for: decided or proposed since
	generation uint64
	proposal   *proposal
	stuck      error     // why nothing is acknowledged any more
	blocked    []blocked // what unsettled entries touch
	pins       pins
	touched    time.Time        // when visible last moved
	lived      time.Duration    // the watch's clock, which stands while the host is paused
	looked     time.Time        // when it last moved
	hold       *member          // a learner that entries are kept in memory for
	asked      quorum.Drives    // the drives that were asked when the set could be opened for reading only
	force      layout.State     // the newest state that this owner has written, or found
	refillable quorum.Drives    // drives whose index may be copied while the set is open for reading only
	fresh      map[int]newcomer // new drives that were named for a slot and are not formatted yet
}

// proposal is a state that is not yet on all drives that it names.
type proposal struct {
	state    layout.State
	target   quorum.Drives
	accepted quorum.Drives
}

// member is a drive that the tenure talks to.
type member struct {
	slot    int
	place   *place
	drive   layout.Drive
	promise layout.Promise
	whole   layout.Position // where an index copy to it ended: of what was before, it lacks what was shadowed meanwhile
	wake    chan struct{}   // a token: there may be something to do

	// below tenure.mu
	fed     bool // takes entries from the log
	learner bool // does not count yet
	applied layout.Position
	stable  layout.Position // its durable V
	markDue bool            // write V now, though nothing else is to be written
	failed  error
	busy    time.Duration // since when, in tenure.lived, a batch is on its way; 0: none
	probing time.Duration // the same of a probe
	free    atomic.Int64  // bytes that may still be written, as last measured and counted down
}

// newMember makes a member that has the log up to a position, of which stable
// is its durable stable mark. Its space counts as boundless until it was
// measured.
func newMember(slot int, p *place, d layout.Drive, promise layout.Promise, applied, stable layout.Position) *member {
	m := &member{slot: slot, place: p, drive: d, promise: promise, wake: make(chan struct{}, 1), applied: applied, stable: stable}
	m.free.Store(1 << 62)
	return m
}

// pending is an entry of the log that some drive may not have yet.
type pending struct {
	layout.Entry
	bytes     int64
	holders   quorum.Drives // drives that have, or get with the entry, the shard of what it adds
	needed    int           // how many of them an acknowledgement needs; 0 nothing was added
	abortedBy layout.Position
	quorumAt  time.Duration // when, in tenure.lived, Q drives had it; 0: not yet
	memory    int64
	waiter    *waiter
}

// waiter is the call that waits for an entry.
type waiter struct {
	done     chan error // buffered
	release  func()     // the caller's lock, once the caller has left
	left     bool
	position layout.Position // of the entry
	writes   []layout.Write
}

func newTenure(s *Set, owner layout.Owner, names []layout.Name) *tenure {
	t := &tenure{set: s, owner: owner, n: s.n, room: semaphore.NewWeighted(maxUnackedBytes),
		lived: 1, touched: time.Now(), looked: time.Now()}
	t.names.Store(&names)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.pins.init()
	return t
}

// named says which drive has which slot. It is not to be changed.
func (t *tenure) named() []layout.Name { return *t.names.Load() }

// end stops the links and gives every caller that still waits its answer.
func (t *tenure) end(why error) {
	t.mu.Lock()
	t.stick(why)
	t.pins.floor.Store(uint64(layout.MaxPosition)) // nothing is held for its views from here on
	t.mu.Unlock()
	t.cancel()
}

// wait waits for the links, no longer than the limit.
func (t *tenure) wait(limit time.Duration) error { return within(limit, t.wg.Wait) }

// stick ends acknowledging: what is on its way has an unknown outcome, and its
// keys are blocked until the set is opened again. mu is held.
func (t *tenure) stick(why error) {
	if t.stuck != nil {
		return
	}
	t.stuck = why
	for _, p := range t.log {
		if p.Position <= t.visible.Position {
			continue
		}
		t.block(p.Writes, nil)
		t.settle(p, fmt.Errorf("%w: %w", ErrOutcomeUnknown, why))
	}
	// What is acknowledged is complete on every drive that is left: saying so
	// durably keeps it readable, whoever opens the set next.
	for slot := range t.inSync.All() {
		if m := t.members[slot]; m != nil && m.failed == nil {
			m.markDue = true
			m.nudge()
		}
	}
	t.set.nudge()
}

// settle answers the call that waits for an entry, once. mu is held.
func (t *tenure) settle(p *pending, err error) {
	if p.bytes > 0 {
		t.room.Release(p.bytes)
		p.bytes = 0
	}
	w := p.waiter
	if w == nil {
		return
	}
	p.waiter = nil
	if !w.left {
		w.done <- err
		return
	}
	t.unblock(w)
	w.release()
}

// target is the in-sync set that new entries are written for. mu is held.
func (t *tenure) target() quorum.Drives {
	if t.proposal != nil {
		return t.proposal.target
	}
	return t.inSync
}

// append puts an entry at the end of the log. mu is held.
func (t *tenure) append(p *pending) error {
	p.Position = t.last.Position + 1
	p.Owner = t.owner
	p.Time = t.set.now()
	if err := p.Seal(t.last.Chain); err != nil {
		return err
	}
	t.last = layout.Mark{Position: p.Position, Chain: p.Chain}
	t.log = append(t.log, p)
	p.memory = memoryBytes(&p.Entry)
	t.memory += p.memory
	t.wakeAll()
	return nil
}

func (t *tenure) wakeAll() {
	for _, m := range t.members {
		if m != nil && m.fed {
			m.nudge()
		}
	}
}

func (m *member) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// advance acknowledges, in log order, what every needed drive has. mu is held.
func (t *tenure) advance() {
	if t.stuck != nil {
		return
	}
	to := acknowledgeable(t)
	if to <= t.visible.Position {
		return
	}
	if t.inSync.Count() < quorum.Write(t.n) {
		t.stick(errors.New("asserted: never acknowledge below the quorum"))
		return
	}
	for p := t.visible.Position + 1; p <= to; p++ {
		e := t.at(p)
		var err error
		if e.abortedBy > 0 {
			err = ErrAborted
		} else {
			t.set.healer.Added(&e.Entry)
			t.lacking(e)
		}
		t.visible = layout.Mark{Position: p, Chain: e.Chain}
		t.settle(e, err)
	}
	t.touched = time.Now()
	t.prune()
	if t.memory > maxLogBytes {
		t.dropLaggards()
	}
}

// lacking has the shards made that drives of the in-sync set could not take when an
// object was written: it was acknowledged without them, as enough had theirs. mu is
// held.
func (t *tenure) lacking(e *pending) {
	names := t.named()
	for i := range e.Adds {
		a := &e.Adds[i]
		if a.Inline {
			continue
		}
		for shard, id := range a.Drives {
			slot := slices.IndexFunc(names, func(n layout.Name) bool { return n.Drive == id })
			if slot < 0 || !t.inSync.Has(slot) || e.holders.Has(slot) {
				continue
			}
			t.set.healer.Damaged(heal.Damage{Place: placeOf(*a), Shard: shard,
				Err: fmt.Errorf("%w: it could not be written with its object", layout.ErrNotFound)})
		}
	}
}

// acknowledgeable gives the newest position that may become visible: every
// drive of the decided in-sync set and of any set proposed since has applied
// it and all before, and enough in-sync drives hold its shards. An aborted
// entry becomes visible only together with its abort.
func acknowledgeable(t *tenure) layout.Position {
	limit := t.last.Position
	for slot := range t.need.All() {
		limit = min(limit, t.members[slot].applied)
	}
	ack, until := t.visible.Position, layout.Position(0)
	for p := t.visible.Position + 1; p <= limit; p++ {
		e := t.at(p)
		if e.abortedBy > 0 {
			until = max(until, e.abortedBy)
		} else if (e.holders & t.inSync).Count() < e.needed {
			break
		}
		if p >= until {
			ack = p
		}
	}
	return ack
}

// at gives an entry that is still in memory. mu is held.
func (t *tenure) at(p layout.Position) *pending { return t.log[p-t.base-1] }

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

// propose gives the drives of a new in-sync set its state. Acknowledgements
// need the old set's drives and the new one's until all of the new have it.
// mu is held.
func (t *tenure) propose(target quorum.Drives) {
	if t.stuck != nil {
		return
	}
	t.generation++
	t.need |= target
	t.force = layout.State{Owner: t.owner, Generation: t.generation, InSync: t.ids(target), Names: t.named()}
	t.proposal = &proposal{target: target, state: t.force}
	for slot := range target.All() {
		t.members[slot].nudge()
	}
}

func (t *tenure) ids(m quorum.Drives) []layout.DriveID {
	ids := make([]layout.DriveID, 0, m.Count())
	for slot := range m.All() {
		ids = append(ids, t.named()[slot].Drive)
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
	m.place.counts()
	if !p.accepted.Contains(p.target) {
		return
	}
	t.inSync, t.need, t.proposal = p.target, p.target, nil
	for slot := range t.inSync.All() {
		t.members[slot].learner = false
	}
	t.set.decided(t)
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

// prune forgets entries that are visible and that every fed drive has. mu is
// held.
func (t *tenure) prune() {
	keep := t.visible.Position
	for _, m := range t.members {
		if m != nil && m.fed && m.failed == nil {
			keep = min(keep, m.applied)
		}
	}
	if t.hold != nil {
		keep = min(keep, t.hold.applied)
	}
	if drop := int(keep - t.base); keep > t.base && (drop >= 64 || drop == len(t.log)) {
		for _, p := range t.log[:drop] {
			t.memory -= p.memory
		}
		t.log = slices.Delete(t.log, 0, drop)
		t.base = keep
	}
}

var errLaggard = errors.New("the drive learns more slowly than others write")

// dropLaggards keeps entries in memory no longer for learners that are behind.
// mu is held.
func (t *tenure) dropLaggards() {
	t.hold = nil
	for _, m := range t.members {
		if m != nil && m.learner && m.fed && m.failed == nil && m.applied < t.visible.Position {
			t.fail(m, errLaggard)
		}
	}
	t.prune()
}

func randomUint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}
