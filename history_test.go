// Goal: to clients that work on the same keys at the same time, each key is one
// register, whatever happens to the drives. Method: clients in virtual time on disks
// that take their time, while drives fail, hang and return; what each call saw, and
// when, is compared by search with every order that could explain it. What failed must
// have done nothing; what ended in ErrOutcomeUnknown may have, at any time since.
package sherd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// happened is one call and its answer. Values are numbers, 0 is none.
type happened struct {
	kind  string
	value int // that was written, or seen
	other int // that was asked to be there
	maybe bool
	call  int64
	done  int64
}

// after gives what the key holds after a call, and whether the call could give that
// answer of a key that holds now.
func (h happened) after(now int) (int, bool) {
	switch h.kind {
	case "put":
		return h.value, true
	case "put where there is none":
		return h.value, now == 0
	case "found some":
		return now, now != 0
	case "put over":
		return h.value, now == h.other
	case "found another":
		return now, now != h.other && now != 0
	case "found none":
		return now, now == 0
	case "delete":
		return 0, true
	case "see":
		return now, now == h.value
	}
	panic(h.kind)
}

// orderly tells whether there is an order of the calls, each between its begin and its
// end, in which every answer is right.
func orderly(calls []happened) bool {
	type point struct {
		done uint64
		now  int
	}
	var must uint64
	for i, c := range calls {
		if !c.maybe {
			must |= 1 << i
		}
	}
	seen := map[point]bool{}
	var from func(p point) bool
	from = func(p point) bool {
		if p.done&must == must {
			return true
		}
		if seen[p] {
			return false
		}
		seen[p] = true
		first := int64(math.MaxInt64) // the first end of those that are left
		for i, c := range calls {
			if p.done>>i&1 == 0 && !c.maybe {
				first = min(first, c.done)
			}
		}
		for i, c := range calls {
			if p.done>>i&1 == 1 || c.call > first {
				continue
			}
			if next, ok := c.after(p.now); ok && from(point{p.done | 1<<i, next}) {
				return true
			}
		}
		return false
	}
	return from(point{})
}

func TestOrderly(t *testing.T) {
	put := func(v int, call, done int64) happened { return happened{kind: "put", value: v, call: call, done: done} }
	see := func(v int, call, done int64) happened { return happened{kind: "see", value: v, call: call, done: done} }
	for _, c := range []struct {
		name  string
		calls []happened
		want  bool
	}{
		{"one after another", []happened{put(1, 1, 2), see(1, 3, 4), put(2, 5, 6), see(2, 7, 8)}, true},
		{"an old value after a new one", []happened{put(1, 1, 2), put(2, 3, 4), see(1, 5, 6)}, false},
		{"either while it is written", []happened{put(1, 1, 2), put(2, 3, 9), see(1, 4, 5), see(2, 6, 7)}, true},
		{"the new one and then the old one", []happened{put(1, 1, 2), put(2, 3, 9), see(2, 4, 5), see(1, 6, 7)}, false},
		{"two that think that there was none", []happened{
			{kind: "put where there is none", value: 1, call: 1, done: 5}, {kind: "put where there is none", value: 2, call: 2, done: 6},
		}, false},
		{"lost before it is answered", []happened{put(1, 1, 2), {kind: "delete", call: 3, done: 4}, see(1, 5, 6)}, false},
		{"seen later than nobody knows", []happened{{kind: "put", value: 1, maybe: true, call: 1, done: math.MaxInt64}, see(0, 2, 3), see(1, 4, 5)}, true},
		{"seen and taken back", []happened{{kind: "put", value: 1, maybe: true, call: 1, done: math.MaxInt64}, see(1, 2, 3), see(0, 4, 5)}, false},
		{"replaced what was not there", []happened{put(1, 1, 2), put(2, 3, 4), {kind: "put over", value: 3, other: 1, call: 5, done: 6}}, false},
	} {
		require.Equal(t, c.want, orderly(c.calls), c.name)
	}
}

// register is what clients share: keys, the values that were ever written, the calls.
type register struct {
	t     *testing.T
	s     *sherd.Store
	clock atomic.Int64
	made  atomic.Int64

	mu     sync.Mutex
	values map[string]int // by ETag
	tags   map[int]string // ETags
	calls  map[string][]happened
	failed int // calls that did nothing
}

