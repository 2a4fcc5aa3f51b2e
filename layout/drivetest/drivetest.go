// Package drivetest is what anything that is a layout.Drive must pass: the
// contract of the interface's comments, as tests.
//
// Run makes fresh drives by a Maker and calls only methods of the interface.
// It starts no goroutines that outlive a test.
package drivetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/layout"
)

// Maker formats a fresh drive with an identity and a first state. The function
// that it returns opens the drive, after closing what it opened before. The
// test's cleanup closes the last.
type Maker func(t *testing.T, id layout.Identity, state layout.State) (open func() layout.Drive)

// Run tests drives.
func Run(t *testing.T, make Maker) {
	for _, c := range []struct {
		name string
		test func(r *rig)
	}{
		{"Promises", promises},
		{"PromisesGuardEverything", guarded},
		{"AppliesInOrder", inOrder},
		{"RefusesBadEntries", badEntries},
		{"StatesAndSealsRise", states},
		{"StableMarkIsOnTheLog", stableMark},
		{"UndoesFromTheTop", undoes},
		{"UndoPutsFilesAside", undoFiles},
		{"AgreesWithAModel", agreesWithModel},
		{"ReadsKeysOfAnyBytes", anyBytes},
		{"CursorSkipsAndSeeks", cursors},
		{"WritesItsOwnInlineShard", inline},
		{"RemovesWhatIsShadowed", removes},
		{"RemovalKeepsSharedFiles", removesShared},
		{"RemovalOfManyRewrites", removesRewrites},
		{"RemovalOfAnAbort", removesAbort},
		{"RemovalOfAnUpload", removesUpload},
		{"RemovalKeepsInlineNamedAgain", removesGone},
		{"CopiesAnIndex", copies},
		{"ShardFiles", shardFiles},
		{"ShardFilesDamaged", shardDamage},
		{"PutsAsideWhatIsReplaced", replacesAside},
		{"DiscardsWhatNobodyUses", discards},
		{"MendsInlineShards", mends},
		{"Probe", probe},
		{"Close", closes},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(newRig(t, make))
		})
	}
}

// The drives of the set; the one under test is the second.
func fleet() []layout.DriveID { return []layout.DriveID{{1}, {2}, {3}, {4}} }

const self = 1

// rig drives one drive, and keeps the log that it should have.
type rig struct {
	*testing.T
	open    func() layout.Drive
	d       layout.Drive
	p       layout.Promise
	log     []*layout.Entry // log[i] is at position i+1
	counter uint64
	waiting []*layout.Entry // with gather, entries that flush applies
	gather  bool
}

func newRig(t *testing.T, make Maker) *rig {
	id := layout.Identity{Format: layout.Format, Deployment: layout.DeploymentID{9}, Slot: self, Drives: len(fleet()), Drive: fleet()[self]}
	state := layout.State{InSync: fleet()}
	for _, d := range fleet() {
		state.Names = append(state.Names, layout.Name{Drive: d})
	}
	r := &rig{T: t, open: make(t, id, state)}
	r.d = r.open()
	r.p = layout.Promise{Owner: layout.Owner{Epoch: 10, Nonce: 77}, Session: 1}
	_, err := r.d.Promise(t.Context(), r.p)
	require.NoError(t, err)
	return r
}

func (r *rig) reopen() { r.d = r.open() }

func (r *rig) last() layout.Mark {
	if len(r.log) == 0 {
		return layout.Mark{}
	}
	e := r.log[len(r.log)-1]
	return layout.Mark{Position: e.Position, Chain: e.Chain}
}

func (r *rig) mark(p layout.Position) layout.Mark {
	if p == 0 {
		return layout.Mark{}
	}
	return layout.Mark{Position: p, Chain: r.log[p-1].Chain}
}

// entry makes the next entry and does not apply it.
func (r *rig) entry(writes ...layout.Write) *layout.Entry {
	e := &layout.Entry{
		Position: r.last().Position + 1, Owner: r.p.Owner,
		Time: time.Unix(1_700_000_000, int64(len(r.log))).UTC(), Writes: writes,
	}
	return e
}

func (r *rig) seal(e *layout.Entry) *layout.Entry {
	require.NoError(r, e.Seal(r.last().Chain))
	return e
}

// apply writes a batch that must succeed, and keeps the log.
func (r *rig) apply(b layout.Batch) {
	r.Helper()
	require.NoError(r, r.d.Apply(r.Context(), r.p, b))
	if b.Undo != nil {
		r.log = r.log[:b.Undo.To]
	}
	r.log = append(r.log, b.Entries...)
}

func (r *rig) commit(writes ...layout.Write) *layout.Entry {
	r.Helper()
	e := r.seal(r.entry(writes...))
	r.apply(layout.Batch{Entries: []*layout.Entry{e}})
	return e
}

func (r *rig) add(adds []layout.Add, writes ...layout.Write) *layout.Entry {
	r.Helper()
	e := r.entry(writes...)
	e.Adds = adds
	if r.seal(e); r.gather {
		r.log, r.waiting = append(r.log, e), append(r.waiting, e)
		return e
	}
	r.apply(layout.Batch{Entries: []*layout.Entry{e}})
	return e
}

// flush applies what was gathered, in one batch.
func (r *rig) flush() {
	r.Helper()
	require.NoError(r, r.d.Apply(r.Context(), r.p, layout.Batch{Entries: r.waiting}))
	r.waiting, r.gather = nil, false
}

