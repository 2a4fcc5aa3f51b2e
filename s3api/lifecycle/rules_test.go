// Goal: a configuration is taken or refused as S3 does it, comes back as it was,
// and every rule is due at its moment and not before. Method: documents with the
// answers to them, and a version at each side of every boundary.
package lifecycle_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/wire"
	"github.com/sherd-storage/sherd/s3api/lifecycle"
)

func document(rules ...string) []byte {
	return []byte("<LifecycleConfiguration>" + strings.Join(rules, "") + "</LifecycleConfiguration>")
}

// rule is a rule with an action of the least kind, and more.
func rule(parts ...string) string {
	return "<Rule>" + strings.Join(parts, "") + "<Status>Enabled</Status></Rule>"
}

const (
	all  = "<Filter></Filter>"
	days = "<Expiration><Days>1</Days></Expiration>"
)

func parsed(t *testing.T, rules ...string) *lifecycle.Configuration {
	t.Helper()
	c, err := lifecycle.Parse(document(rules...))
	require.NoError(t, err)
	return c
}

func TestWhatIsTakenComesBack(t *testing.T) {
	for _, body := range []string{
		rule("<Prefix>old/</Prefix>", days), rule("<Prefix></Prefix>", days), rule(all, days),
		rule("<ID>a b</ID><Filter><Prefix>x</Prefix></Filter>", "<Expiration><Date>2017-09-27T00:00:00.000Z</Date></Expiration>"),
		rule(all, "<Expiration><Date>2030-01-01</Date></Expiration>"),
		rule(all, "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
		rule("<Filter><Tag><Key>k</Key><Value></Value></Tag></Filter>", days),
		rule("<Filter><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></Filter>", days),
		rule("<Filter><And><Prefix>p</Prefix><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>"+
			"<ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>", days),
		rule(all, "<NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays><NewerNoncurrentVersions>100</NewerNoncurrentVersions></NoncurrentVersionExpiration>"),
		rule(all, "<AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload>"),
	} {
		first := parsed(t, body)
		text, err := first.Marshal()
		require.NoError(t, err)
		second, err := lifecycle.Parse(text)
		require.NoError(t, err)
		first.XMLName, second.XMLName = xml.Name{}, xml.Name{}
		require.Equal(t, first, second)
		require.NotEmpty(t, first.Rules[0].ID)
	}
	c := parsed(t, rule(all, days), rule("<ID>rule-1</ID>", all, days), rule(all, days))
	require.Equal(t, []string{"rule-2", "rule-1", "rule-3"}, []string{c.Rules[0].ID, c.Rules[1].ID, c.Rules[2].ID})
}

func TestWhatIsRefused(t *testing.T) {
	tag := "<Tag><Key>k</Key><Value>v</Value></Tag>"
	for body, code := range map[string]string{
		"": "MalformedXML",
		strings.Repeat(rule(all, days), lifecycle.MaxRules+1): "MalformedXML",
		rule(days):                            "MalformedXML",
		rule("<Prefix>a</Prefix>", all, days): "MalformedXML",
		rule("<Filter><Prefix>a</Prefix>"+tag+"</Filter>", days):                                                                             "MalformedXML",
		rule("<Filter><And></And></Filter>", days):                                                                                           "MalformedXML",
		rule("<Filter><Tag><Key></Key><Value>v</Value></Tag></Filter>", days):                                                                "InvalidTag",
		rule("<Filter><And>"+tag+tag+"</And></Filter>", days):                                                                                "InvalidRequest",
		rule("<Filter><ObjectSizeLessThan>0</ObjectSizeLessThan></Filter>", days):                                                            "InvalidRequest",
		rule("<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter>", days): "InvalidRequest",
		rule("<Prefix>"+strings.Repeat("p", 1025)+"</Prefix>", days):                                                                         "InvalidRequest",
		rule(all): "InvalidRequest",
		rule("<ID>"+strings.Repeat("i", 256)+"</ID>", all, days):                                                                 "InvalidArgument",
		rule("<ID>i</ID>", all, days) + rule("<ID>i</ID>", all, days):                                                            "InvalidArgument",
		"<Rule>" + all + days + "</Rule>":                                                                                        "MalformedXML",
		"<Rule>" + all + days + "<Status>enabled</Status></Rule>":                                                                "MalformedXML",
		rule(all, "<Expiration></Expiration>"):                                                                                   "MalformedXML",
		rule(all, "<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"):          "MalformedXML",
		rule(all, "<Expiration><Days>0</Days></Expiration>"):                                                                     "InvalidArgument",
		rule(all, "<Expiration><Days>-1</Days></Expiration>"):                                                                    "InvalidArgument",
		rule(all, "<Expiration><Days>x</Days></Expiration>"):                                                                     "MalformedXML",
		rule(all, "<Expiration><Date>1970-08-22T19:08:21Z</Date></Expiration>"):                                                  "InvalidArgument",
		rule(all, "<Expiration><Date>soon</Date></Expiration>"):                                                                  "MalformedXML",
		rule("<Filter>"+tag+"</Filter>", "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"): "InvalidRequest",
		rule(all, "<NoncurrentVersionExpiration></NoncurrentVersionExpiration>"):                                                 "MalformedXML",
		rule(all, "<NoncurrentVersionExpiration><NoncurrentDays>0</NoncurrentDays></NoncurrentVersionExpiration>"):               "InvalidArgument",
		rule(all, "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>101</NewerNoncurrentVersions></NoncurrentVersionExpiration>"): "InvalidArgument",
		rule(all, "<AbortIncompleteMultipartUpload></AbortIncompleteMultipartUpload>"):                                                                                   "MalformedXML",
		rule(all, "<AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation></AbortIncompleteMultipartUpload>"):                                       "InvalidArgument",
		rule("<Filter>"+tag+"</Filter>", "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"):                "InvalidRequest",
		rule(all, "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"):                                                                         "NotImplemented",
		rule(all, "<Transition><Date>20220927</Date><StorageClass>GLACIER</StorageClass></Transition>"):                                                                  "MalformedXML",
		rule(all, "<NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionTransition>"):                                                       "NotImplemented",
	} {
		_, err := lifecycle.Parse(document(body))
		got := "MalformedXML"
		if told, ok := errors.AsType[*lifecycle.Error](err); ok {
			got = told.Code
		} else {
			require.ErrorIs(t, err, lifecycle.ErrMalformed, body)
		}
		require.Equal(t, code, got, "%.200s", body)
	}
	_, err := lifecycle.Parse([]byte("<Other></Other>"))
	require.ErrorIs(t, err, lifecycle.ErrMalformed)
	_, err = lifecycle.Parse(document(strings.Repeat(" ", 1<<20)))
	require.ErrorIs(t, err, wire.ErrTooLarge)
}

func TestDaysEndAtMidnight(t *testing.T) {
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return out
	}
	for _, c := range []struct {
		from string
		days int
		end  string
	}{
		{"2014-01-15T10:30:00Z", 3, "2014-01-19T00:00:00Z"}, // the user guide's example
		{"2014-01-15T00:00:00Z", 1, "2014-01-17T00:00:00Z"},
		{"2014-01-15T23:59:59Z", 1, "2014-01-17T00:00:00Z"},
		{"2024-02-28T12:00:00Z", 1, "2024-03-01T00:00:00Z"},
		{"2014-12-31T23:00:00-05:00", 1, "2015-01-03T00:00:00Z"},
	} {
		require.Equal(t, at(c.end), lifecycle.Clock{}.After(at(c.from), c.days), c)
	}
	short := lifecycle.Clock{Day: time.Second}
	require.Equal(t, at("2014-01-15T10:30:03Z"), short.After(at("2014-01-15T10:30:00Z"), 3))
}

