// Goal: drives that are lost are replaced, by empty directories in their places and
// nothing else, and no acknowledged write is lost by it. Method: sets in memory in
// virtual time, whose directories the test deletes, empties and exchanges while the
// set is open or closed; then other drives go, so that what is read must come from
// the new ones. Each test names the breakages of the code that it was seen to find.
package driveset_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// lose deletes a drive's directory, under the set if that is open.
func (s *shelf) lose(t testing.TB, drives ...int) {
	for _, i := range drives {
		require.NoError(t, s.fs[i].RemoveAll(fmt.Sprintf("/d%d", i)))
	}
}

// vacate puts an empty directory where a drive was.
func (s *shelf) vacate(t testing.TB, drives ...int) {
	s.lose(t, drives...)
	for _, i := range drives {
		require.NoError(t, s.fs[i].MkdirAll(fmt.Sprintf("/d%d", i), 0o700))
	}
}

// ids gives the ids of the drives of an open set, by place.
func (c *client) ids() (out []layout.DriveID) {
	for _, d := range c.set.Health().Drives {
		out = append(out, d.ID)
	}
	return out
}

// reopen closes a set and opens it again on the same places.
func (s *shelf) reopen(t *testing.T, c *client) *client {
	t.Helper()
	require.NoError(t, c.set.Close())
	again := s.open(t)
	again.want, again.parity = c.want, c.parity
	return again
}

// notices collects what a set tells.
type notices struct {
	mu  sync.Mutex
	all []driveset.Notice
}

func (n *notices) add(x driveset.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, x)
}

func (n *notices) kinds(drive string) (out []driveset.NoticeKind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.all {
		if x.Drive == drive {
			out = append(out, x.Kind)
		}
	}
	return out
}

// small objects are all in the index.
func (c *client) small(prefix string, n int) {
	for i := range n {
		require.NoError(c.t, c.put(c.t.Context(), fmt.Sprintf("%s%03d", prefix, i), bytesOf(uint64(i), 10+i*97%5000)))
	}
}

func (s *shelf) gone(drives []int, gone bool) {
	for _, i := range drives {
		s.faults[i].SetGone(gone)
	}
}

// One of four is deleted and put back empty, while the set is open or before it is
// opened: it is made anew and counts again, and the two drives that can be lost then
// may be any.
//
// Kills: a new drive under the id of the lost one.
func TestEmptyPlaceFillsItself(t *testing.T) {
	for _, open := range []bool{true, false} {
		t.Run(fmt.Sprint("open ", open), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, told := newShelf(4), &notices{}
				s.opt.Notice = told.add
				c := s.open(t)
				c.small("a", 60)
				before := c.ids()
				if open {
					s.vacate(t, 2)
					c.eventually("evicted", func(h driveset.Health) bool { return h.Degraded })
				} else {
					require.NoError(t, c.set.Close())
					s.vacate(t, 2)
					c = s.openWith(t, c)
				}
				c.small("b", 20)
				c.eventually("all in-sync", allInSync)
				require.NotEqual(t, before[2], c.ids()[2], "the new drive has a new id")
				time.Sleep(2 * time.Second) // virtual: what waits to be told is
				require.Subset(t, told.kinds("/d2"), []driveset.NoticeKind{driveset.NoticeNamed, driveset.NoticeCopying, driveset.NoticeCopied, driveset.NoticeReturned})
				c.small("c", 20)
				c.whole()
				for _, lost := range [][]int{{0, 1}, {0, 3}, {1, 3}} {
					s.gone(lost, true)
					c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
					c.check()
					s.gone(lost, false)
					c.eventually("all in-sync", allInSync)
				}
				c = s.reopen(t, c)
				c.eventually("all in-sync", allInSync)
				c.whole()
			})
		})
	}
}

func (s *shelf) openWith(t *testing.T, c *client) *client {
	t.Helper()
	again := s.open(t)
	again.want, again.parity = c.want, c.parity
	return again
}

