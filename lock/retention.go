package lock

import (
	"errors"
	"fmt"
	"time"
)

// Errors that say what is wrong with what was given.
var (
	// ErrMode says that a retention mode is not known.
	ErrMode = errors.New("unknown retention mode")
	// ErrInvalidRetention says that a retention cannot be: an unknown mode
	// (also [ErrMode]), a mode without a date or a date without a mode, a date
	// that is not in the future where a new one is given, or one beyond the
	// year 9999.
	ErrInvalidRetention = errors.New("invalid retention")
)

// maxYear is the last year that the timestamps of S3 can express (RFC 3339).
const maxYear = 9999

// Mode is a retention mode. The numbers are stable: they may be stored.
type Mode uint8

// The modes.
const (
	// None: not retained.
	None Mode = 0
	// Governance: protected from all who do not bypass it.
	Governance Mode = 1
	// Compliance: protected from everybody until its date.
	Compliance Mode = 2
)

// ParseMode reads "GOVERNANCE" or "COMPLIANCE", as S3 spells them. Anything
// else, the empty string too, is [ErrMode].
func ParseMode(text string) (Mode, error) {
	switch text {
	case "GOVERNANCE":
		return Governance, nil
	case "COMPLIANCE":
		return Compliance, nil
	default:
		return None, fmt.Errorf("%w: %q", ErrMode, text)
	}
}

// String gives the name that S3 has for the mode, the empty string for None, and
// "Mode(n)" for a number that is not known.
func (m Mode) String() string {
	switch m {
	case None:
		return ""
	case Governance:
		return "GOVERNANCE"
	case Compliance:
		return "COMPLIANCE"
	default:
		return fmt.Sprintf("Mode(%d)", uint8(m))
	}
}

// Validate gives [ErrMode] for a number that is not known.
func (m Mode) Validate() error {
	if m > Compliance {
		return fmt.Errorf("%w: %d", ErrMode, uint8(m))
	}
	return nil
}

// Retention protects a version until a date. The zero Retention protects nothing.
type Retention struct {
	Mode  Mode
	Until time.Time // set if and only if Mode is not None
}

// Validate gives [ErrInvalidRetention] for an unknown mode, a mode without a
// date, a date without a mode, or a date beyond the year 9999. The date may lie
// in the past.
func (r Retention) Validate() error {
	if err := r.Mode.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidRetention, err)
	}
	switch {
	case r.Mode == None && !r.Until.IsZero():
		return fmt.Errorf("%w: a date without a mode", ErrInvalidRetention)
	case r.Mode != None && r.Until.IsZero():
		return fmt.Errorf("%w: a mode without a date", ErrInvalidRetention)
	case r.Until.UTC().Year() > maxYear:
		return fmt.Errorf("%w: the date is beyond the year %d", ErrInvalidRetention, maxYear)
	}
	return nil
}

// validateNew is Validate for a retention that is to be set at a time.
func (r Retention) validateNew(now time.Time) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if r.Mode != None && !wall(r.Until).After(wall(now)) {
		return fmt.Errorf("%w: the date %s is not in the future", ErrInvalidRetention, stamp(r.Until))
	}
	return nil
}

// activeAt says whether the date is still ahead.
func (r Retention) activeAt(now time.Time) bool {
	return r.Mode != None && wall(now).Before(wall(r.Until))
}

// State is what locks one version. The zero State locks nothing.
type State struct {
	Retention
	LegalHold bool // protects without a date, beside the retention
}

// Validate gives [ErrInvalidRetention] if the retention cannot be. A version in
// such a state is locked, and its state must not be written again.
func (s State) Validate() error { return s.Retention.Validate() }

// Floor gives the later of two times: now as the clock has it, and the newest
// that was seen before, as the time of the newest version. Use it for the time
// from which a new period is counted, so that a clock that was set back does not
// make it end sooner. Don't use it to decide what has expired: it would let one
// wrong time in the future end every protection.
func Floor(now, newestSeen time.Time) time.Time {
	now, newestSeen = wall(now), wall(newestSeen)
	if newestSeen.After(now) {
		return newestSeen
	}
	return now
}

// wall takes the monotonic reading off, so that comparisons are of wall clocks.
func wall(t time.Time) time.Time { return t.UTC().Round(0) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
