// Goal: access control lists, who owns objects, and the public access block are as on
// S3. Method: the table of S3's user guide against the answers of the handler, for
// every canned list and every kind of sender; documents and headers that are wrong.
package s3api_test

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
)

const allUsers = "http://acs.amazonaws.com/groups/global/AllUsers"

func mainID() string { return s3api.CanonicalID(s3api.DefaultAccount) }
func altID() string  { return s3api.CanonicalID(altAccount) }

type told struct {
	XMLName xml.Name `xml:"AccessControlPolicy"`
	Owner   struct{ ID, DisplayName string }
	Grants  []struct {
		Grantee struct {
			Type                 string `xml:"type,attr"`
			ID, DisplayName, URI string
		}
		Permission string
	} `xml:"AccessControlList>Grant"`
}

// grants gives a list as lines.
func (h *harness) grants(q request) []string {
	h.t.Helper()
	list := parse[told](h.t, h.ok(q))
	lines := []string{}
	for _, g := range list.Grants {
		require.Equal(h.t, g.Grantee.Type == "Group", g.Grantee.ID == "" && g.Grantee.DisplayName == "")
		name := map[string]string{mainID(): "main", altID(): "alt", "": g.Grantee.URI[strings.LastIndex(g.Grantee.URI, "/")+1:]}[g.Grantee.ID]
		lines = append(lines, name+" "+g.Permission)
	}
	return lines
}

func acl(name string) map[string]string { return map[string]string{"X-Amz-Acl": name} }

// S3, user guide, "Canned ACL".
func TestCannedListsOfBuckets(t *testing.T) {
	for name, c := range map[string]struct {
		grants             []string
		list, write, other bool // what everybody may; other: what somebody of another account may list
	}{
		"":                          {[]string{"main FULL_CONTROL"}, false, false, false},
		"private":                   {[]string{"main FULL_CONTROL"}, false, false, false},
		"public-read":               {[]string{"AllUsers READ", "main FULL_CONTROL"}, true, false, true},
		"public-read-write":         {[]string{"AllUsers READ", "AllUsers WRITE", "main FULL_CONTROL"}, true, true, true},
		"authenticated-read":        {[]string{"AuthenticatedUsers READ", "main FULL_CONTROL"}, false, false, true},
		"log-delivery-write":        {[]string{"LogDelivery WRITE", "LogDelivery READ_ACP", "main FULL_CONTROL"}, false, false, false},
		"bucket-owner-full-control": {[]string{"main FULL_CONTROL"}, false, false, false},
		"aws-exec-read":             {[]string{"main FULL_CONTROL"}, false, false, false},
	} {
		h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
		q := request{method: "PUT", path: "/b-b"}
		if name != "" {
			q.header = acl(name)
		}
		h.ok(q)
		check := func() {
			t.Helper()
			require.Equal(t, c.grants, h.grants(request{method: "GET", path: "/b-b?acl"}), name)
			for path, may := range map[string]bool{"/b-b": c.list, "/b-b?versions": c.list, "/b-b?uploads": c.list, "/b-b?acl": false, "/b-b?policy": false} {
				require.Equal(t, may, h.do(by("", "GET", path)).status == 200, "%s %s", name, path)
			}
			require.Equal(t, c.other, h.do(by(altKey, "HEAD", "/b-b")).status == 200, name)
			require.Equal(t, c.write, h.do(by("", "PUT", "/b-b/key")).status == 200, name)
			require.Equal(t, c.write, h.do(by(altKey, "PUT", "/b-b/key")).status == 200, name)
			require.Equal(t, "AccessDenied", h.do(by("", "DELETE", "/b-b/key")).code, name)
			require.Equal(t, "AccessDenied", h.do(by(poorAltKey, "PUT", "/b-b/key")).code, "his own account does not let him")
			require.Equal(t, c.other, h.do(by(poorKey, "GET", "/b-b")).status == 200, name)
		}
		check()
		h.ok(request{method: "PUT", path: "/b-b?acl", header: acl("public-read-write")})
		h.ok(request{method: "PUT", path: "/b-b?acl", header: acl(cmp.Or(name, "private"))})
		check()
	}
}

