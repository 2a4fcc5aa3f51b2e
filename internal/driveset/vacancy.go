package driveset

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// Places without a drive. An empty place is given to the slot of a drive that is not
// there. What keeps that safe:
//
//   - the new drive is named for the slot first, in a state of its own that changes
//     nothing else, and only when that is decided it is made, under an id that no
//     drive had before. So whoever opens the set next knows that the drive that was
//     there before counts no more, should it come back;
//   - it is never in-sync by the state that it is made with, and counts only once it
//     holds one that has it in-sync;
//   - while too few drives are there to decide anything, none is made, unless the
//     operator says of all that are missing that they are gone for ever: two halves
//     of a set could each do it.
var (
	errOperator  = errors.New("the operator's word is needed")
	errUnmounted = errors.New("its filesystem does not seem to be mounted")
)

// refusal: the place is in reach, and not what the set needs there.
func refusal(err error) bool {
	return errors.Is(err, errOperator) || errors.Is(err, errUnmounted) || errors.Is(err, errReplaced)
}

// newcomer is a drive that was named and is not made yet.
type newcomer struct {
	place *place
	id    layout.DriveID
}

// stuck: the set does not write.
func (s *Set) stuck() bool {
	t, err := s.serving()
	if err != nil {
		return true
	}
	return t.over()
}

// replaced: another drive was named for the slot of this one.
func (s *Set) replaced(id layout.Identity) bool {
	t, err := s.serving()
	return err == nil && id.Slot < t.n && slices.Contains(t.named()[id.Slot].Past, id.Drive)
}

// gone: the operator said that a drive will not come back.
func (s *Set) gone(id layout.DriveID) bool { return slices.Contains(s.opt.Replaced, id) }

// Knows tells whether a drive is the set's, or was.
func (s *Set) Knows(id layout.DriveID) bool {
	t, err := s.serving()
	return err == nil && slices.ContainsFunc(t.named(), func(n layout.Name) bool { return n.Drive == id || slices.Contains(n.Past, id) })
}

// occupy makes a drive of a place where there is none that can be opened, if that is
// allowed. Without an error there may be none yet: it is asked again. found is why
// what is there could not be opened.
func (s *Set) occupy(ctx context.Context, p *place, found error) error {
	t, err := s.serving()
	if err != nil {
		return errors.Join(found, err)
	}
	p.mu.Lock()
	claim := p.claim
	p.mu.Unlock()
	if claim == nil {
		return found // it could not even be looked at, or was given up
	}
	slot, err := s.vacancy(t, p, claim)
	if err != nil {
		return errors.Join(found, err)
	}
	if claim.Condition() == layout.Formatted { // its index can not be used; its shard files stay
		if !t.over() && !t.out(slot) {
			return nil
		}
		if err := claim.Quarantine(ctx, fmt.Sprint("the index was not usable: ", errors.Join(found, p.problem()))); err != nil {
			return err
		}
	}
	names, ok := t.named(), true
	var id layout.DriveID
	if t.over() {
		if _, err := rand.Read(id[:]); err != nil {
			return err
		}
		names = slices.Clone(names)
		names[slot] = succeed(names[slot], id, claim.Filesystem())
	} else if id, names, ok = t.appoint(p, slot, claim.Filesystem()); !ok {
		return nil
	}
	identity := layout.Identity{Format: layout.Format, Deployment: s.deployment, Pool: s.opt.Pool, Set: s.opt.Set, Slot: slot, Drives: s.n, Drive: id}
	if err := claim.Format(ctx, identity, layout.State{Names: names}); err != nil {
		return err
	}
	s.opt.Logger.Warn("sherd: made a new drive", "drive", p.Path, "slot", slot, "id", id.String(), "before", names[slot].Past[len(names[slot].Past)-1].String())
	t.mu.Lock()
	delete(t.fresh, slot)
	t.mu.Unlock()
	p.mu.Lock()
	p.useless = false
	p.mu.Unlock()
	return p.openDrive(ctx, s, claim)
}

