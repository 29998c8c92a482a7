//go:build cgo && !lite

package duckdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/martsync/martsync"
)

// vectorSize is the number of rows in one of DuckDB's vectors (STANDARD_VECTOR_SIZE).
const vectorSize = 2048

// fill makes the rows of a piece the rows of a chunk whose vectors have the types of columns.
func fill(chunk bindings.DataChunk, columns []martsync.Column, p piece) error {
	n := p.to - p.from
	for i := range p.vectors {
		v := &p.vectors[i]
		to := bindings.DataChunkGetVector(chunk, bindings.IdxT(i))
		if v.Nulls != nil {
			fillNulls(to, v.Nulls[p.from:p.to])
		}
		data := bindings.VectorGetData(to)
		switch v.Type {
		case martsync.Bool:
			copy(unsafe.Slice((*bool)(data), n), v.Bools[p.from:p.to])
		case martsync.Int64, martsync.Timestamp:
			copy(unsafe.Slice((*int64)(data), n), v.Ints[p.from:p.to])
		case martsync.Float64:
			copy(unsafe.Slice((*float64)(data), n), v.Floats[p.from:p.to])
		case martsync.Date:
			copy(unsafe.Slice((*int32)(data), n), v.Days[p.from:p.to])
		case martsync.Decimal:
			fillDecimals(data, v.Decimals[p.from:p.to], columns[i].Precision)
		case martsync.String, martsync.Binary, martsync.JSON:
			fillText(unsafe.Slice((*text)(data), n), v.Data, v.Offsets[p.from:p.to+1])
		default:
			return fmt.Errorf("column %s has no type", columns[i].Name)
		}
	}
	bindings.DataChunkSetSize(chunk, bindings.IdxT(n))
	return nil
}

// fillNulls sets the validity mask, which has a bit a row, 1 for valid. There is none, and
// every row is valid, until one is asked for.
func fillNulls(to bindings.Vector, nulls []bool) {
	flags := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(nulls))), len(nulls))
	if bytes.IndexByte(flags, 1) < 0 {
		return
	}
	bindings.VectorEnsureValidityWritable(to)
	mask := unsafe.Slice((*byte)(bindings.VectorGetValidity(to)), vectorSize/8)
	n := len(flags) &^ 7
	for i := 0; i < n; i += 8 {
		// the product gathers the lowest bits of eight bytes in its highest byte, in order
		mask[i/8] = ^byte(binary.LittleEndian.Uint64(flags[i:]) * 0x0102040810204080 >> 56)
	}
	if n < len(flags) {
		bits := ^byte(0)
		for j, null := range flags[n:] {
			bits &^= null << j
		}
		mask[n/8] = bits
	}
}

// fillDecimals writes decimals as DuckDB stores them: in the smallest of four integers that
// has room for the digits.
func fillDecimals(data unsafe.Pointer, values []martsync.Int128, precision int) {
	switch {
	case precision <= 4:
		narrow[int16](data, values)
	case precision <= 9:
		narrow[int32](data, values)
	case precision <= 18:
		narrow[int64](data, values)
	default:
		for i, x := range values {
			unsafe.Slice((*[2]uint64)(data), len(values))[i] = [2]uint64{x.Lo, uint64(x.Hi)}
		}
	}
}

func narrow[T int16 | int32 | int64](data unsafe.Pointer, values []martsync.Int128) {
	to := unsafe.Slice((*T)(data), len(values))
	for i, x := range values {
		to[i] = T(x.Lo)
	}
}

// text is DuckDB's duckdb_string_t: the length in 32 bits, then up to 12 bytes of text, or, if it
// is longer, its first 4 bytes and a pointer to all of it.
type text struct{ head, tail uint64 }

const inline = 12 // bytes of text that fit into the struct itself

// masks keep the first n bytes of 8.
var masks = func() (m [9]uint64) {
	for i := range m {
		m[i] = 1<<(8*i) - 1
	}
	m[8] = ^uint64(0)
	return m
}()

// fillText writes strings that point into data, which is followed by padding and stays where it
// is: the feed has pinned it and keeps it until DuckDB has copied the strings.
func fillText(to []text, data []byte, offsets []int32) {
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(data))))
	for i := range to {
		from := int(offsets[i])
		n := int(offsets[i+1]) - from
		first := binary.NativeEndian.Uint64(data[from:])
		if n > inline {
			to[i] = text{uint64(n) | first<<32, base + uint64(from)}
			continue
		}
		last := uint64(binary.NativeEndian.Uint32(data[from+8:]))
		if n < 8 {
			first &= masks[n]
			last = 0
		} else {
			last &= masks[n-8]
		}
		to[i] = text{uint64(n) | first<<32, first>>32 | last<<32}
	}
}
