// Server is an S3 server on local drives, put together from the store and the
// S3 handler. It is a program to run and an example to copy from: everything
// that a library leaves to its embedder is decided here.
//
//	server [flags] [drives]
//
// Drives are directories of one pool, further pools are those of -pool; {1...4} in one stands for the numbers 1 to 4, several
// such ranges for all their combinations, and {01...16} pads with zeros. Without
// drives they are ./data/d{1...4}. Run it with -h for the flags.
//
// # What it guarantees
//
// The port is taken before a drive is touched, so a second server says that the
// port is busy and changes nothing. From then on requests are answered: with
// 503 until the store is open, which is also what /health/ready says. SIGINT and
// SIGTERM end it in order: no new connection, requests on their way finish
// within -stop-limit, the store is closed, and the exit code is 0. A second
// signal ends it at once, which costs nothing that was acknowledged.
//
// # Credentials
//
// SHERD_ROOT_USER and SHERD_ROOT_PASSWORD, a file of identities (-credentials),
// or both. With neither, a pair is generated at the first start, printed once,
// and kept in credentials.json beside the first drive, for its owner to read
// only. There are no default credentials.
//
// # Requests
//
// Buckets are named by paths, and below each -domain by hosts too. Every request is
// logged at debug, or with -log-requests at info: who, what, with which outcome;
// never a header or a query. /health/live and /health/ready answer anybody; a
// bucket may be called "health" all the same, as what is signed is S3's.
//
// # Drives that are lost
//
// An empty directory in the place of a drive that is gone is made a drive in its
// stead and filled, while the server serves. Where too few drives are left to write,
// or the place looks like a disk that is not mounted, that waits for the operator's
// word: -replace with the ids of the drives that will never come back, which the
// log and the admin view give. -check looks at drives that no server has open, and
// -read-only serves them, without a byte written.
//
// # What goes on
//
// A drive that is being rebuilt, and whatever else takes long, is a bar on a
// terminal and otherwise a line in the log every 30 seconds, with rate and time
// left. -admin has it as a page and as JSON, with drives, damage and what
// happened of late, on an address of its own that only this machine reaches: it
// asks for no credentials and changes nothing.
//
// # Exit codes
//
// 0 after an orderly end, 1 when it could not start or end in order or when -check
// found something, 2 when the command line or the environment is wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program without its process: it serves until the context ends and
// returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	cfg, err := parseConfig(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "server: %v\n", err)
		return exitUsage
	}
	tty := isTerminal(stderr)
	s := &server{config: cfg, stdout: stdout}
	if tty {
		terminal := &screen{out: stderr}
		stderr, s.bar = terminal, terminal.show
	}
	s.log = newLogger(cfg, stderr, tty)
	begin := s.serve
	if cfg.check {
		begin = s.checkDrives
	}
	if err := begin(ctx); err != nil {
		fmt.Fprintf(stderr, "server: %v\n", err)
		return exitFailed
	}
	return 0
}

// newLogger writes text to a terminal and JSON to anything else, unless told.
func newLogger(cfg config, w io.Writer, tty bool) *slog.Logger {
	o := &slog.HandlerOptions{Level: cfg.logLevel}
	if cfg.logFormat == "text" || cfg.logFormat == "auto" && tty {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
