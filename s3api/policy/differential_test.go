// Goal: the evaluator says what the model says, of whatever document. Method:
// documents and requests made by chance from few names, and what the fuzzer finds.
package policy_test

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/policy"
)

// chance makes documents and requests from small sets of names, so that they
// often have to do with each other.
type chance struct{ *rand.Rand }

func pick[T any](c chance, from ...T) T { return from[c.IntN(len(from))] }

// list gives one of them, or several.
func list(c chance, from ...any) any {
	if c.IntN(3) == 0 {
		return pick(c, from...)
	}
	out := make([]any, 1+c.IntN(3))
	for i := range out {
		out[i] = pick(c, from...)
	}
	return out
}

func (c chance) document() []byte {
	statements := make([]any, 1+c.IntN(4))
	for i := range statements {
		statements[i] = c.statement()
	}
	doc := map[string]any{"Version": pick(c, "2012-10-17", "2012-10-17", "2008-10-17"), "Statement": statements}
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return data
}

func (c chance) statement() map[string]any {
	s := map[string]any{
		"Effect":                                 pick(c, "Allow", "Allow", "Deny"),
		pick(c, "Action", "Action", "NotAction"): list(c, "s3:GetObject", "s3:getobject", "s3:Get*", "s3:*", "*", "s3:PutObject", "s3:?etObject", "s3:*O*t"),
		pick(c, "Resource", "Resource", "NotResource"): list(c, "arn:aws:s3:::b/*", "arn:aws:s3:::b/a", "arn:aws:s3:::b/a?", "arn:aws:s3:::*", "*",
			"arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/${aws:nothing, 'a'}", "arn:aws:s3:::b/${aws:nothing}", "arn:aws:s3:::b/${*}*", "arn:aws:s3:::b/*${aws:username}?*",
			"arn:aws:s3:::b/${s3:several}*", "arn:aws:s3:::b/*a*b*c", "arn:aws:s3:::b/é?*"),
	}
	if c.IntN(4) > 0 {
		s[pick(c, "Principal", "Principal", "Principal", "NotPrincipal")] = c.principal()
	}
	if c.IntN(2) == 0 {
		s["Condition"] = c.conditions()
	}
	return s
}

func (c chance) principal() any {
	if c.IntN(4) == 0 {
		return "*"
	}
	p := map[string]any{"AWS": list(c, "*", "111122223333", "444455556666", "arn:aws:iam::111122223333:root", "arn:aws:iam:::root",
		"arn:aws:iam::111122223333:user/alice", "arn:aws:iam:::user/alice", "arn:aws:iam::444455556666:user/alice")}
	if c.IntN(4) == 0 {
		p["CanonicalUser"] = list(c, "c1", "c2")
	}
	if c.IntN(4) == 0 {
		p["Service"] = "logging.s3.amazonaws.com"
	}
	return p
}

