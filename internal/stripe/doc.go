// Package stripe is the way of an object's bytes between a stream and its
// shards: erasure-coded, framed, in parallel and in bounded memory. It knows
// nothing of drives, sets, keys or commits; sinks and sources are what the caller
// says they are.
//
// # The way in
//
// [Engine.Encode] reads the body, computes parity, and hands each shard's sealed
// frames to its sink. It is a pipeline: while some stripes are sealed and
// written, each shard by a goroutine of its own, the next are read from the body;
// what the caller wants beside it (an MD5, say) runs on a goroutine of its own
// and reads the same memory. A sink that fails, or stays away long after the
// others, is dropped and reported; the rest goes on while enough are left.
//
// # The way out
//
// A [Reader] reads the shards that a range needs, data first, a little ahead,
// and verifies each frame. A frame that is damaged, or later than a limit, is
// replaced by one of another shard, and that shard is asked last from then on; so
// an object reads as long as each of its stripes has enough good frames,
// wherever they lie. Sources are opened when they are first needed.
//
// [Engine.Rebuild] computes the stream of a lost shard by the same way.
// [Engine.EncodeInline] and [Engine.DecodeInline] do all of it at once for small
// objects, without a goroutine.
//
// # Guarantees
//
//   - No byte is given out that a sum did not cover, or that was not computed from
//     k blocks that sums covered.
//   - Frames of a shard reach its sink in order, each once.
//   - A request holds at most 4 MiB of an Engine's memory, however large the object; an
//     Engine has a limit, and callers wait for it with their context. Rebuilds have a
//     limit of their own, so that they hold back no request.
//   - No goroutine outlives a call but one that is inside a sink or source that
//     does not return. It is given up only if the caller set a limit to waiting,
//     keeps what it touches to itself, is counted by [Engine.Stuck] and awaited
//     by [Engine.Wait].
//
// # What it does not
//
// It does not sync, close or remove what sinks wrote; after an error they hold
// part of a stream. A body that blocks in Read is not interrupted: who cancels
// the context must also make the body return.
//
// # Concurrency
//
// An [Engine] is for any number of goroutines, a [Reader] for one at a time. No
// lock is held while anything of the caller's is called.
package stripe
