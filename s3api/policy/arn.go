package policy

import "strings"

// arnParts is how many parts an ARN has; each is compared by itself, and only the
// last may have colons.
const arnParts = 6

type arnMatcher struct {
	everything bool // one of the values is *
	values     [][arnParts]pattern
}

func readARNs(texts []string, s syntax) (matcher, bool, bool) {
	m := &arnMatcher{}
	fixed := true
	for _, text := range texts {
		whole, err := compile(text, s|withWildcards)
		if err != nil {
			return nil, false, false
		}
		fixed = fixed && whole.fixed()
		if whole.everything() {
			m.everything = true
			continue
		}
		parts, ok := whole.split()
		if !ok {
			return nil, false, false
		}
		m.values = append(m.values, parts)
	}
	return m, fixed, true
}

// split cuts the pattern of an ARN at its colons, not at those that a variable's
// value may have.
func (p *pattern) split() ([arnParts]pattern, bool) {
	var parts [arnParts]pattern
	at := 0
	for _, of := range p.pieces {
		if of.kind != literal {
			parts[at].pieces = append(parts[at].pieces, of)
			parts[at].variables = parts[at].variables || of.kind == variable
			continue
		}
		rest := of.text
		for at < arnParts-1 {
			before, behind, found := strings.Cut(rest, ":")
			if !found {
				break
			}
			parts[at].literal(before)
			at++
			rest = behind
		}
		parts[at].literal(rest)
	}
	return parts, at == arnParts-1
}

func (m *arnMatcher) matches(text string, r *Request) bool {
	parts := strings.SplitN(text, ":", arnParts)
	if len(parts) != arnParts {
		return false
	}
	if m.everything {
		return true
	}
	for i := range m.values {
		fits := true
		for j := range m.values[i] {
			fits = fits && m.values[i][j].matches(parts[j], r)
		}
		if fits {
			return true
		}
	}
	return false
}
