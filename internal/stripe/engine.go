package stripe

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
	"golang.org/x/sync/semaphore"
)

const (
	frameBytes = bitrot.FrameBytes + bitrot.SumBytes
	// batchFrames is how many frames of all shards together make a batch, at most:
	// about 1 MiB.
	batchFrames = erasure.MaxShards
	// rebuildFrames is how many frames of the shards that a rebuild needs make one of
	// its batches: few, so that they are still in the processor's cache when
	// they are computed with and written.
	rebuildFrames = 6

	// MinMemoryBytes is the least memory that an Engine works with: one request.
	MinMemoryBytes = 4 << 20

	defaultMemoryBytes = 64 << 20
	defaultIdleBytes   = 8 << 20
)

// Limits bounds the memory of an Engine. The zero value means the defaults.
type Limits struct {
	// MemoryBytes is what all requests under way may hold; those beyond wait.
	// Default 64 MiB, at least MinMemoryBytes. Rebuilds may hold half as much beside
	// them, at least MinMemoryBytes.
	MemoryBytes int64
	// IdleBytes is what is kept for later requests when none is under way.
	// Default 8 MiB; less than zero keeps nothing.
	IdleBytes int64
}

// Engine has what requests share: buffers, codes, hash states. It has no goroutine
// of its own and needs no closing.
type Engine struct {
	memory    *semaphore.Weighted // in bytes
	rebuilds  *semaphore.Weighted // in bytes, so that they hold back no request
	idleBytes int64
	coders    [erasure.MaxShards + 1][erasure.MaxShards + 1]atomic.Pointer[erasure.Coder]
	sealers   sync.Pool // of *bitrot.Sealer

	mu     sync.Mutex
	free   [batchFrames + 1][][]byte // chunks by their frames
	idle   int64                     // bytes in free
	stuck  int                       // goroutines given up that have not returned
	unglue chan struct{}             // closed when stuck falls to zero; nil if it is zero
}

// NewEngine makes an Engine within limits; nil means the defaults.
func NewEngine(limits *Limits) (*Engine, error) {
	var l Limits
	if limits != nil {
		l = *limits
	}
	if l.MemoryBytes == 0 {
		l.MemoryBytes = defaultMemoryBytes
	}
	if l.IdleBytes == 0 {
		l.IdleBytes = defaultIdleBytes
	}
	if l.MemoryBytes < MinMemoryBytes {
		return nil, fmt.Errorf("%w: %d bytes of memory, at least %d", ErrInput, l.MemoryBytes, MinMemoryBytes)
	}
	return &Engine{
		memory:   semaphore.NewWeighted(l.MemoryBytes),
		rebuilds: semaphore.NewWeighted(max(l.MemoryBytes/2, MinMemoryBytes)),

		idleBytes: l.IdleBytes,
	}, nil
}

// Stuck is the number of goroutines that were given up inside a sink or source
// and have not come back.
func (e *Engine) Stuck() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stuck
}

// Wait waits until none is stuck, or ctx ends.
func (e *Engine) Wait(ctx context.Context) error {
	e.mu.Lock()
	done := e.unglue
	e.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// giveUp counts n more goroutines as stuck, comeBack one fewer.
func (e *Engine) giveUp(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stuck += n
	if e.stuck > 0 && e.unglue == nil {
		e.unglue = make(chan struct{})
	}
}

func (e *Engine) comeBack() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stuck--; e.stuck == 0 {
		close(e.unglue)
		e.unglue = nil
	}
}

// coder gives the code of a geometry, which is made once.
func (e *Engine) coder(g erasure.Geometry) (*erasure.Coder, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	slot := &e.coders[g.Data][g.Parity]
	if c := slot.Load(); c != nil {
		return c, nil
	}
	c, err := erasure.New(g)
	if err != nil {
		return nil, err
	}
	slot.CompareAndSwap(nil, c)
	return c, nil
}

func (e *Engine) sealer() *bitrot.Sealer {
	if s, ok := e.sealers.Get().(*bitrot.Sealer); ok {
		return s
	}
	return bitrot.NewSealer()
}

// chunk gives room for so many frames of one shard; the content is anything.
func (e *Engine) chunk(frames int) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.free[frames]
	if len(list) == 0 {
		return make([]byte, frames*frameBytes)
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	e.free[frames] = list[:len(list)-1]
	e.idle -= int64(len(c))
	return c
}

// recycle takes chunks of so many frames back; nil ones are passed over.
func (e *Engine) recycle(frames int, chunks [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, c := range chunks {
		if c != nil && e.idle+int64(len(c)) <= e.idleBytes {
			e.free[frames] = append(e.free[frames], c)
			e.idle += int64(len(c))
		}
		chunks[i] = nil
	}
}
