package heal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sherd-storage/sherd/layout"
)

// Check reads everything that the set holds, on every drive that is in reach,
// and reports what is not as it should be: logs or records that differ between
// in-sync drives, records that can not be decoded, shards that are missing or
// damaged. It changes nothing. An error means that it could not go on; what it
// found is not an error.
func (h *Healer) Check(ctx context.Context, report func(Finding)) error {
	w := &walk{set: h.set, report: report}
	defer w.close()
	return w.all(ctx, nil)
}

// order is the order in which a walk goes through the types of records.
func order() []byte {
	return []byte{
		layout.TypeDocument, layout.TypeOwner, layout.TypeSizes, layout.TypeInline, layout.TypeName,
		layout.TypeVersion, layout.TypePart, layout.TypeUpload, layout.TypeAlias,
	}
}

// walk goes through everything once. Check and scrub share it.
type walk struct {
	set    Set
	report func(Finding)
	// mend mends a shard, if that is wanted; its error is told by itself.
	mend func(ctx context.Context, d Damage) error
	// step is called after each record, with the bytes that were read for it.
	step func(ctx context.Context, at layout.Slot, n int64) error
	// count is told of every place whose shards were looked at.
	count func(at layout.Slot, place layout.Place)

	view   View
	upload layout.UploadID // that was looked at last
	owned  bool            // upload is
}

func (w *walk) close() {
	if w.view != nil {
		w.view.Close()
	}
}

// look begins to look at the set as it is now. What is seen may be removed once
// the view is too old, so a walk looks again before.
func (w *walk) look(ctx context.Context) error {
	v, err := w.set.Look(ctx)
	if err != nil {
		return err
	}
	w.close()
	w.view, w.upload = v, layout.UploadID{}
	return nil
}

// all goes through everything behind a slot; nil: from the beginning, with the
// logs.
func (w *walk) all(ctx context.Context, behind layout.Slot) error {
	if err := w.look(ctx); err != nil {
		return err
	}
	begun := len(behind) == 0
	if begun {
		if err := errors.Join(w.logs(ctx), w.indexes(ctx)); err != nil {
			return err
		}
	}
	for _, t := range order() {
		if !begun && t != behind.Type() {
			continue
		}
		last := behind
		if begun {
			last = nil
		}
		begun = true
		if err := w.recordsOf(ctx, t, last); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) found(kind FindingKind, d *Drive, text string, args ...any) {
	w.report(Finding{Kind: kind, Drive: d.Path, Text: fmt.Sprintf(text, args...)})
}

// logs compares the drives' logs with each other's and each with itself: every
// chain follows from the one before.
func (w *walk) logs(ctx context.Context) error {
	at := w.view.At()
	for _, d := range w.view.Drives() {
		h, err := d.Drive.Holding(ctx)
		if err != nil {
			return err
		}
		if at.Position == 0 {
			continue
		}
		if err := w.log(ctx, &d, max(1, h.First), at); err != nil {
			return err
		}
	}
	return nil
}

// indexes reads the drives' indexes as they are on the disk: what is read through
// them may have been in memory.
func (w *walk) indexes(ctx context.Context) error {
	for _, d := range w.view.Drives() {
		inspector, ok := d.Drive.(layout.Inspector)
		if !ok {
			continue
		}
		var bad error
		if err := inspector.Inspect(ctx, func(err error) {
			w.found(FindingDrive, &d, "%v", err)
			if errors.Is(err, layout.ErrCorruptIndex) {
				bad = err
			}
		}); err != nil {
			return err
		}
		if bad != nil && w.mend != nil {
			w.set.Suspect(d.Slot, bad)
		}
	}
	return nil
}

// logStep is how many entries of a log are read at a time.
const logStep = 256

// log checks one drive's log. Removal goes on meanwhile, and may take from its
// beginning what is about to be read.
func (w *walk) log(ctx context.Context, d *Drive, from layout.Position, at layout.Mark) error {
	var before layout.Mark
	for from <= at.Position {
		entries, err := d.Drive.Log(ctx, from, logStep)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		for i := range entries {
			e := &entries[i]
			follows := before.Position == 0 || e.Chain == before.Chain.Next(e.Owner, e.Digest)
			if e.Position != from {
				first, err := d.Drive.Log(ctx, 1, 1)
				if err != nil {
					return err
				}
				follows = len(first) > 0 && first[0].Position >= e.Position
			}
			if !follows {
				w.found(FindingLog, d, "the chain breaks at position %d", e.Position)
			}
			if e.Position == at.Position && e.Chain != at.Chain {
				w.found(FindingLog, d, "the log differs from the set's at position %d", e.Position)
			}
			before, from = layout.Mark{Position: e.Position, Chain: e.Chain}, e.Position+1
		}
	}
	if from <= at.Position {
		h, err := d.Drive.Holding(ctx)
		if err != nil {
			return err
		}
		// Behind an index that was copied there is no log before its end.
		if h.First > 0 || h.Stable.Position < at.Position {
			w.found(FindingLog, d, "the log ends before position %d", from)
		}
	}
	return nil
}

// walker is one drive's records in their order.
type walker struct {
	d    Drive
	cur  layout.Cursor
	more bool
}

// recordsOf walks all drives' records of a type side by side. What the drives
// hold must be the same, but for inline shards, which are each drive's own.
func (w *walk) recordsOf(ctx context.Context, t byte, last layout.Slot) error {
	from, to := layout.TypeRange(t)
	for {
		if last != nil {
			from = last
		}
		more, err := w.lap(ctx, from, to, &last)
		if err != nil || !more {
			return err
		}
		if err := w.look(ctx); err != nil {
			return err
		}
	}
}

// lap goes through the records behind the last one until the view ages, and says
// whether there are more.
func (w *walk) lap(ctx context.Context, from, to layout.Slot, last *layout.Slot) (more bool, err error) {
	view := w.view
	var ws []*walker
	defer func() {
		for _, x := range ws {
			_ = x.cur.Close()
		}
	}()
	for _, d := range view.Drives() {
		r, err := d.Drive.Read(ctx)
		if err != nil {
			return false, err
		}
		defer r.Close()
		cur, err := r.Cursor(from, to, view.At().Position)
		if err != nil {
			return false, err
		}
		ws = append(ws, &walker{d: d, cur: cur, more: cur.Next()})
	}
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		least := smallest(ws)
		if least == nil {
			break
		}
		if bytes.Equal(least, *last) {
			pass(ws, *last)
			continue
		}
		if w.view != view || view.Aging() {
			return true, nil
		}
		*last = bytes.Clone(least)
		if err := w.compare(ctx, ws, *last); err != nil {
			return false, err
		}
	}
	for _, x := range ws {
		if err := x.cur.Err(); err != nil {
			w.found(FindingDrive, &x.d, "reading its index: %v", err)
			if w.mend != nil {
				w.set.Suspect(x.d.Slot, err)
			}
		}
	}
	return false, nil
}

