// Goal: show how keys are locked. Method: examples with output.
package keylock_test

import (
	"context"
	"fmt"

	"github.com/sherd-storage/sherd/internal/keylock"
)

func ExampleLocks_Lock() {
	locks := keylock.New()
	unlock, err := locks.Lock(context.Background(), "bucket/key")
	if err != nil {
		panic(err)
	}
	defer unlock()
	fmt.Println("keys held:", locks.Len())
	// Output: keys held: 1
}

func ExampleLocks_LockEach() {
	locks := keylock.New()
	unlock, err := locks.LockEach(context.Background(),
		keylock.Want{Key: "upload", Shared: true},
		keylock.Want{Key: "upload/part 7"})
	if err != nil {
		panic(err)
	}
	defer unlock()
	fmt.Println("keys held:", locks.Len())
	// Output: keys held: 2
}
