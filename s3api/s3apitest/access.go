package s3apitest

import (
	"fmt"
	"slices"
	"strings"
)

func accessCases() []Case {
	return slices.Concat(cannedCases(), cannedAccessCases(), grantCases(), grantHeaderCases(), aclRefusedCases(), ownershipCases(), ownerOfObjectCases(), blockCases())
}

const (
	allUsers      = "http://acs.amazonaws.com/groups/global/AllUsers"
	authenticated = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"

	ownedByWriter = "X-Amz-Object-Ownership: ObjectWriter"
	preferred     = "X-Amz-Object-Ownership: BucketOwnerPreferred"
	enforced      = "X-Amz-Object-Ownership: BucketOwnerEnforced"
)

// open makes a bucket with access control lists, and nothing that blocks public
// access.
func (c *C) open(header ...string) string {
	b := c.bucket(append([]string{ownedByWriter}, header...)...)
	c.ok(del(b + "?publicAccessBlock"))
	return b
}

// openWith is open with a canned list that is set once public access is allowed.
func (c *C) openWith(canned string) string {
	b := c.open()
	c.ok(put(b+"?acl", "", "X-Amz-Acl: "+canned))
	return b
}

// grants lists the grants of a list as "grantee permission", sorted.
func (a *answer) grants() []string {
	list := []string{}
	for _, g := range a.root.nodes("AccessControlList.Grant") {
		who := g.one("Grantee.URI")
		if who == "" {
			who = g.one("Grantee.ID")
		}
		list = append(list, who[strings.LastIndex(who, "/")+1:]+" "+g.one("Permission"))
	}
	slices.Sort(list)
	return list
}

func sorted(list ...string) []string {
	slices.Sort(list)
	return list
}

// cannedCases are what canned lists stand for.
func cannedCases() []Case {
	var cases []Case
	for canned, more := range map[string][]string{
		"private": nil, "public-read": {"AllUsers READ"}, "public-read-write": {"AllUsers READ", "AllUsers WRITE"},
		"authenticated-read": {"AuthenticatedUsers READ"},
	} {
		cases = append(cases, Case{Name: "bucket-" + canned, Rule: "the canned list of a bucket stands for its grants, and is taken back", Page: "API_PutBucketAcl", Needs: []string{NeedsIDs}, Run: func(c *C) {
			b := c.openWith(canned)
			a := c.ok(get(b + "?acl"))
			c.equal(c.main.ID, a.one("Owner.ID"), "Owner")
			c.equal(sorted(append(slices.Clone(more), c.main.ID+" FULL_CONTROL")...), a.grants(), "grants")
			c.ok(put(b+"?acl", "", "X-Amz-Acl: private"))
			c.equal([]string{c.main.ID + " FULL_CONTROL"}, c.ok(get(b+"?acl")).grants(), "grants of private")
		}}, Case{Name: "object-" + canned, Rule: "the canned list of an object comes with it or later, and goes with it", Page: "API_PutObjectAcl", Needs: []string{NeedsIDs}, Run: func(c *C) {
			path := c.open() + "/foo"
			want := sorted(append(slices.Clone(more), c.main.ID+" FULL_CONTROL")...)
			c.ok(put(path, "bar", "X-Amz-Acl: "+canned))
			c.equal(want, c.ok(get(path+"?acl")).grants(), "grants")
			c.ok(put(path, "bar"))
			c.equal([]string{c.main.ID + " FULL_CONTROL"}, c.ok(get(path+"?acl")).grants(), "grants of a new object")
			c.ok(put(path+"?acl", "", "X-Amz-Acl: "+canned))
			c.equal(want, c.ok(get(path+"?acl")).grants(), "grants")
		}}, Case{Name: "create-" + canned, Rule: "a bucket may be made with a canned list", Page: "API_CreateBucket", Needs: []string{NeedsIDs}, Run: func(c *C) {
			b := c.bucket(ownedByWriter, "X-Amz-Acl: "+canned)
			c.equal(sorted(append(slices.Clone(more), c.main.ID+" FULL_CONTROL")...), c.ok(get(b+"?acl")).grants(), "grants")
		}})
	}
	for canned, permission := range map[string]string{"bucket-owner-read": "READ", "bucket-owner-full-control": "FULL_CONTROL"} {
		cases = append(cases, Case{Name: "object-" + canned, Rule: "the owner of the bucket gets " + permission + " on somebody else's object", Page: "userguide/acl-overview", Needs: []string{NeedsAlt, NeedsIDs}, Run: func(c *C) {
			path := c.openWith("public-read-write") + "/foo"
			c.ok(put(path, "bar", "X-Amz-Acl: "+canned).as(c.alt))
			a := c.ok(get(path + "?acl").as(c.alt))
			c.equal(c.alt.ID, a.one("Owner.ID"), "Owner")
			c.equal(sorted(c.alt.ID+" FULL_CONTROL", c.main.ID+" "+permission), a.grants(), "grants")
		}})
	}
	return group("acl", "userguide/acl-overview", cases...)
}

