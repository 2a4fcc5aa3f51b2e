// Goal: the decision is what the rules say, for every small picture and not only
// for those that somebody thought of. Method: a second decision, written rule by
// rule over plain sets and strings, without regard to speed or to what can
// happen; both are asked about every picture of two drives, of three and of four
// that say little, and of up to four that return or are replaced, and about random
// ones of up to six. SHERD_LONG=1 asks about every picture of three.
package verdict_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"

	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/layout"
)

// said is what one drive of a picture says; nil is a drive that is not there.
type said struct {
	state  int // index of states
	stable int
	seal   [2]int // epoch, position
	log    []string
	copied bool // it is being rebuilt
	other  bool // it is not the drive that the newest state names
	fresh  bool // it was empty, and was never in-sync by a state that it holds
	named  bool // and the newest state names it already
}

// states that drives can hold: epoch, generation, and who is in-sync by slot.
type stateOf struct {
	epoch, generation int
	in                func(slot int) bool
}

func allStates() []stateOf {
	return []stateOf{
		{1, 0, func(int) bool { return true }},
		{2, 1, func(int) bool { return true }},
		{2, 2, func(slot int) bool { return slot != 0 }},
		{3, 1, func(slot int) bool { return slot != 1 }},
	}
}

// bytesOf says of an entry how many shards its bytes need and who has one.
type bytesOf struct {
	need int
	good func(slot int) bool
}

// picture is what the drives of a set say, and what their entries added.
type picture struct {
	drives []*said
	adds   map[string]bytesOf // by entry; none: no bytes
	gone   int                // the operator's word: bits of the slots whose first drives will not come back
}

// An entry is its owner's epoch, a letter, and for an abort the position that
// it aborts: 2b, 2c!1.
func epochOf(entry string) int { return int(entry[0] - '0') }

func abortsOf(entry string) int {
	if len(entry) > 3 {
		return int(entry[3] - '0')
	}
	return 0
}

// decision is what both say; refused or all the rest.
type decision struct {
	refused                                            bool
	counted, replaced, damaged, agreed, inSync, behind string
	stable, top, end                                   int
	readOnly                                           bool
}

func set(n int, has func(int) bool) (s string) {
	for slot := range n {
		if has(slot) {
			s += strconv.Itoa(slot)
		}
	}
	return s
}

// oracle applies section 3 of the protocol, steps 2 to 8.
func oracle(p picture) decision {
	n, q := len(p.drives), len(p.drives)/2+1
	refused := decision{refused: true}
	st := allStates()

	// 2: promised, in-sync in the state that it holds, and not being rebuilt.
	f := map[int]*said{}
	for slot, d := range p.drives {
		if d != nil && !d.copied && !d.fresh && st[d.state].in(slot) {
			f[slot] = d
		}
	}
	if len(f) < n-q+1 {
		return refused
	}
	// 3: the newest state, and who was replaced.
	force, replaced := -1, map[int]bool{}
	for _, d := range f {
		force = max(force, d.state) // they are in order
	}
	for slot, d := range f {
		if d.other {
			replaced[slot] = true
		}
	}
	for slot := range replaced {
		delete(f, slot)
	}
	if len(f) < n-q+1 {
		return refused
	}
	// 4: the log without void entries. 5: V*, and damaged drives.
	stable, log, damaged := 0, map[int][]string{}, map[int]bool{}
	for slot, d := range f {
		stable = max(stable, d.stable)
		if st[force].in(slot) {
			log[slot] = d.log[:effective(d, f, st[force].epoch)]
		}
	}
	harm := func(slot int) { damaged[slot] = true; delete(log, slot) }
	for slot := range log {
		if len(log[slot]) < stable {
			harm(slot)
		}
	}
	var older []int
	for a := range log {
		for b := range log {
			if x, y := parting(log[a], log[b]); x != "" && epochOf(x) < epochOf(y) {
				older = append(older, a)
				break
			}
		}
	}
	for _, slot := range older {
		harm(slot)
	}
	holder := -1
	for slot := range n {
		if _, in := log[slot]; in && f[slot].state == force && (holder < 0 || len(log[slot]) > len(log[holder])) {
			holder = slot
		}
	}
	for slot := range log {
		if holder >= 0 && f[slot].state != force {
			if x, _ := parting(log[slot], log[holder]); x != "" {
				harm(slot)
			}
		}
	}
	if len(log) == 0 {
		return refused
	}
	// 6: the longest; all agree with it.
	var longest []string
	for _, l := range log {
		if len(l) > len(longest) {
			longest = l
		}
	}
	for _, l := range log {
		for i := range l {
			if l[i] != longest[i] {
				return refused
			}
		}
	}
	d := decision{stable: stable, top: len(longest), end: len(longest)}
	in := func(m map[int]bool) string { return set(n, func(slot int) bool { return m[slot] }) }
	hasLog := func(slot int) bool { _, ok := log[slot]; return ok }
	counts := func(slot int) bool { _, ok := f[slot]; return ok }
	d.counted, d.replaced, d.damaged, d.agreed = set(n, counts), in(replaced), in(damaged), set(n, hasLog)
	// 7: who is in-sync.
	switch {
	case len(log) >= q:
		d.inSync = d.agreed
	case len(f) >= q:
		d.inSync = d.counted
		d.behind = set(n, func(slot int) bool { return counts(slot) && !hasLog(slot) })
	case word(p, counts, st[force].in):
		d.inSync = set(n, func(int) bool { return true })
		d.behind = set(n, func(slot int) bool { return !hasLog(slot) })
	default:
		d.readOnly = true
		return d
	}
	// 8: what is kept.
	for i := stable; i < len(longest); i++ {
		if !kept(p, longest, i, counts) {
			for _, l := range log {
				if len(l) <= i {
					d.end = i
					return d
				}
			}
			d.readOnly = true
			return d
		}
	}
	return d
}

