// Goal: what is computed about pools is right whatever the drives: the hash, the
// division into sets, which place belongs to which set, the order of merged
// listings, what a record of pools may say. Method: vectors from elsewhere,
// exhaustive small cases, and merging against sorting. In the package itself: it
// has nothing else to show than these functions.
package pools

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
)

// The vectors are those of the authors of SipHash-2-4 (vectors_sip64): message n
// is the bytes 0 … n−1 under the key 0 … 15. Ours begins with the bucket's id.
func TestTheHashIsSipHash(t *testing.T) {
	var id layout.DeploymentID
	message := make([]byte, 64)
	for i := range message {
		message[i] = byte(i)
	}
	copy(id[:], message)
	h := newHashKey(id)
	for n, want := range map[int]uint64{8: 0x93f5f5799a932462, 9: 0x9e0082df0ba9e4b0, 15: 0xa129ca6149be45e5, 63: 0x958a324ceb064572} {
		require.Equal(t, want, h.sum(0x0001020304050607, string(message[8:n])), "%d bytes", n)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { h.sum(1, "a key of some length") }))
}

func TestKeysSpread(t *testing.T) {
	h := newHashKey(layout.DeploymentID{1})
	for _, sets := range []int{2, 3, 16} {
		count := make([]int, sets)
		for i := range 10_000 {
			count[h.sum(7, "photos/2026/"+strconv.Itoa(i))%uint64(sets)]++
		}
		for _, n := range count {
			require.InDelta(t, 10_000/sets, n, 400)
		}
	}
}

// Mutants that this kills: the mode is not looked at; what is not known counts as
// no room; the first of equals takes all.
func TestNewKeysGoWhereThereIsRoom(t *testing.T) {
	const closed, readOnly, serving = driveset.Closed, driveset.ReadOnly, driveset.Serving
	for name, c := range map[string]struct {
		all  []candidate
		best []int
	}{
		"one":                         {[]candidate{{serving, 5}}, []int{0}},
		"the most room":               {[]candidate{{serving, 100}, {serving, 1000}, {serving, 500}}, []int{1}},
		"about as much":               {[]candidate{{serving, 100}, {serving, 95}, {serving, 80}}, []int{0, 1}},
		"no room anywhere":            {[]candidate{{serving, 0}, {serving, 0}}, []int{0, 1}},
		"not known":                   {[]candidate{{serving, 100}, {serving, -1}, {serving, 3}}, []int{0, 1}},
		"what serves, whatever room":  {[]candidate{{readOnly, 1000}, {serving, 1}, {closed, 9}}, []int{1}},
		"nothing serves":              {[]candidate{{readOnly, 10}, {closed, 1000}}, []int{0}},
		"nothing is known of any set": {[]candidate{{closed, -1}, {closed, -1}}, []int{0, 1}},
	} {
		var got []int
		for draw := range uint64(20) {
			got = append(got, choose(c.all, draw))
		}
		slices.Sort(got)
		require.Equal(t, c.best, slices.Compact(got), name)
	}
}

func TestDivide(t *testing.T) {
	for drives := 1; drives <= 1024; drives++ {
		sets, each, err := Divide(drives, 0)
		if err != nil {
			require.ErrorIs(t, err, ErrShape)
			require.Greater(t, drives, maxSetDrives)
			for d := 2; d <= maxSetDrives; d++ {
				require.NotZero(t, drives%d)
			}
			continue
		}
		require.Equal(t, drives, sets*each)
		require.LessOrEqual(t, each, maxSetDrives)
		for d := each + 1; d <= maxSetDrives; d++ {
			require.NotZero(t, drives%d, "%d would be larger", d)
		}
	}
	_, _, err := Divide(17, 0)
	require.ErrorContains(t, err, "16 or 18 can, into sets of 16 or 9")
	_, _, err = Divide(10, 4)
	require.ErrorContains(t, err, "8 or 12 would")
	for _, c := range [][2]int{{0, 0}, {4, -1}, {34, 17}} {
		_, _, err := Divide(c[0], c[1])
		require.ErrorIs(t, err, ErrShape)
	}
}

// place is a drive "set.slot" of sets of two, or "-" for an empty place.
func place(name string) seen {
	s := seen{Place: driveset.Place{Path: name}, blank: true}
	var set, slot int
	if n, _ := fmt.Sscanf(name, "%d.%d", &set, &slot); n == 2 {
		s.known, s.blank = true, false
		s.id = layout.Identity{Deployment: layout.DeploymentID{1}, Set: set, Slot: slot, Drives: 2}
	}
	return s
}

