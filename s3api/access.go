package s3api

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/acl"
	"github.com/sherd-storage/sherd/s3api/internal/facts"
	"github.com/sherd-storage/sherd/s3api/internal/regime"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
	"github.com/sherd-storage/sherd/s3api/policy"
)

// Ownership says who owns the objects of a bucket (S3, user guide, "Controlling
// ownership of objects").
type Ownership string

// The settings. A bucket whose setting was deleted is as one with ObjectWriter.
const (
	BucketOwnerEnforced  = Ownership(regime.BucketOwnerEnforced)  // the bucket's owner; there are no access control lists
	BucketOwnerPreferred = Ownership(regime.BucketOwnerPreferred) // the writer, unless he gives the bucket's owner full control
	ObjectWriter         = Ownership(regime.ObjectWriter)
)

// authorize asks for every action that the request implies. What is decided key
// by key is nothing for nobody: it would have to be read first.
func (c *call) authorize() error {
	if c.Anonymous && c.operation.Name == "DeleteObjects" {
		return fail("AccessDenied")
	}
	for _, action := range c.actions() {
		if err := c.allow(action, c.resource()); err != nil {
			return err
		}
	}
	switch {
	case c.operation.Name == "RenameObject":
		return c.authorizeRename()
	case c.operation.Header != headerCopySource:
		return nil
	}
	var err error
	if c.source, err = wire.ParseSource(c.Header.Get(headerCopySource)); err != nil {
		return err
	}
	return c.allow(readAction(c.source.VersionID != ""), Resource{Bucket: c.source.Bucket, Key: c.source.Key, VersionID: c.source.VersionID})
}

// resource is what the request is about.
func (c *call) resource() Resource {
	return Resource{Bucket: c.bucket, Key: c.key, VersionID: c.query.Get("versionId")}
}

// actions lists that of the operation and those that headers add to it.
func (c *call) actions() []string {
	var actions []string
	switch {
	case c.operation.Name == "DeleteObjects": // key by key
	case c.operation.VersionAction != "" && c.query.Has("versionId"):
		actions = append(actions, c.operation.VersionAction)
	case c.operation.Action != "":
		actions = append(actions, c.operation.Action)
	}
	if c.operation.Level == ObjectLevel && c.operation.changes() && c.compares() {
		actions = append(actions, readAction(c.query.Has("versionId")))
	}
	for _, add := range [...]struct{ header, action string }{
		{"X-Amz-Tagging", "s3:PutObjectTagging"},
		{"X-Amz-Object-Lock-Mode", "s3:PutObjectRetention"},
		{"X-Amz-Object-Lock-Retain-Until-Date", "s3:PutObjectRetention"},
		{"X-Amz-Object-Lock-Legal-Hold", "s3:PutObjectLegalHold"},
		{"X-Amz-Bypass-Governance-Retention", "s3:BypassGovernanceRetention"},
		{"X-Amz-Bucket-Object-Lock-Enabled", "s3:PutBucketObjectLockConfiguration"},
	} {
		if c.Header.Get(add.header) != "" {
			actions = append(actions, add.action)
		}
	}
	return append(actions, c.listActions()...)
}

// listActions is what access control lists in headers ask for beyond writing. A
// request that sets one alone has it as its own action.
func (c *call) listActions() []string {
	switch {
	case c.operation.Name == "CreateBucket" && c.grants():
		return []string{"s3:PutBucketAcl"}
	case c.operation.creates() && (c.grants() || c.Header.Get("X-Amz-Acl") != ""):
		return []string{"s3:PutObjectAcl"}
	}
	return nil
}

// creates says whether the operation makes an object.
func (o *Operation) creates() bool { return o.Action == "s3:PutObject" }

// grants says whether headers ask for another access control list than the one
// that is there anyway.
func (c *call) grants() bool {
	if canned := c.Header.Get("X-Amz-Acl"); canned != "" && canned != "private" && canned != "bucket-owner-full-control" {
		return true
	}
	for name := range c.Header {
		if strings.HasPrefix(name, grantPrefix) {
			return true
		}
	}
	return false
}

// setsList says whether headers ask for a list where there are none: all but the one
// that says what is the case anyway.
func (c *call) setsList() bool {
	return c.grants() || c.Header.Get("X-Amz-Acl") == "private"
}

// compares says whether what a change finds decides about it, so that the answer
// tells what that was. That something is there at all is no secret to who may
// write it, as on S3.
func (c *call) compares() bool {
	match := listed(c.Header, "If-Match")
	return match != "" && match != "*" ||
		c.Header.Get("X-Amz-If-Match-Size") != "" || c.Header.Get("X-Amz-If-Match-Last-Modified-Time") != ""
}

