package driveset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// Mode is what a set can do now.
type Mode uint8

// The modes.
const (
	Closed   Mode = iota // answers nothing
	ReadOnly             // too few drives are in-sync to write
	Serving              // reads and writes
)

// String is the mode in lower case.
func (m Mode) String() string { return [...]string{"closed", "read-only", "serving"}[m] }

// Health is what a set knows of itself without asking the drives.
type Health struct {
	Mode     Mode
	Reason   string // of ReadOnly
	Degraded bool   // fewer drives than N are in-sync
	Needed   int    // in-sync drives that writing needs, Q
	Drives   []DriveHealth
	Position layout.Position // newest acknowledged entry
	Damage   []Finding       // newest last, at most damageLimit
}

// DriveHealth is what the set knows of a drive.
type DriveHealth struct {
	Path   string
	ID     layout.DriveID
	Slot   int // −1 while it is not known
	Status DriveStatus
	Err    error
	Usage  layout.Usage
	Since  time.Time // of Status
}

// Health tells how the set is. It does no I/O.
func (s *Set) Health() Health {
	h := Health{Needed: s.q}
	if t, err := s.serving(); err == nil {
		t.mu.Lock()
		h.Mode, h.Position = Serving, t.visible.Position
		if t.stuck != nil {
			h.Mode, h.Reason = ReadOnly, t.stuck.Error()
		}
		h.Degraded = t.inSync.Count() < s.n || t.proposal != nil
		t.mu.Unlock()
	}
	for _, p := range s.places {
		p.mu.Lock()
		d := DriveHealth{Path: p.Path, Slot: -1, Status: p.status, Err: p.err, Usage: p.usage, Since: p.since}
		if p.known {
			d.ID, d.Slot = p.id.Drive, p.id.Slot
		}
		p.mu.Unlock()
		h.Degraded = h.Degraded || d.Status != InSync
		h.Drives = append(h.Drives, d)
	}
	h.Damage = s.damage.list()
	return h
}

// FindingKind says what is wrong.
type FindingKind uint8

// The kinds of findings.
const (
	FindingDrive  FindingKind = iota + 1 // a drive could not be read, or is not what it should be
	FindingShard                         // a shard is damaged or missing
	FindingRecord                        // a record is damaged, or differs between drives
	FindingLog                           // logs of in-sync drives differ
)

// String names the kind.
func (k FindingKind) String() string {
	return [...]string{"", "drive", "shard", "record", "log"}[k]
}

// Finding is something that is not as it should be. Finding is not failing:
// whatever could still be served was served.
type Finding struct {
	Kind   FindingKind
	Drive  string // path
	Bucket layout.BucketID
	Key    string
	Data   layout.DataID
	Text   string
	Lost   bool // no longer readable at all with the drives that are there
}

const damageLimit = 1000

// damageLog keeps the newest findings of reading.
type damageLog struct {
	mu    sync.Mutex
	found []Finding
}

func (d *damageLog) add(f Finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, have := range d.found {
		if have == f {
			return
		}
	}
	if len(d.found) >= damageLimit {
		d.found = append(d.found[:0], d.found[1:]...)
	}
	d.found = append(d.found, f)
}

func (d *damageLog) list() []Finding {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Finding(nil), d.found...)
}

// Check reads everything that the set holds, on every drive that is in reach,
// and reports what is not as it should be: logs or records that differ between
// in-sync drives, records that can not be decoded, shards that are missing or
// damaged. It changes nothing. An error means that it could not go on; what it
// found is not an error.
func (s *Set) Check(ctx context.Context, report func(Finding)) error {
	c := &checking{set: s, report: report}
	if err := c.look(ctx); err != nil {
		return err
	}
	defer func() { c.view.Close() }()
	if err := c.logs(ctx); err != nil {
		return err
	}
	return c.records(ctx)
}

// checking is a check under way.
type checking struct {
	set     *Set
	view    *View
	report  func(Finding)
	members [16]*member
	inSync  quorum.Drives
	upload  layout.UploadID // that was looked at last
	owned   bool            // upload is
}

// look begins to look at the set as it is now. What is seen may be removed once
// the view is too old, so a check looks again before.
func (c *checking) look(ctx context.Context) error {
	v, err := c.set.View(ctx)
	if err != nil {
		return err
	}
	if c.view != nil {
		c.view.Close()
	}
	c.view, c.upload = v, layout.UploadID{}
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	c.members, c.inSync = v.t.members, v.t.readable()
	return nil
}

