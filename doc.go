// Package sherd is an object store that you embed. It breaks every object into
// sherds across drives, and any k of them put it together again.
//
//	store, err := sherd.Open(ctx, []string{"/mnt/a", "/mnt/b", "/mnt/c", "/mnt/d"}, nil)
//
// # Nouns
//
// A store has 1 to 16 drives, each a directory. A bucket holds objects under
// keys; a key is 1 to 1,024 bytes of anything, and is never a path. A key has
// versions where its bucket has versioning, else one object. A multipart upload
// gathers parts that become one object when it is completed.
//
// # What is guaranteed
//
//   - Acknowledged is durable: when a write returns, it is synced on more than
//     half of the drives, and on all that are in-sync.
//   - Writes to a key have one order, and every read sees the newest that was
//     acknowledged before it began. Conditions are decided in that order: of
//     many writers that each ask for what is there to be unchanged, one wins.
//   - As many drives as the parity may be lost, lie, or flip bits, and what was
//     acknowledged reads back byte for byte. Nothing is given out unverified.
//   - An error means that nothing happened, but for [ErrOutcomeUnknown]: then it
//     happened or not, and is settled one way for every reader.
//   - A version under retention or legal hold is not destroyed, by no method and
//     no option, until its date has come (package lock).
//   - Memory in use by requests stays under [Options.MemoryBudget]; who finds
//     none left waits, with its context.
//
// # What is not
//
// A store is owned by one process: a second one that opens the same drives is
// refused. There is no user, no permission and no encryption here: who has a
// *Store may do everything but break a lock. An [Object] that is open holds a
// part of the memory budget until it was read to its end or closed; a caller
// that waits for one request while it holds another can wait for ever, unless
// its context ends.
//
// # Concurrency
//
// All methods of Store may be called at the same time, from any goroutine.
// Those of one Object may not, but for ReadAt. Iterators belong to one goroutine
// and see the bucket as it was when a step of theirs began.
//
// # Errors
//
// Methods return an [*Error] that says what was asked; test it with errors.Is
// against the errors of this package. A context's error is returned as it is.
package sherd
