package heal

import (
	"cmp"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/layout"
)

// Margin is how far objects are from harm: how many more drives each may lose and
// still be read. A copy by reference counts as an object, and so does each part of
// what was completed from parts.
type Margin struct {
	Known   bool          // objects were counted
	Counted time.Time     // when all were last counted; what was written since is in it, what was deleted is too
	Objects []MarginCount // ascending
}

// MarginCount is so many objects that survive the loss of so many more drives;
// −1: they can not be read with the drives that are in reach.
type MarginCount struct {
	Losses  int
	Objects uint64
}

// class is what objects that were laid out alike have in common: the drives, by
// their ids' bytes, and the parity, which is the last byte.
type class string

const idBytes = len(layout.DriveID{})

// appendClass is the form of a class in bytes: one that is known is looked up
// without taking memory.
func appendClass(b []byte, drives []layout.DriveID, parity uint8) []byte {
	for i := range drives {
		b = append(b, drives[i][:]...)
	}
	return append(b, parity)
}

func (k class) shards() int { return len(k) / idBytes }

func (k class) drive(shard int) layout.DriveID {
	return layout.DriveID([]byte(k[shard*idBytes:][:idBytes]))
}

// needed is how many shards must be there, k.
func (k class) needed() int { return k.shards() - int(k[len(k)-1]) }

// valid tells whether the bytes are those of a class.
func (k class) valid() bool {
	return len(k)%idBytes == 1 && k.shards() >= 1 && k.shards() <= layout.MaxDrives && k.needed() >= 1
}

// tally is what there is of a class.
type tally struct {
	Objects uint64 `json:"objects"`
	Bytes   uint64 `json:"bytes"` // of one shard of each
}

// classes is objects, counted.
type classes map[class]*tally

// classLimit bounds the classes that are told apart. There are as many as rotations
// of the drives, for each set of drives that was in-sync at some time.
const classLimit = 1 << 11

// merge adds one count to another.
func merge(to, from classes) {
	for k, t := range from {
		if have := to[k]; have != nil {
			have.Objects, have.Bytes = have.Objects+t.Objects, have.Bytes+t.Bytes
		} else {
			to[k] = &tally{t.Objects, t.Bytes}
		}
	}
}

// census counts objects by class, so that who is away can be reckoned in without
// counting again.
type census struct {
	mu      sync.Mutex // guards what follows; never locked across I/O
	known   bool
	stale   bool // an earlier process counted, and what it wrote afterwards is not in it
	counted time.Time
	classes classes
	since   classes     // written since a count began, which passed their place before; nil while none is under way
	at      layout.Slot // where that count is
	key     []byte
}

func (c *census) init() { c.classes = classes{} }

// add counts bytes. mu is held.
func (c *census) add(to classes, drives []layout.DriveID, parity uint8, shardBytes int64) {
	c.key = appendClass(c.key[:0], drives, parity)
	t := to[class(c.key)]
	if t == nil {
		if len(to) >= classLimit {
			return
		}
		t = &tally{}
		to[class(c.key)] = t
	}
	t.Objects++
	t.Bytes += uint64(max(0, shardBytes))
}

// Added tells of an entry that brought bytes. It is quick.
func (h *Healer) Added(e *layout.Entry) {
	if len(e.Adds) == 0 {
		return
	}
	var slot layout.Slot
	for i := range e.Writes {
		if t := e.Writes[i].Slot.Type(); t == layout.TypeVersion || t == layout.TypePart {
			slot = e.Writes[i].Slot
			break
		}
	}
	c := &h.census
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range e.Adds {
		a := &e.Adds[i]
		size := a.Size / int64(max(1, a.DataShards()))
		c.add(c.classes, a.Drives, a.Parity, size)
		if c.since != nil && slot.Compare(c.at) <= 0 {
			c.add(c.since, a.Drives, a.Parity, size)
		}
	}
}

// begin begins a count, behind a slot.
func (c *census) begin(behind layout.Slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.at = classes{}, behind
}

