package s3apitest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

func multipartCases() []Case {
	return slices.Concat(uploadCases(), uploadMoreCases(), completeCases(), partReadCases(), uploadListCases(), partListCases(), partCopyCases(), copyCases(), copyMoreCases(), copyRefusedCases(), attributeCases())
}

// begin starts an upload of an object, and gives its id.
func (c *C) begin(path string, header ...string) string {
	return url.QueryEscape(c.ok(post(path+"?uploads", "", header...)).one("UploadId"))
}

func (c *C) part(path, id string, number int, body string, header ...string) *answer {
	return c.ok(put(fmt.Sprintf("%s?partNumber=%d&uploadId=%s", path, number, id), body, header...))
}

// complete asks for an upload to be completed with parts 1, 2, … of these ETags.
func (c *C) complete(path, id string, tags ...string) request {
	var parts []string
	for i, tag := range tags {
		parts = append(parts, partOf(i+1, tag))
	}
	return c.completeWith(path, id, parts...)
}

func partOf(number int, tag string, more ...string) string {
	return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>%s</Part>", number, xmlText(tag), strings.Join(more, ""))
}

func (c *C) completeWith(path, id string, parts ...string) request {
	return post(path+"?uploadId="+id, "<CompleteMultipartUpload>"+strings.Join(parts, "")+"</CompleteMultipartUpload>")
}

// large is a part's body that need not be the last.
func (c *C) large(fill string) string {
	return strings.Repeat(fill, c.target.MinPartBytes)[:c.target.MinPartBytes]
}

// uploaded makes an object of parts, and gives the answer to the completion.
func (c *C) uploaded(path string, bodies ...string) *answer {
	id := c.begin(path)
	var tags []string
	for i, body := range bodies {
		tags = append(tags, c.part(path, id, i+1, body).etag())
	}
	return c.ok(c.complete(path, id, tags...))
}

func uploadCases() []Case {
	return group("multipart", "API_CreateMultipartUpload", []Case{
		{Name: "parts", Rule: "parts become one object, in the order of their numbers", Run: func(c *C) {
			path := c.bucket() + "/big"
			first := c.large("a")
			a := c.uploaded(path, first, "end")
			c.check(strings.HasSuffix(a.one("ETag"), `-2"`), "ETag %s", a.one("ETag"))
			c.equal(path[1:], a.one("Bucket")+"/"+a.one("Key"), "Bucket and Key")
			g := c.ok(get(path))
			c.check(g.body == first+"end", "another body")
			c.equal(a.one("ETag"), g.etag(), "ETag")
			c.equal("ae", c.ok(get(path, fmt.Sprintf("Range: bytes=%d-%d", len(first)-1, len(first)))).body, "range over parts")
		}},
		{Name: "created", Rule: "the answer names bucket, key and upload", Run: func(c *C) {
			b := c.bucket()
			a := c.ok(post(b+"/big?uploads", ""))
			c.equal("InitiateMultipartUploadResult", a.root.name, "document")
			c.equal([]string{b[1:], "big"}, []string{a.one("Bucket"), a.one("Key")}, "Bucket and Key")
			c.check(a.one("UploadId") != "", "no UploadId")
		}},
		{Name: "metadata", Rule: "type, metadata, tags and class of the upload are the object's", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path, "Content-Type: text/bla", "X-Amz-Meta-Foo: bar", "X-Amz-Tagging: Hello=World&foo=bar", "X-Amz-Storage-Class: REDUCED_REDUNDANCY", "Cache-Control: no-store")
			c.ok(c.complete(path, id, c.part(path, id, 1, "x").etag()))
			h := c.ok(head(path)).header
			c.equal([]string{"text/bla", "bar", "2", "REDUCED_REDUNDANCY", "no-store"},
				[]string{h.Get("Content-Type"), h.Get("X-Amz-Meta-Foo"), h.Get("X-Amz-Tagging-Count"), h.Get("X-Amz-Storage-Class"), h.Get("Cache-Control")}, "headers")
			c.equal([]string{"Hello", "foo"}, c.ok(get(path+"?tagging")).all("TagSet.Tag.Key"), "tags")
		}},
		{Name: "invisible", Rule: "an upload is no object before it is completed, and leaves the old one alone", Run: func(c *C) {
			b := c.bucket()
			c.begin(b + "/new")
			c.refused(404, "NoSuchKey", get(b+"/new"))
			c.ok(put(b+"/foo", "bar"))
			id := c.begin(b + "/foo")
			c.part(b+"/foo", id, 1, "other")
			c.equal("bar", c.content(b+"/foo"), "body")
			c.status(204, del(b+"/foo?uploadId="+id))
			c.equal("bar", c.content(b+"/foo"), "body after the abort")
		}},
		{Name: "replaces", Rule: "a completed upload replaces the object", Run: func(c *C) {
			path := c.filled("big") + "/big"
			c.uploaded(path, "new")
			c.equal("new", c.content(path), "body")
		}},
		{Name: "resend", Rule: "a part that is sent again replaces the part", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			old := c.part(path, id, 1, "old").etag()
			tag := c.part(path, id, 1, "new").etag()
			c.refused(400, "InvalidPart", c.complete(path, id, old))
			c.ok(c.complete(path, id, tag))
			c.equal("new", c.content(path), "body")
		}},
	}...)
}

