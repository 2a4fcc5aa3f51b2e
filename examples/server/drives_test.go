package main

// Goal: drives whose directories vanish under a server at work are noticed, cost
// no reader anything, and a writer no more than an error that it can try again
// on. Method: a server process under load, and its drive directories deleted,
// renamed away or exchanged for what is no drive, one and then another. In package main,
// which cannot be imported.

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// vanish are the ways in which a drive's directory goes.
func vanish() map[string]func(dir string) error {
	return map[string]func(string) error{
		"deleted": remove,
		"renamed": func(dir string) error { return os.Rename(dir, dir+".away") },
		"exchanged": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".away"), os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "letter"), nil, 0o600))
		},
	}
}

// remove is rm -rf of a directory in which somebody goes on making files.
func remove(dir string) error {
	var err error
	for range 1000 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
	}
	return err
}

// readers read what nobody changes, again and again.
type readers struct {
	stop   chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex
	reads  int
	failed []string
}

func (r *readers) begin(c *child, of map[string]content, number int) {
	r.stop = make(chan struct{})
	for i := range number {
		r.wg.Go(func() {
			for n := i; ; n++ {
				select {
				case <-r.stop:
					return
				default:
					r.read(c, of, n)
				}
			}
		})
	}
}

func (r *readers) read(c *child, of map[string]content, n int) {
	path := fmt.Sprintf("/plain/still%d", n%len(of))
	a := c.ask("GET", path, nil)
	if n%8 == 0 {
		a = c.ask("GET", "/plain", nil, "list-type", "2", "prefix", "still")
		a.body, path = of["/plain/still0"].bytes(), "/plain/still0"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if a.err != nil || !of[path].holds(a) {
		r.failed = append(r.failed, fmt.Sprintf("%s at %s: %s", path, time.Now().UTC().Format(time.RFC3339Nano), a))
	}
}

func (r *readers) end(t *testing.T, c *child) {
	t.Helper()
	close(r.stop)
	r.wg.Wait()
	require.Empty(t, r.failed, c.stderr.String())
}

// still puts objects of all sizes that nobody changes later.
func still(t *testing.T, c *child, rng *rand.Rand) map[string]content {
	t.Helper()
	of := map[string]content{}
	for i, size := range []int{0, 1, 1 << 10, 100 << 10, 1 << 20, 3<<20 + 1} {
		path := fmt.Sprintf("/plain/still%d", i)
		of[path] = content{there: true, size: size, seed: rng.Uint64()}
		a := c.ask("PUT", path, of[path].bytes())
		require.True(t, a.ok(), a)
	}
	return of
}

// troubles are the errors that clients at work were given.
type troubles struct {
	mu  sync.Mutex
	all []trouble
}

type trouble struct {
	op string
	a  answer
}

// retryable wants of all that it was of the kind that clients try again on, and
// asked for before a moment.
func retryable(t *testing.T, all []trouble, before time.Time) {
	t.Helper()
	for _, x := range all {
		require.NoError(t, x.a.err, x.op)
		require.Contains(t, []int{http.StatusInternalServerError, http.StatusServiceUnavailable}, x.a.status, "%s: %s", x.op, x.a)
		require.True(t, x.a.begun.Before(before), "%s: %s, asked for %v too late", x.op, x.a, x.a.begun.Sub(before))
	}
}

func (r *troubles) note(op string, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, trouble{op, a})
}

// take gives what was noted since, and forgets it.
func (r *troubles) take() []trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.all = nil }()
	return r.all
}

func TestDriveDirectoriesVanishUnderLoad(t *testing.T) {
	t.Parallel()
	for how, gone := range vanish() {
		t.Run(how, func(t *testing.T) {
			for round := range rounds(1, 10) {
				t.Run(fmt.Sprint(round), func(t *testing.T) { vanishing(t, gone) })
			}
		})
	}
}

// Nobody writes, so nothing fails by itself: the server has to look.
func TestDriveDirectoriesVanishUnseen(t *testing.T) {
	t.Parallel()
	for how, gone := range vanish() {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			c := launch(t, drivesIn(dir))
			furnish(t, c)
			rng := seeded(t)
			of := still(t, c, rng)
			first := driveIn(dir, rng.IntN(4))
			require.NoError(t, gone(first))
			noticed := c.becomes(t, statusDegraded)
			c.says(t, `"drive":"`+first+`"`, `"away"`)
			for path, want := range of {
				a := c.ask("GET", path, nil)
				require.True(t, a.err == nil && want.holds(a), "%s: %s", path, a)
				a = c.ask("PUT", path, want.bytes())
				require.True(t, a.ok(), a)
			}
			c.stop(t)
			t.Logf("noticed after %s", milliseconds(noticed))
		})
	}
}

func vanishing(t *testing.T, gone func(string) error) {
	rng := seeded(t)
	dir := t.TempDir()
	c := launch(t, drivesIn(dir))
	furnish(t, c)
	of := still(t, c, rng)
	w := newCrowd(4, 3, rng)
	bad := &troubles{}
	for _, p := range w.patrons {
		p.failed = bad.note
	}
	w.begin(c)
	var r readers
	r.begin(c, of, 2)
	wait(200 * time.Millisecond)
	require.Empty(t, bad.take(), "before anything happened")

	order := rng.Perm(4)
	first, second := driveIn(dir, order[0]), driveIn(dir, order[1])
	require.NoError(t, gone(first))
	noticed := c.becomes(t, statusDegraded)
	c.says(t, `"drive":"`+first+`"`, `"away"`)
	before := time.Now() // from here on, writing goes on
	wait(500 * time.Millisecond)
	retried := bad.take()
	retryable(t, retried, before)
	code, health, err := c.ready()
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, 3, health.InSync)

	require.NoError(t, gone(second))
	again := c.becomes(t, statusReadOnly)
	c.says(t, `"drive":"`+second+`"`, `"away"`)
	wait(200 * time.Millisecond)
	w.end(t)
	r.end(t, c)
	retryable(t, bad.take(), time.Now())
	for path := range of {
		a := c.ask("PUT", path, nil)
		require.Equal(t, http.StatusServiceUnavailable, a.status, a)
		require.Equal(t, "ServiceUnavailable", a.code())
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	code, health, err = c.ready()
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, readiness{Status: statusReadOnly, InSync: 2, NeededToWrite: 3}, readiness{health.Status, health.InSync, health.NeededToWrite, nil})
	unsettled := readable(t, c, w)
	stopped := c.stop(t)
	t.Logf("noticed after %s and %s; %d reads right, %d changes to try again, %d keys unsettled at the end; %v; stopped in %s",
		milliseconds(noticed), milliseconds(again), r.reads, len(retried), unsettled, w.tally(), milliseconds(stopped))
}

func driveIn(dir string, slot int) string { return filepath.Join(dir, fmt.Sprintf("d%d", slot+1)) }

// readable wants every key to answer as its journal says; those that a change
// without an answer touched may be unavailable, and are counted.
func readable(t *testing.T, c *child, w *crowd) (unsettled int) {
	t.Helper()
	for _, p := range w.patrons {
		for _, key := range p.keys {
			h := p.byKey[key]
			open := slices.Clone(h.maybe)
			a := c.ask("GET", p.path(key), nil)
			if len(open) > 0 && a.status == http.StatusServiceUnavailable {
				unsettled++
				continue
			}
			require.True(t, h.admits(a), "%s: %s, journal: %v or one of %v", key, a, h.settled, open)
		}
	}
	return unsettled
}
