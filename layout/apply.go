package layout

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Apply implements Drive.
//
// Everything is checked against what the drive will hold after the steps
// before, and built into one batch of the index; nothing is written before all
// of it was found good. A crash leaves the batch or nothing of it.
func (d *disk) Apply(ctx context.Context, p Promise, b Batch) error {
	for _, e := range b.Entries {
		if err := e.Check(); err != nil {
			return err
		}
	}
	done, err := d.mutate(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := d.promised(p); err != nil {
		return err
	}
	c := change{d: d, next: d.planned(), batch: d.db.NewBatchWithSize(1024)}
	defer c.batch.Close()
	if err := c.build(&b); err != nil {
		return err
	}
	if c.batch.Empty() {
		return nil
	}
	if !b.Reserve && !d.space.Room(int64(c.batch.Len())) {
		return fmt.Errorf("%w: %d bytes would go below the reserve", ErrNoSpace, c.batch.Len())
	}
	if err := d.commit(c.batch); err != nil {
		return err
	}
	d.mu.Lock()
	d.held = c.next
	d.mu.Unlock()
	d.pool.applied(c.next.Last.Position, c.rewrites)
	d.chains.applied(c.entries, c.rewrites)
	d.dropFiles(c.dropped)
	return nil
}

// planned is what is held, to be changed by replacing and not in place.
func (d *disk) planned() Holding {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.held
	if h.Rebuild != nil {
		r := *h.Rebuild
		h.Rebuild = &r
	}
	return h
}

// change is a batch on its way, and what the drive holds when it is written.
type change struct {
	d        *disk
	next     Holding
	batch    *pebble.Batch
	entries  []*Entry
	dropped  []DataID // of undone entries; their files go to quarantine
	rewrites bool     // what stood at positions that were applied is not the same any more
}

func (c *change) build(b *Batch) error {
	if (b.Copy != nil || len(b.Mend) > 0) && (b.Undo != nil || len(b.Entries) > 0 || b.Stable != nil) {
		return fmt.Errorf("%w: a copy, or a mend, stands alone in its batch", ErrBadRecord)
	}
	if err := c.mend(b.Mend); err != nil {
		return err
	}
	if b.Undo != nil {
		if err := c.undo(b.Undo); err != nil {
			return err
		}
	}
	for _, e := range b.Entries {
		if err := c.append(e); err != nil {
			return err
		}
	}
	if b.Copy != nil {
		if err := c.copy(b.Copy); err != nil {
			return err
		}
	}
	if b.State != nil {
		if err := c.state(b.State); err != nil {
			return err
		}
	}
	if b.Seal != nil {
		if err := c.seal(*b.Seal); err != nil {
			return err
		}
	}
	if b.Stable != nil {
		return c.stable(*b.Stable)
	}
	return nil
}

func disorder(f string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrOutOfOrder, fmt.Sprintf(f, args...))
}

// floor is the mark above which entries may be undone.
func (c *change) floor() Mark {
	r := c.next.Rebuild
	switch {
	case r == nil:
		return c.next.Stable
	case r.Reached == r.Base.Position:
		return r.Base
	}
	return Mark{Position: r.Reached}
}

// undo removes the keys that the entries above u.To wrote, from the top down.
func (c *change) undo(u *Undo) error {
	last, floor := c.next.Last, c.floor()
	if u.From != last {
		return disorder("undo from %d, the newest entry is %d or has another chain", u.From.Position, last.Position)
	}
	if u.To < floor.Position || u.To > last.Position {
		return disorder("undo down to %d, what is stable ends at %d and the log at %d", u.To, floor.Position, last.Position)
	}
	var key []byte
	for p := last.Position; p > u.To; p-- {
		e, err := c.d.entry(p)
		if err != nil {
			return err
		}
		for i := range e.Writes {
			key = e.Writes[i].Slot.appendKey(key[:0], p)
			if err := c.batch.Delete(key, nil); err != nil {
				return err
			}
		}
		for i := range e.Adds {
			if !e.Adds[i].Inline {
				c.dropped = append(c.dropped, e.Adds[i].Data)
			}
		}
		if err := c.batch.Delete(logKey(p), nil); err != nil {
			return err
		}
		c.rewrites = true
	}
	chain, err := c.chainAt(u.To)
	if err != nil {
		return err
	}
	c.next.Last = Mark{Position: u.To, Chain: chain}
	if c.next.First > u.To {
		c.next.First = 0
	}
	return nil
}

