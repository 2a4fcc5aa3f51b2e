// Goal: drives that people have are read by every later version, and what is
// written does not change unseen. Method: one file for each structure, as it
// was written when the format was frozen, and a whole drive; SHERD_GOLDEN=new
// writes those that are missing, and never one that is there.
package layout_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout"
)

func writing() bool { return os.Getenv("SHERD_GOLDEN") == "new" }

func golden(t *testing.T, name string, value []byte, err error) {
	t.Helper()
	require.NoError(t, err)
	path := filepath.Join("testdata", "v1", name)
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && writing() {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, value, 0o644))
		return
	}
	require.NoError(t, err)
	require.Equal(t, want, value, name)
}

func identity() layout.Identity {
	return layout.Identity{Format: 1, Deployment: layout.DeploymentID{0xab, 15: 0xcd}, Slot: 1, Drives: 4, Drive: someDrives[1]}
}

func someState() layout.State {
	s := layout.State{InSync: someDrives}
	for _, d := range someDrives {
		s.Names = append(s.Names, layout.Name{Drive: d, Filesystem: "fe01"})
	}
	return s
}

func fullState() layout.State {
	s := someState()
	s.Owner, s.Generation, s.InSync = layout.Owner{Epoch: 3, Nonce: 9}, 4, someDrives[:3]
	s.Names[2].Past = []layout.DriveID{{0x77}, {0x78}}
	return s
}

func someHeader() layout.ShardHeader {
	return layout.ShardHeader{
		Deployment: layout.DeploymentID{0xab, 15: 0xcd}, Bucket: 3, Key: "key\x00", Data: someData, Upload: someUpload, Part: 2, Shard: 1, DataShards: 2, Parity: 2,
	}
}

func TestGoldenValues(t *testing.T) {
	put := func(name string, value []byte, err error) { t.Helper(); golden(t, name, value, err) }
	full, err := layout.EncodeRecord(fullRecord())
	put("record-full", full, err)
	access, err := layout.EncodeRecord(accessRecord())
	put("record-access", access, err)
	sealed, err := layout.EncodeRecord(sealedRecord())
	put("record-sealed", sealed, err)
	sealed, err = layout.EncodeRecord(sealedPart())
	put("record-sealed-part", sealed, err)
	grown, err := layout.EncodeRecord(grownRecord())
	put("record-grown", grown, err)
	parts, err := layout.EncodeRecord(partsRecord())
	put("record-parts", parts, err)
	empty, err := layout.EncodeRecord(&layout.Record{})
	put("record-empty", empty, err)
	e := fullEntry()
	require.NoError(t, e.Seal(layout.Chain{5}))
	value, err := layout.EncodeEntry(e)
	put("entry", value, err)
	value, err = layout.EncodeSession(&layout.Session{Begun: someTime, ContentType: "c", Metadata: map[string]string{"a": "b"}, Parity: 255})
	put("session", value, err)
	value, err = layout.EncodeSession(&layout.Session{Begun: someTime, Parity: 255, Access: []byte("who")})
	put("session-access", value, err)
	value, err = layout.EncodeSession(&layout.Session{Begun: someTime, Parity: 255, Sealed: sealedRecord().Sealed})
	put("session-sealed", value, err)
	value, err = layout.EncodeBucket(&layout.Bucket{ID: 7, Name: "bucket", Created: someTime, Versioning: 1, ObjectLock: true})
	put("bucket", value, err)
	value, err = layout.EncodeRuns([]layout.Run{{First: 1, Count: 9, Size: 5}, {First: 10, Count: 1, Size: 2}})
	put("runs", value, err)
	value, err = layout.EncodePromise(layout.Promise{Owner: layout.Owner{Epoch: 1, Nonce: 2}, Session: 3})
	put("promise", value, err)
	state := fullState()
	value, err = layout.EncodeState(&state)
	put("state", value, err)
	value, err = layout.EncodeSeal(layout.Seal{Epoch: 4, Position: 5})
	put("seal", value, err)
	value, err = layout.EncodeMark(layout.Mark{Position: 6, Chain: layout.Chain{7}})
	put("stable", value, err)
	value, err = layout.EncodeRemoved(8)
	put("removed", value, err)
	value, err = layout.EncodeRebuild(layout.Rebuild{Base: layout.Mark{Position: 6, Chain: layout.Chain{7}}, Reached: 9, Cursor: []byte("c")})
	put("rebuild", value, err)
	h := someHeader()
	value, err = layout.EncodeShardHeader(&h)
	put("shard-header", value, err)
	value, err = layout.EncodeTrailer(&layout.Trailer{Size: 10, Payload: 5, Checksums: someSums}, someData, 1)
	put("shard-trailer", value, err)
	value, err = layout.EncodeIdentity(identity(), time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))
	put("format.json", value, err)

	var slots []byte
	for _, s := range []layout.Slot{
		layout.VersionSlot(1, "a\x00b", 2), layout.InlineSlot(someData), layout.UploadSlot(1, "k", someUpload), layout.PartSlot(someUpload, 3), layout.SizesSlot(someUpload),
		layout.DataOwnerSlot(someData, layout.OwnerOfData{Bucket: 1, Key: "k", Version: 2}), layout.DataOwnerSlot(someData, layout.OwnerOfData{Upload: someUpload, Part: 3}),
		layout.UploadOwnerSlot(someUpload, layout.OwnerOfData{Bucket: 1, Key: "k"}), layout.DocumentSlot(1, "policy"), layout.NameSlot("name"), layout.AliasSlot(1, "k", "null"),
	} {
		slots = append(append(slots, byte(len(s))), s...)
	}
	put("slots", slots, nil)
}