// pass moves the walkers that stand at a slot behind it.
func pass(ws []*walker, slot layout.Slot) {
	for _, w := range ws {
		if w.more && bytes.Equal(w.cur.Item().Slot, slot) {
			w.more = w.cur.Next()
		}
	}
}

func smallest(ws []*walker) (least layout.Slot) {
	for _, w := range ws {
		if w.more && (least == nil || bytes.Compare(w.cur.Item().Slot, least) < 0) {
			least = w.cur.Item().Slot
		}
	}
	return least
}

// compare looks at one slot on every drive and moves them past it. A drive whose
// index could not be read further is told of at the end, and not of what it did
// not get to.
func (w *walk) compare(ctx context.Context, ws []*walker, slot layout.Slot) error {
	inline := slot.Type() == layout.TypeInline
	var first *layout.Item
	var without, other []*walker
	read := int64(0)
	for _, x := range ws {
		has := x.more && bytes.Equal(x.cur.Item().Slot, slot)
		switch {
		case !has && !inline && x.cur.Err() == nil:
			without = append(without, x)
		case has && first == nil:
			item := x.cur.Item()
			first = &layout.Item{Slot: slot, Position: item.Position, Value: bytes.Clone(item.Value)}
		case has && !inline && (x.cur.Item().Position != first.Position || !bytes.Equal(x.cur.Item().Value, first.Value)):
			other = append(other, x)
		}
		if has {
			read += int64(len(x.cur.Item().Value) + len(slot))
			x.more = x.cur.Next()
		}
	}
	left, err := w.leftOver(ctx, slot, len(without) > 0)
	if err != nil {
		return err
	}
	if !left {
		for _, x := range without {
			w.found(FindingRecord, &x.d, "has no record %x", []byte(slot))
		}
		for _, x := range other {
			w.found(FindingRecord, &x.d, "the record %x differs from another drive's", []byte(slot))
		}
		if t := slot.Type(); t == layout.TypeVersion || t == layout.TypePart {
			n, err := w.shards(ctx, *first)
			if err != nil {
				return err
			}
			read += n
		}
	}
	if w.step == nil {
		return nil
	}
	return w.step(ctx, slot, read)
}

