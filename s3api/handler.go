package s3api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// Handler answers S3 requests; make it with [New].
type Handler struct {
	store   Store
	buckets Buckets // nil: the store has none
	uploads Uploads // nil: the store has none
	opt     *Options
	router  router
}

// New gives a handler over a store. It refuses options without an Authenticator,
// and reports everything that is wrong with them.
func New(store Store, o *Options) (*Handler, error) {
	filled, err := o.fill(store)
	if err != nil {
		return nil, err
	}
	h := &Handler{store: store, opt: filled, router: newRouter()}
	h.buckets, _ = store.(Buckets)
	h.uploads, _ = store.(Uploads)
	return h, nil
}

// call is one request on its way.
type call struct {
	*Handler
	*Verified // nil until the request was authenticated
	target

	w         http.ResponseWriter
	r         *http.Request
	requestID string
	query     sigv4.Query
	operation *Operation
	source    wire.Source // of a copy
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Handler: h, w: w, r: r, requestID: newRequestID()}
	w.Header().Set("X-Amz-Request-Id", c.requestID)
	w.Header().Set("X-Amz-Id-2", c.requestID)
	err := c.pass()
	if errors.Is(err, http.ErrAbortHandler) {
		c.log(err, http.StatusOK)
		panic(http.ErrAbortHandler) // the answer has begun: what is missing of it must not look like its end
	}
	if err != nil {
		c.refuse(answerTo(err))
	}
}

// pass is the way of every request.
func (c *call) pass() error {
	routeErr := c.route()
	if err := c.authenticate(); err != nil {
		return err
	}
	if routeErr != nil && c.Anonymous {
		return fail("AccessDenied") // what is here and what is not is told to callers that are known
	}
	if routeErr != nil {
		return routeErr
	}
	if err := c.authorize(); err != nil {
		return err
	}
	if c.operation.run == nil {
		return fail("NotImplemented").with("Operation", c.operation.Name)
	}
	if err := c.check(); err != nil {
		return err
	}
	if err := c.checkOwner(); err != nil {
		return err
	}
	return c.operation.run(c)
}

// route says which operation is asked for, and of what.
func (c *call) route() error {
	var err error
	if c.query, err = sigv4.ParseQuery(c.r.URL.RawQuery, maxQueryParameters); err != nil {
		return fail("InvalidURI").because(err)
	}
	if c.target, err = address(c.r.URL, c.opt.Prefix); err != nil {
		return err
	}
	if c.operation = c.router.find(c.r.Method, c.level, c.query, c.r.Header); c.operation == nil {
		return fail("MethodNotAllowed").with("Method", c.r.Method)
	}
	return nil
}

// authenticate is the one place where a request becomes a verified one.
func (c *call) authenticate() error {
	lines := 0
	for _, values := range c.r.Header {
		lines += len(values)
	}
	if lines > c.opt.Limits.Headers {
		return fail("RequestHeaderSectionTooLarge")
	}
	v, err := c.opt.Authenticator.Authenticate(c.r, c.opt.Clock())
	if err != nil {
		return err
	}
	c.Verified = v
	return nil
}

// authorize asks for every action that the request implies. What is decided key
// by key is nothing for nobody: it would have to be read first.
func (c *call) authorize() error {
	if c.Anonymous && c.operation.Action == "" {
		return fail("AccessDenied")
	}
	resource := Resource{Bucket: c.bucket, Key: c.key, VersionID: c.query.Get("versionId")}
	for _, action := range c.actions() {
		if err := c.allow(action, resource); err != nil {
			return err
		}
	}
	if c.operation.Header != headerCopySource {
		return nil
	}
	var err error
	if c.source, err = wire.ParseSource(c.Header.Get(headerCopySource)); err != nil {
		return err
	}
	action := "s3:GetObject"
	if c.source.VersionID != "" {
		action = "s3:GetObjectVersion"
	}
	return c.allow(action, Resource{Bucket: c.source.Bucket, Key: c.source.Key, VersionID: c.source.VersionID})
}