func (r *rig) abort(of *layout.Entry) *layout.Entry {
	r.Helper()
	e := r.entry(of.Voids()...)
	e.Aborts = of.Position
	r.apply(layout.Batch{Entries: []*layout.Entry{r.seal(e)}})
	return e
}

// settle makes all stable, and removes under it.
func (r *rig) settle() layout.Removed {
	r.Helper()
	stable := r.last()
	r.apply(layout.Batch{Stable: &stable})
	return r.remove(stable.Position)
}

func (r *rig) remove(upto layout.Position) (sum layout.Removed) {
	r.Helper()
	for range 1000 {
		got, err := r.d.Remove(r.Context(), r.p, layout.Removal{Upto: upto, KeepLog: upto})
		require.NoError(r, err)
		sum = layout.Removed{Mark: got.Mark, Keys: sum.Keys + got.Keys, Files: sum.Files + got.Files, More: got.More}
		if !got.More {
			return sum
		}
	}
	r.Fatal("removal does not end")
	return sum
}

func (r *rig) reader() layout.Reader {
	r.Helper()
	rd, err := r.d.Read(r.Context())
	require.NoError(r, err)
	return rd
}

func (r *rig) get(slot layout.Slot, at layout.Position) (string, bool) {
	r.Helper()
	rd := r.reader()
	it, ok, err := rd.Get(slot, at)
	require.NoError(r, err)
	require.NoError(r, rd.Close())
	return string(it.Value), ok
}

func (r *rig) has(slot layout.Slot, want string) {
	r.Helper()
	got, ok := r.get(slot, layout.MaxPosition)
	require.True(r, ok, "nothing at %x", []byte(slot))
	require.Equal(r, want, got)
}

func (r *rig) hasNot(slot layout.Slot) {
	r.Helper()
	_, ok := r.get(slot, layout.MaxPosition)
	require.False(r, ok, "something at %x", []byte(slot))
}

// raw tells whether there is a key, of any kind.
func (r *rig) raw(slot layout.Slot, p layout.Position) bool {
	r.Helper()
	rd := r.reader()
	_, _, ok, err := rd.Raw(slot, p)
	require.NoError(r, err)
	return ok
}

func (r *rig) holding() layout.Holding {
	r.Helper()
	h, err := r.d.Holding(r.Context())
	require.NoError(r, err)
	return h
}

func (r *rig) data() layout.DataID {
	r.counter++
	return layout.DataID{Owner: r.p.Owner, Counter: r.counter}
}

func record(slot layout.Slot, value string) layout.Write {
	return layout.Write{Slot: slot, Kind: layout.KindRecord, Value: []byte(value)}
}

func tombstone(slot layout.Slot) layout.Write {
	return layout.Write{Slot: slot, Kind: layout.KindTombstone}
}

func version(key string, v layout.Position) layout.Slot { return layout.VersionSlot(1, key, v) }

func owner(key string, v layout.Position) layout.OwnerOfData {
	return layout.OwnerOfData{Bucket: 1, Key: key, Version: v}
}

// object is a version's record that names data.
func object(t *rig, v layout.Position, kind layout.PlaceKind, data layout.DataID) string {
	t.Helper()
	value, err := layout.EncodeRecord(&layout.Record{
		Head: layout.Head{Version: v, Epoch: 10, Modified: time.Unix(1_700_000_000, 0).UTC(), Size: 5},
		Body: layout.Body{Place: layout.Place{Kind: kind, Data: data, Parity: 2, Drives: fleet(), Size: 5}},
	})
	require.NoError(t, err)
	return string(value)
}

func addOf(data layout.DataID, inline bool) layout.Add {
	a := layout.Add{Data: data, Parity: 2, Drives: fleet(), Size: 5, Inline: inline}
	if inline {
		for i := range fleet() {
			a.Shards = append(a.Shards, fmt.Appendf(nil, "shard %d of %s", i, data))
		}
	}
	return a
}

// file writes a shard file.
func (r *rig) file(data layout.DataID, payload int) {
	r.Helper()
	require.NoError(r, r.tryFile(header(data), payload))
}

func header(data layout.DataID) layout.ShardHeader {
	return layout.ShardHeader{
		Deployment: layout.DeploymentID{9}, Bucket: 1, Key: "a key\x00", Data: data, Shard: self, DataShards: 2, Parity: 2,
	}
}

func (r *rig) tryFile(h layout.ShardHeader, payload int) error {
	w, err := r.d.Shards().Create(r.Context(), r.p, h)
	if err != nil {
		return err
	}
	if _, err := w.Write(r.frames(h.Data, payload)); err != nil {
		return err
	}
	return w.Commit(r.Context(), layout.Trailer{Size: int64(2 * payload), Payload: int64(payload)})
}

// frames is a sealed shard.
func (r *rig) frames(data layout.DataID, payload int) []byte {
	r.Helper()
	sealer := bitrot.NewSealer()
	id := bitrot.ShardID{Data: data.Bytes(), Shard: self}
	var out []byte
	for n := int64(0); ; n++ {
		part := make([]byte, min(payload, bitrot.FrameBytes))
		for i := range part {
			part[i] = byte(i * 7)
		}
		payload -= len(part)
		var err error
		out, err = sealer.AppendFrame(out, id, n, payload == 0, part)
		require.NoError(r, err)
		if payload == 0 {
			return out
		}
	}
}

func (r *rig) hasFile(data layout.DataID) bool {
	r.Helper()
	ids, err := r.d.Shards().List(r.Context(), byte(data.Counter))
	require.NoError(r, err)
	for _, id := range ids {
		if id == data {
			return true
		}
	}
	return false
}
