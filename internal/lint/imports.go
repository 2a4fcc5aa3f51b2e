package lint

import (
	"fmt"
	"go/ast"
	"iter"
	"slices"
	"strings"
)

// imports yields every import of the packages that want is true for, test
// files left out.
func (t *Tree) imports(want func(*Package) bool) iter.Seq2[*Package, *ast.ImportSpec] {
	return func(yield func(*Package, *ast.ImportSpec) bool) {
		for _, p := range t.Packages {
			if !want(p) {
				continue
			}
			for _, f := range p.Sources() {
				for _, s := range f.AST.Imports {
					if !yield(p, s) {
						return
					}
				}
			}
		}
	}
}

// placeOf returns the entry for a folder: its own or the nearest above it. The
// root's entry is for the root alone.
func placeOf(dir string) (place, bool) {
	best, found := place{}, false
	for _, pl := range places() {
		if (dir == pl.dir || pl.dir != "." && under(dir, pl.dir)) && len(pl.dir) >= len(best.dir) {
			best, found = pl, true
		}
	}
	return best, found
}

func (p *Package) place() place {
	pl, _ := placeOf(p.Dir)
	return pl
}

// folderOf returns the folder of a package of this repository.
func folderOf(importPath string) (string, bool) {
	if importPath == rootModule {
		return ".", true
	}
	return strings.CutPrefix(importPath, rootModule+"/")
}

// findLayers holds the table of places: each package imports only what its
// entry names, and every package has an entry.
func findLayers(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if _, ok := placeOf(p.Dir); !ok {
			out = append(out, Finding{Path: p.Files[0].Path, Line: 1,
				Text: fmt.Sprintf("the folder %s has no place among the layers: give it one in tables.go", p.Dir)})
		}
	}
	for p, s := range t.imports(func(*Package) bool { return true }) {
		dir, ours := folderOf(importPath(s))
		own, known := placeOf(p.Dir)
		if !ours || !known {
			continue
		}
		other, ok := placeOf(dir)
		if ok && (other.dir == own.dir || slices.Contains(own.may, other.dir)) {
			continue
		}
		f := t.at(s.Pos(), "%s must not import %s", own.dir, dir)
		f.Why = own.why
		out = append(out, f)
	}
	return out
}

// findImports holds the table of banned imports.
func findImports(t *Tree) []Finding {
	var out []Finding
	for _, ban := range importBans() {
		for p, s := range t.imports(ban.from) {
			exempt := slices.ContainsFunc(ban.but, func(dir string) bool { return under(p.Dir, dir) })
			if exempt || !matches(ban.path, importPath(s)) {
				continue
			}
			f := t.at(s.Pos(), "%s must not import %s", p.Dir, importPath(s))
			f.Why = ban.why
			out = append(out, f)
		}
	}
	return out
}

// matches reports whether an import path fits a pattern: itself, or all below
// it too if the pattern ends in /... .
func matches(pattern, importPath string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return under(importPath, base)
	}
	return importPath == pattern
}

func findDotImports(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			for _, s := range f.AST.Imports {
				if s.Name != nil && s.Name.Name == "." {
					out = append(out, t.at(s.Pos(), "%s is imported without its name", importPath(s)))
				}
			}
		}
	}
	return out
}
