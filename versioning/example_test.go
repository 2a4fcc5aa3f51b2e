// Goal: show a newcomer how the rules are asked. Method: examples with output.
package versioning_test

import (
	"fmt"

	"github.com/sherd-storage/sherd/versioning"
)

func ExamplePut() {
	// An object written before versioning was enabled; now it is suspended.
	null := versioning.Ref{Position: 12, Null: true}
	plan, err := versioning.Put(versioning.Suspended, null)
	if err != nil {
		panic(err)
	}
	fmt.Printf("adds the null version: %t, removes the version at position %d\n", plan.Null, plan.Remove.Position)
	// Output: adds the null version: true, removes the version at position 12
}

func ExampleDelete() {
	plan, err := versioning.Delete(versioning.Enabled, versioning.Ref{})
	if err != nil {
		panic(err)
	}
	fmt.Printf("adds a delete marker: %t, removes nothing: %t\n", plan.Marker, plan.Remove.Absent())
	// Output: adds a delete marker: true, removes nothing: true
}

func ExampleFindVersion() {
	marker := versioning.Ref{Position: 31, Marker: true}
	fmt.Println(versioning.Find(marker))
	fmt.Println(versioning.FindVersion(marker))
	// Output:
	// latest version is a delete marker
	// named version is a delete marker
}

func ExampleKey_Apply() {
	key := versioning.Key{{Position: 3}, {Position: 1, Null: true}}
	plan, err := versioning.DeleteVersion(key.Latest())
	if err != nil {
		panic(err)
	}
	after, err := key.Apply(plan, 4)
	if err != nil {
		panic(err)
	}
	fmt.Println("latest is now at position", after.Latest().Position)
	// Output: latest is now at position 1
}

func ExampleParseID() {
	for _, text := range []string{"000001932f0c5a8000000000000002a7", "null", "3sL4kqtJlcpXroDTDmJ"} {
		id, err := versioning.ParseID(text)
		if err != nil {
			panic(err)
		}
		switch id.Kind {
		case versioning.OwnID:
			fmt.Println("epoch", id.Epoch, "position", id.Position)
		case versioning.NullID:
			fmt.Println("the null version")
		default:
			fmt.Println("from elsewhere:", id.Foreign)
		}
	}
	// Output:
	// epoch 1731661159040 position 679
	// the null version
	// from elsewhere: 3sL4kqtJlcpXroDTDmJ
}
