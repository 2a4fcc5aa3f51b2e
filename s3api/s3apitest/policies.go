package s3apitest

import (
	"fmt"
	"slices"
	"strings"
)

func policyCases() []Case {
	return slices.Concat(policyDocumentCases(), policyRefusedCases(), policyAccessCases(), policyActionCases(), policyConditionCases(), policyTagCases(), policyStatusCases())
}

// principalOf names a user in a policy.
func principalOf(who *Identity) string {
	return `{"AWS":"arn:aws:iam::` + who.Account + `:user/` + who.User + `"}`
}

// statement is one of a policy; the resource is a path, /bucket or /bucket/key.
func statement(effect, principal, action, resource string, condition ...string) string {
	more := ""
	if len(condition) > 0 {
		more = `,"Condition":` + condition[0]
	}
	return fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%q,"Resource":"arn:aws:s3:::%s"%s}`, effect, principal, action, resource[1:], more)
}

func policyOf(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// allowAll allows everything to everybody.
func allowAll(b string) string {
	return policyOf(statement("Allow", `"*"`, "s3:*", b), statement("Allow", `"*"`, "s3:*", b+"/*"))
}

func policyDocumentCases() []Case {
	return group("policy", "API_PutBucketPolicy", []Case{
		{Name: "set", Rule: "a policy is set, given back byte by byte, and deleted", Run: func(c *C) {
			b := c.open()
			c.refused(404, "NoSuchBucketPolicy", get(b+"?policy"))
			document := policyOf(statement("Allow", `{"AWS":"*"}`, "s3:ListBucket", b)) + "\n"
			a := c.ok(put(b+"?policy", document))
			c.check(a.status == 204 || a.status == 200, "%s", a.describe())
			c.equal(document, c.ok(get(b+"?policy")).body, "policy")
			c.status(204, del(b+"?policy"))
			c.refused(404, "NoSuchBucketPolicy", get(b+"?policy"))
			c.status(204, del(b+"?policy"))
		}},
		{Name: "list", Rule: "ListBucket for everybody lets others list, by both versions", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/asdf", "x"))
			c.refused(403, "AccessDenied", get(b).as(c.alt))
			c.ok(put(b+"?policy", policyOf(statement("Allow", `{"AWS":"*"}`, "s3:ListBucket", b))))
			for _, q := range []request{get(b).as(c.alt), get(b + "?list-type=2").as(c.alt), get(b).anonymous()} {
				c.equal([]string{"asdf"}, c.ok(q).all("Contents.Key"), "keys")
			}
			c.refused(403, "AccessDenied", get(b+"/asdf").as(c.alt))
		}},
		{Name: "wildcards", Rule: "resources of all buckets are good in any bucket's policy", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			document := policyOf(statement("Allow", `{"AWS":"*"}`, "s3:ListBucket", "/*"))
			c.ok(put(b+"?policy", document))
			c.ok(get(b).as(c.alt))
		}},
		{Name: "only-owner", Rule: "who may not set policies is denied", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.refused(403, "AccessDenied", put(b+"?policy", allowAll(b)).as(c.alt))
			c.refused(403, "AccessDenied", get(b+"?policy").as(c.alt))
			c.refused(403, "AccessDenied", del(b+"?policy").as(c.alt))
			c.refused(403, "AccessDenied", put(b+"?policy", allowAll(b)).anonymous())
		}},
		{Name: "actions-forms", Rule: "actions are one, a list, or a pattern", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/foo", "x"))
			for _, action := range []string{`"s3:GetObject"`, `["s3:PutObject","s3:GetObject"]`, `"s3:Get*"`, `"s3:*"`, `"*"`, `"s3:GetObjec?"`, `"S3:getobject"`} {
				c.ok(put(b+"?policy", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":`+action+`,"Resource":"arn:aws:s3:::`+b[1:]+`/*"}}`))
				c.check(c.do(get(b+"/foo").as(c.alt)).status == 200, "%s does not allow s3:GetObject", action)
			}
		}},
	}...)
}

