// Package s3api speaks the S3 protocol over a store: [New] gives an
// http.Handler that opens no port, has no credentials of its own and logs only
// to the logger that it is given.
//
//	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: key, SecretKey: secret, Access: s3api.FullAccess})
//	handler, err := s3api.New(store, &s3api.Options{
//		Authenticator: s3api.NewSigV4(keys, ""),
//		Authorizer:    keys,
//	})
//
// # How a request passes
//
// Every request goes one way: it is routed by one table ([Operations]),
// authenticated, authorized, decoded, given to the store, and answered. One
// place authenticates: what comes out of it is a [Verified] request, and nothing
// behind it looks at a signature or at the encoding of a body. Permission is
// asked for before anything of the store is, so that an answer to somebody who
// may not do a thing says nothing about what exists. An operation of S3 that is
// not built answers NotImplemented, after authentication and authorization.
//
// # What is guaranteed
//
//   - Without an [Authenticator] and an [Authorizer] there is no handler, and
//     what nobody allowed is denied.
//   - A body that is not the one that was signed, announced or summed up never
//     becomes an object or a part, and replaces none. Bodies are read once, in
//     bounded memory, whatever their size and that of their chunks.
//   - Every header that begins with x-amz-, and Content-MD5 and
//     Host, must be signed where it is present, in presigned requests too. Version 2
//     signs no host and not every parameter: an operation that a parameter selects
//     which it does not sign is refused.
//   - A header that would change how an object is stored is obeyed or refused,
//     never ignored.
//   - A read that fails after its answer began ends the connection, so that no
//     client takes a part for the whole.
//   - Secrets are in no answer, no error and no log.
//
// # What is not
//
// There are no policies, no access control lists and no encryption on the server
// yet; what asks for them is refused. A client that is slow in the middle of a
// body or of an answer is [Options].Patience's matter; idle connections and slow
// headers are the http.Server's: set its IdleTimeout and ReadHeaderTimeout. The
// path must reach the handler as it was sent: http.ServeMux redirects paths with "//"
// or "..", which are good keys here, so mount the handler as the server's own,
// or below a prefix with something that does not clean paths.
//
// Keys may have characters that XML 1.0 has no way to write, such as U+0001. They
// are U+FFFD in documents, which stay well formed but then do not tell such keys
// apart, nor give markers that can be gone on with: who has such keys lists with
// encoding-type=url, as S3 asks for, or with ListObjectsV2 and its tokens.
//
// # Concurrency
//
// A [Handler] may be used by any number of goroutines, and several handlers may
// share a store.
package s3api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

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
	if r.ContentLength == 0 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue) // net/http says it when a body is read; clients wait for it where there is none
	}
	begun := h.opt.Clock()
	m := newMeter(w, h.opt.Patience)
	defer m.finish()
	c := &call{Handler: h, w: m, r: m.request(r), requestID: newRequestID()}
	w.Header().Set("Date", begun.UTC().Format(http.TimeFormat))
	w.Header().Set("X-Amz-Request-Id", c.requestID)
	w.Header().Set("X-Amz-Id-2", c.requestID)
	err := c.pass()
	if errors.Is(err, http.ErrAbortHandler) {
		c.log(err, http.StatusOK)
		c.observe(m, begun, err)
		panic(http.ErrAbortHandler) // the answer has begun: what is missing of it must not look like its end
	}
	if err != nil {
		c.refuse(answerTo(err))
	}
	c.observe(m, begun, err)
}

// observe tells of the request.
func (c *call) observe(m *meter, begun time.Time, err error) {
	if c.opt.Observe == nil {
		return
	}
	e := Exchange{
		RequestID: c.requestID, Bucket: c.bucket, Key: c.key, Remote: c.r.RemoteAddr, Method: c.r.Method,
		Status: m.status, In: m.body.read.Load(), Out: m.out, Duration: c.opt.Clock().Sub(begun), Err: err,
	}
	if c.operation != nil {
		e.Operation = c.operation.Name
	}
	if c.Verified != nil {
		e.AccessKey = c.Identity.AccessKey
	}
	if err != nil {
		e.Code = answerTo(err).Code
	}
	c.opt.Observe(e)
}

// meter counts what passes, and gives each read and each write of a client its
// time: a whole body has no limit, but who neither sends nor takes anything may
// not keep the buffers of a request. Between two of them there is no deadline: how
// long the store takes is not the client's doing.
type meter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // 0 or less: the server's own limits
	status   int
	body     *meteredBody // nil: the request has none
	out      int64
}

