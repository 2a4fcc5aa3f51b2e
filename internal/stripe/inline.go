package stripe

import (
	"fmt"
	"slices"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/erasure"
)

// EncodeInline gives the streams of all shards of a small object, which is in
// memory as a whole: one frame each up to 64 KiB a shard. The streams lie in one
// allocation, and none can grow into the next. It starts no goroutine.
func (e *Engine) EncodeInline(object []byte, g erasure.Geometry, data DataID) ([][]byte, error) {
	return e.encodeInline(object, g, data, 0, g.Shards())
}

// EncodeInlineShard gives the stream of one shard of a small object, as
// EncodeInline does, without the work of sealing the others.
func (e *Engine) EncodeInlineShard(object []byte, g erasure.Geometry, data DataID, shard int) ([]byte, error) {
	if shard < 0 || shard >= g.Shards() {
		return nil, fmt.Errorf("%w: shard %d of %s", ErrInput, shard, g)
	}
	streams, err := e.encodeInline(object, g, data, shard, shard+1)
	if err != nil {
		return nil, err
	}
	return slices.Clone(streams[shard]), nil
}

// encodeInline seals the shards of [from, to) only.
func (e *Engine) encodeInline(object []byte, g erasure.Geometry, data DataID, from, to int) ([][]byte, error) {
	coder, err := e.coder(g)
	if err != nil {
		return nil, err
	}
	size := int64(len(object))
	l, err := layoutOf(Object{Size: size, Geometry: g})
	if err != nil {
		return nil, err
	}
	n := g.Shards()
	room := make([]byte, n*l.streamBytes)
	streams := make([][]byte, n)
	for i := range streams {
		streams[i] = room[i*l.streamBytes : (i+1)*l.streamBytes : (i+1)*l.streamBytes]
	}
	sealer := e.sealer()
	defer e.sealers.Put(sealer)
	var blocks [erasure.MaxShards][]byte
	for s := range l.frames {
		b := l.blockBytes(s)
		for i := range n {
			blocks[i] = streams[i][s*frameBytes:][:b]
			if i < g.Data {
				object = object[copy(blocks[i], object):]
			}
		}
		if b > 0 && g.Parity > 0 && to > g.Data {
			if err := coder.Encode(blocks[:n]); err != nil {
				return nil, err
			}
		}
		for i := from; i < to; i++ {
			id := bitrot.ShardID{Data: data, Shard: uint8(i)}
			if _, err := sealer.AppendSum(blocks[i], id, int64(s), s == l.frames-1, blocks[i]); err != nil {
				return nil, err
			}
		}
	}
	return streams, nil
}

// DecodeInline is the inverse of EncodeInline: it appends the object to dst, which
// may be nil. Streams has a slot for each shard; nil is one that is not at hand,
// and not counted as damage. Data shards are verified first, parity only where
// data is missing or damaged; damage that was met is returned in either case.
//
// With too few good blocks of a stripe the error is ErrTooFewShards, and dst is
// returned as it was.
func (e *Engine) DecodeInline(dst []byte, object Object, streams [][]byte) ([]byte, []Damage, error) {
	g := object.Geometry
	coder, err := e.coder(g)
	if err != nil {
		return dst, nil, err
	}
	l, err := layoutOf(object)
	if err != nil {
		return dst, nil, err
	}
	if len(streams) != g.Shards() {
		return dst, nil, fmt.Errorf("%w: %d streams for %s", ErrInput, len(streams), g)
	}
	if object.Size == 0 {
		return dst, nil, nil
	}
	before := len(dst)
	if need := before + int(object.Size); cap(dst) < need {
		dst = append(make([]byte, 0, need), dst...)
	}
	d := inlineReader{object: object, layout: l, coder: coder, streams: streams, sealer: e.sealer()}
	defer e.sealers.Put(d.sealer)
	left := object.Size
	for s := range l.frames {
		if err := d.read(s); err != nil {
			return dst[:before], d.damage, err
		}
		for _, block := range d.blocks[:g.Data] {
			n := min(int64(len(block)), left)
			dst = append(dst, block[:n]...)
			left -= n
		}
	}
	return dst, d.damage, nil
}

// layout is the arithmetic of an object's streams in one place.
type layout struct {
	frames      int
	short       int // block length of the last stripe
	streamBytes int
}

func layoutOf(object Object) (layout, error) {
	payload, err := object.Geometry.ShardBytes(object.Size)
	if err != nil {
		return layout{}, err
	}
	encoded, err := bitrot.EncodedBytes(payload)
	if err != nil {
		return layout{}, err
	}
	frames, err := bitrot.Frames(payload)
	if err != nil {
		return layout{}, err
	}
	short, err := bitrot.FramePayload(payload, frames-1)
	return layout{frames: int(frames), short: short, streamBytes: int(encoded)}, err
}

func (l layout) blockBytes(s int) int {
	if s == l.frames-1 {
		return l.short
	}
	return erasure.BlockBytes
}

// inlineReader is one call of DecodeInline.
type inlineReader struct {
	layout
	object  Object
	coder   *erasure.Coder
	streams [][]byte
	sealer  *bitrot.Sealer
	blocks  [erasure.MaxShards][]byte // of the stripe that was read; empty if not good
	damage  []Damage
}

// read gets the data blocks of stripe s.
func (d *inlineReader) read(s int) error {
	g, good := d.object.Geometry, 0
	for i, stream := range d.streams {
		d.blocks[i] = nil
		if stream == nil || good == g.Data {
			continue
		}
		block, err := d.open(i, s)
		if err != nil {
			d.note(i, err)
			continue
		}
		d.blocks[i] = block
		good++
	}
	if good < g.Data {
		return tooFew(ErrTooFewShards, good, g.Data, d.damage)
	}
	lost := false
	for i := range g.Data {
		if d.blocks[i] == nil {
			d.blocks[i] = make([]byte, 0, d.blockBytes(s))
			lost = true
		}
	}
	if !lost {
		return nil
	}
	return d.coder.ReconstructData(d.blocks[:g.Shards()])
}

// open verifies one frame.
func (d *inlineReader) open(shard, s int) ([]byte, error) {
	id := bitrot.ShardID{Data: d.object.Data, Shard: uint8(shard)}
	stream := d.streams[shard]
	if len(stream) > d.streamBytes {
		return nil, &bitrot.CorruptError{Shard: id, Frame: int64(d.frames - 1), Reason: bitrot.Trailing}
	}
	from, to := s*frameBytes, s*frameBytes+d.blockBytes(s)+bitrot.SumBytes
	if to > len(stream) {
		return nil, &bitrot.CorruptError{Shard: id, Frame: int64(s), Reason: bitrot.Cut}
	}
	return d.sealer.Open(stream[from:to], id, int64(s), s == d.frames-1)
}

// note keeps the first error of each shard.
func (d *inlineReader) note(shard int, err error) {
	for _, known := range d.damage {
		if known.Shard == shard {
			return
		}
	}
	d.damage = append(d.damage, Damage{Shard: shard, Err: err})
}
