// Goal: the bytes on the drives never change. Method: every file in testdata
// names an object, a geometry and the expected outcome, computed by an
// implementation of the code that shares nothing with this one.
package erasure_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sherd-storage/sherd/erasure"
	"github.com/stretchr/testify/require"
)

// content is the object of the vectors.
func content(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i*167 + i>>8*13 + i>>16*7 + 1)
	}
	return data
}

func parseVector(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !found {
			name = strings.TrimSuffix(name, ":") // an empty value
		}
		fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return fields
}

func number(t *testing.T, fields map[string]string, name string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(fields[name], 10, 64)
	require.NoError(t, err, name)
	return n
}

func TestVectors(t *testing.T) {
	paths, err := filepath.Glob("testdata/*-*")
	require.NoError(t, err)
	require.Greater(t, len(paths), 50)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			fields := parseVector(t, path)
			g := erasure.Geometry{Data: int(number(t, fields, "data")), Parity: int(number(t, fields, "parity"))}
			size := number(t, fields, "size")
			switch fields["expect"] {
			case "success":
				checkEncoding(t, fields, g, size)
			case "impossible geometry":
				checkRejection(t, g, size, erasure.ErrGeometry)
				_, err := erasure.New(g)
				require.ErrorIs(t, err, erasure.ErrGeometry)
			case "impossible size":
				checkRejection(t, g, size, erasure.ErrSize)
			default:
				t.Fatalf("unknown outcome %q", fields["expect"])
			}
		})
	}
}

func checkEncoding(t *testing.T, fields map[string]string, g erasure.Geometry, size int64) {
	stripes, err := g.Stripes(size)
	require.NoError(t, err)
	require.Equal(t, number(t, fields, "stripes"), stripes)
	shardBytes, err := g.ShardBytes(size)
	require.NoError(t, err)
	require.Equal(t, number(t, fields, "shard bytes"), shardBytes)
	for i, shard := range encodeObject(t, g, content(int(size))) {
		if want, found := fields[fmt.Sprintf("shard %d", i)]; found {
			require.Equal(t, want, hex.EncodeToString(shard), "shard %d", i)
			continue
		}
		sum := sha256.Sum256(shard)
		require.Equal(t, fields[fmt.Sprintf("shard %d sha256", i)], hex.EncodeToString(sum[:]), "shard %d", i)
	}
}

func checkRejection(t *testing.T, g erasure.Geometry, size int64, want error) {
	_, err := g.Stripes(size)
	require.ErrorIs(t, err, want)
	_, err = g.ShardBytes(size)
	require.ErrorIs(t, err, want)
	_, err = g.BlockBytesOf(size, 0)
	require.ErrorIs(t, err, want)
	_, _, err = g.Span(size, 0, 0)
	require.ErrorIs(t, err, want)
	_, _, err = g.Blocks(size, 0, 0, 0)
	require.ErrorIs(t, err, want)
	require.False(t, errors.Is(err, erasure.ErrBlocks))
}

// encodeObject encodes a whole object and returns its shards.
func encodeObject(t testing.TB, g erasure.Geometry, data []byte) [][]byte {
	t.Helper()
	coder, err := erasure.New(g)
	require.NoError(t, err)
	stripes, err := g.Stripes(int64(len(data)))
	require.NoError(t, err)
	shards := make([][]byte, g.Shards())
	for s := range stripes {
		b, err := g.BlockBytesOf(int64(len(data)), s)
		require.NoError(t, err)
		buf := make([]byte, g.Shards()*b)
		copy(buf[:g.Data*b], data[s*g.StripeBytes():])
		blocks, err := g.Lay(nil, buf, b)
		require.NoError(t, err)
		require.NoError(t, coder.Encode(blocks))
		for i, block := range blocks {
			shards[i] = append(shards[i], block...)
		}
	}
	return shards
}
