package s3api

import (
	"encoding/xml"
	"strings"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/regime"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// page is what all listings of keys have in common.
type page struct {
	prefix, delimiter string
	limit             int // entries at most
	encoded           bool
	encodingType      string
}

// newPage reads the parameters; limitName is what the limit is called.
func (c *call) newPage(limitName string) (page, error) {
	p := page{prefix: c.query.Get("prefix"), delimiter: c.query.Get("delimiter"), encodingType: c.query.Get("encoding-type")}
	switch p.encodingType {
	case "url":
		p.encoded = true
	case "":
	default:
		return p, fail("InvalidArgument").saying("Invalid Encoding Method specified in Request").
			with("ArgumentName", "encoding-type").with("ArgumentValue", p.encodingType)
	}
	// No object is archived, so the one attribute that there is, RestoreStatus, is
	// nowhere to be given.
	if wanted := c.Header.Get("X-Amz-Optional-Object-Attributes"); wanted != "" && wanted != "RestoreStatus" {
		return p, fail("InvalidArgument").saying("Invalid attribute name specified").
			with("ArgumentName", "x-amz-optional-object-attributes").with("ArgumentValue", wanted)
	}
	var err error
	p.limit, err = c.number(limitName, maxPage, maxPage)
	return p, err
}

// text is a key as the answer has it.
func (p page) text(key string) string {
	if p.encoded {
		return wire.EscapeKey(key)
	}
	return key
}

// optional is text, or nothing for an empty key.
func (p page) optional(key string) *string {
	if key == "" {
		return nil
	}
	return pointer(p.text(key))
}

// contents is a page of objects.
type contents struct {
	objects   []wire.Object
	prefixes  []wire.Prefix
	last      string // the last key or common prefix
	truncated bool
}

// contents reads one page behind a key.
func (c *call) contents(p page, after string, owners *owners) (contents, error) {
	var out contents
	if p.limit == 0 {
		_, err := c.store.StatBucket(c.ctx(), c.bucket)
		return out, err
	}
	options := &sherd.ListOptions{
		Prefix: p.prefix, Delimiter: p.delimiter, StartAfter: rolledUp(p.prefix, p.delimiter, after), Details: owners.differ(),
	}
	for info, err := range c.store.List(c.ctx(), c.bucket, options) {
		if err != nil {
			return out, err
		}
		if len(out.objects)+len(out.prefixes) == p.limit {
			out.truncated = true
			break
		}
		out.last = info.Key
		if info.IsPrefix {
			out.prefixes = append(out.prefixes, wire.Prefix{Prefix: p.text(info.Key)})
			continue
		}
		owner, err := owners.of(info.Owner, info.Access)
		if err != nil {
			return out, err
		}
		out.objects = append(out.objects, wire.Object{
			Key: p.text(info.Key), LastModified: wire.Stamp(info.Modified), ETag: wire.Quote(info.ETag),
			Size: info.Size, StorageClass: storageClassName(info.StorageClass), Owner: owner,
		})
	}
	return out, nil
}

// owners says whose the objects of a bucket are. Nil: it is not to be told.
type owners struct {
	*call
	bucket *regime.Bucket
	all    *wire.Owner // the bucket's owner
}

func (c *call) owners() (*owners, error) {
	bucket, err := c.thisAccess()
	if err != nil {
		return nil, err
	}
	return &owners{c, bucket, pointer(c.ownerOf(bucket.Info.Owner))}, nil
}

// differ says whether objects may be others' than the bucket's owner's.
func (o *owners) differ() bool { return o != nil && o.bucket.Lists() }

// of gives the owner of what somebody wrote: that is he, unless the bucket's owner
// owns all, or was given it.
func (o *owners) of(writer string, document []byte) (*wire.Owner, error) {
	if o == nil {
		return nil, nil
	}
	list, err := o.listOf(writer, document, o.bucket)
	switch {
	case err != nil:
		return nil, err
	case list.Owner == o.bucket.Info.Owner:
		return o.all, nil
	}
	return pointer(o.ownerOf(list.Owner)), nil
}

func (c *call) listObjects() error {
	p, err := c.newPage("max-keys")
	if err != nil {
		return err
	}
	owner, err := c.owners()
	if err != nil {
		return err
	}
	marker := c.query.Get("marker")
	found, err := c.contents(p, marker, owner)
	if err != nil {
		return err
	}
	result := &wire.ListObjects{ // the prefix is not encoded, unlike all else: S3's clients take it so in this version
		Namespace: wire.Namespace, Name: c.bucket, Prefix: p.prefix, Marker: p.text(marker), MaxKeys: p.limit,
		Delimiter: p.optional(p.delimiter), IsTruncated: found.truncated, EncodingType: p.encodingType,
		Contents: found.objects, CommonPrefixes: found.prefixes,
	}
	if found.truncated && p.delimiter != "" {
		result.NextMarker = p.optional(found.last)
	}
	return c.answer(result)
}

func (c *call) listObjectsV2() error {
	p, err := c.newPage("max-keys")
	if err != nil {
		return err
	}
	var owner *owners
	if c.query.Get("fetch-owner") == "true" {
		if owner, err = c.owners(); err != nil {
			return err
		}
	}
	startAfter := c.query.Get("start-after")
	after := startAfter
	result := &wire.ListObjectsV2{
		Namespace: wire.Namespace, Name: c.bucket, Prefix: p.text(p.prefix), MaxKeys: p.limit,
		Delimiter: p.optional(p.delimiter), EncodingType: p.encodingType, StartAfter: p.optional(startAfter),
	}
	if c.query.Has("continuation-token") {
		given := c.query.Get("continuation-token")
		result.ContinuationToken = pointer(given)
		if given != "" {
			after, err = parseToken(given)
		}
		if err != nil {
			return err
		}
	}
	found, err := c.contents(p, after, owner)
	if err != nil {
		return err
	}
	result.Contents, result.CommonPrefixes = found.objects, found.prefixes
	result.KeyCount, result.IsTruncated = len(found.objects)+len(found.prefixes), found.truncated
	if found.truncated {
		result.NextContinuationToken = token(found.last)
	}
	return c.answer(result)
}

func (c *call) listVersions() error {
	p, err := c.newPage("max-keys")
	if err != nil {
		return err
	}
	owner, err := c.owners()
	if err != nil {
		return err
	}
	keyMarker, versionMarker := c.query.Get("key-marker"), c.query.Get("version-id-marker")
	if versionMarker != "" && keyMarker == "" {
		return fail("InvalidArgument").saying("A version-id marker cannot be specified without a key marker.")
	}
	result := &wire.ListVersions{
		Namespace: wire.Namespace, Name: c.bucket, Prefix: p.text(p.prefix), KeyMarker: p.text(keyMarker),
		VersionIDMarker: versionMarker, MaxKeys: p.limit, Delimiter: p.optional(p.delimiter), EncodingType: p.encodingType,
	}
	if p.limit == 0 {
		return c.answer(result)
	}
	options := &sherd.ListVersionsOptions{Prefix: p.prefix, Delimiter: p.delimiter, Details: owner.differ()}
	options.KeyMarker, options.VersionMarker = p.behind(keyMarker, versionMarker)
	var last sherd.ObjectInfo
	for info, err := range c.store.ListVersions(c.ctx(), c.bucket, options) {
		if err != nil {
			return err
		}
		if len(result.Versions)+len(result.CommonPrefixes) == p.limit {
			result.IsTruncated, result.NextKeyMarker = true, p.optional(last.Key)
			if !last.IsPrefix {
				result.NextVersionIDMarker = versionName(&last)
			}
			break
		}
		last = info
		if info.IsPrefix {
			result.CommonPrefixes = append(result.CommonPrefixes, wire.Prefix{Prefix: p.text(info.Key)})
			continue
		}
		whose, err := owner.of(info.Owner, info.Access)
		if err != nil {
			return err
		}
		result.Versions = append(result.Versions, p.version(&info, whose))
	}
	return c.answer(result)
}

// version is one version or delete marker as the answer has it.
func (p page) version(info *sherd.ObjectInfo, owner *wire.Owner) wire.Version {
	v := wire.Version{
		XMLName: xml.Name{Local: "Version"}, Key: p.text(info.Key), VersionID: versionName(info), IsLatest: info.Latest,
		LastModified: wire.Stamp(info.Modified), Owner: owner,
	}
	if info.DeleteMarker {
		v.XMLName.Local = "DeleteMarker"
		return v
	}
	v.ETag, v.Size, v.StorageClass = wire.Quote(info.ETag), &info.Size, storageClassName(info.StorageClass)
	return v
}

// versionName is the id of a version in listings, where those of a bucket that
// was never versioned are null.
func versionName(info *sherd.ObjectInfo) string {
	if info.VersionID == "" {
		return sherd.NullVersionID
	}
	return info.VersionID
}

// behind gives the markers of a listing that has several entries of one key.
func (p page) behind(key, entry string) (string, string) {
	if up := rolledUp(p.prefix, p.delimiter, key); up != key {
		return up, ""
	}
	return key, entry
}

// rolledUp gives the marker of a listing with a delimiter: one that lies within
// a common prefix stands for all of it, which was listed before or is passed over.
func rolledUp(prefix, delimiter, marker string) string {
	if delimiter == "" || !strings.HasPrefix(marker, prefix) {
		return marker
	}
	if i := strings.Index(marker[len(prefix):], delimiter); i >= 0 {
		return marker[:len(prefix)+i+len(delimiter)]
	}
	return marker
}
