package crashfs

import (
	"maps"
	"slices"
	"sync"

	"github.com/sherd-storage/sherd/internal/vfs/memfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// disk is the state below the file system: what is durable, and what is not yet.
type disk struct {
	onOperation func(n int, kind op.Kind, name string)

	mu         sync.Mutex // guards what follows
	operations int
	crashAt    int // 0: never
	crashed    bool
	lying      bool
	seq        int // numbers writes and entry changes in their order
	files      map[uint64]*fileState
	dirs       map[uint64]entries
	pending    []dirChange    // not durable, in order
	refs       map[uint64]int // names, durable or pending, that lead to an inode
}

// entries are the durable entries of a directory.
type entries map[string]entry

type entry struct {
	ino  uint64
	kind memfs.NodeKind
}

// fileState is a file on the disk.
type fileState struct {
	durable []byte
	pending []write // not durable, in order
}

type write struct {
	seq  int
	off  int64
	data []byte
}

// dirChange is an atomic change of one or two entries.
type dirChange struct {
	seq     int
	changes []memfs.Change
}

var _ memfs.Observer = (*disk)(nil)

func newDisk() *disk {
	return &disk{
		files: map[uint64]*fileState{},
		dirs:  map[uint64]entries{memfs.RootIno: {}},
		refs:  map[uint64]int{memfs.RootIno: 1},
	}
}

// Before implements memfs.Observer.
func (d *disk) Before(kind op.Kind, name string) error {
	counts := kind.Mutates() || kind.Durable()
	d.mu.Lock()
	if counts && !d.crashed {
		d.operations++
		d.crashed = d.operations == d.crashAt
	}
	n, crashed := d.operations, d.crashed
	d.mu.Unlock()
	if crashed {
		return ErrCrashed
	}
	if counts && d.onOperation != nil {
		d.onOperation(n, kind, name)
	}
	return nil
}

// Wrote implements memfs.Observer.
func (d *disk) Wrote(ino uint64, off int64, p []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return ErrCrashed
	}
	if d.refs[ino] == 0 {
		return nil // no crash can bring its name back
	}
	d.seq++
	state := d.file(ino)
	state.pending = append(state.pending, write{seq: d.seq, off: off, data: slices.Clone(p)})
	return nil
}

// Synced implements memfs.Observer.
func (d *disk) Synced(ino uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.crashed:
		return ErrCrashed
	case d.lying:
	case d.dirs[ino] != nil:
		d.commit(func(c dirChange) bool { return c.last().Dir == ino })
	case d.files[ino] != nil:
		d.files[ino].sync()
	}
	return nil
}

// Changed implements memfs.Observer.
func (d *disk) Changed(_ op.Kind, changes []memfs.Change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return ErrCrashed
	}
	d.seq++
	d.pending = append(d.pending, dirChange{seq: d.seq, changes: slices.Clone(changes)})
	for _, c := range changes {
		d.ref(c.Ino, 1)
		if c.Ino != 0 && c.Kind == memfs.Directory && d.dirs[c.Ino] == nil {
			d.dirs[c.Ino] = entries{}
		}
	}
	return nil
}

// last is the change that decides whose sync makes all of it durable: that of the new name.
func (c dirChange) last() memfs.Change { return c.changes[len(c.changes)-1] }

func (d *disk) file(ino uint64) *fileState {
	if d.files[ino] == nil {
		d.files[ino] = &fileState{}
	}
	return d.files[ino]
}

func (d *disk) ref(ino uint64, by int) {
	if ino == 0 {
		return
	}
	if d.refs[ino] += by; d.refs[ino] == 0 {
		delete(d.refs, ino)
		delete(d.files, ino)
	}
}

func (d *disk) syncAll() {
	for _, state := range d.files {
		state.sync()
	}
	d.commit(func(dirChange) bool { return true })
}

func (s *fileState) sync() {
	for _, w := range s.pending {
		s.durable = overlay(s.durable, w.off, w.data)
	}
	s.pending = nil
}

// overlay puts data at off into content, which grows as needed, with zeros.
func overlay(content []byte, off int64, data []byte) []byte {
	if grow := int(off) + len(data) - len(content); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	copy(content[off:], data)
	return content
}

// commit makes the chosen changes durable, and those that they rest on.
func (d *disk) commit(choose func(dirChange) bool) {
	chosen := closed(d.pending, choose)
	rest := d.pending[:0:0]
	for i, c := range d.pending {
		if !chosen[i] {
			rest = append(rest, c)
			continue
		}
		apply(d.dirs, c, d.ref)
		for _, change := range c.changes {
			d.ref(change.Ino, -1)
		}
	}
	d.pending = rest
}

// name is an entry, or with an empty name all ordered entries of a directory.
type name struct {
	dir  uint64
	name string
}

// ordered tells whether the name is one of the index library's, whose changes happen in order.
func ordered(name string) bool { return op.ClassOf(name) != op.Other }

// names calls yield for the entries that c changes.
func (c dirChange) names(yield func(name) bool) {
	for _, change := range c.changes {
		if !yield(name{change.Dir, change.Name}) || ordered(change.Name) && !yield(name{change.Dir, ""}) {
			return
		}
	}
}

// closed returns which changes are chosen, together with all earlier ones that they cannot be without.
func closed(pending []dirChange, choose func(dirChange) bool) []bool {
	chosen := make([]bool, len(pending))
	touched := map[name]bool{}
	for i, c := range slices.Backward(pending) {
		chosen[i] = choose(c)
		for n := range c.names {
			chosen[i] = chosen[i] || touched[n]
		}
		if !chosen[i] {
			continue
		}
		for n := range c.names {
			touched[n] = true
		}
	}
	return chosen
}

// apply makes one change in dirs. counted, if not nil, is told of each name that comes (1) or goes (-1).
func apply(dirs map[uint64]entries, c dirChange, counted func(ino uint64, by int)) {
	for _, change := range c.changes {
		removesDirectory := change.Ino == 0 && len(c.changes) == 1 && change.Kind == memfs.Directory
		if removesDirectory && len(dirs[change.Was]) > 0 {
			continue // an entry was not removed on the disk
		}
		dir := dirs[change.Dir]
		if dir == nil {
			continue // the directory itself is gone
		}
		if counted != nil {
			counted(change.Ino, 1)
			counted(dir[change.Name].ino, -1)
		}
		if change.Ino == 0 {
			delete(dir, change.Name)
		} else {
			dir[change.Name] = entry{ino: change.Ino, kind: change.Kind}
		}
	}
}

// copyDirs returns dirs, to be changed alone.
func copyDirs(dirs map[uint64]entries) map[uint64]entries {
	copied := make(map[uint64]entries, len(dirs))
	for ino, e := range dirs {
		copied[ino] = maps.Clone(e)
	}
	return copied
}
