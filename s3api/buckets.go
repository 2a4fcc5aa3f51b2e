package s3api

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
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
	prefix := c.query.Get("prefix")
	if prefix != "" {
		result.Prefix = pointer(prefix)
	}
	for info, err := range c.Handler.buckets.ListBuckets(c.ctx(), &sherd.ListBucketsOptions{Prefix: prefix, StartAfter: after}) {
		if err != nil {
			return err
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
	if err := errors.Join(c.hasBuckets(), c.checkUnbuilt()); err != nil {
		return err
	}
	if ownership := c.Header.Get("X-Amz-Object-Ownership"); ownership != "" && ownership != "BucketOwnerEnforced" {
		return fail("NotImplemented").with("Header", "x-amz-object-ownership")
	}
	locked, err := c.flag("X-Amz-Bucket-Object-Lock-Enabled")
	if err != nil {
		return err
	}
	region, err := c.location()
	if err != nil {
		return err
	}
	info, err := c.Handler.buckets.CreateBucket(c.ctx(), c.bucket, &sherd.BucketOptions{
		ObjectLock: locked, Owner: c.Identity.ID, Region: region,
	})
	switch {
	case errors.Is(err, sherd.ErrBucketExists) && info.Owner != c.Identity.ID:
		return fail("BucketAlreadyExists").with("BucketName", c.bucket)
	case errors.Is(err, sherd.ErrBucketExists) && c.opt.Region != DefaultRegion:
		return fail("BucketAlreadyOwnedByYou").with("BucketName", c.bucket)
	case err != nil && !errors.Is(err, sherd.ErrBucketExists):
		return err
	}
	c.w.Header().Set("Location", "/"+c.bucket)
	return c.empty(http.StatusOK)
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

// location reads the optional body of CreateBucket.
func (c *call) location() (string, error) {
	data, err := c.small()
	if err != nil || len(data) == 0 {
		return c.opt.Region, err
	}
	var wanted wire.CreateBucketConfiguration
	if err := c.decodeXML(data, &wanted); err != nil {
		return "", err
	}
	if wanted.LocationConstraint != "" && wanted.LocationConstraint != c.opt.Region {
		return "", fail("IllegalLocationConstraintException").with("LocationConstraint", wanted.LocationConstraint)
	}
	return c.opt.Region, nil
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
	if info.Region == "" {
		return c.opt.Region
	}
	return info.Region
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
