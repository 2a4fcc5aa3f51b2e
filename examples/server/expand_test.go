package main

// Goal: drive patterns become exactly the directories that people mean, and
// what is not a pattern is refused with a text that says why. Method: tables of
// patterns. In package main, which cannot be imported.

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpand(t *testing.T) {
	for pattern, want := range map[string][]string{
		"data":                  {"data"},
		"/mnt/disk{1...3}":      {"/mnt/disk1", "/mnt/disk2", "/mnt/disk3"},
		"d{9...11}":             {"d9", "d10", "d11"},
		"d{01...03}":            {"d01", "d02", "d03"},
		"d{08...11}":            {"d08", "d09", "d10", "d11"},
		"d{0...2}/x":            {"d0/x", "d1/x", "d2/x"},
		"d{5...5}":              {"d5"},
		"rack{1...2}/d{01...2}": nil,
		"r{1...2}/d{01...02}/s": {"r1/d01/s", "r1/d02/s", "r2/d01/s", "r2/d02/s"},
	} {
		got, err := expand(pattern)
		if want == nil {
			require.Error(t, err, pattern)
			continue
		}
		require.NoError(t, err, pattern)
		require.Equal(t, want, got, pattern)
	}
}

func TestExpandRefuses(t *testing.T) {
	for pattern, text := range map[string]string{
		"":                      "empty",
		"d{1...4":               "{ without }",
		"d1...4}":               "} without {",
		"d}{1...4}":             "} without {",
		"d{1..4}":               "no range",
		"d{a...c}":              "no range",
		"d{-1...4}":             "no range",
		"d{1...}":               "no range",
		"d{}":                   "no range",
		"d{{1...2}}":            "no range",
		"d{4...1}":              "backwards",
		"d{001...10}":           "widths",
		"d{1...100000}":         "more than",
		"d{1...9999999999}":     "no range",
		"{1...50}{1...50}":      "more than",
		"{1...9}{1...9}{1...9}": "more than",
	} {
		_, err := expand(pattern)
		require.ErrorContains(t, err, text, pattern)
	}
}

func TestExpandAll(t *testing.T) {
	got, err := expandAll([]string{"./a{1...2}", "b//c"})
	require.NoError(t, err)
	require.Equal(t, []string{"a1", "a2", filepath.Join("b", "c")}, got)
	_, err = expandAll([]string{"a{1...3}", "./a2"})
	require.ErrorContains(t, err, "named twice")
	_, err = expandAll([]string{"a{1...200}", "b{1...200}"})
	require.ErrorContains(t, err, "at most")
}
