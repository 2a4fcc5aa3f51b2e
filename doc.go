// Package sherd is an object store that you embed. It breaks every object into
// sherds across drives, and any k of them put it together again.
//
//	store, err := sherd.Open(ctx, []string{"/mnt/a", "/mnt/b", "/mnt/c", "/mnt/d"}, nil)
//
// # Nouns
//
// A store has drives, each a directory: up to 16 make a set, more make several
// sets of a pool, and pools are added to grow. A bucket holds objects under
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
// refused. There is no user and no permission here: who has a *Store may do
// everything but break a lock, or read what is encrypted without its key. Nothing
// is encrypted unless its options say so ([Encryption]), and names and descriptions
// never are. An [Object] that is open holds a
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

import (
	"context"
	"errors"
	"strings"

	"github.com/sherd-storage/sherd/internal/audit"
	"github.com/sherd-storage/sherd/internal/budget"
	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/pools"
	"github.com/sherd-storage/sherd/internal/seal"
	"github.com/sherd-storage/sherd/layout"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// Errors that a caller can test for with errors.Is, by the moment at which
// they occur.

// Opening a store.
var (
	// ErrTooFewDrives: fewer drives are in reach than reading needs; the text names the missing.
	ErrTooFewDrives = errors.New("too few drives are in reach")
	// ErrForeign: a directory holds something that is not a drive. Nothing was changed.
	ErrForeign = errors.New("the directory holds something that is not a drive")
	// ErrMixedDrives: drives of two deployments or sets, one drive twice, or more places than slots.
	ErrMixedDrives = errors.New("the drives do not belong together")
	// ErrFormat: a format that this version does not know, or that was not written to the end.
	ErrFormat = errors.New("the drive's format is not known")
	// ErrInUse: another process, or another store of this one, has the drives open.
	ErrInUse = errors.New("the drives are open elsewhere")
	// ErrNotExist: Options.MustExist is set and a place is missing or empty.
	ErrNotExist = errors.New("there is no store at the given places")
)

// Asking for something that is not there, or not so.
var (
	ErrNoSuchBucket    = errors.New("no such bucket")
	ErrNoSuchKey       = errors.New("no such key")
	ErrNoSuchVersion   = errors.New("no such version")
	ErrNoSuchUpload    = errors.New("no such upload")
	ErrNoSuchDocument  = errors.New("no such configuration document")
	ErrDeleteMarker    = errors.New("the version is a delete marker")
	ErrBucketExists    = errors.New("the bucket exists")
	ErrBucketNotEmpty  = errors.New("the bucket is not empty")
	ErrPrecondition    = errors.New("a precondition does not hold")
	ErrNotModified     = errors.New("not modified")
	ErrInvalidRange    = errors.New("the range lies outside the object")
	ErrInvalidArgument = errors.New("invalid argument")
	ErrInvalidPart     = errors.New("a part is missing or is not the one that was named")
	ErrPartOrder       = errors.New("parts are not in ascending order")
	ErrPartTooSmall    = errors.New("a part other than the last is too small")
	ErrTooLarge        = errors.New("too large")
	ErrWriteOffset     = errors.New("the offset of an append is not the size of the object")
	ErrTooManyParts    = errors.New("the object has as many parts as it may have")
	ErrApart           = errors.New("the keys are in different sets of drives")
	// ErrEncrypted: reading, or appending, takes a key that was not given.
	ErrEncrypted = errors.New("the object is encrypted and its key was not given")
	// ErrKey: no byte of an encrypted object was read, or stored, with this key.
	ErrKey = errors.New("the key is not the object's")
)

// Writing.
var (
	// ErrShortBody and ErrLongBody: the body has fewer or more bytes than announced. Nothing was stored.
	ErrShortBody = errors.New("the body is shorter than announced")
	ErrLongBody  = errors.New("the body is longer than announced")
	// ErrBadDigest: the body is not the one whose digest or checksum was given. Nothing was stored.
	ErrBadDigest = errors.New("the digest does not match the body")
	// ErrLocked: retention or a legal hold forbids it.
	ErrLocked = errors.New("the version is locked")
	// ErrOutcomeUnknown: the change may or may not have happened; it is settled one way for every reader from here on.
	ErrOutcomeUnknown = errors.New("the outcome of the change is not known")
	// ErrReadOnly: too few drives are in-sync to write, or the store was opened by OpenReadOnly. Nothing was changed.
	ErrReadOnly = errors.New("the store is read-only")
	// ErrUnavailable: it can not be told now; trying again later helps.
	ErrUnavailable = errors.New("temporarily unavailable")
	// ErrNoSpace: the drives are full up to their reserve. Nothing was changed.
	ErrNoSpace = errors.New("no space left")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("the store is closed")
	// ErrDamaged: too many shards of the object are damaged or out of reach to read it now.
	ErrDamaged = errors.New("too few intact shards are in reach")
)

// Error says what was asked when it failed. It is what the store's methods
// return; test it with errors.Is against the errors above.
type Error struct {
	Op        string // as "put", "get"
	Bucket    string
	Key       string
	VersionID string
	Err       error
	// Info is what was found, where that decided: with ErrNotModified,
	// ErrPrecondition and ErrInvalidRange of a read, with ErrDeleteMarker, and
	// with ErrNoSuchKey where the latest version is a delete marker. Else nil.
	Info *ObjectInfo
}

// Error is "sherd: put bucket/key: cause".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("sherd: ")
	b.WriteString(e.Op)
	if e.Bucket != "" {
		b.WriteString(" ")
		b.WriteString(e.Bucket)
	}
	if e.Key != "" {
		b.WriteString("/")
		b.WriteString(e.Key)
	}
	if e.VersionID != "" {
		b.WriteString("?versionId=")
		b.WriteString(e.VersionID)
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// found is an error together with what was found.
type found struct {
	error
	info ObjectInfo
}

func (f *found) Unwrap() error { return f.error }

// meaning is an error of a package below, and what it is to a caller.
type meaning struct{ below, public error }

// meanings is in the order in which it is searched.
var meanings = []meaning{
	{driveset.ErrOutcomeUnknown, ErrOutcomeUnknown},
	{driveset.ErrReadOnly, ErrReadOnly},
	{layout.ErrReadOnly, ErrReadOnly},
	{driveset.ErrNoSpace, ErrNoSpace},
	{layout.ErrNoSpace, ErrNoSpace},
	{driveset.ErrDamaged, ErrDamaged},
	{driveset.ErrTooFew, ErrTooFewDrives},
	{driveset.ErrMixed, ErrMixedDrives},
	{pools.ErrShape, ErrInvalidArgument},
	{pools.ErrUnknownDrive, ErrInvalidArgument},
	{driveset.ErrMustExist, ErrNotExist},
	{driveset.ErrUnavailable, ErrUnavailable},
	{driveset.ErrAborted, ErrUnavailable},
	{driveset.ErrNotServing, ErrUnavailable},
	{driveset.ErrExpired, ErrUnavailable},
	{audit.ErrMixed, ErrMixedDrives},
	{audit.ErrNothing, ErrNotExist},
	{layout.ErrForeign, ErrForeign},
	{layout.ErrInUse, ErrInUse},
	{layout.ErrNewerFormat, ErrFormat},
	{layout.ErrHalfFormat, ErrFormat},
	{layout.ErrBadRecord, ErrDamaged},
	{seal.ErrOpen, ErrDamaged},
	{layout.ErrNotFound, ErrUnavailable},
	{budget.ErrTooLarge, ErrTooLarge},
	{lock.ErrLocked, ErrLocked},
	{lock.ErrInvalidRetention, ErrInvalidArgument},
	{lock.ErrInvalidConfiguration, ErrInvalidArgument},
	{lock.ErrNotEnabled, ErrInvalidArgument},
	{lock.ErrEnabledForEver, ErrInvalidArgument},
	{versioning.ErrStatus, ErrInvalidArgument},
	{versioning.ErrTransition, ErrInvalidArgument},
	{versioning.ErrObjectLock, ErrInvalidArgument},
	{versioning.ErrID, ErrInvalidArgument},
	{checksum.ErrAlgorithm, ErrInvalidArgument},
	{checksum.ErrType, ErrInvalidArgument},
	{checksum.ErrSum, ErrInvalidArgument},
}

// translated is an error of a package below that is one of this package too.
type translated struct{ cause, public error }

func (t *translated) Error() string   { return t.public.Error() + ": " + t.cause.Error() }
func (t *translated) Unwrap() []error { return []error{t.public, t.cause} }

// translate gives an error its public meaning.
func translate(err error) error {
	for _, m := range meanings {
		if errors.Is(err, m.below) {
			return &translated{err, m.public}
		}
	}
	return err
}

// endedByContext says that an error is only that the caller's context ended.
func endedByContext(err error) bool {
	return (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) &&
		!errors.Is(err, driveset.ErrOutcomeUnknown)
}
