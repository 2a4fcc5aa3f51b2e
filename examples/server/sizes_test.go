//go:build linux

package main

// Goal: drives of different sizes are as good as the smallest, and filesystems that
// are mounted for reading only are read and checked. Method: a server process on
// small filesystems, filled through it, and mounted anew for reading. In package
// main, which cannot be imported.

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDrivesOfDifferentSizesAndReadOnly(t *testing.T) {
	t.Parallel()
	m := newMounts(t)
	for i, megabytes := range []int{160, 96, 120, 200} {
		at := filepath.Join(m.dir, fmt.Sprint("disk", i+1))
		m.run(t, "mkdir '%s' && mount -t tmpfs -o size=%dm sherd '%s'", at, megabytes, at)
	}
	drives := filepath.Join(m.dir, "disk{1...4}", "drive")
	h := &hoard{c: m.launch(t, drives), has: map[string]content{}}
	furnish(t, h.c)
	large := h.fill(t, 1<<20)
	small := h.fill(t, 10<<10)
	require.Equal(t, statusOK, health(t, h.c), "a drive that is full is not failed")
	h.whole(t)
	h.c.kill()
	h.c = m.launch(t, "-must-exist", drives)
	require.Equal(t, statusOK, health(t, h.c))
	h.whole(t)
	h.drop(t, len(h.has)/2)
	h.takes(t, 1<<20)
	h.whole(t)
	h.c.stop(t)

	for i := range 4 {
		m.run(t, "mount -o remount,ro '%s'", filepath.Join(m.dir, fmt.Sprint("disk", i+1)))
	}
	h.c = m.launch(t, "-read-only", drives)
	h.whole(t)
	a := h.c.ask("PUT", "/plain/new", []byte("x"))
	require.Equal(t, http.StatusServiceUnavailable, a.status, a)
	check := spawn(t, m.wrapper, "-check", drives)
	select {
	case <-check.exited:
	case <-time.After(generous):
		t.Fatal("the check does not end")
	}
	// The smallest drive may have had no room for shards that the others took.
	smallest := "shard " + filepath.Join(m.dir, "disk2", "drive")
	for line := range strings.Lines(check.stdout.String()) {
		may := strings.HasPrefix(line, smallest) && strings.Contains(line, "not found") && !strings.Contains(line, "lost with")
		require.True(t, may || line == "nothing is wrong with 4 drives\n", "%s %s", check.stdout, check.stderr)
	}
	require.NotEmpty(t, check.stdout.String(), check.stderr)
	h.c.stop(t)
	t.Logf("%d large and %d small objects fitted", large, small)
}
