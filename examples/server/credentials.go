package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/policy"
)

// secret is a string that no log, error or %v ever shows.
type secret string

func (secret) String() string       { return "(secret)" }
func (secret) GoString() string     { return "(secret)" }
func (secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

// access says what an identity may do.
type access string

const (
	accessFull     access = "full"
	accessReadOnly access = "read-only"
)

// identity is somebody who may sign requests, as the file has him.
type identity struct {
	Name        string          `json:"name"`
	AccessKey   string          `json:"access_key"`
	SecretKey   secret          `json:"secret_key"`
	Access      access          `json:"access,omitempty"`       // may be left out where there is a policy
	Policy      json.RawMessage `json:"policy,omitempty"`       // of the identity, in AWS's language
	Account     string          `json:"account,omitempty"`      // 12 digits; "" is s3api.DefaultAccount
	CanonicalID string          `json:"canonical_id,omitempty"` // 64 hexadecimal digits; "" is made of the account
	DisplayName string          `json:"display_name,omitempty"` // "" is the name
	Email       string          `json:"email,omitempty"`
	Root        bool            `json:"root,omitempty"` // the account itself, which no bucket policy locks out
}

// credentialsFile is the JSON file of identities.
type credentialsFile struct {
	Identities []identity `json:"identities"`
}

const (
	credentialsMode     = 0o600
	maxCredentialsBytes = 1 << 20
	minAccessKeyChars   = 3
	maxAccessKeyChars   = 128
	minSecretKeyChars   = 8
	accountDigits       = 12
	canonicalDigits     = 64
)

func (i *identity) validate() error {
	switch {
	case i.Name == "":
		return errors.New("name is missing")
	case len(i.AccessKey) < minAccessKeyChars || len(i.AccessKey) > maxAccessKeyChars:
		return fmt.Errorf("the access key must have %d to %d characters", minAccessKeyChars, maxAccessKeyChars)
	case strings.ContainsFunc(i.AccessKey, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/,;=&"`, r) }):
		return errors.New("the access key has a character that a signed request can not carry")
	case len(i.SecretKey) < minSecretKeyChars:
		return fmt.Errorf("the secret key must have at least %d characters", minSecretKeyChars)
	case i.Access != accessFull && i.Access != accessReadOnly && !(i.Access == "" && len(i.Policy) > 0):
		return fmt.Errorf("access must be %q or %q, or left out where there is a policy", accessFull, accessReadOnly)
	case i.Account != "" && (len(i.Account) != accountDigits || strings.Trim(i.Account, "0123456789") != ""):
		return fmt.Errorf("account must have %d digits", accountDigits)
	case i.CanonicalID != "" && (len(i.CanonicalID) != canonicalDigits || strings.Trim(i.CanonicalID, "0123456789abcdef") != ""):
		return fmt.Errorf("canonical_id must have %d hexadecimal digits", canonicalDigits)
	}
	return nil
}

// credential is the identity as the handler knows it.
func (i *identity) credential() (s3api.Credential, error) {
	c := s3api.Credential{AccessKey: i.AccessKey, SecretKey: string(i.SecretKey), Identity: s3api.Identity{
		ID: i.CanonicalID, Account: cmp.Or(i.Account, s3api.DefaultAccount), DisplayName: cmp.Or(i.DisplayName, i.Name), Email: i.Email,
	}}
	kind := "user/" + i.Name
	if i.Root {
		kind = "root"
	}
	c.Identity.ARN = "arn:aws:iam::" + c.Identity.Account + ":" + kind
	switch i.Access {
	case accessFull:
		c.Access = s3api.FullAccess
	case accessReadOnly:
		c.Access = s3api.ReadOnly
	}
	if len(i.Policy) == 0 {
		return c, nil
	}
	document, err := policy.Parse(i.Policy)
	if err == nil {
		err = document.ForIdentity()
	}
	c.Policies = []*policy.Document{document}
	return c, err
}

// credentialsOf gives all of them.
func credentialsOf(identities []identity) ([]s3api.Credential, error) {
	list := make([]s3api.Credential, len(identities))
	for n := range identities {
		var err error
		if list[n], err = identities[n].credential(); err != nil {
			return nil, fmt.Errorf("identity %d (%q): %w", n+1, identities[n].Name, err)
		}
	}
	return list, nil
}

// reload puts the identities that are in the file now in the place of those before.
// A file that is wrong changes nothing.
func reload(c *config, keys *s3api.Credentials) error {
	identities, err := gatherIdentities(c)
	if err != nil {
		return err
	}
	list, err := credentialsOf(identities)
	if err != nil {
		return err
	}
	return keys.Replace(list...)
}

// rootIdentity takes an identity from the environment; nil when there is none.
func rootIdentity(getenv func(string) string) (*identity, error) {
	user, password := getenv("SHERD_ROOT_USER"), getenv("SHERD_ROOT_PASSWORD")
	switch {
	case user == "" && password == "":
		return nil, nil
	case user == "":
		return nil, errors.New("SHERD_ROOT_PASSWORD is set and SHERD_ROOT_USER is not")
	case password == "":
		return nil, errors.New("SHERD_ROOT_USER is set and SHERD_ROOT_PASSWORD is not")
	}
	root := &identity{Name: "root", AccessKey: user, SecretKey: secret(password), Access: accessFull, Root: true}
	if err := root.validate(); err != nil {
		return nil, fmt.Errorf("SHERD_ROOT_USER and SHERD_ROOT_PASSWORD: %w", err)
	}
	return root, nil
}

// gatherIdentities gives all identities that are known before the store is
// open. None means that a pair is to be generated.
func gatherIdentities(c *config) ([]identity, error) {
	var all []identity
	if c.root != nil {
		all = append(all, *c.root)
		if c.credentials == "" {
			return all, nil
		}
	}
	listed, err := readCredentials(c.credentialsPath())
	if errors.Is(err, fs.ErrNotExist) && c.root == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all = append(all, listed...)
	byKey := map[string]string{}
	for _, i := range all {
		if other, taken := byKey[i.AccessKey]; taken {
			return nil, fmt.Errorf("identities %q and %q have the same access key", other, i.Name)
		}
		byKey[i.AccessKey] = i.Name
	}
	return all, nil
}

// readCredentials reads a file of identities. It is refused unless its owner
// alone may read it. Windows has no such modes, so there it is read as it is.
// No error shows anything of the file but names.
func readCredentials(path string) ([]identity, error) {
	data, err := readSecret(path)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	identities, err := parseCredentials(data)
	if err != nil {
		return nil, fmt.Errorf("credentials: %s: %w", path, err)
	}
	return identities, nil
}

// readSecret reads a file that its owner alone may read.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	} else if runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, so others may read it: chmod 600 %s", path, mode.Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxCredentialsBytes+1))
	if err == nil && len(data) > maxCredentialsBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxCredentialsBytes)
	}
	return data, err
}

