package s3apitest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// request is what a case sends. Its path is /bucket/key?query as it is on the wire
// in path style.
type request struct {
	method, path string
	header       []string // "Name: value"
	body         string
	who          *Identity // nil: the main one
	scheme       scheme
	payload      string   // what x-amz-content-sha256 says; "": the digest of the body
	trailer      []string // "name:value" of the payload modes that have them
	chunk        int      // bytes of a chunk; 0: 64 KiB
	age          time.Duration
	expires      int                 // seconds of a presigned request
	unsigned     []string            // names that are sent and not signed
	change       func(*http.Request) // after it was signed
	changeBody   func([]byte) []byte // likewise
	region       string              // "": the target's
	inHost       bool                // set when it is sent
}

// scheme is how a request is signed.
type scheme uint8

const (
	inHeader scheme = iota
	inQuery
	inHeader2
	inQuery2
	nowhere
)

func get(path string, header ...string) request {
	return request{method: http.MethodGet, path: path, header: header}
}

func head(path string, header ...string) request {
	return request{method: http.MethodHead, path: path, header: header}
}

func put(path, body string, header ...string) request {
	return request{method: http.MethodPut, path: path, body: body, header: header}
}

func post(path, body string, header ...string) request {
	return request{method: http.MethodPost, path: path, body: body, header: header}
}

func del(path string, header ...string) request {
	return request{method: http.MethodDelete, path: path, header: header}
}

func (q request) as(who *Identity) request {
	q.who = who
	return q
}

func (q request) anonymous() request {
	q.scheme = nowhere
	return q
}

func (q request) by(s scheme) request {
	q.scheme = s
	return q
}

func (q request) with(header ...string) request {
	q.header = append(q.header[:len(q.header):len(q.header)], header...)
	return q
}

// answer is what came back.
type answer struct {
	request request
	status  int
	header  http.Header
	body    string
	code    string // of an error document
	root    *node  // of any document
}

// node is an element of a document.
type node struct {
	name     string
	attr     []xml.Attr
	text     string
	children []*node
}

// parse reads a document; nil if it is none.
func parse(data string) *node {
	decoder := xml.NewDecoder(strings.NewReader(data))
	var stack []*node
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil
		}
		switch element := token.(type) {
		case xml.StartElement:
			n := &node{name: element.Name.Local, attr: element.Copy().Attr}
			if len(stack) > 0 {
				up := stack[len(stack)-1]
				up.children = append(up.children, n)
			}
			stack = append(stack, n)
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(element)
			}
		case xml.EndElement:
			if len(stack) == 1 {
				return stack[0]
			}
			stack = stack[:len(stack)-1]
		}
	}
}

// nodes finds the elements at a path such as "Contents.Key".
func (n *node) nodes(path string) []*node {
	if n == nil {
		return nil
	}
	name, rest, more := strings.Cut(path, ".")
	var found []*node
	for _, child := range n.children {
		if child.name != name {
			continue
		}
		if more {
			found = append(found, child.nodes(rest)...)
		} else {
			found = append(found, child)
		}
	}
	return found
}

// all gives the texts at a path, never nil.
func (n *node) all(path string) []string {
	texts := []string{}
	for _, found := range n.nodes(path) {
		texts = append(texts, found.text)
	}
	return texts
}

// one is the first text at a path; "" if there is none.
func (n *node) one(path string) string {
	for _, found := range n.nodes(path) {
		return found.text
	}
	return ""
}

func (a *answer) all(path string) []string { return a.root.all(path) }

func (a *answer) one(path string) string { return a.root.one(path) }

// etag is the ETag of the answer, with its quotes.
func (a *answer) etag() string { return a.header.Get("Etag") }

// version is the id that the answer gives of a version.
func (a *answer) version() string { return a.header.Get("X-Amz-Version-Id") }

// describe is for the text of a failure.
func (a *answer) describe() string {
	text := fmt.Sprintf("%s %s: %d", a.request.method, a.request.path, a.status)
	if a.body != "" {
		text += " " + a.body[:min(len(a.body), 400)]
	}
	return text
}

