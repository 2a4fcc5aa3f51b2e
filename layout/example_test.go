// Goal: a newcomer sees what a drive is and does. Method: examples that run.

package layout_test

import (
	"context"
	"fmt"
	"time"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// A directory is claimed, formatted and opened; its owner has it promise, and
// then commits.
func Example() {
	ctx := context.Background()
	claimed, err := layout.Claim(ctx, vfs.Mem(0), "/drive", &layout.Options{Memory: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer claimed.Release()
	fmt.Println(claimed.Condition())

	me := layout.DriveID{1}
	err = claimed.Format(ctx,
		layout.Identity{Format: layout.Format, Deployment: layout.DeploymentID{7}, Drives: 1, Drive: me},
		layout.State{InSync: []layout.DriveID{me}, Names: []layout.Name{{Drive: me}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	drive, err := claimed.Open(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	promise := layout.Promise{Owner: layout.Owner{Epoch: 1, Nonce: 42}}
	held, err := drive.Promise(ctx, promise)
	if err != nil {
		fmt.Println(err)
		return
	}

	p := held.Last.Position + 1
	entry := &layout.Entry{Position: p, Owner: promise.Owner, Time: time.Now(), Writes: []layout.Write{
		{Slot: layout.NameSlot("photos"), Kind: layout.KindRecord, Value: layout.EncodePosition(uint64(p))},
	}}
	if err := entry.Seal(held.Last.Chain); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(drive.Apply(ctx, promise, layout.Batch{Entries: []*layout.Entry{entry}}))

	reader, err := drive.Read(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reader.Close()
	item, found, _ := reader.Get(layout.NameSlot("photos"), p)
	id, _ := layout.DecodePosition(item.Value)
	fmt.Println(found, id)
	// Output:
	// missing
	// <nil>
	// true 1
}

// A listing with a delimiter skips all that is below a common prefix.
func ExampleAfterPrefixSlot() {
	_, end := layout.KeyRange(1, "")
	next := layout.AfterPrefixSlot(1, "photos/")
	fmt.Println(next.Compare(layout.VersionSlot(1, "photos/2026/a", 5)) > 0, next.Compare(layout.VersionSlot(1, "photos0", 5)) < 0, next.Compare(end) < 0)
	// Output: true true true
}
