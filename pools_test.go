// Goal: a store of several sets and pools behaves as one of one set does.
// Method: the tests of behaviour of this package once more, on stores of other
// shapes; and what only several sets can do wrong: keys that are placed, copied
// and listed across them, buckets that all of them have to let go.
package sherd_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// storeShape is how many drives a store has, and how they are divided.
type storeShape struct {
	drives, setDrives int
	pools             [][]string
}

// several are shapes of stores, by the name of the test that runs on one.
func several() map[string]storeShape {
	return map[string]storeShape{
		"two_sets":                {4, 2, nil},
		"two_pools":               {2, 2, [][]string{{"/p0", "/p1"}}},
		"two_pools_with_two_sets": {4, 2, [][]string{{"/p0", "/p1", "/p2", "/p3"}}},
	}
}

func (s storeShape) options(o *sherd.Options) *sherd.Options {
	var out sherd.Options
	if o != nil {
		out = *o
	}
	out.SetDrives, out.Pools = s.setDrives, s.pools
	return &out
}

// behaviour is the tests of this package that hold for every store.
func behaviour() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"TestEncryptedSizes":                                 TestEncryptedSizes,
		"TestEncryptedRanges":                                TestEncryptedRanges,
		"TestEncryptionsThatAreRefused":                      TestEncryptionsThatAreRefused,
		"TestEncryptedCopies":                                TestEncryptedCopies,
		"TestDigestsOfEncryptedCopies":                       TestDigestsOfEncryptedCopies,
		"TestEncryptedObjectsThatChange":                     TestEncryptedObjectsThatChange,
		"TestBuckets":                                        TestBuckets,
		"TestListBuckets":                                    TestListBuckets,
		"TestABucketIsDeletedOnlyWhenItIsEmpty":              TestABucketIsDeletedOnlyWhenItIsEmpty,
		"TestDocuments":                                      TestDocuments,
		"TestAPutThatRacesADeletionOfTheBucket":              TestAPutThatRacesADeletionOfTheBucket,
		"TestOneOfManyMakesABucket":                          TestOneOfManyMakesABucket,
		"TestOneOfManyConditionalWritesWins":                 TestOneOfManyConditionalWritesWins,
		"TestVersioningStatus":                               TestVersioningStatus,
		"TestACopyOutlivesItsSource":                         TestACopyOutlivesItsSource,
		"TestDescriptionOfCopies":                            TestDescriptionOfCopies,
		"TestAnMD5ThatTheSourceLacks":                        TestAnMD5ThatTheSourceLacks,
		"TestConditionsOfCopies":                             TestConditionsOfCopies,
		"TestCopiesInBothDirectionsDoNotWaitForEachOther":    TestCopiesInBothDirectionsDoNotWaitForEachOther,
		"TestAnObjectAsTheBodyOfAnother":                     TestAnObjectAsTheBodyOfAnother,
		"TestRanges":                                         TestRanges,
		"TestReaders":                                        TestReaders,
		"TestReadConditions":                                 TestReadConditions,
		"TestAnObjectStaysReadableWhenItIsReplacedOrDeleted": TestAnObjectStaysReadableWhenItIsReplacedOrDeleted,
		"TestListingsAgainstTheModel":                        TestListingsAgainstTheModel,
		"TestVersionListingGoesOn":                           TestVersionListingGoesOn,
		"TestDetailsOfListings":                              TestDetailsOfListings,
		"TestALongListingGoesOnWithANewView":                 TestALongListingGoesOnWithANewView,
		"TestListingsThatFail":                               TestListingsThatFail,
		"TestALockedVersionIsNotDestroyed":                   TestALockedVersionIsNotDestroyed,
		"TestBypassOfGovernance":                             TestBypassOfGovernance,
		"TestALockedNullVersionIsNotReplaced":                TestALockedNullVersionIsNotReplaced,
		"TestDefaultRetention":                               TestDefaultRetention,
		"TestLocksNeedABucketWithObjectLock":                 TestLocksNeedABucketWithObjectLock,
		"TestTheLockOfAnUpload":                              TestTheLockOfAnUpload,
		"TestMultipart":                                      TestMultipart,
		"TestMorePartsThanARecordHolds":                      TestMorePartsThanARecordHolds,
		"TestAbort":                                          TestAbort,
		"TestCompletionsThatAreRefused":                      TestCompletionsThatAreRefused,
		"TestPartsAtTheSameTime":                             TestPartsAtTheSameTime,
		"TestAbandonedUploadsExpire":                         TestAbandonedUploadsExpire,
		"TestUploadListing":                                  TestUploadListing,
		"TestDescription":                                    TestDescription,
		"TestETagsOfTwoWritesDiffer":                         TestETagsOfTwoWritesDiffer,
		"TestABodyThatIsNotAsAnnouncedStoresNothing":         TestABodyThatIsNotAsAnnouncedStoresNothing,
		"TestChecksumsAreComputedAndKept":                    TestChecksumsAreComputedAndKept,
		"TestWhatIsRefused":                                  TestWhatIsRefused,
		"TestKeysAreDataAndNeverPaths":                       TestKeysAreDataAndNeverPaths,
		"TestErrorsSayWhatWasAsked":                          TestErrorsSayWhatWasAsked,
		"TestRequestsWaitForMemoryWithTheirContext":          TestRequestsWaitForMemoryWithTheirContext,
		"TestManualRun":                                      TestManualRun,
		"TestFS":                                             TestFS,
		"TestVersionsFollowTheModel":                         TestVersionsFollowTheModel,
		"TestVersionIDsThatNameNothing":                      TestVersionIDsThatNameNothing,
		"TestConditionsOfDeletes":                            TestConditionsOfDeletes,
		"TestDeleteMany":                                     TestDeleteMany,
		"TestAppendOntoEveryKindOfPlace":                     TestAppendOntoEveryKindOfPlace,
		"TestWhatAnAppendNeeds":                              TestWhatAnAppendNeeds,
		"TestChecksumsOfAppends":                             TestChecksumsOfAppends,
		"TestReadersOfAnObjectThatGrows":                     TestReadersOfAnObjectThatGrows,
		"TestAppendsAtOnce":                                  TestAppendsAtOnce,
		"TestRandomAppends":                                  TestRandomAppends,
		"TestAccessDocuments":                                TestAccessDocuments,
	}
}

