package layout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sherd-storage/sherd/layout/internal/wire"
)

// State is a decision on who is in-sync. The newest one of a set is in force.
type State struct {
	Owner      Owner
	Generation uint64
	InSync     []DriveID
	Names      []Name // by slot number; its length is N
}

// Name says which drive has a slot.
type Name struct {
	Drive      DriveID
	Filesystem string    // what its place was on when it was named; "" unknown
	Past       []DriveID // drives that had the slot before, oldest first
}

// Compare orders states by (epoch, generation): −1, 0 or 1.
func (s State) Compare(t State) int {
	switch {
	case s.Owner.Epoch != t.Owner.Epoch:
		return less(s.Owner.Epoch, t.Owner.Epoch)
	case s.Generation != t.Generation:
		return less(s.Generation, t.Generation)
	}
	return 0
}

func less(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

// Seal says that the owner of an epoch found the log to end at a position:
// entries of older epochs beyond it are void.
type Seal struct {
	Epoch    uint64
	Position Position
}

// Mark is a position together with the log's chain there.
type Mark struct {
	Position Position
	Chain    Chain
}

// Rebuild says that an index is being copied to the drive: everything up to
// Base comes by copy, what is after it by the log up to Reached.
type Rebuild struct {
	Base    Mark
	Reached Position
	Cursor  []byte
}

// Holding is what a drive says that it holds.
type Holding struct {
	Promise Promise
	State   State
	Seal    Seal
	Stable  Mark     // V: all up to here is complete on every in-sync drive and is never undone
	First   Position // oldest entry that the log still has; 0 none
	Last    Mark     // newest entry
	Removed Position // what entries up to here shadowed has been removed
	Rebuild *Rebuild // nil: none
}

// MaxDrives is how many drives a set may have.
const MaxDrives = 16

// maxState bounds the values under `s`: a cursor is at most a slot, a slot of
// the set may have had many drives.
const maxState = 1 << 20

type (
	wirePromise struct {
		Epoch   uint64 `cbor:"1,keyasint,omitempty"`
		Nonce   uint64 `cbor:"2,keyasint,omitempty"`
		Session uint64 `cbor:"3,keyasint,omitempty"`
	}
	wireName struct {
		_          struct{} `cbor:",toarray"`
		Drive      []byte
		Filesystem string
		Past       []byte
	}
	wireState struct {
		Epoch      uint64     `cbor:"1,keyasint,omitempty"`
		Nonce      uint64     `cbor:"2,keyasint,omitempty"`
		Generation uint64     `cbor:"3,keyasint,omitempty"`
		InSync     []byte     `cbor:"4,keyasint,omitempty"`
		Names      []wireName `cbor:"5,keyasint,omitempty"`
	}
	wireSeal struct {
		Epoch    uint64 `cbor:"1,keyasint,omitempty"`
		Position uint64 `cbor:"2,keyasint,omitempty"`
	}
	wireMark struct {
		Position uint64 `cbor:"1,keyasint,omitempty"`
		Chain    []byte `cbor:"2,keyasint,omitempty"`
	}
	wireIdentity struct {
		Deployment []byte `cbor:"1,keyasint,omitempty"`
		Pool       int    `cbor:"2,keyasint,omitempty"`
		Set        int    `cbor:"3,keyasint,omitempty"`
		Slot       int    `cbor:"4,keyasint,omitempty"`
		Drives     int    `cbor:"5,keyasint,omitempty"`
		Drive      []byte `cbor:"6,keyasint,omitempty"`
	}
	wireRebuild struct {
		Base    uint64 `cbor:"1,keyasint,omitempty"`
		Chain   []byte `cbor:"2,keyasint,omitempty"`
		Reached uint64 `cbor:"3,keyasint,omitempty"`
		Cursor  []byte `cbor:"4,keyasint,omitempty"`
	}
)

// decode reads a value whose unknown keys are refused.
func decode(what string, value []byte, limit int, v any) error {
	if len(value) > limit {
		return fmt.Errorf("%w: %s of %d bytes", ErrBadRecord, what, len(value))
	}
	switch err := wire.Unmarshal(value, v); {
	case errors.Is(err, wire.ErrUnknownKey):
		return fmt.Errorf("%w: %s: %w", ErrNewerFormat, what, err)
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrBadRecord, what, err)
	}
	return nil
}

