package heal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sherd-storage/sherd/layout"
)

// Moments of the background work.
const (
	firstScrub = 10 * time.Minute // after the start, where none was ever made, or as soon as the next is due
	tidyEvery  = 24 * time.Hour   // at least as often garbage and quarantine are looked for, and objects counted
	saveEvery  = time.Minute
	countPace  = 50_000 // records a second
)

// notes are what healing remembers across restarts, in a document of the set's.
type notes struct {
	Scrub    scrubNote             `json:"scrub"`
	Supplied map[string]supplyNote `json:"supplied,omitempty"` // by drive id
	Census   *censusNote           `json:"census,omitempty"`
	Wounded  bool                  `json:"wounded,omitempty"` // something is known that could not be mended
}

// scrubNote is how far a scrub came. Behind is the last slot that it looked at;
// none: it was ended.
type scrubNote struct {
	Begun   time.Time   `json:"begun"`
	Ended   time.Time   `json:"ended"`
	Behind  layout.Slot `json:"behind,omitempty"`
	Records uint64      `json:"records"`
	Bytes   uint64      `json:"bytes"`
	Counted []classNote `json:"counted,omitempty"`
}

// censusNote is what was counted.
type censusNote struct {
	At      time.Time   `json:"at"`
	Classes []classNote `json:"classes"`
}

// Recall reads what healing noted before, if that can be read now: until it is, drives
// that took another's place are taken to owe what they have.
func (h *Healer) Recall(ctx context.Context) {
	if err := h.load(ctx); err != nil && ctx.Err() == nil {
		h.opt.Logger.Debug("sherd: what healing had noted can not be read yet", "error", err)
	}
}

// load reads the notes, once.
func (h *Healer) load(ctx context.Context) error {
	h.mu.Lock()
	read := h.read
	h.mu.Unlock()
	if read {
		return nil
	}
	document, err := h.set.Load(ctx)
	if err != nil {
		return err
	}
	var n notes
	if len(document) > 0 {
		if err := json.Unmarshal(document, &n); err != nil {
			h.opt.Logger.Warn("sherd: what healing had noted can not be read; it begins anew", "error", err)
			n = notes{}
		}
	}
	if n.Supplied == nil {
		n.Supplied = map[string]supplyNote{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.read {
		return nil
	}
	if n.Wounded = n.Wounded || h.inherited; n.Wounded {
		h.inherited = true
		n.Scrub.Behind = nil // what was wrong may lie before that
	}
	h.note, h.read = n, true
	h.countImages()
	if c := n.Census; c != nil {
		h.census.restore(classesOf(c.Classes), c.At)
	}
	return nil
}

// restore takes what an earlier process counted, together with what was written
// since this one began.
func (c *census) restore(before classes, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		return
	}
	merge(before, c.classes)
	c.classes, c.known, c.stale, c.counted = before, true, true, at
}

// keep changes the notes and has the set keep them. A set that can not write now
// keeps them in memory until the next time.
func (h *Healer) keep(ctx context.Context, change func(n *notes)) {
	if acquire(ctx, h.save) != nil {
		return
	}
	defer func() { <-h.save }()
	h.mu.Lock()
	change(&h.note)
	h.countImages()
	document, err := json.Marshal(&h.note)
	h.mu.Unlock()
	if err == nil {
		err = h.set.Save(ctx, document)
	}
	h.mu.Lock()
	h.unsaved = err != nil
	h.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		h.opt.Logger.Debug("sherd: what healing notes could not be kept", "error", err)
	}
}

// noted gives a part of the notes.
func noted[T any](h *Healer, get func(n *notes) T) T {
	h.mu.Lock()
	defer h.mu.Unlock()
	return get(&h.note)
}

// scrubDue does what is due of counting, tidying and scrubbing.
func (h *Healer) scrubDue(ctx context.Context) error {
	if err := h.load(ctx); err != nil {
		return err
	}
	select {
	case h.turn <- struct{}{}:
	default:
		return nil // it is done already, at the word of somebody
	}
	defer func() { <-h.turn }()
	now, every := h.opt.Now(), tidyEvery
	for _, other := range []time.Duration{h.opt.ScrubEvery, h.opt.QuarantineAge} {
		if other > 0 {
			every = min(every, other)
		}
	}
	if h.born.IsZero() {
		h.born = now
	}
	if h.census.due(h.opt.Clock(), every) {
		if err := h.countAll(ctx, countPace); err != nil {
			return err
		}
	}
	settled := now.Sub(h.born) >= firstScrub
	if settled && (h.tidied.IsZero() || now.Sub(h.tidied) >= every) {
		if _, err := h.tidy(ctx); err != nil {
			return err
		}
		h.tidied = now
	}
	inherited := h.wounded(ctx)
	n := noted(h, func(n *notes) scrubNote { return n.Scrub })
	first := (n.Begun.IsZero() || inherited) && now.Sub(h.born) >= h.soon(firstScrub)
	due := len(n.Behind) > 0 || first || !n.Begun.IsZero() && h.opt.Clock().Sub(n.Begun) >= h.opt.ScrubEvery
	if h.opt.ScrubEvery < 0 || !due {
		return nil
	}
	return h.scrub(ctx, n, h.opt.ScrubBytes, nobody)
}