// Sets of all sizes lose as many drives as their objects have parity, each with an empty
// directory in its place.
func TestManyEmptyPlaces(t *testing.T) {
	for n, lost := range map[int][]int{3: {1}, 8: {0, 3, 7}, 16: {2, 3, 11, 15}} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(n)
				c := s.open(t)
				c.small("a", 20)
				require.NoError(t, c.set.Close())
				s.vacate(t, lost...)
				c = s.openWith(t, c)
				c.small("b", 5)
				c.eventually("all in-sync", allInSync)
				c.whole()
			})
		})
	}
}

// Two of four are lost: reads go on, writes are refused, nothing is made by itself;
// on the operator's word both are made anew, and the other two may be lost.
//
// Kills: making drives without the word, or by a word about some of them.
func TestOperatorsWord(t *testing.T) {
	for n, lost := range map[int][]int{2: {1}, 4: {1, 2}, 6: {0, 1, 5}, 8: {4, 5, 6, 7}, 16: {0, 2, 4, 6, 8, 10, 12, 14}} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, told := newShelf(n), &notices{}
				s.opt.Notice = told.add
				c := s.open(t)
				c.parity = n/2 + 1
				c.small("a", 40)
				ids := c.ids()
				require.NoError(t, c.set.Close())
				s.vacate(t, lost...)

				c = s.openWith(t, c)
				time.Sleep(time.Minute) // virtual
				require.Equal(t, driveset.ReadOnly, c.set.Health().Mode)
				c.check()
				err := c.put(t.Context(), "x", []byte("y"))
				require.ErrorIs(t, err, driveset.ErrReadOnly)
				require.Equal(t, 1, strings.Count(err.Error(), driveset.ErrReadOnly.Error()), err)
				require.Contains(t, told.kinds(fmt.Sprintf("/d%d", lost[0])), driveset.NoticeOperator)
				require.NoError(t, c.set.Close())
				for _, i := range lost {
					names, err := s.fs[i].List(fmt.Sprintf("/d%d", i))
					require.NoError(t, err)
					require.Subset(t, []string{"lock"}, names)
				}

				if len(lost) > 1 { // the word about some of them changes nothing
					s.opt.Replaced = []layout.DriveID{ids[lost[0]]}
					c = s.openWith(t, c)
					time.Sleep(time.Minute) // virtual
					require.Equal(t, driveset.ReadOnly, c.set.Health().Mode)
					for _, i := range lost { // it is told of all, and that it was taken
						require.ErrorContains(t, c.set.Health().Drives[lost[1]].Err, ids[i].String())
					}
					require.ErrorContains(t, c.set.Health().Drives[lost[1]].Err, ids[lost[0]].String()+" (named, and has a place)")
					require.NoError(t, c.set.Close())
				}
				s.opt.Replaced = nil
				for _, i := range lost {
					s.opt.Replaced = append(s.opt.Replaced, ids[i])
				}
				c = s.openWith(t, c)
				c.check()
				c.eventually("all in-sync", allInSync)
				c.small("b", 10)
				c.whole()
				c = s.reopen(t, c)
				c.eventually("all in-sync", allInSync)

				var others []int
				for i := range n {
					if !slices.Contains(lost, i) {
						others = append(others, i)
					}
				}
				require.NoError(t, c.set.Close())
				s.lose(t, others...)
				c = s.openWith(t, c)
				require.Equal(t, driveset.ReadOnly, c.set.Health().Mode)
				c.check()
			})
		})
	}
}

// A drive that another has replaced comes back in its place: it is refused, and stays
// as it is but for what opening it changes; its log, which differs, is nobody's.
func TestReplacedDriveComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.small("a", 10)
		require.NoError(t, c.set.Close())
		old := s.fs[3]
		s.fs[3] = vfs.Mem(0)
		s.vacate(t, 3)
		c = s.openWith(t, c)
		c.eventually("all in-sync", allInSync)
		id := c.ids()[3]
		c.small("b", 10)
		require.NoError(t, c.set.Close())
		made := s.fs[3]

		s.fs[3] = old
		told := &notices{}
		s.opt.Notice = told.add
		c = s.openWith(t, c)
		c.eventually("refused", func(h driveset.Health) bool { return h.Drives[3].Status == driveset.Refused })
		time.Sleep(time.Second) // virtual
		require.Contains(t, told.kinds("/d3"), driveset.NoticeRefused)
		c.small("c", 10)
		c.check()
		time.Sleep(time.Minute) // virtual
		require.Equal(t, driveset.Refused, c.set.Health().Drives[3].Status)
		s.free(t, 3)
		require.NoError(t, c.set.Close())

		s.fs[3] = made
		c = s.openWith(t, c)
		c.eventually("all in-sync", allInSync)
		require.Equal(t, id, c.ids()[3])
		c.whole()
	})
}

