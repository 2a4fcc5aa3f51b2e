// Goal: every way to read a part of an object gives those bytes, conditions
// decide as RFC 9110 says, and an object that is open stays whole. Method:
// comparison with slices of the content, over objects in one piece and in parts.
package sherd_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

// shapes puts the same content in every shape that an object can have.
func shapes(t *testing.T, s *sherd.Store, bucket string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for name, size := range map[string]int{"inline": 5000, "file": 700_001} {
		out[name] = pattern(size)
		_, err := s.Put(t.Context(), bucket, name, reader(out[name]), int64(size), nil)
		require.NoError(t, err)
	}
	out["parts"] = pattern(500_000)
	completeOf(t, s, bucket, "parts", out["parts"], 1, 100, 200_000, 200_000, 0, 49_899, 50_001)
	out["grown"] = pattern(710_000)
	appendAll(t, s, bucket, "grown", out["grown"], 5000, 10, 300_000, 1, 404_989)
	out["grown parts"] = pattern(400_000)
	completeOf(t, s, bucket, "grown parts", out["grown parts"][:200_000], 3, 100, 150_000, 49_900)
	appendRest(t, s, bucket, "grown parts", out["grown parts"], 200_000, 30, 199_970)
	return out
}

func TestRanges(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	random := rand.New(rand.NewPCG(1, 2))
	for name, content := range shapes(t, s, "bucket") {
		size := int64(len(content))
		check := func(r sherd.Range, want []byte) {
			object, err := s.Get(t.Context(), "bucket", name, &sherd.GetOptions{Range: &r})
			require.NoError(t, err, "%s %+v", name, r)
			got, err := io.ReadAll(object)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%s %+v", name, r)
			require.EqualValues(t, len(want), object.Length)
			require.NoError(t, object.Close())
		}
		check(sherd.Range{Start: 0, End: 0}, content[:1])
		check(sherd.Range{Start: size - 1, End: -1}, content[size-1:])
		check(sherd.Range{Start: 0, End: size + 100}, content)
		check(sherd.Range{Start: -7}, content[size-7:])
		check(sherd.Range{Start: -size - 7}, content)
		for range 30 {
			start := random.Int64N(size)
			end := start + random.Int64N(size-start)
			check(sherd.Range{Start: start, End: end}, content[start:end+1])
		}
		for _, r := range []sherd.Range{{Start: size, End: -1}, {Start: size, End: size}, {Start: 5, End: 4}} {
			_, err := s.Get(t.Context(), "bucket", name, &sherd.GetOptions{Range: &r})
			require.ErrorIs(t, err, sherd.ErrInvalidRange)
			require.Equal(t, size, infoOf(t, err).Size)
		}
	}
	put(t, s, "bucket", "empty", "")
	_, err := s.Get(t.Context(), "bucket", "empty", &sherd.GetOptions{Range: &sherd.Range{Start: -1}})
	require.ErrorIs(t, err, sherd.ErrInvalidRange)
	_, err = s.Get(t.Context(), "bucket", "inline", &sherd.GetOptions{Range: &sherd.Range{}, Part: 1})
	require.ErrorIs(t, err, sherd.ErrInvalidArgument)
}

func infoOf(t *testing.T, err error) *sherd.ObjectInfo {
	t.Helper()
	var e *sherd.Error
	require.ErrorAs(t, err, &e)
	require.NotNil(t, e.Info)
	return e.Info
}

func TestReaders(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	for name, content := range shapes(t, s, "bucket") {
		for _, r := range []*sherd.Range{nil, {Start: 100, End: int64(len(content)) - 3}} {
			want := content
			if r != nil {
				want = content[r.Start : r.End+1]
			}
			object, err := s.Get(t.Context(), "bucket", name, &sherd.GetOptions{Range: r})
			require.NoError(t, err)
			require.NoError(t, readsAs(object, want), name)
			for _, off := range []int{0, 1, len(want) / 2, len(want) - 1} {
				_, err = object.Seek(int64(off), io.SeekStart)
				require.NoError(t, err)
				var out bytes.Buffer
				n, err := object.WriteTo(&out)
				require.NoError(t, err)
				require.EqualValues(t, len(want)-off, n)
				require.True(t, bytes.Equal(want[off:], out.Bytes()))
			}
			end, err := object.Seek(-5, io.SeekEnd)
			require.NoError(t, err)
			require.EqualValues(t, len(want)-5, end)
			_, err = object.Seek(-1, io.SeekStart)
			require.ErrorIs(t, err, sherd.ErrInvalidArgument)
			require.NoError(t, object.Close())
			_, err = object.Read(make([]byte, 1))
			require.ErrorIs(t, err, sherd.ErrClosed)
		}
	}
}

