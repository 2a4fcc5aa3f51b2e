// Goal: who is late, and who may learn. Method: a tenure without drives, whose
// watch is told the time; it stands inside the package, since a host that is
// paused can not be had otherwise.
package driveset

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// waiting is a tenure of four drives with one entry, which all but some have.
func waiting(t *testing.T, without quorum.Drives) *tenure {
	s := &Set{n: 4, q: 3}
	s.opt.fill()
	x := newTenure(s, layout.Owner{Epoch: 1}, make([]layout.Name, 4))
	t.Cleanup(x.cancel)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.inSync, x.need = 0b1111, 0b1111
	for slot := range 4 {
		x.members[slot] = newMember(slot, &place{}, nil, layout.Promise{}, 0, 0)
		x.members[slot].fed = true
	}
	require.NoError(t, x.append(&pending{}))
	for slot, m := range x.members[:4] {
		if without.Has(slot) {
			m.busy = x.lived
		} else {
			m.applied = 1
		}
	}
	x.noteQuorum(1)
	return x
}

// live lets time go by as a watch sees it that is not held up.
func (t *tenure) live(d time.Duration) {
	for end := t.looked.Add(d); t.looked.Before(end); {
		t.look(t.looked.Add(watchInterval))
	}
}

func TestLate(t *testing.T) {
	x := waiting(t, quorum.One(3))
	x.live(x.set.opt.StallLimit - watchInterval)
	require.NoError(t, x.members[3].failed)
	x.live(watchInterval)
	require.ErrorIs(t, x.members[3].failed, errLate)
	require.Equal(t, quorum.Drives(0b0111), x.target())
}

func TestAPausedHostMakesNobodyLate(t *testing.T) {
	x := waiting(t, quorum.One(3))
	x.look(x.looked.Add(time.Hour))
	require.NoError(t, x.members[3].failed)
	x.live(x.set.opt.StallLimit)
	require.ErrorIs(t, x.members[3].failed, errLate)
}

func TestNobodyIsLateWithoutAQuorum(t *testing.T) {
	x := waiting(t, quorum.One(2)|quorum.One(3))
	for _, m := range x.members[:4] {
		m.probing = x.lived
	}
	x.live(time.Hour)
	for _, m := range x.members[:4] {
		require.NoError(t, m.failed)
	}
	require.NoError(t, x.stuck)
}

func TestLatenessNeverTakesTheSetBelowQuorum(t *testing.T) {
	x := waiting(t, 0)
	x.mu.Lock()
	x.members[0].failed, x.members[0].fed = errLate, false
	x.inSync, x.need = 0b1110, 0b1110
	x.members[3].probing = x.lived
	x.mu.Unlock()
	x.live(time.Hour)
	require.NoError(t, x.members[3].failed)
}

func TestAProbeCanBeLate(t *testing.T) {
	x := waiting(t, 0)
	x.members[3].probing = x.lived
	x.live(x.set.opt.StallLimit)
	require.ErrorIs(t, x.members[3].failed, errLate)
}

// A drive may undo only once no acknowledgement can wait for it, and is taught
// by one teacher at a time.
func TestOut(t *testing.T) {
	x := waiting(t, 0)
	require.False(t, x.out(3), "it is in-sync")
	x.mu.Lock()
	x.fail(x.members[3], errLate)
	x.mu.Unlock()
	require.False(t, x.out(3), "the state without it is not decided")
	x.mu.Lock()
	for slot := range 3 {
		x.accept(x.members[slot], x.generation)
	}
	x.mu.Unlock()
	require.True(t, x.out(3))
	x.mu.Lock()
	learner := newMember(3, &place{}, nil, layout.Promise{}, 0, 0)
	learner.learner, learner.fed = true, true
	x.members[3] = learner
	x.mu.Unlock()
	require.False(t, x.out(3), "it learns already")
	x.mu.Lock()
	x.fail(learner, errLate)
	x.mu.Unlock()
	require.True(t, x.out(3))
	x.mu.Lock()
	x.stick(errLate)
	x.mu.Unlock()
	require.False(t, x.out(3), "the set is about to be opened again")
}
