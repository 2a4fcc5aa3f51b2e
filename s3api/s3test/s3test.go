// Package s3test gives tests an S3 store of their own: in memory, in the same
// process, without a socket, with the engine, the protocol and the errors that a
// server has.
//
//	s3, err := s3test.New(nil)
//	defer s3.Close()
//	client := awss3.New(awss3.Options{
//		BaseEndpoint: aws.String(s3.URL), HTTPClient: s3.Client, Region: s3.Region, UsePathStyle: true,
//		Credentials: credentials.NewStaticCredentialsProvider(s3.AccessKey, s3.SecretKey, ""),
//	})
//
// [Options] has what tests like to have and a real server must not: buckets that
// are there when they are first named, and credentials that nobody checks. None
// of it is meant for anything but tests.
package s3test

import (
	"context"
	"errors"
	"net/http"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/inprocess"
	"github.com/sherd-storage/sherd/s3api/policy"
)

// host is where clients find the store: a name that is nobody's.
const host = "s3.test"

// Options of a store for tests. Nil and the zero value: four drives, credentials
// that are checked, no buckets.
type Options struct {
	// Drives in memory, 1 to sherd.MaxDrives; 0: four.
	Drives int
	// Store has the options of the store; its clock is that of signatures too.
	Store *sherd.Options
	// AnyCredentials accepts every access key with every signature, and allows
	// everything to everybody.
	AnyCredentials bool
	// MakeBuckets makes a bucket when a request that is allowed first names it.
	MakeBuckets bool
	// Observe is told of every request that was answered.
	Observe func(s3api.Exchange)
}

// S3 is a store with its handler and a client of it. Its fields are only read.
type S3 struct {
	URL       string // the endpoint: path style, or buckets as the first part of the host
	Region    string
	AccessKey string // of full access
	SecretKey string
	Client    *http.Client // reaches the handler without a socket
	Handler   http.Handler // to be served elsewhere as well
	Store     *sherd.Store
}

// New makes a store. Close it.
func New(o *Options) (*S3, error) {
	if o == nil {
		o = &Options{}
	}
	drives := o.Drives
	if drives == 0 {
		drives = 4
	}
	store, err := sherd.NewMemory(drives, o.Store)
	if err != nil {
		return nil, err
	}
	s := &S3{
		URL: "http://" + host, Region: s3api.DefaultRegion, AccessKey: "s3test", SecretKey: "s3test-secret-key", Store: store,
	}
	if s.Handler, err = s.handler(o); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.Client = &http.Client{Transport: inprocess.New(s.Handler)}
	return s, nil
}

// Close ends the store. What clients have open ends with it.
func (s *S3) Close() error { return s.Store.Close() }

func (s *S3) handler(o *Options) (http.Handler, error) {
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: s.AccessKey, SecretKey: s.SecretKey, Access: s3api.FullAccess})
	if err != nil {
		return nil, err
	}
	options := &s3api.Options{
		Authenticator: s3api.NewSignatures(keys, ""), Authorizer: keys, Domains: []string{host}, Observe: o.Observe,
	}
	if o.AnyCredentials {
		options.Authenticator, options.Authorizer = s3api.Unchecked(), everything{}
	}
	if !o.MakeBuckets {
		return s3api.New(s.Store, options)
	}
	options.Authorizer = &maker{options.Authorizer, s.Store}
	handler, err := s3api.New(s.Store, options)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), explicitKey{}, new(bool))))
	}), err
}

// explicitKey is the context's key for whether the request itself makes or removes
// a bucket, which may have more actions than that one.
type explicitKey struct{}

// everything is allowed.
type everything struct{}

// Authorize implements s3api.Authorizer.
func (everything) Authorize(context.Context, *s3api.Attempt) (policy.Effect, error) {
	return policy.Allow, nil
}

// maker makes the buckets that allowed requests need, for who makes the request.
type maker struct {
	s3api.Authorizer
	store *sherd.Store
}

// Authorize implements s3api.Authorizer.
func (m *maker) Authorize(ctx context.Context, a *s3api.Attempt) (policy.Effect, error) {
	effect, err := m.Authorizer.Authorize(ctx, a)
	if err != nil || effect != policy.Allow {
		return effect, err
	}
	explicit := ctx.Value(explicitKey{}).(*bool)
	*explicit = *explicit || a.Action == "s3:CreateBucket" || a.Action == "s3:DeleteBucket"
	if a.Resource.Bucket != "" && !*explicit {
		// One that is there already, or can not be, is the handler's to tell.
		_, _ = m.store.CreateBucket(ctx, a.Resource.Bucket, &sherd.BucketOptions{Owner: a.Identity.ID})
	}
	return effect, nil
}
