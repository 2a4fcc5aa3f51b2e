// Goal: show how checksums are made. Method: examples with output.
package checksum_test

import (
	"fmt"
	"slices"

	"github.com/sherd-storage/sherd/internal/checksum"
)

func ExampleCombine() {
	var parts []checksum.Part
	for _, data := range []string{"1234", "", "56789"} {
		h, err := checksum.CRC64NVME.New()
		if err != nil {
			panic(err)
		}
		h.Write([]byte(data))
		parts = append(parts, checksum.Part{Value: h.Sum(nil), Size: int64(len(data))})
	}
	sum, err := checksum.Combine(checksum.CRC64NVME, checksum.FullObject, slices.Values(parts))
	fmt.Printf("%x %v %v\n", sum.Value, sum, err)
	// Output: ae8b14860a799888 rosUhgp5mIg= <nil>
}

func ExampleParseSum() {
	sum, err := checksum.ParseSum(checksum.CRC32, "y/Q5Jg==-3")
	fmt.Printf("%v of %d parts, %x, %v\n", sum.Type, sum.Parts, sum.Value, err)
	// Output: COMPOSITE of 3 parts, cbf43926, <nil>
}
