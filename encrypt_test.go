// Goal: what is encrypted reads back with its key, by every way and in every shape
// that an object can have, with no other key, and is nowhere in the clear. Method:
// every boundary of size, range and part against the plain bytes; what lies on the
// drives is decrypted by code of the test's own, written from docs/FORMAT.md.
package sherd_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

// sealedAs is an encryption with the n-th key, whose envelope is its number.
func sealedAs(n byte) *sherd.Encryption {
	return &sherd.Encryption{Key: [32]byte{n, 31: n}, Envelope: []byte{n}}
}

// unseal finds the key by the envelope.
func unseal(envelope []byte) (key [32]byte, err error) {
	if len(envelope) != 1 {
		return key, fmt.Errorf("an envelope of %d bytes", len(envelope))
	}
	return sealedAs(envelope[0]).Key, nil
}

func withKey() *sherd.GetOptions { return &sherd.GetOptions{Key: unseal} }

func getSealed(t testing.TB, s *sherd.Store, bucket, key string) string {
	t.Helper()
	return get(t, s, bucket, key, withKey())
}

// sealedParts is completeOf under a key.
func sealedParts(t testing.TB, s *sherd.Store, key string, content []byte, e *sherd.Encryption, sizes ...int) sherd.ObjectInfo {
	t.Helper()
	u, err := s.CreateUpload(t.Context(), "bucket", key, &sherd.UploadOptions{Encryption: e})
	require.NoError(t, err)
	require.Equal(t, e.Envelope, u.Envelope)
	var parts []sherd.CompletedPart
	for i, size := range sizes {
		p, err := s.PutPart(t.Context(), "bucket", key, u.ID, 2*i+1, reader(content[:size]), int64(size), &sherd.PartOptions{MD5: true, Encryption: e})
		require.NoError(t, err)
		require.EqualValues(t, size, p.Size)
		content = content[size:]
		parts = append(parts, sherd.CompletedPart{Number: p.Number, ETag: p.ETag})
	}
	require.Empty(t, content)
	info, err := s.CompleteUpload(t.Context(), "bucket", key, u.ID, parts, nil)
	require.NoError(t, err)
	require.Equal(t, e.Envelope, info.Envelope)
	return info
}

// appendSealed appends in steps.
func appendSealed(t testing.TB, s *sherd.Store, key string, content []byte, offset int, e *sherd.Encryption, sizes ...int) {
	t.Helper()
	for _, size := range sizes {
		info, err := s.Append(t.Context(), "bucket", key, reader(content[offset:offset+size]), int64(size), int64(offset), &sherd.PutOptions{Encryption: e})
		require.NoError(t, err)
		offset += size
		require.EqualValues(t, offset, info.Size)
		require.Equal(t, e.Envelope, info.Envelope)
	}
	require.Len(t, content, offset)
}

// sealedShapes is shapes, encrypted with the key of a number.
func sealedShapes(t testing.TB, s *sherd.Store, n byte) map[string][]byte {
	t.Helper()
	out, e := map[string][]byte{}, sealedAs(n)
	for name, size := range map[string]int{"empty": 0, "inline": 5000, "file": 700_001} {
		out[name] = pattern(size)
		_, err := s.Put(t.Context(), "bucket", name, reader(out[name]), int64(size), &sherd.PutOptions{Encryption: e, MD5: true})
		require.NoError(t, err)
	}
	out["parts"] = pattern(500_000)
	sealedParts(t, s, "parts", out["parts"], e, 100, 65536, 200_000, 0, 184_363, 50_001)
	out["grown"] = pattern(710_000)
	appendSealed(t, s, "grown", out["grown"], 0, e, 5000, 10, 300_000, 1, 404_989)
	out["grown parts"] = pattern(400_000)
	sealedParts(t, s, "grown parts", out["grown parts"][:200_000], e, 100, 150_000, 49_900)
	appendSealed(t, s, "grown parts", out["grown parts"], 200_000, e, 30, 199_970)
	out["grown file"] = pattern(900_000)
	_, err := s.Put(t.Context(), "bucket", "grown file", reader(out["grown file"][:800_000]), -1, &sherd.PutOptions{Encryption: e})
	require.NoError(t, err)
	appendSealed(t, s, "grown file", out["grown file"], 800_000, e, 100_000)
	return out
}

