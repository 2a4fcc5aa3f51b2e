// Goal: Encode writes exactly the streams that the pure packages make, whatever
// the body and the sinks do. Method: every geometry × size × kind of body;
// bodies that lie or fail; sinks that fail at each write, take too little, are
// slow, or never return; contexts that end.
package stripe_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/stretchr/testify/require"
)

func TestEncode(t *testing.T) {
	e := newEngine(t)
	for _, g := range geometries() {
		for _, size := range sizes(g) {
			data := content(size)
			want := reference(t, g, data)
			bodies := map[string]io.Reader{
				"plain": bytes.NewReader(data),
				"half":  iotest.HalfReader(bytes.NewReader(data)),
				"eof":   iotest.DataErrReader(bytes.NewReader(data)),
			}
			for name, body := range bodies {
				announced := int64(size)
				if name == "half" {
					announced = -1
				}
				bufs, sinks := buffers(g.Shards())
				md, sha := md5.New(), sha256.New()
				got, err := e.Encode(t.Context(), body, announced, g, dataID(), sinks, &stripe.EncodeOptions{Beside: []io.Writer{md, sha}})
				require.NoError(t, err, "%s %d %s", g, size, name)
				payload, err := g.ShardBytes(int64(size))
				require.NoError(t, err)
				require.Equal(t, stripe.Encoded{ObjectBytes: int64(size), ShardBytes: payload, Errs: make([]error, g.Shards())}, got)
				require.Equal(t, g.Shards(), got.Live())
				for i := range bufs {
					require.True(t, bytes.Equal(want[i], bufs[i].Bytes()), "%s %d %s: shard %d", g, size, name, i)
				}
				wantMD, wantSHA := md5.Sum(data), sha256.Sum256(data)
				require.Equal(t, wantMD[:], md.Sum(nil))
				require.Equal(t, wantSHA[:], sha.Sum(nil))
			}
		}
	}
}

// TestEveryLastStripe: a body of unknown size ends anywhere in a stripe, and is
// laid out anew for it.
func TestEveryLastStripe(t *testing.T) {
	e := newEngine(t)
	for _, g := range []erasure.Geometry{{Data: 3}, {Data: 7}, {Data: 16}} {
		w := int(g.StripeBytes())
		for r := 1; r < w; r = r*2 + 7 {
			for _, size := range []int{r, w - r, w + r} {
				data := content(size)
				bufs, sinks := buffers(g.Shards())
				_, err := e.Encode(t.Context(), bytes.NewReader(data), -1, g, dataID(), sinks, nil)
				require.NoError(t, err)
				for i, want := range reference(t, g, data) {
					require.True(t, bytes.Equal(want, bufs[i].Bytes()), "%s %d shard %d", g, size, i)
				}
			}
		}
	}
}

func TestBodiesThatLie(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 1}
	broken := errors.New("broken body")
	w := g.StripeBytes()
	for _, size := range []int64{0, 1, w - 1, w, w + 1, 20 * w} {
		_, sinks := buffers(3)
		_, err := e.Encode(t.Context(), bytes.NewReader(content(int(size)+1)), size, g, dataID(), sinks, nil)
		require.ErrorIs(t, err, stripe.ErrLongBody, "%d", size)
		_, err = e.Encode(t.Context(), bytes.NewReader(content(int(size))), size+1, g, dataID(), sinks, nil)
		require.ErrorIs(t, err, stripe.ErrShortBody, "%d", size)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		for _, announced := range []int64{-1, size, size + 1} {
			body := io.MultiReader(bytes.NewReader(content(int(size))), iotest.ErrReader(broken))
			_, err = e.Encode(t.Context(), body, announced, g, dataID(), sinks, nil)
			require.ErrorIs(t, err, broken, "%d", size)
		}
	}
	_, sinks := buffers(3)
	_, err := e.Encode(t.Context(), lazy{}, 5, g, dataID(), sinks, nil)
	require.ErrorIs(t, err, io.ErrNoProgress)
}

// lazy gives nothing, for ever.
type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }

func TestEncodeRejects(t *testing.T) {
	e := newEngine(t)
	_, sinks := buffers(3)
	good := erasure.Geometry{Data: 2, Parity: 1}
	_, err := e.Encode(t.Context(), lazy{}, 1, erasure.Geometry{}, dataID(), nil, nil)
	require.ErrorIs(t, err, erasure.ErrGeometry)
	_, err = e.Encode(t.Context(), lazy{}, 1, good, dataID(), sinks[:2], nil)
	require.ErrorIs(t, err, stripe.ErrInput)
	_, err = e.Encode(t.Context(), lazy{}, -2, good, dataID(), sinks, nil)
	require.ErrorIs(t, err, stripe.ErrInput)
	_, err = e.Encode(t.Context(), lazy{}, 1, good, dataID(), sinks, &stripe.EncodeOptions{Need: 4})
	require.ErrorIs(t, err, stripe.ErrInput)
	_, err = stripe.NewEngine(&stripe.Limits{MemoryBytes: 1})
	require.ErrorIs(t, err, stripe.ErrInput)
}

