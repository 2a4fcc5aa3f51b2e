package bitrot

import "io"

// Writer turns payload into a stream. It holds one frame back, as only Close
// knows which is the last.
type Writer struct {
	dst    io.Writer
	sealer *Sealer
	id     ShardID

	buf   []byte // payload of the frame that is being filled; room for its sum
	frame int64  // number of that frame
	err   error  // the first error, or ErrClosed; sticky
}

// NewWriter writes the stream of one shard to dst. The stream is complete only
// once Close has returned nil. It holds about 80 KiB.
func NewWriter(dst io.Writer, id ShardID) *Writer {
	return &Writer{dst: dst, sealer: NewSealer(), id: id, buf: make([]byte, 0, fullFrame)}
}

// Write takes payload. Frames are written to the underlying writer in one call
// each, as soon as more payload follows them.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	taken := 0
	for len(p) > 0 {
		if len(w.buf) == FrameBytes {
			if w.err = w.flush(false); w.err != nil {
				return taken, w.err
			}
		}
		n := copy(w.buf[len(w.buf):FrameBytes], p)
		w.buf = w.buf[:len(w.buf)+n]
		p = p[n:]
		taken += n
	}
	return taken, nil
}

// Close writes the last frame. It does not close the underlying writer. A second
// call returns ErrClosed, one after an error that error.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if w.err = w.flush(true); w.err != nil {
		return w.err
	}
	w.err = ErrClosed
	return nil
}

func (w *Writer) flush(last bool) error {
	sealed, err := w.sealer.AppendSum(w.buf, w.id, w.frame, last, w.buf)
	if err != nil {
		return err
	}
	n, err := w.dst.Write(sealed)
	if err == nil && n < len(sealed) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return err
	}
	w.buf = sealed[:0]
	w.frame++
	return nil
}