// appoint names a new drive for a slot, and gives its id and all names once that is
// decided. The slot's drive has no part in the set.
func (t *tenure) appoint(p *place, slot int, filesystem string) (layout.DriveID, []layout.Name, bool) {
	if !t.out(slot) {
		return layout.DriveID{}, nil, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	names := t.named()
	if n, named := t.fresh[slot]; named && n.place == p && names[slot].Drive == n.id {
		return n.id, names, t.proposal == nil && t.stuck == nil
	}
	if t.proposal != nil || t.stuck != nil {
		return layout.DriveID{}, nil, false
	}
	n := newcomer{place: p}
	_, _ = rand.Read(n.id[:]) // never fails
	if t.fresh == nil {
		t.fresh = map[int]newcomer{}
	}
	t.fresh[slot] = n
	before := names[slot].Drive
	names = slices.Clone(names)
	names[slot] = succeed(names[slot], n.id, filesystem)
	t.names.Store(&names)
	t.propose(t.inSync)
	t.set.Notify(Notice{Kind: NoticeNamed, Drive: p.Path, Slot: slot, Text: fmt.Sprintf("drive %s takes the place of %s", n.id, before)})
	return layout.DriveID{}, nil, false
}

// vacancy says which slot a place without a drive is to have.
func (s *Set) vacancy(t *tenure, p *place, claim *layout.Claimed) (int, error) {
	names := t.named()
	slot := -1
	if id, ok := claim.Identity(); ok {
		// Where the one that came after it was named and then not made, it is its place
		// that is filled.
		slot = id.Slot
		past := slices.Index(names[slot].Past, id.Drive)
		again := claim.Condition() == layout.NoIndex && past == len(names[slot].Past)-1 && claim.Filesystem() == names[slot].Filesystem
		if past >= 0 && !again {
			return -1, errReplaced
		}
	} else {
		seats := s.seats()
		at := slices.Index(s.places, p)
		if slot = assign(names, seats, s.opt.Replaced)[at]; slot < 0 {
			return -1, fmt.Errorf("%w: the place is empty, and it is not known which drive it had; name the one that is gone for ever", errOperator)
		}
		if !s.gone(names[slot].Drive) {
			if err := s.unmounted(claim, names, slot); err != nil {
				return -1, fmt.Errorf("%w; if drive %s is gone for ever, say so", err, names[slot].Drive)
			}
		}
	}
	if t.over() {
		if word, err := s.word(t); !word.Has(slot) {
			return -1, err
		}
	}
	return slot, nil
}

// word gives the slots that newcomers may take while too few drives are there to
// decide on it: those of all drives that are missing, if the operator said of each
// of them that it is gone for ever, and each has a place to be filled. Otherwise
// the error says what is missing.
func (s *Set) word(t *tenure) (quorum.Drives, error) {
	names := t.named()
	t.mu.Lock()
	force := t.force
	t.mu.Unlock()
	force.Names = names
	there, vacant, whole := s.standing(t)
	var word quorum.Drives
	var missing []string
	lacking := false
	for slot, name := range names {
		id, ok := there[slot]
		if ok && id == name.Drive && !vacant.Has(slot) {
			continue
		}
		said := name.Drive.String()
		if ok && vacant.Has(slot) && verdict.Succeeds(force, slot, id, s.opt.Replaced) || !ok && vacant.Has(slot) && s.gone(name.Drive) {
			word |= quorum.One(slot)
			said += " (named, and has a place)"
		} else {
			lacking = true
		}
		if whole.Has(slot) {
			said += " (whose directory is to stay as it is, for the shard files in it)"
		}
		missing = append(missing, said)
	}
	if lacking {
		return 0, fmt.Errorf("%w: too few drives are there to decide that others take their places; "+
			"should all that are missing be gone for ever, name each of them, and give each an empty place: %s", errOperator, strings.Join(missing, ", "))
	}
	return word, nil
}

// standing gives the drives that are open, by slot; and the slots that have a drive
// that never counted, or none but a place that could be filled; and which of these hold
// the shard files of a drive whose index can not be used.
func (s *Set) standing(t *tenure) (there map[int]layout.DriveID, vacant, whole quorum.Drives) {
	names := t.named()
	there = map[int]layout.DriveID{}
	seats := s.seats()
	assigned := assign(names, seats, s.opt.Replaced)
	for i, p := range s.places {
		p.mu.Lock()
		switch {
		case p.drive != nil && !p.fenced && (!p.counted || p.id.Drive == names[p.id.Slot].Drive):
			there[p.id.Slot] = p.id.Drive
			if !p.counted {
				vacant |= quorum.One(p.id.Slot)
			}
		case assigned[i] >= 0:
			vacant |= quorum.One(assigned[i])
		case p.drive == nil && p.claim != nil && (p.claim.Condition() == layout.NoIndex || errors.Is(p.err, layout.ErrCorruptIndex)):
			if id, ok := p.claim.Identity(); ok {
				vacant |= quorum.One(id.Slot)
				whole |= quorum.One(id.Slot)
			}
		}
		p.mu.Unlock()
	}
	return there, vacant, whole
}

// seat is what the assignment of places to slots goes by.
type seat struct {
	vacant     bool
	id         layout.DriveID // of the drive that is there, or was when one was last seen
	filesystem string
}

func (s *Set) seats() []seat {
	out := make([]seat, len(s.places))
	for i, p := range s.places {
		p.mu.Lock()
		if p.known {
			out[i].id = p.id.Drive
		}
		if p.claim != nil {
			if id, ok := p.claim.Identity(); ok {
				out[i].id = id.Drive
			} else {
				out[i].vacant = p.drive == nil
			}
			out[i].filesystem = p.claim.Filesystem()
		}
		p.mu.Unlock()
	}
	return out
}

// assign gives to each vacant seat the slot that it most likely had: the one of the
// drive that was last seen there; by its number, if there are all and the others sit as
// they were formatted; by its filesystem; or, where all other drives are accounted for, any.
// −1 where there is none.
func assign(names []layout.Name, seats []seat, gone []layout.DriveID) []int {
	out := make([]int, len(seats))
	free := map[int]bool{}
	for slot := range names {
		free[slot] = true
	}
	ordered, unknown := len(seats) == len(names), 0
	for i, st := range seats {
		out[i] = -1
		if st.vacant {
			continue
		}
		slot := slices.IndexFunc(names, func(n layout.Name) bool { return n.Drive == st.id })
		if slot < 0 {
			unknown++
			continue
		}
		delete(free, slot)
		ordered = ordered && slot == i
	}
	give := func(may func(i, slot int) bool) {
		for i := range seats {
			for slot := range names {
				if seats[i].vacant && out[i] < 0 && free[slot] && may(i, slot) {
					out[i] = slot
					delete(free, slot)
				}
			}
		}
	}
	give(func(i, slot int) bool { return names[slot].Drive == seats[i].id })
	give(func(i, slot int) bool { return ordered && i == slot })
	give(func(i, slot int) bool {
		return names[slot].Filesystem != "" && names[slot].Filesystem == seats[i].filesystem && alone(names, seats, i)
	})
	give(func(i, slot int) bool { return slices.Contains(gone, names[slot].Drive) })
	if unknown == 0 {
		give(func(i, slot int) bool { return len(free) <= left(seats, out) })
	}
	return out
}

// alone: no other slot was on the filesystem of a seat, and no other vacant seat is.
func alone(names []layout.Name, seats []seat, i int) bool {
	n := 0
	for _, name := range names {
		if name.Filesystem == seats[i].filesystem {
			n++
		}
	}
	for j, st := range seats {
		if j != i && st.vacant && st.filesystem == seats[i].filesystem {
			n++
		}
	}
	return n == 1
}

// left is how many vacant seats were given no slot yet.
func left(seats []seat, given []int) (n int) {
	for i, st := range seats {
		if st.vacant && given[i] < 0 {
			n++
		}
	}
	return n
}

// unmounted refuses a place that may be what shows where a filesystem is not
// mounted: one that is not there, or is empty on another filesystem than its drive
// was on, which is not its own either.
func (s *Set) unmounted(claim *layout.Claimed, names []layout.Name, slot int) error {
	if claim.Condition() == layout.Missing {
		return fmt.Errorf("%w: there is no directory", errUnmounted)
	}
	at := claim.Filesystem()
	if at == names[slot].Filesystem {
		return nil
	}
	shared := at == claim.ParentFilesystem()
	if root, err := vfs.FilesystemID("/"); err == nil {
		shared = shared || at == fmt.Sprintf("%x", root)
	}
	for other, n := range names {
		shared = shared || other != slot && n.Filesystem == at
	}
	if shared {
		return fmt.Errorf("%w: it is empty, on a filesystem (%s) that other directories are on too, and its drive was on another (%s)",
			errUnmounted, at, names[slot].Filesystem)
	}
	return nil
}

// refuse notes why what is at a place is of no use there.
func (p *place) refuse(err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.untold = p.untold || p.status != Refused || p.err == nil || p.err.Error() != err.Error()
	p.become(Refused, err, now)
}

// learning notes that the drive of a place is being brought up to date.
func (p *place) learning(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.untold = p.untold || p.status != Learning
	p.become(Learning, nil, now)
}

// counts notes that the drive of a place holds a state that has it in-sync.
func (p *place) counts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted = true
}

