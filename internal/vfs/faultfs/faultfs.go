// Package faultfs injects faults into a file system.
//
// An [Injector] holds rules; each operation of the file systems that it wraps is offered to them in their order, and
// the first that matches and is due decides what happens. Without rules, all is as below. There is no
// sleeping and no chance in it: what happens depends on the rules and on the order of operations.
//
// To fail the n-th operation for n = 1, 2, … until nothing is left to fail:
//
//	for n := 1; ; n++ {
//		faults := faultfs.New()
//		rule := faults.Add(faultfs.Rule{Skip: n - 1, Times: 1, Do: faultfs.Fail(syscall.EIO)})
//		… run the workload on faults.Wrap(fs), and check its answer …
//		if rule.Fired() == 0 {
//			break
//		}
//	}
//
// All methods are safe for concurrent use.
package faultfs

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// ErrGone is what all operations of a drive that is gone fail with, together with ENXIO.
var ErrGone = errors.New("drive is gone")

var errGone = errors.Join(ErrGone, syscall.ENXIO)

// Action does an operation in its own way; see vfs.Interceptor.
type Action func(c *vfs.Call, next func() error) error

// Rule says which operations an action is for.
type Rule struct {
	Kinds   []op.Kind            // empty: all but Close and Unlock
	Classes []op.Class           // empty: all
	Path    string               // what the path, or the new path, contains; empty: all
	Match   func(*vfs.Call) bool // further conditions; nil: none
	Skip    int                  // so many matching operations go through first
	Times   int                  // so many times it is done; 0: always
	Do      Action
}

// Handle is a rule in force.
type Handle struct {
	rule Rule

	mu    sync.Mutex // guards what follows
	seen  int
	fired int
	off   bool
}

// Fired returns how often the action was begun.
func (h *Handle) Fired() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fired
}

// Seen returns how many operations matched, whether the action was due or not.
func (h *Handle) Seen() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// Stop takes the rule out of force.
func (h *Handle) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.off = true
}

func (h *Handle) due(c *vfs.Call) bool {
	r := &h.rule
	switch {
	case len(r.Kinds) == 0 && (c.Kind == op.Close || c.Kind == op.Unlock):
		return false
	case len(r.Kinds) > 0 && !slices.Contains(r.Kinds, c.Kind):
		return false
	case len(r.Classes) > 0 && !slices.Contains(r.Classes, c.Class()):
		return false
	case !strings.Contains(c.Path, r.Path) && !strings.Contains(c.To, r.Path):
		return false
	case r.Match != nil && !r.Match(c):
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.off {
		return false
	}
	h.seen++
	if h.seen <= r.Skip || r.Times > 0 && h.fired >= r.Times {
		return false
	}
	h.fired++
	return true
}

// Injector decides about operations. Its zero value is ready for use.
type Injector struct {
	mu     sync.RWMutex // guards what follows
	rules  []*Handle
	gone   bool
	counts [op.Kinds]int
	open   map[string]int // files that are open, and locks that are held, by path
}

// New returns an injector without rules.
func New() *Injector { return &Injector{} }

// Wrap returns fs with the faults of this injector.
func (i *Injector) Wrap(fs vfs.FS) vfs.FS {
	return vfs.Intercept(fs, i.intercept)
}

// Add puts a rule in force, after those that are.
func (i *Injector) Add(r Rule) *Handle {
	h := &Handle{rule: r}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules = append(i.rules, h)
	return h
}

// Clear takes all rules out of force, and brings the drive back.
func (i *Injector) Clear() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules, i.gone = nil, false
}

// SetGone says whether the drive is gone: all operations but Close and Unlock fail, also of open files.
func (i *Injector) SetGone(gone bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.gone = gone
}

// Count returns how many operations of these kinds there were; without kinds, of all.
func (i *Injector) Count(kinds ...op.Kind) int {
	i.mu.RLock()
	defer i.mu.RUnlock()
	total := 0
	for kind, n := range i.counts {
		if len(kinds) == 0 || slices.Contains(kinds, op.Kind(kind)) {
			total += n
		}
	}
	return total
}

// Open returns the paths of the files that are open and of the locks that are held, sorted, each as often as it is.
func (i *Injector) Open() []string {
	i.mu.RLock()
	defer i.mu.RUnlock()
	var paths []string
	for path, n := range i.open {
		for range n {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// opened counts handles: by is 1 where the call gave one, −1 where it took one back.
func (i *Injector) opened(c *vfs.Call, by int) {
	path := c.Path
	if c.To != "" {
		path = c.To
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open == nil {
		i.open = map[string]int{}
	}
	i.open[path] += by
}

func (i *Injector) intercept(c *vfs.Call, next func() error) error {
	err := i.decide(c, next)
	if err != nil {
		return err
	}
	switch c.Kind {
	case op.Create, op.Open, op.OpenReadWrite, op.OpenDir, op.Reuse, op.Lock:
		i.opened(c, 1)
	case op.Close, op.Unlock:
		i.opened(c, -1)
	}
	return nil
}

func (i *Injector) decide(c *vfs.Call, next func() error) error {
	i.mu.Lock()
	i.counts[c.Kind]++
	rules, gone := i.rules, i.gone
	i.mu.Unlock()
	if gone && c.Kind != op.Close && c.Kind != op.Unlock {
		return failure(c, errGone)
	}
	for _, h := range rules {
		if h.due(c) {
			return h.rule.Do(c, next)
		}
	}
	return next()
}
