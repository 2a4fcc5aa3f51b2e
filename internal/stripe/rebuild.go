package stripe

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/sherd-storage/sherd/bitrot"
)

// Rebuild computes the whole stream of one lost shard from the others, and writes
// it to dst, several frames at a time. A source of the lost shard itself is not
// asked. On an error dst holds part of a stream. The damage that was met among
// the sources is returned in either case.
//
// Errors: ErrTooFewShards, that of dst, the cause of ctx's end, ErrStuck.
func (e *Engine) Rebuild(ctx context.Context, object Object, sources []Source, lost int, dst io.Writer, options *ReadOptions) ([]Damage, error) {
	stripes, err := object.Geometry.Stripes(object.Size)
	if err != nil {
		return nil, err
	}
	if len(sources) != object.Geometry.Shards() || lost < 0 || lost >= len(sources) {
		return nil, fmt.Errorf("%w: shard %d from %d sources for %s", ErrInput, lost, len(sources), object.Geometry)
	}
	id := bitrot.ShardID{Data: object.Data, Shard: uint8(lost)}
	sealer := e.sealer()
	defer e.sealers.Put(sealer)
	if stripes == 0 {
		frame, err := sealer.AppendSum(nil, id, 0, true, nil)
		if err != nil {
			return nil, err
		}
		return nil, writeAll(dst, frame)
	}
	others := slices.Clone(sources)
	others[lost] = nil
	r := &Reader{}
	atOnce := int(min(stripes, int64(max(rebuildFrames/(object.Geometry.Data+1), 1))))
	err = e.fetch(ctx, r, object, others, 0, stripes, atOnce, e.rebuilds, func(*batch) uint32 { return 1 << lost }, options)
	if err != nil {
		return nil, err
	}
	for b := range r.f.ready {
		if err == nil {
			err = b.part(lost).seal(sealer, id)
		}
		if err == nil {
			err = writeAll(dst, b.part(lost).stream())
		}
		r.f.free <- b // never blocks: there are no more batches than its length
		if err != nil {
			break
		}
	}
	if err == nil {
		// Only if the channel was closed; else its goroutine may still write this.
		err = r.f.err
	}
	damage := r.Damage()
	if closed := r.Close(); err == nil {
		err = closed
	}
	return damage, err
}
