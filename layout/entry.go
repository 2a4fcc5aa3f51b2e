package layout

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/sherd-storage/sherd/layout/internal/wire"
	"github.com/zeebo/blake3"
)

// Chain is a digest over the log up to a position. Two drives agree up to a
// position if and only if their chains there are equal.
type Chain [32]byte

// Write is one key that an entry writes: its slot at the entry's position.
type Write struct {
	Slot  Slot
	Kind  Kind
	Value []byte // of a record. A void's is made from the entry's Aborts; an inline shard's from Add.Shards

	// Gone marks a record whose content is not at hand, because a later entry
	// shadows it and it was removed at its source: it is listed, not written.
	// In memory only.
	Gone bool
}

// Add says that an entry brings bytes that were not there: a data id, and
// which drive has which shard of it.
type Add struct {
	Data   DataID
	Parity uint8
	Drives []DriveID
	Size   int64 // bytes erasure-coded
	Inline bool

	// Shards are the sealed shard values of inline data, by shard number. They
	// are in memory only, on the way to the drives: a drive writes its own at
	// InlineSlot(Data). Nil for a shard that this owner does not have.
	Shards [][]byte
}

// DataShards is their number, k.
func (a Add) DataShards() int { return len(a.Drives) - int(a.Parity) }

// Entry is one commit of a set's log. The log value that a drive stores holds
// everything but the contents of Writes and Adds.Shards, which stand at their
// own keys.
type Entry struct {
	Position Position
	Owner    Owner
	Time     time.Time
	Writes   []Write
	Adds     []Add
	Aborts   Position // the entry that this one undoes; 0 none
	Digest   Chain    // over everything that is the same on all drives
	Chain    Chain    // the log's, with this entry
}

// Limits of an entry. A larger one is refused before anything is written.
const (
	MaxWrites = 1 << 14 // keys that one entry writes
	MaxAdds   = 1 << 14
	maxSlot   = 8 << 10 // bytes of a slot: two escaped keys of 1,024 zero bytes fit
	maxEntry  = 16 << 20
)

// Seal sets Digest and Chain from the rest of the entry and the chain before it.
func (e *Entry) Seal(before Chain) error {
	d, err := e.digest()
	if err != nil {
		return err
	}
	e.Digest, e.Chain = d, before.Next(e.Owner, d)
	return nil
}

// VerifyDigest compares the digest with what the entry writes: ErrDamaged when
// they differ. Where the content of a record is gone there is nothing to compare with
// (ErrBadRecord).
func (e *Entry) VerifyDigest() error {
	d, err := e.digest()
	if err == nil && d != e.Digest {
		err = fmt.Errorf("%w: entry %d is not what its digest says", ErrDamaged, e.Position)
	}
	return err
}

// Next is the chain behind an entry of an owner with a digest.
func (c Chain) Next(o Owner, digest Chain) Chain {
	b := make([]byte, 0, 14+32+16+32)
	b = append(b, "sherd chain v1"...)
	b = append(b, c[:]...)
	b = binary.BigEndian.AppendUint64(b, o.Epoch)
	b = binary.BigEndian.AppendUint64(b, o.Nonce)
	return blake3.Sum256(append(b, digest[:]...))
}

func (e *Entry) digest() (Chain, error) {
	adds, err := wire.Marshal(wireAdds(e.Adds))
	if err != nil {
		return Chain{}, err
	}
	b := make([]byte, 0, 512)
	b = append(b, "sherd entry v1"...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Position))
	b = binary.BigEndian.AppendUint64(b, uint64(nanos(e.Time)))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Aborts))
	b = append(b, adds...)
	for i := range e.Writes {
		w := &e.Writes[i]
		value := w.Value
		switch {
		case w.Kind != KindRecord || w.Slot.Type() == TypeInline:
			value = nil
		case w.Gone:
			return Chain{}, fmt.Errorf("%w: the content of %x is gone", ErrBadRecord, head(w.Slot, 64))
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(w.Slot)))
		b = append(append(b, w.Slot...), byte(w.Kind))
		b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
		b = append(b, value...)
	}
	return blake3.Sum256(b), nil
}

// Voids is what the entry writes that aborts e: a void at each of its keys.
func (e *Entry) Voids() []Write {
	voids := make([]Write, len(e.Writes))
	for i := range e.Writes {
		voids[i] = Write{Slot: e.Writes[i].Slot, Kind: KindVoid}
	}
	return voids
}

