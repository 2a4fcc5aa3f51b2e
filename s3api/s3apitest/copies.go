package s3apitest

import (
	"fmt"
	"strings"
)

func copied(path string, header ...string) []string {
	return append(header, "X-Amz-Copy-Source: "+path)
}

func copyCases() []Case {
	return group("copy", "API_CopyObject", []Case{
		{Name: "same-bucket", Rule: "an object is copied under another key", Run: func(c *C) {
			b := c.filled("foo")
			a := c.ok(put(b+"/bar", "", copied(b+"/foo")...))
			c.equal("CopyObjectResult", a.root.name, "document")
			c.check(a.one("ETag") == c.ok(head(b+"/foo")).etag() && a.one("LastModified") != "", "%s", a.body)
			c.equal("foo", c.content(b+"/bar"), "body")
		}},
		{Name: "other-bucket", Rule: "an object is copied into another bucket", Run: func(c *C) {
			b1, b2 := c.filled("foo"), c.bucket()
			c.ok(put(b2+"/bar", "", copied(b1+"/foo")...))
			c.equal("foo", c.content(b2+"/bar"), "body")
		}},
		{Name: "no-slash", Rule: "the source may begin without a slash", Run: func(c *C) {
			b := c.filled("foo")
			c.ok(put(b+"/bar", "", copied(b[1:]+"/foo")...))
			c.equal("foo", c.content(b+"/bar"), "body")
		}},
		{Name: "empty", Rule: "an object without bytes is copied", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", ""))
			c.ok(put(b+"/bar", "", copied(b+"/foo")...))
			c.equal("0", c.ok(head(b+"/bar")).header.Get("Content-Length"), "length")
		}},
		{Name: "large", Rule: "megabytes are copied", Run: func(c *C) {
			b, body := c.bucket(), strings.Repeat("0123456789abcdef", 1<<17)
			c.ok(put(b+"/foo", body))
			c.ok(put(b+"/bar", "", copied(b+"/foo")...))
			c.check(c.content(b+"/bar") == body, "another body")
		}},
		{Name: "keeps-metadata", Rule: "type and metadata come with the copy", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "x", "Content-Type: audio/ogg", "X-Amz-Meta-Key1: value1", "Cache-Control: no-store"))
			c.ok(put(b+"/bar", "", copied(b+"/foo", "X-Amz-Meta-Key1: ignored")...))
			h := c.ok(head(b + "/bar")).header
			c.equal([]string{"audio/ogg", "value1", "no-store"}, []string{h.Get("Content-Type"), h.Get("X-Amz-Meta-Key1"), h.Get("Cache-Control")}, "headers")
		}},
		{Name: "replaces-metadata", Rule: "with REPLACE type and metadata are those of the request", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "x", "Content-Type: audio/ogg", "X-Amz-Meta-Key1: value1", "X-Amz-Meta-Key2: value2"))
			c.ok(put(b+"/bar", "", copied(b+"/foo", "X-Amz-Metadata-Directive: REPLACE", "Content-Type: audio/mpeg", "X-Amz-Meta-Key3: value3")...))
			h := c.ok(head(b + "/bar")).header
			c.equal([]string{"audio/mpeg", "", "", "value3"}, []string{h.Get("Content-Type"), h.Get("X-Amz-Meta-Key1"), h.Get("X-Amz-Meta-Key2"), h.Get("X-Amz-Meta-Key3")}, "headers")
		}},
		{Name: "itself", Rule: "a copy onto itself that changes nothing answers InvalidRequest", Run: func(c *C) {
			b := c.filled("foo")
			c.refused(400, "InvalidRequest", put(b+"/foo", "", copied(b+"/foo")...))
		}},
		{Name: "itself-metadata", Rule: "a copy onto itself with REPLACE changes the metadata", Run: func(c *C) {
			b := c.filled("foo")
			c.ok(put(b+"/foo", "", copied(b+"/foo", "X-Amz-Metadata-Directive: REPLACE", "X-Amz-Meta-Foo: bar")...))
			a := c.ok(get(b + "/foo"))
			c.equal([]string{"foo", "bar"}, []string{a.body, a.header.Get("X-Amz-Meta-Foo")}, "body and metadata")
		}},
		{Name: "itself-class", Rule: "a copy onto itself with another storage class changes the class", Run: func(c *C) {
			b := c.filled("foo")
			c.ok(put(b+"/foo", "", copied(b+"/foo", "X-Amz-Storage-Class: REDUCED_REDUNDANCY")...))
			c.equal("REDUCED_REDUNDANCY", c.ok(head(b+"/foo")).header.Get("X-Amz-Storage-Class"), "class")
		}},
	}...)
}

