package lint

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
	"strings"
)

// Finding is one place that breaks one rule.
type Finding struct {
	Rule string
	Path string // file, relative to the root; or a folder
	Line int    // from 1; 0 where no line is meant
	Text string // what is wrong and what to do instead
	Why  string // why the rule exists
}

// String gives the finding as one line: place, rule, text, reason.
func (f Finding) String() string {
	place := f.Path
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.Path, f.Line)
	}
	return fmt.Sprintf("%s: [%s] %s (%s)", place, f.Rule, f.Text, f.Why)
}

// Rule is one rule of the house.
type Rule struct {
	Name string
	Why  string
	// Find reports every breach in t. It leaves out Rule, and Why unless it
	// knows a better reason than the rule's own.
	Find func(t *Tree) []Finding
}

// Rules lists every rule, in the order in which findings are wanted.
func Rules() []Rule {
	return []Rule{
		{"layers", "data flows one way, and the imports show it", findLayers},
		{"imports", "what a package can reach is what it can break", findImports},
		{"dot-import", "a name must say where it comes from", findDotImports},
		{"calls", "the embedder owns the process, the clock, the log and the disk", findCalls},
		{"sleep-in-test", "a test that waits for time is slow when it passes and wrong when it fails; " +
			"wait for the event, or use testing/synctest", findSleepingTests},
		{"init", "importing a package must have no effect", findInit},
		{"globals", "two stores in one process know nothing of each other", findGlobals},
		{"goroutines", "a pure package computes; who calls it decides what runs beside what", findGoroutines},
		{"files", "a package that cannot be held in the head is two packages", findManyFiles},
		{"file-lines", "one noun a file", findLongFiles},
		{"func-lines", "one function decides, leaves compute", findLongFunctions},
		{"interface-methods", "an interface belongs to its consumer, who needs little", findWideInterfaces},
		{"package-comment", "the package comment is the contract", findPackageComments},
		{"test-comment", "a reader must learn what a test file is for before reading it", findTestComments},
		{"skip", "a test that can be left out is a test that does not run", findSkips},
		{"unfinished", "what is left open is written down where plans are kept, not in the code", findUnfinished},
		{"machine-paths", "the tree must build anywhere", findMachinePaths},
		{"registries", "where modules and packages come from is the environment's to say", findRegistries},
		{"dependencies", "every dependency of the root reaches everybody who embeds sherd", findDependencies},
		{"modules", "every module is tested together, against this tree", findModules},
	}
}

// Check runs every rule over t and returns the findings that no exception
// excuses, ordered by place, followed by the exceptions that excuse nothing
// although what they name exists. The tree's own exceptions are [Exceptions].
func Check(t *Tree, excused []Exception) []Finding {
	var out []Finding
	used := make([]bool, len(excused))
	for _, r := range Rules() {
		for _, f := range r.Find(t) {
			f.Rule, f.Why = r.Name, cmp.Or(f.Why, r.Why)
			if i := slices.IndexFunc(excused, func(e Exception) bool { return e.covers(f) }); i >= 0 {
				used[i] = true
				continue
			}
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), a.Line-b.Line)
	})
	for i, e := range excused {
		if !used[i] && t.has(e.Path) {
			out = append(out, Finding{
				Rule: e.Rule, Path: e.Path, Text: "the exception for it excuses nothing: remove it from tables.go",
				Why: "an exception nobody needs hides the next breach",
			})
		}
	}
	return out
}

// Exception excuses the findings of one rule in one place.
type Exception struct {
	Rule   string
	Path   string // a file, or a folder with everything below it
	Detail string // a part of the finding's text; empty excuses every finding there
	Why    string
}

func (e Exception) covers(f Finding) bool {
	return e.Rule == f.Rule && under(f.Path, e.Path) && strings.Contains(f.Text, e.Detail)
}

// has reports whether a text file stands at p or below it.
func (t *Tree) has(p string) bool {
	return slices.ContainsFunc(t.Texts, func(x Text) bool { return under(x.Path, p) })
}

// at makes a finding at a position of a Go file.
func (t *Tree) at(pos token.Pos, format string, args ...any) Finding {
	p := t.Fset.Position(pos)
	return Finding{Path: p.Filename, Line: p.Line, Text: fmt.Sprintf(format, args...)}
}