var begun = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestFilters(t *testing.T) {
	tagged := map[string]string{"a": "1", "b": "2"}
	greater, less := "<ObjectSizeGreaterThan>%d</ObjectSizeGreaterThan>", "<ObjectSizeLessThan>%d</ObjectSizeLessThan>"
	for filter, holds := range map[string]bool{
		all:                                   true,
		"<Prefix></Prefix>":                   true,
		"<Prefix>ke</Prefix>":                 true,
		"<Prefix>key!</Prefix>":               false,
		"<Filter><Prefix>k</Prefix></Filter>": true,
		"<Filter><Prefix>e</Prefix></Filter>": false,
		"<Filter><Tag><Key>a</Key><Value>1</Value></Tag></Filter>":                                                                     true,
		"<Filter><Tag><Key>a</Key><Value>2</Value></Tag></Filter>":                                                                     false,
		"<Filter><Tag><Key>c</Key><Value></Value></Tag></Filter>":                                                                      false,
		"<Filter>" + fmt.Sprintf(greater, 99) + "</Filter>":                                                                            true,
		"<Filter>" + fmt.Sprintf(greater, 100) + "</Filter>":                                                                           false,
		"<Filter>" + fmt.Sprintf(less, 101) + "</Filter>":                                                                              true,
		"<Filter>" + fmt.Sprintf(less, 100) + "</Filter>":                                                                              false,
		"<Filter><And><Prefix>k</Prefix><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag></And></Filter>": true,
		"<Filter><And><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>1</Value></Tag></And></Filter>":                   false,
		"<Filter><And><Prefix>x</Prefix><Tag><Key>a</Key><Value>1</Value></Tag></And></Filter>":                                        false,
		"<Filter><And>" + fmt.Sprintf(greater, 99) + fmt.Sprintf(less, 101) + "</And></Filter>":                                        true,
		"<Filter><And>" + fmt.Sprintf(greater, 100) + fmt.Sprintf(less, 102) + "</And></Filter>":                                       false,
	} {
		c := parsed(t, rule(filter, days))
		_, ok := c.Expiry(&lifecycle.Object{Key: "key", Size: 100, Tags: tagged, Modified: begun}, lifecycle.Clock{})
		require.Equal(t, holds, ok, filter)
	}
	off := parsed(t, "<Rule>"+all+days+"<Status>Disabled</Status></Rule>")
	_, ok := off.Expiry(&lifecycle.Object{Key: "key", Modified: begun}, lifecycle.Clock{})
	require.False(t, ok)
}

