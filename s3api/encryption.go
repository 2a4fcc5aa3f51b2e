package s3api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/s3api/internal/facts"
	"github.com/sherd-storage/sherd/s3api/internal/regime"
	"github.com/sherd-storage/sherd/s3api/internal/sse"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// KeyService has the master keys of SSE-S3 and SSE-KMS, each with an id. Package
// keys has one that needs no other program.
type KeyService interface {
	// GenerateKey makes a data key, 32 random bytes that are used for one object,
	// and seals it with a master key, bound to the context. keyID is "" for
	// SSE-S3: the service chooses. id is the master key's, by which OpenKey is asked.
	GenerateKey(ctx context.Context, keyID string, context map[string]string) (plain [32]byte, sealed []byte, id string, err error)
	// OpenKey opens it again.
	OpenKey(ctx context.Context, keyID string, sealed []byte, context map[string]string) ([32]byte, error)
}

// ErrUnknownMasterKey is what a [KeyService] gives for ids of master keys that it does
// not have. It answers KMS.NotFoundException.
var ErrUnknownMasterKey = sse.ErrUnknownMasterKey

// customerKey reads the key that came with the request, for the object or for a
// source; nil where none did.
func (c *call) customerKey(of string) (*sse.CustomerKey, error) {
	key, err := sse.ParseCustomerKey(c.Header, of)
	if err != nil || key == nil {
		return nil, err
	}
	return key, c.confidential()
}

// confidential refuses keys that others could have read on their way: S3 takes
// them over HTTPS alone. What does not leave the machine is read by nobody else.
func (c *call) confidential() error {
	from := facts.Request{Raw: c.r, Trusted: c.opt.TrustedProxies}
	if ip := from.SourceIP(); from.Secure() || !ip.IsValid() || ip.IsLoopback() {
		return nil
	}
	return fail("InvalidRequest").saying("Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.")
}

// newEncryption says how what the request writes is encrypted: as it wishes, else as
// the bucket does; nil: not at all.
func (c *call) newEncryption() (*sherd.Encryption, error) {
	wanted, err := sse.ParseRequest(c.Header)
	if err != nil {
		return nil, err
	}
	bucket, err := c.thisAccess()
	if err != nil {
		return nil, err
	}
	if wanted.Key != nil {
		if err := c.confidential(); err != nil {
			return nil, err
		}
		if bucket.Encryption.Blocks() {
			return nil, fail("AccessDenied")
		}
	}
	c.customer = wanted.Key
	wanted = wanted.Or(bucket.Encryption)
	if wanted.Kind == sse.None {
		return nil, nil
	}
	return c.seal(wanted)
}

// seal makes the key of an object and seals it.
func (c *call) seal(wanted *sse.Request) (*sherd.Encryption, error) {
	out, envelope, err := &sherd.Encryption{HideMD5: wanted.Kind != sse.Service}, &sse.Envelope{Kind: wanted.Kind}, error(nil)
	switch {
	case wanted.Kind == sse.Customer:
		out.Key, envelope.Sealed, err = wanted.Key.New()
	case c.opt.Keys == nil:
		return nil, fail("NotImplemented").with("Header", sse.HeaderAlgorithm)
	case wanted.Kind == sse.KMS && wanted.KeyID == "":
		return nil, fail("InvalidArgument").saying("The id of a master key is needed: there is none of the service's own.").
			with("ArgumentName", "x-amz-server-side-encryption-aws-kms-key-id")
	default:
		envelope.Context, envelope.BucketKey = wanted.Context, wanted.BucketKey != nil && *wanted.BucketKey
		out.Key, envelope.Sealed, envelope.KeyID, err = c.opt.Keys.GenerateKey(c.ctx(), wanted.KeyID, wanted.Context)
	}
	if err != nil {
		return nil, err
	}
	out.Envelope, err = envelope.Marshal()
	return out, err
}

// unlock gives what the store asks for the key of what is read, when the request
// came with this key of a customer.
func (c *call) unlock(key *sse.CustomerKey) func([]byte) ([32]byte, error) {
	return func(data []byte) ([32]byte, error) {
		envelope, err := sse.ParseEnvelope(data)
		switch {
		case err != nil:
			return [32]byte{}, err
		case (key != nil) != (envelope.Kind == sse.Customer):
			return [32]byte{}, misplaced(key)
		}
		plain, err := c.open(envelope, key)
		if errors.Is(err, sse.ErrOtherKey) && key != nil {
			err = fail("AccessDenied").because(err)
		}
		return plain, err
	}
}

