package s3apitest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func bucketCases() []Case {
	return append(bucketLifeCases(), bucketNameCases()...)
}

func bucketLifeCases() []Case {
	return group("bucket", "API_CreateBucket", []Case{
		{Name: "create", Rule: "a new bucket answers 200 with its Location", Run: func(c *C) {
			b := c.newName()
			c.made(b)
			a := c.status(200, put(b, c.location()))
			c.check(strings.HasSuffix(a.header.Get("Location"), b) || strings.Contains(a.header.Get("Location"), b[1:]+"."), "Location: %q", a.header.Get("Location"))
		}},
		{Name: "create-twice", Rule: "the owner who creates a bucket again succeeds in us-east-1 and has BucketAlreadyOwnedByYou elsewhere", Run: func(c *C) {
			b := c.bucket()
			if c.target.Region == "us-east-1" {
				c.status(200, put(b, ""))
				return
			}
			c.refused(409, "BucketAlreadyOwnedByYou", put(b, c.location()))
		}},
		{Name: "create-of-another", Rule: "the name of somebody else's bucket answers BucketAlreadyExists", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.bucket()
			c.refused(409, "BucketAlreadyExists", put(b, c.location()).as(c.alt))
		}},
		{Name: "create-anonymous", Rule: "nobody may create a bucket without credentials", Run: func(c *C) {
			c.refused(403, "AccessDenied", put(c.newName(), "").anonymous())
		}},
		{Name: "delete", Rule: "an empty bucket can be deleted and is gone", Page: "API_DeleteBucket", Run: func(c *C) {
			b := c.bucket()
			c.status(204, del(b))
			c.refused(404, "NoSuchBucket", get(b))
			c.refused(404, "NoSuchBucket", del(b))
		}},
		{Name: "delete-filled", Rule: "a bucket with objects answers BucketNotEmpty", Page: "API_DeleteBucket", Run: func(c *C) {
			b := c.filled("foo")
			c.refused(409, "BucketNotEmpty", del(b))
		}},
		{Name: "head", Rule: "HEAD answers 200 with the region, and without a body", Page: "API_HeadBucket", Run: func(c *C) {
			a := c.status(200, head(c.bucket()))
			c.equal(c.target.Region, a.header.Get("X-Amz-Bucket-Region"), "x-amz-bucket-region")
			c.equal("", a.body, "body")
		}},
		{Name: "head-missing", Rule: "HEAD of a bucket that is not there answers 404", Page: "API_HeadBucket", Run: func(c *C) {
			c.equal("", c.status(404, head(c.newName())).body, "body")
		}},
		{Name: "missing-get", Rule: "listing a bucket that is not there answers NoSuchBucket", Page: "API_ListObjects", Run: func(c *C) {
			a := c.refused(404, "NoSuchBucket", get(c.newName()))
			c.check(a.one("BucketName") != "", "no BucketName in %s", a.body)
		}},
		{Name: "missing-put", Rule: "an object put into a bucket that is not there answers NoSuchBucket", Page: "API_PutObject", Run: func(c *C) {
			c.refused(404, "NoSuchBucket", put(c.newName()+"/foo", "bar"))
		}},
		{Name: "location", Rule: "the location of a bucket in us-east-1 is empty, elsewhere it is the region", Page: "API_GetBucketLocation", Run: func(c *C) {
			a := c.ok(get(c.bucket() + "?location"))
			want := c.target.Region
			if want == "us-east-1" {
				want = ""
			}
			c.check(a.root != nil && a.root.name == "LocationConstraint", "%s", a.body)
			c.equal(want, a.root.text, "LocationConstraint")
		}},
	}...)
}

