package pools

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
)

// lookLimit is how long places are waited for that do not even say what they are.
const lookLimit = 10 * time.Second

// Open opens the sets of a store on the places of its pools, in any order, and
// makes the store, or the pools that it does not have, where the places are
// empty. It returns once the first set can be read; sets that can not be opened
// for their drives are out of reach are tried again.
func Open(ctx context.Context, lists [][]driveset.Place, o *Options) (*Pools, error) {
	p := &Pools{opt: *o, adding: make(chan struct{}, 1)}
	if p.opt.Set.Logger == nil {
		p.opt.Set.Logger = slog.New(slog.DiscardHandler)
	}
	if notice := p.opt.Set.Notice; notice != nil {
		p.opt.Set.Notice = func(n driveset.Notice) {
			p.notices.Lock()
			defer p.notices.Unlock()
			notice(n)
		}
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	err := p.open(ctx, lists)
	if err == nil {
		err = p.knowsReplaced()
	}
	if err != nil {
		p.cancel()
		if t := p.table.Load(); t != nil {
			return nil, errors.Join(err, closeAll(t.all))
		}
		if p.first != nil {
			return nil, errors.Join(err, p.first.Close())
		}
		return nil, err
	}
	p.keep()
	return p, nil
}

func (p *Pools) open(ctx context.Context, lists [][]driveset.Place) error {
	if one, err := p.openOne(ctx, lists); one {
		return err
	}
	found, err := p.lookAll(ctx, lists, false)
	if err != nil {
		return err
	}
	pools, added, err := p.sort(ctx, found)
	if err != nil && ctx.Err() == nil {
		pools, added, err = p.sortAgain(ctx, lists, err)
	}
	if err != nil {
		return err
	}
	if added {
		if err := p.record(ctx, pools); err != nil {
			return err
		}
	}
	return p.openRest(ctx, pools)
}

// sort finds which places make which set, opens the first set, and formats the pools
// that the store does not have yet, which added says.
func (p *Pools) sort(ctx context.Context, found [][]seen) (pools []plan, added bool, err error) {
	plans := make([]plan, len(found))
	for i := range found {
		if plans[i], err = arrange(found[i], p.opt.SetDrives, nil); err != nil {
			return nil, false, err
		}
	}
	zero, err := firstPool(plans)
	if err != nil {
		return nil, false, err
	}
	if err := p.openFirst(ctx, plans, zero); err != nil {
		return nil, false, err
	}
	recorded, err := readShapes(ctx, p.first)
	if err != nil {
		return nil, false, err
	}
	return p.match(ctx, recorded, found, plans, zero)
}

// sortAgain sorts after an error, which a format file that is damaged may have made:
// it may say anything. The indexes are asked.
func (p *Pools) sortAgain(ctx context.Context, lists [][]driveset.Place, failed error) ([]plan, bool, error) {
	if p.first != nil {
		if err := p.first.Close(); err != nil {
			return nil, false, errors.Join(failed, err)
		}
		p.first = nil
	}
	found, err := p.lookAll(ctx, lists, true)
	if err != nil || !damaged(found) {
		return nil, false, errors.Join(failed, err)
	}
	return p.sort(ctx, found)
}

// openOne opens what is mostly there: one set. It is false where the places are
// of several.
func (p *Pools) openOne(ctx context.Context, lists [][]driveset.Place) (bool, error) {
	places := lists[0]
	if len(lists) > 1 || len(places) > maxSetDrives || p.opt.SetDrives != 0 && p.opt.SetDrives != len(places) {
		return false, nil
	}
	set, err := driveset.Open(ctx, places, p.setOptions(0, 0, layout.DeploymentID{}, 1))
	if err != nil {
		several := errors.Is(err, driveset.ErrMixed) && ctx.Err() == nil && severalSets(p.look(ctx, places, false))
		return !several, err
	}
	p.first, p.created = set, set.Created()
	recorded, err := readShapes(ctx, set)
	if err != nil {
		return true, err
	}
	for pool, shape := range recorded {
		if pool > 0 {
			return true, missing(pool, shape)
		}
		if shape.Sets > 1 {
			return true, fmt.Errorf("%w: pool 0 has %d sets of %d drives: none of set 1 was given", driveset.ErrTooFew, shape.Sets, shape.Drives)
		}
	}
	m := &Member{Drives: set.Drives(), places: places}
	m.set.Store(set)
	p.table.Store(newTable(newHashKey(set.Deployment()), [][]*Member{{m}}))
	return true, nil
}

func severalSets(places []seen) bool {
	return slices.ContainsFunc(places, func(a seen) bool {
		return slices.ContainsFunc(places, func(b seen) bool {
			return a.known && b.known && a.id.Deployment == b.id.Deployment && (a.id.Set != b.id.Set || a.id.Pool != b.id.Pool)
		})
	})
}

func missing(pool int, s shape) error {
	return fmt.Errorf("%w: pool %d, of %d sets of %d drives: none of its drives was given", driveset.ErrTooFew, pool, s.Sets, s.Drives)
}

// setOptions are those of one set of so many.
func (p *Pools) setOptions(pool, set int, deployment layout.DeploymentID, sets int) *driveset.Options {
	o := p.opt.Set
	o.Pool, o.Set, o.Deployment = pool, set, deployment
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	o.CacheBytes = max(o.CacheBytes/int64(sets), min(o.CacheBytes, leastCache))
	return &o
}

// The cache of indexes for all sets, and the least that one of them has.
const (
	defaultCache = 48 << 20
	leastCache   = 4 << 20
)

func (p *Pools) lookAll(ctx context.Context, lists [][]driveset.Place, vouch bool) ([][]seen, error) {
	found := make([][]seen, len(lists))
	for i, list := range lists {
		found[i] = p.look(ctx, list, vouch)
	}
	return found, ctx.Err()
}

// damaged: there is a drive whose index says that it is not what its format file says.
func damaged(found [][]seen) bool {
	return slices.ContainsFunc(slices.Concat(found...), func(s seen) bool { return errors.Is(s.err, layout.ErrDamaged) })
}

// look looks at all places, without changing anything. vouch has the indexes asked as
// well: a drive that its own belies is not known.
func (p *Pools) look(ctx context.Context, list []driveset.Place, vouch bool) []seen {
	out := make([]seen, len(list))
	type answer struct {
		at int
		seen
	}
	answers := make(chan answer, len(list))
	o := &layout.Options{Logger: p.opt.Set.Logger, TrustLocks: true, Memory: p.opt.Set.Memory, ReadOnly: true, Now: p.opt.Set.Clock}
	for i, place := range list {
		out[i] = seen{Place: place, err: errors.New("the place does not answer")}
		go func() { answers <- answer{i, lookAt(ctx, place, o, vouch)} }()
	}
	limit := time.NewTimer(lookLimit)
	defer limit.Stop()
	for range list {
		select {
		case a := <-answers:
			out[a.at] = a.seen
		case <-limit.C:
			return out
		case <-ctx.Done():
			return out
		}
	}
	return out
}

func lookAt(ctx context.Context, place driveset.Place, o *layout.Options, vouch bool) seen {
	s := seen{Place: place}
	claim, err := layout.Claim(ctx, place.FS, place.Path, o)
	if errors.Is(err, fs.ErrNotExist) { // there is not even a lock: formatting was begun, at most
		s.blank = true
		return s
	}
	if err != nil {
		s.err = err
		return s
	}
	s.id, s.known = claim.Identity()
	s.blank = !s.known
	if vouch {
		if err = claim.Vouch(ctx); errors.Is(err, layout.ErrDamaged) {
			s.err, s.known = err, false
		}
	}
	s.err = errors.Join(s.err, claim.Release())
	return s
}

// firstPool finds the list of the pool 0: the one whose drives say so, or else
// the first whose drives do not say of which they are.
func firstPool(plans []plan) (int, error) {
	zero := slices.IndexFunc(plans, func(p plan) bool { return p.pool == 0 })
	if zero < 0 {
		zero = slices.IndexFunc(plans, func(p plan) bool { return p.pool < 0 })
	}
	if zero < 0 {
		return 0, fmt.Errorf("%w: pool 0: none of its drives was given", driveset.ErrTooFew)
	}
	var deployment layout.DeploymentID
	pools := map[int]bool{}
	for _, p := range plans {
		if p.pool < 0 {
			continue
		}
		if deployment != (layout.DeploymentID{}) && p.deployment != deployment {
			return 0, fmt.Errorf("%w: pools of deployments %s and %s", driveset.ErrMixed, deployment, p.deployment)
		}
		if pools[p.pool] {
			return 0, fmt.Errorf("%w: the drives of pool %d were given as two pools", driveset.ErrMixed, p.pool)
		}
		deployment, pools[p.pool] = p.deployment, true
	}
	return zero, nil
}

// openFirst opens the first set. Where it has no drive yet the store is made: all
// other sets are formatted first, which is refused if one of them was ever
// opened, so that a first set that is out of reach is never taken for a new one.
func (p *Pools) openFirst(ctx context.Context, plans []plan, zero int) (err error) {
	var deployment layout.DeploymentID
	for _, pl := range plans {
		if pl.pool >= 0 {
			deployment = pl.deployment
		}
	}
	sets := countSets(plans)
	places := plans[zero].sets[0]
	if allBlank(places) && !p.opt.Set.MustExist && !p.opt.Set.ReadOnly {
		if deployment == (layout.DeploymentID{}) {
			if _, err := rand.Read(deployment[:]); err != nil {
				return err
			}
		}
		next := 1
		for i := range plans {
			pool := 0
			if i != zero {
				pool, next = next, next+1
			}
			if err := p.format(ctx, &plans[i], pool, deployment); err != nil {
				return err
			}
		}
	}
	p.first, err = driveset.Open(ctx, placesOf(places), p.setOptions(0, 0, deployment, sets))
	if err == nil {
		p.created = p.first.Created()
	}
	return err
}

func countSets(plans []plan) (n int) {
	for _, p := range plans {
		n += p.Sets
	}
	return n
}

func allBlank(places []seen) bool {
	return !slices.ContainsFunc(places, func(s seen) bool { return !s.blank })
}

func placesOf(set []seen) []driveset.Place {
	out := make([]driveset.Place, len(set))
	for i, s := range set {
		out[i] = s.Place
	}
	return out
}

// format makes drives of the places of a pool, but for the store's first set.
func (p *Pools) format(ctx context.Context, pl *plan, pool int, deployment layout.DeploymentID) error {
	if pl.pool >= 0 && (pl.pool != pool || pl.deployment != deployment) {
		return fmt.Errorf("%w: %s is of pool %d of deployment %s, and can not become pool %d of %s", driveset.ErrMixed,
			pl.sets[0][0].Path, pl.pool, pl.deployment, pool, deployment)
	}
	for i, set := range pl.sets {
		if len(set) < pl.Drives {
			return fmt.Errorf("%w: set %d of pool %d has %d places, and is to have %d drives", driveset.ErrTooFew, i, pool, len(set), pl.Drives)
		}
		for _, s := range set {
			if s.err != nil {
				return fmt.Errorf("%s: %w", s.Path, s.err)
			}
		}
	}
	for i, set := range pl.sets {
		if pool == 0 && i == 0 {
			continue
		}
		o := p.setOptions(pool, i, deployment, 1)
		o.MustExist = false // who asks for it knows
		err := driveset.Format(ctx, placesOf(set), o)
		if errors.Is(err, driveset.ErrServed) {
			return fmt.Errorf("%w: set %d of pool %d was in use, and the store's first set knows nothing of it or is missing", driveset.ErrTooFew, i, pool)
		}
		if err != nil {
			return err
		}
	}
	pl.pool, pl.deployment = pool, deployment
	return nil
}

// match gives the plans by the numbers of their pools, after what is recorded, and
// formats the pools that are not. added says that there are such.
func (p *Pools) match(ctx context.Context, recorded []shape, found [][]seen, plans []plan, zero int) (pools []plan, added bool, err error) {
	known := max(1, len(recorded))
	pools = make([]plan, known)
	taken := make([]bool, known)
	var rest []int
	for i, pl := range plans {
		pool := pl.pool
		if i == zero {
			pool = 0
		}
		if pool < 0 || pool >= known {
			rest = append(rest, i)
			continue
		}
		pools[pool], taken[pool] = pl, true
		if recorded != nil {
			if pools[pool], err = arrange(found[i], 0, &recorded[pool]); err != nil {
				return nil, false, err
			}
		}
	}
	for pool := range known {
		if taken[pool] {
			continue
		}
		blank := slices.IndexFunc(rest, func(i int) bool { return plans[i].pool < 0 })
		if blank < 0 {
			return nil, false, missing(pool, recorded[pool])
		}
		if pools[pool], err = arrange(found[rest[blank]], 0, &recorded[pool]); err != nil {
			return nil, false, err
		}
		rest = slices.Delete(rest, blank, blank+1)
	}
	if (len(rest) > 0 || recorded == nil && pools[0].Sets > 1) && (p.opt.Set.MustExist || p.opt.Set.ReadOnly) {
		return nil, false, fmt.Errorf("%w: a pool, or a part of one, that the store does not have yet", driveset.ErrMustExist)
	}
	if recorded == nil && pools[0].Sets > 1 {
		if err := p.nothingYet(ctx); err != nil {
			return nil, false, err
		}
		if err := p.format(ctx, &pools[0], 0, p.first.Deployment()); err != nil {
			return nil, false, err
		}
		added = true
	}
	for _, i := range rest {
		if err := p.format(ctx, &plans[i], len(pools), p.first.Deployment()); err != nil {
			return nil, false, err
		}
		pools, added = append(pools, plans[i]), true
	}
	for pool, pl := range pools {
		for set, places := range pl.sets {
			if len(places) == 0 {
				return nil, false, fmt.Errorf("%w: set %d of pool %d: none of its drives was given", driveset.ErrTooFew, set, pool)
			}
		}
	}
	return pools, added, nil
}

// openRest opens all sets but the first, several at a time, and makes the table.
func (p *Pools) openRest(ctx context.Context, pools []plan) error {
	members := make([][]*Member, len(pools))
	for pool, pl := range pools {
		members[pool] = p.members(pool, pl)
	}
	members[0][0].set.Store(p.first)
	t := newTable(newHashKey(p.first.Deployment()), members)
	p.table.Store(t)
	return p.openMembers(ctx, t.all[1:])
}

func (p *Pools) members(pool int, pl plan) []*Member {
	out := make([]*Member, len(pl.sets))
	for set, places := range pl.sets {
		out[set] = &Member{Pool: pool, Set: set, Drives: pl.Drives, places: placesOf(places)}
	}
	return out
}

// openMembers opens sets. One whose drives are out of reach is no error: it is
// tried again. What no waiting mends is one.
func (p *Pools) openMembers(ctx context.Context, members []*Member) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { errs[i] = p.openMember(ctx, m) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	var wrong error
	for i, m := range members {
		switch {
		case errs[i] == nil:
		case hopeless(errs[i]) || p.opt.Set.ReadOnly:
			wrong = errors.Join(wrong, fmt.Errorf("set %d of pool %d: %w", m.Set, m.Pool, errs[i]))
		default:
			p.opt.Set.Logger.ErrorContext(ctx, "sherd: a set can not be opened", "pool", m.Pool, "set", m.Set,
				"drives", strings.Join(m.Paths(), ", "), "error", errs[i])
		}
	}
	return wrong
}

func (p *Pools) openMember(ctx context.Context, m *Member) error {
	t := p.Table()
	o := p.setOptions(m.Pool, m.Set, p.first.Deployment(), len(t.all))
	o.MustExist = true
	set, err := driveset.Open(ctx, m.places, o)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err = err; err == nil {
		m.set.Store(set)
	}
	return err
}

// hopeless errors are the caller's mistakes.
func hopeless(err error) bool {
	for _, target := range []error{layout.ErrForeign, layout.ErrInUse, layout.ErrUntrusted, driveset.ErrMixed} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
