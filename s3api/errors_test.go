// Goal: every failure of the layers below is the answer that S3 gives, and a read
// that fails late is not taken for a whole one. Method: a store that fails as it
// is told, and an object that cannot be read to its end.
package s3api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/versioning"
)

// failing is a store whose writes fail, and that has neither buckets nor uploads.
type failing struct {
	s3api.Store
	err error
}

func (f *failing) Put(ctx context.Context, bucket, key string, _ io.Reader, _ int64, _ *sherd.PutOptions) (sherd.ObjectInfo, error) {
	return sherd.ObjectInfo{}, &sherd.Error{Op: "put", Bucket: bucket, Key: key, Err: f.err}
}

func TestErrorsOfTheStore(t *testing.T) {
	store := &failing{}
	h := newHarness(t, nil, func(s *sherd.Store) s3api.Store { store.Store = s; return store })
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{sherd.ErrOutcomeUnknown, 500, "InternalError"},
		{errors.Join(sherd.ErrUnavailable, sherd.ErrOutcomeUnknown), 500, "InternalError"},
		{errors.New("what nobody knows"), 500, "InternalError"},
		{sherd.ErrReadOnly, 503, "ServiceUnavailable"},
		{sherd.ErrUnavailable, 503, "ServiceUnavailable"},
		{sherd.ErrDamaged, 503, "ServiceUnavailable"},
		{sherd.ErrClosed, 503, "ServiceUnavailable"},
		{context.DeadlineExceeded, 503, "ServiceUnavailable"},
		{context.Canceled, 400, "RequestTimeout"},
		{sherd.ErrNoSpace, 507, "InsufficientStorage"},
		{sherd.ErrNoSuchBucket, 404, "NoSuchBucket"},
		{sherd.ErrNoSuchKey, 404, "NoSuchKey"},
		{sherd.ErrNoSuchVersion, 404, "NoSuchVersion"},
		{sherd.ErrNoSuchUpload, 404, "NoSuchUpload"},
		{sherd.ErrDeleteMarker, 405, "MethodNotAllowed"},
		{sherd.ErrBucketExists, 409, "BucketAlreadyExists"},
		{sherd.ErrBucketNotEmpty, 409, "BucketNotEmpty"},
		{sherd.ErrPrecondition, 412, "PreconditionFailed"},
		{sherd.ErrInvalidRange, 416, "InvalidRange"},
		{sherd.ErrInvalidArgument, 400, "InvalidArgument"},
		{sherd.ErrInvalidPart, 400, "InvalidPart"},
		{sherd.ErrPartOrder, 400, "InvalidPartOrder"},
		{sherd.ErrPartTooSmall, 400, "EntityTooSmall"},
		{sherd.ErrTooLarge, 400, "EntityTooLarge"},
		{sherd.ErrShortBody, 400, "IncompleteBody"},
		{sherd.ErrLongBody, 400, "IncompleteBody"},
		{io.ErrUnexpectedEOF, 400, "IncompleteBody"},
		{os.ErrDeadlineExceeded, 400, "RequestTimeout"},
		{errors.Join(sherd.ErrDamaged, io.ErrUnexpectedEOF), 503, "ServiceUnavailable"},
		{sherd.ErrBadDigest, 400, "BadDigest"},
		{sherd.ErrLocked, 403, "AccessDenied"},
		{lock.ErrNotEnabled, 400, "InvalidRequest"},
		{lock.ErrInvalidRetention, 400, "InvalidArgument"},
		{versioning.ErrObjectLock, 409, "InvalidBucketState"},
		{versioning.ErrID, 400, "InvalidArgument"},
		{&s3api.Error{Code: "SlowDownPlease"}, 500, "InternalError"},
		{&s3api.Error{Code: "AccessDenied", Message: "Not today", Err: errBroken}, 403, "AccessDenied"},
	} {
		h.log.Reset()
		store.err = fmt.Errorf("wrapped: %w", c.err)
		a := h.do(request{method: "PUT", path: "/bucket/a", body: "x"})
		require.Equal(t, c.status, a.status, "%v: %s", c.err, a.body)
		require.Equal(t, c.code, a.code, c.err)
		require.NotContains(t, a.body, "wrapped", "the cause is for the log")
		require.Equal(t, c.status == 503, a.header.Get("Retry-After") != "", c.err)
		require.Equal(t, c.status >= 500, strings.Contains(h.log.String(), "wrapped"), c.err)
	}
}

func TestCodes(t *testing.T) {
	for _, code := range s3api.Codes() {
		e := &s3api.Error{Code: code, Err: errBroken}
		require.GreaterOrEqual(t, e.Status(), 300, code)
		require.Less(t, e.Status(), 600, code)
		require.ErrorIs(t, e, errBroken)
		require.Regexp(t, "^"+code+": [A-Z]", e.Error())
	}
	require.Equal(t, 500, (&s3api.Error{Code: "Nothing"}).Status())
}

func TestStoreWithObjectsOnly(t *testing.T) {
	h := newHarness(t, nil, func(s *sherd.Store) s3api.Store { return struct{ s3api.Store }{s} })
	for _, q := range []request{
		{method: "GET", path: "/"}, {method: "PUT", path: "/other"}, {method: "DELETE", path: "/bucket"},
		{method: "POST", path: "/bucket/a?uploads"}, {method: "PUT", path: "/bucket/a?partNumber=1&uploadId=x"},
		{method: "GET", path: "/bucket?uploads"}, {method: "GET", path: "/bucket/a?uploadId=x"},
		{method: "DELETE", path: "/bucket/a?uploadId=x"}, {method: "POST", path: "/bucket/a?uploadId=x"},
	} {
		require.Equal(t, "NotImplemented", h.do(q).code, "%s %s", q.method, q.path)
	}
	h.put("/bucket/a", "x")
	require.Equal(t, "x", h.get("/bucket/a").body)
}

// cut is a client that goes away while it is answered.
type cut struct {
	*httptest.ResponseRecorder
	cancel context.CancelFunc
}

var errGone = errors.New("gone")

func (c *cut) Write([]byte) (int, error) {
	c.cancel()
	return 0, errGone
}

func TestReadThatBreaksOffAbortsTheConnection(t *testing.T) {
	var seen s3api.Exchange
	h := newHarness(t, func(o *s3api.Options) { o.Observe = func(x s3api.Exchange) { seen = x } }, nil)
	h.put("/bucket/a", strings.Repeat("x", 1<<20))
	for _, path := range []string{"/bucket/a", "/bucket"} {
		ctx, cancel := context.WithCancel(t.Context())
		for _, c := range []struct {
			left func()
			code string
		}{{func() {}, "InternalError"}, {cancel, "RequestTimeout"}} {
			w := &cut{httptest.NewRecorder(), c.left}
			r := request{method: "GET", path: path}.build(t).WithContext(ctx)
			require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.handler.ServeHTTP(w, r) })
			require.ErrorIs(t, seen.Err, errGone)
			require.Equal(t, c.code, seen.Code, path)
		}
	}
}