// client makes calls, one after another.
func (g *register) client(ctx context.Context, r *rand.Rand, keys []string, calls int) {
	for range calls {
		key := keys[r.IntN(len(keys))]
		pass(time.Duration(r.IntN(20)) * time.Millisecond) // virtual
		h := happened{call: g.clock.Add(1)}
		err := g.one(ctx, r, key, &h)
		h.done = g.clock.Add(1)
		switch {
		case errors.Is(err, sherd.ErrOutcomeUnknown):
			h.maybe, h.done = true, math.MaxInt64
		case errors.Is(err, sherd.ErrReadOnly) || errors.Is(err, sherd.ErrUnavailable):
			g.mu.Lock()
			g.failed++
			g.mu.Unlock()
			continue
		case err != nil:
			g.t.Errorf("%s %s: %v", h.kind, key, err)
			return
		}
		g.mu.Lock()
		g.calls[key] = append(g.calls[key], h)
		g.mu.Unlock()
	}
}

// one makes a call, and notes what it was and what it saw.
func (g *register) one(ctx context.Context, r *rand.Rand, key string, h *happened) error {
	switch r.IntN(8) {
	case 0, 1:
		h.kind = "put"
		return g.put(ctx, r, key, h, sherd.Conditions{})
	case 2:
		h.kind = "put where there is none"
		err := g.put(ctx, r, key, h, sherd.Conditions{IfNoneMatch: "*"})
		if errors.Is(err, sherd.ErrPrecondition) {
			h.kind, err = "found some", nil
		}
		return err
	case 3:
		g.mu.Lock()
		h.kind, h.other = "put over", 1+r.IntN(max(1, int(g.made.Load())))
		tag := g.tags[h.other]
		g.mu.Unlock()
		if tag == "" {
			h.kind = "put"
			return g.put(ctx, r, key, h, sherd.Conditions{})
		}
		err := g.put(ctx, r, key, h, sherd.Conditions{IfMatch: tag})
		if errors.Is(err, sherd.ErrPrecondition) {
			h.kind, err = "found another", nil
		} else if errors.Is(err, sherd.ErrNoSuchKey) {
			h.kind, err = "found none", nil
		}
		return err
	case 4:
		h.kind = "delete"
		_, err := g.s.Delete(ctx, bucketName, key, nil)
		return err
	case 5:
		h.kind = "found none"
		for info, err := range g.s.List(ctx, bucketName, &sherd.ListOptions{Prefix: key}) {
			if err != nil {
				return err
			}
			if info.Key == key {
				h.kind = "found some"
			}
		}
		return nil
	default:
		h.kind = "see"
		tag, err := contentOf(g.t, g.s, key)
		if err == nil && tag != "" {
			g.mu.Lock()
			h.value = g.values[tag]
			g.mu.Unlock()
			if h.value == 0 {
				return fmt.Errorf("bytes that nobody wrote")
			}
		}
		return err
	}
}

func (g *register) put(ctx context.Context, r *rand.Rand, key string, h *happened, cond sherd.Conditions) error {
	h.value = int(g.made.Add(1))
	data := sized(uint64(h.value), []int{20, 3000, 140_000}[r.IntN(3)])
	g.mu.Lock()
	g.values[digest(data)], g.tags[h.value] = h.value, digest(data)
	g.mu.Unlock()
	_, err := g.s.Put(ctx, bucketName, key, bytes.NewReader(data), int64(len(data)), &sherd.PutOptions{MD5: true, Conditions: cond})
	return err
}

