// Goal: nothing passes but what was signed by somebody who may. Method: a matrix
// of every operation by every way of being somebody or nobody, every header that
// must be signed, requests changed after they were signed, and a secret that
// would be seen wherever it leaked.
package s3api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/policy"
)

// requestFor asks for an operation, of things that are not there.
func requestFor(o s3api.Operation) request {
	q := request{method: o.Method, path: map[s3api.Level]string{
		s3api.ServiceLevel: "/", s3api.BucketLevel: "/nowhere", s3api.ObjectLevel: "/nowhere/key",
	}[o.Level]}
	values := map[string]string{"partNumber": "1", "uploadId": "none"}
	for i, selector := range o.Query {
		separator := "&"
		if i == 0 {
			separator = "?"
		}
		q.path += separator + selector
		if !strings.Contains(selector, "=") {
			q.path += "=" + values[selector]
		}
	}
	if o.Header != "" {
		q.header = map[string]string{o.Header: "/nowhere/source"}
	}
	return q
}

// caller is a way of being somebody, and the code that everybody of that kind
// gets; "" where it depends on the operation.
type caller struct {
	name   string
	change func(*request)
	code   string
}

func callers() []caller {
	late := now().Add(-16 * time.Minute)
	return []caller{
		{"nobody", func(q *request) {
			q.style, q.path = byNothing, strings.Replace(q.path, "/nowhere", "/bucket", 1) // that there is no bucket is told to everybody
		}, "AccessDenied"},
		{"a form's body", func(q *request) {
			q.style, q.path = byNothing, strings.Replace(q.path, "/nowhere", "/bucket", 1)
			q.header = with(q.header, "Content-Type", "multipart/form-data; boundary=b")
			q.body = "--b\r\nContent-Disposition: form-data; name=\"AWSAccessKeyId\"\r\n\r\n" + fullKey + "\r\n--b--\r\n"
		}, "AccessDenied"},
		{"header", func(q *request) {}, ""},
		{"unsigned payload", func(q *request) { q.style = byHeaderUnsignedPayload }, ""},
		{"presigned", func(q *request) { q.style = byQuery }, ""},
		{"chunks", func(q *request) { q.style = byChunks }, ""},
		{"chunks and trailer", func(q *request) { q.style = byChunksTrailer }, ""},
		{"unsigned trailer", func(q *request) { q.style = byUnsignedTrailer }, ""},
		{"header of long ago", func(q *request) { q.at = late }, "RequestTimeTooSkewed"},
		{"header of the future", func(q *request) { q.at = now().Add(16 * time.Minute) }, "RequestTimeTooSkewed"},
		{"expired", func(q *request) { q.style, q.at = byQuery, late }, "AccessDenied"},
		{"not yet valid", func(q *request) { q.style, q.at = byQuery, now().Add(16*time.Minute) }, "AccessDenied"},
		{"wrong secret", func(q *request) { q.secret = "wrong" }, "SignatureDoesNotMatch"},
		{"wrong secret, presigned", func(q *request) { q.style, q.secret = byQuery, "wrong" }, "SignatureDoesNotMatch"},
		{"wrong secret, chunks", func(q *request) { q.style, q.secret = byChunks, "wrong" }, "SignatureDoesNotMatch"},
		{"wrong secret, unsigned trailer", func(q *request) { q.style, q.secret = byUnsignedTrailer, "wrong" }, "SignatureDoesNotMatch"},
		{"unknown key", func(q *request) { q.key = unknownKey }, "InvalidAccessKeyId"},
		{"unknown key, presigned", func(q *request) { q.style, q.key = byQuery, unknownKey }, "InvalidAccessKeyId"},
		{"another path", func(q *request) { q.tamper = func(r *http.Request) { r.URL.Path += "x" } }, "SignatureDoesNotMatch"},
		{"another query", func(q *request) { q.tamper = func(r *http.Request) { r.URL.RawQuery += "&extra" } }, "SignatureDoesNotMatch"},
		{"another host", func(q *request) { q.tamper = func(r *http.Request) { r.Host = "elsewhere" } }, "SignatureDoesNotMatch"},
		{"added header", func(q *request) { q.tamper = add("X-Amz-Meta-A", "b") }, "AccessDenied"},
		{"added copy source, presigned", func(q *request) { q.style, q.tamper = byQuery, add("X-Amz-Copy-Source", "/a/b") }, "AccessDenied"},
		{"security token", func(q *request) { q.header = with(q.header, "X-Amz-Security-Token", "t") }, "InvalidToken"},
		{"basic", func(q *request) { q.style, q.tamper = byNothing, add("Authorization", "Basic QTpC") }, "InvalidArgument"},
		{"version 2", func(q *request) { q.style, q.tamper = byNothing, add("Authorization", "AWS A:B") }, "InvalidRequest"},
		{"version 4a", func(q *request) { q.style, q.tamper = byNothing, add("Authorization", "AWS4-ECDSA-P256-SHA256 A") }, "InvalidArgument"},
		{"no components", func(q *request) { q.style, q.tamper = byNothing, add("Authorization", "AWS4-HMAC-SHA256 A") }, "AuthorizationHeaderMalformed"},
		{"two ways", func(q *request) { q.style, q.tamper = byQuery, add("Authorization", "AWS4-HMAC-SHA256 A") }, "InvalidArgument"},
		{"two headers", func(q *request) {
			q.tamper = func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }
		}, "InvalidArgument"},
		{"half of a query", func(q *request) {
			q.style, q.tamper = byNothing, func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Credential=" + fullKey }
		}, "AuthorizationQueryParametersError"},
	}
}

