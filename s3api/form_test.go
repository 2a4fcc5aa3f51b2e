// Goal: forms of browsers store what their policy allows and nothing else. Method:
// forms signed in both versions by a client written for it, each spoilt in one way;
// what was stored is looked up past the handler.
package s3api_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

// posted is a form that a browser sends.
type posted struct {
	version    int      // of the signature: 4, 2, or 0 for none
	fields     []string // names and values, in order, without those that sign
	conditions []any    // nil: those that the fields and the bucket need
	expires    time.Duration
	key        string // access key; "": fullKey
	secret     string // "": that of the key
	region     string
	at         time.Time
	without    string // a field that is left out though it is signed
	replace    []string
	filename   string
	file       string
	path       string // "": /bucket
	header     map[string]string
	noFile     bool
	behind     []string // fields behind the file
}

type condition = map[string]string

// policy is what the form may have.
func (p *posted) policy(t testing.TB, extra ...any) string {
	conditions := p.conditions
	if conditions == nil {
		conditions = []any{condition{"bucket": bucket}}
		for i := 0; i < len(p.fields); i += 2 {
			conditions = append(conditions, []string{"starts-with", "$" + p.fields[i], ""})
		}
	}
	if p.expires == 0 {
		p.expires = time.Hour
	}
	data, err := json.Marshal(map[string]any{
		"expiration": p.at.Add(p.expires).Format("2006-01-02T15:04:05.000Z"), "conditions": append(conditions, extra...),
	})
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(data)
}

func sum(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// sign gives the fields that sign.
func (p *posted) sign(t testing.TB) []string {
	if p.key == "" {
		p.key = fullKey
	}
	if p.secret == "" {
		p.secret = secretOf(p.key)
	}
	switch p.version {
	case 4:
		if p.region == "" {
			p.region = "us-east-1"
		}
		date := p.at.UTC().Format("20060102T150405Z")
		credential := p.key + "/" + date[:8] + "/" + p.region + "/s3/aws4_request"
		policy := p.policy(t, condition{"x-amz-algorithm": "AWS4-HMAC-SHA256"}, condition{"x-amz-credential": credential}, condition{"x-amz-date": date})
		key := sum(sum(sum(sum([]byte("AWS4"+p.secret), date[:8]), p.region), "s3"), "aws4_request")
		return []string{"X-Amz-Algorithm", "AWS4-HMAC-SHA256", "X-Amz-Credential", credential, "X-Amz-Date", date,
			"Policy", policy, "X-Amz-Signature", hex.EncodeToString(sum(key, policy))}
	case 2:
		policy := p.policy(t)
		m := hmac.New(sha1.New, []byte(p.secret))
		m.Write([]byte(policy))
		return []string{"AWSAccessKeyId", p.key, "policy", policy, "signature", base64.StdEncoding.EncodeToString(m.Sum(nil))}
	}
	return nil
}

const boundary = "----limit"

// body writes the form.
func (p *posted) body(fields []string) string {
	var b strings.Builder
	add := func(name, value string) {
		b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
	}
	for i := 0; i < len(fields); i += 2 {
		if !strings.EqualFold(fields[i], p.without) {
			add(fields[i], fields[i+1])
		}
	}
	if !p.noFile {
		if p.filename == "" {
			p.filename = "cat.jpg"
		}
		b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + p.filename +
			"\"\r\nContent-Type: image/jpeg\r\n\r\n" + p.file + "\r\n")
	}
	for i := 0; i < len(p.behind); i += 2 {
		add(p.behind[i], p.behind[i+1])
	}
	return b.String() + "--" + boundary + "--\r\n"
}

// request makes what is sent.
func (p posted) request(t testing.TB) *http.Request {
	if p.at.IsZero() {
		p.at = now()
	}
	if p.path == "" {
		p.path = "/" + bucket
	}
	fields := append(slices.Clone(p.fields), p.sign(t)...)
	for i := 0; i < len(p.replace); i += 2 {
		for j := 0; j < len(fields); j += 2 {
			if strings.EqualFold(fields[j], p.replace[i]) {
				fields[j+1] = p.replace[i+1]
			}
		}
	}
	body := p.body(fields)
	r, err := http.NewRequest(http.MethodPost, "http://"+host+p.path, strings.NewReader(body))
	require.NoError(t, err)
	r.RequestURI = r.URL.RequestURI()
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	for name, value := range p.header {
		r.Header.Set(name, value)
	}
	return r
}

