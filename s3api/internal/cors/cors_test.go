// Goal: rules are read as S3 reads them, and allow what they say. Method: tables, and
// for what goes into headers a fuzzer that looks for ends of lines.
package cors_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/cors"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

func document(rules ...string) []byte {
	return []byte(`<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule>` +
		strings.Join(rules, "</CORSRule><CORSRule>") + `</CORSRule></CORSConfiguration>`)
}

func origin(text string) string  { return "<AllowedOrigin>" + text + "</AllowedOrigin>" }
func method(text string) string  { return "<AllowedMethod>" + text + "</AllowedMethod>" }
func header(text string) string  { return "<AllowedHeader>" + text + "</AllowedHeader>" }
func exposed(text string) string { return "<ExposeHeader>" + text + "</ExposeHeader>" }

func TestDocumentsThatAreRefused(t *testing.T) {
	good := origin("*") + method("GET")
	var many []string
	for range cors.MaxRules + 1 {
		many = append(many, good)
	}
	for name, of := range map[string]struct {
		document []byte
		message  string // "" not well formed
	}{
		"no rule":         {[]byte("<CORSConfiguration></CORSConfiguration>"), ""},
		"another":         {[]byte("<Tagging></Tagging>"), ""},
		"no method":       {document(origin("*")), ""},
		"no origin":       {document(method("GET")), ""},
		"negative age":    {document(good + "<MaxAgeSeconds>-1</MaxAgeSeconds>"), ""},
		"age of words":    {document(good + "<MaxAgeSeconds>x</MaxAgeSeconds>"), ""},
		"many rules":      {document(many...), "The number of CORS rules should not exceed allowed limit of 100 rules."},
		"long name":       {document("<ID>" + strings.Repeat("x", 256) + "</ID>" + good), "The ID length should not exceed allowed limit of 255"},
		"method":          {document(origin("*") + method("PATCH")), "Found unsupported HTTP method in CORS config. Unsupported method is PATCH"},
		"small method":    {document(origin("*") + method("get")), "Found unsupported HTTP method in CORS config. Unsupported method is get"},
		"stars":           {document(origin("http://*.*") + method("GET")), `AllowedOrigin "http://*.*" can not have more than one wildcard.`},
		"empty origin":    {document(origin("") + method("GET")), `AllowedOrigin "" is not valid.`},
		"line in origin":  {document(origin("http://a&#10;Set-Cookie: x=y") + method("GET")), `AllowedOrigin "http://a\nSet-Cookie: x=y" is not valid.`},
		"header stars":    {document(good + header("x-*-*")), `AllowedHeader "x-*-*" can not have more than one wildcard.`},
		"header line":     {document(good + header("x&#13;&#10;y")), `AllowedHeader "x\r\ny" is not valid.`},
		"exposed star":    {document(good + exposed("x-*")), `ExposeHeader "x-*" contains wildcard. We currently do not support wildcard for ExposeHeader.`},
		"exposed line":    {document(good + exposed("x&#10;y")), `ExposeHeader "x\ny" is not valid.`},
		"exposed nothing": {document(good + exposed("")), `ExposeHeader "" is not valid.`},
	} {
		_, err := cors.Parse(of.document)
		if of.message == "" {
			require.ErrorIs(t, err, wire.ErrMalformed, name)
			continue
		}
		var told *cors.Error
		require.ErrorAs(t, err, &told, name)
		require.Equal(t, of.message, told.Message, name)
	}
	_, err := cors.Parse(document(good + "<ID>" + strings.Repeat("x", cors.MaxBytes) + "</ID>"))
	require.ErrorIs(t, err, wire.ErrTooLarge)
	_, err = cors.Parse(document(many[:cors.MaxRules]...))
	require.NoError(t, err)
}

func TestDocumentsAreGivenBack(t *testing.T) {
	c, err := cors.Parse(document("<ID>a</ID>"+header("x-*")+method("GET")+method("PUT")+origin("http://a")+origin("*")+exposed("etag")+"<MaxAgeSeconds>0</MaxAgeSeconds>",
		method("HEAD")+origin("http://*.b")))
	require.NoError(t, err)
	data, err := wire.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(data), "xmlns"), string(data))
	again, err := cors.Parse(data)
	require.NoError(t, err)
	require.Equal(t, c, again)
	require.Equal(t, "a", c.Rules[0].ID)
	require.Zero(t, *c.Rules[0].MaxAge)
	require.Nil(t, c.Rules[1].MaxAge)
}

