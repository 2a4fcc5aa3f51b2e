// Goal: know what a frame costs, in payload bytes a second on one core. Method:
// one frame in place, and whole streams in memory.
package bitrot_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/sherd-storage/sherd/bitrot"
)

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{512, 4 << 10, frame} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := bitrot.NewSealer()
			buf := make([]byte, size, full)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.AppendSum(buf, shardID(), 0, true, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{512, frame} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := bitrot.NewSealer()
			stream := encode(b, shardID(), content(size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Open(stream, shardID(), 0, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	payload := content(16 * frame)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	w := bitrot.NewWriter(io.Discard, shardID())
	for b.Loop() {
		if _, err := w.Write(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	stream := encode(b, shardID(), content(64*frame))
	b.SetBytes(64 * frame)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bitrot.NewReader(bytes.NewReader(stream), shardID()).WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
