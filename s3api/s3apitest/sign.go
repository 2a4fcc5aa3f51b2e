package s3apitest

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	chunks          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	chunksTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

	algorithm = "AWS4-HMAC-SHA256"
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// sign signs a request and gives its body as it is sent (S3, API reference,
// "Authenticating Requests (AWS Signature Version 4)"). The prefix stands before
// the path in what version 2 signs.
func sign(r *http.Request, q *request, prefix string, at time.Time, region string) []byte {
	switch q.scheme {
	case nowhere:
		return []byte(q.body)
	case inHeader2, inQuery2:
		sign2(r, q, prefix, at)
		return []byte(q.body)
	}
	streams := strings.HasPrefix(q.payload, "STREAMING-")
	payload := q.payload
	switch {
	case payload == "" && q.scheme == inQuery:
		payload = unsignedPayload
	case payload == "":
		payload = hexHash(q.body)
	}
	if streams {
		r.Header.Add("Content-Encoding", "aws-chunked")
		if r.Header.Get("X-Amz-Decoded-Content-Length") == "" {
			r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(q.body)))
		}
	}
	s := newSigner(q.who, at, region)
	var signature string
	if q.scheme == inQuery {
		signature = s.presign(r, q, payload)
	} else {
		r.Header.Set("X-Amz-Date", s.stamp)
		r.Header.Set("X-Amz-Content-Sha256", payload)
		names := s.names(r, q)
		signature = s.sign(canonical(r, names, payload))
		r.Header.Set("Authorization", algorithm+" Credential="+q.who.AccessKey+"/"+s.scope+
			", SignedHeaders="+strings.Join(names, ";")+", Signature="+signature)
	}
	if streams {
		return s.encode(q, signature)
	}
	return []byte(q.body)
}

// signer has the key of a day.
type signer struct {
	stamp, scope string
	key          []byte
}

func newSigner(who *Identity, at time.Time, region string) *signer {
	stamp := at.UTC().Format("20060102T150405Z")
	key := []byte("AWS4" + who.SecretKey)
	for _, part := range []string{stamp[:8], region, "s3", "aws4_request"} {
		key = mac(sha256.New, key, part)
	}
	return &signer{stamp, stamp[:8] + "/" + region + "/s3/aws4_request", key}
}

func mac(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text)) // never fails
	return m.Sum(nil)
}

func hexHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// sign signs a canonical request.
func (s *signer) sign(canonical string) string {
	return hex.EncodeToString(mac(sha256.New, s.key, algorithm+"\n"+s.stamp+"\n"+s.scope+"\n"+hexHash(canonical)))
}

// names lists the headers that are signed.
func (s *signer) names(r *http.Request, q *request) []string {
	names := []string{"host"}
	for name := range r.Header {
		names = append(names, strings.ToLower(name))
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(q.unsigned, name) })
	slices.Sort(names)
	return names
}

// presign puts the signature into the query.
func (s *signer) presign(r *http.Request, q *request, payload string) string {
	names := s.names(r, q)
	expires := q.expires
	if expires == 0 {
		expires = 300
	}
	query := url.Values{
		"X-Amz-Algorithm": {algorithm}, "X-Amz-Credential": {q.who.AccessKey + "/" + s.scope}, "X-Amz-Date": {s.stamp},
		"X-Amz-Expires": {strconv.Itoa(expires)}, "X-Amz-SignedHeaders": {strings.Join(names, ";")},
	}
	r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+query.Encode(), "&")
	signature := s.sign(canonical(r, names, payload))
	r.URL.RawQuery += "&X-Amz-Signature=" + signature
	return signature
}

// canonical is what is signed.
func canonical(r *http.Request, names []string, payload string) string {
	var pairs []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		pairs = append(pairs, recode(name)+"="+recode(value))
	}
	slices.Sort(pairs)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, strings.ReplaceAll(strict(r.URL.Path), "%2F", "/"), strings.Join(pairs, "&"))
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		if name == "host" {
			value = r.Host
		}
		b.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + payload)
	return b.String()
}

