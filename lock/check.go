package lock

import (
	"errors"
	"fmt"
	"time"
)

// ErrLocked says that a lock forbids what was asked. The error that wraps it is
// a [*LockedError] and says why.
var ErrLocked = errors.New("locked")

// Reason says what locks a version.
type Reason uint8

// The reasons, from what cannot be helped to what can.
const (
	// ReasonUnreadable: the state of the lock cannot be understood.
	ReasonUnreadable Reason = iota + 1
	// ReasonLegalHold: the version is under legal hold.
	ReasonLegalHold
	// ReasonCompliance: it is retained in compliance mode.
	ReasonCompliance
	// ReasonGovernance: it is retained in governance mode, and the caller does
	// not bypass it.
	ReasonGovernance
)

// String says the reason in words.
func (r Reason) String() string {
	switch r {
	case ReasonUnreadable:
		return "lock state cannot be understood"
	case ReasonLegalHold:
		return "legal hold"
	case ReasonCompliance:
		return "compliance retention"
	case ReasonGovernance:
		return "governance retention"
	default:
		return fmt.Sprintf("Reason(%d)", uint8(r))
	}
}

// LockedError says why a lock forbids what was asked. It is [ErrLocked], and for
// [ReasonUnreadable] also what is wrong with the state.
type LockedError struct {
	Reason Reason
	Until  time.Time // UTC, of a retention; otherwise zero
	Err    error     // of ReasonUnreadable; otherwise nil
}

// Error says what locks the version, and until when.
func (e *LockedError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%v: %v: %v", ErrLocked, e.Reason, e.Err)
	case !e.Until.IsZero():
		return fmt.Sprintf("%v: %v until %s", ErrLocked, e.Reason, stamp(e.Until))
	default:
		return fmt.Sprintf("%v: %v", ErrLocked, e.Reason)
	}
}

// Unwrap gives [ErrLocked] and what is wrong with a state that cannot be
// understood.
func (e *LockedError) Unwrap() []error {
	if e.Err != nil {
		return []error{ErrLocked, e.Err}
	}
	return []error{ErrLocked}
}

// Intent is what a caller is ready to do. The zero Intent bypasses nothing; it is
// that of everything that works on its own, as lifecycle does.
type Intent struct {
	// Bypass says that governance is to be bypassed: the caller asked for it
	// and was allowed to (x-amz-bypass-governance-retention and the permission
	// s3:BypassGovernanceRetention). It has no power over compliance mode or a
	// legal hold.
	Bypass bool
}

// Check says whether a version in this state may be destroyed now: it gives nil,
// or a [*LockedError]. Every path that could destroy a version asks it, under
// the lock of the key.
func Check(now time.Time, state State, intent Intent) error {
	if err := state.Validate(); err != nil {
		return &LockedError{Reason: ReasonUnreadable, Err: err}
	}
	if state.LegalHold {
		return &LockedError{Reason: ReasonLegalHold}
	}
	if protects(now, state.Retention, intent) {
		return locked(state.Retention)
	}
	return nil
}

// CheckRetention says whether a version in the old state may be given a new
// retention now; the zero Retention removes it. It gives nil, a [*LockedError],
// or [ErrInvalidRetention].
//
// A retention whose date has passed, or that the intent bypasses, may be replaced
// by any valid one. Otherwise the mode stays and the date may only go up. A new
// date is in the future. A legal hold changes nothing here, and may itself be
// set and lifted at any time unless [State.Validate] fails.
func CheckRetention(now time.Time, old State, wanted Retention, intent Intent) error {
	if err := wanted.validateNew(now); err != nil {
		return err
	}
	if err := old.Validate(); err != nil {
		return &LockedError{Reason: ReasonUnreadable, Err: err}
	}
	if !protects(now, old.Retention, intent) {
		return nil
	}
	if wanted.Mode == old.Mode && !wall(wanted.Until).Before(wall(old.Until)) {
		return nil
	}
	return locked(old.Retention)
}

// protects says whether a valid retention stands in the way of this intent.
func protects(now time.Time, retention Retention, intent Intent) bool {
	if !retention.activeAt(now) {
		return false
	}
	return retention.Mode != Governance || !intent.Bypass
}

// locked is the error of a retention that protects.
func locked(retention Retention) error {
	reason := ReasonCompliance
	if retention.Mode == Governance {
		reason = ReasonGovernance
	}
	return &LockedError{Reason: reason, Until: wall(retention.Until)}
}
