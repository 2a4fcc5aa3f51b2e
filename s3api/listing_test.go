// Goal: pages put together are the whole, without gap and repetition, whatever
// their size, and names come through as they are. Method: walk every kind of
// listing with every page size and compare with a model of it.
package s3api_test

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/versioning"
)

func listingKeys() []string {
	return []string{"a", "a/", "a/1", "a/2", "a0", "b", "b/x/1", "b/x/2", "b/y", "c d", "c+d", "é/1", "é/2", "z--1", "z--2", "zz"}
}

// model is a listing by its definition.
func model(keys []string, prefix, delimiter, after string) []string {
	var out []string
	for _, key := range slices.Sorted(slices.Values(keys)) {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			key = prefix + rest[:i+len(delimiter)]
		}
		skipped := key <= after || delimiter != "" && strings.HasSuffix(after, delimiter) && strings.HasPrefix(key, after)
		if !skipped && !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

// walk reads page after page; next says with which parameters.
func walk(t *testing.T, h *harness, base url.Values, limit int, next func(wireList) url.Values) []string {
	t.Helper()
	found, query := []string{}, base
	for range 100 {
		a := h.get("/bucket?" + query.Encode())
		require.Equal(t, 200, a.status, a.body)
		page := parse[wireList](t, a)
		var names []string
		for _, one := range page.Contents {
			names = append(names, one.Key)
		}
		for _, one := range page.CommonPrefixes {
			names = append(names, one.Prefix)
		}
		require.LessOrEqual(t, len(names), limit)
		if page.EncodingType == "url" {
			for i := range names {
				name, err := url.PathUnescape(names[i])
				require.NoError(t, err)
				names[i] = name
			}
		}
		slices.Sort(names)
		found = append(found, names...)
		if !page.IsTruncated {
			return found
		}
		require.Len(t, names, limit, "a page that is not the last is full")
		query = url.Values{}
		for name, values := range base {
			query[name] = values
		}
		for name, values := range next(page) {
			query[name] = values
		}
		if query.Get("marker") == "" && query.Get("continuation-token") == "" {
			query.Set("marker", names[len(names)-1])
		}
	}
	t.Fatal("the listing has no end")
	return nil
}

func TestPagesOfObjects(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, key := range listingKeys() {
		h.put(path(key), "x")
	}
	for _, limit := range []int{1, 2, 3, 7, 1000} {
		for _, c := range [][3]string{{"", "", ""}, {"", "/", ""}, {"b/", "/", ""}, {"", "--", ""}, {"", "/", "a/"}, {"", "/", "a/1"}, {"", "", "b"}, {"é", "/", ""}, {"none", "", ""}} {
			prefix, delimiter, after := c[0], c[1], c[2]
			want := model(listingKeys(), prefix, delimiter, after)
			base := url.Values{"prefix": {prefix}, "delimiter": {delimiter}, "max-keys": {strconv.Itoa(limit)}, "encoding-type": {"url"}}
			second := url.Values{"list-type": {"2"}, "start-after": {after}}
			first := url.Values{"marker": {after}}
			for name, values := range base {
				second[name], first[name] = values, values
			}
			text := fmt.Sprintf("%q by %d", c, limit)
			require.ElementsMatch(t, want, walk(t, h, second, limit, func(page wireList) url.Values {
				return url.Values{"continuation-token": {page.NextContinuationToken}}
			}), text)
			require.ElementsMatch(t, want, walk(t, h, first, limit, func(page wireList) url.Values {
				marker, err := url.PathUnescape(page.NextMarker)
				require.NoError(t, err)
				require.Equal(t, delimiter == "", marker == "", "the next marker is given where there is a delimiter")
				if marker == "" {
					marker, err = url.PathUnescape(page.Contents[len(page.Contents)-1].Key)
					require.NoError(t, err)
				}
				return url.Values{"marker": {marker}}
			}), text)
		}
	}
}

func TestFieldsOfListings(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a%20b%2B", "hello")
	page := parse[wireList](t, h.get("/bucket?list-type=2"))
	require.Equal(t, "a b+", page.Contents[0].Key)
	require.Equal(t, int64(5), page.Contents[0].Size)
	require.Equal(t, `"5d41402abc4b2a76b9719d911017c592"`, page.Contents[0].ETag)
	require.Equal(t, "2030-01-02T03:04:05.000Z", page.Contents[0].LastModified)
	require.Equal(t, "STANDARD", page.Contents[0].StorageClass)
	require.Empty(t, page.Contents[0].Owner.ID)
	require.Equal(t, 1, page.KeyCount)
	require.Equal(t, 1000, page.MaxKeys)
	require.Equal(t, mainID(), parse[wireList](t, h.get("/bucket?list-type=2&fetch-owner=true")).Contents[0].Owner.ID)
	require.Equal(t, mainID(), parse[wireList](t, h.get("/bucket")).Contents[0].Owner.ID)
	page = parse[wireList](t, h.get("/bucket?list-type=2&encoding-type=url&prefix=a+&start-after=+&delimiter=%2B"))
	require.Equal(t, []string{"a%20", "%20", "%2B", "url"}, []string{page.Prefix, page.StartAfter, page.Delimiter, page.EncodingType})
	require.Equal(t, "a%20b%2B", page.CommonPrefixes[0].Prefix)
	page = parse[wireList](t, h.get("/bucket?list-type=2&max-keys=0"))
	require.False(t, page.IsTruncated)
	require.Empty(t, page.Contents)
	require.Equal(t, 1000, parse[wireList](t, h.get("/bucket?max-keys=99999")).MaxKeys)
}

func TestListingsThatAreRefused(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, query := range []string{
		"max-keys=-1", "max-keys=x", "max-keys=", "max-keys=99999999999", "encoding-type=base64", "list-type=2&continuation-token=!",
		"list-type=2&continuation-token=MmE", "list-type=2&continuation-token=" + strings.Repeat("A", 3000), "versions&version-id-marker=null",
	} {
		require.Equal(t, "InvalidArgument", h.get("/bucket?"+query).code, query)
	}
	for _, query := range []string{"", "?list-type=2", "?list-type=2&max-keys=0", "?max-keys=0", "?versions", "?uploads", "?uploads&max-uploads=0", "?location", "?versioning"} {
		require.Equal(t, "NoSuchBucket", h.get("/nowhere"+query).code, query)
	}
}

type wireVersions struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	IsTruncated         bool
	NextKeyMarker       string
	NextVersionIdMarker string
	Version             []wireVersion
	DeleteMarker        []wireVersion
	CommonPrefixes      []struct{ Prefix string }
}

