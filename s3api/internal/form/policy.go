package form

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PolicyError says what is wrong with the policy of a form, in S3's words.
type PolicyError struct{ Message string }

// Error gives the message.
func (e *PolicyError) Error() string { return "Invalid Policy: " + e.Message }

// Violation says what a form has that its policy does not allow, in S3's words.
type Violation struct{ Message string }

// Error gives the message.
func (e *Violation) Error() string { return "Invalid according to Policy: " + e.Message }

// SizeError says that the file has not one of the sizes that the policy allows.
type SizeError struct {
	Size, Bound int64 // Size is that of the file; one that is too large may go on
	TooLarge    bool
}

// Error says which.
func (e *SizeError) Error() string {
	if e.TooLarge {
		return fmt.Sprintf("more than %d bytes", e.Bound)
	}
	return fmt.Sprintf("%d bytes, at least %d", e.Size, e.Bound)
}

// Policy is what a form may have, for how long.
type Policy struct {
	expiration time.Time
	conditions []condition
	smallest   int64
	largest    int64 // −1: any
}

// condition is that a field has a value, or one that begins with it.
type condition struct {
	name   string // of the field, as the policy writes it
	value  string
	prefix bool
}

// String is the condition as S3 writes it in messages.
func (c condition) String() string {
	operator := "eq"
	if c.prefix {
		operator = "starts-with"
	}
	return fmt.Sprintf(`["%s", "$%s", "%s"]`, operator, c.name, c.value)
}

// ParsePolicy reads the field "policy": base64 of JSON. The error is a
// [*PolicyError].
func ParsePolicy(text string) (*Policy, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, &PolicyError{"Invalid Base64 encoding."}
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(dollars(data), &document); err != nil || document == nil {
		return nil, &PolicyError{"Invalid JSON."}
	}
	p := &Policy{largest: -1}
	for name, raw := range document {
		switch name {
		case "expiration":
			if p.expiration, err = parseExpiration(raw); err != nil {
				return nil, err
			}
		case "conditions":
		default:
			return nil, &PolicyError{"Unexpected: '" + name + "'."}
		}
	}
	if _, ok := document["expiration"]; !ok {
		return nil, &PolicyError{"Policy missing expiration."}
	}
	raw, ok := document["conditions"]
	if !ok {
		return nil, &PolicyError{"Policy missing conditions."}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, &PolicyError{"Invalid 'conditions' value: must be a List."}
	}
	for _, one := range list {
		if err := p.add(one); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// dollars undoes the escape \$, which policies have and JSON has not.
func dollars(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		if data[i] == '\\' && i+1 < len(data) {
			if i++; data[i] != '$' {
				out = append(out, '\\')
			}
		}
		out = append(out, data[i])
	}
	return out
}

func parseExpiration(raw json.RawMessage) (time.Time, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return time.Time{}, &PolicyError{"Invalid 'expiration' value: must be a String."}
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, &PolicyError{"Invalid 'expiration' value: '" + text + "'"}
	}
	return at, nil
}

// add takes one condition: {"field": "value"}, ["eq", "$field", "value"],
// ["starts-with", "$field", "value"] or ["content-length-range", from, to].
func (p *Policy) add(raw json.RawMessage) error {
	var simple map[string]any
	if err := json.Unmarshal(raw, &simple); err == nil {
		if len(simple) != 1 {
			return &PolicyError{"Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."}
		}
		for name, value := range simple {
			text, ok := value.(string)
			if !ok {
				return &PolicyError{"Invalid Simple-Condition: value must be a string."}
			}
			p.conditions = append(p.conditions, condition{name: name, value: text})
		}
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return &PolicyError{"Invalid Condition: must be an Object or a List."}
	}
	var operator string
	if err := json.Unmarshal(list[0], &operator); err != nil || len(list) != 3 {
		return &PolicyError{"Invalid Condition: wrong number of arguments."}
	}
	operator = strings.ToLower(operator)
	if operator == "content-length-range" {
		return p.addRange(list[1], list[2])
	}
	var name, value string
	if json.Unmarshal(list[1], &name) != nil || json.Unmarshal(list[2], &value) != nil {
		return &PolicyError{"Invalid Condition: arguments must be strings."}
	}
	name, dollar := strings.CutPrefix(name, "$")
	if !dollar || name == "" || operator != "eq" && operator != "starts-with" {
		return &PolicyError{"Invalid Condition: unknown operation or invalid field."}
	}
	p.conditions = append(p.conditions, condition{name, value, operator == "starts-with"})
	return nil
}

