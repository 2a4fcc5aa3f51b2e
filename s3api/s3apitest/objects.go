package s3apitest

import (
	"fmt"
	"slices"
	"strings"
)

func objectCases() []Case {
	return slices.Concat(objectLifeCases(), objectRefusedCases(), objectKeyCases(), objectHeaderCases(), metadataCases(), overrideCases(), rangeCases(), readConditionCases(),
		writeConditionCases(), deleteConditionCases(), deleteManyCases(), deleteManyMoreCases())
}

const barETag = `"37b51d194a7513e45b56f6524f2d51f2"`

func objectLifeCases() []Case {
	return group("object", "API_PutObject", []Case{
		{Name: "put-get", Rule: "what was put is what is got, with ETag, length and a time", Run: func(c *C) {
			b := c.bucket()
			c.equal(barETag, c.ok(put(b+"/foo", "bar")).etag(), "ETag of PUT")
			a := c.ok(get(b + "/foo"))
			c.equal("bar", a.body, "body")
			c.equal([]string{barETag, "3", "bytes"}, []string{a.etag(), a.header.Get("Content-Length"), a.header.Get("Accept-Ranges")}, "headers")
			c.check(a.header.Get("Last-Modified") != "" && a.version() == "", "headers: %v", a.header)
		}},
		{Name: "head", Rule: "HEAD says what GET says, without the body", Page: "API_HeadObject", Run: func(c *C) {
			b := c.filled("foo")
			g, h := c.ok(get(b+"/foo")), c.ok(head(b+"/foo"))
			for _, name := range []string{"Etag", "Content-Length", "Content-Type", "Last-Modified", "Accept-Ranges"} {
				c.equal(g.header.Get(name), h.header.Get(name), name)
			}
			c.equal("", h.body, "body of HEAD")
		}},
		{Name: "empty", Rule: "an object may have no bytes", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", ""))
			a := c.ok(get(b + "/foo"))
			c.equal([]string{"", "0"}, []string{a.body, a.header.Get("Content-Length")}, "body and length")
			c.equal("0", c.ok(head(b+"/foo")).header.Get("Content-Length"), "length")
		}},
		{Name: "megabyte", Rule: "a body of some megabytes comes back as it was", Run: func(c *C) {
			b, body := c.bucket(), strings.Repeat("0123456789abcdef", 3<<16+1)
			c.ok(put(b+"/foo", body))
			c.check(c.content(b+"/foo") == body, "another body")
		}},
		{Name: "overwrite", Rule: "a second PUT replaces the first", Run: func(c *C) {
			b := c.filled("foo")
			c.ok(put(b+"/foo", "other"))
			c.equal("other", c.content(b+"/foo"), "body")
		}},
		{Name: "missing", Rule: "an object that is not there answers NoSuchKey with its key", Page: "API_GetObject", Run: func(c *C) {
			b := c.bucket()
			a := c.refused(404, "NoSuchKey", get(b+"/foo"))
			c.equal("foo", a.one("Key"), "Key")
			c.check(a.one("RequestId") != "" && a.one("RequestId") == a.header.Get("X-Amz-Request-Id"), "request id of %s", a.body)
			c.equal("", c.status(404, head(b+"/foo")).body, "body of HEAD")
		}},
		{Name: "delete", Rule: "what was deleted is gone; deleting it again succeeds", Page: "API_DeleteObject", Run: func(c *C) {
			b := c.filled("foo")
			c.status(204, del(b+"/foo"))
			c.refused(404, "NoSuchKey", get(b+"/foo"))
			a := c.status(204, del(b+"/foo"))
			c.equal("", a.version()+a.header.Get("X-Amz-Delete-Marker"), "headers of versions")
		}},
	}...)
}

