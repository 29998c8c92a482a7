package pqfile

import (
	"encoding/binary"
	"math"

	"github.com/martsync/martsync"
)

// A batch collects rows. Its memory is reused.
type batch struct {
	columns []martsync.Column
	vectors []martsync.Vector
	nulls   [][]bool
	any     []bool // whether there is a null
	flags   [2][]bool
	set     [2]bool
	rows    int
	bytes   int
	r       martsync.Records
}

func (b *batch) init(columns []martsync.Column) {
	b.columns = columns
	b.vectors = make([]martsync.Vector, len(columns))
	b.nulls = make([][]bool, len(columns))
	b.any = make([]bool, len(columns))
	for i, c := range columns {
		b.vectors[i].Type = c.Type
	}
}

func (b *batch) full() bool { return b.rows >= martsync.MaxRows || b.bytes >= martsync.MaxBytes }

func (b *batch) reset() {
	for i := range b.vectors {
		v := &b.vectors[i]
		if cap(v.Data) > 2*martsync.MaxBytes {
			v.Data = nil
		}
		*v = martsync.Vector{
			Type: v.Type, Bools: v.Bools[:0], Ints: v.Ints[:0], Days: v.Days[:0], Floats: v.Floats[:0],
			Decimals: v.Decimals[:0], Offsets: v.Offsets[:0], Data: v.Data[:0],
		}
		if kindOf(b.columns[i]) == textKind {
			v.Offsets = append(v.Offsets, 0)
		}
		b.nulls[i], b.any[i] = b.nulls[i][:0], false
	}
	b.flags[0], b.flags[1] = b.flags[0][:0], b.flags[1][:0]
	b.set = [2]bool{}
	b.rows, b.bytes = 0, 0
}

func (b *batch) flag(i int, v bool) {
	b.flags[i] = append(b.flags[i], v)
	b.set[i] = b.set[i] || v
}

// append adds a value to column i. A null comes as the zero value, and leaves the zero of its
// type.
func (b *batch) append(i int, value *value) error {
	v := &b.vectors[i]
	b.nulls[i] = append(b.nulls[i], value.null)
	b.any[i] = b.any[i] || value.null
	b.bytes += 9
	switch v.Type {
	case martsync.Bool:
		v.Bools = append(v.Bools, value.word != 0)
	case martsync.Int64, martsync.Timestamp:
		v.Ints = append(v.Ints, int64(value.word))
	case martsync.Float64:
		v.Floats = append(v.Floats, math.Float64frombits(value.word))
	case martsync.Date:
		v.Days = append(v.Days, int32(value.word))
	case martsync.Decimal:
		b.bytes += 8
		d := martsync.Int128{Hi: int64(value.word) >> 63, Lo: value.word}
		if len(value.text) == wideBytes {
			d = martsync.Int128{Hi: int64(binary.BigEndian.Uint64(value.text)), Lo: binary.BigEndian.Uint64(value.text[8:])}
		}
		v.Decimals = append(v.Decimals, d)
	default:
		if len(v.Data)+len(value.text) > math.MaxInt32 {
			return damaged("a row is too large")
		}
		v.Data = append(v.Data, value.text...)
		b.bytes += len(value.text)
		v.Offsets = append(v.Offsets, int32(len(v.Data)))
	}
	return nil
}

func (b *batch) records() *martsync.Records {
	b.r = martsync.Records{Len: b.rows, Columns: b.vectors}
	for i := range b.vectors {
		if b.any[i] {
			b.vectors[i].Nulls = b.nulls[i]
		}
	}
	if b.set[0] {
		b.r.Tombstone = b.flags[0]
	}
	if b.set[1] {
		b.r.Deleted = b.flags[1]
	}
	return &b.r
}
