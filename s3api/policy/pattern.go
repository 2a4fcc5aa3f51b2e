package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// syntax is what means more than itself in a text.
type syntax uint8

const (
	withWildcards syntax = 1 // * and ?
	withVariables syntax = 2 // ${…}
)

func syntaxOf(variables bool) syntax {
	if variables {
		return withVariables
	}
	return 0
}

type pieceKind uint8

const (
	literal  pieceKind = iota
	single             // ?: one character
	many               // *: any number of characters
	variable           // the one value of a key
)

// piece is a part of a pattern.
type piece struct {
	kind pieceKind
	text string // of a literal; of a variable its key
	// otherwise stands for a variable whose key the request does not have.
	otherwise    string
	hasOtherwise bool
}

// pattern is a text with wildcards and variables. No two literals are neighbours.
type pattern struct {
	pieces    []piece
	variables bool // there are some
}

var errVariable = errors.New("a variable does not end, has no name or a default without quotes")

// compile reads a pattern.
func compile(text string, s syntax) (pattern, error) {
	var p pattern
	for text != "" {
		stop := len(text)
		if s&withWildcards != 0 {
			if i := strings.IndexAny(text, "*?"); i >= 0 {
				stop = i
			}
		}
		if s&withVariables != 0 {
			if i := strings.Index(text[:stop], "${"); i >= 0 {
				stop = i
			}
		}
		p.literal(text[:stop])
		if text = text[stop:]; text == "" {
			break
		}
		switch text[0] {
		case '*':
			p.pieces = append(p.pieces, piece{kind: many})
			text = text[1:]
			continue
		case '?':
			p.pieces = append(p.pieces, piece{kind: single})
			text = text[1:]
			continue
		}
		name, rest, ok := cutVariable(text)
		if !ok {
			return pattern{}, errVariable
		}
		if name == "*" || name == "?" || name == "$" {
			p.literal(name)
		} else {
			v, ok := parseVariable(name)
			if !ok {
				return pattern{}, errVariable
			}
			p.pieces = append(p.pieces, v)
			p.variables = true
		}
		text = rest
	}
	return p, nil
}

// cutVariable cuts what begins with "${"; a brace in a quoted default is not its
// end.
func cutVariable(text string) (name, rest string, ok bool) {
	quoted := false
	for i := len("${"); i < len(text); i++ {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case text[i] == '}' && !quoted:
			return text[len("${"):i], text[i+1:], true
		}
	}
	return "", "", false
}

// parseVariable reads a key, and a default behind a comma in single quotes.
func parseVariable(text string) (piece, bool) {
	key, otherwise, has := strings.Cut(text, ",")
	key, otherwise = strings.TrimSpace(key), strings.TrimSpace(otherwise)
	if key == "" || strings.ContainsAny(key, "*?${}'") {
		return piece{}, false
	}
	if has {
		if len(otherwise) < 2 || otherwise[0] != '\'' || otherwise[len(otherwise)-1] != '\'' {
			return piece{}, false
		}
		otherwise = otherwise[1 : len(otherwise)-1]
	}
	return piece{kind: variable, text: keyName(key), otherwise: otherwise, hasOtherwise: has}, true
}

func (p *pattern) literal(text string) {
	if text == "" {
		return
	}
	if n := len(p.pieces); n > 0 && p.pieces[n-1].kind == literal {
		p.pieces[n-1].text += text
		return
	}
	p.pieces = append(p.pieces, piece{kind: literal, text: text})
}

// resolve puts values in the place of variables: false if the request has not
// exactly one for each. What a value has of wildcards means itself.
func (p *pattern) resolve(r *Request) ([]piece, bool) {
	if !p.variables {
		return p.pieces, true
	}
	pieces := make([]piece, len(p.pieces))
	for i, of := range p.pieces {
		pieces[i] = of
		if of.kind != variable {
			continue
		}
		values := r.values(of.text)
		switch {
		case len(values) == 1:
			pieces[i] = piece{kind: literal, text: values[0]}
		case len(values) == 0 && of.hasOtherwise:
			pieces[i] = piece{kind: literal, text: of.otherwise}
		default:
			return nil, false
		}
	}
	return pieces, true
}

// matches compares all of a text.
func (p *pattern) matches(text string, r *Request) bool {
	pieces, ok := p.resolve(r)
	return ok && glob(pieces, text)
}

// equals compares the text with the pattern's; it has no wildcards.
func (p *pattern) equals(text string, r *Request, fold bool) bool {
	pieces, ok := p.resolve(r)
	if !ok {
		return false
	}
	if fold {
		var all strings.Builder
		for _, of := range pieces {
			all.WriteString(of.text)
		}
		return strings.EqualFold(all.String(), text)
	}
	for _, of := range pieces {
		if text, ok = strings.CutPrefix(text, of.text); !ok {
			return false
		}
	}
	return text == ""
}

// everything says whether the pattern is * and so fits any text.
func (p *pattern) everything() bool { return len(p.pieces) == 1 && p.pieces[0].kind == many }

// fixed says whether the pattern is one text and nothing else.
func (p *pattern) fixed() bool {
	for _, of := range p.pieces {
		if of.kind != literal {
			return false
		}
	}
	return true
}

// glob compares a text with literals and wildcards. Where it goes wrong behind a
// star, that star takes one character more; earlier ones need not be asked again,
// since the later takes whatever they would have.
func glob(pieces []piece, text string) bool {
	at, star, mark := 0, -1, 0 // the next piece; the last star and where what it took ends
	rest := 0
	for {
		if at == len(pieces) {
			if rest == len(text) {
				return true
			}
		} else {
			of := &pieces[at]
			switch {
			case of.kind == many:
				star, mark = at, rest
				at++
				continue
			case of.kind == single && rest < len(text):
				_, n := utf8.DecodeRuneInString(text[rest:])
				rest += n
				at++
				continue
			case of.kind == literal && strings.HasPrefix(text[rest:], of.text):
				rest += len(of.text)
				at++
				continue
			}
		}
		if star < 0 || mark == len(text) {
			return false
		}
		_, n := utf8.DecodeRuneInString(text[mark:])
		mark += n
		at, rest = star+1, mark
	}
}
