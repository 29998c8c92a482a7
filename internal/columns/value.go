package columns

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/decimal"
)

// Value returns row i of a column as a Go value: nil, bool, int64, float64, string (String,
// and Decimal as text with all its digits), []byte, time.Time in UTC (Date at midnight) or
// json.RawMessage. Nothing of it is borrowed.
func Value(c martsync.Column, v *martsync.Vector, i int) any {
	if v.Null(i) {
		return nil
	}
	switch v.Type {
	case martsync.Bool:
		return v.Bools[i]
	case martsync.Int64:
		return v.Ints[i]
	case martsync.Float64:
		return v.Floats[i]
	case martsync.Timestamp:
		return time.UnixMicro(v.Ints[i]).UTC()
	case martsync.Date:
		return dateOf(v.Days[i])
	case martsync.Decimal:
		return string(decimal.Append(nil, v.Decimals[i], c.Scale))
	case martsync.JSON:
		return json.RawMessage(append([]byte{}, v.Bytes(i)...))
	case martsync.Binary:
		return append([]byte{}, v.Bytes(i)...)
	default:
		return string(v.Bytes(i))
	}
}

// Format returns row i of a column as its canonical text, which is the same wherever a value
// came from: decimals with all digits of their scale, times in UTC as RFC 3339 with at most
// six digits of a second, doubles as the shortest text that reads back the same, bytes in
// base64. A null is "", as is empty text: ask the vector which one it is.
func Format(c martsync.Column, v *martsync.Vector, i int) string {
	return string(AppendFormat(nil, c, v, i))
}

// AppendFormat is Format into a buffer.
func AppendFormat(dst []byte, c martsync.Column, v *martsync.Vector, i int) []byte {
	if v.Null(i) {
		return dst
	}
	switch v.Type {
	case martsync.Bool:
		return strconv.AppendBool(dst, v.Bools[i])
	case martsync.Int64:
		return strconv.AppendInt(dst, v.Ints[i], 10)
	case martsync.Float64:
		return appendFloat(dst, v.Floats[i])
	case martsync.Timestamp:
		return time.UnixMicro(v.Ints[i]).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999Z")
	case martsync.Date:
		return dateOf(v.Days[i]).AppendFormat(dst, time.DateOnly)
	case martsync.Decimal:
		return decimal.Append(dst, v.Decimals[i], c.Scale)
	case martsync.Binary:
		return base64.StdEncoding.AppendEncode(dst, v.Bytes(i))
	default:
		return append(dst, v.Bytes(i)...)
	}
}

func dateOf(days int32) time.Time { return time.Unix(int64(days)*86_400, 0).UTC() }

// appendFloat writes an exponent only where JavaScript and JSON writers do.
func appendFloat(dst []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}
