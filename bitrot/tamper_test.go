// Goal: no change of a stream goes unseen, and the error says where. Method: a
// table of what can happen to frames as a whole; a flip of every bit of a small
// stream; fuzz targets for all the rest.
package bitrot_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/stretchr/testify/require"
)

// cut gives the frames of a stream.
func cut(stream []byte) [][]byte { return slices.Collect(slices.Chunk(stream, full)) }

func TestTamper(t *testing.T) {
	id := shardID()
	payload := content(3*frame + 5)
	other := id
	other.Shard++
	object := id
	object.Data[23]++
	short := encode(t, id, content(2*frame))
	longer := encode(t, id, content(4*frame+5))
	for name, c := range map[string]struct {
		change func(f [][]byte) [][]byte
		frame  int64
		reason bitrot.Reason
	}{
		"reordered":              {func(f [][]byte) [][]byte { f[1], f[2] = f[2], f[1]; return f }, 1, bitrot.WrongSum},
		"repeated":               {func(f [][]byte) [][]byte { return slices.Insert(f, 1, f[0]) }, 1, bitrot.WrongSum},
		"one left out":           {func(f [][]byte) [][]byte { return slices.Delete(f, 1, 2) }, 1, bitrot.WrongSum},
		"the first left out":     {func(f [][]byte) [][]byte { return f[1:] }, 0, bitrot.WrongSum},
		"last frame gone":        {func(f [][]byte) [][]byte { return f[:3] }, 2, bitrot.Truncated},
		"all but the first gone": {func(f [][]byte) [][]byte { return f[:1] }, 0, bitrot.Truncated},
		"all gone":               {func([][]byte) [][]byte { return nil }, 0, bitrot.Cut},
		"cut inside a frame":     {func(f [][]byte) [][]byte { f[2] = f[2][:100]; return f[:3] }, 2, bitrot.WrongSum},
		"cut inside a sum":       {func(f [][]byte) [][]byte { f[3] = f[3][:len(f[3])-1]; return f }, 3, bitrot.WrongSum},
		"shorter than a sum":     {func(f [][]byte) [][]byte { f[3] = f[3][:31]; return f }, 3, bitrot.Cut},
		"a sum and nothing else": {func(f [][]byte) [][]byte { f[3] = f[3][:32]; return f }, 3, bitrot.Empty},
		"a byte after the end":   {func(f [][]byte) [][]byte { f[3] = append(f[3], 0); return f }, 3, bitrot.WrongSum},
		"last frame twice":       {func(f [][]byte) [][]byte { return append(f, f[3]) }, 3, bitrot.WrongSum},
		"of another shard":       {func(f [][]byte) [][]byte { f[1] = cut(encode(t, other, payload))[1]; return f }, 1, bitrot.WrongSum},
		"of another object":      {func(f [][]byte) [][]byte { f[0] = cut(encode(t, object, payload))[0]; return f }, 0, bitrot.WrongSum},
		"bytes after a full end": {func([][]byte) [][]byte { return append(cut(short), []byte{1}) }, 1, bitrot.Trailing},
		"two streams":            {func(f [][]byte) [][]byte { return append(cut(short), f...) }, 1, bitrot.Trailing},
		"of a longer stream":     {func(f [][]byte) [][]byte { f[3] = cut(longer)[3]; return f }, 3, bitrot.Truncated},
	} {
		t.Run(name, func(t *testing.T) {
			frames := c.change(cut(encode(t, id, payload)))
			got, err := io.ReadAll(bitrot.NewReader(bytes.NewReader(bytes.Join(frames, nil)), id))
			require.ErrorIs(t, err, bitrot.ErrCorrupt)
			require.Equal(t, &bitrot.CorruptError{Shard: id, Frame: c.frame, Reason: c.reason}, err)
			require.True(t, bytes.Equal(content(4 * frame)[:c.frame*frame], got), "all before it, and not a byte of it")
		})
	}
}

func TestEveryBitFlip(t *testing.T) {
	stream := encode(t, shardID(), content(70))
	for bit := range len(stream) * 8 {
		flipped := slices.Clone(stream)
		flipped[bit/8] ^= 1 << (bit % 8)
		got, err := io.ReadAll(bitrot.NewReader(bytes.NewReader(flipped), shardID()))
		require.Empty(t, got)
		require.ErrorIs(t, err, bitrot.ErrCorrupt)
	}
}