// word: every slot outside F has a drive that was empty and to which everything was
// copied; and the drive that the newest state names for it is gone for ever, by the
// operator's word. Where that state names the newcomer, that was decided by enough;
// unless it has it in-sync at once, which rests on the word again.
func word(p picture, counts, in func(int) bool) bool {
	if p.gone == 0 {
		return false
	}
	for slot, d := range p.drives {
		if counts(slot) {
			continue
		}
		switch {
		case d == nil || d.copied || d.other:
			return false
		case !d.fresh && (allStates()[d.state].in(slot) || in(slot)): // it counted, or what it took the place of is not known
			return false
		case d.fresh && (!d.named || in(slot)) && p.gone>>slot&1 == 0:
			return false
		}
	}
	return true
}

// effective is how much of a drive's log is not void.
func effective(d *said, f map[int]*said, since int) int {
	for i := d.stable; i < len(d.log); i++ {
		for _, u := range f {
			e, t := u.seal[0], u.seal[1]
			if e > 0 && e >= since && epochOf(d.log[i]) < e && i+1 > t {
				return i
			}
		}
	}
	return len(d.log)
}

// parting gives the entries at which two logs part, if they do.
func parting(a, b []string) (x, y string) {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i], b[i]
		}
	}
	return "", ""
}

// kept: the bytes of an entry can be put together, or it is aborted by one up
// to which all others are kept in the same way.
func kept(p picture, log []string, i int, counts func(int) bool) bool {
	if whole(p, log[i], counts) {
		return true
	}
	for a := i + 1; a < len(log); a++ {
		if abortsOf(log[a]) != i+1 {
			continue
		}
		for between := i + 1; between < a; between++ {
			if !kept(p, log, between, counts) {
				return false
			}
		}
		return true
	}
	return false
}

func whole(p picture, entry string, counts func(int) bool) bool {
	b, has := p.adds[entry]
	if !has {
		return true
	}
	n := 0
	for slot := range p.drives {
		if counts(slot) && b.good(slot) {
			n++
		}
	}
	return n >= b.need
}

// asked gives a picture to the decision in use.
func asked(t *testing.T, p picture) decision {
	n := len(p.drives)
	st := allStates()
	names := make([]layout.Name, n)
	for slot := range names {
		names[slot].Drive = driveID(slot)
		if d := p.drives[slot]; d != nil && d.fresh && d.named {
			names[slot] = layout.Name{Drive: driveID(slot + 8), Past: []layout.DriveID{driveID(slot)}}
		}
	}
	var gone []layout.DriveID
	for slot := range p.drives {
		if p.gone>>slot&1 == 1 {
			gone = append(gone, driveID(slot))
		}
	}
	var ws []verdict.Witness
	for slot, d := range p.drives {
		if d == nil {
			continue
		}
		s := st[d.state]
		w := verdict.Witness{Slot: slot, ID: driveID(slot), Stable: layout.Position(d.stable), Rebuild: d.copied, End: layout.Position(len(d.log)),
			Seal: layout.Seal{Epoch: uint64(d.seal[0]), Position: layout.Position(d.seal[1])}}
		w.State = layout.State{Owner: layout.Owner{Epoch: uint64(s.epoch)}, Generation: uint64(s.generation), Names: names}
		if d.other { // another drive was in the slot before, and knows only the states of its time
			w.ID = driveID(slot + 8)
		}
		for in := range n {
			if s.in(in) {
				w.State.InSync = append(w.State.InSync, names[in].Drive)
			}
		}
		if d.other && s.in(slot) {
			w.State.InSync = append(w.State.InSync, w.ID)
		}
		if d.fresh {
			w.ID = driveID(slot + 8)
			own := slices.Clone(names)
			own[slot] = layout.Name{Drive: w.ID, Past: []layout.DriveID{driveID(slot)}}
			w.State = layout.State{Names: own}
		}
		w.Log = told(p, d.log)
		ws = append(ws, w)
	}
	v, err := verdict.Decide(n, ws, gone...)
	if err != nil {
		return decision{refused: true}
	}
	for slot := range v.Agreed.All() {
		require.True(t, slot != v.Source || len(p.drives[slot].log) >= int(v.Top))
	}
	require.Equal(t, v.Stable, verdict.Stable(n, ws))
	d := decision{
		counted: set(n, v.Promised.Has), replaced: set(n, v.Replaced.Has), damaged: set(n, v.Damaged.Has), agreed: set(n, v.Agreed.Has),
		stable: int(v.Stable), top: int(v.Top), end: int(v.End), readOnly: v.ReadOnly,
	}
	if d.readOnly { // who would be in-sync means nothing
		d.end = d.top
		return d
	}
	d.inSync, d.behind = set(n, v.InSync.Has), set(n, v.Behind.Has)
	return d
}

