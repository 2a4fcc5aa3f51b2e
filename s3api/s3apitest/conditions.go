package s3apitest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// readConditionCases are those of GET and HEAD (RFC 9110, section 13).
func readConditionCases() []Case {
	const tag, other = barETag, `"ABCORZ"`
	past, future := "Sat, 29 Oct 1994 19:43:31 GMT", "Sat, 29 Oct 2400 19:43:31 GMT"
	var cases []Case
	for what, want := range map[string]struct {
		headers []string
		status  int
	}{
		"if-match":                   {[]string{"If-Match: " + tag}, 200},
		"if-match-unquoted":          {[]string{"If-Match: " + strings.Trim(tag, `"`)}, 200},
		"if-match-any":               {[]string{"If-Match: *"}, 200},
		"if-match-list":              {[]string{"If-Match: " + other + ", " + tag}, 200},
		"if-match-other":             {[]string{"If-Match: " + other}, 412},
		"if-none-match":              {[]string{"If-None-Match: " + tag}, 304},
		"if-none-match-any":          {[]string{"If-None-Match: *"}, 304},
		"if-none-match-other":        {[]string{"If-None-Match: ABCORZ"}, 200},
		"if-modified-since":          {[]string{"If-Modified-Since: " + past}, 200},
		"if-unmodified-since":        {[]string{"If-Unmodified-Since: " + past}, 412},
		"if-unmodified-since-later":  {[]string{"If-Unmodified-Since: " + future}, 200},
		"if-modified-since-bad":      {[]string{"If-Modified-Since: yesterday"}, 200},
		"match-beats-unmodified":     {[]string{"If-Match: " + tag, "If-Unmodified-Since: " + past}, 200},
		"none-match-beats-modified":  {[]string{"If-None-Match: " + tag, "If-Modified-Since: " + past}, 304},
		"none-match-other-modified":  {[]string{"If-None-Match: " + other, "If-Modified-Since: " + past}, 200},
		"match-other-and-none-match": {[]string{"If-Match: " + other, "If-None-Match: " + other}, 412},
	} {
		cases = append(cases, Case{Name: "read-" + what, Rule: fmt.Sprintf("%s answers %d", strings.Join(want.headers, ", "), want.status), Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "bar"))
			a := c.status(want.status, get(b+"/foo", want.headers...))
			switch want.status {
			case 304:
				c.equal([]string{"", tag}, []string{a.body, a.etag()}, "body and ETag")
			case 412:
				c.equal("PreconditionFailed", a.code, "code")
			default:
				c.equal("bar", a.body, "body")
			}
			c.equal("", c.status(want.status, head(b+"/foo", want.headers...)).body, "body of HEAD")
		}})
	}
	cases = append(cases, Case{Name: "read-modified-since-itself", Rule: "If-Modified-Since with the time of the object answers 304", Run: func(c *C) {
		b := c.bucket()
		c.ok(put(b+"/foo", "bar"))
		at := c.ok(head(b + "/foo")).header.Get("Last-Modified")
		c.equal(barETag, c.status(304, get(b+"/foo", "If-Modified-Since: "+at)).etag(), "ETag")
		c.status(200, get(b+"/foo", "If-Unmodified-Since: "+at))
	}}, Case{Name: "read-missing", Rule: "no condition hides that an object is not there", Run: func(c *C) {
		b := c.bucket()
		c.refused(404, "NoSuchKey", get(b+"/foo", "If-Match: *"))
		c.refused(404, "NoSuchKey", get(b+"/foo", "If-None-Match: *"))
	}})
	return group("conditions", "API_GetObject", cases...)
}

// write is a way to write an object under conditions.
type write func(c *C, path, body string, header ...string) *answer

// writes are the ways.
func writes() map[string]write {
	return map[string]write{
		"put": func(c *C, path, body string, header ...string) *answer { return c.do(put(path, body, header...)) },
		"complete": func(c *C, path, body string, header ...string) *answer {
			id := c.begin(path)
			tag := c.part(path, id, 1, body).etag()
			return c.do(c.complete(path, id, tag).with(header...))
		},
		"copy": func(c *C, path, body string, header ...string) *answer {
			c.ok(put(path+"-source", body))
			return c.do(put(path, "", append(slices.Clone(header), "X-Amz-Copy-Source: "+path+"-source")...))
		},
	}
}

