package lint

// place is one package's position among the layers. A folder without an entry
// of its own has that of the nearest folder above it that has one.
type place struct {
	dir  string
	may  []string // folders (with all below) that it may import
	pure bool     // no I/O, no clock, no context: it computes
	why  string
}

// places is the order of the house, lowest first: a package imports only what
// stands above it in this list, and of that only what its entry names.
func places() []place {
	pure := []string{"erasure", "bitrot", "versioning", "lock", "internal/quorum", "internal/checksum", "internal/seal"}
	leaves := append([]string{"internal/keylock", "internal/objectfs", "internal/budget", "internal/pace", "internal/fanout", "internal/vfs"}, pure...)
	engine := append([]string{"layout", "internal/stripe", "internal/verdict", "internal/heal", "internal/audit", "internal/driveset", "internal/pools"}, leaves...)
	return []place{
		{"erasure", nil, true, "arithmetic over bytes"},
		{"bitrot", nil, true, "a format over io.Reader and io.Writer"},
		{"versioning", nil, true, "rules over values"},
		{"lock", nil, true, "decisions over values; the caller brings the time"},
		{"internal/quorum", nil, true, "a function of what the drives said"},
		{"internal/checksum", nil, true, "arithmetic over bytes"},
		{"internal/seal", nil, true, "a format over io.Reader; the caller brings keys and salts"},
		{"internal/keylock", nil, false, "a lock knows nothing of what it guards"},
		{"internal/budget", nil, false, "a budget knows nothing of what is spent"},
		{"internal/objectfs", nil, false, "a file system knows nothing of where its objects come from"},
		{"internal/pace", nil, false, "how long something took, whoever did it"},
		{"internal/fanout", nil, false, "calls are waited for, whatever they do"},
		{"internal/vfs", nil, false, "a file system knows nothing of what is stored in it"},
		{"internal/stripe", []string{"erasure", "bitrot", "internal/budget", "internal/checksum"}, false,
			"stripes and frames, wherever their bytes lie"},
		{"layout", leaves, false, "a drive knows nothing of the set it is in"},
		{"layout/drivetest", append([]string{"layout"}, leaves...), false, "the suite sees a drive as its caller does"},
		{"internal/verdict", []string{"layout", "internal/quorum"}, false, "a decision on what drives said, without a drive"},
		{"internal/heal", append([]string{"layout"}, leaves...), false, "what heals a set asks it to, by an interface of its own"},
		{"internal/audit", append([]string{"layout", "internal/heal"}, leaves...), false, "drives that nobody has open are looked at without a set"},
		{"internal/driveset", append([]string{"layout", "internal/stripe", "internal/verdict", "internal/heal"}, leaves...), false, "a set knows nothing of the facade above it"},
		{"internal/pools", append([]string{"layout", "internal/driveset"}, leaves...), false, "pools know sets and where keys live, and nothing of what is stored"},
		{".", engine, false, "the facade knows nothing of a wire protocol"},
		{"s3api/policy", nil, true, "a language; the caller brings what a request is"},
		{"s3api", append([]string{".", "s3api/policy"}, pure...), false, "the wire reaches storage only through the facade, " +
			"where locks are checked; it must work over any store"},
		{"s3api/inprocess", nil, false, "a transport carries requests, whatever they say"},
		{"s3api/s3test", []string{".", "s3api", "s3api/inprocess", "s3api/policy"}, false, "what tests are given is put together from what everybody has"},
		{"s3api/s3apitest", nil, false, "it sees an endpoint as a client does, whatever is behind it"},
		{"internal/sim", append([]string{".", "s3api"}, engine...), false, "simulations drive all layers"},
		{"internal/lint", nil, false, "the lint must work while everything else is broken"},
		{"internal/mutants", nil, false, "it breaks files and runs tests, and knows of both by name alone"},
		{"internal/tools", nil, false, "it holds versions only"},
		{"internal/conformance", nil, false, "it sees the server as its clients do"},
		{"examples", append([]string{".", "s3api", "s3api/policy"}, pure[:4]...), false,
			"an example shows what somebody else's module can write"},
		{"bench", append([]string{".", "s3api"}, engine...), false, "benchmarks measure all layers"},
	}
}

// importBan forbids imports outside test files. Patterns of paths end in /...
// for everything below, as the go command has them.
type importBan struct {
	path string
	from func(p *Package) bool // packages that the ban is for
	but  []string              // folders (with all below) where it does not hold
	why  string
}

