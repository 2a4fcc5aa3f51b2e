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
// behind it looks at a signature or at the encoding of a body. One place
// authorizes: what the [Authorizer] says of the sender and what the bucket's policy,
// access control lists and public access block say go together there, before
// anything is done, so that an answer to somebody who may not do a thing says
// nothing about what exists in a bucket. An operation of S3 that is
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
//   - Secrets are in no answer, no error and no log, and keys of customers (SSE-C) are
//     stored nowhere.
//
// # What is not
//
// A bucket encrypts nothing that does not ask for it, unless it is configured. A
// client that is slow in the middle of a body or of an answer is [Options].Patience's matter; idle connections and slow
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
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/cors"
	"github.com/sherd-storage/sherd/s3api/internal/form"
	"github.com/sherd-storage/sherd/s3api/internal/meter"
	"github.com/sherd-storage/sherd/s3api/internal/regime"
	"github.com/sherd-storage/sherd/s3api/internal/signature"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
	"github.com/sherd-storage/sherd/s3api/internal/sse"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
	"github.com/sherd-storage/sherd/s3api/lifecycle"
	"github.com/sherd-storage/sherd/versioning"
)

// Handler answers S3 requests; make it with [New].
type Handler struct {
	store      Store
	buckets    Buckets // nil: the store has none
	uploads    Uploads // nil: the store has none
	opt        *Options
	router     router
	known      regime.Known
	rules      cors.Cache
	lifecycles lifecycle.Cache
	renames    renames
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
	form      *form.Form       // that was posted, up to its file; nil: none
	source    wire.Source      // of a copy
	customer  *sse.CustomerKey // of the object that is written or read; nil: none came
	seen      *seen            // the object that was last decided about
	whole     *[]byte          // a small body, once it was read
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue) // net/http says it when a body is read; clients wait for it where there is none
	}
	begun := h.opt.Clock()
	m := meter.New(w, h.opt.Patience)
	defer m.Finish()
	c := &call{Handler: h, w: m, r: m.Request(r), requestID: newRequestID()}
	w.Header().Set("Date", begun.UTC().Format(http.TimeFormat))
	w.Header().Set("X-Amz-Request-Id", c.requestID)
	w.Header().Set("X-Amz-Id-2", c.requestID)
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close") // RFC 9112, 6.3: a length may have been beside it, which net/http does not tell
	}
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
func (c *call) observe(m *meter.Meter, begun time.Time, err error) {
	if c.opt.Observe == nil {
		return
	}
	e := Exchange{
		RequestID: c.requestID, Bucket: c.bucket, Key: c.key, Remote: c.r.RemoteAddr, Method: c.r.Method,
		Status: m.Status(), In: m.In(), Out: m.Out(), Duration: c.opt.Clock().Sub(begun), Err: err,
	}
	if c.operation != nil {
		e.Operation = c.operation.Name
	}
	if c.Verified != nil {
		e.AccessKey = c.Identity.AccessKey
	}
	if err != nil {
		e.Code = c.codeOf(err)
	}
	c.opt.Observe(e)
}

