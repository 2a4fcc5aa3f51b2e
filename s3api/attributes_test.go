// Goal: GetObjectAttributes tells what was asked for, no more, and pages of parts
// put together are the whole. Method: every attribute by itself and all at once,
// of objects with and without parts and checksums; every page size.
package s3api_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

type attributesAnswer struct {
	ETag         *string
	StorageClass *string
	ObjectSize   *int64
	Checksum     *struct{ ChecksumCRC32, ChecksumCRC64NVME, ChecksumSHA1, ChecksumType string }
	ObjectParts  *struct {
		PartsCount                                       int
		IsTruncated                                      *bool
		MaxParts, PartNumberMarker, NextPartNumberMarker *int
		Part                                             []struct {
			PartNumber    int
			Size          int64
			ChecksumCRC32 string
			ChecksumType  string
		}
	}
}

func (h *harness) attributes(path string, header ...string) (answer, attributesAnswer) {
	h.t.Helper()
	headers := map[string]string{}
	for i := 0; i < len(header); i += 2 {
		headers[header[i]] = header[i+1]
	}
	a := h.ok(request{method: "GET", path: path, header: headers})
	return a, parse[attributesAnswer](h.t, a)
}

const everyAttribute = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"

func TestAttributesOfAPlainObject(t *testing.T) {
	h := newHarness(t, nil, nil)
	sum := crc("hello")
	h.ok(request{method: "PUT", path: "/bucket/a", body: "hello", header: map[string]string{"X-Amz-Checksum-Crc32": sum, "X-Amz-Storage-Class": "REDUCED_REDUNDANCY"}})
	a, got := h.attributes("/bucket/a?attributes", "X-Amz-Object-Attributes", everyAttribute)
	require.Contains(t, a.body, "<GetObjectAttributesResponse ")
	require.Equal(t, "5d41402abc4b2a76b9719d911017c592", *got.ETag, "without quotes")
	require.Equal(t, "REDUCED_REDUNDANCY", *got.StorageClass)
	require.EqualValues(t, 5, *got.ObjectSize)
	require.Equal(t, sum, got.Checksum.ChecksumCRC32)
	require.Equal(t, "FULL_OBJECT", got.Checksum.ChecksumType)
	require.Nil(t, got.ObjectParts)
	require.Equal(t, now().Format(http.TimeFormat), a.header.Get("Last-Modified"))
	require.Empty(t, a.header.Get("X-Amz-Version-Id"))
	for _, name := range strings.Split(everyAttribute, ",") {
		_, got := h.attributes("/bucket/a?attributes", "X-Amz-Object-Attributes", name)
		require.Equal(t, name == "ETag", got.ETag != nil, name)
		require.Equal(t, name == "Checksum", got.Checksum != nil, name)
		require.Equal(t, name == "StorageClass", got.StorageClass != nil, name)
		require.Equal(t, name == "ObjectSize", got.ObjectSize != nil, name)
	}
	h.put("/bucket/empty", "")
	_, got = h.attributes("/bucket/empty?attributes", "X-Amz-Object-Attributes", " ObjectSize , Checksum")
	require.EqualValues(t, 0, *got.ObjectSize)
	require.Equal(t, "AAAAAAAAAAA=", got.Checksum.ChecksumCRC64NVME, "an object that came with none has this one")
	require.Empty(t, got.Checksum.ChecksumCRC32)
}

func TestAttributesThatAreRefused(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	for _, c := range []struct{ name, value, code string }{
		{"X-Amz-Object-Attributes", "", "InvalidRequest"},
		{"X-Amz-Object-Attributes", ",", "InvalidRequest"},
		{"X-Amz-Object-Attributes", "etag", "InvalidArgument"},
		{"X-Amz-Object-Attributes", "ETag,Owner", "InvalidArgument"},
		{"X-Amz-Max-Parts", "-1", "InvalidArgument"},
		{"X-Amz-Max-Parts", "many", "InvalidArgument"},
		{"X-Amz-Max-Parts", "9999999999", "InvalidArgument"},
		{"X-Amz-Part-Number-Marker", "-1", "InvalidArgument"},
	} {
		header := map[string]string{"X-Amz-Object-Attributes": "ObjectParts"}
		header[c.name] = c.value
		require.Equal(t, c.code, h.do(request{method: "GET", path: "/bucket/a?attributes", header: header}).code, c)
	}
	require.Equal(t, "InvalidRequest", h.get("/bucket/a?attributes").code)
}

// uploaded completes parts 2, 4, 6, …: gaps are allowed.
func uploaded(h *harness, key string, parts []string, header map[string]string) {
	h.t.Helper()
	upload := begin(h, key, header)
	var list strings.Builder
	list.WriteString("<CompleteMultipartUpload>")
	for i, body := range parts {
		number := 2 * (i + 1)
		h.put("/bucket/"+key+"?partNumber="+strconv.Itoa(number)+"&uploadId="+upload, body)
		sum := md5.Sum([]byte(body))
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>", number, hex.EncodeToString(sum[:]))
		if header != nil {
			list.WriteString("<ChecksumCRC32>" + crc(body) + "</ChecksumCRC32>")
		}
		list.WriteString("</Part>")
	}
	list.WriteString("</CompleteMultipartUpload>")
	h.ok(request{method: "POST", path: "/bucket/" + key + "?uploadId=" + upload, body: list.String()})
}

