package s3api

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

func (c *call) hasUploads() error {
	if c.Handler.uploads == nil {
		return fail("NotImplemented").saying("The store takes no multipart uploads.")
	}
	return nil
}

func (c *call) createUpload() error {
	if err := c.hasUploads(); err != nil {
		return err
	}
	put, err := c.putOptions()
	if err != nil {
		return err
	}
	o := &sherd.UploadOptions{
		ContentType: put.ContentType, Headers: put.Headers, Metadata: put.Metadata, Tags: put.Tags,
		Retention: put.Retention, LegalHold: put.LegalHold, StorageClass: put.StorageClass, Owner: put.Owner, Access: put.Access,
		Encryption: put.Encryption,
	}
	if name := c.Header.Get("X-Amz-Checksum-Algorithm"); name != "" {
		if o.ChecksumAlgorithm, err = checksum.ParseAlgorithm(strings.ToUpper(name)); err != nil {
			return err
		}
		o.ChecksumType = o.ChecksumAlgorithm.DefaultType()
	}
	if name := c.Header.Get("X-Amz-Checksum-Type"); name != "" {
		if o.ChecksumType, err = checksum.ParseType(strings.ToUpper(name)); err != nil {
			return err
		}
		if !o.ChecksumAlgorithm.Combines(o.ChecksumType) {
			return fail("InvalidRequest").saying("The " + name + " checksum type cannot be used with the " +
				o.ChecksumAlgorithm.String() + " checksum algorithm.")
		}
	}
	upload, err := c.Handler.uploads.CreateUpload(c.ctx(), c.bucket, c.key, o)
	if err != nil {
		return err
	}
	c.encryptedNow(upload.Envelope)
	if upload.ChecksumAlgorithm != checksum.None {
		c.w.Header().Set(checksumPrefix+"algorithm", upload.ChecksumAlgorithm.String())
		c.w.Header().Set(checksumPrefix+"type", upload.ChecksumType.String())
	}
	return c.answer(&wire.InitiateUpload{Namespace: wire.Namespace, Bucket: c.bucket, Key: c.key, UploadID: upload.ID})
}

// openPart reads which part of which upload is meant.
func (c *call) openPart() (int, sherd.Upload, error) {
	if err := c.hasUploads(); err != nil {
		return 0, sherd.Upload{}, err
	}
	number, err := c.partNumber()
	if err != nil {
		return 0, sherd.Upload{}, err
	}
	upload, err := c.Handler.uploads.StatUpload(c.ctx(), c.bucket, c.key, c.query.Get("uploadId"))
	return number, upload, err
}

func (c *call) partNumber() (int, error) {
	n, err := strconv.ParseInt(c.query.Get("partNumber"), 10, 32)
	if err != nil || n < 1 || n > maxPartNumber {
		return 0, fail("InvalidArgument").saying("Part number must be an integer between 1 and 10000, inclusive").
			with("ArgumentName", "partNumber").with("ArgumentValue", c.query.Get("partNumber"))
	}
	return int(n), nil
}

func (c *call) uploadPart() error {
	if err := c.checkBody(); err != nil {
		return err
	}
	number, upload, err := c.openPart()
	if err != nil {
		return err
	}
	o := &sherd.PartOptions{MD5: true, Verify: c.finish}
	if o.Encryption, err = c.partEncryption(&upload); err != nil {
		return err
	}
	if o.ContentMD5, err = c.contentMD5(); err != nil {
		return err
	}
	if o.Checksum, err = c.checksums(); err != nil {
		return err
	}
	switch algorithm := upload.ChecksumAlgorithm; {
	case o.Checksum == nil:
		o.Checksum = partChecksum(&upload, o.Encryption)
	case algorithm == checksum.None:
	case o.Checksum.Algorithms[0] != algorithm:
		return fail("InvalidRequest").saying("Checksum Type mismatch occurred, expected checksum Type: " +
			strings.ToLower(algorithm.String()) + ", actual checksum Type: " + strings.ToLower(o.Checksum.Algorithms[0].String()))
	}
	info, err := c.Handler.uploads.PutPart(c.ctx(), c.bucket, c.key, upload.ID, number, c.Body, c.Size, o)
	if err != nil {
		return err
	}
	c.encrypted(upload.Envelope)
	c.w.Header().Set("Etag", wire.Quote(info.ETag))
	for _, sum := range info.Checksums {
		c.w.Header().Set(checksumHeader(sum.Algorithm), sum.String())
	}
	return c.empty(http.StatusOK)
}

// partChecksum is the checksum of a part that came without one; nil: none.
func partChecksum(upload *sherd.Upload, e *sherd.Encryption) *sherd.ChecksumRequest {
	switch {
	case upload.ChecksumAlgorithm != checksum.None:
		return checksumOf(upload.ChecksumAlgorithm)
	case e != nil && e.HideMD5:
		return nil
	}
	return checksumOf(checksum.CRC64NVME)
}

