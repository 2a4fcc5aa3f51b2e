package lint

import (
	"fmt"
	"go/ast"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

// The limits of the house.
const (
	maxFiles         = 15  // files of a package, tests not counted
	maxFileLines     = 500 // lines of a file that is no test
	maxFunctionLines = 70  // lines of a function outside tests, from func to its brace
	maxMethods       = 10  // methods of an interface, embedded ones counted
	minCommentBytes  = 40  // of a comment that says what a package or test file is for
)

func findManyFiles(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if n := len(p.Sources()); n > maxFiles {
			out = append(out, Finding{Path: p.Dir, Text: fmt.Sprintf("%d files, at most %d", n, maxFiles)})
		}
	}
	return out
}

func findLongFiles(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Sources() {
			if f.Lines > maxFileLines {
				out = append(out, Finding{Path: f.Path, Text: fmt.Sprintf("%d lines, at most %d", f.Lines, maxFileLines)})
			}
		}
	}
	return out
}

func findLongFunctions(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Sources() {
			for n := range ast.Preorder(f.AST) {
				switch n.(type) {
				case *ast.FuncDecl, *ast.FuncLit:
				default:
					continue
				}
				lines := t.Fset.Position(n.End()).Line - t.Fset.Position(n.Pos()).Line + 1
				if fn, ok := n.(*ast.FuncDecl); ok && fn.Body != nil {
					lines = t.Fset.Position(fn.End()).Line - t.Fset.Position(fn.Type.Func).Line + 1
				}
				if lines > maxFunctionLines {
					out = append(out, t.at(n.Pos(), "%s has %d lines, at most %d", enclosing(f.AST, n.Pos()), lines, maxFunctionLines))
				}
			}
		}
	}
	return out
}

// findWideInterfaces counts the methods of every interface outside tests.
func findWideInterfaces(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Sources() {
			for n := range ast.Preorder(f.AST) {
				it, ok := n.(*ast.InterfaceType)
				if !ok {
					continue
				}
				count, unknown := p.methods(it, map[*ast.InterfaceType]bool{})
				for _, name := range unknown {
					out = append(out, t.at(it.Pos(), "embeds %s, whose number of methods is not known: add it to tables.go", name))
				}
				if count > maxMethods {
					out = append(out, t.at(it.Pos(), "an interface of %d methods, at most %d", count, maxMethods))
				}
			}
		}
	}
	return out
}

// methods counts the methods of an interface with those of what it embeds, and
// returns the names of embedded interfaces that it knows nothing about.
func (p *Package) methods(it *ast.InterfaceType, seen map[*ast.InterfaceType]bool) (count int, unknown []string) {
	if seen[it] {
		return 0, nil
	}
	seen[it] = true
	for _, m := range it.Methods.List {
		if len(m.Names) > 0 {
			count += len(m.Names)
			continue
		}
		if pkg, name, ok := p.Qualified(m.Type); ok {
			n, known := embedded()[pkg+"."+name]
			if !known {
				unknown = append(unknown, pkg+"."+name)
			}
			count += n
			continue
		}
		if inner := p.declared(m.Type); inner != nil {
			n, more := p.methods(inner, seen)
			count, unknown = count+n, append(unknown, more...)
		} else if tv, ok := p.Info.Types[m.Type]; ok && tv.Type != nil {
			if std, ok := tv.Type.Underlying().(*types.Interface); ok {
				count += std.NumMethods() // error, comparable, any
			}
		}
	}
	return count, unknown
}

// declared returns the interface that a name of this package stands for, or nil.
func (p *Package) declared(e ast.Expr) *ast.InterfaceType {
	if ix, ok := e.(*ast.IndexExpr); ok {
		e = ix.X
	}
	id, ok := e.(*ast.Ident)
	if !ok {
		return nil
	}
	for _, f := range p.Files {
		for n := range ast.Preorder(f.AST) {
			ts, ok := n.(*ast.TypeSpec)
			if !ok || ts.Name.Name != id.Name {
				continue
			}
			if it, ok := ts.Type.(*ast.InterfaceType); ok {
				return it
			}
		}
	}
	return nil
}

// findPackageComments asks every package that is more than tests for a comment
// that begins as go doc expects it.
func findPackageComments(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		sources := p.Sources()
		if len(sources) == 0 {
			continue
		}
		want := "Package " + p.Name + " "
		good := slices.ContainsFunc(sources, func(f *File) bool {
			text := f.AST.Doc.Text()
			return len(text) >= minCommentBytes && (strings.HasPrefix(text, want) || p.Name == "main")
		})
		if !good {
			out = append(out, Finding{Path: sources[0].Path, Line: 1,
				Text: fmt.Sprintf("no package comment that begins with %q and says what the package guarantees", want)})
		}
	}
	return out
}

// findTestComments asks every test file for a comment before its first
// declaration, the imports included.
func findTestComments(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if f.Test && !opensWithComment(f.AST) {
				out = append(out, Finding{Path: f.Path, Line: 1, Text: "does not begin with a comment on its goal and method"})
			}
		}
	}
	return out
}

func opensWithComment(f *ast.File) bool {
	limit := f.End()
	if len(f.Decls) > 0 {
		limit = f.Decls[0].Pos()
		if fn, ok := f.Decls[0].(*ast.FuncDecl); ok && fn.Doc != nil {
			limit = fn.Doc.Pos()
		}
		if gen, ok := f.Decls[0].(*ast.GenDecl); ok && gen.Doc != nil {
			limit = gen.Doc.Pos()
		}
	}
	return slices.ContainsFunc(f.Comments, func(c *ast.CommentGroup) bool {
		return c.Pos() < limit && len(c.Text()) >= minCommentBytes // Text leaves directives out
	})
}

// textPattern reports every line of text that matches.
func (t *Tree) textPattern(pattern *regexp.Regexp, but ...string) []Finding {
	var out []Finding
	for _, x := range t.Texts {
		if slices.ContainsFunc(but, func(suffix string) bool { return strings.HasSuffix(x.Path, suffix) }) {
			continue
		}
		n := 0
		for line := range strings.Lines(x.Data) {
			n++
			if m := pattern.FindString(line); m != "" {
				out = append(out, Finding{Path: x.Path, Line: n, Text: fmt.Sprintf("%q", strings.TrimSpace(m))})
			}
		}
	}
	return out
}
