package sigv4

import (
	"encoding/hex"
	"fmt"
	"time"
)

// FormAge is how old the signature of a form may be: the life of a signing key.
const FormAge = maxExpires * time.Second

// ParseForm reads the signature of a form, whose fields get gives by their names in
// lower case. What it signs is the field "policy".
func ParseForm(get func(name string) string) (*Claim, error) {
	if get("x-amz-algorithm") != Algorithm {
		return nil, fmt.Errorf("%w: x-amz-algorithm is not %s", ErrMalformed, Algorithm)
	}
	claim, err := newClaim(get("x-amz-credential"), "host", get("x-amz-signature"), get("x-amz-date"))
	if err != nil {
		return nil, err
	}
	claim.Headers, claim.Presigned, claim.Expires = nil, true, FormAge
	return claim, nil
}

// SignPolicy gives the signature of a form with that policy.
func (k Key) SignPolicy(policy string) string { return hex.EncodeToString(mac(k, policy)) }
