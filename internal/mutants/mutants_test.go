// Goal: the tests notice when the code stops doing what durability and safety rest on.
// Method: one line after the other is broken in an overlay of the build, and the tests
// that are named for it must fail. See the table for what is broken.
package mutants

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// root is the module's.
const root = "../.."

// mutant is one way to break the code. Without new the old text is taken out.
type mutant struct {
	name     string
	file     string // below the module's root
	old, new string
	pkg, run string // the tests that are to notice
}

func (m mutant) broken(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, m.file))
	require.NoError(t, err, m.name)
	require.Equal(t, 1, strings.Count(string(text), m.old), "%s: %q is to be in %s once", m.name, m.old, m.file)
	return strings.Replace(string(text), m.old, m.new, 1)
}

func TestTheTableFitsTheCode(t *testing.T) {
	names := map[string]bool{}
	for _, m := range table {
		m.broken(t)
		require.False(t, names[m.name], m.name)
		require.NotEqual(t, m.old, m.new, m.name)
		names[m.name] = true
	}
}

// quick are done on every run.
var quick = []string{"a frame's sum is not compared", "the promise is not looked at", "a lock is not looked at"}

func TestMutantsAreKilled(t *testing.T) {
	killed := 0
	for _, m := range table {
		if os.Getenv("SHERD_LONG") == "" && !slices.Contains(quick, m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) { m.kill(t) })
		killed++
	}
	require.GreaterOrEqual(t, killed, len(quick))
	t.Logf("%d of %d mutants were tried", killed, len(table))
}

// kill breaks the code and wants its tests to fail, and not for want of a build.
func (m mutant) kill(t *testing.T) {
	dir := t.TempDir()
	file, err := filepath.Abs(filepath.Join(root, m.file))
	require.NoError(t, err)
	broken := filepath.Join(dir, filepath.Base(m.file))
	require.NoError(t, os.WriteFile(broken, []byte(m.broken(t)), 0o600))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: broken}})
	require.NoError(t, err)
	list := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(list, overlay, 0o600))
	begun := time.Now()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-vet=off", "-timeout=5m", "-overlay="+list, "-run="+m.run, m.pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "SHERD_LONG=")
	out, err := cmd.CombinedOutput()
	text := string(out)
	require.Error(t, err, "it survives:\n%s", tail(text))
	require.NotContains(t, text, "build failed", "%s", tail(text))
	require.NotContains(t, text, "no tests to run", "%s", tail(text))
	require.True(t, strings.Contains(text, "--- FAIL") || strings.Contains(text, "panic:"), "%s", tail(text))
	t.Logf("killed in %v", time.Since(begun).Round(time.Second))
}

// tail is the end of what a command said.
func tail(text string) string {
	const most = 3000
	if len(text) > most {
		return fmt.Sprintf("… %s", text[len(text)-most:])
	}
	return text
}
