package s3apitest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func versionCases() []Case {
	return slices.Concat(versioningCases(), versionReadCases(), markerCases(), nullCases(), lockBucketCases(), retentionCases(), retentionRefusedCases(), holdCases())
}

func versioningCases() []Case {
	status := func(s string) string {
		return "<VersioningConfiguration><Status>" + s + "</Status></VersioningConfiguration>"
	}
	return group("versioning", "API_PutBucketVersioning", []Case{
		{Name: "status", Rule: "a new bucket has no status; then it is what was set", Run: func(c *C) {
			b := c.bucket()
			a := c.ok(get(b + "?versioning"))
			c.equal(0, len(a.root.nodes("Status")), "Status elements")
			for _, s := range []string{"Suspended", "Enabled", "Enabled", "Suspended"} {
				c.setVersioning(b, s)
				c.equal(s, c.ok(get(b+"?versioning")).one("Status"), "Status")
			}
		}},
		{Name: "status-bad", Rule: "a status that is none answers MalformedXML", Run: func(c *C) {
			b := c.bucket()
			c.refused(400, "MalformedXML", put(b+"?versioning", status("enabled")))
			c.refused(400, "MalformedXML", put(b+"?versioning", "<x"))
			c.refused(400, "MalformedXML", put(b+"?versioning", ""))
		}},
		{Name: "mfa-disabled", Rule: "MfaDelete may be said to be disabled", Run: func(c *C) {
			c.ok(put(c.bucket()+"?versioning", "<VersioningConfiguration><MfaDelete>Disabled</MfaDelete><Status>Enabled</Status></VersioningConfiguration>"))
		}},
		{Name: "ids", Rule: "each write has an id of its own; plain and suspended buckets give none for writes", Run: func(c *C) {
			b := c.versioned()
			one, two := c.ok(put(b+"/foo", "1")).version(), c.ok(put(b+"/foo", "2")).version()
			c.check(one != "" && two != "" && one != two && one != "null", "ids %q and %q", one, two)
			c.equal("", c.ok(put(c.bucket()+"/foo", "1")).version(), "id in a plain bucket")
		}},
		{Name: "missing-bucket", Rule: "a bucket that is not there answers NoSuchBucket", Run: func(c *C) {
			c.refused(404, "NoSuchBucket", get(c.newName()+"?versioning"))
			c.refused(404, "NoSuchBucket", put(c.newName()+"?versioning", status("Enabled")))
		}},
		{Name: "delete-not-empty", Rule: "a bucket with versions or markers is not empty", Page: "API_DeleteBucket", Run: func(c *C) {
			b := c.versioned()
			v := c.ok(put(b+"/foo", "x")).version()
			m := c.ok(del(b + "/foo")).version()
			c.refused(409, "BucketNotEmpty", del(b))
			c.ok(del(b + "/foo?versionId=" + v))
			c.refused(409, "BucketNotEmpty", del(b))
			c.ok(del(b + "/foo?versionId=" + m))
			c.status(204, del(b))
		}},
	}...)
}

