package versioning

import (
	"errors"
	"fmt"
	"slices"
)

// ErrPlan says that a plan cannot be carried out on a [Key]: it removes what is
// not there, its position is not above all others, or it would leave two null
// versions.
var ErrPlan = errors.New("plan does not fit the key")

// Key is the versions of one key, latest first: positions strictly descend, and
// at most one version is null. It is the reference by which stores and tests
// say what carrying out a plan means. The zero Key has no versions.
type Key []Ref

// Latest is the version with the highest position, and the zero Ref if there is
// none.
func (k Key) Latest() Ref {
	if len(k) == 0 {
		return Ref{}
	}
	return k[0]
}

// Null is the null version wherever it stands, and the zero Ref if there is none.
func (k Key) Null() Ref {
	for _, ref := range k {
		if ref.Null {
			return ref
		}
	}
	return Ref{}
}

// At is the version at a position, and the zero Ref if there is none.
func (k Key) At(position uint64) Ref {
	for _, ref := range k {
		if ref.Position == position {
			return ref
		}
	}
	return Ref{}
}

// Apply carries a plan out at a position, that of the commit, and gives the key
// as it then is; k itself stays as it was. A plan that does not fit is
// [ErrPlan].
func (k Key) Apply(plan Plan, position uint64) (Key, error) {
	after := slices.Clone(k)
	if !plan.Remove.Absent() {
		at := slices.Index(after, plan.Remove)
		if at < 0 {
			return nil, fmt.Errorf("%w: no version %+v to remove", ErrPlan, plan.Remove)
		}
		after = slices.Delete(after, at, at+1)
	}
	if !plan.Create {
		return after, nil
	}
	if position <= k.Latest().Position {
		return nil, fmt.Errorf("%w: position %d is not above %d", ErrPlan, position, k.Latest().Position)
	}
	created := Ref{Position: position, Null: plan.Null, Marker: plan.Marker}
	if old := after.Null(); created.Null && !old.Absent() {
		return nil, fmt.Errorf("%w: null version at position %d would stay beside the new one", ErrPlan, old.Position)
	}
	return slices.Insert(after, 0, created), nil
}
