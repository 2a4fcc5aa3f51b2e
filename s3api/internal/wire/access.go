package wire

import "encoding/xml"

// schema is the namespace of the attribute that says what kind a grantee is.
const schema = "http://www.w3.org/2001/XMLSchema-instance"

// AccessControlPolicy is an access control list as it is set.
type AccessControlPolicy struct {
	XMLName xml.Name `xml:"AccessControlPolicy"`
	Owner   *Owner
	List    *GrantList `xml:"AccessControlList"`
}

// GrantList is the grants of an [AccessControlPolicy].
type GrantList struct {
	Grants []SetGrant `xml:"Grant"`
}

// SetGrant is one grant as it is set.
type SetGrant struct {
	Grantee    *SetGrantee
	Permission string
}

// SetGrantee is whom a grant is for.
type SetGrantee struct {
	Type  string `xml:"type,attr"`
	ID    string
	URI   string
	Email string `xml:"EmailAddress"`
}

// AccessControl is an access control list as it is told.
type AccessControl struct {
	XMLName   xml.Name `xml:"AccessControlPolicy"`
	Namespace string   `xml:"xmlns,attr"`
	Owner     Owner
	Grants    TaggedGrants `xml:"AccessControlList"`
}

// TaggedGrants is a list of grants. Its element stands there even when it is empty.
type TaggedGrants struct {
	Grants []ToldGrant `xml:"Grant"`
}

// ToldGrant is one grant as it is told.
type ToldGrant struct {
	Grantee    ToldGrantee
	Permission string
}

// ToldGrantee is whom a grant is for, by a canonical id or a group's URI.
type ToldGrantee struct {
	Schema      string `xml:"xmlns:xsi,attr"`
	Type        string `xml:"xsi:type,attr"`
	ID          string `xml:",omitempty"`
	DisplayName string `xml:",omitempty"`
	URI         string `xml:",omitempty"`
}

// UserGrantee is somebody with a canonical id.
func UserGrantee(id, displayName string) ToldGrantee {
	return ToldGrantee{Schema: schema, Type: "CanonicalUser", ID: id, DisplayName: displayName}
}

// GroupGrantee is everybody of a group.
func GroupGrantee(uri string) ToldGrantee {
	return ToldGrantee{Schema: schema, Type: "Group", URI: uri}
}

// OwnershipControls says who owns the objects of a bucket.
type OwnershipControls struct {
	XMLName   xml.Name        `xml:"OwnershipControls"`
	Namespace string          `xml:"xmlns,attr,omitempty"`
	Rules     []OwnershipRule `xml:"Rule"`
}

// OwnershipRule is the one rule of [OwnershipControls].
type OwnershipRule struct {
	ObjectOwnership string
}

// PublicAccessBlock is a bucket's.
type PublicAccessBlock struct {
	XMLName               xml.Name `xml:"PublicAccessBlockConfiguration"`
	Namespace             string   `xml:"xmlns,attr,omitempty"`
	BlockPublicAcls       bool
	IgnorePublicAcls      bool
	BlockPublicPolicy     bool
	RestrictPublicBuckets bool
}

// PolicyStatus says whether a bucket is public.
type PolicyStatus struct {
	XMLName   xml.Name `xml:"PolicyStatus"`
	Namespace string   `xml:"xmlns,attr"`
	IsPublic  bool
}

// RequestPayment says who pays.
type RequestPayment struct {
	XMLName   xml.Name `xml:"RequestPaymentConfiguration"`
	Namespace string   `xml:"xmlns,attr"`
	Payer     string
}

// Unset is the document of a configuration that was never set; XMLName says which.
type Unset struct {
	XMLName   xml.Name
	Namespace string `xml:"xmlns,attr"`
}