// bucketNameCases are the naming rules.
func bucketNameCases() []Case {
	const page = "userguide/bucketnamingrules"
	var cases []Case
	for what, name := range map[string]string{
		"two-characters": "aa", "one-character": "a", "too-long": strings.Repeat("a", 64), "very-long": strings.Repeat("a", 256),
		"upper-case": "Kit-Upper", "underscore": "kit_under", "begins-with-dash": "-kit-dash", "ends-with-dash": "kit-dash-",
		"begins-with-dot": ".kit-dot", "ends-with-dot": "kit-dot.", "two-dots": "kit..dots", "ip-address": "192.168.5.123",
		"exclamation": "kit!name", "non-ascii": "kit-%C3%A9",
	} {
		cases = append(cases, Case{
			Name: "name-" + what, Rule: "the name " + name[:min(len(name), 20)] + " is refused", Needs: []string{NeedsPaths},
			Run: func(c *C) { c.refused(400, "InvalidBucketName", put("/"+name, c.location())) },
		})
	}
	for what, suffix := range map[string]string{
		"dots": ".with.dots", "dashes": "--x", "digits": "-0123456789", "long": strings.Repeat("-b", 20),
	} {
		cases = append(cases, Case{
			Name: "name-good-" + what, Rule: "a name with " + what + " is good", Needs: []string{NeedsPaths},
			Run: func(c *C) {
				b := c.newName() + suffix
				c.made(b)
				c.ok(put(b, c.location()))
				c.ok(head(b))
			},
		})
	}
	return group("bucket", page, cases...)
}

func tagCases() []Case {
	return slices.Concat(objectTagCases(), tagLimitCases(), bucketTagCases())
}

// tagging is a document of tags from names and values in turn.
func tagging(pairs ...string) string {
	var b strings.Builder
	for pair := range slices.Chunk(pairs, 2) {
		b.WriteString("<Tag><Key>" + xmlText(pair[0]) + "</Key><Value>" + xmlText(pair[1]) + "</Value></Tag>")
	}
	return "<Tagging><TagSet>" + b.String() + "</TagSet></Tagging>"
}

// tagsOf reads the tags of an object or a bucket as names and values in turn.
func (c *C) tagsOf(path string) []string {
	list := []string{}
	for _, tag := range c.ok(get(path)).root.nodes("TagSet.Tag") {
		list = append(list, tag.one("Key"), tag.one("Value"))
	}
	return list
}

func numbered(n int) []string {
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprint(i), fmt.Sprint(i))
	}
	return pairs
}

