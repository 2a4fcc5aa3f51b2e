// Goal: object lock over the wire is what S3 says it is, and keeps what it
// promises whoever asks. Method: tables of configurations, retentions and holds,
// each tried against the clock that the store was given; what is protected is
// tried to be destroyed in every way that there is.
package s3api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/versioning"
)

func lockOf(rule string) string {
	return `<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ObjectLockEnabled>Enabled</ObjectLockEnabled>` + rule + `</ObjectLockConfiguration>`
}

func rule(inner string) string {
	return "<Rule><DefaultRetention>" + inner + "</DefaultRetention></Rule>"
}

func retention(mode, until string) string {
	return "<Retention><Mode>" + mode + "</Mode><RetainUntilDate>" + until + "</RetainUntilDate></Retention>"
}

func hold(status string) string { return "<LegalHold><Status>" + status + "</Status></LegalHold>" }

// newLocked is a harness whose bucket has object lock.
func newLocked(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t, nil, nil)
	require.NoError(t, h.store.DeleteBucket(t.Context(), bucket))
	_, err := h.store.CreateBucket(t.Context(), bucket, &sherd.BucketOptions{Owner: fullKey, ObjectLock: true})
	require.NoError(t, err)
	return h
}

// in is a date so long after the clock's.
func (h *harness) in(d time.Duration) string {
	return h.now().Add(d).Format("2006-01-02T15:04:05.000Z")
}

func bypassing() map[string]string {
	return map[string]string{"X-Amz-Bypass-Governance-Retention": "true"}
}

func TestLockConfiguration(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.Equal(t, "ObjectLockConfigurationNotFoundError", h.get("/bucket?object-lock").code)
	require.Equal(t, http.StatusNotFound, h.get("/bucket?object-lock").status)
	require.Equal(t, "NoSuchBucket", h.get("/nowhere?object-lock").code)
	require.Equal(t, "NoSuchBucket", h.do(request{method: "PUT", path: "/nowhere?object-lock", body: lockOf("")}).code)
	require.Equal(t, "InvalidBucketState", h.do(request{method: "PUT", path: "/bucket?object-lock", body: lockOf("")}).code, "versioning comes first")
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	for _, c := range []struct{ rule, code, told string }{
		{"", "", "<ObjectLockEnabled>Enabled</ObjectLockEnabled></Object"},
		{rule("<Mode>GOVERNANCE</Mode><Days>1</Days>"), "", "<Mode>GOVERNANCE</Mode><Days>1</Days>"},
		{rule("<Years>100</Years><Mode>COMPLIANCE</Mode>"), "", "<Mode>COMPLIANCE</Mode><Years>100</Years>"},
		{rule("<Mode>GOVERNANCE</Mode><Days>36500</Days>"), "", "<Days>36500</Days>"},
		{rule("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"), "MalformedXML", ""},
		{rule("<Mode>GOVERNANCE</Mode>"), "MalformedXML", ""},
		{rule("<Days>1</Days>"), "MalformedXML", ""},
		{rule("<Mode>governance</Mode><Days>1</Days>"), "MalformedXML", ""},
		{rule("<Mode>OFF</Mode><Days>1</Days>"), "MalformedXML", ""},
		{rule("<Mode>GOVERNANCE</Mode><Days>many</Days>"), "MalformedXML", ""},
		{"<Rule/>", "MalformedXML", ""},
		{rule("<Mode>GOVERNANCE</Mode><Days>0</Days>"), "InvalidRetentionPeriod", ""},
		{rule("<Mode>GOVERNANCE</Mode><Days>-1</Days>"), "InvalidRetentionPeriod", ""},
		{rule("<Mode>GOVERNANCE</Mode><Days>36501</Days>"), "InvalidArgument", ""},
		{rule("<Mode>GOVERNANCE</Mode><Years>101</Years>"), "InvalidArgument", ""},
	} {
		a := h.do(request{method: "PUT", path: "/bucket?object-lock", body: lockOf(c.rule)})
		require.Equal(t, c.code, a.code, c.rule)
		if c.code == "" {
			require.Equal(t, http.StatusOK, a.status)
			require.Contains(t, h.get("/bucket?object-lock").body, c.told)
		}
	}
	require.Contains(t, h.get("/bucket?object-lock").body, "<Days>36500</Days>", "what was refused changed nothing")
	for _, body := range []string{"", "<a/>", "<ObjectLockConfiguration/>", "<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled></ObjectLockConfiguration>"} {
		require.Equal(t, "MalformedXML", h.do(request{method: "PUT", path: "/bucket?object-lock", body: body}).code, body)
	}
	suspend := `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`
	require.Equal(t, "InvalidBucketState", h.do(request{method: "PUT", path: "/bucket?versioning", body: suspend}).code)
}