func TestErrorSaysWhere(t *testing.T) {
	err := error(&bitrot.CorruptError{Shard: shardID(), Frame: 12, Reason: bitrot.Truncated})
	require.Equal(t, "corrupt shard 7, frame 12: stream ends before its last frame", err.Error())
}

func TestFramesThatNoStreamHas(t *testing.T) {
	s := bitrot.NewSealer()
	for name, c := range map[string]struct {
		frame int64
		last  bool
		size  int
	}{
		"negative number": {-1, true, 1}, "too long": {0, true, frame + 1}, "too long, not last": {0, false, frame + 1},
		"not full": {0, false, frame - 1}, "empty after others": {1, true, 0}, "empty, not last": {0, false, 0},
	} {
		dst := []byte("before")
		got, err := s.AppendFrame(dst, shardID(), c.frame, c.last, content(c.size))
		require.ErrorIs(t, err, bitrot.ErrSize, name)
		require.Equal(t, "before", string(got))
		got, err = s.AppendSum(dst, shardID(), c.frame, c.last, content(c.size))
		require.ErrorIs(t, err, bitrot.ErrSize, name)
		require.Equal(t, "before", string(got))
		_, err = s.Open(make([]byte, c.size+bitrot.SumBytes), shardID(), c.frame, c.last)
		require.ErrorIs(t, err, bitrot.ErrCorrupt, name)
	}
	_, err := s.Open(make([]byte, bitrot.SumBytes-1), shardID(), 0, true)
	require.ErrorIs(t, err, bitrot.ErrCorrupt)
}

// FuzzDecode: whatever the bytes, what is given out was sealed.
func FuzzDecode(f *testing.F) {
	for _, size := range []int{0, 1, 100, frame, frame + 1} {
		f.Add(encode(f, shardID(), content(size)))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stream []byte) {
		got, err := io.ReadAll(bitrot.NewReader(bytes.NewReader(stream), shardID()))
		if err == nil {
			require.True(t, bytes.Equal(stream, encode(t, shardID(), got)), "one encoding for each payload")
			return
		}
		require.ErrorIs(t, err, bitrot.ErrCorrupt)
		require.Zero(t, len(got)%frame, "whole frames only")
		if len(got) > 0 {
			sealed := encode(t, shardID(), append(got, 0))[:len(got)/frame*full]
			require.True(t, bytes.HasPrefix(stream, sealed))
		}
		payload, sizeErr := bitrot.PayloadBytes(int64(len(stream)))
		if sizeErr != nil || payload == 0 {
			return
		}
		r, sizeErr := bitrot.NewReaderAt(bytes.NewReader(stream), shardID(), payload)
		require.NoError(t, sizeErr)
		_, err = r.ReadAt(make([]byte, payload), 0)
		require.ErrorIs(t, err, bitrot.ErrCorrupt, "both readers agree")
	})
}

// FuzzFlip: an encoding decodes to what it was made of, and no flip of a bit in
// it goes unseen.
func FuzzFlip(f *testing.F) {
	f.Add([]byte("payload"), uint32(3))
	f.Add([]byte{}, uint32(0))
	f.Add(content(frame+1), uint32(frame*8))
	f.Fuzz(func(t *testing.T, payload []byte, at uint32) {
		stream := encode(t, shardID(), payload)
		got, err := io.ReadAll(bitrot.NewReader(bytes.NewReader(stream), shardID()))
		require.NoError(t, err)
		require.True(t, bytes.Equal(payload, got))
		bit := int(at) % (len(stream) * 8)
		stream[bit/8] ^= 1 << (bit % 8)
		got, err = io.ReadAll(bitrot.NewReader(bytes.NewReader(stream), shardID()))
		require.True(t, bytes.HasPrefix(payload, got))
		var corrupt *bitrot.CorruptError
		require.True(t, errors.As(err, &corrupt))
		require.EqualValues(t, bit/8/full, corrupt.Frame)
	})
}
