// Goal: show a newcomer the arithmetic and one recovery. Method: examples whose
// output is checked.
package erasure_test

import (
	"fmt"

	"github.com/sherd-storage/sherd/erasure"
)

func Example() {
	coder, err := erasure.New(erasure.Geometry{Data: 2, Parity: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	stripe := make([]byte, 3*6) // two blocks of data, one of parity
	copy(stripe, "broken potte")
	blocks, err := coder.Geometry().Lay(nil, stripe, 6)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := coder.Encode(blocks); err != nil {
		fmt.Println(err)
		return
	}
	clear(blocks[0])
	blocks[0] = blocks[0][:0] // lost
	if err := coder.ReconstructData(blocks); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s%s\n", blocks[0], blocks[1])
	// Output: broken potte
}

func ExampleGeometry_ShardBytes() {
	g := erasure.Geometry{Data: 4, Parity: 2}
	const size = 1_000_000
	stripes, _ := g.Stripes(size)
	shard, _ := g.ShardBytes(size)
	last, _ := g.BlockBytesOf(size, stripes-1)
	fmt.Println(g, "stripes:", stripes, "bytes of each shard:", shard, "blocks of the last stripe:", last)
	// Output: 4+2 stripes: 4 bytes of each shard: 250000 blocks of the last stripe: 53392
}

func ExampleGeometry_Span() {
	g := erasure.Geometry{Data: 2, Parity: 2}
	first, end, _ := g.Span(1<<20, 200_000, 4096)
	from, to, _ := g.Blocks(1<<20, first, 200_000, 4096)
	fmt.Println("stripes", first, "to", end, "data blocks", from, "to", to)
	_, _, err := g.Span(1<<20, 1<<20, 1)
	fmt.Println(err)
	// Output:
	// stripes 1 to 2 data blocks 1 to 2
	// impossible size: 1 bytes at 1048576 of an object of 1048576
}