func add(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func with(header map[string]string, name, value string) map[string]string {
	out := map[string]string{name: value}
	for n, v := range header {
		out[n] = v
	}
	return out
}

// authenticated is all operations but the questions of browsers, which have no
// credentials to ask with and learn what the rules of a bucket say only.
func authenticated() []s3api.Operation {
	return slices.DeleteFunc(s3api.Operations(), func(o s3api.Operation) bool { return o.Method == http.MethodOptions })
}

func TestMatrixOfOperationsAndCallers(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, o := range authenticated() {
		for _, c := range callers() {
			q := requestFor(o)
			c.change(&q)
			a := h.do(q)
			text := fmt.Sprintf("%s by %s: %d %s", o.Name, c.name, a.status, a.body)
			if o.Method == http.MethodHead && c.code != "" {
				require.GreaterOrEqual(t, a.status, 400, text)
				require.Empty(t, a.body, text)
				continue
			}
			switch {
			case o.Name == "PostObject" && c.name == "a form's body": // its own tests have all of them
				require.Equal(t, http.StatusBadRequest, a.status, text)
			case o.Header == "X-Amz-Copy-Source" && strings.HasPrefix(c.name, "added copy source"):
				require.Equal(t, "SignatureDoesNotMatch", a.code, text) // one was signed, two were sent
			case c.code != "":
				require.Equal(t, c.code, a.code, text)
			case !o.Built:
				require.Equal(t, "NotImplemented", a.code, text)
			default:
				require.NotContains(t, []string{"AccessDenied", "SignatureDoesNotMatch", "NotImplemented", "InternalError", "MethodNotAllowed"}, a.code, text)
			}
		}
	}
}

func TestAnotherMethodThanWasSigned(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	for _, style := range []style{byHeader, byQuery} {
		a := h.do(request{method: "GET", path: "/bucket/a", style: style, tamper: func(r *http.Request) { r.Method = "DELETE" }})
		require.Equal(t, "SignatureDoesNotMatch", a.code)
	}
	require.Equal(t, []string{"a"}, h.objects())
	require.Equal(t, "MethodNotAllowed", h.do(request{method: "PATCH", path: "/bucket/a"}).code)
}

func TestReadOnlyReadsOnly(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, o := range authenticated() {
		q := requestFor(o)
		q.key, q.path = readKey, strings.Replace(q.path, "/nowhere", "/bucket", 1)
		a := h.do(q)
		reads := strings.HasPrefix(o.Action, "s3:Get") || strings.HasPrefix(o.Action, "s3:List")
		switch {
		case o.Action == "" || o.Name == "DeleteObjects": // decided key by key
		case !reads && o.Method != http.MethodHead:
			require.Equal(t, "AccessDenied", a.code, o.Name)
		default:
			require.NotEqual(t, http.StatusForbidden, a.status, o.Name)
		}
	}
	require.Empty(t, h.objects())
	h.put("/bucket/kept", "x")
	a := h.do(request{method: "POST", path: "/bucket?delete", key: readKey, header: map[string]string{"Content-Md5": md5Of(deleteKept)}, body: deleteKept})
	require.Contains(t, a.body, "<Code>AccessDenied</Code>")
	require.Equal(t, []string{"kept"}, h.objects())
	a = h.do(request{method: "GET", path: "/bucket/kept", key: readKey, header: map[string]string{"X-Amz-Bypass-Governance-Retention": "true"}})
	require.Equal(t, "AccessDenied", a.code)
}

const deleteKept = "<Delete><Object><Key>kept</Key></Object></Delete>"

// asked records what the handler asks for, and allows it or not.
type asked struct {
	actions []string
	deny    string
}

func (a *asked) Authorize(_ context.Context, of *s3api.Attempt) (policy.Effect, error) {
	text := of.Action + " " + of.Resource.Bucket + "/" + of.Resource.Key + "?" + of.Resource.VersionID
	a.actions = append(a.actions, text)
	if text == a.deny {
		return policy.None, nil
	}
	return policy.Allow, nil
}

func TestWhatIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		q    request
		want []string
	}{
		{request{method: "GET", path: "/"}, []string{"s3:ListAllMyBuckets /?"}},
		{request{method: "GET", path: "/bucket/a?versionId=null"}, []string{"s3:GetObjectVersion bucket/a?null"}},
		{request{method: "DELETE", path: "/bucket/a?versionId=null"}, []string{"s3:DeleteObjectVersion bucket/a?null"}},
		{request{method: "PUT", path: "/bucket/a", header: map[string]string{"X-Amz-Tagging": "a=b"}},
			[]string{"s3:PutObject bucket/a?", "s3:PutObjectTagging bucket/a?"}},
		{request{method: "PUT", path: "/bucket/b", header: map[string]string{"X-Amz-Copy-Source": "/other/a%2Fb?versionId=null"}},
			[]string{"s3:PutObject bucket/b?", "s3:GetObjectVersion other/a/b?null"}},
		{request{method: "PUT", path: "/bucket/b?renameObject", header: map[string]string{"X-Amz-Rename-Source": "a"}},
			[]string{"s3:PutObject bucket/b?", "s3:DeleteObject bucket/a?", "s3:GetObject bucket/a?"}},
		{request{method: "PUT", path: "/bucket/b?renameObject", header: map[string]string{"X-Amz-Rename-Source": "a", "If-Unmodified-Since": "Mon, 02 Jan 2006 15:04:05 GMT"}},
			[]string{"s3:PutObject bucket/b?", "s3:DeleteObject bucket/a?", "s3:GetObject bucket/a?", "s3:GetObject bucket/b?"}},
		{request{method: "PUT", path: "/bucket/a", body: "x", header: map[string]string{"X-Amz-Write-Offset-Bytes": "0"}},
			[]string{"s3:PutObject bucket/a?"}},
		{request{method: "PUT", path: "/bucket/b?partNumber=1&uploadId=u", header: map[string]string{"X-Amz-Copy-Source": "other/a"}},
			[]string{"s3:PutObject bucket/b?", "s3:GetObject other/a?"}},
		{request{method: "DELETE", path: "/bucket/a", header: map[string]string{"X-Amz-Bypass-Governance-Retention": "true"}},
			[]string{"s3:DeleteObject bucket/a?", "s3:BypassGovernanceRetention bucket/a?"}},
		{request{method: "PUT", path: "/bucket/a", header: map[string]string{"If-Match": `"x"`}},
			[]string{"s3:PutObject bucket/a?", "s3:GetObject bucket/a?"}},
		{request{method: "POST", path: "/bucket/a?uploadId=x", header: map[string]string{"If-Match": `"x"`}},
			[]string{"s3:PutObject bucket/a?", "s3:GetObject bucket/a?"}},
		{request{method: "DELETE", path: "/bucket/a?versionId=null", header: map[string]string{"X-Amz-If-Match-Size": "1"}},
			[]string{"s3:DeleteObjectVersion bucket/a?null", "s3:GetObjectVersion bucket/a?null"}},
		{request{method: "DELETE", path: "/bucket/a", header: map[string]string{"X-Amz-If-Match-Last-Modified-Time": "x"}},
			[]string{"s3:DeleteObject bucket/a?", "s3:GetObject bucket/a?"}},
	} {
		for _, denied := range c.want {
			may := &asked{deny: denied}
			h := newHarness(t, func(o *s3api.Options) { o.Authorizer = may }, nil)
			_, err := h.store.CreateBucket(t.Context(), "other", nil)
			require.NoError(t, err)
			require.Equal(t, "AccessDenied", h.do(c.q).code, "%s %s without %s", c.q.method, c.q.path, denied)
			may.actions, may.deny = nil, ""
			h.do(c.q)
			require.Equal(t, c.want, may.actions[:len(c.want)])
		}
	}
}

