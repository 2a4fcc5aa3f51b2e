// Goal: the checksum made of the parts' is the one that the bytes have.
// Method: cut bytes at every kind of place and compare with hashing them in one
// piece; the composite form against its definition; sizes that no test can hold
// against an equation that they must obey.
package checksum_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/checksum"
)

func value(t testing.TB, algorithm checksum.Algorithm, data []byte) []byte {
	h, err := algorithm.New()
	require.NoError(t, err)
	h.Write(data)
	return h.Sum(nil)
}

// cut gives the parts of data between the cuts, which may be in any order.
func cut(t testing.TB, algorithm checksum.Algorithm, data []byte, cuts []int) (parts []checksum.Part) {
	cuts = append(slices.Sorted(slices.Values(cuts)), len(data))
	from := 0
	for _, to := range cuts {
		parts = append(parts, checksum.Part{Value: value(t, algorithm, data[from:to]), Size: int64(to - from)})
		from = to
	}
	return parts
}

func requireCombined(t *testing.T, data []byte, cuts []int) {
	t.Helper()
	for _, algorithm := range checksum.Algorithms() {
		parts := cut(t, algorithm, data, cuts)
		if algorithm.Combines(checksum.FullObject) {
			sum, err := checksum.Combine(algorithm, checksum.FullObject, slices.Values(parts))
			require.NoError(t, err)
			require.NoError(t, sum.Validate())
			require.Equal(t, hex.EncodeToString(value(t, algorithm, data)), hex.EncodeToString(sum.Value), "%v, cuts %v", algorithm, cuts)
		}
		if algorithm.Combines(checksum.Composite) {
			sum, err := checksum.Combine(algorithm, checksum.Composite, slices.Values(parts))
			require.NoError(t, err)
			require.NoError(t, sum.Validate())
			var values []byte
			for _, part := range parts {
				values = append(values, part.Value...)
			}
			require.Equal(t, value(t, algorithm, values), sum.Value, algorithm)
			require.Equal(t, len(parts), sum.Parts)
		}
	}
}

func TestCombineAtEveryPairOfCuts(t *testing.T) {
	data := []byte("a sherd is a fragment")
	for first := range len(data) + 1 {
		for second := first; second <= len(data); second++ {
			requireCombined(t, data, []int{first, second})
		}
	}
	requireCombined(t, nil, nil)
	requireCombined(t, nil, []int{0, 0, 0})
}

func TestCombineOfRandomPartsOfAllSizes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	for range 30 {
		cuts := make([]int, random.IntN(40))
		for i := range cuts {
			cuts[i] = random.IntN(1<<random.IntN(19)) % len(data)
		}
		requireCombined(t, data, cuts)
	}
}

func TestCombineOfTheMostParts(t *testing.T) {
	const size = 7
	data := bytes.Repeat([]byte("0123456"), checksum.MaxParts)
	cuts := make([]int, 0, checksum.MaxParts)
	for i := 1; i < checksum.MaxParts; i++ {
		cuts = append(cuts, i*size)
	}
	requireCombined(t, data, cuts)
}

// A run of zeros has no cheap hash of its own, but its checksum can be made by
// doubling; every way of cutting a huge one must then agree, up to 2^62 bytes.
func TestCombineOfHugeSizes(t *testing.T) {
	for _, algorithm := range checksum.Algorithms() {
		if !algorithm.Combines(checksum.FullObject) {
			continue
		}
		join := func(parts ...checksum.Part) checksum.Part {
			sum, err := checksum.Combine(algorithm, checksum.FullObject, slices.Values(parts))
			require.NoError(t, err)
			total := int64(0)
			for _, part := range parts {
				total += part.Size
			}
			return checksum.Part{Value: sum.Value, Size: total}
		}
		text := checksum.Part{Value: value(t, algorithm, []byte("text")), Size: 4}
		zeros := checksum.Part{Value: value(t, algorithm, []byte{0}), Size: 1}
		odd := zeros
		for range 62 {
			require.Equal(t, join(text, join(zeros, zeros)), join(join(text, zeros), zeros), "%v, %d", algorithm, zeros.Size)
			require.Equal(t, join(zeros, odd), join(odd, zeros), "%v, %d", algorithm, zeros.Size)
			zeros = join(zeros, zeros)
			odd = join(odd, checksum.Part{Value: value(t, algorithm, make([]byte, 3)), Size: 3})
			if zeros.Size == 1<<20 {
				require.Equal(t, value(t, algorithm, make([]byte, 1<<20)), zeros.Value)
			}
		}
	}
}

