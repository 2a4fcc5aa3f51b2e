package wire

import "encoding/xml"

// CreateBucketConfiguration is the optional body of CreateBucket.
type CreateBucketConfiguration struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	LocationConstraint string
}

// VersioningConfiguration is the body of PutBucketVersioning, and what
// GetBucketVersioning answers.
type VersioningConfiguration struct {
	XMLName   xml.Name `xml:"VersioningConfiguration"`
	Namespace string   `xml:"xmlns,attr,omitempty"`
	Status    string   `xml:",omitempty"`
	MFADelete string   `xml:"MfaDelete,omitempty"`
}

// Delete is the body of DeleteObjects.
type Delete struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Objects []DeleteTarget `xml:"Object"`
}

// DeleteTarget is one key of a [Delete].
type DeleteTarget struct {
	Key              string
	VersionID        string `xml:"VersionId"`
	ETag             string
	LastModifiedTime string
	Size             *int64
}

// CompleteMultipartUpload is the body of the operation of that name.
type CompleteMultipartUpload struct {
	XMLName xml.Name       `xml:"CompleteMultipartUpload"`
	Parts   []CompletePart `xml:"Part"`
}

// CompletePart names one part of a [CompleteMultipartUpload].
type CompletePart struct {
	PartNumber int
	ETag       string
	Sums
}

// Sums is the checksums of an object or a part as documents have them. At most
// one is set by what S3 itself sends.
type Sums struct {
	CRC32     string `xml:"ChecksumCRC32,omitempty"`
	CRC32C    string `xml:"ChecksumCRC32C,omitempty"`
	CRC64NVME string `xml:"ChecksumCRC64NVME,omitempty"`
	SHA1      string `xml:"ChecksumSHA1,omitempty"`
	SHA256    string `xml:"ChecksumSHA256,omitempty"`
	SHA512    string `xml:"ChecksumSHA512,omitempty"`
	MD5       string `xml:"ChecksumMD5,omitempty"`
	XXHASH64  string `xml:"ChecksumXXHASH64,omitempty"`
	XXHASH3   string `xml:"ChecksumXXHASH3,omitempty"`
	XXHASH128 string `xml:"ChecksumXXHASH128,omitempty"`
	Type      string `xml:"ChecksumType,omitempty"`
}

// Field gives the place of the value of an algorithm, by the name that S3 has
// for it; nil for a name that is not known.
func (s *Sums) Field(algorithm string) *string {
	switch algorithm {
	case "CRC32":
		return &s.CRC32
	case "CRC32C":
		return &s.CRC32C
	case "CRC64NVME":
		return &s.CRC64NVME
	case "SHA1":
		return &s.SHA1
	case "SHA256":
		return &s.SHA256
	case "SHA512":
		return &s.SHA512
	case "MD5":
		return &s.MD5
	case "XXHASH64":
		return &s.XXHASH64
	case "XXHASH3":
		return &s.XXHASH3
	case "XXHASH128":
		return &s.XXHASH128
	default:
		return nil
	}
}
