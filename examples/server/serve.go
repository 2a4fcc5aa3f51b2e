package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sherd-storage/sherd"
)

// Limits of the HTTP server. A body as a whole has no limit of time; -patience
// bounds how long it may stand still.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// server is one run of the program.
type server struct {
	config
	log    *slog.Logger
	stdout io.Writer
}

// serve takes the port, opens the store, and answers until the context ends.
func (s *server) serve(ctx context.Context) error {
	identities, err := gatherIdentities(&s.config)
	if err != nil {
		return err
	}
	tlsConfig, err := s.loadTLS()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("the address can not be used: %w", err)
	}
	f := &front{domains: s.domains, patience: s.patience}
	h := &http.Server{
		Handler:           f,
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			ended <- h.ServeTLS(listener, "", "")
		} else {
			ended <- h.Serve(listener)
		}
	}()
	store, err := s.open(ctx, f, identities)
	if err != nil {
		err = errors.Join(err, h.Close())
		<-ended
		if ctx.Err() != nil {
			s.log.Info("stopped while the store was being opened", "error", err)
			return nil
		}
		return err
	}
	s.announce(listener.Addr(), store)
	select {
	case <-ctx.Done():
		err = s.stop(f, h)
		<-ended
	case err = <-ended:
		err = fmt.Errorf("serving ended: %w", err)
	}
	return errors.Join(err, store.Close())
}

// open opens the store and lets the handler answer.
func (s *server) open(ctx context.Context, f *front, identities []identity) (*sherd.Store, error) {
	store, err := sherd.Open(ctx, s.drives, &sherd.Options{
		Parity: s.parity, MustExist: s.mustExist, TrustLocks: s.trustLocks, ReserveBytes: s.reserve, Logger: s.log,
	})
	if err != nil {
		return nil, explain(err)
	}
	if len(identities) == 0 {
		root, err := generateCredentials(s.credentialsPath())
		if err != nil {
			return nil, errors.Join(err, store.Close())
		}
		identities = []identity{root}
		fmt.Fprintf(s.stdout, "new credentials, shown this once and kept in %s\n  access key: %s\n  secret key: %s\n",
			s.credentialsPath(), root.AccessKey, string(root.SecretKey))
	}
	handler, err := newHandler(store, &s.config, identities, s.log)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	f.backend.Store(&backend{health: store.Health, s3: handler})
	return store, nil
}

// explain adds what to do to errors that have an obvious remedy.
func explain(err error) error {
	switch {
	case errors.Is(err, sherd.ErrInUse):
		return fmt.Errorf("%w (is another server running on these drives?)", err)
	case errors.Is(err, sherd.ErrNotExist):
		return fmt.Errorf("%w (are all drives mounted? without -must-exist a store is created)", err)
	}
	return err
}

func (s *server) loadTLS() (*tls.Config, error) {
	if s.tlsCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(s.tlsCert, s.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("-tls-cert and -tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// announce prints the line that people and scripts wait for.
func (s *server) announce(at net.Addr, store *sherd.Store) {
	scheme := "http"
	if s.tlsCert != "" {
		scheme = "https"
	}
	what := "opened"
	if store.Created() {
		what = "created"
	}
	fmt.Fprintf(s.stdout, "serving S3 at %s://%s (%s on %d drives)\n", scheme, at, what, len(s.drives))
}

// stop ends the server in order: requests on their way may finish, up to the
// limit; what is left then is cut off.
func (s *server) stop(f *front, h *http.Server) error {
	s.log.Info("stopping", "limit", s.stopLimit.String())
	f.closing.Store(true)
	limit, cancel := context.WithTimeout(context.Background(), s.stopLimit)
	defer cancel()
	err := h.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off at the stop limit")
		err = h.Close()
	}
	return err
}

// front answers from the moment the port is taken: health checks itself, the
// rest by the S3 handler once there is one.
type front struct {
	domains  []string      // below which hosts name buckets
	patience time.Duration // for a body that is not wanted, which the server reads all the same
	backend  atomic.Pointer[backend]
	closing  atomic.Bool
}

// backend is what an open store answers with.
type backend struct {
	health func() sherd.Health
	s3     http.Handler
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := f.backend.Load()
	health := asksHealth(r, f.domains)
	if !health && b != nil {
		b.s3.ServeHTTP(w, r)
		return
	}
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(f.patience)) // a test's may have none
	}
	if health {
		f.serveHealth(w, r, b)
		return
	}
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<Error><Code>ServiceUnavailable</Code><Message>The store is being opened.</Message></Error>`)
}

func (f *front) serveHealth(w http.ResponseWriter, r *http.Request, b *backend) {
	switch {
	case r.URL.Path == pathLive:
		writeHealth(w, http.StatusOK, map[string]string{"status": statusOK})
	case f.closing.Load():
		writeHealth(w, http.StatusServiceUnavailable, readiness{Status: statusClosing})
	case b == nil:
		writeHealth(w, http.StatusServiceUnavailable, readiness{Status: statusOpening})
	default:
		code, body := judge(b.health())
		writeHealth(w, code, body)
	}
}