// wounded notes whether something is known that could not be mended, since what it is
// is forgotten with the process: the next one has a scrub look for it. It tells whether
// that is so now.
func (h *Healer) wounded(ctx context.Context) (inherited bool) {
	now := h.queue.wounded()
	h.mu.Lock()
	inherited, before := h.inherited, h.note.Wounded
	h.mu.Unlock()
	if now != before && !inherited {
		h.keep(ctx, func(n *notes) { n.Wounded = now })
	}
	return inherited
}

// due: objects are to be counted, which they are once after the start and then every so
// often.
func (c *census) due(now time.Time, every time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.known || c.stale || now.Sub(c.counted) >= every || c.counted.After(now)
}

// scrub makes a pass over everything, or goes on with one: it reads, compares and
// mends. What it finds is told to Found, and to found. It is the turn's.
func (h *Healer) scrub(ctx context.Context, n scrubNote, rate int64, found func(Finding)) error {
	if len(n.Behind) == 0 || layout.CheckSlot(n.Behind) != nil {
		n = scrubNote{Begun: h.opt.Clock(), Ended: n.Ended}
	}
	counted := classesOf(n.Counted)
	h.census.begin(n.Behind)
	job := h.opt.Begin(WorkScrub, "")
	defer job.End()
	objects, bytes := h.census.total()
	job.Expect(objects, bytes)
	job.Resume(n.Records, n.Bytes)
	p := pacer{rate: rate, now: h.opt.Now}
	saved := h.opt.Now()
	w := &walk{set: h.set, report: func(f Finding) { h.opt.Found(f); found(f) }}
	w.mend = func(ctx context.Context, d Damage) error { return h.mend(ctx, d, found) }
	w.count = func(at layout.Slot, place layout.Place) {
		h.census.counting(counted, at, place)
		n.Records++
		job.Done(1, 0)
	}
	w.step = func(ctx context.Context, at layout.Slot, read int64) error {
		n.Behind, n.Bytes = at, n.Bytes+uint64(read)
		job.Done(0, uint64(read))
		if now := h.opt.Now(); now.Sub(saved) >= saveEvery {
			saved = now
			n.Counted = noteOf(counted)
			h.keep(ctx, func(all *notes) { all.Scrub = n })
		}
		return p.wait(ctx, read)
	}
	defer w.close()
	err := w.all(ctx, n.Behind)
	if err != nil {
		// Where it stopped is kept for the next time; at a restart, what was kept last.
		n.Counted = noteOf(counted)
		h.mu.Lock()
		h.note.Scrub = n
		h.mu.Unlock()
		return err
	}
	h.census.end(counted, h.opt.Clock())
	n.Behind, n.Counted, n.Ended = nil, nil, h.opt.Clock()
	wounded := h.queue.wounded()
	h.keep(ctx, func(all *notes) {
		h.inherited = false
		all.Scrub, all.Census, all.Wounded = n, h.census.note(), wounded
	})
	return nil
}

func (c *census) note() *censusNote {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &censusNote{c.counted, noteOf(c.classes)}
}

// counting counts a place, of a record at a slot.
func (c *census) counting(to classes, at layout.Slot, place layout.Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
	c.add(to, place.Drives, place.Parity, place.Size/int64(max(1, len(place.Drives)-int(place.Parity))))
}

// total is how many objects there are, and the bytes of all their shards.
func (c *census) total() (objects, bytes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return 0, 0
	}
	for k, t := range c.classes {
		objects += t.Objects
		bytes += t.Bytes * uint64(k.shards())
	}
	return objects, bytes
}

// countAll counts all objects, by their records alone; pace bounds how many in a
// second.
func (h *Healer) countAll(ctx context.Context, pace int64) error {
	counted := classes{}
	h.census.begin(nil)
	p := pacer{rate: pace, now: h.opt.Now}
	err := h.places(ctx, nil, func(at layout.Slot, _ layout.Position, place layout.Place) error {
		h.census.counting(counted, at, place)
		return p.wait(ctx, 1)
	})
	if err != nil {
		return err
	}
	h.census.end(counted, h.opt.Clock())
	if c := h.census.note(); len(c.Classes) > 0 { // an empty set is counted in no time
		h.keep(ctx, func(all *notes) { all.Census = c })
	}
	return nil
}

// Walk gives the places of all versions and parts that have bytes, and then counts
// them anew.
func (h *Healer) Walk(ctx context.Context, give func(layout.Slot, layout.Position, layout.Place) error) error {
	if err := h.places(ctx, nil, give); err != nil {
		return err
	}
	if err := acquire(ctx, h.turn); err != nil {
		return err
	}
	defer func() { <-h.turn }()
	return h.countAll(ctx, 0)
}

