// Goal: the decision is S3's for every combination of what goes into it. Method: all
// of them, against properties that S3's pages state one by one.
package regime_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/acl"
	"github.com/sherd-storage/sherd/s3api/internal/regime"
	"github.com/sherd-storage/sherd/s3api/policy"
)

func TestVerdicts(t *testing.T) {
	effects := []policy.Effect{policy.None, policy.Allow, policy.Deny}
	tried := 0
	for _, own := range effects {
		for _, bucket := range effects {
			for _, delegated := range []bool{false, true} {
				for _, granted := range []acl.Granted{acl.ToNobody, acl.ToCaller, acl.ToGroup} {
					for _, who := range []string{"nobody", "of the account", "of another account"} {
						v := regime.Verdict{
							Own: own, Bucket: policy.Decision{Effect: bucket, Delegated: delegated && bucket == policy.Allow}, Granted: granted,
							Same: who == "of the account", Anonymous: who == "nobody",
						}
						may := v.Allows()
						tried++
						if own == policy.Deny || bucket == policy.Deny {
							require.False(t, may, "a deny is final: %+v", v)
							continue
						}
						if own == policy.None && bucket == policy.None && granted == acl.ToNobody {
							require.False(t, may, "an allow is needed: %+v", v)
						}
						switch who {
						case "nobody":
							require.Equal(t, own == policy.Allow || bucket == policy.Allow || granted == acl.ToGroup, may, "%+v", v)
						case "of the account":
							require.Equal(t, own == policy.Allow || bucket == policy.Allow && !delegated || granted == acl.ToGroup, may, "%+v", v)
						default:
							require.Equal(t, own == policy.Allow && (bucket == policy.Allow || granted != acl.ToNobody), may, "%+v", v)
						}
						if may {
							denied := v
							denied.Own = policy.Deny
							require.False(t, denied.Allows())
						}
					}
				}
			}
		}
	}
	require.Equal(t, 3*3*2*3*3, tried)
}

// Only the policy itself can be repaired in spite of the policy.
func TestWhatRepairs(t *testing.T) {
	for action, want := range map[string]bool{
		"s3:GetBucketPolicy": true, "s3:PutBucketPolicy": true, "s3:DeleteBucketPolicy": true, "s3:PutBucketAcl": false, "s3:GetObject": false, "s3:PutBucketPolicyX": false,
	} {
		require.Equal(t, want, regime.Repairs(action), action)
	}
}
