// Goal: what a store finds on its drives and does not understand locks, and what
// it did not write itself keeps its name. Method: between two openings of a store
// of one drive, an entry is written that a later version or a migration would
// write.
package sherd_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
)

// writeEntry commits what writes gives to a drive that nobody has open.
func writeEntry(t *testing.T, path string, writes func(layout.Reader) []layout.Write) {
	t.Helper()
	place, err := layout.Claim(t.Context(), vfs.OS(), path, nil)
	require.NoError(t, err)
	d, err := place.Open(t.Context())
	require.NoError(t, err)
	h, err := d.Holding(t.Context())
	require.NoError(t, err)
	promise := layout.Promise{Owner: layout.Owner{Epoch: h.Promise.Epoch + 1, Nonce: 1}, Session: 1}
	h, err = d.Promise(t.Context(), promise)
	require.NoError(t, err)
	r, err := d.Read(t.Context())
	require.NoError(t, err)
	e := &layout.Entry{Position: h.Last.Position + 1, Owner: promise.Owner, Time: time.Now(), Writes: writes(r)}
	require.NoError(t, r.Close())
	require.NoError(t, e.Seal(h.Last.Chain))
	require.NoError(t, d.Apply(t.Context(), promise, layout.Batch{Entries: []*layout.Entry{e}}))
	require.NoError(t, d.Close())
	require.NoError(t, place.Release())
}

// rewritten is the latest version of a key with something changed.
func rewritten(t *testing.T, r layout.Reader, bucket sherd.BucketInfo, key string, change func(*layout.Record)) layout.Write {
	t.Helper()
	item, ok, err := r.Latest(layout.BucketID(bucket.ID), key, layout.MaxPosition)
	require.NoError(t, err)
	require.True(t, ok)
	record, err := layout.DecodeRecord(item.Value)
	require.NoError(t, err)
	change(record)
	value, err := layout.EncodeRecord(record)
	require.NoError(t, err)
	return layout.Write{Slot: item.Slot, Kind: layout.KindRecord, Value: value}
}

// reopened is a store of one drive, changed in between by prepare and by change.
func reopened(t *testing.T, prepare func(*sherd.Store), change func(layout.Reader, sherd.BucketInfo) []layout.Write) *sherd.Store {
	t.Helper()
	path := t.TempDir()
	s, err := sherd.Open(t.Context(), []string{path}, nil)
	require.NoError(t, err)
	_, err = s.CreateBucket(t.Context(), "bucket", &sherd.BucketOptions{ObjectLock: true})
	require.NoError(t, err)
	prepare(s)
	info, err := s.StatBucket(t.Context(), "bucket")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	writeEntry(t, path, func(r layout.Reader) []layout.Write { return change(r, info) })
	s, err = sherd.Open(t.Context(), []string{path}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestALockThatIsNotUnderstoodLocks(t *testing.T) {
	ids, until := map[string]string{}, time.Now().Add(time.Hour)
	changes := map[string]func(*layout.Record){
		"no reason": func(r *layout.Record) { r.Flags |= layout.FlagLocked },
		"unknown mode": func(r *layout.Record) {
			r.Flags |= layout.FlagLocked
			r.Retention = layout.Retention{Mode: 9, Until: until}
		},
		"no date": func(r *layout.Record) { r.Flags |= layout.FlagLocked; r.Retention = layout.Retention{Mode: 1} },
	}
	s := reopened(t, func(s *sherd.Store) {
		for key := range changes {
			ids[key] = put(t, s, "bucket", key, "precious").VersionID
		}
	}, func(r layout.Reader, bucket sherd.BucketInfo) (writes []layout.Write) {
		for key, change := range changes {
			writes = append(writes, rewritten(t, r, bucket, key, change))
		}
		return writes
	})
	for key, id := range ids {
		for range 2 { // nothing that is refused opens the way
			_, err := s.Delete(t.Context(), "bucket", key, &sherd.DeleteOptions{VersionID: id, Bypass: true})
			require.ErrorIs(t, err, sherd.ErrLocked, key)
			require.ErrorIs(t, s.SetLegalHold(t.Context(), "bucket", key, id, false), sherd.ErrLocked, key)
			require.ErrorIs(t, s.SetRetention(t.Context(), "bucket", key, id, lock.Retention{}, true), sherd.ErrLocked, key)
			later := lock.Retention{Mode: lock.Compliance, Until: until}
			require.ErrorIs(t, s.SetRetention(t.Context(), "bucket", key, id, later, true), sherd.ErrLocked, key)
			require.NoError(t, s.SetTags(t.Context(), "bucket", key, id, map[string]string{"a": "b"}), key)
		}
		require.Equal(t, "precious", get(t, s, "bucket", key, &sherd.GetOptions{VersionID: id}))
	}
}

func TestALockConfigurationThatIsNotUnderstoodStopsWrites(t *testing.T) {
	for name, document := range map[string]string{
		"no document": "?", "unknown field": `{"mode":1,"days":1,"hours":1}`, "unknown mode": `{"mode":7,"days":1}`, "no period": `{"mode":1}`,
	} {
		id := ""
		s := reopened(t, func(s *sherd.Store) { id = put(t, s, "bucket", "key", "precious").VersionID },
			func(_ layout.Reader, bucket sherd.BucketInfo) []layout.Write {
				slot := layout.DocumentSlot(layout.BucketID(bucket.ID), ".object-lock")
				return []layout.Write{{Slot: slot, Kind: layout.KindRecord, Value: []byte(document)}}
			})
		_, err := s.Put(t.Context(), "bucket", "other", nil, 0, nil)
		require.ErrorIs(t, err, sherd.ErrFormat, name)
		_, err = s.CreateUpload(t.Context(), "bucket", "other", nil)
		require.ErrorIs(t, err, sherd.ErrFormat, name)
		_, err = s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "key"}, "bucket", "other", nil)
		require.ErrorIs(t, err, sherd.ErrFormat, name)
		_, err = s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: id})
		require.ErrorIs(t, err, sherd.ErrFormat, name)
		require.ErrorIs(t, s.SetObjectLock(t.Context(), "bucket", lock.Configuration{Enabled: true}), sherd.ErrFormat, name)
		require.Equal(t, "precious", get(t, s, "bucket", "key", nil), "reading goes on")
	}
}

