package s3api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/sse"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

func (c *call) putObject() error {
	if err := c.checkBody(); err != nil {
		return err
	}
	o, err := c.putOptions()
	if err != nil {
		return err
	}
	if o.ContentMD5, err = c.contentMD5(); err != nil {
		return err
	}
	if o.Checksum, err = c.storedChecksums(o.Encryption); err != nil {
		return err
	}
	info, err := c.store.Put(c.ctx(), c.bucket, c.key, c.Body, c.Size, o)
	if err != nil {
		return err
	}
	c.identify(&info)
	c.encryptedNow(info.Envelope)
	setChecksums(c.w.Header(), info.Checksums)
	c.expires(&info)
	return c.empty(http.StatusOK)
}

// checkBody says whether a body can be one of an object or a part.
func (c *call) checkBody() error {
	if c.Size < 0 {
		return fail("MissingContentLength")
	}
	if c.Size > c.opt.Limits.PutBytes {
		return fail("EntityTooLarge").with("ProposedSize", strconv.FormatInt(c.Size, 10)).
			with("MaxSizeAllowed", strconv.FormatInt(c.opt.Limits.PutBytes, 10))
	}
	return nil
}

// getOptions reads which version, which bytes, and under which conditions.
func (c *call) getOptions() (*sherd.GetOptions, error) {
	o := &sherd.GetOptions{Conditions: readConditions(c.Header)}
	var err error
	if o.VersionID, err = c.versionID(); err != nil {
		return nil, err
	}
	if err := errors.Join(c.checkOverrides(), sse.RefuseOnRead(c.Header)); err != nil {
		return nil, err
	}
	if c.customer, err = c.customerKey(sse.OfObject); err != nil {
		return nil, err
	}
	o.Key = c.unlock(c.customer)
	o.Range = storeRange(wire.ParseRange(c.Header.Get("Range")))
	if c.query.Has("partNumber") {
		if o.Part, err = c.partNumber(); err != nil {
			return nil, err
		}
		if o.Range != nil {
			return nil, fail("InvalidRequest").saying("Cannot specify both Range header and partNumber query parameter")
		}
	}
	return o, nil
}

// versionID is the version that is named; "" for the latest.
func (c *call) versionID() (string, error) {
	if id := c.query.Get("versionId"); id != "" || !c.query.Has("versionId") {
		return id, nil
	}
	return "", fail("InvalidArgument").saying("Version id cannot be the empty string").with("ArgumentName", "versionId")
}

// storeRange is a range as the store knows it; nil is the whole.
func storeRange(r wire.Range) *sherd.Range {
	switch {
	case !r.Given:
		return nil
	case r.Suffix > 0:
		return &sherd.Range{Start: -min(r.Suffix, sherd.MaxObjectBytes), End: -1}
	case r.Suffix == 0:
		return &sherd.Range{Start: sherd.MaxObjectBytes + 1, End: -1} // no byte: never there
	default:
		return &sherd.Range{Start: min(r.First, sherd.MaxObjectBytes), End: min(r.Last, sherd.MaxObjectBytes)}
	}
}

func (c *call) getObject() error {
	o, err := c.getOptions()
	if err != nil {
		return err
	}
	object, err := c.store.Get(c.ctx(), c.bucket, c.key, o)
	if err == nil && c.stale(o, &object.Info) || err != nil && c.stale(o, foundBy(err)) {
		if object != nil {
			_ = object.Close() // nothing was read
		}
		o.Range = nil
		object, err = c.store.Get(c.ctx(), c.bucket, c.key, o)
	}
	if err != nil {
		return c.unreadable(err, Resource{c.bucket, c.key, o.VersionID})
	}
	defer object.Close()
	if err := c.confirm(&object.Info, Resource{c.bucket, c.key, o.VersionID}); err != nil {
		return err
	}
	if object.Info.Envelope == nil && c.customer != nil {
		return misplaced(c.customer)
	}
	c.w.WriteHeader(c.present(&object.Info, o, &object.Part, object.Offset, object.Length))
	n, err := io.Copy(c.w, object)
	if err == nil && n != object.Length {
		err = fmt.Errorf("%d bytes of %d were read", n, object.Length)
	}
	return aborted(err)
}

