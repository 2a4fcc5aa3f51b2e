package memfs

import (
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
)

// lookup follows name from the root. fs.mu is held.
func (fs *FS) lookup(name string) (*node, error) {
	at := fs.root
	for _, part := range split(name) {
		if !at.isDir() {
			return nil, syscall.ENOTDIR
		}
		if at = at.entries[part]; at == nil {
			return nil, syscall.ENOENT
		}
	}
	return at, nil
}

// parent returns the directory that holds name, and name's last element. fs.mu is held.
func (fs *FS) parent(name string) (*node, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", syscall.EINVAL
	}
	at := fs.root
	for _, part := range parts[:len(parts)-1] {
		if at = at.entries[part]; at == nil {
			return nil, "", syscall.ENOENT
		}
		if !at.isDir() {
			return nil, "", syscall.ENOTDIR
		}
	}
	return at, parts[len(parts)-1], nil
}

// set lets name lead to n (nil: to nothing) and frees what it led to before. fs.mu is held for writing.
func (fs *FS) set(dir *node, name string, n *node) {
	old := dir.entries[name]
	if n != nil {
		n.links++
		dir.entries[name] = n
	} else {
		delete(dir.entries, name)
	}
	if old != nil {
		old.links--
		fs.freeIfUnused(old)
	}
}

func (fs *FS) freeIfUnused(n *node) {
	if n.links == 0 && n.open == 0 && !n.isDir() {
		fs.used.Add(-n.drop())
	}
}

func split(name string) []string {
	clean := strings.Trim(path.Clean("/"+name), "/")
	if clean == "" {
		return nil
	}
	return slices.DeleteFunc(strings.Split(clean, "/"), func(s string) bool { return s == "" })
}

func applied(f *file, opts []pebblevfs.OpenOption) *file {
	for _, opt := range opts {
		opt.Apply(f)
	}
	return f
}

func pathError(operation, name string, err error) error {
	return &os.PathError{Op: operation, Path: name, Err: err}
}

func linkError(operation, oldname, newname string, err error) error {
	return &os.LinkError{Op: operation, Old: oldname, New: newname, Err: err}
}
