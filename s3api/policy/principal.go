package policy

import (
	"cmp"
	"strings"
)

// Principal is who sends a request. The zero Principal is nobody: a request
// without credentials.
type Principal struct {
	Account string // its number; empty on a server that has only one
	// ARN of the sender, such as arn:aws:iam::111122223333:user/alice, and
	// arn:aws:iam::111122223333:root for the account's owner.
	ARN         string
	CanonicalID string // by which S3 names owners
}

// principals is who a statement is about.
type principals struct {
	everyone  bool
	accounts  []string // "" is that of the bucket's owner
	arns      []string
	local     []string // user/NAME of ARNs without an account
	canonical []string
}

// parsePrincipals reads Principal or NotPrincipal.
func parsePrincipals(v *value) (*principals, *Error) {
	const message = "Invalid principal in policy"
	p := &principals{}
	if v.kind == aString && v.text == "*" {
		p.everyone = true
		return p, nil
	}
	if v.kind != anObject || len(v.fields) == 0 {
		return nil, malformed(message, v.text)
	}
	for i := range v.fields {
		kind := v.fields[i].name
		list, ok := v.fields[i].strings()
		if !ok {
			return nil, malformed(message, kind)
		}
		for _, text := range list {
			if !p.add(kind, text) {
				return nil, malformed(message, kind+": "+text)
			}
		}
	}
	return p, nil
}

// add takes one name of a kind.
func (p *principals) add(kind, text string) bool {
	switch kind {
	case "AWS":
		return p.addAWS(text)
	case "CanonicalUser":
		p.canonical = append(p.canonical, text)
	case "Service", "Federated": // nobody who sends requests here
	default:
		return false
	}
	return text != "" && !strings.ContainsAny(text, "*?")
}

// addAWS takes everybody, an account, or the ARN of one of its identities. Parts
// of names can not be left open.
func (p *principals) addAWS(text string) bool {
	if text == "*" {
		p.everyone = true
		return true
	}
	if isAccount(text) {
		p.accounts = append(p.accounts, text)
		return true
	}
	service, account, name, ok := cutARN(text)
	if !ok || strings.ContainsAny(text, "*?") || account != "" && !isAccount(account) {
		return false
	}
	if service == "iam" && name == "root" {
		p.accounts = append(p.accounts, account)
		return true
	}
	kind, rest, _ := strings.Cut(name, "/")
	switch {
	case rest == "":
		return false
	case service == "iam" && (kind == "user" || kind == "role"), service == "sts" && (kind == "assumed-role" || kind == "federated-user"):
	default:
		return false
	}
	if account == "" {
		p.local = append(p.local, name)
	} else {
		p.arns = append(p.arns, text)
	}
	return true
}

// cutARN takes the ARN of an identity apart.
func cutARN(text string) (service, account, name string, ok bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !isPartition(parts[1]) || parts[3] != "" {
		return "", "", "", false
	}
	return parts[2], parts[4], parts[5], true
}

func isPartition(text string) bool {
	return text == "aws" || text == "aws-cn" || text == "aws-us-gov"
}

func isAccount(text string) bool {
	const digits = 12
	return len(text) == digits && strings.Trim(text, "0123456789") == ""
}

// fit says how the sender is named: not at all, by his account only, or himself,
// which everybody is by "*".
type fit uint8

const (
	notNamed fit = iota
	accountNamed
	named
)

func (p *principals) fit(r *Request) fit {
	if p.everyone {
		return named
	}
	who := &r.Principal
	if *who == (Principal{}) {
		return notNamed
	}
	for _, id := range p.canonical {
		if id == who.CanonicalID {
			return named
		}
	}
	for _, arn := range p.arns {
		if arn == who.ARN {
			return named
		}
	}
	for _, name := range p.local {
		if who.Account == r.Owner && isNamed(who.ARN, name) {
			return named
		}
	}
	for _, account := range p.accounts {
		if cmp.Or(account, r.Owner) == who.Account {
			if isNamed(who.ARN, "root") {
				return named
			}
			return accountNamed
		}
	}
	return notNamed
}

// isNamed says whether an ARN ends with the name, whatever its account.
func isNamed(arn, name string) bool {
	_, _, has, ok := cutARN(arn)
	return ok && has == name
}
