package driveset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/fanout"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/layout"
)

// errAgain: a drive failed during an opening; enough may be left without it.
var errAgain = errors.New("a drive failed while the set was being opened")

// attempt opens the set once, on the drives that are in reach: every one
// promises, tells what it has, and the log is settled among them. Nothing is
// served before. A drive that fails on the way is put away, and errAgain is
// returned.
func (s *Set) attempt(ctx context.Context) (*tenure, error) {
	cand, err := s.candidates(ctx)
	if err != nil {
		return nil, err
	}
	if len(cand) < quorum.Read(s.n) {
		return nil, fmt.Errorf("%w: %d of %d are in reach, %d are needed; %w", ErrTooFew, len(cand), s.n, quorum.Read(s.n), s.missing())
	}
	o := &opening{set: s, owner: layout.Owner{Epoch: uint64(max(0, s.now().UnixMilli())), Nonce: randomUint64()}, cand: cand}
	for _, c := range cand {
		o.owner.Epoch = max(o.owner.Epoch, c.held.Promise.Epoch+1)
	}
	o.owner.Epoch = s.opt.epoch(o.owner.Epoch)
	if !s.opt.ReadOnly {
		if err := o.promise(ctx); err != nil {
			return nil, err
		}
	}
	if err := o.listen(ctx); err != nil {
		return nil, err
	}
	if o.v, err = verdict.Decide(s.n, o.witnesses(), s.opt.Replaced...); err != nil {
		return nil, fmt.Errorf("%w; %w", err, s.missing())
	}
	o.report()
	if s.opt.ReadOnly {
		return o.openUnwritten()
	}
	if !o.v.ReadOnly {
		if err := o.leaveOutUnhealable(ctx); err != nil {
			return nil, err
		}
	}
	if !o.v.ReadOnly {
		if err := o.restoreShards(ctx); err != nil {
			return nil, err
		}
	}
	if o.v.ReadOnly {
		return o.openReadOnly(ctx)
	}
	return o.settle(ctx)
}

// opening is one attempt under way.
type opening struct {
	set   *Set
	owner layout.Owner
	cand  []*candidate
	from  layout.Position // first position that the witnesses tell of
	v     verdict.Verdict

	refillable quorum.Drives // drives whose index may be copied while the set is open for reading only
}

// candidate is a drive that is asked.
type candidate struct {
	place   *place
	drive   layout.Drive
	slot    int
	name    layout.Name // itself, and whose shards it has
	promise layout.Promise
	held    layout.Holding // what it said before the promise, and then after it
	entries []layout.Entry // its log from opening.from on
	good    map[layout.DataID]bool
	steps   atomic.Int64 // raised while what it was asked for gets on
}

func (c *candidate) step() { c.steps.Add(1) }

// fault is an error of another drive than the one that a step was for.
type fault struct {
	place *place
	err   error
}