func TestBehaviourOverSeveralSets(t *testing.T) {
	for shape := range several() {
		t.Run(shape+"/", func(t *testing.T) {
			for name, test := range behaviour() {
				t.Run(name, test)
			}
		})
	}
}

func TestOptionsOfPools(t *testing.T) {
	for drives, shape := range map[int][2]int{1: {1, 1}, 16: {1, 16}, 18: {2, 9}, 20: {2, 10}, 32: {2, 16}, 33: {3, 11}} {
		s, err := sherd.NewMemory(drives, nil)
		require.NoError(t, err)
		h := s.Health()
		require.Len(t, h.Sets, shape[0])
		require.Len(t, h.Drives, drives)
		for i, set := range h.Sets {
			require.Equal(t, [2]int{0, i}, [2]int{set.Pool, set.Set})
			require.Len(t, set.Drives, shape[1])
			require.Equal(t, sherd.Serving, set.Mode)
		}
		newBucket(t, s, "bucket", versioning.Unversioned)
		for i := range 20 {
			put(t, s, "bucket", fmt.Sprint(i), "x")
		}
		require.Len(t, keys(t, s, "bucket", nil), 20)
		require.NoError(t, s.Close())
	}
	for _, drives := range []int{17, 19, 1021, 1025} {
		_, err := sherd.NewMemory(drives, nil)
		require.ErrorIs(t, err, sherd.ErrInvalidArgument)
	}
	_, err := sherd.NewMemory(17, nil)
	require.ErrorContains(t, err, "16 or 18")
	_, err = sherd.NewMemory(4, &sherd.Options{SetDrives: 3})
	require.ErrorIs(t, err, sherd.ErrInvalidArgument)
	two := 2
	_, err = sherd.NewMemory(4, &sherd.Options{SetDrives: 2, Parity: &two})
	require.ErrorIs(t, err, sherd.ErrInvalidArgument)
}