// failing is a sink that fails at its n-th write, or takes less than it is given.
type failing struct {
	bytes.Buffer
	at     int
	err    error
	writes int
}

func (f *failing) Write(p []byte) (int, error) {
	if f.writes++; f.writes == f.at {
		n, _ := f.Buffer.Write(p[:len(p)/2])
		return n, f.err
	}
	if f.writes > f.at {
		panic("written to after an error")
	}
	return f.Buffer.Write(p)
}

func TestSinksThatFail(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	data := content(int(20 * g.StripeBytes()))
	want := reference(t, g, data)
	broken := errors.New("broken sink")
	for fails := range 4 {
		for at := 1; at <= 5; at++ {
			for _, cause := range []error{broken, io.ErrShortWrite} {
				bufs, sinks := buffers(4)
				for i := range fails {
					f := &failing{at: at, err: cause}
					if cause == io.ErrShortWrite {
						f.err = nil
					}
					sinks[3-i] = f
				}
				got, err := e.Encode(t.Context(), bytes.NewReader(data), int64(len(data)), g, dataID(), sinks, nil)
				for i := range fails {
					require.ErrorIs(t, got.Errs[3-i], cause)
				}
				if fails > 2 {
					require.ErrorIs(t, err, stripe.ErrTooFewSinks)
					require.ErrorIs(t, err, cause)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, 4-fails, got.Live())
				for i := range 4 - fails {
					require.NoError(t, got.Errs[i])
					require.True(t, bytes.Equal(want[i], bufs[i].Bytes()))
				}
			}
		}
	}
}

func TestAbsentSinksAndNeed(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	data := content(1000)
	bufs, sinks := buffers(4)
	sinks[1] = nil
	got, err := e.Encode(t.Context(), bytes.NewReader(data), -1, g, dataID(), sinks, &stripe.EncodeOptions{Need: 3})
	require.NoError(t, err)
	require.Equal(t, []error{nil, stripe.ErrAbsent, nil, nil}, got.Errs)
	require.Equal(t, reference(t, g, data)[3], bufs[3].Bytes())
	_, err = e.Encode(t.Context(), bytes.NewReader(data), -1, g, dataID(), sinks, &stripe.EncodeOptions{Need: 4})
	require.ErrorIs(t, err, stripe.ErrTooFewSinks)
	broken := errors.New("broken hash")
	_, err = e.Encode(t.Context(), bytes.NewReader(data), -1, g, dataID(), sinks,
		&stripe.EncodeOptions{Beside: []io.Writer{&failing{at: 1, err: broken}}})
	require.ErrorIs(t, err, broken)
}

// gate is a sink that waits at its n-th write until it is opened.
type gate struct {
	bytes.Buffer
	at     int
	writes int
	open   chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	if g.writes++; g.writes == g.at {
		<-g.open
	}
	return g.Buffer.Write(p)
}

// counter notes how much of a body was read.
type counter struct {
	io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestSlowSinkHoldsTheBodyBack(t *testing.T) {
	e := newEngine(t)
	synctest.Test(t, func(t *testing.T) {
		g := erasure.Geometry{Data: 2, Parity: 2}
		data := content(int(40 * g.StripeBytes()))
		bufs, sinks := buffers(4)
		slow := &gate{at: 2, open: make(chan struct{})}
		sinks[2] = slow
		body := &counter{Reader: bytes.NewReader(data)}
		done := make(chan error)
		go func() {
			_, err := e.Encode(t.Context(), body, -1, g, dataID(), sinks, nil)
			done <- err
		}()
		synctest.Wait()
		require.LessOrEqual(t, body.n.Load(), int64(4<<20), "memory is bounded")
		require.Less(t, bufs[0].Len(), 3<<20)
		close(slow.open)
		require.NoError(t, <-done)
		want := reference(t, g, data)
		require.True(t, bytes.Equal(want[2], slow.Bytes()), "in order")
		require.True(t, bytes.Equal(want[0], bufs[0].Bytes()))
	})
}

func TestStalledSinkIsDropped(t *testing.T) {
	e := newEngine(t)
	for _, at := range []int{1, 2, 5, 10} {
		for _, shard := range []int{0, 3} {
			t.Run(fmt.Sprintf("shard %d at write %d", shard, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { stalled(t, e, shard, at) })
			})
		}
	}
}

