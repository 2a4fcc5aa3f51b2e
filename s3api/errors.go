package s3api

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/s3api/internal/chunked"
	"github.com/sherd-storage/sherd/s3api/internal/form"
	"github.com/sherd-storage/sherd/s3api/internal/meter"
	"github.com/sherd-storage/sherd/s3api/internal/signature"
	"github.com/sherd-storage/sherd/s3api/internal/sse"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
	"github.com/sherd-storage/sherd/versioning"
)

// Error is an answer of S3 that is no success. An [Authenticator] and an
// [Authorizer] may return it.
type Error struct {
	// Code is one of those that [Codes] lists; another one answers
	// InternalError.
	Code string
	// Message is what the client is told. Empty: the code's own message.
	Message string
	// Err is the cause. It may be logged; the client is not told.
	Err error

	extra  []wire.Extra
	header map[string]string
	close  bool // the connection cannot be used again
}

// Error gives the code, the message and the cause.
func (e *Error) Error() string {
	text := e.Code + ": " + cmp.Or(e.Message, table[e.Code].message)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Status is the HTTP status of the code.
func (e *Error) Status() int { return cmp.Or(table[e.Code].status, http.StatusInternalServerError) }

func fail(code string) *Error { return &Error{Code: code} }

func (e *Error) saying(message string) *Error {
	e.Message = message
	return e
}

func (e *Error) because(cause error) *Error {
	e.Err = cause
	return e
}

// with adds an element that the code documents.
func (e *Error) with(name, value string) *Error {
	e.extra = append(e.extra, wire.Extra{XMLName: xml.Name{Local: name}, Value: value})
	return e
}

func (e *Error) heading(name, value string) *Error {
	if e.header == nil {
		e.header = map[string]string{}
	}
	e.header[name] = value
	return e
}

func (e *Error) closing() *Error {
	e.close = true
	return e
}

// Codes lists the codes that an [Error] can have, sorted.
func Codes() []string { return slices.Sorted(maps.Keys(table)) }

type answer struct {
	status  int
	message string
}

// table is every code with its status and its message (S3, API reference,
// "Error responses").
var table = map[string]answer{
	"AccessControlListNotSupported":                  {http.StatusBadRequest, "The bucket does not allow ACLs"},
	"AccessDenied":                                   {http.StatusForbidden, "Access Denied"},
	"AccessForbidden":                                {http.StatusForbidden, "CORSResponse: This CORS request is not allowed."},
	"AuthorizationHeaderMalformed":                   {http.StatusBadRequest, "The authorization header that you provided is not valid."},
	"AuthorizationQueryParametersError":              {http.StatusBadRequest, "The authorization parameters of the query are not valid."},
	"BadDigest":                                      {http.StatusBadRequest, "The Content-MD5 or checksum value that you specified did not match what the server received."},
	"BadRequest":                                     {http.StatusBadRequest, "Bad Request"},
	"BucketAlreadyExists":                            {http.StatusConflict, "The requested bucket name is not available. Please select a different name and try again."},
	"BucketAlreadyOwnedByYou":                        {http.StatusConflict, "Your previous request to create the named bucket succeeded and you already own it."},
	"BucketNotEmpty":                                 {http.StatusConflict, "The bucket you tried to delete is not empty"},
	"EntityTooLarge":                                 {http.StatusBadRequest, "Your proposed upload exceeds the maximum allowed object size."},
	"EntityTooSmall":                                 {http.StatusBadRequest, "Your proposed upload is smaller than the minimum allowed object size."},
	"InvalidLocationConstraint":                      {http.StatusBadRequest, "The specified location constraint is not valid."},
	"IllegalLocationConstraintException":             {http.StatusBadRequest, "The specified location constraint is not that of this endpoint."},
	"IncompleteBody":                                 {http.StatusBadRequest, "You did not provide the number of bytes specified by the Content-Length HTTP header."},
	"InsufficientStorage":                            {http.StatusInsufficientStorage, "There is no space left to store this."},
	"InternalError":                                  {http.StatusInternalServerError, "We encountered an internal error. Please try again."},
	"InvalidAccessKeyId":                             {http.StatusForbidden, "The access key ID you provided does not exist in our records."},
	"InvalidArgument":                                {http.StatusBadRequest, "Invalid Argument"},
	"InvalidBucketAclWithObjectOwnership":            {http.StatusBadRequest, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"},
	"InvalidBucketName":                              {http.StatusBadRequest, "The specified bucket is not valid."},
	"InvalidBucketState":                             {http.StatusConflict, "The request is not valid for the current state of the bucket."},
	"InvalidChunkSizeError":                          {http.StatusBadRequest, "The chunks of the body are not as their encoding demands."},
	"InvalidDigest":                                  {http.StatusBadRequest, "The Content-MD5 or checksum value that you specified is not valid."},
	"IdempotencyParameterMismatch":                   {http.StatusBadRequest, "The parameters of this request are not those of the request that had its client token before."},
	"InvalidWriteOffset":                             {http.StatusBadRequest, "The write offset value that you specified does not match the current object size."},
	"TooManyParts":                                   {http.StatusBadRequest, "You have attempted to add more parts than the maximum of 10000 that are allowed for this object. You can use the CopyObject operation to copy this object to another and then add more parts to the newly copied object."},
	"InvalidEncryptionAlgorithmError":                {http.StatusBadRequest, "The encryption request you specified is not valid. The valid value is AES256."},
	"KMS.NotFoundException":                          {http.StatusBadRequest, "The master key is not known."},
	"InvalidPart":                                    {http.StatusBadRequest, "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	"InvalidPartOrder":                               {http.StatusBadRequest, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	"InvalidPolicyDocument":                          {http.StatusBadRequest, "The content of the form does not meet the conditions specified in the policy document."},
	"InvalidRange":                                   {http.StatusRequestedRangeNotSatisfiable, "The requested range is not satisfiable"},
	"InvalidRequest":                                 {http.StatusBadRequest, "Invalid Request"},
	"InvalidRetentionPeriod":                         {http.StatusBadRequest, "The retention period specified in days or years is not valid."},
	"InvalidStorageClass":                            {http.StatusBadRequest, "The storage class you specified is not valid"},
	"InvalidTag":                                     {http.StatusBadRequest, "The tags provided are not valid"},
	"InvalidToken":                                   {http.StatusBadRequest, "The provided token is malformed or otherwise not valid."},
	"InvalidURI":                                     {http.StatusBadRequest, "Couldn't parse the specified URI."},
	"KeyTooLongError":                                {http.StatusBadRequest, "Your key is too long"},
	"MalformedACLError":                              {http.StatusBadRequest, "The XML you provided was not well-formed or did not validate against our published schema"},
	"MalformedPOSTRequest":                           {http.StatusBadRequest, "The body of your POST request is not well-formed multipart/form-data."},
	"MalformedPolicy":                                {http.StatusBadRequest, "This policy is not valid."},
	"MalformedXML":                                   {http.StatusBadRequest, "The XML you provided was not well-formed or did not validate against our published schema"},
	"MaxPostPreDataLengthExceededError":              {http.StatusBadRequest, "Your POST request fields preceding the upload file were too large."},
	"MaxMessageLengthExceeded":                       {http.StatusBadRequest, "Your request was too large."},
	"MetadataTooLarge":                               {http.StatusBadRequest, "Your metadata headers exceed the maximum allowed metadata size"},
	"MethodNotAllowed":                               {http.StatusMethodNotAllowed, "The specified method is not allowed against this resource."},
	"MissingSecurityHeader":                          {http.StatusBadRequest, "Your request was missing a required header"},
	"MissingContentLength":                           {http.StatusLengthRequired, "You must provide the Content-Length HTTP header."},
	"NoSuchBucket":                                   {http.StatusNotFound, "The specified bucket does not exist"},
	"NoSuchBucketPolicy":                             {http.StatusNotFound, "The bucket policy does not exist"},
	"NoSuchLifecycleConfiguration":                   {http.StatusNotFound, "The lifecycle configuration does not exist"},
	"NoSuchCORSConfiguration":                        {http.StatusNotFound, "The CORS configuration does not exist"},
	"NoSuchKey":                                      {http.StatusNotFound, "The specified key does not exist."},
	"NoSuchObjectLockConfiguration":                  {http.StatusNotFound, "The specified object does not have a ObjectLock configuration"},
	"NoSuchPublicAccessBlockConfiguration":           {http.StatusNotFound, "The public access block configuration was not found"},
	"NoSuchTagSet":                                   {http.StatusNotFound, "The TagSet does not exist"},
	"NoSuchUpload":                                   {http.StatusNotFound, "The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might have been aborted or completed."},
	"NoSuchVersion":                                  {http.StatusNotFound, "The version ID specified in the request does not match an existing version."},
	"NoSuchWebsiteConfiguration":                     {http.StatusNotFound, "The specified bucket does not have a website configuration"},
	"NotImplemented":                                 {http.StatusNotImplemented, "A header or operation you provided implies functionality that is not implemented."},
	"NotModified":                                    {http.StatusNotModified, "Not Modified"},
	"ObjectLockConfigurationNotFoundError":           {http.StatusNotFound, "Object Lock configuration does not exist for this bucket"},
	"OperationAborted":                               {http.StatusConflict, "A conflicting conditional operation is currently in progress against this resource. Try again."},
	"OwnershipControlsNotFoundError":                 {http.StatusNotFound, "The bucket ownership controls were not found"},
	"PreconditionFailed":                             {http.StatusPreconditionFailed, "At least one of the preconditions you specified did not hold"},
	"ReplicationConfigurationNotFoundError":          {http.StatusNotFound, "The replication configuration was not found"},
	"RequestHeaderSectionTooLarge":                   {http.StatusBadRequest, "Your request has too many headers."},
	"RequestTimeTooSkewed":                           {http.StatusForbidden, "The difference between the request time and the server's time is too large."},
	"RequestTimeout":                                 {http.StatusBadRequest, "Your socket connection to the server was not read from or written to within the timeout period."},
	"ServerSideEncryptionConfigurationNotFoundError": {http.StatusNotFound, "The server side encryption configuration was not found"},
	"ServiceUnavailable":                             {http.StatusServiceUnavailable, "Service is unable to handle request. Please try again."},
	"SignatureDoesNotMatch":                          {http.StatusForbidden, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	"UnexpectedContent":                              {http.StatusBadRequest, "This request does not support content"},
	"UnresolvableGrantByEmailAddress":                {http.StatusBadRequest, "The e-mail address you provided does not match any account on record."},
	"XAmzContentSHA256Mismatch":                      {http.StatusBadRequest, "The provided 'x-amz-content-sha256' header does not match what was computed."},
}

// translation is the answer to an error of the layers below.
type translation struct {
	cause  error
	answer Error
}

// translations is in the order in which causes are looked for.
func translations() []translation {
	retry := map[string]string{"Retry-After": "1"}
	return []translation{
		{sherd.ErrOutcomeUnknown, Error{Code: "InternalError"}},
		{signature.ErrDigest, Error{Code: "XAmzContentSHA256Mismatch"}},
		{chunked.ErrSignature, Error{Code: "SignatureDoesNotMatch", close: true}},
		{chunked.ErrFraming, Error{Code: "InvalidChunkSizeError", close: true}},
		{chunked.ErrSize, Error{Code: "IncompleteBody", close: true}},
		{chunked.ErrTrailer, Error{Code: "InvalidRequest", Message: "The trailers are not those that x-amz-trailer declared.", close: true}},
		{sherd.ErrShortBody, Error{Code: "IncompleteBody", close: true}},
		{sherd.ErrLongBody, Error{Code: "IncompleteBody", close: true}},
		{sherd.ErrBadDigest, Error{Code: "BadDigest"}},
		{checksum.ErrAlgorithm, Error{Code: "InvalidRequest", Message: "The checksum algorithm is not supported."}},
		{checksum.ErrType, Error{Code: "InvalidRequest", Message: "The checksum type does not go with the algorithm."}},
		{checksum.ErrSum, Error{Code: "BadDigest", Message: "Value for a checksum header is invalid."}},
		{form.ErrMalformed, Error{Code: "MalformedPOSTRequest", close: true}},
		{form.ErrTooLarge, Error{Code: "MaxPostPreDataLengthExceededError", close: true}},
		{form.ErrTwice, Error{Code: "InvalidArgument", Message: "A field of the form is given twice.", close: true}},
		{form.ErrNoFile, Error{Code: "InvalidArgument", Message: "POST requires exactly one file upload per request."}},
		{wire.ErrTooLarge, Error{Code: "MaxMessageLengthExceeded", close: true}},
		{wire.ErrMalformed, Error{Code: "MalformedXML"}},
		{wire.ErrSource, Error{Code: "InvalidArgument", Message: "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"}},
		{wire.ErrRange, Error{Code: "InvalidArgument", Message: "The x-amz-copy-source-range value must be of the form bytes=first-last"}},
		{sherd.ErrNoSuchBucket, Error{Code: "NoSuchBucket"}},
		{sherd.ErrNoSuchUpload, Error{Code: "NoSuchUpload"}},
		{sherd.ErrNoSuchVersion, Error{Code: "NoSuchVersion"}},
		{sherd.ErrNoSuchKey, Error{Code: "NoSuchKey"}},
		{sherd.ErrDeleteMarker, Error{Code: "MethodNotAllowed"}},
		{sherd.ErrBucketExists, Error{Code: "BucketAlreadyExists"}},
		{sherd.ErrBucketNotEmpty, Error{Code: "BucketNotEmpty"}},
		{sherd.ErrPrecondition, Error{Code: "PreconditionFailed"}},
		{sherd.ErrNotModified, Error{Code: "NotModified"}},
		{sherd.ErrInvalidRange, Error{Code: "InvalidRange"}},
		{sherd.ErrEncrypted, Error{Code: "InvalidRequest", Message: "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."}},
		{sherd.ErrKey, Error{Code: "AccessDenied"}},
		{sse.ErrUnknownMasterKey, Error{Code: "KMS.NotFoundException"}},
		{sse.ErrContext, Error{Code: "InvalidArgument", Message: "The encryption context is too large."}},
		{sse.ErrEnvelope, Error{Code: "InvalidRequest", Message: "The object was encrypted by another program."}},
		{sherd.ErrPartOrder, Error{Code: "InvalidPartOrder"}},
		{sherd.ErrInvalidPart, Error{Code: "InvalidPart"}},
		{sherd.ErrWriteOffset, Error{Code: "InvalidWriteOffset"}},
		{sherd.ErrTooManyParts, Error{Code: "TooManyParts"}},
		{sherd.ErrApart, Error{Code: "NotImplemented", Message: "The two keys are stored apart, so that the object can only be copied and deleted."}},
		{sherd.ErrPartTooSmall, Error{Code: "EntityTooSmall"}},
		{sherd.ErrTooLarge, Error{Code: "EntityTooLarge"}},
		{sherd.ErrLocked, Error{Code: "AccessDenied", Message: "Access Denied because object protected by object lock."}},
		{lock.ErrNotEnabled, Error{Code: "InvalidRequest", Message: "Bucket is missing Object Lock Configuration"}},
		{lock.ErrInvalidRetention, Error{Code: "InvalidArgument", Message: "The retention is not valid."}},
		{versioning.ErrObjectLock, Error{Code: "InvalidBucketState", Message: "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."}},
		{versioning.ErrTransition, Error{Code: "InvalidBucketState"}},
		{versioning.ErrID, Error{Code: "InvalidArgument", Message: "Invalid version id specified"}},
		{sherd.ErrInvalidArgument, Error{Code: "InvalidArgument"}},
		{sherd.ErrNoSpace, Error{Code: "InsufficientStorage"}},
		{sherd.ErrReadOnly, Error{Code: "ServiceUnavailable", header: retry}},
		{sherd.ErrUnavailable, Error{Code: "ServiceUnavailable", header: retry}},
		{sherd.ErrDamaged, Error{Code: "ServiceUnavailable", header: retry}},
		{sherd.ErrClosed, Error{Code: "ServiceUnavailable", header: retry}},
		// What the store gives no name to comes from the client's connection.
		{io.ErrUnexpectedEOF, Error{Code: "IncompleteBody", close: true}},
		{io.ErrNoProgress, Error{Code: "RequestTimeout", close: true}},
		{os.ErrDeadlineExceeded, Error{Code: "RequestTimeout", close: true}},
		{context.DeadlineExceeded, Error{Code: "ServiceUnavailable", header: retry}},
		{context.Canceled, Error{Code: "RequestTimeout", close: true}},
		{meter.ErrBody, Error{Code: "IncompleteBody", close: true}},
	}
}

// answerTo finds the answer to an error of any layer; what nobody knows is an
// InternalError.
func answerTo(err error) *Error {
	if answered, ok := errors.AsType[*Error](err); ok {
		if _, known := table[answered.Code]; known {
			return answered
		}
		return fail("InternalError").because(err)
	}
	if refused, ok := errors.AsType[*signature.Refusal](err); ok {
		answer := &Error{Code: refused.Code, Message: refused.Message, Err: refused.Err}
		if refused.Name != "" {
			answer.with(refused.Name, refused.Value)
		}
		return answer
	}
	if refused, ok := errors.AsType[*sse.Error](err); ok {
		return fail(refused.Code).saying(refused.Message).with("ArgumentName", refused.Name).with("ArgumentValue", refused.Value)
	}
	for _, t := range translations() {
		if errors.Is(err, t.cause) {
			found := t.answer
			found.Err = err
			found.header = maps.Clone(found.header)
			return &found
		}
	}
	return fail("InternalError").because(err)
}

// codeOf is the code of what a request ended with. Where the client went away in
// the middle of its answer, what became of the connection is not the store's doing.
func (c *call) codeOf(err error) string {
	if gone := c.ctx().Err(); gone != nil && errors.Is(err, http.ErrAbortHandler) {
		err = gone
	}
	return answerTo(err).Code
}

// refuse writes an error.
func (c *call) refuse(e *Error) {
	status := e.Status()
	if status >= http.StatusInternalServerError && status != http.StatusNotImplemented {
		c.log(e, status)
	}
	header := c.w.Header()
	for name, value := range e.header {
		header.Set(name, value)
	}
	if e.close {
		header.Set("Connection", "close")
	}
	if c.r.Method == http.MethodHead || status == http.StatusNotModified {
		c.w.WriteHeader(status)
		return
	}
	document := wire.ErrorDocument{
		Code: e.Code, Message: e.Message, Extra: e.extra, Resource: c.r.URL.Path,
		RequestID: c.requestID, HostID: c.requestID,
	}
	if document.Message == "" {
		document.Message = table[e.Code].message
	}
	if e.Code == "NoSuchBucket" && len(e.extra) == 0 && c.source.Bucket == "" {
		document.Extra = []wire.Extra{{XMLName: xml.Name{Local: "BucketName"}, Value: c.bucket}}
	}
	data, err := wire.Marshal(document)
	if err != nil { // an error document is plain text: this can not be
		c.log(err, status)
		data = nil
	}
	header.Set("Content-Type", "application/xml")
	header.Set("Content-Length", strconv.Itoa(len(data)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(data) // the client has gone: nobody to tell
}

// log tells the operator of a failure that is not the client's doing.
func (c *call) log(err error, status int) {
	level, operation := slog.LevelWarn, ""
	if c.ctx().Err() != nil {
		level = slog.LevelDebug // he went away
	}
	if c.operation != nil {
		operation = c.operation.Name
	}
	c.opt.Logger.LogAttrs(c.ctx(), level, "request failed", slog.String("request", c.requestID),
		slog.String("operation", operation), slog.String("bucket", c.bucket), slog.String("key", c.key),
		slog.Int("status", status), slog.String("error", err.Error()))
}