func TestCannedListsOfObjects(t *testing.T) {
	for name, c := range map[string]struct {
		grants                        []string
		everybody, third, bucketOwner bool // may read what the other account wrote
	}{
		"":                          {[]string{"alt FULL_CONTROL"}, false, false, false},
		"private":                   {[]string{"alt FULL_CONTROL"}, false, false, false},
		"public-read":               {[]string{"AllUsers READ", "alt FULL_CONTROL"}, true, true, true},
		"public-read-write":         {[]string{"AllUsers READ", "AllUsers WRITE", "alt FULL_CONTROL"}, true, true, true},
		"authenticated-read":        {[]string{"AuthenticatedUsers READ", "alt FULL_CONTROL"}, false, true, true},
		"bucket-owner-read":         {[]string{"alt FULL_CONTROL", "main READ"}, false, false, true},
		"bucket-owner-full-control": {[]string{"alt FULL_CONTROL", "main FULL_CONTROL"}, false, false, true},
	} {
		h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
		h.ok(request{method: "PUT", path: "/b-b", header: acl("public-read-write")})
		q := request{method: "PUT", path: "/b-b/key", body: "x", key: altKey}
		if name != "" {
			q.header = acl(name)
		}
		for _, write := range []func(){
			func() { h.ok(q) },
			func() {
				id := begin2(h, q)
				etag := h.ok(request{method: "PUT", path: "/b-b/key?partNumber=1&uploadId=" + id, body: "x", key: altKey}).header.Get("Etag")
				body := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag></Part></CompleteMultipartUpload>"
				h.ok(request{method: "POST", path: "/b-b/key?uploadId=" + id, body: body, key: altKey})
			},
			func() {
				h.ok(request{method: "PUT", path: "/b-b/source", body: "x", key: altKey, header: acl("public-read")})
				copied := q
				copied.body, copied.header = "", with(q.header, "X-Amz-Copy-Source", "/b-b/source")
				h.ok(copied)
			},
			func() {
				h.ok(request{method: "PUT", path: "/b-b/key", body: "x", key: altKey})
				set := by(altKey, "PUT", "/b-b/key?acl")
				set.header = acl("private")
				if name != "" {
					set.header = acl(name)
				}
				h.ok(set)
			},
		} {
			write()
			require.Equal(t, c.grants, h.grants(by(altKey, "GET", "/b-b/key?acl")), name)
			require.Equal(t, c.everybody, h.do(by("", "GET", "/b-b/key")).status == 200, name)
			require.Equal(t, c.bucketOwner, h.do(by(fullKey, "GET", "/b-b/key")).status == 200, name)
			require.Equal(t, c.bucketOwner, h.do(by(fullKey, "HEAD", "/b-b/key")).status == 200, name)
			require.Equal(t, c.third, h.do(by(thirdKey, "GET", "/b-b/key")).status == 200, name)
			require.Equal(t, "AccessDenied", h.do(by(poorKey, "GET", "/b-b/key")).code, "his own account does not let him: %s", name)
			require.Equal(t, name == "bucket-owner-full-control", h.do(by(fullKey, "GET", "/b-b/key?acl")).status == 200, name)
			require.Equal(t, "AccessDenied", h.do(by("", "GET", "/b-b/key?acl")).code, name)
			h.ok(by(altKey, "GET", "/b-b/key"))
		}
		h.ok(by(fullKey, "DELETE", "/b-b/key")) // the bucket's owner deletes what is in it, whosever it is
	}
}

func begin2(h *harness, q request) string {
	q.method, q.path, q.body = "POST", q.path+"?uploads", ""
	return parse[struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadId string
	}](h.t, h.ok(q)).UploadId
}

