package s3api

import (
	"context"
	"net/http"
	"strings"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// PartLister is a store that knows of which parts an object was completed.
type PartLister interface {
	ObjectParts(ctx context.Context, bucket, key string, o *sherd.GetOptions) ([]sherd.PartInfo, error)
}

// getObjectAttributes tells what x-amz-object-attributes asks for.
func (c *call) getObjectAttributes() error {
	wanted, err := attributes(c.Header)
	if err != nil {
		return err
	}
	limit, err := headerNumber(c.Header, "X-Amz-Max-Parts", maxPage, maxPage)
	if err != nil {
		return err
	}
	after, err := headerNumber(c.Header, "X-Amz-Part-Number-Marker", 0, maxPartNumber)
	if err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	c.w.Header().Set("Last-Modified", info.Modified.UTC().Format(http.TimeFormat))
	out := &wire.ObjectAttributes{Namespace: wire.Namespace}
	if wanted["ETag"] {
		out.ETag = info.ETag
	}
	if wanted["StorageClass"] {
		out.StorageClass = storageClassName(info.StorageClass)
	}
	if wanted["ObjectSize"] {
		out.Size = &info.Size
	}
	if sums := sumsOf(info.Checksums); wanted["Checksum"] && sums != (wire.Sums{}) {
		out.Checksum = &sums
	}
	if wanted["ObjectParts"] && info.Parts > 0 {
		if out.Parts, err = c.objectParts(&info, limit, after); err != nil {
			return err
		}
	}
	return c.answer(out)
}

// attributes reads the names of what is asked for.
func attributes(h http.Header) (map[string]bool, error) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(listed(h, "X-Amz-Object-Attributes"), ",") {
		switch name = strings.TrimSpace(name); name {
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
			wanted[name] = true
		case "":
		default:
			return nil, fail("InvalidArgument").saying("Invalid attribute name specified.").with("ArgumentName", "x-amz-object-attributes")
		}
	}
	if len(wanted) == 0 {
		return nil, fail("InvalidRequest").saying("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	return wanted, nil
}

// objectParts describes the parts of an object, at most so many after one. As on
// S3, which parts there are is told only of objects whose parts have checksums.
func (c *call) objectParts(info *sherd.ObjectInfo, limit, after int) (*wire.ObjectParts, error) {
	out := &wire.ObjectParts{Count: info.Parts}
	lister, ok := c.store.(PartLister)
	if !ok || len(info.Checksums) == 0 {
		return out, nil
	}
	parts, err := lister.ObjectParts(c.ctx(), c.bucket, c.key, &sherd.GetOptions{VersionID: info.VersionID})
	if err != nil {
		return nil, err
	}
	next, truncated := after, false
	for _, part := range parts {
		if part.Number <= after || limit == 0 {
			continue
		}
		if truncated = len(out.Parts) == limit; truncated {
			break
		}
		one := wire.AttributePart{PartNumber: part.Number, Size: part.Size, Sums: sumsOf(part.Checksums)}
		one.Type = ""
		out.Parts = append(out.Parts, one)
		next = part.Number
	}
	out.IsTruncated, out.MaxParts, out.PartNumberMarker, out.NextPartNumberMarker = &truncated, &limit, &after, &next
	return out, nil
}
