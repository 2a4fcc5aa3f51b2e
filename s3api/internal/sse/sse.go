// Package sse is encryption on the server as S3 has it: what headers ask for, the
// keys that customers bring, and the envelope that is kept with an object, by which
// its key is found again.
//
// Each object, and each upload, has a data key of its own, 32 random bytes. Its
// envelope has it sealed: with the customer's key (SSE-C), which is nowhere else, or
// with a master key that a key service has (SSE-S3, SSE-KMS). A sealed key is 32
// bytes of salt and 48 of AES-256-GCM; the key and the nonce of that are derived
// from the salt by HKDF-SHA256, so that no nonce is ever used twice and no master key is used by
// itself. Who has another key than the one that sealed finds out, and that is all
// that he can find out: nothing of a customer's key is kept, not even a hash.
package sse

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// Errors of keys and envelopes.
var (
	// ErrUnknownMasterKey: the key service has no key of that name.
	ErrUnknownMasterKey = errors.New("the master key is not known")
	// ErrOtherKey: the key is not the one that sealed.
	ErrOtherKey = errors.New("the key is not the one that sealed this")
	// ErrEnvelope: it is not one that this version can read.
	ErrEnvelope = errors.New("the envelope of an encrypted object can not be read")
	// ErrContext: it is too large to be kept.
	ErrContext = errors.New("the encryption context is too large")
)

// Kind is who keeps the key that seals.
type Kind string

// The kinds, as S3 spells them in headers where it has them there.
const (
	None     Kind = ""
	Customer Kind = "SSE-C"
	Service  Kind = "AES256"
	KMS      Kind = "aws:kms"
)

const (
	keyBytes    = 32
	saltBytes   = 32
	nonceBytes  = 12
	sealedBytes = saltBytes + keyBytes + 16

	envelopeVersion  = 1
	maxEnvelopeBytes = 2 << 10
)

// Envelope is what is kept with an object. It is JSON, at most 2 KiB.
type Envelope struct {
	Version   int               `json:"v"`
	Kind      Kind              `json:"kind"`
	KeyID     string            `json:"key,omitempty"`     // of the master key
	Context   map[string]string `json:"context,omitempty"` // of SSE-KMS
	BucketKey bool              `json:"bucket_key,omitempty"`
	Sealed    []byte            `json:"sealed"`
}

// Marshal gives the bytes that are kept.
func (e *Envelope) Marshal() ([]byte, error) {
	e.Version = envelopeVersion
	data, err := json.Marshal(e)
	if err == nil && len(data) > maxEnvelopeBytes {
		err = ErrContext
	}
	return data, err
}

// ParseEnvelope reads what Marshal gave.
func ParseEnvelope(data []byte) (*Envelope, error) {
	var e Envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	if e.Version != envelopeVersion || e.Kind != Customer && e.Kind != Service && e.Kind != KMS {
		return nil, fmt.Errorf("%w: version %d, kind %q", ErrEnvelope, e.Version, e.Kind)
	}
	return &e, nil
}

// SameKey says whether what another envelope asks for is what this one has: the same
// kind, master key and context. That the customer's keys are the same is seen by
// opening it.
func (e *Envelope) SameKey(other *Envelope) bool {
	return e.Kind == other.Kind && e.KeyID == other.KeyID && string(contextOf(e.Context)) == string(contextOf(other.Context))
}

func contextOf(context map[string]string) []byte {
	data, _ := json.Marshal(context) // sorted; of strings it never fails
	return data
}

// Bound gives the bytes that bind a sealed key to the name of its master key and to
// a context: both, as JSON, whose members are sorted.
func Bound(keyID string, context map[string]string) []byte {
	if len(context) == 0 {
		context = nil // none and an empty one are the same
	}
	data, _ := json.Marshal([]any{keyID, context}) // of strings it never fails
	return data
}

// NewKey makes a data key and seals it.
func NewKey(master *[keyBytes]byte, bound []byte) (plain [keyBytes]byte, sealed []byte, err error) {
	rand.Read(plain[:]) // never fails
	salt := make([]byte, saltBytes, sealedBytes)
	rand.Read(salt)
	aead, nonce, err := sealing(master, salt)
	if err != nil {
		return plain, nil, err
	}
	return plain, aead.Seal(salt, nonce, plain[:], bound), nil
}

// OpenKey opens what NewKey sealed. [ErrOtherKey]: with another key, or bound to
// something else, or damaged.
func OpenKey(master *[keyBytes]byte, sealed, bound []byte) (plain [keyBytes]byte, err error) {
	if len(sealed) != sealedBytes {
		return plain, fmt.Errorf("%w: a sealed key of %d bytes", ErrEnvelope, len(sealed))
	}
	aead, nonce, err := sealing(master, sealed[:saltBytes])
	if err != nil {
		return plain, err
	}
	opened, err := aead.Open(nil, nonce, sealed[saltBytes:], bound)
	if err != nil {
		return plain, ErrOtherKey
	}
	return [keyBytes]byte(opened), nil
}

// sealing is what one salt seals, once.
func sealing(master *[keyBytes]byte, salt []byte) (cipher.AEAD, []byte, error) {
	derived, err := hkdf.Key(sha256.New, master[:], salt, "sherd sealed key v1", keyBytes+nonceBytes)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(derived[:keyBytes])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, derived[keyBytes:], err
}
