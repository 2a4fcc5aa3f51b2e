// Goal: a listing is what sorting and cutting the keys by hand gives, at every
// page size, and pages go on where they ended. Method: random keys, prefixes and
// delimiters against a model; a fuzz target for more of them.
package sherd_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

// listed is what a listing should be: sorted keys, common prefixes with a star.
func listed(all []string, o sherd.ListOptions) (out []string) {
	sorted := slices.Compact(slices.Sorted(slices.Values(all)))
	for _, key := range sorted {
		if !strings.HasPrefix(key, o.Prefix) {
			continue
		}
		common := ""
		if i := strings.Index(key[len(o.Prefix):], o.Delimiter); o.Delimiter != "" && i >= 0 {
			common = key[:len(o.Prefix)+i+len(o.Delimiter)]
		}
		switch {
		case key <= o.StartAfter || common != "" && common == o.StartAfter:
		case common == "":
			out = append(out, key)
		case len(out) == 0 || out[len(out)-1] != common+"*":
			out = append(out, common+"*")
		}
	}
	return out
}

// paged is a listing in pages of a size, each gone on with from the last.
func paged(t *testing.T, s *sherd.Store, o sherd.ListOptions, size int) (out []string) {
	t.Helper()
	for {
		n := 0
		for info, err := range s.List(t.Context(), "bucket", &o) {
			require.NoError(t, err)
			o.StartAfter = info.Key
			if info.IsPrefix {
				out = append(out, info.Key+"*")
			} else {
				out = append(out, info.Key)
			}
			if n++; n == size {
				break
			}
		}
		if n < size {
			return out
		}
	}
}

func TestListingsAgainstTheModel(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func(length int) string {
		var b strings.Builder
		for range random.IntN(length + 1) {
			b.WriteByte("ab/\x00\xff"[random.IntN(5)])
		}
		return b.String()
	}
	for round := range 8 {
		s := newStore(t, nil)
		status := versioning.Status(round % 3)
		newBucket(t, s, "bucket", status)
		var all []string
		for range 80 {
			key := "k" + word(6)
			put(t, s, "bucket", key, "1")
			if random.IntN(4) == 0 {
				_, err := s.Delete(t.Context(), "bucket", key, nil)
				require.NoError(t, err)
				all = slices.DeleteFunc(all, func(k string) bool { return k == key })
			} else {
				all = append(all, key)
			}
		}
		for range 60 {
			o := sherd.ListOptions{Delimiter: word(2)}
			if random.IntN(2) == 0 {
				o.Prefix = "k" + word(2)
			}
			if random.IntN(2) == 0 {
				o.StartAfter = "k" + word(3)
			}
			require.Equal(t, listed(all, o), keys(t, s, "bucket", &o), "%+q", o)
			require.Equal(t, listed(all, o), paged(t, s, o, 1+random.IntN(4)), "%+q", o)
		}
	}
}

func TestVersionListingGoesOn(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	put(t, s, "bucket", "b", "null")
	require.NoError(t, s.SetVersioning(t.Context(), "bucket", versioning.Enabled))
	for _, key := range []string{"a", "b", "b", "c/1", "c/2", "d"} {
		put(t, s, "bucket", key, "x")
	}
	_, err := s.Delete(t.Context(), "bucket", "d", nil)
	require.NoError(t, err)
	list := func(o sherd.ListVersionsOptions, limit int) (out []sherd.ObjectInfo) {
		for info, err := range s.ListVersions(t.Context(), "bucket", &o) {
			require.NoError(t, err)
			if out = append(out, info); len(out) == limit {
				break
			}
		}
		return out
	}
	for _, delimiter := range []string{"", "/"} {
		all := list(sherd.ListVersionsOptions{Delimiter: delimiter}, 0)
		require.Len(t, all, map[string]int{"": 8, "/": 7}[delimiter])
		latest := 0
		for _, info := range all {
			if info.Latest {
				latest++
			}
		}
		require.Equal(t, map[string]int{"": 5, "/": 3}[delimiter], latest)
		for size := 1; size < 4; size++ {
			var got []sherd.ObjectInfo
			o := sherd.ListVersionsOptions{Delimiter: delimiter}
			for {
				page := list(o, size)
				if got = append(got, page...); len(page) < size {
					break
				}
				o.KeyMarker, o.VersionMarker = page[size-1].Key, page[size-1].VersionID
			}
			require.Equal(t, all, got)
		}
	}
	require.Equal(t, "c/1", list(sherd.ListVersionsOptions{KeyMarker: "b"}, 1)[0].Key)
}