func (c *call) headObject() error {
	o, err := c.getOptions()
	if err != nil {
		return err
	}
	resource := Resource{c.bucket, c.key, o.VersionID}
	info, err := c.store.Stat(c.ctx(), c.bucket, c.key, o)
	if err == nil && c.stale(o, &info) || err != nil && c.stale(o, foundBy(err)) {
		o.Range = nil
		info, err = c.store.Stat(c.ctx(), c.bucket, c.key, o)
	}
	if err != nil {
		return c.unreadable(err, resource)
	}
	if err := c.checkKey(&info, c.customer); err != nil {
		return err
	}
	offset, length, part := int64(0), info.Size, sherd.PartInfo{}
	if o.Range != nil {
		if offset, length, err = o.Range.Within(info.Size); err != nil {
			return err
		}
	}
	if o.Part > 0 && info.Parts > 0 {
		// Only opening it tells where a part lies.
		object, err := c.store.Get(c.ctx(), c.bucket, c.key, o)
		if err != nil {
			return c.unreadable(err, resource)
		}
		info, offset, length, part = object.Info, object.Offset, object.Length, object.Part
		if err := object.Close(); err != nil {
			return err
		}
	}
	if err := c.confirm(&info, resource); err != nil {
		return err
	}
	c.w.WriteHeader(c.present(&info, o, &part, offset, length))
	return nil
}

// stale says that the range is not wanted: the object is another one than the
// client has a part of (RFC 9110, section 13.1.5). nil is no object.
func (c *call) stale(o *sherd.GetOptions, info *sherd.ObjectInfo) bool {
	has := c.Header.Get("If-Range")
	if o.Range == nil || has == "" || info == nil {
		return false
	}
	if at := httpTime(has); !at.IsZero() {
		return !at.Equal(info.Modified.Truncate(time.Second))
	}
	return has != wire.Quote(info.ETag)
}

// present sets the headers of an object that is read, and gives the status.
func (c *call) present(info *sherd.ObjectInfo, o *sherd.GetOptions, part *sherd.PartInfo, offset, length int64) int {
	h := c.w.Header()
	c.describe(info)
	c.expires(info)
	for _, name := range overridable() {
		if value := c.query.Get("response-" + strings.ToLower(name)); value != "" {
			h.Set(name, value)
		}
	}
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	if o.Part > 0 && info.Parts > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(info.Parts))
	}
	if strings.EqualFold(c.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		c.setSumsOfRead(info, o, part)
	}
	if o.Range == nil && o.Part == 0 {
		return http.StatusOK
	}
	if length > 0 { // no range says that there is nothing, as in a part without bytes
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, info.Size))
	}
	return http.StatusPartialContent
}

// setSumsOfRead gives the checksums of what is read: the object or one part of it. A
// range has none. Those of a part are said to be of the type of the object's, as on S3.
func (c *call) setSumsOfRead(info *sherd.ObjectInfo, o *sherd.GetOptions, part *sherd.PartInfo) {
	switch {
	case o.Part == 0 && o.Range == nil, o.Part == 1 && info.Parts == 0:
		setChecksums(c.w.Header(), info.Checksums)
	case o.Part > 0 && len(part.Checksums) > 0:
		setChecksums(c.w.Header(), part.Checksums)
		if len(info.Checksums) > 0 {
			c.w.Header().Set(checksumPrefix+"type", info.Checksums[0].Type.String())
		}
	}
}

// overridable headers are replaced by those that the query wants in their place.
func overridable() []string {
	return []string{"Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding"}
}

