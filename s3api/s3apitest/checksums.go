package s3apitest

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"slices"
	"strings"
)

func checksumCases() []Case {
	return slices.Concat(sumCases(), trailerCases(), uploadSumCases(), sumErrorCases())
}

// sum is an algorithm with what it gives for a body; "" where the kit cannot
// compute it and knows only that of [sample].
type sum struct {
	name   string
	of     func(body string) string
	sample string
	whole  bool // parts' sums make one of the object
	parts  bool // an upload may sum up the sums of its parts
}

// sample is what sums are known of.
const sample = "The quick brown fox jumps over the lazy dog"

func base64Of(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

func sha256Of(body string) string {
	sum := sha256.Sum256([]byte(body))
	return base64Of(sum[:])
}

// sums are the algorithms (S3, user guide, "Checking object integrity").
func sums() []sum {
	crc32c := func(body string) string {
		return base64Of(binary.BigEndian.AppendUint32(nil, crc32.Checksum([]byte(body), crc32.MakeTable(crc32.Castagnoli))))
	}
	crc64nvme := func(body string) string {
		return base64Of(binary.BigEndian.AppendUint64(nil, crc64.Checksum([]byte(body), crc64.MakeTable(0x9a6c9329ac4bc9b5))))
	}
	ofSHA1 := func(body string) string {
		sum := sha1.Sum([]byte(body))
		return base64Of(sum[:])
	}
	ofSHA512 := func(body string) string {
		sum := sha512.Sum512([]byte(body))
		return base64Of(sum[:])
	}
	return []sum{
		{"CRC32", crc32Of, "", true, true}, {"CRC32C", crc32c, "", true, true}, {"CRC64NVME", crc64nvme, "", true, false},
		{"SHA1", ofSHA1, "", false, true}, {"SHA256", sha256Of, "", false, true}, {"SHA512", ofSHA512, "", false, true}, {"MD5", md5Of, "", false, true},
		{"XXHASH64", nil, "CyQtNh/acbw=", false, true}, {"XXHASH3", nil, "zn0ZpUGPs2U=", false, true}, {"XXHASH128", nil, "3dZQIFyj5/okocwuOop2UQ==", false, true},
	}
}

// ofSample is the sum of the sample.
func (s *sum) ofSample() string {
	if s.of == nil {
		return s.sample
	}
	return s.of(sample)
}

func (s *sum) header() string { return "X-Amz-Checksum-" + s.name[:1] + strings.ToLower(s.name[1:]) }

// wantSums is the header of reads that want checksums.
const wantSums = "X-Amz-Checksum-Mode: ENABLED"

func sumCases() []Case {
	var cases []Case
	for _, s := range sums() {
		lower := strings.ToLower(s.name)
		cases = append(cases, Case{Name: lower, Rule: s.name + " in a header is verified, kept, and given where it is asked for", Run: func(c *C) {
			path := c.bucket() + "/foo"
			a := c.ok(put(path, sample, s.header()+": "+s.ofSample()))
			c.equal([]string{s.ofSample(), "FULL_OBJECT"}, []string{a.header.Get(s.header()), a.header.Get("X-Amz-Checksum-Type")}, "headers of PUT")
			c.equal("", c.ok(head(path)).header.Get(s.header()), "header of HEAD that does not ask")
			for _, q := range []request{head(path, wantSums), get(path, wantSums)} {
				c.equal([]string{s.ofSample(), "FULL_OBJECT"}, []string{c.ok(q).header.Get(s.header()), c.ok(q).header.Get("X-Amz-Checksum-Type")}, "headers of "+q.method)
			}
		}}, Case{Name: lower + "-wrong", Rule: "another body than the one of the " + s.name + " answers BadDigest and stores nothing", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.refused(400, "BadDigest", put(path, sample+"!", s.header()+": "+s.ofSample()))
			c.refused(404, "NoSuchKey", get(path))
		}}, Case{Name: lower + "-malformed", Rule: "a value that is no " + s.name + " answers 400", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.status(400, put(path, sample, s.header()+": bad"))
			c.refused(404, "NoSuchKey", get(path))
		}}, Case{Name: lower + "-copy", Rule: "a copy has the " + s.name + " of its source", Page: "API_CopyObject", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", sample, s.header()+": "+s.ofSample()))
			a := c.ok(put(b+"/bar", "", copied(b+"/foo")...))
			c.equal(s.ofSample(), a.one("Checksum"+s.name), "sum in the answer")
			c.equal(s.ofSample(), c.ok(head(b+"/bar", wantSums)).header.Get(s.header()), "sum of the copy")
		}}, Case{Name: lower + "-attributes", Rule: "GetObjectAttributes gives the " + s.name, Page: "API_GetObjectAttributes", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.ok(put(path, sample, s.header()+": "+s.ofSample()))
			c.equal(s.ofSample(), c.ok(get(path+"?attributes", "X-Amz-Object-Attributes: Checksum")).one("Checksum.Checksum"+s.name), "sum")
		}})
	}
	return group("checksum", "userguide/checking-object-integrity", cases...)
}

