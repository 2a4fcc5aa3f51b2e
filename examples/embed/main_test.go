package main

// Goal: what the README shows is true. Method: the example itself runs, twice
// on one directory, and its output is compared. It is in package main, which
// cannot be imported.

import (
	"context"
	"fmt"
	"os"
)

func Example() {
	dir, err := os.MkdirTemp("", "embed-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for range 2 {
		if err := embed(context.Background(), dir, os.Stdout); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// put hello.txt, 36 bytes
	// got "a sherd is a piece of broken pottery"
	// lists hello.txt, 36 bytes
	// put hello.txt, 36 bytes
	// got "a sherd is a piece of broken pottery"
	// lists hello.txt, 36 bytes
}