// writeConditionCases are those of writes, in plain and in versioned buckets.
func writeConditionCases() []Case {
	var cases []Case
	for how, do := range writes() {
		for _, versioned := range []bool{false, true} {
			name, made := "-plain", (*C).bucket
			if versioned {
				name, made = "-versioned", (*C).versioned
			}
			one := func(what, rule string, run func(c *C, path string, expect func(status int, code, header string) string)) {
				cases = append(cases, Case{Name: how + "-" + what + name, Rule: rule, Page: "userguide/conditional-writes", Run: func(c *C) {
					path := made(c) + "/foo"
					run(c, path, func(status int, code, header string) string {
						var headers []string
						if header != "" {
							headers = append(headers, header)
						}
						a := do(c, path, "data", headers...)
						c.check(a.status == status && a.code == code, "%s: %d %s was expected: %s", header, status, code, a.describe())
						if tag := a.etag(); tag != "" {
							return tag
						}
						return a.one("ETag")
					})
				}})
			}
			one("if-none-match-any", "If-None-Match: * writes only where nothing is", func(c *C, path string, expect func(int, string, string) string) {
				expect(200, "", "If-None-Match: *")
				expect(412, "PreconditionFailed", "If-None-Match: *")
				c.status(204, del(path))
				expect(200, "", "If-None-Match: *")
			})
			one("if-none-match-tag", "If-None-Match with an ETag writes unless the object has it", func(c *C, path string, expect func(int, string, string) string) {
				tag := expect(200, "", `If-None-Match: "other"`)
				expect(412, "PreconditionFailed", "If-None-Match: "+tag)
				expect(200, "", "If-None-Match: other")
			})
			one("if-match-tag", "If-Match writes only over the object that has the ETag", func(c *C, path string, expect func(int, string, string) string) {
				tag := expect(200, "", "")
				expect(412, "PreconditionFailed", `If-Match: "other"`)
				expect(200, "", "If-Match: "+tag)
				expect(200, "", "If-Match: *")
			})
			one("if-match-missing", "If-Match where nothing is answers NoSuchKey", func(c *C, path string, expect func(int, string, string) string) {
				expect(404, "NoSuchKey", "If-Match: *")
				expect(404, "NoSuchKey", "If-Match: badetag")
				expect(200, "", "")
				c.status(204, del(path))
				expect(404, "NoSuchKey", "If-Match: *")
			})
		}
	}
	return group("conditions", "", cases...)
}

// deleteConditionCases are those of DELETE and DeleteObjects.
func deleteConditionCases() []Case {
	const past = "Thu, 01 Jan 2015 00:00:00 GMT"
	var cases []Case
	for what, h := range map[string]struct {
		header, element string // with %s for what holds
		good, bad       func(a *answer) string
	}{
		"etag": {"If-Match", "ETag", (*answer).etag, func(*answer) string { return "badetag" }},
		"size": {"X-Amz-If-Match-Size", "Size", func(a *answer) string { return a.header.Get("Content-Length") }, func(*answer) string { return "9999" }},
		"time": {"X-Amz-If-Match-Last-Modified-Time", "LastModifiedTime", func(a *answer) string { return a.header.Get("Last-Modified") }, func(*answer) string { return past }},
	} {
		cases = append(cases, Case{Name: "delete-" + what, Rule: h.header + " deletes only what has it", Page: "API_DeleteObject", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			found := c.ok(head(path))
			c.refused(412, "PreconditionFailed", del(path, h.header+": "+h.bad(found)))
			c.status(204, del(path, h.header+": "+h.good(found)))
			a := c.do(del(path, h.header+": "+h.bad(found)))
			c.check(a.status == 204 || a.code == "NoSuchKey", "%s", a.describe())
		}}, Case{Name: "delete-many-" + what, Rule: h.element + " of a key in DeleteObjects likewise", Page: "API_DeleteObjects", Run: func(c *C) {
			b := c.filled("foo")
			found := c.ok(head(b + "/foo"))
			one := func(value string) *answer {
				return c.deleteMany(b, "<Object><Key>foo</Key><"+h.element+">"+xmlText(value)+"</"+h.element+"></Object>")
			}
			c.equal([]string{"PreconditionFailed"}, one(h.bad(found)).all("Error.Code"), "errors")
			c.equal([]string{"foo"}, one(h.good(found)).all("Deleted.Key"), "deleted")
			c.check(one(h.bad(found)).one("Error.Code") != "PreconditionFailed", "where nothing is a condition fails")
		}}, Case{Name: "delete-version-" + what, Rule: h.header + " of a version likewise", Page: "API_DeleteObject", Run: func(c *C) {
			path := c.versioned() + "/foo"
			version := c.ok(put(path, "bar")).version()
			found := c.ok(head(path))
			c.refused(412, "PreconditionFailed", del(path+"?versionId="+version, h.header+": "+h.bad(found)))
			c.status(204, del(path+"?versionId="+version, h.header+": "+h.good(found)))
			c.refused(404, "NoSuchVersion", get(path+"?versionId="+version))
		}})
	}
	return group("conditions", "", cases...)
}

