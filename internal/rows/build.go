package rows

import (
	"fmt"

	"github.com/martsync/martsync"
)

// A Builder collects rows into records.
type Builder struct {
	columns []martsync.Column
	r       martsync.Records
}

// NewBuilder returns an empty builder of rows with these columns.
func NewBuilder(columns []martsync.Column) *Builder {
	b := &Builder{columns: columns}
	b.Reset()
	return b
}

// Reset starts over with new memory; records handed out before stay as they are.
func (b *Builder) Reset() {
	b.r = martsync.Records{Columns: make([]martsync.Vector, len(b.columns))}
	for i, c := range b.columns {
		b.r.Columns[i].Type = c.Type
		if c.Type == martsync.String || c.Type == martsync.Binary || c.Type == martsync.JSON {
			b.r.Columns[i].Offsets = []int32{0}
		}
	}
}

// Len is the number of rows collected.
func (b *Builder) Len() int { return b.r.Len }

// Append adds a row. A cell of a type that does not fit its column panics: the rows come
// from tests.
func (b *Builder) Append(cells ...any) { b.append(cells, false, false) }

// AppendTombstone adds a row that says that a record was deleted.
func (b *Builder) AppendTombstone(cells ...any) { b.append(cells, true, false) }

// AppendDeleted adds a whole record that carries the vendor's flag that it is deleted.
func (b *Builder) AppendDeleted(cells ...any) { b.append(cells, false, true) }

func (b *Builder) append(cells []any, tombstone, deleted bool) {
	if len(cells) != len(b.columns) {
		panic(fmt.Sprintf("%d cells for %d columns", len(cells), len(b.columns)))
	}
	for i, cell := range cells {
		appendCell(&b.r.Columns[i], b.columns[i], cell, b.r.Len)
	}
	flag(&b.r.Tombstone, b.r.Len, tombstone)
	flag(&b.r.Deleted, b.r.Len, deleted)
	b.r.Len++
}

// flag keeps a slice of flags nil until the first one is set.
func flag(flags *[]bool, row int, v bool) {
	if *flags == nil && !v {
		return
	}
	for len(*flags) < row {
		*flags = append(*flags, false)
	}
	*flags = append(*flags, v)
}

func appendCell(v *martsync.Vector, c martsync.Column, cell any, row int) {
	flag(&v.Nulls, row, cell == nil)
	switch c.Type {
	case martsync.Bool:
		v.Bools = append(v.Bools, or[bool](cell))
	case martsync.Int64:
		v.Ints = append(v.Ints, or[int64](cell))
	case martsync.Timestamp:
		v.Ints = append(v.Ints, int64(or[Micros](cell)))
	case martsync.Date:
		v.Days = append(v.Days, int32(or[Date](cell)))
	case martsync.Float64:
		v.Floats = append(v.Floats, or[float64](cell))
	case martsync.Decimal:
		v.Decimals = append(v.Decimals, or[Decimal](cell).Int)
	case martsync.Binary:
		v.Data = append(v.Data, or[Bytes](cell)...)
		v.Offsets = append(v.Offsets, int32(len(v.Data))) //nolint:gosec // bounded by MaxBytes
	case martsync.JSON:
		v.Data = append(v.Data, or[JSON](cell)...)
		v.Offsets = append(v.Offsets, int32(len(v.Data))) //nolint:gosec // bounded by MaxBytes
	default:
		v.Data = append(v.Data, or[string](cell)...)
		v.Offsets = append(v.Offsets, int32(len(v.Data))) //nolint:gosec // bounded by MaxBytes
	}
}

// or returns the cell as a T, or T's zero value for null.
func or[T any](cell any) (zero T) {
	if cell == nil {
		return zero
	}
	v, ok := cell.(T)
	if !ok {
		panic(fmt.Sprintf("cell %v is a %T, want a %T", cell, cell, zero))
	}
	return v
}

// Records returns what was collected. It is shared with the builder until Reset.
func (b *Builder) Records() *martsync.Records { return &b.r }
