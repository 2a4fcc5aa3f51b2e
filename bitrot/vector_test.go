// Goal: the bytes on the drives never change. Method: every file in testdata
// names a payload or a stream and the expected outcome, computed by an
// implementation of BLAKE3 and of the frames that shares nothing with this one.
package bitrot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/stretchr/testify/require"
)

// content is the payload of the vectors.
func content(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i*167 + i>>8*13 + i>>16*7 + 1)
	}
	return data
}

type vector map[string]string

func parseVector(t *testing.T, path string) vector {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	fields := vector{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

func (v vector) number(t *testing.T, name string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(v[name], 10, 64)
	require.NoError(t, err, name)
	return n
}

func (v vector) bytes(t *testing.T, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v[name])
	require.NoError(t, err, name)
	return b
}

func TestVectors(t *testing.T) {
	paths, err := filepath.Glob("testdata/*-*")
	require.NoError(t, err)
	require.Greater(t, len(paths), 30)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			v := parseVector(t, path)
			id := bitrot.ShardID{Data: [24]byte(v.bytes(t, "data id")), Shard: uint8(v.number(t, "shard"))}
			switch v["expect"] {
			case "success":
				checkStream(t, v, id)
			case "corrupt":
				checkCorrupt(t, v, id)
			default:
				t.Fatalf("unknown outcome %q", v["expect"])
			}
		})
	}
}

func checkStream(t *testing.T, v vector, id bitrot.ShardID) {
	payload := content(int(v.number(t, "payload bytes")))
	stream := encode(t, id, payload)
	require.Len(t, stream, int(v.number(t, "stream bytes")))
	if want, found := v["stream"]; found {
		require.Equal(t, want, hex.EncodeToString(stream))
	} else {
		sum := sha256.Sum256(stream)
		require.Equal(t, v["stream sha256"], hex.EncodeToString(sum[:]))
	}
	got, err := io.ReadAll(bitrot.NewReader(bytes.NewReader(stream), id))
	require.NoError(t, err)
	require.True(t, bytes.Equal(payload, got))
}

func checkCorrupt(t *testing.T, v vector, id bitrot.ShardID) {
	got, err := io.ReadAll(bitrot.NewReader(bytes.NewReader(v.bytes(t, "stream")), id))
	require.Empty(t, got)
	require.ErrorIs(t, err, bitrot.ErrCorrupt)
	want := &bitrot.CorruptError{Shard: id, Frame: v.number(t, "frame"), Reason: bitrot.Reason(v["reason"])}
	require.Equal(t, want, err)
}

// encode gives the stream of a payload.
func encode(t testing.TB, id bitrot.ShardID, payload []byte) []byte {
	t.Helper()
	var stream bytes.Buffer
	w := bitrot.NewWriter(&stream, id)
	n, err := w.Write(payload)
	require.NoError(t, err)
	require.Equal(t, len(payload), n)
	require.NoError(t, w.Close())
	return stream.Bytes()
}