func TestCombineRefuses(t *testing.T) {
	part := func(algorithm checksum.Algorithm) checksum.Part {
		return checksum.Part{Value: make([]byte, algorithm.Size()), Size: 1}
	}
	crc := part(checksum.CRC32)
	for name, c := range map[string]struct {
		algorithm checksum.Algorithm
		kind      checksum.Type
		parts     []checksum.Part
		err       error
	}{
		"no algorithm":        {checksum.None, checksum.FullObject, []checksum.Part{{}}, checksum.ErrAlgorithm},
		"unknown algorithm":   {unknown, checksum.Composite, []checksum.Part{{}}, checksum.ErrAlgorithm},
		"no type":             {checksum.CRC32, 0, []checksum.Part{crc}, checksum.ErrType},
		"full SHA256":         {checksum.SHA256, checksum.FullObject, []checksum.Part{part(checksum.SHA256)}, checksum.ErrType},
		"composite CRC64NVME": {checksum.CRC64NVME, checksum.Composite, []checksum.Part{part(checksum.CRC64NVME)}, checksum.ErrType},
		"no parts":            {checksum.CRC32, checksum.FullObject, nil, checksum.ErrSum},
		"too many parts":      {checksum.CRC32, checksum.Composite, slices.Repeat([]checksum.Part{crc}, checksum.MaxParts+1), checksum.ErrSum},
		"size below zero":     {checksum.CRC32, checksum.FullObject, []checksum.Part{{Value: crc.Value, Size: -1}}, checksum.ErrSum},
		"value of another":    {checksum.CRC32, checksum.FullObject, []checksum.Part{part(checksum.CRC64NVME)}, checksum.ErrSum},
		"no value":            {checksum.CRC32, checksum.Composite, []checksum.Part{crc, {Size: 1}}, checksum.ErrSum},
	} {
		sum, err := checksum.Combine(c.algorithm, c.kind, slices.Values(c.parts))
		require.ErrorIs(t, err, c.err, name)
		require.Zero(t, sum, name)
	}
}

func FuzzCombine(f *testing.F) {
	f.Add([]byte("123456789"), uint16(4), uint16(4))
	f.Add([]byte{}, uint16(0), uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, first, second uint16) {
		requireCombined(t, data, []int{int(first) % (len(data) + 1), int(second) % (len(data) + 1)})
	})
}

func BenchmarkHash(b *testing.B) {
	for _, algorithm := range checksum.Algorithms() {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%v/%dKiB", algorithm, size>>10), func(b *testing.B) {
				data := make([]byte, size)
				h, err := algorithm.New()
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					h.Write(data)
				}
			})
		}
	}
}

func BenchmarkCombine(b *testing.B) {
	for _, algorithm := range checksum.Algorithms() {
		b.Run(fmt.Sprintf("%v/10000Parts", algorithm), func(b *testing.B) {
			parts := slices.Repeat([]checksum.Part{{Value: make([]byte, algorithm.Size()), Size: 8 << 20}}, checksum.MaxParts)
			parts[checksum.MaxParts-1].Size = 12_345
			b.ReportAllocs()
			for b.Loop() {
				if _, err := checksum.Combine(algorithm, algorithm.DefaultType(), slices.Values(parts)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("CRC64NVME/sizesAllDiffer", func(b *testing.B) {
		parts := make([]checksum.Part, checksum.MaxParts)
		for i := range parts {
			parts[i] = checksum.Part{Value: make([]byte, 8), Size: 5<<20 + int64(i)}
		}
		for b.Loop() {
			if _, err := checksum.Combine(checksum.CRC64NVME, checksum.FullObject, slices.Values(parts)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
