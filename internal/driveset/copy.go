package driveset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/layout"
)

// An index copy brings everything that is live to a drive that is empty, or that
// the log no longer reaches. Read it as a proof.
//
// Let P be what is visible when the copy begins. What entries above P write comes
// to the drive by the log, always in order and never above what is visible. What
// is live at P comes in the order of the index, from a view. A view lasts a minute
// at most, so it goes on, behind the last slot, from a newer one: what is live at
// P and no longer at the newer position was shadowed by an entry between them,
// which comes by the log; and no copy ends before the log has come as far as the
// newest view that it read from. What is newer than P there comes by the log too,
// but for an inline shard that is older than the record that names it now: it was
// added by the entry that made it, and is copied with whichever record names it.
//
// A batch of items carries the slot of the last one, where a copy goes on that was
// broken off. R, up to which the log came and was visible, rises with each batch
// of entries; a crash leaves P, R and the slot, and entries above R, which are
// undone. If the log no longer reaches back to R the copy begins again.
//
// At the end the drive has all that is live at R or later. It has not what was live
// before and shadowed meanwhile: no view of an older position reads from it.
type copying struct {
	t    *tenure
	c    *candidate
	job  *Job
	kind int             // of copiedTypes, where it is
	last layout.Slot     // that was read
	base layout.Position // P
	upto layout.Position // of the newest view
	view *View
	cur  layout.Cursor

	uploads map[layout.UploadID]bool // whether somebody owns them
	reached layout.Position
	due     time.Time // before which no more is written, by the rate
	probed  time.Time
}

// copiedTypes are the slots that are copied, in their order. Inline shards come
// with the records that name them.
func copiedTypes() []byte {
	return []byte{
		layout.TypeDocument, layout.TypeOwner, layout.TypeSizes, layout.TypeName,
		layout.TypeVersion, layout.TypePart, layout.TypeUpload, layout.TypeAlias,
	}
}

const (
	copyItems    = 2048
	copyWorkers  = 4
	minCopyBytes = 4 << 10 // of a batch, at a low rate
)

// copyBatch is what one synced batch of a copy writes.
type copyBatch struct {
	items  []layout.Item
	cursor layout.Slot
	bytes  int64
}

// copyIndex fills the index of a drive that has promised; resume goes on with what
// was begun. It returns when all is there up to R, which is the drive's V then.
func (t *tenure) copyIndex(ctx context.Context, c *candidate, resume bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	s := t.set
	y := &copying{t: t, c: c, uploads: map[layout.UploadID]bool{}, job: s.Begin(WorkCopy, c.place.Path)}
	defer y.job.End()
	defer y.close()
	if err := y.look(ctx); err != nil {
		return err
	}
	if verdict.Counted(c.held.State, c.drive.Identity().Drive) {
		if err := s.healer.Copied(ctx, c.drive.Identity().Drive); err != nil {
			return err
		}
	}
	if err := y.begin(ctx, resume); err != nil {
		return err
	}
	s.Notify(Notice{Kind: NoticeCopying, Drive: c.place.Path, Slot: c.slot, Text: "the index is being copied to the drive"})
	batches := make(chan copyBatch, 1)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		return y.read(gctx, batches)
	})
	g.Go(func() error { return y.write(gctx, batches) })
	if err := g.Wait(); err != nil {
		return err
	}
	// The last batch, which may be empty, is sent when the last view was made, and what
	// is visible is learned after it, so that this is so already. It is the line that
	// the proof rests on: should batches and the log ever come in another order, it holds.
	for y.reached < y.upto {
		if err := y.learn(ctx); err != nil {
			return err
		}
	}
	if err := c.drive.Apply(ctx, c.promise, layout.Batch{Copy: &layout.Copy{End: true}, Reserve: true}); err != nil {
		return err
	}
	c.place.copied(y.reached)
	s.Notify(Notice{Kind: NoticeCopied, Drive: c.place.Path, Slot: c.slot, Text: "the index was copied to the drive"})
	var err error
	c.held, err = c.drive.Holding(ctx)
	return err
}

// begin writes the rebuild mark, or goes on with the one that is there.
func (y *copying) begin(ctx context.Context, resume bool) error {
	c := y.c
	if !resume {
		begin := y.view.at
		y.base, y.reached = begin.Position, begin.Position
		c.place.copying(begin.Position)
		return c.drive.Apply(ctx, c.promise, layout.Batch{Copy: &layout.Copy{Begin: &begin}, Reserve: true})
	}
	r := c.held.Rebuild
	y.base, y.reached = r.Base.Position, r.Reached
	c.place.copying(r.Reached)
	if len(r.Cursor) > 0 {
		y.last = slices.Clone(layout.Slot(r.Cursor))
		y.kind = slices.Index(copiedTypes(), y.last.Type())
		if y.kind < 0 {
			return fmt.Errorf("%w: a copy that stands at %x", layout.ErrBadRecord, r.Cursor)
		}
	}
	if u, err := c.drive.Probe(ctx); err == nil {
		y.job.Resume(0, u.IndexSize)
	}
	return undoTo(ctx, c, r.Reached)
}

