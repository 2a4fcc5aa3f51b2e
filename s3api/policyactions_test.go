// Goal: what the handler asks permission for can be allowed and denied by a policy of
// a bucket. Method: every action of the table of operations, in a policy.
package s3api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/policy"
)

func TestActionsAreKnownToPolicies(t *testing.T) {
	for _, o := range s3api.Operations() {
		for _, action := range []string{o.Action, o.VersionAction} {
			if action == "" || o.Level == s3api.ServiceLevel || o.Name == "CreateSession" { // of the service, or of another kind of bucket
				continue
			}
			doc, err := policy.Parse([]byte(`{"Statement":{"Effect":"Deny","Principal":"*","Action":"` + action + `","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]}}`))
			require.NoError(t, err)
			require.NoError(t, doc.ForBucket("b"), action)
		}
	}
}
