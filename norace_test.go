// Goal: loops that are bounded by time try fewer points under the race detector.
// Method: a constant by build tag.

//go:build !race

package sherd_test

const raceEnabled = false
