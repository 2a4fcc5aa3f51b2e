// Goal: exclusion, order of arrival, contexts, and that nothing stays behind.
// Method: scenarios in a synctest bubble, where "everybody waits" is a fact that
// can be asked for and a deadlock fails the test.
package keylock_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/keylock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a set of locks, and callers that come one after another.
type scene struct {
	t     *testing.T
	locks *keylock.Locks
	mu    sync.Mutex
	log   []string // who got its lock, in order; in any order where several got it at once
}

// caller is one call that waits or holds.
type caller struct {
	unlock func()
	err    error
	cancel context.CancelFunc
	done   bool
}

// ask starts a call and returns when it holds the lock, failed, or waits.
func (s *scene) ask(name string, lock func(context.Context) (func(), error)) *caller {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	c := &caller{cancel: cancel}
	go func() {
		c.unlock, c.err = lock(ctx)
		c.done = true
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.err == nil {
			s.log = append(s.log, name)
		}
	}()
	synctest.Wait()
	return c
}

func (s *scene) alone(name, key string) *caller {
	return s.ask(name, func(ctx context.Context) (func(), error) { return s.locks.Lock(ctx, key) })
}

func (s *scene) shared(name, key string) *caller {
	return s.ask(name, func(ctx context.Context) (func(), error) { return s.locks.RLock(ctx, key) })
}

func (s *scene) release(c *caller) {
	require.True(s.t, c.done)
	require.NoError(s.t, c.err)
	c.unlock()
	synctest.Wait()
}

// play runs a scenario; at its end no lock may be left.
func play(t *testing.T, scenario func(*testing.T, *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, locks: keylock.New()}
		scenario(t, s)
		synctest.Wait()
		require.Zero(t, s.locks.Len(), "keys left")
	})
}

func TestExclusiveExcludesAndSharedShares(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		a := s.alone("a", "k")
		b, c, d := s.shared("b", "k"), s.shared("c", "k"), s.alone("d", "k")
		other := s.alone("other", "k2")
		require.Equal(t, []string{"a", "other"}, s.log)
		require.Equal(t, 2, s.locks.Len())
		s.release(a)
		require.ElementsMatch(t, []string{"a", "other", "b", "c"}, s.log)
		s.release(b)
		require.False(t, d.done)
		s.release(c)
		require.True(t, d.done)
		s.release(d)
		s.release(other)
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		holder := s.alone("holder", "k")
		var waiting []*caller
		for i := range 20 {
			waiting = append(waiting, s.alone(strconv.Itoa(i), "k"))
		}
		s.release(holder)
		for i, c := range waiting {
			require.Len(t, s.log, i+2)
			require.Equal(t, strconv.Itoa(i), s.log[i+1])
			s.release(c)
		}
	})
}

func TestWaitingWriterHoldsLaterReadersBack(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		reader := s.shared("reader", "k")
		writer := s.alone("writer", "k")
		later, latest := s.shared("later", "k"), s.shared("latest", "k")
		require.Equal(t, []string{"reader"}, s.log)
		s.release(reader)
		require.Equal(t, []string{"reader", "writer"}, s.log)
		s.release(writer)
		require.ElementsMatch(t, []string{"reader", "writer", "later", "latest"}, s.log)
		s.release(later)
		s.release(latest)
	})
}

func TestCancelledWriterLetsReadersPass(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		reader := s.shared("reader", "k")
		writer := s.alone("writer", "k")
		later := s.shared("later", "k")
		require.False(t, later.done)
		writer.cancel()
		synctest.Wait()
		require.ErrorIs(t, writer.err, context.Canceled)
		require.Nil(t, writer.unlock)
		require.True(t, later.done)
		s.release(reader)
		s.release(later)
	})
}

func TestCancelledWaitersLeaveTheQueueAnywhere(t *testing.T) {
	for gone := range 3 {
		t.Run(fmt.Sprint(gone), func(t *testing.T) {
			play(t, func(t *testing.T, s *scene) {
				holder := s.alone("holder", "k")
				waiting := []*caller{s.alone("0", "k"), s.alone("1", "k"), s.alone("2", "k")}
				waiting[gone].cancel()
				synctest.Wait()
				require.ErrorIs(t, waiting[gone].err, context.Canceled)
				s.release(holder)
				for i, c := range waiting {
					if i != gone {
						s.release(c)
					}
				}
				require.Len(t, s.log, 3)
			})
		})
	}
}

func TestDeadlineEndsAWait(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		holder := s.alone("holder", "k")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := s.locks.RLock(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
		s.release(holder)
	})
}

func TestEndedContextTakesNothing(t *testing.T) {
	locks := keylock.New()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, lock := range map[string]func() (func(), error){
		"Lock":            func() (func(), error) { return locks.Lock(ctx, "k") },
		"RLock":           func() (func(), error) { return locks.RLock(ctx, "k") },
		"LockAll":         func() (func(), error) { return locks.LockAll(ctx, "k") },
		"LockAll of none": func() (func(), error) { return locks.LockAll(ctx) },
	} {
		unlock, err := lock()
		require.ErrorIs(t, err, context.Canceled, name)
		require.Nil(t, unlock, name)
	}
	require.Zero(t, locks.Len())
}

