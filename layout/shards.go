package layout

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/latch"
)

// shards are the shard files of a disk.
type shards struct {
	d  *disk
	fs vfs.FS

	remade atomic.Bool // a directory that was missing is there again, and its name may not be durable

	mu      sync.Mutex // guards writing
	writing map[DataID]struct{}
}

var _ Shards = (*shards)(nil)

func (s *shards) init(d *disk) {
	s.d, s.fs, s.writing = d, d.fs, map[DataID]struct{}{}
}

func (s *shards) dir(id DataID) string {
	return s.fs.PathJoin(s.d.path, nameShards, fmt.Sprintf("%02x", byte(id.Counter)))
}

func (s *shards) path(id DataID) string { return s.fs.PathJoin(s.dir(id), id.String()) }

// create makes a file in the directory of id. A directory that somebody deleted is made
// again: without it the drive would go on, and never have a shard that belongs there.
// Where format.json is gone too it is the drive that is not there.
func (s *shards) create(id DataID, path string) (vfs.File, error) {
	file, err := s.fs.Create(path, vfs.Unspecified)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if _, err := s.fs.Stat(s.fs.PathJoin(s.d.path, nameFormat)); err != nil {
		return nil, err
	}
	s.remade.Store(true) // before it is there: whoever finds it there syncs its name
	if err := s.fs.MkdirAll(s.dir(id), 0o700); err != nil {
		return nil, err
	}
	return s.fs.Create(path, vfs.Unspecified)
}

// syncDir makes the names in the directory of id durable, and its own where that is new.
func (s *shards) syncDir(id DataID) error {
	err := syncDir(s.fs, s.dir(id))
	if err == nil && s.remade.Load() {
		err = syncDir(s.fs, s.fs.PathJoin(s.d.path, nameShards))
		if err == nil {
			err = syncDir(s.fs, s.d.path)
		}
	}
	return err
}

// problem says what an error of the file system means to a caller.
func problem(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, latch.ErrLatched):
		return fmt.Errorf("%w: %w", ErrBroken, err)
	case latch.IsSpace(err):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// ready tells whether shard files may be used, and whether p may change them.
func (s *shards) ready(ctx context.Context, p *Promise) error {
	if s.d.ended.Load() {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if p == nil {
		return nil
	}
	if s.d.opts.ReadOnly {
		return ErrReadOnly
	}
	if err := s.d.latch.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return s.d.promised(*p)
}

// Create implements Shards.
func (s *shards) Create(ctx context.Context, p Promise, h ShardHeader) (ShardWriter, error) {
	if err := s.ready(ctx, &p); err != nil {
		return nil, err
	}
	header, err := EncodeShardHeader(&h)
	if err != nil {
		return nil, err
	}
	if !s.begin(h.Data) {
		return nil, fmt.Errorf("%w: %s is being written", ErrExists, h.Data)
	}
	w := &shardWriter{s: s, promise: p, header: h, path: s.path(h.Data)}
	if h.Replace {
		w.path += ".tmp"
	} else if _, err := s.fs.Stat(w.path); !errors.Is(err, fs.ErrNotExist) {
		s.end(h.Data)
		if err == nil {
			err = fmt.Errorf("%w: %s", ErrExists, h.Data)
		}
		return nil, err
	}
	if w.file, err = s.create(h.Data, w.path); err != nil {
		s.end(h.Data)
		return nil, problem(err)
	}
	if err := w.put(header); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

func (s *shards) begin(id DataID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.writing[id]; taken {
		return false
	}
	s.writing[id] = struct{}{}
	return true
}

func (s *shards) end(id DataID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writing, id)
}

// flushBytes is how much of a file is written before the device is to begin with it,
// so that the sync at the end waits for the rest only. A power of two.
const flushBytes = 2 << 20

// shardWriter writes a shard file. One goroutine at a time.
type shardWriter struct {
	s       *shards
	promise Promise
	header  ShardHeader
	path    string
	file    vfs.File
	framed  int64 // bytes of frames
	written int64 // bytes of the file
	flushed int64 // bytes that the system was asked to write to the device
	err     error // the first that a write had
	ended   bool
}

// Write implements ShardWriter.
func (w *shardWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, ErrClosed
	}
	if err := w.put(p); err != nil {
		return 0, err
	}
	w.framed += int64(len(p))
	return len(p), nil
}

func (w *shardWriter) put(p []byte) error {
	if w.err != nil {
		return w.err
	}
	if !w.s.d.space.Room(int64(len(p))) {
		w.err = fmt.Errorf("%w: %d bytes would go below the reserve", ErrNoSpace, len(p))
		return w.err
	}
	if _, err := w.file.Write(p); err != nil {
		w.err = problem(err)
		return w.err
	}
	w.s.d.space.Wrote(int64(len(p)))
	w.written += int64(len(p))
	if end := w.written &^ (flushBytes - 1); end > w.flushed {
		vfs.StartFlush(w.file, w.flushed, end-w.flushed)
		w.flushed = end
	}
	return nil
}