// Who may not list does not learn what is missing, nor does a condition tell him.
func TestNoOracle(t *testing.T) {
	may := &asked{deny: "s3:ListBucket bucket/?"}
	h := newHarness(t, func(o *s3api.Options) { o.Authorizer = may }, nil)
	require.Equal(t, "AccessDenied", h.get("/bucket/missing").code)
	require.Equal(t, http.StatusForbidden, h.do(request{method: "HEAD", path: "/bucket/missing"}).status)
	require.Equal(t, "AccessDenied", h.get("/bucket/missing?versionId=null").code)
	h.put("/bucket/there", "x")
	may.deny = "s3:ListBucket secret/?"
	_, err := h.store.CreateBucket(t.Context(), "secret", nil)
	require.NoError(t, err)
	for _, path := range []string{"/bucket/copied", part(1, begin(h, "big", nil))} {
		a := h.do(request{method: "PUT", path: path, header: map[string]string{"X-Amz-Copy-Source": "/secret/missing"}})
		require.Equal(t, "AccessDenied", a.code, "that of the source, which is another bucket")
	}
	may.deny = "s3:GetObject bucket/there?"
	for _, condition := range []string{"<ETag>x</ETag>", "<Size>2</Size>", "<LastModifiedTime>2030-01-01T00:00:00Z</LastModifiedTime>"} {
		body := "<Delete><Object><Key>there</Key>" + condition + "</Object></Delete>"
		a := h.do(request{method: "POST", path: "/bucket?delete", body: body, header: map[string]string{"Content-Md5": md5Of(body)}})
		require.Contains(t, a.body, "<Code>AccessDenied</Code>", condition)
	}
	for _, header := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "Range"} {
		a := h.do(request{method: "GET", path: "/bucket/there", header: map[string]string{header: "bytes=9-"}})
		require.Equal(t, "AccessDenied", a.code, header)
	}
}