const packageBytes = 64 << 10

func TestEncryptedSizes(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	const inline = 2 * packageBytes // of a stored object on four drives
	sizes := []int{0, 1, 100, packageBytes - 1, packageBytes, packageBytes + 1, 2*packageBytes - 1, 2 * packageBytes, 2*packageBytes + 1,
		inline - 33, inline - 32, inline - 31, 3*packageBytes - 48, 1<<20 - 256, 1 << 20, 3_000_001}
	for _, size := range sizes {
		for _, announced := range []int64{int64(size), -1} {
			content := pattern(size)
			info, err := s.Put(t.Context(), "bucket", "key", reader(content), announced, &sherd.PutOptions{
				Encryption: sealedAs(1), MD5: true, Checksum: &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.SHA256}}})
			require.NoError(t, err)
			require.EqualValues(t, size, info.Size)
			sum := md5.Sum(content)
			require.Equal(t, hex.EncodeToString(sum[:]), info.ETag)
			require.True(t, info.ETagIsMD5)
			require.Equal(t, []byte{1}, info.Envelope)
			require.Equal(t, string(content), getSealed(t, s, "bucket", "key"), "%d bytes, announced %d", size, announced)
			for _, off := range []int64{0, 1, packageBytes - 1, packageBytes, packageBytes + 1, int64(size) - packageBytes, int64(size) - 1} {
				for _, n := range []int64{1, 2, packageBytes, int64(size)} {
					if off < 0 || off >= int64(size) {
						continue
					}
					end := min(off+n, int64(size))
					got := get(t, s, "bucket", "key", &sherd.GetOptions{Key: unseal, Range: &sherd.Range{Start: off, End: end - 1}})
					require.True(t, string(content[off:end]) == got, "%d bytes of %d from %d", n, size, off)
				}
			}
			_, err = s.Get(t.Context(), "bucket", "key", nil)
			require.ErrorIs(t, err, sherd.ErrEncrypted)
			require.EqualValues(t, size, infoOf(t, err).Size)
			_, err = s.Get(t.Context(), "bucket", "key", &sherd.GetOptions{Key: func([]byte) ([32]byte, error) { return sealedAs(2).Key, nil }})
			require.ErrorIs(t, err, sherd.ErrKey)
		}
	}
	requireNothingWrong(t, s)
}

func TestEncryptedRanges(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	random := rand.New(rand.NewPCG(3, 4))
	for name, content := range sealedShapes(t, s, 1) {
		require.Equal(t, string(content), getSealed(t, s, "bucket", name), name)
		_, err := s.Get(t.Context(), "bucket", name, nil)
		require.ErrorIs(t, err, sherd.ErrEncrypted, name)
		_, err = s.Get(t.Context(), "bucket", name, &sherd.GetOptions{Key: func([]byte) ([32]byte, error) { return sealedAs(2).Key, nil }})
		require.ErrorIs(t, err, sherd.ErrKey, name)
		size := int64(len(content))
		if size == 0 {
			continue
		}
		object, err := s.Get(t.Context(), "bucket", name, withKey())
		require.NoError(t, err)
		for range 40 {
			start := random.Int64N(size)
			end := start + random.Int64N(size-start)
			got := get(t, s, "bucket", name, &sherd.GetOptions{Key: unseal, Range: &sherd.Range{Start: start, End: end}})
			require.True(t, string(content[start:end+1]) == got, "%s %d-%d", name, start, end)
			at := make([]byte, end+1-start)
			_, err := object.ReadAt(at, start)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content[start:end+1], at), "%s %d-%d", name, start, end)
			_, err = object.Seek(start, io.SeekStart)
			require.NoError(t, err)
			n, err := io.ReadFull(object, at[:min(len(at), 1000)])
			require.NoError(t, err)
			require.True(t, bytes.Equal(content[start:][:n], at[:n]), "%s from %d", name, start)
		}
		require.NoError(t, object.Close())
		parts, err := s.ObjectParts(t.Context(), "bucket", name, nil)
		require.NoError(t, err)
		var whole strings.Builder
		for _, p := range parts {
			part := get(t, s, "bucket", name, &sherd.GetOptions{Key: unseal, Part: p.Number})
			require.EqualValues(t, p.Size, len(part))
			whole.WriteString(part)
		}
		if len(parts) > 0 {
			require.True(t, string(content) == whole.String(), name)
		}
	}
	requireNothingWrong(t, s)
}