// trouble does something to drives, and undoes it, until it is told to end.
func trouble(ctx context.Context, r *rand.Rand, k *rack) {
	for ctx.Err() == nil {
		drive := k.faults[r.IntN(len(k.faults))]
		undo := func() {}
		switch r.IntN(6) {
		case 0, 1:
			drive.SetGone(true)
			undo = func() { drive.SetGone(false) }
		case 2: // most likely too few to write
			other := k.faults[r.IntN(len(k.faults))]
			drive.SetGone(true)
			other.SetGone(true)
			undo = func() { drive.SetGone(false); other.SetGone(false) }
		case 3:
			gate := faultfs.NewGate()
			rule := drive.Add(faultfs.Rule{Kinds: syncs, Match: waits, Do: faultfs.Stall(gate)})
			undo = func() { rule.Stop(); gate.Open() }
		case 4:
			drive.Add(faultfs.Rule{Kinds: syncs, Times: 1, Do: faultfs.Fail(syscall.EIO)})
		case 5:
			drive.Add(faultfs.Rule{Kinds: []op.Kind{op.Write}, Times: 1, Do: faultfs.Fail(syscall.EIO)})
		}
		pass(time.Duration(r.IntN(3000)) * time.Millisecond)
		undo()
		pass(time.Duration(r.IntN(2000)) * time.Millisecond)
	}
}

var syncs = []op.Kind{op.SyncData, op.Sync, op.SyncTo}

// waits tells whether nothing is locked while an operation is made: in virtual time,
// who waits for a lock stops the clock. That is so of shards and of the index's log.
func waits(c *vfs.Call) bool {
	return strings.Contains(c.Path, "/shards/") || strings.HasSuffix(c.Path, ".log")
}

// slowly has every such operation take up to a few milliseconds.
func slowly(r *rand.Rand) faultfs.Rule {
	var mu sync.Mutex // guards r
	return faultfs.Rule{Kinds: append(syncs, op.Write, op.ReadAt), Match: waits, Do: func(_ *vfs.Call, next func() error) error {
		mu.Lock()
		took := time.Duration(r.IntN(4000)) * time.Microsecond
		mu.Unlock()
		pass(took)
		return next()
	}}
}

// Kills: reads of what is not acknowledged yet; keys that two writers may hold;
// conditions that are not decided.
func TestEachKeyIsOneRegister(t *testing.T) {
	rounds := 20
	if raceEnabled {
		rounds = 3
	}
	if long() {
		rounds = 300
	}
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed(t), uint64(round)))
				k := newRack(4)
				k.opt = &sherd.Options{StallLimit: time.Second}
				s, err := k.open(t)
				require.NoError(t, err)
				_, err = s.CreateBucket(t.Context(), bucketName, nil)
				require.NoError(t, err)
				g := &register{t: t, s: s, values: map[string]int{}, tags: map[int]string{}, calls: map[string][]happened{}}
				for _, drive := range k.faults {
					drive.Add(slowly(rand.New(rand.NewPCG(r.Uint64(), 0))))
				}
				stop, cancel := context.WithCancel(context.Background())
				var troubles, clients sync.WaitGroup
				troubler := rand.New(rand.NewPCG(r.Uint64(), 0))
				troubles.Go(func() { trouble(stop, troubler, k) })
				for turn := range 20 {
					keys := []string{fmt.Sprint("a", turn), fmt.Sprint("b", turn)}
					for range 6 {
						own := rand.New(rand.NewPCG(r.Uint64(), 0))
						clients.Go(func() { g.client(context.Background(), own, keys, 8) })
					}
					clients.Wait()
				}
				cancel()
				troubles.Wait()
				k.clear()
				eventually(t, s, "all is well", func() bool { return well(s) })
				answered := 0
				for key, calls := range g.calls {
					h := happened{kind: "see", call: g.clock.Add(1)}
					tag, err := contentOf(t, s, key)
					require.NoError(t, err)
					h.value, h.done = g.values[tag], g.clock.Add(1)
					calls = append(calls, h)
					require.LessOrEqual(t, len(calls), 64)
					slices.SortFunc(calls, func(a, b happened) int { return int(a.call - b.call) })
					var text strings.Builder
					for _, c := range calls {
						fmt.Fprintf(&text, "%+v\n", c)
					}
					require.True(t, orderly(calls), "%s: no order explains\n%s", key, &text)
					answered += len(calls)
				}
				require.Greater(t, answered, 400, "%d did nothing", g.failed)
				pass(time.Minute) // what drives lack of objects that were acknowledged is made
				checkClean(t, s)
				k.shut(t, s, "")
			})
		})
	}
}
