package main

// Goal: a client that stalls loses its request, one that is merely slow or has
// to wait does not. Method: handlers behind patient with a limit of
// milliseconds, on real connections. In package main, which cannot be imported.

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const shortPatience = 20 * time.Millisecond

func TestStalledBodyEnds(t *testing.T) {
	read := make(chan error, 1)
	s := httptest.NewServer(patient(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
	}), shortPatience))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = fmt.Fprint(c, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf")
	require.NoError(t, err)
	var timeout net.Error
	require.ErrorAs(t, <-read, &timeout)
	require.True(t, timeout.Timeout())
}

func TestStalledReaderEnds(t *testing.T) {
	written := make(chan error, 1)
	s := httptest.NewServer(patient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				written <- err
				return
			}
		}
	}), shortPatience))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Error(t, <-written, "nobody takes the answer")
}

func TestLongAnswersAreWaitedFor(t *testing.T) {
	s := httptest.NewServer(patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		select {
		case <-r.Context().Done():
			panic(http.ErrAbortHandler) // taken for a client that left
		case <-time.After(5 * shortPatience):
		}
		w.WriteHeader(http.StatusNoContent)
	}), shortPatience))
	defer s.Close()
	for range 2 { // the second request has the first one's connection
		resp, err := s.Client().Post(s.URL, "text/plain", strings.NewReader("whole"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusNoContent, resp.StatusCode)
	}
}
