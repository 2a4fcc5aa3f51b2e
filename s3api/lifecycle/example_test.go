// Goal: show what the package is for. Method: examples with output, on a store in
// memory.
package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/lifecycle"
)

const logs = `<LifecycleConfiguration><Rule>
	<ID>logs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status>
	<Expiration><Days>30</Days></Expiration>
</Rule></LifecycleConfiguration>`

func ExampleParse() {
	rules, err := lifecycle.Parse([]byte(logs))
	if err != nil {
		panic(err)
	}
	written := time.Date(2026, 1, 1, 10, 30, 0, 0, time.UTC)
	due, ok := rules.Expiry(&lifecycle.Object{Key: "logs/a", Modified: written}, lifecycle.Clock{})
	fmt.Println(ok, due.Rule, due.At)
	_, ok = rules.Expiry(&lifecycle.Object{Key: "photos/a", Modified: written}, lifecycle.Clock{})
	fmt.Println(ok)
	// Output:
	// true logs 2026-02-01 00:00:00 +0000 UTC
	// false
}

func ExampleOnce() {
	ctx := context.Background()
	store, err := sherd.NewMemory(1, nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	if _, err = store.CreateBucket(ctx, "bucket", nil); err != nil {
		panic(err)
	}
	if _, err = store.Put(ctx, "bucket", "logs/a", strings.NewReader("x"), 1, nil); err != nil {
		panic(err)
	}
	if err = store.PutDocument(ctx, "bucket", lifecycle.Document, []byte(logs)); err != nil {
		panic(err)
	}
	pass, err := lifecycle.Once(ctx, store, nil)
	fmt.Println(pass.Removed, err)
	// Nobody has 30 days for an example.
	pass, err = lifecycle.Once(ctx, store, &lifecycle.Options{Clock: lifecycle.Clock{Day: time.Nanosecond}})
	fmt.Println(pass.Removed, err)
	// Output:
	// 0 <nil>
	// 1 <nil>
}