// trailing sends a body in a streaming payload mode with trailers.
func trailing(path, body, mode string, trailers ...string) request {
	names := make([]string, len(trailers))
	for i, line := range trailers {
		names[i], _, _ = strings.Cut(line, ":")
	}
	q := put(path, body, "X-Amz-Trailer: "+strings.Join(names, ","))
	q.payload, q.trailer = mode, trailers
	return q
}

func trailerCases() []Case {
	var cases []Case
	for _, s := range sums() {
		for how, mode := range map[string]string{"signed": chunksTrailer, "unsigned": unsignedTrailer} {
			name := strings.ToLower(s.name) + "-trailer-" + how
			line := strings.ToLower(s.header()) + ":" + s.ofSample()
			cases = append(cases, Case{Name: name, Rule: s.name + " as a trailer is verified and kept", Run: func(c *C) {
				path := c.bucket() + "/foo"
				c.equal(s.ofSample(), c.ok(trailing(path, sample, mode, line)).header.Get(s.header()), "header")
				a := c.ok(get(path, wantSums))
				c.equal([]string{sample, s.ofSample()}, []string{a.body, a.header.Get(s.header())}, "body and sum")
				c.refused(400, "BadDigest", trailing(path, sample+"!", mode, line))
				c.equal(sample, c.content(path), "body after one that was refused")
			}})
		}
	}
	cases = append(cases, Case{Name: "trailer-undeclared", Rule: "a trailer that was not declared is refused", Run: func(c *C) {
		path := c.bucket() + "/foo"
		q := trailing(path, sample, unsignedTrailer, "x-amz-checksum-crc32:"+crc32Of(sample))
		q.trailer = append(q.trailer, "x-amz-checksum-sha256:"+sha256Of(sample))
		c.status(400, q)
		c.refused(404, "NoSuchKey", get(path))
	}}, Case{Name: "trailer-missing", Rule: "a trailer that was declared and did not come is refused", Run: func(c *C) {
		path := c.bucket() + "/foo"
		q := trailing(path, sample, unsignedTrailer, "x-amz-checksum-crc32:"+crc32Of(sample))
		q.trailer = nil
		c.status(400, q)
		c.refused(404, "NoSuchKey", get(path))
	}})
	return group("checksum", "sigv4-streaming-trailers", cases...)
}

// uploadSumCases are sums of objects of parts.
func uploadSumCases() []Case {
	var cases []Case
	for _, s := range sums() {
		if s.of == nil {
			continue
		}
		for _, kind := range []string{"FULL_OBJECT", "COMPOSITE"} {
			if kind == "FULL_OBJECT" && !s.whole || kind == "COMPOSITE" && !s.parts {
				continue
			}
			name := strings.ToLower(s.name + "-upload-" + strings.ReplaceAll(kind, "_", "-"))
			cases = append(cases, Case{Name: name, Rule: "an upload with " + s.name + " gives its object a " + kind + " checksum, and parts theirs", Run: func(c *C) {
				c.uploadSummed(s, kind)
			}})
		}
	}
	cases = append(cases, Case{Name: "type-not-of-algorithm", Rule: "SHA256 has no FULL_OBJECT checksum of uploads, CRC64NVME no COMPOSITE one", Run: func(c *C) {
		path := c.bucket() + "/big?uploads"
		c.status(400, post(path, "", "X-Amz-Checksum-Algorithm: SHA256", "X-Amz-Checksum-Type: FULL_OBJECT"))
		c.status(400, post(path, "", "X-Amz-Checksum-Algorithm: CRC64NVME", "X-Amz-Checksum-Type: COMPOSITE"))
		c.status(400, post(path, "", "X-Amz-Checksum-Algorithm: CRC31"))
	}})
	return group("checksum", "userguide/checking-object-integrity", cases...)
}

