// Goal: every call of a store gives what a model says. Method: calls drawn by a number
// each, whose answers, errors among them, must be those of the model, which then has
// what they did.
package sherd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// caller makes calls of a store, and the same changes in a model.
type caller struct {
	s   *sherd.Store
	m   *model
	ctx context.Context
	r   *rand.Rand // of the call that is made
	log []string
}

// differs is an answer that is not the model's.
func differs(format string, args ...any) error { return fmt.Errorf(format, args...) }

// failed tells whether an error is the one that was to be; nil for none.
func failed(what string, err, want error) error {
	if (want == nil) != (err == nil) || !errors.Is(err, want) {
		return differs("%s: %v, not %v", what, err, want)
	}
	return nil
}

var modelKeys = []string{"a", "a/b", "a/c", "b", "b/x/y", "ü"}

func (c *caller) key() string { return modelKeys[c.r.IntN(len(modelKeys))] }

// held gives a key that has something, if any has.
func (c *caller) held() string {
	if key := c.key(); len(c.m.keys[key]) > 0 {
		return key
	}
	for _, key := range modelKeys {
		if c.m.latest(key) != nil {
			return key
		}
	}
	return c.key()
}

func (c *caller) content() []byte {
	return sized(c.r.Uint64(), []int{0, 10, 3000, 70_000, 140_000, 300_000}[c.r.IntN(6)])
}

// conditions draws conditions of a write, and what comes of them.
func (c *caller) conditions(key string) (sherd.Conditions, error) {
	at := c.m.latest(key)
	switch c.r.IntN(8) {
	case 0:
		if at != nil {
			return sherd.Conditions{IfNoneMatch: "*"}, sherd.ErrPrecondition
		}
		return sherd.Conditions{IfNoneMatch: "*"}, nil
	case 1:
		if at != nil {
			return sherd.Conditions{IfMatch: at.etag}, nil
		}
		return sherd.Conditions{IfMatch: "*"}, sherd.ErrNoSuchKey
	case 2:
		if at != nil {
			return sherd.Conditions{IfMatch: "0123456789abcdef0123456789abcdef"}, sherd.ErrPrecondition
		}
	}
	return sherd.Conditions{}, nil
}

func (c *caller) tags() map[string]string {
	return map[string]string{"n": fmt.Sprint(c.r.IntN(100))}
}

// made notes a version that a call made.
func (c *caller) made(what string, info sherd.ObjectInfo, err, want error, v modelVersion) error {
	if err := failed(what, err, want); err != nil || want != nil {
		return err
	}
	v.id, v.etag = info.VersionID, info.ETag
	c.m.add(info.Key, v)
	if name := c.m.name(c.m.keys[info.Key][0].id); name != info.VersionID {
		return differs("%s: the version is %q, not %q", what, info.VersionID, name)
	}
	if info.Size != int64(len(v.data)) {
		return differs("%s: %d bytes, not %d", what, info.Size, len(v.data))
	}
	return nil
}

// call makes one call that changes or reads something.
func (c *caller) call(number uint64) error {
	c.r = rand.New(rand.NewPCG(number, 1))
	calls := []struct {
		often int
		name  string
		make  func(what string) error
	}{
		{12, "put", c.put}, {10, "get", c.get}, {6, "delete", c.delete}, {4, "destroy", c.destroy}, {3, "delete many", c.deleteMany},
		{5, "copy", c.copy}, {6, "append", c.append}, {4, "rename", c.rename}, {3, "create upload", c.createUpload}, {6, "put part", c.putPart},
		{3, "complete", c.complete}, {1, "abort", c.abort}, {3, "tag", c.tag}, {2, "lock", c.lock}, {1, "version", c.version}, {4, "list", c.list},
	}
	n := 0
	for _, each := range calls {
		n += each.often
	}
	n = c.r.IntN(n)
	for _, each := range calls {
		if n -= each.often; n < 0 {
			return each.make(each.name)
		}
	}
	return nil
}

func (c *caller) say(format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	c.log = append(c.log, text)
	return text
}

