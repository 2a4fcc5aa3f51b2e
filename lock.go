package sherd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

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

// rewrite gives a version a newer record: what it is stays, what is said of it
// changes.
func (s *Store) rewrite(ctx context.Context, bucketName, key, versionID string, change func(*bucket, *version) error) error {
	if err := checkKey(key); err != nil {
		return err
	}
	b, held, err := s.enter(ctx, bucketName, keyAlone(key))
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
