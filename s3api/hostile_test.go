// Goal: a client that is slow, broken or hostile gets its answer or none, and
// leaves nothing behind: no object, no lock, no goroutine, no memory. Method: raw
// requests over sockets of this machine that stop, lie or never come to an end; a
// store that says when they reached it; a good client that does not wait for them.
package s3api_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

// watched is a store that says when a request with a body has reached it.
type watched struct {
	*sherd.Store
	reached chan string
}

func (w watched) Put(ctx context.Context, bucket, key string, body io.Reader, size int64, o *sherd.PutOptions) (sherd.ObjectInfo, error) {
	w.reached <- key
	return w.Store.Put(ctx, bucket, key, body, size, o)
}

// exposed is a handler on a socket.
type exposed struct {
	*harness
	server  *httptest.Server
	reached chan string         // keys whose bodies began to be read
	ended   chan s3api.Exchange // of every request
}

// expose serves a handler until the test ends, and then finds that no goroutine is
// left.
func expose(t *testing.T, patience time.Duration, configure func(*http.Server)) *exposed {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	const many = 10_000
	e := &exposed{reached: make(chan string, many), ended: make(chan s3api.Exchange, many)}
	e.harness = newHarness(t, func(o *s3api.Options) {
		version2(o)
		o.Patience, o.Observe = patience, func(x s3api.Exchange) { e.ended <- x }
	}, func(store *sherd.Store) s3api.Store { return watched{store, e.reached} })
	e.server = httptest.NewUnstartedServer(e.handler)
	e.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if configure != nil {
		configure(e.server.Config)
	}
	e.server.Start()
	t.Cleanup(e.server.Close)
	return e
}

