package examples_test

// Goal: the code in the README compiles and does what the README says. Method:
// it stands here as examples, with the errors handled, and is run against a
// store in memory.

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/s3test"
)

const accessKey, secretKey = "EXAMPLEKEY", "a secret of this test"

// mount is the README's "Mount S3 in a server that you have".
func mount(mux *http.ServeMux, store *sherd.Store) (http.Handler, error) {
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: accessKey, SecretKey: secretKey, Access: s3api.FullAccess})
	if err != nil {
		return nil, err
	}
	handler, err := s3api.New(store, &s3api.Options{
		Authenticator: s3api.NewSignatures(keys, "us-east-1"),
		Authorizer:    keys,
		Prefix:        "/s3",
		Domains:       []string{"example.org"},
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/s3/") {
			handler.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

func Example_mount() {
	store, err := sherd.NewMemory(4, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the program's own page") })
	all, err := mount(mux, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/hello", "/s3/", "/s3/box/a//../b", "/elsewhere"} {
		w := httptest.NewRecorder()
		all.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, w.Code)
	}
	// Output:
	// /hello 200
	// /s3/ 403
	// /s3/box/a//../b 404
	// /elsewhere 404
}

// Example_test is the README's "Test against S3 without a container".
func Example_test() {
	store, err := s3test.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	client := s3.New(s3.Options{
		BaseEndpoint: &store.URL, HTTPClient: store.Client, Region: store.Region,
		Credentials: credentials.NewStaticCredentialsProvider(store.AccessKey, store.SecretKey, ""),
	})
	bucket := "photos"
	_, err = client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &bucket})
	if err != nil {
		fmt.Println(err)
		return
	}
	buckets, err := client.ListBuckets(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(*buckets.Buckets[0].Name)
	// Output: photos
}
