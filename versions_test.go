// Goal: a key in a store goes through the same states as the key of package
// versioning that carries out the same plans, in every status of the bucket,
// for bytes in every kind of place. Method: random sequences of operations on
// both; after each the versions listed, the reads of each and of none, agree.
package sherd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

// modelKey is what a key should hold: its versions, and the id and content of each.
type modelKey struct {
	key      versioning.Key
	next     uint64
	ids      map[uint64]string
	contents map[uint64]string
}

func (m *modelKey) apply(t *testing.T, plan versioning.Plan, id, content string) {
	t.Helper()
	if plan.Nothing() {
		return
	}
	m.next++
	after, err := m.key.Apply(plan, m.next)
	require.NoError(t, err)
	m.key = after
	if plan.Create {
		if plan.Null {
			id = sherd.NullVersionID
		}
		m.ids[m.next], m.contents[m.next] = id, content
	}
}

func TestVersionsFollowTheModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newStore(t, nil)
			newBucket(t, s, "bucket", versioning.Unversioned)
			put(t, s, "bucket", "key\x00", "a neighbour")
			put(t, s, "bucket", "ke", "a neighbour")
			m := &modelKey{ids: map[uint64]string{}, contents: map[uint64]string{}}
			random := rand.New(rand.NewPCG(seed, 7))
			status := versioning.Unversioned
			for step := range 60 {
				status = randomStep(t, s, m, random, status, step)
				compare(t, s, m, status)
			}
		})
	}
}

func randomStep(t *testing.T, s *sherd.Store, m *modelKey, random *rand.Rand, status versioning.Status, step int) versioning.Status {
	t.Helper()
	switch random.IntN(10) {
	case 0:
		if step < 6 {
			return status // some time without versioning
		}
		status = versioning.Status(1 + random.IntN(2))
		require.NoError(t, s.SetVersioning(t.Context(), "bucket", status))
	case 1, 2, 3, 4:
		plan, err := versioning.Put(status, m.key.Null())
		require.NoError(t, err)
		content := fmt.Sprintf("%d %s", step, pattern([]int{0, 10, 300_000}[random.IntN(3)]))
		info := writeSomehow(t, s, content, random)
		m.apply(t, plan, info.VersionID, content)
	case 5, 6:
		plan, err := versioning.Delete(status, m.key.Null())
		require.NoError(t, err)
		result, err := s.Delete(t.Context(), "bucket", "key", nil)
		require.NoError(t, err)
		require.Equal(t, plan.Marker, result.Marker)
		require.Equal(t, !plan.Remove.Absent(), result.Found)
		m.apply(t, plan, result.VersionID, "")
	case 7, 8:
		if len(m.key) == 0 {
			return status
		}
		target := m.key[random.IntN(len(m.key))]
		plan, err := versioning.DeleteVersion(target)
		require.NoError(t, err)
		result, err := s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: m.ids[target.Position]})
		require.NoError(t, err)
		require.Equal(t, sherd.DeleteResult{VersionID: m.ids[target.Position], Marker: target.Marker, Found: true}, result)
		m.apply(t, plan, "", "")
	default:
		if len(m.key) == 0 || m.key[0].Marker {
			return status
		}
		require.NoError(t, s.SetTags(t.Context(), "bucket", "key", "", map[string]string{"step": fmt.Sprint(step)}))
		info, err := s.Stat(t.Context(), "bucket", "key", nil)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(step), info.Tags["step"])
	}
	return status
}

// writeSomehow makes a version by one of the ways that there are.
func writeSomehow(t *testing.T, s *sherd.Store, content string, random *rand.Rand) sherd.ObjectInfo {
	t.Helper()
	switch random.IntN(3) {
	case 0:
		return completeOf(t, s, "bucket", "key", []byte(content), 1, len(content)/2, len(content)-len(content)/2)
	case 1:
		put(t, s, "bucket", "source", content)
		info, err := s.Copy(t.Context(), sherd.Source{Bucket: "bucket", Key: "source"}, "bucket", "key", nil)
		require.NoError(t, err)
		_, err = s.Delete(t.Context(), "bucket", "source", nil)
		require.NoError(t, err)
		return info
	}
	return put(t, s, "bucket", "key", content)
}

func compare(t *testing.T, s *sherd.Store, m *modelKey, status versioning.Status) {
	t.Helper()
	text := func(position uint64) string {
		if id := m.ids[position]; id != sherd.NullVersionID || status != versioning.Unversioned {
			return id
		}
		return ""
	}
	i := 0
	for info, err := range s.ListVersions(t.Context(), "bucket", &sherd.ListVersionsOptions{Prefix: "key"}) {
		require.NoError(t, err)
		if info.Key != "key" {
			continue
		}
		require.Less(t, i, len(m.key))
		ref := m.key[i]
		require.Equal(t, text(ref.Position), info.VersionID)
		require.Equal(t, ref.Marker, info.DeleteMarker)
		require.Equal(t, i == 0, info.Latest)
		require.EqualValues(t, len(m.contents[ref.Position]), info.Size)
		i++
	}
	require.Len(t, m.key, i)
	for _, ref := range m.key {
		read(t, s, versioning.FindVersion(ref), m.ids[ref.Position], m.contents[ref.Position])
	}
	read(t, s, versioning.Find(m.key.Latest()), "", m.contents[m.key.Latest().Position])
	if m.key.Null().Absent() {
		read(t, s, versioning.NoVersion, sherd.NullVersionID, "")
	}
}