func (p *place) problem() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// giveBack closes the drive of a place that can not be used there. Should another
// have to be made instead, its place is filled.
func (s *Set) giveBack(p *place, err error) {
	p.mu.Lock()
	p.fenced, p.useless = true, errors.Is(err, errStray)
	p.retryAt = time.Now().Add(retryPause)
	p.mu.Unlock()
	p.refuse(err, s.now())
	s.nudge()
}

func noticeOf(status DriveStatus, err error) NoticeKind {
	switch {
	case status == InSync:
		return NoticeReturned
	case status == Learning:
		return NoticeLearning
	case errors.Is(err, errOperator):
		return NoticeOperator
	case status == Refused:
		return NoticeRefused
	}
	return NoticeLeft
}

// told tells whether the set serves, or is open for reading only.
func (s *Set) told(stuck error) {
	n := Notice{Kind: NoticeMode, Slot: -1, Text: Serving.String()}
	if stuck != nil {
		n.Text, n.Err = ReadOnly.String(), stuck
	}
	s.Notify(n)
}

// format makes drives of all places.
func (s *Set) format(ctx context.Context) error {
	s.created = true
	deployment, err := s.opt.deployment()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.deployment, s.matched = deployment, true
	s.mu.Unlock()
	state := layout.State{Names: make([]layout.Name, s.n)}
	ids := make([]layout.Identity, s.n)
	for slot, p := range s.places {
		ids[slot] = layout.Identity{Format: 1, Deployment: deployment, Pool: s.opt.Pool, Set: s.opt.Set, Slot: slot, Drives: s.n}
		if _, err := rand.Read(ids[slot].Drive[:]); err != nil {
			return err
		}
		if p.drive != nil {
			if err := p.drive.Close(); err != nil {
				return fmt.Errorf("%s: %w", p.Path, err)
			}
			p.drive = nil
		}
		state.InSync = append(state.InSync, ids[slot].Drive)
		state.Names[slot] = layout.Name{Drive: ids[slot].Drive, Filesystem: p.claim.Filesystem()}
	}
	errs := make([]error, s.n)
	var wg sync.WaitGroup
	for slot, p := range s.places {
		wg.Go(func() {
			if errs[slot] = p.claim.Format(ctx, ids[slot], state); errs[slot] == nil {
				errs[slot] = p.openDrive(ctx, s, p.claim)
			}
			if errs[slot] != nil {
				errs[slot] = fmt.Errorf("%s: %w", p.Path, errs[slot])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