func told(p picture, log []string) (out []verdict.Logged) {
	chain := ""
	for i, entry := range log {
		chain += "/" + entry
		l := verdict.Logged{Position: layout.Position(i + 1), Epoch: uint64(epochOf(entry)), Aborts: layout.Position(abortsOf(entry)), Chain: chainOf(chain)}
		if b, has := p.adds[entry]; has {
			held := verdict.Held{Need: b.need}
			for slot := range p.drives {
				if b.good(slot) {
					held.Good |= 1 << slot
				}
			}
			l.Adds = []verdict.Held{held}
		}
		out = append(out, l)
	}
	return out
}

func chainOf(s string) layout.Chain { return blake3.Sum256([]byte(s)) }

func compare(t *testing.T, p picture) decision {
	want := oracle(p)
	if want.readOnly {
		want.inSync, want.behind, want.end = "", "", want.top
	}
	if got := asked(t, p); got != want {
		for slot, d := range p.drives {
			t.Logf("%d %+v", slot, d)
		}
		require.Equal(t, want, got)
	}
	return want
}

func logs() [][]string {
	return [][]string{
		nil, {"1a"}, {"1a", "1b"}, {"1a", "1b", "2c!2"}, {"1a", "2b"}, {"1a", "2b", "3c"}, {"2x"}, {"1a", "1b", "3d"}, {"1a", "3e", "3f!2"},
		{"1a", "1y"}, {"1a", "1b", "1g", "2h!2"},
	}
}

// shapes is everything that one drive may say.
func shapes() (out []*said) {
	for state := range allStates() {
		for _, seal := range [][2]int{{}, {2, 1}, {3, 0}, {3, 2}} {
			for _, log := range logs() {
				for stable := range min(len(log), 2) + 1 {
					out = append(out, &said{state: state, seal: seal, log: log, stable: stable})
				}
			}
		}
	}
	return append(out, nil, &said{state: 1, log: logs()[1], copied: true}, &said{state: 1, log: logs()[2], stable: 2, other: true})
}

// holdings is who has the bytes of which entries.
func holdings(n int) []map[string]bytesOf {
	all, none := func(int) bool { return true }, func(int) bool { return false }
	first, last := func(slot int) bool { return slot == 0 }, func(slot int) bool { return slot == n-1 }
	return []map[string]bytesOf{
		nil,
		{"1b": {1, first}, "2b": {2, all}, "3c": {1, last}},
		{"1a": {1, none}, "1b": {1, none}, "3e": {2, first}, "1g": {1, none}},
	}
}

func TestEveryPictureOfTwo(t *testing.T) {
	all, seen := shapes(), map[string]int{}
	for _, adds := range holdings(2) {
		for _, a := range all {
			for _, b := range all {
				seen[kind(compare(t, picture{drives: []*said{a, b}, adds: adds}))]++
			}
		}
	}
	varied(t, seen)
}

func TestEveryPictureOfThree(t *testing.T) {
	all, seen := shapes(), map[string]int{}
	random := rand.New(rand.NewPCG(1, 3))
	sample := 0.002
	if os.Getenv("SHERD_LONG") != "" {
		sample = 1
	}
	for _, adds := range holdings(3) {
		for _, a := range all {
			for _, b := range all {
				for _, c := range all {
					if sample == 1 || random.Float64() < sample {
						seen[kind(compare(t, picture{drives: []*said{a, b, c}, adds: adds}))]++
					}
				}
			}
		}
	}
	varied(t, seen)
}

