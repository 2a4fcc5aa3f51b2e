// Goal: show a newcomer how the lock is asked. Method: examples with output.
package lock_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/sherd-storage/sherd/lock"
)

func ExampleCheck() {
	now := time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)
	state := lock.State{Retention: lock.Retention{Mode: lock.Governance, Until: now.AddDate(0, 1, 0)}}

	err := lock.Check(now, state, lock.Intent{})
	fmt.Println(err, errors.Is(err, lock.ErrLocked))
	fmt.Println(lock.Check(now, state, lock.Intent{Bypass: true}))

	state.LegalHold = true
	fmt.Println(lock.Check(now, state, lock.Intent{Bypass: true}))
	// Output:
	// locked: governance retention until 2031-06-01T00:00:00Z true
	// <nil>
	// locked: legal hold
}

func ExampleCheckRetention() {
	now := time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)
	old := lock.State{Retention: lock.Retention{Mode: lock.Compliance, Until: now.AddDate(1, 0, 0)}}

	longer := lock.Retention{Mode: lock.Compliance, Until: now.AddDate(2, 0, 0)}
	fmt.Println(lock.CheckRetention(now, old, longer, lock.Intent{}))

	shorter := lock.Retention{Mode: lock.Compliance, Until: now.AddDate(0, 1, 0)}
	fmt.Println(lock.CheckRetention(now, old, shorter, lock.Intent{Bypass: true}))
	// Output:
	// <nil>
	// locked: compliance retention until 2032-05-01T00:00:00Z
}

func ExampleConfiguration_AtPut() {
	configuration := lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Compliance, Days: 30}}
	now, newestVersion := time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2031, 5, 2, 0, 0, 0, 0, time.UTC)

	state, err := configuration.AtPut(lock.Floor(now, newestVersion), lock.State{})
	fmt.Println(state.Mode, state.Until.Format(time.DateOnly), err)
	// Output: COMPLIANCE 2031-06-01 <nil>
}
