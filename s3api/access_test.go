// Goal: who may do what is as on S3, for every kind of sender: of the bucket's
// account with and without permissions of his own, of another account, nobody.
// Method: the answers of the handler against a few lines of rules that are written
// here a second time, over all combinations.
package s3api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/policy"
)

const (
	rootKey     = "ROOTOFTHEDEFAULT"
	poorKey     = "POORKEY"    // of the default account, may do nothing by itself
	poorAltKey  = "POORALTKEY" // likewise of the other account
	thirdKey    = "THIRDKEY"   // of a third account
	deniedKey   = "DENIEDKEY"  // may do everything but read
	defaultRoot = "arn:aws:iam::000000000000:root"
)

func parsePolicy(t testing.TB, text string) *policy.Document {
	t.Helper()
	document, err := policy.Parse([]byte(text))
	require.NoError(t, err)
	return document
}

// withIdentities gives the harness more senders.
func withIdentities(t testing.TB, ownership s3api.Ownership) func(*s3api.Options) {
	t.Helper()
	nothing := parsePolicy(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetBucketTagging","Resource":"arn:aws:s3:::nothing"}}`)
	noReads := parsePolicy(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:GetObject*","Resource":"*"}]}`)
	alt := s3api.Identity{Account: altAccount, DisplayName: "alt", Email: "alt@example.org"}
	poorAlt := alt
	poorAlt.DisplayName, poorAlt.Email = "poor", ""
	keys, err := s3api.NewCredentials(
		s3api.Credential{AccessKey: fullKey, SecretKey: canary, Access: s3api.FullAccess, Identity: s3api.Identity{DisplayName: "main", Email: "main@example.org"}},
		s3api.Credential{AccessKey: rootKey, SecretKey: "nobody's", Access: s3api.FullAccess, Identity: s3api.Identity{DisplayName: "root", ARN: defaultRoot}},
		s3api.Credential{AccessKey: readKey, SecretKey: canary + "2", Access: s3api.ReadOnly},
		s3api.Credential{AccessKey: poorKey, SecretKey: "nobody's", Policies: []*policy.Document{nothing}},
		s3api.Credential{AccessKey: deniedKey, SecretKey: "nobody's", Policies: []*policy.Document{noReads}},
		s3api.Credential{AccessKey: altKey, SecretKey: canary + "3", Access: s3api.FullAccess, Identity: alt},
		s3api.Credential{AccessKey: thirdKey, SecretKey: "nobody's", Access: s3api.FullAccess, Identity: s3api.Identity{Account: "333333333333"}},
		s3api.Credential{AccessKey: poorAltKey, SecretKey: "nobody's", Policies: []*policy.Document{nothing}, Identity: poorAlt},
	)
	require.NoError(t, err)
	return func(o *s3api.Options) {
		o.Authenticator, o.Authorizer, o.Ownership = s3api.NewSigV4(keys, ""), keys, ownership
	}
}

// by is a request of somebody; "" is nobody.
func by(key, method, path string) request {
	if key == "" {
		return request{method: method, path: path, style: byNothing}
	}
	return request{method: method, path: path, key: key}
}

func (h *harness) setPolicy(statements string) {
	h.t.Helper()
	h.ok(request{method: "PUT", path: "/bucket?policy", body: `{"Version":"2012-10-17","Statement":[` + statements + `]}`})
}

// S3, user guide, "How Amazon S3 authorizes a request for an object operation".
func TestPoliciesOfIdentitiesAndOfBuckets(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.put("/bucket/key", "x")
	const (
		none = iota
		allows
		denies
	)
	senders := []struct {
		key   string
		own   int
		same  bool
		named string // in the policy of the bucket
	}{
		{fullKey, allows, true, "arn:aws:iam::000000000000:user/main"}, {rootKey, allows, true, defaultRoot},
		{readKey, allows, true, "arn:aws:iam::000000000000:user/" + readKey}, {poorKey, none, true, "arn:aws:iam:::user/" + poorKey},
		{deniedKey, denies, true, "arn:aws:iam::000000000000:user/" + deniedKey},
		{altKey, allows, false, "arn:aws:iam::222222222222:user/alt"}, {poorAltKey, none, false, "arn:aws:iam::222222222222:user/poor"},
		{"", none, false, ""},
	}
	for _, effect := range []string{"", "Allow", "Deny"} {
		for _, principal := range []string{`"*"`, `{"AWS":"*"}`, "named", "account", `{"AWS":"arn:aws:iam::444444444444:root"}`} {
			for _, s := range senders {
				text, hits, delegated := principal, principal[0] != '{' || principal == `{"AWS":"*"}`, false
				switch principal {
				case "named":
					text, hits = `{"AWS":"`+s.named+`"}`, s.key != ""
				case "account":
					text, hits = `{"AWS":"000000000000"}`, s.same
					if !s.same && s.key != "" {
						text, hits = `{"AWS":"`+altAccount+`"}`, true
					}
					delegated = s.key != rootKey
				}
				if principal == "named" && s.key == "" {
					continue
				}
				h.ok(request{method: "DELETE", path: "/bucket?policy"})
				if effect != "" {
					h.setPolicy(`{"Effect":"` + effect + `","Principal":` + text + `,"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}`)
				}
				allow, deny := effect == "Allow" && hits, effect == "Deny" && hits
				var want bool
				switch {
				case deny || s.own == denies:
				case s.key == "":
					want = allow
				case s.same:
					want = s.own == allows || allow && !delegated
				default:
					want = s.own == allows && allow
				}
				a := h.do(by(s.key, "GET", "/bucket/key"))
				text = fmt.Sprintf("%q %s of %s: %s", s.key, effect, text, a.body)
				if want {
					require.Equal(t, http.StatusOK, a.status, text)
				} else {
					require.Equal(t, "AccessDenied", a.code, text)
				}
			}
		}
	}
}

// A policy counts from the moment at which it was set, and so does its removal.
func TestAPolicyCountsAtOnce(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.put("/bucket/key", "x")
	for range 3 {
		require.Equal(t, "AccessDenied", h.do(by("", "GET", "/bucket/key")).code)
		h.setPolicy(everybodyReads)
		h.ok(by("", "GET", "/bucket/key"))
		h.ok(request{method: "DELETE", path: "/bucket?policy"})
	}
	h.setPolicy(everybodyReads)
	h.ok(request{method: "DELETE", path: "/bucket/key"})
	h.ok(request{method: "DELETE", path: "/bucket"})
	h.ok(request{method: "PUT", path: "/bucket"})
	h.put("/bucket/key", "x")
	require.Equal(t, "AccessDenied", h.do(by("", "GET", "/bucket/key")).code, "another bucket of that name")
}

const everybodyReads = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}`

// The root of the owner's account gets out of every policy; nobody else does.
func TestRootUndoesAPolicy(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.setPolicy(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}`)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		for _, key := range []string{fullKey, altKey, ""} {
			q := by(key, method, "/bucket?policy")
			q.body = "{}"
			if method != "PUT" {
				q.body = ""
			}
			require.Equal(t, "AccessDenied", h.do(q).code, "%s %s", key, method)
		}
	}
	require.Equal(t, "AccessDenied", h.do(by(rootKey, "GET", "/bucket?tagging")).code)
	h.ok(by(rootKey, "GET", "/bucket?policy"))
	h.ok(by(rootKey, "DELETE", "/bucket?policy"))
	h.ok(by(fullKey, "HEAD", "/bucket"))
}

