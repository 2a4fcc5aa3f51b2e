// Goal: objects are read, written, copied and deleted as S3 does it. Method:
// tables of ranges and conditions, keys that other stores stumble over, and the
// headers of each answer.
package s3api_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/versioning"
)

func TestWhatIsKeptWithAnObject(t *testing.T) {
	h := newHarness(t, nil, nil)
	header := map[string]string{
		"Content-Type": "text/x", "Cache-Control": "no-store", "Content-Disposition": "inline", "Content-Language": "en",
		"Expires": "Thu, 01 Dec 2033 16:00:00 GMT", "X-Amz-Meta-MixedCase": "Vä lue", "X-Amz-Website-Redirect-Location": "/b",
		"X-Amz-Storage-Class": "REDUCED_REDUNDANCY", "X-Amz-Tagging": "a=b&c=",
	}
	a := h.ok(request{method: "PUT", path: "/bucket/a", body: "hello", header: header})
	require.Equal(t, `"5d41402abc4b2a76b9719d911017c592"`, a.header.Get("Etag"))
	require.Empty(t, a.header.Get("X-Amz-Version-Id"), "the bucket was never versioned")
	for _, method := range []string{"GET", "HEAD"} {
		a = h.do(request{method: method, path: "/bucket/a"})
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, "5", a.header.Get("Content-Length"))
		require.Equal(t, now().Format(http.TimeFormat), a.header.Get("Last-Modified"))
		require.Equal(t, "2", a.header.Get("X-Amz-Tagging-Count"))
		require.Equal(t, "bytes", a.header.Get("Accept-Ranges"))
		require.Equal(t, []string{"Vä lue"}, a.header["x-amz-meta-mixedcase"], "names are given back in lower case")
		for name, value := range header {
			if !strings.HasPrefix(name, "X-Amz-Meta-") && name != "X-Amz-Tagging" {
				require.Equal(t, value, a.header.Get(name), name)
			}
		}
	}
	h.put("/bucket/plain", "")
	require.Equal(t, "binary/octet-stream", h.get("/bucket/plain").header.Get("Content-Type"))
}

func TestHeadersThatAreRefusedRatherThanIgnored(t *testing.T) {
	h := newHarness(t, nil, nil)
	for header, code := range map[[2]string]string{
		{"X-Amz-Server-Side-Encryption", "AES256"}:                      "NotImplemented",
		{"X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"}:   "InvalidArgument",
		{"X-Amz-Acl", "private"}:                                        "AccessControlListNotSupported",
		{"X-Amz-Acl", "public-read"}:                                    "AccessControlListNotSupported",
		{"X-Amz-Grant-Read", "id=x"}:                                    "AccessControlListNotSupported",
		{"X-Amz-Write-Offset-Bytes", "5"}:                               "InvalidWriteOffset",
		{"X-Amz-Storage-Class", "GLACIER"}:                              "InvalidStorageClass",
		{"X-Amz-Tagging", "a=1&a=2"}:                                    "InvalidTag",
		{"X-Amz-Tagging", "a=%zz"}:                                      "InvalidArgument",
		{"X-Amz-Tagging", strings.Repeat("k", 129) + "=v"}:              "InvalidTag",
		{"X-Amz-Tagging", "a&b&c&d&e&f&g&h&i&j&k"}:                      "InvalidTag",
		{"X-Amz-Object-Lock-Mode", "GOVERNANCE"}:                        "InvalidArgument",
		{"X-Amz-Object-Lock-Retain-Until-Date", "2040-01-01T00:00:00Z"}: "InvalidArgument",
		{"X-Amz-Object-Lock-Legal-Hold", "MAYBE"}:                       "InvalidArgument",
		{"X-Amz-Object-Lock-Legal-Hold", "ON"}:                          "InvalidRequest",
		{"X-Amz-Expected-Bucket-Owner", "somebody"}:                     "AccessDenied",
	} {
		a := h.do(request{method: "PUT", path: "/bucket/a", body: "x", header: map[string]string{header[0]: header[1]}})
		require.Equal(t, code, a.code, "%v: %s", header, a.body)
	}
	require.Empty(t, h.objects())
	h.ok(request{method: "PUT", path: "/bucket/a", header: map[string]string{"X-Amz-Acl": "bucket-owner-full-control", "X-Amz-Expected-Bucket-Owner": fullKey}})
}

