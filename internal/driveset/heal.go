package driveset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/heal"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/sherd-storage/sherd/layout"
)

// What healing says is said by the set.
type (
	Finding     = heal.Finding
	FindingKind = heal.FindingKind
	Margin      = heal.Margin
	MarginCount = heal.MarginCount
	HealSummary = heal.Summary
)

// The kinds of findings.
const (
	FindingDrive  = heal.FindingDrive
	FindingShard  = heal.FindingShard
	FindingRecord = heal.FindingRecord
	FindingLog    = heal.FindingLog
)

// healDocument is where healing keeps its notes: a document of bucket 0, which is
// no bucket.
const healDocument = "heal"

func (s *Set) newHealer() *heal.Healer {
	return heal.New(healing{s}, heal.Options{
		ScrubBytes: s.opt.ScrubBytes, ScrubEvery: s.opt.ScrubEvery, SupplyBytes: s.opt.SupplyBytes, QuarantineAge: s.opt.QuarantineAge,
		Clock: s.now, Now: time.Now, Logger: s.opt.Logger, May: s.background, Found: s.foundDamage,
		Begin: func(kind heal.WorkKind, drive string) heal.Job {
			return s.Begin(map[heal.WorkKind]WorkKind{heal.WorkShards: WorkShards, heal.WorkScrub: WorkScrub}[kind], drive)
		},
	})
}

// foundDamage keeps what was found, and forgets what was mended.
func (s *Set) foundDamage(f Finding) {
	n := Notice{Kind: NoticeDamage, Drive: f.Drive, Slot: -1, Text: f.Text}
	if f.Healed {
		n.Kind = NoticeHealed
		s.damage.forget(f)
	}
	s.damage.add(f)
	s.Notify(n)
}

// healing is the set as what is healed.
type healing struct{ *Set }

var _ heal.Set = healing{}

// healView is a view with the drives that have all that it shows.
type healView struct {
	*View
	drives []heal.Drive
}

func (v *healView) At() layout.Mark      { return v.at }
func (v *healView) Aging() bool          { return v.aging() }
func (v *healView) Drives() []heal.Drive { return v.drives }

// Look implements heal.Set.
func (h healing) Look(ctx context.Context) (heal.View, error) {
	v, err := h.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &healView{View: v}
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	for slot := range v.t.readableAt(v.at.Position).All() {
		m := v.t.members[slot]
		out.drives = append(out.drives, heal.Drive{Slot: slot, Path: m.place.Path, Drive: m.drive})
	}
	return out, nil
}

// Verify implements heal.Set.
func (h healing) Verify(ctx context.Context, place layout.Place, shard int, quick bool) error {
	drive, _ := h.driveOf(place.Drives[shard])
	if drive == nil {
		return errAway
	}
	err := verifyShard(ctx, drive, place, shard, quick)
	if errors.Is(err, layout.ErrClosed) || errors.Is(err, layout.ErrBroken) {
		err = fmt.Errorf("%w: %w", errAway, err)
	}
	return err
}

