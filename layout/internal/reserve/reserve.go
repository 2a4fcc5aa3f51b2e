// Package reserve keeps account of a drive's space: what is free beyond a
// reserve for work that must not fail, part of which is a file that holds the
// space and is given up when the index finds none.
//
// All methods are safe for concurrent use.
package reserve

import (
	"errors"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sherd-storage/sherd/internal/vfs"
)

// The default reserve: 5 % of the filesystem, within these bounds in bytes, and
// never more than a quarter. A flush and a compaction of the index write what
// they replace once more, before that goes.
const (
	Least = 64 << 20
	Most  = 1 << 30

	fileBytes = 16 << 20 // of the reserve are held by the file
)

// Space is the account of one drive.
type Space struct {
	fs        vfs.FS
	dir, file string
	asked     int64        // reserve in bytes; 0 the default, below 0 none
	free      atomic.Int64 // beyond the reserve, as of the last measurement, less what was written since

	mu   sync.Mutex // one measurement or relief at a time: both make and remove the file
	held int64      // bytes of the file
}

// Usage is what Measure found, in bytes.
type Usage struct{ Total, Free, Reserve uint64 }

// New makes an account for the directory dir, whose reserve is kept in file.
// The file system must be the one below the latch.
func New(fsys vfs.FS, dir, file string, asked int64) *Space {
	return &Space{fs: fsys, dir: dir, file: file, asked: asked}
}

// Measure asks the filesystem how much is free, and makes the reserve's file
// if it is not there and there is room for it again.
func (s *Space) Measure() (Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	du, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return Usage{}, err
	}
	reserve := s.asked
	switch {
	case reserve < 0:
		reserve = 0
	case reserve == 0:
		reserve = int64(min(max(du.TotalBytes/20, Least), Most, du.TotalBytes/4))
	}
	avail := int64(min(du.AvailBytes, 1<<62))
	if file := min(reserve/2, fileBytes); s.held == 0 && file > 0 && (avail > 2*file || s.exists()) && s.fill(file) == nil {
		if du, err = s.fs.GetDiskUsage(s.dir); err != nil {
			return Usage{}, err
		}
		avail = int64(min(du.AvailBytes, 1<<62))
	}
	free := max(0, avail+s.held-reserve)
	s.free.Store(free)
	return Usage{Total: du.TotalBytes, Free: uint64(free), Reserve: uint64(reserve)}, nil
}

// exists tells whether there is a file from before: however full the drive is
// now, its space is what can be given up.
func (s *Space) exists() bool {
	_, err := s.fs.Stat(s.file)
	return err == nil
}

// fill makes the file. That there is one is no promise, so its errors are
// nobody's: it is tried again at the next measurement.
func (s *Space) fill(bytes int64) error {
	f, err := s.fs.OpenReadWrite(s.file, vfs.Unspecified)
	if err != nil {
		return err
	}
	if runtime.GOOS == "linux" {
		err = f.Preallocate(0, bytes) // takes the blocks; where they are taken already, nothing
	}
	if runtime.GOOS != "linux" || err != nil {
		err = zeros(f, bytes)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.fs.Remove(s.file))
	}
	s.held = bytes
	return nil
}

func zeros(f vfs.File, bytes int64) error {
	if info, err := f.Stat(); err != nil || info.Size() >= bytes {
		return err
	}
	chunk := make([]byte, 256<<10)
	for at := int64(0); at < bytes; at += int64(len(chunk)) {
		if _, err := f.WriteAt(chunk[:min(int64(len(chunk)), bytes-at)], at); err != nil {
			return err
		}
	}
	return nil
}

// Relieve gives the file up and tells whether that freed anything.
func (s *Space) Relieve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == 0 {
		return false
	}
	s.held = 0
	err := s.fs.Remove(s.file)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}

// Wrote notes that so many bytes were written since the last measurement.
func (s *Space) Wrote(bytes int64) { s.free.Add(-bytes) }

// Room tells whether so many bytes can be written without touching the reserve.
func (s *Space) Room(bytes int64) bool { return s.free.Load() >= bytes }
