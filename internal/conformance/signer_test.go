// Goal: whatever the AWS SDK signs is taken for signed, and nothing else is. Method: fuzz the
// path, the query, a header and the way of signing; the SDK's signer signs, the request goes
// over the wire's form into a handler, and is refused as soon as a bit of what was signed is
// another.
package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

func FuzzSignerOfTheSDK(f *testing.F) {
	store, err := sherd.NewMemory(1, nil)
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, store.Close()) })
	_, err = store.CreateBucket(f.Context(), "bucket", nil)
	require.NoError(f, err)
	who := aws.Credentials{AccessKeyID: "conformance", SecretAccessKey: "conformance-secret"}
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: who.AccessKeyID, SecretKey: who.SecretAccessKey, Access: s3api.FullAccess})
	require.NoError(f, err)
	handler, err := s3api.New(store, &s3api.Options{Authenticator: s3api.NewSigV4(keys, region), Authorizer: keys, Region: region})
	require.NoError(f, err)
	const unsigned = "UNSIGNED-PAYLOAD"
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	f.Add("some/key", "versionId", "null", "  two  words ", false)
	f.Add("é//ü .+*~%2F/..", "prefix", "a b+c&d=e/é", "\tx", true)
	f.Add("=&?#", "response-content-type", "", "", true)
	f.Fuzz(func(t *testing.T, key, name, value, header string, presign bool) {
		u := &url.URL{Scheme: "http", Host: "s3.test", Path: "/bucket/" + key, RawQuery: url.Values{name: {value}}.Encode()}
		u.RawPath = httpbinding.EscapePath(u.Path, false) // as the SDK's clients write it
		if strings.HasPrefix(strings.ToLower(name), "x-amz-") || strings.ContainsAny(header, "\x00\r\n\x7f") || len(key) > 900 {
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
		if err != nil || r.URL.Path != u.Path {
			return
		}
		r.Header.Set("X-Amz-Meta-Fuzz", header)
		if presign {
			r.Header.Del("X-Amz-Meta-Fuzz")
			r.URL.RawQuery += "&X-Amz-Expires=60"
			uri, signed, err := signer.PresignHTTP(t.Context(), who, r, unsigned, "s3", region, time.Now())
			require.NoError(t, err)
			r.URL, err = url.Parse(uri)
			require.NoError(t, err)
			signed.Del("Host") // it is the request's
			r.Header = signed
		} else {
			r.Header.Set("X-Amz-Content-Sha256", unsigned)
			require.NoError(t, signer.SignHTTP(t.Context(), who, r, unsigned, "s3", region, time.Now()))
		}
		ask := func(change func(*http.Request)) string {
			wire := httptest.NewRequest(r.Method, r.URL.RequestURI(), nil)
			wire.Host, wire.Header = "s3.test", r.Header.Clone()
			change(wire)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, wire)
			_, code, _ := strings.Cut(w.Body.String(), "<Code>")
			code, _, _ = strings.Cut(code, "</Code>")
			return code
		}
		require.NotContains(t, []string{"SignatureDoesNotMatch", "AccessDenied", "InternalError", "AuthorizationQueryParametersError"}, ask(func(*http.Request) {}))
		for what, change := range map[string]func(*http.Request){
			"method": func(r *http.Request) { r.Method = http.MethodHead },
			"host":   func(r *http.Request) { r.Host = "s3.other" },
			"query":  func(r *http.Request) { r.URL.RawQuery += "&more=1" },
		} {
			if code := ask(change); what != "method" { // HEAD has no document
				require.Equal(t, "SignatureDoesNotMatch", code, what)
			}
		}
	})
}
