package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

// routes is all that the server answers. S3 stands before the mux, not in it: a mux
// redirects paths with "//" or "..", which are good keys.
func routes(store *sherd.Store, credential s3api.Credential) (http.Handler, error) {
	keys, err := s3api.NewCredentials(credential)
	if err != nil {
		return nil, err
	}
	seen := &counters{requests: map[string]int{}}
	s3, err := s3api.New(store, &s3api.Options{Authenticator: s3api.NewSignatures(keys, ""), Authorizer: keys, Prefix: "/s3", Observe: seen.add})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", seen)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/s3" || strings.HasPrefix(r.URL.Path, "/s3/") {
			s3.ServeHTTP(w, r)
		} else {
			mux.ServeHTTP(w, r)
		}
	}), nil
}

// counters counts requests by operation and status.
type counters struct {
	mu       sync.Mutex
	requests map[string]int // by the line that shows them
}

// add is s3api.Options.Observe.
func (c *counters) add(e s3api.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[fmt.Sprintf(`s3_requests_total{operation="%s",status="%d"}`, e.Operation, e.Status)]++
}

// ServeHTTP shows them as Prometheus reads them.
func (c *counters) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	var lines []string
	for labels, n := range c.requests {
		lines = append(lines, fmt.Sprintln(labels, n))
	}
	c.mu.Unlock()
	slices.Sort(lines)
	fmt.Fprint(w, "# TYPE s3_requests_total counter\n", strings.Join(lines, ""))
}
