package s3api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/cors"
	"github.com/sherd-storage/sherd/s3api/internal/form"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// FormAuthenticator is an [Authenticator] that knows who signed a form by which a
// browser uploads an object. Without it such forms answer NotImplemented.
type FormAuthenticator interface {
	// AuthenticateForm is given the request, whose body it must not read, the fields of
	// the form up to the file, and the handler's time. Of what it verified only who
	// sent it is taken; whether the form is as its policy says, and what it says of the
	// object, is the handler's matter.
	AuthenticateForm(r *http.Request, fields FormFields, now time.Time) (*Verified, error)
}

// FormFields are the fields of a form up to its file, by their names in lower
// case.
type FormFields interface {
	Has(name string) bool
	Get(name string) string
}

// AuthenticateForm implements [FormAuthenticator].
func (s *Signatures) AuthenticateForm(r *http.Request, fields FormFields, now time.Time) (*Verified, error) {
	var who Identity
	verifier := s.verifier
	verifier.Secret = func(ctx context.Context, accessKey string) (secret string, err error) {
		secret, who, err = s.keys.Lookup(ctx, accessKey)
		return secret, err
	}
	in, err := verifier.VerifyForm(r, fields, now)
	if err != nil {
		return nil, err
	}
	if verifier.Unchecked && in.AccessKey != "" {
		who = Identity{ID: in.AccessKey, DisplayName: in.AccessKey, AccessKey: in.AccessKey}.complete()
	}
	v := verified(in, who)
	if v.By == ByHeader {
		v.By = ByForm
	}
	return v, nil
}

// isForm says whether the request is a form, and what is between its fields. The
// route was found.
func (c *call) isForm() (boundary string, ok bool) {
	if c.operation == nil || c.operation.Name != "PostObject" {
		return "", false
	}
	if _, able := c.opt.Authenticator.(FormAuthenticator); !able {
		return "", false
	}
	return form.Boundary(c.r.Header.Get("Content-Type"))
}

// authenticateForm is authenticate for a form. It is read up to its file, which
// becomes the body, and its fields become the headers that may be obeyed, once who
// signed its policy is known and it is as that says.
func (c *call) authenticateForm(boundary string) error {
	body := c.r.Body
	if body == nil {
		body = http.NoBody
	}
	f, err := form.Read(body, boundary)
	if err != nil {
		return err
	}
	if !f.Has("key") {
		return fail("InvalidArgument").with("ArgumentName", "key").
			saying("Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.")
	}
	now := c.opt.Clock()
	v, err := c.opt.Authenticator.(FormAuthenticator).AuthenticateForm(c.r, f, now)
	if err != nil {
		return err
	}
	var policy *form.Policy
	if f.Has("policy") {
		if policy, err = form.ParsePolicy(f.Get("policy")); err != nil {
			return refusedForm(err)
		}
		if err := policy.Check(f, c.bucket, now); err != nil {
			return refusedForm(err)
		}
	}
	if bucket := f.Get("bucket"); bucket != "" && bucket != c.bucket {
		return fail("InvalidArgument").with("ArgumentName", "bucket")
	}
	switch ok, long := wire.ValidKey(f.Get("key")); {
	case long:
		return fail("KeyTooLongError")
	case !ok:
		return fail("InvalidArgument").with("ArgumentName", "key")
	}
	if v.Header, err = c.formHeader(f); err != nil {
		return err
	}
	v.Body, v.Size = policy.Limit(f.File, c.opt.Limits.PutBytes), -1
	c.Verified, c.form, c.key = v, f, f.Get("key")
	c.query = nil // nobody signed it, and a form says everything
	return nil
}

// refusedForm is the answer to a form that is not as its policy says, or to a
// policy that says nothing.
func refusedForm(err error) error {
	if _, ok := errors.AsType[*form.PolicyError](err); ok {
		return fail("InvalidPolicyDocument").saying(err.Error())
	}
	if _, ok := errors.AsType[*form.Violation](err); ok {
		return fail("AccessDenied").saying(err.Error())
	}
	size, ok := errors.AsType[*form.SizeError](err)
	switch {
	case !ok:
		return err
	case size.TooLarge:
		return fail("EntityTooLarge").with("ProposedSize", strconv.FormatInt(size.Size, 10)).
			with("MaxSizeAllowed", strconv.FormatInt(size.Bound, 10)).closing()
	default:
		return fail("EntityTooSmall").with("ProposedSize", strconv.FormatInt(size.Size, 10)).
			with("MinSizeAllowed", strconv.FormatInt(size.Bound, 10))
	}
}

