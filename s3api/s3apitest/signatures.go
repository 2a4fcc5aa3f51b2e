package s3apitest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func signatureCases() []Case {
	return slices.Concat(schemeCases(), payloadCases(), forgedCases(), timeCases(), presignCases(), chunkCases(), wireCases())
}

// schemes are the ways to sign.
func schemes() map[string]scheme {
	return map[string]scheme{"header": inHeader, "query": inQuery, "header-v2": inHeader2, "query-v2": inQuery2}
}

func needsOf(scheme string) []string {
	if strings.HasSuffix(scheme, "v2") {
		return []string{NeedsVersion2}
	}
	return nil
}

func schemeCases() []Case {
	var cases []Case
	for name, s := range schemes() {
		needs := needsOf(name)
		cases = append(cases, Case{Name: name, Rule: "requests signed in this way are known", Needs: needs, Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/a%20b+c%25/%C3%A9", "body", "X-Amz-Meta-A: b", "Content-Type: text/x").by(s))
			c.equal("body", c.ok(get(b+"/a%20b+c%25/%C3%A9").by(s)).body, "body")
			c.ok(head(b + "/a%20b+c%25/%C3%A9").by(s))
			c.ok(get(b + "?list-type=2&prefix=a%20").by(s))
			c.ok(get("/").by(s))
			c.status(204, del(b+"/a%20b+c%25/%C3%A9").by(s))
		}}, Case{Name: name + "-wrong-secret", Rule: "a wrong secret answers SignatureDoesNotMatch", Needs: needs, Run: func(c *C) {
			b := c.filled("foo")
			wrong := *c.main
			wrong.SecretKey += "x"
			c.refused(403, "SignatureDoesNotMatch", get(b+"/foo").by(s).as(&wrong))
			c.refused(403, "SignatureDoesNotMatch", put(b+"/foo", "x").by(s).as(&wrong))
			c.refused(403, "SignatureDoesNotMatch", get("/").by(s).as(&wrong))
			c.equal("foo", c.content(b+"/foo"), "body")
		}}, Case{Name: name + "-unknown-key", Rule: "a key that nobody has answers InvalidAccessKeyId", Needs: needs, Run: func(c *C) {
			b := c.filled("foo")
			nobody := Identity{AccessKey: "NOBODYSACCESSKEY", SecretKey: c.main.SecretKey}
			c.refused(403, "InvalidAccessKeyId", get(b+"/foo").by(s).as(&nobody))
		}}, Case{Name: name + "-other-method", Rule: "a signature is of one method", Needs: needs, Run: func(c *C) {
			b := c.filled("foo")
			q := get(b + "/foo").by(s)
			q.change = func(r *http.Request) { r.Method = http.MethodDelete }
			c.refused(403, "SignatureDoesNotMatch", q)
			c.equal("foo", c.content(b+"/foo"), "body")
		}}, Case{Name: name + "-other-path", Rule: "a signature is of one path", Needs: needs, Run: func(c *C) {
			b := c.filled("foo", "bar")
			q := get(b + "/foo").by(s)
			q.change = func(r *http.Request) {
				r.URL.Path = strings.Replace(r.URL.Path, "/foo", "/bar", 1)
				r.URL.RawPath = strings.Replace(r.URL.RawPath, "/foo", "/bar", 1)
			}
			c.refused(403, "SignatureDoesNotMatch", q)
		}})
	}
	return group("signature", "sig-v4-authenticating-requests", cases...)
}

