// Package versioning holds the rules of one key's versions: what a put, a
// delete and a read mean under the versioning status of the bucket.
//
// The caller knows what stands at the key and asks; a decision comes back as a
// value ([Plan], [Outcome]) that the caller carries out in one commit. Every
// version is described by a [Ref]: its position in the log, and whether it is
// the null version and a delete marker. Positions only grow, and the latest
// version of a key is the one with the highest position: what was below the
// latest is the latest once that is removed.
//
// What the package guarantees, for a key whose history followed its plans:
//
//   - a key has at most one null version, marker or not;
//   - a key in a bucket that never had versioning has at most one version, and
//     it is the null version and no marker;
//   - while versioning is enabled nothing is removed but by naming a version;
//   - while it is suspended nothing is removed but the null version, or by
//     naming a version.
//
// What it does not do: it does not look at object lock. Every [Plan] whose
// Remove is not zero destroys a version, and the caller passes that version to
// the lock rules before it commits the plan.
//
// The package is pure: no I/O, no clock, no state. All of it may be called
// concurrently. A status that is not known, or a description that cannot be, is
// refused with an error and an empty plan.
//
// The rules are those of Amazon S3, user guide: "How S3 Versioning works",
// "Adding objects to versioning-enabled buckets", "Deleting object versions",
// "Working with delete markers", and the three pages "Working with objects in a
// versioning-suspended bucket".
package versioning
