// Package erasure is the Reed–Solomon arithmetic of an object: how many bytes
// lie on which shard, and how lost ones are computed from those that are left.
//
// # Layout
//
// A [Geometry] of k data and m parity shards cuts an object into stripes of
// k × [BlockBytes]. Block j of a stripe holds its bytes [j·b, (j+1)·b), where
//
//	b = BlockBytes     for a full stripe
//	b = ⌈r/k⌉          for a short last stripe of r bytes, zero padded
//
// and m parity blocks of the same length follow. Shard i is the i-th block of
// every stripe, one after another: block s of a shard starts at s·BlockBytes.
// An object of no bytes has no stripes.
//
// The code is systematic, over GF(2⁸) with the polynomial 0x11D; its matrix is
// a Vandermonde matrix made systematic. Any k blocks of a stripe give all of it.
//
// # Guarantees
//
// All functions are pure: no I/O, no clock, no goroutine. They reject sizes
// and ranges that cannot exist instead of computing with them, and never panic
// on bad input. A [Coder] works in the caller's buffers, keeps nothing of them,
// and may be used by any number of goroutines at once.
//
// # What it does not
//
// It finds no damage by itself: blocks handed to Reconstruct are believed.
// [Coder.Verify] tells that a stripe is inconsistent, not which block is wrong.
// Checksums are the matter of package bitrot.
package erasure