func (e *exposed) dial() net.Conn {
	e.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", e.server.Listener.Addr().String())
	require.NoError(e.t, err)
	e.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// raw is a request as it goes over the wire: its head and its body.
func raw(t *testing.T, q request) (head, body []byte) {
	t.Helper()
	r := q.build(t)
	var b bytes.Buffer
	require.NoError(t, r.Write(&b))
	head, body, _ = bytes.Cut(b.Bytes(), []byte("\r\n\r\n"))
	return append(head, "\r\n\r\n"...), body
}

// begin sends a request without the last bytes of its body.
func (e *exposed) begin(q request, missing int) net.Conn {
	e.t.Helper()
	head, body := raw(e.t.(*testing.T), q)
	conn := e.dial()
	_, err := conn.Write(append(head, body[:len(body)-missing]...))
	require.NoError(e.t, err)
	return conn
}

// last reads an answer and says that the connection ends behind it.
func last(t *testing.T, conn net.Conn) (int, string) {
	t.Helper()
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	rest, _ := io.ReadAll(reader) // a reset ends it as well
	require.Empty(t, rest)
	return answer.StatusCode, string(body)
}

// bodies are requests whose bodies matter, in every way that they are sent.
func bodies(e *exposed) map[string]request {
	id := begin(e.harness, "a", nil)
	list := "<Delete><Object><Key>kept</Key></Object></Delete>"
	out := map[string]request{
		"part":     {method: "PUT", path: "/bucket/a?partNumber=1&uploadId=" + id, body: "some bytes"},
		"complete": {method: "POST", path: "/bucket/a?uploadId=" + id, body: listOf("some bytes")},
		"delete":   {method: "POST", path: "/bucket?delete", body: list, header: map[string]string{"Content-Md5": md5Of(list)}},
		"tags":     {method: "PUT", path: "/bucket/kept?tagging", body: tagging("k", "v")},
	}
	for _, style := range append(styles(), byHeader2, byQuery2) {
		out[fmt.Sprint("put ", style)] = request{method: "PUT", path: "/bucket/a", body: "some bytes", style: style}
	}
	return out
}

func TestBodiesThatStop(t *testing.T) {
	e := expose(t, 500*time.Millisecond, nil)
	e.put("/bucket/kept", "x")
	conns := map[string]net.Conn{}
	for name, q := range bodies(e) {
		conns[name] = e.begin(q, 3)
	}
	for name, conn := range conns {
		status, body := last(t, conn)
		require.Equal(t, http.StatusBadRequest, status, name)
		require.Contains(t, body, "<Code>RequestTimeout</Code>", name)
	}
	require.Equal(t, []string{"kept"}, e.objects())
	require.Empty(t, e.get("/bucket/kept").header.Get("X-Amz-Tagging-Count"))
}

// Who is refused before his body is read is not waited for either.
func TestBodiesThatNeverCome(t *testing.T) {
	e := expose(t, 500*time.Millisecond, nil)
	conns := map[string]net.Conn{}
	for name, q := range bodies(e) {
		q.secret = "wrong"
		_, body := raw(t, q)
		conns[name] = e.begin(q, len(body))
	}
	for name, conn := range conns {
		status, answer := last(t, conn)
		require.Equal(t, http.StatusForbidden, status, name)
		require.Contains(t, answer, "<Code>SignatureDoesNotMatch</Code>", name)
	}
}

func TestAClientThatTakesNoAnswer(t *testing.T) {
	e := expose(t, 50*time.Millisecond, nil)
	const size = 32 << 20
	_, err := e.store.Put(t.Context(), bucket, "large", io.LimitReader(zeroes{}, size), size, nil)
	require.NoError(t, err)
	e.begin(request{method: "GET", path: "/bucket/large"}, 0)
	x := <-e.ended
	require.Equal(t, []any{"GetObject", http.StatusOK}, []any{x.Operation, x.Status})
	require.ErrorIs(t, x.Err, http.ErrAbortHandler)
	require.Less(t, x.Out, int64(size))
	require.Equal(t, http.StatusNoContent, e.do(request{method: "DELETE", path: "/bucket/large"}).status, "nothing holds it")
}

// Who goes away in the middle of an answer is not told of as a failure of the store.
func TestAClientThatGoesAwayIsNoInternalError(t *testing.T) {
	e := expose(t, time.Hour, nil)
	const size = 32 << 20
	_, err := e.store.Put(t.Context(), bucket, "large", io.LimitReader(zeroes{}, size), size, nil)
	require.NoError(t, err)
	require.NoError(t, e.begin(request{method: "GET", path: "/bucket/large"}, 0).Close())
	require.Equal(t, "RequestTimeout", (<-e.ended).Code)
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A body that has not come yet holds no lock: others write what it is for.
func TestOthersDoNotWait(t *testing.T) {
	e := expose(t, time.Hour, nil)
	for _, style := range append(styles(), byHeader2, byQuery2) {
		conn := e.begin(request{method: "PUT", path: "/bucket/a", body: "from the slow one", style: style}, 3)
		require.Equal(t, "a", <-e.reached)
		e.put("/bucket/a", "from the quick one")
		<-e.reached // its own
		require.Equal(t, http.StatusOK, (<-e.ended).Status)
		require.Equal(t, "from the quick one", e.get("/bucket/a").body)
		<-e.ended
		require.NoError(t, conn.Close())
		x := <-e.ended
		require.Equal(t, []any{"PutObject", "IncompleteBody"}, []any{x.Operation, x.Code}, "%d: %v", style, x.Err)
		require.Equal(t, "from the quick one", e.get("/bucket/a").body)
		<-e.ended
	}
	require.Equal(t, []string{"a"}, e.objects())
}

// A body that nobody wants does not spoil the connection that it came on.
func TestConnectionsGoOn(t *testing.T) {
	for _, patience := range []time.Duration{-1, time.Hour} {
		e := expose(t, patience, nil)
		e.put("/bucket/kept", strings.Repeat("x", 1<<20))
		conn := e.dial()
		reader := bufio.NewReader(conn)
		for range 3 {
			for _, c := range []struct {
				q      request
				status int
			}{
				{request{method: "PUT", path: "/bucket/a", body: "some bytes", secret: "wrong"}, http.StatusForbidden},
				{request{method: "GET", path: "/bucket/kept", body: "not wanted"}, http.StatusOK},
				{request{method: "DELETE", path: "/bucket/a", body: "not wanted"}, http.StatusNoContent},
				{request{method: "PUT", path: "/bucket/a", body: "some bytes"}, http.StatusOK},
				{request{method: "HEAD", path: "/bucket/a"}, http.StatusOK},
			} {
				head, body := raw(t, c.q)
				_, err := conn.Write(append(head, body...))
				require.NoError(t, err)
				sent, err := http.NewRequestWithContext(t.Context(), c.q.method, "http://"+host, nil)
				require.NoError(t, err)
				answer, err := http.ReadResponse(reader, sent)
				require.NoError(t, err, c.q.method)
				require.Equal(t, c.status, answer.StatusCode, c.q.method)
				_, err = io.Copy(io.Discard, answer.Body)
				require.NoError(t, err)
				require.False(t, answer.Close)
				x := <-e.ended
				for x.Method != c.q.method || x.Remote == "" {
					x = <-e.ended
				}
				require.NotErrorIs(t, x.Err, context.Canceled)
			}
		}
	}
}

// What is damaged on its way is refused, and nothing behind it is taken for
// another request.
func TestRequestsThatLie(t *testing.T) {
	e := expose(t, time.Hour, nil)
	smuggled := "GET /bucket/kept HTTP/1.1\r\nHost: s3.test\r\n\r\n"
	for _, style := range []style{byChunks, byChunksTrailer, byUnsignedTrailer} {
		for name, damage := range map[string]func(string) string{
			"signature": func(b string) string { return strings.Replace(b, "chunk-signature=", "chunk-signature=f", 1) },
			"byte":      func(b string) string { return strings.Replace(b, "some", "sOme", 1) },
			"size":      func(b string) string { return strings.Replace(b, "5\r\n", "6\r\n", 1) },
			"extension": func(b string) string { return strings.Replace(b, "5", "5;a=b", 1) },
			"more":      func(b string) string { return b + smuggled },
		} {
			q := request{method: "PUT", path: "/bucket/a", body: "some bytes", style: style}
			changed := false
			q.tamperBody = func(b []byte) []byte {
				out := damage(string(b))
				changed = out != string(b)
				return []byte(out)
			}
			head, body := raw(t, q)
			if !changed {
				continue
			}
			conn := e.dial()
			_, err := conn.Write(append(head, body...))
			require.NoError(t, err)
			status, answer := readOne(t, conn)
			require.GreaterOrEqual(t, status, 400, "%s %d: %s", name, style, answer)
			require.Less(t, status, 500)
		}
	}
	signed := request{method: "PUT", path: "/bucket/a", body: "some bytes", style: byHeaderUnsignedPayload}
	head, body := raw(t, signed)
	for name, lie := range map[string][2]string{
		"two lengths":        {"Content-Length: 10\r\n", "Content-Length: 10\r\nContent-Length: 4\r\n"},
		"length and chunks":  {"Content-Length: 10\r\n", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"},
		"no length":          {"Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"},
		"negative length":    {"Content-Length: 10\r\n", "Content-Length: -1\r\n"},
		"odd length":         {"Content-Length: 10\r\n", "Content-Length: +10\r\n"},
		"encodings":          {"Content-Length: 10\r\n", "Transfer-Encoding: chunked, identity\r\n"},
		"a header continued": {"Content-Length: 10\r\n", "Content-Length: 10\r\n X-Amz-Acl: a\r\n"},
	} {
		conn := e.dial()
		_, err := conn.Write(append([]byte(strings.Replace(string(head), lie[0], lie[1], 1)), "a\r\nsome bytes\r\n0\r\n\r\n"...))
		require.NoError(t, err, name)
		status, answer := readOne(t, conn)
		require.GreaterOrEqual(t, status, 400, "%s: %s", name, answer)
		require.True(t, status < 500 || name == "encodings" && status == http.StatusNotImplemented, "%s: %d %s", name, status, answer)
		require.NoError(t, conn.Close())
	}
	require.Empty(t, e.objects())
	// A document in chunks that are none.
	document, _ := raw(t, request{method: "PUT", path: "/bucket?tagging", body: "some bytes", style: byHeaderUnsignedPayload})
	broken := e.dial()
	_, err := broken.Write(append([]byte(strings.Replace(string(document), "Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n", 1)), "no chunk\r\n"...))
	require.NoError(t, err)
	_, answer := readOne(t, broken)
	require.Contains(t, answer, "<Code>IncompleteBody</Code>")
	// One more byte than announced is the beginning of another request, which is bad.
	conn := e.dial()
	_, err = conn.Write(append(append(head, body...), "x\r\n\r\n"...))
	require.NoError(t, err)
	status, _ := readOne(t, conn)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"a"}, e.objects())
}

// A request whose body comes in chunks is the last one of its connection: whoever
// sent it on may have gone by a length beside them, and what follows is then another
// sender's body.
func TestNothingComesBehindChunks(t *testing.T) {
	e := expose(t, time.Hour, nil)
	e.put("/bucket/kept", "kept")
	for _, q := range []request{
		{method: "PUT", path: "/bucket/a"}, {method: "GET", path: "/bucket/kept"}, {method: "HEAD", path: "/bucket/kept"},
		{method: "DELETE", path: "/bucket/a"}, {method: "POST", path: "/bucket?delete"},
	} {
		q.body, q.style = "some bytes", byHeaderUnsignedPayload
		head, _ := raw(t, q)
		for _, lengths := range []string{"Transfer-Encoding: chunked\r\n", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"} {
			changed := strings.Replace(string(head), "Content-Length: 10\r\n", lengths, 1)
			require.Contains(t, changed, lengths)
			conn := e.dial()
			_, err := conn.Write([]byte(changed + "a\r\nsome bytes\r\n0\r\n\r\nGET /bucket/kept HTTP/1.1\r\nHost: s3.test\r\nConnection: close\r\n\r\n"))
			require.NoError(t, err)
			answers, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(answers), "HTTP/1.1 "), "%s: %s", q.method, answers)
		}
	}
}

