package policy

import "strings"

// ForBucket says whether the document can be the policy of the bucket; its error
// is an [*Error]. Every statement must name principals, actions of S3 that have to
// do with one of its resources, resources of this bucket, and keys of conditions
// that there are.
func (d *Document) ForBucket(bucket string) error {
	for i := range d.statements {
		s := &d.statements[i]
		if err := s.forBucket(bucket); err != nil {
			return err.in(i, s.sid)
		}
	}
	return nil
}

// ForIdentity says whether the document can be the policy of an identity, which
// names no principals: its bearer is meant. Its error is an [*Error].
func (d *Document) ForIdentity() error {
	for i := range d.statements {
		if d.statements[i].principals != nil {
			return malformed("Policy document should not specify a principal.", "").in(i, d.statements[i].sid)
		}
	}
	return nil
}

func (s *statement) forBucket(bucket string) *Error {
	switch {
	case s.principals == nil:
		return malformed("Missing required field Principal", "")
	case s.notPrincipals && s.effect == Allow:
		return malformed("Allow with NotPrincipal is not allowed.", "")
	}
	var has levels
	for i := range s.resources {
		of := s.resources[i].levelsOf(bucket)
		if of == 0 {
			return malformed("Policy has invalid resource", "")
		}
		has |= of
	}
	for i := range s.actions {
		of := s.actions[i].actionLevels()
		switch {
		case of == 0:
			return malformed("Policy has invalid action", "")
		case of&has == 0 && !s.notActions && !s.notResources:
			return malformed("Action does not apply to any resource(s) in statement", "")
		}
	}
	for i := range s.conditions {
		if !knownKey(s.conditions[i].key) {
			return malformed("Policy has an invalid condition key", s.conditions[i].key)
		}
	}
	return nil
}

// levels are kinds of resources that an action is done to.
type levels uint8

const (
	service levels = 1 << iota
	buckets
	objects
)

// levelsOf says whether the pattern can mean the bucket, and objects in it; none if
// it means nothing of it. What variables stand for is not known: anything.
func (p *pattern) levelsOf(bucket string) levels {
	pieces := make([]piece, len(p.pieces))
	for i, of := range p.pieces {
		if of.kind == variable {
			of = piece{kind: many}
		}
		pieces[i] = of
	}
	if len(pieces) == 0 || pieces[0].kind != literal || !strings.HasPrefix(pieces[0].text, resourcePrefix) {
		return 0 // S3 takes no wildcard for what is before the name of the bucket
	}
	var has levels
	if glob(pieces, resourcePrefix+bucket) {
		has |= buckets
	}
	if reaches(pieces, resourcePrefix+bucket+"/") {
		has |= objects
	}
	return has
}

// reaches says whether some text that begins with the prefix fits, and is longer
// than it.
func reaches(pieces []piece, prefix string) bool {
	for cut := range pieces {
		// The prefix ends within this piece, or before it.
		switch of := &pieces[cut]; of.kind {
		case many:
			if glob(pieces[:cut+1], prefix) {
				return true
			}
		case single:
			if glob(pieces[:cut], prefix) {
				return true
			}
		case literal:
			for n := range len(of.text) {
				if before, ok := strings.CutSuffix(prefix, of.text[:n]); ok && glob(pieces[:cut], before) {
					return true
				}
			}
		}
	}
	return false
}

// actionLevels says what the actions of the pattern are done to; none if S3 has no
// such action.
func (p *pattern) actionLevels() levels {
	var has levels
	for _, of := range [...]struct {
		level   levels
		actions string
	}{{service, serviceActions}, {buckets, bucketActions}, {objects, objectActions}} {
		for name := range strings.FieldsSeq(of.actions) {
			if glob(p.pieces, "s3:"+strings.ToLower(name)) {
				has |= of.level
				break
			}
		}
	}
	return has
}