func copyMoreCases() []Case {
	return group("copy", "API_CopyObject", []Case{
		{Name: "tags", Rule: "tags come with the copy", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "x", "X-Amz-Tagging: a=1"))
			c.ok(put(b+"/bar", "", copied(b+"/foo")...))
			c.equal([]string{"a"}, c.ok(get(b+"/bar?tagging")).all("TagSet.Tag.Key"), "tags")
		}},
		{Name: "tags-replaced", Rule: "with a tagging directive of REPLACE they are those of the request", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "x", "X-Amz-Tagging: a=1"))
			c.ok(put(b+"/bar", "", copied(b+"/foo", "X-Amz-Tagging-Directive: REPLACE", "X-Amz-Tagging: b=2")...))
			c.equal([]string{"b"}, c.ok(get(b+"/bar?tagging")).all("TagSet.Tag.Key"), "tags")
		}},
		{Name: "version", Rule: "the version that is named is copied, and the answer names it", Run: func(c *C) {
			b := c.versioned()
			v1 := c.ok(put(b+"/foo", "one")).version()
			c.ok(put(b+"/foo", "two"))
			a := c.ok(put(b+"/bar", "", copied(b+"/foo?versionId="+v1)...))
			c.equal(v1, a.header.Get("X-Amz-Copy-Source-Version-Id"), "version of the source")
			c.check(a.version() != "" && a.version() != v1, "version %q", a.version())
			c.equal("one", c.content(b+"/bar"), "body")
			c.ok(put(b+"/baz", "", copied(b+"/foo")...))
			c.equal("two", c.content(b+"/baz"), "body of the latest")
		}},
		{Name: "version-buckets", Rule: "versions are copied into plain buckets and back", Run: func(c *C) {
			versioned, plain := c.versioned(), c.bucket()
			v := c.ok(put(versioned+"/foo", "one")).version()
			a := c.ok(put(plain+"/foo", "", copied(versioned+"/foo?versionId="+v)...))
			c.equal("", a.version(), "version in a plain bucket")
			a = c.ok(put(versioned+"/back", "", copied(plain+"/foo")...))
			c.check(a.version() != "" && a.header.Get("X-Amz-Copy-Source-Version-Id") == "", "headers %v", a.header)
			c.equal("one", c.content(versioned+"/back"), "body")
		}},
		{Name: "version-itself", Rule: "an old version may be copied over its own key", Run: func(c *C) {
			b := c.versioned()
			v1 := c.ok(put(b+"/foo", "one")).version()
			c.ok(put(b+"/foo", "two"))
			c.ok(put(b+"/foo", "", copied(b+"/foo?versionId="+v1)...))
			c.equal("one", c.content(b+"/foo"), "body")
		}},
		{Name: "suspended", Rule: "the null version of a suspended bucket is copied, and outlives its source", Run: func(c *C) {
			b, other := c.versioned(), c.bucket()
			c.ok(put(b+"/one", "old"))
			c.setVersioning(b, "Suspended")
			c.ok(put(b+"/one", "null content"))
			c.ok(put(b+"/two", "", copied(b+"/one")...))
			c.ok(put(other+"/one", "", copied(b+"/one")...))
			c.ok(del(b + "/one"))
			c.equal([]string{"null content", "null content"}, []string{c.content(b + "/two"), c.content(other + "/one")}, "bodies")
		}},
		{Name: "multipart", Rule: "an object of parts is copied as one, with its metadata", Run: func(c *C) {
			b := c.versioned()
			id := c.begin(b+"/foo", "Content-Type: text/bla", "X-Amz-Meta-Foo: bar")
			first := c.large("a")
			c.ok(c.complete(b+"/foo", id, c.part(b+"/foo", id, 1, first).etag(), c.part(b+"/foo", id, 2, "end").etag()))
			c.ok(put(b+"/bar", "", copied(b+"/foo")...))
			a := c.ok(get(b + "/bar"))
			c.check(a.body == first+"end", "another body")
			c.equal([]string{"text/bla", "bar"}, []string{a.header.Get("Content-Type"), a.header.Get("X-Amz-Meta-Foo")}, "headers")
		}},
	}...)
}

