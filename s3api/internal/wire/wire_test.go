// Goal: what comes from a client is read strictly and within bounds, and what is
// written is read by clients as it was meant. Method: tables of good and bad,
// other parsers as references, fuzz targets.
package wire_test

import (
	"encoding/xml"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

func limits() wire.Limits { return wire.Limits{Bytes: 1000, Elements: 20, Depth: 4} }

func TestDecode(t *testing.T) {
	var d wire.Delete
	require.NoError(t, wire.Decode([]byte(`<?xml version="1.0"?><Delete xmlns="x"><Quiet>true</Quiet><Object><Key> a&amp;b </Key></Object></Delete>
<!-- end -->`), limits(), &d))
	require.True(t, d.Quiet)
	require.Equal(t, " a&b ", d.Objects[0].Key)
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":          {"", wire.ErrMalformed},
		"another document": {"<Other/>", wire.ErrMalformed},
		"not closed":       {"<Delete>", wire.ErrMalformed},
		"text behind":      {"<Delete/>x", wire.ErrMalformed},
		"second document":  {"<Delete/><Delete/>", wire.ErrMalformed},
		"document type":    {`<!DOCTYPE d [<!ENTITY a "b">]><Delete/>`, wire.ErrMalformed},
		"entity":           {"<Delete><Object><Key>&a;</Key></Object></Delete>", wire.ErrMalformed},
		"not UTF-8":        {"<Delete><Object><Key>\xff</Key></Object></Delete>", wire.ErrMalformed},
		"other charset":    {`<?xml version="1.0" encoding="UTF-16"?><Delete/>`, wire.ErrMalformed},
		"not a bool":       {"<Delete><Quiet>maybe</Quiet></Delete>", wire.ErrMalformed},
		"too deep":         {"<Delete>" + strings.Repeat("<a>", 5) + strings.Repeat("</a>", 5) + "</Delete>", wire.ErrTooLarge},
		"too many":         {"<Delete>" + strings.Repeat("<a/>", 30) + "</Delete>", wire.ErrTooLarge},
		"too long":         {"<Delete>" + strings.Repeat(" ", 1000) + "</Delete>", wire.ErrTooLarge},
	} {
		require.ErrorIs(t, wire.Decode([]byte(c.text), limits(), &wire.Delete{}), c.want, name)
	}
	_, err := wire.ReadLimited(strings.NewReader("12345"), 4)
	require.ErrorIs(t, err, wire.ErrTooLarge)
	data, err := wire.ReadLimited(strings.NewReader("1234"), 4)
	require.NoError(t, err)
	require.Len(t, data, 4)
}

func TestTextOfEveryRune(t *testing.T) {
	key := "a<b>&\"'é\U0001f600 \u0085"
	data, err := wire.Marshal(&wire.InitiateUpload{Key: key})
	require.NoError(t, err)
	var back struct{ Key string }
	require.NoError(t, xml.Unmarshal(data, &back))
	require.Equal(t, key, back.Key)
}

func FuzzTextIsWellFormed(f *testing.F) {
	for _, text := range []string{"\x00\x01\x19\t\r\n\x7f", "\ufffe\uffff\ufffd", "\xff\xed\xa0\x80", "]]>&#x19;", "\u0085\u2028"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := strings.Map(func(r rune) rune { // XML 1.0, production 2
			if r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 {
				return r
			}
			return 0xfffd
		}, text)
		data, err := wire.Marshal(&wire.ErrorDocument{
			Code: text, Message: text, Resource: text, Extra: []wire.Extra{{XMLName: xml.Name{Local: "Key"}, Value: text}},
		})
		require.NoError(t, err)
		var back struct{ Code, Message, Resource, Key string }
		require.NoError(t, xml.Unmarshal(data, &back), "%q", data)
		require.Equal(t, []string{want, want, want, want}, []string{back.Code, back.Message, back.Resource, back.Key})
		data, err = wire.Marshal(&wire.ListObjectsV2{
			Prefix: text, Delimiter: &text, StartAfter: &text, Contents: []wire.Object{{Key: text}}, CommonPrefixes: []wire.Prefix{{Prefix: text}},
		})
		require.NoError(t, err)
		var list struct {
			Prefix, Delimiter, StartAfter string
			Contents                      []struct{ Key string }
			CommonPrefixes                []struct{ Prefix string }
		}
		require.NoError(t, xml.Unmarshal(data, &list), "%q", data)
		require.Equal(t, []string{want, want, want, want, want},
			[]string{list.Prefix, list.Delimiter, list.StartAfter, list.Contents[0].Key, list.CommonPrefixes[0].Prefix})
	})
}