func (c *call) completeUpload() error {
	if err := c.hasUploads(); err != nil {
		return err
	}
	parts, err := c.completedParts()
	if err != nil {
		return err
	}
	id := c.query.Get("uploadId")
	o, err := c.completeOptions(id, len(parts))
	if err != nil {
		return err
	}
	if err := c.checkComplete(id); err != nil {
		return err
	}
	info, err := c.Handler.uploads.CompleteUpload(c.ctx(), c.bucket, c.key, id, parts, o)
	if errors.Is(err, sherd.ErrNoSuchUpload) {
		done, ok := c.completedBefore(parts)
		if !ok {
			return answerTo(err).with("UploadId", id)
		}
		info, err = done, nil
	}
	if err != nil {
		return err
	}
	c.versions(&info)
	c.encrypted(info.Envelope)
	c.expires(&info)
	return c.answer(&wire.CompleteUpload{
		Namespace: wire.Namespace, Bucket: c.bucket, Key: c.key, ETag: wire.Quote(info.ETag),
		Location: c.bucketURL() + "/" + sigv4.Escape(c.key, true), Sums: sumsOf(info.Checksums),
	})
}

func (c *call) completedParts() ([]sherd.CompletedPart, error) {
	data, err := c.smallWithoutChecksum()
	if err != nil {
		return nil, err
	}
	var wanted wire.CompleteMultipartUpload
	if err := c.decodeXML(data, &wanted); err != nil {
		return nil, err
	}
	if len(wanted.Parts) == 0 || len(wanted.Parts) > maxPartNumber {
		return nil, fail("MalformedXML")
	}
	parts := make([]sherd.CompletedPart, len(wanted.Parts))
	for i := range wanted.Parts {
		one := &wanted.Parts[i]
		if one.PartNumber < 1 || one.PartNumber > maxPartNumber || one.ETag == "" {
			return nil, fail("InvalidPart").with("PartNumber", strconv.Itoa(one.PartNumber))
		}
		parts[i] = sherd.CompletedPart{Number: one.PartNumber, ETag: wire.Unquote(one.ETag)}
		if parts[i].Checksums, err = parseSums(&one.Sums); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// completeOptions reads what the object must be, which the headers with
// checksums mean here.
func (c *call) completeOptions(id string, parts int) (*sherd.CompleteOptions, error) {
	o := &sherd.CompleteOptions{MinPartBytes: c.opt.Limits.MinPartBytes, Conditions: writeConditions(c.Header)}
	for name, values := range c.Header {
		algorithm := algorithmOf(strings.ToLower(name))
		if algorithm == checksum.None {
			continue
		}
		text := values[0]
		if !strings.Contains(text, "-") && c.completesComposite(id) {
			text += "-" + strconv.Itoa(parts) // clients leave the number of parts out, as it is known
		}
		sum, err := checksum.ParseSum(algorithm, text)
		if err != nil {
			return nil, err
		}
		o.Checksums = append(o.Checksums, sum)
	}
	if size := c.Header.Get("X-Amz-Mp-Object-Size"); size != "" {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil || n < 0 {
			return nil, fail("InvalidArgument").with("ArgumentName", "x-amz-mp-object-size")
		}
		o.Size = n
	}
	return o, nil
}

// completesComposite says whether a checksum of the whole is one of the parts'
// checksums: as the request says, and where it is silent, as mc is, as the upload
// began.
func (c *call) completesComposite(id string) bool {
	if kind := c.Header.Get("X-Amz-Checksum-Type"); kind != "" {
		return strings.EqualFold(kind, checksum.Composite.String())
	}
	upload, err := c.Handler.uploads.StatUpload(c.ctx(), c.bucket, c.key, id)
	return err == nil && upload.ChecksumAlgorithm != checksum.None && upload.ChecksumType == checksum.Composite
}

// completedBefore says whether the object at the key is the one that the same
// request made before: a client that did not get the answer asks again.
func (c *call) completedBefore(parts []sherd.CompletedPart) (sherd.ObjectInfo, bool) {
	etags := make([]string, len(parts))
	for i := range parts {
		etags[i] = parts[i].ETag
	}
	whole, ok := etagOfParts(etags)
	if !ok {
		return sherd.ObjectInfo{}, false
	}
	info, err := c.store.Stat(c.ctx(), c.bucket, c.key, nil)
	return info, err == nil && info.ETag == whole
}

// etagOfParts is the ETag of an object from those of its parts (S3, API reference,
// CompleteMultipartUpload), false where one of them is no MD5.
func etagOfParts(etags []string) (string, bool) {
	var sums []byte
	for _, etag := range etags {
		sum, err := hex.DecodeString(etag)
		if err != nil || len(sum) != md5.Size {
			return "", false
		}
		sums = append(sums, sum...)
	}
	whole := md5.Sum(sums)
	return hex.EncodeToString(whole[:]) + "-" + strconv.Itoa(len(etags)), true
}

func (c *call) abortUpload() error {
	if err := c.hasUploads(); err != nil {
		return err
	}
	if err := c.Handler.uploads.AbortUpload(c.ctx(), c.bucket, c.key, c.query.Get("uploadId")); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func (c *call) listParts() error {
	if err := c.hasUploads(); err != nil {
		return err
	}
	limit, err := c.number("max-parts", maxPage, maxPage)
	if err != nil {
		return err
	}
	after, err := c.number("part-number-marker", 0, maxPartNumber)
	if err != nil {
		return err
	}
	p, err := c.newPage("max-parts")
	if err != nil {
		return err
	}
	upload, err := c.Handler.uploads.StatUpload(c.ctx(), c.bucket, c.key, c.query.Get("uploadId"))
	if err != nil {
		return err
	}
	owners, err := c.owners()
	if err != nil {
		return err
	}
	owner, err := owners.of(upload.Owner, upload.Access)
	if err != nil {
		return err
	}
	result := &wire.ListParts{
		Namespace: wire.Namespace, Bucket: c.bucket, Key: p.text(c.key), UploadID: upload.ID, Initiator: c.ownerOf(upload.Owner), Owner: *owner,
		StorageClass: storageClassName(upload.StorageClass), PartNumberMarker: after, MaxParts: limit, EncodingType: p.encodingType,
	}
	if upload.ChecksumAlgorithm != checksum.None {
		result.ChecksumAlgorithm, result.ChecksumType = upload.ChecksumAlgorithm.String(), upload.ChecksumType.String()
	}
	if limit == 0 {
		return c.answer(result)
	}
	for part, err := range c.Handler.uploads.ListParts(c.ctx(), c.bucket, c.key, upload.ID, after) {
		if err != nil {
			return err
		}
		if len(result.Parts) == limit {
			result.IsTruncated = true
			break
		}
		one := wire.Part{
			PartNumber: part.Number, LastModified: wire.Stamp(part.Modified), ETag: wire.Quote(part.ETag), Size: part.Size,
			Sums: sumsOf(part.Checksums),
		}
		one.Type = ""
		result.Parts = append(result.Parts, one)
		result.NextPartNumberMarker = part.Number
	}
	return c.answer(result)
}

func (c *call) listUploads() error {
	if err := c.hasUploads(); err != nil {
		return err
	}
	p, err := c.newPage("max-uploads")
	if err != nil {
		return err
	}
	keyMarker, uploadMarker := c.query.Get("key-marker"), c.query.Get("upload-id-marker")
	if keyMarker == "" {
		uploadMarker = "" // it means nothing without a key
	}
	result := &wire.ListUploads{
		Namespace: wire.Namespace, Bucket: c.bucket, KeyMarker: p.text(keyMarker), UploadIDMarker: uploadMarker,
		Prefix: p.text(p.prefix), Delimiter: p.optional(p.delimiter), MaxUploads: p.limit, EncodingType: p.encodingType,
	}
	if p.limit == 0 {
		if _, err := c.store.StatBucket(c.ctx(), c.bucket); err != nil {
			return err
		}
		return c.answer(result)
	}
	owners, err := c.owners()
	if err != nil {
		return err
	}
	options := &sherd.ListUploadsOptions{Prefix: p.prefix, Delimiter: p.delimiter}
	options.KeyMarker, options.UploadMarker = p.behind(keyMarker, uploadMarker)
	var last sherd.Upload
	for upload, err := range c.Handler.uploads.ListUploads(c.ctx(), c.bucket, options) {
		if err != nil {
			return err
		}
		if len(result.Uploads)+len(result.CommonPrefixes) == p.limit {
			result.IsTruncated, result.NextKeyMarker, result.NextUploadIDMarker = true, p.text(last.Key), last.ID
			break
		}
		last = upload
		if upload.IsPrefix {
			result.CommonPrefixes = append(result.CommonPrefixes, wire.Prefix{Prefix: p.text(upload.Key)})
			continue
		}
		owner, err := owners.of(upload.Owner, upload.Access)
		if err != nil {
			return err
		}
		result.Uploads = append(result.Uploads, p.upload(&upload, c.ownerOf(upload.Owner), *owner))
		result.NextKeyMarker, result.NextUploadIDMarker = p.text(upload.Key), upload.ID // S3 names the last one at the end of the list too
	}
	return c.answer(result)
}

// upload is one upload as the answer has it.
func (p page) upload(upload *sherd.Upload, initiator, owner wire.Owner) wire.Upload {
	out := wire.Upload{
		Key: p.text(upload.Key), UploadID: upload.ID, Initiator: initiator, Owner: owner,
		StorageClass: storageClassName(upload.StorageClass), Initiated: wire.Stamp(upload.Begun),
	}
	if upload.ChecksumAlgorithm != checksum.None {
		out.ChecksumAlgorithm, out.ChecksumType = upload.ChecksumAlgorithm.String(), upload.ChecksumType.String()
	}
	return out
}
