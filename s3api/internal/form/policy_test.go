// Goal: what a policy does not allow is refused, in S3's words. Method: tables of
// policies and forms; every condition fails alone. What is expected of an upload as a
// whole is in the tests of the handler.
package form_test

import (
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/form"
)

const until = `"expiration":"2026-11-26T12:00:00.000Z"`

func now() time.Time { return time.Date(2026, 11, 26, 11, 59, 59, 0, time.UTC) }

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func policyOf(t *testing.T, conditions string) *form.Policy {
	t.Helper()
	p, err := form.ParsePolicy(encode(`{` + until + `,"conditions":[` + conditions + `]}`))
	require.NoError(t, err, conditions)
	return p
}

func formOf(t *testing.T, fields ...string) *form.Form {
	t.Helper()
	var parts []part
	for i := 0; i < len(fields); i += 2 {
		parts = append(parts, part{fields[i], "", fields[i+1]})
	}
	body, boundary := write(t, append(parts, part{"file", "cat.jpg", "x"})...)
	f, err := form.Read(strings.NewReader(body), boundary)
	require.NoError(t, err)
	return f
}

func TestPoliciesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"%":                         "Invalid Policy: Invalid Base64 encoding.",
		encode(""):                  "Invalid Policy: Invalid JSON.",
		encode("null"):              "Invalid Policy: Invalid JSON.",
		encode("[]"):                "Invalid Policy: Invalid JSON.",
		encode("{" + until):         "Invalid Policy: Invalid JSON.",
		encode(`{"conditions":[]}`): "Invalid Policy: Policy missing expiration.",
		encode(`{"Expiration":"2026-11-26T12:00:00Z","conditions":[]}`): "Invalid Policy: Unexpected: 'Expiration'.",
		encode(`{` + until + `}`):                       "Invalid Policy: Policy missing conditions.",
		encode(`{` + until + `,"CONDITIONS":[]}`):       "Invalid Policy: Unexpected: 'CONDITIONS'.",
		encode(`{` + until + `,"conditions":null}`):     "Invalid Policy: Invalid 'conditions' value: must be a List.",
		encode(`{` + until + `,"conditions":{}}`):       "Invalid Policy: Invalid 'conditions' value: must be a List.",
		encode(`{"expiration":1,"conditions":[]}`):      "Invalid Policy: Invalid 'expiration' value: must be a String.",
		encode(`{"expiration":"soon","conditions":[]}`): "Invalid Policy: Invalid 'expiration' value: 'soon'",
	} {
		_, err := form.ParsePolicy(text)
		var told *form.PolicyError
		require.ErrorAs(t, err, &told, text)
		require.Equal(t, want, told.Error(), text)
	}
	for _, condition := range []string{
		`{}`, `{"a":"b","c":"d"}`, `{"a":1}`, `{"a":["b"]}`, `[]`, `"x"`, `1`, `["eq","$a"]`, `["eq","$a","b","c"]`, `["eq","a","b"]`, `["eq","$","b"]`,
		`["eq","$a",1]`, `[1,"$a","b"]`, `["ne","$a","b"]`, `["content-length-range",0]`, `["content-length-range",-1,0]`,
		`["content-length-range","a","b"]`, `["content-length-range",0,1.5]`, `["content-length-range",1,99999999999999999999]`,
	} {
		_, err := form.ParsePolicy(encode(`{` + until + `,"conditions":[` + condition + `]}`))
		require.ErrorAs(t, err, new(*form.PolicyError), condition)
	}
}

