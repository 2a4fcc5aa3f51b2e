package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Errors of reading a document.
var (
	// ErrMalformed: not well formed, another document, or something behind its end.
	ErrMalformed = errors.New("malformed XML")
	// ErrTooLarge: more bytes, elements or levels than allowed.
	ErrTooLarge = errors.New("the XML document is too large")
)

// Limits bounds one document. All must be above 0.
type Limits struct {
	Bytes    int64
	Elements int
	Depth    int
}

// ReadLimited reads everything, or gives [ErrTooLarge] when there are more than
// limit bytes; other errors are the reader's own.
func ReadLimited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return data, nil
}

// Decode reads one document into v, whose XMLName says which one it must be.
func Decode(data []byte, limits Limits, v any) error {
	if int64(len(data)) > limits.Bytes {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limits.Bytes)
	}
	tokens := &bounded{decoder: xml.NewDecoder(bytes.NewReader(data)), limits: limits}
	if err := xml.NewTokenDecoder(tokens).Decode(v); err != nil {
		if errors.Is(err, ErrTooLarge) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for {
		token, err := tokens.decoder.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: behind the end: %w", ErrMalformed, err)
		}
		text, isText := token.(xml.CharData)
		if _, isComment := token.(xml.Comment); !isComment && !(isText && len(bytes.TrimSpace(text)) == 0) {
			return fmt.Errorf("%w: something follows the document", ErrMalformed)
		}
	}
}

// bounded counts what a decoder gives.
type bounded struct {
	decoder  *xml.Decoder
	limits   Limits
	elements int
	depth    int
}

// Token implements xml.TokenReader.
func (b *bounded) Token() (xml.Token, error) {
	token, err := b.decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token.(type) {
	case xml.StartElement:
		b.elements++
		b.depth++
		if b.elements > b.limits.Elements || b.depth > b.limits.Depth {
			return nil, fmt.Errorf("%w: more than %d elements or %d levels", ErrTooLarge, b.limits.Elements, b.limits.Depth)
		}
	case xml.EndElement:
		b.depth--
	case xml.Directive:
		return nil, fmt.Errorf("%w: a document type is not accepted", ErrMalformed)
	}
	return token, nil
}
