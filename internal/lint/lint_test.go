// Goal: the tree keeps the rules of the house, and every rule can fail.
// Method: the lint reads this repository and must find nothing; then each rule
// reads a small repository that breaks it, which it must report at the right
// place, and a mended twin, about which it must be silent. A rule without such
// a pair fails.
package lint_test

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/lint"
)

func TestThisTree(t *testing.T) {
	tree, err := lint.Load(os.DirFS("../.."))
	require.NoError(t, err)
	require.NotEmpty(t, tree.Packages)
	for _, f := range lint.Check(tree, lint.Exceptions()) {
		t.Error(f)
	}
}

// files is a repository in memory: path → content.
type files map[string]string

// base is what every small repository has beside the files of its case.
func base() files {
	return files{
		"go.mod":  "module github.com/sherd-storage/sherd\n\ngo 1.26.0\n",
		"go.work": "go 1.26.0\n\nuse .\n",
	}
}

// load parses base with the given files over it.
func load(t *testing.T, fs files) *lint.Tree {
	t.Helper()
	all := base()
	maps.Copy(all, fs)
	m := fstest.MapFS{}
	for name, data := range all {
		m[name] = &fstest.MapFile{Data: []byte(data)}
	}
	tree, err := lint.Load(m)
	require.NoError(t, err)
	return tree
}

// found returns the findings of one rule.
func found(tree *lint.Tree, rule string) []lint.Finding {
	return slices.DeleteFunc(lint.Check(tree, nil), func(f lint.Finding) bool { return f.Rule != rule })
}

// word joins its halves, so that this file does not itself hold what is banned.
func word(halves ...string) string { return strings.Join(halves, "") }

const (
	opening = "// Goal: to be read. Method: by eyes, from top to bottom.\n"
	sherd   = "github.com/sherd-storage/sherd"
)

// bad is a repository that breaks one rule, and its mended twin.
type bad struct {
	rule     string
	name     string
	files    files
	at       string // file in which the finding is expected
	text     string // a part of the finding
	mended   files
	findings int // expected number; 0 means one
}

func TestRulesFire(t *testing.T) {
	cases := slices.Concat(importCases(), callCases(), globalCases(), shapeCases(), textCases(), moduleCases())
	tried := map[string]bool{}
	for _, c := range cases {
		tried[c.rule] = true
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			got := found(load(t, c.files), c.rule)
			require.Len(t, got, max(c.findings, 1), "%v", got)
			for _, f := range got {
				require.Equal(t, c.at, f.Path)
				require.Contains(t, f.String(), c.text)
				require.NotEmpty(t, f.Why)
			}
			require.Empty(t, found(load(t, c.mended), c.rule))
		})
	}
	for _, r := range lint.Rules() {
		require.True(t, tried[r.Name], "rule %s has no bad example", r.Name)
	}
}

func TestExceptions(t *testing.T) {
	tree := load(t, files{"s3api/a.go": "package s3api\nfunc init() {}\n"})
	excuse := lint.Exception{Rule: "init", Path: "s3api/a.go", Detail: "init", Why: "a test"}

	t.Run("an exception excuses its findings", func(t *testing.T) {
		for _, f := range lint.Check(tree, []lint.Exception{excuse}) {
			require.NotEqual(t, "init", f.Rule, f)
		}
	})
	t.Run("of no other rule, file or text", func(t *testing.T) {
		for _, e := range []lint.Exception{
			{Rule: "calls", Path: excuse.Path}, {Rule: "init", Path: "s3api/b.go"},
			{Rule: "init", Path: excuse.Path, Detail: "something else"},
		} {
			all := lint.Check(tree, []lint.Exception{e})
			require.True(t, slices.ContainsFunc(all, func(f lint.Finding) bool {
				return f.Rule == "init" && f.Line > 0
			}), "%v", all)
		}
	})
	t.Run("one that excuses nothing is reported, if its file exists", func(t *testing.T) {
		stale := func(e lint.Exception) bool {
			return slices.ContainsFunc(lint.Check(tree, []lint.Exception{e}), func(f lint.Finding) bool {
				return strings.Contains(f.Text, "excuses nothing")
			})
		}
		require.True(t, stale(lint.Exception{Rule: "skip", Path: "s3api/a.go"}))
		require.False(t, stale(lint.Exception{Rule: "skip", Path: "s3api/gone.go"}))
		require.False(t, stale(excuse))
	})
}