func (c *checking) found(kind FindingKind, m *member, text string, args ...any) {
	c.report(Finding{Kind: kind, Drive: m.place.Path, Text: fmt.Sprintf(text, args...)})
}

// logs compares the drives' logs with each other's and each with itself: every
// chain follows from the one before.
func (c *checking) logs(ctx context.Context) error {
	at := c.view.at
	for slot := range c.inSync.All() {
		m := c.members[slot]
		h, err := m.drive.Holding(ctx)
		if err != nil {
			return err
		}
		if at.Position == 0 {
			continue
		}
		if err := c.log(ctx, m, max(1, h.First)); err != nil {
			return err
		}
	}
	return nil
}

// log checks one drive's log. Removal goes on meanwhile, and may take from its
// beginning what is about to be read.
func (c *checking) log(ctx context.Context, m *member, from layout.Position) error {
	at := c.view.at
	var before layout.Mark
	for from <= at.Position {
		entries, err := m.drive.Log(ctx, from, maxBatchEntries)
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
				first, err := m.drive.Log(ctx, 1, 1)
				if err != nil {
					return err
				}
				follows = len(first) > 0 && first[0].Position >= e.Position
			}
			if !follows {
				c.found(FindingLog, m, "the chain breaks at position %d", e.Position)
			}
			if e.Position == at.Position && e.Chain != at.Chain {
				c.found(FindingLog, m, "the log differs from the set's at position %d", e.Position)
			}
			before, from = layout.Mark{Position: e.Position, Chain: e.Chain}, e.Position+1
		}
	}
	if from <= at.Position {
		c.found(FindingLog, m, "the log ends before position %d", from)
	}
	return nil
}

// walker is one drive's records in their order.
type walker struct {
	m    *member
	cur  layout.Cursor
	more bool
}

