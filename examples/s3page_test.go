package examples_test

// Goal: the page about S3 names every operation that the handler routes, and says
// of each truly whether it is built. Method: the page's tables are written from
// s3api.Operations and compared; SHERD_WRITE=1 writes them into the page.

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
)

const (
	s3Page      = "../docs/S3.md"
	tablesBegin = "<!-- written from s3api.Operations by examples/s3page_test.go -->\n"
	tablesEnd   = "<!-- to here -->\n"
)

// tables are those of the operations, one for each level.
func tables() string {
	var b strings.Builder
	for level, title := range []string{"The service", "Buckets", "Objects"} {
		fmt.Fprintf(&b, "\n### %s\n\n| operation | request | permission | |\n|---|---|---|---|\n", title)
		for _, o := range s3api.Operations() {
			if int(o.Level) != level {
				continue
			}
			built := "`NotImplemented`"
			if o.Built {
				built = "built"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Name, request(o), permission(o), built)
		}
	}
	return b.String() + "\n"
}

func request(o s3api.Operation) string {
	path := []string{"/", "/bucket", "/bucket/key"}[o.Level]
	if len(o.Query) > 0 {
		path += "?" + strings.Join(o.Query, "&")
	}
	text := "`" + o.Method + " " + path + "`"
	if o.Header != "" {
		text += " with `" + strings.ToLower(o.Header) + "`"
	}
	return text
}

func permission(o s3api.Operation) string {
	switch {
	case o.Action == "":
		return "none"
	case o.VersionAction != "":
		return "`" + o.Action + "`, of a version `" + o.VersionAction + "`"
	default:
		return "`" + o.Action + "`"
	}
}

func TestS3Page(t *testing.T) {
	data, err := os.ReadFile(s3Page)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(data), tablesBegin)
	found, after, ends := strings.Cut(rest, tablesEnd)
	require.True(t, begins && ends, "the page has no place for its tables")
	if os.Getenv("SHERD_WRITE") != "" {
		require.NoError(t, os.WriteFile(s3Page, []byte(before+tablesBegin+tables()+tablesEnd+after), 0o644))
		return
	}
	require.Equal(t, tables(), found, "SHERD_WRITE=1 go test ./examples -run TestS3Page brings the page up to date")
}

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
