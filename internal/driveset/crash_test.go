// Goal: whatever moment the power fails at, every acknowledged change is there
// and none is half there, and it stays so. Method: one run of each workload
// over disks that know what a crash would leave. Before every operation on any
// disk the images of all disks are drawn, under several policies, and kept with
// what the client knew at that moment; then a set is opened on each image,
// compared, closed, and opened again, which must give the same answer.
package driveset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// call is one change of a workload; nil data deletes.
type call struct {
	key  string
	data []byte
}

var (
	small = bytesOf(1, 100)
	other = bytesOf(2, 300)
	large = bytesOf(3, 300_000)
	huge  = bytesOf(4, 420_000)
)

var workloads = map[string][]call{
	"put inline":         {{"a", small}},
	"put file":           {{"a", large}},
	"overwrite inline":   {{"a", small}, {"a", other}},
	"overwrite file":     {{"a", large}, {"a", huge}},
	"file then inline":   {{"a", large}, {"a", small}, {"b", other}},
	"delete":             {{"a", small}, {"a", nil}, {"b", other}},
	"delete file":        {{"a", large}, {"a", nil}, {"a", small}},
	"two keys":           {{"a", small}, {"b", large}, {"a", other}},
	"delete what is not": {{"a", nil}, {"b", small}, {"b", nil}},
}

// moment is what would be left of a crash, and what the client knew then.
type moment struct {
	label    string
	images   []*crashfs.FS
	want     map[string][]byte
	inFlight *call
	opened   bool // the set had been opened
}

// camera draws the images.
type camera struct {
	mu      sync.Mutex // the gate: no disk operation begins while images are drawn
	disks   []*crashfs.FS
	every   int
	seen    int
	client  *client
	flight  *call
	moments []moment
}

func (c *camera) shoot(n int, kind op.Kind, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen++; c.seen%c.every != 0 {
		return
	}
	policies := []crashfs.Policy{crashfs.SyncedOnly, crashfs.Subset}
	if c.seen%(3*c.every) == 0 {
		policies = append(policies, crashfs.Everything, crashfs.TornLast, crashfs.ZeroLength)
	}
	for _, p := range policies {
		m := moment{label: fmt.Sprintf("before operation %d, %s %s, %s", c.seen, kind, name, p), inFlight: c.flight, opened: c.client != nil}
		if c.client != nil {
			c.client.mu.Lock()
			m.want = maps.Clone(c.client.want)
			c.client.mu.Unlock()
		}
		for i, d := range c.disks {
			m.images = append(m.images, d.Crash(p, uint64(c.seen*16+i)))
		}
		c.moments = append(c.moments, m)
	}
}

func (c *camera) fly(x *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight = x
}

func crashPlaces(disks []*crashfs.FS) (out []driveset.Place) {
	for i, d := range disks {
		out = append(out, driveset.Place{FS: vfs.FS(d), Path: fmt.Sprintf("/d%d", i)})
	}
	return out
}

var crashOptions = driveset.Options{Memory: true, ReserveBytes: -1}

func TestCrashAnywhere(t *testing.T) {
	drives, every := []int{1, 2, 4}, map[int]int{1: 3, 2: 11, 4: 47}
	if os.Getenv("SHERD_LONG") != "" {
		every = map[int]int{1: 1, 2: 1, 4: 1}
	}
	for _, n := range drives {
		for name, calls := range workloads {
			t.Run(fmt.Sprintf("%d/%s", n, name), func(t *testing.T) {
				c := film(t, n, every[n], calls)
				for _, m := range c.moments {
					develop(t, m)
				}
				require.NotEmpty(t, c.moments)
			})
		}
	}
}

// film runs a workload in front of the camera.
func film(t *testing.T, n, every int, calls []call) *camera {
	cam := &camera{every: every}
	for range n {
		d := crashfs.New()
		d.OnOperation(cam.shoot)
		cam.disks = append(cam.disks, d)
	}
	o := crashOptions
	set, err := driveset.Open(t.Context(), crashPlaces(cam.disks), &o)
	require.NoError(t, err)
	cl := &client{t: t, set: set, want: map[string][]byte{}}
	cam.mu.Lock()
	cam.client = cl
	cam.mu.Unlock()
	for i := range calls {
		cam.fly(&calls[i])
		if calls[i].data == nil {
			require.NoError(t, cl.delete(t.Context(), calls[i].key))
		} else {
			require.NoError(t, cl.put(t.Context(), calls[i].key, calls[i].data))
		}
		cam.fly(nil)
	}
	cl.check()
	require.NoError(t, set.Close())
	return cam
}

// develop opens what a crash left, twice.
func develop(t *testing.T, m moment) {
	t.Helper()
	first := look(t, m)
	for key := range m.keys() {
		want, had := m.want[key]
		got, has := first[key]
		same := had == has && bytes.Equal(want, got)
		if f := m.inFlight; f != nil && f.key == key && !same {
			same = has == (f.data != nil) && bytes.Equal(got, f.data)
		}
		require.True(t, same, "%s: %q has %d bytes (there: %v), the client knows %d (there: %v)", m.label, key, len(got), has, len(want), had)
	}
	second := look(t, m)
	require.Equal(t, len(first), len(second), m.label)
	for key := range first {
		require.True(t, bytes.Equal(first[key], second[key]), "%s: %q changed between two openings", m.label, key)
	}
}

func (m moment) keys() map[string]bool {
	out := map[string]bool{"a": true, "b": true}
	return out
}

// look opens the set on the images, reads it, and writes to it.
func look(t *testing.T, m moment) map[string][]byte {
	t.Helper()
	o := crashOptions
	set, err := driveset.Open(t.Context(), crashPlaces(m.images), &o)
	require.NoError(t, err, m.label)
	c := &client{t: t, set: set, want: map[string][]byte{}}
	require.Equal(t, driveset.Serving, set.Health().Mode, m.label)
	out := map[string][]byte{}
	for key := range m.keys() {
		data, err := c.get(context.Background(), key)
		if errors.Is(err, errAbsent) {
			continue
		}
		require.NoError(t, err, m.label)
		out[key] = data
	}
	require.NoError(t, c.put(context.Background(), "probe", small), m.label)
	require.NoError(t, set.Check(context.Background(), func(f driveset.Finding) {
		require.Fail(t, "check", "%s: %+v", m.label, f)
	}), m.label)
	require.NoError(t, set.Close(), m.label)
	return out
}
