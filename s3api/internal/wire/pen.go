package wire

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// written is a document that writes itself: the listings do, as reflection over
// a page of a thousand keys costs more than finding them.
type written interface{ write(p *pen) }

// objectBytes is what an object of a listing takes, about.
const objectBytes = 320

// pen writes a document, as encoding/xml would.
type pen []byte

func (p *pen) begin(name string) { *p = append(append(append(*p, '<'), name...), '>') }
func (p *pen) end(name string)   { *p = append(append(append(*p, '<', '/'), name...), '>') }

// root begins a document, which has the namespace that all have.
func (p *pen) root(name, namespace string) {
	*p = append(append(append(*p, '<'), name...), ` xmlns="`...)
	p.escape(namespace)
	*p = append(*p, '"', '>')
}

func (p *pen) text(name, value string) {
	p.begin(name)
	p.escape(value)
	p.end(name)
}

// some writes an element that is left out where it is empty.
func (p *pen) some(name, value string) {
	if value != "" {
		p.text(name, value)
	}
}

// given writes an element that is left out where there is none.
func (p *pen) given(name string, value *string) {
	if value != nil {
		p.text(name, *value)
	}
}

func (p *pen) number(name string, value int64) {
	p.begin(name)
	*p = strconv.AppendInt(*p, value, 10)
	p.end(name)
}

func (p *pen) truth(name string, value bool) {
	p.begin(name)
	*p = strconv.AppendBool(*p, value)
	p.end(name)
}

func (p *pen) each(name string, values []string) {
	for _, value := range values {
		p.some(name, value)
	}
}

func (p *pen) owner(o *Owner) {
	if o == nil {
		return
	}
	p.begin("Owner")
	p.text("ID", o.ID)
	p.some("DisplayName", o.DisplayName)
	p.end("Owner")
}

func (p *pen) prefixes(all []Prefix) {
	for i := range all {
		p.begin("CommonPrefixes")
		p.text("Prefix", all[i].Prefix)
		p.end("CommonPrefixes")
	}
}

// escape writes text. What XML 1.0 can not have is U+FFFD.
func (p *pen) escape(text string) {
	b, kept := *p, 0
	for i := 0; i < len(text); {
		width, as := 1, ""
		c := text[i]
		if '(' <= c && c <= ';' || '?' <= c && c < utf8.RuneSelf { // most of what there is
			i++
			continue
		}
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(text[i:])
			if width = n; r == utf8.RuneError && n == 1 || r == '\uFFFE' || r == '\uFFFF' {
				as = "\uFFFD"
			}
		case c == '"':
			as = "&#34;"
		case c == '\'':
			as = "&#39;"
		case c == '&':
			as = "&amp;"
		case c == '<':
			as = "&lt;"
		case c == '>':
			as = "&gt;"
		case c == '\t':
			as = "&#x9;"
		case c == '\n':
			as = "&#xA;"
		case c == '\r':
			as = "&#xD;"
		case c < ' ':
			as = "\uFFFD"
		}
		if as != "" {
			b = append(append(b, text[kept:i]...), as...)
			kept = i + width
		}
		i += width
	}
	*p = append(b, text[kept:]...)
}

func (l *ListObjects) write(p *pen) {
	p.root("ListBucketResult", l.Namespace)
	p.text("Name", l.Name)
	p.text("Prefix", l.Prefix)
	p.text("Marker", l.Marker)
	p.given("NextMarker", l.NextMarker)
	p.number("MaxKeys", int64(l.MaxKeys))
	p.given("Delimiter", l.Delimiter)
	p.truth("IsTruncated", l.IsTruncated)
	p.some("EncodingType", l.EncodingType)
	p.objects(l.Contents)
	p.prefixes(l.CommonPrefixes)
	p.end("ListBucketResult")
}

func (l *ListObjectsV2) write(p *pen) {
	p.root("ListBucketResult", l.Namespace)
	p.text("Name", l.Name)
	p.text("Prefix", l.Prefix)
	p.given("Delimiter", l.Delimiter)
	p.number("MaxKeys", int64(l.MaxKeys))
	p.number("KeyCount", int64(l.KeyCount))
	p.truth("IsTruncated", l.IsTruncated)
	p.some("EncodingType", l.EncodingType)
	p.given("ContinuationToken", l.ContinuationToken)
	p.some("NextContinuationToken", l.NextContinuationToken)
	p.given("StartAfter", l.StartAfter)
	p.objects(l.Contents)
	p.prefixes(l.CommonPrefixes)
	p.end("ListBucketResult")
}

func (p *pen) objects(all []Object) {
	*p = slices.Grow(*p, objectBytes*len(all))
	for i := range all {
		o := &all[i]
		p.begin("Contents")
		p.text("Key", o.Key)
		p.text("LastModified", o.LastModified)
		p.text("ETag", o.ETag)
		p.each("ChecksumAlgorithm", o.ChecksumAlgorithm)
		p.some("ChecksumType", o.ChecksumType)
		p.number("Size", o.Size)
		p.text("StorageClass", o.StorageClass)
		p.owner(o.Owner)
		p.end("Contents")
	}
}

func (l *ListVersions) write(p *pen) {
	p.root("ListVersionsResult", l.Namespace)
	p.text("Name", l.Name)
	p.text("Prefix", l.Prefix)
	p.text("KeyMarker", l.KeyMarker)
	p.text("VersionIdMarker", l.VersionIDMarker)
	p.given("NextKeyMarker", l.NextKeyMarker)
	p.some("NextVersionIdMarker", l.NextVersionIDMarker)
	p.number("MaxKeys", int64(l.MaxKeys))
	p.given("Delimiter", l.Delimiter)
	p.truth("IsTruncated", l.IsTruncated)
	p.some("EncodingType", l.EncodingType)
	for i := range l.Versions {
		p.version(&l.Versions[i])
	}
	p.prefixes(l.CommonPrefixes)
	p.end("ListVersionsResult")
}

func (p *pen) version(v *Version) {
	p.begin(v.XMLName.Local)
	p.text("Key", v.Key)
	p.text("VersionId", v.VersionID)
	p.truth("IsLatest", v.IsLatest)
	p.text("LastModified", v.LastModified)
	p.some("ETag", v.ETag)
	p.each("ChecksumAlgorithm", v.ChecksumAlgorithm)
	p.some("ChecksumType", v.ChecksumType)
	if v.Size != nil {
		p.number("Size", *v.Size)
	}
	p.some("StorageClass", v.StorageClass)
	p.owner(v.Owner)
	p.end(v.XMLName.Local)
}