func (c *caller) put(string) error {
	key, data, tags := c.key(), c.content(), c.tags()
	cond, want := c.conditions(key)
	size := int64(len(data))
	if c.r.IntN(4) == 0 {
		size = -1
	}
	o := &sherd.PutOptions{Tags: tags, Metadata: map[string]string{"m": key}, MD5: c.r.IntN(2) == 0, Conditions: cond}
	v := modelVersion{data: data, tags: tags, meta: o.Metadata}
	if c.m.locked && c.r.IntN(4) == 0 {
		v.until = c.s.Now().Add(time.Duration(c.r.IntN(60)) * time.Second).UTC().Truncate(time.Second)
		o.Retention = lock.Retention{Mode: lock.Governance, Until: v.until}
		if !v.until.After(c.s.Now()) {
			return nil // there is no retention until now
		}
	}
	what := c.say("put %s, %d bytes, %+v", key, len(data), cond)
	info, err := c.s.Put(c.ctx, bucketName, key, bytes.NewReader(data), size, o)
	return c.made(what, info, err, want, v)
}

// get reads a version, or a range of it, and its description.
func (c *caller) get(string) error {
	key, id, want := c.held(), "", error(nil)
	v, gone := c.m.latest(key), c.m.gone[key]
	switch vs := c.m.keys[key]; {
	case c.r.IntN(2) == 0 && len(vs) > 0:
		v = &vs[c.r.IntN(len(vs))]
		if id = c.m.name(v.id); v.marker && id != "" {
			want = sherd.ErrDeleteMarker
		}
	case c.r.IntN(4) == 0 && len(gone) > 0:
		id, v, want = gone[c.r.IntN(len(gone))], nil, sherd.ErrNoSuchVersion
	case v == nil:
		want = sherd.ErrNoSuchKey
	}
	return c.compare(c.say("get %s %q", key, id), key, id, v, want)
}

// compare reads a version and compares all of it.
func (c *caller) compare(what, key, id string, v *modelVersion, want error) error {
	o, err := c.s.Get(c.ctx, bucketName, key, &sherd.GetOptions{VersionID: id})
	if wrong := failed(what, err, want); wrong != nil || want != nil {
		return wrong
	}
	got, err := io.ReadAll(o)
	if err = errors.Join(err, o.Close()); err != nil {
		return differs("%s: %w", what, err)
	}
	if !bytes.Equal(got, v.data) {
		return differs("%s: other bytes: %d, not %d", what, len(got), len(v.data))
	}
	if err := c.described(what, o.Info, v); err != nil || len(v.data) == 0 {
		return err
	}
	from := c.r.IntN(len(v.data))
	end := from + c.r.IntN(len(v.data)-from)
	o, err = c.s.Get(c.ctx, bucketName, key, &sherd.GetOptions{VersionID: id, Range: &sherd.Range{Start: int64(from), End: int64(end)}})
	if err != nil {
		return differs("%s: a range: %w", what, err)
	}
	got, err = io.ReadAll(o)
	if err = errors.Join(err, o.Close()); err != nil || !bytes.Equal(got, v.data[from:end+1]) {
		return differs("%s: bytes %d-%d: %d of them, %w", what, from, end, len(got), err)
	}
	return nil
}

// described compares what is told of a version.
func (c *caller) described(what string, info sherd.ObjectInfo, v *modelVersion) error {
	got := fmt.Sprint(info.VersionID, info.DeleteMarker, info.Size, info.ETag, info.Tags, info.Metadata, info.LegalHold, info.Retention.Until.Unix())
	want := fmt.Sprint(c.m.name(v.id), v.marker, len(v.data), v.etag, v.tags, v.meta, v.hold, v.until.Unix())
	if got != want {
		return differs("%s: %s, not %s", what, got, want)
	}
	return nil
}

func (c *caller) delete(string) error {
	key := c.key()
	what := c.say("delete %s", key)
	result, err := c.s.Delete(c.ctx, bucketName, key, nil)
	if err := failed(what, err, nil); err != nil {
		return err
	}
	return c.left(what, key, result)
}

// left notes what a delete that named no version did.
func (c *caller) left(what, key string, result sherd.DeleteResult) error {
	if result.Marker != (c.m.status != versioning.Unversioned) {
		return differs("%s: %+v while versioning is %v", what, result, c.m.status)
	}
	c.m.leave(key, result.VersionID)
	return nil
}

// may tells whether a version may be destroyed.
func (c *caller) may(v *modelVersion, bypass bool) error {
	if v.hold || !bypass && v.until.After(c.s.Now()) {
		return sherd.ErrLocked
	}
	return nil
}

