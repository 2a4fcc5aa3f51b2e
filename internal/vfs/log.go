package vfs

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// Entry is one recorded operation.
type Entry struct {
	Kind  op.Kind
	Class op.Class
	Path  string // relative to the root of the log, with slashes
	To    string // of Link, Rename and Reuse
	Off   int64
	Len   int   // bytes asked for, of reads and writes
	Err   error // what the caller got
}

// Recorder collects the operations of one or more file systems in the order in which they ended.
// It is safe for concurrent use.
type Recorder struct {
	// Keep tells which entries to record; nil: those that mutate or sync. It is set before use.
	Keep func(Entry) bool
	// Sizes says whether lines show offsets and lengths. It is set before use.
	Sizes bool

	mu      sync.Mutex
	entries []Entry
}

// Log returns fs with each operation recorded into to. Paths are recorded relative to root; what lies
// outside of root keeps its path.
func Log(fs FS, root string, to *Recorder) FS {
	return Intercept(fs, func(c *Call, next func() error) error {
		asked := len(c.P)
		err := next()
		to.add(Entry{
			Kind: c.Kind, Class: c.Class(), Path: relative(root, c.Path), To: relative(root, c.To),
			Off: c.Off, Len: asked, Err: err,
		})
		return err
	})
}

func (r *Recorder) add(e Entry) {
	keep := e.Kind.Mutates() || e.Kind.Durable()
	if r.Keep != nil {
		keep = r.Keep(e)
	}
	if !keep {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, e)
}

// Note adds a line of the test's own, such as "acknowledged", in its place.
func (r *Recorder) Note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, Entry{Kind: op.Kinds, Path: text})
}

// Take returns the entries recorded so far and forgets them.
func (r *Recorder) Take() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.entries
	r.entries = nil
	return taken
}

// TakeTrace returns Take as text, one line each, for golden files: the kind, the path with its numbers
// replaced, and the error if there was one.
func (r *Recorder) TakeTrace() string {
	var b strings.Builder
	for _, e := range r.Take() {
		b.WriteString(e.line(r.Sizes))
		b.WriteByte('\n')
	}
	return b.String()
}

func (e Entry) line(sizes bool) string {
	if e.Kind == op.Kinds {
		return "# " + e.Path
	}
	line := e.Kind.String() + " " + op.Normalise(e.Path)
	if e.To != "" {
		line += " -> " + op.Normalise(e.To)
	}
	if sizes && (e.Off != 0 || e.Len != 0) {
		line += fmt.Sprintf(" [%d+%d]", e.Off, e.Len)
	}
	if e.Err != nil {
		line += " !"
	}
	return line
}

func relative(root, name string) string {
	if name == "" {
		return ""
	}
	rel, err := filepath.Rel(root, name)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		rel = name
	}
	return filepath.ToSlash(rel)
}
