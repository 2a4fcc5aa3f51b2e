// Goal: what went wrong in other stores of objects does not go wrong here: one test
// for each advisory that concerns a handler, under its name. Method: the attack,
// against the handler, with what it must not reach beside it. Each was seen to
// fail while its defence, which its comment names, was taken out.
package s3api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/versioning"
)

// A header that somebody adds to a presigned request: it would make an upload a copy
// of what only the signer may read, or public, or locked. Defence: mustSign.
func TestCVE_2026_97731_HeadersAddedToPresignedRequests(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.ok(request{method: "PUT", path: "/b-b"})
	h.put("/b-b/secret", "x")
	for name, value := range map[string]string{
		"X-Amz-Copy-Source": "/b-b/secret", "X-Amz-Acl": "public-read", "X-Amz-Grant-Read": "id=" + altID(), "X-Amz-Tagging": "a=b",
		"X-Amz-Meta-A": "b", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY", "X-Amz-Website-Redirect-Location": "/x", "X-Amz-Bypass-Governance-Retention": "true",
		"X-Amz-Object-Lock-Legal-Hold": "ON", "X-Amz-Expected-Bucket-Owner": mainID(), "X-Amz-Anything": "x", "Content-Md5": md5Of("x"),
	} {
		a := h.do(request{method: "PUT", path: "/b-b/upload", body: "x", style: byQuery, tamper: add(name, value)})
		require.Equal(t, "AccessDenied", a.code, name)
		require.Contains(t, a.body, "<HeadersNotSigned>"+strings.ToLower(name))
	}
	require.Equal(t, "NoSuchKey", h.get("/b-b/upload").code)
}

// An upload with an unsigned trailer was not authenticated, and credentials in the
// query were believed beside it. Defence: Verifier.prove, which knows no mode of
// payload; and that the mode does not go with a query.
func TestCVE_2025_31489_and_CVE_2026_41145_UnsignedTrailers(t *testing.T) {
	h := newHarness(t, nil, nil)
	for name, change := range map[string]func(*request){
		"wrong secret": func(q *request) { q.secret = "wrong" },
		"unknown key":  func(q *request) { q.key = unknownKey },
		"no signature": func(q *request) { q.tamper = func(r *http.Request) { r.Header.Del("Authorization") } },
		"an empty signature": func(q *request) {
			q.tamper = func(r *http.Request) {
				head, _, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
				r.Header.Set("Authorization", head+"Signature=")
			}
		},
		"credentials in the query": func(q *request) {
			q.tamper = func(r *http.Request) {
				r.Header.Del("Authorization")
				r.URL.RawQuery = "X-Amz-Credential=" + fullKey + "/20300102/us-east-1/s3/aws4_request"
			}
		},
	} {
		q := request{method: "PUT", path: "/bucket/a", body: "x", style: byUnsignedTrailer}
		change(&q)
		require.Contains(t, []int{400, 403}, h.do(q).status, name)
	}
	presigned := request{method: "PUT", path: "/bucket/a", body: "x", style: byQuery, payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", header: map[string]string{
		"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length": "1", "X-Amz-Trailer": trailer,
	}, tamperBody: func([]byte) []byte { return []byte("1\r\nx\r\n0\r\n" + trailer + ":" + crc("x") + "\r\n\r\n") }}
	require.GreaterOrEqual(t, h.do(presigned).status, 400)
	require.Empty(t, h.objects())
}

// A byte that is changed in any chunk of a signed upload never becomes an object.
// Defence: chunked.Reader compares the signature of every chunk.
func TestCVE_2021_21390_ChangedChunks(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "before")
	for i := range 6 {
		q := request{method: "PUT", path: "/bucket/a", body: strings.Repeat("abcdefgh", 6), chunkBytes: 8, style: byChunks}
		q.tamperBody = func(encoded []byte) []byte {
			at := 0
			for range i + 1 {
				at += strings.Index(string(encoded[at:]), "abcdefgh") + 1
			}
			encoded[at] ^= 1
			return encoded
		}
		require.Equal(t, "SignatureDoesNotMatch", h.do(q).code, "chunk %d", i)
	}
	require.Equal(t, "before", h.get("/bucket/a").body)
}