// Every call that takes an encryption refuses what can not be.
func TestEncryptionsThatAreRefused(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	ctx := t.Context()
	none := &sherd.Encryption{}
	big := &sherd.Encryption{Key: [32]byte{1}, Envelope: make([]byte, sherd.MaxEnvelopeBytes+1)}
	for _, e := range []*sherd.Encryption{none, big} {
		want := map[*sherd.Encryption]error{none: sherd.ErrInvalidArgument, big: sherd.ErrTooLarge}[e]
		_, err := s.Put(ctx, "bucket", "key", nil, 0, &sherd.PutOptions{Encryption: e})
		require.ErrorIs(t, err, want)
		_, err = s.Append(ctx, "bucket", "key", reader([]byte("a")), 1, 0, &sherd.PutOptions{Encryption: e})
		require.ErrorIs(t, err, want)
		_, err = s.CreateUpload(ctx, "bucket", "key", &sherd.UploadOptions{Encryption: e})
		require.ErrorIs(t, err, want)
	}
	put(t, s, "bucket", "plain", "plain")
	sealed, err := s.Put(ctx, "bucket", "sealed", strings.NewReader("sealed"), 6, &sherd.PutOptions{Encryption: &sherd.Encryption{Key: [32]byte{1}}})
	require.NoError(t, err)
	require.NotNil(t, sealed.Envelope, "it is encrypted, without an envelope")
	require.Empty(t, sealed.Envelope)
	one := &sherd.PutOptions{Encryption: sealedAs(1)}
	_, err = s.Append(ctx, "bucket", "plain", reader([]byte("a")), 1, 5, one)
	require.ErrorIs(t, err, sherd.ErrInvalidArgument)
	_, err = s.Append(ctx, "bucket", "sealed", reader([]byte("a")), 1, 6, nil)
	require.ErrorIs(t, err, sherd.ErrEncrypted)
	_, err = s.Append(ctx, "bucket", "sealed", reader([]byte("a")), 1, 6, one)
	require.ErrorIs(t, err, sherd.ErrKey)

	u, err := s.CreateUpload(ctx, "bucket", "up", &sherd.UploadOptions{Encryption: sealedAs(1)})
	require.NoError(t, err)
	_, err = s.PutPart(ctx, "bucket", "up", u.ID, 1, reader([]byte("a")), 1, nil)
	require.ErrorIs(t, err, sherd.ErrEncrypted)
	_, err = s.PutPart(ctx, "bucket", "up", u.ID, 1, reader([]byte("a")), 1, &sherd.PartOptions{Encryption: sealedAs(2)})
	require.ErrorIs(t, err, sherd.ErrKey)
	u, err = s.CreateUpload(ctx, "bucket", "up", nil)
	require.NoError(t, err)
	require.Nil(t, u.Envelope)
	_, err = s.PutPart(ctx, "bucket", "up", u.ID, 1, reader([]byte("a")), 1, &sherd.PartOptions{Encryption: sealedAs(2)})
	require.ErrorIs(t, err, sherd.ErrInvalidArgument)
	_, err = s.Copy(ctx, sherd.Source{Bucket: "bucket", Key: "sealed"}, "bucket", "copy", &sherd.CopyOptions{PutOptions: *one, KeepEncryption: true})
	require.ErrorIs(t, err, sherd.ErrInvalidArgument)
	lost := errors.New("the key is lost")
	_, err = s.Get(ctx, "bucket", "sealed", &sherd.GetOptions{Key: func([]byte) (k [32]byte, err error) { return k, lost }})
	require.ErrorIs(t, err, lost)
	require.Equal(t, "plain", get(t, s, "bucket", "plain", &sherd.GetOptions{Key: func([]byte) (k [32]byte, err error) { return k, lost }}), "nobody is asked")
	info, err := s.Stat(ctx, "bucket", "sealed", nil)
	require.NoError(t, err, "what it is, everybody may know")
	require.EqualValues(t, 6, info.Size)
}

