// Package objectfs gives objects as a file system to read: a slash in a key
// separates directories. It passes fstest.TestFS, as far as the objects do.
//
// A key that is no valid path (fs.ValidPath) is left out. Where a key is also
// the prefix of others up to a slash, there is a directory and the object is left
// out. Directories that nothing lies in don't exist. Reading a directory reads all
// of it.
package objectfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"
)

// Objects are what is shown. What is not there is fs.ErrNotExist.
type Objects interface {
	// List gives the objects under a prefix in the order of their keys; those
	// with the delimiter behind it as one common prefix.
	List(ctx context.Context, prefix, delimiter string) iter.Seq2[Info, error]
	Stat(ctx context.Context, key string) (Info, error)
	Open(ctx context.Context, key string) (Object, Info, error)
}

// Object is an object that is open.
type Object interface {
	io.ReadSeekCloser
	io.ReaderAt
	io.WriterTo
}

// Info describes an object, or a common prefix of several.
type Info struct {
	Key      string
	IsPrefix bool
	Size     int64
	Modified time.Time
	Sys      any
}

// New shows objects whose keys have at most maxKeyBytes. ctx is that of all
// reading.
func New(ctx context.Context, objects Objects, maxKeyBytes int) fs.FS {
	return &tree{objects, ctx, maxKeyBytes}
}

const (
	slash   = "/"
	rootDir = "."
)

type tree struct {
	objects     Objects
	ctx         context.Context
	maxKeyBytes int
}

// Open opens a file or a directory.
func (f *tree) Open(name string) (fs.File, error) {
	dir, err := f.isDir("open", name)
	if err != nil {
		return nil, err
	}
	if dir {
		return &openDir{fs: f, name: name}, nil
	}
	object, info, err := f.objects.Open(f.ctx, name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &openFile{Object: object, entry: entry{name: path.Base(name), object: info}}, nil
}

// Stat describes a file or a directory.
func (f *tree) Stat(name string) (fs.FileInfo, error) {
	dir, err := f.isDir("stat", name)
	if err != nil {
		return nil, err
	}
	if dir {
		return entry{name: path.Base(name), dir: true}, nil
	}
	info, err := f.objects.Stat(f.ctx, name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return entry{name: path.Base(name), object: info}, nil
}

// ReadDir gives what is in a directory, ordered by name.
func (f *tree) ReadDir(name string) ([]fs.DirEntry, error) {
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
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// isDir says whether a name is that of a directory, or gives why it is none at
// all.
func (f *tree) isDir(op, name string) (bool, error) {
	if !fs.ValidPath(name) {
		return false, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == rootDir {
		return true, nil
	}
	if len(name)+len(slash) >= f.maxKeyBytes {
		return false, nil // nothing can lie in it
	}
	for info, err := range f.objects.List(f.ctx, name+slash, "") {
		if err != nil {
			return false, pathError(op, name, err)
		}
		return info.Key != "", nil
	}
	return false, nil
}

func (f *tree) entries(name string) ([]fs.DirEntry, error) {
	prefix := name + slash
	if name == rootDir {
		prefix = ""
	}
	found := map[string]entry{}
	for info, err := range f.objects.List(f.ctx, prefix, slash) {
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
	object Info
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
	return e.object.Sys
}

type openFile struct {
	Object
	entry entry
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.entry, nil }

type openDir struct {
	fs   *tree
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
