//go:build linux

package main

// Goal: a server that is suspended, has no file descriptors left, or has a drive
// that can only be read, loses nothing that was acknowledged, throws out no drive
// without need, and is well again by itself. Method: a server process under load
// with journals, its limits set and its filesystems mounted from outside. In
// package main, which cannot be imported.

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server that is suspended for longer than the stall limit finds all drives
// late at once, which is the fault of none. The long variant does that with the
// limit as it is unless said otherwise.
func TestSuspended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	limit := 2 * time.Second
	if long() {
		limit = 10 * time.Second
	}
	c := launch(t, "-stall-limit", limit.String(), drivesIn(dir))
	furnish(t, c)
	w := newCrowd(4, 3, seeded(t))
	bad := &troubles{}
	for _, p := range w.patrons {
		p.failed = bad.note
	}
	w.begin(c)
	wait(200 * time.Millisecond)
	for range 2 {
		require.NoError(t, c.cmd.Process.Signal(syscall.SIGSTOP))
		wait(limit + limit/3)
		require.NoError(t, c.cmd.Process.Signal(syscall.SIGCONT))
		wait(500 * time.Millisecond)
	}
	w.end(t)
	require.Empty(t, bad.take())
	require.Equal(t, statusOK, health(t, c))
	require.False(t, logged(c.stderr.String(), `"away"`), c.stderr)
	w.audit(t, c)
	c.stop(t)
	examine(t, dir, false)
	t.Logf("%v", w.tally())
}

// allowFiles sets how many file descriptors a process may have open.
func allowFiles(t *testing.T, c *child, n string) {
	t.Helper()
	out, err := exec.Command("prlimit", "--pid", fmt.Sprint(c.cmd.Process.Pid), "--nofile="+n+":").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func openFiles(t *testing.T, c *child) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
	require.NoError(t, err)
	return len(open)
}

func TestNoFileDescriptors(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	dir := t.TempDir()
	c := launch(t, drivesIn(dir))
	furnish(t, c)
	of := still(t, c, rng)
	w := newCrowd(4, 3, rng)
	codes := map[string]int{}
	for round := range rounds(3, 20) {
		bad := &troubles{}
		for _, p := range w.patrons {
			p.failed, p.lenient = bad.note, true
		}
		w.begin(c)
		wait(100 * time.Millisecond)
		// From nothing left at all to a few, which is when some calls succeed.
		allowFiles(t, c, fmt.Sprint(openFiles(t, c)+4*round-4))
		held := crowdOut(t, c)
		wait(700 * time.Millisecond)
		for _, conn := range held {
			require.NoError(t, conn.Close())
		}
		allowFiles(t, c, "4096")
		recovered := c.becomes(t, statusOK)
		w.end(t)
		for _, x := range bad.take() {
			if x.a.err == nil {
				codes[fmt.Sprint(x.a.status, " ", x.a.code())]++
				require.Contains(t, []int{http.StatusInternalServerError, http.StatusServiceUnavailable}, x.a.status, "%s: %s", x.op, x.a)
			}
		}
		for path, want := range of {
			a := c.ask("GET", path, nil)
			require.True(t, a.err == nil && want.holds(a), "%s: %s", path, a)
		}
		w.audit(t, c)
		t.Logf("round %d: well again after %s", round, milliseconds(recovered))
	}
	c.stop(t)
	examine(t, dir, true) // a drive that could not make its shard owes it
	t.Logf("%v; errors: %v", w.tally(), codes)
}

// crowdOut opens connections that nobody uses. The server need not take them.
func crowdOut(t *testing.T, c *child) []net.Conn {
	t.Helper()
	var held []net.Conn
	for range 20 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		require.NoError(t, err)
		held = append(held, conn)
	}
	return held
}

// A filesystem that has files open for writing can not be mounted anew as
// read-only, so the drive's path is covered by a read-only view of itself: files
// that are open can be written, and none can be made.
func TestDriveBecomesReadOnly(t *testing.T) {
	t.Parallel()
	m := newMounts(t)
	drives := m.drives(t, 512)
	c := m.launch(t, drives)
	furnish(t, c)
	rng := seeded(t)
	of := still(t, c, rng)
	w := newCrowd(3, 3, rng)
	bad := &troubles{}
	for _, p := range w.patrons {
		p.failed = bad.note
	}
	w.begin(c)
	var r readers
	r.begin(c, of, 1)
	drive := filepath.Join(m.dir, "disk2", "drive")
	// Made read-only elsewhere, and moved there then: a file that the server opened for
	// writing in between would keep the mount busy.
	view := filepath.Join(m.dir, "view")
	m.run(t, "mkdir '%[2]s' && mount --bind '%[1]s' '%[2]s' && mount -o remount,ro,bind '%[2]s' && mount --move '%[2]s' '%[1]s'", drive, view)
	noticed := c.becomes(t, statusDegraded)
	c.says(t, `"drive":"`+drive+`"`, `"away"`, "read-only")
	before := time.Now()
	wait(500 * time.Millisecond)
	retryable(t, bad.take(), before)
	m.run(t, "umount -l '%s'", drive)
	back := c.becomes(t, statusOK)
	wait(200 * time.Millisecond)
	w.end(t)
	r.end(t, c)
	w.audit(t, c)
	c.stop(t)
	t.Logf("noticed after %s, back %s after it could be written; %v", milliseconds(noticed), milliseconds(back), w.tally())
}

func TestDriveIsReadOnlyAtStart(t *testing.T) {
	t.Parallel()
	m := newMounts(t)
	drives := m.drives(t, 512)
	c := m.launch(t, drives)
	furnish(t, c)
	rng := seeded(t)
	of := still(t, c, rng)
	c.kill()
	disk := filepath.Join(m.dir, "disk3")
	m.run(t, "mount -o remount,ro '%s' || mount -o remount,bind,ro '%s'", disk, disk) // the latter without being root
	c = m.launch(t, "-must-exist", drives)
	require.Equal(t, statusDegraded, health(t, c))
	w := newCrowd(2, 2, rng)
	w.begin(c)
	wait(300 * time.Millisecond)
	m.run(t, "mount -o remount,rw '%s' || mount -o remount,bind,rw '%s'", disk, disk)
	back := c.becomes(t, statusOK)
	w.end(t)
	for path, want := range of {
		a := c.ask("GET", path, nil)
		require.True(t, a.err == nil && want.holds(a), "%s: %s", path, a)
	}
	w.audit(t, c)
	c.stop(t)
	t.Logf("back %s after it could be written; %v", milliseconds(back), w.tally())
}

// While the first server is suspended whatever changes is the second one's doing.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := launch(t, drivesIn(dir))
	furnish(t, c)
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGSTOP))
	before := tree(t, dir)
	said := refused(t, "-must-exist", drivesIn(dir))
	for i := range 4 {
		require.Contains(t, said, driveIn(dir, i)+": the drive is open elsewhere")
	}
	said = refused(t, "-must-exist", filepath.Join(dir, "d{3...4}"))
	require.Contains(t, said, "another server")
	require.Equal(t, before, tree(t, dir))
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGCONT))
	a := c.ask("PUT", "/plain/key", []byte("still served"))
	require.True(t, a.ok(), a)
	require.Equal(t, statusOK, health(t, c))
	c.stop(t)
}
