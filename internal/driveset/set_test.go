// Goal: a set keeps what it acknowledged, through drives that fail, vanish and
// return. Method: small stores on memory file systems whose faults the test
// commands; a client that writes records as the store does and a plain map that
// says what must be there.
package driveset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/layout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is drives in memory, each with faults that can be switched on.
type shelf struct {
	fs     []vfs.FS
	faults []*faultfs.Injector
	opt    driveset.Options
}

func newShelf(n int) *shelf {
	s := &shelf{opt: driveset.Options{Memory: true, ReserveBytes: -1, StallLimit: 2 * time.Second}}
	for range n {
		inj := faultfs.New()
		s.fs = append(s.fs, inj.Wrap(vfs.Mem(0)))
		s.faults = append(s.faults, inj)
	}
	return s
}

func (s *shelf) places(slots ...int) (out []driveset.Place) {
	if slots == nil {
		for i := range s.fs {
			slots = append(slots, i)
		}
	}
	for _, i := range slots {
		out = append(out, driveset.Place{FS: s.fs[i], Path: fmt.Sprintf("/d%d", i)})
	}
	return out
}

func (s *shelf) open(t *testing.T, slots ...int) *client {
	t.Helper()
	o := s.opt
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	set, err := driveset.Open(t.Context(), s.places(slots...), &o)
	require.NoError(t, err)
	c := &client{t: t, set: set, want: map[string][]byte{}}
	t.Cleanup(func() { require.NoError(t, set.Close()) })
	return c
}

// client writes and reads objects of one bucket, and remembers.
type client struct {
	t    *testing.T
	set  *driveset.Set
	mu   sync.Mutex
	want map[string][]byte
	// parity is one more than that of objects; 0: the default of the set.
	parity int
}

const bucket = layout.BucketID(1)

func bytesOf(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(b)
	return b
}

// put stores bytes as a new version and shadows the one before.
func (c *client) put(ctx context.Context, key string, data []byte) error {
	st, err := c.set.Stage(ctx, bytes.NewReader(data), int64(len(data)), driveset.DataSpec{Bucket: bucket, Key: key, Parity: c.parity - 1})
	if err != nil {
		return err
	}
	defer st.Discard()
	old, err := c.latest(ctx, key)
	if err != nil {
		return err
	}
	_, err = c.set.Commit(ctx, func() {}, func(p layout.Position, o layout.Owner) (driveset.Change, error) {
		rec := &layout.Record{Head: layout.Head{Version: p, Epoch: o.Epoch, Size: st.Size, Modified: time.Unix(0, 0)}, Body: layout.Body{Place: st.Place}}
		value, err := layout.EncodeRecord(rec)
		if err != nil {
			return driveset.Change{}, err
		}
		w := []layout.Write{{Slot: layout.VersionSlot(bucket, key, p), Kind: layout.KindRecord, Value: value}}
		if st.Place.Kind == layout.PlaceFile {
			w = append(w, layout.Write{Slot: layout.DataOwnerSlot(st.Place.Data, layout.OwnerOfData{Bucket: bucket, Key: key, Version: p}), Kind: layout.KindRecord, Value: []byte{}})
		}
		return driveset.Change{Writes: append(w, gone(key, old)...), Staged: st}, nil
	})
	if err == nil {
		c.mu.Lock()
		c.want[key] = data
		c.mu.Unlock()
	}
	return err
}

func gone(key string, old *layout.Record) (w []layout.Write) {
	if old == nil {
		return nil
	}
	w = append(w, layout.Write{Slot: layout.VersionSlot(bucket, key, old.Version), Kind: layout.KindTombstone})
	if old.Place.Kind == layout.PlaceFile {
		w = append(w, layout.Write{Slot: layout.DataOwnerSlot(old.Place.Data, layout.OwnerOfData{Bucket: bucket, Key: key, Version: old.Version}), Kind: layout.KindTombstone})
	}
	return w
}

