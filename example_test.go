// Goal: show a newcomer every entry point at work. Method: examples with output,
// on stores in memory.
package sherd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// must keeps the examples short; a program looks at its errors.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// exampleStore has a bucket "pots" with a few objects.
func exampleStore(ctx context.Context, keys ...string) *sherd.Store {
	store := must(sherd.NewMemory(4, nil))
	must(store.CreateBucket(ctx, "pots", nil))
	for _, key := range keys {
		must(store.Put(ctx, "pots", key, strings.NewReader("clay"), 4, nil))
	}
	return store
}

func ExampleOpen() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "sherd"))
	defer os.RemoveAll(dir)
	drives := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")}
	store, err := sherd.Open(ctx, drives, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	fmt.Println("created:", store.Created())
	fmt.Println("drives that writing needs:", store.Health().Needed)
	// Output:
	// created: true
	// drives that writing needs: 2
}

func ExampleNewMemory() {
	store, err := sherd.NewMemory(4, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	fmt.Println(store.Health().Mode)
	// Output: serving
}

func ExampleStore_Put() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()
	info, err := store.Put(ctx, "pots", "amphora", strings.NewReader("two handles"), -1, &sherd.PutOptions{
		ContentType: "text/plain",
		MD5:         true,
		Conditions:  sherd.Conditions{IfNoneMatch: "*"}, // only if there is none
	})
	fmt.Println(info.Size, info.ETag, err)
	_, err = store.Put(ctx, "pots", "amphora", nil, 0, &sherd.PutOptions{Conditions: sherd.Conditions{IfNoneMatch: "*"}})
	fmt.Println(errors.Is(err, sherd.ErrPrecondition), err)
	// Output:
	// 11 aa7b657998ad4d7cc5cf25170709b5dc <nil>
	// true sherd: put pots/amphora: a precondition does not hold
}

