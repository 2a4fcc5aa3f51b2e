// Goal: tests open a store on file systems of their own, which embedders can
// not, and see where keys are. Method: functions that are exported to tests alone,
// and so are in the package itself.
package sherd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/keylock"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

// OpenOn opens a store on one drive a file system, at the path that DrivePath gives.
func OpenOn(ctx context.Context, drives []vfs.FS, o *Options) (*Store, error) {
	return openOn(ctx, drives, o, &driveset.Options{})
}

// OpenReadOnlyOn opens one for reading only.
func OpenReadOnlyOn(ctx context.Context, drives []vfs.FS, o *Options) (*Store, error) {
	return openOn(ctx, drives, o, &driveset.Options{ReadOnly: true})
}

func openOn(ctx context.Context, drives []vfs.FS, o *Options, under *driveset.Options) (*Store, error) {
	under.Memory, under.TrustLocks = true, true
	return open(ctx, placesOn(drives, 0), o, under)
}

// DrivePath is where a drive that OpenOn opened is on its file system.
func DrivePath(i int) string { return fmt.Sprintf("/drive%d", i) }

// OpenPoolsOn opens a store of several pools, each of some of the drives.
func OpenPoolsOn(ctx context.Context, drives []vfs.FS, pools [][]int, o *Options) (*Store, error) {
	s := &Store{locks: keylock.New(), places: inMemory}
	if o != nil {
		s.opt = *o
	}
	all := placesOn(drives, 0)
	lists := make([][]driveset.Place, len(pools))
	for i, pool := range pools {
		for _, n := range pool {
			lists[i] = append(lists[i], all[n])
		}
	}
	return s.open(ctx, lists, &driveset.Options{Memory: true, TrustLocks: true})
}

// AddPoolOn adds a pool, whose drives are numbered from a number on.
func AddPoolOn(ctx context.Context, s *Store, pool []vfs.FS, from int, o *PoolOptions) error {
	return s.pools.Add(ctx, placesOn(pool, from), o.SetDrives)
}

func placesOn(pool []vfs.FS, from int) []driveset.Place {
	places := make([]driveset.Place, len(pool))
	for i, fs := range pool {
		places[i] = driveset.Place{FS: fs, Path: DrivePath(from + i)}
	}
	return places
}

// SetOf tells in which pool and set a key is, and whether it is there.
func SetOf(ctx context.Context, s *Store, bucketName, key string) (at [2]int, found bool, err error) {
	b, err := s.bucket(ctx, bucketName)
	if err != nil {
		return at, false, err
	}
	set, found, err := s.pools.Table().Locate(ctx, b.id, key)
	for _, m := range s.pools.Table().Members() {
		if have, e := m.Get(); e == nil && have == set {
			at = [2]int{m.Pool, m.Set}
		}
	}
	return at, found, err
}

// CopiesOf tells of every set but the first whether it has a copy of a bucket's
// record, and whether that is as the bucket is.
func CopiesOf(ctx context.Context, s *Store, bucketName string) (there, same []bool, err error) {
	b, err := s.readBucketNow(ctx, bucketName)
	if err != nil {
		return nil, nil, err
	}
	for _, set := range s.sets()[1:] {
		all, err := copyWrites(ctx, set, b, true)
		if err != nil {
			return nil, nil, err
		}
		old, err := copyWrites(ctx, set, b, false)
		if err != nil {
			return nil, nil, err
		}
		there, same = append(there, len(all) == 0 || len(old) > 0), append(same, len(all) == 0)
	}
	return there, same, nil
}

// SettleBuckets does what a store of several sets does by itself when it was
// opened.
func SettleBuckets(ctx context.Context, s *Store) error { return s.settleBuckets(ctx) }

// IsClosed tells whether a bucket is closed to be deleted.
func IsClosed(ctx context.Context, s *Store, bucketName string) (bool, error) {
	b, err := s.readBucketNow(ctx, bucketName)
	if err != nil {
		return false, err
	}
	return b.record.Closed, nil
}

// Orphans counts the copies that sets have of buckets that are gone.
func Orphans(ctx context.Context, s *Store) (left int, err error) {
	for _, set := range s.sets()[1:] {
		ids, err := s.orphans(ctx, set)
		if err != nil {
			return 0, err
		}
		left += len(ids)
	}
	return left, nil
}

// Narrow is how many objects are laid out over fewer drives than there are.
func Narrow(s *Store) (n uint64) {
	for _, set := range s.sets() {
		n += set.Narrow()
	}
	return n
}

// RecordOf gives the record of the latest version of an object, as it lies in the index.
func RecordOf(ctx context.Context, s *Store, bucketName, key string) ([]byte, error) {
	b, err := s.bucket(ctx, bucketName)
	if err != nil {
		return nil, err
	}
	v, err := s.lookUp(ctx, b, key, "")
	if err != nil {
		return nil, err
	}
	return layout.EncodeRecord(&v.Record)
}

// Forge does what somebody could who writes to the drives, all sums made right: it
// puts other stored bytes and another size in the place of those of an object that is
// in one piece.
func Forge(ctx context.Context, s *Store, bucketName, key string, forge func(stored []byte) (forged []byte, size int64)) error {
	b, held, err := s.enter(ctx, bucketName, key, keyAlone(key))
	if err != nil {
		return err
	}
	defer held.release()
	v, err := s.lookUp(ctx, b, key, "")
	if err != nil {
		return err
	}
	data, err := held.set.OpenData(ctx, v.Place, 0, v.Place.Size)
	if err != nil {
		return err
	}
	stored, err := io.ReadAll(data)
	if err = errors.Join(err, data.Close()); err != nil {
		return err
	}
	out := *v
	stored, out.Size = forge(stored)
	staged, err := held.set.Stage(ctx, bytes.NewReader(stored), int64(len(stored)), s.spec(b, key, nil))
	if err != nil {
		return err
	}
	defer staged.Discard()
	return s.commit(ctx, held, driveset.Change{Staged: staged}, func(layout.Position, layout.Owner) ([]layout.Write, error) {
		out.Place = staged.Place
		value, err := layout.EncodeRecord(&out.Record)
		writes := []layout.Write{{Slot: layout.VersionSlot(b.id, key, v.Version), Kind: layout.KindRecord, Value: value}}
		writes = v.ownership(writes, b, key, layout.KindTombstone)
		return out.ownership(writes, b, key, layout.KindRecord), err
	})
}

// EditPart lets somebody who writes to the index change the record of a part.
func EditPart(ctx context.Context, s *Store, bucketName, key, uploadID string, number int, edit func(*layout.Record)) error {
	id, err := layout.ParseUploadID(uploadID)
	if err != nil {
		return err
	}
	_, held, err := s.enter(ctx, bucketName, key, keyAlone(key))
	if err != nil {
		return err
	}
	defer held.release()
	v, err := partAt(ctx, held.set, id, uint32(number))
	if err != nil {
		return err
	}
	edit(&v.Record)
	return s.commit(ctx, held, driveset.Change{}, func(layout.Position, layout.Owner) ([]layout.Write, error) {
		value, err := layout.EncodeRecord(&v.Record)
		return []layout.Write{{Slot: layout.PartSlot(id, v.Part), Kind: layout.KindRecord, Value: value}}, err
	})
}
