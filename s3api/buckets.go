package s3api

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/acl"
	"github.com/sherd-storage/sherd/s3api/internal/regime"
	"github.com/sherd-storage/sherd/s3api/internal/sse"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
	"github.com/sherd-storage/sherd/s3api/lifecycle"
	"github.com/sherd-storage/sherd/versioning"
)

func (c *call) hasBuckets() error {
	if c.Handler.buckets == nil {
		return fail("NotImplemented").saying("The store's buckets cannot be listed or changed here.")
	}
	return nil
}

func (c *call) listBuckets() error {
	if err := c.hasBuckets(); err != nil {
		return err
	}
	const most = 10_000
	limit, err := c.number("max-buckets", most, most)
	if err != nil || limit == 0 {
		return fail("InvalidArgument").with("ArgumentName", "max-buckets")
	}
	after, err := parseToken(c.query.Get("continuation-token"))
	if err != nil {
		return err
	}
	result := &wire.ListBuckets{Namespace: wire.Namespace, Owner: ownerOf(c.Identity.ID, c.Identity.DisplayName)}
	region := c.query.Get("bucket-region")
	prefix := c.query.Get("prefix")
	if prefix != "" {
		result.Prefix = pointer(prefix)
	}
	for info, err := range c.Handler.buckets.ListBuckets(c.ctx(), &sherd.ListBucketsOptions{Prefix: prefix, StartAfter: after}) {
		if err != nil {
			return err
		}
		if !c.owns(info.Owner) || region != "" && c.regionOf(info) != region {
			continue
		}
		if len(result.Buckets) == limit {
			result.ContinuationToken = token(result.Buckets[limit-1].Name)
			break
		}
		result.Buckets = append(result.Buckets, wire.Bucket{
			Name: info.Name, CreationDate: wire.Stamp(info.Created), BucketRegion: c.regionOf(info),
		})
	}
	return c.answer(result)
}

func (c *call) createBucket() error {
	if err := errors.Join(c.hasBuckets(), sse.RefuseOnRead(c.Header)); err != nil {
		return err
	}
	if wire.ReservedBucket(c.bucket) || strings.Contains(c.bucket, ".-") || strings.Contains(c.bucket, "-.") {
		// Each label must be one of DNS, or no client could name the bucket as a host.
		return fail("InvalidBucketName").with("BucketName", c.bucket)
	}
	locked, err := c.flag("X-Amz-Bucket-Object-Lock-Enabled")
	if err != nil {
		return err
	}
	region, err := c.location()
	if err != nil {
		return err
	}
	documents, err := c.newBucketAccess()
	if err != nil {
		return err
	}
	info, err := c.Handler.buckets.CreateBucket(c.ctx(), c.bucket, &sherd.BucketOptions{
		ObjectLock: locked, Owner: c.Identity.ID, Region: region, Documents: documents,
	})
	if errors.Is(err, sherd.ErrBucketExists) {
		err = c.createdBefore(&info, region, documents)
	}
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/"+c.bucket)
	return c.empty(http.StatusOK)
}

// newBucketAccess is the documents of a bucket that is to be made.
func (c *call) newBucketAccess() (map[string][]byte, error) {
	ownership := regime.Ownership(c.opt.Ownership)
	if wanted := c.Header.Get("X-Amz-Object-Ownership"); wanted != "" {
		if ownership = regime.Ownership(wanted); !ownership.Valid() {
			return nil, fail("InvalidArgument").saying("Invalid x-amz-object-ownership header: "+wanted).with("ArgumentName", "x-amz-object-ownership")
		}
	}
	if ownership == regime.BucketOwnerEnforced && c.grants() {
		return nil, fail("InvalidBucketAclWithObjectOwnership")
	}
	list, _, err := c.headerList(c.Identity.ID, c.Identity.ID)
	switch {
	case err != nil:
		return nil, err
	case ownership == regime.BucketOwnerEnforced:
		return nil, nil // as a bucket without documents is
	}
	if _, err := c.documents(); err != nil {
		return nil, err
	}
	documents := map[string][]byte{}
	if documents[regime.OwnershipDocument], err = json.Marshal(ownership); err != nil || list.IsPrivate() {
		return documents, err
	}
	documents[regime.ACLDocument], err = list.Encode()
	return documents, err
}

