//go:build linux

package main

// Goal: full drives go on being read, listed and emptied, also over a restart, and
// take new objects once there is room. Method: a server process on filesystems of
// 96 MiB, filled through it and behind its back. In package main, which cannot be
// imported.

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hoard is what was put until there was no room.
type hoard struct {
	c    *child
	seed uint64
	has  map[string]content
}

// fill puts objects of a size until there is no space, and gives how many fitted.
func (h *hoard) fill(t *testing.T, size int) (n int) {
	t.Helper()
	for {
		h.seed++
		path := fmt.Sprintf("/plain/%d", h.seed)
		now := content{there: true, size: size, seed: h.seed}
		a := h.c.ask("PUT", path, now.bytes())
		if !a.ok() {
			h.full(t, a)
			return n
		}
		h.has[path] = now
		n++
		require.Less(t, n*size, 1<<30, "it is never full")
	}
}

// full wants the answer of a store without space.
func (h *hoard) full(t *testing.T, a answer) {
	t.Helper()
	require.NoError(t, a.err, h.c.stderr.String())
	require.Equal(t, http.StatusInsufficientStorage, a.status, "%s, %s", a, h.c.stderr)
	require.Equal(t, "InsufficientStorage", a.code())
}

// whole wants everything to be there and listed.
func (h *hoard) whole(t *testing.T) {
	t.Helper()
	for path, want := range h.has {
		a := h.c.ask("GET", path, nil)
		require.True(t, a.err == nil && want.holds(a), "%s: %s, %s", path, a, h.c.stderr)
	}
	p := &patron{api: h.c, bucket: "plain"}
	listed, err := p.list("")
	require.NoError(t, err)
	require.Len(t, listed, min(len(h.has), 1000))
}

// drop deletes so many.
func (h *hoard) drop(t *testing.T, n int) {
	t.Helper()
	for path := range h.has {
		if n--; n < 0 {
			return
		}
		a := h.c.ask("DELETE", path, nil)
		require.True(t, a.ok(), "delete on full drives: %s, %s", a, h.c.stderr)
		delete(h.has, path)
	}
}

// takes waits until an object of a size can be put again, and tells how long that took.
func (h *hoard) takes(t *testing.T, size int) time.Duration {
	t.Helper()
	begun := time.Now()
	h.seed++
	path := fmt.Sprintf("/plain/%d", h.seed)
	now := content{there: true, size: size, seed: h.seed}
	// What a reader may still see is kept for a minute, whatever became of the reader.
	for a := h.c.ask("PUT", path, now.bytes()); !a.ok(); a = h.c.ask("PUT", path, now.bytes()) {
		h.full(t, a)
		require.Less(t, time.Since(begun), 3*generous, "there is never room again: %s, %s", a, h.c.stderr)
		wait(10 * time.Millisecond)
	}
	h.has[path] = now
	return time.Since(begun)
}

func TestFullDrives(t *testing.T) {
	t.Parallel()
	m := newMounts(t)
	drives := m.drives(t, 96)
	h := &hoard{c: m.launch(t, drives), has: map[string]content{}}
	furnish(t, h.c)
	large := h.fill(t, 1<<20)
	medium := h.fill(t, 50<<10)
	small := h.fill(t, 1<<10)
	h.whole(t)
	a := h.c.ask("POST", "/plain/upload", nil, "uploads", "")
	if !a.ok() { // it is a small record: it may find room, and need not
		h.full(t, a)
	}
	require.Equal(t, statusOK, health(t, h.c), "full is not failed")
	h.drop(t, len(h.has)/4)
	again := h.takes(t, 1<<20)
	h.whole(t)

	h.fill(t, 1<<20)
	h.fill(t, 1<<10)
	h.c.kill()
	begun := time.Now()
	h.c = m.launch(t, "-must-exist", drives)
	restarted := time.Since(begun)
	h.whole(t)
	h.fill(t, 1<<20) // what the restart made room for
	h.drop(t, len(h.has)/2)
	after := h.takes(t, 1<<20)
	h.whole(t)
	require.Equal(t, statusOK, health(t, h.c))
	h.c.stop(t)
	t.Logf("%d objects of 1 MiB, %d of 50 KiB, %d of 1 KiB fitted; room %s after deletes; full restart in %s, room %s after deletes then",
		large, medium, small, milliseconds(again), milliseconds(restarted), milliseconds(after))
}

// Somebody else fills the filesystems to the last byte, reserve and all.
func TestDrivesFilledByOthers(t *testing.T) {
	t.Parallel()
	m := newMounts(t)
	drives := m.drives(t, 96)
	h := &hoard{c: m.launch(t, drives), has: map[string]content{}}
	furnish(t, h.c)
	for range 20 {
		h.takes(t, 1<<20)
		h.takes(t, 1<<10)
	}
	fillers := filepath.Join(m.dir, "disk*", "filler")
	for i := 1; i <= 4; i++ {
		m.run(t, "cat /dev/zero >'%s/disk%d/filler' || true", m.dir, i)
	}
	h.full(t, h.c.ask("PUT", "/plain/more", content{size: 1 << 20}.bytes()))
	// A small one may still find room in what the index has, until drives are measured again.
	for tries := 0; ; tries++ {
		path, small := fmt.Sprintf("/plain/small/%d", tries), content{there: true, size: 1 << 10, seed: uint64(tries)}
		a := h.c.ask("PUT", path, small.bytes())
		if !a.ok() {
			h.full(t, a)
			break
		}
		h.has[path] = small
		require.Less(t, tries, 100_000, "small objects go in for ever")
	}
	h.whole(t)
	h.drop(t, 10)
	h.whole(t)
	h.c.kill()
	begun := time.Now()
	h.c = m.launch(t, "-must-exist", drives)
	restarted := time.Since(begun)
	h.whole(t)
	h.drop(t, 10)
	m.run(t, "rm %s", fillers)
	after := h.takes(t, 1<<20)
	h.whole(t)
	require.Equal(t, statusOK, health(t, h.c))
	h.c.stop(t)
	t.Logf("restarted without a byte free in %s; room %s after the others left", milliseconds(restarted), milliseconds(after))
}

func health(t *testing.T, c *child) string {
	t.Helper()
	_, r, err := c.ready()
	require.NoError(t, err)
	return r.Status
}