func (c *C) uploadSummed(s sum, kind string) {
	path := c.bucket() + "/big"
	a := c.ok(post(path+"?uploads", "", "X-Amz-Checksum-Algorithm: "+s.name, "X-Amz-Checksum-Type: "+kind))
	c.equal([]string{s.name, kind}, []string{a.header.Get("X-Amz-Checksum-Algorithm"), a.header.Get("X-Amz-Checksum-Type")}, "headers")
	id := strict(a.one("UploadId"))
	bodies := []string{c.large("A"), c.large("B"), "CCC"}
	var parts []string
	var digests []byte
	for i, body := range bodies {
		p := c.part(path, id, i+1, body, s.header()+": "+s.of(body))
		c.equal(s.of(body), p.header.Get(s.header()), "sum of a part")
		parts = append(parts, partOf(i+1, p.etag(), "<Checksum"+s.name+">"+s.of(body)+"</Checksum"+s.name+">"))
		digest, err := base64.StdEncoding.DecodeString(s.of(body))
		c.check(err == nil, "%v", err)
		digests = append(digests, digest...)
	}
	want := s.of(strings.Join(bodies, ""))
	if kind == "COMPOSITE" {
		want = fmt.Sprintf("%s-%d", s.of(string(digests)), len(bodies))
	}
	a = c.ok(c.completeWith(path, id, parts...).with(s.header()+": "+want, "X-Amz-Checksum-Type: "+kind))
	c.equal([]string{want, kind}, []string{a.one("Checksum" + s.name), a.one("ChecksumType")}, "sum of the object")
	h := c.ok(head(path, wantSums)).header
	c.equal([]string{want, kind}, []string{h.Get(s.header()), h.Get("X-Amz-Checksum-Type")}, "headers of HEAD")
	c.equal("", c.ok(head(path)).header.Get(s.header()), "header of HEAD that does not ask")
	for i, body := range bodies {
		h := c.ok(get(fmt.Sprintf("%s?partNumber=%d", path, i+1), wantSums)).header
		c.equal([]string{s.of(body), kind}, []string{h.Get(s.header()), h.Get("X-Amz-Checksum-Type")}, fmt.Sprintf("headers of part %d", i+1))
	}
}

func sumErrorCases() []Case {
	return group("checksum", "userguide/checking-object-integrity", []Case{
		{Name: "two", Rule: "two checksums of different algorithms are refused", Run: func(c *C) {
			c.status(400, put(c.bucket()+"/foo", "x", "X-Amz-Checksum-Crc32: "+crc32Of("x"), "X-Amz-Checksum-Sha256: "+sha256Of("x")))
		}},
		{Name: "algorithm-other", Rule: "an announced algorithm that is not that of the checksum is refused", Run: func(c *C) {
			c.status(400, put(c.bucket()+"/foo", "x", "X-Amz-Sdk-Checksum-Algorithm: SHA1", "X-Amz-Checksum-Sha256: "+sha256Of("x")))
		}},
		{Name: "complete-wrong", Rule: "a checksum of the whole that is wrong completes nothing", Page: "API_CompleteMultipartUpload", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path, "X-Amz-Checksum-Algorithm: CRC32", "X-Amz-Checksum-Type: FULL_OBJECT")
			tag := c.part(path, id, 1, "x", "X-Amz-Checksum-Crc32: "+crc32Of("x")).etag()
			part := partOf(1, tag, "<ChecksumCRC32>"+crc32Of("x")+"</ChecksumCRC32>")
			c.refused(400, "BadDigest", c.completeWith(path, id, part).with("X-Amz-Checksum-Crc32: "+crc32Of("y"), "X-Amz-Checksum-Type: FULL_OBJECT"))
			c.refused(404, "NoSuchKey", get(path))
			c.ok(c.completeWith(path, id, part).with("X-Amz-Checksum-Crc32: "+crc32Of("x"), "X-Amz-Checksum-Type: FULL_OBJECT"))
		}},
		{Name: "complete-part-wrong", Rule: "a part's checksum that is not the part's answers InvalidPart", Page: "API_CompleteMultipartUpload", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path, "X-Amz-Checksum-Algorithm: SHA256")
			tag := c.part(path, id, 1, "x", "X-Amz-Checksum-Sha256: "+sha256Of("x")).etag()
			a := c.do(c.completeWith(path, id, partOf(1, tag, "<ChecksumSHA256>"+sha256Of("y")+"</ChecksumSHA256>")))
			c.check(a.status == 400 && (a.code == "InvalidPart" || a.code == "BadDigest"), "%s", a.describe())
		}},
		{Name: "range", Rule: "a range has no checksum of the whole", Page: "API_GetObject", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.ok(put(path, sample, "X-Amz-Checksum-Sha256: "+sha256Of(sample)))
			c.equal("", c.status(206, get(path, wantSums, "Range: bytes=1-2")).header.Get("X-Amz-Checksum-Sha256"), "header")
		}},
		{Name: "md5-and-sum", Rule: "Content-MD5 and a checksum are both verified", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/foo", "x", "Content-MD5: "+md5Of("x"), "X-Amz-Checksum-Crc32: "+crc32Of("x")))
			c.refused(400, "BadDigest", put(b+"/bar", "x", "Content-MD5: "+md5Of("y"), "X-Amz-Checksum-Crc32: "+crc32Of("x")))
			c.refused(400, "BadDigest", put(b+"/bar", "x", "Content-MD5: "+md5Of("x"), "X-Amz-Checksum-Crc32: "+crc32Of("y")))
		}},
	}...)
}
