// Goal: tags of objects and of buckets are set, told and removed as on S3, and
// those that cannot be are refused. Method: every operation on every kind of
// version, and tags at and beside each limit.
package s3api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

// tagging is a document with tags: names and values by turns.
func tagging(pairs ...string) string {
	var b strings.Builder
	b.WriteString(`<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>`)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", pairs[i], pairs[i+1])
	}
	return b.String() + "</TagSet></Tagging>"
}

// manyTags is so many different tags.
func manyTags(n int) string {
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprintf("k%02d", i), "v")
	}
	return tagging(pairs...)
}

// tags reads a document with tags, in the order in which it has them.
func tags(t *testing.T, a answer) []string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Contains(t, a.body, "<TagSet>", "it stands there even when it is empty")
	type tag struct{ Key, Value string }
	document := parse[struct {
		Tags []tag `xml:"TagSet>Tag"`
	}](t, a)
	out := []string{}
	for _, one := range document.Tags {
		out = append(out, one.Key+"="+one.Value)
	}
	return out
}

// versionsOf makes a key with two versions and a delete marker over them, oldest
// first.
func versionsOf(h *harness, key string) []string {
	h.t.Helper()
	require.NoError(h.t, h.store.SetVersioning(h.t.Context(), bucket, versioning.Enabled))
	ids := []string{h.put("/bucket/"+key, "one").header.Get("X-Amz-Version-Id"), h.put("/bucket/"+key, "two").header.Get("X-Amz-Version-Id")}
	return append(ids, h.ok(request{method: "DELETE", path: "/bucket/" + key}).header.Get("X-Amz-Version-Id"))
}

func TestTagsOfObjects(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.ok(request{method: "PUT", path: "/bucket/a", body: "x", header: map[string]string{"X-Amz-Tagging": "z=1&a=%2B%20%C3%A9&e"}})
	require.Equal(t, []string{"a=+ é", "e=", "z=1"}, tags(t, h.get("/bucket/a?tagging")))

	before := h.get("/bucket/a")
	a := h.do(request{method: "PUT", path: "/bucket/a?tagging", body: tagging("Purpose", "a test", "m", "")})
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.body)
	require.Empty(t, a.header.Get("X-Amz-Version-Id"))
	require.Equal(t, []string{"Purpose=a test", "m="}, tags(t, h.get("/bucket/a?tagging")), "all are replaced")
	after := h.get("/bucket/a")
	require.Equal(t, "2", after.header.Get("X-Amz-Tagging-Count"))
	for _, name := range []string{"Etag", "Last-Modified", "Content-Type", "Content-Length"} {
		require.Equal(t, before.header.Get(name), after.header.Get(name), "tags change nothing else: %s", name)
	}
	require.Equal(t, before.body, after.body)

	require.Equal(t, http.StatusOK, h.do(request{method: "PUT", path: "/bucket/a?tagging", body: tagging()}).status)
	require.Empty(t, tags(t, h.get("/bucket/a?tagging")))
	h.ok(request{method: "PUT", path: "/bucket/a?tagging", body: tagging("k", "v")})
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: "/bucket/a?tagging"}).status)
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: "/bucket/a?tagging"}).status, "none to delete is well")
	require.Empty(t, tags(t, h.get("/bucket/a?tagging")))
	require.Empty(t, h.get("/bucket/a").header.Get("X-Amz-Tagging-Count"))
	require.Equal(t, "x", h.get("/bucket/a").body)
}