func (h *harness) post(p posted) answer {
	h.t.Helper()
	return h.send(p.request(h.t))
}

func (h *harness) content(key string) (string, sherd.ObjectInfo) {
	h.t.Helper()
	object, err := h.store.Get(h.t.Context(), bucket, key, nil)
	require.NoError(h.t, err)
	defer object.Close()
	data, err := io.ReadAll(object)
	require.NoError(h.t, err)
	return string(data), object.Info
}

func TestFormsStoreObjects(t *testing.T) {
	for _, version := range []int{2, 4} {
		h := newHarness(t, version2, nil)
		file := strings.Repeat("meow\r\n--", 100_000)
		a := h.post(posted{version: version, filename: `C:\pictures\cat é.jpg`, file: file, behind: []string{"key", "other", "submit", "Upload"}, fields: []string{
			"kEy", "up/${filename}", "Content-Type", "image/png", "Cache-Control", "no-store", "x-amz-meta-Colour", "red ü",
			"tagging", "<Tagging><TagSet><Tag><Key>a b</Key><Value>c+d=</Value></Tag></TagSet></Tagging>",
			"x-amz-storage-class", "REDUCED_REDUNDANCY", "acl", "bucket-owner-full-control", "x-ignore-this", "x", "submitted", "yes",
		}})
		require.Equal(t, http.StatusNoContent, a.status, a.body)
		require.Empty(t, a.body)
		require.Equal(t, "http://"+host+"/bucket/up/cat%20%C3%A9.jpg", a.header.Get("Location"))
		require.Equal(t, []string{"up/cat é.jpg"}, h.objects())
		got, info := h.content("up/cat é.jpg")
		require.Equal(t, file, got)
		require.Equal(t, "image/png", info.ContentType)
		require.Equal(t, map[string]string{"cache-control": "no-store"}, info.Headers)
		require.Equal(t, map[string]string{"colour": "red ü"}, info.Metadata)
		require.Equal(t, map[string]string{"a b": "c+d="}, info.Tags)
		require.EqualValues(t, 1, info.StorageClass)
		require.Equal(t, `"`+info.ETag+`"`, a.header.Get("Etag"))
	}
}

func TestFormsAreAnsweredAsTheyWant(t *testing.T) {
	h := newHarness(t, version2, nil)
	send := func(fields ...string) answer {
		return h.post(posted{version: 4, file: "x", fields: append([]string{"key", "a b&c"}, fields...)})
	}
	const etag = "%229dd4e461268c8034f5c8564e155c67a6%22"
	for _, of := range []struct {
		fields   []string
		status   int
		location string
	}{
		{nil, 204, "http://s3.test/bucket/a%20b%26c"},
		{[]string{"success_action_status", "200"}, 200, "http://s3.test/bucket/a%20b%26c"},
		{[]string{"success_action_status", "201"}, 201, "http://s3.test/bucket/a%20b%26c"},
		{[]string{"success_action_status", "404"}, 204, "http://s3.test/bucket/a%20b%26c"},
		{[]string{"success_action_redirect", "https://example.org/done"}, 303, "https://example.org/done?bucket=bucket&key=a+b%26c&etag=" + etag},
		{[]string{"success_action_redirect", "http://example.org/?x=1#y", "success_action_status", "201"}, 303, "http://example.org/?x=1&bucket=bucket&key=a+b%26c&etag=" + etag + "#y"},
		{[]string{"success_action_redirect", "https://example.org/?of=${filename}"}, 303, "https://example.org/?of=cat.jpg&bucket=bucket&key=a+b%26c&etag=" + etag},
		{[]string{"redirect", "http://example.org/"}, 303, "http://example.org/?bucket=bucket&key=a+b%26c&etag=" + etag},
		{[]string{"success_action_redirect", "javascript:alert(1)"}, 204, "http://s3.test/bucket/a%20b%26c"},
		{[]string{"success_action_redirect", "//example.org/"}, 204, "http://s3.test/bucket/a%20b%26c"},
		{[]string{"success_action_redirect", "http://example.org/\r\nSet-Cookie: a=b"}, 204, "http://s3.test/bucket/a%20b%26c"},
	} {
		a := send(of.fields...)
		require.Equal(t, of.status, a.status, "%v: %s", of.fields, a.body)
		require.Equal(t, of.location, a.header.Get("Location"), of.fields)
		if of.status != 201 {
			require.Empty(t, a.body)
			continue
		}
		result := parse[struct{ Location, Bucket, Key, ETag string }](t, a)
		require.Equal(t, "a b&c", result.Key)
		require.Equal(t, bucket, result.Bucket)
		require.Equal(t, of.location, result.Location)
		require.Equal(t, `"9dd4e461268c8034f5c8564e155c67a6"`, result.ETag)
	}
}

