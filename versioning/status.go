package versioning

import (
	"errors"
	"fmt"
)

// Errors that a status can give.
var (
	// ErrStatus says that a versioning status is not one of the three known.
	ErrStatus = errors.New("unknown versioning status")
	// ErrTransition says that a bucket cannot go from its status to the wanted
	// one: once versioning was enabled or suspended there is no way back to
	// unversioned.
	ErrTransition = errors.New("versioning cannot be taken back to unversioned")
	// ErrObjectLock says that the wanted status is refused because the bucket
	// has object lock, which needs versioning enabled for ever.
	ErrObjectLock = errors.New("object lock needs versioning enabled")
)

// Status is the versioning status of a bucket. The numbers are stable: they may
// be stored.
type Status uint8

// The three statuses; a bucket begins Unversioned.
const (
	// Unversioned: versioning was never enabled; a key has one version, the
	// null version.
	Unversioned Status = 0
	// Enabled: every put and every delete adds a version with an id of its own.
	Enabled Status = 1
	// Suspended: puts and deletes replace the null version and leave the others.
	Suspended Status = 2
)

// ParseStatus reads a status as [Status.String] writes it: "Unversioned", or
// "Enabled" or "Suspended" as in the VersioningConfiguration document of S3.
// Anything else, the empty string too, is [ErrStatus].
func ParseStatus(text string) (Status, error) {
	for _, status := range [...]Status{Unversioned, Enabled, Suspended} {
		if text == status.String() {
			return status, nil
		}
	}
	return Unversioned, fmt.Errorf("%w: %q", ErrStatus, text)
}

// String gives the name that [ParseStatus] reads, or "Status(n)" for a number
// that is not known.
func (s Status) String() string {
	switch s {
	case Unversioned:
		return "Unversioned"
	case Enabled:
		return "Enabled"
	case Suspended:
		return "Suspended"
	default:
		return fmt.Sprintf("Status(%d)", uint8(s))
	}
}

// Validate gives [ErrStatus] for a number that is not known.
func (s Status) Validate() error {
	if s > Suspended {
		return fmt.Errorf("%w: %d", ErrStatus, uint8(s))
	}
	return nil
}

// Transition says whether a bucket may go from one status to another; objectLock
// says whether it has object lock. Staying is allowed, except that with object
// lock only Enabled can be asked for. It gives [ErrStatus], [ErrTransition] or
// [ErrObjectLock].
func Transition(from, to Status, objectLock bool) error {
	if err := errors.Join(from.Validate(), to.Validate()); err != nil {
		return err
	}
	if to == Unversioned && from != Unversioned {
		return fmt.Errorf("%w: from %v", ErrTransition, from)
	}
	if objectLock && to != Enabled {
		return fmt.Errorf("%w: %v refused", ErrObjectLock, to)
	}
	return nil
}