func TestLoadRefusesWhatDoesNotParse(t *testing.T) {
	_, err := lint.Load(fstest.MapFS{"a.go": {Data: []byte("package a\nfunc {")}})
	require.Error(t, err)
}

func importCases() []bad {
	return []bad{
		{rule: "layers", name: "upward", at: "layout/a.go", text: "layout must not import internal/driveset",
			files:  files{"layout/a.go": "package layout\nimport _ \"" + sherd + "/internal/driveset\"\n"},
			mended: files{"internal/driveset/a.go": "package driveset\nimport _ \"" + sherd + "/layout\"\n"}},
		{rule: "layers", name: "an example looks inside", at: "examples/x/a.go", text: "somebody else's module",
			files:  files{"examples/x/a.go": "package main\nimport _ \"" + sherd + "/internal/vfs\"\n"},
			mended: files{"examples/x/a.go": "package main\nimport _ \"" + sherd + "\"\n"}},
		{rule: "layers", name: "no place", at: "helpers/a.go", text: "has no place",
			files:  files{"helpers/a.go": "package helpers\n"},
			mended: files{"layout/drivetest/sub/a.go": "package sub\n"}},
		{rule: "imports", name: "http in the root", at: "a.go", text: "net/http",
			files:  files{"a.go": "package sherd\nimport _ \"net/http\"\n"},
			mended: files{"s3api/a.go": "package s3api\nimport _ \"net/http/httptest\"\n"}},
		{rule: "imports", name: "a pure package reads", at: "erasure/a.go", text: "no I/O",
			files: files{"erasure/a.go": "package erasure\nimport _ \"os\"\n"},
			mended: files{"erasure/a.go": "package erasure\nimport _ \"io\"\n",
				"erasure/a_test.go": "package erasure_test\nimport _ \"os\"\n"}},
		{rule: "dot-import", name: "any", at: "a.go", text: "strings",
			files:  files{"a.go": "package sherd\nimport . \"strings\"\n"},
			mended: files{"a.go": "package sherd\nimport \"strings\"\n"}},
	}
}

