// Goal: docs/FORMAT.md is enough to read a drive. Method: a reader written from
// that page and nothing else. It uses no code of this project, only the index
// library with the order of keys that the page gives, and reads the drive that
// is kept in testdata to its last byte.
package layout_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"
)

// item is one CBOR item: of a number, a string of bytes, an array or a map.
type item struct {
	number uint64
	signed int64
	text   string
	list   []item
	pairs  map[uint64]item
	raw    []byte
}

// cborItem reads one item and gives what follows it.
func cborItem(t *testing.T, b []byte) (it item, rest []byte) {
	whole := b
	major, n := b[0]>>5, uint64(b[0]&31)
	b = b[1:]
	if n >= 24 {
		require.LessOrEqual(t, n, uint64(27), "no indefinite lengths")
		width := 1 << (n - 24)
		n = 0
		for _, x := range b[:width] {
			n = n<<8 | uint64(x)
		}
		b = b[width:]
	}
	it.number, it.signed = n, int64(n)
	switch major {
	case 0, 7: // false and true are 20 and 21
	case 1:
		it.signed = -1 - int64(n)
	case 2:
		it.text, b = string(b[:n]), b[n:]
	case 4:
		for range n {
			var e item
			e, b = cborItem(t, b)
			it.list = append(it.list, e)
		}
	case 5:
		it.pairs = map[uint64]item{}
		for i := range n {
			var k, v item
			k, b = cborItem(t, b)
			v, b = cborItem(t, b)
			if k.text != "" { // a map of strings: by their order
				k.number, v.text = i, k.text+"="+v.text
			}
			it.pairs[k.number] = v
		}
	default:
		require.Fail(t, "major type", "%d", major)
	}
	it.raw = whole[:len(whole)-len(b)]
	return it, b
}

func cborMap(t *testing.T, b []byte) map[uint64]item {
	it, rest := cborItem(t, b)
	require.Empty(t, rest, "bytes behind the end")
	return it.pairs
}

// pageSplit, pageOrder and pageComparer are the page's "Comparer".
func pageSplit(key []byte) int {
	if n := len(key); n > 0 && (key[n-1] == 9 || key[n-1] == 17) && int(key[n-1]) <= n {
		return n - int(key[n-1])
	}
	return len(key)
}

func pageOrder(a, b []byte) int {
	i, j := pageSplit(a), pageSplit(b)
	if c := bytes.Compare(a[:i], b[:j]); c != 0 {
		return c
	}
	return bytes.Compare(a[i:], b[j:])
}

func pageComparer() *pebble.Comparer {
	first := func(dst, a, _ []byte) []byte { return append(dst, a...) }
	return &pebble.Comparer{
		Name: "sherd.index.v1", Split: pageSplit, Compare: pageOrder, Equal: bytes.Equal, Separator: first,
		Successor:          func(dst, a []byte) []byte { return append(dst, a...) },
		ImmediateSuccessor: func(dst, a []byte) []byte { return append(append(dst, a...), 0) },
		AbbreviatedKey: func(key []byte) uint64 {
			return binary.BigEndian.Uint64(append(bytes.Clone(key[:pageSplit(key)]), make([]byte, 8)...))
		},
		ComparePointSuffixes: bytes.Compare, CompareRangeSuffixes: bytes.Compare,
	}
}

// pageDrive is a drive as the page describes it.
type pageDrive struct {
	*testing.T
	dir   string
	keys  map[string][]byte // the whole index
	order []string
}

func openByPage(t *testing.T) *pageDrive {
	d := &pageDrive{T: t, dir: keptDrive(t), keys: map[string][]byte{}}
	db := openIndexByPage(t, d.dir, true)
	it, err := db.NewIter(nil)
	require.NoError(t, err)
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		require.NoError(t, err)
		d.keys[string(it.Key())] = bytes.Clone(value)
		d.order = append(d.order, string(it.Key()))
	}
	require.NoError(t, it.Close())
	require.NoError(t, db.Close())
	return d
}

// keptDrive is a copy of the drive in testdata.
func keptDrive(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "drive")
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "v1", "drive"))))
	return dir
}

func openIndexByPage(t *testing.T, dir string, readOnly bool) *pebble.DB {
	schema := colblk.DefaultKeySchema(pageComparer(), 16)
	require.Equal(t, "DefaultKeySchema(sherd.index.v1,16)", schema.Name)
	o := &pebble.Options{Comparer: pageComparer(), KeySchema: schema.Name, KeySchemas: sstable.MakeKeySchemas(&schema), ReadOnly: readOnly}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(filepath.Join(dir, "index"), o)
	require.NoError(t, err)
	return db
}

