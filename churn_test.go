// Goal: objects that share bytes, by copies, appends and renames, keep them while
// drives go, return and are replaced, and what is deleted takes nothing of the others
// with it. Method: random calls beside random losses of one drive in virtual time,
// compared with a map; in the end the store is healed, a check must find nothing, and
// with any two drives gone all is read. SHERD_SEED repeats a run.
package sherd_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/versioning"
)

// churn is a store under random calls, and what it must hold: by key and version id.
type churn struct {
	t        *testing.T
	r        *rand.Rand
	s        *sherd.Store
	want     map[[2]string][]byte
	latest   map[string]string // version id of the newest version that is no marker
	versions bool
	made     uint64
}

func (c *churn) key() string { return fmt.Sprint("k", c.r.IntN(6)) }

func (c *churn) bytes() []byte {
	c.made++
	return sized(c.made, []int{10, 3000, 90_000, 300_000}[c.r.IntN(4)])
}

// put notes what a call made.
func (c *churn) put(info sherd.ObjectInfo, err error, data []byte) {
	require.NoError(c.t, err)
	if !c.versions {
		delete(c.want, [2]string{info.Key, c.latest[info.Key]})
	}
	c.latest[info.Key] = info.VersionID
	c.want[[2]string{info.Key, info.VersionID}] = data
}

func (c *churn) forget(key string) {
	if !c.versions {
		delete(c.want, [2]string{key, c.latest[key]})
	}
	delete(c.latest, key)
}

func (c *churn) step() {
	ctx, key, other := c.t.Context(), c.key(), c.key()
	id, there := c.latest[key]
	data := c.want[[2]string{key, id}]
	switch n := c.r.IntN(10); {
	case n < 3 || !there:
		data = c.bytes()
		info, err := c.s.Put(ctx, bucketName, key, bytes.NewReader(data), int64(len(data)), nil)
		c.put(info, err, data)
	case n < 6:
		more := c.bytes()
		info, err := c.s.Append(ctx, bucketName, key, bytes.NewReader(more), int64(len(more)), int64(len(data)), nil)
		c.put(info, err, append(bytes.Clone(data), more...))
	case n == 6:
		info, err := c.s.Copy(ctx, sherd.Source{Bucket: bucketName, Key: key}, bucketName, other, nil)
		c.put(info, err, data)
	case n == 7 && key != other:
		info, err := c.s.Rename(ctx, bucketName, key, other, nil)
		c.put(info, err, data)
		c.forget(key)
	case n == 8 && c.versions:
		for at := range c.want {
			if at[0] == key && at[1] != id && c.r.IntN(2) == 0 {
				_, err := c.s.Delete(ctx, bucketName, key, &sherd.DeleteOptions{VersionID: at[1]})
				require.NoError(c.t, err)
				delete(c.want, at)
			}
		}
	default:
		_, err := c.s.Delete(ctx, bucketName, key, nil)
		require.NoError(c.t, err)
		c.forget(key)
	}
}

func (c *churn) check(when string) {
	for at, data := range c.want {
		o, err := c.s.Get(c.t.Context(), bucketName, at[0], &sherd.GetOptions{VersionID: at[1]})
		require.NoError(c.t, err, "%s: %v", when, at)
		got, err := io.ReadAll(o)
		require.NoError(c.t, err, "%s: %v", when, at)
		require.NoError(c.t, o.Close())
		require.True(c.t, bytes.Equal(data, got), "%s: %v", when, at)
	}
}

// Kills: removing shard files that another record owns; an index copy without parts.
func TestSharedBytesWhileDrivesComeAndGo(t *testing.T) {
	rounds := 12
	if long() {
		rounds = 100
	}
	for _, versions := range []bool{false, true} {
		t.Run(fmt.Sprint("versions ", versions), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				k := newRack(4)
				s, err := k.open(t)
				require.NoError(t, err)
				_, err = s.CreateBucket(t.Context(), bucketName, nil)
				require.NoError(t, err)
				if versions {
					require.NoError(t, s.SetVersioning(t.Context(), bucketName, versioning.Enabled))
				}
				c := &churn{t: t, r: rand.New(rand.NewPCG(seed(t), 9)), s: s, want: map[[2]string][]byte{}, latest: map[string]string{}, versions: versions}
				for range rounds {
					drive := c.r.IntN(4)
					back := c.r.IntN(2) == 0
					if back {
						k.faults[drive].SetGone(true)
					} else {
						require.NoError(t, k.disks[drive].RemoveAll(fmt.Sprintf("/drive%d", drive)))
						require.NoError(t, k.disks[drive].MkdirAll(fmt.Sprintf("/drive%d", drive), 0o700))
					}
					for range 15 {
						c.step()
						pass(time.Duration(c.r.IntN(400)) * time.Millisecond)
					}
					k.faults[drive].SetGone(false)
					for range 5 {
						c.step()
					}
					eventually(t, s, "all in-sync", func() bool { return well(s) })
					if c.r.IntN(2) == 0 {
						_, err := s.Heal(t.Context(), nil)
						require.NoError(t, err)
					}
					pass(time.Duration(c.r.IntN(90)) * time.Second)
					c.check("meanwhile")
				}
				_, err = s.Heal(t.Context(), nil)
				require.NoError(t, err)
				pass(2 * time.Minute)
				checkClean(t, s)
				for a := range 4 {
					for b := range a {
						k.faults[a].SetGone(true)
						k.faults[b].SetGone(true)
						eventually(t, s, "read-only", func() bool { return s.Health().Mode == sherd.ReadOnly })
						c.check(fmt.Sprint("without ", a, b))
						k.faults[a].SetGone(false)
						k.faults[b].SetGone(false)
						eventually(t, s, "all in-sync", func() bool { return well(s) })
					}
				}
				k.shut(t, s, "")
			})
		})
	}
}