func TestRanges(t *testing.T) {
	h := newHarness(t, nil, nil)
	const body = "0123456789"
	h.put("/bucket/a", body)
	h.put("/bucket/empty", "")
	for header, want := range map[string]string{
		"bytes=0-0": "0", "bytes=3-5": "345", "bytes=5-": "56789", "bytes=-3": "789", "bytes=-99": body, "bytes=8-99999999999999999999": "89", "bytes=0-": body,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := h.do(request{method: method, path: "/bucket/a", header: map[string]string{"Range": header}})
			require.Equal(t, http.StatusPartialContent, a.status, header)
			first := strings.Index(body, want)
			require.Equal(t, fmt.Sprintf("bytes %d-%d/10", first, first+len(want)-1), a.header.Get("Content-Range"))
			require.Equal(t, fmt.Sprint(len(want)), a.header.Get("Content-Length"))
			if method == "GET" {
				require.Equal(t, want, a.body)
			}
		}
	}
	for _, header := range []string{"bytes=9-8", "bytes=0-1,3-4", "lines=1-2", "bytes=x", "bytes="} {
		a := h.do(request{method: "GET", path: "/bucket/a", header: map[string]string{"Range": header}})
		require.Equal(t, http.StatusOK, a.status, header)
		require.Equal(t, body, a.body)
	}
	for _, c := range [][2]string{{"a", "bytes=10-"}, {"a", "bytes=10-11"}, {"a", "bytes=-0"}, {"empty", "bytes=0-0"}, {"empty", "bytes=-1"}} {
		a := h.do(request{method: "GET", path: "/bucket/" + c[0], header: map[string]string{"Range": c[1]}})
		require.Equal(t, http.StatusRequestedRangeNotSatisfiable, a.status, c)
		require.Equal(t, "InvalidRange", a.code)
		require.Regexp(t, `^bytes \*/(10|0)$`, a.header.Get("Content-Range"))
	}
}

func TestConditions(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "hello")
	const etag = `"5d41402abc4b2a76b9719d911017c592"`
	past, future := now().Add(-time.Hour).Format(http.TimeFormat), now().Add(time.Hour).Format(http.TimeFormat)
	for _, c := range []struct {
		header []string
		want   int
	}{
		{[]string{"If-Match", etag}, 200},
		{[]string{"If-Match", "*"}, 200},
		{[]string{"If-Match", `"x", ` + etag}, 200},
		{[]string{"If-Match", `"x"`}, 412},
		{[]string{"If-None-Match", etag}, 304},
		{[]string{"If-None-Match", "*"}, 304},
		{[]string{"If-None-Match", `"x"`}, 200},
		{[]string{"If-Modified-Since", past}, 200},
		{[]string{"If-Modified-Since", now().Format(http.TimeFormat)}, 304},
		{[]string{"If-Modified-Since", "whenever"}, 200},
		{[]string{"If-Unmodified-Since", past}, 412},
		{[]string{"If-Unmodified-Since", now().Format(http.TimeFormat)}, 200},
		{[]string{"If-Match", etag, "If-Unmodified-Since", past}, 200},
		{[]string{"If-None-Match", `"x"`, "If-Modified-Since", future}, 200},
		{[]string{"If-None-Match", etag, "If-Modified-Since", past}, 304},
		{[]string{"If-Match", `"x"`, "If-None-Match", etag}, 412},
	} {
		header := map[string]string{}
		for i := 0; i < len(c.header); i += 2 {
			header[c.header[i]] = c.header[i+1]
		}
		for _, method := range []string{"GET", "HEAD"} {
			a := h.do(request{method: method, path: "/bucket/a", header: header})
			require.Equal(t, c.want, a.status, "%s %v", method, header)
			if c.want == 304 {
				require.Empty(t, a.body)
				require.Equal(t, etag, a.header.Get("Etag"))
			}
			if method == "GET" && c.want == 412 {
				require.Equal(t, "PreconditionFailed", a.code)
			}
		}
	}
}

