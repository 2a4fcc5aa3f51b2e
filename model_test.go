// Goal: whatever is called, in whatever order, while drives go, return, are emptied and
// decay, and the power is cut, a store is a list of versions in memory. Method: steps
// drawn by a number each, calls and faults, in virtual time; every answer must be that
// of a model that knows nothing of drives. What fails is made shorter until nothing can
// be left out. SHERD_SEED draws another run, SHERD_LONG longer ones.
package sherd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/versioning"
)

// modelVersion is a version as the model has it.
type modelVersion struct {
	id     string // "": the null version
	marker bool
	data   []byte
	etag   string
	tags   map[string]string
	meta   map[string]string
	hold   bool
	until  time.Time // of governance
}

type modelUpload struct {
	key   string
	parts map[int][]byte
	tags  map[string]string
}

// model is a bucket.
type model struct {
	status  versioning.Status
	locked  bool
	keys    map[string][]modelVersion // newest first
	uploads map[string]*modelUpload
	gone    map[string][]string // by key, ids of versions that were destroyed
}

func newModel() *model {
	return &model{keys: map[string][]modelVersion{}, uploads: map[string]*modelUpload{}, gone: map[string][]string{}}
}

// latest gives what stands at a key, nil where that is nothing or a marker.
func (m *model) latest(key string) *modelVersion {
	if vs := m.keys[key]; len(vs) > 0 && !vs[0].marker {
		return &vs[0]
	}
	return nil
}

// add makes a version the newest; without versioning it is the null one.
func (m *model) add(key string, v modelVersion) {
	if m.status != versioning.Enabled {
		v.id = ""
		m.drop(key, "")
	}
	m.keys[key] = slices.Insert(slices.Clone(m.keys[key]), 0, v)
}

// drop destroys a version.
func (m *model) drop(key, id string) {
	m.keys[key] = slices.DeleteFunc(slices.Clone(m.keys[key]), func(v modelVersion) bool { return v.id == id })
	if len(m.keys[key]) == 0 {
		delete(m.keys, key)
	}
	if id != "" {
		m.gone[key] = append(m.gone[key], id)
	}
}

// leave is what a delete that names no version does.
func (m *model) leave(key, marker string) {
	if m.status == versioning.Unversioned {
		m.drop(key, "")
		return
	}
	m.add(key, modelVersion{id: marker, marker: true})
}

// name is how a version is called.
func (m *model) name(id string) string {
	if id == "" && m.status != versioning.Unversioned {
		return "null"
	}
	return id
}

// mirror is a store on drives, under calls and faults that it must bear: no more drives
// are harmed than the parity has.
type mirror struct {
	caller
	t     testing.TB
	k     *rack
	most  int   // drives that may be harmed
	spare int   // drives that writing can do without
	away  []int // drives that do not answer
	harm  int   // the drive that was emptied or damaged since all was healed, −1: none
	fault *rand.Rand
}

func (c *mirror) step(number uint64) error {
	c.fault = rand.New(rand.NewPCG(number, 2))
	if c.fault.IntN(100) >= 12 {
		if len(c.away) > c.spare {
			return c.refused(number)
		}
		if err := c.call(number); err != nil {
			return err
		}
		pass(time.Duration(c.fault.IntN(300)) * time.Millisecond)
		return nil
	}
	faults := []func() error{c.lose, c.lose, c.comeBack, c.empty, c.decay, c.heal, c.restart, c.powerCut, c.wait}
	return faults[c.fault.IntN(len(faults))]()
}

// refused reads, and sees a write refused where too few drives are there.
func (c *mirror) refused(number uint64) error {
	c.r = rand.New(rand.NewPCG(number, 1))
	if err := c.get(""); err != nil {
		return err
	}
	_, err := c.s.Put(c.ctx, bucketName, "a", strings.NewReader("x"), 1, nil)
	if !errors.Is(err, sherd.ErrReadOnly) && !errors.Is(err, sherd.ErrUnavailable) {
		return differs("a write without %d drives: %v", len(c.away), err)
	}
	return c.list("")
}

// harmed counts the drives whose shards may be missing.
func (c *mirror) harmed() int {
	n := len(c.away)
	if c.harm >= 0 && !slices.Contains(c.away, c.harm) {
		n++
	}
	return n
}

func (c *mirror) until(what string, ok func() bool) error {
	for end := time.Now().Add(5 * time.Minute); !ok(); pass(20 * time.Millisecond) {
		if time.Now().After(end) {
			return differs("not within minutes: %s: %+v", what, c.s.Health())
		}
	}
	return nil
}

