// Goal: the evaluator says what AWS documents. Method: an evaluator written
// without it, which reads documents as any JSON and compares by trying everything,
// is asked the same about documents made by chance and by the fuzzer.
package policy_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/s3api/policy"
)

// model decides by brute force; it takes every document for one that Parse takes.
type model struct {
	request   *policy.Request
	variables bool
}

func decide(data []byte, r *policy.Request) (policy.Effect, bool) {
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		panic(err)
	}
	m := model{r, doc["Version"] == "2012-10-17"}
	effect, direct := policy.None, false
	for _, one := range many(doc["Statement"]) {
		s := one.(map[string]any)
		fits, himself := m.statement(s)
		switch {
		case !fits:
		case s["Effect"] == "Deny":
			return policy.Deny, false
		default:
			effect, direct = policy.Allow, direct || himself
		}
	}
	return effect, effect == policy.Allow && !direct
}

// many makes a list of one or a list.
func many(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func (m model) statement(s map[string]any) (fits, himself bool) {
	lists := func(name string, fit func(string) bool) bool {
		if v, ok := s[name]; ok {
			return m.some(v, fit)
		}
		return !m.some(s["Not"+name], fit)
	}
	if !lists("Action", func(want string) bool {
		return wild([]rune(strings.ToLower(want)), []rune(strings.ToLower(m.request.Action)))
	}) {
		return false, false
	}
	if !lists("Resource", func(want string) bool { return m.like(want, m.request.Resource, true) }) {
		return false, false
	}
	himself = true
	if p, ok := s["Principal"]; ok {
		byAccount, byName := m.principal(p)
		if !byAccount && !byName {
			return false, false
		}
		himself = byName
	} else if p, ok := s["NotPrincipal"]; ok {
		if _, byName := m.principal(p); byName {
			return false, false
		}
	}
	conditions, _ := s["Condition"].(map[string]any)
	for operator, keys := range conditions {
		for key, values := range keys.(map[string]any) {
			if !m.condition(operator, key, many(values)) {
				return false, false
			}
		}
	}
	return true, himself
}

func (m model) some(v any, fit func(string) bool) bool {
	for _, one := range many(v) {
		if fit(one.(string)) {
			return true
		}
	}
	return false
}

func (m model) principal(v any) (byAccount, byName bool) {
	if v == "*" {
		return false, true
	}
	who := m.request.Principal
	known := who != policy.Principal{}
	for kind, values := range v.(map[string]any) {
		for _, one := range many(values) {
			name := one.(string)
			switch {
			case kind == "AWS" && name == "*":
				byName = true
			case !known:
			case kind == "CanonicalUser":
				byName = byName || name == who.CanonicalID
			case kind == "AWS":
				if !strings.HasPrefix(name, "arn:") {
					name = "arn:aws:iam::" + name + ":root"
				}
				parts := strings.SplitN(name, ":", 6)
				account := parts[4]
				if account == "" {
					account = m.request.Owner
				}
				has := strings.SplitN(who.ARN, ":", 6)
				same := account == who.Account
				if parts[4] != "" && parts[5] != "root" {
					byName = byName || name == who.ARN
					continue
				}
				byName = byName || same && len(has) == 6 && has[5] == parts[5]
				byAccount = byAccount || same && parts[5] == "root"
			}
		}
	}
	return byAccount, byName
}

// wild compares by trying every length for every star.
func wild(pattern, text []rune) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	switch pattern[0] {
	case '*':
		for n := 0; n <= len(text); n++ {
			if wild(pattern[1:], text[n:]) {
				return true
			}
		}
		return false
	case '?':
		return len(text) > 0 && wild(pattern[1:], text[1:])
	}
	if pattern[0] >= literalBase {
		pattern = append([]rune{pattern[0] - literalBase}, pattern[1:]...)
	}
	return len(text) > 0 && text[0] == pattern[0] && wild(pattern[1:], text[1:])
}

// literalBase is added to characters that came from variables, so that none is a wildcard.
const literalBase = 0x200000

// expand puts values in the place of variables.
func (m model) expand(text string) ([]rune, bool) {
	var out []rune
	for text != "" {
		if !m.variables || !strings.HasPrefix(text, "${") {
			r := []rune(text)[0]
			out = append(out, r)
			text = text[len(string(r)):]
			continue
		}
		end, quoted := 0, false
		for i, r := range text {
			if r == '\'' {
				quoted = !quoted
			}
			if r == '}' && !quoted {
				end = i
				break
			}
		}
		inner := text[2:end]
		text = text[end+1:]
		value := inner
		if inner != "*" && inner != "?" && inner != "$" {
			key, otherwise, has := strings.Cut(inner, ",")
			values := m.values(strings.TrimSpace(key))
			switch {
			case len(values) == 1:
				value = values[0]
			case len(values) == 0 && has:
				value = strings.TrimSpace(otherwise)
				value = value[1 : len(value)-1]
			default:
				return nil, false
			}
		}
		for _, r := range value {
			out = append(out, r+literalBase)
		}
	}
	return out, true
}

