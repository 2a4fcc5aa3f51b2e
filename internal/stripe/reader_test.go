// Goal: a Reader gives the bytes of any range from any k good frames of each
// stripe, touches no more than it needs, and gives no byte that is not verified.
// Method: ranges × geometries × losses against the plain bytes; damage spread so
// that no shard is whole; sources that are late, fail, lie or never return.
package stripe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/stretchr/testify/require"
)

func object(g erasure.Geometry, size int) stripe.Object {
	return stripe.Object{Size: int64(size), Geometry: g, Data: dataID()}
}

// readRange reads a range to its end, closes, and gives the damage.
func readRange(t testing.TB, e *stripe.Engine, o stripe.Object, sources []stripe.Source, off, length int64) ([]byte, []stripe.Damage, error) {
	t.Helper()
	r, err := e.NewReader(t.Context(), o, sources, off, length, nil)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	_, after := r.Read(make([]byte, 1))
	require.Error(t, after)
	return got, r.Damage(), err
}

func TestRanges(t *testing.T) {
	e := newEngine(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, g := range geometries() {
		for _, size := range sizes(g) {
			data := content(size)
			streams := reference(t, g, data)
			for lost := range g.Parity + 1 {
				left := slices.Clone(streams)
				for range lost {
					left[random.IntN(len(left))] = nil
				}
				off := random.IntN(size + 1)
				for _, c := range [][2]int{{0, size}, {off, size - off}, {off, min(1, size-off)}, {off, random.IntN(size - off + 1)}} {
					var s shelf
					got, damage, err := readRange(t, e, object(g, size), s.sources(left), int64(c[0]), int64(c[1]))
					require.NoError(t, err, "%s %d %v", g, size, c)
					require.Empty(t, damage)
					require.True(t, bytes.Equal(data[c[0]:c[0]+c[1]], got), "%s %d %v", g, size, c)
					s.check(t)
				}
			}
		}
	}
}

func TestReaderIsAReader(t *testing.T) {
	e, err := stripe.NewEngine(nil)
	require.NoError(t, err)
	g := erasure.Geometry{Data: 2, Parity: 1}
	data := content(int(g.StripeBytes()) + 777)
	var s shelf
	streams := reference(t, g, data)
	streams[0] = nil
	r, err := e.NewReader(t.Context(), object(g, len(data)), s.sources(streams), 0, int64(len(data)), nil)
	require.NoError(t, err)
	require.NoError(t, r.Ready())
	require.NoError(t, iotest.TestReader(r, data))
	require.NoError(t, r.Ready(), "the end is ready")
	require.NoError(t, r.Close())
	s.check(t)
}

func TestOnlyWhatIsNeededIsOpened(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 4, Parity: 2}
	size := 3 * int(g.StripeBytes())
	data := content(size)
	streams := reference(t, g, data)
	for _, c := range []struct {
		off, length int64
		lost        []int
		opened      []int
	}{
		{0, int64(size), nil, []int{0, 1, 2, 3}},
		{0, 0, nil, nil},
		{5, 10, nil, []int{0}},
		{2*blockBytes - 1, 2, nil, []int{1, 2}},
		{g.StripeBytes() + 3*blockBytes, 100, nil, []int{3}},
		{5, 10, []int{0}, []int{1, 2, 3, 4}},
		{blockBytes, 10, []int{0}, []int{1}},
		{5, 10, []int{0, 4}, []int{1, 2, 3, 5}},
	} {
		left := slices.Clone(streams)
		for _, i := range c.lost {
			left[i] = nil
		}
		var s shelf
		got, _, err := readRange(t, e, object(g, size), s.sources(left), c.off, c.length)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data[c.off:c.off+c.length], got))
		require.Equal(t, c.opened, s.shards(6), "%+v", c)
		s.check(t)
	}
}

