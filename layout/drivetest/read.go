package drivetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/layout"
)

// fact is what an entry wrote at a slot.
type fact struct {
	slot  string
	kind  layout.Kind
	value string
}

// model is the log as a list of facts by position; reading is a scan of it.
type model struct {
	facts  [][]fact // facts[i] of position i+1
	aborts []layout.Position
}

func (m *model) read(slot string, at layout.Position) (value string, p layout.Position, ok bool) {
	var voided layout.Position
	for p := min(at, layout.Position(len(m.facts))); p > 0; p-- {
		for _, f := range m.facts[p-1] {
			switch {
			case f.slot != slot || p == voided:
			case f.kind == layout.KindVoid:
				voided = m.aborts[p-1]
			case f.kind == layout.KindTombstone:
				return "", 0, false
			default:
				return f.value, p, true
			}
		}
	}
	return "", 0, false
}

// agreesWithModel runs random entries, aborts, undos, removals and restarts,
// and reads every slot at every position that may still be read.
func agreesWithModel(r *rig) {
	for seed := range uint64(4) {
		r.Logf("seed %d", seed)
		w := &walk{rig: r, rng: rand.New(rand.NewPCG(seed, 1)), m: &model{}}
		for range 120 {
			w.step()
		}
		w.compare()
		if r.last().Position > 0 {
			r.settle()
		}
		w.floor = r.last().Position
		w.compare()
		r.apply(layout.Batch{Copy: &layout.Copy{Begin: &layout.Mark{}}})
		r.apply(layout.Batch{Copy: &layout.Copy{End: true}}) // an empty index for the next seed
		r.log = nil
	}
}

type walk struct {
	*rig
	rng   *rand.Rand
	m     *model
	floor layout.Position // below, removal may have been
}

func (w *walk) slots() []layout.Slot {
	var out []layout.Slot
	for _, key := range []string{"", "a", "a\x00", "a\x00\xff", "b"} {
		for v := range layout.Position(3) {
			out = append(out, version(key, v+1))
		}
	}
	return append(out, layout.DocumentSlot(1, ""), layout.DocumentSlot(1, "x"), layout.NameSlot("n"), layout.AliasSlot(1, "a", "null"),
		layout.PartSlot(layout.UploadID{Epoch: 1, Position: 2}, 9))
}

func (w *walk) step() {
	last := w.last().Position
	switch n := w.rng.IntN(20); {
	case n < 12:
		w.write()
	case n < 14 && last > w.holding().Stable.Position && w.m.aborts[last-1] == 0:
		e := w.log[last-1]
		w.abort(e)
		var facts []fact
		for _, x := range e.Writes {
			facts = append(facts, fact{slot: string(x.Slot), kind: layout.KindVoid})
		}
		w.m.facts, w.m.aborts = append(w.m.facts, facts), append(w.m.aborts, last)
	case n < 15 && last > 0:
		m := w.last()
		w.apply(layout.Batch{Stable: &m})
	case n < 17:
		stable := w.holding().Stable.Position
		to := stable + layout.Position(w.rng.Uint64N(uint64(last-stable)+1))
		w.apply(layout.Batch{Undo: &layout.Undo{From: w.last(), To: to}})
		w.m.facts, w.m.aborts = w.m.facts[:to], w.m.aborts[:to]
	case n < 18:
		upto := layout.Position(w.rng.Uint64N(uint64(w.holding().Stable.Position) + 1))
		w.remove(upto)
		w.floor = max(w.floor, upto)
	case n < 19:
		w.compare()
	default:
		w.reopen()
	}
}

func (w *walk) write() {
	slots := w.slots()
	var writes []layout.Write
	var facts []fact
	for _, i := range w.rng.Perm(len(slots))[:1+w.rng.IntN(4)] {
		slot, value := slots[i], fmt.Sprint(w.rng.Uint32())
		x := record(slot, value)
		if w.rng.IntN(3) == 0 && slot.Type() != layout.TypePart {
			x, value = tombstone(slot), ""
		}
		writes = append(writes, x)
		facts = append(facts, fact{string(slot), x.Kind, value})
	}
	w.commit(writes...)
	w.m.facts, w.m.aborts = append(w.m.facts, facts), append(w.m.aborts, 0)
}