// importBans lists what may not be imported, by whom and why.
func importBans() []importBan {
	all := (*Package).Inspected
	pure := func(p *Package) bool { return p.place().pure }
	return []importBan{
		{"net/http/...", all, []string{"s3api"}, "only the handler speaks HTTP; the engine embeds without it"},
		{"net", all, []string{"s3api"}, "no package opens a port or dials"},
		{"expvar", all, nil, "it registers itself on the process's default mux"},
		{"log", all, nil, "it writes to the process's global logger; take a *slog.Logger"},
		{"flag", all, nil, "command lines belong to programs"},
		{"os/exec", all, []string{"internal/vfs"}, "a library starts no processes"},
		{"os/signal", all, nil, "signals belong to programs"},
		{"plugin", all, nil, "a library loads no code"},
		{"unsafe", all, []string{"internal/vfs"}, "memory safety is worth more than the copy it saves"},
		{"math/rand", all, nil, "use math/rand/v2 with a source that was handed in"},
		{"io/ioutil", all, nil, "deprecated: io and os have it"},
		{"testing/...", all, []string{"layout/drivetest", "internal/sim", "internal/vfs/vfstest", "s3api/s3apitest"},
			"test code must not be linked into the embedder's program"},
		{"github.com/stretchr/testify/...", all, []string{"layout/drivetest", "internal/sim", "internal/vfs/vfstest"},
			"test code must not be linked into the embedder's program"},
		{"go.uber.org/goleak", all, []string{"layout/drivetest", "internal/sim", "internal/vfs/vfstest"},
			"test code must not be linked into the embedder's program"},
		{"golang.org/x/sys/...", all, []string{"internal/vfs"}, "system calls go through internal/vfs, where faults are injected"},
		{"syscall", all, []string{"internal/vfs"}, "system calls go through internal/vfs, where faults are injected"},
		{"github.com/klauspost/reedsolomon", all, []string{"erasure"}, "erasure is the one place that knows the code"},
		{"github.com/cockroachdb/pebble/...", all, []string{"layout", "internal/vfs", "internal/sim"},
			"the index is a matter of one drive; nobody above it knows which library it is"},
		{"os/...", pure, nil, "pure: no I/O"},
		{"io/fs", pure, nil, "pure: no I/O"},
		{"log/slog", pure, nil, "pure: an outcome is a value, not a line in a log"},
		{"context", pure, nil, "pure: nothing waits, so nothing is cancelled"},
		{"math/rand/v2", pure, nil, "pure: the same input gives the same output"},
		{"crypto/rand", pure, nil, "pure: the same input gives the same output"},
		{"time", pure, []string{"lock", "versioning", "s3api/policy"}, "pure: no clock; times are values where the rules are about times"},
	}
}

// callBan forbids the use of a name of another package, called or not.
type callBan struct {
	path  string   // import path
	names []string // names banned; nil means all but those in "except"
	// except lists the names allowed where names is nil.
	except []string
	but    []string // folders (with all below) where the ban does not hold
	tests  bool     // holds in test files too
	why    string
}

