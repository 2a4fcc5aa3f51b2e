// Goal: a stream opens as it was sealed, from any offset and however it is read, and
// what was changed, cut off, or put elsewhere does not open. Method: every boundary
// of the packages against every step of reading, readers that give little or fail,
// and a decryption of the test's own, written from docs/FORMAT.md.
package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/seal"
)

const b = seal.PackageBytes

func someKey() *seal.Key {
	k := &seal.Key{}
	for i := range k.Of {
		k.Of[i] = byte(i)
	}
	for i := range k.Salt {
		k.Salt[i] = byte(0xf0 + i)
	}
	return k
}

func content(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(out)
	return out
}

func sealed(t testing.TB, from io.Reader) []byte {
	t.Helper()
	s, err := seal.NewSealer(from, -1, someKey())
	require.NoError(t, err)
	out, err := io.ReadAll(s)
	require.NoError(t, err)
	return out
}

func open(stored []byte, size, off, n int64) ([]byte, error) {
	from, bytesOf := seal.Span(size, off, n)
	if from+bytesOf > int64(len(stored)) {
		bytesOf = max(0, int64(len(stored))-from)
	}
	o, err := seal.NewOpener(bytes.NewReader(stored[min(from, int64(len(stored))):][:bytesOf]), someKey(), size, off, n)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(o)
}

func sizes() []int { return []int{0, 1, 2, b - 1, b, b + 1, 2*b - 1, 2 * b, 2*b + 1, 5*b + 77} }

// derive is HKDF with SHA-256 (RFC 5869) for up to 32 bytes.
func derive(key, salt []byte, info string, n int) []byte {
	extract := hmac.New(sha256.New, salt)
	extract.Write(key)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write(append([]byte(info), 1))
	return expand.Sum(nil)[:n]
}

// decrypt reads a stream as docs/FORMAT.md describes it.
func decrypt(t *testing.T, key, salt, stored []byte) (plain []byte) {
	t.Helper()
	block, err := aes.NewCipher(derive(key, salt, "sherd package v1", 32))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	for number := uint64(0); len(stored) > 0; number++ {
		n := min(len(stored), 65536+16)
		nonce := binary.BigEndian.AppendUint64([]byte{0, 0, 0}, number)
		last := byte(0)
		if n == len(stored) {
			last = 1
		}
		part, err := gcm.Open(nil, append(nonce, last), stored[:n], nil)
		require.NoError(t, err)
		plain, stored = append(plain, part...), stored[n:]
	}
	return plain
}

func TestSealedAsTheFormatSays(t *testing.T) {
	key := someKey()
	for _, n := range sizes() {
		stored := sealed(t, bytes.NewReader(content(n)))
		require.EqualValues(t, len(stored), seal.Size(int64(n)))
		require.True(t, bytes.Equal(content(n), decrypt(t, key.Of[:], key.Salt[:], stored)))
	}
	require.EqualValues(t, -1, seal.Size(-1))
	check, err := key.Check()
	require.NoError(t, err)
	require.Equal(t, derive(key.Of[:], key.Salt[:], "sherd key v1", 16), check[:])
}

// The vector of docs/FORMAT.md.
func TestVector(t *testing.T) {
	key := someKey()
	check, err := key.Check()
	require.NoError(t, err)
	require.Equal(t, vectorCheck, hex.EncodeToString(check[:]))
	require.Equal(t, vectorStored, hex.EncodeToString(sealed(t, bytes.NewReader([]byte("sherd")))))
	long := sha256.Sum256(sealed(t, bytes.NewReader(bytes.Repeat([]byte{0x5a}, b+1))))
	require.Equal(t, vectorLong, hex.EncodeToString(long[:]))
}

const (
	vectorCheck  = "eec1a209e06371913c08352d9598e79a"
	vectorStored = "febdc93d1923767f80cacb75f5e42ce7c7cb586f7c"
	vectorLong   = "bb497f45402d4810c54fe1195cbccdacb585729579d5e1ab0e88e164bef58f82"
)

func TestOpensFromAnywhere(t *testing.T) {
	for _, size := range sizes() {
		plain := content(size)
		stored := sealed(t, bytes.NewReader(plain))
		edges := []int{0, 1, 2, b - 1, b, b + 1, 2*b - 1, 2 * b, 2*b + 1, size - 1, size}
		for _, off := range edges {
			for _, end := range edges {
				if off < 0 || end < off || end > size {
					continue
				}
				got, err := open(stored, int64(size), int64(off), int64(end-off))
				require.NoError(t, err)
				require.True(t, bytes.Equal(plain[off:end], got), "%d-%d of %d", off, end, size)
			}
		}
		o, err := seal.NewOpener(bytes.NewReader(stored), someKey(), int64(size), 0, int64(size))
		require.NoError(t, err)
		var out bytes.Buffer
		n, err := o.WriteTo(&out)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.True(t, bytes.Equal(plain, out.Bytes()))
		o, err = seal.NewOpener(iotest.HalfReader(bytes.NewReader(stored)), someKey(), int64(size), 0, int64(size))
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(o, plain))
	}
	for _, r := range [][2]int64{{-1, 1}, {0, -1}, {0, 11}, {11, 0}, {5, 1<<63 - 1}} {
		_, err := seal.NewOpener(nil, someKey(), 10, r[0], r[1])
		require.Error(t, err)
	}
}

