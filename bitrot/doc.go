// Package bitrot is the framed form in which a shard travels and lies: every
// 64 KiB of it carry a sum, and no byte is given out that its sum does not cover.
//
// # Format
//
// A stream is one or more frames. A frame is its payload followed by the 32-byte
// BLAKE3 sum of the payload and of a context of 64 bytes:
//
//	payload   0 … 65,536 bytes
//	sum       32 bytes: BLAKE3(payload ‖ context)
//
//	context   "sherd.bitrot.frame.v1" and 5 zeros   26 bytes
//	          payload length                         4 bytes, big-endian
//	          frame number, from 0                   8 bytes, big-endian
//	          data id                               24 bytes
//	          shard number                           1 byte
//	          1 in the last frame, else 0            1 byte
//
// All frames but the last are full; the last one has the rest, at least one
// byte. A stream without payload is one empty last frame. So frame n starts at
// n · (FrameBytes+SumBytes), the sizes of payload and stream give each other, and
// each payload has exactly one encoding.
//
// The sum follows, so that a payload can be sealed where it lies; the payload is
// hashed first, so that the hash reads whole aligned blocks; the context is one
// block of it, of fixed length, so that where the payload ends is never in doubt.
//
// # Guarantees
//
// Damage, truncation (between frames too), frames reordered, repeated or taken
// from another shard or object, and bytes after the end are all found before a
// byte of the frame in question is given out. They are reported as a
// [*CorruptError] that names the frame, and is an [ErrCorrupt] to errors.Is.
//
// # What it does not
//
// The sum is no signature: who may write the drive can write valid frames. Nothing
// is corrected here (package erasure does), and an older stream of the same data
// id cannot be told from it, as a data id is used for one write only.
//
// # Concurrency
//
// The package starts no goroutine and does no I/O but through what it is given.
// A [Sealer], [Writer] or [Reader] is for one goroutine at a time; a [ReaderAt]
// is for any number. The functions are pure.
package bitrot
