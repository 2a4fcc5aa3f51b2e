// Goal: a read is late by what reads took of late, and a drive is slow beside
// others, and not by itself. Method: observations made by hand.
package pace_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/pace"
)

const ms = time.Millisecond

func observe(p *pace.Pace, times int, took ...time.Duration) {
	for range times {
		for drive, t := range took {
			if t > 0 {
				p.Observe(drive, t)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	var p pace.Pace
	require.Equal(t, pace.MaxLimit, p.Limit(), "nothing is known")
	observe(&p, 64, ms, ms)
	require.Equal(t, pace.MinLimit, p.Limit())
	observe(&p, 64, 50*ms, ms)
	require.Equal(t, 150*ms, p.Limit(), "half of them take that long")
	observe(&p, 128, 5*time.Second)
	require.Equal(t, pace.MaxLimit, p.Limit())
}

func TestSlow(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		took []time.Duration
		want uint32
	}{
		"none":                           {nil, 0},
		"all alike":                      {[]time.Duration{5 * ms, 6 * ms, 5 * ms, 4 * ms}, 0},
		"one of four":                    {[]time.Duration{5 * ms, 50 * ms, 5 * ms, 5 * ms}, 1 << 1},
		"three times is not slow":        {[]time.Duration{5 * ms, 15 * ms, 5 * ms, 5 * ms}, 0},
		"two of six":                     {[]time.Duration{50 * ms, 5 * ms, 5 * ms, 5 * ms, 5 * ms, 60 * ms}, 1<<0 | 1<<5},
		"all slow is how it is":          {[]time.Duration{50 * ms, 50 * ms, 50 * ms, 50 * ms}, 0},
		"too quick to matter":            {[]time.Duration{ms / 100, ms / 2, ms / 100, ms / 100}, 0},
		"two drives":                     {[]time.Duration{5 * ms, 50 * ms}, 0},
		"drives that were never asked":   {[]time.Duration{5 * ms, 0, 50 * ms, 5 * ms}, 1 << 2},
		"half of four: the quick decide": {[]time.Duration{5 * ms, 5 * ms, 50 * ms, 50 * ms}, 1<<2 | 1<<3},
	} {
		var p pace.Pace
		observe(&p, 7, c.took...)
		require.Zero(t, p.Slow(now), "%s: too few reads to know", name)
		observe(&p, 40, c.took...)
		p.Slow(now) // each slow one is asked once more
		require.Equal(t, c.want, p.Slow(now), name)
	}
}

func TestASlowDriveIsAskedAgainAndBelieved(t *testing.T) {
	var p pace.Pace
	now := time.Unix(1000, 0)
	observe(&p, 20, 5*ms, 5*ms, 5*ms, 50*ms)
	require.Zero(t, p.Slow(now), "once more")
	asked := 0
	for range 1000 {
		now = now.Add(600 * ms)
		if p.Slow(now) == 0 {
			asked++
		}
	}
	require.Equal(t, 20, asked, "every 30 seconds")
	observe(&p, 20, 5*ms, 5*ms, 5*ms, 5*ms)
	require.Zero(t, p.Slow(now))
}
