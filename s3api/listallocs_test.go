// Goal: a page of a listing costs what its keys cost. Method: pages of 1,000 keys and of
// none through the handler, and what they allocate.
package s3api_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// Kills: a listing through encoding/xml, which takes some twenty allocations a key.
func TestAPageOfAListingAllocatesLittle(t *testing.T) {
	h := newHarness(t, nil, nil)
	for i := range 1000 {
		h.put(fmt.Sprintf("/bucket/some/prefix/key-%04d", i), "x")
	}
	page := func(path string) float64 {
		r := request{method: "GET", path: path}.build(t)
		return testing.AllocsPerRun(5, func() {
			w := httptest.NewRecorder()
			h.handler.ServeHTTP(w, r.Clone(t.Context()))
			require.Equal(t, 200, w.Code)
		})
	}
	none, all := page("/bucket?list-type=2&prefix=none"), page("/bucket?list-type=2")
	t.Logf("%.1f allocations a key", (all-none)/1000)
	require.Less(t, (all-none)/1000, 6.0)
}
