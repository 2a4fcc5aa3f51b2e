package driveset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/fanout"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/sherd-storage/sherd/layout"
)

// DataSpec says what bytes are for. Bucket, Key, Upload and Part go into the
// headers of shard files, for salvage.
type DataSpec struct {
	Bucket layout.BucketID
	Key    string
	Upload layout.UploadID
	Part   uint32
	Parity int // wanted; −1: the default for the number of drives of the set
}

// Staged is bytes that are on the drives, or erasure-coded in memory, and that
// no entry has added yet. Nobody can see them. Not safe for concurrent use.
type Staged struct {
	Size  int64
	Place layout.Place

	t         *tenure
	spec      DataSpec // as it was asked for
	parity    int
	data      []byte // of inline data
	add       layout.Add
	holders   quorum.Drives
	written   []*member // drives with a shard file
	committed bool
}

// Stage takes a body to the drives. size is what it must have, −1 where that
// is not known. Small bodies are erasure-coded in memory and travel with the
// entry that adds them; others become shard files, synced with their
// directories when Stage returns. Nothing is locked and nothing is visible.
//
// A body of another length than announced is stripe.ErrShortBody or
// stripe.ErrLongBody; an error of the body is returned as it is.
func (s *Set) Stage(ctx context.Context, body io.Reader, size int64, spec DataSpec) (*Staged, error) {
	t, err := s.serving()
	if err != nil {
		return nil, err
	}
	asked := spec
	if spec.Parity < 0 {
		spec.Parity = quorum.DefaultParity(s.n)
	}
	drives, err := t.placement()
	if err != nil {
		return nil, err
	}
	k, m := quorum.Geometry(len(drives), spec.Parity)
	st := &Staged{t: t, spec: asked, parity: spec.Parity}
	head, whole, err := readHead(body, size, int64(k)*s.opt.InlineBytes)
	switch {
	case err != nil:
		return nil, err
	case whole && len(head) == 0:
		return st, nil
	case whole:
		st.Size, st.data = int64(len(head)), head
		return st, st.inline(drives, m)
	}
	return st, st.files(ctx, io.MultiReader(bytes.NewReader(head), body), size, spec, drives, m)
}

// Move lays bytes that nothing was committed of out in another set. Both are to be
// discarded.
func (st *Staged) Move(ctx context.Context, to *Set) (*Staged, error) {
	var data Data = &inMemory{data: st.data}
	if st.Place.Kind == layout.PlaceFile {
		var err error
		if data, err = st.t.set.fileData(ctx, st.Place, 0, st.Size); err != nil {
			return nil, err
		}
	}
	defer data.Close()
	return to.Stage(ctx, data, st.Size, st.spec)
}

// readHead reads a body as far as it may be inline; whole when that is all of
// it.
func readHead(body io.Reader, size, limit int64) (head []byte, whole bool, err error) {
	if size > limit {
		return nil, false, nil
	}
	if size < 0 {
		head, err = io.ReadAll(io.LimitReader(body, limit+1))
		return head, err == nil && int64(len(head)) <= limit, err
	}
	head = make([]byte, size)
	n, err := io.ReadFull(body, head)
	if errors.Is(err, io.EOF) && n == 0 && size > 0 || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, false, fmt.Errorf("%w: %d of %d bytes: %w", stripe.ErrShortBody, n, size, io.ErrUnexpectedEOF)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	// The body is read to its end: that is where it says that it was whole.
	var more [1]byte
	switch n, err := io.ReadFull(body, more[:]); {
	case n > 0:
		return nil, false, fmt.Errorf("%w: more than %d bytes", stripe.ErrLongBody, size)
	case !errors.Is(err, io.EOF):
		return nil, false, err
	}
	return head, true, nil
}

// placement gives the drives that a new object is laid out on: all that are
// in-sync, beginning with another one each time.
func (t *tenure) placement() ([]*member, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stuck != nil {
		return nil, readOnly(t.stuck)
	}
	drives := make([]*member, 0, t.n)
	for slot := range t.target().All() {
		if m := t.members[slot]; m.failed == nil {
			drives = append(drives, m)
		}
	}
	if len(drives) < t.set.q {
		return nil, ErrReadOnly
	}
	turn := int(t.turn) % len(drives)
	t.turn++
	return append(drives[turn:len(drives):len(drives)], drives[:turn]...), nil
}

// name gives the bytes their data id and lays them out.
func (st *Staged) name(drives []*member, parity int) {
	t := st.t
	st.add = layout.Add{Data: layout.DataID{Owner: t.owner, Counter: t.data.Add(1)}, Parity: uint8(parity), Size: st.Size}
	st.add.Drives = make([]layout.DriveID, len(drives))
	for i, m := range drives {
		st.add.Drives[i] = t.named()[m.slot].Drive
	}
}

