package layout

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// pooled are how many iterators are kept for point reads. Making one costs
// several times what a read does; one that is kept serves every position that
// was applied when it was made, as long as nothing at such positions changed.
const pooled = 4

// pool keeps iterators, and knows all cursors so that Close can end them.
type pool struct {
	db    *pebble.DB
	last  atomic.Uint64 // the newest position applied
	epoch atomic.Uint64 // raised when iterators made before are of no more use

	mu      sync.Mutex // guards what follows; not locked across reads
	idle    []*walker
	cursors map[*cursor]struct{}
}

// walker is an iterator with what it is good for.
type walker struct {
	it    *pebble.Iterator
	upto  Position // everything at or below was there when it was made
	epoch uint64
}

func (p *pool) init(db *pebble.DB, last Position) {
	p.db, p.cursors = db, map[*cursor]struct{}{}
	p.last.Store(uint64(last))
}

// applied notes that entries up to last were written; rewrites, that something
// at older positions changed.
func (p *pool) applied(last Position, rewrites bool) {
	p.last.Store(uint64(last))
	if rewrites {
		p.epoch.Add(1)
	}
}

// outdate makes idle iterators go: they hold files that the index has
// replaced. It only says so; prune and the next read close them.
func (p *pool) outdate() { p.epoch.Add(1) }

// take gives an iterator that sees everything at or below a position.
func (p *pool) take(at Position) (*walker, error) {
	epoch, last := p.epoch.Load(), Position(p.last.Load())
	need := min(at, last)
	p.mu.Lock()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if w.epoch == epoch && w.upto >= need {
			p.mu.Unlock()
			return w, nil
		}
		p.mu.Unlock()
		_ = w.it.Close() // it was only read, and its errors were told then
		p.mu.Lock()
	}
	p.mu.Unlock()
	it, err := p.db.NewIter(nil)
	if err != nil {
		return nil, told(err)
	}
	return &walker{it: it, upto: last, epoch: epoch}, nil
}

// give takes an iterator back.
func (p *pool) give(w *walker) {
	if w.it.Error() == nil && w.epoch == p.epoch.Load() {
		p.mu.Lock()
		if len(p.idle) < pooled {
			p.idle = append(p.idle, w)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
	_ = w.it.Close() // an error of reading was told to the reader
}

// prune closes iterators that hold what the index has replaced.
func (p *pool) prune() {
	epoch := p.epoch.Load()
	var old []*walker
	p.mu.Lock()
	kept := p.idle[:0]
	for _, w := range p.idle {
		if w.epoch == epoch {
			kept = append(kept, w)
		} else {
			old = append(old, w)
		}
	}
	p.idle = kept
	p.mu.Unlock()
	for _, w := range old {
		_ = w.it.Close() // idle: nobody waits for its errors
	}
}

// close ends all iterators. No call is inside the gate any more.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.idle {
		_ = w.it.Close() // idle: nobody waits for its errors
	}
	p.idle = nil
	for c := range p.cursors {
		_ = c.it.Close() // its owner learns of it by ErrClosed
	}
	p.cursors = nil
	return nil
}

// reader is a handle on the index: positions make it a snapshot.
type reader struct {
	d      *disk
	closed bool
	buf    []byte
}

// Read implements Drive.
func (d *disk) Read(ctx context.Context) (Reader, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.gate.leave()
	return &reader{d: d}, ctx.Err()
}

func (r *reader) enter() error {
	if r.closed {
		return ErrClosed
	}
	return r.d.enter()
}

// Close implements Reader.
func (r *reader) Close() error {
	r.closed = true
	return nil
}

