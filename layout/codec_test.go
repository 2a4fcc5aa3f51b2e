// Goal: what is written is read back the same, always by the same bytes, and
// what can not be understood is refused with the right error. Method: one full
// example of every structure, changed a little at a time.
package layout_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"

	"github.com/sherd-storage/sherd/layout"
)

var (
	someData   = layout.DataID{Owner: layout.Owner{Epoch: 0x1122, Nonce: 0x3344}, Counter: 0x5566}
	someUpload = layout.UploadID{Epoch: 0x1122, Position: 77}
	someTime   = time.Unix(1_764_000_000, 123_456_789).UTC()
	someDrives = []layout.DriveID{{1, 2, 3, 4, 5, 6, 7, 8}, {9}, {10}, {11}}
	someSums   = []layout.Checksum{{Algorithm: 2, Type: 1, Value: []byte{1, 2, 3, 4}}, {Algorithm: 5, Type: 2, Parts: 3, Value: []byte("sha")}}
)

func fullRecord() *layout.Record {
	return &layout.Record{
		Head: layout.Head{
			Version: 42, Epoch: 0x1122, Modified: someTime, Size: 1 << 40, Storage: 1,
			ETag:  layout.ETag{Kind: layout.ETagParts, Parts: 3, Sum: [16]byte{0xde, 0xad, 15: 0xff}},
			Flags: layout.FlagLocked | layout.FlagTagged | layout.FlagChecksum,
		},
		Body: layout.Body{
			Place:       layout.Place{Kind: layout.PlaceFile, Data: someData, Parity: 2, Drives: someDrives, Size: 1 << 40},
			ContentType: "text/plain",
			Headers:     map[string]string{"cache-control": "no-store", "content-encoding": "gzip"},
			Metadata:    map[string]string{"a": "\xff\x00 not UTF-8", "b": ""},
			Tags:        map[string]string{"k": "v"},
			Checksums:   someSums,
			Retention:   layout.Retention{Mode: 2, Until: time.Date(9999, 1, 2, 3, 4, 5, 678, time.UTC)},
			LegalHold:   true, ForeignID: "null\x00", Owner: "me", Part: 9,
		},
	}
}

// accessRecord has what was added after the format was frozen, too.
func accessRecord() *layout.Record {
	r := fullRecord()
	r.Access = []byte("who may \xff\x00")
	return r
}

// sealedRecord is an encrypted object, and sealedPart a part of one.
func sealedRecord() *layout.Record {
	r := fullRecord()
	r.ETag.Kind = layout.ETagHidden
	r.Sealed = &layout.Sealed{Salt: [16]byte{1, 15: 2}, Check: [16]byte{3, 15: 4}, Envelope: []byte("sealed \xff\x00")}
	return r
}

func sealedPart() *layout.Record {
	return &layout.Record{Head: layout.Head{Version: 1}, Body: layout.Body{Part: 3, Sealed: &layout.Sealed{Salt: [16]byte{5, 15: 6}}}}
}

func partsRecord() *layout.Record {
	return &layout.Record{Head: layout.Head{Version: 1}, Body: layout.Body{Place: layout.Place{
		Kind: layout.PlaceParts, Upload: someUpload, Parts: 7, Size: 35, Runs: []layout.Run{{First: 1, Count: 6, Size: 5}, {First: 9, Count: 1, Size: 5}},
	}}}
}

func grownRecord() *layout.Record {
	r := partsRecord()
	r.Place.Kind, r.Place.Size = layout.PlaceGrown, 45
	r.Place.Pieces = []layout.Piece{{Upload: layout.UploadID{Epoch: 1, Position: 5}, Parts: 2, Size: 7}, {Upload: someUpload, Parts: 1, Size: 3}}
	r.Offset = 7
	return r
}

func TestRecord(t *testing.T) {
	for _, r := range []*layout.Record{fullRecord(), accessRecord(), sealedRecord(), sealedPart(), grownRecord(), partsRecord(), {}, {Head: layout.Head{Version: 1, Flags: layout.FlagMarker}}} {
		value, err := layout.EncodeRecord(r)
		require.NoError(t, err)
		again, err := layout.AppendRecord([]byte("before"), r)
		require.NoError(t, err)
		require.Equal(t, "before"+string(value), string(again))
		got, err := layout.DecodeRecord(value)
		require.NoError(t, err)
		require.Equal(t, r, got)
		head, err := layout.DecodeHead(value)
		require.NoError(t, err)
		require.Equal(t, r.Head, head)
		for n := range len(value) {
			_, err := layout.DecodeRecord(value[:n])
			require.ErrorIs(t, err, layout.ErrBadRecord, "cut at %d", n)
		}
		_, err = layout.DecodeRecord(append(value, 0))
		require.ErrorIs(t, err, layout.ErrBadRecord, "a byte behind")
		require.Zero(t, testing.AllocsPerRun(10, func() { _, _ = layout.DecodeHead(value) }))
	}
}

