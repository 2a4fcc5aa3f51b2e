// Goal: the decision at opening, rule by rule. Method: pictures of drives on a
// shelf. Each line is a drive: its slot, the state that it holds as
// epoch.generation:in-sync, its stable mark, its seal, and its log. An entry is
// its owner's epoch and a letter; k@013 after it says how many shards its bytes
// need and where good ones were found; !p says that it aborts position p. Two
// logs agree as long as their entries are spelled alike.
package verdict_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/internal/verdict"
	"github.com/sherd-storage/sherd/layout"
)

func driveID(slot int) layout.DriveID { return layout.DriveID{byte(slot + 1)} }

func slots(s string) (m quorum.Drives) {
	for _, c := range s {
		m |= quorum.One(int(c - '0'))
	}
	return m
}

func ids(m quorum.Drives) (out []layout.DriveID) {
	for slot := range m.All() {
		out = append(out, driveID(slot))
	}
	return out
}

// shelf reads a picture.
func shelf(t *testing.T, n int, picture string) []verdict.Witness {
	var out []verdict.Witness
	for line := range strings.Lines(strings.TrimSpace(picture)) {
		f := strings.Fields(line)
		w := verdict.Witness{}
		w.Slot = number(t, f[0])
		w.ID = driveID(w.Slot)
		names := make([]layout.Name, n)
		for i := range names {
			names[i].Drive = driveID(i)
		}
		for _, field := range f[1:] {
			key, value, _ := strings.Cut(field, "=")
			switch key {
			case "id":
				w.ID = driveID(number(t, value))
			case "state":
				number1, in, _ := strings.Cut(value, ":")
				e, g, _ := strings.Cut(number1, ".")
				w.State = layout.State{Owner: layout.Owner{Epoch: uint64(number(t, e))}, Generation: uint64(number(t, g)), InSync: ids(slots(in)), Names: names}
			case "V":
				w.Stable = layout.Position(number(t, value))
			case "seal":
				e, p, _ := strings.Cut(value, "@")
				w.Seal = layout.Seal{Epoch: uint64(number(t, e)), Position: layout.Position(number(t, p))}
			case "rebuild":
				w.Rebuild = true
			case "log":
				w.Log = logOf(t, value)
				w.End = layout.Position(len(w.Log))
			}
		}
		out = append(out, w)
	}
	return out
}