// spread puts keys until every one of so many sets has at least five.
func spread(t *testing.T, s *sherd.Store, bucket string, sets int) map[string][2]int {
	t.Helper()
	out, count := map[string][2]int{}, map[[2]int]int{}
	least := func() int {
		if len(count) < sets {
			return 0
		}
		return slices.Min(slices.Collect(maps.Values(count)))
	}
	for i := 0; least() < 5; i++ {
		require.Less(t, i, 2000, "keys go to all sets: %v", count)
		key := fmt.Sprintf("key %04d", i)
		put(t, s, bucket, key, "content of "+key)
		out[key] = setOf(t, s, bucket, key)
		count[out[key]]++
	}
	return out
}

func setOf(t *testing.T, s *sherd.Store, bucket, key string) [2]int {
	t.Helper()
	at, found, err := sherd.SetOf(t.Context(), s, bucket, key)
	require.NoError(t, err)
	require.True(t, found)
	return at
}

func TestAKeyStaysInItsPool(t *testing.T) {
	for name, shape := range several() {
		s := newStoreOf(t, shape.drives, shape.options(nil))
		newBucket(t, s, "bucket", versioning.Enabled)
		where := spread(t, s, "bucket", len(s.Health().Sets))
		for key, at := range where {
			put(t, s, "bucket", key, "another")
			_, err := s.Delete(t.Context(), "bucket", key, nil)
			require.NoError(t, err)
			u, err := s.CreateUpload(t.Context(), "bucket", key, nil)
			require.NoError(t, err)
			require.Equal(t, at, setOf(t, s, "bucket", key), name)
			for v, err := range s.ListVersions(t.Context(), "bucket", &sherd.ListVersionsOptions{Prefix: key}) {
				require.NoError(t, err)
				_, err = s.Delete(t.Context(), "bucket", key, &sherd.DeleteOptions{VersionID: v.VersionID})
				require.NoError(t, err)
			}
			require.Equal(t, at, setOf(t, s, "bucket", key), "an upload is left of it")
			require.NoError(t, s.AbortUpload(t.Context(), "bucket", key, u.ID))
		}
		require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
	}
}

func TestCopiesBetweenSets(t *testing.T) {
	for name, shape := range several() {
		s := newStoreOf(t, shape.drives, shape.options(nil))
		newBucket(t, s, "bucket", versioning.Unversioned)
		newBucket(t, s, "other", versioning.Enabled)
		var to []string // a key in each set
		for key, at := range spread(t, s, "other", len(s.Health().Sets)) {
			if !slices.ContainsFunc(to, func(have string) bool { return setOf(t, s, "other", have) == at }) {
				to = append(to, key)
			}
		}
		want := shapes(t, s, "bucket")
		for source, content := range want {
			before, err := s.Stat(t.Context(), "bucket", source, nil)
			require.NoError(t, err)
			for _, key := range to {
				copied, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: source}, "other", key, nil)
				require.NoError(t, err, name)
				require.Equal(t, before.ETag, copied.ETag)
				require.Equal(t, before.Size, copied.Size)
				require.Equal(t, string(content), get(t, s, "other", key, nil))
				sum := sha256.Sum256(content)
				asked := &sherd.CopyOptions{PutOptions: sherd.PutOptions{MD5: true, Checksum: &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.SHA256}}}}
				copied, err = s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: source}, "other", key, asked)
				require.NoError(t, err)
				require.Equal(t, []sherd.Checksum{{Algorithm: sherd.SHA256, Type: sherd.FullObject, Value: sum[:]}}, copied.Checksums)
				require.Equal(t, string(content), get(t, s, "other", key, nil))
			}
			_, err = s.Delete(t.Context(), "bucket", source, nil)
			require.NoError(t, err)
			_, err = s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: source}, "other", to[0], nil)
			require.ErrorIs(t, err, sherd.ErrNoSuchKey)
		}
		settle(t, s)
		require.NotZero(t, len(want))
		for v, err := range s.ListVersions(t.Context(), "other", nil) {
			require.NoError(t, err)
			get(t, s, "other", v.Key, &sherd.GetOptions{VersionID: v.VersionID})
		}
		requireNothingWrong(t, s)
	}
}