// value is what the index says of the drive that it belongs to. An
// identity has one such form, so it is compared and never decoded.
func (id Identity) value() ([]byte, error) {
	return wire.Marshal(&wireIdentity{
		Deployment: id.Deployment[:], Pool: id.Pool, Set: id.Set, Slot: id.Slot, Drives: id.Drives, Drive: id.Drive[:],
	})
}

// EncodePromise gives the stored form of a promise.
func EncodePromise(p Promise) ([]byte, error) {
	return wire.Marshal(&wirePromise{Epoch: p.Epoch, Nonce: p.Nonce, Session: p.Session})
}

// DecodePromise is the inverse of EncodePromise.
func DecodePromise(value []byte) (Promise, error) {
	var w wirePromise
	err := decode("promise", value, maxState, &w)
	return Promise{Owner: Owner{Epoch: w.Epoch, Nonce: w.Nonce}, Session: w.Session}, err
}

// Check tells what makes a state impossible: ErrBadRecord.
func (s *State) Check() error {
	if len(s.Names) < 1 || len(s.Names) > MaxDrives || len(s.InSync) > len(s.Names) {
		return fmt.Errorf("%w: a state with %d names and %d drives in-sync", ErrBadRecord, len(s.Names), len(s.InSync))
	}
	for i, d := range s.InSync {
		named := false
		for _, n := range s.Names {
			named = named || n.Drive == d
		}
		for _, other := range s.InSync[:i] {
			named = named && other != d
		}
		if !named {
			return fmt.Errorf("%w: a state whose in-sync drive %s is not named, or twice", ErrBadRecord, d)
		}
	}
	return nil
}

// EncodeState gives the stored form of a state that passes Check.
func EncodeState(s *State) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	w := wireState{
		Epoch: s.Owner.Epoch, Nonce: s.Owner.Nonce, Generation: s.Generation,
		InSync: joinDrives(s.InSync), Names: make([]wireName, len(s.Names)),
	}
	for i, n := range s.Names {
		w.Names[i] = wireName{Drive: n.Drive[:], Filesystem: n.Filesystem, Past: joinDrives(n.Past)}
	}
	value, err := wire.Marshal(&w)
	if err == nil && len(value) > maxState {
		err = fmt.Errorf("%w: a state of %d bytes", ErrBadRecord, len(value))
	}
	return value, err
}

// DecodeState is the inverse of EncodeState.
func DecodeState(value []byte) (State, error) {
	var w wireState
	if err := decode("state", value, maxState, &w); err != nil {
		return State{}, err
	}
	s := State{Owner: Owner{Epoch: w.Epoch, Nonce: w.Nonce}, Generation: w.Generation}
	var ok bool
	if s.InSync, ok = splitDrives(w.InSync); !ok {
		return State{}, fmt.Errorf("%w: state: drive ids of the wrong length", ErrBadRecord)
	}
	for _, n := range w.Names {
		past, ok := splitDrives(n.Past)
		if !ok || len(n.Drive) != len(DriveID{}) {
			return State{}, fmt.Errorf("%w: state: drive ids of the wrong length", ErrBadRecord)
		}
		s.Names = append(s.Names, Name{Drive: DriveID(n.Drive), Filesystem: n.Filesystem, Past: past})
	}
	return s, s.Check()
}

// EncodeSeal gives the stored form of a seal.
func EncodeSeal(s Seal) ([]byte, error) {
	return wire.Marshal(&wireSeal{Epoch: s.Epoch, Position: uint64(s.Position)})
}

