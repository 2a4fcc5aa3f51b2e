package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout/internal/index"
)

// neverServed makes sure of a directory without format.json that nothing was
// ever stored there: its index has no state but of generation 0, or there is
// none.
func (p *Claimed) neverServed() error {
	generation, err := p.generation()
	if err == nil && generation > 0 {
		err = fmt.Errorf("%w: %s was in use and has lost its %s", ErrHalfFormat, p.path, nameFormat)
	}
	return err
}

// generation is that of the state in the index: 0 if there is no index.
func (p *Claimed) generation() (generation uint64, err error) {
	dir := p.fs.PathJoin(p.path, nameIndex)
	if exists, err := index.Exists(p.fs, dir); err != nil || !exists {
		return 0, err
	}
	err = p.peek(keyState, func(value []byte) error {
		state, err := DecodeState(value)
		generation = state.Generation
		return err
	})
	if isAbsent(err) {
		err = nil
	}
	return generation, err
}

// peek reads one value of the index, changing nothing.
func (p *Claimed) peek(key []byte, use func(value []byte) error) error {
	d := newDisk(p, Identity{})
	db, err := index.Open(p.fs, p.fs.PathJoin(p.path, nameIndex), d.indexOptions(false, true))
	if err != nil {
		return indexError(err)
	}
	value, closer, err := db.Get(key)
	if err == nil {
		err = errors.Join(use(value), closer.Close())
	}
	return errors.Join(err, db.Close())
}

// Vouch asks the index of a drive whether it is the drive that format.json says,
// and changes nothing. ErrDamaged where it is another one: the index has checksums,
// and the file has none. Any other error, and nil where there is no index, means that
// nothing more is known than the file says. While the lock is held it remembers.
func (p *Claimed) Vouch(ctx context.Context) error {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	id, _ := p.Identity()
	if p.drive != nil || p.Condition() != Formatted {
		return nil
	}
	if p.belied != nil && p.belier == id {
		return p.belied
	}
	err := p.peek(keyDrive, id.is)
	if err != nil {
		err = fmt.Errorf("%s: %w", p.path, err)
	}
	if errors.Is(err, ErrDamaged) {
		p.belied, p.belier = err, id
	}
	return err
}

// restore is what to do about a format.json that can not be believed.
const restore = "give the file its content of before, or an empty directory in the drive's place, which is filled anew"

// is compares the identity with the index's; ErrDamaged where they differ.
func (id Identity) is(stored []byte) error {
	if want, err := id.value(); err != nil || bytes.Equal(stored, want) {
		return err
	}
	return fmt.Errorf("%w: %s and index are not of the same drive: %s", ErrDamaged, nameFormat, restore)
}

// Format makes a drive of a place: one that is missing, empty or half
// formatted; one that has lost its index, or whose index was put aside, whose
// shard files stay; and a drive that was never served, of generation 0. Any
// other is refused with ErrExists. The state must be of generation 0.
//
// format.json is written last, so an error or a crash leaves a place that may
// be formatted again.
func (p *Claimed) Format(ctx context.Context, id Identity, state State) error {
	if p.opts.ReadOnly {
		return ErrReadOnly
	}
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	if p.drive != nil && !p.ready {
		return fmt.Errorf("%w: close the drive first", ErrInUse)
	}
	value, err := EncodeIdentity(id, p.opts.Now())
	if err != nil {
		return err
	}
	if state.Generation != 0 || len(state.Names) != id.Drives || state.Names[id.Slot].Drive != id.Drive {
		return fmt.Errorf("%w: a first state has generation 0 and names the drive", ErrBadRecord)
	}
	if p.ready {
		if err := p.drive.shut(); err != nil {
			return err
		}
		p.drive, p.ready = nil, false
	}
	if err := p.look(); err != nil {
		return err
	}
	if err := p.clear(); err != nil {
		return err
	}
	d := newDisk(p, id)
	if err := p.build(ctx, d, state, value); err != nil {
		return errors.Join(err, d.shut())
	}
	p.drive, p.ready = d, true
	p.mu.Lock()
	defer p.mu.Unlock()
	p.condition, p.id = Formatted, id
	return nil
}