func TestConditionalWrites(t *testing.T) {
	h := newHarness(t, nil, nil)
	put := func(name, value string) answer {
		return h.do(request{method: "PUT", path: "/bucket/a", body: "x", header: map[string]string{name: value}})
	}
	require.Equal(t, "NoSuchKey", put("If-Match", `"x"`).code)
	first := put("If-None-Match", "*")
	require.Equal(t, 200, first.status)
	require.Equal(t, "PreconditionFailed", put("If-None-Match", "*").code)
	require.Equal(t, "PreconditionFailed", put("If-Match", `"x"`).code)
	require.Equal(t, 200, put("If-Match", first.header.Get("Etag")).status)
	remove := func(header map[string]string) answer {
		return h.do(request{method: "DELETE", path: "/bucket/a", header: header})
	}
	require.Equal(t, "PreconditionFailed", remove(map[string]string{"If-Match": `"x"`}).code)
	require.Equal(t, "PreconditionFailed", remove(map[string]string{"X-Amz-If-Match-Size": "2"}).code)
	require.Equal(t, "InvalidArgument", remove(map[string]string{"X-Amz-If-Match-Size": "-2"}).code)
	require.Equal(t, "InvalidArgument", remove(map[string]string{"X-Amz-If-Match-Last-Modified-Time": "-2"}).code)
	require.Equal(t, http.StatusNoContent, remove(map[string]string{
		"If-Match": first.header.Get("Etag"), "X-Amz-If-Match-Size": "1", "X-Amz-If-Match-Last-Modified-Time": now().Format(http.TimeFormat),
	}).status)
}

func TestResponseOverrides(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	query := url.Values{}
	names := []string{"Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding"}
	for _, name := range names {
		query.Set("response-"+strings.ToLower(name), "of "+name)
	}
	for _, method := range []string{"GET", "HEAD"} {
		a := h.ok(request{method: method, path: "/bucket/a?" + query.Encode()})
		for _, name := range names {
			require.Equal(t, "of "+name, a.header.Get(name))
		}
	}
	require.Equal(t, "InvalidArgument", h.get("/bucket/a?response-content-type=a%0d%0aX-Evil:%20b").code)
}

// everybody allows everything to everybody.
type everybody struct{ asked }

func TestAnonymousReads(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) { o.Authorizer = &everybody{} }, nil)
	h.put("/bucket/a", "x")
	require.Equal(t, "x", h.do(request{method: "GET", path: "/bucket/a", style: byNothing}).body)
	a := h.do(request{method: "GET", path: "/bucket/a?response-content-type=a", style: byNothing})
	require.Equal(t, "InvalidRequest", a.code)
}

func weirdKeys() []string {
	return []string{
		"a", "a/", "a/b", "a//b", "//", "/", ".", "..", "../..", "a/./b", "a/../b", "a b", "a+b", "a%2Fb", "a%b", "é", "e\u0301", "日本", "😀",
		"a&b", "a<b>", `a"b`, "a'b", "a?b", "a#b", "a;b", "a:b", "a\\b", "CON", "a.", "a ", " a", "A", "~", "*", "\x01", "a\tb", "a\nb", "\x7f",
		strings.Repeat("k", 1024), strings.Repeat("é", 512),
	}
}

func path(key string) string { return "/bucket/" + strings.ReplaceAll(url.PathEscape(key), "%2F", "/") }

