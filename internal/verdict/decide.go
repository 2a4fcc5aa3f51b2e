// Package verdict decides how a set of drives may be opened, from nothing but
// what the drives said: which drives count, which state is in force, where the
// log ends, who is in-sync from now on, and whether the set may write. It does no
// I/O, so that every rule can be tested as a picture of drives on a shelf.
package verdict

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// Witness is what one drive told after it gave its promise. Decide sees
// nothing but witnesses: it does no I/O and can be tested as pictures of
// drives on a shelf.
type Witness struct {
	Slot    int
	ID      layout.DriveID
	State   layout.State
	Seal    layout.Seal
	Stable  layout.Position
	Rebuild bool
	End     layout.Position // of its log
	Log     []Logged        // its entries from some position on, up to end
}

// Logged is one log entry as a Witness tells it.
type Logged struct {
	Position layout.Position
	Epoch    uint64
	Chain    layout.Chain
	Aborts   layout.Position
	Adds     []Held
}

// Held says of some bytes that an entry added how many shards they need, and
// which drives were found to hold one.
type Held struct {
	Need int
	Good quorum.Drives
}

// Verdict says how a set may be opened.
type Verdict struct {
	State    layout.State  // in force
	Promised quorum.Drives // F: the drives that count
	Replaced quorum.Drives // promised, but no longer drives of this set: left as they are
	Damaged  quorum.Drives // in-sync by the state, but their logs are not what it says
	Agreed   quorum.Drives // A: the drives whose logs are the set's
	InSync   quorum.Drives // the new in-sync set; meaningless when ReadOnly
	Behind   quorum.Drives // of InSync, those to be brought up to date before any drive gets the new state
	Fresh    quorum.Drives // of Behind, drives that were empty and take the slots of drives that are gone for ever
	Source   int           // slot of a drive of A with the longest log
	Top      layout.Position
	End      layout.Position // where the log ends once settled; up to Top is undone
	Stable   layout.Position // V*
	ReadOnly bool
	Why      string // of ReadOnly
}

// ErrTooFew: too few drives can be counted on, even for reading.
var ErrTooFew = errors.New("too few drives")

// Decide applies section 3 of the protocol, steps 3 to 8, to what the drives
// of a set of n said. gone are the drives that will never come back, by the
// operator's word.
func Decide(n int, said []Witness, gone ...layout.DriveID) (Verdict, error) {
	d := newDecision(n, said)
	if err := d.force(); err != nil {
		return Verdict{}, err
	}
	d.void()
	d.compare()
	if d.Agreed == 0 {
		return Verdict{}, fmt.Errorf("%w: no drive has the log that the set's state speaks of", ErrTooFew)
	}
	if err := d.longest(); err != nil {
		return Verdict{}, err
	}
	d.members(gone)
	if !d.ReadOnly {
		d.walk()
	}
	return d.Verdict, nil
}

// Stable is V*: the highest stable mark of the drives that count. It does not
// look at logs, and is 0 where Decide would refuse.
func Stable(n int, said []Witness) layout.Position {
	d := newDecision(n, said)
	if err := d.force(); err != nil {
		return 0
	}
	d.void()
	return d.Stable
}

// decision is a verdict in the making.
type decision struct {
	Verdict
	n   int
	by  map[int]*Witness
	eff [16]layout.Position // end of each drive's effective log
}

func newDecision(n int, said []Witness) *decision {
	d := &decision{n: n, by: map[int]*Witness{}}
	for i := range said {
		d.by[said[i].Slot] = &said[i]
	}
	return d
}

// force finds the drives that count and the state in force.
func (d *decision) force() error {
	for slot, w := range d.by {
		if !w.Rebuild && inState(w.State, w.ID) {
			d.Promised |= quorum.One(slot)
		}
	}
	if err := d.enough(); err != nil {
		return err
	}
	for slot := range d.Promised.All() {
		if s := d.by[slot].State; d.State.Names == nil || s.Compare(d.State) > 0 {
			d.State = s
		}
	}
	for slot := range d.Promised.All() {
		if slot >= len(d.State.Names) || d.State.Names[slot].Drive != d.by[slot].ID {
			d.Replaced |= quorum.One(slot)
		}
	}
	d.Promised &^= d.Replaced
	return d.enough()
}

