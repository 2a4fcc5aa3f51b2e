// Goal: what somebody else owns in a bucket stays his: in listings, under policies,
// while it is replaced, appended to, uploaded in parts. Method: two accounts in one
// bucket, and a store that changes in between.
package s3api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

// Listings tell the owner that GetObjectAcl tells.
func TestOwnersInListings(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.ok(request{method: "PUT", path: "/b-b", header: acl("public-read-write")})
	h.put("/b-b/mine", "x")
	h.ok(request{method: "PUT", path: "/b-b/theirs", body: "x", key: altKey})
	h.ok(by("", "PUT", "/b-b/nobodys"))
	begin2(h, request{path: "/b-b/upload", key: altKey})
	const mine, theirs = "<ID>%s</ID><DisplayName>root</DisplayName>", "<ID>%s</ID><DisplayName>alt</DisplayName>"
	for _, path := range []string{"/b-b", "/b-b?list-type=2&fetch-owner=true", "/b-b?versions"} {
		body := h.get(path).body
		require.Equal(t, 2, strings.Count(body, fmt.Sprintf(mine, mainID())), body)
		require.Equal(t, 1, strings.Count(body, fmt.Sprintf(theirs, altID())), body)
	}
	require.Equal(t, 2, strings.Count(h.get("/b-b?uploads").body, fmt.Sprintf(theirs, altID())))
	h.ok(request{method: "PUT", path: "/b-b?acl", header: acl("private")})
	h.ok(request{method: "PUT", path: "/b-b?ownershipControls", body: ownership("BucketOwnerEnforced")})
	require.Equal(t, 3, strings.Count(h.get("/b-b").body, fmt.Sprintf(mine, mainID())))
	require.Contains(t, h.get("/b-b?uploads").body, "<Initiator>"+fmt.Sprintf(theirs, altID())+"</Initiator><Owner>"+fmt.Sprintf(mine, mainID())+"</Owner>")
}

