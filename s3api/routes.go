package s3api

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// Level is what the path of a request names.
type Level uint8

// The three levels.
const (
	ServiceLevel Level = iota // "/"
	BucketLevel               // "/bucket" and "/bucket/"
	ObjectLevel               // "/bucket/key"
)

// Operation is one row of the table by which requests are routed: an operation
// of S3, and how a request is known to ask for it.
type Operation struct {
	Name   string
	Method string
	Level  Level
	// Query and Header select: parameters that must all be there, as "name" or
	// "name=value", and a header that must be. Of the rows with the same method
	// and level the first that fits is meant.
	Query  []string
	Header string
	// Action is what must be allowed, and VersionAction in its place where the
	// request names a version. An empty Action is decided key by key, or asks for nothing.
	Action        string
	VersionAction string
	// Built says whether the operation is answered by more than NotImplemented.
	Built bool

	run func(*call) error
}

// Operations lists the table, all of S3's surface, in its order.
func Operations() []Operation {
	var all []Operation
	for _, group := range [][]Operation{
		serviceOperations(), bucketReads(), bucketWrites(), bucketDeletes(), objectReads(), objectWrites(),
	} {
		all = append(all, group...)
	}
	for i := range all {
		all[i].Built = all[i].run != nil
	}
	return all
}

func serviceOperations() []Operation {
	const level = ServiceLevel
	return []Operation{
		{Name: "ListBuckets", Method: http.MethodGet, Level: level, Action: "s3:ListAllMyBuckets", run: (*call).listBuckets},
	}
}

func row(name, method string, level Level, action string, run func(*call) error, query ...string) Operation {
	return Operation{Name: name, Method: method, Level: level, Query: query, Action: action, run: run}
}

func bucketReads() []Operation {
	get := func(name, query, action string, run func(*call) error) Operation {
		return row(name, http.MethodGet, BucketLevel, action, run, query)
	}
	return []Operation{
		row("HeadBucket", http.MethodHead, BucketLevel, "s3:ListBucket", (*call).headBucket),
		get("GetBucketLocation", "location", "s3:GetBucketLocation", (*call).getBucketLocation),
		get("GetBucketVersioning", "versioning", "s3:GetBucketVersioning", (*call).getBucketVersioning),
		get("ListMultipartUploads", "uploads", "s3:ListBucketMultipartUploads", (*call).listUploads),
		get("ListObjectVersions", "versions", "s3:ListBucketVersions", (*call).listVersions),
		get("GetBucketAbac", "abac", "s3:GetBucketAbac", nil),
		get("GetBucketAccelerateConfiguration", "accelerate", "s3:GetAccelerateConfiguration", unset("AccelerateConfiguration")),
		get("GetBucketAcl", "acl", "s3:GetBucketAcl", (*call).getBucketACL),
		get("GetBucketAnalyticsConfiguration", "analytics", "s3:GetAnalyticsConfiguration", nil),
		get("GetBucketCors", "cors", "s3:GetBucketCORS", (*call).getBucketCors),
		get("GetBucketEncryption", "encryption", "s3:GetEncryptionConfiguration", (*call).getBucketEncryption),
		get("GetBucketIntelligentTieringConfiguration", "intelligent-tiering", "s3:GetIntelligentTieringConfiguration", nil),
		get("GetBucketInventoryConfiguration", "inventory", "s3:GetInventoryConfiguration", nil),
		get("GetBucketLifecycleConfiguration", "lifecycle", "s3:GetLifecycleConfiguration", (*call).getLifecycle),
		get("GetBucketLogging", "logging", "s3:GetBucketLogging", unset("BucketLoggingStatus")),
		get("GetBucketMetadataConfiguration", "metadataConfiguration", "s3:GetBucketMetadataTableConfiguration", nil),
		get("GetBucketMetadataTableConfiguration", "metadataTable", "s3:GetBucketMetadataTableConfiguration", nil),
		get("GetBucketMetricsConfiguration", "metrics", "s3:GetMetricsConfiguration", nil),
		get("GetBucketNotificationConfiguration", "notification", "s3:GetBucketNotification", unset("NotificationConfiguration")),
		get("GetObjectLockConfiguration", "object-lock", "s3:GetBucketObjectLockConfiguration", (*call).getObjectLock),
		get("GetBucketOwnershipControls", "ownershipControls", "s3:GetBucketOwnershipControls", (*call).getOwnership),
		get("GetBucketPolicy", "policy", "s3:GetBucketPolicy", (*call).getBucketPolicy),
		get("GetBucketPolicyStatus", "policyStatus", "s3:GetBucketPolicyStatus", (*call).getPolicyStatus),
		get("GetPublicAccessBlock", "publicAccessBlock", "s3:GetBucketPublicAccessBlock", (*call).getPublicBlock),
		get("GetBucketReplication", "replication", "s3:GetReplicationConfiguration", missing("ReplicationConfigurationNotFoundError")),
		get("GetBucketRequestPayment", "requestPayment", "s3:GetBucketRequestPayment", (*call).getRequestPayment),
		get("CreateSession", "session", "s3express:CreateSession", nil),
		get("GetBucketTagging", "tagging", "s3:GetBucketTagging", (*call).getBucketTagging),
		get("GetBucketWebsite", "website", "s3:GetBucketWebsite", missing("NoSuchWebsiteConfiguration")),
		get("ListObjectsV2", "list-type=2", "s3:ListBucket", (*call).listObjectsV2),
		row("ListObjects", http.MethodGet, BucketLevel, "s3:ListBucket", (*call).listObjects),
	}
}

