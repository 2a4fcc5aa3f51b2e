// Package form reads the forms by which browsers upload objects: the fields up to
// the file, the file as a stream, and the policy that says what a form may
// have. It guarantees that fields take no more memory than [MaxBytes], however they
// are sent, and that a file that breaks off does not look complete. It knows
// neither signatures nor a store; a Form is for one goroutine.
package form

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

const (
	// MaxBytes is what the fields before the file may have, names and values.
	MaxBytes = 64 << 10
	// MaxFields is how many they may be.
	MaxFields = 200

	// maxSent bounds what is read before the file, with lines around the fields.
	maxSent = 2*MaxBytes + MaxFields*256
	file    = "file"
)

// Errors of reading a form.
var (
	// ErrMalformed: the body is no form of multipart/form-data.
	ErrMalformed = errors.New("malformed form")
	// ErrTooLarge: the fields before the file are too many or too large.
	ErrTooLarge = errors.New("the fields of the form are too large")
	// ErrTwice: two fields have one name.
	ErrTwice = errors.New("a field of the form comes twice")
	// ErrNoFile: the form ends and no file was in it.
	ErrNoFile = errors.New("the form has no file")
)

// Form is one whose fields up to the file were read.
type Form struct {
	// File gives the bytes of the file, and io.EOF only if the form goes on or ends
	// behind them as it should.
	File io.Reader

	names  []string // in order, in lower case
	values map[string]string
}

// Boundary gives the boundary of a form from the content type of a request; false
// says that the request has none.
func Boundary(contentType string) (string, bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	boundary := parameters["boundary"]
	const longest = 70 // RFC 2046, section 5.1.1
	return boundary, err == nil && kind == "multipart/form-data" && boundary != "" && len(boundary) <= longest
}

// Read reads up to the file. Fields behind it are never read, as on S3.
func Read(body io.Reader, boundary string) (*Form, error) {
	source := &bounded{source: body, left: maxSent}
	parts := multipart.NewReader(source, boundary)
	f := &Form{values: map[string]string{}}
	bytes := 0
	for {
		part, err := parts.NextRawPart()
		switch {
		case source.exhausted:
			return nil, ErrTooLarge
		case err == io.EOF:
			return nil, ErrNoFile
		case err != nil:
			return nil, broken(source, err)
		}
		name, filename, err := disposition(part)
		if err != nil {
			return nil, err
		}
		if name == file {
			source.unbounded = true
			f.File = part
			f.expand(base(filename))
			return f, nil
		}
		value, err := io.ReadAll(part)
		if source.exhausted {
			return nil, ErrTooLarge
		}
		if err != nil {
			return nil, broken(source, err)
		}
		if bytes += len(name) + len(value); bytes > MaxBytes || len(f.names) == MaxFields {
			return nil, ErrTooLarge
		}
		if f.Has(name) {
			return nil, fmt.Errorf("%w: %q", ErrTwice, name)
		}
		f.names = append(f.names, name)
		f.values[name] = string(value)
	}
}

// broken tells what is wrong with the form from what is wrong with the connection.
func broken(source *bounded, err error) error {
	if source.err != nil && source.err != io.EOF {
		return source.err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// disposition gives the name of a field in lower case, and of a file the name that
// it has.
func disposition(part *multipart.Part) (name, filename string, err error) {
	kind, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || kind != "form-data" || parameters["name"] == "" {
		return "", "", fmt.Errorf("%w: a part without a name", ErrMalformed)
	}
	return strings.ToLower(parameters["name"]), parameters["filename"], nil
}

// base cuts folders off, of whichever system.
func base(filename string) string { return filename[strings.LastIndexAny(filename, `/\`)+1:] }

// Has says whether there is a field of that lower-case name.
func (f *Form) Has(name string) bool {
	_, ok := f.values[name]
	return ok
}

// Get gives the value of the field of that lower-case name, with the file's name,
// without folders, in the place of ${filename}.
func (f *Form) Get(name string) string { return f.values[name] }

// Names lists the fields in the order of the form, in lower case.
func (f *Form) Names() []string { return f.names }

// expand puts the name of the file into all fields but those that sign and what
// they sign.
func (f *Form) expand(filename string) {
	for name, value := range f.values {
		if !signs(name) {
			f.values[name] = strings.ReplaceAll(value, "${filename}", filename)
		}
	}
}

// bounded gives no more than it may until it is unbounded, and keeps the error of
// its source.
type bounded struct {
	source    io.Reader
	left      int
	exhausted bool
	unbounded bool
	err       error
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if !b.unbounded {
		if b.left == 0 {
			b.exhausted = true
			return 0, ErrTooLarge
		}
		p = p[:min(len(p), b.left)]
	}
	n, err := b.source.Read(p)
	b.left -= n
	if err != nil {
		b.err = err
	}
	return n, err
}
