// Goal: one wrong bit anywhere under a drive's directory never gives a wrong byte,
// is found, and is mended. Method: stores in memory; a bit of a file that is drawn by
// its length is turned, everything is read, checked and, if nothing was found, the
// store is opened anew; then it heals, and a check must find nothing. What nothing
// finds is shown to matter to nobody: everything is read from that drive and one
// other. 100 bits, 1,000 with SHERD_LONG. It was seen to fail when frames were believed whatever their sums
// say, and when a scrub looked at the lengths of shards alone.
package sherd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
)

// under gives the files below a directory of a disk, with their lengths.
func under(t testing.TB, disk vfs.FS, dir string, out map[string]int64) {
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		file := disk.PathJoin(dir, name)
		info, err := disk.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the index writes its files anew as it likes
		}
		require.NoError(t, err)
		if info.IsDir() {
			under(t, disk, file, out)
		} else if info.Size() > 0 {
			out[file] = info.Size()
		}
	}
}

// turnBit turns one bit of a file, and says which.
func turnBit(t testing.TB, disk vfs.FS, file string, at int64, bit int) {
	f, err := disk.OpenReadWrite(file, vfs.Unspecified)
	require.NoError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 1 << bit
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, errors.Join(err, f.Sync(), f.Close()))
}

// kindOf says what a file of a drive is.
func kindOf(file string) string {
	dir := strings.Split(strings.TrimPrefix(file, "/"), "/")
	switch {
	case len(dir) > 2 && dir[1] == "index":
		return "index " + strings.Trim(path.Base(file), "0123456789")
	case len(dir) > 2:
		return dir[1]
	}
	return path.Base(file)
}

func TestOneWrongBitAnywhere(t *testing.T) {
	bits := 100
	if long() {
		bits = 1000
	}
	found, dead := map[string]int{}, map[string]int{}
	r := rand.New(rand.NewPCG(seed(t), 7))
	for begun := 0; begun < bits; begun += 20 {
		bubble(t, func(t *testing.T) { wrongBits(t, r, min(20, bits-begun), found, dead) })
	}
	for _, kind := range slices.Sorted(maps.Keys(found)) {
		t.Logf("%s: %d found and mended", kind, found[kind])
	}
	for _, kind := range slices.Sorted(maps.Keys(dead)) {
		t.Logf("%s: %d in dead bytes", kind, dead[kind])
		// The date of format.json; what the index has read and will not again; what was
		// put aside.
		require.Contains(t, []string{"format.json", "lock", "reserve", "quarantine", "index .log", "index MANIFEST-", "index OPTIONS-"}, kind)
	}
	require.Positive(t, found["shards"])
	require.Positive(t, found["index .sst"])
}

// wrongBits turns bits in one store, one after another, each mended before the next.
func wrongBits(t *testing.T, r *rand.Rand, n int, found, dead map[string]int) {
	k := newRack(4)
	var told atomic.Int64
	k.opt = &sherd.Options{CacheBytes: 1, Notice: func(n sherd.Notice) {
		if n.Kind == sherd.NoticeDamage || n.Kind == sherd.NoticeHealed {
			told.Add(1)
		}
	}}
	s, err := k.open(t)
	require.NoError(t, err)
	_, err = s.CreateBucket(t.Context(), bucketName, nil)
	require.NoError(t, err)
	want := map[string][]byte{}
	for i := range 40 {
		key, data := fmt.Sprintf("k%02d", i), sized(uint64(i), []int{10, 3_000, 30_000, 150_000}[i%4])
		want[key] = data
		_, err = s.Put(t.Context(), bucketName, key, bytes.NewReader(data), int64(len(data)), nil)
		require.NoError(t, err)
	}
	again := func() {
		k.shut(t, s, "")
		s, err = k.open(t)
		require.NoError(t, err)
		eventually(t, s, "all in-sync", func() bool { return well(s) })
	}
	again() // what was in the log is in tables
	readAll := func(what string) {
		for key, data := range want {
			o, err := s.Get(t.Context(), bucketName, key, nil)
			require.NoError(t, err, "%s: %s", what, key)
			got, err := io.ReadAll(o)
			require.NoError(t, errors.Join(err, o.Close()), "%s: %s", what, key)
			require.True(t, bytes.Equal(data, got), "%s: %s has wrong bytes", what, key)
		}
	}
	for range n {
		drive := r.IntN(4)
		files := map[string]int64{}
		under(t, k.disks[drive], fmt.Sprintf("/drive%d", drive), files)
		file, at := draw(r, files)
		what := fmt.Sprintf("bit of %s, byte %d of %d", file, at, files[file])
		before, heard := s.Health(), told.Load()
		bit := r.IntN(8)
		turnBit(t, k.disks[drive], file, at, bit)
		readAll(what)
		pass(2 * time.Second) // probes look, and what was met is mended
		said := told.Load() > heard || !well(s)
		for f, err := range s.Check(t.Context()) {
			require.NoError(t, err, what)
			said = said || f.Text != ""
		}
		if !said {
			again() // the rest is read at an opening
			said = told.Load() > heard || len(s.Health().Damage) > 0
			for _, d := range s.Health().Drives {
				said = said || d.Path == fmt.Sprintf("/drive%d", drive) && d.Since.After(before.Drives[0].Since) && d.ID != idOf(before, d.Path)
			}
			readAll(what)
		}
		if !said { // then it must not matter: the drive alone with another one has everything
			rest := slices.DeleteFunc([]int{0, 1, 2, 3}, func(i int) bool { return i == drive })
			r.Shuffle(3, func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
			k.shut(t, s, "")
			for _, i := range rest[:2] {
				k.faults[i].SetGone(true)
			}
			s, err = k.open(t)
			require.NoError(t, err, what)
			readAll("alone with the " + what)
			k.shut(t, s, "")
			for _, i := range rest[:2] {
				k.faults[i].SetGone(false)
			}
			s, err = k.open(t)
			require.NoError(t, err, what)
			eventually(t, s, "all in-sync", func() bool { return well(s) })
		}
		kind := kindOf(file)
		if said {
			found[kind]++
		} else {
			dead[kind]++
		}
		if kind == "format.json" && !well(s) { // the operator's
			turnBit(t, k.disks[drive], file, at, bit)
			again()
		}
		_, err := s.Heal(t.Context(), nil)
		require.NoError(t, err, what)
		eventually(t, s, "all in-sync after a "+what, func() bool { return well(s) })
		_, err = s.Heal(t.Context(), nil)
		require.NoError(t, err, what)
		for f, err := range s.Check(t.Context()) {
			require.NoError(t, err, what)
			require.Fail(t, "not mended", "%s: %+v", what, f)
		}
		readAll(what)
	}
	k.shut(t, s, "")
}

func idOf(h sherd.Health, path string) string {
	for _, d := range h.Drives {
		if d.Path == path {
			return d.ID
		}
	}
	return ""
}

// draw takes a byte of all files, each as likely as any other, but those of one kind
// together as likely as those of another every second time.
func draw(r *rand.Rand, files map[string]int64) (string, int64) {
	kinds := map[string][]string{}
	total := int64(0)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		kinds[kindOf(file)] = append(kinds[kindOf(file)], file)
		total += files[file]
	}
	if r.IntN(2) == 0 {
		names := slices.Sorted(maps.Keys(kinds))
		of := kinds[names[r.IntN(len(names))]]
		file := of[r.IntN(len(of))]
		return file, r.Int64N(files[file])
	}
	at := r.Int64N(total)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if at < files[file] {
			return file, at
		}
		at -= files[file]
	}
	return "", 0
}
