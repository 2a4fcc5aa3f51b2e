// Goal: know what the code costs, in object bytes a second on one core. Method:
// full stripes in place, for the geometries that are used most.
package erasure_test

import (
	"testing"

	"github.com/sherd-storage/sherd/erasure"
)

func benchGeometries() []erasure.Geometry {
	return []erasure.Geometry{{Data: 2, Parity: 2}, {Data: 4, Parity: 2}, {Data: 12, Parity: 4}, {Data: 8, Parity: 8}}
}

func BenchmarkEncode(b *testing.B) {
	for _, g := range benchGeometries() {
		b.Run(g.String(), func(b *testing.B) {
			coder, blocks := stripe(b, g, erasure.BlockBytes, 1)
			b.SetBytes(g.StripeBytes())
			b.ReportAllocs()
			for b.Loop() {
				if err := coder.Encode(blocks); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReconstructData(b *testing.B) {
	for _, g := range benchGeometries() {
		b.Run(g.String(), func(b *testing.B) {
			coder, blocks := stripe(b, g, erasure.BlockBytes, 1)
			b.SetBytes(g.StripeBytes())
			b.ReportAllocs()
			for b.Loop() {
				for i := range g.Parity {
					blocks[i] = blocks[i][:0]
				}
				if err := coder.ReconstructData(blocks); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
