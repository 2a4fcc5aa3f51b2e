package regime

import (
	"strings"

	"github.com/sherd-storage/sherd/s3api/internal/acl"
	"github.com/sherd-storage/sherd/s3api/policy"
)

// Verdict is all that decides about an attempt.
type Verdict struct {
	Own       policy.Effect   // the sender's own permissions
	Bucket    policy.Decision // the bucket's policy
	Granted   acl.Granted     // the access control list
	Same      bool            // the sender is of the owner's account
	Anonymous bool
}

// Allows decides (S3, user guide, "How Amazon S3 authorizes a request").
func (v Verdict) Allows() bool {
	byBucket := v.Bucket.Effect == policy.Allow
	switch {
	case v.Own == policy.Deny || v.Bucket.Effect == policy.Deny:
		return false
	case v.Anonymous:
		return v.Own == policy.Allow || byBucket || v.Granted == acl.ToGroup
	case v.Same:
		return v.Own == policy.Allow || byBucket && !v.Bucket.Delegated || v.Granted == acl.ToGroup
	default:
		return v.Own == policy.Allow && (byBucket || v.Granted != acl.ToNobody)
	}
}

// Repairs says whether an action is one by which an owner undoes a policy.
func Repairs(action string) bool {
	switch action {
	case "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy":
		return true
	}
	return false
}

// Replaces says whether an action puts another document in the place of one that can
// not be read.
func Replaces(action string) bool {
	switch action {
	case "s3:PutBucketPublicAccessBlock", "s3:PutBucketOwnershipControls", "s3:PutBucketAcl":
		return true
	}
	return Repairs(action)
}

// ConcernsOwner says whether an action is on an object that is there, so that it is
// its owner's to allow.
func ConcernsOwner(action string) bool {
	switch action {
	case "s3:PutObjectAcl", "s3:PutObjectVersionAcl", "s3:PutObjectTagging", "s3:PutObjectVersionTagging",
		"s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging":
		return true
	}
	return strings.HasPrefix(action, "s3:GetObject")
}

// OfInitiator says whether who began an upload may do this to it, without anybody's
// allowing it (S3, user guide, "Multipart upload and permissions").
func OfInitiator(action string) bool {
	return action == "s3:AbortMultipartUpload" || action == "s3:ListMultipartUploadParts"
}