func TestConditionsOfForms(t *testing.T) {
	const bucket = `{"bucket":"b"},`
	for _, of := range []struct {
		conditions string
		fields     []string
		message    string // "" allowed
	}{
		{`{"bucket":"b"}`, nil, ""},
		{`{"key":"k"}`, []string{"key", "k"}, "Extra input fields: bucket"},
		{`{"bucket":"c"}`, nil, `Policy Condition failed: ["eq", "$bucket", "c"]`},
		{`{"bucket":"c"}`, []string{"bucket", "c"}, `Policy Condition failed: ["eq", "$bucket", "c"]`},
		{`["starts-with","$bucket",""]`, nil, ""},
		{bucket + `{"key":"k"}`, []string{"key", "k"}, ""},
		{bucket + `{"KEY":"k"}`, []string{"kEy", "k"}, ""},
		{bucket + `{"key":"k"}`, []string{"key", "l"}, `Policy Condition failed: ["eq", "$key", "k"]`},
		{bucket + `["EQ","$Key","k"]`, []string{"key", "l"}, `Policy Condition failed: ["eq", "$Key", "k"]`},
		{bucket + `["StArTs-WiTh","$key","a/"]`, []string{"key", "a/b"}, ""},
		{bucket + `["starts-with","$key","a/"]`, []string{"key", "b"}, `Policy Condition failed: ["starts-with", "$key", "a/"]`},
		{bucket + `["starts-with","$key","up/cat"]`, []string{"key", "up/${filename}"}, ""},
		{bucket + `{"key":"up/${filename}"}`, []string{"key", "up/${filename}"}, `Policy Condition failed: ["eq", "$key", "up/${filename}"]`},
		{bucket + `["starts-with","$key",""]`, []string{"key", ""}, ""},
		{bucket + `["starts-with","$key",""]`, nil, `Policy Condition failed: ["starts-with", "$key", ""]`},
		{bucket + `{"x-amz-meta-a":""}`, nil, `Policy Condition failed: ["eq", "$x-amz-meta-a", ""]`},
		{bucket + `{"key":"k"}`, []string{"key", "k", "acl", "private"}, "Extra input fields: acl"},
		{bucket + `{"key":"k"}`, []string{"key", "k", "x-ignore-a", "1", "policy", "x", "AWSAccessKeyId", "a", "signature", "s", "x-amz-signature", "t"}, ""},
		{bucket + `{"key":"k"}`, []string{"key", "k", "x-amz-checksum-crc32", "x", "x-amz-checksum-algorithm", "CRC32", "x-amz-sdk-checksum-algorithm", "CRC32"}, ""},
		{bucket + `{"key":"k"}`, []string{"key", "k", "x-amz-date", "1"}, "Extra input fields: x-amz-date"},
		{bucket + `{"key":"k"}`, []string{"key", "k", "x-ignored", "1"}, "Extra input fields: x-ignored"},
		{bucket + `{"key":"k"},["starts-with","$key","x"]`, []string{"key", "k"}, `Policy Condition failed: ["starts-with", "$key", "x"]`},
		{bucket + `["starts-with","$Content-Type","image/"]`, []string{"content-type", "image/png, image/gif"}, ""},
		{bucket + `["starts-with","$Content-Type","image/"]`, []string{"content-type", "image/png, text/html"}, `Policy Condition failed: ["starts-with", "$Content-Type", "image/"]`},
		{bucket + `{"key":"\$a"}`, []string{"key", "$a"}, ""},
		{bucket + `{"key":"\\$a"}`, []string{"key", `\$a`}, ""},
		{bucket + `["content-length-range",0,"10"]`, nil, ""},
	} {
		err := policyOf(t, of.conditions).Check(formOf(t, of.fields...), "b", now())
		if of.message == "" {
			require.NoError(t, err, "%s for %v", of.conditions, of.fields)
			continue
		}
		var told *form.Violation
		require.ErrorAs(t, err, &told, "%s for %v", of.conditions, of.fields)
		require.Equal(t, "Invalid according to Policy: "+of.message, told.Error(), of.conditions)
	}
}

func TestPoliciesExpire(t *testing.T) {
	p := policyOf(t, `{"bucket":"b"}`)
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	require.NoError(t, p.Check(formOf(t), "b", at))
	require.EqualError(t, p.Check(formOf(t), "b", at.Add(time.Nanosecond)), "Invalid according to Policy: Policy expired.")
}

func TestSizesOfFiles(t *testing.T) {
	ranged := func(conditions string) *form.Policy { return policyOf(t, conditions) }
	for name, of := range map[string]struct {
		policy    *form.Policy
		size      int
		tooLarge  bool
		tooSmall  bool
		limitedTo int64
	}{
		"none":          {nil, 100, false, false, 100},
		"limit":         {nil, 101, true, false, 100},
		"no range":      {ranged(""), 101, true, false, 100},
		"inside":        {ranged(`["content-length-range",3,5]`), 3, false, false, 100},
		"upper end":     {ranged(`["content-length-range",3,5]`), 5, false, false, 100},
		"above":         {ranged(`["content-length-range",3,5]`), 6, true, false, 100},
		"below":         {ranged(`["content-length-range",3,5]`), 2, false, true, 100},
		"nothing":       {ranged(`["content-length-range",0,0]`), 0, false, false, 100},
		"not nothing":   {ranged(`["content-length-range",0,0]`), 3, true, false, 100},
		"two ranges":    {ranged(`["content-length-range",0,9],["content-length-range",2,4]`), 5, true, false, 100},
		"limit is less": {ranged(`["content-length-range",0,1000]`), 101, true, false, 100},
	} {
		r := of.policy.Limit(strings.NewReader(strings.Repeat("x", of.size)), of.limitedTo)
		_, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		var size *form.SizeError
		require.Equal(t, of.tooLarge || of.tooSmall, errors.As(err, &size), "%s: %v", name, err)
		if size != nil {
			require.Equal(t, of.tooLarge, size.TooLarge, name)
			n, again := r.Read(make([]byte, 1))
			require.Zero(t, n)
			require.Equal(t, err, again, "the error stays")
		}
	}
}

// FuzzPolicy: no text makes the policy of a form panic, and one that allows a form
// allows no other field, nor the same one for ever.
func FuzzPolicy(f *testing.F) {
	f.Add(`{` + until + `,"conditions":[{"bucket":"b"},["starts-with","$key","a"],["content-length-range",1,2]]}`)
	f.Add(`{` + until + `,"conditions":[{"key":"\$"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := form.ParsePolicy(encode(text))
		if err != nil {
			require.ErrorAs(t, err, new(*form.PolicyError))
			return
		}
		if err := p.Check(formOf(t, "key", "a"), "b", now()); err == nil {
			require.Error(t, p.Check(formOf(t, "key", "a", "field-of-no-condition", "x"), "b", now()))
			require.Error(t, p.Check(formOf(t, "key", "a"), "b", now().AddDate(10000, 0, 0)))
		}
		_, _ = io.Copy(io.Discard, p.Limit(strings.NewReader("abc"), 2))
	})
}