// readOne reads one answer.
func readOne(t *testing.T, conn net.Conn) (int, string) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(body)
}

// inUse is memory in use, of the heap and of stacks.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// CVE-2022-31028: a server that kept all connections, and what each of them had begun,
// for as long as a client liked, ran out of memory and answered nobody.
//
// Kills: bodies that take their memory before they come; a store whose memory who sends
// nothing may have.
func TestCVE_2022_31028_ManyClientsThatDoNothing(t *testing.T) {
	for name, q := range map[string]request{
		"nothing":         {},
		"half of a head":  {method: "GET", path: "/bucket/a"},
		"half of a PUT":   {method: "PUT", path: "/bucket/a", body: strings.Repeat("x", 8<<10), style: byHeaderUnsignedPayload},
		"half of a chunk": {method: "PUT", path: "/bucket/a", body: strings.Repeat("x", 4<<10), style: byChunks, chunkBytes: 4 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			e := expose(t, time.Hour, nil)
			e.put("/bucket/kept", "x")
			<-e.reached
			conns := e.crowd(q)
			e.beside("/bucket/kept", "x")
			e.leave(conns)
			require.Equal(t, []string{"beside", "kept"}, e.objects())
			require.Equal(t, "another", e.get("/bucket/beside").body)
		})
	}
}