func callCases() []bad {
	body := func(imports, code string) string {
		return "package layout\nimport (\n" + imports + ")\nfunc f() {\n" + code + "\n}\n"
	}
	test := func(imports, code string) string {
		return opening + "package layout_test\nimport (\n\"testing\"\n" + imports + ")\nfunc TestF(t *testing.T) {\n" + code + "\n}\n"
	}
	return []bad{
		{rule: "calls", name: "global logger, renamed import", at: "layout/a.go", text: "log/slog.Info in f", findings: 1,
			files:  files{"layout/a.go": body("l \"log/slog\"\n", "l.Info(\"x\")")},
			mended: files{"layout/a.go": body("", "slog := logger{}; slog.Info(\"x\")")}},
		{rule: "calls", name: "clock as a value", at: "layout/a.go", text: "time.Now",
			files:  files{"layout/a.go": body("\"time\"\n", "clock := time.Now; _ = clock")},
			mended: files{"layout/a.go": body("\"time\"\n", "_ = time.Second")}},
		{rule: "calls", name: "panic", at: "layout/a.go", text: "panic in f",
			files:  files{"layout/a.go": body("", "panic(1)")},
			mended: files{"layout/a.go": body("", "panic := func(int) {}; panic(1)")}},
		{rule: "calls", name: "files", at: "layout/a.go", text: "os.Rename in drive.f",
			files:  files{"layout/a.go": "package layout\nimport \"os\"\nfunc (d *drive[K]) f() { os.Rename(\"a\", \"b\") }\n"},
			mended: files{"internal/vfs/a.go": "package vfs\nimport \"os\"\nfunc f() { os.Rename(\"a\", \"b\") }\n"}},
		{rule: "calls", name: "a timer in a pure package", at: "lock/a.go", text: "pure",
			files:  files{"lock/a.go": "package lock\nimport \"time\"\nvar _ = time.After\n"},
			mended: files{"lock/a.go": "package lock\nimport \"time\"\ntype T struct{ Until time.Time }\n"}},
		{rule: "sleep-in-test", name: "any", at: "layout/a_test.go", text: "time.Sleep in TestF",
			files:  files{"layout/a_test.go": test("\"time\"\n", "time.Sleep(1)")},
			mended: files{"layout/a_test.go": test("\"time\"\n\"testing/synctest\"\n", "synctest.Test(t, func(t *testing.T) { time.Sleep(1) })")}},
		{rule: "init", name: "any", at: "layout/a.go", text: "init",
			files:  files{"layout/a.go": "package layout\nfunc init() {}\n"},
			mended: files{"layout/a.go": "package layout\nfunc (d drive) init() {}\n"}},
		{rule: "goroutines", name: "any", at: "bitrot/a.go", text: "go statement in f",
			files:  files{"bitrot/a.go": "package bitrot\nfunc f() { go f() }\n"},
			mended: files{"layout/a.go": "package layout\nfunc f() { go f() }\n"}},
		{rule: "skip", name: "any", at: "layout/a_test.go", text: "tt.Skip",
			files:  files{"layout/a_test.go": test("", "t.Run(\"\", func(tt *testing.T) { tt."+word("Sk", "ip")+"() })")},
			mended: files{"layout/a_test.go": test("", "var t2 decoder; t2."+word("Sk", "ip")+"(3)")}},
	}
}

func globalCases() []bad {
	// one makes a case of a declaration and of code that is fine and code that is not.
	one := func(name, decl, good, wrong, text string) bad {
		src := func(code string) files {
			return files{"layout/a.go": "package layout\nimport (\n\"errors\"\n\"slices\"\n\"sync\"\n)\n" + decl + "\nfunc f() {\n" + code + "\n}\n"}
		}
		return bad{rule: "globals", name: name, files: src(wrong), at: "layout/a.go", text: text, mended: src(good)}
	}
	cases := []bad{
		one("map written", "var m = map[string]int{}", "_ = m[\"a\"]; for range m {}; _ = len(m)", "m[\"a\"] = 1", "is written to"),
		one("map deleted from", "var m = map[string]int{}", "if v, ok := m[\"a\"]; ok { _ = v }", "delete(m, \"a\")", "is written to"),
		one("map escapes", "var m = map[string]int{}", "m := map[string]int{}; g(m)", "g(m)", "escapes"),
		one("map aliased", "var m = map[string]int{}", "x := m[\"a\"]; _ = x", "x := m; _ = x", "escapes"),
		one("map returned inside", "var m = map[string]int{}", "_ = t{n: m[\"a\"]}", "_ = t{n: m}", "escapes"),
		one("slice sorted", "var s = []int{1}", "_ = slices.Contains(s, 1)", "slices.Sort(s)", "escapes"),
		one("slice appended to", "var s = []int{1}", "_ = append([]int{}, s...)", "_ = append(s, 2)", "is written to"),
		one("array sliced away", "var a = [4]byte{1}", "b := a; _ = append(b[:0], a[:]...)", "g(a[:])", "escapes"),
		one("array's address", "var a = [4]byte{1}", "g(a)", "g(&a)", "address"),
		one("field counted up", "type t struct{ n int }\nvar v = t{1}", "_ = v.n", "v.n++", "is written to"),
		one("pointer method", "type t struct{ n int }\nvar v = t{1}\nfunc (*t) p() {}\nfunc (t) q() {}", "v.q()", "v.p()", "address"),
		one("sentinel replaced", "var Err = errors.New(\"x\")", "g(Err)", "Err = nil", "is written to"),
		one("sentinel renamed", "var errA = errors.New(\"x\")\nvar ErrB = errA", "g(ErrB)", "ErrB = nil", "is written to"),
		one("function replaced", "var now = func() int { return 1 }", "_ = now()", "now = nil", "is written to"),
		one("range over", "var a = [2]int{}", "for _, x := range a { _ = x }", "for _, a[0] = range []int{} {}", "is written to"),
		one("foreign", "", "_ = errors.New", "errors.New = nil", "another package"),
	}
	for decl, text := range map[string]string{
		"var mu sync.Mutex": "waits", "var n = 5": "constant", "var p = &struct{}{}": "pointer",
		"var m map[string]int": "waits", "var c = make(chan int)": "channel", "var e error = nil": "interface",
		"var pool = sync.Pool{}": "not known",
	} {
		c := one(decl, "", "", "", text)
		c.files = files{"layout/a.go": "package layout\nimport \"sync\"\n" + decl + "\n"}
		cases = append(cases, c)
	}
	return append(cases, bad{rule: "globals", name: "written by the package's own test", at: "layout/a_test.go", text: "is written to",
		files: files{"layout/a.go": "package layout\nvar m = map[int]int{}\n", "layout/a_test.go": "package layout\nfunc f() { m[1] = 2 }\n"},
		mended: files{"layout/a.go": "package layout\nvar m = map[int]int{}\nvar _ I = (*T)(nil)\n",
			"layout/a_test.go": "package layout\nvar update = flag.Bool()\n"}})
}