func TestTagsOfVersions(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "null")
	ids := versionsOf(h, "a")
	for i, id := range append([]string{"null"}, ids[:2]...) {
		value := fmt.Sprint("v", i)
		for _, q := range []request{
			{method: "PUT", path: "/bucket/a?tagging&versionId=" + id, body: tagging("k", value)},
			{method: "GET", path: "/bucket/a?tagging&versionId=" + id},
		} {
			require.Equal(t, id, h.ok(q).header.Get("X-Amz-Version-Id"), q.method)
		}
		require.Equal(t, []string{"k=" + value}, tags(t, h.get("/bucket/a?tagging&versionId="+id)))
	}
	a := h.do(request{method: "DELETE", path: "/bucket/a?tagging&versionId=" + ids[0]})
	require.Equal(t, http.StatusNoContent, a.status)
	require.Equal(t, ids[0], a.header.Get("X-Amz-Version-Id"))
	require.Empty(t, tags(t, h.get("/bucket/a?tagging&versionId="+ids[0])))
	require.Equal(t, []string{"k=v2"}, tags(t, h.get("/bucket/a?tagging&versionId="+ids[1])), "the others have theirs")
	latest := h.put("/bucket/a", "three").header.Get("X-Amz-Version-Id")
	require.Equal(t, latest, h.ok(request{method: "PUT", path: "/bucket/a?tagging", body: tagging("k", "v")}).header.Get("X-Amz-Version-Id"))
	require.Equal(t, latest, h.get("/bucket/a?tagging").header.Get("X-Amz-Version-Id"))
	require.Empty(t, h.get("/bucket/a?tagging&versionId="+ids[0]).header.Get("X-Amz-Tagging-Count"))
}

// aboutVersions are the operations on one version that are not about its bytes,
// each with a body that is good.
func aboutVersions() []request {
	attributes := map[string]string{"X-Amz-Object-Attributes": "ETag"}
	return []request{
		{method: "GET", path: "tagging"}, {method: "PUT", path: "tagging", body: tagging("k", "v")}, {method: "DELETE", path: "tagging"},
		{method: "GET", path: "attributes", header: attributes},
		{method: "GET", path: "retention"}, {method: "GET", path: "legal-hold"}, {method: "PUT", path: "legal-hold", body: hold("ON")},
		{method: "PUT", path: "retention", body: retention("GOVERNANCE", "2031-01-01T00:00:00Z")},
	}
}

// What is not there is told as on reads, and nothing is made.
func TestVersionsThatAreNotThere(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	ids := versionsOf(h, "a")
	h.ok(request{method: "PUT", path: "/bucket?object-lock", body: lockOf("")})
	for _, q := range aboutVersions() {
		for path, want := range map[string]string{
			"/nowhere/a?":                         "NoSuchBucket",
			"/bucket/missing?":                    "NoSuchKey",
			"/bucket/a?":                          "NoSuchKey",
			"/bucket/a?versionId=null&":           "NoSuchVersion",
			"/bucket/a?versionId=" + ids[2] + "&": "MethodNotAllowed",
			"/bucket/a?versionId=nonsense&":       "NoSuchVersion",
			"/bucket/a?versionId=&":               "InvalidArgument",
		} {
			one := q
			one.path = path + q.path
			a := h.do(one)
			text := fmt.Sprintf("%s %s: %d %s", one.method, one.path, a.status, a.body)
			require.Equal(t, want, a.code, text)
			if want == "MethodNotAllowed" || path == "/bucket/a?" {
				require.Equal(t, []string{"true", ids[2]}, []string{a.header.Get("X-Amz-Delete-Marker"), a.header.Get("X-Amz-Version-Id")}, text)
			}
			if want == "MethodNotAllowed" {
				require.Equal(t, "DELETE", a.header.Get("Allow"), text)
				require.Equal(t, now().Format(http.TimeFormat), a.header.Get("Last-Modified"), text)
			}
		}
	}
	require.Empty(t, h.objects())
}

