// Package wire holds the CBOR dialect of the drive format: deterministic
// encoding (RFC 8949 section 4.2.1), strings as byte strings, since they hold
// whatever clients sent, and decoding with limits: no duplicate keys, no
// indefinite lengths, no tags, at most 8 levels and 65,536 elements, nothing
// behind the first item.
//
// Everything here is safe for concurrent use.
package wire

import (
	"errors"
	"fmt"
	"maps"

	"github.com/fxamacker/cbor/v2"
)

// ErrUnknownKey tells a map with a key that the struct does not have.
var ErrUnknownKey = errors.New("a key that this version does not know")

// modes is built once, from constants, and never changes afterwards.
var modes = mustModes()

type codec struct {
	enc     cbor.EncMode
	strict  cbor.DecMode // a key that the struct does not have is an error
	lenient cbor.DecMode // it is skipped
}

func mustModes() codec {
	eo := cbor.CoreDetEncOptions()
	eo.String = cbor.StringToByteString
	eo.NilContainers = cbor.NilContainerAsEmpty
	enc, err := eo.EncMode()
	do := cbor.DecOptions{
		DupMapKey:          cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:    8,
		MaxArrayElements:   1 << 16,
		MaxMapPairs:        1 << 14,
		IndefLength:        cbor.IndefLengthForbidden,
		TagsMd:             cbor.TagsForbidden,
		ByteStringToString: cbor.ByteStringToStringAllowed,
		FieldNameMatching:  cbor.FieldNameMatchingCaseSensitive,
	}
	lenient, err2 := do.DecMode()
	do.ExtraReturnErrors = cbor.ExtraDecErrorUnknownField
	strict, err3 := do.DecMode()
	if err := errors.Join(err, err2, err3); err != nil {
		panic(err) // the options above are constants: a test sees this, nobody else
	}
	return codec{enc: enc, strict: strict, lenient: lenient}
}

// Marshal encodes v, the same bytes for the same value always.
func Marshal(v any) ([]byte, error) { return modes.enc.Marshal(v) }

// Append encodes a map of integer keys together with the pairs in unknown,
// behind dst. A key of unknown that v has too is an error.
func Append(dst []byte, v any, unknown map[uint64][]byte) ([]byte, error) {
	own, err := modes.enc.Marshal(v)
	if err != nil {
		return dst, err
	}
	if len(unknown) == 0 {
		return append(dst, own...), nil
	}
	all := map[uint64]cbor.RawMessage{}
	if err := modes.lenient.Unmarshal(own, &all); err != nil {
		return dst, err
	}
	for key, value := range unknown {
		if _, twice := all[key]; twice {
			return dst, fmt.Errorf("key %d stands among the unknown ones and is known", key)
		}
		if err := modes.lenient.Wellformed(value); err != nil {
			return dst, fmt.Errorf("unknown key %d: %w", key, err)
		}
		all[key] = value
	}
	whole, err := modes.enc.Marshal(all)
	if err != nil {
		return dst, err
	}
	return append(dst, whole...), nil
}

// Unmarshal decodes data into the struct v. ErrUnknownKey when the map has a
// key that v has not: such a value was written by a newer version.
func Unmarshal(data []byte, v any) error {
	err := modes.strict.Unmarshal(data, v)
	if _, ok := errors.AsType[*cbor.UnknownFieldError](err); ok {
		return fmt.Errorf("%w: %w", ErrUnknownKey, err)
	}
	return err
}

// UnmarshalKeeping decodes data into the struct v, whose integer keys are 1 to
// last, and gives back what stands under keys that it does not have. Unknown
// keys are possible in the outermost map alone: ErrUnknownKey otherwise.
func UnmarshalKeeping(data []byte, v any, last uint64) (unknown map[uint64][]byte, err error) {
	err = Unmarshal(data, v)
	if !errors.Is(err, ErrUnknownKey) {
		return nil, err
	}
	all := map[uint64]cbor.RawMessage{}
	if err := modes.lenient.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	unknown = map[uint64][]byte{}
	for key, value := range all {
		if key == 0 || key > last {
			unknown[key] = value
		}
	}
	if len(unknown) == 0 {
		return nil, err // the unknown key is further inside
	}
	maps.DeleteFunc(all, func(key uint64, _ cbor.RawMessage) bool { _, ok := unknown[key]; return ok })
	known, err := modes.enc.Marshal(all)
	if err != nil {
		return nil, err
	}
	return unknown, Unmarshal(known, v)
}

// Lenient decodes data into the struct v and passes over keys that it does not
// have.
func Lenient(data []byte, v any) error { return modes.lenient.Unmarshal(data, v) }