// Large bodies take more memory than all of them may have: those that do not get
// it wait, and it comes back when the clients leave.
func TestCVE_2022_31028_ManyClientsWithLargeBodies(t *testing.T) {
	e := expose(t, time.Hour, nil)
	e.put("/bucket/kept", "x")
	<-e.reached
	conns := e.crowd(request{method: "PUT", path: "/bucket/a", body: strings.Repeat("x", 8<<20), style: byHeaderUnsignedPayload})
	e.reads("/bucket/kept", "x")
	e.leave(conns)
	require.Equal(t, []string{"kept"}, e.objects())
	body := strings.Repeat("y", 8<<20)
	e.put("/bucket/a", body)
	require.Equal(t, body, e.get("/bucket/a").body)
}

// crowd is many clients that begin a request and do no more, and says what memory
// that takes.
func (e *exposed) crowd(q request) []net.Conn {
	e.t.Helper()
	const clients, allowed = 5000, 256 << 20
	var begun []byte
	if q.method != "" {
		head, body := raw(e.t.(*testing.T), q)
		begun = append(head, body[:min(len(body), 1000)]...)
		if len(body) == 0 {
			begun = head[:len(head)/2]
		}
	}
	rest := inUse()
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = e.dial()
		_, err := conns[i].Write(begun)
		require.NoError(e.t, err)
	}
	if q.body != "" {
		for range conns {
			<-e.reached
		}
	}
	more := inUse() - rest
	e.t.Logf("%d clients: %.1f MiB more", clients, float64(more)/(1<<20))
	require.Less(e.t, more, int64(allowed))
	return conns
}