// endless is a body that says it is large, and is.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

// A body of any size is read in bounded memory: a document up to its limit, a chunk
// of a few GiB as it comes. Defence: wire.ReadLimited.
func TestCVE_2018_1000538_LargeBodies(t *testing.T) {
	h := newHarness(t, nil, nil)
	h.put("/bucket/a", "x")
	for _, path := range []string{"/bucket/a?tagging", "/bucket?policy", "/bucket?acl", "/bucket?versioning", "/bucket?publicAccessBlock", "/bucket?ownershipControls"} {
		body := &endless{}
		a := h.do(request{method: "PUT", path: path, style: byHeaderUnsignedPayload, tamper: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(io.LimitReader(body, 10<<30)), 10<<30
		}})
		require.Equal(t, 400, a.status, path)
		require.LessOrEqual(t, body.read, int64(5<<20), path)
	}
	body := &endless{}
	a := h.do(request{method: "PUT", path: "/bucket/b", body: "x", style: byChunks, tamper: func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(io.LimitReader(body, 10<<30)), 10<<30
	}})
	require.Equal(t, 400, a.status)
	require.LessOrEqual(t, body.read, int64(1<<20), "a line that never ends")
	require.Equal(t, []string{"a"}, h.objects())
}

// Names that some system reserves are no way around permissions: as buckets they can
// not be, as keys they are keys like others. Defence: wire.ValidBucket.
func TestCVE_2023_28434_ReservedNames(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	for _, name := range []string{".minio.sys", ".sherd", "..", ".", "%2e%2e", "_system", "a%2fb", "%00ab", "-ab", "ab..cd", "192.168.0.1", "Upper"} {
		require.Equal(t, "InvalidBucketName", h.do(request{method: "PUT", path: "/" + name}).code, name)
		require.Equal(t, "InvalidBucketName", h.do(request{method: "PUT", path: "/" + name + "/key", body: "x"}).code, name)
		a := h.do(request{method: "PUT", path: "/bucket/copy", header: map[string]string{"X-Amz-Copy-Source": "/" + name + "/key"}})
		require.Contains(t, []string{"InvalidArgument", "NoSuchBucket", "InvalidBucketName"}, a.code, name)
	}
	for _, key := range []string{".minio.sys/config", ".object-lock", "policy", "acl"} {
		h.put("/bucket/"+key, "x")
		require.Equal(t, "AccessDenied", h.do(by(altKey, "GET", "/bucket/"+key)).code)
	}
	require.Equal(t, "NoSuchBucketPolicy", h.get("/bucket?policy").code)
}

// Conditions say nothing to who may not read: the answer for what is there and for
// what is not is the same. Defence: authorization comes before the store is asked,
// and unreadable asks for s3:ListBucket.
func TestCVE_2024_36107_ConditionsAreNoOracle(t *testing.T) {
	for _, setting := range []s3api.Ownership{s3api.BucketOwnerEnforced, s3api.ObjectWriter} {
		h := newHarness(t, withIdentities(t, setting), nil)
		h.ok(request{method: "PUT", path: "/b-b"})
		h.put("/b-b/there", "x")
		for _, key := range []string{"", altKey, poorKey, poorAltKey, deniedKey} {
			for name, value := range map[string]string{
				"If-Match": `"` + strings.Repeat("0", 32) + `"`, "If-None-Match": "*", "If-Modified-Since": "Mon, 01 Jan 2029 00:00:00 GMT",
				"If-Unmodified-Since": "Mon, 01 Jan 2029 00:00:00 GMT", "Range": "bytes=9-", "X-Amz-If-Match-Size": "9", "Accept": "*/*",
			} {
				for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
					if key == deniedKey && (method == "PUT" || method == "DELETE") && name != "If-Match" {
						continue // who may write a key learns that it is there by writing it
					}
					var answers [2]string
					for i, path := range []string{"/b-b/there", "/b-b/missing"} {
						q := by(key, method, path)
						q.header = map[string]string{name: value}
						a := h.do(q)
						answers[i] = fmt.Sprint(a.status, a.code, a.header.Get("Etag"), a.header.Get("Last-Modified"), a.header.Get("Content-Range"))
						if key != deniedKey {
							require.Equal(t, http.StatusForbidden, a.status)
						}
					}
					if key != deniedKey || method != "GET" && method != "HEAD" {
						require.Equal(t, answers[0], answers[1], "%s %s by %q", method, name, key)
					}
				}
			}
		}
		require.Equal(t, "x", h.get("/b-b/there").body)
	}
}