func parseCredentials(data []byte) ([]identity, error) {
	var file credentialsFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&file)
	if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil, fmt.Errorf("line %d: %s must be a %s", lineOf(data, typed.Offset), typed.Field, typed.Type.Kind())
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("line %d: this is not JSON", lineOf(data, syntax.Offset))
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: a field is not known, or the file ends too early", lineOf(data, d.InputOffset()))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: something follows the JSON object", lineOf(data, d.InputOffset()))
	}
	if len(file.Identities) == 0 {
		return nil, errors.New(`it has no identities: {"identities": [{"name": …, "access_key": …, "secret_key": …, "access": "full"}]}`)
	}
	identities := make([]identity, 0, len(file.Identities))
	for n, i := range file.Identities {
		err := i.validate()
		if err == nil {
			_, err = i.credential()
		}
		if err != nil {
			return nil, fmt.Errorf("identity %d (%q): %w", n+1, i.Name, err)
		}
		identities = append(identities, i)
	}
	return identities, nil
}

func lineOf(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
}

// generateCredentials makes a pair of keys, 100 and 200 random bits, and keeps
// it at path. A file that is there already is never replaced.
func generateCredentials(path string) (identity, error) {
	root := identity{Name: "root", AccessKey: rand.Text()[:20], SecretKey: secret((rand.Text() + rand.Text())[:40]), Access: accessFull, Root: true}
	data, err := json.MarshalIndent(credentialsFile{[]identity{root}}, "", "  ")
	if err != nil {
		return identity{}, err
	}
	if err := writeNew(path, append(data, '\n')); err != nil {
		return identity{}, fmt.Errorf("new credentials could not be kept (name a file with -credentials, or set SHERD_ROOT_USER and SHERD_ROOT_PASSWORD): %w", err)
	}
	return root, nil
}

// writeNew writes a file under another name first, so that path never leads to
// half of it. When it returns the file is durable, by its name too.
func writeNew(path string, data []byte) error { return writeNewThen(path, data, syncFolder) }

func writeNewThen(path string, data []byte, sync func(dir string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(credentialsMode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename it fails where a file is
		return err
	}
	return sync(filepath.Dir(path))
}

// syncFolder makes the names in a folder durable. Windows has no such call.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
