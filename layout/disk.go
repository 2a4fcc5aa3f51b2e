package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/latch"
	"github.com/sherd-storage/sherd/layout/internal/index"
	"github.com/sherd-storage/sherd/layout/internal/reserve"
)

// The keys of the state. They end in 0x00 like all prefixes. Tables that are
// never written.
var (
	keyDrive   = stateKey("drive")
	keyPromise = stateKey("promise")
	keyState   = stateKey("state")
	keySeal    = stateKey("seal")
	keyStable  = stateKey("stable")
	keyRemoved = stateKey("removed")
	keyRebuild = stateKey("rebuild")
)

func stateKey(name string) []byte { return append(append([]byte{typeState}, name...), 0) }

// indexWrites is how often a byte is on the disk for a while: in the log, in a
// table, and in the one that a compaction makes of it. The next measurement
// corrects it.
const indexWrites = 3

// closeLimit bounds how long Close waits for calls that the kernel does not
// give back.
const closeLimit = 10 * time.Second

// disk is the drive in a directory. The index sees the latch's view that hides
// failures, everything else the one that tells them; both share the latch, and
// nothing is believed to be durable before the latch was asked.
type disk struct {
	place  *Claimed
	id     Identity
	path   string
	fs     vfs.FS // what is not index
	latch  *latch.Latch
	opts   *Options
	at     vfs.Identity // the directory that was opened
	db     *pebble.DB
	gate   gate
	ended  atomic.Bool   // Close was called: shard files are no longer read either
	opened atomic.Bool   // db is set; until then open itself looks at the latch
	turn   chan struct{} // Apply, Promise and Remove exclude each other
	chains recentChains  // whose turn it is has it
	pool   pool
	space  *reserve.Space
	files  shards
	// shrinks: keys were removed from the index since it was last asked to give
	// their space back, which it does by itself only while it grows.
	shrinks atomic.Bool

	mu   sync.Mutex // guards held; never locked across I/O
	held Holding

	shutOnce sync.Once
	shutDone chan struct{}
	shutErr  error // set before shutDone is closed
}

var _ Drive = (*disk)(nil)

func newDisk(p *Claimed, id Identity) *disk {
	d := &disk{
		place: p, id: id, path: p.path, opts: &p.opts, at: p.at,
		turn: make(chan struct{}, 1), shutDone: make(chan struct{}),
	}
	d.space = reserve.New(p.fs, d.path, p.fs.PathJoin(d.path, nameReserve), p.opts.ReserveBytes)
	d.latch = latch.New(p.fs, latch.Options{
		OnLatch: func(cause error) {
			d.opts.Logger.Error("drive failed", "drive", d.path, "error", cause)
			if d.opened.Load() {
				go d.stop() // ends when the index is closed, which Close waits for
			}
		},
		OnFull: d.space.Relieve,
	})
	d.fs = d.latch.FS()
	d.files.init(d)
	return d
}

func (d *disk) indexOptions(create, readOnly bool) index.Options {
	return index.Options{
		Logger: d.opts.Logger, Cache: d.opts.Cache.Pebble(), Memory: d.opts.Memory,
		Create: create, ReadOnly: readOnly, Fatal: d.latch.Trip, Changed: d.pool.outdate,
	}
}

func indexError(err error) error {
	switch {
	case errors.Is(err, index.ErrCorrupt), errors.Is(err, index.ErrMissing):
		return fmt.Errorf("%w: %w", ErrCorruptIndex, err)
	case errors.Is(err, index.ErrNewer):
		return fmt.Errorf("%w: %w", ErrNewerFormat, err)
	}
	return err
}

func isAbsent(err error) bool { return errors.Is(err, pebble.ErrNotFound) }

// open opens the index, or creates it with the state in held.
func (d *disk) open(ctx context.Context, create bool) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if _, err := d.space.Measure(); err != nil {
		return err
	}
	db, err := index.Open(d.latch.Index(), d.fs.PathJoin(d.path, nameIndex), d.indexOptions(create, d.opts.ReadOnly))
	if err != nil {
		return errors.Join(indexError(err), d.latch.Err())
	}
	d.db = db
	d.gate.open()
	d.opened.Store(true)
	if create {
		err = d.begin()
	} else {
		err = d.load()
	}
	if err == nil {
		err = d.latch.Err()
	}
	if err != nil {
		return errors.Join(err, d.shut())
	}
	d.pool.init(d.db, d.held.Last.Position)
	return nil
}

func (d *disk) begin() error {
	state, err := EncodeState(&d.held.State)
	if err != nil {
		return err
	}
	id, err := d.id.value()
	if err != nil {
		return err
	}
	b := d.db.NewBatch()
	defer b.Close()
	return errors.Join(b.Set(keyState, state, nil), b.Set(keyDrive, id, nil), d.commit(b))
}

