package main

// Goal: the program as a process of its own, for tests that kill, stop or starve
// it. Method: the test binary starts itself again (see TestMain), so nothing is
// built twice; whatever was started is ended with the test that started it. In
// package main, which cannot be imported.

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// childEnv is set in the environment of a test binary that is to be the server.
	childEnv = "SHERD_TEST_SERVER"
	// generous is a limit that nothing should come near: it ends a test that waits
	// for what never comes.
	generous = 60 * time.Second
)

// tortured are the keys that the servers of these tests take.
func tortured() *identity {
	return &identity{AccessKey: "admin", SecretKey: canary + "-torture"}
}

// child is a server in a process of its own.
type child struct {
	cmd    *exec.Cmd
	url    string // "" until it serves
	stdout *announced
	stderr *lockedBuffer
	client *http.Client
	exited chan struct{} // closed when the process is gone
}

// announced is standard output, with an eye on the line that says the URL.
type announced struct {
	lockedBuffer
	at chan string // gets the URL once
}

func (a *announced) Write(p []byte) (int, error) {
	n, err := a.lockedBuffer.Write(p)
	if _, rest, ok := strings.Cut(a.String(), "serving S3 at "); ok {
		if line, _, whole := strings.Cut(rest, "\n"); whole {
			url, _, _ := strings.Cut(line, " ")
			select {
			case a.at <- url:
			default:
			}
		}
	}
	return n, err
}

// spawn starts a server process, behind the words of a wrapper if there are any
// (a shell that sets limits, say). It does not wait until it serves.
func spawn(t *testing.T, wrapper []string, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	words := append(append([]string{}, wrapper...), self)
	words = append(words, "-address", "127.0.0.1:0", "-log-format", "json")
	words = append(words, args...)
	c := &child{stdout: &announced{at: make(chan string, 1)}, stderr: &lockedBuffer{}, exited: make(chan struct{})}
	c.cmd = exec.Command(words[0], words[1:]...)
	keys := tortured()
	c.cmd.Env = append(os.Environ(), childEnv+"=1", "SHERD_ROOT_USER="+keys.AccessKey, "SHERD_ROOT_PASSWORD="+string(keys.SecretKey))
	c.cmd.Stdout, c.cmd.Stderr = c.stdout, c.stderr
	_, err = c.cmd.StdinPipe() // closed when this process ends, however it does
	require.NoError(t, err)
	c.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: generous}
	require.NoError(t, c.cmd.Start())
	go func() {
		_ = c.cmd.Wait() // the exit code is looked at by who waits for it
		close(c.exited)
	}()
	t.Cleanup(c.kill)
	return c
}

// launch starts a server process and waits until it serves.
func launch(t *testing.T, args ...string) *child { t.Helper(); return launchIn(t, nil, args...) }

func launchIn(t *testing.T, wrapper []string, args ...string) *child {
	t.Helper()
	c := spawn(t, wrapper, args...)
	select {
	case c.url = <-c.stdout.at:
	case <-c.exited:
		t.Fatalf("the server ended with %d: %s", c.cmd.ProcessState.ExitCode(), c.stderr)
	case <-time.After(generous):
		t.Fatalf("the server does not start: %s", c.stderr)
	}
	return c
}

// refused starts a server that is to end by itself with exitFailed, and gives
// what it said.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	c := spawn(t, nil, args...)
	select {
	case <-c.exited:
	case <-c.stdout.at:
		t.Fatal("it serves; it was to be refused")
	case <-time.After(generous):
		t.Fatalf("the server neither serves nor ends: %s", c.stderr)
	}
	require.Equal(t, exitFailed, c.cmd.ProcessState.ExitCode(), c.stderr)
	require.NotContains(t, c.stderr.String(), "panic")
	return c.stderr.String()
}

// kill ends the process as kill -9 does, and waits until it is gone. Nothing
// happens when it is gone already.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.exited
	c.client.CloseIdleConnections()
}

// stop ends the process in order and wants exit code 0.
func (c *child) stop(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	c.client.CloseIdleConnections()
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-c.exited:
	case <-time.After(generous):
		t.Fatalf("it does not end: %s", c.stderr)
	}
	require.Equal(t, 0, c.cmd.ProcessState.ExitCode(), c.stderr)
	require.NotContains(t, c.stderr.String(), "panic")
	return time.Since(begun)
}

// ready asks /health/ready.
func (c *child) ready() (int, readiness, error) {
	ctx, cancel := context.WithTimeout(context.Background(), generous)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+pathReady, nil)
	if err != nil {
		return 0, readiness{}, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, readiness{}, err
	}
	defer resp.Body.Close()
	var r readiness
	return resp.StatusCode, r, json.NewDecoder(resp.Body).Decode(&r)
}

// becomes waits until /health/ready says a status, and tells how long that took.
func (c *child) becomes(t *testing.T, status string) time.Duration {
	t.Helper()
	begun := time.Now()
	var last string
	for {
		_, r, err := c.ready()
		if err == nil && r.Status == status {
			return time.Since(begun)
		}
		last = fmt.Sprintf("%+v, %v", r, err)
		if time.Since(begun) > generous {
			break
		}
		wait(2 * time.Millisecond)
	}
	require.FailNow(t, "health never became "+status, "%s\n%s", last, c.stderr)
	return 0
}

// says waits until the log has a line with all the words, and tells how long
// that took.
func (c *child) says(t *testing.T, words ...string) time.Duration {
	t.Helper()
	begun := time.Now()
	require.Eventually(t, func() bool { return logged(c.stderr.String(), words...) }, generous, 2*time.Millisecond,
		"the log never has a line with %q", words)
	return time.Since(begun)
}

func logged(log string, words ...string) bool {
	for line := range strings.SplitSeq(log, "\n") {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

// long tells whether the long variants of the tests are wanted.
func long() bool { return os.Getenv("SHERD_LONG") != "" }

// seeded is the source of a test's choices. The moments at which things happen
// stay the machine's.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(1)
	if text := os.Getenv("SHERD_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "SHERD_SEED")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("SHERD_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// wait lets time pass; what is tested is what goes on meanwhile.
func wait(d time.Duration) { <-time.After(d) }

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
