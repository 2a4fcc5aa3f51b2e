package faultfs

import (
	"io"
	"os"
	"sync"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// failure is the error that an operation returns for cause, as package os would shape it.
func failure(c *vfs.Call, cause error) error {
	name := c.Path
	if c.To != "" {
		name = c.To
	}
	return &os.PathError{Op: c.Kind.String(), Path: name, Err: cause}
}

// Fail lets the operation fail with cause, such as syscall.EIO, ENOSPC, EROFS or EMFILE, and not happen.
func Fail(cause error) Action {
	return func(c *vfs.Call, _ func() error) error { return failure(c, cause) }
}

// FailAfter lets the operation happen, and then fail with cause all the same.
func FailAfter(cause error) Action {
	return func(c *vfs.Call, next func() error) error {
		if err := next(); err != nil {
			return err
		}
		return failure(c, cause)
	}
}

// Short lets a read or a write end after at most n bytes: a write with cause (nil: with none, which writers
// must not do), a read with none. Other operations are not changed.
func Short(n int, cause error) Action {
	return func(c *vfs.Call, next func() error) error {
		if len(c.P) <= n {
			return next()
		}
		c.P = c.P[:n]
		err := next()
		switch {
		case err != nil:
			return err
		case cause != nil:
			return failure(c, cause)
		case c.Kind == op.ReadAt:
			return io.ErrUnexpectedEOF
		}
		return nil
	}
}

// LoseSync lets a sync fail with cause, as kernels do it: the bytes that were to be synced are readable but will never
// be on the disk, and the next sync succeeds. Where the file system below does not model that (crashfs does, if it is wrapped
// directly), it is [Fail].
func LoseSync(cause error) Action {
	return func(c *vfs.Call, _ func() error) error {
		if loser, ok := c.FS.(interface{ Lose(vfs.File) bool }); ok && c.File != nil {
			loser.Lose(c.File)
		}
		return failure(c, cause)
	}
}

// Flip changes one bit of what is read, if the read covers the byte at offset off of its own result.
func Flip(off int, bit uint) Action {
	return func(c *vfs.Call, next func() error) error {
		err := next()
		if off < c.N {
			c.P[off] ^= 1 << (bit % 8)
		}
		return err
	}
}

// Gate holds operations up until it is opened. Make one with [NewGate].
type Gate struct {
	entered chan struct{}
	opened  chan struct{}
	open    sync.Once
	enter   sync.Once
}

// NewGate returns a closed gate.
func NewGate() *Gate {
	return &Gate{entered: make(chan struct{}), opened: make(chan struct{})}
}

// Entered is closed when the first operation waits at the gate.
func (g *Gate) Entered() <-chan struct{} { return g.entered }

// Open lets all operations go on, for ever. It may be called again.
func (g *Gate) Open() { g.open.Do(func() { close(g.opened) }) }

// Stall holds the operation up at the gate, and then lets it happen.
func Stall(g *Gate) Action {
	return func(_ *vfs.Call, next func() error) error {
		g.enter.Do(func() { close(g.entered) })
		<-g.opened
		return next()
	}
}
