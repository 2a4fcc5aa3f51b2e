package sherd

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
)

// digests says what is to be computed from a body and compared.
type digests struct {
	md5      bool
	expected []byte // MD5
	checksum *ChecksumRequest
	verify   func() error
}

// Memory that a request takes for its buffers.
const (
	streamBytes    = 4 << 20   // of a body or an object that streams, at most
	smallBodyBytes = 256 << 10 // bodies up to here are hashed while they are read, larger ones beside it
	perRequest     = 16 << 10  // for the rest
	chunkBytes     = 128 << 10
	chunksAhead    = 3 // that a digest may be behind the body
)

// bodyMemory estimates the buffers of a body.
func bodyMemory(size int64) int64 {
	if size < 0 {
		return streamBytes
	}
	return min(streamBytes, perRequest+4*size)
}

// memory takes the buffers of a body of a size from the budget. Large ones leave
// some to small ones, which would else wait for clients that send or take slowly.
func (s *Store) memory(ctx context.Context, size int64) (free func(), _ error) {
	n := bodyMemory(size)
	if n < streamBytes {
		return s.budget.Acquire(ctx, n)
	}
	leave, err := s.streams.Acquire(ctx, n)
	if err != nil {
		return nil, err
	}
	bytes, err := s.budget.Acquire(ctx, n)
	if err != nil {
		leave()
		return nil, err
	}
	return func() { bytes(); leave() }, nil
}

// sumsOfBody is what was computed from a body.
type sumsOfBody struct {
	hasMD5    bool
	md5       [md5.Size]byte
	checksums []Checksum
}

// staging is bytes on their way, and the memory that they keep.
type staging struct {
	*driveset.Staged
	set  *driveset.Set // on whose drives
	free func()
}

func (st *staging) discard() {
	st.Discard()
	st.free()
}

// stage takes a body to the drives of a set, where nobody sees it, and verifies it. It
// holds no lock.
func (s *Store) stage(ctx context.Context, set *driveset.Set, from io.Reader, size int64, d digests, spec driveset.DataSpec) (*staging, sumsOfBody, error) {
	free := func() {}
	if o, ok := from.(*Object); !ok || o.store != s { // an object that is read brought its memory
		var err error
		if free, err = s.memory(ctx, size); err != nil {
			return nil, sumsOfBody{}, err
		}
	}
	body, err := s.newBody(from, size, d)
	if err != nil {
		free()
		return nil, sumsOfBody{}, err
	}
	defer body.close()
	staged, err := set.Stage(ctx, body, size, spec)
	if err != nil {
		free()
		return nil, sumsOfBody{}, err
	}
	st := &staging{staged, set, free}
	sums, err := body.verify(d)
	if err != nil {
		st.discard()
	}
	return st, sums, err
}

// body is what the drives read from: it counts and hashes what goes through.
type body struct {
	from    io.Reader
	size    int64 // −1 not known
	read    int64
	digests []digest
	chunk   *chunk // being filled, for digests that run beside
	pool    *Store
	beside  bool
}

// digest is one hash over a body.
type digest struct {
	algorithm ChecksumAlgorithm // 0: MD5
	hash      hash.Hash
	in        chan *chunk
	done      chan struct{}
}

// chunk is bytes that several digests read.
type chunk struct {
	bytes   []byte
	readers atomic.Int32
}

func (s *Store) newBody(from io.Reader, size int64, d digests) (*body, error) {
	if from == nil {
		from = bytes.NewReader(nil)
	}
	if d.expected != nil && len(d.expected) != md5.Size {
		return nil, fmt.Errorf("%w: an MD5 of %d bytes", ErrInvalidArgument, len(d.expected))
	}
	b := &body{from: from, size: size, pool: s}
	if d.md5 {
		b.digests = append(b.digests, digest{hash: md5.New()})
	}
	if d.checksum != nil {
		for i, a := range d.checksum.Algorithms {
			h, err := a.New()
			if err != nil {
				return nil, err
			}
			if slices.Contains(d.checksum.Algorithms[:i], a) {
				return nil, fmt.Errorf("%w: %v is asked for twice", ErrInvalidArgument, a)
			}
			b.digests = append(b.digests, digest{algorithm: a, hash: h})
		}
	}
	if b.beside = len(b.digests) > 0 && (size < 0 || size > smallBodyBytes); b.beside {
		for i := range b.digests {
			b.digests[i].run(s)
		}
	}
	return b, nil
}

// run hashes beside the caller what comes by d.in.
func (d *digest) run(s *Store) {
	d.in, d.done = make(chan *chunk, chunksAhead), make(chan struct{})
	go func() {
		defer close(d.done)
		for c := range d.in {
			d.hash.Write(c.bytes)
			s.putChunk(c)
		}
	}()
}