// readAction is what must be allowed to learn what an object is.
func readAction(version bool) string {
	if version {
		return "s3:GetObjectVersion"
	}
	return "s3:GetObject"
}

// allow gives nil if the sender may do an action to something, and else the answer.
func (c *call) allow(action string, on Resource) error {
	return c.allowUnder(action, on, &conditions{call: c, on: on})
}

// mayList says whether the sender may list what is below a key, so that he may learn
// that it is missing.
func (c *call) mayList(of Resource) bool {
	on := Resource{Bucket: of.Bucket}
	return c.allowUnder("s3:ListBucket", on, &conditions{call: c, on: on, prefix: of.Key}) == nil
}

func (c *call) allowUnder(action string, on Resource, conditions *conditions) error {
	attempt := &Attempt{Identity: c.Identity, Anonymous: c.Anonymous, Action: action, Resource: on, Context: conditions.values}
	own, err := c.opt.Authorizer.Authorize(c.ctx(), attempt)
	switch {
	case err != nil:
		return err
	case conditions.err != nil:
		return conditions.err
	case own == policy.Deny:
		return fail("AccessDenied")
	case on.Bucket == "" || action == "s3:CreateBucket" || c.operation.Name == "CreateBucket":
		return allowed(own == policy.Allow)
	}
	bucket, err := c.Handler.access(c.ctx(), on.Bucket)
	if errors.Is(err, sherd.ErrNoSuchBucket) || errors.Is(err, sherd.ErrInvalidArgument) {
		if own == policy.Allow || !wire.ValidBucket(on.Bucket) {
			return allowed(own == policy.Allow)
		}
		return fail("NoSuchBucket").with("BucketName", on.Bucket) // as S3 says to everybody
	}
	if err != nil {
		return err
	}
	conditions.owner = bucket.Account
	may, err := c.decide(attempt, own, bucket)
	if err == nil && conditions.err != nil {
		err = conditions.err
	}
	if err != nil {
		return err
	}
	return allowed(may)
}

func allowed(may bool) error {
	if may {
		return nil
	}
	return fail("AccessDenied")
}

// decide puts together what the sender's own permissions and the bucket say.
func (c *call) decide(a *Attempt, own policy.Effect, bucket *regime.Bucket) (bool, error) {
	same := c.owns(bucket.Info.Owner)
	repairs := c.Identity.root() && regime.Repairs(a.Action) || bucket.Unreadable != nil && regime.Replaces(a.Action)
	if same && own == policy.Allow && repairs {
		return true, nil // no policy keeps the owner from changing it
	}
	if bucket.Unreadable != nil {
		return false, bucket.Unreadable
	}
	v := regime.Verdict{Own: own, Same: same, Anonymous: c.Anonymous}
	if bucket.Policy != nil {
		request := a.Request()
		request.Owner = bucket.Account
		v.Bucket = policy.Evaluate(request, bucket.Policy)
	}
	if bucket.Block.Restrict && bucket.Public && !same && v.Bucket.Effect == policy.Allow {
		v.Bucket = policy.Decision{}
	}
	if v.Own == policy.Deny || v.Bucket.Effect == policy.Deny {
		return false, nil
	}
	if regime.OfInitiator(a.Action) && own == policy.Allow && c.initiated() {
		return true, nil
	}
	if !same && own == policy.Allow && c.sharesWithOwner(a, bucket) {
		return true, nil // who may write may leave what he writes to the bucket's owner too
	}
	if !bucket.Lists() {
		return v.Allows(), nil
	}
	permission, of := acl.ForAction(a.Action)
	creates := c.operation.creates() && a.Resource == c.resource()
	if creates && a.Action == "s3:PutObjectAcl" {
		permission, of = acl.Write, acl.Bucket // of the object that is to be, which is the writer's
	}
	if of == acl.Bucket {
		v.Granted = bucket.ACL.To(c.callerID(), permission, bucket.Block.IgnoreACLs)
	}
	if a.Resource.Key == "" || !regime.ConcernsOwner(a.Action) || creates && !strings.HasPrefix(a.Action, "s3:Get") {
		return v.Allows(), nil
	}
	info, err := c.judged(a.Resource)
	if err != nil {
		return c.ofMissing(v, a.Resource, err)
	}
	list, err := c.listOf(info.Owner, info.Access, bucket)
	if err != nil {
		return false, err
	}
	if c.accountOf(list.Owner) != bucket.Account || c.owns(list.Owner) != same {
		// The bucket's owner can deny, and not allow, what is another's.
		v.Bucket, v.Same = policy.Decision{}, c.owns(list.Owner)
	}
	if of == acl.Object {
		v.Granted = list.To(c.callerID(), permission, bucket.Block.IgnoreACLs)
	}
	return v.Allows(), nil
}