// goldenDrive fills a drive with something of each kind.
func goldenDrive(t *testing.T, path string) {
	c, err := layout.Claim(t.Context(), vfs.OS(), path, &layout.Options{ReserveBytes: -1, Now: func() time.Time { return someTime }})
	require.NoError(t, err)
	require.NoError(t, c.Format(t.Context(), identity(), someState()))
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	p := layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}, Session: 1}
	_, err = d.Promise(t.Context(), p)
	require.NoError(t, err)
	w, err := d.Shards().Create(t.Context(), p, someHeader())
	require.NoError(t, err)
	frame, err := bitrot.NewSealer().AppendFrame(nil, bitrot.ShardID{Data: someData.Bytes(), Shard: 1}, 0, true, []byte("shard bytes"))
	require.NoError(t, err)
	_, err = w.Write(frame)
	require.NoError(t, err)
	require.NoError(t, w.Commit(t.Context(), layout.Trailer{Size: 22, Payload: 11}))
	first, second, abort := goldenEntries(t)
	state := fullState()
	require.NoError(t, d.Apply(t.Context(), p, layout.Batch{
		Entries: []*layout.Entry{first, second}, State: &state, Seal: &layout.Seal{Epoch: 3},
		Stable: &layout.Mark{Position: 1, Chain: first.Chain},
	}))
	// Opening the index again puts into a table what is only in its log so far.
	require.NoError(t, d.Close())
	d, err = c.Open(t.Context())
	require.NoError(t, err)
	require.NoError(t, d.Apply(t.Context(), p, layout.Batch{Entries: []*layout.Entry{abort}}))
	require.NoError(t, c.Release())
}

func goldenEntries(t *testing.T) (first, second, abort *layout.Entry) {
	value, err := layout.EncodeRecord(fullRecord())
	require.NoError(t, err)
	in := someData
	in.Counter++
	shards := make([][]byte, 4)
	shards[1] = []byte("inline shard")
	owner := layout.Owner{Epoch: 3, Nonce: 9}
	first = &layout.Entry{
		Position: 1, Owner: owner, Time: someTime,
		Writes: []layout.Write{
			{Slot: layout.VersionSlot(3, "key\x00", 1), Kind: layout.KindRecord, Value: value},
			{Slot: layout.DataOwnerSlot(someData, layout.OwnerOfData{Bucket: 3, Key: "key\x00", Version: 1}), Kind: layout.KindRecord},
			{Slot: layout.InlineSlot(in), Kind: layout.KindRecord},
			{Slot: layout.NameSlot("bucket"), Kind: layout.KindRecord, Value: layout.EncodePosition(3)},
		},
		Adds: []layout.Add{
			{Data: someData, Parity: 2, Drives: someDrives, Size: 22},
			{Data: in, Parity: 2, Drives: someDrives, Size: 22, Inline: true, Shards: shards},
		},
	}
	require.NoError(t, first.Seal(layout.Chain{}))
	second = &layout.Entry{Position: 2, Owner: owner, Writes: []layout.Write{{Slot: layout.VersionSlot(3, "key\x00", 1), Kind: layout.KindTombstone}}}
	require.NoError(t, second.Seal(first.Chain))
	abort = &layout.Entry{Position: 3, Owner: owner, Aborts: 2, Writes: second.Voids()}
	require.NoError(t, abort.Seal(second.Chain))
	return first, second, abort
}

func TestGoldenDrive(t *testing.T) {
	kept := filepath.Join("testdata", "v1", "drive")
	if _, err := os.Stat(kept); errors.Is(err, fs.ErrNotExist) && writing() {
		goldenDrive(t, kept)
		// Directories that are empty do not survive version control; a drive does
		// without them until a shard is written.
	}
	path := filepath.Join(t.TempDir(), "drive")
	require.NoError(t, os.CopyFS(path, os.DirFS(kept)))
	c, err := layout.Claim(t.Context(), vfs.OS(), path, nil)
	require.NoError(t, err)
	require.Equal(t, layout.Formatted, c.Condition())
	d, err := c.Open(t.Context())
	require.NoError(t, err)
	require.Equal(t, identity(), d.Identity())

	first, second, abort := goldenEntries(t)
	h, err := d.Holding(t.Context())
	require.NoError(t, err)
	require.Equal(t, layout.Holding{
		Promise: layout.Promise{Owner: layout.Owner{Epoch: 3, Nonce: 9}, Session: 1}, State: fullState(), Seal: layout.Seal{Epoch: 3},
		Stable: layout.Mark{Position: 1, Chain: first.Chain}, First: 1, Last: layout.Mark{Position: 3, Chain: abort.Chain},
	}, h)
	log, err := d.Log(t.Context(), 1, 9)
	require.NoError(t, err)
	require.Len(t, log, 3)
	require.Equal(t, second.Chain, log[1].Chain)
	require.Equal(t, first.Writes[1].Slot, log[0].Writes[1].Slot)
	r, err := d.Read(t.Context())
	require.NoError(t, err)
	it, ok, err := r.Latest(3, "key\x00", layout.MaxPosition)
	require.NoError(t, err)
	require.True(t, ok)
	record, err := layout.DecodeRecord(it.Value)
	require.NoError(t, err)
	require.Equal(t, fullRecord(), record)
	_, ok, err = r.Latest(3, "key\x00", 2)
	require.NoError(t, err)
	require.False(t, ok, "before the abort")
	it, ok, err = r.Get(first.Writes[2].Slot, 3)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "inline shard", string(it.Value))
	require.NoError(t, r.Close())
	require.NoError(t, d.Shards().Verify(t.Context(), layout.ShardRef{Data: someData, Shard: 1, Payload: 11}))
	require.NoError(t, c.Release())
}
