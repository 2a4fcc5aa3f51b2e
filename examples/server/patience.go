package main

import (
	"io"
	"net/http"
	"time"
)

// patienceLimit is how long a client may take for the next bytes of a body, or
// to take the next bytes of an answer.
const patienceLimit = time.Minute

// patient ends requests whose client neither sends nor takes anything for the
// limit. A body as a whole has no limit of time; what it must not do is to keep
// the buffers of a request for ever.
func patient(h http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		_ = c.SetWriteDeadline(time.Time{}) // the connection may have one of the request before
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &patientBody{ReadCloser: r.Body, c: c, limit: limit}
		}
		h.ServeHTTP(&patientWriter{ResponseWriter: w, c: c, limit: limit}, r)
	})
}

// patientBody allows each Read its time.
type patientBody struct {
	io.ReadCloser
	c     *http.ResponseController
	limit time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.c.SetReadDeadline(time.Now().Add(b.limit)) // a connection without deadlines has no limit
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// The server goes on reading to notice that the client left: that may
		// last as long as the answer takes.
		_ = b.c.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patientWriter allows each Write its time.
type patientWriter struct {
	http.ResponseWriter
	c     *http.ResponseController
	limit time.Duration
}

func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.c.SetWriteDeadline(time.Now().Add(w.limit))
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
