// Goal: sizes of payload and stream are exact inverses, and impossible ones are
// refused. Method: every size around the boundaries, and the extremes.
package bitrot_test

import (
	"math"
	"testing"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/stretchr/testify/require"
)

func TestSizesAreInverses(t *testing.T) {
	seen := map[int64]bool{}
	for payload := int64(0); payload < 3*frame+3; payload++ {
		encoded, err := bitrot.EncodedBytes(payload)
		require.NoError(t, err)
		back, err := bitrot.PayloadBytes(encoded)
		require.NoError(t, err)
		if payload != back {
			t.Fatalf("%d bytes become %d, and those %d", payload, encoded, back)
		}
		seen[encoded] = true
	}
	for encoded := int64(-3); encoded <= 3*full; encoded++ {
		if _, err := bitrot.PayloadBytes(encoded); (err == nil) != seen[encoded] {
			t.Fatalf("a stream of %d bytes: %v, but one exists: %v", encoded, err, seen[encoded])
		}
	}
}

func TestFramesOfSizes(t *testing.T) {
	for payload, frames := range map[int64]int64{0: 1, 1: 1, frame: 1, frame + 1: 2, 2 * frame: 2, 2*frame + 1: 3} {
		n, err := bitrot.Frames(payload)
		require.NoError(t, err)
		require.Equal(t, frames, n)
		var sum int64
		for i := range n {
			part, err := bitrot.FramePayload(payload, i)
			require.NoError(t, err)
			sum += int64(part)
			off, err := bitrot.FrameOffset(i)
			require.NoError(t, err)
			require.Equal(t, i*full, off)
		}
		require.Equal(t, payload, sum)
		for _, i := range []int64{-1, n} {
			_, err = bitrot.FramePayload(payload, i)
			require.ErrorIs(t, err, bitrot.ErrSize)
		}
	}
}

func TestImpossibleSizes(t *testing.T) {
	largest := int64(math.MaxInt64) - int64(math.MaxInt64)/full*bitrot.SumBytes - bitrot.SumBytes
	encoded, err := bitrot.EncodedBytes(largest)
	require.NoError(t, err)
	back, err := bitrot.PayloadBytes(encoded)
	require.NoError(t, err)
	require.Equal(t, largest, back)
	for _, payload := range []int64{-1, math.MinInt64, math.MaxInt64, math.MaxInt64 - bitrot.SumBytes} {
		_, err := bitrot.EncodedBytes(payload)
		require.ErrorIs(t, err, bitrot.ErrSize)
		_, err = bitrot.Frames(payload)
		require.ErrorIs(t, err, bitrot.ErrSize)
		_, err = bitrot.FramePayload(payload, 0)
		require.ErrorIs(t, err, bitrot.ErrSize)
	}
	for _, encoded := range []int64{math.MinInt64, -32, 0, 1, 31, full + 1, full + 32} {
		_, err := bitrot.PayloadBytes(encoded)
		require.ErrorIs(t, err, bitrot.ErrSize, "%d", encoded)
	}
	for _, n := range []int64{-1, math.MaxInt64} {
		_, err := bitrot.FrameOffset(n)
		require.ErrorIs(t, err, bitrot.ErrSize)
	}
}
