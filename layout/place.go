package layout

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout/internal/index"
)

// Format is the version of the drive format that this code writes.
const Format = 1

// The names in a drive's directory.
const (
	nameFormat     = "format.json"
	nameLock       = "lock"
	nameReserve    = "reserve"
	nameIndex      = "index"
	nameShards     = "shards"
	nameQuarantine = "quarantine"

	maxFormatFile = 64 << 10
)

// Cache is memory for blocks of indexes, shared by the drives of a store.
type Cache = index.Cache

// NewCache makes a cache of so many bytes. It is closed after all drives that
// use it.
func NewCache(bytes int64) *Cache { return index.NewCache(bytes) }

// Options of a place. Nil means all defaults.
type Options struct {
	Logger *slog.Logger // nil: nothing is logged
	Cache  *Cache       // nil: 8 MiB for this drive alone
	// ReserveBytes is what is kept back for deletes, aborts, marks and
	// compaction. 0: 5 % of the filesystem, at least 64 MiB and at most 1 GiB or
	// a quarter of it, and none in memory; below 0: none.
	ReserveBytes int64
	// TrustLocks opens drives also where the operating system's locks can not
	// be relied on (NFS, SMB, FUSE): two processes may then write at once.
	TrustLocks bool
	Memory     bool // the file system is in memory
	// ReadOnly changes no byte: nothing is made or written, a change is refused
	// with ErrReadOnly. The lock is one that others who only read may hold too.
	ReadOnly bool
	Now      func() time.Time // nil: time.Now
}

func (o *Options) filled() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.ReadOnly || out.Memory && out.ReserveBytes == 0 {
		out.ReserveBytes = -1
	}
	return out
}

// Condition is what a place is, as far as one can tell without its index.
type Condition uint8

// The conditions of places.
const (
	Missing       Condition = iota // there is no directory
	Empty                          // nothing in it but what a fresh filesystem has
	HalfFormatted                  // formatting was begun and not ended; nothing was ever stored
	NoIndex                        // a drive whose index is not there
	Formatted                      // a drive
)

// String is the condition in lower case.
func (c Condition) String() string {
	return [...]string{"missing", "empty", "half-formatted", "without index", "formatted"}[c]
}

// Claimed is a directory that is a drive, or may become one, with the operating
// system's lock held on it from Claim (or from Format, where there was no
// directory) until Release. Its methods may be called by several goroutines;
// those with a context exclude each other.
type Claimed struct {
	fs     vfs.FS
	path   string
	opts   Options
	onDisk bool // real paths: there are mounts and kinds of filesystems
	turn   chan struct{}

	// Held by who has the turn.
	lock  io.Closer
	at    vfs.Identity // the directory that is locked
	held  vfs.Identity // its lock file, which is open: no other file gets its number
	drive *disk        // open, handed out or not
	ready bool         // drive was made by Format and not yet handed out

	belied error    // by the index, of the drive that format.json said
	belier Identity // it was

	mu         sync.Mutex // guards what follows
	condition  Condition
	id         Identity
	filesystem string
	parent     string
}

// Claim looks at a directory and locks it. Nothing is changed but that the
// lock file is made, and not even that where the directory is missing or holds
// something else. ErrForeign, ErrInUse (by this process, too), ErrUntrusted,
// ErrNewerFormat, ErrHalfFormat where a drive has lost its format.json,
// ErrBadRecord when that file is none.
func Claim(ctx context.Context, fsys vfs.FS, path string, o *Options) (*Claimed, error) {
	p := &Claimed{fs: fsys, path: path, opts: o.filled(), turn: make(chan struct{}, 1)}
	p.onDisk = pebblevfs.Root(fsys) == vfs.OS()
	if p.opts.ReadOnly {
		p.fs = vfs.ReadOnly(fsys)
	}
	if err := p.Look(ctx); err != nil {
		return nil, errors.Join(err, p.unlock())
	}
	return p, nil
}

// Path is the directory, as it was given.
func (p *Claimed) Path() string { return p.path }

// Condition is what the place was when it was last looked at.
func (p *Claimed) Condition() Condition {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.condition
}

// Identity is who the drive is; false where there is none.
func (p *Claimed) Identity() (Identity, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id, p.condition >= NoIndex
}

// Filesystem names the filesystem that the place is on, "" when it is not
// known. Where the directory is missing it is that of the nearest one above.
func (p *Claimed) Filesystem() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.filesystem
}

// ParentFilesystem names the filesystem of the directory above. It differs
// where the place is the root of a mounted filesystem.
func (p *Claimed) ParentFilesystem() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.parent
}

func (p *Claimed) take(ctx context.Context) error { return takeTurn(ctx, p.turn) }

func takeTurn(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Claimed) give() { <-p.turn }

