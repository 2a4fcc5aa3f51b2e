package wire

import (
	"bytes"
	"encoding/xml"
	"strings"
	"time"
	"unicode/utf8"
)

// Marshal writes a document with its declaration. It is well formed whatever its
// texts hold: a character that XML 1.0 can't have, not even as a reference, is
// U+FFFD in it, and so is a byte that is no UTF-8.
func Marshal(document any) ([]byte, error) {
	if d, ok := document.(written); ok {
		p := pen(xml.Header)
		d.write(&p)
		return p, nil
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := xml.NewEncoder(&b).Encode(document); err != nil {
		return nil, err
	}
	if _, ok := document.(ErrorDocument); ok { // it has no attributes, and clients look for texts with quotes in it
		return []byte(strings.NewReplacer("&#34;", `"`, "&#39;", "'").Replace(b.String())), nil
	}
	return b.Bytes(), nil
}

// EscapeKey is what encoding-type=url makes of a key: every byte but letters,
// digits, '-', '.', '_', '*' and '/' is escaped, a space as %20, which clients
// read alike whether or not '+' means a space to them.
func EscapeKey(key string) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(key)+8)
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '*', c == '/':
			out = append(out, c)
		default:
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

// Stamp is a time as documents have it: UTC, milliseconds.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ParseStamp reads a time as documents and headers have it: RFC 3339 with any
// fraction, or that of HTTP.
func ParseStamp(text string) (time.Time, bool) {
	for _, form := range [...]string{time.RFC3339Nano, "Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// Quote is an entity tag as headers and documents have it.
func Quote(tag string) string { return `"` + tag + `"` }

// Unquote takes the quotes off an entity tag, and the mark of a weak one.
func Unquote(tag string) string {
	tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
	if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
		return tag[1 : len(tag)-1]
	}
	return tag
}

// ValidKey says whether a key can be one over S3: 1 to 1,024 bytes of UTF-8.
// long says that it is only too long.
func ValidKey(key string) (ok, long bool) {
	const maxKeyBytes = 1024
	if key == "" || !utf8.ValidString(key) {
		return false, false
	}
	return len(key) <= maxKeyBytes, len(key) > maxKeyBytes
}

// ValidBucket says whether a name can be that of a new bucket (S3, user guide,
// "General purpose bucket naming rules"): 3 to 63 lower-case letters, digits,
// dots and hyphens, beginning and ending with a letter or digit, no two dots
// together, not formed as an IPv4 address.
func ValidBucket(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return false
	}
	letters := false
	for i := range len(name) {
		c := name[i]
		alphanumeric := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		edge := i == 0 || i == len(name)-1
		if !alphanumeric && (edge || c != '.' && c != '-') {
			return false
		}
		letters = letters || c != '.' && (c < '0' || c > '9')
	}
	return letters || strings.Count(name, ".") != 3
}

// ReservedBucket says whether S3 keeps a name for itself, so that no bucket can be
// made with it (S3, user guide, "General purpose bucket naming rules").
func ReservedBucket(name string) bool {
	for _, prefix := range [...]string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, suffix := range [...]string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
