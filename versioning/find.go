package versioning

import "fmt"

// Outcome is what a read finds at a key. The zero Outcome is none of them, so
// that one that was never decided reads as nothing found.
type Outcome uint8

// What a read can find. The answers are those of GetObject and HeadObject.
const (
	// NoKey: no version was named and there is none (404 NoSuchKey).
	NoKey Outcome = iota + 1
	// NoVersion: the version that was named is not there (404 NoSuchVersion).
	NoVersion
	// LatestMarker: no version was named and the latest is a delete marker (404
	// NoSuchKey, with the marker's id and x-amz-delete-marker: true).
	LatestMarker
	// NamedMarker: the version that was named is a delete marker (405
	// MethodNotAllowed, with x-amz-delete-marker: true and Last-Modified).
	NamedMarker
	// Found: there is an object to read.
	Found
)

// String names the outcome, for people.
func (o Outcome) String() string {
	switch o {
	case NoKey:
		return "no such key"
	case NoVersion:
		return "no such version"
	case LatestMarker:
		return "latest version is a delete marker"
	case NamedMarker:
		return "named version is a delete marker"
	case Found:
		return "found"
	default:
		return fmt.Sprintf("Outcome(%d)", uint8(o))
	}
}

// Find decides a read that names no version; latest is the key's version with
// the highest position, and the zero Ref if it has none.
func Find(latest Ref) Outcome {
	return find(latest, NoKey, LatestMarker)
}

// FindVersion decides a read that names a version; named is that version, and
// the zero Ref if it is not there.
func FindVersion(named Ref) Outcome {
	return find(named, NoVersion, NamedMarker)
}

func find(ref Ref, absent, marker Outcome) Outcome {
	switch {
	case ref.Absent():
		return absent
	case ref.Marker:
		return marker
	default:
		return Found
	}
}