func bucketWrites() []Operation {
	put := func(name, query, action string, run func(*call) error) Operation {
		return row(name, http.MethodPut, BucketLevel, action, run, query)
	}
	return []Operation{
		put("PutBucketVersioning", "versioning", "s3:PutBucketVersioning", (*call).putBucketVersioning),
		put("PutBucketAbac", "abac", "s3:PutBucketAbac", nil),
		put("PutBucketAccelerateConfiguration", "accelerate", "s3:PutAccelerateConfiguration", nil),
		put("PutBucketAcl", "acl", "s3:PutBucketAcl", (*call).putBucketACL),
		put("PutBucketAnalyticsConfiguration", "analytics", "s3:PutAnalyticsConfiguration", nil),
		put("PutBucketCors", "cors", "s3:PutBucketCORS", (*call).putBucketCors),
		put("PutBucketEncryption", "encryption", "s3:PutEncryptionConfiguration", (*call).putBucketEncryption),
		put("PutBucketIntelligentTieringConfiguration", "intelligent-tiering", "s3:PutIntelligentTieringConfiguration", nil),
		put("PutBucketInventoryConfiguration", "inventory", "s3:PutInventoryConfiguration", nil),
		put("PutBucketLifecycleConfiguration", "lifecycle", "s3:PutLifecycleConfiguration", (*call).putLifecycle),
		put("PutBucketLogging", "logging", "s3:PutBucketLogging", nil),
		put("UpdateBucketMetadataInventoryTableConfiguration", "metadataInventoryTable", "s3:UpdateBucketMetadataInventoryTableConfiguration", nil),
		put("UpdateBucketMetadataJournalTableConfiguration", "metadataJournalTable", "s3:UpdateBucketMetadataJournalTableConfiguration", nil),
		put("PutBucketMetricsConfiguration", "metrics", "s3:PutMetricsConfiguration", nil),
		put("PutBucketNotificationConfiguration", "notification", "s3:PutBucketNotification", nil),
		put("PutObjectLockConfiguration", "object-lock", "s3:PutBucketObjectLockConfiguration", (*call).putObjectLock),
		put("PutBucketOwnershipControls", "ownershipControls", "s3:PutBucketOwnershipControls", (*call).putOwnership),
		put("PutBucketPolicy", "policy", "s3:PutBucketPolicy", (*call).putBucketPolicy),
		put("PutPublicAccessBlock", "publicAccessBlock", "s3:PutBucketPublicAccessBlock", (*call).putPublicBlock),
		put("PutBucketReplication", "replication", "s3:PutReplicationConfiguration", nil),
		put("PutBucketRequestPayment", "requestPayment", "s3:PutBucketRequestPayment", nil),
		put("PutBucketTagging", "tagging", "s3:PutBucketTagging", (*call).putBucketTagging),
		put("PutBucketWebsite", "website", "s3:PutBucketWebsite", nil),
		row("CreateBucket", http.MethodPut, BucketLevel, "s3:CreateBucket", (*call).createBucket),

		row("DeleteObjects", http.MethodPost, BucketLevel, "s3:DeleteObject", (*call).deleteObjects, "delete"),
		row("CreateBucketMetadataConfiguration", http.MethodPost, BucketLevel, "s3:CreateBucketMetadataTableConfiguration", nil, "metadataConfiguration"),
		row("CreateBucketMetadataTableConfiguration", http.MethodPost, BucketLevel, "s3:CreateBucketMetadataTableConfiguration", nil, "metadataTable"),
		row("PostObject", http.MethodPost, BucketLevel, "s3:PutObject", (*call).postObject),
		row("PreflightBucket", http.MethodOptions, BucketLevel, "", (*call).preflight),
	}
}