func newMeter(w http.ResponseWriter, patience time.Duration) *meter {
	return &meter{ResponseWriter: w, control: http.NewResponseController(w), patience: patience}
}

// request has the body read through the meter.
func (m *meter) request(r *http.Request) *http.Request {
	m.body = &meteredBody{ReadCloser: r.Body, m: m}
	if r.Body == nil || r.ContentLength == 0 {
		m.body.ended.Store(true)
		return r
	}
	r = r.WithContext(r.Context())
	r.Body = m.body
	return r
}

// deadline gives the next read or write its time. A connection that has no
// deadlines, as one in process, is not waited for with a limit.
func (m *meter) deadline(set func(time.Time) error, after time.Duration) {
	if m.patience > 0 {
		_ = set(time.Now().Add(after))
	}
}

// lift takes the deadline back.
func (m *meter) lift(set func(time.Time) error) {
	if m.patience > 0 {
		_ = set(time.Time{})
	}
}

// WriteHeader implements http.ResponseWriter. A server of HTTP/1 reads what is left
// of the body before it answers, which must not take for ever either.
func (m *meter) WriteHeader(status int) {
	if m.status == 0 {
		m.status = status
	}
	m.ResponseWriter.WriteHeader(status)
	if m.body.ended.Load() || m.patience <= 0 {
		return
	}
	m.body.allowRest()
	m.deadline(m.control.SetWriteDeadline, 2*m.patience) // the reading comes first
	_ = m.control.Flush()                                // who cannot does not wait for it
	m.lift(m.control.SetWriteDeadline)
	m.lift(m.control.SetReadDeadline)
}

// Write implements http.ResponseWriter.
func (m *meter) Write(p []byte) (int, error) {
	m.deadline(m.control.SetWriteDeadline, m.patience)
	n, err := m.ResponseWriter.Write(p)
	m.lift(m.control.SetWriteDeadline)
	m.out += int64(n)
	return n, err
}

// finish gives the server its time for what it still writes and reads.
func (m *meter) finish() {
	m.deadline(m.control.SetWriteDeadline, m.patience)
	if !m.body.ended.Load() {
		m.body.allowRest()
	}
}

// Unwrap is for http.ResponseController.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// meteredBody is the body of a request. The server may read on in it when the
// handler returned.
type meteredBody struct {
	io.ReadCloser
	m      *meter
	read   atomic.Int64
	ended  atomic.Bool // all was read
	failed atomic.Bool
}

// Read implements io.Reader.
func (b *meteredBody) Read(p []byte) (int, error) {
	b.m.deadline(b.m.control.SetReadDeadline, b.m.patience)
	n, err := b.ReadCloser.Read(p)
	b.m.lift(b.m.control.SetReadDeadline)
	b.read.Add(int64(n))
	if err == io.EOF {
		b.ended.Store(true)
	} else if err != nil {
		b.failed.Store(true)
	}
	return n, err
}

// allowRest is for what nobody wants: the client had its time if it was late.
func (b *meteredBody) allowRest() {
	if !b.failed.Load() {
		b.m.deadline(b.m.control.SetReadDeadline, b.m.patience)
	} else if b.m.patience > 0 {
		_ = b.m.control.SetReadDeadline(time.Unix(1, 0))
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
	if err := c.checkSelectors(); err != nil {
		return err
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
	host := bucketIn(c.r.Host, c.opt.Domains)
	c.r = c.r.WithContext(context.WithValue(c.r.Context(), signedPathsKey{}, pathsToSign(c.r.URL, c.opt.Prefix, host)))
	if c.target, err = address(c.r.URL, c.opt.Prefix, host); err != nil {
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

// checkSelectors refuses an operation that somebody else than the signer may have
// selected. What only a value selects is another form of the same answer.
func (c *call) checkSelectors() error {
	for _, selector := range c.operation.Query {
		if !strings.Contains(selector, "=") && slices.Contains(c.Unsigned, selector) {
			return fail("InvalidRequest").saying("This operation needs a signature that covers its query. Please use AWS4-HMAC-SHA256.").
				with("Parameter", selector)
		}
	}
	return nil
}

// authorize asks for every action that the request implies. What is decided key
// by key is nothing for nobody: it would have to be read first.
func (c *call) authorize() error {
	if c.Anonymous && c.operation.Action == "" {
		return fail("AccessDenied")
	}
	for _, action := range c.actions() {
		if err := c.allow(action, c.resource()); err != nil {
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
		{"X-Amz-Acl", "s3:PutObjectAcl"},
	} {
		if c.Header.Get(add.header) != "" {
			actions = append(actions, add.action)
		}
	}
	return actions
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
