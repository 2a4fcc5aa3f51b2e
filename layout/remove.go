package layout

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
)

// Bounds of one step of a removal.
const (
	stepEntries = 256
	stepKeys    = 4096 // keys after which a step ends with the entry it is at
	stepParts   = 512  // parts of an upload without owner
)

// Remove implements Drive. Read it as a proof.
//
// Invariant: for every entry at or below the removal mark, what it shadowed is
// gone, and so is what an aborted entry and its abort wrote. For entries above
// the mark all of that is still there, but shard files that a step unlinked
// and parts that it removed before it ended.
//
// A step goes through entries from the mark on, in order, and collects keys
// and files. Then
//
//  1. files are unlinked and their directories synced. A crash here leaves keys
//     that no reader can meet, as a stable entry shadows them for every
//     position that is still read, naming files that are gone. The mark is as
//     before: the next removal collects the same and finds the files gone;
//  2. keys, log entries and the mark are written in one batch.
//
// The parts of an upload without owner may be too many for a step. They are
// removed before the keys that say that it has no owner: the mark stays until
// the last part is gone, and each step finds those that are left.
func (d *disk) Remove(ctx context.Context, p Promise, r Removal) (Removed, error) {
	done, err := d.mutate(ctx)
	if err != nil {
		return Removed{}, err
	}
	defer done()
	if err := d.promised(p); err != nil {
		return Removed{}, err
	}
	h := d.holding()
	if h.Rebuild != nil {
		return Removed{}, disorder("nothing is removed while an index is being copied")
	}
	it, err := d.db.NewIter(nil)
	if err != nil {
		return Removed{}, err
	}
	s := &sweep{d: d, it: it, batch: d.db.NewBatch(), owners: map[string]struct{}{}, files: map[DataID]struct{}{}}
	defer s.batch.Close()
	mark, more, err := s.collect(ctx, h.Removed, min(r.Upto, h.Stable.Position), r.Entries)
	first := h.First
	if err == nil {
		first, err = s.log(first, min(mark, r.KeepLog, h.Last.Position))
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return Removed{}, told(err)
	}
	out := Removed{Mark: mark, Keys: s.keys, Files: len(s.files), More: more}
	if s.batch.Empty() && mark == h.Removed {
		return out, nil
	}
	if err := s.unlink(); err != nil {
		return Removed{}, err
	}
	value, err := EncodeRemoved(mark)
	if err != nil {
		return Removed{}, err
	}
	if err := errors.Join(s.batch.Set(keyRemoved, value, nil), d.commit(s.batch)); err != nil {
		return Removed{}, err
	}
	d.mu.Lock()
	d.held.Removed, d.held.First = mark, first
	d.mu.Unlock()
	d.pool.outdate() // iterators made before still see what is gone
	if s.keys > 0 {
		d.shrinks.Store(true)
	}
	return out, nil
}

// sweep is one step of a removal: what is to go, collected from the index as
// it was before the step.
type sweep struct {
	d      *disk
	it     *pebble.Iterator
	batch  *pebble.Batch
	keys   int                 // deleted in batch
	owners map[string]struct{} // those of them that are owners'
	files  map[DataID]struct{}
	key    []byte
	end    []byte
}

// collect goes through entries of (mark, upto] and gives the mark that holds
// when the step is done, and whether there is more.
func (s *sweep) collect(ctx context.Context, mark, upto Position, entries int) (Position, bool, error) {
	if entries <= 0 || entries > stepEntries {
		entries = stepEntries
	}
	if mark >= upto {
		return mark, false, nil
	}
	log, err := s.d.db.NewIter(logBounds())
	if err != nil {
		return mark, false, err
	}
	mark, more, err := s.entries(ctx, log, mark, upto, entries)
	return mark, more, errors.Join(err, log.Close())
}

func (s *sweep) entries(ctx context.Context, log *pebble.Iterator, mark, upto Position, entries int) (Position, bool, error) {
	for ok := log.SeekGE(logKey(mark + 1)); mark < upto; ok = log.Next() {
		if entries == 0 || s.keys >= stepKeys || ctx.Err() != nil {
			return mark, true, nil
		}
		entries--
		if !ok {
			return mark, false, errors.Join(fmt.Errorf("%w: entry %d", ErrNotFound, mark+1), log.Error())
		}
		e, err := decodeLog(log)
		if err != nil {
			return mark, false, err
		}
		if e.Position != mark+1 {
			return mark, false, fmt.Errorf("%w: entry %d", ErrNotFound, mark+1)
		}
		whole, err := s.entry(e)
		if err != nil || !whole {
			return mark, true, err
		}
		mark++
	}
	return mark, false, nil
}

