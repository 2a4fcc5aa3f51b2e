package wire

import "encoding/xml"

// Tagging is the tags of an object or of a bucket, as they are set and told.
type Tagging struct {
	XMLName   xml.Name `xml:"Tagging"`
	Namespace string   `xml:"xmlns,attr,omitempty"`
	Tags      TagSet   `xml:"TagSet"`
}

// TagSet is a list of tags. Its element stands there even when it is empty.
type TagSet struct {
	Tags []Tag `xml:"Tag"`
}

// Tag is one tag.
type Tag struct {
	Key   string
	Value string
}

// Retention is the retention of a version.
type Retention struct {
	XMLName   xml.Name `xml:"Retention"`
	Namespace string   `xml:"xmlns,attr,omitempty"`
	Mode      string   `xml:",omitempty"`
	Until     string   `xml:"RetainUntilDate,omitempty"`
}

// LegalHold is the legal hold of a version: ON or OFF.
type LegalHold struct {
	XMLName   xml.Name `xml:"LegalHold"`
	Namespace string   `xml:"xmlns,attr,omitempty"`
	Status    string
}

// ObjectLockConfiguration is that of a bucket.
type ObjectLockConfiguration struct {
	XMLName   xml.Name  `xml:"ObjectLockConfiguration"`
	Namespace string    `xml:"xmlns,attr,omitempty"`
	Enabled   string    `xml:"ObjectLockEnabled,omitempty"`
	Rule      *LockRule `xml:"Rule"`
}

// LockRule says which retention new versions get.
type LockRule struct {
	Default *DefaultRetention `xml:"DefaultRetention"`
}

// DefaultRetention is for days or for years.
type DefaultRetention struct {
	Mode  string
	Days  *int
	Years *int
}

// ObjectAttributes answers GetObjectAttributes; what was not asked for is nil.
type ObjectAttributes struct {
	XMLName      xml.Name `xml:"GetObjectAttributesResponse"`
	Namespace    string   `xml:"xmlns,attr"`
	ETag         string   `xml:",omitempty"`
	Checksum     *Sums
	Parts        *ObjectParts `xml:"ObjectParts"`
	StorageClass string       `xml:",omitempty"`
	Size         *int64       `xml:"ObjectSize"`
}

// ObjectParts is the parts that an object was completed from. Those with
// checksums are listed.
type ObjectParts struct {
	IsTruncated          *bool
	MaxParts             *int
	NextPartNumberMarker *int
	PartNumberMarker     *int
	Parts                []AttributePart `xml:"Part"`
	Count                int             `xml:"PartsCount"`
}

// AttributePart is one of them.
type AttributePart struct {
	Sums
	PartNumber int
	Size       int64
}

// Encryption is how a bucket wants objects to be encrypted.
type Encryption struct {
	XMLName   xml.Name         `xml:"ServerSideEncryptionConfiguration"`
	Namespace string           `xml:"xmlns,attr,omitempty"`
	Rules     []EncryptionRule `xml:"Rule"`
}

// EncryptionRule is the one rule that there is.
type EncryptionRule struct {
	Default   *EncryptionDefault `xml:"ApplyServerSideEncryptionByDefault"`
	BucketKey *bool              `xml:"BucketKeyEnabled"`
	Blocked   *BlockedEncryption `xml:"BlockedEncryptionTypes"`
}

// EncryptionDefault is for objects whose request says nothing of encryption.
type EncryptionDefault struct {
	Algorithm string `xml:"SSEAlgorithm"`
	KeyID     string `xml:"KMSMasterKeyID,omitempty"`
}

// BlockedEncryption is what the bucket does not take.
type BlockedEncryption struct {
	Types []string `xml:"EncryptionType"`
}
