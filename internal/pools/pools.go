// Package pools makes several sets of drives one store: it finds which drives
// make which set, opens the sets, says in which of them a key lives, and adds
// pools to a store that runs.
//
// # What it guarantees
//
//   - A key lives in one set: of the pool where it is, the one that its hash
//     names. It is placed in a pool only after a definite no from every other one;
//     a pool that can not be asked makes unknown keys driveset.ErrUnavailable.
//   - Which pools and sets a store has is recorded in its first set. A store is
//     not opened without one of them, unless that set's drives are out of reach:
//     then what is in it is unavailable, and it is opened as soon as it can be.
//   - Drives are matched to sets by what they say of themselves. A set that was
//     ever opened is not formatted again.
//
// # What it does not
//
// It takes no lock on keys: that a key is not placed twice is for the caller to
// see to, by asking once more under the key's lock. Copies of bucket records are
// the caller's, too.
//
// # How it is built
//
// A Table is the sets at a moment and never changes; adding a pool makes another
// one. A Member is a set that is open, or is tried again. Where a store has one
// set, everything else is skipped.
package pools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// Options of the sets of a store.
type Options struct {
	// Set is for every set. Pool, Set and Deployment are filled in; CacheBytes is
	// for all sets together.
	Set driveset.Options
	// SetDrives is how many drives a set has where a pool is made; 0: the largest
	// divisor of their number that is at most 16.
	SetDrives int
}

// Pools is the sets of a store. All methods may be called concurrently.
type Pools struct {
	opt     Options
	first   *driveset.Set
	created bool
	table   atomic.Pointer[Table]
	adding  chan struct{} // held by who adds a pool
	notices sync.Mutex

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	keeps  bool // the goroutine that keeps runs
	closed bool
}

// Table is the sets of a store at a moment.
type Table struct {
	only  *driveset.Set // of a store that has one set
	pools [][]*Member
	all   []*Member
	key   hashKey
}

// Member is a set of a store.
type Member struct {
	Pool, Set int
	Drives    int
	places    []driveset.Place
	set       atomic.Pointer[driveset.Set]
	room      atomic.Int64 // bytes that its drives can still take
	measured  atomic.Bool  // room is known

	mu   sync.Mutex
	err  error // why it is not open
	wait int   // ticks until it is tried again
	next int   // what wait is set to then
}

// keepInterval is how often sets that are not open are looked at, and how old it
// may be what is known of their room.
const (
	keepInterval = time.Second
	maxWait      = 30 // intervals
)

// Get gives the set, or driveset.ErrNotServing while it could not be opened.
func (m *Member) Get() (*driveset.Set, error) {
	if set := m.set.Load(); set != nil {
		return set, nil
	}
	return nil, fmt.Errorf("%w: set %d of pool %d: %v", driveset.ErrNotServing, m.Set, m.Pool, m.Err())
}

// Err is why the set is not open.
func (m *Member) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Health tells how the set is; of one that is not open only where its drives
// should be.
func (m *Member) Health() driveset.Health {
	if set := m.set.Load(); set != nil {
		return set.Health()
	}
	h := driveset.Health{Degraded: true, Needed: quorum.Write(m.Drives)}
	if err := m.Err(); err != nil {
		h.Reason = err.Error()
	}
	for _, p := range m.places {
		h.Drives = append(h.Drives, driveset.DriveHealth{Path: p.Path, Slot: -1})
	}
	return h
}

// Paths are the places of the set's drives.
func (m *Member) Paths() []string {
	out := make([]string, len(m.places))
	for i, p := range m.places {
		out[i] = p.Path
	}
	return out
}

// First is the first set of the first pool, which owns names and configuration.
func (p *Pools) First() *driveset.Set { return p.first }

// Created tells that opening made the store.
func (p *Pools) Created() bool { return p.created }

// Table is the sets as they are now.
func (p *Pools) Table() *Table { return p.table.Load() }

// Members are the sets, pool by pool.
func (t *Table) Members() []*Member { return t.all }

// Only is the set of a store that has one; else nil.
func (t *Table) Only() *driveset.Set { return t.only }

// Drives is how many drives a set has, the smallest.
func (t *Table) Drives() int {
	least := t.all[0].Drives
	for _, m := range t.all {
		least = min(least, m.Drives)
	}
	return least
}

