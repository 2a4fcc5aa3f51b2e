// Goal: a full store refuses writes cleanly, does everything else, and writes
// again once something was deleted; and a drive that is full although it was
// thought to have room gives its reserve up. Method: small drives in memory,
// filled through the store, and behind its back.
package sherd_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

const reserveBytes = 64 << 20 // what the index needs to write itself anew

// smallRack is drives of so many bytes each.
func smallRack(drives int, capacity int64) *rack {
	r := &rack{opt: &sherd.Options{ReserveBytes: reserveBytes}}
	// While one drive is full and enough others are not, its shard is left out.
	r.known = func(f sherd.Finding) bool { return f.Kind == "shard" && !f.Lost }
	for range drives {
		r.add(vfs.Mem(capacity))
	}
	return r
}

func TestFullStore(t *testing.T) {
	for _, drives := range []int{1, 2, 4} {
		if raceEnabled && drives > 2 {
			continue // filling them takes too long there
		}
		for name, size := range map[string]int{"files": 900_000, "inline": 20_000} {
			t.Run(fmt.Sprintf("%d drives, %s", drives, name), func(t *testing.T) {
				bubble(t, func(t *testing.T) { fillUp(t, smallRack(drives, 88<<20), size) })
			})
		}
	}
}

func fillUp(t *testing.T, r *rack, size int) {
	s := begun(t, r)
	written := map[string][]byte{}
	fill := func(prefix string) (n int) {
		for ; ; n++ {
			key, content := fmt.Sprintf("%s%05d", prefix, n), sized(uint64(n), size)
			err := putAt(t, s, key, content, nil)
			if err != nil {
				require.ErrorIs(t, err, sherd.ErrNoSpace)
				require.NotErrorIs(t, err, sherd.ErrOutcomeUnknown)
				return n
			}
			written[key] = content
			pass(20 * time.Millisecond) // the drives are measured now and then
		}
	}
	first := fill("a")
	require.Greater(t, first, 10)
	all := func(s *sherd.Store) {
		for key, content := range written {
			has(t, s, key, content)
		}
		require.Len(t, keys(t, s, bucketName, nil), len(written))
		require.True(t, well(s), "no drive failed: %+v", s.Health().Drives)
	}
	all(s)
	r.shut(t, s, "full")
	var err error
	s, err = r.open(t)
	require.NoError(t, err, "a full store opens")
	all(s)
	fill("b") // what opening compacted

	for n := range first {
		key := fmt.Sprintf("a%05d", n)
		_, err := s.Delete(t.Context(), bucketName, key, nil)
		require.NoError(t, err, "a full store deletes")
		delete(written, key)
	}
	all(s)
	eventually(t, s, "room again", func() bool { return putAt(t, s, "c", sized(8, size), nil) == nil })
	written["c"] = sized(8, size)
	pass(time.Minute)
	require.Greater(t, fill("d"), first/2)
	r.sound(t, s, all)
}

func TestTheReserveIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := smallRack(4, 160<<20)
		s := begun(t, r)
		require.NoError(t, putAt(t, s, "k", tiny, nil))
		stat := func(i int) error { _, err := r.disks[i].Stat(sherd.DrivePath(i) + "/reserve"); return err }
		for i := range r.disks {
			eventually(t, s, "reserve", func() bool { return stat(i) == nil })
		}
		for _, i := range []int{1, 3} { // behind the store's back: what was measured is not so any more
			brim(t, r.disks[i])
		}
		full := r.faults[1].Count(op.Remove)
		require.NoError(t, putAt(t, s, "k", tinyNew, nil))
		require.Greater(t, r.faults[1].Count(op.Remove), full)
		for _, i := range []int{1, 3} {
			require.Error(t, stat(i), "the reserve was given up")
		}
		for i := range 3 {
			require.NoError(t, stat(i&^1), "and only there")
		}
		require.True(t, well(s), "and no drive was lost: %+v", s.Health().Drives)
		has(t, s, "k", tinyNew)
		pass(time.Second)
		require.ErrorIs(t, putAt(t, s, "k", tiny, nil), sherd.ErrNoSpace, "now it is known")
		_, err := s.Delete(t.Context(), bucketName, "k", nil)
		require.NoError(t, err, "which deletes may use")
		for _, i := range []int{1, 3} {
			require.NoError(t, r.disks[i].Remove("/foreign"))
		}
		eventually(t, s, "room again", func() bool { return putAt(t, s, "k", middle, nil) == nil })
		for i := range r.disks {
			eventually(t, s, "reserve", func() bool { return stat(i) == nil })
		}
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "k", middle) })
	})
}

// brim fills a disk up to its last byte.
func brim(t *testing.T, fs vfs.FS) {
	f, err := fs.Create("/foreign", vfs.Unspecified)
	require.NoError(t, err)
	usage, err := fs.GetDiskUsage("/")
	require.NoError(t, err)
	_, err = f.Write(make([]byte, usage.AvailBytes))
	require.NoError(t, err)
	_, err = f.Write([]byte{1})
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
	require.NoError(t, f.Close())
}