// deleteMany asks for objects to be deleted.
func (c *C) deleteMany(bucket, objects string, header ...string) *answer {
	body := "<Delete>" + objects + "</Delete>"
	return c.ok(post(bucket+"?delete", body, append(header, "Content-MD5: "+md5Of(body))...))
}

func objects(keys ...string) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString("<Object><Key>" + xmlText(key) + "</Key></Object>")
	}
	return b.String()
}

func deleteManyCases() []Case {
	return group("delete-many", "API_DeleteObjects", []Case{
		{Name: "some", Rule: "every key that is named is deleted and told, there or not", Run: func(c *C) {
			b := c.filled("key0", "key1", "key2")
			for range 2 {
				a := c.deleteMany(b, objects("key0", "key1", "key2"))
				c.equal([]string{"key0", "key1", "key2"}, a.all("Deleted.Key"), "deleted")
				c.equal([]string{}, a.all("Error.Key"), "errors")
				c.equal([]string{}, c.ok(get(b)).all("Contents.Key"), "keys")
			}
		}},
		{Name: "quiet", Rule: "in quiet mode only errors are told", Run: func(c *C) {
			b := c.filled("a")
			c.equal(0, len(c.deleteMany(b, "<Quiet>true</Quiet>"+objects("a", "b")).root.children), "elements")
		}},
		{Name: "special", Rule: "keys with markup are keys", Run: func(c *C) {
			b := c.filled("<a>&\"'", "é", " ")
			a := c.deleteMany(b, objects("<a>&\"'", "é", " "))
			c.equal([]string{"<a>&\"'", "é", " "}, a.all("Deleted.Key"), "deleted")
			c.equal([]string{}, c.ok(get(b)).all("Contents.Key"), "keys")
		}},
		{Name: "none", Rule: "a list without keys answers MalformedXML", Run: func(c *C) {
			body := "<Delete></Delete>"
			c.refused(400, "MalformedXML", post(c.bucket()+"?delete", body, "Content-MD5: "+md5Of(body)))
		}},
		{Name: "too-many", Rule: "more than 1,000 keys answer MalformedXML", Run: func(c *C) {
			body := "<Delete>" + strings.Repeat(objects("k"), 1001) + "</Delete>"
			c.refused(400, "MalformedXML", post(c.bucket()+"?delete", body, "Content-MD5: "+md5Of(body)))
		}},
		{Name: "most", Rule: "1,000 keys are deleted at once", Run: func(c *C) {
			var keys []string
			for i := range 1000 {
				keys = append(keys, fmt.Sprintf("k%03d", i))
			}
			c.equal(keys, c.deleteMany(c.bucket(), objects(keys...)).all("Deleted.Key"), "deleted")
		}},
		{Name: "unsummed", Rule: "a list without Content-MD5 or checksum answers InvalidRequest", Run: func(c *C) {
			b := c.filled("a")
			c.refused(400, "InvalidRequest", post(b+"?delete", "<Delete>"+objects("a")+"</Delete>"))
			c.equal("a", c.content(b+"/a"), "body")
		}},
		{Name: "checksum", Rule: "a checksum does instead of Content-MD5", Run: func(c *C) {
			b := c.filled("a")
			body := "<Delete>" + objects("a") + "</Delete>"
			c.ok(post(b+"?delete", body, "X-Amz-Checksum-Crc32: "+crc32Of(body)))
			c.refused(404, "NoSuchKey", get(b+"/a"))
		}},
		{Name: "bad-digest", Rule: "a list that is not what Content-MD5 says deletes nothing", Run: func(c *C) {
			b := c.filled("a")
			c.refused(400, "BadDigest", post(b+"?delete", "<Delete>"+objects("a")+"</Delete>", "Content-MD5: "+md5Of("other")))
			c.equal("a", c.content(b+"/a"), "body")
		}},
	}...)
}