func TestAttributesOfParts(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	parts := []string{"one", "another", "3", "four!", "and five"}
	for _, kind := range []string{"COMPOSITE", "FULL_OBJECT"} {
		uploaded(h, kind, parts, map[string]string{"X-Amz-Checksum-Algorithm": "CRC32", "X-Amz-Checksum-Type": kind})
		for limit := 1; limit <= len(parts)+1; limit++ {
			var seen []string
			marker := 0
			for page := 1; ; page++ {
				a, got := h.attributes("/bucket/"+kind+"?attributes", "X-Amz-Object-Attributes", everyAttribute,
					"X-Amz-Max-Parts", strconv.Itoa(limit), "X-Amz-Part-Number-Marker", strconv.Itoa(marker))
				require.NotEmpty(t, a.header.Get("X-Amz-Version-Id"))
				require.Equal(t, kind, got.Checksum.ChecksumType)
				require.True(t, strings.HasSuffix(*got.ETag, "-5"))
				require.Equal(t, []int{5, limit, marker}, []int{got.ObjectParts.PartsCount, *got.ObjectParts.MaxParts, *got.ObjectParts.PartNumberMarker})
				require.LessOrEqual(t, len(got.ObjectParts.Part), limit)
				for _, one := range got.ObjectParts.Part {
					body := parts[len(seen)]
					require.Equal(t, 2*(len(seen)+1), one.PartNumber)
					require.EqualValues(t, len(body), one.Size)
					require.Equal(t, crc(body), one.ChecksumCRC32)
					require.Empty(t, one.ChecksumType, "it is the object's")
					seen = append(seen, body)
				}
				require.Equal(t, 2*len(seen), *got.ObjectParts.NextPartNumberMarker)
				marker = *got.ObjectParts.NextPartNumberMarker
				require.Equal(t, len(seen) < len(parts), *got.ObjectParts.IsTruncated)
				if !*got.ObjectParts.IsTruncated {
					break
				}
				require.Less(t, page, 10)
			}
			require.Equal(t, parts, seen)
		}
	}
	_, got := h.attributes("/bucket/COMPOSITE?attributes", "X-Amz-Object-Attributes", "ObjectParts", "X-Amz-Max-Parts", "5000")
	require.Equal(t, 1000, *got.ObjectParts.MaxParts)
	for header, marker := range map[[2]string]int{{"X-Amz-Max-Parts", "0"}: 0, {"X-Amz-Part-Number-Marker", "11"}: 11, {"X-Amz-Part-Number-Marker", "10"}: 10} {
		_, got := h.attributes("/bucket/COMPOSITE?attributes", "X-Amz-Object-Attributes", "ObjectParts", header[0], header[1])
		require.Empty(t, got.ObjectParts.Part)
		require.False(t, *got.ObjectParts.IsTruncated, "nobody can go on from a page that is always empty")
		require.Equal(t, marker, *got.ObjectParts.NextPartNumberMarker)
	}
}

func TestPartsWithoutChecksumsAreCounted(t *testing.T) {
	h := newHarness(t, nil, nil)
	upload, err := h.store.CreateUpload(t.Context(), bucket, "a", nil)
	require.NoError(t, err)
	for number := 1; number <= 2; number++ { // by the store itself, which adds none
		_, err = h.store.PutPart(t.Context(), bucket, "a", upload.ID, number, strings.NewReader("one"), 3, nil)
		require.NoError(t, err)
	}
	_, err = h.store.CompleteUpload(t.Context(), bucket, "a", upload.ID, []sherd.CompletedPart{{Number: 1}, {Number: 2}}, nil)
	require.NoError(t, err)
	_, got := h.attributes("/bucket/a?attributes", "X-Amz-Object-Attributes", everyAttribute)
	require.Equal(t, 2, got.ObjectParts.PartsCount)
	require.Empty(t, got.ObjectParts.Part)
	require.Nil(t, got.ObjectParts.MaxParts)
	require.EqualValues(t, 6, *got.ObjectSize)
	require.Nil(t, got.Checksum)
}

func TestAttributesOfVersions(t *testing.T) {
	h := newHarness(t, nil, nil)
	ids := versionsOf(h, "a")
	a, got := h.attributes("/bucket/a?attributes&versionId="+ids[1], "X-Amz-Object-Attributes", "ETag")
	require.Equal(t, ids[1], a.header.Get("X-Amz-Version-Id"))
	require.Equal(t, "b8a9f715dbb64fd5c56e7783c6820a61", *got.ETag)
}