// Check tells what makes an entry unfit for a log (ErrBadRecord, or
// ErrNewerFormat for slots and kinds that are not known): slots and kinds that
// are none, a slot written twice, voids without Aborts or the other
// way round, an inline Add without its `i` record, another Add without an
// owner's record of its data id.
func (e *Entry) Check() error {
	if e.Position == 0 || len(e.Writes) > MaxWrites || len(e.Adds) > MaxAdds || e.Aborts != 0 && e.Aborts >= e.Position {
		return fmt.Errorf("%w: entry %d: position, number of keys or aborted position", ErrBadRecord, e.Position)
	}
	if e.Aborts != 0 && len(e.Adds) != 0 {
		return fmt.Errorf("%w: entry %d aborts and adds", ErrBadRecord, e.Position)
	}
	var few [8]DataID
	owned, inline := few[:0:4], few[4:4]
	for i := range e.Writes {
		w := &e.Writes[i]
		if err := e.checkWrite(w); err != nil {
			return err
		}
		switch {
		case w.Kind != KindRecord:
		case w.Slot.Type() == TypeInline:
			inline = append(inline, DataIDFrom([DataIDBytes]byte(w.Slot[1:])))
		case w.Slot.Type() == TypeOwner && w.Slot[1] == ownedData:
			owned = append(owned, DataIDFrom([DataIDBytes]byte(w.Slot[2:])))
		}
	}
	if err := e.checkTwice(); err != nil {
		return err
	}
	return e.checkAdds(owned, inline)
}

func (e *Entry) checkWrite(w *Write) error {
	if len(w.Slot) > maxSlot {
		return fmt.Errorf("%w: a slot of %d bytes", ErrBadRecord, len(w.Slot))
	}
	if err := CheckSlot(w.Slot); err != nil {
		return err
	}
	if w.Kind > KindVoid {
		return fmt.Errorf("%w: kind %d in entry %d", ErrNewerFormat, w.Kind, e.Position)
	}
	if w.Kind < KindRecord || (w.Kind == KindVoid) != (e.Aborts != 0) {
		return fmt.Errorf("%w: kind %d in entry %d", ErrBadRecord, w.Kind, e.Position)
	}
	switch w.Slot.Type() {
	case TypeInline, TypePart, TypeSizes:
		if w.Kind == KindTombstone {
			return fmt.Errorf("%w: tombstones at %q slots have no meaning", ErrBadRecord, w.Slot.Type())
		}
	}
	return nil
}

// checkOwnerSlot is CheckSlot for owners.
func checkOwnerSlot(s Slot) (err error) {
	at := 2 + DataIDBytes
	switch {
	case len(s) < 2:
		return badSlot("an owner", s)
	case s[1] == ownedData:
		_, _, err = ParseDataOwnerSlot(s)
	case s[1] == ownedUpload:
		at = 2 + UploadIDBytes
		_, _, err = ParseUploadOwnerSlot(s)
	default:
		return fmt.Errorf("%w: owners of things of kind %d", ErrNewerFormat, s[1])
	}
	if err != nil && len(s) > at && (s[at] < ownerVersion || s[at] > ownerSession) {
		err = fmt.Errorf("%w: an owner of kind %d", ErrNewerFormat, s[at])
	}
	return err
}

func (e *Entry) checkTwice() error {
	if len(e.Writes) <= 8 {
		for i := range e.Writes {
			for j := range i {
				if e.Writes[i].Slot.Compare(e.Writes[j].Slot) == 0 {
					return fmt.Errorf("%w: entry %d writes %x twice", ErrBadRecord, e.Position, head(e.Writes[i].Slot, 64))
				}
			}
		}
		return nil
	}
	seen := make(map[string]struct{}, len(e.Writes))
	for i := range e.Writes {
		seen[string(e.Writes[i].Slot)] = struct{}{}
	}
	if len(seen) != len(e.Writes) {
		return fmt.Errorf("%w: entry %d writes a slot twice", ErrBadRecord, e.Position)
	}
	return nil
}

func (e *Entry) checkAdds(owned, inline []DataID) error {
	inlines := 0
	for i := range e.Adds {
		a := &e.Adds[i]
		where := owned
		if a.Inline {
			where, inlines = inline, inlines+1
		}
		n := 0
		for _, d := range where {
			if d == a.Data {
				n++
			}
		}
		if n == 0 {
			return fmt.Errorf("%w: entry %d adds %s without a key that names it", ErrBadRecord, e.Position, a.Data)
		}
		if len(a.Drives) == 0 || len(a.Drives) > MaxDrives || int(a.Parity) >= len(a.Drives) || a.Size < 0 || len(a.Shards) > len(a.Drives) {
			return fmt.Errorf("%w: entry %d adds %s with an impossible geometry", ErrBadRecord, e.Position, a.Data)
		}
	}
	if inlines != len(inline) {
		return fmt.Errorf("%w: entry %d has %d inline keys and adds %d", ErrBadRecord, e.Position, len(inline), inlines)
	}
	return nil
}

type (
	wireWrite struct {
		_    struct{} `cbor:",toarray"`
		Kind Kind
		Slot []byte
	}
	wireAdd struct {
		_      struct{} `cbor:",toarray"`
		Data   []byte
		Parity uint8
		Drives []byte
		Size   int64
		Inline bool
	}
	wireEntry struct {
		Epoch  uint64      `cbor:"1,keyasint,omitempty"`
		Nonce  uint64      `cbor:"2,keyasint,omitempty"`
		Time   int64       `cbor:"3,keyasint,omitempty"`
		Writes []wireWrite `cbor:"4,keyasint,omitempty"`
		Adds   []wireAdd   `cbor:"5,keyasint,omitempty"`
		Aborts uint64      `cbor:"6,keyasint,omitempty"`
		Digest []byte      `cbor:"7,keyasint,omitempty"`
		Chain  []byte      `cbor:"8,keyasint,omitempty"`
	}
)

