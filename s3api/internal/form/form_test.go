// Goal: a form gives its fields and its file as they were sent, in bounded memory,
// whatever is sent. Method: forms written by hand and by the standard library, read
// whole, in small pieces and cut off at every byte.
package form_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/form"
)

// part is one field; of a file the name is "file".
type part struct{ name, filename, value string }

// write gives a form.
func write(t testing.TB, parts ...part) (body, boundary string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	require.NoError(t, w.SetBoundary("limit"))
	for _, p := range parts {
		var to io.Writer
		var err error
		if p.filename != "" {
			to, err = w.CreateFormFile(p.name, p.filename)
		} else {
			to, err = w.CreateFormField(p.name)
		}
		require.NoError(t, err)
		_, err = io.WriteString(to, p.value)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String(), w.Boundary()
}

func TestFieldsAndFile(t *testing.T) {
	content := strings.Repeat("\r\n--limi\r\n--", 5000)
	body, boundary := write(t, part{"Key", "", "a/${filename}"}, part{"policy", "", "${filename}"}, part{"x-amz-meta-É", "key", "ü"}, part{"file", `C:\b\c.txt`, content}, part{"submit", "", "x"})
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(body), "bytes": iotest.OneByteReader(strings.NewReader(body)),
		"halves": iotest.HalfReader(strings.NewReader(body)), "error with data": iotest.DataErrReader(strings.NewReader(body)),
	} {
		f, err := form.Read(r, boundary)
		require.NoError(t, err, name)
		require.Equal(t, []string{"key", "policy", "x-amz-meta-é"}, f.Names())
		require.Equal(t, "a/c.txt", f.Get("key"))
		require.Equal(t, "${filename}", f.Get("policy"), "it was signed as it is")
		require.Equal(t, "ü", f.Get("x-amz-meta-é"))
		require.True(t, f.Has("key"))
		require.False(t, f.Has("submit"), "what is behind the file is not read")
		got, err := io.ReadAll(f.File)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
}

func TestFilenames(t *testing.T) {
	for sent, want := range map[string]string{
		"a.txt": "a.txt", "/home/a.txt": "a.txt", `C:\x\a.txt`: "a.txt", `\\h/x\a b.txt`: "a b.txt", "..": "..", "x/": "", "ü.txt": "ü.txt", `a\"b`: `a"b`,
	} {
		body := "--limit\r\nContent-Disposition: form-data; name=key\r\n\r\n${filename}\r\n--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + sent + "\"\r\n\r\nx\r\n--limit--\r\n"
		f, err := form.Read(strings.NewReader(body), "limit")
		require.NoError(t, err)
		require.Equal(t, want, f.Get("key"), sent)
	}
}

// A form that ends before its file does must not look like one with a shorter file.
func TestFormsThatBreakOff(t *testing.T) {
	body, boundary := write(t, part{"key", "", "a"}, part{"file", "f", "content\r\n"})
	end := strings.Index(body, "\r\n--limit--")
	for n := range len(body) {
		f, err := form.Read(strings.NewReader(body[:n]), boundary)
		if err != nil {
			require.Less(t, n, end, "the fields were there")
			require.True(t, errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, form.ErrMalformed) || errors.Is(err, form.ErrNoFile), "%d: %v", n, err)
			continue
		}
		got, err := io.ReadAll(f.File)
		if n < end+len("\r\n--limit") {
			require.Error(t, err, "cut at %d: %q", n, got)
		}
	}
	broken := errors.New("the line is dead")
	for n := range end {
		f, err := form.Read(io.MultiReader(strings.NewReader(body[:n]), iotest.ErrReader(broken)), boundary)
		if err == nil {
			_, err = io.ReadAll(f.File)
		}
		require.ErrorIs(t, err, broken, "broken at %d", n)
	}
}

