// Package inprocess reaches an http.Handler from an HTTP client without a
// socket: [New] gives an http.RoundTripper that hands each request to the handler
// and streams the answer back. An SDK that is given it as the transport of its
// client talks to a store in the same process.
//
//	client := &http.Client{Transport: inprocess.New(handler)}
//
// # What is as over a connection
//
// Bodies stream both ways and are never held whole; a side that stops reading
// makes the other wait. The context of the request is the handler's, and ends
// both. An answer that is shorter than its Content-Length, or whose handler
// aborted it, ends in io.ErrUnexpectedEOF; a handler that panics before it
// answered makes the request fail with [ErrPanicked]. As with every
// http.RoundTripper the body of an answer must be closed: closing it early tells
// the handler, whose writes fail from then on.
//
// # What is not
//
// There is no connection: no limits of time, no limits on headers, no
// informational answers, no trailers of answers, no hijacking. The scheme decides
// whether the handler sees TLS, the host of the URL or of the request is whatever
// it is given, and the remote address is "in-process".
//
// A Transport may be used by any number of goroutines.
package inprocess

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// ErrPanicked says that the handler panicked before it answered.
var ErrPanicked = errors.New("the handler panicked")

// Transport is an http.RoundTripper over a handler; make it with [New].
type Transport struct{ handler http.Handler }

// New gives a transport to a handler.
func New(handler http.Handler) *Transport { return &Transport{handler: handler} }

// RoundTrip implements http.RoundTripper. The goroutine in which it runs the
// handler ends when the handler does.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		closeBody(r)
		return nil, err
	}
	body, out := io.Pipe()
	e := &exchange{request: r, out: out, header: http.Header{}, began: make(chan struct{}), left: -1}
	e.answer = &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Body: body,
	}
	go e.serve(t.handler)
	select {
	case <-e.began:
	case <-r.Context().Done():
		_ = body.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	if e.failed != nil {
		return nil, e.failed
	}
	return e.answer, nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // it was not read: its error would say nothing
	}
}

// exchange is one request and its answer: the handler's http.ResponseWriter.
type exchange struct {
	request *http.Request
	out     *io.PipeWriter
	header  http.Header // the handler's, until the answer begins

	once   sync.Once
	began  chan struct{} // closed when answer, or failed, is complete
	answer *http.Response
	failed error

	left int64 // bytes that the answer must still have; −1 not announced
	mute bool  // the answer has no body
}

// serve runs the handler.
func (e *exchange) serve(handler http.Handler) {
	in := e.incoming()
	stop := context.AfterFunc(in.Context(), func() { _ = e.out.CloseWithError(context.Cause(in.Context())) }) // never fails
	defer stop()
	defer closeBody(e.request)
	defer func() {
		if p := recover(); p != nil {
			e.abort(p)
			return
		}
		e.finish()
	}()
	handler.ServeHTTP(e, in)
}

// incoming is the request as a server sees it.
func (e *exchange) incoming() *http.Request {
	r := e.request
	in := r.Clone(r.Context())
	in.Header = carried(r.Header)
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.RemoteAddr = "in-process"
	in.RequestURI = r.URL.RequestURI()
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if r.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: r.URL.Hostname()}
	}
	if u, err := url.ParseRequestURI(in.RequestURI); err == nil {
		in.URL = u // as it would be read, not as it was put together
	}
	in.URL.Scheme, in.URL.Host, in.URL.User = "", "", nil
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		in.Body, in.ContentLength = http.NoBody, 0
	case r.ContentLength == 0:
		in.ContentLength = -1 // of a client's request 0 says that it is not known
	}
	if r.ContentLength > 0 {
		in.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		in.Body = &requestBody{Reader: io.LimitReader(r.Body, r.ContentLength), left: r.ContentLength}
	}
	return in
}

// carried is a header as the other side of a connection has it: names in their
// canonical form, values without spaces around them and on one line.
func carried(header http.Header) http.Header {
	out := make(http.Header, len(header))
	for name, values := range header {
		for _, value := range values {
			out.Add(name, strings.Trim(strings.NewReplacer("\r", " ", "\n", " ").Replace(value), " \t"))
		}
	}
	return out
}

// requestBody has exactly the announced length, or ends in an error.
type requestBody struct {
	io.Reader
	left int64
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer; the client's body is closed when the handler
// returns.
func (b *requestBody) Close() error { return nil }

// Header implements http.ResponseWriter.
func (e *exchange) Header() http.Header { return e.header }

// WriteHeader implements http.ResponseWriter. Informational answers are passed
// over.
func (e *exchange) WriteHeader(status int) {
	if status < 200 {
		return
	}
	e.once.Do(func() {
		a := e.answer
		a.StatusCode, a.Status = status, fmt.Sprintf("%d %s", status, http.StatusText(status))
		a.Header = carried(e.header)
		a.ContentLength = -1
		if n, err := strconv.ParseInt(a.Header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
			a.ContentLength, e.left = n, n
		}
		e.mute = e.request.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
		if e.mute {
			e.left = -1
			a.Body = http.NoBody
		}
		if e.mute && e.request.Method != http.MethodHead {
			a.ContentLength = 0 // whatever it says
		}
		close(e.began)
	})
}

// Write implements http.ResponseWriter.
func (e *exchange) Write(p []byte) (int, error) {
	e.WriteHeader(http.StatusOK)
	if e.mute {
		return len(p), nil
	}
	if e.left >= 0 && int64(len(p)) > e.left {
		return 0, http.ErrContentLength
	}
	n, err := e.out.Write(p)
	if e.left >= 0 {
		e.left -= int64(n)
	}
	return n, err
}

// Flush implements http.Flusher: what was written has been read already.
func (e *exchange) Flush() { e.WriteHeader(http.StatusOK) }

// finish ends the answer of a handler that returned.
func (e *exchange) finish() {
	e.WriteHeader(http.StatusOK)
	if e.left > 0 {
		_ = e.out.CloseWithError(io.ErrUnexpectedEOF) // never fails
		return
	}
	_ = e.out.Close() // never fails
}

// abort ends the answer of a handler that panicked.
func (e *exchange) abort(p any) {
	e.once.Do(func() {
		e.failed = fmt.Errorf("%w: %v", ErrPanicked, p)
		close(e.began)
	})
	_ = e.out.CloseWithError(io.ErrUnexpectedEOF) // never fails
}
