package s3api

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

const (
	metadataPrefix = "X-Amz-Meta-"
	checksumPrefix = "x-amz-checksum-"
	defaultType    = "binary/octet-stream"
)

// headerMinimum says which objects are too small to be moved to other storage
// classes. There are none here; what was said is given back.
const headerMinimum = "X-Amz-Transition-Default-Minimum-Object-Size"

// standardHeaders are kept with an object and given back with it.
func standardHeaders() []string {
	return []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires", "X-Amz-Website-Redirect-Location"}
}

// algorithmOf gives the algorithm of a header or trailer such as
// x-amz-checksum-crc32, in lower case; None if it is not the name of one.
func algorithmOf(name string) checksum.Algorithm {
	suffix, ok := strings.CutPrefix(name, checksumPrefix)
	if !ok {
		return checksum.None
	}
	algorithm, err := checksum.ParseAlgorithm(strings.ToUpper(suffix))
	if err != nil {
		return checksum.None
	}
	return algorithm
}

func checksumHeader(algorithm checksum.Algorithm) string {
	return checksumPrefix + strings.ToLower(algorithm.String())
}

// description is what an object says of itself.
type description struct {
	contentType       string
	headers, metadata map[string]string
}

// description reads the headers that are kept with an object.
func (c *call) description() (description, error) {
	d := description{contentType: c.Header.Get("Content-Type"), headers: map[string]string{}, metadata: map[string]string{}}
	if d.contentType == "" {
		d.contentType = defaultType
	}
	for _, name := range standardHeaders() {
		value := strings.Join(c.Header.Values(name), ",")
		if name == "Content-Encoding" {
			value = withoutChunked(value)
		}
		if value != "" {
			d.headers[strings.ToLower(name)] = value
		}
	}
	size := int64(0)
	for name, values := range c.Header {
		short, ok := strings.CutPrefix(name, metadataPrefix)
		if !ok || short == "" {
			continue
		}
		value := strings.Join(values, ",")
		d.metadata[strings.ToLower(short)] = value
		size += int64(len(short) + len(value))
	}
	if size > c.opt.Limits.Metadata {
		return d, fail("MetadataTooLarge").with("Size", strconv.FormatInt(size, 10)).with("MaxSizeAllowed", strconv.FormatInt(c.opt.Limits.Metadata, 10))
	}
	return d, nil
}

// withoutChunked takes the encoding that concerns the request only out of a
// list of encodings.
func withoutChunked(encodings string) string {
	kept := slices.DeleteFunc(strings.Split(encodings, ","), func(one string) bool {
		return strings.EqualFold(strings.TrimSpace(one), "aws-chunked")
	})
	return strings.TrimSpace(strings.Join(kept, ","))
}

// putOptions reads everything that a request says of an object to be written
// but its checksums.
func (c *call) putOptions() (*sherd.PutOptions, error) {
	d, err := c.description()
	if err != nil {
		return nil, err
	}
	o := &sherd.PutOptions{
		ContentType: d.contentType, Headers: d.headers, Metadata: d.metadata,
		MD5: true, Verify: c.finish,
	}
	if o.Owner, o.Access, err = c.newAccess(); err != nil {
		return nil, err
	}
	if o.Encryption, err = c.newEncryption(); err != nil {
		return nil, err
	}
	if o.Tags, err = parseTags(c.Header.Get("X-Amz-Tagging")); err != nil {
		return nil, err
	}
	if o.StorageClass, err = parseStorageClass(c.Header.Get("X-Amz-Storage-Class")); err != nil {
		return nil, err
	}
	if o.Retention, o.LegalHold, err = c.lockState(); err != nil {
		return nil, err
	}
	o.Conditions = writeConditions(c.Header)
	return o, nil
}

// writeConditions reads the conditions of operations that write an object.
func writeConditions(h http.Header) sherd.Conditions {
	return sherd.Conditions{IfMatch: listed(h, "If-Match"), IfNoneMatch: listed(h, "If-None-Match")}
}

// headerNumber reads a header that counts something: from 0, at most the most,
// which a larger one means too; without it, otherwise.
func headerNumber(h http.Header, name string, otherwise, most int) (int, error) {
	text := h.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, fail("InvalidArgument").with("ArgumentName", strings.ToLower(name)).with("ArgumentValue", text)
	}
	return min(int(n), most), nil
}

// listed is a header that is a list, which may stand in several lines.
func listed(h http.Header, name string) string { return strings.Join(h.Values(name), ",") }

