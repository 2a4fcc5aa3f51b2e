// Goal: a check tells what is wrong from what is on its way. Method: a store
// whose drives are, between two openings, brought to different points of the work
// that each drive does by itself.
package sherd_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/versioning"
)

func TestPartsThatOnlySomeDrivesHaveRemovedAreNoDamage(t *testing.T) {
	var drives []string
	for i := range 4 {
		drives = append(drives, filepath.Join(t.TempDir(), fmt.Sprint(i)))
	}
	o := &sherd.Options{ManualRun: true} // nothing is removed behind our back
	s, err := sherd.Open(t.Context(), drives, o)
	require.NoError(t, err)
	newBucket(t, s, "bucket", versioning.Unversioned)
	for _, size := range []int{1 << 10, 1 << 20} { // inline and in files
		key := fmt.Sprint(size)
		u, err := s.CreateUpload(t.Context(), "bucket", key, nil)
		require.NoError(t, err)
		part, err := s.PutPart(t.Context(), "bucket", key, u.ID, 1, strings.NewReader(strings.Repeat("x", size)), int64(size), nil)
		require.NoError(t, err)
		_, err = s.CompleteUpload(t.Context(), "bucket", key, u.ID, []sherd.CompletedPart{{Number: 1, ETag: part.ETag}}, nil)
		require.NoError(t, err)
		put(t, s, "bucket", key, "replaces it")
	}
	requireNothingWrong(t, s)
	require.NoError(t, s.Close())

	removed := removeAll(t, drives[2])
	require.NotZero(t, removed.Files)
	s, err = sherd.Open(t.Context(), drives, o)
	require.NoError(t, err)
	defer s.Close()
	requireNothingWrong(t, s)
}

// removeAll has one drive remove everything that is shadowed, and nothing else.
func removeAll(t *testing.T, path string) layout.Removed {
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
	removed, err := d.Remove(t.Context(), promise, layout.Removal{Upto: h.Stable.Position, Entries: 256})
	require.NoError(t, err)
	require.False(t, removed.More)
	require.NoError(t, d.Close())
	require.NoError(t, place.Release())
	return removed
}