func copyRefusedCases() []Case {
	cases := []Case{
		{Name: "missing", Rule: "a source that is not there answers 404, bucket or key", Run: func(c *C) {
			b := c.bucket()
			c.refused(404, "NoSuchKey", put(b+"/bar", "", copied(b+"/foo")...))
			c.refused(404, "NoSuchBucket", put(b+"/bar", "", copied(c.newName()+"/foo")...))
			c.refused(404, "NoSuchKey", get(b+"/bar"))
		}},
		{Name: "source-bad", Rule: "a source that names no key answers InvalidArgument", Run: func(c *C) {
			b := c.bucket()
			for _, source := range []string{"foo", "/", b} {
				c.refused(400, "InvalidArgument", put(b+"/bar", "", copied(source)...))
			}
		}},
		{Name: "delete-marker", Rule: "a delete marker is no source", Run: func(c *C) {
			b := c.versioned()
			c.ok(put(b+"/foo", "x"))
			marker := c.ok(del(b + "/foo")).version()
			c.refused(404, "NoSuchKey", put(b+"/bar", "", copied(b+"/foo")...))
			c.refused(400, "InvalidRequest", put(b+"/bar", "", copied(b+"/foo?versionId="+marker)...))
		}},
		{Name: "not-owned", Rule: "who may not read the source may not copy it", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b, theirs := c.filled("foo"), c.bucketOf(c.alt)
			c.refused(403, "AccessDenied", put(theirs+"/bar", "", copied(b+"/foo")...).as(c.alt))
		}},
		{Name: "directive-bad", Rule: "a directive that is none answers InvalidArgument", Run: func(c *C) {
			b := c.filled("foo")
			c.refused(400, "InvalidArgument", put(b+"/bar", "", copied(b+"/foo", "X-Amz-Metadata-Directive: MOVE")...))
		}},
	}
	past, future := "Sat, 29 Oct 1994 19:43:31 GMT", "Sat, 29 Oct 2400 19:43:31 GMT"
	for what, want := range map[string]struct {
		header string
		ok     bool
	}{
		"match": {"Match: " + barETag, true}, "match-other": {`Match: "ABCORZ"`, false}, "none-match": {"None-Match: " + barETag, false},
		"none-match-other": {"None-Match: ABCORZ", true}, "modified": {"Modified-Since: " + past, true},
		"unmodified": {"Unmodified-Since: " + past, false}, "unmodified-later": {"Unmodified-Since: " + future, true},
	} {
		cases = append(cases, Case{Name: "if-" + what, Rule: fmt.Sprintf("x-amz-copy-source-if-%s: copied %v", strings.ToLower(want.header), want.ok), Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "bar"))
			q := put(b+"/bar", "", copied(b+"/foo", "X-Amz-Copy-Source-If-"+want.header)...)
			if !want.ok {
				c.refused(412, "PreconditionFailed", q)
				return
			}
			c.ok(q)
			c.equal("bar", c.content(b+"/bar"), "body")
		}})
	}
	return group("copy", "API_CopyObject", cases...)
}

