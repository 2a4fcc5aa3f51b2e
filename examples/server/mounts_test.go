//go:build linux

package main

// Goal: small filesystems of a test's own. Method: a shell in a mount namespace of
// its own, as root of a user namespace where this process is not root; servers
// are started in it by nsenter. It reads its commands from a pipe, so it ends with
// this process, however that ends, and its mounts go with it. In package main,
// which cannot be imported.

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// mounts is a place where mounts can be made.
type mounts struct {
	dir     string
	shell   *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	wrapper []string // before the words of a process that is to be in it
}

// newMounts skips the test where the system lets nobody but root mount anything.
func newMounts(t *testing.T) *mounts {
	t.Helper()
	m := &mounts{dir: t.TempDir(), shell: exec.Command("sh")}
	m.shell.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		m.shell.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		m.shell.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		m.shell.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	in, err := m.shell.StdinPipe()
	require.NoError(t, err)
	out, err := m.shell.StdoutPipe()
	require.NoError(t, err)
	m.in, m.out = in, bufio.NewReader(out)
	if err := m.shell.Start(); err != nil {
		t.Skipf("not run: mounts need root, or user namespaces that anybody may make: %v", err)
	}
	t.Cleanup(func() {
		_ = m.in.Close()
		_ = m.shell.Wait()
	})
	m.wrapper = []string{"nsenter", "-t", fmt.Sprint(m.shell.Process.Pid), "-m"}
	if os.Getuid() != 0 {
		m.wrapper = append(m.wrapper, "-U", "--preserve-credentials")
	}
	m.wrapper = append(m.wrapper, "--")
	return m
}

// run runs a line of shell in the namespace and gives what it printed.
func (m *mounts) run(t *testing.T, line string, args ...any) string {
	t.Helper()
	_, err := fmt.Fprintf(m.in, "{ "+line+"; } 2>&1; echo \"end of command $?\"\n", args...)
	require.NoError(t, err)
	var said strings.Builder
	for {
		text, err := m.out.ReadString('\n')
		require.NoError(t, err)
		if status, ok := strings.CutPrefix(text, "end of command "); ok {
			require.Equal(t, "0\n", status, "%s: %s", fmt.Sprintf(line, args...), said.String())
			return said.String()
		}
		said.WriteString(text)
	}
}

// drives mounts a tmpfs of so many MiB for each of four drives, which are a
// directory below.
func (m *mounts) drives(t *testing.T, megabytes int) string {
	t.Helper()
	for i := 1; i <= 4; i++ {
		at := filepath.Join(m.dir, fmt.Sprint("disk", i))
		m.run(t, "mkdir '%s' && mount -t tmpfs -o size=%dm sherd '%s'", at, megabytes, at)
	}
	return filepath.Join(m.dir, "disk{1...4}", "drive")
}

// launch starts a server in the namespace.
func (m *mounts) launch(t *testing.T, args ...string) *child {
	t.Helper()
	return launchIn(t, m.wrapper, args...)
}