// body puts CBOR behind a head.
func body(t *testing.T, m any) []byte {
	t.Helper()
	value, err := layout.EncodeRecord(&layout.Record{})
	require.NoError(t, err)
	content, err := cbor.Marshal(m)
	require.NoError(t, err)
	return append(value[:59], content...)
}

func TestUnknownIsKeptOrRefused(t *testing.T) {
	value := body(t, map[uint64]any{2: []byte("text/plain"), 0: 1, 15: "new", 900: []int{1, 2}})
	r, err := layout.DecodeRecord(value)
	require.NoError(t, err)
	require.Equal(t, "text/plain", r.ContentType)
	require.Len(t, r.Unknown, 3)
	again, err := layout.EncodeRecord(r)
	require.NoError(t, err)
	back, err := layout.DecodeRecord(again)
	require.NoError(t, err)
	require.Equal(t, r, back)
	r.Unknown[2] = []byte{1}
	_, err = layout.EncodeRecord(r)
	require.ErrorIs(t, err, layout.ErrBadRecord, "known after all")

	place := map[uint64]any{1: 2, 2: make([]byte, 24), 4: make([]byte, 8), 10: 1}
	place[2].([]byte)[0] = 1
	sealed := append([]byte{0xa1, 0x01, 0x50}, bytes.Repeat([]byte{7}, 16)...) // {1: salt}
	for why, m := range map[string]any{
		"place with an unknown key": map[uint64]any{1: place, 40: 1},
		"segment":                   map[uint64]any{1: map[uint64]any{1: 3}},
		"place kind":                map[uint64]any{1: map[uint64]any{1: 9}},
		"transform":                 map[uint64]any{9: []any{[]any{2, []byte{}}}},
		"transforms":                map[uint64]any{9: []any{[]any{1, sealed}, []any{1, sealed}}},
		"encryption, a newer one":   map[uint64]any{9: []any{[]any{1, append([]byte{0xa2}, append(sealed[1:], 0x04, 0x01)...)}}},
	} {
		_, err := layout.DecodeRecord(body(t, m))
		require.ErrorIs(t, err, layout.ErrNewerFormat, why)
	}
	newer := body(t, map[uint64]any{})
	newer[0] = 2
	_, err = layout.DecodeHead(newer)
	require.ErrorIs(t, err, layout.ErrNewerFormat)
	longer := append(append([]byte{}, newer[:59]...), 0xaa, 0xbb, 0xa0)
	longer[0], longer[58] = 1, 2
	_, err = layout.DecodeRecord(longer)
	require.NoError(t, err, "a longer head")

	for _, decode := range []func([]byte) error{
		func(b []byte) error { _, err := layout.DecodePromise(b); return err },
		func(b []byte) error { _, err := layout.DecodeState(b); return err },
		func(b []byte) error { _, err := layout.DecodeSeal(b); return err },
		func(b []byte) error { _, err := layout.DecodeMark(b); return err },
		func(b []byte) error { _, err := layout.DecodeRemoved(b); return err },
		func(b []byte) error { _, err := layout.DecodeRebuild(b); return err },
		func(b []byte) error { _, err := layout.DecodeEntry(1, b); return err },
	} {
		content, err := cbor.Marshal(map[uint64]any{77: 1})
		require.NoError(t, err)
		require.ErrorIs(t, decode(content), layout.ErrNewerFormat)
		require.ErrorIs(t, decode([]byte("x")), layout.ErrBadRecord)
	}
}

