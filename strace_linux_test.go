// Goal: the operating system is asked for the same order that the file systems
// of the tests see. Method: the test runs itself under strace on real
// directories, and reads what it did. It needs strace, and says so.
package sherd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

// tracedDir tells a child which directory to work in.
const tracedDir = "SHERD_TRACED_DIR"

func TestOrderOfSystemCalls(t *testing.T) {
	if dir := os.Getenv(tracedDir); dir != "" {
		underTrace(t, dir)
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: the order of the real system calls was not looked at")
	}
	for _, drives := range []int{1, 4} {
		t.Run(fmt.Sprint(drives), func(t *testing.T) {
			dir := t.TempDir()
			for i := range drives {
				require.NoError(t, os.Mkdir(filepath.Join(dir, fmt.Sprintf("drive%d", i)), 0o700))
			}
			out := filepath.Join(t.TempDir(), "trace")
			cmd := exec.CommandContext(t.Context(), strace, "-f", "-y", "-s", "2000000", "-o", out,
				"-e", "trace=write,pwrite64,writev,pwritev,fsync,fdatasync,unlink,unlinkat", os.Args[0], "-test.run=^TestOrderOfSystemCalls$")
			cmd.Env = append(os.Environ(), tracedDir+"="+dir)
			said, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", said)
			trace, err := os.ReadFile(out)
			require.NoError(t, err)
			for i, c := range tracedCalls() {
				if c.name == "put part" {
					continue // its entry names the upload and not the key
				}
				all := systemCalls(t, trace, dir, i)
				require.NoError(t, disorder(all, drives, c.shards), "%s: %+v", c.name, all)
			}
		})
	}
}

// underTrace makes the calls, each between two marks that the trace shows.
func underTrace(t *testing.T, dir string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var drives []string
	for _, e := range entries {
		drives = append(drives, filepath.Join(dir, e.Name()))
	}
	s, err := sherd.Open(context.Background(), drives, &sherd.Options{ReserveBytes: -1, ManualRun: true})
	require.NoError(t, err)
	_, err = s.CreateBucket(t.Context(), bucketName, nil)
	require.NoError(t, err)
	for i, c := range tracedCalls() {
		upload := c.before(t, s)
		fmt.Fprintf(os.Stderr, "mark begin %d\n", i)
		c.act(t, s, upload)
		fmt.Fprintf(os.Stderr, "mark answer %d\n", i)
	}
	require.NoError(t, s.Close())
}

// systemCalls gives the steps of one call. A write counts from where it begins, a
// sync from where it ends. Beside the call's own entry others are written to
// the logs, such as marks of what is stable: it is the one that holds the key.
func systemCalls(t *testing.T, trace []byte, dir string, call int) (out []step) {
	line := regexp.MustCompile(`^(\d+) +(\w+)\((?:AT_FDCWD[^,]*, |\d+<([^>]*)>)?(.*)$`)
	resumed := regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>.*= (-?\d+)`)
	begun := map[string]step{} // by thread: syncs that have not ended
	inside := false
	scan := bufio.NewScanner(bytes.NewReader(trace))
	scan.Buffer(nil, 64<<20)
	for scan.Scan() {
		text := scan.Text()
		if r := resumed.FindStringSubmatch(text); r != nil {
			if s, ok := begun[r[1]]; ok && inside && r[3] == "0" {
				out = append(out, s)
			}
			delete(begun, r[1])
			continue
		}
		m := line.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		switch {
		case strings.Contains(m[4], fmt.Sprintf(`"mark begin %d\n"`, call)):
			inside = true
		case strings.Contains(m[4], fmt.Sprintf(`"mark answer %d\n"`, call)):
			return append(out, step{answer: true})
		}
		s, ok := systemCall(m[2], m[3], m[4], dir)
		switch {
		case !ok || !inside:
		case s.does != "sync" && s.does != "sync-dir":
			out = append(out, s)
		case strings.HasSuffix(text, "<unfinished ...>"):
			begun[m[1]] = s
		case strings.HasSuffix(text, "= 0"):
			out = append(out, s)
		}
	}
	require.NoError(t, scan.Err())
	require.Fail(t, "the trace does not show the call to its end")
	return nil
}

func systemCall(name, file, rest, dir string) (step, bool) {
	does := map[string]string{"write": "write", "pwrite64": "write", "writev": "write", "pwritev": "write",
		"fsync": "sync", "fdatasync": "sync", "unlink": "remove", "unlinkat": "remove"}[name]
	if does == "remove" {
		file = strings.Trim(strings.SplitN(rest, `"`, 3)[min(1, strings.Count(rest, `"`))], `"`)
	}
	below, ok := strings.CutPrefix(file, dir+"/")
	if does == "" || !ok {
		return step{}, false
	}
	s := step{does: does}
	s.drive, s.path, _ = strings.Cut(below, "/")
	if does == "sync" && strings.HasPrefix(s.path, "shards/") && strings.Count(s.path, "/") == 1 {
		s.does = "sync-dir"
	}
	if does == "write" && op.ClassOf(s.path) == op.WAL {
		s.entry = strings.Contains(rest, tracedKey)
	}
	return s, slices.Contains([]string{"write", "sync", "sync-dir", "remove"}, s.does)
}