func TestPlacesFindTheirSets(t *testing.T) {
	three := &shape{3, 2}
	for name, c := range map[string]struct {
		list   []string
		wanted *shape
		sets   [][]string
		fails  bool
	}{
		"new":                   {[]string{"-a", "-b", "-c", "-d"}, nil, [][]string{{"-a", "-b"}, {"-c", "-d"}}, false},
		"in order":              {[]string{"0.0", "0.1", "1.0", "1.1"}, nil, [][]string{{"0.0", "0.1"}, {"1.0", "1.1"}}, false},
		"in any order":          {[]string{"1.1", "0.1", "0.0", "1.0"}, nil, [][]string{{"0.1", "0.0"}, {"1.1", "1.0"}}, false},
		"one empty":             {[]string{"1.1", "0.1", "0.0", "-"}, nil, [][]string{{"0.1", "0.0"}, {"1.1", "-"}}, false},
		"empty where it was":    {[]string{"0.0", "-a", "1.0", "-b"}, nil, [][]string{{"0.0", "-a"}, {"1.0", "-b"}}, false},
		"empty in a full set":   {[]string{"-", "1.1", "1.0", "0.0"}, nil, [][]string{{"0.0", "-"}, {"1.1", "1.0"}}, false},
		"a set all empty":       {[]string{"-a", "-b", "1.0", "1.1"}, nil, [][]string{{"-a", "-b"}, {"1.0", "1.1"}}, false},
		"fewer places":          {[]string{"1.0", "0.0"}, nil, [][]string{{"0.0"}, {"1.0"}}, false},
		"a set not given":       {[]string{"0.0", "0.1", "2.0", "2.1"}, three, [][]string{{"0.0", "0.1"}, {}, {"2.0", "2.1"}}, false},
		"more sets than known":  {[]string{"0.0", "0.1", "3.0"}, three, nil, true},
		"more drives than fit":  {[]string{"0.0", "0.1", "0.1", "1.0"}, nil, nil, true},
		"more places than fit":  {[]string{"0.0", "0.1", "-a", "-b", "-c", "-d", "-e"}, three, nil, true},
		"sets of another size":  {[]string{"0.0", "0.1"}, &shape{1, 3}, nil, true},
		"no sets of equal size": {slices.Repeat([]string{"-"}, 17), nil, nil, true},
	} {
		list := make([]seen, len(c.list))
		for i, p := range c.list {
			list[i] = place(p)
		}
		setDrives := 2
		if name == "no sets of equal size" {
			setDrives = 0
		}
		p, err := arrange(list, setDrives, c.wanted)
		if c.fails {
			require.Error(t, err, name)
			continue
		}
		require.NoError(t, err, name)
		got := make([][]string, len(p.sets))
		for i, set := range p.sets {
			got[i] = []string{}
			for _, s := range set {
				got[i] = append(got[i], s.Path)
			}
		}
		require.Equal(t, c.sets, got, name)
	}
}

func TestDrivesThatDoNotBelongTogether(t *testing.T) {
	for name, change := range map[string]func(*layout.Identity){
		"deployment": func(id *layout.Identity) { id.Deployment[0]++ },
		"pool":       func(id *layout.Identity) { id.Pool++ },
		"size":       func(id *layout.Identity) { id.Drives++ },
	} {
		list := []seen{place("0.0"), place("0.1"), place("1.0")}
		change(&list[2].id)
		_, err := arrange(list, 0, nil)
		require.ErrorIs(t, err, driveset.ErrMixed, name)
		require.ErrorContains(t, err, "1.0", name)
	}
}

func TestRecordsOfPoolsThatAreNotUnderstood(t *testing.T) {
	shapes, err := decodeShapes([]byte(`{"pools":[{"sets":2,"drives":16},{"sets":1,"drives":4}]}`))
	require.NoError(t, err)
	require.Equal(t, []shape{{2, 16}, {1, 4}}, shapes)
	for _, bad := range []string{``, `{}`, `[]`, `{"pools":[]}`, `{"pools":[{"sets":0,"drives":4}]}`, `{"pools":[{"sets":1,"drives":17}]}`,
		`{"pools":[{"sets":1,"drives":4,"weight":2}]}`, `{"pools":[{"sets":1,"drives":4}],"more":1}`} {
		_, err := decodeShapes([]byte(bad))
		require.Error(t, err, bad)
	}
}

// listCursor is a cursor over slots that ascend.
type listCursor struct {
	slots []layout.Slot
	at    int // −1: before the first
	fails int // the step that fails; 0: none
	steps int
}

func (c *listCursor) stand(at int) bool {
	c.at = at
	c.steps++
	return c.at < len(c.slots) && c.Err() == nil
}

func (c *listCursor) Next() bool { return c.stand(c.at + 1) }

