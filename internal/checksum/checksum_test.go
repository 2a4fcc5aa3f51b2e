// Goal: values as published, texts that come back as they were, and closed sets.
// Method: check values from the catalogues, tables of what is refused, and a fuzz
// target for the one parser.
package checksum_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/internal/checksum"
)

const unknown = checksum.Algorithm(11)

func TestPublishedValues(t *testing.T) {
	for algorithm, values := range map[checksum.Algorithm][2]string{ // of nothing, and of "123456789"
		checksum.CRC32:     {"00000000", "cbf43926"},
		checksum.CRC32C:    {"00000000", "e3069283"},
		checksum.CRC64NVME: {"0000000000000000", "ae8b14860a799888"},
		checksum.SHA1:      {"da39a3ee5e6b4b0d3255bfef95601890afd80709", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"},
		checksum.SHA256: {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"},
		checksum.SHA512: {"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
			"d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85"},
		checksum.MD5:       {"d41d8cd98f00b204e9800998ecf8427e", "25f9e794323b453885f5181f1b624d0b"},
		checksum.XXHASH64:  {"ef46db3751d8e999", "8cb841db40e6ae83"},
		checksum.XXHASH3:   {"2d06800538d394c2", "72dcb18b67a17dff"},
		checksum.XXHASH128: {"99aa06d3014798d86001c324468d497f", "33119477ede5dcd5e9716427681d5860"},
	} {
		h, err := algorithm.New()
		require.NoError(t, err)
		require.Equal(t, algorithm.Size(), h.Size(), algorithm)
		require.Equal(t, values[0], hex.EncodeToString(h.Sum(nil)), algorithm)
		_, err = h.Write([]byte("123456789"))
		require.NoError(t, err)
		require.Equal(t, values[1], hex.EncodeToString(h.Sum(nil)), algorithm)
	}
}

func TestAlgorithmsAreAClosedSetWithStableNumbers(t *testing.T) {
	names := []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"}
	require.Len(t, checksum.Algorithms(), len(names))
	for i, algorithm := range checksum.Algorithms() {
		require.EqualValues(t, i+1, algorithm, "the numbers are stored")
		require.Equal(t, names[i], algorithm.String())
		parsed, err := checksum.ParseAlgorithm(names[i])
		require.NoError(t, err)
		require.Equal(t, algorithm, parsed)
		require.NoError(t, algorithm.Validate())
	}
	for _, name := range []string{"", "crc32", "CRC32 ", "SHA384", "XXH3", "Algorithm(1)"} {
		_, err := checksum.ParseAlgorithm(name)
		require.ErrorIs(t, err, checksum.ErrAlgorithm, "%q", name)
	}
	require.Empty(t, checksum.None.String())
	require.Equal(t, "Algorithm(11)", unknown.String())
	for _, algorithm := range []checksum.Algorithm{checksum.None, unknown, 255} {
		require.ErrorIs(t, algorithm.Validate(), checksum.ErrAlgorithm)
		require.Zero(t, algorithm.Size())
		require.Zero(t, algorithm.DefaultType())
		require.False(t, algorithm.Combines(checksum.FullObject) || algorithm.Combines(checksum.Composite))
		h, err := algorithm.New()
		require.ErrorIs(t, err, checksum.ErrAlgorithm)
		require.Nil(t, h)
	}
}

func TestTypes(t *testing.T) {
	for number, name := range map[checksum.Type]string{1: "FULL_OBJECT", 2: "COMPOSITE"} {
		require.Equal(t, name, number.String())
		parsed, err := checksum.ParseType(name)
		require.NoError(t, err)
		require.Equal(t, number, parsed)
	}
	for _, name := range []string{"", "full_object", "Type(1)"} {
		_, err := checksum.ParseType(name)
		require.ErrorIs(t, err, checksum.ErrType, "%q", name)
	}
	require.Equal(t, "Type(0)", checksum.Type(0).String())

	for _, c := range []struct {
		algorithm       checksum.Algorithm
		full, composite bool
		byDefault       checksum.Type
	}{
		{checksum.CRC32, true, true, checksum.Composite},
		{checksum.CRC32C, true, true, checksum.Composite},
		{checksum.CRC64NVME, true, false, checksum.FullObject},
		{checksum.SHA1, false, true, checksum.Composite},
		{checksum.SHA256, false, true, checksum.Composite},
		{checksum.SHA512, false, true, checksum.Composite},
		{checksum.MD5, false, true, checksum.Composite},
		{checksum.XXHASH64, false, true, checksum.Composite},
		{checksum.XXHASH3, false, true, checksum.Composite},
		{checksum.XXHASH128, false, true, checksum.Composite},
	} {
		require.Equal(t, c.full, c.algorithm.Combines(checksum.FullObject), c.algorithm)
		require.Equal(t, c.composite, c.algorithm.Combines(checksum.Composite), c.algorithm)
		require.False(t, c.algorithm.Combines(0), c.algorithm)
		require.Equal(t, c.byDefault, c.algorithm.DefaultType(), c.algorithm)
	}
}

func TestSumText(t *testing.T) {
	for _, c := range []struct {
		algorithm checksum.Algorithm
		text      string
		kind      checksum.Type
		parts     int
	}{
		{checksum.CRC32, "y/Q5Jg==", checksum.FullObject, 0},
		{checksum.CRC32C, "4waSgw==", checksum.FullObject, 0},
		{checksum.CRC64NVME, "rosUhgp5mIg=", checksum.FullObject, 0},
		{checksum.SHA1, "98O8HYCOBHMq32eZZczDTKeuNEE=", checksum.FullObject, 0},
		{checksum.CRC32, "y/Q5Jg==-1", checksum.Composite, 1},
		{checksum.XXHASH128, "MxGUd+3l3NXpcWQnaB1YYA==", checksum.FullObject, 0},
		{checksum.MD5, "JfnnlDI7RTiF9RgfG2JNCw==-2", checksum.Composite, 2},
		{checksum.SHA256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=-10000", checksum.Composite, 10_000},
	} {
		sum, err := checksum.ParseSum(c.algorithm, c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.kind, sum.Type)
		require.Equal(t, c.parts, sum.Parts)
		require.Equal(t, c.algorithm, sum.Algorithm)
		require.Equal(t, c.text, sum.String())
	}
	require.Empty(t, checksum.Sum{}.String())
}

func TestSumTextThatIsRefused(t *testing.T) {
	for _, c := range []struct {
		algorithm checksum.Algorithm
		text      string
		err       error
	}{
		{checksum.None, "", checksum.ErrAlgorithm},
		{unknown, "y/Q5Jg==", checksum.ErrAlgorithm},
		{checksum.CRC32, "", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jh==", checksum.ErrSum}, // bits set that mean nothing
		{checksum.CRC32, "y_Q5Jg==", checksum.ErrSum},
		{checksum.CRC32, "y/Q5\n==", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==\n", checksum.ErrSum},
		{checksum.CRC32, "rosUhgp5mIg=", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==-", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==-0", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==--1", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==-01", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==-+1", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==-1-1", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==-10001", checksum.ErrSum},
		{checksum.CRC32, "y/Q5Jg==-99999999999999999999", checksum.ErrSum},
		{checksum.CRC64NVME, "rosUhgp5mIg=-2", checksum.ErrType},
		{checksum.SHA256, strings.Repeat("A", 1<<20), checksum.ErrSum},
	} {
		sum, err := checksum.ParseSum(c.algorithm, c.text)
		require.ErrorIs(t, err, c.err, "%.40q", c.text)
		require.Zero(t, sum)
	}
}

func TestValidate(t *testing.T) {
	four := []byte{1, 2, 3, 4}
	for name, c := range map[string]struct {
		sum checksum.Sum
		err error
	}{
		"full":            {checksum.Sum{Algorithm: checksum.CRC32, Type: checksum.FullObject, Value: four}, nil},
		"composite":       {checksum.Sum{Algorithm: checksum.CRC32, Type: checksum.Composite, Parts: 2, Value: four}, nil},
		"zero":            {checksum.Sum{}, checksum.ErrAlgorithm},
		"no type":         {checksum.Sum{Algorithm: checksum.CRC32, Value: four}, checksum.ErrType},
		"unknown type":    {checksum.Sum{Algorithm: checksum.CRC32, Type: 3, Value: four}, checksum.ErrType},
		"full with parts": {checksum.Sum{Algorithm: checksum.CRC32, Type: checksum.FullObject, Parts: 2, Value: four}, checksum.ErrSum},
		"no parts":        {checksum.Sum{Algorithm: checksum.CRC32, Type: checksum.Composite, Value: four}, checksum.ErrSum},
		"short":           {checksum.Sum{Algorithm: checksum.CRC32, Type: checksum.FullObject, Value: four[:3]}, checksum.ErrSum},
	} {
		require.ErrorIs(t, c.sum.Validate(), c.err, name)
	}
}

func TestEqual(t *testing.T) {
	sum := func() checksum.Sum {
		return checksum.Sum{Algorithm: checksum.CRC32, Type: checksum.Composite, Parts: 2, Value: []byte{1, 2, 3, 4}}
	}
	require.True(t, sum().Equal(sum()))
	for i, change := range []func(*checksum.Sum){
		func(s *checksum.Sum) { s.Algorithm = checksum.CRC32C },
		func(s *checksum.Sum) { s.Type = checksum.FullObject },
		func(s *checksum.Sum) { s.Parts = 3 },
		func(s *checksum.Sum) { s.Value[3] = 5 },
	} {
		other := sum()
		change(&other)
		require.False(t, sum().Equal(other), i)
	}
}

func FuzzParseSum(f *testing.F) {
	f.Add(uint8(1), "y/Q5Jg==")
	f.Add(uint8(5), "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=-17")
	f.Fuzz(func(t *testing.T, algorithm uint8, text string) {
		sum, err := checksum.ParseSum(checksum.Algorithm(algorithm), text)
		if err != nil {
			require.Zero(t, sum)
			return
		}
		require.NoError(t, sum.Validate())
		require.Equal(t, text, sum.String())
	})
}