// lockState reads the retention and the legal hold of a new version.
func (c *call) lockState() (lock.Retention, bool, error) {
	var retention lock.Retention
	mode, until := c.Header.Get("X-Amz-Object-Lock-Mode"), c.Header.Get("X-Amz-Object-Lock-Retain-Until-Date")
	if (mode == "") != (until == "") {
		return retention, false, fail("InvalidArgument").saying("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	}
	if mode != "" {
		var err error
		var ok bool
		if retention.Mode, err = lock.ParseMode(mode); err != nil {
			return retention, false, fail("InvalidArgument").saying("Unknown wormMode directive.")
		}
		if retention.Until, ok = wire.ParseStamp(until); !ok {
			return retention, false, fail("InvalidArgument").saying("The retain until date must be provided in ISO 8601 format")
		}
		retention.Until = untilDate(retention.Until)
	}
	switch c.Header.Get("X-Amz-Object-Lock-Legal-Hold") {
	case "ON":
		return retention, true, nil
	case "OFF", "":
		return retention, false, nil
	default:
		return retention, false, fail("InvalidArgument").saying("Legal Hold must be either of 'ON' or 'OFF'")
	}
}

// The storage classes, as the store has them.
const (
	standardClass uint8 = 0
	reducedClass  uint8 = 1
)

func parseStorageClass(text string) (uint8, error) {
	switch text {
	case "", "STANDARD":
		return standardClass, nil
	case "REDUCED_REDUNDANCY":
		return reducedClass, nil
	default:
		return 0, fail("InvalidStorageClass").with("StorageClassRequested", text)
	}
}

func storageClassName(class uint8) string {
	if class == reducedClass {
		return "REDUCED_REDUNDANCY"
	}
	return "STANDARD"
}

// contentMD5 reads Content-MD5; nil where there is none.
func (c *call) contentMD5() ([]byte, error) {
	values := c.Header.Values("Content-Md5")
	if len(values) == 0 {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(values[0])
	if err != nil || len(sum) != md5.Size || len(values) > 1 {
		return nil, fail("InvalidDigest")
	}
	return sum, nil
}

// checksums reads which checksum the body comes with, in a header or behind it;
// nil where there is none.
func (c *call) checksums() (*sherd.ChecksumRequest, error) {
	var names []string
	for name := range c.Header {
		lower := strings.ToLower(name)
		switch {
		case algorithmOf(lower) != checksum.None:
			names = append(names, lower)
		case lower == checksumPrefix+"type", lower == checksumPrefix+"mode", lower == checksumPrefix+"algorithm":
		case strings.HasPrefix(lower, checksumPrefix):
			return nil, fail("NotImplemented").with("Header", lower)
		}
	}
	inHeader := len(names) == 1
	names = append(names, c.Declared...)
	if len(names) > 1 {
		return nil, fail("InvalidRequest").saying("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	announced := c.Header.Get("X-Amz-Sdk-Checksum-Algorithm")
	if announced != "" {
		if _, err := checksum.ParseAlgorithm(strings.ToUpper(announced)); err != nil {
			return nil, fail("InvalidRequest").saying("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128]")
		}
	}
	if len(names) == 0 {
		if announced != "" {
			return nil, fail("InvalidRequest").saying("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		}
		return nil, nil
	}
	name, algorithm := names[0], algorithmOf(names[0])
	if announced != "" && !strings.EqualFold(announced, algorithm.String()) {
		return nil, fail("InvalidRequest").saying("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	request := &sherd.ChecksumRequest{Algorithms: []checksum.Algorithm{algorithm}}
	if inHeader {
		sum, err := parseSum(name, c.Header.Get(name))
		request.Expected = func() ([]sherd.Checksum, error) { return []sherd.Checksum{sum}, nil }
		return request, err
	}
	request.Expected = func() ([]sherd.Checksum, error) {
		if err := c.finish(); err != nil {
			return nil, err
		}
		sum, err := parseSum(name, c.Trailer()[name])
		return []sherd.Checksum{sum}, err
	}
	return request, nil
}

// storedChecksums is checksums for what is stored: as on S3 it has at least a
// CRC64NVME, whatever it came with. Where even the MD5 is hidden, there is none that
// nobody sent.
func (c *call) storedChecksums(e *sherd.Encryption) (*sherd.ChecksumRequest, error) {
	request, err := c.checksums()
	if request == nil && err == nil && (e == nil || !e.HideMD5) {
		request = checksumOf(checksum.CRC64NVME)
	}
	return request, err
}

// checksumOf asks for a checksum that nobody sent.
func checksumOf(algorithm checksum.Algorithm) *sherd.ChecksumRequest {
	return &sherd.ChecksumRequest{Algorithms: []checksum.Algorithm{algorithm}}
}

// parseSum reads the value of a header or trailer of the whole body.
func parseSum(name, value string) (sherd.Checksum, error) {
	sum, err := checksum.ParseSum(algorithmOf(name), value)
	if err != nil || sum.Type != checksum.FullObject {
		return sherd.Checksum{}, fail("BadDigest").saying("Value for " + name + " header is invalid.")
	}
	return sum, nil
}

// small reads a body that fits in memory and verifies all that is said of it.
func (c *call) small() ([]byte, error) {
	request, err := c.checksums()
	if err != nil {
		return nil, err
	}
	data, err := c.smallWithoutChecksum()
	if err != nil || request == nil {
		return data, err
	}
	expected, err := request.Expected()
	if err != nil {
		return nil, err
	}
	for _, sum := range expected {
		h, err := sum.Algorithm.New()
		if err != nil {
			return nil, err
		}
		h.Write(data)
		if !bytes.Equal(h.Sum(nil), sum.Value) {
			return nil, fail("BadDigest")
		}
	}
	return data, nil
}

// smallWithoutChecksum is small where the headers with checksums mean something
// else than the body.
func (c *call) smallWithoutChecksum() ([]byte, error) {
	if c.whole != nil {
		return *c.whole, nil
	}
	wanted, err := c.contentMD5()
	if err != nil {
		return nil, err
	}
	data, err := wire.ReadLimited(c.Body, c.opt.Limits.XMLBytes)
	if err != nil {
		return nil, err
	}
	if c.Size >= 0 && int64(len(data)) != c.Size {
		return nil, fail("IncompleteBody").closing()
	}
	if wanted != nil {
		if sum := md5.Sum(data); !bytes.Equal(sum[:], wanted) {
			return nil, fail("BadDigest")
		}
	}
	c.whole = &data
	return data, nil
}

// readConditions reads the conditions of GET and HEAD.
func readConditions(h http.Header) sherd.Conditions {
	return sherd.Conditions{
		IfMatch: listed(h, "If-Match"), IfNoneMatch: listed(h, "If-None-Match"),
		IfModifiedSince: httpTime(h.Get("If-Modified-Since")), IfUnmodifiedSince: httpTime(h.Get("If-Unmodified-Since")),
	}
}

// httpTime reads a time; one that is none counts as not given (RFC 9110, section
// 13.1.3).
func httpTime(text string) time.Time {
	t, _ := wire.ParseStamp(text)
	return t
}

// describe sets the headers that say what an object is.
func (c *call) describe(info *sherd.ObjectInfo) {
	h := c.w.Header()
	c.identify(info)
	h.Set("Last-Modified", info.Modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", info.ContentType)
	if info.ContentType == "" {
		h.Set("Content-Type", defaultType)
	}
	for name, value := range info.Headers {
		if slices.Contains(standardHeaders(), http.CanonicalHeaderKey(name)) {
			h.Set(name, value)
		}
	}
	for name, value := range info.Metadata {
		h[strings.ToLower(metadataPrefix+name)] = []string{value} // not Set: clients show the name as it is spelt here
	}
	tagCount(h, info.Tags)
	if info.StorageClass != standardClass {
		h.Set("X-Amz-Storage-Class", storageClassName(info.StorageClass))
	}
	if info.Retention.Mode != lock.None {
		h.Set("X-Amz-Object-Lock-Mode", info.Retention.Mode.String())
		h.Set("X-Amz-Object-Lock-Retain-Until-Date", wire.Stamp(untilDate(info.Retention.Until)))
	}
	if info.LegalHold {
		h.Set("X-Amz-Object-Lock-Legal-Hold", "ON")
	}
}

// identify sets the headers that say which version an object is, and how it is
// encrypted.
func (c *call) identify(info *sherd.ObjectInfo) {
	h := c.w.Header()
	c.encrypted(info.Envelope)
	if info.ETag != "" {
		h.Set("Etag", wire.Quote(info.ETag))
	}
	if info.VersionID != "" {
		h.Set("X-Amz-Version-Id", info.VersionID)
	}
}

// setChecksums gives the checksums of an object or a part in headers.
func setChecksums(h http.Header, sums []sherd.Checksum) {
	for _, sum := range sums {
		h.Set(checksumHeader(sum.Algorithm), sum.String())
		h.Set(checksumPrefix+"type", sum.Type.String())
	}
}

// sumsOf gives checksums as documents have them.
func sumsOf(sums []sherd.Checksum) wire.Sums {
	var out wire.Sums
	for _, sum := range sums {
		if field := out.Field(sum.Algorithm.String()); field != nil {
			*field = sum.String()
			out.Type = sum.Type.String()
		}
	}
	return out
}

// parseSums reads the checksums that a document has of a part.
func parseSums(in *wire.Sums) ([]sherd.Checksum, error) {
	var out []sherd.Checksum
	for _, algorithm := range checksum.Algorithms() {
		text := *in.Field(algorithm.String())
		if text == "" {
			continue
		}
		sum, err := checksum.ParseSum(algorithm, text)
		if err != nil {
			return nil, fmt.Errorf("checksum of a part: %w", err)
		}
		out = append(out, sum)
	}
	return out, nil
}