// entry collects what goes under one entry; false when the step has to end
// before the entry's own keys may go.
func (s *sweep) entry(e *Entry) (whole bool, err error) {
	if e.Aborts != 0 {
		return true, s.abort(e)
	}
	if whole, err := s.uploads(e); err != nil || !whole {
		return whole, err
	}
	for i := range e.Writes {
		if err := s.write(e, &e.Writes[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}

// abort removes the voids together with what they name, and nothing else.
// What the aborted entry had shadowed is the history's newest again.
func (s *sweep) abort(e *Entry) error {
	for i := range e.Writes {
		slot := e.Writes[i].Slot
		if err := errors.Join(s.delete(slot.key(e.Position)), s.delete(slot.key(e.Aborts))); err != nil {
			return err
		}
	}
	for i := range e.Writes {
		// A file was added with an owner's key, so the owners say which it was.
		if data, _, err := ParseDataOwnerSlot(e.Writes[i].Slot); err == nil {
			if err := s.unowned(data); err != nil {
				return err
			}
		}
	}
	return nil
}

// write removes everything older under a key of an entry that was not aborted,
// and a tombstone with it.
func (s *sweep) write(e *Entry, w *Write) error {
	switch w.Slot.Type() {
	case TypeInline:
		return nil // a data id is of one write: there is nothing older
	case TypeVersion:
		if _, _, version, err := ParseVersionSlot(w.Slot); err != nil || version == e.Position && w.Kind == KindRecord {
			return err // this entry made the version
		}
	}
	at, ok, err := s.seek(w.Slot, e.Position)
	if err != nil || !ok {
		return err
	}
	if at.own {
		if w.Kind == KindTombstone {
			if err := s.delete(s.it.Key()); err != nil {
				return err
			}
		}
		ok = s.it.Next()
	}
	// Below a tombstone that is the newest of its slot nothing is named from above.
	bare := at.own && at.newest && w.Kind == KindTombstone
	if err := s.older(w.Slot, e.Position, ok, bare); err != nil {
		return err
	}
	if data, _, err := ParseDataOwnerSlot(w.Slot); err == nil && w.Kind == KindTombstone {
		return s.unowned(data)
	}
	return nil
}

// older deletes what the iterator stands at, back to what the slot held before,
// and the inline data that is named there and by nothing newer; bare says that
// nothing newer names any. What is older yet went with the entry that shadowed it:
// to go and look would take as long as there were ever records in the slot.
func (s *sweep) older(slot Slot, p Position, ok, bare bool) error {
	var inline []DataID
	_, _, version, _ := ParseVersionSlot(slot)
	last, void := false, Position(0)
	for ; ok && !last; ok = !last && s.it.Next() {
		var err error
		if last, void, err = s.before(void); err != nil {
			return err
		}
		data, err := s.inlineHere(slot)
		if err != nil {
			return err
		}
		_, at, _ := splitKey(s.it.Key())
		switch {
		case data.IsZero():
		case bare && at == version: // the entry that made the version brought its bytes
			if err := s.delete(InlineSlot(data).key(at)); err != nil {
				return err
			}
		default:
			inline = append(inline, data)
		}
		if err := s.delete(s.it.Key()); err != nil {
			return err
		}
	}
	if err := s.it.Error(); err != nil || len(inline) == 0 {
		return err
	}
	var named map[DataID]struct{}
	if !bare {
		var err error
		if named, err = s.namedFrom(slot, p); err != nil {
			return err
		}
	}
	for _, data := range inline {
		if _, kept := named[data]; kept {
			continue
		}
		if err := s.history(InlineSlot(data)); err != nil {
			return err
		}
	}
	return nil
}

// before tells whether the key at the iterator is what its slot held before, and
// not a void, or what the void at the key before undid; it gives what the next key
// may be undone by.
func (s *sweep) before(void Position) (last bool, undone Position, err error) {
	value, err := s.it.ValueAndErr()
	if err != nil {
		return false, 0, err
	}
	kind, content, err := splitValue(value)
	if err != nil {
		return false, 0, err
	}
	if kind == KindVoid {
		return false, Position(binary.BigEndian.Uint64(content)), nil
	}
	_, at, _ := splitKey(s.it.Key())
	return at != void, 0, nil
}

// namedFrom is the inline data that records of a slot name from a position on.
// To look at that one position would not do: its record may be gone, and one
// yet newer names the same data.
func (s *sweep) namedFrom(slot Slot, p Position) (map[DataID]struct{}, error) {
	named := map[DataID]struct{}{}
	for ok := s.first(slot); ok; ok = s.it.Next() {
		if _, position, _ := splitKey(s.it.Key()); position < p {
			break
		}
		data, err := s.inlineHere(slot)
		if err != nil {
			return nil, err
		}
		named[data] = struct{}{}
	}
	return named, s.it.Error()
}

// inlineHere is the inline data that the record at the iterator names; zero if
// it names none, or is of a slot whose records name none.
func (s *sweep) inlineHere(slot Slot) (DataID, error) {
	place, ok, err := s.placeHere(slot)
	if err != nil || !ok || place.Kind != PlaceInline {
		return DataID{}, err
	}
	return place.Data, nil
}

func (s *sweep) placeHere(slot Slot) (Place, bool, error) {
	if t := slot.Type(); t != TypeVersion && t != TypePart {
		return Place{}, false, nil
	}
	value, err := s.it.ValueAndErr()
	if err != nil {
		return Place{}, false, err
	}
	kind, content, err := splitValue(value)
	if err != nil || kind != KindRecord {
		return Place{}, false, err
	}
	r, err := DecodeRecord(content)
	if err != nil {
		// What can not be understood is not touched: its bytes stay, as garbage.
		s.d.opts.Logger.Warn("a record under which bytes can not be removed", "drive", s.d.path, "slot", fmt.Sprintf("%x", []byte(slot)), "error", err)
		return Place{}, false, nil
	}
	return r.Place, true, nil
}

// history deletes all keys of a slot.
func (s *sweep) history(slot Slot) error {
	var keys [][]byte
	for ok := s.first(slot); ok; ok = s.it.Next() {
		keys = append(keys, append([]byte(nil), s.it.Key()...))
	}
	err := s.it.Error()
	for _, key := range keys {
		err = errors.Join(err, s.delete(key))
	}
	return err
}

func (s *sweep) delete(key []byte) error {
	s.keys++
	if key[0] == TypeOwner {
		s.owners[string(key)] = struct{}{}
	}
	return s.batch.Delete(key, nil)
}

// unowned lets a shard file go if no owner of it is left at any position.
func (s *sweep) unowned(data DataID) error {
	lo, hi := DataOwnerRange(data)
	if left, err := s.left(lo, hi, nil); err != nil || left {
		return err
	}
	s.files[data] = struct{}{}
	return nil
}

// left tells whether there is a key in a range of owners that this step does
// not delete and that is not besides.
func (s *sweep) left(lo, hi Slot, besides func(slot Slot, p Position) bool) (bool, error) {
	s.it.SetBounds(lo, hi)
	for ok := s.it.First(); ok; ok = s.it.Next() {
		key := s.it.Key()
		if _, goes := s.owners[string(key)]; goes {
			continue
		}
		slot, p, good := splitKey(key)
		if !good {
			return false, fmt.Errorf("%w: key %x", ErrBadRecord, head(key, 64))
		}
		if besides == nil || !besides(slot, p) {
			return true, nil
		}
	}
	return false, s.it.Error()
}

// log deletes the log's entries below a position, and gives the first that is
// kept.
func (s *sweep) log(first, keep Position) (Position, error) {
	if first == 0 || keep <= first {
		return first, nil
	}
	if keep-first > stepEntries {
		return keep, s.batch.DeleteRange(logKey(first), logKey(keep), nil)
	}
	for p := first; p < keep; p++ {
		if err := s.batch.Delete(logKey(p), nil); err != nil {
			return first, err
		}
	}
	return keep, nil
}

// unlink removes files, and makes that durable.
func (s *sweep) unlink() error {
	dirs := map[string]struct{}{}
	for data := range s.files {
		if err := removeFile(s.d.fs, s.d.files.path(data)); err != nil {
			return problem(err)
		}
		dirs[s.d.files.dir(data)] = struct{}{}
	}
	for dir := range dirs {
		// A directory that somebody deleted has nothing left to remove.
		if err := syncDir(s.d.fs, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return problem(err)
		}
	}
	return nil
}