func deleteManyMoreCases() []Case {
	return group("delete-many", "API_DeleteObjects", []Case{
		{Name: "malformed", Rule: "what is no XML answers MalformedXML", Run: func(c *C) {
			for _, body := range []string{"x", "<Delete>", "<Other/>", "<Delete><Object/></Delete"} {
				c.refused(400, "MalformedXML", post(c.bucket()+"?delete", body, "Content-MD5: "+md5Of(body)))
			}
		}},
		{Name: "marker", Rule: "a key of a versioned bucket gets a delete marker, which the answer names", Run: func(c *C) {
			b := c.versioned()
			a := c.deleteMany(b, objects("key"))
			c.equal([]string{"true"}, a.all("Deleted.DeleteMarker"), "DeleteMarker")
			c.equal(c.ok(get(b+"?versions")).all("DeleteMarker.VersionId"), a.all("Deleted.DeleteMarkerVersionId"), "versions")
		}},
		{Name: "versions", Rule: "versions and markers are deleted by their ids, again and again", Run: func(c *C) {
			b := c.versioned()
			v1, v2 := c.ok(put(b+"/k", "1")).version(), c.ok(put(b+"/k", "2")).version()
			marker := c.ok(del(b + "/k")).version()
			var list strings.Builder
			for _, id := range []string{v1, v2, marker} {
				list.WriteString("<Object><Key>k</Key><VersionId>" + id + "</VersionId></Object>")
			}
			for range 2 {
				a := c.deleteMany(b, list.String())
				c.equal([]string{v1, v2, marker}, a.all("Deleted.VersionId"), "deleted")
				c.equal([]string{}, a.all("Error.Code"), "errors")
				v := c.ok(get(b + "?versions"))
				c.equal(0, len(v.root.nodes("Version"))+len(v.root.nodes("DeleteMarker")), "versions left")
			}
		}},
		{Name: "missing-bucket", Rule: "a bucket that is not there answers NoSuchBucket", Run: func(c *C) {
			body := "<Delete>" + objects("a") + "</Delete>"
			c.refused(404, "NoSuchBucket", post(c.newName()+"?delete", body, "Content-MD5: "+md5Of(body)))
		}},
		{Name: "anonymous", Rule: "nobody deletes without credentials", Run: func(c *C) {
			b := c.filled("a")
			body := "<Delete>" + objects("a") + "</Delete>"
			a := c.do(post(b+"?delete", body, "Content-MD5: "+md5Of(body)).anonymous())
			c.check(a.code == "AccessDenied" || len(a.root.nodes("Error")) == 1, "%s", a.describe())
			c.equal("a", c.content(b+"/a"), "body")
		}},
		{Name: "concurrent", Rule: "the same list from several clients at once deletes everything, and nobody sees an error", Run: func(c *C) {
			b := c.versioned()
			var list strings.Builder
			for i := range 15 {
				id := c.ok(put(fmt.Sprintf("%s/key%d", b, i%5), "x")).version()
				fmt.Fprintf(&list, "<Object><Key>key%d</Key><VersionId>%s</VersionId></Object>", i%5, id)
			}
			body := "<Delete>" + list.String() + "</Delete>"
			for _, a := range c.together(5, post(b+"?delete", body, "Content-MD5: "+md5Of(body))) {
				c.equal(15, len(a.all("Deleted.Key")), "deleted")
			}
			c.equal(0, len(c.ok(get(b+"?versions")).root.nodes("Version")), "versions left")
		}},
	}...)
}

// together sends the same request several times at once; all must succeed.
func (c *C) together(times int, q request) []*answer {
	type result struct {
		a   *answer
		err error
	}
	results := make(chan result, times)
	for range times {
		go func() {
			a, err := c.send(q)
			results <- result{a, err}
		}()
	}
	var all []*answer
	for range times {
		r := <-results
		c.check(r.err == nil && r.a.status < 300, "%v", r)
		all = append(all, r.a)
	}
	return all
}

// soon is a time that has not come.
func (c *C) soon(d time.Duration) string { return c.time().Add(d).UTC().Format("2006-01-02T15:04:05Z") }
