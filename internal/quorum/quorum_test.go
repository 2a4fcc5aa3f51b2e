// Goal: the numbers on which every decision of a set rests. Method: the
// properties that the protocol needs, for every set size that is allowed, and
// the table of the documentation.
package quorum_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/quorum"
)

func TestGroupsMeet(t *testing.T) {
	for n := 1; n <= 16; n++ {
		q, b := quorum.Write(n), quorum.Read(n)
		require.Equal(t, n+1, q+b, "any deciding and any reading group of %d share a drive", n)
		require.Greater(t, 2*q, n, "two deciding groups of %d share a drive", n)
		require.GreaterOrEqual(t, b, 1)
		require.LessOrEqual(t, q, n)
	}
}

func TestTable(t *testing.T) {
	for n, want := range map[int][2]int{1: {1, 1}, 2: {2, 1}, 3: {2, 2}, 4: {3, 2}, 6: {4, 3}, 8: {5, 4}, 12: {7, 6}, 16: {9, 8}} {
		require.Equal(t, want, [2]int{quorum.Write(n), quorum.Read(n)}, "N=%d", n)
	}
}

func TestShardsLeaveASurplus(t *testing.T) {
	for n := 1; n <= 16; n++ {
		for k := 1; k <= n; k++ {
			s := quorum.Shards(n, k)
			require.LessOrEqual(t, s, n)
			require.GreaterOrEqual(t, s, k)
			if k < n {
				require.Greater(t, s, k, "n=%d k=%d: one shard may be lost right after", n, k)
			}
			require.True(t, s == n || 2*s > n, "n=%d k=%d: a majority", n, k)
		}
	}
}

func TestGeometry(t *testing.T) {
	for n := 1; n <= 16; n++ {
		m := quorum.DefaultParity(n)
		require.LessOrEqual(t, m, n/2, "N=%d", n)
		k, got := quorum.Geometry(n, m)
		require.Equal(t, n, k+got)
		require.Equal(t, m, got)
	}
	k, m := quorum.Geometry(3, 8)
	require.Equal(t, []int{1, 2}, []int{k, m}, "parity beyond n−1 keeps one data shard")
}
