package s3api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/cors"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
	"github.com/sherd-storage/sherd/s3api/lifecycle"
)

// corsRules is the document that holds which pages of other sites may talk to the
// bucket: XML, as S3 has it.
const corsRules = "cors"

func (c *call) getBucketCors() error {
	data, err := c.configuration(corsRules, "NoSuchCORSConfiguration")
	if err != nil {
		return err
	}
	rules, err := cors.Parse(data)
	if err != nil {
		return err
	}
	return c.answer(rules)
}

func (c *call) putBucketCors() error {
	data, err := c.small()
	if err != nil {
		return err
	}
	rules, err := cors.Parse(data)
	if wrong, ok := errors.AsType[*cors.Error](err); ok {
		return fail("InvalidRequest").saying(wrong.Message)
	}
	if err != nil {
		return err
	}
	if data, err = wire.Marshal(rules); err != nil {
		return err
	}
	return c.configure(corsRules, data, http.StatusOK)
}

func (c *call) deleteBucketCors() error { return c.forget(corsRules) }

// corsOf gives the rules of the bucket; its error is of the store, or that there
// are none.
func (c *call) corsOf() (*cors.Configuration, error) {
	documents, ok := c.store.(Documents)
	if !ok {
		return nil, sherd.ErrNoSuchDocument
	}
	data, err := documents.Document(c.ctx(), c.bucket, corsRules)
	if err != nil {
		return nil, err
	}
	return c.rules.Of(c.bucket, data)
}

// crossOrigin tells a browser whether the page that asks may see the answer,
// whatever that will be. Who may not is told nothing; the request is answered
// all the same, since only browsers know of pages.
func (c *call) crossOrigin() {
	origins := c.r.Header.Values("Origin")
	if len(origins) != 1 || c.bucket == "" || c.preflights() {
		return
	}
	rules, err := c.corsOf()
	if err != nil { // there are none, or nobody knows them
		return
	}
	c.w.Header().Add("Vary", cors.Vary)
	answer, ok := rules.Allow(&cors.Request{
		Origin: origins[0], Headers: c.r.Header.Values("Access-Control-Request-Headers"),
		Method: cmp.Or(c.r.Header.Get("Access-Control-Request-Method"), c.r.Method),
	})
	if ok {
		answer.Headers(c.w.Header().Set)
	}
}

// preflights says whether a browser asks if it may ask. It has no credentials then,
// and needs none.
func (c *call) preflights() bool {
	return c.operation != nil && c.operation.Method == http.MethodOptions
}

// preflight answers whether a page may send a request (S3, user guide, "How does
// Amazon S3 evaluate the CORS configuration on a bucket").
func (c *call) preflight() error {
	origin, method := c.r.Header.Get("Origin"), c.r.Header.Get("Access-Control-Request-Method")
	switch {
	case origin == "":
		return fail("BadRequest").saying("Insufficient information. Origin request header needed.")
	case !cors.IsMethod(method):
		return fail("BadRequest").saying("Invalid Access-Control-Request-Method: " + cmp.Or(method, "null"))
	}
	resource := "OBJECT"
	if c.level == BucketLevel {
		resource = "BUCKET"
	}
	forbidden := func(message string) error {
		return fail("AccessForbidden").saying("CORSResponse: "+message).with("Method", method).with("ResourceType", resource)
	}
	rules, err := c.corsOf()
	switch {
	case errors.Is(err, sherd.ErrNoSuchBucket):
		return forbidden("Bucket not found")
	case errors.Is(err, sherd.ErrNoSuchDocument):
		return forbidden("CORS is not enabled for this bucket.")
	case err != nil:
		return err
	}
	c.w.Header().Add("Vary", cors.Vary)
	answer, ok := rules.Allow(&cors.Request{Origin: origin, Method: method, Headers: c.r.Header.Values("Access-Control-Request-Headers")})
	if !ok || len(c.r.Header.Values("Origin")) > 1 {
		return forbidden("This CORS request is not allowed. This is usually because the evalution of Origin, request method / " +
			"Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
	}
	answer.Headers(c.w.Header().Set)
	return c.empty(http.StatusOK)
}

// headerMinimum says which objects are too small to be moved to other storage
// classes. There are none here; what was said is given back.
const headerMinimum = "X-Amz-Transition-Default-Minimum-Object-Size"

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
	data, err := documents.Document(c.ctx(), info.Bucket, lifecycle.Document)
	if err != nil { // there are none, or nobody knows them
		return
	}
	rules, err := c.lifecycles.Of(info.Bucket, data)
	if err != nil {
		return
	}
	due, ok := rules.Expiry(&lifecycle.Object{Key: info.Key, Size: info.Size, Tags: info.Tags, Modified: info.Modified}, lifecycle.Clock{})
	if ok {
		c.w.Header().Set("X-Amz-Expiration", fmt.Sprintf("expiry-date=%q, rule-id=%q", due.At.Format(http.TimeFormat), url.PathEscape(due.Rule)))
	}
}