// callBans lists banned names of packages that may be imported.
func callBans() []callBan {
	return []callBan{
		{path: "os", names: []string{"Exit"}, why: "only a program ends its process; return an error"},
		{path: "runtime", names: []string{"Goexit"}, why: "a goroutine belongs to the call that started it"},
		{path: "log/slog", names: []string{"Default", "SetDefault", "SetLogLoggerLevel", "Debug", "DebugContext", "Info",
			"InfoContext", "Warn", "WarnContext", "Error", "ErrorContext", "Log", "LogAttrs", "With"},
			tests: true, why: "they go to the process's global logger; use the *slog.Logger that was handed in"},
		{path: "fmt", names: []string{"Print", "Printf", "Println"}, why: "standard output belongs to programs"},
		{path: "time", names: []string{"Now", "Since", "Until"}, why: "the clock is injected; take the time from it"},
		{path: "time", names: []string{"Sleep"}, why: "a sleep cannot be cancelled; select on a timer and the context"},
		{path: "time", names: []string{"Tick"}, why: "nobody can stop it; use time.NewTicker"},
		{path: "context", names: []string{"TO" + "DO"}, tests: true, why: "every call has a context that somebody can end"},
		{path: "os", except: []string{
			"ErrNotExist", "ErrExist", "ErrPermission", "ErrInvalid", "ErrClosed", "ErrDeadlineExceeded", "ErrProcessDone",
			"PathError", "LinkError", "SyscallError", "IsNotExist", "IsExist", "IsPermission", "IsTimeout",
			"FileMode", "FileInfo", "DirEntry", "ModePerm", "ModeDir", "ModeType", "PathSeparator", "DevNull",
			"O_RDONLY", "O_WRONLY", "O_RDWR", "O_APPEND", "O_CREATE", "O_EXCL", "O_SYNC", "O_TRUNC", "Exit"},
			but: []string{"internal/vfs"}, why: "files are touched through internal/vfs only, where every fault can be injected"},
		{path: "path/filepath", names: []string{"Walk", "WalkDir", "Glob", "EvalSymlinks", "Abs"},
			but: []string{"internal/vfs"}, why: "files are touched through internal/vfs only, where every fault can be injected"},
		{path: "math/rand/v2", except: []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"},
			why: "randomness is injected: draw from a source that was handed in"},
		{path: "net/http", names: []string{"DefaultServeMux", "DefaultClient", "DefaultTransport", "Handle", "HandleFunc",
			"Get", "Post", "PostForm", "Head", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS"},
			why: "they are the process's, not the handler's; no port is opened here"},
	}
}

// pureBans lists names that pure packages may not use although they may import
// the package for its values.
func pureBans() []callBan {
	return []callBan{
		{path: "time", names: []string{"After", "AfterFunc", "NewTimer", "NewTicker"}, why: "pure: no clock"},
	}
}

// immutable lists constructors whose result nobody can change, so that a
// package-level variable may hold it.
func immutable() map[string]string {
	return map[string]string{
		"errors.New":                  "a sentinel",
		"errors.Join":                 "a sentinel that is several",
		"fmt.Errorf":                  "a sentinel that wraps another",
		"hash/crc32.MakeTable":        "a table that is only read",
		"hash/crc64.MakeTable":        "a table that is only read",
		"regexp.MustCompile":          "safe for concurrent use, no setting is changed",
		"strings.NewReplacer":         "safe for concurrent use",
		"encoding/base64.NewEncoding": "returns a value that is only read",
		"encoding/base32.NewEncoding": "returns a value that is only read",
		"sync.OnceValue":              "computes a constant on first use",
		"sync.OnceValues":             "computes a constant on first use",
		"time.Date":                   "a time is a value",
		"time.Unix":                   "a time is a value",
		"net/netip.MustParsePrefix":   "a prefix is a value",
		"unique.Make":                 "a handle is a value",
	}
}

// embedded gives the number of methods of interfaces of other packages, for
// those that ours embed.
func embedded() map[string]int {
	return map[string]int{
		"context.Context": 4, "encoding.BinaryMarshaler": 1, "encoding.BinaryUnmarshaler": 1,
		"encoding.TextMarshaler": 1, "encoding.TextUnmarshaler": 1, "fmt.Stringer": 1,
		"hash.Hash": 5, "io.ByteReader": 1, "io.ByteWriter": 1, "io.Closer": 1, "io.ReadCloser": 2,
		"io.ReadSeekCloser": 3, "io.ReadSeeker": 2, "io.ReadWriteCloser": 3, "io.ReadWriteSeeker": 3,
		"io.ReadWriter": 2, "io.Reader": 1, "io.ReaderAt": 1, "io.ReaderFrom": 1, "io.Seeker": 1,
		"io.StringWriter": 1, "io.WriteCloser": 2, "io.WriteSeeker": 2, "io.Writer": 1, "io.WriterAt": 1,
		"io.WriterTo": 1, "io/fs.DirEntry": 4, "io/fs.File": 3, "io/fs.FileInfo": 6, "io/fs.FS": 1,
		"io/fs.GlobFS": 2, "io/fs.ReadDirFS": 2, "io/fs.ReadDirFile": 4, "io/fs.ReadFileFS": 2, "io/fs.StatFS": 2,
		"io/fs.SubFS": 2, "log/slog.Handler": 4, "math/rand/v2.Source": 1, "net/http.Handler": 1,
		"net/http.ResponseWriter": 3, "net/http.RoundTripper": 1, "sort.Interface": 3, "sync.Locker": 2,
	}
}

// dependency is a module that the root may require directly.
type dependency struct {
	path string
	why  string
}

// dependencies lists every module that a package of the root module may import.
func dependencies() []dependency {
	return []dependency{
		{"github.com/cockroachdb/pebble/v2", "the ordered index of a drive, and the file system seam"},
		{"github.com/fxamacker/cbor/v2", "the deterministic encoding of records"},
		{"github.com/klauspost/compress", "fast, range-friendly compression"},
		{"github.com/klauspost/reedsolomon", "the erasure code, vectorised"},
		{"github.com/minio/crc64nvme", "the checksum that clients send by default, by carry-less multiplication: thirty times the standard library's speed"},
		{"github.com/cespare/xxhash/v2", "a checksum that clients may send; the index links it anyway"},
		{"github.com/zeebo/xxh3", "checksums that clients may send, vectorised; nothing comes with it"},
		{"github.com/zeebo/blake3", "the checksum of every frame, vectorised"},
		{"golang.org/x/sync", "errgroup with a limit, semaphore with a context"},
		{"golang.org/x/sys", "system calls that the standard library lacks"},
		{"github.com/stretchr/testify", "tests only: require"},
		{"go.uber.org/goleak", "tests only: leak detection"},
	}
}

// Exceptions excuses single findings: the rule, the file or folder, a part of
// the finding's text, and why the rule does not fit there.
func Exceptions() []Exception {
	const (
		elapsed  = "how long something took or may take, by the monotonic clock; never stored, never compared between drives"
		fallback = "the one place where the injected clock has its default"
	)
	return []Exception{
		{"skip", "strace_linux_test.go", "", "strace is a program that may not be installed, or not be allowed; .ci/run sees to it"},
		{"calls", "store.go", "time.Now in Options.fill", fallback},
		{"calls", "internal/driveset/set.go", "time.Now in Options.fill", fallback},
		{"calls", "layout/place.go", "time.Now in Options.filled", fallback},
		{"calls", "internal/driveset/copy.go", "time.Now in copying.pace", elapsed},
		{"calls", "internal/driveset/health.go", "time.Now in ", elapsed},
		{"calls", "internal/driveset/data.go", "time.Now in Set.readOptions", elapsed},
		{"calls", "internal/driveset/heal.go", "time.Now in Set.newHealer", elapsed},
		{"calls", "internal/driveset/keeper.go", "time.Now in ", elapsed},
		{"calls", "internal/driveset/keeper.go", "time.Since in ", elapsed},
		{"calls", "internal/driveset/link.go", "time.Now in ", elapsed},
		{"calls", "internal/driveset/set.go", "time.Now in tenure.quiesce", elapsed},
		{"calls", "internal/driveset/tenure.go", "time.Now in ", elapsed},
		{"calls", "internal/driveset/vacancy.go", "time.Now in Set.giveBack", elapsed},
		{"calls", "internal/driveset/view.go", "time.Now in ", elapsed},
		{"calls", "internal/driveset/view.go", "time.Since in View.aging", elapsed},
		{"calls", "internal/vfs/latch/latch.go", "time.Now in New", elapsed},
		{"calls", "internal/vfs/latch/inflight.go", "time.Since in inflight.begin", elapsed},
		{"calls", "internal/vfs/latch/inflight.go", "rand/v2.IntN in inflight.begin",
			"spreads operations over counters; no outcome depends on the number"},
		{"calls", "internal/vfs/memfs/node.go", "time.Now in node.writeAt",
			"the time of a change, as any file system keeps it; no decision rests on it"},
		{"calls", "internal/vfs/crashfs/policy.go", "panic in image.buildDir", "an assertion in a simulated disk, for tests only"},
		{"calls", "layout/internal/wire/wire.go", "panic in mustModes", "an assertion over constants, which the first test would hit"},
		{"calls", "s3api/handler.go", "panic in Handler.ServeHTTP",
			"http.ErrAbortHandler is how net/http lets a handler cut off an answer that has begun"},
		{"skip", "examples/server/mounts_test.go", "t.Skipf", "mounting needs rights that a build constraint cannot ask for"},
		{"calls", "s3api/internal/meter/meter.go", "time.Now in Meter.deadline", "deadlines of connections are kept by the system's clock"},
		{"calls", "s3api/s3apitest/client.go", "panic in C.fail", "it ends a case; who runs the case recovers it"},
		{"globals", "layout", "package-level variable key",
			"keys of the index, given to a library that documents that it copies them and never writes to them"},
	}
}