func TestHeadersThatMustBeSigned(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, style := range []style{byHeader, byQuery, byUnsignedTrailer} {
		for name, value := range map[string]string{
			"X-Amz-Meta-A": "b", "X-Amz-Acl": "public-read", "X-Amz-Copy-Source": "/a/b", "X-Amz-Anything": "x",
			"Content-Md5": md5Of("x"),
		} {
			q := request{method: "PUT", path: "/bucket/a", body: "x", style: style, header: map[string]string{name: value}, unsigned: []string{strings.ToLower(name)}}
			a := h.do(q)
			require.Equal(t, http.StatusForbidden, a.status, name)
			require.Equal(t, "AccessDenied", a.code, name)
			require.Contains(t, a.body, "<HeadersNotSigned>"+strings.ToLower(name)+"</HeadersNotSigned>")
		}
		h.ok(request{method: "PUT", path: "/bucket/a", body: "x", style: style, header: map[string]string{"X-Amz-Meta-A": "b", "Content-Type": "text/plain"}})
		h.ok(request{method: "PUT", path: "/bucket/b", body: "x", style: style, header: map[string]string{"Content-Type": "text/x"}, unsigned: []string{"content-type"}})
		require.Equal(t, "text/x", h.get("/bucket/b").header.Get("Content-Type"), "clients leave it out of the signature, and browsers add it")
	}
}