func (c *listCursor) NextKey() bool {
	at, group := c.at, layout.HistoryPrefix(c.slots[c.at])
	for at < len(c.slots) && bytes.Equal(layout.HistoryPrefix(c.slots[at]), group) {
		at++
	}
	return c.stand(at)
}

func (c *listCursor) Seek(slot layout.Slot) bool {
	at, _ := slices.BinarySearchFunc(c.slots, slot, layout.Slot.Compare)
	return c.stand(at)
}

func (c *listCursor) Item() layout.Item { return layout.Item{Slot: c.slots[c.at]} }

func (c *listCursor) Err() error {
	if c.fails > 0 && c.steps >= c.fails {
		return driveset.ErrExpired
	}
	return nil
}

func (c *listCursor) Close() error { return nil }

// A merge gives what sorting gives, of keys that live in one set each; of a key
// that was in two of them it gives the versions of one. Mutants that this kills:
// a merge without the skip of keys seen elsewhere; one that begins each key anew
// after Seek; NextKey of the least cursor only.
func TestMergeIsSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 500 {
		sets := 2 + random.IntN(4)
		cursors := make([]layout.Cursor, sets)
		lists := make([][]layout.Slot, sets)
		all := map[string][]layout.Slot{}
		for k := range random.IntN(12) {
			key := strconv.Itoa(k)
			homes := []int{random.IntN(sets)}
			if random.IntN(4) == 0 {
				homes = append(homes, (homes[0]+1)%sets)
			}
			for _, home := range homes {
				var versions []layout.Slot
				for range 1 + random.IntN(3) {
					versions = append(versions, layout.VersionSlot(1, key, layout.Position(1+random.IntN(1000))))
				}
				slices.SortFunc(versions, layout.Slot.Compare)
				versions = slices.CompactFunc(versions, func(a, b layout.Slot) bool { return a.Compare(b) == 0 })
				lists[home] = append(lists[home], versions...)
				if have := all[key]; have == nil || versions[0].Compare(have[0]) < 0 || versions[0].Compare(have[0]) == 0 && home < homes[0] {
					all[key] = versions
				}
			}
		}
		var want, first []layout.Slot
		for _, key := range slices.Sorted(mapKeys(all)) {
			want, first = append(want, all[key]...), append(first, all[key][0])
		}
		for i := range lists {
			slices.SortFunc(lists[i], layout.Slot.Compare)
		}
		fresh := func() layout.Cursor {
			for i := range lists {
				cursors[i] = &listCursor{slots: lists[i], at: -1}
			}
			return Merge(slices.Clone(cursors))
		}
		m := fresh()
		require.Equal(t, want, walk(m, m.Next), "round %d", round)
		m = fresh()
		require.Equal(t, first, walk(m, m.NextKey), "round %d", round)
		if len(want) == 0 {
			continue
		}
		from := random.IntN(len(first))
		at := slices.IndexFunc(want, func(s layout.Slot) bool { return s.Compare(first[from]) == 0 })
		m = fresh()
		require.True(t, m.Seek(layout.LatestSlot(1, keyOf(t, first[from]))))
		require.Equal(t, want[at:], append([]layout.Slot{m.Item().Slot}, walk(m, m.Next)...))
		m = fresh()
		require.True(t, m.Next())
		require.True(t, m.Seek(m.Item().Slot), "where it stands")
		require.Equal(t, want, append([]layout.Slot{m.Item().Slot}, walk(m, m.Next)...))
	}
}

func mapKeys(all map[string][]layout.Slot) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range all {
			if !yield(key) {
				return
			}
		}
	}
}

func keyOf(t *testing.T, slot layout.Slot) string {
	_, key, _, err := layout.ParseVersionSlot(slot)
	require.NoError(t, err)
	return key
}

func walk(c layout.Cursor, step func() bool) (out []layout.Slot) {
	for step() {
		out = append(out, c.Item().Slot)
	}
	return out
}

func TestAMergeEndsWhereOneOfItsCursorsFails(t *testing.T) {
	one := &listCursor{slots: []layout.Slot{layout.VersionSlot(1, "a", 1), layout.VersionSlot(1, "c", 1)}, at: -1}
	two := &listCursor{slots: []layout.Slot{layout.VersionSlot(1, "b", 1), layout.VersionSlot(1, "d", 1)}, at: -1, fails: 2}
	m := Merge([]layout.Cursor{one, two})
	require.Len(t, walk(m, m.Next), 2, "a and b; behind b nobody knows what comes")
	require.ErrorIs(t, m.Err(), driveset.ErrExpired)
	require.False(t, m.Next())
	require.False(t, m.Seek(nil))
	require.NoError(t, m.Close())
}
