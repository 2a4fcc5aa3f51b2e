package sse

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Error is a header that S3 refuses, in its words.
type Error struct {
	Code, Message string
	Name, Value   string // the argument; "" none
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// The headers of requests and answers; those of customers' keys are behind a prefix.
const (
	HeaderAlgorithm = "X-Amz-Server-Side-Encryption"
	HeaderKeyID     = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
	HeaderContext   = "X-Amz-Server-Side-Encryption-Context"
	HeaderBucketKey = "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"

	OfObject = "X-Amz-"             // the object that is written or read
	OfSource = "X-Amz-Copy-Source-" // that which is copied

	customerAlgorithm = "Server-Side-Encryption-Customer-Algorithm"
	customerKey       = "Server-Side-Encryption-Customer-Key"
	customerMD5       = "Server-Side-Encryption-Customer-Key-Md5"

	// Algorithm is the only one that customers' keys are for.
	Algorithm = "AES256"
)

// CustomerKey is a key that came with a request. Nothing shows it.
type CustomerKey struct {
	key [keyBytes]byte
	md5 string
}

func (*CustomerKey) String() string       { return "(key)" }
func (*CustomerKey) GoString() string     { return "(key)" }
func (*CustomerKey) LogValue() slog.Value { return slog.StringValue("(key)") }

// New makes a data key that only this key opens.
func (k *CustomerKey) New() (plain [keyBytes]byte, sealed []byte, err error) {
	return NewKey(&k.key, []byte(Customer))
}

// Open opens it again.
func (k *CustomerKey) Open(sealed []byte) (plain [keyBytes]byte, err error) {
	return OpenKey(&k.key, sealed, []byte(Customer))
}

// Headers says with which key an object was written or read.
func (k *CustomerKey) Headers(h http.Header) {
	h.Set(OfObject+customerAlgorithm, Algorithm)
	h.Set(OfObject+customerMD5, k.md5)
}

const customerKeys = "Requests specifying Server Side Encryption with Customer provided keys must provide "

// ParseCustomerKey reads the key of an object or of a source (S3, user guide, "Using
// server-side encryption with customer-provided keys"); nil where there is none.
func ParseCustomerKey(h http.Header, of string) (*CustomerKey, error) {
	algorithm, hasAlgorithm := joined(h, of+customerAlgorithm)
	text, hasKey := joined(h, of+customerKey)
	sum, hasSum := joined(h, of+customerMD5)
	argument := strings.ToLower(of + customerAlgorithm)
	switch {
	case !hasAlgorithm && !hasKey && !hasSum:
		return nil, nil
	case algorithm == "":
		return nil, &Error{"InvalidArgument", customerKeys + "a valid encryption algorithm.", argument, "null"}
	case text == "":
		return nil, &Error{"InvalidArgument", customerKeys + "an appropriate secret key.", strings.ToLower(of + customerKey), "null"}
	case sum == "":
		return nil, &Error{"InvalidArgument", customerKeys + "the client calculated MD5 of the secret key.", strings.ToLower(of + customerMD5), "null"}
	case algorithm != Algorithm:
		return nil, &Error{"InvalidEncryptionAlgorithmError", "The Encryption request you specified is not valid. Supported value: AES256.", argument, algorithm}
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != keyBytes {
		return nil, &Error{"InvalidArgument", "The secret key was invalid for the specified algorithm.", argument, algorithm}
	}
	hash := md5.Sum(key)
	if encoded := base64.StdEncoding.EncodeToString(hash[:]); encoded != sum {
		return nil, &Error{"InvalidArgument", "The calculated MD5 hash of the key did not match the hash that was provided.", strings.ToLower(of + customerMD5), sum}
	}
	return &CustomerKey{[keyBytes]byte(key), sum}, nil
}

// joined is a header that has one value; several lines are a value that is none.
func joined(h http.Header, name string) (string, bool) {
	values := h.Values(name)
	return strings.Join(values, ","), len(values) > 0
}

// Request is how something that is written is to be encrypted.
type Request struct {
	Kind      Kind
	KeyID     string            // of SSE-KMS; "": that of the bucket
	Context   map[string]string // of SSE-KMS
	BucketKey *bool             // nil: as the bucket says
	Key       *CustomerKey      // of SSE-C
}

// ParseRequest reads it.
func ParseRequest(h http.Header) (*Request, error) {
	r := &Request{}
	var err error
	if r.Key, err = ParseCustomerKey(h, OfObject); err != nil {
		return nil, err
	}
	algorithm, given := joined(h, HeaderAlgorithm)
	argument := strings.ToLower(HeaderAlgorithm)
	switch {
	case given && r.Key != nil:
		return nil, &Error{"InvalidArgument", "Server Side Encryption with Customer provided key is incompatible with the encryption method specified", argument, algorithm}
	case r.Key != nil:
		r.Kind = Customer
	case algorithm == "aws:kms:dsse":
		return nil, &Error{"NotImplemented", "Two layers of encryption are not implemented.", argument, algorithm}
	case given && algorithm != string(Service) && algorithm != string(KMS):
		return nil, &Error{"InvalidArgument", "The encryption method specified is not supported", argument, algorithm}
	case given:
		r.Kind = Kind(algorithm)
	}
	var context string
	var hasID, hasContext bool
	r.KeyID, hasID = joined(h, HeaderKeyID)
	if context, hasContext = joined(h, HeaderContext); (hasID || hasContext) && r.Kind != KMS {
		return nil, &Error{"InvalidArgument", "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms", argument, algorithm}
	}
	if !utf8.ValidString(r.KeyID) { // it could not be kept as it is
		return nil, &Error{"InvalidArgument", "The id of the key is not UTF-8.", strings.ToLower(HeaderKeyID), ""}
	}
	if hasContext {
		if r.Context, err = parseContext(context); err != nil {
			return nil, err
		}
	}
	switch text, given := joined(h, HeaderBucketKey); strings.ToLower(text) {
	case "true", "false":
		enabled := strings.EqualFold(text, "true")
		r.BucketKey = &enabled
	default:
		if given {
			return nil, &Error{"InvalidArgument", "The bucket key is enabled by true or false.", strings.ToLower(HeaderBucketKey), text}
		}
	}
	return r, nil
}

func parseContext(text string) (context map[string]string, err error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(data, &context)
	}
	if err != nil {
		return nil, &Error{"InvalidArgument", "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map",
			strings.ToLower(HeaderContext), text}
	}
	return context, nil
}

// RefuseOnRead refuses what only belongs to requests that write: what is read is
// decrypted as it was encrypted.
func RefuseOnRead(h http.Header) error {
	for _, name := range [...]string{HeaderAlgorithm, HeaderKeyID, HeaderContext, HeaderBucketKey} {
		if value, given := joined(h, name); given {
			name = strings.ToLower(name)
			return &Error{"InvalidArgument", name + " header is not supported for this operation.", name, value}
		}
	}
	return nil
}

// Headers says how an object is encrypted. Of SSE-C that is said by the key.
func (e *Envelope) Headers(h http.Header) {
	switch e.Kind {
	case Service:
		h.Set(HeaderAlgorithm, string(Service))
	case KMS:
		h.Set(HeaderAlgorithm, string(KMS))
		h.Set(HeaderKeyID, e.KeyID)
		if e.BucketKey {
			h.Set(HeaderBucketKey, "true")
		}
	}
}

// ContextHeader says what the context is, to who set it.
func (e *Envelope) ContextHeader(h http.Header) {
	if len(e.Context) > 0 {
		h.Set(HeaderContext, base64.StdEncoding.EncodeToString(contextOf(e.Context)))
	}
}