// gatedBody is a body that says when it is read first, and goes on when it may.
type gatedBody struct {
	io.Reader
	read, open chan struct{}
	once       sync.Once
}

func newGatedBody(content []byte) *gatedBody {
	return &gatedBody{Reader: bytes.NewReader(content), read: make(chan struct{}), open: make(chan struct{})}
}

func (g *gatedBody) Read(p []byte) (int, error) {
	g.once.Do(func() { close(g.read); <-g.open })
	return g.Reader.Read(p)
}

// A put that began while the store had one pool is committed when its key is in
// another one. Mutant that this kills: committing where the bytes were staged.
func TestAPutWhoseKeyWasPlacedElsewhereMeanwhile(t *testing.T) {
	for _, size := range []int{0, 100, 500_000} {
		r := newRack(6)
		s, err := sherd.OpenOn(t.Context(), r.drives[:2], nil)
		require.NoError(t, err)
		defer s.Close()
		newBucket(t, s, "bucket", versioning.Enabled)
		content := sized(1, size)
		body := newGatedBody(content)
		done := make(chan error)
		go func() {
			_, err := s.Put(t.Context(), "bucket", "key", body, -1, nil)
			done <- err
		}()
		<-body.read
		require.NoError(t, sherd.AddPoolOn(t.Context(), s, r.drives[2:], 2, &sherd.PoolOptions{}))
		for i := 0; ; i++ { // until there is more room in the new pool
			if put(t, s, "bucket", "key", "first"); setOf(t, s, "bucket", "key") == [2]int{1, 0} {
				break
			}
			require.Less(t, i, 100)
			v, err := s.Stat(t.Context(), "bucket", "key", nil)
			require.NoError(t, err)
			_, err = s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: v.VersionID})
			require.NoError(t, err)
			put(t, s, "bucket", fmt.Sprint(i), string(sized(2, 200_000)))
		}
		close(body.open)
		require.NoError(t, <-done)
		require.Equal(t, [2]int{1, 0}, setOf(t, s, "bucket", "key"))
		require.Equal(t, string(content), get(t, s, "bucket", "key", nil))
		n := 0
		for v, err := range s.ListVersions(t.Context(), "bucket", &sherd.ListVersionsOptions{Prefix: "key"}) {
			require.NoError(t, err)
			require.Equal(t, n == 0, v.Latest)
			n++
		}
		require.Equal(t, 2, n, "both versions are in one pool")
		requireNothingWrong(t, s)
	}
}

