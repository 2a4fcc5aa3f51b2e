// Goal: no bytes make a decoder panic or take memory without bound, and what
// is accepted is written again so that it reads the same. Method: fuzzing from
// the golden files.
package layout_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/layout"
)

func seed(f *testing.F, names ...string) {
	for _, name := range names {
		value, err := os.ReadFile(filepath.Join("testdata", "v1", name))
		require.NoError(f, err)
		f.Add(value)
	}
}

// identical: what decodes is encoded to bytes that decode to the same and are
// encoded to the same.
func identical[T any](t *testing.T, value []byte, decode func([]byte) (T, error), encode func(T) ([]byte, error)) {
	t.Helper()
	first, err := decode(value)
	if err != nil {
		return
	}
	canon, err := encode(first)
	require.NoError(t, err)
	second, err := decode(canon)
	require.NoError(t, err)
	again, err := encode(second)
	require.NoError(t, err)
	require.Equal(t, canon, again)
}

func FuzzRecord(f *testing.F) {
	seed(f, "record-full", "record-parts", "record-empty", "record-sealed", "record-sealed-part")
	f.Fuzz(func(t *testing.T, value []byte) {
		identical(t, value, layout.DecodeRecord, layout.EncodeRecord)
		head, err := layout.DecodeHead(value)
		if r, err2 := layout.DecodeRecord(value); err2 == nil {
			require.NoError(t, err)
			require.Equal(t, r.Head, head)
		}
	})
}

func FuzzValues(f *testing.F) {
	seed(f, "session", "session-sealed", "bucket", "runs", "promise", "state", "seal", "stable", "removed", "rebuild")
	f.Fuzz(func(t *testing.T, value []byte) {
		identical(t, value, layout.DecodeSession, layout.EncodeSession)
		identical(t, value, layout.DecodeBucket, layout.EncodeBucket)
		identical(t, value, layout.DecodeRuns, layout.EncodeRuns)
		identical(t, value, layout.DecodePromise, layout.EncodePromise)
		identical(t, value, layout.DecodeState, func(s layout.State) ([]byte, error) { return layout.EncodeState(&s) })
		identical(t, value, layout.DecodeSeal, layout.EncodeSeal)
		identical(t, value, layout.DecodeMark, layout.EncodeMark)
		identical(t, value, layout.DecodeRemoved, layout.EncodeRemoved)
		identical(t, value, layout.DecodeRebuild, layout.EncodeRebuild)
		identical(t, value, layout.DecodePosition, func(p uint64) ([]byte, error) { return layout.EncodePosition(p), nil })
	})
}

func FuzzEntry(f *testing.F) {
	seed(f, "entry")
	f.Fuzz(func(t *testing.T, value []byte) {
		identical(t, value, func(b []byte) (*layout.Entry, error) { return layout.DecodeEntry(12, b) }, layout.EncodeEntry)
	})
}

func FuzzShardHeader(f *testing.F) {
	seed(f, "shard-header")
	f.Fuzz(func(t *testing.T, value []byte) {
		identical(t, value, layout.DecodeShardHeader, func(h layout.ShardHeader) ([]byte, error) { return layout.EncodeShardHeader(&h) })
	})
}

func FuzzTrailer(f *testing.F) {
	seed(f, "shard-trailer")
	f.Fuzz(func(t *testing.T, value []byte) {
		identical(t, value, func(b []byte) (layout.Trailer, error) {
			trailer, n, err := layout.DecodeTrailer(b, someData, 1)
			require.LessOrEqual(t, n, len(b))
			return trailer, err
		}, func(x layout.Trailer) ([]byte, error) { return layout.EncodeTrailer(&x, someData, 1) })
	})
}

func FuzzIdentity(f *testing.F) {
	seed(f, "format.json")
	f.Fuzz(func(t *testing.T, value []byte) {
		identical(t, value, layout.DecodeIdentity, func(id layout.Identity) ([]byte, error) { return layout.EncodeIdentity(id, time.Time{}) })
	})
}

// FuzzSlot: what parses as a slot is, byte by byte, what its constructor makes.
func FuzzSlot(f *testing.F) {
	all, err := os.ReadFile(filepath.Join("testdata", "v1", "slots"))
	require.NoError(f, err)
	for len(all) > 0 {
		f.Add(all[1 : 1+all[0]])
		all = all[1+all[0]:]
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := layout.Slot(b)
		if layout.CheckSlot(s) != nil {
			return
		}
		require.Equal(t, s, rebuilt(s))
	})
}

func rebuilt(s layout.Slot) layout.Slot {
	switch s.Type() {
	case layout.TypeVersion:
		b, key, v, _ := layout.ParseVersionSlot(s)
		return layout.VersionSlot(b, key, v)
	case layout.TypeInline:
		d, _ := layout.ParseInlineSlot(s)
		return layout.InlineSlot(d)
	case layout.TypeUpload:
		b, key, u, _ := layout.ParseUploadSlot(s)
		return layout.UploadSlot(b, key, u)
	case layout.TypePart:
		u, n, _ := layout.ParsePartSlot(s)
		return layout.PartSlot(u, n)
	case layout.TypeSizes:
		u, _ := layout.ParseSizesSlot(s)
		return layout.SizesSlot(u)
	case layout.TypeDocument:
		b, d, _ := layout.ParseDocumentSlot(s)
		return layout.DocumentSlot(b, d)
	case layout.TypeName:
		name, _ := layout.ParseNameSlot(s)
		return layout.NameSlot(name)
	case layout.TypeAlias:
		b, key, id, _ := layout.ParseAliasSlot(s)
		return layout.AliasSlot(b, key, id)
	}
	if d, o, err := layout.ParseDataOwnerSlot(s); err == nil {
		return layout.DataOwnerSlot(d, o)
	}
	u, o, _ := layout.ParseUploadOwnerSlot(s)
	return layout.UploadOwnerSlot(u, o)
}
