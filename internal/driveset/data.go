package driveset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/heal"
	"github.com/sherd-storage/sherd/internal/pace"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/sherd-storage/sherd/layout"
)

// ErrDamaged: too few intact shards are in reach.
var ErrDamaged = errors.New("too few intact shards are in reach")

// Data is the bytes of a place, or a range of them: verified, put together
// from whatever shards are in reach.
type Data interface {
	io.Reader
	io.WriterTo
	io.Closer
}

// OpenData opens n bytes from off on. layout.ErrNotFound: the bytes were
// removed since their record was read; look the record up again. ErrDamaged:
// too few intact shards are in reach.
func (s *Set) OpenData(ctx context.Context, place layout.Place, off, n int64) (Data, error) {
	switch place.Kind {
	case layout.PlaceInline:
		data, err := s.inlineData(ctx, place, s.report)
		if err != nil {
			return nil, err
		}
		if off < 0 || n < 0 || off > int64(len(data)) || n > int64(len(data))-off {
			return nil, fmt.Errorf("range of %d bytes from %d outside of %d", n, off, len(data))
		}
		return &inMemory{data: data[off : off+n]}, nil
	case layout.PlaceFile:
		return s.fileData(ctx, place, off, n)
	}
	return nil, fmt.Errorf("a place of kind %d has no bytes of its own", place.Kind)
}

// inMemory is Data that was small enough to be read whole.
type inMemory struct{ data []byte }

func (d *inMemory) Read(p []byte) (int, error) {
	if len(d.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, d.data)
	d.data = d.data[n:]
	return n, nil
}

func (d *inMemory) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(d.data)
	d.data = d.data[n:]
	return int64(n), err
}

func (d *inMemory) Close() error { return nil }

// driveOf gives the drive that has an id, or that came after it in its slot;
// nil when it is not in reach.
func (s *Set) driveOf(id layout.DriveID) (layout.Drive, *place) {
	for _, p := range s.places {
		p.mu.Lock()
		drive, is := p.drive, p.known && p.id.Drive == id
		p.mu.Unlock()
		if is {
			return drive, p
		}
	}
	t, err := s.serving()
	if err != nil {
		return nil, nil
	}
	for slot, name := range t.named() {
		for _, past := range name.Past {
			if past == id {
				return s.driveOf(t.named()[slot].Drive)
			}
		}
	}
	return nil, nil
}

// inlineData reads an inline object: its data shards, and others where one is
// missing or damaged, which it reports.
func (s *Set) inlineData(ctx context.Context, place layout.Place, report func(layout.Place, int, error)) ([]byte, error) {
	k, m := place.Geometry()
	streams := make([][]byte, k+m)
	have, missing := 0, 0
	for _, i := range s.readingOrder(place) {
		value, err := s.inlineShard(ctx, place.Data, place.Drives[i])
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
			streams[i] = value
			have++
		case errors.Is(err, layout.ErrNotFound):
			missing++
		}
		if err != nil {
			report(place, i, err)
		}
		if have < k {
			continue
		}
		data, damage, err := s.engine.DecodeInline(nil, objectOf(place), streams)
		for _, d := range damage {
			report(place, d.Shard, d.Err)
		}
		if err == nil {
			return data, nil
		}
	}
	if missing > m {
		return nil, fmt.Errorf("%w: the shards of %s", layout.ErrNotFound, place.Data)
	}
	return nil, fmt.Errorf("%w: %d of %s, %d are needed", ErrDamaged, have, place.Data, k)
}

// readingOrder gives the shards of a place, data first, but behind all others
// those that are asked last.
func (s *Set) readingOrder(place layout.Place) []int {
	order := make([]int, 0, len(place.Drives))
	last := s.askedLast(place)
	for _, late := range []uint32{0, 1} {
		for i := range place.Drives {
			if last>>i&1 == late {
				order = append(order, i)
			}
		}
	}
	return order
}