func TestKeysAreNotPaths(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, key := range weirdKeys() {
		h.put(path(key), "of "+key)
	}
	require.ElementsMatch(t, weirdKeys(), h.objects())
	for _, key := range weirdKeys() {
		require.Equal(t, "of "+key, h.get(path(key)).body, "%q", key)
		if !strings.HasPrefix(key, "/") {
			continue
		}
		require.Equal(t, "of "+key, h.get("/bucket/"+url.PathEscape(key)).body, "an escaped slash is a slash")
	}
	var found []string
	for after := ""; ; {
		a := h.get("/bucket?list-type=2&encoding-type=url&max-keys=7&start-after=" + url.QueryEscape(after))
		page := parse[wireList](t, a)
		for _, one := range page.Contents {
			key, err := url.QueryUnescape(one.Key)
			require.NoError(t, err)
			found = append(found, key)
			after = key
		}
		if !page.IsTruncated {
			break
		}
	}
	require.Equal(t, h.objects(), found)
	for _, key := range weirdKeys() {
		source := "bucket/" + strings.ReplaceAll(url.PathEscape(key), "%2F", "/")
		h.ok(request{method: "PUT", path: "/bucket/copied", header: map[string]string{"X-Amz-Copy-Source": source}})
		require.Equal(t, "of "+key, h.get("/bucket/copied").body, "%q", key)
	}
	for _, key := range weirdKeys() {
		h.ok(request{method: "DELETE", path: path(key)})
	}
	require.Equal(t, []string{"copied"}, h.objects())
	require.Equal(t, "InvalidURI", h.get("/bucket/%ff").code)
}

// wireList is a listing as a client reads it.
type wireList struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	IsTruncated           bool
	KeyCount              int
	MaxKeys               int
	Prefix                string
	Delimiter             string
	Marker, NextMarker    string
	StartAfter            string
	ContinuationToken     string
	NextContinuationToken string
	EncodingType          string
	Contents              []struct {
		Key, ETag, LastModified, StorageClass string
		Size                                  int64
		Owner                                 struct{ ID string }
	}
	CommonPrefixes []struct{ Prefix string }
}

func TestBadAddresses(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.Equal(t, "InvalidBucketName", h.get("/Bucket/a").code)
	require.Equal(t, "InvalidBucketName", h.get("/bucket%2Fa").code)
	require.Equal(t, "InvalidBucketName", h.get("//a").code)
	require.Equal(t, "NoSuchBucket", h.get("/nowhere/a").code)
	require.Equal(t, "NoSuchKey", h.get("/bucket/nothing").code)
	broken := func(r *http.Request) { r.URL.RawQuery += "x=%zz" }
	require.Equal(t, "InvalidURI", h.do(request{method: "GET", path: "/bucket/a", tamper: broken}).code)
}

func TestPrefix(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) { o.Prefix = "/at/s3/" }, nil)
	h.put("/at/s3/bucket/a", "x")
	require.Equal(t, "x", h.get("/at/s3/bucket/a").body)
	require.Equal(t, []string{"a"}, h.objects())
	require.Equal(t, "InvalidURI", h.get("/bucket/a").code)
	require.Equal(t, "InvalidURI", h.get("/at/s3bucket/a").code)
	require.Equal(t, http.StatusOK, h.get("/at/s3").status)
}

