package driveset

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// View reads the set as it was when the view was made: everything that was
// acknowledged by then, and nothing after. All of it is read from one in-sync
// drive; if that fails the next one answers. A view is cheap. It is not safe
// for concurrent use, must be closed, and ends with ErrExpired after a minute,
// because what it can see can not be removed from the drives before.
type View struct {
	t      *tenure
	at     layout.Mark
	pin    *pin
	tried  quorum.Drives
	member *member
	reader layout.Reader
}

// View opens a view. ErrNotServing while the set is not open for reading.
func (s *Set) View(ctx context.Context) (*View, error) {
	t, err := s.serving()
	if err != nil {
		return nil, err
	}
	return t.view(ctx)
}

func (t *tenure) view(ctx context.Context) (*View, error) {
	v := &View{t: t}
	t.mu.Lock()
	v.at = t.visible
	v.pin = t.pins.add(v.at.Position, time.Now())
	t.mu.Unlock()
	if err := v.open(ctx); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// open begins with the next in-sync drive that was not tried yet.
func (v *View) open(ctx context.Context) error {
	var last error
	for {
		m := v.t.readFrom(v.tried, v.at.Position)
		if m == nil {
			return errors.Join(ErrUnavailable, last)
		}
		v.tried |= quorum.One(m.slot)
		r, err := m.drive.Read(ctx)
		if err == nil {
			v.member, v.reader = m, r
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		last = fmt.Errorf("drive %s: %w", m.place.Path, err)
	}
}

// next goes on with another drive after an error of this one.
func (v *View) next(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v.t.suspect(v.member, err)
	_ = v.reader.Close()
	v.reader = nil
	return v.open(ctx)
}

// aging: half of the time that a view has is over.
func (v *View) aging() bool { return time.Since(v.pin.since) > viewLimit/2 }

// Position is the position that the view reads at.
func (v *View) Position() layout.Position { return v.at.Position }

// Latest gives the newest live version of a key, which may be a delete marker.
// ErrUnavailable while it is not settled what the key holds.
func (v *View) Latest(ctx context.Context, bucket layout.BucketID, key string) (layout.Item, bool, error) {
	if err := v.allowed(func() bool { return v.t.blocksSlot(layout.VersionSlot(bucket, key, layout.MaxPosition)) }); err != nil {
		return layout.Item{}, false, err
	}
	for {
		item, ok, err := v.reader.Latest(bucket, key, v.at.Position)
		if err == nil {
			return item, ok, v.held()
		}
		if err := v.next(ctx, err); err != nil {
			return layout.Item{}, false, err
		}
	}
}

// Get gives the newest record of a slot; false when there is none.
func (v *View) Get(ctx context.Context, slot layout.Slot) (layout.Item, bool, error) {
	if err := layout.CheckSlot(slot); err != nil {
		return layout.Item{}, false, err // the caller's mistake, and not a drive's
	}
	if err := v.allowed(func() bool { return v.t.blocksSlot(slot) }); err != nil {
		return layout.Item{}, false, err
	}
	for {
		item, ok, err := v.reader.Get(slot, v.at.Position)
		if err == nil {
			return item, ok, v.held()
		}
		if err := v.next(ctx, err); err != nil {
			return layout.Item{}, false, err
		}
	}
}

// Cursor walks the live records in [from, to). It goes on with another drive
// when the one that it reads fails.
func (v *View) Cursor(ctx context.Context, from, to layout.Slot) (layout.Cursor, error) {
	if err := v.allowed(func() bool { return v.t.blocksRange(from, to) }); err != nil {
		return nil, err
	}
	c := &cursor{ctx: ctx, v: v, from: from, to: to}
	if err := c.open(from); err != nil {
		return nil, err
	}
	return c, nil
}

// held: the view has not lost its hold. It is asked after each read, too: what
// was found may be what a removal left, which begins as soon as the hold is gone.
func (v *View) held() error {
	if v.t.pins.expired(v.at.Position) {
		return ErrExpired
	}
	return nil
}

// allowed: the view has not expired, and nothing unsettled is asked for.
func (v *View) allowed(blocked func() bool) error {
	t := v.t
	if err := v.held(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.blocked) > 0 && blocked() {
		return fmt.Errorf("%w: a change of unknown outcome is not settled yet", ErrUnavailable)
	}
	return nil
}

// Close gives the position up. Closing twice does nothing.
func (v *View) Close() {
	if v.reader != nil {
		_ = v.reader.Close()
		v.reader = nil
	}
	if v.pin != nil {
		v.t.mu.Lock()
		v.t.pins.remove(v.pin)
		v.t.mu.Unlock()
		v.pin = nil
	}
}

// readFrom gives a drive that has all that could be seen at a position and was not
// tried; nil when there is none.
func (t *tenure) readFrom(tried quorum.Drives, at layout.Position) *member {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := t.readableAt(at) &^ tried
	if rest == 0 {
		return nil
	}
	return t.members[rest.First()]
}

// readableAt gives the drives that have all that is visible, and all that was at a
// position. mu is held.
func (t *tenure) readableAt(at layout.Position) quorum.Drives {
	r := t.readable()
	for slot := range r.All() {
		if t.members[slot].whole > at {
			r &^= quorum.One(slot)
		}
	}
	return r
}

// readable gives the drives that have all that is visible. mu is held.
func (t *tenure) readable() quorum.Drives {
	r := t.inSync
	for slot := range t.inSync.All() {
		if m := t.members[slot]; m == nil || m.failed != nil || m.applied < t.visible.Position {
			r &^= quorum.One(slot)
		}
	}
	return r
}

// cursor is a layout.Cursor that survives the loss of its drive.
type cursor struct {
	ctx      context.Context
	v        *View
	from, to layout.Slot
	under    layout.Cursor
	lastSlot layout.Slot // where it stands; nil before the first
	err      error
}

func (c *cursor) open(from layout.Slot) error {
	for {
		under, err := c.v.reader.Cursor(from, c.to, c.v.at.Position)
		if err == nil {
			c.under = under
			return nil
		}
		if err := c.v.next(c.ctx, err); err != nil {
			return err
		}
	}
}

// move makes a step, and makes it again on another drive when it failed. The
// step is given the slot that the cursor stood at, nil on the drive where it
// already stands there.
func (c *cursor) move(step func(stood layout.Slot) bool) bool {
	if c.err != nil {
		return false
	}
	if c.err = c.ctx.Err(); c.err != nil {
		return false
	}
	var stood layout.Slot
	for {
		moved := step(stood)
		if c.err = c.v.held(); c.err != nil {
			return false
		}
		if moved {
			c.lastSlot = append(c.lastSlot[:0], c.under.Item().Slot...)
			return true
		}
		err := c.under.Err()
		if err == nil {
			return false
		}
		_ = c.under.Close()
		c.under = nil
		if c.err = c.v.next(c.ctx, err); c.err != nil {
			return false
		}
		stood = c.lastSlot
		if c.err = c.open(c.from); c.err != nil {
			return false
		}
	}
}

func (c *cursor) Next() bool {
	return c.move(func(stood layout.Slot) bool {
		if stood == nil {
			return c.under.Next()
		}
		return c.under.Seek(stood) && c.under.Next()
	})
}

func (c *cursor) NextKey() bool {
	return c.move(func(stood layout.Slot) bool {
		if stood == nil {
			return c.under.NextKey()
		}
		return c.under.Seek(stood) && c.under.NextKey()
	})
}

func (c *cursor) Seek(slot layout.Slot) bool {
	return c.move(func(layout.Slot) bool { return c.under.Seek(slot) })
}

func (c *cursor) Item() layout.Item { return c.under.Item() }
func (c *cursor) Err() error        { return c.err }

func (c *cursor) Close() error {
	if c.under == nil {
		return nil
	}
	u := c.under
	c.under = nil
	return u.Close()
}

// suspect is told of a drive that could not be read. It leaves the set where
// enough others are left to write; else others answer in its place, as far as
// they can, and the drive's own probe tells whether it is gone.
func (t *tenure) suspect(m *member, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.members[m.slot] != m || m.failed != nil || t.ctx.Err() != nil {
		return // known
	}
	t.set.damage.add(Finding{Kind: FindingDrive, Drive: m.place.Path, Text: err.Error()})
	if t.stuck == nil && (t.target()&^quorum.One(m.slot)).Count() >= t.set.q {
		t.fail(m, fmt.Errorf("reading: %w", err))
	}
}

// blame suspects the drive of a place.
func (t *tenure) blame(f *fault) {
	for slot := range t.n {
		t.mu.Lock()
		m := t.members[slot]
		t.mu.Unlock()
		if m != nil && m.place == f.place {
			t.suspect(m, f.err)
		}
	}
}

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
	if most := layout.Position(t.set.opt.KeptLog); t.visible.Position > most {
		keep = max(keep, t.visible.Position-most)
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

// owned tells whether an upload has an owner: who has not is being removed, in steps.
func (v *View) owned(ctx context.Context, u layout.UploadID) (bool, error) {
	lo, hi := layout.UploadOwnerRange(u)
	owners := &cursor{ctx: ctx, v: v, from: lo, to: hi}
	if err := owners.open(lo); err != nil {
		return false, err
	}
	owned := owners.Next()
	return owned, errors.Join(owners.Err(), owners.Close())
}