// A body that is cut off or has a wrong digest leaves nothing, encrypted or not.
func TestBodiesThatEndTooEarly(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	for _, e := range []*sherd.Encryption{nil, sealedAs(1)} {
		for _, size := range []int{10, packageBytes, 3*packageBytes + 7, 2_000_000} {
			for _, cut := range []error{io.ErrUnexpectedEOF, io.ErrClosedPipe} {
				body := io.MultiReader(reader(pattern(size)), failing{cut})
				_, err := s.Put(t.Context(), "bucket", "key", body, -1, &sherd.PutOptions{Encryption: e})
				require.ErrorIs(t, err, cut, "%d bytes", size)
			}
			_, err := s.Put(t.Context(), "bucket", "key", reader(pattern(size)), int64(size)+1, &sherd.PutOptions{Encryption: e})
			require.ErrorIs(t, err, sherd.ErrShortBody)
			_, err = s.Put(t.Context(), "bucket", "key", reader(pattern(size)), int64(size)-1, &sherd.PutOptions{Encryption: e})
			require.ErrorIs(t, err, sherd.ErrLongBody)
			_, err = s.Put(t.Context(), "bucket", "key", reader(pattern(size)), int64(size), &sherd.PutOptions{Encryption: e, ContentMD5: make([]byte, 16)})
			require.ErrorIs(t, err, sherd.ErrBadDigest)
			_, err = s.Stat(t.Context(), "bucket", "key", nil)
			require.ErrorIs(t, err, sherd.ErrNoSuchKey)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A hidden MD5 looks like one and is none; the one that the client sent is compared
// all the same.
func TestHiddenMD5(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(100_000)
	sum := md5.Sum(content)
	hide := sealedAs(1)
	hide.HideMD5 = true
	seen := map[string]bool{hex.EncodeToString(sum[:]): true}
	another := sealedAs(2)
	another.HideMD5 = true
	for _, o := range []*sherd.PutOptions{{Encryption: hide, MD5: true}, {Encryption: another, ContentMD5: sum[:]}} {
		info, err := s.Put(t.Context(), "bucket", "key", reader(content), -1, o)
		require.NoError(t, err)
		require.Len(t, info.ETag, 32)
		require.False(t, info.ETagIsMD5)
		require.False(t, seen[info.ETag])
		seen[info.ETag] = true
		again, err := s.Put(t.Context(), "bucket", "key", reader(content), -1, o)
		require.NoError(t, err)
		require.Equal(t, info.ETag, again.ETag, "a part that is sent again is the same")
		stat, err := s.Stat(t.Context(), "bucket", "key", nil)
		require.NoError(t, err)
		require.Equal(t, info.ETag, stat.ETag)
	}
	_, err := s.Put(t.Context(), "bucket", "key", reader(content), -1, &sherd.PutOptions{Encryption: hide, ContentMD5: make([]byte, 16)})
	require.ErrorIs(t, err, sherd.ErrBadDigest)
	info := sealedParts(t, s, "parts", content, hide, 50_000, 50_000)
	require.Regexp(t, "^[0-9a-f]{32}-2$", info.ETag)
	plain := completeOf(t, s, "bucket", "plain", content, 1, 50_000, 50_000)
	require.NotEqual(t, plain.ETag, info.ETag)
}

// copyCase is a source and the way in which it is copied.
type copyCase struct {
	sealed bool              // the source is
	to     *sherd.Encryption // of the copy
	keep   bool
}

func TestEncryptedCopies(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	newBucket(t, s, "other", versioning.Enabled)
	for _, c := range []copyCase{{false, nil, false}, {false, nil, true}, {false, sealedAs(2), false}, {true, nil, false}, {true, nil, true}, {true, sealedAs(2), false}, {true, sealedAs(1), false}} {
		var want map[string][]byte
		if c.sealed {
			want = sealedShapes(t, s, 1)
		} else {
			want = shapes(t, s, "bucket")
		}
		for name, content := range want {
			where := fmt.Sprintf("%s %+v", name, c)
			o := &sherd.CopyOptions{PutOptions: sherd.PutOptions{Encryption: c.to}, KeepEncryption: c.keep}
			from := sherd.Source{Bucket: "bucket", Key: name, Unlock: unseal}
			if c.sealed && !c.keep {
				_, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: name}, "other", name, o)
				require.ErrorIs(t, err, sherd.ErrEncrypted, where)
			}
			info, err := s.Copy(t.Context(), from, "other", name, o)
			require.NoError(t, err, where)
			source, err := s.Stat(t.Context(), "bucket", name, nil)
			require.NoError(t, err)
			require.Equal(t, source.ETag, info.ETag, where)
			switch {
			case c.to != nil:
				require.Equal(t, c.to.Envelope, info.Envelope, where)
			case c.keep && c.sealed:
				require.Equal(t, source.Envelope, info.Envelope, where)
			default:
				require.Nil(t, info.Envelope, where)
			}
			if (!c.sealed && c.to == nil || c.keep) && len(s.Health().Sets) == 1 {
				require.Equal(t, source.Parts, info.Parts, "%s: by reference", where)
			}
			_, err = s.Delete(t.Context(), "bucket", name, nil)
			require.NoError(t, err)
			require.True(t, string(content) == getSealed(t, s, "other", name), where)
			_, err = s.Get(t.Context(), "other", name, nil)
			require.Equal(t, info.Envelope != nil, errors.Is(err, sherd.ErrEncrypted), where)
		}
	}
	settle(t, s)
	requireNothingWrong(t, s)
}

// The ETag and the digests of a copy are hidden with it, and computed where the
// source hides its own.
func TestDigestsOfEncryptedCopies(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	content := pattern(300_000)
	sum := md5.Sum(content)
	text := hex.EncodeToString(sum[:])
	hide := sealedAs(1)
	hide.HideMD5 = true
	hidden, err := s.Put(t.Context(), "bucket", "hidden", reader(content), -1, &sherd.PutOptions{Encryption: hide, MD5: true})
	require.NoError(t, err)
	_, err = s.Put(t.Context(), "bucket", "plain", reader(content), -1, &sherd.PutOptions{MD5: true})
	require.NoError(t, err)
	copyAs := func(from string, o *sherd.CopyOptions) sherd.ObjectInfo {
		info, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: from, Unlock: unseal}, "bucket", "copy", o)
		require.NoError(t, err)
		require.Equal(t, string(content), getSealed(t, s, "bucket", "copy"))
		return info
	}
	with := func(e *sherd.Encryption, md5 bool) *sherd.CopyOptions {
		return &sherd.CopyOptions{PutOptions: sherd.PutOptions{Encryption: e, MD5: md5}}
	}
	require.Equal(t, text, copyAs("hidden", with(nil, true)).ETag)
	require.True(t, strings.HasPrefix(copyAs("hidden", with(nil, false)).ETag, "x-"), "no MD5 was asked for, and the one at random is not this one's")
	require.Equal(t, text, copyAs("hidden", with(sealedAs(2), true)).ETag)
	for _, from := range []string{"hidden", "plain"} {
		info := copyAs(from, with(hide, true))
		require.Regexp(t, "^[0-9a-f]{32}$", info.ETag)
		require.NotEqual(t, text, info.ETag)
		require.NotEqual(t, hidden.ETag, info.ETag)
	}
	require.Equal(t, hidden.ETag, copyAs("hidden", &sherd.CopyOptions{KeepEncryption: true}).ETag)
	info := copyAs("hidden", &sherd.CopyOptions{KeepEncryption: true, PutOptions: sherd.PutOptions{
		Checksum: &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.CRC32}}}})
	require.Len(t, info.Checksums, 1, "of the plain bytes, which were read for it")
	plain, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "plain"}, "bucket", "copy", &sherd.CopyOptions{PutOptions: sherd.PutOptions{
		Checksum: &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.CRC32}}}})
	require.NoError(t, err)
	require.Equal(t, plain.Checksums, info.Checksums)
}