// The actions of S3 (service authorization reference, "Actions, resources, and
// condition keys for Amazon S3").
const (
	serviceActions = "ListAllMyBuckets"

	bucketActions = `
CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket DeleteBucketMetadataTableConfiguration DeleteBucketPolicy
DeleteBucketWebsite GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS
GetBucketLocation GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification
GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite
GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration GetLifecycleConfiguration
GetMetricsConfiguration GetReplicationConfiguration ListBucket ListBucketMultipartUploads ListBucketVersions
ListTagsForResource PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS
PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy
PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite
PutEncryptionConfiguration PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration
PutMetricsConfiguration PutReplicationConfiguration TagResource UntagResource
UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration`

	objectActions = `
AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectAnnotation DeleteObjectTagging
DeleteObjectVersion DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAnnotation GetObjectAttributes
GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl
GetObjectVersionAttributes GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent
InitiateReplication ListMultipartUploadParts ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl
PutObjectAnnotation PutObjectLegalHold PutObjectRetention PutObjectTagging PutObjectVersionAcl
PutObjectVersionTagging RenameObject ReplicateDelete ReplicateObject ReplicateTags RestoreObject
UpdateObjectEncryption`
)

// knownKey says whether the key of a condition is one of AWS's or of S3's.
func knownKey(key string) bool {
	name, tag, has := strings.Cut(key, "/")
	known := conditionKeys
	if has {
		if tag == "" {
			return false
		}
		known = conditionTags
	}
	for one := range strings.FieldsSeq(known) {
		if one == name {
			return true
		}
	}
	return false
}

// The keys of conditions, in lower case (IAM, user guide, "Global condition
// context keys", and the reference of the actions).
const (
	conditionTags = "aws:principaltag aws:requesttag aws:resourcetag s3:buckettag s3:existingobjecttag s3:requestobjecttag"

	conditionKeys = `
aws:calledvia aws:calledviafirst aws:calledvialast aws:currenttime aws:epochtime aws:federatedprovider
aws:multifactorauthage aws:multifactorauthpresent aws:principalaccount aws:principalarn aws:principalisawsservice
aws:principalorgid aws:principalorgpaths aws:principalservicename aws:principalservicenameslist aws:principaltype
aws:referer aws:requestedregion aws:resourceaccount aws:resourceorgid aws:resourceorgpaths aws:securetransport
aws:sourceaccount aws:sourcearn aws:sourceidentity aws:sourceip aws:sourceorgid aws:sourceorgpaths aws:sourceowner
aws:sourcevpc aws:sourcevpcarn aws:sourcevpce aws:tagkeys aws:tokenissuetime aws:useragent aws:userid aws:username
aws:viaawsservice aws:vpcsourceip aws:vpceaccount aws:vpceorgid aws:vpceorgpaths
s3:accesspointnetworkorigin s3:authtype s3:dataaccesspointaccount s3:dataaccesspointarn s3:delimiter s3:if-match
s3:if-none-match s3:inventoryaccessibleoptionalfields s3:jobsuspendedcause s3:locationconstraint s3:max-keys
s3:object-lock-legal-hold s3:object-lock-mode s3:object-lock-remaining-retention-days
s3:object-lock-retain-until-date s3:objectcreationoperation s3:prefix s3:requestobjecttagkeys s3:resourceaccount
s3:signatureage s3:signatureversion s3:tlsversion s3:versionid s3:x-amz-acl s3:x-amz-bucket-namespace
s3:x-amz-content-sha256 s3:x-amz-copy-source s3:x-amz-grant-full-control s3:x-amz-grant-read
s3:x-amz-grant-read-acp s3:x-amz-grant-write s3:x-amz-grant-write-acp s3:x-amz-metadata-directive
s3:x-amz-object-ownership s3:x-amz-server-side-encryption s3:x-amz-server-side-encryption-aws-kms-key-id
s3:x-amz-server-side-encryption-customer-algorithm s3:x-amz-storage-class s3:x-amz-website-redirect-location`
)
