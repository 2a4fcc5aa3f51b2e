package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"

	"github.com/sherd-storage/sherd/internal/vfs"
)

// Errors of Open.
var (
	ErrCorrupt = errors.New("corrupt")
	ErrNewer   = errors.New("written by a newer version")
	ErrMissing = errors.New("no index there")
)

// format is what new indexes are written in. Raising it is a change of the
// drive format.
const format = pebble.FormatValueSeparation

// Options of an index.
type Options struct {
	Logger *slog.Logger
	Cache  *pebble.Cache // nil: an own one of 8 MiB
	Memory bool          // the file system is in memory
	Create bool          // there must be none yet; otherwise there must be one

	ReadOnly bool
	// Fatal is told what the library takes for the end of the process.
	Fatal func(error)
	// Changed is called when files of the index were replaced, and readers
	// opened before hold the old ones. It must not block.
	Changed func()
	// Damaged is called when a checksum of the index did not hold.
	Damaged func(error)
}

const (
	manifestMarker = "marker.manifest." // begins the name of the file that is there when an index is

	ownCache  = 8 << 20
	keyBundle = 16 // on disk, in the name of the schema
)

// Open opens or creates the index in dir. The file system must hide failures
// that the library does not survive (see package latch).
func Open(fsys vfs.FS, dir string, o Options) (*pebble.DB, error) {
	if !o.Create {
		if err := errors.Join(look(fsys, dir), intact(fsys, dir)); err != nil {
			return nil, err
		}
	}
	db, err := pebble.Open(dir, o.pebble(fsys))
	switch {
	case err == nil:
		return db, nil
	case pebble.IsCorruptionError(err), errors.Is(err, fs.ErrNotExist), errors.Is(err, pebble.ErrDBNotPristine), contradicts(err):
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil, err
}

// contradicts: all that is wrong is that files of the index do not say the same, for
// which the library has texts rather than types: a table is longer or shorter than the
// manifest says, or the options name an order of keys that no index of this format has.
// Anything else among it may pass, and says nothing of what is on the disk.
func contradicts(err error) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(many.Unwrap(), func(e error) bool { return !contradicts(e) })
	}
	if inner := errors.Unwrap(err); inner != nil {
		return contradicts(inner)
	}
	if _, elsewhere := err.(pebble.ErrMissingWALRecoveryDir); elsewhere { // logs are always in the index's own directory
		return true
	}
	text := err.Error()
	return strings.Contains(text, "object size mismatch") || strings.Contains(text, "name from file") || errors.Is(err, fs.ErrNotExist)
}

// Exists tells whether there is an index in dir: created to the end, whatever
// became of it since.
func Exists(fsys vfs.FS, dir string) (bool, error) {
	switch err := look(fsys, dir); {
	case err == nil, errors.Is(err, ErrNewer):
		return true, nil
	case errors.Is(err, ErrMissing):
		return false, nil
	default:
		return false, err
	}
}

// look reads the names of the markers, in which the library keeps the format
// of an index, and that there is one.
func look(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrMissing
	}
	if err != nil {
		return err
	}
	found := false
	for _, name := range names {
		found = found || strings.HasPrefix(name, manifestMarker) && !unmade(names, name)
		version, ok := strings.CutPrefix(name, "marker.format-version.")
		if !ok {
			continue
		}
		_, version, _ = strings.Cut(version, ".")
		if n, err := strconv.ParseUint(version, 10, 32); err == nil && pebble.FormatMajorVersion(n) > pebble.FormatNewest {
			return fmt.Errorf("%w: index format %d", ErrNewer, n)
		}
	}
	if !found {
		return ErrMissing
	}
	return nil
}

// unmade: what a marker names is not there, nor anything that an index in use has.
// A crash leaves that while an index is being made, as the names of the manifest and
// of its marker become durable together.
func unmade(names []string, marker string) bool {
	_, manifest, _ := strings.Cut(strings.TrimPrefix(marker, manifestMarker), ".")
	for _, name := range names {
		if name == manifest || strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".sst") {
			return false
		}
	}
	return true
}

// Remove removes an index for good. The marker goes first and durably: a crash
// leaves the whole index, or files that are none, and never one that is
// corrupt.
func Remove(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, manifestMarker) {
			if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	f, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return fsys.RemoveAll(dir)
}

func (o *Options) pebble(fsys vfs.FS) *pebble.Options {
	// Tables name the schema of their keys, bundle size and all, and are not
	// read without it: so it is said here and not left to the library's default.
	schema := colblk.DefaultKeySchema(Comparer(), keyBundle)
	p := &pebble.Options{
		KeySchema:                   schema.Name,
		KeySchemas:                  sstable.MakeKeySchemas(&schema),
		FS:                          fsys,
		Comparer:                    Comparer(),
		FormatMajorVersion:          format,
		Logger:                      logger{slog: o.Logger, fatal: o.Fatal},
		EventListener:               o.events(),
		Cache:                       o.Cache,
		CacheSize:                   ownCache,
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                256,
		MaxManifestFileSize:         16 << 20,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               64 << 20,
		ErrorIfExists:               o.Create,
		ErrorIfNotExists:            !o.Create,
		ReadOnly:                    o.ReadOnly,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
	}
	for i := range p.Levels {
		p.Levels[i].BlockSize = 8 << 10
		p.Levels[i].IndexBlockSize = 32 << 10
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].FilterType = pebble.TableFilter
		if o.Memory {
			p.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		}
	}
	return p
}

func (o *Options) events() *pebble.EventListener {
	changed := func() {
		if o.Changed != nil {
			o.Changed()
		}
	}
	e := &pebble.EventListener{
		FlushEnd:      func(pebble.FlushInfo) { changed() },
		CompactionEnd: func(pebble.CompactionInfo) { changed() },
		BackgroundError: func(err error) {
			o.Logger.Warn("index: background work failed", "error", err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			o.Logger.Error("index: corrupt", "file", info.Path, "error", info.Details)
			if o.Damaged != nil {
				o.Damaged(info.Details)
			}
		},
	}
	return e
}

// logger passes the library's lines on. Nothing ends the process.
type logger struct {
	slog  *slog.Logger
	fatal func(error)
}

func (l logger) Infof(f string, args ...any)  { l.line(slog.LevelDebug, f, args) }
func (l logger) Errorf(f string, args ...any) { l.line(slog.LevelInfo, f, args) }

func (l logger) line(level slog.Level, f string, args []any) {
	if ctx := context.Background(); l.slog.Enabled(ctx, level) {
		l.slog.Log(ctx, level, "index: "+fmt.Sprintf(f, args...))
	}
}

func (l logger) Fatalf(f string, args ...any) {
	err := fmt.Errorf(f, args...)
	l.slog.Error("index: can not go on", "error", err)
	if l.fatal != nil {
		l.fatal(err)
	}
}

// Cache is memory for blocks of indexes, shared by those that are opened with
// it.
type Cache struct {
	cache  *pebble.Cache
	closed atomic.Bool
}

// NewCache makes a cache of so many bytes.
func NewCache(bytes int64) *Cache { return &Cache{cache: pebble.NewCache(bytes)} }

// Close gives the memory back once the last index that uses it is closed.
func (c *Cache) Close() {
	if c.closed.CompareAndSwap(false, true) {
		c.cache.Unref()
	}
}

// Pebble is the library's own; nil of a Cache that is nil or closed.
func (c *Cache) Pebble() *pebble.Cache {
	if c == nil || c.closed.Load() {
		return nil
	}
	return c.cache
}