// What can not be read is no permission; the owner can still replace it.
func TestAnUnreadablePolicyFailsClosed(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.put("/bucket/key", "x")
	for _, name := range []string{"policy", "acl", "ownership", "public-access"} {
		require.NoError(t, h.store.PutDocument(t.Context(), bucket, name, []byte("{")))
		require.Equal(t, "InternalError", h.get("/bucket/key").code, name)
		require.Equal(t, "InternalError", h.do(by("", "GET", "/bucket/key")).code, name)
		require.NoError(t, h.store.DeleteDocument(t.Context(), bucket, name))
		h.ok(request{method: "GET", path: "/bucket/key"})
	}
	for name, q := range map[string]request{
		"policy":        {method: "DELETE", path: "/bucket?policy"},
		"acl":           {method: "PUT", path: "/bucket?acl", header: acl("private")},
		"ownership":     {method: "PUT", path: "/bucket?ownershipControls", body: ownership("ObjectWriter")},
		"public-access": {method: "DELETE", path: "/bucket?publicAccessBlock"},
	} {
		h.ok(request{method: "PUT", path: "/bucket?ownershipControls", body: ownership("ObjectWriter")})
		require.NoError(t, h.store.PutDocument(t.Context(), bucket, name, []byte("{")))
		for _, key := range []string{altKey, ""} {
			theirs := by(key, q.method, q.path)
			theirs.body, theirs.header = q.body, q.header
			require.Equal(t, "InternalError", h.do(theirs).code, name)
		}
		h.ok(q)
		h.ok(request{method: "GET", path: "/bucket/key"})
	}
}