// end puts what was counted in the place of what was known, together with what was
// written since the count began.
func (c *census) end(counted classes, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	merge(counted, c.since)
	c.classes, c.since, c.at, c.known, c.stale, c.counted = counted, nil, nil, true, false, at
}

// Margin says how far objects are from harm, with the drives that are in reach now
// and what is known to be damaged. It does no I/O.
func (h *Healer) Margin() Margin {
	standing, counts := h.standing(), map[int]uint64{}
	m, all := h.census.objects()
	for k, n := range all {
		counts[max(-1, k.margin(standing, 0))] += n
	}
	for _, w := range h.queue.wounds() {
		k := class(appendClass(nil, w.place.Drives, w.place.Parity))
		was, is := max(-1, k.margin(standing, 0)), max(-1, k.margin(standing, w.bad))
		if was != is && counts[was] > 0 {
			counts[was]--
			counts[is]++
		}
	}
	for losses, n := range counts {
		if n > 0 {
			m.Objects = append(m.Objects, MarginCount{losses, n})
		}
	}
	slices.SortFunc(m.Objects, func(a, b MarginCount) int { return cmp.Compare(a.Losses, b.Losses) })
	return m
}

// objects gives how many there are of each class. Who is away is asked without the
// census's lock.
func (c *census) objects() (Margin, map[class]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[class]uint64, len(c.classes))
	for k, t := range c.classes {
		out[k] = t.Objects
	}
	return Margin{Known: c.known, Counted: c.counted}, out
}

// Narrow is how many objects are laid out over fewer than n drives, as far as they
// are counted.
func (h *Healer) Narrow(n int) (objects uint64) {
	h.census.mu.Lock()
	defer h.census.mu.Unlock()
	for k, t := range h.census.classes {
		if h.census.known && k.shards() < n {
			objects += t.Objects
		}
	}
	return objects
}

// standing tells, each drive once, whether the shards that were given to a drive
// can be read.
func (h *Healer) standing() func(layout.DriveID) bool {
	seen := map[layout.DriveID]bool{}
	return func(id layout.DriveID) bool {
		is, known := seen[id]
		if !known {
			holder := h.set.Holder(id)
			is = holder.Reach && !h.Lacks(id, holder.Drive)
			seen[id] = is
		}
		return is
	}
}

// margin is how many more losses a class survives, with some shards bad.
func (k class) margin(standing func(layout.DriveID) bool, bad uint32) int {
	have := uint32(0)
	for i := range k.shards() {
		if standing(k.drive(i)) {
			have |= 1 << i
		}
	}
	return bits.OnesCount32(have&^bad) - k.needed()
}

// wounds gives what is known to be damaged.
func (q *queue) wounds() []wound {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]wound, 0, len(q.known))
	for _, w := range q.known {
		out = append(out, w)
	}
	return out
}

// owed is how many objects have a shard with one of the drives, and how many bytes
// those are; zero while nothing was counted.
func (c *census) owed(past []layout.DriveID) (objects, bytes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return 0, 0
	}
	for k, t := range c.classes {
		for _, id := range past {
			if k.has(id) {
				objects, bytes = objects+t.Objects, bytes+t.Bytes
				break
			}
		}
	}
	return objects, bytes
}

func (k class) has(id layout.DriveID) bool {
	for i := range k.shards() {
		if k.drive(i) == id {
			return true
		}
	}
	return false
}

// classNote is a class in the document that the set keeps.
type classNote struct {
	Class []byte `json:"class"`
	tally
}

func noteOf(all classes) []classNote {
	out := make([]classNote, 0, len(all))
	for k, t := range all {
		out = append(out, classNote{[]byte(k), *t})
	}
	slices.SortFunc(out, func(a, b classNote) int { return slices.Compare(a.Class, b.Class) })
	return out
}

func classesOf(notes []classNote) classes {
	out := make(classes, len(notes))
	for _, n := range notes {
		if k := class(n.Class); k.valid() {
			out[k] = &tally{n.Objects, n.Bytes}
		}
	}
	return out
}