type wireVersion struct {
	Key, VersionId string
	IsLatest       bool
	Owner          struct{ ID string }
}

func TestPagesOfVersions(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "null")
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	for _, key := range []string{"a", "b/1", "b/1", "b/2", "c"} {
		h.put("/bucket/"+key, "x")
	}
	h.ok(request{method: "DELETE", path: "/bucket/a"})
	h.ok(request{method: "DELETE", path: "/bucket/c"})
	var want []string
	for info, err := range h.store.ListVersions(t.Context(), bucket, nil) {
		require.NoError(t, err)
		want = append(want, fmt.Sprint(info.Key, " ", info.VersionID, " ", info.Latest, " ", info.DeleteMarker))
	}
	require.Len(t, want, 8)
	for limit := 1; limit <= 9; limit++ {
		var got []string
		query := ""
		for range 10 {
			page := parse[wireVersions](t, h.get("/bucket?versions&max-keys="+strconv.Itoa(limit)+query))
			for _, one := range page.Version {
				require.Equal(t, mainID(), one.Owner.ID)
				got = append(got, fmt.Sprint(one.Key, " ", one.VersionId, " ", one.IsLatest, " false"))
			}
			for _, one := range page.DeleteMarker {
				got = append(got, fmt.Sprint(one.Key, " ", one.VersionId, " ", one.IsLatest, " true"))
			}
			if !page.IsTruncated {
				break
			}
			query = "&key-marker=" + url.QueryEscape(page.NextKeyMarker) + "&version-id-marker=" + page.NextVersionIdMarker
		}
		require.ElementsMatch(t, want, got, "by %d", limit)
	}
	page := parse[wireVersions](t, h.get("/bucket?versions&delimiter=/"))
	require.Equal(t, "b/", page.CommonPrefixes[0].Prefix)
	require.Len(t, page.Version, 3)
}

