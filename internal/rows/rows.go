// Package rows turns records into single Go values and back, for whoever looks at rows one
// at a time: tests, suites and the destination in memory. It is slow beside the columns it
// reads; what moves data uses those.
package rows

import (
	"fmt"
	"iter"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// A Row is the cells of one row, parallel to the columns of its schema. A cell is nil, bool,
// int64, float64, Decimal, string, Bytes, Date, Micros or JSON: all of them comparable.
type Row []any

// Bytes is a cell of type Binary. It is a string so that it can be compared.
type Bytes string

// JSON is a cell of type JSON.
type JSON string

// Date is a cell of type Date: days since 1970-01-01.
type Date int32

// Micros is a cell of type Timestamp: microseconds since 1970-01-01T00:00:00Z.
type Micros int64

// A Decimal is Int / 10^Scale.
type Decimal struct {
	Int   martsync.Int128
	Scale int
}

func (d Date) String() string { return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly) }

func (m Micros) String() string {
	return time.UnixMicro(int64(m)).UTC().Format("2006-01-02T15:04:05.999999Z07:00")
}

// Time returns the cell for t.
func Time(t time.Time) Micros { return Micros(t.UnixMicro()) }

// Big returns the unscaled integer.
func (d Decimal) Big() *big.Int {
	n := new(big.Int).Lsh(big.NewInt(d.Int.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(d.Int.Lo))
}

// String writes d with all digits of its scale.
func (d Decimal) String() string {
	n := d.Big()
	digits := new(big.Int).Abs(n).String()
	if pad := d.Scale + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	if d.Scale > 0 {
		digits = digits[:len(digits)-d.Scale] + "." + digits[len(digits)-d.Scale:]
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// DecimalOf makes a Decimal of an unscaled integer of at most 127 bits.
func DecimalOf(n *big.Int, scale int) Decimal {
	low := new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0)))
	high := new(big.Int).Rsh(n, 64) // arithmetic: rounds towards minus infinity
	return Decimal{Int: martsync.Int128{Hi: high.Int64(), Lo: low.Uint64()}, Scale: scale}
}

// ParseDecimal reads text such as "-12.50" with at most scale digits after the point.
func ParseDecimal(text string, scale int) (Decimal, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > scale {
		return Decimal{}, fmt.Errorf("decimal %q has more than %d digits after the point", text, scale)
	}
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10)
	if !ok || whole == "" || n.BitLen() > 127 {
		return Decimal{}, fmt.Errorf("%q is not a decimal", text)
	}
	return DecimalOf(n, scale), nil
}

// Text writes a cell as text, the way a column that is widened to String keeps it.
func Text(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case string:
		return v
	case Bytes:
		return string(v)
	case JSON:
		return string(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Cell returns row i of the vector of column c.
func Cell(c martsync.Column, v *martsync.Vector, i int) any {
	if v.Null(i) {
		return nil
	}
	switch c.Type {
	case martsync.Bool:
		return v.Bools[i]
	case martsync.Int64:
		return v.Ints[i]
	case martsync.Timestamp:
		return Micros(v.Ints[i])
	case martsync.Date:
		return Date(v.Days[i])
	case martsync.Float64:
		return v.Floats[i]
	case martsync.Decimal:
		return Decimal{Int: v.Decimals[i], Scale: c.Scale}
	case martsync.Binary:
		return Bytes(v.Bytes(i))
	case martsync.JSON:
		return JSON(v.Bytes(i))
	default:
		return string(v.Bytes(i))
	}
}

// Of yields the rows of r with their position. The rows are new and belong to the caller.
func Of(columns []martsync.Column, r *martsync.Records) iter.Seq2[int, Row] {
	return func(yield func(int, Row) bool) {
		for i := range r.Len {
			row := make(Row, len(columns))
			for j, c := range columns {
				row[j] = Cell(c, &r.Columns[j], i)
			}
			if !yield(i, row) {
				return
			}
		}
	}
}

// Tombstone reports whether row i of r is one.
func Tombstone(r *martsync.Records, i int) bool { return r.Tombstone != nil && r.Tombstone[i] }

// Deleted reports whether row i of r carries the vendor's flag that it is deleted.
func Deleted(r *martsync.Records, i int) bool { return r.Deleted != nil && r.Deleted[i] }