func objectTagCases() []Case {
	return group("tagging", "API_PutObjectTagging", []Case{
		{Name: "object", Rule: "tags of an object are set, read, counted, replaced and deleted", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.equal([]string{}, c.tagsOf(path+"?tagging"), "tags")
			c.status(200, put(path+"?tagging", tagging("key", "val", "key2", "val2")))
			c.equal([]string{"key", "val", "key2", "val2"}, c.tagsOf(path+"?tagging"), "tags")
			c.equal("2", c.ok(head(path)).header.Get("X-Amz-Tagging-Count"), "count")
			c.equal("2", c.ok(get(path)).header.Get("X-Amz-Tagging-Count"), "count")
			c.ok(put(path+"?tagging", tagging("key3", "val3")))
			c.equal([]string{"key3", "val3"}, c.tagsOf(path+"?tagging"), "tags")
			c.status(204, del(path+"?tagging"))
			c.equal([]string{}, c.tagsOf(path+"?tagging"), "tags")
			c.equal("", c.ok(head(path)).header.Get("X-Amz-Tagging-Count"), "count")
		}},
		{Name: "object-header", Rule: "x-amz-tagging sets tags with the object; a value may be left out", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.ok(put(path, "x", "X-Amz-Tagging: foo=bar&bar"))
			c.equal([]string{"bar", "", "foo", "bar"}, c.tagsOf(path+"?tagging"), "tags")
			c.ok(put(path, "x", "X-Amz-Tagging: a%20b=c%2Bd"))
			c.equal([]string{"a b", "c+d"}, c.tagsOf(path+"?tagging"), "tags")
			c.ok(put(path, "x"))
			c.equal([]string{}, c.tagsOf(path+"?tagging"), "tags after a PUT without")
		}},
		{Name: "object-keeps", Rule: "tags change neither bytes nor ETag nor time", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			before := c.ok(head(path)).header
			c.ok(put(path+"?tagging", tagging("a", "b")))
			after := c.ok(head(path)).header
			c.equal([]string{before.Get("Etag"), before.Get("Last-Modified")}, []string{after.Get("Etag"), after.Get("Last-Modified")}, "headers")
		}},
		{Name: "object-version", Rule: "each version has tags of its own", Run: func(c *C) {
			path := c.versioned() + "/foo"
			one := c.ok(put(path, "1")).version()
			two := c.ok(put(path, "2")).version()
			a := c.ok(put(path+"?tagging&versionId="+one, tagging("v", "1")))
			c.equal(one, a.version(), "version")
			c.equal([]string{}, c.tagsOf(path+"?tagging"), "tags of the latest")
			c.equal([]string{"v", "1"}, c.tagsOf(path+"?tagging&versionId="+one), "tags of the first")
			c.equal(two, c.ok(get(path+"?tagging")).version(), "version")
			c.status(204, del(path+"?tagging&versionId="+one))
			c.equal([]string{}, c.tagsOf(path+"?tagging&versionId="+one), "tags of the first")
		}},
		{Name: "object-missing", Rule: "an object that is not there answers NoSuchKey", Run: func(c *C) {
			b := c.bucket()
			c.refused(404, "NoSuchKey", get(b+"/foo?tagging"))
			c.refused(404, "NoSuchKey", put(b+"/foo?tagging", tagging("a", "b")))
			c.refused(404, "NoSuchKey", del(b+"/foo?tagging"))
		}},
	}...)
}

func tagLimitCases() []Case {
	long := func(n int) string { return strings.Repeat("k", n) }
	var cases []Case
	for what, want := range map[string]struct {
		pairs []string
		good  bool
	}{
		"ten": {numbered(10), true}, "eleven": {numbered(11), false}, "key-128": {[]string{long(128), long(256)}, true}, "key-129": {[]string{long(129), "v"}, false},
		"value-257": {[]string{"k", long(257)}, false}, "key-empty": {[]string{"", "v"}, false}, "value-empty": {[]string{"k", ""}, true},
		"twice": {[]string{"k", "1", "k", "2"}, false}, "reserved": {[]string{"aws:k", "1"}, false}, "characters": {[]string{"a b+-=._:/@", "é 1"}, true},
		"characters-bad": {[]string{"k", "a!b"}, false}, "none": {nil, true},
	} {
		cases = append(cases, Case{Name: "limit-" + what, Rule: fmt.Sprintf("such tags are taken: %v", want.good), Page: "userguide/object-tagging", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			if want.good {
				c.ok(put(path+"?tagging", tagging(want.pairs...)))
				c.equal(orNone(want.pairs), c.tagsOf(path+"?tagging"), "tags")
				return
			}
			a := c.do(put(path+"?tagging", tagging(want.pairs...)))
			c.check(a.status == 400 && (a.code == "InvalidTag" || a.code == "BadRequest"), "%s", a.describe())
			c.equal([]string{}, c.tagsOf(path+"?tagging"), "tags")
		}})
	}
	cases = append(cases, Case{Name: "malformed", Rule: "what is no document of tags answers MalformedXML", Run: func(c *C) {
		path := c.filled("foo") + "/foo"
		for _, body := range []string{"", "x", "<Tagging>", "<Other></Other>"} {
			c.refused(400, "MalformedXML", put(path+"?tagging", body))
		}
	}}, Case{Name: "header-limit", Rule: "the header has the limits of the document", Run: func(c *C) {
		b := c.bucket()
		a := c.do(put(b+"/foo", "x", "X-Amz-Tagging: a=1&a=2"))
		c.check(a.status == 400, "%s", a.describe())
		a = c.do(put(b+"/foo", "x", "X-Amz-Tagging: a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=10&k=11"))
		c.check(a.status == 400, "%s", a.describe())
		c.refused(404, "NoSuchKey", get(b+"/foo"))
	}})
	return group("tagging", "API_PutObjectTagging", cases...)
}