func TestFormsThatAreNone(t *testing.T) {
	head := "--limit\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
	for body, want := range map[string]error{
		"":                              io.EOF,
		"x":                             io.EOF,
		"--limit--\r\n":                 form.ErrNoFile,
		head + "x\r\n--limit--\r\n":     form.ErrNoFile,
		"--limit\r\n\r\nx\r\n--limit--": form.ErrMalformed,
		"--limit\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--limit--":   form.ErrMalformed,
		"--limit\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nx\r\n--limit--":     form.ErrMalformed,
		"--limit\r\nContent-Disposition: form-data; name=\"a\"\r\nnone\r\n\r\n--limit--": form.ErrMalformed,
		head + "x\r\n" + head + "y\r\n--limit--":                                         form.ErrTwice,
		head + "x\r\n" + strings.Replace(head, `"a"`, `"A"`, 1) + "y\r\n--limit--":       form.ErrTwice,
	} {
		_, err := form.Read(strings.NewReader(body), "limit")
		if want == io.EOF { // no part at all: the end comes too early
			require.Error(t, err, body)
			continue
		}
		require.ErrorIs(t, err, want, "%q", body)
	}
}

func TestBoundaries(t *testing.T) {
	for text, want := range map[string]string{
		"multipart/form-data; boundary=x": "x", `Multipart/Form-Data; boundary="a b"`: "a b",
		"multipart/form-data": "", "multipart/mixed; boundary=x": "", "": "", "multipart/form-data; boundary": "",
		"multipart/form-data; boundary=" + strings.Repeat("x", 71): "",
	} {
		got, ok := form.Boundary(text)
		require.Equal(t, want != "", ok, text)
		if ok {
			require.Equal(t, want, got)
		}
	}
}

// endless gives one byte for ever, and counts.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestFieldsAreBounded(t *testing.T) {
	field := func(name string) string {
		return "--limit\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n"
	}
	var many strings.Builder
	for i := range form.MaxFields + 1 {
		many.WriteString(field("f"+strconv.Itoa(i)) + "\r\n")
	}
	for name, head := range map[string]string{
		"a value": field("a"), "a header": "--limit\r\nX: ", "no part": "", "many fields": many.String(),
	} {
		rest := &endless{}
		_, err := form.Read(io.MultiReader(strings.NewReader(head), rest), "limit")
		if name == "no part" { // given up sooner
			require.ErrorIs(t, err, form.ErrMalformed)
		} else {
			require.ErrorIs(t, err, form.ErrTooLarge, name)
		}
		require.Less(t, rest.read, 256<<10, name)
	}
	value := strings.Repeat("x", form.MaxBytes-1)
	for extra, want := range map[string]error{"": nil, "x": form.ErrTooLarge} {
		body, boundary := write(t, part{"a", "", value + extra}, part{"file", "f", "x"})
		_, err := form.Read(strings.NewReader(body), boundary)
		require.ErrorIs(t, err, want)
	}
	// A file may have more than the fields.
	body, boundary := write(t, part{"a", "", "x"}, part{"file", "f", strings.Repeat("y", 1<<20)})
	f, err := form.Read(strings.NewReader(body), boundary)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, f.File)
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, n)
}

// FuzzRead compares with the reader of whole forms of the standard library, where
// that one takes a form.
func FuzzRead(f *testing.F) {
	body, _ := write(f, part{"key", "", "a"}, part{"x", "y", "z"}, part{"file", "f", "content"}, part{"b", "", "c"})
	f.Add([]byte(body), 1)
	f.Add([]byte("--limit\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n--limit--"), 7)
	f.Add([]byte("--limit\nContent-Disposition: form-data; name=a\n\n\n--limit--"), 3)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		got, err := form.Read(&steps{bytes.NewReader(data), 1 + step&0xff}, "limit")
		if err != nil {
			return
		}
		content, err := io.ReadAll(got.File)
		if err != nil {
			return
		}
		whole := multipart.NewReader(bytes.NewReader(data), "limit")
		fields := map[string]string{}
		for {
			p, err := whole.NextRawPart()
			require.NoError(t, err)
			value, err := io.ReadAll(p)
			require.NoError(t, err)
			if strings.EqualFold(p.FormName(), "file") {
				require.Equal(t, value, content)
				break
			}
			fields[strings.ToLower(p.FormName())] = string(value)
		}
		names := slices.Clone(got.Names())
		slices.Sort(names)
		require.Equal(t, slices.Sorted(maps.Keys(fields)), append([]string(nil), names...))
		for name, value := range fields {
			if strings.Contains(value, "${filename}") { // how it is replaced is told in tables
				continue
			}
			require.Equal(t, value, got.Get(name))
		}
	})
}

// steps reads so many bytes at once.
type steps struct {
	io.Reader
	n int
}

func (s *steps) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), s.n)]) }
