package driveset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/sherd-storage/sherd/layout"
)

// leaveOutUnhealable drops from the new set the drives that would have to be
// brought up to date first and can not be, because the log does not reach back
// to their stable mark, or that mark is not on it. If too few are left, the set
// opens for reading only, and the index of one of them at a time is copied, as
// long as enough others count for the set to be opened without it.
func (o *opening) leaveOutUnhealable(ctx context.Context) error {
	source := o.at(o.v.Source)
	out := quorum.Drives(0)
	for slot := range o.v.Behind.All() {
		ok, err := onLog(ctx, source.drive, o.at(slot).held.Stable)
		if err != nil {
			return o.failed(source.place, err)
		}
		if !ok {
			out |= quorum.One(slot)
		}
	}
	if out&o.v.Fresh != 0 {
		out |= o.v.Fresh // all of them, or none
	}
	o.v.Behind &^= out
	o.v.InSync &^= out
	o.v.Fresh &^= out
	n, q := o.v.InSync.Count(), quorum.Write(o.set.n)
	if n >= q {
		return nil
	}
	o.v.ReadOnly = true
	o.v.Why = fmt.Sprintf("%d of %d drives can be brought in step by the log, %d are needed to write", n, o.set.n, q)
	counted := out & o.v.Promised
	if counted != 0 && o.v.Promised.Count() > quorum.Read(o.set.n) {
		o.refillable = quorum.One(counted.First())
	}
	for slot := range (counted &^ o.refillable).All() {
		o.at(slot).place.refuse(errNeedsCopy, o.set.now())
	}
	return nil
}

// succession gives who has which slot from now on.
func (o *opening) succession() []layout.Name {
	names := slices.Clone(o.v.State.Names)
	for slot := range o.v.Fresh.All() {
		c := o.at(slot)
		if id := c.drive.Identity().Drive; names[slot].Drive != id {
			names[slot] = succeed(names[slot], id, c.place.claim.Filesystem())
		}
		c.name = names[slot]
	}
	return names
}

// succeed names a new drive for a slot.
func succeed(n layout.Name, id layout.DriveID, filesystem string) layout.Name {
	return layout.Name{Drive: id, Filesystem: filesystem, Past: append(slices.Clone(n.Past), n.Drive)}
}

// onLog: a mark stands on the log of a drive, which still has what follows it.
func onLog(ctx context.Context, d layout.Drive, m layout.Mark) (bool, error) {
	h, err := d.Holding(ctx)
	if err != nil {
		return false, err
	}
	if m == h.Last || m == h.Stable && h.First <= m.Position+1 {
		return true, nil
	}
	if m.Position+1 < h.First || m.Position > h.Last.Position || h.First == 0 {
		return false, nil // a log without entries begins and ends where an index copy did
	}
	e, err := d.Log(ctx, max(m.Position, h.First), 1)
	switch {
	case err != nil || len(e) == 0:
		return false, err
	case e[0].Position == m.Position:
		return e[0].Chain == m.Chain, nil
	}
	return e[0].Position == m.Position+1 && e[0].Chain == m.Chain.Next(e[0].Owner, e[0].Digest), nil
}

// settle brings every drive of the new set to the same log, durably, and makes
// the tenure that goes on from there.
func (o *opening) settle(ctx context.Context) (*tenure, error) {
	names := o.succession()
	t := newTenure(o.set, o.owner, names)
	// Drives that are behind come first: were one of them to hold the new
	// state before it holds the log, it could be believed by the next opening.
	if err := o.each(ctx, o.v.Behind, func(c *candidate) error { return o.bringBehind(ctx, c) }); err != nil {
		return nil, err
	}
	end, err := o.markAt(o.v.End)
	if err != nil {
		return nil, err
	}
	state := &layout.State{Owner: o.owner, Generation: 1, InSync: t.ids(o.v.InSync), Names: names}
	seal := &layout.Seal{Epoch: o.owner.Epoch, Position: end.Position}
	for _, some := range []quorum.Drives{o.v.InSync &^ o.v.Fresh, o.v.Fresh} {
		if err := o.each(ctx, some, func(c *candidate) error { return o.finish(ctx, c, state, seal) }); err != nil {
			return nil, err
		}
	}
	t.generation, t.force = 1, *state
	t.last, t.visible, t.base = end, end, end.Position
	t.inSync, t.need = o.v.InSync, o.v.InSync
	for slot := range t.inSync.All() {
		c := o.at(slot)
		t.members[slot] = newMember(slot, c.place, c.drive, c.promise, end.Position, min(c.held.Stable.Position, end.Position))
		t.members[slot].fed = true
	}
	return t, nil
}