func shapeCases() []bad {
	many := func(n int) files {
		out := files{}
		for i := range n {
			out[path.Join("layout", string(rune('a'+i))+".go")] = "package layout\n"
			out[path.Join("layout", string(rune('a'+i))+"_test.go")] = "package layout\n"
		}
		return out
	}
	src := func(code string) files { return files{"layout/a.go": "package layout\nimport \"io\"\n" + code + "\n"} }
	nine := "A(); B(); C(); D(); E(); F(); G(); H(); I()"
	comment := "// Package layout keeps what is on a drive, and says what it does not keep.\n"
	return []bad{
		{rule: "files", name: "any", files: many(16), at: "layout", text: "16 files", mended: many(15)},
		{rule: "file-lines", name: "any", files: src(strings.Repeat("\n", 500)), at: "layout/a.go", text: "lines, at most 500",
			mended: src(strings.Repeat("\n", 490))},
		{rule: "func-lines", name: "declared", files: src("func f() {" + strings.Repeat("\n", 70) + "}"), at: "layout/a.go",
			text: "f has 71 lines", mended: src("func f() {" + strings.Repeat("\n", 69) + "}")},
		{rule: "func-lines", name: "literal", files: src("var f = func() {" + strings.Repeat("\n", 70) + "}"), at: "layout/a.go",
			text: "71 lines", mended: src("var f = func() {" + strings.Repeat("\n", 69) + "}")},
		{rule: "interface-methods", name: "embedded from elsewhere", files: src("type I interface { io.ReadCloser; " + nine + " }"),
			at: "layout/a.go", text: "11 methods", mended: src("type I interface { io.Reader; " + nine + " }")},
		{rule: "interface-methods", name: "embedded from here", files: src("type J interface { X(); Y() }\ntype I interface { J; " + nine + " }"),
			at: "layout/a.go", text: "11 methods", mended: src("type J interface { X() }\ntype I interface { J; " + nine + " }")},
		{rule: "interface-methods", name: "unknown", files: src("type I interface { io.Unheard }"),
			at: "layout/a.go", text: "not known", mended: src("type I interface { error; ~int | ~string }")},
		{rule: "package-comment", name: "none", files: src(""), at: "layout/a.go", text: "Package layout",
			mended: files{"layout/a.go": "package layout\n", "layout/b.go": comment + "package layout\n"}},
		{rule: "package-comment", name: "of another", files: files{"layout/a.go": strings.Replace(comment, "layout", "other", 1) + "package layout\n"},
			at: "layout/a.go", text: "Package layout", mended: files{"layout/a_test.go": "package layout_test\n"}},
		{rule: "test-comment", name: "a directive is none", files: files{"layout/a_test.go": "//go:build linux && amd64 && cgo && something\n\npackage layout_test\nimport \"testing\"\n// A comment long enough to be one, only too late.\n"},
			at: "layout/a_test.go", text: "goal", mended: files{"layout/a_test.go": "//go:build linux\n\n" + opening + "package layout_test\n"}},
		{rule: "test-comment", name: "a function's own comment is none",
			files: files{"layout/a_test.go": "package layout_test\n\n// TestF is a test of something, long enough to be seen.\nfunc TestF() {}\n"},
			at:    "layout/a_test.go", text: "goal", mended: files{"layout/a_test.go": "package layout_test\n\n" + opening + "\nfunc TestF() {}\n"}},
	}
}

