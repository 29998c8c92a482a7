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
	text    []int // bytes of text, by row
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

// decode hands the rows of a chunk over, in as many parts as its text demands.
func (d *decoder) decode(chunk bindings.DataChunk, f func(*martsync.Records) error) error {
	n := int(bindings.DataChunkGetSize(chunk))
	d.measure(chunk, n)
	for from := 0; from < n; {
		to, size := from+1, d.text[from]
		for to < n && size+d.text[to] <= martsync.MaxBytes {
			size += d.text[to]
			to++
		}
		if err := d.rows(chunk, from, to); err != nil {
			return err
		}
		if err := f(&d.records); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// measure counts the text of each row of a chunk.
func (d *decoder) measure(chunk bindings.DataChunk, n int) {
	d.text = append(d.text[:0], make([]int, n)...)
	for i, t := range d.types {
		if t != bindings.TypeVarchar && t != bindings.TypeBlob {
			continue
		}
		from := bindings.DataChunkGetVector(chunk, bindings.IdxT(i))
		valid := validity(from, n)
		texts := values[bindings.StringT](bindings.VectorGetData(from), 0, n)
		for j := range texts { // not copied: they are aligned where they lie
			if valid == nil || valid[j/64]>>(j%64)&1 == 1 {
				d.text[j] += len(stringBytes(&texts[j]))
			}
		}
	}
}

// validity is the mask of a vector, a bit a row; nil if there is no null.
func validity(v bindings.Vector, n int) []uint64 {
	mask := bindings.VectorGetValidity(v)
	if mask == nil {
		return nil
	}
	return unsafe.Slice((*uint64)(mask), (n+63)/64)
}

// rows decodes the rows [from, to) of a chunk.
func (d *decoder) rows(chunk bindings.DataChunk, begin, end int) error {
	n := end - begin
	d.records.Len = n
	for i := range d.columns {
		from := bindings.DataChunkGetVector(chunk, bindings.IdxT(i))
		v := &d.records.Columns[i]
		v.Type = d.columns[i].Type
		v.Nulls = nil
		if bits := validity(from, end); bits != nil {
			d.nulls[i] = d.nulls[i][:0]
			any := false
			for j := begin; j < end; j++ {
				null := bits[j/64]>>(j%64)&1 == 0
				d.nulls[i] = append(d.nulls[i], null)
				any = any || null
			}
			if any {
				v.Nulls = d.nulls[i]
			}
		}
		data := bindings.VectorGetData(from)
		switch d.types[i] {
		case bindings.TypeBoolean:
			v.Bools = append(v.Bools[:0], values[bool](data, begin, end)...)
		case bindings.TypeBigInt, bindings.TypeUBigInt, bindings.TypeTimestamp:
			v.Ints = append(v.Ints[:0], values[int64](data, begin, end)...)
		case bindings.TypeInteger:
			v.Ints = v.Ints[:0]
			for _, x := range values[int32](data, begin, end) {
				v.Ints = append(v.Ints, int64(x))
			}
		case bindings.TypeDate:
			v.Days = append(v.Days[:0], values[int32](data, begin, end)...)
		case bindings.TypeDouble:
			v.Floats = append(v.Floats[:0], values[float64](data, begin, end)...)
		case bindings.TypeDecimal:
			v.Decimals = decimals(v.Decimals[:0], data, begin, end, d.columns[i].Precision)
		case bindings.TypeVarchar, bindings.TypeBlob:
			v.Offsets, v.Data = append(v.Offsets[:0], 0), v.Data[:0]
			texts := values[bindings.StringT](data, begin, end)
			for j := range texts {
				if !v.Null(j) {
					v.Data = append(v.Data, stringBytes(&texts[j])...)
				}
				v.Offsets = append(v.Offsets, int32(len(v.Data)))
			}
		default:
			return fmt.Errorf("column %s has a type that cannot be read", d.columns[i].Name)
		}
		zeroNulls(v)
	}
	return nil
}

// values are the rows [from, to) of a vector's data.
func values[T any](data unsafe.Pointer, from, to int) []T { return unsafe.Slice((*T)(data), to)[from:] }

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

func decimals(out []martsync.Int128, data unsafe.Pointer, from, to, precision int) []martsync.Int128 {
	switch {
	case precision <= 4:
		return wide(out, values[int16](data, from, to))
	case precision <= 9:
		return wide(out, values[int32](data, from, to))
	case precision <= 18:
		return wide(out, values[int64](data, from, to))
	}
	for _, x := range values[[2]uint64](data, from, to) {
		out = append(out, martsync.Int128{Hi: int64(x[1]), Lo: x[0]})
	}
	return out
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
