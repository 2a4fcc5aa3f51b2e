// Goal: a check finds what is wrong and nothing else, however long it takes.
// Method: virtual time, and a context that lets objects be replaced and much time
// pass at one of the moments at which the check asks whether it is to go on.
package driveset_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/driveset"
)

// stepping is a context that does something when it is asked for its error.
type stepping struct {
	context.Context
	step func()
}

func (s *stepping) Err() error {
	s.step()
	return s.Context.Err()
}

func TestACheckThatTakesLongerThanWhatItSeesIsKept(t *testing.T) {
	step := func(at int) (reached bool) {
		synctest.Test(t, func(t *testing.T) {
			c := newShelf(4).open(t)
			write := func(round uint64) {
				for i := range 4 { // inline and in files
					require.NoError(t, c.put(t.Context(), fmt.Sprint("key", i), bytesOf(round, 1<<(10+i%2*8))))
				}
			}
			write(0)
			var asked atomic.Int64 // several of its goroutines ask
			ctx := &stepping{t.Context(), func() {
				if asked.Add(1) == int64(at) {
					reached = true
					write(1)
					time.Sleep(2 * time.Minute) // what was replaced is removed
				}
			}}
			require.NoError(t, c.set.Check(ctx, func(f driveset.Finding) { t.Errorf("step %d: found %+v", at, f) }))
			require.NoError(t, c.set.Close())
		})
		return reached
	}
	at := 1
	for step(at) {
		at++
	}
	require.Greater(t, at, 20)
}
