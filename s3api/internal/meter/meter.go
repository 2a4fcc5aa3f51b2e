// Package meter counts the bytes of a request and of its answer, and gives each
// read and each write of a client its time.
//
// A [Meter] is used by the goroutine that answers the request; the server may read
// on in the body after that.
package meter

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// ErrBody: a body can not be read to its end, which is its sender's doing or the
// connection's.
var ErrBody = errors.New("the body can not be read on")

// Meter counts what passes, and gives each read and each write of a client its
// time: a whole body has no limit, but who neither sends nor takes anything may
// not keep the buffers of a request. Between two of them there is no deadline: how
// long the store takes is not the client's doing.
type Meter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // 0 or less: the server's own limits
	status   int
	body     *meteredBody // nil: the request has none
	out      int64
}

// New meters an answer. patience of 0 or less: the server's own limits.
func New(w http.ResponseWriter, patience time.Duration) *Meter {
	return &Meter{ResponseWriter: w, control: http.NewResponseController(w), patience: patience}
}

// Request has the body read through the meter.
func (m *Meter) Request(r *http.Request) *http.Request {
	m.body = &meteredBody{ReadCloser: r.Body, m: m}
	if r.Body == nil || r.ContentLength == 0 {
		m.body.ended.Store(true)
		return r
	}
	r = r.WithContext(r.Context())
	r.Body = m.body
	return r
}

// deadline gives the next read or write its time. A connection that has no
// deadlines, as one in process, is not waited for with a limit.
func (m *Meter) deadline(set func(time.Time) error, after time.Duration) {
	if m.patience > 0 {
		_ = set(time.Now().Add(after))
	}
}

// lift takes the deadline back.
func (m *Meter) lift(set func(time.Time) error) {
	if m.patience > 0 {
		_ = set(time.Time{})
	}
}

// WriteHeader implements http.ResponseWriter. A server of HTTP/1 reads what is left
// of the body before it answers, which must not take for ever either.
func (m *Meter) WriteHeader(status int) {
	if m.status == 0 {
		m.status = status
	}
	m.ResponseWriter.WriteHeader(status)
	if m.body.ended.Load() || m.patience <= 0 {
		return
	}
	m.body.allowRest()
	m.deadline(m.control.SetWriteDeadline, 2*m.patience) // the reading comes first
	_ = m.control.Flush()                                // who cannot does not wait for it
	m.lift(m.control.SetWriteDeadline)
	m.lift(m.control.SetReadDeadline)
}

// Write implements http.ResponseWriter.
func (m *Meter) Write(p []byte) (int, error) {
	m.deadline(m.control.SetWriteDeadline, m.patience)
	n, err := m.ResponseWriter.Write(p)
	m.lift(m.control.SetWriteDeadline)
	m.out += int64(n)
	return n, err
}

// Finish gives the server its time for what it still writes and reads.
func (m *Meter) Finish() {
	m.deadline(m.control.SetWriteDeadline, m.patience)
	if !m.body.ended.Load() {
		m.body.allowRest()
	}
}

// Status is what was answered; 0 nothing yet.
func (m *Meter) Status() int { return m.status }

// In is how many bytes of the body were read.
func (m *Meter) In() int64 { return m.body.read.Load() }

// Out is how many bytes of the answer's body were written.
func (m *Meter) Out() int64 { return m.out }

// Unwrap is for http.ResponseController.
func (m *Meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// meteredBody is the body of a request. The server may read on in it when the
// handler returned.
type meteredBody struct {
	io.ReadCloser
	m      *Meter
	read   atomic.Int64
	ended  atomic.Bool // all was read
	failed atomic.Bool
}

// Read implements io.Reader.
func (b *meteredBody) Read(p []byte) (int, error) {
	b.m.deadline(b.m.control.SetReadDeadline, b.m.patience)
	n, err := b.ReadCloser.Read(p)
	b.m.lift(b.m.control.SetReadDeadline)
	b.read.Add(int64(n))
	if err == io.EOF {
		b.ended.Store(true)
	} else if err != nil {
		b.failed.Store(true)
		err = fmt.Errorf("%w: %w", ErrBody, err)
	}
	return n, err
}

// allowRest is for what nobody wants: the client had its time if it was late.
func (b *meteredBody) allowRest() {
	if !b.failed.Load() {
		b.m.deadline(b.m.control.SetReadDeadline, b.m.patience)
	} else if b.m.patience > 0 {
		_ = b.m.control.SetReadDeadline(time.Unix(1, 0))
	}
}