// A version from elsewhere is found by the id that it had there.
func TestForeignVersionIDs(t *testing.T) {
	const id = "yX3.elsewhere/é"
	s := reopened(t, func(s *sherd.Store) {
		put(t, s, "bucket", "key", "older")
		put(t, s, "bucket", "key", "foreign")
	}, func(r layout.Reader, bucket sherd.BucketInfo) []layout.Write {
		var at layout.Position
		w := rewritten(t, r, bucket, "key", func(r *layout.Record) {
			r.Flags, r.ForeignID, at = r.Flags|layout.FlagForeignID, id, r.Version
		})
		alias := layout.Write{Slot: layout.AliasSlot(layout.BucketID(bucket.ID), "key", id), Kind: layout.KindRecord, Value: layout.EncodePosition(uint64(at))}
		return []layout.Write{w, alias}
	})
	put(t, s, "bucket", "key", "newer")
	versions := func(o *sherd.ListVersionsOptions) (out []string) {
		for info, err := range s.ListVersions(t.Context(), "bucket", o) {
			require.NoError(t, err)
			out = append(out, get(t, s, "bucket", "key", &sherd.GetOptions{VersionID: info.VersionID}))
		}
		return out
	}
	require.Equal(t, []string{"newer", "foreign", "older"}, versions(nil))
	require.Equal(t, []string{"older"}, versions(&sherd.ListVersionsOptions{KeyMarker: "key", VersionMarker: id}))
	info, err := s.Stat(t.Context(), "bucket", "key", &sherd.GetOptions{VersionID: id})
	require.NoError(t, err)
	require.Equal(t, id, info.VersionID)
	require.NoError(t, s.SetLegalHold(t.Context(), "bucket", "key", id, true))
	_, err = s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: id})
	require.ErrorIs(t, err, sherd.ErrLocked)
	require.NoError(t, s.SetLegalHold(t.Context(), "bucket", "key", id, false))
	for _, found := range []bool{true, false} {
		result, err := s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: id})
		require.NoError(t, err)
		require.Equal(t, sherd.DeleteResult{VersionID: id, Found: found}, result)
	}
	require.Equal(t, []string{"newer", "older"}, versions(nil))
	requireNothingWrong(t, s)
}