// Commit implements ShardWriter. After the sync of the file a crash leaves the
// whole shard under no name, or under the one that it is to have; after the
// sync of the directory, under that one.
func (w *shardWriter) Commit(ctx context.Context, t Trailer) error {
	if w.ended {
		return ErrClosed
	}
	err := w.s.ready(ctx, &w.promise)
	if err == nil {
		err = w.finish(&t)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	w.ended = true
	w.s.end(w.header.Data)
	return nil
}

func (w *shardWriter) finish(t *Trailer) error {
	if framed, err := bitrot.EncodedBytes(t.Payload); err != nil || framed != w.framed {
		return fmt.Errorf("%w: %d bytes of frames are no shard of %d", ErrBadRecord, w.framed, t.Payload)
	}
	trailer, err := EncodeTrailer(t, w.header.Data, w.header.Shard)
	if err != nil {
		return err
	}
	if err := w.put(trailer); err != nil {
		return err
	}
	if err := w.file.SyncData(); err != nil {
		return problem(err)
	}
	err = w.file.Close()
	w.file = nil
	if err != nil {
		return problem(err)
	}
	if w.header.Replace {
		// The new file is durable, if only as `<id>.tmp`. Putting the old one aside
		// first would leave a crash with less than there was.
		if err := w.aside(); err != nil {
			return err
		}
		if err := w.s.fs.Rename(w.path, w.s.path(w.header.Data)); err != nil {
			return problem(err)
		}
	}
	return problem(w.s.syncDir(w.header.Data))
}

// aside puts the file that is replaced into quarantine, if that is wanted.
func (w *shardWriter) aside() error {
	if w.header.Aside == "" {
		return nil
	}
	if err := w.s.putAside(w.header.Data, w.header.Aside); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// Abort implements ShardWriter.
func (w *shardWriter) Abort() error {
	if w.ended {
		return nil
	}
	w.ended = true
	defer w.s.end(w.header.Data)
	var err error
	if w.file != nil {
		err = w.file.Close()
	}
	if w.s.d.latch.Err() != nil {
		return nil // nothing is changed any more: the next search for garbage finds it
	}
	return errors.Join(err, removeFile(w.s.fs, w.path))
}

// Open implements Shards.
func (s *shards) Open(ctx context.Context, ref ShardRef) (ShardFile, error) {
	f, err := s.open(ctx, ref)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (s *shards) open(ctx context.Context, ref ShardRef) (*shardFile, error) {
	if err := s.ready(ctx, nil); err != nil {
		return nil, err
	}
	f, err := s.fs.Open(s.path(ref.Data))
	if err != nil {
		return nil, problem(err)
	}
	h, err := readHeader(f)
	switch {
	case err != nil:
	case h.Data != ref.Data || h.Shard != ref.Shard:
		err = fmt.Errorf("%w: the file of %s is shard %d of %s", ErrDamaged, ref.Data, h.Shard, h.Data)
	case h.Deployment != s.d.id.Deployment || h.Pool != s.d.id.Pool || h.Set != s.d.id.Set:
		err = fmt.Errorf("%w: the file of %s belongs to set %d of pool %d of %s", ErrDamaged, ref.Data, h.Set, h.Pool, h.Deployment)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &shardFile{File: f, header: h}, nil
}

func readHeader(f vfs.File) (ShardHeader, error) {
	var b [ShardHeaderBytes]byte
	if _, err := f.ReadAt(b[:], 0); errors.Is(err, io.EOF) {
		return ShardHeader{}, fmt.Errorf("%w: a shard file that ends in its header", ErrDamaged)
	} else if err != nil {
		return ShardHeader{}, err
	}
	return DecodeShardHeader(b[:])
}

// Verify implements Shards.
func (s *shards) Verify(ctx context.Context, ref ShardRef) error {
	f, err := s.open(ctx, ref)
	if err != nil {
		return err
	}
	return errors.Join(f.verify(ref), f.Close())
}

func (f *shardFile) verify(ref ShardRef) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	tail := make([]byte, min(info.Size()-ShardHeaderBytes, maxTrailer+ShardFooterBytes))
	if _, err := f.File.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	t, n, err := DecodeTrailer(tail, ref.Data, ref.Shard)
	if err != nil {
		return err
	}
	framed, err := bitrot.EncodedBytes(t.Payload)
	if err != nil || framed+ShardHeaderBytes+int64(n) != info.Size() || ref.Payload >= 0 && t.Payload != ref.Payload {
		return fmt.Errorf("%w: %s has %d bytes and says that it is a shard of %d", ErrDamaged, ref.Data, info.Size(), t.Payload)
	}
	return f.verifyLast(ref, t.Payload)
}

// verifyLast reads the last frame: a file whose length was made durable and
// whose bytes were not ends in zeros.
func (f *shardFile) verifyLast(ref ShardRef, payload int64) error {
	frames, err := bitrot.Frames(payload)
	if err != nil {
		return err
	}
	off, err := bitrot.FrameOffset(frames - 1)
	if err != nil {
		return err
	}
	size, err := bitrot.FramePayload(payload, frames-1)
	if err != nil {
		return err
	}
	last := make([]byte, size+bitrot.SumBytes)
	if _, err := f.ReadAt(last, off); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	id := bitrot.ShardID{Data: ref.Data.Bytes(), Shard: uint8(ref.Shard)}
	if _, err := bitrot.NewSealer().Open(last, id, frames-1, true); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// Quarantine implements Shards.
func (s *shards) Quarantine(ctx context.Context, p Promise, data DataID, reason string) error {
	if err := s.ready(ctx, &p); err != nil {
		return err
	}
	return s.putAside(data, reason)
}

func (s *shards) putAside(data DataID, reason string) error {
	if err := quarantine(s.fs, s.d.path, s.path(data), data.String(), reason, s.d.opts.Now()); err != nil {
		return problem(err)
	}
	return problem(syncDir(s.fs, s.dir(data)))
}

// List implements Shards.
func (s *shards) List(ctx context.Context, dir byte) ([]DataID, error) {
	if err := s.ready(ctx, nil); err != nil {
		return nil, err
	}
	names, err := s.fs.List(s.fs.PathJoin(s.d.path, nameShards, fmt.Sprintf("%02x", dir)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a directory that somebody deleted has none
		return nil, problem(err)
	}
	var out []DataID
	for _, name := range names {
		var b [DataIDBytes]byte
		name = strings.TrimSuffix(name, ".tmp")
		if len(name) != 2*DataIDBytes || name != strings.ToLower(name) {
			continue
		}
		if n, err := hex.Decode(b[:], []byte(name)); err == nil && n == len(b) && b[len(b)-1] == dir {
			out = append(out, DataIDFrom(b))
		}
	}
	return out, nil
}

// Remove implements Shards.
func (s *shards) Remove(ctx context.Context, p Promise, data DataID) error {
	if err := s.ready(ctx, &p); err != nil {
		return err
	}
	if !s.begin(data) {
		return fmt.Errorf("%w: %s is being written", ErrExists, data)
	}
	defer s.end(data)
	return problem(errors.Join(removeFile(s.fs, s.path(data)), removeFile(s.fs, s.path(data)+".tmp")))
}

// Discard implements Shards.
func (s *shards) Discard(ctx context.Context, p Promise, data DataID, reason string) error {
	done, err := s.d.mutate(ctx) // so that no entry comes between
	if err != nil {
		return err
	}
	defer done()
	if err := s.ready(ctx, &p); err != nil {
		return err
	}
	if s.d.holding().Rebuild != nil || data.Epoch >= p.Epoch {
		return disorder("whether %s is used is not known yet", data)
	}
	if !s.begin(data) {
		return fmt.Errorf("%w: %s is being written", ErrExists, data)
	}
	defer s.end(data)
	if err := removeFile(s.fs, s.path(data)+".tmp"); err != nil {
		return problem(err)
	}
	if used, err := s.d.anyKey(DataOwnerRange(data)); err != nil {
		return err
	} else if used {
		return fmt.Errorf("%w: %s is used", ErrExists, data)
	}
	return s.putAside(data, reason)
}

// Expire implements Shards.
func (s *shards) Expire(ctx context.Context, p Promise, before time.Time) (n int, err error) {
	if err := s.ready(ctx, &p); err != nil {
		return 0, err
	}
	dir := s.fs.PathJoin(s.d.path, nameQuarantine)
	names, err := s.fs.List(dir)
	if err != nil {
		return 0, problem(err)
	}
	for _, name := range names {
		thing, says := strings.CutSuffix(name, ".json")
		if !says || ctx.Err() != nil {
			continue
		}
		note := s.fs.PathJoin(dir, name)
		if at, err := putAsideAt(s.fs, note); err != nil || !at.Before(before) {
			continue // what can not be read is for people
		}
		// Its note goes last: what is left by a crash is found again.
		if err := errors.Join(s.fs.RemoveAll(s.fs.PathJoin(dir, thing)), removeFile(s.fs, note)); err != nil {
			return n, problem(err)
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return n, problem(syncDir(s.fs, dir))
}
