package sse

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Rule is how a bucket wants what is written without a wish to be encrypted, and
// what it does not take.
type Rule struct {
	Kind      Kind     `json:"kind,omitempty"` // none, Service or KMS
	KeyID     string   `json:"key,omitempty"`
	BucketKey *bool    `json:"bucket_key,omitempty"`
	Blocked   []string `json:"blocked,omitempty"`
}

// Blocks says whether the bucket takes no objects that a customer's key encrypts.
func (r *Rule) Blocks() bool { return r != nil && slices.Contains(r.Blocked, string(Customer)) }

// ParseRule reads a rule as it is kept, in JSON.
func ParseRule(data []byte) (*Rule, error) {
	var r Rule
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if r.Kind != None && r.Kind != Service && r.Kind != KMS {
		return nil, fmt.Errorf("there is no encryption %q of buckets", r.Kind)
	}
	return &r, nil
}

// Or completes a request by what the bucket says.
func (r *Request) Or(rule *Rule) *Request {
	out := *r
	if rule == nil {
		return &out
	}
	if out.Kind == None {
		out.Kind, out.KeyID = rule.Kind, rule.KeyID
	}
	if out.Kind == KMS && rule.Kind == KMS {
		if out.KeyID == "" {
			out.KeyID = rule.KeyID
		}
		if out.BucketKey == nil {
			out.BucketKey = rule.BucketKey
		}
	}
	return &out
}
