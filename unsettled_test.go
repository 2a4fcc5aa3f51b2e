// Goal: a change that lost its drives on the way ends in one of three ways, each
// for ever: made, not made, or not known until the drives are back. Method: the
// logs of chosen drives fail at the moment of the commit.
package sherd_test

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// begun is a store with a bucket, on drives of its own.
func begun(t *testing.T, r *rack) *sherd.Store {
	s, err := r.open(t)
	require.NoError(t, err)
	_, err = s.CreateBucket(t.Context(), bucketName, nil)
	require.NoError(t, err)
	return s
}

func putAt(t *testing.T, s *sherd.Store, key string, content []byte, o *sherd.PutOptions) error {
	_, err := s.Put(t.Context(), bucketName, key, bytes.NewReader(content), int64(len(content)), o)
	return err
}

// has says what stands at a key.
func has(t *testing.T, s *sherd.Store, key string, content []byte) {
	t.Helper()
	got, err := contentOf(t, s, key)
	require.NoError(t, err)
	require.Equal(t, digest(content), got)
}

// sound ends a test: nothing is wrong, nor is anything after another opening,
// which is given to look.
func (r *rack) sound(t *testing.T, s *sherd.Store, look func(s *sherd.Store)) {
	t.Helper()
	r.clear()
	for range 2 {
		eventually(t, s, "all is well", func() bool { return well(s) })
		look(s)
		for f, err := range s.Check(t.Context()) {
			require.NoError(t, err)
			require.True(t, r.known != nil && r.known(f), "%+v", f)
		}
		r.shut(t, s, t.Name())
		var err error
		s, err = r.open(t)
		require.NoError(t, err)
	}
	r.shut(t, s, t.Name())
}

// failLogs lets the syncs of the logs of drives fail from now on, or so many
// times.
func (r *rack) failLogs(times int, drives ...int) (rules []*faultfs.Handle) {
	for _, i := range drives {
		rules = append(rules, r.faults[i].Add(faultfs.Rule{
			Kinds: []op.Kind{op.Sync, op.SyncData, op.SyncTo}, Classes: []op.Class{op.WAL}, Times: times, Do: faultfs.LoseSync(syscall.EIO),
		}))
	}
	return rules
}

func TestUnknownOutcomeIsSettledOnce(t *testing.T) {
	for name, failing := range map[string][]int{"two of four": {2, 3}, "three of four": {1, 2, 3}, "one of two": {1}, "one of one": {0}, "all of two": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			drives := map[byte]int{'r': 4, 'o': 2, 'e': 1}[name[len(name)-1]]
			bubble(t, func(t *testing.T) {
				r := newRack(drives)
				s := begun(t, r)
				require.NoError(t, putAt(t, s, "k", tiny, nil))
				require.NoError(t, putAt(t, s, "other", middle, nil))
				pass(time.Second)
				r.failLogs(0, failing...)
				err := putAt(t, s, "k", tinyNew, nil)
				require.ErrorIs(t, err, sherd.ErrOutcomeUnknown)
				r.unsettled(t, s, drives-len(failing) >= (drives+1)/2)
				pass(10 * time.Second) // opened again and again, without success
				r.unsettled(t, s, false)

				r.clear()
				eventually(t, s, "all is well", func() bool { return well(s) })
				final, err := contentOf(t, s, "k")
				require.NoError(t, err)
				require.Contains(t, []string{digest(tiny), digest(tinyNew)}, final)
				r.sound(t, s, func(s *sherd.Store) {
					got, err := contentOf(t, s, "k")
					require.NoError(t, err)
					require.Equal(t, final, got)
					has(t, s, "other", middle)
				})
			})
		})
	}
}

