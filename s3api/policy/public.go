package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// Public says whether the document is public, as S3 defines it for the status of
// a bucket's policy and for blocking public access (S3, user guide, "The meaning
// of public"): whether a statement allows something to everybody, and has no
// condition that only a fixed set of senders can meet. What other statements
// deny does not make it less public.
func (d *Document) Public() bool {
	for i := range d.statements {
		s := &d.statements[i]
		if s.effect == Allow && s.open() && !s.narrowed() {
			return true
		}
	}
	return false
}

// open says whether the statement names everybody, or everybody but some.
func (s *statement) open() bool {
	return s.principals == nil || s.notPrincipals || s.principals.everyone
}

// narrowed says whether one of the conditions demands a fixed value of a key that
// tells senders apart.
func (s *statement) narrowed() bool {
	for i := range s.conditions {
		if s.conditions[i].narrows() {
			return true
		}
	}
	return false
}

func (c *condition) narrows() bool {
	if c.negated || c.ifExists || c.quantity == forAll || !c.fixed || c.wanted == nil {
		return false
	}
	if c.key == "aws:sourceip" {
		networks, ok := c.wanted.(*valueMatcher[netip.Addr, netip.Prefix])
		return ok && !slices.ContainsFunc(networks.values, broad)
	}
	texts := strings.HasPrefix(c.operator, "String") || strings.HasPrefix(c.operator, "Arn")
	return texts && tellsSender(c.key)
}

// broad says whether a network has so many addresses that it keeps nobody out.
func broad(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 32
}

// tellsSender says whether a fixed value of the key means few senders.
func tellsSender(key string) bool {
	switch key {
	case "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:principalservicename",
		"aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc",
		"aws:sourcevpce", "aws:userid", "s3:dataaccesspointaccount", "s3:dataaccesspointarn":
		return true
	}
	return false
}
