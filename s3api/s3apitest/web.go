package s3apitest

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func webCases() []Case {
	return slices.Concat(corsCases(), corsAnswerCases(), preflightCases(), formCases(), formFieldCases(), formPolicyCases(), lifecycleCases(), lifecycleRefusedCases(), expirationCases(), configurationCases(), appendCases(), renameCases())
}

func corsRule(methods, origins string, more ...string) string {
	var b strings.Builder
	for method := range strings.FieldsSeq(methods) {
		b.WriteString("<AllowedMethod>" + method + "</AllowedMethod>")
	}
	for origin := range strings.FieldsSeq(origins) {
		b.WriteString("<AllowedOrigin>" + origin + "</AllowedOrigin>")
	}
	return "<CORSRule>" + b.String() + strings.Join(more, "") + "</CORSRule>"
}

func (c *C) setCORS(b string, rules ...string) {
	body := "<CORSConfiguration>" + strings.Join(rules, "") + "</CORSConfiguration>"
	c.ok(put(b+"?cors", body, "Content-MD5: "+md5Of(body)))
}

func corsCases() []Case {
	return group("cors", "API_PutBucketCors", []Case{
		{Name: "set", Rule: "rules are set, read and deleted", Run: func(c *C) {
			b := c.bucket()
			c.refused(404, "NoSuchCORSConfiguration", get(b+"?cors"))
			c.setCORS(b, corsRule("GET PUT", "*.get *.put", "<ID>one</ID><MaxAgeSeconds>30</MaxAgeSeconds><ExposeHeader>x-amz-meta-a</ExposeHeader><AllowedHeader>*</AllowedHeader>"))
			a := c.ok(get(b + "?cors"))
			c.equal([]string{"GET", "PUT"}, a.all("CORSRule.AllowedMethod"), "methods")
			c.equal([]string{"*.get", "*.put"}, a.all("CORSRule.AllowedOrigin"), "origins")
			c.equal([]string{"one", "30", "x-amz-meta-a", "*"}, []string{a.one("CORSRule.ID"), a.one("CORSRule.MaxAgeSeconds"), a.one("CORSRule.ExposeHeader"), a.one("CORSRule.AllowedHeader")}, "rule")
			c.status(204, del(b+"?cors"))
			c.refused(404, "NoSuchCORSConfiguration", get(b+"?cors"))
			c.status(204, del(b+"?cors"))
		}},
		{Name: "refused", Rule: "a method that is none, two stars, or no rule is refused", Run: func(c *C) {
			b := c.bucket()
			for _, rules := range []string{corsRule("PATCH", "*"), corsRule("GET", "*a*"), "", corsRule("", "*"), corsRule("GET", "")} {
				body := "<CORSConfiguration>" + rules + "</CORSConfiguration>"
				a := c.do(put(b+"?cors", body, "Content-MD5: "+md5Of(body)))
				c.check(a.status == 400, "%s: %s", rules, a.describe())
			}
		}},
	}...)
}

