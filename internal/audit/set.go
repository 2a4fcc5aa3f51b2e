package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/heal"
	"github.com/sherd-storage/sherd/layout"
)

// set is a set of drives that are not open anywhere.
type set struct {
	there  []*drive
	state  layout.State // the newest
	stable layout.Mark  // the highest of the drives that are in-sync
}

// force finds the newest state and how far the log is stable; false when no
// drive is open.
func (s *set) force() bool {
	for _, d := range s.there {
		if d.drive != nil && (s.state.Names == nil || d.held.State.Compare(s.state) > 0) {
			s.state = d.held.State
		}
	}
	for _, d := range s.there {
		if d.drive != nil && slices.Contains(s.state.InSync, d.id.Drive) && d.held.Rebuild == nil && d.held.Stable.Position > s.stable.Position {
			s.stable = d.held.Stable
		}
	}
	return s.state.Names != nil
}

func (s *set) named(d *drive) bool {
	return d.id.Slot < len(s.state.Names) && s.state.Names[d.id.Slot].Drive == d.id.Drive
}

// agrees: a drive's log goes as far as is stable, and is the set's there.
func (s *set) agrees(ctx context.Context, d *drive) (bool, error) {
	if s.stable == d.held.Stable || s.stable == d.held.Last {
		return true, nil
	}
	if d.held.Last.Position < s.stable.Position {
		return false, nil
	}
	e, err := d.drive.Log(ctx, s.stable.Position, 1)
	if err != nil {
		return false, err
	}
	return len(e) > 0 && e[0].Position == s.stable.Position && e[0].Chain == s.stable.Chain, nil
}

// walk reads everything that some drives hold at a position.
func (s *set) walk(ctx context.Context, drives []*drive, at layout.Mark, alone bool, report func(heal.Finding)) error {
	w := &walked{set: s, drives: drives, at: at, alone: alone}
	h := heal.New(w, heal.Options{Clock: noTime, Now: noTime, Logger: slog.New(slog.DiscardHandler)})
	return h.Check(ctx, func(f heal.Finding) {
		// What is on a drive that is not there is no news where it is not missed.
		if f.Kind == heal.FindingShard && !f.Lost && !slices.ContainsFunc(s.there, func(d *drive) bool { return d.drive != nil && d.path == f.Drive }) {
			return
		}
		report(f)
	})
}

// noTime is the clock of a check: nothing in it is about time.
func noTime() time.Time { return time.Time{} }

// walked is drives of a set as they are walked through: all those that agree, or
// one by itself. It is what a healer sees of a set, and can change nothing.
type walked struct {
	*set
	drives []*drive
	at     layout.Mark
	alone  bool
}

var _ heal.Set = (*walked)(nil)

// Look implements heal.Set.
func (w *walked) Look(ctx context.Context) (heal.View, error) {
	r, err := w.drives[0].drive.Read(ctx)
	if err != nil {
		return nil, err
	}
	return &view{walked: w, reader: r}, nil
}

// holder is the drive that has the shards given to an id, nil while it is not
// there.
func (w *walked) holder(id layout.DriveID) *drive {
	for _, name := range w.state.Names {
		if slices.Contains(name.Past, id) {
			id = name.Drive
		}
	}
	for _, d := range w.there {
		if d.id.Drive == id && w.set.named(d) {
			return d
		}
	}
	return nil
}

// Holder implements heal.Set.
func (w *walked) Holder(id layout.DriveID) heal.Holder {
	d := w.holder(id)
	if d == nil {
		return heal.Holder{Slot: -1}
	}
	return heal.Holder{Slot: d.id.Slot, Path: d.path, Drive: d.id.Drive, Reach: d.drive != nil, Heir: d.id.Drive != id}
}

// Verify implements heal.Set. What a drive that is not in-sync says of the shards
// of others may be out of date.
func (w *walked) Verify(ctx context.Context, place layout.Place, shard int, _ bool) error {
	d := w.holder(place.Drives[shard])
	switch {
	case w.alone && d != w.drives[0]:
		return nil
	case d == nil || d.drive == nil:
		return heal.ErrAway
	case place.Kind == layout.PlaceInline:
		return w.inline(ctx, d, place, shard)
	}
	payload, err := erasure.Geometry{Data: len(place.Drives) - int(place.Parity), Parity: int(place.Parity)}.ShardBytes(place.Size)
	if err != nil {
		return err
	}
	ref := layout.ShardRef{Data: place.Data, Shard: shard, Payload: payload}
	if err := d.drive.Shards().Verify(ctx, ref); err != nil {
		return err
	}
	f, err := d.drive.Shards().Open(ctx, ref)
	if err != nil {
		return err
	}
	encoded, err := bitrot.EncodedBytes(payload)
	if err == nil {
		err = frames(io.NewSectionReader(f, 0, encoded), place, shard)
	}
	return errors.Join(err, f.Close())
}

func (w *walked) inline(ctx context.Context, d *drive, place layout.Place, shard int) error {
	r, err := d.drive.Read(ctx)
	if err != nil {
		return err
	}
	item, ok, err := r.Get(layout.InlineSlot(place.Data), layout.MaxPosition)
	if err == nil && !ok {
		err = fmt.Errorf("%w: inline shard", layout.ErrNotFound)
	}
	if err == nil {
		err = frames(bytes.NewReader(item.Value), place, shard)
	}
	return errors.Join(err, r.Close())
}

// frames reads a shard to its end.
func frames(r io.Reader, place layout.Place, shard int) error {
	_, err := io.Copy(io.Discard, bitrot.NewReader(r, bitrot.ShardID{Data: place.Data.Bytes(), Shard: uint8(shard)}))
	return err
}

// What follows implements the rest of heal.Set: nothing is changed.

func (w *walked) Mend(context.Context, heal.Damage) error         { return heal.ErrAway }
func (w *walked) InSync() []heal.Owing                            { return nil }
func (w *walked) Discard(context.Context, int, byte) (int, error) { return 0, layout.ErrReadOnly }
func (w *walked) Expire(context.Context, time.Time) (int, error)  { return 0, layout.ErrReadOnly }
func (w *walked) Load(context.Context) ([]byte, error)            { return nil, nil }
func (w *walked) Save(context.Context, []byte) error              { return layout.ErrReadOnly }
func (w *walked) Suspect(int, error)                              {}

// view is a heal.View of drives that nobody changes.
type view struct {
	*walked
	reader layout.Reader
}

// At implements heal.View.
func (v *view) At() layout.Mark { return v.at }

// Aging implements heal.View.
func (v *view) Aging() bool { return false }

// Drives implements heal.View.
func (v *view) Drives() (out []heal.Drive) {
	for _, d := range v.walked.drives {
		out = append(out, heal.Drive{Slot: d.id.Slot, Path: d.path, Drive: d.drive})
	}
	return out
}

// Get implements heal.View.
func (v *view) Get(_ context.Context, slot layout.Slot) (layout.Item, bool, error) {
	return v.reader.Get(slot, v.at.Position)
}

// Cursor implements heal.View.
func (v *view) Cursor(_ context.Context, from, to layout.Slot) (layout.Cursor, error) {
	return v.reader.Cursor(from, to, v.at.Position)
}

// Close implements heal.View.
func (v *view) Close() { _ = v.reader.Close() }
