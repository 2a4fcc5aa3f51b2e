// Goal: what clients of today ask for beyond the usual: the checksums of 2026,
// lifecycle rules, and append and rename, which S3 has in directory buckets only.
// Method: aws-sdk-go-v2 against the server that runs.
package conformance_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"
)

func TestAWSNewerChecksums(t *testing.T) {
	client, b := awsClient(t)
	key := aws.String("key")
	for name, in := range map[string]*s3.PutObjectInput{
		"sha512":    {ChecksumSHA512: aws.String("2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==")},
		"md5":       {ChecksumMD5: aws.String("JfnnlDI7RTiF9RgfG2JNCw==")},
		"xxhash64":  {ChecksumXXHASH64: aws.String("jLhB20DmroM=")},
		"xxhash3":   {ChecksumXXHASH3: aws.String("ctyxi2ehff8=")},
		"xxhash128": {ChecksumXXHASH128: aws.String("MxGUd+3l3NXpcWQnaB1YYA==")},
	} {
		in.Bucket, in.Key, in.Body = &b, key, strings.NewReader("123456789")
		_, err := client.PutObject(t.Context(), in)
		require.NoError(t, err, name)
		head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b, Key: key, ChecksumMode: types.ChecksumModeEnabled})
		require.NoError(t, err, name)
		require.Equal(t, []*string{in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128},
			[]*string{head.ChecksumSHA512, head.ChecksumMD5, head.ChecksumXXHASH64, head.ChecksumXXHASH3, head.ChecksumXXHASH128}, name)
		require.Equal(t, "123456789", string(awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: key})), name)
		in.Body = strings.NewReader("12345678")
		_, err = client.PutObject(t.Context(), in)
		requireCode(t, "BadDigest", err)
	}
}

func TestAWSLifecycle(t *testing.T) {
	client, b := awsClient(t)
	rules := []types.LifecycleRule{{
		ID: aws.String("old"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("old/")},
		Expiration:                     &types.LifecycleExpiration{Days: aws.Int32(30)},
		NoncurrentVersionExpiration:    &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(3), NewerNoncurrentVersions: aws.Int32(2)},
		AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(7)},
	}}
	_, err := client.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{
		Bucket: &b, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
	})
	require.NoError(t, err)
	got, err := client.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: &b})
	require.NoError(t, err)
	require.Equal(t, rules, got.Rules)
	out, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: aws.String("old/key"), Body: strings.NewReader("x")})
	require.NoError(t, err)
	require.Contains(t, *out.Expiration, `rule-id="old"`)
	_, err = client.DeleteBucketLifecycle(t.Context(), &s3.DeleteBucketLifecycleInput{Bucket: &b})
	require.NoError(t, err)
	_, err = client.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: &b})
	requireCode(t, "NoSuchLifecycleConfiguration", err)
}

func TestAWSAppendAndRename(t *testing.T) {
	client, b := awsClient(t)
	key, to := aws.String("log"), aws.String("renamed")
	for i, body := range []string{"one", "two", "three"} {
		offset := int64(3 * i)
		out, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: key, Body: strings.NewReader(body), WriteOffsetBytes: &offset})
		require.NoError(t, err)
		require.EqualValues(t, offset+int64(len(body)), *out.Size)
	}
	require.Equal(t, "onetwothree", string(awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: key})))
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: key, Body: strings.NewReader("x"), WriteOffsetBytes: aws.Int64(5)})
	requireCode(t, "InvalidWriteOffset", err)
	_, err = client.RenameObject(t.Context(), &s3.RenameObjectInput{Bucket: &b, Key: to, RenameSource: key, DestinationIfNoneMatch: aws.String("*")})
	require.NoError(t, err)
	require.Equal(t, "onetwothree", string(awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: to})))
	_, err = client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b, Key: key})
	require.Error(t, err)
}
