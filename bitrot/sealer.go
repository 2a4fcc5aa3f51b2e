package bitrot

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/zeebo/blake3"
)

const (
	domain       = "sherd.bitrot.frame.v1"
	domainBytes  = 26
	contextBytes = domainBytes + 4 + 8 + 24 + 1 + 1 // one block of BLAKE3
)

// ShardID says whose frames these are: the bytes of one write, and which of its
// shards.
type ShardID struct {
	Data  [24]byte
	Shard uint8
}

// Sealer makes and verifies single frames in the caller's buffers. Make it with
// NewSealer and keep it: it holds about 11 KiB of hash state, and no call but a
// failed one allocates.
type Sealer struct {
	hash    *blake3.Hasher
	context [contextBytes]byte // domain set once, the rest by sum
	out     [SumBytes]byte     // the last sum, here so that it stays off the heap
}

// NewSealer makes a Sealer.
func NewSealer() *Sealer {
	s := &Sealer{hash: blake3.New()}
	copy(s.context[:], domain)
	return s
}

// AppendSum appends to dst the sum of one frame. Payload may be the end of dst:
// then the frame is sealed where it lies, without copying a byte.
//
// A frame that is not the last must have a payload of FrameBytes, the last one at
// most that, and at least one byte unless it is frame 0. Anything else is an
// ErrSize, and dst is returned as it was.
func (s *Sealer) AppendSum(dst []byte, id ShardID, frame int64, last bool, payload []byte) ([]byte, error) {
	if frame < 0 {
		return dst, fmt.Errorf("%w: frame %d", ErrSize, frame)
	}
	if reason := misfit(frame, last, len(payload)); reason != "" {
		return dst, fmt.Errorf("%w: frame %d with %d bytes: %s", ErrSize, frame, len(payload), reason)
	}
	return append(dst, s.sum(id, frame, last, payload)...), nil
}

// AppendFrame appends to dst one frame, payload and sum. The conditions are those
// of AppendSum; payload must not overlap the free part of dst.
func (s *Sealer) AppendFrame(dst []byte, id ShardID, frame int64, last bool, payload []byte) ([]byte, error) {
	before := len(dst)
	sealed, err := s.AppendSum(append(dst, payload...), id, frame, last, payload)
	if err != nil {
		return dst[:before], err
	}
	return sealed, nil
}

// Open verifies one frame, payload and sum, and returns the payload, which is a
// part of it. The error is a *CorruptError; then nothing is returned.
func (s *Sealer) Open(encoded []byte, id ShardID, frame int64, last bool) ([]byte, error) {
	n := len(encoded) - SumBytes
	if n < 0 {
		return nil, &CorruptError{Shard: id, Frame: frame, Reason: Cut}
	}
	if reason := misfit(frame, last, n); reason != "" {
		return nil, &CorruptError{Shard: id, Frame: frame, Reason: reason}
	}
	payload, sum := encoded[:n:n], encoded[n:]
	if !bytes.Equal(sum, s.sum(id, frame, last, payload)) {
		return nil, &CorruptError{Shard: id, Frame: frame, Reason: s.diagnose(payload, sum, id, frame, last)}
	}
	return payload, nil
}

// diagnose tells a frame that is whole, but at the wrong end of its stream, from
// one that is damaged.
func (s *Sealer) diagnose(payload, sum []byte, id ShardID, frame int64, last bool) Reason {
	switch {
	case !bytes.Equal(sum, s.sum(id, frame, !last, payload)):
		return WrongSum
	case last:
		return Truncated
	default:
		return Trailing
	}
}

// sum is the digest of the frame. It is overwritten by the next call.
func (s *Sealer) sum(id ShardID, frame int64, last bool, payload []byte) []byte {
	c := s.context[domainBytes:]
	binary.BigEndian.PutUint32(c, uint32(len(payload)))
	binary.BigEndian.PutUint64(c[4:], uint64(frame))
	copy(c[12:], id.Data[:])
	c[36] = id.Shard
	c[37] = 0
	if last {
		c[37] = 1
	}
	s.hash.Reset()
	_, _ = s.hash.Write(payload)      // a hash takes
	_, _ = s.hash.Write(s.context[:]) // everything
	return s.hash.Sum(s.out[:0])
}

// misfit says why no stream has such a frame; "" if one has.
func misfit(frame int64, last bool, payload int) Reason {
	switch {
	case payload > FrameBytes:
		return TooLong
	case !last && payload < FrameBytes:
		return TooShort
	case last && payload == 0 && frame != 0:
		return Empty
	}
	return ""
}