// Each permission on a bucket and on an object allows what S3 says, and nothing else.
func TestWhatEachPermissionAllows(t *testing.T) {
	requests := map[string]request{
		"list":           {method: "GET", path: "/b-b"},
		"write":          {method: "PUT", path: "/b-b/new", body: "x"},
		"read acl":       {method: "GET", path: "/b-b?acl"},
		"write acl":      {method: "PUT", path: "/b-b?acl", header: map[string]string{"X-Amz-Grant-Full-Control": "id=" + altID() + ",id=" + mainID()}},
		"get":            {method: "GET", path: "/b-b/key"},
		"read acl of o":  {method: "GET", path: "/b-b/key?acl"},
		"write acl of o": {method: "PUT", path: "/b-b/key?acl", header: map[string]string{"X-Amz-Grant-Full-Control": "id=" + altID()}},
		"delete":         {method: "DELETE", path: "/b-b/key"},
		"policy":         {method: "GET", path: "/b-b?policy"},
		"tags":           {method: "GET", path: "/b-b/key?tagging"},
	}
	for permission, may := range map[string][2]string{ // on the bucket, on the object
		"read":         {"list", "get"},
		"write":        {"write", ""},
		"read-acp":     {"read acl", "read acl of o"},
		"write-acp":    {"write acl", "write acl of o"},
		"full-control": {"list,write,read acl,write acl", "get,read acl of o,write acl of o"},
	} {
		for i, path := range []string{"/b-b", "/b-b/key"} {
			for name, q := range requests {
				h := newHarness(t, withIdentities(t, s3api.BucketOwnerPreferred), nil)
				h.ok(request{method: "PUT", path: "/b-b"})
				h.put("/b-b/key", "x")
				h.ok(request{method: "PUT", path: path + "?acl", header: map[string]string{"X-Amz-Grant-" + permission: `emailAddress="alt@example.org"`}})
				q.key = altKey
				a := h.do(q)
				require.Equal(t, strings.Contains(","+may[i]+",", ","+name+","), a.status < 300, "%s on %s: %s: %s", permission, path, name, a.body)
				q.key = poorAltKey
				require.Equal(t, http.StatusForbidden, h.do(q).status, "%s on %s: %s by somebody whose account does not let him", permission, path, name)
			}
		}
	}
}

const grantDocument = `<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>%s</ID></Owner><AccessControlList>%s</AccessControlList></AccessControlPolicy>`

func grantTo(kind, grantee, permission string) string {
	return `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="` + kind + `">` + grantee + `</Grantee><Permission>` + permission + `</Permission></Grant>`
}

func TestListsByDocument(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.ok(request{method: "PUT", path: "/b-b"})
	h.put("/b-b/key", "x")
	all := grantTo("CanonicalUser", "<ID>"+altID()+"</ID><DisplayName>any</DisplayName>", "READ") + grantTo("Group", "<URI>"+allUsers+"</URI>", "WRITE") +
		grantTo("AmazonCustomerByEmail", "<EmailAddress>main@example.org</EmailAddress>", "FULL_CONTROL")
	for _, path := range []string{"/b-b?acl", "/b-b/key?acl"} {
		h.ok(request{method: "PUT", path: path, body: fmt.Sprintf(grantDocument, mainID(), all)})
		require.Equal(t, []string{"AllUsers WRITE", "alt READ", "main FULL_CONTROL"}, h.grants(request{method: "GET", path: path}))
		list := parse[told](t, h.get(path))
		require.Equal(t, "root", list.Owner.DisplayName)
		for name, c := range map[string]struct{ body, code string }{
			"no owner":        {strings.Replace(fmt.Sprintf(grantDocument, mainID(), all), "<Owner>", "<Other>", 1), "MalformedACLError"},
			"another owner":   {fmt.Sprintf(grantDocument, altID(), all), "AccessDenied"},
			"unknown id":      {fmt.Sprintf(grantDocument, mainID(), grantTo("CanonicalUser", "<ID>nobody</ID>", "READ")), "InvalidArgument"},
			"unknown group":   {fmt.Sprintf(grantDocument, mainID(), grantTo("Group", "<URI>http://acs.amazonaws.com/groups/global/Friends</URI>", "READ")), "InvalidArgument"},
			"unknown address": {fmt.Sprintf(grantDocument, mainID(), grantTo("AmazonCustomerByEmail", "<EmailAddress>a@b</EmailAddress>", "READ")), "UnresolvableGrantByEmailAddress"},
			"no permission":   {fmt.Sprintf(grantDocument, mainID(), grantTo("CanonicalUser", "<ID>"+altID()+"</ID>", "SING")), "MalformedACLError"},
			"nobody":          {fmt.Sprintf(grantDocument, mainID(), grantTo("CanonicalUser", "", "READ")), "MalformedACLError"},
			"another":         {"<Tagging/>", "MalformedACLError"},
			"too many":        {fmt.Sprintf(grantDocument, mainID(), strings.Repeat(grantTo("CanonicalUser", "<ID>"+altID()+"</ID>", "READ"), 101)), "MalformedACLError"},
			"nothing":         {"", "MissingSecurityHeader"},
		} {
			a := h.do(request{method: "PUT", path: path, body: c.body})
			require.Equal(t, c.code, a.code, "%s: %s", name, a.body)
		}
		require.Equal(t, "UnexpectedContent", h.do(request{method: "PUT", path: path, body: fmt.Sprintf(grantDocument, mainID(), all), header: acl("private")}).code)
		require.Equal(t, []string{"AllUsers WRITE", "alt READ", "main FULL_CONTROL"}, h.grants(request{method: "GET", path: path}), "none of it changed anything")
		h.ok(request{method: "PUT", path: path, body: fmt.Sprintf(grantDocument, mainID(), "")})
		require.Empty(t, h.grants(request{method: "GET", path: path}), "who revokes everything is still the owner")
		h.ok(request{method: "PUT", path: path, header: acl("private")})
	}
}

