// Goal: who must have an entry before it is acknowledged, which in-sync sets are proposed
// and decided, and what a drive that returns undoes, are what the protocol says, for every
// case of up to four drives. Method: each is asked, in a tenure without disks, about
// everything that can be, beside a second answer over plain sets, written rule by rule.
package driveset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// subsets gives all sets within one.
func subsets(of quorum.Drives) (out []quorum.Drives) {
	for m := quorum.Drives(0); m <= of; m++ {
		if of.Contains(m) {
			out = append(out, m)
		}
	}
	return out
}

// tried is a log of which it is asked what may be acknowledged.
type tried struct {
	n            int
	need, inSync quorum.Drives
	applied      []int
	entries      []triedEntry
}

type triedEntry struct {
	bytes     int // 0: none were added; 1: one shard too few is on in-sync drives, though others have one; 2: enough are
	abortedBy int
}

// tenure is the same as what decides has it.
func (x tried) tenure(t *tenure) {
	*t = tenure{n: x.n, need: x.need, inSync: x.inSync, last: layout.Mark{Position: layout.Position(len(x.entries))}}
	for slot, applied := range x.applied {
		t.members[slot] = &member{slot: slot, applied: layout.Position(applied)}
	}
	for i, e := range x.entries {
		p := &pending{Entry: layout.Entry{Position: layout.Position(i + 1)}, abortedBy: layout.Position(e.abortedBy)}
		if e.bytes > 0 {
			p.holders, p.needed = quorum.Drives(1<<x.n-1), x.inSync.Count()
		}
		if e.bytes == 1 {
			p.holders &^= quorum.One(x.inSync.First())
		}
		t.log = append(t.log, p)
	}
}

// acknowledged is the rule: one position after the other, each applied by every drive
// that is needed; bytes count on in-sync drives; what is aborted becomes visible only
// together with its abort.
func (x tried) acknowledged() int {
	visible := 0
	for next := 1; next > 0; {
		next = 0
		until := 0
		for p := visible + 1; p <= len(x.entries) && next == 0; p++ {
			everywhere := true
			for slot := range x.need.All() {
				everywhere = everywhere && x.applied[slot] >= p
			}
			e := x.entries[p-1]
			if !everywhere || e.abortedBy == 0 && e.bytes == 1 {
				break
			}
			until = max(until, e.abortedBy)
			if p >= until {
				next = p
			}
		}
		visible = max(visible, next)
	}
	return visible
}

// Kills: an acknowledgement that waits for all drives but one, or for shards on drives
// that left, or that shows what is aborted before its abort.
func TestWhatMayBeAcknowledged(t *testing.T) {
	var logs [][]triedEntry
	for length := 1; length <= 3; length++ {
		var grow func(log []triedEntry)
		grow = func(log []triedEntry) {
			if len(log) == length {
				logs = append(logs, append([]triedEntry(nil), log...))
				return
			}
			for bytes := range 3 {
				grow(append(log, triedEntry{bytes: bytes}))
			}
			for by := len(log) + 2; by <= length; by++ {
				grow(append(log, triedEntry{bytes: 1, abortedBy: by}))
			}
		}
		grow(nil)
	}
	cases, shown := 0, map[int]int{}
	var built tenure
	for n := 1; n <= 4; n++ {
		for _, need := range subsets(1<<n - 1)[1:] {
			for _, inSync := range subsets(need)[1:] {
				for _, entries := range logs {
					for each := range pow(len(entries)+1, n) {
						x := tried{n: n, need: need, inSync: inSync, entries: entries, applied: make([]int, n)}
						for slot := range n {
							x.applied[slot], each = each%(len(entries)+1), each/(len(entries)+1)
						}
						x.tenure(&built)
						want := x.acknowledged()
						if got := int(acknowledgeable(&built)); got != want {
							t.Fatalf("%+v: %d is acknowledged, and not %d", x, got, want)
						}
						cases++
						shown[want]++
					}
				}
			}
		}
	}
	t.Log(cases, "cases", shown)
	require.Len(t, shown, 4)
}

