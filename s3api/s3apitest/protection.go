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

func protectionCases() []Case {
	return slices.Concat(sumCases(), trailerCases(), uploadSumCases(), sumErrorCases(), customerCases(), masterCases(), encryptedPartCases(), encryptedCopyCases(), bucketEncryptionCases())
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

const (
	encryptionHeader = "X-Amz-Server-Side-Encryption"
	keyIDHeader      = encryptionHeader + "-Aws-Kms-Key-Id"
	customerHeader   = encryptionHeader + "-Customer-Algorithm"
	source           = "X-Amz-Copy-Source-"
	object           = "X-Amz-"
)

// customer is the headers that bring a key, 32 times the letter.
func customer(of, letter string) []string {
	key := strings.Repeat(letter, 32)
	name := of + "Server-Side-Encryption-Customer-"
	return []string{name + "Algorithm: AES256", name + "Key: " + base64Of([]byte(key)), name + "Key-Md5: " + md5Of(key)}
}

// encryption is one way of encrypting: the headers of a request that writes, that
// reads, and that copies, and what answers have.
type encryption struct {
	name                string
	write, read, source []string
	header, value       string
}

func (c *C) encryptions() []encryption {
	return []encryption{
		{name: "none"},
		{"SSE-S3", []string{encryptionHeader + ": AES256"}, nil, nil, encryptionHeader, "AES256"},
		{"SSE-KMS", []string{encryptionHeader + ": aws:kms", keyIDHeader + ": " + c.target.KeyID}, nil, nil, keyIDHeader, c.target.KeyID},
		{"SSE-C", customer(object, "a"), customer(object, "a"), customer(source, "a"), customerHeader, "AES256"},
		{"SSE-C of another key", customer(object, "b"), customer(object, "b"), customer(source, "b"), customerHeader, "AES256"},
	}
}

func customerCases() []Case {
	return group("encryption", "userguide/ServerSideEncryptionCustomerKeys", []Case{
		{Name: "customer", Rule: "what a customer's key encrypts is read with it", Run: func(c *C) {
			path := c.bucket() + "/foo"
			for _, body := range []string{"", "x", strings.Repeat("0123456789abcdef", 1<<13)} {
				a := c.ok(put(path, body, customer(object, "a")...))
				c.equal([]string{"AES256", md5Of(strings.Repeat("a", 32))}, []string{a.header.Get(customerHeader), a.header.Get(encryptionHeader + "-Customer-Key-Md5")}, "headers")
				got := c.ok(get(path, customer(object, "a")...))
				c.check(got.body == body && got.etag() == a.etag(), "another object")
				c.equal("AES256", c.ok(head(path, customer(object, "a")...)).header.Get(customerHeader), "header of HEAD")
			}
			c.equal("6789abcdef01", c.status(206, get(path, append(customer(object, "a"), "Range: bytes=65526-65537")...)).body, "range")
		}},
		{Name: "customer-needed", Rule: "without the key it is not read, nor told of", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.ok(put(path, "x", customer(object, "a")...))
			c.refused(400, "InvalidRequest", get(path))
			c.status(400, head(path))
			c.refused(400, "InvalidRequest", get(path+"?attributes", "X-Amz-Object-Attributes: ETag"))
			c.ok(get(path+"?attributes", append(customer(object, "a"), "X-Amz-Object-Attributes: ETag")...))
		}},
		{Name: "customer-other", Rule: "another key answers AccessDenied", Run: func(c *C) {
			path := c.bucket() + "/foo"
			c.ok(put(path, "x", customer(object, "a")...))
			c.refused(403, "AccessDenied", get(path, customer(object, "b")...))
			c.status(403, head(path, customer(object, "b")...))
		}},
		{Name: "customer-plain", Rule: "a key for an object that has none is refused", Run: func(c *C) {
			c.refused(400, "InvalidRequest", get(c.filled("foo")+"/foo", customer(object, "a")...))
		}},
		{Name: "customer-incomplete", Rule: "algorithm, key and MD5 come together", Run: func(c *C) {
			path := c.bucket() + "/foo"
			for i, all := 0, customer(object, "a"); i < 3; i++ {
				c.refused(400, "InvalidArgument", put(path, "x", slices.Delete(slices.Clone(all), i, i+1)...))
			}
			c.refused(404, "NoSuchKey", get(path))
		}},
		{Name: "customer-wrong", Rule: "a key must be as its MD5 says, of 32 bytes, for AES256", Run: func(c *C) {
			path, all := c.bucket()+"/foo", customer(object, "a")
			c.refused(400, "InvalidArgument", put(path, "x", all[0], all[1], customer(object, "b")[2]))
			c.refused(400, "InvalidArgument", put(path, "x", all[0], object+"Server-Side-Encryption-Customer-Key: "+base64Of([]byte("short")), all[2]))
			c.refused(400, "InvalidEncryptionAlgorithmError", put(path, "x", customerHeader+": AES192", all[1], all[2]))
		}},
		{Name: "customer-and-other", Rule: "one object is encrypted in one way", Run: func(c *C) {
			path := c.bucket() + "/foo"
			for _, other := range []string{"AES256", "aws:kms"} {
				c.refused(400, "InvalidArgument", put(path, "x", append(customer(object, "a"), encryptionHeader+": "+other)...))
			}
		}},
		{Name: "policy-customer", Rule: "a policy may demand a key of the customer", Page: "userguide/amazon-s3-policy-keys", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"?policy", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::%s/*",`+
				`"Condition":{"Null":{"s3:x-amz-server-side-encryption-customer-algorithm":"true"}}}]}`, b[1:])))
			c.refused(403, "AccessDenied", put(b+"/foo", "x"))
			c.ok(put(b+"/foo", "x", customer(object, "a")...))
		}},
	}...)
}

func masterCases() []Case {
	needs := []string{NeedsMasterKey}
	return group("encryption", "userguide/serv-side-encryption", []Case{
		{Name: "master", Rule: "what master keys encrypt is read without more ado, and said to be encrypted", Needs: needs, Run: func(c *C) {
			path := c.bucket() + "/foo"
			for _, e := range c.encryptions()[1:3] {
				c.equal(e.value, c.ok(put(path, "body", e.write...)).header.Get(e.header), e.name+": PUT")
				a := c.ok(get(path))
				c.equal([]string{"body", e.value}, []string{a.body, a.header.Get(e.header)}, e.name+": GET")
				c.equal(e.value, c.ok(head(path)).header.Get(e.header), e.name+": HEAD")
			}
		}},
		{Name: "master-read", Rule: "who reads must not say how it is encrypted", Needs: needs, Run: func(c *C) {
			path := c.bucket() + "/foo"
			for _, e := range c.encryptions()[1:3] {
				c.ok(put(path, "x", e.write...))
				c.status(400, get(path, e.write...))
				c.status(400, head(path, e.write...))
			}
		}},
		{Name: "master-wrong", Rule: "another method, or a key for SSE-S3, is refused", Needs: needs, Run: func(c *C) {
			path, id := c.bucket()+"/foo", keyIDHeader+": "+c.target.KeyID
			for _, header := range [][]string{{encryptionHeader + ": aes:kms"}, {encryptionHeader + ": AES256", id}, {id}} {
				c.refused(400, "InvalidArgument", put(path, "x", header...))
			}
			c.status(400, put(path, "x", encryptionHeader+": aws:kms", keyIDHeader+": nobody-has-this-key"))
		}},
		{Name: "form", Rule: "a form may ask for encryption", Needs: needs, Page: "API/RESTObjectPOST", Run: func(c *C) {
			b := c.open()
			for _, e := range c.encryptions()[1:4] {
				conditions, fields := usual(b), []string{"key", "foo.txt", "acl", "private", "Content-Type", "text/plain"}
				for _, header := range e.write {
					name, value, _ := strings.Cut(header, ": ")
					conditions += fmt.Sprintf(`,["starts-with","$%s",""]`, strings.ToLower(name))
					fields = append(fields, strings.ToLower(name), value)
				}
				c.status(204, c.signedForm(b, "bar", conditions, 4, fields...))
				a := c.ok(get(b+"/foo.txt", e.read...))
				c.equal([]string{"bar", e.value}, []string{a.body, a.header.Get(e.header)}, e.name)
			}
		}},
	}...)
}

func encryptedPartCases() []Case {
	return group("encryption", "API_UploadPart", []Case{
		{Name: "parts", Rule: "parts are encrypted as the upload says", Needs: []string{NeedsMasterKey}, Run: func(c *C) {
			path, first := c.bucket()+"/big", c.large("x")
			for _, e := range c.encryptions()[1:4] {
				id := c.begin(path, e.write...)
				one, two := c.part(path, id, 1, first, e.read...), c.part(path, id, 2, "end", e.read...)
				c.equal(e.value, one.header.Get(e.header), e.name+": part")
				c.equal(e.value, c.ok(c.complete(path, id, one.etag(), two.etag()).with(e.read...)).header.Get(e.header), e.name+": completion")
				a := c.ok(get(path, e.read...))
				c.check(a.body == first+"end", "%s: another body", e.name)
				c.equal("end", c.status(206, get(path+"?partNumber=2", e.read...)).body, e.name+": part 2")
				c.equal(first[len(first)-1:]+"e", c.status(206, get(path, append(e.read[:len(e.read):len(e.read)], fmt.Sprintf("Range: bytes=%d-%d", len(first)-1, len(first)))...)).body, e.name+": range")
			}
		}},
		{Name: "parts-key", Rule: "each part needs the key of the upload", Run: func(c *C) {
			path := c.bucket() + "/big"
			id := c.begin(path, customer(object, "a")...)
			part := path + "?partNumber=1&uploadId=" + id
			c.refused(400, "InvalidRequest", put(part, "x"))
			c.status(400, put(part, "x", customer(object, "b")...))
			tag := c.ok(put(part, "x", customer(object, "a")...)).etag()
			c.status(400, c.complete(path, id, tag).with(customer(object, "b")...))
			c.ok(c.complete(path, id, tag).with(customer(object, "a")...))
		}},
	}...)
}

func encryptedCopyCases() []Case {
	needs := []string{NeedsMasterKey}
	return group("encryption", "API_CopyObject", []Case{
		{Name: "copy", Rule: "a copy is encrypted as its request says, whatever its source is", Needs: needs, Run: func(c *C) {
			b, body := c.bucket(), strings.Repeat("0123456789abcdef", 5_000)
			for _, from := range c.encryptions() {
				c.ok(put(b+"/from", body, from.write...))
				for _, to := range c.encryptions() {
					c.equal(to.value, c.ok(put(b+"/to", "", copied(b+"/from", slices.Concat(from.source, to.write)...)...)).header.Get(to.header), from.name+" to "+to.name)
					c.check(c.ok(get(b+"/to", to.read...)).body == body, "%s to %s: another body", from.name, to.name)
				}
			}
		}},
		{Name: "copy-part", Rule: "a part is copied between encryptions", Needs: needs, Page: "API_UploadPartCopy", Run: func(c *C) {
			b, body := c.bucket(), strings.Repeat("0123456789abcdef", 5_000)
			for _, from := range c.encryptions() {
				c.ok(put(b+"/from", body, from.write...))
				for _, to := range c.encryptions() {
					id := c.begin(b+"/to", to.write...)
					a := c.part(b+"/to", id, 1, "", copied(b+"/from", slices.Concat(from.source, to.read, []string{source + "Range: bytes=65530-65545"})...)...)
					c.ok(c.complete(b+"/to", id, a.one("ETag")).with(to.read...))
					c.equal(body[65530:65546], c.ok(get(b+"/to", to.read...)).body, from.name+" to "+to.name)
				}
			}
		}},
		{Name: "copy-key", Rule: "copying needs the key of the source", Run: func(c *C) {
			b := c.bucket()
			c.ok(put(b+"/from", "x", customer(object, "a")...))
			c.refused(400, "InvalidRequest", put(b+"/to", "", copied(b+"/from")...))
			c.refused(403, "AccessDenied", put(b+"/to", "", copied(b+"/from", customer(source, "b")...)...))
			c.ok(put(b+"/to", "", copied(b+"/from", customer(source, "a")...)...))
			c.equal("x", c.content(b+"/to"), "body")
		}},
		{Name: "copy-itself", Rule: "a copy onto itself may change the encryption alone", Run: func(c *C) {
			b := c.filled("foo")
			c.ok(put(b+"/foo", "", copied(b+"/foo", customer(object, "a")...)...))
			c.equal("foo", c.ok(get(b+"/foo", customer(object, "a")...)).body, "body")
		}},
	}...)
}

func bucketEncryptionCases() []Case {
	needs := []string{NeedsMasterKey}
	configuration := func(algorithm, more string) string {
		return "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm + "</SSEAlgorithm>" + more +
			"</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
	}
	const rule = "Rule.ApplyServerSideEncryptionByDefault."
	return group("encryption", "API_PutBucketEncryption", []Case{
		{Name: "bucket", Rule: "a bucket's encryption is told as it was set, and gone once deleted", Needs: needs, Run: func(c *C) {
			b, none := c.bucket(), "ServerSideEncryptionConfigurationNotFoundError"
			c.refused(404, none, get(b+"?encryption"))
			c.ok(put(b+"?encryption", configuration("AES256", "")))
			c.equal("AES256", c.ok(get(b+"?encryption")).one(rule+"SSEAlgorithm"), "SSE-S3")
			c.ok(put(b+"?encryption", configuration("aws:kms", "<KMSMasterKeyID>some-key</KMSMasterKeyID>")))
			a := c.ok(get(b + "?encryption"))
			c.equal([]string{"aws:kms", "some-key"}, []string{a.one(rule + "SSEAlgorithm"), a.one(rule + "KMSMasterKeyID")}, "SSE-KMS")
			c.status(204, del(b+"?encryption"))
			c.refused(404, none, get(b+"?encryption"))
		}},
		{Name: "bucket-default", Rule: "what says nothing of encryption is encrypted as the bucket says", Needs: needs, Run: func(c *C) {
			b := c.filled("plain")
			for _, e := range c.encryptions()[1:3] {
				more := ""
				if e.name == "SSE-KMS" {
					more = "<KMSMasterKeyID>" + c.target.KeyID + "</KMSMasterKeyID>"
				}
				c.ok(put(b+"?encryption", configuration(map[bool]string{true: "AES256", false: "aws:kms"}[more == ""], more)))
				c.equal(e.value, c.ok(put(b+"/put", "x")).header.Get(e.header), e.name+": PUT")
				c.equal(e.value, c.ok(put(b+"/copy", "", copied(b+"/plain")...)).header.Get(e.header), e.name+": copy")
				c.uploaded(b+"/big", c.large("a"), "end")
				for _, key := range []string{"/put", "/copy", "/big"} {
					c.equal(e.value, c.ok(head(b+key)).header.Get(e.header), e.name+": "+key)
				}
				c.ok(put(b+"/own", "x", customer(object, "a")...))
				c.equal("", c.ok(head(b+"/own", customer(object, "a")...)).header.Get(encryptionHeader), e.name+": a key of the customer")
			}
			c.equal("", c.ok(head(b+"/plain")).header.Get(encryptionHeader), "what was there before")
		}},
		{Name: "bucket-wrong", Rule: "another algorithm, or a key for SSE-S3, is no configuration", Needs: needs, Run: func(c *C) {
			b := c.bucket()
			c.refused(400, "MalformedXML", put(b+"?encryption", configuration("AES128", "")))
			c.refused(400, "MalformedXML", put(b+"?encryption", "<ServerSideEncryptionConfiguration/>"))
			c.refused(400, "InvalidArgument", put(b+"?encryption", configuration("AES256", "<KMSMasterKeyID>a</KMSMasterKeyID>")))
		}},
	}...)
}