// settled waits for what is to be while so many drives are away.
func (c *mirror) settled() error {
	switch {
	case len(c.away) == 0:
		return c.until("all in-sync", func() bool { return well(c.s) })
	case len(c.away) <= c.spare:
		return c.until("serving", func() bool { return c.s.Health().Mode == sherd.Serving })
	}
	return c.until("read-only", func() bool { return c.s.Health().Mode == sherd.ReadOnly })
}

func (c *mirror) lose() error {
	drive := c.fault.IntN(len(c.k.drives))
	if slices.Contains(c.away, drive) || c.harmed() == c.most && drive != c.harm || len(c.away) == c.most {
		return nil
	}
	c.say("lose drive %d", drive)
	c.k.faults[drive].SetGone(true)
	c.away = append(c.away, drive)
	if len(c.away) > c.spare {
		return c.settled()
	}
	if len(c.k.drives) == 3 {
		// A large object is laid out over all three, and needs them all.
		return c.until("noticed", func() bool { return c.s.Health().Degraded })
	}
	return nil
}

func (c *mirror) comeBack() error {
	c.say("all come back")
	for _, drive := range c.away {
		c.k.faults[drive].SetGone(false)
	}
	c.away = nil
	return c.settled()
}

// empty puts an empty directory in the place of a drive.
func (c *mirror) empty() error {
	if c.harmed() > 0 {
		return nil
	}
	c.harm = c.fault.IntN(len(c.k.drives))
	c.say("empty drive %d", c.harm)
	disk, dir := c.k.disks[c.harm], fmt.Sprintf("/drive%d", c.harm)
	if err := errors.Join(disk.RemoveAll(dir), disk.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	if err := c.until("noticed", func() bool { return !well(c.s) }); err != nil {
		return err
	}
	return c.settled()
}

// decay turns bits in some shard files of a drive.
func (c *mirror) decay() error {
	if c.harmed() > 0 {
		return nil
	}
	drive := c.fault.IntN(len(c.k.drives))
	files := map[string]int64{}
	under(c.t, c.k.disks[drive], path.Join(fmt.Sprintf("/drive%d", drive), "shards"), files)
	for file, size := range files {
		if c.fault.IntN(3) == 0 {
			c.harm = drive
			turnBit(c.t, c.k.disks[drive], file, c.fault.Int64N(size), c.fault.IntN(8))
		}
	}
	c.say("decay on drive %d: %d files", drive, len(files))
	return nil
}

func (c *mirror) heal() error {
	if err := c.comeBack(); err != nil {
		return err
	}
	c.say("heal")
	// A drive whose absence nobody noticed may fail only now.
	c.harm = -1
	return c.until("healed", func() bool {
		sum, err := c.s.Heal(c.ctx, nil)
		return err == nil && sum.Left == 0 && well(c.s)
	})
}

func (c *mirror) open() error {
	s, err := c.k.open(c.t)
	if err != nil {
		return differs("open: %w", err)
	}
	c.s = s
	if err := c.settled(); err != nil {
		return err
	}
	return c.same()
}

func (c *mirror) restart() error {
	c.say("restart")
	if err := c.s.Close(); err != nil {
		return differs("close: %w", err)
	}
	return c.open()
}

// powerCut goes on with what all drives have durably, and some of what they have not.
func (c *mirror) powerCut() error {
	policy := crashfs.Policy(c.fault.IntN(int(crashfs.Policies)))
	c.say("power cut, %v", policy)
	after := c.k.crash(policy, c.fault.Uint64())
	_ = c.s.Close() // what it says is lost with it
	c.k = after
	for _, drive := range c.away {
		c.k.faults[drive].SetGone(true)
	}
	return c.open()
}

func (c *mirror) wait() error {
	c.say("wait")
	pass(time.Duration(c.fault.IntN(180)) * time.Second)
	return c.same()
}

// same compares everything.
func (c *mirror) same() error {
	c.r = rand.New(rand.NewPCG(uint64(len(c.log)), 3))
	left := map[string]int{}
	for info, err := range c.s.ListVersions(c.ctx, bucketName, &sherd.ListVersionsOptions{Details: true}) {
		if err != nil {
			return differs("versions: %w", err)
		}
		n := left[info.Key]
		left[info.Key]++
		if n >= len(c.m.keys[info.Key]) {
			return differs("versions: a version of %s that should not be: %+v", info.Key, info)
		}
		v := &c.m.keys[info.Key][n]
		what := fmt.Sprintf("version %d of %s", n, info.Key)
		if err := c.described(what, info, v); err != nil {
			return err
		}
		if !v.marker {
			if err := c.compare(what, info.Key, c.m.name(v.id), v, nil); err != nil {
				return err
			}
		}
	}
	for key, vs := range c.m.keys {
		if left[key] != len(vs) {
			return differs("versions: %d of %s, not %d", left[key], key, len(vs))
		}
	}
	for id, u := range c.m.uploads {
		n := 0
		for part, err := range c.s.ListParts(c.ctx, bucketName, u.key, id, 0) {
			if err != nil || part.Size != int64(len(u.parts[part.Number])) {
				return differs("parts of %s: %+v, %v", u.key, part, err)
			}
			n++
		}
		if n != len(u.parts) {
			return differs("parts of %s: %d, not %d", u.key, n, len(u.parts))
		}
	}
	return nil
}

// end heals the store, checks it, deletes everything, and closes it: no file is left.
func (c *mirror) end() error {
	for _, last := range []func() error{c.heal, c.same, c.clean, c.clear, c.restart, c.heal, c.clean} {
		if err := last(); err != nil {
			return err
		}
	}
	for drive, disk := range c.k.disks {
		files := map[string]int64{}
		under(c.t, disk, fmt.Sprintf("/drive%d/shards", drive), files)
		if len(files) > 0 {
			return differs("files that are left on drive %d: %v", drive, files)
		}
	}
	return c.s.Close()
}

func (c *mirror) clean() error {
	for f, err := range c.s.Check(c.ctx) {
		return differs("check: %+v, %v", f, err)
	}
	return nil
}

// clear deletes all there is, whatever protects it.
func (c *mirror) clear() error {
	c.say("clear")
	for key, vs := range c.m.keys {
		for i := range vs {
			id := c.m.name(vs[i].id)
			if vs[i].hold {
				if err := c.s.SetLegalHold(c.ctx, bucketName, key, id, false); err != nil {
					return differs("hold of %s: %w", key, err)
				}
			}
			if _, err := c.s.Delete(c.ctx, bucketName, key, &sherd.DeleteOptions{VersionID: id, Bypass: true}); err != nil {
				return differs("delete %s %q: %w", key, id, err)
			}
		}
	}
	for id, u := range c.m.uploads {
		if err := c.s.AbortUpload(c.ctx, bucketName, u.key, id); err != nil {
			return differs("abort %s: %w", u.key, err)
		}
	}
	c.m.keys, c.m.uploads = map[string][]modelVersion{}, map[string]*modelUpload{}
	pass(2 * time.Minute) // readers may hold what was deleted for one
	return c.same()
}

// play takes steps on a new store, and gives the log of what was done.
func play(t *testing.T, drives int, locked bool, steps []uint64) (log []string, err error) {
	bubble(t, func(t *testing.T) {
		c := &mirror{t: t, k: newRack(drives), harm: -1, most: quorum.DefaultParity(drives), spare: drives - quorum.Write(drives)}
		c.caller = caller{ctx: context.WithoutCancel(t.Context()), m: newModel()}
		c.s, err = c.k.open(t)
		require.NoError(t, err)
		_, err = c.s.CreateBucket(t.Context(), bucketName, &sherd.BucketOptions{ObjectLock: locked})
		require.NoError(t, err)
		if locked {
			c.m.locked, c.m.status = true, versioning.Enabled
		}
		for _, number := range steps {
			if err = c.step(number); err != nil {
				break
			}
		}
		if err == nil {
			err = c.end()
		}
		_ = c.s.Close()
		log = c.log
	})
	return log, err
}

// shorter leaves out steps as long as what remains still fails, some times.
func shorter(steps []uint64, fails func([]uint64) bool) []uint64 {
	tries := 200
	for part := len(steps) / 2; part > 0; part /= 2 {
		for at := 0; at < len(steps) && tries > 0; tries-- {
			if less := slices.Delete(slices.Clone(steps), at, min(at+part, len(steps))); fails(less) {
				steps = less
			} else {
				at += part
			}
		}
	}
	return steps
}

// Kills: sums that are not compared; commits or shards that are not synced; mending that
// writes nothing.
func TestAStoreIsItsModel(t *testing.T) {
	runs, length := 16, 250
	if raceEnabled {
		runs = 4
	}
	if long() {
		runs, length = 200, 1000
	}
	for run := range runs {
		locked, drives := run%4 == 3, []int{4, 6, 3}[run%3]
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed(t), uint64(run)))
			steps := make([]uint64, length)
			for i := range steps {
				steps[i] = random.Uint64()
			}
			_, err := play(t, drives, locked, steps)
			if err == nil {
				return
			}
			steps = shorter(steps, func(less []uint64) bool {
				_, err := play(t, drives, locked, less)
				return err != nil
			})
			log, err := play(t, drives, locked, steps)
			t.Fatalf("%d of %d steps: %v\n%s", len(steps), length, err, strings.Join(log, "\n"))
		})
	}
}
