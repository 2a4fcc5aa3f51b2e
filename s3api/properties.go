package s3api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/s3api/internal/sigv4"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// The limits of tags (S3, user guide, "Categorizing your objects using tags" and
// "Using cost allocation bucket tags").
const (
	maxObjectTags    = 10
	maxBucketTags    = 50
	maxTagKeyRunes   = 128
	maxTagValueRunes = 256
)

// Tagger is a store that changes the tags of objects.
type Tagger interface {
	SetTags(ctx context.Context, bucket, key, versionID string, tags map[string]string) error
}

// Documents is a store that keeps configurations of buckets, which it gives back
// as they are.
type Documents interface {
	Document(ctx context.Context, bucket, name string) ([]byte, error)
	PutDocument(ctx context.Context, bucket, name string, data []byte) error
	DeleteDocument(ctx context.Context, bucket, name string) error
}

// bucketTags is the document that holds the tags of a bucket: JSON, an object
// with a member for each.
const bucketTags = "tagging"

// parseTags reads x-amz-tagging: tags as a query string.
func parseTags(text string) (map[string]string, error) {
	pairs, err := sigv4.ParseQuery(text, maxObjectTags+1)
	if err != nil {
		return nil, fail("InvalidArgument").saying("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	tags := make([]wire.Tag, len(pairs))
	for i, p := range pairs {
		tags[i] = wire.Tag{Key: p.Name, Value: p.Value}
	}
	return tagsOf(tags, maxObjectTags)
}

// tagsOf checks a list of tags.
func tagsOf(list []wire.Tag, most int) (map[string]string, error) {
	if len(list) > most {
		return nil, fail("InvalidTag").saying(fmt.Sprintf("There cannot be more than %d tags.", most))
	}
	tags := make(map[string]string, len(list))
	for _, tag := range list {
		_, twice := tags[tag.Key]
		switch {
		case twice:
			return nil, fail("InvalidTag").saying("Cannot provide multiple Tags with the same key").with("TagKey", tag.Key)
		case tag.Key == "" || !isTagText(tag.Key) || utf8.RuneCountInString(tag.Key) > maxTagKeyRunes:
			return nil, fail("InvalidTag").saying("The TagKey you have provided is invalid").with("TagKey", tag.Key)
		case strings.HasPrefix(strings.ToLower(tag.Key), "aws:"):
			return nil, fail("InvalidTag").saying("System tags cannot be added/updated by requester").with("TagKey", tag.Key)
		case !isTagText(tag.Value) || utf8.RuneCountInString(tag.Value) > maxTagValueRunes:
			return nil, fail("InvalidTag").saying("The TagValue you have provided is invalid").with("TagValue", tag.Value)
		}
		tags[tag.Key] = tag.Value
	}
	return tags, nil
}

// isTagText says whether a tag can hold the text: letters, spaces, digits and
// _.:/=+-@ (S3, API reference, "Tag").
func isTagText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.Z) && !strings.ContainsRune("_.:/=+-@", r)
	})
}

// tagSet gives tags as documents have them, sorted.
func tagSet(tags map[string]string) *wire.Tagging {
	out := &wire.Tagging{Namespace: wire.Namespace}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out.Tags.Tags = append(out.Tags.Tags, wire.Tag{Key: key, Value: tags[key]})
	}
	return out
}

// version finds the version that a request about one is for, and says in the
// answer which it is.
func (c *call) version() (sherd.ObjectInfo, error) {
	id, err := c.versionID()
	if err != nil {
		return sherd.ObjectInfo{}, err
	}
	info, err := c.store.Stat(c.ctx(), c.bucket, c.key, &sherd.GetOptions{VersionID: id})
	if err != nil {
		return info, c.unreadable(err, c.resource())
	}
	if err := c.confirm(&info, c.resource()); err != nil {
		return info, err
	}
	c.versions(&info)
	return info, nil
}

func (c *call) getObjectTagging() error {
	info, err := c.version()
	if err != nil {
		return err
	}
	return c.answer(tagSet(info.Tags))
}

func (c *call) putObjectTagging() error {
	var wanted wire.Tagging
	if err := c.document(&wanted); err != nil {
		return err
	}
	tags, err := tagsOf(wanted.Tags.Tags, maxObjectTags)
	if err != nil {
		return err
	}
	return c.setTags(tags, http.StatusOK)
}