func policyRefusedCases() []Case {
	var cases []Case
	for what, statement := range map[string]string{
		"no-json": `x`, "no-statement": `{"Version":"2012-10-17"}`, "no-effect": `[{"Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::B/*"}]`,
		"effect":        `[{"Effect":"Perhaps","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::B/*"}]`,
		"no-principal":  `[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::B/*"}]`,
		"no-action":     `[{"Effect":"Allow","Principal":"*","Resource":"arn:aws:s3:::B/*"}]`,
		"no-resource":   `[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}]`,
		"other-bucket":  `[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::another-bucket-than-this/*"}]`,
		"action":        `[{"Effect":"Allow","Principal":"*","Action":"s3:EatObject","Resource":"arn:aws:s3:::B/*"}]`,
		"resource":      `[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"B/*"}]`,
		"not-principal": `[{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::B/*"}]`,
		"condition":     `[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::B/*","Condition":{"StringResembles":{"s3:prefix":"x"}}}]`,
	} {
		cases = append(cases, Case{Name: "refuses-" + what, Rule: "such a policy answers MalformedPolicy", Run: func(c *C) {
			b := c.open()
			document := `{"Version":"2012-10-17","Statement":` + strings.ReplaceAll(statement, "arn:aws:s3:::B", "arn:aws:s3:::"+b[1:]) + `}`
			if statement[0] != '[' {
				document = statement
			}
			a := c.do(put(b+"?policy", document))
			c.check(a.status == 400 && (a.code == "MalformedPolicy" || a.code == "InvalidArgument"), "%s", a.describe())
			c.refused(404, "NoSuchBucketPolicy", get(b+"?policy"))
		}})
	}
	return group("policy", "API_PutBucketPolicy", cases...)
}

