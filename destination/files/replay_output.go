package files

import (
	"github.com/martsync/martsync"
)

// An output collects rows of the resolver into records and hands these on.
type output struct {
	columns []martsync.Column
	emit    func(*martsync.Records) error
	rec     martsync.Records
	nulls   [][]bool
	deleted []bool
	any     []bool // which columns have a null
	anyDel  bool
	size    int
	cells   []byte
}

func newOutput(columns []martsync.Column, emit func(*martsync.Records) error) *output {
	o := &output{columns: columns, emit: emit, nulls: make([][]bool, len(columns)), any: make([]bool, len(columns))}
	o.rec.Columns = make([]martsync.Vector, len(columns))
	o.reset()
	return o
}

// pass hands records on as they are.
func (o *output) pass(rec *martsync.Records) error {
	if rec.Len == 0 {
		return nil
	}
	if err := o.flush(); err != nil {
		return err
	}
	return o.emit(rec)
}

// append adds row i of records of a file.
func (o *output) append(m *rowMapping, rec *martsync.Records, i int) (err error) {
	tombstone := rec.Tombstone != nil && rec.Tombstone[i]
	if o.cells, _, err = m.appendRow(o.cells[:0], rec, i, tombstone); err != nil {
		return err
	}
	return o.appendRow(o.cells, tombstone || rec.Deleted != nil && rec.Deleted[i])
}

// appendRow adds a row of the table.
func (o *output) appendRow(row []byte, deleted bool) error {
	for i := range o.columns {
		var value []byte
		_, value, _, row = nextCell(row)
		o.appendValue(i, value)
	}
	o.deleted = append(o.deleted, deleted)
	o.anyDel = o.anyDel || deleted
	o.rec.Len++
	if o.rec.Len == martsync.MaxRows || o.size >= martsync.MaxBytes/2 {
		return o.flush()
	}
	return nil
}

func (o *output) appendValue(i int, value []byte) {
	v := &o.rec.Columns[i]
	null := value == nil
	o.nulls[i] = append(o.nulls[i], null)
	o.any[i] = o.any[i] || null
	if null {
		value = zeroCell[:]
	}
	switch v.Type {
	case martsync.Bool:
		v.Bools = append(v.Bools, value[0] != 0)
	case martsync.Int64, martsync.Timestamp:
		v.Ints = append(v.Ints, int64Of(value))
	case martsync.Date:
		v.Days = append(v.Days, dateOf(value))
	case martsync.Float64:
		v.Floats = append(v.Floats, floatOf(value))
	case martsync.Decimal:
		v.Decimals = append(v.Decimals, int128Of(value))
	default:
		if !null {
			v.Data = append(v.Data, value...)
		}
		v.Offsets = append(v.Offsets, int32(len(v.Data))) //nolint:gosec // one row beyond MaxBytes at most
	}
	o.size += 9
	if !null {
		o.size += len(value)
	}
}

// zeroCell is the value of a null in any column of fixed size.
var zeroCell [16]byte

// flush hands on what was collected.
func (o *output) flush() error {
	if o.rec.Len == 0 {
		return nil
	}
	for i := range o.any {
		if o.any[i] {
			o.rec.Columns[i].Nulls = o.nulls[i]
		}
	}
	if o.anyDel {
		o.rec.Deleted = o.deleted
	}
	err := o.emit(&o.rec)
	o.reset()
	return err
}

func (o *output) reset() {
	for i := range o.columns {
		v := &o.rec.Columns[i]
		*v = martsync.Vector{
			Type: o.columns[i].Type, Bools: v.Bools[:0], Ints: v.Ints[:0], Days: v.Days[:0],
			Floats: v.Floats[:0], Decimals: v.Decimals[:0], Offsets: v.Offsets[:0], Data: v.Data[:0],
		}
		if cap(v.Data) > 2*martsync.MaxBytes {
			v.Data = nil // an unusually large row blew it up
		}
		switch v.Type {
		case martsync.String, martsync.Binary, martsync.JSON:
			v.Offsets = append(v.Offsets, 0)
		default: // no offsets
		}
		o.nulls[i], o.any[i] = o.nulls[i][:0], false
	}
	o.rec.Len, o.rec.Deleted, o.deleted, o.anyDel, o.size = 0, nil, o.deleted[:0], false, 0
}
