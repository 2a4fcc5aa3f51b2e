// Goal: what S3 over HTTP costs, beside a bare server that does the least for
// the same bytes, beside gofakes3, and beside any S3 server that -peer names.
// Method: servers in processes of their own, requests with presigned URLs, which
// cost the load nothing; rounds in turn; medians of throughput and of the
// servers' processor time.
package bench

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// row is a workload: every client makes so many requests a round.
type row struct {
	name    string
	method  string
	size    int // of the object put, or got
	clients int
	each    int
	keys    int    // put before, for what reads
	query   string // on the bucket, instead of an object
}

func rows() []row {
	return []row{
		{name: "PUT4KiB/clients=32", method: http.MethodPut, size: 4 << 10, clients: 32, each: 32},
		{name: "PUT4KiB/clients=1", method: http.MethodPut, size: 4 << 10, clients: 1, each: 256},
		{name: "PUT1MiB/clients=8", method: http.MethodPut, size: 1 << 20, clients: 8, each: 8},
		{name: "PUT64MiB/clients=4", method: http.MethodPut, size: 64 << 20, clients: 4, each: 1},
		{name: "GET4KiB/clients=32", method: http.MethodGet, size: 4 << 10, clients: 32, each: 64, keys: 256},
		{name: "HEAD/clients=32", method: http.MethodHead, size: 4 << 10, clients: 32, each: 64, keys: 256},
		{name: "GET64MiB/clients=4", method: http.MethodGet, size: 64 << 20, clients: 4, each: 2, keys: 1},
		{name: "LIST1000/clients=4", method: http.MethodGet, size: 1, clients: 4, each: 4, keys: 10_000, query: "list-type=2&max-keys=1000"},
	}
}

func BenchmarkHTTP(b *testing.B) {
	for _, r := range rows() {
		b.Run(r.name, func(b *testing.B) {
			peers := startPeers(b)
			if r.query != "" {
				peers = slices.DeleteFunc(peers, func(p *peer) bool { return !p.lists })
			}
			loads := make([]*load, len(peers))
			for i, p := range peers {
				loads[i] = newLoad(b, p, r)
				loads[i].round(b) // warm
			}
			costs := make([][]cost, len(peers))
			for b.Loop() {
				for i, l := range loads {
					costs[i] = append(costs[i], l.round(b))
				}
			}
			report(b, r, peers, costs)
		})
	}
}

func report(b *testing.B, r row, peers []*peer, costs [][]cost) {
	b.ReportMetric(0, "ns/op") // of a round of all: says nothing
	wall := func(c cost) float64 { return c.wall }
	cpu := func(c cost) float64 { return c.cpu }
	for i, p := range peers {
		rate := 1e6 / median(costs[i], wall) * float64(r.clients)
		if r.size >= 1<<20 {
			b.ReportMetric(rate*float64(r.size)/(1<<20), p.name+"-MiB/s")
		} else {
			b.ReportMetric(rate, p.name+"-op/s")
		}
		b.ReportMetric(median(costs[i], cpu), p.name+"-cpu-µs")
		b.ReportMetric(p.peakMiB(), p.name+"-peak-MiB")
		if i > 0 {
			b.ReportMetric(median(costs[0], wall)/median(costs[i], wall), "time/"+p.name)
		}
	}
}

// load is the clients of one server.
type load struct {
	row
	peer   *peer
	client *http.Client
	body   []byte
	urls   [][]string // by client
}

func newLoad(b *testing.B, p *peer, r row) *load {
	l := &load{row: r, peer: p, body: content(r.size), client: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: r.clients, DisableCompression: true, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}}}
	b.Cleanup(l.client.CloseIdleConnections)
	require.NoError(b, l.do(http.MethodPut, p.presign(http.MethodPut, "/bench", ""), nil, nil))
	for i := range r.keys {
		require.NoError(b, l.do(http.MethodPut, p.presign(http.MethodPut, key(0, i), ""), l.body, nil))
	}
	for c := range r.clients {
		var urls []string
		for i := range r.each {
			switch {
			case r.query != "":
				urls = append(urls, p.presign(r.method, "/bench", r.query))
			case r.keys > 0:
				urls = append(urls, p.presign(r.method, key(0, (c*31+i)%r.keys), ""))
			default:
				urls = append(urls, p.presign(r.method, key(c, i), ""))
			}
		}
		l.urls = append(l.urls, urls)
	}
	return l
}

func key(client, i int) string { return fmt.Sprintf("/bench/client%03d/object%06d", client, i) }

// round has every client make its requests.
func (l *load) round(b *testing.B) cost {
	errs := make([]error, l.clients)
	begun, cpu := time.Now(), l.peer.spent()
	var wg sync.WaitGroup
	for c := range l.clients {
		wg.Go(func() {
			buf := make([]byte, 256<<10)
			var body []byte
			if l.method == http.MethodPut {
				body = l.body
			}
			for _, u := range l.urls[c] {
				if errs[c] = l.do(l.method, u, body, buf); errs[c] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	took, spent := time.Since(begun), l.peer.spent()-cpu
	for _, err := range errs {
		require.NoError(b, err, l.peer.name)
	}
	return cost{
		wall: float64(took.Nanoseconds()) / 1e3 / float64(l.each),
		cpu:  float64(spent.Nanoseconds()) / 1e3 / float64(l.each*l.clients),
	}
}

func (l *load) do(method, to string, body, buf []byte) error {
	r, err := http.NewRequest(method, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := l.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var n int64
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return fmt.Errorf("%s %s: %s %s", method, to, answer.Status, text)
	}
	if n, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, buf); err != nil {
		return err
	}
	if method == http.MethodGet && l.query == "" && n != int64(l.size) {
		return fmt.Errorf("%s: %d bytes", to, n)
	}
	return nil
}

// presign signs a request as S3's signature version 4 has it, in the URL. Paths
// and queries here need no escaping.
func (p *peer) presign(method, path, query string) string {
	now := time.Now().UTC()
	date, scope := now.Format("20060102T150405Z"), now.Format("20060102")+"/us-east-1/s3/aws4_request"
	q := url.Values{}
	if query != "" {
		q, _ = url.ParseQuery(query)
	}
	q.Set("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
	q.Set("X-Amz-Credential", p.accessKey+"/"+scope)
	q.Set("X-Amz-Date", date)
	q.Set("X-Amz-Expires", "86400")
	q.Set("X-Amz-SignedHeaders", "host")
	canonical := strings.Join([]string{method, path, q.Encode(), "host:" + strings.TrimPrefix(p.url, "http://") + "\n", "host", "UNSIGNED-PAYLOAD"}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	signed := "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + p.secretKey)
	for _, part := range append(strings.Split(scope, "/"), signed) {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	return p.url + path + "?" + q.Encode() + "&X-Amz-Signature=" + hex.EncodeToString(key)
}