func (c *caller) destroy(string) error {
	key, bypass := c.held(), c.r.IntN(3) == 0
	vs := c.m.keys[key]
	if len(vs) == 0 || c.m.status == versioning.Unversioned {
		return nil
	}
	v := vs[c.r.IntN(len(vs))]
	what := c.say("destroy %s %q, bypass %t", key, c.m.name(v.id), bypass)
	want := c.may(&v, bypass)
	result, err := c.s.Delete(c.ctx, bucketName, key, &sherd.DeleteOptions{VersionID: c.m.name(v.id), Bypass: bypass})
	if wrong := failed(what, err, want); wrong != nil || want != nil {
		return wrong
	}
	if !result.Found || result.Marker != v.marker {
		return differs("%s: %+v", what, result)
	}
	c.m.drop(key, v.id)
	return nil
}

func (c *caller) deleteMany(string) error {
	var targets []sherd.DeleteTarget
	for _, i := range c.r.Perm(len(modelKeys))[:1+c.r.IntN(3)] {
		targets = append(targets, sherd.DeleteTarget{Key: modelKeys[i]})
	}
	what := c.say("delete many %+v", targets)
	for i, outcome := range c.s.DeleteMany(c.ctx, bucketName, targets) {
		if err := failed(what, outcome.Err, nil); err != nil {
			return err
		}
		if err := c.left(what, targets[i].Key, outcome.DeleteResult); err != nil {
			return err
		}
	}
	return nil
}

func (c *caller) copy(string) error {
	from, to := c.held(), c.key()
	vs := c.m.keys[from]
	if len(vs) == 0 {
		return nil
	}
	v := vs[c.r.IntN(len(vs))]
	if v.marker {
		return nil
	}
	v.hold, v.until = false, time.Time{}
	o := &sherd.CopyOptions{}
	if c.r.IntN(3) == 0 {
		o.ReplaceTags, o.Tags = true, c.tags()
		v.tags = o.Tags
	}
	what := c.say("copy %s %q to %s", from, c.m.name(v.id), to)
	info, err := c.s.Copy(c.ctx, sherd.Source{Bucket: bucketName, Key: from, VersionID: c.m.name(v.id)}, bucketName, to, o)
	return c.made(what, info, err, nil, v)
}

func (c *caller) append(string) error {
	key, more := c.held(), c.content()
	v, want := modelVersion{}, error(nil)
	if at := c.m.latest(key); at != nil {
		v = *at
	}
	offset := int64(len(v.data))
	if len(more) == 0 {
		want = sherd.ErrInvalidArgument
	} else if c.r.IntN(5) == 0 && offset > 0 {
		offset, want = offset-1, sherd.ErrWriteOffset
	}
	what := c.say("append %d bytes to %s at %d", len(more), key, offset)
	info, err := c.s.Append(c.ctx, bucketName, key, bytes.NewReader(more), int64(len(more)), offset, nil)
	v.data, v.hold, v.until = slices.Concat(v.data, more), false, time.Time{}
	return c.made(what, info, err, want, v)
}

func (c *caller) rename(string) error {
	from, to := c.held(), c.key()
	at := c.m.latest(from)
	if at == nil || from == to {
		return nil
	}
	v := *at
	what := c.say("rename %s to %s", from, to)
	info, err := c.s.Rename(c.ctx, bucketName, from, to, nil)
	if err := c.made(what, info, err, nil, v); err != nil {
		return err
	}
	if c.m.status == versioning.Unversioned {
		c.m.leave(from, "")
		return nil
	}
	marker, err := c.s.Stat(c.ctx, bucketName, from, nil)
	var e *sherd.Error
	if !errors.As(err, &e) || e.Info == nil || !errors.Is(err, sherd.ErrNoSuchKey) {
		return differs("%s: %+v, %v stands at the old key", what, marker, err)
	}
	c.m.leave(from, e.Info.VersionID)
	return nil
}

// upload draws one that is under way.
func (c *caller) upload() (id string, u *modelUpload) {
	ids := slices.Sorted(maps.Keys(c.m.uploads))
	if len(ids) == 0 {
		return "", nil
	}
	id = ids[c.r.IntN(len(ids))]
	return id, c.m.uploads[id]
}

func (c *caller) createUpload(string) error {
	key, tags := c.key(), c.tags()
	what := c.say("create upload %s", key)
	u, err := c.s.CreateUpload(c.ctx, bucketName, key, &sherd.UploadOptions{Tags: tags})
	if err := failed(what, err, nil); err != nil {
		return err
	}
	c.m.uploads[u.ID] = &modelUpload{key: key, parts: map[int][]byte{}, tags: tags}
	return nil
}