// corsAnswerCases have a bucket that anybody may list, with four rules.
func corsAnswerCases() []Case {
	var cases []Case
	for origin, allowed := range map[string]bool{
		"foo.suffix": true, "foo.bar": false, "foo.get.suffix": true, "startend": true, "start1end": true, "start12end": true,
		"0start12end": false, "prefix": true, "prefix.suffix": true, "bla.prefix": false,
	} {
		cases = append(cases, Case{Name: "origin-" + origin, Rule: fmt.Sprintf("the origin %s is allowed: %v", origin, allowed), Run: func(c *C) {
			b := c.openWith("public-read")
			c.setCORS(b, corsRule("GET", "*suffix"), corsRule("GET", "start*end"), corsRule("GET", "prefix*"), corsRule("PUT", "*.put"))
			want := []string{"", ""}
			if allowed {
				want = []string{origin, "GET"}
			}
			a := c.ok(get(b, "Origin: "+origin).anonymous())
			c.equal(want, []string{a.header.Get("Access-Control-Allow-Origin"), a.header.Get("Access-Control-Allow-Methods")}, "headers of GET")
			status := 403
			if allowed {
				status = 200
			}
			q := get(b, "Origin: "+origin, "Access-Control-Request-Method: GET").anonymous()
			q.method = http.MethodOptions
			a = c.status(status, q)
			c.equal(want, []string{a.header.Get("Access-Control-Allow-Origin"), a.header.Get("Access-Control-Allow-Methods")}, "headers of OPTIONS")
		}})
	}
	cases = append(cases, Case{Name: "star", Rule: "an origin of * is answered with *", Run: func(c *C) {
		b := c.openWith("public-read")
		c.setCORS(b, corsRule("GET", "*"))
		c.equal("", c.ok(get(b).anonymous()).header.Get("Access-Control-Allow-Origin"), "without an origin")
		a := c.ok(get(b, "Origin: example.origin").anonymous())
		c.equal([]string{"*", "GET"}, []string{a.header.Get("Access-Control-Allow-Origin"), a.header.Get("Access-Control-Allow-Methods")}, "headers")
	}}, Case{Name: "errors", Rule: "errors have the headers too", Run: func(c *C) {
		b := c.openWith("public-read")
		c.setCORS(b, corsRule("GET", "*suffix"), corsRule("PUT", "*.put"))
		c.equal("foo.suffix", c.status(404, get(b+"/bar", "Origin: foo.suffix").anonymous()).header.Get("Access-Control-Allow-Origin"), "of 404")
		c.equal("foo.put", c.status(403, put(b+"/bar", "", "Origin: foo.put").anonymous()).header.Get("Access-Control-Allow-Origin"), "of 403")
		c.equal("", c.status(403, put(b+"/bar", "", "Origin: foo.suffix").anonymous()).header.Get("Access-Control-Allow-Origin"), "of another method")
	}}, Case{Name: "expose", Rule: "headers that are exposed, and how long it holds", Run: func(c *C) {
		b := c.openWith("public-read")
		c.setCORS(b, corsRule("GET", "*", "<ExposeHeader>x-amz-meta-a</ExposeHeader><MaxAgeSeconds>30</MaxAgeSeconds>"))
		a := c.ok(get(b, "Origin: x").anonymous())
		c.equal([]string{"x-amz-meta-a", "30"}, []string{a.header.Get("Access-Control-Expose-Headers"), a.header.Get("Access-Control-Max-Age")}, "headers")
	}}, Case{Name: "signed", Rule: "signed requests get the headers too", Run: func(c *C) {
		b := c.filled("foo")
		c.setCORS(b, corsRule("GET", "example"))
		for _, s := range []scheme{inHeader, inQuery} {
			c.equal("example", c.ok(get(b+"/foo", "Origin: example").by(s)).header.Get("Access-Control-Allow-Origin"), "header")
		}
	}})
	return group("cors", "userguide/cors", cases...)
}

func preflight(path string, header ...string) request {
	q := get(path, header...).anonymous()
	q.method = http.MethodOptions
	return q
}