func TestSealsWhateverReads(t *testing.T) {
	for _, n := range sizes() {
		want := sealed(t, bytes.NewReader(content(n)))
		for name, from := range map[string]io.Reader{
			"half": iotest.HalfReader(bytes.NewReader(content(n))), "end with the bytes": iotest.DataErrReader(bytes.NewReader(content(n))),
			"nothing now and then": &lazy{from: bytes.NewReader(content(n))},
		} {
			require.True(t, bytes.Equal(want, sealed(t, from)), "%s, %d bytes", name, n)
		}
		s, err := seal.NewSealer(bytes.NewReader(content(n)), int64(n), someKey())
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(s, want))
		for _, said := range sizes() { // what is said means nothing
			s, err := seal.NewSealer(bytes.NewReader(content(n)), int64(said), someKey())
			require.NoError(t, err)
			got, err := io.ReadAll(s)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%d bytes, %d were said", n, said)
		}
	}
}

// lazy gives no byte and no error every other time.
type lazy struct {
	from io.Reader
	turn int
}

func (l *lazy) Read(p []byte) (int, error) {
	if l.turn++; l.turn%2 == 0 {
		return 0, nil
	}
	return l.from.Read(p)
}

type never struct{}

func (never) Read([]byte) (int, error) { return 0, nil }

// A stream that was cut off has no last package: an error is an error, whichever.
func TestErrorsOfTheStream(t *testing.T) {
	for _, cut := range []error{io.ErrUnexpectedEOF, io.ErrClosedPipe, errors.Join(io.EOF)} {
		for _, n := range sizes() {
			s, err := seal.NewSealer(io.MultiReader(bytes.NewReader(content(n)), iotest.ErrReader(cut)), -1, someKey())
			require.NoError(t, err)
			out, err := io.ReadAll(s)
			require.Equal(t, cut, err, "%d bytes", n)
			require.Len(t, out, max(0, n-1)/b*(b+16))
			_, err = s.Read(make([]byte, 1))
			require.Equal(t, cut, err, "again")
		}
	}
	s, err := seal.NewSealer(never{}, -1, someKey())
	require.NoError(t, err)
	_, err = io.ReadAll(s)
	require.ErrorIs(t, err, io.ErrNoProgress)
	o, err := seal.NewOpener(iotest.ErrReader(io.ErrClosedPipe), someKey(), 10, 0, 10)
	require.NoError(t, err)
	_, err = io.ReadAll(o)
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

// Who can write what is stored can not make other bytes of it.
func TestWhatWasChangedDoesNotOpen(t *testing.T) {
	const size = 3*b + 100
	const p = b + seal.TagBytes
	stored := sealed(t, bytes.NewReader(content(size)))
	pack := func(numbers ...int) (out []byte) {
		for _, n := range numbers {
			out = append(out, stored[n*p:min(len(stored), (n+1)*p)]...)
		}
		return out
	}
	for why, c := range map[string]struct {
		stored []byte
		size   int64
	}{
		"cut at a border":          {pack(0, 1, 2), 3 * b},
		"cut at the first border":  {pack(0), b},
		"cut within a package":     {stored[:2*p+50], size},
		"shorter by a byte":        {stored[:len(stored)-1], size - 1},
		"the first left out":       {pack(1, 2, 3), size - b},
		"one left out":             {pack(0, 2, 3), size - b},
		"exchanged":                {pack(1, 0, 2, 3), size},
		"repeated":                 {pack(0, 0, 1, 2, 3), size + b},
		"bytes behind":             {append(pack(0, 1, 2, 3), content(p)...), size + b - 100},
		"the last before the last": {append(pack(0, 1), pack(3)...), size - b},
	} {
		_, err := open(c.stored, c.size, 0, c.size)
		require.ErrorIs(t, err, seal.ErrOpen, why)
	}
	for range 300 {
		at, bit := rand.IntN(len(stored)), byte(1)<<rand.IntN(8)
		stored[at] ^= bit
		off := int64(at / p * b)
		got, err := open(stored, size, off, min(b, size-off))
		require.ErrorIs(t, err, seal.ErrOpen)
		require.Empty(t, got)
		stored[at] ^= bit
	}
	other := someKey()
	other.Of[31] ^= 1
	o, err := seal.NewOpener(bytes.NewReader(stored), other, size, 0, size)
	require.NoError(t, err)
	_, err = io.ReadAll(o)
	require.ErrorIs(t, err, seal.ErrOpen)
	check, err := someKey().Check()
	require.NoError(t, err)
	is, err := other.Is(check)
	require.NoError(t, err)
	require.False(t, is)
	is, err = someKey().Is(check)
	require.NoError(t, err)
	require.True(t, is)
}

func BenchmarkSeal(bench *testing.B) {
	plain := content(8 << 20)
	bench.SetBytes(int64(len(plain)))
	for bench.Loop() {
		s, err := seal.NewSealer(bytes.NewReader(plain), -1, someKey())
		require.NoError(bench, err)
		_, err = io.Copy(io.Discard, s)
		require.NoError(bench, err)
	}
}

func BenchmarkOpen(bench *testing.B) {
	stored := sealed(bench, bytes.NewReader(content(8<<20)))
	bench.SetBytes(8 << 20)
	for bench.Loop() {
		o, err := seal.NewOpener(bytes.NewReader(stored), someKey(), 8<<20, 0, 8<<20)
		require.NoError(bench, err)
		_, err = io.Copy(io.Discard, o)
		require.NoError(bench, err)
	}
}
