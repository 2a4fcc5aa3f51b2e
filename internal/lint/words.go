package lint

import (
	"regexp"
	"strings"
)

// The patterns below are put together from halves, so that this file keeps the
// rules it states.

// findUnfinished reports the usual marks of work left undone.
func findUnfinished(t *Tree) []Finding {
	words := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}
	return t.textPattern(regexp.MustCompile(`\b(`+strings.Join(words, "|")+`)\b`), "go.sum", "go.work.sum")
}

// findMachinePaths reports absolute paths that exist on somebody's machine only.
func findMachinePaths(t *Tree) []Finding {
	folders := []string{"work", "root", "home/[a-z_][a-z0-9_-]*", "Users/[A-Za-z]+"}
	return t.textPattern(regexp.MustCompile(`(^|[\s"'` + "`" + `(=:,\[])/(` + strings.Join(folders, "|") + `)(/|$)`))
}

// findRegistries reports hosts that modules and packages are fetched from.
func findRegistries(t *Tree) []Finding {
	hosts := []string{
		`proxy\.` + `golang\.org`, `sum\.` + `golang\.org`, `goproxy\.` + `[a-z]+`, `pypi\.` + `org`,
		`files\.` + `pythonhosted\.org`, `registry\.` + `npmjs\.org`, `index\.` + `crates\.io`, `deb\.` + `debian\.org`,
		`snapshot\.` + `debian\.org`, `registry-1\.` + `docker\.io`,
	}
	return t.textPattern(regexp.MustCompile(`\b(` + strings.Join(hosts, "|") + `)\b`))
}
