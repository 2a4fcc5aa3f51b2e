package lock

import (
	"errors"
	"fmt"
	"time"
)

// Errors that concern the configuration of a bucket.
var (
	// ErrInvalidConfiguration says that a configuration cannot be: a default
	// with an unknown mode (also [ErrMode]), with days and years or with
	// neither, with a period out of bounds, or in a bucket without object lock.
	ErrInvalidConfiguration = errors.New("invalid object lock configuration")
	// ErrNotEnabled says that a retention or a legal hold was given in a bucket
	// without object lock.
	ErrNotEnabled = errors.New("object lock is not enabled on the bucket")
	// ErrEnabledForEver says that object lock cannot be turned off again.
	ErrEnabledForEver = errors.New("object lock cannot be disabled once enabled")
)

// The longest periods that a default may have (S3, API reference,
// PutObjectLockConfiguration).
const (
	MaxDays  = 36_500
	MaxYears = 100
)

const day = 24 * time.Hour

// DefaultRetention is given to new versions that bring none. The zero
// DefaultRetention is no default.
type DefaultRetention struct {
	Mode  Mode
	Days  int // 1 to MaxDays, of 24 hours each, or 0 if Years is set
	Years int // 1 to MaxYears, by the calendar in UTC, or 0 if Days is set
}

// Validate gives [ErrInvalidConfiguration] for a default that cannot be.
func (d DefaultRetention) Validate() error {
	if d == (DefaultRetention{}) {
		return nil
	}
	if err := d.Mode.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidConfiguration, err)
	}
	switch {
	case d.Mode == None:
		return fmt.Errorf("%w: a period without a mode", ErrInvalidConfiguration)
	case d.Days != 0 && d.Years != 0:
		return fmt.Errorf("%w: both days and years", ErrInvalidConfiguration)
	case d.Days == 0 && d.Years == 0:
		return fmt.Errorf("%w: neither days nor years", ErrInvalidConfiguration)
	case d.Days < 0 || d.Days > MaxDays:
		return fmt.Errorf("%w: %d days, from 1 to %d are possible", ErrInvalidConfiguration, d.Days, MaxDays)
	case d.Years < 0 || d.Years > MaxYears:
		return fmt.Errorf("%w: %d years, from 1 to %d are possible", ErrInvalidConfiguration, d.Years, MaxYears)
	}
	return nil
}

// from gives the retention that a valid default means at a time. A year from
// 29 February ends on 1 March.
func (d DefaultRetention) from(now time.Time) Retention {
	if d.Mode == None {
		return Retention{}
	}
	return Retention{Mode: d.Mode, Until: wall(now).Add(time.Duration(d.Days)*day).AddDate(d.Years, 0, 0)}
}

// Configuration is the object lock configuration of a bucket. The zero
// Configuration is that of a bucket without object lock.
type Configuration struct {
	Enabled bool
	Default DefaultRetention // zero unless Enabled
}

// Validate gives [ErrInvalidConfiguration] for a configuration that cannot be.
func (c Configuration) Validate() error {
	if err := c.Default.Validate(); err != nil {
		return err
	}
	if !c.Enabled && c.Default != (DefaultRetention{}) {
		return fmt.Errorf("%w: a default retention without object lock", ErrInvalidConfiguration)
	}
	return nil
}

// CheckConfiguration says whether a bucket may go from one configuration to
// another: the new one is valid and object lock, once enabled, stays so. The
// default may change freely, it concerns new versions only. It gives
// [ErrInvalidConfiguration] or [ErrEnabledForEver]; an old configuration that
// is not valid is not replaced.
func CheckConfiguration(old, wanted Configuration) error {
	if err := old.Validate(); err != nil {
		return fmt.Errorf("stored: %w", err)
	}
	if err := wanted.Validate(); err != nil {
		return err
	}
	if old.Enabled && !wanted.Enabled {
		return ErrEnabledForEver
	}
	return nil
}

// AtPut gives the lock state that a version written now is committed with.
// explicit is what the request says for it: its retention wins over the
// default, its legal hold stands in any case. Take now from [Floor].
//
// It gives [ErrInvalidConfiguration] if the configuration is not valid,
// [ErrNotEnabled] if the request brings a lock and the bucket has none, and
// [ErrInvalidRetention] if the request's retention cannot be or its date is not
// in the future. A delete marker gets the zero State without asking.
func (c Configuration) AtPut(now time.Time, explicit State) (State, error) {
	if err := c.Validate(); err != nil {
		return State{}, err
	}
	if err := explicit.validateNew(now); err != nil {
		return State{}, err
	}
	if !c.Enabled && explicit != (State{}) {
		return State{}, ErrNotEnabled
	}
	state := explicit
	if state.Mode == None {
		state.Retention = c.Default.from(now)
	} else {
		state.Until = wall(state.Until)
	}
	if err := state.Validate(); err != nil {
		return State{}, err // a default that ends beyond what can be expressed
	}
	return state, nil
}
