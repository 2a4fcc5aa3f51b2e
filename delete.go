package sherd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// DeleteOptions of a delete. Nil: the key itself, without conditions.
type DeleteOptions struct {
	// VersionID destroys exactly that version, marker or not. "": what a delete
	// means under the versioning of the bucket.
	VersionID string
	// Bypass destroys a version under governance retention. That the caller may
	// is for the caller to know.
	Bypass     bool
	Conditions DeleteConditions
}

// DeleteConditions decide whether a delete happens, by the version that is
// named, or by the latest: ErrPrecondition, or ErrNoSuchKey where there is none.
type DeleteConditions struct {
	IfMatch         string     // as in Conditions
	IfMatchModified *time.Time // compared by the second
	IfMatchSize     *int64
	// Marker: the version that is named is a delete marker, and the latest.
	// Noncurrent: it is not the latest.
	Marker, Noncurrent bool
}

// DeleteResult says what a delete did.
type DeleteResult struct {
	VersionID string // of the delete marker that was made, or as it was named
	Marker    bool   // a delete marker was made, or removed
	Found     bool   // a version was removed
}

// DeleteTarget is one of many deletes.
type DeleteTarget struct {
	Key string
	DeleteOptions
}

// DeleteOutcome is what became of one of many deletes.
type DeleteOutcome struct {
	DeleteResult
	Err error
}

// Delete deletes an object, or destroys a version of it. Without versioning the
// object goes; with it a delete marker becomes the latest version, and nothing
// is destroyed unless a version is named. Nothing there is no error.
func (s *Store) Delete(ctx context.Context, bucketName, key string, o *DeleteOptions) (result DeleteResult, err error) {
	if o == nil {
		o = &DeleteOptions{}
	}
	op := s.begin("delete", bucketName, key, o.VersionID)
	defer op.end(&err)
	if err := checkKey(key); err != nil {
		return DeleteResult{}, err
	}
	b, held, err := s.enter(ctx, bucketName, key, keyAlone(key))
	if err != nil {
		return DeleteResult{}, err
	}
	defer held.release()
	c, err := s.remove(ctx, held.set, b, key, o)
	if err != nil {
		return DeleteResult{}, err
	}
	result = DeleteResult{VersionID: o.VersionID, Marker: c.plan.Marker || c.plan.Remove.Marker && !c.plan.Create, Found: c.removed != nil}
	if c.plan.Nothing() {
		return result, nil
	}
	err = s.commit(ctx, held, driveset.Change{Reserve: true}, func(at layout.Position, owner layout.Owner) ([]layout.Write, error) {
		c.record.Version, c.record.Epoch, c.record.Modified = at, owner.Epoch, s.Now()
		return c.writes(at)
	})
	if err != nil {
		return DeleteResult{}, err
	}
	if c.plan.Create {
		result.VersionID = b.versionID(c.record.Head, "")
	}
	return result, nil
}

// remove decides what a delete does, under the key's lock.
func (s *Store) remove(ctx context.Context, set *driveset.Set, b *bucket, key string, o *DeleteOptions) (*change, error) {
	view, err := set.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	c := &change{b: b, key: key}
	if o.VersionID != "" {
		return c, s.removeNamed(ctx, view, c, o)
	}
	conditional := o.Conditions != DeleteConditions{}
	if conditional || b.status() == versioning.Unversioned {
		if c.latest, err = latest(ctx, view, b, key); err != nil {
			return nil, err
		}
	}
	if err := o.Conditions.check(c.latest); conditional && err != nil {
		return nil, err
	}
	var null *version
	if b.status() != versioning.Enabled {
		if null, c.alias, err = nullVersion(ctx, view, b, key, c.latest); err != nil {
			return nil, err
		}
	}
	if c.plan, err = versioning.Delete(b.status(), null.ref()); err != nil {
		return nil, err
	}
	if !c.plan.Remove.Absent() {
		c.removed = null
	}
	return c, s.mayDestroy(c.removed, lock.Intent{Bypass: o.Bypass})
}

func (s *Store) removeNamed(ctx context.Context, view *driveset.View, c *change, o *DeleteOptions) error {
	v, alias, err := named(ctx, view, c.b, c.key, o.VersionID)
	if err != nil {
		return err
	}
	if o.Conditions != (DeleteConditions{}) {
		if err := o.Conditions.check(v); err != nil {
			return err
		}
		if err := o.Conditions.stands(ctx, view, c, v); err != nil {
			return err
		}
	}
	if c.plan, err = versioning.DeleteVersion(v.ref()); err != nil {
		return err
	}
	c.removed, c.alias = v, alias
	return s.mayDestroy(v, lock.Intent{Bypass: o.Bypass})
}

