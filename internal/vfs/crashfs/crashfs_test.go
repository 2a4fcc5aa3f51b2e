// Goal: what a crash leaves is what the policies say. Method: small sequences, each under the policies, compared with the
// outcomes that are allowed; random policies over many seeds must reach each of them.
package crashfs_test

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// world is a crash file system with shorthands.
type world struct {
	*testing.T
	*crashfs.FS
}

func newWorld(t *testing.T) world { return world{t, crashfs.New()} }

func (w world) create(name, content string) vfs.File {
	f, err := w.Create(name, vfs.Unspecified)
	require.NoError(w, err)
	_, err = f.Write([]byte(content))
	require.NoError(w, err)
	return f
}

func (w world) syncDir(name string) {
	d, err := w.OpenDir(name)
	require.NoError(w, err)
	require.NoError(w, d.Sync())
	require.NoError(w, d.Close())
}

// show lists all files as "name=content", sorted; long runs of one byte are shortened.
func show(t *testing.T, fs vfs.FS, dir string) string {
	names, err := fs.List(dir)
	require.NoError(t, err)
	var out []string
	for _, name := range names {
		full := fs.PathJoin(dir, name)
		fi, err := fs.Stat(full)
		require.NoError(t, err)
		if fi.IsDir() {
			out = append(out, name+"/("+show(t, fs, full)+")")
			continue
		}
		f, err := fs.Open(full)
		require.NoError(t, err)
		content, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		out = append(out, name+"="+shorten(string(content)))
	}
	return strings.Join(out, " ")
}

func shorten(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		run := len(s) - len(strings.TrimLeft(s, s[:1]))
		c := s[:1]
		if c == "\x00" {
			c = "0"
		}
		if run > 9 {
			fmt.Fprintf(&b, "%s*%d", c, run)
		} else {
			b.WriteString(strings.Repeat(c, run))
		}
		s = s[run:]
	}
	return b.String()
}

func (w world) after(policy crashfs.Policy) string { return show(w.T, w.Crash(policy, 1), "/") }

// outcomes are all that a random policy reaches.
func (w world) outcomes(policy crashfs.Policy) []string {
	seen := map[string]bool{}
	for seed := range uint64(400) {
		seen[show(w.T, w.Crash(policy, seed), "/")] = true
	}
	var all []string
	for s := range seen {
		all = append(all, s)
	}
	return all
}

func TestNewFileNeedsBothSyncs(t *testing.T) {
	w := newWorld(t)
	f := w.create("a", "x")
	require.Empty(t, w.after(crashfs.SyncedOnly))
	require.NoError(t, f.Sync())
	require.Empty(t, w.after(crashfs.SyncedOnly), "the sync of a file does not keep its name")
	require.Equal(t, "a=x", w.after(crashfs.Everything))
	w.syncDir("/")
	require.Equal(t, "a=x", w.after(crashfs.SyncedOnly))

	w = newWorld(t)
	w.create("a", "x")
	w.syncDir("/")
	require.Equal(t, "a=", w.after(crashfs.SyncedOnly), "the sync of a directory does not keep bytes")
	require.ElementsMatch(t, []string{"a=", "a=x", "a=0"}, w.outcomes(crashfs.Subset))
	require.Equal(t, "a=0", w.after(crashfs.ZeroFill))
	require.Equal(t, "a=", w.after(crashfs.ZeroLength))
}

func TestRenameIsAtomicAndMayBeUndone(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.create("old", "1").Sync())
	require.NoError(t, w.create("target", "2").Sync())
	w.syncDir("/")
	require.NoError(t, w.Rename("old", "target"))
	require.ElementsMatch(t, []string{"old=1 target=2", "target=1"}, w.outcomes(crashfs.Subset))
	w.syncDir("/")
	require.Equal(t, []string{"target=1"}, w.outcomes(crashfs.Subset))
}

func TestRenameBetweenDirectories(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.MkdirAll("a", 0o700))
	require.NoError(t, w.MkdirAll("b", 0o700))
	require.NoError(t, w.create("a/f", "1").Sync())
	w.SyncAll()
	require.NoError(t, w.Rename("a/f", "b/f"))
	require.NoError(t, w.Remove("a"))
	w.syncDir("/")
	require.Equal(t, "a/(f=1) b/()", w.after(crashfs.SyncedOnly), "a directory in use on the disk stays")
	w.syncDir("b")
	require.Contains(t, w.after(crashfs.SyncedOnly), "b/(f=1)")
}

func TestRenameWithoutSyncOfTheFile(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.create("f", "old").Sync())
	w.syncDir("/")
	w.create("tmp", "new")
	require.NoError(t, w.Rename("tmp", "f"))
	require.Equal(t, "f=", w.after(crashfs.ZeroLength))
	require.Equal(t, "f=old", w.after(crashfs.SyncedOnly))
	require.Equal(t, "f=new", w.after(crashfs.Everything))
}

