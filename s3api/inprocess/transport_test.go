// Goal: a client can not tell the transport from a connection, in what the
// package promises. Method: the same exchanges over the transport and over a
// socket, compared; what only the transport has, by itself.
package inprocess_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/s3api/inprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// over runs a test over the transport, and over a socket.
func over(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, client *http.Client, url string)) {
	t.Run("transport", func(t *testing.T) {
		test(t, &http.Client{Transport: inprocess.New(handler)}, "http://store.test")
	})
	t.Run("socket", func(t *testing.T) {
		server := httptest.NewServer(handler)
		defer server.Close()
		server.Config.ErrorLog = nil
		client := server.Client()
		defer client.CloseIdleConnections()
		test(t, client, server.URL)
	})
}

func TestExchange(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("X-Method", r.Method)
		w.Header().Set("X-Target", r.RequestURI)
		w.Header().Set("X-Host", strconv.FormatBool(r.Host != ""))
		w.Header().Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
		w.Header().Set("X-Sent", r.Header.Get("X-Sent"))
		w.Header().Set("X-Error", strconv.FormatBool(err != nil))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(body)
	}
	over(t, echo, func(t *testing.T, client *http.Client, url string) {
		for name, body := range map[string]io.Reader{
			"none": nil, "known": strings.NewReader("some bytes"), "streamed": iotest.OneByteReader(strings.NewReader("one by one")),
		} {
			for _, method := range []string{http.MethodPut, http.MethodHead} {
				if method == http.MethodHead {
					body = nil
				}
				r, err := http.NewRequestWithContext(t.Context(), method, url+"/a//b/../c%2Fd?x=1&y", body)
				require.NoError(t, err)
				r.Header.Set("X-Sent", "yes")
				answer, err := client.Do(r)
				require.NoError(t, err)
				got, err := io.ReadAll(answer.Body)
				require.NoError(t, err)
				require.NoError(t, answer.Body.Close())
				require.Equal(t, http.StatusAccepted, answer.StatusCode)
				require.Equal(t, "/a//b/../c%2Fd?x=1&y", answer.Header.Get("X-Target"))
				require.Equal(t, []string{method, "true", "yes", "false"}, []string{
					answer.Header.Get("X-Method"), answer.Header.Get("X-Host"), answer.Header.Get("X-Sent"), answer.Header.Get("X-Error")})
				want := map[string]string{"none": "", "known": "some bytes", "streamed": "one by one"}[name]
				length := map[string]string{"none": "0", "known": "10", "streamed": "-1"}[name]
				if method == http.MethodHead {
					want, length = "", "0"
				}
				require.Equal(t, want, string(got), name)
				require.Equal(t, length, answer.Header.Get("X-Length"), name)
				require.EqualValues(t, len(want), answer.ContentLength)
			}
		}
	})
}

func TestLargeBodiesStream(t *testing.T) {
	const size = 32 << 20
	twice := func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_, _ = io.Copy(w, r.Body)
	}
	over(t, twice, func(t *testing.T, client *http.Client, url string) {
		body := io.LimitReader(endless{}, size)
		answer, err := client.Post(url, "", body)
		require.NoError(t, err)
		defer answer.Body.Close()
		n, err := io.Copy(io.Discard, answer.Body)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAnswersThatBreak(t *testing.T) {
	short := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("four"))
		w.(http.Flusher).Flush()
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
	}
	over(t, short, func(t *testing.T, client *http.Client, url string) {
		for _, path := range []string{"/return", "/abort"} {
			answer, err := client.Get(url + path)
			require.NoError(t, err)
			got, err := io.ReadAll(answer.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, "four", string(got))
			require.NoError(t, answer.Body.Close())
		}
	})
	long := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, err := w.Write([]byte("four"))
		if !errors.Is(err, http.ErrContentLength) {
			panic("it was written")
		}
	}
	over(t, long, func(t *testing.T, client *http.Client, url string) {
		answer, err := client.Get(url)
		require.NoError(t, err)
		_, err = io.ReadAll(answer.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NoError(t, answer.Body.Close())
	})
}

