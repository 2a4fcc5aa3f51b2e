package policy

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// maxDepth is how deep a document nests: the values of a condition's key are a
// list in an object in an object in a statement in a list in the document.
const maxDepth = 6

type kind uint8

const (
	aString kind = iota
	aNumber
	aBool
	aNull
	aList
	anObject
)

// value is one of JSON.
type value struct {
	kind   kind
	text   string  // of a string, or as a number or a truth value is written
	items  []value // of a list
	fields []field // of an object, as they come; no name comes twice
}

type field struct {
	name string
	value
}

// parseJSON reads a document that must be one object.
func parseJSON(data []byte) (*value, error) {
	if len(bytes.TrimLeft(data, " \t\r\n")) == 0 || bytes.TrimLeft(data, " \t\r\n")[0] != '{' {
		return nil, malformed("Policies must be valid JSON and the first byte must be '{'", "")
	}
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, malformed("This policy contains invalid Json", "")
	}
	r := reader{json.NewDecoder(bytes.NewReader(data))}
	r.UseNumber()
	root, err := r.value(0)
	if err != nil {
		return nil, err
	}
	return &root, nil
}

type reader struct{ *json.Decoder }

// value reads the next value. The text as a whole is valid.
func (r reader) value(depth int) (value, *Error) {
	token, err := r.Token()
	if err != nil {
		return value{}, malformed("This policy contains invalid Json", err.Error())
	}
	switch t := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return value{}, malformed("Invalid policy syntax.", "too deep")
		}
		if t == '{' {
			return r.object(depth + 1)
		}
		return r.list(depth + 1)
	case string:
		return value{kind: aString, text: t}, nil
	case json.Number:
		return value{kind: aNumber, text: t.String()}, nil
	case bool:
		if t {
			return value{kind: aBool, text: "true"}, nil
		}
		return value{kind: aBool, text: "false"}, nil
	default:
		return value{kind: aNull}, nil
	}
}

func (r reader) list(depth int) (value, *Error) {
	v := value{kind: aList}
	for r.More() {
		item, err := r.value(depth)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
	}
	_, _ = r.Token() // the end, since the text is valid
	return v, nil
}

func (r reader) object(depth int) (value, *Error) {
	v := value{kind: anObject}
	seen := map[string]bool{}
	for r.More() {
		name, err := r.value(depth)
		if err != nil {
			return v, err
		}
		if seen[name.text] {
			return v, malformed("This policy contains invalid Json", "the name "+name.text+" comes twice")
		}
		seen[name.text] = true
		of, err := r.value(depth)
		if err != nil {
			return v, err
		}
		v.fields = append(v.fields, field{name.text, of})
	}
	_, _ = r.Token()
	return v, nil
}

// strings gives a string, or the strings of a list that has some.
func (v *value) strings() ([]string, bool) {
	if v.kind == aString {
		return []string{v.text}, true
	}
	if v.kind != aList || len(v.items) == 0 {
		return nil, false
	}
	list := make([]string, len(v.items))
	for i := range v.items {
		if v.items[i].kind != aString {
			return nil, false
		}
		list[i] = v.items[i].text
	}
	return list, true
}

// scalars gives the texts of strings, numbers and truth values, of one or of a
// list that has some.
func (v *value) scalars() ([]string, bool) {
	items := v.items
	if v.kind != aList {
		items = []value{*v}
	}
	list := make([]string, len(items))
	for i := range items {
		if items[i].kind > aBool {
			return nil, false
		}
		list[i] = items[i].text
	}
	return list, len(list) > 0
}
