// Goal: sets of a store are told apart on their drives and in their ids, and a
// store is not made where one is, or may be. Method: stores on file systems in
// memory whose drives are taken away, emptied, and read from outside.
package pools_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/pools"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func places(n int) []driveset.Place {
	out := make([]driveset.Place, n)
	for i := range out {
		out[i] = driveset.Place{FS: vfs.Mem(0), Path: fmt.Sprintf("/d%d", i)}
	}
	return out
}

// options have a clock that stands still: all sets are opened at one moment.
func options() *pools.Options {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	return &pools.Options{SetDrives: 1, Set: driveset.Options{Memory: true, TrustLocks: true, Clock: func() time.Time { return now }}}
}

func identity(t *testing.T, p driveset.Place) (id struct {
	Deployment string
	Pool, Set  int
}) {
	require.NoError(t, json.Unmarshal(read(t, p), &id))
	return id
}

func TestSetsAreToldApart(t *testing.T) {
	all := places(6)
	lists := [][]driveset.Place{all[:3], all[3:5]}
	epochs := map[uint64]bool{}
	for range 3 {
		p, err := pools.Open(t.Context(), lists, options())
		require.NoError(t, err)
		members := p.Table().Members()
		require.Len(t, members, 5)
		for _, m := range members {
			set, err := m.Get()
			require.NoError(t, err)
			require.False(t, epochs[set.Owner().Epoch], "an epoch is one set's")
			epochs[set.Owner().Epoch] = true
		}
		require.NoError(t, p.Close())
	}
	deployment := identity(t, all[0]).Deployment
	for i, want := range [][2]int{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}} {
		id := identity(t, all[i])
		require.Equal(t, deployment, id.Deployment)
		require.Equal(t, want, [2]int{id.Pool, id.Set})
	}
	for i := 1; i < 5; i++ {
		_, err := pools.Open(t.Context(), [][]driveset.Place{all[i : i+1]}, options())
		require.ErrorIs(t, err, driveset.ErrMixed, "no set but the first is a store")
	}
	_, err := pools.Open(t.Context(), [][]driveset.Place{all[:1]}, options())
	require.ErrorIs(t, err, driveset.ErrTooFew, "nor is the first one alone")
	other := places(1)
	p, err := pools.Open(t.Context(), [][]driveset.Place{other}, options())
	require.NoError(t, err)
	require.NoError(t, p.Close())
	_, err = pools.Open(t.Context(), append(lists, other), options())
	require.ErrorIs(t, err, driveset.ErrMixed, "of another store")
	_, err = pools.Open(t.Context(), [][]driveset.Place{other, all[3:5]}, options())
	require.ErrorIs(t, err, driveset.ErrMixed)
}