func ExampleStore_Get() {
	ctx := context.Background()
	store := exampleStore(ctx, "amphora")
	defer store.Close()
	object, err := store.Get(ctx, "pots", "amphora", &sherd.GetOptions{Range: &sherd.Range{Start: 1, End: 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer object.Close()
	content, _ := io.ReadAll(object)
	fmt.Printf("%s, bytes %d to %d of %d\n", content, object.Offset, object.Offset+object.Length-1, object.Info.Size)
	_, err = store.Get(ctx, "pots", "krater", nil)
	fmt.Println(err)
	// Output:
	// la, bytes 1 to 2 of 4
	// sherd: get pots/krater: no such key
}

func ExampleStore_Stat() {
	ctx := context.Background()
	store := exampleStore(ctx, "amphora")
	defer store.Close()
	info, err := store.Stat(ctx, "pots", "amphora", nil)
	fmt.Println(info.Key, info.Size, err)
	// Output: amphora 4 <nil>
}

func ExampleStore_List() {
	ctx := context.Background()
	store := exampleStore(ctx, "attic/amphora", "attic/krater", "minoan/pithos", "sherd")
	defer store.Close()
	for info, err := range store.List(ctx, "pots", &sherd.ListOptions{Delimiter: "/"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(info.Key, info.IsPrefix)
	}
	// Output:
	// attic/ true
	// minoan/ true
	// sherd false
}

func ExampleStore_ListVersions() {
	ctx := context.Background()
	store := exampleStore(ctx, "amphora")
	defer store.Close()
	store.SetVersioning(ctx, "pots", versioning.Enabled)
	must(store.Put(ctx, "pots", "amphora", strings.NewReader("bronze"), 6, nil))
	must(store.Delete(ctx, "pots", "amphora", nil))
	for info, err := range store.ListVersions(ctx, "pots", nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(info.Size, "latest:", info.Latest, "marker:", info.DeleteMarker, "null:", info.VersionID == sherd.NullVersionID)
	}
	// Output:
	// 0 latest: true marker: true null: false
	// 6 latest: false marker: false null: false
	// 4 latest: false marker: false null: true
}

func ExampleStore_Delete() {
	ctx := context.Background()
	store := exampleStore(ctx, "amphora")
	defer store.Close()
	result, err := store.Delete(ctx, "pots", "amphora", nil)
	fmt.Println("found:", result.Found, err)
	result, err = store.Delete(ctx, "pots", "amphora", nil)
	fmt.Println("found:", result.Found, err)
	// Output:
	// found: true <nil>
	// found: false <nil>
}

func ExampleStore_DeleteMany() {
	ctx := context.Background()
	store := exampleStore(ctx, "amphora", "krater")
	defer store.Close()
	for _, outcome := range store.DeleteMany(ctx, "pots", []sherd.DeleteTarget{{Key: "krater"}, {Key: "pithos"}}) {
		fmt.Println(outcome.Found, outcome.Err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleStore_Copy() {
	ctx := context.Background()
	store := exampleStore(ctx, "amphora")
	defer store.Close()
	info, err := store.Copy(ctx, sherd.Source{Bucket: "pots", Key: "amphora"}, "pots", "museum/amphora", nil)
	fmt.Println(info.Key, info.Size, err)
	// Output: museum/amphora 4 <nil>
}

func ExampleStore_SetRetention() {
	ctx := context.Background()
	store := must(sherd.NewMemory(4, nil))
	defer store.Close()
	must(store.CreateBucket(ctx, "archive", &sherd.BucketOptions{ObjectLock: true}))
	info := must(store.Put(ctx, "archive", "deed", strings.NewReader("mine"), 4, nil))
	err := store.SetRetention(ctx, "archive", "deed", info.VersionID,
		lock.Retention{Mode: lock.Compliance, Until: store.Now().Add(time.Hour)}, false)
	fmt.Println(err)
	_, err = store.Delete(ctx, "archive", "deed", &sherd.DeleteOptions{VersionID: info.VersionID, Bypass: true})
	fmt.Println(errors.Is(err, sherd.ErrLocked))
	// Output:
	// <nil>
	// true
}

func ExampleStore_SetLegalHold() {
	ctx := context.Background()
	store := must(sherd.NewMemory(1, nil))
	defer store.Close()
	must(store.CreateBucket(ctx, "archive", &sherd.BucketOptions{ObjectLock: true}))
	must(store.Put(ctx, "archive", "deed", nil, 0, nil))
	fmt.Println(store.SetLegalHold(ctx, "archive", "deed", "", true))
	fmt.Println(must(store.Stat(ctx, "archive", "deed", nil)).LegalHold)
	// Output:
	// <nil>
	// true
}

func ExampleStore_SetTags() {
	ctx := context.Background()
	store := exampleStore(ctx, "amphora")
	defer store.Close()
	fmt.Println(store.SetTags(ctx, "pots", "amphora", "", map[string]string{"state": "whole"}))
	fmt.Println(must(store.Stat(ctx, "pots", "amphora", nil)).Tags)
	// Output:
	// <nil>
	// map[state:whole]
}

func ExampleStore_CreateBucket() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()
	info, err := store.CreateBucket(ctx, "bowls", nil)
	fmt.Println(info.Name, info.Versioning, err)
	for b, err := range store.ListBuckets(ctx, nil) {
		fmt.Println(b.Name, err)
	}
	fmt.Println(store.DeleteBucket(ctx, "bowls"))
	// Output:
	// bowls Unversioned <nil>
	// bowls <nil>
	// pots <nil>
	// <nil>
}

func ExampleStore_PutDocument() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()
	fmt.Println(store.PutDocument(ctx, "pots", "lifecycle", []byte("break after a thousand years")))
	document, err := store.Document(ctx, "pots", "lifecycle")
	fmt.Println(string(document), err)
	// Output:
	// <nil>
	// break after a thousand years <nil>
}

func ExampleStore_FS() {
	ctx := context.Background()
	store := exampleStore(ctx, "attic/amphora", "sherd")
	defer store.Close()
	files := must(store.FS(ctx, "pots"))
	fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		fmt.Println(path, entry.IsDir())
		return err
	})
	// Output:
	// . true
	// attic true
	// attic/amphora false
	// sherd false
}

func ExampleStore_Check() {
	ctx := context.Background()
	store := exampleStore(ctx, "amphora")
	defer store.Close()
	damaged := 0
	for range store.Check(ctx) {
		damaged++
	}
	fmt.Println(damaged)
	// Output: 0
}

func ExampleStore_Append() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()
	must(store.Append(ctx, "pots", "log", strings.NewReader("dig "), 4, 0, nil))
	info := must(store.Append(ctx, "pots", "log", strings.NewReader("deeper"), 6, 4, nil))
	fmt.Println(info.Size, info.Parts)
	_, err := store.Append(ctx, "pots", "log", strings.NewReader("!"), 1, 4, nil)
	fmt.Println(errors.Is(err, sherd.ErrWriteOffset))
	object := must(store.Get(ctx, "pots", "log", nil))
	defer object.Close()
	fmt.Println(string(must(io.ReadAll(object))))
	// Output:
	// 10 2
	// true
	// dig deeper
}

func ExampleStore_Rename() {
	ctx := context.Background()
	store := exampleStore(ctx, "broken", "whole")
	defer store.Close()
	_, err := store.Rename(ctx, "pots", "broken", "whole", &sherd.RenameOptions{Destination: sherd.Conditions{IfNoneMatch: "*"}})
	fmt.Println(errors.Is(err, sherd.ErrPrecondition))
	must(store.Rename(ctx, "pots", "broken", "mended", nil))
	for info := range store.List(ctx, "pots", nil) {
		fmt.Println(info.Key)
	}
	// Output:
	// true
	// mended
	// whole
}

// The store keeps the envelope and not the key: here the envelope is the name under
// which the caller finds it.
func ExampleEncryption() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()
	keys := map[string][32]byte{"spring": {1, 2, 3}} // of random bytes, and one for each object
	e := &sherd.Encryption{Key: keys["spring"], Envelope: []byte("spring")}
	must(store.Put(ctx, "pots", "hoard", strings.NewReader("two gold coins"), 14, &sherd.PutOptions{Encryption: e}))
	_, err := store.Get(ctx, "pots", "hoard", nil)
	fmt.Println(errors.Is(err, sherd.ErrEncrypted))
	object := must(store.Get(ctx, "pots", "hoard", &sherd.GetOptions{
		Key:   func(envelope []byte) ([32]byte, error) { return keys[string(envelope)], nil },
		Range: &sherd.Range{Start: 4, End: -1},
	}))
	defer object.Close()
	fmt.Println(string(must(io.ReadAll(object))))
	// Output:
	// true
	// gold coins
}
