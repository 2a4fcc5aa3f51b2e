// Goal: signatures are those that the definition wants, and a claim is parsed
// whole or refused. Method: the examples of the Amazon S3 developer guide
// ("Signing and Authenticating REST Requests"), whose keys and signatures are
// published; one change at a time to a good claim, times at and beside every
// bound; fuzz targets that ask for what a parsed claim promises.
package sigv2_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/sigv2"
)

const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	goodSignature = "bWq2s1WEIj+Ydj0vQ697zp+IXMU="
	goodDate      = "Tue, 27 Mar 2007 19:36:42 +0000"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// parameters splits a query as it was sent.
func parameters(t testing.TB, raw string) []sigv2.Parameter {
	t.Helper()
	var out []sigv2.Parameter
	for piece := range strings.SplitSeq(raw, "&") {
		if piece == "" {
			continue
		}
		name, value, _ := strings.Cut(piece, "=")
		value, err := url.QueryUnescape(value)
		require.NoError(t, err)
		out = append(out, sigv2.Parameter{Name: name, Value: value})
	}
	return out
}

// signature is what a request must be signed with.
func signature(t testing.TB, claim *sigv2.Claim, method, path string, query []sigv2.Parameter, header http.Header) string {
	t.Helper()
	obeyed, err := claim.Headers(header, query)
	require.NoError(t, err)
	return sigv2.Sign(exampleSecret, claim, &sigv2.Request{Method: method, Path: path, Query: query, Header: obeyed})
}

func TestDocumentedHeaders(t *testing.T) {
	for _, c := range []struct {
		signature, method, path, query string
		header                         http.Header
	}{
		{goodSignature, "GET", "/johnsmith/photos/puppy.jpg", "", headers("Date", goodDate)},
		{"MyyxeRY7whkBe+bq8fHCL/2kKUg=", "PUT", "/johnsmith/photos/puppy.jpg", "",
			headers("Date", "Tue, 27 Mar 2007 21:15:45 +0000", "Content-Type", "image/jpeg", "Content-Length", "94328")},
		{"htDYFYduRNen8P9ZfE/s9SuKy0U=", "GET", "/johnsmith/", "prefix=photos&max-keys=50&marker=puppy",
			headers("Date", "Tue, 27 Mar 2007 19:42:41 +0000", "User-Agent", "Mozilla/5.0")},
		{"c2WLPFtWHVgbEmeEG93a4cG37dM=", "GET", "/johnsmith/", "acl", headers("Date", "Tue, 27 Mar 2007 19:44:46 +0000")},
		{"R4dJ53KECjStyBO5iTBJZ4XVOaI=", "DELETE", "/johnsmith/photos/puppy.jpg", "",
			headers("Date", "Tue, 27 Mar 2007 21:20:27 +0000", "X-Amz-Date", "Tue, 27 Mar 2007 21:20:26 +0000")},
		{"ilyl83RwaSoYIEdixDQcA4OnAnc=", "PUT", "/static.johnsmith.net/db-backup.dat.gz", "", headers(
			"Date", "Tue, 27 Mar 2007 21:06:08 +0000", "X-Amz-Acl", "public-read", "Content-Type", "application/x-download",
			"Content-Md5", "4gJE4saaMU4BqNR0kLY+lw==", "X-Amz-Meta-Reviewedby", "joe@johnsmith.net", "X-Amz-Meta-Reviewedby", "jane@johnsmith.net",
			"X-Amz-Meta-Filechecksum", "0x02661779", "X-Amz-Meta-Checksumalgorithm", "crc32", "Content-Encoding", "gzip")},
		{"qGdzdERIC03wnaRNKh6OqZehG9s=", "GET", "/", "", headers("Date", "Wed, 28 Mar 2007 01:29:59 +0000")},
		{"DNEZGsoieTZ92F3bUfSPQcbGmlM=", "GET", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", "",
			headers("Date", "Wed, 28 Mar 2007 01:49:49 +0000")},
	} {
		claim, err := sigv2.ParseHeader("AWS "+exampleKey+":"+c.signature, c.header)
		require.NoError(t, err)
		require.Equal(t, exampleKey, claim.AccessKey)
		require.Equal(t, c.signature, signature(t, claim, c.method, c.path, parameters(t, c.query), c.header), c.path)
	}
}

func TestDocumentedQuery(t *testing.T) {
	query := parameters(t, "AWSAccessKeyId="+exampleKey+"&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620")
	require.True(t, sigv2.IsPresigned(query))
	claim, err := sigv2.ParseQuery(query)
	require.NoError(t, err)
	require.Equal(t, time.Unix(1175139620, 0).UTC(), claim.Time)
	require.Equal(t, claim.Signature, signature(t, claim, "GET", "/johnsmith/photos/puppy.jpg", query, http.Header{}))
}