// url is where a request goes, and its Host.
func (r *runner) url(path string) (*url.URL, string, error) {
	domain := r.target.Domain
	if domain == "" {
		domain = r.base.Host
	}
	raw, query, _ := strings.Cut(path, "?")
	bucket, key, _ := strings.Cut(strings.TrimPrefix(raw, "/"), "/")
	host := domain
	if r.target.VirtualHost && bucket != "" {
		host, raw = bucket+"."+domain, "/"+key
	}
	u := *r.base
	if r.target.Domain == "" {
		u.Host = host
	}
	escaped := u.EscapedPath() + raw
	var err error
	if u.Path, err = url.PathUnescape(escaped); err != nil {
		return nil, "", err
	}
	u.RawPath, u.RawQuery = escaped, query
	return &u, host, nil
}

// send carries a request out.
func (c *C) send(q request) (*answer, error) {
	ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	u, host, err := c.url(q.path)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, q.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.URL, r.Host = u, host
	for _, line := range q.header {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	if q.who == nil {
		q.who = c.main
	}
	prefix := c.base.EscapedPath()
	if q.inHost = c.target.VirtualHost && len(q.path) > 1 && q.path[1] != '?'; q.inHost {
		prefix = ""
	}
	if q.region == "" {
		q.region = c.target.Region
	}
	encoded := sign(r, &q, prefix, c.time().Add(-q.age), q.region)
	if q.changeBody != nil {
		encoded = q.changeBody(encoded)
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", strings.TrimSpace("s3apitest "+c.name))
	}
	r.Header.Set("Accept-Encoding", "identity") // else net/http decodes what it thinks is encoded
	r.ContentLength = int64(len(encoded))
	if len(encoded) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(encoded))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(encoded)), nil }
	}
	if q.change != nil {
		q.change(r)
	}
	got, err := c.target.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = got.Body.Close() }() // it was read to its end
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{request: q, status: got.StatusCode, header: got.Header, body: string(body)}
	if a.root = parse(a.body); a.status >= 300 {
		a.code = a.one("Code")
	}
	if at, err := http.ParseTime(got.Header.Get("Date")); err == nil {
		c.tick(at)
	}
	return a, nil
}

// tick takes note of what time it is at the endpoint.
func (r *runner) tick(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.now) {
		r.now = at
	}
}

func (r *runner) time() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// bucketName is one that nobody had before.
func (r *runner) bucketName() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serial++
	return "kit-" + r.tag + "-" + strconv.Itoa(r.serial)
}

// C is what a case works with. Its methods end the case when something is not as
// it must be.
type C struct {
	*runner
	ctx               context.Context
	main, alt, tenant *Identity
	buckets           []owned
	name              string // of the case, which requests name as their user agent
}

// owned is a bucket that a case made.
type owned struct {
	name string // "/bucket"
	who  *Identity
}

// verdict ends a case.
type verdict struct{ why string }

// attempt runs a case, and says why it failed.
func (c *C) attempt(run func(*C)) (why string) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case verdict:
			why = p.why
		default:
			why = fmt.Sprint("the case panicked: ", p)
		}
	}()
	run(c)
	return ""
}

// fail ends the case.
func (c *C) fail(format string, args ...any) { panic(verdict{fmt.Sprintf(format, args...)}) }

// check ends the case unless something holds.
func (c *C) check(holds bool, format string, args ...any) {
	if !holds {
		c.fail(format, args...)
	}
}

// equal ends the case unless two values are the same.
func (c *C) equal(want, got any, what string) {
	if !reflect.DeepEqual(want, got) {
		c.fail("%s: %#v, and %#v was expected", what, got, want)
	}
}

// do sends a request, whatever the answer.
func (c *C) do(q request) *answer {
	a, err := c.send(q)
	if err != nil {
		c.fail("%s %s: %v", q.method, q.path, err)
	}
	return a
}

// ok sends a request that must succeed.
func (c *C) ok(q request) *answer {
	a := c.do(q)
	c.check(a.status >= 200 && a.status < 300, "%s", a.describe())
	return a
}

