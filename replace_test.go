// Goal: all kinds of things that a store holds come to a drive that took another's
// place. Method: a store in memory with versions, markers, copies, and uploads that are
// under way, completed and aborted; a drive is put back empty; then a check compares
// all drives, and two others go, so that every read needs the new one.
package sherd_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/versioning"
)

// Kills: leaving out parts, what says who owns them, or the parts of uploads that have
// a session only, or only an object.
func TestEverythingComesToANewDrive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		s, err := r.open(t)
		require.NoError(t, err)
		newBucket(t, s, bucketName, versioning.Enabled)
		upload := func(key string) (sherd.Upload, []sherd.CompletedPart) {
			u, err := s.CreateUpload(t.Context(), bucketName, key, nil)
			require.NoError(t, err)
			var parts []sherd.CompletedPart
			for i, size := range []int{5 << 20, 5 << 20, 3000} {
				p, err := s.PutPart(t.Context(), bucketName, key, u.ID, i+1, bytes.NewReader(sized(uint64(i), size)), int64(size), nil)
				require.NoError(t, err)
				parts = append(parts, sherd.CompletedPart{Number: i + 1, ETag: p.ETag})
			}
			return u, parts
		}
		for i := range 30 {
			put(t, s, bucketName, fmt.Sprint("key", i%10), string(sized(uint64(i), 100*i)))
		}
		_, err = s.Delete(t.Context(), bucketName, "key3", nil)
		require.NoError(t, err)
		u, parts := upload("whole")
		_, err = s.CompleteUpload(t.Context(), bucketName, "whole", u.ID, parts, nil)
		require.NoError(t, err)
		_, err = s.Copy(t.Context(), sherd.Source{Bucket: bucketName, Key: "whole"}, bucketName, "copy", nil)
		require.NoError(t, err)
		open, parts := upload("open")
		dead, _ := upload("dead")
		require.NoError(t, s.AbortUpload(t.Context(), bucketName, "dead", dead.ID))

		path := sherd.DrivePath(1)
		require.NoError(t, r.drives[1].RemoveAll(path))
		require.NoError(t, r.drives[1].MkdirAll(path, 0o700))
		eventually(t, s, "evicted", func() bool { return !well(s) })
		eventually(t, s, "rebuilt", func() bool { return well(s) && len(s.Health().Work) == 0 })
		pass(2 * time.Minute)
		requireNothingWrong(t, s)
		_, err = s.CompleteUpload(t.Context(), bucketName, "open", open.ID, parts, nil)
		require.NoError(t, err)
		want := map[string]string{}
		for o, err := range s.List(t.Context(), bucketName, nil) {
			require.NoError(t, err)
			want[o.Key], err = contentOf(t, s, o.Key)
			require.NoError(t, err)
		}
		require.Len(t, want, 9+3)
		for _, lost := range [][]int{{0, 2}, {0, 3}, {2, 3}} {
			for _, i := range lost {
				r.faults[i].SetGone(true)
			}
			eventually(t, s, "read-only", func() bool { return s.Health().Mode == sherd.ReadOnly })
			for key, digest := range want {
				got, err := contentOf(t, s, key)
				require.NoError(t, err, key)
				require.Equal(t, digest, got, key)
			}
			for _, i := range lost {
				r.faults[i].SetGone(false)
			}
			eventually(t, s, "back", func() bool { return well(s) })
		}
		r.shut(t, s, "at the end")
		id, err := layout.ParseUploadID(dead.ID)
		require.NoError(t, err)
		for i := range r.drives {
			require.Zero(t, partsOn(t, r.drives[i], sherd.DrivePath(i), id), "drive %d", i)
		}
	})
}

// partsOn counts the parts of an upload that a closed drive holds.
func partsOn(t *testing.T, fsys vfs.FS, path string, upload layout.UploadID) (n int) {
	place, err := layout.Claim(t.Context(), fsys, path, &layout.Options{Memory: true, TrustLocks: true})
	require.NoError(t, err)
	d, err := place.Open(t.Context())
	require.NoError(t, err)
	reader, err := d.Read(t.Context())
	require.NoError(t, err)
	lo, hi := layout.PartRange(upload, 0)
	cur, err := reader.Cursor(lo, hi, layout.MaxPosition)
	require.NoError(t, err)
	for cur.Next() {
		n++
	}
	require.NoError(t, cur.Err())
	require.NoError(t, cur.Close())
	require.NoError(t, reader.Close())
	require.NoError(t, d.Close())
	require.NoError(t, place.Release())
	return n
}