func (st *Staged) geometry() erasure.Geometry {
	return erasure.Geometry{Data: st.add.DataShards(), Parity: int(st.add.Parity)}
}

// inline codes the bytes in memory.
func (st *Staged) inline(drives []*member, parity int) error {
	st.name(drives, parity)
	st.add.Inline = true
	var err error
	if st.add.Shards, err = st.t.set.engine.EncodeInline(st.data, st.geometry(), st.add.Data.Bytes()); err != nil {
		return err
	}
	st.holders = 0
	for _, m := range drives {
		st.holders |= quorum.One(m.slot)
	}
	st.place(layout.PlaceInline)
	return nil
}

func (st *Staged) place(kind layout.PlaceKind) {
	st.Place = layout.Place{Kind: kind, Data: st.add.Data, Parity: st.add.Parity, Drives: st.add.Drives, Size: st.Size}
}

// Again lays inline data out over the drives that are in-sync now, after its
// entry was aborted. Bytes that went to shard files are gone: ErrAborted.
func (st *Staged) Again(context.Context) error {
	if st.Place.Kind == layout.PlaceNone {
		return nil
	}
	if !st.add.Inline {
		return ErrAborted
	}
	t, err := st.t.set.serving()
	if err != nil {
		return err
	}
	st.t = t
	drives, err := t.placement()
	if err != nil {
		return err
	}
	_, m := quorum.Geometry(len(drives), st.parity)
	st.committed = false
	return st.inline(drives, m)
}

// Discard removes the shard files of bytes that no entry will add. After a
// commit, whatever its outcome, it does nothing: an aborted entry's files are
// removed with it.
func (st *Staged) Discard() {
	if st.committed {
		return
	}
	st.t.atOnce(0).Do(context.Background(), len(st.written), func(i int) error {
		m := st.written[i]
		return m.drive.Shards().Remove(context.Background(), m.promise, st.add.Data)
	})
	st.written = nil
}

// atOnce makes calls to several drives: once enough have succeeded the others
// get no longer than the stall limit.
func (t *tenure) atOnce(enough int) fanout.Calls {
	return fanout.Calls{Enough: enough, Limit: t.set.opt.StallLimit, Go: t.set.spawn}
}

// files writes one shard file a drive.
func (st *Staged) files(ctx context.Context, body io.Reader, size int64, spec DataSpec, drives []*member, parity int) error {
	st.name(drives, parity)
	g := st.geometry()
	need := quorum.Shards(g.Shards(), g.Data)
	w, err := st.create(ctx, spec, drives, need, size)
	if err != nil {
		return err
	}
	res, err := st.t.set.engine.Encode(ctx, body, size, g, st.add.Data.Bytes(), w.sinks(),
		&stripe.EncodeOptions{Need: need, StallAfter: st.t.set.opt.StallLimit})
	st.drop(w, res, err == nil)
	if err == nil {
		st.Size, st.add.Size = res.ObjectBytes, res.ObjectBytes
		err = st.commitFiles(ctx, w, res, need)
	}
	if err != nil {
		st.abort(w)
		st.Discard()
		if errors.Is(err, stripe.ErrTooFewSinks) {
			err = unwritten(err)
		}
		return err
	}
	st.place(layout.PlaceFile)
	return nil
}

// shardFiles are the files of one write, by shard number; nil for a shard that
// could not be written.
type shardFiles struct {
	members []*member
	files   []layout.ShardWriter
	errs    []error
}

// create begins the files, on all drives at once.
func (st *Staged) create(ctx context.Context, spec DataSpec, drives []*member, need int, size int64) (*shardFiles, error) {
	g := st.geometry()
	w := &shardFiles{members: drives, files: make([]layout.ShardWriter, len(drives)), errs: make([]error, len(drives))}
	payload, err := g.ShardBytes(max(size, 0))
	if err != nil {
		return nil, err
	}
	made := make([]layout.ShardWriter, len(drives))
	calls := st.t.atOnce(need)
	calls.AfterLate = func(i int, err error) {
		if err == nil {
			_ = made[i].Abort()
		}
	}
	w.errs = calls.Do(ctx, len(drives), func(i int) (err error) {
		m := drives[i]
		if m.free.Load() < payload {
			return fmt.Errorf("%w on %s", ErrNoSpace, m.place.Path)
		}
		made[i], err = m.drive.Shards().Create(ctx, m.promise, layout.ShardHeader{
			Deployment: st.t.set.deployment, Pool: st.t.set.opt.Pool, Set: st.t.set.opt.Set, Bucket: spec.Bucket, Key: spec.Key, Data: st.add.Data, Upload: spec.Upload,
			Part: spec.Part, Shard: i, DataShards: g.Data, Parity: g.Parity,
		})
		return err
	})
	for i, err := range w.errs {
		if err == nil {
			w.files[i] = made[i]
		}
		st.t.tooLate(drives[i], err)
	}
	if err := w.enough(ctx, need); err != nil {
		st.abort(w)
		return nil, err
	}
	return w, nil
}