// Look looks at the place again, and locks it again if another directory is
// there now. Errors are those of Claim. ErrInUse while its drive is open.
func (p *Claimed) Look(ctx context.Context) error {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	if p.drive != nil && !p.ready {
		return fmt.Errorf("%w: close the drive first", ErrInUse)
	}
	return p.look()
}

func (p *Claimed) look() error {
	p.findFilesystem()
	condition, id, err := p.inspect()
	if err != nil {
		return err
	}
	if condition == Missing || condition == Empty && p.opts.ReadOnly { // where nothing is there is nothing to lock
		err = p.unlock()
	} else if err = p.relock(); err == nil {
		condition, id, err = p.inspect() // what it is now that nobody else changes it
	}
	if err == nil && condition == HalfFormatted {
		err = p.neverServed()
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.condition, p.id = condition, id
	return nil
}

func (p *Claimed) findFilesystem() {
	var filesystem, parent string
	if p.onDisk {
		at := p.path
		device, same, err := vfs.Mount(at)
		for errors.Is(err, fs.ErrNotExist) && p.fs.PathDir(at) != at {
			at = p.fs.PathDir(at)
			device, same, err = vfs.Mount(at)
		}
		if err == nil {
			filesystem = fmt.Sprintf("%x", device)
			parent = filesystem
			if above, err := vfs.FilesystemID(p.fs.PathJoin(at, "..")); err == nil && !same && at == p.path {
				parent = fmt.Sprintf("%x", above)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.filesystem, p.parent = filesystem, parent
}

// relock takes the lock, if it is not held on the directory and the lock file
// that are there now.
func (p *Claimed) relock() error {
	file := p.fs.PathJoin(p.path, nameLock)
	at, err := vfs.Identify(p.fs, p.path)
	if err != nil && !errors.Is(err, vfs.ErrNoIdentity) {
		return err
	}
	if p.lock != nil {
		if held, e := vfs.Identify(p.fs, file); err == nil && e == nil && at == p.at && held == p.held {
			return nil
		}
		if err := p.unlock(); err != nil {
			return err
		}
	}
	if p.onDisk && !p.opts.TrustLocks {
		if trust, err := vfs.LockTrust(p.path); err != nil {
			return err
		} else if trust == vfs.TrustNone {
			return fmt.Errorf("%w: %s", ErrUntrusted, p.path)
		}
	}
	p.lock, err = p.fs.Lock(file)
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: %s", ErrInUse, p.path)
	}
	if err != nil {
		return err
	}
	p.at = at
	if p.held, err = vfs.Identify(p.fs, file); errors.Is(err, vfs.ErrNoIdentity) {
		return nil
	}
	return err
}

func (p *Claimed) unlock() error {
	if p.lock == nil {
		return nil
	}
	err := p.lock.Close()
	p.lock, p.belied = nil, nil
	return err
}

// inspect tells what the directory is, from its names and format.json.
func (p *Claimed) inspect() (Condition, Identity, error) {
	info, err := p.fs.Stat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Missing, Identity{}, nil
	}
	if err != nil {
		return 0, Identity{}, err
	}
	if !info.IsDir() {
		return 0, Identity{}, fmt.Errorf("%w: %s is no directory", ErrForeign, p.path)
	}
	names, err := p.fs.List(p.path)
	if err != nil {
		return 0, Identity{}, err
	}
	condition, strange := Empty, ""
	for _, name := range names {
		switch {
		case name == nameFormat:
			return p.inspectFormatted()
		case name == nameLock || fresh(name):
		case ours(name):
			condition = HalfFormatted
		default:
			strange = name
		}
	}
	if strange != "" {
		return 0, Identity{}, fmt.Errorf("%w: %s holds %q", ErrForeign, p.path, strange)
	}
	return condition, Identity{}, nil
}

func ours(name string) bool {
	switch name {
	case nameFormat + ".tmp", nameReserve, nameIndex, nameShards, nameQuarantine:
		return true
	}
	return false
}

// fresh are the names that systems put into a filesystem that is empty.
func fresh(name string) bool {
	switch name {
	case "lost+found", ".DS_Store", ".Spotlight-V100", ".fseventsd", ".TemporaryItems", ".Trashes",
		"System Volume Information", "$RECYCLE.BIN", ".snapshot", ".snapshots", ".zfs":
		return true
	}
	return strings.HasPrefix(name, ".Trash-")
}

func (p *Claimed) inspectFormatted() (Condition, Identity, error) {
	id, err := readFormat(p.fs, p.path)
	if errors.Is(err, ErrBadRecord) {
		err = fmt.Errorf("%w: %s", err, restore)
	}
	if err != nil {
		return 0, Identity{}, fmt.Errorf("%s: %w", p.path, err)
	}
	exists, err := index.Exists(p.fs, p.fs.PathJoin(p.path, nameIndex))
	if err != nil {
		return 0, Identity{}, err
	}
	if !exists {
		return NoIndex, id, nil
	}
	return Formatted, id, nil
}

func readFormat(fsys vfs.FS, path string) (Identity, error) {
	f, err := fsys.Open(fsys.PathJoin(path, nameFormat))
	if err != nil {
		return Identity{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFormatFile+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return Identity{}, err
	}
	return DecodeIdentity(data)
}

// formatFile is format.json.
type formatFile struct {
	Format     int       `json:"format"`
	Deployment string    `json:"deployment"`
	Pool       int       `json:"pool"`
	Set        int       `json:"set"`
	Slot       int       `json:"slot"`
	Drives     int       `json:"drives"`
	Drive      string    `json:"drive"`
	Created    time.Time `json:"created"`
}

// EncodeIdentity gives the content of a format.json.
func EncodeIdentity(id Identity, created time.Time) ([]byte, error) {
	if err := id.check(); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(formatFile{
		Format: id.Format, Deployment: id.Deployment.String(), Pool: id.Pool, Set: id.Set, Slot: id.Slot,
		Drives: id.Drives, Drive: id.Drive.String(), Created: created.UTC().Truncate(time.Second),
	}, "", "  ")
	return append(data, '\n'), err
}

// DecodeIdentity reads a format.json. Fields that it does not know are passed
// over. ErrNewerFormat for another format than this version's, ErrBadRecord
// for anything that is no format.json.
func DecodeIdentity(data []byte) (Identity, error) {
	if len(data) > maxFormatFile {
		return Identity{}, fmt.Errorf("%w: format.json of more than %d bytes", ErrBadRecord, maxFormatFile)
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &version); err == nil && version.Format > Format {
		return Identity{}, fmt.Errorf("%w: format %d", ErrNewerFormat, version.Format)
	}
	var f formatFile
	if err := json.Unmarshal(data, &f); err != nil {
		return Identity{}, fmt.Errorf("%w: format.json: %w", ErrBadRecord, err)
	}
	id := Identity{Format: f.Format, Pool: f.Pool, Set: f.Set, Slot: f.Slot, Drives: f.Drives}
	if len(f.Deployment) != 2*len(id.Deployment) || len(f.Drive) != 2*len(id.Drive) {
		return Identity{}, fmt.Errorf("%w: format.json: an id of the wrong length", ErrBadRecord)
	}
	_, err := hex.Decode(id.Deployment[:], []byte(f.Deployment))
	_, err2 := hex.Decode(id.Drive[:], []byte(f.Drive))
	if err := errors.Join(err, err2); err != nil {
		return Identity{}, fmt.Errorf("%w: format.json: %w", ErrBadRecord, err)
	}
	return id, id.check()
}

func (id Identity) check() error {
	switch {
	case id.Format != Format:
		return fmt.Errorf("%w: format %d", ErrBadRecord, id.Format)
	case id.Drives < 1 || id.Drives > MaxDrives || id.Slot < 0 || id.Slot >= id.Drives || id.Pool < 0 || id.Set < 0:
		return fmt.Errorf("%w: slot %d of %d drives, set %d, pool %d", ErrBadRecord, id.Slot, id.Drives, id.Set, id.Pool)
	case id.Drive.IsZero() || id.Deployment == DeploymentID{}:
		return fmt.Errorf("%w: an id that is zero", ErrBadRecord)
	}
	return nil
}

// Open opens the drive that is there, once at a time (ErrInUse). ErrNotFound
// where there is none; ErrCorruptIndex and ErrNewerFormat say what they say;
// any other error means that the drive is out of reach now.
func (p *Claimed) Open(ctx context.Context) (Drive, error) {
	if err := p.take(ctx); err != nil {
		return nil, err
	}
	defer p.give()
	if p.ready {
		p.ready = false
		return p.drive, nil
	}
	if p.drive != nil {
		return nil, fmt.Errorf("%w: %s", ErrInUse, p.path)
	}
	if p.lock == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, p.path)
	}
	p.mu.Lock()
	condition, id := p.condition, p.id
	p.mu.Unlock()
	switch condition {
	case NoIndex:
		return nil, fmt.Errorf("%w: %s has none", ErrCorruptIndex, p.path)
	case HalfFormatted:
		return nil, fmt.Errorf("%w: %s", ErrHalfFormat, p.path)
	case Missing, Empty:
		return nil, fmt.Errorf("%w: %s", ErrNotFound, p.path)
	}
	d := newDisk(p, id)
	if err := d.open(ctx, false); err != nil {
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	p.drive = d
	return d, nil
}

// Release closes the drive, if it is open, and gives the lock back.
func (p *Claimed) Release() error {
	p.turn <- struct{}{}
	defer p.give()
	var err error
	if p.drive != nil {
		err = p.drive.shut()
		p.drive, p.ready = nil, false
	}
	return errors.Join(err, p.unlock())
}

// closed forgets the drive.
func (p *Claimed) closed(d *disk) {
	p.turn <- struct{}{}
	defer p.give()
	if p.drive == d {
		p.drive = nil
	}
}
