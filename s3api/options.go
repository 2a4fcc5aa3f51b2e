package s3api

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

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
	// Region is what clients are told that buckets are in. "": DefaultRegion.
	Region string
	// Limits of a request; what is 0 has its default.
	Limits Limits
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
