package sigv2

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
)

// SignPolicy gives the signature of a form with that policy: its field of the name,
// as it is sent.
func SignPolicy(secret, policy string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(policy))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
