// Goal: every algorithm does everywhere what it does for an object in one piece,
// and what comes without a checksum gets one, as on S3. Method: uploads, copies
// and documents under each algorithm, against values that are hashed here.
package s3api_test

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/checksum"
)

// hashed is the text of a checksum of a body.
func hashed(t *testing.T, a checksum.Algorithm, body string) string {
	t.Helper()
	h, err := a.New()
	require.NoError(t, err)
	h.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// composed is the text of a composite checksum of parts.
func composed(t *testing.T, a checksum.Algorithm, parts ...string) string {
	t.Helper()
	h, err := a.New()
	require.NoError(t, err)
	for _, part := range parts {
		value, err := base64.StdEncoding.DecodeString(hashed(t, a, part))
		require.NoError(t, err)
		h.Write(value)
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(parts))
}

// elements gives the texts of the elements of a name in a document.
func elements(t *testing.T, document, name string) (out []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(document))
	for {
		token, err := d.Token()
		if err != nil {
			return out
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == name {
			var text string
			require.NoError(t, d.DecodeElement(&text, &start))
			out = append(out, text)
		}
	}
}

func checksumOf(h *harness, path, header string) string {
	h.t.Helper()
	return h.do(request{method: "HEAD", path: path, header: map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}}).header.Get(header)
}

func TestUploadsUnderEveryAlgorithm(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, a := range checksum.Algorithms() {
		name, kind := "x-amz-checksum-"+strings.ToLower(a.String()), a.DefaultType().String()
		whole := hashed(t, a, "firstsecond")
		if a.DefaultType() == checksum.Composite {
			whole = composed(t, a, "first", "second")
		}
		id := begin(h, "big", map[string]string{"X-Amz-Checksum-Algorithm": a.String()})
		one := h.ok(request{method: "PUT", path: part(1, id), body: "first", header: map[string]string{name: hashed(t, a, "first")}})
		two := h.ok(request{method: "PUT", path: part(2, id), body: "second"})
		require.Equal(t, hashed(t, a, "second"), two.header.Get(name), "computed where it was not sent")
		wrong := h.do(request{method: "PUT", path: part(2, id), body: "second", header: map[string]string{name: hashed(t, a, "other")}})
		require.Equal(t, "BadDigest", wrong.code)
		listed := h.get("/bucket/big?uploadId=" + id)
		require.Equal(t, []string{hashed(t, a, "first"), hashed(t, a, "second")}, elements(t, listed.body, "Checksum"+a.String()))

		list := fmt.Sprintf("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag><Checksum%s>%s</Checksum%[2]s></Part>"+
			"<Part><PartNumber>2</PartNumber><ETag>%[4]s</ETag></Part></CompleteMultipartUpload>",
			one.header.Get("Etag"), a, hashed(t, a, "first"), two.header.Get("Etag"))
		complete := request{method: "POST", path: "/bucket/big?uploadId=" + id, body: list}
		complete.header = map[string]string{name: hashed(t, a, "other"), "x-amz-checksum-type": kind}
		require.Equal(t, "BadDigest", h.do(complete).code, a)
		complete.header[name] = whole
		done := h.ok(complete)
		require.Equal(t, []string{whole}, elements(t, done.body, "Checksum"+a.String()))
		require.Equal(t, []string{kind}, elements(t, done.body, "ChecksumType"))
		require.Equal(t, whole, checksumOf(h, "/bucket/big", name))
		_, attributes := h.attributes("/bucket/big?attributes", "X-Amz-Object-Attributes", everyAttribute)
		require.Equal(t, kind, attributes.Checksum.ChecksumType)
		bare, _, _ := strings.Cut(whole, "-")
		told := h.do(request{method: "GET", path: "/bucket/big?attributes", header: map[string]string{"X-Amz-Object-Attributes": "Checksum"}})
		require.Equal(t, []string{bare}, elements(t, told.body, "Checksum"+a.String()), "S3 tells it without the number of parts here")
		require.Len(t, attributes.ObjectParts.Part, 2)

		for _, asked := range []string{"", a.String()} {
			h.ok(request{method: "PUT", path: "/bucket/copy", header: map[string]string{"X-Amz-Copy-Source": "bucket/big", "X-Amz-Checksum-Algorithm": asked}})
			require.Equal(t, hashed(t, a, "firstsecond"), checksumOf(h, "/bucket/copy", name), "a copy has the one of its bytes")
			require.Equal(t, "FULL_OBJECT", checksumOf(h, "/bucket/copy", "X-Amz-Checksum-Type"))
		}
	}
}

func TestDeleteObjectsUnderEveryAlgorithm(t *testing.T) {
	h := newHarness(t, nil, nil)
	const body = "<Delete><Object><Key>a</Key></Object></Delete>"
	for _, a := range checksum.Algorithms() {
		h.put("/bucket/a", "x")
		name := "X-Amz-Checksum-" + a.String()
		q := request{method: "POST", path: "/bucket?delete", body: body, header: map[string]string{name: hashed(t, a, "other")}}
		require.Equal(t, "BadDigest", h.do(q).code, a)
		require.Equal(t, []string{"a"}, h.objects())
		q.header[name] = hashed(t, a, body)
		h.ok(q)
		require.Empty(t, h.objects())
	}
}

// S3 keeps a CRC64NVME of what comes with no checksum (user guide, "Checking
// object integrity in Amazon S3").
func TestWhatComesWithoutAChecksumGetsOne(t *testing.T) {
	h := newHarness(t, nil, nil)
	const name = "X-Amz-Checksum-Crc64nvme"
	of := func(body string) string { return hashed(t, checksum.CRC64NVME, body) }
	a := h.ok(request{method: "PUT", path: "/bucket/a", body: "hello"})
	require.Equal(t, of("hello"), a.header.Get(name))
	require.Equal(t, "FULL_OBJECT", a.header.Get("X-Amz-Checksum-Type"))
	require.Equal(t, of("hello"), checksumOf(h, "/bucket/a", name))
	require.Empty(t, h.get("/bucket/a").header.Get(name), "only who asks is told")
	h.ok(request{method: "PUT", path: "/bucket/copy", header: map[string]string{"X-Amz-Copy-Source": "bucket/a"}})
	require.Equal(t, of("hello"), checksumOf(h, "/bucket/copy", name))

	id := begin(h, "big", nil)
	etags := []string{h.put(part(1, id), "first").header.Get("Etag")}
	copied := h.ok(request{method: "PUT", path: part(2, id), header: map[string]string{"X-Amz-Copy-Source": "bucket/a"}})
	require.Equal(t, []string{of("hello")}, elements(t, copied.body, "ChecksumCRC64NVME"))
	etags = slices.Concat(etags, elements(t, copied.body, "ETag"))
	list := "<CompleteMultipartUpload>"
	for i, etag := range etags {
		list += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, etag)
	}
	done := h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: list + "</CompleteMultipartUpload>"})
	require.Equal(t, []string{of("firsthello")}, elements(t, done.body, "ChecksumCRC64NVME"))
	require.Equal(t, of("firsthello"), checksumOf(h, "/bucket/big", name))

	h.ok(request{method: "PUT", path: "/bucket/a", body: "hello", header: map[string]string{"X-Amz-Checksum-Crc32": crc("hello")}})
	require.Empty(t, checksumOf(h, "/bucket/a", name), "one is enough")
}