// readsAs is iotest.TestReader for a prefix that is not too long for it, and
// offsets of the whole.
func readsAs(object *sherd.Object, want []byte) error {
	if len(want) < 10_000 {
		return iotest.TestReader(object, want)
	}
	p := make([]byte, 4097)
	for off := int64(0); off < int64(len(want)); off += 60_013 {
		n, err := object.ReadAt(p, off)
		if err != nil && err != io.EOF {
			return err
		}
		if !bytes.Equal(p[:n], want[off:min(int64(len(want)), off+int64(len(p)))]) {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

func TestReadConditions(t *testing.T) {
	at := newClock(time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC))
	s := newStore(t, &sherd.Options{Clock: at.Now})
	newBucket(t, s, "bucket", versioning.Unversioned)
	info := put(t, s, "bucket", "key", "content")
	second := info.Modified.Truncate(time.Second)
	before, after := second.Add(-time.Second), second.Add(time.Second)
	for name, c := range map[string]struct {
		c   sherd.Conditions
		err error
	}{
		"match":               {sherd.Conditions{IfMatch: info.ETag}, nil},
		"match any":           {sherd.Conditions{IfMatch: "*"}, nil},
		"match quoted":        {sherd.Conditions{IfMatch: `"a", "` + info.ETag + `"`}, nil},
		"match other":         {sherd.Conditions{IfMatch: "other"}, sherd.ErrPrecondition},
		"none match":          {sherd.Conditions{IfNoneMatch: "other"}, nil},
		"none match it":       {sherd.Conditions{IfNoneMatch: info.ETag}, sherd.ErrNotModified},
		"none match any":      {sherd.Conditions{IfNoneMatch: "*"}, sherd.ErrNotModified},
		"modified":            {sherd.Conditions{IfModifiedSince: before}, nil},
		"not modified":        {sherd.Conditions{IfModifiedSince: second}, sherd.ErrNotModified},
		"unmodified":          {sherd.Conditions{IfUnmodifiedSince: second}, nil},
		"not unmodified":      {sherd.Conditions{IfUnmodifiedSince: before}, sherd.ErrPrecondition},
		"match wins":          {sherd.Conditions{IfMatch: info.ETag, IfUnmodifiedSince: before}, nil},
		"none match wins":     {sherd.Conditions{IfNoneMatch: "other", IfModifiedSince: after}, nil},
		"both, match first":   {sherd.Conditions{IfMatch: "other", IfNoneMatch: info.ETag}, sherd.ErrPrecondition},
		"match and not newer": {sherd.Conditions{IfMatch: info.ETag, IfModifiedSince: after}, sherd.ErrNotModified},
	} {
		object, err := s.Get(t.Context(), "bucket", "key", &sherd.GetOptions{Conditions: c.c})
		if c.err == nil {
			require.NoError(t, err, name)
			require.NoError(t, object.Close())
			continue
		}
		require.ErrorIs(t, err, c.err, name)
		require.Equal(t, info.ETag, infoOf(t, err).ETag)
	}
}

func TestAnObjectStaysReadableWhenItIsReplacedOrDeleted(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	objects, contents := map[string]*sherd.Object{}, shapes(t, s, "bucket")
	for name := range contents {
		object, err := s.Get(t.Context(), "bucket", name, nil)
		require.NoError(t, err)
		objects[name] = object
		_, err = io.ReadFull(object, make([]byte, 10))
		require.NoError(t, err)
		put(t, s, "bucket", name, "other")
		_, err = s.Delete(t.Context(), "bucket", name, nil)
		require.NoError(t, err)
	}
	settle(t, s)
	for name, content := range contents {
		object, p := objects[name], make([]byte, 1000)
		_, err := object.ReadAt(p, 500)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(content[500:1500], p), name)
		rest, err := io.ReadAll(object)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(content[10:], rest), name)
		require.NoError(t, object.Close())
		_, err = object.ReadAt(p, 0)
		require.ErrorIs(t, err, sherd.ErrClosed)
	}
	require.Empty(t, s.Health().Damage, "what was removed is no damage")
}

// What is read once more after its end was reached counts once more.
func TestReadingAnewTakesMemoryAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := sherd.NewMemory(1, &sherd.Options{MemoryBudget: sherd.MinMemoryBudget})
		require.NoError(t, err)
		defer s.Close()
		newBucket(t, s, "bucket", versioning.Unversioned)
		content := pattern(4 << 20)
		_, err = s.Put(t.Context(), "bucket", "key", reader(content), int64(len(content)), nil)
		require.NoError(t, err)
		open := func() *sherd.Object {
			object, err := s.Get(t.Context(), "bucket", "key", nil)
			require.NoError(t, err)
			return object
		}
		first := open()
		defer first.Close()
		_, err = io.Copy(io.Discard, first)
		require.NoError(t, err)
		second, third := open(), open() // which have all of it now
		defer second.Close()
		_, err = first.Seek(0, io.SeekStart)
		require.NoError(t, err)
		read := make(chan []byte, 1)
		go func() {
			again, _ := io.ReadAll(first)
			read <- again
		}()
		synctest.Wait()
		require.Empty(t, read, "it waits")
		require.NoError(t, third.Close())
		require.True(t, bytes.Equal(content, <-read))
	})
}
