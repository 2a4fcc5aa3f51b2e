// Goal: an object that was appended to is as one that was put whole, to whoever
// reads, copies, versions, deletes and checks it, and its older versions and
// readers keep what they had. Method: appends of every kind of place onto every
// kind, and random ones beside a model of the versions' bytes.
package sherd_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

// appendAll makes an object by appends of the sizes.
func appendAll(t testing.TB, s *sherd.Store, bucket, key string, content []byte, sizes ...int) {
	t.Helper()
	appendRest(t, s, bucket, key, content, 0, sizes...)
}

// appendRest appends what is behind an offset.
func appendRest(t testing.TB, s *sherd.Store, bucket, key string, content []byte, offset int, sizes ...int) {
	t.Helper()
	for _, size := range sizes {
		info, err := s.Append(t.Context(), bucket, key, reader(content[offset:offset+size]), int64(size), int64(offset), nil)
		require.NoError(t, err)
		offset += size
		require.EqualValues(t, offset, info.Size)
	}
	require.Len(t, content, offset)
}

func TestAppendOntoEveryKindOfPlace(t *testing.T) {
	for _, status := range []versioning.Status{versioning.Unversioned, versioning.Enabled, versioning.Suspended} {
		s := newStore(t, nil)
		newBucket(t, s, "bucket", status)
		content := pattern(1_500_000)
		for name, begin := range map[string]func(key string, size int){
			"put": func(key string, size int) { put(t, s, "bucket", key, string(content[:size])) },
			"append": func(key string, size int) {
				if size > 0 {
					appendAll(t, s, "bucket", key, content[:size], size)
				}
			},
			"parts": func(key string, size int) {
				completeOf(t, s, "bucket", key, content[:size], 5, size/2, size-size/2)
			},
		} {
			for _, first := range []int{0, 10, 300_000} {
				for _, then := range [][]int{{1}, {400_000}, {10, 10, 300_000, 10}, {300_000, 1, 300_000}} {
					key := fmt.Sprint(name, first, then)
					begin(key, first)
					total := first
					for _, size := range then {
						total += size
					}
					appendRest(t, s, "bucket", key, content[:total], first, then...)
					require.Equal(t, string(content[:total]), get(t, s, "bucket", key, nil), key)
				}
			}
		}
		requireNothingWrong(t, s)
	}
}

