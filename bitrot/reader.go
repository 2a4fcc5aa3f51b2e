package bitrot

import "io"

// Reader gives the payload of a stream, frame by frame as each is verified. It
// reads one byte beyond a frame to know whether it is the last.
type Reader struct {
	src    io.Reader
	sealer *Sealer
	id     ShardID

	buf     []byte // one full frame and the byte after it
	ahead   int    // 1 if the last byte of buf is the first of the frame to come
	frame   int64  // number of the frame to come
	payload []byte // verified and not yet given out; part of buf
	err     error  // what follows payload; sticky
}

// NewReader reads the stream of one shard from src. It holds about 80 KiB.
func NewReader(src io.Reader, id ShardID) *Reader {
	return &Reader{src: src, sealer: NewSealer(), id: id, buf: make([]byte, fullFrame+1)}
}

// Read gives verified payload, and io.EOF only after the last frame with nothing
// behind it. Damage is a *CorruptError; an error of the source is given as it is.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.payload) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.payload, r.err = r.next()
	}
	n := copy(p, r.payload)
	r.payload = r.payload[n:]
	return n, nil
}

// WriteTo writes all that Read would give to w, a frame at a time.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		for len(r.payload) > 0 {
			n, err := w.Write(r.payload)
			total += int64(n)
			r.payload = r.payload[n:]
			if err == nil && len(r.payload) > 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				return total, err
			}
		}
		if r.err == io.EOF {
			return total, nil
		}
		if r.err != nil {
			return total, r.err
		}
		r.payload, r.err = r.next()
	}
}

// next reads and verifies one frame; the error is io.EOF beside the payload of
// the last.
func (r *Reader) next() ([]byte, error) {
	if r.ahead == 1 {
		r.buf[0] = r.buf[fullFrame]
	}
	n, err := io.ReadFull(r.src, r.buf[r.ahead:])
	n += r.ahead
	switch {
	case err == nil:
		n, r.ahead = fullFrame, 1
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		err = io.EOF
	default:
		return nil, err
	}
	payload, bad := r.sealer.Open(r.buf[:n], r.id, r.frame, err == io.EOF)
	if bad != nil {
		return nil, bad
	}
	r.frame++
	return payload, err
}