// status sends a request that must be answered so.
func (c *C) status(status int, q request) *answer {
	a := c.do(q)
	c.check(a.status == status, "%d was expected: %s", status, a.describe())
	return a
}

// refused sends a request that must be refused with a code. A HEAD has only the
// status.
func (c *C) refused(status int, code string, q request) *answer {
	a := c.do(q)
	c.check(a.status == status && (a.code == code || q.method == "HEAD"), "%d %s was expected: %s", status, code, a.describe())
	return a
}

// bucket makes a bucket with the headers, of the main identity. It is "/name".
func (c *C) bucket(header ...string) string { return c.bucketOf(c.main, header...) }

func (c *C) bucketOf(who *Identity, header ...string) string {
	b := c.newName()
	c.ok(put(b, c.location(), header...).as(who))
	c.buckets = append(c.buckets, owned{b, who})
	return b
}

// newName is "/name" of a bucket that is not there yet; the case's end removes it.
func (c *C) newName() string { return "/" + c.bucketName() }

// made has a bucket removed when the case is over.
func (c *C) made(bucket string) { c.buckets = append(c.buckets, owned{bucket, c.main}) }

// location is the body of CreateBucket in the target's region.
func (c *C) location() string {
	if c.target.Region == "us-east-1" {
		return ""
	}
	return "<CreateBucketConfiguration><LocationConstraint>" + c.target.Region + "</LocationConstraint></CreateBucketConfiguration>"
}

// versioned makes a bucket that keeps versions.
func (c *C) versioned(header ...string) string {
	b := c.bucket(header...)
	c.setVersioning(b, "Enabled")
	return b
}

func (c *C) setVersioning(bucket, status string) {
	c.ok(put(bucket+"?versioning", "<VersioningConfiguration><Status>"+status+"</Status></VersioningConfiguration>"))
}

// filled makes a bucket with objects whose bodies are their keys.
func (c *C) filled(keys ...string) string {
	b := c.bucket()
	for _, key := range keys {
		c.ok(put(b+"/"+escape(key), key))
	}
	return b
}

// escape is a key as paths have it.
func escape(key string) string { return strings.ReplaceAll(url.PathEscape(key), "%2F", "/") }

// content is the body of an object.
func (c *C) content(path string) string { return c.ok(get(path)).body }

func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sweep removes the buckets of the case with all that is in them. What cannot be
// removed stays: it says nothing of the case.
func (c *C) sweep() {
	for _, b := range c.buckets {
		c.empty(b)
		_, _ = c.send(del(b.name).as(b.who))
	}
}

// empty removes versions and uploads.
func (c *C) empty(b owned) {
	const bypass = "X-Amz-Bypass-Governance-Retention: true"
	for range 100 {
		page, err := c.send(get(b.name + "?versions").as(b.who))
		if err != nil || page.status != 200 {
			return
		}
		entries := append(page.root.nodes("Version"), page.root.nodes("DeleteMarker")...)
		if len(entries) == 0 {
			break
		}
		var list strings.Builder
		for _, e := range entries {
			list.WriteString("<Object><Key>" + xmlText(e.one("Key")) + "</Key><VersionId>" + e.one("VersionId") + "</VersionId></Object>")
		}
		body := "<Delete><Quiet>true</Quiet>" + list.String() + "</Delete>"
		a, err := c.send(post(b.name+"?delete", body, bypass, "Content-MD5: "+md5Of(body)).as(b.who))
		if err != nil || len(a.root.nodes("Error")) > 0 {
			break
		}
	}
	page, err := c.send(get(b.name + "?uploads").as(b.who))
	if err != nil {
		return
	}
	for _, u := range page.root.nodes("Upload") {
		_, _ = c.send(del(b.name + "/" + escape(u.one("Key")) + "?uploadId=" + url.QueryEscape(u.one("UploadId"))).as(b.who))
	}
}

// xmlText escapes a text for a document.
func xmlText(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '<' || r == '>' || r == '&' || r < ' ':
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func crc32Of(body string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}