func (s *Store) putChunk(c *chunk) {
	if c.readers.Add(-1) == 0 {
		s.chunks.Put(c)
	}
}

// Read reads on, and says where the length is wrong.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.read += int64(n)
	b.hash(p[:n])
	switch {
	case b.size >= 0 && b.read > b.size:
		return 0, fmt.Errorf("%w: more than %d bytes", ErrLongBody, b.size) // without bytes, so that the error is what is seen
	case b.read > MaxObjectBytes:
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, int64(MaxObjectBytes))
	case err == io.EOF && b.read < b.size:
		return n, fmt.Errorf("%w: %d of %d bytes", ErrShortBody, b.read, b.size)
	}
	return n, err
}

func (b *body) hash(p []byte) {
	if !b.beside {
		for i := range b.digests {
			b.digests[i].hash.Write(p)
		}
		return
	}
	for len(p) > 0 {
		if b.chunk == nil {
			b.chunk = b.pool.chunks.Get().(*chunk)
			if b.chunk.bytes == nil {
				b.chunk.bytes = make([]byte, 0, chunkBytes)
			}
			b.chunk.bytes = b.chunk.bytes[:0]
		}
		n := min(len(p), chunkBytes-len(b.chunk.bytes))
		b.chunk.bytes = append(b.chunk.bytes, p[:n]...)
		p = p[n:]
		if len(b.chunk.bytes) == chunkBytes {
			b.pass()
		}
	}
}

// pass gives the chunk to every digest.
func (b *body) pass() {
	c := b.chunk
	b.chunk = nil
	c.readers.Store(int32(len(b.digests)))
	for i := range b.digests {
		b.digests[i].in <- c
	}
}

// close waits until everything that was read is hashed. Closing twice does
// nothing.
func (b *body) close() {
	if !b.beside {
		return
	}
	if b.chunk != nil {
		b.pass()
	}
	for i := range b.digests {
		close(b.digests[i].in)
	}
	for i := range b.digests {
		<-b.digests[i].done
	}
	b.beside = false
}

// verify compares what was read with what was expected.
func (b *body) verify(d digests) (out sumsOfBody, err error) {
	if d.verify != nil {
		if err := d.verify(); err != nil {
			return out, err
		}
	}
	b.close()
	for i := range b.digests {
		sum := b.digests[i].hash.Sum(nil)
		if a := b.digests[i].algorithm; a != 0 {
			out.checksums = append(out.checksums, Checksum{Algorithm: a, Type: FullObject, Value: sum})
			continue
		}
		out.hasMD5, out.md5 = true, [md5.Size]byte(sum)
		if d.expected != nil && !bytes.Equal(sum, d.expected) {
			return out, fmt.Errorf("%w: MD5", ErrBadDigest)
		}
	}
	return out, d.checksum.check(out.checksums)
}

// check compares checksums with those that are expected.
func (r *ChecksumRequest) check(have []Checksum) error {
	if r == nil || r.Expected == nil {
		return nil
	}
	expected, err := r.Expected()
	if err != nil {
		return err
	}
	for _, want := range expected {
		if !slices.ContainsFunc(have, want.Equal) {
			return fmt.Errorf("%w: %v", ErrBadDigest, want.Algorithm)
		}
	}
	return nil
}

// Objects that were written while drives were away are laid out over the others.
// Once all have been in-sync for a while they are laid out anew.
const (
	widenEvery  = time.Minute
	widenAfter  = time.Minute
	widenAgain  = time.Hour // after a time that left some as they were
	widenBytes  = 32 << 20  // a second, by itself
	widenOwners = 256       // bytes that more versions share stay as they are
)

// widenAll lays out anew what can be, until the context ends.
func (s *Store) widenAll(ctx context.Context) {
	every := time.NewTicker(widenEvery)
	defer every.Stop()
	resting := map[*driveset.Set]int{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		for _, set := range s.sets() {
			if resting[set]--; resting[set] > 0 || set.Narrow() == 0 || !set.Settled(widenAfter) {
				continue
			}
			if n, err := s.widen(ctx, set, widenBytes); err != nil && ctx.Err() == nil {
				s.opt.Logger.InfoContext(ctx, "objects are laid out over all drives later", "done", n, "error", err)
			}
			if set.Narrow() > 0 {
				resting[set] = int(widenAgain / widenEvery)
			}
		}
	}
}

// errUnsettled: a drive is away again.
var errUnsettled = errors.New("not all drives are in-sync")

