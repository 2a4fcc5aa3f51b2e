package signature

import (
	"net/http"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/s3api/internal/sigv2"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
)

// Fields are those of a form up to its file, by their names in lower case.
type Fields interface {
	Has(name string) bool
	Get(name string) string
}

// VerifyForm says who signed the policy of a form, by version 4 or 2; a form without
// policy and signature is anonymous. It gives a [*Refusal], or what Secret gave. The
// verified request has neither headers nor a body: whether the form is as its
// policy says is still to be seen.
func (s *Verifier) VerifyForm(r *http.Request, f Fields, now time.Time) (*Verified, error) {
	query, err := sigv4.ParseQuery(r.URL.RawQuery, MaxParameters)
	if err != nil {
		return nil, fail("InvalidURI").because(err)
	}
	version4 := f.Has("x-amz-algorithm") || f.Has("x-amz-credential") || f.Has("x-amz-signature")
	version2 := f.Has("awsaccesskeyid") || f.Has("signature")
	switch {
	case len(r.Header.Values("Authorization")) > 0 || sigv4.IsPresigned(query) || query.Has("AWSAccessKeyId") || query.Has("Signature") || version4 && version2:
		return nil, fail("InvalidArgument").saying("Only one authentication mechanism is allowed.")
	case f.Has("x-amz-security-token"):
		return nil, fail("InvalidToken")
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); mustSign(lower) {
			return nil, fail("AccessDenied").saying("There were headers present in the request which were not signed").with("HeadersNotSigned", lower)
		}
	}
	in := &Incoming{Request: r}
	switch {
	case version4:
		return s.form4(in, f, now)
	case version2:
		return s.form2(in, f)
	case f.Has("policy"):
		return nil, missing("AWSAccessKeyId")
	}
	return &Verified{Anonymous: !s.Unchecked}, nil
}

// missing says which field a form needs.
func missing(name string) *Refusal {
	return fail("InvalidArgument").with("ArgumentName", name).
		saying("Bucket POST must contain a field named '" + name + "'.  If it is specified, please check the order of the fields.")
}

func (s *Verifier) form4(r *Incoming, f Fields, now time.Time) (*Verified, error) {
	for _, name := range [...]string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "policy"} {
		if !f.Has(name) {
			return nil, missing(name)
		}
	}
	claim, err := sigv4.ParseForm(f.Get)
	if err != nil {
		return nil, fail("InvalidArgument").saying(err.Error())
	}
	v := &Verified{AccessKey: claim.AccessKey, Version: 4, Age: now.Sub(claim.Time)}
	if s.Unchecked {
		return v, nil
	}
	if err := claim.CheckTime(now); err != nil {
		return nil, fail("AccessDenied").saying(err.Error())
	}
	if s.Region != "" && claim.Scope.Region != s.Region {
		return nil, fail("InvalidArgument").saying("the region of the credential is wrong; expecting '"+s.Region+"'").with("Region", s.Region)
	}
	return v, s.prove(r, claim.AccessKey, func(secret string) bool {
		return sigv4.Equal(claim.Signature, sigv4.NewKey(secret, claim.Scope).SignPolicy(f.Get("policy")))
	})
}

func (s *Verifier) form2(r *Incoming, f Fields) (*Verified, error) {
	if !s.Version2 {
		return nil, fail("InvalidRequest").saying("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	}
	for _, name := range [...]string{"AWSAccessKeyId", "signature", "policy"} {
		if !f.Has(strings.ToLower(name)) {
			return nil, missing(name)
		}
	}
	v := &Verified{AccessKey: f.Get("awsaccesskeyid"), Version: 2}
	if s.Unchecked {
		return v, nil
	}
	return v, s.prove(r, v.AccessKey, func(secret string) bool {
		return sigv2.Equal(f.Get("signature"), sigv2.SignPolicy(secret, f.Get("policy")))
	})
}
