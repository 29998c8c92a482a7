package files

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/decimal"
)

// The resolver's encoding of a row: a cell for each column of the table, each of them
//
//	0                absent: the row says nothing of this column
//	1                null
//	n+2, n bytes     a value
//
// with the lengths as varints. A value is little-endian: a byte for Bool, 8 for Int64, Timestamp and
// Float64, 4 for Date, 16 for Decimal (low half first), and the bytes themselves for the others. So
// a newer row is laid over an older one without knowing a type.
const (
	cellAbsent = 0
	cellNull   = 1
	cellValue  = 2
)

// appendCell appends the length and the bytes of a value.
func appendCell(dst, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(value))+cellValue)
	return append(dst, value...)
}

// nextCell splits the first cell off a row. All of a cell is its encoding.
func nextCell(row []byte) (kind uint64, value, all, rest []byte) {
	n, w := binary.Uvarint(row)
	if n < cellValue {
		return n, nil, row[:w], row[w:]
	}
	end := w + int(n-cellValue) //nolint:gosec // a length that appendCell wrote
	return cellValue, row[w:end], row[:end], row[end:]
}

// cellAt returns the value in column i of a row, nil for null and absent. Empty text is not nil.
func cellAt(row []byte, i int) []byte {
	for ; i > 0; i-- {
		_, _, _, row = nextCell(row)
	}
	_, value, _, _ := nextCell(row)
	return value
}

// overlay appends the old row with what the new one says of each column.
func overlay(dst, old, row []byte) []byte {
	for len(row) > 0 {
		var kind uint64
		var was, is []byte
		kind, _, is, row = nextCell(row)
		_, _, was, old = nextCell(old)
		if kind == cellAbsent {
			is = was
		}
		dst = append(dst, is...)
	}
	return dst
}

// appendVector appends the value in row i of v, which is not null.
func appendVector(dst []byte, v *martsync.Vector, i int) []byte {
	switch v.Type {
	case martsync.Bool:
		if v.Bools[i] {
			return append(dst, 1)
		}
		return append(dst, 0)
	case martsync.Int64, martsync.Timestamp:
		return binary.LittleEndian.AppendUint64(dst, uint64(v.Ints[i]))
	case martsync.Date:
		return binary.LittleEndian.AppendUint32(dst, uint32(v.Days[i]))
	case martsync.Float64:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Floats[i]))
	case martsync.Decimal:
		return appendInt128(dst, v.Decimals[i])
	default:
		return append(dst, v.Bytes(i)...)
	}
}

func appendInt128(dst []byte, d martsync.Int128) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, d.Lo)
	return binary.LittleEndian.AppendUint64(dst, uint64(d.Hi))
}

func int64Of(value []byte) int64 { return int64(binary.LittleEndian.Uint64(value)) }
func dateOf(value []byte) int32  { return int32(binary.LittleEndian.Uint32(value)) }
func floatOf(value []byte) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(value))
}

func int128Of(value []byte) martsync.Int128 {
	return martsync.Int128{Lo: binary.LittleEndian.Uint64(value), Hi: int64Of(value[8:])}
}

// compareCells orders two values of a column. Nil, which is null, is the lowest.
func compareCells(c *martsync.Column, a, b []byte) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch c.Type {
	case martsync.Int64, martsync.Timestamp:
		return cmp.Compare(int64Of(a), int64Of(b))
	case martsync.Date:
		return cmp.Compare(dateOf(a), dateOf(b))
	case martsync.Float64:
		return cmp.Compare(floatOf(a), floatOf(b))
	case martsync.Decimal:
		return decimal.Cmp(int128Of(a), int128Of(b))
	default: // false is below true, as texts and as bytes
		return bytes.Compare(a, b)
	}
}

// appendText appends a value as the text that a column widened to String keeps, and that scopes are
// written in. It is that of the destination in memory.
func appendText(dst []byte, c *martsync.Column, value []byte) []byte {
	switch c.Type {
	case martsync.Bool:
		return strconv.AppendBool(dst, value[0] != 0)
	case martsync.Int64:
		return strconv.AppendInt(dst, int64Of(value), 10)
	case martsync.Float64:
		return strconv.AppendFloat(dst, floatOf(value), 'g', -1, 64)
	case martsync.Timestamp:
		return time.UnixMicro(int64Of(value)).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999Z07:00")
	case martsync.Date:
		return time.Unix(int64(dateOf(value))*86_400, 0).UTC().AppendFormat(dst, time.DateOnly)
	case martsync.Decimal:
		return decimal.Append(dst, int128Of(value), c.Scale)
	default:
		return append(dst, value...)
	}
}

// equalType reports whether the columns hold the same values in the same way.
func equalType(a, b martsync.Column) bool {
	return a.Type == b.Type && (a.Type != martsync.Decimal || a.Scale == b.Scale && a.Precision == b.Precision)
}

// appendWidened appends a value of a column as one of a wider column.
func appendWidened(dst []byte, from, to *martsync.Column, value []byte) ([]byte, error) {
	switch {
	case from.Type == to.Type && (from.Type != martsync.Decimal || from.Scale == to.Scale):
		return append(dst, value...), nil
	case to.Type == martsync.String || to.Type == martsync.Binary:
		return appendText(dst, from, value), nil
	case from.Type == martsync.Date && to.Type == martsync.Timestamp:
		return binary.LittleEndian.AppendUint64(dst, uint64(int64(dateOf(value))*86_400_000_000)), nil
	case to.Type == martsync.Decimal && (from.Type == martsync.Decimal || from.Type == martsync.Int64):
		var d martsync.Int128
		scale := 0
		if from.Type == martsync.Int64 {
			d = decimal.FromInt64(int64Of(value))
		} else {
			d, scale = int128Of(value), from.Scale
		}
		if d, ok := decimal.Rescale(d, scale, to.Scale); ok {
			return appendInt128(dst, d), nil
		}
		return dst, replayError("column %s: %s does not fit %s", from.Name, appendText(nil, from, value), to.TypeName())
	}
	return dst, replayError("column %s: %s cannot become %s", from.Name, from.TypeName(), to.TypeName())
}

// A widening takes a value through the types that its column had, one after the other: a date that
// became a timestamp before it became text reads otherwise than one that became text at once.
type widening []martsync.Column

// widen returns the value at the end of the way, in scratch or as it was.
func (w widening) widen(scratch *[2][]byte, value []byte) ([]byte, error) {
	for i := 1; i < len(w); i++ {
		to, err := appendWidened(scratch[i%2][:0], &w[i-1], &w[i], value)
		if err != nil {
			return nil, err
		}
		scratch[i%2], value = to, to
	}
	return value, nil
}

// follow adds the type that the column has in a table, if it has one there and it is another.
func (w widening) follow(s *martsync.Schema) widening {
	i := s.Index(w[0].Name)
	if i < 0 || equalType(w[len(w)-1], s.Columns[i]) {
		return w
	}
	return append(w, s.Columns[i])
}