// reads reads an object several times, each within a time that nothing but a store that
// stands still needs.
func (e *exposed) reads(path, want string) {
	e.t.Helper()
	for range 20 {
		e.within(request{method: "GET", path: path}, want)
	}
}

// beside reads and writes while others do nothing.
func (e *exposed) beside(path, want string) {
	e.t.Helper()
	e.reads(path, want)
	for range 20 {
		e.within(request{method: "PUT", path: "/bucket/beside", body: "another"}, "")
		<-e.reached
	}
}

func (e *exposed) within(q request, want string) {
	e.t.Helper()
	r := clientRequest(e.t.(*testing.T), q, e.server.URL)
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	got, err := e.server.Client().Do(r.WithContext(ctx))
	require.NoError(e.t, err, "%s %s", q.method, q.path)
	body, err := io.ReadAll(got.Body)
	require.NoError(e.t, errors.Join(err, got.Body.Close()))
	require.Equal(e.t, http.StatusOK, got.StatusCode)
	require.Equal(e.t, want, string(body))
}

// leave closes all connections and the server, which waits for its handlers.
func (e *exposed) leave(conns []net.Conn) {
	for _, conn := range conns {
		_ = conn.Close()
	}
	e.server.Close()
}

// clientRequest is a request for a client of a server at an address.
func clientRequest(t *testing.T, q request, at string) *http.Request {
	t.Helper()
	r := q.build(t)
	r.RequestURI, r.Host = "", host
	r.URL.Host = strings.TrimPrefix(at, "http://")
	if r.ContentLength == 0 {
		r.Body = nil
	}
	return r.WithContext(t.Context())
}

// timed is an answer whose deadlines are noted, in the order of what happens.
type timed struct {
	http.ResponseWriter
	events []string
}

func (w *timed) note(what string, at time.Time) {
	if at.IsZero() {
		what = "no " + what
	}
	w.events = append(w.events, what)
}

func (w *timed) SetReadDeadline(t time.Time) error  { w.note("read deadline", t); return nil }
func (w *timed) SetWriteDeadline(t time.Time) error { w.note("write deadline", t); return nil }

func (w *timed) Write(p []byte) (int, error) {
	w.events = append(w.events, "write")
	return w.ResponseWriter.Write(p)
}

// Read implements io.Reader, of the body of the request.
func (w *timed) Read([]byte) (int, error) {
	w.events = append(w.events, "read")
	return 0, io.EOF
}

