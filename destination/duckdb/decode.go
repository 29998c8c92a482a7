//go:build cgo && !lite

package duckdb

import (
	"fmt"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/martsync/martsync"
)

// A decoder turns DuckDB's chunks into records. Its buffers are reused.
type decoder struct {
	types   []bindings.Type
	columns []martsync.Column
	records martsync.Records
	nulls   [][]bool
}

func newDecoder(res *bindings.Result) *decoder {
	d := &decoder{}
	for i := range bindings.ColumnCount(res) {
		t := bindings.ColumnLogicalType(res, i)
		c := martsync.Column{Name: bindings.ColumnName(res, i)}
		id := bindings.GetTypeId(t)
		switch id {
		case bindings.TypeBoolean:
			c.Type = martsync.Bool
		case bindings.TypeBigInt, bindings.TypeInteger, bindings.TypeUBigInt:
			c.Type = martsync.Int64
		case bindings.TypeDouble:
			c.Type = martsync.Float64
		case bindings.TypeDecimal:
			c.Type = martsync.Decimal
			c.Precision, c.Scale = int(bindings.DecimalWidth(t)), int(bindings.DecimalScale(t))
		case bindings.TypeVarchar:
			c.Type = martsync.String
			if bindings.LogicalTypeGetAlias(t) == "JSON" {
				c.Type = martsync.JSON
			}
		case bindings.TypeBlob:
			c.Type = martsync.Binary
		case bindings.TypeDate:
			c.Type = martsync.Date
		case bindings.TypeTimestamp:
			c.Type = martsync.Timestamp
		}
		bindings.DestroyLogicalType(&t)
		d.types = append(d.types, id)
		d.columns = append(d.columns, c)
	}
	d.records.Columns = make([]martsync.Vector, len(d.columns))
	d.nulls = make([][]bool, len(d.columns))
	return d
}

func (d *decoder) decode(chunk bindings.DataChunk) (*martsync.Records, error) {
	n := int(bindings.DataChunkGetSize(chunk))
	d.records.Len = n
	for i := range d.columns {
		from := bindings.DataChunkGetVector(chunk, bindings.IdxT(i))
		v := &d.records.Columns[i]
		v.Type = d.columns[i].Type
		v.Nulls = nil
		if mask := bindings.VectorGetValidity(from); mask != nil {
			bits := unsafe.Slice((*uint64)(mask), (n+63)/64)
			d.nulls[i] = d.nulls[i][:0]
			for j := range n {
				null := bits[j/64]>>(j%64)&1 == 0
				d.nulls[i] = append(d.nulls[i], null)
				if null {
					v.Nulls = d.nulls[i]
				}
			}
			if v.Nulls != nil {
				v.Nulls = d.nulls[i]
			}
		}
		data := bindings.VectorGetData(from)
		switch d.types[i] {
		case bindings.TypeBoolean:
			v.Bools = append(v.Bools[:0], unsafe.Slice((*bool)(data), n)...)
		case bindings.TypeBigInt, bindings.TypeUBigInt, bindings.TypeTimestamp:
			v.Ints = append(v.Ints[:0], unsafe.Slice((*int64)(data), n)...)
		case bindings.TypeInteger:
			v.Ints = v.Ints[:0]
			for _, x := range unsafe.Slice((*int32)(data), n) {
				v.Ints = append(v.Ints, int64(x))
			}
		case bindings.TypeDate:
			v.Days = append(v.Days[:0], unsafe.Slice((*int32)(data), n)...)
		case bindings.TypeDouble:
			v.Floats = append(v.Floats[:0], unsafe.Slice((*float64)(data), n)...)
		case bindings.TypeDecimal:
			v.Decimals = decimals(v.Decimals[:0], data, n, d.columns[i].Precision)
		case bindings.TypeVarchar, bindings.TypeBlob:
			v.Offsets, v.Data = append(v.Offsets[:0], 0), v.Data[:0]
			values := unsafe.Slice((*bindings.StringT)(data), n)
			for j := range values {
				if !v.Null(j) {
					v.Data = append(v.Data, stringBytes(&values[j])...)
				}
				v.Offsets = append(v.Offsets, int32(len(v.Data)))
			}
		default:
			return nil, fmt.Errorf("column %s has a type that cannot be read", d.columns[i].Name)
		}
		zeroNulls(v)
	}
	return &d.records, nil
}

// zeroNulls makes the entries of nulls zero values; DuckDB leaves anything there.
func zeroNulls(v *martsync.Vector) {
	for i, null := range v.Nulls {
		if !null {
			continue
		}
		switch v.Type {
		case martsync.Bool:
			v.Bools[i] = false
		case martsync.Int64, martsync.Timestamp:
			v.Ints[i] = 0
		case martsync.Date:
			v.Days[i] = 0
		case martsync.Float64:
			v.Floats[i] = 0
		case martsync.Decimal:
			v.Decimals[i] = martsync.Int128{}
		default: // text and bytes of a null have no length
		}
	}
}

func decimals(to []martsync.Int128, data unsafe.Pointer, n, precision int) []martsync.Int128 {
	switch {
	case precision <= 4:
		return wide(to, unsafe.Slice((*int16)(data), n))
	case precision <= 9:
		return wide(to, unsafe.Slice((*int32)(data), n))
	case precision <= 18:
		return wide(to, unsafe.Slice((*int64)(data), n))
	}
	for _, x := range unsafe.Slice((*[2]uint64)(data), n) {
		to = append(to, martsync.Int128{Hi: int64(x[1]), Lo: x[0]})
	}
	return to
}

func wide[T int16 | int32 | int64](to []martsync.Int128, values []T) []martsync.Int128 {
	for _, x := range values {
		to = append(to, martsync.Int128{Hi: int64(x) >> 63, Lo: uint64(int64(x))})
	}
	return to
}

// stringBytes is the text of a duckdb_string_t, which lies in it if it is short.
func stringBytes(s *bindings.StringT) []byte {
	p := unsafe.Pointer(s)
	n := *(*uint32)(p)
	if n <= inline {
		return unsafe.Slice((*byte)(unsafe.Add(p, 4)), n)
	}
	return unsafe.Slice(*(**byte)(unsafe.Add(p, 8)), n)
}