func (d *decision) enough() error {
	if got, want := d.Promised.Count(), quorum.Read(d.n); got < want {
		return fmt.Errorf("%w: %d of %d can be counted on, %d are needed to read", ErrTooFew, got, d.n, want)
	}
	return nil
}

func inState(s layout.State, id layout.DriveID) bool {
	for _, in := range s.InSync {
		if in == id {
			return true
		}
	}
	return false
}

// void finds the end of each effective log: before the first entry that a
// newer owner found not to be there. Seals older than the state in force do
// not count.
func (d *decision) void() {
	for slot := range d.Promised.All() {
		w := d.by[slot]
		d.Stable = max(d.Stable, w.Stable)
		if !inState(d.State, w.ID) {
			continue
		}
		d.Agreed |= quorum.One(slot)
		d.eff[slot] = w.End
		for _, e := range w.Log {
			if e.Position > w.Stable && d.sealed(e) {
				d.eff[slot] = e.Position - 1
				break
			}
		}
	}
}

func (d *decision) sealed(e Logged) bool {
	for slot := range d.Promised.All() {
		s := d.by[slot].Seal
		if s.Epoch > 0 && s.Epoch >= d.State.Owner.Epoch && s.Epoch > e.Epoch && e.Position > s.Position {
			return true
		}
	}
	return false
}

// compare takes the damaged drives out of A: a log that ends below V*; of two
// that differ, the one whose entry there is of the older owner; and one that
// differs from the longest log of those that hold the state in force.
func (d *decision) compare() {
	for slot := range d.Agreed.All() {
		if d.eff[slot] < d.Stable {
			d.damage(slot)
		}
	}
	for a := range d.Agreed.All() {
		for b := range d.Agreed.All() {
			if a < b && d.Agreed.Has(a) && d.Agreed.Has(b) {
				if x, y := d.differ(a, b); x != nil {
					if x.Epoch < y.Epoch {
						d.damage(a)
					} else if y.Epoch < x.Epoch {
						d.damage(b)
					}
				}
			}
		}
	}
	holder := -1
	for slot := range d.Agreed.All() {
		if d.by[slot].State.Compare(d.State) == 0 && (holder < 0 || d.eff[slot] > d.eff[holder]) {
			holder = slot
		}
	}
	for slot := range d.Agreed.All() {
		if holder >= 0 && d.by[slot].State.Compare(d.State) != 0 {
			if x, _ := d.differ(slot, holder); x != nil {
				d.damage(slot)
			}
		}
	}
}

func (d *decision) damage(slot int) {
	d.Agreed &^= quorum.One(slot)
	d.Damaged |= quorum.One(slot)
}

// differ gives the first entries at which two effective logs differ, nil when
// they agree as far as both go.
func (d *decision) differ(a, b int) (x, y *Logged) {
	wa, wb := d.by[a], d.by[b]
	if len(wa.Log) == 0 || len(wb.Log) == 0 {
		return nil, nil
	}
	from := max(wa.Log[0].Position, wb.Log[0].Position)
	to := min(d.eff[a], d.eff[b])
	if to < from || wa.at(to).Chain == wb.at(to).Chain {
		return nil, nil
	}
	for p := from; p <= to; p++ {
		if x, y := wa.at(p), wb.at(p); x.Chain != y.Chain {
			return x, y
		}
	}
	return nil, nil
}

// longest finds L, and asserts that the rest of A agrees with it.
func (d *decision) longest() error {
	d.Source = d.Agreed.First()
	for slot := range d.Agreed.All() {
		if d.eff[slot] > d.eff[d.Source] {
			d.Source = slot
		}
	}
	d.Top = d.eff[d.Source]
	d.End = d.Top
	if w := d.by[d.Source]; d.Top > d.Stable && (len(w.Log) == 0 || w.Log[0].Position > d.Stable+1) {
		return fmt.Errorf("the log of in-sync drive %d does not reach back to position %d", d.Source, d.Stable+1)
	}
	for slot := range d.Agreed.All() {
		if x, _ := d.differ(slot, d.Source); x != nil {
			return fmt.Errorf("logs of in-sync drives %d and %d differ at position %d within one epoch", slot, d.Source, x.Position)
		}
	}
	return nil
}