func bucketDeletes() []Operation {
	remove := func(name, query, action string) Operation {
		return row(name, http.MethodDelete, BucketLevel, action, nil, query)
	}
	forget := func(name, query, action string, run func(*call) error) Operation {
		return row(name, http.MethodDelete, BucketLevel, action, run, query)
	}
	return []Operation{
		remove("DeleteBucketAnalyticsConfiguration", "analytics", "s3:PutAnalyticsConfiguration"),
		forget("DeleteBucketCors", "cors", "s3:PutBucketCORS", (*call).deleteBucketCors),
		forget("DeleteBucketEncryption", "encryption", "s3:PutEncryptionConfiguration", (*call).deleteBucketEncryption),
		remove("DeleteBucketIntelligentTieringConfiguration", "intelligent-tiering", "s3:PutIntelligentTieringConfiguration"),
		remove("DeleteBucketInventoryConfiguration", "inventory", "s3:PutInventoryConfiguration"),
		forget("DeleteBucketLifecycle", "lifecycle", "s3:PutLifecycleConfiguration", (*call).deleteLifecycle),
		remove("DeleteBucketMetadataConfiguration", "metadataConfiguration", "s3:DeleteBucketMetadataTableConfiguration"),
		remove("DeleteBucketMetadataTableConfiguration", "metadataTable", "s3:DeleteBucketMetadataTableConfiguration"),
		remove("DeleteBucketMetricsConfiguration", "metrics", "s3:PutMetricsConfiguration"),
		forget("DeleteBucketOwnershipControls", "ownershipControls", "s3:PutBucketOwnershipControls", (*call).deleteOwnership),
		forget("DeleteBucketPolicy", "policy", "s3:DeleteBucketPolicy", (*call).deleteBucketPolicy),
		forget("DeletePublicAccessBlock", "publicAccessBlock", "s3:PutBucketPublicAccessBlock", (*call).deletePublicBlock),
		remove("DeleteBucketReplication", "replication", "s3:PutReplicationConfiguration"),
		row("DeleteBucketTagging", http.MethodDelete, BucketLevel, "s3:PutBucketTagging", (*call).deleteBucketTagging, "tagging"),
		remove("DeleteBucketWebsite", "website", "s3:DeleteBucketWebsite"),
		row("DeleteBucket", http.MethodDelete, BucketLevel, "s3:DeleteBucket", (*call).deleteBucket),
	}
}

// versioned gives a row the action that it has where a version is named.
func (o Operation) versioned(action string) Operation {
	o.VersionAction = action
	return o
}

// heading gives a row a header that selects it.
func (o Operation) heading(name string) Operation {
	o.Header = name
	return o
}

func objectReads() []Operation {
	const level = ObjectLevel
	get := http.MethodGet
	return []Operation{
		row("HeadObject", http.MethodHead, level, "s3:GetObject", (*call).headObject).versioned("s3:GetObjectVersion"),
		row("GetObjectAcl", get, level, "s3:GetObjectAcl", (*call).getObjectACL, "acl").versioned("s3:GetObjectVersionAcl"),
		row("GetObjectAttributes", get, level, "s3:GetObjectAttributes", (*call).getObjectAttributes, "attributes").versioned("s3:GetObjectVersionAttributes"),
		row("GetObjectLegalHold", get, level, "s3:GetObjectLegalHold", (*call).getLegalHold, "legal-hold"),
		row("GetObjectRetention", get, level, "s3:GetObjectRetention", (*call).getRetention, "retention"),
		row("GetObjectTagging", get, level, "s3:GetObjectTagging", (*call).getObjectTagging, "tagging").versioned("s3:GetObjectVersionTagging"),
		row("GetObjectTorrent", get, level, "s3:GetObjectTorrent", nil, "torrent"),
		row("GetObjectAnnotation", get, level, "s3:GetObjectAnnotation", nil, "annotation"),
		row("ListParts", get, level, "s3:ListMultipartUploadParts", (*call).listParts, "uploadId"),
		row("GetObject", get, level, "s3:GetObject", (*call).getObject).versioned("s3:GetObjectVersion"),
	}
}