func stalled(t *testing.T, e *stripe.Engine, shard, at int) {
	g := erasure.Geometry{Data: 2, Parity: 2}
	data := content(int(40 * g.StripeBytes()))
	bufs, sinks := buffers(4)
	slow := &gate{at: at, open: make(chan struct{})}
	sinks[shard] = slow
	start := time.Now()
	md := md5.New()
	got, err := e.Encode(t.Context(), bytes.NewReader(data), int64(len(data)), g, dataID(), sinks,
		&stripe.EncodeOptions{Need: 3, StallAfter: 3 * time.Second, Beside: []io.Writer{md}})
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, time.Since(start), "waited for once")
	require.ErrorIs(t, got.Errs[shard], stripe.ErrStalled)
	require.Equal(t, 3, got.Live())
	sum := md5.Sum(data)
	require.Equal(t, sum[:], md.Sum(nil), "the lost chunk is not used again")
	want := reference(t, g, data)
	for i := range 4 {
		if i != shard {
			require.True(t, bytes.Equal(want[i], bufs[i].Bytes()))
		}
	}
	require.Equal(t, 1, e.Stuck())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, e.Wait(ctx), context.DeadlineExceeded)
	close(slow.open)
	require.NoError(t, e.Wait(t.Context()))
	require.Zero(t, e.Stuck())
	synctest.Wait()
	require.True(t, bytes.HasPrefix(want[shard], slow.Bytes()), "what it writes late is still its own")
}

func TestAllSinksSlowDropsNone(t *testing.T) {
	e := newEngine(t)
	synctest.Test(t, func(t *testing.T) {
		g := erasure.Geometry{Data: 2, Parity: 1}
		data := content(int(3 * g.StripeBytes()))
		open := make(chan struct{})
		var sinks []stripe.ShardWriter
		for range 3 {
			sinks = append(sinks, &gate{at: 1, open: open})
		}
		time.AfterFunc(time.Hour, func() { close(open) })
		got, err := e.Encode(t.Context(), bytes.NewReader(data), -1, g, dataID(), sinks, &stripe.EncodeOptions{StallAfter: time.Second})
		require.NoError(t, err)
		require.Equal(t, 3, got.Live(), "a host that pauses makes nobody late")
	})
}

func TestCancelledWhileTheBodyIsRead(t *testing.T) {
	e := newEngine(t)
	g := erasure.Geometry{Data: 2, Parity: 2}
	cause := errors.New("client went away")
	for _, after := range []int{0, 1, 100, 3000} {
		ctx, cancel := context.WithCancelCause(t.Context())
		reads := 0
		body := readFunc(func(p []byte) (int, error) {
			if reads++; reads > after {
				cancel(cause)
			}
			return min(len(p), 1000), nil
		})
		_, sinks := buffers(4)
		_, err := e.Encode(ctx, body, -1, g, dataID(), sinks, nil)
		require.ErrorIs(t, err, cause)
		require.LessOrEqual(t, reads, after+1, "not read after the end of the context")
		_, err = e.Encode(ctx, body, -1, g, dataID(), sinks, nil)
		require.ErrorIs(t, err, cause)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestCancelledWhileASinkIsStuck(t *testing.T) {
	e := newEngine(t)
	synctest.Test(t, func(t *testing.T) {
		g := erasure.Geometry{Data: 1, Parity: 1}
		slow := &gate{at: 1, open: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		start := time.Now()
		_, err := e.Encode(ctx, bytes.NewReader(content(40<<20)), -1, g, dataID(), []stripe.ShardWriter{&bytes.Buffer{}, slow},
			&stripe.EncodeOptions{Need: 2, StallAfter: time.Second})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, time.Minute+time.Second, time.Since(start))
		require.Equal(t, 1, e.Stuck())
		close(slow.open)
		require.NoError(t, e.Wait(t.Context()))
	})
}

// TestRequestsWaitForMemory: many at once in the memory of one.
func TestRequestsWaitForMemory(t *testing.T) {
	e := newEngine(t)
	synctest.Test(t, func(t *testing.T) {
		g := erasure.Geometry{Data: 2, Parity: 2}
		data := content(int(20 * g.StripeBytes()))
		want := reference(t, g, data)
		slow := &gate{at: 1, open: make(chan struct{})}
		done := make(chan error)
		_, sinks := buffers(4)
		sinks[0] = slow
		go func() {
			_, err := e.Encode(t.Context(), bytes.NewReader(data), -1, g, dataID(), sinks, nil)
			done <- err
		}()
		synctest.Wait()
		body := &counter{Reader: bytes.NewReader(data)}
		bufs, sinks2 := buffers(4)
		go func() {
			_, err := e.Encode(t.Context(), body, -1, g, dataID(), sinks2, nil)
			done <- err
		}()
		synctest.Wait()
		require.Zero(t, body.n.Load(), "it waits")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := e.Encode(ctx, bytes.NewReader(data), -1, g, dataID(), sinks2, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(slow.open)
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.True(t, bytes.Equal(want[1], bufs[1].Bytes()))
	})
}