// A key may be granted in the very moment in which the wait is given up. Whatever
// the select saw, the call fails and the next in the queue gets the key.
func TestGrantedAndCancelledAtOnce(t *testing.T) {
	for range 50 {
		play(t, func(t *testing.T, s *scene) {
			holder := s.alone("holder", "k")
			waiter := s.alone("waiter", "k")
			next := s.alone("next", "k")
			waiter.cancel()
			holder.unlock() // no Wait in between
			synctest.Wait()
			require.ErrorIs(t, waiter.err, context.Canceled)
			require.True(t, next.done)
			s.release(next)

			holder = s.alone("holder", "k")
			waiter = s.alone("waiter", "k")
			holder.unlock()
			waiter.cancel()
			synctest.Wait()
			require.True(t, waiter.done)
			if waiter.err == nil { // it had returned before it was cancelled
				s.release(waiter)
			}
		})
	}
}

// endedUnseen is a context that has ended and whose Done a select did not see: the
// moment between the two, which cannot be hit at will with a real one.
type endedUnseen struct {
	context.Context
	ended atomic.Bool
}

func (c *endedUnseen) Done() <-chan struct{} { return nil }

func (c *endedUnseen) Err() error {
	if c.ended.Load() {
		return context.Canceled
	}
	return nil
}

func TestEndedContextHasPrecedenceOverTheGrant(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		holder := s.alone("holder", "k")
		ctx := &endedUnseen{Context: t.Context()}
		waiter := s.ask("waiter", func(context.Context) (func(), error) { return s.locks.Lock(ctx, "k") })
		next := s.shared("next", "k")
		ctx.ended.Store(true)
		s.release(holder)
		require.ErrorIs(t, waiter.err, context.Canceled)
		require.Nil(t, waiter.unlock)
		require.True(t, next.done, "what was granted is passed on")
		s.release(next)
	})
}

func TestUnlockingAgainDoesNothing(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		first := s.alone("first", "k")
		s.release(first)
		second := s.alone("second", "k")
		s.release(first)
		third := s.alone("third", "k")
		require.False(t, third.done, "second still holds the key")
		s.release(second)
		s.release(third)

		all := s.ask("all", func(ctx context.Context) (func(), error) { return s.locks.LockAll(ctx, "a", "b") })
		s.release(all)
		a := s.alone("a", "a")
		s.release(all)
		require.Equal(t, 1, s.locks.Len())
		s.release(a)
	})
}

func TestLockAllTakesEachKeyOnce(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		all := s.ask("all", func(ctx context.Context) (func(), error) { return s.locks.LockAll(ctx, "c", "a", "c", "", "a") })
		require.True(t, all.done)
		require.Equal(t, 3, s.locks.Len())
		var others []*caller
		for _, key := range []string{"", "a", "c"} {
			other := s.shared("other", key)
			require.False(t, other.done)
			others = append(others, other)
		}
		nothing := s.ask("nothing", func(ctx context.Context) (func(), error) { return s.locks.LockAll(ctx) })
		s.release(nothing)
		s.release(all)
		for _, other := range others {
			s.release(other)
		}
	})
}

func TestLockEachMixesModes(t *testing.T) {
	upload, part := keylock.Want{Key: "upload", Shared: true}, keylock.Want{Key: "upload/1"}
	play(t, func(t *testing.T, s *scene) {
		ask := func(name string, wants ...keylock.Want) *caller {
			return s.ask(name, func(ctx context.Context) (func(), error) { return s.locks.LockEach(ctx, wants...) })
		}
		first := ask("first", part, upload)
		again := ask("again", upload, part)
		second := ask("second", upload, keylock.Want{Key: "upload/2"})
		complete := s.alone("complete", "upload")
		require.Equal(t, []string{"first", "second"}, s.log)
		s.release(second)
		s.release(first)
		require.True(t, again.done)
		s.release(again)
		require.True(t, complete.done)
		s.release(complete)

		strongest := ask("strongest", keylock.Want{Key: "k", Shared: true}, keylock.Want{Key: "k"}, keylock.Want{Key: "k", Shared: true})
		reader := s.shared("reader", "k")
		require.False(t, reader.done, "wanted alone by one of three, so taken alone")
		s.release(strongest)
		s.release(reader)
	})
}

func TestLockEachLeavesItsArgumentsAlone(t *testing.T) {
	wants := []keylock.Want{{Key: "b"}, {Key: "a"}, {Key: "b"}}
	unlock, err := keylock.New().LockEach(t.Context(), wants...)
	require.NoError(t, err)
	unlock()
	require.Equal(t, []keylock.Want{{Key: "b"}, {Key: "a"}, {Key: "b"}}, wants)
}

func TestCancelledLockAllGivesBackWhatItHad(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		b := s.alone("b", "b")
		all := s.ask("all", func(ctx context.Context) (func(), error) { return s.locks.LockAll(ctx, "c", "b", "a") })
		a := s.alone("a", "a")
		require.False(t, a.done, "held by the call that waits for b")
		c := s.alone("c", "c")
		require.True(t, c.done, "keys are taken in order")
		all.cancel()
		synctest.Wait()
		require.ErrorIs(t, all.err, context.Canceled)
		require.True(t, a.done)
		for _, held := range []*caller{a, b, c} {
			s.release(held)
		}
	})
}
