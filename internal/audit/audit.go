// Package audit checks the drives of a store that nobody has open.
//
// # What it guarantees
//
// Nothing is written: not a lock file, not an index's log. It works with fewer
// drives than reading needs, as each is looked at by itself as far as that goes: its
// format, every block and every key of its index, its log, and its shards. What
// the drives that are in-sync hold is compared; a shard on a drive that is not
// there is told of only where too few others are left. What is wrong is a
// finding and not an error.
//
// # What it does not
//
// It gives no promise, so it says nothing of what is not stable: that is settled
// when the store is opened. Nothing is mended.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sherd-storage/sherd/internal/heal"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// Place is a directory that should be a drive.
type Place struct {
	FS   vfs.FS
	Path string
}

// Options of an audit. The zero value is the default of everything.
type Options struct {
	Logger     *slog.Logger // nil: nothing is logged
	TrustLocks bool         // as in layout.Options
	Memory     bool         // the places are in memory
	CacheBytes int64        // of the indexes, for all drives together; 0: 48 MiB
}

// Errors of an audit. Also layout.ErrInUse, while somebody has a drive open.
var (
	ErrMixed   = errors.New("the places do not belong together")
	ErrNothing = errors.New("there is no drive at the places")
)

// audit is one under way.
type audit struct {
	opt    Options
	report func(heal.Finding)
	cache  *layout.Cache
	drives []*drive // that are there, opened or not
}

// drive is a place where a drive is.
type drive struct {
	path  string
	claim *layout.Claimed
	id    layout.Identity
	drive layout.Drive // nil: it could not be opened
	held  layout.Holding
}

// Run checks the drives at the places, of all sets that they belong to, and
// reports what is not as it should be.
func Run(ctx context.Context, places []Place, o *Options, report func(heal.Finding)) (err error) {
	a := &audit{report: report}
	if o != nil {
		a.opt = *o
	}
	a.cache = layout.NewCache(cmp.Or(a.opt.CacheBytes, 48<<20))
	defer a.cache.Close()
	defer func() { err = errors.Join(err, a.close()) }()
	for _, p := range places {
		if err := a.open(ctx, p); err != nil {
			return err
		}
	}
	if len(a.drives) == 0 {
		return ErrNothing
	}
	slices.SortFunc(a.drives, func(x, y *drive) int {
		return cmp.Or(cmp.Compare(x.id.Pool, y.id.Pool), cmp.Compare(x.id.Set, y.id.Set), cmp.Compare(x.id.Slot, y.id.Slot))
	})
	for begin := 0; begin < len(a.drives); {
		end := begin + 1
		for end < len(a.drives) && a.drives[end].id.Pool == a.drives[begin].id.Pool && a.drives[end].id.Set == a.drives[begin].id.Set {
			end++
		}
		if err := a.set(ctx, a.drives[begin:end]); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

func (a *audit) close() error {
	var errs []error
	for _, d := range a.drives {
		errs = append(errs, d.claim.Release())
	}
	return errors.Join(errs...)
}

func (a *audit) found(path, text string, args ...any) {
	a.report(heal.Finding{Kind: heal.FindingDrive, Drive: path, Text: fmt.Sprintf(text, args...)})
}

// open claims a place, and opens the drive that is there. Only that somebody has
// it open, or that it can not be a drive of the same store, is an error.
func (a *audit) open(ctx context.Context, p Place) error {
	claim, err := layout.Claim(ctx, p.FS, p.Path, &layout.Options{
		Logger: a.opt.Logger, Cache: a.cache, TrustLocks: a.opt.TrustLocks, Memory: a.opt.Memory, ReadOnly: true,
	})
	switch {
	case errors.Is(err, layout.ErrInUse), errors.Is(err, layout.ErrUntrusted), ctx.Err() != nil:
		return fmt.Errorf("%s: %w", p.Path, err)
	case err != nil:
		a.found(p.Path, "it can not be told what is there: %v", err)
		return nil
	}
	id, ok := claim.Identity()
	if !ok {
		a.found(p.Path, "there is no drive: the place is %v", claim.Condition())
		return claim.Release()
	}
	d := &drive{path: p.Path, claim: claim, id: id}
	if err := a.belongs(d); err != nil {
		return errors.Join(err, claim.Release())
	}
	a.drives = append(a.drives, d)
	if d.drive, err = claim.Open(ctx); err == nil {
		d.held, err = d.drive.Holding(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.drive = nil
		a.found(p.Path, "the drive can not be opened: %v", err)
	}
	return nil
}

func (a *audit) belongs(d *drive) error {
	for _, other := range a.drives {
		switch {
		case other.id.Deployment != d.id.Deployment:
			return fmt.Errorf("%w: %s is of deployment %s, %s of %s", ErrMixed, other.path, other.id.Deployment, d.path, d.id.Deployment)
		case other.id.Drive == d.id.Drive:
			return fmt.Errorf("%w: %s and %s are the same drive, %s", ErrMixed, other.path, d.path, d.id.Drive)
		}
	}
	return nil
}

// isAlone is that of a drive that is looked at by itself.
const isAlone = true

// set checks the drives of one set.
func (a *audit) set(ctx context.Context, there []*drive) error {
	s := &set{there: there}
	if !s.force() {
		a.found("", "no drive of set %d in pool %d could be opened", there[0].id.Set, there[0].id.Pool)
		return nil
	}
	for slot, name := range s.state.Names {
		if !slices.ContainsFunc(there, func(d *drive) bool { return d.id.Drive == name.Drive }) {
			a.found("", "the drive %s, slot %d of set %d in pool %d, is not there", name.Drive, slot, there[0].id.Set, there[0].id.Pool)
		}
	}
	var together, alone []*drive
	for _, d := range there {
		if d.drive == nil {
			continue
		}
		rotten := false
		err := d.drive.(layout.Inspector).Inspect(ctx, func(err error) {
			rotten = true
			a.found(d.path, "%v", err)
		})
		if err != nil {
			return err
		}
		switch same, err := s.agrees(ctx, d); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !s.named(d):
			a.found(d.path, "the drive was replaced by another one and has no part in the store any more")
		case d.held.Rebuild != nil:
			a.found(d.path, "the drive is new, and its index was not copied to its end")
		case !slices.Contains(s.state.InSync, d.id.Drive):
			a.found(d.path, "the drive is not in-sync: it was away, and has not yet learned what it missed")
			alone = append(alone, d)
		case rotten || err != nil: // it would end what is read beside it
			alone = append(alone, d)
		case !same:
			a.report(heal.Finding{Kind: heal.FindingLog, Drive: d.path, Text: "its log is not the set's: it lost what it had synced, or is an old image"})
			alone = append(alone, d)
		default:
			together = append(together, d)
		}
	}
	if len(together) > 0 {
		if err := s.walk(ctx, together, s.stable, !isAlone, a.report); err != nil {
			return err
		}
	}
	for _, d := range alone {
		err := s.walk(ctx, []*drive{d}, d.held.Stable, isAlone, a.report)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			a.found(d.path, "it can not be read to its end: %v", err)
		}
	}
	return nil
}