func preflightCases() []Case {
	return group("cors", "RESTOPTIONSobject", []Case{
		{Name: "preflight-incomplete", Rule: "a preflight without origin or method answers 400", Run: func(c *C) {
			b := c.openWith("public-read")
			c.setCORS(b, corsRule("GET", "*suffix"))
			c.status(400, preflight(b))
			c.status(400, preflight(b, "Origin: foo.suffix"))
			c.status(400, preflight(b+"/foo", "Origin: bla"))
		}},
		{Name: "preflight-none", Rule: "a bucket without rules allows nothing", Run: func(c *C) {
			c.status(403, preflight(c.bucket()+"/foo", "Origin: x", "Access-Control-Request-Method: GET"))
		}},
		{Name: "preflight-object", Rule: "a preflight needs neither credentials nor the object", Run: func(c *C) {
			b := c.bucket()
			c.setCORS(b, corsRule("GET PUT", "*suffix"))
			a := c.status(200, preflight(b+"/bar", "Origin: foo.suffix", "Access-Control-Request-Method: GET"))
			c.equal([]string{"foo.suffix", "GET, PUT"}, []string{a.header.Get("Access-Control-Allow-Origin"), a.header.Get("Access-Control-Allow-Methods")}, "headers")
			c.status(403, preflight(b+"/bar", "Origin: foo.suffix", "Access-Control-Request-Method: DELETE"))
		}},
		{Name: "preflight-headers", Rule: "headers that the script wants to send must be allowed", Run: func(c *C) {
			b := c.bucket()
			c.setCORS(b, corsRule("PUT", "*", "<AllowedHeader>x-amz-meta-*</AllowedHeader>"))
			a := c.status(200, preflight(b+"/bar", "Origin: x", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: X-Amz-Meta-A, x-amz-meta-b"))
			c.equal("x-amz-meta-a, x-amz-meta-b", strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), "headers")
			c.status(403, preflight(b+"/bar", "Origin: x", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-amz-acl"))
		}},
		{Name: "preflight-presigned", Rule: "a preflight of a presigned URL is one", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.setCORS(path[:strings.LastIndex(path, "/")], corsRule("PUT", "example"))
			q := get(path, "Origin: example", "Access-Control-Request-Method: PUT").by(inQuery)
			q.unsigned = []string{"origin", "access-control-request-method"}
			q.method = http.MethodOptions
			c.equal("example", c.status(200, q).header.Get("Access-Control-Allow-Origin"), "header")
		}},
	}...)
}

// form is a POST of fields, names and values in turn, and of a file.
func form(bucket, filename, file string, fields ...string) request {
	const boundary = "kit-boundary-0123456789"
	var b strings.Builder
	for pair := range slices.Chunk(fields, 2) {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, pair[0], pair[1])
	}
	fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=%q\r\n\r\n%s\r\n--%s--\r\n", boundary, filename, file, boundary)
	return post(bucket, b.String(), "Content-Type: multipart/form-data; boundary="+boundary).anonymous()
}

// signedForm adds a policy of these conditions and its signature.
func (c *C) signedForm(bucket, file, conditions string, version int, fields ...string) request {
	document := fmt.Sprintf(`{"expiration":%q,"conditions":[%s]}`, c.soon(time.Hour), conditions)
	return c.policyForm(bucket, file, document, version, fields...)
}

func (c *C) policyForm(bucket, file, document string, version int, fields ...string) request {
	if version == 2 {
		policy := base64.StdEncoding.EncodeToString([]byte(document))
		signature := base64.StdEncoding.EncodeToString(mac(sha1.New, []byte(c.main.SecretKey), policy))
		return form(bucket, "foo.txt", file, append(fields, "AWSAccessKeyId", c.main.AccessKey, "policy", policy, "signature", signature)...)
	}
	s := newSigner(c.main, c.time(), c.target.Region)
	credential := c.main.AccessKey + "/" + s.scope
	document = strings.Replace(document, `"conditions":[`, fmt.Sprintf(`"conditions":[{"x-amz-algorithm":%q},{"x-amz-credential":%q},{"x-amz-date":%q},`, algorithm, credential, s.stamp), 1)
	policy := base64.StdEncoding.EncodeToString([]byte(document))
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(policy)) // never fails
	return form(bucket, "foo.txt", file, append(fields, "X-Amz-Algorithm", algorithm, "X-Amz-Credential", credential, "X-Amz-Date", s.stamp,
		"policy", policy, "X-Amz-Signature", hex.EncodeToString(h.Sum(nil)))...)
}

// usual conditions of a form for a bucket.
func usual(b string) string {
	return fmt.Sprintf(`{"bucket":%q},["starts-with","$key","foo"],{"acl":"private"},["starts-with","$Content-Type","text/plain"],["content-length-range",0,1024]`, b[1:])
}

func formCases() []Case {
	var cases []Case
	for _, version := range []int{2, 4} {
		var needs []string
		if version == 2 {
			needs = []string{NeedsVersion2}
		}
		one := func(name, rule string, run func(c *C, b string, fields []string)) {
			cases = append(cases, Case{Name: fmt.Sprintf("v%d-%s", version, name), Rule: rule, Needs: needs, Run: func(c *C) {
				run(c, c.bucket(ownedByWriter), []string{"key", "foo.txt", "acl", "private", "Content-Type", "text/plain"})
			}})
		}
		one("signed", "a signed form stores the file", func(c *C, b string, fields []string) {
			a := c.status(204, c.signedForm(b, "bar", usual(b), version, fields...))
			c.check(a.etag() != "" && a.header.Get("Location") != "", "headers %v", a.header)
			g := c.ok(get(b + "/foo.txt"))
			c.equal([]string{"bar", "text/plain"}, []string{g.body, g.header.Get("Content-Type")}, "object")
		})
		one("filename", "${filename} in the key is the file's name", func(c *C, b string, fields []string) {
			fields[1] = "foo-${filename}"
			c.status(204, c.signedForm(b, "bar", usual(b), version, fields...))
			c.equal("bar", c.content(b+"/foo-foo.txt"), "body")
		})
		one("wrong-signature", "a wrong signature stores nothing", func(c *C, b string, fields []string) {
			wrong := *c.main
			wrong.SecretKey += "x"
			right := c.main
			c.main = &wrong
			q := c.signedForm(b, "bar", usual(b), version, fields...)
			c.main = right
			c.status(403, q)
			c.refused(404, "NoSuchKey", get(b+"/foo.txt"))
		})
		one("expired", "a policy whose time is over answers 403", func(c *C, b string, fields []string) {
			c.status(403, c.policyForm(b, "bar", fmt.Sprintf(`{"expiration":%q,"conditions":[%s]}`, c.soon(-time.Hour), usual(b)), version, fields...))
		})
		one("other-bucket", "a policy of another bucket answers 403", func(c *C, b string, fields []string) {
			c.status(403, c.signedForm(c.bucket(ownedByWriter), "bar", usual(b), version, fields...))
		})
	}
	return group("form", "sigv4-post-example", cases...)
}

