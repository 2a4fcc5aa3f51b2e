// Goal: what is damaged is mended, from verified shards of the same write and in
// place, nothing is lost on the way, and what can not be mended stays as it is.
// Method: shard files in memory that the test damages in every manner that it knows,
// virtual time, and Check, which reads every shard of every drive. Each test names
// the breakage of the code that it was seen to find.
package driveset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// files gives the paths of all files below a directory of a drive, sorted.
func filesBelow(t testing.TB, fsys vfs.FS, dir string) (out []string) {
	names, err := fsys.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		path := fsys.PathJoin(dir, name)
		info, err := fsys.Stat(path)
		require.NoError(t, err)
		if info.IsDir() {
			out = append(out, filesBelow(t, fsys, path)...)
		} else {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

func (s *shelf) shardFiles(t testing.TB, drive int) []string {
	return filesBelow(t, s.fs[drive], fmt.Sprintf("/d%d/shards", drive))
}

func readAll(t testing.TB, fsys vfs.FS, path string) []byte {
	f, err := fsys.Open(path)
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, errors.Join(err, f.Close()))
	return data
}

func writeAll(t testing.TB, fsys vfs.FS, path string, data []byte) {
	f, err := fsys.Create(path, vfs.Unspecified)
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, errors.Join(err, f.Sync(), f.Close()))
}

// harms are manners in which a shard file comes to harm. What is nil is gone.
var harms = map[string]func(file []byte, r *rand.Rand) []byte{
	"gone":           func([]byte, *rand.Rand) []byte { return nil },
	"empty":          func([]byte, *rand.Rand) []byte { return []byte{} },
	"cut":            func(f []byte, r *rand.Rand) []byte { return f[:r.IntN(len(f)-500)] },
	"longer":         func(f []byte, _ *rand.Rand) []byte { return append(f, 0) },
	"bit of header":  func(f []byte, r *rand.Rand) []byte { f[r.IntN(layout.ShardHeaderBytes)] ^= 1; return f },
	"bit of frame":   func(f []byte, r *rand.Rand) []byte { f[layout.ShardHeaderBytes+r.IntN(70_000)] ^= 4; return f },
	"bit of trailer": func(f []byte, r *rand.Rand) []byte { f[len(f)-1-r.IntN(layout.ShardFooterBytes)] ^= 16; return f },
	"zeros":          func(f []byte, _ *rand.Rand) []byte { clear(f[layout.ShardHeaderBytes:]); return f },
}

func (s *shelf) harm(t testing.TB, drive int, path string, how func([]byte, *rand.Rand) []byte, r *rand.Rand) {
	data := how(readAll(t, s.fs[drive], path), r)
	if data == nil {
		require.NoError(t, s.fs[drive].Remove(path))
		return
	}
	writeAll(t, s.fs[drive], path, data)
}

func (s *shelf) quarantined(t testing.TB, drive int) (out []string) {
	for _, path := range filesBelow(t, s.fs[drive], fmt.Sprintf("/d%d/quarantine", drive)) {
		if !strings.HasSuffix(path, ".json") {
			out = append(out, path)
		}
	}
	return out
}

// Kills: reads that report nothing to the healer; a healer that takes what is
// damaged as a source; one that removes what it replaces instead of putting it
// aside; one that forgets the trailer.
func TestWhatAReadMeetsIsMended(t *testing.T) {
	for name, how := range harms {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(4)
				c := s.open(t)
				r := rand.New(rand.NewPCG(1, 2))
				require.NoError(t, c.put(t.Context(), "k", bytesOf(7, 300_000)))
				met := 0
				for drive := range 4 {
					file := s.shardFiles(t, drive)[0]
					before := readAll(t, s.fs[drive], file)
					s.harm(t, drive, file, how, r)
					c.check()
					time.Sleep(time.Second) // virtual: the healer has had its turn
					if slices.Equal(before, readable(s.fs[drive], file)) {
						met++
					} else {
						sum, err := c.set.Heal(t.Context(), func(driveset.Finding) {})
						require.NoError(t, err)
						require.Equal(t, driveset.HealSummary{Found: 1, Healed: 1}, sum)
					}
					require.Equal(t, before, readAll(t, s.fs[drive], file), "the same bytes")
					if how(slices.Clone(before), r) == nil {
						require.Empty(t, s.quarantined(t, drive))
					} else {
						require.Len(t, s.quarantined(t, drive), 1)
					}
					c.whole()
				}
				if name == "bit of trailer" || name == "longer" {
					require.Zero(t, met, "no read looks there")
				} else {
					require.Equal(t, 2, met, "two shards of data are read")
				}
			})
		})
	}
}

