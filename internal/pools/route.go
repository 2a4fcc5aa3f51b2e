package pools

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/layout"
)

// maxSetDrives is the most drives of a set.
const maxSetDrives = layout.MaxDrives

// ErrShape: the number of drives makes no sets.
var ErrShape = errors.New("these drives make no sets of equal size")

// shape of a pool.
type shape struct {
	Sets   int `json:"sets"`
	Drives int `json:"drives"` // of each set
}

// Divide says how a number of drives makes sets of equal size: of wanted drives,
// or, where that is 0, of as many as divide them, at most 16.
func Divide(drives, wanted int) (sets, each int, err error) {
	switch {
	case drives < 1:
		return 0, 0, fmt.Errorf("%w: a pool has at least one drive", ErrShape)
	case wanted < 0 || wanted > maxSetDrives:
		return 0, 0, fmt.Errorf("%w: a set has 1 to %d drives, not %d", ErrShape, maxSetDrives, wanted)
	case wanted > 0 && drives%wanted != 0:
		below := drives - drives%wanted
		return 0, 0, fmt.Errorf("%w: %d drives do not make sets of %d: %d or %d would", ErrShape, drives, wanted, below, below+wanted)
	case wanted > 0:
		return drives / wanted, wanted, nil
	}
	each = largestDivisor(drives)
	if each == 1 && drives > maxSetDrives {
		return 0, 0, fmt.Errorf("%w: %d drives can not be divided into sets of equal size of 2 to %d drives: %d or %d can, into sets of %d or %d",
			ErrShape, drives, maxSetDrives, drives-1, drives+1, largestDivisor(drives-1), largestDivisor(drives+1))
	}
	return drives / each, each, nil
}

func largestDivisor(drives int) int {
	for each := min(drives, maxSetDrives); ; each-- {
		if drives%each == 0 {
			return each
		}
	}
}

// hashKey is the deployment id as SipHash takes it.
type hashKey struct{ k0, k1 uint64 }

func newHashKey(id layout.DeploymentID) hashKey {
	return hashKey{binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint64(id[8:])}
}

// sum is SipHash-2-4 over the bucket's id in 8 bytes, big-endian, and the key.
func (h hashKey) sum(b layout.BucketID, key string) uint64 {
	v := sip{h.k0 ^ 0x736f6d6570736575, h.k1 ^ 0x646f72616e646f6d, h.k0 ^ 0x6c7967656e657261, h.k1 ^ 0x7465646279746573}
	v.block(bits.ReverseBytes64(uint64(b)))
	last := uint64(8+len(key)) << 56
	for ; len(key) >= 8; key = key[8:] {
		v.block(uint64(key[0]) | uint64(key[1])<<8 | uint64(key[2])<<16 | uint64(key[3])<<24 |
			uint64(key[4])<<32 | uint64(key[5])<<40 | uint64(key[6])<<48 | uint64(key[7])<<56)
	}
	for i := range len(key) {
		last |= uint64(key[i]) << (8 * i)
	}
	v.block(last)
	v[2] ^= 0xff
	for range 4 {
		v.round()
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

// sip is the state of SipHash.
type sip [4]uint64

func (v *sip) block(m uint64) {
	v[3] ^= m
	v.round()
	v.round()
	v[0] ^= m
}

func (v *sip) round() {
	v[0] += v[1]
	v[2] += v[3]
	v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
	v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
	v[0] = bits.RotateLeft64(v[0], 32)
	v[2] += v[1]
	v[0] += v[3]
	v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
	v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
	v[2] = bits.RotateLeft64(v[2], 32)
}

// seen is a place, and the drive that was found there.
type seen struct {
	driveset.Place
	id    layout.Identity
	known bool  // id is
	blank bool  // a drive can be made there
	err   error // why nothing is known
}

// plan is which places make which set of a pool.
type plan struct {
	shape
	pool       int // −1: the drives do not say
	deployment layout.DeploymentID
	sets       [][]seen
}

// arrange finds what the places of one pool are to each other. Drives say of
// which set they are; a place without one is of the set that its number in the
// list gives, or else of one that lacks a drive. wanted is the pool's shape where
// that is known already.
func arrange(list []seen, setDrives int, wanted *shape) (plan, error) {
	p := plan{pool: -1}
	last := -1
	for _, s := range list {
		if !s.known {
			continue
		}
		switch {
		case p.pool < 0:
			p.pool, p.deployment, p.Drives = s.id.Pool, s.id.Deployment, s.id.Drives
		case s.id.Deployment != p.deployment:
			return p, fmt.Errorf("%w: %s is of deployment %s, others of %s", driveset.ErrMixed, s.Path, s.id.Deployment, p.deployment)
		case s.id.Pool != p.pool:
			return p, fmt.Errorf("%w: %s is of pool %d, others of pool %d", driveset.ErrMixed, s.Path, s.id.Pool, p.pool)
		case s.id.Drives != p.Drives:
			return p, fmt.Errorf("%w: %s is of a set of %d drives, others of %d", driveset.ErrMixed, s.Path, s.id.Drives, p.Drives)
		}
		last = max(last, s.id.Set)
	}
	if err := p.size(len(list), last, setDrives, wanted); err != nil {
		return p, err
	}
	p.sets = make([][]seen, p.Sets)
	return p, p.fill(list)
}

// size finds how many sets there are, and how large.
func (p *plan) size(places, last, setDrives int, wanted *shape) (err error) {
	switch {
	case wanted != nil:
		if p.Drives != 0 && p.Drives != wanted.Drives || last >= wanted.Sets {
			return fmt.Errorf("%w: %d places of sets of %d drives, and the pool has %d sets of %d", driveset.ErrMixed, places, p.Drives, wanted.Sets, wanted.Drives)
		}
		p.shape = *wanted
	case p.Drives == 0:
		p.Sets, p.Drives, err = Divide(places, setDrives)
	default:
		p.Sets = max((places+p.Drives-1)/p.Drives, last+1)
	}
	return err
}

// fill deals the places out.
func (p *plan) fill(list []seen) error {
	for _, s := range list {
		if s.known {
			p.sets[s.id.Set] = append(p.sets[s.id.Set], s)
		}
	}
	for i, s := range list {
		if s.known {
			continue
		}
		set := i / p.Drives
		if set >= p.Sets || len(p.sets[set]) >= p.Drives {
			set = 0
			for set < p.Sets && len(p.sets[set]) >= p.Drives {
				set++
			}
		}
		if set == p.Sets {
			return fmt.Errorf("%w: %d places were given for %d sets of %d drives", driveset.ErrMixed, len(list), p.Sets, p.Drives)
		}
		p.sets[set] = append(p.sets[set], s)
	}
	for i, set := range p.sets {
		if len(set) > p.Drives {
			return fmt.Errorf("%w: %d drives of set %d were given, and it has %d", driveset.ErrMixed, len(set), i, p.Drives)
		}
	}
	return nil
}
