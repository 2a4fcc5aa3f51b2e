// Mount puts S3 into an HTTP server beside pages of its own: /s3 is the endpoint of
// an object store, /metrics counts what it was asked for, / says hello. It prints a
// new pair of keys at each start.
//
//	mount [-address host:port] [drives]
//
// Drives are directories; without any the store is in memory. SIGINT ends it in order.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

func main() {
	address := flag.String("address", "127.0.0.1:9000", "`host:port` to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serve(ctx, *address, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mount:", err)
		os.Exit(1)
	}
}

// serve answers until the context ends.
func serve(ctx context.Context, address string, drives []string, out io.Writer) error {
	store, err := open(ctx, drives)
	if err != nil {
		return err
	}
	defer store.Close() // its error would change nothing that was acknowledged
	credential := s3api.Credential{AccessKey: rand.Text(), SecretKey: rand.Text(), Access: s3api.FullAccess}
	handler, err := routes(store, credential)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "S3 at http://%s/s3, access key %s, secret key %s\n", listener.Addr(), credential.AccessKey, credential.SecretKey)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = server.Shutdown(limit) // requests on their way may finish
	}
	return err
}

func open(ctx context.Context, drives []string) (*sherd.Store, error) {
	if len(drives) == 0 {
		return sherd.NewMemory(4, nil)
	}
	return sherd.Open(ctx, drives, nil)
}