func TestLocksNeedABucketWithThem(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	for _, q := range []request{
		{method: "GET", path: "/bucket/a?retention"}, {method: "GET", path: "/bucket/a?legal-hold"},
		{method: "PUT", path: "/bucket/a?legal-hold", body: hold("ON")},
		{method: "PUT", path: "/bucket/a?retention", body: retention("GOVERNANCE", h.in(time.Hour))},
		{method: "PUT", path: "/bucket/a", body: "y", header: map[string]string{"X-Amz-Object-Lock-Legal-Hold": "ON"}},
		{method: "PUT", path: "/bucket/a", body: "y", header: map[string]string{"X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": h.in(time.Hour)}},
		{method: "POST", path: "/bucket/a?uploads", header: map[string]string{"X-Amz-Object-Lock-Legal-Hold": "ON"}},
	} {
		a := h.do(q)
		require.Equal(t, "InvalidRequest", a.code, "%s %s", q.method, q.path)
		require.Equal(t, http.StatusBadRequest, a.status)
	}
	require.Equal(t, "x", h.get("/bucket/a").body)
}

func TestRetentionsThatAreRefused(t *testing.T) {
	h := newLocked(t)
	h.put("/bucket/a", "x")
	require.Equal(t, "NoSuchObjectLockConfiguration", h.get("/bucket/a?retention").code)
	require.Contains(t, h.get("/bucket/a?legal-hold").body, "<Status>OFF</Status>")
	for body, code := range map[string]string{
		"":     "MalformedXML",
		"<a/>": "MalformedXML",
		"<Retention><Mode>GOVERNANCE</Mode></Retention>":                                 "MalformedXML",
		"<Retention><RetainUntilDate>2031-01-01T00:00:00Z</RetainUntilDate></Retention>": "MalformedXML",
		retention("Governance", h.in(time.Hour)):                                         "MalformedXML",
		retention("GOVERNANCE", "2031-01-01"):                                            "MalformedXML",
		retention("GOVERNANCE", "tomorrow"):                                              "MalformedXML",
		retention("GOVERNANCE", h.in(0)):                                                 "InvalidArgument",
		retention("GOVERNANCE", h.in(-time.Hour)):                                        "InvalidArgument",
		retention("COMPLIANCE", "0001-01-01T00:00:00Z"):                                  "InvalidArgument",
	} {
		require.Equal(t, code, h.do(request{method: "PUT", path: "/bucket/a?retention", body: body}).code, body)
	}
	for _, body := range []string{"", hold("on"), hold(""), "<LegalHold/>", "<LegalHold><Status>ON</Status></LegalHold>x"} {
		require.Equal(t, "MalformedXML", h.do(request{method: "PUT", path: "/bucket/a?legal-hold", body: body}).code, body)
	}
	a := h.do(request{method: "PUT", path: "/bucket/a?retention", body: retention("GOVERNANCE", h.in(time.Hour)), header: map[string]string{"X-Amz-Bypass-Governance-Retention": "yes"}})
	require.Equal(t, "InvalidArgument", a.code)
	require.Equal(t, "NoSuchObjectLockConfiguration", h.get("/bucket/a?retention").code)
	for _, header := range []map[string]string{
		{"X-Amz-Object-Lock-Mode": "GOVERNANCE"}, {"X-Amz-Object-Lock-Retain-Until-Date": h.in(time.Hour)},
		{"X-Amz-Object-Lock-Mode": "x", "X-Amz-Object-Lock-Retain-Until-Date": h.in(time.Hour)},
		{"X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": h.in(0)},
		{"X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": "x"},
		{"X-Amz-Object-Lock-Legal-Hold": "on"},
	} {
		require.Equal(t, "InvalidArgument", h.do(request{method: "PUT", path: "/bucket/b", body: "x", header: header}).code, header)
	}
	require.Equal(t, []string{"a"}, h.objects())
}

// protects says that a version is destroyed by nothing that the header allows.
func (h *harness) protects(path string, header map[string]string) {
	h.t.Helper()
	require.Equal(h.t, "AccessDenied", h.do(request{method: "DELETE", path: path, header: header}).code)
	key, id := "a", path[len("/bucket/a?versionId="):]
	body := fmt.Sprintf("<Delete><Object><Key>%s</Key><VersionId>%s</VersionId></Object></Delete>", key, id)
	a := h.ok(request{method: "POST", path: "/bucket?delete", header: with(header, "Content-Md5", md5Of(body)), body: body})
	require.Contains(h.t, a.body, "<Code>AccessDenied</Code>")
	h.ok(request{method: "GET", path: path})
}