func objectRefusedCases() []Case {
	return group("object", "API_PutObject", []Case{
		{Name: "no-bucket", Rule: "every request for an object of a bucket that is not there answers NoSuchBucket", Run: func(c *C) {
			b := c.newName()
			c.refused(404, "NoSuchBucket", put(b+"/foo", "x"))
			c.refused(404, "NoSuchBucket", get(b+"/foo"))
			c.refused(404, "NoSuchBucket", del(b+"/foo"))
			c.refused(404, "NoSuchBucket", head(b+"/foo"))
		}},
		{Name: "anonymous", Rule: "a private object is nobody's without credentials", Run: func(c *C) {
			b := c.filled("foo")
			c.refused(403, "AccessDenied", get(b+"/foo").anonymous())
			c.refused(403, "AccessDenied", put(b+"/foo", "x").anonymous())
			c.refused(403, "AccessDenied", del(b+"/foo").anonymous())
			c.equal("foo", c.content(b+"/foo"), "body")
		}},
		{Name: "md5", Rule: "Content-MD5 is verified before anything is stored", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/good", "bar", "Content-MD5: "+md5Of("bar")))
			c.refused(400, "BadDigest", put(b+"/foo", "bar", "Content-MD5: "+md5Of("other")))
			c.refused(400, "InvalidDigest", put(b+"/foo", "bar", "Content-MD5: YWJyYWNhZGFicmE="))
			c.refused(400, "InvalidDigest", put(b+"/foo", "bar", "Content-MD5: x"))
			c.refused(400, "InvalidDigest", put(b+"/foo", "bar", "Content-MD5: "))
			c.refused(404, "NoSuchKey", get(b+"/foo"))
		}},
		{Name: "unknown-header", Rule: "a header of S3's that nobody knows changes nothing", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "bar", "X-Amz-Foo: bar"))
			c.equal("bar", c.content(b+"/foo"), "body")
		}},
		{Name: "expected-owner", Rule: "a request for a bucket of somebody else than it expects is denied", Page: "userguide/bucket-owner-condition", Needs: []string{NeedsIDs}, Run: func(c *C) {
			b := c.filled("foo")
			c.refused(403, "AccessDenied", get(b+"/foo", "X-Amz-Expected-Bucket-Owner: 999999999999"))
			c.refused(403, "AccessDenied", put(b+"/foo", "x", "X-Amz-Expected-Bucket-Owner: 999999999999"))
			c.refused(403, "AccessDenied", get(b, "X-Amz-Expected-Bucket-Owner: 999999999999"))
		}},
	}...)
}

// objectKeyCases have keys that must survive the way.
func objectKeyCases() []Case {
	var cases []Case
	for what, key := range map[string]string{
		"space": " ", "plus": "a+b", "percent": "a%b%20c", "slash-first": "/a", "slash-last": "a/", "slashes": "a//b", "dot": "./a", "dots": "a/../b",
		"question": "a?b", "hash": "a#b", "ampersand": "a&b=c", "quote": "a\"b'c", "angle": "<a>", "unicode": "é/日本/🙂", "newline": "a\nb",
		"backslash": "a\\b", "colon": "a:b", "semicolon": "a;b", "equals": "a=b", "at": "@", "tilde": "~a", "star": "*", "brackets": "[a]{b}",
		"caret": "a^b|c`d", "long": strings.Repeat("k", 1024), "subresource": "acl", "version-like": "?versionId", "only-dots": "...",
	} {
		cases = append(cases, Case{Name: "key-" + what, Rule: "such a key is one: put, got, listed, copied, deleted", Page: "userguide/object-keys", Run: func(c *C) {
			b := c.bucket()
			path := b + "/" + escape(key)
			c.ok(put(path, what))
			c.equal(what, c.content(path), "body")
			c.ok(head(path))
			c.equal([]string{key}, c.ok(get(b+"?list-type=2")).all("Contents.Key"), "keys")
			c.ok(put(b+"/copy", "", "X-Amz-Copy-Source: "+path))
			c.equal(what, c.content(b+"/copy"), "body of the copy")
			c.status(204, del(path))
			c.refused(404, "NoSuchKey", get(path))
		}})
	}
	cases = append(cases, Case{Name: "key-too-long", Rule: "a key of more than 1,024 bytes answers KeyTooLongError", Page: "userguide/object-keys", Run: func(c *C) {
		c.refused(400, "KeyTooLongError", put(c.bucket()+"/"+strings.Repeat("k", 1025), "x"))
	}}, Case{Name: "key-not-unicode", Rule: "a key that is no UTF-8 is refused", Page: "userguide/object-keys", Run: func(c *C) {
		c.status(400, get(c.bucket()+"/%AE%8A-"))
	}})
	return group("object", "", cases...)
}