func objectWrites() []Operation {
	const level = ObjectLevel
	put, post, remove := http.MethodPut, http.MethodPost, http.MethodDelete
	return []Operation{
		row("PutObjectAcl", put, level, "s3:PutObjectAcl", (*call).putObjectACL, "acl").versioned("s3:PutObjectVersionAcl"),
		row("UpdateObjectEncryption", put, level, "s3:UpdateObjectEncryption", nil, "encryption"),
		row("PutObjectLegalHold", put, level, "s3:PutObjectLegalHold", (*call).putLegalHold, "legal-hold"),
		row("PutObjectRetention", put, level, "s3:PutObjectRetention", (*call).putRetention, "retention"),
		row("PutObjectTagging", put, level, "s3:PutObjectTagging", (*call).putObjectTagging, "tagging").versioned("s3:PutObjectVersionTagging"),
		row("PutObjectAnnotation", put, level, "s3:PutObjectAnnotation", nil, "annotation"),
		row("RenameObject", put, level, "s3:PutObject", (*call).renameObject, "renameObject"),
		row("UploadPartCopy", put, level, "s3:PutObject", (*call).uploadPartCopy, "uploadId", "partNumber").heading(headerCopySource),
		row("UploadPart", put, level, "s3:PutObject", (*call).uploadPart, "uploadId", "partNumber"),
		row("CopyObject", put, level, "s3:PutObject", (*call).copyObject).heading(headerCopySource),
		row("AppendObject", put, level, "s3:PutObject", (*call).appendObject).heading(headerOffset),
		row("PutObject", put, level, "s3:PutObject", (*call).putObject),

		row("RestoreObject", post, level, "s3:RestoreObject", nil, "restore"),
		row("SelectObjectContent", post, level, "s3:GetObject", nil, "select"),
		row("CreateMultipartUpload", post, level, "s3:PutObject", (*call).createUpload, "uploads"),
		row("CompleteMultipartUpload", post, level, "s3:PutObject", (*call).completeUpload, "uploadId"),

		row("DeleteObjectTagging", remove, level, "s3:DeleteObjectTagging", (*call).deleteObjectTagging, "tagging").versioned("s3:DeleteObjectVersionTagging"),
		row("DeleteObjectAnnotation", remove, level, "s3:DeleteObjectAnnotation", nil, "annotation"),
		row("AbortMultipartUpload", remove, level, "s3:AbortMultipartUpload", (*call).abortUpload, "uploadId"),
		row("DeleteObject", remove, level, "s3:DeleteObject", (*call).deleteObject).versioned("s3:DeleteObjectVersion"),

		row("PreflightObject", http.MethodOptions, level, "", (*call).preflight),
	}
}

// headerCopySource names what is to be copied, and makes a PUT a copy.
const headerCopySource = "X-Amz-Copy-Source"

// place is what the rows of one method and level are found by.
type place struct {
	method string
	level  Level
}

// router finds the operation that a request asks for.
type router struct {
	rows      map[place][]Operation
	selectors map[Level][]string // the parameters that select, under any method
}

func newRouter() router {
	r := router{map[place][]Operation{}, map[Level][]string{}}
	for _, o := range Operations() {
		r.rows[place{o.Method, o.Level}] = append(r.rows[place{o.Method, o.Level}], o)
		for _, selector := range o.Query {
			if !strings.Contains(selector, "=") {
				r.selectors[o.Level] = append(r.selectors[o.Level], selector)
			}
		}
	}
	return r
}

// find gives nil where no operation has the method at that level. Headers that
// select count in the query too, as presigned requests may have them there.
//
// What changes something is never found for a request that names something else:
// DELETE with ?acl, which no operation has, does not delete the object.
func (t router) find(method string, level Level, query sigv4.Query, header http.Header) *Operation {
	rows := t.rows[place{method, level}]
	for i := range rows {
		o := &rows[i]
		if !o.fits(query, header) {
			continue
		}
		if len(o.Query) == 0 && o.changes() && slices.ContainsFunc(t.selectors[level], query.Has) {
			return nil
		}
		return o
	}
	return nil
}