func pow(base, exponent int) int {
	out := 1
	for range exponent {
		out *= base
	}
	return out
}

// board is what the rules know of an in-sync set on its way to another: sets of slots.
type board struct {
	in, need, target, accepted, failed, learning map[int]bool
	pending, stuck                               bool
}

func setOf(n int, has func(int) bool) map[int]bool {
	m := map[int]bool{}
	for slot := range n {
		if has(slot) {
			m[slot] = true
		}
	}
	return m
}

func (b *board) propose(target map[int]bool) {
	b.pending, b.target, b.accepted = true, target, map[int]bool{}
	for slot := range target { // and of all that were proposed before, until one is decided
		b.need[slot] = true
	}
}

func (b *board) fail(n, slot int) {
	if b.failed[slot] {
		return
	}
	b.failed[slot] = true
	target := b.in
	if b.pending {
		target = b.target
	}
	if b.stuck || !target[slot] && !b.in[slot] {
		return
	}
	rest := maps.Clone(target)
	delete(rest, slot)
	if len(rest) < n/2+1 {
		b.stuck = true
		return
	}
	b.propose(rest)
}

func (b *board) accept(slot int) {
	if b.stuck || !b.pending {
		return
	}
	b.accepted[slot] = true
	for want := range b.target {
		if !b.accepted[want] {
			return
		}
	}
	b.in, b.need, b.pending = maps.Clone(b.target), maps.Clone(b.target), false
	for slot := range b.in {
		delete(b.learning, slot)
	}
}

// join: a learner that has everything is proposed, one at a time.
func (b *board) join(n int) {
	for slot := range n {
		if b.learning[slot] && !b.failed[slot] && !b.pending && !b.stuck {
			target := maps.Clone(b.in)
			target[slot] = true
			b.propose(target)
		}
	}
}

// step is something that happens to a set: a drive fails, accepts what was proposed, or
// returns and has learned everything.
type step struct {
	what string
	slot int
}

// run does the steps in a tenure and on a board, and gives both as text.
func run(n int, steps []step) (got, want string) {
	s := &Set{n: n, q: quorum.Write(n), kick: make(chan struct{}, 1)}
	s.opt.fill()
	x := newTenure(s, layout.Owner{Epoch: 1}, make([]layout.Name, n))
	defer x.cancel()
	x.mu.Lock()
	defer x.mu.Unlock()
	all := quorum.Drives(1<<n - 1)
	x.inSync, x.need = all, all
	for slot := range n {
		x.members[slot] = newMember(slot, &place{}, nil, layout.Promise{}, 0, 0)
		x.members[slot].fed = true
	}
	every := func(int) bool { return true }
	b := &board{in: setOf(n, every), need: setOf(n, every), failed: map[int]bool{}, learning: map[int]bool{}}
	for _, st := range steps {
		switch st.what {
		case "fail":
			x.fail(x.members[st.slot], errors.New("broken"))
			b.fail(n, st.slot)
		case "accept":
			if x.members[st.slot].failed == nil && x.proposal != nil && x.proposal.target.Has(st.slot) {
				x.accept(x.members[st.slot], x.proposal.state.Generation)
				b.accept(st.slot)
			}
		case "accept late": // an older state, which counts for nothing
			if x.generation > 1 {
				x.accept(x.members[st.slot], x.generation-1)
			}
		case "return":
			if b.failed[st.slot] && !b.in[st.slot] && !b.need[st.slot] && !b.pending && !b.stuck {
				m := newMember(st.slot, &place{}, nil, layout.Promise{}, 0, 0)
				m.fed, m.learner = true, true
				x.members[st.slot] = m
				x.join()
				delete(b.failed, st.slot)
				b.learning[st.slot] = true
				b.join(n)
			}
		}
	}
	text := func(in, need, target, accepted map[int]bool, pending, stuck bool) string {
		if !pending {
			target, accepted = nil, nil
		}
		return fmt.Sprint(in, need, len(target), target, len(accepted), accepted, pending, stuck)
	}
	var target, accepted quorum.Drives
	if x.proposal != nil {
		target, accepted = x.proposal.target, x.proposal.accepted
	}
	got = text(setOf(n, x.inSync.Has), setOf(n, x.need.Has), setOf(n, target.Has), setOf(n, accepted.Has), x.proposal != nil, x.stuck != nil)
	return got, text(b.in, b.need, b.target, b.accepted, b.pending, b.stuck) + ""
}

