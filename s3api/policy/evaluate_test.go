// Goal: what a policy says of a request is what AWS's pages say, rule by rule.
// Method: a statement that denies or allows all but for the one element in
// question, and requests with and without what it wants.
package policy_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/policy"
)

// alice asks for an object; values are pairs of keys and values, of which a key may
// come several times.
func alice(values ...string) *policy.Request {
	of := map[string][]string{}
	for i := 0; i < len(values); i += 2 {
		of[values[i]] = append(of[values[i]], values[i+1])
	}
	return &policy.Request{
		Action: "s3:GetObject", Resource: policy.ResourceARN("b", "k"), Owner: "111122223333",
		Principal: policy.Principal{Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/alice", CanonicalID: "a1"},
		Context:   func(key string) []string { return of[key] },
	}
}

// Missing keys and several values are in IAM's user guide, "Condition operators",
// "…IfExists" and "Conditions with multiple context keys or values".
func TestConditions(t *testing.T) {
	red, green, blue := []string{"k", "red"}, []string{"k", "green"}, []string{"k", "blue"}
	join := func(of ...[]string) (all []string) {
		for _, one := range of {
			all = append(all, one...)
		}
		return all
	}
	for _, of := range []struct {
		condition string // on aws:k; %s is the key
		holds     [][]string
		not       [][]string
	}{
		{`{"StringEquals":{"aws:K":["red","green"]}}`, [][]string{red, green}, [][]string{blue, {}, {"k", "Red"}}},
		{`{"StringNotEquals":{"aws:K":["red","green"]}}`, [][]string{blue, {}}, [][]string{red, green}},
		{`{"StringEqualsIfExists":{"aws:k":"red"}}`, [][]string{red, {}}, [][]string{green}},
		{`{"StringEqualsIgnoreCase":{"aws:k":"RED"}}`, [][]string{red}, [][]string{green, {}}},
		{`{"StringNotEqualsIgnoreCase":{"aws:k":"RED"}}`, [][]string{green, {}}, [][]string{red}},
		{`{"StringLike":{"aws:k":"?e*"}}`, [][]string{red, {"k", "xe"}}, [][]string{green, {}, {"k", "e"}}},
		{`{"StringEquals":{"aws:k":"r*"}}`, [][]string{{"k", "r*"}}, [][]string{red}},
		{`{"StringLike":{"aws:k":"r${*}"}}`, [][]string{{"k", "r*"}}, [][]string{red}},
		{`{"StringNotLike":{"aws:k":"r*"}}`, [][]string{green, {}}, [][]string{red}},
		{`{"ForAllValues:StringEquals":{"aws:k":["red","green"]}}`, [][]string{red, join(red, green), {}}, [][]string{blue, join(red, blue)}},
		{`{"ForAnyValue:StringEquals":{"aws:k":["red","green"]}}`, [][]string{red, join(blue, green)}, [][]string{blue, {}}},
		{`{"ForAllValues:StringNotEquals":{"aws:k":["red","green"]}}`, [][]string{blue, {}}, [][]string{red, join(red, blue)}},
		{`{"ForAnyValue:StringNotEquals":{"aws:k":["red","green"]}}`, [][]string{blue, join(red, blue)}, [][]string{red, join(red, green), {}}},
		{`{"ForAnyValue:StringEqualsIfExists":{"aws:k":"red"}}`, [][]string{red, {}}, [][]string{blue}},
		{`{"StringEquals":{"aws:k":"red"}}`, [][]string{join(blue, red)}, nil},
		{`{"StringNotEquals":{"aws:k":"red"}}`, nil, [][]string{join(blue, red)}},
		{`{"NumericLessThan":{"aws:k":10}}`, [][]string{{"k", "9"}, {"k", "-1"}, {"k", "9.99"}}, [][]string{{"k", "10"}, {"k", "x"}, {}}},
		{`{"NumericLessThanEquals":{"aws:k":"10"}}`, [][]string{{"k", "10"}}, [][]string{{"k", "10.1"}}},
		{`{"NumericGreaterThan":{"aws:k":"10"}}`, [][]string{{"k", "11"}}, [][]string{{"k", "10"}}},
		{`{"NumericGreaterThanEquals":{"aws:k":"10"}}`, [][]string{{"k", "10"}}, [][]string{{"k", "9"}}},
		{`{"NumericEquals":{"aws:k":"10"}}`, [][]string{{"k", "10.0"}}, [][]string{{"k", "1"}}},
		{`{"NumericNotEquals":{"aws:k":"10"}}`, [][]string{{"k", "1"}, {}, {"k", "x"}}, [][]string{{"k", "10"}}},
		{`{"DateLessThan":{"aws:k":"2026-05-01T00:00:00Z"}}`, [][]string{{"k", "2026-04-30T23:59:59Z"}, {"k", "2026-05-01T01:00:00+02:00"}, {"k", "1700000000"}},
			[][]string{{"k", "2026-05-01T00:00:00Z"}, {}, {"k", "soon"}}},
		{`{"DateEquals":{"aws:k":"2026-05-01"}}`, [][]string{{"k", "2026-05-01T00:00:00.000Z"}}, [][]string{{"k", "2026-05-01T00:00:01Z"}}},
		{`{"DateNotEquals":{"aws:k":"2026-05-01"}}`, [][]string{{"k", "2026-05-02"}, {}}, [][]string{{"k", "2026-05-01"}}},
		{`{"DateGreaterThanEquals":{"aws:k":1767225600}}`, [][]string{{"k", "2026-01-01T00:00:00Z"}}, [][]string{{"k", "2025-12-31T23:59:59Z"}}},
		{`{"DateGreaterThan":{"aws:k":"2026"}}`, [][]string{{"k", "2026-01-01T00:00:01Z"}}, [][]string{{"k", "2026-01-01T00:00:00Z"}}},
		{`{"DateLessThanEquals":{"aws:k":"2026-01"}}`, [][]string{{"k", "2026-01-01T00:00:00Z"}}, [][]string{{"k", "2026-01-01T00:01Z"}}},
		{`{"Bool":{"aws:k":true}}`, [][]string{{"k", "true"}, {"k", "True"}}, [][]string{{"k", "false"}, {}, {"k", "1"}}},
		{`{"Bool":{"aws:k":"false"}}`, [][]string{{"k", "false"}}, [][]string{{"k", "true"}, {}, {"k", ""}}},
		{`{"BoolIfExists":{"aws:k":"false"}}`, [][]string{{"k", "false"}, {}}, [][]string{{"k", "true"}}},
		{`{"BinaryEquals":{"aws:k":"cmVk"}}`, [][]string{red}, [][]string{blue, {}}},
		{`{"IpAddress":{"aws:k":["192.0.2.0/24","2001:db8::/32"]}}`, [][]string{{"k", "192.0.2.255"}, {"k", "2001:db8:1::2"}, {"k", "::ffff:192.0.2.9"}},
			[][]string{{"k", "192.0.3.0"}, {"k", "2001:db9::"}, {"k", "x"}, {}}},
		{`{"IpAddress":{"aws:k":"192.0.2.1"}}`, [][]string{{"k", "192.0.2.1"}}, [][]string{{"k", "192.0.2.2"}}},
		{`{"NotIpAddress":{"aws:k":"192.0.2.0/24"}}`, [][]string{{"k", "192.0.3.0"}, {}}, [][]string{{"k", "192.0.2.3"}}},
		{`{"ArnLike":{"aws:k":"arn:aws:sns:*:111122223333:t*"}}`, [][]string{{"k", "arn:aws:sns:eu:111122223333:t:x"}},
			[][]string{{"k", "arn:aws:sns:eu:444455556666:111122223333:t"}, {"k", "arn:aws:sns:eu:1:t"}, {}, {"k", "t"}}},
		{`{"ArnEquals":{"aws:k":"arn:aws:sns:*:111122223333:?"}}`, [][]string{{"k", "arn:aws:sns:eu:111122223333:t"}}, [][]string{{"k", "arn:aws:sns:eu:111122223333:tt"}}},
		{`{"ArnNotLike":{"aws:k":"arn:aws:sns:*:111122223333:t"}}`, [][]string{{"k", "arn:aws:sns:eu:111122223333:u"}, {}}, [][]string{{"k", "arn:aws:sns:eu:111122223333:t"}}},
		{`{"Null":{"aws:k":"true"}}`, [][]string{{}}, [][]string{red}},
		{`{"Null":{"aws:k":false}}`, [][]string{red}, [][]string{{}}},
		{`{"StringEquals":{"aws:k":"red","aws:l":"x"}}`, [][]string{{"k", "red", "l", "x"}}, [][]string{red, {"l", "x"}}},
		{`{"StringEquals":{"aws:k":"red"},"StringNotEquals":{"aws:l":"x"}}`, [][]string{red}, [][]string{{"k", "red", "l", "x"}, {}}},
		{`{}`, [][]string{{}}, nil},
	} {
		doc := parse(t, one("Condition", of.condition))
		ask := func(pairs []string) policy.Effect {
			named := make([]string, len(pairs))
			for i, text := range pairs {
				if named[i] = text; i%2 == 0 {
					named[i] = "aws:" + text
				}
			}
			return policy.Evaluate(alice(named...), doc).Effect
		}
		for _, values := range of.holds {
			require.Equal(t, policy.Allow, ask(values), "%s with %v", of.condition, values)
		}
		for _, values := range of.not {
			require.Equal(t, policy.None, ask(values), "%s with %v", of.condition, values)
		}
	}
}

func TestVariables(t *testing.T) {
	const at = "arn:aws:s3:::b/"
	for _, of := range []struct {
		resource, key string
		values        []string
		fits          bool
	}{
		{"${aws:username}/*", "alice/x", []string{"aws:username", "alice"}, true},
		{"${AWS:UserName}/*", "bob/x", []string{"aws:username", "alice"}, false},
		{"${aws:username}/*", "/x", nil, false},
		{"*/${aws:username}", "x/alice", []string{"aws:username", "alice"}, true},
		{"${aws:username}", "alice", []string{"aws:username", "*"}, false},
		{"${aws:username}", "*", []string{"aws:username", "*"}, true},
		{"${aws:username}", "a", []string{"aws:username", "a", "aws:username", "b"}, false},
		{"${aws:username, 'nobody'}/x", "nobody/x", nil, true},
		{"${aws:username,'no}body'}/x", "no}body/x", nil, true},
		{"${aws:username, 'nobody'}/x", "nobody/x", []string{"aws:username", "alice"}, false},
		{"${aws:username, 'a'}", "a", []string{"aws:username", "a", "aws:username", "b"}, false},
		{"${aws:PrincipalTag/Team}", "red", []string{"aws:principaltag/Team", "red"}, true},
		{"${aws:PrincipalTag/team}", "red", []string{"aws:principaltag/Team", "red"}, false},
		{"${*}", "*", nil, true},
		{"${*}", "x", nil, false},
		{"${?}x", "?x", nil, true},
		{"${$}{x}", "${x}", nil, true},
		{"$x", "$x", nil, true},
		{"a?c", "aéc", nil, true},
		{"a*??", "a€", nil, false},
		{"*", "a/b/c", nil, true},
	} {
		r := alice(of.values...)
		r.Resource = at + of.key
		want := policy.None
		if of.fits {
			want = policy.Allow
		}
		got := policy.Evaluate(r, parse(t, one("Resource", `"`+at+of.resource+`"`)))
		require.Equal(t, want, got.Effect, "%s against %s with %v", of.resource, of.key, of.values)
	}
	old := parse(t, strings.Replace(one("Resource", `"`+at+`${aws:username}"`), "2012-10-17", "2008-10-17", 1))
	r := alice("aws:username", "k")
	require.Equal(t, policy.None, policy.Evaluate(r, old).Effect, "2008-10-17 has no variables")
	r.Resource = at + "${aws:username}"
	require.Equal(t, policy.Allow, policy.Evaluate(r, old).Effect)
	in := parse(t, one("Condition", `{"StringEquals":{"s3:prefix":"${aws:username}"}}`))
	require.Equal(t, policy.Allow, policy.Evaluate(alice("aws:username", "alice", "s3:prefix", "alice"), in).Effect)
	require.Equal(t, policy.None, policy.Evaluate(alice("s3:prefix", ""), in).Effect)
}

func TestPrincipals(t *testing.T) {
	bob := policy.Principal{Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/bob", CanonicalID: "a1"}
	root := policy.Principal{Account: "111122223333", ARN: "arn:aws:iam::111122223333:root", CanonicalID: "a1"}
	stranger := policy.Principal{Account: "444455556666", ARN: "arn:aws:iam::444455556666:user/alice", CanonicalID: "b2"}
	alice := policy.Principal{Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/alice", CanonicalID: "a1"}
	alone := policy.Principal{ARN: "arn:aws:iam:::user/alice", CanonicalID: "c3"}
	type names = map[string]policy.Principal
	nobody := policy.Principal{}
	for _, of := range []struct {
		principal string
		himself   names
		delegated names
		not       names
	}{
		{`"*"`, names{"alice": alice, "nobody": nobody, "stranger": stranger}, nil, nil},
		{`{"AWS":"*"}`, names{"alice": alice, "nobody": nobody}, nil, nil},
		{`{"AWS":"111122223333"}`, names{"root": root}, names{"alice": alice, "bob": bob}, names{"stranger": stranger, "nobody": nobody}},
		{`{"AWS":"arn:aws:iam::111122223333:root"}`, names{"root": root}, names{"alice": alice}, names{"stranger": stranger, "nobody": nobody, "alone": alone}},
		{`{"AWS":"arn:aws:iam::111122223333:user/alice"}`, names{"alice": alice}, nil, names{"bob": bob, "root": root, "stranger": stranger}},
		{`{"AWS":["arn:aws:iam::111122223333:user/bob","arn:aws:iam::111122223333:user/alice"]}`, names{"alice": alice, "bob": bob}, nil, names{"root": root}},
		{`{"AWS":"arn:aws:iam:::user/alice"}`, names{"alice": alice}, nil, names{"bob": bob, "stranger": stranger, "alone": alone, "nobody": nobody}},
		{`{"AWS":"arn:aws:iam:::root"}`, names{"root": root}, names{"alice": alice}, names{"stranger": stranger, "alone": alone, "nobody": nobody}},
		{`{"CanonicalUser":"a1"}`, names{"alice": alice, "bob": bob}, nil, names{"stranger": stranger, "nobody": nobody}},
		{`{"Service":"logging.s3.amazonaws.com"}`, nil, nil, names{"alice": alice, "nobody": nobody}},
		{`{"AWS":["111122223333","arn:aws:iam::111122223333:user/alice"]}`, names{"alice": alice}, names{"bob": bob}, nil},
	} {
		doc := parse(t, one("Principal", of.principal))
		ask := func(who policy.Principal) policy.Decision {
			return policy.Evaluate(&policy.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Principal: who, Owner: "111122223333"}, doc)
		}
		for name, who := range of.himself {
			require.Equal(t, policy.Decision{Effect: policy.Allow}, ask(who), "%s for %s", of.principal, name)
		}
		for name, who := range of.delegated {
			require.Equal(t, policy.Decision{Effect: policy.Allow, Delegated: true}, ask(who), "%s for %s", of.principal, name)
		}
		for name, who := range of.not {
			require.Equal(t, policy.Decision{Document: -1, Statement: -1}, ask(who), "%s for %s", of.principal, name)
		}
	}
	// A server of one account without a number.
	doc := parse(t, one("Principal", `{"AWS":"arn:aws:iam:::user/alice"}`))
	require.Equal(t, policy.Allow, policy.Evaluate(&policy.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Principal: alone}, doc).Effect)
	require.Equal(t, policy.None, policy.Evaluate(&policy.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k"}, doc).Effect)
	// Who is not named is denied; naming an account spares its root alone.
	spare := parse(t, one("Effect", `"Deny"`, "Principal", "", "NotPrincipal", `{"AWS":["arn:aws:iam::111122223333:user/alice","111122223333"]}`))
	for who, effect := range map[policy.Principal]policy.Effect{alice: policy.None, root: policy.None, bob: policy.Deny, stranger: policy.Deny, nobody: policy.Deny} {
		got := policy.Evaluate(&policy.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Principal: who}, spare)
		require.Equal(t, effect, got.Effect, who)
	}
}

func TestActionsAndResources(t *testing.T) {
	for _, of := range []struct {
		elements []string
		action   string
		resource string
		effect   policy.Effect
	}{
		{[]string{"Action", `"S3:GETOBJECT"`}, "s3:GetObject", "arn:aws:s3:::b/k", policy.Allow},
		{[]string{"Action", `["s3:PutObject","s3:Get*"]`}, "s3:GetObjectAcl", "arn:aws:s3:::b/k", policy.Allow},
		{[]string{"Action", `"s3:GetObjec?"`}, "s3:GetObject", "arn:aws:s3:::b/k", policy.Allow},
		{[]string{"Action", `"s3:Get"`}, "s3:GetObject", "arn:aws:s3:::b/k", policy.None},
		{[]string{"Action", `"*"`}, "s3:DeleteBucket", "arn:aws:s3:::b/k", policy.Allow},
		{[]string{"Action", "", "NotAction", `"s3:Get*"`}, "s3:GetObject", "arn:aws:s3:::b/k", policy.None},
		{[]string{"Action", "", "NotAction", `"s3:Get*"`}, "s3:PutObject", "arn:aws:s3:::b/k", policy.Allow},
		{[]string{}, "s3:GetObject", "arn:aws:s3:::b", policy.None},
		{[]string{}, "s3:GetObject", "arn:aws:s3:::B/k", policy.None},
		{[]string{}, "s3:GetObject", "arn:aws:s3:::b/", policy.Allow},
		{[]string{"Resource", "", "NotResource", `"arn:aws:s3:::b/secret/*"`}, "s3:GetObject", "arn:aws:s3:::b/secret/x", policy.None},
		{[]string{"Resource", "", "NotResource", `"arn:aws:s3:::b/secret/*"`}, "s3:GetObject", "arn:aws:s3:::b/x", policy.Allow},
	} {
		doc := parse(t, one(of.elements...))
		got := policy.Evaluate(&policy.Request{Action: of.action, Resource: of.resource}, doc)
		require.Equal(t, of.effect, got.Effect, "%v: %s on %s", of.elements, of.action, of.resource)
	}
}

func TestDenyWinsAndSaysWhich(t *testing.T) {
	allow := parse(t, `{"Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"},{"Sid":"Yes","Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	deny := parse(t, `{"Statement":[{"Sid":"No","Effect":"Deny","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:k":"x"}}}]}`)
	require.Equal(t, policy.Decision{Effect: policy.Allow, Document: 1, Statement: 1, Sid: "Yes"}, policy.Evaluate(alice(), nil, allow, deny))
	require.Equal(t, policy.Decision{Effect: policy.Deny, Document: 2, Statement: 0, Sid: "No"}, policy.Evaluate(alice("aws:k", "x"), nil, allow, deny))
	require.Equal(t, policy.Decision{Effect: policy.Deny, Sid: "No"}, policy.Evaluate(alice("aws:k", "x"), deny, allow))
	require.Equal(t, policy.Decision{Document: -1, Statement: -1}, policy.Evaluate(alice(), deny, nil))
	require.Equal(t, policy.None, policy.Evaluate(alice()).Effect)
	for effect, name := range map[policy.Effect]string{policy.None: "None", policy.Allow: "Allow", policy.Deny: "Deny"} {
		require.Equal(t, name, effect.String())
	}
	require.Equal(t, "arn:aws:s3:::*", policy.ResourceARN("", ""))
	require.Equal(t, "arn:aws:s3:::b", policy.ResourceARN("b", ""))
}

// A pattern must not make comparing take for ever.
func TestManyStars(t *testing.T) {
	stars := strings.Repeat("*a", 5000)
	doc := parse(t, one("Resource", `"arn:aws:s3:::b/`+stars+`b"`))
	r := alice()
	r.Resource = policy.ResourceARN("b", strings.Repeat("a", 1024))
	require.Equal(t, policy.None, policy.Evaluate(r, doc).Effect)
	require.NoError(t, doc.ForBucket("b"))
}

func TestDocumentsAreShared(t *testing.T) {
	doc := parse(t, one("Resource", `"arn:aws:s3:::b/${aws:username}"`, "Condition", `{"StringEquals":{"aws:k":"${aws:username}"}}`))
	var all sync.WaitGroup
	for _, name := range []string{"k", "x"} {
		all.Go(func() {
			for range 1000 {
				got := policy.Evaluate(alice("aws:username", name, "aws:k", name), doc)
				if (got.Effect == policy.Allow) != (name == "k") {
					t.Errorf("%s: %v", name, got.Effect)
				}
			}
		})
	}
	all.Wait()
}