// Get implements Reader.
func (r *reader) Get(slot Slot, at Position) (Item, bool, error) {
	if err := CheckSlot(slot); err != nil {
		return Item{}, false, err
	}
	if err := r.enter(); err != nil {
		return Item{}, false, err
	}
	defer r.d.gate.leave()
	w, err := r.d.pool.take(at)
	if err != nil {
		return Item{}, false, err
	}
	defer r.d.pool.give(w)
	r.buf = slot.appendKey(r.buf[:0], at)
	h := history{at: at}
	for ok := w.it.SeekPrefixGE(r.buf); ok; ok = w.it.Next() {
		s, p, good := splitKey(w.it.Key())
		if !good {
			return Item{}, false, fmt.Errorf("%w: key %x", ErrBadRecord, head(w.it.Key(), 64))
		}
		if s.Compare(slot) != 0 {
			break
		}
		value, verdict, err := h.meet(w.it, p)
		if err != nil || verdict == gone {
			return Item{}, false, told(err)
		}
		if verdict == live {
			return Item{Slot: slot, Position: p, Value: append([]byte(nil), value...)}, true, nil
		}
	}
	return Item{}, false, told(w.it.Error())
}

// Latest implements Reader.
func (r *reader) Latest(bucket BucketID, key string, at Position) (Item, bool, error) {
	if err := r.enter(); err != nil {
		return Item{}, false, err
	}
	defer r.d.gate.leave()
	w, err := r.d.pool.take(at)
	if err != nil {
		return Item{}, false, err
	}
	defer r.d.pool.give(w)
	h := history{at: at}
	for ok := w.it.SeekPrefixGE(LatestSlot(bucket, key)); ok; ok = w.it.Next() {
		s, p, good := splitKey(w.it.Key())
		if !good {
			return Item{}, false, fmt.Errorf("%w: key %x", ErrBadRecord, head(w.it.Key(), 64))
		}
		h.of(s)
		value, verdict, err := h.meet(w.it, p)
		if err != nil {
			return Item{}, false, told(err)
		}
		if verdict == live {
			return Item{Slot: append(Slot(nil), s...), Position: p, Value: append([]byte(nil), value...)}, true, nil
		}
	}
	return Item{}, false, told(w.it.Error())
}

// Raw implements Reader.
func (r *reader) Raw(slot Slot, position Position) (Kind, []byte, bool, error) {
	if err := r.enter(); err != nil {
		return 0, nil, false, err
	}
	defer r.d.gate.leave()
	w, err := r.d.pool.take(position)
	if err != nil {
		return 0, nil, false, err
	}
	defer r.d.pool.give(w)
	r.buf = slot.appendKey(r.buf[:0], position)
	if !w.it.SeekPrefixGE(r.buf) || string(w.it.Key()) != string(r.buf) {
		return 0, nil, false, told(w.it.Error())
	}
	value, err := w.it.ValueAndErr()
	if err != nil {
		return 0, nil, false, told(err)
	}
	kind, content, err := splitValue(value)
	return kind, append([]byte{}, content...), err == nil, err
}

// told is an error of reading the index, as callers know it.
func told(err error) error {
	if err != nil && pebble.IsCorruptionError(err) && !errors.Is(err, ErrCorruptIndex) {
		return fmt.Errorf("%w: %w", ErrCorruptIndex, err)
	}
	return err
}

func splitValue(value []byte) (Kind, []byte, error) {
	if len(value) == 0 {
		return 0, nil, fmt.Errorf("%w: a value without a kind", ErrBadRecord)
	}
	kind := Kind(value[0])
	switch {
	case kind > KindVoid || kind == 0:
		return 0, nil, fmt.Errorf("%w: kind %d", ErrNewerFormat, kind)
	case kind == KindTombstone && len(value) != 1, kind == KindVoid && len(value) != 9:
		return 0, nil, fmt.Errorf("%w: a value of kind %d with %d bytes", ErrBadRecord, kind, len(value))
	}
	return kind, value[1:], nil
}

// verdict on a key of a slot's history, met from the newest down.
type verdict uint8

const (
	older verdict = iota // go on with the next older key
	live                 // this is the answer
	gone                 // nothing is there
)

