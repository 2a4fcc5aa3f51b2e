package policy

import "strings"

// Effect is what a statement does, or what a decision is.
type Effect uint8

// The effects. None is no permission, but none that another document could not
// give.
const (
	None Effect = iota
	Allow
	Deny
)

// String gives the name of the effect.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "Allow"
	case Deny:
		return "Deny"
	default:
		return "None"
	}
}

// Request is what is to be decided.
type Request struct {
	Action    string // such as "s3:GetObject"
	Resource  string // its ARN; see [ResourceARN]
	Principal Principal
	// Owner is the account of the bucket's owner, which ARNs without an account
	// mean.
	Owner string
	// Context gives the values of a condition's key; none says that the request
	// does not have it. It is asked in lower case up to a slash, such as
	// "aws:sourceip", and as the policy has it behind one, such as
	// "s3:existingobjecttag/Team". Numbers come in decimal, dates as in RFC 3339,
	// truth as "true" or "false". It is asked only for what decides, several
	// times perhaps, and must always say the same. Nil: there are no keys.
	Context func(key string) []string
}

func (r *Request) values(key string) []string {
	if r.Context == nil {
		return nil
	}
	return r.Context(key)
}

// Decision is what documents say of a request.
type Decision struct {
	Effect Effect
	// Document and Statement say by their positions what decided, and Sid by its
	// name; of None they are −1 and empty.
	Document, Statement int
	Sid                 string
	// Delegated says that only statements allow it that name the sender's account
	// and not the sender: as on S3 the account's own policies have to allow it
	// too. Its root is the account, and nothing is delegated to it.
	Delegated bool
}

// ResourceARN names a bucket, an object, or with neither all buckets.
func ResourceARN(bucket, key string) string {
	switch {
	case bucket == "":
		return resourcePrefix + "*"
	case key == "":
		return resourcePrefix + bucket
	default:
		return resourcePrefix + bucket + "/" + key
	}
}

const resourcePrefix = "arn:aws:s3:::"

// Evaluate decides. Documents that are nil are left out. A statement without
// principals, as in the policy of an identity, fits every sender, so such
// documents must be given for their own bearer only.
func Evaluate(request *Request, docs ...*Document) Decision {
	decision := Decision{Document: -1, Statement: -1}
	action := strings.ToLower(request.Action)
	for i, d := range docs {
		if d == nil {
			continue
		}
		for j := range d.statements {
			s := &d.statements[j]
			// What cannot change the decision need not be looked at.
			if s.effect == Allow && decision.Effect == Allow && !decision.Delegated {
				continue
			}
			fits, delegated := s.fits(request, action)
			if !fits || s.effect == Allow && decision.Effect == Allow && delegated {
				continue
			}
			decision = Decision{Effect: s.effect, Document: i, Statement: j, Sid: s.sid, Delegated: delegated && s.effect == Allow}
			if s.effect == Deny {
				return decision
			}
		}
	}
	return decision
}

// fits says whether the statement speaks of the request; action is that of the
// request in lower case.
func (s *statement) fits(r *Request, action string) (fits, delegated bool) {
	if matchesAny(s.actions, action, r) == s.notActions {
		return false, false
	}
	if s.principals != nil {
		how := s.principals.fit(r)
		// Naming an account in NotPrincipal spares its root and none of its users.
		if s.notPrincipals && how == named || !s.notPrincipals && how == notNamed {
			return false, false
		}
		delegated = how == accountNamed && !s.notPrincipals
	}
	if matchesAny(s.resources, r.Resource, r) == s.notResources {
		return false, false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(r) {
			return false, false
		}
	}
	return true, delegated
}

func matchesAny(patterns []pattern, text string, r *Request) bool {
	for i := range patterns {
		if patterns[i].matches(text, r) {
			return true
		}
	}
	return false
}
