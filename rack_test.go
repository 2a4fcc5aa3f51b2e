// Goal: what the tests of faults share: drives whose faults the test commands.
// Method: crash file systems in memory below injectors. Stores on them run in
// bubbles of virtual time, where waiting costs nothing and a goroutine that is
// left over, or a deadlock, fails the test by itself.
package sherd_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
)

// bubble runs a test in virtual time. What it starts must end in it.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// pass lets virtual time pass.
func pass(d time.Duration) { time.Sleep(d) }

// seed is SHERD_SEED, by which any choice of points is repeated.
func seed(t testing.TB) uint64 {
	text := os.Getenv("SHERD_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "SHERD_SEED")
	return n
}

// long says that all points are wanted.
func long() bool { return os.Getenv("SHERD_LONG") != "" }

// rack is drives in memory.
type rack struct {
	disks  []vfs.FS // below the injectors
	faults []*faultfs.Injector
	drives []vfs.FS
	opt    *sherd.Options
	known  func(sherd.Finding) bool // what a check may find; nil: nothing
}

func newRack(n int) *rack {
	r := &rack{}
	for range n {
		r.add(crashfs.New())
	}
	return r
}

func (r *rack) add(d vfs.FS) {
	inj := faultfs.New()
	r.disks, r.faults, r.drives = append(r.disks, d), append(r.faults, inj), append(r.drives, inj.Wrap(d))
}

// crash is the rack that a power cut at this moment leaves.
func (r *rack) crash(policy crashfs.Policy, seed uint64) *rack {
	after := &rack{opt: r.opt}
	for i, d := range r.disks {
		after.add(d.(*crashfs.FS).Crash(policy, seed+uint64(i)))
	}
	return after
}

// open opens a store, which shut closes; a test that fails closes it too.
func (r *rack) open(t testing.TB) (*sherd.Store, error) {
	s, err := sherd.OpenOn(t.Context(), r.drives, r.opt)
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// shut closes a store: nothing may be left open.
func (r *rack) shut(t testing.TB, s *sherd.Store, where string) {
	require.NoError(t, s.Close(), where)
	for i, f := range r.faults {
		require.Empty(t, f.Open(), "%s: left open on drive %d", where, i)
	}
}

func (r *rack) clear() {
	for _, f := range r.faults {
		f.Clear()
	}
}

const bucketName = "bucket"

// sized is content that differs from any other seed's.
func sized(seed uint64, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(b)
	return b
}

func digest(b []byte) string {
	if b == nil {
		return ""
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// contentOf gives the digest of an object, "" where there is none. Drives that
// do not answer at all end it after a minute.
func contentOf(t testing.TB, s *sherd.Store, key string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o, err := s.Get(ctx, bucketName, key, nil)
	if errors.Is(err, sherd.ErrNoSuchKey) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	h := md5.New()
	n, err := io.Copy(h, o)
	if err = errors.Join(err, o.Close()); err != nil {
		return "", err
	}
	if n != o.Length {
		return "", fmt.Errorf("%d bytes of %d", n, o.Length)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// eventually waits in virtual time for what the store does by itself.
func eventually(t testing.TB, s *sherd.Store, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "not within minutes: %s; %+v", what, s.Health())
	}
}

// well says that all drives are in-sync and the store serves.
func well(s *sherd.Store) bool {
	h := s.Health()
	return h.Mode == sherd.Serving && !h.Degraded
}
