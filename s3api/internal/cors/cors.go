// Package cors decides which pages of other sites may talk to a bucket: [Parse]
// reads the rules that a bucket has, [Configuration.Allow] finds the one that allows
// a request, and [Answer.Headers] says so to the browser. It is only arithmetic over
// text; a Configuration is not changed and is safe for concurrent use.
//
// What it gives for a header can stand in one: neither a rule nor a request with a
// character that ends a line gets anything.
package cors

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

const (
	// MaxBytes is the size of the largest configuration, as on S3.
	MaxBytes = 64 << 10
	// MaxRules is how many rules it has at most.
	MaxRules = 100

	maxElements = 10_000
	depth       = 3
	maxID       = 255
)

// Error says what is wrong with a configuration that is well formed, in S3's words.
type Error struct{ Message string }

// Error gives the message.
func (e *Error) Error() string { return e.Message }

func wrong(format string, of ...any) *Error { return &Error{fmt.Sprintf(format, of...)} }

// Configuration is the rules of a bucket, as documents have them.
type Configuration struct {
	XMLName   xml.Name `xml:"CORSConfiguration"`
	Namespace string   `xml:"xmlns,attr,omitempty"`
	Rules     []Rule   `xml:"CORSRule"`
}

// Rule allows requests of some origins by some methods with some headers.
type Rule struct {
	ID      string   `xml:"ID,omitempty"`
	Headers []string `xml:"AllowedHeader,omitempty"`
	Methods []string `xml:"AllowedMethod"`
	Origins []string `xml:"AllowedOrigin"`
	Exposed []string `xml:"ExposeHeader,omitempty"`
	MaxAge  *int32   `xml:"MaxAgeSeconds,omitempty"`
}

// Parse reads a document. An error is [wire.ErrMalformed], [wire.ErrTooLarge] or an
// [*Error].
func Parse(data []byte) (*Configuration, error) {
	c := &Configuration{}
	if err := wire.Decode(data, wire.Limits{Bytes: MaxBytes, Elements: maxElements, Depth: depth}, c); err != nil {
		return nil, err
	}
	if len(c.Rules) == 0 {
		return nil, fmt.Errorf("%w: no rule", wire.ErrMalformed)
	}
	if len(c.Rules) > MaxRules {
		return nil, wrong("The number of CORS rules should not exceed allowed limit of %d rules.", MaxRules)
	}
	for i := range c.Rules {
		if err := c.Rules[i].check(); err != nil {
			return nil, err
		}
	}
	c.Namespace = wire.Namespace
	return c, nil
}

func (r *Rule) check() error {
	if len(r.Methods) == 0 || len(r.Origins) == 0 {
		return fmt.Errorf("%w: a rule without methods or origins", wire.ErrMalformed)
	}
	if r.MaxAge != nil && *r.MaxAge < 0 {
		return fmt.Errorf("%w: a negative age", wire.ErrMalformed)
	}
	if len(r.ID) > maxID {
		return wrong("The ID length should not exceed allowed limit of %d", maxID)
	}
	for _, method := range r.Methods {
		if !slices.Contains(methods(), method) {
			return wrong("Found unsupported HTTP method in CORS config. Unsupported method is %s", method)
		}
	}
	for _, origin := range r.Origins {
		if strings.Count(origin, "*") > 1 {
			return wrong("AllowedOrigin %q can not have more than one wildcard.", origin)
		}
		if !isOrigin(origin) {
			return wrong("AllowedOrigin %q is not valid.", origin)
		}
	}
	for _, name := range r.Headers {
		if strings.Count(name, "*") > 1 {
			return wrong("AllowedHeader %q can not have more than one wildcard.", name)
		}
		if !isToken(name) {
			return wrong("AllowedHeader %q is not valid.", name)
		}
	}
	for _, name := range r.Exposed {
		if strings.Contains(name, "*") {
			return wrong("ExposeHeader %q contains wildcard. We currently do not support wildcard for ExposeHeader.", name)
		}
		if !isToken(name) {
			return wrong("ExposeHeader %q is not valid.", name)
		}
	}
	return nil
}

func methods() []string { return []string{"GET", "PUT", "POST", "DELETE", "HEAD"} }

// IsMethod says whether a method can be allowed at all.
func IsMethod(method string) bool { return slices.Contains(methods(), method) }

// isOrigin says whether a text can stand in a header as an origin: no control
// character, no space.
func isOrigin(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func isToken(text string) bool { return wire.ValidHeader(text, "") }

// Request is what a browser says.
type Request struct {
	Origin  string
	Method  string
	Headers []string // lines of Access-Control-Request-Headers
}

// Answer is what the browser is told.
type Answer struct {
	rule    *Rule
	origin  string // that is allowed; "*" any
	headers []string
}

// Allow finds the first rule that allows the request; false if there is none.
func (c *Configuration) Allow(r *Request) (Answer, bool) {
	if !isOrigin(r.Origin) {
		return Answer{}, false
	}
	headers, ok := names(r.Headers)
	if !ok {
		return Answer{}, false
	}
	for i := range c.Rules {
		rule := &c.Rules[i]
		if !slices.Contains(rule.Methods, r.Method) {
			continue
		}
		at := slices.IndexFunc(rule.Origins, func(pattern string) bool { return fits(pattern, r.Origin) })
		if at < 0 || slices.ContainsFunc(headers, func(name string) bool { return !rule.takes(name) }) {
			continue
		}
		answer := Answer{rule: rule, origin: r.Origin, headers: headers}
		if rule.Origins[at] == "*" {
			answer.origin = "*"
		}
		return answer, true
	}
	return Answer{}, false
}

// names takes a list of headers apart, in lower case; false if one is none.
func names(lines []string) ([]string, bool) {
	var all []string
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.ToLower(strings.Trim(name, " \t"))
			if name == "" {
				continue
			}
			if !isToken(name) {
				return nil, false
			}
			all = append(all, name)
		}
	}
	return all, true
}

// takes says whether the rule allows a header, whose name is in lower case.
func (r *Rule) takes(name string) bool {
	return slices.ContainsFunc(r.Headers, func(pattern string) bool { return fits(strings.ToLower(pattern), name) })
}

// fits compares with a pattern in which one star is any text.
func fits(pattern, text string) bool {
	before, behind, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	return len(text) >= len(before)+len(behind) && strings.HasPrefix(text, before) && strings.HasSuffix(text, behind)
}

// Headers gives the names and values that the browser looks for.
func (a Answer) Headers(set func(name, value string)) {
	set("Access-Control-Allow-Origin", a.origin)
	set("Access-Control-Allow-Methods", strings.Join(a.rule.Methods, ", "))
	if a.origin != "*" { // with any origin there are no cookies and the like
		set("Access-Control-Allow-Credentials", "true")
	}
	if len(a.headers) > 0 {
		set("Access-Control-Allow-Headers", strings.Join(a.headers, ", "))
	}
	if len(a.rule.Exposed) > 0 {
		set("Access-Control-Expose-Headers", strings.Join(a.rule.Exposed, ", "))
	}
	if a.rule.MaxAge != nil {
		set("Access-Control-Max-Age", strconv.Itoa(int(*a.rule.MaxAge)))
	}
}

// Vary names the headers that the answer depends on.
const Vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// errUnknown is for documents that were not written by this package.
var errUnknown = errors.New("unreadable rules of cross-origin requests")
