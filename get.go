package sherd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync/atomic"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/objectfs"
	"github.com/sherd-storage/sherd/internal/seal"
	"github.com/sherd-storage/sherd/layout"
)

// GetOptions of a read. Nil: all of the latest version.
type GetOptions struct {
	VersionID string // "": the latest
	Range     *Range // nil: all of it
	// Part reads one part of an object that was completed from parts, by the
	// number under which it was uploaded. Of any other object part 1 is all of
	// it. ErrInvalidPart where there is no such part. Not together with Range.
	Part       int
	Conditions Conditions
	// Key gives the key of an encrypted version by its envelope; Get asks for it
	// before a byte is read, even where there is none. Nil: what is encrypted is
	// ErrEncrypted. Another key than the version's: ErrKey.
	Key func(envelope []byte) ([32]byte, error)
}

// Range is a range of bytes: from Start to End, both included, cut at the
// object's end. A negative End is the object's end; a negative Start is that
// many bytes before it, whatever End says.
type Range struct{ Start, End int64 }

// Within gives the range of an object of size bytes: where it begins and how
// long it is. ErrInvalidRange: it has no byte of the object.
func (r Range) Within(size int64) (offset, length int64, err error) {
	start, end := r.Start, size
	switch {
	case r.Start < 0:
		start = max(0, size+r.Start)
	case r.End >= 0:
		if r.End < r.Start {
			return 0, 0, fmt.Errorf("%w: from %d to %d", ErrInvalidRange, r.Start, r.End)
		}
		end = min(size-1, r.End) + 1 // End may be the largest integer
	}
	if start >= size {
		return 0, 0, fmt.Errorf("%w: it has %d bytes", ErrInvalidRange, size)
	}
	return start, end - start, nil
}

// Stat describes an object, or a version of it. Range and Part only say whether
// they could be read.
func (s *Store) Stat(ctx context.Context, bucketName, key string, o *GetOptions) (info ObjectInfo, err error) {
	if o == nil {
		o = &GetOptions{}
	}
	op := s.begin("stat", bucketName, key, o.VersionID)
	defer op.end(&err)
	obj, err := s.find(ctx, bucketName, key, o)
	if err != nil {
		return ObjectInfo{}, err
	}
	obj.unpin()
	return obj.Info, nil
}

// Get opens an object to be read; close it. What it gives is the version as it
// was then: it can be read to its end though the object is overwritten or
// deleted meanwhile, within a minute for certain, and mostly for longer.
//
// [ErrNoSuchKey], [ErrNoSuchVersion], [ErrDeleteMarker], [ErrPrecondition],
// [ErrNotModified], [ErrInvalidRange], [ErrInvalidPart]. The context is that of
// all reading from the object.
func (s *Store) Get(ctx context.Context, bucketName, key string, o *GetOptions) (object *Object, err error) {
	if o == nil {
		o = &GetOptions{}
	}
	op := s.begin("get", bucketName, key, o.VersionID)
	defer op.end(&err)
	for try := 0; ; try++ {
		obj, err := s.find(ctx, bucketName, key, o)
		if err != nil {
			return nil, err
		}
		obj.op, op.bytes = op, obj.Length
		if err = obj.unlock(o.Key); err == nil {
			err = obj.hold()
		}
		if err == nil {
			err = obj.open()
		}
		if err == nil {
			return obj, nil
		}
		obj.release()
		if try == 0 && errors.Is(err, layout.ErrNotFound) {
			continue // it was removed since it was found
		}
		return nil, err
	}
}

// unlock asks for the key of an encrypted version.
func (o *Object) unlock(key func([]byte) ([32]byte, error)) (err error) {
	switch {
	case o.v.Sealed == nil:
		return nil
	case key == nil:
		return &found{ErrEncrypted, o.Info}
	}
	if o.secret, err = key(envelope(o.v.Sealed)); err != nil {
		return err
	}
	if err = opens(o.v.Sealed, o.secret); err != nil {
		err = &found{err, o.Info}
	}
	return err
}