// pass is the way of every request.
func (c *call) pass() error {
	routeErr := c.route()
	c.crossOrigin()
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
	if c.query, err = sigv4.ParseQuery(c.r.URL.RawQuery, signature.MaxParameters); err != nil {
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
	if c.preflights() {
		c.Verified = &Verified{Anonymous: true, Header: http.Header{}, Body: http.NoBody}
		return nil
	}
	if boundary, ok := c.isForm(); ok {
		return c.authenticateForm(boundary)
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
func (c *call) answer(document any) error { return c.answerAs(http.StatusOK, document) }

func (c *call) answerAs(status int, document any) error {
	data, err := wire.Marshal(document)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	c.w.WriteHeader(status)
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

// Store is what the handler needs to serve objects; [*sherd.Store] has it. What
// a store has beyond it is found by assertion: [Buckets] and [Uploads]. An
// operation whose methods the store does not have answers NotImplemented.
//
// The handler assumes that a method that gives an error has changed nothing
// unless the error is [sherd.ErrOutcomeUnknown]; that Put and PutPart call
// Verify and Expected after they read the body and before anything is visible;
// and that every method may be called by many goroutines.
type Store interface {
	Now() time.Time
	StatBucket(ctx context.Context, bucket string) (sherd.BucketInfo, error)
	Put(ctx context.Context, bucket, key string, body io.Reader, size int64, o *sherd.PutOptions) (sherd.ObjectInfo, error)
	Get(ctx context.Context, bucket, key string, o *sherd.GetOptions) (*sherd.Object, error)
	Stat(ctx context.Context, bucket, key string, o *sherd.GetOptions) (sherd.ObjectInfo, error)
	Delete(ctx context.Context, bucket, key string, o *sherd.DeleteOptions) (sherd.DeleteResult, error)
	DeleteMany(ctx context.Context, bucket string, targets []sherd.DeleteTarget) []sherd.DeleteOutcome
	Copy(ctx context.Context, source sherd.Source, bucket, key string, o *sherd.CopyOptions) (sherd.ObjectInfo, error)
	List(ctx context.Context, bucket string, o *sherd.ListOptions) iter.Seq2[sherd.ObjectInfo, error]
	ListVersions(ctx context.Context, bucket string, o *sherd.ListVersionsOptions) iter.Seq2[sherd.ObjectInfo, error]
}

// Buckets is a store whose buckets can be listed and changed.
type Buckets interface {
	CreateBucket(ctx context.Context, bucket string, o *sherd.BucketOptions) (sherd.BucketInfo, error)
	DeleteBucket(ctx context.Context, bucket string) error
	ListBuckets(ctx context.Context, o *sherd.ListBucketsOptions) iter.Seq2[sherd.BucketInfo, error]
	SetVersioning(ctx context.Context, bucket string, status versioning.Status) error
}

// Uploads is a store that takes objects in parts.
type Uploads interface {
	CreateUpload(ctx context.Context, bucket, key string, o *sherd.UploadOptions) (sherd.Upload, error)
	StatUpload(ctx context.Context, bucket, key, uploadID string) (sherd.Upload, error)
	PutPart(ctx context.Context, bucket, key, uploadID string, number int, body io.Reader, size int64, o *sherd.PartOptions) (sherd.PartInfo, error)
	CompleteUpload(ctx context.Context, bucket, key, uploadID string, parts []sherd.CompletedPart, o *sherd.CompleteOptions) (sherd.ObjectInfo, error)
	AbortUpload(ctx context.Context, bucket, key, uploadID string) error
	ListUploads(ctx context.Context, bucket string, o *sherd.ListUploadsOptions) iter.Seq2[sherd.Upload, error]
	ListParts(ctx context.Context, bucket, key, uploadID string, after int) iter.Seq2[sherd.PartInfo, error]
}

// DefaultRegion is the region of a handler that is given none. Creating a bucket
// that one already owns succeeds there, as on S3.
const DefaultRegion = "us-east-1"

// Options of a handler.
type Options struct {
	// Authenticator says who sends a request. There is no default: a handler
	// without one is refused.
	Authenticator Authenticator
	// Authorizer says what he may do. Nil: the Authenticator, if it is one,
	// else the handler is refused.
	Authorizer Authorizer
	// Directory knows owners. Nil: the Authorizer, if it is one; else owners have
	// no names, and are all of DefaultAccount.
	Directory Directory
	// TrustedProxies are believed to say in X-Forwarded-For who sends a request, for
	// the condition aws:SourceIp. None: it is the peer of the connection.
	TrustedProxies []netip.Prefix
	// Ownership is that of objects in new buckets whose request says nothing of it.
	// "": BucketOwnerEnforced, which turns access control lists off.
	Ownership Ownership
	// Keys has the master keys of SSE-S3 and SSE-KMS. Nil: what asks for them answers
	// NotImplemented; customers may bring keys all the same (SSE-C).
	Keys KeyService
	// Clock gives the time that signatures are checked against. Nil: that of
	// the store.
	Clock func() time.Time
	// Logger is told of answers of 500 and above. Nil: nothing is logged.
	Logger *slog.Logger
	// Prefix is the path that the handler is mounted under, such as "/s3", and
	// that clients have in their endpoint: signatures cover it, so it must not
	// be stripped before. "": the root.
	Prefix string
	// Domains are hosts below which a bucket may be named: with "s3.example.org"
	// the host "photos.s3.example.org" means the bucket photos. Any other host
	// means what its path says. None: buckets are named by paths alone.
	Domains []string
	// Region is the one that buckets are in. "": that which clients name when they
	// make one, DefaultRegion where they name none.
	Region string
	// Limits of a request; what is 0 has its default.
	Limits Limits
	// Patience is how long a client may take for the next bytes of a body, or to
	// take the next bytes of an answer, where the server can set deadlines. It takes
	// the place of the server's own ReadTimeout of bodies and WriteTimeout, which
	// are for the whole of them. 0: one minute; negative: the server's alone.
	Patience time.Duration
	// Observe is told of every request that was answered, by the goroutine that
	// answered it: for a log of requests, and for metrics. It must be quick and
	// safe for concurrent use. Nil: nobody.
	Observe func(Exchange)
}

// Exchange is a request that was answered.
type Exchange struct {
	RequestID string
	Operation string // of [Operations]; "" if the request asks for none
	Bucket    string
	Key       string
	AccessKey string // "" not known, or anonymous
	Remote    string // the request's RemoteAddr
	Method    string
	Status    int
	Code      string        // of the error; "" none
	In        int64         // bytes of the body that were read
	Out       int64         // bytes of the answer's body that were written
	Duration  time.Duration // by the handler's clock
	Err       error         // what was behind the error; nil none
}

// Limits bounds what one request may have.
type Limits struct {
	Headers      int   // header lines; 0: 200
	XMLBytes     int64 // of a document; 0: 4 MiB
	XMLElements  int   // 0: 100,000
	DeleteKeys   int   // keys of one DeleteObjects; 0: 1,000
	PutBytes     int64 // of one PUT or part; 0: 5 GiB
	MinPartBytes int64 // of a part that is not the last; 0: 5 MiB; negative: none
	Metadata     int64 // bytes of x-amz-meta-: names and values; 0: 2 KiB
}

const (
	xmlDepth      = 8
	maxPage       = 1000 // entries of one answer of a listing
	maxPartNumber = 10_000
)

// fill gives the options with every default in its place, or all that is wrong
// with them.
func (o *Options) fill(store Store) (*Options, error) {
	var filled Options
	if o != nil {
		filled = *o
	}
	var errs []error
	if filled.Authenticator == nil {
		errs = append(errs, errors.New("s3api: an Authenticator is needed: there are no default credentials"))
	}
	if filled.Authorizer == nil {
		both, ok := filled.Authenticator.(Authorizer)
		if !ok {
			errs = append(errs, errors.New("s3api: an Authorizer is needed: nothing is allowed by default"))
		}
		filled.Authorizer = both
	}
	if filled.Directory == nil {
		filled.Directory, _ = filled.Authorizer.(Directory)
	}
	filled.TrustedProxies = slices.Clone(filled.TrustedProxies)
	filled.Ownership = cmp.Or(filled.Ownership, BucketOwnerEnforced)
	if !regime.Ownership(filled.Ownership).Valid() {
		errs = append(errs, fmt.Errorf("s3api: there is no ownership %q", filled.Ownership))
	}
	if store == nil {
		errs = append(errs, errors.New("s3api: a store is needed"))
	} else if filled.Clock == nil {
		filled.Clock = store.Now
	}
	filled.Prefix = strings.TrimSuffix(filled.Prefix, "/")
	if filled.Prefix != "" && filled.Prefix[0] != '/' {
		errs = append(errs, fmt.Errorf("s3api: the prefix %q does not begin with a slash", filled.Prefix))
	}
	filled.Domains = slices.Clone(filled.Domains)
	for i, domain := range filled.Domains {
		filled.Domains[i] = strings.ToLower(strings.Trim(domain, "."))
		if filled.Domains[i] == "" || strings.ContainsAny(domain, "/:") {
			errs = append(errs, fmt.Errorf("s3api: the domain %q is no name of a host", domain))
		}
	}
	slices.SortStableFunc(filled.Domains, func(a, b string) int { return len(b) - len(a) })
	filled.Patience = cmp.Or(filled.Patience, time.Minute)
	if filled.Logger == nil {
		filled.Logger = slog.New(slog.DiscardHandler)
	}
	l := &filled.Limits
	if min(int64(l.Headers), l.XMLBytes, int64(l.XMLElements), int64(l.DeleteKeys), l.PutBytes, l.Metadata) < 0 {
		errs = append(errs, errors.New("s3api: a limit is negative"))
	}
	l.Headers = cmp.Or(l.Headers, 200)
	l.XMLBytes = cmp.Or(l.XMLBytes, 4<<20)
	l.XMLElements = cmp.Or(l.XMLElements, 100_000)
	l.DeleteKeys = cmp.Or(l.DeleteKeys, 1000)
	l.PutBytes = cmp.Or(l.PutBytes, 5<<30)
	l.MinPartBytes = max(0, cmp.Or(l.MinPartBytes, 5<<20))
	l.Metadata = cmp.Or(l.Metadata, 2<<10)
	return &filled, errors.Join(errs...)
}
