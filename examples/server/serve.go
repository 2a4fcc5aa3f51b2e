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
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/lifecycle"
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
	keys   *s3api.Credentials // once the store is open
	bar    func(string)       // shows a line at the end of a terminal; nil: there is none
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
	view, err := s.serveAdmin(f)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer view.close()
	ended := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			ended <- h.ServeTLS(listener, "", "")
		} else {
			ended <- h.Serve(listener)
		}
	}()
	store, err := s.open(ctx, f, view, identities)
	if err != nil {
		err = errors.Join(err, h.Close())
		<-ended
		if ctx.Err() != nil {
			s.log.Info("stopped while the store was being opened", "error", err)
			return nil
		}
		return err
	}
	s.announce(listener.Addr(), view, store)
	watching, done := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		(&progress{log: s.log, bar: s.bar}).watch(watching, func() []sherd.Work { return store.Health().Work })
	})
	watch.Go(func() { s.watchCredentials(watching) })
	watch.Go(func() { s.expire(watching, store) })
	defer watch.Wait()
	defer done()
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
func (s *server) open(ctx context.Context, f *front, view *adminView, identities []identity) (*sherd.Store, error) {
	begin := sherd.Open
	if s.readOnly {
		begin = sherd.OpenReadOnly
	}
	store, err := begin(ctx, s.drives, s.storeOptions(view))
	if err != nil {
		return nil, s.explain(err)
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
	list, err := credentialsOf(identities)
	if err == nil {
		s.keys, err = s3api.NewCredentials(list...)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	masters, err := s.masterKeys(store.Created())
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	handler, err := newHandler(store, &s.config, s.keys, masters, s.log)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	f.backend.Store(&backend{health: store.Health, s3: handler})
	return store, nil
}

// watchCredentials reads the identities again at each SIGHUP.
func (s *server) watchCredentials(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := reload(&s.config, s.keys); err != nil {
				s.log.Error("the identities stay as they were", "error", err)
				continue
			}
			s.log.Info("the identities were read again")
		}
	}
}

func (s *server) storeOptions(view *adminView) *sherd.Options {
	every := s.scrubEvery
	if every == 0 {
		every = -1 // off
	}
	return &sherd.Options{
		Parity: s.parity, Pools: s.pools, Replace: s.replace, MustExist: s.mustExist, TrustLocks: s.trustLocks, ReserveBytes: s.reserve,
		RebuildBytes: s.rebuildRate, StallLimit: s.stallLimit, ScrubBytes: s.scrubRate, ScrubInterval: every, Logger: s.log, Notice: view.note,
	}
}

// expire carries out the lifecycle rules of buckets, until the context ends.
func (s *server) expire(ctx context.Context, store *sherd.Store) {
	if s.readOnly || s.lifecycle.Every <= 0 {
		return
	}
	o := s.lifecycle
	o.Passed = func(p lifecycle.Pass, err error) {
		switch {
		case ctx.Err() != nil:
		case err != nil || p.Failed > 0:
			s.log.Warn("lifecycle rules were not carried out to the end", "removed", p.Removed, "failed", p.Failed, "error", err)
		case p.Removed > 0:
			s.log.Info("lifecycle rules were carried out", "removed", p.Removed, "locked", p.Locked, "looked", p.Looked)
		}
	}
	_ = lifecycle.Run(ctx, store, &o) // ends with the context
}

// explain adds what to do to errors that have an obvious remedy.
func (s *server) explain(err error) error {
	switch {
	case errors.Is(err, sherd.ErrInUse):
		return fmt.Errorf("%w (is another server running on these drives?)", err)
	case errors.Is(err, sherd.ErrNotExist) && s.mustExist && !s.check && !s.readOnly:
		return fmt.Errorf("%w (are all drives mounted? without -must-exist a store is created)", err)
	case errors.Is(err, sherd.ErrNotExist):
		return fmt.Errorf("%w (are all drives mounted?)", err)
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
func (s *server) announce(at net.Addr, view *adminView, store *sherd.Store) {
	if view.listener != nil {
		fmt.Fprintf(s.stdout, "admin view at http://%s\n", view.listener.Addr())
	}
	scheme := "http"
	if s.tlsCert != "" {
		scheme = "https"
	}
	what := "opened"
	if store.Created() {
		what = "created"
	}
	fmt.Fprintf(s.stdout, "serving S3 at %s://%s (%s on %d drives)\n", scheme, at, what, len(s.places()))
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
