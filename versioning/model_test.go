// Goal: the plans make of a key what Amazon S3 would make of it.
// Method: every sequence of operations up to a length, and any that the fuzzer
// finds, runs twice: through the plans on a Key, and through an object bucket
// written down from S3's user guide, which knows neither plans nor positions.
package versioning_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/versioning"
)

// entry is a version as ListObjectVersions would show it.
type entry struct {
	id     string // "null", or a name given in order of writing
	marker bool
}

// bucket is a bucket of one key: its versions, oldest first.
type bucket struct {
	versioning string // "", "Enabled", "Suspended"
	versions   []entry
}

func (b *bucket) drop(id string) {
	b.versions = slices.DeleteFunc(b.versions, func(e entry) bool { return e.id == id })
}

func (b *bucket) write(id string, marker bool) {
	if b.versioning != "Enabled" {
		b.drop("null")
		id = "null"
	}
	b.versions = append(b.versions, entry{id: id, marker: marker})
}

func (b *bucket) delete(id string) {
	if b.versioning == "" {
		b.versions = nil // there is but the one object
		return
	}
	b.write(id, true)
}

func (b *bucket) get() string {
	if len(b.versions) == 0 {
		return "404"
	}
	if b.versions[len(b.versions)-1].marker {
		return "404 marker"
	}
	return "200"
}

func (b *bucket) getVersion(id string) string {
	for _, e := range b.versions {
		if e.id == id && e.marker {
			return "405 marker"
		}
		if e.id == id {
			return "200"
		}
	}
	return "404 version"
}

var answers = map[versioning.Outcome]string{
	versioning.NoKey:        "404",
	versioning.NoVersion:    "404 version",
	versioning.LatestMarker: "404 marker",
	versioning.NamedMarker:  "405 marker",
	versioning.Found:        "200",
}

// operation is one thing that a client can ask for.
type operation byte

const (
	enable operation = iota
	suspend
	put
	remove
	removeNull
	removeLatest
	removeOldest
	removeSecond
	operations
)

func (o operation) String() string {
	return [...]string{"enable", "suspend", "put", "delete", "delete null", "delete latest", "delete oldest", "delete second"}[o]
}

// pair is one key in both worlds.
type pair struct {
	key    versioning.Key
	status versioning.Status
	real   bucket
	next   uint64
}

func idOf(ref versioning.Ref) string {
	if ref.Null {
		return "null"
	}
	return fmt.Sprint(ref.Position)
}

// step does an operation in both worlds and gives the pair as it then is.
func (p pair) step(op operation) (pair, error) {
	p.next++
	p.real.versions = slices.Clone(p.real.versions)
	var plan versioning.Plan
	var err error
	switch op {
	case enable, suspend:
		return p.change(op)
	case put:
		p.real.write(fmt.Sprint(p.next), false)
		plan, err = versioning.Put(p.status, p.key.Null())
	case remove:
		p.real.delete(fmt.Sprint(p.next))
		plan, err = versioning.Delete(p.status, p.key.Null())
	default:
		target := p.target(op)
		if !target.Absent() {
			p.real.drop(idOf(target))
		}
		plan, err = versioning.DeleteVersion(target)
	}
	if err != nil {
		return p, err
	}
	p.key, err = p.key.Apply(plan, p.next)
	return p, err
}

func (p pair) change(op operation) (pair, error) {
	to, text := versioning.Enabled, "Enabled"
	if op == suspend {
		to, text = versioning.Suspended, "Suspended"
	}
	p.real.versioning = text
	err := versioning.Transition(p.status, to, false)
	p.status = to
	return p, err
}

func (p pair) target(op operation) versioning.Ref {
	switch {
	case op == removeNull:
		return p.key.Null()
	case op == removeLatest:
		return p.key.Latest()
	case op == removeOldest && len(p.key) > 0:
		return p.key[len(p.key)-1]
	case op == removeSecond && len(p.key) > 1:
		return p.key[1]
	default:
		return versioning.Ref{}
	}
}

// difference says where the two worlds differ, and is empty where they don't.
func (p pair) difference() string {
	shown := make([]entry, 0, len(p.key))
	for _, ref := range slices.Backward(p.key) {
		shown = append(shown, entry{id: idOf(ref), marker: ref.Marker})
	}
	if !slices.Equal(shown, p.real.versions) {
		return fmt.Sprintf("versions %v, want %v", shown, p.real.versions)
	}
	if got, want := answers[versioning.Find(p.key.Latest())], p.real.get(); got != want {
		return fmt.Sprintf("GET %q, want %q", got, want)
	}
	for position := uint64(1); position <= p.next+1; position++ {
		ref := p.key.At(position)
		if ref.Null {
			continue // is not called by its position
		}
		if got, want := answers[versioning.FindVersion(ref)], p.real.getVersion(fmt.Sprint(position)); got != want {
			return fmt.Sprintf("GET of version %d %q, want %q", position, got, want)
		}
	}
	if got, want := answers[versioning.FindVersion(p.key.Null())], p.real.getVersion("null"); got != want {
		return fmt.Sprintf("GET of the null version %q, want %q", got, want)
	}
	return ""
}

func check(t *testing.T, p pair, err error, history []operation) {
	if err != nil {
		require.NoError(t, err, "after %v", history)
	}
	if difference := p.difference(); difference != "" {
		require.Fail(t, difference, "after %v", history)
	}
}

func TestEverySequenceOfOperationsDoesWhatS3Does(t *testing.T) {
	const length = 6
	states := 0
	var walk func(p pair, history []operation)
	walk = func(p pair, history []operation) {
		states++
		if len(history) == length {
			return
		}
		for op := range operations {
			after, err := p.step(op)
			extended := append(slices.Clip(history), op)
			check(t, after, err, extended)
			walk(after, extended)
		}
	}
	walk(pair{}, nil)
	require.Equal(t, 299_593, states, "1 + 8 + … + 8^6")
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte{byte(put), byte(enable), byte(put), byte(suspend), byte(remove), byte(put), byte(removeNull)})
	f.Add([]byte{byte(suspend), byte(remove), byte(remove), byte(enable), byte(remove), byte(removeSecond)})
	f.Fuzz(func(t *testing.T, script []byte) {
		p := pair{}
		var history []operation
		for _, b := range script[:min(len(script), 200)] {
			op := operation(b) % operations
			after, err := p.step(op)
			history = append(history, op)
			check(t, after, err, history)
			p = after
		}
	})
}