func uploadMoreCases() []Case {
	return group("multipart", "API_UploadPart", []Case{
		{Name: "numbers", Rule: "part numbers are 1 to 10,000 and need not be dense", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			for _, bad := range []string{"0", "10001", "-1", "x", ""} {
				c.refused(400, "InvalidArgument", put(path+"?partNumber="+bad+"&uploadId="+id, "x"))
			}
			one, last := c.part(path, id, 7, c.large("a")).etag(), c.part(path, id, 10000, "z").etag()
			c.ok(c.completeWith(path, id, partOf(7, one), partOf(10000, last)))
			c.check(c.content(path) == c.large("a")+"z", "another body")
		}},
		{Name: "abort", Rule: "an aborted upload is gone, and so are its parts", Page: "API_AbortMultipartUpload", Run: func(c *C) {
			b := c.bucket()
			id := c.begin(b + "/big")
			tag := c.part(b+"/big", id, 1, "x").etag()
			c.status(204, del(b+"/big?uploadId="+id))
			c.refused(404, "NoSuchUpload", del(b+"/big?uploadId="+id))
			c.refused(404, "NoSuchUpload", put(b+"/big?partNumber=1&uploadId="+id, "x"))
			c.refused(404, "NoSuchUpload", c.complete(b+"/big", id, tag))
			c.refused(404, "NoSuchUpload", get(b+"/big?uploadId="+id))
			c.status(204, del(b))
			c.refused(404, "NoSuchBucket", get(b))
		}},
		{Name: "unknown", Rule: "an upload that nobody began answers NoSuchUpload", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.refused(404, "NoSuchUpload", del(path+"?uploadId=56788"))
			c.refused(404, "NoSuchUpload", put(path+"?partNumber=1&uploadId=56788", "x"))
			c.refused(404, "NoSuchUpload", c.complete(path, "abc1234def", "1234"))
		}},
		{Name: "other-key", Rule: "an upload belongs to its key", Run: func(c *C) {
			b := c.bucket()
			id := c.begin(b + "/one")
			c.refused(404, "NoSuchUpload", put(b+"/two?partNumber=1&uploadId="+id, "x"))
		}},
	}...)
}

