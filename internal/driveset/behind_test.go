// Goal: a drive that is behind, and is needed, is believed by nobody before it has the
// log; and what is acknowledged has one shard more than reading needs, whatever fails
// between its bytes and its entry. Method: crashes at every operation of an opening
// that brings such a drive back, after which it is asked with some others; drives that go
// when bytes were staged, or when the entry is on its way.
package driveset_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
	"github.com/sherd-storage/sherd/layout"
)

// The power fails while a set is opened with a drive that missed what was written
// without it. Then it is left with one other drive, or two: what they answer is right.
//
// Kills: a drive that gets the state before the log.
func TestCrashWhileADriveIsBroughtBack(t *testing.T) {
	cam := &camera{every: 3}
	for range 4 {
		cam.disks = append(cam.disks, crashfs.New())
	}
	o := crashOptions
	c := &client{t: t, want: map[string][]byte{}}
	with := func(slots ...int) {
		var places []driveset.Place
		for _, i := range slots {
			places = append(places, crashPlaces(cam.disks)[i])
		}
		set, err := driveset.Open(t.Context(), places, &o)
		require.NoError(t, err)
		require.Equal(t, driveset.Serving, set.Health().Mode)
		c.set = set
	}
	with(0, 1, 2, 3)
	require.NoError(t, c.put(t.Context(), "a", large))
	require.NoError(t, c.put(t.Context(), "b", small))
	require.NoError(t, c.set.Close())
	with(0, 1, 2)
	require.NoError(t, c.put(t.Context(), "a", huge))
	require.NoError(t, c.put(t.Context(), "b", other))
	before := cam.disks // of a failure of the power, before a mark says that all of that is stable
	cam.disks = nil
	for _, d := range before {
		cam.disks = append(cam.disks, d.Crash(crashfs.SyncedOnly, 1))
	}
	require.NoError(t, c.set.Close())
	for _, d := range cam.disks {
		d.OnOperation(cam.shoot)
	}
	cam.client = c
	with(0, 1, 3)
	require.NoError(t, c.set.Close())
	require.Greater(t, len(cam.moments), 100)
	answered := 0
	for _, m := range cam.moments {
		for _, left := range [][]int{{3, 2}, {3, 1}, {3, 0}, {3, 2, 0}, {3, 2, 1}, {3, 0, 1}} {
			answered += m.ask(t, left)
		}
	}
	require.Greater(t, answered, len(cam.moments))
}

// ask opens a set on some of the images and gives the number of right answers. None
// may be wrong.
func (m moment) ask(t *testing.T, slots []int) (answered int) {
	t.Helper()
	o := crashOptions
	var places []driveset.Place
	for _, i := range slots {
		places = append(places, crashPlaces(m.images)[i])
		places[len(places)-1].FS = m.images[i].Crash(crashfs.Everything, 1)
	}
	set, err := driveset.Open(t.Context(), places, &o)
	if err != nil {
		require.ErrorIs(t, err, driveset.ErrTooFew, m.label)
		return 0
	}
	defer func() { require.NoError(t, set.Close(), m.label) }()
	c := &client{t: t, set: set}
	for key, want := range m.want {
		got, err := c.get(context.Background(), key)
		require.NotErrorIs(t, err, errAbsent, "%s: %v: %s", m.label, slots, key)
		if err != nil {
			continue // it is not known, which is no wrong answer
		}
		require.True(t, bytes.Equal(want, got), "%s: %v: %s has %d bytes and not %d", m.label, slots, key, len(got), len(want))
		answered++
	}
	return answered
}

// staged is what a client wrote and did not commit yet.
func (c *client) staged(key string, data []byte) (commit func() error) {
	st, err := c.set.Stage(c.t.Context(), bytes.NewReader(data), int64(len(data)), driveset.DataSpec{Bucket: bucket, Key: key, Parity: c.parity - 1})
	require.NoError(c.t, err)
	return func() error {
		defer st.Discard()
		_, err := c.set.Commit(c.t.Context(), func() {}, func(p layout.Position, o layout.Owner) (driveset.Change, error) {
			value, err := layout.EncodeRecord(&layout.Record{Head: layout.Head{Version: p, Epoch: o.Epoch, Size: st.Size, Modified: time.Unix(0, 0)}, Body: layout.Body{Place: st.Place}})
			owner := layout.DataOwnerSlot(st.Place.Data, layout.OwnerOfData{Bucket: bucket, Key: key, Version: p})
			return driveset.Change{Staged: st, Writes: []layout.Write{
				{Slot: layout.VersionSlot(bucket, key, p), Kind: layout.KindRecord, Value: value},
				{Slot: owner, Kind: layout.KindRecord, Value: []byte{}},
			}}, err
		})
		return err
	}
}

// Two of six drives go, with which an object of 4+2 would have no shard to spare: before
// its entry is written, or while it is on its way. It is undone; another one is written.
//
// Kills: an acknowledgement that needs one shard.
func TestTooFewShardsAreNotAcknowledged(t *testing.T) {
	for _, when := range []string{"before", "on its way"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(6)
				s.opt.StallLimit = time.Hour
				c := s.open(t)
				c.parity = 3
				require.NoError(t, c.put(t.Context(), "k", bytesOf(1, 500_000)))
				commit := c.staged("lost", bytesOf(2, 500_000))
				if when == "before" {
					s.gone([]int{0, 1}, true)
					c.eventually("evicted", func(h driveset.Health) bool {
						return h.Drives[0].Status == driveset.Away && h.Drives[1].Status == driveset.Away
					})
				} else {
					for _, drive := range []int{0, 1} {
						s.faults[drive].Add(faultfs.Rule{Kinds: []op.Kind{op.Write}, Path: ".log", Times: 1, Do: faultfs.Fail(errors.New("broken"))})
					}
				}
				require.ErrorIs(t, commit(), driveset.ErrAborted)
				_, err := c.get(t.Context(), "lost")
				require.ErrorIs(t, err, errAbsent)
				require.NoError(t, c.put(t.Context(), "next", bytesOf(3, 500_000)), "over the drives that are left")
				s.gone([]int{0, 1}, false)
				c.eventually("all in-sync", allInSync)
				c.whole()
			})
		})
	}
}