func TestBadRecords(t *testing.T) {
	bad := func(change func(r *layout.Record)) {
		t.Helper()
		r := fullRecord()
		change(r)
		_, err := layout.EncodeRecord(r)
		require.ErrorIs(t, err, layout.ErrBadRecord)
	}
	bad(func(r *layout.Record) { r.Size = -1 })
	bad(func(r *layout.Record) { r.Place.Parity = 4 })
	bad(func(r *layout.Record) { r.Place.Data = layout.DataID{} })
	bad(func(r *layout.Record) { r.Place.Drives = make([]layout.DriveID, 17) })
	bad(func(r *layout.Record) { r.Place.Size = -1 })
	bad(func(r *layout.Record) { r.Place.Kind = layout.PlaceParts })
	bad(func(r *layout.Record) { r.Offset = -1 })
	bad(func(r *layout.Record) { r.Place = grownRecord().Place; r.Place.Kind = layout.PlaceParts })
	for why, change := range map[string]func(p *layout.Place){
		"no pieces":          func(p *layout.Place) { p.Pieces = nil },
		"too many":           func(p *layout.Place) { p.Pieces = make([]layout.Piece, layout.MaxPieces+1) },
		"of no upload":       func(p *layout.Place) { p.Pieces[0].Upload = layout.UploadID{} },
		"without parts":      func(p *layout.Place) { p.Pieces[0].Parts = 0 },
		"negative":           func(p *layout.Place) { p.Pieces[0].Size = -1 },
		"larger than all":    func(p *layout.Place) { p.Pieces[0].Size = 46 },
		"parts of no upload": func(p *layout.Place) { p.Upload, p.Size = layout.UploadID{}, 10 },
		"bytes before it":    func(p *layout.Place) { p.Upload, p.Parts, p.Runs = layout.UploadID{}, 0, nil },
		"an upload of none":  func(p *layout.Place) { p.Parts = 0 },
		"with a data id":     func(p *layout.Place) { p.Data = someData },
	} {
		r := grownRecord()
		change(&r.Place)
		_, err := layout.EncodeRecord(r)
		require.ErrorIs(t, err, layout.ErrBadRecord, why)
	}
	bad(func(r *layout.Record) { r.Metadata["x"] = string(make([]byte, layout.MaxRecord)) })
	for why, m := range map[string]any{
		"drive ids of odd length": map[uint64]any{1: map[uint64]any{1: 2, 2: []byte("012345678901234567890123"), 4: make([]byte, 9)}},
		"short data id":           map[uint64]any{1: map[uint64]any{1: 2, 2: []byte("0"), 4: make([]byte, 8)}},
		"runs that overlap":       map[uint64]any{1: map[uint64]any{1: 4, 6: []byte("0123456789012345"), 8: 1, 7: [][]int{{1, 2, 3}, {2, 1, 3}}}},
		"an array too short":      map[uint64]any{7: []int{1, 2}},
		"a type":                  map[uint64]any{2: 7},
		"nesting":                 map[uint64]any{50: []any{[]any{[]any{[]any{[]any{[]any{[]any{[]any{1}}}}}}}}},
	} {
		_, err := layout.DecodeRecord(body(t, m))
		require.ErrorIs(t, err, layout.ErrBadRecord, why)
	}
	twice := append(body(t, map[uint64]any{})[:59], 0xa2, 0x02, 0x41, 'a', 0x02, 0x41, 'b')
	_, err := layout.DecodeRecord(twice)
	require.ErrorIs(t, err, layout.ErrBadRecord, "a key twice")
}

func TestSessionsAndBuckets(t *testing.T) {
	s := &layout.Session{
		Begun: someTime, ContentType: "c", Headers: map[string]string{"h": "1"}, Metadata: map[string]string{"m": "\xff"}, Tags: map[string]string{"t": ""},
		Retention: layout.Retention{Mode: 1, Until: someTime}, LegalHold: true, Storage: 3, ChecksumAlgo: 2, ChecksumType: 1, Owner: "o", Parity: 255, Access: []byte("\xff"),
		Unknown: map[uint64][]byte{99: {0x01}},
	}
	value, err := layout.EncodeSession(s)
	require.NoError(t, err)
	gotS, err := layout.DecodeSession(value)
	require.NoError(t, err)
	require.Equal(t, s, gotS)

	b := &layout.Bucket{ID: 7, Name: "b\xff", Created: someTime, Versioning: 2, Closed: true, ObjectLock: true, Owner: "o", Region: "r", Unknown: map[uint64][]byte{9: {0x01}}}
	value, err = layout.EncodeBucket(b)
	require.NoError(t, err)
	gotB, err := layout.DecodeBucket(value)
	require.NoError(t, err)
	require.Equal(t, b, gotB)

	runs := []layout.Run{{First: 1, Count: 9999, Size: 5 << 20}, {First: 10000, Count: 1}}
	value, err = layout.EncodeRuns(runs)
	require.NoError(t, err)
	gotR, err := layout.DecodeRuns(value)
	require.NoError(t, err)
	require.Equal(t, runs, gotR)
	_, err = layout.EncodeRuns([]layout.Run{{First: 2, Count: 1}, {First: 1, Count: 1}})
	require.ErrorIs(t, err, layout.ErrBadRecord)
}

