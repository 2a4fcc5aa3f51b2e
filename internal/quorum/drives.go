package quorum

import (
	"iter"
	"math/bits"
)

// Drives is some drives of one set, by slot number from 0 to 15.
type Drives uint16

// One is the drive of one slot.
func One(slot int) Drives { return 1 << slot }

// Has tells whether the drive of a slot is among them.
func (d Drives) Has(slot int) bool { return d>>slot&1 == 1 }

// Count is how many they are.
func (d Drives) Count() int { return bits.OnesCount16(uint16(d)) }

// Contains tells whether all of the others are among them.
func (d Drives) Contains(others Drives) bool { return d&others == others }

// All gives their slots in ascending order.
func (d Drives) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for d != 0 {
			slot := bits.TrailingZeros16(uint16(d))
			if !yield(slot) {
				return
			}
			d &^= One(slot)
		}
	}
}

// First gives the lowest slot of drives that are not none.
func (d Drives) First() int { return bits.TrailingZeros16(uint16(d)) }
