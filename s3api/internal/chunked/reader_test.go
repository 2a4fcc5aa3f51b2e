// Goal: exactly the bodies that are whole and true end in io.EOF, however they
// arrive. Method: every way of cutting the source and the reads, every single
// byte changed, a list of bad forms, and a differential against a parser that
// has the whole body in memory.
package chunked_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/chunked"
)

// signer is a chain of hashes: not secret, but each depends on all before.
type signer struct{ previous string }

func (s *signer) next(kind string, digest []byte) string {
	sum := sha256.Sum256([]byte(kind + s.previous + string(digest)))
	s.previous = hex.EncodeToString(sum[:])
	return s.previous
}

func (s *signer) Chunk(digest []byte) string   { return s.next("chunk", digest) }
func (s *signer) Trailer(digest []byte) string { return s.next("trailer", digest) }

const trailerName = "x-amz-checksum-crc32"

// mode is one of the three payload modes.
type mode struct{ signed, trailing bool }

func modes() []mode { return []mode{{true, false}, {true, true}, {false, true}} }

func (m mode) format(size int) chunked.Format {
	f := chunked.Format{Size: int64(size), Trailing: m.trailing}
	if m.signed {
		f.Signed, f.Signer = true, &signer{}
	}
	if m.trailing {
		f.Declared = []string{trailerName}
	}
	return f
}