func TestHeadersThatGrant(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.ok(request{method: "PUT", path: "/b-b"})
	many := map[string]string{
		"X-Amz-Grant-Read": `id="` + altID() + `", uri="` + allUsers + `"`, "X-Amz-Grant-Full-Control": "emailAddress=MAIN@example.org",
	}
	h.ok(request{method: "PUT", path: "/b-b/key", body: "x", header: many})
	require.Equal(t, []string{"AllUsers READ", "alt READ", "main FULL_CONTROL"}, h.grants(request{method: "GET", path: "/b-b/key?acl"}))
	h.ok(request{method: "PUT", path: "/c-c", header: many})
	require.Equal(t, []string{"AllUsers READ", "alt READ", "main FULL_CONTROL"}, h.grants(request{method: "GET", path: "/c-c?acl"}))
	for name, c := range map[string]struct {
		header map[string]string
		code   string
	}{
		"both":          {with(acl("private"), "X-Amz-Grant-Read", "id="+altID()), "InvalidRequest"},
		"canned":        {acl("public"), "InvalidArgument"},
		"no kind":       {map[string]string{"X-Amz-Grant-Read": altID()}, "InvalidArgument"},
		"another kind":  {map[string]string{"X-Amz-Grant-Read": "name=alt"}, "InvalidArgument"},
		"unknown id":    {map[string]string{"X-Amz-Grant-Read": "id=alt"}, "InvalidArgument"},
		"unknown group": {map[string]string{"X-Amz-Grant-Read": "uri=x"}, "InvalidArgument"},
		"unknown mail":  {map[string]string{"X-Amz-Grant-Read": "emailAddress=x"}, "UnresolvableGrantByEmailAddress"},
	} {
		for _, path := range []string{"/b-b/other", "/d-d", "/b-b?acl", "/b-b/key?acl"} {
			a := h.do(request{method: "PUT", path: path, header: c.header})
			require.Equal(t, c.code, a.code, "%s: %s", name, a.body)
		}
	}
	require.NotContains(t, h.get("/").body, "d-d")
	require.NotContains(t, h.get("/b-b").body, "other")
}