// What changes an object and not its bytes leaves them readable.
func TestEncryptedObjectsThatChange(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Enabled)
	for name, content := range sealedShapes(t, s, 1) {
		require.NoError(t, s.SetTags(t.Context(), "bucket", name, "", map[string]string{"a": "b"}), name)
		require.Equal(t, string(content), getSealed(t, s, "bucket", name), name)
		_, err := s.Rename(t.Context(), "bucket", name, "new "+name, nil)
		if errors.Is(err, sherd.ErrApart) {
			continue
		}
		require.NoError(t, err)
		require.Equal(t, string(content), getSealed(t, s, "bucket", "new "+name), name)
		rest := pattern(70_001)
		info, err := s.Append(t.Context(), "bucket", "new "+name, reader(rest), -1, int64(len(content)), &sherd.PutOptions{Encryption: sealedAs(1)})
		require.NoError(t, err)
		require.Equal(t, []byte{1}, info.Envelope)
		require.Equal(t, string(content)+string(rest), getSealed(t, s, "bucket", "new "+name), name)
	}
	for info, err := range s.List(t.Context(), "bucket", &sherd.ListOptions{Details: true}) {
		require.NoError(t, err)
		require.Equal(t, []byte{1}, info.Envelope, info.Key)
	}
	settle(t, s)
	requireNothingWrong(t, s)
}

