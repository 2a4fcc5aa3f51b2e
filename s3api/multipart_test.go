// Goal: parts become the object that was meant, or none. Method: uploads of small
// parts through every operation, with checksums of both types, repeated and
// interrupted completions, and pages of uploads and parts.
package s3api_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
)

func begin(h *harness, key string, header map[string]string) string {
	h.t.Helper()
	a := h.ok(request{method: "POST", path: "/bucket/" + key + "?uploads", header: header})
	return parse[struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadId string
	}](h.t, a).UploadId
}

func part(number int, upload string) string {
	return "/bucket/big?partNumber=" + strconv.Itoa(number) + "&uploadId=" + upload
}

// listOf is the body of a completion.
func listOf(parts ...string) string {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i, body := range parts {
		sum := md5.Sum([]byte(body))
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i+1, hex.EncodeToString(sum[:]))
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.String()
}

type completed struct {
	XMLName      xml.Name `xml:"CompleteMultipartUploadResult"`
	Location     string
	Bucket       string
	Key          string
	ETag         string
	ChecksumType string
	Checksum     string `xml:"ChecksumCRC32"`
}

func TestUpload(t *testing.T) {
	h := newHarness(t, nil, nil)
	id := begin(h, "big", map[string]string{"Content-Type": "text/big", "X-Amz-Meta-A": "b", "X-Amz-Tagging": "a=b"})
	parts := []string{"first", "second", "third"}
	for i, style := range []style{byHeader, byChunks, byUnsignedTrailer} {
		a := h.ok(request{method: "PUT", path: part(i+1, id), body: parts[i], style: style})
		sum := md5.Sum([]byte(parts[i]))
		require.Equal(t, `"`+hex.EncodeToString(sum[:])+`"`, a.header.Get("Etag"))
	}
	finish := request{method: "POST", path: "/bucket/big?uploadId=" + id, body: listOf(parts...)}
	a := h.ok(finish)
	result := parse[completed](t, a)
	require.Equal(t, "http://"+host+"/bucket/big", result.Location)
	require.Regexp(t, `^"[0-9a-f]{32}-3"$`, result.ETag)
	got := h.get("/bucket/big")
	require.Equal(t, "firstsecondthird", got.body)
	require.Equal(t, "text/big", got.header.Get("Content-Type"))
	require.Equal(t, []string{"b"}, got.header["x-amz-meta-a"])
	require.Equal(t, "1", got.header.Get("X-Amz-Tagging-Count"))
	again := parse[completed](t, h.ok(finish))
	require.Equal(t, result.ETag, again.ETag, "who did not get the answer asks again")
	finish.body = listOf("first", "second")
	require.Equal(t, "NoSuchUpload", h.do(finish).code)
	for number, want := range parts {
		a := h.do(request{method: "GET", path: "/bucket/big?partNumber=" + strconv.Itoa(number+1)})
		require.Equal(t, http.StatusPartialContent, a.status)
		require.Equal(t, want, a.body)
		require.Equal(t, "3", a.header.Get("X-Amz-Mp-Parts-Count"))
		head := h.do(request{method: "HEAD", path: "/bucket/big?partNumber=" + strconv.Itoa(number+1)})
		require.Equal(t, http.StatusPartialContent, head.status)
		require.Equal(t, a.header.Get("Content-Range"), head.header.Get("Content-Range"))
	}
	require.Equal(t, "InvalidPart", h.get("/bucket/big?partNumber=4").code)
}

func TestAPartWithoutBytes(t *testing.T) {
	h := newHarness(t, nil, nil)
	id := begin(h, "big", nil)
	h.put(part(1, id), "first")
	h.put(part(2, id), "")
	h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: listOf("first", "")})
	for _, method := range []string{"GET", "HEAD"} {
		a := h.ok(request{method: method, path: "/bucket/big?partNumber=2"})
		require.Equal(t, http.StatusPartialContent, a.status)
		require.Equal(t, "0", a.header.Get("Content-Length"))
		require.Empty(t, a.header.Get("Content-Range"), "there is none that could be written")
		require.Equal(t, "bytes 0-4/5", h.do(request{method: method, path: "/bucket/big?partNumber=1"}).header.Get("Content-Range"))
	}
}