func TestRemoveMaySurvive(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.create("a", "1").Sync())
	require.NoError(t, w.create("b", "2").Sync())
	w.syncDir("/")
	require.NoError(t, w.Link("a", "c"))
	require.NoError(t, w.Remove("a"))
	require.NoError(t, w.Remove("b"))
	require.ElementsMatch(t, []string{
		"a=1 b=2 c=1", "a=1 b=2", "a=1 c=1", "a=1", "b=2 c=1", "b=2", "c=1", "",
	}, w.outcomes(crashfs.Subset))
	require.ElementsMatch(t, []string{"a=1 b=2", "a=1 b=2 c=1", "b=2 c=1", "c=1"}, w.outcomes(crashfs.Prefix))
}

func TestNamesOfTheIndexStayInOrder(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.create("marker.m.000001.A", "").Sync())
	w.syncDir("/")
	w.create("marker.m.000002.B", "")
	require.NoError(t, w.Remove("marker.m.000001.A"))
	require.ElementsMatch(t, []string{
		"marker.m.000001.A=", "marker.m.000001.A= marker.m.000002.B=", "marker.m.000002.B=",
	}, w.outcomes(crashfs.Subset))
}

func TestSectors(t *testing.T) {
	w := newWorld(t)
	f := w.create("a", strings.Repeat("o", 1024))
	require.NoError(t, f.Sync())
	w.syncDir("/")
	_, err := f.WriteAt([]byte(strings.Repeat("n", 600)), 400)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"a=o*1024", "a=o*400n*112o*512", "a=o*512n*488o*24", "a=o*400n*600o*24",
	}, w.outcomes(crashfs.Subset), "a sector is old or new")
	require.ElementsMatch(t, w.outcomes(crashfs.Subset), w.outcomes(crashfs.TornLast))

	require.NoError(t, f.SyncData())
	_, err = f.WriteAt([]byte("1"), 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("2"), 1)
	require.NoError(t, err)
	for _, outcome := range w.outcomes(crashfs.Subset) {
		require.NotContains(t, outcome, "a=o2", "the writes to a sector happen in order")
	}
}

func TestLyingDisk(t *testing.T) {
	w := newWorld(t)
	w.SetLying(true)
	f := w.create("a", "x")
	require.NoError(t, f.Sync())
	w.syncDir("/")
	require.Empty(t, w.after(crashfs.SyncedOnly))
	w.SetLying(false)
	w.syncDir("/")
	require.NoError(t, f.Sync())
	require.Equal(t, "a=x", w.after(crashfs.SyncedOnly))
}

func TestSyncThatLoses(t *testing.T) {
	w, faults := newWorld(t), faultfs.New()
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Sync}, Times: 1, Do: faultfs.LoseSync(syscall.EIO)})
	fs := faults.Wrap(w.FS)
	f, err := fs.Create("a", vfs.Unspecified)
	require.NoError(t, err)
	w.syncDir("/")
	_, err = f.Write([]byte("lost"))
	require.NoError(t, err)
	require.ErrorIs(t, f.Sync(), syscall.EIO)
	_, err = f.Write([]byte("kept"))
	require.NoError(t, err)
	require.NoError(t, f.Sync(), "the second sync succeeds")
	require.Equal(t, "a=lostkept", show(t, w, "/"), "until the crash, all is there")
	require.Equal(t, "a=0000kept", w.after(crashfs.Everything))
}

func TestCrashAt(t *testing.T) {
	w := newWorld(t)
	w.CrashAt(4)
	f := w.create("a", "x") // 1, 2
	require.NoError(t, f.Sync())
	require.ErrorIs(t, w.Remove("a"), crashfs.ErrCrashed)
	require.True(t, w.Crashed())
	_, err := f.Write([]byte("y"))
	require.ErrorIs(t, err, crashfs.ErrCrashed)
	_, err = w.List("/")
	require.ErrorIs(t, err, crashfs.ErrCrashed)
	require.NoError(t, f.Close(), "handles are closed all the same")
	fresh := w.Crash(crashfs.Everything, 0)
	require.Equal(t, "a=x", show(t, fresh, "/"))
	require.Zero(t, fresh.Operations())
	require.Equal(t, "a=x", show(t, fresh.Crash(crashfs.SyncedOnly, 0), "/"), "an image is durable")
}

func TestImagesKeepLinksAndRepeat(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.MkdirAll("d/e", 0o700))
	w.create("d/e/f", strings.Repeat("x", 5000))
	require.NoError(t, w.Link("d/e/f", "g"))
	fresh := w.Crash(crashfs.Everything, 0)
	f, err := fresh.OpenReadWrite("g", vfs.Unspecified)
	require.NoError(t, err)
	_, err = f.Write([]byte("y"))
	require.NoError(t, err)
	require.Equal(t, "d/(e/(f=yx*4999)) g=yx*4999", show(t, fresh, "/"))
	for policy := range crashfs.Policies {
		for seed := range uint64(5) {
			require.Equal(t, show(t, w.Crash(policy, seed), "/"), show(t, w.Crash(policy, seed), "/"), policy)
		}
	}
}
