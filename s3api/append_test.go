// Goal: appends and renames over the wire are those of the store, under the names
// that S3 has for them, authorized for both keys of a rename. Method: requests as
// the SDKs send them, what is refused, and what is left at the keys.
package s3api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/versioning"
)

func appending(offset, body string, header ...string) request {
	q := request{method: "PUT", path: "/bucket/log", body: body, header: map[string]string{"X-Amz-Write-Offset-Bytes": offset}}
	for i := 0; i < len(header); i += 2 {
		q.header[header[i]] = header[i+1]
	}
	return q
}

func TestAppendObject(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	require.Equal(t, "InvalidWriteOffset", h.do(appending("3", "x")).code, "nothing is there")
	first := h.ok(appending("0", "one", "Content-Type", "text/plain", "X-Amz-Meta-A", "b"))
	require.Equal(t, "3", first.header.Get("X-Amz-Object-Size"))
	require.Equal(t, `"f97c5d29941bfb1b2fdab0874906ab82"`, first.header.Get("Etag"), "it is all there is")
	for offset, code := range map[string]string{"0": "InvalidWriteOffset", "4": "InvalidWriteOffset", "-1": "InvalidArgument", "x": "InvalidArgument"} {
		a := h.do(appending(offset, "x"))
		require.Equal(t, code, a.code, offset)
		require.Equal(t, 400, a.status)
	}
	require.Equal(t, "InvalidRequest", h.do(appending("3", "")).code)
	require.Equal(t, "BadDigest", h.do(appending("3", "x", "X-Amz-Checksum-Crc32", crc("y"))).code)
	require.Equal(t, "BadDigest", h.do(appending("3", "x", "Content-Md5", md5Of("y"))).code)
	require.Equal(t, "PreconditionFailed", h.do(appending("3", "x", "If-Match", `"other"`)).code)
	second := h.ok(appending("3", "two", "If-Match", first.header.Get("Etag"), "X-Amz-Checksum-Sha1", hashed(t, checksum.SHA1, "two")))
	require.Equal(t, "6", second.header.Get("X-Amz-Object-Size"))
	require.NotEqual(t, first.header.Get("X-Amz-Version-Id"), second.header.Get("X-Amz-Version-Id"))

	got := h.get("/bucket/log")
	require.Equal(t, "onetwo", got.body)
	require.Equal(t, "text/plain", got.header.Get("Content-Type"))
	require.Equal(t, []string{"b"}, got.header["x-amz-meta-a"])
	require.Equal(t, hashed(t, checksum.CRC64NVME, "onetwo"), checksumOf(h, "/bucket/log", "X-Amz-Checksum-Crc64nvme"))
	require.Equal(t, "one", h.get("/bucket/log?versionId="+first.header.Get("X-Amz-Version-Id")).body)
	part := h.get("/bucket/log?partNumber=2")
	require.Equal(t, "two", part.body)
	require.Equal(t, "2", part.header.Get("X-Amz-Mp-Parts-Count"))
	require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: "/bucket/log", body: "x", key: readKey,
		header: map[string]string{"X-Amz-Write-Offset-Bytes": "6"}}).code)
}

func TestRenameObject(t *testing.T) {
	h := newHarness(t, nil, nil)
	rename := func(to, source string, header ...string) answer {
		q := request{method: "PUT", path: "/bucket/" + to + "?renameObject", header: map[string]string{"X-Amz-Rename-Source": source}}
		for i := 0; i < len(header); i += 2 {
			q.header[header[i]] = header[i+1]
		}
		return h.do(q)
	}
	a := h.put("/bucket/a%20b", "hello")
	h.put("/bucket/c", "other")
	past, future := now().Add(-time.Hour).Format(http.TimeFormat), now().Add(time.Hour).Format(http.TimeFormat)
	for _, c := range [][]string{
		{"NoSuchKey", "b", "none"}, {"InvalidRequest", "a%20b", "a%20b"}, {"InvalidArgument", "b", ""}, {"InvalidArgument", "b", "%ff"},
		{"PreconditionFailed", "c", "a%20b", "If-None-Match", "*"}, {"PreconditionFailed", "c", "a%20b", "If-Match", `"x"`},
		{"PreconditionFailed", "b", "a%20b", "X-Amz-Rename-Source-If-Match", `"x"`},
		{"PreconditionFailed", "b", "a%20b", "X-Amz-Rename-Source-If-None-Match", "*"},
		{"PreconditionFailed", "b", "a%20b", "X-Amz-Rename-Source-If-Unmodified-Since", past},
		{"PreconditionFailed", "b", "a%20b", "X-Amz-Rename-Source-If-Modified-Since", future},
		{"PreconditionFailed", "c", "a%20b", "If-Unmodified-Since", past},
	} {
		require.Equal(t, c[0], rename(c[1], c[2], c[3:]...).code, c)
		require.Equal(t, []string{"a b", "c"}, h.objects(), c)
	}
	require.Equal(t, 200, rename("c", "/a%20b", "X-Amz-Rename-Source-If-Match", a.header.Get("Etag"), "X-Amz-Client-Token", "once").status)
	require.Equal(t, []string{"c"}, h.objects())
	require.Equal(t, "hello", h.get("/bucket/c").body)
	require.Equal(t, 200, rename("c", "a%20b", "X-Amz-Client-Token", "once").status, "asked again")
	require.Equal(t, "IdempotencyParameterMismatch", rename("d", "c", "X-Amz-Client-Token", "once").code)
	require.Equal(t, "NoSuchKey", rename("c", "a%20b", "X-Amz-Client-Token", "another").code)
	require.Equal(t, []string{"c"}, h.objects())
	require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: "/bucket/d?renameObject", key: readKey,
		header: map[string]string{"X-Amz-Rename-Source": "c"}}).code)
}