func (c *caller) putPart(string) error {
	id, u := c.upload()
	if u == nil {
		return nil
	}
	number, data := 1+c.r.IntN(4), c.content()
	what := c.say("part %d of %s, %d bytes", number, u.key, len(data))
	_, err := c.s.PutPart(c.ctx, bucketName, u.key, id, number, bytes.NewReader(data), int64(len(data)), &sherd.PartOptions{MD5: true})
	if err := failed(what, err, nil); err != nil {
		return err
	}
	u.parts[number] = data
	return nil
}

func (c *caller) complete(string) error {
	id, u := c.upload()
	if u == nil {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(u.parts))
	if len(numbers) > 1 && c.r.IntN(3) == 0 {
		numbers = numbers[1:]
	}
	var parts []sherd.CompletedPart
	var data []byte
	for _, n := range numbers {
		parts, data = append(parts, sherd.CompletedPart{Number: n}), append(data, u.parts[n]...)
	}
	var want error
	if len(numbers) == 0 || c.r.IntN(6) == 0 {
		parts, want = append(parts, sherd.CompletedPart{Number: 9}), sherd.ErrInvalidPart
	}
	what := c.say("complete %s of %v", u.key, parts)
	info, err := c.s.CompleteUpload(c.ctx, bucketName, u.key, id, parts, nil)
	if want == nil && err == nil {
		delete(c.m.uploads, id)
	}
	return c.made(what, info, err, want, modelVersion{data: data, tags: u.tags})
}

func (c *caller) abort(string) error {
	id, u := c.upload()
	if u == nil {
		return nil
	}
	what := c.say("abort %s", u.key)
	delete(c.m.uploads, id)
	if err := failed(what, c.s.AbortUpload(c.ctx, bucketName, u.key, id), nil); err != nil {
		return err
	}
	return failed(what+" again", c.s.AbortUpload(c.ctx, bucketName, u.key, id), sherd.ErrNoSuchUpload)
}

func (c *caller) tag(string) error {
	key, tags := c.held(), c.tags()
	at, want := c.m.latest(key), error(nil)
	if at == nil {
		want = sherd.ErrNoSuchKey
	}
	what := c.say("tag %s", key)
	err := c.s.SetTags(c.ctx, bucketName, key, "", tags)
	if at != nil {
		c.m.keys[key][0].tags = tags
	}
	return failed(what, err, want)
}

// lock sets or lifts a legal hold.
func (c *caller) lock(string) error {
	key := c.held()
	if !c.m.locked || c.m.latest(key) == nil {
		return nil
	}
	v := &c.m.keys[key][0]
	v.hold = !v.hold
	what := c.say("hold %s: %t", key, v.hold)
	return failed(what, c.s.SetLegalHold(c.ctx, bucketName, key, c.m.name(v.id), v.hold), nil)
}

func (c *caller) version(string) error {
	if c.m.locked {
		return failed("suspend under lock", c.s.SetVersioning(c.ctx, bucketName, versioning.Suspended), sherd.ErrInvalidArgument)
	}
	status := versioning.Enabled
	if c.m.status == versioning.Enabled {
		status = versioning.Suspended
	}
	what := c.say("versioning %v", status)
	c.m.status = status
	return failed(what, c.s.SetVersioning(c.ctx, bucketName, status), nil)
}

// list compares a listing with what the model would list.
func (c *caller) list(string) error {
	o := &sherd.ListOptions{Prefix: []string{"", "a", "b/"}[c.r.IntN(3)], Delimiter: []string{"", "/"}[c.r.IntN(2)]}
	what := c.say("list %+v", *o)
	var got, want []string
	for info, err := range c.s.List(c.ctx, bucketName, o) {
		if err != nil {
			return differs("%s: %w", what, err)
		}
		got = append(got, info.Key)
	}
	for _, key := range modelKeys {
		rest, under := strings.CutPrefix(key, o.Prefix)
		if !under || c.m.latest(key) == nil {
			continue
		}
		if before, _, cut := strings.Cut(rest, o.Delimiter); cut && o.Delimiter != "" {
			key = o.Prefix + before + o.Delimiter
		}
		want = append(want, key)
	}
	if want = slices.Compact(want); !slices.Equal(got, want) {
		return differs("%s: %q, not %q", what, got, want)
	}
	return nil
}