func versionReadCases() []Case {
	return group("versioning", "API_GetObject", []Case{
		{Name: "read", Rule: "every version is read by its id, the latest without", Run: func(c *C) {
			path := c.versioned() + "/foo"
			var ids []string
			for i := range 4 {
				ids = append(ids, c.ok(put(path, fmt.Sprint("content-", i))).version())
			}
			for i, id := range ids {
				a := c.ok(get(path + "?versionId=" + id))
				c.equal([]string{fmt.Sprint("content-", i), id}, []string{a.body, a.version()}, "version")
				c.equal(id, c.ok(head(path+"?versionId="+id)).version(), "version of HEAD")
			}
			c.equal("content-3", c.content(path), "latest")
		}},
		{Name: "remove", Rule: "a version that is deleted by its id is gone; the one before becomes the latest", Page: "API_DeleteObject", Run: func(c *C) {
			path := c.versioned() + "/foo"
			one, two := c.ok(put(path, "1")).version(), c.ok(put(path, "2")).version()
			a := c.status(204, del(path+"?versionId="+two))
			c.equal([]string{two, ""}, []string{a.version(), a.header.Get("X-Amz-Delete-Marker")}, "headers")
			c.equal("1", c.content(path), "latest")
			c.refused(404, "NoSuchVersion", get(path+"?versionId="+two))
			c.status(204, del(path+"?versionId="+one))
			c.refused(404, "NoSuchKey", get(path))
		}},
		{Name: "marker", Rule: "a deletion without an id hides the object behind a marker", Page: "userguide/DeleteMarker", Run: func(c *C) {
			path := c.versioned() + "/foo"
			id := c.ok(put(path, "1")).version()
			d := c.status(204, del(path))
			c.check(d.version() != "" && d.header.Get("X-Amz-Delete-Marker") == "true", "headers %v", d.header)
			a := c.refused(404, "NoSuchKey", get(path))
			c.equal([]string{"true", d.version()}, []string{a.header.Get("X-Amz-Delete-Marker"), a.version()}, "headers of GET")
			c.equal("true", c.status(404, head(path)).header.Get("X-Amz-Delete-Marker"), "header of HEAD")
			c.equal("1", c.ok(get(path+"?versionId="+id)).body, "version")
		}},
		{Name: "marker-read", Rule: "a marker is read by nobody: MethodNotAllowed", Page: "userguide/DeleteMarker", Run: func(c *C) {
			path := c.versioned() + "/foo"
			id := c.ok(del(path)).version()
			a := c.refused(405, "MethodNotAllowed", get(path+"?versionId="+id))
			c.equal([]string{"true", id, "DELETE"}, []string{a.header.Get("X-Amz-Delete-Marker"), a.version(), a.header.Get("Allow")}, "headers")
			c.status(405, head(path+"?versionId="+id))
		}},
	}...)
}

func markerCases() []Case {
	return group("versioning", "userguide/DeleteMarker", []Case{
		{Name: "marker-removed", Rule: "without the marker the object is there again", Page: "userguide/RemDelMarker", Run: func(c *C) {
			path := c.versioned() + "/foo"
			c.ok(put(path, "1"))
			id := c.ok(del(path)).version()
			a := c.status(204, del(path+"?versionId="+id))
			c.equal([]string{"true", id}, []string{a.header.Get("X-Amz-Delete-Marker"), a.version()}, "headers")
			c.equal("1", c.content(path), "body")
		}},
		{Name: "marker-stack", Rule: "each deletion makes a marker", Run: func(c *C) {
			b := c.versioned()
			c.ok(put(b+"/foo", "x"))
			for range 3 {
				c.ok(del(b + "/foo"))
			}
			a := c.ok(get(b + "?versions"))
			c.equal([]int{1, 3}, []int{len(a.root.nodes("Version")), len(a.root.nodes("DeleteMarker"))}, "versions and markers")
		}},
		{Name: "marker-on-nothing", Rule: "a key that never was gets a marker too", Run: func(c *C) {
			b := c.versioned()
			c.equal("true", c.ok(del(b+"/foo")).header.Get("X-Amz-Delete-Marker"), "header")
			c.equal(1, len(c.ok(get(b+"?versions")).root.nodes("DeleteMarker")), "markers")
		}},
		{Name: "id-unknown", Rule: "an id that no version has answers NoSuchVersion, an empty one InvalidArgument", Run: func(c *C) {
			path := c.versioned() + "/foo"
			c.ok(put(path, "x"))
			other := c.ok(put(path+"2", "x")).version()
			c.refused(404, "NoSuchVersion", get(path+"?versionId="+other))
			a := c.do(get(path + "?versionId=!!"))
			c.check(a.code == "InvalidArgument" || a.code == "NoSuchVersion", "%s", a.describe())
			c.refused(400, "InvalidArgument", get(path+"?versionId="))
			c.status(204, del(path+"?versionId="+other))
		}},
		{Name: "special-keys", Rule: "special keys have versions like others", Run: func(c *C) {
			b := c.versioned()
			for _, key := range []string{"_testobj", "_", ":", " "} {
				one, two := c.ok(put(b+"/"+escape(key), "1")).version(), c.ok(put(b+"/"+escape(key), "2")).version()
				c.equal("1", c.ok(get(b+"/"+escape(key)+"?versionId="+one)).body, "body")
				c.ok(del(b + "/" + escape(key) + "?versionId=" + one))
				c.ok(del(b + "/" + escape(key) + "?versionId=" + two))
			}
			c.equal(0, len(c.ok(get(b+"?versions")).root.nodes("Version")), "versions left")
		}},
	}...)
}

