package martsync

// Records is a run of rows in columns, laid out in memory as Arrow lays its arrays out, with
// one difference: booleans take a byte, since every consumer wants them so.
//
// Only internal/columns fills records and only destinations read them. Whoever hands
// records over keeps their memory: the receiver copies what it needs before it returns.
type Records struct {
	Len     int      // rows, at most MaxRows
	Columns []Vector // parallel to Schema.Columns

	// Tombstone marks rows that only say that the record was deleted: their key and
	// version columns count, the others are not stored. Nil: none. Length Len otherwise.
	Tombstone []bool

	// Deleted marks rows that are whole records and carry the vendor's flag that they are
	// deleted. Nil: none. Length Len otherwise.
	Deleted []bool
}

// Bounds of one batch, whichever is reached first. They keep the memory of a sync flat.
const (
	MaxRows  = 10_000
	MaxBytes = 8 << 20
)

// A Vector is the values of one column. Which field holds them follows from Type; every
// used slice has one entry a row, nulls included (their entries are zero values).
type Vector struct {
	Type  Type
	Nulls []bool // Nulls[i]: row i is null; nil: no row is null

	Bools    []bool  // Bool
	Ints     []int64 // Int64; Timestamp in microseconds since the epoch, UTC
	Days     []int32 // Date in days since the epoch
	Floats   []float64
	Decimals []Int128 // Decimal, scaled by the column's Scale
	Offsets  []int32  // String, Binary, JSON: row i is Data[Offsets[i]:Offsets[i+1]]; one entry more than rows
	Data     []byte
}

// An Int128 is a signed 128-bit integer in two's complement.
type Int128 struct {
	Hi int64
	Lo uint64
}

// Null reports whether row i is null.
func (v *Vector) Null(i int) bool { return v.Nulls != nil && v.Nulls[i] }

// Bytes returns row i of a String, Binary or JSON vector. The slice is borrowed.
func (v *Vector) Bytes(i int) []byte { return v.Data[v.Offsets[i]:v.Offsets[i+1]] }

// Size estimates the memory that the rows take, in bytes.
func (r *Records) Size() int {
	n := len(r.Tombstone) + len(r.Deleted)
	for i := range r.Columns {
		v := &r.Columns[i]
		n += len(v.Nulls) + len(v.Bools) + 8*len(v.Ints) + 4*len(v.Days) + 8*len(v.Floats) +
			16*len(v.Decimals) + 4*len(v.Offsets) + len(v.Data)
	}
	return n
}