// members chooses the new in-sync set.
func (d *decision) members(gone []layout.DriveID) {
	q := quorum.Write(d.n)
	switch {
	case d.Agreed.Count() >= q:
		d.InSync = d.Agreed
	case d.Promised.Count() >= q:
		d.InSync = d.Promised
		d.Behind = d.Promised &^ d.Agreed
	case d.replace(gone):
		d.InSync = d.Promised | d.Fresh
		d.Behind = d.InSync &^ d.Agreed
	default:
		d.ReadOnly = true
		d.Why = fmt.Sprintf("%d of %d drives are in-sync, %d are needed to write", d.Agreed.Count(), d.n, q)
	}
}

// replace finds the drives that were empty and stand in for those that are gone
// for ever: one for every slot outside F, or none. To take in some of them only
// would make a majority, while a drive may still come back that knows more.
func (d *decision) replace(gone []layout.DriveID) bool {
	if len(gone) == 0 {
		return false
	}
	fresh := quorum.Drives(0)
	for slot := range d.n {
		if d.Promised.Has(slot) {
			continue
		}
		w := d.by[slot]
		if w == nil || w.Rebuild || Counted(w.State, w.ID) || !Succeeds(d.State, slot, w.ID, gone) {
			return false
		}
		fresh |= quorum.One(slot)
	}
	d.Fresh = fresh
	return true
}

// Counted tells whether a drive that holds a state has ever counted: whether
// that state has it in-sync.
func Counted(held layout.State, id layout.DriveID) bool { return inState(held, id) }

// Succeeds tells whether a drive that never counted may take a slot while too few
// drives are there to decide on it: the state in force names the one that is gone
// for ever; or it names the newcomer already, which was decided when there were
// enough, unless it was to be in-sync at once, which only the same word allows.
func Succeeds(in layout.State, slot int, id layout.DriveID, gone []layout.DriveID) bool {
	name := in.Names[slot]
	switch {
	case name.Drive != id:
		return slices.Contains(gone, name.Drive) && !slices.Contains(name.Past, id)
	case !inState(in, id):
		return true
	}
	return len(name.Past) > 0 && slices.Contains(gone, name.Past[len(name.Past)-1])
}

// walk decides how much of L above V* is kept.
func (d *decision) walk() {
	for p := d.Stable + 1; p <= d.Top; p++ {
		if d.kept(p) {
			continue
		}
		for slot := range d.Agreed.All() {
			if d.eff[slot] < p {
				d.End = p - 1 // it was never acknowledged, nor was anything after it
				return
			}
		}
		d.ReadOnly = true
		d.Why = fmt.Sprintf("entry %d may have been acknowledged and its shards are out of reach", p)
		return
	}
}

// kept: an entry's bytes can be put together, or it has none, or it is aborted
// by an entry that is kept.
func (d *decision) kept(p layout.Position) bool {
	if d.rebuildable(p) {
		return true
	}
	abort := d.abortOf(p)
	return abort > 0 && d.keptUpTo(p, abort)
}

// keptUpTo: everything in [p, abort] can be put together or is aborted in turn.
func (d *decision) keptUpTo(p, abort layout.Position) bool {
	for q := p; q <= abort; q++ {
		if d.rebuildable(q) {
			continue
		}
		a := d.abortOf(q)
		if a == 0 || a > abort && !d.keptUpTo(abort+1, a) {
			return false
		}
	}
	return true
}

func (d *decision) rebuildable(p layout.Position) bool {
	for _, h := range d.by[d.Source].at(p).Adds {
		if (h.Good & d.Promised).Count() < h.Need {
			return false
		}
	}
	return true
}

func (d *decision) abortOf(p layout.Position) layout.Position {
	for q := p + 1; q <= d.Top; q++ {
		if d.by[d.Source].at(q).Aborts == p {
			return q
		}
	}
	return 0
}

// at gives the entry at a position that the Witness has told of.
func (w *Witness) at(p layout.Position) *Logged {
	return &w.Log[p-w.Log[0].Position]
}
