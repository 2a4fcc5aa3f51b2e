package keylock

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
)

// Want is a key that a call asks for, alone or shared.
type Want struct {
	Key    string
	Shared bool
}

// LockAll takes several keys, each alone. A key may be named more than once.
// It waits until it has them all, or gives the context's error, and then nothing
// is held. The unlock function releases them all; calling it again does nothing.
func (l *Locks) LockAll(ctx context.Context, keys ...string) (unlock func(), err error) {
	wants := make([]Want, len(keys))
	for i, key := range keys {
		wants[i].Key = key
	}
	return l.lockSorted(ctx, wants)
}

// LockEach takes several keys, each alone or shared as it is wanted. A key that is
// wanted more than once is taken once, and alone if any of them wants it so.
// Otherwise it is like [Locks.LockAll].
func (l *Locks) LockEach(ctx context.Context, wants ...Want) (unlock func(), err error) {
	return l.lockSorted(ctx, slices.Clone(wants))
}

// lockSorted takes the keys in the order of their bytes: whoever waits holds only
// lower keys than the one it waits for, so no circle can close.
func (l *Locks) lockSorted(ctx context.Context, wants []Want) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err // also if no key is wanted
	}
	slices.SortFunc(wants, func(a, b Want) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), exclusiveFirst(a, b))
	})
	wants = slices.CompactFunc(wants, func(a, b Want) bool { return a.Key == b.Key })
	grants := make([]grant, 0, len(wants))
	for _, want := range wants {
		g, err := l.acquire(ctx, want)
		if err != nil {
			release(grants)
			return nil, err
		}
		grants = append(grants, g)
	}
	var done atomic.Bool
	return func() {
		if !done.Swap(true) {
			release(grants)
		}
	}, nil
}

func exclusiveFirst(a, b Want) int {
	switch {
	case a.Shared == b.Shared:
		return 0
	case b.Shared:
		return -1
	default:
		return 1
	}
}

func release(grants []grant) {
	for _, g := range slices.Backward(grants) {
		g.release()
	}
}