func (f *fault) Error() string { return f.place.Path + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// candidates asks the drives that are open what they hold.
func (s *Set) candidates(ctx context.Context) ([]*candidate, error) {
	var out []*candidate
	for _, p := range s.places {
		d := p.open()
		if d == nil {
			continue
		}
		h, err := d.Holding(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			s.putAway(p, err)
			continue
		}
		out = append(out, &candidate{place: p, drive: d, slot: d.Identity().Slot, held: h, good: map[layout.DataID]bool{}})
	}
	nameThem(out)
	return out, nil
}

// nameThem finds for each drive which others had its slot before, by the newest
// state that any of them holds, or else by its own.
func nameThem(cand []*candidate) {
	var newest layout.State
	for _, c := range cand {
		if newest.Names == nil || c.held.State.Compare(newest) > 0 {
			newest = c.held.State
		}
	}
	for _, c := range cand {
		c.name = layout.Name{Drive: c.drive.Identity().Drive}
		for _, names := range [][]layout.Name{newest.Names, c.held.State.Names} {
			if c.slot < len(names) && names[c.slot].Drive == c.name.Drive {
				c.name = names[c.slot]
				break
			}
		}
	}
}

// missing names the places without a usable drive, with what is wrong there,
// and the slots that no place has.
func (s *Set) missing() error {
	out := &missingDrives{}
	seen, places := quorum.Drives(0), 0
	for _, p := range s.places {
		p.mu.Lock()
		id, identified := p.identity()
		switch {
		case p.err != nil:
			out.add(p.Path, p.err)
			places++
		case identified && !p.fenced:
			seen |= quorum.One(id.Slot)
		case p.claim != nil:
			out.names = append(out.names, fmt.Sprintf("%s (%s)", p.Path, p.claim.Condition()))
			places++
		default:
			out.names = append(out.names, p.Path)
			places++
		}
		p.mu.Unlock()
	}
	if rest := s.n - seen.Count() - places; rest > 0 {
		out.names = append(out.names, fmt.Sprintf("%d drives whose places were not given", rest))
	}
	return out
}

// identity is that of the drive that is open at the place, or was found there.
// mu is held.
func (p *place) identity() (layout.Identity, bool) {
	if p.drive != nil {
		return p.id, true
	}
	if p.claim == nil || p.claim.Condition() != layout.Formatted {
		return layout.Identity{}, false
	}
	return p.claim.Identity()
}

// missingDrives says which drives are missing, and what is wrong with them.
type missingDrives struct {
	names []string
	errs  []error
}

func (m *missingDrives) add(path string, err error) {
	text := strings.TrimPrefix(err.Error(), path+": ")
	m.names = append(m.names, fmt.Sprintf("%s (%s)", path, text))
	m.errs = append(m.errs, err)
}

func (m *missingDrives) Error() string   { return "missing: " + strings.Join(m.names, ", ") }
func (m *missingDrives) Unwrap() []error { return m.errs }

// each calls f for several candidates at once. A failure puts the drive away
// whose it is; so does staying away, making no step for the stall limit while
// as many drives as it takes to read have done their part.
func (o *opening) each(ctx context.Context, of quorum.Drives, f func(c *candidate) error) error {
	var cs []*candidate
	for _, c := range o.cand {
		if of.Has(c.slot) {
			cs = append(cs, c)
		}
	}
	calls := fanout.Calls{
		Enough: max(0, quorum.Read(o.set.n)-(len(o.cand)-len(cs))), Limit: o.set.opt.StallLimit, Go: o.set.spawn,
		Steps: func(i int) int64 { return cs[i].steps.Load() },
	}
	errs := calls.Do(ctx, len(cs), func(i int) error { return f(cs[i]) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var failed []error
	for i, err := range errs {
		if err != nil {
			failed = append(failed, o.failed(cs[i].place, err))
		}
	}
	return errors.Join(failed...)
}

// failed puts away the drive that failed: p, or the one that the error says.
func (o *opening) failed(p *place, err error) error {
	if f, ok := errors.AsType[*fault](err); ok {
		p, err = f.place, f.err
	}
	o.set.putAway(p, err)
	return fmt.Errorf("%w: %s: %w", errAgain, p.Path, err)
}

func (o *opening) asked() quorum.Drives {
	m := quorum.Drives(0)
	for _, c := range o.cand {
		m |= quorum.One(c.slot)
	}
	return m
}

// promise takes the promises, each with a session of its own. What a drive
// said before it is not used.
func (o *opening) promise(ctx context.Context) error {
	return o.each(ctx, o.asked(), func(c *candidate) error {
		c.promise = layout.Promise{Owner: o.owner, Session: randomUint64()}
		var err error
		c.held, err = c.drive.Promise(ctx, c.promise)
		return err
	})
}

// listen reads the logs from the highest stable mark on, and further back
// where the drives do not agree there; and finds the shards of what is newer.
func (o *opening) listen(ctx context.Context) error {
	stable := verdict.Stable(o.set.n, o.witnesses())
	o.from = max(1, stable)
	if err := o.read(ctx); err != nil {
		return err
	}
	if stable > 0 && !o.agreeAt(stable) {
		o.from = 1
		for _, c := range o.cand {
			if c.held.Last.Position >= stable {
				o.from = max(o.from, c.held.First)
			}
		}
		if err := o.read(ctx); err != nil {
			return err
		}
	}
	return o.each(ctx, o.asked(), func(c *candidate) error { return o.findShards(ctx, c, stable) })
}

func (o *opening) read(ctx context.Context) error {
	return o.each(ctx, o.asked(), func(c *candidate) (err error) {
		c.entries, err = readLog(ctx, c, o.from, c.held.Last.Position)
		return err
	})
}

func (o *opening) agreeAt(p layout.Position) bool {
	var chain *layout.Chain
	for _, c := range o.cand {
		if len(c.entries) == 0 || c.entries[0].Position > p {
			continue
		}
		x := &c.entries[p-c.entries[0].Position].Chain
		if chain != nil && *chain != *x {
			return false
		}
		chain = x
	}
	return true
}

// readLog reads the entries of [from, to], without contents, and asserts that
// they are consecutive and that each chain follows from the one before.
func readLog(ctx context.Context, c *candidate, from, to layout.Position) ([]layout.Entry, error) {
	var out []layout.Entry
	for from <= to {
		part, err := c.drive.Log(ctx, from, maxBatchEntries)
		if err != nil {
			return nil, err
		}
		for _, e := range part {
			if n := len(out); n > 0 && (e.Position != out[n-1].Position+1 || e.Chain != out[n-1].Chain.Next(e.Owner, e.Digest)) {
				return nil, fmt.Errorf("%w: the log breaks at position %d", layout.ErrDamaged, e.Position)
			}
			out = append(out, e)
		}
		if len(part) == 0 {
			break
		}
		from = out[len(out)-1].Position + 1
		c.step()
	}
	if n := len(out); n > 0 && out[n-1].Position < to {
		return nil, fmt.Errorf("%w: the log ends at position %d and not at %d", layout.ErrDamaged, out[n-1].Position, to)
	}
	return out, nil
}

// findShards looks which of the bytes that newer entries added a drive has. It
// asks every drive for every such entry, whoever told of it.
func (o *opening) findShards(ctx context.Context, c *candidate, stable layout.Position) error {
	r, err := c.drive.Read(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, other := range o.cand {
		for i := range other.entries {
			e := &other.entries[i]
			if e.Position <= stable {
				continue
			}
			for _, a := range e.Adds {
				if _, seen := c.good[a.Data]; seen {
					continue
				}
				ok, err := hasShard(ctx, c, r, e.Position, a)
				if err != nil {
					return err
				}
				c.good[a.Data] = ok
				c.step()
			}
		}
	}
	return nil
}

// hasShard: existence, length, header and last frame of a file; the value of
// an inline shard.
func hasShard(ctx context.Context, c *candidate, r layout.Reader, p layout.Position, a layout.Add) (bool, error) {
	shard := shardOf(a.Drives, c.name)
	if shard < 0 {
		return false, nil
	}
	if a.Inline {
		_, _, ok, err := r.Raw(layout.InlineSlot(a.Data), p)
		return ok, err
	}
	payload, err := payloadBytes(a)
	if err != nil {
		return false, err
	}
	err = c.drive.Shards().Verify(ctx, layout.ShardRef{Data: a.Data, Shard: shard, Payload: payload})
	if errors.Is(err, layout.ErrNotFound) || errors.Is(err, layout.ErrDamaged) {
		return false, nil
	}
	return err == nil, err
}

// shardOf gives the shard that is a drive's: the one laid out for itself, or for
// a drive that it succeeded in its slot; −1 when there is none.
func shardOf(drives []layout.DriveID, name layout.Name) int {
	return slices.IndexFunc(drives, func(id layout.DriveID) bool {
		return id == name.Drive || slices.Contains(name.Past, id)
	})
}

func payloadBytes(a layout.Add) (int64, error) {
	return erasure.Geometry{Data: a.DataShards(), Parity: int(a.Parity)}.ShardBytes(a.Size)
}

// witnesses puts what the candidates said into the form that the decision takes.
func (o *opening) witnesses() []verdict.Witness {
	out := make([]verdict.Witness, 0, len(o.cand))
	for _, c := range o.cand {
		w := verdict.Witness{
			Slot: c.slot, ID: c.drive.Identity().Drive, State: c.held.State, Seal: c.held.Seal,
			Stable: c.held.Stable.Position, Rebuild: c.held.Rebuild != nil, End: c.held.Last.Position,
		}
		for i := range c.entries {
			e := &c.entries[i]
			l := verdict.Logged{Position: e.Position, Epoch: e.Owner.Epoch, Chain: e.Chain, Aborts: e.Aborts}
			for _, a := range e.Adds {
				l.Adds = append(l.Adds, verdict.Held{Need: a.DataShards(), Good: o.holders(a.Data)})
			}
			w.Log = append(w.Log, l)
		}
		out = append(out, w)
	}
	return out
}

func (o *opening) holders(id layout.DataID) quorum.Drives {
	m := quorum.Drives(0)
	for _, c := range o.cand {
		if c.good[id] {
			m |= quorum.One(c.slot)
		}
	}
	return m
}

// report tells people about drives that can not be used as they are.
func (o *opening) report() {
	log := o.set.opt.Logger
	for slot := range o.v.Damaged.All() {
		c := o.at(slot)
		log.Error("sherd: a drive's log is not what the set's state says: it lost synced writes, or is an old image", "drive", c.place.Path)
		o.set.damage.add(Finding{Kind: FindingDrive, Drive: c.place.Path, Text: "lost synced writes, or is an old image"})
	}
	for slot := range o.v.Replaced.All() {
		c := o.at(slot)
		log.Error("sherd: the drive was replaced by another and is left as it is", "drive", c.place.Path)
		c.place.refuse(errReplaced, o.set.now())
	}
}

var errReplaced = errors.New("the drive was replaced by another one in its slot")

func (o *opening) at(slot int) *candidate {
	for _, c := range o.cand {
		if c.slot == slot {
			return c
		}
	}
	return nil
}