// Clients write, overwrite and delete while a pool is added; nothing is lost, and
// every key is listed once.
func TestAPoolIsAddedWhileClientsWrite(t *testing.T) {
	r := newRack(8)
	s, err := sherd.OpenOn(t.Context(), r.drives[:2], nil)
	require.NoError(t, err)
	defer s.Close()
	newBucket(t, s, "bucket", versioning.Unversioned)
	const clients, keysEach = 8, 20
	var wg sync.WaitGroup
	stop := make(chan struct{})
	last := make([][keysEach]string, clients)
	for c := range clients {
		wg.Go(func() {
			for round := 0; ; round++ {
				for k := range keysEach {
					select {
					case <-stop:
						if round > 0 {
							return
						}
					default:
					}
					key, content := fmt.Sprintf("%d/%02d", c, k), fmt.Sprintf("%d %d %d", c, k, round)
					if (round+k)%5 == 4 {
						_, err := s.Delete(t.Context(), "bucket", key, nil)
						if !assert.NoError(t, err) {
							return
						}
						content = ""
					} else if _, err := s.Put(t.Context(), "bucket", key, strings.NewReader(content), int64(len(content)), nil); !assert.NoError(t, err) {
						return
					}
					last[c][k] = content
				}
			}
		})
	}
	require.NoError(t, sherd.AddPoolOn(t.Context(), s, r.drives[2:4], 2, &sherd.PoolOptions{}))
	require.NoError(t, sherd.AddPoolOn(t.Context(), s, r.drives[4:], 4, &sherd.PoolOptions{SetDrives: 2}))
	close(stop)
	wg.Wait()
	require.Len(t, s.Health().Sets, 4)
	spread(t, s, "bucket", 4)
	var want []string
	for c := range last {
		for k, content := range last[c] {
			if content != "" {
				want = append(want, fmt.Sprintf("%d/%02d", c, k))
				require.Equal(t, content, get(t, s, "bucket", want[len(want)-1], nil))
			}
		}
	}
	var listed []string
	for _, key := range keys(t, s, "bucket", nil) {
		if !strings.HasPrefix(key, "key ") {
			listed = append(listed, key)
		}
	}
	slices.Sort(want)
	require.Equal(t, want, listed)
	require.NoError(t, s.Close())

	_, err = sherd.OpenOn(t.Context(), r.drives[:2], nil)
	require.ErrorIs(t, err, sherd.ErrTooFewDrives)
	require.ErrorContains(t, err, "pool 1")
	_, err = sherd.OpenPoolsOn(t.Context(), r.drives, [][]int{{0, 1}, {4, 5, 6, 7}}, nil)
	require.ErrorIs(t, err, sherd.ErrTooFewDrives)
	require.ErrorContains(t, err, "pool 1")
	_, err = sherd.OpenPoolsOn(t.Context(), r.drives, [][]int{{0, 1}, {2, 3}, {4, 5}}, nil)
	require.ErrorIs(t, err, sherd.ErrTooFewDrives)
	require.ErrorContains(t, err, "set 1 of pool 2")
	_, err = sherd.OpenPoolsOn(t.Context(), r.drives, [][]int{{2, 3}, {4, 5, 6, 7}}, nil)
	require.ErrorIs(t, err, sherd.ErrTooFewDrives)
	require.ErrorContains(t, err, "pool 0")
	_, err = sherd.OpenPoolsOn(t.Context(), r.drives, [][]int{{0, 1}, {2, 3}, {4, 5}, {6, 7}}, nil)
	require.ErrorIs(t, err, sherd.ErrMixedDrives)
	_, err = sherd.OpenPoolsOn(t.Context(), r.drives, [][]int{{0, 2}, {1, 3}, {4, 5, 6, 7}}, nil)
	require.ErrorIs(t, err, sherd.ErrMixedDrives)
	s, err = sherd.OpenPoolsOn(t.Context(), r.drives, [][]int{{7, 5, 4, 6}, {2, 3}, {1, 0}}, nil)
	require.NoError(t, err)
	defer s.Close()
	require.False(t, s.Created())
	require.Equal(t, want, slices.DeleteFunc(keys(t, s, "bucket", nil), func(key string) bool { return strings.HasPrefix(key, "key ") }))
	requireNothingWrong(t, s)
}