func TestDetailsOfListings(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	o := &sherd.PutOptions{Owner: "me", Checksum: &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.CRC32}}}
	put1, err := s.Put(t.Context(), "bucket", "key", nil, 0, o)
	require.NoError(t, err)
	for info, err := range s.List(t.Context(), "bucket", nil) {
		require.NoError(t, err)
		require.Empty(t, info.Owner)
		require.Equal(t, put1.ETag, info.ETag)
	}
	for info, err := range s.List(t.Context(), "bucket", &sherd.ListOptions{Details: true}) {
		require.NoError(t, err)
		require.Equal(t, put1, info)
	}
}

// A listing that takes long sees what came meanwhile behind where it is, and
// gives no key twice.
func TestALongListingGoesOnWithANewView(t *testing.T) {
	at := newClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s := newStore(t, &sherd.Options{Clock: at.Now})
	newBucket(t, s, "bucket", versioning.Unversioned)
	var want []string
	for i := range 200 {
		key := fmt.Sprintf("k%03d", i)
		put(t, s, "bucket", key, "x")
		want = append(want, key)
	}
	var got []string
	for info, err := range s.List(t.Context(), "bucket", nil) {
		require.NoError(t, err)
		if got = append(got, info.Key); len(got) == 10 {
			put(t, s, "bucket", "z", "x")
			_, err := s.Delete(t.Context(), "bucket", "k150", nil)
			require.NoError(t, err)
			at.Advance(time.Minute)
		}
	}
	want = append(slices.Delete(want, 150, 151), "z")
	require.Equal(t, want, got)
}

// Keys that are deleted are passed over, and time passes with them too.
func TestAListingOfDeletedKeysGoesOnWithANewView(t *testing.T) {
	at := newClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	meanwhile := func() {}
	s := newStore(t, &sherd.Options{ManualRun: true, Clock: func() time.Time { meanwhile(); return at.Now() }})
	newBucket(t, s, "bucket", versioning.Enabled)
	var targets []sherd.DeleteTarget
	for i := range 300 {
		targets = append(targets, sherd.DeleteTarget{Key: fmt.Sprintf("k%03d", i)})
	}
	for _, outcome := range s.DeleteMany(t.Context(), "bucket", targets) {
		require.NoError(t, outcome.Err)
	}
	asked := 0
	meanwhile = func() { // the first time is that of the beginning
		if asked++; asked == 2 {
			put(t, s, "bucket", "k999", "x")
			at.Advance(time.Minute)
		}
	}
	require.Equal(t, []string{"k999"}, keys(t, s, "bucket", nil))
}

func TestListingsThatFail(t *testing.T) {
	s := newStore(t, nil)
	for _, err := range s.List(t.Context(), "nowhere", nil) {
		require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
	}
	for _, err := range s.ListVersions(t.Context(), "nowhere", nil) {
		require.ErrorIs(t, err, sherd.ErrNoSuchBucket)
	}
	newBucket(t, s, "bucket", versioning.Unversioned)
	for _, err := range s.ListUploads(t.Context(), "bucket", &sherd.ListUploadsOptions{KeyMarker: "k", UploadMarker: "x"}) {
		require.ErrorIs(t, err, sherd.ErrInvalidArgument)
	}
}

func FuzzList(f *testing.F) {
	f.Add("a\na/b\na/c\nb", "a", "/", "a/")
	f.Add("\x00\n\xff\n\xff\xff", "", "\xff", "")
	s, err := sherd.NewMemory(1, nil)
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, s.Close()) })
	f.Fuzz(func(t *testing.T, text, prefix, delimiter, after string) {
		_, err := s.CreateBucket(t.Context(), "bucket", nil)
		require.NoError(t, err)
		var all []string
		for key := range strings.SplitSeq(text, "\n") {
			if len(key) > 0 && len(key) <= sherd.MaxKeyBytes && len(all) < 12 {
				put(t, s, "bucket", key, "")
				all = append(all, key)
			}
		}
		o := sherd.ListOptions{Prefix: prefix, Delimiter: delimiter, StartAfter: after}
		require.Equal(t, listed(all, o), keys(t, s, "bucket", &o))
		for _, key := range all {
			_, err := s.Delete(t.Context(), "bucket", key, nil)
			require.NoError(t, err)
		}
		require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
	})
}
