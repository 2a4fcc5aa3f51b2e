// Package lint holds the rules of this repository: what may import what, which
// calls are banned and what to use instead, and how large a thing may grow. Its
// test reads the whole tree, the nested modules included, and fails with one
// line per finding: file, line, rule, what is wrong and why the rule exists.
//
// # How it works
//
// [Load] parses every Go file of a file system, and resolves the names of each
// package with go/types but without its imports, which takes well under a
// second and needs no build. [Check] runs every rule of [Rules] over that tree,
// less the [Exceptions].
// Nothing is executed, nothing is written, nothing is read outside the file
// system that was given.
//
// # How to extend it
//
// Every exception and every table stands in tables.go, with its reason beside
// it: a package's place among the layers, a dependency, a banned call, a
// file that is excused from a rule. An exception that excuses nothing any more
// is itself a finding, as long as the file that it names exists. A new rule is
// one entry in [Rules] plus one bad example in the test: a rule without a bad
// example that it catches fails the test.
//
// # What it does not see
//
// Names of other packages are resolved by their import path only, so a type
// that comes from elsewhere is unknown: a package-level variable of such a type
// is a finding unless its constructor is known to give an immutable value. A
// slice held inside a map that is a package-level variable can be written
// through a copy of its header without being seen. Files with build constraints
// are all read, whatever the platform.
//
// A tree may be read by many goroutines at once; nothing in the package changes
// it after Load.
package lint
