// Goal: who may do what is decided for real clients as it is on S3: by policies,
// access control lists, forms and the rules of cross-origin requests. Method:
// minio-go and aws-sdk-go-v2 set them, and requests without credentials, as browsers
// send them, are answered by them.
package conformance_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
)

// postForm sends a form as a browser does.
func postForm(t *testing.T, at string, fields map[string]string, body []byte) (status int, said string) {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for name, value := range fields {
		require.NoError(t, w.WriteField(name, value))
	}
	part, err := w.CreateFormFile("file", "a.bin")
	require.NoError(t, err)
	_, err = part.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, &form)
	require.NoError(t, err)
	request.Header.Set("Content-Type", w.FormDataContentType())
	return send(t, request)
}

func TestMinioPostPolicy(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	policy := minio.NewPostPolicy()
	require.NoError(t, policy.SetBucket(b))
	require.NoError(t, policy.SetKeyStartsWith("form/"))
	require.NoError(t, policy.SetExpires(time.Now().Add(time.Minute)))
	require.NoError(t, policy.SetContentLengthRange(1, 10000))
	at, fields, err := client.PresignedPostPolicy(t.Context(), policy)
	require.NoError(t, err)
	for _, of := range []struct {
		key    string
		size   int
		status int
	}{{"form/a", 5000, http.StatusNoContent}, {"a", 5000, http.StatusForbidden}, {"form/b", 10001, http.StatusBadRequest}, {"form/b", 0, http.StatusBadRequest}} {
		body := random(of.size)
		fields["key"] = of.key
		status, said := postForm(t, at.String(), fields, body)
		require.Equal(t, of.status, status, "%s of %d bytes: %s", of.key, of.size, said)
		if status == http.StatusNoContent {
			require.Equal(t, body, minioGet(t, client, b, of.key, minio.GetObjectOptions{}))
		}
	}
}

func TestAWSPresignedPost(t *testing.T) {
	client, b := awsClient(t)
	post, err := s3.NewPresignClient(client).PresignPostObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: aws.String("form/a.bin")},
		func(o *s3.PresignPostOptions) {
			o.Conditions = []any{[]any{"content-length-range", 0, 5000}, map[string]string{"x-amz-meta-a": "b"}}
		})
	require.NoError(t, err)
	fields := map[string]string{"x-amz-meta-a": "b"}
	for name, value := range post.Values {
		fields[name] = value
	}
	body := random(5000)
	status, said := postForm(t, post.URL, fields, body)
	require.Equal(t, http.StatusNoContent, status, said)
	require.Equal(t, body, awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: aws.String("form/a.bin")}))
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b, Key: aws.String("form/a.bin")})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "b"}, head.Metadata)
	status, said = postForm(t, post.URL, fields, append(body, 'x'))
	require.Equal(t, http.StatusBadRequest, status, said)
	require.Contains(t, said, "EntityTooLarge")
}

func TestMinioPolicy(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	minioPut(t, client, b, "public/k", []byte("x"), minio.PutObjectOptions{})
	anonymous, err := http.NewRequestWithContext(t.Context(), http.MethodGet, client.EndpointURL().JoinPath(b, "public/k").String(), nil)
	require.NoError(t, err)
	requireStatus(t, http.StatusForbidden, anonymous)
	require.NoError(t, client.SetBucketPolicy(t.Context(), b, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`+
		`"Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::`+b+`/public/*"]}]}`))
	require.Equal(t, "x", requireStatus(t, http.StatusOK, anonymous))
	got, err := client.GetBucketPolicy(t.Context(), b)
	require.NoError(t, err)
	require.Contains(t, got, "s3:GetObject")
	require.NoError(t, client.SetBucketPolicy(t.Context(), b, ""))
	requireStatus(t, http.StatusForbidden, anonymous)
	none, err := client.GetBucketPolicy(t.Context(), b)
	require.NoError(t, err, "a bucket without a policy")
	require.Empty(t, none)
}

func TestAWSCors(t *testing.T) {
	client, b := awsClient(t)
	_, err := client.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: &b})
	requireCode(t, "NoSuchCORSConfiguration", err)
	rules := []types.CORSRule{{
		ID: aws.String("one"), AllowedHeaders: []string{"x-amz-*"}, AllowedMethods: []string{"GET", "PUT"},
		AllowedOrigins: []string{"https://*.example.org"}, ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: aws.Int32(60),
	}}
	_, err = client.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: &b, CORSConfiguration: &types.CORSConfiguration{CORSRules: rules}})
	require.NoError(t, err)
	got, err := client.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: &b})
	require.NoError(t, err)
	require.Equal(t, rules, got.CORSRules)
	at, err := url.Parse(*client.Options().BaseEndpoint)
	require.NoError(t, err)
	for origin, status := range map[string]int{"https://a.example.org": http.StatusOK, "https://example.com": http.StatusForbidden} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, at.JoinPath(b, "k").String(), nil)
		require.NoError(t, err)
		request.Header.Set("Origin", origin)
		request.Header.Set("Access-Control-Request-Method", "PUT")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode, origin)
		require.Equal(t, status == http.StatusOK, response.Header.Get("Access-Control-Allow-Origin") == origin)
	}
	_, err = client.DeleteBucketCors(t.Context(), &s3.DeleteBucketCorsInput{Bucket: &b})
	require.NoError(t, err)
}

func TestAWSLists(t *testing.T) {
	client, b := awsClient(t)
	key := aws.String("k")
	awsPut(t, client, b, *key, []byte("x"))
	bucket, err := client.GetBucketAcl(t.Context(), &s3.GetBucketAclInput{Bucket: &b})
	require.NoError(t, err)
	object, err := client.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: &b, Key: key})
	require.NoError(t, err)
	for _, grants := range [][]types.Grant{bucket.Grants, object.Grants} {
		require.Len(t, grants, 1)
		require.Equal(t, types.PermissionFullControl, grants[0].Permission)
		require.Equal(t, bucket.Owner.ID, grants[0].Grantee.ID)
	}
	for _, ownership := range []types.ObjectOwnership{types.ObjectOwnershipBucketOwnerEnforced, types.ObjectOwnershipObjectWriter} {
		_, err = client.PutBucketOwnershipControls(t.Context(), &s3.PutBucketOwnershipControlsInput{Bucket: &b,
			OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: ownership}}}})
		require.NoError(t, err)
		_, err = client.PutObjectAcl(t.Context(), &s3.PutObjectAclInput{Bucket: &b, Key: key, ACL: types.ObjectCannedACLPublicRead})
		if ownership == types.ObjectOwnershipBucketOwnerEnforced {
			requireCode(t, "AccessControlListNotSupported", err)
			continue
		}
		require.NoError(t, err)
		object, err = client.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: &b, Key: key})
		require.NoError(t, err)
		require.Len(t, object.Grants, 2)
	}
}