func TestHeadersThatAreRefused(t *testing.T) {
	dated := headers("Date", goodDate)
	for _, authorization := range []string{
		"", "AWS", "AWS ", "AWS :", "AWS " + exampleKey, "AWS " + exampleKey + ":", "AWS :" + goodSignature, "aws " + exampleKey + ":" + goodSignature,
		"AWS " + exampleKey + ":" + goodSignature[1:], "AWS " + exampleKey + ":" + strings.Replace(goodSignature, "+", "-", 1),
		"AWS " + exampleKey + ":" + strings.Replace(goodSignature, "U=", "V=", 1), "AWS " + exampleKey + ":" + goodSignature + goodSignature,
		"AWS " + strings.Repeat("k", 129) + ":" + goodSignature, "AWS4-HMAC-SHA256 " + exampleKey + ":" + goodSignature,
	} {
		claim, err := sigv2.ParseHeader(authorization, dated)
		require.ErrorIs(t, err, sigv2.ErrMalformed, authorization)
		require.Nil(t, claim, authorization)
	}
	for _, header := range []http.Header{{}, headers("Date", "yesterday"), headers("Date", "1175139620"), headers("Date", goodDate, "X-Amz-Date", "no")} {
		claim, err := sigv2.ParseHeader("AWS "+exampleKey+":"+goodSignature, header)
		require.ErrorIs(t, err, sigv2.ErrMalformed, header)
		require.Nil(t, claim, header)
	}
	for _, date := range []string{goodDate, "Tue, 27 Mar 2007 19:36:42 GMT", "Tuesday, 27-Mar-07 19:36:42 GMT", "Tue Mar 27 19:36:42 2007", "20070327T193642Z"} {
		claim, err := sigv2.ParseHeader("AWS "+exampleKey+":"+goodSignature, headers("Date", date))
		require.NoError(t, err, date)
		require.Equal(t, time.Date(2007, 3, 27, 19, 36, 42, 0, time.UTC), claim.Time)
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	good := "AWSAccessKeyId=" + exampleKey + "&Signature=" + url.QueryEscape(goodSignature) + "&Expires=1175139620"
	_, err := sigv2.ParseQuery(parameters(t, good))
	require.NoError(t, err)
	for _, name := range []string{"AWSAccessKeyId", "Signature", "Expires"} {
		for _, raw := range []string{strings.Replace(good, name+"=", "Other=", 1), good + "&" + name + "=1", strings.Replace(good, name+"=", name+"=x&a=", 1)} {
			if name == "AWSAccessKeyId" && strings.Contains(raw, "Id=x") {
				continue // an access key like any other
			}
			claim, err := sigv2.ParseQuery(parameters(t, raw))
			require.ErrorIs(t, err, sigv2.ErrMalformed, raw)
			require.Nil(t, claim)
		}
	}
	for _, expires := range []string{"", "-1", "1.5", "9999999999999999999", "1e9", "0x10"} {
		claim, err := sigv2.ParseQuery(parameters(t, strings.Replace(good, "1175139620", expires, 1)))
		require.ErrorIs(t, err, sigv2.ErrMalformed, expires)
		require.Nil(t, claim)
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2007, 3, 27, 19, 36, 42, 0, time.UTC)
	header, err := sigv2.ParseHeader("AWS "+exampleKey+":"+goodSignature, headers("Date", goodDate))
	require.NoError(t, err)
	query, err := sigv2.ParseQuery(parameters(t, "AWSAccessKeyId=a&Expires=1175024202&Signature="+url.QueryEscape(goodSignature)))
	require.NoError(t, err)
	for _, c := range []struct {
		claim *sigv2.Claim
		now   time.Duration
		want  error
	}{
		{header, 0, nil}, {header, sigv2.Skew, nil}, {header, -sigv2.Skew, nil},
		{header, sigv2.Skew + 1, sigv2.ErrSkew}, {header, -sigv2.Skew - 1, sigv2.ErrSkew},
		{query, 0, nil}, {query, -1000 * time.Hour, nil}, {query, 1, sigv2.ErrExpired},
	} {
		require.ErrorIs(t, c.claim.CheckTime(at.Add(c.now)), c.want, "%v", c.now)
	}
}

// What is obeyed is what was signed: nothing can be added, split or dropped.
func TestHeadersOfAPresignedRequest(t *testing.T) {
	claim := &sigv2.Claim{Presigned: true}
	got, err := claim.Headers(headers("X-Amz-Meta-A", "1", "X-Amz-Meta-A", "2", "Range", "a", "Range", "b", "Content-Md5", "x"),
		parameters(t, "x-amz-meta-a=3&X-AMZ-META-B=%20%094+5%20&content-type=text/a&content-md5=y&other=5"))
	require.NoError(t, err)
	require.Equal(t, http.Header{"X-Amz-Meta-A": {"1,2,3"}, "X-Amz-Meta-B": {"4 5"}, "Content-Type": {"text/a"},
		"Content-Md5": {"x"}, "Range": {"a", "b"}}, got)
	for _, p := range []sigv2.Parameter{
		{Name: "x-amz-meta-a", Value: "b\nx-amz-meta-c:d"}, {Name: "x-amz-meta-a", Value: "b\r"}, {Name: "content-type", Value: "\x00"},
		{Name: "x-amz-meta-a:b\nx-amz-meta-c", Value: "d"}, {Name: "x-amz-meta-a b", Value: "c"}, {Name: "x-amz-é", Value: "c"},
	} {
		_, err := claim.Headers(http.Header{}, []sigv2.Parameter{p})
		require.ErrorIs(t, err, sigv2.ErrMalformed, "%q", p)
	}
	got, err = (&sigv2.Claim{}).Headers(headers("X-Amz-Meta-A", "1"), parameters(t, "x-amz-meta-b=4&content-type=a"))
	require.NoError(t, err)
	require.Equal(t, headers("X-Amz-Meta-A", "1"), got, "of a request that is not presigned the query is no header")
}

func TestParametersThatAreNotSigned(t *testing.T) {
	require.Equal(t, []string{"retention", "prefix"}, sigv2.Unsigned(parameters(t, "retention&tagging&prefix=a&uploadId=x&versionId")))
	for raw, mixed := range map[string]bool{
		"response-content-type=a&versionId=b&partNumber=1&x-id=c": false, "response-expires=a": false, "tagging&versionId=b": false,
		"response-content-disposition=a&tagging": true, "uploadId=x&response-expires=a": true,
	} {
		require.Equal(t, mixed, sigv2.Mixed(parameters(t, raw)), raw)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AWS "+exampleKey+":"+goodSignature, goodDate, "")
	f.Add("", "", "AWSAccessKeyId="+exampleKey+"&Signature="+url.QueryEscape(goodSignature)+"&Expires=1175139620&x-amz-meta-a=b&tagging")
	f.Fuzz(func(t *testing.T, authorization, date, raw string) {
		var query []sigv2.Parameter
		for piece := range strings.SplitSeq(raw, "&") {
			name, value, _ := strings.Cut(piece, "=")
			value, _ = url.QueryUnescape(value)
			query = append(query, sigv2.Parameter{Name: name, Value: value})
		}
		for _, parse := range []func() (*sigv2.Claim, error){
			func() (*sigv2.Claim, error) { return sigv2.ParseHeader(authorization, headers("Date", date)) },
			func() (*sigv2.Claim, error) { return sigv2.ParseQuery(query) },
		} {
			claim, err := parse()
			if err != nil {
				require.ErrorIs(t, err, sigv2.ErrMalformed)
				require.Nil(t, claim)
				continue
			}
			require.Len(t, claim.Signature, 28)
			require.NotEmpty(t, claim.AccessKey)
			require.False(t, claim.Time.IsZero())
		}
	})
}

// Two presigned requests that say different things in the place of headers never
// have one signature.
func FuzzHeadersAreSigned(f *testing.F) {
	f.Add("x-amz-meta-a", "b", "x-amz-meta-c", "d")
	f.Add("x-amz-meta-a", "b\nx-amz-meta-c:d", "content-type", "text/a")
	f.Add("x-amz-meta-a:b\nx-amz-meta-a", "b", "x-amz-meta-a", " c")
	f.Fuzz(func(t *testing.T, nameA, valueA, nameB, valueB string) {
		claim := &sigv2.Claim{Presigned: true}
		a, b := sigv2.Parameter{Name: nameA, Value: valueA}, sigv2.Parameter{Name: nameB, Value: valueB}
		both := sigv2.Parameter{Name: nameA, Value: valueA + "\n" + nameB + ":" + valueB}
		seen := map[string]http.Header{}
		for _, query := range [][]sigv2.Parameter{nil, {a}, {b}, {a, b}, {b, a}, {both}, {a, a}} {
			obeyed, err := claim.Headers(http.Header{}, query)
			if err != nil {
				continue
			}
			for _, name := range []string{"Content-Type", "Content-Md5"} {
				if obeyed.Get(name) == "" {
					delete(obeyed, name) // an empty one says as much as none
				}
			}
			got := sigv2.Sign(exampleSecret, claim, &sigv2.Request{Method: "PUT", Path: "/a/b", Header: obeyed})
			if before, ok := seen[got]; ok {
				require.Equal(t, before, obeyed)
			}
			seen[got] = obeyed
		}
	})
}
