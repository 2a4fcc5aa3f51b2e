// Goal: documents are taken and refused as S3 takes and refuses them. Method:
// tables of documents with what is said of each.
package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/policy"
)

// one makes a document of a statement that lacks nothing, with elements in
// place of its own; an element without a value is left out.
func one(elements ...string) string {
	all := map[string]string{
		"Effect": `"Allow"`, "Principal": `"*"`, "Action": `"s3:GetObject"`, "Resource": `"arn:aws:s3:::b/*"`,
	}
	for i := 0; i < len(elements); i += 2 {
		all[elements[i]] = elements[i+1]
	}
	var parts []string
	for _, name := range []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition", "Other"} {
		if all[name] != "" {
			parts = append(parts, `"`+name+`":`+all[name])
		}
	}
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(parts, ",") + `}]}`
}

func parse(t testing.TB, text string) *policy.Document {
	t.Helper()
	doc, err := policy.Parse([]byte(text))
	require.NoError(t, err, text)
	return doc
}

func TestMalformedDocuments(t *testing.T) {
	const (
		json   = "This policy contains invalid Json"
		syntax = "Invalid policy syntax."
		value  = "Policy has an invalid value in Condition"
	)
	condition := func(text string) string { return one("Condition", text) }
	for _, of := range []struct{ text, message string }{
		{"", "Policies must be valid JSON and the first byte must be '{'"},
		{" []", "Policies must be valid JSON and the first byte must be '{'"},
		{"\xef\xbb\xbf{}", "Policies must be valid JSON and the first byte must be '{'"},
		{"{", json},
		{one() + "x", json},
		{strings.Replace(one(), "b/*", "b/\xff", 1), json},
		{`{"Version":"2012-10-17","Version":"2012-10-17"}`, json},
		{strings.Replace(one(), `"Effect"`, `"Effect":"Deny","\u0045ffect"`, 1), json},
		{condition(`{"StringEquals":{"aws:UserName":"a","aws:username":"b"}}`), json},
		{`{}`, "Missing required field Statement"},
		{`{"Statement":[]}`, "Could not parse the policy: Statement is empty!"},
		{`{"Statement":"x"}`, syntax},
		{`{"Statement":["x"]}`, syntax},
		{`{"Statement":[[{}]]}`, syntax},
		{`{"Version":2012,"Statement":{}}`, syntax},
		{strings.Replace(one(), "2012-10-17", "2015-01-01", 1), "The policy must contain a valid version string"},
		{strings.Replace(one(), `"Version"`, `"version"`, 1), "Unknown field version"},
		{one("Other", `"x"`), "Unknown field Other"},
		{one("Sid", `1`), syntax},
		{one("Effect", ""), "Missing required field Effect"},
		{one("Effect", `"allow"`), "Invalid effect: allow"},
		{one("Action", ""), "Missing required field Action"},
		{one("Action", `[]`), "Policy has invalid action"},
		{one("Action", `"GetObject"`), "Policy has invalid action"},
		{one("Action", `[1]`), "Policy has invalid action"},
		{one("NotAction", `"s3:*"`), "Statement/policy may not have both Action and NotAction."},
		{one("Resource", ""), "Missing required field Resource"},
		{one("Resource", `""`), "Policy has invalid resource"},
		{one("Resource", `{}`), "Policy has invalid resource"},
		{one("Resource", `"arn:aws:s3:::b/${aws:username"`), "Policy has invalid resource"},
		{one("Resource", `"arn:aws:s3:::b/${}"`), "Policy has invalid resource"},
		{one("Resource", `"arn:aws:s3:::b/${a:b, c}"`), "Policy has invalid resource"},
		{one("NotResource", `"*"`), "Statement/policy may not have both Resource and NotResource."},
		{one("NotPrincipal", `"*"`), "Statement/policy may not have both Principal and NotPrincipal."},
		{one("Principal", `"alice"`), "Invalid principal in policy"},
		{one("Principal", `{}`), "Invalid principal in policy"},
		{one("Principal", `{"AWS":[]}`), "Invalid principal in policy"},
		{one("Principal", `{"AWS":"12345"}`), "Invalid principal in policy"},
		{one("Principal", `{"AWS":"arn:aws:iam::111122223333:user/*"}`), "Invalid principal in policy"},
		{one("Principal", `{"AWS":"arn:aws:iam::111122223333:group/g"}`), "Invalid principal in policy"},
		{one("Principal", `{"AWS":"arn:aws:iam::1:user/a"}`), "Invalid principal in policy"},
		{one("Principal", `{"AWS":"arn:aws:s3::111122223333:user/a"}`), "Invalid principal in policy"},
		{one("Principal", `{"AWS":"arn:aws:iam:eu:111122223333:user/a"}`), "Invalid principal in policy"},
		{one("Principal", `{"CanonicalUser":"*"}`), "Invalid principal in policy"},
		{one("Principal", `{"Service":""}`), "Invalid principal in policy"},
		{one("Principal", `{"User":"a"}`), "Invalid principal in policy"},
		{condition(`[]`), syntax},
		{condition(`{"StringEquals":"x"}`), syntax},
		{condition(`{"StringEquals":{"aws:username":[["a"]]}}`), syntax},
		{condition(`{"StringIs":{"aws:username":"a"}}`), "Invalid Condition type : StringIs"},
		{condition(`{"ForAllValues:Null":{"aws:username":"true"}}`), "Invalid Condition type : ForAllValues:Null"},
		{condition(`{"NullIfExists":{"aws:username":"true"}}`), "Invalid Condition type : NullIfExists"},
		{condition(`{"StringEquals":{"username":"a"}}`), "Policy has an invalid condition key"},
		{condition(`{"StringEquals":{"aws:username":[]}}`), value},
		{condition(`{"StringEquals":{"aws:username":null}}`), value},
		{condition(`{"StringEquals":{"aws:username":{}}}`), value},
		{condition(`{"StringLike":{"aws:username":"${x"}}`), value},
		{condition(`{"Null":{"aws:username":"yes"}}`), value},
		{condition(`{"Bool":{"aws:SecureTransport":"1"}}`), value},
		{condition(`{"NumericEquals":{"s3:max-keys":"0x10"}}`), value},
		{condition(`{"NumericEquals":{"s3:max-keys":"NaN"}}`), value},
		{condition(`{"NumericEquals":{"s3:max-keys":"${s3:max-keys}"}}`), value},
		{condition(`{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`), value},
		{condition(`{"IpAddress":{"aws:SourceIp":"192.0.2.0/33"}}`), value},
		{condition(`{"IpAddress":{"aws:SourceIp":"localhost"}}`), value},
		{condition(`{"BinaryEquals":{"aws:username":"%"}}`), value},
		{condition(`{"ArnLike":{"aws:SourceArn":"arn:aws"}}`), value},
		{`{"Statement":[` + strings.TrimSuffix(strings.TrimPrefix(one("Sid", `"a"`), `{"Version":"2012-10-17","Statement":[`), "]}") + "," +
			strings.TrimPrefix(one("Sid", `"a"`), `{"Version":"2012-10-17","Statement":[`), "Statement IDs (SID) in a single policy must be unique."},
		{one("Sid", `"`+strings.Repeat("x", policy.MaxBytes)+`"`), "Policy exceeds the maximum allowed document size."},
	} {
		doc, err := policy.Parse([]byte(of.text))
		require.Nil(t, doc, of.text)
		var told *policy.Error
		require.ErrorAs(t, err, &told, of.text)
		require.Equal(t, of.message, told.Message, "%s: %v", of.text, err)
	}
}