func payloadCases() []Case {
	var cases []Case
	for name, mode := range map[string]string{"unsigned": unsignedPayload, "chunks": chunks, "chunks-trailer": chunksTrailer, "unsigned-trailer": unsignedTrailer} {
		for size, body := range map[string]string{"empty": "", "small": "x", "large": strings.Repeat("0123456789", 20000)} {
			cases = append(cases, Case{Name: "payload-" + name + "-" + size, Rule: "a body in this payload mode arrives", Run: func(c *C) {
				path := c.bucket() + "/foo"
				q := put(path, body)
				if strings.HasSuffix(mode, "TRAILER") {
					q = trailing(path, body, mode, "x-amz-checksum-crc32:"+crc32Of(body))
				}
				q.payload, q.chunk = mode, 16<<10
				c.ok(q)
				a := c.ok(get(path))
				c.check(a.body == body, "another body")
				c.equal("", a.header.Get("Content-Encoding"), "Content-Encoding")
			}})
		}
	}
	cases = append(cases, Case{Name: "payload-other", Rule: "a body that is not the one of x-amz-content-sha256 is refused", Run: func(c *C) {
		path := c.filled("foo") + "/foo"
		q := put(path, "body")
		q.payload = hexHash("other")
		c.refused(400, "XAmzContentSHA256Mismatch", q)
		c.equal("foo", c.content(path), "body")
	}}, Case{Name: "payload-unknown", Rule: "a payload mode that is none is refused", Run: func(c *C) {
		q := put(c.bucket()+"/foo", "body")
		q.payload = "STREAMING-SOMETHING"
		c.check(c.do(q).status >= 400, "it was taken")
	}}, Case{Name: "payload-missing", Rule: "x-amz-content-sha256 must be there", Run: func(c *C) {
		q := get(c.filled("foo") + "/foo")
		q.change = func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }
		a := c.do(q)
		c.check(a.status == 400 || a.status == 403, "%s", a.describe())
	}})
	return group("signature", "sigv4-auth-using-authorization-header", cases...)
}

// forgedCases send what was not signed.
func forgedCases() []Case {
	return group("signature", "sigv4-auth-using-authorization-header", []Case{
		{Name: "header-added", Rule: "an x-amz- header that is not signed is refused", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			for _, s := range []scheme{inHeader, inQuery} {
				q := put(path, "x").by(s)
				q.change = func(r *http.Request) { r.Header.Set("X-Amz-Meta-Forged", "1") }
				c.check(c.do(q).status == 403, "it was taken")
			}
			q := put(path, "x", "X-Amz-Storage-Class: STANDARD")
			q.unsigned = []string{"x-amz-storage-class"}
			c.check(c.do(q).status == 403, "it was taken")
			c.equal("foo", c.content(path), "body")
		}},
		{Name: "header-changed", Rule: "a signed header that was changed is refused", Run: func(c *C) {
			q := put(c.bucket()+"/foo", "x", "X-Amz-Meta-A: 1")
			q.change = func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "2") }
			c.refused(403, "SignatureDoesNotMatch", q)
		}},
		{Name: "query-added", Rule: "a parameter that is not signed is refused", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			for _, s := range []scheme{inHeader, inQuery} {
				q := get(path).by(s)
				q.change = func(r *http.Request) { r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&tagging", "&") }
				c.refused(403, "SignatureDoesNotMatch", q)
			}
		}},
		{Name: "host-changed", Rule: "a signature is of one host", Run: func(c *C) {
			q := get(c.filled("foo") + "/foo")
			q.change = func(r *http.Request) { r.Host = "evil." + r.Host }
			a := c.do(q)
			c.check(a.status == 403 || a.status == 404, "%s", a.describe())
		}},
		{Name: "malformed", Rule: "an Authorization header that is none is refused", Run: func(c *C) {
			b := c.bucket()
			for _, header := range []string{"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=x", "Bearer x", "Basic eDp5", "AWS HAHAHA", "x"} {
				q := get(b + "/foo").anonymous()
				q.change = func(r *http.Request) { r.Header.Set("Authorization", header) }
				a := c.do(q)
				c.check(a.status == 400 || a.status == 403, "%q: %s", header, a.describe())
			}
		}},
		{Name: "both", Rule: "a signature in the header and one in the query are refused", Run: func(c *C) {
			q := get(c.filled("foo") + "/foo").by(inQuery)
			q.change = func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") }
			a := c.do(q)
			c.check(a.status == 400 || a.status == 403, "%s", a.describe())
		}},
		{Name: "region", Rule: "the scope's region must be the bucket's", Run: func(c *C) {
			q := get(c.filled("foo") + "/foo")
			q.region = "eu-north-9"
			a := c.do(q)
			c.check((a.status == 400 || a.status == 403) && a.code != "", "%s", a.describe())
		}},
	}...)
}