func TestPanicBeforeTheAnswer(t *testing.T) {
	client := &http.Client{Transport: inprocess.New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no") }))}
	_, err := client.Get("http://store.test")
	require.ErrorIs(t, err, inprocess.ErrPanicked)
}

// closing notes that it was closed.
type closing struct {
	io.Reader
	closed chan struct{}
}

func (c *closing) Close() error { close(c.closed); return nil }

func TestTheContextEndsBothSides(t *testing.T) {
	over := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		_, err := w.Write(bytes.Repeat([]byte("x"), 1<<20))
		over <- err
	})
	ctx, cancel := context.WithCancel(t.Context())
	body := &closing{strings.NewReader("x"), make(chan struct{})}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://store.test", body)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := inprocess.New(handler).RoundTrip(r)
		done <- err
	}()
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	<-body.closed
	select {
	case err := <-over:
		require.Error(t, err)
	default: // the request ended before the handler was called
	}
}

func TestAClientThatStopsReading(t *testing.T) {
	over := make(chan error, 1)
	client := &http.Client{Transport: inprocess.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				over <- err
				return
			}
		}
	}))}
	answer, err := client.Get("http://store.test")
	require.NoError(t, err)
	_, err = io.ReadFull(answer.Body, make([]byte, 4<<10))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.ErrorIs(t, <-over, io.ErrClosedPipe)
}

func TestABodyShorterThanAnnounced(t *testing.T) {
	var got error
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, got = io.ReadAll(r.Body) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://store.test", io.NopCloser(strings.NewReader("four")))
	require.NoError(t, err)
	r.ContentLength = 5
	answer, err := inprocess.New(handler).RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.ErrorIs(t, got, io.ErrUnexpectedEOF)
}

func TestTLSIsTheScheme(t *testing.T) {
	var state *tls.ConnectionState
	client := &http.Client{Transport: inprocess.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { state = r.TLS }))}
	for _, scheme := range []string{"http", "https"} {
		answer, err := client.Get(scheme + "://store.test")
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, scheme == "https", state != nil)
	}
}

// What is spelt differently or put together by hand comes through as over a socket.
func TestTheOtherSideOfAConnection(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.Header()["x-in-lower-case"] = []string{" a ", "b"}
		w.Header().Set("X-Lines", "a\r\nb")
		w.Header()["X-Path"] = []string{r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.Fragment, r.RequestURI}
		w.Header()["X-Sent"] = r.Header["X-Some-Header"]
	}
	over(t, echo, func(t *testing.T, client *http.Client, base string) {
		for _, c := range []struct {
			change func(u *url.URL)
			want   []string
		}{
			{func(*url.URL) {}, []string{"/", "", "", "", "/"}},
			{func(u *url.URL) { u.Path, u.Fragment = "/a b", "f" }, []string{"/a b", "", "", "", "/a%20b"}},
			{func(u *url.URL) { u.Path, u.RawPath = "/a/b", "/a%2Fb" }, []string{"/a/b", "/a%2Fb", "", "", "/a%2Fb"}},
			{func(u *url.URL) { u.Opaque, u.RawQuery = "/a%2Fb", "c" }, []string{"/a/b", "/a%2Fb", "c", "", "/a%2Fb?c"}},
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base, nil)
			require.NoError(t, err)
			c.change(r.URL)
			r.Header["x-some-header"] = []string{" c "}
			answer, err := client.Do(r)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, c.want, answer.Header["X-Path"])
			require.Equal(t, []string{"a", "b"}, answer.Header["X-In-Lower-Case"])
			require.Equal(t, []string{"a  b"}, answer.Header["X-Lines"])
			require.Equal(t, []string{"c"}, answer.Header["X-Sent"])
		}
	})
}

func TestAnswersThatHaveNoBody(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(status)
		_, _ = w.Write([]byte("passed over"))
	}
	over(t, answer, func(t *testing.T, client *http.Client, base string) {
		for _, status := range []int{http.StatusNoContent, http.StatusNotModified} {
			got, err := client.Get(base + "/" + strconv.Itoa(status))
			require.NoError(t, err)
			body, err := io.ReadAll(got.Body)
			require.NoError(t, err)
			require.NoError(t, got.Body.Close())
			require.Empty(t, body)
			require.Equal(t, status, got.StatusCode)
			require.EqualValues(t, 0, got.ContentLength)
		}
	})
}
