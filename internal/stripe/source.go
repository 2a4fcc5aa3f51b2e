package stripe

import (
	"context"
	"errors"
	"io"

	"github.com/sherd-storage/sherd/bitrot"
)

// ShardReader gives the stream of one shard from its offset 0, without what a
// file may have around it.
type ShardReader interface {
	io.ReaderAt
	io.Closer
}

// Source opens one shard. It is called when the shard is first needed, and again
// only after an error. A nil Source is a shard that cannot be read.
type Source func(ctx context.Context) (ShardReader, error)

// job asks for one shard's frames of a batch; piece answers it.
// The chunk of the part is the worker's until it answers.
type job struct {
	part
	seq int64 // of the batch
}

type piece struct {
	shard int
	seq   int64
	good  uint32 // stripes of the batch whose frame is verified
	err   error  // the first error of any frame
	chunk []byte
}

// worker reads one shard on a goroutine of its own, one job at a time.
type worker struct {
	f      *fetcher
	id     bitrot.ShardID
	open   Source
	jobs   chan job
	reader ShardReader // nil until opened
	sealer *bitrot.Sealer
}

// loop works until jobs is closed.
func (w *worker) loop() {
	w.sealer = w.f.engine.sealer()
	for j := range w.jobs {
		p := w.timed(j)
		w.f.pieces <- p // never blocks: one place for each worker
	}
	if w.reader != nil {
		_ = w.reader.Close() // it was read from only: all that counts was verified
	}
	w.f.engine.sealers.Put(w.sealer)
	w.f.exit()
}

// timed is read, observed.
func (w *worker) timed(j job) piece {
	if w.f.observe == nil {
		return w.read(j)
	}
	start := w.f.now()
	p := w.read(j)
	if p.err == nil {
		w.f.observe(p.shard, w.f.now().Sub(start))
	}
	return p
}

// read gets the frames of a job, all in one call if that works; else those that
// are missing one by one, so that a bad sector costs its frame and no more.
func (w *worker) read(j job) piece {
	p := piece{shard: int(w.id.Shard), seq: j.seq, chunk: j.chunk}
	if w.reader == nil {
		r, err := w.open(w.f.ctx)
		if err != nil {
			p.err = err
			return p
		}
		w.reader = r
	}
	n, err := w.reader.ReadAt(j.stream(), j.first*frameBytes)
	for s := range j.count {
		frame := j.frame(s)
		switch {
		case s*frameBytes+len(frame) <= n:
		case err == nil || errors.Is(err, io.EOF):
			p.note(&bitrot.CorruptError{Shard: w.id, Frame: j.first + int64(s), Reason: bitrot.Cut})
			continue
		default:
			p.note(err)
			if j.count == 1 || w.f.ctx.Err() != nil {
				continue
			}
			if m, again := w.reader.ReadAt(frame, (j.first+int64(s))*frameBytes); m < len(frame) {
				p.note(again)
				continue
			}
		}
		if _, bad := w.sealer.Open(frame, w.id, j.first+int64(s), j.isLast(s)); bad != nil {
			p.note(bad)
			continue
		}
		p.good |= 1 << s
	}
	return p
}

// note keeps the first error.
func (p *piece) note(err error) {
	if p.err == nil {
		p.err = err
	}
}