func (m model) values(key string) []string {
	name, tag, has := strings.Cut(key, "/")
	name = strings.ToLower(name)
	if has {
		name += "/" + tag
	}
	return m.request.Context(name)
}

func (m model) like(want, text string, wildcards bool) bool {
	pattern, ok := m.expand(want)
	if !ok {
		return false
	}
	if !wildcards {
		for i, r := range pattern {
			if r < literalBase {
				pattern[i] += literalBase
			}
		}
	}
	return wild(pattern, []rune(text))
}

func (m model) condition(operator, key string, wanted []any) bool {
	all, operator1 := cutPrefix(operator, "ForAllValues:")
	some, operator2 := cutPrefix(operator1, "ForAnyValue:")
	name, ifExists := strings.CutSuffix(operator2, "IfExists")
	has := m.values(key)
	if name == "Null" {
		for _, one := range wanted {
			if strings.EqualFold(fmt.Sprint(one), "true") == (len(has) == 0) {
				return true
			}
		}
		return false
	}
	positive, negated := name, false
	for _, not := range [...]string{"StringNot", "NumericNot", "DateNot", "ArnNot"} {
		if rest, ok := strings.CutPrefix(name, not); ok {
			positive, negated = strings.TrimSuffix(not, "Not")+rest, true
		}
	}
	if name == "NotIpAddress" {
		positive, negated = "IpAddress", true
	}
	if len(has) == 0 {
		return ifExists || all || negated && !some
	}
	count := 0
	for _, value := range has {
		for _, one := range wanted {
			text := fmt.Sprint(one)
			if number, ok := one.(float64); ok {
				text = strconv.FormatFloat(number, 'f', -1, 64)
			}
			if m.compare(positive, value, text) {
				count++
				break
			}
		}
	}
	switch {
	case all && negated:
		return count == 0
	case all:
		return count == len(has)
	case some && negated:
		return count < len(has)
	case negated:
		return count == 0
	default:
		return count > 0
	}
}

func cutPrefix(text, prefix string) (bool, string) {
	rest, ok := strings.CutPrefix(text, prefix)
	return ok, rest
}

func (m model) compare(operator, has, want string) bool {
	switch {
	case operator == "StringEquals":
		return m.like(want, has, false)
	case operator == "StringEqualsIgnoreCase":
		pattern, ok := m.expand(want)
		for i, r := range pattern {
			if r >= literalBase {
				pattern[i] -= literalBase
			}
		}
		return ok && strings.EqualFold(string(pattern), has)
	case operator == "StringLike":
		return m.like(want, has, true)
	case operator == "ArnEquals", operator == "ArnLike":
		return m.arn(want, has)
	case operator == "Bool":
		return strings.EqualFold(has, want)
	case operator == "BinaryEquals":
		return base64.StdEncoding.EncodeToString([]byte(has)) == want
	case operator == "IpAddress":
		return inNetwork(want, has)
	}
	var order int
	if rest, ok := strings.CutPrefix(operator, "Numeric"); ok {
		operator = rest
		a, err := strconv.ParseFloat(has, 64)
		b, err2 := strconv.ParseFloat(want, 64)
		if err != nil || err2 != nil {
			return false
		}
		order = map[bool]int{true: -1}[a < b] + map[bool]int{true: 1}[a > b]
	} else {
		operator = strings.TrimPrefix(operator, "Date")
		a, ok := date(has)
		b, ok2 := date(want)
		if !ok || !ok2 {
			return false
		}
		order = a.Compare(b)
	}
	return map[string]bool{
		"Equals": order == 0, "LessThan": order < 0, "LessThanEquals": order <= 0,
		"GreaterThan": order > 0, "GreaterThanEquals": order >= 0,
	}[operator]
}

// arn compares the six parts, of which only the last has colons.
func (m model) arn(want, has string) bool {
	pattern, ok := m.expand(want)
	parts := strings.SplitN(has, ":", 6)
	if !ok || len(parts) != 6 {
		return false
	}
	if want == "*" {
		return true
	}
	for i, part := range parts {
		end := len(pattern)
		if i < 5 {
			end = 0
			for pattern[end] != ':' {
				end++
			}
		}
		if !wild(pattern[:end], []rune(part)) {
			return false
		}
		pattern = pattern[min(end+1, len(pattern)):]
	}
	return true
}

func inNetwork(want, has string) bool {
	ip := net.ParseIP(has)
	if ip == nil {
		return false
	}
	if !strings.Contains(want, "/") {
		return ip.Equal(net.ParseIP(want))
	}
	_, network, err := net.ParseCIDR(want)
	return err == nil && network.Contains(ip)
}

func date(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0).UTC(), err == nil
}