func (c *client) delete(ctx context.Context, key string) error {
	old, err := c.latest(ctx, key)
	if err != nil || old == nil {
		return err
	}
	_, err = c.set.Commit(ctx, func() {}, func(layout.Position, layout.Owner) (driveset.Change, error) {
		return driveset.Change{Writes: gone(key, old), Reserve: true}, nil
	})
	if err == nil {
		c.mu.Lock()
		delete(c.want, key)
		c.mu.Unlock()
	}
	return err
}

func (c *client) latest(ctx context.Context, key string) (*layout.Record, error) {
	v, err := c.set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	item, ok, err := v.Latest(ctx, bucket, key)
	if err != nil || !ok {
		return nil, err
	}
	return layout.DecodeRecord(item.Value)
}

var errAbsent = errors.New("no such key")

// get reads a key, again where the set changed the names of its drives in between:
// views from before end.
func (c *client) get(ctx context.Context, key string) (data []byte, err error) {
	for range 10 {
		if data, err = c.getOnce(ctx, key); !errors.Is(err, driveset.ErrExpired) {
			break
		}
	}
	return data, err
}

func (c *client) getOnce(ctx context.Context, key string) ([]byte, error) {
	rec, err := c.latest(ctx, key)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, errAbsent
	}
	if rec.Place.Kind == layout.PlaceNone {
		return []byte{}, nil
	}
	d, err := c.set.OpenData(ctx, rec.Place, 0, rec.Size)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(d)
}

// check reads everything back, and lists it.
func (c *client) check() {
	c.t.Helper()
	for key, want := range c.want {
		got, err := c.get(c.t.Context(), key)
		require.NoError(c.t, err, key)
		require.True(c.t, bytes.Equal(want, got), "%s: %d bytes, want %d", key, len(got), len(want))
	}
	require.ElementsMatch(c.t, keysOf(c.want), c.list())
}

func keysOf(m map[string][]byte) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func (c *client) list() []string {
	for range 10 {
		out, err := c.listOnce()
		if errors.Is(err, driveset.ErrExpired) {
			continue // as in get
		}
		require.NoError(c.t, err)
		return out
	}
	require.FailNow(c.t, "each view ended while it was listed")
	return nil
}

func (c *client) listOnce() (out []string, err error) {
	v, err := c.set.View(c.t.Context())
	if err != nil {
		return nil, err
	}
	defer v.Close()
	lo, hi := layout.KeyRange(bucket, "")
	cur, err := v.Cursor(c.t.Context(), lo, hi)
	if err != nil {
		return nil, err
	}
	defer cur.Close()
	for ok := cur.Next(); ok; ok = cur.NextKey() {
		_, key, _, err := layout.ParseVersionSlot(cur.Item().Slot)
		require.NoError(c.t, err)
		out = append(out, key)
	}
	return out, cur.Err()
}

// eventually waits for something that the set does by itself.
func (c *client) eventually(what string, ok func(driveset.Health) bool) {
	c.t.Helper()
	if !assert.Eventually(c.t, func() bool { return ok(c.set.Health()) }, 30*time.Second, 5*time.Millisecond, what) {
		c.t.Fatalf("%+v", c.set.Health())
	}
}

func allInSync(h driveset.Health) bool {
	return h.Mode == driveset.Serving && !h.Degraded
}

var sizes = []int{0, 1, 1000, 64 << 10, 200_000, 1 << 20}

func (c *client) fill(prefix string) {
	for i, n := range sizes {
		require.NoError(c.t, c.put(c.t.Context(), fmt.Sprintf("%s%d", prefix, n), bytesOf(uint64(i), n)))
	}
}

func TestPutGetReopen(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 6, 16} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := newShelf(n)
			c := s.open(t)
			require.True(t, c.set.Created())
			c.fill("a")
			c.fill("a") // overwritten
			c.fill("b")
			require.NoError(t, c.delete(t.Context(), "b1000"))
			c.check()
			require.NoError(t, c.set.Close())

			again := s.open(t)
			require.False(t, again.set.Created())
			again.want = c.want
			again.check()
			again.fill("c")
			again.check()
		})
	}
}
