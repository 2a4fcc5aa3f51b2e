// Goal: know what the data path costs, in object bytes a second. Method: bodies,
// sinks and sources in memory, without hashes beside; small objects at once.
// Run with -cpu 1 for the cost on one core.
package stripe_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
)

func benchGeometries() []erasure.Geometry {
	return []erasure.Geometry{{Data: 2, Parity: 2}, {Data: 12, Parity: 4}}
}

// overAll runs f for every geometry and size.
func overAll(b *testing.B, sizes []int, f func(b *testing.B, e *stripe.Engine, g erasure.Geometry, data []byte)) {
	for _, g := range benchGeometries() {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%s/%dKiB", g, size>>10), func(b *testing.B) {
				e, err := stripe.NewEngine(nil)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				f(b, e, g, content(size))
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	overAll(b, []int{1 << 10, 64 << 10, 1 << 20, 64 << 20}, func(b *testing.B, e *stripe.Engine, g erasure.Geometry, data []byte) {
		sinks := make([]stripe.ShardWriter, g.Shards())
		for i := range sinks {
			sinks[i] = io.Discard
		}
		for b.Loop() {
			if _, err := e.Encode(b.Context(), bytes.NewReader(data), int64(len(data)), g, dataID(), sinks, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	overAll(b, []int{1 << 10, 64 << 10, 1 << 20, 64 << 20}, func(b *testing.B, e *stripe.Engine, g erasure.Geometry, data []byte) {
		benchRead(b, e, g, data, 0)
	})
}

func BenchmarkReadTwoLost(b *testing.B) {
	overAll(b, []int{1 << 20, 64 << 20}, func(b *testing.B, e *stripe.Engine, g erasure.Geometry, data []byte) {
		benchRead(b, e, g, data, 2)
	})
}

func benchRead(b *testing.B, e *stripe.Engine, g erasure.Geometry, data []byte, lost int) {
	streams := reference(b, g, data)
	for i := range lost {
		streams[i] = nil
	}
	var s shelf
	sources := s.sources(streams)
	for b.Loop() {
		r, err := e.NewReader(b.Context(), object(g, len(data)), sources, 0, int64(len(data)), nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeInline(b *testing.B) {
	overAll(b, []int{1 << 10, 4 << 10, 64 << 10}, func(b *testing.B, e *stripe.Engine, g erasure.Geometry, data []byte) {
		for b.Loop() {
			if _, err := e.EncodeInline(data, g, dataID()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeInline(b *testing.B) {
	overAll(b, []int{1 << 10, 4 << 10, 64 << 10}, func(b *testing.B, e *stripe.Engine, g erasure.Geometry, data []byte) {
		streams, err := e.EncodeInline(data, g, dataID())
		if err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 0, len(data))
		for b.Loop() {
			if _, _, err := e.DecodeInline(buf, object(g, len(data)), streams); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRebuild(b *testing.B) {
	overAll(b, []int{64 << 20}, func(b *testing.B, e *stripe.Engine, g erasure.Geometry, data []byte) {
		var s shelf
		sources := s.sources(reference(b, g, data))
		for b.Loop() {
			if _, err := e.Rebuild(b.Context(), object(g, len(data)), sources, 0, io.Discard, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