// CVE-2021-21362: every condition of a policy is enforced, and what has none is refused.
func TestFormsThatAreRefused(t *testing.T) {
	const key = "key"
	ranged := func(from, to any) []any {
		return []any{condition{"bucket": bucket}, []any{"starts-with", "$key", ""}, []any{"content-length-range", from, to}}
	}
	day := 24 * time.Hour
	for name, of := range map[string]struct {
		form   posted
		status int
		code   string
	}{
		"wrong secret":           {posted{version: 4, secret: "nobody's"}, 403, "SignatureDoesNotMatch"},
		"wrong secret, 2":        {posted{version: 2, secret: "nobody's"}, 403, "SignatureDoesNotMatch"},
		"unknown key":            {posted{version: 4, key: unknownKey}, 403, "InvalidAccessKeyId"},
		"unknown key, 2":         {posted{version: 2, key: unknownKey}, 403, "InvalidAccessKeyId"},
		"signature is nonsense":  {posted{version: 2, replace: []string{"signature", "=cba"}}, 403, "SignatureDoesNotMatch"},
		"signature of nonsense":  {posted{version: 4, replace: []string{"x-amz-signature", "zz"}}, 400, "InvalidArgument"},
		"another policy":         {posted{version: 4, replace: []string{"policy", "e30="}}, 403, "SignatureDoesNotMatch"},
		"no policy":              {posted{version: 4, without: "policy"}, 400, "InvalidArgument"},
		"no policy, 2":           {posted{version: 2, without: "policy"}, 400, "InvalidArgument"},
		"no signature":           {posted{version: 4, without: "x-amz-signature"}, 400, "InvalidArgument"},
		"no signature, 2":        {posted{version: 2, without: "signature"}, 400, "InvalidArgument"},
		"no access key":          {posted{version: 2, without: "AWSAccessKeyId"}, 400, "InvalidArgument"},
		"no date":                {posted{version: 4, without: "x-amz-date"}, 400, "InvalidArgument"},
		"another algorithm":      {posted{version: 4, replace: []string{"x-amz-algorithm", "AWS4-ECDSA-P256-SHA256"}}, 400, "InvalidArgument"},
		"policy alone":           {posted{fields: []string{key, "a", "policy", "e30="}}, 400, "InvalidArgument"},
		"both versions":          {posted{version: 4, fields: []string{key, "a", "signature", "x"}}, 400, "InvalidArgument"},
		"token":                  {posted{version: 4, fields: []string{key, "a", "x-amz-security-token", "x"}}, 400, "InvalidToken"},
		"signed in the query":    {posted{version: 4, path: "/bucket?X-Amz-Algorithm=AWS4-HMAC-SHA256"}, 400, "InvalidArgument"},
		"signed in the header":   {posted{version: 4, header: map[string]string{"Authorization": "AWS a:b"}}, 400, "InvalidArgument"},
		"unsigned header":        {posted{version: 4, header: map[string]string{"X-Amz-Acl": "public-read"}}, 403, "AccessDenied"},
		"condition in a header":  {posted{version: 4, header: map[string]string{"If-None-Match": "*"}}, 501, "NotImplemented"},
		"of the future":          {posted{version: 4, at: now().Add(16 * time.Minute)}, 403, "AccessDenied"},
		"too old":                {posted{version: 4, at: now().Add(-8 * day), expires: 30 * day}, 403, "AccessDenied"},
		"expired":                {posted{version: 4, at: now().Add(-2 * time.Hour)}, 403, "AccessDenied"},
		"expired, 2":             {posted{version: 2, at: now().Add(-2 * time.Hour)}, 403, "AccessDenied"},
		"field without a rule":   {posted{version: 4, conditions: []any{condition{"bucket": bucket}, condition{"key": "a"}}, fields: []string{key, "a", "acl", "private"}}, 403, "AccessDenied"},
		"key of another rule":    {posted{version: 4, conditions: []any{condition{"bucket": bucket}, condition{"key": "b"}}}, 403, "AccessDenied"},
		"rule without a field":   {posted{version: 4, conditions: []any{condition{"bucket": bucket}, condition{"key": "a"}, condition{"acl": "private"}}}, 403, "AccessDenied"},
		"another bucket":         {posted{version: 4, conditions: []any{condition{"bucket": "other"}, condition{"key": "a"}}}, 403, "AccessDenied"},
		"no bucket":              {posted{version: 4, conditions: []any{condition{"key": "a"}}}, 403, "AccessDenied"},
		"policy without meaning": {posted{version: 2, conditions: []any{condition{}}}, 400, "InvalidPolicyDocument"},
		"too large":              {posted{version: 4, conditions: ranged(0, 2), file: "abc"}, 400, "EntityTooLarge"},
		"too small":              {posted{version: 4, conditions: ranged(4, "9"), file: "abc"}, 400, "EntityTooSmall"},
		"not empty":              {posted{version: 2, conditions: ranged(0, 0), file: "abc"}, 400, "EntityTooLarge"},
		"beyond the limit":       {posted{version: 4, file: strings.Repeat("x", 2<<20)}, 400, "EntityTooLarge"},
		"no file":                {posted{version: 4, noFile: true}, 400, "InvalidArgument"},
		"no key":                 {posted{version: 4, fields: []string{"acl", "private"}}, 400, "InvalidArgument"},
		"empty key":              {posted{version: 4, fields: []string{key, ""}}, 400, "InvalidArgument"},
		"long key":               {posted{version: 4, fields: []string{key, strings.Repeat("x", 1025)}}, 400, "KeyTooLongError"},
		"key that is no text":    {posted{version: 4, fields: []string{key, "\xff"}}, 400, "InvalidArgument"},
		"bucket field":           {posted{version: 4, fields: []string{key, "a", "bucket", "other"}}, 400, "InvalidArgument"},
		"field twice":            {posted{version: 4, fields: []string{key, "a", "Key", "b"}}, 400, "InvalidArgument"},
		"list twice":             {posted{version: 4, fields: []string{key, "a", "acl", "private", "x-amz-acl", "private"}}, 400, "InvalidArgument"},
		"newline in a value":     {posted{version: 4, fields: []string{key, "a", "x-amz-meta-a", "b\r\nc"}}, 400, "InvalidArgument"},
		"name that is no header": {posted{version: 4, fields: []string{key, "a", "x-amz-meta-a:b", "c"}}, 400, "InvalidArgument"},
		"tags that are none":     {posted{version: 4, fields: []string{key, "a", "tagging", "<a/>"}}, 400, "MalformedXML"},
		"copy":                   {posted{version: 4, fields: []string{key, "a", "x-amz-copy-source", "bucket/x"}}, 400, "InvalidArgument"},
		"append":                 {posted{version: 4, fields: []string{key, "a", "x-amz-write-offset-bytes", "1"}}, 400, "InvalidArgument"},
		"encryption":             {posted{version: 4, fields: []string{key, "a", "x-amz-server-side-encryption", "AES256"}}, 501, "NotImplemented"},
		"storage class":          {posted{version: 4, fields: []string{key, "a", "x-amz-storage-class", "x"}}, 400, "InvalidStorageClass"},
		"checksum":               {posted{version: 4, fields: []string{key, "a", "x-amz-checksum-crc32", crc("other")}, file: "abc"}, 400, "BadDigest"},
		"checksum of no rule":    {posted{version: 4, conditions: []any{condition{"bucket": bucket}, condition{"key": "a"}}, fields: []string{key, "a", "x-amz-checksum-crc32", crc("other")}, file: "abc"}, 400, "BadDigest"},
		"digest":                 {posted{version: 4, fields: []string{key, "a", "Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="}, file: "abc"}, 400, "BadDigest"},
		"many fields":            {posted{version: 4, fields: []string{key, "a", "x-ignore-a", strings.Repeat("x", 64<<10)}}, 400, "MaxPostPreDataLengthExceededError"},
		"no form":                {posted{version: 4, header: map[string]string{"Content-Type": "text/plain"}}, 403, "AccessDenied"},
		"not allowed":            {posted{version: 4, key: readKey}, 403, "AccessDenied"},
		"nobody":                 {posted{}, 403, "AccessDenied"},
		"no bucket there":        {posted{version: 4, path: "/nowhere", conditions: []any{condition{"bucket": "nowhere"}, condition{"key": "a"}}}, 404, "NoSuchBucket"},
		"an object":              {posted{version: 4, path: "/bucket/a"}, 403, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(o *s3api.Options) { version2(o); o.Limits.PutBytes = 1 << 20 }, nil)
			if of.form.fields == nil {
				of.form.fields = []string{key, "a"}
			}
			a := h.post(of.form)
			require.Equal(t, of.status, a.status, a.body)
			require.Equal(t, of.code, a.code, a.body)
			require.Empty(t, h.objects())
		})
	}
}

