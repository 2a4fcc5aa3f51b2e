// What the tests of this package share: a server to talk to, files whose bytes
// are compared after they went through it, and a bucket that is gone at the end.
package conformance_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	masterkeys "github.com/sherd-storage/sherd/s3api/keys"
)

const (
	mib    = 1 << 20
	region = "us-east-1"
)

// target is a server and who one is to it.
type target struct {
	url            *url.URL
	access, secret string
}

// open gives the server of the environment, or one over a store in memory.
func open(t *testing.T) target {
	t.Helper()
	if at := os.Getenv("endpoint"); at != "" {
		parsed, err := url.Parse(at)
		require.NoError(t, err)
		return target{url: parsed, access: os.Getenv("AWS_ACCESS_KEY_ID"), secret: os.Getenv("AWS_SECRET_ACCESS_KEY")}
	}
	memory := target{access: "conformance", secret: "conformance-secret"}
	store, err := sherd.NewMemory(4, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	keys, err := s3api.NewCredentials(s3api.Credential{
		AccessKey: memory.access, SecretKey: memory.secret, Access: s3api.FullAccess,
	})
	require.NoError(t, err)
	masters, err := masterkeys.New("master", map[string][masterkeys.Bytes]byte{"master": {1}})
	require.NoError(t, err)
	handler, err := s3api.New(store, &s3api.Options{Authenticator: s3api.NewSigV4(keys, region), Authorizer: keys, Region: region, Keys: masters})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	memory.url, err = url.Parse(server.URL)
	require.NoError(t, err)
	return memory
}

// bucket is a name that no other test of this run uses.
func bucket(t *testing.T) string {
	name := strings.ToLower(strings.Map(func(r rune) rune {
		if r == '/' || r == '_' {
			return '-'
		}
		return r
	}, t.Name()))
	return fmt.Sprintf("%s-%s", name, strings.ToLower(rand.Text()[:6]))
}

// sizes are what is tried: around the part sizes of the clients, and up to the
// largest that the environment asks for.
func sizes(t *testing.T) []int64 {
	t.Helper()
	largest := int64(32)
	if text := os.Getenv("SHERD_CLIENT_MAX_MIB"); text != "" {
		var err error
		largest, err = strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
	}
	var some []int64
	for _, size := range []int64{0, 1, 5000, 8*mib - 1, 8 * mib, 8*mib + 1, 16 * mib, 16*mib + 1, 100 * mib, 1024 * mib} {
		if size <= largest*mib {
			some = append(some, size)
		}
	}
	return some
}

// file makes one of that many random bytes.
func file(t *testing.T, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "up")
	f, err := os.Create(name)
	require.NoError(t, err)
	_, err = io.CopyN(f, rand.Reader, size)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return name
}

// random gives that many bytes.
func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // it never fails
	return b
}

// sum reads to the end.
func sum(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	_, err := io.Copy(h, r)
	require.NoError(t, err)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// sumFile is the sum of what is in a file.
func sumFile(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	return sum(t, f)
}
