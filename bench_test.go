// Goal: the cost of the ways in and out, in process over drives in memory.
// Method: b.Loop at sizes from 1 KiB to 64 MiB; run with -benchmem.
package sherd_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

func sizes() []int { return []int{1 << 10, 64 << 10, 1 << 20, 64 << 20} }

func sizeName(size int) string {
	if size >= 1<<20 {
		return fmt.Sprintf("%dMiB", size>>20)
	}
	return fmt.Sprintf("%dKiB", size>>10)
}

func benchStore(b *testing.B, drives int) *sherd.Store {
	s := newStoreOf(b, drives, nil)
	newBucket(b, s, "bucket", versioning.Unversioned)
	return s
}

func BenchmarkPut(b *testing.B) {
	for _, drives := range []int{1, 4} {
		for _, md5 := range []bool{false, true} {
			for _, size := range sizes() {
				b.Run(fmt.Sprintf("drives=%d/md5=%t/%s", drives, md5, sizeName(size)), func(b *testing.B) {
					s := benchStore(b, drives)
					content := pattern(size)
					b.SetBytes(int64(size))
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						if _, err := s.Put(b.Context(), "bucket", fmt.Sprintf("key%d", i%16), reader(content), int64(size), &sherd.PutOptions{MD5: md5}); err != nil {
							b.Fatal(err)
						}
						i++
					}
				})
			}
		}
	}
}

func BenchmarkPutParallel(b *testing.B) {
	s := benchStore(b, 4)
	content := pattern(1 << 10)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := s.Put(b.Context(), "bucket", fmt.Sprintf("key%d", i%1000), reader(content), 1<<10, nil); err != nil {
				b.Error(err)
			}
		}
	})
}

// Beside BenchmarkPut: an append of 1 KiB, to objects that have few parts and most.
func BenchmarkAppend(b *testing.B) {
	for _, drives := range []int{1, 4} {
		b.Run(fmt.Sprintf("drives=%d", drives), func(b *testing.B) {
			s := benchStore(b, drives)
			content := pattern(1 << 10)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				key, part := fmt.Sprintf("key%d", i/sherd.MaxPartNumber), i%sherd.MaxPartNumber
				if _, err := s.Append(b.Context(), "bucket", key, reader(content), 1<<10, int64(part)<<10, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, drives := range []int{1, 4} {
		for _, size := range sizes() {
			b.Run(fmt.Sprintf("drives=%d/%s", drives, sizeName(size)), func(b *testing.B) {
				s := benchStore(b, drives)
				_, err := s.Put(b.Context(), "bucket", "key", reader(pattern(size)), int64(size), nil)
				require.NoError(b, err)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					object, err := s.Get(b.Context(), "bucket", "key", nil)
					if err != nil {
						b.Fatal(err)
					}
					if n, err := object.WriteTo(io.Discard); err != nil || n != int64(size) {
						b.Fatal(n, err)
					}
					if err := object.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// Beside BenchmarkPut and BenchmarkGet: the same in the clear and encrypted, on four
// drives.
func BenchmarkEncrypted(b *testing.B) {
	for _, size := range sizes() {
		for _, e := range []*sherd.Encryption{nil, sealedAs(1)} {
			s := benchStore(b, 4)
			content := pattern(size)
			b.Run(fmt.Sprintf("put/%s/encrypted=%t", sizeName(size), e != nil), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := s.Put(b.Context(), "bucket", fmt.Sprintf("key%d", i%4), reader(content), int64(size), &sherd.PutOptions{Encryption: e}); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("get/%s/encrypted=%t", sizeName(size), e != nil), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					object, err := s.Get(b.Context(), "bucket", "key0", withKey())
					if err != nil {
						b.Fatal(err)
					}
					if n, err := object.WriteTo(io.Discard); err != nil || n != int64(size) {
						b.Fatal(n, err)
					}
					_ = object.Close()
				}
			})
		}
	}
}

func BenchmarkStat(b *testing.B) {
	s := benchStore(b, 4)
	put(b, s, "bucket", "key", "x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Stat(b.Context(), "bucket", "key", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	const count = 20_000
	s := benchStore(b, 1)
	for i := range count {
		put(b, s, "bucket", fmt.Sprintf("folder%03d/key%05d", i%100, i), "")
	}
	b.Run("keys", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for range s.List(b.Context(), "bucket", nil) {
				n++
			}
			require.Equal(b, count, n)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/key")
	})
	b.Run("prefixes", func(b *testing.B) {
		for b.Loop() {
			require.Len(b, keys(b, s, "bucket", &sherd.ListOptions{Delimiter: "/"}), 100)
		}
	})
}