// actions lists that of the operation and those that headers add to it.
func (c *call) actions() []string {
	var actions []string
	switch {
	case c.operation.VersionAction != "" && c.query.Has("versionId"):
		actions = append(actions, c.operation.VersionAction)
	case c.operation.Action != "":
		actions = append(actions, c.operation.Action)
	}
	for _, add := range [...]struct{ header, action string }{
		{"X-Amz-Tagging", "s3:PutObjectTagging"},
		{"X-Amz-Object-Lock-Mode", "s3:PutObjectRetention"},
		{"X-Amz-Object-Lock-Retain-Until-Date", "s3:PutObjectRetention"},
		{"X-Amz-Object-Lock-Legal-Hold", "s3:PutObjectLegalHold"},
		{"X-Amz-Bypass-Governance-Retention", "s3:BypassGovernanceRetention"},
		{"X-Amz-Bucket-Object-Lock-Enabled", "s3:PutBucketObjectLockConfiguration"},
		{"X-Amz-Acl", "s3:PutObjectAcl"},
	} {
		if c.Header.Get(add.header) != "" {
			actions = append(actions, add.action)
		}
	}
	return actions
}

func (c *call) allow(action string, on Resource) error {
	return c.opt.Authorizer.Authorize(c.ctx(), c.Identity, action, on)
}

// checkOwner keeps a request from a bucket that is not whose the client thinks.
func (c *call) checkOwner() error {
	for _, check := range [...]struct{ header, bucket string }{
		{"X-Amz-Expected-Bucket-Owner", c.bucket},
		{"X-Amz-Source-Expected-Bucket-Owner", c.source.Bucket},
	} {
		wanted := c.Header.Get(check.header)
		if wanted == "" || check.bucket == "" {
			continue
		}
		info, err := c.store.StatBucket(c.ctx(), check.bucket)
		if err != nil {
			return err
		}
		if info.Owner != wanted {
			return fail("AccessDenied")
		}
	}
	return nil
}

func (c *call) ctx() context.Context { return c.r.Context() }

// document reads the body of a request as one XML document.
func (c *call) document(v any) error {
	data, err := c.small()
	if err != nil {
		return err
	}
	return c.decodeXML(data, v)
}

func (c *call) decodeXML(data []byte, v any) error {
	limits := wire.Limits{Bytes: c.opt.Limits.XMLBytes, Elements: c.opt.Limits.XMLElements, Depth: xmlDepth}
	return wire.Decode(data, limits, v)
}

// answer writes a document.
func (c *call) answer(document any) error {
	data, err := wire.Marshal(document)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	c.w.WriteHeader(http.StatusOK)
	_, err = c.w.Write(data)
	return aborted(err)
}

// refuse writes an error.
func (c *call) refuse(e *Error) {
	status := e.Status()
	if status >= http.StatusInternalServerError && status != http.StatusNotImplemented {
		c.log(e, status)
	}
	header := c.w.Header()
	for name, value := range e.header {
		header.Set(name, value)
	}
	if e.close {
		header.Set("Connection", "close")
	}
	if c.r.Method == http.MethodHead || status == http.StatusNotModified {
		c.w.WriteHeader(status)
		return
	}
	document := wire.ErrorDocument{
		Code: e.Code, Message: e.Message, Extra: e.extra, Resource: wire.Text(c.r.URL.Path),
		RequestID: c.requestID, HostID: c.requestID,
	}
	if document.Message == "" {
		document.Message = table[e.Code].message
	}
	data, err := wire.Marshal(document)
	if err != nil { // an error document is plain text: this can not be
		c.log(err, status)
		data = nil
	}
	header.Set("Content-Type", "application/xml")
	header.Set("Content-Length", strconv.Itoa(len(data)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(data) // the client has gone: nobody to tell
}

// log tells the operator of a failure that is not the client's doing.
func (c *call) log(err error, status int) {
	level, operation := slog.LevelWarn, ""
	if c.ctx().Err() != nil {
		level = slog.LevelDebug // he went away
	}
	if c.operation != nil {
		operation = c.operation.Name
	}
	c.opt.Logger.LogAttrs(c.ctx(), level, "request failed", slog.String("request", c.requestID),
		slog.String("operation", operation), slog.String("bucket", c.bucket), slog.String("key", c.key),
		slog.Int("status", status), slog.String("error", err.Error()))
}

// aborted makes an error that came after the answer began one that ends the
// connection.
func aborted(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(http.ErrAbortHandler, err)
}

func newRequestID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return strings.ToUpper(hex.EncodeToString(id[:]))
}
