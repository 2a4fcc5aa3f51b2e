// Goal: what a drive costs by itself. Method: the calls that PUT, GET, HEAD and
// a listing make of one drive, in memory and on the disk, over few and many keys
// (SHERD_BENCH_KEYS, 10,000 unless said otherwise).
package layout_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

type benched struct {
	d    layout.Drive
	p    layout.Promise
	last layout.Mark
	n    uint64
}

func benchKeys(b *testing.B) int {
	if s := os.Getenv("SHERD_BENCH_KEYS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(b, err)
		return n
	}
	return 10_000
}

func open(b *testing.B, fs vfs.FS, path string, o *layout.Options) *benched {
	b.Helper()
	c, err := layout.Claim(b.Context(), fs, path, o)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Release()) })
	require.NoError(b, c.Format(b.Context(), identity(), someState()))
	d, err := c.Open(b.Context())
	require.NoError(b, err)
	x := &benched{d: d, p: layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}}}
	_, err = d.Promise(b.Context(), x.p)
	require.NoError(b, err)
	return x
}

func benchKey(i int) string { return fmt.Sprintf("photos/2026/%08d.jpg", i) }

func (x *benched) entry(b *testing.B, key string, shard []byte) *layout.Entry {
	b.Helper()
	x.n++
	d := layout.DataID{Owner: x.p.Owner, Counter: x.n}
	p := x.last.Position + 1
	value, err := layout.EncodeRecord(&layout.Record{
		Head: layout.Head{Version: p, Epoch: 3, Modified: someTime, Size: 1024, ETag: layout.ETag{Kind: layout.ETagMD5}},
		Body: layout.Body{Place: layout.Place{Kind: layout.PlaceInline, Data: d, Parity: 2, Drives: someDrives, Size: 1024}, ContentType: "image/jpeg"},
	})
	require.NoError(b, err)
	e := &layout.Entry{
		Position: p, Owner: x.p.Owner, Time: someTime,
		Writes: []layout.Write{{Slot: layout.VersionSlot(1, key, p), Kind: layout.KindRecord, Value: value}, {Slot: layout.InlineSlot(d), Kind: layout.KindRecord}},
		Adds:   []layout.Add{{Data: d, Parity: 2, Drives: someDrives, Size: 1024, Inline: true, Shards: [][]byte{shard, shard, shard, shard}}},
	}
	require.NoError(b, e.Seal(x.last.Chain))
	x.last = layout.Mark{Position: p, Chain: e.Chain}
	return e
}

func (x *benched) fill(b *testing.B, keys int) {
	shard := make([]byte, 544)
	for i := 0; i < keys; {
		var batch layout.Batch
		for ; i < keys && len(batch.Entries) < 256; i++ {
			batch.Entries = append(batch.Entries, x.entry(b, benchKey(i), shard))
		}
		require.NoError(b, x.d.Apply(b.Context(), x.p, batch))
	}
}

func onBoth(b *testing.B, run func(b *testing.B, fs vfs.FS, path string, o *layout.Options)) {
	b.Run("memory", func(b *testing.B) {
		cache := layout.NewCache(48 << 20)
		b.Cleanup(cache.Close)
		run(b, vfs.Mem(0), "/drive", &layout.Options{Memory: true, Cache: cache})
	})
	b.Run("disk", func(b *testing.B) {
		cache := layout.NewCache(48 << 20)
		b.Cleanup(cache.Close)
		run(b, vfs.OS(), b.TempDir()+"/drive", &layout.Options{Cache: cache})
	})
}

func BenchmarkApply(b *testing.B) {
	onBoth(b, func(b *testing.B, fs vfs.FS, path string, o *layout.Options) {
		for _, group := range []int{1, 32} {
			b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
				x := open(b, fs, path+strconv.Itoa(group)+strconv.Itoa(b.N), o)
				shard := make([]byte, 544)
				var entries []*layout.Entry
				for i := range b.N {
					entries = append(entries, x.entry(b, benchKey(i), shard))
				}
				b.ReportAllocs()
				b.ResetTimer()
				for len(entries) > 0 {
					n := min(group, len(entries))
					require.NoError(b, x.d.Apply(b.Context(), x.p, layout.Batch{Entries: entries[:n]}))
					entries = entries[n:]
				}
			})
		}
	})
}

