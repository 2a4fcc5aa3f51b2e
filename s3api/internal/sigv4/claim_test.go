// Goal: a claim that is parsed is complete and unambiguous, and valid for exactly
// its time. Method: one change at a time to a good one, times at and beside every
// bound, and fuzz targets that ask for what a parsed claim promises.
package sigv4_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
)

const goodSignature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
const goodHeader = "AWS4-HMAC-SHA256 Credential=" + exampleKey + "/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + goodSignature

func TestHeadersThatAreRefused(t *testing.T) {
	_, err := sigv4.ParseHeader(goodHeader, exampleTime)
	require.NoError(t, err)
	for _, change := range [][2]string{
		{"AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 "},
		{"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"},
		{"AWS4-HMAC-SHA256 ", ""},
		{exampleKey, ""},
		{exampleKey, strings.Repeat("k", 129)},
		{"/20130524/", "/20130525/"},
		{"/20130524/", "/"},
		{"us-east-1", ""},
		{"/s3/", "/sts/"},
		{"aws4_request", "aws5_request"},
		{"host;", ""},
		{"host;", "Host;"},
		{"host;", "host;host;"},
		{"host;", "host;;"},
		{"host;", "host;" + strings.Repeat("a;", 200)},
		{"Signature=", "Signature=00"},
		{"Signature=", "Signatur="},
		{goodSignature, goodSignature[1:]},
		{goodSignature, strings.Replace(goodSignature, "f", "g", 1)},
		{", Signature", ", Signature=" + goodSignature + ", Signature"},
		{", Signature", ", Other=1, Signature"},
	} {
		_, err := sigv4.ParseHeader(strings.Replace(goodHeader, change[0], change[1], 1), exampleTime)
		require.ErrorIs(t, err, sigv4.ErrMalformed, "%q", change)
	}
	for _, at := range []string{"", "20130524T000000", "2013-05-24T00:00:00Z", "20130523T235959Z", "20130532T000000Z"} {
		_, err := sigv4.ParseHeader(goodHeader, at)
		require.ErrorIs(t, err, sigv4.ErrMalformed, at)
	}
	_, err = sigv4.ParseHeader(goodHeader, "Fri, 24 May 2013 00:00:00 GMT")
	require.NoError(t, err)
}

func presigned(replace ...string) string {
	return strings.NewReplacer(replace...).Replace("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + exampleKey +
		"/20130524/us-east-1/s3/aws4_request&X-Amz-Date=" + exampleTime + "&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=" + goodSignature)
}

func parsePresigned(raw string) (*sigv4.Claim, error) {
	query, err := sigv4.ParseQuery(raw, 100)
	if err != nil {
		return nil, err
	}
	return sigv4.ParseQueryClaim(query)
}

func TestQueriesThatAreRefused(t *testing.T) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		_, err := parsePresigned(presigned(name, "Other"))
		require.ErrorIs(t, err, sigv4.ErrMalformed, name)
		_, err = parsePresigned(presigned() + "&" + name + "=x")
		require.ErrorIs(t, err, sigv4.ErrMalformed, name)
	}
	for expires, ok := range map[string]bool{
		"0": false, "-1": false, "": false, "x": false, "604801": false, "99999999999999999999": false, "1.5": false, "1": true, "604800": true,
	} {
		_, err := parsePresigned(presigned("Expires=60", "Expires="+expires))
		if ok {
			require.NoError(t, err, expires)
		} else {
			require.ErrorIs(t, err, sigv4.ErrExpires, expires)
		}
	}
	for _, raw := range []string{"a=%", "a=%2", "a=%zz", "%g=1", strings.Repeat("a&", 101)} {
		_, err := sigv4.ParseQuery(raw, 100)
		require.ErrorIs(t, err, sigv4.ErrQuery, raw)
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	header, err := sigv4.ParseHeader(goodHeader, exampleTime)
	require.NoError(t, err)
	query, err := parsePresigned(presigned())
	require.NoError(t, err)
	for _, c := range []struct {
		claim *sigv4.Claim
		now   time.Duration
		want  error
	}{
		{header, 0, nil}, {header, sigv4.Skew, nil}, {header, -sigv4.Skew, nil},
		{header, sigv4.Skew + 1, sigv4.ErrSkew}, {header, -sigv4.Skew - 1, sigv4.ErrSkew},
		{query, 0, nil}, {query, time.Minute, nil}, {query, -sigv4.Skew, nil},
		{query, time.Minute + 1, sigv4.ErrExpired}, {query, -sigv4.Skew - 1, sigv4.ErrNotYet},
	} {
		require.ErrorIs(t, c.claim.CheckTime(at.Add(c.now)), c.want, "%v", c.now)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(goodHeader, exampleTime)
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/20130524/x/s3/aws4_request,SignedHeaders=host,Signature="+goodSignature, exampleTime)
	f.Fuzz(func(t *testing.T, header, at string) {
		requireSound(t)(sigv4.ParseHeader(header, at))
	})
}

func FuzzParseQueryClaim(f *testing.F) {
	f.Add(presigned())
	f.Add("a=%41&b&=c&&a=+")
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := sigv4.ParseQuery(raw, 100)
		if err != nil {
			require.Nil(t, query)
			return
		}
		require.LessOrEqual(t, len(query), 100)
		requireSound(t)(sigv4.ParseQueryClaim(query))
	})
}

func requireSound(t *testing.T) func(*sigv4.Claim, error) {
	return func(claim *sigv4.Claim, err error) {
		if err != nil {
			require.Nil(t, claim)
			return
		}
		require.True(t, claim.Signs("host"))
		require.Len(t, claim.Signature, 64)
		require.NotEmpty(t, claim.AccessKey)
		require.Equal(t, claim.Time.Format("20060102"), claim.Scope.Date)
	}
}