func TestTagsThatAreRefused(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	long := func(n int) string { return strings.Repeat("é", n) }
	for _, c := range []struct{ body, object, bucket string }{
		{tagging("a", "b", "a", "c"), "InvalidTag", "InvalidTag"},
		{tagging("", "b"), "InvalidTag", "InvalidTag"},
		{tagging(long(129), "b"), "InvalidTag", "InvalidTag"},
		{tagging(long(128), long(256)), "", ""},
		{tagging("a", long(257)), "InvalidTag", "InvalidTag"},
		{tagging("aws:a", "b"), "InvalidTag", "InvalidTag"},
		{tagging("AWS:a", "b"), "InvalidTag", "InvalidTag"},
		{tagging("a", "b&#x9;c"), "InvalidTag", "InvalidTag"},
		{tagging("a|b", "c"), "InvalidTag", "InvalidTag"},
		{tagging("a", "{b}"), "InvalidTag", "InvalidTag"},
		{tagging("a +-=._:/@9", "aws:Ωмега हिन्दी"), "", ""},
		{manyTags(10), "", ""},
		{manyTags(11), "InvalidTag", ""},
		{manyTags(50), "InvalidTag", ""},
		{manyTags(51), "InvalidTag", "InvalidTag"},
		{"", "MalformedXML", "MalformedXML"},
		{"<Tagging>", "MalformedXML", "MalformedXML"},
		{"<Tags></Tags>", "MalformedXML", "MalformedXML"},
		{tagging("a", "b") + "<Tagging/>", "MalformedXML", "MalformedXML"},
		{`<!DOCTYPE t [<!ENTITY e "e">]>` + tagging("a", "&e;"), "MalformedXML", "MalformedXML"},
	} {
		require.Equal(t, c.object, h.do(request{method: "PUT", path: "/bucket/a?tagging", body: c.body}).code, c.body)
		require.Equal(t, c.bucket, h.do(request{method: "PUT", path: "/bucket?tagging", body: c.body}).code, c.body)
	}
	require.Len(t, tags(t, h.get("/bucket/a?tagging")), 10, "what was refused changed nothing")
	require.Len(t, tags(t, h.get("/bucket?tagging")), 50)
	for _, header := range []string{"a=b&a=c", "=b", "aws:a=b", "a%09=b", strings.Repeat("a=b&", 11)} {
		a := h.do(request{method: "PUT", path: "/bucket/b", body: "x", header: map[string]string{"X-Amz-Tagging": header}})
		require.Contains(t, []string{"InvalidTag", "InvalidArgument"}, a.code, header)
	}
	a := h.do(request{method: "PUT", path: "/bucket/a?tagging", body: tagging("a", "b"), header: map[string]string{"Content-Md5": md5Of("c")}})
	require.Equal(t, "BadDigest", a.code)
	require.Equal(t, []string{"a"}, h.objects())
}

func TestTagsOfBuckets(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.Equal(t, "NoSuchTagSet", h.get("/bucket?tagging").code)
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: "/bucket?tagging"}).status)
	a := h.do(request{method: "PUT", path: "/bucket?tagging", body: tagging("z", "1", "a", "<&amp;>")})
	require.Equal(t, "MalformedXML", a.code)
	a = h.do(request{method: "PUT", path: "/bucket?tagging", body: tagging("z", "1", "a", "2")})
	require.Equal(t, http.StatusNoContent, a.status)
	require.Equal(t, []string{"a=2", "z=1"}, tags(t, h.get("/bucket?tagging")))
	h.ok(request{method: "PUT", path: "/bucket?tagging", body: tagging("only", "one")})
	require.Equal(t, []string{"only=one"}, tags(t, h.get("/bucket?tagging")))
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: "/bucket?tagging"}).status)
	require.Equal(t, "NoSuchTagSet", h.get("/bucket?tagging").code)
	h.ok(request{method: "HEAD", path: "/bucket"})
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		a := h.do(request{method: method, path: "/nowhere?tagging", body: map[string]string{"PUT": tagging("a", "b")}[method]})
		require.Equal(t, "NoSuchBucket", a.code, method)
	}
	// A bucket of the same name that is made anew has none.
	h.ok(request{method: "PUT", path: "/bucket?tagging", body: tagging("k", "v")})
	require.NoError(t, h.store.DeleteBucket(t.Context(), bucket))
	_, err := h.store.CreateBucket(t.Context(), bucket, &sherd.BucketOptions{Owner: fullKey})
	require.NoError(t, err)
	require.Equal(t, "NoSuchTagSet", h.get("/bucket?tagging").code)
}

func TestCopiesTakeTagsAlong(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	h.ok(request{method: "PUT", path: "/bucket/a?tagging", body: tagging("k", "v")})
	source := map[string]string{"X-Amz-Copy-Source": "/bucket/a"}
	h.ok(request{method: "PUT", path: "/bucket/b", header: source})
	require.Equal(t, []string{"k=v"}, tags(t, h.get("/bucket/b?tagging")))
	source["X-Amz-Tagging-Directive"], source["X-Amz-Tagging"] = "REPLACE", "new=one"
	h.ok(request{method: "PUT", path: "/bucket/c", header: source})
	require.Equal(t, []string{"new=one"}, tags(t, h.get("/bucket/c?tagging")))
}
