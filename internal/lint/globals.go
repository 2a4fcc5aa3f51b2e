package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"iter"
	"slices"
	"strings"
)

// findGlobals reports package-level variables that can change. A variable
// passes if it is blank, or holds what an immutable constructor gave, or is a
// function, array, slice, map or struct of a type known here, and no file of
// the package, its tests included, writes to it, takes its address or lets it
// escape to where it could be written.
func findGlobals(t *Tree) []Finding {
	var out []Finding
	for _, p := range t.Packages {
		if p.Inspected() {
			out = append(out, t.findGlobalsOf(p)...)
		}
		out = append(out, t.findForeignWrites(p)...)
	}
	return out
}

func (t *Tree) findGlobalsOf(p *Package) []Finding {
	var out []Finding
	known := map[string]bool{} // names that pass if nobody writes to them
	fixed := map[string]bool{} // of these, what an immutable constructor gave
	for vs := range p.variables() {
		for i, id := range vs.Names {
			if id.Name == "_" {
				continue
			}
			fixed[id.Name] = p.constructed(vs, i)
			reason := p.mutable(vs, i)
			if reason == "" || fixed[id.Name] {
				known[id.Name] = true
				continue
			}
			out = append(out, t.at(id.Pos(), "package-level variable %s %s", id.Name, reason))
		}
	}
	for _, f := range p.Files {
		out = append(out, t.findWrites(p, f, known, fixed)...)
	}
	return out
}

// variables yields the declarations of package-level variables outside tests.
func (p *Package) variables() iter.Seq[*ast.ValueSpec] {
	return func(yield func(*ast.ValueSpec) bool) {
		for _, f := range p.Sources() {
			for _, d := range f.AST.Decls {
				gen, ok := d.(*ast.GenDecl)
				if !ok || gen.Tok != token.VAR {
					continue
				}
				for _, spec := range gen.Specs {
					if vs, ok := spec.(*ast.ValueSpec); ok && !yield(vs) {
						return
					}
				}
			}
		}
	}
}

// constructed reports whether the i-th variable of a declaration holds what a
// constructor of immutable values gave.
func (p *Package) constructed(vs *ast.ValueSpec, i int) bool {
	if i >= len(vs.Values) {
		return false
	}
	value := ast.Unparen(vs.Values[i])
	if name, ok := p.sentinel(value); ok {
		return strings.HasPrefix(strings.ToLower(name), "err")
	}
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	fun := call.Fun
	if ix, ok := fun.(*ast.IndexExpr); ok {
		fun = ix.X // type arguments
	}
	pkg, name, ok := p.Qualified(fun)
	return ok && immutable()[pkg+"."+name] != ""
}

// mutable says why the i-th variable of a declaration cannot be taken for
// constant by its kind, or "" if it can.
func (p *Package) mutable(vs *ast.ValueSpec, i int) string {
	obj := p.Info.Defs[vs.Names[i]]
	if obj == nil || obj.Type() == nil {
		return "is of a type that is not known here"
	}
	if len(vs.Values) == 0 {
		return "has no value, so it waits to be written: make it a field"
	}
	switch u := obj.Type().Underlying().(type) {
	case *types.Signature, *types.Array, *types.Slice, *types.Map, *types.Struct:
		return ""
	case *types.Basic:
		if u.Kind() == types.Invalid {
			return "is of a type that is not known here: make it a field or a function, or name its constructor in tables.go"
		}
		return "could be a constant: make it one"
	case *types.Interface:
		return "holds an interface: make it a field or a function"
	case *types.Chan:
		return "is a channel: make it a field"
	default:
		return "can be changed through its pointer: make it a field or a function"
	}
}

// sentinel returns the name of the variable, here or in another package, that
// an expression is: sentinels are passed on under a second name.
func (p *Package) sentinel(e ast.Expr) (string, bool) {
	if _, name, ok := p.Qualified(e); ok {
		return name, true
	}
	if id, ok := e.(*ast.Ident); ok {
		_, isVar := p.Info.Uses[id].(*types.Var)
		return id.Name, isVar
	}
	return "", false
}

// findForeignWrites reports assignments to variables of other packages.
func (t *Tree) findForeignWrites(p *Package) []Finding {
	if !p.Inspected() && !p.externalOfRoot() {
		return nil
	}
	var out []Finding
	for _, f := range p.Files {
		for n := range ast.Preorder(f.AST) {
			for _, e := range written(n) {
				for {
					if pkg, name, ok := p.Qualified(e); ok {
						out = append(out, t.at(e.Pos(), "writes to %s.%s of another package", pkg, name))
					}
					inner, ok := operand(e)
					if !ok {
						break
					}
					e = inner
				}
			}
		}
	}
	return out
}

// written returns the expressions that a statement assigns to.
func written(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return slices.DeleteFunc([]ast.Expr{n.Key, n.Value}, func(e ast.Expr) bool { return e == nil })
		}
	}
	return nil
}

// operand returns what an index, slice, field or pointer expression is of.
func operand(e ast.Expr) (ast.Expr, bool) {
	switch e := e.(type) {
	case *ast.IndexExpr:
		return e.X, true
	case *ast.SliceExpr:
		return e.X, true
	case *ast.SelectorExpr:
		return e.X, true
	case *ast.StarExpr:
		return e.X, true
	case *ast.ParenExpr:
		return e.X, true
	}
	return nil, false
}