// What somebody else owns in a bucket is his to allow, and the bucket's to deny.
func TestThePolicyOfABucketAndObjectsOfOthers(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.ok(request{method: "PUT", path: "/b-b", header: map[string]string{"X-Amz-Grant-Write": "id=" + altID(), "X-Amz-Grant-Full-Control": "id=" + mainID()}})
	h.put("/b-b/mine", "x")
	h.ok(request{method: "PUT", path: "/b-b/theirs", body: "x", key: altKey})
	h.ok(request{method: "PUT", path: "/b-b/open", body: "x", key: altKey, header: acl("public-read")}) // who may write, and no more, may say who reads it
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"%s","Principal":"*","Action":["s3:GetObject","s3:GetObjectTagging"],"Resource":"arn:aws:s3:::b-b/*"}]}`
	h.ok(request{method: "PUT", path: "/b-b?policy", body: fmt.Sprintf(allow, "Allow")})
	for path, want := range map[string]int{"/b-b/mine": 200, "/b-b/theirs": 403, "/b-b/open": 200, "/b-b/mine?tagging": 200, "/b-b/theirs?tagging": 403} {
		for _, key := range []string{thirdKey, ""} {
			require.Equal(t, want, h.do(by(key, "GET", path)).status, path)
		}
	}
	h.ok(by(altKey, "GET", "/b-b/theirs?tagging"))
	h.ok(request{method: "PUT", path: "/b-b?policy", body: fmt.Sprintf(allow, "Deny")})
	for _, key := range []string{altKey, fullKey, thirdKey, ""} {
		for _, path := range []string{"/b-b/mine", "/b-b/theirs", "/b-b/open"} {
			require.Equal(t, "AccessDenied", h.do(by(key, "GET", path)).code)
		}
	}
}

// changing is a store in which somebody writes as soon as an object was looked at.
type changing struct {
	*sherd.Store
	between func()
}

func (s *changing) Stat(ctx context.Context, bucket, key string, o *sherd.GetOptions) (sherd.ObjectInfo, error) {
	info, err := s.Store.Stat(ctx, bucket, key, o)
	if between := s.between; between != nil {
		s.between = nil
		between()
	}
	return info, err
}

// What was decided about one object is not given of another that takes its place.
func TestAnObjectThatIsReplacedWhileItIsDecidedAbout(t *testing.T) {
	store := &changing{}
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), func(s *sherd.Store) s3api.Store {
		store.Store = s
		return store
	})
	h.ok(request{method: "PUT", path: "/b-b"})
	for _, q := range []request{{method: "GET", path: "/b-b/key"}, {method: "HEAD", path: "/b-b/key"}} {
		for _, after := range []string{"private", "public-read"} {
			h.ok(request{method: "PUT", path: "/b-b/key", body: "public", header: acl("public-read")})
			store.between = func() {
				h.ok(request{method: "PUT", path: "/b-b/key", body: "after", header: acl(after)})
			}
			q.key = altKey
			a := h.do(q)
			require.Nil(t, store.between)
			if after == "private" {
				require.Equal(t, http.StatusForbidden, a.status, q.method)
			} else {
				require.Equal(t, http.StatusOK, a.status, q.method)
			}
		}
	}
	h.ok(by(altKey, "PUT", "/theirs"))
	upload := begin2(h, request{path: "/theirs/big", key: altKey})
	for _, path := range []string{"/theirs/copy", "/theirs/big?partNumber=1&uploadId=" + upload} {
		h.ok(request{method: "PUT", path: "/b-b/key", body: "public", header: acl("public-read")})
		store.between = func() { h.ok(request{method: "PUT", path: "/b-b/key", body: "after"}) }
		q := request{method: "PUT", path: path, key: altKey, header: map[string]string{"X-Amz-Copy-Source": "/b-b/key"}}
		require.GreaterOrEqual(t, h.do(q).status, 400, path)
		require.Nil(t, store.between)
	}
	h.ok(request{method: "PUT", path: "/b-b/key?acl", header: acl("public-read")})
	h.ok(request{method: "PUT", path: "/b-b/key?acl", header: map[string]string{"X-Amz-Grant-Read-Acp": "id=" + altID()}})
	store.between = func() { h.ok(request{method: "PUT", path: "/b-b/key?acl", header: acl("private")}) }
	require.Equal(t, "AccessDenied", h.do(by(altKey, "GET", "/b-b/key?acl")).code)
}

// A bucket that another program made, for nobody, is the default account's, with lists
// as without.
func TestABucketOfNobodys(t *testing.T) {
	h := newHarness(t, withIdentities(t, ""), nil)
	_, err := h.store.CreateBucket(t.Context(), "b-b", nil)
	require.NoError(t, err)
	h.put("/b-b/key", "x")
	_, err = h.store.Put(t.Context(), "b-b", "other", strings.NewReader("x"), 1, nil)
	require.NoError(t, err)
	h.ok(request{method: "PUT", path: "/b-b?ownershipControls", body: ownership("ObjectWriter")})
	for _, path := range []string{"/b-b?acl", "/b-b/key?acl", "/b-b/other?acl"} {
		for _, name := range []string{"private", "public-read", "private"} {
			h.ok(request{method: "PUT", path: path, header: acl(name)})
			require.Contains(t, h.grants(request{method: "GET", path: path}), "main FULL_CONTROL")
		}
	}
	h.ok(request{method: "GET", path: "/b-b/other"})
	require.Equal(t, "AccessDenied", h.do(by(altKey, "GET", "/b-b/other")).code)
	require.Contains(t, h.get("/").body, "<Name>b-b</Name>")
}

// Who began an upload may list its parts and abort it, unless that is denied; others
// of another account may not.
func TestUploadsOfOthers(t *testing.T) {
	for _, setting := range []s3api.Ownership{s3api.BucketOwnerEnforced, s3api.ObjectWriter} {
		h := newHarness(t, withIdentities(t, setting), nil)
		h.ok(request{method: "PUT", path: "/b-b"})
		policy := func(effect, action string) {
			h.ok(request{method: "PUT", path: "/b-b?policy", body: `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Principal":"*","Action":"` + action + `","Resource":"arn:aws:s3:::b-b/*"}}`})
		}
		policy("Allow", "s3:PutObject")
		id := begin2(h, request{path: "/b-b/key", key: altKey})
		other := begin2(h, request{path: "/b-b/key", key: thirdKey})
		h.ok(request{method: "PUT", path: "/b-b/key?partNumber=1&uploadId=" + id, body: "x", key: altKey})
		for _, method := range []string{"GET", "DELETE"} {
			for _, key := range []string{thirdKey, ""} {
				require.Equal(t, "AccessDenied", h.do(by(key, method, "/b-b/key?uploadId="+id)).code)
			}
			require.Equal(t, "AccessDenied", h.do(by(altKey, method, "/b-b/key?uploadId="+other)).code)
			require.Equal(t, "AccessDenied", h.do(by(altKey, method, "/b-b/key?uploadId=none")).code)
		}
		h.ok(by(altKey, "GET", "/b-b/key?uploadId="+id))
		h.ok(by(fullKey, "GET", "/b-b/key?uploadId="+id))
		policy("Deny", "s3:AbortMultipartUpload")
		require.Equal(t, "AccessDenied", h.do(by(altKey, "DELETE", "/b-b/key?uploadId="+id)).code)
		policy("Allow", "s3:PutObject")
		h.ok(by(altKey, "DELETE", "/b-b/key?uploadId="+id))
		require.Equal(t, "AccessDenied", h.do(by(altKey, "GET", "/b-b/key?uploadId="+id)).code)
	}
}

// Who may write a bucket and appends to somebody's object has not got the object.
func TestAppendingToAnObjectOfSomebodyElse(t *testing.T) {
	h := newHarness(t, withIdentities(t, s3api.ObjectWriter), nil)
	h.ok(request{method: "PUT", path: "/b-b", header: acl("public-read-write")})
	h.put("/b-b/key", "mine")
	for _, header := range []map[string]string{{}, acl("public-read"), {"X-Amz-Grant-Full-Control": "id=" + altID()}} {
		size := len(h.get("/b-b/key").body)
		h.do(request{method: "PUT", path: "/b-b/key", body: "theirs", key: altKey, header: with(header, "X-Amz-Write-Offset-Bytes", fmt.Sprint(size))})
		require.Equal(t, []string{"main FULL_CONTROL"}, h.grants(request{method: "GET", path: "/b-b/key?acl"}))
		for _, key := range []string{altKey, ""} {
			require.Equal(t, "AccessDenied", h.do(by(key, "GET", "/b-b/key")).code)
		}
	}
	require.Contains(t, h.get("/b-b/key").body, "minetheirs")
	require.Equal(t, "AccessDenied", h.do(request{method: "PUT", path: "/b-b/theirs?renameObject", key: altKey, header: map[string]string{"X-Amz-Rename-Source": "key"}}).code)
}

// S3, user guide, "Policy examples for ACLs": who of another account may write may
// grant the bucket's owner what he writes, without s3:PutObjectAcl; nobody else.
func TestWritersShareWithTheBucketsOwner(t *testing.T) {
	const objects = `"Principal":"*","Resource":"arn:aws:s3:::bucket/*"`
	for _, ownership := range []s3api.Ownership{s3api.ObjectWriter, s3api.BucketOwnerPreferred} {
		h := newHarness(t, withIdentities(t, ownership), nil)
		h.ok(request{method: "PUT", path: "/bucket?ownershipControls", body: "<OwnershipControls><Rule><ObjectOwnership>" + string(ownership) + "</ObjectOwnership></Rule></OwnershipControls>"})
		put := func(key, name, value string) string {
			q := by(key, "PUT", "/bucket/a")
			q.header = map[string]string{name: value}
			return h.do(q).code
		}
		h.setPolicy(`{"Effect":"Allow","Action":"s3:PutObject",` + objects + `}`)
		for _, c := range [][3]string{
			{"X-Amz-Grant-Full-Control", "id=" + mainID(), ""}, {"X-Amz-Grant-Read", "id=" + mainID() + ",id=" + altID(), ""},
			{"X-Amz-Acl", "bucket-owner-read", ""}, {"X-Amz-Acl", "bucket-owner-full-control", ""},
			{"X-Amz-Grant-Full-Control", "id=" + s3api.CanonicalID("333333333333"), "AccessDenied"},
			{"X-Amz-Grant-Read", "id=" + mainID() + ",uri=http://acs.amazonaws.com/groups/global/AllUsers", "AccessDenied"},
			{"X-Amz-Acl", "public-read", "AccessDenied"}, {"X-Amz-Acl", "private", "AccessDenied"}, {"X-Amz-Grant-Read", "id=" + altID(), "AccessDenied"},
		} {
			require.Equal(t, c[2], put(altKey, c[0], c[1]), "%s: %s", c[0], c[1])
			require.Equal(t, "AccessDenied", put(poorAltKey, c[0], c[1]), "%s: %s, without a permission of his own", c[0], c[1])
		}
		require.Equal(t, "AccessDenied", put("", "X-Amz-Acl", "bucket-owner-full-control"))
		h.setPolicy(`{"Effect":"Allow","Action":"s3:PutObject",` + objects + `},{"Effect":"Deny","Action":"s3:PutObjectAcl",` + objects + `}`)
		require.Equal(t, "AccessDenied", put(altKey, "X-Amz-Acl", "bucket-owner-full-control"), "a deny is final")
	}
}