func completeCases() []Case {
	return group("multipart", "API_CompleteMultipartUpload", []Case{
		{Name: "complete-again", Rule: "completing again what was completed succeeds with the same ETag", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			q := c.complete(path, id, c.part(path, id, 1, "x").etag())
			c.equal(c.ok(q).one("ETag"), c.ok(q).one("ETag"), "ETag")
			c.equal("x", c.content(path), "body")
		}},
		{Name: "complete-nothing", Rule: "a list without parts, or none, answers MalformedXML", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			c.refused(400, "MalformedXML", c.completeWith(path, id))
			c.refused(400, "MalformedXML", post(path+"?uploadId="+id, ""))
			c.refused(400, "MalformedXML", post(path+"?uploadId="+id, "x"))
		}},
		{Name: "complete-missing-part", Rule: "a part that was not sent answers InvalidPart", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			tag := c.part(path, id, 1, "x").etag()
			c.refused(400, "InvalidPart", c.completeWith(path, id, partOf(9999, tag)))
			c.refused(400, "InvalidPart", c.complete(path, id, `"ffffffffffffffffffffffffffffffff"`))
			c.ok(c.complete(path, id, tag))
		}},
		{Name: "complete-order", Rule: "parts out of order answer InvalidPartOrder", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			one, two := c.part(path, id, 1, c.large("a")).etag(), c.part(path, id, 2, "b").etag()
			c.refused(400, "InvalidPartOrder", c.completeWith(path, id, partOf(2, two), partOf(1, one)))
			c.refused(400, "InvalidPartOrder", c.completeWith(path, id, partOf(1, one), partOf(1, one)))
		}},
		{Name: "complete-small", Rule: "a small part that is not the last answers EntityTooSmall", Needs: []string{NeedsLargeParts}, Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			c.refused(400, "EntityTooSmall", c.complete(path, id, c.part(path, id, 1, "a").etag(), c.part(path, id, 2, "b").etag()))
		}},
		{Name: "complete-some", Rule: "parts that are not named are left out", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			c.part(path, id, 1, "left out")
			c.ok(c.completeWith(path, id, partOf(2, c.part(path, id, 2, "taken").etag())))
			c.equal("taken", c.content(path), "body")
		}},
		{Name: "complete-unquoted", Rule: "ETags of parts come with and without quotes", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			c.ok(c.complete(path, id, strings.Trim(c.part(path, id, 1, "x").etag(), `"`)))
			c.equal("x", c.content(path), "body")
		}},
		{Name: "complete-versioned", Rule: "in a versioned bucket the answer names the version", Run: func(c *C) {
			b := c.versioned()
			a := c.uploaded(b+"/big", "x")
			c.equal([]string{a.version()}, c.ok(get(b+"?versions")).all("Version.VersionId"), "versions")
			c.equal("", c.uploaded(c.bucket()+"/big", "x").version(), "version in a plain bucket")
		}},
		{Name: "complete-empty-part", Rule: "an object may be of one part without bytes", Run: func(c *C) {
			path := c.bucket() + "/big"
			c.uploaded(path, "")
			c.equal("", c.content(path), "body")
		}},
	}...)
}

func partReadCases() []Case {
	return group("multipart", "API_GetObject", []Case{
		{Name: "read-part", Rule: "a part is read by its number, with the count of parts and the ETag of the whole", Run: func(c *C) {
			path := c.bucket() + "/big"
			c.refused(404, "NoSuchKey", get(path+"?partNumber=1"))
			bodies := []string{c.large("a"), c.large("b"), "end"}
			tag := c.uploaded(path, bodies...).one("ETag")
			for i, body := range bodies {
				query := path + "?partNumber=" + strconv.Itoa(i+1)
				g, h := c.status(206, get(query)), c.status(206, head(query))
				c.check(g.body == body, "part %d has another body", i+1)
				c.equal([]string{tag, "3", strconv.Itoa(len(body))}, []string{g.etag(), g.header.Get("X-Amz-Mp-Parts-Count"), g.header.Get("Content-Length")}, "headers of GET")
				c.equal([]string{tag, "3", strconv.Itoa(len(body))}, []string{h.etag(), h.header.Get("X-Amz-Mp-Parts-Count"), h.header.Get("Content-Length")}, "headers of HEAD")
			}
			a := c.do(get(path + "?partNumber=4"))
			c.check(a.status == 416 || a.status == 400, "part 4 of 3: %s", a.describe())
		}},
		{Name: "read-part-of-plain", Rule: "an object that was put at once is its own part 1, and has no other", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.equal("foo", c.ok(get(path+"?partNumber=1")).body, "body")
			a := c.do(get(path + "?partNumber=2"))
			c.check((a.status == 416 || a.status == 400) && (a.code == "InvalidPart" || a.code == "InvalidPartNumber"), "%s", a.describe())
		}},
		{Name: "read-part-and-range", Rule: "part and range together answer InvalidRequest", Run: func(c *C) {
			c.refused(400, "InvalidRequest", get(c.filled("foo")+"/foo?partNumber=1", "Range: bytes=0-1"))
		}},
		{Name: "read-part-number-bad", Rule: "a part number that is none answers InvalidArgument", Run: func(c *C) {
			c.refused(400, "InvalidArgument", get(c.filled("foo")+"/foo?partNumber=0"))
		}},
	}...)
}