func bucketTagCases() []Case {
	return group("tagging", "API_PutBucketTagging", []Case{
		{Name: "bucket", Rule: "tags of a bucket are set, read and deleted; without any it answers NoSuchTagSet", Run: func(c *C) {
			b := c.bucket()
			c.refused(404, "NoSuchTagSet", get(b+"?tagging"))
			a := c.ok(put(b+"?tagging", tagging("Hello", "World")))
			c.check(a.status == 200 || a.status == 204, "%s", a.describe())
			c.equal([]string{"Hello", "World"}, c.tagsOf(b+"?tagging"), "tags")
			c.status(204, del(b+"?tagging"))
			c.refused(404, "NoSuchTagSet", get(b+"?tagging"))
		}},
		{Name: "bucket-limit", Rule: "a bucket may have 50 tags", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"?tagging", tagging(numbered(50)...)))
			c.check(c.do(put(b+"?tagging", tagging(numbered(51)...))).status == 400, "51 tags were taken")
			c.equal(100, len(c.tagsOf(b+"?tagging")), "names and values")
		}},
		{Name: "bucket-replaced", Rule: "new tags replace all old ones", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"?tagging", tagging("a", "1", "b", "2")))
			c.ok(put(b+"?tagging", tagging("c", "3")))
			c.equal([]string{"c", "3"}, c.tagsOf(b+"?tagging"), "tags")
		}},
		{Name: "bucket-twice", Rule: "the same name twice is refused", Run: func(c *C) {
			a := c.do(put(c.bucket()+"?tagging", tagging("a", "1", "a", "2")))
			c.check(a.status == 400, "%s", a.describe())
		}},
		{Name: "bucket-missing", Rule: "a bucket that is not there answers NoSuchBucket", Run: func(c *C) {
			c.refused(404, "NoSuchBucket", get(c.newName()+"?tagging"))
		}},
	}...)
}

func lifecycle(rules ...string) string {
	return "<LifecycleConfiguration>" + strings.Join(rules, "") + "</LifecycleConfiguration>"
}

func lifeRule(inner string) string { return "<Rule>" + inner + "</Rule>" }

func putLifecycle(b, document string) request {
	return put(b+"?lifecycle", document, "Content-MD5: "+md5Of(document))
}

