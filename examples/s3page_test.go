package examples_test

// Goal: the page about S3 names no error that there is not. Method: the page is read.

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
)

const s3Page = "../docs/S3.md"

// TestCodesOfThePage has every error code that the page names be one that there is.
func TestCodesOfThePage(t *testing.T) {
	data, err := os.ReadFile(s3Page)
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(data), "\n## Errors\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	var named []string
	for i, part := range strings.Split(section, "`") {
		if i%2 == 1 && part != "" && part[0] >= 'A' && part[0] <= 'Z' && !strings.ContainsAny(part, "- ./") {
			named = append(named, part)
		}
	}
	require.NotEmpty(t, named)
	for _, code := range named {
		require.True(t, slices.Contains(s3api.Codes(), code), code)
	}
}
