package s3apitest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

func listingCases() []Case {
	return slices.Concat(pageCases(), listV1Cases(), listV1MoreCases(), listV2Cases(), listV2MoreCases(), listVersionCases())
}

// listed is one listing and what it must give.
type listed struct {
	name, rule     string
	keys           []string
	query          string // without the version of the API
	want, prefixes []string
	truncated      bool
}

// pages are listings that both versions of ListObjects give alike.
func pages() []listed {
	flat := []string{"bar", "baz", "foo", "quxx"}
	tree := []string{"foo/bar", "foo/baz/xyzzy", "quux/thud", "asdf"}
	deep := []string{"asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla"}
	under := []string{"_obj1_", "_under1/bar", "_under1/baz/xyzzy", "_under2/thud", "_under2/bla"}
	letters := []string{"bar", "baz", "cab", "foo"}
	return []listed{
		{"empty", "a bucket without objects lists none", nil, "", nil, nil, false},
		{"order", "keys come in the order of their bytes", []string{"b", "a", "B", "é", "~", "a/", "a-"}, "", []string{"B", "a", "a-", "a/", "b", "~", "é"}, nil, false},
		{"many", "max-keys ends a page early", []string{"foo", "bar", "baz"}, "max-keys=2", []string{"bar", "baz"}, nil, true},
		{"max-keys-1", "a page may have one key", flat, "max-keys=1", []string{"bar"}, nil, true},
		{"max-keys-0", "a page of no keys is not truncated", flat, "max-keys=0", nil, nil, false},
		{"max-keys-all", "a page that ends with the last key is not truncated", flat, "max-keys=4", flat, nil, false},
		{"max-keys-more", "max-keys may be larger than what there is", flat, "max-keys=100000", flat, nil, false},
		{"delimiter", "keys with a delimiter are rolled up", tree, "delimiter=%2F", []string{"asdf"}, []string{"foo/", "quux/"}, false},
		{"delimiter-a", "any character is a delimiter", letters, "delimiter=a", []string{"foo"}, []string{"ba", "ca"}, false},
		{"delimiter-percent", "a percent sign is a delimiter", []string{"b%ar", "b%az", "c%ab", "foo"}, "delimiter=%25", []string{"foo"}, []string{"b%", "c%"}, false},
		{"delimiter-space", "a space is a delimiter", []string{"b ar", "b az", "c ab", "foo"}, "delimiter=%20", []string{"foo"}, []string{"b ", "c "}, false},
		{"delimiter-dot", "a dot is a delimiter", []string{"b.ar", "b.az", "c.ab", "foo"}, "delimiter=.", []string{"foo"}, []string{"b.", "c."}, false},
		{"delimiter-long", "a delimiter has any length", []string{"a::b", "a::c", "a:d"}, "delimiter=%3A%3A", []string{"a:d"}, []string{"a::"}, false},
		{"delimiter-control", "a delimiter that cannot be printed is one", letters, "delimiter=%0A", letters, nil, false},
		{"delimiter-empty", "an empty delimiter is none", letters, "delimiter=", letters, nil, false},
		{"delimiter-absent", "a delimiter that no key has changes nothing", letters, "delimiter=%2F", letters, nil, false},
		{"delimiter-end", "a key that ends with the delimiter is a key below its own prefix", []string{"asdf/"}, "prefix=asdf%2F&delimiter=%2F", []string{"asdf/"}, nil, false},
		{"delimiter-end-rolled", "a key that ends with the delimiter is rolled up", []string{"asdf/", "b"}, "delimiter=%2F", []string{"b"}, []string{"asdf/"}, false},
		{"delimiter-page-1", "common prefixes count as entries", deep, "delimiter=%2F&max-keys=2", []string{"asdf"}, []string{"boo/"}, true},
		{"delimiter-page-all", "as many entries as there are is a whole page", deep, "delimiter=%2F&max-keys=3", []string{"asdf"}, []string{"boo/", "cquux/"}, false},
		{"delimiter-prefix-page", "a page below a prefix", deep, "prefix=boo%2F&delimiter=%2F&max-keys=1", []string{"boo/bar"}, nil, true},
		{"delimiter-prefix", "below a prefix only the rest is rolled up", deep, "prefix=boo%2F&delimiter=%2F&max-keys=2", []string{"boo/bar"}, []string{"boo/baz/"}, false},
		{"underscore", "names that begin with an underscore are names", under, "delimiter=%2F", []string{"_obj1_"}, []string{"_under1/", "_under2/"}, false},
		{"underscore-prefix", "a prefix may begin with an underscore", under, "prefix=_under1%2F&delimiter=%2F", []string{"_under1/bar"}, []string{"_under1/baz/"}, false},
		{"prefix", "only keys that begin with the prefix are listed", []string{"foo/bar", "foo/baz", "quux"}, "prefix=foo%2F", []string{"foo/bar", "foo/baz"}, nil, false},
		{"prefix-letters", "a prefix ends anywhere", letters, "prefix=ba", []string{"bar", "baz"}, nil, false},
		{"prefix-empty", "an empty prefix is none", letters, "prefix=", letters, nil, false},
		{"prefix-missing", "a prefix that no key has lists nothing", letters, "prefix=d", nil, nil, false},
		{"prefix-control", "a prefix that cannot be printed lists nothing here", letters, "prefix=%0A", nil, nil, false},
		{"prefix-whole", "a key is its own prefix", letters, "prefix=bar", []string{"bar"}, nil, false},
		{"prefix-delimiter-a", "delimiters count behind the prefix", []string{"bar", "bazar", "cab", "foo"}, "prefix=ba&delimiter=a", []string{"bar"}, []string{"baza"}, false},
		{"prefix-delimiter-missing-prefix", "neither key nor prefix below what is not there", []string{"b/a/r", "b/a/c", "b/a/g", "g"}, "prefix=%2F&delimiter=d", nil, nil, false},
		{"prefix-delimiter-missing-delimiter", "below a prefix a missing delimiter changes nothing", []string{"b/a/c", "b/a/g", "b/a/r", "g"}, "prefix=b&delimiter=z", []string{"b/a/c", "b/a/g", "b/a/r"}, nil, false},
		{"prefix-delimiter-missing-both", "neither prefix nor delimiter is there", []string{"b/a/c", "g"}, "prefix=y&delimiter=z", nil, nil, false},
		{"slash-first", "a key may begin with a slash", []string{"/a", "/b/c", "d"}, "delimiter=%2F", []string{"d"}, []string{"/"}, false},
		{"slash-twice", "empty names between slashes are names", []string{"a//b", "a/c"}, "prefix=a%2F&delimiter=%2F", []string{"a/c"}, []string{"a//"}, false},
		{"encoding", "encoding-type=url escapes keys and prefixes", []string{"foo+1/bar", "foo/bar/xyzzy", "quux ab/thud", "asdf+b"}, "delimiter=%2F&encoding-type=url", []string{"asdf%2Bb"}, []string{"foo%2B1/", "foo/", "quux%20ab/"}, false},
		{"special", "markup and spaces in keys survive", []string{" ", "\"", "$", "%", "&", "'", "<", ">", "_", "_ ", "_ _", "__"}, "", []string{" ", "\"", "$", "%", "&", "'", "<", ">", "_", "_ ", "_ _", "__"}, nil, false},
	}
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// pageCases are the listings, by both versions.
func pageCases() []Case {
	var cases []Case
	for _, version := range []string{"1", "2"} {
		for _, l := range pages() {
			cases = append(cases, Case{Name: "v" + version + "-" + l.name, Rule: l.rule, Page: "API_ListObjects" + strings.Repeat("V2", int(version[0]-'1')), Run: func(c *C) {
				b := c.filled(l.keys...)
				query := b + "?" + l.query
				if version == "2" {
					query = b + "?list-type=2&" + l.query
				}
				a := c.ok(get(query))
				c.equal("ListBucketResult", a.root.name, "document")
				c.equal(orNone(l.want), a.all("Contents.Key"), "keys")
				c.equal(orNone(l.prefixes), a.all("CommonPrefixes.Prefix"), "common prefixes")
				c.equal(fmt.Sprint(l.truncated), a.one("IsTruncated"), "IsTruncated")
				c.equal(b[1:], a.one("Name"), "Name")
				if version == "2" {
					c.equal(fmt.Sprint(len(l.want)+len(l.prefixes)), a.one("KeyCount"), "KeyCount")
					c.equal(l.truncated, a.one("NextContinuationToken") != "", "a token, which")
				}
				parsed, err := url.ParseQuery(l.query)
				c.check(err == nil, "%v", err)
				if !parsed.Has("encoding-type") {
					c.equal(parsed.Get("prefix"), a.one("Prefix"), "Prefix")
					c.equal(parsed.Get("delimiter"), a.one("Delimiter"), "Delimiter")
				}
			}})
		}
	}
	return group("list", "", cases...)
}

// walk lists page by page, and gives the entries.
func walk(c *C, b, query string, next func(*answer) string) []string {
	var all []string
	for at := b + query; ; {
		a := c.ok(get(at))
		c.check(a.one("IsTruncated") != "", "no page: %s", a.describe())
		all = append(all, a.all("Contents.Key")...)
		all = append(all, a.all("CommonPrefixes.Prefix")...)
		if a.one("IsTruncated") == "false" {
			return all
		}
		at = b + query + next(a)
		c.check(len(all) < 1000, "the listing has no end: %v", all)
	}
}

func listV1Cases() []Case {
	flat := []string{"bar", "baz", "foo", "quxx"}
	marker := func(name, rule, marker string, want ...string) Case {
		return Case{Name: "v1-marker-" + name, Rule: rule, Run: func(c *C) {
			b := c.filled(flat...)
			a := c.ok(get(b + "?marker=" + url.QueryEscape(marker)))
			c.equal(marker, a.one("Marker"), "Marker")
			c.equal(orNone(want), a.all("Contents.Key"), "keys")
			c.equal("false", a.one("IsTruncated"), "IsTruncated")
		}}
	}
	return group("list", "API_ListObjects", []Case{
		marker("empty", "an empty marker is none", "", flat...),
		marker("control", "a marker that cannot be printed is one", "\n", flat...),
		marker("absent", "a marker need not be a key", "blah", "foo", "quxx"),
		marker("key", "the key of the marker is not listed again", "baz", "foo", "quxx"),
		marker("last", "behind the last key there is nothing", "zzz"),
		{Name: "v1-next-marker", Rule: "a truncated page with a delimiter names the last entry in NextMarker", Run: func(c *C) {
			b := c.filled("asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla")
			a := c.ok(get(b + "?delimiter=%2F&max-keys=1"))
			c.equal("asdf", a.one("NextMarker"), "NextMarker")
			a = c.ok(get(b + "?delimiter=%2F&max-keys=1&marker=asdf"))
			c.equal("boo/", a.one("NextMarker"), "NextMarker")
			a = c.ok(get(b + "?delimiter=%2F&max-keys=1&marker=boo%2F"))
			c.equal([]string{"cquux/"}, a.all("CommonPrefixes.Prefix"), "prefixes")
			c.equal("", a.one("NextMarker"), "NextMarker at the end")
		}},
		{Name: "v1-walk", Rule: "pages together give every key once", Run: func(c *C) {
			b := c.filled("a", "b/1", "b/2", "c", "d/1", "e")
			all := walk(c, b, "?max-keys=2&delimiter=%2F", func(a *answer) string { return "&marker=" + url.QueryEscape(a.one("NextMarker")) })
			slices.Sort(all)
			c.equal([]string{"a", "b/", "c", "d/", "e"}, all, "entries")
		}},
		{Name: "v1-max-keys-bad", Rule: "max-keys that is no number answers InvalidArgument", Run: func(c *C) {
			b := c.bucket()
			c.refused(400, "InvalidArgument", get(b+"?max-keys=blah"))
			c.refused(400, "InvalidArgument", get(b+"?max-keys=-1"))
		}},
		{Name: "v1-defaults", Rule: "the answer repeats what was asked, with max-keys 1000", Run: func(c *C) {
			a := c.ok(get(c.filled("a")))
			c.equal("1000", a.one("MaxKeys"), "MaxKeys")
			c.equal("", a.one("Marker"), "Marker")
			c.equal(1, len(a.root.nodes("Prefix")), "Prefix elements")
			c.equal(0, len(a.root.nodes("Delimiter")), "Delimiter elements")
		}},
		{Name: "v1-contents", Rule: "an entry has ETag, size, time, storage class and owner", Run: func(c *C) {
			b := c.filled("foo")
			entry := c.ok(get(b)).root.nodes("Contents")[0]
			h := c.ok(head(b + "/foo"))
			c.equal(h.etag(), entry.one("ETag"), "ETag")
			c.equal("3", entry.one("Size"), "Size")
			c.equal("STANDARD", entry.one("StorageClass"), "StorageClass")
			c.check(len(entry.one("LastModified")) == len("2006-01-02T15:04:05.000Z"), "LastModified %q", entry.one("LastModified"))
			if c.main.ID != "" {
				c.equal(c.main.ID, entry.one("Owner.ID"), "Owner")
			}
		}},
	}...)
}

func listV1MoreCases() []Case {
	return group("list", "API_ListObjects", []Case{
		{Name: "v1-encoding-bad", Rule: "an unknown encoding-type answers InvalidArgument", Run: func(c *C) {
			c.refused(400, "InvalidArgument", get(c.bucket()+"?encoding-type=xml"))
		}},
		{Name: "v1-distinct", Rule: "two buckets have nothing of each other", Run: func(c *C) {
			c.filled("asdf")
			c.equal([]string{}, c.ok(get(c.bucket())).all("Contents.Key"), "keys")
		}},
		{Name: "v1-anonymous", Rule: "nobody lists a private bucket without credentials", Run: func(c *C) {
			b := c.bucket()
			c.refused(403, "AccessDenied", get(b).anonymous())
			c.refused(403, "AccessDenied", get(b+"?list-type=2").anonymous())
		}},
		{Name: "v1-marker-encoded", Rule: "with encoding-type=url the markers are escaped too", Run: func(c *C) {
			b := c.filled("a b/1", "c d/1", "e")
			a := c.ok(get(b + "?encoding-type=url&delimiter=%2F&max-keys=1&prefix="))
			c.equal("a%20b/", a.one("NextMarker"), "NextMarker")
			c.equal("url", a.one("EncodingType"), "EncodingType")
		}},
	}...)
}

func listV2Cases() []Case {
	flat := []string{"bar", "baz", "foo", "quxx"}
	return group("list", "API_ListObjectsV2", []Case{
		{Name: "v2-token", Rule: "a token goes on where the page ended, and is repeated", Run: func(c *C) {
			b := c.filled(flat...)
			token := c.ok(get(b + "?list-type=2&max-keys=1")).one("NextContinuationToken")
			a := c.ok(get(b + "?list-type=2&continuation-token=" + url.QueryEscape(token)))
			c.equal(token, a.one("ContinuationToken"), "ContinuationToken")
			c.equal(flat[1:], a.all("Contents.Key"), "keys")
		}},
		{Name: "v2-token-empty", Rule: "an empty token begins at the beginning, and is repeated", Run: func(c *C) {
			a := c.ok(get(c.filled(flat...) + "?list-type=2&continuation-token="))
			c.equal(flat, a.all("Contents.Key"), "keys")
			c.equal(1, len(a.root.nodes("ContinuationToken")), "ContinuationToken elements")
		}},
		{Name: "v2-token-bad", Rule: "a token that nobody gave answers InvalidArgument", Run: func(c *C) {
			c.refused(400, "InvalidArgument", get(c.bucket()+"?list-type=2&continuation-token=!!!"))
		}},
		{Name: "v2-token-start-after", Rule: "a token wins over start-after, and both are repeated", Run: func(c *C) {
			b := c.filled(flat...)
			token := c.ok(get(b + "?list-type=2&start-after=bar&max-keys=1")).one("NextContinuationToken")
			a := c.ok(get(b + "?list-type=2&start-after=bar&continuation-token=" + url.QueryEscape(token)))
			c.equal("bar", a.one("StartAfter"), "StartAfter")
			c.equal([]string{"foo", "quxx"}, a.all("Contents.Key"), "keys")
		}},
		{Name: "v2-start-after", Rule: "start-after need not be a key", Run: func(c *C) {
			b := c.filled(flat...)
			for after, want := range map[string][]string{"blah": {"foo", "quxx"}, "bar": flat[1:], "zzz": {}, "\n": flat} {
				a := c.ok(get(b + "?list-type=2&start-after=" + url.QueryEscape(after)))
				c.equal(want, a.all("Contents.Key"), "keys after "+after)
				c.equal(after, a.one("StartAfter"), "StartAfter")
			}
		}},
		{Name: "v2-walk", Rule: "pages together give every entry once", Run: func(c *C) {
			b := c.filled("a", "b/1", "b/2", "c", "d/1", "e")
			all := walk(c, b, "?list-type=2&max-keys=1&delimiter=%2F", func(a *answer) string {
				return "&continuation-token=" + url.QueryEscape(a.one("NextContinuationToken"))
			})
			c.equal([]string{"a", "b/", "c", "d/", "e"}, all, "entries")
		}},
	}...)
}

func listV2MoreCases() []Case {
	return group("list", "API_ListObjectsV2", []Case{
		{Name: "v2-owner", Rule: "owners are given only where fetch-owner asks for them", Run: func(c *C) {
			b := c.filled("a")
			c.equal(0, len(c.ok(get(b+"?list-type=2")).root.nodes("Contents.Owner")), "owners")
			c.equal(0, len(c.ok(get(b+"?list-type=2&fetch-owner=false")).root.nodes("Contents.Owner")), "owners")
			c.equal(1, len(c.ok(get(b+"?list-type=2&fetch-owner=true")).root.nodes("Contents.Owner")), "owners")
		}},
		{Name: "v2-max-keys-bad", Rule: "max-keys that is no number answers InvalidArgument", Run: func(c *C) {
			c.refused(400, "InvalidArgument", get(c.bucket()+"?list-type=2&max-keys=x"))
		}},
		{Name: "v2-missing", Rule: "a bucket that is not there answers NoSuchBucket", Run: func(c *C) {
			c.refused(404, "NoSuchBucket", get(c.newName()+"?list-type=2"))
		}},
		{Name: "v2-restore-status", Rule: "optional attributes of objects that are not archived are left out", Run: func(c *C) {
			b := c.filled("a")
			a := c.ok(get(b+"?list-type=2", "X-Amz-Optional-Object-Attributes: RestoreStatus"))
			c.equal(0, len(a.root.nodes("Contents.RestoreStatus")), "RestoreStatus")
			c.ok(get(b, "X-Amz-Optional-Object-Attributes: RestoreStatus"))
			c.ok(get(b+"?versions", "X-Amz-Optional-Object-Attributes: RestoreStatus"))
		}},
		{Name: "v2-read-your-write", Rule: "a write is listed at once, and a deletion too", Run: func(c *C) {
			b := c.bucket()
			for i := range 5 {
				key := fmt.Sprintf("%s/k%d", b, i)
				c.ok(put(key, "x"))
				c.equal(1, len(c.ok(get(b+"?list-type=2")).all("Contents.Key")), "keys")
				c.ok(del(key))
				c.equal(0, len(c.ok(get(b+"?list-type=2")).all("Contents.Key")), "keys")
			}
		}},
		{Name: "v2-checksum", Rule: "an entry that names the algorithm of a checksum names the one of the object", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/a", "x", "X-Amz-Checksum-Crc32: "+crc32Of("x")))
			a := c.ok(get(b + "?list-type=2"))
			c.check(slices.Contains([]string{"", "CRC32"}, a.one("Contents.ChecksumAlgorithm")), "%s", a.body)
		}},
	}...)
}

