// Package columns turns text and JSON into the typed columns of a batch, and typed values
// back into text.
//
// It decides what fits a column and what does not: a value is stored exactly or its whole
// row is refused with a reason, never rounded, cut or made null. What to do with refused
// rows (quarantine) and where one batch ends is left to the callers, as is the memory of
// what they hand in: builders copy.
package columns

import (
	"fmt"

	"github.com/martsync/martsync"
)

// A CellError says why a row was refused.
type CellError struct {
	Column string // the column it did not fit; "" if it is the row as a whole
	Reason string // for the operator
}

func (e *CellError) Error() string {
	if e.Column == "" {
		return e.Reason
	}
	return fmt.Sprintf("column %s: %s", e.Column, e.Reason)
}

// A Builder collects rows in columns until a batch is full. Its buffers are kept and
// reused, so that filling batch after batch allocates nothing. It is for one goroutine.
type Builder struct {
	columns []martsync.Column
	byName  map[string]int // members of JSON objects: vendor's name, else ours
	byKey   map[string]int // our names, for tombstones

	vectors   []martsync.Vector
	nulls     [][]bool // one entry a row; becomes Vector.Nulls if anyNull
	anyNull   []bool
	tombstone []bool // nil until the first tombstone; then one entry a row
	deleted   []bool

	rows     int
	bytes    int // what Records.Size would say, nulls always counted
	rowBytes int // of these, what each row costs whatever is in it
	replaced int64
	trusted  bool

	records martsync.Records
	raw     [][]byte // AppendJSON: the value of each column, nil for null
	next    int      // AppendJSON: the column that the next member probably belongs to
	member  func(key, value []byte) error
	scratch []byte
	valid   []byte // text with its invalid bytes replaced
}

// NewBuilder returns a builder for rows with these columns, which it keeps.
func NewBuilder(columns []martsync.Column) *Builder {
	b := &Builder{
		columns: columns,
		byName:  make(map[string]int, len(columns)),
		byKey:   make(map[string]int, len(columns)),
		vectors: make([]martsync.Vector, len(columns)),
		nulls:   make([][]bool, len(columns)),
		anyNull: make([]bool, len(columns)),
		raw:     make([][]byte, len(columns)),
	}
	for i, c := range columns {
		name := c.Origin
		if name == "" {
			name = c.Name
		}
		if _, taken := b.byName[name]; !taken {
			b.byName[name] = i
		}
		b.byKey[c.Name] = i
		b.vectors[i].Type = c.Type
		b.rowBytes += 1 + width(c.Type)
	}
	b.member = b.setMember
	b.Reset()
	return b
}

// width is what a value takes in its vector, without its null flag and variable part.
func width(t martsync.Type) int {
	switch t {
	case martsync.Bool:
		return 1
	case martsync.Int64, martsync.Timestamp, martsync.Float64:
		return 8
	case martsync.Decimal:
		return 16
	default: // days, or an offset
		return 4
	}
}

// Len is the number of rows since the last Reset.
func (b *Builder) Len() int { return b.rows }

// Full reports whether the batch has reached MaxRows or MaxBytes. A row is never divided, so
// the last one may have carried it past MaxBytes.
func (b *Builder) Full() bool { return b.rows >= martsync.MaxRows || b.bytes >= martsync.MaxBytes }

// Replaced counts the invalid pieces of UTF-8 that were replaced by U+FFFD since the builder
// was made, in rows that were kept and in rows that were not.
func (b *Builder) Replaced() int64 { return b.replaced }

// Trust tells whether text handed in from now on is known to be valid UTF-8, which spares
// the builder from looking.
func (b *Builder) Trust(validUTF8 bool) { b.trusted = validUTF8 }

// MarkDeleted flags the last row as a whole record that no longer exists at the source.
func (b *Builder) MarkDeleted() {
	b.deleted = flag(b.deleted, b.rows)
	b.deleted[b.rows-1] = true
}

// flag extends flags, which is nil while none is set, to n rows.
func flag(flags []bool, n int) []bool {
	if flags == nil {
		flags = make([]bool, 0, martsync.MaxRows)
	}
	for len(flags) < n {
		flags = append(flags, false)
	}
	return flags
}

// Records returns the rows since the last Reset. They are borrowed: valid until Reset, and
// rows appended later may or may not show.
func (b *Builder) Records() *martsync.Records {
	for i := range b.vectors {
		b.vectors[i].Nulls = nil
		if b.anyNull[i] {
			b.vectors[i].Nulls = b.nulls[i]
		}
	}
	b.records = martsync.Records{Len: b.rows, Columns: b.vectors}
	if len(b.tombstone) > 0 {
		b.tombstone = flag(b.tombstone, b.rows)
		b.records.Tombstone = b.tombstone
	}
	if len(b.deleted) > 0 {
		b.deleted = flag(b.deleted, b.rows)
		b.records.Deleted = b.deleted
	}
	return &b.records
}

// Reset drops the rows and keeps the buffers, unless an unusually large row blew them up.
func (b *Builder) Reset() {
	for i := range b.vectors {
		v := &b.vectors[i]
		b.truncate(i, 0)
		if cap(v.Data) > 2*martsync.MaxBytes {
			v.Data = nil
		}
		if v.Offsets == nil && variable(v.Type) {
			v.Offsets = make([]int32, 1, 64)
		}
		v.Nulls, b.anyNull[i] = nil, false
	}
	b.tombstone, b.deleted = b.tombstone[:0], b.deleted[:0]
	b.rows, b.bytes = 0, 0
}

func variable(t martsync.Type) bool {
	return t == martsync.String || t == martsync.Binary || t == martsync.JSON
}

// truncate cuts column i back to n rows.
func (b *Builder) truncate(i, n int) {
	v := &b.vectors[i]
	if len(b.nulls[i]) > n {
		b.nulls[i] = b.nulls[i][:n]
	}
	switch v.Type {
	case martsync.Bool:
		v.Bools = v.Bools[:min(n, len(v.Bools))]
	case martsync.Int64, martsync.Timestamp:
		v.Ints = v.Ints[:min(n, len(v.Ints))]
	case martsync.Date:
		v.Days = v.Days[:min(n, len(v.Days))]
	case martsync.Float64:
		v.Floats = v.Floats[:min(n, len(v.Floats))]
	case martsync.Decimal:
		v.Decimals = v.Decimals[:min(n, len(v.Decimals))]
	default:
		if len(v.Offsets) > n {
			v.Offsets = v.Offsets[:n+1]
			v.Data = v.Data[:v.Offsets[n]]
		}
	}
}

// finish counts a row whose columns are all there, or takes it back.
func (b *Builder) finish(err *CellError, size int) error {
	if err != nil {
		for i := range b.vectors {
			b.truncate(i, b.rows)
		}
		return err
	}
	b.rows++
	b.bytes += b.rowBytes + size
	return nil
}

// appendNull appends a null to column i.
func (b *Builder) appendNull(i int) {
	v := &b.vectors[i]
	b.nulls[i] = append(b.nulls[i], true)
	b.anyNull[i] = true
	switch v.Type {
	case martsync.Bool:
		v.Bools = append(v.Bools, false)
	case martsync.Int64, martsync.Timestamp:
		v.Ints = append(v.Ints, 0)
	case martsync.Date:
		v.Days = append(v.Days, 0)
	case martsync.Float64:
		v.Floats = append(v.Floats, 0)
	case martsync.Decimal:
		v.Decimals = append(v.Decimals, martsync.Int128{})
	default:
		v.Offsets = append(v.Offsets, int32(len(v.Data)))
	}
}