// markAt gives the settled log's end with its chain.
func (o *opening) markAt(p layout.Position) (layout.Mark, error) {
	source := o.at(o.v.Source)
	if p == source.held.Last.Position {
		return source.held.Last, nil
	}
	if n := len(source.entries); n > 0 && p >= source.entries[0].Position && p <= source.entries[n-1].Position {
		return layout.Mark{Position: p, Chain: source.entries[p-source.entries[0].Position].Chain}, nil
	}
	if p == source.held.Stable.Position {
		return source.held.Stable, nil
	}
	if p == 0 {
		return layout.Mark{}, nil
	}
	return layout.Mark{}, fmt.Errorf("the chain at position %d is not known", p)
}

// bringBehind undoes what a drive has above its own stable mark and the set's
// log has not, and takes the log from there. Shard files that it lacks below the set's
// stable mark are made: it was away, but what was on its way when it left was laid out
// over it, too.
func (o *opening) bringBehind(ctx context.Context, c *candidate) error {
	source := o.at(o.v.Source)
	keep, err := agreement(ctx, source.place, source.drive, c, o.v.End)
	if err != nil {
		return err
	}
	if err := undoTo(ctx, c, keep); err != nil {
		return err
	}
	kept, err := readLog(ctx, c, c.held.Stable.Position+1, min(keep, o.v.Stable))
	if err != nil {
		return err
	}
	for i := range kept {
		if err := o.set.supply(ctx, c, &kept[i]); err != nil {
			return err
		}
	}
	return o.catchUp(ctx, c, keep, o.v.End)
}