// files are the shard files of a drive.
func (s *shelf) files(t testing.TB, drive int) (out []string) {
	for b := range 256 {
		names, err := s.fs[drive].List(fmt.Sprintf("/d%d/shards/%02x", drive, b))
		require.NoError(t, err)
		out = append(out, names...)
	}
	return out
}

// An index that is corrupt, or is not there, makes its drive an empty one under a new
// id. The index is put aside; the shard files stay and are read by who names them.
//
// Kills: a new drive under the old id; removing the shard files; places of shards that
// are looked up by id alone.
func TestUnreadableIndex(t *testing.T) {
	for name, harm := range map[string]func(s *shelf, t *testing.T){
		"no manifest": func(s *shelf, t *testing.T) {
			names, err := s.fs[2].List("/d2/index")
			require.NoError(t, err)
			for _, n := range names {
				if len(n) > 9 && n[:9] == "MANIFEST-" {
					require.NoError(t, s.fs[2].Remove("/d2/index/"+n))
				}
			}
		},
		"no index": func(s *shelf, t *testing.T) { require.NoError(t, s.fs[2].RemoveAll("/d2/index")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(4)
				c := s.open(t)
				c.fill("a")
				id := c.ids()[2]
				require.NoError(t, c.set.Close())
				files := s.files(t, 2)
				require.NotEmpty(t, files)
				harm(s, t)
				writes := s.faults[2].Count(op.Create)
				c = s.openWith(t, c)
				c.eventually("all in-sync", allInSync)
				require.NotEqual(t, id, c.ids()[2])
				require.Subset(t, s.files(t, 2), files)
				require.Positive(t, s.faults[2].Count(op.Create)-writes)
				if name != "no index" {
					put, err := s.fs[2].List("/d2/quarantine")
					require.NoError(t, err)
					require.ElementsMatch(t, []string{"index", "index.json"}, put)
				}
				c.whole()
				s.gone([]int{0, 3}, true)
				c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
				c.check()
			})
		})
	}
}

// With too few drives, an index that is corrupt is left as it is, unless the operator
// says that its drive is gone for ever.
func TestUnreadableIndexAmongTooFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.small("a", 30)
		ids := c.ids()
		require.NoError(t, c.set.Close())
		require.NoError(t, s.fs[2].RemoveAll("/d2/index"))
		s.vacate(t, 1)
		c = s.openWith(t, c)
		time.Sleep(time.Minute) // virtual
		require.Equal(t, driveset.ReadOnly, c.set.Health().Mode)
		c.check()
		names, err := s.fs[2].List("/d2")
		require.NoError(t, err)
		require.NotContains(t, names, "index")
		require.ErrorContains(t, c.set.Health().Drives[2].Err, ids[2].String()+" (whose directory is to stay as it is")
		require.NoError(t, c.set.Close())
		s.opt.Replaced = []layout.DriveID{ids[2], ids[1]}
		c = s.openWith(t, c)
		c.eventually("all in-sync", allInSync)
		c.whole()
	})
}

// A drive is lost while the index of another is being copied: in a larger set both are
// made anew; in a set that is then too small to write it goes on when one is back.
func TestLostDuringACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(6)
		s.opt.CopyBytes = 20 << 10
		c := s.open(t)
		c.small("a", 200)
		copying := func(h driveset.Health) bool { return len(h.Work) > 0 && h.Work[0].Bytes > 0 }
		s.vacate(t, 1)
		c.eventually("copying", copying)
		s.vacate(t, 4)
		c.small("b", 10)
		time.Sleep(time.Minute) // virtual
		c.eventually("all in-sync", allInSync)
		c.whole()

		s.vacate(t, 0)
		c.eventually("copying", copying)
		s.gone([]int{2, 3, 5}, true)
		c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
		s.gone([]int{2, 3, 5}, false)
		c.eventually("serving", func(h driveset.Health) bool { return h.Mode == driveset.Serving })
		c.small("c", 10)
		time.Sleep(5 * time.Minute) // virtual
		c.eventually("all in-sync", allInSync)
		c.whole()
	})
}

