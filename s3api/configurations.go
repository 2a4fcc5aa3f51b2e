package s3api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/acl"
	"github.com/sherd-storage/sherd/s3api/internal/regime"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
	"github.com/sherd-storage/sherd/s3api/policy"
)

// access finds what a bucket says.
func (h *Handler) access(ctx context.Context, bucket string) (*regime.Bucket, error) {
	info, err := h.store.StatBucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	documents, _ := h.store.(regime.Documents)
	b, err := h.known.Of(ctx, info, documents)
	if err != nil {
		return nil, err
	}
	return b.Owned(h.canonical(info.Owner), h.accountOf(info.Owner)), nil
}

// owner is one identity of an owner, if somebody knows it.
func (h *Handler) owner(id string) (Identity, bool) {
	if h.opt.Directory == nil {
		return Identity{}, false
	}
	who, ok := h.opt.Directory.Owner(id)
	return who.complete(), ok
}

// canonical is the id of an owner as it is today: stores of older versions have
// access keys in its place, and other programs make buckets of nobody's.
func (h *Handler) canonical(id string) string {
	if who, ok := h.owner(id); ok {
		return who.ID
	}
	return cmp.Or(id, CanonicalID(DefaultAccount))
}

// accountOf is the account of an owner. One that nobody knows is of the default one,
// which is all that there is where no identity has an account.
func (h *Handler) accountOf(id string) string {
	if who, ok := h.owner(id); ok {
		return who.Account
	}
	return DefaultAccount
}

// owns says whether an owner is the sender himself, or of his account.
func (c *call) owns(owner string) bool {
	who := c.Identity.complete()
	return !c.Anonymous && (who.Account == c.accountOf(owner) || who.ID != "" && who.ID == owner)
}

// ownerOf is an owner as documents have him.
func (h *Handler) ownerOf(id string) wire.Owner {
	if who, ok := h.owner(id); ok {
		return wire.Owner{ID: who.ID, DisplayName: who.DisplayName}
	}
	return wire.Owner{ID: id}
}

// Lister is a store that keeps an access document with each version.
type Lister interface {
	SetAccess(ctx context.Context, bucket, key, versionID string, document []byte) error
}

// thisAccess is what the bucket of the request says.
func (c *call) thisAccess() (*regime.Bucket, error) { return c.Handler.access(c.ctx(), c.bucket) }

// configuration gives a document of the bucket; one that was never set answers the code.
func (c *call) configuration(name, missing string) ([]byte, error) {
	documents, err := c.documents()
	if err != nil {
		return nil, err
	}
	data, err := documents.Document(c.ctx(), c.bucket, name)
	if errors.Is(err, sherd.ErrNoSuchDocument) {
		return nil, fail(missing).with("BucketName", c.bucket)
	}
	return data, err
}

// configure keeps a document of the bucket.
func (c *call) configure(name string, data []byte, status int) error {
	documents, err := c.documents()
	if err != nil {
		return err
	}
	if err := documents.PutDocument(c.ctx(), c.bucket, name, data); err != nil {
		return err
	}
	return c.empty(status)
}