func TestLargestDocument(t *testing.T) {
	room := policy.MaxBytes - len(one("Sid", `""`))
	parse(t, one("Sid", `"`+strings.Repeat("x", room)+`"`))
	_, err := policy.Parse([]byte(one("Sid", `"`+strings.Repeat("x", room+1)+`"`)))
	require.Error(t, err)
}

func TestDocumentsOfBuckets(t *testing.T) {
	const (
		resource = "Policy has invalid resource"
		action   = "Policy has invalid action"
		apply    = "Action does not apply to any resource(s) in statement"
		key      = "Policy has an invalid condition key"
	)
	for _, of := range []struct{ text, message string }{
		{one(), ""},
		{one("Principal", `{"AWS":["*","111122223333","arn:aws:iam::111122223333:root","arn:aws:iam:::user/a","arn:aws:iam::111122223333:user/p/a",
			"arn:aws:iam::111122223333:role/r","arn:aws:sts::111122223333:assumed-role/r/s"],"CanonicalUser":"abc",
			"Service":"logging.s3.amazonaws.com","Federated":"cognito-identity.amazonaws.com"}`), ""},
		{one("Principal", ""), "Missing required field Principal"},
		{one("Principal", "", "NotPrincipal", `{"AWS":"111122223333"}`), "Allow with NotPrincipal is not allowed."},
		{one("Effect", `"Deny"`, "Principal", "", "NotPrincipal", `{"AWS":"111122223333"}`), ""},
		{one("Resource", `["arn:aws:s3:::b","arn:aws:s3:::b/*"]`, "Action", `"s3:*"`), ""},
		{one("Resource", `"arn:aws:s3:::*"`, "Action", `"*"`), ""},
		{one("Resource", `"arn:aws:s3:::*/*"`), ""},
		{one("Resource", `"arn:aws:s3:::?/x"`), ""},
		{one("Resource", `"arn:aws:s3:::b?x"`), ""},
		{one("Resource", `"arn:aws:s3:::b/${aws:username}/x"`), ""},
		{one("Resource", `"arn:aws:s3:::${aws:username}"`, "Action", `"s3:ListBucket"`), ""},
		{one("Resource", `"*"`), resource},
		{one("Resource", `"arn:aws:s3:::c/*"`), resource},
		{one("Resource", `"arn:aws:s3:::bb/*"`), resource},
		{one("Resource", `["arn:aws:s3:::b/*","arn:aws:s3:::c"]`), resource},
		{one("Resource", `"arn:aws:s3:::b/"`), resource},
		{one("Resource", `"arn:*:s3:::b/*"`), resource},
		{one("Resource", `"b/*"`), resource},
		{one("Resource", `"arn:aws:s3:::b"`), apply},
		{one("Resource", `"arn:aws:s3:::b"`, "Action", `["s3:ListBucket","s3:GetObject"]`), apply},
		{one("Action", `"s3:ListBucket"`), apply},
		{one("Action", `"s3:ListAllMyBuckets"`), apply},
		{one("Action", `["s3:PutObject*","s3:Get*"]`), ""},
		{one("Action", `"s3:getobject"`), ""},
		{one("Action", `"s3:GetObjectt"`), action},
		{one("Action", `"s3:Foo*"`), action},
		{one("Action", `"iam:*"`), action},
		{one("Action", "", "NotAction", `"s3:ListBucket"`), ""},
		{one("Condition", `{"StringEquals":{"S3:ExistingObjectTag/Team":"a","aws:PrincipalTag/x":"y","s3:x-amz-acl":"private"}}`), ""},
		{one("Condition", `{"StringEquals":{"s3:prefixx":"a"}}`), key},
		{one("Condition", `{"StringEquals":{"s3:ExistingObjectTag":"a"}}`), key},
		{one("Condition", `{"StringEquals":{"s3:ExistingObjectTag/":"a"}}`), key},
		{one("Condition", `{"StringEquals":{"ec2:Region":"a"}}`), key},
	} {
		err := parse(t, of.text).ForBucket("b")
		if of.message == "" {
			require.NoError(t, err, of.text)
			continue
		}
		var told *policy.Error
		require.ErrorAs(t, err, &told, of.text)
		require.Equal(t, of.message, told.Message, of.text)
	}
}