func policyAccessCases() []Case {
	return group("policy", "userguide/access-policy-language-overview", []Case{
		{Name: "deny-wins", Rule: "a denial wins over a list and over what is allowed", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.openWith("authenticated-read")
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:ListBucket", b), statement("Deny", `{"AWS":"*"}`, "s3:ListBucket", b))))
			c.refused(403, "AccessDenied", get(b).as(c.alt))
			c.ok(del(b + "?policy"))
			c.ok(get(b).as(c.alt))
		}},
		{Name: "deny-owner", Rule: "a denial is for the owner too", Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/foo", "x"))
			c.ok(put(b+"?policy", policyOf(statement("Deny", `"*"`, "s3:GetObject", b+"/*"))))
			c.refused(403, "AccessDenied", get(b+"/foo"))
			c.ok(del(b + "?policy"))
			c.ok(get(b + "/foo"))
		}},
		{Name: "principal-user", Rule: "a policy for one user is for no other", Needs: []string{NeedsAlt, NeedsTenant}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/foo", "x"))
			for _, principal := range []string{principalOf(c.alt), `{"AWS":"arn:aws:iam::` + c.alt.Account + `:root"}`, `{"AWS":["` + c.alt.Account + `"]}`, `{"CanonicalUser":"` + c.alt.ID + `"}`} {
				c.ok(put(b+"?policy", policyOf(statement("Allow", principal, "s3:GetObject", b+"/*"))))
				c.ok(get(b + "/foo").as(c.alt))
				c.refused(403, "AccessDenied", get(b+"/foo").as(c.tenant))
				c.refused(403, "AccessDenied", get(b+"/foo").anonymous())
			}
		}},
		{Name: "resource", Rule: "a policy for some keys is for no others, and the bucket is no key", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/public/foo", "x"))
			c.ok(put(b+"/private/foo", "x"))
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:GetObject", b+"/public/*"))))
			c.ok(get(b + "/public/foo").as(c.alt))
			c.refused(403, "AccessDenied", get(b+"/private/foo").as(c.alt))
			c.refused(403, "AccessDenied", get(b).as(c.alt))
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:PutObject", b+"/mpobj"))))
			c.refused(403, "AccessDenied", post(b+"/other?uploads", "").as(c.alt))
			c.ok(post(b+"/mpobj?uploads", "").as(c.alt))
		}},
	}...)
}

func policyActionCases() []Case {
	return group("policy", "userguide/access-policy-language-overview", []Case{
		{Name: "tagging", Rule: "tagging has actions of its own", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/foo", "x"))
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:GetObjectTagging", b+"/*"), statement("Allow", `"*"`, "s3:PutObjectTagging", b+"/*"))))
			c.ok(put(b+"/foo?tagging", tagging("a", "b")).as(c.alt))
			c.ok(get(b + "/foo?tagging").as(c.alt))
			c.refused(403, "AccessDenied", del(b+"/foo?tagging").as(c.alt))
			c.refused(403, "AccessDenied", get(b+"/foo").as(c.alt))
		}},
		{Name: "copy-source", Rule: "a copy reads its source by the source's policy", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b, theirs := c.open(), c.bucketOf(c.alt)
			c.ok(put(b+"/public/foo", "public/foo"))
			c.ok(put(b+"/private/foo", "x"))
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:GetObject", b+"/public/*"))))
			c.ok(put(theirs+"/a", "", copied(b+"/public/foo")...).as(c.alt))
			c.refused(403, "AccessDenied", put(theirs+"/b", "", copied(b+"/private/foo")...).as(c.alt))
			id := strict(c.ok(post(theirs+"/c?uploads", "").as(c.alt)).one("UploadId"))
			tag := c.ok(put(theirs+"/c?partNumber=1&uploadId="+id, "", copied(b+"/public/foo")...).as(c.alt)).one("ETag")
			c.refused(403, "AccessDenied", put(theirs+"/c?partNumber=2&uploadId="+id, "", copied(b+"/private/foo")...).as(c.alt))
			c.ok(c.complete(theirs+"/c", id, tag).as(c.alt))
			c.equal("public/foo", c.ok(get(theirs+"/c").as(c.alt)).body, "body")
		}},
		{Name: "delete-many", Rule: "DeleteObjects is decided key by key", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/a", "x"))
			c.ok(put(b+"/b", "x"))
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:DeleteObject", b+"/a"))))
			body := "<Delete>" + objects("a", "b") + "</Delete>"
			a := c.ok(post(b+"?delete", body, "Content-MD5: "+md5Of(body)).as(c.alt))
			c.equal([]string{"a"}, a.all("Deleted.Key"), "deleted")
			c.equal([]string{"b", "AccessDenied"}, []string{a.one("Error.Key"), a.one("Error.Code")}, "error")
		}},
	}...)
}

// policyConditionCases try one condition that holds and one request where it does not.
func policyConditionCases() []Case {
	type pair struct {
		action, condition string
		good, bad         func(b string) request
	}
	var cases []Case
	for what, p := range map[string]pair{
		"prefix":       {"s3:ListBucket", `{"StringLike":{"s3:prefix":"public/*"}}`, func(b string) request { return get(b + "?prefix=public%2Fa") }, func(b string) request { return get(b + "?prefix=private") }},
		"max-keys":     {"s3:ListBucket", `{"NumericLessThanEquals":{"s3:max-keys":"10"}}`, func(b string) request { return get(b + "?max-keys=10") }, func(b string) request { return get(b + "?max-keys=11") }},
		"delimiter":    {"s3:ListBucket", `{"StringEquals":{"s3:delimiter":"/"}}`, func(b string) request { return get(b + "?delimiter=%2F") }, func(b string) request { return get(b) }},
		"referer":      {"s3:GetObject", `{"StringLike":{"aws:Referer":"http://www.example.com/*"}}`, func(b string) request { return get(b+"/foo", "Referer: http://www.example.com/x") }, func(b string) request { return get(b+"/foo", "Referer: http://example.com") }},
		"referer-gone": {"s3:GetObject", `{"StringLikeIfExists":{"aws:Referer":"http://www.example.com/*"}}`, func(b string) request { return get(b + "/foo") }, func(b string) request { return get(b+"/foo", "Referer: http://example.com") }},
		"agent":        {"s3:GetObject", `{"StringEquals":{"aws:UserAgent":"kit"}}`, func(b string) request { return get(b+"/foo", "User-Agent: kit") }, func(b string) request { return get(b+"/foo", "User-Agent: other") }},
		"acl":          {"s3:PutObject", `{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}}`, func(b string) request { return put(b+"/new", "x", "X-Amz-Acl: bucket-owner-full-control") }, func(b string) request { return put(b+"/new", "x") }},
		"class":        {"s3:PutObject", `{"StringEquals":{"s3:x-amz-storage-class":"STANDARD"}}`, func(b string) request { return put(b+"/new", "x", "X-Amz-Storage-Class: STANDARD") }, func(b string) request { return put(b+"/new", "x", "X-Amz-Storage-Class: REDUCED_REDUNDANCY") }},
		"copy-source":  {"s3:PutObject", `{"StringLike":{"s3:x-amz-copy-source":"BUCKET/fo*"}}`, func(b string) request { return put(b+"/new", "", copied(b+"/foo")...) }, func(b string) request { return put(b+"/new", "", copied(b+"/bar")...) }},
		"directive": {"s3:PutObject", `{"StringEquals":{"s3:x-amz-metadata-directive":"COPY"}}`, func(b string) request {
			return put(b+"/new", "", copied(b+"/foo", "X-Amz-Metadata-Directive: COPY")...)
		}, func(b string) request { return put(b+"/new", "", copied(b+"/foo")...) }},
		"request-tag": {"s3:PutObject", `{"StringEquals":{"s3:RequestObjectTag/security":"public"}}`, func(b string) request { return put(b+"/new", "x", "X-Amz-Tagging: security=public") }, func(b string) request { return put(b+"/new", "x") }},
		"null":        {"s3:PutObject", `{"Null":{"s3:x-amz-storage-class":"false"}}`, func(b string) request { return put(b+"/new", "x", "X-Amz-Storage-Class: STANDARD") }, func(b string) request { return put(b+"/new", "x") }},
		"address":     {"s3:GetObject", `{"NotIpAddress":{"aws:SourceIp":"10.9.8.7/32"}}`, func(b string) request { return get(b + "/foo") }, nil},
		"time":        {"s3:GetObject", `{"DateGreaterThan":{"aws:CurrentTime":"2001-01-01T00:00:00Z"}}`, func(b string) request { return get(b + "/foo") }, nil},
		"version":     {"s3:GetObjectVersion", `{"StringEquals":{"s3:VersionId":"null"}}`, func(b string) request { return get(b + "/foo?versionId=null") }, nil},
	} {
		cases = append(cases, Case{Name: "condition-" + what, Rule: "the condition " + p.condition + " decides", Page: "userguide/amazon-s3-policy-keys", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"/foo", "x"))
			c.ok(put(b+"/bar", "x"))
			resource := b + "/*"
			if p.action == "s3:ListBucket" {
				resource = b
			}
			allowed := []string{statement("Allow", `"*"`, p.action, resource, strings.ReplaceAll(p.condition, "BUCKET", b[1:]))}
			if p.action == "s3:PutObject" {
				allowed = append(allowed, statement("Allow", `"*"`, "s3:GetObject", resource), statement("Allow", `"*"`, "s3:PutObjectAcl", resource), statement("Allow", `"*"`, "s3:PutObjectTagging", resource))
			}
			c.ok(put(b+"?policy", policyOf(allowed...)))
			c.ok(p.good(b).as(c.alt))
			if p.bad != nil {
				c.refused(403, "AccessDenied", p.bad(b).as(c.alt))
			}
		}})
	}
	cases = append(cases, Case{Name: "condition-missing-object", Rule: "who may list a prefix learns what is missing below it, and nothing else", Needs: []string{NeedsAlt}, Run: func(c *C) {
		b := c.open()
		c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:ListBucket", b, `{"StringLike":{"s3:prefix":"public/*"}}`), statement("Allow", `"*"`, "s3:GetObject", b+"/*"))))
		c.status(404, head(b+"/public/object").as(c.alt))
		c.status(403, head(b+"/private/object").as(c.alt))
	}})
	return group("policy", "userguide/amazon-s3-policy-keys", cases...)
}

// policyTagCases decide by the tags that an object has.
func policyTagCases() []Case {
	var cases []Case
	for action, q := range map[string]func(path string) request{
		"GetObject":        func(path string) request { return get(path) },
		"GetObjectTagging": func(path string) request { return get(path + "?tagging") },
		"PutObjectTagging": func(path string) request { return put(path+"?tagging", tagging("security", "public")) },
		"GetObjectAcl":     func(path string) request { return get(path + "?acl") },
	} {
		cases = append(cases, Case{Name: "existing-tag-" + action, Rule: "s3:ExistingObjectTag decides about " + action, Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			for _, tag := range []string{"security=public&foo=bar", "security=private", "security1=public"} {
				c.ok(put(b+"/"+tag, "x", "X-Amz-Tagging: "+tag))
			}
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:"+action, b+"/*", `{"StringEquals":{"s3:ExistingObjectTag/security":"public"}}`))))
			c.ok(q(b + "/security=public&foo=bar").as(c.alt))
			c.refused(403, "AccessDenied", q(b+"/security=private").as(c.alt))
			c.refused(403, "AccessDenied", q(b+"/security1=public").as(c.alt))
		}})
	}
	return group("policy", "userguide/tagging-and-policies", cases...)
}

func policyStatusCases() []Case {
	status := func(c *C, b string) string { return c.ok(get(b + "?policyStatus")).one("IsPublic") }
	return group("policy", "API_GetBucketPolicyStatus", []Case{
		{Name: "status-public", Rule: "a policy for everybody is public", Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"?policy", policyOf(statement("Allow", `{"AWS":"*"}`, "s3:ListBucket", b))))
			c.equal("true", strings.ToLower(status(c, b)), "IsPublic")
		}},
		{Name: "status-account", Rule: "a policy for an account is not", Needs: []string{NeedsAlt}, Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"?policy", policyOf(statement("Allow", principalOf(c.alt), "s3:ListBucket", b))))
			c.equal("false", strings.ToLower(status(c, b)), "IsPublic")
		}},
		{Name: "status-address", Rule: "a policy for some addresses is not", Run: func(c *C) {
			b := c.open()
			c.ok(put(b+"?policy", policyOf(statement("Allow", `"*"`, "s3:ListBucket", b, `{"IpAddress":{"aws:SourceIp":"10.0.0.0/32"}}`))))
			c.equal("false", strings.ToLower(status(c, b)), "IsPublic")
		}},
	}...)
}