func readable(fsys vfs.FS, path string) []byte {
	f, err := fsys.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, _ := io.ReadAll(f) // what is there, or nothing
	return data
}

// harmAll harms a shard of every object on a drive.
func (s *shelf) harmAll(t testing.TB, drive int, r *rand.Rand) {
	names := slices.Sorted(maps.Keys(harms))
	for _, file := range s.shardFiles(t, drive) {
		s.harm(t, drive, file, harms[names[r.IntN(len(names))]], r)
	}
}

// Kills: a scrub that does not verify frames, or trailers; one that gives up a
// record at its first bad shard.
func TestHealMendsAsManyAsMayBeLost(t *testing.T) {
	for _, n := range []int{2, 4, 6} {
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(n)
			c := s.open(t)
			c.fill("a")
			c.fill("b")
			r := rand.New(rand.NewPCG(uint64(n), 3))
			m := n / 2
			for drive := range m {
				s.harmAll(t, drive, r)
			}
			found := 0
			sum, err := c.set.Heal(t.Context(), func(f driveset.Finding) {
				found++
				require.True(t, f.Healed, "%+v", f)
			})
			require.NoError(t, err)
			require.EqualValues(t, 4*m, found) // two sizes are in files, twice
			require.Equal(t, driveset.HealSummary{Found: uint64(found), Healed: uint64(found)}, sum)
			c.whole()
			for drive := m; drive < n; drive++ {
				s.harmAll(t, drive, r) // the mended ones are sources now
			}
			c.check()
			_, err = c.set.Heal(t.Context(), func(driveset.Finding) {})
			require.NoError(t, err)
			c.whole()
		})
	}
}

// Kills: a healer that puts aside, removes or replaces what it can not put
// together; one that forgets what it could not mend.
func TestWhatCanNotBeMendedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "k", bytesOf(7, 300_000)))
		before := make([][]byte, 4)
		for drive := range 3 {
			before[drive] = readAll(t, s.fs[drive], s.shardFiles(t, drive)[0])
			s.harm(t, drive, s.shardFiles(t, drive)[0], harms["zeros"], nil)
		}
		_, err := c.get(t.Context(), "k")
		require.ErrorIs(t, err, driveset.ErrDamaged)
		for range 2 {
			sum, err := c.set.Heal(t.Context(), func(driveset.Finding) {})
			require.NoError(t, err)
			require.Equal(t, driveset.HealSummary{Found: 3, Left: 3}, sum)
		}
		require.Equal(t, []driveset.MarginCount{{Losses: -1, Objects: 1}}, c.set.Margin().Objects)
		for drive := range 4 {
			require.Empty(t, s.quarantined(t, drive))
			require.Len(t, s.shardFiles(t, drive), 1, "neither a new file nor one less")
		}
		writeAll(t, s.fs[1], s.shardFiles(t, 1)[0], before[1]) // it was the cable
		c.eventuallyWhole(time.Hour)
		require.Equal(t, []driveset.MarginCount{{Losses: 2, Objects: 1}}, c.set.Margin().Objects)
	})
}

// eventuallyWhole waits, in virtual time, until a check finds nothing.
func (c *client) eventuallyWhole(limit time.Duration) {
	c.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(time.Second) {
		var found []driveset.Finding
		require.NoError(c.t, c.set.Check(context.Background(), func(f driveset.Finding) { found = append(found, f) }))
		if len(found) == 0 {
			break
		}
		require.True(c.t, time.Now().Before(end), "not mended within %v: %+v", limit, found)
	}
	c.check()
}

