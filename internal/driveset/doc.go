// Package driveset makes N drives act as one: it owns the set's log, decides
// who is in-sync, and carries every change to every drive that counts.
//
// # What it guarantees
//
//   - A change that Commit acknowledges is synced on every in-sync drive, never on
//     fewer than ⌊N/2⌋+1, and its bytes on one drive more than reading them needs,
//     where there is one.
//   - All changes have one order, their position in the log, whatever clocks say.
//     A View sees what was acknowledged when it was made, and nothing else.
//   - A drive that fails, vanishes or stalls leaves the in-sync set, durably and on
//     all the rest, before the next acknowledgement. When it is back it learns what
//     it missed, and counts from the moment that a state which names it is decided.
//   - With fewer than ⌊N/2⌋+1 drives nothing is acknowledged any more. Reading goes
//     on, but for keys that a change of unknown outcome touches; the set opens
//     itself again when enough drives are there.
//   - An error is either clean, and nothing happened, or ErrOutcomeUnknown, and the
//     outcome is then settled one way for every later reader.
//
// # What it does not
//
// It knows nothing of buckets, versions or locks on objects: it moves records and
// bytes. Deciding on a key is the caller's, under a key lock of the caller's.
// Drives that are empty, or were away for longer than the log reaches back, stay
// out of use and are reported.
//
// # How it is built
//
// A tenure is one ownership: an opening makes it, by the decision of package
// verdict, and the next opening ends it. Each drive of a tenure has a link, the
// one goroutine that writes to it, many entries in one synced batch. What a tenure
// knows is under one mutex that is never held across I/O. The keeper is the
// goroutine that brings drives back and opens the set again.
//
// Methods of Set are safe for concurrent use; a View, a Staged and a Data are for
// one goroutine at a time.
package driveset
