// Goal: the rules of a bucket are kept and given back as they were sent, and every
// answer about an object tells when they let it expire. Method: requests around
// what package lifecycle has tests for.
package s3api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/lifecycle"
	"github.com/sherd-storage/sherd/versioning"
)

func lifecycleOf(rules string) request {
	body := "<LifecycleConfiguration>" + rules + "</LifecycleConfiguration>"
	return request{method: "PUT", path: "/bucket?lifecycle", body: body, header: map[string]string{"Content-Md5": md5Of(body)}}
}

func TestLifecycleConfiguration(t *testing.T) {
	h := newHarness(t, nil, nil)
	a := h.get("/bucket?lifecycle")
	require.Equal(t, "NoSuchLifecycleConfiguration", a.code)
	require.Equal(t, 404, a.status)
	require.Equal(t, 204, h.do(request{method: "DELETE", path: "/bucket?lifecycle"}).status, "there need not be any")
	const rule = "<ID>old</ID><Prefix>a</Prefix><Status>Enabled</Status><Expiration><Days>3</Days></Expiration>"
	q := lifecycleOf("<Rule>" + rule + "</Rule>")
	h.ok(q)
	a = h.get("/bucket?lifecycle")
	require.Contains(t, a.body, "<Rule>"+rule+"</Rule>", "as it was sent")
	require.Equal(t, "all_storage_classes_128K", a.header.Get("X-Amz-Transition-Default-Minimum-Object-Size"))
	require.NotContains(t, a.body, "minimum")
	q.header["X-Amz-Transition-Default-Minimum-Object-Size"] = "varies_by_storage_class"
	require.Equal(t, "varies_by_storage_class", h.ok(q).header.Get("X-Amz-Transition-Default-Minimum-Object-Size"))
	require.Equal(t, "varies_by_storage_class", h.get("/bucket?lifecycle").header.Get("X-Amz-Transition-Default-Minimum-Object-Size"))
	q.header["X-Amz-Transition-Default-Minimum-Object-Size"] = "1"
	require.Equal(t, "InvalidArgument", h.do(q).code)

	for rules, code := range map[string]string{
		"": "MalformedXML", "<Rule><ID>x</ID></Rule>": "MalformedXML",
		"<Rule><Prefix></Prefix><Status>Enabled</Status><Expiration><Days>0</Days></Expiration></Rule>": "InvalidArgument",
		"<Rule><Prefix></Prefix><Status>Enabled</Status></Rule>":                                        "InvalidRequest",
		"<Rule><Prefix></Prefix><Status>Enabled</Status><Transition><Days>1</Days></Transition></Rule>": "NotImplemented",
	} {
		require.Equal(t, code, h.do(lifecycleOf(rules)).code, rules)
	}
	q = lifecycleOf("<Rule>" + rule + "</Rule>")
	q.header["Content-Md5"] = md5Of("other")
	require.Equal(t, "BadDigest", h.do(q).code)
	q = lifecycleOf("<Rule>" + rule + "</Rule>")
	q.key = readKey
	require.Equal(t, "AccessDenied", h.do(q).code)
	require.Equal(t, 204, h.do(request{method: "DELETE", path: "/bucket?lifecycle"}).status)
	require.Equal(t, 404, h.get("/bucket?lifecycle").status)
}

func TestAnswersTellWhenAnObjectExpires(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	first := h.put("/bucket/a/b", "x")
	require.Empty(t, first.header.Get("X-Amz-Expiration"))
	h.ok(lifecycleOf("<Rule><ID>a rule</ID><Filter><And><Prefix>a/</Prefix><Tag><Key>t</Key><Value>1</Value></Tag></And></Filter><Status>Enabled</Status>" +
		"<Expiration><Days>2</Days></Expiration></Rule>"))
	at := lifecycle.Clock{}.After(now(), 2)
	require.Equal(t, 2, int(at.Sub(now())/(24*time.Hour)))
	want := `expiry-date="` + at.Format(http.TimeFormat) + `", rule-id="a%20rule"`
	tagged := map[string]string{"X-Amz-Tagging": "t=1"}
	put := h.ok(request{method: "PUT", path: "/bucket/a/b", body: "x", header: tagged})
	require.Equal(t, want, put.header.Get("X-Amz-Expiration"))
	require.Equal(t, want, h.get("/bucket/a/b").header.Get("X-Amz-Expiration"))
	require.Equal(t, want, h.do(request{method: "HEAD", path: "/bucket/a/b"}).header.Get("X-Amz-Expiration"))
	require.Empty(t, h.get("/bucket/a/b?versionId="+first.header.Get("X-Amz-Version-Id")).header.Get("X-Amz-Expiration"), "not the current one")
	require.Empty(t, h.ok(request{method: "PUT", path: "/bucket/b", body: "x", header: tagged}).header.Get("X-Amz-Expiration"))
	require.Empty(t, h.put("/bucket/a/c", "x").header.Get("X-Amz-Expiration"), "without the tag")
	copied := h.ok(request{method: "PUT", path: "/bucket/a/d", header: map[string]string{"X-Amz-Copy-Source": "bucket/a/b"}})
	require.Equal(t, want, copied.header.Get("X-Amz-Expiration"))
}
