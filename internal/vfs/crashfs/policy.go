package crashfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/memfs"
)

// SectorBytes is what a disk writes whole or not at all.
const SectorBytes = 512

// Policy says which of the changes that were not synced a crash leaves on the disk.
type Policy int

// The policies.
const (
	SyncedOnly Policy = iota // none
	Everything               // all
	Prefix                   // all up to one, in the order in which they were made
	Subset                   // any of them, sector by sector and change by change
	TornLast                 // all, but of the last write only some sectors
	ZeroLength               // all changes of entries, no bytes: files are empty after a rename
	ZeroFill                 // all changes of entries, and the lengths of files, filled with zeros
	Policies                 // the number of policies
)

// String returns the name of the policy.
func (p Policy) String() string {
	names := [Policies]string{
		"synced only", "everything", "prefix", "subset", "torn last write", "zero length", "zero fill",
	}
	if p < 0 || p >= Policies {
		return fmt.Sprintf("policy %d", int(p))
	}
	return names[p]
}

// Random tells whether the policy draws by its seed; the others have one outcome.
func (p Policy) Random() bool { return p == Prefix || p == Subset || p == TornLast }

// image is what a crash leaves.
type image struct {
	dirs  map[uint64]entries
	files map[uint64][]byte
}

// image draws what is on the disk. d.mu is held.
func (d *disk) image(policy Policy, seed uint64) image {
	rng := rand.New(rand.NewPCG(seed, uint64(policy)))
	im := image{dirs: copyDirs(d.dirs), files: map[uint64][]byte{}}
	last := d.seq
	if policy == Prefix {
		last = d.cut(rng)
	}
	odds := 0.1 + 0.8*rng.Float64() // some images lose little, others much
	chosen := closed(d.pending, func(c dirChange) bool {
		switch policy {
		case SyncedOnly:
			return false
		case Subset:
			return rng.Float64() < odds
		}
		return c.seq <= last
	})
	for i, c := range d.pending {
		if chosen[i] {
			apply(im.dirs, c, nil)
		}
	}
	torn := d.lastWrite()
	for _, ino := range slices.Sorted(maps.Keys(d.files)) {
		state := d.files[ino]
		content := slices.Clone(state.durable)
		switch policy {
		case Everything, Prefix:
			content = whole(content, state.pending, last)
		case Subset:
			content = sectors(content, state.pending, rng, odds)
		case TornLast:
			content = whole(content, state.pending, torn-1)
			if n := len(state.pending); n > 0 && state.pending[n-1].seq == torn {
				content = sectors(content, state.pending[n-1:], rng, odds)
			}
		case ZeroFill:
			for _, w := range state.pending {
				if end := int(w.off) + len(w.data); end > len(content) {
					content = append(content, make([]byte, end-len(content))...)
				}
			}
		}
		im.files[ino] = content
	}
	return im
}

// cut draws the last change that survives.
func (d *disk) cut(rng *rand.Rand) int {
	all := []int{0}
	for _, c := range d.pending {
		all = append(all, c.seq)
	}
	for _, state := range d.files {
		for _, w := range state.pending {
			all = append(all, w.seq)
		}
	}
	slices.Sort(all)
	return all[rng.IntN(len(all))]
}

func (d *disk) lastWrite() int {
	last := 0
	for _, state := range d.files {
		for _, w := range state.pending {
			last = max(last, w.seq)
		}
	}
	return last
}

// whole applies the writes up to number last.
func whole(content []byte, pending []write, last int) []byte {
	for _, w := range pending {
		if w.seq <= last {
			content = overlay(content, w.off, w.data)
		}
	}
	return content
}

// sectors applies, to each sector by itself, the first so many of its writes. Sometimes the file has its
// whole length although the sectors at its end are lost.
func sectors(content []byte, pending []write, rng *rand.Rand, odds float64) []byte {
	length := len(content)
	touching := map[int64][]write{}
	for _, w := range pending {
		end := w.off + int64(len(w.data))
		length = max(length, int(end))
		for at := w.off / SectorBytes; at*SectorBytes < end; at++ {
			touching[at] = append(touching[at], w)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(touching)) {
		writes := touching[at]
		survive := len(writes)
		if rng.Float64() >= odds {
			survive = rng.IntN(len(writes))
		}
		for _, w := range writes[:survive] {
			from := max(w.off, at*SectorBytes)
			to := min(w.off+int64(len(w.data)), (at+1)*SectorBytes)
			content = overlay(content, from, w.data[from-w.off:to-w.off])
		}
	}
	if rng.IntN(4) == 0 {
		content = append(content, make([]byte, length-len(content))...)
	}
	return content
}

// build writes the image into an empty file system.
func (im image) build(to *FS) {
	im.buildDir(to, memfs.RootIno, "/", map[uint64]string{})
}

func (im image) buildDir(to *FS, dir uint64, at string, made map[uint64]string) {
	for _, name := range slices.Sorted(maps.Keys(im.dirs[dir])) {
		e, full := im.dirs[dir][name], path.Join(at, name)
		first, again := made[e.ino]
		var err error
		switch {
		case again && e.kind == memfs.Directory:
			continue // a directory has one name
		case again:
			err = to.Link(first, full)
		case e.kind == memfs.Directory:
			made[e.ino] = full
			if err = to.MkdirAll(full, 0o700); err == nil {
				im.buildDir(to, e.ino, full, made)
			}
		default:
			made[e.ino] = full
			err = fill(to, full, im.files[e.ino])
		}
		if err != nil {
			panic(fmt.Sprintf("build %s of a crash image: %v", full, err)) // unlimited memory has no errors
		}
	}
}

func fill(to *FS, name string, content []byte) error {
	f, err := to.Create(name, vfs.Unspecified)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Close()
}
