package s3api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

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
	// Region is what clients are told that buckets are in. "": DefaultRegion.
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
	filled.Region = cmp.Or(filled.Region, DefaultRegion)
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