func TestWhatAnAppendNeeds(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	add := func(offset int64, body string, o *sherd.PutOptions) (sherd.ObjectInfo, error) {
		return s.Append(t.Context(), "bucket", "key", strings.NewReader(body), int64(len(body)), offset, o)
	}
	_, err := add(1, "x", nil)
	require.ErrorIs(t, err, sherd.ErrWriteOffset, "nothing is there")
	_, err = add(-1, "x", nil)
	require.ErrorIs(t, err, sherd.ErrWriteOffset)
	_, err = add(0, "", nil)
	require.ErrorIs(t, err, sherd.ErrInvalidArgument, "nothing to append")
	_, err = add(0, "x", &sherd.PutOptions{Conditions: sherd.Conditions{IfMatch: "*"}})
	require.ErrorIs(t, err, sherd.ErrNoSuchKey)
	described := &sherd.PutOptions{ContentType: "a/b", Tags: map[string]string{"t": "1"}, Access: []byte("who"), MD5: true}
	first, err := add(0, "one", described)
	require.NoError(t, err)
	require.Equal(t, "a/b", first.ContentType)
	require.True(t, first.ETagIsMD5, "it is all there is")
	for _, offset := range []int64{0, 2, 4} {
		_, err = add(offset, "x", nil)
		require.ErrorIs(t, err, sherd.ErrWriteOffset)
		var told *sherd.Error
		require.ErrorAs(t, err, &told)
		require.EqualValues(t, 3, told.Info.Size)
	}
	_, err = add(3, "x", &sherd.PutOptions{Conditions: sherd.Conditions{IfMatch: "other"}})
	require.ErrorIs(t, err, sherd.ErrPrecondition)
	_, err = add(3, "x", &sherd.PutOptions{ContentMD5: make([]byte, 16)})
	require.ErrorIs(t, err, sherd.ErrBadDigest)
	_, err = s.Append(t.Context(), "bucket", "key", strings.NewReader("xx"), 3, 3, nil)
	require.ErrorIs(t, err, sherd.ErrShortBody)
	require.Equal(t, "one", get(t, s, "bucket", "key", nil), "nothing happened")

	second, err := add(3, "two", &sherd.PutOptions{ContentType: "c/d", MD5: true, Conditions: sherd.Conditions{IfMatch: first.ETag}})
	require.NoError(t, err)
	require.NotEqual(t, first.ETag, second.ETag)
	require.False(t, second.ETagIsMD5)
	info, err := s.Stat(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	second.Latest = true
	require.Equal(t, second, info)
	require.Equal(t, "a/b", info.ContentType, "it keeps its description")
	require.Equal(t, map[string]string{"t": "1"}, info.Tags)
	require.Equal(t, "who", string(info.Access))
	require.Equal(t, 2, info.Parts)
	for listed, err := range s.List(t.Context(), "bucket", nil) {
		require.NoError(t, err)
		require.Equal(t, 2, listed.Parts)
		require.Equal(t, second.ETag, listed.ETag)
	}
}

func TestPartsOfAGrownObject(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Enabled)
	content := pattern(1000)
	completeOf(t, s, "bucket", "key", content[:300], 7, 100, 200)
	appendRest(t, s, "bucket", "key", content, 300, 1, 99, 600)
	want := map[int][]byte{7: content[:100], 8: content[100:300], 9: content[300:301], 10: content[301:400], 11: content[400:]}
	parts, err := s.ObjectParts(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.Len(t, parts, len(want))
	for _, part := range parts {
		require.EqualValues(t, len(want[part.Number]), part.Size, part.Number)
		require.Equal(t, string(want[part.Number]), get(t, s, "bucket", "key", &sherd.GetOptions{Part: part.Number}))
	}
	object, err := s.Get(t.Context(), "bucket", "key", &sherd.GetOptions{Part: 10})
	require.NoError(t, err)
	require.Equal(t, parts[3], object.Part)
	require.NoError(t, object.Close())
	for _, number := range []int{1, 6, 12} {
		_, err = s.Get(t.Context(), "bucket", "key", &sherd.GetOptions{Part: number})
		require.ErrorIs(t, err, sherd.ErrInvalidPart)
	}
	info, err := s.Stat(t.Context(), "bucket", "key", nil)
	require.NoError(t, err)
	require.Equal(t, 5, info.Parts)
}

func TestChecksumsOfAppends(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(400_000)
	ask := func(a ...sherd.ChecksumAlgorithm) *sherd.PutOptions {
		return &sherd.PutOptions{Checksum: &sherd.ChecksumRequest{Algorithms: a}}
	}
	add := func(key string, from, to int, o *sherd.PutOptions) sherd.ObjectInfo {
		info, err := s.Append(t.Context(), "bucket", key, reader(content[from:to]), -1, int64(from), o)
		require.NoError(t, err)
		return info
	}
	for _, a := range []sherd.ChecksumAlgorithm{sherd.CRC32, sherd.CRC32C, sherd.CRC64NVME} {
		key := a.String()
		add(key, 0, 7, ask(a))
		add(key, 7, 300_000, ask(sherd.SHA256))
		info := add(key, 300_000, 400_000, nil)
		whole, err := s.Put(t.Context(), "bucket", "whole", reader(content), -1, ask(a))
		require.NoError(t, err)
		require.Equal(t, whole.Checksums, info.Checksums)
		parts, err := s.ObjectParts(t.Context(), "bucket", key, nil)
		require.NoError(t, err)
		require.Len(t, parts[1].Checksums, 2, "the one that was asked for, and the one that the object goes on with")
	}
	add("sha", 0, 7, ask(sherd.SHA256))
	require.Empty(t, add("sha", 7, 9, ask(sherd.SHA256)).Checksums, "none of the whole can be made")

	wrong := ask(sherd.SHA1)
	wrong.Checksum.Expected = func() ([]sherd.Checksum, error) {
		return []sherd.Checksum{{Algorithm: sherd.SHA1, Type: sherd.FullObject, Value: make([]byte, 20)}}, nil
	}
	_, err := s.Append(t.Context(), "bucket", "sha", reader(content), -1, 9, wrong)
	require.ErrorIs(t, err, sherd.ErrBadDigest)
	put(t, s, "bucket", "empty", "")
	require.Len(t, add("empty", 0, 9, ask(sherd.SHA1)).Checksums, 1)
}

// A reader that is open reads on what the object was.
func TestReadersOfAnObjectThatGrows(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	for name, content := range shapes(t, s, "bucket") {
		object, err := s.Get(t.Context(), "bucket", name, nil)
		require.NoError(t, err)
		for i := range 3 {
			_, err = s.Append(t.Context(), "bucket", name, reader(pattern(200_000)), -1, int64(len(content)+i*200_000), nil)
			require.NoError(t, err)
		}
		settle(t, s)
		got, err := io.ReadAll(object)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got), name)
		at := make([]byte, 100)
		_, err = object.ReadAt(at, int64(len(content)-100))
		require.NoError(t, err)
		require.Equal(t, content[len(content)-100:], at)
		require.NoError(t, object.Close())
	}
	requireNothingWrong(t, s)
}