func read(t *testing.T, s *sherd.Store, outcome versioning.Outcome, versionID, content string) {
	t.Helper()
	if outcome == versioning.Found {
		require.Equal(t, content, get(t, s, "bucket", "key", &sherd.GetOptions{VersionID: versionID}))
		return
	}
	_, err := s.Get(t.Context(), "bucket", "key", &sherd.GetOptions{VersionID: versionID})
	switch outcome {
	case versioning.NoKey:
		require.ErrorIs(t, err, sherd.ErrNoSuchKey)
	case versioning.NoVersion:
		require.ErrorIs(t, err, sherd.ErrNoSuchVersion)
	case versioning.LatestMarker:
		require.ErrorIs(t, err, sherd.ErrNoSuchKey)
		require.True(t, infoOf(t, err).DeleteMarker)
	case versioning.NamedMarker:
		require.ErrorIs(t, err, sherd.ErrDeleteMarker)
		require.Equal(t, versionID, infoOf(t, err).VersionID)
	default:
		require.Fail(t, "no such outcome", outcome)
	}
}

func TestVersionIDsThatNameNothing(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Enabled)
	info := put(t, s, "bucket", "key", "content")
	otherEpoch := "00" + info.VersionID[2:16] + info.VersionID[16:]
	if otherEpoch == info.VersionID {
		otherEpoch = "ff" + info.VersionID[2:]
	}
	for _, id := range []string{"null", "elsewhere", versioning.FormatID(1, 1), otherEpoch} {
		_, err := s.Stat(t.Context(), "bucket", "key", &sherd.GetOptions{VersionID: id})
		require.ErrorIs(t, err, sherd.ErrNoSuchVersion, id)
		result, err := s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: id})
		require.NoError(t, err)
		require.Equal(t, sherd.DeleteResult{VersionID: id}, result, "as on S3, nothing happens")
	}
	long := make([]byte, versioning.MaxIDBytes+1)
	_, err := s.Stat(t.Context(), "bucket", "key", &sherd.GetOptions{VersionID: string(long)})
	require.ErrorIs(t, err, sherd.ErrInvalidArgument)
	require.True(t, errors.Is(err, versioning.ErrID))
	require.Equal(t, "content", get(t, s, "bucket", "key", nil))
}

func TestConditionsOfDeletes(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Enabled)
	info := put(t, s, "bucket", "key", "content")
	later, size, other := info.Modified.Add(5e9), info.Size, info.Size+1
	for _, version := range []string{"", info.VersionID} {
		for name, c := range map[string]sherd.DeleteConditions{
			"etag": {IfMatch: "other"}, "modified": {IfMatchModified: &later}, "size": {IfMatchSize: &other},
		} {
			_, err := s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{VersionID: version, Conditions: c})
			require.ErrorIs(t, err, sherd.ErrPrecondition, name)
		}
	}
	all := sherd.DeleteConditions{IfMatch: info.ETag, IfMatchModified: &info.Modified, IfMatchSize: &size}
	_, err := s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{Conditions: all})
	require.NoError(t, err)
	_, err = s.Delete(t.Context(), "bucket", "key", &sherd.DeleteOptions{Conditions: all})
	require.ErrorIs(t, err, sherd.ErrNoSuchKey)
}

func TestDeleteMany(t *testing.T) {
	s := newStore(t, nil)
	newBucket(t, s, "bucket", versioning.Unversioned)
	var targets []sherd.DeleteTarget
	for i := range 200 {
		key := fmt.Sprintf("key %d", i)
		if i%2 == 0 {
			put(t, s, "bucket", key, "x")
		}
		targets = append(targets, sherd.DeleteTarget{Key: key})
	}
	targets = append(targets, sherd.DeleteTarget{}, sherd.DeleteTarget{Key: "key 0"})
	outcomes := s.DeleteMany(t.Context(), "bucket", targets)
	require.Len(t, outcomes, 202)
	for i := range 200 {
		require.NoError(t, outcomes[i].Err)
		require.Equal(t, i%2 == 0, outcomes[i].Found)
	}
	require.ErrorIs(t, outcomes[200].Err, sherd.ErrInvalidArgument)
	require.False(t, outcomes[201].Found, "it went with the first that named it")
	require.Empty(t, keys(t, s, "bucket", nil))
}