// history resolves voids within one slot.
type history struct {
	at      Position
	slot    Slot
	voided  Position // the entry that a void met before names
	decided bool     // the slot has its answer
}

// of begins anew when the slot is another.
func (h *history) of(s Slot) {
	if h.slot.Compare(s) != 0 {
		h.slot, h.voided, h.decided = append(h.slot[:0], s...), 0, false
	}
}

func (h *history) meet(it *pebble.Iterator, p Position) ([]byte, verdict, error) {
	if h.decided || p > h.at {
		return nil, older, nil
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return nil, older, err
	}
	kind, content, err := splitValue(value)
	switch {
	case err != nil:
		return nil, older, err
	case h.voided != 0 && p == h.voided:
		return nil, older, nil
	case kind == KindVoid:
		h.voided = Position(binary.BigEndian.Uint64(content))
		return nil, older, nil
	}
	h.decided = true
	if kind == KindTombstone {
		return nil, gone, nil
	}
	return content, live, nil
}

// cursor walks live records.
type cursor struct {
	d      *disk
	it     *pebble.Iterator
	h      history
	moved  bool // the iterator stands somewhere, and not before the first
	item   Item
	value  []byte // of item
	err    error
	closed bool
}

// Cursor implements Reader.
func (r *reader) Cursor(from, to Slot, at Position) (Cursor, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.d.gate.leave()
	it, err := r.d.db.NewIter(&pebble.IterOptions{LowerBound: from.seekKey(), UpperBound: to.seekKey()})
	if err != nil {
		return nil, err
	}
	c := &cursor{d: r.d, it: it, h: history{at: at}}
	p := &r.d.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cursors[c] = struct{}{}
	return c, nil
}

// move runs one step of the iterator and goes on to the next live record.
func (c *cursor) move(step func() bool) bool {
	if c.closed || c.err != nil {
		return false
	}
	if c.err = c.d.enter(); c.err != nil {
		return false
	}
	defer c.d.gate.leave()
	for ok := step(); ok; ok = c.it.Next() {
		c.moved = true
		s, p, good := splitKey(c.it.Key())
		if !good {
			c.err = fmt.Errorf("%w: key %x", ErrBadRecord, head(c.it.Key(), 64))
			return false
		}
		c.h.of(s)
		value, verdict, err := c.h.meet(c.it, p)
		if err != nil {
			c.err = told(err)
			return false
		}
		if verdict == live {
			// A copy: the index may be closed at any moment, and its memory is then
			// used for something else.
			c.value = append(c.value[:0], value...)
			c.item = Item{Slot: c.h.slot[:len(s):len(s)], Position: p, Value: c.value}
			return true
		}
	}
	c.item, c.err = Item{}, told(c.it.Error())
	return false
}

// Next implements Cursor.
func (c *cursor) Next() bool {
	if !c.moved {
		return c.move(c.it.First)
	}
	return c.move(c.it.Next)
}

// NextKey implements Cursor.
func (c *cursor) NextKey() bool {
	if !c.moved {
		return c.move(c.it.First)
	}
	return c.move(c.it.NextPrefix)
}

// Seek implements Cursor.
func (c *cursor) Seek(slot Slot) bool {
	c.h.slot = c.h.slot[:0]
	return c.move(func() bool {
		c.moved = true
		return c.it.SeekGE(slot.seekKey())
	})
}

// Item implements Cursor.
func (c *cursor) Item() Item { return c.item }

// Err implements Cursor.
func (c *cursor) Err() error { return c.err }

// Close implements Cursor.
func (c *cursor) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if err := c.d.enter(); err != nil {
		return nil // the drive was closed, and the cursor with it
	}
	defer c.d.gate.leave()
	p := &c.d.pool
	p.mu.Lock()
	delete(p.cursors, c)
	p.mu.Unlock()
	return c.it.Close()
}
