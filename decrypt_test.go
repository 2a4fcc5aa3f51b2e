// Goal: what lies on the drives of an encrypted object is what docs/FORMAT.md says,
// and whoever writes to them makes no other bytes of it. Method: the shard files and
// records of one drive in memory, read and decrypted by code of the test's own, which
// was written from that page alone; and stored bytes that are forged with all sums
// made right.
package sherd_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// recordMap is the map behind the head of a record.
func recordMap(t *testing.T, s *sherd.Store, key string) map[uint64]cbor.RawMessage {
	t.Helper()
	value, err := sherd.RecordOf(t.Context(), s, bucketName, key)
	require.NoError(t, err)
	var m map[uint64]cbor.RawMessage
	require.NoError(t, cbor.Unmarshal(value[59+int(binary.BigEndian.Uint16(value[57:])):], &m))
	return m
}

// parameters of the encryption of a record.
func parameters(t *testing.T, transforms cbor.RawMessage) (salt, check, envelope []byte) {
	t.Helper()
	var list []struct {
		_    struct{} `cbor:",toarray"`
		Kind uint64
		Of   []byte
	}
	require.NoError(t, cbor.Unmarshal(transforms, &list))
	require.Len(t, list, 1)
	require.EqualValues(t, 1, list[0].Kind)
	var p map[uint64][]byte
	require.NoError(t, cbor.Unmarshal(list[0].Of, &p))
	return p[1], p[2], p[3]
}

// storedOf gives what is erasure-coded in the shard file of a place, on a store of
// one drive.
func storedOf(t *testing.T, disk vfs.FS, place cbor.RawMessage) (stored []byte) {
	t.Helper()
	var p map[uint64]cbor.RawMessage
	require.NoError(t, cbor.Unmarshal(place, &p))
	var id []byte
	require.NoError(t, cbor.Unmarshal(p[2], &id))
	name := hex.EncodeToString(id)
	f, err := disk.Open(fmt.Sprintf("/drive0/shards/%s/%s", name[46:], name))
	require.NoError(t, err)
	file, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	end := len(file) - 44
	end -= int(binary.BigEndian.Uint32(file[end:]))
	for frames := file[4096:end]; len(frames) > 0; {
		n := min(len(frames), 65536+32)
		stored, frames = append(stored, frames[:n-32]...), frames[n:]
	}
	return stored
}

// derived is HKDF with SHA-256, of up to 32 bytes.
func derived(key, salt []byte, info string, n int) []byte {
	extract := hmac.New(sha256.New, salt)
	extract.Write(key)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write(append([]byte(info), 1))
	return expand.Sum(nil)[:n]
}

func decrypted(t *testing.T, key, salt, stored []byte) (plain []byte) {
	t.Helper()
	block, err := aes.NewCipher(derived(key, salt, "sherd package v1", 32))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	for number := uint64(0); len(stored) > 0; number++ {
		n, last := min(len(stored), 65536+16), byte(0)
		if n == len(stored) {
			last = 1
		}
		nonce := append(binary.BigEndian.AppendUint64([]byte{0, 0, 0}, number), last)
		part, err := gcm.Open(nil, nonce, stored[:n], nil)
		require.NoError(t, err)
		plain, stored = append(plain, part...), stored[n:]
	}
	return plain
}

func TestStoredAsTheFormatSays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(1)
		s, err := r.open(t)
		require.NoError(t, err)
		newBucket(t, s, bucketName, 0)
		canary := []byte("nobody may find this on a drive ")
		content := bytes.Repeat(canary, 400_000/len(canary))
		e := sealedAs(9)
		for _, size := range []int{70_000, 131_072, len(content)} {
			_, err = s.Put(t.Context(), bucketName, "key", reader(content[:size]), -1, &sherd.PutOptions{Encryption: e})
			require.NoError(t, err)
			record := recordMap(t, s, "key")
			salt, check, envelope := parameters(t, record[9])
			require.Len(t, salt, 16)
			require.Equal(t, derived(e.Key[:], salt, "sherd key v1", 16), check)
			require.Equal(t, e.Envelope, envelope)
			require.True(t, bytes.Equal(content[:size], decrypted(t, e.Key[:], salt, storedOf(t, r.disks[0], record[1]))), "%d bytes", size)
		}
		for i := range 3 { // inline
			_, err = s.Put(t.Context(), bucketName, fmt.Sprint("small", i), reader(content[:1000]), -1, &sherd.PutOptions{Encryption: e, Metadata: map[string]string{"a": "findable in the clear"}})
			require.NoError(t, err)
		}
		u, err := s.CreateUpload(t.Context(), bucketName, "parts", &sherd.UploadOptions{Encryption: e})
		require.NoError(t, err)
		_, err = s.PutPart(t.Context(), bucketName, "parts", u.ID, 1, reader(content), -1, &sherd.PartOptions{Encryption: e})
		require.NoError(t, err)
		_, err = s.CompleteUpload(t.Context(), bucketName, "parts", u.ID, []sherd.CompletedPart{{Number: 1}}, nil)
		require.NoError(t, err)
		r.shut(t, s, "")
		files, clear := map[string]int64{}, 0
		under(t, r.disks[0], "/drive0", files)
		for file := range files {
			f, err := r.disks[0].Open(file)
			require.NoError(t, err)
			held, err := io.ReadAll(f)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.NotContains(t, string(held), string(canary[:16]), file)
			require.NotContains(t, string(held), string(e.Key[:]), file)
			if bytes.Contains(held, []byte("findable in the clear")) {
				clear++
			}
		}
		require.Positive(t, clear, "what is looked for would be found")
	})
}