// cannedAccessCases try what lists of a bucket and an object allow to another
// account and to nobody.
func cannedAccessCases() []Case {
	var cases []Case
	for _, bucket := range []string{"private", "public-read", "public-read-write"} {
		for _, object := range []string{"private", "public-read", "public-read-write"} {
			cases = append(cases, Case{
				Name: "access-" + bucket + "-" + object, Rule: "who reads, lists and writes in a " + bucket + " bucket with a " + object + " object",
				Needs: []string{NeedsAlt}, Run: func(c *C) { c.tryAccess(bucket, object) },
			})
		}
	}
	cases = append(cases, Case{Name: "access-authenticated", Rule: "authenticated-read is for every account and not for nobody", Needs: []string{NeedsAlt}, Run: func(c *C) {
		b := c.openWith("authenticated-read")
		c.ok(put(b+"/foo", "x", "X-Amz-Acl: authenticated-read"))
		c.ok(get(b).as(c.alt))
		c.ok(get(b + "/foo").as(c.alt))
		c.refused(403, "AccessDenied", get(b).anonymous())
		c.refused(403, "AccessDenied", get(b+"/foo").anonymous())
	}}, Case{Name: "access-missing", Rule: "who may list learns that an object is missing, others are denied", Run: func(c *C) {
		c.refused(404, "NoSuchKey", get(c.openWith("public-read")+"/foo").anonymous())
		c.refused(403, "AccessDenied", get(c.openWith("private")+"/foo").anonymous())
		c.refused(404, "NoSuchBucket", get(c.newName()+"/foo").anonymous())
		c.refused(404, "NoSuchBucket", get(c.newName()).anonymous())
	}}, Case{Name: "access-copy", Rule: "the list of a copy is that of the request, not of the source", Needs: []string{NeedsAlt}, Run: func(c *C) {
		b := c.open()
		c.ok(put(b+"/foo", "x", "X-Amz-Acl: public-read"))
		c.ok(put(b+"/private", "", copied(b+"/foo")...))
		c.ok(put(b+"/public", "", copied(b+"/foo", "X-Amz-Acl: public-read")...))
		c.refused(403, "AccessDenied", get(b+"/private").as(c.alt))
		c.ok(get(b + "/public").as(c.alt))
	}}, Case{Name: "access-version", Rule: "each version has a list of its own", Needs: []string{NeedsIDs}, Run: func(c *C) {
		b := c.open()
		c.setVersioning(b, "Enabled")
		one, two := c.ok(put(b+"/foo", "1")).version(), c.ok(put(b+"/foo", "2")).version()
		c.ok(put(b+"/foo?acl&versionId="+one, "", "X-Amz-Acl: public-read"))
		c.equal(2, len(c.ok(get(b+"/foo?acl&versionId="+one)).grants()), "grants of the first")
		c.equal(1, len(c.ok(get(b+"/foo?acl&versionId="+two)).grants()), "grants of the second")
		c.equal(1, len(c.ok(get(b+"/foo?acl")).grants()), "grants of the latest")
	}}, Case{Name: "access-time", Rule: "a new list changes neither bytes nor ETag nor time", Run: func(c *C) {
		path := c.open() + "/foo"
		c.ok(put(path, "x", "Content-Type: text/bla"))
		before := c.ok(head(path)).header
		c.ok(put(path+"?acl", "", "X-Amz-Acl: public-read"))
		after := c.ok(head(path)).header
		for _, name := range []string{"Etag", "Last-Modified", "Content-Type"} {
			c.equal(before.Get(name), after.Get(name), name)
		}
	}})
	return group("acl", "userguide/acl-overview", cases...)
}