// leftOver tells whether a record is of an upload that nobody owns any more.
// Each drive removes those by itself, in steps, so that for a while some have
// them and some have not, and their bytes likewise. Who owns a shard file is
// asked only where drives differ.
func (w *walk) leftOver(ctx context.Context, slot layout.Slot, differs bool) (bool, error) {
	var upload layout.UploadID
	switch slot.Type() {
	case layout.TypePart:
		upload, _, _ = layout.ParsePartSlot(slot)
	case layout.TypeSizes:
		upload, _ = layout.ParseSizesSlot(slot)
	case layout.TypeOwner:
		if _, owner, err := layout.ParseDataOwnerSlot(slot); err == nil && differs {
			upload = owner.Upload
		}
	}
	if upload.IsZero() {
		return false, nil
	}
	if upload != w.upload {
		lo, hi := layout.UploadOwnerRange(upload)
		owners, err := w.view.Cursor(ctx, lo, hi)
		if err != nil {
			return false, err
		}
		owned := owners.Next()
		if err := errors.Join(owners.Err(), owners.Close()); err != nil {
			return false, err
		}
		w.upload, w.owned = upload, owned
	}
	return !w.owned, nil
}

// shards verifies every shard of a record's bytes, on all drives at once, and
// mends what it may. It says how many bytes that were.
func (w *walk) shards(ctx context.Context, item layout.Item) (int64, error) {
	rec, err := layout.DecodeRecord(item.Value)
	f := Finding{Kind: FindingRecord}
	f.Bucket, f.Key, _, _ = layout.ParseVersionSlot(item.Slot)
	if err != nil {
		f.Text, f.Lost = err.Error(), true
		w.report(f)
		return 0, nil
	}
	place := rec.Place
	if place.Kind != layout.PlaceInline && place.Kind != layout.PlaceFile {
		return 0, nil
	}
	errs := w.verify(ctx, place)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	bad := uint32(0)
	for i, err := range errs {
		if err != nil {
			bad |= 1 << i
		}
	}
	if bad != 0 && w.view.Aging() {
		// Reading took so long that what was read may have been removed.
		if err := w.look(ctx); err != nil {
			return 0, err
		}
		if now, ok, err := w.view.Get(ctx, item.Slot); err != nil || !ok || !bytes.Equal(now.Value, item.Value) {
			return 0, err
		}
	}
	w.treat(ctx, item, place, errs)
	if w.count != nil {
		w.count(item.Slot, place)
	}
	return place.Size / int64(max(1, len(place.Drives)-int(place.Parity))) * int64(len(place.Drives)), ctx.Err()
}

// verify reads all shards of a place.
func (w *walk) verify(ctx context.Context, place layout.Place) []error {
	errs := make([]error, len(place.Drives))
	if place.Kind == layout.PlaceInline {
		for i := range errs {
			errs[i] = w.set.Verify(ctx, place, i, false)
		}
		return errs
	}
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = w.set.Verify(ctx, place, i, false) })
	}
	wg.Wait()
	return errs
}

// treat mends bad shards, or reports them. Those of drives that are out of reach
// are no matter of a walk that mends.
func (w *walk) treat(ctx context.Context, item layout.Item, place layout.Place, errs []error) {
	var out []Finding
	for i, err := range errs {
		switch {
		case err == nil || ctx.Err() != nil:
		case w.mend == nil:
			f := Finding{Kind: FindingShard, Data: place.Data, Text: fmt.Sprintf("shard %d: %v", i, err), Drive: w.set.Holder(place.Drives[i]).Path}
			f.Bucket, f.Key, _, _ = layout.ParseVersionSlot(item.Slot)
			out = append(out, f)
		case errors.Is(err, layout.ErrCorruptIndex):
			w.set.Suspect(w.set.Holder(place.Drives[i]).Slot, err) // a matter of the whole drive
		case !errors.Is(err, ErrAway):
			_ = w.mend(ctx, Damage{Place: place, Shard: i, Slot: item.Slot, At: item.Position, Err: err}) // told by itself
		}
	}
	for _, f := range out {
		f.Lost = len(out) > int(place.Parity)
		w.report(f)
	}
}