func listVersionCases() []Case {
	return group("list", "API_ListObjectVersions", []Case{
		{Name: "versions-order", Rule: "the newest version of a key comes first", Run: func(c *C) {
			b := c.versioned()
			v1 := c.ok(put(b+"/a", "1")).version()
			v2 := c.ok(put(b+"/a", "2")).version()
			v3 := c.ok(put(b+"/b", "3")).version()
			a := c.ok(get(b + "?versions"))
			c.equal([]string{"a", "a", "b"}, a.all("Version.Key"), "keys")
			c.equal([]string{v2, v1, v3}, a.all("Version.VersionId"), "versions")
			c.equal([]string{"true", "false", "true"}, a.all("Version.IsLatest"), "latest")
		}},
		{Name: "versions-marker", Rule: "delete markers are listed apart, without size and ETag", Run: func(c *C) {
			b := c.versioned()
			c.ok(put(b+"/a", "1"))
			marker := c.ok(del(b + "/a")).version()
			a := c.ok(get(b + "?versions"))
			c.equal([]string{marker}, a.all("DeleteMarker.VersionId"), "markers")
			c.equal([]string{"true"}, a.all("DeleteMarker.IsLatest"), "latest")
			c.equal([]string{"false"}, a.all("Version.IsLatest"), "latest")
			c.equal(0, len(a.root.nodes("DeleteMarker.Size"))+len(a.root.nodes("DeleteMarker.ETag")), "elements of an object")
		}},
		{Name: "versions-walk", Rule: "pages of versions go on by key and version", Run: func(c *C) {
			b := c.versioned()
			for range 3 {
				c.ok(put(b+"/a", "x"))
				c.ok(put(b+"/b", "x"))
			}
			var all []string
			for query := ""; ; {
				a := c.ok(get(b + "?versions&max-keys=2" + query))
				c.check(a.one("IsTruncated") != "", "no page: %s", a.describe())
				all = append(all, a.all("Version.VersionId")...)
				if a.one("IsTruncated") == "false" {
					break
				}
				query = "&key-marker=" + a.one("NextKeyMarker") + "&version-id-marker=" + a.one("NextVersionIdMarker")
				c.check(len(all) <= 6, "no end")
			}
			c.equal(c.ok(get(b+"?versions")).all("Version.VersionId"), all, "versions")
		}},
		{Name: "versions-null", Rule: "in a bucket that never kept versions they are null", Run: func(c *C) {
			b := c.filled("a")
			c.equal([]string{"null"}, c.ok(get(b+"?versions")).all("Version.VersionId"), "versions")
		}},
		{Name: "versions-prefix", Rule: "prefix and delimiter work on versions too", Run: func(c *C) {
			b := c.filled("a/1", "a/2", "b")
			a := c.ok(get(b + "?versions&delimiter=%2F"))
			c.equal([]string{"b"}, a.all("Version.Key"), "keys")
			c.equal([]string{"a/"}, a.all("CommonPrefixes.Prefix"), "prefixes")
			c.equal([]string{"a/1", "a/2"}, c.ok(get(b+"?versions&prefix=a%2F")).all("Version.Key"), "keys")
		}},
		{Name: "versions-marker-alone", Rule: "a version marker without a key marker answers InvalidArgument", Run: func(c *C) {
			c.refused(400, "InvalidArgument", get(c.bucket()+"?versions&version-id-marker=x"))
		}},
		{Name: "versions-entry", Rule: "a version has what HEAD says of it", Run: func(c *C) {
			b := c.versioned()
			c.ok(put(b+"/foo", "bar"))
			h := c.ok(head(b + "/foo"))
			v := c.ok(get(b + "?versions")).root.nodes("Version")[0]
			c.equal([]string{h.etag(), "3", h.version(), "STANDARD"}, []string{v.one("ETag"), v.one("Size"), v.one("VersionId"), v.one("StorageClass")}, "version")
			if c.main.ID != "" {
				c.equal(c.main.ID, v.one("Owner.ID"), "Owner")
			}
		}},
	}...)
}