func be64(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

func esc(s string) string { return strings.ReplaceAll(s, "\x00", "\x00\xFF") + "\x00\x00" }

// at is the key of a slot at a position.
func at(slot string, position uint64) string {
	if slot[0] == 'o' {
		return slot + be64(^position) + "\x11"
	}
	return slot + be64(^position) + "\x09"
}

// read is "Reading a slot at position P".
func (d *pageDrive) read(slot string, p uint64) (content string, ok bool) {
	for skip := uint64(0); p > 0; p-- {
		value, there := d.keys[at(slot, p)]
		if !there || p == skip {
			continue
		}
		switch value[0] {
		case 1:
			return string(value[1:]), true
		case 2:
			require.Len(d, value, 1)
			return "", false
		case 3:
			skip = binary.BigEndian.Uint64(value[1:])
		default:
			require.Fail(d, "kind")
		}
	}
	return "", false
}

func sum(parts ...string) string {
	s := blake3.Sum256([]byte(strings.Join(parts, "")))
	return string(s[:])
}

// checkLog follows the log from its beginning and gives the last chain.
func (d *pageDrive) checkLog() (chains []string) {
	chain := strings.Repeat("\x00", 32)
	for p := uint64(1); ; p++ {
		value, ok := d.keys["l"+be64(p)+"\x00"]
		if !ok {
			return chains
		}
		e := cborMap(d.T, value)
		adds := "\x80"
		if raw := e[5].raw; raw != nil {
			adds = string(raw)
		}
		digest := "sherd entry v1" + be64(p) + be64(uint64(e[3].signed)) + be64(e[6].number) + adds
		for _, w := range e[4].list {
			kind, slot := w.list[0].number, w.list[1].text
			stored := d.keys[at(slot, p)]
			require.Equal(d, byte(kind), stored[0])
			content := ""
			if kind == 1 && slot[0] != 'i' {
				content = string(stored[1:])
			}
			digest += string(binary.BigEndian.AppendUint32(nil, uint32(len(slot)))) + slot + string(byte(kind))
			digest += string(binary.BigEndian.AppendUint32(nil, uint32(len(content)))) + content
		}
		require.Equal(d, sum(digest), e[7].text, "digest of %d", p)
		chain = sum("sherd chain v1", chain, be64(e[1].number), be64(e[2].number), e[7].text)
		require.Equal(d, chain, e[8].text, "chain of %d", p)
		chains = append(chains, chain)
	}
}

func TestAReaderWrittenFromThePage(t *testing.T) {
	d := openByPage(t)
	var format struct {
		Format, Pool, Set, Slot, Drives int
		Deployment, Drive               string
	}
	text, err := os.ReadFile(filepath.Join(d.dir, "format.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &format))
	who := cborMap(t, d.keys["sdrive\x00"])
	require.Equal(t, format.Deployment, hex.EncodeToString([]byte(who[1].text)))
	require.Equal(t, format.Drive, hex.EncodeToString([]byte(who[6].text)))
	require.Equal(t, []int{format.Pool, format.Set, format.Slot, format.Drives},
		[]int{int(who[2].number), int(who[3].number), int(who[4].number), int(who[5].number)})

	state := cborMap(t, d.keys["sstate\x00"])
	require.Equal(t, []uint64{3, 9, 4}, []uint64{state[1].number, state[2].number, state[3].number})
	require.Equal(t, format.Drive, hex.EncodeToString([]byte(state[4].text[8:16])), "in-sync")
	require.Len(t, state[5].list, format.Drives)
	require.Equal(t, []string{"\x0a\x00\x00\x00\x00\x00\x00\x00", "fe01", "\x77\x00\x00\x00\x00\x00\x00\x00\x78\x00\x00\x00\x00\x00\x00\x00"},
		[]string{state[5].list[2].list[0].text, state[5].list[2].list[1].text, state[5].list[2].list[2].text})
	promise := cborMap(t, d.keys["spromise\x00"])
	require.Equal(t, []uint64{3, 9, 1}, []uint64{promise[1].number, promise[2].number, promise[3].number})
	require.EqualValues(t, 3, cborMap(t, d.keys["sseal\x00"])[1].number)

	chains := d.checkLog()
	require.Len(t, chains, 3)
	stable := cborMap(t, d.keys["sstable\x00"])
	require.Equal(t, chains[stable[1].number-1], stable[2].text)
	for i := 1; i < len(d.order); i++ {
		require.Less(t, d.order[i-1], d.order[i], "the order of whole keys")
	}

	version := "o" + be64(3) + esc("key\x00") + be64(^uint64(1))
	_, ok := d.read(version, 2)
	require.False(t, ok, "deleted at 2")
	record, ok := d.read(version, 3)
	require.True(t, ok, "3 aborts that")
	d.checkRecord(record)
	name, ok := d.read("n"+esc("bucket"), 3)
	require.True(t, ok)
	require.Equal(t, be64(3), name)
	data := be64(0x1122) + be64(0x3344) + be64(0x5566)
	owner, ok := d.read("d\x01"+data+"\x01"+be64(3)+esc("key\x00")+be64(1)+"\x00", 3)
	require.True(t, ok)
	require.Empty(t, owner)
	inline, ok := d.read("i"+be64(0x1122)+be64(0x3344)+be64(0x5567)+"\x00", 3)
	require.True(t, ok)
	require.Equal(t, "inline shard", inline)
	d.checkShard(data, format.Deployment)
}

// checkRecord reads the record of golden_test.go.
func (d *pageDrive) checkRecord(r string) {
	u64 := func(off int) uint64 { return binary.BigEndian.Uint64([]byte(r[off:])) }
	require.Equal(d, "\x01\x01\x00\x58", r[:4], "version 1, class 1, locked, tagged, has checksums")
	require.Equal(d, []uint64{42, 0x1122, 1_764_000_000_123_456_789, 1 << 40}, []uint64{u64(4), u64(12), u64(20), u64(28)})
	require.Equal(d, "\x02\x00\x00\x00\x03\xde\xad", r[36:43])
	require.Equal(d, "\xff\x00\x00", r[56:59])
	body := cborMap(d.T, []byte(r[59:]))
	place := body[1].pairs
	require.EqualValues(d, 2, place[1].number)
	require.Equal(d, be64(0x1122)+be64(0x3344)+be64(0x5566), place[2].text)
	require.EqualValues(d, 2, place[3].number)
	require.Len(d, place[4].text, 4*8)
	require.EqualValues(d, 1<<40, place[5].number)
	require.Equal(d, "text/plain", body[2].text)
	require.Equal(d, "cache-control=no-store", body[3].pairs[0].text)
	require.Equal(d, "k=v", body[5].pairs[0].text)
	require.Equal(d, []uint64{5, 2, 3}, []uint64{body[6].list[1].list[0].number, body[6].list[1].list[1].number, body[6].list[1].list[2].number})
	require.Equal(d, []int64{2, 253370862245, 678}, []int64{body[7].list[0].signed, body[7].list[1].signed, body[7].list[2].signed})
	require.EqualValues(d, 21, body[8].number, "true")
	require.Equal(d, []string{"null\x00", "me"}, []string{body[10].text, body[11].text})
}

// checkShard reads a shard file to its last byte.
func (d *pageDrive) checkShard(data, deployment string) {
	id := hex.EncodeToString([]byte(data))
	b, err := os.ReadFile(filepath.Join(d.dir, "shards", id[46:], id))
	require.NoError(d, err)
	f := string(b)
	require.Equal(d, "sherdSF1", f[:8])
	require.Equal(d, sum(f[:4064]), f[4064:4096])
	n := 10 + int(binary.BigEndian.Uint16(b[8:]))
	require.Empty(d, strings.Trim(f[n:4064], "\x00"))
	h := cborMap(d.T, b[10:n])
	require.Equal(d, deployment, hex.EncodeToString([]byte(h[1].text)))
	require.Equal(d, []string{"key\x00", data, be64(0x1122) + be64(77)}, []string{h[5].text, h[6].text, h[7].text})
	require.Equal(d, []uint64{0, 0, 3, 2, 1, 2, 2, 65536},
		[]uint64{h[2].number, h[3].number, h[4].number, h[8].number, h[9].number, h[10].number, h[11].number, h[12].number})

	end := len(f) - 44
	require.Equal(d, "sherdEND", f[end+36:])
	size := int(binary.BigEndian.Uint32(b[end:]))
	require.Equal(d, sum(data, "\x01", f[end-size:end]), f[end+4:end+36])
	trailer := cborMap(d.T, b[end-size:end])
	require.Equal(d, []uint64{22, 11}, []uint64{trailer[1].number, trailer[2].number})

	frame := f[4096 : end-size]
	payload := frame[:len(frame)-32]
	require.Equal(d, "shard bytes", payload)
	context := "sherd.bitrot.frame.v1\x00\x00\x00\x00\x00" + be64(uint64(len(payload)))[4:] + be64(0) + data + "\x01\x01"
	require.Len(d, context, 64)
	require.Equal(d, sum(payload, context), frame[len(payload):])
}