// chainAt is the log's chain at a position at or below the newest entry.
func (c *change) chainAt(p Position) (Chain, error) {
	for _, e := range c.entries {
		if e.Position == p {
			return e.Chain, nil
		}
	}
	switch r := c.next.Rebuild; {
	case p == c.next.Last.Position:
		return c.next.Last.Chain, nil
	case p == c.next.Stable.Position:
		return c.next.Stable.Chain, nil
	case r != nil && p == r.Base.Position:
		return r.Base.Chain, nil
	case p == 0:
		return Chain{}, nil
	}
	if chain, ok := c.d.chains.at(p); ok && !c.rewrites {
		return chain, nil
	}
	e, err := c.d.entry(p)
	if errors.Is(err, ErrNotFound) {
		return Chain{}, disorder("the log has no entry %d", p)
	}
	if err != nil {
		return Chain{}, err
	}
	return e.Chain, nil
}

// append writes an entry and what it says at its keys.
func (c *change) append(e *Entry) error {
	if e.Position != c.next.Last.Position+1 {
		return disorder("entry %d, the newest is %d", e.Position, c.next.Last.Position)
	}
	if e.Chain != c.next.Last.Chain.Next(e.Owner, e.Digest) {
		return disorder("the chain of entry %d is not that of the log", e.Position)
	}
	value, err := EncodeEntry(e)
	if err != nil {
		return err
	}
	if err := c.batch.Set(logKey(e.Position), value, nil); err != nil {
		return err
	}
	for i := range e.Writes {
		if err := c.write(e, &e.Writes[i]); err != nil {
			return err
		}
	}
	c.entries = append(c.entries, e)
	c.next.Last = Mark{Position: e.Position, Chain: e.Chain}
	if c.next.First == 0 {
		c.next.First = e.Position
	}
	return nil
}

func (c *change) write(e *Entry, w *Write) error {
	value := w.Value
	switch {
	case w.Kind == KindTombstone:
		value = nil
	case w.Kind == KindVoid:
		value = binary.BigEndian.AppendUint64(nil, uint64(e.Aborts))
	case w.Gone:
		return nil
	case w.Slot.Type() == TypeInline:
		if value = c.d.shardOf(e, w.Slot); value == nil {
			return nil // another drive's, or lost: known from the list of keys
		}
	}
	return c.set(w.Slot, e.Position, w.Kind, value)
}

// set writes a value with its kind, without another copy of it.
func (c *change) set(slot Slot, p Position, kind Kind, value []byte) error {
	op := c.batch.SetDeferred(len(slot)+keySuffix(slot), 1+len(value))
	slot.appendKey(op.Key[:0], p)
	op.Value[0] = byte(kind)
	copy(op.Value[1:], value)
	return op.Finish()
}

// shardOf is this drive's shard of inline data that an entry adds.
func (d *disk) shardOf(e *Entry, slot Slot) []byte {
	data := DataIDFrom([DataIDBytes]byte(slot[1:]))
	for i := range e.Adds {
		a := &e.Adds[i]
		if a.Data != data || !a.Inline {
			continue
		}
		if shard := slices.IndexFunc(a.Drives, d.standsFor); shard >= 0 && shard < len(a.Shards) {
			return a.Shards[shard]
		}
	}
	return nil
}

// standsFor tells whether what was laid out for a drive is this one's: it is that
// drive, or succeeded it in its slot. It is for whoever has the turn.
func (d *disk) standsFor(id DriveID) bool {
	if id == d.id.Drive {
		return true
	}
	names := d.held.State.Names
	return d.id.Slot < len(names) && names[d.id.Slot].Drive == d.id.Drive && slices.Contains(names[d.id.Slot].Past, id)
}

func (c *change) state(s *State) error {
	if s.Compare(c.next.State) <= 0 {
		return disorder("state %v/%d, the drive holds %v/%d", s.Owner, s.Generation, c.next.State.Owner, c.next.State.Generation)
	}
	value, err := EncodeState(s)
	if err != nil {
		return err
	}
	c.next.State = s.clone()
	return c.batch.Set(keyState, value, nil)
}

func (c *change) seal(s Seal) error {
	if s.Epoch < c.next.Seal.Epoch {
		return disorder("a seal of epoch %d, the drive holds one of %d", s.Epoch, c.next.Seal.Epoch)
	}
	value, err := EncodeSeal(s)
	if err != nil {
		return err
	}
	c.next.Seal = s
	return c.batch.Set(keySeal, value, nil)
}

// stable raises the stable mark, or Reached while an index is being copied.
func (c *change) stable(m Mark) error {
	floor := c.floor()
	if m.Position < floor.Position || m.Position > c.next.Last.Position {
		return disorder("stable mark %d, the drive's is %d and its log ends at %d", m.Position, floor.Position, c.next.Last.Position)
	}
	chain, err := c.chainAt(m.Position)
	if err != nil {
		return err
	}
	if chain != m.Chain {
		return disorder("stable mark %d is not on the drive's log", m.Position)
	}
	if r := c.next.Rebuild; r != nil {
		r.Reached = m.Position
		return c.rebuild()
	}
	c.next.Stable = m
	value, err := EncodeMark(m)
	if err != nil {
		return err
	}
	return c.batch.Set(keyStable, value, nil)
}

