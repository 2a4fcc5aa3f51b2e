// What is not built yet must be refused, each feature with the code that the
// documentation says, as real clients ask for it. When one is built, its test
// here fails, and moves to those of its client.
package conformance_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
)

func TestNotBuiltMinioPostPolicy(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	require.ErrorContains(t, minioPostPolicy(t, client, b), "403: AccessDenied")
}

func minioPostPolicy(t *testing.T, client *minio.Client, b string) error {
	policy := minio.NewPostPolicy()
	require.NoError(t, policy.SetBucket(b))
	require.NoError(t, policy.SetKeyStartsWith("form/"))
	require.NoError(t, policy.SetExpires(time.Now().Add(time.Minute)))
	require.NoError(t, policy.SetContentLengthRange(1, 10000))
	url, fields, err := client.PresignedPostPolicy(t.Context(), policy)
	require.NoError(t, err)
	body := random(5000)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	fields["key"] = "form/a"
	for name, value := range fields {
		require.NoError(t, w.WriteField(name, value))
	}
	part, err := w.CreateFormFile("file", "a")
	require.NoError(t, err)
	_, err = part.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url.String(), &form)
	require.NoError(t, err)
	request.Header.Set("Content-Type", w.FormDataContentType())
	if status, said := send(t, request); status != http.StatusNoContent {
		_, said, _ = strings.Cut(said, "<Code>")
		code, _, _ := strings.Cut(said, "</Code>")
		return fmt.Errorf("%d: %s", status, code)
	}
	require.Equal(t, body, minioGet(t, client, b, "form/a", minio.GetObjectOptions{}))
	return nil
}

func TestNotBuiltMinioPolicy(t *testing.T) {
	client, b := minioClient(t, minio.MakeBucketOptions{})
	require.Equal(t, "NotImplemented", minio.ToErrorResponse(minioPolicy(t, client, b)).Code)
	_, err := client.GetBucketPolicy(t.Context(), b)
	require.Equal(t, "NotImplemented", minio.ToErrorResponse(err).Code)
}

func minioPolicy(t *testing.T, client *minio.Client, b string) error {
	minioPut(t, client, b, "public/k", []byte("x"), minio.PutObjectOptions{})
	anonymous, err := http.NewRequestWithContext(t.Context(), http.MethodGet, client.EndpointURL().JoinPath(b, "public/k").String(), nil)
	require.NoError(t, err)
	requireStatus(t, http.StatusForbidden, anonymous)
	if err := client.SetBucketPolicy(t.Context(), b, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`+
		`"Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::`+b+`/public/*"]}]}`); err != nil {
		return err
	}
	require.Equal(t, "x", requireStatus(t, http.StatusOK, anonymous))
	got, err := client.GetBucketPolicy(t.Context(), b)
	require.NoError(t, err)
	require.Contains(t, got, "s3:GetObject")
	require.NoError(t, client.SetBucketPolicy(t.Context(), b, ""))
	requireStatus(t, http.StatusForbidden, anonymous)
	none, err := client.GetBucketPolicy(t.Context(), b)
	require.NoError(t, err, "a bucket without a policy")
	require.Empty(t, none)
	return nil
}

func TestNotBuiltAWS(t *testing.T) {
	client, b := awsClient(t)
	key := aws.String("k")
	awsPut(t, client, b, *key, []byte("x"))
	for name, call := range map[string]func() error{
		"PutBucketCors": func() error {
			_, err := client.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: &b, CORSConfiguration: &types.CORSConfiguration{
				CORSRules: []types.CORSRule{{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}}},
			}})
			return err
		},
		"GetBucketAcl": func() error {
			_, err := client.GetBucketAcl(t.Context(), &s3.GetBucketAclInput{Bucket: &b})
			return err
		},
		"GetObjectAcl": func() error {
			_, err := client.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: &b, Key: key})
			return err
		},
		"PutObject with If-None-Match and an ETag": func() error {
			_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: &b, Key: key, Body: strings.NewReader("y"), IfNoneMatch: aws.String(`"an ETag"`),
			})
			return err
		},
		"ListObjectsV2 with optional attributes": func() error {
			_, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
				Bucket: &b, OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus},
			})
			return err
		},
	} {
		requireCodeOf(t, name, call())
	}
	require.Equal(t, "x", string(awsGet(t, client, &s3.GetObjectInput{Bucket: &b, Key: key})), "what was refused changed nothing")
}

func requireCodeOf(t *testing.T, what string, err error) {
	t.Helper()
	require.Error(t, err, "%s is built now", what)
	requireCode(t, "NotImplemented", err)
}