func TestTheRuleThatIsDueFirst(t *testing.T) {
	expire := func(id string, days int) string {
		return rule("<ID>"+id+"</ID>", all, fmt.Sprintf("<Expiration><Days>%d</Days></Expiration>", days))
	}
	o := &lifecycle.Object{Key: "key", Modified: begun}
	for _, rules := range [][]string{{expire("late", 5), expire("soon", 2)}, {expire("soon", 2), expire("late", 5)}} {
		due, ok := parsed(t, rules...).Expiry(o, lifecycle.Clock{})
		require.True(t, ok)
		require.Equal(t, lifecycle.Due{Rule: "soon", At: time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC)}, due)
	}
	dated := rule("<ID>dated</ID>", all, "<Expiration><Date>2026-03-05T00:00:00Z</Date></Expiration>")
	due, _ := parsed(t, expire("soon", 2), dated).Expiry(o, lifecycle.Clock{})
	require.Equal(t, lifecycle.Due{Rule: "dated", At: time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)}, due)

	marker := rule("<ID>marker</ID>", all, "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>")
	due, ok := parsed(t, expire("late", 5), marker).MarkerExpiry(o, lifecycle.Clock{})
	require.True(t, ok)
	require.Equal(t, lifecycle.Due{Rule: "marker", At: begun}, due)
	due, _ = parsed(t, expire("late", 5)).MarkerExpiry(o, lifecycle.Clock{})
	require.Equal(t, "late", due.Rule)
	_, ok = parsed(t, marker).Expiry(o, lifecycle.Clock{})
	require.False(t, ok, "it concerns delete markers alone")

	older := parsed(t, rule("<ID>n</ID>", all,
		"<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>"))
	for newer, goes := range []bool{false, false, true, true} {
		due, ok := older.NoncurrentExpiry(o, begun.Add(48*time.Hour), newer, lifecycle.Clock{})
		require.Equal(t, goes, ok, newer)
		if ok {
			require.Equal(t, time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC), due.At, "counted from when another took its place")
		}
	}
	uploads := parsed(t, rule("<Prefix>k</Prefix>", "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"))
	due, ok = uploads.UploadExpiry("key", begun, lifecycle.Clock{})
	require.True(t, ok)
	require.Equal(t, time.Date(2026, 3, 6, 0, 0, 0, 0, time.UTC), due.At)
	_, ok = uploads.UploadExpiry("other", begun, lifecycle.Clock{})
	require.False(t, ok)
}

func TestRulesAreReadAgainWhenTheBucketChanged(t *testing.T) {
	var c lifecycle.Cache
	reads, said, wrong := 0, document(rule(all, days)), error(nil)
	of := func(bucket string, revision uint64) *lifecycle.Configuration {
		t.Helper()
		rules, err := c.Of(bucket, revision, func() ([]byte, error) { reads++; return said, wrong })
		require.ErrorIs(t, err, wrong)
		return rules
	}
	first := of("a", 1)
	require.NotNil(t, first)
	require.Same(t, first, of("a", 1))
	require.Equal(t, 1, reads)
	said = nil
	require.Nil(t, of("b", 3), "it has none")
	require.Nil(t, of("b", 3))
	require.Nil(t, of("a", 2))
	require.Equal(t, 3, reads)
	wrong = errors.New("unavailable")
	require.Nil(t, of("a", 4))
	require.Nil(t, of("a", 4))
	require.Equal(t, 5, reads, "what failed is not remembered")
	wrong = nil
	of("c", 0)
	of("c", 0)
	require.Equal(t, 7, reads, "nobody knows when revision 0 changes")
}

func FuzzParse(f *testing.F) {
	f.Add(document(rule(all, days)))
	f.Add(document(rule("<Filter><And><Prefix>p</Prefix><Tag><Key>a</Key><Value>1</Value></Tag></And></Filter>", "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>")))
	f.Add(document(rule("<Prefix>x</Prefix>", "<NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays></NoncurrentVersionExpiration>")))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := lifecycle.Parse(data)
		if err != nil {
			return
		}
		text, err := c.Marshal()
		require.NoError(t, err)
		again, err := lifecycle.Parse(text)
		require.NoError(t, err)
		o := &lifecycle.Object{Key: "key", Size: 7, Modified: begun}
		due, ok := c.Expiry(o, lifecycle.Clock{})
		back, same := again.Expiry(o, lifecycle.Clock{})
		require.Equal(t, ok, same)
		require.Equal(t, due.At, back.At)
	})
}