func TestCopies(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.ok(request{method: "PUT", path: "/bucket/a", body: "hello", header: map[string]string{"X-Amz-Meta-A": "b", "Content-Type": "text/a", trailer: crc("hello")}})
	copying := func(to string, header map[string]string) answer {
		return h.do(request{method: "PUT", path: "/bucket/" + to, header: with(header, "X-Amz-Copy-Source", "/bucket/a")})
	}
	a := copying("b", nil)
	require.Equal(t, 200, a.status, a.body)
	result := parse[struct {
		XMLName       xml.Name `xml:"CopyObjectResult"`
		ETag          string
		LastModified  string
		ChecksumCRC32 string
	}](t, a)
	require.Equal(t, `"5d41402abc4b2a76b9719d911017c592"`, result.ETag)
	require.Equal(t, crc("hello"), result.ChecksumCRC32)
	require.Equal(t, []string{"b"}, h.get("/bucket/b").header["x-amz-meta-a"])
	require.Equal(t, 200, copying("c", map[string]string{"X-Amz-Metadata-Directive": "REPLACE", "X-Amz-Meta-C": "d"}).status)
	c := h.get("/bucket/c")
	require.Equal(t, "hello", c.body)
	require.Equal(t, []string{"d"}, c.header["x-amz-meta-c"])
	require.Empty(t, c.header["x-amz-meta-a"])
	require.Equal(t, "InvalidRequest", copying("a", nil).code)
	require.Equal(t, 200, copying("a", map[string]string{"X-Amz-Metadata-Directive": "REPLACE"}).status)
	require.Equal(t, "InvalidArgument", copying("b", map[string]string{"X-Amz-Metadata-Directive": "SOME"}).code)
	for name, value := range map[string]string{
		"X-Amz-Copy-Source-If-Match": `"x"`, "X-Amz-Copy-Source-If-None-Match": `"5d41402abc4b2a76b9719d911017c592"`,
		"X-Amz-Copy-Source-If-Modified-Since":   now().Add(time.Hour).Format(http.TimeFormat),
		"X-Amz-Copy-Source-If-Unmodified-Since": now().Add(-time.Hour).Format(http.TimeFormat), "If-None-Match": "*",
	} {
		require.Equal(t, "PreconditionFailed", copying("b", map[string]string{name: value}).code, name)
	}
	missing := h.do(request{method: "PUT", path: "/bucket/b", header: map[string]string{"X-Amz-Copy-Source": "/bucket/missing"}})
	require.Equal(t, "NoSuchKey", missing.code)
	bad := h.do(request{method: "PUT", path: "/bucket/b", header: map[string]string{"X-Amz-Copy-Source": "bucket"}})
	require.Equal(t, "InvalidArgument", bad.code)
}

func TestVersions(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "null")
	h.ok(request{method: "PUT", path: "/bucket?versioning", body: "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"})
	require.Contains(t, h.get("/bucket?versioning").body, "<Status>Enabled</Status>")
	first := h.put("/bucket/a", "first").header.Get("X-Amz-Version-Id")
	require.NotEmpty(t, first)
	require.Equal(t, "null", h.get("/bucket/a?versionId=null").body)
	require.Equal(t, "first", h.get("/bucket/a?versionId="+first).body)
	gone := h.ok(request{method: "DELETE", path: "/bucket/a"})
	require.Equal(t, "true", gone.header.Get("X-Amz-Delete-Marker"))
	marker := gone.header.Get("X-Amz-Version-Id")
	a := h.get("/bucket/a")
	require.Equal(t, "NoSuchKey", a.code)
	require.Equal(t, "true", a.header.Get("X-Amz-Delete-Marker"))
	require.Equal(t, marker, a.header.Get("X-Amz-Version-Id"))
	a = h.get("/bucket/a?versionId=" + marker)
	require.Equal(t, "MethodNotAllowed", a.code)
	require.Equal(t, "true", a.header.Get("X-Amz-Delete-Marker"))
	require.Equal(t, "NoSuchVersion", h.get("/bucket/a?versionId="+strings.Repeat("0", 31)+"1").code)
	require.Equal(t, "InvalidArgument", h.get("/bucket/a?versionId=").code)
	a = h.ok(request{method: "DELETE", path: "/bucket/a?versionId=" + marker})
	require.Equal(t, "true", a.header.Get("X-Amz-Delete-Marker"))
	require.Equal(t, marker, a.header.Get("X-Amz-Version-Id"))
	require.Equal(t, "first", h.get("/bucket/a").body)
	copied := h.ok(request{method: "PUT", path: "/bucket/b", header: map[string]string{"X-Amz-Copy-Source": "bucket/a?versionId=null"}})
	require.Equal(t, "null", copied.header.Get("X-Amz-Copy-Source-Version-Id"))
	require.NotEmpty(t, copied.header.Get("X-Amz-Version-Id"))
	require.Equal(t, "null", h.get("/bucket/b").body)
	h.ok(request{method: "PUT", path: "/bucket?versioning", body: "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"})
	for _, body := range []string{"", "<VersioningConfiguration/>", "<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>"} {
		require.Equal(t, "MalformedXML", h.do(request{method: "PUT", path: "/bucket?versioning", body: body}).code)
	}
}

