package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

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
	file, err := readKeysFile(path)
	if err != nil {
		return nil, err
	}
	return file.service(path)
}

func readKeysFile(path string) (keysFile, error) {
	data, err := readSecret(path)
	if err != nil {
		return keysFile{}, fmt.Errorf("keys: %w", err)
	}
	var file keysFile
	if json.Unmarshal(data, &file) != nil {
		return keysFile{}, fmt.Errorf(`keys: %s is not as {"default": "a", "keys": [{"id": "a", "key": "32 bytes in base64"}]}`, path)
	}
	_, err = file.service(path)
	return file, err
}

// service is what encrypts with the keys of a file.
func (f *keysFile) service(path string) (s3api.KeyService, error) {
	masters := map[string][keys.Bytes]byte{}
	for _, one := range f.Keys {
		if _, twice := masters[one.ID]; twice || len(one.Key) != keys.Bytes {
			return nil, fmt.Errorf("keys: %s: the key %q is there twice, or has not %d bytes", path, one.ID, keys.Bytes)
		}
		masters[one.ID] = [keys.Bytes]byte(one.Key)
	}
	service, err := keys.New(f.Default, masters)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return service, nil
}

// take adds the keys of another file, and tells whether the two were not the same.
// One id for two keys is refused, as each of them may have sealed something.
func (f *keysFile) take(other keysFile, path string) (differ bool, err error) {
	differ = f.Default != other.Default || len(f.Keys) != len(other.Keys)
	for _, one := range other.Keys {
		at := slices.IndexFunc(f.Keys, func(have masterKey) bool { return have.ID == one.ID })
		switch {
		case at < 0:
			f.Keys = append(f.Keys, one)
			differ = true
		case !bytes.Equal(f.Keys[at].Key, one.Key):
			return true, fmt.Errorf("keys: %s: the key %q is another one than in the file beside the drives before", path, one.ID)
		}
	}
	return differ, nil
}

// generateKeys makes a master key and keeps it at path, where no file is yet.
func generateKeys(path string) error {
	one := masterKey{ID: "sherd-" + rand.Text()[:12], Key: make([]byte, keys.Bytes)}
	rand.Read(one.Key) // never fails
	return keepKeys(path, keysFile{Default: one.ID, Keys: []masterKey{one}})
}

func keepKeys(path string, file keysFile) error {
	data, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	return writeNew(path, append(data, '\n'))
}

// masterKeys gives the service of the master keys: of the file that is named, which must
// be there, or of those beside the drives, of which the first is made where there is
// none. Nil: it could not be made, so that nothing is encrypted with it. Created tells
// that the store was made just now, so that nothing was encrypted yet.
func (s *server) masterKeys(created bool) (s3api.KeyService, error) {
	if s.keysFile != "" {
		return readKeys(s.keysFile)
	}
	path := s.keysPath()
	file, err := s.gatherKeys()
	switch {
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case s.readOnly:
		return nil, nil
	default:
		if err := generateKeys(path); err != nil {
			s.log.Warn("no master key could be kept, so SSE-S3 and SSE-KMS are off (name a file with -keys)", "error", err)
			return nil, nil
		}
		if created {
			s.log.Info("a new master key for encryption was made: what it encrypts is lost with it, so keep a copy elsewhere", "file", path)
		} else {
			s.log.Warn("no file of master keys was found beside the drives, so a new key was made: what an earlier one encrypted is not readable until its file is named with -keys, "+
				"or its keys are added to this one; what the new one encrypts is lost with it, so keep a copy elsewhere", "file", path)
		}
		if file, err = readKeysFile(path); err != nil {
			return nil, err
		}
	}
	if !s.readOnly {
		s.spreadKeys(file)
	}
	return file.service(path)
}

// gatherKeys gives the keys of all files beside the drives, whose order and number may
// be others than when the files were made. The default is that of the first. A file that can
// not be used is left out where there is another one: a drive may be failing.
func (s *server) gatherKeys() (all keysFile, err error) {
	found := ""
	var wrong error
	for _, dir := range s.besideDrives() {
		path := filepath.Join(dir, keysName)
		file, err := readKeysFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			wrong = errors.Join(wrong, err)
		case found == "":
			found, all = path, file
		default:
			differ, err := all.take(file, path)
			if err != nil {
				return keysFile{}, err
			}
			if differ {
				s.log.Warn("two files of master keys beside the drives differ: all of their keys are used, and the default of the first; make them the same", "file", found, "other", path)
			}
		}
	}
	switch {
	case found == "" && wrong != nil:
		return keysFile{}, wrong
	case found == "":
		return keysFile{}, fs.ErrNotExist
	case wrong != nil:
		s.log.Warn("a file of master keys beside the drives can not be used; another one is", "used", found, "error", wrong)
	}
	return all, nil
}

// spreadKeys puts a copy beside each drive that is there, so that keys outlive what
// objects outlive: folders of drives may be on the drives.
func (s *server) spreadKeys(file keysFile) {
	for _, dir := range s.besideDrives() {
		there := slices.ContainsFunc(s.drives, func(drive string) bool {
			_, err := os.Stat(filepath.Join(drive, "format.json"))
			return err == nil && filepath.Dir(drive) == dir
		})
		if !there {
			continue // what is not mounted gets nothing
		}
		err := keepKeys(filepath.Join(dir, keysName), file)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			s.log.Warn("the master keys could not be kept beside a drive", "folder", dir, "error", err)
		}
	}
}