func TestEscapeKeyIsReadBackByClients(t *testing.T) {
	var every []byte
	for b := range 256 {
		every = append(every, byte(b))
	}
	escaped := wire.EscapeKey(string(every))
	for _, unescape := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		back, err := unescape(escaped)
		require.NoError(t, err)
		require.Equal(t, string(every), back)
	}
	require.Equal(t, "a/b%20c%2B%28d%29", wire.EscapeKey("a/b c+(d)"))
}

func TestRange(t *testing.T) {
	given := func(first, last, suffix int64) wire.Range {
		return wire.Range{Given: true, First: first, Last: last, Suffix: suffix}
	}
	for header, want := range map[string]wire.Range{
		"bytes=0-9": given(0, 9, -1), "bytes=5-5": given(5, 5, -1), "bytes=5-": given(5, -1, -1), "bytes=-5": given(0, -1, 5),
		"bytes=-0": given(0, -1, 0), "bytes= 1-2 ": given(1, 2, -1),
		"bytes=0-99999999999999999999": given(0, math.MaxInt64, -1),
		"":                             {}, "bytes=": {}, "bytes=-": {}, "bytes=9-0": {}, "bytes=0-1,3-4": {}, "lines=0-1": {}, "bytes=a-b": {}, "bytes=+1-2": {},
		"bytes=1--2": {}, "bytes 0-9": {}, "bytes=0x1-2": {},
	} {
		require.Equal(t, want, wire.ParseRange(header), header)
	}
	for _, header := range []string{"", "bytes=-5", "bytes=5-", "bytes=0-1,2-3"} {
		_, err := wire.ParseSourceRange(header)
		require.ErrorIs(t, err, wire.ErrRange, header)
	}
}

func TestSource(t *testing.T) {
	for header, want := range map[string]wire.Source{
		"b/k":                             {Bucket: "b", Key: "k"},
		"/b/k":                            {Bucket: "b", Key: "k"},
		"b//k/":                           {Bucket: "b", Key: "/k/"},
		"b/k%3Fv%2Bx%20y?versionId=a%2Fb": {Bucket: "b", Key: "k?v+x y", VersionID: "a/b"},
		"%2Fb%2Fk":                        {Bucket: "b", Key: "k"},
		"b/../k":                          {Bucket: "b", Key: "../k"},
		"b/a+b":                           {Bucket: "b", Key: "a+b"},
	} {
		got, err := wire.ParseSource(header)
		require.NoError(t, err, header)
		require.Equal(t, want, got, header)
	}
	for _, header := range []string{"", "/", "b", "b/", "/b/", "//k", "b/k?", "b/k?versionId=", "b/k?versionId=a&x=y", "b/k?acl", "b/%", "b/%ff",
		"b/k?versionId=%zz", "b/" + strings.Repeat("k", 1025)} {
		_, err := wire.ParseSource(header)
		require.ErrorIs(t, err, wire.ErrSource, header)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"abc", "a-b.c", "123", "1.2.3", strings.Repeat("a", 63), "1.2.3.a"} {
		require.True(t, wire.ValidBucket(name), name)
	}
	for _, name := range []string{"", "ab", "Abc", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "1.2.3.4", "a b", "a/b", "../b", strings.Repeat("a", 64)} {
		require.False(t, wire.ValidBucket(name), name)
	}
	for key, want := range map[string][2]bool{"k": {true, false}, "": {false, false}, "\xff": {false, false},
		strings.Repeat("k", 1024): {true, false}, strings.Repeat("k", 1025): {false, true}} {
		ok, long := wire.ValidKey(key)
		require.Equal(t, want, [2]bool{ok, long}, "%.10q", key)
	}
}