func TestDocumentsOfIdentities(t *testing.T) {
	require.NoError(t, parse(t, one("Principal", "", "Resource", `"*"`, "Action", `"*"`)).ForIdentity())
	require.Error(t, parse(t, one()).ForIdentity())
	require.Error(t, parse(t, one("Principal", "", "NotPrincipal", `"*"`)).ForIdentity())
}

func TestWhatADocumentIsCalled(t *testing.T) {
	doc := parse(t, `{"Id":"x","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}`)
	require.Equal(t, "x", doc.ID())
	require.Equal(t, 1, doc.Statements())
}

// The rules are those of S3's user guide, "The meaning of public".
func TestPublicDocuments(t *testing.T) {
	condition := func(text string) string { return one("Condition", text) }
	for _, of := range []struct {
		text   string
		public bool
	}{
		{one(), true},
		{one("Principal", `{"AWS":"*"}`), true},
		{one("Principal", `{"AWS":["111122223333","*"]}`), true},
		{one("Principal", `{"AWS":"111122223333"}`), false},
		{one("Principal", `{"Service":"logging.s3.amazonaws.com"}`), false},
		{one("Effect", `"Deny"`), false},
		{one("Effect", `"Deny"`, "Principal", "", "NotPrincipal", `{"AWS":"111122223333"}`), false},
		{one("Principal", "", "NotPrincipal", `{"AWS":"111122223333"}`), true},
		{condition(`{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`), false},
		{condition(`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), false},
		{condition(`{"IpAddress":{"aws:SourceIp":"10.0.0.0/7"}}`), true},
		{condition(`{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","0.0.0.0/1"]}}`), true},
		{condition(`{"IpAddress":{"aws:SourceIp":"2001:db8::/32"}}`), false},
		{condition(`{"IpAddress":{"aws:SourceIp":"2001:db8::/31"}}`), true},
		{condition(`{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`), true},
		{condition(`{"IpAddressIfExists":{"aws:SourceIp":"192.0.2.0/24"}}`), true},
		{condition(`{"StringEquals":{"aws:SourceIp":"192.0.2.1"}}`), true},
		{condition(`{"StringEquals":{"aws:SourceVpc":"vpc-91237329"}}`), false},
		{condition(`{"StringLike":{"aws:SourceVpc":"vpc-91237329"}}`), false},
		{condition(`{"StringLike":{"aws:SourceVpc":"vpc-*"}}`), true},
		{condition(`{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`), false},
		{condition(`{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}`), true},
		{condition(`{"StringEquals":{"aws:userid":"${aws:userid}"}}`), true},
		{condition(`{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:eu:111122223333:t"}}`), false},
		{condition(`{"ArnLike":{"aws:SourceArn":"arn:aws:sns:eu:111122223333:*"}}`), true},
		{condition(`{"ForAllValues:StringEquals":{"aws:PrincipalOrgPaths":"o-1/r/"}}`), true},
		{condition(`{"ForAnyValue:StringEquals":{"aws:PrincipalOrgPaths":"o-1/r/"}}`), false},
		{condition(`{"StringEquals":{"aws:Referer":"http://example.org/"}}`), true},
		{condition(`{"StringEquals":{"s3:x-amz-acl":"private"}}`), true},
		{condition(`{"Null":{"aws:SourceVpc":"false"}}`), true},
		{condition(`{"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:SourceVpc":"vpc-1"}}`), false},
	} {
		require.Equal(t, of.public, parse(t, of.text).Public(), of.text)
	}
}