// createdBefore answers for a bucket that is there. In one region creating one's own
// again succeeds, if it would be the same.
func (c *call) createdBefore(info *sherd.BucketInfo, region string, documents map[string][]byte) error {
	switch {
	case !c.owns(info.Owner):
		return fail("BucketAlreadyExists").with("BucketName", c.bucket)
	case region != DefaultRegion || c.regionOf(*info) != region:
		return fail("BucketAlreadyOwnedByYou").with("BucketName", c.bucket)
	}
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	wanted := acl.Private(bucket.Info.Owner)
	if data := documents[regime.ACLDocument]; data != nil {
		if wanted, err = acl.Decode(data); err != nil {
			return err
		}
	}
	if bucket.Lists() && !slices.Equal(wanted.Grants, bucket.ACL.Grants) {
		return fail("BucketAlreadyExists").with("BucketName", c.bucket)
	}
	return nil
}

// flag reads a header that is true or false, as clients spell it.
func (c *call) flag(name string) (bool, error) {
	switch strings.ToLower(c.Header.Get(name)) {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	default:
		return false, fail("InvalidArgument").with("ArgumentName", strings.ToLower(name)).with("ArgumentValue", c.Header.Get(name))
	}
}

// location reads the optional body of CreateBucket: the region.
func (c *call) location() (string, error) {
	own := cmp.Or(c.opt.Region, DefaultRegion)
	var body wire.CreateBucketConfiguration
	data, err := c.small()
	if err == nil && len(data) > 0 {
		err = c.decodeXML(data, &body)
	}
	switch wanted := body.LocationConstraint; {
	case err != nil || wanted == "" || wanted == own:
		return own, err
	case c.opt.Region != "":
		return "", fail("IllegalLocationConstraintException").with("LocationConstraint", wanted)
	case len(wanted) > 64 || strings.Trim(wanted, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "":
		return "", fail("InvalidLocationConstraint").with("LocationConstraint", wanted)
	default:
		return wanted, nil
	}
}

func (c *call) headBucket() error {
	info, err := c.store.StatBucket(c.ctx(), c.bucket)
	if err != nil {
		return err
	}
	c.w.Header().Set("X-Amz-Bucket-Region", c.regionOf(info))
	c.w.Header().Set("Content-Type", "application/xml")
	return c.empty(http.StatusOK)
}

func (c *call) deleteBucket() error {
	if err := c.hasBuckets(); err != nil {
		return err
	}
	if err := c.Handler.buckets.DeleteBucket(c.ctx(), c.bucket); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func (c *call) getBucketLocation() error {
	info, err := c.store.StatBucket(c.ctx(), c.bucket)
	if err != nil {
		return err
	}
	location := &wire.Location{Namespace: wire.Namespace}
	if region := c.regionOf(info); region != DefaultRegion {
		location.Region = region
	}
	return c.answer(location)
}

func (c *call) getBucketVersioning() error {
	info, err := c.store.StatBucket(c.ctx(), c.bucket)
	if err != nil {
		return err
	}
	result := &wire.VersioningConfiguration{Namespace: wire.Namespace}
	if info.Versioning != versioning.Unversioned {
		result.Status = info.Versioning.String()
	}
	return c.answer(result)
}

func (c *call) putBucketVersioning() error {
	if err := c.hasBuckets(); err != nil {
		return err
	}
	var wanted wire.VersioningConfiguration
	if err := c.document(&wanted); err != nil {
		return err
	}
	if wanted.MFADelete == "Enabled" || c.Header.Get("X-Amz-Mfa") != "" {
		return fail("NotImplemented").with("Header", "x-amz-mfa")
	}
	status, err := versioning.ParseStatus(wanted.Status)
	if err != nil || status == versioning.Unversioned {
		return fail("MalformedXML")
	}
	if err := c.Handler.buckets.SetVersioning(c.ctx(), c.bucket, status); err != nil {
		return err
	}
	return c.empty(http.StatusOK)
}

// regionOf is the region that clients are told of a bucket.
func (c *call) regionOf(info sherd.BucketInfo) string {
	return cmp.Or(info.Region, c.opt.Region, DefaultRegion)
}

// empty answers without a body.
func (c *call) empty(status int) error {
	if status != http.StatusNoContent && c.r.Method != http.MethodHead {
		c.w.Header().Set("Content-Length", "0")
	}
	c.w.WriteHeader(status)
	return nil
}

// number reads a parameter that counts something: from 0, at most the most,
// which a larger one means too; without it, otherwise.
func (c *call) number(name string, otherwise, most int) (int, error) {
	if !c.query.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(c.query.Get(name), 10, 32)
	if err != nil || n < 0 {
		return 0, fail("InvalidArgument").saying("Argument "+name+" must be an integer between 0 and 2147483647").
			with("ArgumentName", name).with("ArgumentValue", c.query.Get(name))
	}
	return min(int(n), most), nil
}

func ownerOf(id, displayName string) wire.Owner { return wire.Owner{ID: id, DisplayName: displayName} }

func pointer[T any](value T) *T { return &value }

// token makes a continuation token of the last name of a page. Clients are to
// take it for opaque.
func token(last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenVersion + last))
}