// load reads what the drive holds.
func (d *disk) load() error {
	err := d.loadState()
	if err == nil {
		err = d.loadLog()
	}
	if err != nil && !errors.Is(err, ErrNewerFormat) && (pebble.IsCorruptionError(err) || errors.Is(err, ErrBadRecord)) {
		err = fmt.Errorf("%w: %w", ErrCorruptIndex, err)
	}
	return err
}

// loadState reads all that stands under `s`. A name that is not known is a
// newer version's way to say that this one must not go on.
func (d *disk) loadState() (err error) {
	lo, hi := TypeRange(typeState)
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	found := map[string]bool{}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		found[string(it.Key())] = true
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			err = d.loadValue(it.Key(), value)
		}
	}
	if err = errors.Join(err, it.Error(), it.Close()); err == nil && !(found[string(keyState)] && found[string(keyDrive)]) {
		err = fmt.Errorf("%w: an index that does not say whose it is, or has no state", ErrBadRecord)
	}
	return err
}

func (d *disk) loadValue(key, value []byte) (err error) {
	h := &d.held
	switch string(key) {
	case string(keyDrive):
		err = d.id.is(value)
	case string(keyPromise):
		h.Promise, err = DecodePromise(value)
	case string(keyState):
		h.State, err = DecodeState(value)
	case string(keySeal):
		h.Seal, err = DecodeSeal(value)
	case string(keyStable):
		h.Stable, err = DecodeMark(value)
	case string(keyRemoved):
		h.Removed, err = DecodeRemoved(value)
	case string(keyRebuild):
		var r Rebuild
		r, err = DecodeRebuild(value)
		h.Rebuild = &r
	default:
		err = fmt.Errorf("%w: %q in the state of the drive", ErrNewerFormat, head(key, 64))
	}
	return err
}

