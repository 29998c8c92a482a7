package columns

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/decimal"
	"github.com/martsync/martsync/internal/flatjson"
)

// AppendCells appends a row of text cells, parallel to the columns. Nil is null, and so is
// empty text in a column that is neither String nor Binary. If a cell does not fit its
// column nothing is appended and the error is a *CellError.
func (b *Builder) AppendCells(cells [][]byte) error {
	if len(cells) != len(b.columns) {
		return b.finish(&CellError{Reason: fmt.Sprintf("%d cells for %d columns", len(cells), len(b.columns))}, 0)
	}
	size := 0
	for i, cell := range cells {
		if cell == nil {
			b.appendNull(i)
			continue
		}
		n, reason := b.appendText(i, cell)
		if reason != "" {
			return b.finish(b.misfit(i, reason, cell), 0)
		}
		size += n
	}
	return b.finish(nil, size)
}

// misfit describes a value that does not fit column i. The value is quoted, in part if it
// is long, because people look for it.
func (b *Builder) misfit(i int, reason string, value []byte) *CellError {
	const most = 60
	dots := ""
	if len(value) > most {
		value, dots = value[:most], "…"
	}
	return &CellError{Column: b.columns[i].Name, Reason: fmt.Sprintf("%s: %q%s", reason, value, dots)}
}

// appendText appends text to column i and returns the bytes that it takes beyond the fixed
// ones, or why it does not fit. Nothing is appended then.
func (b *Builder) appendText(i int, text []byte) (size int, reason string) {
	v := &b.vectors[i]
	if len(text) == 0 && v.Type != martsync.String && v.Type != martsync.Binary {
		b.appendNull(i)
		return 0, ""
	}
	switch v.Type {
	case martsync.String:
		size, reason = b.appendBytes(v, b.clean(text))
	case martsync.Int64:
		var n int64
		if n, reason = parseInt(text); reason == "" {
			v.Ints = append(v.Ints, n)
		}
	case martsync.Timestamp:
		var t int64
		var ok bool
		if t, ok = parseTimestamp(text); !ok {
			return 0, "not a timestamp"
		}
		v.Ints = append(v.Ints, t)
	case martsync.Date:
		var d int32
		var ok bool
		if d, ok = parseDate(text); !ok {
			return 0, "not a date"
		}
		v.Days = append(v.Days, d)
	case martsync.Bool:
		var t, ok bool
		if t, ok = parseBool(text); !ok {
			return 0, "not a boolean"
		}
		v.Bools = append(v.Bools, t)
	case martsync.Float64:
		var f float64
		if f, reason = parseFloat(text); reason == "" {
			v.Floats = append(v.Floats, f)
		}
	case martsync.Decimal:
		c := &b.columns[i]
		d, err := decimal.Parse(text, c.Precision, c.Scale)
		if err != nil {
			return 0, decimalReason(c, err)
		}
		v.Decimals = append(v.Decimals, d)
	case martsync.JSON:
		text = b.cleanJSON(text)
		if !flatjson.Valid(text) {
			return 0, "not valid JSON"
		}
		size, reason = b.appendBytes(v, text)
	case martsync.Binary:
		size, reason = b.appendBytes(v, text)
	default:
		return 0, fmt.Sprintf("column of unknown type %v", v.Type)
	}
	if reason == "" {
		b.nulls[i] = append(b.nulls[i], false)
	}
	return size, reason
}

func decimalReason(c *martsync.Column, err error) string {
	if errors.Is(err, decimal.ErrSyntax) {
		return "not a decimal number"
	}
	return "does not fit " + c.TypeName()
}

// appendBytes appends to a vector with offsets, which reach to 2 GiB.
func (b *Builder) appendBytes(v *martsync.Vector, text []byte) (size int, reason string) {
	if len(v.Data)+len(text) > math.MaxInt32 {
		return 0, "too long"
	}
	v.Data = append(v.Data, text...)
	v.Offsets = append(v.Offsets, int32(len(v.Data)))
	return len(text), ""
}

// clean returns text with each invalid byte replaced by U+FFFD. The result is borrowed.
func (b *Builder) clean(text []byte) []byte {
	if b.trusted || utf8.Valid(text) {
		return text
	}
	b.valid = b.valid[:0]
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			b.replaced++
		}
		b.valid = utf8.AppendRune(b.valid, r)
		text = text[n:]
	}
	return b.valid
}

// cleanJSON is clean for JSON, where a lone half of a surrogate pair may also hide behind an
// escape. Stricter readers than encoding/json refuse the whole text for that.
func (b *Builder) cleanJSON(text []byte) []byte {
	text = b.clean(text)
	out, n := flatjson.ReplaceSurrogates(b.scratch[:0], text)
	if n == 0 {
		return text
	}
	b.scratch = out
	b.replaced += int64(n)
	return out
}
