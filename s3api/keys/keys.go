// Package keys is a key service for encryption on the server that needs no other
// program: master keys that the caller has, each with a name.
//
// A [Static] seals data keys with AES-256-GCM, with a key and a nonce that are derived
// from the master key and 32 random bytes by HKDF-SHA256, and binds them to the name
// of the master key and to the context: with another of either they do not open.
// It keeps nothing and writes nothing. Who loses a master key loses what it sealed,
// and who has it can read that from drives.
//
// A Static may be used by any number of goroutines.
package keys

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/sherd-storage/sherd/s3api/internal/sse"
)

// Bytes is the size of a master key.
const Bytes = 32

// Static has master keys that do not change while it is used.
type Static struct {
	masters map[string][Bytes]byte
	first   string
}

// String shows nothing of the keys.
func (*Static) String() string { return "(keys)" }

// GoString shows nothing of the keys.
func (*Static) GoString() string { return "(keys)" }

// New gives a service that has the master keys, by their names. first is the one that
// seals where no name is asked for, as SSE-S3 does.
func New(first string, masters map[string][Bytes]byte) (*Static, error) {
	if _, ok := masters[first]; !ok {
		return nil, fmt.Errorf("keys: there is no key %q to begin with", first)
	}
	for name, key := range masters {
		if name == "" || len(name) > maxNameBytes {
			return nil, fmt.Errorf("keys: a name has 1 to %d bytes", maxNameBytes)
		}
		if key == ([Bytes]byte{}) {
			return nil, fmt.Errorf("keys: the key %q is all zeros", name)
		}
	}
	return &Static{maps.Clone(masters), first}, nil
}

const maxNameBytes = 256

// master finds a key; its error is s3api.ErrUnknownMasterKey.
func (s *Static) master(name string) (*[Bytes]byte, error) {
	key, ok := s.masters[name]
	if !ok {
		return nil, fmt.Errorf("keys: %w: %q", sse.ErrUnknownMasterKey, name)
	}
	return &key, nil
}

// GenerateKey implements s3api.KeyService.
func (s *Static) GenerateKey(_ context.Context, keyID string, context map[string]string) (plain [32]byte, sealed []byte, id string, err error) {
	if keyID == "" {
		keyID = s.first
	}
	master, err := s.master(keyID)
	if err != nil {
		return plain, nil, "", err
	}
	plain, sealed, err = sse.NewKey(master, sse.Bound(keyID, context))
	return plain, sealed, keyID, err
}

// ErrSealed says that a sealed key does not open: it is of another master key or
// context than is said, or damaged.
var ErrSealed = errors.New("keys: a sealed key does not open")

// OpenKey implements s3api.KeyService.
func (s *Static) OpenKey(_ context.Context, keyID string, sealed []byte, context map[string]string) ([32]byte, error) {
	master, err := s.master(keyID)
	if err != nil {
		return [32]byte{}, err
	}
	plain, err := sse.OpenKey(master, sealed, sse.Bound(keyID, context))
	if err != nil {
		return plain, fmt.Errorf("%w with %q: %w", ErrSealed, keyID, err)
	}
	return plain, nil
}
