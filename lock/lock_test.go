// Goal: texts, bounds, defaults, clocks and the errors' shape.
// Method: tables; each bound is tried at, below and above it.
package lock_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/lock"
)

func TestModeText(t *testing.T) {
	for mode, text := range map[lock.Mode]string{1: "GOVERNANCE", 2: "COMPLIANCE"} {
		require.Equal(t, text, mode.String())
		parsed, err := lock.ParseMode(text)
		require.NoError(t, err)
		require.Equal(t, mode, parsed)
		require.NoError(t, mode.Validate())
	}
	require.Empty(t, lock.None.String())
	require.NoError(t, lock.None.Validate())
	require.Equal(t, "Mode(3)", lock.Mode(3).String())
	require.ErrorIs(t, lock.Mode(3).Validate(), lock.ErrMode)
	for _, text := range []string{"", "governance", "Compliance", "COMPLIANCE ", "Mode(1)"} {
		_, err := lock.ParseMode(text)
		require.ErrorIs(t, err, lock.ErrMode, "%q", text)
	}
}

func TestErrorsSayWhyAndUntilWhen(t *testing.T) {
	until := time.Date(2031, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 3600))
	now := until.Add(-time.Hour)
	for _, c := range []struct {
		state  lock.State
		reason lock.Reason
		text   string
	}{
		{lock.State{LegalHold: true}, lock.ReasonLegalHold, "locked: legal hold"},
		{lock.State{Retention: lock.Retention{Mode: lock.Compliance, Until: until}}, lock.ReasonCompliance,
			"locked: compliance retention until 2031-01-02T02:04:05Z"},
		{lock.State{Retention: lock.Retention{Mode: lock.Governance, Until: until}}, lock.ReasonGovernance,
			"locked: governance retention until 2031-01-02T02:04:05Z"},
		{lock.State{Retention: lock.Retention{Mode: 9, Until: until}}, lock.ReasonUnreadable,
			"locked: lock state cannot be understood: invalid retention: unknown retention mode: 9"},
	} {
		err := lock.Check(now, c.state, lock.Intent{})
		require.EqualError(t, err, c.text)
		require.ErrorIs(t, err, lock.ErrLocked)
		locked, ok := errors.AsType[*lock.LockedError](err)
		require.True(t, ok)
		require.Equal(t, c.reason, locked.Reason)
		require.Equal(t, c.reason == lock.ReasonUnreadable, errors.Is(err, lock.ErrMode))
	}
	require.Equal(t, "Reason(0)", lock.Reason(0).String())
}