func TestTimesAndTags(t *testing.T) {
	at := time.Date(2024, 2, 29, 1, 2, 3, 4_000_000, time.UTC)
	require.Equal(t, "2024-02-29T01:02:03.004Z", wire.Stamp(at))
	for _, text := range []string{"2024-02-29T01:02:03Z", "2024-02-29T02:02:03+01:00", "Thu, 29 Feb 2024 01:02:03 GMT"} {
		got, ok := wire.ParseStamp(text)
		require.True(t, ok, text)
		require.Equal(t, at.Truncate(time.Second), got)
	}
	_, ok := wire.ParseStamp("yesterday")
	require.False(t, ok)
	for tag, want := range map[string]string{`"a"`: "a", "a": "a", `W/"a"`: "a", `"`: `"`, "": ""} {
		require.Equal(t, want, wire.Unquote(tag))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`<Delete><Quiet>true</Quiet><Object><Key>k</Key><VersionId>v</VersionId><Size>3</Size></Object></Delete>`))
	f.Add([]byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part></CompleteMultipartUpload>`))
	f.Add([]byte(`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`))
	f.Add([]byte(`<CreateBucketConfiguration><LocationConstraint>x</LocationConstraint></CreateBucketConfiguration>`))
	f.Add([]byte(`<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`))
	f.Add([]byte(`<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2031-01-01T00:00:00Z</RetainUntilDate></Retention>`))
	f.Add([]byte(`<LegalHold><Status>ON</Status></LegalHold>`))
	f.Add([]byte(`<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		accepted := 0
		for _, v := range []any{
			&wire.Delete{}, &wire.CompleteMultipartUpload{}, &wire.VersioningConfiguration{}, &wire.CreateBucketConfiguration{},
			&wire.Tagging{}, &wire.Retention{}, &wire.LegalHold{}, &wire.ObjectLockConfiguration{},
		} {
			if wire.Decode(data, limits(), v) == nil {
				accepted++
			}
		}
		require.LessOrEqual(t, accepted, 1, "a document is one of them")
	})
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-9")
	f.Add("bytes=-5")
	f.Fuzz(func(t *testing.T, header string) {
		r := wire.ParseRange(header)
		if !r.Given {
			require.Zero(t, r)
			return
		}
		require.True(t, r.Suffix >= 0 && r.First == 0 && r.Last == -1 || r.Suffix == -1 && r.First >= 0 && (r.Last == -1 || r.Last >= r.First), "%+v", r)
	})
}

// A source is what a URL parser would make of the same text as a path and query.
func FuzzSource(f *testing.F) {
	f.Add("/b/k%20x?versionId=1")
	f.Add("b/k")
	f.Fuzz(func(t *testing.T, header string) {
		got, err := wire.ParseSource(header)
		if err != nil {
			require.Zero(t, got)
			return
		}
		require.NotContains(t, got.Bucket, "/")
		path := "/" + strings.TrimPrefix(header, "/")
		u, err := url.ParseRequestURI(path)
		if err != nil || strings.HasPrefix(path, "//") || strings.HasPrefix(strings.ToLower(path), "/%2f") {
			return
		}
		require.Equal(t, u.Path, "/"+got.Bucket+"/"+got.Key)
		require.Equal(t, u.Query().Get("versionId"), got.VersionID)
	})
}

func TestValidHeaders(t *testing.T) {
	for header, ok := range map[[2]string]bool{
		{"x-amz-meta-a", "b c\té"}: true, {"X_!#$%&'*+.^`|~9", ""}: true,
		{"", "a"}: false, {"a b", "c"}: false, {"a:", "c"}: false, {"a\n", "c"}: false, {"é", "c"}: false, {"a(", "c"}: false,
		{"a", "b\nc"}: false, {"a", "b\rc"}: false, {"a", "\x00"}: false, {"a", "\x7f"}: false,
	} {
		require.Equal(t, ok, wire.ValidHeader(header[0], header[1]), "%q", header)
	}
}