// widen lays out anew what is laid out over fewer drives than a set has, and says
// how many objects and parts that were. bytes bounds how many it moves in a second.
func (s *Store) widen(ctx context.Context, set *driveset.Set, bytes int64) (n uint64, err error) {
	job := set.Begin(driveset.WorkRelayout, "")
	defer job.End()
	job.Expect(set.Narrow(), 0)
	err = set.Narrowed(ctx, func(item layout.Item, place layout.Place) error {
		if !set.Settled(0) {
			return errUnsettled
		}
		done, err := s.widenOne(ctx, set, item.Slot, place)
		if err != nil && (ctx.Err() != nil || errors.Is(err, driveset.ErrReadOnly) || errors.Is(err, driveset.ErrNoSpace) || errors.Is(err, errUnsettled)) {
			return err
		}
		if err != nil {
			s.opt.Logger.DebugContext(ctx, "an object stays as it is laid out", "data", place.Data.String(), "error", err)
		}
		if !done {
			return nil
		}
		n++
		job.Done(1, uint64(place.Size))
		if bytes <= 0 {
			return nil
		}
		pause := time.NewTimer(time.Duration(float64(place.Size) / float64(bytes) * float64(time.Second)))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	return n, err
}

// widenOne lays bytes out anew. They are written before any lock is taken. Who uses
// them together goes on doing so: one entry names the new shards in all their
// records, so that a copy by reference does not become one of bytes.
func (s *Store) widenOne(ctx context.Context, set *driveset.Set, slot layout.Slot, place layout.Place) (bool, error) {
	before, err := usersOf(ctx, set, slot, place)
	if err != nil || before == nil {
		return false, err
	}
	free, err := s.memory(ctx, place.Size)
	if err != nil {
		return false, err
	}
	defer free()
	data, err := set.OpenData(ctx, place, 0, place.Size)
	if err != nil {
		return false, err
	}
	defer data.Close()
	staged, err := set.Stage(ctx, data, place.Size, before.spec)
	if err != nil {
		return false, err
	}
	defer staged.Discard()
	if len(staged.Place.Drives) <= len(place.Drives) {
		return false, errUnsettled
	}
	unlock, err := s.locks.LockEach(ctx, before.wants...)
	if err != nil {
		return false, err
	}
	h := &hold{unlock: unlock, set: set}
	defer h.release()
	now, err := usersOf(ctx, set, slot, place)
	if err != nil || now == nil || !slices.Equal(now.wants, before.wants) ||
		len(now.records) > 1 && staged.Place.Kind == layout.PlaceInline { // which nobody shares
		return false, err
	}
	err = s.commit(ctx, h, driveset.Change{Staged: staged}, func(layout.Position, layout.Owner) ([]layout.Write, error) {
		return now.writes(place, staged.Place)
	})
	return err == nil, err
}

// HealOptions of healing. Nil: none.
type HealOptions struct {
	// Found is told, by the goroutine that heals, of what is found and what came of
	// it. Nil: nobody.
	Found func(Finding)
}

// HealSummary is what came of healing.
type HealSummary struct {
	Supplied  uint64 // shards that drives owed which took another's place
	Found     uint64 // things that were not as they should be
	Healed    uint64 // of them
	Left      uint64 // of them; they are as they were
	Widened   uint64 // objects and parts laid out over all drives again
	Discarded int    // files that nobody used: they are in quarantine
}

// Heal does now, as fast as it goes and to the end, what a store does by itself in
// its time: it gives drives the shards that they owe, reads and compares everything,
// mends what is missing or damaged, puts files aside that nobody uses, and lays
// out over all drives what was written while some were away, if all are there. An
// error means that it could not go on; what could not be mended is no error.
func (s *Store) Heal(ctx context.Context, o *HealOptions) (sum HealSummary, err error) {
	op := s.begin("heal", "", "", "")
	defer op.end(&err)
	if s.closed.Load() {
		return sum, ErrClosed
	}
	for _, set := range s.sets() {
		part, err := set.Heal(ctx, func(f driveset.Finding) {
			if o != nil && o.Found != nil {
				o.Found(finding(f))
			}
		})
		sum.Supplied, sum.Found, sum.Healed = sum.Supplied+part.Supplied, sum.Found+part.Found, sum.Healed+part.Healed
		sum.Left, sum.Discarded = sum.Left+part.Left, sum.Discarded+part.Discarded
		if err != nil {
			return sum, err
		}
		if set.Narrow() == 0 || !set.Settled(0) {
			continue
		}
		n, err := s.widen(ctx, set, 0)
		if sum.Widened += n; err != nil && !errors.Is(err, errUnsettled) {
			return sum, err
		}
	}
	return sum, nil
}
