package stripe

import (
	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
)

// DataID names the bytes of one write; it is part of what every frame's sum covers.
type DataID = [24]byte

// Object says how bytes were laid out: what a reader must know of them.
type Object struct {
	Size     int64 // bytes that were erasure-coded
	Geometry erasure.Geometry
	Data     DataID
}

// span is some consecutive stripes of an object.
type span struct {
	first int64 // the first of them
	count int   // how many
	short int   // block length of the last of them; of the others erasure.BlockBytes
	last  bool  // they end the object
}

// blockBytes is the length of the blocks of stripe s, counted from 0 here.
func (p span) blockBytes(s int) int {
	if s == p.count-1 {
		return p.short
	}
	return erasure.BlockBytes
}

// isLast tells whether stripe s is the object's last.
func (p span) isLast(s int) bool { return p.last && s == p.count-1 }

// streamBytes is how long the span's part of a shard's stream is.
func (p span) streamBytes() int { return (p.count-1)*frameBytes + p.short + bitrot.SumBytes }

// batch is the unit of the pipelines: a span, and for each shard a chunk in which
// its frames lie one after another as they do in the shard's stream, so that they
// are written or read at once. The frame of stripe s, which is a block and its
// sum, starts at s·frameBytes of the chunk.
type batch struct {
	span
	chunks [][]byte // by shard
	bytes  int64    // of the object
	seq    int64    // number among the batches of the request

	// Of the way in, guarded by encoder.mu once dispatched:
	pending int    // consumers that are not done with it
	done    int    // sinks that have it
	lost    uint32 // shards whose chunk belongs to a goroutine that was given up
}

// batchStripes is how many stripes a batch of a request over so many stripes has:
// as many as make about 1 MiB, but a quarter of a small object, so that the
// steps overlap. Negative stripes mean that nobody knows.
func batchStripes(g erasure.Geometry, stripes int64) int {
	most := batchFrames / g.Shards()
	if stripes < 0 {
		return most
	}
	return int(min(max(stripes/4, 1), int64(most)))
}

// block is one shard's block of its stripe s.
func (b *batch) block(shard, s int) []byte {
	return b.chunks[shard][s*frameBytes:][:b.blockBytes(s)]
}

// part is one shard's part of the batch, by value: it stays what it is when the
// batch is used again.
func (b *batch) part(shard int) part { return part{span: b.span, chunk: b.chunks[shard]} }

// part is what one shard has of a span.
type part struct {
	span
	chunk []byte
}

// frame is the frame of stripe s, block and sum.
func (p part) frame(s int) []byte {
	return p.chunk[s*frameBytes:][:p.blockBytes(s)+bitrot.SumBytes]
}

// stream is all its frames, as they lie in the shard's stream.
func (p part) stream() []byte { return p.chunk[:p.streamBytes()] }

// seal writes the sums of its frames.
func (p part) seal(sealer *bitrot.Sealer, id bitrot.ShardID) error {
	for s := range p.count {
		frame := p.frame(s)
		block := frame[:p.blockBytes(s)]
		if _, err := sealer.AppendSum(block, id, p.first+int64(s), p.isLast(s), block); err != nil {
			return err
		}
	}
	return nil
}

// data calls yield with the object's bytes in it, in order, without copying.
func (b *batch) data(g erasure.Geometry, yield func([]byte) error) error {
	left := b.bytes
	for s := range b.count {
		for shard := range g.Data {
			block := b.block(shard, s)
			block = block[:min(int64(len(block)), left)]
			if len(block) == 0 {
				return nil
			}
			if err := yield(block); err != nil {
				return err
			}
			left -= int64(len(block))
		}
	}
	return nil
}