// sharesWithOwner says whether the action is to set the list of an object that is
// to be, by headers that grant something to the bucket's owner, and to nobody else
// but the sender.
func (c *call) sharesWithOwner(a *Attempt, bucket *regime.Bucket) bool {
	if a.Action != "s3:PutObjectAcl" || !c.operation.creates() || a.Resource != c.resource() {
		return false
	}
	list, given, err := c.headerList(c.callerID(), bucket.Info.Owner)
	if err != nil || !given {
		return false
	}
	shares := false
	for _, g := range list.Grants {
		if g.Group != "" || g.ID != bucket.Info.Owner && g.ID != c.callerID() {
			return false
		}
		shares = shares || g.ID == bucket.Info.Owner
	}
	return shares
}

// initiated says whether the sender began the upload that the request is about.
func (c *call) initiated() bool {
	if c.Handler.uploads == nil {
		return false
	}
	upload, err := c.Handler.uploads.StatUpload(c.ctx(), c.bucket, c.key, c.query.Get("uploadId"))
	return err == nil && upload.Owner != "" && upload.Owner == c.callerID()
}

// ofMissing is for an object that is not there: who may list may be told.
func (c *call) ofMissing(v regime.Verdict, on Resource, err error) (bool, error) {
	if !found(err) {
		return false, err
	}
	if v.Allows() {
		return true, nil
	}
	return false, c.unreadable(err, on)
}

// found says whether an error says that an object is not there.
func found(err error) bool {
	return errors.Is(err, sherd.ErrNoSuchKey) || errors.Is(err, sherd.ErrNoSuchVersion) || errors.Is(err, sherd.ErrDeleteMarker) ||
		errors.Is(err, sherd.ErrNoSuchBucket)
}

// callerID is "" for nobody.
func (c *call) callerID() string {
	if c.Anonymous {
		return ""
	}
	return c.Identity.ID
}

// judged describes the object that is to be decided about.
func (c *call) judged(on Resource) (sherd.ObjectInfo, error) {
	if c.seen == nil || c.seen.on != on {
		info, err := c.store.Stat(c.ctx(), on.Bucket, on.Key, &sherd.GetOptions{VersionID: on.VersionID})
		c.seen = &seen{on, info, err}
	}
	return c.seen.info, c.seen.err
}

// confirm decides again where what is there is not what was decided about: somebody
// wrote the key, or changed its list, in between.
func (c *call) confirm(info *sherd.ObjectInfo, on Resource) error {
	if c.seen == nil || c.seen.on != on {
		return nil // nothing of the object decided
	}
	before := &c.seen.info
	if c.seen.err == nil && before.Owner == info.Owner && bytes.Equal(before.Access, info.Access) && maps.Equal(before.Tags, info.Tags) {
		return nil
	}
	c.seen = &seen{on: on, info: *info}
	return c.authorize()
}

// seen is an object that was decided about.
type seen struct {
	on   Resource
	info sherd.ObjectInfo
	err  error
}

// listOf is the access control list of what somebody wrote.
func (h *Handler) listOf(writer string, document []byte, bucket *regime.Bucket) (acl.List, error) {
	switch {
	case !bucket.Lists() || writer == "":
		return acl.Private(bucket.Info.Owner), nil
	case len(document) == 0:
		return acl.Private(h.canonical(writer)), nil
	}
	list, err := acl.Decode(document)
	if err != nil {
		return acl.List{}, fmt.Errorf("access document of an object of %s: %w", bucket.Info.Name, err)
	}
	return list, nil
}

// newAccess says who writes an object, and its access document; nil: it is the
// writer's, and nobody else is granted anything.
func (c *call) newAccess() (writer string, document []byte, err error) {
	bucket, err := c.thisAccess()
	if err != nil {
		return "", nil, err
	}
	if !bucket.Lists() && c.setsList() {
		return "", nil, fail("AccessControlListNotSupported")
	}
	writer = cmp.Or(c.callerID(), bucket.Info.Owner)
	owner := writer
	if bucket.Ownership == regime.BucketOwnerPreferred && c.Header.Get("X-Amz-Acl") == "bucket-owner-full-control" {
		owner = bucket.Info.Owner
	}
	list, _, err := c.headerList(owner, bucket.Info.Owner)
	if err != nil {
		return "", nil, err
	}
	if err := c.admit(list, bucket); err != nil {
		return "", nil, err
	}
	if !bucket.Lists() || list.IsPrivate() && owner == writer {
		return writer, nil, nil
	}
	document, err = list.Encode()
	return writer, document, err
}