func (c *change) rebuild() error {
	value, err := EncodeRebuild(*c.next.Rebuild)
	if err != nil {
		return err
	}
	return c.batch.Set(keyRebuild, value, nil)
}

// copy is a step of an index copy.
func (c *change) copy(s *Copy) error {
	c.rewrites = true
	if s.Begin != nil {
		if err := c.wipe(); err != nil {
			return err
		}
		c.next.Stable, c.next.Removed, c.next.First, c.next.Last = Mark{}, 0, 0, *s.Begin
		c.next.Rebuild = &Rebuild{Base: *s.Begin, Reached: s.Begin.Position}
	}
	r := c.next.Rebuild
	if r == nil {
		return disorder("a copy that was not begun")
	}
	for i := range s.Items {
		it := &s.Items[i]
		if err := CheckSlot(it.Slot); err != nil {
			return err
		}
		if it.Position == 0 || it.Position > r.Base.Position {
			return disorder("an item of position %d in a copy of %d", it.Position, r.Base.Position)
		}
		if err := c.set(it.Slot, it.Position, KindRecord, it.Value); err != nil {
			return err
		}
	}
	if !s.End {
		r.Cursor = slices.Clone(s.Cursor)
		return c.rebuild()
	}
	chain, err := c.chainAt(r.Reached)
	if err != nil {
		return err
	}
	c.next.Stable, c.next.Removed, c.next.Rebuild = Mark{Position: r.Reached, Chain: chain}, r.Base.Position, nil
	stable, err := EncodeMark(c.next.Stable)
	if err != nil {
		return err
	}
	removed, err := EncodeRemoved(c.next.Removed)
	if err != nil {
		return err
	}
	return errors.Join(
		c.batch.Delete(keyRebuild, nil), c.batch.Set(keyStable, stable, nil), c.batch.Set(keyRemoved, removed, nil))
}

// wipe removes everything but promise, state and seal.
func (c *change) wipe() error {
	lo, _ := TypeRange('a')
	hi, _ := TypeRange(typeState)
	lo2, _ := TypeRange(typeState + 1)
	hi2, _ := TypeRange('z' + 1)
	return errors.Join(
		c.batch.DeleteRange(lo, hi, nil), c.batch.DeleteRange(lo2, hi2, nil),
		c.batch.Delete(keyStable, nil), c.batch.Delete(keyRemoved, nil), c.batch.Delete(keyRebuild, nil))
}

// dropFiles puts the shard files of undone entries into quarantine. The
// entries are gone already: a crash before leaves files that nothing names,
// which the search for garbage finds. What an entry of the same batch, or
// another owner, uses stays.
func (d *disk) dropFiles(data []DataID) {
	for _, id := range data {
		used, err := d.anyKey(DataOwnerRange(id))
		if err == nil && !used {
			err = d.files.putAside(id, "the entry that added it was undone")
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			d.opts.Logger.Warn("a shard file of an undone entry stays", "drive", d.path, "data", id, "error", err)
		}
	}
}

// anyKey tells whether there is any key, of any kind and position.
func (d *disk) anyKey(lo, hi Slot) (bool, error) {
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return false, err
	}
	found := it.First()
	return found, errors.Join(it.Error(), it.Close())
}

// mend writes inline shards again.
func (c *change) mend(items []Mend) error {
	for i := range items {
		m := &items[i]
		data, err := ParseInlineSlot(m.Slot)
		if err != nil {
			return err
		}
		if stands, err := c.d.stands(m, data); err != nil {
			return err
		} else if !stands {
			return fmt.Errorf("%w: nothing names %s any more", ErrNotFound, data)
		}
		if err := c.set(m.Slot, m.Position, KindRecord, m.Value); err != nil {
			return err
		}
		c.rewrites = true
	}
	return nil
}

// stands tells whether an inline shard is still wanted where it was.
func (d *disk) stands(m *Mend, data DataID) (bool, error) {
	kind, _, err := d.raw(m.Slot, m.Position)
	if err != nil || kind == KindRecord {
		return err == nil, err
	}
	if m.Named == nil || m.Position == 0 || m.Position > m.NamedAt {
		return false, nil
	}
	kind, value, err := d.raw(m.Named, m.NamedAt)
	if err != nil || kind != KindRecord {
		return false, err
	}
	r, err := DecodeRecord(value)
	return err == nil && r.Place.Kind == PlaceInline && r.Place.Data == data, err
}

// raw gives what stands at a key; no kind where there is nothing.
func (d *disk) raw(slot Slot, p Position) (Kind, []byte, error) {
	value, closer, err := d.db.Get(slot.key(p))
	if isAbsent(err) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	kind, content, err := splitValue(value)
	content = append([]byte(nil), content...)
	return kind, content, errors.Join(err, closer.Close())
}