// What was ever opened is not formatted, and nothing is made beside it, though the
// drives of the first set, or of another one, look empty.
func TestALostSetIsNotMadeAnew(t *testing.T) {
	for lost := range 5 {
		all := places(5)
		lists := [][]driveset.Place{all[:3], all[3:]}
		p, err := pools.Open(t.Context(), lists, options())
		require.NoError(t, err)
		require.True(t, p.Created())
		require.NoError(t, pools.Write(t.Context(), p.First(), []layout.Write{
			{Slot: layout.NameSlot("bucket"), Kind: layout.KindRecord, Value: layout.EncodePosition(7)}}))
		require.NoError(t, p.Close())

		all[lost].FS = vfs.Mem(0)
		p, err = pools.Open(t.Context(), lists, options())
		if lost == 0 {
			require.ErrorIs(t, err, driveset.ErrTooFew)
			_, err := all[0].FS.Stat("/d0/format.json")
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.False(t, p.Created())
		for i, m := range p.Table().Members() {
			_, err := m.Get()
			if i == lost {
				require.ErrorIs(t, err, driveset.ErrNotServing)
				require.ErrorContains(t, err, fmt.Sprintf("set %d of pool %d", m.Set, m.Pool))
				continue
			}
			require.NoError(t, err)
		}
		_, err = p.Table().Snapshot(t.Context())
		require.ErrorIs(t, err, driveset.ErrNotServing)
		require.NoError(t, p.Close())
		_, err = all[lost].FS.Stat(fmt.Sprintf("/d%d/format.json", lost))
		require.Error(t, err, "it is as empty as it was")
	}
}

func TestMustExist(t *testing.T) {
	o := options()
	o.Set.MustExist = true
	all := places(4)
	_, err := pools.Open(t.Context(), [][]driveset.Place{all}, o)
	require.ErrorIs(t, err, driveset.ErrMustExist)
	p, err := pools.Open(t.Context(), [][]driveset.Place{all[:2]}, options())
	require.NoError(t, err)
	require.NoError(t, p.Close())
	_, err = pools.Open(t.Context(), [][]driveset.Place{all[:2], all[2:]}, o)
	require.ErrorIs(t, err, driveset.ErrMustExist, "pools are not added either")
	p, err = pools.Open(t.Context(), [][]driveset.Place{all[:2]}, o)
	require.NoError(t, err)
	require.NoError(t, p.Add(t.Context(), all[2:], 1), "this is to make one")
	require.NoError(t, p.Close())
	p, err = pools.Open(t.Context(), [][]driveset.Place{all[:2], all[2:]}, o)
	require.NoError(t, err)
	require.NoError(t, p.Close())
}

// An empty place among those of a set becomes a drive of that set.
func TestAnEmptyPlaceIsFilledForItsSet(t *testing.T) {
	all := places(6)
	lists := [][]driveset.Place{all}
	o := options()
	o.SetDrives, o.Set.Clock = 3, nil
	p, err := pools.Open(t.Context(), lists, o)
	require.NoError(t, err)
	require.NoError(t, p.Close())
	all[4].FS = vfs.Mem(0)
	require.NoError(t, all[4].FS.MkdirAll(all[4].Path, 0o700))
	lists[0] = []driveset.Place{all[3], all[2], all[4], all[1], all[5], all[0]} // where it stands in the list says nothing
	p, err = pools.Open(t.Context(), lists, o)
	require.NoError(t, err)
	defer p.Close()
	require.Eventually(t, func() bool {
		for _, m := range p.Table().Members() {
			if h := m.Health(); h.Mode != driveset.Serving || h.Degraded {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, 1, identity(t, all[4]).Set)
}

// Each bit of a format file that makes it say another drive is flipped, of the first
// drive and of the last of each set: that drive alone is refused, whatever the others
// are taken for without its word, and comes back with its file.
//
// Kills: indexes not asked by a set, or by the pools; who is belied left among the known.
func TestOneFormatFileIsDamaged(t *testing.T) {
	all := places(5)
	for name, lists := range map[string][][]driveset.Place{
		"one set": {all[:4]}, "two sets": {all[:4]}, "two pools": {all[:4], all[4:]},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range all {
				all[i] = driveset.Place{FS: vfs.Mem(0), Path: all[i].Path}
			}
			o := options()
			if o.SetDrives = 4; name != "one set" {
				o.SetDrives = 2
			}
			if name == "two pools" {
				o.SetDrives = 1
			}
			o.Set.Grace = time.Minute
			p, err := pools.Open(t.Context(), lists, o)
			require.NoError(t, err)
			require.NoError(t, p.Close())
			flips := 0
			for _, at := range slices.Concat(lists...) {
				text := read(t, at)
				is, err := layout.DecodeIdentity(text)
				require.NoError(t, err)
				for bit := range 8 * len(text) {
					text[bit/8] ^= 1 << (bit % 8)
					if id, err := layout.DecodeIdentity(text); err == nil && id != is {
						flips++
						write(t, at, text)
						refusesOnly(t, lists, o, at, string(text))
					}
					text[bit/8] ^= 1 << (bit % 8)
				}
				write(t, at, text)
			}
			require.Greater(t, flips, 500)
			p, err = pools.Open(t.Context(), lists, o)
			require.NoError(t, err)
			for _, m := range p.Table().Members() {
				set, err := m.Get()
				require.NoError(t, err)
				require.Eventually(t, func() bool { return !set.Health().Degraded }, time.Minute, time.Millisecond)
			}
			require.NoError(t, p.Close())
		})
	}
}

// refusesOnly opens a store whose drive at one place has a damaged format file.
func refusesOnly(t *testing.T, lists [][]driveset.Place, o *pools.Options, at driveset.Place, text string) {
	t.Helper()
	p, err := pools.Open(t.Context(), lists, o)
	if err != nil && o.SetDrives == 1 && at.Path == "/d0" {
		require.ErrorIs(t, err, driveset.ErrTooFew, "%s: %s", at.Path, text) // its set's only drive
		return
	}
	require.NoError(t, err, "%s: %s", at.Path, text)
	defer func() { require.NoError(t, p.Close()) }()
	for _, m := range p.Table().Members() {
		set, err := m.Get()
		if o.SetDrives == 1 && slices.Contains(m.Paths(), at.Path) {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		for _, d := range set.Health().Drives {
			if d.Path != at.Path {
				require.Equal(t, driveset.InSync, d.Status, "%s: %v: %s", d.Path, d.Err, text)
				continue
			}
			require.Equal(t, driveset.Away, d.Status, text)
			require.ErrorIs(t, d.Err, layout.ErrDamaged, text)
		}
	}
}

func read(t *testing.T, p driveset.Place) []byte {
	f, err := p.FS.Open(p.FS.PathJoin(p.Path, "format.json"))
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.NoError(t, errors.Join(err, f.Close()))
	return text
}

func write(t *testing.T, p driveset.Place, text []byte) {
	f, err := p.FS.Create(p.FS.PathJoin(p.Path, "format.json"), vfs.Unspecified)
	require.NoError(t, err)
	_, err = f.Write(text)
	require.NoError(t, errors.Join(err, f.Close()))
}

// The operator's word about a drive that the store never had is a mistake, and is told.
//
// Kills: a word that is not looked at.
func TestUnknownDrivesAreNotReplaced(t *testing.T) {
	all := places(4)
	o := options()
	open := func() error {
		p, err := pools.Open(t.Context(), [][]driveset.Place{all[:2], all[2:]}, o)
		if err == nil {
			err = p.Close()
		}
		return err
	}
	require.NoError(t, open())
	is, err := layout.DecodeIdentity(read(t, all[3]))
	require.NoError(t, err)
	o.Set.Replaced = []layout.DriveID{is.Drive} // of any set, and there
	require.NoError(t, open())
	o.Set.Replaced = []layout.DriveID{is.Drive, {1}}
	require.ErrorIs(t, open(), pools.ErrUnknownDrive)
	o.Set.Replaced = o.Set.Replaced[:1]
	require.NoError(t, open())
}