// unsettled looks at a key of unknown outcome, and at another one, which reads if
// enough drives are there.
func (r *rack) unsettled(t *testing.T, s *sherd.Store, others bool) {
	t.Helper()
	_, err := contentOf(t, s, "k")
	require.ErrorIs(t, err, sherd.ErrUnavailable)
	_, err = s.Stat(t.Context(), bucketName, "k", nil)
	require.ErrorIs(t, err, sherd.ErrUnavailable)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = s.Put(ctx, bucketName, "k", strings.NewReader("x"), 1, &sherd.PutOptions{Conditions: sherd.Conditions{IfNoneMatch: "*"}})
	require.Error(t, err)
	require.NotErrorIs(t, err, sherd.ErrPrecondition, "nobody decides on what is not known")
	_, err = s.Delete(ctx, bucketName, "k", nil)
	require.Error(t, err)
	require.NotErrorIs(t, err, sherd.ErrOutcomeUnknown)
	for _, err = range s.List(t.Context(), bucketName, nil) {
		if err != nil {
			break
		}
	}
	require.ErrorIs(t, err, sherd.ErrUnavailable, "a listing over it")
	require.NotEqual(t, sherd.Serving, s.Health().Mode)
	if others {
		has(t, s, "other", middle)
	}
}

func TestCallerWhoLeavesKeepsTheKeyLocked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(2)
		s := begun(t, r)
		require.NoError(t, putAt(t, s, "k", tiny, nil))
		seen := etagOf(t, s, "k")
		pass(time.Second)
		gate := faultfs.NewGate()
		t.Cleanup(gate.Open)
		r.faults[1].Add(faultfs.Rule{Kinds: []op.Kind{op.SyncData, op.Sync}, Classes: []op.Class{op.WAL}, Do: faultfs.Stall(gate)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Put(ctx, bucketName, "k", bytes.NewReader(tinyNew), -1, nil)
		require.ErrorIs(t, err, sherd.ErrOutcomeUnknown)
		_, err = contentOf(t, s, "k")
		require.ErrorIs(t, err, sherd.ErrUnavailable)
		done := make(chan error, 1)
		go func() {
			done <- putAt(t, s, "k", middle, &sherd.PutOptions{Conditions: sherd.Conditions{IfMatch: seen}})
		}()
		pass(2 * time.Second)
		require.Empty(t, done, "the key is locked until it is known what it holds")
		gate.Open()
		require.ErrorIs(t, <-done, sherd.ErrPrecondition, "what it had seen was replaced")
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "k", tinyNew) })
	})
}

func etagOf(t *testing.T, s *sherd.Store, key string) string {
	info, err := s.Stat(t.Context(), bucketName, key, nil)
	require.NoError(t, err)
	return info.ETag
}

func TestSmallObjectIsLaidOutAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(3) // two data shards and one of parity, all three needed: one loss is one too many
		s := begun(t, r)
		require.NoError(t, putAt(t, s, "k", tinyNew, nil))
		pass(time.Second)
		rules := r.failLogs(1, 1)
		done := make(chan error, 1)
		go func() { done <- putAt(t, s, "k", tiny, nil) }()
		require.NoError(t, <-done)
		require.Equal(t, 1, rules[0].Fired())
		require.Equal(t, driveset.Away, s.Health().Drives[1].Status)
		has(t, s, "k", tiny)
		r.faults[2].SetGone(true) // over two drives now, with parity
		eventually(t, s, "gone", func() bool { return s.Health().Mode == sherd.ReadOnly || s.Health().Drives[2].Status == driveset.Away })
		has(t, s, "k", tiny)
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "k", tiny) })
	})
}

func TestConditionsHoldWhileLaidOutAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(3)
		s := begun(t, r)
		gate := faultfs.NewGate()
		t.Cleanup(gate.Open)
		r.faults[1].Add(faultfs.Rule{Kinds: []op.Kind{op.SyncData}, Classes: []op.Class{op.WAL}, Times: 1, Do: func(c *vfs.Call, _ func() error) error {
			return faultfs.Stall(gate)(c, func() error { return syscall.EIO })
		}})
		first, second := make(chan error, 1), make(chan error, 1)
		only := &sherd.PutOptions{Conditions: sherd.Conditions{IfNoneMatch: "*"}}
		go func() { first <- putAt(t, s, "k", tiny, only) }()
		<-gate.Entered()
		go func() { second <- putAt(t, s, "k", tinyNew, only) }()
		pass(time.Second)
		require.Empty(t, second)
		gate.Open()
		require.NoError(t, <-first)
		require.ErrorIs(t, <-second, sherd.ErrPrecondition)
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "k", tiny) })
	})
}