// addRange narrows the sizes of the file.
func (p *Policy) addRange(from, to json.RawMessage) error {
	smallest, ok := size(from)
	largest, ok2 := size(to)
	if !ok || !ok2 {
		return &PolicyError{"Invalid content-length-range: two sizes are wanted."}
	}
	p.smallest = max(p.smallest, smallest)
	if p.largest < 0 || largest < p.largest {
		p.largest = largest
	}
	return nil
}

// size reads a number of bytes, with or without quotes.
func size(raw json.RawMessage) (int64, bool) {
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	return n, err == nil && n >= 0
}

// Check says whether the form may be used for the bucket; its error is a
// [*Violation]. Every field but those that sign must be covered by a condition, and
// every condition needs its field.
func (p *Policy) Check(f *Form, bucket string, now time.Time) error {
	if now.After(p.expiration) {
		return &Violation{"Policy expired."}
	}
	covered := map[string]bool{}
	for _, c := range p.conditions {
		name := strings.ToLower(c.name)
		covered[name] = true
		value, has := f.Get(name), f.Has(name)
		if name == "bucket" {
			value, has = bucket, true
		}
		if !has || !c.allows(name, value) {
			return &Violation{"Policy Condition failed: " + c.String()}
		}
	}
	for _, name := range append([]string{"bucket"}, f.names...) {
		if !covered[name] && !free(name) {
			return &Violation{"Extra input fields: " + name}
		}
	}
	return nil
}

// allows compares a value. Several content types are a list, in which each must
// begin as is wanted.
func (c condition) allows(name, value string) bool {
	if !c.prefix {
		return value == c.value
	}
	if name != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	return !slices.ContainsFunc(strings.Split(value, ","), func(one string) bool {
		return !strings.HasPrefix(strings.TrimSpace(one), c.value)
	})
}

// free says whether a field needs no condition: those that sign, and checksums, which
// say nothing but what the file is.
func free(name string) bool {
	return signs(name) || name == "x-amz-sdk-checksum-algorithm" ||
		strings.HasPrefix(name, "x-ignore-") || strings.HasPrefix(name, "x-amz-checksum-")
}

// signs says whether a field is the policy, or part of its signature and not of what
// it must name.
func signs(name string) bool {
	return name == "awsaccesskeyid" || name == "policy" || name == "signature" || name == "x-amz-signature"
}

// Limit gives the file with an error, a [*SizeError], in the place of its end if
// it has not a size that the policy allows, and as soon as it has too many bytes. Without
// a policy, and at most, it may have as many as the limit.
func (p *Policy) Limit(file io.Reader, limit int64) io.Reader {
	r := &sized{source: file, largest: limit}
	if p != nil {
		r.smallest = p.smallest
		if p.largest >= 0 {
			r.largest = min(limit, p.largest)
		}
	}
	return r
}

// sized counts the bytes of a file.
type sized struct {
	source            io.Reader
	smallest, largest int64
	read              int64
	err               error // once set, given for ever
}

// Read implements io.Reader.
func (s *sized) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.source.Read(p)
	s.read += int64(n)
	switch {
	case s.read > s.largest:
		n, err = 0, &SizeError{Size: s.read, Bound: s.largest, TooLarge: true}
	case err == io.EOF && s.read < s.smallest:
		n, err = 0, &SizeError{Size: s.read, Bound: s.smallest}
	}
	s.err = err
	return n, err
}
