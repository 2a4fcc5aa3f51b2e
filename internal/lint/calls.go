package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// findCalls holds the tables of banned names, and the ban on panic and the
// built-in printing functions.
func findCalls(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if !p.Inspected() && !p.externalOfRoot() {
			continue
		}
		bans := callBans()
		if p.place().pure {
			bans = append(bans, pureBans()...)
		}
		for _, f := range p.Files {
			for n := range ast.Preorder(f.AST) {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					out = append(out, t.bannedName(p, f, n, bans)...)
				case *ast.CallExpr:
					if name := p.builtin(n); !f.Test && (name == "panic" || name == "print" || name == "println") {
						out = append(out, t.at(n.Pos(), "%s in %s: return an error", name, enclosing(f.AST, n.Pos())))
					}
				}
			}
		}
	}
	return out
}

// bannedName compares one selector with the bans.
func (t *Tree) bannedName(p *Package, f *File, n *ast.SelectorExpr, bans []callBan) []Finding {
	pkg, name, ok := p.Qualified(n)
	if !ok {
		return nil
	}
	var out []Finding
	for _, b := range bans {
		banned := slices.Contains(b.names, name) || b.names == nil && !slices.Contains(b.except, name)
		exempt := f.Test && !b.tests || slices.ContainsFunc(b.but, func(dir string) bool { return under(p.Dir, dir) })
		if b.path != pkg || !banned || exempt {
			continue
		}
		found := t.at(n.Pos(), "%s.%s in %s", pkg, name, enclosing(f.AST, n.Pos()))
		found.Why = b.why
		out = append(out, found)
	}
	return out
}

// externalOfRoot reports whether p is the black-box test of a package of the
// root module.
func (p *Package) externalOfRoot() bool {
	return p.External && p.Module != nil && p.Module.Dir == "."
}

// builtin returns the name of the built-in function that a call is of, or "".
func (p *Package) builtin(call *ast.CallExpr) string {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok {
		return ""
	}
	if _, ok := p.Info.Uses[id].(*types.Builtin); !ok {
		return ""
	}
	return id.Name
}

// enclosing names the function around pos, as Name or Type.Name, for findings
// to be excused by; "the file's scope" outside of any.
func enclosing(f *ast.File, pos token.Pos) string {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || pos < fn.Pos() || pos >= fn.End() {
			continue
		}
		if fn.Recv == nil || len(fn.Recv.List) == 0 {
			return fn.Name.Name
		}
		return receiver(fn.Recv.List[0].Type) + "." + fn.Name.Name
	}
	return "the file's scope"
}

// receiver returns the type's name of a method's receiver.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.ParenExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

// findSleepingTests reports time.Sleep in test files that do not use
// testing/synctest, in whose bubbles a sleep takes no time.
func findSleepingTests(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			bubble := slices.ContainsFunc(f.AST.Imports, func(s *ast.ImportSpec) bool {
				return importPath(s) == "testing/synctest"
			})
			if !f.Test || bubble {
				continue
			}
			for n := range ast.Preorder(f.AST) {
				e, ok := n.(*ast.SelectorExpr)
				if !ok {
					continue
				}
				if pkg, name, ok := p.Qualified(e); ok && pkg == "time" && name == "Sleep" {
					out = append(out, t.at(n.Pos(), "time.Sleep in %s", enclosing(f.AST, n.Pos())))
				}
			}
		}
	}
	return out
}

func findInit(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if !p.Inspected() {
			continue
		}
		for _, f := range p.Sources() {
			for _, d := range f.AST.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					out = append(out, t.at(fn.Pos(), "init function: do it where the result is asked for"))
				}
			}
		}
	}
	return out
}

func findGoroutines(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if !p.Inspected() || !p.place().pure {
			continue
		}
		for _, f := range p.Sources() {
			for n := range ast.Preorder(f.AST) {
				if g, ok := n.(*ast.GoStmt); ok {
					out = append(out, t.at(g.Pos(), "go statement in %s", enclosing(f.AST, g.Pos())))
				}
			}
		}
	}
	return out
}

// findSkips reports tests that leave themselves out.
func findSkips(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			handles := p.testHandles(f)
			for n := range ast.Preorder(f.AST) {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok || !strings.HasPrefix(sel.Sel.Name, "Skip") {
					continue
				}
				if id, ok := sel.X.(*ast.Ident); ok && handles[p.object(id)] {
					out = append(out, t.at(n.Pos(), "%s.%s: use a build constraint, or let it run", id.Name, sel.Sel.Name))
				}
			}
		}
	}
	return out
}

// testHandles returns the parameters of a file that are handles of a test:
// *testing.T, B and F, and testing.TB.
func (p *Package) testHandles(f *File) map[types.Object]bool {
	out := map[types.Object]bool{}
	for n := range ast.Preorder(f.AST) {
		field, ok := n.(*ast.Field)
		if !ok {
			continue
		}
		e := field.Type
		if star, ok := e.(*ast.StarExpr); ok {
			e = star.X
		}
		if pkg, name, ok := p.Qualified(e); !ok || pkg != "testing" || !slices.Contains([]string{"T", "B", "F", "TB"}, name) {
			continue
		}
		for _, id := range field.Names {
			out[p.object(id)] = true
		}
	}
	delete(out, nil)
	return out
}

// object returns what an identifier stands for, or nil.
func (p *Package) object(id *ast.Ident) types.Object {
	if o := p.Info.Uses[id]; o != nil {
		return o
	}
	return p.Info.Defs[id]
}