// TestNoShardIsWhole: every shard is damaged somewhere, but no stripe too much.
func TestNoShardIsWhole(t *testing.T) {
	e := newEngine(t)
	for _, g := range []erasure.Geometry{{Data: 1, Parity: 2}, {Data: 2, Parity: 1}, {Data: 2, Parity: 2}, {Data: 4, Parity: 2}, {Data: 8, Parity: 8}} {
		size := 33*int(g.StripeBytes()) + 1000
		data := content(size)
		streams := reference(t, g, data)
		for s := range 34 {
			for m := range g.Parity { // a window of shards that moves from stripe to stripe
				stream := streams[(s+m)%g.Shards()]
				stream[min(s*frameBytes+s*17, len(stream)-1)] ^= 0x80
			}
		}
		var s shelf
		got, damage, err := readRange(t, e, object(g, size), s.sources(streams), 0, int64(size))
		require.NoError(t, err, "%s", g)
		require.True(t, bytes.Equal(data, got), "%s", g)
		require.NotEmpty(t, damage)
		for _, d := range damage {
			require.ErrorIs(t, d.Err, bitrot.ErrCorrupt)
			var corrupt *bitrot.CorruptError
			require.True(t, errors.As(d.Err, &corrupt))
			require.EqualValues(t, d.Shard, corrupt.Shard.Shard)
		}
		s.check(t)
	}
}

// TestTooMuchDamage: one stripe has one good frame too few; what is before it is
// given, and not a byte of it.
func TestTooMuchDamage(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	w := int(g.StripeBytes())
	size := 40 * w
	data := content(size)
	for _, bad := range []int{0, 1, 17, 39} {
		streams := reference(t, g, data)
		for i := range 3 {
			streams[i][bad*frameBytes+9] ^= 1
		}
		var s shelf
		got, damage, err := readRange(t, e, object(g, size), s.sources(streams), 0, int64(size))
		require.ErrorIs(t, err, stripe.ErrTooFewShards)
		require.ErrorIs(t, err, bitrot.ErrCorrupt)
		require.Len(t, damage, 3)
		require.LessOrEqual(t, len(got), bad*w)
		require.GreaterOrEqual(t, len(got), (bad-4)*w)
		require.True(t, bytes.Equal(data[:len(got)], got))
		r, err := e.NewReader(t.Context(), object(g, size), s.sources(streams), int64(bad*w), 10, nil)
		require.NoError(t, err)
		require.ErrorIs(t, r.Ready(), stripe.ErrTooFewShards)
		_, err = r.WriteTo(io.Discard)
		require.ErrorIs(t, err, stripe.ErrTooFewShards, "sticky")
		require.NoError(t, r.Close())
		s.check(t)
	}
}

func TestForeignAndCutShards(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	data := content(int(g.StripeBytes())*9 + 5)
	for name, change := range map[string]func(streams [][]byte){
		"two shards swapped": func(s [][]byte) { s[0], s[1] = s[1], s[0] },
		"cut":                func(s [][]byte) { s[0], s[1] = s[0][:len(s[0])-1], s[1][:frameBytes+5] },
		"empty":              func(s [][]byte) { s[0], s[1] = []byte{}, []byte{} },
		"zeros":              func(s [][]byte) { clear(s[0]); clear(s[1]) },
	} {
		streams := reference(t, g, data)
		change(streams)
		var s shelf
		got, damage, err := readRange(t, e, object(g, len(data)), s.sources(streams), 0, int64(len(data)))
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(data, got), name)
		require.Len(t, damage, 2, name)
		s.check(t)
	}
	streams := reference(t, g, data)
	var s shelf
	other := object(g, len(data))
	other.Data[0]++
	_, _, err := readRange(t, e, other, s.sources(streams), 0, 1)
	require.ErrorIs(t, err, stripe.ErrTooFewShards, "another object's shards")
}

// badSector fails where it is read, as a disk does.
type badSector struct {
	io.ReaderAt
	at  int64
	err error
}

func (b badSector) ReadAt(p []byte, off int64) (int, error) {
	if off <= b.at && b.at < off+int64(len(p)) {
		n, _ := b.ReaderAt.ReadAt(p[:b.at-off], off)
		return n, b.err
	}
	return b.ReaderAt.ReadAt(p, off)
}

func TestBadSectorsCostOneFrameEach(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 1}
	data := content(int(g.StripeBytes()) * 24)
	streams := reference(t, g, data)
	broken := errors.New("input/output error")
	var s shelf
	sources := make([]stripe.Source, 3)
	for i := range sources { // neighbouring frames of the same batch
		sources[i] = s.source(i, badSector{bytes.NewReader(streams[i]), int64(8+i)*frameBytes + 100, broken})
	}
	got, damage, err := readRange(t, e, object(g, len(data)), sources, 0, int64(len(data)))
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.NotEmpty(t, damage)
	for _, d := range damage {
		require.ErrorIs(t, d.Err, broken)
	}
	s.check(t)
}

