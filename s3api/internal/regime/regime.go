// Package regime is what a bucket says of who may do what in it: its policy, its
// access control list, who owns its objects, and its public access block, and how it
// wants them to be encrypted, read from the bucket's documents and kept until they
// change.
//
// It guarantees that what is kept is never older than the last change that was
// acknowledged, and that a document that can not be understood is known as such.
package regime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/acl"
	"github.com/sherd-storage/sherd/s3api/internal/sse"
	"github.com/sherd-storage/sherd/s3api/policy"
)

// The documents.
const (
	PolicyDocument    = "policy"        // as it was put
	ACLDocument       = "acl"           // as acl.List.Encode gives it
	OwnershipDocument = "ownership"     // JSON: an Ownership; "" was deleted
	BlockDocument     = "public-access" // JSON: a Block

	EncryptionDocument = "encryption" // JSON: an sse.Rule
)

// Ownership says who owns the objects of a bucket.
type Ownership string

// The settings. One that was deleted, "", is as ObjectWriter.
const (
	BucketOwnerEnforced  Ownership = "BucketOwnerEnforced"
	BucketOwnerPreferred Ownership = "BucketOwnerPreferred"
	ObjectWriter         Ownership = "ObjectWriter"
)

// Valid says whether there is such a setting.
func (o Ownership) Valid() bool {
	return o == BucketOwnerEnforced || o == BucketOwnerPreferred || o == ObjectWriter
}

// Block is the public access block of a bucket.
type Block struct {
	BlockACLs, IgnoreACLs, BlockPolicy, Restrict bool
}

// Bucket is one bucket. It is never changed.
type Bucket struct {
	Info       sherd.BucketInfo
	Account    string // of the owner
	Policy     *policy.Document
	Public     bool // the policy is
	Ownership  Ownership
	ACL        acl.List
	Block      Block
	HasBlock   bool
	Encryption *sse.Rule // nil: none was set
	Unreadable error     // a document can not be understood: nobody may do anything but repair it
}

// Lists says whether access control lists count.
func (b *Bucket) Lists() bool { return b.Ownership != BucketOwnerEnforced }

// Owned is the bucket with its owner as he is known today: by his canonical id, in
// an account.
func (b *Bucket) Owned(owner, account string) *Bucket {
	if b.Account == account && b.Info.Owner == owner {
		return b
	}
	changed := *b
	changed.Account = account
	if b.Info.Owner != owner {
		changed.Info.Owner = owner
		if b.ACL.OwnerOnly() {
			changed.ACL = acl.Private(owner)
		}
	}
	return &changed
}

// Documents is a store that keeps documents of buckets.
type Documents interface {
	Document(ctx context.Context, bucket, name string) ([]byte, error)
}

// maxKnown bounds what is kept; beyond it is emptied.
const maxKnown = 10_000

// Known keeps what was read of buckets until they change. It is safe for concurrent
// use, and its zero value knows nothing.
type Known struct {
	mu     sync.RWMutex
	byName map[string]*Bucket
}

// Of gives what a bucket says, of which info was seen before: what is kept is under
// that revision, so it is never older. Nil documents: the store has none.
func (k *Known) Of(ctx context.Context, info sherd.BucketInfo, documents Documents) (*Bucket, error) {
	if b := k.get(&info); b != nil {
		return b, nil
	}
	b := &Bucket{Info: info, Ownership: BucketOwnerEnforced, ACL: acl.Private(info.Owner)}
	if documents == nil {
		return b, nil
	}
	for _, one := range [...]struct {
		name string
		read func([]byte) error
	}{
		{PolicyDocument, b.readPolicy},
		{ACLDocument, func(data []byte) (err error) { b.ACL, err = acl.Decode(data); return err }},
		{OwnershipDocument, b.readOwnership},
		{EncryptionDocument, b.readEncryption},
		{BlockDocument, func(data []byte) error { b.HasBlock = true; return json.Unmarshal(data, &b.Block) }},
	} {
		data, err := documents.Document(ctx, info.Name, one.name)
		if errors.Is(err, sherd.ErrNoSuchDocument) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := one.read(data); err != nil {
			b.Unreadable = fmt.Errorf("the document %q of bucket %s: %w", one.name, info.Name, err)
		}
	}
	k.put(b)
	return b, nil
}

func (k *Known) get(info *sherd.BucketInfo) *Bucket {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if b := k.byName[info.Name]; b != nil && info.Revision != 0 && b.Info.Revision == info.Revision {
		return b
	}
	return nil
}

func (k *Known) put(b *Bucket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byName == nil || len(k.byName) >= maxKnown {
		k.byName = map[string]*Bucket{}
	}
	k.byName[b.Info.Name] = b
}

func (b *Bucket) readPolicy(data []byte) (err error) {
	b.Policy, err = policy.Parse(data)
	b.Public = err == nil && b.Policy.Public()
	return err
}

// readEncryption makes a rule that cannot be read one that nothing can be written by.
func (b *Bucket) readEncryption(data []byte) (err error) {
	if b.Encryption, err = sse.ParseRule(data); err != nil {
		b.Encryption = &sse.Rule{Kind: "unreadable"}
	}
	return err
}

func (b *Bucket) readOwnership(data []byte) error {
	var ownership Ownership
	if err := json.Unmarshal(data, &ownership); err != nil {
		return err
	}
	if ownership != "" && !ownership.Valid() {
		return fmt.Errorf("no such ownership: %q", ownership)
	}
	b.Ownership = ownership
	return nil
}