func nullCases() []Case {
	return group("versioning", "userguide/AddingObjectstoVersionSuspendedBuckets", []Case{
		{Name: "null-removed", Rule: "what was there before versioning is the version null", Run: func(c *C) {
			b := c.filled("foo")
			c.setVersioning(b, "Enabled")
			c.equal("null", c.ok(get(b+"/foo")).version(), "version")
			c.ok(del(b + "/foo?versionId=null"))
			c.refused(404, "NoSuchKey", get(b+"/foo"))
			c.equal(0, len(c.ok(get(b+"?versions")).root.nodes("Version")), "versions")
		}},
		{Name: "null-below", Rule: "the version null stays below what is written later", Run: func(c *C) {
			b := c.filled("foo")
			c.setVersioning(b, "Enabled")
			id := c.ok(put(b+"/foo", "new")).version()
			c.equal("foo", c.ok(get(b+"/foo?versionId=null")).body, "null version")
			c.ok(del(b + "/foo?versionId=" + id))
			c.equal("foo", c.content(b+"/foo"), "latest")
		}},
		{Name: "suspended-replaces", Rule: "writes into a suspended bucket replace the version null", Run: func(c *C) {
			b := c.filled("foo")
			c.setVersioning(b, "Enabled")
			c.setVersioning(b, "Suspended")
			for _, body := range []string{"1", "2"} {
				v := c.ok(put(b+"/foo", body)).version()
				c.check(v == "" || v == "null", "version %q", v)
			}
			c.equal([]string{"null"}, c.ok(get(b+"?versions")).all("Version.VersionId"), "versions")
			c.equal("2", c.content(b+"/foo"), "body")
		}},
		{Name: "suspended-keeps", Rule: "versions from before the suspension stay", Run: func(c *C) {
			b := c.versioned()
			id := c.ok(put(b+"/foo", "old")).version()
			c.setVersioning(b, "Suspended")
			c.ok(put(b+"/foo", "new"))
			c.equal([]string{"null", id}, c.ok(get(b+"?versions")).all("Version.VersionId"), "versions")
			c.equal("old", c.ok(get(b+"/foo?versionId="+id)).body, "old version")
		}},
		{Name: "suspended-marker", Rule: "a deletion in a suspended bucket makes a marker that is null", Page: "userguide/DeletingObjectsfromVersioningSuspendedBuckets", Run: func(c *C) {
			b := c.versioned()
			id := c.ok(put(b+"/foo", "old")).version()
			c.setVersioning(b, "Suspended")
			c.ok(put(b+"/foo", "null"))
			a := c.ok(del(b + "/foo"))
			c.equal("true", a.header.Get("X-Amz-Delete-Marker"), "header")
			list := c.ok(get(b + "?versions"))
			c.equal([]string{"null"}, list.all("DeleteMarker.VersionId"), "markers")
			c.equal([]string{id}, list.all("Version.VersionId"), "versions")
			c.equal("true", c.status(404, head(b+"/foo")).header.Get("X-Amz-Delete-Marker"), "header of HEAD")
		}},
		{Name: "resumed", Rule: "when versioning is enabled again, null is a version among others", Run: func(c *C) {
			b := c.versioned()
			c.setVersioning(b, "Suspended")
			c.ok(put(b+"/foo", "null"))
			c.setVersioning(b, "Enabled")
			id := c.ok(put(b+"/foo", "new")).version()
			c.equal([]string{id, "null"}, c.ok(get(b+"?versions")).all("Version.VersionId"), "versions")
		}},
	}...)
}

const withLock = "X-Amz-Bucket-Object-Lock-Enabled: true"

func lockRule(inner string) string {
	return "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>" + inner + "</DefaultRetention></Rule></ObjectLockConfiguration>"
}

