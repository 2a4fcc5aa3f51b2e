package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const defaultDrives = "./data/d{1...4}"

// config is what the command line and the environment say.
type config struct {
	drives      []string
	address     string
	region      string
	domains     []string      // below which hosts name buckets
	signature2  bool          // Signature Version 2 is accepted too
	patience    time.Duration // for the next bytes from or to a client
	parity      *int          // nil: the store's default
	reserve     int64         // bytes; 0: the store's default
	mustExist   bool
	trustLocks  bool
	tlsCert     string // files; both or none
	tlsKey      string
	credentials string    // file; "" where none was given
	root        *identity // from the environment; nil where none was given
	logLevel    slog.Level
	logFormat   string // auto, text or json
	logRequests bool   // at info; otherwise at debug
	stopLimit   time.Duration
}

// parseConfig reads flags and drives, in any order, and the environment.
func parseConfig(args []string, getenv func(string) string, stderr io.Writer) (config, error) {
	var c config
	var reserve string
	parity := -1
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are returned; help is written below
	f.StringVar(&c.address, "address", "127.0.0.1:9000", "`host:port` to listen on; :9000 is every interface")
	f.StringVar(&c.region, "region", "us-east-1", "`region` that requests are signed for")
	f.Func("domain", "host `name` below which hosts name buckets, as photos.s3.example.org does below s3.example.org; may be given several times", func(name string) error {
		c.domains = append(c.domains, strings.ToLower(name))
		return nil
	})
	f.BoolVar(&c.signature2, "signature-v2", true, "accept AWS Signature Version 2, which boto3 still presigns with by default")
	f.DurationVar(&c.patience, "patience", time.Minute, "how `long` a client may take for the next bytes of a body or an answer")
	f.IntVar(&parity, "parity", -1, "`drives` that may be lost without losing an object (default by the number of drives)")
	f.StringVar(&reserve, "reserve", "", "`space` kept free on each drive, as 512MiB or 2GiB (default 5 %, from 16MiB to 1GiB)")
	f.BoolVar(&c.mustExist, "must-exist", false, "refuse to create a store; set it where drives are mounted")
	f.BoolVar(&c.trustLocks, "trust-locks", false, "accept network filesystems, whose locks may not keep a second server out")
	f.StringVar(&c.tlsCert, "tls-cert", "", "PEM `file` of the certificate chain; with -tls-key it serves HTTPS and HTTP/2")
	f.StringVar(&c.tlsKey, "tls-key", "", "PEM `file` of the certificate's key")
	f.StringVar(&c.credentials, "credentials", "", "JSON `file` of identities, readable by its owner only (default credentials.json beside the first drive)")
	f.TextVar(&c.logLevel, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn or error")
	f.StringVar(&c.logFormat, "log-format", "auto", "auto, text or json; auto is text on a terminal")
	f.BoolVar(&c.logRequests, "log-requests", false, "log every request at info; otherwise that is done at debug")
	f.DurationVar(&c.stopLimit, "stop-limit", 30*time.Second, "how `long` requests on their way may take after a signal to stop")
	patterns, err := parseMixed(f, args)
	if errors.Is(err, flag.ErrHelp) {
		usage(f, stderr)
		return c, err
	}
	if err != nil {
		return c, fmt.Errorf("%w (see -h)", err)
	}
	if len(patterns) == 0 {
		patterns = []string{defaultDrives}
	}
	if c.drives, err = expandAll(patterns); err != nil {
		return c, err
	}
	if reserve != "" {
		if c.reserve, err = parseBytes(reserve); err != nil {
			return c, fmt.Errorf("-reserve %q: %w", reserve, err)
		}
	}
	if parity != -1 {
		c.parity = &parity
	}
	if c.root, err = rootIdentity(getenv); err != nil {
		return c, err
	}
	return c, c.validate()
}

// parseMixed parses flags and collects what stands between and behind them.
func parseMixed(f *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

func usage(f *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "usage: server [flags] [drives]\n\ndrives are directories, as /mnt/disk{1...4}; without any: %s\n\n", defaultDrives)
	f.SetOutput(w)
	f.PrintDefaults()
	fmt.Fprint(w, "\nenvironment: SHERD_ROOT_USER and SHERD_ROOT_PASSWORD, an identity that may do everything\n")
}

// validate finds what is wrong by itself; what depends on drives or files is
// found when they are opened.
func (c *config) validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.address); err != nil {
		errs = append(errs, fmt.Errorf("-address %q: it looks like 127.0.0.1:9000 or :9000", c.address))
	}
	if c.parity != nil && (*c.parity < 0 || *c.parity > len(c.drives)/2) {
		errs = append(errs, fmt.Errorf("-parity %d: with %d drives it is 0 to %d", *c.parity, len(c.drives), len(c.drives)/2))
	}
	if (c.tlsCert == "") != (c.tlsKey == "") {
		errs = append(errs, errors.New("-tls-cert and -tls-key belong together: one of them is missing"))
	}
	if c.region == "" || strings.Trim(c.region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		errs = append(errs, fmt.Errorf("-region %q: lower case letters, digits and hyphens", c.region))
	}
	if c.logFormat != "auto" && c.logFormat != "text" && c.logFormat != "json" {
		errs = append(errs, fmt.Errorf("-log-format %q: it is auto, text or json", c.logFormat))
	}
	for _, name := range c.domains {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Trim(name, ".") != name || name == "" {
			errs = append(errs, fmt.Errorf("-domain %q: it is a name such as s3.example.org, without port or path", name))
		}
	}
	if c.patience <= 0 {
		errs = append(errs, fmt.Errorf("-patience %v: it must be longer than nothing", c.patience))
	}
	if c.stopLimit <= 0 {
		errs = append(errs, fmt.Errorf("-stop-limit %v: it must be longer than nothing", c.stopLimit))
	}
	return errors.Join(errs...)
}

// credentialsPath is where identities are, or are to be kept.
func (c *config) credentialsPath() string {
	if c.credentials != "" {
		return c.credentials
	}
	return filepath.Join(filepath.Dir(c.drives[0]), "credentials.json")
}

// parseBytes reads a number of bytes with an optional unit: B, KiB, MiB, GiB or
// TiB. It must be more than nothing.
func parseBytes(s string) (int64, error) {
	text, shift := s, 0
	for i, unit := range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			text, shift = number, 10*i // the longest unit that fits comes last
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return 0, errors.New("a number of bytes looks like 1073741824, 512MiB or 2GiB")
	case n <= 0:
		return 0, errors.New("it must be more than nothing")
	case n > math.MaxInt64>>shift:
		return 0, errors.New("it is too large")
	}
	return n << shift, nil
}
