// Package lock decides what object lock allows (WORM: write once, read many):
// whether a version may be destroyed, how its retention may change, and what
// retention a new version gets.
//
// What it guarantees:
//
//   - a version under legal hold is never destroyed;
//   - a version in compliance mode is not destroyed before its date, and until
//     then its retention is neither shortened, weakened nor removed, whatever
//     the caller intends;
//   - a version in governance mode is protected in the same way, but from
//     callers that bypass it;
//   - what cannot be understood locks: an unknown mode, a mode without a date,
//     a date without a mode. Nobody destroys such a version or changes its
//     retention, at any time.
//
// What it does not do: it does not know who asks. That a caller may bypass
// governance, or may set a legal hold, is for whoever authorises requests.
// Overwriting a key or adding a delete marker destroys nothing while versioning
// is enabled, and object lock keeps it enabled. A delete marker cannot be
// locked: it carries the zero [State], which allows everything.
//
// Time is the caller's. A version is protected while the given time is before
// its date, and no longer at it. Ask [Check] and [CheckRetention] with the time
// as the clock has it: a clock that was set back protects for longer. Give
// [Configuration.AtPut] a time from [Floor]: a clock that was set back must not
// make a period end sooner. Only the wall clock counts, monotonic readings are
// ignored, and every time that is returned is in UTC.
//
// The package is pure: no I/O, no clock, no state. All of it may be called
// concurrently.
//
// The rules are those of Amazon S3, user guide: "Locking objects with Object
// Lock" and "Object Lock considerations"; API reference: PutObjectRetention,
// PutObjectLegalHold, PutObjectLockConfiguration. Where a governed version is to
// become a compliant one, S3 asks for the bypass although this protects more,
// and so does this package.
package lock
