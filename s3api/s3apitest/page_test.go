// Goal: the page about S3 names every operation that the handler routes, says of each truly
// whether it is built, and how many cases of the kit ask for it. Method: the tables are
// written from s3api.Operations and from what a handler was asked while the cases ran, and
// compared; SHERD_WRITE=1 writes them into the page.
package s3apitest_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
)

// asked is which cases asked for which operations.
type asked struct {
	mu    sync.Mutex
	ids   map[string]string // the operations of requests, by their ids
	cases map[string]map[string]bool
}

func newAsked() *asked { return &asked{ids: map[string]string{}, cases: map[string]map[string]bool{}} }

// observe is for s3api.Options.
func (a *asked) observe(x s3api.Exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[x.RequestID] = x.Operation
}

// over is a handler whose requests are counted.
func (a *asked) over(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, named := strings.CutPrefix(r.Header.Get("User-Agent"), "s3apitest ")
		defer func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			operation := a.ids[w.Header().Get("X-Amz-Request-Id")]
			if a.cases[operation] == nil {
				a.cases[operation] = map[string]bool{}
			}
			if named {
				a.cases[operation][name] = true
			}
		}()
		h.ServeHTTP(w, r)
	})
}

const (
	tablesBegin = "<!-- written from s3api.Operations by s3api/s3apitest/page_test.go -->\n"
	tablesEnd   = "<!-- to here -->\n"
)

// tables are those of the operations, one for each level.
func (a *asked) tables() string {
	var b strings.Builder
	for level, title := range []string{"The service", "Buckets", "Objects"} {
		fmt.Fprintf(&b, "\n### %s\n\n| operation | request | permission | | cases |\n|---|---|---|---|--:|\n", title)
		for _, o := range s3api.Operations() {
			if int(o.Level) != level {
				continue
			}
			built := "`NotImplemented`"
			if o.Built {
				built = "built"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %d |\n", o.Name, request(o), permission(o), built, len(a.cases[o.Name]))
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

// checkTables compares the tables of the page, and wants that some case asks for each
// operation that is built.
func (a *asked) checkTables(t *testing.T) {
	t.Helper()
	for _, o := range s3api.Operations() {
		if o.Built {
			require.NotEmpty(t, a.cases[o.Name], "no case asks for %s", o.Name)
		}
	}
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(data), tablesBegin)
	found, after, ends := strings.Cut(rest, tablesEnd)
	require.True(t, begins && ends, "the page has no place for its tables")
	if os.Getenv("SHERD_WRITE") != "" {
		require.NoError(t, os.WriteFile(page, []byte(before+tablesBegin+a.tables()+tablesEnd+after), 0o644))
		return
	}
	require.Equal(t, a.tables(), found, "SHERD_WRITE=1 go test ./s3api/s3apitest brings the page up to date")
}

// overHTTP2 is a transport whose answers must have come by version 2.
type overHTTP2 struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (o overHTTP2) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := o.RoundTripper.RoundTrip(r)
	if err == nil && answer.ProtoMajor != 2 {
		return nil, fmt.Errorf("the answer came by %s", answer.Proto)
	}
	return answer, err
}
