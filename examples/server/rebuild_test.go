package main

// Goal: drives that are lost are rebuilt on empty directories: one by itself and
// under load, as many as writing can not do without on the operator's word; what
// was acknowledged is then on the new drives alone, too. Method: a server
// process, drive directories deleted under it and made again, its admin view, and
// the journals of its clients. SHERD_LONG=1 makes it more rounds. In package
// main, which cannot be imported.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watched starts a server with an admin view.
func watched(t *testing.T, args ...string) (*child, string) {
	t.Helper()
	c := launch(t, append([]string{"-admin", "127.0.0.1:0"}, args...)...)
	_, rest, found := strings.Cut(c.stdout.String(), "admin view at ")
	require.True(t, found)
	at, _, _ := strings.Cut(rest, "\n")
	return c, at + "/status.json"
}

// seen is what the admin view shows now.
func seen(c *child, at string) (v overview, err error) {
	resp, err := c.client.Get(at)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	return v, json.NewDecoder(resp.Body).Decode(&v)
}

// shows waits until the admin view shows something, and tells how long that took.
func shows(t *testing.T, c *child, at, what string, ok func(v overview) bool) time.Duration {
	t.Helper()
	begun := time.Now()
	require.Eventually(t, func() bool {
		v, err := seen(c, at)
		return err == nil && ok(v)
	}, 3*generous, 5*time.Millisecond, "it never shows %s; log: %s", what, c.stderr)
	return time.Since(begun)
}

// whole: all drives have everything, their shards too, so that any two of four
// may go.
func whole(v overview) bool {
	if v.Mode != "serving" || v.Degraded || len(v.Work) > 0 || v.Margin == nil {
		return false
	}
	for _, m := range v.Margin.Objects {
		if m.Losses < 2 && m.Objects > 0 {
			return false
		}
	}
	return true
}

func told(v overview, kind, drive string) bool {
	return slices.ContainsFunc(v.Notices, func(n noticeView) bool { return n.Kind == kind && n.Drive == drive })
}

// reads wants all of some objects to read as they were put.
func reads(t *testing.T, c *child, of map[string]content) {
	t.Helper()
	for path, want := range of {
		a := c.ask("GET", path, nil)
		require.True(t, a.err == nil && want.holds(a), "%s: %s, %s", path, a, c.stderr)
	}
}

func TestADriveIsReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	dir := t.TempDir()
	c, at := watched(t, drivesIn(dir))
	furnish(t, c)
	of := still(t, c, rng)
	w := newCrowd(4, 3, rng)
	w.begin(c)
	order := rng.Perm(4)
	lost := driveIn(dir, order[0])
	require.NoError(t, remove(lost))
	c.becomes(t, statusDegraded)
	c.says(t, `"drive":"`+lost+`"`, `"away"`)
	wait(200 * time.Millisecond)
	require.NoError(t, os.MkdirAll(lost, 0o700))
	back := c.becomes(t, statusOK)
	w.end(t)
	var v overview
	rebuilt := shows(t, c, at, "that all is whole", func(now overview) bool { v = now; return whole(now) })
	require.True(t, told(v, "left", lost), "%+v", v.Notices)
	require.True(t, told(v, "returned", lost), "%+v", v.Notices)
	reads(t, c, of)
	w.audit(t, c)
	c.stop(t)

	// Two of the others go: what is left on the new drive and one more is enough.
	for _, i := range order[1:3] {
		require.NoError(t, os.Rename(driveIn(dir, i), driveIn(dir, i)+".gone"))
	}
	c = launch(t, "-must-exist", driveIn(dir, order[0]), driveIn(dir, order[3]))
	reads(t, c, of)
	readable(t, c, w)
	c.stop(t)
	t.Logf("in-sync again after %s, whole after %s more; %v", milliseconds(back), milliseconds(rebuilt), w.tally())
}