// The source of a copy is read by who copies it: the object, and the version that is
// named. Defence: the last lines of authorize, and readAction.
func TestCVE_2026_39360_SourcesOfCopies(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	id := h.put("/bucket/secret", "x").header.Get("X-Amz-Version-Id")
	h.put("/bucket/secret", "y")
	h.put("/bucket/open", "z")
	h.ok(by(altKey, "PUT", "/theirs"))
	upload := begin2(h, request{path: "/theirs/key", key: altKey})
	copies := func(source string) []string {
		var codes []string
		for _, path := range []string{"/theirs/copy", "/theirs/key?partNumber=1&uploadId=" + upload} {
			a := h.do(request{method: "PUT", path: path, key: altKey, header: map[string]string{"X-Amz-Copy-Source": source}})
			codes = append(codes, a.code)
		}
		return codes
	}
	denied, done := []string{"AccessDenied", "AccessDenied"}, []string{"", ""}
	for _, source := range []string{"/bucket/secret", "bucket/secret?versionId=" + id, "/bucket/missing", "/bucket/%73ecret"} {
		require.Equal(t, denied, copies(source), source)
	}
	h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/open"}`)
	require.Equal(t, done, copies("/bucket/open"))
	require.Equal(t, denied, copies("/bucket/secret"))
	h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}`)
	require.Equal(t, done, copies("/bucket/secret"))
	require.Equal(t, denied, copies("/bucket/secret?versionId="+id), "a version is another permission")
	h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObjectVersion","Resource":"arn:aws:s3:::bucket/*"}`)
	require.Equal(t, done, copies("/bucket/secret?versionId="+id))
	require.Equal(t, denied, copies("/bucket/secret"))
}