// find looks up what is to be read, under the conditions. The object is pinned.
func (s *Store) find(ctx context.Context, bucketName, key string, o *GetOptions) (*Object, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, bucketName)
	if err != nil {
		return nil, err
	}
	set, err := s.setOf(ctx, b, key)
	if err != nil {
		return nil, err
	}
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	obj := &Object{source: source{store: s, set: set, ctx: ctx, b: b, key: key}, pin: view}
	if obj.v, err = readable(ctx, view, b, key, o.VersionID); err == nil {
		obj.Info = b.info(key, obj.v)
		obj.Info.Latest = o.VersionID == ""
		if err = obj.choose(o); err != nil {
			err = &found{err, obj.Info}
		}
	}
	if err != nil {
		view.Close()
		return nil, err
	}
	return obj, nil
}

// choose decides the conditions and what is read of the object.
func (o *Object) choose(opt *GetOptions) (err error) {
	if err := opt.Conditions.forRead(o.v); err != nil {
		return err
	}
	o.Length = o.v.Size
	switch {
	case opt.Range != nil && opt.Part != 0:
		return fmt.Errorf("%w: both a range and a part", ErrInvalidArgument)
	case opt.Range != nil:
		o.Offset, o.Length, err = opt.Range.Within(o.v.Size)
	case opt.Part != 0 && o.v.Place.PartsInAll() == 0:
		if opt.Part != 1 {
			return fmt.Errorf("%w: the object is in one piece", ErrInvalidPart)
		}
	case opt.Part != 0:
		o.Offset, o.Part, err = o.part(o.v, opt.Part)
		o.Length = o.Part.Size
	}
	return err
}

// Object is an object that is open: the bytes of a version, or a range of them.
// Offsets of Read, Seek and ReadAt count from the start of that range. It is
// not safe for concurrent use, but for ReadAt.
type Object struct {
	Info   ObjectInfo
	Offset int64    // of the range in the version's bytes
	Length int64    // of the range; what Read gives in all
	Part   PartInfo // that GetOptions.Part named; zero of an object in one piece

	source
	op   operation
	pin  *driveset.View // keeps the bytes from being removed; nil: they were read to their end
	free func()         // gives the memory back; nil: none is held

	at     int64         // of the next byte, in the range
	data   driveset.Data // open at at; nil: nothing is
	begun  int64         // what at was when data was opened
	closed atomic.Bool
}

// hold takes the memory that reading needs: once, and again where reading begins
// anew after the end, at which it was given back.
func (o *Object) hold() (err error) {
	if o.free == nil {
		n := o.Length
		if o.Info.Envelope != nil {
			n += 2 * seal.PackageBytes // one is opened, and the ends of the range are within others
		}
		o.free, err = o.store.memory(o.ctx, n, true)
	}
	return err
}

// open makes the next bytes ready to be read.
func (o *Object) open() error {
	if o.data != nil || o.at >= o.Length {
		return nil
	}
	if err := o.hold(); err != nil {
		return err
	}
	data, err := o.openAt(o.at, o.Length-o.at)
	o.data, o.begun = data, o.at
	return err
}

// openAt opens bytes of the range: all that lie at the place of the first, up to
// n.
func (o *Object) openAt(at, n int64) (driveset.Data, error) {
	return o.source.openAt(o.Offset+at, n)
}

