// What is not built yet must be refused, each feature with the code that the
// documentation says, as real clients ask for it. When one is built, its test
// here fails, and moves to those of its client.
package conformance_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"
)

func TestNotBuiltAWS(t *testing.T) {
	client, b := awsClient(t)
	key := aws.String("k")
	awsPut(t, client, b, *key, []byte("x"))
	for name, call := range map[string]func() error{
		"RestoreObject": func() error {
			_, err := client.RestoreObject(t.Context(), &s3.RestoreObjectInput{Bucket: &b, Key: key, RestoreRequest: &types.RestoreRequest{Days: aws.Int32(1)}})
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
