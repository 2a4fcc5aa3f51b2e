package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"

	"github.com/sherd-storage/sherd/internal/vfs"
)

// Verify reads every block of every table that an open index consists of,
// compares its checksum, and reports each table where one does not hold. What
// is not in a table yet was read, and verified, when the index was opened. An
// error means that it could not go on.
func Verify(ctx context.Context, db *pebble.DB, fsys vfs.FS, dir string, report func(table string, err error)) error {
	levels, err := db.SSTables()
	if err != nil {
		return err
	}
	schema := colblk.DefaultKeySchema(Comparer(), keyBundle)
	o := sstable.ReaderOptions{Comparer: Comparer(), KeySchemas: sstable.MakeKeySchemas(&schema)}
	for _, tables := range levels {
		for _, t := range tables {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			name := fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum))
			if err := verifyTable(ctx, fsys, fsys.PathJoin(dir, name), o); err != nil {
				report(name, err)
			}
		}
	}
	return nil
}

func verifyTable(ctx context.Context, fsys vfs.FS, path string, o sstable.ReaderOptions) error {
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // replaced meanwhile: one that is missing does not let the index open
	}
	if err != nil {
		return err
	}
	table := &closedOnce{File: f}
	defer func() { _ = table.Close() }() // it was only read
	in, err := sstable.NewSimpleReadable(table)
	if err != nil {
		return err
	}
	r, err := sstable.NewReader(ctx, in, o)
	if err != nil {
		return err
	}
	err = r.ValidateBlockChecksums()
	if closed := r.Close(); err == nil {
		err = closed
	}
	return err
}

// closedOnce is a file that may be closed again. Of a table that can not be read the
// library closes some, and leaves others open.
type closedOnce struct {
	vfs.File
	closed bool
}

func (f *closedOnce) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	return f.File.Close()
}
