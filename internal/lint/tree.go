package lint

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// rootModule is the import path of the module that embedders get.
const rootModule = "github.com/sherd-storage/sherd"

// Tree is a parsed repository.
type Tree struct {
	Fset     *token.FileSet
	Packages []*Package // by folder, then by name
	Texts    []Text     // every file that is text, Go files included
	Modules  []*Module  // by folder; the root first
	Work     []string   // folders that go.work uses, cleaned; "." is the root
}

// Package is what one folder holds under one package name. Black-box tests
// (package x_test) are a package of their own, with External set.
type Package struct {
	Dir      string // slash-separated, relative to the root; "." is the root
	Name     string // name in the package clause
	Module   *Module
	External bool
	Files    []*File
	Info     *types.Info
	Types    *types.Package
}

// File is one Go file.
type File struct {
	Path  string
	AST   *ast.File
	Lines int
	Test  bool // name ends in _test.go
}

// Text is one file of text, whole.
type Text struct {
	Path string
	Data string
}

// Module is one go.mod.
type Module struct {
	Dir      string
	Path     string
	Requires []Require
	Replaces map[string]string // module path → what stands for it
	Verbs    []Verb            // every directive, in order
}

// Require is one line of a require directive.
type Require struct {
	Path, Version string
	Indirect      bool
	Line          int
}

// Verb is one directive of a go.mod or go.work, blocks flattened.
type Verb struct {
	Name string
	Args []string
	Note string // the comment at the end of the line
	Line int
}

// Load reads and parses the repository whose root is fsys. It fails if a Go
// file does not parse; whether it compiles is not its business.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{Fset: token.NewFileSet()}
	byKey := map[string]*Package{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if skipFolder(name, d.Name()) {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an editor's file that came and went
		}
		if err != nil {
			return err
		}
		return t.add(byKey, name, data)
	})
	if err != nil {
		return nil, err
	}
	t.finish(byKey)
	return t, nil
}

// skipFolder says which folders hold nothing of ours: version control, and
// test data, which may be wrong on purpose.
func skipFolder(full, base string) bool {
	return full != "." && (base == ".git" || base == "testdata" || base == "vendor" || base == "node_modules")
}

// add files one file under what it is.
func (t *Tree) add(byKey map[string]*Package, name string, data []byte) error {
	if bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
		return nil // binary
	}
	t.Texts = append(t.Texts, Text{Path: name, Data: string(data)})
	switch {
	case path.Base(name) == "go.mod":
		t.Modules = append(t.Modules, parseModule(path.Dir(name), string(data)))
	case name == "go.work":
		for _, v := range parseVerbs(string(data)) {
			if v.Name == "use" && len(v.Args) == 1 {
				t.Work = append(t.Work, path.Clean(v.Args[0]))
			}
		}
	case strings.HasSuffix(name, ".go"):
		return t.addGo(byKey, name, data)
	}
	return nil
}

func (t *Tree) addGo(byKey map[string]*Package, name string, data []byte) error {
	f, err := parser.ParseFile(t.Fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("lint: parse: %w", err)
	}
	key := path.Dir(name) + "\x00" + f.Name.Name
	p := byKey[key]
	if p == nil {
		p = &Package{
			Dir: path.Dir(name), Name: f.Name.Name,
			External: strings.HasSuffix(f.Name.Name, "_test"),
		}
		byKey[key] = p
	}
	p.Files = append(p.Files, &File{
		Path: name, AST: f, Lines: bytes.Count(data, []byte("\n")), Test: strings.HasSuffix(name, "_test.go"),
	})
	return nil
}

// finish orders what was found, gives each package its module, and resolves names.
func (t *Tree) finish(byKey map[string]*Package) {
	slices.SortFunc(t.Modules, func(a, b *Module) int { return strings.Compare(a.Dir, b.Dir) })
	for _, p := range byKey {
		t.Packages = append(t.Packages, p)
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int {
		return strings.Compare(a.Dir+"\x00"+a.Name, b.Dir+"\x00"+b.Name)
	})
	for _, p := range t.Packages {
		p.Module = t.moduleOf(p.Dir)
		p.resolve(t.Fset)
	}
}

// moduleOf returns the module whose folder is the nearest above dir, or nil.
func (t *Tree) moduleOf(dir string) *Module {
	var best *Module
	for _, m := range t.Modules {
		if under(dir, m.Dir) && (best == nil || len(m.Dir) >= len(best.Dir)) {
			best = m
		}
	}
	return best
}

// resolve finds out what each name of the package stands for. Imports are
// empty packages, so errors are expected and mean nothing here.
func (p *Package) resolve(fset *token.FileSet) {
	p.Info = &types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}}
	files := make([]*ast.File, 0, len(p.Files))
	for _, f := range p.Files {
		files = append(files, f.AST)
	}
	// Only what could be resolved matters; the rest stays unknown.
	p.Types, _ = conf.Check(p.Dir, fset, files, p.Info)
}

// noImports stands an empty package in for every import: each use of its name
// is then tied to its path, and nothing of it is known.
type noImports struct{}

func (noImports) Import(importPath string) (*types.Package, error) {
	name := path.Base(importPath)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
		name = path.Base(path.Dir(importPath)) // a major version is no name
	}
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "go-"), ".")
	p := types.NewPackage(importPath, strings.ReplaceAll(name, "-", "_"))
	p.MarkComplete()
	return p, nil
}

// Inspected reports whether the package belongs to the module that embedders
// get and is neither test code nor a program: the packages that the strictest
// rules are for.
func (p *Package) Inspected() bool {
	return p.Module != nil && p.Module.Dir == "." && !p.External && p.Name != "main"
}

// Sources yields the files that are not tests.
func (p *Package) Sources() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test })
}

// Qualified returns the import path and the name of a selector such as
// os.Open, and false if its left side is no package.
func (p *Package) Qualified(e ast.Expr) (pkg, name string, ok bool) {
	sel, isSel := ast.Unparen(e).(*ast.SelectorExpr)
	if !isSel {
		return "", "", false
	}
	id, isID := sel.X.(*ast.Ident)
	if !isID {
		return "", "", false
	}
	obj, isPkg := p.Info.Uses[id].(*types.PkgName)
	if !isPkg {
		return "", "", false
	}
	return obj.Imported().Path(), sel.Sel.Name, true
}

// importPath returns the path of an import without its quotes.
func importPath(s *ast.ImportSpec) string {
	p, err := strconv.Unquote(s.Path.Value)
	if err != nil {
		return s.Path.Value
	}
	return p
}

// under reports whether dir is base or lies inside it.
func under(dir, base string) bool {
	return base == "." || dir == base || strings.HasPrefix(dir, base+"/")
}