// What a pool that is away may have is unavailable, never absent; the rest goes
// on, and all of it is there again when the pool is.
func TestAPoolThatIsAway(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	o := &sherd.Options{Pools: [][]string{{path("c"), path("d")}}}
	drives := []string{path("a"), path("b")}
	s, err := sherd.Open(t.Context(), drives, o)
	require.NoError(t, err)
	require.True(t, s.Created())
	newBucket(t, s, "bucket", versioning.Unversioned)
	where := spread(t, s, "bucket", 2)
	require.NoError(t, s.Close())
	for _, drive := range []string{"c", "d"} {
		require.NoError(t, os.Rename(path(drive), path(drive+" away")))
	}
	s, err = sherd.Open(t.Context(), drives, o)
	require.NoError(t, err, "the first set is there")
	defer s.Close()
	require.False(t, s.Created())
	require.NoDirExists(t, path("c"))
	h := s.Health()
	require.Equal(t, sherd.ReadOnly, h.Mode)
	require.Equal(t, []sherd.Mode{sherd.Serving, sherd.Closed}, []sherd.Mode{h.Sets[0].Mode, h.Sets[1].Mode})
	require.NotEmpty(t, h.Sets[1].Reason)
	require.Len(t, h.Drives, 4)
	for key, at := range where {
		_, err := s.Stat(t.Context(), "bucket", key, nil)
		if at[0] == 0 {
			require.NoError(t, err)
			put(t, s, "bucket", key, "content of "+key)
			continue
		}
		require.ErrorIs(t, err, sherd.ErrUnavailable)
		_, err = s.Put(t.Context(), "bucket", key, nil, 0, nil)
		require.ErrorIs(t, err, sherd.ErrUnavailable)
		_, err = s.Delete(t.Context(), "bucket", key, nil)
		require.ErrorIs(t, err, sherd.ErrUnavailable)
	}
	_, err = s.Put(t.Context(), "bucket", "new", nil, 0, nil)
	require.ErrorIs(t, err, sherd.ErrUnavailable, "it may be there")
	for _, err := range s.List(t.Context(), "bucket", nil) {
		require.ErrorIs(t, err, sherd.ErrUnavailable)
	}
	require.ErrorIs(t, s.DeleteBucket(t.Context(), "bucket"), sherd.ErrUnavailable)
	_, err = s.StatBucket(t.Context(), "bucket")
	require.NoError(t, err)
	newBucket(t, s, "another", versioning.Unversioned)
	require.NoError(t, s.SetVersioning(t.Context(), "bucket", versioning.Enabled), "the first set decides")
	for _, drive := range []string{"c", "d"} {
		require.NoError(t, os.Rename(path(drive+" away"), path(drive)))
	}
	require.Eventually(t, func() bool { return s.Health().Mode == sherd.Serving }, time.Minute, 20*time.Millisecond)
	for key := range where {
		require.Equal(t, "content of "+key, get(t, s, "bucket", key, nil))
		put(t, s, "bucket", key, "another version")
		_, err := s.Stat(t.Context(), "bucket", key, &sherd.GetOptions{VersionID: "null"})
		require.NoError(t, err, "it was kept, as the bucket has versioning now")
	}
	require.Len(t, keys(t, s, "bucket", nil), len(where))
	_, same, err := sherd.CopiesOf(t.Context(), s, "bucket")
	require.NoError(t, err)
	require.Equal(t, []bool{true}, same)
}

// Every set that was written to has a copy of the bucket's record; it is changed
// with the bucket and goes with it.
func TestCopiesOfBuckets(t *testing.T) {
	for name, shape := range several() {
		s := newStoreOf(t, shape.drives, shape.options(nil))
		sets := len(s.Health().Sets)
		_, err := s.CreateBucket(t.Context(), "bucket", &sherd.BucketOptions{ObjectLock: true})
		require.NoError(t, err)
		there, _, err := sherd.CopiesOf(t.Context(), s, "bucket")
		require.NoError(t, err)
		require.NotContains(t, there, true, "nobody has written yet")
		where := spread(t, s, "bucket", sets)
		require.NoError(t, s.SetObjectLock(t.Context(), "bucket", lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Governance, Days: 1}}))
		there, same, err := sherd.CopiesOf(t.Context(), s, "bucket")
		require.NoError(t, err)
		require.NotContains(t, there, false, name)
		require.NotContains(t, same, false, name)
		for key := range where {
			info := put(t, s, "bucket", key, "locked")
			_, err := s.Delete(t.Context(), "bucket", key, &sherd.DeleteOptions{VersionID: info.VersionID})
			require.ErrorIs(t, err, sherd.ErrLocked)
		}
		require.ErrorIs(t, s.DeleteBucket(t.Context(), "bucket"), sherd.ErrBucketNotEmpty)
		for v, err := range s.ListVersions(t.Context(), "bucket", nil) {
			require.NoError(t, err)
			_, err = s.Delete(t.Context(), "bucket", v.Key, &sherd.DeleteOptions{VersionID: v.VersionID, Bypass: true})
			require.NoError(t, err)
		}
		require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
		left, err := sherd.Orphans(t.Context(), s)
		require.NoError(t, err)
		require.Zero(t, left)
	}
}

