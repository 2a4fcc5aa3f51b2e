package main

// Goal: knowing what a store may answer after anything happened to it. Method:
// each client has keys of its own and does one thing at a time; for each key its
// journal keeps what was acknowledged last and what was asked for since without
// an answer. In package main, which cannot be imported.

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// answer is what came back for a request; err says that none did.
type answer struct {
	begun  time.Time // when it was asked for
	status int
	header http.Header
	body   []byte
	err    error
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %.300s", a.status, a.body)
}

func (a answer) ok() bool { return a.err == nil && a.status/100 == 2 }

// code is the S3 code of an error.
func (a answer) code() string {
	var e struct{ Code string }
	_ = xml.Unmarshal(a.body, &e) // no document, no code
	return e.Code
}

// ask sends one signed request. The query is name, value, name, value …, in the
// order of the names.
func (c *child) ask(method, path string, body []byte, query ...string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), generous)
	defer cancel()
	begun := time.Now()
	u := c.url + path
	for i := 0; i < len(query); i += 2 {
		u += string("?&"[min(i, 1)]) + query[i] + "=" + url.QueryEscape(query[i+1])
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return answer{begun: begun, err: err}
	}
	req.GetBody = nil // what was sent once is not sent again behind our back
	sign(req, tortured(), time.Now())
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{begun: begun, err: err}
	}
	defer resp.Body.Close()
	a := answer{begun: begun, status: resp.StatusCode, header: resp.Header}
	a.body, a.err = io.ReadAll(resp.Body)
	return a
}

// content is what a key holds: nothing, or bytes that follow from size and seed.
type content struct {
	there bool
	size  int
	seed  uint64
}

func (c content) bytes() []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], c.seed)
	out := make([]byte, c.size)
	_, _ = rand.NewChaCha8(key).Read(out) // it never fails
	return out
}

// holds tells whether an answer to a GET is this content.
func (c content) holds(a answer) bool {
	if !c.there {
		return a.status == http.StatusNotFound
	}
	return a.status == http.StatusOK && bytes.Equal(a.body, c.bytes())
}

func (c content) String() string {
	if !c.there {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes of seed %d", c.size, c.seed)
}

// history is what is known of a key.
type history struct {
	settled content   // acknowledged, or seen by a reader
	maybe   []content // asked for since, and not acknowledged
	changes int       // asked for, ever
}

// admits tells whether the key may answer so, and from then on it has to.
func (h *history) admits(a answer) bool {
	for _, c := range append([]content{h.settled}, h.maybe...) {
		if c.holds(a) {
			h.settled, h.maybe = c, nil
			return true
		}
	}
	return false
}

// version is an acknowledged version of a key, by its id.
type version struct {
	key, id string
	content content
}

// upload is a multipart upload whose parts were acknowledged.
type upload struct {
	key, id  string
	whole    content
	complete []byte // the body of the request that completes it
	asked    bool   // to complete, without an answer
	at       int    // changes of the key when that was
}

// tally counts what a client did.
type tally struct {
	puts, deletes, completes, gets int // acknowledged
	unknown                        int // without an answer, or with an error
	sent                           int // bytes of acknowledged bodies
}

func (t *tally) add(o tally) {
	t.puts += o.puts
	t.deletes += o.deletes
	t.completes += o.completes
	t.gets += o.gets
	t.unknown += o.unknown
	t.sent += o.sent
}

func (t tally) String() string {
	return fmt.Sprintf("%d puts, %d deletes, %d completed uploads acknowledged (%d MiB), %d gets right, %d changes without an answer",
		t.puts, t.deletes, t.completes, t.sent>>20, t.gets, t.unknown)
}

// patron is a client with its journal. It is for one goroutine.
type patron struct {
	api      *child
	bucket   string
	keys     []string
	rng      *rand.Rand
	byKey    map[string]*history
	versions []version // acknowledged since they were last looked at
	uploads  []*upload
	tally    tally
	// wrong are answers that no history explains.
	wrong []string
	// lenient: the server lacks something, and may say so to readers.
	lenient bool
	// failed is told of changes that were not acknowledged; nil: nobody.
	failed func(op string, a answer)
}

func newPatron(bucket string, number, keys int, rng *rand.Rand) *patron {
	p := &patron{bucket: bucket, byKey: map[string]*history{}, rng: rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))}
	for i := range keys {
		key := fmt.Sprintf("client%d/key%d", number, i)
		p.keys = append(p.keys, key)
		p.byKey[key] = &history{}
	}
	return p
}