// recode escapes a part of a query anew, as signatures want it.
func recode(part string) string {
	plain, err := url.PathUnescape(part) // a plus is a plus
	if err != nil {
		plain = part
	}
	return strict(plain)
}

// strict escapes all but the unreserved characters of RFC 3986.
func strict(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch ch := text[i]; {
		case ch >= 'A' && ch <= 'Z', ch >= 'a' && ch <= 'z', ch >= '0' && ch <= '9', strings.IndexByte("-._~", ch) >= 0:
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	return b.String()
}

// encode writes the body in chunks (S3, API reference, "Signature calculations for
// the Authorization header: transferring payload in multiple chunks").
func (s *signer) encode(q *request, seed string) []byte {
	signs := q.payload != unsignedTrailer
	size := q.chunk
	if size == 0 {
		size = 64 << 10
	}
	var b strings.Builder
	previous := seed
	link := func(kind, rest string) string {
		previous = hex.EncodeToString(mac(sha256.New, s.key, algorithm+"-"+kind+"\n"+s.stamp+"\n"+s.scope+"\n"+previous+"\n"+rest))
		return previous
	}
	for rest := q.body; ; {
		piece := rest[:min(size, len(rest))]
		rest = rest[len(piece):]
		b.WriteString(strconv.FormatInt(int64(len(piece)), 16))
		if signs {
			b.WriteString(";chunk-signature=" + link("PAYLOAD", emptyHash+"\n"+hexHash(piece)))
		}
		b.WriteString("\r\n" + piece)
		if piece == "" {
			break
		}
		b.WriteString("\r\n")
	}
	var lines strings.Builder
	for _, line := range q.trailer {
		lines.WriteString(line + "\n")
		b.WriteString(line + "\r\n")
	}
	if q.payload == chunksTrailer {
		b.WriteString("x-amz-trailer-signature:" + link("TRAILER", hexHash(lines.String())) + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// sign2 signs by version 2 (S3, user guide, "Signing and authenticating REST
// requests").
func sign2(r *http.Request, q *request, prefix string, at time.Time) {
	date := at.UTC().Format(http.TimeFormat)
	expires := strconv.FormatInt(at.Unix()+int64(max(q.expires, 300)), 10)
	if q.scheme == inHeader2 {
		r.Header.Set("Date", date)
	} else {
		date = expires
	}
	var amz []string
	for name, values := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			amz = append(amz, name+":"+strings.Join(values, ",")+"\n")
		}
	}
	slices.Sort(amz)
	raw, query, _ := strings.Cut(q.path, "?")
	var sub []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, has := strings.Cut(pair, "=")
		if !slices.Contains(subresources2(), name) {
			continue
		}
		if has {
			plain, err := url.QueryUnescape(value)
			if err != nil {
				plain = value
			}
			name += "=" + plain
		}
		sub = append(sub, name)
	}
	slices.Sort(sub)
	resource := prefix + raw
	if q.inHost && strings.Count(raw, "/") == 1 && raw != "/" {
		resource += "/"
	}
	if len(sub) > 0 {
		resource += "?" + strings.Join(sub, "&")
	}
	text := strings.Join([]string{r.Method, r.Header.Get("Content-Md5"), r.Header.Get("Content-Type"), date, strings.Join(amz, "") + resource}, "\n")
	signature := base64.StdEncoding.EncodeToString(mac(sha1.New, []byte(q.who.SecretKey), text))
	if q.scheme == inHeader2 {
		r.Header.Set("Authorization", "AWS "+q.who.AccessKey+":"+signature)
		return
	}
	more := url.Values{"AWSAccessKeyId": {q.who.AccessKey}, "Expires": {expires}, "Signature": {signature}}
	r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+more.Encode(), "&")
}

// subresources2 are the parameters that version 2 signs.
func subresources2() []string {
	return []string{
		"acl", "cors", "delete", "lifecycle", "location", "logging", "notification", "partNumber", "policy", "requestPayment",
		"response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language",
		"response-content-type", "response-expires", "restore", "tagging", "torrent", "uploadId", "uploads", "versionId",
		"versioning", "versions", "website",
	}
}