func TestMessagesOfRefusedForms(t *testing.T) {
	h := newHarness(t, version2, nil)
	for _, of := range []struct {
		form    posted
		message string
	}{
		{posted{at: now().Add(-2 * time.Hour)}, "Invalid according to Policy: Policy expired."},
		{posted{conditions: []any{condition{"bucket": bucket}, []string{"starts-with", "$key", "b/"}}}, "Invalid according to Policy: Policy Condition failed: [\"starts-with\", \"$key\", \"b/\"]"},
		{posted{conditions: []any{condition{"bucket": bucket}}}, "Invalid according to Policy: Extra input fields: key"},
		{posted{conditions: []any{condition{"bucket": bucket}, condition{"key": "a"}, []any{"content-length-range", 5, 9}}, file: "abc"}, "<ProposedSize>3</ProposedSize><MinSizeAllowed>5</MinSizeAllowed>"},
		{posted{conditions: []any{condition{"bucket": bucket}, condition{"key": "a"}, []any{"content-length-range", 0, 2}}, file: "abc"}, "<MaxSizeAllowed>2</MaxSizeAllowed>"},
		{posted{without: "signature"}, "Bucket POST must contain a field named 'signature'."},
	} {
		of.form.version, of.form.fields = 2, []string{"key", "a"}
		require.Contains(t, h.post(of.form).body, of.message)
	}
}

