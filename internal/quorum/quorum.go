// Package quorum is the arithmetic of a set: how many drives decide, how many
// are enough to read, how many shards make a write durable. Pure.
//
// With N drives, Write(N) + Read(N) = N + 1: any group that may decide and any
// group that may be read have a drive in common, and so have any two groups
// that may decide. Write never follows the number of drives that are left.
package quorum

// Write is Q, the least number of in-sync drives: ⌊n/2⌋ + 1.
func Write(n int) int { return n/2 + 1 }

// Read is B, the least number of drives that must be asked to open a set of n
// drives: n − Write(n) + 1.
func Read(n int) int { return n - Write(n) + 1 }

// Shards is how many of n shards must be durable before a write with k data
// shards is acknowledged: one more than needed to read it where there is one,
// and a majority: min(n, max(k+1, ⌊n/2⌋+1)).
func Shards(n, k int) int { return min(n, max(k+1, n/2+1)) }

// DefaultParity is the parity of new objects in a set of n drives when nobody
// says otherwise: 1 → 0, 2–3 → 1, 4–5 → 2, 6–7 → 3, 8–16 → 4.
func DefaultParity(n int) int {
	switch {
	case n <= 1:
		return 0
	case n <= 3:
		return 1
	case n <= 5:
		return 2
	case n <= 7:
		return 3
	}
	return 4
}

// Geometry lays an object with the wanted parity out over n drives: parity is
// at most n − 1, the rest are data shards.
func Geometry(n, parity int) (k, m int) {
	m = max(0, min(parity, n-1))
	return n - m, m
}