// formFieldCases are of a form by version 2 with one thing changed.
func formFieldCases() []Case {
	type change struct {
		status     int
		conditions string // instead of the usual; B is the bucket
		fields     []string
		file       string
	}
	plain := []string{"key", "foo.txt", "acl", "private", "Content-Type", "text/plain"}
	with := func(more ...string) []string { return append(slices.Clone(plain), more...) }
	const rest = `{"bucket":"B"},["starts-with","$key","foo"],{"acl":"private"},["starts-with","$Content-Type","text/plain"]`
	var cases []Case
	for what, f := range map[string]change{
		"no-type":             {204, `{"bucket":"B"},["starts-with","$key","foo"],{"acl":"private"}`, plain[:4], "bar"},
		"ignored":             {204, rest, with("x-ignore-foo", "bar"), "bar"},
		"names-any-case":      {204, `{"bUcKeT":"B"},["StArTs-WiTh","$KeY","foo"],{"AcL":"private"},["StArTs-WiTh","$CoNtEnT-TyPe","text/plain"]`, []string{"kEy", "foo.txt", "aCl", "private", "Content-Type", "text/plain"}, "bar"},
		"metadata":            {204, rest + `,["starts-with","$x-amz-meta-foo","bar"]`, with("x-amz-meta-foo", "barclamp"), "bar"},
		"no-key":              {400, `{"bucket":"B"},{"acl":"private"},["starts-with","$Content-Type","text/plain"]`, plain[2:], "bar"},
		"no-bucket-condition": {403, `["starts-with","$key","foo"],{"acl":"private"},["starts-with","$Content-Type","text/plain"]`, plain, "bar"},
		"field-missing":       {403, rest + `,["starts-with","$x-amz-meta-foo","bar"]`, plain, "bar"},
		"field-uncovered":     {403, rest, with("x-amz-meta-foo", "bar"), "bar"},
		"field-other":         {403, rest + `,["eq","$x-amz-meta-foo",""]`, with("x-amz-meta-foo", "barclamp"), "bar"},
		"key-other":           {403, rest, append([]string{"key", "bar.txt"}, plain[2:]...), "bar"},
		"too-large":           {400, rest + `,["content-length-range",0,0]`, plain, "bar"},
		"too-small":           {400, rest + `,["content-length-range",512,1000]`, plain, "bar"},
		"range-half":          {400, rest + `,["content-length-range",0]`, plain, "bar"},
		"range-negative":      {400, rest + `,["content-length-range",-1,0]`, plain, "bar"},
		"condition-empty":     {400, `{}`, plain, "bar"},
		"megabytes":           {204, rest + `,["content-length-range",0,5242880]`, plain, strings.Repeat("foo", 1<<20)},
		"action-status-200":   {200, rest + `,{"success_action_status":"200"}`, with("success_action_status", "200"), "bar"},
		"action-status-other": {204, rest + `,{"success_action_status":"404"}`, with("success_action_status", "404"), "bar"},
		"action-status-201":   {201, rest + `,{"success_action_status":"201"}`, with("success_action_status", "201"), "bar"},
		"tags":                {204, rest + `,["starts-with","$tagging",""]`, with("tagging", tagging("0", "0", "1", "1")), "bar"},
		"checksum":            {204, rest, with("x-amz-checksum-sha256", sha256Of("bar")), "bar"},
		"checksum-other":      {400, rest, with("x-amz-checksum-sha256", "sailorjerry"), "bar"},
		"acl-unknown":         {400, `{"bucket":"B"},["starts-with","$key","foo"],["starts-with","$acl",""],["starts-with","$Content-Type","text/plain"]`, []string{"key", "foo.txt", "acl", "public-ready", "Content-Type", "text/plain"}, "bar"},
	} {
		cases = append(cases, Case{Name: "field-" + what, Rule: fmt.Sprintf("such a form answers %d", f.status), Needs: []string{NeedsVersion2}, Run: func(c *C) {
			b := c.bucket(ownedByWriter)
			a := c.status(f.status, c.signedForm(b, f.file, strings.ReplaceAll(f.conditions, `"B"`, `"`+b[1:]+`"`), 2, f.fields...))
			if f.status >= 300 {
				c.refused(404, "NoSuchKey", get(b+"/foo.txt"))
				return
			}
			g := c.ok(get(b + "/foo.txt"))
			c.check(g.body == f.file, "another body")
			switch what {
			case "metadata":
				c.equal("barclamp", g.header.Get("X-Amz-Meta-Foo"), "metadata")
			case "tags":
				c.equal([]string{"0", "0", "1", "1"}, c.tagsOf(b+"/foo.txt?tagging"), "tags")
			case "action-status-201":
				c.equal([]string{"foo.txt", b[1:], g.etag()}, []string{a.one("Key"), a.one("Bucket"), a.one("ETag")}, "answer")
			}
		}})
	}
	cases = append(cases, Case{Name: "redirect", Rule: "success_action_redirect leads on, with bucket, key and ETag", Needs: []string{NeedsVersion2}, Run: func(c *C) {
		b := c.bucket(ownedByWriter)
		a := c.status(303, c.signedForm(b, "bar", usual(b)+`,["eq","$success_action_redirect","http://there.example/x"]`, 2,
			"key", "foo.txt", "acl", "private", "Content-Type", "text/plain", "success_action_redirect", "http://there.example/x"))
		c.equal("http://there.example/x?bucket="+b[1:]+"&key=foo.txt&etag=%22"+strings.Trim(barETag, `"`)+"%22", a.header.Get("Location"), "Location")
	}}, Case{Name: "anonymous", Rule: "a form without a policy is anonymous: good where anybody may write", Run: func(c *C) {
		fields := []string{"key", "foo.txt", "Content-Type", "text/plain"}
		b := c.openWith("public-read-write")
		c.status(204, form(b, "x", "bar", fields...))
		c.equal("bar", c.content(b+"/foo.txt"), "body")
		c.status(403, form(c.bucket(), "x", "bar", fields...))
	}})
	return group("form", "sigv4-HTTPPOSTForms", cases...)
}