// timeCases are of the clock: 15 minutes either way.
func timeCases() []Case {
	var cases []Case
	for what, want := range map[string]struct {
		age  time.Duration
		good bool
	}{
		"14-minutes-late": {14 * time.Minute, true}, "14-minutes-early": {-14 * time.Minute, true},
		"16-minutes-late": {16 * time.Minute, false}, "16-minutes-early": {-16 * time.Minute, false}, "a-year-late": {365 * 24 * time.Hour, false},
	} {
		for _, name := range []string{"header", "header-v2"} {
			s := schemes()[name]
			cases = append(cases, Case{Name: "clock-" + name + "-" + what, Rule: fmt.Sprintf("such a request is taken: %v", want.good), Needs: needsOf(name), Run: func(c *C) {
				q := get(c.filled("foo") + "/foo").by(s)
				q.age = want.age
				if want.good {
					c.ok(q)
					return
				}
				a := c.do(q)
				c.check(a.status == 403 && (a.code == "RequestTimeTooSkewed" || a.code == "AccessDenied" || a.code == "SignatureDoesNotMatch"), "%s", a.describe())
			}})
		}
	}
	return group("signature", "sigv4-auth-using-authorization-header", cases...)
}

func presignCases() []Case {
	presigned := func(q request, expires int, age time.Duration) request {
		q.expires, q.age = expires, age
		return q.by(inQuery)
	}
	return group("presigned", "sigv4-query-string-auth", []Case{
		{Name: "put", Rule: "a presigned PUT stores, with headers that were signed", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.ok(put(path, "hello world", "X-Amz-Meta-A: b").by(inQuery))
			a := c.ok(get(path).by(inQuery))
			c.equal([]string{"hello world", "b"}, []string{a.body, a.header.Get("X-Amz-Meta-A")}, "body and metadata")
		}},
		{Name: "expired", Rule: "a request whose time is over answers AccessDenied", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.refused(403, "AccessDenied", get(path).with().by(inQuery).aged(60, 61*time.Second))
			c.refused(403, "AccessDenied", presigned(put(path, "x"), 60, time.Hour))
			c.equal("foo", c.content(path), "body")
		}},
		{Name: "week", Rule: "a week is the longest that a request is good for", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.ok(presigned(get(path), 604800, 0))
			c.ok(presigned(get(path), 604800, 6*24*time.Hour))
			c.check(c.do(presigned(get(path), 604801, 0)).status/100 == 4, "more than a week was taken")
		}},
		{Name: "never", Rule: "a time of nothing, or less, is refused", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.check(c.do(presigned(get(path), -7, 0)).status/100 == 4, "a negative time was taken")
		}},
		{Name: "second", Rule: "one second is good", Run: func(c *C) { c.ok(presigned(get(c.filled("foo")+"/foo"), 1, 0)) }},
		{Name: "upload", Rule: "uploads go by presigned requests alone", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := url.QueryEscape(c.ok(post(path+"?uploads", "").by(inQuery)).one("UploadId"))
			tag := c.ok(put(path+"?partNumber=1&uploadId="+id, "x").by(inQuery)).etag()
			c.ok(c.complete(path, id, tag).by(inQuery))
			c.equal("x", c.content(path), "body")
		}},
		{Name: "field-missing", Rule: "each field of the signature must be there", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
				q := get(path).by(inQuery)
				q.change = func(r *http.Request) {
					values := r.URL.Query()
					values.Del(name)
					r.URL.RawQuery = values.Encode()
				}
				a := c.do(q)
				c.check(a.status == 400 || a.status == 403, "without %s: %s", name, a.describe())
			}
		}},
		{Name: "host-unsigned", Rule: "the host must be signed", Run: func(c *C) {
			q := get(c.filled("foo") + "/foo").by(inQuery)
			q.unsigned = []string{"host"}
			a := c.do(q)
			c.check(a.status == 400 || a.status == 403, "%s", a.describe())
		}},
	}...)
}

func (q request) aged(expires int, age time.Duration) request {
	q.expires, q.age = expires, age
	return q
}

