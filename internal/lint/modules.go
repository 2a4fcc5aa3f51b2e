package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// findDependencies compares what the root module requires and imports with the
// table of dependencies.
func findDependencies(t *Tree) []Finding {
	known := func(p string) bool {
		return slices.ContainsFunc(dependencies(), func(d dependency) bool { return under(p, d.path) })
	}
	var out []Finding
	for _, m := range t.Modules {
		if m.Dir != "." {
			continue
		}
		for _, r := range m.Requires {
			if !r.Indirect && !known(r.Path) {
				out = append(out, Finding{Path: "go.mod", Line: r.Line,
					Text: r.Path + " is no known dependency: do without, move the need to a nested module, or give the reason in tables.go"})
			}
		}
	}
	for _, p := range t.Packages {
		if p.Module == nil || p.Module.Dir != "." {
			continue
		}
		for _, f := range p.Files {
			for _, s := range f.AST.Imports {
				name := importPath(s)
				first, _, _ := strings.Cut(name, "/")
				if _, ours := folderOf(name); ours || !strings.Contains(first, ".") || known(name) {
					continue
				}
				out = append(out, t.at(s.Pos(), "%s belongs to no known dependency", name))
			}
		}
	}
	return out
}

// findModules holds what joins the modules: the root's go.mod stands alone,
// every other module replaces the root by this tree, and go.work uses them all.
func findModules(t *Tree) []Finding {
	var out []Finding
	for _, m := range t.Modules {
		file := path.Join(m.Dir, "go.mod")
		for _, v := range m.Verbs {
			if m.Dir == "." && (v.Name == "tool" || v.Name == "replace" || v.Name == "exclude") {
				out = append(out, Finding{Path: file, Line: v.Line,
					Text: fmt.Sprintf("a %s directive in the root's go.mod: it belongs to a nested module", v.Name)})
			}
		}
		if !slices.Contains(t.Work, m.Dir) {
			out = append(out, Finding{Path: file, Line: 1, Text: "the module is not used by go.work, so nothing tests it"})
		}
		if m.Dir == "." {
			continue
		}
		if want := path.Join(rootModule, m.Dir); m.Path != want {
			out = append(out, Finding{Path: file, Line: 1, Text: fmt.Sprintf("the module is called %s, not %s", m.Path, want)})
		}
		up := strings.Repeat("../", strings.Count(m.Dir, "/")+1)
		if got, ok := m.Replaces[rootModule]; !ok || path.Clean(got) != path.Clean(up) {
			out = append(out, Finding{Path: file, Line: 1, Text: "no replace of " + rootModule + " by " + up})
		}
	}
	for _, dir := range t.Work {
		if !slices.ContainsFunc(t.Modules, func(m *Module) bool { return m.Dir == dir }) {
			out = append(out, Finding{Path: "go.work", Text: "uses " + dir + ", where no module is"})
		}
	}
	return out
}