func (p *patron) path(key string) string { return "/" + p.bucket + "/" + key }

// work does things until told to stop, or until the server is gone.
func (p *patron) work(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if !p.step() {
			return
		}
	}
}

// step does one thing. False: nobody answered.
func (p *patron) step() bool {
	key := p.keys[p.rng.IntN(len(p.keys))]
	switch n := p.rng.IntN(100); {
	case n < 55:
		return p.put(key, p.something())
	case n < 70:
		return p.remove(key)
	case n < 80:
		return p.multipart(key)
	default:
		return p.read(key)
	}
}

func (p *patron) something() content {
	size := []int{0, 1 << 10, 100 << 10, 1 << 20}[[]int{0, 1, 1, 1, 1, 2, 2, 2, 3, 3}[p.rng.IntN(10)]]
	return content{there: true, size: size, seed: p.rng.Uint64()}
}

// noted puts the answer to a change in the journal.
func (p *patron) noted(op, key string, now content, a answer, count *int) bool {
	h := p.byKey[key]
	h.changes++
	if a.ok() {
		*count++
		p.tally.sent += now.size
		h.settled, h.maybe = now, nil
		if id := a.header.Get("X-Amz-Version-Id"); id != "" && now.there {
			p.versions = append(p.versions, version{key, id, now})
		}
		return true
	}
	p.tally.unknown++
	h.maybe = append(h.maybe, now)
	if p.failed != nil {
		p.failed(op, a)
	}
	return a.err == nil
}

func (p *patron) put(key string, now content) bool {
	return p.noted("put", key, now, p.api.ask("PUT", p.path(key), now.bytes()), &p.tally.puts)
}

func (p *patron) remove(key string) bool {
	return p.noted("delete", key, content{}, p.api.ask("DELETE", p.path(key), nil), &p.tally.deletes)
}

// read gets a key, which must answer as its history says. What it may not answer
// is an error, but for a key that a change of unknown outcome touched.
func (p *patron) read(key string) bool {
	h := p.byKey[key]
	a := p.api.ask("GET", p.path(key), nil)
	switch {
	case a.err != nil:
		if p.failed != nil {
			p.failed("get", a)
		}
		return false
	case h.admits(a):
		p.tally.gets++
	case (p.lenient || len(h.maybe) > 0) && a.status == http.StatusServiceUnavailable:
	case p.lenient && a.status == http.StatusInternalServerError:
	default:
		p.wrong = append(p.wrong, fmt.Sprintf("%s: %s, journal: %v or one of %v", key, a, h.settled, h.maybe))
	}
	return true
}

// multipart uploads parts and completes them. One in four has two parts, the
// first of them as small as S3 allows.
func (p *patron) multipart(key string) bool {
	whole := content{there: true, size: 100 << 10, seed: p.rng.Uint64()}
	if p.rng.IntN(4) == 0 {
		whole.size = 5<<20 + 1<<10
	}
	var begun struct{ UploadId string }
	a := p.api.ask("POST", p.path(key), nil, "uploads", "")
	if !a.ok() || xml.Unmarshal(a.body, &begun) != nil {
		if p.failed != nil {
			p.failed("begin upload", a)
		}
		return a.err == nil
	}
	u := &upload{key: key, id: begun.UploadId, whole: whole}
	complete := "<CompleteMultipartUpload>"
	data := whole.bytes()
	for i := 0; len(data) > 0; i++ {
		part := data[:min(5<<20, len(data))]
		data = data[len(part):]
		a := p.api.ask("PUT", p.path(key), part, "partNumber", strconv.Itoa(i+1), "uploadId", u.id)
		if !a.ok() {
			if p.failed != nil {
				p.failed("upload part", a)
			}
			return a.err == nil
		}
		complete += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, a.header.Get("ETag"))
	}
	u.complete = []byte(complete + "</CompleteMultipartUpload>")
	p.uploads = append(p.uploads, u)
	if p.rng.IntN(8) == 0 {
		return true // left open: the parts are acknowledged
	}
	return p.finish(u)
}