func lockBucketCases() []Case {
	const day = "<Mode>GOVERNANCE</Mode><Days>1</Days>"
	cases := []Case{
		{Name: "configuration", Rule: "a bucket made with object lock keeps versions, and its rule", Run: func(c *C) {
			b := c.bucket(withLock)
			c.equal("Enabled", c.ok(get(b+"?versioning")).one("Status"), "versioning")
			a := c.ok(get(b + "?object-lock"))
			c.equal([]string{"Enabled", ""}, []string{a.one("ObjectLockEnabled"), a.one("Rule.DefaultRetention.Mode")}, "configuration")
			c.ok(put(b+"?object-lock", lockRule(day)))
			a = c.ok(get(b + "?object-lock"))
			c.equal([]string{"Enabled", "GOVERNANCE", "1"}, []string{a.one("ObjectLockEnabled"), a.one("Rule.DefaultRetention.Mode"), a.one("Rule.DefaultRetention.Days")}, "rule")
			c.ok(put(b+"?object-lock", lockRule("<Mode>COMPLIANCE</Mode><Years>1</Years>")))
			c.equal("1", c.ok(get(b+"?object-lock")).one("Rule.DefaultRetention.Years"), "years")
		}},
		{Name: "no-versioning", Rule: "a bucket that keeps no versions, or has suspended it, takes no object lock", Run: func(c *C) {
			b := c.bucket()
			c.refused(409, "InvalidBucketState", put(b+"?object-lock", lockRule(day)))
			c.setVersioning(b, "Suspended")
			c.refused(409, "InvalidBucketState", put(b+"?object-lock", lockRule(day)))
			c.setVersioning(b, "Enabled")
			c.ok(put(b+"?object-lock", lockRule(day)))
		}},
		{Name: "none", Rule: "a bucket without object lock answers ObjectLockConfigurationNotFoundError", Page: "API_GetObjectLockConfiguration", Run: func(c *C) {
			c.refused(404, "ObjectLockConfigurationNotFoundError", get(c.bucket()+"?object-lock"))
		}},
		{Name: "no-suspension", Rule: "versioning cannot be suspended under object lock", Run: func(c *C) {
			c.refused(409, "InvalidBucketState", put(c.bucket(withLock)+"?versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"))
		}},
		{Name: "default", Rule: "objects get the default retention of their bucket", Page: "userguide/object-lock", Run: func(c *C) {
			b := c.bucket(withLock)
			c.ok(put(b+"?object-lock", lockRule(day)))
			c.ok(put(b+"/foo", "x"))
			h := c.ok(head(b + "/foo")).header
			c.equal("GOVERNANCE", h.Get("X-Amz-Object-Lock-Mode"), "mode")
			until, err := time.Parse(time.RFC3339, h.Get("X-Amz-Object-Lock-Retain-Until-Date"))
			c.check(err == nil && until.Sub(c.time()) > 23*time.Hour && until.Sub(c.time()) < 25*time.Hour, "until %v (%v)", until, err)
			c.ok(put(b+"/foo?retention", retention("GOVERNANCE", "2140-01-01T00:00:00Z")))
			c.equal("2140-01-01T00:00:00.000Z", c.ok(get(b+"/foo?retention")).one("RetainUntilDate"), "until")
		}},
	}
	for what, want := range map[string][2]string{
		"days-and-years": {"<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>", "MalformedXML"}, "no-period": {"<Mode>GOVERNANCE</Mode>", "MalformedXML"},
		"days-0": {"<Mode>GOVERNANCE</Mode><Days>0</Days>", "InvalidRetentionPeriod"}, "years-negative": {"<Mode>GOVERNANCE</Mode><Years>-1</Years>", "InvalidRetentionPeriod"},
		"mode-unknown": {"<Mode>abc</Mode><Years>1</Years>", "MalformedXML"}, "mode-case": {"<Mode>governance</Mode><Years>1</Years>", "MalformedXML"},
	} {
		cases = append(cases, Case{Name: "bad-" + what, Rule: "such a rule answers " + want[1], Run: func(c *C) {
			c.refused(400, want[1], put(c.bucket(withLock)+"?object-lock", lockRule(want[0])))
		}})
	}
	cases = append(cases, Case{Name: "bad-status", Rule: "ObjectLockEnabled is Enabled or it answers MalformedXML", Run: func(c *C) {
		c.refused(400, "MalformedXML", put(c.bucket(withLock)+"?object-lock", strings.Replace(lockRule(day), "Enabled<", "Disabled<", 1)))
	}})
	return group("lock", "API_PutObjectLockConfiguration", cases...)
}

func retention(mode, until string) string {
	return "<Retention><Mode>" + mode + "</Mode><RetainUntilDate>" + until + "</RetainUntilDate></Retention>"
}

const (
	bypass  = "X-Amz-Bypass-Governance-Retention: true"
	year30  = "2130-01-01T00:00:00Z"
	year30b = "2130-01-03T00:00:00Z"
)

// locked makes an object in a bucket with object lock.
func (c *C) locked(header ...string) (path, version string) {
	path = c.bucket(withLock) + "/file1"
	return path, c.ok(put(path, "abc", header...)).version()
}