func lifecycleCases() []Case {
	cases := []Case{
		{Name: "none", Rule: "a bucket without rules answers NoSuchLifecycleConfiguration; deleting them succeeds", Run: func(c *C) {
			b := c.bucket()
			c.refused(404, "NoSuchLifecycleConfiguration", get(b+"?lifecycle"))
			c.status(204, del(b+"?lifecycle"))
			c.ok(putLifecycle(b, lifecycle(lifeRule("<ID>a</ID><Expiration><Days>31</Days></Expiration><Prefix>a/</Prefix><Status>Enabled</Status>"))))
			c.ok(get(b + "?lifecycle"))
			c.status(204, del(b+"?lifecycle"))
			c.refused(404, "NoSuchLifecycleConfiguration", get(b+"?lifecycle"))
		}},
		{Name: "kept", Rule: "rules come back as they were", Run: func(c *C) {
			b := c.bucket()
			c.ok(putLifecycle(b, lifecycle(
				lifeRule("<ID>one</ID><Expiration><Days>31</Days></Expiration><Prefix>a/</Prefix><Status>Enabled</Status>"),
				lifeRule("<ID>two</ID><Expiration><Days>120</Days></Expiration><Filter><Prefix>b/</Prefix></Filter><Status>Disabled</Status>"))))
			a := c.ok(get(b + "?lifecycle"))
			c.equal([]string{"one", "two"}, a.all("Rule.ID"), "ids")
			c.equal([]string{"31", "120"}, a.all("Rule.Expiration.Days"), "days")
			c.equal([]string{"a/"}, a.all("Rule.Prefix"), "prefixes")
			c.equal([]string{"b/"}, a.all("Rule.Filter.Prefix"), "filters")
			c.equal([]string{"Enabled", "Disabled"}, a.all("Rule.Status"), "statuses")
		}},
		{Name: "id-made", Rule: "a rule without an id gets one", Run: func(c *C) {
			b := c.bucket()
			c.ok(putLifecycle(b, lifecycle(lifeRule("<Expiration><Days>31</Days></Expiration><Prefix/><Status>Enabled</Status>"))))
			c.check(c.ok(get(b+"?lifecycle")).one("Rule.ID") != "", "no id")
		}},
	}
	for what, rule := range map[string]string{
		"date": "<Expiration><Date>2017-09-27T00:00:00Z</Date></Expiration><Prefix>a</Prefix>", "marker": "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration><Prefix>a</Prefix>",
		"filter-empty": "<Expiration><Days>1</Days></Expiration><Filter></Filter>", "noncurrent": "<NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays><NewerNoncurrentVersions>5</NewerNoncurrentVersions></NoncurrentVersionExpiration><Filter><Prefix/></Filter>",
		"abort": "<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload><Prefix>a</Prefix>",
		"tag":   "<Expiration><Days>1</Days></Expiration><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>", "size": "<Expiration><Days>1</Days></Expiration><Filter><ObjectSizeGreaterThan>2000</ObjectSizeGreaterThan></Filter>",
		"and": "<Expiration><Days>1</Days></Expiration><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>",
	} {
		cases = append(cases, Case{Name: "rule-" + what, Rule: "such a rule is taken and kept", Run: func(c *C) {
			b := c.bucket()
			c.ok(putLifecycle(b, lifecycle(lifeRule("<ID>rule1</ID>"+rule+"<Status>Enabled</Status>"))))
			c.equal("rule1", c.ok(get(b+"?lifecycle")).one("Rule.ID"), "id")
		}})
	}
	return group("lifecycle", "API_PutBucketLifecycleConfiguration", cases...)
}

func lifecycleRefusedCases() []Case {
	const rest = "<Prefix>a/</Prefix><Status>Enabled</Status>"
	days := func(n int) string { return "<Expiration><Days>" + strconv.Itoa(n) + "</Days></Expiration>" }
	var cases []Case
	for what, want := range map[string][2]string{
		"id-long":      {lifeRule("<ID>" + strings.Repeat("a", 256) + "</ID>" + days(2) + rest), "InvalidArgument"},
		"id-twice":     {lifeRule("<ID>a</ID>"+days(1)+rest) + lifeRule("<ID>a</ID>"+days(2)+rest), "InvalidArgument"},
		"status":       {lifeRule("<ID>a</ID>" + days(2) + "<Prefix>a/</Prefix><Status>enabled</Status>"), "MalformedXML"},
		"days-0":       {lifeRule("<ID>a</ID>" + days(0) + rest), "InvalidArgument"},
		"days-below-0": {lifeRule("<ID>a</ID>" + days(-1) + rest), "InvalidArgument"},
		"date":         {lifeRule("<ID>a</ID><Expiration><Date>20200101</Date></Expiration>" + rest), ""},
		"not-midnight": {lifeRule("<ID>a</ID><Expiration><Date>2017-09-27T12:00:00Z</Date></Expiration>" + rest), "InvalidArgument"},
		"no-action":    {lifeRule("<ID>a</ID>" + rest), ""},
		"no-rule":      {"", "MalformedXML"},
		"two-filters":  {lifeRule("<ID>a</ID>" + days(1) + "<Filter><Prefix>b</Prefix></Filter>" + rest), ""},
	} {
		cases = append(cases, Case{Name: "refuses-" + what, Rule: "such a rule is refused " + want[1], Run: func(c *C) {
			b := c.bucket()
			a := c.status(400, putLifecycle(b, lifecycle(want[0])))
			c.check(want[1] == "" || a.code == want[1], "%s", a.describe())
			c.refused(404, "NoSuchLifecycleConfiguration", get(b+"?lifecycle"))
		}})
	}
	return group("lifecycle", "API_PutBucketLifecycleConfiguration", cases...)
}

