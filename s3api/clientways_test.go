// Goal: what real clients send that nobody would think of. Method: their requests,
// as they were seen on the wire. Mutants: an upload's own checksum type not asked
// for where the completion names none; a name whose label begins or ends with a
// hyphen taken.
package s3api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/checksum"
)

// mc completes an upload with the checksum of its parts' checksums, and says
// neither their number nor that it is one.
func TestCompletionWithABareCompositeChecksum(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, a := range []checksum.Algorithm{checksum.CRC32, checksum.CRC32C, checksum.SHA1, checksum.SHA256} {
		name := "X-Amz-Checksum-" + a.String()
		for _, kind := range []checksum.Type{checksum.Composite, checksum.FullObject} {
			if !a.Combines(kind) {
				continue
			}
			whole, other := composed(t, a, "first", "second"), hashed(t, a, "firstsecond")
			if kind == checksum.FullObject {
				whole, other = other, whole
			}
			id := begin(h, "big", map[string]string{"X-Amz-Checksum-Algorithm": a.String(), "X-Amz-Checksum-Type": kind.String()})
			one := h.ok(request{method: "PUT", path: part(1, id), body: "first"})
			two := h.ok(request{method: "PUT", path: part(2, id), body: "second"})
			complete := request{method: "POST", path: "/bucket/big?uploadId=" + id, body: fmt.Sprintf("<CompleteMultipartUpload>"+
				"<Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part>"+
				"</CompleteMultipartUpload>", one.header.Get("Etag"), two.header.Get("Etag"))}
			bare := func(text string) string { b, _, _ := strings.Cut(text, "-"); return b }
			complete.header = map[string]string{name: bare(other)}
			require.Equal(t, "BadDigest", h.do(complete).code, "%v %v: the other kind's", a, kind)
			complete.header[name] = bare(whole)
			h.ok(complete)
			require.Equal(t, whole, checksumOf(h, "/bucket/big", name), "%v %v", a, kind)
		}
	}
}

func TestNamesOfBucketsAreNamesOfHosts(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, name := range []string{"foo.-bar", "foo-.bar", "foo..bar", "-foo", "foo-"} {
		require.Equal(t, "InvalidBucketName", h.do(request{method: "PUT", path: "/" + name}).code, name)
	}
	h.ok(request{method: "PUT", path: "/foo-bar.b-a-z"})
}

// Headers that are there and say nothing, or nothing that can be.
func TestHeadersThatSayNothing(t *testing.T) {
	h := newHarness(t, version2, nil)
	for name, c := range map[string]struct {
		style  style
		header string
		value  string
		code   string
	}{
		"nobody":                   {byNothing, "Authorization", "", "AccessDenied"},
		"no key and signature":     {byNothing, "Authorization", "AWS HAHAHA", "InvalidArgument"},
		"neither version":          {byNothing, "Authorization", "Basic HAHAHA", "InvalidArgument"},
		"version 2, an empty date": {byHeader2, "X-Amz-Date", "", "AccessDenied"},
		"version 2, no date":       {byHeader2, "X-Amz-Date", "Bad Date", "AccessDenied"},
		"version 2, 1950":          {byHeader2, "X-Amz-Date", "Tue, 07 Jul 1950 21:53:04 GMT", "AccessDenied"},
		"version 2, 2010":          {byHeader2, "X-Amz-Date", "Tue, 07 Jul 2010 21:53:04 GMT", "RequestTimeTooSkewed"},
	} {
		q := request{method: "PUT", path: "/bucket/a", body: "x", style: c.style, tamper: func(r *http.Request) { r.Header[c.header] = []string{c.value} }}
		require.Equal(t, c.code, h.do(q).code, name)
	}
}