// findWrites reports every use in f of a known variable that writes to it or
// lets it get to where it could be written. What is fixed may be handed on.
func (t *Tree) findWrites(p *Package, f *File, known, fixed map[string]bool) []Finding {
	var out []Finding
	var stack []ast.Node
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		id, ok := n.(*ast.Ident)
		if !ok || !known[id.Name] {
			return true
		}
		v, ok := p.Info.Uses[id].(*types.Var)
		if !ok || v.Parent() != p.Types.Scope() {
			return true
		}
		if reason := p.harm(v, fixed[id.Name], stack); reason != "" {
			out = append(out, t.at(id.Pos(), "package-level variable %s %s", id.Name, reason))
		}
		return true
	})
	return out
}

// use is how far a look outward from a variable's name has come.
type use struct {
	at    ast.Expr // the expression so far
	alias bool     // its value shares memory with the variable
	pkg   *Package
}

// harm climbs from a variable's name (the last of stack) outward, and says how
// this use can change it, or "" if it only reads.
func (p *Package) harm(v *types.Var, fixed bool, stack []ast.Node) string {
	u := use{at: stack[len(stack)-1].(ast.Expr), pkg: p}
	if !fixed {
		u.alias = sharesMemory(v.Type())
	}
	for i := len(stack) - 2; i >= 0; i-- {
		more, reason := u.climb(stack[i])
		if !more {
			return reason
		}
	}
	return ""
}

// sharesMemory reports whether a copy of a value of this type can write to the original.
func sharesMemory(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Slice, *types.Map:
		return true
	}
	return false
}

// climb looks at the node around u.at. It reports whether the look goes on
// outward from there; if not, reason says what harm is done, if any.
func (u *use) climb(parent ast.Node) (more bool, reason string) {
	switch n := parent.(type) {
	case *ast.ParenExpr:
		u.at = n
		return true, ""
	case *ast.IndexExpr:
		if n.X != u.at {
			return false, ""
		}
		u.at, u.alias = n, false
		return true, ""
	case *ast.SliceExpr:
		if n.X != u.at {
			return false, ""
		}
		u.at, u.alias = n, true
		return true, ""
	case *ast.SelectorExpr:
		return u.selector(n)
	case *ast.CallExpr:
		return false, u.argument(n)
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return false, "has its address taken"
		}
		return false, ""
	case *ast.BinaryExpr, *ast.CaseClause, *ast.SwitchStmt, *ast.ExprStmt, *ast.IfStmt:
		return false, ""
	}
	if slices.Contains(written(parent), u.at) {
		return false, "is written to"
	}
	if r, ok := parent.(*ast.RangeStmt); ok && r.X == u.at {
		return false, ""
	}
	if u.alias {
		return false, "escapes to where it could be written: hand on a copy, or make it an array or a function"
	}
	return false, ""
}

// selector looks at a field or method of what was reached.
func (u *use) selector(n *ast.SelectorExpr) (more bool, reason string) {
	s := u.pkg.Info.Selections[n]
	if s == nil || s.Kind() == types.FieldVal {
		u.at = n
		return true, ""
	}
	fn, ok := s.Obj().(*types.Func)
	if !ok {
		return false, ""
	}
	recv := fn.Signature().Recv()
	if _, pointer := recv.Type().(*types.Pointer); pointer {
		return false, "has its address taken by the method " + n.Sel.Name
	}
	if u.alias {
		return false, "escapes into the method " + n.Sel.Name + ", which could write to it"
	}
	return false, ""
}

// argument looks at a call that u.at is part of: what is called may read it.
func (u *use) argument(call *ast.CallExpr) string {
	i := slices.Index(call.Args, u.at)
	if i < 0 {
		return "" // it is what is called
	}
	switch u.pkg.builtin(call) {
	case "len", "cap":
		return ""
	case "clear", "delete":
		return "is written to"
	case "copy", "append":
		if i > 0 && (call.Ellipsis.IsValid() || u.pkg.builtin(call) == "copy") {
			return ""
		}
		if u.alias {
			return "is written to"
		}
		return ""
	}
	if tv, ok := u.pkg.Info.Types[call.Fun]; ok && tv.IsType() {
		if b, ok := tv.Type.Underlying().(*types.Basic); ok && b.Info()&types.IsString != 0 {
			return ""
		}
	}
	pkg, name, ok := u.pkg.Qualified(call.Fun)
	if !u.alias || ok && readsOnly(pkg, name) {
		return ""
	}
	return "escapes to where it could be written: hand on a copy, or make it an array or a function"
}

// readsOnly reports whether a function of the standard library neither writes
// to nor keeps the slices and maps that it is given.
func readsOnly(pkg, name string) bool {
	switch pkg {
	case "bytes", "strings":
		return true
	case "maps":
		return name != "Copy" && !strings.HasPrefix(name, "Delete") && name != "Insert"
	case "slices":
		return slices.Contains([]string{"All", "Values", "Contains", "ContainsFunc", "Index", "IndexFunc",
			"BinarySearch", "BinarySearchFunc", "Clone", "Equal", "Sorted", "Collect", "Max", "Min", "Concat",
			"IsSorted", "Backward", "Compare"}, name)
	}
	return false
}
