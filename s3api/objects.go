package s3api

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
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
	if o.Checksum, err = c.checksums(); err != nil {
		return err
	}
	info, err := c.store.Put(c.ctx(), c.bucket, c.key, c.Body, c.Size, o)
	if err != nil {
		return err
	}
	identify(c.w.Header(), &info)
	setChecksums(c.w.Header(), info.Checksums)
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
	if err := c.checkOverrides(); err != nil {
		return nil, err
	}
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
	c.w.WriteHeader(c.present(&object.Info, o, object.Offset, object.Length))
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
	offset, length := int64(0), info.Size
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
		info, offset, length = object.Info, object.Offset, object.Length
		if err := object.Close(); err != nil {
			return err
		}
	}
	c.w.WriteHeader(c.present(&info, o, offset, length))
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
func (c *call) present(info *sherd.ObjectInfo, o *sherd.GetOptions, offset, length int64) int {
	h := c.w.Header()
	describe(h, info)
	for _, name := range overridable() {
		if value := c.query.Get("response-" + strings.ToLower(name)); value != "" {
			h.Set(name, value)
		}
	}
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	if o.Part > 0 && info.Parts > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(info.Parts))
	}
	if o.Range == nil && o.Part == 0 {
		if strings.EqualFold(c.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
			setChecksums(h, info.Checksums)
		}
		return http.StatusOK
	}
	if length > 0 { // no range says that there is nothing, as in a part without bytes
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, info.Size))
	}
	return http.StatusPartialContent
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
		c.allow("s3:ListBucket", Resource{Bucket: of.Bucket}) != nil:
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

// deleteObjects is authorized key by key.
func (c *call) deleteObjects() error {
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
	if _, err := c.store.StatBucket(c.ctx(), c.bucket); err != nil {
		return err
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