// tokenVersion begins every token, so that their form can change.
const tokenVersion = "1"

func parseToken(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(data) == 0 || string(data[:1]) != tokenVersion || len(data) > 1+sherd.MaxKeyBytes {
		return "", fail("InvalidArgument").saying("The continuation token provided is incorrect").with("ArgumentName", "continuation-token")
	}
	return string(data[1:]), nil
}

// deleteObjects is authorized key by key.
func (c *call) deleteObjects() error {
	if _, err := c.store.StatBucket(c.ctx(), c.bucket); err != nil {
		return err
	}
	if len(c.Header.Values("Content-Md5")) == 0 {
		request, err := c.checksums()
		if err != nil {
			return err
		}
		if request == nil {
			return fail("InvalidRequest").saying("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
		}
	}
	var wanted wire.Delete
	if err := c.document(&wanted); err != nil {
		return err
	}
	if n := len(wanted.Objects); n == 0 || n > c.opt.Limits.DeleteKeys {
		return fail("MalformedXML")
	}
	result := &wire.DeleteResult{Namespace: wire.Namespace}
	var targets []sherd.DeleteTarget
	for _, one := range wanted.Objects {
		target, err := c.deleteTarget(&one)
		if err != nil {
			result.Errors = append(result.Errors, c.deleteFailure(one.Key, one.VersionID, err))
			continue
		}
		targets = append(targets, target)
	}
	if len(targets) == 0 {
		return c.answer(result)
	}
	for i, outcome := range c.store.DeleteMany(c.ctx(), c.bucket, targets) {
		target := &targets[i]
		switch {
		case outcome.Err != nil:
			result.Errors = append(result.Errors, c.deleteFailure(target.Key, target.VersionID, outcome.Err))
		case !wanted.Quiet:
			result.Deleted = append(result.Deleted, deleted(target, outcome.DeleteResult))
		}
	}
	return c.answer(result)
}

// deleteTarget authorizes and checks one key.
func (c *call) deleteTarget(one *wire.DeleteTarget) (sherd.DeleteTarget, error) {
	target := sherd.DeleteTarget{Key: one.Key}
	action := "s3:DeleteObject"
	if one.VersionID != "" {
		action = "s3:DeleteObjectVersion"
	}
	if err := c.allow(action, Resource{Bucket: c.bucket, Key: one.Key, VersionID: one.VersionID}); err != nil {
		return target, err
	}
	if one.ETag != "" && one.ETag != "*" || one.LastModifiedTime != "" || one.Size != nil {
		if err := c.allow(readAction(one.VersionID != ""), Resource{Bucket: c.bucket, Key: one.Key, VersionID: one.VersionID}); err != nil {
			return target, err
		}
	}
	if c.bypass() {
		if err := c.allow("s3:BypassGovernanceRetention", Resource{Bucket: c.bucket, Key: one.Key, VersionID: one.VersionID}); err != nil {
			return target, err
		}
	}
	switch ok, long := wire.ValidKey(one.Key); {
	case long:
		return target, fail("KeyTooLongError")
	case !ok:
		return target, fail("InvalidArgument")
	}
	size := ""
	if one.Size != nil {
		size = strconv.FormatInt(*one.Size, 10)
	}
	conditions, err := deleteConditions(one.ETag, one.LastModifiedTime, size)
	target.DeleteOptions = sherd.DeleteOptions{VersionID: one.VersionID, Bypass: c.bypass(), Conditions: conditions}
	return target, err
}

func (c *call) deleteFailure(key, versionID string, err error) wire.DeleteFailure {
	answer := answerTo(err)
	if answer.Status() >= http.StatusInternalServerError {
		c.log(answer, answer.Status())
	}
	return wire.DeleteFailure{
		Key: key, VersionID: versionID, Code: answer.Code, Message: cmp.Or(answer.Message, table[answer.Code].message),
	}
}

func deleted(target *sherd.DeleteTarget, result sherd.DeleteResult) wire.Deleted {
	out := wire.Deleted{Key: target.Key, VersionID: target.VersionID, DeleteMarker: result.Marker}
	if result.Marker {
		out.DeleteMarkerVersionID = result.VersionID
	}
	return out
}

func (c *call) getRequestPayment() error {
	if _, err := c.store.StatBucket(c.ctx(), c.bucket); err != nil {
		return err
	}
	return c.answer(&wire.RequestPayment{Namespace: wire.Namespace, Payer: "BucketOwner"})
}

// unset answers a configuration that no bucket has: with its empty document.
func unset(document string) func(*call) error {
	return func(c *call) error {
		if _, err := c.store.StatBucket(c.ctx(), c.bucket); err != nil {
			return err
		}
		return c.answer(&wire.Unset{XMLName: xml.Name{Local: document}, Namespace: wire.Namespace})
	}
}

// missing likewise answers with the error that says that there is none.
func missing(code string) func(*call) error {
	return func(c *call) error {
		if _, err := c.store.StatBucket(c.ctx(), c.bucket); err != nil {
			return err
		}
		return fail(code).with("BucketName", c.bucket)
	}
}

func (c *call) getLifecycle() error {
	data, err := c.configuration(lifecycle.Document, "NoSuchLifecycleConfiguration")
	if err != nil {
		return err
	}
	rules, err := lifecycle.Parse(data)
	if err != nil {
		return err
	}
	c.w.Header().Set(headerMinimum, rules.Minimum)
	rules.Minimum = ""
	return c.answer(rules)
}

func (c *call) putLifecycle() error {
	data, err := c.small()
	if err != nil {
		return err
	}
	rules, err := lifecycle.Parse(data)
	wrong, ok := errors.AsType[*lifecycle.Error](err)
	switch {
	case ok:
		return fail(wrong.Code).saying(wrong.Message)
	case errors.Is(err, lifecycle.ErrMalformed):
		return fail("MalformedXML").because(err)
	case err != nil:
		return err
	}
	switch minimum := c.Header.Get(headerMinimum); minimum {
	case "", "all_storage_classes_128K", "varies_by_storage_class":
		rules.Minimum = cmp.Or(minimum, "all_storage_classes_128K")
	default:
		return fail("InvalidArgument").with("ArgumentName", headerMinimum).with("ArgumentValue", minimum)
	}
	if data, err = rules.Marshal(); err != nil {
		return err
	}
	c.w.Header().Set(headerMinimum, rules.Minimum)
	return c.configure(lifecycle.Document, data, http.StatusOK)
}

func (c *call) deleteLifecycle() error { return c.forget(lifecycle.Document) }

// expires tells when the rules of the bucket let the current version of an object
// expire.
func (c *call) expires(info *sherd.ObjectInfo) {
	documents, ok := c.store.(Documents)
	if !ok || !info.Latest || info.DeleteMarker {
		return
	}
	bucket, err := c.store.StatBucket(c.ctx(), info.Bucket)
	if err != nil {
		return
	}
	rules, err := c.lifecycles.Of(bucket.Name, bucket.Revision, func() ([]byte, error) {
		data, err := documents.Document(c.ctx(), bucket.Name, lifecycle.Document)
		if errors.Is(err, sherd.ErrNoSuchDocument) {
			return nil, nil
		}
		return data, err
	})
	if err != nil || rules == nil { // there are none, or nobody knows them
		return
	}
	due, ok := rules.Expiry(&lifecycle.Object{Key: info.Key, Size: info.Size, Tags: info.Tags, Modified: info.Modified}, lifecycle.Clock{})
	if ok {
		c.w.Header().Set("X-Amz-Expiration", fmt.Sprintf("expiry-date=%q, rule-id=%q", due.At.Format(http.TimeFormat), url.PathEscape(due.Rule)))
	}
}