func fullEntry() *layout.Entry {
	slot := layout.VersionSlot(3, "key\x00", 12)
	return &layout.Entry{
		Position: 12, Owner: layout.Owner{Epoch: 0x1122, Nonce: 0x3344}, Time: someTime,
		Writes: []layout.Write{
			{Slot: slot, Kind: layout.KindRecord, Value: []byte("record")},
			{Slot: layout.InlineSlot(someData), Kind: layout.KindRecord},
			{Slot: layout.VersionSlot(3, "key\x00", 4), Kind: layout.KindTombstone},
		},
		Adds: []layout.Add{{Data: someData, Parity: 2, Drives: someDrives, Size: 6, Inline: true}},
	}
}

func TestEntry(t *testing.T) {
	e := fullEntry()
	require.NoError(t, e.Seal(layout.Chain{5}))
	require.NoError(t, e.VerifyDigest())
	value, err := layout.EncodeEntry(e)
	require.NoError(t, err)
	got, err := layout.DecodeEntry(12, value)
	require.NoError(t, err)
	e.Writes[0].Value = nil
	require.Equal(t, e, got)

	digest := e.Digest
	for why, change := range map[string]func(e *layout.Entry){
		"position":  func(e *layout.Entry) { e.Position++ },
		"time":      func(e *layout.Entry) { e.Time = e.Time.Add(1) },
		"value":     func(e *layout.Entry) { e.Writes[0].Value = []byte("recorD") },
		"kind":      func(e *layout.Entry) { e.Writes[2].Kind = layout.KindRecord },
		"slot":      func(e *layout.Entry) { e.Writes[2].Slot = layout.VersionSlot(3, "key\x00", 5) },
		"order":     func(e *layout.Entry) { e.Writes[0], e.Writes[2] = e.Writes[2], e.Writes[0] },
		"one less":  func(e *layout.Entry) { e.Writes = e.Writes[:2] },
		"add":       func(e *layout.Entry) { e.Adds[0].Size++ },
		"inline":    func(e *layout.Entry) { e.Adds[0].Inline = false },
		"abort":     func(e *layout.Entry) { e.Aborts = 3 },
		"boundary":  func(e *layout.Entry) { e.Writes[0].Value = append([]byte("record"), 0) },
		"no writes": func(e *layout.Entry) { e.Writes = nil },
	} {
		e := fullEntry()
		change(e)
		e.Digest = digest
		require.ErrorIs(t, e.VerifyDigest(), layout.ErrDamaged, why)
	}
	same := fullEntry()
	same.Adds[0].Shards = [][]byte{[]byte("a drive's own")}
	same.Writes[1].Value = []byte("ignored")
	same.Digest = digest
	require.NoError(t, same.VerifyDigest(), "inline shards are not part of it")
	same.Writes[0].Gone = true
	require.ErrorIs(t, same.VerifyDigest(), layout.ErrBadRecord)
	require.NotEqual(t, layout.Chain{}.Next(layout.Owner{Epoch: 1}, digest), layout.Chain{}.Next(layout.Owner{Nonce: 1}, digest))
}