// A drive returns after what it knows of has been removed from the others.
//
// Kills: taking the log from where it begins instead of from what the drive has.
func TestReturnAfterRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		c := s.open(t)
		c.small("a", 100)
		s.gone([]int{3}, true)
		c.eventually("evicted", func(h driveset.Health) bool { return h.Degraded })
		for i := range 100 {
			require.NoError(t, c.delete(t.Context(), fmt.Sprintf("a%03d", i)))
		}
		c.small("b", 30)
		time.Sleep(2 * time.Minute) // virtual
		s.gone([]int{3}, false)
		c.eventually("all in-sync", allInSync)
		time.Sleep(time.Minute) // virtual: it removes, too
		c.whole()
		s.gone([]int{0, 1}, true)
		c.eventually("read-only", func(h driveset.Health) bool { return h.Mode == driveset.ReadOnly })
		c.check()
	})
}

// Two drives change places while the set is open.
//
// Kills: noting as in-sync a place by the drive that it had before.
func TestDrivesChangePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.Mem(0)
		s := newShelf(4)
		for i := range s.fs {
			s.fs[i] = s.faults[i].Wrap(disk)
		}
		c := s.open(t)
		c.small("a", 20)
		ids := c.ids()
		require.NoError(t, disk.Rename("/d1", "/x"))
		require.NoError(t, disk.Rename("/d2", "/d1"))
		require.NoError(t, disk.Rename("/x", "/d2"))
		time.Sleep(time.Minute) // virtual
		c.eventually("all in-sync", allInSync)
		require.Equal(t, []layout.DriveID{ids[0], ids[2], ids[1], ids[3]}, c.ids())
		c.small("b", 20)
		c.whole()
	})
}

// On real file systems: what looks like a directory where nothing is mounted is left
// as it is, unless its drive is gone for ever by the operator's word.
//
// Kills: making a directory that is missing; filling one on the filesystem of its
// parent, when its drive was on another; not recording the filesystem.
func TestUnmountedPlaces(t *testing.T) {
	other := "/dev/shm" // a filesystem of its own on every Linux, and elsewhere not there
	root, dir := t.TempDir(), t.TempDir()
	a, errA := vfs.FilesystemID(root)
	b, errB := vfs.FilesystemID(other)
	require.NoError(t, errA)
	mounted := errB == nil && a != b
	var places []driveset.Place
	for i := range 4 {
		places = append(places, driveset.Place{FS: vfs.OS(), Path: filepath.Join(root, fmt.Sprint("d", i))})
	}
	if mounted {
		target, err := os.MkdirTemp(other, "sherd")
		require.NoError(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(target) })
		require.NoError(t, os.Symlink(target, places[3].Path))
		defer func() { require.NoError(t, os.RemoveAll(target)) }()
	}
	o := driveset.Options{TrustLocks: true, ReserveBytes: -1, Grace: time.Millisecond}
	want := map[string][]byte{}
	open := func() *client {
		set, err := driveset.Open(t.Context(), places, &o)
		require.NoError(t, err)
		return &client{t: t, set: set, want: want}
	}
	c := open()
	c.small("a", 5)
	ids := c.ids()
	require.NoError(t, c.set.Close())

	refused := func(i int, why string) func(driveset.Health) bool {
		return func(h driveset.Health) bool {
			d := h.Drives[i]
			return d.Status == driveset.Refused && d.Err != nil && strings.Contains(d.Err.Error(), why)
		}
	}
	for i, on := range []bool{false, false, true, mounted} {
		if !on {
			continue
		}
		require.NoError(t, os.Rename(places[i].Path, filepath.Join(dir, fmt.Sprint("away", i))))
		c = open()
		c.eventually("refused", refused(i, "there is no directory"))
		require.NoError(t, c.put(context.Background(), "b", []byte("x")))
		_, err := os.Lstat(places[i].Path)
		require.ErrorIs(t, err, os.ErrNotExist, "it was made")
		require.NoError(t, os.Mkdir(places[i].Path, 0o700))
		if i == 2 { // on the filesystem that its drive was on
			c.eventually("all in-sync", allInSync)
			require.NoError(t, c.set.Close())
			continue
		}
		c.eventually("refused", refused(i, "it is empty"))
		names, err := os.ReadDir(places[i].Path)
		require.NoError(t, err)
		require.LessOrEqual(t, len(names), 1)
		require.NoError(t, c.set.Close())
	}
	if !mounted {
		require.NoError(t, os.RemoveAll(places[3].Path))
	}

	o.Replaced = []layout.DriveID{ids[3]}
	c = open()
	c.eventually("all in-sync", allInSync)
	c.whole()
	require.NoError(t, c.set.Close())
}