func TestSourcesThatDoNotOpen(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	data := content(100_000)
	streams := reference(t, g, data)
	var s shelf
	for lost := range 4 {
		sources := s.sources(streams)
		for i := range lost {
			sources[i] = func(context.Context) (stripe.ShardReader, error) { return nil, fs.ErrNotExist }
		}
		got, damage, err := readRange(t, e, object(g, len(data)), sources, 0, int64(len(data)))
		require.Len(t, damage, lost)
		if lost > 2 {
			require.ErrorIs(t, err, stripe.ErrTooFewShards)
			require.ErrorIs(t, err, fs.ErrNotExist)
			continue
		}
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	}
	_, _, err := readRange(t, e, object(g, len(data)), make([]stripe.Source, 4), 0, 1)
	require.ErrorIs(t, err, stripe.ErrTooFewShards)
	s.check(t)
}

func TestNewReaderRejects(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	for _, c := range [][2]int64{{-1, 1}, {0, 11}, {11, 0}, {0, -1}} {
		_, err := e.NewReader(t.Context(), object(g, 10), make([]stripe.Source, 4), c[0], c[1], nil)
		require.ErrorIs(t, err, erasure.ErrSize)
	}
	_, err := e.NewReader(t.Context(), object(erasure.Geometry{}, 10), nil, 0, 1, nil)
	require.ErrorIs(t, err, erasure.ErrGeometry)
	_, err = e.NewReader(t.Context(), object(g, 10), nil, 0, 1, nil)
	require.ErrorIs(t, err, stripe.ErrInput)
	_, err = e.NewReader(t.Context(), object(g, 10), make([]stripe.Source, 4), 0, 1,
		&stripe.ReadOptions{Observe: func(int, time.Duration) {}})
	require.ErrorIs(t, err, stripe.ErrInput)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = e.NewReader(ctx, object(g, 10), make([]stripe.Source, 4), 0, 10, nil)
	if err == nil {
		t.Fatal("a context that has ended")
	}
	require.ErrorIs(t, err, context.Canceled)
}

// held waits before each read, and then gives what it has.
type held struct {
	io.ReaderAt
	open  chan struct{}
	reads atomic.Int64
}

func (h *held) ReadAt(p []byte, off int64) (int, error) {
	h.reads.Add(1)
	<-h.open
	return h.ReaderAt.ReadAt(p, off)
}

func TestLateShardsAreReplaced(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	data := content(int(g.StripeBytes())*50 + 3)
	streams := reference(t, g, data)
	for _, late := range [][]int{{0}, {1}, {0, 1}} {
		t.Run(fmt.Sprint(late), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s shelf
				sources := s.sources(streams)
				open := make(chan struct{})
				var slow []*held
				for _, i := range late {
					h := &held{ReaderAt: bytes.NewReader(streams[i]), open: open}
					slow = append(slow, h)
					sources[i] = s.source(i, h)
				}
				start := time.Now()
				var mu sync.Mutex
				seen := map[int]time.Duration{}
				r, err := e.NewReader(t.Context(), object(g, len(data)), sources, 0, int64(len(data)), &stripe.ReadOptions{
					Limit: func() time.Duration { return 7 * time.Millisecond },
					Now:   time.Now,
					Observe: func(shard int, took time.Duration) {
						mu.Lock()
						defer mu.Unlock()
						seen[shard] = max(seen[shard], took)
					},
				})
				require.NoError(t, err)
				var got bytes.Buffer
				_, err = r.WriteTo(&got)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, got.Bytes()))
				require.Equal(t, 7*time.Millisecond, time.Since(start), "it is late once, and not asked again")
				for _, h := range slow {
					require.EqualValues(t, 1, h.reads.Load())
				}
				time.AfterFunc(time.Second, func() { close(open) })
				require.NoError(t, r.Close(), "waits for them")
				require.Empty(t, r.Damage(), "late is not damaged")
				mu.Lock()
				defer mu.Unlock()
				require.Len(t, seen, 2+len(late))
				for _, i := range late {
					require.Equal(t, time.Second+7*time.Millisecond, seen[i], "late reads are observed too")
				}
				s.check(t)
			})
		})
	}
}