func uploadListCases() []Case {
	return group("multipart", "API_ListMultipartUploads", []Case{
		{Name: "uploads", Rule: "uploads are listed by key, each with its id, initiator, owner and time", Run: func(c *C) {
			b := c.bucket()
			ids := []string{c.begin(b + "/a"), c.begin(b + "/a"), c.begin(b + "/b")}
			a := c.ok(get(b + "?uploads"))
			c.equal([]string{"a", "a", "b"}, a.all("Upload.Key"), "keys")
			got := a.all("Upload.UploadId")
			for i := range got {
				got[i] = url.QueryEscape(got[i])
			}
			slices.Sort(ids)
			slices.Sort(got)
			c.equal(ids, got, "ids")
			c.equal("STANDARD", a.one("Upload.StorageClass"), "StorageClass")
			c.check(a.one("Upload.Initiated") != "" && a.one("Upload.Initiator.ID") != "" && a.one("Upload.Owner.ID") != "", "%s", a.body)
		}},
		{Name: "uploads-prefix", Rule: "prefix and delimiter work on uploads", Run: func(c *C) {
			b := c.bucket()
			c.begin(b + "/a/1")
			c.begin(b + "/b")
			a := c.ok(get(b + "?uploads&delimiter=%2F"))
			c.equal([]string{"b"}, a.all("Upload.Key"), "keys")
			c.equal([]string{"a/"}, a.all("CommonPrefixes.Prefix"), "prefixes")
			c.equal([]string{"a/1"}, c.ok(get(b+"?uploads&prefix=a")).all("Upload.Key"), "keys")
		}},
		{Name: "uploads-walk", Rule: "pages of uploads go on by key and id", Run: func(c *C) {
			b := c.bucket()
			for range 3 {
				c.begin(b + "/a")
				c.begin(b + "/b")
			}
			var all []string
			for query := ""; ; {
				a := c.ok(get(b + "?uploads&max-uploads=2" + query))
				c.check(a.one("IsTruncated") != "", "no page: %s", a.describe())
				all = append(all, a.all("Upload.UploadId")...)
				if a.one("IsTruncated") == "false" {
					break
				}
				query = "&key-marker=" + a.one("NextKeyMarker") + "&upload-id-marker=" + url.QueryEscape(a.one("NextUploadIdMarker"))
				c.check(len(all) <= 6, "no end")
			}
			c.equal(6, len(slices.Compact(all)), "uploads")
		}},
		{Name: "uploads-none", Rule: "a bucket without uploads lists none", Run: func(c *C) {
			a := c.ok(get(c.bucket() + "?uploads"))
			c.equal([]string{}, a.all("Upload.Key"), "keys")
			c.equal("false", a.one("IsTruncated"), "IsTruncated")
		}},
		{Name: "uploads-next", Rule: "the last upload of a page is named as the next marker, at the end of the list too", Run: func(c *C) {
			b := c.bucket()
			next := func(query string) []string {
				a := c.ok(get(b + "?uploads" + query))
				return append(a.all("NextKeyMarker"), a.all("NextUploadIdMarker")...)
			}
			c.equal([]string{"", ""}, next(""), "of none")
			c.begin(b + "/a/1")
			c.begin(b + "/b")
			last := c.ok(get(b + "?uploads&prefix=b")).one("Upload.UploadId")
			c.equal([]string{"b", last}, next(""), "of all")
			c.equal([]string{"b", last}, next("&key-marker=a%2F1&max-uploads=1"), "of a full page")
			c.equal([]string{"", ""}, next("&key-marker=b"), "behind the last")
			c.equal([]string{"", ""}, next("&delimiter=%2F&prefix=a"), "of a common prefix")
		}},
	}...)
}

func partListCases() []Case {
	return group("multipart", "API_ListParts", []Case{
		{Name: "list-parts", Rule: "parts are listed by number with size, ETag and time", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			two, one := c.part(path, id, 2, "bb").etag(), c.part(path, id, 1, "a").etag()
			a := c.ok(get(path + "?uploadId=" + id))
			c.equal([]string{"1", "2"}, a.all("Part.PartNumber"), "numbers")
			c.equal([]string{one, two}, a.all("Part.ETag"), "ETags")
			c.equal([]string{"1", "2"}, a.all("Part.Size"), "sizes")
			c.check(a.one("Part.LastModified") != "" && a.one("Owner.ID") != "" && a.one("Initiator.ID") != "", "%s", a.body)
			c.equal([]string{"big", "STANDARD", "1000", "false"}, []string{a.one("Key"), a.one("StorageClass"), a.one("MaxParts"), a.one("IsTruncated")}, "fields")
		}},
		{Name: "list-parts-pages", Rule: "pages of parts go on by number", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path)
			for i := range 3 {
				c.part(path, id, i+1, "x")
			}
			a := c.ok(get(path + "?max-parts=2&uploadId=" + id))
			c.equal([]string{"true", "2", "2"}, []string{a.one("IsTruncated"), a.one("NextPartNumberMarker"), a.one("MaxParts")}, "page")
			a = c.ok(get(path + "?max-parts=2&part-number-marker=2&uploadId=" + id))
			c.equal([]string{"3"}, a.all("Part.PartNumber"), "numbers")
			c.equal([]string{"false", "2"}, []string{a.one("IsTruncated"), a.one("PartNumberMarker")}, "page")
		}},
	}...)
}

