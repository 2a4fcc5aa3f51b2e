// Goal: the decision is the one of the model that the protocol was checked with. Method:
// pictures that a decision was made of while the checker went through sets of one to four
// drives, each written down once for all ways to order the drives, with what the model
// decided; here they are asked in every order. There were 1,235,219; all of one and two
// drives are kept, one in twenty of three, and one in thirty of four. A picture is told as
// in TestDecide, its drives apart by semicolons.
package verdict_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/layout"
)

// Kills: a seal that counts though it is old; a log that is cut where no drive lacks the
// entry; one that ends below the highest stable mark and is believed; shards that may be
// one too few, or on drives that do not count; the oldest state in force; a quorum of one
// less.
func TestTheModelsVectors(t *testing.T) {
	f, err := os.Open("testdata/model.txt.gz")
	require.NoError(t, err)
	defer f.Close()
	text, err := gzip.NewReader(f)
	require.NoError(t, err)
	seen, vectors, asked := map[string]int{}, 0, 0
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		picture, want, ok := strings.Cut(lines.Text(), " > ")
		require.True(t, ok)
		number1, rest, _ := strings.Cut(picture, "; ")
		n := number(t, number1)
		said := shelf(t, n, strings.ReplaceAll(rest, "; ", "\n"))
		kind, _, _ := strings.Cut(want, " ")
		kind, _, _ = strings.Cut(kind, "=")
		seen[fmt.Sprint(n, " ", kind)]++
		vectors++
		for _, order := range orders(n) {
			v, err := verdict.Decide(n, reordered(said, order))
			if got := vector(v, err, order); got != want {
				t.Fatalf("%s\ndrives in order %v: %s, and the model says %s", lines.Text(), order, got, want)
			}
			asked++
		}
	}
	require.NoError(t, lines.Err())
	t.Log(vectors, "vectors,", asked, "decisions", seen)
	for n := 1; n <= 4; n++ {
		for _, kind := range []string{"in", "read-only", "refused"} {
			if n > 1 || kind == "in" {
				require.Positive(t, seen[fmt.Sprint(n, " ", kind)], "%d %s", n, kind)
			}
		}
	}
}

// vector writes a verdict as the vectors do, with the slots of before they were reordered.
func vector(v verdict.Verdict, err error, order []int) string {
	back := func(m quorum.Drives) (s string) {
		for slot, at := range order {
			if m.Has(at) {
				s += strconv.Itoa(slot)
			}
		}
		return s
	}
	switch {
	case err != nil:
		return "refused"
	case v.ReadOnly:
		return fmt.Sprintf("read-only agreed=%s V=%d top=%d", back(v.Agreed), v.Stable, v.Top)
	}
	return fmt.Sprintf("in=%s behind=%s V=%d end=%d", back(v.InSync), back(v.Behind), v.Stable, v.End)
}

// reordered gives each drive another slot.
func reordered(said []verdict.Witness, order []int) []verdict.Witness {
	moved := func(m quorum.Drives) (out quorum.Drives) {
		for slot := range m.All() {
			out |= quorum.One(order[slot])
		}
		return out
	}
	out := make([]verdict.Witness, len(said))
	for i, w := range said {
		w.Slot = order[w.Slot]
		w.ID = driveID(w.Slot)
		in := make([]layout.DriveID, len(w.State.InSync))
		for j, id := range w.State.InSync {
			in[j] = driveID(order[int(id[0])-1])
		}
		w.State.InSync = in
		log := make([]verdict.Logged, len(w.Log))
		for j, e := range w.Log {
			var adds []verdict.Held
			for _, a := range e.Adds {
				adds = append(adds, verdict.Held{Need: a.Need, Good: moved(a.Good)})
			}
			e.Adds = adds
			log[j] = e
		}
		w.Log = log
		out[i] = w
	}
	return out
}

// orders gives all ways to order n.
func orders(n int) (out [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, rest := range orders(n - 1) {
		for at := range n {
			out = append(out, append(append(append([]int{}, rest[:at]...), n-1), rest[at:]...))
		}
	}
	return out
}