// finish completes an upload.
func (p *patron) finish(u *upload) bool {
	a := p.api.ask("POST", p.path(u.key), u.complete, "uploadId", u.id)
	if a.ok() && !bytes.Contains(a.body, []byte("<CompleteMultipartUploadResult")) {
		a.status = http.StatusInternalServerError // S3 sends an error of Complete behind a 200, too
	}
	u.asked = !a.ok()
	if a.ok() {
		p.uploads = slices.DeleteFunc(p.uploads, func(o *upload) bool { return o == u })
	}
	defer func() { u.at = p.byKey[u.key].changes }()
	return p.noted("complete", u.key, u.whole, a, &p.tally.completes)
}

// list gives keys and ETags of this client as the bucket lists them.
func (p *patron) list(prefix string) (map[string]string, error) {
	out := map[string]string{}
	a := p.api.ask("GET", "/"+p.bucket, nil, "list-type", "2", "prefix", prefix)
	var page struct {
		IsTruncated bool
		Contents    []struct{ Key, ETag string }
	}
	if !a.ok() {
		return nil, fmt.Errorf("list: %s", a)
	}
	if err := xml.Unmarshal(a.body, &page); err != nil {
		return nil, err
	}
	for _, c := range page.Contents {
		out[c.Key] = c.ETag
	}
	return out, nil
}

// audit compares the store with the journal when nobody else is there: every key
// answers as it may, again the same, and as the listing says; acknowledged
// versions are there by their ids, and acknowledged parts can be completed. It
// gives what is wrong.
func (p *patron) audit() error {
	listed, err := p.list(p.keys[0][:strings.IndexByte(p.keys[0], '/')+1])
	if err != nil {
		return err
	}
	for _, key := range p.keys {
		h := p.byKey[key]
		for range 2 { // the first answer settles it for the second
			a := p.api.ask("GET", p.path(key), nil)
			if a.err != nil || !h.admits(a) {
				return fmt.Errorf("%s: %s, journal: %v or one of %v", key, a, h.settled, h.maybe)
			}
			if a.header.Get("ETag") != listed[key] && h.settled.there || h.settled.there != (listed[key] != "") {
				return fmt.Errorf("%s: listed with ETag %q, read with %q", key, listed[key], a.header.Get("ETag"))
			}
		}
	}
	for _, v := range p.versions {
		if a := p.api.ask("GET", p.path(v.key), nil, "versionId", v.id); a.err != nil || !v.content.holds(a) {
			return fmt.Errorf("%s, version %s: %s, journal: %v", v.key, v.id, a, v.content)
		}
	}
	p.versions = nil
	return p.finishAll()
}

// finishAll completes the uploads that are open. One that was to be completed
// before may be gone, if its object is there.
func (p *patron) finishAll() error {
	for _, u := range slices.Clone(p.uploads) {
		h := p.byKey[u.key]
		settled, asked, last := h.settled, u.asked, h.changes == u.at
		if p.finish(u); !u.asked {
			continue
		}
		a := p.api.ask("POST", p.path(u.key), u.complete, "uploadId", u.id)
		if !asked || a.code() != "NoSuchUpload" || last && settled != u.whole {
			return fmt.Errorf("%s: its upload can not be completed: %s; asked before: %v; the key: %v", u.key, a, asked, settled)
		}
		h.settled, h.maybe = settled, nil
		p.uploads = slices.DeleteFunc(p.uploads, func(o *upload) bool { return o == u })
	}
	return nil
}