// Keys of a batch are decided one by one, with the bucket's policy.
func TestKeysOfABatchAreDecidedOneByOne(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.put("/bucket/mine/a", "x")
	h.put("/bucket/yours/a", "x")
	h.setPolicy(`{"Effect":"Allow","Principal":{"AWS":"` + altAccount + `"},"Action":"s3:DeleteObject","Resource":"arn:aws:s3:::bucket/yours/*"}`)
	body := "<Delete><Object><Key>mine/a</Key></Object><Object><Key>yours/a</Key></Object></Delete>"
	q := request{method: "POST", path: "/bucket?delete", key: altKey, body: body, header: map[string]string{"Content-Md5": md5Of(body)}}
	a := h.ok(q)
	require.Contains(t, a.body, "<Deleted><Key>yours/a</Key></Deleted>")
	require.Contains(t, a.body, "<Error><Key>mine/a</Key><Code>AccessDenied</Code>")
	require.Equal(t, []string{"mine/a"}, h.objects())
	q.style, q.key = byNothing, ""
	h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::bucket/*"}`)
	require.Equal(t, "AccessDenied", h.do(q).code, "a batch is nothing for nobody")
}

// Only buckets of one's own account are listed, and only its names are one's own.
func TestBucketsOfOthers(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.ok(by(altKey, "PUT", "/theirs"))
	require.NotContains(t, h.get("/").body, "theirs")
	require.Contains(t, h.do(by(readKey, "GET", "/")).body, "<Name>bucket</Name>", "of the same account")
	a := h.ok(by(altKey, "GET", "/"))
	require.Contains(t, a.body, "<Name>theirs</Name>")
	require.NotContains(t, a.body, "<Name>bucket</Name>")
	require.Contains(t, a.body, "<ID>"+s3api.CanonicalID(altAccount)+"</ID><DisplayName>alt</DisplayName>")
	require.NotContains(t, h.ok(by(altKey, "GET", "/?bucket-region=mars")).body, "<Name>")
	require.Equal(t, "BucketAlreadyExists", h.do(by(fullKey, "PUT", "/theirs")).code)
	require.Equal(t, "AccessDenied", h.do(by(fullKey, "PUT", "/theirs/key")).code)
	require.Equal(t, "AccessDenied", h.do(by(fullKey, "DELETE", "/theirs")).code)
	require.Equal(t, http.StatusForbidden, h.do(by(fullKey, "HEAD", "/theirs")).status)
	require.Equal(t, "AccessDenied", h.do(by("", "PUT", "/third")).code)
	for _, key := range []string{fullKey, altKey, ""} {
		require.Equal(t, "NoSuchBucket", h.do(by(key, "GET", "/nowhere/key")).code, "as on S3, names of buckets are no secrets")
	}
}

// What is missing is told to who may list, and only to him.
func TestMissingKeysAreToldToWhoMayList(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.ok(request{method: "PUT", path: "/listed", header: map[string]string{"X-Amz-Acl": "public-read"}})
	h.ok(request{method: "PUT", path: "/hidden"})
	for _, key := range []string{"", altKey} {
		require.Equal(t, "NoSuchKey", h.do(by(key, "GET", "/listed/missing")).code)
		require.Equal(t, "AccessDenied", h.do(by(key, "GET", "/hidden/missing")).code)
		require.Equal(t, http.StatusForbidden, h.do(by(key, "HEAD", "/hidden/missing")).status)
		q := by(key, "GET", "/hidden/missing")
		q.header = map[string]string{"If-Match": `"x"`}
		require.Equal(t, "AccessDenied", h.do(q).code)
	}
}

// Credentials are replaced without the handler being made anew.
func TestCredentialsAreReplaced(t *testing.T) {
	first := s3api.Credential{AccessKey: fullKey, SecretKey: canary, Access: s3api.FullAccess}
	keys, err := s3api.NewCredentials(first)
	require.NoError(t, err)
	h := newHarness(t, func(o *s3api.Options) { o.Authenticator, o.Authorizer = s3api.NewSigV4(keys, ""), keys }, nil)
	h.put("/bucket/key", "x")
	require.Error(t, keys.Replace())
	require.Error(t, keys.Replace(first, first))
	h.ok(request{method: "GET", path: "/bucket/key"})
	require.NoError(t, keys.Replace(s3api.Credential{AccessKey: readKey, SecretKey: canary + "2", Access: s3api.ReadOnly}))
	require.Equal(t, "InvalidAccessKeyId", h.get("/bucket/key").code)
	h.ok(by(readKey, "GET", "/bucket/key"))
	require.Equal(t, "AccessDenied", h.do(by(readKey, "DELETE", "/bucket/key")).code)
	first.SecretKey = "nobody's"
	require.NoError(t, keys.Replace(first))
	require.Equal(t, "SignatureDoesNotMatch", h.get("/bucket/key").code)
}

// What conditions ask of a request is what was verified.
func TestWhatConditionsAsk(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) {
		withIdentities(t, "")(o)
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	}, nil)
	h.put("/bucket/key", "x")
	h.ok(request{method: "PUT", path: "/bucket/tagged", body: "x", header: map[string]string{"X-Amz-Tagging": "colour=red"}})
	from := func(address string) func(*http.Request) {
		return func(r *http.Request) { r.RemoteAddr = address }
	}
	forwarded := func(r *http.Request) {
		r.RemoteAddr = "10.1.2.3:5"
		r.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.7")
	}
	for _, c := range []struct {
		condition string
		q         request // of the other account
		want      bool
	}{
		{`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`, request{tamper: from("192.0.2.9:1234")}, true},
		{`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`, request{tamper: from("198.51.100.1:1234")}, false},
		{`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`, request{tamper: func(r *http.Request) {
			r.RemoteAddr = "198.51.100.1:1"
			r.Header.Set("X-Forwarded-For", "192.0.2.9")
		}}, false},
		{`"IpAddress":{"aws:SourceIp":"198.51.100.7"}`, request{tamper: forwarded}, true},
		{`"IpAddress":{"aws:SourceIp":"203.0.113.9"}`, request{tamper: forwarded}, false},
		{`"Bool":{"aws:SecureTransport":"true"}`, request{}, false},
		{`"Bool":{"aws:SecureTransport":"false"}`, request{}, true},
		{`"StringLike":{"aws:Referer":"http://www.example.org/*"}`, request{header: map[string]string{"Referer": "http://www.example.org/a"}}, true},
		{`"StringLike":{"aws:UserAgent":"*robot*"}`, request{header: map[string]string{"User-Agent": "a robot"}}, true},
		{`"DateGreaterThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"}`, request{}, true},
		{`"DateGreaterThan":{"aws:CurrentTime":"2030-02-01T00:00:00Z"}`, request{}, false},
		{`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::222222222222:user/alt"}`, request{}, true},
		{`"StringEquals":{"aws:username":"alt","aws:PrincipalType":"User","aws:PrincipalAccount":"222222222222"}`, request{}, true},
		{`"StringEquals":{"s3:authType":"REST-HEADER","s3:signatureversion":"AWS4-HMAC-SHA256"}`, request{}, true},
		{`"StringEquals":{"s3:authType":"REST-QUERY-STRING"}`, request{style: byQuery}, true},
		{`"NumericLessThan":{"s3:signatureAge":"600000"}`, request{style: byQuery}, true},
		{`"NumericLessThan":{"s3:signatureAge":"1000"}`, request{style: byQuery, expires: 600, at: now().Add(-minute)}, false},
		{`"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}`, request{style: byHeaderUnsignedPayload}, true},
		{`"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}`, request{}, false},
		{`"StringEquals":{"s3:ExistingObjectTag/colour":"red"}`, request{path: "/bucket/tagged"}, true},
		{`"StringEquals":{"s3:ExistingObjectTag/colour":"red"}`, request{}, false},
		{`"Null":{"s3:VersionId":"true"}`, request{}, true},
		{`"StringEquals":{"aws:ResourceAccount":"000000000000"}`, request{}, true},
		{`"Null":{"s3:TlsVersion":"true"}`, request{}, true},
		{`"StringEquals":{"s3:if-match":"\"x\""}`, request{header: map[string]string{"Aws-Sourceip": "x"}}, false},
	} {
		h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*","Condition":{` + c.condition + `}}`)
		if c.q.path == "" {
			c.q.path = "/bucket/key"
		}
		c.q.method, c.q.key = "GET", altKey
		require.Equal(t, c.want, h.do(c.q).status == 200, c.condition)
	}
}

const minute = 60_000_000_000

// A write is decided with what it is to set: by headers, and by its body.
func TestWhatConditionsAskOfWrites(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	tags := func(colour string) string {
		return "<Tagging><TagSet><Tag><Key>colour</Key><Value>" + colour + "</Value></Tag></TagSet></Tagging>"
	}
	h.put("/bucket/key", "x")
	for _, c := range []struct {
		action, condition string
		q                 request
		want              bool
	}{
		{`"s3:PutObject","s3:PutObjectTagging"`, `"StringEquals":{"s3:RequestObjectTag/colour":"red"}`,
			request{path: "/bucket/a", header: map[string]string{"X-Amz-Tagging": "colour=red"}}, true},
		{`"s3:PutObject","s3:PutObjectTagging"`, `"StringEquals":{"s3:RequestObjectTag/colour":"red"}`,
			request{path: "/bucket/a", header: map[string]string{"X-Amz-Tagging": "colour=blue"}}, false},
		{`"s3:PutObjectTagging"`, `"StringEquals":{"s3:RequestObjectTag/colour":"red"}`, request{path: "/bucket/key?tagging", body: tags("red")}, true},
		{`"s3:PutObjectTagging"`, `"StringEquals":{"s3:RequestObjectTag/colour":"red"}`, request{path: "/bucket/key?tagging", body: tags("blue")}, false},
		{`"s3:PutObjectTagging"`, `"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["shape"]}`, request{path: "/bucket/key?tagging", body: tags("red")}, false},
		{`"s3:PutObject","s3:PutObjectAcl"`, `"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`,
			request{path: "/bucket/a", header: map[string]string{"X-Amz-Acl": "bucket-owner-full-control"}}, true},
		{`"s3:PutObject","s3:PutObjectAcl"`, `"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`, request{path: "/bucket/a"}, false},
		{`"s3:PutObject"`, `"StringEquals":{"s3:x-amz-storage-class":"STANDARD"}`, request{path: "/bucket/a", header: map[string]string{"X-Amz-Storage-Class": "STANDARD"}}, true},
		{`"s3:PutObject"`, `"Null":{"s3:if-none-match":"false"}`, request{path: "/bucket/new", header: map[string]string{"If-None-Match": "*"}}, true},
		{`"s3:PutObject"`, `"Null":{"s3:if-none-match":"false"}`, request{path: "/bucket/new"}, false},
		{`"s3:PutObject","s3:GetObject"`, `"StringLikeIfExists":{"s3:x-amz-copy-source":"bucket/k*"}`,
			request{path: "/bucket/copy", header: map[string]string{"X-Amz-Copy-Source": "/bucket/key"}}, true},
		{`"s3:PutObject","s3:GetObject"`, `"StringLikeIfExists":{"s3:x-amz-copy-source":"bucket/other*"}`,
			request{path: "/bucket/copy", header: map[string]string{"X-Amz-Copy-Source": "/bucket/key"}}, false},
	} {
		h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":[` + c.action + `],"Resource":"arn:aws:s3:::bucket/*","Condition":{` + c.condition + `}}`)
		c.q.method, c.q.key = "PUT", altKey
		a := h.do(c.q)
		require.Equal(t, c.want, a.status == 200, "%s %s: %s", c.q.path, c.condition, a.body)
		if !c.want {
			require.Equal(t, "AccessDenied", a.code)
		}
	}
	h.setPolicy(`{"Effect":"Deny","Principal":"*","Action":"s3:PutObjectTagging","Resource":"arn:aws:s3:::bucket/*","Condition":{"StringEquals":{"s3:RequestObjectTag/colour":"red"}}}`)
	require.Equal(t, "MalformedXML", h.do(request{method: "PUT", path: "/bucket/key?tagging", body: "<x"}).code, "what cannot be read is not allowed")
	require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: "/bucket/key?tagging", body: tags("red")}).code)
	require.Contains(t, h.ok(request{method: "GET", path: "/bucket/key?tagging"}).body, "red", "set before")
}

// A listing is decided with its prefix.
func TestListingsAreDecidedWithTheirPrefix(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket","Condition":{"StringLike":{"s3:prefix":"public/*"},"NumericLessThanEquals":{"s3:max-keys":"10"}}}`)
	for path, want := range map[string]int{
		"/bucket?prefix=public/a&max-keys=10": 200, "/bucket?list-type=2&prefix=public/&max-keys=1": 200,
		"/bucket?prefix=public/a&max-keys=11": 403, "/bucket?prefix=private/&max-keys=1": 403, "/bucket": 403,
	} {
		require.Equal(t, want, h.do(by(altKey, "GET", path)).status, path)
	}
	h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket","Condition":{"StringLike":{"s3:prefix":"public/*"}}},` + everybodyReads)
	require.Equal(t, "NoSuchKey", h.do(by(altKey, "GET", "/bucket/public/missing")).code, "who may list it may be told that it is missing")
	require.Equal(t, "AccessDenied", h.do(by(altKey, "GET", "/bucket/private/missing")).code)
}

// The engine knows of one bucket only what is the newest, whatever is asked at the
// same time.
func TestARevisionIsAnotherOneAfterEveryChange(t *testing.T) {
	h := newHarness(t, nil, nil)
	seen := map[uint64]bool{}
	for _, change := range []func() error{
		func() error { return nil },
		func() error { return h.store.PutDocument(t.Context(), bucket, "policy", nil) },
		func() error { return h.store.DeleteDocument(t.Context(), bucket, "policy") },
		func() error {
			_, err := h.store.CreateBucket(t.Context(), "second", &sherd.BucketOptions{Documents: map[string][]byte{"acl": []byte("x")}})
			return err
		},
	} {
		require.NoError(t, change())
		for _, name := range []string{bucket, "second"} {
			info, err := h.store.StatBucket(t.Context(), name)
			if strings.HasPrefix(name, "s") && err != nil {
				continue
			}
			again, err := h.store.StatBucket(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, info.Revision, again.Revision)
			require.NotZero(t, info.Revision)
			seen[info.Revision] = true
		}
	}
	require.Len(t, seen, 4)
	data, err := h.store.Document(t.Context(), "second", "acl")
	require.NoError(t, err)
	require.Equal(t, "x", string(data))
}

// strangers says who somebody is by the name that he gives, without a directory.
type strangers struct{}

func (strangers) Authenticate(r *http.Request, _ time.Time) (*s3api.Verified, error) {
	name := r.Header.Get("X-Name")
	return &s3api.Verified{
		Identity: s3api.Identity{ID: name, Account: r.Header.Get("X-Account")}, Anonymous: name == "", Header: r.Header.Clone(), Body: r.Body, Size: r.ContentLength,
	}, nil
}

func (strangers) Authorize(_ context.Context, a *s3api.Attempt) (policy.Effect, error) {
	if a.Anonymous {
		return policy.None, nil
	}
	return policy.Allow, nil
}

// With an authenticator of one's own, which knows nobody but who sends, owners are
// known by their ids; identities without an account share one.
func TestIdentitiesOfSomebodyElse(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) { o.Authenticator, o.Authorizer = strangers{}, strangers{} }, nil)
	as := func(name, account, method, path string) answer {
		return h.do(request{method: method, path: path, style: byNothing, header: map[string]string{"X-Name": name, "X-Account": account}})
	}
	require.Equal(t, 200, as("ann", "one", "PUT", "/anns").status)
	require.Equal(t, 200, as("ann", "one", "PUT", "/anns/key").status)
	require.Contains(t, as("ann", "one", "GET", "/").body, "<Name>anns</Name>")
	require.Equal(t, "AccessDenied", as("bob", "two", "GET", "/anns/key").code)
	require.NotContains(t, as("bob", "two", "GET", "/").body, "<Name>")
	require.Equal(t, "BucketAlreadyExists", as("bob", "two", "PUT", "/anns").code)
	require.Equal(t, 200, as("cid", "", "PUT", "/cids").status)
	require.Equal(t, 200, as("dan", "", "GET", "/cids").status)
	require.Equal(t, "AccessDenied", as("", "", "GET", "/cids").code)
}

// A change counts for what begins after it, however many ask at the same time and
// keep what they read.
func TestAChangeCountsForEverybodyAtOnce(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.put("/bucket/key", "x")
	read := func() int {
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, httptest.NewRequest("GET", "/bucket/key", nil))
		return w.Code
	}
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for ctx.Err() == nil {
				read()
			}
		})
	}
	for range 50 {
		h.setPolicy(everybodyReads)
		require.Equal(t, http.StatusOK, read())
		h.ok(request{method: "DELETE", path: "/bucket?policy"})
		require.Equal(t, http.StatusForbidden, read())
	}
	stop()
	others.Wait()
}

// A policy that says where buckets may be made is asked about what the request says.
func TestWhereBucketsMayBeMade(t *testing.T) {
	here := parsePolicy(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
		{"Effect":"Deny","Action":"s3:CreateBucket","Resource":"*","Condition":{"StringNotEquals":{"s3:LocationConstraint":"eu-central-1"}}}]}`)
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: fullKey, SecretKey: canary, Policies: []*policy.Document{here}})
	require.NoError(t, err)
	h := newHarness(t, func(o *s3api.Options) { o.Authenticator, o.Authorizer = s3api.NewSigV4(keys, ""), keys }, nil)
	body := "<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>"
	require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: "/first"}).code)
	require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: "/first", body: fmt.Sprintf(body, "eu-west-1")}).code)
	require.Equal(t, "MalformedXML", h.do(request{method: "PUT", path: "/first", body: "<x/>"}).code)
	h.ok(request{method: "PUT", path: "/first", body: fmt.Sprintf(body, "eu-central-1")})
}