// A read and a write have their time each, and what is between them has none: how
// long the store takes is not the client's doing.
func TestDeadlines(t *testing.T) {
	reading := []string{"read deadline", "read", "no read deadline"}
	writing := []string{"write deadline", "write", "no write deadline"}
	last := []string{"write deadline"}
	for _, c := range []struct {
		patience time.Duration
		method   string
		length   int64
		want     []string
	}{
		{time.Minute, "GET", 0, slices.Concat(writing, last)},
		{time.Minute, "PUT", 1, slices.Concat(reading, writing, last)},
		{time.Minute, "GET", 1, slices.Concat([]string{"read deadline", "write deadline", "no write deadline", "no read deadline"}, writing, last, reading[:1])},
		{0, "GET", 0, slices.Concat(writing, last)},
		{-1, "GET", 0, []string{"write"}},
		{-1, "PUT", 1, []string{"read", "write"}},
	} {
		h := newHarness(t, func(o *s3api.Options) { o.Patience = c.patience }, nil)
		h.put("/bucket/a", "x")
		w := &timed{ResponseWriter: httptest.NewRecorder()}
		r := request{method: c.method, path: "/bucket/a", style: byHeaderUnsignedPayload}.build(t)
		r.ContentLength, r.Body = c.length, io.NopCloser(w)
		h.handler.ServeHTTP(w, r)
		require.Equal(t, c.want, w.events, "%+v", c)
	}
}

// 50 MB of a document, and a list of 100,000 objects to delete, come to every operation
// that reads a document: a clear error, and little memory.
//
// Kills: a document that is read whole before its limits are looked at.
func TestDocumentsOfAnySize(t *testing.T) {
	e := expose(t, time.Hour, nil)
	e.ok(request{method: "PUT", path: "/locked", header: map[string]string{"X-Amz-Bucket-Object-Lock-Enabled": "true"}})
	e.put("/locked/key", "x")
	<-e.reached
	id := begin(e.harness, "key", nil)
	bodies := map[string]string{
		"objects": "<Delete>" + strings.Repeat("<Object><Key>key</Key></Object>", 100_000) + "</Delete>",
		"large":   "<Delete>" + strings.Repeat("<Rule><ID>a</ID></Rule>", 50_000_000/23) + "</Delete>",
		"endless": "<" + strings.Repeat("a", 50_000_000),
	}
	objects := []string{"PutObject", "UploadPart", "CreateMultipartUpload", "PostObject", "RenameObject"} // whose bodies are no documents
	refused := []string{"MalformedXML", "MalformedACLError", "MaxMessageLengthExceeded", "MalformedPolicy", "EntityTooLarge"}
	asked := 0
	for _, o := range s3api.Operations() {
		if !o.Built || o.Method != http.MethodPut && o.Method != http.MethodPost || o.Header != "" || slices.Contains(objects, o.Name) {
			continue
		}
		q := requestFor(o)
		q.path = strings.Replace(q.path, "/nowhere", "/locked", 1)
		if o.Name == "CompleteMultipartUpload" {
			q.path = "/bucket/key?uploadId=" + id
		}
		q.style = byHeaderUnsignedPayload
		for name, body := range bodies {
			if o.Name == "DeleteObjects" {
				q.header = map[string]string{"Content-Md5": md5Of(body)}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			code := e.sends(q, body)
			runtime.ReadMemStats(&after)
			require.Contains(t, refused, code, "%s: %s", o.Name, name)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(128<<20), "%s: %s: in all, of which little at a time", o.Name, name)
			asked++
		}
	}
	require.GreaterOrEqual(t, asked, 3*17)
	require.Equal(t, "x", e.get("/locked/key").body)
}

// sends sends a body that the server need not read to its end, and gives the code of the
// answer; "" where it has none.
func (e *exposed) sends(q request, body string) string {
	e.t.Helper()
	q.body = "x"
	head, _ := raw(e.t.(*testing.T), q)
	head = bytes.Replace(head, []byte("Content-Length: 1\r\n"), fmt.Appendf(nil, "Content-Length: %d\r\n", len(body)), 1)
	conn := e.dial()
	defer conn.Close()
	go func() {
		_, _ = conn.Write(head)
		_, _ = io.WriteString(conn, body) // until the server ends it
	}()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(e.t, err, q.path)
	text, _ := io.ReadAll(answer.Body)
	_, code, _ := strings.Cut(string(text), "<Code>")
	code, _, _ = strings.Cut(code, "</Code>")
	return code
}