// formHeader gives what a form says of the object in the words of headers. Of the
// headers of the request only those are kept that say where it comes from.
func (c *call) formHeader(f *form.Form) (http.Header, error) {
	h := http.Header{}
	for _, name := range [...]string{"User-Agent", "Referer", "Origin"} {
		if values := c.r.Header[name]; len(values) > 0 {
			h[name] = slices.Clone(values)
		}
	}
	for _, name := range [...]string{"If-Match", "If-None-Match"} {
		if c.r.Header.Get(name) != "" {
			return nil, fail("NotImplemented").with("Header", name)
		}
	}
	for _, field := range f.Names() {
		name, value, err := c.formField(field, f.Get(field))
		switch {
		case err != nil:
			return nil, err
		case name == "":
			continue
		case !wire.ValidHeader(name, value) || len(h[name]) > 0:
			return nil, fail("InvalidArgument").with("ArgumentName", field)
		}
		h[name] = []string{value}
	}
	return h, nil
}

// formField gives the header that a field stands for; "" if for none.
func (c *call) formField(field, value string) (name, of string, err error) {
	canonical := http.CanonicalHeaderKey(field)
	switch {
	case field == "acl":
		return "X-Amz-Acl", value, nil
	case field == "tagging":
		value, err = c.formTags(value)
		return "X-Amz-Tagging", value, err
	case field == "x-amz-algorithm", field == "x-amz-credential", field == "x-amz-date", field == "x-amz-signature":
		return "", "", nil
	case strings.HasPrefix(field, "x-amz-copy-source"), field == "x-amz-write-offset-bytes", field == "x-amz-content-sha256",
		field == "x-amz-decoded-content-length", field == "x-amz-trailer":
		return "", "", fail("InvalidArgument").with("ArgumentName", field) // of requests without a form
	case strings.HasPrefix(field, "x-amz-"), field == "content-type", field == "content-md5", slices.Contains(standardHeaders(), canonical):
		return canonical, value, nil
	}
	return "", "", nil
}

// formTags reads the field that has tags as a document, and gives them as the header
// has them.
func (c *call) formTags(value string) (string, error) {
	var wanted wire.Tagging
	if err := c.decodeXML([]byte(value), &wanted); err != nil {
		return "", err
	}
	var pairs []string
	for _, tag := range wanted.Tags.Tags {
		pairs = append(pairs, url.QueryEscape(tag.Key)+"="+url.QueryEscape(tag.Value))
	}
	return strings.Join(pairs, "&"), nil
}

// postObject stores the file of a form (S3, API reference, "POST Object").
func (c *call) postObject() error {
	if c.form == nil {
		if _, ok := form.Boundary(c.r.Header.Get("Content-Type")); ok {
			return fail("NotImplemented").with("Operation", c.operation.Name)
		}
		return fail("PreconditionFailed").with("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
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
		return refusedForm(err)
	}
	c.identify(&info)
	c.encryptedNow(info.Envelope)
	setChecksums(c.w.Header(), info.Checksums)
	return c.answerForm(wire.Quote(info.ETag))
}

// answerForm sends the browser where the form says, or says what the form wants to
// hear.
func (c *call) answerForm(etag string) error {
	h := c.w.Header()
	if to := c.formRedirect(etag); to != "" {
		h.Set("Location", to)
		return c.empty(http.StatusSeeOther)
	}
	location := c.bucketURL() + "/" + sigv4.Escape(c.key, true)
	h.Set("Location", location)
	switch c.form.Get("success_action_status") {
	case "200":
		return c.empty(http.StatusOK)
	case "201":
		return c.answerAs(http.StatusCreated, &wire.PostResponse{Location: location, Bucket: c.bucket, Key: c.key, ETag: etag})
	default:
		return c.empty(http.StatusNoContent)
	}
}

// formRedirect is where the browser is to go on; "" if the form does not say so, or
// names no page.
func (c *call) formRedirect(etag string) string {
	text := c.form.Get("success_action_redirect")
	if text == "" {
		text = c.form.Get("redirect")
	}
	to, err := url.Parse(text)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return ""
	}
	query := "bucket=" + url.QueryEscape(c.bucket) + "&key=" + url.QueryEscape(c.key) + "&etag=" + url.QueryEscape(etag)
	if to.RawQuery != "" {
		query = to.RawQuery + "&" + query
	}
	to.RawQuery = query
	return to.String()
}

// bucketURL is the URL of the bucket, as the client named it.
func (c *call) bucketURL() string {
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.r.Host + c.opt.Prefix + c.inPath()
}

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