func (c chance) conditions() map[string]any {
	key := func() string {
		return pick(c, "aws:UserName", "s3:several", "aws:nothing", "S3:Number", "aws:currenttime", "aws:SourceIp", "aws:flag", "aws:SourceArn", "s3:ExistingObjectTag/Team")
	}
	values := map[string][]any{
		"String":    {"alice", "Alice", "a*", "", "??ice", "${aws:username}", "${aws:nothing, 'red'}", "re?", "${*}", "red", "x*y", "a${$}"},
		"Numeric":   {3, "3", 4.5, "-1", "1e3"},
		"Date":      {"2026-01-01T00:00:00Z", "2026-01-01", 1767225600, "2026-06-01T12:00:00+02:00", "2026-01"},
		"Bool":      {true, "false", "TRUE"},
		"Binary":    {"YWxpY2U=", "", "cmVk"},
		"IpAddress": {"192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0", "::ffff:192.0.2.7"},
		"Arn":       {"arn:aws:sns:*:111122223333:*", "*", "arn:aws:sns:eu:111122223333:t:${aws:username}", "arn:*:*:*:*:?*", "arn:aws:s?s:eu:*:t*"},
	}
	operators := map[string][]string{
		"String":    {"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"},
		"Numeric":   {"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"},
		"Date":      {"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
		"Bool":      {"Bool"},
		"Binary":    {"BinaryEquals"},
		"IpAddress": {"IpAddress", "NotIpAddress"},
		"Arn":       {"ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"},
	}
	out := map[string]any{}
	for range 1 + c.IntN(2) {
		if c.IntN(8) == 0 {
			out["Null"] = map[string]any{key(): list(c, true, "false")}
			continue
		}
		kind := pick(c, "String", "String", "String", "Numeric", "Date", "Bool", "Binary", "IpAddress", "Arn")
		operator := pick(c, "", "", "", "ForAllValues:", "ForAnyValue:") + pick(c, operators[kind]...) + pick(c, "", "", "", "IfExists")
		out[operator] = map[string]any{key(): list(c, values[kind]...)}
	}
	return out
}

func (c chance) request() *policy.Request {
	who := pick(c, policy.Principal{},
		policy.Principal{Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/alice", CanonicalID: "c1"},
		policy.Principal{Account: "111122223333", ARN: "arn:aws:iam::111122223333:root", CanonicalID: "c1"},
		policy.Principal{Account: "444455556666", ARN: "arn:aws:iam::444455556666:user/alice", CanonicalID: "c2"},
		policy.Principal{Account: "", ARN: "arn:aws:iam:::user/alice", CanonicalID: "c3"})
	of := map[string][]string{
		"aws:username":              pick(c, nil, []string{"alice"}, []string{"a*"}),
		"s3:several":                pick(c, nil, []string{"red"}, []string{"red", "blue"}, []string{"blue", "alice", "red"}),
		"s3:number":                 pick(c, nil, []string{"3"}, []string{"1000", "x"}),
		"aws:currenttime":           pick(c, nil, []string{"2026-01-01T00:00:00Z"}, []string{"2026-06-01T10:00:00Z"}),
		"aws:sourceip":              pick(c, nil, []string{"192.0.2.7"}, []string{"2001:db8::1"}, []string{"::ffff:192.0.2.7"}, []string{"nonsense"}),
		"aws:flag":                  pick(c, nil, []string{"true"}, []string{"False"}),
		"aws:sourcearn":             pick(c, nil, []string{"arn:aws:sns:eu:111122223333:t:alice"}, []string{"arn:aws"}),
		"s3:existingobjecttag/Team": pick(c, nil, []string{"red"}, []string{""}),
	}
	return &policy.Request{
		Action: pick(c, "s3:GetObject", "s3:PutObject", "s3:ListBucket"), Principal: who,
		Resource: pick(c, "arn:aws:s3:::b/a", "arn:aws:s3:::b/ab", "arn:aws:s3:::b", "arn:aws:s3:::b/alice/x", "arn:aws:s3:::b/*",
			"arn:aws:s3:::b/xaybzc", "arn:aws:s3:::b/éé", "arn:aws:s3:::b/red"),
		Owner:   pick(c, "111122223333", "", "444455556666"),
		Context: func(key string) []string { return of[key] },
	}
}

// agree compares the evaluator with the model.
func agree(t *testing.T, data []byte, doc *policy.Document, r *policy.Request) policy.Effect {
	effect, delegated := decide(data, r)
	got := policy.Evaluate(r, doc)
	require.Equal(t, effect, got.Effect, "%s\n%+v", data, r)
	require.Equal(t, delegated, got.Delegated, "%s\n%+v", data, r)
	return effect
}

func TestEvaluatorAgreesWithBruteForce(t *testing.T) {
	const documents = 4000
	seen := map[policy.Effect]int{}
	for seed := range uint64(documents) {
		c := chance{rand.New(rand.NewPCG(seed, 1))}
		data := c.document()
		doc, err := policy.Parse(data)
		require.NoError(t, err, "%s", data)
		for range 8 {
			seen[agree(t, data, doc, c.request())]++
		}
	}
	for _, effect := range []policy.Effect{policy.None, policy.Allow, policy.Deny} {
		require.Greater(t, seen[effect], documents/4, "of %s there are too few to compare", effect)
	}
}

// FuzzEvaluate lets the fuzzer make the choices of chance.
func FuzzEvaluate(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		c := chance{rand.New(rand.NewPCG(a, b))}
		data := c.document()
		doc, err := policy.Parse(data)
		require.NoError(t, err, "%s", data)
		agree(t, data, doc, c.request())
	})
}

// FuzzParse gives any text: what is taken is decided as the model does, and none of the
// other questions fails.
func FuzzParse(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(chance{rand.New(rand.NewPCG(seed, 2))}.document(), seed)
	}
	f.Add([]byte(`{"Statement":[],"Statement":[]}`), uint64(0))
	f.Add([]byte(`{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${a,'}'}"}}`), uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		doc, err := policy.Parse(data)
		if err != nil {
			require.ErrorAs(t, err, new(*policy.Error))
			return
		}
		require.True(t, utf8.Valid(data))
		_, _ = doc.ForBucket("b"), doc.ForIdentity()
		doc.Public()
		if len(data) < 2000 { // brute force is slow
			agree(t, data, doc, chance{rand.New(rand.NewPCG(seed, 3))}.request())
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	for _, statements := range []int{2, 20} {
		text := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
		for i := range statements - 1 {
			text += `,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/u` + strconv.Itoa(statements-2-i) +
				`"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/${aws:username}/*","Condition":{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","198.51.100.0/24"]}}}`
		}
		doc, err := policy.Parse([]byte(text + "]}"))
		require.NoError(b, err)
		values := map[string][]string{"aws:securetransport": {"true"}, "aws:sourceip": {"198.51.100.7"}, "aws:username": {"u0"}}
		r := &policy.Request{
			Action: "s3:GetObject", Resource: "arn:aws:s3:::b/u0/2026/07/a-picture.jpg",
			Principal: policy.Principal{Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/u0"},
			Context:   func(key string) []string { return values[key] },
		}
		require.Equal(b, policy.Allow, policy.Evaluate(r, doc).Effect)
		b.Run(strconv.Itoa(statements), func(b *testing.B) {
			for b.Loop() {
				policy.Evaluate(r, doc)
			}
		})
	}
}