func logOf(t *testing.T, s string) (out []verdict.Logged) {
	chain := ""
	for i, text := range strings.Split(s, ",") {
		e := verdict.Logged{Position: layout.Position(i + 1)}
		text, data, _ := strings.Cut(text, ":")
		text, aborts, _ := strings.Cut(text, "!")
		if aborts != "" {
			e.Aborts = layout.Position(number(t, aborts))
		}
		if data != "" {
			need, where, _ := strings.Cut(data, "@")
			e.Adds = []verdict.Held{{Need: number(t, need), Good: slots(where)}}
		}
		e.Epoch = uint64(number(t, strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")))
		chain += "/" + text
		e.Chain = blake3.Sum256([]byte(chain))
		out = append(out, e)
	}
	return out
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// say writes a verdict down as the pictures expect it.
func say(v verdict.Verdict) string {
	m := func(x quorum.Drives) string {
		s := ""
		for slot := range x.All() {
			s += strconv.Itoa(slot)
		}
		return s
	}
	if v.ReadOnly {
		return fmt.Sprintf("read-only agreed=%s V=%d top=%d", m(v.Agreed), v.Stable, v.Top)
	}
	out := fmt.Sprintf("serve in=%s V=%d end=%d", m(v.InSync), v.Stable, v.End)
	if v.End != v.Top {
		out += fmt.Sprintf(" cut=%d", v.Top)
	}
	for name, x := range map[string]quorum.Drives{" behind=": v.Behind, " damaged=": v.Damaged} {
		if x != 0 {
			out += name + m(x)
		}
	}
	return out
}

func TestDecide(t *testing.T) {
	for _, c := range []struct{ name, rule, picture, want string }{
		{"all there", "3.7", `
			0 state=5.1:0123 V=2 log=5a,5b
			1 state=5.1:0123 V=2 log=5a,5b
			2 state=5.1:0123 V=1 log=5a,5b
			3 state=5.1:0123 V=2 log=5a,5b`, "serve in=0123 V=2 end=2"},
		{"too few to read", "3.2", `
			0 state=5.1:0123 V=2 log=5a,5b`, "refuse"},
		{"two of four read only", "3.7", `
			0 state=5.1:0123 V=2 log=5a,5b,5c
			1 state=5.1:0123 V=2 log=5a,5b,5c`, "read-only agreed=01 V=2 top=3"},
		{"tail on one drive without data is kept", "3.8", `
			0 state=5.1:0123 V=1 log=5a,5b
			1 state=5.1:0123 V=1 log=5a
			2 state=5.1:0123 V=1 log=5a
			3 state=5.1:0123 V=1 log=5a`, "serve in=0123 V=1 end=2"},
		{"tail that can not be put together is cut where a drive lacks it", "3.8", `
			0 state=5.1:0123 V=1 log=5a,5b:2@0
			1 state=5.1:0123 V=1 log=5a
			2 state=5.1:0123 V=1 log=5a
			3 state=5.1:0123 V=1 log=5a`, "serve in=0123 V=1 end=1 cut=2"},
		{"what all have and can not be put together may be acknowledged", "3.8", `
			0 state=5.1:0123 V=1 log=5a,5b:2@0
			1 state=5.1:0123 V=1 log=5a,5b:2@0
			2 state=5.1:0123 V=1 log=5a,5b:2@0`, "read-only agreed=012 V=1 top=2"},
		{"shards of drives outside F do not count", "3.8", `
			0 state=5.1:012 V=1 log=5a,5b:2@03
			1 state=5.1:012 V=1 log=5a,5b:2@03
			2 state=5.1:012 V=1 log=5a,5b:2@03
			3 state=4.1:12 V=1 log=5a`, "read-only agreed=012 V=1 top=2"},
		{"cut at the lowest, not at the highest that can be put together", "3.8", `
			0 state=5.1:0123 V=0 log=5a:2@0,5b:2@012
			1 state=5.1:0123 V=0 log=5a:2@0,5b:2@012
			2 state=5.1:0123 V=0 log=5a:2@0,5b:2@012
			3 state=5.1:0123 V=0 log=5c`, "refuse"},
		{"an aborted write is kept with its abort", "3.8", `
			0 state=5.2:012 V=0 log=5a:2@0,5b!1
			1 state=5.2:012 V=0 log=5a:2@0,5b!1
			2 state=5.2:012 V=0 log=5a:2@0`, "serve in=012 V=0 end=2"},
		{"an abort whose way is not kept does not help", "3.8", `
			0 state=5.2:012 V=0 log=5a:2@0,5c:2@0,5b!1
			1 state=5.2:012 V=0 log=5a:2@0
			2 state=5.2:012 V=0 log=` + "5a:2@0", "read-only agreed=012 V=0 top=3"},
		{"the newest state is in force wherever it is", "3.3", `
			0 state=5.1:0123 V=1 log=5a
			1 state=5.2:123 V=1 log=5a,5b
			2 state=5.1:0123 V=1 log=5a,5b
			3 state=5.1:0123 V=1 log=5a,5b`, "serve in=123 V=1 end=2"},
		{"an evicted drive is brought up to date first", "3.7", `
			0 state=5.1:0123 V=1 log=5a
			1 state=5.2:123 V=1 log=5a,5b
			2 state=5.2:123 V=1 log=5a,5b`, "serve in=012 V=1 end=2 behind=0"},
		{"a learner was never in-sync and does not count", "3.2", `
			0 state=5.1:12 V=1 log=5a
			1 state=5.1:12 V=1 log=5a`, "refuse"},
		{"a drive under rebuild does not count", "3.2", `
			0 state=5.1:0123 V=1 log=5a rebuild
			1 state=5.1:0123 V=1 log=5a`, "refuse"},
		{"a replaced drive does not count", "3.3", `
			0 id=7 state=4.1:0127 V=1 log=5a
			1 state=5.1:0123 V=1 log=5a
			2 state=5.1:0123 V=1 log=5a
			3 state=5.1:0123 V=1 log=5a`, "serve in=123 V=1 end=1"},
		{"entries that a newer owner found not to be there are void", "3.4", `
			0 state=6.1:0123 seal=7@1 V=1 log=5a,6b
			1 state=6.1:0123 V=1 log=5a,6b
			2 state=6.1:0123 seal=7@1 V=1 log=5a
			3 state=6.1:0123 V=1 log=5a`, "serve in=0123 V=1 end=1"},
		{"seals older than the state do not count", "3.4", `
			0 state=6.1:0123 seal=5@1 V=1 log=4a,4b
			1 state=6.1:0123 V=1 log=4a,4b
			2 state=6.1:0123 V=1 log=4a,4b
			3 state=6.1:0123 V=1 log=4a,4b`, "serve in=0123 V=1 end=2"},
		{"a seal does not void what is stable on the drive", "3.4", `
			0 state=6.1:0123 seal=7@1 V=2 log=5a,5b
			1 state=6.1:0123 V=2 log=5a,5b
			2 state=6.1:0123 V=2 log=5a,5b
			3 state=6.1:0123 V=2 log=5a,5b`, "serve in=0123 V=2 end=2"},
		{"a log that ends below the highest stable mark is damaged", "3.5", `
			0 state=5.1:0123 V=1 log=5a
			1 state=5.1:0123 V=2 log=5a,5b
			2 state=5.1:0123 V=1 log=5a,5b
			3 state=5.1:0123 V=1 log=5a,5b`, "serve in=123 V=2 end=2 damaged=0"},
		{"of two that differ the older owner's is damaged", "3.5", `
			0 state=6.1:0123 V=1 log=5a,5x
			1 state=6.1:0123 V=1 log=5a,6b
			2 state=6.1:0123 V=1 log=5a,6b
			3 state=6.1:0123 V=1 log=5a,6b`, "serve in=123 V=1 end=2 damaged=0"},
		{"what differs from the holders of the state is damaged", "3.5", `
			0 state=5.1:0123 V=1 log=6a,6x
			1 state=6.2:0123 V=1 log=6a,6b
			2 state=6.2:0123 V=1 log=6a,6b
			3 state=6.2:0123 V=1 log=6a,6b`, "serve in=123 V=1 end=2 damaged=0"},
		{"a mirror with one drive reads", "7", `
			0 state=5.1:01 V=1 log=5a`, "read-only agreed=0 V=1 top=1"},
		{"a single drive", "3", `
			0 state=5.1:0 V=0 log=5a:1@0,5b:1@`, "read-only agreed=0 V=0 top=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := 4
			switch {
			case strings.Contains(c.name, "mirror"):
				n = 2
			case strings.Contains(c.name, "single"):
				n = 1
			}
			v, err := verdict.Decide(n, shelf(t, n, c.picture))
			if c.want == "refuse" {
				require.Error(t, err, "rule %s: %s", c.rule, say(v))
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, say(v), "rule %s", c.rule)
		})
	}
}