func attributeCases() []Case {
	const all = "X-Amz-Object-Attributes: ETag,Checksum,ObjectParts,StorageClass,ObjectSize"
	return group("attributes", "API_GetObjectAttributes", []Case{
		{Name: "plain", Rule: "ETag without quotes, class and size; no parts", Run: func(c *C) {
			path := c.bucket() + "/foo"
			tag := c.ok(put(path, "bar")).etag()
			a := c.ok(get(path+"?attributes", all))
			c.equal("GetObjectAttributesResponse", a.root.name, "document")
			c.equal([]string{strings.Trim(tag, `"`), "STANDARD", "3"}, []string{a.one("ETag"), a.one("StorageClass"), a.one("ObjectSize")}, "attributes")
			c.equal(0, len(a.root.nodes("ObjectParts")), "ObjectParts")
			c.check(a.header.Get("Last-Modified") != "" && a.version() == "", "headers %v", a.header)
		}},
		{Name: "some", Rule: "only what is asked for is given", Run: func(c *C) {
			a := c.ok(get(c.filled("foo")+"/foo?attributes", "X-Amz-Object-Attributes: ObjectSize"))
			c.equal(1, len(a.root.children), "elements")
		}},
		{Name: "none", Rule: "no attribute answers InvalidRequest, one that there is not InvalidArgument", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.refused(400, "InvalidRequest", get(path+"?attributes"))
			c.refused(400, "InvalidArgument", get(path+"?attributes", "X-Amz-Object-Attributes: Colour"))
		}},
		{Name: "checksum", Rule: "the checksum that came with the object", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.ok(put(path, "bar", "X-Amz-Checksum-Crc32: "+crc32Of("bar")))
			a := c.ok(get(path+"?attributes", all))
			c.equal([]string{crc32Of("bar"), "FULL_OBJECT"}, []string{a.one("Checksum.ChecksumCRC32"), a.one("Checksum.ChecksumType")}, "checksum")
		}},
		{Name: "versioned", Rule: "of the version that is named, which the answer names", Run: func(c *C) {
			path := c.versioned() + "/foo"
			v1 := c.ok(put(path, "bar")).version()
			v2 := c.ok(put(path, "other")).version()
			a := c.ok(get(path+"?attributes", all))
			c.equal([]string{v2, "5", ""}, []string{a.version(), a.one("ObjectSize"), a.header.Get("X-Amz-Delete-Marker")}, "latest")
			a = c.ok(get(path+"?attributes&versionId="+v1, all))
			c.equal([]string{v1, "3"}, []string{a.version(), a.one("ObjectSize")}, "first")
		}},
		{Name: "parts", Rule: "an object of parts says how many, and sizes where checksums came with them", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path, "X-Amz-Checksum-Algorithm: SHA256")
			var parts []string
			for i, body := range []string{c.large("a"), c.large("b"), "end"} {
				sum := sha256Of(body)
				tag := c.part(path, id, i+1, body, "X-Amz-Checksum-Sha256: "+sum).etag()
				parts = append(parts, partOf(i+1, tag, "<ChecksumSHA256>"+sum+"</ChecksumSHA256>"))
			}
			c.ok(c.completeWith(path, id, parts...))
			a := c.ok(get(path+"?attributes", all))
			c.equal("3", a.one("ObjectParts.PartsCount"), "PartsCount")
			c.equal([]string{"1", "2", "3"}, a.all("ObjectParts.Part.PartNumber"), "numbers")
			c.equal([]string{sha256Of(c.large("a")), sha256Of(c.large("b")), sha256Of("end")}, a.all("ObjectParts.Part.ChecksumSHA256"), "checksums")
			a = c.ok(get(path+"?attributes", all, "X-Amz-Max-Parts: 1", "X-Amz-Part-Number-Marker: 1"))
			c.equal([]string{"2"}, a.all("ObjectParts.Part.PartNumber"), "numbers of a page")
			c.equal([]string{"1", "1", "true", "2"}, []string{a.one("ObjectParts.MaxParts"), a.one("ObjectParts.PartNumberMarker"), a.one("ObjectParts.IsTruncated"), a.one("ObjectParts.NextPartNumberMarker")}, "page")
		}},
		{Name: "parts-plain", Rule: "parts without checksums are counted", Run: func(c *C) {
			path := c.bucket() + "/big"
			c.uploaded(path, c.large("a"), "end")
			a := c.ok(get(path+"?attributes", all))
			c.equal("2", a.one("ObjectParts.PartsCount"), "PartsCount")
		}},
		{Name: "missing", Rule: "what is not there answers NoSuchKey", Run: func(c *C) {
			c.refused(404, "NoSuchKey", get(c.bucket()+"/foo?attributes", all))
		}},
	}...)
}