// Of appends to a key at once one is made, and one to a copy that shares its
// bytes does not meet with it.
func TestAppendsAtOnce(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	appendAll(t, s, "bucket", "key", []byte("begin"), 4, 1)
	want := "begin"
	for round := range 40 {
		_, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key"}, "bucket", "copy", nil)
		require.NoError(t, err)
		var wg sync.WaitGroup
		start := make(chan struct{})
		made := map[string]chan string{"key": make(chan string, 8), "copy": make(chan string, 8)}
		for writer := range 8 {
			wg.Go(func() {
				<-start
				key, body := []string{"key", "copy"}[writer%2], fmt.Sprintf("<%d.%d>", round, writer)
				if _, err := s.Append(t.Context(), "bucket", key, strings.NewReader(body), -1, int64(len(want)), nil); err == nil {
					made[key] <- body
				}
			})
		}
		close(start)
		wg.Wait()
		for key, bodies := range made {
			require.Len(t, bodies, 1)
			require.Equal(t, want+<-bodies, get(t, s, "bucket", key, nil), key)
		}
		want = get(t, s, "bucket", "key", nil)
	}
	requireNothingWrong(t, s)
}

func TestTheMostAppends(t *testing.T) {
	s := newStoreOf(t, 1, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := make([]byte, 0, 3*sherd.MaxPartNumber)
	for i := range sherd.MaxPartNumber {
		body := []byte(fmt.Sprint(i))
		_, err := s.Append(t.Context(), "bucket", "key", reader(body), int64(len(body)), int64(len(content)), nil)
		require.NoError(t, err)
		content = append(content, body...)
	}
	_, err := s.Append(t.Context(), "bucket", "key", strings.NewReader("x"), 1, int64(len(content)), nil)
	require.ErrorIs(t, err, sherd.ErrTooManyParts)
	require.Equal(t, string(content), get(t, s, "bucket", "key", nil))
	random := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		start := random.Int64N(int64(len(content)))
		end := start + random.Int64N(100)
		got := get(t, s, "bucket", "key", &sherd.GetOptions{Range: &sherd.Range{Start: start, End: end}})
		require.Equal(t, string(content[start:min(int64(len(content)), end+1)]), got)
	}
	require.Equal(t, "9999", get(t, s, "bucket", "key", &sherd.GetOptions{Part: 10_000}))
}

