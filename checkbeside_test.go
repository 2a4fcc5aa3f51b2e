// Goal: a check finds nothing wrong with a store that is only busy. Method: checks
// one after the other beside writes, deletes, and the removal of what they
// replace.
package sherd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheckBesideRemoval(t *testing.T) {
	// Removal steps every 250 ms: checks begin at the same moments.
	bubble(t, func(t *testing.T) {
		r := newRack(2)
		s := begun(t, r)
		end := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				if err := putAt(t, s, fmt.Sprint("k", i%7), tiny[:100+i%50], nil); err != nil {
					ended <- err
					return
				}
				select {
				case <-end:
					ended <- nil
					return
				case <-time.After(time.Millisecond):
				}
			}
		}()
		for begun := time.Now(); time.Since(begun) < 4*time.Second; pass(50 * time.Millisecond) {
			for f, err := range s.Check(t.Context()) {
				require.NoError(t, err)
				require.Fail(t, "nothing is wrong", "%+v", f)
			}
		}
		close(end)
		require.NoError(t, <-ended)
		r.shut(t, s, t.Name())
	})
}