func TestTwoDrivesAreReplacedOnTheOperatorsWord(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	dir := t.TempDir()
	c, at := watched(t, drivesIn(dir))
	furnish(t, c)
	of := still(t, c, rng)
	w := newCrowd(4, 3, rng)
	w.begin(c)
	wait(300 * time.Millisecond)
	w.end(t)
	w.audit(t, c)
	v, err := seen(c, at)
	require.NoError(t, err)
	order := rng.Perm(4)
	lost := []string{driveIn(dir, order[0]), driveIn(dir, order[1])}
	words := []string{"-must-exist", drivesIn(dir)}
	for _, d := range v.Drives {
		if slices.Contains(lost, d.Path) {
			words = append(words, "-replace", d.ID)
		}
	}
	require.Len(t, words, 6)
	w.begin(c)
	var r readers
	r.begin(c, of, 2)
	wait(100 * time.Millisecond)
	for _, d := range lost {
		require.NoError(t, remove(d))
	}
	c.becomes(t, statusReadOnly)
	wait(200 * time.Millisecond)
	r.end(t, c) // reads went on
	w.end(t)
	reads(t, c, of)
	for _, d := range lost {
		require.NoError(t, os.MkdirAll(d, 0o700))
	}
	shows(t, c, at, "that the operator is needed", func(v overview) bool {
		return slices.ContainsFunc(v.Notices, func(n noticeView) bool { return n.Kind == "operator needed" })
	})
	code, _, err := c.ready()
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, code, "nothing happens by itself")
	reads(t, c, of)
	for _, d := range lost {
		require.NoFileExists(t, filepath.Join(d, "format.json"))
	}
	c.stop(t)

	c, at = watched(t, words...)
	c.becomes(t, statusOK)
	shows(t, c, at, "that all is whole", whole)
	reads(t, c, of)
	w.audit(t, c)
	a := c.ask("PUT", "/plain/after", content{there: true, size: 1000, seed: 1}.bytes())
	require.True(t, a.ok(), a)
	for _, i := range order[2:] { // the other two, and the store is on the new drives alone
		require.NoError(t, remove(driveIn(dir, i)))
	}
	c.becomes(t, statusReadOnly)
	reads(t, c, of)
	readable(t, c, w)
	c.kill()
	c = launch(t, "-must-exist", lost[0], lost[1])
	reads(t, c, of)
	readable(t, c, w)
	c.stop(t)
}

// TestKillWhileADriveIsRebuilt: the rebuilding goes on, however often it is
// interrupted, and ends clean.
func TestKillWhileADriveIsRebuilt(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	dir := t.TempDir()
	c := launch(t, drivesIn(dir))
	furnish(t, c)
	of := still(t, c, rng)
	for i := range rounds(100, 1000) {
		path := fmt.Sprint("/plain/many", i)
		of[path] = content{there: true, size: []int{10, 1 << 10, 200 << 10}[i%3], seed: rng.Uint64()}
		a := c.ask("PUT", path, of[path].bytes())
		require.True(t, a.ok(), a)
	}
	c.stop(t)
	n := rounds(4, 50)
	for round := range n {
		if round%3 == 0 {
			lost := driveIn(dir, rng.IntN(4))
			require.NoError(t, remove(lost))
			require.NoError(t, os.MkdirAll(lost, 0o700))
		}
		c = launch(t, "-must-exist", "-rebuild-rate", "5MiB", drivesIn(dir))
		wait(time.Duration(rng.IntN(600)) * time.Millisecond)
		if round%5 == 0 {
			reads(t, c, of)
		}
		c.kill()
		if round%3 == 2 { // a drive is lost only once the one before is whole
			c, at := watched(t, "-must-exist", drivesIn(dir))
			shows(t, c, at, "that all is whole", whole)
			reads(t, c, of)
			c.stop(t)
		}
	}
	c, at := watched(t, "-must-exist", drivesIn(dir))
	shows(t, c, at, "that all is whole", whole)
	reads(t, c, of)
	c.stop(t)
	examine(t, dir, false)
	t.Logf("%d rounds", n)
}

// TestADriveThatWasAwayIsSoonBack measures what 32 clients wrote meanwhile.
func TestADriveThatWasAwayIsSoonBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := launch(t, drivesIn(dir))
	furnish(t, c)
	gone := driveIn(dir, 2)
	require.NoError(t, os.Rename(gone, gone+".away"))
	c.becomes(t, statusDegraded)
	stop, written := make(chan struct{}), make(chan int, 32)
	for i := range 32 {
		go func() {
			n := 0
			defer func() { written <- n }()
			for ; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if a := c.ask("PUT", fmt.Sprintf("/plain/c%d/%d", i, n), content{there: true, size: 4 << 10, seed: uint64(n)}.bytes()); !a.ok() {
					return
				}
			}
		}()
	}
	away := 2 * time.Second
	if long() {
		away = time.Minute
	}
	wait(away)
	close(stop)
	all := 0
	for range 32 {
		all += <-written
	}
	require.Positive(t, all)
	require.NoError(t, os.Rename(gone+".away", gone))
	back := c.becomes(t, statusOK)
	c.stop(t)
	examine(t, dir, false)
	t.Logf("away for %v of 32 clients, who put %d objects of 4 KiB; in-sync %s after it was there again", away, all, milliseconds(back))
}