// stands decides the conditions on where a version stands among the others.
func (c DeleteConditions) stands(ctx context.Context, view *driveset.View, of *change, v *version) error {
	if !c.Marker && !c.Noncurrent {
		return nil
	}
	newest, err := latest(ctx, view, of.b, of.key)
	if err == nil && (newest.Version == v.Version) != c.Marker {
		err = ErrPrecondition
	}
	return err
}

func (c DeleteConditions) check(v *version) error {
	switch {
	case v == nil:
		return ErrNoSuchKey
	case v.Flags&layout.FlagMarker != 0 && c.Marker:
		return nil
	case c.Marker:
		return ErrPrecondition
	case v.Flags&layout.FlagMarker != 0:
		if c.Noncurrent && c.IfMatch == "" && c.IfMatchModified == nil && c.IfMatchSize == nil {
			return nil
		}
		return ErrNoSuchKey
	case c.IfMatch != "" && !etagIn(c.IfMatch, etagText(v.ETag)),
		c.IfMatchModified != nil && !v.Modified.Truncate(time.Second).Equal(c.IfMatchModified.Truncate(time.Second)),
		c.IfMatchSize != nil && *c.IfMatchSize != v.Size:
		return ErrPrecondition
	}
	return nil
}

// deletesAtOnce is how many of many deletes are on their way together.
const deletesAtOnce = 32

// DeleteMany makes many deletes, each by itself, and gives their outcomes in
// the order of the targets. Those of one key are made in their order.
func (s *Store) DeleteMany(ctx context.Context, bucketName string, targets []DeleteTarget) []DeleteOutcome {
	outcomes := make([]DeleteOutcome, len(targets))
	byKey := map[string][]int{}
	var order []string
	for i, t := range targets {
		if byKey[t.Key] == nil {
			order = append(order, t.Key)
		}
		byKey[t.Key] = append(byKey[t.Key], i)
	}
	var g errgroup.Group
	g.SetLimit(deletesAtOnce)
	for _, key := range order {
		g.Go(func() error {
			for _, i := range byKey[key] {
				outcomes[i].DeleteResult, outcomes[i].Err = s.Delete(ctx, bucketName, key, &targets[i].DeleteOptions)
			}
			return nil
		})
	}
	_ = g.Wait() // each outcome has its own error
	return outcomes
}

// lockDocument holds the default retention of a bucket.
const lockDocument = ".object-lock"

// storedLock is lockDocument.
type storedLock struct {
	Mode  lock.Mode `json:"mode"`
	Days  int       `json:"days,omitempty"`
	Years int       `json:"years,omitempty"`
}

func readLock(document []byte, c *lock.Configuration) error {
	var stored storedLock
	strict := json.NewDecoder(bytes.NewReader(document))
	strict.DisallowUnknownFields()
	err := strict.Decode(&stored)
	if err == nil {
		c.Default = lock.DefaultRetention(stored)
		err = c.Validate()
	}
	if err != nil {
		return fmt.Errorf("%w: object lock configuration: %w", ErrFormat, err)
	}
	return nil
}

// ObjectLock tells the object lock configuration of a bucket; the zero one
// where it has none.
func (s *Store) ObjectLock(ctx context.Context, bucketName string) (c lock.Configuration, err error) {
	op := s.begin("object lock", bucketName, "", "")
	defer op.end(&err)
	b, err := s.bucket(ctx, bucketName)
	if err != nil {
		return lock.Configuration{}, err
	}
	if b.lockErr != nil {
		return lock.Configuration{}, b.lockErr
	}
	return b.lock, nil
}

// SetObjectLock turns object lock on, for ever, or changes the retention that
// new versions get by default. The bucket must have versioning enabled.
func (s *Store) SetObjectLock(ctx context.Context, bucketName string, c lock.Configuration) (err error) {
	op := s.begin("set object lock", bucketName, "", "")
	defer op.end(&err)
	return s.changeBucket(ctx, bucketName, func(_ *driveset.View, b *bucket) ([]layout.Write, error) {
		if b.lockErr != nil {
			return nil, b.lockErr
		}
		if err := lock.CheckConfiguration(b.lock, c); err != nil || c == b.lock {
			return nil, err
		}
		if b.status() != versioning.Enabled {
			return nil, versioning.ErrObjectLock
		}
		b.record.ObjectLock = true
		w, err := writeBucket(b)
		if err != nil {
			return nil, err
		}
		document := layout.Write{Slot: layout.DocumentSlot(b.id, lockDocument), Kind: layout.KindTombstone}
		if c.Default != (lock.DefaultRetention{}) {
			document.Kind = layout.KindRecord
			if document.Value, err = json.Marshal(storedLock(c.Default)); err != nil {
				return nil, err
			}
		} else if b.lock.Default == c.Default {
			return []layout.Write{w}, nil // there is none to remove
		}
		return []layout.Write{w, document}, nil
	})
}