func (c *call) deleteObjectTagging() error { return c.setTags(nil, http.StatusNoContent) }

func (c *call) setTags(tags map[string]string, status int) error {
	tagger, ok := c.store.(Tagger)
	if !ok {
		return fail("NotImplemented").saying("The store cannot change tags.")
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	if err := tagger.SetTags(c.ctx(), c.bucket, c.key, info.VersionID, tags); err != nil {
		return err
	}
	return c.empty(status)
}

func (c *call) documents() (Documents, error) {
	documents, ok := c.store.(Documents)
	if !ok {
		return nil, fail("NotImplemented").saying("The store keeps no configurations of buckets.")
	}
	return documents, nil
}

func (c *call) getBucketTagging() error {
	documents, err := c.documents()
	if err != nil {
		return err
	}
	data, err := documents.Document(c.ctx(), c.bucket, bucketTags)
	if errors.Is(err, sherd.ErrNoSuchDocument) {
		return fail("NoSuchTagSet").with("BucketName", c.bucket)
	}
	if err != nil {
		return err
	}
	tags := map[string]string{}
	if err := json.Unmarshal(data, &tags); err != nil {
		return fmt.Errorf("tags of a bucket: %w", err)
	}
	return c.answer(tagSet(tags))
}

func (c *call) putBucketTagging() error {
	documents, err := c.documents()
	if err != nil {
		return err
	}
	var wanted wire.Tagging
	if err := c.document(&wanted); err != nil {
		return err
	}
	tags, err := tagsOf(wanted.Tags.Tags, maxBucketTags)
	if err != nil {
		return err
	}
	data, err := json.Marshal(tags)
	if err != nil {
		return err
	}
	if err := documents.PutDocument(c.ctx(), c.bucket, bucketTags, data); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func (c *call) deleteBucketTagging() error {
	documents, err := c.documents()
	if err != nil {
		return err
	}
	err = documents.DeleteDocument(c.ctx(), c.bucket, bucketTags)
	if err != nil && !errors.Is(err, sherd.ErrNoSuchDocument) {
		return err
	}
	return c.empty(http.StatusNoContent)
}

// tagCount is the header that says how many tags an object has.
func tagCount(h http.Header, tags map[string]string) {
	if len(tags) > 0 {
		h.Set("X-Amz-Tagging-Count", strconv.Itoa(len(tags)))
	}
}

// Locker is a store with object lock.
type Locker interface {
	ObjectLock(ctx context.Context, bucket string) (lock.Configuration, error)
	SetObjectLock(ctx context.Context, bucket string, c lock.Configuration) error
	SetRetention(ctx context.Context, bucket, key, versionID string, retention lock.Retention, bypass bool) error
	SetLegalHold(ctx context.Context, bucket, key, versionID string, on bool) error
}

func (c *call) locker() (Locker, error) {
	locker, ok := c.store.(Locker)
	if !ok {
		return nil, fail("NotImplemented").saying("The store has no object lock.")
	}
	return locker, nil
}

func (c *call) getObjectLock() error {
	locker, err := c.locker()
	if err != nil {
		return err
	}
	configuration, err := locker.ObjectLock(c.ctx(), c.bucket)
	if err != nil {
		return err
	}
	if !configuration.Enabled {
		return fail("ObjectLockConfigurationNotFoundError").with("BucketName", c.bucket)
	}
	out := &wire.ObjectLockConfiguration{Namespace: wire.Namespace, Enabled: "Enabled"}
	if d := configuration.Default; d.Mode != lock.None {
		out.Rule = &wire.LockRule{Default: &wire.DefaultRetention{Mode: d.Mode.String()}}
		if d.Days > 0 {
			out.Rule.Default.Days = &d.Days
		} else {
			out.Rule.Default.Years = &d.Years
		}
	}
	return c.answer(out)
}

func (c *call) putObjectLock() error {
	locker, err := c.locker()
	if err != nil {
		return err
	}
	var wanted wire.ObjectLockConfiguration
	if err := c.document(&wanted); err != nil {
		return err
	}
	configuration := lock.Configuration{Enabled: true}
	if wanted.Enabled != "Enabled" {
		return fail("MalformedXML")
	}
	if wanted.Rule != nil {
		if configuration.Default, err = defaultRetention(wanted.Rule.Default); err != nil {
			return err
		}
	}
	if err := locker.SetObjectLock(c.ctx(), c.bucket, configuration); err != nil {
		return err
	}
	return c.empty(http.StatusOK)
}

func defaultRetention(d *wire.DefaultRetention) (lock.DefaultRetention, error) {
	var out lock.DefaultRetention
	if d == nil || (d.Days == nil) == (d.Years == nil) {
		return out, fail("MalformedXML")
	}
	var err error
	if out.Mode, err = lock.ParseMode(d.Mode); err != nil {
		return out, fail("MalformedXML").because(err)
	}
	period, most := d.Days, lock.MaxDays
	if d.Days == nil {
		period, most = d.Years, lock.MaxYears
		out.Years = *period
	} else {
		out.Days = *period
	}
	switch {
	case *period < 1:
		return out, fail("InvalidRetentionPeriod").saying("Default retention period must be a positive integer value.")
	case *period > most:
		return out, fail("InvalidArgument").saying("Default retention period too large.")
	}
	return out, nil
}

// lockedBucket refuses what concerns locks in a bucket without object lock.
func (c *call) lockedBucket() (Locker, error) {
	locker, err := c.locker()
	if err != nil {
		return nil, err
	}
	configuration, err := locker.ObjectLock(c.ctx(), c.bucket)
	if err == nil && !configuration.Enabled {
		err = lock.ErrNotEnabled
	}
	return locker, err
}

func (c *call) getRetention() error {
	if _, err := c.lockedBucket(); err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	if info.Retention.Mode == lock.None {
		return fail("NoSuchObjectLockConfiguration")
	}
	return c.answer(&wire.Retention{
		Namespace: wire.Namespace, Mode: info.Retention.Mode.String(), Until: wire.Stamp(untilDate(info.Retention.Until)),
	})
}

// putRetention sets a retention, or removes it where the document has none.
func (c *call) putRetention() error {
	locker, err := c.lockedBucket()
	if err != nil {
		return err
	}
	var wanted wire.Retention
	if err := c.document(&wanted); err != nil {
		return err
	}
	bypass, err := c.flag("X-Amz-Bypass-Governance-Retention")
	if err != nil {
		return err
	}
	retention, err := c.retention(&wanted)
	if err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	if err := locker.SetRetention(c.ctx(), c.bucket, c.key, info.VersionID, retention, bypass); err != nil {
		return err
	}
	return c.empty(http.StatusOK)
}

func (c *call) retention(d *wire.Retention) (lock.Retention, error) {
	var out lock.Retention
	if d.Mode == "" && d.Until == "" {
		return out, nil
	}
	var err error
	if out.Mode, err = lock.ParseMode(d.Mode); err != nil {
		return out, fail("MalformedXML").because(err)
	}
	var ok bool
	if out.Until, ok = wire.ParseStamp(d.Until); !ok {
		return out, fail("MalformedXML")
	}
	if !out.Until.After(c.opt.Clock()) {
		return out, fail("InvalidArgument").saying("The retain until date must be in the future!")
	}
	out.Until = untilDate(out.Until)
	return out, nil
}

// untilDate is the end of a retention in whole milliseconds, as documents have it.
// It is never before the end itself: what a client reads and sets again does not
// shorten it.
func untilDate(t time.Time) time.Time {
	if whole := t.Truncate(time.Millisecond); whole.Before(t) {
		return whole.Add(time.Millisecond)
	}
	return t
}

func (c *call) getLegalHold() error {
	if _, err := c.lockedBucket(); err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	out := &wire.LegalHold{Namespace: wire.Namespace, Status: "OFF"}
	if info.LegalHold {
		out.Status = "ON"
	}
	return c.answer(out)
}

func (c *call) putLegalHold() error {
	locker, err := c.lockedBucket()
	if err != nil {
		return err
	}
	var wanted wire.LegalHold
	if err := c.document(&wanted); err != nil {
		return err
	}
	if wanted.Status != "ON" && wanted.Status != "OFF" {
		return fail("MalformedXML")
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	if err := locker.SetLegalHold(c.ctx(), c.bucket, c.key, info.VersionID, wanted.Status == "ON"); err != nil {
		return err
	}
	return c.empty(http.StatusOK)
}