// expirationCases are of the header that says when an object will be gone.
func expirationCases() []Case {
	check := func(c *C, a *answer) {
		h := a.header.Get("X-Amz-Expiration")
		date, rest, ok := strings.Cut(strings.TrimPrefix(h, `expiry-date="`), `", rule-id="`)
		at, err := time.Parse(time.RFC1123, date)
		c.check(ok && rest == `rule1"` && err == nil, "x-amz-expiration %q (%v)", h, err)
		left := at.Sub(c.time())
		c.check(left > 24*time.Hour-time.Minute && left <= 48*time.Hour && at.Equal(at.Truncate(24*time.Hour)), "it expires %v", at)
	}
	return group("lifecycle", "userguide/intro-lifecycle-rules", []Case{
		{Name: "expiration", Rule: "PUT, GET and HEAD say when a rule will expire the object: at midnight after its days", Run: func(c *C) {
			b := c.bucket()
			c.ok(putLifecycle(b, lifecycle(lifeRule("<ID>rule1</ID><Expiration><Days>1</Days></Expiration><Prefix>days1/</Prefix><Status>Enabled</Status>"))))
			check(c, c.ok(put(b+"/days1/foo", "bar")))
			check(c, c.ok(head(b+"/days1/foo")))
			check(c, c.ok(get(b+"/days1/foo")))
			c.equal("", c.ok(put(b+"/other", "bar")).header.Get("X-Amz-Expiration"), "header of another object")
		}},
		{Name: "expiration-tag", Rule: "a rule for a tag is for objects that have it", Run: func(c *C) {
			b := c.bucket()
			rule := func(filter string) request {
				return putLifecycle(b, lifecycle(lifeRule("<ID>rule1</ID><Expiration><Days>1</Days></Expiration><Filter>"+filter+"</Filter><Status>Enabled</Status>")))
			}
			tag := func(k, v string) string { return "<Tag><Key>" + k + "</Key><Value>" + v + "</Value></Tag>" }
			c.ok(put(b+"/foo", "x", "X-Amz-Tagging: key1=tag1&key5=tag5"))
			c.ok(rule(tag("key1", "tag1")))
			check(c, c.ok(head(b+"/foo")))
			c.ok(rule("<And>" + tag("key1", "tag1") + tag("key5", "tag6") + "</And>"))
			c.equal("", c.ok(head(b+"/foo")).header.Get("X-Amz-Expiration"), "header where one tag is another")
			c.ok(rule(tag("key2", "tag1")))
			c.equal("", c.ok(head(b+"/foo")).header.Get("X-Amz-Expiration"), "header without the tag")
		}},
		{Name: "expiration-disabled", Rule: "a rule that is disabled expires nothing", Run: func(c *C) {
			b := c.bucket()
			c.ok(putLifecycle(b, lifecycle(lifeRule("<ID>rule1</ID><Expiration><Days>1</Days></Expiration><Prefix/><Status>Disabled</Status>"))))
			c.equal("", c.ok(put(b+"/foo", "bar")).header.Get("X-Amz-Expiration"), "header")
		}},
	}...)
}