// A drive that was made for a slot and does not count yet is all that is there, beside
// directories where nothing is mounted: that is no new store.
//
// Kills: taking its first state for that of a set that was never served.
func TestNewcomerAloneIsNoNewStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.CopyBytes = 4 << 10
		c := s.open(t)
		c.small("a", 50)
		s.vacate(t, 2)
		c.eventually("copying", func(h driveset.Health) bool { return len(h.Work) > 0 && h.Work[0].Bytes > 0 })
		require.NoError(t, c.set.Close())
		var away []vfs.FS
		for _, i := range []int{0, 1, 3} {
			away = append(away, s.fs[i])
			s.fs[i] = vfs.Mem(0)
		}
		_, err := driveset.Open(t.Context(), s.places(), &s.opt)
		require.ErrorIs(t, err, driveset.ErrTooFew)
		s.fs[0], s.fs[1], s.fs[3] = away[0], away[1], away[2]
		s.opt.CopyBytes = 0
		c = s.openWith(t, c)
		c.eventually("all in-sync", allInSync)
		c.whole()
	})
}

// A running index of which a block can not be read any more goes the same way.
func TestIndexRots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4)
		s.opt.CacheBytes = 1
		c := s.open(t)
		c.small("a", 100)
		c = s.reopen(t, c) // what drives hold is in tables from here on
		c.eventually("all in-sync", allInSync)
		id := c.ids()[0]
		s.faults[0].Add(faultfs.Rule{Kinds: []op.Kind{op.ReadAt}, Path: ".sst", Do: faultfs.Flip(100, 3)})
		for key := range c.want {
			if _, err := c.get(t.Context(), key); err != nil && !errors.Is(err, driveset.ErrUnavailable) {
				require.NoError(t, err)
			}
			if h := c.set.Health(); h.Drives[0].Status != driveset.InSync {
				break
			}
		}
		s.faults[0].Clear()
		c.eventually("all in-sync", func(h driveset.Health) bool { return allInSync(h) && h.Drives[0].ID != id })
		c.whole()
	})
}

// As many drives as an object has parity are lost, drawn at random, and filled again, by
// themselves or on the operator's word; then as many others are lost: all that was written
// is read, in the index and in files.
//
// Kills: a new drive that counts as whole without the files of the one before; one that
// never gets them.
func TestAnyDrivesAsManyAsParity(t *testing.T) {
	for _, set := range []struct{ drives, parity int }{{4, 2}, {8, 2}, {16, 4}, {16, 8}} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%d+%d/%d", set.drives-set.parity, set.parity, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, uint64(set.drives)))
					s := newShelf(set.drives)
					s.opt.InlineBytes = 4 << 10
					c := s.open(t)
					c.parity = set.parity + 1
					c.fill("a")
					ids, order := c.ids(), r.Perm(set.drives)
					first, second := order[:set.parity], order[set.parity:2*set.parity]
					require.NoError(t, c.set.Close())
					s.vacate(t, first...)
					if set.drives-set.parity < set.drives/2+1 {
						for _, i := range first {
							s.opt.Replaced = append(s.opt.Replaced, ids[i])
						}
					}
					c = s.openWith(t, c)
					c.check()
					c.eventually("whole again", allInSync)
					c.fill("b")
					c.whole()
					for _, i := range first {
						require.NotEmpty(t, s.files(t, i))
					}
					require.NoError(t, c.set.Close())
					s.lose(t, second...)
					c = s.openWith(t, c)
					c.check()
				})
			})
		}
	}
}