// Read reads on. It gives io.EOF at the end of the range.
func (o *Object) Read(p []byte) (int, error) {
	if o.closed.Load() {
		return 0, o.op.wrap(ErrClosed)
	}
	for len(p) > 0 {
		if o.at >= o.Length {
			o.release()
			return 0, io.EOF
		}
		if err := o.open(); err != nil {
			return 0, o.op.wrap(err)
		}
		n, err := o.data.Read(p)
		o.at += int64(n)
		if err := o.step(err); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// step looks at the end of a read from o.data: at io.EOF the next place follows.
func (o *Object) step(err error) error {
	switch {
	case err == nil:
		return nil
	case err != io.EOF:
		return o.op.wrap(err)
	}
	o.closeData()
	if o.at == o.begun && o.at < o.Length {
		return o.op.wrap(fmt.Errorf("%w: the bytes end at %d of %d", ErrDamaged, o.at, o.Length))
	}
	return nil
}

// WriteTo writes what is left of the range, stripe by stripe, without a copy.
func (o *Object) WriteTo(w io.Writer) (written int64, err error) {
	if o.closed.Load() {
		return 0, o.op.wrap(ErrClosed)
	}
	for o.at < o.Length {
		if err := o.open(); err != nil {
			return written, o.op.wrap(err)
		}
		n, err := o.data.WriteTo(w)
		o.at, written = o.at+n, written+n
		if err != nil {
			return written, o.op.wrap(err)
		}
		if err := o.step(io.EOF); err != nil {
			return written, err
		}
	}
	o.release()
	return written, nil
}

// Seek goes to another offset in the range.
func (o *Object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.Length
	default:
		return o.at, o.op.wrap(fmt.Errorf("%w: whence %d", ErrInvalidArgument, whence))
	}
	if offset < 0 || o.closed.Load() {
		return o.at, o.op.wrap(fmt.Errorf("%w: seek before the start, or in a closed object", ErrInvalidArgument))
	}
	if offset != o.at {
		o.closeData()
		o.at = offset
	}
	return offset, nil
}

// ReadAt reads at an offset in the range. It may be called concurrently, and
// beside Read; every call opens the bytes anew.
func (o *Object) ReadAt(p []byte, off int64) (n int, err error) {
	if o.closed.Load() {
		return 0, o.op.wrap(ErrClosed)
	}
	if off < 0 {
		return 0, o.op.wrap(fmt.Errorf("%w: offset %d", ErrInvalidArgument, off))
	}
	for n < len(p) && off < o.Length {
		data, err := o.openAt(off, min(int64(len(p)-n), o.Length-off))
		if err != nil {
			return n, o.op.wrap(err)
		}
		m, err := io.ReadFull(data, p[n:min(int64(len(p)), int64(n)+o.Length-off)])
		_ = data.Close()
		n, off = n+m, off+int64(m)
		if err != nil && (m == 0 || err != io.ErrUnexpectedEOF) {
			return n, o.op.wrap(err)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close ends reading and gives the memory back. Closing twice does nothing.
func (o *Object) Close() error {
	o.closed.Store(true)
	o.release()
	return nil
}

func (o *Object) release() {
	o.closeData()
	o.unpin()
	if o.free != nil {
		o.free()
		o.free = nil
	}
}

func (o *Object) closeData() {
	if o.data != nil {
		_ = o.data.Close() // what could not be read was reported when it was
		o.data = nil
	}
}

func (o *Object) unpin() {
	if o.pin != nil {
		o.pin.Close()
		o.pin = nil
	}
}

// FS gives a bucket as a file system to read: a slash in a key separates
// directories. It passes fstest.TestFS.
//
// A key that is no valid path (fs.ValidPath) is left out. Where a key is also
// the prefix of others up to a slash, as "a" beside "a/b", there is a directory
// and the object is left out. Directories that nothing lies in don't exist.
// Files are the objects' latest versions as they are when they are opened, and
// implement io.ReaderAt and io.Seeker; Sys of their info is an ObjectInfo.
// Reading a directory reads all of it. ctx is that of all reading.
func (s *Store) FS(ctx context.Context, bucketName string) (fs.FS, error) {
	if _, err := s.StatBucket(ctx, bucketName); err != nil {
		return nil, err
	}
	return objectfs.New(ctx, files{s, bucketName}, MaxKeyBytes), nil
}

// files is a bucket as package objectfs sees it.
type files struct {
	store  *Store
	bucket string
}

func fileInfo(i ObjectInfo) objectfs.Info {
	return objectfs.Info{Key: i.Key, IsPrefix: i.IsPrefix, Size: i.Size, Modified: i.Modified, Sys: i}
}

func (f files) List(ctx context.Context, prefix, delimiter string) iter.Seq2[objectfs.Info, error] {
	return func(yield func(objectfs.Info, error) bool) {
		for info, err := range f.store.List(ctx, f.bucket, &ListOptions{Prefix: prefix, Delimiter: delimiter}) {
			if !yield(fileInfo(info), notThere(err)) {
				return
			}
		}
	}
}

func (f files) Stat(ctx context.Context, key string) (objectfs.Info, error) {
	info, err := f.store.Stat(ctx, f.bucket, key, nil)
	return fileInfo(info), notThere(err)
}

func (f files) Open(ctx context.Context, key string) (objectfs.Object, objectfs.Info, error) {
	object, err := f.store.Get(ctx, f.bucket, key, nil)
	if err != nil {
		return nil, objectfs.Info{}, notThere(err)
	}
	return object, fileInfo(object.Info), nil
}

func notThere(err error) error {
	if errors.Is(err, ErrNoSuchKey) || errors.Is(err, ErrNoSuchBucket) {
		return fs.ErrNotExist
	}
	return err
}