// configurationCases are of what a bucket answers that was never configured.
func configurationCases() []Case {
	var cases []Case
	for query, want := range map[string]struct {
		document, code string
		status         int
	}{
		"accelerate": {"AccelerateConfiguration", "", 200}, "requestPayment": {"RequestPaymentConfiguration", "", 200}, "logging": {"BucketLoggingStatus", "", 200},
		"notification": {"NotificationConfiguration", "", 200}, "website": {"", "NoSuchWebsiteConfiguration", 404}, "replication": {"", "ReplicationConfigurationNotFoundError", 404},
	} {
		cases = append(cases, Case{Name: "never-set-" + query, Rule: "a bucket that was never configured answers so, or that it is not implemented", Page: "API_Operations_Amazon_Simple_Storage_Service", Run: func(c *C) {
			a := c.do(get(c.bucket() + "?" + query))
			if a.status == 501 {
				c.equal("NotImplemented", a.code, "code")
				return
			}
			c.equal([]string{strconv.Itoa(want.status), want.code}, []string{strconv.Itoa(a.status), a.code}, "answer")
			c.check(want.document == "" || a.root != nil && a.root.name == want.document, "%s", a.describe())
		}})
	}
	return group("bucket", "", cases...)
}

func appendCases() []Case {
	at := func(n int) string { return fmt.Sprintf("X-Amz-Write-Offset-Bytes: %d", n) }
	return group("append", "userguide/directory-buckets-objects-append", []Case{
		{Name: "end", Rule: "bytes are appended where the object ends", Run: func(c *C) {
			path := c.bucket() + "/log"
			c.ok(put(path, "one", at(0)))
			a := c.ok(put(path, "two", at(3)))
			c.check(a.etag() != "", "no ETag")
			c.equal("onetwo", c.content(path), "body")
			c.equal("6", c.ok(head(path)).header.Get("Content-Length"), "length")
		}},
		{Name: "elsewhere", Rule: "any other place answers InvalidWriteOffset", Run: func(c *C) {
			path := c.bucket() + "/log"
			c.ok(put(path, "one"))
			for _, n := range []int{0, 2, 4} {
				c.refused(400, "InvalidWriteOffset", put(path, "two", at(n)))
			}
			c.equal("one", c.content(path), "body")
		}},
		{Name: "nothing", Rule: "behind the end of nothing there is no place", Run: func(c *C) {
			a := c.do(put(c.bucket()+"/log", "x", at(3)))
			c.check(a.status == 400 || a.status == 404, "%s", a.describe())
		}},
	}...)
}

func renameCases() []Case {
	from := func(key string) string { return "X-Amz-Rename-Source: " + key }
	return group("rename", "API_RenameObject", []Case{
		{Name: "object", Rule: "an object goes from one key to another, with all that it has", Run: func(c *C) {
			b := c.bucket()
			tag := c.ok(put(b+"/old", "body", "X-Amz-Meta-A: b", "Content-Type: text/x")).etag()
			c.ok(put(b+"/new?renameObject", "", from("old")))
			a := c.ok(get(b + "/new"))
			c.equal([]string{"body", "b", "text/x", tag}, []string{a.body, a.header.Get("X-Amz-Meta-A"), a.header.Get("Content-Type"), a.etag()}, "object")
			c.refused(404, "NoSuchKey", get(b+"/old"))
		}},
		{Name: "missing", Rule: "what is not there is not renamed", Run: func(c *C) {
			b := c.bucket()
			c.refused(404, "NoSuchKey", put(b+"/new?renameObject", "", from("old")))
		}},
		{Name: "conditions", Rule: "conditions of the source and of the destination hold", Run: func(c *C) {
			b := c.bucket()
			tag := c.ok(put(b+"/old", "body")).etag()
			c.ok(put(b+"/taken", "x"))
			c.refused(412, "PreconditionFailed", put(b+"/taken?renameObject", "", from("old"), "If-None-Match: *"))
			c.refused(412, "PreconditionFailed", put(b+"/new?renameObject", "", from("old"), `X-Amz-Rename-Source-If-Match: "other"`))
			c.ok(put(b+"/new?renameObject", "", from("old"), "X-Amz-Rename-Source-If-Match: "+tag, "If-None-Match: *"))
			c.equal("body", c.content(b+"/new"), "body")
		}},
	}...)
}
