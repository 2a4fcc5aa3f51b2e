// Package acl is the access control lists of S3: grants of permissions on a bucket
// or an object, the canned ones, how they are kept, and what they allow.
//
// It computes and does nothing else. A [List] is a value; what is read from
// outside is checked by [Decode] and by whoever makes grants of a document.
package acl

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Permission is a set of permissions.
type Permission uint8

// The permissions; FullControl is all of them.
const (
	Read Permission = 1 << iota
	Write
	ReadACP
	WriteACP
	FullControl = Read | Write | ReadACP | WriteACP
)

// Group is a predefined group of grantees; "" is none.
type Group string

// The groups (S3, user guide, "Access control list (ACL) overview").
const (
	AllUsers           Group = "http://acs.amazonaws.com/groups/global/AllUsers"
	AuthenticatedUsers Group = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	LogDelivery        Group = "http://acs.amazonaws.com/groups/s3/LogDelivery"
)

// Known says whether there is such a group.
func (g Group) Known() bool { return g == AllUsers || g == AuthenticatedUsers || g == LogDelivery }

// MaxGrants is how many grants a list may have.
const MaxGrants = 100

// Grant gives one grantee one permission.
type Grant struct {
	ID         string     `json:"id,omitempty"`    // canonical; "" a group is meant
	Group      Group      `json:"group,omitempty"` // "" an id is meant
	Permission Permission `json:"permission"`
}

// List is the access control list of a bucket or an object.
type List struct {
	Owner  string  `json:"owner"`
	Grants []Grant `json:"grants"`
}

// ErrDamaged says that a kept list can not be read.
var ErrDamaged = errors.New("the access control list can not be read")

// ErrCanned says that there is no such canned list.
var ErrCanned = errors.New("no such canned access control list")

// Private is the list of what nobody but its owner has.
func Private(owner string) List {
	return List{owner, []Grant{{ID: owner, Permission: FullControl}}}
}

// Canned gives the list that a name stands for. bucketOwner matters for objects
// only; of a bucket it is the owner.
func Canned(name, owner, bucketOwner string) (List, error) {
	all := Grant{ID: owner, Permission: FullControl}
	group := func(g Group, permissions ...Permission) List {
		list := List{Owner: owner}
		for _, p := range permissions {
			list.Grants = append(list.Grants, Grant{Group: g, Permission: p})
		}
		list.Grants = append(list.Grants, all)
		return list
	}
	beside := func(p Permission) List {
		if bucketOwner == owner {
			return Private(owner)
		}
		return List{owner, []Grant{all, {ID: bucketOwner, Permission: p}}}
	}
	switch name {
	case "private", "aws-exec-read": // the latter grants to a service that is not here
		return Private(owner), nil
	case "public-read":
		return group(AllUsers, Read), nil
	case "public-read-write":
		return group(AllUsers, Read, Write), nil
	case "authenticated-read":
		return group(AuthenticatedUsers, Read), nil
	case "log-delivery-write":
		return group(LogDelivery, Write, ReadACP), nil
	case "bucket-owner-read":
		return beside(Read), nil
	case "bucket-owner-full-control":
		return beside(FullControl), nil
	}
	return List{}, fmt.Errorf("%w: %q", ErrCanned, name)
}

// Public says whether the list grants something to everybody, or to everybody
// with credentials of whatever account.
func (l List) Public() bool {
	return slices.ContainsFunc(l.Grants, func(g Grant) bool { return g.Group == AllUsers || g.Group == AuthenticatedUsers })
}

// OwnerOnly says whether nobody but the owner is granted anything.
func (l List) OwnerOnly() bool {
	return !slices.ContainsFunc(l.Grants, func(g Grant) bool { return g.ID != l.Owner || g.Group != "" })
}

// IsPrivate says whether the list is that of [Private].
func (l List) IsPrivate() bool { return slices.Equal(l.Grants, Private(l.Owner).Grants) }

// Granted is to whom a permission was granted.
type Granted uint8

// The kinds, weakest first.
const (
	ToNobody Granted = iota
	ToCaller         // to the caller's canonical id
	ToGroup          // to a group that the caller is in
)

// To says how the list grants a permission to a caller; an empty id is nobody's.
// ignorePublic leaves out the groups.
func (l List) To(id string, wanted Permission, ignorePublic bool) Granted {
	granted := ToNobody
	for _, g := range l.Grants {
		if g.Permission&wanted == 0 {
			continue
		}
		switch {
		case g.Group != "":
			if !ignorePublic && (g.Group == AllUsers || g.Group == AuthenticatedUsers && id != "") {
				return ToGroup
			}
		case g.ID != "" && g.ID == id:
			granted = ToCaller
		}
	}
	return granted
}

// Encode gives the form in which a list is kept.
func (l List) Encode() ([]byte, error) { return json.Marshal(l) }

// Decode reads what Encode gave.
func Decode(data []byte) (List, error) {
	var l List
	if err := json.Unmarshal(data, &l); err != nil {
		return List{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for _, g := range l.Grants {
		if (g.ID == "") == (g.Group == "") || g.Permission == 0 || g.Permission&^FullControl != 0 {
			return List{}, ErrDamaged
		}
	}
	return l, nil
}

// On is what a list is of.
type On uint8

// The two things that have lists.
const (
	Nothing On = iota
	Bucket
	Object
)

// ForAction gives the permission that allows an action, and on what it has to be
// granted (S3, user guide, "Mapping of ACL permissions and access policy
// permissions").
func ForAction(action string) (Permission, On) {
	switch action {
	case "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads":
		return Read, Bucket
	case "s3:PutObject":
		return Write, Bucket
	case "s3:GetBucketAcl":
		return ReadACP, Bucket
	case "s3:PutBucketAcl":
		return WriteACP, Bucket
	case "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTorrent":
		return Read, Object
	case "s3:GetObjectAcl", "s3:GetObjectVersionAcl":
		return ReadACP, Object
	case "s3:PutObjectAcl", "s3:PutObjectVersionAcl":
		return WriteACP, Object
	}
	return 0, Nothing
}

// String is the name of a permission, as documents have it.
func (p Permission) String() string {
	switch p {
	case Read:
		return "READ"
	case Write:
		return "WRITE"
	case ReadACP:
		return "READ_ACP"
	case WriteACP:
		return "WRITE_ACP"
	case FullControl:
		return "FULL_CONTROL"
	}
	return ""
}

// Permissions lists those that have names.
func Permissions() []Permission {
	return []Permission{Read, Write, ReadACP, WriteACP, FullControl}
}

// ParsePermission reads the name of a permission.
func ParsePermission(name string) (Permission, bool) {
	for _, p := range Permissions() {
		if p.String() == name {
			return p, true
		}
	}
	return 0, false
}

// Grantee is whom a grant is for, in one of three ways.
type Grantee struct{ ID, URI, Email string }

// ParseGrantees reads the value of a header that grants: id="…", uri="…" and
// emailAddress="…", separated by commas.
func ParseGrantees(header string) ([]Grantee, bool) {
	var out []Grantee
	for piece := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(piece), "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		if !ok || value == "" || len(out) == MaxGrants {
			return nil, false
		}
		var g Grantee
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "id":
			g.ID = value
		case "uri":
			g.URI = value
		case "emailaddress":
			g.Email = value
		default:
			return nil, false
		}
		out = append(out, g)
	}
	return out, len(out) > 0
}
