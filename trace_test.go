// Goal: nobody is told that something is stored before it is: data, then the
// directory that names it, then the log's entry, then the answer. Method: the
// calls' operations on the disks, recorded; the order is checked, whatever the
// golden files say, which show the rest of it to a reviewer.
package sherd_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

var update = flag.Bool("update", false, "write the golden files anew")

// traced is a call whose operations are recorded.
type traced struct {
	name   string
	shards bool // it writes shard files
	before func(t *testing.T, s *sherd.Store) (upload string)
	act    func(t *testing.T, s *sherd.Store, upload string)
}

const tracedKey = "the-key-that-is-traced"

func tracedCalls() []traced {
	put := func(content []byte) func(t *testing.T, s *sherd.Store, _ string) {
		return func(t *testing.T, s *sherd.Store, _ string) {
			require.NoError(t, putAt(t, s, tracedKey, content, nil))
		}
	}
	nothing := func(*testing.T, *sherd.Store) string { return "" }
	has := func(content []byte) func(t *testing.T, s *sherd.Store) string {
		return func(t *testing.T, s *sherd.Store) string { put(content)(t, s, ""); return "" }
	}
	part := func(t *testing.T, s *sherd.Store, upload string) {
		_, err := s.PutPart(t.Context(), bucketName, tracedKey, upload, 1, bytes.NewReader(middle), -1, nil)
		require.NoError(t, err)
	}
	begin := func(t *testing.T, s *sherd.Store) string {
		u, err := s.CreateUpload(t.Context(), bucketName, tracedKey, nil)
		require.NoError(t, err)
		return u.ID
	}
	return []traced{
		{"put inline", false, nothing, put(tiny)},
		{"put file", true, nothing, put(middle)},
		{"overwrite file", true, has(middle), put(middle2)},
		{"delete", false, has(middle), func(t *testing.T, s *sherd.Store, _ string) {
			_, err := s.Delete(t.Context(), bucketName, tracedKey, nil)
			require.NoError(t, err)
		}},
		{"put part", true, begin, part},
		{"complete", false, func(t *testing.T, s *sherd.Store) string { u := begin(t, s); part(t, s, u); return u }, func(t *testing.T, s *sherd.Store, upload string) {
			_, err := s.CompleteUpload(t.Context(), bucketName, tracedKey, upload, []sherd.CompletedPart{{Number: 1}}, nil)
			require.NoError(t, err)
		}},
	}
}

func TestOrderOfOperations(t *testing.T) {
	for _, drives := range []int{1, 4} {
		for _, c := range tracedCalls() {
			t.Run(fmt.Sprintf("%s, %d", c.name, drives), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					entries := record(t, c, drives)
					require.NoError(t, disorder(steps(entries), drives, c.shards))
					golden(t, fmt.Sprintf("%s %d", c.name, drives), perDrive(entries, drives))
				})
			})
		}
	}
}

// record gives the operations of a call up to its answer. Before and after it,
// time passes; while it runs none does, so that nothing else is recorded.
func record(t *testing.T, c traced, drives int) []vfs.Entry {
	var to vfs.Recorder
	r := &rack{}
	for range drives {
		r.add(vfs.Mem(0))
	}
	for i, fs := range r.drives {
		r.drives[i] = vfs.Log(fs, "/", &to)
	}
	s := begun(t, r)
	upload := c.before(t, s)
	pass(10 * time.Second)
	to.Take()
	c.act(t, s, upload)
	entries := to.Take()
	r.shut(t, s, c.name)
	return entries
}

// step is an operation that the order of durability is about.
type step struct {
	drive  string
	path   string // below the drive
	does   string // write, sync, sync-dir or remove
	answer bool
	entry  bool // a write of the log that may hold the call's entry
}

// steps picks them out; the answer stands at the end.
func steps(entries []vfs.Entry) (out []step) {
	for _, e := range entries {
		drive, below, _ := strings.Cut(e.Path, "/")
		s := step{drive: drive, path: below}
		switch e.Kind {
		case op.Create, op.Write, op.WriteAt, op.Rename, op.Reuse, op.Link:
			s.does = "write"
			s.entry = e.Class == op.WAL
		case op.Sync, op.SyncData:
			s.does = "sync"
		case op.SyncDir:
			s.does = "sync-dir"
		case op.Remove, op.RemoveAll:
			s.does = "remove"
		default:
			continue
		}
		if e.Err == nil {
			out = append(out, s)
		}
	}
	return append(out, step{answer: true})
}

