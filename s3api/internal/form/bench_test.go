// Goal: what reading a form costs beside what storing its file costs. Method: a file
// of 64 MiB that is read and dropped.
package form_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/form"
)

func BenchmarkFile(b *testing.B) {
	const size = 64 << 20
	body, boundary := write(b, part{"key", "", "a"}, part{"file", "f", strings.Repeat("0123456789abcde\n", size/16)})
	b.SetBytes(size)
	for b.Loop() {
		f, err := form.Read(strings.NewReader(body), boundary)
		require.NoError(b, err)
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, f.File, make([]byte, 1<<20))
		require.NoError(b, err)
		require.EqualValues(b, size, n)
	}
}