// tryAccess tries everything as another account and as nobody.
func (c *C) tryAccess(bucket, object string) {
	b := c.openWith(bucket)
	c.ok(put(b+"/foo", "foocontent"))
	c.ok(put(b+"/foo?acl", "", "X-Amz-Acl: "+object))
	c.ok(put(b+"/bar", "barcontent"))
	for _, nobody := range []bool{false, true} {
		as := func(q request) request {
			if nobody {
				return q.anonymous()
			}
			return q.as(c.alt)
		}
		expect := func(allowed bool, q request) {
			if allowed {
				c.ok(as(q))
			} else {
				c.refused(403, "AccessDenied", as(q))
			}
		}
		expect(object != "private", get(b+"/foo"))
		expect(false, get(b+"/bar"))
		expect(bucket != "private", get(b))
		expect(bucket != "private", get(b+"?list-type=2"))
		expect(bucket != "private", head(b))
		expect(bucket == "public-read-write", put(b+"/new", "newcontent"))
		expect(false, get(b+"?acl"))
		expect(false, put(b+"?acl", "", "X-Amz-Acl: private"))
		expect(false, get(b+"?policy"))
		expect(false, del(b+"/foo"))
	}
}

func grant(grantee, permission string) string {
	return `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` + grantee + "</Grantee><Permission>" + permission + "</Permission></Grant>"
}

func user(id string) string { return `xsi:type="CanonicalUser"><ID>` + id + "</ID>" }

func groupOf(uri string) string { return `xsi:type="Group"><URI>` + uri + "</URI>" }

func acl(owner string, grants ...string) string {
	return "<AccessControlPolicy><Owner><ID>" + owner + "</ID></Owner><AccessControlList>" + strings.Join(grants, "") + "</AccessControlList></AccessControlPolicy>"
}