// Everything that can happen to a set of up to four drives, in every order, until nothing
// new comes of it.
//
// Kills: acknowledgements that need the drives of the newest proposal alone; one that is
// decided by some of its drives, or by who accepted another; proposals below the quorum.
func TestWhichSetsAreProposed(t *testing.T) {
	for n := 1; n <= 4; n++ {
		var all []step
		for slot := range n {
			all = append(all, step{"fail", slot}, step{"accept", slot}, step{"accept late", slot}, step{"return", slot})
		}
		known := map[string]bool{}
		for paths := [][]step{nil}; len(paths) > 0; {
			var next [][]step
			for _, path := range paths {
				for _, st := range all {
					longer := append(append([]step(nil), path...), st)
					got, want := run(n, longer)
					require.Equal(t, want, got, "%v", longer)
					key := got + fmt.Sprint(fates(n, longer))
					if !known[key] {
						known[key] = true
						next = append(next, longer)
					}
				}
			}
			paths = next
		}
		t.Log(n, "drives:", len(known), "states")
		require.Greater(t, len(known), n*n)
	}
}

// fates tells which drives failed and did not return, by the steps alone.
func fates(n int, steps []step) []string {
	out := make([]string, n)
	for _, st := range steps {
		if st.what == "fail" || st.what == "return" {
			out[st.slot] = st.what
		}
	}
	return out
}

// logged is a drive with nothing but a log, of which the letters are entries.
type logged struct {
	layout.Drive
	log    string
	stable int
}

func (d *logged) chain(p int) (c layout.Chain) {
	copy(c[:], d.log[:p])
	return c
}

func (d *logged) Holding(context.Context) (layout.Holding, error) {
	mark := func(p int) layout.Mark { return layout.Mark{Position: layout.Position(p), Chain: d.chain(p)} }
	return layout.Holding{Last: mark(len(d.log)), Stable: mark(d.stable), First: 1}, nil
}

func (d *logged) Log(_ context.Context, from layout.Position, _ int) ([]layout.Entry, error) {
	if from < 1 || int(from) > len(d.log) {
		return nil, nil
	}
	return []layout.Entry{{Position: from, Chain: d.chain(int(from))}}, nil
}

// Every log of up to five entries returns to every other one: what both have stays, what
// is only the returning drive's goes, and what is stable on it never does.
//
// Kills: an undo down to the stable mark, to the shorter log's end, or one short of where
// they part.
func TestWhatAReturnUndoes(t *testing.T) {
	const most = 5
	cases := 0
	for common := range most + 1 {
		for own := range most + 1 - common {
			for others := range most + 1 - common {
				for stable := range common + 1 {
					for end := stable; end <= most; end++ {
						mine := &logged{log: "abcde"[:common] + "vwxyz"[:own], stable: stable}
						source := &logged{log: "abcde"[:common] + "VWXYZ"[:others]}
						held, err := mine.Holding(t.Context())
						require.NoError(t, err)
						keep, err := agreement(t.Context(), &place{}, source, &candidate{drive: mine, held: held}, layout.Position(end))
						require.NoError(t, err)
						require.EqualValues(t, max(stable, min(common, end)), keep, "%q to %q, stable %d, end %d", mine.log, source.log, stable, end)
						cases++
					}
				}
			}
		}
	}
	require.Greater(t, cases, 500)
}