// Naming a version asks for the permission on versions, for every operation that has
// one. Defence: call.actions.
func TestGHSA_3ppv_fx5m_m749_VersionsAreAPermissionOfTheirOwn(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	tried := 0
	for _, o := range s3api.Operations() {
		if o.VersionAction == "" {
			continue
		}
		id := h.put("/bucket/key", "x").header.Get("X-Amz-Version-Id")
		for _, only := range []string{o.Action, o.VersionAction} {
			h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"` + only + `","Resource":"arn:aws:s3:::bucket/*"}`)
			for _, query := range []string{"", "versionId=" + id} {
				q := requestFor(o)
				q.key, q.path = altKey, strings.Replace(q.path, "/nowhere", "/bucket", 1)
				separator := "?"
				if strings.Contains(q.path, "?") {
					separator = "&"
				}
				q.path += separator + query
				may := (only == o.VersionAction) == (query != "")
				a := h.do(q)
				require.Equal(t, may, a.status != http.StatusForbidden, "%s with %s: %q %s", o.Name, only, query, a.body)
				tried++
			}
		}
	}
	require.Greater(t, tried, 30)
}

// What nobody allows is denied, to identities of the owner's account too. Defence:
// verdict.allows wants an Allow.
func TestCVE_2025_62506_AnAllowIsAlwaysNeeded(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.put("/bucket/key", "x")
	h.setPolicy(`{"Effect":"Deny","Principal":{"AWS":"` + altAccount + `"},"Action":"s3:*","Resource":"arn:aws:s3:::bucket/*"}`)
	for _, o := range authenticated() {
		for _, key := range []string{poorKey, poorAltKey} {
			q := requestFor(o)
			q.key, q.path = key, strings.Replace(q.path, "/nowhere", "/bucket", 1)
			switch a := h.do(q); o.Name {
			case "GetBucketTagging", "DeleteObjects", "PostObject": // the policy is of that action elsewhere; key by key; by its form
				require.GreaterOrEqual(t, a.status, 400, o.Name)
			default:
				require.Equal(t, http.StatusForbidden, a.status, "%s by %s: %s", o.Name, key, a.body)
			}
		}
	}
	require.Equal(t, []string{"key"}, h.objects())
}

// Who is denied to bypass governance does not, whatever else he may. Defence: the
// action that call.actions and deleteTarget add.
func TestCVE_2023_25812_DeniedBypass(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.ok(request{method: "PUT", path: "/b-b", header: map[string]string{"X-Amz-Bucket-Object-Lock-Enabled": "true"}})
	id := h.put("/b-b/key", "x").header.Get("X-Amz-Version-Id")
	h.ok(request{method: "PUT", path: "/b-b/key?retention", body: retention("GOVERNANCE", h.in(time.Hour))})
	h.ok(request{method: "PUT", path: "/b-b?policy", body: `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:BypassGovernanceRetention","Resource":"arn:aws:s3:::b-b/*"}}`})
	body := "<Delete><Object><Key>key</Key><VersionId>" + id + "</VersionId></Object></Delete>"
	for _, q := range []request{
		{method: "DELETE", path: "/b-b/key?versionId=" + id, header: bypassing()},
		{method: "PUT", path: "/b-b/key?retention", body: "<Retention/>", header: bypassing()},
		{method: "POST", path: "/b-b?delete", body: body, header: with(bypassing(), "Content-Md5", md5Of(body))},
	} {
		require.Contains(t, h.do(q).body, "<Code>AccessDenied</Code>", "%s %s", q.method, q.path)
	}
	h.ok(request{method: "GET", path: "/b-b/key?versionId=" + id})
	h.ok(request{method: "DELETE", path: "/b-b?policy"})
	h.ok(request{method: "DELETE", path: "/b-b/key?versionId=" + id, header: bypassing()})
}

// A header does not set the key of a condition but the one that it is for. Defence:
// facts.Request knows every key.
func TestGHSA_6r96_hmgc_726c_HeadersSetNoKeys(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.put("/bucket/key", "x")
	for key, value := range map[string]string{
		"aws:SourceIp": "192.0.2.1", "aws:username": "boss", "aws:userid": "boss", "aws:PrincipalArn": "arn:aws:iam::000000000000:user/main",
		"aws:PrincipalAccount": "000000000000", "aws:SecureTransport": "true", "aws:CurrentTime": "2020-01-01T00:00:00Z", "aws:PrincipalType": "Account",
		"s3:authType": "POST", "s3:signatureversion": "AWS", "s3:TlsVersion": "1.3", "s3:VersionId": "null", "s3:prefix": "p", "s3:ExistingObjectTag/a": "b",
		"aws:ResourceAccount": "boss", "s3:LocationConstraint": "mars",
	} {
		operator := "StringEquals"
		if key == "aws:SourceIp" {
			operator = "IpAddress"
		}
		h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*","Condition":{"` + operator + `":{"` + key + `":"` + value + `"}}}`)
		_, name, _ := strings.Cut(key, ":")
		header := map[string]string{}
		for _, spelt := range []string{strings.ReplaceAll(key, ":", "-"), name, "X-Amz-" + name, "X-Amz-Meta-" + name, "Aws" + name, "X-Forwarded-For"} {
			header[strings.ReplaceAll(spelt, "/", "-")] = value
		}
		require.Equal(t, "AccessDenied", h.do(request{method: "GET", path: "/bucket/key", key: altKey, header: header}).code, key)
	}
}

// The address of a sender is that of the socket's peer, unless it is a proxy that is
// trusted. Defence: facts.Request.trusts.
func TestCVE_2026_21862_SourceAddresses(t *testing.T) {
	for _, c := range []struct {
		trusted, peer, forwarded string
		may                      bool
	}{
		{"", "192.0.2.1:9", "", true}, {"", "192.0.2.1:9", "198.51.100.1", true}, {"", "198.51.100.1:9", "192.0.2.1", false},
		{"10.0.0.0/8", "198.51.100.1:9", "192.0.2.1", false}, {"10.0.0.0/8", "10.0.0.1:9", "192.0.2.1", true},
		{"10.0.0.0/8", "10.0.0.1:9", "192.0.2.1, 198.51.100.1", false}, {"10.0.0.0/8", "10.0.0.1:9", "198.51.100.1, 192.0.2.1, 10.0.0.7", true},
		{"10.0.0.0/8", "10.0.0.1:9", "nonsense", false}, {"10.0.0.0/8", "[::ffff:10.0.0.1]:9", "192.0.2.1", true}, {"", "[::ffff:192.0.2.1]:9", "", true}, {"", "@", "", false},
	} {
		h := newHarness(t, func(o *s3api.Options) {
			withIdentities(t, "")(o)
			if c.trusted != "" {
				o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
			}
		}, nil)
		h.put("/bucket/key", "x")
		h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}`)
		q := by("", "GET", "/bucket/key")
		q.tamper = func(r *http.Request) {
			r.RemoteAddr = c.peer
			if c.forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.forwarded)
				r.Header.Set("X-Real-Ip", "192.0.2.1")
				r.Header.Set("Forwarded", "for=192.0.2.1")
			}
		}
		require.Equal(t, c.may, h.do(q).status == 200, "%+v", c)
	}
}

// unlockable is a store whose lock configuration cannot be read.
type unlockable struct{ *sherd.Store }

func (unlockable) ObjectLock(context.Context, string) (lock.Configuration, error) {
	return lock.Configuration{}, errBroken
}

// A lock configuration that cannot be read is no absence of one. Defence:
// lockedBucket gives the error back; that nothing is destroyed is the engine's.
func TestGHSA_j548_9grx_fh4f_UnreadableLocks(t *testing.T) {
	h := newHarness(t, nil, func(s *sherd.Store) s3api.Store { return unlockable{s} })
	h.put("/bucket/key", "x")
	for _, q := range []request{
		{method: "GET", path: "/bucket?object-lock"}, {method: "GET", path: "/bucket/key?retention"}, {method: "GET", path: "/bucket/key?legal-hold"},
		{method: "PUT", path: "/bucket/key?retention", body: retention("GOVERNANCE", h.in(time.Hour))}, {method: "PUT", path: "/bucket/key?legal-hold", body: hold("OFF")},
	} {
		require.Equal(t, "InternalError", h.do(q).code, "%s %s", q.method, q.path)
	}
}

// Names lead nowhere but to what they name: in a key, a source of a copy, the id of a
// version, of an upload, a marker. Defence: address cleans nothing, and ids are
// looked up.
func TestCVE_2023_28433_and_CVE_2026_54917_Traversal(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	require.NoError(t, h.store.SetVersioning(t.Context(), bucket, versioning.Enabled))
	h.ok(by(altKey, "PUT", "/theirs"))
	h.ok(request{method: "PUT", path: "/theirs/secret", key: altKey, body: "secret"})
	var want []string
	for _, key := range []string{"../theirs/secret", "..%2Ftheirs%2Fsecret", "./../theirs/secret", "a/../../theirs/secret", "..%5Ctheirs%5Csecret", "%2e%2e/theirs/secret", "//theirs/secret", "%00"} {
		q := request{method: "GET", path: "/bucket/" + key}
		require.NotEqual(t, "secret", h.do(q).body, key)
		h.put("/bucket/"+key, "mine")
		require.Equal(t, "mine", h.get("/bucket/"+key).body, key)
		want = append(want, key)
		for _, path := range []string{"/bucket/copy", part(1, begin(h, "big", nil))} {
			a := h.do(request{method: "PUT", path: path, header: map[string]string{"X-Amz-Copy-Source": "/bucket/" + key + "x"}})
			require.Contains(t, []string{"NoSuchKey"}, a.code, key)
		}
	}
	for _, id := range []string{"../../theirs/secret", "..", "/", "%00", "null/../x", strings.Repeat("A", 1000)} {
		require.GreaterOrEqual(t, h.get("/bucket/../theirs/secret?versionId="+id).status, 400, id)
		require.GreaterOrEqual(t, h.do(request{method: "DELETE", path: "/bucket/x?uploadId=" + id}).status, 400, id)
		require.GreaterOrEqual(t, h.do(request{method: "PUT", path: "/bucket/x?partNumber=1&uploadId=" + id, body: "x"}).status, 400, id)
		require.GreaterOrEqual(t, h.do(request{method: "PUT", path: "/bucket/x", header: map[string]string{"X-Amz-Copy-Source": "/bucket/a?versionId=" + id}}).status, 400, id)
		for _, marker := range []string{"?marker=", "?list-type=2&start-after=", "?versions&key-marker=", "?uploads&key-marker=", "?prefix="} {
			require.NotContains(t, h.get("/bucket"+marker+id).body, ">secret<", marker)
		}
	}
	require.Equal(t, "secret", h.ok(by(altKey, "GET", "/theirs/secret")).body)
	require.Equal(t, "AccessDenied", h.do(by(fullKey, "GET", "/theirs/secret")).code)
	require.NotEmpty(t, want)
}

// What opens itself out, goes deep, or goes on behind its end is no document of ours,
// whichever operation reads it. Defence: wire.Decode.
func TestDocumentsThatAreBombs(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.put("/bucket/key", "x")
	upload := begin(h, "big", nil)
	entity := `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>`
	for path, good := range map[string]string{
		"PUT /bucket/key?tagging":             "<Tagging><TagSet></TagSet></Tagging>",
		"PUT /bucket?tagging":                 "<Tagging><TagSet></TagSet></Tagging>",
		"PUT /bucket?acl":                     fmt.Sprintf(grantDocument, mainID(), ""),
		"PUT /bucket?ownershipControls":       ownership("ObjectWriter"),
		"PUT /bucket?publicAccessBlock":       block(false, false, false, false),
		"PUT /bucket?versioning":              "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
		"POST /bucket/big?uploadId=" + upload: "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
		"PUT /made":                           "<CreateBucketConfiguration></CreateBucketConfiguration>",
	} {
		method, path, _ := strings.Cut(path, " ")
		name := good[1:strings.IndexAny(good, " >")]
		for _, bad := range []string{
			entity + good, good + good, good + "x", good[:len(good)-1], "<" + name + ">" + strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20) + "</" + name + ">",
			"<" + name + ">" + strings.Repeat("<a/>", 100_001) + "</" + name + ">", "<" + name + ">&b;</" + name + ">",
		} {
			a := h.do(request{method: method, path: path, body: bad})
			require.Contains(t, []string{"MalformedXML", "MalformedACLError", "MaxMessageLengthExceeded"}, a.code, "%s: %.200s", path, bad)
		}
	}
}

// No secret, signature or query is told to who observes, for any way of sending
// anything. (What is answered and logged is searched after every request of all
// tests.) Defence: Exchange has none of it.
func TestNothingSecretIsObserved(t *testing.T) {
	var seen strings.Builder
	h := newHarness(t, func(o *s3api.Options) {
		o.Observe = func(e s3api.Exchange) { fmt.Fprintf(&seen, "%+v %v\n", e, e.Err) }
	}, nil)
	for _, o := range authenticated() {
		for _, c := range callers() {
			q := requestFor(o)
			c.change(&q)
			q.path += map[bool]string{true: "&", false: "?"}[strings.Contains(q.path, "?")] + "password=hidden-in-the-query"
			if q.tamper == nil {
				q.tamper = func(*http.Request) {}
			}
			h.do(q)
		}
	}
	for _, secret := range []string{canary, "hidden-in-the-query", "Signature=", "X-Amz-Credential"} {
		require.NotContains(t, seen.String(), secret)
		require.NotContains(t, h.log.String(), secret)
	}
	require.Greater(t, strings.Count(seen.String(), "\n"), 1000)
}
