// Package mutants shows that the tests can fail. Its test breaks the code in one place
// at a time, as someone might who did not know why a line is there, and wants the tests
// that are to notice to notice.
//
// The tree is not touched: a build overlay stands in for the file that is broken. The
// text that is replaced must be in its file exactly once, so that a table that no longer
// fits the code is told on every run; the breaking itself is done for a few mutants on
// each run, and for all of them with SHERD_LONG=1.
//
// What was found in the field, or by somebody who attacked the store, becomes a row.
package mutants