// objectHeaderCases have headers that are kept with the object.
func objectHeaderCases() []Case {
	var cases []Case
	for name, value := range map[string]string{
		"Cache-Control": "public, max-age=14400", "Content-Disposition": `attachment; filename="a b.txt"`, "Content-Encoding": "gzip",
		"Content-Language": "en, de", "Content-Type": "text/bla", "Expires": "Tue, 07 Jun 2050 16:00:00 GMT",
	} {
		cases = append(cases, Case{Name: "keeps-" + strings.ToLower(name), Rule: name + " is kept and given back", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "bar", name+": "+value))
			c.equal(value, c.ok(get(b+"/foo")).header.Get(name), name+" of GET")
			c.equal(value, c.ok(head(b+"/foo")).header.Get(name), name+" of HEAD")
		}})
	}
	for what, pair := range map[string][2]string{
		"last": {"gzip, aws-chunked", "gzip"}, "first": {"aws-chunked, gzip", "gzip"}, "only": {"aws-chunked", ""},
		"twice": {"aws-chunked, aws-chunked", ""}, "two-others": {"deflate, gzip", "deflate, gzip"},
	} {
		cases = append(cases, Case{Name: "aws-chunked-" + what, Rule: "aws-chunked is no encoding of the object", Page: "sigv4-streaming", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "", "Content-Encoding: "+pair[0]))
			c.equal(pair[1], c.ok(head(b+"/foo")).header.Get("Content-Encoding"), "Content-Encoding")
		}})
	}
	cases = append(cases, Case{Name: "default-type", Rule: "without a type it is binary/octet-stream", Run: func(c *C) {
		b := c.filled("foo")
		c.equal("binary/octet-stream", c.ok(head(b+"/foo")).header.Get("Content-Type"), "Content-Type")
	}}, Case{Name: "storage-class", Rule: "the storage class is kept, listed, and silent if it is STANDARD", Run: func(c *C) {
		b := c.bucket()
		c.ok(put(b+"/r", "x", "X-Amz-Storage-Class: REDUCED_REDUNDANCY"))
		c.ok(put(b+"/s", "x", "X-Amz-Storage-Class: STANDARD"))
		c.equal("REDUCED_REDUNDANCY", c.ok(head(b+"/r")).header.Get("X-Amz-Storage-Class"), "class")
		c.equal("", c.ok(head(b+"/s")).header.Get("X-Amz-Storage-Class"), "class")
		c.equal([]string{"REDUCED_REDUNDANCY", "STANDARD"}, c.ok(get(b)).all("Contents.StorageClass"), "classes")
	}}, Case{Name: "storage-class-bad", Rule: "a storage class that is none answers InvalidStorageClass", Run: func(c *C) {
		c.refused(400, "InvalidStorageClass", put(c.bucket()+"/foo", "x", "X-Amz-Storage-Class: SECRET"))
	}}, Case{Name: "redirect-location", Rule: "a website redirect is given back, or refused where there are no websites", Run: func(c *C) {
		b := c.bucket()
		if a := c.do(put(b+"/foo", "x", "X-Amz-Website-Redirect-Location: /other")); a.status < 300 {
			c.equal("/other", c.ok(head(b+"/foo")).header.Get("X-Amz-Website-Redirect-Location"), "location")
		}
	}})
	return group("object", "API_PutObject", cases...)
}

func metadataCases() []Case {
	return group("metadata", "userguide/UsingMetadata", []Case{
		{Name: "keeps", Rule: "x-amz-meta- headers come back, names in lower case", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "bar", "X-Amz-Meta-One: a b  c", "x-amz-meta-TWO: 2"))
			a := c.ok(get(b + "/foo"))
			c.equal([]string{"a b c", "2"}, []string{strings.Join(strings.Fields(a.header.Get("X-Amz-Meta-One")), " "), a.header.Get("X-Amz-Meta-Two")}, "metadata")
		}},
		{Name: "empty", Rule: "a value may be empty", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "bar", "X-Amz-Meta-One: old"))
			c.ok(put(b+"/foo", "bar", "X-Amz-Meta-One: "))
			a := c.ok(get(b + "/foo"))
			c.check(len(a.header.Values("X-Amz-Meta-One")) == 1 && a.header.Get("X-Amz-Meta-One") == "", "metadata %q", a.header.Values("X-Amz-Meta-One"))
		}},
		{Name: "replaced", Rule: "a PUT without metadata leaves none", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "bar", "X-Amz-Meta-One: 1"))
			c.ok(put(b+"/foo", "bar"))
			c.equal(0, len(c.ok(get(b+"/foo")).header.Values("X-Amz-Meta-One")), "values")
		}},
		{Name: "latin", Rule: "a value that is not ASCII comes back in some encoding of it", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "bar", "X-Amz-Meta-One: Hello World\u00e9"))
			c.check(c.ok(get(b+"/foo")).header.Get("X-Amz-Meta-One") != "", "no metadata")
		}},
		{Name: "too-large", Rule: "more than 2 KiB of metadata answers MetadataTooLarge", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "x", "X-Amz-Meta-A: "+strings.Repeat("v", 2047)))
			a := c.refused(400, "MetadataTooLarge", put(b+"/foo", "x", "X-Amz-Meta-A: "+strings.Repeat("v", 2048)))
			c.equal([]string{"2049", "2048"}, []string{a.one("Size"), a.one("MaxSizeAllowed")}, "sizes")
		}},
	}...)
}