// changes says whether the operation may change something.
func (o *Operation) changes() bool {
	return o.Method == http.MethodPut || o.Method == http.MethodPost || o.Method == http.MethodDelete
}

func (o *Operation) fits(query sigv4.Query, header http.Header) bool {
	for _, selector := range o.Query {
		name, value, valued := strings.Cut(selector, "=")
		if !query.Has(name) || valued && query.Get(name) != value {
			return false
		}
	}
	return o.Header == "" || len(header.Values(o.Header)) > 0 || slices.ContainsFunc(query, func(p sigv4.Parameter) bool {
		return strings.EqualFold(p.Name, o.Header)
	})
}

// target is what the host and the path of a request name.
type target struct {
	level       Level
	bucket, key string
	inHost      bool // the host names the bucket
}

// address takes the path of a request apart, without cleaning it: "//", "." and
// ".." are parts of keys. host is the bucket that the host names, "" if none.
func address(u *url.URL, prefix, host string) (target, error) {
	path, ok := strings.CutPrefix(u.EscapedPath(), prefix)
	if !ok || path != "" && path[0] != '/' {
		return target{}, fail("InvalidURI").saying("The path is not below that of this service.")
	}
	escapedBucket, escapedKey := url.PathEscape(host), strings.TrimPrefix(path, "/")
	if host == "" {
		escapedBucket, escapedKey, _ = strings.Cut(escapedKey, "/")
	}
	bucket, err := url.PathUnescape(escapedBucket)
	if err != nil {
		return target{}, fail("InvalidURI").because(err)
	}
	key, err := url.PathUnescape(escapedKey)
	if err != nil {
		return target{}, fail("InvalidURI").because(err)
	}
	switch {
	case bucket == "" && key == "":
		return target{level: ServiceLevel}, nil
	case key == "":
		return target{level: BucketLevel, bucket: bucket, inHost: host != ""}, nil
	default:
		return target{level: ObjectLevel, bucket: bucket, key: key, inHost: host != ""}, nil
	}
}

// inPath is the bucket as paths have it; "" where the host names it.
func (t target) inPath() string {
	if t.inHost {
		return ""
	}
	return "/" + t.bucket
}

// bucketIn gives the bucket that a host names, if it is below one of the domains,
// of which longer ones come first.
func bucketIn(host string, domains []string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	for _, domain := range domains {
		if bucket, ok := strings.CutSuffix(host, domain); ok && (bucket == "" || strings.HasSuffix(bucket, ".")) {
			return strings.TrimSuffix(bucket, ".")
		}
	}
	return ""
}

// signedPathsKey is the context's key for what signedPaths gives.
type signedPathsKey struct{}

// signedPaths lists the paths, each with the bucket and as it was sent, one of
// which a signature of version 2 is over.
func signedPaths(r *http.Request) []string {
	if paths, ok := r.Context().Value(signedPathsKey{}).([]string); ok {
		return paths
	}
	return []string{r.URL.EscapedPath()}
}

// pathsToSign gives those paths. Some clients sign a path to a bucket alone with a
// slash at its end, whether or not they send it; and some leave out the prefix
// that the handler is mounted under, which is obeyed unless it could be meant to
// be there: so no signature is good for two things.
func pathsToSign(u *url.URL, prefix, host string) []string {
	sent := u.EscapedPath()
	bare, below := strings.CutPrefix(sent, prefix)
	if !below {
		return []string{sent}
	}
	if host != "" {
		bare = "/" + host + bare
	}
	var paths []string
	if host == "" && prefix != "" {
		paths = append(paths, sent)
	}
	if prefix == "" || bare != prefix && !strings.HasPrefix(bare, prefix+"/") {
		paths = append(paths, bare)
	}
	if bare == "" || bare != "/" && strings.Count(bare, "/") == 1 {
		for _, path := range paths[:len(paths):len(paths)] {
			paths = append(paths, path+"/")
		}
	}
	return paths
}

// check says whether names can be; the bucket to be created must follow the
// rules for new ones, which the store's own are no stricter than.
func (t target) check() error {
	if t.level != ServiceLevel && !wire.ValidBucket(t.bucket) {
		return fail("InvalidBucketName").with("BucketName", t.bucket)
	}
	if t.level != ObjectLevel {
		return nil
	}
	switch ok, long := wire.ValidKey(t.key); {
	case long:
		return fail("KeyTooLongError")
	case !ok:
		return fail("InvalidURI")
	}
	return nil
}
