package pipeline

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"

	"github.com/martsync/martsync"
)

// A digest tells whether a snapshot is the one that was committed last. It covers the
// columns, the rows in their order and the rows in quarantine in theirs, so equal digests mean
// equal tables; snapshots that differ in order alone are committed again. How the rows were cut
// into batches does not count: who reads them again from what was sent may cut them otherwise.
type digest struct {
	hash        hash.Hash
	quarantined hash.Hash
	buf         []byte
}

func newDigest(s *martsync.Schema) *digest {
	d := &digest{hash: sha256.New(), quarantined: sha256.New()}
	for _, c := range s.Columns {
		d.text(c.Name)
		d.text(c.TypeName())
	}
	for _, k := range s.Key {
		d.text(k)
	}
	d.flush()
	return d
}

// text appends a length and the bytes, so that no two sequences of texts read alike.
func (d *digest) text(s string) {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(s)))
	d.buf = append(d.buf, s...)
}

func (d *digest) flush() {
	_, _ = d.hash.Write(d.buf)
	d.buf = d.buf[:0]
}

func (d *digest) add(b *martsync.Batch) {
	if r := b.Records; r != nil {
		for i := range r.Len {
			d.row(r, i)
		}
	}
	for i := range b.Quarantined {
		d.text(b.Quarantined[i].Column)
		d.text(b.Quarantined[i].Raw)
		_, _ = d.quarantined.Write(d.buf)
		d.buf = d.buf[:0]
	}
}

func (d *digest) row(r *martsync.Records, i int) {
	d.buf = append(d.buf, flagByte(r.Tombstone, i), flagByte(r.Deleted, i))
	for c := range r.Columns {
		v := &r.Columns[c]
		if v.Null(i) {
			d.buf = append(d.buf, 0)
			continue
		}
		d.buf = append(d.buf, 1)
		switch v.Type {
		case martsync.Bool:
			d.buf = append(d.buf, flagByte(v.Bools, i))
		case martsync.Int64, martsync.Timestamp:
			d.buf = binary.LittleEndian.AppendUint64(d.buf, uint64(v.Ints[i])) //nolint:gosec // the same bits
		case martsync.Date:
			d.buf = binary.LittleEndian.AppendUint32(d.buf, uint32(v.Days[i])) //nolint:gosec // the same bits
		case martsync.Float64:
			d.buf = binary.LittleEndian.AppendUint64(d.buf, math.Float64bits(v.Floats[i]))
		case martsync.Decimal:
			d.buf = binary.LittleEndian.AppendUint64(d.buf, uint64(v.Decimals[i].Hi)) //nolint:gosec // the same bits
			d.buf = binary.LittleEndian.AppendUint64(d.buf, v.Decimals[i].Lo)
		default:
			b := v.Bytes(i)
			d.buf = binary.AppendUvarint(d.buf, uint64(len(b)))
			d.buf = append(d.buf, b...)
		}
	}
	d.flush()
}

func flagByte(flags []bool, i int) byte {
	if flags != nil && flags[i] {
		return 1
	}
	return 0
}

func (d *digest) String() string {
	sum := sha256.Sum256(d.quarantined.Sum(d.hash.Sum(nil)))
	return hex.EncodeToString(sum[:])
}
