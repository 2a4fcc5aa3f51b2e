// Goal: ReaderAt gives what a plain ReaderAt over the payload gives, and touches
// only the frames of the range. Method: compare with bytes.Reader for all pairs
// of boundaries; count what is read of the source.
package bitrot_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"sync"
	"testing"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/stretchr/testify/require"
)

func TestReadAtAgreesWithBytes(t *testing.T) {
	for _, size := range boundaries() {
		payload := content(size)
		plain := bytes.NewReader(payload)
		r, err := bitrot.NewReaderAt(bytes.NewReader(encode(t, shardID(), payload)), shardID(), int64(size))
		require.NoError(t, err)
		require.EqualValues(t, size, r.Size())
		for _, off := range append(boundaries(), 5*frame) {
			for _, n := range boundaries() {
				if n > 2*frame {
					continue
				}
				want, got := make([]byte, n), make([]byte, n)
				wantN, wantErr := plain.ReadAt(want, int64(off))
				gotN, gotErr := r.ReadAt(got, int64(off))
				require.Equal(t, wantN, gotN, "%d at %d of %d", n, off, size)
				if n > 0 { // for no bytes the two may differ
					require.Equal(t, wantErr, gotErr, "%d at %d of %d", n, off, size)
				}
				require.True(t, bytes.Equal(want, got))
			}
		}
		_, err = r.ReadAt(make([]byte, 1), -1)
		require.ErrorIs(t, err, bitrot.ErrSize)
	}
}

// counted notes which bytes of the source were asked for.
type counted struct {
	io.ReaderAt
	calls [][2]int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.calls = append(c.calls, [2]int64{off, int64(len(p))})
	return c.ReaderAt.ReadAt(p, off)
}

func TestReadAtTouchesOnlyItsFrames(t *testing.T) {
	payload := content(4*frame + 100)
	src := &counted{ReaderAt: bytes.NewReader(encode(t, shardID(), payload))}
	r, err := bitrot.NewReaderAt(src, shardID(), int64(len(payload)))
	require.NoError(t, err)
	_, err = r.ReadAt(make([]byte, frame), frame+1)
	require.NoError(t, err)
	require.Equal(t, [][2]int64{{full, full}, {2 * full, full}}, src.calls)
	src.calls = nil
	_, err = r.ReadAt(make([]byte, 1), 4*frame+99)
	require.NoError(t, err)
	require.Equal(t, [][2]int64{{4 * full, 100 + bitrot.SumBytes}}, src.calls)
}

func TestReadAtOfDamage(t *testing.T) {
	payload := content(2*frame + 10)
	stream := encode(t, shardID(), payload)
	stream[full+5] ^= 1
	r, err := bitrot.NewReaderAt(bytes.NewReader(stream), shardID(), int64(len(payload)))
	require.NoError(t, err)
	buf := make([]byte, len(payload))
	n, err := r.ReadAt(buf, 0)
	require.Equal(t, frame, n, "what is before the damage")
	require.Equal(t, &bitrot.CorruptError{Shard: shardID(), Frame: 1, Reason: bitrot.WrongSum}, err)
	n, err = r.ReadAt(buf[:10], 2*frame)
	require.NoError(t, err, "what is behind it")
	require.Equal(t, 10, n)

	for _, size := range []int64{int64(len(payload)) - 1, int64(len(payload)) + 1, 2 * frame, 3*frame + 1} {
		r, err := bitrot.NewReaderAt(bytes.NewReader(stream), shardID(), size)
		require.NoError(t, err)
		_, err = r.ReadAt(buf[:1], (size-1)/frame*frame)
		require.ErrorIs(t, err, bitrot.ErrCorrupt, "a payload said to have %d bytes", size)
	}
	for _, size := range []int64{-1, math.MaxInt64} {
		_, err := bitrot.NewReaderAt(bytes.NewReader(stream), shardID(), size)
		require.ErrorIs(t, err, bitrot.ErrSize)
	}
}

// failing gives an error with no bytes.
type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestReadAtOfFailingSource(t *testing.T) {
	broken := errors.New("broken source")
	r, err := bitrot.NewReaderAt(failing{broken}, shardID(), 10)
	require.NoError(t, err)
	_, err = r.ReadAt(make([]byte, 1), 0)
	require.Equal(t, broken, err)
	r, err = bitrot.NewReaderAt(failing{io.EOF}, shardID(), 10)
	require.NoError(t, err)
	_, err = r.ReadAt(make([]byte, 1), 0)
	require.Equal(t, &bitrot.CorruptError{Shard: shardID(), Reason: bitrot.Cut}, err)
}

func TestReadAtFromManyGoroutines(t *testing.T) {
	payload := content(5*frame + 77)
	r, err := bitrot.NewReaderAt(bytes.NewReader(encode(t, shardID(), payload)), shardID(), int64(len(payload)))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			buf := make([]byte, frame)
			off := i * 17_011
			if n, err := r.ReadAt(buf, int64(off)); err != nil || !bytes.Equal(payload[off:off+n], buf[:n]) {
				t.Errorf("at %d: %d bytes, %v", off, n, err)
			}
		})
	}
	wg.Wait()
}