// agreement gives the position at or below end up to which a drive's log is the
// source's: at least its stable mark, which is known to stand on that. A drive
// that was away may have a tail that is nobody else's, even with the same
// positions; the chains tell. What agrees is kept, because undoing an entry
// takes the shard files that it added, and other drives may have lost theirs.
func agreement(ctx context.Context, from *place, source layout.Drive, c *candidate, end layout.Position) (layout.Position, error) {
	h, err := source.Holding(ctx)
	if err != nil {
		return 0, &fault{from, err}
	}
	low := c.held.Stable.Position
	high := max(low, min(end, h.Last.Position, c.held.Last.Position))
	for low < high && err == nil {
		middle := low + (high-low+1)/2
		theirs, failed := chainAt(ctx, source, middle)
		if failed != nil {
			return 0, &fault{from, failed}
		}
		var ours layout.Chain
		if ours, err = chainAt(ctx, c.drive, middle); ours == theirs {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, err
}

func chainAt(ctx context.Context, d layout.Drive, p layout.Position) (layout.Chain, error) {
	e, err := d.Log(ctx, p, 1)
	if err != nil {
		return layout.Chain{}, err
	}
	if len(e) == 0 || e[0].Position != p {
		return layout.Chain{}, fmt.Errorf("%w: the log has no entry %d", layout.ErrDamaged, p)
	}
	return e[0].Chain, nil
}

// finish brings a drive to the settled log. Its last batch carries the state
// and the seal: a drive that has them has everything.
func (o *opening) finish(ctx context.Context, c *candidate, state *layout.State, seal *layout.Seal) error {
	if !o.v.Behind.Has(c.slot) {
		keep := min(o.effective(c), o.v.End)
		if err := undoTo(ctx, c, keep); err != nil {
			return err
		}
		if err := o.catchUp(ctx, c, keep, o.v.End); err != nil {
			return err
		}
	}
	return c.drive.Apply(ctx, c.promise, layout.Batch{State: state, Seal: seal, Reserve: true})
}

// effective gives how far a drive's log agrees with the source's.
func (o *opening) effective(c *candidate) layout.Position {
	source := o.at(o.v.Source)
	end := c.held.Last.Position
	if len(c.entries) == 0 || len(source.entries) == 0 {
		return min(end, source.held.Last.Position)
	}
	for p := max(c.entries[0].Position, source.entries[0].Position); p <= min(end, source.held.Last.Position); p++ {
		if c.entries[p-c.entries[0].Position].Chain != source.entries[p-source.entries[0].Position].Chain {
			return p - 1
		}
	}
	return min(end, source.held.Last.Position)
}

// undoTo undoes a drive's log from the top down to a position.
func undoTo(ctx context.Context, c *candidate, to layout.Position) error {
	if c.held.Last.Position <= to {
		return nil
	}
	return c.drive.Apply(ctx, c.promise, layout.Batch{Undo: &layout.Undo{From: c.held.Last, To: to}, Reserve: true})
}

// catchUp gives a drive the entries of (from, to] from the source's log.
func (o *opening) catchUp(ctx context.Context, c *candidate, from, to layout.Position) error {
	source := o.at(o.v.Source)
	for from < to {
		entries, err := o.set.fetch(ctx, source.place, source.drive, c.name, from+1, to)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Position > o.v.Stable {
				break // it was given its shard files before
			}
			if err := o.set.supply(ctx, c, e); err != nil {
				return err
			}
		}
		if err := c.drive.Apply(ctx, c.promise, layout.Batch{Entries: entries, Reserve: true}); err != nil {
			return err
		}
		from = entries[len(entries)-1].Position
		c.step()
	}
	return nil
}

// restoreShards rebuilds the shard files that drives of the new set lack of
// entries that are kept and are not stable yet. Where that can not be done the
// set opens for reading only.
func (o *opening) restoreShards(ctx context.Context) error {
	source := o.at(o.v.Source)
	for i := range source.entries {
		e := &source.entries[i]
		if e.Position <= o.v.Stable || e.Position > o.v.End {
			continue
		}
		for _, a := range e.Adds {
			if a.Inline || o.holders(a.Data).Count() < a.DataShards() {
				continue // an inline shard comes with its entry; an aborted write needs none
			}
			var lost atomic.Bool
			lacking := o.v.InSync &^ o.holders(a.Data)
			if err := o.each(ctx, lacking, func(c *candidate) error {
				err := o.set.restore(ctx, c, e, a)
				if errors.Is(err, stripe.ErrTooFewShards) {
					lost.Store(true)
					return nil
				}
				return err
			}); err != nil {
				return err
			}
			if lost.Load() {
				o.v.ReadOnly = true
				o.v.Why = fmt.Sprintf("the bytes of entry %d can not be put together", e.Position)
				return nil
			}
		}
	}
	return nil
}

// openReadOnly seals the log on every drive that counts and serves what is
// stable.
func (o *opening) openReadOnly(ctx context.Context) (*tenure, error) {
	seal := &layout.Seal{Epoch: o.owner.Epoch, Position: o.v.Top}
	if err := o.each(ctx, o.v.Promised, func(c *candidate) error {
		return c.drive.Apply(ctx, c.promise, layout.Batch{Seal: seal, Reserve: true})
	}); err != nil {
		return nil, err
	}
	return o.readOnly()
}

// openUnwritten serves what is stable without a promise or a seal. That is safe
// while every drive of the in-sync set is locked: without all of them nobody
// else can have the set move on. What is not stable might be lost yet, with a
// file system's memory: it is not shown, however many drives have it.
func (o *opening) openUnwritten() (*tenure, error) {
	there := map[layout.DriveID]bool{}
	for _, p := range o.set.places {
		p.mu.Lock()
		if p.claim != nil {
			if id, ok := p.claim.Identity(); ok {
				there[id.Drive] = true
			}
		}
		p.mu.Unlock()
	}
	var absent []string
	for _, id := range o.v.State.InSync {
		if !there[id] {
			absent = append(absent, id.String())
		}
	}
	if len(absent) > 0 {
		return nil, fmt.Errorf("%w: to open without writing every drive that is in-sync must be there, and %s are not; %w",
			ErrTooFew, strings.Join(absent, ", "), o.set.missing())
	}
	o.v.Why = "it was opened for reading only"
	return o.readOnly()
}

// readOnly makes a tenure that serves what is stable. Keys that the tail
// touches are blocked: neither the tail's entry nor what was before it may be
// shown.
func (o *opening) readOnly() (*tenure, error) {
	t := newTenure(o.set, o.owner, slices.Clone(o.v.State.Names))
	source := o.at(o.v.Source)
	var err error
	if t.visible, err = o.markAt(o.v.Stable); err != nil {
		return nil, err
	}
	t.last = t.visible
	t.base = t.visible.Position
	t.inSync = o.v.Agreed
	for i := range source.entries {
		if e := &source.entries[i]; e.Position > o.v.Stable && e.Position <= o.v.Top {
			t.block(e.Writes, nil)
		}
	}
	for slot := range t.inSync.All() {
		c := o.at(slot)
		t.members[slot] = newMember(slot, c.place, c.drive, c.promise, t.visible.Position, t.visible.Position)
	}
	t.stuck = fmt.Errorf("%w: %s", ErrReadOnly, o.v.Why)
	t.force, t.refillable = o.v.State, o.refillable
	t.asked = o.asked()
	return t, nil
}

// fetch reads entries from position from on, as many as make a batch and none
// above to, with everything that the target drive has to write: tombstones and
// voids come from the entry itself, records from their keys on the source,
// inline shards are the target's own, put together from the others'. Its errors
// are the source's.
func (s *Set) fetch(ctx context.Context, at *place, source layout.Drive, target layout.Name, from, to layout.Position) ([]*layout.Entry, error) {
	heads, err := source.Log(ctx, from, int(min(fetchEntries, to-from+1)))
	if err != nil {
		return nil, &fault{at, err}
	}
	if len(heads) == 0 || heads[0].Position != from {
		return nil, fmt.Errorf("%w: the log has no entry %d", errNeedsCopy, from)
	}
	out := make([]*layout.Entry, 0, len(heads))
	var bytes int64
	for len(out) < len(heads) && bytes < maxBatchBytes {
		part := heads[len(out):min(len(out)+fetchPart, len(heads))]
		if err := s.fillAll(ctx, source, target, part); err != nil {
			return nil, &fault{at, err}
		}
		for i := range part {
			out = append(out, &part[i])
			bytes += entryBytes(&part[i])
		}
	}
	return out, nil
}

// What a drive that learns is given at a time: a batch is whole parts, whose entries
// are put together side by side.
const (
	fetchEntries = 1024
	fetchPart    = 64
	fetchWorkers = 4
)

func (s *Set) fillAll(ctx context.Context, source layout.Drive, target layout.Name, part []layout.Entry) error {
	g, ctx := errgroup.WithContext(ctx)
	for w := range min(fetchWorkers, len(part)) {
		g.Go(func() error {
			r, err := source.Read(ctx)
			if err != nil {
				return err
			}
			defer r.Close()
			for i := w; i < len(part); i += fetchWorkers {
				if err := s.fill(ctx, r, target, &part[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// fill puts the contents into an entry read from a log. A record that is gone
// from the source was shadowed by a later entry, which follows.
func (s *Set) fill(ctx context.Context, r layout.Reader, target layout.Name, e *layout.Entry) error {
	for i := range e.Writes {
		w := &e.Writes[i]
		if w.Kind != layout.KindRecord || w.Slot.Type() == 'i' {
			continue
		}
		kind, value, ok, err := r.Raw(w.Slot, e.Position)
		if err != nil {
			return err
		}
		if !ok {
			w.Gone = true
			continue
		}
		if kind != layout.KindRecord {
			return fmt.Errorf("%w: entry %d says that it wrote a record where there is none", layout.ErrDamaged, e.Position)
		}
		w.Value = value
	}
	for i := range e.Adds {
		a := &e.Adds[i]
		shard := shardOf(a.Drives, target)
		if !a.Inline || shard < 0 {
			continue
		}
		value, err := s.rebuildInline(ctx, *a, shard, e.Position)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		a.Shards = make([][]byte, len(a.Drives))
		a.Shards[shard] = value // nil when it is gone: known damage, or shadowed
	}
	return nil
}