func TestGovernance(t *testing.T) {
	h := newLocked(t)
	id := h.put("/bucket/a", "x").header.Get("X-Amz-Version-Id")
	version := "/bucket/a?versionId=" + id
	set := func(body string, header map[string]string) string {
		t.Helper()
		a := h.do(request{method: "PUT", path: version + "&retention", body: body, header: header})
		if a.code == "" {
			require.Equal(t, id, a.header.Get("X-Amz-Version-Id"))
		}
		return a.code
	}
	require.Empty(t, set(retention("GOVERNANCE", h.in(time.Hour)), nil))
	a := h.get("/bucket/a?retention")
	require.Equal(t, id, a.header.Get("X-Amz-Version-Id"))
	require.Contains(t, a.body, "<Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-02T04:04:05.000Z</RetainUntilDate>")
	require.Equal(t, "GOVERNANCE", h.get("/bucket/a").header.Get("X-Amz-Object-Lock-Mode"))
	require.Equal(t, "2030-01-02T04:04:05.000Z", h.get("/bucket/a").header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	h.protects(version, nil)
	h.protects(version, map[string]string{"X-Amz-Bypass-Governance-Retention": "false"})

	require.Equal(t, "AccessDenied", set(retention("GOVERNANCE", h.in(time.Minute)), nil), "shorter")
	require.Equal(t, "AccessDenied", set(retention("COMPLIANCE", h.in(2*time.Hour)), nil), "another mode")
	require.Equal(t, "AccessDenied", set("<Retention/>", nil), "none")
	require.Empty(t, set(retention("GOVERNANCE", h.in(time.Hour)), nil), "the same")
	require.Empty(t, set(retention("GOVERNANCE", h.in(2*time.Hour)), nil), "longer")
	require.Empty(t, set(retention("GOVERNANCE", h.in(time.Minute)), bypassing()), "shorter with a bypass")
	h.protects(version, nil)
	h.advance(time.Minute - 1)
	h.protects(version, nil)
	h.advance(1)
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: version}).status, "the clock is the store's")

	id = h.put("/bucket/a", "y").header.Get("X-Amz-Version-Id")
	version = "/bucket/a?versionId=" + id
	require.Empty(t, set(retention("GOVERNANCE", h.in(time.Hour)), nil))
	require.Empty(t, set("<Retention/>", bypassing()), "removed with a bypass")
	require.Equal(t, "NoSuchObjectLockConfiguration", h.get("/bucket/a?retention").code)
	require.Empty(t, set(retention("GOVERNANCE", h.in(time.Hour)), nil))
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: version, header: bypassing()}).status)
}

func TestCompliance(t *testing.T) {
	h := newLocked(t)
	header := map[string]string{"X-Amz-Object-Lock-Mode": "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date": h.in(time.Hour)}
	id := h.ok(request{method: "PUT", path: "/bucket/a", body: "x", header: header}).header.Get("X-Amz-Version-Id")
	version := "/bucket/a?versionId=" + id
	for _, header := range []map[string]string{nil, bypassing()} {
		h.protects(version, header)
		for _, body := range []string{
			"<Retention/>", retention("COMPLIANCE", h.in(time.Hour-time.Millisecond)), retention("GOVERNANCE", h.in(2*time.Hour)),
		} {
			require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: version + "&retention", body: body, header: header}).code, body)
		}
	}
	h.ok(request{method: "PUT", path: "/bucket/a?retention", body: retention("COMPLIANCE", h.in(time.Hour+time.Millisecond))})
	h.put("/bucket/a", "over it")
	h.ok(request{method: "DELETE", path: "/bucket/a"})
	h.protects(version, bypassing())
	h.advance(time.Hour + time.Millisecond)
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: version}).status)
}

func TestLegalHold(t *testing.T) {
	h := newLocked(t)
	id := h.put("/bucket/a", "x").header.Get("X-Amz-Version-Id")
	version := "/bucket/a?versionId=" + id
	for range 2 {
		require.Equal(t, id, h.ok(request{method: "PUT", path: version + "&legal-hold", body: hold("ON")}).header.Get("X-Amz-Version-Id"))
		require.Contains(t, h.get("/bucket/a?legal-hold").body, "<Status>ON</Status>")
		require.Equal(t, "ON", h.get("/bucket/a").header.Get("X-Amz-Object-Lock-Legal-Hold"))
		h.protects(version, bypassing())
		h.advance(1000 * time.Hour)
	}
	h.protects(version, bypassing())
	h.ok(request{method: "PUT", path: "/bucket/a?tagging", body: tagging("k", "v")})
	h.protects(version, bypassing())
	h.ok(request{method: "PUT", path: "/bucket/a?legal-hold", body: hold("OFF")})
	require.Empty(t, h.get("/bucket/a").header.Get("X-Amz-Object-Lock-Legal-Hold"))
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: version}).status)
}

