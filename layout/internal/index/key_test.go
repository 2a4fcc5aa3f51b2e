// Goal: the order of keys is what the index library asks of an order, and
// escaped strings keep theirs. Method: the library's own check over prefixes
// of every kind, and fuzzing.
package index_test

import (
	"bytes"
	"cmp"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/layout/internal/index"
)

func TestComparer(t *testing.T) {
	var prefixes [][]byte
	for _, key := range []string{"", "a", "ab", "a\x00b", "\x09\x11", "\xff\xff", "\x00"} {
		prefixes = append(prefixes, index.AppendEscaped([]byte("o\x00\x00\x00\x00\x00\x00\x00\x09"), key))
	}
	prefixes = append(prefixes, []byte("i012345678901234567890123\x00"), []byte("l\x00\x00\x00\x00\x00\x00\x00\x11\x00"), []byte("sstate\x00"))
	var suffixes [][]byte
	for _, p := range []string{"\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x09", "\x00\x00\x00\x00\x00\x00\x00\x11", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		suffixes = append(suffixes, []byte(p+"\x09"), []byte(p+p+"\x11"))
	}
	require.NoError(t, pebble.CheckComparer(index.Comparer(), prefixes, suffixes))
}

func FuzzEscape(f *testing.F) {
	f.Add("a", "a\x00")
	f.Add("\x00\xff", "\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		ea, eb := index.AppendEscaped(nil, a), index.AppendEscaped(nil, b)
		require.Equal(t, cmp.Compare(a, b), bytes.Compare(ea, eb), "order")
		require.Equal(t, a == b, bytes.HasPrefix(ea, eb), "no escaped string begins another")
		require.Equal(t, strings.HasPrefix(b, a), bytes.HasPrefix(eb, index.AppendOpen(nil, a)))
		back, rest, ok := index.Unescape(append(ea, eb...))
		require.True(t, ok)
		require.Equal(t, a, back)
		require.Equal(t, eb, rest)
		// And whatever parses is what would have been written.
		if s, rest, ok := index.Unescape([]byte(b)); ok {
			require.Equal(t, b, string(index.AppendEscaped(nil, s))+string(rest))
		}
	})
}
