package heal

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sherd-storage/sherd/layout"
)

// supplyAtOnce is how many shards are rebuilt at the same time. Each keeps as much
// in memory as a read does, whatever its size.
const supplyAtOnce = 6

// supplyNote is how far a drive has been given what it owes.
type supplyNote struct {
	Done   bool        `json:"done,omitempty"`
	Own    bool        `json:"own,omitempty"` // those that were given to itself, too
	Behind layout.Slot `json:"behind,omitempty"`
	Shards uint64      `json:"shards,omitempty"`
	Bytes  uint64      `json:"bytes,omitempty"`
}

// Lacks tells whether a drive may not have the shards that were given to a drive: one
// whose place it took, or itself.
func (h *Healer) Lacks(given, holder layout.DriveID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if given == holder && h.images == 0 {
		return false
	}
	n := h.note.Supplied[holder.String()]
	return !n.Done && (n.Own || given != holder)
}

// Copied tells that the index of a drive that counted is being copied to it anew. It may
// be an old image of itself, without shard files that the index names: until all were
// looked for it owes them, as if it had taken another's place. That is noted before it
// counts again.
func (h *Healer) Copied(ctx context.Context, id layout.DriveID) error {
	if err := h.load(ctx); err != nil {
		return err
	}
	h.keep(ctx, func(n *notes) { n.Supplied[id.String()] = supplyNote{Own: true} })
	return nil
}

// countImages counts anew what images is. mu is held.
func (h *Healer) countImages() {
	h.images = 0
	for _, n := range h.note.Supplied {
		if n.Own && !n.Done {
			h.images++
		}
	}
}

// owing gives the drives that may not have all the shards that they should.
func (h *Healer) owing() (out []Owing) {
	for _, o := range h.set.InSync() {
		n := noted(h, func(n *notes) supplyNote { return n.Supplied[o.Drive.String()] })
		if n.Own {
			o.Past = append(slices.Clone(o.Past), o.Drive)
		}
		if len(o.Past) > 0 && !n.Done {
			out = append(out, o)
		}
	}
	return out
}

// Owing tells whether a drive that counts may not have all the shards that it should.
func (h *Healer) Owing() bool { return len(h.owing()) > 0 }