func TestRulesAllow(t *testing.T) {
	c, err := cors.Parse(document(
		origin("http://start*end")+method("GET")+method("PUT")+header("X-Amz-*")+header("Content-Type")+exposed("ETag")+exposed("x-amz-meta-a")+"<MaxAgeSeconds>60</MaxAgeSeconds>",
		origin("*.suffix")+origin("exact")+origin("ab*bc")+method("DELETE"),
		origin("*")+method("HEAD")+header("*"),
	))
	require.NoError(t, err)
	for _, of := range []struct {
		origin, method, headers string
		allowed                 string // "" not at all
	}{
		{"http://startend", "GET", "", "http://startend"},
		{"http://start-end", "PUT", "", "http://start-end"},
		{"http://star", "GET", "", ""},
		{"http://starend", "GET", "", ""},
		{"xhttp://startend", "GET", "", ""},
		{"http://startendx", "GET", "", ""},
		{"HTTP://startend", "GET", "", ""},
		{"http://startend", "DELETE", "", ""},
		{"http://startend", "GET", "x-amz-date, content-type,", "http://startend"},
		{"http://startend", "GET", "x-amz-date,x-other", ""},
		{"http://startend", "GET", "x amz", ""},
		{"a.suffix", "DELETE", "", "a.suffix"},
		{".suffix", "DELETE", "", ".suffix"},
		{"exact", "DELETE", "", "exact"},
		{"exac", "DELETE", "", ""},
		{"abbc", "DELETE", "", "abbc"},
		{"abc", "DELETE", "", ""},
		{"exact", "DELETE", "content-type", ""},
		{"anything", "HEAD", "any-thing", "*"},
		{"null", "HEAD", "", "*"},
		{"", "HEAD", "", ""},
		{"a\nb", "HEAD", "", ""},
		{"a\rb", "HEAD", "", ""},
		{"anything", "head", "", ""},
		{"anything", "", "", ""},
	} {
		r := &cors.Request{Origin: of.origin, Method: of.method}
		if of.headers != "" {
			r.Headers = []string{of.headers}
		}
		answer, ok := c.Allow(r)
		require.Equal(t, of.allowed != "", ok, of)
		if !ok {
			continue
		}
		h := http.Header{}
		answer.Headers(h.Set)
		require.Equal(t, of.allowed, h.Get("Access-Control-Allow-Origin"), of)
		require.Equal(t, of.allowed != "*", h.Get("Access-Control-Allow-Credentials") == "true", of)
	}
	answer, ok := c.Allow(&cors.Request{Origin: "http://startend", Method: "PUT", Headers: []string{"X-Amz-Date,", "Content-Type"}})
	require.True(t, ok)
	h := http.Header{}
	answer.Headers(h.Set)
	require.Equal(t, http.Header{
		"Access-Control-Allow-Origin": {"http://startend"}, "Access-Control-Allow-Methods": {"GET, PUT"}, "Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Allow-Headers": {"x-amz-date, content-type"}, "Access-Control-Expose-Headers": {"ETag, x-amz-meta-a"}, "Access-Control-Max-Age": {"60"},
	}, h)
}

func TestCacheFollowsTheDocument(t *testing.T) {
	var cache cors.Cache
	one, two := document(origin("a")+method("GET")), document(origin("b")+method("GET"))
	for range 2 {
		for _, of := range []struct {
			data   []byte
			origin string
		}{{one, "a"}, {one, "a"}, {two, "b"}} {
			c, err := cache.Of("bucket", of.data)
			require.NoError(t, err)
			_, ok := c.Allow(&cors.Request{Origin: of.origin, Method: "GET"})
			require.True(t, ok)
		}
	}
	_, err := cache.Of("bucket", []byte("<x/>"))
	require.Error(t, err)
	for i := range 3000 { // bounded: nothing to see but that it goes on
		_, err := cache.Of(strconv.Itoa(i), one)
		require.NoError(t, err)
	}
}

// FuzzDocument: whatever a document has and a browser says, no header gets more
// lines than one, and a document that is taken is given back as it is.
func FuzzDocument(f *testing.F) {
	f.Add(document(origin("http://*.a")+method("GET")+header("*")+exposed("etag")+"<MaxAgeSeconds>5</MaxAgeSeconds>"), "http://x.a", "x-a, x-b")
	f.Add(document(origin("*&#10;x")+method("GET")), "a", "")
	f.Add(document(origin("*")+method("GET")+header("*")), "a\r\nb: c", "x\r\ny")
	f.Fuzz(func(t *testing.T, data []byte, origin, headers string) {
		c, err := cors.Parse(data)
		if err != nil {
			return
		}
		written, err := wire.Marshal(c)
		require.NoError(t, err)
		again, err := cors.Parse(written)
		require.NoError(t, err)
		require.Equal(t, c.Rules, again.Rules)
		for _, method := range []string{"GET", "PUT", "HEAD", "\n"} {
			answer, ok := c.Allow(&cors.Request{Origin: origin, Method: method, Headers: []string{headers}})
			if !ok {
				continue
			}
			w := httptest.NewRecorder()
			answer.Headers(func(name, value string) {
				require.NotContains(t, value, "\n")
				require.NotContains(t, value, "\r")
				require.NotContains(t, value, "\x00")
				w.Header().Set(name, value)
			})
			require.Contains(t, []string{"*", origin}, w.Header().Get("Access-Control-Allow-Origin"))
		}
	})
}