// SDKs presign a PUT with the checksum of no bytes, whatever is put then.
func TestChecksumsInAPresignedQueryAreOfNoBody(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, parameters := range []string{"x-amz-checksum-crc32=AAAAAA%3D%3D", "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"} {
		h.ok(request{method: "PUT", path: "/bucket/a?" + parameters, body: "not nothing", style: byQuery})
		require.Equal(t, "not nothing", h.get("/bucket/a").body)
	}
}

// net/http tells a client to go on when the body is read, of which there is none;
// the client waits for it all the same.
func TestExpectWithoutABody(t *testing.T) {
	h := newHarness(t, nil, nil)
	r := request{method: "PUT", path: "/bucket/a"}.build(t)
	r.Header.Set("Expect", "100-continue")
	w := &statuses{ResponseRecorder: httptest.NewRecorder()}
	h.handler.ServeHTTP(w, r.WithContext(t.Context()))
	require.Equal(t, []int{http.StatusContinue, http.StatusOK}, w.all)
}

// statuses notes every status that is written.
type statuses struct {
	*httptest.ResponseRecorder
	all []int
}

func (s *statuses) WriteHeader(status int) {
	s.all = append(s.all, status)
	if status >= 200 {
		s.ResponseRecorder.WriteHeader(status)
	}
}

func TestPresignedParametersCountAsHeaders(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.ok(request{method: "PUT", path: "/bucket/a?x-amz-meta-colour=blue", body: "x", style: byQuery})
	a := h.get("/bucket/a")
	require.Equal(t, []string{"blue"}, a.header["x-amz-meta-colour"])
	a = h.do(request{method: "PUT", path: "/bucket/b?x-amz-meta-colour=blue", body: "x"})
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, h.get("/bucket/b").header["x-amz-meta-colour"], "only what a presigned request has in its query counts")
	h.ok(request{method: "PUT", path: "/bucket/c?X-Amz-Copy-Source=bucket%2Fa", style: byQuery})
	require.Equal(t, "x", h.get("/bucket/c").body)
	require.Equal(t, "text/a", h.do(request{method: "GET", path: "/bucket/a?response-content-type=text/a", style: byQuery}).header.Get("Content-Type"))
}

func TestPresignedLifetime(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	q := request{method: "GET", path: "/bucket/a", style: byQuery, expires: 604_800, at: now().Add(-604_800 * time.Second)}
	h.ok(q)
	q.at = q.at.Add(-time.Second)
	require.Equal(t, "AccessDenied", h.do(q).code)
}

func TestRegion(t *testing.T) {
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: fullKey, SecretKey: canary, Access: s3api.FullAccess})
	require.NoError(t, err)
	h := newHarness(t, func(o *s3api.Options) { o.Authenticator = s3api.NewSigV4(keys, "eu-north-1") }, nil)
	a := h.get("/")
	require.Equal(t, "AuthorizationHeaderMalformed", a.code)
	require.Contains(t, a.body, "<Region>eu-north-1</Region>")
	require.Equal(t, "AuthorizationQueryParametersError", h.do(request{method: "GET", path: "/", style: byQuery}).code)
}