func TestProtectionEndsAtTheDateToTheNanosecond(t *testing.T) {
	until := time.Date(2031, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, mode := range []lock.Mode{lock.Governance, lock.Compliance} {
		state := lock.State{Retention: lock.Retention{Mode: mode, Until: until}}
		require.ErrorIs(t, lock.Check(until.Add(-1), state, lock.Intent{}), lock.ErrLocked)
		require.NoError(t, lock.Check(until, state, lock.Intent{}))
	}
}

func TestUnreadableStateLocksForEver(t *testing.T) {
	late := time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, retention := range map[string]lock.Retention{
		"unknown mode":        {Mode: 200, Until: at(1)},
		"mode without a date": {Mode: lock.Governance},
		"date without a mode": {Until: at(1)},
		"date beyond 9999":    {Mode: lock.Governance, Until: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		state := lock.State{Retention: retention}
		require.ErrorIs(t, lock.Check(late, state, lock.Intent{Bypass: true}), lock.ErrLocked, name)
		require.ErrorIs(t, state.Validate(), lock.ErrInvalidRetention, name)
		wanted := lock.Retention{Mode: lock.Compliance, Until: late.Add(time.Hour)}
		require.ErrorIs(t, lock.CheckRetention(late, state, wanted, lock.Intent{Bypass: true}), lock.ErrLocked, name)
	}
}

func TestDefaultBounds(t *testing.T) {
	for _, c := range []struct {
		name    string
		given   lock.DefaultRetention
		invalid bool
	}{
		{"none", lock.DefaultRetention{}, false},
		{"one day", lock.DefaultRetention{Mode: lock.Governance, Days: 1}, false},
		{"most days", lock.DefaultRetention{Mode: lock.Compliance, Days: 36_500}, false},
		{"one year", lock.DefaultRetention{Mode: lock.Governance, Years: 1}, false},
		{"most years", lock.DefaultRetention{Mode: lock.Compliance, Years: 100}, false},
		{"no period", lock.DefaultRetention{Mode: lock.Governance}, true},
		{"no mode", lock.DefaultRetention{Days: 1}, true},
		{"unknown mode", lock.DefaultRetention{Mode: 3, Days: 1}, true},
		{"both", lock.DefaultRetention{Mode: lock.Governance, Days: 1, Years: 1}, true},
		{"too many days", lock.DefaultRetention{Mode: lock.Governance, Days: 36_501}, true},
		{"too many years", lock.DefaultRetention{Mode: lock.Governance, Years: 101}, true},
		{"days below zero", lock.DefaultRetention{Mode: lock.Governance, Days: -1}, true},
		{"years below zero", lock.DefaultRetention{Mode: lock.Governance, Years: -1}, true},
	} {
		err := lock.Configuration{Enabled: true, Default: c.given}.Validate()
		_, putErr := lock.Configuration{Enabled: true, Default: c.given}.AtPut(at(1), lock.State{})
		if c.invalid {
			require.ErrorIs(t, err, lock.ErrInvalidConfiguration, c.name)
			require.ErrorIs(t, putErr, lock.ErrInvalidConfiguration, c.name)
		} else {
			require.NoError(t, errors.Join(err, putErr), c.name)
		}
	}
}

func TestAtPut(t *testing.T) {
	now := time.Date(2028, 2, 29, 23, 0, 0, 0, time.FixedZone("west", -7200))
	utc := now.UTC() // 1 March, 01:00
	later := utc.Add(time.Hour)
	days := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Governance, Days: 36_500}}
	years := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Compliance, Years: 3}}
	explicit := lock.Retention{Mode: lock.Governance, Until: later}
	for _, c := range []struct {
		name          string
		configuration lock.Configuration
		explicit      lock.State
		state         lock.State
		err           error
	}{
		{"no object lock", lock.Configuration{}, lock.State{}, lock.State{}, nil},
		{"no default", lock.Configuration{Enabled: true}, lock.State{}, lock.State{}, nil},
		{"days", days, lock.State{}, lock.State{Retention: lock.Retention{Mode: lock.Governance, Until: utc.Add(36_500 * 24 * time.Hour)}}, nil},
		{"years", years, lock.State{}, lock.State{Retention: lock.Retention{Mode: lock.Compliance, Until: utc.AddDate(3, 0, 0)}}, nil},
		{"hold and default", years, lock.State{LegalHold: true},
			lock.State{Retention: lock.Retention{Mode: lock.Compliance, Until: utc.AddDate(3, 0, 0)}, LegalHold: true}, nil},
		{"explicit wins", years, lock.State{Retention: explicit}, lock.State{Retention: explicit}, nil},
		{"retention without object lock", lock.Configuration{}, lock.State{Retention: explicit}, lock.State{}, lock.ErrNotEnabled},
		{"hold without object lock", lock.Configuration{}, lock.State{LegalHold: true}, lock.State{}, lock.ErrNotEnabled},
		{"not in the future", years, lock.State{Retention: lock.Retention{Mode: lock.Governance, Until: now}}, lock.State{}, lock.ErrInvalidRetention},
		{"unknown mode", years, lock.State{Retention: lock.Retention{Mode: 3, Until: later}}, lock.State{}, lock.ErrMode},
		{"no date", years, lock.State{Retention: lock.Retention{Mode: lock.Governance}}, lock.State{}, lock.ErrInvalidRetention},
		{"unreadable configuration", lock.Configuration{Default: years.Default}, lock.State{}, lock.State{}, lock.ErrInvalidConfiguration},
	} {
		state, err := c.configuration.AtPut(now, c.explicit)
		require.ErrorIs(t, err, c.err, c.name)
		require.Equal(t, c.state, state, c.name)
	}
	_, err := years.AtPut(time.Date(9998, 1, 1, 0, 0, 0, 0, time.UTC), lock.State{})
	require.ErrorIs(t, err, lock.ErrInvalidRetention)
}