func newTable(key hashKey, pools [][]*Member) *Table {
	t := &Table{pools: pools, key: key}
	for _, pool := range pools {
		t.all = append(t.all, pool...)
	}
	if len(t.all) == 1 {
		t.only = t.all[0].set.Load()
	}
	return t
}

// in gives the set of a pool that a key would be in.
func (t *Table) in(pool int, hash uint64) *Member {
	return t.pools[pool][hash%uint64(len(t.pools[pool]))]
}

// Locate finds the set that a key lives in. Where it lives in none it gives the
// one of the most room that would take it, and found is false; with one pool
// there is only one that can be meant, and found is true.
func (t *Table) Locate(ctx context.Context, b layout.BucketID, key string) (set *driveset.Set, found bool, err error) {
	if t.only != nil {
		return t.only, true, nil
	}
	hash := t.key.sum(b, key)
	if len(t.pools) == 1 {
		set, err = t.in(0, hash).Get()
		return set, true, err
	}
	var unknown error
	for pool := range t.pools {
		set, err := t.in(pool, hash).Get()
		if err == nil {
			var has bool
			if has, err = holds(ctx, set, b, key); has {
				return set, true, nil
			}
		}
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		unknown = errors.Join(unknown, err)
	}
	if unknown != nil {
		return nil, false, fmt.Errorf("%w: a pool that may have the key can not be asked: %w", driveset.ErrUnavailable, unknown)
	}
	set, err = t.roomiest(hash).Get()
	return set, false, err
}

// Takes tells whether a key that is nowhere could be placed in a set.
func (t *Table) Takes(set *driveset.Set, b layout.BucketID, key string) bool {
	hash := t.key.sum(b, key)
	return slices.ContainsFunc(t.all, func(m *Member) bool { return m.set.Load() == set && t.in(m.Pool, hash) == m })
}

// holds tells whether a version or an upload of a key is in a set.
func holds(ctx context.Context, set *driveset.Set, b layout.BucketID, key string) (bool, error) {
	view, err := set.View(ctx)
	if err != nil {
		return false, err
	}
	defer view.Close()
	return inView(ctx, view, b, key)
}

func inView(ctx context.Context, view *driveset.View, b layout.BucketID, key string) (bool, error) {
	if _, ok, err := view.Latest(ctx, b, key); err != nil || ok {
		return ok, err
	}
	cursor, err := view.Cursor(ctx, layout.UploadFromSlot(b, key), layout.AfterUploadsSlot(b, key))
	if err != nil {
		return false, err
	}
	defer cursor.Close()
	ok := cursor.Next()
	return ok, cursor.Err()
}

// roomiest gives, of the sets that a new key could be in, one that serves and has
// the most room. Of those that have about as much the hash takes one, so that they
// fill side by side.
func (t *Table) roomiest(hash uint64) *Member {
	candidates := make([]candidate, len(t.pools))
	for pool := range t.pools {
		m := t.in(pool, hash)
		candidates[pool] = candidate{m.mode(), m.roomNow()}
	}
	return t.in(choose(candidates, hash>>32), hash)
}

// candidate is what is known of a set that could take a key.
type candidate struct {
	mode driveset.Mode
	room int64 // −1: not known
}

// choose takes one of the candidates that are best.
func choose(all []candidate, draw uint64) int {
	var mode driveset.Mode
	for _, c := range all {
		mode = max(mode, c.mode)
	}
	most := int64(0)
	for _, c := range all {
		if c.mode == mode {
			most = max(most, c.room)
		}
	}
	best := make([]int, 0, len(all))
	for i, c := range all {
		if c.mode == mode && (c.room < 0 || c.room >= most-most/8) {
			best = append(best, i)
		}
	}
	return best[draw%uint64(len(best))]
}

func (m *Member) mode() driveset.Mode {
	if set := m.set.Load(); set != nil {
		return set.Mode()
	}
	return driveset.Closed
}

// roomNow is what was measured last; −1: nothing yet.
func (m *Member) roomNow() int64 {
	if !m.measured.Load() {
		m.measure()
	}
	if !m.measured.Load() {
		return -1
	}
	return m.room.Load()
}

