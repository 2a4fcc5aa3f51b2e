package sherd

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync/atomic"

	"github.com/sherd-storage/sherd/internal/budget"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/seal"
	"github.com/sherd-storage/sherd/layout"
)

// digests says what is to be computed from a body and compared.
type digests struct {
	md5      bool
	expected []byte // MD5
	checksum *ChecksumRequest
	verify   func() error
	seal     *Encryption // nil: the bytes are stored as they are
}

// Encryption says that bytes are encrypted before they reach any drive, with
// AES-256-GCM, and how. Sizes, ranges, checksums and limits are those of the plain
// bytes all the same; names, descriptions and tags are not encrypted.
type Encryption struct {
	// Key of this object alone, random. The store never keeps it: without it the
	// bytes are lost.
	Key [32]byte
	// Envelope is kept with the version and given back, at most MaxEnvelopeBytes:
	// what its owner finds the key by, as the key sealed by another. It is not
	// encrypted.
	Envelope []byte
	// HideMD5 makes the ETag that is asked for with MD5 one by the key that looks
	// like an MD5, since that of the plain bytes tells who guesses them that they
	// are so.
	HideMD5 bool
}

// validate gives ErrInvalidArgument or ErrTooLarge; nil is nothing to object to.
func (e *Encryption) validate() error {
	switch {
	case e == nil:
		return nil
	case e.Key == [seal.KeyBytes]byte{}:
		return fmt.Errorf("%w: the key of an encryption is all zeros", ErrInvalidArgument)
	case len(e.Envelope) > MaxEnvelopeBytes:
		return fmt.Errorf("%w: an envelope of %d bytes, at most %d", ErrTooLarge, len(e.Envelope), MaxEnvelopeBytes)
	}
	return nil
}

// begin gives a new salt, and what a record has to say of what is encrypted with
// it; nil for what is not.
func (e *Encryption) begin() (*layout.Sealed, error) {
	if e == nil {
		return nil, nil
	}
	out := &layout.Sealed{Envelope: e.Envelope}
	if _, err := rand.Read(out.Salt[:]); err != nil {
		return nil, err
	}
	check, err := (&seal.Key{Of: e.Key, Salt: out.Salt}).Check()
	out.Check = check
	return out, err
}

// fits says whether bytes that are encrypted so can belong to an object: ErrEncrypted
// where only the object is, ErrKey where it has another key.
func (e *Encryption) fits(object *layout.Sealed) error {
	switch {
	case object == nil && e == nil:
		return nil
	case e == nil:
		return ErrEncrypted
	case object == nil:
		return fmt.Errorf("%w: the object is not encrypted", ErrInvalidArgument)
	}
	return opens(object, e.Key)
}

// opens gives ErrKey unless the key is that of an encrypted object.
func opens(object *layout.Sealed, key [seal.KeyBytes]byte) error {
	is, err := (&seal.Key{Of: key, Salt: object.Salt}).Is(object.Check)
	if err == nil && !is {
		err = ErrKey
	}
	return err
}

// envelope of a version; nil where it is not encrypted.
func envelope(s *layout.Sealed) []byte {
	if s == nil {
		return nil
	}
	return append([]byte{}, s.Envelope...)
}

