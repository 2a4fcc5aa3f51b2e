package pools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
)

// document of no bucket, in the first set, says which pools the store has. A
// store of one set needs none.
const document = ".pools"

// maxPools is the most pools of a store.
const maxPools = 64

// stored is the document.
type stored struct {
	Pools []shape `json:"pools"`
}

func slot() layout.Slot { return layout.DocumentSlot(0, document) }

// readShapes gives the shapes of the pools that are recorded; nil where nothing
// is.
func readShapes(ctx context.Context, first *driveset.Set) ([]shape, error) {
	view, err := first.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	item, ok, err := view.Get(ctx, slot())
	if err != nil || !ok {
		return nil, err
	}
	return decodeShapes(item.Value)
}

// decodeShapes refuses what it does not understand: a store that is not wholly
// known can not be used in part.
func decodeShapes(value []byte) ([]shape, error) {
	var s stored
	strict := json.NewDecoder(bytes.NewReader(value))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: the record of the pools: %w", layout.ErrNewerFormat, err)
	}
	if len(s.Pools) == 0 {
		return nil, fmt.Errorf("%w: the record of the pools has none", layout.ErrBadRecord)
	}
	for i, pool := range s.Pools {
		if pool.Sets < 1 || pool.Drives < 1 || pool.Drives > maxSetDrives {
			return nil, fmt.Errorf("%w: the record of the pools: pool %d has %d sets of %d drives", layout.ErrBadRecord, i, pool.Sets, pool.Drives)
		}
	}
	return s.Pools, nil
}

// record writes which pools the store has.
func (p *Pools) record(ctx context.Context, pools []plan) error {
	var s stored
	for _, pl := range pools {
		s.Pools = append(s.Pools, pl.shape)
	}
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := Write(ctx, p.first, []layout.Write{{Slot: slot(), Kind: layout.KindRecord, Value: value}}); err != nil {
		return err
	}
	p.opt.Set.Logger.WarnContext(ctx, "sherd: the store has new drives, which it is not opened without", "pools", len(s.Pools))
	return nil
}

// nothingYet: the store was made just now, or its making was not ended.
func (p *Pools) nothingYet(ctx context.Context) error {
	view, err := p.first.View(ctx)
	if err != nil {
		return err
	}
	defer view.Close()
	if view.Position() > 0 {
		return fmt.Errorf("%w: the store has one set of %d drives, which stays as it is: give more drives as a further pool", driveset.ErrMixed, p.first.Drives())
	}
	return nil
}

// knowsReplaced: each drive that the operator said is gone for ever is of the store, or
// was. What sets that are not open know is not known.
func (p *Pools) knowsReplaced() error {
	var sets []*driveset.Set
	for _, m := range p.Table().all {
		set := m.set.Load()
		if set == nil {
			return nil
		}
		sets = append(sets, set)
	}
	for _, id := range p.opt.Set.Replaced {
		if !slices.ContainsFunc(sets, func(s *driveset.Set) bool { return s.Knows(id) }) {
			return fmt.Errorf("%w: %s", ErrUnknownDrive, id)
		}
	}
	return nil
}

// ErrUnknownDrive: what is to be replaced is no drive of the store, and never was.
var ErrUnknownDrive = errors.New("no drive of the store has this id, or had it")

// writeTries is how often a change that was undone is tried again.
const writeTries = 4

// Write makes a change of a set that needs no lock.
func Write(ctx context.Context, set *driveset.Set, writes []layout.Write) (err error) {
	for range writeTries {
		_, err = set.Commit(ctx, func() {}, func(layout.Position, layout.Owner) (driveset.Change, error) {
			return driveset.Change{Writes: slices.Clone(writes), Reserve: true}, nil
		})
		if !errors.Is(err, driveset.ErrAborted) {
			return err
		}
	}
	return err
}

// Add makes a pool of empty places and adds it to the store, which goes on all
// the while: as soon as it returns, new keys may go there.
//
// Until it is recorded in the first set nothing is changed but the places, which
// may be given again. From then on the store is not opened without them.
func (p *Pools) Add(ctx context.Context, places []driveset.Place, setDrives int) error {
	select {
	case p.adding <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ctx.Done():
		return driveset.ErrNotServing
	}
	defer func() { <-p.adding }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	if p.opt.Set.ReadOnly {
		return driveset.ErrReadOnly
	}
	t := p.Table()
	found := p.look(ctx, places, false)
	if err := ctx.Err(); err != nil {
		return err
	}
	pl, err := arrange(found, setDrives, nil)
	if err != nil {
		return err
	}
	pool := len(t.pools)
	if pool >= maxPools {
		return fmt.Errorf("%w: a store has at most %d pools", ErrShape, maxPools)
	}
	if err := p.format(ctx, &pl, pool, p.first.Deployment()); err != nil {
		return err
	}
	pools := make([]plan, 0, pool+1)
	for _, have := range t.pools {
		pools = append(pools, plan{shape: shape{Sets: len(have), Drives: have[0].Drives}})
	}
	if err := p.record(ctx, append(pools, pl)); err != nil {
		return err
	}
	return p.join(ctx, t, p.members(pool, pl))
}

// join opens the sets of a pool that is recorded, and takes it into the table.
func (p *Pools) join(ctx context.Context, t *Table, members []*Member) error {
	err := p.openMembers(ctx, members)
	for _, m := range members {
		m.measure()
	}
	p.table.Store(newTable(t.key, append(slices.Clone(t.pools), members)))
	p.keep()
	if err != nil {
		return fmt.Errorf("the pool was added, but: %w", err)
	}
	return nil
}
