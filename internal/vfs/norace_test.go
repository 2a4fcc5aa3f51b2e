// Goal: tests that count or time know whether the race detector runs. Method: a
// constant by build tag.

//go:build !race

package vfs_test

const raceEnabled = false
