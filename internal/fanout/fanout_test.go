// Goal: calls are waited for as long as the package comment says, and no
// longer. Method: calls that wait at channels, in virtual time.
package fanout_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/fanout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBad = errors.New("bad")

func TestAllAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		c := fanout.Calls{Enough: 1, Limit: time.Second, Go: wg.Go, AfterLate: func(i int, err error) { t.Errorf("%d: %v", i, err) }}
		begun := time.Now()
		errs := c.Do(t.Context(), 3, func(i int) error {
			if i == 1 {
				return errBad
			}
			time.Sleep(time.Duration(i) * 400 * time.Millisecond)
			return nil
		})
		require.Equal(t, []error{nil, errBad, nil}, errs)
		require.Equal(t, 800*time.Millisecond, time.Since(begun))
		require.Empty(t, c.Do(t.Context(), 0, nil))
	})
}

func TestLateIsRelative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		hung, after := make(chan struct{}), make(chan int, 3)
		c := fanout.Calls{Enough: 2, Limit: 8 * time.Second, Go: wg.Go, AfterLate: func(i int, err error) {
			if err == nil {
				after <- i
			}
		}}
		begun := time.Now()
		errs := c.Do(t.Context(), 3, func(i int) error {
			switch i {
			case 0:
				time.Sleep(time.Hour) // nobody is late so far
			case 2:
				<-hung
			}
			return nil
		})
		require.Equal(t, []error{nil, nil, fanout.ErrLate}, errs)
		require.Equal(t, time.Hour+8*time.Second, time.Since(begun))
		require.Empty(t, after)
		close(hung)
		wg.Wait()
		require.Equal(t, 2, <-after)
	})
}

func TestStepsKeepACallAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		var steps [2]atomic.Int64
		c := fanout.Calls{Limit: 8 * time.Second, Go: wg.Go, Steps: func(i int) int64 { return steps[i].Load() }}
		errs := c.Do(t.Context(), 2, func(i int) error {
			for range 10 {
				time.Sleep(time.Duration(i+1) * 6 * time.Second)
				steps[i].Add(1)
			}
			return nil
		})
		require.Equal(t, []error{nil, fanout.ErrLate}, errs)
		wg.Wait()
	})
}

func TestContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBad)
		defer cancel()
		hung := make(chan struct{})
		errs := fanout.Calls{Enough: 2, Limit: time.Minute, Go: wg.Go}.Do(ctx, 2, func(i int) error {
			if i == 1 {
				<-hung
			}
			return nil
		})
		require.Equal(t, []error{nil, errBad}, errs)
		close(hung)
		wg.Wait()
	})
}