func textCases() []bad {
	text := func(s string) files { return files{"docs/a.md": "# A page\n" + s + "\n"} }
	return []bad{
		{rule: "unfinished", name: "any", files: text("// " + word("TO", "DO") + ": more"), at: "docs/a.md", text: "docs/a.md:2",
			mended: text("a todo list, " + word("MASTO", "DON"))},
		{rule: "machine-paths", name: "root", files: text("see `" + word("/ro", "ot/x") + "`"), at: "docs/a.md", text: "docs/a.md:2",
			mended: text("a/root/b, /rooted, https://example.com" + word("/wo", "rk/"))},
		{rule: "machine-paths", name: "home", files: text(word("/ho", "me/ann/x")), at: "docs/a.md", text: "docs/a.md:2",
			mended: text("/var/lib/sherd")},
		{rule: "registries", name: "any", files: text("https://" + word("proxy.", "golang.org") + "/"), at: "docs/a.md", text: "golang",
			mended: text("https://go.dev/, https://pkg.go.dev/")},
	}
}

func moduleCases() []bad {
	mod := base()["go.mod"]
	nested := func(path, replace string) files {
		return files{
			"go.work":      "go 1.26.0\nuse (\n\t.\n\t./bench // measured\n)\n",
			"bench/go.mod": "module " + path + "\n" + replace + "\n",
		}
	}
	right := nested(sherd+"/bench", "replace "+sherd+" => ../")
	unused := maps.Clone(right)
	unused["go.work"] = "use .\n"
	return []bad{
		{rule: "dependencies", name: "required", at: "go.mod", text: "example.com/left-pad",
			files:  files{"go.mod": mod + "require example.com/left-pad v1.0.0\n"},
			mended: files{"go.mod": mod + "require (\n\texample.com/left-pad v1.0.0 // indirect\n\tgolang.org/x/sync v0.1.0\n)\n"}},
		{rule: "dependencies", name: "imported", at: "a_test.go", text: "example.com/left-pad",
			files:  files{"a_test.go": "package sherd\nimport _ \"example.com/left-pad/x\"\n"},
			mended: files{"a_test.go": "package sherd\nimport _ \"github.com/stretchr/testify/require\"\n"}},
		{rule: "modules", name: "tool in the root", at: "go.mod", text: "tool",
			files: files{"go.mod": mod + "tool example.com/x\n"}, mended: right},
		{rule: "modules", name: "replace in the root", at: "go.mod", text: "replace",
			files: files{"go.mod": mod + "replace (\n\ta => b\n)\n"}, mended: right},
		{rule: "modules", name: "not in go.work", at: "bench/go.mod", text: "nothing tests it", files: unused, mended: right},
		{rule: "modules", name: "no replace", at: "bench/go.mod", text: "no replace", files: nested(sherd+"/bench", ""), mended: right},
		{rule: "modules", name: "misnamed", at: "bench/go.mod", text: "is called",
			files: nested("example.com/bench", "replace "+sherd+" v0.0.0 => ../"), mended: right},
		{rule: "modules", name: "used but not there", at: "go.work", text: "no module",
			files: files{"go.work": "use (\n.\n./gone\n)\n"}, mended: right},
	}
}