func wireAdds(adds []Add) []wireAdd {
	out := make([]wireAdd, len(adds))
	for i := range adds {
		a := &adds[i]
		id := a.Data.Bytes()
		out[i] = wireAdd{Data: id[:], Parity: a.Parity, Drives: joinDrives(a.Drives), Size: a.Size, Inline: a.Inline}
	}
	return out
}

// EncodeEntry gives the log value of an entry.
func EncodeEntry(e *Entry) ([]byte, error) {
	w := wireEntry{
		Epoch: e.Owner.Epoch, Nonce: e.Owner.Nonce, Time: nanos(e.Time), Aborts: uint64(e.Aborts),
		Adds: wireAdds(e.Adds), Digest: e.Digest[:], Chain: e.Chain[:],
	}
	w.Writes = make([]wireWrite, len(e.Writes))
	for i := range e.Writes {
		w.Writes[i] = wireWrite{Kind: e.Writes[i].Kind, Slot: e.Writes[i].Slot}
	}
	value, err := wire.Marshal(&w)
	if err == nil && len(value) > maxEntry {
		err = fmt.Errorf("%w: entry %d takes %d bytes in the log", ErrBadRecord, e.Position, len(value))
	}
	return value, err
}

// DecodeEntry is the inverse of EncodeEntry: an entry without the contents of
// records and shards. ErrNewerFormat when it holds more than this version
// knows, ErrBadRecord when it is no entry.
func DecodeEntry(p Position, value []byte) (*Entry, error) {
	var w wireEntry
	if err := decode("log entry", value, maxEntry, &w); err != nil {
		return nil, err
	}
	if len(w.Digest) != 32 || len(w.Chain) != 32 {
		return nil, fmt.Errorf("%w: log entry without digest or chain", ErrBadRecord)
	}
	e := &Entry{
		Position: p, Owner: Owner{Epoch: w.Epoch, Nonce: w.Nonce}, Time: fromNanos(w.Time),
		Aborts: Position(w.Aborts), Digest: Chain(w.Digest), Chain: Chain(w.Chain),
	}
	if len(w.Writes) > 0 {
		e.Writes = make([]Write, len(w.Writes))
	}
	for i, x := range w.Writes {
		e.Writes[i] = Write{Kind: x.Kind, Slot: x.Slot}
	}
	for _, x := range w.Adds {
		drives, ok := splitDrives(x.Drives)
		if !ok || len(x.Data) != DataIDBytes {
			return nil, fmt.Errorf("%w: log entry with an id of the wrong length", ErrBadRecord)
		}
		e.Adds = append(e.Adds, Add{
			Data: DataIDFrom([DataIDBytes]byte(x.Data)), Parity: x.Parity, Drives: drives, Size: x.Size, Inline: x.Inline,
		})
	}
	return e, e.Check()
}

// The log's keys read forward: their position is not inverted.
func logKey(p Position) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{typeLog}, uint64(p)), 0)
}

func parseLogKey(key []byte) (Position, error) {
	if len(key) != 1+8+1 || key[0] != typeLog || key[9] != 0 {
		return 0, fmt.Errorf("%w: %x is no key of the log", ErrBadRecord, head(key, 64))
	}
	return Position(binary.BigEndian.Uint64(key[1:])), nil
}

func logBounds() *pebble.IterOptions {
	lo, hi := TypeRange(typeLog)
	return &pebble.IterOptions{LowerBound: lo, UpperBound: hi}
}

func decodeLog(it *pebble.Iterator) (*Entry, error) {
	p, err := parseLogKey(it.Key())
	if err != nil {
		return nil, err
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	return DecodeEntry(p, value)
}

// entry reads one entry of the log: ErrNotFound where it is not there.
func (d *disk) entry(p Position) (*Entry, error) {
	value, closer, err := d.db.Get(logKey(p))
	if isAbsent(err) {
		return nil, fmt.Errorf("%w: entry %d", ErrNotFound, p)
	}
	if err != nil {
		return nil, told(err)
	}
	e, err := DecodeEntry(p, value)
	return e, errors.Join(err, closer.Close())
}

// Log implements Drive.
func (d *disk) Log(ctx context.Context, from Position, limit int) ([]Entry, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.gate.leave()
	it, err := d.db.NewIter(logBounds())
	if err != nil {
		return nil, err
	}
	var out []Entry
	for ok := it.SeekGE(logKey(from)); ok && len(out) < limit && err == nil; ok = it.Next() {
		var e *Entry
		if e, err = decodeLog(it); err == nil {
			out = append(out, *e)
			err = ctx.Err()
		}
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, told(err)
	}
	return out, nil
}