// Version 2 is refused by who does not want it, in forms too.
func TestFormsWithoutVersion2(t *testing.T) {
	h := newHarness(t, nil, nil)
	require.Equal(t, "InvalidRequest", h.post(posted{version: 2, fields: []string{"key", "a"}}).code)
	require.Equal(t, http.StatusNoContent, h.post(posted{version: 4, fields: []string{"key", "a"}}).status)
}

// The region of the handler's signatures is that of forms too.
func TestFormsOfAnotherRegion(t *testing.T) {
	h := newHarness(t, func(o *s3api.Options) { o.Authenticator = s3api.NewSigV4(keyring(t), "eu-west-1") }, nil)
	require.Equal(t, "InvalidArgument", h.post(posted{version: 4, fields: []string{"key", "a"}}).code)
	require.Equal(t, http.StatusNoContent, h.post(posted{version: 4, region: "eu-west-1", fields: []string{"key", "a"}}).status)
}

func keyring(t *testing.T) s3api.Keyring {
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: fullKey, SecretKey: canary, Access: s3api.FullAccess})
	require.NoError(t, err)
	return keys
}

// A request for PostObject that is no form says what it should be.
func TestPostsThatAreNoForms(t *testing.T) {
	h := newHarness(t, nil, nil)
	a := h.do(request{method: "POST", path: "/bucket", body: "x"})
	require.Equal(t, http.StatusPreconditionFailed, a.status)
	require.Contains(t, a.body, "<Condition>Bucket POST must be of the enclosure-type multipart/form-data</Condition>")
	other := newHarness(t, func(o *s3api.Options) { o.Authenticator = onlyRequests{o.Authenticator} }, nil)
	a = other.do(request{method: "POST", path: "/bucket", header: map[string]string{"Content-Type": "multipart/form-data; boundary=x"}})
	require.Equal(t, "NotImplemented", a.code)
	require.Equal(t, "AccessDenied", other.post(posted{version: 4, fields: []string{"key", "a"}}).code, "for it a form has no credentials")
}

