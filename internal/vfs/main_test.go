// Goal: no test of this package leaves a goroutine behind. Method: goleak after all tests.
package vfs_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
