package wire

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Errors of headers with a grammar.
var (
	// ErrSource: x-amz-copy-source is not [/]BUCKET/KEY[?versionId=ID].
	ErrSource = errors.New("invalid copy source")
	// ErrRange: x-amz-copy-source-range is not bytes=FIRST-LAST.
	ErrRange = errors.New("invalid range")
)

// ValidHeader says whether a parameter of a query can stand for a header: a token
// (RFC 9110, section 5.6.2), and a value without control characters but tabs.
func ValidHeader(name, value string) bool {
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r) }
	return name != "" && !strings.ContainsFunc(name, odd) && ValidValue(value)
}

// ValidValue says whether a header can have a value.
func ValidValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// Range is a range of bytes as it was asked for. The zero Range is the whole.
type Range struct {
	Given  bool
	First  int64 // from 0; of a suffix 0
	Last   int64 // inclusive; −1: to the end
	Suffix int64 // the last so many bytes; −1: not a suffix
}

// ParseRange reads a Range header. One range of bytes is obeyed; several, other
// units and what is malformed ask for the whole, as S3 answers them.
func ParseRange(header string) Range {
	set, ok := strings.CutPrefix(header, "bytes=")
	first, last, dashed := strings.Cut(strings.Trim(set, " \t"), "-")
	if !ok || !dashed || strings.Contains(set, ",") {
		return Range{}
	}
	first, last = strings.TrimRight(first, " \t"), strings.TrimLeft(last, " \t")
	from, fromOK := number(first)
	to, toOK := number(last)
	switch {
	case fromOK && toOK && from <= to:
		return Range{Given: true, First: from, Last: to, Suffix: -1}
	case fromOK && last == "":
		return Range{Given: true, First: from, Last: -1, Suffix: -1}
	case first == "" && toOK:
		return Range{Given: true, Last: -1, Suffix: to}
	default:
		return Range{}
	}
}

// ParseSourceRange reads x-amz-copy-source-range, which knows only
// bytes=FIRST-LAST.
func ParseSourceRange(header string) (Range, error) {
	r := ParseRange(header)
	if !r.Given || r.Suffix >= 0 || r.Last < 0 {
		return Range{}, fmt.Errorf("%w: bytes=FIRST-LAST is wanted", ErrRange)
	}
	return r, nil
}

// number reads decimal digits; those beyond the largest number mean that.
func number(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, _ := strconv.ParseInt(text, 10, 64) // out of range gives the largest number
	return n, true
}

// Source is what is to be copied.
type Source struct {
	Bucket    string
	Key       string
	VersionID string // empty: the latest
}

// ParseSource reads x-amz-copy-source: percent-encoded, a leading slash or none.
func ParseSource(header string) (Source, error) {
	path, query, versioned := strings.Cut(header, "?")
	var source Source
	if versioned {
		id, ok := strings.CutPrefix(query, "versionId=")
		decoded, err := url.QueryUnescape(id)
		if !ok || err != nil || decoded == "" || strings.Contains(id, "&") {
			return Source{}, fmt.Errorf("%w: only versionId may follow the key", ErrSource)
		}
		source.VersionID = decoded
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return Source{}, fmt.Errorf("%w: invalid escape", ErrSource)
	}
	var ok bool
	source.Bucket, source.Key, ok = strings.Cut(strings.TrimPrefix(decoded, "/"), "/")
	valid, _ := ValidKey(source.Key)
	if !ok || source.Bucket == "" || !valid {
		return Source{}, fmt.Errorf("%w: [/]BUCKET/KEY is wanted", ErrSource)
	}
	return source, nil
}