// Damaged is on a drive by itself, by the bytes that an inline shard should not
// have: the index keeps sums of its own, which these are below.
func TestInlineShardsAreMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "k", bytesOf(7, 3000)))
		rec, err := c.latest(t.Context(), "k")
		require.NoError(t, err)
		require.NoError(t, c.set.Close())
		want := c.want
		for drive := range 2 {
			claim, err := layout.Claim(t.Context(), s.fs[drive], fmt.Sprintf("/d%d", drive), &layout.Options{Memory: true, ReserveBytes: -1})
			require.NoError(t, err)
			d, err := claim.Open(t.Context())
			require.NoError(t, err)
			h, err := d.Holding(t.Context())
			require.NoError(t, err)
			h.Promise.Epoch++
			_, err = d.Promise(t.Context(), h.Promise)
			require.NoError(t, err)
			require.NoError(t, d.Apply(t.Context(), h.Promise, layout.Batch{Mend: []layout.Mend{{Item: layout.Item{
				Slot: layout.InlineSlot(rec.Place.Data), Position: rec.Version, Value: []byte("nothing that was ever sealed")}}}}))
			require.NoError(t, errors.Join(d.Close(), claim.Release()))
		}
		c = s.open(t)
		c.want = want
		found := 0
		require.NoError(t, c.set.Check(t.Context(), func(f driveset.Finding) { found++ }))
		require.Equal(t, 2, found)
		c.check()
		time.Sleep(time.Second) // virtual: what the read met is mended
		sum, err := c.set.Heal(t.Context(), func(driveset.Finding) {})
		require.NoError(t, err)
		require.Zero(t, sum.Left)
		require.Less(t, sum.Healed, uint64(2), "the read met one at least, or the other")
		c.whole()
	})
}

// A shard file whose write came to nothing is put aside after the set was opened
// again, and later removed; what is used, or was until a moment ago, or is being
// written, stays.
//
// Kills: garbage that is judged by live records alone; of this owner's data ids;
// that is removed at once.
func TestGarbageGoesAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.QuarantineAge = 15 * time.Minute
		c := s.open(t)
		for i := range 4 {
			require.NoError(t, c.put(t.Context(), fmt.Sprint("k", i), bytesOf(uint64(i), 300_000)))
		}
		stage := func(n uint64) *driveset.Staged {
			st, err := c.set.Stage(t.Context(), bytes.NewReader(bytesOf(n, 400_000)), 400_000, driveset.DataSpec{Bucket: bucket, Key: "lost", Parity: -1})
			require.NoError(t, err)
			return st
		}
		lost := stage(9) // and never committed, as by a crash
		require.Len(t, s.shardFiles(t, 0), 5)
		sum, err := c.set.Heal(t.Context(), func(driveset.Finding) {})
		require.NoError(t, err)
		require.Zero(t, sum.Discarded, "it is still to be committed")
		require.Len(t, s.shardFiles(t, 0), 5)
		require.NoError(t, c.set.Close())
		want := c.want
		c = s.open(t)
		c.want = want
		view, err := c.set.View(t.Context()) // who reads holds what is deleted now
		require.NoError(t, err)
		require.NoError(t, c.delete(t.Context(), "k3"))
		live := stage(10)
		sum, err = c.set.Heal(t.Context(), func(driveset.Finding) {})
		require.NoError(t, err)
		require.Equal(t, 4, sum.Discarded)
		for drive := range 4 {
			require.Len(t, s.shardFiles(t, drive), 5, "four that records name, or named, and one that is to come")
			aside := s.quarantined(t, drive)
			require.Len(t, aside, 1)
			require.Contains(t, aside[0], lost.Place.Data.String())
		}
		view.Close()
		live.Discard()
		c.whole()
		time.Sleep(41 * time.Minute) // virtual
		for drive := range 4 {
			require.Empty(t, s.quarantined(t, drive))
			require.Len(t, s.shardFiles(t, drive), 3)
		}
		c.whole()
	})
}

// Nobody reads and nobody asks: a scrub finds it, in time, and a restart does not
// make it begin anew.
//
// Kills: a scrub that is never due; one that does not keep where it is; one whose
// rate is none.
func TestScrubGoesOnByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.ScrubBytes, s.opt.ScrubEvery = 20_000, time.Hour
		c := s.open(t)
		for i := range 20 {
			require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%02d", i), bytesOf(uint64(i), 300_000)))
		}
		r := rand.New(rand.NewPCG(5, 5))
		s.harmAll(t, 1, r)
		harmed := func() (n int) {
			require.NoError(t, c.set.Check(t.Context(), func(driveset.Finding) { n++ }))
			return n
		}
		require.Equal(t, 20, harmed())
		time.Sleep(9 * time.Minute)
		require.Equal(t, 20, harmed(), "not yet")
		time.Sleep(4 * time.Minute) // 600,000 bytes an object: half a minute
		half := harmed()
		require.Less(t, half, 19)
		require.Greater(t, half, 5)
		require.NoError(t, c.set.Close())
		want := c.want
		c = s.open(t)
		c.want = want
		time.Sleep(10 * time.Minute)
		require.Zero(t, harmed(), "from the beginning it would have taken longer than that")
		c.whole()
		s.harmAll(t, 2, r)
		time.Sleep(50 * time.Minute)
		require.Less(t, harmed(), 20, "an hour after it began")
		time.Sleep(10 * time.Minute)
		c.whole()
	})
}

