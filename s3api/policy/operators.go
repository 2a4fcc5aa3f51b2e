package policy

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// operator is how values are compared.
type operator struct {
	negated bool
	read    reading
}

// reading makes values of a policy ready: not ok if one is none of the operator's;
// fixed says that they have neither wildcards nor variables.
type reading func(texts []string, s syntax) (m matcher, fixed, ok bool)

// operators lists them but Null (IAM, user guide, "Condition operators").
var operators = sync.OnceValue(func() map[string]operator {
	all := map[string]operator{"Bool": {false, readBools}, "BinaryEquals": {false, readBytes}}
	for _, of := range [...]struct {
		name, opposite string
		read           reading
	}{
		{"StringEquals", "StringNotEquals", readStrings(exactText)},
		{"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", readStrings(foldedText)},
		{"StringLike", "StringNotLike", readStrings(likeText)},
		{"ArnEquals", "ArnNotEquals", readARNs},
		{"ArnLike", "ArnNotLike", readARNs},
		{"NumericEquals", "NumericNotEquals", readNumbers(equal)},
		{"DateEquals", "DateNotEquals", readDates(equal)},
		{"IpAddress", "NotIpAddress", readNetworks},
	} {
		all[of.name] = operator{false, of.read}
		all[of.opposite] = operator{true, of.read}
	}
	for name, o := range map[string]order{
		"LessThan": less, "LessThanEquals": less | equal, "GreaterThan": greater, "GreaterThanEquals": greater | equal,
	} {
		all["Numeric"+name] = operator{false, readNumbers(o)}
		all["Date"+name] = operator{false, readDates(o)}
	}
	return all
})

// likeness is how texts are compared.
type likeness uint8

const (
	exactText likeness = iota
	foldedText
	likeText // with wildcards
)

type textMatcher struct {
	like   likeness
	values []pattern
}

func readStrings(like likeness) reading {
	return func(texts []string, s syntax) (matcher, bool, bool) {
		if like == likeText {
			s |= withWildcards
		}
		m := &textMatcher{like: like, values: make([]pattern, len(texts))}
		fixed := true
		for i, text := range texts {
			var err error
			if m.values[i], err = compile(text, s); err != nil {
				return nil, false, false
			}
			fixed = fixed && m.values[i].fixed()
		}
		return m, fixed, true
	}
}

func (m *textMatcher) matches(text string, r *Request) bool {
	for i := range m.values {
		p := &m.values[i]
		if m.like == likeText && p.matches(text, r) || m.like != likeText && p.equals(text, r, m.like == foldedText) {
			return true
		}
	}
	return false
}

// valueMatcher compares with values that were read beforehand: what the request
// has with what the policy has.
type valueMatcher[H, P any] struct {
	values []P
	read   func(string) (H, bool)
	fits   func(has H, wanted P) bool
}

func (m *valueMatcher[H, P]) matches(text string, _ *Request) bool {
	has, ok := m.read(text)
	if !ok {
		return false
	}
	for _, wanted := range m.values {
		if m.fits(has, wanted) {
			return true
		}
	}
	return false
}

// ready reads the values of a policy.
func ready[H, P any](texts []string, wanted func(string) (P, bool), read func(string) (H, bool), fits func(H, P) bool) (matcher, bool, bool) {
	m := &valueMatcher[H, P]{values: make([]P, len(texts)), read: read, fits: fits}
	for i, text := range texts {
		var ok bool
		if m.values[i], ok = wanted(text); !ok {
			return nil, false, false
		}
	}
	return m, true, true
}

// order is a set of outcomes of a comparison.
type order uint8

const (
	less order = 1 << iota
	equal
	greater
)

// has says whether the outcome, as of cmp.Compare, is in the set.
func (o order) has(outcome int) bool {
	switch {
	case outcome < 0:
		return o&less != 0
	case outcome > 0:
		return o&greater != 0
	default:
		return o&equal != 0
	}
}

func readNumbers(o order) reading {
	return func(texts []string, _ syntax) (matcher, bool, bool) {
		return ready(texts, parseNumber, parseNumber, func(has, wanted float64) bool { return o.has(cmp.Compare(has, wanted)) })
	}
}

// parseNumber reads a number in decimal.
func parseNumber(text string) (float64, bool) {
	if strings.Trim(text, "+-.0123456789eE") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

func readDates(o order) reading {
	return func(texts []string, _ syntax) (matcher, bool, bool) {
		return ready(texts, parseDate, parseDate, func(has, wanted time.Time) bool { return o.has(has.Compare(wanted)) })
	}
}

// parseDate reads a date as W3C's profile of ISO 8601 writes it, or the seconds
// since 1970.
func parseDate(text string) (time.Time, bool) {
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly, "2006-01", "2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0), err == nil
}

func readBools(texts []string, _ syntax) (matcher, bool, bool) {
	return ready(texts, parseBool, parseBool, func(has, wanted bool) bool { return has == wanted })
}

func parseBool(text string) (truth, ok bool) {
	truth = strings.EqualFold(text, "true")
	return truth, truth || strings.EqualFold(text, "false")
}

// readBytes reads what is written in base64; the request's values are bytes.
func readBytes(texts []string, _ syntax) (matcher, bool, bool) {
	wanted := func(text string) ([]byte, bool) {
		data, err := base64.StdEncoding.DecodeString(text)
		return data, err == nil
	}
	has := func(text string) ([]byte, bool) { return []byte(text), true }
	return ready(texts, wanted, has, bytes.Equal)
}

func readNetworks(texts []string, _ syntax) (matcher, bool, bool) {
	return ready(texts, parseNetwork, parseAddress, func(has netip.Addr, wanted netip.Prefix) bool { return wanted.Contains(has) })
}

// parseNetwork reads addresses in the notation of CIDR, or one.
func parseNetwork(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	a, ok := parseAddress(text)
	return netip.PrefixFrom(a, a.BitLen()), ok
}

// parseAddress reads an address without a zone; one of version 4 in the form of
// version 6 is of version 4.
func parseAddress(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	return a.Unmap().WithZone(""), err == nil
}