// disorder is what breaks the rule, nil if nothing does. On every drive: shard
// files are synced after their last write, and their directory after that; then,
// when that is so on all drives, the entry is written to the log, and the log
// synced; then comes the answer. Nothing is removed before.
func disorder(all []step, drives int, shards bool) error {
	answer := slices.IndexFunc(all, func(s step) bool { return s.answer })
	entry := slices.IndexFunc(all, func(s step) bool { return s.entry })
	if answer < 0 || entry < 0 {
		return errors.New("no entry was written, or nothing answered")
	}
	after := func(from int, drive, does, path string) int {
		at := slices.IndexFunc(all[from:], func(s step) bool { return s.drive == drive && s.does == does && s.path == path })
		if at < 0 {
			return len(all) // never
		}
		return from + at
	}
	written, committed := map[string]bool{}, map[string]bool{}
	for i, s := range all {
		switch {
		case s.does == "write" && strings.HasPrefix(s.path, "shards/"):
			named := after(after(i, s.drive, "sync", s.path), s.drive, "sync-dir", path.Dir(s.path))
			if named > entry {
				return fmt.Errorf("%s on %s is not durable before an entry is written", s.path, s.drive)
			}
			written[s.drive] = true
		case s.entry:
			if after(i, s.drive, "sync", s.path) > answer {
				return fmt.Errorf("the log on %s is not durable before the answer", s.drive)
			}
			committed[s.drive] = true
		case s.does == "remove" && i < answer:
			return fmt.Errorf("%s on %s is removed before the answer", s.path, s.drive)
		}
	}
	if len(committed) != drives || shards && len(written) != drives {
		return fmt.Errorf("%d logs and %d shard files were written, on %d drives", len(committed), len(written), drives)
	}
	return nil
}

// perDrive writes the operations drive by drive, in their order on each, as
// drives work beside each other; numbers and ids are replaced, and what is
// repeated is written once.
func perDrive(entries []vfs.Entry, drives int) string {
	ids := regexp.MustCompile(`shards/[0-9a-f]{2}(/[0-9a-f]+)?`)
	var b strings.Builder
	for i := range drives {
		name := strings.TrimPrefix(sherd.DrivePath(i), "/")
		fmt.Fprintf(&b, "%s\n", name)
		last := ""
		for _, e := range entries {
			below, ok := strings.CutPrefix(e.Path, name+"/")
			if !ok {
				continue
			}
			below = op.Normalise(ids.ReplaceAllStringFunc(below, func(s string) string {
				if strings.Count(s, "/") == 2 {
					return "shards/xx/<data id>"
				}
				return "shards/xx"
			}))
			line := fmt.Sprintf("  %v %s\n", e.Kind, below)
			if line != last {
				b.WriteString(line)
			}
			last = line
		}
	}
	return b.String() + "answer\n"
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "trace", strings.ReplaceAll(name, " ", "-")+".txt")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run with -update, and review what it wrote")
	require.Equal(t, string(want), got)
}

func TestEveryMistakeBreaksTheOrder(t *testing.T) {
	good := []step{
		{drive: "a", path: "shards/01/x", does: "write"}, {drive: "a", path: "shards/01/x", does: "sync"},
		{drive: "a", path: "shards/01", does: "sync-dir"}, {drive: "a", path: "index/1.log", does: "write", entry: true},
		{drive: "a", path: "index/1.log", does: "sync"}, {answer: true},
	}
	require.NoError(t, disorder(good, 1, true))
	for i := range good {
		require.Error(t, disorder(slices.Delete(slices.Clone(good), i, i+1), 1, true), "without step %d", i)
		if i > 0 {
			swapped := slices.Clone(good)
			swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
			require.Error(t, disorder(swapped, 1, true), "steps %d and %d swapped", i-1, i)
		}
	}
	require.Error(t, disorder(append([]step{{drive: "a", path: "shards/00/old", does: "remove"}}, good...), 1, true))
	require.Error(t, disorder(good, 2, false), "one of two logs")
}
