package memfs

import (
	"os"
	"slices"
	"sync"
	"time"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
)

// pageBytes is the size of all pages of a file but the last, which grows to it.
const pageBytes = 64 << 10

// node is a file or a directory. A nil node is neither.
type node struct {
	ino     uint64
	entries map[string]*node // of a directory; guarded by FS.mu
	links   int              // names that lead here; guarded by FS.mu
	open    int              // handles; guarded by FS.mu
	locked  int              // shares of its lock that are taken; guarded by FS.mu

	mu      sync.RWMutex // guards what follows
	pages   [][]byte
	size    int64
	held    int64 // space that was preallocated, in bytes from the start; what it has beyond size reads as nothing
	modTime time.Time
}

func (n *node) isDir() bool { return n != nil && n.entries != nil }

func (n *node) kind() NodeKind {
	if n.isDir() {
		return Directory
	}
	return RegularFile
}

func (n *node) number() uint64 {
	if n == nil {
		return 0
	}
	return n.ino
}

func (n *node) names() []string {
	names := make([]string, 0, len(n.entries))
	for name := range n.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// contains tells whether other is n or lies below it.
func (n *node) contains(other *node) bool {
	if n == other {
		return true
	}
	for _, child := range n.entries {
		if child.isDir() && child.contains(other) {
			return true
		}
	}
	return false
}

// readAt copies bytes from off on and returns how many; fewer than len(p) only at the end. n.mu is held.
func (n *node) readAt(p []byte, off int64) int {
	if off < 0 || off >= n.size {
		return 0
	}
	p = p[:min(int64(len(p)), n.size-off)]
	done := 0
	for done < len(p) {
		at := off + int64(done)
		done += copy(p[done:], n.pages[at/pageBytes][at%pageBytes:])
	}
	return done
}

// grow makes the file at least size bytes long, with zeros. n.mu is held for writing.
func (n *node) grow(size int64) {
	for n.size < size {
		if n.size == int64(len(n.pages))*pageBytes {
			n.pages = append(n.pages, nil)
		}
		last := &n.pages[len(n.pages)-1]
		step := min(size-n.size, pageBytes-int64(len(*last)))
		*last = append(*last, make([]byte, step)...)
		n.size += step
	}
}

// writeAt stores p at off. n.mu is held for writing.
func (n *node) writeAt(p []byte, off int64) {
	n.grow(off + int64(len(p)))
	for len(p) > 0 {
		done := copy(n.pages[off/pageBytes][off%pageBytes:], p)
		p, off = p[done:], off+int64(done)
	}
	n.modTime = time.Now()
}

// space is how many bytes of the file system's the file takes. n.mu is held.
func (n *node) space() int64 { return max(n.size, n.held) }

// drop lets the bytes go and returns how many the file took.
func (n *node) drop() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	space := n.space()
	n.pages, n.size, n.held = nil, 0, 0
	return space
}

func (n *node) info(name string) info {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return info{name: name, size: n.size, modTime: n.modTime, dir: n.isDir()}
}

// info is the description of a node at a moment.
type info struct {
	name    string
	size    int64
	modTime time.Time
	dir     bool
}

func (i info) Name() string                 { return i.name }
func (i info) Size() int64                  { return i.size }
func (i info) ModTime() time.Time           { return i.modTime }
func (i info) IsDir() bool                  { return i.dir }
func (i info) Sys() any                     { return nil }
func (i info) DeviceID() pebblevfs.DeviceID { return pebblevfs.DeviceID{} }

func (i info) Mode() os.FileMode {
	if i.dir {
		return os.ModeDir | 0o700
	}
	return 0o600
}