func TestDefaultRetention(t *testing.T) {
	h := newLocked(t)
	h.put("/bucket/before", "x")
	h.ok(request{method: "PUT", path: "/bucket?object-lock", body: lockOf(rule("<Mode>COMPLIANCE</Mode><Days>2</Days>"))})
	require.Empty(t, h.get("/bucket/before").header.Get("X-Amz-Object-Lock-Mode"), "it is for new versions")
	h.put("/bucket/put", "x")
	h.ok(request{method: "PUT", path: "/bucket/copied", header: map[string]string{"X-Amz-Copy-Source": "/bucket/before"}})
	upload := begin(h, "completed", nil)
	h.put("/bucket/completed?partNumber=1&uploadId="+upload, "x")
	h.ok(request{method: "POST", path: "/bucket/completed?uploadId=" + upload, body: listOf("x")})
	for _, key := range []string{"put", "copied", "completed"} {
		header := h.get("/bucket/" + key).header
		require.Equal(t, "COMPLIANCE", header.Get("X-Amz-Object-Lock-Mode"), key)
		require.Equal(t, h.in(48*time.Hour), header.Get("X-Amz-Object-Lock-Retain-Until-Date"), key)
	}
	own := map[string]string{"X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": h.in(time.Hour)}
	h.ok(request{method: "PUT", path: "/bucket/own", body: "x", header: own})
	require.Equal(t, "GOVERNANCE", h.get("/bucket/own").header.Get("X-Amz-Object-Lock-Mode"), "the request's own wins")
	h.ok(request{method: "PUT", path: "/bucket?object-lock", body: lockOf("")})
	h.put("/bucket/after", "x")
	require.Empty(t, h.get("/bucket/after").header.Get("X-Amz-Object-Lock-Mode"))
	require.Equal(t, "COMPLIANCE", h.get("/bucket/put").header.Get("X-Amz-Object-Lock-Mode"))
}

// Dates have milliseconds on the wire: who sets again what he was told shortens
// nothing.
func TestADateThatIsReadAndSetAgain(t *testing.T) {
	h := newLocked(t)
	h.advance(123_456_789)
	h.ok(request{method: "PUT", path: "/bucket?object-lock", body: lockOf(rule("<Mode>COMPLIANCE</Mode><Days>1</Days>"))})
	h.put("/bucket/default", "x")
	h.ok(request{method: "PUT", path: "/bucket/given", body: "x", header: map[string]string{
		"X-Amz-Object-Lock-Mode": "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date": "2030-02-01T00:00:00.000000001Z",
	}})
	for key, want := range map[string]string{"default": "2030-01-03T03:04:05.124Z", "given": "2030-02-01T00:00:00.001Z"} {
		require.Equal(t, want, h.get("/bucket/"+key).header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
		told := h.ok(request{method: "GET", path: "/bucket/" + key + "?retention"}).body
		require.Contains(t, told, want)
		h.ok(request{method: "PUT", path: "/bucket/" + key + "?retention", body: told})
	}
}

// What a lock protects is no matter of who asks; that governance may be bypassed is.
func TestBypassIsAuthorized(t *testing.T) {
	may := &asked{}
	h := newHarness(t, func(o *s3api.Options) { o.Authorizer = may }, nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	h.ok(request{method: "PUT", path: "/bucket?object-lock", body: lockOf("")})
	id := h.put("/bucket/a", "x").header.Get("X-Amz-Version-Id")
	h.ok(request{method: "PUT", path: "/bucket/a?retention", body: retention("GOVERNANCE", h.in(time.Hour))})
	for _, query := range []string{"retention", "versionId=" + id + "&retention"} {
		resource := " bucket/a?"
		if query != "retention" {
			resource += id
		}
		for action, header := range map[string]map[string]string{
			"s3:BypassGovernanceRetention": bypassing(), "s3:PutObjectRetention": nil,
		} {
			may.deny = action + resource
			a := h.do(request{method: "PUT", path: "/bucket/a?" + query, body: "<Retention/>", header: header})
			require.Equal(t, "AccessDenied", a.code, action)
			require.Contains(t, a.body, "<Message>Access Denied</Message>")
		}
	}
	may.deny = "s3:BypassGovernanceRetention bucket/a?" + id
	require.Equal(t, "AccessDenied", h.do(request{method: "DELETE", path: "/bucket/a?versionId=" + id, header: bypassing()}).code)
	may.deny = ""
	require.Equal(t, http.StatusNoContent, h.do(request{method: "DELETE", path: "/bucket/a?versionId=" + id, header: bypassing()}).status)
}