// onlyRequests is an authenticator that knows no forms.
type onlyRequests struct{ s3api.Authenticator }

// A file that breaks off, or whose client stops, is no object and replaces none.
func TestFormsThatBreakOff(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "old")
	p := posted{version: 4, fields: []string{"key", "a"}, file: strings.Repeat("new", 1000)}
	whole, err := io.ReadAll(p.request(t).Body)
	require.NoError(t, err)
	for _, cut := range []int{1, len(whole) / 2, len(whole) - 500, len(whole) - len("\r\n------limit--\r\n") - 1, len(whole) - len("------limit--\r\n")} {
		r := p.request(t)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(whole[:cut]))), int64(len(whole))
		a := h.send(r)
		require.Equal(t, http.StatusBadRequest, a.status, "cut at %d: %s", cut, a.body)
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(whole[:cut])), iotest.ErrReader(io.ErrUnexpectedEOF)))
		require.Equal(t, "IncompleteBody", h.send(r).code)
	}
	got, _ := h.content("a")
	require.Equal(t, "old", got)
}

// Fields of object lock are obeyed, and need the permissions that headers need.
func TestFormsWithLocks(t *testing.T) {
	h := newLocked(t)
	until := now().Add(time.Hour).Format(time.RFC3339)
	fields := []string{"key", "a", "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", until, "x-amz-object-lock-legal-hold", "ON"}
	a := h.post(posted{version: 4, fields: fields, file: "x"})
	require.Equal(t, http.StatusNoContent, a.status, a.body)
	_, info := h.content("a")
	require.True(t, info.LegalHold)
	require.Equal(t, now().Add(time.Hour), info.Retention.Until.UTC())
	require.NotEmpty(t, a.header.Get("X-Amz-Version-Id"))
}

