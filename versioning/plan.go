package versioning

import (
	"errors"
	"fmt"
)

// ErrRef says that a description of a version cannot be: the null version is
// described by a Ref without Null, or an absent version has flags.
var ErrRef = errors.New("impossible version")

// Ref describes one version of a key. The zero Ref says that there is none.
type Ref struct {
	// Position is the version's position in the log, 1 or more; 0 says that
	// there is no such version.
	Position uint64
	// Null says that it is the null version: written while the bucket was
	// unversioned or suspended.
	Null bool
	// Marker says that it is a delete marker: it has no data.
	Marker bool
}

// Absent says that there is no such version.
func (r Ref) Absent() bool { return r.Position == 0 }

func (r Ref) validate() error {
	if r.Absent() && r != (Ref{}) {
		return fmt.Errorf("%w: absent, with flags", ErrRef)
	}
	return nil
}

// validateNull also holds what is true of every null version.
func (r Ref) validateNull() error {
	if err := r.validate(); err != nil {
		return err
	}
	if !r.Absent() && !r.Null {
		return fmt.Errorf("%w: version at position %d is given as the null version and is not", ErrRef, r.Position)
	}
	return nil
}

// Plan is what one operation does to a key. All of it is one commit. The zero
// Plan does nothing.
type Plan struct {
	// Create says that a version is added, at the position of the commit.
	Create bool
	// Null says that the added version is the null version; otherwise it has an
	// id of its own.
	Null bool
	// Marker says that the added version is a delete marker.
	Marker bool
	// Remove is the version that goes, and the zero Ref if none does. It must
	// pass the lock rules first.
	Remove Ref
}

// Nothing says that the plan leaves the key as it is.
func (p Plan) Nothing() bool { return p == Plan{} }

// Put plans the writing of an object (PutObject, CopyObject,
// CompleteMultipartUpload). null is the key's null version, wherever it stands
// among the versions, marker or not; the zero Ref if there is none.
//
// The new version has an id of its own if versioning is enabled, and otherwise
// is the null version and replaces the one before it. It gives [ErrStatus] or
// [ErrRef], and an empty plan.
func Put(status Status, null Ref) (Plan, error) {
	if err := validateAsk(status, null); err != nil {
		return Plan{}, err
	}
	if status == Enabled {
		return Plan{Create: true}, nil
	}
	return Plan{Create: true, Null: true, Remove: null}, nil
}

// Delete plans a DeleteObject that names no version. null is the key's null
// version, as in [Put]; what else stands at the key decides nothing.
//
// Unversioned, the null version goes; without one, nothing happens. Enabled, a
// delete marker with an id of its own is added, also at a key that has no
// version and on top of another marker. Suspended, a delete marker that is the
// null version is added and replaces the null version. It gives [ErrStatus] or
// [ErrRef], and an empty plan.
func Delete(status Status, null Ref) (Plan, error) {
	if err := validateAsk(status, null); err != nil {
		return Plan{}, err
	}
	switch status {
	case Enabled:
		return Plan{Create: true, Marker: true}, nil
	case Suspended:
		return Plan{Create: true, Null: true, Marker: true, Remove: null}, nil
	default: // Unversioned: the status was validated
		return Plan{Remove: null}, nil
	}
}

// DeleteVersion plans a DeleteObject that names a version, under any status:
// exactly that version goes, marker or not. If target is the zero Ref nothing
// happens; S3 answers both alike. It gives [ErrRef], and an empty plan.
func DeleteVersion(target Ref) (Plan, error) {
	if err := target.validate(); err != nil {
		return Plan{}, err
	}
	return Plan{Remove: target}, nil
}

func validateAsk(status Status, null Ref) error {
	if err := status.Validate(); err != nil {
		return err
	}
	if err := null.validateNull(); err != nil {
		return err
	}
	if status == Unversioned && null.Marker {
		return fmt.Errorf("%w: delete marker at position %d of an unversioned bucket", ErrRef, null.Position)
	}
	return nil
}