func (d *disk) loadLog() error {
	it, err := d.db.NewIter(logBounds())
	if err != nil {
		return err
	}
	h := &d.held
	h.Last = h.Stable
	if h.Rebuild != nil {
		h.Last = h.Rebuild.Base
	}
	if it.First() {
		h.First, err = parseLogKey(it.Key())
	}
	if err == nil && it.Last() {
		var e *Entry
		if e, err = decodeLog(it); err == nil {
			h.Last = Mark{Position: e.Position, Chain: e.Chain}
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// recentChains remembers the chains of the newest entries that were applied,
// so that a mark is checked against the log without reading it. It is for
// whoever has the drive's turn.
type recentChains struct {
	ring [512]Mark // by position; a zero position is none
}

// applied notes entries that were written. rewrites: what stood at older
// positions before may be another log's now.
func (r *recentChains) applied(entries []*Entry, rewrites bool) {
	if rewrites {
		clear(r.ring[:])
	}
	for _, e := range entries {
		r.ring[e.Position%Position(len(r.ring))] = Mark{Position: e.Position, Chain: e.Chain}
	}
}

// at gives the chain at a position at or below the newest entry, where it is
// still remembered.
func (r *recentChains) at(p Position) (Chain, bool) {
	m := &r.ring[p%Position(len(r.ring))]
	return m.Chain, p != 0 && m.Position == p
}

// gate counts the calls that use the index, so that it is closed under none.
type gate struct {
	users   atomic.Int64 // calls inside; gateClosed is added when the gate closes
	once    sync.Once
	drained chan struct{}
}

const gateClosed = 1 << 62

func (g *gate) open() { g.drained = make(chan struct{}) }

func (g *gate) enter() bool {
	if g.users.Add(1) >= gateClosed {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() {
	if g.users.Add(-1) == gateClosed {
		g.once.Do(func() { close(g.drained) })
	}
}

// close lets nobody in any more and waits for those inside. It is called once.
func (g *gate) close() {
	g.users.Add(gateClosed + 1)
	g.leave()
	<-g.drained
}

// enter lets a call use the index until leave. Once latched nobody gets in:
// the index holds what was never made durable.
func (d *disk) enter() error {
	if err := d.latch.Err(); err != nil && !d.ended.Load() {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if !d.gate.enter() {
		return ErrClosed
	}
	return nil
}

// stop closes the index, once. Iterators that are open end with it.
func (d *disk) stop() {
	d.shutOnce.Do(func() {
		defer close(d.shutDone)
		if d.opened.Load() {
			d.gate.close()
			d.shutErr = errors.Join(d.pool.close(), d.db.Close())
		}
	})
	<-d.shutDone
}

// shut closes the drive, in bounded time.
func (d *disk) shut() error {
	d.ended.Store(true)
	go d.stop() // ends when the kernel gives its calls back; the loop below waits for that
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-d.shutDone:
	case <-limit.C:
		return fmt.Errorf("closing %s: the index is still in use after %v", d.path, closeLimit)
	}
	if d.latch.Err() != nil {
		return nil // it failed, and that was told; what the index says now means nothing
	}
	return d.shutErr
}

// Close implements Drive.
func (d *disk) Close() error {
	err := d.shut()
	d.place.closed(d)
	return err
}

// Identity implements Drive.
func (d *disk) Identity() Identity { return d.id }

// Shards implements Drive.
func (d *disk) Shards() Shards { return &d.files }

// Holding implements Drive.
func (d *disk) Holding(ctx context.Context) (Holding, error) {
	if err := d.enter(); err != nil {
		return Holding{}, err
	}
	defer d.gate.leave()
	return d.holding(), ctx.Err()
}

// holding is a copy of what is held, that the caller may keep and change.
func (d *disk) holding() Holding {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.held
	h.State = h.State.clone()
	if h.Rebuild != nil {
		r := *h.Rebuild
		r.Cursor = slices.Clone(r.Cursor)
		h.Rebuild = &r
	}
	return h
}

func (s State) clone() State {
	s.InSync, s.Names = slices.Clone(s.InSync), slices.Clone(s.Names)
	for i := range s.Names {
		s.Names[i].Past = slices.Clone(s.Names[i].Past)
	}
	return s
}

// promised tells whether p is the promise that the drive has given.
func (d *disk) promised(p Promise) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p != d.held.Promise {
		return fmt.Errorf("%w: %v", ErrPromised, d.held.Promise.Owner)
	}
	return nil
}

// mutate waits for the turn and the index; done gives both back.
func (d *disk) mutate(ctx context.Context) (done func(), err error) {
	if d.opts.ReadOnly {
		return nil, ErrReadOnly
	}
	if err := takeTurn(ctx, d.turn); err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		<-d.turn
		return nil, err
	}
	return func() { d.gate.leave(); <-d.turn }, nil
}

// commit writes a batch, synced, and believes it only if the latch is open.
func (d *disk) commit(b *pebble.Batch) error {
	if err := d.latch.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	size := b.Len()
	if err := b.Commit(pebble.Sync); err != nil {
		d.latch.Trip(err)
	}
	if err := d.latch.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	d.space.Wrote(indexWrites * int64(size))
	return nil
}

// Promise implements Drive.
func (d *disk) Promise(ctx context.Context, p Promise) (Holding, error) {
	done, err := d.mutate(ctx)
	if err != nil {
		return Holding{}, err
	}
	defer done()
	if held := d.holding().Promise; p.Epoch <= held.Epoch && p.Owner != held.Owner {
		return Holding{}, fmt.Errorf("%w: %v", ErrPromised, held.Owner)
	}
	value, err := EncodePromise(p)
	if err != nil {
		return Holding{}, err
	}
	b := d.db.NewBatch()
	defer b.Close()
	if err := errors.Join(b.Set(keyPromise, value, nil), d.commit(b)); err != nil {
		return Holding{}, err
	}
	d.mu.Lock()
	d.held.Promise = p
	d.mu.Unlock()
	return d.holding(), nil
}

// Probe implements Drive.
func (d *disk) Probe(ctx context.Context) (Usage, error) {
	if err := d.enter(); err != nil {
		return Usage{}, err
	}
	defer d.gate.leave()
	if err := ctx.Err(); err != nil {
		return Usage{}, context.Cause(ctx)
	}
	at, err := vfs.Identify(d.fs, d.path)
	if err == nil && at != d.at || errors.Is(err, fs.ErrNotExist) {
		return Usage{}, fmt.Errorf("%w: %s is another directory, or none", ErrGone, d.path)
	}
	if err != nil && !errors.Is(err, vfs.ErrNoIdentity) {
		return Usage{}, err
	}
	id, err := readFormat(d.fs, d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Usage{}, fmt.Errorf("%w: %s has no %s", ErrGone, d.path, nameFormat)
	}
	if err == nil && id != d.id {
		return Usage{}, fmt.Errorf("%w: %s says %s and not %s", ErrGone, d.path, id.Drive, d.id.Drive)
	}
	if err != nil {
		return Usage{}, err
	}
	d.pool.prune()
	u, err := d.space.Measure()
	if err == nil && u.Free < u.Reserve && d.shrinks.Swap(false) {
		_, err = d.db.AsyncFlush() // what was removed takes its space until tables without it are written
	}
	if d.opts.ReadOnly {
		u.Free = 0
	}
	return Usage{Total: u.Total, Free: u.Free, Reserve: u.Reserve, IndexSize: d.db.Metrics().DiskSpaceUsage()}, err
}