// look begins to read at what is visible now, behind the last slot.
func (y *copying) look(ctx context.Context) error {
	y.close()
	v, err := y.t.view(ctx)
	if err != nil {
		return err
	}
	y.view, y.upto = v, max(y.upto, v.at.Position)
	v.member.place.mu.Lock()
	size := v.member.place.usage.IndexSize
	v.member.place.mu.Unlock()
	y.job.Expect(0, size)
	return nil
}

func (y *copying) close() {
	if y.cur != nil {
		_ = y.cur.Close()
		y.cur = nil
	}
	if y.view != nil {
		y.view.Close()
		y.view = nil
	}
}

// read collects batches until everything was read.
func (y *copying) read(ctx context.Context, out chan<- copyBatch) error {
	for more := true; more; {
		var b copyBatch
		var err error
		if b, more, err = y.collect(ctx); err != nil {
			return err
		}
		select {
		case out <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (y *copying) collect(ctx context.Context) (b copyBatch, more bool, err error) {
	var inline []inlineCopy
	limit := int64(maxBatchBytes)
	if rate := y.t.set.opt.CopyBytes; rate > 0 {
		limit = min(limit, max(rate/4, minCopyBytes))
	}
	for len(b.items) < copyItems && b.bytes < limit {
		if more, err = y.next(ctx); err != nil || !more {
			break
		}
		item := y.cur.Item()
		b.cursor = y.last
		if dead, err := y.dead(ctx, item.Slot); err != nil {
			return b, false, err
		} else if dead {
			continue
		}
		item = layout.Item{Slot: y.last, Position: item.Position, Value: bytes.Clone(item.Value)}
		if item.Position <= y.base {
			b.items = append(b.items, item)
			b.bytes += int64(len(item.Slot) + len(item.Value) + 32)
		}
		if in, ok := y.inline(item); ok {
			k, _ := in.place.Geometry()
			inline = append(inline, in)
			b.bytes += in.place.Size/int64(k) + 96
		}
	}
	if err != nil {
		return b, false, err
	}
	return b, more, y.rebuild(ctx, &b, inline)
}

// next moves to the next record, in a newer view if this one ages. That it would be
// told when it has lost its hold is enough for the copy; but until then it holds up
// what is removed from the other drives.
func (y *copying) next(ctx context.Context) (bool, error) {
	types := copiedTypes()
	for y.kind < len(types) {
		if y.view.aging() {
			if err := y.look(ctx); err != nil {
				return false, err
			}
		}
		if y.cur == nil {
			lo, hi := layout.TypeRange(types[y.kind])
			if y.last.Type() == types[y.kind] {
				lo = y.last
			}
			c := &cursor{ctx: ctx, v: y.view, from: lo, to: hi}
			if err := c.open(lo); err != nil {
				return false, err
			}
			y.cur = c
		}
		for y.cur.Next() {
			if slot := y.cur.Item().Slot; slot.Compare(y.last) != 0 {
				y.last = bytes.Clone(slot)
				return true, nil
			}
		}
		switch err := y.cur.Err(); {
		case errors.Is(err, ErrExpired):
			if err := y.look(ctx); err != nil {
				return false, err
			}
			continue
		case err != nil:
			return false, err
		}
		_ = y.cur.Close()
		y.cur = nil
		y.kind++
	}
	return false, nil
}

// dead: the record is of an upload that nobody owns any more. Those are being
// removed from the other drives, in steps.
func (y *copying) dead(ctx context.Context, slot layout.Slot) (bool, error) {
	u := uploadOf(slot)
	if u.IsZero() {
		return false, nil
	}
	if owned, known := y.uploads[u]; known {
		return !owned, nil
	}
	owned, err := y.view.owned(ctx, u)
	if err == nil && len(y.uploads) > 4096 {
		clear(y.uploads)
	}
	if err == nil {
		y.uploads[u] = owned
	}
	return !owned, err
}

func uploadOf(slot layout.Slot) (u layout.UploadID) {
	switch slot.Type() {
	case layout.TypePart:
		u, _, _ = layout.ParsePartSlot(slot)
	case layout.TypeSizes:
		u, _ = layout.ParseSizesSlot(slot)
	case layout.TypeOwner:
		if _, owner, err := layout.ParseDataOwnerSlot(slot); err == nil {
			u = owner.Upload
		}
	}
	return u
}

// inlineCopy is the drive's own shard of inline data that a record names.
type inlineCopy struct {
	record layout.Item
	place  layout.Place
	shard  int
	value  []byte
	at     layout.Position // of the entry that wrote it
	gone   layout.Position // not 0: the record was shadowed at or below this position
}

func (y *copying) inline(item layout.Item) (inlineCopy, bool) {
	if t := item.Slot.Type(); t != layout.TypeVersion && t != layout.TypePart {
		return inlineCopy{}, false
	}
	rec, err := layout.DecodeRecord(item.Value)
	if err != nil || rec.Place.Kind != layout.PlaceInline {
		return inlineCopy{}, false // what can not be decoded is copied as it is
	}
	shard := shardOf(rec.Place.Drives, y.c.name)
	return inlineCopy{record: item, place: rec.Place, shard: shard}, shard >= 0
}

// rebuild puts the drive's own inline shards together and adds them to the batch.
func (y *copying) rebuild(ctx context.Context, b *copyBatch, inline []inlineCopy) error {
	g, ctx := errgroup.WithContext(ctx)
	for w := range min(copyWorkers, len(inline)) {
		g.Go(func() error {
			for i := w; i < len(inline); i += copyWorkers {
				if err := y.rebuildOne(ctx, &inline[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range inline {
		switch in := &inline[i]; {
		case in.gone > 0:
			y.upto = max(y.upto, in.gone)
			b.items = slices.DeleteFunc(b.items, func(it layout.Item) bool { return it.Slot.Compare(in.record.Slot) == 0 })
		case in.value != nil && in.at <= y.base:
			b.items = append(b.items, layout.Item{Slot: layout.InlineSlot(in.place.Data), Position: in.at, Value: in.value})
		}
	}
	return nil
}

// rebuildOne rebuilds one shard. Where that can not be done, the record was either
// shadowed while the host stood still, and its data removed; or it is damage, which
// is told, and the record is copied without.
func (y *copying) rebuildOne(ctx context.Context, in *inlineCopy) error {
	s, item := y.t.set, in.record
	data, at, err := s.inlineAt(ctx, in.place, in.shard, y.view.at.Position)
	if err == nil {
		k, m := in.place.Geometry()
		in.at = at
		in.value, err = s.engine.EncodeInlineShard(data, erasure.Geometry{Data: k, Parity: m}, in.place.Data.Bytes(), in.shard)
		return err
	}
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	v, failed := y.t.view(ctx)
	if failed != nil {
		return failed
	}
	defer v.Close()
	now, ok, failed := v.reader.Get(item.Slot, v.at.Position)
	if failed != nil {
		return failed
	}
	if !ok || now.Position != item.Position {
		in.gone = v.at.Position
		return nil
	}
	f := Finding{Kind: FindingRecord, Drive: y.c.place.Path, Data: in.place.Data, Text: "its bytes can not be put together: " + err.Error(), Lost: true}
	f.Bucket, f.Key, _, _ = layout.ParseVersionSlot(item.Slot)
	s.damage.add(f)
	return nil
}

// write applies batches, and between them what the log brings.
func (y *copying) write(ctx context.Context, in <-chan copyBatch) error {
	c := y.c
	for b := range in {
		step := &layout.Copy{Items: b.items, Cursor: b.cursor}
		if b.cursor != nil {
			if err := c.drive.Apply(ctx, c.promise, layout.Batch{Copy: step}); err != nil {
				return err
			}
		}
		y.job.Done(uint64(len(b.items)), uint64(b.bytes))
		if err := y.learn(ctx); err != nil {
			return err
		}
		if err := y.pace(ctx, b.bytes); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pace keeps to the rate, and asks the drive whether it is still there: files that
// are open go on taking what is written when their directory is gone.
func (y *copying) pace(ctx context.Context, bytes int64) error {
	now := time.Now()
	if now.Sub(y.probed) >= probeInterval {
		u, err := y.c.drive.Probe(ctx)
		if err != nil {
			return err
		}
		y.probed = now
		y.c.place.mu.Lock()
		y.c.place.usage = u
		y.c.place.mu.Unlock()
	}
	rate := y.t.set.opt.CopyBytes
	if rate <= 0 {
		return nil
	}
	if y.due.Before(now) {
		y.due = now
	}
	y.due = y.due.Add(time.Duration(float64(bytes) / float64(rate) * float64(time.Second)))
	timer := time.NewTimer(y.due.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// learn brings to the drive what the log has and is visible. R rises with it.
func (y *copying) learn(ctx context.Context) error {
	t, c := y.t, y.c
	t.mu.Lock()
	visible := t.visible.Position
	t.mu.Unlock()
	for y.reached < visible {
		source, err := t.anySource()
		if err != nil {
			return err
		}
		entries, err := t.set.fetch(ctx, source.place, source.drive, c.name, y.reached+1, visible)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := t.set.supply(ctx, c, e); err != nil {
				return err
			}
		}
		last := entries[len(entries)-1]
		if err := c.drive.Apply(ctx, c.promise, layout.Batch{Entries: entries, Stable: &layout.Mark{Position: last.Position, Chain: last.Chain}, Reserve: true}); err != nil {
			return err
		}
		y.reached = last.Position
		c.place.copying(y.reached)
	}
	return nil
}

// copying notes that an index is being copied to the drive of a place, for which
// the log is kept from a position on; copied, that it was.
func (p *place) copying(from layout.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stable, p.rebuild = from, true
}

func (p *place) copied(stable layout.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stable, p.rebuild = stable, false
}