// Authorization sees the key and what the fields ask for.
func TestFormsAreAuthorizedByTheirKey(t *testing.T) {
	h := newHarness(t, nil, nil)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/in/*"}]}`
	h.ok(request{method: "PUT", path: "/bucket?policy", body: policy})
	require.Equal(t, http.StatusNoContent, h.post(posted{fields: []string{"key", "in/${filename}"}}).status, "anonymous, and allowed")
	require.Equal(t, []string{"in/cat.jpg"}, h.objects())
	for name, fields := range map[string][]string{
		"another key": {"key", "out/a"}, "by its file's name": {"key", "${filename}"},
		"tags": {"key", "in/a", "tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"},
		"hold": {"key", "in/a", "x-amz-object-lock-legal-hold", "ON"}, "list": {"key", "in/a", "acl", "public-read"},
	} {
		a := h.post(posted{fields: fields})
		require.Equal(t, "AccessDenied", a.code, name)
	}
	require.Equal(t, []string{"in/cat.jpg"}, h.objects())
}

// What a form says of the object is what conditions of policies compare.
func TestFormsAreComparedWithConditions(t *testing.T) {
	tags := []string{"key", "a", "tagging", "<Tagging><TagSet><Tag><Key>Team</Key><Value>red</Value></Tag></TagSet></Tagging>"}
	for test, fields := range map[string][]string{
		`"StringEquals":{"s3:RequestObjectTag/Team":"red"}`:           tags,
		`"StringEquals":{"s3:x-amz-storage-class":"STANDARD"}`:        {"key", "a", "x-amz-storage-class", "STANDARD"},
		`"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`: {"key", "a", "acl", "bucket-owner-full-control"},
		`"StringEquals":{"s3:authType":"POST"}`:                       nil,
		`"Null":{"aws:PrincipalArn":"false"}`:                         nil,
	} {
		h := newHarness(t, nil, nil)
		h.ok(request{method: "PUT", path: "/bucket?policy", body: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":"*","Action":["s3:PutObject","s3:PutObjectAcl","s3:PutObjectTagging"],"Resource":"arn:aws:s3:::bucket/*","Condition":{` + test + `}}]}`})
		version := 0
		if fields == nil { // who signs may not write but by this policy
			version, fields = 4, []string{"key", "a"}
		}
		if a := h.post(posted{version: version, key: readKey, fields: fields}); a.status != http.StatusNoContent {
			t.Errorf("%s: %s", test, a.body)
		}
		other := posted{fields: []string{"key", "b"}}
		require.Equal(t, "AccessDenied", h.post(other).code, test)
		require.Equal(t, []string{"a"}, h.objects(), test)
	}
}

// The query beside a form, which its policy does not cover, decides nothing.
func TestFormsHaveNoQuery(t *testing.T) {
	for _, test := range []string{`"StringEquals":{"s3:prefix":"a"}`, `"StringEquals":{"s3:VersionId":"a"}`} {
		h := newHarness(t, nil, nil)
		h.ok(request{method: "PUT", path: "/bucket?policy", body: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/*","Condition":{` + test + `}}]}`})
		require.Equal(t, "AccessDenied", h.post(posted{path: "/bucket?prefix=a&versionId=a", fields: []string{"key", "a"}}).code, test)
	}
}

// Bounded memory and no buffer of the whole file is the parser's; that large files
// pass is seen here.
func TestLargeForms(t *testing.T) {
	h := newHarness(t, nil, nil)
	for _, size := range []int{0, 1, 3 << 20, 4<<20 + 200} {
		file := strings.Repeat("x", size)
		a := h.post(posted{version: 4, fields: []string{"key", strconv.Itoa(size)}, file: file})
		require.Equal(t, http.StatusNoContent, a.status, a.body)
		got, _ := h.content(strconv.Itoa(size))
		require.Equal(t, size, len(got))
		require.True(t, got == file)
	}
}

// FuzzForm: whatever somebody makes of a signed form, nothing is stored that its
// policy does not allow.
func FuzzForm(f *testing.F) {
	const most = 100
	rules := []any{condition{"bucket": bucket}, []any{"starts-with", "$key", "in/"}, []any{"starts-with", "$x-amz-meta-a", "b"}, []any{"content-length-range", 2, most}}
	for _, version := range []int{2, 4} {
		p := posted{version: version, at: now(), conditions: rules, fields: []string{"key", "in/${filename}", "x-amz-meta-a", "bc"}, file: "meow"}
		f.Add([]byte(p.body(append(slices.Clone(p.fields), p.sign(f)...))))
	}
	h := newHarness(f, version2, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := http.NewRequest(http.MethodPost, "http://"+host+"/"+bucket, strings.NewReader(string(body)))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
		h.t = t
		a := h.send(r)
		stored := h.objects()
		require.Len(t, stored, map[bool]int{true: 1}[a.status < 400], a.body)
		for _, key := range stored {
			data, info := h.content(key)
			require.True(t, strings.HasPrefix(key, "in/"), key)
			require.GreaterOrEqual(t, len(data), 2)
			require.LessOrEqual(t, len(data), most)
			require.True(t, len(info.Metadata) == 1 && strings.HasPrefix(info.Metadata["a"], "b"), info.Metadata)
			_, err := h.store.Delete(t.Context(), bucket, key, nil)
			require.NoError(t, err)
		}
	})
}
