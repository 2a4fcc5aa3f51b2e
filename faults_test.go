// Goal: whatever operation of a disk fails, in whatever way, on however many
// drives, a call answers the truth and nothing that was acknowledged is lost.
// Method: each call with the n-th operation of the disks failing, for every n
// that there is if SHERD_LONG is set, else for some that SHERD_SEED draws; then
// the faults end, the drives must return by themselves, and the store is read,
// checked, opened again, and opened on what a power cut would have left.
package sherd_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// fault is a way to fail.
type fault struct {
	name  string
	kinds []op.Kind // of operations that can fail so; none: all
	lasts bool      // every operation from the n-th on
	gone  bool      // and the drive with it, whatever the kind
	do    faultfs.Action
	gate  *faultfs.Gate // of a stall, which do waits at
}

func faults() []fault {
	space := []op.Kind{op.Create, op.OpenReadWrite, op.Reuse, op.Link, op.Rename, op.Mkdir, op.Write, op.WriteAt, op.Preallocate}
	syncs := []op.Kind{op.Sync, op.SyncData, op.SyncTo, op.SyncDir}
	writes := []op.Kind{op.Write, op.WriteAt}
	return []fault{
		{name: "an error", do: faultfs.Fail(syscall.EIO)},
		{name: "an error afterwards", kinds: slices.Concat(space, syncs, []op.Kind{op.Remove}), do: faultfs.FailAfter(syscall.EIO)},
		{name: "a lost sync", kinds: syncs, do: faultfs.LoseSync(syscall.EIO)},
		{name: "a short write", kinds: writes, do: faultfs.Short(7, syscall.EIO)},
		{name: "a short write without error", kinds: writes, do: faultfs.Short(7, nil)},
		{name: "no space once", kinds: space, do: faultfs.Fail(syscall.ENOSPC)},
		{name: "no space", kinds: space, lasts: true, do: faultfs.Fail(syscall.ENOSPC)},
		{name: "read-only", kinds: append(slices.Clone(space), op.Remove), lasts: true, do: faultfs.Fail(syscall.EROFS)},
		{name: "a stall", lasts: true},
		{name: "gone", gone: true},
	}
}

// point is one run of the loop.
type point struct {
	call   call
	fault  fault
	total  int   // drives
	hit    []int // drives that the fault is on
	n      int   // which of their operations it begins at
	seed   uint64
	counts []int // of a point that hits no drive: operations that can fail, by fault
}

func (p *point) String() string {
	return fmt.Sprintf("%s, %d drives, %s on %v at operation %d (seed %d)", p.call.name, p.total, p.fault.name, p.hit, p.n, p.seed)
}

// parity and what may fail, by the number of drives.
func (p *point) mayRead() bool  { return len(p.hit)+p.call.away <= p.total/2 }
func (p *point) mayWrite() bool { return len(p.hit)+p.call.away <= (p.total-1)/2 }

func TestFailAnyOperation(t *testing.T) {
	seed := seed(t)
	for i, c := range calls() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			points, met := 0, 0
			for p := range c.points(t, rng, seed) {
				points++
				if p.run(t) {
					met++
				}
			}
			t.Logf("%d points, %d of them met a fault", points, met)
			require.Greater(t, 4*met, points, "most points are of operations that there are")
		})
	}
}

// points are the points to try of a call: all, or of every kind of fault on every
// number of drives one, which is drawn.
func (c call) points(t *testing.T, rng *rand.Rand, seed uint64) iter.Seq[*point] {
	return func(yield func(*point) bool) {
		for _, drives := range []int{4, 2, 1} {
			if c.away >= drives {
				continue
			}
			counting := &point{call: c, total: drives, seed: seed}
			counting.run(t)
			for hits := 1; hits <= drives/2+1; hits++ {
				for i, f := range faults() {
					if c.noStall && f.name == "a stall" || raceEnabled && rng.IntN(6) > 0 {
						continue
					}
					first, last := 1, counting.counts[i]
					if !long() {
						first = 1 + rng.IntN(last)
						last = first
					}
					for n := first; n <= last; n++ {
						p := &point{call: c, fault: f, total: drives, n: n, seed: seed}
						for h := range hits {
							p.hit = append(p.hit, (n+h)%(drives-c.away))
						}
						if !yield(p) {
							return
						}
					}
				}
			}
		}
	}
}

// trial is a point while it runs.
type trial struct {
	*point
	*testing.T
	*rack
	store *sherd.Store
	state state

	mu      sync.Mutex // guards what follows
	ops     []string   // that failed
	evicts  []bool     // drives that had a failure no drive goes on after
	answers []string   // of readers of the key, without repetitions
}

// run tells whether the fault was met.
func (p *point) run(t *testing.T) (met bool) {
	bubble(t, func(t *testing.T) {
		x := &trial{point: p, T: t, rack: newRack(p.total), evicts: make([]bool, p.total)}
		t.Cleanup(func() { x.clear(); x.release() })
		met = x.run()
	})
	return met
}

