package driveset

import (
	"container/list"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// removal takes from the drives what stable entries have shadowed, a step at a
// time, on each in-sync drive by itself: never above that drive's durable
// stable mark, never what a view can still see. The log is kept for drives
// that are away, up to a limit.
func (t *tenure) removal() {
	tick := time.NewTicker(removeInterval)
	defer tick.Stop()
	done := map[*member]layout.Position{}
	for {
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return
		}
		if t.set.background() {
			t.removeStep(done)
		}
	}
}

func (t *tenure) removeStep(done map[*member]layout.Position) {
	for slot := range quorum.Drives(1<<t.n - 1).All() {
		for {
			m, r, ok := t.removable(slot, done)
			if !ok {
				break
			}
			removed, err := m.drive.Remove(t.ctx, m.promise, r)
			if err != nil {
				t.mu.Lock()
				if t.ctx.Err() == nil {
					t.fail(m, err)
				}
				t.mu.Unlock()
				break
			}
			if !removed.More && removed.Mark <= done[m] {
				break // nothing to remove up to here
			}
			done[m] = removed.Mark
		}
	}
}

// removable says what may be removed on a drive; false when there is nothing.
func (t *tenure) removable(slot int, done map[*member]layout.Position) (*member, layout.Removal, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.members[slot]
	if m == nil || m.failed != nil || m.learner || t.stuck != nil || !t.inSync.Has(slot) {
		return nil, layout.Removal{}, false
	}
	oldest := t.pins.oldest(t.visible.Position, time.Now())
	r := layout.Removal{Upto: min(m.stable, oldest), KeepLog: t.keepLog(), Entries: removeEntries}
	if r.Upto <= done[m] {
		return nil, r, false
	}
	t.pins.floor.Store(max(t.pins.floor.Load(), uint64(r.Upto)))
	return m, r, true
}

// keepLog gives the position from which the log is kept: the lowest stable mark
// that any drive of the set is known to hold, in-sync or not, since each may
// fail now and will take the log from there when it returns. mu is held.
func (t *tenure) keepLog() layout.Position {
	keep := t.visible.Position
	for slot := range quorum.Drives(1<<t.n - 1).All() {
		if m := t.members[slot]; m != nil && m.failed == nil {
			keep = min(keep, m.stable)
		} else {
			keep = min(keep, t.set.lastKnown(slot))
		}
	}
	if t.visible.Position > maxKeptLog {
		keep = max(keep, t.visible.Position-maxKeptLog)
	}
	return keep
}

// lastKnown gives the stable mark that the drive of a slot was last seen with.
func (s *Set) lastKnown(slot int) layout.Position {
	for _, p := range s.places {
		p.mu.Lock()
		known, stable := p.known && p.id.Slot == slot, p.stable
		p.mu.Unlock()
		if known {
			return stable
		}
	}
	return 0
}

// removed from the drives. Positions are pinned in ascending order, so the
// oldest is in front. A view older than viewLimit no longer counts; a view
// below floor has lost its hold and reads nothing more.
type pins struct {
	order list.List
	floor atomic.Uint64 // a position
}

type pin struct {
	position layout.Position
	since    time.Time
	place    *list.Element
}

func (p *pins) init() { p.order.Init() }

// expired tells whether a view at a position has lost its hold.
func (p *pins) expired(at layout.Position) bool { return uint64(at) < p.floor.Load() }

func (p *pins) add(position layout.Position, now time.Time) *pin {
	n := &pin{position: position, since: now}
	n.place = p.order.PushBack(n)
	return n
}

func (p *pins) remove(n *pin) {
	if n.place != nil {
		p.order.Remove(n.place)
		n.place = nil
	}
}

// oldest gives the position below which nothing is held, after taking their
// hold from views older than viewLimit.
func (p *pins) oldest(visible layout.Position, now time.Time) layout.Position {
	for e := p.order.Front(); e != nil; e = p.order.Front() {
		n := e.Value.(*pin)
		if now.Sub(n.since) < viewLimit {
			return n.position
		}
		p.remove(n)
	}
	return visible
}