// misplaced is the answer to a key where there is nothing to open with it, or to none
// where one is needed.
func misplaced(key *sse.CustomerKey) error {
	if key == nil {
		return fail("InvalidRequest").saying("The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	}
	return fail("InvalidRequest").saying("The encryption parameters are not applicable to this object.")
}

// open opens the key of an object; its error is sse.ErrOtherKey for another key of a
// customer.
func (c *call) open(envelope *sse.Envelope, key *sse.CustomerKey) ([32]byte, error) {
	if envelope.Kind == sse.Customer {
		return key.Open(envelope.Sealed)
	}
	if c.opt.Keys == nil {
		return [32]byte{}, fail("NotImplemented").saying("The object is encrypted with a master key, and there is no service that has it.")
	}
	return c.opt.Keys.OpenKey(c.ctx(), envelope.KeyID, envelope.Sealed, envelope.Context)
}

// checkKey refuses who has not the customer's key of an object, whatever he wants
// to know of it.
func (c *call) checkKey(info *sherd.ObjectInfo, key *sse.CustomerKey) error {
	if info.Envelope == nil {
		if key != nil {
			return misplaced(key)
		}
		return nil
	}
	envelope, err := sse.ParseEnvelope(info.Envelope)
	if err == nil && (envelope.Kind == sse.Customer || key != nil) {
		_, err = c.unlock(key)(info.Envelope)
	}
	return err
}

// encrypted says in the answer how the object is encrypted.
func (c *call) encrypted(data []byte) *sse.Envelope {
	envelope, err := sse.ParseEnvelope(data)
	if data == nil || err != nil {
		return &sse.Envelope{}
	}
	envelope.Headers(c.w.Header())
	if envelope.Kind == sse.Customer && c.customer != nil {
		c.customer.Headers(c.w.Header())
	}
	return envelope
}

// encryptedNow is encrypted for what the request has written, or begun.
func (c *call) encryptedNow(data []byte) { c.encrypted(data).ContextHeader(c.w.Header()) }

// partEncryption is how a part is encrypted: as the upload says. A part needs the
// upload's key of the customer; what it says of other encryption means nothing, as
// the upload decided.
func (c *call) partEncryption(upload *sherd.Upload) (*sherd.Encryption, error) {
	var err error
	if c.customer, err = c.customerKey(sse.OfObject); err != nil {
		return nil, err
	}
	if upload.Envelope == nil {
		if c.customer != nil {
			return nil, misplaced(c.customer)
		}
		return nil, sse.RefuseOnRead(c.Header)
	}
	envelope, err := sse.ParseEnvelope(upload.Envelope)
	if err != nil {
		return nil, err
	}
	switch ofCustomer := envelope.Kind == sse.Customer; {
	case !ofCustomer && c.customer != nil:
		return nil, misplaced(c.customer)
	case ofCustomer && c.customer == nil:
		return nil, fail("InvalidRequest").saying("The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.")
	case ofCustomer:
		bucket, err := c.thisAccess()
		if err != nil {
			return nil, err
		}
		if bucket.Encryption.Blocks() {
			return nil, fail("AccessDenied")
		}
		if err := sse.RefuseOnRead(c.Header); err != nil {
			return nil, err
		}
	}
	key, err := c.open(envelope, c.customer)
	if errors.Is(err, sse.ErrOtherKey) && c.customer != nil {
		return nil, fail("InvalidRequest").saying("The provided encryption parameters did not match the ones used originally.")
	}
	return &sherd.Encryption{Key: key, HideMD5: envelope.Kind != sse.Service}, err
}

// checkComplete refuses to complete an upload with another key of a customer than its
// own, and without one where its checksums need it (S3, API reference,
// CompleteMultipartUpload).
func (c *call) checkComplete(id string) error {
	upload, err := c.Handler.uploads.StatUpload(c.ctx(), c.bucket, c.key, id)
	if errors.Is(err, sherd.ErrNoSuchUpload) {
		return nil // it may have been completed before
	}
	if err != nil {
		return err
	}
	key, err := c.customerKey(sse.OfObject)
	if err != nil {
		return err
	}
	if key != nil {
		_, err = c.partEncryption(&upload)
		return err
	}
	envelope, err := sse.ParseEnvelope(upload.Envelope)
	if upload.Envelope != nil && err == nil && envelope.Kind == sse.Customer && upload.ChecksumAlgorithm != checksum.None {
		return fail("InvalidArgument").saying("Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.")
	}
	return nil
}

// encryptMore makes what is added to an object encrypted as the object is, which the
// request must not contradict.
func (c *call) encryptMore(o *sherd.PutOptions) error {
	info, err := c.store.Stat(c.ctx(), c.bucket, c.key, nil)
	if found(err) {
		return nil // there is none: it begins with this
	}
	if err != nil {
		return err
	}
	wanted, err := sse.ParseRequest(c.Header)
	if err != nil {
		return err
	}
	if info.Envelope == nil {
		if wanted.Kind != sse.None {
			return misplaced(&sse.CustomerKey{})
		}
		o.Encryption = nil
		return nil
	}
	envelope, err := sse.ParseEnvelope(info.Envelope)
	if err != nil {
		return err
	}
	if wanted.Kind != sse.None && wanted.Kind != envelope.Kind {
		return misplaced(&sse.CustomerKey{})
	}
	o.Encryption = &sherd.Encryption{Envelope: info.Envelope, HideMD5: envelope.Kind != sse.Service}
	o.Encryption.Key, err = c.unlock(c.customer)(info.Envelope)
	return err
}

// copySource is the source of a copy, with the key that it may need.
func (c *call) copySource() (sherd.Source, *sse.CustomerKey, error) {
	source := c.storeSource(headerCopySource)
	key, err := c.customerKey(sse.OfSource)
	source.Unlock = c.unlock(key)
	return source, key, err
}

// keepEncryption lets a copy have the key and the bytes of its source, where it is to be
// encrypted in the same way. What is decided on must then be what is copied.
func (c *call) keepEncryption(o *sherd.CopyOptions, source *sherd.Source, info *sherd.ObjectInfo) {
	at := &source.Conditions
	if o.Encryption == nil || info.Envelope == nil || at.IfMatch != "" && at.IfMatch != wire.Quote(info.ETag) || !at.IfUnmodifiedSince.IsZero() {
		return
	}
	wanted, err := sse.ParseEnvelope(o.Encryption.Envelope)
	has, another := sse.ParseEnvelope(info.Envelope)
	if err != nil || another != nil || !has.SameKey(wanted) || has.BucketKey != wanted.BucketKey {
		return
	}
	if has.Kind == sse.Customer {
		if _, err := c.customer.Open(has.Sealed); err != nil {
			return
		}
	}
	at.IfMatch = wire.Quote(info.ETag)
	o.Encryption, o.KeepEncryption = nil, true
}

func (c *call) getBucketEncryption() error {
	bucket, err := c.thisAccess()
	if err != nil {
		return err
	}
	rule := bucket.Encryption
	if rule == nil {
		return fail("ServerSideEncryptionConfigurationNotFoundError").with("BucketName", c.bucket)
	}
	out := wire.EncryptionRule{BucketKey: rule.BucketKey}
	if rule.Kind != sse.None {
		out.Default = &wire.EncryptionDefault{Algorithm: string(rule.Kind), KeyID: rule.KeyID}
	}
	if len(rule.Blocked) > 0 {
		out.Blocked = &wire.BlockedEncryption{Types: rule.Blocked}
	}
	return c.answer(&wire.Encryption{Namespace: wire.Namespace, Rules: []wire.EncryptionRule{out}})
}

func (c *call) putBucketEncryption() error {
	var wanted wire.Encryption
	if err := c.document(&wanted); err != nil {
		return err
	}
	if len(wanted.Rules) != 1 {
		return fail("MalformedXML")
	}
	in, rule := &wanted.Rules[0], sse.Rule{BucketKey: wanted.Rules[0].BucketKey}
	if d := in.Default; d != nil {
		rule.Kind, rule.KeyID = sse.Kind(d.Algorithm), d.KeyID
		switch {
		case rule.Kind == "aws:kms:dsse":
			return fail("NotImplemented").saying("Two layers of encryption are not implemented.")
		case rule.Kind != sse.Service && rule.Kind != sse.KMS:
			return fail("MalformedXML")
		case rule.Kind == sse.Service && rule.KeyID != "":
			return fail("InvalidArgument").saying("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse").with("ArgumentName", "ApplyServerSideEncryptionByDefault")
		case rule.Kind == sse.KMS && rule.KeyID == "":
			return fail("InvalidArgument").saying("The id of a master key is needed: there is none of the service's own.").with("ArgumentName", "KMSMasterKeyID")
		case c.opt.Keys == nil:
			return fail("NotImplemented").saying("There is no service that has master keys.")
		}
	}
	if b := in.Blocked; b != nil {
		if slices.ContainsFunc(b.Types, func(t string) bool { return t != string(sse.Customer) && t != "NONE" }) {
			return fail("MalformedXML")
		}
		rule.Blocked = b.Types
	}
	data, err := json.Marshal(&rule)
	if err != nil {
		return err
	}
	return c.configure(regime.EncryptionDocument, data, http.StatusOK)
}

func (c *call) deleteBucketEncryption() error { return c.forget(regime.EncryptionDocument) }
