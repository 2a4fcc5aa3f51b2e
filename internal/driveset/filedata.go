package driveset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/sherd-storage/sherd/layout"
)

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

func (s *Set) readOptions(place layout.Place) *stripe.ReadOptions {
	return &stripe.ReadOptions{
		Limit: s.latency.limit, Last: s.givenUp(place), Observe: s.latency.observe, Now: time.Now, Grace: s.opt.StallLimit,
	}
}

// latency remembers how long recent shard reads took. A read beyond their 95th
// percentile, with some room, is hedged.
type latency struct {
	mu     sync.Mutex
	recent [128]time.Duration // a ring
	n      int                // reads seen
	bound  time.Duration
}

const (
	minHedge = 20 * time.Millisecond // nothing is hedged before
	maxHedge = 2 * time.Second
)

func (l *latency) observe(_ int, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent[l.n%len(l.recent)] = took
	l.n++
	if l.n%16 == 0 && l.n >= len(l.recent) {
		l.bound = percentile95(l.recent)
	}
}

// limit is three times the 95th percentile of recent reads, within bounds.
func (l *latency) limit() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bound == 0 {
		return maxHedge
	}
	return min(max(3*l.bound, minHedge), maxHedge)
}

func percentile95(of [128]time.Duration) time.Duration {
	slices.Sort(of[:])
	return of[len(of)*95/100]
}

// restore rebuilds the shard file of an entry that is kept on a drive that
// lacks it.
func (s *Set) restore(ctx context.Context, c *candidate, e *layout.Entry, a layout.Add) error {
	shard := shardOf(a.Drives, c.drive.Identity().Drive)
	if shard < 0 {
		return nil
	}
	place := layout.Place{Kind: layout.PlaceFile, Data: a.Data, Parity: a.Parity, Drives: a.Drives, Size: a.Size}
	h := layout.ShardHeader{
		Deployment: s.deployment, Data: a.Data, Shard: shard, DataShards: a.DataShards(), Parity: int(a.Parity), Replace: true,
	}
	nameShard(&h, e)
	w, err := c.drive.Shards().Create(ctx, c.promise, h)
	if err != nil {
		return err
	}
	if _, err := s.engine.Rebuild(ctx, objectOf(place), s.sources(place), shard, &stepping{w, c}, s.readOptions(place)); err != nil {
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
// have one and has not. What can not be put together was removed since, or is
// damage that is known.
func (s *Set) supply(ctx context.Context, c *candidate, e *layout.Entry) error {
	for _, a := range e.Adds {
		if a.Inline || shardOf(a.Drives, c.drive.Identity().Drive) < 0 {
			continue
		}
		has, err := hasShard(ctx, c, nil, e.Position, a)
		if err == nil && !has {
			err = s.restore(ctx, c, e, a)
		}
		if err != nil && !errors.Is(err, stripe.ErrTooFewShards) {
			return err
		}
	}
	return nil
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
