package policy

import (
	"cmp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxBytes is the size of the largest document, as on S3.
	MaxBytes = 20 << 10

	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Error says what is wrong with a document; on S3 it is the answer MalformedPolicy.
type Error struct {
	Message string // as S3 says it
	Detail  string // where or what; may be empty
}

// Error gives the message and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return "malformed policy: " + e.Message
	}
	return "malformed policy: " + e.Message + ": " + e.Detail
}

func malformed(message, detail string) *Error { return &Error{Message: message, Detail: detail} }

// Document is a policy that was read. It cannot be changed.
type Document struct {
	id         string
	statements []statement
}

// ID is the document's Id; it may be empty.
func (d *Document) ID() string { return d.id }

// Statements is how many statements the document has.
func (d *Document) Statements() int { return len(d.statements) }

// statement is one of them, ready to be compared with requests.
type statement struct {
	sid        string
	effect     Effect
	principals *principals // nil: whoever is asked about
	actions    []pattern   // in lower case
	resources  []pattern
	conditions []condition
	// Not… turn the meaning of a list around.
	notPrincipals, notActions, notResources bool
}

// Parse reads a document. Its error is an [*Error].
func Parse(data []byte) (*Document, error) {
	if len(data) > MaxBytes {
		return nil, malformed("Policy exceeds the maximum allowed document size.", strconv.Itoa(MaxBytes)+" bytes")
	}
	root, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	d := &Document{}
	version := version2008
	var list *value
	for i := range root.fields {
		field := &root.fields[i]
		switch {
		case field.name == "Statement" && (field.kind == aList || field.kind == anObject):
			list = &field.value
		case field.name == "Version" && field.kind == aString:
			version = field.text
		case field.name == "Id" && field.kind == aString:
			d.id = field.text
		case field.name == "Statement" || field.name == "Version" || field.name == "Id":
			return nil, malformed("Invalid policy syntax.", field.name)
		default:
			return nil, malformed("Unknown field "+field.name, "")
		}
	}
	switch {
	case version != version2008 && version != version2012:
		return nil, malformed("The policy must contain a valid version string", version)
	case list == nil:
		return nil, malformed("Missing required field Statement", "")
	}
	statements := list.items
	if list.kind == anObject {
		statements = []value{*list}
	}
	if len(statements) == 0 {
		return nil, malformed("Could not parse the policy: Statement is empty!", "")
	}
	sids := make(map[string]bool, len(statements))
	d.statements = make([]statement, len(statements))
	for i := range statements {
		s := &d.statements[i]
		if err := s.parse(&statements[i], version == version2012); err != nil {
			return nil, err.in(i, s.sid)
		}
		if s.sid != "" && sids[s.sid] {
			return nil, malformed("Statement IDs (SID) in a single policy must be unique.", s.sid)
		}
		sids[s.sid] = true
	}
	return d, nil
}

// in adds which statement it is.
func (e *Error) in(statement int, sid string) *Error {
	where := "statement " + cmp.Or(sid, strconv.Itoa(statement))
	if e.Detail != "" {
		where += ": " + e.Detail
	}
	e.Detail = where
	return e
}

// parse reads one statement; variables says whether there are any.
func (s *statement) parse(v *value, variables bool) *Error {
	if v.kind != anObject {
		return malformed("Invalid policy syntax.", "a statement is an object")
	}
	for i := range v.fields {
		if err := s.element(v.fields[i].name, &v.fields[i].value, variables); err != nil {
			return err
		}
	}
	switch {
	case s.effect == None:
		return malformed("Missing required field Effect", "")
	case len(s.actions) == 0:
		return malformed("Missing required field Action", "")
	case len(s.resources) == 0:
		return malformed("Missing required field Resource", "")
	}
	return nil
}

// element reads one element of a statement.
func (s *statement) element(name string, v *value, variables bool) *Error {
	switch name {
	case "Sid":
		if v.kind != aString {
			return malformed("Invalid policy syntax.", name)
		}
		s.sid = v.text
	case "Effect":
		switch {
		case v.kind == aString && v.text == "Allow":
			s.effect = Allow
		case v.kind == aString && v.text == "Deny":
			s.effect = Deny
		default:
			return malformed("Invalid effect: "+v.text, "")
		}
	case "Principal", "NotPrincipal":
		if s.principals != nil {
			return malformed("Statement/policy may not have both Principal and NotPrincipal.", "")
		}
		var err *Error
		s.principals, err = parsePrincipals(v)
		s.notPrincipals = name == "NotPrincipal"
		return err
	case "Action", "NotAction":
		if len(s.actions) > 0 {
			return malformed("Statement/policy may not have both Action and NotAction.", "")
		}
		s.notActions = name == "NotAction"
		return s.parseActions(v)
	case "Resource", "NotResource":
		if len(s.resources) > 0 {
			return malformed("Statement/policy may not have both Resource and NotResource.", "")
		}
		s.notResources = name == "NotResource"
		return s.parseResources(v, variables)
	case "Condition":
		var err *Error
		s.conditions, err = parseConditions(v, variables)
		return err
	default:
		return malformed("Unknown field "+name, "")
	}
	return nil
}

func (s *statement) parseActions(v *value) *Error {
	list, ok := v.strings()
	if !ok {
		return malformed("Policy has invalid action", "")
	}
	for _, text := range list {
		vendor, name, ok := strings.Cut(text, ":")
		if text != "*" && (!ok || vendor == "" || name == "") {
			return malformed("Policy has invalid action", text)
		}
		compiled, _ := compile(strings.ToLower(text), withWildcards) // has no variables, which alone can be wrong
		s.actions = append(s.actions, compiled)
	}
	return nil
}

func (s *statement) parseResources(v *value, variables bool) *Error {
	list, ok := v.strings()
	if !ok {
		return malformed("Policy has invalid resource", "")
	}
	for _, text := range list {
		if text == "" || !utf8.ValidString(text) {
			return malformed("Policy has invalid resource", text)
		}
		s.resources = append(s.resources, pattern{})
		var err error
		if s.resources[len(s.resources)-1], err = compile(text, syntaxOf(variables)|withWildcards); err != nil {
			return malformed("Policy has invalid resource", text)
		}
	}
	return nil
}