func TestCompletionsThatAreRefused(t *testing.T) {
	h := newHarness(t, nil, nil)
	id := begin(h, "big", nil)
	h.put(part(1, id), "first")
	h.put(part(2, id), "second")
	first, second := listOf("first"), listOf("first", "second")
	for name, c := range map[string]struct {
		body, code string
		header     map[string]string
	}{
		"nothing":           {"", "MalformedXML", nil},
		"no parts":          {listOf(), "MalformedXML", nil},
		"another document":  {"<Delete/>", "MalformedXML", nil},
		"another part":      {listOf("other"), "InvalidPart", nil},
		"missing part":      {listOf("first", "second", "third"), "InvalidPart", nil},
		"no ETag":           {"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>", "InvalidPart", nil},
		"part 0":            {strings.Replace(first, ">1<", ">0<", 1), "InvalidPart", nil},
		"out of order":      {strings.Replace(strings.Replace(second, ">1<", ">3<", 1), ">2<", ">1<", 1), "InvalidPartOrder", nil},
		"other size":        {second, "InvalidArgument", map[string]string{"X-Amz-Mp-Object-Size": "10"}},
		"size is no number": {second, "InvalidArgument", map[string]string{"X-Amz-Mp-Object-Size": "x"}},
		"condition":         {second, "NoSuchKey", map[string]string{"If-Match": `"x"`}},
		"bad checksum":      {second, "BadDigest", map[string]string{trailer: "!"}},
	} {
		a := h.do(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: c.body, header: c.header})
		require.Equal(t, c.code, a.code, "%s: %s", name, a.body)
	}
	require.Equal(t, "NoSuchUpload", h.do(request{method: "POST", path: "/bucket/other?uploadId=" + id, body: second}).code)
	require.Empty(t, h.objects())
	h.ok(request{method: "DELETE", path: "/bucket/big?uploadId=" + id})
	require.Equal(t, "NoSuchUpload", h.do(request{method: "DELETE", path: "/bucket/big?uploadId=" + id}).code)
	require.Equal(t, "NoSuchUpload", h.do(request{method: "PUT", path: part(1, id), body: "x"}).code)
	for _, bad := range []string{"../../x", "%00", strings.Repeat("f", 33), "x"} {
		require.Equal(t, "NoSuchUpload", h.do(request{method: "PUT", path: part(1, bad), body: "x"}).code)
	}
	for _, number := range []string{"0", "10001", "-1", "x", ""} {
		a := h.do(request{method: "PUT", path: "/bucket/big?partNumber=" + number + "&uploadId=" + id, body: "x"})
		require.Equal(t, "InvalidArgument", a.code, number)
	}
}

func TestSmallParts(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) { o.Limits.MinPartBytes = 0 }, nil)
	id := begin(h, "big", nil)
	h.put(part(1, id), "first")
	h.put(part(2, id), "second")
	a := h.do(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: listOf("first", "second")})
	require.Equal(t, "EntityTooSmall", a.code)
	h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: listOf("first")})
}

func TestChecksumsOfUploads(t *testing.T) {
	for _, kind := range []string{"COMPOSITE", "FULL_OBJECT"} {
		h := newHarness(t, nil, nil)
		id := begin(h, "big", map[string]string{"X-Amz-Checksum-Algorithm": "CRC32", "X-Amz-Checksum-Type": kind})
		for i, body := range []string{"first", "second"} {
			a := h.ok(request{method: "PUT", path: part(i+1, id), body: body, style: byChunksTrailer})
			require.Equal(t, crc(body), a.header.Get(trailer))
		}
		mismatch := h.do(request{method: "PUT", path: part(3, id), body: "third", header: map[string]string{"X-Amz-Checksum-Sha1": "98O8HYCOBHMq32eZZczDTKeuNEE="}})
		require.Equal(t, "InvalidRequest", mismatch.code)
		damaged := h.do(request{method: "PUT", path: part(3, id), body: "third", header: map[string]string{trailer: crc("other")}})
		require.Equal(t, "BadDigest", damaged.code)
		list := listOf("first", "second")
		wrong := strings.Replace(list, "</ETag>", "</ETag><ChecksumCRC32>"+crc("other")+"</ChecksumCRC32>", 1)
		require.Equal(t, "InvalidPart", h.do(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: wrong}).code)
		a := h.do(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: list, header: map[string]string{trailer: crc("other")}})
		require.GreaterOrEqual(t, a.status, 400)
		require.Less(t, a.status, 500)
		require.Empty(t, h.objects())
		right := strings.Replace(list, "</ETag>", "</ETag><ChecksumCRC32>"+crc("first")+"</ChecksumCRC32>", 1)
		result := parse[completed](t, h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: right}))
		require.Equal(t, kind, result.ChecksumType)
		if kind == "FULL_OBJECT" {
			require.Equal(t, crc("firstsecond"), result.Checksum)
		} else {
			require.True(t, strings.HasSuffix(result.Checksum, "-2"), result.Checksum)
		}
		head := h.do(request{method: "HEAD", path: "/bucket/big", header: map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}})
		require.Equal(t, result.Checksum, head.header.Get(trailer))
		require.Equal(t, kind, head.header.Get("X-Amz-Checksum-Type"))
	}
	h := newHarness(t, nil, nil)
	for _, header := range []map[string]string{
		{"X-Amz-Checksum-Algorithm": "ROT13"}, {"X-Amz-Checksum-Algorithm": "SHA1", "X-Amz-Checksum-Type": "FULL_OBJECT"},
		{"X-Amz-Checksum-Algorithm": "CRC64NVME", "X-Amz-Checksum-Type": "COMPOSITE"}, {"X-Amz-Checksum-Type": "WHOLE"},
	} {
		require.Equal(t, "InvalidRequest", h.do(request{method: "POST", path: "/bucket/big?uploads", header: header}).code, header)
	}
}

