// Goal: what the lock allows is exactly what S3's rules allow.
// Method: every combination on a small grid of times, modes, holds and bypass,
// against an oracle that is a list of prohibitions in whole hours, written from
// the rules without looking at how the package decides; then sequences by fuzz
// that try to get rid of a version too early.
package lock_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/lock"
)

const hours = 5 // of the grid; hour 0 is no date at all

var epoch = time.Date(2031, 3, 4, 5, 6, 7, 8, time.UTC)

func at(hour int) time.Time {
	if hour == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(hour) * time.Hour)
}

// point is a retention on the grid.
type point struct {
	mode lock.Mode // 3 is unknown
	hour int
}

func (p point) retention() lock.Retention { return lock.Retention{Mode: p.mode, Until: at(p.hour)} }

func (p point) readable() bool {
	return p == point{} || (p.mode == 1 || p.mode == 2) && p.hour > 0
}

func points(yield func(point) bool) {
	for mode := range lock.Mode(4) {
		for hour := range hours {
			if !yield(point{mode, hour}) {
				return
			}
		}
	}
}

// oracleCheck lists what forbids to destroy a version; empty allows it.
func oracleCheck(now int, p point, hold, bypass bool) (forbidden []lock.Reason) {
	if !p.readable() {
		return []lock.Reason{lock.ReasonUnreadable}
	}
	if hold {
		forbidden = append(forbidden, lock.ReasonLegalHold)
	}
	if p.mode == 2 && now < p.hour {
		forbidden = append(forbidden, lock.ReasonCompliance)
	}
	if p.mode == 1 && now < p.hour && !bypass {
		forbidden = append(forbidden, lock.ReasonGovernance)
	}
	return forbidden
}

func TestCheckOnTheWholeGrid(t *testing.T) {
	cases := 0
	for p := range points {
		for now := 1; now < hours; now++ {
			for flags := range 4 {
				hold, bypass := flags&1 != 0, flags&2 != 0
				state := lock.State{Retention: p.retention(), LegalHold: hold}
				err := lock.Check(at(now), state, lock.Intent{Bypass: bypass})
				forbidden := oracleCheck(now, p, hold, bypass)
				requireLocked(t, err, forbidden, "now %d, %+v, hold %t, bypass %t", now, p, hold, bypass)
				cases++
			}
		}
	}
	require.Equal(t, 4*5*4*4, cases)
}

func requireLocked(t *testing.T, err error, forbidden []lock.Reason, args ...any) {
	t.Helper()
	if len(forbidden) == 0 {
		require.NoError(t, err, args...)
		return
	}
	require.ErrorIs(t, err, lock.ErrLocked, args...)
	locked, ok := errors.AsType[*lock.LockedError](err)
	require.True(t, ok, args...)
	require.Equal(t, forbidden[0], locked.Reason, args...)
}

// oracleRetention says whether a retention may follow another, as S3 answers.
func oracleRetention(now int, old, wanted point, bypass bool) string {
	if !wanted.readable() {
		return "invalid"
	}
	if wanted.mode != 0 && wanted.hour <= now {
		return "invalid"
	}
	if !old.readable() {
		return "locked"
	}
	shortened := wanted.hour < old.hour
	changed := wanted.mode != old.mode
	inForce := old.hour > now
	switch {
	case inForce && old.mode == 2 && (shortened || changed):
		return "locked"
	case inForce && old.mode == 1 && (shortened || changed) && !bypass:
		return "locked"
	default:
		return "allowed"
	}
}

func TestCheckRetentionOnTheWholeGrid(t *testing.T) {
	seen := map[string]int{}
	for old := range points {
		for wanted := range points {
			for now := 1; now < hours; now++ {
				for flags := range 4 {
					hold, bypass := flags&1 != 0, flags&2 != 0
					state := lock.State{Retention: old.retention(), LegalHold: hold}
					err := lock.CheckRetention(at(now), state, wanted.retention(), lock.Intent{Bypass: bypass})
					answer := oracleRetention(now, old, wanted, bypass)
					seen[answer]++
					args := []any{"now %d, %+v to %+v, hold %t, bypass %t", now, old, wanted, hold, bypass}
					switch answer {
					case "allowed":
						require.NoError(t, err, args...)
					case "locked":
						require.ErrorIs(t, err, lock.ErrLocked, args...)
					case "invalid":
						require.ErrorIs(t, err, lock.ErrInvalidRetention, args...)
						require.NotErrorIs(t, err, lock.ErrLocked, args...)
					}
				}
			}
		}
	}
	require.Len(t, seen, 3, "every answer was met")
	require.Equal(t, 20*20*4*4, seen["allowed"]+seen["locked"]+seen["invalid"])
}

// FuzzNothingIsDestroyedTooEarly lets an attacker without bypass change the
// retention as often as the rules let them, with a clock that goes back and
// forth, and then try to destroy the version.
func FuzzNothingIsDestroyedTooEarly(f *testing.F) {
	f.Add([]byte{0x12, 0x34, 0x56, 0x00, 0xff})
	f.Add([]byte{0x2f, 0x11, 0x21, 0x13, 0x80})
	f.Fuzz(func(t *testing.T, script []byte) {
		state, promised := lock.State{}, point{}
		for i := 0; i+1 < len(script); i += 2 {
			now := 1 + int(script[i]>>4)
			wanted := point{lock.Mode(script[i] & 3), int(script[i+1] & 31)}
			bypass := script[i+1]&0x80 != 0
			intent := lock.Intent{Bypass: bypass}

			destroyed := lock.Check(at(now), state, intent) == nil
			inForce := promised.mode == 2 && now < promised.hour || promised.mode == 1 && now < promised.hour && !bypass
			require.Equal(t, !inForce, destroyed, "now %d, promised %+v, bypass %t", now, promised, bypass)

			if lock.CheckRetention(at(now), state, wanted.retention(), intent) != nil {
				continue
			}
			if inForce {
				require.Equal(t, promised.mode, wanted.mode)
				require.GreaterOrEqual(t, wanted.hour, promised.hour)
			}
			state.Retention, promised = wanted.retention(), wanted
		}
	})
}