// grantCases give one permission on a bucket to another account.
func grantCases() []Case {
	var cases []Case
	for permission, may := range map[string]string{"FULL_CONTROL": "list readacp write writeacp", "READ": "list", "READ_ACP": "readacp", "WRITE": "write", "WRITE_ACP": "writeacp"} {
		cases = append(cases, Case{Name: "grant-" + strings.ToLower(permission), Rule: permission + " of a bucket allows: " + may, Needs: []string{NeedsAlt, NeedsIDs}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"?acl", acl(c.main.ID, grant(user(c.main.ID), "FULL_CONTROL"), grant(user(c.alt.ID), permission))))
			c.equal(sorted(c.main.ID+" FULL_CONTROL", c.alt.ID+" "+permission), c.ok(get(b+"?acl")).grants(), "grants")
			for what, q := range map[string]request{
				"list": head(b), "readacp": get(b + "?acl"), "write": put(b+"/foo", "x"),
			} {
				allowed := slices.Contains(strings.Fields(may), what)
				a := c.do(q.as(c.alt))
				c.check(allowed == (a.status == 200) && (allowed || a.status == 403), "%s: %s", what, a.describe())
			}
			a := c.do(put(b+"?acl", "", "X-Amz-Acl: public-read").as(c.alt))
			c.check(strings.Contains(may, "writeacp") == (a.status == 200), "writeacp: %s", a.describe())
		}}, Case{Name: "grant-object-" + strings.ToLower(permission), Rule: permission + " of an object is kept, and allows what it says", Needs: []string{NeedsAlt, NeedsIDs}, Run: func(c *C) {
			path := c.open() + "/foo"
			c.ok(put(path, "x"))
			c.ok(put(path+"?acl", acl(c.main.ID, grant(user(c.main.ID), "FULL_CONTROL"), grant(user(c.alt.ID), permission))))
			c.equal(sorted(c.main.ID+" FULL_CONTROL", c.alt.ID+" "+permission), c.ok(get(path+"?acl")).grants(), "grants")
			reads := permission == "FULL_CONTROL" || permission == "READ"
			c.equal(reads, c.do(get(path).as(c.alt)).status == 200, "may be read, which")
			c.equal(permission == "FULL_CONTROL" || permission == "READ_ACP", c.do(get(path+"?acl").as(c.alt)).status == 200, "has a list to read, which")
		}})
	}
	cases = append(cases, Case{Name: "grant-group", Rule: "a group is granted by its URI", Needs: []string{NeedsIDs}, Run: func(c *C) {
		b := c.open()
		c.ok(put(b+"?acl", acl(c.main.ID, grant(user(c.main.ID), "FULL_CONTROL"), grant(groupOf(allUsers), "READ"))))
		c.equal(sorted(c.main.ID+" FULL_CONTROL", "AllUsers READ"), c.ok(get(b+"?acl")).grants(), "grants")
		c.ok(get(b).anonymous())
	}}, Case{Name: "grant-none", Rule: "an owner whom nothing is granted still reads and writes the list", Needs: []string{NeedsIDs}, Run: func(c *C) {
		b := c.open()
		c.ok(put(b+"?acl", acl(c.main.ID)))
		c.equal([]string{}, c.ok(get(b+"?acl")).grants(), "grants")
		c.ok(put(b+"?acl", "", "X-Amz-Acl: private"))
	}})
	return group("acl", "userguide/acl-overview", cases...)
}

func grantHeaderCases() []Case {
	all := func(c *C) []string {
		var headers []string
		for _, permission := range []string{"read", "write", "read-acp", "write-acp", "full-control"} {
			headers = append(headers, "X-Amz-Grant-"+permission+`: id="`+c.alt.ID+`"`)
		}
		return headers
	}
	want := func(c *C) []string {
		id := c.alt.ID
		return sorted(id+" READ", id+" WRITE", id+" READ_ACP", id+" WRITE_ACP", id+" FULL_CONTROL")
	}
	return group("acl", "userguide/acl-overview", []Case{
		{Name: "header-bucket", Rule: "x-amz-grant- headers grant on a new bucket", Needs: []string{NeedsAlt, NeedsIDs}, Run: func(c *C) {
			b := c.bucket(append(all(c), ownedByWriter)...)
			c.equal(want(c), c.ok(get(b+"?acl").as(c.alt)).grants(), "grants")
			c.ok(put(b+"?acl", "", "X-Amz-Acl: private"))
		}},
		{Name: "header-object", Rule: "x-amz-grant- headers grant on a new object", Needs: []string{NeedsAlt, NeedsIDs}, Run: func(c *C) {
			path := c.open() + "/foo"
			c.ok(put(path, "x", all(c)...))
			c.equal(want(c), c.ok(get(path+"?acl")).grants(), "grants")
		}},
		{Name: "header-several", Rule: "one header grants to several", Needs: []string{NeedsAlt, NeedsIDs}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"?acl", "", `X-Amz-Grant-Read: id="`+c.alt.ID+`", uri="`+authenticated+`"`))
			c.equal(sorted(c.alt.ID+" READ", "AuthenticatedUsers READ"), c.ok(get(b+"?acl")).grants(), "grants")
		}},
		{Name: "header-and-canned", Rule: "a canned list and grants together are refused", Needs: []string{NeedsAlt, NeedsIDs}, Run: func(c *C) {
			a := c.do(put(c.open()+"?acl", "", "X-Amz-Acl: private", `X-Amz-Grant-Read: id="`+c.alt.ID+`"`))
			c.check(a.status == 400, "%s", a.describe())
		}},
	}...)
}

