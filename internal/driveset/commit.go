package driveset

import (
	"bytes"
	"context"
	"errors"
	"fmt"

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
// ErrReadOnly, ErrNoSpace, ErrAborted and ErrUnavailable mean that nothing
// happened. Safe for concurrent use.
func (s *Set) Commit(ctx context.Context, release func(), build func(layout.Position, layout.Owner) (Change, error)) (layout.Position, error) {
	t, err := s.serving()
	if err != nil {
		return 0, err
	}
	w, p, err := t.begin(ctx, release, build)
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
	return p, err
}

// begin gives the change its place in the log.
func (t *tenure) begin(ctx context.Context, release func(), build func(layout.Position, layout.Owner) (Change, error)) (*waiter, layout.Position, error) {
	if err := t.room.Acquire(ctx, entryRoomBytes); err != nil {
		return nil, 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.prepare(build)
	if err != nil {
		t.room.Release(entryRoomBytes)
		return nil, 0, err
	}
	p.bytes = entryRoomBytes
	p.waiter = &waiter{done: make(chan error, 1), release: release}
	w := p.waiter
	if err := t.append(p); err != nil {
		t.room.Release(entryRoomBytes)
		return nil, 0, err
	}
	return w, p.Position, nil
}

// prepare makes the entry of a change, or says why it can not be written. mu
// is held.
func (t *tenure) prepare(build func(layout.Position, layout.Owner) (Change, error)) (*pending, error) {
	if t.stuck != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadOnly, t.stuck)
	}
	c, err := build(t.last.Position+1, t.owner)
	if err != nil {
		return nil, err
	}
	if t.blocks(c.Writes) {
		return nil, ErrUnavailable
	}
	p := &pending{Entry: layout.Entry{Writes: c.Writes}}
	if st := c.Staged; st != nil && st.Place.Kind != layout.PlaceNone {
		if st.add.Data.Owner != t.owner {
			return nil, fmt.Errorf("%w: the set was opened again while the bytes were on their way", ErrAborted)
		}
		p.Adds = []layout.Add{st.add}
		p.holders = st.holders
		p.needed = quorum.Shards(len(st.add.Drives), st.add.DataShards())
		if (p.holders & t.target()).Count() < p.needed {
			return nil, fmt.Errorf("%w: too few of its drives are in-sync", ErrAborted)
		}
		if st.add.Inline {
			p.Writes = append(p.Writes, layout.Write{Slot: layout.InlineSlot(st.add.Data), Kind: layout.KindRecord})
		}
	}
	if err := t.spend(&p.Entry, c.Reserve); err != nil {
		return nil, err
	}
	if c.Staged != nil {
		c.Staged.committed = true
	}
	return p, nil
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

// leave hands the caller's lock to the set; false when the entry was settled
// meanwhile.
func (t *tenure) leave(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(w.done) > 0 {
		return false
	}
	w.left = true
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

// blocked is a slot, or all versions of a key, that an unsettled entry wrote.
type blocked []byte

// touches gives what entries' writes make unreadable while they are unsettled:
// a version's whole key, since the latest version may be another.
func touches(writes []layout.Write) []blocked {
	out := make([]blocked, 0, len(writes))
	for _, w := range writes {
		out = append(out, blocked(layout.HistoryPrefix(w.Slot)))
	}
	return out
}

func (t *tenure) blocks(writes []layout.Write) bool {
	if len(t.blocked) == 0 {
		return false
	}
	for _, b := range touches(writes) {
		if t.blocksSlot(layout.Slot(b)) {
			return true
		}
	}
	return false
}

// blocksSlot: an unsettled entry touches the slot. mu is held.
func (t *tenure) blocksSlot(slot layout.Slot) bool {
	for _, b := range t.blocked {
		if bytes.HasPrefix(slot, b) {
			return true
		}
	}
	return false
}

// blocksRange: an unsettled entry touches something in [from, to). mu is held.
func (t *tenure) blocksRange(from, to layout.Slot) bool {
	for _, b := range t.blocked {
		if bytes.HasPrefix(from, b) || bytes.Compare(b, from) >= 0 && (to == nil || bytes.Compare(b, to) < 0) {
			return true
		}
	}
	return false
}