func partCopyCases() []Case {
	from := func(path string) string { return "X-Amz-Copy-Source: " + path }
	return group("multipart", "API_UploadPartCopy", []Case{
		{Name: "copy-part", Rule: "a part is copied from an object, whole or in part", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/src", "0123456789"))
			id := c.begin(b + "/dst")
			a := c.part(b+"/dst", id, 1, "", from(b+"/src"), "X-Amz-Copy-Source-Range: bytes=3-5")
			c.equal("CopyPartResult", a.root.name, "document")
			c.check(a.one("ETag") != "" && a.one("LastModified") != "", "%s", a.body)
			c.ok(c.complete(b+"/dst", id, a.one("ETag")))
			c.equal("345", c.content(b+"/dst"), "body")
			id = c.begin(b + "/dst")
			a = c.part(b+"/dst", id, 1, "", from(b+"/src"))
			c.ok(c.complete(b+"/dst", id, a.one("ETag")))
			c.equal("0123456789", c.content(b+"/dst"), "body")
		}},
		{Name: "copy-part-range-bad", Rule: "a range that is none answers InvalidArgument, one beyond the end InvalidRange", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/src", "01234"))
			id := c.begin(b + "/dst")
			for _, r := range []string{"0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5"} {
				c.refused(400, "InvalidArgument", put(b+"/dst?partNumber=1&uploadId="+id, "", from(b+"/src"), "X-Amz-Copy-Source-Range: "+r))
			}
			a := c.do(put(b+"/dst?partNumber=1&uploadId="+id, "", from(b+"/src"), "X-Amz-Copy-Source-Range: bytes=0-21"))
			c.check(a.code == "InvalidRange" && (a.status == 400 || a.status == 416), "%s", a.describe())
		}},
		{Name: "copy-part-special", Rule: "sources with special names are found", Run: func(c *C) {
			b := c.filled(" ", "_", "__", "?versionId", "a+b", "a%25b")
			for _, key := range []string{" ", "_", "__", "?versionId", "a+b", "a%25b"} {
				id := c.begin(b + "/dst")
				tag := c.part(b+"/dst", id, 1, "", from(b+"/"+strict(key))).one("ETag")
				c.ok(c.complete(b+"/dst", id, tag))
				c.equal(key, c.content(b+"/dst"), "body")
			}
		}},
		{Name: "copy-part-encoded-key", Rule: "a source is decoded once", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/anyfilename%2525.txt", "foo"))
			id := c.begin(b + "/dst")
			c.refused(404, "NoSuchKey", put(b+"/dst?partNumber=1&uploadId="+id, "", from(b+"/anyfilename%25.txt")))
		}},
		{Name: "copy-part-version", Rule: "a part is copied from the version that is named", Run: func(c *C) {
			b := c.versioned()
			v1 := c.ok(put(b+"/src", "one")).version()
			c.ok(put(b+"/src", "two"))
			id := c.begin(b + "/dst")
			a := c.part(b+"/dst", id, 1, "", from(b+"/src?versionId="+v1))
			c.equal(v1, a.header.Get("X-Amz-Copy-Source-Version-Id"), "version of the source")
			c.ok(c.complete(b+"/dst", id, a.one("ETag")))
			c.equal("one", c.content(b+"/dst"), "body")
		}},
		{Name: "copy-part-condition", Rule: "conditions of the source hold for parts too", Run: func(c *C) {
			b := c.filled("src")
			id := c.begin(b + "/dst")
			c.refused(412, "PreconditionFailed", put(b+"/dst?partNumber=1&uploadId="+id, "", from(b+"/src"), `X-Amz-Copy-Source-If-Match: "other"`))
		}},
	}...)
}
