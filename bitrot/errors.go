package bitrot

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt is what every CorruptError is.
	ErrCorrupt = errors.New("corrupt shard")
	// ErrSize says that no stream has this size, or no such frame or offset.
	ErrSize = errors.New("impossible size")
	// ErrClosed is returned by a Writer that was closed before.
	ErrClosed = errors.New("shard writer is closed")
)

// Reason says in which way a frame is not what it should be.
type Reason string

// All reasons. For the last two the sum of the frame itself is right.
const (
	// WrongSum: bytes were changed, or the frame is another one, or another shard's.
	WrongSum Reason = "sum does not match"
	// Cut: the stream ends inside the frame.
	Cut Reason = "stream ends inside the frame"
	// Empty: a last frame without payload follows others.
	Empty Reason = "empty last frame after others"
	// TooLong: the frame is longer than frames are.
	TooLong Reason = "frame too long"
	// TooShort: a frame that is not the last is not full.
	TooShort Reason = "frame is not full"
	// Truncated: the stream ends here, but this is not its last frame.
	Truncated Reason = "stream ends before its last frame"
	// Trailing: this is the last frame, but bytes follow it.
	Trailing Reason = "bytes after the last frame"
)

// CorruptError names the frame that is damaged.
type CorruptError struct {
	Shard  ShardID
	Frame  int64 // from 0
	Reason Reason
}

// Error gives shard number, frame and reason.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s %d, frame %d: %s", ErrCorrupt, e.Shard.Shard, e.Frame, e.Reason)
}

// Unwrap gives ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }
