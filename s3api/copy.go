package s3api

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/s3api/internal/sse"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

func (c *call) copyObject() error {
	o, err := c.putOptions()
	if err != nil {
		return err
	}
	options := &sherd.CopyOptions{PutOptions: *o}
	options.Verify = nil
	if options.ReplaceMetadata, err = c.directive("X-Amz-Metadata-Directive"); err != nil {
		return err
	}
	if options.ReplaceTags, err = c.directive("X-Amz-Tagging-Directive"); err != nil {
		return err
	}
	if name := c.Header.Get("X-Amz-Checksum-Algorithm"); name != "" {
		algorithm, err := checksum.ParseAlgorithm(strings.ToUpper(name))
		if err != nil {
			return err
		}
		options.Checksum = &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{algorithm}}
	}
	itself := c.source.Bucket == c.bucket && c.source.Key == c.key && c.source.VersionID == ""
	decrypts := c.Header.Get("X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm") != ""
	if itself && !options.ReplaceMetadata && !options.ReplaceTags && options.Encryption == nil && !decrypts && c.Header.Get("X-Amz-Storage-Class") == "" && options.Checksum == nil {
		return fail("InvalidRequest").saying("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	source, key, err := c.copySource()
	if err != nil {
		return err
	}
	found, err := c.checkSource(key)
	if err != nil {
		return err
	}
	if options.Checksum == nil {
		options.Checksum = ofWhole(found.Checksums)
	}
	c.keepEncryption(options, &source, &found)
	info, err := c.store.Copy(c.ctx(), source, c.bucket, c.key, options)
	if err != nil {
		return err
	}
	c.versions(&info)
	c.encryptedNow(info.Envelope)
	c.expires(&info)
	return c.answer(&wire.CopyResult{
		XMLName: xml.Name{Local: "CopyObjectResult"}, Namespace: wire.Namespace, LastModified: wire.Stamp(info.Modified),
		ETag: wire.Quote(info.ETag), Sums: sumsOf(info.Checksums),
	})
}

// ofWhole asks for checksums of all bytes in the place of those over the checksums of
// parts: a copy was not made of parts. Nil where there are none of these.
func ofWhole(of []sherd.Checksum) *sherd.ChecksumRequest {
	request := &sherd.ChecksumRequest{}
	for _, sum := range of {
		if sum.Type == sherd.Composite {
			request.Algorithms = append(request.Algorithms, sum.Algorithm)
		}
	}
	if request.Algorithms == nil {
		return nil
	}
	return request
}

// checkSource finds the source, and keeps to the size of what one CopyObject copies and
// to its key.
func (c *call) checkSource(key *sse.CustomerKey) (sherd.ObjectInfo, error) {
	info, err := c.store.Stat(c.ctx(), c.source.Bucket, c.source.Key, &sherd.GetOptions{VersionID: c.source.VersionID})
	if err != nil {
		return info, c.unreadable(err, c.sourceResource())
	}
	if info.Size > c.opt.Limits.PutBytes {
		return info, fail("InvalidRequest").saying("The specified copy source is larger than the maximum allowable size for a copy source: " +
			strconv.FormatInt(c.opt.Limits.PutBytes, 10))
	}
	if info.VersionID != "" {
		c.w.Header().Set("X-Amz-Copy-Source-Version-Id", info.VersionID)
	}
	return info, c.checkKey(&info, key)
}

func (c *call) sourceResource() Resource {
	return Resource{c.source.Bucket, c.source.Key, c.source.VersionID}
}

func (c *call) versions(info *sherd.ObjectInfo) {
	if info.VersionID != "" {
		c.w.Header().Set("X-Amz-Version-Id", info.VersionID)
	}
}

// directive says whether a copy brings its own description.
func (c *call) directive(name string) (bool, error) {
	switch c.Header.Get(name) {
	case "REPLACE":
		return true, nil
	case "COPY", "":
		return false, nil
	default:
		return false, fail("InvalidArgument").saying("Unknown directive.").with("ArgumentName", strings.ToLower(name))
	}
}

// storeSource is the source of a copy or a rename, which the header names, with its
// conditions.
func (c *call) storeSource(header string) sherd.Source {
	prefix := header + "-"
	source := sherd.Source{
		Bucket: c.source.Bucket, Key: c.source.Key, VersionID: c.source.VersionID,
		Conditions: sherd.Conditions{
			IfMatch: listed(c.Header, prefix+"If-Match"), IfNoneMatch: listed(c.Header, prefix+"If-None-Match"),
			IfModifiedSince:   httpTime(c.Header.Get(prefix + "If-Modified-Since")),
			IfUnmodifiedSince: httpTime(c.Header.Get(prefix + "If-Unmodified-Since")),
		},
	}
	o := &source.Conditions
	if c.seen != nil && c.seen.on == c.sourceResource() && o.IfMatch == "" && o.IfUnmodifiedSince.IsZero() {
		o.IfMatch = wire.Quote(c.seen.info.ETag) // what was decided about, and nothing that took its place since
	}
	return source
}

// uploadPartCopy reads the source and writes it as a part.
func (c *call) uploadPartCopy() error {
	number, upload, err := c.openPart()
	if err != nil {
		return err
	}
	source, key, err := c.copySource()
	if err != nil {
		return err
	}
	options := &sherd.GetOptions{VersionID: source.VersionID, Conditions: source.Conditions, Key: source.Unlock}
	if header := c.Header.Get("X-Amz-Copy-Source-Range"); header != "" {
		wanted, err := wire.ParseSourceRange(header)
		if err != nil {
			return err
		}
		options.Range = storeRange(wanted)
	}
	object, err := c.store.Get(c.ctx(), source.Bucket, source.Key, options)
	if errors.Is(err, sherd.ErrNotModified) {
		return fail("PreconditionFailed")
	}
	if err != nil {
		return c.unreadable(err, c.sourceResource())
	}
	defer object.Close()
	if object.Info.Envelope == nil && key != nil {
		return misplaced(key)
	}
	if options.Range != nil && options.Range.End >= object.Info.Size {
		return fail("InvalidRange").with("ActualObjectSize", strconv.FormatInt(object.Info.Size, 10))
	}
	if object.Length > c.opt.Limits.PutBytes {
		return fail("InvalidRequest").saying("The specified copy source is larger than the maximum allowable size for a copy source: " +
			strconv.FormatInt(c.opt.Limits.PutBytes, 10))
	}
	part := &sherd.PartOptions{MD5: true}
	if part.Encryption, err = c.partEncryption(&upload); err != nil {
		return err
	}
	part.Checksum = partChecksum(&upload, part.Encryption)
	info, err := c.Handler.uploads.PutPart(c.ctx(), c.bucket, c.key, upload.ID, number, object, object.Length, part)
	if err != nil {
		return err
	}
	if object.Info.VersionID != "" {
		c.w.Header().Set("X-Amz-Copy-Source-Version-Id", object.Info.VersionID)
	}
	c.encrypted(upload.Envelope)
	sums := sumsOf(info.Checksums)
	sums.Type = ""
	return c.answer(&wire.CopyResult{
		XMLName: xml.Name{Local: "CopyPartResult"}, Namespace: wire.Namespace, LastModified: wire.Stamp(info.Modified),
		ETag: wire.Quote(info.ETag), Sums: sums,
	})
}

// Appender is a store that adds to the end of objects.
type Appender interface {
	Append(ctx context.Context, bucket, key string, body io.Reader, size, offset int64, o *sherd.PutOptions) (sherd.ObjectInfo, error)
}

// headerOffset makes a PUT an append, and says where.
const headerOffset = "X-Amz-Write-Offset-Bytes"

// appendObject adds the body to the end of an object (S3, user guide, "Appending
// data to objects in directory buckets"), in any bucket.
func (c *call) appendObject() error {
	store, ok := c.store.(Appender)
	if !ok {
		return fail("NotImplemented").with("Header", headerOffset)
	}
	if err := c.checkBody(); err != nil {
		return err
	}
	offset, err := strconv.ParseInt(c.Header.Get(headerOffset), 10, 64)
	if err != nil || offset < 0 {
		return fail("InvalidArgument").with("ArgumentName", strings.ToLower(headerOffset)).with("ArgumentValue", c.Header.Get(headerOffset))
	}
	if c.Size == 0 {
		return fail("InvalidRequest").saying("Request body cannot be empty when 'write offset' is specified.")
	}
	o, err := c.putOptions()
	if err != nil {
		return err
	}
	if o.ContentMD5, err = c.contentMD5(); err != nil {
		return err
	}
	if err := c.encryptMore(o); err != nil {
		return err
	}
	if o.Checksum, err = c.storedChecksums(o.Encryption); err != nil {
		return err
	}
	info, err := store.Append(c.ctx(), c.bucket, c.key, c.Body, c.Size, offset, o)
	if err != nil {
		return err
	}
	c.identify(&info)
	setChecksums(c.w.Header(), info.Checksums)
	c.expires(&info)
	c.w.Header().Set("X-Amz-Object-Size", strconv.FormatInt(info.Size, 10))
	return c.empty(http.StatusOK)
}

// Renamer is a store that gives objects other keys.
type Renamer interface {
	Rename(ctx context.Context, bucket, from, to string, o *sherd.RenameOptions) (sherd.ObjectInfo, error)
}

// headerRenameSource names the key of the object that is renamed.
const headerRenameSource = "X-Amz-Rename-Source"

// renameSource reads it: the key, escaped, with or without a slash before it.
func (c *call) renameSource() error {
	key, err := url.PathUnescape(strings.TrimPrefix(c.Header.Get(headerRenameSource), "/"))
	ok, long := wire.ValidKey(key)
	switch {
	case long:
		return fail("KeyTooLongError")
	case err != nil || !ok:
		return fail("InvalidArgument").with("ArgumentName", strings.ToLower(headerRenameSource))
	}
	c.source = wire.Source{Bucket: c.bucket, Key: key}
	return nil
}

// authorizeRename asks for what a rename does beyond writing at its key.
func (c *call) authorizeRename() error {
	if err := c.renameSource(); err != nil {
		return err
	}
	if err := c.allow("s3:DeleteObject", c.sourceResource()); err != nil {
		return err
	}
	if err := c.allow(readAction(false), c.sourceResource()); err != nil || !c.judges() {
		return err
	}
	return c.allow(readAction(false), c.resource())
}

// judges says whether conditions of a rename tell more of what stands at its key
// than that something does.
func (c *call) judges() bool {
	none := listed(c.Header, "If-None-Match")
	return none != "" && none != "*" || c.Header.Get("If-Modified-Since") != "" || c.Header.Get("If-Unmodified-Since") != ""
}

// renameObject gives an object of the bucket this key (S3, API reference,
// RenameObject), in any bucket. It has authorized that the source is read and
// deleted.
func (c *call) renameObject() error {
	store, ok := c.store.(Renamer)
	if !ok {
		return fail("NotImplemented")
	}
	if c.source.Key == c.key {
		return fail("InvalidRequest").saying("The source and the destination of a rename are the same.")
	}
	asked := rename{c.bucket, c.source.Key, c.key}
	token := c.Header.Get("X-Amz-Client-Token")
	if done, ok := c.renames.done(c.bucket, token); ok {
		if done != asked {
			return fail("IdempotencyParameterMismatch")
		}
		return c.empty(http.StatusOK)
	}
	source := c.storeSource(headerRenameSource)
	o := &sherd.RenameOptions{Source: source.Conditions, Destination: readConditions(c.Header)}
	if _, err := store.Rename(c.ctx(), c.bucket, c.source.Key, c.key, o); err != nil {
		return c.unreadable(err, c.sourceResource())
	}
	c.renames.remember(token, asked)
	return c.empty(http.StatusOK)
}

// rename is one that was made.
type rename struct{ bucket, from, to string }

// maxRenames is how many are remembered; beyond, all are forgotten.
const maxRenames = 10_000

// renames remembers those that clients gave a token, so that a client that did not
// get the answer may ask again. The zero renames is empty.
type renames struct {
	mu      sync.Mutex
	byToken map[[2]string]rename // by bucket and token
}

func (r *renames) done(bucket, token string) (rename, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one, ok := r.byToken[[2]string{bucket, token}]
	return one, ok
}

func (r *renames) remember(token string, one rename) {
	if token == "" || len(token) > 64 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byToken == nil || len(r.byToken) >= maxRenames {
		r.byToken = map[[2]string]rename{}
	}
	r.byToken[[2]string{one.bucket, token}] = one
}