func (x *trial) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return fmt.Sprintf("%v; met: %v", x.point, x.ops)
}

func (x *trial) run() bool {
	var err error
	x.store, err = x.open(x)
	require.NoError(x, err)
	x.state.begin(x)
	x.call.before(x)
	stop := x.arm()
	watch := x.watch()
	err = x.act()
	crashed := x.crash(crashfs.SyncedOnly, x.seed)
	known, told := x.known()
	pass(600 * time.Millisecond) // the stable mark, probes, and removal
	stop()
	pass(400 * time.Millisecond) // two more probes
	seen := watch()
	x.answer(err)
	if x.store != nil {
		x.readWhileItLasts()
	}
	x.clear()
	x.release()
	x.reported(seen)
	final := x.settled(err)
	x.shut(x, x.store, x.String())

	x.again(x.rack, func(got string) bool { return got == final }, "opened again")
	x.again(crashed, func(got string) bool { return x.fits(err, got) && (!told || got == known) }, "after a power cut")
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.ops) > 0
}

// arm puts the fault in force. The function that it gives ends the counting.
func (x *trial) arm() (stop func()) {
	var rules []*faultfs.Handle
	if x.fault.do == nil && !x.fault.gone {
		x.fault.gate = faultfs.NewGate()
		x.fault.do = faultfs.Stall(x.fault.gate)
	}
	before := x.operations()
	for _, slot := range x.hit {
		times := 1
		if x.fault.lasts {
			times = 0
		}
		rules = append(rules, x.faults[slot].Add(faultfs.Rule{Kinds: x.fault.kinds, Skip: x.n - 1, Times: times, Do: x.do(slot)}))
	}
	return func() {
		for i, n := range x.operations() {
			x.counts = append(x.counts, n-before[i])
		}
		for _, r := range rules {
			if r.Fired() == 0 {
				r.Stop()
			}
		}
	}
}

// operations counts those of the first drive that can fail, by fault.
func (x *trial) operations() (out []int) {
	for _, f := range faults() {
		out = append(out, x.faults[0].Count(f.kinds...))
	}
	return out
}

// do notes the operation and lets it fail.
func (x *trial) do(slot int) faultfs.Action {
	return func(c *vfs.Call, next func() error) error {
		x.mu.Lock()
		if len(x.ops) < 6 {
			x.ops = append(x.ops, fmt.Sprintf("%d %v %s", slot, c.Kind, c.Path))
		}
		x.evicts[slot] = x.evicts[slot] || x.fault.evicts(c.Kind)
		x.mu.Unlock()
		if x.fault.gone {
			x.faults[slot].SetGone(true)
			return faultfs.Fail(faultfs.ErrGone)(c, next)
		}
		return x.fault.do(c, next)
	}
}

// evicts says that no drive may go on as if nothing had happened.
func (f *fault) evicts(kind op.Kind) bool {
	switch {
	case f.gone:
		return true
	case f.gate != nil || f.name == "no space" || f.name == "no space once":
		return false
	}
	return kind.Durable() || kind == op.Write || kind == op.Create
}

// release lets what is stalled go on.
func (x *trial) release() {
	if x.fault.gate != nil {
		x.fault.gate.Open()
	}
}

// act makes the call. One that too many stalled drives hold up gets its answer
// when they go on.
func (x *trial) act() error {
	done := make(chan error, 1)
	go func() { done <- x.call.act(x) }()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
	}
	require.NotNil(x, x.fault.gate, "%v: no answer", x)
	require.False(x, x.mayWrite(), "%v: no answer, and enough drives do", x)
	x.release()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
	}
	require.Fail(x, "no answer after the stall", x.String())
	return nil
}

// watch reads the key, and looks at the drives, until the function that it
// gives is called, which tells which drives were seen to be out.
func (x *trial) watch() (stop func() []bool) {
	end, ended := make(chan struct{}), make(chan struct{})
	seen := make([]bool, x.total)
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			if !x.call.opens {
				s := x.store
				if i < 4 || i%16 == 0 {
					x.look(s)
				}
				for i, d := range s.Health().Drives {
					seen[i] = seen[i] || d.Status != driveset.InSync && d.Err != nil
				}
			}
			select {
			case <-end:
				return
			case <-time.After(time.Duration(10+i/4) * time.Millisecond):
			}
		}
	}()
	return func() []bool { close(end); <-ended; return seen }
}