// chunkCases break the framing of chunks.
func chunkCases() []Case {
	body := strings.Repeat("0123456789", 20)
	var cases []Case
	for what, change := range map[string]func([]byte) []byte{
		"byte": func(b []byte) []byte { return bytes.Replace(b, []byte("0123456789"), []byte("0123456780"), 1) },
		"signature": func(b []byte) []byte {
			return bytes.Replace(b, []byte("chunk-signature="), []byte("chunk-signature=0"), 1)
		},
		"cut":    func(b []byte) []byte { return b[:len(b)/2] },
		"no-end": func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte("\r\n0;"))+2] },
		"junk":   func(b []byte) []byte { return append(b, "junk"...) },
		"size":   func(b []byte) []byte { return append([]byte("zz"), b[2:]...) },
	} {
		cases = append(cases, Case{Name: "chunk-" + what, Rule: "a body whose chunks were tampered with is refused, and stores nothing", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			q := put(path, body)
			q.payload, q.chunk, q.changeBody = chunks, 50, change
			a := c.do(q)
			c.check(a.status == 400 || a.status == 403, "%s", a.describe())
			c.equal("foo", c.content(path), "body")
		}})
	}
	cases = append(cases, Case{Name: "chunk-length", Rule: "x-amz-decoded-content-length must be the length of the body", Run: func(c *C) {
		path := c.filled("foo") + "/foo"
		for _, length := range []string{"199", "201", "x", "-1"} {
			q := put(path, body, "X-Amz-Decoded-Content-Length: "+length)
			q.payload, q.chunk = chunks, 50
			a := c.do(q)
			c.check(a.status == 400 || a.status == 403 || a.status == 411, "%s: %s", length, a.describe())
		}
		c.equal("foo", c.content(path), "body")
	}})
	return group("signature", "sigv4-streaming", cases...)
}

func wireCases() []Case {
	return group("wire", "ErrorResponses", []Case{
		{Name: "request-id", Rule: "every answer has x-amz-request-id, and errors repeat it", Run: func(c *C) {
			b := c.bucket()
			ok, bad := c.ok(get(b)), c.do(get(b+"/foo"))
			c.check(ok.header.Get("X-Amz-Request-Id") != "", "no id")
			c.equal(bad.header.Get("X-Amz-Request-Id"), bad.one("RequestId"), "id")
			c.check(ok.header.Get("X-Amz-Request-Id") != bad.header.Get("X-Amz-Request-Id"), "the same id twice")
		}},
		{Name: "error", Rule: "an error is a document with Code, Message and Resource", Run: func(c *C) {
			a := c.do(get(c.bucket() + "/foo"))
			c.equal("Error", a.root.name, "document")
			c.equal("application/xml", a.header.Get("Content-Type"), "Content-Type")
			c.check(a.one("Code") != "" && a.one("Message") != "" && a.one("Resource") != "", "%s", a.body)
		}},
		{Name: "bucket-name", Rule: "NoSuchBucket names the bucket", Run: func(c *C) {
			b := c.newName()
			c.equal(b[1:], c.refused(404, "NoSuchBucket", get(b)).one("BucketName"), "BucketName")
		}},
		{Name: "method", Rule: "a method that S3 has not is refused", Run: func(c *C) {
			q := get(c.bucket())
			q.method = "PATCH"
			a := c.do(q)
			c.check(a.status == 405 || a.status == 501 || a.status == 400, "%s", a.describe())
		}},
		{Name: "no-length", Rule: "a body of unknown length is stored whole, or answers MissingContentLength", Run: func(c *C) {
			path := c.bucket() + "/foo"
			q := put(path, "bar")
			q.change = func(r *http.Request) { r.ContentLength = -1 }
			if a := c.do(q); a.status == 200 {
				c.equal("bar", c.content(path), "body")
			} else {
				c.equal("MissingContentLength", a.code, "code")
			}
		}},
		{Name: "not-built", Rule: "what asks for encryption is done or refused, never left out", Run: func(c *C) {
			path := c.bucket() + "/foo"
			a := c.do(put(path, "x", "X-Amz-Server-Side-Encryption: AES256"))
			c.check(a.status >= 400 || a.header.Get("X-Amz-Server-Side-Encryption") == "AES256", "%s", a.describe())
			a = c.do(put(path, "x", "X-Amz-Server-Side-Encryption: aes:kms"))
			c.check(a.status >= 400, "%s", a.describe())
		}},
	}...)
}