// encode writes chunks as a client does.
func (m mode) encode(chunks ...string) string {
	var b strings.Builder
	s := &signer{}
	digest := func(text string) []byte { sum := sha256.Sum256([]byte(text)); return sum[:] }
	for i := range len(chunks) + 1 {
		chunk := ""
		if i < len(chunks) {
			chunk = chunks[i]
		}
		fmt.Fprintf(&b, "%x", len(chunk))
		if m.signed {
			b.WriteString(";chunk-signature=" + s.Chunk(digest(chunk)))
		}
		b.WriteString("\r\n" + chunk)
		if chunk != "" {
			b.WriteString("\r\n")
		}
	}
	if m.trailing {
		b.WriteString(trailerName + ":y/Q5Jg==\r\n")
	}
	if m.trailing && m.signed {
		b.WriteString("x-amz-trailer-signature:" + s.Trailer(digest(trailerName+":y/Q5Jg==\n")) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

func decode(encoded string, f chunked.Format) (string, *chunked.Reader, error) {
	r := chunked.NewReader(strings.NewReader(encoded), f)
	data, err := io.ReadAll(r)
	return string(data), r, err
}

func TestEverySplit(t *testing.T) {
	chunks := []string{"hello ", "w", strings.Repeat("orld", 7)}
	want := strings.Join(chunks, "")
	for _, m := range modes() {
		encoded := m.encode(chunks...)
		for cut := range len(encoded) + 1 {
			source := io.MultiReader(strings.NewReader(encoded[:cut]), strings.NewReader(encoded[cut:]))
			data, err := io.ReadAll(chunked.NewReader(source, m.format(len(want))))
			require.NoError(t, err, "%v at %d", m, cut)
			require.Equal(t, want, string(data))
		}
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			r := chunked.NewReader(wrap(strings.NewReader(encoded)), m.format(len(want)))
			data, err := io.ReadAll(iotest.OneByteReader(r))
			require.NoError(t, err)
			require.Equal(t, want, string(data))
			if m.trailing {
				require.Equal(t, map[string]string{trailerName: "y/Q5Jg=="}, r.Trailer())
			}
		}
		require.NoError(t, iotest.TestReader(chunked.NewReader(strings.NewReader(encoded), m.format(len(want))), []byte(want)))
	}
}

func TestChunkSizes(t *testing.T) {
	for _, m := range modes() {
		for _, size := range []int{0, 1, 4095, 4096, 4097, 70_000} {
			text := strings.Repeat("x", size)
			chunks := []string{text}
			if size == 0 {
				chunks = nil
			}
			data, _, err := decode(m.encode(chunks...), m.format(size))
			require.NoError(t, err, size)
			require.Equal(t, text, data)
		}
	}
}

// A flipped bit in a signed body is always noticed; in an unsigned one wherever it
// is not in the bytes themselves or in the value of the trailer, which other
// checks are for, or one that changes only the case of a letter.
func TestEveryFlippedByte(t *testing.T) {
	chunks := []string{"hello ", "world"}
	want := strings.Join(chunks, "")
	for _, m := range modes() {
		encoded := m.encode(chunks...)
		for i := range len(encoded) {
			for bit := range 8 {
				changed := []byte(encoded)
				changed[i] ^= 1 << bit
				data, r, err := decode(string(changed), m.format(len(want)))
				if err == nil {
					sameCase := strings.EqualFold(string(changed), encoded)
					require.True(t, sameCase || !m.signed && (data != want || r.Trailer()[trailerName] != "y/Q5Jg=="),
						"%v byte %d bit %d: %q", m, i, bit, changed)
				}
			}
		}
		for i := range len(encoded) {
			_, _, err := decode(encoded[:i], m.format(len(want)))
			require.Error(t, err, "%v cut at %d", m, i)
		}
	}
}

func TestBadForms(t *testing.T) {
	good := mode{false, true}
	trailer := trailerName + ":y/Q5Jg==\r\n"
	for name, c := range map[string]struct {
		body string
		err  error
	}{
		"bytes behind the end":     {good.encode("ab") + "x", chunked.ErrFraming},
		"a second body":            {good.encode("ab") + good.encode("ab"), chunked.ErrFraming},
		"bare LF":                  {"2\nab\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"no size":                  {"\r\nab\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"sign":                     {"+2\r\nab\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"prefix":                   {"0x2\r\nab\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"space":                    {"2 \r\nab\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"huge size":                {"ffffffffffffffff\r\nab\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"too many digits":          {"00000000000000002\r\nab\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"extension":                {"2;a=b\r\nab\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"too many bytes":           {good.encode("abc"), chunked.ErrSize},
		"too few bytes":            {good.encode("a"), chunked.ErrSize},
		"chunk longer than itself": {"2\r\nabc\r\n0\r\n" + trailer + "\r\n", chunked.ErrFraming},
		"no trailer":               {"2\r\nab\r\n0\r\n\r\n", chunked.ErrTrailer},
		"trailer twice":            {"2\r\nab\r\n0\r\n" + trailer + trailer + "\r\n", chunked.ErrTrailer},
		"another trailer":          {"2\r\nab\r\n0\r\n" + trailer + "x-amz-meta-a:b\r\n\r\n", chunked.ErrTrailer},
		"signature nobody wants":   {"2\r\nab\r\n0\r\n" + trailer + "x-amz-trailer-signature:" + strings.Repeat("0", 64) + "\r\n\r\n", chunked.ErrTrailer},
		"trailer without colon":    {"2\r\nab\r\n0\r\nabc\r\n\r\n", chunked.ErrFraming},
		"endless trailer":          {"2\r\nab\r\n0\r\n" + trailerName + ":" + strings.Repeat("a", 10_000) + "\r\n\r\n", chunked.ErrFraming},
		"endless size":             {strings.Repeat("0", 10_000), chunked.ErrFraming},
		"nothing":                  {"", chunked.ErrSize},
	} {
		_, r, err := decode(c.body, good.format(2))
		require.ErrorIs(t, err, c.err, name)
		require.Nil(t, r.Trailer())
		_, again := r.Read(make([]byte, 1))
		require.Equal(t, err, again, "an error stays")
	}
	signed := mode{true, true}
	unsignedTrailer := signed.encode("ab")
	unsignedTrailer = unsignedTrailer[:strings.Index(unsignedTrailer, "x-amz-trailer-signature")] + "\r\n"
	_, _, err := decode(unsignedTrailer, signed.format(2))
	require.ErrorIs(t, err, chunked.ErrSignature)
}

func TestDocumentedEndOfTrailers(t *testing.T) {
	for _, m := range modes()[1:] {
		encoded := strings.Replace(m.encode("ab"), trailerName+":y/Q5Jg==\r\n", trailerName+":y/Q5Jg==\n\r\n", 1)
		data, _, err := decode(encoded, m.format(2))
		require.NoError(t, err)
		require.Equal(t, "ab", data)
	}
}

func TestErrorsOfTheSource(t *testing.T) {
	broken := errors.New("broken")
	for _, m := range modes() {
		encoded := m.encode("hello")
		for cut := range len(encoded) {
			source := io.MultiReader(strings.NewReader(encoded[:cut]), iotest.ErrReader(broken))
			_, err := io.ReadAll(chunked.NewReader(source, m.format(5)))
			require.ErrorIs(t, err, broken, "at %d", cut)
		}
	}
}

// simple is the definition for unsigned bodies, with the whole body at hand.
func simple(body string, size int) (string, bool) {
	var data string
	for {
		line, rest, ok := strings.Cut(body, "\r\n")
		n, err := strconv.ParseInt(line, 16, 64)
		if !ok || err != nil || strings.ContainsAny(line, "+-_\n") || len(line) > 16 || n > int64(size-len(data)) {
			return "", false
		}
		if n == 0 {
			body = rest
			break
		}
		if int64(len(rest)) < n+2 || rest[n:n+2] != "\r\n" {
			return "", false
		}
		data, body = data+rest[:n], rest[n+2:]
	}
	if len(data) != size {
		return "", false
	}
	line, rest, ok := strings.Cut(body, "\n")
	name, _, colon := strings.Cut(line, ":")
	if !ok || !colon || !strings.EqualFold(name, trailerName) {
		return "", false
	}
	value := strings.TrimSuffix(line[len(name)+1:], "\r")
	if strings.ContainsAny(strings.Trim(value, " \t"), "\r\x00") {
		return "", false
	}
	if !strings.HasSuffix(line, "\r") {
		rest = strings.TrimPrefix(rest, "\r\n")
		return data, rest == "\r\n"
	}
	return data, rest == "\r\n"
}

func FuzzReader(f *testing.F) {
	good := mode{false, true}
	f.Add([]byte(good.encode("hello", " world")), uint8(11), uint8(3))
	f.Add([]byte(good.encode()), uint8(0), uint8(0))
	f.Add([]byte(mode{true, true}.encode("a")), uint8(1), uint8(9))
	f.Fuzz(func(t *testing.T, body []byte, size, cut uint8) {
		if len(body) > 4000 {
			return
		}
		want, ok := simple(string(body), int(size))
		at := min(int(cut), len(body))
		source := io.MultiReader(bytes.NewReader(body[:at]), iotest.OneByteReader(bytes.NewReader(body[at:])))
		got, err := io.ReadAll(chunked.NewReader(source, good.format(int(size))))
		require.Equal(t, ok, err == nil, "%q: %v", body, err)
		if ok {
			require.Equal(t, want, string(got))
		}
		for _, m := range modes() {
			_, _, err := decode(string(body), m.format(int(size)))
			require.NotEqual(t, io.EOF, err)
		}
	})
}
