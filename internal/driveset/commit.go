package driveset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// Change is what one entry writes.
type Change struct {
	Writes []layout.Write // records and tombstones, at slots without position
	Staged *Staged        // whose bytes the entry adds; nil: none
	// Reserve lets the entry use the space that is kept back. Deletes set it:
	// they are what makes room again.
	Reserve bool
}

// Commit appends one entry to the log and waits until it is acknowledged: from
// then on every reader sees it, whatever fails within the fault budget.
//
// build is called with the position and the owner that the entry will have. It
// runs with the log held and must be quick and free of I/O; its error is
// returned as it is, and nothing happened.
//
// release is the caller's key lock. After every outcome but ErrOutcomeUnknown
// it is the caller's to call. With ErrOutcomeUnknown the set has taken it over
// and calls it once the entry is settled, so that nobody decides on a key while
// it is not known what the key holds.
//
// Every other error means that nothing happened: ErrReadOnly, ErrNoSpace,
// ErrAborted, ErrUnavailable, layout.ErrBadRecord for a change that no drive
// would take. Safe for concurrent use.
func (s *Set) Commit(ctx context.Context, release func(), build func(layout.Position, layout.Owner) (Change, error)) (layout.Position, error) {
	t, err := s.serving()
	if err != nil {
		return 0, err
	}
	w, err := t.begin(ctx, release, build)
	if err != nil {
		return 0, err
	}
	select {
	case err = <-w.done:
	case <-ctx.Done():
		if t.leave(w) {
			return 0, fmt.Errorf("%w: %w", ErrOutcomeUnknown, context.Cause(ctx))
		}
		err = <-w.done
	}
	if errors.Is(err, ErrOutcomeUnknown) {
		release()
	}
	return w.position, err
}

// begin gives the change its place in the log, once there is room for it among
// what is not acknowledged. How much it needs is known only when it was built.
func (t *tenure) begin(ctx context.Context, release func(), build func(layout.Position, layout.Owner) (Change, error)) (*waiter, error) {
	for room := int64(entryRoomBytes); ; {
		if err := t.room.Acquire(ctx, room); err != nil {
			return nil, err
		}
		w, needed, err := t.enter(room, release, build)
		if w != nil {
			return w, nil
		}
		t.room.Release(room)
		if err != nil {
			return nil, err
		}
		room = needed
	}
}

// enter appends the entry of a change if the room that it has been given is
// enough; else it says what would be. Without a waiter nothing happened.
func (t *tenure) enter(room int64, release func(), build func(layout.Position, layout.Owner) (Change, error)) (*waiter, int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, p, err := t.prepare(build)
	if err != nil {
		return nil, 0, err
	}
	if needed := memoryBytes(&p.Entry); needed > room {
		if needed > maxUnackedBytes {
			return nil, 0, fmt.Errorf("%w: a change of %d bytes", layout.ErrBadRecord, needed)
		}
		return nil, needed, nil
	}
	if err := t.spend(&p.Entry, c.Reserve); err != nil {
		return nil, 0, err
	}
	p.bytes = room
	w := &waiter{done: make(chan error, 1), release: release, position: p.Position, writes: p.Writes}
	p.waiter = w
	if err := t.append(p); err != nil {
		return nil, 0, err
	}
	if c.Staged != nil {
		c.Staged.committed = true
	}
	return w, 0, nil
}

// prepare makes the entry of a change, or says why it can not be written. An
// entry that drives would refuse is refused here: all of them would, and the
// set would lose them. mu is held.
func (t *tenure) prepare(build func(layout.Position, layout.Owner) (Change, error)) (Change, *pending, error) {
	if t.stuck != nil {
		return Change{}, nil, readOnly(t.stuck)
	}
	c, err := build(t.last.Position+1, t.owner)
	if err != nil {
		return c, nil, err
	}
	if t.blocks(c.Writes) {
		return c, nil, ErrUnavailable
	}
	p := &pending{Entry: layout.Entry{Position: t.last.Position + 1, Writes: c.Writes}}
	if st := c.Staged; st != nil && st.Place.Kind != layout.PlaceNone {
		if st.add.Data.Owner != t.owner {
			return c, nil, fmt.Errorf("%w: the set was opened again while the bytes were on their way", ErrAborted)
		}
		p.Adds = []layout.Add{st.add}
		p.holders = st.holders & t.laidOut(st)
		p.needed = quorum.Shards(len(st.add.Drives), st.add.DataShards())
		if (p.holders & t.target()).Count() < p.needed {
			return c, nil, fmt.Errorf("%w: too few of its drives are in-sync", ErrAborted)
		}
		if st.add.Inline {
			p.Writes = append(p.Writes, layout.Write{Slot: layout.InlineSlot(st.add.Data), Kind: layout.KindRecord})
		}
	}
	return c, p, acceptable(&p.Entry)
}

