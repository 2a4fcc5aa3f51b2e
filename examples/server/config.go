package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/lifecycle"
)

const defaultDrives = "./data/d{1...4}"

// config is what the command line and the environment say.
type config struct {
	drives      []string
	pools       [][]string // drives of further pools
	readOnly    bool
	check       bool     // check the drives and end
	replace     []string // ids of drives that are gone for ever
	rebuildRate int64    // bytes a second; 0: no limit
	scrubRate   int64    // bytes a second; 0: the store's default
	scrubEvery  time.Duration
	stallLimit  time.Duration // of drives
	lifecycle   lifecycle.Options
	address     string
	admin       string // address of the admin view; "" none
	region      string
	domains     []string        // below which hosts name buckets
	ownership   s3api.Ownership // of objects in new buckets
	proxies     []netip.Prefix  // whose X-Forwarded-For is believed
	signature2  bool            // Signature Version 2 is accepted too
	patience    time.Duration   // for the next bytes from or to a client
	parity      *int            // nil: the store's default
	reserve     int64           // bytes; 0: the store's default
	mustExist   bool
	trustLocks  bool
	tlsCert     string // files; both or none
	tlsKey      string
	credentials string    // file; "" where none was given
	keysFile    string    // of master keys; "" where none was given
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
	f.StringVar(&c.admin, "admin", "", "`host:port` of the loopback for a page about drives, work and damage, as 127.0.0.1:9001 (default none)")
	f.StringVar(&c.region, "region", "", "`region` of all buckets, that requests must be signed for (default any: us-east-1 where a client that makes a bucket names none)")
	f.Func("domain", "host `name` below which hosts name buckets, as photos.s3.example.org does below s3.example.org; may be given several times", func(name string) error {
		c.domains = append(c.domains, strings.ToLower(name))
		return nil
	})
	c.permissions(f)
	f.DurationVar(&c.patience, "patience", time.Minute, "how `long` a client may take for the next bytes of a body or an answer")
	f.IntVar(&parity, "parity", -1, "`drives` that may be lost without losing an object; -1 goes by the number of drives")
	f.StringVar(&reserve, "reserve", "", "`space` kept free on each drive, as 512MiB or 2GiB (default 5 %, from 64MiB to 1GiB or a quarter of the drive)")
	c.driveFlags(f)
	f.StringVar(&c.tlsCert, "tls-cert", "", "PEM `file` of the certificate chain; with -tls-key it serves HTTPS and HTTP/2")
	f.StringVar(&c.tlsKey, "tls-key", "", "PEM `file` of the certificate's key")
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
	if _, err = expandAll(c.places()); err != nil {
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

// driveFlags are those that are about drives and what is done with them.
func (c *config) driveFlags(f *flag.FlagSet) {
	f.Func("pool", "drives of a further `pool`, as /mnt/new{1...4}, with commas between several; a pool that the store does not have yet is added. May be given several times", func(text string) error {
		drives, err := expandAll(strings.Split(text, ","))
		c.pools = append(c.pools, drives)
		return err
	})
	f.Func("replace", "`id` of a drive that is gone for ever, as health and errors give it: an empty directory takes its place, also where that does not happen by itself. Never name one that may come back. May be given several times", func(id string) error {
		c.replace = append(c.replace, id)
		return nil
	})
	f.Func("rebuild-rate", "`bytes` a second that are written to a drive that is rebuilt, as 50MiB (default no limit)", rate64(&c.rebuildRate))
	f.Func("scrub-rate", "`bytes` a second that a scrub reads, as 50MiB (default 16MiB)", rate64(&c.scrubRate))
	f.DurationVar(&c.scrubEvery, "scrub-interval", 30*24*time.Hour, "how `long` from the beginning of a scrub to that of the next; 0 turns scrubs off")
	f.DurationVar(&c.stallLimit, "stall-limit", 10*time.Second, "how much later than enough others a drive may answer before it is left out, until it answers again")
	c.expiry(f)
	f.BoolVar(&c.readOnly, "read-only", false, "open the store without writing a byte, for media and snapshots; every drive must be there")
	f.BoolVar(&c.check, "check", false, "check the drives without writing a byte, say what is wrong, and end; the store must not be open")
	f.BoolVar(&c.mustExist, "must-exist", false, "refuse to create a store; set it where drives are mounted")
	f.BoolVar(&c.trustLocks, "trust-locks", false, "accept network filesystems, whose locks may not keep a second server out")
}

// rate64 reads a number of bytes into a flag.
func rate64(into *int64) func(string) error {
	return func(text string) (err error) {
		*into, err = parseBytes(text)
		return err
	}
}

// places are the drives of all pools.
func (c *config) places() []string {
	return slices.Concat(append([][]string{c.drives}, c.pools...)...)
}

// expiry adds the flags of lifecycle rules.
func (c *config) expiry(f *flag.FlagSet) {
	f.DurationVar(&c.lifecycle.Every, "lifecycle-interval", time.Hour, "how `long` from one look for what lifecycle rules let expire to the next; 0 lets nothing expire")
	f.DurationVar(&c.lifecycle.Clock.Day, "lifecycle-day", 0, "how `long` a day of a lifecycle rule is, for tests (default 24h, ending at midnight UTC)")
}

// permissions defines the flags that say who may do what.
func (c *config) permissions(f *flag.FlagSet) {
	f.StringVar((*string)(&c.ownership), "ownership", string(s3api.ObjectWriter), "who owns the objects of new buckets: `ObjectWriter`, so that access control lists count, BucketOwnerPreferred, or BucketOwnerEnforced, which turns them off")
	f.Func("trusted-proxy", "`network` of proxies, as 10.0.0.0/8, whose X-Forwarded-For says who sends a request; may be given several times", func(text string) error {
		network, err := netip.ParsePrefix(text)
		c.proxies = append(c.proxies, network)
		return err
	})
	f.BoolVar(&c.signature2, "signature-v2", true, "accept AWS Signature Version 2, which boto3 still presigns with by default")
	f.StringVar(&c.credentials, "credentials", "", "JSON `file` of identities, readable by its owner only (default credentials.json beside the first drive)")
	f.StringVar(&c.keysFile, "keys", "", "JSON `file` of master keys for SSE-S3 and SSE-KMS, readable by its owner only (default keys.json beside the drives, made at the first start)")
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
	if _, _, err := net.SplitHostPort(c.admin); c.admin != "" && (err != nil || !onLoopback(c.admin)) {
		errs = append(errs, fmt.Errorf("-admin %q: it looks like 127.0.0.1:9001, and is always of the loopback", c.admin))
	}
	if c.parity != nil && (*c.parity < 0 || *c.parity > len(c.drives)/2) {
		errs = append(errs, fmt.Errorf("-parity %d: with %d drives it is 0 to %d", *c.parity, len(c.drives), len(c.drives)/2))
	}
	if (c.tlsCert == "") != (c.tlsKey == "") {
		errs = append(errs, errors.New("-tls-cert and -tls-key belong together: one of them is missing"))
	}
	if strings.Trim(c.region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
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
	if c.ownership != s3api.BucketOwnerEnforced && c.ownership != s3api.BucketOwnerPreferred && c.ownership != s3api.ObjectWriter {
		errs = append(errs, fmt.Errorf("-ownership %q: it is BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter", c.ownership))
	}
	if c.stallLimit <= 0 {
		errs = append(errs, fmt.Errorf("-stall-limit %v: it is more than 0", c.stallLimit))
	}
	if c.scrubEvery < 0 {
		errs = append(errs, fmt.Errorf("-scrub-interval %v: it is not negative", c.scrubEvery))
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

const keysName = "keys.json"

// keysPath is where master keys are made when no file is named.
func (c *config) keysPath() string {
	return filepath.Join(filepath.Dir(c.drives[0]), keysName)
}

// besideDrives gives the folders that drives are in, each once.
func (c *config) besideDrives() []string {
	var dirs []string
	for _, drive := range c.drives {
		if dir := filepath.Dir(drive); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
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
