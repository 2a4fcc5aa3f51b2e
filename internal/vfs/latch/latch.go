// Package latch stops believing a drive at its first failed sync or write.
//
// After an fsync error the kernel marks the pages clean: a later sync succeeds although the bytes are
// lost. So there is no second try. A [Latch] wraps a file system, sees every error first, and at the
// first one that puts durability in doubt it latches: from then on nothing is changed on the drive any more.
// The latch never opens again; a drive is used again by a new Latch, after recovery.
//
// What latches: any failed Sync, SyncData, SyncTo or directory sync; a failed or short write, and a failed
// create, reuse, rename, link or mkdir, unless the error says that there is no space or that it is
// the answer to the call (the name exists, does not exist, is too long, lies on another device, the process has
// no file descriptors left, …). A failed remove, read, list or stat does not latch. [Latch.Trip] latches from outside.
//
// There are two views of the drive, sharing the latch:
//
//   - [Latch.FS] tells the truth. Once latched, all operations that mutate or sync fail with [ErrLatched]; reads go on.
//   - [Latch.Index] is for the index library, which does not survive the truth: it panics with its locks held when
//     a log cannot be closed or created or a directory cannot be synced (which ends the process; it cannot be recovered), and
//     it retries a failed flush in a busy loop. This view never returns an error of the drive for what
//     the library writes. Once latched, new bytes go to memory, syncs do nothing, removals are not done, and the
//     library runs on as if nothing had happened until it is closed, without changing the drive.
//
// So a commit that returns without error means nothing by itself: **after each commit, and after
// opening the index, and before anything is reported as durable, ask [Latch.Err]**. The latch is set before the failing
// call returns: whoever sees the outcome of a swallowed error also sees the latch.
//
// All methods are safe for concurrent use. The cost per operation is two reads of the clock and two
// uncontended atomic writes, by which [Latch.Oldest] shows an operation that hangs.
package latch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/memfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// ErrLatched is wrapped by all errors of a latched drive, together with the first cause.
var ErrLatched = errors.New("drive is latched after a failure")

// Options of a [Latch]. All may be nil. The functions are called on the goroutine of the failing operation, must not
// block for long, and must not use the drive through the latch, with the exception that OnFull removes files.
type Options struct {
	// OnLatch is called once, with the cause, after the latch is set.
	OnLatch func(cause error)
	// OnError is called for each error of the drive that is not just the answer to the call.
	OnError func(kind op.Kind, name string, err error)
	// OnFull is called when the index view finds no space. It frees some, such as a reserve that was
	// preallocated (through the file system below the latch), and returns whether to try again. Calls do not overlap,
	// and an operation that began before space was freed is tried again without another call. Nil: never.
	OnFull func() bool
}

// Latch is a drive's latch. See the package comment.
type Latch struct {
	inner    vfs.FS
	opts     Options
	err      atomic.Pointer[error]
	inflight inflight
	after    *memfs.FS // what the index view writes once latched

	fullMu sync.Mutex    // serialises OnFull
	freed  atomic.Uint64 // how often OnFull freed space
}

// New returns a latch over fs, not latched.
func New(fs vfs.FS, opts Options) *Latch {
	l := &Latch{inner: fs, opts: opts, after: memfs.New(memfs.Unlimited)}
	l.inflight.base = time.Now()
	return l
}

// FS returns the view that tells the truth.
func (l *Latch) FS() vfs.FS { return &truthful{l} }

// Index returns the view for the index library.
func (l *Latch) Index() vfs.FS { return &indexFS{l: l, below: &truthful{l}} }

// Err returns nil, or once latched an error that wraps [ErrLatched] and the first cause.
func (l *Latch) Err() error {
	if err := l.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Trip latches the drive for a cause that the file system cannot see: the drive is not the same one any more, an
// operation hangs, the index library reports what it cannot survive. Only the first cause counts.
func (l *Latch) Trip(cause error) {
	err := fmt.Errorf("%w: %w", ErrLatched, cause)
	if l.err.CompareAndSwap(nil, &err) && l.opts.OnLatch != nil {
		l.opts.OnLatch(cause)
	}
}

// Oldest returns when the oldest operation began that has not returned, or the zero time if there is none.
func (l *Latch) Oldest() time.Time { return l.inflight.oldest() }

// failed sees an error before the caller does, and returns it.
func (l *Latch) failed(kind op.Kind, name string, err error) error {
	if err == nil || errors.Is(err, io.EOF) || isAnswer(err) {
		return err
	}
	if l.opts.OnError != nil {
		l.opts.OnError(kind, name, err)
	}
	if latches(kind, err) {
		l.Trip(fmt.Errorf("%s %s: %w", kind, name, err))
	}
	return err
}

func latches(kind op.Kind, err error) bool {
	switch kind {
	case op.Sync, op.SyncData, op.SyncDir, op.SyncTo:
		return true
	case op.Write, op.WriteAt, op.Create, op.OpenReadWrite, op.Reuse, op.Rename, op.Link, op.Mkdir:
		return !IsSpace(err)
	}
	return false
}

// isAnswer tells whether err is what the caller asked to know, and says nothing about the drive.
func isAnswer(err error) bool {
	for _, answer := range []error{
		fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, vfs.ErrLocked, syscall.EMFILE, syscall.ENFILE, syscall.EXDEV,
		syscall.ENAMETOOLONG, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY, syscall.EMLINK,
		errors.ErrUnsupported,
	} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// IsSpace tells whether err says that the file system is full, or a quota reached.
func IsSpace(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	const diskFull, handleDiskFull = syscall.Errno(112), syscall.Errno(39)
	return runtime.GOOS == "windows" && (errors.Is(err, diskFull) || errors.Is(err, handleDiskFull))
}

// relieve frees space after an operation that began when freed was seen, and returns whether to try again.
func (l *Latch) relieve(seen uint64) bool {
	l.fullMu.Lock()
	defer l.fullMu.Unlock()
	if l.freed.Load() != seen {
		return true
	}
	if l.opts.OnFull == nil || !l.opts.OnFull() {
		return false
	}
	l.freed.Add(1)
	return true
}