// checkOverrides comes before anything is said of the object.
func (c *call) checkOverrides() error {
	for _, name := range overridable() {
		value := c.query.Get("response-" + strings.ToLower(name))
		switch {
		case value == "":
		case c.Anonymous:
			return fail("InvalidRequest").saying("Request specific response headers cannot be used for anonymous GET requests.")
		case !wire.ValidValue(value):
			return fail("InvalidArgument").with("ArgumentName", "response-"+strings.ToLower(name))
		}
	}
	return nil
}

// unreadable is the answer to a read, by itself or for a copy, that the store
// refused.
func (c *call) unreadable(err error, of Resource) error {
	answer := answerTo(err)
	info := foundBy(err)
	switch {
	case answer.Status() == http.StatusNotFound && !errors.Is(err, sherd.ErrNoSuchBucket) &&
		!c.mayList(of):
		return fail("AccessDenied") // who may not list may not learn what is missing
	case errors.Is(err, sherd.ErrNoSuchKey):
		answer.with("Key", of.Key)
	case errors.Is(err, sherd.ErrNoSuchVersion):
		answer.with("Key", of.Key).with("VersionId", of.VersionID)
	case errors.Is(err, sherd.ErrDeleteMarker) && c.source.Key != "":
		return fail("InvalidRequest").saying("The source of a copy request may not specifically refer to a delete marker by version id.")
	case errors.Is(err, sherd.ErrDeleteMarker):
		answer.heading("Allow", http.MethodDelete).with("Method", c.r.Method).with("ResourceType", "DeleteMarker")
	case errors.Is(err, sherd.ErrInvalidPart):
		answer = fail("InvalidPart")
		answer.Message = "The requested partnumber is not satisfiable"
	}
	if info == nil || c.source.Key != "" {
		return answer // of a source there is nothing in the headers
	}
	if info.DeleteMarker {
		answer.heading("X-Amz-Delete-Marker", "true")
		if info.VersionID != "" {
			answer.heading("X-Amz-Version-Id", info.VersionID)
		}
		if of.VersionID != "" {
			answer.heading("Last-Modified", info.Modified.UTC().Format(http.TimeFormat))
		}
		return answer
	}
	switch answer.Code {
	case "NotModified":
		answer.heading("Etag", wire.Quote(info.ETag)).heading("Last-Modified", info.Modified.UTC().Format(http.TimeFormat))
		if control := info.Headers["cache-control"]; control != "" {
			answer.heading("Cache-Control", control)
		}
	case "InvalidRange":
		answer.heading("Content-Range", fmt.Sprintf("bytes */%d", info.Size)).
			with("RangeRequested", c.Header.Get("Range")).with("ActualObjectSize", strconv.FormatInt(info.Size, 10))
	}
	return answer
}

// foundBy is what the store found before it refused; nil if it does not say.
func foundBy(err error) *sherd.ObjectInfo {
	if told, ok := errors.AsType[*sherd.Error](err); ok {
		return told.Info
	}
	return nil
}

func (c *call) deleteObject() error {
	o := &sherd.DeleteOptions{Bypass: c.bypass()}
	var err error
	if o.VersionID, err = c.versionID(); err != nil {
		return err
	}
	o.Conditions, err = deleteConditions(listed(c.Header, "If-Match"), c.Header.Get("X-Amz-If-Match-Last-Modified-Time"), c.Header.Get("X-Amz-If-Match-Size"))
	if err != nil {
		return err
	}
	result, err := c.store.Delete(c.ctx(), c.bucket, c.key, o)
	if err != nil {
		return err
	}
	if result.VersionID != "" {
		c.w.Header().Set("X-Amz-Version-Id", result.VersionID)
	}
	if result.Marker {
		c.w.Header().Set("X-Amz-Delete-Marker", "true")
	}
	return c.empty(http.StatusNoContent)
}

// bypass says whether governance retention is to be bypassed; that it may be was
// authorized.
func (c *call) bypass() bool {
	return strings.EqualFold(c.Header.Get("X-Amz-Bypass-Governance-Retention"), "true")
}

