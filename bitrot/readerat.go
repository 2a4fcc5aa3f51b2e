package bitrot

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// ReaderAt gives ranges of the payload of a stream, and reads and verifies only
// the frames that a range touches. It is safe for concurrent use if its source is.
type ReaderAt struct {
	src     io.ReaderAt
	id      ShardID
	payload int64
	scratch sync.Pool // of *scratch: one for each call under way
}

type scratch struct {
	sealer *Sealer
	buf    [fullFrame]byte
}

// NewReaderAt reads the stream of one shard, which starts at offset 0 of src, and
// whose payload is known to have this many bytes.
func NewReaderAt(src io.ReaderAt, id ShardID, payload int64) (*ReaderAt, error) {
	if _, err := EncodedBytes(payload); err != nil {
		return nil, err
	}
	return &ReaderAt{src: src, id: id, payload: payload}, nil
}

// Size is the number of payload bytes.
func (r *ReaderAt) Size() int64 { return r.payload }

// ReadAt is that of io.ReaderAt, over the payload. Damage is a *CorruptError, and
// the bytes before it are given; an error of the source is given as it is, but a
// source that ends early is damage.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%w: offset %d", ErrSize, off)
	}
	if off >= r.payload {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	s, _ := r.scratch.Get().(*scratch)
	if s == nil {
		s = &scratch{sealer: NewSealer()}
	}
	defer r.scratch.Put(s)

	total := 0
	for total < len(p) && off < r.payload {
		payload, err := r.read(s, off/FrameBytes)
		if err != nil {
			return total, err
		}
		n := copy(p[total:], payload[off%FrameBytes:])
		total += n
		off += int64(n)
	}
	if total < len(p) {
		return total, io.EOF
	}
	return total, nil
}

// read gives the verified payload of one frame, in the scratch buffer.
func (r *ReaderAt) read(s *scratch, frame int64) ([]byte, error) {
	size := min(r.payload-frame*FrameBytes, FrameBytes)
	encoded := s.buf[:size+SumBytes]
	n, err := r.src.ReadAt(encoded, frame*fullFrame)
	switch {
	case n == len(encoded): // whatever the error: io.EOF is allowed here
	case errors.Is(err, io.EOF), err == nil:
		return nil, &CorruptError{Shard: r.id, Frame: frame, Reason: Cut}
	default:
		return nil, err
	}
	return s.sealer.Open(encoded, r.id, frame, frame == frames(r.payload)-1)
}
