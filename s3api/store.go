package s3api

import (
	"context"
	"io"
	"iter"
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
