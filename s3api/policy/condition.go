package policy

import "strings"

// quantity says what several values of a request's key mean.
type quantity uint8

const (
	noQuantity quantity = iota // one is enough, and of a negated operator none may fit
	forAll                     // each; also if there is none
	forAnyOne                  // at least one
)

// condition is one key of one operator.
type condition struct {
	key      string // as Request.Context is asked
	operator string // its name, without quantity and IfExists
	quantity quantity
	ifExists bool
	negated  bool
	// wanted compares one value of the request; of Null it is nil.
	wanted matcher
	null   []bool // of Null: whether the key may be missing
	fixed  bool   // the values have neither wildcards nor variables
}

// matcher compares one value of the request with those of the policy, of which
// one is enough. A value that is not of the operator's kind fits none.
type matcher interface {
	matches(text string, r *Request) bool
}

// holds decides.
func (c *condition) holds(r *Request) bool {
	values := r.values(c.key)
	if c.wanted == nil {
		for _, missing := range c.null {
			if missing == (len(values) == 0) {
				return true
			}
		}
		return false
	}
	if len(values) == 0 {
		switch {
		case c.ifExists, c.quantity == forAll:
			return true
		case c.quantity == forAnyOne:
			return false
		default:
			return c.negated
		}
	}
	switch c.quantity {
	case forAll:
		for _, text := range values {
			if c.wanted.matches(text, r) == c.negated {
				return false
			}
		}
		return true
	case forAnyOne:
		for _, text := range values {
			if c.wanted.matches(text, r) != c.negated {
				return true
			}
		}
		return false
	default:
		for _, text := range values {
			if c.wanted.matches(text, r) {
				return !c.negated
			}
		}
		return c.negated
	}
}

// parseConditions reads a Condition.
func parseConditions(v *value, variables bool) ([]condition, *Error) {
	if v.kind != anObject {
		return nil, malformed("Invalid policy syntax.", "Condition")
	}
	var all []condition
	for i := range v.fields {
		of := &v.fields[i]
		base, ok := parseOperator(of.name)
		if !ok {
			return nil, malformed("Invalid Condition type : "+of.name, "")
		}
		if of.kind != anObject {
			return nil, malformed("Invalid policy syntax.", of.name)
		}
		seen := map[string]bool{}
		for j := range of.fields {
			c := base
			c.key = keyName(of.fields[j].name)
			if seen[c.key] {
				return nil, malformed("This policy contains invalid Json", "the name "+c.key+" comes twice")
			}
			seen[c.key] = true
			if err := c.parseValues(&of.fields[j].value, variables); err != nil {
				err.Detail = of.name + ", " + of.fields[j].name
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// keyName gives the key as it is asked for: its name is the same however its
// letters are written, but a tag that it names is not.
func keyName(text string) string {
	name, tag, has := strings.Cut(text, "/")
	if name = strings.ToLower(name); has {
		return name + "/" + tag
	}
	return name
}

// parseOperator reads the name of an operator with what stands around it.
func parseOperator(text string) (condition, bool) {
	var c condition
	if rest, ok := strings.CutPrefix(text, "ForAllValues:"); ok {
		c.quantity, text = forAll, rest
	} else if rest, ok := strings.CutPrefix(text, "ForAnyValue:"); ok {
		c.quantity, text = forAnyOne, rest
	}
	c.operator, c.ifExists = strings.CutSuffix(text, "IfExists")
	if c.operator == "Null" {
		return c, c.quantity == noQuantity && !c.ifExists
	}
	_, known := operators()[c.operator]
	return c, known
}

func (c *condition) parseValues(v *value, variables bool) *Error {
	const message = "Policy has an invalid value in Condition"
	if c.key == "" || !strings.Contains(c.key, ":") {
		return malformed("Policy has an invalid condition key", "")
	}
	texts, ok := v.scalars()
	if !ok {
		return malformed(message, "")
	}
	if c.operator == "Null" {
		for _, text := range texts {
			missing, ok := parseBool(text)
			if !ok {
				return malformed(message, "")
			}
			c.null = append(c.null, missing)
		}
		return nil
	}
	of := operators()[c.operator]
	c.negated = of.negated
	if c.wanted, c.fixed, ok = of.read(texts, syntaxOf(variables)); !ok {
		return malformed(message, "")
	}
	return nil
}