// A marker within a common prefix stands for all of it, in every listing.
func TestMarkersWithinACommonPrefix(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, key := range []string{"a/1", "a/2", "b"} {
		h.put(path(key), "x")
		begin(h, key, nil)
	}
	for _, query := range []string{
		"marker=a/1", "list-type=2&start-after=a/1", "versions&key-marker=a/1", "versions&key-marker=a/1&version-id-marker=null",
		"uploads&key-marker=a/1", "uploads&key-marker=a/1&upload-id-marker=0000000000000001-0000000000000001",
	} {
		a := h.get("/bucket?delimiter=/&" + query)
		require.Equal(t, 200, a.status, a.body)
		require.NotContains(t, a.body, "CommonPrefixes", query)
		require.Contains(t, a.body, "<Key>b</Key>", query)
	}
}

// Keys that XML cannot have are told whole to who asks for them encoded, and make
// no document malformed.
func TestKeysThatXMLCannotHave(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	want := []string{"\x01/a", "a\x19b", "a\ufffeb"}
	for _, key := range want {
		h.put(path(key), "x")
		h.ok(request{method: "POST", path: path(key) + "?uploads"})
	}
	type all struct {
		Contents, Version, Upload []struct{ Key string }
		CommonPrefixes            []struct{ Prefix string }
	}
	for _, query := range []string{"list-type=2", "marker=%01", "versions&prefix=%01", "versions", "uploads", "uploads&prefix=%01&delimiter=/"} {
		for _, encoding := range []string{"", "&encoding-type=url"} {
			page := parse[all](t, h.get("/bucket?"+query+encoding))
			found := append(append(page.Contents, page.Version...), page.Upload...)
			require.NotZero(t, len(found)+len(page.CommonPrefixes), query)
			for _, one := range found {
				key, err := url.PathUnescape(one.Key)
				require.NoError(t, err)
				if encoding != "" {
					require.Contains(t, want, key)
				} else {
					require.Contains(t, key, "\ufffd")
				}
			}
		}
	}
	page := parse[wireList](t, h.get("/bucket?list-type=2&max-keys=1"))
	page = parse[wireList](t, h.get("/bucket?list-type=2&encoding-type=url&continuation-token="+page.NextContinuationToken))
	require.Len(t, page.Contents, 2, "a token goes on where a marker could not")
	body := "<Delete><Object><Key>a&#xFFFD;b</Key></Object></Delete>"
	a := h.ok(request{method: "POST", path: "/bucket?delete", body: body, header: map[string]string{"Content-Md5": md5Of(body)}})
	require.Contains(t, a.body, "<Key>a\ufffdb</Key>")
	require.ElementsMatch(t, want, h.objects(), "another key is another key")
}

func TestVersionsWithoutVersioningAreNull(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	page := parse[wireVersions](t, h.get("/bucket?versions"))
	require.Equal(t, "null", page.Version[0].VersionId)
	require.True(t, page.Version[0].IsLatest)
}

func TestPagesOfBuckets(t *testing.T) {
	h := newHarness(t, nil, nil)
	want := []string{bucket}
	for i := range 7 {
		name := fmt.Sprintf("more-%d", i)
		want = append(want, name)
		_, err := h.store.CreateBucket(t.Context(), name, &sherd.BucketOptions{Owner: fullKey})
		require.NoError(t, err)
	}
	type result struct {
		XMLName           xml.Name `xml:"ListAllMyBucketsResult"`
		Owner             struct{ ID string }
		ContinuationToken string
		Buckets           struct {
			Bucket []struct{ Name, CreationDate, BucketRegion string }
		}
	}
	var got []string
	query := ""
	for range 10 {
		page := parse[result](t, h.get("/?max-buckets=3"+query))
		require.Equal(t, s3api.CanonicalID(s3api.DefaultAccount), page.Owner.ID)
		for _, one := range page.Buckets.Bucket {
			require.NotEmpty(t, one.CreationDate)
			require.Equal(t, "us-east-1", one.BucketRegion)
			got = append(got, one.Name)
		}
		if page.ContinuationToken == "" {
			break
		}
		query = "&continuation-token=" + page.ContinuationToken
	}
	require.Equal(t, want, got)
	require.Len(t, parse[result](t, h.get("/?prefix=more-")).Buckets.Bucket, 7)
	for _, query := range []string{"max-buckets=0", "max-buckets=x", "continuation-token=!"} {
		require.Equal(t, "InvalidArgument", h.get("/?"+query).code, query)
	}
}