// enough: at least need shards are still good, and somebody waits for them. Where too few are, the errors
// say why; no space is told from other reasons.
func (w *shardFiles) enough(ctx context.Context, need int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	good := 0
	for i := range w.files {
		if w.errs[i] == nil {
			good++
		}
	}
	if good >= need {
		return nil
	}
	return unwritten(fmt.Errorf("%d shards could be written, %d are needed: %w", good, need, errors.Join(w.errs...)))
}

// unwritten is the error of a body that could not be brought to enough drives.
func unwritten(err error) error {
	if errors.Is(err, ErrNoSpace) || errors.Is(err, layout.ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// sinks gives the files in the form that the encoder writes to.
func (w *shardFiles) sinks() []stripe.ShardWriter {
	out := make([]stripe.ShardWriter, len(w.files))
	for i, f := range w.files {
		if w.errs[i] == nil {
			w.files[i] = &sink{ShardWriter: f}
			out[i] = w.files[i]
		}
	}
	return out
}

// sink is a file that the encoder writes to. It knows whether a write is on its
// way, which may never return.
type sink struct {
	layout.ShardWriter

	mu   sync.Mutex // guards what follows, never locked across I/O
	busy bool
	lost bool // the file is nobody's but the write's
}

func (s *sink) Write(p []byte) (int, error) {
	s.note(true)
	n, err := s.ShardWriter.Write(p)
	if s.note(false) {
		_ = s.Abort()
	}
	return n, err
}

func (s *sink) note(busy bool) (lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = busy
	return s.lost
}

// abandon removes a file whose write stalled, once that has returned.
func (t *tenure) abandon(f layout.ShardWriter) {
	s, ok := f.(*sink)
	if !ok {
		return
	}
	s.mu.Lock()
	s.lost = true
	busy := s.busy
	s.mu.Unlock()
	if !busy {
		t.set.spawn(func() { _ = s.Abort() })
	}
}

// abort removes what was written.
func (st *Staged) abort(w *shardFiles) {
	st.t.atOnce(0).Do(context.Background(), len(w.files), func(i int) error {
		if f := w.files[i]; f != nil {
			return f.Abort()
		}
		return nil
	})
}

// drop takes out the files that the encoder could not write. One that stalled
// belongs to the call that has not returned; if enough others did, its drive
// leaves the set.
func (st *Staged) drop(w *shardFiles, res stripe.Encoded, enough bool) {
	for i, err := range res.Errs {
		if err == nil || w.errs[i] != nil {
			continue
		}
		w.errs[i] = err
		if errors.Is(err, stripe.ErrStalled) {
			st.t.abandon(w.files[i])
			w.files[i] = nil
			if enough {
				st.t.tooLate(w.members[i], fanout.ErrLate)
			}
		}
	}
}

// commitFiles ends and syncs the files. Once enough are durable the rest get
// no longer than the stall limit; a drive that is later than that leaves the
// set.
func (st *Staged) commitFiles(ctx context.Context, w *shardFiles, res stripe.Encoded, need int) error {
	whole := context.WithoutCancel(ctx) // a file is ended or not, whoever waits for it
	trailer := layout.Trailer{Size: res.ObjectBytes, Payload: res.ShardBytes}
	before, files := w.errs, slices.Clone(w.files)
	w.errs = st.t.atOnce(need).Do(ctx, len(files), func(i int) error {
		if before[i] != nil {
			return before[i]
		}
		return files[i].Commit(whole, trailer)
	})
	st.holders = 0
	for i, err := range w.errs {
		switch {
		case before[i] != nil:
			continue
		case err == nil:
			st.written = append(st.written, w.members[i])
			st.holders |= quorum.One(w.members[i].slot)
		}
		w.files[i] = nil // ended, or its call's
		st.t.tooLate(w.members[i], err)
	}
	err := w.enough(ctx, need)
	if err == nil {
		st.abort(w)
	}
	return err
}

// tooLate takes out a drive whose call was given up.
func (t *tenure) tooLate(m *member, err error) {
	if errors.Is(err, fanout.ErrLate) {
		t.giveUp(m, errLate)
	}
}

// giveUp takes a drive out of the set.
func (t *tenure) giveUp(m *member, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.members[m.slot] == m && (t.target()&^quorum.One(m.slot)).Count() >= t.set.q {
		t.fail(m, err)
	}
}

// readOnly is why a set does not write, said once.
func readOnly(why error) error {
	if errors.Is(why, ErrReadOnly) {
		return why
	}
	return fmt.Errorf("%w: %w", ErrReadOnly, why)
}
