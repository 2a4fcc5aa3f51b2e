package main

// Goal: a scrub that is killed goes on at the next start, as often as that happens, and
// in the end all that was damaged is mended. Method: scrubs that follow each other at
// once; a shard file of some drive is damaged before each round, and the server process
// is killed while its admin view shows a scrub. SHERD_LONG=1 makes it 20 rounds. In
// package main, which cannot be imported.

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// harm flips a bit in the middle of some shard file of a drive.
func harm(t *testing.T, drive string, rng *rand.Rand) {
	t.Helper()
	var files []string
	require.NoError(t, filepath.WalkDir(filepath.Join(drive, "shards"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	}))
	require.NotEmpty(t, files)
	path := files[rng.IntN(len(files))]
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

// scrubs gives when the scrub that is shown began.
func scrubs(v overview) (begun time.Time, ok bool) {
	for _, w := range v.Work {
		if w.Kind == "scrubbing" {
			return w.Begun, true
		}
	}
	return time.Time{}, false
}

func TestKillWhileItScrubs(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	dir := t.TempDir()
	c := launch(t, "-scrub-interval", "0", drivesIn(dir))
	furnish(t, c)
	of := still(t, c, rng)
	for i := range 60 {
		path := fmt.Sprint("/plain/many", i)
		of[path] = content{there: true, size: []int{10, 1 << 10, 200 << 10}[i%3], seed: rng.Uint64()}
		a := c.ask("PUT", path, of[path].bytes())
		require.True(t, a.ok(), a)
	}
	c.stop(t)
	words := []string{"-must-exist", "-scrub-interval", "100ms", drivesIn(dir)}
	n := rounds(3, 20)
	for range n {
		harm(t, driveIn(dir, rng.IntN(2)), rng) // never more of an object than it can lose
		var at string
		c, at = watched(t, append([]string{"-scrub-rate", "10MiB"}, words...)...)
		shows(t, c, at, "that it scrubs", func(v overview) bool { _, ok := scrubs(v); return ok })
		wait(time.Duration(rng.IntN(600)) * time.Millisecond)
		c.kill()
	}
	c, at := watched(t, words...)
	passes := map[time.Time]bool{}
	shows(t, c, at, "that a scrub came to its end and others after it", func(v overview) bool {
		if begun, ok := scrubs(v); ok {
			passes[begun] = true
		}
		return len(passes) > 2
	})
	shows(t, c, at, "that nothing is in need of mending", func(v overview) bool { v.Work = nil; return whole(v) })
	reads(t, c, of)
	c.stop(t)
	examine(t, dir, false)
	t.Logf("%d rounds", n)
}
