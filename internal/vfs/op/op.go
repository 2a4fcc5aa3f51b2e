// Package op names the operations of a file system and the kinds of path they touch.
//
// It is the vocabulary that the recording, the fault-injecting, the crashing and the
// latching file systems share: a rule, a trace line and a latch speak of the same
// [Kind] and the same [Class]. All of it is pure and safe to call concurrently.
package op

import (
	"path"
	"regexp"
	"strings"
)

// Kind is one kind of file-system operation.
type Kind uint8

// The operations. Sync is fsync of a file, SyncDir fsync of a directory.
const (
	Create Kind = iota
	Open
	OpenReadWrite
	OpenDir
	Reuse
	Link
	Remove
	RemoveAll
	Rename
	Mkdir
	Lock
	List
	Stat
	Usage
	Identify
	Read
	ReadAt
	Write
	WriteAt
	Preallocate
	Sync
	SyncTo
	SyncData
	SyncDir
	FileStat
	Close
	Unlock
	Kinds // the number of kinds
)

// String returns the lower-case name of the kind, as traces print it.
func (k Kind) String() string {
	names := [Kinds]string{
		"create", "open", "open-rw", "open-dir", "reuse", "link", "remove", "remove-all", "rename",
		"mkdir", "lock", "list", "stat", "usage", "identify", "read", "read-at", "write", "write-at",
		"preallocate", "sync", "sync-to", "sync-data", "sync-dir", "file-stat", "close", "unlock",
	}
	if k >= Kinds {
		return "unknown"
	}
	return names[k]
}

// Mutates tells whether the operation can change the namespace or bytes of the disk.
// Syncs do not: they only make earlier changes durable.
func (k Kind) Mutates() bool {
	switch k {
	case Create, OpenReadWrite, Reuse, Link, Remove, RemoveAll, Rename, Mkdir, Lock, Write, WriteAt, Preallocate:
		return true
	}
	return false
}

// Durable tells whether the operation promises that earlier changes are on stable storage.
func (k Kind) Durable() bool {
	return k == Sync || k == SyncData || k == SyncDir || k == SyncTo
}

// Class is what a path is used for, told from its last element alone.
type Class uint8

// The classes. The first ones are the index library's own files.
const (
	Other Class = iota
	WAL
	Manifest
	Table
	Blob
	Options
	Marker
	Temp
	LockFile
)

// String returns the lower-case name of the class.
func (c Class) String() string {
	names := [...]string{"other", "wal", "manifest", "table", "blob", "options", "marker", "temp", "lock"}
	if int(c) >= len(names) {
		return "unknown"
	}
	return names[c]
}

// ClassOf returns the class of the last element of name. Both kinds of slash separate.
func ClassOf(name string) Class {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	switch {
	case strings.HasPrefix(base, "MANIFEST-"):
		return Manifest
	case strings.HasPrefix(base, "OPTIONS-"):
		return Options
	case strings.HasPrefix(base, "marker."):
		return Marker
	case strings.HasSuffix(base, ".log"):
		return WAL
	case strings.HasSuffix(base, ".sst"):
		return Table
	case strings.HasSuffix(base, ".blob"):
		return Blob
	case strings.HasSuffix(base, ".dbtmp"), strings.HasPrefix(base, "temporary."):
		return Temp
	case base == "LOCK", base == "lock":
		return LockFile
	}
	return Other
}

// Normalise replaces each run of three or more decimal digits in name by "#", so that a trace
// does not depend on the numbers that files happen to get.
func Normalise(name string) string {
	return regexp.MustCompile(`[0-9]{3,}`).ReplaceAllString(name, "#")
}
