package wire

import "encoding/xml"

// Namespace is that of every document that is written but Error.
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Owner is who owns a bucket, an object or an upload.
type Owner struct {
	ID          string
	DisplayName string `xml:",omitempty"`
}

// ErrorDocument is the body of an error.
type ErrorDocument struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Extra     []Extra
	Resource  string
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

// Extra is a further element of an error, as its code documents it.
type Extra struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// ListBuckets is the answer to the operation of that name.
type ListBuckets struct {
	XMLName           xml.Name `xml:"ListAllMyBucketsResult"`
	Namespace         string   `xml:"xmlns,attr"`
	Owner             Owner
	Buckets           []Bucket `xml:"Buckets>Bucket"`
	ContinuationToken string   `xml:",omitempty"`
	Prefix            *string
}

// Bucket is one bucket of a [ListBuckets].
type Bucket struct {
	Name         string
	CreationDate string
	BucketRegion string `xml:",omitempty"`
}

// Location is the answer to GetBucketLocation.
type Location struct {
	XMLName   xml.Name `xml:"LocationConstraint"`
	Namespace string   `xml:"xmlns,attr"`
	Region    string   `xml:",chardata"`
}

// Object is one object of a listing.
type Object struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm []string `xml:",omitempty"`
	ChecksumType      string   `xml:",omitempty"`
	Size              int64
	StorageClass      string
	Owner             *Owner
}

// Prefix is one common prefix of a listing.
type Prefix struct {
	Prefix string
}

// ListObjects is the answer to the first version of the listing.
type ListObjects struct {
	XMLName        xml.Name `xml:"ListBucketResult"`
	Namespace      string   `xml:"xmlns,attr"`
	Name           string
	Prefix         string
	Marker         string
	NextMarker     *string
	MaxKeys        int
	Delimiter      *string
	IsTruncated    bool
	EncodingType   string `xml:",omitempty"`
	Contents       []Object
	CommonPrefixes []Prefix
}

// ListObjectsV2 is the answer to the second version of the listing.
type ListObjectsV2 struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Namespace             string   `xml:"xmlns,attr"`
	Name                  string
	Prefix                string
	Delimiter             *string
	MaxKeys               int
	KeyCount              int
	IsTruncated           bool
	EncodingType          string `xml:",omitempty"`
	ContinuationToken     *string
	NextContinuationToken string `xml:",omitempty"`
	StartAfter            *string
	Contents              []Object
	CommonPrefixes        []Prefix
}

// Version is a version or a delete marker of a [ListVersions]; XMLName says
// which.
type Version struct {
	XMLName           xml.Name
	Key               string
	VersionID         string `xml:"VersionId"`
	IsLatest          bool
	LastModified      string
	ETag              string   `xml:",omitempty"`
	ChecksumAlgorithm []string `xml:",omitempty"`
	ChecksumType      string   `xml:",omitempty"`
	Size              *int64
	StorageClass      string `xml:",omitempty"`
	Owner             *Owner
}

// ListVersions is the answer to ListObjectVersions.
type ListVersions struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	Namespace           string   `xml:"xmlns,attr"`
	Name                string
	Prefix              string
	KeyMarker           string
	VersionIDMarker     string `xml:"VersionIdMarker"`
	NextKeyMarker       *string
	NextVersionIDMarker string `xml:"NextVersionIdMarker,omitempty"`
	MaxKeys             int
	Delimiter           *string
	IsTruncated         bool
	EncodingType        string `xml:",omitempty"`
	Versions            []Version
	CommonPrefixes      []Prefix
}

// Deleted is one success of a [DeleteResult].
type Deleted struct {
	Key                   string
	VersionID             string `xml:"VersionId,omitempty"`
	DeleteMarker          bool   `xml:",omitempty"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

// DeleteFailure is one failure of a [DeleteResult].
type DeleteFailure struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
	Code      string
	Message   string
}

// DeleteResult is the answer to DeleteObjects.
type DeleteResult struct {
	XMLName   xml.Name `xml:"DeleteResult"`
	Namespace string   `xml:"xmlns,attr"`
	Deleted   []Deleted
	Errors    []DeleteFailure `xml:"Error"`
}

// CopyResult is the answer to CopyObject and to UploadPartCopy; XMLName says
// which.
type CopyResult struct {
	XMLName      xml.Name
	Namespace    string `xml:"xmlns,attr"`
	LastModified string
	ETag         string
	Sums
}

// InitiateUpload is the answer to CreateMultipartUpload.
type InitiateUpload struct {
	XMLName   xml.Name `xml:"InitiateMultipartUploadResult"`
	Namespace string   `xml:"xmlns,attr"`
	Bucket    string
	Key       string
	UploadID  string `xml:"UploadId"`
}

// CompleteUpload is the answer to CompleteMultipartUpload.
type CompleteUpload struct {
	XMLName   xml.Name `xml:"CompleteMultipartUploadResult"`
	Namespace string   `xml:"xmlns,attr"`
	Location  string
	Bucket    string
	Key       string
	ETag      string
	Sums
}

// Part is one part of a [ListParts].
type Part struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	Sums
}

// ListParts is the answer to the operation of that name.
type ListParts struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	Namespace            string   `xml:"xmlns,attr"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	Initiator            Owner
	Owner                Owner
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	EncodingType         string `xml:",omitempty"`
	ChecksumAlgorithm    string `xml:",omitempty"`
	ChecksumType         string `xml:",omitempty"`
	Parts                []Part `xml:"Part"`
}

// Upload is one upload of a [ListUploads].
type Upload struct {
	Key               string
	UploadID          string `xml:"UploadId"`
	Initiator         Owner
	Owner             Owner
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

// ListUploads is the answer to ListMultipartUploads.
type ListUploads struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Namespace          string   `xml:"xmlns,attr"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string
	NextUploadIDMarker string `xml:"NextUploadIdMarker"`
	Prefix             string
	Delimiter          *string
	MaxUploads         int
	IsTruncated        bool
	EncodingType       string   `xml:",omitempty"`
	Uploads            []Upload `xml:"Upload"`
	CommonPrefixes     []Prefix
}