// How far objects are from harm follows who is away and what is damaged, without
// counting again, and is known at once after a restart.
func TestMargin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(6)
		s.opt.ScrubEvery, s.opt.QuarantineAge = -1, 5*time.Minute
		c := s.open(t)
		for i := range 10 {
			require.NoError(t, c.put(t.Context(), fmt.Sprint("small", i), bytesOf(uint64(i), 100)))
			require.NoError(t, c.put(t.Context(), fmt.Sprint("large", i), bytesOf(uint64(i), 500_000)))
		}
		require.False(t, c.set.Margin().Known)
		margin := func(want ...driveset.MarginCount) {
			t.Helper()
			m := c.set.Margin()
			require.True(t, m.Known)
			require.Equal(t, want, m.Objects)
		}
		time.Sleep(time.Minute)
		margin(driveset.MarginCount{Losses: 3, Objects: 20})
		s.faults[2].SetGone(true)
		c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[2].Status == driveset.Away })
		margin(driveset.MarginCount{Losses: 2, Objects: 20})
		require.NoError(t, c.put(t.Context(), "without", bytesOf(99, 500_000)))
		margin(driveset.MarginCount{Losses: 2, Objects: 20}, driveset.MarginCount{Losses: 3, Objects: 1})
		s.faults[2].SetGone(false)
		c.eventually("all back", allInSync)
		margin(driveset.MarginCount{Losses: 3, Objects: 21})
		rec, err := c.latest(t.Context(), "without")
		require.NoError(t, err)
		harmed := 0
		for drive := range 6 { // four of its five shards, of which two are needed
			for _, file := range s.shardFiles(t, drive) {
				if strings.HasSuffix(file, rec.Place.Data.String()) && harmed < 4 {
					s.harm(t, drive, file, harms["zeros"], nil)
					harmed++
				}
			}
		}
		_, err = c.get(t.Context(), "without")
		require.ErrorIs(t, err, driveset.ErrDamaged)
		time.Sleep(time.Second)
		margin(driveset.MarginCount{Losses: -1, Objects: 1}, driveset.MarginCount{Losses: 3, Objects: 20})
		s.faults[1].SetGone(true)
		c.eventually("evicted", func(h driveset.Health) bool { return h.Drives[1].Status == driveset.Away })
		margin(driveset.MarginCount{Losses: -1, Objects: 1}, driveset.MarginCount{Losses: 2, Objects: 20})
		s.faults[1].SetGone(false)
		c.eventually("all back", allInSync)
		require.NoError(t, c.delete(t.Context(), "without"))
		for i := range 10 {
			require.NoError(t, c.delete(t.Context(), fmt.Sprint("small", i)))
		}
		before := c.set.Margin().Counted
		require.NoError(t, c.set.Close())
		c = s.open(t)
		time.Sleep(20 * time.Second)
		require.Equal(t, before, c.set.Margin().Counted.UTC())
		time.Sleep(20 * time.Second)
		margin(driveset.MarginCount{Losses: 3, Objects: 10})
	})
}

// empty leaves nothing in the place of a drive.
func (s *shelf) empty(t testing.TB, drive int) {
	dir := fmt.Sprintf("/d%d", drive)
	require.NoError(t, s.fs[drive].RemoveAll(dir))
	require.NoError(t, s.fs[drive].MkdirAll(dir, 0o700))
}