// formPolicyCases have policies that are none.
func formPolicyCases() []Case {
	var cases []Case
	for what, document := range map[string]string{
		"no-expiration": `{"conditions":[C]}`, "no-conditions": `{"expiration":"E"}`, "conditions-case": `{"expiration":"E","CONDITIONS":[C]}`,
		"expiration-case": `{"EXPIRATION":"E","conditions":[C]}`, "date": `{"expiration":"2400-01-01 00:00:00","conditions":[C]}`, "no-json": `{`,
	} {
		cases = append(cases, Case{Name: "policy-" + what, Rule: "a policy that is none answers 400", Needs: []string{NeedsVersion2}, Run: func(c *C) {
			b := c.bucket(ownedByWriter)
			d := strings.NewReplacer(`"E"`, `"`+c.soon(time.Hour)+`"`, "[C]", "["+usual(b)+"]").Replace(document)
			c.status(400, c.policyForm(b, "bar", d, 2, "key", "foo.txt", "acl", "private", "Content-Type", "text/plain"))
			c.refused(404, "NoSuchKey", get(b+"/foo.txt"))
		}})
	}
	cases = append(cases, Case{Name: "policy-unsigned", Rule: "a policy without a signature answers 400", Run: func(c *C) {
		b := c.bucket(ownedByWriter)
		policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"` + c.soon(time.Hour) + `","conditions":[` + usual(b) + `]}`))
		c.status(400, form(b, "x", "bar", "key", "foo.txt", "AWSAccessKeyId", c.main.AccessKey, "acl", "private", "policy", policy, "Content-Type", "text/plain"))
	}}, Case{Name: "policy-unknown-key", Rule: "a key that nobody has answers 403", Needs: []string{NeedsVersion2}, Run: func(c *C) {
		b, right := c.bucket(ownedByWriter), c.main
		c.main = &Identity{AccessKey: "NOBODYSACCESSKEY", SecretKey: right.SecretKey}
		q := c.signedForm(b, "bar", usual(b), 2, "key", "foo.txt", "acl", "private", "Content-Type", "text/plain")
		c.main = right
		c.status(403, q)
	}})
	return group("form", "sigv4-HTTPPOSTConstructPolicy", cases...)
}