// fewShapes are what a drive may say with the first so many logs of one or two entries.
func fewShapes(logs, stable int) (out []*said) {
	for state := range allStates() {
		for _, seal := range [][2]int{{}, {3, 1}} {
			for _, log := range [][]string{{"1a"}, {"1a", "1b"}, {"1a", "2b"}, {"1a", "2b", "2c!2"}, {"1a", "3d"}}[:logs] {
				for mark := range stable {
					out = append(out, &said{state: state, seal: seal, log: log, stable: mark})
				}
			}
		}
	}
	return append(out, nil)
}

func TestEverySmallPictureOfThreeAndFour(t *testing.T) {
	sizes := map[int][]*said{3: fewShapes(3, 2), 4: fewShapes(3, 1)}
	if os.Getenv("SHERD_LONG") != "" {
		sizes = map[int][]*said{3: fewShapes(5, 2), 4: fewShapes(3, 2)}
	}
	for n, shapes := range sizes {
		seen := map[string]int{}
		for _, adds := range holdings(n) {
			for i := range power(len(shapes), n) {
				p := picture{adds: adds}
				for range n {
					p.drives = append(p.drives, shapes[i%len(shapes)])
					i /= len(shapes)
				}
				seen[kind(compare(t, p))]++
			}
		}
		varied(t, seen)
	}
}

func power(base, exponent int) int {
	out := 1
	for range exponent {
		out *= base
	}
	return out
}

// Every picture of up to four drives that are there, are behind, return, are being
// copied to, were replaced, or were empty, with every word of the operator. Kills: a
// word that need not cover all; one that covers a drive that may come back; newcomers
// that count before they have their copy, or by another's word; drives that are being
// copied to and count.
func TestEveryPictureOfReplacement(t *testing.T) {
	long := []string{"1a", "2b"}
	shapes := []*said{
		nil,
		{state: 2, log: long, stable: 1},
		{state: 2, log: long[:1], stable: 1},
		{state: 1, log: long[:1], stable: 1},
		{state: 1, log: long[:1], stable: 1, copied: true},
		{state: 1, log: long[:1], stable: 1, other: true},
		{log: long[:1], stable: 1, fresh: true},
		{log: long[:1], stable: 1, fresh: true, copied: true},
		{log: long[:1], stable: 1, fresh: true, named: true},
		{log: long[:1], stable: 1, fresh: true, named: true, copied: true},
	}
	seen := map[string]int{}
	for n := 1; n <= 4; n++ {
		drives := make([]*said, n)
		pictures := 1
		for range n {
			pictures *= len(shapes)
		}
		for i := range pictures {
			for slot := range drives {
				drives[slot] = shapes[i%len(shapes)]
				i /= len(shapes)
			}
			for gone := range 1 << n {
				d := compare(t, picture{drives: drives, gone: gone})
				seen[kind(d)]++
				if gone != 0 && d.inSync != "" && len(d.counted) < n/2+1 {
					seen["replaced"]++
				}
			}
		}
	}
	varied(t, seen, "refused", "read-only", "behind", "serves", "replaced")
}

// Larger sets are drawn so that drives mostly tell the same story, since among
// unrelated ones there is seldom anything left to decide.
func TestRandomPictures(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 4))
	pictures := 150_000
	if os.Getenv("SHERD_LONG") != "" {
		pictures = 20_000_000
	}
	all, seen := shapes(), map[string]int{}
	for range pictures {
		n := 1 + random.IntN(6)
		p := picture{adds: map[string]bytesOf{}}
		for _, log := range logs() {
			for _, entry := range log {
				if abortsOf(entry) == 0 && random.IntN(3) == 0 {
					have := random.IntN(1 << n)
					p.adds[entry] = bytesOf{1 + random.IntN(n), func(slot int) bool { return have>>slot&1 == 1 }}
				}
			}
		}
		story := logs()[random.IntN(len(logs()))]
		for range n {
			d := all[random.IntN(len(all))]
			if d != nil && random.IntN(4) > 0 {
				copied := *d
				copied.log = story[:random.IntN(len(story)+1)]
				copied.stable = min(copied.stable, len(copied.log))
				d = &copied
			}
			p.drives = append(p.drives, d)
		}
		seen[kind(compare(t, p))]++
	}
	varied(t, seen)
}

// kind says what became of a picture, roughly.
func kind(d decision) string {
	switch {
	case d.refused:
		return "refused"
	case d.readOnly && d.inSync != "":
		return "undecidable"
	case d.readOnly:
		return "read-only"
	case d.end < d.top:
		return "cut"
	case d.damaged != "":
		return "damaged"
	case d.behind != "":
		return "behind"
	}
	return "serves"
}

// varied: the pictures lead to decisions of all kinds.
func varied(t *testing.T, seen map[string]int, kinds ...string) {
	t.Log(seen)
	if kinds == nil {
		kinds = []string{"refused", "read-only", "cut", "damaged", "behind", "serves"}
	}
	for _, k := range kinds {
		require.Positive(t, seen[k], fmt.Sprint(k, " ", seen))
	}
}