func TestLockedVersions(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.ok(request{method: "PUT", path: "/locked", header: map[string]string{"X-Amz-Bucket-Object-Lock-Enabled": "true"}})
	a := h.ok(request{method: "PUT", path: "/locked/a", body: "x", header: map[string]string{
		"X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": "2031-01-01T00:00:00Z",
	}})
	held := "/locked/a?versionId=" + a.header.Get("X-Amz-Version-Id")
	got := h.get(held)
	require.Equal(t, "GOVERNANCE", got.header.Get("X-Amz-Object-Lock-Mode"))
	require.Equal(t, "2031-01-01T00:00:00.000Z", got.header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	require.Equal(t, "AccessDenied", h.do(request{method: "DELETE", path: held}).code)
	require.Equal(t, "x", h.get(held).body)
	require.Equal(t, "InvalidBucketState", h.do(request{
		method: "PUT", path: "/locked?versioning", body: "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
	}).code)
	h.ok(request{method: "DELETE", path: held, header: map[string]string{"X-Amz-Bypass-Governance-Retention": "true"}})
	require.Equal(t, "NoSuchVersion", h.get(held).code)
}

func TestDeleteObjects(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	h.put("/bucket/a", "x")
	b := h.put("/bucket/b", "x").header.Get("X-Amz-Version-Id")
	body := `<Delete><Object><Key>a</Key></Object><Object><Key>b</Key><VersionId>` + b + `</VersionId></Object>` +
		`<Object><Key>c</Key><VersionId>null</VersionId></Object><Object><Key></Key></Object><Object><Key>b</Key><ETag>"x"</ETag></Object></Delete>`
	type result struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Deleted []struct {
			Key, VersionId, DeleteMarkerVersionId string
			DeleteMarker                          bool
		}
		Error []struct{ Key, Code, Message string }
	}
	q := request{method: "POST", path: "/bucket?delete", body: body}
	require.Equal(t, "InvalidRequest", h.do(q).code, "neither MD5 nor checksum")
	q.header = map[string]string{"Content-Md5": md5Of("other")}
	require.Equal(t, "BadDigest", h.do(q).code)
	q.header = map[string]string{trailer: crc("other")}
	require.Equal(t, "BadDigest", h.do(q).code)
	require.Equal(t, []string{"a", "b"}, h.objects())
	q.header = map[string]string{trailer: crc(body)}
	got := parse[result](t, h.ok(q))
	require.Len(t, got.Deleted, 3)
	require.True(t, got.Deleted[0].DeleteMarker)
	require.NotEmpty(t, got.Deleted[0].DeleteMarkerVersionId)
	require.Equal(t, b, got.Deleted[1].VersionId)
	require.False(t, got.Deleted[1].DeleteMarker)
	require.Len(t, got.Error, 2)
	require.Equal(t, "InvalidArgument", got.Error[0].Code)
	require.Equal(t, "b", got.Error[1].Key)
	require.Empty(t, h.objects())
	quiet := "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>"
	got = parse[result](t, h.ok(request{method: "POST", path: "/bucket?delete", body: quiet, style: byUnsignedTrailer}))
	require.Empty(t, got.Deleted)
	a := h.do(request{method: "POST", path: "/nowhere?delete", body: quiet, header: map[string]string{"Content-Md5": md5Of(quiet)}})
	require.Equal(t, "NoSuchBucket", a.code)
}

