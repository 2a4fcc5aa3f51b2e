package stripe

import (
	"errors"
	"fmt"
)

var (
	// ErrShortBody says that the body ended before its announced size. It comes
	// with io.ErrUnexpectedEOF.
	ErrShortBody = errors.New("body is shorter than announced")
	// ErrLongBody says that the body goes on after its announced size.
	ErrLongBody = errors.New("body is longer than announced")
	// ErrTooFewSinks says that fewer sinks are left than the caller needs.
	ErrTooFewSinks = errors.New("too few shards could be written")
	// ErrTooFewShards says that a stripe has fewer good blocks than its code needs.
	ErrTooFewShards = errors.New("too few shards could be read")
	// ErrAbsent is the error of a shard for which there is no sink or source.
	ErrAbsent = errors.New("no such shard at hand")
	// ErrStalled is the error of a sink that was dropped for staying away.
	ErrStalled = errors.New("shard was not written in time")
	// ErrStuck is returned by Reader.Close when a source did not return in time.
	ErrStuck = errors.New("source does not return")
	// ErrClosed is returned by a Reader that was closed.
	ErrClosed = errors.New("object reader is closed")
	// ErrInput says that arguments do not fit together.
	ErrInput = errors.New("invalid argument")
)

// Damage says what was wrong with one shard: the first error that it gave.
type Damage struct {
	Shard int
	Err   error
}

// tooFew makes the error of a loss that is too great, with all its causes.
func tooFew(sentinel error, have, need int, damage []Damage) error {
	causes := make([]error, len(damage))
	for i, d := range damage {
		causes[i] = fmt.Errorf("shard %d: %w", d.Shard, d.Err)
	}
	if len(causes) == 0 {
		return fmt.Errorf("%w: %d of %d", sentinel, have, need)
	}
	return fmt.Errorf("%w: %d of %d: %w", sentinel, have, need, errors.Join(causes...))
}
