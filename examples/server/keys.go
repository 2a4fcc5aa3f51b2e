package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/keys"
)

// masterKey is a key that encrypts the keys of objects, as the file has it.
type masterKey struct {
	ID  string `json:"id"`
	Key []byte `json:"key"` // 32 bytes in base64
}

// String and GoString keep keys out of logs.
func (masterKey) String() string   { return "(key)" }
func (masterKey) GoString() string { return "(key)" }

// keysFile is the JSON file of master keys. Each is good for SSE-KMS by its id; the
// default is that of SSE-S3.
type keysFile struct {
	Default string      `json:"default"`
	Keys    []masterKey `json:"keys"`
}

// readKeys reads the file of master keys. It is refused unless its owner alone may
// read it. No error shows a key.
func readKeys(path string) (s3api.KeyService, error) {
	data, err := readSecret(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var file keysFile
	if json.Unmarshal(data, &file) != nil {
		return nil, fmt.Errorf(`keys: %s is not as {"default": "a", "keys": [{"id": "a", "key": "32 bytes in base64"}]}`, path)
	}
	masters := map[string][keys.Bytes]byte{}
	for _, one := range file.Keys {
		if _, twice := masters[one.ID]; twice || len(one.Key) != keys.Bytes {
			return nil, fmt.Errorf("keys: %s: the key %q is there twice, or has not %d bytes", path, one.ID, keys.Bytes)
		}
		masters[one.ID] = [keys.Bytes]byte(one.Key)
	}
	service, err := keys.New(file.Default, masters)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return service, nil
}

// generateKeys makes a master key and keeps it at path, where no file is yet.
func generateKeys(path string) error {
	one := masterKey{ID: "sherd-" + rand.Text()[:12], Key: make([]byte, keys.Bytes)}
	rand.Read(one.Key) // never fails
	data, err := json.MarshalIndent(keysFile{Default: one.ID, Keys: []masterKey{one}}, "", "  ")
	if err != nil {
		return err
	}
	return writeNew(path, append(data, '\n'))
}

// masterKeys gives the service of the master keys: of the file that is named, which must
// be there, or of the one beside the first drive, which is made at the first
// start. Nil: it could not be made, so that nothing is encrypted with it.
func (s *server) masterKeys() (s3api.KeyService, error) {
	if s.keysFile != "" {
		return readKeys(s.keysFile)
	}
	path := s.keysPath()
	service, err := readKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return service, err
	}
	if s.readOnly {
		return nil, nil
	}
	if err := generateKeys(path); err != nil {
		s.log.Warn("no master key could be kept, so SSE-S3 and SSE-KMS are off (name a file with -keys)", "error", err)
		return nil, nil
	}
	s.log.Info("a new master key for encryption was made: what it encrypts is lost with it, so keep a copy elsewhere", "file", path)
	return readKeys(path)
}
