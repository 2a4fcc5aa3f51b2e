// Package album is an application in a few lines, which keeps pictures in S3 with
// an AWS SDK, to show how such code is tested: its tests run against a whole S3
// store in their own process, without a container, a port or a network. All that
// the application does for it is to take its *s3.Client from outside.
//
// # A store for a test
//
// s3test.New opens one in memory in a few milliseconds, the same engine and the
// same protocol that a server has; its Client is an *http.Client that reaches it
// without a socket, for any SDK that takes one:
//
//	store, err := s3test.New(nil)
//	client := s3.New(s3.Options{
//		BaseEndpoint: &store.URL, HTTPClient: store.Client, Region: store.Region,
//		Credentials: credentials.NewStaticCredentialsProvider(store.AccessKey, store.SecretKey, ""),
//	})
//
// Path style and buckets as part of the host both work. Over the http:// of URL the
// SDK sends its checksum (CRC32, unless told otherwise) in a header, and so needs
// a body that it can seek in; with https:// before the same host it sends it behind
// the body, as it does to S3 itself, and takes any io.Reader whose length it is told.
// No certificates are involved in that: there is no connection.
//
// # From gofakes3
//
// What was there, and is here:
//
//   - s3mem.New, gofakes3.New, Server and httptest.NewServer: s3test.New. Where a port is
//     needed, as for another process, httptest.NewServer(store.Handler) has one.
//   - WithAutoBucket(true): Options.MakeBuckets.
//   - WithTimeSource: Options.Store.Clock, which retention and presigned URLs follow. An
//     SDK goes on signing by the machine's clock; where the two are more than 15 minutes
//     apart set AnyCredentials.
//   - WithTimeSkewLimit(0), and keys that nobody looks at: Options.AnyCredentials. By
//     default signatures and their times are checked here.
//   - WithLogger: Options.Observe.
//   - WithHostBucket, WithHostBucketBase, WithIntegrityCheck(true): always so.
//   - WithoutVersioning: a bucket has no versions until it is asked to.
//   - The backend's CreateBucket, PutObject and so on, to prepare a test or to look at
//     what it left: the methods of store.Store.
//   - s3bolt and s3afero: sherd.Open on a folder, and s3api.New over it.
package album

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// ErrTaken says that there is a picture of that name.
var ErrTaken = errors.New("the name is taken")

// Album is a bucket with pictures.
type Album struct {
	client *s3.Client
	bucket string
}

// New gives the album in a bucket.
func New(client *s3.Client, bucket string) *Album { return &Album{client, bucket} }

// Add keeps a new picture, or says ErrTaken.
func (a *Album) Add(ctx context.Context, name string, picture io.Reader) error {
	only := "*"
	_, err := a.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &a.bucket, Key: &name, Body: picture, IfNoneMatch: &only})
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "PreconditionFailed" {
		return ErrTaken
	}
	return err
}

// Names lists all pictures.
func (a *Album) Names(ctx context.Context) ([]string, error) {
	var names []string
	pages := s3.NewListObjectsV2Paginator(a.client, &s3.ListObjectsV2Input{Bucket: &a.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			names = append(names, *object.Key)
		}
	}
	return names, nil
}

// Link gives a URL by which anybody can see a picture for a while.
func (a *Album) Link(ctx context.Context, name string, lifetime time.Duration) (string, error) {
	request, err := s3.NewPresignClient(a.client).PresignGetObject(ctx,
		&s3.GetObjectInput{Bucket: &a.bucket, Key: &name}, s3.WithPresignExpires(lifetime))
	if err != nil {
		return "", err
	}
	return request.URL, nil
}

// Keep protects a picture from being destroyed, by anybody, until then. The bucket
// must have object lock.
func (a *Album) Keep(ctx context.Context, name string, until time.Time) error {
	_, err := a.client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &a.bucket, Key: &name,
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: &until}})
	return err
}

// Destroy removes a picture for good: the version that is there, not only its name.
func (a *Album) Destroy(ctx context.Context, name string) error {
	picture, err := a.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &a.bucket, Key: &name})
	if err != nil {
		return err
	}
	_, err = a.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a.bucket, Key: &name, VersionId: picture.VersionId})
	return err
}