func TestUploadPartCopy(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/source", "0123456789")
	id := begin(h, "big", map[string]string{"X-Amz-Checksum-Algorithm": "CRC32"})
	copying := func(header map[string]string) answer {
		return h.do(request{method: "PUT", path: part(1, id), header: with(header, "X-Amz-Copy-Source", "/bucket/source")})
	}
	for value, code := range map[string]string{"bytes=5-": "InvalidArgument", "5-7": "InvalidArgument", "bytes=5-10": "InvalidRange", "bytes=11-12": "InvalidRange"} {
		require.Equal(t, code, copying(map[string]string{"X-Amz-Copy-Source-Range": value}).code, value)
	}
	require.Equal(t, "PreconditionFailed", copying(map[string]string{"X-Amz-Copy-Source-If-None-Match": "*"}).code)
	a := copying(map[string]string{"X-Amz-Copy-Source-Range": "bytes=2-5"})
	require.Equal(t, 200, a.status, a.body)
	result := parse[struct {
		XMLName       xml.Name `xml:"CopyPartResult"`
		ETag          string
		ChecksumCRC32 string
	}](t, a)
	require.Equal(t, crc("2345"), result.ChecksumCRC32)
	h.ok(request{method: "POST", path: "/bucket/big?uploadId=" + id, body: listOf("2345")})
	require.Equal(t, "2345", h.get("/bucket/big").body)
}

func TestPagesOfUploadsAndParts(t *testing.T) {
	h := newHarness(t, nil, nil)
	want := map[string]bool{}
	for _, key := range []string{"a", "a", "b/1", "b/2", "c"} {
		want[key+" "+begin(h, key, nil)] = true
	}
	type uploads struct {
		XMLName                           xml.Name `xml:"ListMultipartUploadsResult"`
		IsTruncated                       bool
		NextKeyMarker, NextUploadIdMarker string
		Upload                            []struct{ Key, UploadId, Initiated string }
		CommonPrefixes                    []struct{ Prefix string }
	}
	for limit := 1; limit <= 6; limit++ {
		got, query := map[string]bool{}, ""
		for range 10 {
			page := parse[uploads](t, h.get("/bucket?uploads&max-uploads="+strconv.Itoa(limit)+query))
			for _, one := range page.Upload {
				require.False(t, got[one.Key+" "+one.UploadId])
				got[one.Key+" "+one.UploadId] = true
			}
			if !page.IsTruncated {
				break
			}
			query = "&key-marker=" + url.QueryEscape(page.NextKeyMarker) + "&upload-id-marker=" + page.NextUploadIdMarker
		}
		require.Equal(t, want, got, "by %d", limit)
	}
	require.Equal(t, "b/", parse[uploads](t, h.get("/bucket?uploads&delimiter=/&prefix=b")).CommonPrefixes[0].Prefix)
	all := parse[uploads](t, h.get("/bucket?uploads"))
	require.False(t, all.IsTruncated)
	require.Equal(t, []string{"c", all.Upload[4].UploadId}, []string{all.NextKeyMarker, all.NextUploadIdMarker}, "S3 names the last one at the end too")
	for _, query := range []string{"&prefix=none", "&key-marker=c", "&delimiter=/&prefix=b", "&max-uploads=0"} {
		body := h.get("/bucket?uploads" + query).body
		require.Contains(t, body, "<NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker>", query)
	}
	id := begin(h, "big", nil)
	for number := 1; number <= 5; number++ {
		h.put(part(number, id), strconv.Itoa(number))
	}
	type parts struct {
		XMLName              xml.Name `xml:"ListPartsResult"`
		IsTruncated          bool
		NextPartNumberMarker int
		Part                 []struct {
			PartNumber int
			Size       int64
			ETag       string
		}
	}
	for limit := 1; limit <= 6; limit++ {
		var got []int
		for marker := 0; ; {
			page := parse[parts](t, h.get(fmt.Sprintf("/bucket/big?uploadId=%s&max-parts=%d&part-number-marker=%d", id, limit, marker)))
			for _, one := range page.Part {
				got = append(got, one.PartNumber)
			}
			if marker = page.NextPartNumberMarker; !page.IsTruncated {
				break
			}
		}
		require.Equal(t, []int{1, 2, 3, 4, 5}, got)
	}
}
