// Goal: benchmarks that read the disk, not the page cache. Method: the system is
// asked to drop what it keeps of a file.
package bench

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// forget has the system keep nothing of a file in memory: the next to read it
// reads the disk.
func forget(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
}