// clear brings the place to a state in which there is neither format.json nor
// index, but for what must not be cleared.
func (p *Claimed) clear() error {
	join, dir := p.fs.PathJoin, p.path
	switch p.Condition() {
	case Missing:
		if err := p.fs.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := syncAbove(p.fs, dir); err != nil {
			return err
		}
		if err := p.relock(); err != nil {
			return err
		}
		condition, _, err := p.inspect()
		if err == nil && condition != Empty {
			err = fmt.Errorf("%w: %s was made by somebody else", ErrInUse, dir)
		}
		p.findFilesystem()
		return err
	case Formatted:
		generation, err := p.generation()
		if err != nil {
			return err
		}
		if generation > 0 {
			return fmt.Errorf("%w: %s is a drive in use", ErrExists, dir)
		}
	}
	if err := syncAbove(p.fs, dir); err != nil {
		return err
	}
	// Without format.json the place is half-formatted: whatever happens from
	// here on, it may be formatted again.
	if err := removeFile(p.fs, join(dir, nameFormat)); err != nil {
		return err
	}
	if err := syncDir(p.fs, dir); err != nil {
		return err
	}
	return index.Remove(p.fs, join(dir, nameIndex))
}

// build makes everything, in the order in which a crash does no harm.
func (p *Claimed) build(ctx context.Context, d *disk, state State, formatJSON []byte) error {
	join := d.fs.PathJoin
	for b := range 256 {
		if err := d.fs.MkdirAll(join(d.path, nameShards, fmt.Sprintf("%02x", b)), 0o700); err != nil {
			return err
		}
	}
	if err := d.fs.MkdirAll(join(d.path, nameQuarantine), 0o700); err != nil {
		return err
	}
	if err := syncDir(d.fs, join(d.path, nameShards)); err != nil {
		return err
	}
	d.held.State = state
	if err := d.open(ctx, true); err != nil {
		return err
	}
	// The index is there and synced. What is missing is only the file that says so.
	if err := syncDir(d.fs, d.path); err != nil {
		return err
	}
	if err := writeFile(d.fs, join(d.path, nameFormat+".tmp"), formatJSON); err != nil {
		return err
	}
	if err := d.fs.Rename(join(d.path, nameFormat+".tmp"), join(d.path, nameFormat)); err != nil {
		return err
	}
	if err := syncDir(d.fs, d.path); err != nil {
		return err
	}
	return d.latch.Err()
}

// Quarantine puts the index of a drive aside that is corrupt, with a reason
// for people. The drive is then NoIndex: it has forgotten its promise, and
// comes back only by Format, under a new id.
func (p *Claimed) Quarantine(ctx context.Context, reason string) error {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	if p.drive != nil {
		return fmt.Errorf("%w: close the drive first", ErrInUse)
	}
	if p.Condition() != Formatted {
		return fmt.Errorf("%w: %s has no index", ErrNotFound, p.path)
	}
	from := p.fs.PathJoin(p.path, nameIndex)
	if err := quarantine(p.fs, p.path, from, nameIndex, reason, p.opts.Now()); err != nil {
		return err
	}
	if err := syncDir(p.fs, p.path); err != nil {
		return err
	}
	return p.look()
}

// quarantine moves a file or directory into the quarantine, under its name
// and a number if that is taken, beside a file with the reason. The directory
// it came from is the caller's to sync.
func quarantine(fsys vfs.FS, drive, from, name, reason string, now time.Time) error {
	dir := fsys.PathJoin(drive, nameQuarantine)
	free := name
	for n := 1; ; n++ {
		_, err := fsys.Stat(fsys.PathJoin(dir, free))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		free = fmt.Sprintf("%s.%d", name, n)
	}
	text, err := json.MarshalIndent(quarantineNote{reason, now.UTC()}, "", "  ")
	if err != nil {
		return err
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := writeFile(fsys, fsys.PathJoin(dir, free+".json"), append(text, '\n')); err != nil {
		return err
	}
	if err := fsys.Rename(from, fsys.PathJoin(dir, free)); err != nil {
		return errors.Join(err, removeFile(fsys, fsys.PathJoin(dir, free+".json")))
	}
	return syncDir(fsys, dir)
}

// quarantineNote says why something is in quarantine, and since when.
type quarantineNote struct {
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
}

// putAsideAt reads from a note since when the thing is in quarantine.
func putAsideAt(fsys vfs.FS, path string) (time.Time, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return time.Time{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFormatFile))
	if err := errors.Join(err, f.Close()); err != nil {
		return time.Time{}, err
	}
	var note quarantineNote
	if err := json.Unmarshal(data, &note); err != nil {
		return time.Time{}, err
	}
	return note.Time, nil
}

// syncAbove makes durable that a directory is there, whoever made it and those above
// it: a drive whose own directory a crash takes back is lost. Directories that
// the process may not open, or whose filesystem can not do it, are passed over.
func syncAbove(fsys vfs.FS, dir string) error {
	for above := fsys.PathDir(dir); above != dir; dir, above = above, fsys.PathDir(above) {
		if err := syncDir(fsys, above); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

func syncDir(fsys vfs.FS, dir string) error {
	f, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func writeFile(fsys vfs.FS, path string, data []byte) error {
	f, err := fsys.Create(path, vfs.Unspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeFile(fsys vfs.FS, path string) error {
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