func retentionCases() []Case {
	return group("lock", "API_PutObjectRetention", []Case{
		{Name: "retention", Rule: "a retention is set, read, and shown by HEAD", Run: func(c *C) {
			path, version := c.locked()
			c.refused(404, "NoSuchObjectLockConfiguration", get(path+"?retention"))
			c.ok(put(path+"?retention&versionId="+version, retention("GOVERNANCE", year30)))
			a := c.ok(get(path + "?retention&versionId=" + version))
			c.equal([]string{"GOVERNANCE", "2130-01-01T00:00:00.000Z"}, []string{a.one("Mode"), a.one("RetainUntilDate")}, "retention")
			h := c.ok(head(path)).header
			c.equal([]string{"GOVERNANCE", "2130-01-01T00:00:00.000Z"}, []string{h.Get("X-Amz-Object-Lock-Mode"), h.Get("X-Amz-Object-Lock-Retain-Until-Date")}, "headers")
		}},
		{Name: "retention-headers", Rule: "headers of PUT set retention and legal hold", Run: func(c *C) {
			path, _ := c.locked("X-Amz-Object-Lock-Mode: GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date: "+year30, "X-Amz-Object-Lock-Legal-Hold: ON")
			h := c.ok(head(path)).header
			c.equal([]string{"GOVERNANCE", "ON"}, []string{h.Get("X-Amz-Object-Lock-Mode"), h.Get("X-Amz-Object-Lock-Legal-Hold")}, "headers")
			c.ok(put(path+"?legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>"))
		}},
		{Name: "retention-delete", Rule: "a version under retention is not deleted without the bypass", Page: "API_DeleteObject", Run: func(c *C) {
			path, version := c.locked()
			c.ok(put(path+"?retention", retention("GOVERNANCE", year30)))
			c.refused(403, "AccessDenied", del(path+"?versionId="+version))
			marker := c.ok(del(path)).version()
			c.refused(403, "AccessDenied", del(path+"?versionId="+version))
			c.ok(del(path + "?versionId=" + marker))
			c.status(204, del(path+"?versionId="+version, bypass))
		}},
		{Name: "retention-delete-many", Rule: "DeleteObjects leaves what is under retention, and tells why", Page: "API_DeleteObjects", Run: func(c *C) {
			b := c.bucket(withLock)
			v1, v2 := c.ok(put(b+"/1", "x")).version(), c.ok(put(b+"/2", "x")).version()
			c.ok(put(b+"/1?retention", retention("GOVERNANCE", year30)))
			a := c.deleteMany(b, "<Object><Key>1</Key><VersionId>"+v1+"</VersionId></Object><Object><Key>2</Key><VersionId>"+v2+"</VersionId></Object>")
			c.equal([]string{"2", v2}, []string{a.one("Deleted.Key"), a.one("Deleted.VersionId")}, "deleted")
			c.equal([]string{"AccessDenied", "1", v1}, []string{a.one("Error.Code"), a.one("Error.Key"), a.one("Error.VersionId")}, "error")
			a = c.deleteMany(b, "<Object><Key>1</Key><VersionId>"+v1+"</VersionId></Object>", bypass)
			c.equal([]string{v1}, a.all("Deleted.VersionId"), "deleted")
		}},
		{Name: "retention-longer", Rule: "a retention may be made longer", Run: func(c *C) {
			path, _ := c.locked()
			c.ok(put(path+"?retention", retention("GOVERNANCE", year30)))
			c.ok(put(path+"?retention", retention("GOVERNANCE", year30b)))
			c.equal("2130-01-03T00:00:00.000Z", c.ok(get(path+"?retention")).one("RetainUntilDate"), "until")
		}},
		{Name: "retention-shorter", Rule: "it is made shorter only with the bypass, and only under governance", Run: func(c *C) {
			path, _ := c.locked()
			c.ok(put(path+"?retention", retention("GOVERNANCE", year30b)))
			c.refused(403, "AccessDenied", put(path+"?retention", retention("GOVERNANCE", year30)))
			c.ok(put(path+"?retention", retention("GOVERNANCE", year30), bypass))
			c.equal("2130-01-01T00:00:00.000Z", c.ok(get(path+"?retention")).one("RetainUntilDate"), "until")
		}},
		{Name: "retention-mode", Rule: "governance becomes compliance only with the bypass", Run: func(c *C) {
			until := c.soon(2 * time.Second)
			path, _ := c.locked("X-Amz-Object-Lock-Mode: GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date: "+c.soon(time.Hour))
			c.refused(403, "AccessDenied", put(path+"?retention", retention("COMPLIANCE", until)))
		}},
		{Name: "retention-multipart", Rule: "an upload's retention is the object's", Run: func(c *C) {
			path := c.bucket(withLock) + "/big"
			id := c.begin(path, "X-Amz-Object-Lock-Mode: GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date: "+year30)
			version := c.ok(c.complete(path, id, c.part(path, id, 1, "x").etag())).version()
			c.refused(403, "AccessDenied", del(path+"?versionId="+version))
			c.status(204, del(path+"?versionId="+version, bypass))
		}},
	}...)
}