// forget removes a document of the bucket, which need not be there.
func (c *call) forget(name string) error {
	documents, err := c.documents()
	if err != nil {
		return err
	}
	if err := documents.DeleteDocument(c.ctx(), c.bucket, name); err != nil && !errors.Is(err, sherd.ErrNoSuchDocument) {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func (c *call) getBucketPolicy() error {
	data, err := c.configuration(regime.PolicyDocument, "NoSuchBucketPolicy")
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	c.w.WriteHeader(http.StatusOK)
	_, err = c.w.Write(data)
	return aborted(err)
}

func (c *call) putBucketPolicy() error {
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	data, err := c.small()
	if err != nil {
		return err
	}
	document, err := policy.Parse(data)
	if err == nil {
		err = document.ForBucket(c.bucket)
	}
	if wrong, ok := errors.AsType[*policy.Error](err); ok {
		answer := fail("MalformedPolicy").saying(wrong.Message)
		if wrong.Detail != "" {
			answer.with("Detail", wrong.Detail)
		}
		return answer
	}
	if err != nil {
		return err
	}
	if bucket.Block.BlockPolicy && document.Public() {
		return fail("AccessDenied")
	}
	return c.configure(regime.PolicyDocument, data, http.StatusNoContent)
}

func (c *call) deleteBucketPolicy() error { return c.forget(regime.PolicyDocument) }

func (c *call) getPolicyStatus() error {
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	lists := bucket.Lists() && bucket.ACL.Public() && !bucket.Block.IgnoreACLs
	return c.answer(&wire.PolicyStatus{Namespace: wire.Namespace, IsPublic: bucket.Public || lists})
}

func (c *call) getPublicBlock() error {
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	if !bucket.HasBlock {
		return fail("NoSuchPublicAccessBlockConfiguration").with("BucketName", c.bucket)
	}
	b := bucket.Block
	return c.answer(&wire.PublicAccessBlock{
		Namespace: wire.Namespace, BlockPublicAcls: b.BlockACLs, IgnorePublicAcls: b.IgnoreACLs,
		BlockPublicPolicy: b.BlockPolicy, RestrictPublicBuckets: b.Restrict,
	})
}

func (c *call) putPublicBlock() error {
	var wanted wire.PublicAccessBlock
	if err := c.document(&wanted); err != nil {
		return err
	}
	data, err := json.Marshal(regime.Block{
		BlockACLs: wanted.BlockPublicAcls, IgnoreACLs: wanted.IgnorePublicAcls, BlockPolicy: wanted.BlockPublicPolicy, Restrict: wanted.RestrictPublicBuckets,
	})
	if err != nil {
		return err
	}
	return c.configure(regime.BlockDocument, data, http.StatusOK)
}

func (c *call) deletePublicBlock() error { return c.forget(regime.BlockDocument) }

func (c *call) getOwnership() error {
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	if bucket.Ownership == "" {
		return fail("OwnershipControlsNotFoundError").with("BucketName", c.bucket)
	}
	return c.answer(&wire.OwnershipControls{Namespace: wire.Namespace, Rules: []wire.OwnershipRule{{ObjectOwnership: string(bucket.Ownership)}}})
}

func (c *call) putOwnership() error {
	var wanted wire.OwnershipControls
	if err := c.document(&wanted); err != nil {
		return err
	}
	if len(wanted.Rules) != 1 || !regime.Ownership(wanted.Rules[0].ObjectOwnership).Valid() {
		return fail("MalformedXML")
	}
	ownership := regime.Ownership(wanted.Rules[0].ObjectOwnership)
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	if ownership == regime.BucketOwnerEnforced && !bucket.ACL.OwnerOnly() {
		return fail("InvalidBucketAclWithObjectOwnership")
	}
	return c.setOwnership(ownership, http.StatusOK)
}

// deleteOwnership leaves a bucket whose objects are their writers'.
func (c *call) deleteOwnership() error { return c.setOwnership("", http.StatusNoContent) }

func (c *call) setOwnership(ownership regime.Ownership, status int) error {
	data, err := json.Marshal(ownership)
	if err != nil {
		return err
	}
	return c.configure(regime.OwnershipDocument, data, status)
}

// grantPrefix begins the headers that grant.
const grantPrefix = "X-Amz-Grant-"

func (c *call) getBucketACL() error {
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	if !bucket.Lists() {
		return c.answerList(acl.Private(bucket.Info.Owner))
	}
	return c.answerList(bucket.ACL)
}

func (c *call) putBucketACL() error {
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	list, err := c.wantedList(bucket, bucket.Info.Owner)
	if err != nil {
		return err
	}
	if !bucket.Lists() {
		return c.empty(http.StatusOK) // it is what it was
	}
	data, err := list.Encode()
	if err != nil {
		return err
	}
	return c.configure(regime.ACLDocument, data, http.StatusOK)
}

func (c *call) getObjectACL() error {
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	list, err := c.listOf(info.Owner, info.Access, bucket)
	if err != nil {
		return err
	}
	return c.answerList(list)
}

func (c *call) putObjectACL() error {
	lister, ok := c.store.(Lister)
	if !ok {
		return fail("NotImplemented").saying("The store keeps no access control lists.")
	}
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	before, err := c.listOf(info.Owner, info.Access, bucket)
	if err != nil {
		return err
	}
	list, err := c.wantedList(bucket, before.Owner)
	if err != nil {
		return err
	}
	if !bucket.Lists() {
		return c.empty(http.StatusOK) // it is what it was
	}
	data, err := list.Encode()
	if err != nil {
		return err
	}
	if err := lister.SetAccess(c.ctx(), c.bucket, c.key, info.VersionID, data); err != nil {
		return err
	}
	return c.empty(http.StatusOK)
}

// answerList tells of a list: groups first, as S3 does.
func (c *call) answerList(list acl.List) error {
	out := &wire.AccessControl{Namespace: wire.Namespace, Owner: c.ownerOf(list.Owner)}
	grants := slices.Clone(list.Grants)
	slices.SortStableFunc(grants, func(a, b acl.Grant) int { return strings.Compare(string(b.Group), string(a.Group)) })
	for _, g := range grants {
		grantee := wire.GroupGrantee(string(g.Group))
		if g.Group == "" {
			owner := c.ownerOf(g.ID)
			grantee = wire.UserGrantee(owner.ID, owner.DisplayName)
		}
		out.Grants.Grants = append(out.Grants.Grants, wire.ToldGrant{Grantee: grantee, Permission: g.Permission.String()})
	}
	return c.answer(out)
}

// wantedList reads the list that PutBucketAcl or PutObjectAcl is to set, from the
// headers or from the body.
func (c *call) wantedList(bucket *regime.Bucket, owner string) (acl.List, error) {
	if !bucket.Lists() && c.setsList() {
		return acl.List{}, fail("AccessControlListNotSupported")
	}
	list, given, err := c.headerList(owner, bucket.Info.Owner)
	if err != nil {
		return list, err
	}
	data, err := c.small()
	switch {
	case err != nil:
		return list, err
	case given && len(data) > 0:
		return list, fail("UnexpectedContent")
	case !given && len(data) == 0:
		return list, fail("MissingSecurityHeader")
	case !given:
		var wanted wire.AccessControlPolicy
		if err := c.decodeXML(data, &wanted); err != nil {
			return list, fail("MalformedACLError").because(err)
		}
		if list, err = c.listIn(&wanted, owner); err != nil {
			return list, err
		}
	}
	return list, c.admit(list, bucket)
}

// admit refuses a list that the bucket does not take.
func (c *call) admit(list acl.List, bucket *regime.Bucket) error {
	canned := c.Header.Get("X-Amz-Acl")
	switch {
	case !bucket.Lists() && canned != "bucket-owner-full-control" && !list.IsPrivate():
		return fail("AccessControlListNotSupported")
	case bucket.Block.BlockACLs && list.Public():
		return fail("AccessDenied")
	}
	return nil
}

// headerList reads the list that headers ask for; without any it is a private one.
func (c *call) headerList(owner, bucketOwner string) (list acl.List, given bool, err error) {
	canned := c.Header.Get("X-Amz-Acl")
	list = acl.List{Owner: owner}
	for _, permission := range acl.Permissions() {
		text := listed(c.Header, grantPrefix+strings.ReplaceAll(permission.String(), "_", "-"))
		if text == "" {
			continue
		}
		grantees, ok := acl.ParseGrantees(text)
		if !ok {
			return list, true, fail("InvalidArgument").saying("Argument format not recognized").with("ArgumentName", strings.ToLower(grantPrefix+permission.String()))
		}
		for _, g := range grantees {
			grant, err := c.grant(g, permission)
			if err != nil {
				return list, true, err
			}
			list.Grants = append(list.Grants, grant)
		}
	}
	switch {
	case len(list.Grants) > 0 && canned != "":
		return list, true, fail("InvalidRequest").saying("Specifying both Canned ACLs and Header Grants is not allowed")
	case len(list.Grants) > acl.MaxGrants:
		return list, true, fail("InvalidArgument").saying("There are too many grants.")
	case len(list.Grants) > 0:
		return list, true, nil
	case canned == "":
		return acl.Private(owner), false, nil
	}
	list, err = acl.Canned(canned, owner, bucketOwner)
	if err != nil {
		return list, true, fail("InvalidArgument").with("ArgumentName", "x-amz-acl").with("ArgumentValue", canned).because(err)
	}
	return list, true, nil
}

// listIn reads the list of a document; the owner cannot be changed by it.
func (c *call) listIn(wanted *wire.AccessControlPolicy, owner string) (acl.List, error) {
	list := acl.List{Owner: owner}
	if wanted.Owner == nil || wanted.Owner.ID == "" || wanted.List == nil || len(wanted.List.Grants) > acl.MaxGrants {
		return list, fail("MalformedACLError")
	}
	if wanted.Owner.ID != owner {
		return list, fail("AccessDenied")
	}
	for _, one := range wanted.List.Grants {
		permission, ok := acl.ParsePermission(one.Permission)
		if !ok || one.Grantee == nil {
			return list, fail("MalformedACLError")
		}
		grantee := acl.Grantee{ID: one.Grantee.ID, URI: one.Grantee.URI, Email: one.Grantee.Email}
		switch one.Grantee.Type {
		case "CanonicalUser":
			grantee = acl.Grantee{ID: one.Grantee.ID}
		case "Group":
			grantee = acl.Grantee{URI: one.Grantee.URI}
		case "AmazonCustomerByEmail":
			grantee = acl.Grantee{Email: one.Grantee.Email}
		}
		grant, err := c.grant(grantee, permission)
		if err != nil {
			return list, err
		}
		list.Grants = append(list.Grants, grant)
	}
	return list, nil
}

// grant finds whom a grant is for.
func (c *call) grant(to acl.Grantee, permission acl.Permission) (acl.Grant, error) {
	directory := c.opt.Directory
	switch {
	case to.URI != "":
		if !acl.Group(to.URI).Known() {
			return acl.Grant{}, fail("InvalidArgument").saying("Invalid group uri").with("ArgumentName", "Group/URI").with("ArgumentValue", to.URI)
		}
		return acl.Grant{Group: acl.Group(to.URI), Permission: permission}, nil
	case to.Email != "":
		if directory != nil {
			if who, ok := directory.Addressee(to.Email); ok {
				return acl.Grant{ID: who.complete().ID, Permission: permission}, nil
			}
		}
		return acl.Grant{}, fail("UnresolvableGrantByEmailAddress")
	case to.ID == "":
		return acl.Grant{}, fail("MalformedACLError")
	}
	if directory != nil && to.ID != c.Identity.ID {
		if _, ok := directory.Owner(to.ID); !ok {
			return acl.Grant{}, fail("InvalidArgument").saying("Invalid id").with("ArgumentName", "CanonicalUser/ID").with("ArgumentValue", to.ID)
		}
	}
	return acl.Grant{ID: to.ID, Permission: permission}, nil
}