func verifyShard(ctx context.Context, drive layout.Drive, place layout.Place, shard int, quick bool) error {
	id := bitrot.ShardID{Data: place.Data.Bytes(), Shard: uint8(shard)}
	if place.Kind == layout.PlaceInline {
		item, err := inlineItem(ctx, drive, place.Data)
		if err != nil || quick {
			return err
		}
		n, err := io.Copy(io.Discard, bitrot.NewReader(bytes.NewReader(item.Value), id))
		if payload, e := payloadOf(place); err == nil && (e != nil || n != payload) {
			err = fmt.Errorf("%w: an inline shard of %d bytes", layout.ErrDamaged, n)
		}
		return err
	}
	payload, err := payloadOf(place)
	if err != nil {
		return err
	}
	ref := layout.ShardRef{Data: place.Data, Shard: shard, Payload: payload}
	if err := drive.Shards().Verify(ctx, ref); err != nil || quick {
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

func payloadOf(place layout.Place) (int64, error) {
	return payloadBytes(layout.Add{Drives: place.Drives, Parity: place.Parity, Size: place.Size})
}

// Holder implements heal.Set.
func (h healing) Holder(id layout.DriveID) heal.Holder {
	out := heal.Holder{Slot: -1}
	t, err := h.serving()
	if err != nil {
		return out
	}
	for slot, name := range t.named() {
		if name.Drive != id && !slices.Contains(name.Past, id) {
			continue
		}
		out = heal.Holder{Slot: slot, Drive: name.Drive, Heir: name.Drive != id}
		for _, p := range h.places {
			p.mu.Lock()
			if p.known && p.id.Drive == name.Drive {
				out.Path, out.Reach = p.Path, p.drive != nil && !p.fenced
			}
			p.mu.Unlock()
		}
	}
	return out
}

// InSync implements heal.Set.
func (h healing) InSync() (out []heal.Owing) {
	t, err := h.serving()
	if err != nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for slot, name := range t.named() {
		if m := t.members[slot]; t.readable().Has(slot) && !m.learner {
			out = append(out, heal.Owing{Slot: slot, Path: m.place.Path, Drive: name.Drive, Past: name.Past})
		}
	}
	return out
}

// writer gives the drive that is to have the shards given to an id, if it can be
// written: it is in-sync and obeys this tenure.
func (t *tenure) writer(id layout.DriveID) *member {
	t.mu.Lock()
	defer t.mu.Unlock()
	for slot, name := range t.named() {
		if (name.Drive == id || slices.Contains(name.Past, id)) && t.readable().Has(slot) {
			return t.members[slot]
		}
	}
	return nil
}

// Mend implements heal.Set.
//
// Who uses the bytes is asked before, and again when the shard is there: what
// removes the last user in between finds the shard not yet written, and nothing
// would remove it afterwards.
func (h healing) Mend(ctx context.Context, d heal.Damage) error {
	if d.Shard < 0 || d.Shard >= len(d.Place.Drives) || h.opt.ReadOnly {
		return heal.ErrAway
	}
	t, err := h.serving()
	if err != nil {
		return err
	}
	m := t.writer(d.Place.Drives[d.Shard])
	if m == nil {
		return heal.ErrAway
	}
	is := verifyShard(ctx, m.drive, d.Place, d.Shard, false)
	switch {
	case is == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(is, layout.ErrNewerFormat), errors.Is(is, layout.ErrCorruptIndex):
		return is // to be refused, or a matter of the whole drive
	case errors.Is(is, layout.ErrClosed), errors.Is(is, layout.ErrBroken):
		return fmt.Errorf("%w: %w", heal.ErrAway, is)
	}
	if d.Place.Kind == layout.PlaceInline {
		return h.mendInline(ctx, m, d)
	}
	owner, err := h.user(ctx, d.Place.Data)
	if err != nil {
		return err
	}
	if err := h.mendFile(ctx, m, d, owner, is); err != nil {
		return err
	}
	if _, err := h.user(ctx, d.Place.Data); !errors.Is(err, heal.ErrNobody) {
		return nil
	}
	return errors.Join(heal.ErrNobody, m.drive.Shards().Remove(ctx, m.promise, d.Place.Data))
}

// user gives who uses a shard file; ErrNobody when none does. Parts of an upload that
// nobody owns any more are being removed from the drives that know of them.
func (h healing) user(ctx context.Context, data layout.DataID) (layout.OwnerOfData, error) {
	v, err := h.View(ctx)
	if err != nil {
		return layout.OwnerOfData{}, err
	}
	defer v.Close()
	lo, hi := layout.DataOwnerRange(data)
	cur, err := v.Cursor(ctx, lo, hi)
	if err != nil {
		return layout.OwnerOfData{}, err
	}
	defer cur.Close()
	for cur.Next() {
		_, owner, err := layout.ParseDataOwnerSlot(cur.Item().Slot)
		if err != nil || owner.Upload.IsZero() {
			return owner, err
		}
		if owned, err := v.owned(ctx, owner.Upload); err != nil || owned {
			return owner, err
		}
	}
	if err := cur.Err(); err != nil {
		return layout.OwnerOfData{}, err
	}
	return layout.OwnerOfData{}, heal.ErrNobody
}

// mendFile writes a shard file again. The damaged one goes to quarantine when the
// new one is whole and synced, and not before.
func (h healing) mendFile(ctx context.Context, m *member, d heal.Damage, owner layout.OwnerOfData, why error) error {
	place, id := d.Place, m.drive.Identity()
	header := layout.ShardHeader{
		Deployment: h.deployment, Pool: id.Pool, Set: id.Set, Data: place.Data, Shard: d.Shard,
		Bucket: owner.Bucket, Key: owner.Key, Upload: owner.Upload, Part: owner.Part, Replace: true,
	}
	header.DataShards, header.Parity = place.Geometry()
	if !errors.Is(why, layout.ErrNotFound) {
		header.Aside = why.Error()
	}
	payload, err := payloadOf(place)
	if err != nil {
		return err
	}
	w, err := m.drive.Shards().Create(ctx, m.promise, header)
	if err != nil {
		return err
	}
	if _, err := h.engine.Rebuild(ctx, objectOf(place), h.sources(place), d.Shard, w, h.rebuildOptions(place)); err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.Commit(ctx, layout.Trailer{Size: place.Size, Payload: payload}); err != nil {
		return err
	}
	return m.drive.Shards().Verify(ctx, layout.ShardRef{Data: place.Data, Shard: d.Shard, Payload: payload})
}

// mendInline writes an inline shard again, where the others say that it stands.
func (h healing) mendInline(ctx context.Context, m *member, d heal.Damage) error {
	mend := layout.Mend{Named: d.Slot, NamedAt: d.At}
	place := d.Place
	streams := make([][]byte, len(place.Drives))
	for i, id := range place.Drives {
		drive, _ := h.driveOf(id)
		if i == d.Shard || drive == nil {
			continue
		}
		if item, err := inlineItem(ctx, drive, place.Data); err == nil {
			streams[i], mend.Item = item.Value, layout.Item{Slot: item.Slot, Position: item.Position}
		} else if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	data, _, err := h.engine.DecodeInline(nil, objectOf(place), streams)
	if errors.Is(err, stripe.ErrTooFewShards) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	k, parity := place.Geometry()
	shards, err := h.engine.EncodeInline(data, erasure.Geometry{Data: k, Parity: parity}, place.Data.Bytes())
	if err != nil {
		return err
	}
	mend.Value = shards[d.Shard]
	err = m.drive.Apply(ctx, m.promise, layout.Batch{Mend: []layout.Mend{mend}})
	if errors.Is(err, layout.ErrNotFound) {
		return fmt.Errorf("%w: %w", heal.ErrNobody, err)
	}
	return err
}

// Discard implements heal.Set. What has no user on the drive itself may only be
// discarded if no other drive knows of one: then a record would be missing here.
func (h healing) Discard(ctx context.Context, slot int, dir byte) (n int, err error) {
	t, err := h.serving()
	if err != nil || h.opt.ReadOnly {
		return 0, err
	}
	t.mu.Lock()
	m, settled := t.members[slot], t.stuck == nil && t.proposal == nil && t.readable().Has(slot)
	t.mu.Unlock()
	if !settled {
		return 0, nil
	}
	ids, err := m.drive.Shards().List(ctx, dir)
	if err != nil {
		return 0, err
	}
	for _, data := range ids {
		if data.Epoch >= t.owner.Epoch {
			continue
		}
		used, err := h.used(ctx, data)
		if err != nil {
			return n, err
		}
		if used {
			continue
		}
		switch err := m.drive.Shards().Discard(ctx, m.promise, data, "no record names it"); {
		case err == nil:
			n++
		case !errors.Is(err, layout.ErrExists) && !errors.Is(err, layout.ErrNotFound):
			return n, err
		}
	}
	return n, nil
}

// used tells whether any in-sync drive knows of a user of a shard file.
func (h healing) used(ctx context.Context, data layout.DataID) (bool, error) {
	v, err := h.Look(ctx)
	if err != nil {
		return false, err
	}
	defer v.Close()
	lo, hi := layout.DataOwnerRange(data)
	for _, d := range v.Drives() {
		r, err := d.Drive.Read(ctx)
		if err != nil {
			return false, err
		}
		cur, err := r.Cursor(lo, hi, v.At().Position)
		if err != nil {
			return false, errors.Join(err, r.Close())
		}
		used := cur.Next()
		if err := errors.Join(cur.Err(), cur.Close(), r.Close()); err != nil || used {
			return used, err
		}
	}
	return false, nil
}

// Expire implements heal.Set.
func (h healing) Expire(ctx context.Context, before time.Time) (n int, err error) {
	t, err := h.serving()
	if err != nil || h.opt.ReadOnly {
		return 0, err
	}
	for slot := range quorum.Drives(1<<t.n - 1).All() {
		t.mu.Lock()
		m, good := t.members[slot], t.readable().Has(slot)
		t.mu.Unlock()
		if !good {
			continue
		}
		k, e := m.drive.Shards().Expire(ctx, m.promise, before)
		n, err = n+k, errors.Join(err, e)
	}
	return n, err
}

// Load implements heal.Set.
func (h healing) Load(ctx context.Context) ([]byte, error) {
	v, err := h.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	item, _, err := v.Get(ctx, layout.DocumentSlot(0, healDocument))
	return item.Value, err
}

// Save implements heal.Set.
func (h healing) Save(ctx context.Context, document []byte) error {
	_, err := h.Commit(ctx, func() {}, func(layout.Position, layout.Owner) (Change, error) {
		return Change{Writes: []layout.Write{{Slot: layout.DocumentSlot(0, healDocument), Kind: layout.KindRecord, Value: document}}}, nil
	})
	return err
}

// Suspect implements heal.Set.
func (h healing) Suspect(slot int, err error) {
	t, e := h.serving()
	if e != nil || slot < 0 {
		return
	}
	t.mu.Lock()
	m := t.members[slot]
	t.mu.Unlock()
	if m != nil {
		t.suspect(m, err)
	}
}

// inlineItem gives a drive's inline shard; ErrNotFound where it has none.
func inlineItem(ctx context.Context, drive layout.Drive, data layout.DataID) (layout.Item, error) {
	r, err := drive.Read(ctx)
	if err != nil {
		return layout.Item{}, err
	}
	defer r.Close()
	item, ok, err := r.Get(layout.InlineSlot(data), layout.MaxPosition)
	if err == nil && !ok {
		err = layout.ErrNotFound
	}
	return item, err
}