func retentionRefusedCases() []Case {
	return group("lock", "API_PutObjectRetention", []Case{
		{Name: "retention-no-lock", Rule: "without object lock it answers InvalidRequest", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.refused(400, "InvalidRequest", put(path+"?retention", retention("GOVERNANCE", year30)))
			c.refused(400, "InvalidRequest", get(path+"?retention"))
			c.refused(400, "InvalidRequest", put(path, "x", "X-Amz-Object-Lock-Mode: GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date: "+year30))
		}},
		{Name: "retention-mode-bad", Rule: "a mode that is none answers MalformedXML", Run: func(c *C) {
			path, _ := c.locked()
			c.refused(400, "MalformedXML", put(path+"?retention", retention("governance", year30)))
			c.refused(400, "MalformedXML", put(path+"?retention", retention("abc", year30)))
		}},
		{Name: "retention-past", Rule: "a date that is over answers InvalidArgument", Run: func(c *C) {
			path, _ := c.locked()
			c.refused(400, "InvalidArgument", put(path+"?retention", retention("GOVERNANCE", "2001-01-01T00:00:00Z")))
		}},
		{Name: "retention-half", Rule: "mode and date come together in headers", Run: func(c *C) {
			b := c.bucket(withLock)
			c.refused(400, "InvalidArgument", put(b+"/a", "x", "X-Amz-Object-Lock-Mode: GOVERNANCE"))
			c.refused(400, "InvalidArgument", put(b+"/a", "x", "X-Amz-Object-Lock-Retain-Until-Date: "+year30))
		}},
	}...)
}

func holdCases() []Case {
	hold := func(status string) string { return "<LegalHold><Status>" + status + "</Status></LegalHold>" }
	return group("lock", "API_PutObjectLegalHold", []Case{
		{Name: "hold", Rule: "a legal hold is set, read, shown by HEAD and lifted", Run: func(c *C) {
			path, version := c.locked()
			c.ok(put(path+"?legal-hold", hold("ON")))
			c.equal("ON", c.ok(get(path+"?legal-hold")).one("Status"), "Status")
			c.equal("ON", c.ok(head(path)).header.Get("X-Amz-Object-Lock-Legal-Hold"), "header")
			c.refused(403, "AccessDenied", del(path+"?versionId="+version))
			c.refused(403, "AccessDenied", del(path+"?versionId="+version, bypass))
			c.ok(put(path+"?legal-hold", hold("OFF")))
			c.equal("OFF", c.ok(get(path+"?legal-hold")).one("Status"), "Status")
			c.status(204, del(path+"?versionId="+version))
		}},
		{Name: "hold-no-lock", Rule: "without object lock it answers InvalidRequest", Run: func(c *C) {
			path := c.filled("foo") + "/foo"
			c.refused(400, "InvalidRequest", put(path+"?legal-hold", hold("ON")))
			c.refused(400, "InvalidRequest", get(path+"?legal-hold"))
		}},
		{Name: "hold-bad", Rule: "a status that is none answers MalformedXML", Run: func(c *C) {
			path, _ := c.locked()
			c.refused(400, "MalformedXML", put(path+"?legal-hold", hold("abc")))
		}},
		{Name: "hold-multipart", Rule: "an upload's legal hold is the object's", Run: func(c *C) {
			path := c.bucket(withLock) + "/big"
			id := c.begin(path, "X-Amz-Object-Lock-Legal-Hold: ON")
			version := c.ok(c.complete(path, id, c.part(path, id, 1, "x").etag())).version()
			c.refused(403, "AccessDenied", del(path+"?versionId="+version))
			c.ok(put(path+"?legal-hold", hold("OFF")))
		}},
	}...)
}