func TestBuckets(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.Equal(t, 200, h.do(request{method: "PUT", path: "/bucket"}).status, "creating one's own again succeeds in us-east-1")
	a := h.ok(request{method: "PUT", path: "/other/"})
	require.Equal(t, "/other", a.header.Get("Location"))
	require.Equal(t, "InvalidBucketName", h.do(request{method: "PUT", path: "/Other"}).code)
	for _, reserved := range []string{"xn--a", "sthree-a", "amzn-s3-demo-a", "a-s3alias", "a--ol-s3", "a.mrap", "a--x-s3", "a--table-s3"} {
		require.Equal(t, "InvalidBucketName", h.do(request{method: "PUT", path: "/" + reserved}).code, reserved)
	}
	a = h.ok(request{method: "HEAD", path: "/other"})
	require.Equal(t, "us-east-1", a.header.Get("X-Amz-Bucket-Region"))
	require.Equal(t, http.StatusNotFound, h.do(request{method: "HEAD", path: "/nowhere"}).status)
	require.NotContains(t, h.get("/other?location").body, "us-east-1")
	h.put("/other/a", "")
	require.Equal(t, "BucketNotEmpty", h.do(request{method: "DELETE", path: "/other"}).code)
	h.ok(request{method: "DELETE", path: "/other/a"})
	h.ok(request{method: "DELETE", path: "/other"})
	require.Equal(t, "NoSuchBucket", h.do(request{method: "DELETE", path: "/other"}).code)
	_, err := h.store.CreateBucket(t.Context(), "foreign", &sherd.BucketOptions{Owner: s3api.CanonicalID(altAccount)})
	require.NoError(t, err)
	require.Equal(t, "BucketAlreadyExists", h.do(request{method: "PUT", path: "/foreign"}).code)
}

func TestBucketsElsewhere(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) { o.Region = "eu-north-1" }, nil)
	require.Equal(t, "BucketAlreadyOwnedByYou", h.do(request{method: "PUT", path: "/bucket"}).code)
	body := "<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>"
	require.Equal(t, "IllegalLocationConstraintException", h.do(request{method: "PUT", path: "/other", body: fmt.Sprintf(body, "mars")}).code)
	h.ok(request{method: "PUT", path: "/other", body: fmt.Sprintf(body, "eu-north-1")})
	require.Contains(t, h.get("/other?location").body, ">eu-north-1<")
	require.Equal(t, "MalformedXML", h.do(request{method: "PUT", path: "/third", body: "<x/>"}).code)
}

// A handler without a region of its own has buckets wherever those who make them say.
func TestBucketsWhereTheirMakersSay(t *testing.T) {
	h := newHarness(t, nil, nil)
	body := "<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>"
	h.ok(request{method: "PUT", path: "/frankfurt", body: fmt.Sprintf(body, "eu-central-1")})
	require.Contains(t, h.get("/frankfurt?location").body, ">eu-central-1<")
	require.Equal(t, "eu-central-1", h.ok(request{method: "HEAD", path: "/frankfurt"}).header.Get("X-Amz-Bucket-Region"))
	require.Equal(t, "BucketAlreadyOwnedByYou", h.do(request{method: "PUT", path: "/frankfurt", body: fmt.Sprintf(body, "eu-central-1")}).code)
	require.Equal(t, "BucketAlreadyOwnedByYou", h.do(request{method: "PUT", path: "/frankfurt"}).code)
	require.Equal(t, "BucketAlreadyOwnedByYou", h.do(request{method: "PUT", path: "/bucket", body: fmt.Sprintf(body, "eu-central-1")}).code)
	h.ok(request{method: "PUT", path: "/bucket", body: fmt.Sprintf(body, "us-east-1")})
	for _, wrong := range []string{"a b", "ü", "eu/1", strings.Repeat("x", 65)} {
		require.Equal(t, "InvalidLocationConstraint", h.do(request{method: "PUT", path: "/wrong", body: fmt.Sprintf(body, wrong)}).code, wrong)
	}
	require.Contains(t, h.get("/?bucket-region=eu-central-1").body, "<Name>frankfurt</Name>")
	require.NotContains(t, h.get("/?bucket-region=eu-central-1").body, "<Name>bucket</Name>")
}