// supplyDue brings drives what they owe.
func (h *Healer) supplyDue(ctx context.Context) error {
	if err := h.load(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	unsaved := h.unsaved
	h.mu.Unlock()
	if unsaved {
		h.keep(ctx, func(*notes) {})
	}
	for _, o := range h.owing() {
		if _, err := h.supply(ctx, o, h.opt.SupplyBytes); err != nil {
			return err
		}
	}
	return nil
}

// supply rebuilds, in the order of the records, the shards that a drive owes. What
// it has already is passed over. It says how many it rebuilt.
func (h *Healer) supply(ctx context.Context, o Owing, rate int64) (uint64, error) {
	id := o.Drive.String()
	n := noted(h, func(all *notes) supplyNote { return all.Supplied[id] })
	if n.Done {
		return 0, nil
	}
	if layout.CheckSlot(n.Behind) != nil {
		n = supplyNote{Own: n.Own}
	}
	job := h.opt.Begin(WorkShards, o.Path)
	defer job.End()
	expected := false
	job.Resume(n.Shards, n.Bytes)
	s := &supplying{h: h, o: o, job: job, p: pacer{rate: rate, now: h.opt.Now}, room: make(chan struct{}, supplyAtOnce)}
	defer s.wg.Wait()
	saved := h.opt.Now()
	err := h.places(ctx, n.Behind, func(at layout.Slot, p layout.Position, place layout.Place) error {
		if err := s.place(ctx, at, p, place); err != nil {
			return err
		}
		if !expected { // objects may be counted meanwhile
			all, bytes := h.census.owed(o.Past)
			expected = all > 0
			job.Expect(all, bytes)
		}
		if now := h.opt.Now(); now.Sub(saved) >= saveEvery {
			s.wg.Wait() // what is noted is complete
			saved, n.Behind = now, at
			h.keepSupplied(ctx, id, s.note(n))
		}
		return nil
	})
	s.wg.Wait()
	if err == nil {
		err = s.failed()
	}
	if err != nil {
		return s.rebuilt.Load(), err
	}
	n = s.note(n)
	n.Done, n.Behind = true, nil
	h.keepSupplied(ctx, id, n)
	if left := s.left.Load(); left > 0 {
		h.opt.Logger.Warn("sherd: some shards that the drive owed could not be rebuilt", "drive", o.Path, "rebuilt", s.rebuilt.Load(), "left", left)
	} else {
		h.opt.Logger.Info("sherd: the drive has the shards that it owed", "drive", o.Path, "rebuilt", s.rebuilt.Load())
	}
	return s.rebuilt.Load(), nil
}

// keepSupplied notes how far a drive is, and forgets drives that owe nothing any
// more because they are gone.
func (h *Healer) keepSupplied(ctx context.Context, id string, n supplyNote) {
	known := noted(h, func(all *notes) []string { return slices.Collect(maps.Keys(all.Supplied)) })
	known = slices.DeleteFunc(known, func(other string) bool {
		var drive layout.DriveID
		_, err := hex.Decode(drive[:], []byte(other))
		holder := h.set.Holder(drive)
		return err == nil && holder.Slot >= 0 && !holder.Heir
	})
	h.keep(ctx, func(all *notes) {
		for _, gone := range known {
			delete(all.Supplied, gone)
		}
		all.Supplied[id] = n
	})
}

// supplying is a drive that is being given what it owes.
type supplying struct {
	h       *Healer
	o       Owing
	job     Job
	p       pacer
	room    chan struct{} // held by each that is being rebuilt
	wg      sync.WaitGroup
	shards  atomic.Uint64
	bytes   atomic.Uint64
	rebuilt atomic.Uint64
	left    atomic.Uint64 // could not be rebuilt: told, and known

	mu  sync.Mutex // guards err
	err error      // why it can not go on now
}

func (s *supplying) note(before supplyNote) supplyNote {
	before.Shards += s.shards.Load()
	before.Bytes += s.bytes.Load()
	s.shards.Store(0)
	s.bytes.Store(0)
	return before
}

func (s *supplying) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// place has the drive's shard of a place rebuilt, if there is one and it is not
// there.
func (s *supplying) place(ctx context.Context, slot layout.Slot, at layout.Position, place layout.Place) error {
	if err := errors.Join(ctx.Err(), s.failed()); err != nil {
		return err
	}
	shard := slices.IndexFunc(place.Drives, func(id layout.DriveID) bool { return slices.Contains(s.o.Past, id) })
	if shard < 0 {
		return nil
	}
	size := place.Size / int64(max(1, len(place.Drives)-int(place.Parity)))
	if err := s.p.wait(ctx, size); err != nil {
		return err
	}
	d := Damage{Place: place, Shard: shard, Slot: slot, At: at}
	if place.Kind == layout.PlaceInline {
		return s.bring(ctx, d, size) // copied with the index, as a rule: a look-up
	}
	if err := acquire(ctx, s.room); err != nil {
		return err
	}
	s.wg.Go(func() {
		defer func() { <-s.room }()
		if err := s.bring(ctx, d, size); err != nil {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
		}
	})
	return nil
}

// bring rebuilds one shard where it is missing. An error ends the work: the drive
// is out of reach.
func (s *supplying) bring(ctx context.Context, d Damage, size int64) error {
	err := s.h.set.Verify(ctx, d.Place, d.Shard, true)
	if err != nil && !errors.Is(err, ErrAway) {
		d.Err = err
		if err = s.h.mend(ctx, d, nobody); err == nil {
			s.rebuilt.Add(1)
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrAway):
		return err
	case err != nil:
		s.left.Add(1)
	}
	s.shards.Add(1)
	s.bytes.Add(uint64(size))
	s.job.Done(1, uint64(size))
	return nil
}
