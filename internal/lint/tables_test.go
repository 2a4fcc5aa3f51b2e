// Goal: every line of the tables is enforced, and the tables agree with
// themselves. Method: from each entry a source that breaks it is generated, and
// the lint must report it with the entry's own reason. This test is inside the
// package because it walks the tables.
package lint

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// treeOf loads a repository of one Go file in dir.
func treeOf(t *testing.T, dir, src string) *Tree {
	t.Helper()
	var fsys fs.FS = fstest.MapFS{
		"go.mod":      {Data: []byte("module " + rootModule + "\n")},
		dir + "/a.go": {Data: []byte(src)},
	}
	if dir == "." {
		fsys = fstest.MapFS{"go.mod": {Data: []byte("module " + rootModule + "\n")}, "a.go": {Data: []byte(src)}}
	}
	tree, err := Load(fsys)
	require.NoError(t, err)
	return tree
}

// reports says whether a source breaks a rule for the given reason.
func reports(t *testing.T, rule, why, dir, src string) bool {
	t.Helper()
	return slices.ContainsFunc(Check(treeOf(t, dir, src), nil), func(f Finding) bool {
		return f.Rule == rule && f.Why == why
	})
}

func TestEveryImportBanFires(t *testing.T) {
	for _, ban := range importBans() {
		path, everything := ban.path, false
		if base := ban.path[:max(0, len(ban.path)-4)]; base+"/..." == ban.path {
			path, everything = base, true
		}
		fired := 0
		for _, pl := range places() {
			tree := treeOf(t, pl.dir, "package p\n")
			if !ban.from(tree.Packages[0]) {
				continue
			}
			exempt := slices.ContainsFunc(ban.but, func(dir string) bool { return under(pl.dir, dir) })
			src := fmt.Sprintf("package p\nimport _ %q\n", path)
			require.Equal(t, !exempt, reports(t, "imports", ban.why, pl.dir, src), "%s in %s", path, pl.dir)
			if !exempt {
				fired++
				below := fmt.Sprintf("package p\nimport _ %q\n", path+"/below")
				require.Equal(t, everything, reports(t, "imports", ban.why, pl.dir, below), "%s/below in %s", path, pl.dir)
			}
		}
		require.Positive(t, fired, ban.path)
	}
}

func TestEveryCallBanFires(t *testing.T) {
	for _, ban := range slices.Concat(callBans(), pureBans()) {
		names := ban.names
		if names == nil {
			names = []string{"Unheard"}
		}
		for _, name := range names {
			src := fmt.Sprintf("package lock\nimport x %q\nfunc f() { _ = x.%s }\n", ban.path, name)
			require.True(t, reports(t, "calls", ban.why, "lock", src), "%s.%s", ban.path, name)
		}
		for _, name := range ban.except {
			src := fmt.Sprintf("package lock\nimport x %q\nfunc f() { _ = x.%s }\n", ban.path, name)
			require.False(t, reports(t, "calls", ban.why, "lock", src), "%s.%s", ban.path, name)
		}
		for _, dir := range ban.but {
			src := fmt.Sprintf("package p\nimport x %q\nfunc f() { _ = x.%s }\n", ban.path, names[0])
			require.False(t, reports(t, "calls", ban.why, dir, src), "%s in %s", ban.path, dir)
		}
	}
}

func TestEveryLayerIsHeld(t *testing.T) {
	all := places()
	for i, from := range all {
		for j, to := range all {
			if i == j {
				continue
			}
			target := rootModule + "/" + to.dir
			if to.dir == "." {
				target = rootModule
			}
			allowed := slices.Contains(from.may, to.dir)
			require.False(t, allowed && j > i, "%s may import %s, which stands below it", from.dir, to.dir)
			src := fmt.Sprintf("package p\nimport _ %q\n", target)
			require.Equal(t, !allowed, reports(t, "layers", from.why, from.dir, src), "%s → %s", from.dir, to.dir)
		}
		for _, dir := range from.may {
			require.True(t, slices.ContainsFunc(all, func(p place) bool { return p.dir == dir }), "%s: %s is no place", from.dir, dir)
		}
	}
}

func TestEveryEntryHasAReason(t *testing.T) {
	for _, p := range places() {
		require.NotEmpty(t, p.why, p.dir)
	}
	for _, d := range dependencies() {
		require.NotEmpty(t, d.why, d.path)
	}
	for _, e := range Exceptions() {
		require.NotEmpty(t, e.Why, e.Path)
		require.True(t, slices.ContainsFunc(Rules(), func(r Rule) bool { return r.Name == e.Rule }), e.Rule)
	}
	for name, why := range immutable() {
		require.NotEmpty(t, why, name)
	}
	for name, n := range embedded() {
		require.Positive(t, n, name)
	}
	// The reasons of this package are read by people: its files must parse
	// for go doc, and the tables' file must be the one that the comment names.
	_, err := parser.ParseFile(token.NewFileSet(), "tables.go", nil, parser.PackageClauseOnly)
	require.NoError(t, err)
}
