package sigv4

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrQuery says that a query string has an escape that is none, or too many
// parameters.
var ErrQuery = errors.New("malformed query string")

// Parameter is one parameter of a query string, decoded.
type Parameter struct{ Name, Value string }

// Query is the parameters of a request in the order in which they were sent.
// It is parsed once, so that what is signed and what is obeyed are the same.
type Query []Parameter

// ParseQuery splits at '&' and decodes names and values; '+' means a space. A
// name without '=' has an empty value. More than limit parameters, or an
// escape that is none, give [ErrQuery].
func ParseQuery(raw string, limit int) (Query, error) {
	var q Query
	for piece := range strings.SplitSeq(raw, "&") {
		if piece == "" {
			continue
		}
		if len(q) == limit {
			return nil, fmt.Errorf("%w: more than %d parameters", ErrQuery, limit)
		}
		name, value, _ := strings.Cut(piece, "=")
		decodedName, ok := unescape(name)
		decodedValue, valueOK := unescape(value)
		if !ok || !valueOK {
			return nil, fmt.Errorf("%w: invalid escape", ErrQuery)
		}
		q = append(q, Parameter{decodedName, decodedValue})
	}
	return q, nil
}

// Get is the value of the first parameter of that name, or the empty string.
func (q Query) Get(name string) string {
	for _, p := range q {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Has says whether a parameter of that name was sent, with or without a value.
func (q Query) Has(name string) bool { return q.count(name) > 0 }

func (q Query) count(name string) int {
	n := 0
	for _, p := range q {
		if p.Name == name {
			n++
		}
	}
	return n
}

// canonical is the canonical query string without the parameter omit: escaped,
// then sorted by name and value.
func (q Query) canonical(omit string) string {
	escaped := make(Query, 0, len(q))
	for _, p := range q {
		if p.Name == omit && omit != "" {
			continue
		}
		escaped = append(escaped, Parameter{Escape(p.Name, false), Escape(p.Value, false)})
	}
	slices.SortStableFunc(escaped, func(a, b Parameter) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	var b strings.Builder
	for i, p := range escaped {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.Name)
		b.WriteByte('=')
		b.WriteString(p.Value)
	}
	return b.String()
}

// Escape is the UriEncode of the signature's definition: every byte but A–Z,
// a–z, 0–9, '-', '.', '_' and '~' becomes '%' and two upper-case hexadecimal
// digits; '/' stays if keepSlash says so, as it does in paths.
func Escape(text string, keepSlash bool) string {
	const digits = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || c == '/' && keepSlash
	}
	odd := 0
	for i := range len(text) {
		if !plain(text[i]) {
			odd++
		}
	}
	if odd == 0 {
		return text
	}
	out := make([]byte, 0, len(text)+2*odd)
	for i := range len(text) {
		if c := text[i]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

// unescape decodes a name or a value of a query string.
func unescape(text string) (string, bool) {
	if !strings.ContainsAny(text, "%+") {
		return text, true
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			out = append(out, ' ')
		case c != '%':
			out = append(out, c)
		case i+2 < len(text):
			high, ok := hexDigit(text[i+1])
			low, lowOK := hexDigit(text[i+2])
			if !ok || !lowOK {
				return "", false
			}
			out = append(out, high<<4|low)
			i += 2
		default:
			return "", false
		}
	}
	return string(out), true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}
