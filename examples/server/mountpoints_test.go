//go:build linux

package main

// Goal: drives that are filesystems of their own come and go as filesystems do: what
// shows where one is not mounted is never taken for its drive, a fresh one is, and each
// drive is known wherever it is mounted. Method: a server process whose four drives are
// mount points, which are moved away and back, covered, exchanged and mounted anew beside
// it. In package main, which cannot be imported.

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// points mounts four drives and a place to put them aside, and gives the drives' paths.
func points(t *testing.T) (m *mounts, drives string, disk func(int) string) {
	m = newMounts(t)
	disk = func(i int) string { return filepath.Join(m.dir, fmt.Sprint("disk", i)) }
	for i := 1; i <= 4; i++ {
		m.run(t, "mkdir '%[1]s' && mount -t tmpfs -o size=128m sherd '%[1]s'", disk(i))
	}
	return m, filepath.Join(m.dir, "disk{1...4}"), disk
}

// aside moves a mount to where nobody looks; back brings it back.
func (m *mounts) aside(t *testing.T, disk, to string) {
	t.Helper()
	m.run(t, "mkdir -p '%[2]s' && mount --move '%[1]s' '%[2]s'", disk, to)
}

func (m *mounts) back(t *testing.T, disk, from string) {
	t.Helper()
	m.run(t, "mount --move '%[1]s' '%[2]s'", from, disk)
}

// A mount is missing while the server runs, and when it starts.
//
// Kills: filling what is under a mount; a lock that is kept on what was there before.
func TestAMountIsMissing(t *testing.T) {
	t.Parallel()
	m, drives, disk := points(t)
	c := m.launch(t, drives)
	furnish(t, c)
	of := still(t, c, seeded(t))
	away := filepath.Join(m.dir, "away")

	m.aside(t, disk(2), away)
	c.becomes(t, statusDegraded)
	c.says(t, disk(2), "refused", "does not seem to be mounted")
	a := c.ask("PUT", "/plain/without", []byte("one"))
	require.True(t, a.ok(), a)
	m.back(t, disk(2), away)
	c.becomes(t, statusOK)
	reads(t, c, of)
	c.stop(t)

	m.aside(t, disk(3), away)
	c = m.launch(t, "-must-exist", drives)
	c.says(t, disk(3), "refused", "does not seem to be mounted")
	require.Equal(t, statusDegraded, health(t, c))
	a = c.ask("PUT", "/plain/more", []byte("two"))
	require.True(t, a.ok(), a)
	m.back(t, disk(3), away)
	c.becomes(t, statusOK)
	reads(t, c, of)
	c.stop(t)
	for i := 1; i <= 4; i++ { // under the mounts, as the test's own namespace sees it
		under, err := os.ReadDir(disk(i))
		require.NoError(t, err)
		for _, entry := range under {
			require.Equal(t, "lock", entry.Name())
		}
	}
}

// A filesystem that was made anew, as some make them, takes the place of one that is lost.
//
// Kills: a directory that is not empty for what its filesystem has in it.
func TestAFreshFilesystem(t *testing.T) {
	t.Parallel()
	m, drives, disk := points(t)
	c := m.launch(t, drives)
	furnish(t, c)
	of := still(t, c, seeded(t))
	away := filepath.Join(m.dir, "away")
	m.aside(t, disk(4), away)
	c.becomes(t, statusDegraded)
	m.run(t, "mount -t tmpfs -o size=128m sherd '%[1]s' && mkdir '%[1]s/lost+found'", disk(4))
	c.becomes(t, statusOK)
	c.says(t, "made a new drive", disk(4))
	m.run(t, "test -d '%[1]s/lost+found' && test -f '%[1]s/format.json'", disk(4))
	m.aside(t, disk(1), away+"1")
	m.aside(t, disk(2), away+"2")
	reads(t, c, of) // half of it from the new drive
	m.back(t, disk(1), away+"1")
	m.back(t, disk(2), away+"2")
	c.becomes(t, statusOK)
	c.stop(t)

	// The old one comes back where the new one is: it is refused.
	m.run(t, "umount '%s'", disk(4))
	m.back(t, disk(4), away)
	c = m.launch(t, "-must-exist", drives)
	c.says(t, disk(4), "refused")
	require.Equal(t, statusDegraded, health(t, c))
	reads(t, c, of)
	c.stop(t)
}

// Filesystems are mounted in each other's places, and one in two places at once.
//
// Kills: drives that are known by their places.
func TestMountsInOtherPlaces(t *testing.T) {
	t.Parallel()
	m, drives, disk := points(t)
	c := m.launch(t, drives)
	furnish(t, c)
	of := still(t, c, seeded(t))
	c.stop(t)
	away := filepath.Join(m.dir, "away")
	m.aside(t, disk(1), away)
	m.aside(t, disk(2), away+"2")
	m.back(t, disk(2), away)
	m.back(t, disk(1), away+"2")
	c = m.launch(t, "-must-exist", drives)
	c.becomes(t, statusOK)
	reads(t, c, of)

	m.aside(t, disk(3), away)
	c.becomes(t, statusDegraded)
	m.run(t, "mount --bind '%s' '%s'", disk(4), disk(3))
	wait(2 * time.Second)
	require.Equal(t, statusDegraded, health(t, c), "one drive counts twice")
	a := c.ask("PUT", "/plain/without", []byte("one"))
	require.True(t, a.ok(), a)
	m.run(t, "umount '%s'", disk(3))
	m.back(t, disk(3), away)
	c.becomes(t, statusOK)
	reads(t, c, of)
	c.stop(t)
}
