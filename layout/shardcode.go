package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/zeebo/blake3"

	"github.com/sherd-storage/sherd/bitrot"
	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/layout/internal/wire"
)

// Sizes in a shard file, in bytes.
const (
	ShardHeaderBytes = 4096
	ShardFooterBytes = 44

	shardMagic  = "sherdSF1"
	footerMagic = "sherdEND"
	maxTrailer  = 4 << 10
	blockBytes  = bitrot.FrameBytes
)

type (
	wireHeader struct {
		Deployment []byte `cbor:"1,keyasint,omitempty"`
		Pool       uint32 `cbor:"2,keyasint,omitempty"`
		Set        uint32 `cbor:"3,keyasint,omitempty"`
		Bucket     uint64 `cbor:"4,keyasint,omitempty"`
		Key        string `cbor:"5,keyasint,omitempty"`
		Data       []byte `cbor:"6,keyasint,omitempty"`
		Upload     []byte `cbor:"7,keyasint,omitempty"`
		Part       uint32 `cbor:"8,keyasint,omitempty"`
		Shard      uint8  `cbor:"9,keyasint,omitempty"`
		DataShards uint8  `cbor:"10,keyasint,omitempty"`
		Parity     uint8  `cbor:"11,keyasint,omitempty"`
		Block      uint32 `cbor:"12,keyasint,omitempty"`
	}
	wireTrailer struct {
		Size      int64          `cbor:"1,keyasint,omitempty"`
		Payload   int64          `cbor:"2,keyasint,omitempty"`
		Checksums []wireChecksum `cbor:"3,keyasint,omitempty"`
	}
)

// EncodeShardHeader gives the first 4,096 bytes of a shard file.
func EncodeShardHeader(h *ShardHeader) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	id, upload := h.Data.Bytes(), h.Upload.Bytes()
	w := wireHeader{
		Deployment: h.Deployment[:], Pool: uint32(h.Pool), Set: uint32(h.Set), Bucket: uint64(h.Bucket), Key: h.Key,
		Data: id[:], Part: h.Part, Shard: uint8(h.Shard), DataShards: uint8(h.DataShards), Parity: uint8(h.Parity), Block: blockBytes,
	}
	if !h.Upload.IsZero() {
		w.Upload = upload[:]
	}
	content, err := wire.Marshal(&w)
	if err != nil {
		return nil, err
	}
	if len(content) > ShardHeaderBytes-len(shardMagic)-2-32 {
		return nil, fmt.Errorf("%w: a shard header of %d bytes", ErrBadRecord, len(content))
	}
	b := make([]byte, ShardHeaderBytes)
	n := copy(b, shardMagic)
	binary.BigEndian.PutUint16(b[n:], uint16(len(content)))
	copy(b[n+2:], content)
	sum := blake3.Sum256(b[:ShardHeaderBytes-32])
	copy(b[ShardHeaderBytes-32:], sum[:])
	return b, nil
}