func TestWriteThatLostItsShardsNeverHappened(t *testing.T) {
	for name, old := range map[string][]byte{"nothing before": nil, "inline before": tiny, "file before": middle2} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRack(3)
				s := begun(t, r)
				if old != nil {
					require.NoError(t, putAt(t, s, "k", old, nil))
				}
				pass(time.Second)
				files := r.shardFiles(t)
				rules := r.failLogs(1, 1)
				err := putAt(t, s, "k", middle, nil)
				require.ErrorIs(t, err, sherd.ErrUnavailable)
				require.NotErrorIs(t, err, sherd.ErrOutcomeUnknown)
				require.Equal(t, 1, rules[0].Fired())
				look := func(s *sherd.Store) { has(t, s, "k", old) }
				look(s)
				require.NoError(t, putAt(t, s, "after", tiny, nil))
				eventually(t, s, "all is well", func() bool { return well(s) })
				pass(5 * time.Second)
				require.Equal(t, files, r.shardFiles(t), "its shards are removed")
				r.sound(t, s, look)
			})
		})
	}
}

func TestShardThatStalledIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		s := begun(t, r)
		before := len(r.shardFiles(t))
		gate := faultfs.NewGate()
		t.Cleanup(gate.Open)
		r.faults[1].Add(faultfs.Rule{Kinds: []op.Kind{op.Write}, Path: "/shards/", Skip: 1, Do: faultfs.Stall(gate)}) // behind the header
		require.NoError(t, putAt(t, s, "k", middle, nil))
		gate.Open()
		pass(time.Second)
		for _, name := range r.faults[1].Open() {
			require.NotContains(t, name, "/shards/")
		}
		eventually(t, s, "back", func() bool { return well(s) })
		require.Len(t, r.shardFiles(t), before+4, "it was rebuilt")
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "k", middle) })
	})
}

// shardFiles lists the shard files of all drives.
func (r *rack) shardFiles(t *testing.T) (out []string) {
	for i, d := range r.disks {
		dirs, err := d.List(sherd.DrivePath(i) + "/shards")
		require.NoError(t, err)
		for _, dir := range dirs {
			names, err := d.List(sherd.DrivePath(i) + "/shards/" + dir)
			require.NoError(t, err)
			for _, n := range names {
				out = append(out, sherd.DrivePath(i)+" "+n)
			}
		}
	}
	return out
}

func TestReadOnlyStoreStillLooksAtItsDrives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		s := begun(t, r)
		require.NoError(t, putAt(t, s, "k", tiny, nil))
		for gone := range 4 {
			r.faults[gone].SetGone(true)
			eventually(t, s, "reported", func() bool { return s.Health().Drives[gone].Status == driveset.Away })
			pass(2 * time.Second)
		}
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "k", tiny) })
	})
}

func TestFailedReopeningStillLooksAtItsDrives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		s := begun(t, r)
		require.NoError(t, putAt(t, s, "k", tiny, nil))
		status := func(i int) driveset.DriveStatus { return s.Health().Drives[i].Status }
		for _, gone := range []int{2, 3} {
			r.faults[gone].SetGone(true)
			eventually(t, s, "reported", func() bool { return status(gone) == driveset.Away })
		}
		rules := r.failLogs(1, 2)
		r.faults[2].SetGone(false) // in reach, and fails when the set is opened again
		eventually(t, s, "tried", func() bool { return rules[0].Fired() > 0 && status(2) == driveset.Away })
		r.faults[2].SetGone(true)
		r.faults[0].SetGone(true)
		eventually(t, s, "reported", func() bool { return status(0) == driveset.Away })
		require.Equal(t, driveset.InSync, status(1))
		r.sound(t, s, func(s *sherd.Store) { has(t, s, "k", tiny) })
	})
}