func TestSlots(t *testing.T) {
	for _, key := range []string{"", "k", "\x00\xff", "a/b"} {
		b, k, v, err := layout.ParseVersionSlot(layout.VersionSlot(5, key, 9))
		require.NoError(t, err)
		require.Equal(t, []any{layout.BucketID(5), key, layout.Position(9)}, []any{b, k, v})
		b, k, u, err := layout.ParseUploadSlot(layout.UploadSlot(5, key, someUpload))
		require.NoError(t, err)
		require.Equal(t, []any{layout.BucketID(5), key, someUpload}, []any{b, k, u})
		b, k, id, err := layout.ParseAliasSlot(layout.AliasSlot(5, key, key+"x"))
		require.NoError(t, err)
		require.Equal(t, []any{layout.BucketID(5), key, key + "x"}, []any{b, k, id})
		b, k, err = layout.ParseDocumentSlot(layout.DocumentSlot(5, key))
		require.NoError(t, err)
		require.Equal(t, []any{layout.BucketID(5), key}, []any{b, k})
		k, err = layout.ParseNameSlot(layout.NameSlot(key))
		require.NoError(t, err)
		require.Equal(t, key, k)
		for _, o := range []layout.OwnerOfData{{Bucket: 5, Key: key, Version: 8}, {Bucket: 5, Key: key}, {Upload: someUpload, Part: 3}} {
			d, got, err := layout.ParseDataOwnerSlot(layout.DataOwnerSlot(someData, o))
			require.NoError(t, err)
			require.Equal(t, []any{someData, o}, []any{d, got})
			u, got, err := layout.ParseUploadOwnerSlot(layout.UploadOwnerSlot(someUpload, o))
			require.NoError(t, err)
			require.Equal(t, []any{someUpload, o}, []any{u, got})
		}
	}
	u, n, err := layout.ParsePartSlot(layout.PartSlot(someUpload, 10))
	require.NoError(t, err)
	require.Equal(t, []any{someUpload, uint32(10)}, []any{u, n})
	u, err = layout.ParseSizesSlot(layout.SizesSlot(someUpload))
	require.NoError(t, err)
	require.Equal(t, someUpload, u)
	d, err := layout.ParseInlineSlot(layout.InlineSlot(someData))
	require.NoError(t, err)
	require.Equal(t, someData, d)
	require.Equal(t, layout.HistoryPrefix(layout.VersionSlot(1, "k", 2)), layout.HistoryPrefix(layout.VersionSlot(1, "k", 9)))
	require.Error(t, layout.CheckSlot(nil))
}

func TestAShardFileOfANewerVersion(t *testing.T) {
	h := someHeader()
	value, err := layout.EncodeShardHeader(&h)
	require.NoError(t, err)
	for from, to := range map[string]string{
		"sherdSF1":                 "sherdSF2",
		"\x0c\x1a\x00\x01\x00\x00": "\x0c\x1a\x00\x02\x00\x00", // bytes of a block
	} {
		newer := bytes.Replace(value, []byte(from), []byte(to), 1)
		require.NotEqual(t, value, newer)
		_, err := layout.DecodeShardHeader(newer)
		require.ErrorIs(t, err, layout.ErrDamaged, "damage comes first")
		sum := blake3.Sum256(newer[:4064])
		_, err = layout.DecodeShardHeader(append(newer[:4064:4064], sum[:]...))
		require.ErrorIs(t, err, layout.ErrNewerFormat)
		require.NotErrorIs(t, err, layout.ErrDamaged)
	}
}

// What an encryption can not be is refused, written or read.
func TestImpossibleEncryptions(t *testing.T) {
	for _, e := range []layout.Sealed{{}, {Envelope: []byte("no salt")}, {Salt: [16]byte{1}, Envelope: make([]byte, layout.MaxEnvelope+1)}} {
		_, err := layout.EncodeRecord(&layout.Record{Body: layout.Body{Sealed: &e}})
		require.ErrorIs(t, err, layout.ErrBadRecord)
		_, err = layout.EncodeSession(&layout.Session{Sealed: &e})
		require.ErrorIs(t, err, layout.ErrBadRecord)
	}
	salt := bytes.Repeat([]byte{7}, 16)
	for why, m := range map[string]map[uint64]any{
		"no salt":        {2: salt},
		"a short salt":   {1: salt[:15]},
		"a zero salt":    {1: make([]byte, 16)},
		"a long check":   {1: salt, 2: append(salt, 1)},
		"a big envelope": {1: salt, 3: make([]byte, layout.MaxEnvelope+1)},
		"text":           {1: "0123456789abcdef"},
	} {
		parameters, err := cbor.Marshal(m)
		require.NoError(t, err)
		_, err = layout.DecodeRecord(body(t, map[uint64]any{9: []any{[]any{1, parameters}}}))
		require.ErrorIs(t, err, layout.ErrBadRecord, why)
	}
	parameters, err := cbor.Marshal(map[uint64]any{1: salt})
	require.NoError(t, err)
	_, err = layout.DecodeRecord(body(t, map[uint64]any{9: []any{[]any{1, parameters}}}))
	require.NoError(t, err, "the rest is possible")
}