// laidOut gives the slots that still have the drives that bytes were written to: one
// that was made anew since has none of them. An inline shard comes with its entry.
// mu is held.
func (t *tenure) laidOut(st *Staged) quorum.Drives {
	if st.add.Inline {
		return st.holders
	}
	var same quorum.Drives
	for slot, name := range t.named() {
		if slices.Contains(st.add.Drives, name.Drive) {
			same |= quorum.One(slot)
		}
	}
	return same
}

// acceptable: drives will take the entry.
func acceptable(e *layout.Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	if entryBytes(e) < largeEntryBytes {
		return nil
	}
	_, err := layout.EncodeEntry(e) // has a limit of its own
	return err
}

// spend counts an entry's bytes against what every in-sync drive can take.
// mu is held.
func (t *tenure) spend(e *layout.Entry, reserve bool) error {
	n := 2 * entryBytes(e) // in the log, and in a table
	for slot := range t.target().All() {
		if m := t.members[slot]; !reserve && m.free.Load() < n {
			return fmt.Errorf("%w on %s", ErrNoSpace, m.place.Path)
		}
	}
	for slot := range t.target().All() {
		t.members[slot].free.Add(-n)
	}
	return nil
}

// leave hands the caller's lock to the set, and blocks what the entry touches
// until it is settled: nobody is shown one outcome now and another one later.
// False when it was settled meanwhile.
func (t *tenure) leave(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(w.done) > 0 {
		return false
	}
	w.left = true
	t.block(w.writes, w)
	return true
}

// entryBytes estimates what an entry takes on one drive.
func entryBytes(e *layout.Entry) int64 {
	n := int64(256)
	for _, w := range e.Writes {
		n += int64(len(w.Slot)*2 + len(w.Value) + 32)
	}
	for _, a := range e.Adds {
		for _, s := range a.Shards {
			if s != nil {
				n += int64(len(s))
				break
			}
		}
	}
	return n
}

// memoryBytes estimates what an entry takes in memory, for all drives.
func memoryBytes(e *layout.Entry) int64 {
	n := entryBytes(e)
	for _, a := range e.Adds {
		for _, s := range a.Shards {
			n += int64(len(s))
		}
	}
	return n
}

// blocked is a slot, or all versions of a key, that an unsettled entry wrote.
type blocked struct {
	prefix layout.Slot
	until  *waiter // settled with its entry; nil: when the set is opened again
}

// touches gives what a write makes unreadable while it is unsettled: a
// version's whole key, since the latest version may be another.
func touches(w layout.Write) layout.Slot { return layout.Slot(layout.HistoryPrefix(w.Slot)) }

// block makes what writes touch unreadable. mu is held.
func (t *tenure) block(writes []layout.Write, until *waiter) {
	for _, w := range writes {
		t.blocked = append(t.blocked, blocked{touches(w), until})
	}
}

// unblock ends what is blocked until a waiter's entry is settled. mu is held.
func (t *tenure) unblock(w *waiter) {
	t.blocked = slices.DeleteFunc(t.blocked, func(b blocked) bool { return b.until == w })
}

func (t *tenure) blocks(writes []layout.Write) bool {
	if len(t.blocked) == 0 {
		return false
	}
	return slices.ContainsFunc(writes, func(w layout.Write) bool { return t.blocksSlot(touches(w)) })
}

// blocksSlot: an unsettled entry touches the slot. mu is held.
func (t *tenure) blocksSlot(slot layout.Slot) bool {
	for _, b := range t.blocked {
		if bytes.HasPrefix(slot, b.prefix) {
			return true
		}
	}
	return false
}

// blocksRange: an unsettled entry touches something in [from, to). mu is held.
func (t *tenure) blocksRange(from, to layout.Slot) bool {
	for _, b := range t.blocked {
		if bytes.HasPrefix(from, b.prefix) || bytes.Compare(b.prefix, from) >= 0 && (to == nil || bytes.Compare(b.prefix, to) < 0) {
			return true
		}
	}
	return false
}