func aclRefusedCases() []Case {
	return group("acl", "API_PutBucketAcl", []Case{
		{Name: "canned-unknown", Rule: "a canned list that is none answers InvalidArgument", Run: func(c *C) {
			b := c.open()
			c.refused(400, "InvalidArgument", put(b+"?acl", "", "X-Amz-Acl: public-ready"))
			c.refused(400, "InvalidArgument", put(b+"/foo", "x", "X-Amz-Acl: public-ready"))
		}},
		{Name: "user-unknown", Rule: "a grantee whom nobody knows answers InvalidArgument", Needs: []string{NeedsIDs}, Run: func(c *C) {
			c.refused(400, "InvalidArgument", put(c.open()+"?acl", acl(c.main.ID, grant(user("_foo"), "FULL_CONTROL"))))
		}},
		{Name: "email-unknown", Rule: "a mail address that nobody has answers UnresolvableGrantByEmailAddress", Needs: []string{NeedsIDs}, Run: func(c *C) {
			mail := `xsi:type="AmazonCustomerByEmail"><EmailAddress>nobody@example.invalid</EmailAddress>`
			c.refused(400, "UnresolvableGrantByEmailAddress", put(c.open()+"?acl", acl(c.main.ID, grant(mail, "FULL_CONTROL"))))
		}},
		{Name: "permission-unknown", Rule: "a permission that is none answers MalformedACLError", Needs: []string{NeedsIDs}, Run: func(c *C) {
			a := c.do(put(c.open()+"?acl", acl(c.main.ID, grant(user(c.main.ID), "EAT"))))
			c.check(a.status == 400, "%s", a.describe())
		}},
		{Name: "malformed", Rule: "what is no list answers MalformedACLError or MalformedXML", Run: func(c *C) {
			b := c.open()
			for _, body := range []string{"x", "<AccessControlPolicy>", "<Other/>"} {
				a := c.do(put(b+"?acl", body))
				c.check(a.status == 400 && strings.HasPrefix(a.code, "Malformed"), "%s", a.describe())
			}
		}},
		{Name: "missing", Rule: "an object that is not there has no list", Run: func(c *C) {
			b := c.open()
			c.refused(404, "NoSuchKey", get(b+"/foo?acl"))
			c.refused(404, "NoSuchKey", put(b+"/foo?acl", "", "X-Amz-Acl: private"))
			c.refused(404, "NoSuchBucket", get(c.newName()+"?acl"))
		}},
		{Name: "concurrent", Rule: "many who set the same list at once all succeed", Run: func(c *C) {
			c.together(20, put(c.open()+"?acl", "", "X-Amz-Acl: public-read"))
		}},
		{Name: "recreate", Rule: "making one's bucket again with another list does not change the list in silence", Run: func(c *C) {
			b := c.openWith("public-read")
			before := c.ok(get(b + "?acl")).grants()
			if a := c.do(put(b, c.location())); a.status == 200 {
				return // S3 says that it resets the list in us-east-1
			}
			c.equal(before, c.ok(get(b+"?acl")).grants(), "grants")
		}},
	}...)
}