// ofPart is what the record of a part says: the rest is its object's.
func ofPart(s *layout.Sealed) *layout.Sealed {
	if s == nil {
		return nil
	}
	return &layout.Sealed{Salt: s.Salt}
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

// memory takes the buffers of a body of a size from the budget. What is large leaves
// some to what is small, and what is written some to what is read: else it would wait
// for clients that send or take slowly.
func (s *Store) memory(ctx context.Context, size int64, read bool) (free func(), _ error) {
	n, of := bodyMemory(size), []*budget.Budget{s.streams, s.writes, s.budget}
	if n < streamBytes {
		of = of[1:]
		if read {
			of = of[1:]
		}
	}
	var held []func()
	free = func() {
		for _, release := range held {
			release()
		}
	}
	for _, b := range of {
		release, err := b.Acquire(ctx, n)
		if err != nil {
			free()
			return nil, err
		}
		held = append(held, release)
	}
	return free, nil
}

// sumsOfBody is what was computed from a body.
type sumsOfBody struct {
	hasMD5    bool
	hidden    bool // md5 is none, as hide says
	md5       [md5.Size]byte
	checksums []Checksum
}

// etag is none where no MD5 was asked for.
func (d *sumsOfBody) etag() layout.ETag {
	switch {
	case !d.hasMD5:
		return layout.ETag{}
	case d.hidden:
		return layout.ETag{Kind: layout.ETagHidden, Sum: d.md5}
	}
	return layout.ETag{Kind: layout.ETagMD5, Sum: d.md5}
}

// hide puts in the place of the MD5 what says nothing to who has not the key, and is the
// same for the same bytes: a part that is sent again has the ETag of before. Where
// there is no MD5 it is random.
func (d *sumsOfBody) hide(e *Encryption) {
	if d.hidden = true; !d.hasMD5 {
		d.hasMD5 = true
		rand.Read(d.md5[:]) // never fails
		return
	}
	h := hmac.New(sha256.New, e.Key[:])
	h.Write([]byte("sherd hidden ETag v1"))
	h.Write(d.md5[:])
	copy(d.md5[:], h.Sum(nil))
}

// staging is bytes on their way, and the memory that they keep.
type staging struct {
	*driveset.Staged
	Size   int64          // of the plain bytes; that of Staged is of what is stored
	sealed *layout.Sealed // how they were encrypted; nil: they are as they were
	set    *driveset.Set  // on whose drives
	free   func()
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
		if free, err = s.memory(ctx, size, false); err != nil {
			return nil, sumsOfBody{}, err
		}
	}
	body, err := s.newBody(from, size, d)
	if err != nil {
		free()
		return nil, sumsOfBody{}, err
	}
	defer body.close()
	sealed, stored, err := d.seal.over(body)
	if err != nil {
		free()
		return nil, sumsOfBody{}, err
	}
	length := size
	if sealed != nil {
		length = seal.Size(size)
	}
	staged, err := set.Stage(ctx, stored, length, spec)
	if err != nil {
		free()
		return nil, sumsOfBody{}, err
	}
	st := &staging{staged, body.read, sealed, set, free}
	sums, err := body.verify(d)
	if err == nil && d.seal != nil && d.seal.HideMD5 && d.md5 {
		sums.hide(d.seal)
	}
	if err != nil {
		st.discard()
	}
	return st, sums, err
}

// over gives what is stored of a body.
func (e *Encryption) over(b *body) (*layout.Sealed, io.Reader, error) {
	sealed, err := e.begin()
	if err != nil || sealed == nil {
		return nil, b, err
	}
	stored, err := seal.NewSealer(b, b.size, &seal.Key{Of: e.Key, Salt: sealed.Salt})
	return sealed, stored, err
}

// openSpan opens bytes, decrypted where the version is encrypted.
func (o *source) openSpan(sp span, sealed bool) (driveset.Data, error) {
	stored := sp.size
	if sealed {
		stored = seal.Size(sp.size)
	}
	switch {
	case sealed != (sp.sealed != nil):
		return nil, fmt.Errorf("%w: a part is encrypted and the object is not, or the other way round", ErrDamaged)
	case stored != sp.place.Size:
		return nil, fmt.Errorf("%w: %d bytes are stored of %d, not %d", ErrDamaged, sp.place.Size, sp.size, stored)
	case !sealed:
		return o.set.OpenData(o.ctx, sp.place, sp.off, sp.n)
	}
	from, n := seal.Span(sp.size, sp.off, sp.n)
	data, err := o.set.OpenData(o.ctx, sp.place, from, n)
	if err != nil {
		return nil, err
	}
	opener, err := seal.NewOpener(data, &seal.Key{Of: o.secret, Salt: sp.sealed.Salt}, sp.size, sp.off, sp.n)
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	return &opened{opener, data}, nil
}

// opened is bytes that are decrypted as they are read.
type opened struct {
	*seal.Opener
	stored driveset.Data
}

func (d *opened) Close() error { return d.stored.Close() }

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