// look reads the key once. What it was given stays known.
func (x *trial) look(s *sherd.Store) {
	got, err := x.state.look(s)
	if err != nil {
		x.tolerable(err)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := len(x.answers); n == 0 || x.answers[n-1] != got {
		x.answers = append(x.answers, got)
	}
}

// known is what the call made, if readers have been told of it.
func (x *trial) known() (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(x.answers)
	return x.state.after, n > 0 && x.answers[n-1] == x.state.after
}

// tolerable says that a read may end so while drives fail: with the truth that
// it can not be told now.
func (x *trial) tolerable(err error) {
	for _, may := range []error{sherd.ErrUnavailable, sherd.ErrDamaged, sherd.ErrTooFewDrives} {
		if errors.Is(err, may) {
			return
		}
	}
	if x.fault.gate != nil && !x.mayRead() && errors.Is(err, context.DeadlineExceeded) {
		return
	}
	require.NoError(x, err, x.String())
}

// answer looks at what the call said.
func (x *trial) answer(err error) {
	if x.mayWrite() {
		require.NoError(x, err, x.String())
	}
	if err == nil || x.call.opens {
		return
	}
	for _, may := range []error{sherd.ErrOutcomeUnknown, sherd.ErrUnavailable, sherd.ErrReadOnly, sherd.ErrNoSpace, sherd.ErrDamaged} {
		if errors.Is(err, may) {
			return
		}
	}
	require.NoError(x, err, x.String())
}

// readWhileItLasts reads everything while drives fail.
func (x *trial) readWhileItLasts() {
	for key, want := range x.state.others {
		got, err := contentOf(x, x.store, key)
		if err == nil {
			require.Equal(x, want, got, "%v: %s", x, key)
			continue
		}
		x.tolerable(err)
		if x.mayRead() {
			eventually(x, x.store, x.String()+": reading "+key, func() bool {
				got, err = contentOf(x, x.store, key)
				return err == nil && got == want
			})
		}
	}
	x.look(x.store)
}

// reported says that a drive that failed was seen to be out.
func (x *trial) reported(seen []bool) {
	if x.call.opens {
		return
	}
	x.mu.Lock()
	evicts := slices.Clone(x.evicts)
	x.mu.Unlock()
	for slot, out := range evicts {
		require.True(x, !out || seen[slot], "%v: drive %d was not reported; %+v", x, slot, x.store.Health())
	}
}

// fits says whether a state can be what a call that ended so left.
func (x *trial) fits(err error, got string) bool {
	switch {
	case err == nil:
		return got == x.state.after
	case errors.Is(err, sherd.ErrOutcomeUnknown):
		return got == x.state.before || got == x.state.after
	}
	return got == x.state.before
}

// settled waits until all is well by itself, and gives the state for ever.
func (x *trial) settled(err error) string {
	if x.store == nil {
		var failed error
		x.store, failed = x.open(x)
		require.NoError(x, failed, x.String())
	}
	eventually(x, x.store, x.String()+": all is well", func() bool { return well(x.store) })
	return x.whole(x.store, x.rack, "settled", func(got string) bool { return x.fits(err, got) })
}

// whole reads and checks a store that is well; x.store has new writes after it.
func (x *trial) whole(s *sherd.Store, r *rack, when string, ok func(string) bool) string {
	got, err := x.state.look(s)
	require.NoError(x, err, "%v: %s", x, when)
	require.True(x, ok(got), "%v: %s: %q; before %q, after %q", x, when, got, x.state.before, x.state.after)
	if r == x.rack {
		x.mu.Lock()
		answers := append(x.answers, got)
		x.mu.Unlock()
		x.onceOnly(answers)
	}
	for key, want := range x.state.others {
		content, err := contentOf(x, s, key)
		require.NoError(x, err, "%v: %s: %s", x, when, key)
		require.Equal(x, want, content, "%v: %s: %s", x, when, key)
	}
	for f, err := range s.Check(x.Context()) {
		require.NoError(x, err, "%v: %s", x, when)
		require.True(x, x.expected(f), "%v: %s: %+v", x, when, f)
	}
	x.state.use(x, s)
	return got
}

// onceOnly says that readers saw the key change at most once, and not back.
func (x *trial) onceOnly(answers []string) {
	changed := false
	for i, a := range answers {
		if i > 0 && a != answers[i-1] {
			require.False(x, changed, "%v: readers were told %q", x, answers)
			changed = true
		}
		require.Contains(x, []string{x.state.before, x.state.after}, a, x.String())
	}
}

// expected is a finding of the check that is known: a shard, on a drive that
// failed, of what was written while it did.
func (x *trial) expected(f sherd.Finding) bool {
	if f.Kind != "shard" || f.Lost || f.Key != "" && f.Key != x.state.key {
		return false
	}
	for slot := range x.total {
		if f.Path == sherd.DrivePath(slot) {
			return slot >= x.total-x.call.away || slices.Contains(x.hit, slot)
		}
	}
	return false
}

// again opens a rack once more and looks.
func (x *trial) again(r *rack, ok func(string) bool, when string) {
	s, err := r.open(x)
	require.NoError(x, err, "%v: %s", x, when)
	eventually(x, s, x.String()+": "+when, func() bool { return well(s) })
	x.whole(s, r, when, ok)
	r.shut(x, s, x.String())
}