func ownershipCases() []Case {
	rule := func(o string) string {
		return "<OwnershipControls><Rule><ObjectOwnership>" + o + "</ObjectOwnership></Rule></OwnershipControls>"
	}
	return group("ownership", "API_PutBucketOwnershipControls", []Case{
		{Name: "set", Rule: "ownership is set, read and deleted", Run: func(c *C) {
			b := c.bucket()
			for _, o := range []string{"BucketOwnerEnforced", "ObjectWriter", "BucketOwnerPreferred"} {
				c.ok(put(b+"?ownershipControls", rule(o)))
				c.equal([]string{o}, c.ok(get(b+"?ownershipControls")).all("Rule.ObjectOwnership"), "ownership")
			}
			c.status(204, del(b+"?ownershipControls"))
			c.refused(404, "OwnershipControlsNotFoundError", get(b+"?ownershipControls"))
			c.status(204, del(b+"?ownershipControls"))
		}},
		{Name: "create", Rule: "a bucket may be made with its ownership", Page: "API_CreateBucket", Run: func(c *C) {
			for _, header := range []string{ownedByWriter, preferred, enforced} {
				b := c.bucket(header)
				c.equal(strings.TrimPrefix(header, "X-Amz-Object-Ownership: "), c.ok(get(b+"?ownershipControls")).one("Rule.ObjectOwnership"), "ownership")
			}
			c.check(c.do(put(c.newName(), c.location(), "X-Amz-Object-Ownership: Nobody")).status == 400, "Nobody was taken")
		}},
		{Name: "malformed", Rule: "an ownership that is none, or two, answers MalformedXML", Run: func(c *C) {
			b := c.bucket()
			c.refused(400, "MalformedXML", put(b+"?ownershipControls", rule("Nobody")))
			c.refused(400, "MalformedXML", put(b+"?ownershipControls", "<OwnershipControls></OwnershipControls>"))
		}},
		{Name: "enforced-acl", Rule: "where the owner owns all, lists are not supported", Page: "userguide/about-object-ownership", Run: func(c *C) {
			b := c.bucket(enforced)
			c.ok(put(b+"/foo", "x", "X-Amz-Acl: bucket-owner-full-control"))
			c.refused(400, "AccessControlListNotSupported", put(b+"/foo", "x", "X-Amz-Acl: public-read"))
			c.refused(400, "AccessControlListNotSupported", put(b+"/foo", "x", "X-Amz-Acl: private"))
			c.refused(400, "AccessControlListNotSupported", put(b+"?acl", "", "X-Amz-Acl: private"))
			c.refused(400, "AccessControlListNotSupported", put(b+"/foo?acl", "", "X-Amz-Acl: public-read"))
			c.refused(400, "AccessControlListNotSupported", post(b+"/big?uploads", "", "X-Amz-Acl: public-read"))
			c.equal(1, len(c.ok(get(b+"/foo?acl")).grants()), "grants")
		}},
		{Name: "enforced-public", Rule: "a bucket whose list grants to others cannot become enforced", Run: func(c *C) {
			b := c.openWith("public-read")
			c.refused(400, "InvalidBucketAclWithObjectOwnership", put(b+"?ownershipControls", rule("BucketOwnerEnforced")))
			c.ok(put(b+"?acl", "", "X-Amz-Acl: private"))
			c.ok(put(b+"?ownershipControls", rule("BucketOwnerEnforced")))
		}},
	}...)
}

// ownerOfObjectCases say who owns what another account writes.
func ownerOfObjectCases() []Case {
	var cases []Case
	for ownership, fullControl := range map[string]string{"BucketOwnerEnforced": "main", "BucketOwnerPreferred": "main", "ObjectWriter": "alt"} {
		cases = append(cases, Case{Name: "of-" + ownership, Rule: "under " + ownership + " what others write with bucket-owner-full-control is " + fullControl + "'s", Page: "userguide/about-object-ownership", Needs: []string{NeedsAlt, NeedsIDs}, Run: func(c *C) {
			b := c.bucket("X-Amz-Object-Ownership: " + ownership)
			c.ok(del(b + "?publicAccessBlock"))
			c.ok(put(b+"?policy", allowAll(b)))
			owner := map[string]string{"main": c.main.ID, "alt": c.alt.ID}
			plain := "alt"
			if ownership == "BucketOwnerEnforced" {
				plain = "main"
			}
			c.ok(put(b+"/plain", "x").as(c.alt))
			c.equal(owner[plain], c.ok(get(b+"/plain?acl").as(c.alt)).one("Owner.ID"), "owner of a plain write")
			c.ok(put(b+"/full", "x", "X-Amz-Acl: bucket-owner-full-control").as(c.alt))
			c.equal(owner[fullControl], c.ok(get(b+"/full?acl").as(c.alt)).one("Owner.ID"), "owner with full control")
			c.ok(put(b+"/copy", "", copied(b+"/plain", "X-Amz-Acl: bucket-owner-full-control")...).as(c.alt))
			c.equal(owner[fullControl], c.ok(get(b+"/copy?acl").as(c.alt)).one("Owner.ID"), "owner of a copy")
			id := strict(c.ok(post(b+"/big?uploads", "", "X-Amz-Acl: bucket-owner-full-control").as(c.alt)).one("UploadId"))
			c.equal(owner[fullControl], c.ok(get(b+"/big?uploadId="+id).as(c.alt)).one("Owner.ID"), "owner of an upload")
		}})
	}
	return group("ownership", "", cases...)
}