func (w *walk) compare() {
	rd := w.reader()
	slots := w.slots()
	slices.SortFunc(slots, layout.Slot.Compare)
	for _, at := range []layout.Position{w.floor, w.floor + 1, (w.floor + w.last().Position) / 2, w.last().Position, layout.MaxPosition} {
		if at < w.floor {
			continue
		}
		var live []layout.Item
		for _, slot := range slots {
			value, p, ok := w.m.read(string(slot), at)
			it, found, err := rd.Get(slot, at)
			require.NoError(w, err)
			require.Equal(w, ok, found, "%x at %d", []byte(slot), at)
			if ok {
				require.Equal(w, value, string(it.Value))
				require.Equal(w, p, it.Position)
				live = append(live, it)
			}
		}
		w.compareWalks(rd, live, at)
	}
	require.NoError(w, rd.Close())
}

func (w *walk) compareWalks(rd layout.Reader, live []layout.Item, at layout.Position) {
	var got []layout.Item
	for _, t := range []byte{'b', 'd', 'e', 'i', 'n', 'o', 'p', 'u', 'v'} {
		lo, hi := layout.TypeRange(t)
		c, err := rd.Cursor(lo, hi, at)
		require.NoError(w, err)
		for c.Next() {
			it := c.Item()
			got = append(got, layout.Item{Slot: slices.Clone(it.Slot), Position: it.Position, Value: slices.Clone(it.Value)})
		}
		require.NoError(w, c.Err())
		require.NoError(w, c.Close())
	}
	require.Equal(w, live, got, "at %d", at)

	newest := map[string]layout.Item{}
	for _, it := range live {
		if _, key, _, err := layout.ParseVersionSlot(it.Slot); err == nil {
			if _, ok := newest[key]; !ok {
				newest[key] = it
			}
		}
	}
	for _, key := range []string{"", "a", "a\x00", "a\x00\xff", "b", "c"} {
		it, ok, err := rd.Latest(1, key, at)
		require.NoError(w, err)
		want, exists := newest[key]
		require.Equal(w, exists, ok, "%q at %d", key, at)
		require.Equal(w, want, it)
	}
}

var strange = []string{
	"", "\x00", "\x00\x00", "\x00\xff", "\x00\x01", "\x01", "\x08", "\x09", "\x11", "\xff", "\xff\xff", "\xff\x00", "a", "a\x00", "a\x00\x00", "a\x00b", "a\x01", "a\x09",
	"a/", "a/b", "a/b\x11", "a//", "..", "/", "é", "e\u0301", "A", "zzzzzzzzzzzzzzzzz", string(bytes.Repeat([]byte{0}, 1024)), string(bytes.Repeat([]byte{0xff}, 1024)),
}

func anyBytes(r *rig) {
	var writes []layout.Write
	for _, key := range strange {
		for v := range layout.Position(2) {
			writes = append(writes, record(version(key, v+1), fmt.Sprintf("%q %d", key, v+1)))
		}
		writes = append(writes, record(layout.AliasSlot(1, key, key), key), record(layout.NameSlot(key), key))
	}
	r.commit(writes...)
	r.commit(record(layout.VersionSlot(2, "", 2), "next bucket"), record(layout.VersionSlot(0, "\xff", 2), "bucket before"))
	sorted := slices.Clone(strange)
	slices.Sort(sorted)
	rd := r.reader()
	keys := func(lo, hi layout.Slot) (out []string) {
		c, err := rd.Cursor(lo, hi, layout.MaxPosition)
		require.NoError(r, err)
		for ok := c.Next(); ok; ok = c.NextKey() {
			_, key, v, err := layout.ParseVersionSlot(c.Item().Slot)
			require.NoError(r, err)
			require.EqualValues(r, 2, v, "the newest first")
			out = append(out, key)
		}
		require.NoError(r, c.Err())
		require.NoError(r, c.Close())
		return out
	}
	require.Equal(r, sorted, keys(layout.KeyRange(1, "")))
	for _, key := range strange {
		it, ok, err := rd.Latest(1, key, layout.MaxPosition)
		require.NoError(r, err)
		require.True(r, ok)
		require.Equal(r, fmt.Sprintf("%q 2", key), string(it.Value))
		r.has(layout.AliasSlot(1, key, key), key)

		from := slices.DeleteFunc(slices.Clone(sorted), func(k string) bool { return k < key })
		require.Equal(r, from, keys(layout.KeyRange(1, key)), "from %q", key)
		begin := slices.DeleteFunc(slices.Clone(sorted), func(k string) bool { return !bytes.HasPrefix([]byte(k), []byte(key)) })
		require.Equal(r, begin, keys(layout.PrefixRange(1, key)), "prefix %q", key)
		_, hi := layout.KeyRange(1, "")
		after := slices.DeleteFunc(slices.Clone(sorted), func(k string) bool { return k <= key })
		require.Equal(r, after, append([]string{}, keys(layout.AfterKeySlot(1, key), hi)...), "after %q", key)
		beyond := slices.DeleteFunc(slices.Clone(from), func(k string) bool { return bytes.HasPrefix([]byte(k), []byte(key)) })
		require.Equal(r, beyond, append([]string{}, keys(layout.AfterPrefixSlot(1, key), hi)...), "after prefix %q", key)
	}
	require.NoError(r, rd.Close())
}