// DecodeSeal is the inverse of EncodeSeal.
func DecodeSeal(value []byte) (Seal, error) {
	var w wireSeal
	err := decode("seal", value, maxState, &w)
	return Seal{Epoch: w.Epoch, Position: Position(w.Position)}, err
}

// EncodeMark gives the stored form of the stable mark.
func EncodeMark(m Mark) ([]byte, error) {
	return wire.Marshal(&wireMark{Position: uint64(m.Position), Chain: m.Chain[:]})
}

// DecodeMark is the inverse of EncodeMark.
func DecodeMark(value []byte) (Mark, error) {
	var w wireMark
	if err := decode("mark", value, maxState, &w); err != nil {
		return Mark{}, err
	}
	if len(w.Chain) != len(Chain{}) {
		return Mark{}, fmt.Errorf("%w: a mark without its chain", ErrBadRecord)
	}
	return Mark{Position: Position(w.Position), Chain: Chain(w.Chain)}, nil
}

// EncodeRemoved gives the stored form of the removal mark.
func EncodeRemoved(p Position) ([]byte, error) {
	return wire.Marshal(&wireMark{Position: uint64(p)})
}

// DecodeRemoved is the inverse of EncodeRemoved.
func DecodeRemoved(value []byte) (Position, error) {
	var w wireMark
	if err := decode("removal mark", value, maxState, &w); err != nil {
		return 0, err
	}
	if len(w.Chain) != 0 {
		return 0, fmt.Errorf("%w: a removal mark with a chain", ErrBadRecord)
	}
	return Position(w.Position), nil
}

// EncodeRebuild gives the stored form of a rebuild mark.
func EncodeRebuild(r Rebuild) ([]byte, error) {
	return wire.Marshal(&wireRebuild{
		Base: uint64(r.Base.Position), Chain: r.Base.Chain[:], Reached: uint64(r.Reached), Cursor: r.Cursor,
	})
}

// DecodeRebuild is the inverse of EncodeRebuild.
func DecodeRebuild(value []byte) (Rebuild, error) {
	var w wireRebuild
	if err := decode("rebuild mark", value, maxState, &w); err != nil {
		return Rebuild{}, err
	}
	if len(w.Chain) != len(Chain{}) || w.Reached < w.Base {
		return Rebuild{}, fmt.Errorf("%w: a rebuild mark without its chain, or reaching back", ErrBadRecord)
	}
	return Rebuild{
		Base:    Mark{Position: Position(w.Base), Chain: Chain(w.Chain)},
		Reached: Position(w.Reached), Cursor: w.Cursor,
	}, nil
}

// EncodePosition gives the content of `v` and `n` records: a version position
// or a bucket id.
func EncodePosition(p uint64) []byte { return binary.BigEndian.AppendUint64(nil, p) }

// DecodePosition is the inverse of EncodePosition.
func DecodePosition(value []byte) (uint64, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: a position of %d bytes", ErrBadRecord, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// Drive ids stand behind each other in one string of bytes.
func joinDrives(drives []DriveID) []byte {
	if len(drives) == 0 {
		return nil
	}
	b := make([]byte, 0, len(drives)*len(DriveID{}))
	for i := range drives {
		b = append(b, drives[i][:]...)
	}
	return b
}

func splitDrives(b []byte) ([]DriveID, bool) {
	const width = len(DriveID{})
	if len(b)%width != 0 {
		return nil, false
	}
	if len(b) == 0 {
		return nil, true
	}
	drives := make([]DriveID, len(b)/width)
	for i := range drives {
		drives[i] = DriveID(b[i*width:])
	}
	return drives, true
}

// Times are nanoseconds since 1970 UTC; 0 is "none", and what does not fit is
// brought to the nearest that does (the years 1677 and 2262).
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() < 1678:
		return math.MinInt64
	case t.Year() > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