func deleteConditions(etag, modified, size string) (sherd.DeleteConditions, error) {
	out := sherd.DeleteConditions{IfMatch: etag}
	if modified != "" {
		t, ok := wire.ParseStamp(modified)
		if !ok {
			return out, fail("InvalidArgument").saying("The last modified time is not valid.")
		}
		out.IfMatchModified = &t
	}
	if size != "" {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil || n < 0 {
			return out, fail("InvalidArgument").saying("The size is not valid.")
		}
		out.IfMatchSize = &n
	}
	return out, nil
}

// PartLister is a store that knows of which parts an object was completed.
type PartLister interface {
	ObjectParts(ctx context.Context, bucket, key string, o *sherd.GetOptions) ([]sherd.PartInfo, error)
}

// getObjectAttributes tells what x-amz-object-attributes asks for.
func (c *call) getObjectAttributes() error {
	wanted, err := attributes(c.Header)
	if err != nil {
		return err
	}
	limit, err := headerNumber(c.Header, "X-Amz-Max-Parts", maxPage, maxPage)
	if err != nil {
		return err
	}
	after, err := headerNumber(c.Header, "X-Amz-Part-Number-Marker", 0, maxPartNumber)
	if err != nil {
		return err
	}
	if c.customer, err = c.customerKey(sse.OfObject); err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	if err := c.checkKey(&info, c.customer); err != nil {
		return err
	}
	c.w.Header().Set("Last-Modified", info.Modified.UTC().Format(http.TimeFormat))
	out := &wire.ObjectAttributes{Namespace: wire.Namespace}
	if wanted["ETag"] {
		out.ETag = info.ETag
	}
	if wanted["StorageClass"] {
		out.StorageClass = storageClassName(info.StorageClass)
	}
	if wanted["ObjectSize"] {
		out.Size = &info.Size
	}
	if sums := sumsOf(info.Checksums); wanted["Checksum"] && sums != (wire.Sums{}) {
		for _, sum := range info.Checksums {
			field := sums.Field(sum.Algorithm.String())
			*field, _, _ = strings.Cut(*field, "-") // how many parts there are is told here with the parts
		}
		out.Checksum = &sums
	}
	if wanted["ObjectParts"] && info.Parts > 0 {
		if out.Parts, err = c.objectParts(&info, limit, after); err != nil {
			return err
		}
	}
	return c.answer(out)
}

// attributes reads the names of what is asked for.
func attributes(h http.Header) (map[string]bool, error) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(listed(h, "X-Amz-Object-Attributes"), ",") {
		switch name = strings.TrimSpace(name); name {
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
			wanted[name] = true
		case "":
		default:
			return nil, fail("InvalidArgument").saying("Invalid attribute name specified.").with("ArgumentName", "x-amz-object-attributes")
		}
	}
	if len(wanted) == 0 {
		return nil, fail("InvalidRequest").saying("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	return wanted, nil
}

// objectParts describes the parts of an object, at most so many after one. As on
// S3, which parts there are is told only of objects whose parts have checksums.
func (c *call) objectParts(info *sherd.ObjectInfo, limit, after int) (*wire.ObjectParts, error) {
	out := &wire.ObjectParts{Count: info.Parts}
	lister, ok := c.store.(PartLister)
	if !ok || len(info.Checksums) == 0 {
		return out, nil
	}
	parts, err := lister.ObjectParts(c.ctx(), c.bucket, c.key, &sherd.GetOptions{VersionID: info.VersionID})
	if err != nil {
		return nil, err
	}
	next, truncated := after, false
	for _, part := range parts {
		if part.Number <= after || limit == 0 {
			continue
		}
		if truncated = len(out.Parts) == limit; truncated {
			break
		}
		one := wire.AttributePart{PartNumber: part.Number, Size: part.Size, Sums: sumsOf(part.Checksums)}
		one.Type = ""
		out.Parts = append(out.Parts, one)
		next = part.Number
	}
	out.IsTruncated, out.MaxParts, out.PartNumberMarker, out.NextPartNumberMarker = &truncated, &limit, &after, &next
	return out, nil
}