// conditions answers what policies ask of a request about one resource. What a body
// says is read when it is asked for, and kept for the operation.
type conditions struct {
	*call
	on     Resource
	owner  string // the bucket's owner's account, once it is known
	prefix string // that the question is about, where the request lists nothing; "" the request's
	facts  *facts.Request
	err    error // why a value is not known: then there is no decision
}

func (c *conditions) values(key string) []string {
	switch name, behind, _ := strings.Cut(key, "/"); name {
	case "s3:versionid":
		return optional(c.on.VersionID)
	case "s3:prefix":
		if c.prefix != "" {
			return []string{c.prefix}
		}
	case "aws:resourceaccount", "s3:resourceaccount":
		return optional(c.owner)
	case "s3:existingobjecttag":
		info, err := c.judged(c.on)
		if err != nil && !found(err) {
			c.err = err
		}
		if value, ok := info.Tags[behind]; ok && err == nil {
			return []string{value}
		}
		return nil
	case "s3:requestobjecttag":
		if value, ok := c.requestTags()[behind]; ok {
			return []string{value}
		}
		return nil
	case "s3:requestobjecttagkeys":
		return slices.Sorted(maps.Keys(c.requestTags()))
	case "s3:object-lock-mode", "s3:object-lock-retain-until-date", "s3:object-lock-remaining-retention-days", "s3:object-lock-legal-hold":
		return c.requestLock(name)
	case "s3:locationconstraint":
		region := cmp.Or(c.opt.Region, DefaultRegion)
		if c.operation.Name == "CreateBucket" {
			wanted, err := c.location()
			region, c.err = wanted, cmp.Or(c.err, err)
		}
		return optional(region)
	}
	return c.request().Values(key)
}

func (c *conditions) request() *facts.Request {
	if c.facts == nil {
		c.facts = &facts.Request{
			Raw: c.r, Header: c.Header, Query: c.query, Trusted: c.opt.TrustedProxies, Now: c.opt.Clock(), Region: cmp.Or(c.opt.Region, DefaultRegion),
			Anonymous: c.Anonymous, ID: c.Identity.ID, Account: c.Identity.Account, ARN: c.Identity.ARN,
			Version: c.Version, InQuery: c.By == ByQuery, InForm: c.By == ByForm, Age: c.Age,
		}
	}
	return c.facts
}

func optional(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// requestTags is the tags that the request is to set.
func (c *conditions) requestTags() map[string]string {
	if c.operation.Name == "PutObjectTagging" {
		var wanted wire.Tagging
		tags, err := map[string]string(nil), c.document(&wanted)
		if err == nil {
			tags, err = tagsOf(wanted.Tags.Tags, maxObjectTags)
		}
		c.err = cmp.Or(c.err, err)
		return tags
	}
	tags, err := parseTags(c.Header.Get("X-Amz-Tagging"))
	c.err = cmp.Or(c.err, err)
	return tags
}

// requestLock is the retention and the legal hold that the request is to set.
func (c *conditions) requestLock(key string) []string {
	mode, until := c.Header.Get("X-Amz-Object-Lock-Mode"), c.Header.Get("X-Amz-Object-Lock-Retain-Until-Date")
	hold := c.Header.Get("X-Amz-Object-Lock-Legal-Hold")
	switch c.operation.Name {
	case "PutObjectRetention":
		var wanted wire.Retention
		c.err = cmp.Or(c.err, c.document(&wanted))
		mode, until = wanted.Mode, wanted.Until
	case "PutObjectLegalHold":
		var wanted wire.LegalHold
		c.err = cmp.Or(c.err, c.document(&wanted))
		hold = wanted.Status
	}
	switch key {
	case "s3:object-lock-mode":
		return optional(mode)
	case "s3:object-lock-legal-hold":
		return optional(hold)
	}
	at, ok := wire.ParseStamp(until)
	switch {
	case !ok:
		return nil
	case key == "s3:object-lock-retain-until-date":
		return []string{at.Format(time.RFC3339)}
	}
	const day = 24 * time.Hour
	return []string{strconv.FormatInt(int64((at.Sub(c.opt.Clock())+day-1)/day), 10)}
}