func cursors(r *rig) {
	var writes []layout.Write
	for v := range layout.Position(50) {
		writes = append(writes, record(version("many", v+1), fmt.Sprint(v+1)))
	}
	r.commit(append(writes, record(version("next", 1), "n"), record(version("a", 1), "a"))...)
	rd := r.reader()
	lo, hi := layout.KeyRange(1, "")
	c, err := rd.Cursor(lo, hi, layout.MaxPosition)
	require.NoError(r, err)
	at := func(want string) {
		r.Helper()
		require.Equal(r, want, string(c.Item().Value))
	}
	require.True(r, c.Seek(version("many", 7)))
	at("7")
	require.True(r, c.Next())
	at("6")
	require.True(r, c.Seek(version("many", 49)), "backwards")
	at("49")
	require.True(r, c.NextKey())
	at("n")
	require.False(r, c.NextKey())
	require.True(r, c.Seek(layout.AfterVersionSlot(1, "many", 20)))
	at("19")
	require.True(r, c.Seek(layout.AfterVersionSlot(1, "many", 1)))
	at("n")
	require.True(r, c.Seek(lo))
	at("a")
	require.False(r, c.Seek(layout.AfterKeySlot(1, "next")))
	require.NoError(r, c.Err())
	require.NoError(r, c.Close())
	require.NoError(r, c.Close())
	require.False(r, c.Next())
	c, err = rd.Cursor(version("many", 10), version("many", 8), layout.MaxPosition)
	require.NoError(r, err)
	require.True(r, c.NextKey(), "before the first, it goes to the first")
	at("10")
	require.True(r, c.Next())
	at("9")
	require.False(r, c.Next(), "the end is not in the range")
	require.NoError(r, c.Close())
	require.NoError(r, rd.Close())
	_, _, err = rd.Get(version("a", 1), 1)
	require.ErrorIs(r, err, layout.ErrClosed)
}

func inline(r *rig) {
	d, lost, others := r.data(), r.data(), r.data()
	a := []layout.Add{addOf(d, true), addOf(lost, true), addOf(others, true)}
	a[1].Shards[self] = nil
	a[2].Drives, a[2].Shards = []layout.DriveID{fleet()[0], fleet()[2], fleet()[3]}, a[2].Shards[:3]
	writes := []layout.Write{record(version("k", 1), "r")}
	for _, x := range a {
		writes = append(writes, layout.Write{Slot: layout.InlineSlot(x.Data), Kind: layout.KindRecord})
	}
	e := r.add(a, writes...)
	r.has(layout.InlineSlot(d), string(a[0].Shards[self]))
	r.hasNot(layout.InlineSlot(lost))
	r.hasNot(layout.InlineSlot(others))
	got, err := r.d.Log(r.Context(), 1, 1)
	require.NoError(r, err)
	require.Len(r, got[0].Writes, 4, "listed all the same")
	require.NoError(r, e.VerifyDigest())
	for i := range a {
		a[i].Shards = nil
	}
	require.Equal(r, a, got[0].Adds)
	r.abort(e)
	r.hasNot(layout.InlineSlot(d))
	r.apply(layout.Batch{Undo: &layout.Undo{From: r.last(), To: 0}})
	require.False(r, r.raw(layout.InlineSlot(d), 1))
}
