// Embed stores an object in a directory and reads it back, without HTTP: the
// shortest program that uses the store. The body of its function is the example
// in the README.
//
//	embed [directory]
//
// The directory gets one folder a drive, and defaults to ./embed-data. A second
// run finds what the first one stored.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sherd-storage/sherd"
)

func main() {
	dir := "embed-data"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := embed(context.Background(), dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

// embed opens a store of four drives under dir and uses it.
func embed(ctx context.Context, dir string, out io.Writer) error {
	drives := []string{filepath.Join(dir, "d1"), filepath.Join(dir, "d2"), filepath.Join(dir, "d3"), filepath.Join(dir, "d4")}
	store, err := sherd.Open(ctx, drives, nil) // created at the first run; any two of the four may be lost
	if err != nil {
		return err
	}
	if _, err := store.CreateBucket(ctx, "notes", nil); err != nil && !errors.Is(err, sherd.ErrBucketExists) {
		return errors.Join(err, store.Close())
	}
	return errors.Join(use(ctx, store, out), store.Close())
}

func use(ctx context.Context, store *sherd.Store, out io.Writer) error {
	text := "a sherd is a piece of broken pottery"
	info, err := store.Put(ctx, "notes", "hello.txt", strings.NewReader(text), int64(len(text)), nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "put %s, %d bytes\n", info.Key, info.Size) // durable from here on

	object, err := store.Get(ctx, "notes", "hello.txt", nil)
	if err != nil {
		return err
	}
	defer object.Close()
	back, err := io.ReadAll(object)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "got %q\n", back)

	for info, err := range store.List(ctx, "notes", nil) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "lists %s, %d bytes\n", info.Key, info.Size)
	}
	return nil
}