func TestNoHandlerWithoutAuthentication(t *testing.T) {
	store, err := sherd.NewMemory(1, nil)
	require.NoError(t, err)
	defer store.Close()
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: "abc", SecretKey: "12345678", Access: s3api.ReadOnly})
	require.NoError(t, err)
	for name, o := range map[string]*s3api.Options{
		"nothing":          nil,
		"no authenticator": {Authorizer: keys},
		"no authorizer":    {Authenticator: s3api.NewSigV4(keys, "")},
		"relative prefix":  {Authenticator: s3api.NewSigV4(keys, ""), Authorizer: keys, Prefix: "s3"},
		"negative limit":   {Authenticator: s3api.NewSigV4(keys, ""), Authorizer: keys, Limits: s3api.Limits{XMLBytes: -1}},
	} {
		_, err := s3api.New(store, o)
		require.Error(t, err, name)
	}
	_, err = s3api.New(nil, &s3api.Options{Authenticator: s3api.NewSigV4(keys, ""), Authorizer: keys})
	require.Error(t, err)
}

func TestCredentials(t *testing.T) {
	good := s3api.Credential{AccessKey: "abc", SecretKey: canary, Access: s3api.ReadOnly}
	for name, list := range map[string][]s3api.Credential{
		"none":         {},
		"short key":    {{AccessKey: "ab", SecretKey: canary, Access: s3api.ReadOnly}},
		"space":        {{AccessKey: "a b c", SecretKey: canary, Access: s3api.ReadOnly}},
		"short secret": {{AccessKey: "abc", SecretKey: "1234567", Access: s3api.ReadOnly}},
		"no access":    {{AccessKey: "abc", SecretKey: canary}},
		"twice":        {good, good},
	} {
		_, err := s3api.NewCredentials(list...)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), canary)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).InfoContext(t.Context(), "made", "credential", good)
	for _, text := range []string{fmt.Sprint(good), fmt.Sprintf("%+v %#v %s", good, good, good), log.String()} {
		require.NotContains(t, text, canary)
		require.Contains(t, text, "abc")
	}
	keys, err := s3api.NewCredentials(good)
	require.NoError(t, err)
	_, _, err = keys.Lookup(t.Context(), "other")
	require.ErrorIs(t, err, s3api.ErrUnknownKey)
	effect, err := keys.Authorize(t.Context(), &s3api.Attempt{Identity: s3api.Identity{ID: "abc", AccessKey: "abc"}, Action: "s3:GetObject"})
	require.NoError(t, err)
	require.Equal(t, policy.None, effect, "an identity that is not whole")
}

// broken is an authenticator, authorizer and keyring that cannot tell.
type broken struct{}

func (broken) Authenticate(*http.Request, time.Time) (*s3api.Verified, error) { return nil, errBroken }
func (broken) Authorize(context.Context, *s3api.Attempt) (policy.Effect, error) {
	return policy.Allow, errBroken
}
func (broken) Lookup(context.Context, string) (string, s3api.Identity, error) {
	return canary, s3api.Identity{}, errBroken
}

var errBroken = errors.New("the directory of users is out of reach")

func TestWhatCannotBeToldIsNotAllowed(t *testing.T) {
	for name, change := range map[string]func(*s3api.Options){
		"authenticator": func(o *s3api.Options) { o.Authenticator = broken{} },
		"authorizer":    func(o *s3api.Options) { o.Authorizer = broken{} },
		"keyring":       func(o *s3api.Options) { o.Authenticator = s3api.NewSigV4(broken{}, "") },
	} {
		h := newHarness(t, change, nil)
		a := h.do(request{method: "PUT", path: "/bucket/a", body: "x"})
		require.Equal(t, "InternalError", a.code, name)
		require.NotContains(t, a.body, errBroken.Error(), name)
		require.Contains(t, h.log.String(), errBroken.Error(), name)
		require.Empty(t, h.objects(), name)
	}
}