func BenchmarkGet(b *testing.B) {
	onBoth(b, func(b *testing.B, fs vfs.FS, path string, o *layout.Options) {
		x, keys := open(b, fs, path, o), benchKeys(b)
		x.fill(b, keys)
		i := 0
		next := func() string { i = (i + 7919) % keys; return benchKey(i) }
		run := func(name string, op func(r layout.Reader) bool) {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r, err := x.d.Read(b.Context())
					require.NoError(b, err)
					if !op(r) {
						b.Fatal("not there")
					}
					_ = r.Close()
				}
			})
		}
		run("latest", func(r layout.Reader) bool { _, ok, _ := r.Latest(1, next(), x.last.Position); return ok })
		run("missing", func(r layout.Reader) bool { _, ok, _ := r.Latest(1, next()+"x", x.last.Position); return !ok })
		run("latest+inline", func(r layout.Reader) bool {
			it, ok, _ := r.Latest(1, next(), x.last.Position)
			record, err := layout.DecodeRecord(it.Value)
			if err != nil {
				return false
			}
			_, found, _ := r.Get(layout.InlineSlot(record.Place.Data), x.last.Position)
			return ok && found
		})
		run("latest+raw", func(r layout.Reader) bool {
			it, ok, _ := r.Latest(1, next(), x.last.Position)
			record, err := layout.DecodeRecord(it.Value)
			if err != nil {
				return false
			}
			_, _, found, _ := r.Raw(layout.InlineSlot(record.Place.Data), it.Position)
			return ok && found
		})
		shard := make([]byte, 544)
		b.Run("latest-after-a-write", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				require.NoError(b, x.d.Apply(b.Context(), x.p, layout.Batch{Entries: []*layout.Entry{x.entry(b, next(), shard)}}))
				b.StartTimer()
				r, _ := x.d.Read(b.Context())
				_, ok, _ := r.Latest(1, next(), x.last.Position)
				require.True(b, ok)
			}
		})
	})
}

func BenchmarkList(b *testing.B) {
	onBoth(b, func(b *testing.B, fs vfs.FS, path string, o *layout.Options) {
		x, keys := open(b, fs, path, o), benchKeys(b)
		x.fill(b, keys)
		b.Run("page=1000", func(b *testing.B) {
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				r, _ := x.d.Read(b.Context())
				i = (i + 7919) % (keys - 1000)
				lo, hi := layout.KeyRange(1, benchKey(i))
				c, err := r.Cursor(lo, hi, x.last.Position)
				require.NoError(b, err)
				n := 0
				for ok := c.Next(); ok && n < 1000; ok = c.NextKey() {
					if _, err := layout.DecodeHead(c.Item().Value); err != nil {
						b.Fatal(err)
					}
					n++
				}
				require.Equal(b, 1000, n)
				require.NoError(b, c.Close())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/key")
		})
	})
}

func BenchmarkOpenMemory(b *testing.B) {
	for b.Loop() {
		fs := vfs.Mem(0)
		cache := layout.NewCache(48 << 20)
		var places []*layout.Claimed
		for i := range 4 {
			c, err := layout.Claim(b.Context(), fs, "/drive"+strconv.Itoa(i), &layout.Options{Memory: true, Cache: cache})
			require.NoError(b, err)
			require.NoError(b, c.Format(b.Context(), identity(), someState()))
			_, err = c.Open(b.Context())
			require.NoError(b, err)
			places = append(places, c)
		}
		b.StopTimer()
		for _, c := range places {
			require.NoError(b, c.Release())
		}
		cache.Close()
		b.StartTimer()
	}
}

func BenchmarkRecord(b *testing.B) {
	r := fullRecord()
	r.Headers, r.Metadata, r.Tags, r.Checksums = nil, nil, nil, nil
	value, err := layout.EncodeRecord(r)
	require.NoError(b, err)
	b.Run("head", func(b *testing.B) {
		for b.Loop() {
			_, _ = layout.DecodeHead(value)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = layout.DecodeRecord(value)
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = layout.EncodeRecord(r)
		}
	})
	b.Run("entry", func(b *testing.B) {
		b.ReportAllocs()
		e := fullEntry()
		for b.Loop() {
			_ = e.Seal(layout.Chain{})
			_, _ = layout.EncodeEntry(e)
		}
	})
}
