package bitrot

import (
	"fmt"
	"math"
)

const (
	// FrameBytes is the payload of a full frame.
	FrameBytes = 64 << 10
	// SumBytes is the length of the sum that follows the payload.
	SumBytes = 32

	fullFrame = FrameBytes + SumBytes
)

// Frames is the number of frames of a stream with this payload, in bytes. It is
// at least 1.
func Frames(payload int64) (int64, error) {
	if _, err := EncodedBytes(payload); err != nil {
		return 0, err
	}
	return frames(payload), nil
}

// EncodedBytes is the size of the stream with this payload, in bytes.
func EncodedBytes(payload int64) (int64, error) {
	if payload < 0 {
		return 0, fmt.Errorf("%w: a payload of %d bytes", ErrSize, payload)
	}
	sums := frames(payload) * SumBytes
	if payload > math.MaxInt64-sums {
		return 0, fmt.Errorf("%w: a payload of %d bytes", ErrSize, payload)
	}
	return payload + sums, nil
}

// PayloadBytes is the inverse of EncodedBytes: the payload of a stream of this
// size, in bytes, or an error if no stream has it.
func PayloadBytes(encoded int64) (int64, error) {
	full, rest := encoded/fullFrame, encoded%fullFrame
	switch {
	case encoded == SumBytes:
		return 0, nil
	case encoded <= 0, rest > 0 && rest <= SumBytes:
		return 0, fmt.Errorf("%w: a stream of %d bytes", ErrSize, encoded)
	case rest == 0:
		return full * FrameBytes, nil
	}
	return full*FrameBytes + rest - SumBytes, nil
}

// FrameOffset is where a frame starts in its stream, in bytes.
func FrameOffset(frame int64) (int64, error) {
	if frame < 0 || frame > math.MaxInt64/fullFrame {
		return 0, fmt.Errorf("%w: frame %d", ErrSize, frame)
	}
	return frame * fullFrame, nil
}

// FramePayload is the number of payload bytes in one frame of a stream with this
// payload.
func FramePayload(payload, frame int64) (int, error) {
	n, err := Frames(payload)
	if err != nil {
		return 0, err
	}
	if frame < 0 || frame >= n {
		return 0, fmt.Errorf("%w: frame %d of a payload of %d bytes", ErrSize, frame, payload)
	}
	return int(min(payload-frame*FrameBytes, FrameBytes)), nil
}

// frames is Frames for a payload that is not negative.
func frames(payload int64) int64 {
	n := payload / FrameBytes
	if payload == 0 || payload%FrameBytes != 0 {
		n++
	}
	return n
}
