package s3api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// ErrUnknownKey says that no secret belongs to an access key.
var ErrUnknownKey = errors.New("unknown access key")

// Keyring knows the secrets of access keys.
type Keyring interface {
	// Lookup gives [ErrUnknownKey] for an access key that it does not know, and
	// takes as long for it as for one that it knows. It must be safe for
	// concurrent use.
	Lookup(ctx context.Context, accessKey string) (secret string, who Identity, err error)
}

// Access is what an identity of [Credentials] may do.
type Access uint8

// The two kinds of access; 0 is neither and refused.
const (
	// ReadOnly: what begins with s3:Get or s3:List.
	ReadOnly Access = 1
	// FullAccess: everything.
	FullAccess Access = 2
)

// Credential is a pair of keys and what its bearer may do. It is printed and
// logged without its secret.
type Credential struct {
	AccessKey string // 3 to 128 characters
	SecretKey string // at least 8 characters
	Access    Access
	// Identity of the bearer. An empty ID is the access key; AccessKey is set
	// by [NewCredentials].
	Identity Identity
}

// String names the access key only.
func (c Credential) String() string { return "credential " + c.AccessKey }

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// LogValue is String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Credentials is a fixed list of credentials: a [Keyring], and an [Authorizer]
// for the identities that it knows. It is safe for concurrent use.
type Credentials struct {
	byKey map[string]Credential
}

// NewCredentials checks the list: at least one, no access key twice, keys of the
// lengths that [Credential] says.
func NewCredentials(list ...Credential) (*Credentials, error) {
	if len(list) == 0 {
		return nil, errors.New("no credentials given")
	}
	c := &Credentials{byKey: make(map[string]Credential, len(list))}
	for i, one := range list {
		_, twice := c.byKey[one.AccessKey]
		switch {
		case len(one.AccessKey) < 3 || len(one.AccessKey) > 128 || strings.ContainsAny(one.AccessKey, " ,;=\r\n\t"):
			return nil, fmt.Errorf("credential %d: an access key has 3 to 128 characters and no space, comma, semicolon or equals sign", i)
		case len(one.SecretKey) < 8:
			return nil, fmt.Errorf("credential %d: a secret key has at least 8 characters", i)
		case twice:
			return nil, fmt.Errorf("credential %d: the access key was given before", i)
		case one.Access != ReadOnly && one.Access != FullAccess:
			return nil, fmt.Errorf("credential %d: the access is neither read-only nor full", i)
		}
		one.Identity.AccessKey = one.AccessKey
		if one.Identity.ID == "" {
			one.Identity.ID = one.AccessKey
		}
		c.byKey[one.AccessKey] = one
	}
	return c, nil
}

// Lookup implements [Keyring].
func (c *Credentials) Lookup(_ context.Context, accessKey string) (string, Identity, error) {
	one, ok := c.byKey[accessKey]
	if !ok {
		return "", Identity{}, ErrUnknownKey
	}
	return one.SecretKey, one.Identity, nil
}

// Authorize implements [Authorizer]. Nobody but the identities of the list may
// do anything.
func (c *Credentials) Authorize(_ context.Context, who Identity, action string, _ Resource) error {
	one, ok := c.byKey[who.AccessKey]
	if !ok || one.Identity != who {
		return fail("AccessDenied")
	}
	reads := strings.HasPrefix(action, "s3:Get") || strings.HasPrefix(action, "s3:List")
	if one.Access == FullAccess || reads {
		return nil
	}
	return fail("AccessDenied")
}