// A bucket is not deleted while a set can not write: it may have something on its
// way. Mutants that this kills: sets that are not asked to close the bucket; a
// bucket that stays closed when one of them refused.
func TestABucketIsNotDeletedWhileASetIsReadOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRack(4)
		r.opt = &sherd.Options{SetDrives: 2}
		s, err := r.open(t)
		require.NoError(t, err)
		newBucket(t, s, "bucket", versioning.Unversioned)
		r.faults[3].SetGone(true)
		eventually(t, s, "the second set is read-only", func() bool { return s.Health().Sets[1].Mode == sherd.ReadOnly })
		require.Equal(t, sherd.Serving, s.Health().Sets[0].Mode)
		require.Equal(t, sherd.ReadOnly, s.Health().Mode)
		require.ErrorIs(t, s.DeleteBucket(t.Context(), "bucket"), sherd.ErrReadOnly)
		closed, err := sherd.IsClosed(t.Context(), s, "bucket")
		require.NoError(t, err)
		require.False(t, closed)
		home := homes(t, s, "bucket", 2)
		written := 0
		for _, key := range home {
			_, err := s.Put(t.Context(), "bucket", key, nil, 0, nil)
			if setOf(t, s, "bucket", key) == [2]int{0, 0} {
				require.NoError(t, err, "the first set goes on")
				_, err = s.Delete(t.Context(), "bucket", key, nil)
				require.NoError(t, err)
				written++
			} else {
				require.ErrorIs(t, err, sherd.ErrReadOnly)
			}
		}
		require.Equal(t, 1, written)
		r.faults[3].SetGone(false)
		eventually(t, s, "the second set serves", func() bool { return s.Health().Mode == sherd.Serving })
		require.NoError(t, s.DeleteBucket(t.Context(), "bucket"))
		r.shut(t, s, "")
	})
}

// The sets of a pool stay as many as they are: keys would be looked for elsewhere.
func TestDrivesAreNotAddedToAPool(t *testing.T) {
	r := newRack(4)
	s, err := sherd.OpenOn(t.Context(), r.drives[:2], nil)
	require.NoError(t, err)
	newBucket(t, s, "bucket", versioning.Unversioned)
	require.NoError(t, s.Close())
	o := &sherd.Options{SetDrives: 2}
	_, err = sherd.OpenOn(t.Context(), r.drives, o)
	require.ErrorIs(t, err, sherd.ErrMixedDrives)
	require.ErrorContains(t, err, "further pool")
	names, err := r.drives[2].List("/")
	require.NoError(t, err)
	require.Empty(t, names, "nothing was changed")
	s, err = sherd.OpenPoolsOn(t.Context(), r.drives, [][]int{{0, 1}, {2, 3}}, o)
	require.NoError(t, err)
	defer s.Close()
	require.Len(t, s.Health().Sets, 2)
	spread(t, s, "bucket", 2)
}

func TestSeveralSetsForReadingOnly(t *testing.T) {
	r := newRack(4)
	o := &sherd.Options{SetDrives: 2}
	s, err := sherd.OpenOn(t.Context(), r.drives, o)
	require.NoError(t, err)
	newBucket(t, s, "bucket", versioning.Unversioned)
	where := spread(t, s, "bucket", 2)
	require.NoError(t, s.Close())
	s, err = sherd.OpenReadOnlyOn(t.Context(), r.drives, o)
	require.NoError(t, err)
	defer s.Close()
	require.Len(t, keys(t, s, "bucket", nil), len(where))
	for key := range where {
		require.Equal(t, "content of "+key, get(t, s, "bucket", key, nil))
		_, err := s.Put(t.Context(), "bucket", key, nil, 0, nil)
		require.ErrorIs(t, err, sherd.ErrReadOnly)
		_, err = s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: key}, "bucket", "copy", nil)
		require.ErrorIs(t, err, sherd.ErrReadOnly)
	}
	_, err = s.CreateBucket(t.Context(), "another", nil)
	require.ErrorIs(t, err, sherd.ErrReadOnly)
	require.ErrorIs(t, s.AddPool(t.Context(), []string{"/new"}, nil), sherd.ErrReadOnly)
	require.Equal(t, sherd.ReadOnly, s.Health().Mode)
}
