// Goal: what goes in comes out, whatever the step, and errors stay. Method:
// every boundary length × step size, iotest.TestReader, sources and sinks that
// fail at each byte.
package bitrot_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/stretchr/testify/require"
)

const (
	frame = bitrot.FrameBytes
	full  = bitrot.FrameBytes + bitrot.SumBytes
)

func shardID() bitrot.ShardID {
	return bitrot.ShardID{Data: [24]byte([]byte("a data id of 24 bytes...")), Shard: 7}
}

func boundaries() []int {
	return []int{0, 1, 2, frame - 1, frame, frame + 1, 2*frame - 1, 2 * frame, 2*frame + 1, 3 * frame}
}

func TestRoundTrip(t *testing.T) {
	for _, size := range boundaries() {
		for _, step := range []int{1, 1000, frame - 1, frame, frame + 1, full, 5 * frame} {
			if step == 1 && size > frame+1 {
				continue
			}
			t.Run(fmt.Sprintf("%d by %d", size, step), func(t *testing.T) { roundTrip(t, size, step) })
		}
	}
}

func roundTrip(t *testing.T, size, step int) {
	payload := content(size)
	var stream bytes.Buffer
	w := bitrot.NewWriter(&stream, shardID())
	for rest := payload; len(rest) > 0; rest = rest[min(step, len(rest)):] {
		n, err := w.Write(rest[:min(step, len(rest))])
		require.NoError(t, err)
		require.Equal(t, min(step, len(rest)), n)
		require.LessOrEqual(t, stream.Len(), size+size/frame*bitrot.SumBytes, "one frame is held back")
	}
	require.NoError(t, w.Close())
	want, err := bitrot.EncodedBytes(int64(size))
	require.NoError(t, err)
	require.Equal(t, int(want), stream.Len())
	_, err = w.Write([]byte("more"))
	require.ErrorIs(t, err, bitrot.ErrClosed)
	require.ErrorIs(t, w.Close(), bitrot.ErrClosed)

	r := bitrot.NewReader(bytes.NewReader(stream.Bytes()), shardID())
	var got []byte
	for buf := make([]byte, step); ; {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	require.True(t, bytes.Equal(payload, got))
	_, err = r.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
}

func TestReadersAreReaders(t *testing.T) {
	for _, size := range boundaries() {
		payload := content(size)
		stream := encode(t, shardID(), payload)
		require.NoError(t, iotest.TestReader(bitrot.NewReader(bytes.NewReader(stream), shardID()), payload), "%d", size)
		slow := iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(stream)))
		require.NoError(t, iotest.TestReader(bitrot.NewReader(slow, shardID()), payload), "%d", size)

		var all bytes.Buffer
		r := bitrot.NewReader(bytes.NewReader(stream), shardID())
		_, err := io.CopyN(&all, struct{ io.Reader }{r}, int64(min(size, 1)))
		require.NoError(t, err)
		n, err := r.WriteTo(&all)
		require.NoError(t, err)
		require.Equal(t, size, int(n)+min(size, 1))
		require.True(t, bytes.Equal(payload, all.Bytes()))
	}
}

// TestReader reads byte by byte, and each read of a ReaderAt verifies a frame.
func TestReaderAtIsAReader(t *testing.T) {
	for _, size := range []int{0, 1, 2, 100, 1000} {
		payload := content(size)
		at, err := bitrot.NewReaderAt(bytes.NewReader(encode(t, shardID(), payload)), shardID(), int64(size))
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(io.NewSectionReader(at, 0, at.Size()), payload), "%d", size)
	}
}

func TestSourceError(t *testing.T) {
	broken := errors.New("broken source")
	stream := encode(t, shardID(), content(2*frame+1))
	for _, at := range []int{0, 1, full - 1, full, full + 1, 2 * full, len(stream) - 1, len(stream)} {
		src := io.MultiReader(bytes.NewReader(stream[:at]), iotest.ErrReader(broken))
		r := bitrot.NewReader(src, shardID())
		got, err := io.ReadAll(r)
		require.Equal(t, broken, err, "the error of the source as it is")
		require.True(t, bytes.Equal(content(2*frame + 1)[:len(got)], got))
		require.LessOrEqual(t, len(got), at)
		_, err = r.Read(make([]byte, 1))
		require.Equal(t, broken, err, "sticky")
		_, err = r.WriteTo(io.Discard)
		require.Equal(t, broken, err)
	}
}

// limited takes so many bytes and then fails, or takes fewer without an error.
type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) {
		return n, l.err
	}
	return n, nil
}

func TestSinkError(t *testing.T) {
	broken := errors.New("broken sink")
	payload := content(2*frame + 1)
	for _, at := range []int{0, 1, full - 1, full, full + 1, 2*full + 32} {
		for _, want := range []error{broken, io.ErrShortWrite} {
			sink := &limited{left: at, err: want}
			if want == io.ErrShortWrite {
				sink.err = nil
			}
			w := bitrot.NewWriter(sink, shardID())
			n, err := w.Write(payload)
			if at < 2*full {
				require.ErrorIs(t, err, want)
				require.Less(t, n, len(payload))
			} else {
				require.NoError(t, err)
			}
			require.ErrorIs(t, w.Close(), want, "at %d", at)
			_, err = w.Write([]byte{1})
			require.ErrorIs(t, err, want, "sticky")
		}
	}
	r := bitrot.NewReader(bytes.NewReader(encode(t, shardID(), payload)), shardID())
	n, err := r.WriteTo(&limited{left: frame + 5})
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.EqualValues(t, frame+5, n)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(payload[frame+5:], rest), "nothing is lost by a failed WriteTo")
}

func TestNothingIsAllocatedPerFrame(t *testing.T) {
	s := bitrot.NewSealer()
	payload := content(frame)
	buf := make([]byte, 0, 2*full)
	allocs := testing.AllocsPerRun(20, func() {
		sealed, err := s.AppendFrame(buf, shardID(), 5, false, payload)
		if err != nil {
			t.Error(err)
		}
		if _, err := s.Open(sealed, shardID(), 5, false); err != nil {
			t.Error(err)
		}
	})
	require.Zero(t, allocs)

	w := bitrot.NewWriter(io.Discard, shardID())
	require.Zero(t, testing.AllocsPerRun(20, func() { _, _ = w.Write(payload) }))
	require.NoError(t, w.Close())

	r := bitrot.NewReader(bytes.NewReader(encode(t, shardID(), content(64*frame))), shardID())
	require.Zero(t, testing.AllocsPerRun(20, func() { _, _ = r.Read(payload) }))
}
