package layout

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sherd-storage/sherd/layout/internal/index"
)

// first brings the iterator to the newest key of a slot, false when there is
// none. The iterator sees nothing else from then on: what is behind the slot may
// be long deleted, and passing over that takes time.
func (s *sweep) first(slot Slot) bool {
	s.end = slot.appendEnd(s.end[:0])
	s.key = slot.appendKey(s.key[:0], MaxPosition)
	s.it.SetBounds(s.key, s.end)
	return s.it.SeekPrefixGE(s.key)
}

// found says where seek left the iterator.
type found struct {
	own    bool // at the key that was sought, not at an older one
	newest bool // and it is the slot's newest
}

// seek brings the iterator to a slot's key at a position, or to the first older
// one if it is not there. ok is false when the entry was aborted, or there is
// nothing.
func (s *sweep) seek(slot Slot, p Position) (at found, ok bool, err error) {
	if !s.first(slot) {
		return found{}, false, s.it.Error()
	}
	if _, newest, _ := splitKey(s.it.Key()); newest <= p {
		return found{own: newest == p, newest: true}, true, nil
	}
	s.key = slot.appendKey(s.key[:0], p)
	if s.it.SeekLT(s.key) {
		// The next newer key of the slot: a lock is held from write to abort, so
		// if there is a void for this position, it is this one.
		value, err := s.it.ValueAndErr()
		if err != nil {
			return found{}, false, err
		}
		if kind, content, err := splitValue(value); err != nil {
			return found{}, false, err
		} else if kind == KindVoid && Position(binary.BigEndian.Uint64(content)) == p {
			return found{}, false, nil
		}
	}
	ok = s.it.SeekPrefixGE(s.key)
	return found{own: ok && string(s.it.Key()) == string(s.key)}, ok, s.it.Error()
}

// appendEnd appends a bound above every key of a slot and at or below all that
// follow.
func (s Slot) appendEnd(dst []byte) []byte {
	if s.Type() != TypeVersion {
		return append(append(dst, s...), 1)
	}
	older := ^binary.BigEndian.Uint64(s[len(s)-8:]) - 1 // of the next slot
	dst = binary.BigEndian.AppendUint64(append(dst, s[:len(s)-8]...), ^older)
	return append(binary.BigEndian.AppendUint64(dst, 0), index.VersionSuffix)
}

// uploads removes the parts of uploads that this entry took the last owner
// from. An upload that is under way is owned by its session.
func (s *sweep) uploads(e *Entry) (whole bool, err error) {
	for i := range e.Writes {
		w := &e.Writes[i]
		if w.Kind != KindTombstone || w.Slot.Type() != TypeOwner {
			continue
		}
		u, _, err := ParseUploadOwnerSlot(w.Slot)
		if err != nil {
			continue // an owner of data
		}
		if _, ok, err := s.seek(w.Slot, e.Position); err != nil {
			return false, err
		} else if !ok {
			continue // aborted, or gone
		}
		lo, hi := UploadOwnerRange(u)
		if left, err := s.left(lo, hi, e.tombstones); err != nil {
			return false, err
		} else if left {
			continue
		}
		if whole, err := s.parts(u); err != nil || !whole {
			return whole, err
		}
	}
	return true, nil
}

// tombstones tells whether an entry takes away what stands at a key.
func (e *Entry) tombstones(slot Slot, p Position) bool {
	if p > e.Position {
		return false
	}
	for i := range e.Writes {
		if e.Writes[i].Kind == KindTombstone && e.Writes[i].Slot.Compare(slot) == 0 {
			return true
		}
	}
	return false
}

// parts removes parts of an upload, as many as a step may, and last its sizes;
// false when some are left.
func (s *sweep) parts(u UploadID) (whole bool, err error) {
	lo, hi := PartRange(u, 0)
	for n := 0; ; n++ {
		s.it.SetBounds(lo, hi)
		if !s.it.First() {
			break
		}
		if n == stepParts {
			return false, nil
		}
		slot, _, good := splitKey(s.it.Key())
		if !good {
			return false, fmt.Errorf("%w: key %x", ErrBadRecord, head(s.it.Key(), 64))
		}
		slot = append(Slot(nil), slot...)
		if err := s.part(u, slot); err != nil {
			return false, err
		}
		lo = append(slot, 0)
	}
	if err := s.it.Error(); err != nil {
		return false, err
	}
	return true, s.history(SizesSlot(u))
}

// part removes what a part's records name, and then them.
func (s *sweep) part(u UploadID, slot Slot) error {
	_, number, err := ParsePartSlot(slot)
	if err != nil {
		return err
	}
	var places []Place
	for ok := s.first(slot); ok; ok = s.it.Next() {
		place, ok, err := s.placeHere(slot)
		if err != nil {
			return err
		}
		if ok {
			places = append(places, place)
		}
	}
	if err := s.it.Error(); err != nil {
		return err
	}
	for _, place := range places {
		switch place.Kind {
		case PlaceInline:
			err = errors.Join(err, s.history(InlineSlot(place.Data)))
		case PlaceFile:
			err = errors.Join(err, s.history(DataOwnerSlot(place.Data, OwnerOfData{Upload: u, Part: number})), s.unowned(place.Data))
		}
	}
	return errors.Join(err, s.history(slot))
}
