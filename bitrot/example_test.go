// Goal: show a newcomer a stream, damage, and the sizes. Method: examples whose
// output is checked.
package bitrot_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/sherd-storage/sherd/bitrot"
)

func Example() {
	id := bitrot.ShardID{Shard: 2}
	var drive bytes.Buffer
	w := bitrot.NewWriter(&drive, id)
	fmt.Fprint(w, "a sherd of a pot")
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}
	stream := drive.Bytes()
	payload, err := io.ReadAll(bitrot.NewReader(bytes.NewReader(stream), id))
	fmt.Printf("%d bytes hold %q, error %v\n", len(stream), payload, err)

	stream[3] ^= 0x10 // the drive forgets a bit
	payload, err = io.ReadAll(bitrot.NewReader(bytes.NewReader(stream), id))
	fmt.Printf("%q, error %v\n", payload, err)
	fmt.Println(errors.Is(err, bitrot.ErrCorrupt))
	// Output:
	// 48 bytes hold "a sherd of a pot", error <nil>
	// "", error corrupt shard 2, frame 0: sum does not match
	// true
}

func ExampleNewReaderAt() {
	var drive bytes.Buffer
	w := bitrot.NewWriter(&drive, bitrot.ShardID{})
	fmt.Fprint(w, "0123456789")
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}
	r, err := bitrot.NewReaderAt(bytes.NewReader(drive.Bytes()), bitrot.ShardID{}, 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 4)
	n, err := r.ReadAt(buf, 8)
	fmt.Printf("%q, error %v\n", buf[:n], err)
	// Output: "89", error EOF
}

func ExampleSealer() {
	s := bitrot.NewSealer()
	frame := append(make([]byte, 0, 64), "one frame"...)
	frame, err := s.AppendSum(frame, bitrot.ShardID{}, 0, true, frame) // sealed where it lies
	fmt.Println(len(frame), err)
	_, err = s.Open(frame, bitrot.ShardID{Shard: 1}, 0, true)
	fmt.Println(err)
	payload, err := s.Open(frame, bitrot.ShardID{}, 0, true)
	fmt.Printf("%s %v\n", payload, err)
	// Output:
	// 41 <nil>
	// corrupt shard 1, frame 0: sum does not match
	// one frame <nil>
}

func ExampleEncodedBytes() {
	for _, payload := range []int64{0, 1, 65_536, 65_537} {
		encoded, _ := bitrot.EncodedBytes(payload)
		fmt.Println(payload, encoded)
	}
	_, err := bitrot.PayloadBytes(31)
	fmt.Println(err)
	// Output:
	// 0 32
	// 1 33
	// 65536 65568
	// 65537 65601
	// impossible size: a stream of 31 bytes
}
