// Goal: no goroutine outlives the store that started it, in any test of this
// package. Method: a leak detector around all of them, and what tests share.
package sherd_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore is a store in memory that ends with the test: of four drives, or as
// the test's name says (several).
func newStore(t testing.TB, o *sherd.Options) *sherd.Store {
	for name, shape := range several() {
		if strings.Contains(t.Name(), name) {
			return newStoreOf(t, shape.drives, shape.options(o))
		}
	}
	return newStoreOf(t, 4, o)
}

func newStoreOf(t testing.TB, drives int, o *sherd.Options) *sherd.Store {
	t.Helper()
	s, err := sherd.NewMemory(drives, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// newBucket makes a bucket under the versioning status that is wanted.
func newBucket(t testing.TB, s *sherd.Store, name string, status versioning.Status) {
	t.Helper()
	_, err := s.CreateBucket(t.Context(), name, nil)
	require.NoError(t, err)
	if status != versioning.Unversioned {
		require.NoError(t, s.SetVersioning(t.Context(), name, status))
	}
}

func put(t testing.TB, s *sherd.Store, bucket, key, content string) sherd.ObjectInfo {
	t.Helper()
	info, err := s.Put(t.Context(), bucket, key, strings.NewReader(content), int64(len(content)), nil)
	require.NoError(t, err)
	return info
}

func get(t testing.TB, s *sherd.Store, bucket, key string, o *sherd.GetOptions) string {
	t.Helper()
	object, err := s.Get(t.Context(), bucket, key, o)
	require.NoError(t, err)
	defer object.Close()
	content, err := io.ReadAll(object)
	require.NoError(t, err)
	require.EqualValues(t, object.Length, len(content))
	return string(content)
}

// pattern is bytes that no two offsets near each other share.
func pattern(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(i) ^ byte(i>>8)*7 ^ byte(i>>16)*31
	}
	return out
}

func keys(t testing.TB, s *sherd.Store, bucket string, o *sherd.ListOptions) (out []string) {
	t.Helper()
	for info, err := range s.List(t.Context(), bucket, o) {
		require.NoError(t, err)
		key := info.Key
		if info.IsPrefix {
			key += "*"
		}
		out = append(out, key)
	}
	return out
}

// clock is a clock that a test moves.
type clock struct{ now chan time.Time }

func newClock(start time.Time) *clock {
	c := &clock{make(chan time.Time, 1)}
	c.now <- start
	return c
}

func (c *clock) Now() time.Time {
	t := <-c.now
	c.now <- t
	return t
}

func (c *clock) Advance(d time.Duration) { c.now <- (<-c.now).Add(d) }

func reader(b []byte) io.Reader { return bytes.NewReader(b) }