// TestLateAndDamaged: a shard that is late is waited for when no other is left.
func TestLateAndDamaged(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 1}
	data := content(int(g.StripeBytes())*20 + 3)
	synctest.Test(t, func(t *testing.T) {
		streams := reference(t, g, data)
		var s shelf
		sources := s.sources(streams)
		slow := &held{ReaderAt: bytes.NewReader(streams[0]), open: make(chan struct{})}
		sources[0] = s.source(0, slow)
		streams[2][11*frameBytes] ^= 1
		time.AfterFunc(time.Minute, func() { close(slow.open) })
		r, err := e.NewReader(t.Context(), object(g, len(data)), sources, 0, int64(len(data)),
			&stripe.ReadOptions{Limit: func() time.Duration { return time.Millisecond }})
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.NoError(t, r.Close())
		require.Len(t, r.Damage(), 1)
		require.Equal(t, 2, r.Damage()[0].Shard)
		s.check(t)
	})
}

func TestCloseGivesUpWhatDoesNotReturn(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	data := content(int(g.StripeBytes()) * 20)
	synctest.Test(t, func(t *testing.T) {
		streams := reference(t, g, data)
		var s shelf
		sources := s.sources(streams)
		slow := &held{ReaderAt: bytes.NewReader(streams[1]), open: make(chan struct{})}
		sources[1] = s.source(1, slow)
		r, err := e.NewReader(t.Context(), object(g, len(data)), sources, 0, int64(len(data)),
			&stripe.ReadOptions{Limit: func() time.Duration { return time.Millisecond }, Grace: 5 * time.Second})
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		start := time.Now()
		require.ErrorIs(t, r.Close(), stripe.ErrStuck)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Equal(t, 1, e.Stuck())
		close(slow.open)
		require.NoError(t, e.Wait(t.Context()))
		synctest.Wait()
		s.check(t)
	})
}

func TestContextEndsWhileReading(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	data := content(int(g.StripeBytes()) * 60)
	streams := reference(t, g, data)
	cause := errors.New("client went away")
	var s shelf
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := e.NewReader(ctx, object(g, len(data)), s.sources(streams), 0, int64(len(data)), nil)
	require.NoError(t, err)
	n, err := io.CopyN(io.Discard, r, 10)
	require.NoError(t, err)
	require.EqualValues(t, 10, n)
	cancel(cause)
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, cause)
	require.Less(t, len(got), 4<<20, "what was read ahead at most")
	require.Empty(t, r.Damage(), "the end of a context is no damage")
	require.NoError(t, r.Close())
	s.check(t)
}

func TestClosedEarly(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 4, Parity: 2}
	data := content(int(g.StripeBytes()) * 30)
	streams := reference(t, g, data)
	for _, n := range []int64{0, 1, g.StripeBytes(), g.StripeBytes()*9 + 1} {
		var s shelf
		r, err := e.NewReader(t.Context(), object(g, len(data)), s.sources(streams), 0, int64(len(data)), nil)
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, r, n)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, stripe.ErrClosed)
		require.ErrorIs(t, r.Ready(), stripe.ErrClosed)
		s.check(t)
	}
}

func TestWriteToAWriterThatFails(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 1}
	data := content(int(g.StripeBytes())*5 + 5)
	var s shelf
	r, err := e.NewReader(t.Context(), object(g, len(data)), s.sources(reference(t, g, data)), 0, int64(len(data)), nil)
	require.NoError(t, err)
	broken := errors.New("broken writer")
	var got bytes.Buffer
	f := &failing{at: 3, err: broken}
	n, err := r.WriteTo(f)
	require.ErrorIs(t, err, broken)
	require.EqualValues(t, f.Len(), n)
	got.Write(f.Bytes())
	f = &failing{at: 1}
	n, err = r.WriteTo(f)
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.EqualValues(t, f.Len(), n)
	got.Write(f.Bytes())
	_, err = r.WriteTo(&got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got.Bytes()), "nothing is lost between")
	require.NoError(t, r.Close())
	s.check(t)
}

func TestManyReadersAtOnce(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 4, Parity: 2}
	data := content(int(g.StripeBytes())*12 + 77)
	streams := reference(t, g, data)
	streams[1][5*frameBytes] ^= 4
	var s shelf
	sources := s.sources(streams)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			off := int64(i * 100_003)
			r, err := e.NewReader(t.Context(), object(g, len(data)), sources, off, int64(len(data))-off, nil)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(data[off:], got) {
				t.Errorf("reader %d: %d bytes, %v", i, len(got), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s.check(t)
}
