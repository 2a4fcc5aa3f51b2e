package sherd

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

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
	return &bucketFS{s, ctx, bucketName}, nil
}

const (
	slash   = "/"
	rootDir = "."
)

type bucketFS struct {
	store  *Store
	ctx    context.Context
	bucket string
}

// Open opens a file or a directory.
func (f *bucketFS) Open(name string) (fs.File, error) {
	dir, err := f.isDir("open", name)
	if err != nil {
		return nil, err
	}
	if dir {
		return &openDir{fs: f, name: name}, nil
	}
	object, err := f.store.Get(f.ctx, f.bucket, name, nil)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &openFile{Object: object, name: name}, nil
}

// Stat describes a file or a directory.
func (f *bucketFS) Stat(name string) (fs.FileInfo, error) {
	dir, err := f.isDir("stat", name)
	if err != nil {
		return nil, err
	}
	if dir {
		return entry{name: path.Base(name), dir: true}, nil
	}
	info, err := f.store.Stat(f.ctx, f.bucket, name, nil)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return entry{name: path.Base(name), object: info}, nil
}

// ReadDir gives what is in a directory, ordered by name.
func (f *bucketFS) ReadDir(name string) ([]fs.DirEntry, error) {
	dir, err := f.isDir("readdir", name)
	if err == nil && !dir {
		err = pathError("readdir", name, errNotDir)
	}
	if err != nil {
		return nil, err
	}
	return f.entries(name)
}

var errNotDir = errors.New("not a directory")

func pathError(op, name string, err error) error {
	if errors.Is(err, ErrNoSuchKey) || errors.Is(err, ErrNoSuchBucket) {
		err = fs.ErrNotExist
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// isDir says whether a name is that of a directory, or gives why it is none at
// all.
func (f *bucketFS) isDir(op, name string) (bool, error) {
	if !fs.ValidPath(name) {
		return false, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == rootDir {
		return true, nil
	}
	if len(name)+len(slash) >= MaxKeyBytes {
		return false, nil // nothing can lie in it
	}
	for info, err := range f.store.List(f.ctx, f.bucket, &ListOptions{Prefix: name + slash}) {
		if err != nil {
			return false, pathError(op, name, err)
		}
		return info.Key != "", nil
	}
	return false, nil
}

func (f *bucketFS) entries(name string) ([]fs.DirEntry, error) {
	prefix := name + slash
	if name == rootDir {
		prefix = ""
	}
	found := map[string]entry{}
	for info, err := range f.store.List(f.ctx, f.bucket, &ListOptions{Prefix: prefix, Delimiter: slash}) {
		if err != nil {
			return nil, pathError("readdir", name, err)
		}
		base := strings.TrimSuffix(info.Key[len(prefix):], slash)
		if base == rootDir || !fs.ValidPath(base) {
			continue
		}
		if e, ok := found[base]; !ok || !e.dir {
			found[base] = entry{name: base, dir: info.IsPrefix, object: info}
		}
	}
	entries := make([]fs.DirEntry, 0, len(found))
	for _, e := range found {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// entry is a file or a directory, as fs.FileInfo and fs.DirEntry.
type entry struct {
	name   string
	dir    bool
	object ObjectInfo
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) String() string             { return fs.FormatDirEntry(e) }

func (e entry) Size() int64 {
	if e.dir {
		return 0
	}
	return e.object.Size
}

func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

func (e entry) ModTime() time.Time {
	if e.dir {
		return time.Time{}
	}
	return e.object.Modified
}

func (e entry) Sys() any {
	if e.dir {
		return nil
	}
	return e.object
}

type openFile struct {
	*Object
	name string
}

func (f *openFile) Stat() (fs.FileInfo, error) {
	return entry{name: path.Base(f.name), object: f.Info}, nil
}

type openDir struct {
	fs   *bucketFS
	name string
	read bool
	rest []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return entry{name: path.Base(d.name), dir: true}, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		rest, err := d.fs.entries(d.name)
		if err != nil {
			return nil, err
		}
		d.read, d.rest = true, rest
	}
	if n > 0 && len(d.rest) == 0 {
		return nil, io.EOF
	}
	if n <= 0 {
		n = len(d.rest)
	}
	n = min(n, len(d.rest))
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	return out, nil
}