// places gives the places of all versions and parts that have bytes, in the order
// of their records, behind a slot.
func (h *Healer) places(ctx context.Context, behind layout.Slot, give func(layout.Slot, layout.Position, layout.Place) error) error {
	for _, t := range []byte{layout.TypeVersion, layout.TypePart} {
		if behind.Type() > t {
			continue
		}
		from, to := layout.TypeRange(t)
		last := layout.Slot(nil)
		if behind.Type() == t {
			from, last = behind, behind
		}
		for more := true; more; {
			var err error
			if more, err = h.placesLap(ctx, from, to, &last, give); err != nil {
				return err
			}
			from = last
		}
	}
	return nil
}

func (h *Healer) placesLap(ctx context.Context, from, to layout.Slot, last *layout.Slot, give func(layout.Slot, layout.Position, layout.Place) error) (more bool, err error) {
	v, err := h.set.Look(ctx)
	if err != nil {
		return false, err
	}
	defer v.Close()
	cur, err := v.Cursor(ctx, from, to)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, cur.Close()) }()
	for cur.Next() {
		item := cur.Item()
		if item.Slot.Compare(*last) == 0 {
			continue
		}
		*last = append(layout.Slot(nil), item.Slot...)
		rec, err := layout.DecodeRecord(item.Value)
		if err != nil {
			continue // a scrub tells
		}
		if k := rec.Place.Kind; k == layout.PlaceInline || k == layout.PlaceFile {
			if err := give(*last, item.Position, rec.Place); err != nil {
				return false, err
			}
		}
		if v.Aging() {
			return true, nil
		}
	}
	return false, cur.Err()
}

// Summary is what came of healing everything.
type Summary struct {
	Supplied  uint64 // shards that drives owed and have now
	Found     uint64 // things that were not as they should be
	Healed    uint64 // of them
	Left      uint64 // of them, that are as they were
	Discarded int    // files that nobody used
}

// All does everything that there is to do, now, as fast as it goes and to the end:
// what is known to be damaged, what drives owe, a scrub of everything, and files
// that nobody uses. found is told of what it finds, as Found is.
func (h *Healer) All(ctx context.Context, found func(Finding)) (Summary, error) {
	var sum Summary
	if err := acquire(ctx, h.turn); err != nil {
		return sum, err
	}
	defer func() { <-h.turn }()
	if err := h.load(ctx); err != nil {
		return sum, err
	}
	for _, o := range h.owing() {
		n, err := h.supply(ctx, o, 0)
		sum.Supplied += n
		if err != nil {
			return sum, err
		}
	}
	tell := func(f Finding) {
		sum.Found++
		if f.Healed {
			sum.Healed++
		} else {
			sum.Left++
		}
		found(f)
	}
	last := noted(h, func(n *notes) scrubNote { return n.Scrub })
	if err := h.scrub(ctx, scrubNote{Ended: last.Ended}, 0, tell); err != nil {
		return sum, err
	}
	var err error
	sum.Discarded, err = h.tidy(ctx)
	return sum, err
}

// tidy puts aside what nobody uses, and removes what was put aside long ago.
func (h *Healer) tidy(ctx context.Context) (discarded int, err error) {
	v, err := h.set.Look(ctx)
	if err != nil {
		return 0, err
	}
	drives := v.Drives()
	v.Close()
	for _, d := range drives {
		for dir := range 256 {
			n, err := h.set.Discard(ctx, d.Slot, byte(dir))
			discarded += n
			if err != nil {
				return discarded, fmt.Errorf("drive %s: %w", d.Path, err)
			}
		}
	}
	if discarded > 0 {
		h.opt.Logger.Info("sherd: files that nobody uses were put aside", "count", discarded)
	}
	if h.opt.QuarantineAge < 0 {
		return discarded, nil
	}
	n, err := h.set.Expire(ctx, h.opt.Clock().Add(-h.opt.QuarantineAge))
	if n > 0 {
		h.opt.Logger.Info("sherd: removed from quarantine what was put there long ago", "count", n)
	}
	return discarded, err
}

// pacer spreads work over time.
type pacer struct {
	rate  int64 // a second; 0 or less: none
	now   func() time.Time
	begun time.Time
	done  int64
}

// pieceOfTime is the shortest that is worth waiting.
const pieceOfTime = 20 * time.Millisecond

// wait waits until n more were due.
func (p *pacer) wait(ctx context.Context, n int64) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	now := p.now()
	spent := now.Sub(p.begun)
	due := time.Duration(float64(p.done) / float64(p.rate) * float64(time.Second))
	if p.begun.IsZero() || spent > due+time.Second { // what was not used is not made up for
		p.begun, p.done, spent, due = now, 0, 0, 0
	}
	p.done += n
	if ahead := due - spent; ahead > pieceOfTime {
		timer := time.NewTimer(ahead)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
