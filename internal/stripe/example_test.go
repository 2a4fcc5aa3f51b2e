// Goal: show how bytes go in and come out again. Method: an example whose output
// is checked.
package stripe_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/sherd-storage/sherd/internal/stripe"
)

func Example() {
	ctx := context.Background()
	engine, err := stripe.NewEngine(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	g := erasure.Geometry{Data: 2, Parity: 1}
	id := stripe.DataID{1}
	var drives [3]bytes.Buffer
	written, err := engine.Encode(ctx, strings.NewReader("a pot, before it broke"), -1, g, id,
		[]stripe.ShardWriter{&drives[0], &drives[1], &drives[2]}, nil)
	fmt.Println(written.ObjectBytes, written.ShardBytes, written.Live(), err)

	open := func(shard int) stripe.Source {
		return func(context.Context) (stripe.ShardReader, error) {
			return struct {
				io.ReaderAt
				io.Closer
			}{bytes.NewReader(drives[shard].Bytes()), io.NopCloser(nil)}, nil
		}
	}
	object := stripe.Object{Size: written.ObjectBytes, Geometry: g, Data: id}
	r, err := engine.NewReader(ctx, object, []stripe.Source{nil, open(1), open(2)}, 0, object.Size, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(r)
	fmt.Printf("%s %v %v\n", text, err, r.Close())
	// Output:
	// 22 11 3 <nil>
	// a pot, before it broke <nil> <nil>
}