// A drive that took another's place is given its shard files in the background,
// reads going around it until then, and health says how far from harm that is.
//
// Kills: a healer that looks for shards by slot and not by who came after whom; a
// margin that counts what is owed.
func TestADriveThatTookAPlaceIsGivenItsShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.SupplyBytes = 100_000
		c := s.open(t)
		for i := range 20 {
			require.NoError(t, c.put(t.Context(), fmt.Sprintf("k%02d", i), bytesOf(uint64(i), 300_000)))
			require.NoError(t, c.put(t.Context(), fmt.Sprintf("s%02d", i), bytesOf(uint64(i), 300)))
		}
		time.Sleep(time.Minute) // virtual: it was counted
		require.NoError(t, c.set.Close())
		want := c.want
		s.empty(t, 2)
		c = s.open(t)
		c.want = want
		c.eventually("counting", counting)
		time.Sleep(time.Second)
		require.True(t, c.set.Health().Degraded)
		require.Less(t, len(s.shardFiles(t, 2)), 20, "it counts before it has what it owes")
		require.Equal(t, []driveset.MarginCount{{Losses: 1, Objects: 40}}, c.set.Margin().Objects)
		c.check()
		require.Empty(t, c.set.Health().Damage, "what is owed is no news")
		var work driveset.Work
		c.eventually("it is told", func(h driveset.Health) bool {
			for _, w := range h.Work {
				if w.Kind == driveset.WorkShards {
					work = w
				}
			}
			return work.Items > 0
		})
		require.EqualValues(t, 40, work.TotalItems)
		// 150,000 bytes each at 100,000 a second: half a minute.
		time.Sleep(25 * time.Second)
		c.eventuallyWhole(20 * time.Second)
		time.Sleep(10 * time.Second) // those that reads had brought before were passed over
		require.Len(t, s.shardFiles(t, 2), 20)
		require.Equal(t, []driveset.MarginCount{{Losses: 2, Objects: 40}}, c.set.Margin().Objects)
	})
}

// An object is deleted, and its files removed, while one of its shards is being
// mended: the new file is not left for ever.
//
// Kills: a healer that asks who uses a shard before it writes it, and not after.
func TestWhatIsDeletedMeanwhileIsNotBroughtBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "k", bytesOf(7, 300_000)))
		rec, err := c.latest(t.Context(), "k")
		require.NoError(t, err)
		drive := slices.IndexFunc(c.set.Health().Drives, func(d driveset.DriveHealth) bool { return d.ID == rec.Place.Drives[0] })
		gate := faultfs.NewGate()
		t.Cleanup(gate.Open)
		s.faults[drive].Add(faultfs.Rule{Kinds: []op.Kind{op.SyncData}, Path: ".tmp", Do: faultfs.Stall(gate)})
		s.harm(t, drive, s.shardFiles(t, drive)[0], harms["gone"], nil)
		c.check()
		<-gate.Entered() // all that is needed of the others was read
		require.NoError(t, c.delete(t.Context(), "k"))
		time.Sleep(5 * time.Second) // virtual: removed on all drives
		gate.Open()
		time.Sleep(time.Second)
		for drive := range 4 {
			require.Empty(t, s.shardFiles(t, drive))
		}
		c.whole()
	})
}

// What can not be mended, because too few drives are there, is mended as soon as
// enough are, though nobody reads it.
//
// Kills: a healer that tries again by the clock alone.
func TestWhatCouldNotBeMendedIsWhenADriveReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "k", bytesOf(7, 300_000)))
		time.Sleep(time.Second) // virtual
		s.gone([]int{2}, true)
		c.eventually("away", func(h driveset.Health) bool { return h.Degraded })
		for _, drive := range []int{0, 1} {
			s.harm(t, drive, s.shardFiles(t, drive)[0], harms["gone"], nil)
		}
		_, err := c.get(t.Context(), "k")
		require.ErrorIs(t, err, driveset.ErrDamaged)
		time.Sleep(time.Minute) // virtual: it was tried in vain
		require.Empty(t, s.shardFiles(t, 0))
		s.gone([]int{2}, false)
		c.eventually("back", allInSync)
		time.Sleep(10 * time.Second) // virtual
		require.Len(t, s.shardFiles(t, 0), 1)
		require.Len(t, s.shardFiles(t, 1), 1)
		c.whole()
	})
}

// Somebody reads what another is mending, and the other is called off.
//
// Kills: taking the end of another's context for an answer.
func TestMendingIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "k", bytesOf(7, 300_000)))
		time.Sleep(time.Minute) // virtual: it was counted
		gate := faultfs.NewGate()
		t.Cleanup(gate.Open)
		s.harm(t, 0, s.shardFiles(t, 0)[0], harms["gone"], nil)
		s.faults[0].Add(faultfs.Rule{Kinds: []op.Kind{op.Create}, Path: ".tmp", Times: 1, Do: faultfs.Stall(gate)})
		ctx, cancel := context.WithCancel(t.Context())
		healed := make(chan error)
		go func() {
			_, err := c.set.Heal(ctx, nil)
			healed <- err
		}()
		<-gate.Entered()
		_, err := c.get(t.Context(), "k")
		require.NoError(t, err)
		time.Sleep(2 * time.Second) // virtual: the queue waits
		cancel()
		gate.Open()
		require.ErrorIs(t, <-healed, context.Canceled)
		time.Sleep(10 * time.Second) // virtual
		require.Len(t, s.shardFiles(t, 0), 1)
		c.whole()
	})
}

