package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/sherd-storage/sherd/internal/vfs"
)

// The first tags of an edit in the library's manifest: the name of the order
// of keys, and the oldest log that is not in tables yet.
const (
	tagComparer = 1
	tagLog      = 2
)

// intact makes sure that the manifest does not end too early. The library takes
// the first record that it can not read for the end that a crash has left, and
// goes on without the tables of later ones, whose logs are gone: there would be
// a hole in the middle of what the index holds, and nothing would say so.
//
// It is told from a crash by the logs. An edit names the oldest log that is not
// in tables yet, and is durable before older ones are removed. So of the logs
// from there on the first is the one that it names, or the one with which the
// index was opened last, whose number is below that of the options then
// written; any other one means that an edit is missing. A log without a record
// means nothing: there is no hole without something behind it.
func intact(fsys vfs.FS, dir string) error {
	name, err := atomicfs.ReadMarker(fsys, dir, "manifest")
	if err != nil || name == "" {
		return err // no index: the library says the rest
	}
	f, err := fsys.Open(fsys.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", ErrCorrupt, name)
	}
	if err != nil {
		return err
	}
	oldest, err := oldestLog(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	var options, first uint64
	for _, name := range names {
		if n, ok := strings.CutPrefix(name, "OPTIONS-"); ok {
			options = max(options, number(n))
		}
		if n, ok := strings.CutSuffix(name, ".log"); ok && number(n) >= oldest && (first == 0 || number(n) < first) {
			first = number(n)
		}
	}
	if first == oldest || first <= options {
		return nil
	}
	if empty, err := emptyLog(fsys, dir, first); err != nil || empty {
		return err
	}
	return fmt.Errorf("%w: %s ends at log %d, and %d is the first there is", ErrCorrupt, name, oldest, first)
}

// number reads the number of a file; 0 if it is none.
func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func emptyLog(fsys vfs.FS, dir string, n uint64) (bool, error) {
	f, err := fsys.Open(fsys.PathJoin(dir, fmt.Sprintf("%06d.log", n)))
	if err != nil {
		return false, err
	}
	in := &keepsError{r: f}
	_, err = numbered(record.NewReader, in, n).Next()
	return err != nil, errors.Join(in.err, f.Close())
}

// numbered makes a reader of a log. The library's type of numbers has no name
// outside of it.
func numbered[N ~uint64](of func(io.Reader, N) *record.Reader, r io.Reader, n uint64) *record.Reader {
	return of(r, N(n))
}

// oldestLog reads a manifest as far as its records are whole.
func oldestLog(f io.Reader) (oldest uint64, err error) {
	in := &keepsError{r: f}
	edits := record.NewReader(in, 0)
	for n := 0; ; n++ {
		edit, err := edits.Next()
		var data []byte
		if err == nil {
			data, err = io.ReadAll(edit)
		}
		switch {
		case in.err != nil:
			return 0, in.err
		case err == nil:
		case n == 0:
			return 0, fmt.Errorf("%w: the first record: %w", ErrCorrupt, err)
		case errors.Is(err, io.EOF), record.IsInvalidRecord(err):
			return oldest, nil
		default: // one bit is wrong, and the library knows which
			return 0, fmt.Errorf("%w: record %d: %w", ErrCorrupt, n, err)
		}
		if log, ok := logOf(data); ok {
			oldest = log
		}
	}
}

// logOf is the log that an edit names, if it does.
func logOf(edit []byte) (uint64, bool) {
	in := bytes.NewReader(edit)
	tag, err := binary.ReadUvarint(in)
	if err == nil && tag == tagComparer {
		var size uint64
		if size, err = binary.ReadUvarint(in); err == nil && size <= uint64(in.Len()) {
			_, err = in.Seek(int64(size), io.SeekCurrent)
		}
		if err == nil {
			tag, err = binary.ReadUvarint(in)
		}
	}
	if err != nil || tag != tagLog {
		return 0, false
	}
	log, err := binary.ReadUvarint(in)
	return log, err == nil
}

// keepsError tells errors of the drive from those of the records.
type keepsError struct {
	r   io.Reader
	err error
}

func (k *keepsError) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		k.err = err
	}
	return n, err
}