// overrideCases replace headers of the answer.
func overrideCases() []Case {
	var cases []Case
	for name, value := range map[string]string{
		"cache-control": "no-cache", "content-disposition": "bla", "content-encoding": "aaa", "content-language": "esperanto",
		"content-type": "foo%2Fbar", "expires": "123",
	} {
		cases = append(cases, Case{Name: "override-" + name, Rule: "response-" + name + " replaces the header in signed requests", Run: func(c *C) {
			b := c.filled("foo")
			want := strings.ReplaceAll(value, "%2F", "/")
			c.equal(want, c.ok(get(b+"/foo?response-"+name+"="+value)).header.Get(name), name)
			c.equal(want, c.ok(head(b+"/foo?response-"+name+"="+value)).header.Get(name), name+" of HEAD")
			c.equal(want, c.ok(get(b+"/foo?response-"+name+"="+value).by(inQuery)).header.Get(name), name+" presigned")
		}})
	}
	return group("object", "API_GetObject", cases...)
}

// rangeCases read "0123456789a".
func rangeCases() []Case {
	const body = "0123456789a"
	var cases []Case
	for what, r := range map[string][3]string{
		"middle": {"bytes=4-7", "4567", "bytes 4-7/11"}, "first": {"bytes=0-0", "0", "bytes 0-0/11"}, "open": {"bytes=4-", "456789a", "bytes 4-10/11"},
		"suffix": {"bytes=-7", "456789a", "bytes 4-10/11"}, "suffix-large": {"bytes=-100", body, "bytes 0-10/11"}, "beyond": {"bytes=4-100", "456789a", "bytes 4-10/11"},
		"last": {"bytes=10-10", "a", "bytes 10-10/11"}, "whole": {"bytes=0-10", body, "bytes 0-10/11"}, "huge": {"bytes=0-99999999999999", body, "bytes 0-10/11"},
		"behind": {"bytes=40-50", "", "InvalidRange"}, "behind-by-one": {"bytes=11-", "", "InvalidRange"}, "suffix-0": {"bytes=-0", "", "InvalidRange"},
		"backwards": {"bytes=7-4", body, ""}, "unit": {"lines=1-2", body, ""}, "garbage": {"bytes=x", body, ""}, "several": {"bytes=0-1,4-5", body, ""}, "none": {"bytes=-", body, ""},
	} {
		cases = append(cases, Case{Name: what, Rule: fmt.Sprintf("%q of 11 bytes gives %q %s", r[0], r[1], r[2]), Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", body))
			switch r[2] {
			case "InvalidRange":
				a := c.refused(416, "InvalidRange", get(b+"/foo", "Range: "+r[0]))
				c.equal("11", a.one("ActualObjectSize"), "ActualObjectSize")
				c.status(416, head(b+"/foo", "Range: "+r[0]))
			case "":
				c.equal(r[1], c.status(200, get(b+"/foo", "Range: "+r[0])).body, "body")
			default:
				a := c.status(206, get(b+"/foo", "Range: "+r[0]))
				c.equal([]string{r[1], r[2], fmt.Sprint(len(r[1]))}, []string{a.body, a.header.Get("Content-Range"), a.header.Get("Content-Length")}, "part")
				h := c.status(206, head(b+"/foo", "Range: "+r[0]))
				c.equal([]string{"", r[2]}, []string{h.body, h.header.Get("Content-Range")}, "part of HEAD")
			}
		}})
	}
	cases = append(cases, Case{Name: "empty-object", Rule: "an object without bytes has no range", Run: func(c *C) {
		b := c.bucket()
		c.ok(put(b+"/foo", ""))
		c.refused(416, "InvalidRange", get(b+"/foo", "Range: bytes=40-50"))
		c.refused(416, "InvalidRange", get(b+"/foo", "Range: bytes=0-"))
	}}, Case{Name: "large", Rule: "a range of megabytes within megabytes", Run: func(c *C) {
		b, large := c.bucket(), strings.Repeat("0123456789abcdef", 1<<17)
		c.ok(put(b+"/foo", large))
		a := c.status(206, get(b+"/foo", "Range: bytes=700001-1900000"))
		c.check(a.body == large[700001:1900001], "another body")
		c.equal(fmt.Sprintf("bytes 700001-1900000/%d", len(large)), a.header.Get("Content-Range"), "Content-Range")
	}}, Case{Name: "if-range", Rule: "a range of another object than the client has is the whole", Run: func(c *C) {
		b := c.bucket()
		tag := c.ok(put(b+"/foo", body)).etag()
		c.equal("45", c.status(206, get(b+"/foo", "Range: bytes=4-5", "If-Range: "+tag)).body, "body")
		c.equal(body, c.status(200, get(b+"/foo", "Range: bytes=4-5", `If-Range: "other"`)).body, "body")
	}})
	return group("range", "API_GetObject", cases...)
}
