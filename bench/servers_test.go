// Goal: servers to measure, each in a process of its own. Method: the test binary
// is run again as one of them; what it spent is read of /proc.
package bench

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

// serveVariable makes the test binary a server: it says which one. Servers are
// processes of their own, so that what they cost can be told from the load.
const serveVariable = "SHERD_BENCH_SERVE"

const (
	accessKey = "bench"
	secretKey = "bench-secret-key"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(serveVariable); name != "" {
		if err := serve(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve runs a server in the current folder until its standard input ends.
func serve(name string) error {
	var handler http.Handler
	var err error
	switch name {
	case "sherd":
		handler, err = sherdHandler()
	case "floor":
		handler, err = newFloor()
	case "gofakes3":
		handler = gofakes3.New(s3mem.New(), gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	default:
		err = fmt.Errorf("no server %q", name)
	}
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func sherdHandler() (http.Handler, error) {
	store, err := sherd.Open(context.Background(), []string{"d1", "d2", "d3", "d4"}, &sherd.Options{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, err
	}
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: accessKey, SecretKey: secretKey, Access: s3api.FullAccess})
	if err != nil {
		return nil, err
	}
	return s3api.New(store, &s3api.Options{Authenticator: s3api.NewSigV4(keys, ""), Authorizer: keys})
}

// floor is a bare server: a PUT hashes MD5 while it writes half of the body to
// each of four files, and syncs them and their folders; a GET sends two halves;
// nothing is signed, checked, coded or listed.
type floor struct{ dirs []string }

func newFloor() (*floor, error) {
	f := &floor{}
	for i := range drives {
		dir := fmt.Sprintf("floor%d", i)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		f.dirs = append(f.dirs, dir)
	}
	return f, nil
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.ReplaceAll(strings.Trim(r.URL.Path, "/"), "/", "_")
	var err error
	switch r.Method {
	case http.MethodPut:
		err = f.put(w, r, name)
	case http.MethodHead:
		_, err = os.Stat(filepath.Join(f.dirs[0], name))
	default:
		for _, dir := range f.dirs[:drives/2] {
			err = errors.Join(err, f.send(w, filepath.Join(dir, name)))
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (f *floor) put(w http.ResponseWriter, r *http.Request, name string) error {
	if r.ContentLength == 0 {
		return nil // a bucket
	}
	files := make([]*os.File, drives)
	for i, dir := range f.dirs {
		var err error
		if files[i], err = os.Create(filepath.Join(dir, name)); err != nil {
			return err
		}
		defer files[i].Close()
	}
	sum := md5.New()
	buf := make([]byte, min(r.ContentLength, 1<<20))
	for {
		n, err := io.ReadFull(r.Body, buf)
		sum.Write(buf[:n])
		for i, file := range files {
			half := buf[:n/2]
			if i%2 == 1 {
				half = buf[n/2 : n]
			}
			if _, err := file.Write(half); err != nil {
				return err
			}
		}
		if err != nil {
			break
		}
	}
	errs := make([]error, drives)
	var wg sync.WaitGroup
	for i, file := range files {
		wg.Go(func() { errs[i] = errors.Join(file.Sync(), syncDir(f.dirs[i])) })
	}
	wg.Wait()
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum.Sum(nil))+`"`)
	return errors.Join(errs...)
}

func (f *floor) send(w io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// peers are servers that run already: name=http://host:port, with the keys of
// the flags below. Their processor time is read of -peer-pid.
var (
	peerFlag = flag.String("peer", "", "another S3 server to measure: name=http://127.0.0.1:port")
	peerPID  = flag.Int("peer-pid", 0, "its process, to read processor time and memory of")
	peerKey  = flag.String("peer-access-key", accessKey, "its access key")
	peerPass = flag.String("peer-secret-key", secretKey, "its secret key")
)

// peer is a server to measure.
type peer struct {
	name, url            string
	accessKey, secretKey string
	pid                  int // 0: not known
	lists                bool
}

// startPeers starts the servers of a run, and ends them with it.
func startPeers(b *testing.B) []*peer {
	var peers []*peer
	for _, name := range []string{"sherd", "floor", "gofakes3"} {
		peers = append(peers, start(b, name))
	}
	if name, url, ok := strings.Cut(*peerFlag, "="); ok {
		peers = append(peers, &peer{name: name, url: url, accessKey: *peerKey, secretKey: *peerPass, pid: *peerPID, lists: true})
	}
	return peers
}

func start(b *testing.B, name string) *peer {
	self, err := os.Executable()
	require.NoError(b, err)
	cmd := exec.Command(self)
	cmd.Dir = b.TempDir()
	cmd.Env = append(os.Environ(), serveVariable+"="+name)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(b, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = stdin.Close() // the server ends
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(b, err)
	return &peer{name: name, url: strings.TrimSpace(line), accessKey: accessKey, secretKey: secretKey, pid: cmd.Process.Pid, lists: name != "floor"}
}

// spent is the processor time that the server took until now.
func (p *peer) spent() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of Linux
}

// peakMiB is the most memory that the server had.
func (p *peer) peakMiB() float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseFloat(fields[0], 64)
	return kib / 1024
}