// Where the bucket's owner owns everything there are no lists.
func TestWithoutLists(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	h.setPolicy(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}`)
	h.ok(request{method: "PUT", path: "/bucket/key", key: altKey, body: "x", header: acl("bucket-owner-full-control")})
	require.Equal(t, []string{"main FULL_CONTROL"}, h.grants(request{method: "GET", path: "/bucket/key?acl"}))
	require.Equal(t, []string{"main FULL_CONTROL"}, h.grants(request{method: "GET", path: "/bucket?acl"}))
	for _, path := range []string{"/bucket/a", "/bucket?acl", "/bucket/key?acl"} {
		for _, header := range []map[string]string{acl("private"), acl("public-read"), {"X-Amz-Grant-Read": "id=" + altID()}} {
			require.Equal(t, "AccessControlListNotSupported", h.do(request{method: "PUT", path: path, header: header}).code, path)
		}
	}
	public := fmt.Sprintf(grantDocument, mainID(), grantTo("Group", "<URI>"+allUsers+"</URI>", "READ"))
	private := fmt.Sprintf(grantDocument, mainID(), grantTo("CanonicalUser", "<ID>"+mainID()+"</ID>", "FULL_CONTROL"))
	for _, path := range []string{"/bucket?acl", "/bucket/key?acl"} {
		require.Equal(t, "AccessControlListNotSupported", h.do(request{method: "PUT", path: path, body: public}).code)
		h.ok(request{method: "PUT", path: path, body: private})
		h.ok(request{method: "PUT", path: path, header: acl("bucket-owner-full-control")})
	}
	for name, value := range map[string]string{"X-Amz-Acl": "public-read", "X-Amz-Grant-Read": "id=" + altID()} {
		require.Equal(t, "InvalidBucketAclWithObjectOwnership", h.do(request{method: "PUT", path: "/c-c", header: map[string]string{name: value}}).code)
	}
}

func ownership(setting string) string {
	return "<OwnershipControls><Rule><ObjectOwnership>" + setting + "</ObjectOwnership></Rule></OwnershipControls>"
}

func TestOwnershipControls(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	require.Contains(t, h.get("/bucket?ownershipControls").body, ">BucketOwnerEnforced<")
	for _, setting := range []string{"BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"} {
		h.ok(request{method: "PUT", path: "/bucket?ownershipControls", body: ownership(setting)})
		require.Contains(t, h.get("/bucket?ownershipControls").body, ">"+setting+"<")
		h.ok(request{method: "PUT", path: "/c-" + strings.ToLower(setting), header: map[string]string{"X-Amz-Object-Ownership": setting}})
		require.Contains(t, h.get("/c-"+strings.ToLower(setting)+"?ownershipControls").body, ">"+setting+"<")
	}
	require.Equal(t, "InvalidArgument", h.do(request{method: "PUT", path: "/d-d", header: map[string]string{"X-Amz-Object-Ownership": "Mine"}}).code)
	for _, body := range []string{ownership("Mine"), "<OwnershipControls/>", strings.Replace(ownership("ObjectWriter"), "</Rule>", "</Rule><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>", 1)} {
		require.Equal(t, "MalformedXML", h.do(request{method: "PUT", path: "/bucket?ownershipControls", body: body}).code)
	}
	require.Equal(t, 204, h.do(request{method: "DELETE", path: "/bucket?ownershipControls"}).status)
	require.Equal(t, "OwnershipControlsNotFoundError", h.get("/bucket?ownershipControls").code)
	h.ok(request{method: "PUT", path: "/bucket?acl", header: acl("public-read")}) // as ObjectWriter
	require.Equal(t, "InvalidBucketAclWithObjectOwnership", h.do(request{method: "PUT", path: "/bucket?ownershipControls", body: ownership("BucketOwnerEnforced")}).code)
	h.ok(request{method: "PUT", path: "/bucket?acl", header: acl("private")})
	h.ok(request{method: "PUT", path: "/bucket?ownershipControls", body: ownership("BucketOwnerEnforced")})
}

// Who owns what others write, by the setting; and enforcing takes it all.
func TestOwnersOfObjects(t *testing.T) {
	for setting, owner := range map[s3api.Ownership][2]string{ // without a list, and with bucket-owner-full-control
		s3api.ObjectWriter: {altID(), altID()}, s3api.BucketOwnerPreferred: {altID(), mainID()},
	} {
		h := newHarness(t, withIdentities(t, setting), nil)
		h.ok(request{method: "PUT", path: "/b-b", header: acl("public-read-write")})
		for i, header := range []map[string]string{nil, acl("bucket-owner-full-control")} {
			h.ok(request{method: "PUT", path: "/b-b/key", body: "x", key: altKey, header: header})
			reader := map[string]string{altID(): altKey, mainID(): fullKey}[owner[i]]
			require.Equal(t, owner[i], parse[told](t, h.ok(by(reader, "GET", "/b-b/key?acl"))).Owner.ID, setting)
		}
		h.ok(request{method: "PUT", path: "/b-b/key", body: "x", key: altKey})
		require.Equal(t, "AccessDenied", h.get("/b-b/key").code)
		h.ok(request{method: "PUT", path: "/b-b?acl", header: acl("private")})
		h.ok(request{method: "PUT", path: "/b-b?ownershipControls", body: ownership("BucketOwnerEnforced")})
		h.ok(request{method: "GET", path: "/b-b/key"})
		require.Equal(t, "AccessDenied", h.do(by(altKey, "GET", "/b-b/key")).code)
		require.Equal(t, mainID(), parse[told](t, h.get("/b-b/key?acl")).Owner.ID)
	}
}

func block(acls, ignore, policy, restrict bool) string {
	return fmt.Sprintf("<PublicAccessBlockConfiguration><BlockPublicAcls>%v</BlockPublicAcls><IgnorePublicAcls>%v</IgnorePublicAcls>"+
		"<BlockPublicPolicy>%v</BlockPublicPolicy><RestrictPublicBuckets>%v</RestrictPublicBuckets></PublicAccessBlockConfiguration>", acls, ignore, policy, restrict)
}

func TestPublicAccessBlock(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.ok(request{method: "PUT", path: "/b-b", header: acl("public-read")})
	require.Equal(t, "NoSuchPublicAccessBlockConfiguration", h.get("/b-b?publicAccessBlock").code)
	set := func(body string) {
		t.Helper()
		h.ok(request{method: "PUT", path: "/b-b?publicAccessBlock", body: body})
		require.Contains(t, h.get("/b-b?publicAccessBlock").body, body[strings.Index(body, "<BlockPublicAcls>"):])
	}
	set(block(true, false, false, false))
	h.ok(by("", "GET", "/b-b")) // what is there stays
	for _, name := range []string{"public-read", "public-read-write", "authenticated-read"} {
		for _, path := range []string{"/b-b?acl", "/b-b/key"} {
			require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: path, header: acl(name)}).code, name)
		}
	}
	h.ok(request{method: "PUT", path: "/b-b/key", body: "x", header: acl("private")})
	set(block(false, true, false, false))
	require.Equal(t, "AccessDenied", h.do(by("", "GET", "/b-b")).code)
	h.ok(request{method: "PUT", path: "/b-b/key", body: "x", header: acl("public-read")}) // is kept, and does not count
	require.Equal(t, "AccessDenied", h.do(by("", "GET", "/b-b/key")).code)
	require.Equal(t, "AccessDenied", h.do(by(altKey, "GET", "/b-b/key")).code)
	require.Contains(t, h.get("/b-b?policyStatus").body, "<IsPublic>false<")
	set(block(false, false, true, false))
	h.ok(by("", "GET", "/b-b/key"))
	policies := map[string]string{
		"everybody": `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b-b/*"}`,
		"account":   `{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b-b/*"}`,
	}
	put := func(name string) answer {
		return h.do(request{method: "PUT", path: "/b-b?policy", body: `{"Version":"2012-10-17","Statement":[` + policies[name] + `]}`})
	}
	require.Equal(t, "AccessDenied", put("everybody").code)
	require.Equal(t, 204, put("account").status)
	set(block(false, false, false, true))
	h.ok(request{method: "PUT", path: "/b-b/secret", body: "x"})
	h.ok(by(altKey, "GET", "/b-b/secret"))
	require.Equal(t, 204, put("everybody").status)
	require.Contains(t, h.get("/b-b?policyStatus").body, "<IsPublic>true<")
	require.Equal(t, "AccessDenied", h.do(by(altKey, "GET", "/b-b/secret")).code, "of another account")
	require.Equal(t, "AccessDenied", h.do(by("", "GET", "/b-b/secret")).code)
	h.ok(by(poorKey, "GET", "/b-b/secret"))
	for range 2 {
		require.Equal(t, 204, h.do(request{method: "DELETE", path: "/b-b?publicAccessBlock"}).status)
	}
	h.ok(by("", "GET", "/b-b/secret"))
}

func TestPoliciesOfBuckets(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	require.Equal(t, "NoSuchBucketPolicy", h.get("/bucket?policy").code)
	require.Contains(t, h.get("/bucket?policyStatus").body, "<IsPublic>false<")
	text := ` {"Version" : "2012-10-17", "Statement":[` + everybodyReads + "]}\n"
	a := h.ok(request{method: "PUT", path: "/bucket?policy", body: text})
	require.Equal(t, 204, a.status)
	a = h.get("/bucket?policy")
	require.Equal(t, text, a.body)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Contains(t, h.get("/bucket?policyStatus").body, "<IsPublic>true<")
	for _, wrong := range []string{"", "{", "{}", `{"Version":"2012-10-17","Statement":[]}`, strings.Replace(text, "bucket/*", "other/*", 1),
		strings.Replace(text, `"Principal":"*",`, "", 1), strings.Replace(text, "s3:GetObject", "s3:Sing", 1), text + strings.Repeat(" ", 20<<10)} {
		a := h.do(request{method: "PUT", path: "/bucket?policy", body: wrong})
		require.Equal(t, "MalformedPolicy", a.code, "%.80s: %s", wrong, a.body)
	}
	require.Equal(t, text, h.get("/bucket?policy").body)
	for range 2 {
		require.Equal(t, 204, h.do(request{method: "DELETE", path: "/bucket?policy"}).status)
	}
	for _, path := range []string{"policy", "policyStatus", "acl", "ownershipControls", "publicAccessBlock", "requestPayment", "accelerate", "logging", "website", "encryption", "notification", "replication"} {
		require.Equal(t, "NoSuchBucket", h.get("/nowhere?"+path).code, path)
	}
}

// Configurations that no bucket has are answered as for one that never set them.
func TestConfigurationsThatWereNeverSet(t *testing.T) {
	h := newHarness(t, nil, nil)
	for query, want := range map[string]string{
		"requestPayment": "<Payer>BucketOwner</Payer>", "accelerate": "<AccelerateConfiguration", "logging": "<BucketLoggingStatus",
		"notification": "<NotificationConfiguration",
	} {
		require.Contains(t, h.ok(request{method: "GET", path: "/bucket?" + query}).body, want)
	}
	for query, code := range map[string]string{
		"website": "NoSuchWebsiteConfiguration", "encryption": "ServerSideEncryptionConfigurationNotFoundError", "replication": "ReplicationConfigurationNotFoundError",
	} {
		a := h.get("/bucket?" + query)
		require.Equal(t, code, a.code)
		require.Equal(t, 404, a.status)
	}
}

// Creating one's own bucket again changes nothing, and says so.
func TestABucketMadeAgainWithAnotherList(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	make := func(name string) answer {
		q := request{method: "PUT", path: "/b-b"}
		if name != "" {
			q.header = acl(name)
		}
		return h.do(q)
	}
	require.Equal(t, 200, make("public-read").status)
	require.Equal(t, 200, make("public-read").status)
	require.Equal(t, "BucketAlreadyExists", make("").code)
	h.ok(by("", "GET", "/b-b"))
	h.ok(request{method: "PUT", path: "/b-b?acl", header: acl("private")})
	require.Equal(t, 200, make("").status)
	require.Equal(t, "BucketAlreadyExists", make("public-read").code)
	require.Equal(t, "AccessDenied", h.do(by("", "GET", "/b-b")).code)
}