func block(acls, ignore, policy, restrict bool) string {
	return fmt.Sprintf("<PublicAccessBlockConfiguration><BlockPublicAcls>%v</BlockPublicAcls><IgnorePublicAcls>%v</IgnorePublicAcls><BlockPublicPolicy>%v</BlockPublicPolicy><RestrictPublicBuckets>%v</RestrictPublicBuckets></PublicAccessBlockConfiguration>", acls, ignore, policy, restrict)
}

func blockCases() []Case {
	return group("public-access", "API_PutPublicAccessBlock", []Case{
		{Name: "set", Rule: "the block is set, read and deleted", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"?publicAccessBlock", block(true, false, true, false)))
			a := c.ok(get(b + "?publicAccessBlock"))
			c.equal([]string{"true", "false", "true", "false"}, []string{a.one("BlockPublicAcls"), a.one("IgnorePublicAcls"), a.one("BlockPublicPolicy"), a.one("RestrictPublicBuckets")}, "block")
			c.status(204, del(b+"?publicAccessBlock"))
			c.refused(404, "NoSuchPublicAccessBlockConfiguration", get(b+"?publicAccessBlock"))
			c.status(204, del(b+"?publicAccessBlock"))
		}},
		{Name: "acls", Rule: "BlockPublicAcls refuses public lists", Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"?publicAccessBlock", block(true, false, false, false)))
			for _, canned := range []string{"public-read", "public-read-write", "authenticated-read"} {
				c.refused(403, "AccessDenied", put(b+"?acl", "", "X-Amz-Acl: "+canned))
				c.refused(403, "AccessDenied", put(b+"/foo", "", "X-Amz-Acl: "+canned))
			}
			c.ok(put(b+"/foo", "", "X-Amz-Acl: private"))
		}},
		{Name: "ignore", Rule: "IgnorePublicAcls takes public lists and ignores them", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.openWith("public-read")
			c.ok(put(b+"/foo", "x", "X-Amz-Acl: public-read"))
			c.ok(get(b + "/foo").as(c.alt))
			c.ok(put(b+"?publicAccessBlock", block(false, true, false, false)))
			c.ok(put(b+"?acl", "", "X-Amz-Acl: public-read"))
			c.refused(403, "AccessDenied", get(b).as(c.alt))
			c.refused(403, "AccessDenied", get(b+"/foo").as(c.alt))
			c.ok(get(b + "/foo"))
		}},
		{Name: "policy", Rule: "BlockPublicPolicy refuses public policies, and only those", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"?publicAccessBlock", block(false, false, true, false)))
			c.refused(403, "AccessDenied", put(b+"?policy", allowAll(b)))
			c.ok(put(b+"?policy", policyOf(statement("Allow", principalOf(c.alt), "s3:GetObject", b+"/*"))))
		}},
		{Name: "restrict", Rule: "RestrictPublicBuckets leaves a public bucket to its account", Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/foo", "bar"))
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:GetObject", b+"/*"))))
			c.equal("bar", c.ok(get(b+"/foo").anonymous()).body, "body")
			c.ok(put(b+"?publicAccessBlock", block(false, false, false, true)))
			c.refused(403, "AccessDenied", get(b+"/foo").anonymous())
			c.ok(get(b + "/foo"))
		}},
		{Name: "malformed", Rule: "what is no block answers MalformedXML", Run: func(c *C) {
			c.refused(400, "MalformedXML", put(c.bucket()+"?publicAccessBlock", "<x"))
		}},
	}...)
}