// Healing and new layouts need no key.
func TestEncryptedObjectsAreHealed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		s, err := r.open(t)
		require.NoError(t, err)
		_, err = s.CreateBucket(t.Context(), "bucket", nil)
		require.NoError(t, err)
		r.faults[3].SetGone(true)
		eventually(t, s, "evicted", func() bool { return s.Health().Degraded })
		want := sealedShapes(t, s, 1)
		pass(2 * time.Minute)
		require.Positive(t, sherd.Narrow(s))
		r.faults[3].SetGone(false)
		eventually(t, s, "all back", func() bool { return well(s) })
		sum, err := s.Heal(t.Context(), nil)
		require.NoError(t, err)
		require.Positive(t, sum.Widened)
		require.Zero(t, sherd.Narrow(s))
		for name, content := range want {
			require.Equal(t, string(content), getSealed(t, s, "bucket", name), name)
		}
		require.Positive(t, r.damage(t, 0))
		sum, err = s.Heal(t.Context(), nil)
		require.NoError(t, err)
		require.Positive(t, sum.Healed)
		require.Zero(t, sum.Left)
		checkClean(t, s)
		r.faults[1].SetGone(true)
		for name, content := range want {
			require.Equal(t, string(content), getSealed(t, s, "bucket", name), name)
		}
		r.faults[1].SetGone(false)
		eventually(t, s, "all back", func() bool { return well(s) })
		r.shut(t, s, "")
	})
}

// damage flips a bit in every shard file of a drive.
func (r *rack) damage(t *testing.T, drive int) (n int) {
	t.Helper()
	fs := r.disks[drive]
	root := fmt.Sprintf("/drive%d/shards", drive)
	dirs, err := fs.List(root)
	require.NoError(t, err)
	for _, dir := range dirs {
		names, err := fs.List(fs.PathJoin(root, dir))
		require.NoError(t, err)
		for _, name := range names {
			turnBit(t, fs, fs.PathJoin(root, dir, name), 5000, 3)
			n++
		}
	}
	return n
}

// A copy never has the digests of what its source was before it was appended to.
func TestDigestsOfACopyWhoseSourceGrows(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		s := newStore(t, nil)
		newBucket(t, s, "bucket", versioning.Unversioned)
		var e *sherd.Encryption
		if sealed {
			e = sealedAs(1)
		}
		content := pattern(300_000)
		appendIn := func(from, to int) error {
			_, err := s.Append(t.Context(), "bucket", "key", reader(content[from:to]), -1, int64(from), &sherd.PutOptions{Encryption: e})
			return err
		}
		require.NoError(t, appendIn(0, 100_000))
		grown := false
		request := &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.SHA256}, Expected: func() ([]sherd.Checksum, error) {
			if grown { // it was read once: now it grows
				return nil, nil
			}
			grown = true
			return nil, appendIn(100_000, 300_000)
		}}
		o := &sherd.CopyOptions{PutOptions: sherd.PutOptions{Checksum: request}}
		copied, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key", Unlock: unseal}, "bucket", "copy", o)
		require.NoError(t, err)
		require.True(t, grown)
		got := get(t, s, "bucket", "copy", nil)
		require.Len(t, got, int(copied.Size))
		sum := sha256.Sum256([]byte(got))
		require.Equal(t, sum[:], copied.Checksums[0].Value, "encrypted %t", sealed)
	}
}