// records walks all drives' records side by side. What the drives hold must be
// the same, but for inline shards, which are each drive's own.
func (c *checking) records(ctx context.Context) error {
	for _, t := range []byte{
		layout.TypeDocument, layout.TypeOwner, layout.TypeSizes, layout.TypeInline, layout.TypeName,
		layout.TypeVersion, layout.TypePart, layout.TypeUpload, layout.TypeAlias,
	} {
		if err := c.recordsOf(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (c *checking) recordsOf(ctx context.Context, t byte) error {
	from, to := layout.TypeRange(t)
	var last layout.Slot
	for {
		more, err := c.lap(ctx, from, to, &last)
		if err != nil || !more {
			return err
		}
		if last != nil {
			from = last
		}
		if err := c.look(ctx); err != nil {
			return err
		}
	}
}

// lap goes through the records behind the last one until the view ages, and says
// whether there are more.
func (c *checking) lap(ctx context.Context, from, to layout.Slot, last *layout.Slot) (more bool, err error) {
	view := c.view
	var ws []*walker
	defer func() {
		for _, w := range ws {
			_ = w.cur.Close()
		}
	}()
	for slot := range c.inSync.All() {
		m := c.members[slot]
		r, err := m.drive.Read(ctx)
		if err != nil {
			return false, err
		}
		defer r.Close()
		cur, err := r.Cursor(from, to, view.at.Position)
		if err != nil {
			return false, err
		}
		ws = append(ws, &walker{m: m, cur: cur, more: cur.Next()})
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
		if c.view != view || view.aging() {
			return true, nil
		}
		*last = bytes.Clone(least)
		if err := c.compare(ctx, ws, *last); err != nil {
			return false, err
		}
	}
	for _, w := range ws {
		if err := w.cur.Err(); err != nil {
			c.found(FindingDrive, w.m, "reading its index: %v", err)
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

// compare looks at one slot on every drive and moves them past it.
func (c *checking) compare(ctx context.Context, ws []*walker, slot layout.Slot) error {
	inline := slot.Type() == layout.TypeInline
	var first *layout.Item
	var without, other []*walker
	for _, w := range ws {
		has := w.more && bytes.Equal(w.cur.Item().Slot, slot)
		switch {
		case !has && !inline:
			without = append(without, w)
		case has && first == nil:
			item := w.cur.Item()
			first = &layout.Item{Slot: slot, Position: item.Position, Value: bytes.Clone(item.Value)}
		case has && !inline && (w.cur.Item().Position != first.Position || !bytes.Equal(w.cur.Item().Value, first.Value)):
			other = append(other, w)
		}
		if has {
			w.more = w.cur.Next()
		}
	}
	if left, err := c.leftOver(ctx, slot, len(without) > 0); left || err != nil {
		return err
	}
	for _, w := range without {
		c.found(FindingRecord, w.m, "has no record %x", []byte(slot))
	}
	for _, w := range other {
		c.found(FindingRecord, w.m, "the record %x differs from another drive's", []byte(slot))
	}
	if t := slot.Type(); t == layout.TypeVersion || t == layout.TypePart {
		return c.shards(ctx, slot, first.Value)
	}
	return nil
}

// leftOver tells whether a record is of an upload that nobody owns any more.
// Each drive removes those by itself, in steps, so that for a while some have
// them and some have not, and their bytes likewise. Who owns a shard file is
// asked only where drives differ.
func (c *checking) leftOver(ctx context.Context, slot layout.Slot, differs bool) (bool, error) {
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
	if upload != c.upload {
		lo, hi := layout.UploadOwnerRange(upload)
		owners, err := c.view.Cursor(ctx, lo, hi)
		if err != nil {
			return false, err
		}
		owned := owners.Next()
		if err := errors.Join(owners.Err(), owners.Close()); err != nil {
			return false, err
		}
		c.upload, c.owned = upload, owned
	}
	return !c.owned, nil
}

// shards verifies every shard of a record's bytes.
func (c *checking) shards(ctx context.Context, slot layout.Slot, value []byte) error {
	rec, err := layout.DecodeRecord(value)
	f := Finding{Kind: FindingRecord}
	f.Bucket, f.Key, _, _ = layout.ParseVersionSlot(slot)
	if err != nil {
		f.Text, f.Lost = err.Error(), true
		c.report(f)
		return nil
	}
	place := rec.Place
	if place.Kind != layout.PlaceInline && place.Kind != layout.PlaceFile {
		return nil
	}
	k, m := place.Geometry()
	var bad []Finding
	for i, id := range place.Drives {
		err := c.shard(ctx, place, i)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		b := Finding{Kind: FindingShard, Bucket: f.Bucket, Key: f.Key, Data: place.Data, Text: fmt.Sprintf("shard %d: %v", i, err)}
		if _, p := c.set.driveOf(id); p != nil {
			b.Drive = p.Path
		}
		bad = append(bad, b)
	}
	if len(bad) > 0 && c.view.aging() {
		// Reading took so long that what was read may have been removed.
		if err := c.look(ctx); err != nil {
			return err
		}
		if item, ok, err := c.view.Get(ctx, slot); err != nil || !ok || !bytes.Equal(item.Value, value) {
			return err
		}
	}
	for _, b := range bad {
		b.Lost = k+m-len(bad) < k
		c.report(b)
	}
	return nil
}

// shard reads one shard to its end.
func (c *checking) shard(ctx context.Context, place layout.Place, shard int) error {
	id := bitrot.ShardID{Data: place.Data.Bytes(), Shard: uint8(shard)}
	if place.Kind == layout.PlaceInline {
		value, err := c.set.inlineShard(ctx, place.Data, place.Drives[shard])
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, bitrot.NewReader(bytes.NewReader(value), id))
		return err
	}
	drive, _ := c.set.driveOf(place.Drives[shard])
	if drive == nil {
		return errAway
	}
	payload, err := payloadBytes(layout.Add{Drives: place.Drives, Parity: place.Parity, Size: place.Size})
	if err != nil {
		return err
	}
	ref := layout.ShardRef{Data: place.Data, Shard: shard, Payload: payload}
	if err := drive.Shards().Verify(ctx, ref); err != nil {
		return err
	}
	f, err := drive.Shards().Open(ctx, ref)
	if err != nil {
		return err
	}
	encoded, err := bitrot.EncodedBytes(payload)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = io.Copy(io.Discard, bitrot.NewReader(io.NewSectionReader(f, 0, encoded), id))
	return errors.Join(err, f.Close())
}