// askedLast gives the shards of a place that lie on drives that failed, or lack some
// of what they are yet to be given, as bits: what they hold is good as long as it
// verifies, but they may not answer, or not have it.
func (s *Set) askedLast(place layout.Place) (shards uint32) {
	counting := s.counting()
	for i, id := range place.Drives {
		drive, p := s.driveOf(id)
		if p == nil {
			continue
		}
		if drive == nil || p.open() == nil || !counting.Has(drive.Identity().Slot) || s.owes(place, i, drive.Identity().Drive) {
			shards |= 1 << i
		}
	}
	return shards
}

// counting gives the drives that count, by slot: those in-sync, or all if nothing is
// known of that.
func (s *Set) counting() quorum.Drives {
	t, err := s.serving()
	if err != nil {
		return ^quorum.Drives(0)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inSync
}

// owes tells whether the drive that should have a shard file of a place is still being
// given its files.
func (s *Set) owes(place layout.Place, shard int, drive layout.DriveID) bool {
	return place.Kind == layout.PlaceFile && s.healer.Lacks(place.Drives[shard], drive)
}

// inlineShard reads one inline shard from the drive that has it.
func (s *Set) inlineShard(ctx context.Context, data layout.DataID, id layout.DriveID) ([]byte, error) {
	drive, _ := s.driveOf(id)
	if drive == nil {
		return nil, errAway
	}
	item, err := inlineItem(ctx, drive, data)
	return item.Value, err
}

var errAway = heal.ErrAway

// report notes a shard that could not be read as it should be, and has it mended.
// What a drive is yet to be given is no news.
func (s *Set) report(place layout.Place, shard int, err error) {
	f := Finding{Kind: FindingShard, Data: place.Data, Text: fmt.Sprintf("shard %d is damaged", shard)}
	if err != nil {
		f.Text = fmt.Sprintf("shard %d: %v", shard, err)
	}
	if errors.Is(err, errAway) || errors.Is(err, layout.ErrClosed) || errors.Is(err, layout.ErrBroken) || errors.Is(err, context.Canceled) {
		return // the drive is known to be away
	}
	holder := healing{s}.Holder(place.Drives[shard])
	if errors.Is(err, layout.ErrCorruptIndex) {
		healing{s}.Suspect(holder.Slot, err) // a matter of the whole drive
		return
	}
	missing := errors.Is(err, layout.ErrNotFound)
	if missing && holder.Slot >= 0 && !s.counting().Has(holder.Slot) {
		return // the index that is being brought to it has the shard, or says that it owes it
	}
	s.healer.Damaged(heal.Damage{Place: place, Shard: shard, Err: err})
	if missing && s.healer.Lacks(place.Drives[shard], holder.Drive) {
		return
	}
	f.Drive = holder.Path
	s.damage.add(f)
}

// rebuildInline puts one inline shard, which an entry added, together from the
// others; ErrDamaged when too few of them are there. What is missing may have been
// removed, shadowed by a later entry.
func (s *Set) rebuildInline(ctx context.Context, a layout.Add, shard int, at layout.Position) ([]byte, error) {
	place := layout.Place{Kind: layout.PlaceInline, Data: a.Data, Parity: a.Parity, Drives: a.Drives, Size: a.Size}
	data, _, err := s.inlineAt(ctx, place, shard, at)
	if err != nil {
		return nil, err
	}
	k, m := place.Geometry()
	return s.engine.EncodeInlineShard(data, erasure.Geometry{Data: k, Parity: m}, a.Data.Bytes(), shard)
}

// inlineAt puts an inline object together from the shards of other drives than the
// one that lacks its own, and tells which entry wrote it.
func (s *Set) inlineAt(ctx context.Context, place layout.Place, but int, at layout.Position) ([]byte, layout.Position, error) {
	k, m := place.Geometry()
	streams := make([][]byte, k+m)
	have, position := 0, layout.Position(0)
	for _, i := range s.readingOrder(place) {
		drive, _ := s.driveOf(place.Drives[i])
		if i == but || drive == nil {
			continue
		}
		item, ok, err := inlineOn(ctx, drive, place.Data, at)
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		if err != nil || !ok {
			continue // its own drive's matter: another shard will do
		}
		streams[i], position = item.Value, item.Position
		if have++; have < k {
			continue
		}
		data, damage, err := s.engine.DecodeInline(nil, objectOf(place), streams)
		for _, d := range damage {
			s.report(place, d.Shard, d.Err)
			streams[d.Shard] = nil
			have--
		}
		if err == nil {
			return data, position, nil
		}
	}
	return nil, 0, fmt.Errorf("%w: %d of %s, %d are needed", ErrDamaged, have, place.Data, k)
}

func inlineOn(ctx context.Context, d layout.Drive, data layout.DataID, at layout.Position) (layout.Item, bool, error) {
	r, err := d.Read(ctx)
	if err != nil {
		return layout.Item{}, false, err
	}
	defer r.Close()
	return r.Get(layout.InlineSlot(data), at)
}

func objectOf(place layout.Place) stripe.Object {
	k, m := place.Geometry()
	return stripe.Object{Data: place.Data.Bytes(), Size: place.Size, Geometry: erasure.Geometry{Data: k, Parity: m}}
}

// fileReader is Data from shard files. Closing it reports the damage that was
// met.
type fileReader struct {
	*stripe.Reader
	set   *Set
	place layout.Place
	once  sync.Once
}

func (s *Set) fileData(ctx context.Context, place layout.Place, off, n int64) (Data, error) {
	r, err := s.engine.NewReader(ctx, objectOf(place), s.sources(place), off, n, s.readOptions(place))
	if err != nil {
		return nil, err
	}
	f := &fileReader{Reader: r, set: s, place: place}
	if err := r.Ready(); err != nil {
		return nil, errors.Join(f.explain(err), f.Close())
	}
	return f, nil
}

// explain tells bytes that were removed from bytes that are damaged: of the
// former more shards are missing, on drives that answer, than may be.
func (f *fileReader) explain(err error) error {
	if !errors.Is(err, stripe.ErrTooFewShards) {
		return err
	}
	missing := 0
	for _, d := range f.Damage() {
		if errors.Is(d.Err, layout.ErrNotFound) {
			missing++
		}
	}
	if missing > int(f.place.Parity) {
		return fmt.Errorf("%w: %w", layout.ErrNotFound, err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

func (f *fileReader) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = f.explain(err)
	}
	return n, err
}

func (f *fileReader) WriteTo(w io.Writer) (int64, error) {
	n, err := f.Reader.WriteTo(w)
	if err != nil {
		err = f.explain(err)
	}
	return n, err
}

func (f *fileReader) Close() error {
	err := f.Reader.Close()
	f.once.Do(func() {
		for _, d := range f.Damage() {
			f.set.report(f.place, d.Shard, d.Err)
		}
	})
	return err
}

// sources opens the shards of a place where they lie.
func (s *Set) sources(place layout.Place) []stripe.Source {
	out := make([]stripe.Source, len(place.Drives))
	payload, err := payloadBytes(layout.Add{Drives: place.Drives, Parity: place.Parity, Size: place.Size})
	if err != nil {
		return out
	}
	for i, id := range place.Drives {
		if drive, _ := s.driveOf(id); drive != nil {
			out[i] = func(ctx context.Context) (stripe.ShardReader, error) {
				return drive.Shards().Open(ctx, layout.ShardRef{Data: place.Data, Shard: i, Payload: payload})
			}
		}
	}
	return out
}

// readOptions has shards on drives that failed, lack something, or are slow beside
// the others, asked last.
func (s *Set) readOptions(place layout.Place) *stripe.ReadOptions {
	var slots [layout.MaxDrives]int
	last, slow := s.askedLast(place), s.pace.Slow(time.Now())
	for i, id := range place.Drives {
		slots[i] = -1
		if drive, _ := s.driveOf(id); drive != nil {
			slots[i] = drive.Identity().Slot
			last |= slow >> slots[i] & 1 << i
		}
	}
	return &stripe.ReadOptions{
		Limit: s.pace.Limit, Last: last, Now: time.Now, Grace: s.opt.StallLimit,
		Observe: func(shard int, took time.Duration) { s.pace.Observe(slots[shard], took) },
	}
}

// rebuildOptions are for reads that nobody waits for: many large ones at once. What
// they take says nothing of the others, nor is one late where another would be:
// reading a further shard in its place is more for the same drives to do.
func (s *Set) rebuildOptions(place layout.Place) *stripe.ReadOptions {
	options := s.readOptions(place)
	options.Limit = func() time.Duration { return pace.MaxLimit }
	options.Observe = nil
	return options
}

// restore rebuilds the shard file of an entry that is kept on a drive that
// lacks it.
func (s *Set) restore(ctx context.Context, c *candidate, e *layout.Entry, a layout.Add) error {
	shard := shardOf(a.Drives, c.name)
	if shard < 0 {
		return nil
	}
	place := placeOf(a)
	h := layout.ShardHeader{
		Deployment: s.deployment, Pool: s.opt.Pool, Set: s.opt.Set, Data: a.Data, Shard: shard, DataShards: a.DataShards(), Parity: int(a.Parity), Replace: true,
	}
	nameShard(&h, e)
	w, err := c.drive.Shards().Create(ctx, c.promise, h)
	if err != nil {
		return err
	}
	if _, err := s.engine.Rebuild(ctx, objectOf(place), s.sources(place), shard, &stepping{w, c}, s.rebuildOptions(place)); err != nil {
		return errors.Join(err, w.Abort())
	}
	payload, err := payloadBytes(a)
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit(ctx, layout.Trailer{Size: a.Size, Payload: payload})
}

// stepping tells that what is written for a candidate gets on.
type stepping struct {
	layout.ShardWriter
	c *candidate
}

func (w *stepping) Write(p []byte) (int, error) {
	w.c.step()
	return w.ShardWriter.Write(p)
}

// supply rebuilds the shard files that an entry added, where a drive should
// have one and has not. What can not be put together now is mended later, if anybody
// uses it still.
func (s *Set) supply(ctx context.Context, c *candidate, e *layout.Entry) error {
	for _, a := range e.Adds {
		if a.Inline || shardOf(a.Drives, c.name) < 0 {
			continue
		}
		has, err := hasShard(ctx, c, nil, e.Position, a)
		if err == nil && !has {
			err = s.restore(ctx, c, e, a)
		}
		if errors.Is(err, stripe.ErrTooFewShards) {
			s.healer.Damaged(heal.Damage{Place: placeOf(a), Shard: shardOf(a.Drives, c.name), Err: fmt.Errorf("%w: %w", layout.ErrNotFound, err)})
		} else if err != nil {
			return err
		}
	}
	return nil
}

// placeOf gives where the bytes of shard files lie.
func placeOf(a layout.Add) layout.Place {
	return layout.Place{Kind: layout.PlaceFile, Data: a.Data, Parity: a.Parity, Drives: a.Drives, Size: a.Size}
}

// nameShard finds in an entry what its bytes are for.
func nameShard(h *layout.ShardHeader, e *layout.Entry) {
	for _, w := range e.Writes {
		if w.Slot.Type() != layout.TypeOwner {
			continue
		}
		if id, owner, err := layout.ParseDataOwnerSlot(w.Slot); err == nil && id == h.Data {
			h.Bucket, h.Key, h.Upload, h.Part = owner.Bucket, owner.Key, owner.Upload, owner.Part
		}
	}
}