// measure notes how much room a set has.
func (m *Member) measure() {
	set := m.set.Load()
	if set == nil {
		return
	}
	free, known := uint64(0), false
	for _, d := range set.Health().Drives {
		if d.Usage.Total > 0 && (!known || d.Usage.Free < free) {
			free, known = d.Usage.Free, true
		}
	}
	data, _ := quorum.Geometry(m.Drives, quorum.DefaultParity(m.Drives))
	m.room.Store(int64(min(free, 1<<50)) * int64(data))
	m.measured.Store(known)
}

// Snapshot is a view of every set, made one after the other.
type Snapshot struct {
	t     *Table
	views []*driveset.View // as Table.Members
}

// Snapshot opens one, or fails if any of the sets can not be read.
func (t *Table) Snapshot(ctx context.Context) (*Snapshot, error) {
	s := &Snapshot{t: t, views: make([]*driveset.View, 0, len(t.all))}
	for _, m := range t.all {
		set, err := m.Get()
		if err == nil {
			var view *driveset.View
			if view, err = set.View(ctx); err == nil {
				s.views = append(s.views, view)
			}
		}
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Cursor walks a range in all sets.
func (s *Snapshot) Cursor(ctx context.Context, from, to layout.Slot) (layout.Cursor, error) {
	cursors := make([]layout.Cursor, 0, len(s.views))
	for _, view := range s.views {
		c, err := view.Cursor(ctx, from, to)
		if err != nil {
			return nil, errors.Join(err, Merge(cursors).Close())
		}
		cursors = append(cursors, c)
	}
	return Merge(cursors), nil
}

// Of gives the view of the set that a key is in; where it is in none, of any.
func (s *Snapshot) Of(ctx context.Context, b layout.BucketID, key string) (*driveset.View, error) {
	if len(s.views) == 1 {
		return s.views[0], nil
	}
	hash := s.t.key.sum(b, key)
	for pool := range s.t.pools {
		view := s.views[slices.Index(s.t.all, s.t.in(pool, hash))]
		if len(s.t.pools) == 1 {
			return view, nil
		}
		if has, err := inView(ctx, view, b, key); err != nil || has {
			return view, err
		}
	}
	return s.views[0], nil
}

// Close closes the views.
func (s *Snapshot) Close() {
	for _, view := range s.views {
		view.Close()
	}
}

// Run does what the options have left to it, until the context ends.
func (p *Pools) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		tick := time.NewTicker(keepInterval)
		defer tick.Stop()
		running := map[*driveset.Set]bool{}
		for {
			for _, m := range p.Table().all {
				if set := m.set.Load(); set != nil && !running[set] {
					running[set] = true
					g.Go(func() error { return set.Run(ctx) })
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			p.tend(ctx)
		}
	})
	return g.Wait()
}

// keep starts what a store of several sets needs, once.
func (p *Pools) keep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.Table().all {
		m.measure()
	}
	if p.keeps || p.closed || p.opt.Set.Manual || p.Table().only != nil {
		return
	}
	p.keeps = true
	p.wg.Go(func() {
		tick := time.NewTicker(keepInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.tend(p.ctx)
			case <-p.ctx.Done():
				return
			}
		}
	})
}

// tend measures the sets, and opens those that were not.
func (p *Pools) tend(ctx context.Context) {
	for _, m := range p.Table().all {
		if m.set.Load() != nil || !m.due() {
			m.measure()
			continue
		}
		if err := p.openMember(ctx, m); err == nil {
			p.opt.Set.Logger.InfoContext(ctx, "sherd: a set is open", "pool", m.Pool, "set", m.Set)
		}
	}
}

// due tells whether a set is to be tried again.
func (m *Member) due() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wait--; m.wait > 0 {
		return false
	}
	m.next = min(maxWait, max(1, 2*m.next))
	m.wait = m.next
	return true
}

// Close ends the sets.
func (p *Pools) Close() error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if again {
		return nil
	}
	p.cancel()
	p.wg.Wait()
	p.adding <- struct{}{} // who adds a pool ends with the context
	return closeAll(p.Table().all)
}

func closeAll(members []*Member) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		if set := m.set.Load(); set != nil {
			wg.Go(func() { errs[i] = set.Close() })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
