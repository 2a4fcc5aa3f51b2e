package main

// Goal: kill -9 at any moment, while formatting or under load, loses nothing
// that was acknowledged, leaves nothing half done, and what is answered once
// after a restart stays. Method: rounds of a server process that is killed at a
// random moment, and the journals of its clients. SHERD_LONG=1 makes it 100
// rounds. In package main, which cannot be imported.

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
)

// crowd is several clients at work on one server.
type crowd struct {
	patrons []*patron
	wg      sync.WaitGroup
	stop    chan struct{}
}

// newCrowd makes clients, every other one on a bucket with versions.
func newCrowd(clients, keys int, rng *rand.Rand) *crowd {
	w := &crowd{}
	for i := range clients {
		w.patrons = append(w.patrons, newPatron([]string{"plain", "versioned"}[i%2], i, keys, rng))
	}
	return w
}

// furnish makes the buckets.
func furnish(t *testing.T, c *child) {
	t.Helper()
	for _, bucket := range []string{"plain", "versioned"} {
		a := c.ask("PUT", "/"+bucket, nil)
		require.True(t, a.ok(), a)
	}
	a := c.ask("PUT", "/versioned", []byte(`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`), "versioning", "")
	require.True(t, a.ok(), a)
}

// begin lets the clients loose on a server.
func (w *crowd) begin(c *child) {
	w.stop = make(chan struct{})
	for _, p := range w.patrons {
		p.api = c
		w.wg.Go(func() { p.work(w.stop) })
	}
}

// end waits until all have stopped, and wants that no answer was wrong.
func (w *crowd) end(t *testing.T) {
	t.Helper()
	close(w.stop)
	w.wg.Wait()
	for _, p := range w.patrons {
		require.Empty(t, p.wrong)
	}
}

// audit compares the store with all journals.
func (w *crowd) audit(t *testing.T, c *child) {
	t.Helper()
	errs := make([]error, len(w.patrons))
	var wg sync.WaitGroup
	for i, p := range w.patrons {
		p.api = c
		wg.Go(func() { errs[i] = p.audit() })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err, c.stderr.String())
	}
}

func (w *crowd) tally() tally {
	var all tally
	for _, p := range w.patrons {
		all.add(p.tally)
	}
	return all
}

// examine opens the drives without the server and wants that a full check finds
// nothing, and no object that is below its redundancy, unless some may be.
func examine(t *testing.T, dir string, thin bool) {
	t.Helper()
	drives, err := expandAll([]string{drivesIn(dir)})
	require.NoError(t, err)
	store, err := sherd.Open(t.Context(), drives, &sherd.Options{MustExist: true})
	require.NoError(t, err)
	for finding, err := range store.Check(t.Context()) {
		require.NoError(t, err)
		if !thin || finding.Kind != "shard" || finding.Lost {
			require.Fail(t, "the check found something", "%+v", finding)
		}
	}
	require.NoError(t, store.Close())
}

func rounds(few, many int) int {
	if long() {
		return many
	}
	return few
}

func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	dir := t.TempDir()
	c := launch(t, drivesIn(dir))
	furnish(t, c)
	w := newCrowd(6, 4, rng)
	var slowest, total time.Duration
	n := rounds(8, 75)
	for round := range n {
		w.begin(c)
		wait(time.Duration(50+rng.IntN(450)) * time.Millisecond)
		c.kill()
		w.end(t)
		if rng.IntN(4) == 0 { // once more while it opens
			again := spawn(t, nil, "-must-exist", drivesIn(dir))
			wait(time.Duration(rng.IntN(150)) * time.Millisecond)
			again.kill()
		}
		begun := time.Now()
		c = launch(t, "-must-exist", drivesIn(dir))
		took := time.Since(begun)
		slowest, total = max(slowest, took), total+took
		w.audit(t, c)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	c.becomes(t, statusOK)
	c.stop(t)
	examine(t, dir, false)
	t.Logf("%d rounds: %v; restarts took %s on average, %s at most", n, w.tally(), milliseconds(total/time.Duration(n)), milliseconds(slowest))
}

func TestKillAtFirstStart(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	killed, created := 0, 0
	n := rounds(4, 25)
	for round := range n {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(round))
		for range 1 + rng.IntN(3) {
			c := spawn(t, nil, drivesIn(dir))
			wait(time.Duration(rng.IntN(200)) * time.Millisecond)
			c.kill()
			killed++
		}
		c := launch(t, drivesIn(dir))
		if logged(c.stdout.String(), "created on 4 drives") {
			created++
		}
		furnish(t, c)
		w := newCrowd(2, 2, rng)
		w.begin(c)
		wait(50 * time.Millisecond)
		c.kill()
		w.end(t)
		c = launch(t, "-must-exist", drivesIn(dir))
		w.audit(t, c)
		c.stop(t)
		examine(t, dir, false)
	}
	t.Logf("%d rounds, killed %d times while starting; %d times the last start created the store", n, killed, created)
}