// mayDestroy says whether a version may be destroyed now; nil is none. Every
// change that removes a version asks it, under the lock of the key.
func (s *Store) mayDestroy(v *version, intent lock.Intent) error {
	if v == nil {
		return nil
	}
	state, err := v.knownLock()
	if err != nil {
		return err
	}
	return lock.Check(s.Now(), state, intent)
}

// SetRetention gives a version another retention, the zero one removes it.
// bypass says that governance is to be bypassed, which is for the caller to have
// allowed. A change that the present retention forbids is [ErrLocked]. versionID
// "" is the latest version.
func (s *Store) SetRetention(ctx context.Context, bucketName, key, versionID string, retention lock.Retention, bypass bool) (err error) {
	op := s.begin("set retention", bucketName, key, versionID)
	defer op.end(&err)
	return s.rewrite(ctx, bucketName, key, versionID, func(b *bucket, v *version) error {
		if !b.lock.Enabled {
			return lock.ErrNotEnabled
		}
		state, err := v.knownLock()
		if err == nil {
			err = lock.CheckRetention(s.Now(), state, retention, lock.Intent{Bypass: bypass})
		}
		if err != nil {
			return err
		}
		state.Retention = retention
		setLock(&v.Record, state)
		return nil
	})
}

// SetLegalHold puts a version under legal hold, or lifts it. versionID "" is the
// latest version.
func (s *Store) SetLegalHold(ctx context.Context, bucketName, key, versionID string, on bool) (err error) {
	op := s.begin("set legal hold", bucketName, key, versionID)
	defer op.end(&err)
	return s.rewrite(ctx, bucketName, key, versionID, func(b *bucket, v *version) error {
		if !b.lock.Enabled {
			return lock.ErrNotEnabled
		}
		state, err := v.knownLock()
		if err != nil {
			return err
		}
		if err := state.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrLocked, err)
		}
		state.LegalHold = on
		setLock(&v.Record, state)
		return nil
	})
}

// SetTags replaces the tags of a version; none removes them. versionID "" is the
// latest version.
func (s *Store) SetTags(ctx context.Context, bucketName, key, versionID string, tags map[string]string) (err error) {
	op := s.begin("set tags", bucketName, key, versionID)
	defer op.end(&err)
	if err := checkMaps(tags); err != nil {
		return err
	}
	return s.rewrite(ctx, bucketName, key, versionID, func(_ *bucket, v *version) error {
		setTags(&v.Record, tags)
		return nil
	})
}

// SetAccess replaces the access document of a version; an empty one removes it.
// versionID "" is the latest version.
func (s *Store) SetAccess(ctx context.Context, bucketName, key, versionID string, document []byte) (err error) {
	op := s.begin("set access", bucketName, key, versionID)
	defer op.end(&err)
	if err := checkAccess(document); err != nil {
		return err
	}
	return s.rewrite(ctx, bucketName, key, versionID, func(_ *bucket, v *version) error {
		v.Access = document
		return nil
	})
}

// rewrite gives a version a newer record: what it is stays, what is said of it
// changes.
func (s *Store) rewrite(ctx context.Context, bucketName, key, versionID string, change func(*bucket, *version) error) error {
	if err := checkKey(key); err != nil {
		return err
	}
	b, held, err := s.enter(ctx, bucketName, key, keyAlone(key))
	if err != nil {
		return err
	}
	defer held.release()
	v, err := s.lookUp(ctx, b, key, versionID)
	if err != nil {
		return err
	}
	if err := change(b, v); err != nil {
		return err
	}
	value, err := layout.EncodeRecord(&v.Record)
	if err != nil {
		return err
	}
	return s.commit(ctx, held, driveset.Change{}, func(layout.Position, layout.Owner) ([]layout.Write, error) {
		return []layout.Write{{Slot: layout.VersionSlot(b.id, key, v.Version), Kind: layout.KindRecord, Value: value}}, nil
	})
}