// An object was laid out over a drive that failed before it was acknowledged. Then
// others fail, so that the set is opened again with that drive before it could learn.
//
// Kills: an opening that gives a drive the log and forgets the shards of its entries.
func TestADriveThatIsNeededIsBroughtItsShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "before", bytesOf(1, 300_000)))
		time.Sleep(time.Minute) // virtual: it was counted
		s.faults[0].Add(faultfs.Rule{Kinds: []op.Kind{op.Create}, Path: "/shards/", Times: 1, Do: func(call *vfs.Call, next func() error) error {
			s.gone([]int{0}, true)
			return faultfs.Fail(syscall.EIO)(call, next)
		}})
		require.NoError(t, c.put(t.Context(), "k", bytesOf(2, 300_000)))
		require.NoError(t, c.put(t.Context(), "after", bytesOf(3, 3000)))
		time.Sleep(5 * time.Second) // virtual: all of that is stable
		s.gone([]int{2}, true)
		c.eventually("not serving", func(h driveset.Health) bool { return h.Mode != driveset.Serving })
		s.gone([]int{0}, false)
		c.eventually("serving", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
		s.gone([]int{2}, false)
		c.eventually("all in-sync", allInSync)
		time.Sleep(10 * time.Second) // virtual
		require.Len(t, s.shardFiles(t, 0), 2)
		c.whole()
	})
}

// A drive learns of an object when too few of its shards can be read; later they can.
//
// Kills: a drive that learns, and takes what can not be put together now for gone.
func TestADriveThatLearnsIsBroughtItsShardsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		s.faults[0].Add(faultfs.Rule{Kinds: []op.Kind{op.Create}, Path: "/shards/", Times: 1, Do: func(call *vfs.Call, next func() error) error {
			s.gone([]int{0}, true)
			return faultfs.Fail(syscall.EIO)(call, next)
		}})
		require.NoError(t, c.put(t.Context(), "k", bytesOf(2, 300_000)))
		var rules []*faultfs.Handle
		for _, drive := range []int{1, 2} {
			rules = append(rules, s.faults[drive].Add(faultfs.Rule{Kinds: []op.Kind{op.ReadAt}, Path: "/shards/", Do: faultfs.Fail(syscall.EIO)}))
		}
		s.gone([]int{0}, false)
		c.eventually("all in-sync", allInSync)
		whole := slices.DeleteFunc(s.files(t, 0), func(name string) bool { return strings.HasSuffix(name, ".tmp") }) // it is being tried
		require.Empty(t, whole)
		for _, rule := range rules {
			rule.Stop()
		}
		time.Sleep(time.Minute) // virtual
		require.Len(t, s.shardFiles(t, 0), 1)
		c.whole()
	})
}

// What could not be mended is looked for by a scrub when the set is opened again: it
// was known to the process that ended.
//
// Kills: a healer that forgets at its end that something is wrong.
func TestWhatCouldNotBeMendedOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		require.NoError(t, c.put(t.Context(), "k", bytesOf(7, 300_000)))
		time.Sleep(20 * time.Minute) // virtual: the first scrub has ended
		s.gone([]int{2}, true)
		c.eventually("away", func(h driveset.Health) bool { return h.Degraded })
		for _, drive := range []int{0, 1} {
			s.harm(t, drive, s.shardFiles(t, drive)[0], harms["gone"], nil)
		}
		_, err := c.get(t.Context(), "k")
		require.ErrorIs(t, err, driveset.ErrDamaged)
		time.Sleep(2 * time.Minute) // virtual
		require.NoError(t, c.set.Close())
		s.gone([]int{2}, false)
		c = s.reopen(t, c)
		c.eventually("back", allInSync)
		time.Sleep(15 * time.Minute) // virtual
		require.Len(t, s.shardFiles(t, 0), 1)
		require.Len(t, s.shardFiles(t, 1), 1)
		c.whole()
	})
}