// DecodeShardHeader is the inverse of EncodeShardHeader: ErrDamaged for
// anything that is no header, ErrNewerFormat for one that is whole and of a
// kind that is not known.
func DecodeShardHeader(b []byte) (ShardHeader, error) {
	var h ShardHeader
	if len(b) != ShardHeaderBytes {
		return h, fmt.Errorf("%w: a shard header of %d bytes", ErrDamaged, len(b))
	}
	if sum := blake3.Sum256(b[:ShardHeaderBytes-32]); !bytes.Equal(sum[:], b[ShardHeaderBytes-32:]) {
		return h, fmt.Errorf("%w: the sum of the shard header does not match", ErrDamaged)
	}
	if magic := string(b[:len(shardMagic)]); magic != shardMagic {
		return h, fmt.Errorf("%w: a shard file that begins with %q", ErrNewerFormat, magic)
	}
	n := int(binary.BigEndian.Uint16(b[len(shardMagic):]))
	content := b[len(shardMagic)+2 : ShardHeaderBytes-32]
	if n > len(content) {
		return h, fmt.Errorf("%w: a shard header beyond its end", ErrDamaged)
	}
	var w wireHeader
	if err := wire.Lenient(content[:n], &w); err != nil {
		return h, fmt.Errorf("%w: shard header: %w", ErrDamaged, err)
	}
	if len(w.Deployment) != len(h.Deployment) || len(w.Data) != DataIDBytes || len(w.Upload) != 0 && len(w.Upload) != UploadIDBytes {
		return h, fmt.Errorf("%w: a shard header with an id of the wrong length", ErrDamaged)
	}
	if w.Block != blockBytes {
		return h, fmt.Errorf("%w: blocks of %d bytes", ErrNewerFormat, w.Block)
	}
	h = ShardHeader{
		Deployment: DeploymentID(w.Deployment), Pool: int(w.Pool), Set: int(w.Set), Bucket: BucketID(w.Bucket), Key: w.Key,
		Data: DataIDFrom([DataIDBytes]byte(w.Data)), Part: w.Part, Shard: int(w.Shard), DataShards: int(w.DataShards), Parity: int(w.Parity),
	}
	if len(w.Upload) != 0 {
		h.Upload = UploadIDFrom([UploadIDBytes]byte(w.Upload))
	}
	if err := h.check(); err != nil {
		return h, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return h, nil
}

func (h *ShardHeader) check() error {
	n := h.DataShards + h.Parity
	if h.Data.IsZero() || h.DataShards < 1 || h.Parity < 0 || n > MaxDrives || h.Shard < 0 || h.Shard >= n || h.Pool < 0 || h.Set < 0 {
		return fmt.Errorf("%w: shard %d of %d+%d", ErrBadRecord, h.Shard, h.DataShards, h.Parity)
	}
	return nil
}

// EncodeTrailer gives what follows the frames of a shard: trailer and footer.
func EncodeTrailer(t *Trailer, data DataID, shard int) ([]byte, error) {
	w := wireTrailer{Size: t.Size, Payload: t.Payload}
	for _, c := range t.Checksums {
		w.Checksums = append(w.Checksums, wireChecksum{Algorithm: c.Algorithm, Type: c.Type, Parts: c.Parts, Value: c.Value})
	}
	content, err := wire.Marshal(&w)
	if err != nil {
		return nil, err
	}
	if len(content) > maxTrailer || t.Size < 0 || t.Payload < 0 {
		return nil, fmt.Errorf("%w: a trailer of %d bytes", ErrBadRecord, len(content))
	}
	sum := footerSum(data, shard, content)
	b := binary.BigEndian.AppendUint32(content, uint32(len(content)))
	return append(append(b, sum[:]...), footerMagic...), nil
}

func footerSum(data DataID, shard int, content []byte) [32]byte {
	id := data.Bytes()
	return blake3.Sum256(append(append(id[:], byte(shard)), content...))
}

// DecodeTrailer reads the end of a shard file, of which b holds the last bytes:
// at most 4,140 are needed. It also gives how many bytes trailer and footer
// take together. ErrDamaged for anything that is no trailer.
func DecodeTrailer(b []byte, data DataID, shard int) (t Trailer, n int, err error) {
	at := len(b) - ShardFooterBytes
	if at < 0 || string(b[len(b)-8:]) != footerMagic {
		return t, 0, fmt.Errorf("%w: a shard file without its end", ErrDamaged)
	}
	size := int(binary.BigEndian.Uint32(b[at:]))
	if size > maxTrailer || size > at {
		return t, 0, fmt.Errorf("%w: a trailer of %d bytes", ErrDamaged, size)
	}
	content := b[at-size : at]
	if sum := footerSum(data, shard, content); !bytes.Equal(sum[:], b[at+4:at+36]) {
		return t, 0, fmt.Errorf("%w: the sum of the trailer does not match", ErrDamaged)
	}
	var w wireTrailer
	if err := wire.Lenient(content, &w); err != nil {
		return t, 0, fmt.Errorf("%w: trailer: %w", ErrDamaged, err)
	}
	if w.Size < 0 || w.Payload < 0 {
		return t, 0, fmt.Errorf("%w: a trailer with a negative size", ErrDamaged)
	}
	return Trailer{Size: w.Size, Payload: w.Payload, Checksums: checksums(w.Checksums)}, size + ShardFooterBytes, nil
}

// shardFile reads a shard file.
type shardFile struct {
	vfs.File
	header ShardHeader
}

// ReadAt implements ShardFile: from the first frame on.
func (f *shardFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%w: offset %d", ErrDamaged, off)
	}
	return f.File.ReadAt(p, off+ShardHeaderBytes)
}

// Header implements ShardFile.
func (f *shardFile) Header() ShardHeader { return f.header }
