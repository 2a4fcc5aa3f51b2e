// Goal: what all tests of the package share: an engine, shards in memory, and
// streams made without this package. Method: plain helpers; TestMain looks for
// goroutines that outlive their call.
package stripe_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const (
	blockBytes = erasure.BlockBytes
	frameBytes = bitrot.FrameBytes + bitrot.SumBytes
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newEngine gives an engine with room for one request only, so that memory which
// is not given back shows as a test that hangs on its context.
func newEngine(t testing.TB) *stripe.Engine {
	t.Helper()
	e, err := stripe.NewEngine(&stripe.Limits{MemoryBytes: stripe.MinMemoryBytes})
	require.NoError(t, err)
	return e
}

func dataID() stripe.DataID { return stripe.DataID([]byte("a data id of 24 bytes...")) }

func geometries() []erasure.Geometry {
	return []erasure.Geometry{{Data: 1}, {Data: 1, Parity: 2}, {Data: 2, Parity: 2}, {Data: 3, Parity: 1}, {Data: 4, Parity: 2},
		{Data: 12, Parity: 4}, {Data: 8, Parity: 8}, {Data: 15, Parity: 1}}
}

// sizes lists those around the boundaries of stripes and batches.
func sizes(g erasure.Geometry) []int {
	w := int(g.StripeBytes())
	all := []int{0, 1, g.Data + 1, blockBytes, w - 1, w, w + 1}
	if g.Data <= 4 {
		all = append(all, g.Data, blockBytes-1, blockBytes+1, 2*w-1, 2*w, 2*w+g.Data, 9*w-1, 9*w, 9*w+1)
	}
	return all
}

// content gives size random bytes.
func content(size int) []byte {
	c := rand.NewChaCha8([32]byte{1, 2, 3})
	data := make([]byte, size)
	_, _ = c.Read(data)
	return data
}

// reference makes the streams with the pure packages alone.
func reference(t testing.TB, g erasure.Geometry, data []byte) [][]byte {
	t.Helper()
	coder, err := erasure.New(g)
	require.NoError(t, err)
	streams := make([]bytes.Buffer, g.Shards())
	writers := make([]*bitrot.Writer, g.Shards())
	for i := range writers {
		writers[i] = bitrot.NewWriter(&streams[i], bitrot.ShardID{Data: dataID(), Shard: uint8(i)})
	}
	size := int64(len(data))
	stripes, err := g.Stripes(size)
	require.NoError(t, err)
	for s := range stripes {
		b, err := g.BlockBytesOf(size, s)
		require.NoError(t, err)
		buf := make([]byte, g.Shards()*b)
		copy(buf[:g.Data*b], data[s*g.StripeBytes():])
		blocks, err := g.Lay(nil, buf, b)
		require.NoError(t, err)
		require.NoError(t, coder.Encode(blocks))
		for i := range blocks {
			_, err := writers[i].Write(blocks[i])
			require.NoError(t, err)
		}
	}
	all := make([][]byte, g.Shards())
	for i := range writers {
		require.NoError(t, writers[i].Close())
		all[i] = streams[i].Bytes()
	}
	return all
}

// buffers gives a sink in memory for each shard.
func buffers(n int) ([]*bytes.Buffer, []stripe.ShardWriter) {
	bufs, sinks := make([]*bytes.Buffer, n), make([]stripe.ShardWriter, n)
	for i := range bufs {
		bufs[i] = &bytes.Buffer{}
		sinks[i] = bufs[i]
	}
	return bufs, sinks
}

// shelf is the shards of one object as sources, and notes what is opened.
type shelf struct {
	mu     sync.Mutex
	opened map[int]int
	open   int
}

// file is one shard that is open.
type file struct {
	io.ReaderAt
	shelf *shelf
}

func (f file) Close() error {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.shelf.open--
	return nil
}

// source gives a source over r.
func (s *shelf) source(shard int, r io.ReaderAt) stripe.Source {
	return func(ctx context.Context) (stripe.ShardReader, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.opened == nil {
			s.opened = map[int]int{}
		}
		s.opened[shard]++
		s.open++
		return file{r, s}, nil
	}
}

// sources gives one for each stream that is not nil.
func (s *shelf) sources(streams [][]byte) []stripe.Source {
	all := make([]stripe.Source, len(streams))
	for i, stream := range streams {
		if stream != nil {
			all[i] = s.source(i, bytes.NewReader(stream))
		}
	}
	return all
}

// shards lists the shards that were opened.
func (s *shelf) shards(n int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []int
	for i := range n {
		if s.opened[i] > 0 {
			list = append(list, i)
		}
	}
	return list
}

// check expects that all is closed again.
func (s *shelf) check(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Zero(t, s.open, "shards that were not closed")
}
