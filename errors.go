package sherd

import (
	"context"
	"errors"
	"strings"

	"github.com/sherd-storage/sherd/internal/budget"
	"github.com/sherd-storage/sherd/internal/checksum"
	"github.com/sherd-storage/sherd/internal/driveset"
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
	// ErrReadOnly: too few drives are in-sync to write. Nothing was changed.
	ErrReadOnly = errors.New("the store is read-only: too few drives are in-sync")
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
	{driveset.ErrNoSpace, ErrNoSpace},
	{layout.ErrNoSpace, ErrNoSpace},
	{driveset.ErrDamaged, ErrDamaged},
	{driveset.ErrTooFew, ErrTooFewDrives},
	{driveset.ErrMixed, ErrMixedDrives},
	{driveset.ErrMustExist, ErrNotExist},
	{driveset.ErrUnavailable, ErrUnavailable},
	{driveset.ErrAborted, ErrUnavailable},
	{driveset.ErrNotServing, ErrUnavailable},
	{driveset.ErrExpired, ErrUnavailable},
	{layout.ErrForeign, ErrForeign},
	{layout.ErrInUse, ErrInUse},
	{layout.ErrNewerFormat, ErrFormat},
	{layout.ErrHalfFormat, ErrFormat},
	{layout.ErrBadRecord, ErrDamaged},
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