func TestYearsFollowTheCalendar(t *testing.T) {
	configuration := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Governance, Years: 1}}
	for from, until := range map[string]string{
		"2027-03-01T12:00:00Z": "2028-03-01T12:00:00Z", // 366 days
		"2028-02-29T12:00:00Z": "2029-03-01T12:00:00Z",
		"2028-03-01T00:00:00Z": "2029-03-01T00:00:00Z",
	} {
		now, err := time.Parse(time.RFC3339, from)
		require.NoError(t, err)
		state, err := configuration.AtPut(now, lock.State{})
		require.NoError(t, err)
		require.Equal(t, until, state.Until.Format(time.RFC3339))
	}
}

func TestCheckConfiguration(t *testing.T) {
	enabled := lock.Configuration{Enabled: true}
	withDefault := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Compliance, Days: 1}}
	unreadable := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: 9, Days: 1}}
	for _, c := range []struct {
		old, wanted lock.Configuration
		err         error
	}{
		{lock.Configuration{}, enabled, nil},
		{lock.Configuration{}, withDefault, nil},
		{enabled, withDefault, nil},
		{withDefault, enabled, nil},
		{withDefault, lock.Configuration{}, lock.ErrEnabledForEver},
		{enabled, unreadable, lock.ErrInvalidConfiguration},
		{unreadable, enabled, lock.ErrInvalidConfiguration},
		{enabled, lock.Configuration{Default: withDefault.Default}, lock.ErrInvalidConfiguration},
	} {
		require.ErrorIs(t, lock.CheckConfiguration(c.old, c.wanted), c.err, "%+v to %+v", c.old, c.wanted)
	}
}

func TestFloorKeepsAClockThatWasSetBackFromShorteningAPeriod(t *testing.T) {
	require.Equal(t, at(3), lock.Floor(at(2), at(3)))
	require.Equal(t, at(3), lock.Floor(at(3), at(2)))
	require.Equal(t, at(2), lock.Floor(at(2), time.Time{}))
	require.Equal(t, time.UTC, lock.Floor(time.Now(), at(0)).Location())

	configuration := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Compliance, Days: 1}}
	before, err := configuration.AtPut(at(4), lock.State{})
	require.NoError(t, err)
	after, err := configuration.AtPut(lock.Floor(at(1), at(4)), lock.State{})
	require.NoError(t, err)
	require.False(t, after.Until.Before(before.Until))
}

func TestOnlyTheWallClockCounts(t *testing.T) {
	now := time.Now() // has a monotonic reading, which == would compare
	configuration := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Governance, Days: 1}}
	state, err := configuration.AtPut(now, lock.State{})
	require.NoError(t, err)
	require.True(t, state.Until == now.Round(0).UTC().Add(24*time.Hour))

	explicit := lock.State{Retention: lock.Retention{Mode: lock.Governance, Until: now.Add(time.Hour)}}
	state, err = configuration.AtPut(now, explicit)
	require.NoError(t, err)
	require.True(t, state.Until == now.Round(0).UTC().Add(time.Hour))
}

func BenchmarkCheck(b *testing.B) {
	state := lock.State{Retention: lock.Retention{Mode: lock.Governance, Until: at(3)}}
	b.ReportAllocs()
	for b.Loop() {
		if err := lock.Check(at(2), state, lock.Intent{Bypass: true}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAtPut(b *testing.B) {
	configuration := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Governance, Years: 7}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := configuration.AtPut(at(2), lock.State{}); err != nil {
			b.Fatal(err)
		}
	}
}
