// Package facts is what the conditions of policies can ask of a request: the values
// of the keys that begin with aws: and s3:, from the connection, the signature,
// the query and the headers.
//
// It guarantees that a key has the value of what was verified: a header that the
// signature does not cover is not among them, but for those of every browser, and no
// header sets a key that is not a header's. What an object or a body says is not
// here.
package facts

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
)

// Request is a verified request.
type Request struct {
	Raw     *http.Request
	Header  http.Header // what may be obeyed
	Query   sigv4.Query
	Trusted []netip.Prefix // proxies whose X-Forwarded-For is believed
	Now     time.Time
	Region  string

	Anonymous   bool
	ID, Account string
	ARN         string
	Version     int // of the signature
	InQuery     bool
	InForm      bool
	Age         time.Duration // of the signature
}

// Values gives the values of a key, in lower case up to a slash; nil: the request
// does not have it.
func (r *Request) Values(key string) []string {
	switch vendor, name, _ := strings.Cut(key, ":"); vendor {
	case "aws":
		return r.global(name)
	case "s3":
		return r.ofService(name)
	}
	return nil
}

// global is for keys of all services (IAM, user guide, "AWS global condition context
// keys").
func (r *Request) global(name string) []string {
	switch name {
	case "sourceip":
		if ip := r.SourceIP(); ip.IsValid() {
			return []string{ip.String()}
		}
	case "securetransport":
		return []string{strconv.FormatBool(r.Secure())}
	case "useragent":
		return given(r.Raw.Header.Get("User-Agent"))
	case "referer":
		return given(r.Raw.Header.Get("Referer"))
	case "currenttime":
		return []string{r.Now.UTC().Format(time.RFC3339)}
	case "epochtime":
		return []string{strconv.FormatInt(r.Now.Unix(), 10)}
	case "requestedregion":
		return given(r.Region)
	case "principaltype":
		switch {
		case r.Anonymous:
			return []string{"Anonymous"}
		case strings.HasSuffix(r.ARN, ":root"):
			return []string{"Account"}
		default:
			return []string{"User"}
		}
	}
	if r.Anonymous {
		return nil
	}
	switch name {
	case "principalarn":
		return given(r.ARN)
	case "principalaccount":
		return given(r.Account)
	case "userid":
		return given(r.ID)
	case "username":
		_, user, ok := strings.Cut(r.ARN, ":user/")
		if !ok {
			return nil
		}
		return given(user[strings.LastIndexByte(user, '/')+1:])
	}
	return nil
}

func given(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// ofService is for keys of S3 (service authorization reference, "Condition keys for
// Amazon S3").
func (r *Request) ofService(name string) []string {
	switch name {
	case "prefix", "delimiter", "max-keys":
		if r.Query.Has(name) {
			return []string{r.Query.Get(name)}
		}
	case "authtype":
		return r.authType()
	case "signatureversion":
		switch r.Version {
		case 2:
			return []string{"AWS"}
		case 4:
			return []string{sigv4.Algorithm}
		}
	case "signatureage":
		if r.Version == 4 {
			return []string{strconv.FormatInt(max(0, r.Age.Milliseconds()), 10)}
		}
	case "tlsversion":
		if r.Raw.TLS != nil {
			return given(strings.TrimPrefix(tls.VersionName(r.Raw.TLS.Version), "TLS "))
		}
	case "x-amz-copy-source":
		return given(strings.TrimPrefix(r.Header.Get("X-Amz-Copy-Source"), "/"))
	case "x-amz-content-sha256", "x-amz-acl", "x-amz-metadata-directive", "x-amz-storage-class",
		"x-amz-website-redirect-location", "x-amz-object-ownership", "x-amz-server-side-encryption",
		"x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-customer-algorithm",
		"x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-read-acp", "x-amz-grant-write-acp", "x-amz-grant-full-control",
		"if-match", "if-none-match":
		return given(strings.Join(r.Header.Values(name), ","))
	case "object-lock-mode", "object-lock-retain-until-date", "object-lock-legal-hold":
		return given(r.Header.Get("X-Amz-" + name))
	}
	return nil
}

func (r *Request) authType() []string {
	switch {
	case r.InForm:
		return []string{"POST"}
	case r.InQuery:
		return []string{"REST-QUERY-STRING"}
	case r.Version != 0:
		return []string{"REST-HEADER"}
	}
	return nil
}

// SourceIP is the address of the socket's peer; where that is a trusted proxy, the
// last one in X-Forwarded-For that is none.
func (r *Request) SourceIP() netip.Addr {
	host, _, err := net.SplitHostPort(r.Raw.RemoteAddr)
	if err != nil {
		host = r.Raw.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	peer = peer.Unmap().WithZone("")
	forwarded := strings.Split(strings.Join(r.Raw.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0 && r.trusts(peer); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		peer = next.Unmap().WithZone("")
	}
	return peer
}

// Secure says whether nobody could read the request on its way: it came by TLS, or a
// trusted proxy says that it did.
func (r *Request) Secure() bool {
	if r.Raw.TLS != nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.Raw.RemoteAddr)
	said := r.Raw.Header.Values("X-Forwarded-Proto")
	return err == nil && r.trusts(peer.Addr().Unmap().WithZone("")) && len(said) == 1 && strings.EqualFold(said[0], "https")
}

func (r *Request) trusts(ip netip.Addr) bool {
	for _, prefix := range r.Trusted {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}