func TestForgedBytesAreNotServed(t *testing.T) {
	const size, p = 3*packageBytes + 100, packageBytes + 16
	plain := pattern(size)
	type forged struct {
		stored []byte
		size   int64
	}
	for why, forge := range map[string]func(stored []byte) forged{
		"a bit":           func(b []byte) forged { b[p+7] ^= 1; return forged{b, size} },
		"a bit of a tag":  func(b []byte) forged { b[2*p-1] ^= 1; return forged{b, size} },
		"cut at a border": func(b []byte) forged { return forged{b[:2*p], 2 * packageBytes} },
		"cut at a border, with the size of before": func(b []byte) forged { return forged{b[:2*p], size} },
		"exchanged": func(b []byte) forged {
			return forged{append(append(append([]byte{}, b[p:2*p]...), b[:p]...), b[2*p:]...), size}
		},
		"one left out":                     func(b []byte) forged { return forged{append(b[:p:p], b[2*p:]...), size - packageBytes} },
		"nothing":                          func([]byte) forged { return forged{nil, size} },
		"the plain bytes of somebody else": func([]byte) forged { return forged{pattern(size), size} },
	} {
		s := newStore(t, nil)
		newBucket(t, s, bucketName, 0)
		_, err := s.Put(t.Context(), bucketName, "key", reader(plain), size, &sherd.PutOptions{Encryption: sealedAs(1)})
		require.NoError(t, err)
		require.NoError(t, sherd.Forge(t.Context(), s, bucketName, "key", func(b []byte) ([]byte, int64) { return append([]byte{}, b...), size }))
		require.Equal(t, string(plain), getSealed(t, s, bucketName, "key"), "put there again as it was")
		require.NoError(t, sherd.Forge(t.Context(), s, bucketName, "key", func(b []byte) ([]byte, int64) {
			f := forge(append([]byte{}, b...))
			return f.stored, f.size
		}))
		o, err := s.Get(t.Context(), bucketName, "key", withKey())
		if err != nil {
			require.ErrorIs(t, err, sherd.ErrDamaged, why)
			continue
		}
		got, err := io.ReadAll(o)
		require.ErrorIs(t, err, sherd.ErrDamaged, why)
		require.True(t, bytes.HasPrefix(plain, got), "%s: %d bytes were given before", why, len(got))
		require.Less(t, len(got), size, why)
		require.NoError(t, o.Close())
	}
}

// A part that is not encrypted does not get into an object that is, and is not read
// in one.
func TestPartsThatAreNotEncrypted(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, bucketName, 0)
	e := sealedAs(1)
	begin := func() string {
		u, err := s.CreateUpload(t.Context(), bucketName, "key", &sherd.UploadOptions{Encryption: e})
		require.NoError(t, err)
		_, err = s.PutPart(t.Context(), bucketName, "key", u.ID, 1, reader(pattern(packageBytes)), packageBytes, &sherd.PartOptions{Encryption: e})
		require.NoError(t, err)
		return u.ID
	}
	plain := func(r *layout.Record) {
		require.NotNil(t, r.Sealed)
		require.Zero(t, r.Sealed.Check, "it stands in the object's record")
		require.Empty(t, r.Sealed.Envelope)
		r.Sealed = nil
	}
	id := begin()
	require.NoError(t, sherd.EditPart(t.Context(), s, bucketName, "key", id, 1, plain))
	_, err := s.CompleteUpload(t.Context(), bucketName, "key", id, []sherd.CompletedPart{{Number: 1}}, nil)
	require.ErrorIs(t, err, sherd.ErrInvalidPart)

	id = begin()
	_, err = s.CompleteUpload(t.Context(), bucketName, "key", id, []sherd.CompletedPart{{Number: 1}}, nil)
	require.NoError(t, err)
	require.Equal(t, string(pattern(packageBytes)), getSealed(t, s, bucketName, "key"))
	require.NoError(t, sherd.EditPart(t.Context(), s, bucketName, "key", id, 1, plain))
	_, err = s.Get(t.Context(), bucketName, "key", withKey())
	require.ErrorIs(t, err, sherd.ErrDamaged)
}