// Versions and copies share what they have in common, in any order of appends,
// deletions and copies, and the bytes of those that are gone go.
func TestRandomAppends(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := t.TempDir()
			s, err := sherd.Open(t.Context(), []string{dir}, nil)
			require.NoError(t, err)
			defer s.Close()
			status := versioning.Status(seed % 3)
			newBucket(t, s, "bucket", status)
			m := &appendModel{t: t, s: s, random: rand.New(rand.NewPCG(seed, 9)), now: map[string]string{}, versions: map[[2]string]string{}}
			for range 3 {
				for range 50 {
					m.step()
				}
				settle(t, s)
				m.compare()
				requireNothingWrong(t, s)
			}
			for id := range m.versions {
				_, err := s.Delete(t.Context(), "bucket", id[0], &sherd.DeleteOptions{VersionID: id[1]})
				require.NoError(t, err)
			}
			for key := range m.now {
				_, err := s.Delete(t.Context(), "bucket", key, nil)
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool {
				found, err := filepath.Glob(filepath.Join(dir, "shards", "*", "*"))
				put(t, s, "bucket", "tick", "")
				return err == nil && len(found) == 0
			}, 20*time.Second, 20*time.Millisecond, "shard files are left")
		})
	}
}

// appendModel is what keys and versions should hold.
type appendModel struct {
	t        *testing.T
	s        *sherd.Store
	random   *rand.Rand
	now      map[string]string    // latest, by key
	versions map[[2]string]string // by key and id, in a bucket with versions
	steps    int
}

func (m *appendModel) made(info sherd.ObjectInfo, content string) {
	m.now[info.Key] = content
	if info.VersionID != "" {
		m.versions[[2]string{info.Key, info.VersionID}] = content
	}
}

func (m *appendModel) step() {
	m.t.Helper()
	m.steps++
	key := string(rune('a' + m.random.IntN(3)))
	size := []int{1, 50, 3000, 90_000}[m.random.IntN(4)]
	body := fmt.Sprintf("%d,", m.steps) + string(pattern(size))
	content, there := m.now[key]
	switch m.random.IntN(10) {
	case 0:
		m.made(put(m.t, m.s, "bucket", key, body), body)
	case 1:
		info := completeOf(m.t, m.s, "bucket", key, []byte(body), 2, len(body)/2, len(body)-len(body)/2)
		m.made(info, body)
	case 2:
		from := string(rune('a' + m.random.IntN(3)))
		source, ok := m.now[from]
		if !ok || from == key {
			return
		}
		info, err := m.s.Copy(m.t.Context(), sherd.Source{Bucket: "bucket", Key: from}, "bucket", key, nil)
		require.NoError(m.t, err)
		m.made(info, source)
	case 3:
		if !there {
			return
		}
		info, err := m.s.Stat(m.t.Context(), "bucket", key, nil)
		require.NoError(m.t, err)
		_, err = m.s.Delete(m.t.Context(), "bucket", key, &sherd.DeleteOptions{VersionID: info.VersionID})
		require.NoError(m.t, err)
		delete(m.now, key)
		delete(m.versions, [2]string{key, info.VersionID})
		if before, err := m.s.Stat(m.t.Context(), "bucket", key, nil); err == nil {
			m.now[key] = m.versions[[2]string{key, before.VersionID}]
		}
	case 4:
		from := string(rune('a' + m.random.IntN(3)))
		source, ok := m.now[from]
		if !ok || from == key {
			return
		}
		info, err := m.s.Rename(m.t.Context(), "bucket", from, key, nil)
		require.NoError(m.t, err)
		m.made(info, source)
		delete(m.now, from)
		delete(m.versions, [2]string{from, sherd.NullVersionID})
	default:
		info, err := m.s.Append(m.t.Context(), "bucket", key, strings.NewReader(body), int64(len(body)), int64(len(content)), nil)
		require.NoError(m.t, err)
		m.made(info, content+body)
	}
}

func (m *appendModel) compare() {
	m.t.Helper()
	for key, content := range m.now {
		require.True(m.t, content == get(m.t, m.s, "bucket", key, nil), key)
	}
	for id, content := range m.versions {
		require.True(m.t, content == get(m.t, m.s, "bucket", id[0], &sherd.GetOptions{VersionID: id[1]}), id)
	}
}
